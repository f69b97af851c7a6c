//! Audit: proves that nothing was lost, doubled or changed.
//!
//! ```text
//! inputs, up to the committed positions ── scan, parse, clean ──> (record id, hash of the content) ─┐
//!                                                                                    sort, merge ───┴─> report
//! Parquet in view ─ pages, rejects ─────────────────────────────> (record id, content, decision) ───┤
//! topics, committed messages ────────────────────────────────────> (record id, content, decision) ───┘
//! ```
//!
//! Counted by record id, never by arithmetic on positions. What is compared: a page's input columns, a reject's reason and bytes, and
//! the decision where a record id stands twice or in a topic. Each side costs 32 bytes a row; when they do not fit into the memory given, the ids
//! are split by hash into passes, and everything is read once a pass. Every Parquet file in view counts, also one that no manifest
//! names: its rows are what a reader would see twice. Published files are held against length and CRC-32 in the manifest, too.

mod inputs;
mod outputs;
mod topics;
mod trace;

use std::path::PathBuf;

use serde::Serialize;
use windrow_core::record::RecordId;

use crate::checkpoint::Layout;
use crate::checkpoint::manifest::Manifest;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::sink::topics::{TopicOutput, ValueShape};
use crate::source::kafka::TopicInput;
use crate::source::pipe::STDIN;

pub use topics::TopicReport;
use trace::{Pass, Trace};

/// Record ids shown of each kind of finding.
const EXAMPLES: usize = 10;

/// What to audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditJob {
    /// Files, globs, directories, or `generator:…`: everything that the pipeline has read. None: what the last run was given.
    pub inputs: Vec<String>,
    /// The topic that it has read, if any.
    pub topic: Option<TopicInput>,
    /// The topics that it writes; none to leave them out.
    pub topics: Topics,
    /// What the inputs call our columns, where they differ: `url=landing_page,title=name`. Empty: as in the last run.
    pub columns: String,
    /// Folder of the outputs.
    pub out: PathBuf,
    /// Folder of the state, when it is not found from `out`.
    pub state: Option<PathBuf>,
    /// Memory that the comparison may take.
    pub memory_bytes: u64,
}

/// Which topics are audited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    /// These, when the pipeline writes topics.
    Given(TopicOutput),
    /// None: refused when the pipeline writes topics.
    NotGiven,
    /// None, whatever the pipeline writes.
    LeftOut,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rows of the inputs, up to the committed positions.
    pub input: u64,
    /// Rows that cannot be read again, as the input topic has deleted them since or they came by standard input: held among the outputs alone.
    pub expired: u64,
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
    /// What the topics hold, where the pipeline writes some.
    pub topics: Option<TopicReport>,
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
            && self.topics.as_ref().is_none_or(|topics| topics.foreign == 0 && topics.missing.is_empty())
    }
}

/// Audits an output folder against its inputs. Told is what it waits for, and what topics do not show.
pub fn audit(job: &AuditJob, clock: &dyn Clock, talk: &mut dyn FnMut(&str)) -> Result<Report> {
    let layout = Layout::find(&job.out, job.state.as_deref())?;
    // What is in view now is in the manifest read after it; the other way round, a running pipeline could publish in between.
    let in_view = outputs::in_view(&job.out)?;
    let Some(manifest) = Manifest::read(&layout.manifest())? else {
        let message = format!("there is nothing to audit in {}: no state in {}", job.out.display(), layout.state.display());
        return Err(Error::new(ErrorKind::Invalid, "E-STATE-NONE", message).hint("start with `windrow run`"));
    };
    tell_stdin(&manifest, talk);
    let mut report = Report { epoch: manifest.epoch, ..Report::default() };
    let published = manifest.all_files(&layout.history())?;
    let files = outputs::choose(&job.out, &published, &in_view, &mut report)?;
    let passes = n_passes(&manifest, job.memory_bytes);
    let output = match &job.topics {
        _ if manifest.commits.is_none() => None,
        Topics::Given(output) => Some(output),
        Topics::NotGiven => return Err(topics::not_given()),
        Topics::LeftOut => None,
    };
    let shape = output.map_or(ValueShape::Full, |output| output.value);
    let kept = manifest.keep.names();
    let mut still_there = 0;
    for index in 0..passes {
        let pass = Pass { index, of: passes };
        let (read, written) = std::thread::scope(|scope| {
            let inputs = scope.spawn(|| inputs::read(job, &manifest, pass));
            let written = outputs::traces(&job.out, &files, pass, (shape, &kept));
            (inputs.join(), written)
        });
        let read = read.map_err(|_| Error::new(ErrorKind::Internal, "E-PANIC", "reading the inputs failed: this is a bug"))?;
        if index == 0 {
            report.pages = written.n_pages;
            report.rejects = written.n_rejects;
            report.damaged_files.extend(written.damaged);
        }
        if let Some(output) = output {
            let as_sent = written.as_sent.unwrap_or_else(|| written.traces.clone());
            let sent = topics::traces(output, &manifest, pass, clock, &mut *talk)?;
            compare_topics(as_sent, sent, &mut report);
        }
        let read = read?;
        if index == 0 {
            report.expired = read.expired;
        }
        still_there += compare(read, written.traces, &mut report);
    }
    // Without their bytes, and so without an example.
    report.lost += report.expired.saturating_sub(still_there);
    report.disagreeing += still_there.saturating_sub(report.expired);
    report.damaged_files.sort();
    report.damaged_files.dedup();
    Ok(report)
}

