//! Rejects of files once more: in files of their own, which a run reads like any other.
//!
//! ```text
//! rejects/*.parquet ── chosen, not yet written ──> INTO/.replay-N.tmp/  0-pages.csv ...   (header as it was, records as they were)
//!                                                                       records.txt       (which ones)
//!                                                  INTO/replay-N/       renamed: all of it, or nothing
//! ```
//!
//! A file of rejects is written as its source was: the same head, the same bytes, the same delimiter and encoding; so it is read by the rule
//! that the source was read by, or by the one that somebody sets instead. Its rows are rows of a new input, with record ids of their own: the
//! rejects stay what they are, and the audit counts both. What was written is known from the lists beside: each reject comes into a folder once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use rustc_hash::FxHashSet;
use windrow_core::record::RecordId;
use xxhash_rust::xxh3::xxh3_128;

use super::{Filter, Rejected, in_output};
use crate::checkpoint::Committed;
use crate::checkpoint::files::{create_dir, environment, names_in, read_if_there, rename, sync_dir};
use crate::checkpoint::lock::Lock;
use crate::clock::Clock;
use crate::error::Result;
use crate::source::again::Head;
use crate::source::{ColumnMap, Limits, SourcePosition};

/// Name of the list of a folder's records.
const RECORDS: &str = "records.txt";
/// Name of the lock in the folder that is written to.
const LOCK: &str = ".windrow-replay";
/// Most letters of a source's name in a file's.
const NAME: usize = 60;

/// Which rejects go where.
#[derive(Debug, Clone)]
pub struct Order {
    /// The ones meant.
    pub filter: Filter,
    /// Folder that they go to.
    pub into: PathBuf,
    /// What the sources call our columns, where the state calls them otherwise.
    pub columns: ColumnMap,
    /// Whether to look only.
    pub dry_run: bool,
}

/// A file of rejects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Where it lies, or would.
    pub path: PathBuf,
    /// Rejects in it.
    pub rejects: u64,
    /// Settings that a run has to be told to read it: flags and their values.
    pub flags: Vec<(&'static str, &'static str)>,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Folder of this call; none when there was nothing to write.
    pub folder: Option<PathBuf>,
    /// Its files, by the number of their source.
    pub files: Vec<Again>,
    /// Rejects written, or that would be, by reason.
    pub written: BTreeMap<String, u64>,
    /// Meant, and written by an earlier call.
    pub before: u64,
    /// Meant, and with a quote that nothing closes, or half a character: they would take in the rows behind them.
    pub open: u64,
    /// Meant, and messages of topics.
    pub of_topics: u64,
}

/// Writes the rejects of an output to files, each once to a folder.
///
/// # Errors
/// `E-REJECTS-INPUT`, `E-INPUT-OPEN`: a source is not there as it was, and its header is needed. `E-COLUMN-MAP`, `E-INPUT-COLUMNS`: the columns
/// cannot be called so. `E-LOCKED`: another call writes there. `E-IO`.
pub fn replay(committed: &Committed, order: &Order, clock: &dyn Clock) -> Result<Replayed> {
    let _lock = if order.dry_run {
        None
    } else {
        create_dir(&order.into)?;
        Some(Lock::take(&order.into.join(LOCK), clock.now())?)
    };
    let (done, number) = earlier(&order.into)?;
    let name = format!("replay-{number:08}");
    let mut call = Call {
        committed,
        order,
        known: committed.manifest.columns.parse()?,
        limits: Limits::of_records(committed.manifest.max_record),
        done,
        folder: order.into.join(&name),
        staging: order.into.join(format!(".{name}.tmp")),
        sources: BTreeMap::new(),
        list: None,
        replayed: Replayed::default(),
    };
    if !order.dry_run {
        call.clear()?;
    }
    in_output(committed, &mut |reject| call.take(reject))?;
    call.finish()
}

/// Which rejects earlier calls wrote to a folder, and the number of the next call.
fn earlier(into: &Path) -> Result<(FxHashSet<u128>, u32)> {
    let (mut done, mut last) = (FxHashSet::default(), 0);
    for name in names_in(into)? {
        let Some(number) = name.strip_prefix("replay-").and_then(|digits| digits.parse::<u32>().ok()) else { continue };
        last = last.max(number);
        let list = read_if_there(&into.join(&name).join(RECORDS))?.unwrap_or_default();
        done.extend(list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(xxh3_128));
    }
    Ok((done, last + 1))
}

/// A source of which rejects are written.
struct Part {
    head: Head,
    name: String,
    file: Option<BufWriter<File>>,
    /// Where the last record ended in the source, and whether it still waits for its line end.
    end: Option<u64>,
    rejects: u64,
}

struct Call<'a> {
    committed: &'a Committed,
    order: &'a Order,
    known: ColumnMap,
    limits: Limits,
    done: FxHashSet<u128>,
    folder: PathBuf,
    staging: PathBuf,
    sources: BTreeMap<u32, Part>,
    list: Option<BufWriter<File>>,
    replayed: Replayed,
}

