//! READ: sources of rows and their positions.

use serde::{Deserialize, Serialize};

use crate::batch::Slice;

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
