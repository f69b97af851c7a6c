//! `clean`: the rows of files that are wanted as one CSV, all others as another with their reasons.
//!
//! ```text
//! inputs ── scan, parse ── a row? ── rules, or profile ──┬─> .F.csv.N.tmp ── rename ──> F.csv   six columns, values as they were
//!                           └─ a reject ─────────────────┴─> .R.csv.N.tmp ── rename ──> R.csv   reason, source, offset, bytes
//! ```
//!
//! N is the process. Batch by batch on one thread: memory does not grow with the input. Both files appear whole, or nothing does.

mod table;

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use windrow_core::clean::{OnDuplicate, clean_as_original, is_blank};
use windrow_core::pipeline::{Window, hash_of};
use windrow_core::record::{COLUMNS, Reject, RejectReason, Row};

use crate::batch::{RawBatch, RawRecord};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{allow, check_name, folder_of};
use crate::kafka::produce::{STDIN, open_stdin};
use crate::run::{Control, Ended};
use crate::settings::{CleanProfile, CleanSettings};
use crate::source::parse::Parser;
use crate::source::{self, Asked, Form, Limits, Positions, Source, Wanted};

use table::Table;

/// Columns of the file of rejects.
const REJECT_COLUMNS: [&str; 4] = ["reason", "source", "offset", "bytes"];

/// What is to be cleaned, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// Files, directories, globs or `generator:…`; or `-`, standard input, alone.
    pub inputs: Vec<String>,
    /// What the inputs call our columns.
    pub columns: String,
    /// How files are written, as far as it is said; standard input is plain CSV.
    pub files: Asked,
    /// Bytes of the longest record.
    pub max_record_bytes: u64,
    /// Bytes that may come of one of a compressed file's; 0 for any number.
    pub max_unpacked: u64,
    /// Which rows are wanted.
    pub clean: CleanSettings,
    /// File of the rows that are wanted; none for standard output.
    pub out: Option<PathBuf>,
    /// File of the others; none for standard output.
    pub rejects: Option<PathBuf>,
    /// Whether files that are there may be replaced.
    pub force: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// Why it ended. Unless the input did, no file was written.
    pub ended: Ended,
    /// Rows read.
    pub rows: u64,
    /// Rows that are wanted.
    pub pages: u64,
    /// The others by reason, in the order of [`RejectReason::ALL`].
    pub rejects: [u64; RejectReason::ALL.len()],
    /// Pages whose texts stood among the last ones, where that is counted.
    pub duplicates: u64,
    /// Pages in which a column holds something, in the order of [`COLUMNS`].
    pub filled: [u64; COLUMNS.len()],
    /// Time taken.
    pub elapsed: Duration,
}

/// Cleans the inputs. `stdout` is what stands for standard output; `observer` is called after every batch.
///
/// # Errors
/// `E-EXISTS`, `E-CLEAN-INPUT`: a file would be written over. `E-INPUT-…`: an input cannot be read.
pub fn clean(
    order: &Order,
    stdout: &mut dyn Write,
    (clock, control): (&dyn Clock, &Control),
    observer: &mut dyn FnMut(u64, Duration),
) -> Result<Cleaned> {
    check_outputs(order)?;
    let (mut source, positions) = open(order)?;
    refuse_inputs(order, &positions)?;
    let started = clock.elapsed();
    let mut work = Work::create(order, &positions, stdout)?;
    let mut parser = Parser::new();
    let ended = loop {
        if let Some(ended) = control.asked() {
            break ended;
        }
        let Some(raw) = source.next()? else { break Ended::EndOfInput };
        for (record, row) in raw.records.iter().zip(parser.parse(&raw)) {
            work.take((&raw, record), row)?;
        }
        observer(work.cleaned.rows, clock.elapsed().saturating_sub(started));
    };
    let Work { pages, rejects, mut cleaned, .. } = work;
    if ended == Ended::EndOfInput {
        let (pages, rejects) = (pages.finish()?, rejects.finish()?);
        // Somebody may have made such files meanwhile.
        order.out.iter().chain(&order.rejects).try_for_each(|file| allow(file, order.force))?;
        // Rejects first: whoever sees the pages finds the others too.
        rejects.publish()?;
        pages.publish()?;
    }
    cleaned.ended = ended;
    cleaned.elapsed = clock.elapsed().saturating_sub(started);
    Ok(cleaned)
}

