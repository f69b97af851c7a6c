//! OBSERVE: counters and the plain data that others read of a running loop.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windrow_core::lineage::LineageEvent;
use windrow_core::pipeline::Pipeline;
use windrow_core::record::RejectReason;

/// Counts of rows; rows = pages + rejects, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Rows read.
    pub rows: u64,
    /// Pages learnt.
    pub pages: u64,
    /// Rejects, by reason, in the order of [`RejectReason::ALL`].
    pub rejects: [u64; RejectReason::ALL.len()],
    /// Pages that opened a micro-cluster.
    pub novel: u64,
}

impl Counters {
    /// Rejects of all reasons.
    pub fn n_rejects(&self) -> u64 {
        self.rejects.iter().sum()
    }
}

/// The loop after a batch.
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
    /// What happened to clusters in this batch.
    pub lineage: &'a [LineageEvent],
    /// The pipeline as it stands, for observers that want the view or the summary (from time to time: they walk the model).
    pub pipeline: &'a Pipeline,
    /// Time since the run began.
    pub elapsed: Duration,
}
