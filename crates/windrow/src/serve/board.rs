//! The board: what is known now. Whoever follows a pipeline posts, whoever is asked reads; a reader never holds anybody up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;
use windrow_core::pipeline::View;
use windrow_core::record::Micros;
use windrow_engine::clock::{Clock as _, SystemClock};
use windrow_engine::error::Error;
use windrow_engine::kafka::behind::Distance;
use windrow_engine::observe::{CommitTimes, Counters};
use windrow_engine::source::kafka::PREFIX;
use windrow_engine::source::{Positions, SourcePosition};

/// How a pipeline stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing was ever committed there.
    Waiting,
    /// A process works on it.
    Running {
        /// Its process id.
        pid: u32,
        /// When it took the lock.
        since: Micros,
    },
    /// The last run came to an end.
    Ended {
        /// When.
        at: Micros,
        /// `end_of_input`, `stopped`, `interrupted`, or the code of an error.
        reason: String,
        /// What the error said.
        message: Option<String>,
    },
    /// The last run was killed, or nobody knows.
    Gone,
}

impl Standing {
    /// Its word in JSON.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running { .. } => "running",
            Self::Ended { .. } => "ended",
            Self::Gone => "gone",
        }
    }
}

/// How far the sources were read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Read {
    /// Bytes of files, decompressed.
    pub(crate) bytes: u64,
    /// Offsets of the sources, by their numbers.
    pub(crate) offsets: Arc<[u64]>,
}

impl Read {
    pub(crate) fn of(positions: &Positions) -> Self {
        let is_file = |source: &&SourcePosition| !["generator:", PREFIX].iter().any(|other| source.name.starts_with(other));
        let bytes = positions.sources.iter().filter(is_file).map(|source| source.offset).sum();
        Self { bytes, offsets: positions.sources.iter().map(|source| source.offset).collect() }
    }
}

/// What is known.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// How the pipeline stands.
    pub(crate) standing: Standing,
    /// Last commit; none before the first.
    pub(crate) epoch: Option<u64>,
    /// When that was.
    pub(crate) committed_at: Option<Micros>,
    /// Rows that are committed.
    pub(crate) committed_rows: u64,
    /// Clusters.
    pub(crate) view: Arc<View>,
    /// Rows, pages, rejects.
    pub(crate) counters: Counters,
    /// Whether view and counters are those of a run as it goes, and not of its last commit.
    pub(crate) is_live: bool,
    /// Rows a second, while a run goes and this process sees it.
    pub(crate) rows_per_s: Option<f64>,
    /// How far a run that this process sees is behind the topic that it reads; none when the brokers do not answer.
    pub(crate) lag: Option<Distance>,
    /// How far the sources were read.
    pub(crate) read: Read,
    /// How long its commits took.
    pub(crate) commits: CommitTimes,
    /// The memory that it may take.
    pub(crate) memory_budget: Option<u64>,
    /// What a run waits for.
    pub(crate) waits: Option<String>,
    /// The command that goes on, when nobody runs the pipeline.
    pub(crate) resume: Option<String>,
    /// What cannot be read.
    pub(crate) trouble: Option<String>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            standing: Standing::Waiting,
            epoch: None,
            committed_at: None,
            committed_rows: 0,
            view: Arc::default(),
            counters: Counters::default(),
            is_live: false,
            rows_per_s: None,
            lag: None,
            read: Read::default(),
            commits: CommitTimes::default(),
            memory_budget: None,
            waits: None,
            resume: None,
            trouble: None,
        }
    }
}

/// Where it stands.
#[derive(Debug)]
pub(crate) struct Board {
    known: RwLock<Arc<Known>>,
    /// Number of the newest change.
    changes: watch::Sender<u64>,
    is_looked_at: AtomicBool,
}

impl Default for Board {
    fn default() -> Self {
        // Numbers of another process are never taken for ours: it had fewer changes than milliseconds.
        let first = SystemClock::new().now().cast_unsigned() / 1_000;
        Self { known: RwLock::default(), changes: watch::Sender::new(first), is_looked_at: AtomicBool::new(false) }
    }
}

impl Board {
    /// What is known now.
    pub(crate) fn read(&self) -> Arc<Known> {
        self.is_looked_at.store(true, Ordering::Relaxed);
        self.peek()
    }

    /// The same, for those who write.
    pub(crate) fn peek(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether anybody has looked since this was last asked.
    pub(crate) fn was_looked_at(&self) -> bool {
        self.is_looked_at.swap(false, Ordering::Relaxed)
    }

    /// Changes what is known.
    pub(crate) fn change(&self, change: impl FnOnce(&Known) -> Known) {
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            *known = Arc::new(change(&known));
        }
        self.changes.send_modify(|number| *number += 1);
    }

    /// Says what cannot be read, beside what was known before.
    pub(crate) fn cannot_read(&self, error: &Error) {
        let trouble = Some(format!("{}: {}", error.code, error.message));
        if self.peek().trouble != trouble {
            self.change(|known| Known { trouble, ..known.clone() });
        }
    }

    /// Number of the newest change.
    pub(crate) fn sequence(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Tells of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
