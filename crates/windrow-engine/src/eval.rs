//! Evaluation: how well the decisions at arrival agree with known labels, and how fast they come.
//!
//! Prequential: each page is scored by the decision that it got when it came, as topics and Parquet have it, never by a later one.
//! Rows without a label are learnt and not scored. Nothing is written.
//!
//! A **trial** is one model, begun empty, that learns the rows in one order with one seed. An evaluation makes all trials that are asked
//! for, one after the other, each of which reads the inputs again, and holds them beside each other.
//!
//! ```text
//! open ─ arranged (shuffled, sorted, in bursts, mixed with other rows) ─ read::spawn ─ Pipeline::learn ─ ids beside labels ─ scores
//! ```

mod arrange;
mod labels;
mod spread;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use windrow_core::clean::Rules;
use windrow_core::cluster::ModelSettings;
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::{Outcome, Pipeline, Prepared};
use windrow_core::quality::{Scores, score};

use crate::batch::Batch;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::read;
use crate::run::block::{Block, Blocks};
use crate::source::pipe::STDIN;
use crate::source::{self, Asked, Limits, Positions, Source, Wanted};

pub use arrange::{Order, Sequence};
pub use spread::{Cost, Level, Spread, Summary};

use arrange::{Arranged, MIXED_IN, Plan};
use labels::{Labelled, Labels};

/// Windows that the scored rows are cut into, if nothing else is asked for, and the least rows of one.
const WINDOWS: usize = 20;
const LEAST_WINDOW: usize = 500;

/// What to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalJob {
    /// Files, globs, directories, or `generator:…`.
    pub inputs: Vec<String>,
    /// What the inputs call our columns, where they differ: `url=landing_page,title=name`.
    pub columns: String,
    /// How files are written, as far as it is said.
    pub files: Asked,
    /// File of `id,label`; none for inputs that know their labels.
    pub labels: Option<PathBuf>,
    /// Rows that run between those of the inputs: learnt, never scored. For orders that are diluted.
    pub mix: Option<Mix>,
    /// Algorithms to hold beside each other.
    pub models: Vec<String>,
    /// Orders of the rows.
    pub orders: Vec<Order>,
    /// Trials of each model and order, with seeds that count up from that of `model`.
    pub seeds: u32,
    /// Rows of a window that is shuffled.
    pub shuffle_window: usize,
    /// Rows of the longest burst.
    pub burst: usize,
    /// Scored rows of a window of the scores over time; none for a twentieth of them, 500 at least.
    pub window: Option<usize>,
    /// Rows of the inputs to take; none for all.
    pub limit: Option<u64>,
    /// Settings of the models; the seed also draws the order.
    pub model: ModelSettings,
    /// Weights of the fields.
    pub weights: FieldWeights,
    /// Which rows are wanted.
    pub rules: Rules,
    /// Threads that parse and prepare, at least 1.
    pub threads: usize,
    /// Memory that rows in flight may take, and twice what may be held of rows that are put into another order.
    pub memory_bytes: u64,
    /// Bytes of the longest record.
    pub max_record_bytes: u64,
    /// Bytes that may come of one of a compressed file's; 0 for any number.
    pub max_unpacked: u64,
}

/// Rows that run between those of the inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// Files, repeated as needed.
    pub inputs: Vec<String>,
    /// Their rows for each row of the inputs.
    pub ratio: u32,
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// By model, then order, then seed.
    pub trials: Vec<Trial>,
    /// By model, then order.
    pub summaries: Vec<Summary>,
}

/// What one model made of one order.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The algorithm.
    pub model: String,
    /// The order.
    pub order: Order,
    /// The seed.
    pub seed: u64,
    /// Rows read, those mixed in included.
    pub rows: u64,
    /// Rows that were rejected.
    pub rejects: u64,
    /// Rows scored.
    pub scored: u64,
    /// Distinct labels among them.
    pub labels: u64,
    /// Time from the first row read to the last page learnt.
    pub elapsed: Duration,
    /// Agreement of the micro-clusters with the labels.
    pub micro: Scores,
    /// Agreement of the clusters with the labels.
    pub cluster: Scores,
    /// Micro-clusters alive at the end.
    pub alive: u64,
    /// The scores over time.
    pub windows: Vec<Window>,
}

/// The scores of a stretch of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Scored rows before it.
    pub from: u64,
    /// Scored rows.
    pub rows: u64,
    /// Distinct labels among them.
    pub labels: u64,
    /// Of the micro-clusters.
    pub micro: Scores,
    /// Of the clusters.
    pub cluster: Scores,
}

