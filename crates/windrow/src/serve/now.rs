//! The state in one object: how the pipeline stands, what it has done, and what has changed lately.

use serde_json::{Value, json};
use windrow_core::pipeline::{ClusterView, View};
use windrow_core::record::RejectReason;
use windrow_engine::alarms::Raised;

use super::Shared;
use super::board::{Known, Standing};
use crate::progress::memory;
use crate::term::text::time;
use crate::told;

/// Changes that are told.
const CHANGES: usize = 30;
/// The order in which clusters grow and shrink is cut into so many parts; the last is compared with the one before.
const PARTS: usize = 4;
/// A cluster has grown when its share is so many times as large, and shrunk when it was.
const TIMES: f64 = 1.5;
/// Pages that a part must have more, or fewer, before it is told.
const PAGES: f64 = 10.0;

/// The state as of a change.
pub(super) fn now_object(shared: &Shared, sequence: u64) -> Value {
    let known = shared.board.read();
    let counters = &known.counters;
    let reasons = RejectReason::ALL.iter().zip(counters.rejects).filter(|(_, count)| *count > 0);
    let reasons: serde_json::Map<_, _> = reasons.map(|(reason, count)| (reason.code().to_owned(), count.into())).collect();
    json!({
        "schema": "windrow.now/1",
        "version": env!("CARGO_PKG_VERSION"),
        "out": shared.out,
        "live": known.is_live,
        "sequence": sequence,
        "commit": known.epoch,
        "committed_at": known.committed_at.map(time),
        "committed_rows": known.committed_rows,
        "standing": standing(&known),
        "trouble": known.trouble,
        "waits": known.waits,
        "resume": known.resume,
        "topics": shared.topics,
        "rows": counters.rows,
        "rows_per_s": known.rows_per_s,
        "lag": known.lag.map(|lag| json!({"records": lag.records, "seconds": lag.seconds})),
        "pages": counters.pages,
        "rejects": counters.n_rejects(),
        "rejects_by_reason": reasons,
        "novel": counters.novel,
        "duplicates": counters.duplicates,
        "clusters": known.view.clusters.len(),
        "micro_clusters": known.view.micro_clusters,
        "terms": known.view.terms,
        "memory_bytes": known.is_live.then(memory).flatten().map(|memory| memory.now),
        "changes": changes(&known.view),
        "alarms": alarms(&known.view),
    })
}

fn standing(known: &Known) -> Value {
    match &known.standing {
        Standing::Running { pid, since } => json!({"is": "running", "pid": pid, "since": time(*since)}),
        Standing::Ended { at, reason, message } => {
            json!({"is": "ended", "at": time(*at), "reason": reason, "message": message})
        }
        other => json!({"is": other.word()}),
    }
}

/// What was born, died, grew or shrank in the newest part of the order that clusters remember, newest and most important first.
fn changes(view: &View) -> Vec<Value> {
    let parts: Vec<_> = view.clusters.iter().map(|cluster| lately(&cluster.volume)).collect();
    let (all_before, all_now) = parts.iter().fold((0.0, 0.0), |all, (before, now)| (all.0 + before, all.1 + now));
    let recent = recent(view);
    let mut found: Vec<(f64, Value)> = Vec::new();
    for (cluster, (before, now)) in view.clusters.iter().zip(parts) {
        // As many pages as there would be, were both parts equally long.
        let before = before * all_now / f64::max(all_before, 1.0);
        let kind = if cluster.born >= recent && cluster.born > 0 {
            "new"
        } else if now >= before * TIMES && now - before >= PAGES {
            "grown"
        } else if before >= now * TIMES && before - now >= PAGES {
            "shrunk"
        } else {
            continue;
        };
        let before = if kind == "new" { 0.0 } else { before.round() };
        found.push(((now - before).abs(), change(cluster.cluster, &cluster.label, kind, (before, now), cluster.latest_at)));
    }
    let gone = view.dead.iter().filter(|cluster| cluster.died >= recent);
    found.extend(gone.map(|cluster| {
        (
            cluster.delivered as f64,
            change(cluster.cluster, &cluster.label, "gone", (cluster.delivered as f64, 0.0), cluster.died),
        )
    }));
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().take(CHANGES).map(|(_, change)| change).collect()
}

