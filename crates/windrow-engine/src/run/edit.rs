//! Edits from outside: applied when nobody runs the pipeline, left to whoever does, or only looked at.

use std::path::Path;
use std::sync::Arc;

use windrow_core::cluster::ClusterId;
use windrow_core::lineage::{Edit, EditError, Happening, LineageEvent};

use super::work::Work;
use super::{Ended, Job};
use crate::checkpoint::{self, Reading, edits, refused};
use crate::clock::Clock;
use crate::current::Current;
use crate::error::{Error, ErrorKind, Result, place};
use crate::search::{self, Filter};
use crate::sink::parquet::ParquetSink;

/// Applies an edit: now, when nobody runs the pipeline, else by leaving it to the running process.
///
/// # Errors
/// `E-EDIT`: it cannot be done. `E-STATE-NONE`: there is nothing to edit.
pub fn edit(out: &Path, state: Option<&Path>, edit: &Edit, clock: &dyn Clock) -> Result<Edited> {
    let (reading, effect) = foretell(out, state, edit)?;
    if effect.lineage.is_empty() {
        return Ok(Edited { effect, taken: Taken::NotNeeded });
    }
    let request = edits::request(&reading.layout.inbox(), edit, clock)?;
    let taken = hand_in(&reading, (out, state), request, clock)?;
    Ok(Edited { effect, taken })
}

