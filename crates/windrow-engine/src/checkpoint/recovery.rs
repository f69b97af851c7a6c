//! Opening a state: lock, manifest, unfinished renames, leftovers, snapshot, and what to do when one of them is not as it was left.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use windrow_core::pipeline::{Outcome, Pipeline, WatchSettings};

use super::edits::{EditLog, PlacedEdit};
use super::files::{self, create_dir};
use super::lock::Lock;
use super::manifest::{Manifest, SnapshotEntry, StateSettings, damaged, newer, to_value};
use super::{Layout, OUT_LOCK, POINTER, Store, snapshots};
use crate::clock::{Clock, entropy};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::failpoint::failpoint;
use crate::observe::Counters;
use crate::run::block::Blocks;
use crate::run::{Control, Job, cut, inputs};
use crate::sink::topics::Route;
use crate::sink::{Family, PublishedFile, parquet};
use crate::source::{Order, Positions};

/// What is left when the model cannot be learnt again.
const WAYS_OUT: &str = "put the inputs back as they were, or the state folder from a copy; or start over with a new --out folder. \
                        Published Parquet is not touched";

/// Characters of a pipeline's id.
const ID_LEN: usize = 32;

/// A state that was opened for writing, with its model where the manifest left it.
#[derive(Debug)]
pub struct Opened {
    /// The state.
    pub store: Store,
    /// The model at the last commit.
    pub pipeline: Pipeline,
    /// Edits that were placed behind the last commit, oldest first.
    pub pending: VecDeque<PlacedEdit>,
    /// What was noticed. One sentence each.
    pub notes: Vec<String>,
}

/// Folders that this process owns, until it lets go of this.
#[derive(Debug)]
pub struct Owned {
    layout: Layout,
    /// Of the state and of the output folder.
    locks: [Lock; 2],
}

impl Owned {
    /// Where they lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Refuses to begin once more in folders that another process has taken.
    pub(crate) fn check(&self) -> Result<()> {
        self.locks.iter().try_for_each(Lock::check)
    }
}

/// Takes the folders of a job, unless somebody else has them.
pub fn own(job: &Job, clock: &dyn Clock) -> Result<Owned> {
    own_folders(&job.out, job.state.as_deref(), clock)
}

/// The same, of an output folder and its state.
pub(super) fn own_folders(out: &Path, state: Option<&Path>, clock: &dyn Clock) -> Result<Owned> {
    // Who the output folder belongs to is settled under its lock, before anything is written or deleted there.
    create_dir(out)?;
    let out_lock = Lock::take(&out.join(OUT_LOCK), clock.now())?;
    failpoint!("after-out-lock");
    let layout = Layout::find(out, state)?;
    [&layout.state, &layout.snapshots()].into_iter().try_for_each(|folder| create_dir(folder))?;
    let lock = Lock::take(&layout.lock(), clock.now())?;
    failpoint!("after-lock");
    Ok(Owned { layout, locks: [lock, out_lock] })
}

/// Opens the state of a job in folders that are its own: finishes what was committed, drops what was not, and restores the model.
pub fn open(job: &Job, owned: &Arc<Owned>) -> Result<Opened> {
    let layout = &owned.layout;
    let mut notes = Vec::new();
    let manifest = match Manifest::read(&layout.manifest())? {
        Some(mut manifest) => {
            check_settings(&manifest, job)?;
            // One that an older program began is watched from here on: as often as it is opened before the next commit, from the same page.
            let from = manifest.counters.pages;
            manifest.watch =
                manifest.watch.or_else(|| job.false_alarms.map(|false_alarms| WatchSettings { false_alarms, from }));
            manifest.route = manifest.route.or_else(|| route(job).cloned());
            manifest
        }
        None => blank(job, layout)?,
    };
    check_outputs(layout, &manifest)?;
    layout.point()?;
    failpoint!("recovery-after-claim");
    Family::ALL.iter().try_for_each(|family| create_dir(&layout.out.join(family.folder())))?;
    let last: Vec<_> = manifest.files.iter().filter(|file| file.epoch == manifest.epoch).cloned().collect();
    // What is neither hidden nor in view was published, and taken away by somebody since: that is theirs to do, and noted.
    parquet::show(&layout.out, &last)?;
    note_missing(layout, &manifest, &mut notes);
    failpoint!("recovery-after-renames");
    drop_leftovers(layout, &manifest, &mut notes)?;
    failpoint!("recovery-after-drop");
    let (edits, placed, note) = EditLog::open(&layout.edits(), &layout.inbox(), manifest.edits)?;
    notes.extend(note);
    let pipeline = restore(layout, &manifest, job, &placed, &mut notes)?;
    failpoint!("recovery-after-snapshot");
    let committed = usize::try_from(manifest.edits).expect("edits in memory");
    let pending = placed.into_iter().skip(committed).collect();
    Ok(Opened { store: Store { owned: Arc::clone(owned), manifest, edits }, pipeline, pending, notes })
}