fn open(order: &Order) -> Result<(Box<dyn Source>, Positions)> {
    let limits = Limits::of_records(order.max_record_bytes).unpacking(order.max_unpacked);
    let mut positions = Positions::default();
    if order.inputs.iter().any(|input| input == STDIN) {
        if order.inputs.len() > 1 {
            let error = Error::new(ErrorKind::Invalid, "E-INPUT-STDIN", "standard input is cleaned alone");
            return Err(error.hint("give `-` without other inputs"));
        }
        return Ok((open_stdin(&order.columns, order.files, limits)?, positions));
    }
    let wanted = Wanted::once(&order.inputs, &order.columns, order.files, limits);
    let source = source::open(wanted, &mut positions)?.take();
    Ok((source, positions))
}

/// Looks at the files that are to be written, before anything is read.
fn check_outputs(order: &Order) -> Result<()> {
    let usage = |message: &str, hint: &str| Err(Error::new(ErrorKind::Invalid, "E-USAGE", message).hint(hint));
    let files: Vec<&PathBuf> = order.out.iter().chain(&order.rejects).collect();
    if files.is_empty() {
        return usage("pages and rejects cannot both go to standard output", "give one of --out and --rejects a file");
    }
    for &file in &files {
        check_name(file)?;
        allow(file, order.force)?;
        // Renaming would put a file in the place of a device, or of a link to one.
        if fs::symlink_metadata(file).is_ok_and(|there| !there.is_file()) {
            let error =
                Error::new(ErrorKind::Invalid, "E-EXISTS", format!("{} is there, and is no plain file", file.display()));
            return Err(error.hint("give the name of a file, or - for standard output"));
        }
    }
    let place = |file: &Path| (fs::canonicalize(folder_of(file)).ok(), file.file_name().map(ToOwned::to_owned));
    if let [out, rejects] = files[..]
        && place(out) == place(rejects)
    {
        return usage("--out and --rejects name the same file", "give each a file of its own");
    }
    Ok(())
}

/// Refuses to write over what is read, whatever was asked for.
fn refuse_inputs(order: &Order, positions: &Positions) -> Result<()> {
    for file in order.out.iter().chain(&order.rejects) {
        let Ok(there) = fs::metadata(file) else { continue };
        let is_it = |source: &&source::SourcePosition| source.inode == there.ino() && source.device == there.dev();
        if let Some(source) = positions.sources.iter().find(is_it) {
            let message = format!("{} is one of the inputs, {}", file.display(), source.name);
            let error = Error::new(ErrorKind::Invalid, "E-CLEAN-INPUT", message);
            return Err(error.hint("give --out and --rejects files that are not read"));
        }
    }
    Ok(())
}

/// Both tables and the counts.
struct Work<'a> {
    settings: &'a CleanSettings,
    /// Names of the sources by ordinal.
    sources: Vec<&'a str>,
    pages: Table<'a>,
    rejects: Table<'a>,
    cleaned: Cleaned,
    /// Where duplicates are looked for.
    window: Option<Window>,
    escaped: String,
}

impl<'a> Work<'a> {
    fn create(order: &'a Order, positions: &'a Positions, stdout: &'a mut dyn Write) -> Result<Self> {
        let (pages, rejects) = match (&order.out, &order.rejects) {
            (Some(out), Some(rejects)) => (Table::of_file(out, &COLUMNS)?, Table::of_file(rejects, &REJECT_COLUMNS)?),
            (Some(out), None) => (Table::of_file(out, &COLUMNS)?, Table::of_stream(stdout, &REJECT_COLUMNS)?),
            (None, Some(rejects)) => {
                let rejects = Table::of_file(rejects, &REJECT_COLUMNS)?;
                (Table::of_stream(stdout, &COLUMNS)?, rejects)
            }
            (None, None) => unreachable!("refused before"),
        };
        let cleaned = Cleaned {
            ended: Ended::EndOfInput,
            rows: 0,
            pages: 0,
            rejects: Default::default(),
            duplicates: 0,
            filled: Default::default(),
            elapsed: Duration::ZERO,
        };
        let sources = positions.sources.iter().map(|source| source.name.as_str()).collect();
        let window = Window::new(order.clean.rules.duplicates).filter(|_| order.clean.profile == CleanProfile::None);
        Ok(Self { settings: &order.clean, sources, pages, rejects, cleaned, window, escaped: String::new() })
    }

