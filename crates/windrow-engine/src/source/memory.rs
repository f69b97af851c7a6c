//! Rows from memory, for tests.

use std::sync::Arc;

use super::columns::Layout;
use super::form::Form;
use super::{Limits, Source};
use crate::batch::{RawBatch, RawRecord, Slice};
use crate::error::Result;

/// CSV records without a header, in the canonical columns.
#[derive(Debug)]
pub struct MemorySource {
    bytes: Vec<u8>,
    at: usize,
    ordinal: u32,
    limits: Limits,
    form: Arc<Form>,
}

impl MemorySource {
    /// The records in `bytes`.
    pub fn new(bytes: impl Into<Vec<u8>>, ordinal: u32, limits: Limits) -> Self {
        Self { bytes: bytes.into(), at: 0, ordinal, limits, form: Arc::new(Form::Csv(Layout::canonical())) }
    }

    /// The same records, with other columns.
    #[must_use]
    pub fn with_layout(self, layout: Layout) -> Self {
        Self { form: Arc::new(Form::Csv(layout)), ..self }
    }
}

impl Source for MemorySource {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        // A batch may have ended within a line that is too long.
        let is_rest = self.at > 0 && !matches!(self.bytes[self.at - 1], b'\n' | b'\r');
        let scanner = self.form.scanner(self.limits.record_bytes);
        let mut scanner = if is_rest { scanner.in_rest_of_line() } else { scanner };
        let mut records = Vec::new();
        while records.len() < self.limits.batch_rows && scanner.done() < self.limits.batch_bytes {
            let Some(found) = scanner.next(rest, true) else { break };
            let at = |at: usize| u32::try_from(at).expect("a batch holds less than 4 GiB");
            let offset = (self.at + found.start) as u64;
            records.push(RawRecord {
                start: at(found.start),
                end: at(found.end),
                offset,
                quoting: found.quoting,
                flaw: found.flaw,
            });
        }
        let (from, done) = (self.at, scanner.done());
        let bytes = rest[..done].to_vec();
        self.at += done;
        let slice = Slice { source: self.ordinal, from: from as u64, to: self.at as u64 };
        Ok(Some(RawBatch { form: Arc::clone(&self.form), slice, bytes, records, beside: Vec::new() }))
    }
}
