//! Counters for Prometheus, in OpenMetrics' text form. Labels are bounded: a cluster by its id, and only the largest.

use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use windrow_core::record::RejectReason;

use super::api::At;
use super::board::{Known, Standing};
use super::table::answer;
use crate::progress::memory;

/// Clusters that have numbers of their own; the others are added up.
const CLUSTERS: usize = 50;
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, String); 1];

pub(super) async fn metrics(State(shared): At) -> Response {
    let mut text = String::new();
    // Into a text nothing fails.
    let _ = encode(&mut text, &registry(&shared.board.read(), shared.feeds.open()));
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

fn registry(known: &Known, streams: usize) -> Registry {
    let mut all = Registry::with_prefix("windrow");
    let (counters, view) = (&known.counters, &known.view);
    all.register("build", "Version of the program", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    all.register(
        "running",
        "Whether a process works on the pipeline",
        gauge(u64::from(matches!(known.standing, Standing::Running { .. }))),
    );
    all.register("commit", "Last commit", gauge(known.epoch.unwrap_or(0)));
    let at = known.committed_at.unwrap_or(0) / 1_000_000;
    all.register_with_unit("commit_time", "When that was, since 1970", Unit::Seconds, gauge(at.cast_unsigned()));
    all.register("rows", "Rows read", counter(counters.rows));
    all.register("pages", "Pages learnt", counter(counters.pages));
    all.register("novel_pages", "Pages that opened a theme", counter(counters.novel));
    all.register("clusters", "Clusters alive", gauge(view.clusters.len() as u64));
    all.register("micro_clusters", "Themes alive", gauge(view.micro_clusters));
    all.register("terms", "Distinct terms remembered", gauge(view.terms));
    all.register("committed_rows", "Rows of these that are committed", gauge(known.committed_rows));
    all.register("waiting", "Whether the run waits for something", gauge(u64::from(known.waits.is_some())));
    all.register("streams", "Streams of events and pages that are open", gauge(streams as u64));
    if let Some(memory) = known.is_live.then(memory).flatten() {
        all.register_with_unit("memory", "Memory of the process", Unit::Bytes, gauge(memory.now));
    }
    let rejects = Family::<Label, Counter>::default();
    for (reason, count) in RejectReason::ALL.iter().zip(counters.rejects) {
        rejects.get_or_create(&[("reason", reason.code().to_owned())]).inc_by(count);
    }
    all.register("rejects", "Rows that became no page, by reason", rejects);
    let delivered = Family::<Label, Counter>::default();
    let mut largest: Vec<_> = view.clusters.iter().map(|cluster| (cluster.delivered, cluster.cluster)).collect();
    largest.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut others = counters.pages;
    for (pages, cluster) in largest.into_iter().take(CLUSTERS) {
        delivered.get_or_create(&[("cluster", cluster.to_string())]).inc_by(pages);
        others = others.saturating_sub(pages);
    }
    // Also those of clusters that have died: the sum is that of all pages.
    delivered.get_or_create(&[("cluster", "other".to_owned())]).inc_by(others);
    all.register("delivered_pages", "Pages given to a cluster at their arrival", delivered);
    all
}
