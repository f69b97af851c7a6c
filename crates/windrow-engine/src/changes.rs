//! Changes: what a stretch of time brought beside the one before it, of the published Parquet.
//!
//! ```text
//! newest time ──> two periods, one behind the other ──> each page: earlier, before, now
//!    by cluster: counts, labels, domains, best titles ──> new, gone, grown, shrunk, renamed
//! ```
//!
//! A page counts for the cluster that it was delivered to. Clusters have grown or shrunk when their share of the pages changed by half and
//! chance does not explain it: the likelihood ratio G² = 2 Σ O ln(O / E) of the two counts and the two rests (Dunning 1993,
//! "Accurate methods for the statistics of surprise and coincidence") is above 10.83, which chance reaches once in a thousand times.

mod period;
mod tally;

use windrow_core::cluster::ClusterId;

use crate::alarms::{self, Raised};
use crate::checkpoint::Committed;
use crate::error::Result;

use period::Periods;
pub use period::{Period, Since};
use tally::Tally;

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
    /// Its first pages ever.
    New,
    /// A larger share of the pages than before.
    Grown,
    /// A smaller one.
    Shrunk,
    /// No page any more.
    Gone,
    /// Another label, and nothing else.
    Renamed,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::New, Self::Grown, Self::Shrunk, Self::Gone, Self::Renamed];

    /// Its name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Grown => "grown",
            Self::Shrunk => "shrunk",
            Self::Gone => "gone",
            Self::Renamed => "renamed",
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
    /// Pages in the period before, and now.
    pub pages: [u64; 2],
    /// Their shares of all pages of the period.
    pub share: [f64; 2],
    /// Domains that it never had before, with their pages, most first; at most five.
    pub new_domains: Vec<(String, u64)>,
    /// How many there are.
    pub n_new_domains: u64,
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
    let mut tally = Tally::new(alarms::all(committed)?);
    for file in &files {
        tally.read(committed, file, &periods)?;
    }
    tally.forget_known();
    Ok(Some(told(tally, periods)))
}

fn told(tally: Tally, periods: Periods) -> Changes {
    let pages = [0, 1].map(|side| tally.clusters.values().map(|seen| seen.pages[side]).sum::<u64>());
    let clusters = [0, 1].map(|side| tally.clusters.values().filter(|seen| seen.pages[side] > 0).count() as u64);
    let share = |count: u64, side: usize| count as f64 / pages[side].max(1) as f64;
    let mut changes = Vec::new();
    for (cluster, seen) in tally.clusters {
        let share = [share(seen.pages[0], 0), share(seen.pages[1], 1)];
        let was = seen.labels[0].clone().filter(|was| seen.labels[1].as_ref().is_some_and(|now| now != was));
        let Some(kind) = kind(&seen, pages, share, was.as_deref()) else { continue };
        let [before, now] = seen.titles;
        let [label_before, label_now] = seen.labels;
        let mut new_domains: Vec<(String, u64)> = seen.new_domains.into_iter().collect();
        new_domains.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let n_new_domains = new_domains.len() as u64;
        new_domains.truncate(DOMAINS);
        changes.push(Change {
            kind,
            cluster,
            label: label_now.or(label_before).unwrap_or_default(),
            was,
            pages: seen.pages,
            share,
            new_domains,
            n_new_domains,
            titles: if kind == Kind::Gone { before.into_titles() } else { now.into_titles() },
        });
    }
    let weight = |change: &Change| if change.kind == Kind::Gone { change.pages[0] } else { change.pages[1] };
    changes.sort_by(|a, b| a.kind.cmp(&b.kind).then(weight(b).cmp(&weight(a))).then(a.cluster.cmp(&b.cluster)));
    let (without_time, drifts) = (tally.without_time, tally.drifts);
    Changes { periods: periods.shown(), pages, clusters, without_time, changes, drifts }
}

fn kind(seen: &tally::Seen, all: [u64; 2], share: [f64; 2], was: Option<&str>) -> Option<Kind> {
    let [before, now] = seen.pages;
    let changed = before.max(now) >= LEAST && surprise([before, now], all) > SURPRISE;
    if now >= LEAST && before == 0 && seen.earlier == 0 {
        return Some(Kind::New);
    }
    if before >= LEAST && now == 0 {
        return Some(Kind::Gone);
    }
    if changed && share[1] >= share[0] * TIMES {
        return Some(Kind::Grown);
    }
    if changed && share[0] >= share[1] * TIMES {
        return Some(Kind::Shrunk);
    }
    let is_other = was.zip(seen.labels[1].as_deref()).is_some_and(|(was, is)| alike(was, is) < ALIKE);
    (is_other && before.min(now) >= LEAST).then_some(Kind::Renamed)
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
