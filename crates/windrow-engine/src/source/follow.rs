//! Files that grow while they are read.
//!
//! ```text
//! open ── the files that there are ──> Following ── batches, as lines come ──> ... ── None: something else is to be opened
//!   ^                                                                                  │
//!   └───────────────────────────── the loop opens the inputs anew ─────────────────────┘
//! ```
//!
//! Who is who is decided in one place alone, where inputs are opened. So whatever happens to names under a run - a new file, a file that
//! was renamed and made anew, one that was cut short - ends this source and has the inputs opened again: positions say what was read,
//! and what was known is known again. Nothing is read twice or passed over by that, however often it happens.
//!
//! Files are asked in turn, each as long as it has something: what was there at the beginning is read in the order of the inputs, and
//! later lines in the order in which they are found. That order is committed, as it is for the partitions of a topic. Nothing depends on
//! the events that a file system sends: network file systems send none.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::columns::Layout;
use super::file::{FileSource, HEAD, Probe};
use super::find::find_files;
use super::form::Form;
use super::generator;
use super::parquet::ParquetSource;
use super::{Positions, Source, Written, kafka};
use crate::batch::{RawBatch, Slice};
use crate::clock::{Clock as _, SystemClock};
use crate::error::{Error, ErrorKind, Result};

/// How long it waits when no file has anything.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the names are looked at. A file that was replaced is read on for as long before the new one is opened: whoever writes it
/// may not know yet.
const LOOK: Duration = Duration::from_secs(1);
/// A file that was replaced and has nothing new for so long is at its end: its last line needs no line end any more.
const SETTLED: Duration = Duration::from_secs(60);
/// Bytes at the end of a file that are looked at for what is left of it.
const LEFT: u64 = 1 << 20;

/// What names stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Named {
    /// Device and inode.
    identity: (u64, u64),
    /// Of a file that has no rows yet, its length.
    waits_at: Option<u64>,
}

/// The files that inputs name now. What cannot be listed now is listed later.
pub(super) struct Names(FxHashMap<PathBuf, Named>);

impl Names {
    pub(super) fn of(inputs: &[String]) -> Self {
        let paths = inputs.iter().filter_map(|input| find_files(input).ok()).flatten();
        let named = |path: &Path| {
            let about = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
            Some(Named { identity: (about.dev(), about.ino()), waits_at: None })
        };
        Self(paths.filter_map(|path| named(&path).map(|named| (path, named))).collect())
    }

    /// Says that a file has no rows yet: it is opened again when its length is another one.
    pub(super) fn waits(&mut self, probe: &Probe) {
        let named = Named { identity: (probe.device, probe.inode), waits_at: Some(probe.size) };
        self.0.insert(probe.path.clone(), named);
    }
}

/// A file that is read, or followed.
pub(super) enum Followed {
    /// One that may grow, where files are followed.
    Growing(Box<FileSource>),
    /// A file that is there as a whole.
    Whole(Box<ParquetSource>),
}

impl Followed {
    /// The same for whoever reads it to its end.
    pub(super) fn boxed(self) -> Box<dyn Source> {
        match self {
            Self::Growing(source) => source,
            Self::Whole(source) => source,
        }
    }

    fn next(&mut self) -> Result<Option<RawBatch>> {
        match self {
            Self::Growing(source) => source.next(),
            Self::Whole(source) => source.next(),
        }
    }

    fn ends_here(&mut self) {
        if let Self::Growing(source) = self {
            source.ends_here();
        }
    }

    fn is_another(&self) -> bool {
        matches!(self, Self::Growing(source) if source.is_another())
    }

    /// Whether more of its head is known than when it was opened.
    fn has_head(&self) -> bool {
        matches!(self, Self::Growing(source) if source.read_up_to() >= HEAD as u64)
    }
}

/// A file that is followed.
struct Part {
    source: Followed,
    identity: (u64, u64),
    /// Whether its head was known in full when it was opened.
    has_whole_head: bool,
    /// Whether another file has its name.
    is_replaced: bool,
    /// Since when it has nothing, and when that was seen last.
    dry: Option<(Duration, Duration)>,
}

impl Part {
    /// What it has.
    fn take(&mut self, now: Duration) -> Result<Option<RawBatch>> {
        if self.is_replaced && self.dry.is_some_and(|(since, _)| now.saturating_sub(since) >= SETTLED) {
            self.source.ends_here();
        }
        let batch = self.source.next()?.filter(|batch| !batch.is_nothing());
        self.dry = match (&batch, self.dry) {
            (Some(_), _) => None,
            (None, dry) => Some((dry.map_or(now, |(since, _)| since), now)),
        };
        Ok(batch)
    }

    /// Whether the inputs are to be opened again for its sake.
    fn is_over(&self) -> bool {
        self.source.is_another() || (!self.has_whole_head && self.source.has_head())
    }
}

