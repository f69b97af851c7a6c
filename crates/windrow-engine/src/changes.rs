//! Changes: what a stretch of time brought beside the one before it, of the published Parquet.
//!
//! ```text
//! newest time ──> two periods, one behind the other ──> each page: earlier, before, now
//!    by cluster: counts, labels, domains, best titles ──> grown, shrunk, renamed
//!    lineage: births, ends, what users did            ──> new, gone, edited
//! ```
//!
//! A page counts for the cluster that it was delivered to, or for the one that stands for it since a user had it taken in. A cluster is told
//! when its share of the pages changed by half and chance does not explain it: the likelihood ratio G² = 2 Σ O ln(O / E) of the two counts and
//! the two rests (Dunning 1993, "Accurate methods for the statistics of surprise and coincidence") is above 10.83, which chance reaches once in
//! a thousand times.

mod lives;
mod period;
mod tally;

use windrow_core::cluster::ClusterId;

use crate::alarms::{self, Raised};
use crate::checkpoint::Committed;
use crate::error::Result;

pub use lives::{Act, Deed};
use lives::{Life, Lives};
pub use period::{Period, Since};
use period::{Periods, Side};
use tally::{Seen, Tally};

/// What G² exceeds once in a thousand times by chance (χ² with one degree of freedom).
const SURPRISE: f64 = 10.83;
/// A share has changed when it is so many times as large, or as small.
const TIMES: f64 = 1.5;
/// Fewer pages than this make no change that is told.
const LEAST: u64 = 3;
/// Labels with fewer of their terms in common, of all that either has, are other labels.
const ALIKE: f64 = 0.5;
/// New domains told of a cluster.
const DOMAINS: usize = 5;

/// What became of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It was born, and has its first pages.
    New,
    /// A larger share of the pages than before.
    Grown,
    /// A smaller one.
    Shrunk,
    /// A smaller one, and it has ended.
    Gone,
    /// Another label, and nothing else.
    Renamed,
    /// A user did something to it, and nothing else changed.
    Edited,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [Self::New, Self::Grown, Self::Shrunk, Self::Gone, Self::Renamed, Self::Edited];

    /// Its name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Grown => "grown",
            Self::Shrunk => "shrunk",
            Self::Gone => "gone",
            Self::Renamed => "renamed",
            Self::Edited => "edited",
        }
    }
}

/// A cluster that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What became of it.
    pub kind: Kind,
    /// The cluster.
    pub cluster: ClusterId,
    /// Its last label.
    pub label: String,
    /// Its last label before, if it was another one.
    pub was: Option<String>,
    /// Pages before both periods.
    pub earlier: u64,
    /// Pages in the period before, and now.
    pub pages: [u64; 2],
    /// Their shares of all pages of the period.
    pub share: [f64; 2],
    /// Domains that it never had before, with their pages, most first; at most five.
    pub new_domains: Vec<(String, u64)>,
    /// How many there are.
    pub n_new_domains: u64,
    /// Whether it has ended by now.
    pub has_ended: bool,
    /// What users did to it now.
    pub acts: Vec<Act>,
    /// Titles of the pages most like their themes: of now, and where there are none of before.
    pub titles: Vec<String>,
}

/// A cluster that drifted: an alarm that was raised in the period now.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// The alarm.
    pub raised: Raised,
    /// The cluster's last label by then.
    pub label: String,
}

/// What changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// The period before, and now.
    pub periods: [Period; 2],
    /// Pages in them.
    pub pages: [u64; 2],
    /// Clusters with pages in them.
    pub clusters: [u64; 2],
    /// Pages without a time, which are in neither; none where periods are commits.
    pub without_time: u64,
    /// By kind, those with the most pages first.
    pub changes: Vec<Change>,
    /// Alarms, in their order.
    pub drifts: Vec<Drift>,
}

/// What changed since then, until `until` or now; none where nothing was published.
///
/// # Errors
/// `E-OUTPUT-READ`: a file cannot be read.
pub fn changes(committed: &Committed, since: Since, until: Option<i64>) -> Result<Option<Changes>> {
    let files = tally::files(committed)?;
    let Some(periods) = Periods::find(committed, &files, since, until)? else { return Ok(None) };
    let mut tally = Tally::new(Lives::read(committed)?, alarms::all(committed)?);
    for file in &files {
        tally.read(committed, file, &periods)?;
    }
    tally.settle(&periods);
    Ok(Some(told(tally, periods)))
}

fn told(mut tally: Tally, periods: Periods) -> Changes {
    let pages = [0, 1].map(|side| tally.clusters.values().map(|seen| seen.pages[side]).sum::<u64>());
    let clusters = [0, 1].map(|side| tally.clusters.values().filter(|seen| seen.pages[side] > 0).count() as u64);
    for cluster in tally.lives.by_hand() {
        tally.clusters.entry(cluster).or_default();
    }
    let mut changes = Vec::new();
    for (cluster, seen) in tally.clusters {
        changes.extend(change(cluster, seen, &tally.lives.take(cluster), pages));
    }
    let weight = |change: &Change| change.pages.into_iter().max();
    changes.sort_by(|a, b| a.kind.cmp(&b.kind).then(weight(b).cmp(&weight(a))).then(a.cluster.cmp(&b.cluster)));
    let (without_time, drifts) = (tally.without_time, tally.drifts);
    Changes { periods: periods.shown(), pages, clusters, without_time, changes, drifts }
}

