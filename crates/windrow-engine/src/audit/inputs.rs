//! The inputs' side: read again by the code of the run, up to the committed positions.
//!
//! A topic keeps its messages for days and the outputs stay for good. What it has deleted since is counted by what was read of it, and
//! taken as the outputs have it.

use rustc_hash::FxHashMap;
use windrow_core::clean::OnDuplicate;
use windrow_core::record::{RecordId, RejectReason};

use super::AuditJob;
use super::trace::{Content, Hasher, Pass, Trace};
use crate::checkpoint::manifest::Manifest;
use crate::error::{Error, ErrorKind, Result};
use crate::source::kafka::{OnDataLoss, TopicInput};
use crate::source::parse::Parser;
use crate::source::pipe::STDIN;
use crate::source::replay::Replay;
use crate::source::{self, Asked, Limits, Order, Positions, Reading, Source as _, SourcePosition, Wanted, kafka};

/// What was read in a pass.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) traces: Vec<Trace>,
    /// Of each source that has deleted its beginning, the first offset that it still holds.
    pub(super) first: FxHashMap<u32, u64>,
    /// Rows of all passes that were read once, and are deleted.
    pub(super) expired: u64,
}

/// Reads the rows of a pass.
pub(super) fn read(job: &AuditJob, manifest: &Manifest, pass: Pass) -> Result<Read> {
    let mut positions = manifest.positions.at_start();
    // What was read once may be read again, however much it unpacks to.
    let limits = Limits::of_records(manifest.max_record).unpacking(0);
    let inputs = if job.inputs.is_empty() { &manifest.inputs } else { &job.inputs };
    let columns = if job.columns.is_empty() { &manifest.columns } else { &job.columns };
    // Whoever names inputs means those, and not what lies beside.
    let reading = if job.inputs.is_empty() { Reading::Again } else { Reading::ToEnd };
    let is_there = |input: &&String| !input.starts_with(kafka::PREFIX) && *input != STDIN;
    let inputs: Vec<String> = inputs.iter().filter(is_there).cloned().collect();
    let topic = job.topic.clone().map(|topic| TopicInput { on_data_loss: OnDataLoss::Earliest, is_again: true, ..topic });
    let (topic, keep) = (topic.as_ref(), &manifest.keep);
    let wanted = Wanted { inputs: &inputs, topic, columns, keep, files: Asked::default(), limits, reading };
    let opened = source::open(wanted, &mut positions)?;
    pass_replaced(manifest, &mut positions);
    pass_stdin(manifest, &mut positions);
    let first = first_held(manifest, &positions);
    check_present(manifest, &opened.ordinals, &positions)?;
    let mut rows = Replay::new(opened, &positions, &Order::in_turn(&manifest.positions));
    let mut parser = Parser::new();
    let mut hasher = Hasher::default();
    let mut traces = Vec::new();
    let mut still_there = 0;
    while let Some(batch) = rows.next()? {
        still_there += if first.contains_key(&batch.slice.source) { batch.records.len() as u64 } else { 0 };
        for row in parser.parse(&batch) {
            let trace = match row {
                Ok(row) if !pass.holds(row.origin) => continue,
                Err(reject) if !pass.holds(reject.origin) => continue,
                Ok(row) => match manifest.clean.clean(&row) {
                    Ok(page) => {
                        let texts = [page.id, page.url, page.title, page.keywords, page.description];
                        // What is no UTF-8 is no page.
                        let kept: Vec<&str> = row.kept.values().filter_map(|value| std::str::from_utf8(value).ok()).collect();
                        let content = Content { creation_time: page.creation_time, texts, domain: "", kept: &kept };
                        let trace = Trace::new(row.origin, hasher.page(&content));
                        if manifest.clean.duplicates.action == OnDuplicate::Reject {
                            trace.or_reject(hasher.reject(RejectReason::Duplicate.code(), row.raw))
                        } else {
                            trace
                        }
                    }
                    Err(reason) => reject(row.origin, reason, row.raw, &mut hasher),
                },
                Err(flawed) => reject(flawed.origin, flawed.reason, &flawed.raw, &mut hasher),
            };
            traces.push(trace);
        }
    }
    let known = &manifest.positions.sources;
    match known.iter().enumerate().find(|(ordinal, source)| source.rows > 0 && rows.at(*ordinal) < source.offset) {
        Some((ordinal, source)) => Err(too_short(source, rows.at(ordinal))),
        None => {
            let began = known.iter().zip(0..).filter(|(_, ordinal)| first.contains_key(ordinal));
            let rows: u64 = began.map(|(source, _)| source.rows).sum();
            Ok(Read { traces, first, expired: rows.saturating_sub(still_there) })
        }
    }
}

/// A topic that was made anew has taken the old one with it, and its partitions are other sources: nothing of the old ones is read, as if
/// their retention had deleted all.
fn pass_replaced(manifest: &Manifest, positions: &mut Positions) {
    let known = &manifest.positions.sources;
    for (ordinal, source) in known.iter().enumerate().filter(|(_, source)| source.name.starts_with(kafka::PREFIX)) {
        if known[ordinal + 1..].iter().any(|later| later.name == source.name) {
            positions.sources[ordinal].offset = source.offset;
        }
    }
}

/// Standard input has gone by: nothing of it is read, and what came of it is held among the outputs alone.
fn pass_stdin(manifest: &Manifest, positions: &mut Positions) {
    let known = manifest.positions.sources.iter().zip(&mut positions.sources);
    known.filter(|(known, _)| known.name == STDIN).for_each(|(known, opened)| opened.offset = known.offset);
}

/// The partitions that were opened behind the place where they were read from.
fn first_held(manifest: &Manifest, opened: &Positions) -> FxHashMap<u32, u64> {
    let sources = manifest.positions.sources.iter().zip(&opened.sources).zip(0..);
    sources.filter(|((known, opened), _)| opened.offset > known.start).map(|((_, opened), at)| (at, opened.offset)).collect()
}

fn reject(origin: RecordId, reason: RejectReason, raw: &[u8], hasher: &mut Hasher) -> Trace {
    Trace::new(origin, hasher.reject(reason.code(), raw))
}

/// A source that has fewer rows than were committed proves nothing.
fn too_short(source: &SourcePosition, end: u64) -> Error {
    let unit = source.unit();
    let message = format!("{} was read up to {unit} {}, and ends at {unit} {end} here", source.name, source.offset);
    Error::new(ErrorKind::Invalid, "E-AUDIT-INPUT", message).hint("give --input everything that the runs were given, whole")
}

/// A source that cannot be read proves nothing; one of which nothing is left is passed over.
fn check_present(manifest: &Manifest, ordinals: &[u32], from: &Positions) -> Result<()> {
    let sources: &Positions = &manifest.positions;
    let is_present = |ordinal: usize| {
        ordinals.iter().any(|present| *present as usize == ordinal)
            || from.sources[ordinal].offset >= sources.sources[ordinal].offset
    };
    let absent = sources.sources.iter().enumerate().find(|(ordinal, source)| source.rows > 0 && !is_present(*ordinal));
    let Some((_, source)) = absent else { return Ok(()) };
    let message = format!("{} was read, and is not among the inputs as it was", source.name);
    Err(Error::new(ErrorKind::Invalid, "E-AUDIT-INPUT", message).hint("give --input everything that the runs were given"))
}
