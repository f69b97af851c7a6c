//! Audit: proves that nothing was lost, doubled or changed.
//!
//! ```text
//! inputs, up to the committed positions ── scan, parse, clean ──> (record id, hash of the content) ─┐
//!                                                                                    sort, merge ───┴─> report
//! Parquet in view ─ pages, rejects ─────────────────────────────> (record id, content, decision) ───┘
//! ```
//!
//! Counted by record id, never by arithmetic on positions. What is compared: a page's input columns, a reject's reason and bytes, and
//! the decision where a record id stands twice. Both sides cost 24 bytes a row; when they do not fit into the memory given, the ids
//! are split by hash into passes, and everything is read once a pass. Every Parquet file in view counts, also one that no manifest
//! names: its rows are what a reader would see twice. Published files are held against length and CRC-32 in the manifest, too.

mod inputs;
mod outputs;

use std::path::PathBuf;

use serde::Serialize;
use windrow_core::record::RecordId;
use xxhash_rust::xxh3::xxh3_64;

use crate::checkpoint::Layout;
use crate::checkpoint::manifest::Manifest;
use crate::error::{Error, ErrorKind, Result};
use crate::source::kafka::TopicInput;

/// Record ids shown of each kind of finding.
const EXAMPLES: usize = 10;

/// What to audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditJob {
    /// Files, globs, directories, or `generator:…`: everything that the pipeline has read. None: what the last run was given.
    pub inputs: Vec<String>,
    /// The topic that it has read, if any.
    pub topic: Option<TopicInput>,
    /// What the inputs call our columns, where they differ: `url=landing_page,title=name`. Empty: as in the last run.
    pub columns: String,
    /// Folder of the outputs.
    pub out: PathBuf,
    /// Folder of the state, when it is not found from `out`.
    pub state: Option<PathBuf>,
    /// Memory that the comparison may take.
    pub memory_bytes: u64,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rows of the inputs, up to the committed positions.
    pub input: u64,
    /// Pages in the outputs.
    pub pages: u64,
    /// Rejects in the outputs.
    pub rejects: u64,
    /// Rows of the inputs that are in no output.
    pub lost: u64,
    /// Rows of the outputs that were there already.
    pub duplicated: u64,
    /// Record ids whose outputs differ from the input or from each other.
    pub disagreeing: u64,
    /// Record ids of what is lost.
    pub lost_examples: Vec<String>,
    /// Record ids of what is doubled.
    pub duplicated_examples: Vec<String>,
    /// Record ids of what disagrees.
    pub disagreeing_examples: Vec<String>,
    /// Last committed epoch.
    pub epoch: u64,
    /// Published files that are not there.
    pub missing_files: Vec<String>,
    /// Files in view that no manifest names.
    pub unpublished_files: Vec<String>,
    /// Files that cannot be read, or are not the bytes that were published.
    pub damaged_files: Vec<String>,
}

impl Report {
    /// Whether every row of the inputs is in the outputs once, as it was, and every file is as it was published.
    pub fn is_clean(&self) -> bool {
        self.lost == 0
            && self.duplicated == 0
            && self.disagreeing == 0
            && self.missing_files.is_empty()
            && self.damaged_files.is_empty()
    }
}

/// One row as the comparison knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Trace {
    offset: u64,
    source: u32,
    /// Hash of the decision; 0 for rejects and inputs.
    decision: u32,
    /// Hash of family and columns.
    content: u64,
}

impl Trace {
    fn id(&self) -> RecordId {
        RecordId { source: self.source, offset: self.offset }
    }
}

/// The ids of one pass.
#[derive(Debug, Clone, Copy)]
struct Pass {
    index: u64,
    of: u64,
}

