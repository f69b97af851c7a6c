//! A committed state, read without the lock, beside whoever owns it.
//!
//! The owner rolls on meanwhile: a snapshot that a manifest names may be dropped three commits later. So nothing is called gone or
//! damaged before the manifest was read once more, and still names it.

use std::path::Path;

use windrow_core::pipeline::Pipeline;

use super::Layout;
use super::lock::{Holder, Lock};
use super::manifest::{Manifest, SnapshotEntry, damaged};
use super::recovery::load;
use super::verify::snapshot_problem;
use crate::error::{Error, Result};

/// What is committed, without the model.
#[derive(Debug)]
pub struct Committed {
    /// Where it lies.
    pub layout: Layout,
    /// What is committed.
    pub manifest: Manifest,
    /// Who runs the pipeline now.
    pub holder: Option<Holder>,
}

/// What is committed, with the model.
#[derive(Debug)]
pub struct Reading {
    /// Where it lies.
    pub layout: Layout,
    /// What is committed.
    pub manifest: Manifest,
    /// The model at the last commit.
    pub pipeline: Pipeline,
    /// Who runs the pipeline now.
    pub holder: Option<Holder>,
}

/// Reads what is committed in an output folder; none when nothing was ever committed there.
pub fn read_committed(out: &Path, state: Option<&Path>) -> Result<Option<Committed>> {
    let layout = Layout::find(out, state)?;
    let holder = Lock::holder(&layout.lock())?;
    let manifest = Manifest::read(&layout.manifest())?;
    Ok(manifest.map(|manifest| Committed { layout, manifest, holder }))
}

/// The same, with the model.
pub fn read_state(out: &Path, state: Option<&Path>) -> Result<Option<Reading>> {
    read_committed(out, state)?.map(Committed::with_model).transpose()
}

impl Reading {
    /// The same without the model.
    pub fn committed(&self) -> Committed {
        Committed { layout: self.layout.clone(), manifest: self.manifest.clone(), holder: self.holder.clone() }
    }
}

impl Committed {
    /// Restores the model; that of a newer commit, with its manifest, when this one's snapshot was dropped meanwhile.
    pub fn with_model(mut self) -> Result<Reading> {
        loop {
            let Some(newest) = self.manifest.snapshots.last() else {
                return Err(damaged(&self.layout.manifest(), &"it names no snapshot"));
            };
            match load(&self.layout, newest) {
                Ok(pipeline) => {
                    let Self { layout, manifest, holder } = self;
                    return Ok(Reading { layout, manifest, pipeline, holder });
                }
                Err(error) if self.still_names(newest)? => return Err(self.with_way_out(error)),
                // Passed by: there is a newer commit.
                Err(_) => self.manifest = self.manifest_now()?,
            }
        }
    }

    /// The newest snapshot is damaged: says what mends it.
    pub(super) fn with_way_out(&self, error: Error) -> Error {
        let mut older = self.manifest.snapshots.iter().rev().skip(1);
        let whole = older.find(|entry| snapshot_problem(&self.layout, entry).is_none());
        match (&self.holder, whole) {
            _ if error.code != "E-STATE-DAMAGED" => error,
            (Some(_), _) => error.hint("the process that runs the pipeline writes a whole one at its next commit"),
            (None, Some(whole)) => error.hint(format!(
                "`windrow run` with the same inputs mends it, from the snapshot of commit {} and the rows since",
                whole.epoch
            )),
            (None, None) => error.hint("`windrow run` with all inputs mends it: it learns all rows again"),
        }
    }

    /// Whether a snapshot of this manifest is one of the manifest as it is now.
    pub(super) fn still_names(&self, snapshot: &SnapshotEntry) -> Result<bool> {
        Ok(self.manifest_now()?.snapshots.contains(snapshot))
    }

    fn manifest_now(&self) -> Result<Manifest> {
        let path = self.layout.manifest();
        Manifest::read(&path)?.ok_or_else(|| damaged(&path, &"it is gone"))
    }
}