/// How far an evaluation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The trial, from 1 on, and how many there are.
    pub trial: (usize, usize),
    /// Rows that all trials have learnt so far.
    pub rows: u64,
    /// Time since the first one began.
    pub elapsed: Duration,
}

/// Makes all trials and scores their decisions. `observer` is called after every batch.
///
/// # Errors
/// What reading gives; `E-MODEL`, `E-LABELS`; `E-EVAL-MEMORY`: rows that must be held take too much; `E-EVAL-MIX`: an order is to be
/// diluted and there is nothing to mix in; `E-INPUT-STDIN`: it would have to be read again.
pub fn eval(job: &EvalJob, clock: &dyn Clock, observer: &mut dyn FnMut(Standing)) -> Result<Report> {
    check(job)?;
    let mut labels = Labels::read(job)?;
    let labelled: Arc<[Labelled]> =
        if job.orders.iter().any(|order| order.needs_labels()) { labelled(job, &mut labels)?.into() } else { Arc::default() };
    let settings: Vec<(ModelSettings, Order)> = settings(job).collect();
    let mut trials: Vec<Trial> = Vec::with_capacity(settings.len());
    let begin = clock.elapsed();
    for (at, (model, order)) in settings.iter().enumerate() {
        let source = open(job, *order, &labelled, model.seed)?;
        let before: u64 = trials.iter().map(|trial| trial.rows).sum();
        let mut observe = |rows| {
            let trial = (at + 1, settings.len());
            observer(Standing { trial, rows: before + rows, elapsed: clock.elapsed() - begin });
        };
        trials.push(trial(job, (model, *order), source, &mut labels, clock, &mut observe)?);
    }
    Ok(Report { summaries: spread::summaries(&trials), trials })
}

/// Settings and order of every trial.
fn settings(job: &EvalJob) -> impl Iterator<Item = (ModelSettings, Order)> {
    let seeds = 0..u64::from(job.seeds.max(1));
    job.models.iter().flat_map(move |kind| {
        let seeds = seeds.clone();
        job.orders.iter().flat_map(move |order| {
            seeds.clone().map(move |more| {
                let seed = job.model.seed.wrapping_add(more);
                (ModelSettings { kind: kind.clone(), seed, ..job.model.clone() }, *order)
            })
        })
    })
}

/// What can be said before anything is read.
fn check(job: &EvalJob) -> Result<()> {
    for kind in &job.models {
        pipeline(&ModelSettings { kind: kind.clone(), ..job.model.clone() })?;
    }
    let is_stdin = |inputs: &[String]| inputs.iter().any(|input| input == STDIN);
    let needs_labels = job.orders.iter().any(|order| order.needs_labels());
    if (is_stdin(&job.inputs) || job.mix.iter().any(|mix| is_stdin(&mix.inputs))) && (settings(job).count() > 1 || needs_labels)
    {
        let error = Error::new(ErrorKind::Invalid, "E-INPUT-STDIN", "standard input is read once, and this reads it again");
        return Err(error.hint("write it to a file first; one model, order and seed read it once"));
    }
    if job.mix.is_none() && job.orders.iter().any(|order| order.diluted) {
        let error = Error::new(ErrorKind::Invalid, "E-EVAL-MIX", "an order is to be diluted, and there is nothing to mix in");
        return Err(error.hint("give rows that run between those of the input: --mix FILE"));
    }
    Ok(())
}

fn pipeline(settings: &ModelSettings) -> Result<Pipeline> {
    Pipeline::new(settings).map_err(|error| Error::new(ErrorKind::Invalid, "E-MODEL", error.to_string()))
}

/// Learns all rows of a source and scores the decisions.
fn trial(
    job: &EvalJob,
    (model, order): (&ModelSettings, Order),
    source: Box<dyn Source>,
    labels: &mut Labels,
    clock: &dyn Clock,
    observer: &mut dyn FnMut(u64),
) -> Result<Trial> {
    let mut pipeline = pipeline(model)?;
    let start = clock.elapsed();
    let (mut rows, mut rejects) = (0, 0);
    let mut ids = Ids::default();
    let mut outcome = Outcome::default();
    let mut blocks = Blocks::new(pipeline.block_len());
    let mut learn = |Block { mut prepared, .. }: Block| {
        pipeline.sift(&mut prepared);
        pipeline.learn(&prepared, &mut outcome);
        rows += prepared.n_rows;
        rejects += prepared.rejects.len() as u64;
        ids.take(&prepared, &outcome, labels);
        observer(rows);
        Ok(())
    };
    each_batch(job, source, |batch| blocks.push(batch, &mut learn))?;
    blocks.end().map_or(Ok(()), learn)?;
    let elapsed = clock.elapsed() - start;
    if ids.label.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "E-LABELS", "no row has a label")
            .hint("labels belong to rows by their column `id`: is it the labels file of this input?"));
    }
    Ok(Trial {
        model: model.kind.clone(),
        order,
        seed: model.seed,
        rows,
        rejects,
        scored: ids.label.len() as u64,
        labels: distinct(&ids.label),
        elapsed,
        micro: score(&ids.label, &ids.micro),
        cluster: score(&ids.label, &ids.cluster),
        alive: pipeline.summary().micro_clusters.len() as u64,
        windows: ids.windows(job.window),
    })
}

