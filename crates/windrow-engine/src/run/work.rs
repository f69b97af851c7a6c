//! What the loop does with a batch and at a roll.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use windrow_core::lineage::LineageEvent;
use windrow_core::pipeline::{Outcome, Pipeline, Prepared};
use xxhash_rust::xxh3::Xxh3;

use crate::batch::Batch;
use crate::checkpoint::edits::PlacedEdit;
use crate::checkpoint::{Opened, Point, Store, recovery};
use crate::clock::Clock;
use crate::disk::Room;
use crate::error::Result;
use crate::failpoint::failpoint;
use crate::kafka::commits::{Commit, MOST_SINCE_ROLL};
use crate::kafka::mirror::Mirror;
use crate::observe::{CommitTimes, Counters, Observer, Progress};
use crate::read::Reader;
use crate::run::block::{Block, Blocks};
use crate::run::forecast::{Forecast, Prospect};
use crate::run::inputs::Again;
use crate::run::waits::Waits;
use crate::run::{Control, Ended, Job, Roll, Summary, cut, inputs};
use crate::sink::{Sink, Staged};
use crate::source::{self, Order, Positions};

/// Steps of the order after which a roll is due: more would make restarts slow, and manifests long.
const MOST_STEPS: usize = 20_000;
/// Notes that a run remembers.
const MOST_NOTES: usize = 100;

/// The epoch that is open.
struct Epoch {
    number: u64,
    /// What was learnt in it.
    order: Order,
    /// When its first batch was staged.
    began: Option<Duration>,
}

/// Adds what was decided to a running hash.
fn hash(prepared: &Prepared, outcome: &Outcome, decisions: &mut Xxh3) {
    // Put together first: many small pieces take the hash four times as long.
    let mut bytes = Vec::with_capacity(37 * outcome.decisions.len());
    for (origin, decision) in prepared.pages.origin.iter().zip(&outcome.decisions) {
        bytes.extend_from_slice(&origin.source.to_le_bytes());
        bytes.extend_from_slice(&origin.offset.to_le_bytes());
        bytes.extend_from_slice(&decision.cluster.to_le_bytes());
        bytes.extend_from_slice(&decision.slot.to_le_bytes());
        bytes.extend_from_slice(&decision.micro_cluster.to_le_bytes());
        bytes.push(u8::from(decision.novel));
        bytes.extend_from_slice(&decision.score.to_le_bytes());
    }
    decisions.update(&bytes);
}

/// The loop's own things: the model and how far it has come.
pub(super) struct Work<'a> {
    store: Store,
    pipeline: Pipeline,
    /// Rows that have not come to a block; since when the first of them waits, and how long it may.
    blocks: Blocks,
    waiting: Option<Duration>,
    longest_wait: Option<Duration>,
    pending: VecDeque<PlacedEdit>,
    inputs: Vec<String>,
    columns: String,
    positions: Positions,
    /// Names of the sources by ordinal.
    sources: Arc<[String]>,
    /// What was learnt since the last roll: its order, and a hash of its decisions.
    order: Order,
    decisions: Xxh3,
    epoch: Epoch,
    sink: &'a mut dyn Sink,
    /// Where rolls are mirrored that no transaction tells of.
    mirror: Option<Mirror>,
    clock: &'a dyn Clock,
    run: Counters,
    total: Counters,
    commits: CommitTimes,
    edits: u64,
    started: Duration,
    rolled: Duration,
    notes: Vec<String>,
    /// What is known of the rest of the run, where anything can be.
    prospect: Option<Prospect>,
}

impl<'a> Work<'a> {
    /// Looks how much there is to read, and whether there is room for what comes of it. Tells when there is not.
    pub(super) fn expect(&mut self, room: &Room) -> Option<Forecast> {
        self.prospect = Prospect::new(&self.positions, room);
        let (now, store) = (self.clock.now(), &self.store);
        self.prospect.as_mut()?.look_back(store.manifest(), store.layout(), now)
    }

    /// Tells what the rest needs, once that is known.
    pub(super) fn look_ahead(&mut self) -> Option<Forecast> {
        let (staged, elapsed, now) = (self.sink.staged_bytes(), self.elapsed(), self.clock.now());
        self.prospect.as_mut()?.look_ahead(&self.positions, staged, elapsed, now)
    }

    /// From here on rows count for this run, which may have begun in an earlier attempt.
    pub(super) fn begin(&mut self, before: &mut Option<Counters>) {
        let before = before.get_or_insert_with(|| self.total.clone());
        self.run = self.total.since(before);
    }

