//! The board: what is known now. Whoever follows a pipeline posts, whoever is asked reads; a reader never holds anybody up.

use std::sync::{Arc, PoisonError, RwLock};

use windrow_core::pipeline::View;
use windrow_core::record::Micros;
use windrow_engine::observe::Counters;

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

/// What is known.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// How the pipeline stands.
    pub(crate) standing: Standing,
    /// Last commit that the rest is of; none before the first.
    pub(crate) epoch: Option<u64>,
    /// When that was.
    pub(crate) committed_at: Option<Micros>,
    /// Clusters.
    pub(crate) view: View,
    /// Rows, pages, rejects.
    pub(crate) counters: Counters,
    /// What cannot be read.
    pub(crate) trouble: Option<String>,
}

impl Default for Known {
    fn default() -> Self {
        let (view, counters) = (View::default(), Counters::default());
        Self { standing: Standing::Waiting, epoch: None, committed_at: None, view, counters, trouble: None }
    }
}

/// Where it stands.
#[derive(Debug, Default)]
pub(crate) struct Board(RwLock<Arc<Known>>);

impl Board {
    /// What is known now.
    pub(crate) fn read(&self) -> Arc<Known> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts something else there.
    pub(crate) fn post(&self, known: Known) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }
}
