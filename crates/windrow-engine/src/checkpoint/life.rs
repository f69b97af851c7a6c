//! `state/last.json`: when the last run began, how it was called, and how it ended. For people; nothing depends on it.
//!
//! A run that was killed leaves no end: the lock is free, and the file says that it had begun.

use serde::{Deserialize, Serialize};
use windrow_core::record::Micros;

use super::{Layout, files};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::run::Ended;

/// The last run of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Process id.
    pub pid: u32,
    /// When it began.
    pub began: Micros,
    /// Its command line: what to call to go on.
    pub command: Vec<String>,
    /// Folder that it was called in.
    pub folder: String,
    /// How it ended; none while it runs, and when it was killed.
    pub end: Option<End>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Micros,
    /// `end_of_input`, `stopped`, `interrupted`, or the code of an error.
    pub reason: String,
    /// What the error said.
    pub message: Option<String>,
    /// Exit code that the engine asks for.
    pub exit_code: u8,
}

impl Life {
    /// The last run; none when there was none, or its file cannot be read.
    pub fn read(layout: &Layout) -> Option<Self> {
        let bytes = files::read_if_there(&layout.last()).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn begin(layout: &Layout, clock: &dyn Clock) -> Result<Self> {
        let folder = std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default();
        let command = std::env::args_os().map(|part| part.to_string_lossy().into_owned()).collect();
        let life = Self { pid: std::process::id(), began: clock.now(), command, folder, end: None };
        life.write(layout)?;
        Ok(life)
    }

    pub(crate) fn end(mut self, layout: &Layout, clock: &dyn Clock, ended: std::result::Result<Ended, &Error>) -> Result<()> {
        let (reason, message, exit_code) = match ended {
            Ok(ended) => (ended.code(), None, ended.exit_code()),
            Err(error) => (error.code, Some(error.message.clone()), error.exit_code()),
        };
        if Self::read(layout).is_some_and(|last| (last.pid, last.began) != (self.pid, self.began)) {
            // The lock is free by now, and the next run has begun already.
            return Ok(());
        }
        self.end = Some(End { at: clock.now(), reason: reason.into(), message, exit_code });
        self.write(layout)
    }

    fn write(&self, layout: &Layout) -> Result<()> {
        files::replace(&layout.last(), &serde_json::to_vec_pretty(self).expect("plain data serializes"))
    }
}
