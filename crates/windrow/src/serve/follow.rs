//! Follows an output folder: finished, growing, or not there yet.

use std::path::PathBuf;
use std::sync::Arc;

use windrow_engine::checkpoint::life::Life;
use windrow_engine::checkpoint::{self, Layout};
use windrow_engine::error::Error;

use super::board::{Board, Known, Standing};

/// An output, and the board that it is shown on.
#[derive(Debug)]
pub(crate) struct Follower {
    out: PathBuf,
    state: Option<PathBuf>,
    board: Arc<Board>,
}

impl Follower {
    pub(crate) fn new(out: PathBuf, state: Option<PathBuf>, board: Arc<Board>) -> Self {
        Self { out, state, board }
    }

    /// Looks once, and posts what has changed. What cannot be read is said on the board, beside what was known before.
    pub(crate) fn look(&self) {
        let known = self.board.read();
        match self.newer(&known) {
            Ok(Some(newer)) => self.board.post(newer),
            Ok(None) => {}
            Err(error) => {
                let trouble = Some(format!("{}: {}", error.code, error.message));
                if known.trouble != trouble {
                    self.board.post(Known { trouble, ..Known::clone(&known) });
                }
            }
        }
    }

    fn newer(&self, known: &Known) -> Result<Option<Known>, Error> {
        let layout = Layout::find(&self.out, self.state.as_deref())?;
        let Some(committed) = checkpoint::read_committed(&self.out, self.state.as_deref())? else {
            let is_new = known.standing != Standing::Waiting || known.trouble.is_some();
            return Ok(is_new.then(Known::default));
        };
        let standing = match (&committed.holder, Life::read(&layout).and_then(|life| life.end)) {
            (Some(holder), _) => Standing::Running { pid: holder.pid, since: holder.since },
            (None, Some(end)) => Standing::Ended { at: end.at, reason: end.reason, message: end.message },
            (None, None) => Standing::Gone,
        };
        if known.epoch == Some(committed.manifest.epoch) && known.trouble.is_none() {
            let has_changed = known.standing != standing;
            return Ok(has_changed.then(|| Known { standing, ..known.clone() }));
        }
        let reading = committed.with_model()?;
        Ok(Some(Known {
            standing,
            epoch: Some(reading.manifest.epoch),
            committed_at: Some(reading.manifest.written_at),
            view: reading.pipeline.view(),
            counters: reading.manifest.counters,
            trouble: None,
        }))
    }
}
