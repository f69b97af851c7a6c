//! `state migrate`: a state written anew in the formats of this program, without a row being read.
//!
//! Older formats are read as they are, and a run writes its own at its next commit. This does the same at once: it shows beforehand that all
//! of a state can be read, and makes it one that an older program refuses.
//!
//! ```text
//! snapshots in an older form   written anew beside the old ones, under other names
//! files.json                   written aside, fsynced, renamed   <──── from here on the new ones count
//! old snapshots                removed
//! ```
//!
//! Killed before the rename, the old state is whole, and the next start drops the new snapshots, which no manifest names; killed after it,
//! the new one is, and the next start drops the old.

use std::path::Path;

use super::manifest::{self, Manifest, SnapshotEntry};
use super::recovery::{load, own_folders};
use super::{Committed, Layout, files, read_committed, snapshots};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::failpoint;

/// What becomes of a file of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is in the form that this program writes.
    None,
    /// It is written anew.
    Rewritten,
    /// It is damaged, for this reason, and stays as it is: a run mends it, or needs it no more.
    Damaged(String),
}

impl Change {
    /// Its name in data.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rewritten => "rewritten",
            Self::Damaged(_) => "damaged",
        }
    }
}

/// A file of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `manifest` or `snapshot`.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// Format found; none of a damaged one.
    pub found: Option<u32>,
    /// Format that this program writes.
    pub current: u32,
    /// What becomes of it.
    pub change: Change,
}

/// A migration, done or planned.
#[derive(Debug)]
pub struct Migration {
    /// Where the state lies, who runs it, and what was committed before.
    pub committed: Committed,
    /// Its files.
    pub parts: Vec<Part>,
}

impl Migration {
    /// Whether anything is to be written.
    pub fn is_change(&self) -> bool {
        self.parts.iter().any(|part| part.change == Change::Rewritten)
    }
}

/// What a migration would do. Takes no lock and writes nothing.
///
/// # Errors
/// `E-STATE-NONE`: nothing was ever committed. `E-STATE-NEWER`: a newer program wrote it. `E-STATE-DAMAGED`: its newest model is damaged.
pub fn plan(out: &Path, state: Option<&Path>) -> Result<Migration> {
    let Some(committed) = read_committed(out, state)? else {
        let message = format!("nothing was ever committed in {}", out.display());
        return Err(Error::new(ErrorKind::Invalid, "E-STATE-NONE", message).hint("give the --out of a run"));
    };
    let (path, manifest) = (committed.layout.manifest(), &committed.manifest);
    let found = Manifest::format_of(&path)?;
    let (name, current) = ("files.json".into(), manifest::FORMAT);
    // Its settings are kept as values: that they can be read is part of what is to be shown.
    manifest.model_settings(&path)?;
    manifest.field_weights(&path)?;
    let mut parts = vec![Part { what: "manifest", name, found: Some(found), current, change: Change::None }];
    for (at, entry) in manifest.snapshots.iter().enumerate() {
        let is_newest = at + 1 == manifest.snapshots.len();
        match of_snapshot(&committed.layout, entry) {
            Ok(part) => parts.push(part),
            // Passed by: a process that runs the pipeline has dropped it.
            Err(_) if !committed.still_names(entry)? => {}
            Err(error) if is_newest || error.code != "E-STATE-DAMAGED" => return Err(committed.with_way_out(error)),
            Err(error) => {
                let change = Change::Damaged(error.causes.first().cloned().unwrap_or(error.message));
                parts.push(Part {
                    what: "snapshot",
                    name: entry.name.clone(),
                    found: None,
                    current: snapshots::FORMAT,
                    change,
                });
            }
        }
    }
    // New snapshots have new names, which the manifest says.
    let is_change = found != current || parts.iter().any(|part| part.change == Change::Rewritten);
    parts[0].change = if is_change { Change::Rewritten } else { Change::None };
    Ok(Migration { committed, parts })
}

/// Migrates: unless all is in this program's formats already, in which case nothing is written.
///
/// # Errors
/// Those of [`plan`]. `E-LOCKED`: a process runs the pipeline. `E-IO`.
pub fn migrate(out: &Path, state: Option<&Path>, clock: &dyn Clock) -> Result<Migration> {
    // Nothing is made where nothing is.
    plan(out, state)?;
    let owned = own_folders(out, state, clock)?;
    let migration = plan(out, state)?;
    if migration.is_change() {
        carry_out(&migration, owned.layout())?;
    }
    Ok(migration)
}

fn carry_out(migration: &Migration, layout: &Layout) -> Result<()> {
    let before = &migration.committed.manifest;
    let mut next = Manifest { version: env!("CARGO_PKG_VERSION").into(), ..before.clone() };
    let mut old = Vec::new();
    let is_rewritten = |entry: &SnapshotEntry| {
        let mut parts = migration.parts.iter();
        parts.any(|part| part.what == "snapshot" && part.name == entry.name && part.change == Change::Rewritten)
    };
    for entry in next.snapshots.iter_mut().filter(|entry| is_rewritten(entry)) {
        let model = load(layout, entry)?.snapshot();
        let name = snapshots::other_name(&entry.name);
        old.push(std::mem::replace(&mut entry.name, name));
        entry.model = snapshots::hash(&model);
        snapshots::write(&layout.snapshots(), &entry.name, &model)?;
    }
    next.commit(&layout.manifest(), before.epoch)?;
    for name in old {
        files::remove(&layout.snapshots().join(name))?;
    }
    failpoint!("after-commit");
    Ok(())
}

/// A snapshot is as this program writes it when its model, restored, gives the same bytes.
fn of_snapshot(layout: &Layout, entry: &SnapshotEntry) -> Result<Part> {
    let (found, model) = snapshots::read_framed(&layout.snapshots().join(&entry.name))?;
    let is_current = load(layout, entry)?.snapshot() == model && found == snapshots::FORMAT;
    let change = if is_current { Change::None } else { Change::Rewritten };
    Ok(Part { what: "snapshot", name: entry.name.clone(), found: Some(found), current: snapshots::FORMAT, change })
}

#[cfg(test)]
mod tests;
