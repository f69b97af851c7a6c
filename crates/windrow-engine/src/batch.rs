//! Batches: rows handled together, and the slice of a source that they cover.

use windrow_core::pipeline::Prepared;

/// A half-open range of one source, in its offsets. Half-open, so that neighbours fit without gap or overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Ordinal of the source.
    pub source: u32,
    /// Offset of the first byte covered.
    pub from: u64,
    /// Offset after the last byte covered.
    pub to: u64,
}

/// A prepared batch with what it covers. Batches reach the loop in the order of the input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// The slice covered; sources that were read through also appear with an empty slice.
    pub span: Vec<Slice>,
    /// Pages and rejects.
    pub prepared: Prepared,
}