/// Reads and prepares a source to its end.
fn each_batch(job: &EvalJob, source: Box<dyn Source>, mut take: impl FnMut(Batch) -> Result<()>) -> Result<()> {
    let budget = usize::try_from(job.memory_bytes / 4).unwrap_or(usize::MAX);
    let reader = read::spawn(source, (&job.weights, &job.rules), job.threads, budget)?;
    for event in reader.events() {
        match event {
            Event::Batch(batch) => take(*batch)?,
            Event::Failed(error) => return Err(error),
            Event::End => break,
        }
    }
    Ok(())
}

/// Every row that has a label, as the rows are given.
fn labelled(job: &EvalJob, labels: &mut Labels) -> Result<Vec<Labelled>> {
    let mut found = Vec::new();
    each_batch(job, open(job, Order::default(), &Arc::default(), 0)?, |batch| {
        let pages = &batch.prepared.pages;
        for (row, origin) in pages.origin.iter().enumerate() {
            let label = labels.of(pages, row);
            found.extend(label.map(|label| Labelled { origin: (origin.source, origin.offset), label }));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Label, micro-cluster and cluster of every scored row.
#[derive(Debug, Default)]
struct Ids {
    label: Vec<u64>,
    micro: Vec<u64>,
    cluster: Vec<u64>,
}

impl Ids {
    fn take(&mut self, prepared: &Prepared, outcome: &Outcome, labels: &mut Labels) {
        let pages = &prepared.pages;
        for (row, decision) in outcome.decisions.iter().enumerate() {
            if pages.origin[row].source == MIXED_IN {
                continue;
            }
            if let Some(label) = labels.of(pages, row) {
                self.label.push(label);
                self.micro.push(decision.micro_cluster);
                self.cluster.push(decision.cluster.into());
            }
        }
    }

    /// The scores of windows of `len` rows; the last may be shorter.
    fn windows(&self, len: Option<usize>) -> Vec<Window> {
        let len = len.unwrap_or_else(|| self.label.len().div_ceil(WINDOWS).max(LEAST_WINDOW)).max(1);
        let window = |from: usize| {
            let rows = from..(from + len).min(self.label.len());
            let labels = &self.label[rows.clone()];
            Window {
                from: from as u64,
                rows: labels.len() as u64,
                labels: distinct(labels),
                micro: score(labels, &self.micro[rows.clone()]),
                cluster: score(labels, &self.cluster[rows]),
            }
        };
        (0..self.label.len()).step_by(len).map(window).collect()
    }
}

fn distinct(labels: &[u64]) -> u64 {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels.dedup();
    labels.len() as u64
}

fn open(job: &EvalJob, order: Order, labels: &Arc<[Labelled]>, seed: u64) -> Result<Box<dyn Source>> {
    let input = open_inputs(&job.inputs, job)?;
    if order == Order::default() && job.limit.is_none() {
        return Ok(input);
    }
    let mixed = match &job.mix {
        Some(mix) if order.diluted => Some((open_inputs(&mix.inputs, job)?, mix.ratio)),
        _ => None,
    };
    let plan = Plan {
        sequence: order.sequence,
        limit: job.limit,
        window: job.shuffle_window,
        burst: job.burst,
        labels: Arc::clone(labels),
        seed,
        room: job.memory_bytes / 2,
    };
    Ok(Box::new(Arranged::new(input, mixed, &plan)?))
}

fn open_inputs(inputs: &[String], job: &EvalJob) -> Result<Box<dyn Source>> {
    let limits = Limits::of_records(job.max_record_bytes).unpacking(job.max_unpacked);
    let wanted = Wanted::once(inputs, &job.columns, job.files, limits);
    Ok(source::open(wanted, &mut Positions::default())?.take())
}

#[cfg(test)]
mod tests;