/// Says what cannot be proved.
fn tell_stdin(manifest: &Manifest, talk: &mut dyn FnMut(&str)) {
    let sources = manifest.positions.sources.iter().filter(|source| source.name == STDIN && source.rows > 0);
    let rows: u64 = sources.map(|source| source.rows).sum();
    if rows > 0 {
        talk(&format!(
            "standard input cannot be read again: its {rows} rows are counted, and compared among the outputs alone; that they are what was \
             read is not checked"
        ));
    }
}

fn n_passes(manifest: &Manifest, memory_bytes: u64) -> u64 {
    // Inputs and Parquet; or Parquet as topics have it, and topics.
    let bytes = manifest.counters.rows.saturating_mul(3 * size_of::<Trace>() as u64);
    // Vectors that grow by doubling may hold twice what they need.
    (2 * bytes).div_ceil(memory_bytes.max(1 << 12)).max(1)
}

/// Merges both sides of a pass. Gives how many outputs there are of what the inputs have deleted.
fn compare(read: inputs::Read, mut written: Vec<Trace>, report: &mut Report) -> u64 {
    let inputs::Read { traces: mut read, first, .. } = read;
    let is_expired = |id: RecordId| first.get(&id.source).is_some_and(|first| id.offset < *first);
    let mut still_there = 0;
    read.sort_unstable_by_key(|trace| (trace.source, trace.offset));
    written.sort_unstable_by_key(|trace| (trace.source, trace.offset));
    report.input += read.len() as u64;
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
        still_there += u64::from(is_expired(id));
        let is_as_read = |output: &Trace| match row {
            _ if is_expired(id) => output.content == outputs[0].content,
            row => row.is_some_and(|row| row.may_be(output)),
        };
        let agrees = |output: &Trace| output.decision == outputs[0].decision && is_as_read(output);
        let disagrees = u64::from(!outputs.iter().all(agrees));
        note(&mut report.disagreeing, &mut report.disagreeing_examples, disagrees, id);
    }
    rows.for_each(|row| note(&mut report.lost, &mut report.lost_examples, 1, row.id()));
    still_there
}

/// Holds the topics of a pass against the Parquet.
fn compare_topics(mut written: Vec<Trace>, sent: topics::Sent, report: &mut Report) {
    let topics::Sent { traces: mut sent, report: counts, begun, hiding } = sent;
    written.sort_unstable_by_key(|trace| (trace.source, trace.offset));
    sent.sort_unstable_by_key(|trace| (trace.source, trace.offset));
    let (mut expired, mut hidden, mut rows) = (0, 0, written.iter().peekable());
    let mut missing = |report: &mut Report, row: &Trace| {
        if begun.iter().any(|part| part.may_have_held(row)) {
            expired += 1;
        } else if hiding.iter().any(|part| part.may_hide(row)) {
            hidden += 1;
        } else {
            note(&mut report.lost, &mut report.lost_examples, 1, row.id());
        }
    };
    for messages in sent.chunk_by(|a, b| a.id() == b.id()) {
        let id = messages[0].id();
        let mut row = None;
        while let Some(next) = rows.next_if(|row| (row.source, row.offset) <= (id.source, id.offset)) {
            if next.id() == id {
                row = Some(next);
            } else {
                missing(report, next);
            }
        }
        note(&mut report.duplicated, &mut report.duplicated_examples, messages.len() as u64 - 1, id);
        match row {
            // Committed, and not in the Parquet.
            None => note(&mut report.lost, &mut report.lost_examples, 1, id),
            Some(row) => {
                let disagrees = u64::from(messages.iter().any(|message| message != row));
                note(&mut report.disagreeing, &mut report.disagreeing_examples, disagrees, id);
            }
        }
    }
    rows.for_each(|row| missing(report, row));
    let before = report.topics.take().unwrap_or_default();
    report.topics = Some(TopicReport { expired: before.expired + expired, hidden: before.hidden + hidden, ..counts });
}

