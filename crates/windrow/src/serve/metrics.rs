//! Counters for Prometheus, in OpenMetrics' text form. Labels are bounded: a cluster by its id, and only the largest.

use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use windrow_core::record::RejectReason;
use windrow_engine::clock::{Clock as _, SystemClock};
use windrow_engine::observe::{COMMIT_SECONDS, CommitTimes};

use super::Shared;
use super::api::At;
use super::board::{Known, Standing};
use super::table::answer;
use crate::progress::memory;

/// Clusters that have numbers of their own; the others are added up.
const CLUSTERS: usize = 50;
/// Sources whose positions are told: the newest, since older files have been read through.
const SOURCES: usize = 50;
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, String); 1];

pub(super) async fn metrics(State(shared): At) -> Response {
    let mut text = String::new();
    // Into a text nothing fails.
    let _ = encode(&mut text, &registry(&shared));
    answer(StatusCode::OK, KIND, text)
}

fn counter(n: u64) -> Counter {
    let counter: Counter<u64, AtomicU64> = Counter::default();
    counter.inc_by(n);
    counter
}

fn gauge(n: u64) -> Gauge {
    let gauge: Gauge = Gauge::default();
    gauge.set(n.cast_signed());
    gauge
}

fn seconds(n: f64) -> Gauge<f64, AtomicU64> {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(n);
    gauge
}

/// Commits by their time, as they were counted where they were made.
#[derive(Debug)]
struct Commits(CommitTimes);

impl EncodeMetric for Commits {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let bounds = COMMIT_SECONDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.0.counts).collect();
        encoder.encode_histogram::<NoLabelSet>(self.0.seconds, self.0.counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn registry(shared: &Shared) -> Registry {
    let mut all = Registry::with_prefix("windrow");
    let known = shared.board.read();
    all.register("build", "Version of the program", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    of_pipeline(&mut all, &known);
    of_commits(&mut all, &known);
    all.register("streams", "Streams of events and pages that are open", gauge(shared.feeds.open() as u64));
    all.register(
        "event_clients",
        "Those of them that are of events: pages that somebody looks at",
        gauge(shared.frames.clients()),
    );
    if let Some(memory) = known.is_live.then(memory).flatten() {
        all.register_with_unit("memory", "Memory of the process", Unit::Bytes, gauge(memory.now));
    }
    if let Some(budget) = known.memory_budget {
        all.register_with_unit("memory_budget", "Memory that the run may take", Unit::Bytes, gauge(budget));
    }
    by_label(&mut all, &known);
    all
}

fn of_pipeline(all: &mut Registry, known: &Known) {
    let (counters, view) = (&known.counters, &known.view);
    let runs = matches!(known.standing, Standing::Running { .. });
    all.register("running", "Whether a process works on the pipeline", gauge(u64::from(runs)));
    all.register("waiting", "Whether the run waits for something", gauge(u64::from(known.waits.is_some())));
    all.register("rows", "Rows read", counter(counters.rows));
    all.register("pages", "Pages learnt", counter(counters.pages));
    all.register_with_unit("read", "Bytes of files read, decompressed", Unit::Bytes, counter(known.read.bytes));
    all.register("duplicate_pages", "Pages whose texts stood among the last ones", counter(counters.duplicates));
    all.register("novel_pages", "Pages that opened a theme", counter(counters.novel));
    all.register("drift_alarms", "Alarms about drift", counter(counters.alarms));
    all.register("clusters", "Clusters alive", gauge(view.clusters.len() as u64));
    all.register("micro_clusters", "Themes alive", gauge(view.micro_clusters));
    all.register("terms", "Distinct terms remembered", gauge(view.terms));
    if let Some(lag) = known.lag {
        all.register("lag_records", "Offsets of the topic that are not read yet", gauge(lag.records));
        if let Some(age) = lag.seconds {
            all.register_with_unit("lag", "Age of the oldest message that is not read yet", Unit::Seconds, seconds(age));
        }
    }
}

fn of_commits(all: &mut Registry, known: &Known) {
    all.register("commit", "Last commit", gauge(known.epoch.unwrap_or(0)));
    let at = known.committed_at.unwrap_or(0);
    all.register_with_unit("commit_time", "When that was, since 1970", Unit::Seconds, gauge((at / 1_000_000).cast_unsigned()));
    if known.committed_at.is_some() {
        let age = SystemClock::new().now().saturating_sub(at).max(0) as f64 / 1e6;
        all.register_with_unit("commit_age", "Time since it", Unit::Seconds, seconds(age));
    }
    all.register("committed_rows", "Rows that are committed", gauge(known.committed_rows));
    if known.is_live {
        let times = Commits(known.commits.clone());
        all.register_with_unit("commit", "Time that commits of the run took", Unit::Seconds, times);
    }
}

/// Counts with a label of bounded values.
fn by_label(all: &mut Registry, known: &Known) {
    let (counters, view) = (&known.counters, &known.view);
    let rejects = Family::<Label, Counter>::default();
    for (reason, count) in RejectReason::ALL.iter().zip(counters.rejects) {
        rejects.get_or_create(&[("reason", reason.code().to_owned())]).inc_by(count);
    }
    all.register("rejects", "Rows that became no page, by reason", rejects);
    let positions = Family::<Label, Gauge>::default();
    for (source, offset) in known.read.offsets.iter().enumerate().rev().take(SOURCES) {
        positions.get_or_create(&[("source", source.to_string())]).set(offset.cast_signed());
    }
    all.register("source_position", "How far a source was read: bytes of a file, offset of a partition", positions);
    let delivered = Family::<Label, Counter>::default();
    let mut largest: Vec<_> = view.clusters.iter().map(|cluster| (cluster.delivered, cluster.cluster)).collect();
    largest.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    // Of one moment, so that they add up.
    let mut others = view.pages;
    for (pages, cluster) in largest.into_iter().take(CLUSTERS) {
        delivered.get_or_create(&[("cluster", cluster.to_string())]).inc_by(pages);
        others = others.saturating_sub(pages);
    }
    // No counter: a cluster that grows large, or into a place that is free, takes its pages away from here.
    all.register("other_delivered_pages", "Pages given to clusters that have no number here, dead ones too", gauge(others));
    all.register("delivered_pages", "Pages given to a cluster at their arrival", delivered);
}