/// Has a request taken: commits it, where nobody else does.
fn hand_in(reading: &Reading, (out, state): (&Path, Option<&Path>), request: String, clock: &dyn Clock) -> Result<Taken> {
    if reading.holder.is_some() {
        return Ok(Taken::LeftToRun { request });
    }
    if reading.manifest.commits.is_some() {
        // Topics are part of every commit, and only a run has them at hand.
        return Ok(Taken::LeftToNextRun { request });
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
        Err(error) if error.kind == ErrorKind::Fenced => return Ok(Taken::LeftToRun { request }),
        owned => Arc::new(owned?),
    };
    let opened = checkpoint::open(&job, &owned)?;
    let mut sink = ParquetSink::keeping(&job.out, &opened.store.manifest().pipeline, job.keep.names(), job.copy)?;
    let mut work = Work::new(&job, opened, &mut sink, clock);
    work.finish(false)?;
    if edits::is_waiting(&reading.layout.inbox(), &request) {
        return Ok(Taken::LeftToNextRun { request });
    }
    match refused::find(&reading.layout.inbox(), &request)? {
        // Somebody ran the pipeline on since the model was read.
        Some(refused) => Err(Error::new(ErrorKind::Invalid, "E-EDIT", refused.reason)
            .hint("the pipeline was run on meanwhile: `windrow clusters` shows what there is now")),
        None => Ok(Taken::Committed { epoch: work.summary(Ended::EndOfInput).epoch }),
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

/// What an edit does, or would do, to what the last commit has.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// What happens, in order.
    pub lineage: Vec<LineageEvent>,
    /// Which edit it takes back, in words.
    pub takes_back: Option<String>,
    /// Of the newest published pages, those that belong to another cluster then.
    pub moved: u64,
    /// Pages that were looked at; 0 where no page can move.
    pub pages: u64,
}

/// Newest published pages that are looked at.
const LOOKED_AT: usize = 5_000;

/// Says what an edit would do, and does nothing.
///
/// # Errors
/// `E-EDIT`: it cannot be done. `E-STATE-NONE`: there is nothing to edit.
pub fn preview(out: &Path, state: Option<&Path>, edit: &Edit) -> Result<Effect> {
    foretell(out, state, edit).map(|(_, effect)| effect)
}

/// Does an edit to a copy of the model, which says whether it can be done at all.
fn foretell(out: &Path, state: Option<&Path>, edit: &Edit) -> Result<(Reading, Effect)> {
    let Some(mut reading) = checkpoint::read_state(out, state)? else { return Err(nothing_yet((out, state))) };
    let (mut pending, mut lineage) = (Vec::new(), Vec::new());
    apply_pending(&mut reading, &mut pending)?;
    let mut to_undo = reading.pipeline.edits_to_undo();
    reading.pipeline.edit(edit, &mut lineage).map_err(|error| refusal(&error, Some(edit), &place(out, state)))?;
    let is_undo = matches!(edit, Edit::Undo { .. });
    let takes_back = is_undo.then(|| to_undo.swap_remove(reading.pipeline.edits_to_undo().len()));
    let (moved, pages) = if lineage.iter().any(moves) { count_moved(&reading, &pending, &lineage)? } else { (0, 0) };
    Ok((reading, Effect { lineage, takes_back, moved, pages }))
}

fn moves(event: &LineageEvent) -> bool {
    matches!(event.happening, Happening::MicroPlaced { .. } | Happening::ClusterMerged { .. } | Happening::ClusterBack { .. })
}

/// Of the newest pages those that these events move, where others are pending; and how many were looked at.
fn count_moved(reading: &Reading, pending: &[LineageEvent], lineage: &[LineageEvent]) -> Result<(u64, u64)> {
    let committed = reading.committed();
    let mut current = Current::read(&committed)?;
    let newest = search::newest(&committed, &Filter::default(), None, LOOKED_AT)?.rows;
    let mut clusters_after = |events: &[LineageEvent]| -> Vec<ClusterId> {
        events.iter().for_each(|event| current.follow(event));
        newest.iter().map(|page| current.of(page.micro_cluster, page.cluster)).collect()
    };
    let (before, after) = (clusters_after(pending), clusters_after(lineage));
    let moved = before.iter().zip(after).filter(|(before, after)| **before != *after).count() as u64;
    Ok((moved, newest.len() as u64))
}

fn nothing_yet(place: (&Path, Option<&Path>)) -> Error {
    checkpoint::none_yet(format!("there are no clusters in {} yet", place.0.display()), place, "start with `windrow run`")
}

/// `E-EDIT`: why an edit cannot be done, and what can be instead. `place` stands behind commands.
fn refusal(error: &EditError, edit: Option<&Edit>, place: &str) -> Error {
    let themes = "`windrow clusters themes ID` lists those of a cluster, `windrow explain` names that of a page".to_owned();
    let hint = match (error, edit) {
        (EditError::NoSuchCluster(_), _) => {
            format!("`windrow clusters --all {place}` lists the living clusters with their ids")
        }
        (EditError::BadName, _) => "give another name, or an empty one to give the naming back".into(),
        (EditError::NoSuchMicro(_) | EditError::NotInCluster { .. } | EditError::NoMicro | EditError::NoneLeft, _) => themes,
        (EditError::IntoItself(_), _) => "name another cluster behind --into".into(),
        (EditError::CannotPart(cluster), _) => format!("`windrow clusters themes {cluster} {place}` lists its themes"),
        (EditError::NoFreeSlot { alike: Some((ended, into)) }, Some(Edit::Split { cluster, .. })) => format!(
            "first `windrow clusters merge {ended} --into {into} {place}`; or `windrow clusters split {cluster} --make-room {place}`, which does both"
        ),
        (EditError::NoFreeSlot { .. }, _) => "merge two clusters first, or wait until a light one has ended".into(),
        (EditError::NotByModel(_), _) => "the model `two-level` has themes: `windrow config explain model.kind`".into(),
        (EditError::CannotUndo { why, .. }, _) if matches!(**why, EditError::NoFreeSlot { .. }) => {
            "wait until a light cluster has ended, and its slot is free".into()
        }
        (EditError::CannotUndo { .. }, _) => format!(
            "`windrow clusters undo --older {place}` takes back the latest edit before it that can be; `--dry-run` says what that does"
        ),
        (EditError::NothingToUndo, _) => "the latest 100 edits can be taken back, each once".into(),
    };
    Error::new(ErrorKind::Invalid, "E-EDIT", error.to_string()).hint(hint)
}

/// `E-EDIT` of an id that no living cluster has.
pub fn not_alive(cluster: ClusterId, out: &Path, state: Option<&Path>) -> Error {
    refusal(&EditError::NoSuchCluster(cluster), None, &place(out, state))
}

/// An edit that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Edited {
    /// What it does to what was committed before; a run that takes it may be farther by then.
    pub effect: Effect,
    /// What became of it.
    pub taken: Taken,
}

/// What became of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// All is as it would be: nothing was asked for.
    NotNeeded,
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