    /// Puts a row where it belongs.
    fn take(&mut self, (raw, record): (&RawBatch, &RawRecord), row: std::result::Result<Row<'_>, Reject>) -> Result<()> {
        self.cleaned.rows += 1;
        let judged = match (self.settings.profile, row) {
            (CleanProfile::None, Ok(row)) => self.by_rules(&row),
            (CleanProfile::Original, Ok(row)) => clean_as_original(&row.columns),
            (CleanProfile::Original, Err(reject)) => match short_row(raw, record, &reject) {
                Some(values) => return self.judged(clean_as_original(&columns(raw, &values)), (raw, record)),
                None => Err(reject.reason),
            },
            (CleanProfile::None, Err(reject)) => Err(reject.reason),
        };
        self.judged(judged, (raw, record))
    }

    fn by_rules<'r>(&mut self, row: &Row<'r>) -> std::result::Result<[&'r [u8]; COLUMNS.len()], RejectReason> {
        let page = self.settings.rules.clean(row)?;
        if self.window.as_mut().is_some_and(|window| window.see(hash_of(&page))) {
            if self.settings.rules.duplicates.action == OnDuplicate::Reject {
                return Err(RejectReason::Duplicate);
            }
            self.cleaned.duplicates += 1;
        }
        Ok(row.columns)
    }

    fn judged(
        &mut self,
        judged: std::result::Result<[&[u8]; COLUMNS.len()], RejectReason>,
        (raw, record): (&RawBatch, &RawRecord),
    ) -> Result<()> {
        match judged {
            Ok(values) => {
                self.cleaned.pages += 1;
                for (filled, value) in self.cleaned.filled.iter_mut().zip(values) {
                    *filled += u64::from(!std::str::from_utf8(value).is_ok_and(is_blank));
                }
                self.pages.write(&values)
            }
            Err(reason) => {
                self.cleaned.rejects[reason.place()] += 1;
                self.escaped.clear();
                escape(raw.raw(record), &mut self.escaped);
                let source = self.sources.get(raw.slice.source as usize).copied().unwrap_or(STDIN);
                let offset = record.offset.to_string();
                let fields = [reason.code(), source, &offset, &self.escaped];
                self.rejects.write(&fields.map(str::as_bytes))
            }
        }
    }
}

/// The values of a record on one line that has too few of them: pandas fills it up.
fn short_row(raw: &RawBatch, record: &RawRecord, reject: &Reject) -> Option<Vec<Vec<u8>>> {
    let Form::Csv(layout) = &*raw.form else { return None };
    if reject.reason != RejectReason::ColumnCount || record.flaw.is_some() {
        return None;
    }
    let mut text = Vec::new();
    layout.encoding.decode(&reject.raw, record.offset, &mut text);
    let values = Parser::values(&text, layout.delimiter);
    (values.len() < layout.n_fields).then_some(values)
}

/// Our columns of a record's values; what it does not have is empty.
fn columns<'a>(raw: &RawBatch, values: &'a [Vec<u8>]) -> [&'a [u8]; COLUMNS.len()] {
    let Form::Csv(layout) = &*raw.form else { return Default::default() };
    let value = |field: u32| values.get(field as usize).map_or(&[][..], Vec::as_slice);
    layout.fields.map(|field| field.map_or(&[][..], value))
}

/// Bytes as text of which no byte is lost, as Python's `codecs.escape_decode` reads it: backslashes, control characters and what is not
/// UTF-8 are escaped.
fn escape(bytes: &[u8], text: &mut String) {
    use std::fmt::Write as _;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                c if c.is_control() => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        let _ = write!(text, "\\x{byte:02x}");
                    }
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests;