/// The manifest of a pipeline that has committed nothing.
fn blank(job: &Job, layout: &Layout) -> Result<Manifest> {
    Ok(Manifest {
        pipeline: id(job, layout)?,
        version: env!("CARGO_PKG_VERSION").into(),
        epoch: 0,
        commits: None,
        route: route(job).cloned(),
        written_at: 0,
        model: to_value(&job.model),
        fields: to_value(&job.weights),
        inputs: Vec::new(),
        columns: String::new(),
        keep: job.keep.clone(),
        max_record: job.max_record_bytes,
        clean: job.rules.clone(),
        watch: job.false_alarms.map(|false_alarms| WatchSettings { false_alarms, from: 0 }),
        positions: Positions::default(),
        counters: Counters::default(),
        edits: 0,
        snapshots: Vec::new(),
        history: Vec::new(),
        files: Vec::new(),
    })
}

/// The id of a pipeline that has committed nothing. One that writes topics is known to the brokers before its first commit: whoever begins
/// after a kill must have its name, or what it left open hides the commits of all pipelines until the brokers end it.
fn id(job: &Job, layout: &Layout) -> Result<String> {
    let is_id = |text: &str| text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let kept = files::read_if_there(&layout.id())?.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(id) = kept.filter(|text| is_id(text)) {
        return Ok(id);
    }
    let id = entropy()?;
    if job.output.is_some() {
        files::replace(&layout.id(), id.as_bytes())?;
    }
    Ok(id)
}

/// Where the pages of a job go besides Parquet.
fn route(job: &Job) -> Option<&Route> {
    job.output.as_ref().map(|output| &output.route)
}

fn check_settings(manifest: &Manifest, job: &Job) -> Result<()> {
    let asked = StateSettings {
        model: &job.model,
        fields: &job.weights,
        columns: &job.columns,
        keep: &job.keep,
        max_record: job.max_record_bytes,
        rules: &job.rules,
        false_alarms: job.false_alarms,
        route: route(job),
    };
    let mut others = manifest.other_settings(&asked)?;
    let has_topics = |has: bool| if has { "topics" } else { "none" };
    if manifest.epoch > 0 && manifest.commits.is_some() != job.output.is_some() {
        let (was, is) = (has_topics(manifest.commits.is_some()), has_topics(job.output.is_some()));
        others.push(("output.kafka".into(), was.into(), is.into()));
    }
    if others.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = others.iter().map(|(key, was, is)| format!("{key} is {was} in the state and {is} now")).collect();
    let message = format!("these settings need new state: {}", list.join("; "));
    Err(Error::new(ErrorKind::Invalid, "E-SETTINGS-STATE", message).hint(
        "set them back to go on, or give a new --out folder (and --state, if you set it) to start over with the new values",
    ))
}

/// Refuses outputs that do not belong to this state: going on would double or lose rows.
fn check_outputs(layout: &Layout, manifest: &Manifest) -> Result<()> {
    let mut newest = None;
    for family in Family::ALL {
        let names = files::names_in(&layout.out.join(family.folder()))?;
        let visible = names.iter().filter(|name| !name.starts_with('.'));
        newest = newest.max(visible.filter_map(|name| parquet::epoch_of(name)).max());
    }
    let Some(newest) = newest.filter(|newest| *newest > manifest.epoch) else {
        if layout.is_elsewhere() && manifest.epoch > 0 && !layout.out.join(POINTER).exists() {
            let message = format!("the state {} belongs to another output folder", layout.state.display());
            return Err(Error::new(ErrorKind::Invalid, "E-STATE-OTHER", message)
                .hint("give the --out folder it was made with, or another --state"));
        }
        return Ok(());
    };
    if manifest.epoch == 0 {
        let message =
            format!("{} holds published files, but there is no state in {}", layout.out.display(), layout.state.display());
        return Err(Error::new(ErrorKind::Data, "E-STATE-MISSING", message).hint(
            "give the --state they were made with; to start over, give a new --out folder or move the published files away",
        ));
    }
    let message = format!(
        "{} holds files of commit {newest}, the state {} is at commit {}: it was put back to an older copy",
        layout.out.display(),
        layout.state.display(),
        manifest.epoch
    );
    Err(Error::new(ErrorKind::Data, "E-STATE-OLDER", message)
        .hint("move the newer files away to learn their rows again, or bring the newer state back"))
}