/// Why the inputs are to be opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// There is something new.
    New,
    /// A name stands for another file since then.
    Replaced(Duration),
}

/// Files that may grow, until the inputs are to be opened again.
pub(super) struct Following {
    parts: Vec<Part>,
    /// Who is asked.
    at: usize,
    inputs: Vec<String>,
    names: Names,
    clock: SystemClock,
    looked: Duration,
    change: Option<Change>,
}

impl Following {
    /// These files, of which the names stand for what they did when `names` were looked at; parts that were replaced already lie beside.
    pub(super) fn new(files: Vec<(Followed, &Probe, bool)>, inputs: &[String], names: Names) -> Self {
        let part = |(source, probe, is_replaced): (Followed, &Probe, bool)| Part {
            source,
            identity: (probe.device, probe.inode),
            has_whole_head: probe.head.len() == HEAD,
            is_replaced,
            dry: None,
        };
        let parts = files.into_iter().map(part).collect();
        let clock = SystemClock::new();
        Self { parts, at: 0, inputs: inputs.to_vec(), names, clock, looked: Duration::ZERO, change: None }
    }

    /// Looks whether the names still stand for what they did.
    fn look(&mut self, now: Duration) {
        self.looked = now;
        for (path, named) in Names::of(&self.inputs).0 {
            let change = match self.names.0.get(&path) {
                Some(was) if was.identity == named.identity => {
                    let grew = was.waits_at.is_some_and(|len| fs::metadata(&path).is_ok_and(|about| about.len() != len));
                    grew.then_some(Change::New)
                }
                Some(was) => {
                    let replaced = self.parts.iter_mut().filter(|part| part.identity == was.identity);
                    replaced.for_each(|part| part.is_replaced = true);
                    Some(Change::Replaced(now))
                }
                // One of ours under another name.
                None if self.names.0.values().any(|known| known.identity == named.identity) => None,
                None => Some(Change::New),
            };
            self.change = self.change.or(change);
        }
    }

    /// Whether the inputs are to be opened again now: what was replaced is read to its end first.
    fn is_over(&self, now: Duration) -> bool {
        match self.change {
            None => self.parts.iter().any(Part::is_over),
            Some(Change::New) => true,
            Some(Change::Replaced(since)) => {
                let is_read = |part: &Part| part.dry.is_some_and(|(_, seen)| seen >= since + LOOK);
                now >= since + LOOK && self.parts.iter().filter(|part| part.is_replaced).all(is_read)
            }
        }
    }
}

impl Source for Following {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        let now = self.clock.elapsed();
        if now.saturating_sub(self.looked) >= LOOK {
            self.look(now);
        }
        if self.is_over(now) {
            return Ok(None);
        }
        for _ in 0..self.parts.len() {
            self.at %= self.parts.len();
            if let Some(batch) = self.parts[self.at].take(now)? {
                return Ok(Some(batch));
            }
            self.at += 1;
        }
        let _ = crossbeam_channel::never::<()>().recv_timeout(PAUSE);
        Ok(Some(nothing()))
    }
}

/// A batch that says that there is nothing now.
pub(super) fn nothing() -> RawBatch {
    RawBatch {
        form: Arc::new(Form::Csv(Layout::canonical())),
        slice: Slice { source: 0, from: 0, to: 0 },
        bytes: Vec::new(),
        records: Vec::new(),
        beside: Vec::new(),
    }
}

/// What is left of followed files for the next run, in sentences.
pub(crate) fn left(positions: &Positions) -> Vec<String> {
    let files = positions.sources.iter().filter(|source| {
        let is_plain = source.written != Some(Written::Parquet);
        is_plain && !source.name.starts_with(generator::PREFIX) && !source.name.starts_with(kafka::PREFIX) && source.offset > 0
    });
    let left = files.filter_map(|source| {
        let path = Path::new(&source.name);
        let about = fs::metadata(path).ok()?;
        let is_same = (about.dev(), about.ino()) == (source.device, source.inode) && about.len() > source.offset;
        is_same.then(|| told(&source.name, about.len() - source.offset, has_line_end(path, source.offset)))
    });
    left.collect()
}

fn told(name: &str, bytes: u64, has_line_end: bool) -> String {
    if has_line_end {
        format!("{bytes} bytes of {name} came while the run ended: they are left for the next one")
    } else {
        format!("the last {bytes} bytes of {name} have no line end yet: they are left for the next run")
    }
}

fn has_line_end(path: &Path, offset: u64) -> bool {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        file.take(LEFT).read_to_end(&mut bytes)
    });
    read.is_ok() && bytes.contains(&b'\n')
}

/// Whoever waits for it to grow would wait for ever.
pub(super) fn never_grows(input: &str, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, "E-INPUT-FOLLOW", format!("{input} cannot be followed: {why}"))
        .hint("leave out --follow to read it to its end")
}

#[cfg(test)]
mod tests;
