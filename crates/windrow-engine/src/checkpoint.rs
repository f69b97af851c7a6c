//! COMMIT: manifest, snapshots, lock, recovery.
//!
//! Learning is deterministic and sources can be read again, so nothing that a source still holds is written twice: there is no log
//! of rows. One roll:
//!
//! ```text
//! Parquet files, hidden    closed and fsynced                      (sink)
//! state/snapshots/model-N  written, fsynced, renamed               (snapshots)
//! state/files.json         written aside, fsynced, renamed   <──── the commit
//! Parquet files            renamed into view                       (repeatable: the next start finishes it)
//! ```
//!
//! Both ends are fenced: the state by its lock, the output folder by its own, and a folder belongs to one state from the first start
//! on. So a process that deletes or renames a hidden file there knows that it is its own.
//!
//! A kill before the commit leaves hidden files and a snapshot that no manifest names: the next start drops them and learns the rows
//! again. A kill after it leaves renames to finish. Files that are not ours by name are never touched.

pub mod edits;
pub(crate) mod files;
pub mod life;
pub mod lock;
pub mod manifest;
pub mod migrate;
mod reading;
pub(crate) mod recovery;
pub mod refused;
pub mod snapshots;
pub mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use windrow_core::pipeline::Pipeline;
use windrow_core::record::Micros;

use crate::error::{self, Error, ErrorKind, Result};
use crate::failpoint::failpoint;
use crate::observe::Counters;
use crate::sink::{Family, PublishedFile, Sink};
use crate::source::{Order, Positions};

use edits::EditLog;
use manifest::{Manifest, SnapshotEntry};

pub use reading::{Committed, Reading, read_committed, read_state};
pub use recovery::{Opened, Owned, open, own};

/// Name of the lock in the state folder.
const LOCK: &str = "lock";
/// Name of the state folder inside the output folder.
pub(crate) const STATE: &str = ".windrow";
/// Name of the file in the output folder that says where the state is, when it is elsewhere.
const POINTER: &str = ".windrow-state";
/// Name of the output folder's own lock: a second process is kept out whatever state it names.
const OUT_LOCK: &str = ".windrow-lock";

/// Where a pipeline's files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Folder of the outputs.
    pub out: PathBuf,
    /// Folder of the state.
    pub state: PathBuf,
}

/// `E-STATE-NONE`: nothing was committed there yet. The hint is what helps unless somebody works on the first commit.
pub fn none_yet(message: String, (out, state): (&Path, Option<&Path>), hint: &str) -> Error {
    let at_work = Layout::find(out, state).and_then(|layout| lock::Lock::holder(&layout.lock())).ok().flatten();
    let hint = at_work.map_or_else(
        || hint.to_owned(),
        |holder| {
            let place = error::place(out, state);
            format!(
                "wait: process {} runs it, and its first commit has not come yet; `windrow status {place}` says how far it is",
                holder.pid
            )
        },
    );
    Error::new(ErrorKind::Invalid, "E-STATE-NONE", message).hint(hint)
}

impl Layout {
    /// The folders of a pipeline; without `state` they are found from `out` alone. Refuses a state that is not that of `out`.
    ///
    /// An output folder belongs to a state from the first start on, before there is a commit: by the file that says where the state
    /// is, or by the lock in `OUT/.windrow`, which is made before anything is written to `OUT` and never removed.
    pub fn find(out: &Path, state: Option<&Path>) -> Result<Self> {
        let inside = out.join(STATE);
        let pointer = files::read_if_there(&out.join(POINTER))?;
        let pointed = pointer.map(|bytes| PathBuf::from(String::from_utf8_lossy(&bytes).trim_end_matches('\n')));
        let known = match &pointed {
            Some(pointed) => Some(pointed),
            None => ["files.json", LOCK].iter().any(|name| inside.join(name).exists()).then_some(&inside),
        };
        let state = match (state, known) {
            (Some(state), Some(known)) if !is_same(state, known) => {
                let message = format!("{} has its state in {}, not in {}", out.display(), known.display(), state.display());
                return Err(Error::new(ErrorKind::Invalid, "E-STATE-OTHER", message)
                    .hint("leave --state out, or take another --out folder"));
            }
            (Some(state), _) => state.to_owned(),
            (None, Some(known)) => known.clone(),
            (None, None) => inside,
        };
        Ok(Self { out: out.to_owned(), state })
    }

