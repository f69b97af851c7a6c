//! The loop: read -> learn -> write -> commit -> observe, on one thread.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use windrow_core::cluster::ModelSettings;
use windrow_core::featurize::FieldWeights;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::observe::{Counters, Progress};

/// What a run is to do: everything that the engine needs to know, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Files, globs, directories, or `generator:…`.
    pub inputs: Vec<String>,
    /// What the inputs call our columns, where they differ: `url=landing_page,title=name`.
    pub columns: String,
    /// Bytes of the longest record; a longer one is a reject.
    pub max_record_bytes: u64,
    /// Folder of the outputs.
    pub out: PathBuf,
    /// Folder of the state; `OUT/.windrow` when none is given.
    pub state: Option<PathBuf>,
    /// Settings of the model; they need new state.
    pub model: ModelSettings,
    /// Weights of the fields; they need new state.
    pub weights: FieldWeights,
    /// Threads that parse and prepare, at least 1.
    pub threads: usize,
    /// When to roll.
    pub roll: Roll,
    /// Memory that rows in flight may take.
    pub memory_bytes: u64,
    /// Whether inputs that have nothing to do with the known ones are welcome (`--new`).
    pub accept_new: bool,
}

/// When Parquet files, model snapshot and manifest become visible together: whatever comes first, and at the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roll {
    /// Rows since the last roll.
    pub rows: u64,
    /// Bytes of Parquet since the last roll.
    pub bytes: u64,
    /// Time since the last roll.
    pub age: Duration,
}

impl Default for Roll {
    fn default() -> Self {
        Self { rows: u64::MAX, bytes: 128 << 20, age: Duration::from_secs(300) }
    }
}

/// How others speak to a running loop.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
}

impl Control {
    /// Asks the loop to roll and come back. Safe in a signal handler.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the loop was asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// Why a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The input was read through.
    EndOfInput,
    /// [`Control::stop`] was called; everything learnt is committed.
    Stopped,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Why it ended.
    pub ended: Ended,
    /// Counts of this run alone.
    pub run: Counters,
    /// Counts of the pipeline's whole life.
    pub total: Counters,
    /// Last committed epoch; 0 when nothing was ever committed.
    pub epoch: u64,
    /// What was noticed and need not stop the run: a snapshot passed over, hidden files dropped. One sentence each.
    pub notes: Vec<String>,
    /// Time that the run took.
    pub elapsed: Duration,
}

/// Runs the pipeline to the end of its input, or until it is told to stop. `observer` is called after every batch.
pub fn run(job: &Job, clock: &dyn Clock, control: &Control, observer: &mut dyn FnMut(&Progress<'_>)) -> Result<Summary> {
    let _ = (job, clock, control, observer);
    Err(Error::new(ErrorKind::Internal, "E-UNFINISHED", "the loop is not written yet"))
}