/// Published files may be moved away or deleted: that is their reader's to do, and said.
fn note_missing(layout: &Layout, manifest: &Manifest, notes: &mut Vec<String>) {
    let is_missing = |file: &&PublishedFile| !layout.out.join(file.family.folder()).join(&file.name).exists();
    let missing = manifest.files.iter().filter(is_missing).count();
    if missing > 0 {
        notes.push(format!("{missing} published files are not in {} any more", layout.out.display()));
    }
}

/// Drops hidden files and snapshots of ours that no manifest names: nobody else's lie here, for the folder is this state's alone.
/// Whatever has another name stays.
fn drop_leftovers(layout: &Layout, manifest: &Manifest, notes: &mut Vec<String>) -> Result<()> {
    let mut dropped = 0;
    let folders = Family::ALL.map(Family::folder).into_iter().chain([parquet::PagesCopy::FOLDER]);
    for folder in folders.map(|folder| layout.out.join(folder)) {
        for name in files::names_in(&folder)? {
            if name.starts_with('.') && parquet::epoch_of(&name).is_some_and(|epoch| epoch > manifest.epoch) {
                files::remove(&folder.join(name))?;
                dropped += 1;
            }
        }
    }
    if dropped > 0 {
        notes.push(format!("{dropped} unfinished output files of an earlier run were dropped; their rows are learnt again"));
    }
    let folder = layout.snapshots();
    for name in files::names_in(&folder)? {
        let is_named = manifest.snapshots.iter().any(|entry| entry.name == name);
        if snapshots::epoch_of(&name).is_some() && !is_named {
            files::remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// The model at the manifest's position: from its newest snapshot, from an older one and the rows since, or from all rows.
fn restore(
    layout: &Layout,
    manifest: &Manifest,
    job: &Job,
    placed: &[PlacedEdit],
    notes: &mut Vec<String>,
) -> Result<Pipeline> {
    let watched = |mut pipeline: Pipeline| {
        manifest.watch.into_iter().for_each(|watch| pipeline.watch(watch));
        pipeline
    };
    if manifest.epoch == 0 {
        return new_pipeline(job).map(watched);
    }
    let mut failures: Vec<Error> = Vec::new();
    for at in (0..manifest.snapshots.len()).rev() {
        match load(layout, &manifest.snapshots[at]).map(watched) {
            Err(error) if error.code == "E-STATE-NEWER" => return Err(error),
            Err(error) => failures.push(error),
            Ok(pipeline) if failures.is_empty() => return Ok(pipeline),
            Ok(pipeline) => {
                let since: Vec<_> = manifest.snapshots[at..].iter().collect();
                return mend(pipeline, &since, layout, job, placed, (&failures, notes));
            }
        }
    }
    let beginning = beginning();
    let all: Vec<_> = std::iter::once(&beginning).chain(&manifest.snapshots).collect();
    mend(watched(new_pipeline(job)?), &all, layout, job, placed, (&failures, notes))
}

/// Where every pipeline began.
fn beginning() -> SnapshotEntry {
    SnapshotEntry {
        epoch: 0,
        name: String::new(),
        model: String::new(),
        positions: Positions::default(),
        order: Order::default(),
        counters: Counters::default(),
        edits: 0,
    }
}

/// Learns again what the damaged snapshots behind the first of these commits held, and says so.
fn mend(
    pipeline: Pipeline,
    commits: &[&SnapshotEntry],
    layout: &Layout,
    job: &Job,
    placed: &[PlacedEdit],
    (failures, notes): (&[Error], &mut Vec<String>),
) -> Result<Pipeline> {
    let pipeline = learn_again(pipeline, commits, layout, job, placed)
        .map_err(|error| failures.iter().fold(error, |error, failure| error.cause(&failure.message)))?;
    let (from, to) = (commits[0], commits[commits.len() - 1]);
    let source = if from.epoch == 0 { "made anew".into() } else { format!("restored from commit {}", from.epoch) };
    let rows = to.counters.rows - from.counters.rows;
    notes.push(format!("the snapshot of commit {} is damaged; the model was {source} and {rows} rows learnt again", to.epoch));
    Ok(pipeline)
}

fn new_pipeline(job: &Job) -> Result<Pipeline> {
    let pipeline = Pipeline::new(&job.model).map_err(|error| Error::new(ErrorKind::Invalid, "E-MODEL", error.to_string()))?;
    Ok(pipeline.keeping(job.keep.names()).with_window(job.rules.duplicates))
}

pub(super) fn load(layout: &Layout, entry: &SnapshotEntry) -> Result<Pipeline> {
    let path = layout.snapshots().join(&entry.name);
    let model = snapshots::read(&path)?;
    if snapshots::hash(&model) != entry.model {
        return Err(damaged(&path, &"it is not the snapshot that was committed"));
    }
    Pipeline::restore(&model).map_err(|error| match error {
        windrow_core::snapshot::SnapshotError::Newer { found, supported } => newer(&path, found, supported, None),
        error => damaged(&path, &error),
    })
}

/// Learns the rows between commits again, with the sinks closed: what is committed stays as it is. The snapshots on the way, which
/// are damaged, are written anew.
fn learn_again(
    mut pipeline: Pipeline,
    commits: &[&SnapshotEntry],
    layout: &Layout,
    job: &Job,
    placed: &[PlacedEdit],
) -> Result<Pipeline> {
    for step in commits.windows(2) {
        let (from, to) = (step[0], step[1]);
        let edits = usize::try_from(from.edits).expect("edits in memory")..usize::try_from(to.edits).expect("edits in memory");
        let mut edits: VecDeque<_> = placed.get(edits).unwrap_or_default().to_vec().into();
        let is_whole = learn_step(&mut pipeline, &from.positions, to, job, &mut edits)?;
        if !is_whole {
            return Err(rows_gone());
        }
        let model = pipeline.snapshot();
        if snapshots::hash(&model) != to.model {
            return Err(model_differs(to.epoch));
        }
        snapshots::write(&layout.snapshots(), &to.name, &model)?;
    }
    Ok(pipeline)
}

/// What was learnt cannot be read again.
pub(crate) fn rows_gone() -> Error {
    let message = "the rows between the last good snapshot and the last commit are gone from the inputs";
    Error::new(ErrorKind::Data, "E-ROWS-GONE", message).hint(WAYS_OUT)
}

/// Learning again did not give what is committed.
pub(crate) fn model_differs(epoch: u64) -> Error {
    let message = format!(
        "learning the rows of commit {epoch} again gave another model: the inputs have changed, or another version learnt them"
    );
    Error::new(ErrorKind::Data, "E-MODEL-DIFFERS", message).hint(WAYS_OUT)
}

/// Learns from one commit's positions up to the next one's. False when the rows are not there any more.
fn learn_step(
    pipeline: &mut Pipeline,
    from: &Positions,
    to: &SnapshotEntry,
    job: &Job,
    edits: &mut VecDeque<PlacedEdit>,
) -> Result<bool> {
    let (order, to) = (to.order(), &to.positions);
    let mut reached = to.at_start();
    for (source, from) in reached.sources.iter_mut().zip(&from.sources) {
        (source.offset, source.rows) = (from.offset, from.rows);
    }
    let mut outcome = Outcome::default();
    let rows = |positions: &Positions| positions.sources.iter().map(|source| source.rows).sum::<u64>();
    if rows(&reached) == rows(to) {
        // Moved on all the same: over messages that were gone before they were read, or over a header.
        reached.clone_from(to);
    } else {
        let reader = inputs::start_again(job, &mut reached, &order, &Control::default())?;
        let mut blocks = Blocks::new(pipeline.block_len());
        blocks.follow(&order);
        for event in reader.events() {
            let batch = match event {
                Event::Batch(batch) => batch,
                Event::Failed(error) => return Err(error),
                Event::End => break,
            };
            blocks.push(*batch, |block| {
                block.advance(&mut reached);
                let mut prepared = block.prepared;
                pipeline.sift(&mut prepared);
                for piece in cut::at_edits(prepared, pipeline.position(), edits) {
                    apply(pipeline, piece.edits, &mut outcome);
                    pipeline.learn(&piece.prepared, &mut outcome);
                }
                Ok(())
            })?;
        }
    }
    apply(pipeline, edits.drain(..), &mut outcome);
    let places = |positions: &Positions| -> Vec<_> {
        positions.sources.iter().take(to.sources.len()).map(|source| (source.offset, source.rows)).collect()
    };
    Ok(places(&reached) == places(to))
}

fn apply(pipeline: &mut Pipeline, edits: impl IntoIterator<Item = PlacedEdit>, outcome: &mut Outcome) {
    for edit in edits {
        // An edit that was refused then is refused again, and changed nothing either time.
        let _ = pipeline.edit(&edit.edit, &mut outcome.lineage);
    }
}
