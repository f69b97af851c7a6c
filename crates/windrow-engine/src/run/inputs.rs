//! What the loop reads from: a job's inputs, from any positions on and, when rows are learnt again, up to given ones.

use std::path::Path;

use crate::batch::RawBatch;
use crate::error::{Error, ErrorKind, Result};
use crate::read::{self, Reader};
use crate::run::Job;
use crate::source::{self, ColumnMap, Limits, Positions, Source};

/// The share of the memory that rows on their way to the loop may take; the rest is for model and writers.
const IN_FLIGHT: u64 = 4;

/// Opens the inputs of a job at `positions`, enters new ones there, and starts reading. Inputs of which the state knows none are
/// refused, unless they are welcome, or come from a folder or glob (`before`: the inputs given last time) that was given before.
pub(crate) fn start(job: &Job, before: &[String], positions: &mut Positions, notes: &mut Vec<String>) -> Result<Reader> {
    let known = positions.sources.len();
    let opened = source::open(&job.inputs, &columns(job)?, limits(job), positions)?;
    notes.extend(opened.warnings);
    let are_all_new = known > 0 && !opened.new.is_empty() && opened.new.len() == opened.ordinals.len();
    let is_same_place = absolute(&job.inputs).iter().any(|input| before.contains(input) && !Path::new(input).is_file());
    if are_all_new && !is_same_place && !job.accept_new {
        return Err(unrelated(positions, known));
    }
    spawn(job, opened.source)
}

/// Inputs as they are called from anywhere.
pub(crate) fn absolute(inputs: &[String]) -> Vec<String> {
    let whole = |input: &String| match std::path::absolute(input) {
        Ok(path) if !input.starts_with("generator:") => path.display().to_string(),
        _ => input.clone(),
    };
    inputs.iter().map(whole).collect()
}

/// Names of the sources, by ordinal.
pub(crate) fn names(positions: &Positions) -> Vec<String> {
    positions.sources.iter().map(|source| source.name.clone()).collect()
}

/// Reads again what lies between `from` and `until`.
pub(crate) fn start_again(job: &Job, from: &mut Positions, until: &Positions) -> Result<Reader> {
    let opened = source::open(&job.inputs, &columns(job)?, limits(job), from)?;
    let bounded = Bounded::new(opened.source, from, until);
    spawn(job, Box::new(bounded))
}

fn spawn(job: &Job, source: Box<dyn Source>) -> Result<Reader> {
    let budget = usize::try_from(job.memory_bytes / IN_FLIGHT).unwrap_or(usize::MAX);
    read::spawn(source, &job.weights, job.threads, budget)
}

fn columns(job: &Job) -> Result<ColumnMap> {
    job.columns.parse()
}

pub(crate) fn limits(job: &Job) -> Limits {
    let default = Limits::default();
    Limits {
        // A roll comes between batches: short rolls need short batches.
        batch_rows: default.batch_rows.min(usize::try_from(job.roll.rows).unwrap_or(usize::MAX)).max(1),
        record_bytes: usize::try_from(job.max_record_bytes).unwrap_or(usize::MAX),
        ..default
    }
}

fn unrelated(positions: &Positions, known: usize) -> Error {
    let names = |sources: &[source::SourcePosition]| {
        let shown: Vec<_> = sources.iter().take(3).map(|source| source.name.clone()).collect();
        let more = sources.len().saturating_sub(3);
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    };
    let (old, new) = positions.sources.split_at(known);
    let message =
        format!("none of the inputs is one this state knows: it has read {}, and now comes {}", names(old), names(new));
    Error::new(ErrorKind::Invalid, "E-INPUT-UNRELATED", message)
        .hint("give --new to add these inputs to the same clusters, or another --out to keep them apart")
}

/// A source that ends at given offsets.
pub(crate) struct Bounded {
    source: Box<dyn Source>,
    /// How far each source has come.
    at: Vec<u64>,
    until: Vec<u64>,
}

impl Bounded {
    /// The first source (by ordinal) that fits and ended before its end, with the offset at which it ended.
    pub(crate) fn short(&self, fits: impl Fn(usize) -> bool) -> Option<(usize, u64)> {
        let ends = self.at.iter().zip(&self.until).enumerate();
        ends.filter(|(ordinal, (at, until))| at < until && fits(*ordinal)).map(|(ordinal, (at, _))| (ordinal, *at)).next()
    }

    /// The part of `source` that starts at `from` and ends at `until`.
    pub(crate) fn new(source: Box<dyn Source>, from: &Positions, until: &Positions) -> Self {
        let offsets = |positions: &Positions| positions.sources.iter().map(|source| source.offset).collect();
        Self { source, at: offsets(from), until: offsets(until) }
    }
}

impl Source for Bounded {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        while self.at.iter().zip(&self.until).any(|(at, until)| at < until) {
            let Some(mut batch) = self.source.next()? else { return Ok(None) };
            let ordinal = batch.slice.source as usize;
            let Some(until) = self.until.get(ordinal).copied().filter(|until| batch.slice.from < *until) else { continue };
            if batch.slice.to > until {
                batch.slice.to = until;
                batch.records.retain(|record| record.offset < until);
            }
            self.at[ordinal] = batch.slice.to;
            return Ok(Some(batch));
        }
        Ok(None)
    }
}
