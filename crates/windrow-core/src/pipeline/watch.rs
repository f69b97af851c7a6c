//! The watch: what is looked at beside learning, page by page. Two parts: [`drift`] tells when a cluster is not what it was, [`seen`] knows the templates of
//! addresses and which pages are copies of each other.
//!
//! It follows from the pages, the decisions and the lineage alone, and lies in the snapshot. It changes no decision, but for the term that a
//! template may be (`features.template`). A pipeline that an older program began is watched from a position of its order on; up to there its
//! snapshots are what they were.

mod drift;
mod seen;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::book::{Entry, Example};
use crate::cluster::{ClusterId, Decision};
use crate::lineage::LineageEvent;
use crate::record::Pages;
use crate::snapshot::SnapshotError;
use drift::Drift;
use seen::Seen;

pub use drift::{Gauge, MOST_FALSE_ALARMS, Standing};
pub use seen::{Copied, CopiesView, Pattern, RepeatedPage};

/// How a pipeline is watched. It belongs to the state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WatchSettings {
    /// False alarms that are expected in a million pages, of all clusters and measures together; 0 for no alarms.
    pub false_alarms: f64,
    /// Pages learnt before it began.
    #[serde(default)]
    pub from: u64,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self { false_alarms: 1.0, from: 0 }
    }
}

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Position of the first page that is looked at.
    from: u64,
    /// None where no alarms are wanted.
    drift: Option<Drift>,
    seen: Seen,
}

/// In snapshots. Field order is the format.
#[derive(Serialize, Deserialize)]
pub(super) struct State<'a> {
    from: u64,
    drift: Option<Cow<'a, Drift>>,
    seen: seen::State<'a>,
}

impl Watch {
    /// One that has seen nothing.
    pub(super) fn new(settings: WatchSettings) -> Self {
        Self { from: settings.from, drift: Drift::new(settings.false_alarms), seen: Seen::default() }
    }

    /// Whether a snapshot at this position has it. Up to where it begins nothing is known of it, and snapshots are those of older programs.
    pub(super) fn is_written(&self, position: u64) -> bool {
        position > self.from
    }

    /// Looks at the addresses of a batch, in order, before its pages are decided. Gives the batch with their templates as terms, if these have a weight.
    pub(super) fn read<'a>(&mut self, pages: &'a Pages, position: u64) -> Cow<'a, Pages> {
        let before = usize::try_from(self.from.saturating_sub(position)).unwrap_or(usize::MAX);
        self.seen.read(pages, before)
    }

    /// Pages that are not learnt with their templates as terms, if these have a weight, as they would be now.
    pub(super) fn look<'a>(&self, pages: &'a Pages) -> Cow<'a, Pages> {
        self.seen.look(pages)
    }

    /// Looks at a page of the batch that was read, as it was decided. What it finds goes to the log.
    #[inline]
    pub(super) fn see(&mut self, decision: &Decision, position: u64, pages: &Pages, row: usize, log: &mut Vec<LineageEvent>) {
        if position < self.from {
            return;
        }
        self.seen.see(decision, position, pages, row);
        if let Some(drift) = &mut self.drift {
            drift.see(decision, position, Some((pages, row)), log);
        }
    }

    /// Counts a page of which nothing is known but its site and its copy.
    pub(super) fn count_unseen(
        &mut self,
        decision: &Decision,
        position: u64,
        (site, copy): (u64, u64),
        log: &mut Vec<LineageEvent>,
    ) {
        if position < self.from {
            return;
        }
        self.seen.count_unseen(decision, position, site, copy);
        if let Some(drift) = &mut self.drift {
            drift.see(decision, position, None, log);
        }
    }

    /// Takes the texts of the latest pages out of a batch.
    pub(super) fn settle(&mut self, decisions: &[Decision], pages: &Pages) {
        self.seen.settle(decisions, pages);
    }

    /// Lets the scores of examples fade.
    pub(super) fn age(&mut self) {
        self.seen.age();
    }

    /// Takes note of what happened to clusters.
    pub(super) fn note(&mut self, event: &LineageEvent) {
        self.seen.note(event);
        if let Some(drift) = &mut self.drift {
            drift.note(event);
        }
    }

    /// Has the places forgotten that templates are learnt at.
    #[cfg(test)]
    pub(super) fn forget_places(&mut self) {
        self.seen.forget_places();
    }

    /// How a cluster stands beside its own past; none where no alarms are wanted.
    pub(super) fn standing(&self, cluster: ClusterId) -> Option<Standing> {
        self.drift.as_ref()?.standing(cluster)
    }

    /// The most frequent templates of a cluster.
    pub(super) fn patterns(&self, cluster: ClusterId) -> Vec<Pattern> {
        self.seen.patterns(cluster)
    }

    /// Copies among a cluster's pages.
    pub(super) fn copies(&self, cluster: ClusterId) -> CopiesView {
        self.seen.copies(cluster)
    }

    /// Examples of a cluster with the copies there are: representative, boundary, latest (oldest first). Those of the book where none are known,
    /// as in states of programs that did not watch.
    pub(super) fn examples(&self, cluster: ClusterId, book: &Entry) -> [Vec<Example>; 3] {
        self.seen.examples(cluster, book)
    }

    pub(super) fn state(&self) -> State<'_> {
        State { from: self.from, drift: self.drift.as_ref().map(Cow::Borrowed), seen: self.seen.state() }
    }

    /// Refuses what cannot be gone on with.
    pub(super) fn restore(state: State<'_>, n_slots: u32) -> Result<Self, SnapshotError> {
        let State { from, drift, seen } = state;
        let drift = drift.map(|drift| drift.into_owned().check(n_slots)).transpose()?;
        Ok(Self { from, drift, seen: Seen::restore(seen)? })
    }
}

#[cfg(test)]
mod tests;