    /// The manifest.
    pub fn manifest(&self) -> PathBuf {
        self.state.join("files.json")
    }

    /// The pipeline's id, until the manifest has it.
    pub(crate) fn id(&self) -> PathBuf {
        self.state.join("pipeline")
    }

    /// The lock.
    pub fn lock(&self) -> PathBuf {
        self.state.join(LOCK)
    }

    /// The lock of the output folder.
    pub fn out_lock(&self) -> PathBuf {
        self.out.join(OUT_LOCK)
    }

    /// Whether the state lies outside the output folder's own place for it.
    fn is_elsewhere(&self) -> bool {
        !is_same(&self.state, &self.out.join(STATE))
    }

    /// What is known of the last run.
    pub fn last(&self) -> PathBuf {
        self.state.join("last.json")
    }

    /// Folder of the standbys: a locked file for each.
    pub fn standbys(&self) -> PathBuf {
        self.state.join("standby")
    }

    /// Folder of the snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.state.join("snapshots")
    }

    /// Folder of older lists of files.
    pub fn history(&self) -> PathBuf {
        self.state.join("history")
    }

    /// The log of edits.
    pub fn edits(&self) -> PathBuf {
        self.state.join("edits.jsonl")
    }

    /// Folder of requests for edits.
    pub fn inbox(&self) -> PathBuf {
        self.state.join("edits")
    }

    /// Leaves word in the output folder where the state is, when it is elsewhere. Word that is there already was read by
    /// [`Layout::find`] and names this state; the output folder's lock keeps it so.
    fn point(&self) -> Result<()> {
        let pointer = self.out.join(POINTER);
        if !self.is_elsewhere() || pointer.exists() {
            return Ok(());
        }
        let state = self.state.canonicalize().map_err(|error| files::environment("find", &self.state, &error))?;
        let Some(text) = state.to_str() else {
            let message = format!("the state folder {} has a name that is not UTF-8", state.display());
            return Err(Error::new(ErrorKind::Invalid, "E-STATE-NAME", message));
        };
        files::replace(&pointer, format!("{text}\n").as_bytes())
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    let real =
        |path: &Path| path.canonicalize().unwrap_or_else(|_| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    real(a) == real(b)
}

/// The state of a pipeline that this process owns.
#[derive(Debug)]
pub struct Store {
    owned: Arc<Owned>,
    manifest: Manifest,
    edits: EditLog,
}

impl Store {
    /// Where it lies.
    pub fn layout(&self) -> &Layout {
        self.owned.layout()
    }

    /// What is committed.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The log of edits and the inbox.
    pub fn edits(&mut self) -> &mut EditLog {
        &mut self.edits
    }

    /// A roll: what the sink holds, the model, positions and counts become true together, or not at all.
    pub fn commit(&mut self, sink: &mut dyn Sink, pipeline: &Pipeline, at: Point<'_>) -> Result<()> {
        let (epoch, owned) = (at.epoch, Arc::clone(&self.owned));
        let layout = owned.layout();
        let still_ours = || Manifest::is_still(&layout.manifest(), self.manifest.epoch);
        // Whoever has taken over takes locks and files of ours away: that is what there is to tell then.
        let told = |error| still_ours().map_or_else(|fenced| fenced, |()| error);
        // Nothing is written into folders that have become another's: not a snapshot either, for he may have one of that name.
        owned.check().map_err(told)?;
        let published = sink.seal(epoch).map_err(told)?;
        still_ours()?;
        check_counts(&published, &self.manifest.counters, at.counters)?;
        let model = pipeline.snapshot();
        snapshots::write(&layout.snapshots(), &snapshots::name(epoch), &model)?;
        let mut next = self.manifest.clone();
        next.epoch = epoch;
        next.commits = sink.commits().or(next.commits);
        next.version = env!("CARGO_PKG_VERSION").into();
        next.written_at = at.now;
        next.inputs = at.inputs.to_vec();
        next.columns = at.columns.to_owned();
        next.positions = at.positions.clone();
        next.counters = at.counters.clone();
        next.edits = at.edits;
        next.snapshots.push(SnapshotEntry {
            epoch,
            name: snapshots::name(epoch),
            model: snapshots::hash(&model),
            positions: at.positions.clone(),
            order: at.order.clone(),
            counters: at.counters.clone(),
            edits: at.edits,
        });
        let n_stale = next.snapshots.len().saturating_sub(snapshots::KEPT);
        let stale: Vec<_> = next.snapshots.drain(..n_stale).collect();
        next.add_files(&published, &layout.history())?;
        next.commit(&layout.manifest(), self.manifest.epoch)?;
        self.manifest = next;
        sink.publish(&published)?;
        for entry in stale {
            files::remove(&layout.snapshots().join(entry.name))?;
        }
        failpoint!("after-commit");
        Ok(())
    }
}

/// Nothing is committed whose files do not hold what was counted: rows = pages + rejects, in the counters and on disk.
fn check_counts(published: &[PublishedFile], before: &Counters, now: &Counters) -> Result<()> {
    let in_files = |family| published.iter().filter(|file| file.family == family).map(|file| file.rows).sum::<u64>();
    let fits = now.rows == now.pages + now.n_rejects()
        && now.pages == before.pages + in_files(Family::Pages)
        && now.n_rejects() == before.n_rejects() + in_files(Family::Rejects);
    if fits {
        return Ok(());
    }
    let message = format!(
        "{} rows, {} pages and {} rejects were counted, and {} pages and {} rejects written: this is a bug",
        now.rows - before.rows,
        now.pages - before.pages,
        now.n_rejects() - before.n_rejects(),
        in_files(Family::Pages),
        in_files(Family::Rejects)
    );
    Err(Error::new(ErrorKind::Internal, "E-INTERNAL", message).hint("report it; nothing of it was committed"))
}

/// Where a commit stands in the order.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// The last epoch that is part of it.
    pub epoch: u64,
    /// The inputs as given, made absolute.
    pub inputs: &'a [String],
    /// What the inputs call our columns.
    pub columns: &'a str,
    /// How far the sources were read.
    pub positions: &'a Positions,
    /// The order in which the rows since the last commit were learnt.
    pub order: &'a Order,
    /// Counts of the pipeline's life.
    pub counters: &'a Counters,
    /// Edits applied.
    pub edits: u64,
    /// The time, for people.
    pub now: Micros,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_do_not_fit_the_files_are_never_committed() {
        let file = |family, rows| PublishedFile { family, name: String::new(), epoch: 2, rows, bytes: 0, crc32: 0 };
        let counters = |rows, pages, rejects| {
            let mut counters = Counters { rows, pages, ..Counters::default() };
            counters.rejects[0] = rejects;
            counters
        };
        let before = counters(10, 8, 2);
        let files = [file(Family::Pages, 5), file(Family::Rejects, 1), file(Family::Lineage, 7)];
        assert_eq!(check_counts(&files, &before, &counters(16, 13, 3)), Ok(()));
        for wrong in [counters(17, 13, 3), counters(16, 12, 4), counters(15, 13, 2)] {
            assert_eq!(check_counts(&files, &before, &wrong).unwrap_err().code, "E-INTERNAL", "{wrong:?}");
        }
        assert_eq!(check_counts(&[], &before, &before), Ok(()));
    }
}
