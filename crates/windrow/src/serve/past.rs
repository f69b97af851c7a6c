//! Pages over time, in a window, and by domain: what the history tells.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use windrow_core::cluster::ClusterId;
use windrow_core::pipeline::View;
use windrow_engine::history::{Ask, Clock, DomainTable, Messages, Timeline, Window};

use super::api::At;
use super::ask::{Asked, ids, seconds};
use super::table::{Form, Refused, csv, json as answer_json};
use crate::term::text::time;

/// Buckets of a timeline when nothing is said, and at most.
const BUCKETS: (usize, usize) = (200, 600);
/// Clusters of a timeline when nothing is said, and at most.
const TOP: (usize, usize) = (10, 20);
/// Rows and columns of the table of domains, at most.
const DOMAINS_MAX: usize = 1_000;
const CLUSTERS_MAX: usize = 100;

/// Which time of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClockWord {
    #[default]
    Event,
    Arrival,
}

impl ClockWord {
    fn clock(self) -> Clock {
        match self {
            Self::Event => Clock::Event,
            Self::Arrival => Clock::Arrival,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Arrival => "arrival",
        }
    }
}

/// How far back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum WindowWord {
    #[serde(rename = "1m")]
    Minute,
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "24h")]
    Day,
    #[default]
    #[serde(rename = "all")]
    All,
}

