//! READ: sources of rows and their positions.
//!
//! A [`Source`] hands out [`RawBatch`]es in its order; [`open`] makes one of whatever the user names: files, directories, globs,
//! `generator:…`. [`crate::read::spawn`] reads and prepares it in threads. How a source is known again, and how far it was
//! read, stands in [`Positions`], which the loop commits with the outputs.
//!
//! ```text
//! open ─ file ─ decompress ─ scan ─┐
//!      └ generator ────────────────┴─ RawBatch ─ parse ─ (windrow_core) prepare ─ Batch
//!                                      of a Form
//! ```

pub mod columns;
pub(crate) mod decompress;
pub mod file;
mod find;
pub mod form;
pub mod generator;
pub mod memory;
pub mod parse;
pub mod propose;
pub mod scan;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::batch::{RawBatch, Slice};
use crate::error::Result;

pub use columns::ColumnMap;
pub use find::{Opened, open};
pub use form::{Form, MessageFormat};

/// Bytes of a file that its head hash covers, if it has so many.
pub(crate) const HEAD: u32 = file::HEAD as u32;

/// One source as the pipeline knows it: who it is, and how far it has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePosition {
    /// Path as found, or `generator:…`.
    pub name: String,
    /// Device of the file; 0 when there is none.
    pub device: u64,
    /// Inode of the file; 0 when there is none.
    pub inode: u64,
    /// Bytes at the head of the (decompressed) file that `head_hash` covers.
    pub head_len: u32,
    /// Hash of the head: tells a file that was renamed from one that was replaced.
    pub head_hash: u64,
    /// Read up to here (decompressed bytes, or row number for the generator).
    pub offset: u64,
    /// Rows read so far.
    pub rows: u64,
}

/// All sources of a pipeline; a source's ordinal is its index here, and stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// The sources, by ordinal.
    pub sources: Vec<SourcePosition>,
}

impl Positions {
    /// Moves the source of `slice` on to its end.
    pub fn advance(&mut self, slice: Slice, rows: u64) {
        let source = &mut self.sources[slice.source as usize];
        debug_assert!(slice.from == source.offset, "slices follow each other without gap");
        source.offset = slice.to;
        source.rows += rows;
    }
}

/// How much a source may hand out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a batch, at most.
    pub batch_rows: usize,
    /// A batch ends with the record that reaches so many bytes.
    pub batch_bytes: usize,
    /// Bytes of a record, at most; a longer line comes in pieces, each of them a reject.
    pub record_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch_rows: 4096, batch_bytes: 1 << 20, record_bytes: 1 << 20 }
    }
}

/// Rows in an order that is the same each time they are read.
pub trait Source: Send {
    /// The next batch; `None` at the end. The slices of a source follow each other without gap. After an error comes `None`.
    fn next(&mut self) -> Result<Option<RawBatch>>;
}

/// Sources one after the other.
#[derive(Default)]
pub struct Chain {
    parts: VecDeque<Box<dyn Source>>,
}

impl Chain {
    /// Adds a source behind the others.
    pub fn push(&mut self, source: Box<dyn Source>) {
        self.parts.push_back(source);
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
