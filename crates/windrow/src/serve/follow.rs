//! Follows an output folder: finished, growing, or not there yet; and its history, file by file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use windrow_engine::checkpoint::life::Life;
use windrow_engine::checkpoint::{self, Committed, Layout, Reading};
use windrow_engine::error::Error;
use windrow_engine::history::History;

use super::board::{Board, Known, Read, Standing};
use crate::cmd::status::way_on;

/// An output, and where it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    pub(crate) out: PathBuf,
    pub(crate) state: Option<PathBuf>,
    pub(crate) board: Arc<Board>,
    pub(crate) past: Arc<Past>,
    /// The commit that the history is of.
    seen: Option<(String, u64)>,
}

/// The history, and whether it has everything that is committed.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) history: RwLock<History>,
    is_whole: AtomicBool,
}

impl Past {
    /// From now on it has everything that is committed.
    pub(crate) fn complete(&self) {
        self.is_whole.store(true, Ordering::Release);
    }

    /// Whether it has had everything that was committed.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Acquire)
    }

    /// Looks at the history.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.history.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Follower {
    pub(crate) fn new(out: &Path, state: Option<&Path>) -> Self {
        let (out, state) = (out.to_owned(), state.map(Path::to_owned));
        Self { out, state, board: Arc::default(), past: Arc::default(), seen: None }
    }

    /// Whether nothing was ever committed there.
    pub(crate) fn is_empty(&self) -> bool {
        self.board.peek().epoch.is_none()
    }

    /// Looks once, and says what has changed. What cannot be read is said on the board, beside what was known before.
    pub(crate) fn look(&mut self) {
        let read = self.newer().and_then(|committed| match committed {
            Some(committed) => self.read_past(&committed),
            None => {
                self.forget_past();
                Ok(())
            }
        });
        if let Err(error) = read {
            self.board.cannot_read(&error);
        }
    }

    /// What is committed, told on the board when it is new.
    fn newer(&self) -> Result<Option<Committed>, Error> {
        let known = self.board.peek();
        let layout = Layout::find(&self.out, self.state.as_deref())?;
        let life = Life::read(&layout);
        let Some(committed) = checkpoint::read_committed(&self.out, self.state.as_deref())? else {
            if known.standing != Standing::Waiting || known.trouble.is_some() {
                self.board.change(|_| Known::default());
            }
            return Ok(None);
        };
        let end = life.as_ref().and_then(|life| life.end.clone());
        let standing = match (&committed.holder, end) {
            (Some(holder), _) => Standing::Running { pid: holder.pid, since: holder.since },
            (None, Some(end)) => Standing::Ended { at: end.at, reason: end.reason, message: end.message },
            (None, None) => Standing::Gone,
        };
        let runs = committed.holder.is_some();
        let waits = life.as_ref().filter(|_| runs).and_then(|life| life.waits.as_ref()).map(|waits| waits.message.clone());
        let resume = life.as_ref().filter(|_| !runs).and_then(way_on);
        if known.epoch == Some(committed.manifest.epoch) && known.trouble.is_none() {
            if known.standing != standing || known.waits != waits {
                self.board.change(|known| Known { standing, waits, resume, ..known.clone() });
            }
            return Ok(Some(committed));
        }
        let reading = committed.with_model()?;
        let next = Known {
            standing,
            epoch: Some(reading.manifest.epoch),
            committed_at: Some(reading.manifest.written_at),
            committed_rows: reading.manifest.counters.rows,
            read: Read::of(&reading.manifest.positions),
            view: Arc::new(reading.pipeline.view()),
            counters: reading.manifest.counters.clone(),
            waits,
            resume,
            ..Known::default()
        };
        self.board.change(|_| next);
        let Reading { layout, manifest, holder, .. } = reading;
        Ok(Some(Committed { layout, manifest, holder }))
    }

    /// Whether there is a commit that the history is not of.
    pub(crate) fn is_behind(&self, epoch: Option<u64>) -> bool {
        self.seen.as_ref().is_none_or(|(_, seen)| epoch.is_some_and(|epoch| epoch != *seen))
    }

    /// There is no output, or none any more.
    fn forget_past(&mut self) {
        if self.seen.take().is_some() {
            *self.past.history.write().unwrap_or_else(PoisonError::into_inner) = History::default();
        }
    }

    /// Reads the files that the history has not seen.
    pub(crate) fn read_past(&mut self, committed: &Committed) -> Result<(), Error> {
        let now = (committed.manifest.pipeline.clone(), committed.manifest.epoch);
        if self.seen.as_ref() == Some(&now) {
            return Ok(());
        }
        let history = || self.past.history.write().unwrap_or_else(PoisonError::into_inner);
        let news = history().begin(committed)?;
        news.read(|piece| history().take(piece))?;
        self.seen = Some(now);
        self.past.complete();
        // Whoever draws it asks again.
        self.board.change(Known::clone);
        Ok(())
    }
}