impl Pass {
    fn holds(self, id: RecordId) -> bool {
        let mixed = (id.offset ^ u64::from(id.source).rotate_left(40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.of == 1 || (mixed >> 32) % self.of == self.index
    }
}

/// Fields of a row on their way to a hash: with their lengths, so that no two rows run into the same bytes.
#[derive(Debug, Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn start(&mut self, family: u8) {
        self.0.clear();
        self.0.push(family);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn push_time(&mut self, time: Option<i64>) {
        self.0.push(u8::from(time.is_some()));
        self.0.extend_from_slice(&time.unwrap_or(0).to_le_bytes());
    }

    fn hash(&self) -> u64 {
        xxh3_64(&self.0)
    }
}

const PAGE: u8 = 0;
const REJECT: u8 = 1;

/// Audits an output folder against its inputs.
pub fn audit(job: &AuditJob) -> Result<Report> {
    let layout = Layout::find(&job.out, job.state.as_deref())?;
    // What is in view now is in the manifest read after it; the other way round, a running pipeline could publish in between.
    let in_view = outputs::in_view(&job.out)?;
    let Some(manifest) = Manifest::read(&layout.manifest())? else {
        let message = format!("there is nothing to audit in {}: no state in {}", job.out.display(), layout.state.display());
        return Err(Error::new(ErrorKind::Invalid, "E-STATE-NONE", message).hint("start with `windrow run`"));
    };
    let mut report = Report { epoch: manifest.epoch, ..Report::default() };
    let published = manifest.all_files(&layout.history())?;
    let files = outputs::choose(&job.out, &published, &in_view, &mut report)?;
    let passes = n_passes(&manifest, job.memory_bytes);
    for index in 0..passes {
        let pass = Pass { index, of: passes };
        let (read, written) = std::thread::scope(|scope| {
            let inputs = scope.spawn(|| inputs::traces(job, &manifest, pass));
            let written = outputs::traces(&job.out, &files, pass);
            (inputs.join(), written)
        });
        let read = read.map_err(|_| Error::new(ErrorKind::Internal, "E-PANIC", "reading the inputs failed: this is a bug"))?;
        if index == 0 {
            report.pages = written.n_pages;
            report.rejects = written.n_rejects;
            report.damaged_files.extend(written.damaged);
        }
        compare(read?, written.traces, &mut report);
    }
    report.damaged_files.sort();
    report.damaged_files.dedup();
    Ok(report)
}

fn n_passes(manifest: &Manifest, memory_bytes: u64) -> u64 {
    let bytes = manifest.counters.rows.saturating_mul(2 * size_of::<Trace>() as u64);
    // Vectors that grow by doubling may hold twice what they need.
    (2 * bytes).div_ceil(memory_bytes.max(1 << 12)).max(1)
}

/// Merges both sides of a pass.
fn compare(mut read: Vec<Trace>, mut written: Vec<Trace>, report: &mut Report) {
    read.sort_unstable_by_key(|trace| (trace.source, trace.offset));
    written.sort_unstable_by_key(|trace| (trace.source, trace.offset));
    report.input += read.len() as u64;
    let note = |count: &mut u64, examples: &mut Vec<String>, by: u64, id: RecordId| {
        *count += by;
        if by > 0 && examples.len() < EXAMPLES {
            examples.push(id.to_string());
        }
    };
    let mut rows = read.iter().peekable();
    for outputs in written.chunk_by(|a, b| a.id() == b.id()) {
        let id = outputs[0].id();
        let mut row = None;
        while let Some(next) = rows.next_if(|row| (row.source, row.offset) <= (id.source, id.offset)) {
            if next.id() == id {
                row = Some(next);
            } else {
                note(&mut report.lost, &mut report.lost_examples, 1, next.id());
            }
        }
        note(&mut report.duplicated, &mut report.duplicated_examples, outputs.len() as u64 - 1, id);
        let agrees =
            |output: &Trace| output.decision == outputs[0].decision && row.is_some_and(|row| row.content == output.content);
        let disagrees = u64::from(!outputs.iter().all(agrees));
        note(&mut report.disagreeing, &mut report.disagreeing_examples, disagrees, id);
    }
    rows.for_each(|row| note(&mut report.lost, &mut report.lost_examples, 1, row.id()));
}
