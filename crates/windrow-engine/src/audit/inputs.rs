//! The inputs' side: read again by the code of the run, up to the committed positions.

use windrow_core::clean::clean;
use windrow_core::record::{RecordId, RejectReason};

use super::AuditJob;
use super::trace::{Content, Hasher, Pass, Trace};
use crate::checkpoint::manifest::Manifest;
use crate::error::{Error, ErrorKind, Result};
use crate::source::parse::Parser;
use crate::source::replay::Replay;
use crate::source::{self, Limits, Order, Positions, Source as _, SourcePosition, Wanted, generator, kafka};

/// Traces of the rows of a pass.
pub(super) fn traces(job: &AuditJob, manifest: &Manifest, pass: Pass) -> Result<Vec<Trace>> {
    let mut positions = manifest.positions.at_start();
    let limits = Limits { record_bytes: usize::try_from(manifest.max_record).unwrap_or(usize::MAX), ..Limits::default() };
    let inputs = if job.inputs.is_empty() { &manifest.inputs } else { &job.inputs };
    let columns = if job.columns.is_empty() { &manifest.columns } else { &job.columns };
    let inputs: Vec<String> = inputs.iter().filter(|input| !input.starts_with(kafka::PREFIX)).cloned().collect();
    let wanted = Wanted { inputs: &inputs, topic: job.topic.as_ref(), columns, limits };
    let opened = source::open(wanted, &mut positions)?;
    check_present(manifest, &opened.ordinals)?;
    let mut rows = Replay::new(opened, &positions, &Order::in_turn(&manifest.positions));
    let mut parser = Parser::new();
    let mut hasher = Hasher::default();
    let mut traces = Vec::new();
    while let Some(batch) = rows.next()? {
        for row in parser.parse(&batch) {
            let trace = match row {
                Ok(row) if !pass.holds(row.origin) => continue,
                Err(reject) if !pass.holds(reject.origin) => continue,
                Ok(row) => match clean(&row) {
                    Ok(page) => {
                        let texts = [page.id, page.url, page.title, page.keywords, page.description];
                        let content = Content { creation_time: page.creation_time, texts, domain: "" };
                        Trace::new(row.origin, hasher.page(&content))
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
        None => Ok(traces),
    }
}

fn reject(origin: RecordId, reason: RejectReason, raw: &[u8], hasher: &mut Hasher) -> Trace {
    Trace::new(origin, hasher.reject(reason.code(), raw))
}

/// A source that has fewer rows than were committed proves nothing.
fn too_short(source: &SourcePosition, end: u64) -> Error {
    let unit = match source.name.as_str() {
        name if name.starts_with(generator::PREFIX) => "row",
        name if name.starts_with(kafka::PREFIX) => "offset",
        _ => "byte",
    };
    let message = format!("{} was read up to {unit} {}, and ends at {unit} {end} here", source.name, source.offset);
    Error::new(ErrorKind::Invalid, "E-AUDIT-INPUT", message).hint("give --input everything that the runs were given, whole")
}

/// A source that cannot be read proves nothing.
fn check_present(manifest: &Manifest, ordinals: &[u32]) -> Result<()> {
    let sources: &Positions = &manifest.positions;
    let is_present = |ordinal: usize| ordinals.iter().any(|present| *present as usize == ordinal);
    let absent = sources.sources.iter().enumerate().find(|(ordinal, source)| source.rows > 0 && !is_present(*ordinal));
    let Some((_, source)) = absent else { return Ok(()) };
    let message = format!("{} was read, and is not among the inputs as it was", source.name);
    Err(Error::new(ErrorKind::Invalid, "E-AUDIT-INPUT", message).hint("give --input everything that the runs were given"))
}