/// Where the newest part of the order begins.
fn recent(view: &View) -> u64 {
    let n = view.clusters.iter().map(|cluster| cluster.volume.len()).max().unwrap_or(0);
    view.pages.saturating_sub(view.bucket_rows * part(n) as u64)
}

/// The last alarm of each cluster that had one in that part, newest first.
fn alarms(view: &View) -> Vec<Value> {
    let of = |cluster: &ClusterView| {
        let (position, alarm) = cluster.drift.as_ref()?.last?;
        Some((cluster.label.clone(), Raised { position, cluster: cluster.cluster, alarm }))
    };
    let mut found: Vec<(String, Raised)> = view.clusters.iter().filter_map(of).collect();
    found.retain(|(_, raised)| raised.position > recent(view));
    found.sort_by_key(|(_, raised)| (std::cmp::Reverse(raised.position), raised.cluster));
    found.iter().take(CHANGES).map(|(label, raised)| told::alarm_object(label, raised)).collect()
}

fn change(cluster: u32, label: &str, kind: &str, (before, now): (f64, f64), at: u64) -> Value {
    json!({"cluster": cluster, "label": label, "kind": kind, "before": before, "now": now, "at": at})
}

/// Buckets of a part.
fn part(n: usize) -> usize {
    (n / PARTS).max(1)
}

/// Pages of the part before the last one, and of the last one.
fn lately(volume: &[u32]) -> (f64, f64) {
    let size = part(volume.len());
    let sum = |range: &[u32]| range.iter().map(|pages| f64::from(*pages)).sum();
    let last = volume.len().saturating_sub(size);
    (sum(&volume[last.saturating_sub(size)..last]), sum(&volume[last..]))
}

#[cfg(test)]
mod tests {
    use windrow_core::lineage::{Alarm, Measure};
    use windrow_core::pipeline::Standing;

    use super::*;

    fn cluster(id: u32, born: u64, volume: &[u32]) -> ClusterView {
        ClusterView { cluster: id, born, volume: volume.to_vec(), ..ClusterView::default() }
    }

    #[test]
    fn what_was_born_grew_and_shrank_is_told_largest_first() {
        let clusters = vec![
            cluster(1, 0, &[100, 100, 100, 100]),
            cluster(2, 0, &[0, 0, 40, 200]),
            cluster(3, 0, &[0, 300, 200, 30]),
            cluster(4, 350, &[0, 0, 0, 9]),
        ];
        let view = View { pages: 400, bucket_rows: 100, clusters, ..View::default() };
        let told: Vec<_> = changes(&view).iter().map(|change| format!("{} {}", change["cluster"], change["kind"])).collect();
        assert_eq!(told, ["3 \"shrunk\"", "2 \"grown\"", "4 \"new\""]);
        assert!(changes(&View::default()).is_empty());
    }

    #[test]
    fn alarms_of_the_newest_part_are_told_newest_first() {
        let alarmed = |id: u32, position: Option<u64>| {
            let usual = [10.0, 20.0];
            let alarm = Alarm {
                measure: Measure::Volume,
                is_above: true,
                value: 40.0,
                usual,
                windows: 4,
                before: 50,
                odds: 1e5,
                since: 1,
            };
            let last = position.map(|position| (position, alarm));
            let drift = Some(Standing { last, ..Standing::default() });
            ClusterView { drift, ..cluster(id, 0, &[100, 100, 100, 100]) }
        };
        let clusters = [None, Some(310), Some(390), Some(200)];
        let clusters = (1..).zip(clusters).map(|(id, position)| alarmed(id, position)).collect();
        let view = View { pages: 400, bucket_rows: 100, clusters, ..View::default() };
        let told: Vec<_> = alarms(&view).iter().map(|alarm| alarm["cluster"].clone()).collect();
        assert_eq!(told, [3, 2]);
    }
}
