//! READ: sources of rows and their positions.
//!
//! A [`Source`] hands out [`RawBatch`]es in its order; [`open`] makes one of whatever the user names: files, directories, globs,
//! `generator:…`. [`crate::read::spawn`] reads and prepares it in threads. How a source is known again, and how far it was
//! read, stands in [`Positions`], which the loop commits with the outputs.
//!
//! ```text
//! open ─ file ─ decompress ─ scan ─┐  (UTF-16 as text, beside its bytes)
//!      ├ parquet ── rows as JSON ──┤
//!      └ generator ────────────────┴─ RawBatch ─ parse ─ (windrow_core) prepare ─ Batch
//!                                      of a Form
//! ```

pub(crate) mod again;
pub mod columns;
pub(crate) mod decompress;
pub mod encoding;
pub mod extent;
pub mod file;
mod find;
mod follow;
pub mod form;
pub mod generator;
pub mod kafka;
pub mod keep;
pub mod memory;
mod parquet;
pub mod parse;
pub(crate) mod pipe;
pub mod propose;
pub mod replay;
pub mod scan;
pub mod written;

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};

use crate::batch::{RawBatch, Slice};
use crate::error::Result;

pub use columns::ColumnMap;
pub use find::{Opened, Reading, Wanted, new_files, open};
pub(crate) use follow::left;
pub use form::{Form, MessageFormat};
pub use keep::Keep;
pub use replay::Order;
pub use written::{Asked, Written};

/// Bytes of a file that its head hash covers, if it has so many.
pub(crate) const HEAD: u32 = file::HEAD as u32;

/// One source as the pipeline knows it: who it is, and how far it has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePosition {
    /// Path as found, or `generator:…`.
    pub name: String,
    /// Device of the file, or hash of the id of a topic's brokers; 0 when there is none.
    pub device: u64,
    /// Inode of the file, or hash of the id of a topic, where brokers tell it; 0 when there is none.
    pub inode: u64,
    /// When the file was made, in nanoseconds since 1970: tells an inode that is used again. 0 where the file system does not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub born: u64,
    /// Bytes at the head of the (decompressed) file that `head_hash` covers.
    pub head_len: u32,
    /// Hash of the head: tells a file that was renamed from one that was replaced.
    pub head_hash: u64,
    /// Where reading began: the start, but for topics.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start: u64,
    /// Read up to here (decompressed bytes, row number for Parquet and the generator, next offset for a partition).
    pub offset: u64,
    /// Rows read so far.
    pub rows: u64,
    /// How a file is written, once that is known: it is read so for good. None in states of programs that knew one way alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl SourcePosition {
    /// A source of that name of which nothing is known, and nothing was read.
    pub fn of(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            device: 0,
            inode: 0,
            born: 0,
            head_len: 0,
            head_hash: 0,
            start: 0,
            offset: 0,
            rows: 0,
            written: None,
        }
    }

    /// The same source when nothing of it had been read.
    pub fn at_start(&self) -> Self {
        Self { offset: self.start, rows: 0, written: self.written(), ..self.clone() }
    }

    /// What its offsets count.
    pub fn unit(&self) -> &'static str {
        match self.written {
            _ if self.name.starts_with(generator::PREFIX) => "row",
            _ if self.name.starts_with(kafka::PREFIX) => "offset",
            Some(Written::Parquet) => "row",
            _ => "byte",
        }
    }

    /// How a file is written of which something was read.
    pub fn written(&self) -> Option<Written> {
        let is_file = !self.name.starts_with(generator::PREFIX) && !self.name.starts_with(kafka::PREFIX);
        self.written.or((is_file && self.offset > 0).then_some(Written::USUAL))
    }
}

/// All sources of a pipeline; a source's ordinal is its index here, and stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// The sources, by ordinal.
    pub sources: Vec<SourcePosition>,
}

impl Positions {
    /// The same sources when nothing of them had been read.
    pub fn at_start(&self) -> Self {
        Self { sources: self.sources.iter().map(SourcePosition::at_start).collect() }
    }

    /// Moves the source of `slice` on to its end.
    pub fn advance(&mut self, slice: Slice, rows: u64) {
        let source = &mut self.sources[slice.source as usize];
        debug_assert!(slice.from == source.offset, "slices follow each other without gap");
        source.offset = slice.to;
        source.rows += rows;
    }
}