/// What became of a cluster, if it is to be told.
fn change(cluster: ClusterId, seen: Seen, life: &Life, all: [u64; 2]) -> Option<Change> {
    let share = [0, 1].map(|side| seen.pages[side] as f64 / all[side].max(1) as f64);
    let is_named = life.has(Deed::Renamed) || life.has(Deed::Unnamed);
    let [before, now] = &seen.labels;
    let label = life.label().filter(|_| is_named).or(now.as_deref()).or(before.as_deref()).or(life.label()).unwrap_or_default();
    let was = if is_named { &life.was } else { before };
    let was = was.clone().filter(|was| was != label && (is_named || now.is_some()));
    let kind = kind(&seen, life, all, share, is_named, was.as_deref())?;
    let label = label.to_owned();
    let mut new_domains: Vec<(String, u64)> = seen.new_domains.into_iter().collect();
    new_domains.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let n_new_domains = new_domains.len() as u64;
    new_domains.truncate(DOMAINS);
    let [before, now] = seen.titles;
    let titles = if seen.pages[1] > 0 { now } else { before }.into_titles();
    let (has_ended, acts) = (life.has_ended, life.acts());
    let Seen { earlier, pages, .. } = seen;
    Some(Change { kind, cluster, label, was, earlier, pages, share, new_domains, n_new_domains, has_ended, acts, titles })
}

/// Chance decides whether the pages of a cluster are told; whether it is new or has ended, the lineage.
fn kind(seen: &Seen, life: &Life, all: [u64; 2], share: [f64; 2], is_named: bool, was: Option<&str>) -> Option<Kind> {
    let [before, now] = seen.pages;
    let is_parted = life.has(Deed::SplitFrom) || life.has(Deed::StandsFor);
    let is_first = before == 0 && seen.earlier == 0 && life.born == Some(Side::Now) && !is_parted;
    let is_beside_nothing = all[0] == 0 && is_first;
    if before.max(now) >= LEAST && (surprise([before, now], all) > SURPRISE || is_beside_nothing) {
        let is_more = share[1] >= share[0] * TIMES;
        let is_less = share[0] >= share[1] * TIMES;
        // What a user parted from another cluster has its first pages because of that.
        if is_more && !(is_parted && before == 0) {
            return Some(if is_first { Kind::New } else { Kind::Grown });
        }
        if is_less {
            return Some(if life.has_ended { Kind::Gone } else { Kind::Shrunk });
        }
    }
    let is_other = |was: &str| seen.labels[1].as_deref().is_some_and(|is| alike(was, is) < ALIKE);
    let is_renamed = was.is_some_and(|was| is_named || before.min(now) >= LEAST && is_other(was));
    if is_renamed {
        return Some(Kind::Renamed);
    }
    (!life.acts().is_empty()).then_some(Kind::Edited)
}

/// G² of two counts among all of their periods.
fn surprise(count: [u64; 2], all: [u64; 2]) -> f64 {
    let total = (all[0] + all[1]) as f64;
    let both = (count[0] + count[1]) as f64;
    let term = |observed: f64, expected: f64| if observed > 0.0 { observed * (observed / expected).ln() } else { 0.0 };
    let side = |at: usize| {
        let (observed, all) = (count[at] as f64, all[at] as f64);
        term(observed, both * all / total) + term(all - observed, (total - both) * all / total)
    };
    2.0 * (side(0) + side(1))
}

/// Share of the terms of two labels that both have.
fn alike(a: &str, b: &str) -> f64 {
    let terms = |label: &str| label.split(", ").map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (a, b) = (terms(a), terms(b));
    a.intersection(&b).count() as f64 / a.union(&b).count().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_no_surprise() {
        assert!(surprise([10, 12], [1_000, 1_000]) < 1.0);
        assert!(surprise([10, 40], [1_000, 1_000]) > SURPRISE);
        assert!(surprise([10, 40], [1_000, 4_000]) < 0.1, "as many as the longer period makes likely");
        assert!(surprise([0, 8], [1_000, 1_000]) > SURPRISE);
        assert!((surprise([10, 20], [100, 100]) - 3.9865).abs() < 0.001, "by hand");
        assert_eq!(surprise([0, 0], [0, 0]).to_bits() << 1, 0, "nothing of nothing");
    }

    #[test]
    fn labels_are_other_ones_when_most_terms_are() {
        assert!(alike("a, b, c", "a, b, d") >= ALIKE);
        assert!(alike("a, b, c", "d, e, c") < ALIKE);
    }
}