    /// Work on a state just opened.
    pub(super) fn new(job: &Job, opened: Opened, sink: &'a mut dyn Sink, clock: &'a dyn Clock) -> Self {
        let Opened { store, pipeline, pending, notes } = opened;
        let manifest = store.manifest();
        let names = inputs::names_of(job);
        let inputs = if names.is_empty() { manifest.inputs.clone() } else { names };
        let (total, edits) = (manifest.counters.clone(), manifest.edits);
        let positions = manifest.positions.clone();
        let epoch = Epoch { number: manifest.epoch + 1, order: Order::default(), began: None };
        let started = clock.elapsed();
        let mirrored = job.topic.as_ref().filter(|_| job.output.is_none());
        let mirror = mirrored.and_then(|topic| Mirror::open(&topic.keys, &manifest.pipeline).ok());
        Self {
            store,
            blocks: Blocks::new(pipeline.block_len()),
            waiting: None,
            longest_wait: job.longest_wait(),
            pipeline,
            pending,
            inputs,
            columns: job.columns.clone(),
            sources: inputs::names(&positions).into(),
            positions,
            order: Order::default(),
            decisions: Xxh3::new(),
            epoch,
            sink,
            mirror,
            clock,
            run: Counters::default(),
            total,
            commits: CommitTimes::default(),
            edits,
            started,
            rolled: started,
            notes,
            prospect: None,
        }
    }