/// The share of the memory that a topic's messages may take before they are asked for.
pub(crate) const PREFETCHED: u64 = 32;

/// How much a source may hand out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a batch, at most.
    pub batch_rows: usize,
    /// A batch ends with the record that reaches so many bytes.
    pub batch_bytes: usize,
    /// Bytes of a record, at most; a longer line comes in pieces, each of them a reject.
    pub record_bytes: usize,
    /// Bytes that a source may fetch before they are asked for, all its partitions together.
    pub queue_bytes: usize,
    /// Bytes that may come of one of a compressed file's; 0 for any number.
    pub unpacked: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch_rows: 4096, batch_bytes: 1 << 20, record_bytes: 1 << 20, queue_bytes: 64 << 20, unpacked: 500 }
    }
}

impl Limits {
    /// The usual ones, for records of so many bytes at most.
    pub fn of_records(most_bytes: u64) -> Self {
        Self { record_bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX), ..Self::default() }
    }

    /// The same for files of which so many bytes may come for one of theirs.
    #[must_use]
    pub fn unpacking(self, most: u64) -> Self {
        Self { unpacked: most, ..self }
    }
}

/// Rows in an order that is the same each time they are read.
pub trait Source: Send {
    /// The next batch; `None` at the end. The slices of a source follow each other without gap. After an error comes `None`. A source
    /// that has nothing now and may have something later says so with an empty batch, and never waits long.
    fn next(&mut self) -> Result<Option<RawBatch>>;
}

/// What a source that has nothing now waits for.
#[derive(Debug, Clone)]
pub(crate) struct Waiting(Option<Receiver<()>>);

impl Waiting {
    /// Longest wait: so often somebody who wants to end is heard.
    const LONGEST: Duration = Duration::from_millis(50);

    /// Nothing: files have all that they have.
    pub(crate) fn never() -> Self {
        Self(None)
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_for_ever(&self) -> bool {
        self.0.is_none()
    }

    /// A bell, and what hears it.
    pub(crate) fn bell() -> (Sender<()>, Self) {
        let (bell, heard) = bounded(1);
        (bell, Self(Some(heard)))
    }

    /// Waits a moment for the bell.
    pub(crate) fn wait(&self) {
        if let Some(bell) = &self.0 {
            // Heard or not: the caller looks again.
            let _ = bell.recv_timeout(Self::LONGEST);
        }
    }
}

/// Sources of a topic's partitions, each as far as it has something, in turn.
struct Merged {
    parts: Vec<Box<dyn Source>>,
    /// Who is asked first next time.
    next: usize,
    waiting: Waiting,
    watch: Option<kafka::watch::Watch>,
}

impl Merged {
    fn new(parts: impl Iterator<Item = Box<dyn Source>>, waiting: Waiting, watch: Option<kafka::watch::Watch>) -> Self {
        Self { parts: parts.collect(), next: 0, waiting, watch }
    }
}

impl Source for Merged {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        if let Some(watch) = &self.watch {
            watch.check()?;
        }
        let (mut nothing, mut asked) = (None, 0);
        while asked < self.parts.len() {
            self.next %= self.parts.len();
            match self.parts[self.next].next()? {
                None => {
                    drop(self.parts.remove(self.next));
                    continue; // the part behind it has its place now
                }
                Some(batch) if batch.is_nothing() => nothing = Some(batch),
                batch => {
                    self.next += 1;
                    return Ok(batch);
                }
            }
            self.next += 1;
            asked += 1;
        }
        if nothing.is_some() {
            self.waiting.wait();
        }
        Ok(nothing)
    }
}

/// Sources one after the other.
#[derive(Default)]
pub struct Chain {
    parts: VecDeque<Box<dyn Source>>,
}

impl Chain {
    /// These sources, in this order.
    pub fn new(parts: impl Iterator<Item = Box<dyn Source>>) -> Self {
        Self { parts: parts.collect() }
    }
}

impl Source for Chain {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        while let Some(first) = self.parts.front_mut() {
            match first.next() {
                Ok(None) => drop(self.parts.pop_front()),
                Err(error) => {
                    self.parts.clear();
                    return Err(error);
                }
                batch => return batch,
            }
        }
        Ok(None)
    }
}
