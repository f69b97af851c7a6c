//! What the loop does with a batch and at a roll.

use std::collections::VecDeque;
use std::time::Duration;

use windrow_core::pipeline::{Outcome, Pipeline};

use crate::batch::Batch;
use crate::checkpoint::edits::PlacedEdit;
use crate::checkpoint::{Opened, Point, Store};
use crate::clock::Clock;
use crate::error::Result;
use crate::failpoint::failpoint;
use crate::observe::{Counters, Progress};
use crate::run::{Ended, Job, Roll, Summary, cut, inputs};
use crate::sink::{Sink, Staged};
use crate::source::Positions;

/// The loop's own things: the model and how far it has come.
pub(super) struct Work<'a> {
    store: Store,
    pipeline: Pipeline,
    pending: VecDeque<PlacedEdit>,
    inputs: Vec<String>,
    columns: String,
    positions: Positions,
    sink: &'a mut dyn Sink,
    clock: &'a dyn Clock,
    run: Counters,
    total: Counters,
    edits: u64,
    started: Duration,
    rolled: Duration,
    notes: Vec<String>,
}

impl<'a> Work<'a> {
    /// Work on a state just opened, at `positions` (the committed ones, and sources found since).
    pub(super) fn new(job: &Job, opened: Opened, positions: Positions, sink: &'a mut dyn Sink, clock: &'a dyn Clock) -> Self {
        let Opened { store, pipeline, pending, notes } = opened;
        let manifest = store.manifest();
        let inputs = if job.inputs.is_empty() { manifest.inputs.clone() } else { inputs::absolute(&job.inputs) };
        let (total, edits) = (manifest.counters.clone(), manifest.edits);
        let started = clock.elapsed();
        Self {
            store,
            pipeline,
            pending,
            inputs,
            columns: job.columns.clone(),
            positions,
            sink,
            clock,
            run: Counters::default(),
            total,
            edits,
            started,
            rolled: started,
            notes,
        }
    }

    /// Takes edits out of the inbox, unless older ones still wait for their position.
    pub(super) fn take_edits(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            return Ok(());
        }
        let taken = self.store.edits().take(self.pipeline.position(), &mut self.notes)?;
        if !taken.is_empty() {
            self.apply(&taken)?;
            failpoint!("after-edit-applied");
            self.store.edits().settle(&taken)?;
        }
        Ok(())
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
        self.sink.stage(Staged { epoch: self.store.next_epoch(), outcome, ..Staged::default() })
    }

    /// Learns a batch, stages it and says how it stands.
    pub(super) fn learn(&mut self, batch: Batch, observer: &mut dyn FnMut(&Progress<'_>)) -> Result<()> {
        let Batch { span, prepared } = batch;
        cut::advance(&mut self.positions, &span, prepared.n_rows);
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
            observer(&Progress {
                run: &self.run,
                total: &self.total,
                epoch: self.store.manifest().epoch,
                committed_rows: self.store.manifest().counters.rows,
                lineage: &outcome.lineage,
                elapsed: self.elapsed(),
                pipeline: &self.pipeline,
                positions: &self.positions,
            });
            self.sink.stage(Staged { epoch: self.store.next_epoch(), prepared, outcome })?;
        }
        Ok(())
    }

    pub(super) fn is_due(&self, roll: &Roll) -> bool {
        let manifest = self.store.manifest();
        let rows = self.total.rows - manifest.counters.rows;
        (rows > 0 || self.edits != manifest.edits)
            && (rows >= roll.rows
                || self.sink.staged_bytes() >= roll.bytes
                || self.clock.elapsed().saturating_sub(self.rolled) >= roll.age)
    }

    /// Commits everything learnt so far.
    pub(super) fn roll(&mut self) -> Result<()> {
        let at = Point {
            inputs: &self.inputs,
            columns: &self.columns,
            positions: &self.positions,
            counters: &self.total,
            edits: self.edits,
            now: self.clock.now(),
        };
        self.store.commit(self.sink, &self.pipeline, at)?;
        self.rolled = self.clock.elapsed();
        Ok(())
    }

    /// Applies the edits whose position is reached, and commits if there is anything new. An input that was read through before it came
    /// to an edit's position has changed: the edit then counts from here on.
    pub(super) fn finish(&mut self, read_through: bool) -> Result<()> {
        let position = self.pipeline.position();
        let mut due = Vec::new();
        while let Some(edit) = self.pending.pop_front_if(|edit| read_through || edit.position <= position) {
            due.push(edit);
        }
        self.apply(&due)?;
        self.take_edits()?;
        let manifest = self.store.manifest();
        let is_new = manifest.epoch == 0 || self.edits != manifest.edits || self.positions != manifest.positions;
        if is_new { self.roll() } else { Ok(()) }
    }

    pub(super) fn summary(&self, ended: Ended) -> Summary {
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