    /// Takes edits out of the inbox. Older ones that wait for their position come first: those that have reached it are applied, as before
    /// the next row, which may be long in coming.
    pub(super) fn take_edits(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            return self.apply_due(self.pipeline.position());
        }
        let taken = self.store.edits().take(self.pipeline.position(), &mut self.notes)?;
        if !taken.is_empty() {
            self.apply(&taken)?;
            failpoint!("after-edit-applied");
            self.store.edits().settle(&taken)?;
        }
        Ok(())
    }

    /// Applies those that wait for a position up to this one.
    fn apply_due(&mut self, position: u64) -> Result<()> {
        let mut due = Vec::new();
        while let Some(edit) = self.pending.pop_front_if(|edit| edit.position <= position) {
            due.push(edit);
        }
        self.apply(&due)
    }

    /// Applies edits that are in the log, and stages what they did.
    fn apply(&mut self, edits: &[PlacedEdit]) -> Result<()> {
        let mut outcome = Outcome::default();
        for edit in edits {
            if let Err(error) = self.pipeline.edit(&edit.edit, &mut outcome.lineage) {
                self.store.edits().refuse(edit, &error.to_string())?;
                self.notes.push(format!("the edit {} was refused: {error}", edit.request));
            }
        }
        self.edits += edits.len() as u64;
        if outcome.lineage.is_empty() {
            return Ok(());
        }
        self.stage(Prepared::default(), outcome)
    }

    fn stage(&mut self, prepared: Prepared, outcome: Outcome) -> Result<()> {
        self.epoch.began.get_or_insert_with(|| self.clock.elapsed());
        let (epoch, at, sources) = (self.epoch.number, self.clock.now(), Arc::clone(&self.sources));
        self.sink.stage(Staged { epoch, at, sources, prepared, outcome })
    }

    /// Learns what a batch brings to whole blocks.
    pub(super) fn learn(&mut self, batch: Batch, observer: &mut Observer<'_>) -> Result<()> {
        let mut blocks = std::mem::replace(&mut self.blocks, Blocks::new(0));
        let learnt = blocks.push(batch, |block| self.learn_block(block, observer));
        self.waiting = self.waiting.filter(|_| blocks.is_waiting());
        if blocks.is_waiting() {
            self.waiting.get_or_insert_with(|| self.clock.elapsed());
        }
        self.blocks = blocks;
        learnt
    }

    /// Ends the block that is under way: no more rows come to it.
    pub(super) fn end_block(&mut self, observer: &mut Observer<'_>) -> Result<()> {
        self.waiting = None;
        let block = self.blocks.end();
        block.map_or(Ok(()), |block| self.learn_block(block, observer))
    }

    /// The same, if its first row has waited for long enough.
    pub(super) fn end_late_block(&mut self, observer: &mut Observer<'_>) -> Result<()> {
        let has_waited = |since: Duration| self.clock.elapsed().saturating_sub(since);
        let is_late = self.waiting.zip(self.longest_wait).is_some_and(|(since, longest)| has_waited(since) >= longest);
        if is_late { self.end_block(observer) } else { Ok(()) }
    }

    /// Learns a block, stages it and says how it stands.
    fn learn_block(&mut self, block: Block, observer: &mut Observer<'_>) -> Result<()> {
        block.advance(&mut self.positions);
        block.note(&mut self.epoch.order);
        let mut prepared = block.prepared;
        self.pipeline.sift(&mut prepared);
        for piece in cut::at_edits(prepared, self.pipeline.position(), &mut self.pending) {
            if !piece.edits.is_empty() {
                self.apply(&piece.edits)?;
            }
            let prepared = piece.prepared;
            let mut outcome = Outcome::default();
            self.pipeline.learn(&prepared, &mut outcome);
            failpoint!("after-learn");
            self.run.count(&prepared, &outcome);
            self.total.count(&prepared, &outcome);
            self.tell(&outcome.lineage, observer);
            hash(&prepared, &outcome, &mut self.decisions);
            self.stage(prepared, outcome)?;
        }
        Ok(())
    }

    /// Says how it stands.
    pub(super) fn tell(&self, lineage: &[LineageEvent], observer: &mut Observer<'_>) {
        observer(&Progress {
            run: &self.run,
            total: &self.total,
            epoch: self.store.manifest().epoch,
            committed_rows: self.store.manifest().counters.rows,
            commits: &self.commits,
            lineage,
            elapsed: self.elapsed(),
            forecast: self.prospect.as_ref().and_then(Prospect::told),
            pipeline: &self.pipeline,
            positions: &self.positions,
        });
    }

    /// Whether the open epoch has lasted long enough.
    pub(super) fn is_epoch_due(&self, length: Duration) -> bool {
        self.epoch.began.is_some_and(|began| self.clock.elapsed().saturating_sub(began) >= length)
    }

    /// Ends the open epoch: where topics are written, it is committed while learning goes on.
    pub(super) fn end_epoch(&mut self) -> Result<()> {
        let order = std::mem::take(&mut self.epoch.order);
        self.order.append(&order);
        self.sink.end_epoch(Commit {
            order,
            positions: self.positions.sources.iter().map(|source| (source.name.clone(), source.offset)).collect(),
            counters: self.total.clone(),
            edits: self.edits,
            decisions: self.decisions_so_far(),
            written_at: self.clock.now(),
            ..Commit::new(&self.store.manifest().pipeline, self.epoch.number)
        })?;
        self.epoch.number += 1;
        self.epoch.began = None;
        Ok(())
    }

    fn decisions_so_far(&self) -> String {
        format!("{:016x}", self.decisions.digest())
    }

    pub(super) fn is_due(&self, roll: &Roll) -> bool {
        let manifest = self.store.manifest();
        let rows = self.total.rows - manifest.counters.rows;
        let epochs = self.epoch.number - manifest.epoch;
        (rows > 0 || self.edits != manifest.edits)
            && (rows >= roll.rows
                || epochs > MOST_SINCE_ROLL
                || self.order.len() >= MOST_STEPS
                || self.sink.staged_bytes() >= roll.bytes
                || self.clock.elapsed().saturating_sub(self.rolled) >= roll.age)
    }

    /// Commits everything learnt so far.
    pub(super) fn roll(&mut self) -> Result<()> {
        if self.epoch.began.is_some() || self.epoch.number == self.store.manifest().epoch + 1 {
            self.end_epoch()?;
        }
        let began = self.clock.elapsed();
        let at = Point {
            epoch: self.epoch.number - 1,
            inputs: &self.inputs,
            columns: &self.columns,
            positions: &self.positions,
            order: &self.order,
            counters: &self.total,
            edits: self.edits,
            now: self.clock.now(),
        };
        let epoch = at.epoch;
        self.store.commit(self.sink, &self.pipeline, at)?;
        if let Some(prospect) = &mut self.prospect {
            let rolled = self.store.manifest().files.iter().rev().take_while(|file| file.epoch == epoch);
            prospect.add(rolled.map(|file| file.bytes).sum());
        }
        self.order = Order::default();
        self.decisions = Xxh3::new();
        self.rolled = self.clock.elapsed();
        self.commits.add(self.rolled.saturating_sub(began));
        if let Some(mirror) = &mut self.mirror {
            mirror.commit(&self.positions);
        }
        Ok(())
    }

    /// Learns again what was committed behind the last roll, in the order in which it was, and looks whether it gives the same. Tells when
    /// the run was asked to end before that: all that was learnt is committed as it is.
    pub(super) fn learn_again(
        &mut self,
        commits: &[Commit],
        job: &Job,
        control: &Control,
        observer: &mut Observer<'_>,
    ) -> Result<Option<Ended>> {
        let mut order = Order::default();
        commits.iter().for_each(|commit| order.append(&commit.order));
        let mut from = self.positions.clone();
        let reader = if order.is_empty() { None } else { Some(inputs::start_again(job, &mut from, &order, control)?) };
        for commit in commits {
            self.blocks.follow(&commit.order);
            while let Some((source, offset)) = commit.order.end()
                && self.positions.sources.get(source as usize).is_none_or(|source| source.offset < offset)
            {
                match reader.as_ref().map_or(Ok(Again::End), |reader| inputs::next_again(reader, control))? {
                    Again::Batch(batch) => self.learn(*batch, observer)?,
                    Again::End => return Err(recovery::rows_gone()),
                    Again::Asked(ended) => {
                        self.total = commits.last().map_or(Counters::default(), |last| last.counters.clone());
                        return Ok(Some(ended));
                    }
                }
            }
            let n_edits = usize::try_from(commit.edits.saturating_sub(self.edits)).expect("edits in memory");
            let edits: Vec<_> = self.pending.drain(..n_edits.min(self.pending.len())).collect();
            self.apply(&edits)?;
            // Commits of programs that did not watch count no alarms.
            let alarms = if commit.counters.alarms == 0 { 0 } else { self.total.alarms };
            let total = Counters { alarms, ..self.total.clone() };
            if self.decisions_so_far() != commit.decisions || total != commit.counters {
                return Err(recovery::model_differs(commit.epoch));
            }
            self.end_epoch()?;
        }
        Ok(None)
    }

    /// Opens the inputs where they stand. What a new pipeline or a new source is must be committed before anything is visible of it, and
    /// so must a jump over messages that are gone: nobody could learn again across it.
    pub(super) fn start(&mut self, job: &Job, waits: &Waits) -> Result<Reader> {
        let given_before = self.store.manifest().inputs.clone();
        let (reader, notes) = self.open(job, &given_before, waits)?;
        self.notes.extend(notes);
        Ok(reader)
    }

    /// Opens the inputs anew, as they are by now. A run may go on for long: what there is to say is said at once.
    pub(super) fn start_anew(&mut self, job: &Job, waits: &Waits) -> Result<Reader> {
        let given_before = self.inputs.clone();
        let (reader, notes) = self.open(job, &given_before, waits)?;
        for note in notes {
            if !self.notes.contains(&note) {
                waits.note(&note);
                self.notes.push(note);
            }
        }
        let n_old = self.notes.len().saturating_sub(MOST_NOTES);
        self.notes.drain(..n_old);
        Ok(reader)
    }

    /// What followed files hold that is left for the next run.
    pub(super) fn tell_left(&mut self, job: &Job) {
        if job.follow {
            self.notes.extend(source::left(&self.positions));
        }
    }

    fn open(&mut self, job: &Job, given_before: &[String], waits: &Waits) -> Result<(Reader, Vec<String>)> {
        let (before, mut notes) = (self.positions.clone(), Vec::new());
        let reader = inputs::start(job, given_before, &mut self.positions, waits, &mut notes)?;
        self.sources = inputs::names(&self.positions).into();
        let is_new = self.store.manifest().epoch == 0 || before != self.positions;
        if is_new && (job.topic.is_some() || job.output.is_some()) {
            self.roll()?;
        }
        Ok((reader, notes))
    }

    /// Asks not to wait long for brokers any more.
    pub(super) fn hurry(&mut self) {
        self.sink.hurry();
    }

    /// Applies the edits whose position is reached, and commits if there is anything new. An input that was read through before it came
    /// to an edit's position has changed: the edit then counts from here on.
    pub(super) fn finish(&mut self, read_through: bool) -> Result<()> {
        self.apply_due(if read_through { u64::MAX } else { self.pipeline.position() })?;
        self.take_edits()?;
        let manifest = self.store.manifest();
        let is_new = manifest.epoch == 0 || self.edits != manifest.edits || self.positions != manifest.positions;
        if is_new { self.roll() } else { Ok(()) }
    }

    pub(super) fn summary(&mut self, ended: Ended) -> Summary {
        self.notes.extend(self.mirror.take().and_then(Mirror::finish));
        Summary {
            ended,
            run: self.run.clone(),
            total: self.total.clone(),
            epoch: self.store.manifest().epoch,
            notes: self.notes.clone(),
            elapsed: self.elapsed(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.started)
    }
}
