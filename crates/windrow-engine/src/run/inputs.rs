//! What the loop reads from: a job's inputs, from any positions on and, when rows are learnt again, up to given ones.

use std::path::Path;

use crate::checkpoint::recovery::rows_gone;
use crate::error::{Error, ErrorKind, Result};
use crate::read::{self, Reader};
use crate::run::Job;
use crate::run::waits::Waits;
use crate::source::kafka::{OnDataLoss, TopicInput};
use crate::source::replay::Replay;
use crate::source::{self, Limits, Order, Positions, Source, Wanted};

/// The share of the memory that rows on their way to the loop may take; the rest is for model and writers.
const IN_FLIGHT: u64 = 4;
/// The share of the memory that a topic's messages may take before they are asked for.
const PREFETCHED: u64 = 32;

/// Opens the inputs of a job at `positions`, enters new ones there, and starts reading. Inputs of which the state knows none are
/// refused, unless they are welcome, or come from a folder or glob (`before`: the inputs given last time) that was given before.
pub(crate) fn start(
    job: &Job,
    before: &[String],
    positions: &mut Positions,
    waits: &Waits,
    notes: &mut Vec<String>,
) -> Result<Reader> {
    let known = positions.sources.len();
    let mut opened = source::open(wanted(job), positions)?;
    notes.append(&mut opened.warnings);
    let are_all_new = known > 0 && !opened.new.is_empty() && opened.new.len() == opened.ordinals.len();
    let is_same_place = names_of(job).iter().any(|input| before.contains(input) && !Path::new(input).is_file());
    if are_all_new && !is_same_place && !job.accept_new {
        return Err(unrelated(positions, known));
    }
    opened.tell(waits);
    spawn(job, opened.take())
}

/// A job's inputs as they are called from anywhere: files by their whole paths, a topic as `kafka:TOPIC`.
pub(crate) fn names_of(job: &Job) -> Vec<String> {
    let whole = |input: &String| match std::path::absolute(input) {
        Ok(path) if !input.starts_with("generator:") => path.display().to_string(),
        _ => input.clone(),
    };
    job.inputs.iter().map(whole).chain(job.topic.iter().map(TopicInput::name)).collect()
}

/// Names of the sources, by ordinal.
pub(crate) fn names(positions: &Positions) -> Vec<String> {
    positions.sources.iter().map(|source| source.name.clone()).collect()
}

/// Reads again, from positions that were committed, what was learnt after them. There is no going on without it.
pub(crate) fn start_again(job: &Job, from: &mut Positions, order: &Order) -> Result<Reader> {
    let topic = job.topic.as_ref().map(|topic| TopicInput { on_data_loss: OnDataLoss::Fail, ..topic.clone() });
    let opened = source::open(Wanted { topic: topic.as_ref(), ..wanted(job) }, from).map_err(|error| match error.code {
        "E-KAFKA-GONE" => rows_gone().cause(error.message),
        _ => error,
    })?;
    spawn(job, Box::new(Replay::new(opened, from, order)))
}

fn spawn(job: &Job, source: Box<dyn Source>) -> Result<Reader> {
    let budget = usize::try_from(job.memory_bytes / IN_FLIGHT).unwrap_or(usize::MAX);
    read::spawn(source, &job.weights, job.threads, budget)
}

fn wanted(job: &Job) -> Wanted<'_> {
    Wanted { inputs: &job.inputs, topic: job.topic.as_ref(), columns: &job.columns, limits: limits(job) }
}

fn limits(job: &Job) -> Limits {
    let default = Limits::default();
    Limits {
        // A roll comes between batches: short rolls need short batches.
        batch_rows: default.batch_rows.min(usize::try_from(job.roll.rows).unwrap_or(usize::MAX)).max(1),
        record_bytes: usize::try_from(job.max_record_bytes).unwrap_or(usize::MAX),
        queue_bytes: usize::try_from(job.memory_bytes / PREFETCHED).unwrap_or(usize::MAX),
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