impl Call<'_> {
    /// Takes away what a killed call left.
    fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(&self.staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(environment("remove", &self.staging, &error)),
            _ => Ok(()),
        }
    }

    fn take(&mut self, reject: &Rejected<'_>) -> Result<()> {
        let (order, key) = (self.order, format!("{}/{}", reject.pipeline, reject.record_id));
        if !order.filter.fits(reject) {
            return Ok(());
        }
        let id = reject.record_id.parse::<RecordId>().ok().filter(|_| !reject.is_message());
        let source = id.and_then(|id| Some((id, self.committed.manifest.positions.sources.get(id.source as usize)?)));
        let (Some((id, source)), Some(raw)) = (source, reject.raw) else {
            self.replayed.of_topics += 1;
            return Ok(());
        };
        if !self.done.insert(xxh3_128(key.as_bytes())) {
            self.replayed.before += 1;
            return Ok(());
        }
        let limit = self.limits.record_bytes;
        let part = match self.sources.entry(id.source) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Part::of(id.source, source, &self.known, &self.limits)?),
        };
        // A piece of a line that was too long goes on where the piece before ended.
        let goes_on = part.head.has_pieces && part.end == Some(id.offset);
        if !goes_on && !part.head.holds(raw, limit) {
            self.replayed.open += 1;
            return Ok(());
        }
        if !order.dry_run {
            if part.file.is_none() {
                create_dir(&self.staging)?;
                let head = part.first_bytes(&order.columns, &self.known, &source.name)?;
                part.open(&self.staging, &head)?;
            }
            part.write(raw, goes_on).map_err(|error| environment("write", &self.staging, &error))?;
            self.note(&key)?;
        }
        let part = self.sources.get_mut(&id.source).expect("it was entered");
        part.end = Some(id.offset + raw.len() as u64);
        part.rejects += 1;
        *self.replayed.written.entry(reject.reason.to_owned()).or_default() += 1;
        Ok(())
    }

    fn note(&mut self, key: &str) -> Result<()> {
        let path = self.staging.join(RECORDS);
        let list = match &mut self.list {
            Some(list) => list,
            none => none.insert(BufWriter::new(File::create(&path).map_err(|error| environment("create", &path, &error))?)),
        };
        writeln!(list, "{key}").map_err(|error| environment("write", &path, &error))
    }

    /// Makes all of it seen.
    fn finish(mut self) -> Result<Replayed> {
        let failed = |error: &io::Error| environment("write", &self.staging, error);
        for part in self.sources.values_mut().filter(|part| part.rejects > 0) {
            part.end().map_err(|error| failed(&error))?;
            let path = self.folder.join(&part.name);
            self.replayed.files.push(Again { path, rejects: part.rejects, flags: part.flags() });
        }
        if self.replayed.files.is_empty() {
            return Ok(self.replayed);
        }
        self.replayed.folder = Some(self.folder.clone());
        if let Some(mut list) = self.list.take() {
            list.flush().and_then(|()| list.get_ref().sync_all()).map_err(|error| failed(&error))?;
            sync_dir(&self.staging)?;
            rename(&self.staging, &self.folder)?;
            sync_dir(&self.order.into)?;
        }
        Ok(self.replayed)
    }
}

impl Part {
    fn of(ordinal: u32, source: &SourcePosition, columns: &ColumnMap, limits: &Limits) -> Result<Self> {
        let head = Head::of(source, columns, limits)?;
        let ending = match head.written.words() {
            ("jsonl", ..) => "jsonl",
            (_, Some("tab"), _) => "tsv",
            _ => "csv",
        };
        let name = format!("{ordinal}-{}.{ending}", stem(&source.name));
        Ok(Self { head, name, file: None, end: None, rejects: 0 })
    }

    /// What the file begins with.
    fn first_bytes(&self, columns: &ColumnMap, known: &ColumnMap, name: &str) -> Result<Vec<u8>> {
        if *columns == ColumnMap::default() { Ok(self.head.bytes.clone()) } else { self.head.renamed(columns, known, name) }
    }

    fn open(&mut self, folder: &Path, head: &[u8]) -> Result<()> {
        let path = folder.join(&self.name);
        let made = File::create_new(&path).map(BufWriter::new).and_then(|mut file| file.write_all(head).map(|()| file));
        self.file = Some(made.map_err(|error| environment("create", &path, &error))?);
        Ok(())
    }

    fn write(&mut self, raw: &[u8], goes_on: bool) -> io::Result<()> {
        let line_end = self.head.line_end();
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.end.is_some() && !goes_on {
            file.write_all(&line_end)?;
        }
        file.write_all(raw)
    }

    /// The last line's end; on disk for good.
    fn end(&mut self) -> io::Result<()> {
        let line_end = self.head.line_end();
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.write_all(&line_end)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    /// What a run has to be told.
    fn flags(&self) -> Vec<(&'static str, &'static str)> {
        let (_, delimiter, encoding) = self.head.written.words();
        let delimiter = delimiter.filter(|delimiter| *delimiter != ",").map(|delimiter| ("--delimiter", delimiter));
        let encoding = (!self.head.says_its_encoding()).then_some(("--encoding", encoding));
        delimiter.into_iter().chain(encoding).collect()
    }
}

/// What a source's file is called, without its endings and in letters that harm nobody.
fn stem(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    let stem = plain.rsplit_once('.').map_or(plain, |(stem, _)| stem);
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    stem.chars().take(NAME).map(|char| if is_plain(char) { char } else { '_' }).collect()
}
