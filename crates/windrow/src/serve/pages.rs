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
use windrow_engine::search::{self, Cursor, Filter, Found, Page};

use super::Shared;
use super::api::At;
use super::ask::{Asked, Named, wrong};
use super::board::Standing;
use super::feed::{As, BEAT, Pen};
use super::table::{Form, Refused, csv, json as answer_json};
use super::work::{off_thread, run};
use crate::term::text::time;

/// Pages of an answer when nothing is said, and at most.
const LIMIT: (usize, usize) = (100, 1_000);
/// Pages that wait to be written to a client that tails.
const QUEUE_LEN: usize = 64;

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
    let before = query.before.as_deref().map(str::parse::<Cursor>).transpose().map_err(|error| wrong(&error))?;
    let limit = query.limit.unwrap_or(LIMIT.0).clamp(1, LIMIT.1);
    let found = off_thread(&shared, move |shared| match committed(shared)? {
        Some(committed) => search::newest(&committed, &filter, before, limit),
        None => Ok(Found::default()),
    });
    let found = found.await?;
    Ok(match query.format {
        Form::Csv => csv(COLUMNS, found.rows.iter().map(cells)),
        Form::Json => {
            let pages: Vec<_> = found.rows.iter().map(object).collect();
            let next = found.next.map(|next| next.to_string());
            let all =
                json!({"schema": "windrow.pages/1", "pages": pages, "read": found.read, "total": found.total, "next": next});
            answer_json(StatusCode::OK, &all)
        }
    })
}

fn understood(q: &str) -> Result<Filter, Refused> {
    Filter::parse(q, SystemClock::new().now()).map_err(|error| wrong(&error))
}

pub(super) fn committed(shared: &Shared) -> Result<Option<Committed>, Error> {
    checkpoint::read_committed(&shared.out, shared.state.as_deref())
}

fn object(page: &Page) -> Value {
    json!({
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
    })
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
        last: query.last.unwrap_or(0).min(LIMIT.1),
        until_end: query.until_end,
    };
    let (pen, answer) = shared.feeds.begin(query.form)?;
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
        for page in newest.iter().rev() {
            if !pen.write(self.form.piece(&object(page))).await {
                return Ok(());
            }
        }
        loop {
            changes.mark_unchanged();
            match self.come(shared, pen, seen).await? {
                Some(next) => seen = next,
                None => return Ok(()),
            }
            // What was committed before the end is known stands in the files that were read after it is.
            if self.until_end && !matches!(shared.board.read().standing, Standing::Running { .. }) {
                return self.come(shared, pen, seen).await.map(|_| ());
            }
            let came = tokio::select! {
                came = tokio::time::timeout(BEAT, changes.changed()) => came,
                () = pen.closed() => return Ok(()),
            };
            if came.is_err() && !pen.write(self.form.beat()).await {
                return Ok(());
            }
        }
    }

    /// The newest pages, newest first, and the number of files that are behind them.
    async fn begin(&self, shared: &Arc<Shared>) -> Result<(Vec<Page>, usize), Error> {
        let (filter, last) = (self.filter.clone(), self.last);
        let begin = run(shared, move |shared| {
            let Some(committed) = committed(shared)? else { return Ok((Vec::new(), 0)) };
            let newest = if last == 0 { Found::default() } else { search::newest(&committed, &filter, None, last)? };
            Ok((newest.rows, search::n_files(&committed)?))
        });
        begin.await
    }

    /// Writes what has come since; gives the number of files that are seen now, or nothing when nobody reads any more.
    async fn come(&self, shared: &Arc<Shared>, pen: &Pen, seen: usize) -> Result<Option<usize>, Error> {
        let (hand, mut pages) = tokio::sync::mpsc::channel::<Page>(QUEUE_LEN);
        let filter = self.filter.clone();
        let reading = run(shared, move |shared| match committed(shared)? {
            // An output that was made anew is read from its beginning.
            Some(committed) => {
                let seen = if search::n_files(&committed)? < seen { 0 } else { seen };
                search::since(&committed, seen, &filter, &mut |page| hand.blocking_send(page).is_ok())
            }
            None => Ok(0),
        });
        let writing = async {
            while let Some(page) = pages.recv().await {
                if !pen.write(self.form.piece(&object(&page))).await {
                    pages.close();
                    return false;
                }
            }
            true
        };
        let (read, goes_on) = tokio::join!(reading, writing);
        Ok(goes_on.then_some(read?))
    }
}
