//! Batches: rows handled together, and the slice of a source that they cover.
//!
//! A source cuts its records into [`RawBatch`]es (bytes and record ranges); preparer threads make [`Batch`]es of them. Where the
//! cuts lie never influences an answer: blocks, rolls and epochs are counted in rows of the order, not in batches.

use std::sync::Arc;

use windrow_core::pipeline::Prepared;
use windrow_core::record::{Beside, Reject, RejectReason};

use crate::source::form::Form;

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

/// How the fields of a record are written, which says how they may be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quoting {
    /// No field is quoted: every comma separates.
    Plain,
    /// Some fields are quoted, and their values stand in the bytes as they are.
    Quoted,
    /// Some quoted field holds `""` or has text after its closing quote: its value must be put together.
    Escaped,
}

/// One record of a [`RawBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRecord {
    /// First byte in [`RawBatch::bytes`].
    pub start: u32,
    /// After the last byte, without line end.
    pub end: u32,
    /// Offset in the source: with the source's ordinal the record id.
    pub offset: u64,
    /// How its fields are written.
    pub quoting: Quoting,
    /// Why it can never be a row, when the scanner already knows.
    pub flaw: Option<RejectReason>,
}

/// Records as they lie in a source, before they are parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBatch {
    /// How the records are written, and what in them is which column.
    pub form: Arc<Form>,
    /// What the batch covers; blank lines and the header included.
    pub slice: Slice,
    /// The bytes of the records and of the line ends between them.
    pub bytes: Vec<u8>,
    /// The records, in order.
    pub records: Vec<RawRecord>,
    /// What came beside the bytes of records, by their offsets, in order; nothing of most.
    pub beside: Vec<(u64, Beside)>,
}

impl RawBatch {
    /// A batch of messages, which begins at `slice` and has none yet.
    pub fn of_messages(form: Arc<Form>, slice: Slice) -> Self {
        Self { form, slice, bytes: Vec::new(), records: Vec::new(), beside: Vec::new() }
    }

    /// Puts a message behind the others, of `longest` bytes at most; more are a reject, and so is one without a value.
    pub fn push_message(&mut self, longest: usize, offset: u64, value: Option<&[u8]>, beside: Option<Beside>) {
        let bytes = value.unwrap_or_default();
        let record = self.form.record(bytes, self.bytes.len(), offset, longest);
        let flaw = if value.is_none() { Some(RejectReason::Tombstone) } else { record.flaw };
        self.bytes.extend_from_slice(bytes);
        self.records.push(RawRecord { flaw, ..record });
        self.beside.extend(beside.map(|beside| (offset, beside)));
        self.slice.to = offset + 1;
    }

    /// Whether it says only that there is nothing now.
    pub fn is_nothing(&self) -> bool {
        self.records.is_empty() && self.slice.from == self.slice.to
    }

    /// The original bytes of a record.
    pub fn raw(&self, record: &RawRecord) -> &[u8] {
        &self.bytes[record.start as usize..record.end as usize]
    }

    /// Gives rejects what came beside their bytes.
    pub fn put_beside(&mut self, rejects: &mut [Reject]) {
        if self.beside.is_empty() {
            return;
        }
        for reject in rejects {
            let found = self.beside.binary_search_by_key(&reject.origin.offset, |(offset, _)| *offset);
            reject.beside = found.ok().map(|at| std::mem::take(&mut self.beside[at].1));
        }
    }
}
