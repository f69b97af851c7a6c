//! Evaluation: how well the decisions at arrival agree with known labels, and how fast they come.
//!
//! Prequential: each page is scored by the decision that it got when it came, as topics and Parquet have it, never by a later one.
//! Rows without a label are learnt and not scored. Nothing is written.
//!
//! ```text
//! open ─ arranged (shuffled in windows, mixed with other rows) ─ read::spawn ─ Pipeline::learn ─ ids beside labels ─ scores
//! ```

mod arrange;
mod labels;

use std::path::PathBuf;
use std::time::Duration;

use windrow_core::clean::Rules;
use windrow_core::cluster::ModelSettings;
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::{Outcome, Pipeline, Prepared};
use windrow_core::quality::{Scores, score};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::read;
use crate::run::block::{Block, Blocks};
use crate::source::{self, Asked, Limits, Positions, Source, Wanted};

use arrange::{Arranged, MIXED_IN};
use labels::Labels;

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
    /// Rows that run between those of the inputs: learnt, never scored.
    pub mix: Option<Mix>,
    /// Rows of a window whose order is drawn by chance; 0 or 1 for the order as given.
    pub shuffle_window: usize,
    /// Rows of the inputs to take; none for all.
    pub limit: Option<u64>,
    /// Settings of the model; their seed also draws the order.
    pub model: ModelSettings,
    /// Weights of the fields.
    pub weights: FieldWeights,
    /// Which rows are wanted.
    pub rules: Rules,
    /// Threads that parse and prepare, at least 1.
    pub threads: usize,
    /// Memory that rows in flight may take.
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
    /// Rows read, those mixed in included.
    pub rows: u64,
    /// Rows that were rejected.
    pub rejects: u64,
    /// Rows scored.
    pub scored: u64,
    /// Time from the first row read to the last page learnt.
    pub elapsed: Duration,
    /// Agreement of the micro-clusters with the labels.
    pub micro: Scores,
    /// Agreement of the clusters with the labels.
    pub cluster: Scores,
    /// Micro-clusters alive at the end.
    pub alive: u64,
}

/// Learns all rows and scores the decisions. `observer` is called after every batch with rows learnt and time since the start.
pub fn eval(job: &EvalJob, clock: &dyn Clock, observer: &mut dyn FnMut(u64, Duration)) -> Result<Report> {
    let mut pipeline =
        Pipeline::new(&job.model).map_err(|error| Error::new(ErrorKind::Invalid, "E-MODEL", error.to_string()))?;
    let mut labels = Labels::read(job)?;
    let budget = usize::try_from(job.memory_bytes / 4).unwrap_or(usize::MAX);
    let start = clock.elapsed();
    let reader = read::spawn(open(job)?, (&job.weights, &job.rules), job.threads, budget)?;
    let (mut rows, mut rejects) = (0, 0);
    let mut ids = Ids::default();
    let mut outcome = Outcome::default();
    let mut blocks = Blocks::new(pipeline.block_len());
    let mut learn = |Block { mut prepared, .. }: Block| {
        pipeline.sift(&mut prepared);
        pipeline.learn(&prepared, &mut outcome);
        rows += prepared.n_rows;
        rejects += prepared.rejects.len() as u64;
        ids.take(&prepared, &outcome, &mut labels);
        observer(rows, clock.elapsed() - start);
        Ok(())
    };
    for event in reader.events() {
        match event {
            Event::Batch(batch) => blocks.push(*batch, &mut learn)?,
            Event::Failed(error) => return Err(error),
            Event::End => break,
        }
    }
    blocks.end().map_or(Ok(()), learn)?;
    let elapsed = clock.elapsed() - start;
    if ids.label.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "E-LABELS", "no row has a label")
            .hint("labels belong to rows by their column `id`: is it the labels file of this input?"));
    }
    Ok(Report {
        rows,
        rejects,
        scored: ids.label.len() as u64,
        elapsed,
        micro: score(&ids.label, &ids.micro),
        cluster: score(&ids.label, &ids.cluster),
        alive: pipeline.summary().micro_clusters.len() as u64,
    })
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
}

fn open(job: &EvalJob) -> Result<Box<dyn Source>> {
    let input = open_inputs(&job.inputs, job)?;
    if job.shuffle_window < 2 && job.mix.is_none() && job.limit.is_none() {
        return Ok(input);
    }
    let mixed = match &job.mix {
        Some(mix) => Some((open_inputs(&mix.inputs, job)?, mix.ratio)),
        None => None,
    };
    Ok(Box::new(Arranged::new(input, mixed, job.shuffle_window, job.limit, job.model.seed)?))
}

fn open_inputs(inputs: &[String], job: &EvalJob) -> Result<Box<dyn Source>> {
    let limits = Limits::of_records(job.max_record_bytes).unpacking(job.max_unpacked);
    let wanted = Wanted::once(inputs, &job.columns, job.files, limits);
    Ok(source::open(wanted, &mut Positions::default())?.take())
}

#[cfg(test)]
mod tests;