fn note(count: &mut u64, examples: &mut Vec<String>, by: u64, id: RecordId) {
    *count += by;
    if by > 0 && examples.len() < EXAMPLES {
        examples.push(id.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(offset: u64, content: u64, decision: u32) -> Trace {
        Trace::decided(RecordId { source: 0, offset }, content, decision, 7)
    }

    fn check_topics(sent: &[Trace], begun: Vec<topics::Begun>, wanted: [u64; 4]) {
        let written = vec![trace(1, 10, 1), trace(2, 20, 2), trace(3, 30, 3)];
        let mut report = Report::default();
        let sent = topics::Sent { traces: sent.to_vec(), begun, ..topics::Sent::default() };
        compare_topics(written, sent, &mut report);
        let expired = report.topics.map_or(0, |topics| topics.expired);
        assert_eq!([report.lost, report.duplicated, report.disagreeing, expired], wanted);
    }

    #[test]
    fn what_the_input_has_deleted_is_held_among_the_outputs() {
        let [one, two, three] = [trace(1, 10, 0), trace(2, 20, 0), trace(3, 30, 0)];
        let counts = |written: &[Trace]| {
            let (mut report, first) = (Report::default(), [(0, 2)].into_iter().collect());
            let read = inputs::Read { traces: vec![two, three], first, expired: 1 };
            let still_there = compare(read, written.to_vec(), &mut report);
            [report.lost, report.duplicated, report.disagreeing, still_there]
        };
        assert_eq!(counts(&[one, two, three]), [0, 0, 0, 1]);
        assert_eq!(counts(&[two, three]), [0, 0, 0, 0]);
        assert_eq!(counts(&[one, trace(1, 11, 0), two, three]), [0, 1, 1, 1]);
        assert_eq!(counts(&[one, two]), [1, 0, 0, 1]);
    }

    #[test]
    fn topics_are_held_against_the_parquet_row_by_row() {
        let [one, two, three] = [trace(1, 10, 1), trace(2, 20, 2), trace(3, 30, 3)];
        check_topics(&[three, one, two], vec![], [0, 0, 0, 0]);
        check_topics(&[one, three], vec![], [1, 0, 0, 0]);
        check_topics(&[], vec![], [3, 0, 0, 0]);
        check_topics(&[one, two, two, three], vec![], [0, 1, 0, 0]);
        check_topics(&[one, two, trace(3, 31, 3)], vec![], [0, 0, 1, 0]);
        check_topics(&[one, trace(2, 20, 7), three], vec![], [0, 0, 1, 0]);
        check_topics(&[one, two, three, trace(4, 40, 4)], vec![topics::Begun::at(7..=7, &[three.id()])], [1, 0, 0, 0]);
    }

    #[test]
    fn what_may_be_hidden_is_not_lost() {
        let [one, two, three] = [trace(1, 10, 1), trace(2, 20, 2), trace(3, 30, 3)];
        let counts = |sent: &[Trace], slot: i32| {
            let mut report = Report::default();
            let hiding = vec![topics::Hiding::at(slot..=slot, &sent.iter().map(Trace::id).collect::<Vec<_>>())];
            let sent = topics::Sent { traces: sent.to_vec(), hiding, ..topics::Sent::default() };
            compare_topics(vec![one, two, three], sent, &mut report);
            (report.lost, report.topics.map_or(0, |topics| topics.hidden))
        };
        assert_eq!(counts(&[one], 7), (0, 2));
        assert_eq!(counts(&[], 7), (0, 3));
        assert_eq!(counts(&[one, three], 7), (1, 0)); // before the last that is shown
        assert_eq!(counts(&[one], 8), (2, 0)); // another slot's topic
    }

    #[test]
    fn what_a_topic_deleted_is_told_from_what_is_lost() {
        let [one, two, three] = [trace(1, 10, 1), trace(2, 20, 2), trace(3, 30, 3)];
        let begun =
            |slot, rows: &[Trace]| vec![topics::Begun::at(slot..=slot, &rows.iter().map(Trace::id).collect::<Vec<_>>())];
        check_topics(&[three], begun(7, &[three]), [0, 0, 0, 2]);
        check_topics(&[one, three], begun(7, &[one, three]), [1, 0, 0, 0]); // behind the first that is left
        check_topics(&[two, three], begun(8, &[]), [1, 0, 0, 0]); // another slot's topic
        check_topics(&[], begun(7, &[]), [0, 0, 0, 3]);
    }
}
