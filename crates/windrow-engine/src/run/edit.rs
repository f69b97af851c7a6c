//! Edits from outside: applied when nobody runs the pipeline, left to whoever does, or only looked at.

use std::path::Path;
use std::sync::Arc;

use windrow_core::cluster::ClusterId;
use windrow_core::lineage::{Edit, EditError, LineageEvent};

use super::work::Work;
use super::{Ended, Job};
use crate::checkpoint::{self, Reading, edits, refused};
use crate::clock::Clock;
use crate::current::Current;
use crate::error::{Error, ErrorKind, Result};
use crate::search::{self, Filter};
use crate::sink::parquet::ParquetSink;

/// Applies an edit: now, when nobody runs the pipeline, else by leaving it to the running process.
pub fn edit(out: &Path, state: Option<&Path>, edit: &Edit, clock: &dyn Clock) -> Result<Edited> {
    let Some(mut reading) = checkpoint::read_state(out, state)? else { return Err(nothing_yet(out)) };
    // A copy of the model says whether the edit can be done at all.
    apply_pending(&mut reading, &mut Vec::new())?;
    reading.pipeline.edit(edit, &mut Vec::new()).map_err(|error| refusal(&error))?;
    let request = edits::request(&reading.layout.inbox(), edit, clock)?;
    if reading.holder.is_some() {
        return Ok(Edited::LeftToRun { request });
    }
    if reading.manifest.commits.is_some() {
        // Topics are part of every commit, and only a run has them at hand.
        return Ok(Edited::LeftToNextRun { request });
    }
    let manifest_path = reading.layout.manifest();
    let job = Job {
        columns: reading.manifest.columns.clone(),
        keep: reading.manifest.keep.clone(),
        max_record_bytes: reading.manifest.max_record,
        max_unpacked: 0,
        rules: reading.manifest.clean.clone(),
        state: state.map(Path::to_owned),
        model: reading.manifest.model_settings(&manifest_path)?,
        weights: reading.manifest.field_weights(&manifest_path)?,
        // No page is learnt: a state that is not watched yet is not before it goes on.
        false_alarms: None,
        ..Job::new(Vec::new(), out.to_owned())
    };
    let owned = match checkpoint::own(&job, clock) {
        // Somebody was faster: the request lies in the inbox, and he will find it.
        Err(error) if error.kind == ErrorKind::Fenced => return Ok(Edited::LeftToRun { request }),
        owned => Arc::new(owned?),
    };
    let opened = checkpoint::open(&job, &owned)?;
    let mut sink = ParquetSink::keeping(&job.out, &opened.store.manifest().pipeline, job.keep.names(), job.copy)?;
    let mut work = Work::new(&job, opened, &mut sink, clock);
    work.finish(false)?;
    if edits::is_waiting(&reading.layout.inbox(), &request) {
        return Ok(Edited::LeftToNextRun { request });
    }
    match refused::find(&reading.layout.inbox(), &request)? {
        // Somebody ran the pipeline on since the model was read.
        Some(refused) => Err(no_edit(refused.reason)),
        None => Ok(Edited::Committed { epoch: work.summary(Ended::EndOfInput).epoch }),
    }
}

/// Applies what was asked for since the commit that was read: the next edit comes behind it. What is refused changes nothing.
fn apply_pending(reading: &mut Reading, lineage: &mut Vec<LineageEvent>) -> Result<()> {
    let layout = &reading.layout;
    for asked in edits::pending(&layout.edits(), &layout.inbox(), reading.manifest.edits)? {
        // A refusal is told to whoever asked for it.
        let _ = reading.pipeline.edit(&asked, lineage);
    }
    Ok(())
}

/// What an edit would do to the newest pages.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// What would happen, in order.
    pub lineage: Vec<LineageEvent>,
    /// Of the newest published pages, those that would belong to another cluster.
    pub moved: u64,
    /// Pages that were looked at.
    pub pages: u64,
}

/// Newest published pages that a preview looks at.
const PREVIEWED: usize = 5_000;

/// Says what an edit would do, and does nothing.
///
/// # Errors
/// `E-EDIT`: it cannot be done. `E-STATE-NONE`: there is nothing to edit.
pub fn preview(out: &Path, state: Option<&Path>, edit: &Edit) -> Result<Preview> {
    let Some(committed) = checkpoint::read_committed(out, state)? else { return Err(nothing_yet(out)) };
    let mut current = Current::read(&committed)?;
    let newest = search::newest(&committed, &Filter::default(), None, PREVIEWED)?.rows;
    let mut copy = committed.with_model()?;
    let mut lineage = Vec::new();
    apply_pending(&mut copy, &mut lineage)?;
    lineage.drain(..).for_each(|event| current.follow(&event));
    let before: Vec<ClusterId> = newest.iter().map(|page| current.of(page.micro_cluster, page.cluster)).collect();
    copy.pipeline.edit(edit, &mut lineage).map_err(|error| refusal(&error))?;
    lineage.iter().for_each(|event| current.follow(event));
    let after = newest.iter().map(|page| current.of(page.micro_cluster, page.cluster));
    let moved = before.iter().zip(after).filter(|(before, after)| **before != *after).count() as u64;
    Ok(Preview { lineage, moved, pages: newest.len() as u64 })
}

fn nothing_yet(out: &Path) -> Error {
    let message = format!("there are no clusters in {} yet", out.display());
    Error::new(ErrorKind::Invalid, "E-STATE-NONE", message).hint("start with `windrow run`")
}

fn refusal(error: &EditError) -> Error {
    let refused = no_edit(error.to_string());
    if !matches!(error, EditError::CannotUndo { .. }) {
        return refused;
    }
    refused.hint(
        "`windrow clusters undo --older` takes back the latest edit before it that can be; `--dry-run` says what that does",
    )
}

/// `E-EDIT`.
pub fn no_edit(reason: String) -> Error {
    Error::new(ErrorKind::Invalid, "E-EDIT", reason).hint("`windrow clusters` lists the living clusters with their ids")
}

/// What became of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// It is committed.
    Committed {
        /// With this epoch.
        epoch: u64,
    },
    /// The pipeline is running: it will take the edit before its next batch.
    LeftToRun {
        /// Name of the request.
        request: String,
    },
    /// Older edits wait for their position, which a killed run had come to: the next run takes this one behind them.
    LeftToNextRun {
        /// Name of the request.
        request: String,
    },
}
