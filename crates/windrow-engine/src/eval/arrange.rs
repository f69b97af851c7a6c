//! The same records in another order: shuffled in windows, with others mixed in.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

use crate::batch::{RawBatch, RawRecord, Slice};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;
use crate::source::form::Form;

/// Source ordinal of rows that were mixed in.
pub(super) const MIXED_IN: u32 = u32::MAX;
const BATCH_ROWS: usize = 4_096;
const BATCH_BYTES: usize = 1 << 20;

/// A record with its own bytes.
#[derive(Debug, Clone)]
struct Record {
    form: Arc<Form>,
    source: u32,
    place: RawRecord,
    bytes: Arc<[u8]>,
}

/// Takes the records of a source one by one.
struct Records {
    source: Box<dyn Source>,
    batch: VecDeque<Record>,
}

impl Records {
    fn next(&mut self) -> Result<Option<Record>> {
        while self.batch.is_empty() {
            let Some(raw) = self.source.next()? else { return Ok(None) };
            let source = raw.slice.source;
            self.batch.extend(raw.records.iter().map(|place| Record {
                form: Arc::clone(&raw.form),
                source,
                place: *place,
                bytes: raw.raw(place).into(),
            }));
        }
        Ok(self.batch.pop_front())
    }
}

/// Rows that come again and again.
struct Mixed {
    rows: Vec<Record>,
    at: usize,
    ratio: u32,
}

/// Records in the order in which an evaluation wants them.
pub(super) struct Arranged {
    input: Records,
    mixed: Option<Mixed>,
    window: usize,
    left: u64,
    chance: Pcg64,
    queue: VecDeque<Record>,
}

impl Arranged {
    /// `input` shuffled in windows of `window` rows, up to `limit` of them, with `ratio` rows of the other source before each.
    pub(super) fn new(
        input: Box<dyn Source>,
        mixed: Option<(Box<dyn Source>, u32)>,
        window: usize,
        limit: Option<u64>,
        seed: u64,
    ) -> Result<Self> {
        let mixed = match mixed {
            Some((source, ratio)) => Some(Mixed { rows: all(source)?, at: 0, ratio }),
            None => None,
        };
        Ok(Self {
            input: Records { source: input, batch: VecDeque::new() },
            mixed,
            window: window.max(1),
            left: limit.unwrap_or(u64::MAX),
            chance: Pcg64::seed_from_u64(seed),
            queue: VecDeque::new(),
        })
    }

    /// Fills the queue with the next window of the input and what runs between its rows.
    fn fill(&mut self) -> Result<()> {
        let mut window = Vec::with_capacity(self.window);
        while window.len() < self.window && self.left > 0 {
            let Some(record) = self.input.next()? else { break };
            self.left -= 1;
            window.push(record);
        }
        if self.window > 1 {
            window.shuffle(&mut self.chance);
        }
        for record in window {
            if let Some(mixed) = &mut self.mixed {
                for _ in 0..mixed.ratio {
                    self.queue.push_back(mixed.rows[mixed.at].clone());
                    mixed.at = (mixed.at + 1) % mixed.rows.len();
                }
            }
            self.queue.push_back(record);
        }
        Ok(())
    }
}

fn all(source: Box<dyn Source>) -> Result<Vec<Record>> {
    let mut records = Records { source, batch: VecDeque::new() };
    let mut rows = Vec::new();
    while let Some(record) = records.next()? {
        rows.push(Record { source: MIXED_IN, ..record });
    }
    if rows.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-NONE", "the rows to mix in are none").hint("give another --mix"));
    }
    Ok(rows)
}

impl Source for Arranged {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        let mut batch: Option<RawBatch> = None;
        loop {
            if self.queue.is_empty() {
                self.fill()?;
            }
            let Some(next) = self.queue.front() else { return Ok(batch) };
            let fits = batch.as_ref().is_none_or(|batch| {
                let is_same = batch.slice.source == next.source && Arc::ptr_eq(&batch.form, &next.form);
                is_same && batch.records.len() < BATCH_ROWS && batch.bytes.len() < BATCH_BYTES
            });
            if !fits {
                return Ok(batch);
            }
            let next = self.queue.pop_front().expect("it was there just now");
            let batch = batch.get_or_insert_with(|| RawBatch {
                form: Arc::clone(&next.form),
                // Positions mean nothing in an order that was made up: nothing is committed.
                slice: Slice { source: next.source, from: 0, to: 0 },
                bytes: Vec::new(),
                records: Vec::new(),
                beside: Vec::new(),
            });
            let at = |at: usize| u32::try_from(at).expect("a batch holds less than 4 GiB");
            let start = at(batch.bytes.len());
            batch.bytes.extend_from_slice(&next.bytes);
            batch.records.push(RawRecord { start, end: at(batch.bytes.len()), ..next.place });
            batch.bytes.push(b'\n');
        }
    }
}
