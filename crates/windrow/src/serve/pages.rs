//! Pages: a search, and a live tail of what is committed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use windrow_engine::checkpoint::{self, Committed};
use windrow_engine::clock::{Clock as _, SystemClock};
use windrow_engine::error::Error;
use windrow_engine::search::{self, Came, Cursor, Filter, Found, Page};

use super::Shared;
use super::api::At;
use super::ask::{Asked, Named, wrong};
use super::board::Standing;
use super::feed::{As, BEAT, Pen};
use super::newest::{Extent, newest, newest_csv};
use super::table::{Form, Refused, json as answer_json};
use super::work::run;
use crate::term::text::time;

/// Pages that a stream begins with, at most.
const LAST_MOST: usize = 1_000;
/// Pages that are read at once for a client that tails, and that are written at once.
const AT_ONCE: usize = 500;
const IN_A_PIECE: usize = 50;

const COLUMNS: &[&str] = &[
    "creation_time",
    "cluster",
    "label",
    "title",
    "url",
    "keywords",
    "description",
    "domain",
    "id",
    "score",
    "novel",
    "micro_cluster",
    "record_id",
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PagesQuery {
    q: String,
    limit: Option<usize>,
    before: Option<String>,
    format: Form,
}

pub(super) async fn pages(State(shared): At, Asked(query): Asked<PagesQuery>) -> Result<Response, Refused> {
    find(shared, Filter::default(), query).await
}

pub(super) async fn of_cluster(
    State(shared): At,
    Named(id): Named,
    Asked(query): Asked<PagesQuery>,
) -> Result<Response, Refused> {
    find(shared, Filter::of_cluster(id), query).await
}

async fn find(shared: Arc<Shared>, filter: Filter, query: PagesQuery) -> Result<Response, Refused> {
    let filter = filter.and(understood(&query.q)?);
    let extent = Extent::of(query.limit, query.before.as_deref())?;
    let read = move |committed: &Committed, before, limit| search::newest(committed, &filter, before, limit);
    if query.format == Form::Csv {
        return newest_csv(&shared, extent, (COLUMNS, cells), read).await;
    }
    let found = newest(&shared, extent, read).await?;
    let pages: Vec<_> = found.rows.iter().map(object).collect();
    let next = found.next.map(|next| next.to_string());
    let all = json!({"schema": "windrow.pages/1", "pages": pages, "read": found.read, "total": found.total, "next": next});
    Ok(answer_json(StatusCode::OK, &all))
}

fn understood(q: &str) -> Result<Filter, Refused> {
    Filter::parse(q, SystemClock::new().now()).map_err(|error| wrong(&error))
}

pub(super) fn committed(shared: &Shared) -> Result<Option<Committed>, Error> {
    checkpoint::read_committed(&shared.out, shared.state.as_deref())
}

fn object(page: &Page) -> Value {
    let mut object = json!({
        "record_id": page.record_id,
        "cluster": page.cluster,
        "label": page.label,
        "micro_cluster": page.micro_cluster,
        "novel": page.novel,
        "score": page.score,
        "creation_time": page.creation_time.map(time),
        "id": page.id,
        "url": page.url,
        "title": page.title,
        "keywords": page.keywords,
        "description": page.description,
        "domain": page.domain,
    });
    if !page.kept.is_empty() {
        object["kept"] = page.kept_object();
    }
    object
}

fn cells(page: &Page) -> Vec<Value> {
    let object = object(page);
    COLUMNS.iter().map(|name| object[name].clone()).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StreamQuery {
    q: String,
    #[serde(rename = "as")]
    form: As,
    last: Option<usize>,
    until_end: bool,
}

pub(super) async fn stream(State(shared): At, Asked(query): Asked<StreamQuery>) -> Result<Response, Refused> {
    follow(shared, Filter::default(), &query)
}

pub(super) async fn stream_of_cluster(
    State(shared): At,
    Named(id): Named,
    Asked(query): Asked<StreamQuery>,
) -> Result<Response, Refused> {
    follow(shared, Filter::of_cluster(id), &query)
}

fn follow(shared: Arc<Shared>, filter: Filter, query: &StreamQuery) -> Result<Response, Refused> {
    let tail = Tail {
        filter: filter.and(understood(&query.q)?),
        form: query.form,
        last: query.last.unwrap_or(0).min(LAST_MOST),
        until_end: query.until_end,
    };
    let (pen, answer) = shared.feeds.begin(query.form);
    tokio::spawn(async move {
        if let Err(error) = tail.write(&shared, &pen).await {
            // The answer has begun: what is wrong is its last line.
            let object = json!({"schema": "windrow.refusal/1", "code": error.code, "message": error.message});
            pen.write(tail.form.piece(&object)).await;
        }
    });
    Ok(answer)
}

/// What a client follows.
struct Tail {
    filter: Filter,
    form: As,
    last: usize,
    until_end: bool,
}

impl Tail {
    async fn write(&self, shared: &Arc<Shared>, pen: &Pen) -> Result<(), Error> {
        let mut changes = shared.board.changes();
        let (newest, mut seen) = self.begin(shared).await?;
        let mut told = None;
        if !self.hand_on(pen, newest.iter().rev()).await {
            return Ok(());
        }
        loop {
            changes.mark_unchanged();
            // What was committed before the end was known stands in the files that are read from here on.
            let known = shared.board.read();
            let is_over = pen.is_last() || self.until_end && !matches!(known.standing, Standing::Running { .. });
            if is_over || told != Some(known.epoch) {
                told = Some(known.epoch);
                let Some(next) = self.come(shared, pen, seen).await? else { return Ok(()) };
                seen = next;
            }
            if is_over {
                return Ok(());
            }
            let came = tokio::select! {
                came = tokio::time::timeout(BEAT, changes.changed()) => came,
                () = pen.ends() => continue,
                () = pen.closed() => return Ok(()),
            };
            if came.is_err() && !pen.write(self.form.beat()).await {
                return Ok(());
            }
        }
    }

    /// The newest pages, newest first, and the place behind them.
    async fn begin(&self, shared: &Arc<Shared>) -> Result<(Vec<Page>, Cursor), Error> {
        let (filter, last) = (self.filter.clone(), self.last);
        let begin = run(shared, move |shared| {
            let Some(committed) = committed(shared)? else { return Ok((Vec::new(), Cursor::default())) };
            let newest = if last == 0 { Found::default() } else { search::newest(&committed, &filter, None, last)? };
            Ok((newest.rows, search::end(&committed)?))
        });
        begin.await
    }

    /// Writes what has come since, in pieces: nobody else waits while this client reads. Gives the place behind it, or nothing when nobody reads
    /// any more.
    async fn come(&self, shared: &Arc<Shared>, pen: &Pen, mut seen: Cursor) -> Result<Option<Cursor>, Error> {
        loop {
            let filter = self.filter.clone();
            let came = run(shared, move |shared| match committed(shared)? {
                Some(committed) => search::since(&committed, seen, &filter, AT_ONCE),
                None => Ok(Came { is_all: true, ..Came::default() }),
            });
            let came = came.await?;
            seen = came.next;
            if !self.hand_on(pen, came.pages.iter()).await {
                return Ok(None);
            }
            if came.is_all {
                return Ok(Some(seen));
            }
        }
    }

    /// Writes pages; says whether anybody reads any more.
    async fn hand_on<'p>(&self, pen: &Pen, pages: impl Iterator<Item = &'p Page>) -> bool {
        let mut pages = pages.peekable();
        while pages.peek().is_some() {
            let text: String = pages.by_ref().take(IN_A_PIECE).map(|page| self.form.piece(&object(page))).collect();
            if !pen.write(text).await {
                return false;
            }
        }
        true
    }
}
