//! OBSERVE: counters and the plain data that others read of a running loop.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windrow_core::lineage::{Happening, LineageEvent};
use windrow_core::pipeline::{Outcome, Pipeline, Prepared};
use windrow_core::record::RejectReason;

use crate::run::Forecast;
use crate::source::Positions;

/// Counts of rows; rows = pages + rejects, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Rows read.
    pub rows: u64,
    /// Pages learnt.
    pub pages: u64,
    /// Rejects, by reason, in the order of [`RejectReason::ALL`]; by code in files.
    #[serde(with = "by_code")]
    pub rejects: [u64; RejectReason::ALL.len()],
    /// Pages that opened a micro-cluster.
    pub novel: u64,
    /// Pages whose texts stood among the last ones, where that is counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicates: u64,
    /// Alarms about drift.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alarms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Counters {
    /// Rejects of all reasons.
    pub fn n_rejects(&self) -> u64 {
        self.rejects.iter().sum()
    }

    /// What came since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            rows: self.rows - before.rows,
            pages: self.pages - before.pages,
            rejects: std::array::from_fn(|place| self.rejects[place] - before.rejects[place]),
            novel: self.novel - before.novel,
            duplicates: self.duplicates - before.duplicates,
            alarms: self.alarms - before.alarms,
        }
    }

    /// Counts a learnt batch.
    pub(crate) fn count(&mut self, prepared: &Prepared, outcome: &Outcome) {
        self.rows += prepared.n_rows;
        self.pages += prepared.pages.len() as u64;
        self.duplicates += prepared.n_duplicates;
        let is_alarm = |event: &&LineageEvent| matches!(event.happening, Happening::Drifted { .. });
        self.alarms += outcome.lineage.iter().filter(is_alarm).count() as u64;
        self.novel += outcome.decisions.iter().map(|decision| u64::from(decision.novel)).sum::<u64>();
        for reject in &prepared.rejects {
            self.rejects[reject.reason.place()] += 1;
        }
    }
}

/// Upper bounds of the times by which commits are counted, in seconds.
pub const COMMIT_SECONDS: [f64; 9] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// How long commits took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitTimes {
    /// How many, by [`COMMIT_SECONDS`]; the last are longer than all of them.
    pub counts: [u64; COMMIT_SECONDS.len() + 1],
    /// All together.
    pub seconds: f64,
}

impl CommitTimes {
    /// Counts one.
    pub(crate) fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.counts[COMMIT_SECONDS.partition_point(|bound| *bound < seconds)] += 1;
        self.seconds += seconds;
    }
}

/// Counts by reason code, so that a new reason does not spoil old files.
mod by_code {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use windrow_core::record::RejectReason;

    type Counts = [u64; RejectReason::ALL.len()];

    pub(super) fn serialize<S: Serializer>(counts: &Counts, serializer: S) -> Result<S::Ok, S::Error> {
        let by_code = RejectReason::ALL.iter().zip(counts).map(|(reason, count)| (reason.code(), *count));
        by_code.collect::<BTreeMap<_, _>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Counts, D::Error> {
        let by_code = BTreeMap::<String, u64>::deserialize(deserializer)?;
        Ok(RejectReason::ALL.map(|reason| by_code.get(reason.code()).copied().unwrap_or(0)))
    }
}

/// Who is told after every batch, and from time to time while none comes.
pub type Observer<'a> = dyn FnMut(&Progress<'_>) + 'a;

/// The loop after a batch, or while it waits for one.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Counts of this run alone.
    pub run: &'a Counters,
    /// Counts of the pipeline's whole life.
    pub total: &'a Counters,
    /// Last committed epoch.
    pub epoch: u64,
    /// Rows of the whole life that are committed: what stands beyond is not visible in the outputs yet.
    pub committed_rows: u64,
    /// How long commits took that closed files.
    pub commits: &'a CommitTimes,
    /// What happened to clusters in this batch.
    pub lineage: &'a [LineageEvent],
    /// The pipeline as it stands, for observers that want the view or the summary (from time to time: they walk the model).
    pub pipeline: &'a Pipeline,
    /// How far the sources were read, with this batch.
    pub positions: &'a Positions,
    /// Time since the run began.
    pub elapsed: Duration,
    /// What its rest will need, once that can be told.
    pub forecast: Option<Forecast>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_counts_below_the_first_bound_that_it_keeps() {
        let mut times = CommitTimes::default();
        [0, 10, 11, 100, 200_000].into_iter().for_each(|millis| times.add(Duration::from_millis(millis)));
        assert_eq!(times.counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert!((times.seconds - 200.121).abs() < 1e-9);
    }
}