impl WindowWord {
    fn window(self) -> Window {
        match self {
            Self::Minute => Window::Minute,
            Self::Hour => Window::Hour,
            Self::Day => Window::Day,
            Self::All => Window::All,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::All => "all",
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimelineQuery {
    clock: ClockWord,
    window: WindowWord,
    from: Option<String>,
    to: Option<String>,
    buckets: Option<usize>,
    top: Option<usize>,
    cluster: String,
    format: Form,
}

pub(super) async fn timeline(State(shared): At, Asked(query): Asked<TimelineQuery>) -> Result<Response, Refused> {
    let ask = Ask {
        clock: query.clock.clock(),
        window: query.window.window(),
        from: seconds(query.from.as_deref())?,
        to: seconds(query.to.as_deref())?,
        buckets: query.buckets.unwrap_or(BUCKETS.0).clamp(1, BUCKETS.1),
        top: query.top.unwrap_or(TOP.0).min(TOP.1),
        clusters: ids(&query.cluster)?.into_iter().take(TOP.1).collect(),
    };
    let drawn = shared.past.look(|history| history.timeline(&ask));
    let known = shared.board.read();
    let names = names(&known.view);
    Ok(match query.format {
        Form::Csv => timeline_csv(&drawn, &names),
        Form::Json => answer_json(StatusCode::OK, &timeline_object(query.clock, &drawn, &names)),
    })
}

fn timeline_object(clock: ClockWord, drawn: &Timeline, names: &Names<'_>) -> Value {
    let series = drawn.series.iter();
    let series = series.map(|(id, counts)| json!({"cluster": id, "label": names.of(*id), "counts": counts}));
    let gaps = drawn.gaps.iter();
    let gaps = gaps.map(|gap| json!({"from": gap.from, "to": gap.to, "why": gap.reason}));
    json!({
        "schema": "windrow.timeline/1",
        "clock": clock.word(),
        "from": drawn.times.first(),
        "bucket_seconds": drawn.bucket_seconds,
        "times": drawn.times,
        "series": series.collect::<Vec<_>>(),
        "other": {"clusters": drawn.n_others, "counts": drawn.others},
        "undated": drawn.undated,
        "gaps": gaps.collect::<Vec<_>>(),
    })
}

fn timeline_csv(drawn: &Timeline, names: &Names<'_>) -> Response {
    let heads = drawn.series.iter().map(|(id, _)| format!("{id} {}", names.of(*id)));
    let columns: Vec<String> = std::iter::once("time".to_owned()).chain(heads).chain(["other".to_owned()]).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let rows = drawn.times.iter().enumerate().map(|(place, begin)| {
        let counts = drawn.series.iter().map(|(_, counts)| counts).chain([&drawn.others]);
        std::iter::once(json!(time(begin * 1_000_000))).chain(counts.map(|counts| json!(counts[place]))).collect()
    });
    csv(&columns, rows)
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Pages,
    Label,
    Cluster,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MessagesQuery {
    clock: ClockWord,
    window: WindowWord,
    sort: Sort,
    limit: Option<usize>,
    format: Form,
}

pub(super) async fn messages(State(shared): At, Asked(query): Asked<MessagesQuery>) -> Response {
    let Messages { range, clusters, others } =
        shared.past.look(|history| history.messages(query.clock.clock(), query.window.window()));
    let known = shared.board.read();
    let names = names(&known.view);
    let total = clusters.values().sum::<u64>() + others;
    let mut clusters: Vec<(ClusterId, u64)> = clusters.into_iter().collect();
    clusters.sort_by(|a, b| {
        let order = match query.sort {
            Sort::Pages => b.1.cmp(&a.1),
            Sort::Label => names.of(a.0).cmp(names.of(b.0)),
            Sort::Cluster => std::cmp::Ordering::Equal,
        };
        order.then(a.0.cmp(&b.0))
    });
    clusters.truncate(query.limit.unwrap_or(usize::MAX));
    let share = |pages: u64| (pages as f64 / total.max(1) as f64 * 1e6).round() / 1e6;
    match query.format {
        Form::Csv => csv(
            &["cluster", "label", "pages", "share", "alive"],
            clusters
                .iter()
                .map(|(id, n)| vec![json!(id), json!(names.of(*id)), json!(n), json!(share(*n)), json!(names.lives(*id))]),
        ),
        Form::Json => {
            let clusters = clusters.iter().map(|(id, pages)| {
                let (label, alive) = (names.of(*id), names.lives(*id));
                json!({"cluster": id, "label": label, "pages": pages, "share": share(*pages), "alive": alive})
            });
            let object = json!({
                "schema": "windrow.messages/1",
                "clock": query.clock.word(),
                "window": query.window.word(),
                "from": range.map(|(from, _)| from),
                "to": range.map(|(_, to)| to),
                "total": total,
                "clusters": clusters.collect::<Vec<_>>(),
                "other": others,
            });
            answer_json(StatusCode::OK, &object)
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DomainsQuery {
    top: Option<usize>,
    clusters: Option<usize>,
    q: String,
    format: Form,
}

pub(super) async fn domains(State(shared): At, Asked(query): Asked<DomainsQuery>) -> Response {
    let (rows, columns) = (query.top.unwrap_or(30).min(DOMAINS_MAX), query.clusters.unwrap_or(20).min(CLUSTERS_MAX));
    let text = query.q.to_lowercase();
    let table = shared.past.look(|history| history.domains(rows, columns, &text));
    let known = shared.board.read();
    let names = names(&known.view);
    match query.format {
        Form::Csv => domains_csv(&table, &names),
        Form::Json => {
            let DomainTable { clusters, domains, counts, other_clusters, other_domains, other, total } = &table;
            let clusters = clusters.iter();
            let clusters = clusters.map(|(id, n)| json!({"cluster": id, "label": names.of(*id), "pages": n}));
            let domains = domains.iter().map(|(domain, n)| json!({"domain": domain, "pages": n}));
            let object = json!({
                "schema": "windrow.domains/1",
                "clusters": clusters.collect::<Vec<_>>(),
                "domains": domains.collect::<Vec<_>>(),
                "counts": counts,
                "other_clusters": other_clusters,
                "other_domains": other_domains,
                "other": other,
                "total": total,
            });
            answer_json(StatusCode::OK, &object)
        }
    }
}

fn domains_csv(table: &DomainTable, names: &Names<'_>) -> Response {
    let heads = table.clusters.iter().map(|(id, _)| format!("{id} {}", names.of(*id)));
    let columns: Vec<String> =
        ["domain", "pages"].map(str::to_owned).into_iter().chain(heads).chain(["other".to_owned()]).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let row = |name: &str, pages: u64, counts: &[u64], other: u64| -> Vec<Value> {
        [json!(name), json!(pages)].into_iter().chain(counts.iter().chain([&other]).map(|n| json!(n))).collect()
    };
    let rows = table.domains.iter().zip(&table.counts).zip(&table.other_clusters);
    let rows = rows.map(|(((domain, pages), counts), other)| row(domain, *pages, counts, *other));
    let rest = table.other_domains.iter().sum::<u64>() + table.other;
    csv(&columns, rows.chain([row("other", rest, &table.other_domains, table.other)]))
}

/// What clusters are called, also dead ones as long as they are remembered.
pub(super) struct Names<'v> {
    labels: BTreeMap<ClusterId, (&'v str, bool)>,
}

/// The names in a view.
pub(super) fn names(view: &View) -> Names<'_> {
    let dead = view.dead.iter().map(|cluster| (cluster.cluster, (cluster.label.as_str(), false)));
    let alive = view.clusters.iter().map(|cluster| (cluster.cluster, (cluster.label.as_str(), true)));
    Names { labels: dead.chain(alive).collect() }
}

impl Names<'_> {
    /// Its label; empty when nobody remembers it.
    pub(super) fn of(&self, cluster: ClusterId) -> &str {
        self.labels.get(&cluster).map_or("", |(label, _)| label)
    }

    /// Whether it is alive.
    pub(super) fn lives(&self, cluster: ClusterId) -> bool {
        self.labels.get(&cluster).is_some_and(|(_, lives)| *lives)
    }
}
