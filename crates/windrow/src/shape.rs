//! Shapes of what we tell programs, the same from a verb as from the server: docs/reference/json.md.

use serde_json::{Value, json};
use windrow_core::kept::KeptTally;
use windrow_core::pipeline::{ClusterView, Copied, CopiesView, Example, Gauge, Standing, View};
use windrow_engine::alarms::Raised;

use crate::term::text::time;
use crate::told;

/// One cluster as the contract has it.
pub(crate) fn cluster_object(cluster: &ClusterView, view: &View, epoch: u64) -> Value {
    let kinds = [("representative", &cluster.representative), ("boundary", &cluster.boundary), ("latest", &cluster.latest)];
    let examples: Vec<Value> =
        kinds.into_iter().flat_map(|(kind, list)| list.iter().map(move |one| example(kind, one))).collect();
    json!({
        "schema": "windrow.cluster/1",
        "commit": epoch,
        "cluster": cluster.cluster,
        "slot": cluster.slot,
        "delivered": cluster.delivered,
        "now": cluster.now,
        "share": share(cluster, view),
        "label": cluster.label,
        "renamed": cluster.renamed,
        "pinned": cluster.pinned,
        "weight": cluster.weight,
        "micro_clusters": cluster.micro_clusters,
        "born": cluster.born,
        "latest_at": cluster.latest_at,
        "terms": cluster.terms.iter().map(|t| json!({"term": t.term, "kind": t.kind, "weight": t.weight})).collect::<Vec<_>>(),
        "domains": cluster.domains.iter().map(|(domain, pages)| json!({"domain": domain, "pages": pages})).collect::<Vec<_>>(),
        "patterns": cluster.patterns,
        "copies": copies(&cluster.copies),
        "languages": cluster.languages.iter().map(|(code, share)| json!({"language": code, "share": share})).collect::<Vec<_>>(),
        "examples": examples,
        "volume": cluster.volume,
        "kept": kept(&cluster.kept),
        "drift": cluster.drift.as_ref().map(|standing| drift(cluster, standing)),
    })
}

/// How a cluster stands beside its own past.
fn drift(cluster: &ClusterView, standing: &Standing) -> Value {
    let gauge = |gauge: &Gauge| {
        let measure = gauge.measure.code();
        json!({"measure": measure, "now": gauge.now, "usual": gauge.usual, "values": gauge.values})
    };
    let last = standing.last.map(|(position, alarm)| Raised { position, cluster: cluster.cluster, alarm });
    json!({
        "measures": standing.gauges.iter().map(gauge).collect::<Vec<_>>(),
        "alarms": standing.alarms,
        "last": last.map(|raised| told::alarm_object(&cluster.label, &raised)),
    })
}

/// What of a cluster changes with its pages, as above.
pub(crate) fn cluster_counts(cluster: &ClusterView, view: &View) -> Value {
    json!({
        "cluster": cluster.cluster,
        "delivered": cluster.delivered,
        "now": cluster.now,
        "share": share(cluster, view),
        "weight": cluster.weight,
        "micro_clusters": cluster.micro_clusters,
        "latest_at": cluster.latest_at,
        "kept": kept(&cluster.kept),
    })
}

/// What columns that are carried along come to. Sums are texts: programs that take numbers for binary fractions would lose digits.
fn kept(kept: &[KeptTally]) -> Value {
    let one = |KeptTally { name, tally }: &KeptTally| json!({"column": name, "sum": tally.sum.to_string(), "numbers": tally.numbers, "others": tally.others});
    kept.iter().map(one).collect()
}

/// A page as an example: nearest to its theme (`representative`), just belonging (`boundary`), or `latest`.
fn example(kind: &str, example: &Example) -> Value {
    json!({
        "kind": kind,
        "record_id": example.record_id.map(|id| id.to_string()),
        "title": example.title,
        "url": example.url,
        "score": example.score,
        "creation_time": example.creation_time.map(time),
        "copied": example.copied.as_ref().map(copied),
    })
}

/// How often a page came, and on how many hosts.
fn copied(copied: &Copied) -> Value {
    json!({"pages": copied.pages, "hosts": copied.hosts, "hosts_exact": copied.is_exact})
}

/// Copies among the pages of a cluster, and the pages that came most.
fn copies(copies: &CopiesView) -> Value {
    let repeated = copies.repeated.iter().map(|page| {
        let mut one = copied(&page.copied);
        one["title"] = page.example.title.as_str().into();
        one["url"] = page.example.url.as_str().into();
        one["record_id"] = page.example.record_id.map(|id| id.to_string()).into();
        one["first"] = page.first.into();
        one["last"] = page.last.into();
        one
    });
    json!({
        "pages": copies.pages,
        "copies": copies.copies,
        "share": copies.share(),
        "repeated": repeated.collect::<Vec<_>>(),
    })
}

fn share(cluster: &ClusterView, view: &View) -> f64 {
    cluster.delivered as f64 / view.pages.max(1) as f64
}

const CLUSTER_COLUMNS: &[&str] =
    &["cluster", "slot", "delivered", "now", "share", "micro_clusters", "label", "domain", "language", "example"];

/// Columns of a cluster where it is a line of a table: behind ours the sums of those that are carried along.
pub(crate) fn cluster_columns(view: &View) -> Vec<String> {
    let sums = view.kept.iter().map(|kept| format!("sum_{}", kept.name));
    CLUSTER_COLUMNS.iter().map(|name| (*name).to_owned()).chain(sums).collect()
}

/// A cluster as such a line.
pub(crate) fn cluster_cells(cluster: &ClusterView, view: &View) -> Vec<Value> {
    let domain = cluster.domains.first().map(|(domain, _)| domain.as_str());
    let language = cluster.languages.first().map(|(code, _)| code.as_str());
    let example = cluster.latest.first().map(|example| example.title.as_str());
    let mut cells: Vec<Value> = vec![
        cluster.cluster.into(),
        cluster.slot.into(),
        cluster.delivered.into(),
        cluster.now.into(),
        // Six places are enough for one page in a million.
        json!((share(cluster, view) * 1e6).round() / 1e6),
        cluster.micro_clusters.into(),
        cluster.label.as_str().into(),
        domain.unwrap_or_default().into(),
        language.unwrap_or_default().into(),
        example.unwrap_or_default().into(),
    ];
    cells.extend(cluster.kept.iter().map(|kept| kept.tally.sum.to_string().into()));
    cells
}
