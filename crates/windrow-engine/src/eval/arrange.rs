//! The same records in another order: shuffled in windows, label after label, in bursts, with others mixed in.
//!
//! What only looks a window ahead streams. An order that goes by labels needs to have seen all rows, so it holds them: within bounds, or
//! it says so.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{RngExt as _, SeedableRng};
use rand_pcg::Pcg64;
use rustc_hash::FxHashMap;

use super::labels::Labelled;
use crate::batch::{RawBatch, RawRecord, Slice};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;
use crate::source::form::Form;

/// Source ordinal of rows that were mixed in.
pub(super) const MIXED_IN: u32 = u32::MAX;
const BATCH_ROWS: usize = 4_096;
const BATCH_BYTES: usize = 1 << 20;

/// How the rows of the inputs follow each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sequence {
    /// As they are read.
    #[default]
    Given,
    /// Drawn by chance within windows.
    Shuffled,
    /// Label after label, in the order in which the labels first come.
    Sorted,
    /// In runs of one label: what comes next of a label comes at once.
    Bursts,
}

/// An order of rows: written `given`, `shuffled`, `bursts+diluted`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    /// The rows that are scored.
    pub sequence: Sequence,
    /// Whether others run between them.
    pub diluted: bool,
}

/// Names of what an order can be.
const NAMES: [(&str, Sequence); 4] =
    [("given", Sequence::Given), ("shuffled", Sequence::Shuffled), ("sorted", Sequence::Sorted), ("bursts", Sequence::Bursts)];
const DILUTED: &str = "diluted";

impl Order {
    /// Whether it goes by the labels of all rows.
    pub(super) fn needs_labels(self) -> bool {
        matches!(self.sequence, Sequence::Sorted | Sequence::Bursts)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.into_iter().find(|(_, sequence)| *sequence == self.sequence).map_or("", |(name, _)| name);
        match (self.diluted, self.sequence) {
            (false, _) => f.write_str(name),
            (true, Sequence::Given) => f.write_str(DILUTED),
            (true, _) => write!(f, "{name}+{DILUTED}"),
        }
    }
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (first, rest) = text.split_once('+').map_or((text, None), |(first, rest)| (first, Some(rest)));
        let sequence = NAMES.into_iter().find(|(name, _)| *name == first).map(|(_, sequence)| sequence);
        match (first, sequence, rest) {
            (DILUTED, _, None) => Ok(Self { sequence: Sequence::Given, diluted: true }),
            (_, Some(sequence), None) => Ok(Self { sequence, diluted: false }),
            (_, Some(sequence), Some(DILUTED)) => Ok(Self { sequence, diluted: true }),
            _ => Err("orders are given, shuffled, sorted, bursts, diluted, and for example shuffled+diluted".into()),
        }
    }
}

/// A record with its own bytes.
#[derive(Debug, Clone)]
struct Record {
    form: Arc<Form>,
    source: u32,
    place: RawRecord,
    bytes: Arc<[u8]>,
}

/// Takes the records of a source one by one, up to a number of them.
struct Records {
    source: Box<dyn Source>,
    left: u64,
    batch: VecDeque<Record>,
}

impl Records {
    fn new(source: Box<dyn Source>, limit: Option<u64>) -> Self {
        Self { source, left: limit.unwrap_or(u64::MAX), batch: VecDeque::new() }
    }

    fn next(&mut self) -> Result<Option<Record>> {
        if self.left == 0 {
            return Ok(None);
        }
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
        self.left -= 1;
        Ok(self.batch.pop_front())
    }

    /// All of them, in `room` bytes of memory at most.
    fn all(mut self, what: &str, room: u64) -> Result<Vec<Record>> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(record) = self.next()? {
            bytes += (record.bytes.len() + size_of::<Record>()) as u64;
            if bytes > room {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "E-EVAL-MEMORY",
                    format!("{what} are held in memory, and take more than half of limits.memory: {} rows did", rows.len() + 1),
                )
                .hint("give more --memory, or take fewer rows with --limit"));
            }
            rows.push(record);
        }
        Ok(rows)
    }
}

/// Rows that come again and again.
struct Mixed {
    rows: Vec<Record>,
    at: usize,
    ratio: u32,
    /// How many are due before the next row of the input.
    due: u32,
}

/// What an order needs to know.
pub(super) struct Plan {
    pub(super) sequence: Sequence,
    /// Rows to take of the input; none for all.
    pub(super) limit: Option<u64>,
    /// Rows of a window that is shuffled, and of the longest burst.
    pub(super) window: usize,
    pub(super) burst: usize,
    /// Labels of the rows, for orders that go by them.
    pub(super) labels: Arc<[Labelled]>,
    /// Seed of chance.
    pub(super) seed: u64,
    /// Bytes of rows that may be held.
    pub(super) room: u64,
}

/// Records in the order in which an evaluation wants them.
pub(super) struct Arranged {
    rows: Rows,
    mixed: Option<Mixed>,
    chance: Pcg64,
    queue: VecDeque<Record>,
    next: Option<Record>,
}

/// Where the next rows of the input come from.
enum Rows {
    /// A window at a time.
    Windows { input: Records, len: usize },
    /// All at once: they are in the queue.
    Held,
}

impl Arranged {
    /// `input` in the order of the plan, with so many rows of the other source before each.
    pub(super) fn new(input: Box<dyn Source>, mixed: Option<(Box<dyn Source>, u32)>, plan: &Plan) -> Result<Self> {
        let mut chance = Pcg64::seed_from_u64(plan.seed);
        let input = Records::new(input, plan.limit);
        let longest = match plan.sequence {
            Sequence::Given | Sequence::Shuffled => None,
            Sequence::Sorted => Some(usize::MAX),
            Sequence::Bursts => Some(plan.burst.max(1)),
        };
        let (rows, queue) = match longest {
            None => {
                let len = if plan.sequence == Sequence::Shuffled { plan.window.max(1) } else { 1 };
                (Rows::Windows { input, len }, VecDeque::new())
            }
            Some(longest) => {
                let records = input.all("rows that are sorted by label, or come in bursts,", plan.room)?;
                (Rows::Held, by_label(&records, &plan.labels, longest, &mut chance)?.into())
            }
        };
        let mixed = match mixed {
            Some((source, ratio)) => Some(Mixed { rows: to_mix(source, plan.room)?, at: 0, ratio, due: ratio }),
            None => None,
        };
        Ok(Self { rows, mixed, chance, queue, next: None })
    }

    /// Fills the queue with the next window of the input.
    fn fill(&mut self) -> Result<()> {
        let Rows::Windows { input, len } = &mut self.rows else { return Ok(()) };
        let mut window = Vec::with_capacity(*len);
        while window.len() < *len {
            let Some(record) = input.next()? else { break };
            window.push(record);
        }
        if *len > 1 {
            window.shuffle(&mut self.chance);
        }
        self.queue.extend(window);
        Ok(())
    }

    /// The next row: of those that run between, or of the input.
    fn take(&mut self) -> Result<Option<Record>> {
        if self.queue.is_empty() {
            self.fill()?;
        }
        if self.queue.is_empty() {
            return Ok(None);
        }
        if let Some(mixed) = &mut self.mixed {
            if mixed.due > 0 {
                mixed.due -= 1;
                let record = mixed.rows[mixed.at].clone();
                mixed.at = (mixed.at + 1) % mixed.rows.len();
                return Ok(Some(record));
            }
            mixed.due = mixed.ratio;
        }
        Ok(self.queue.pop_front())
    }
}

fn to_mix(source: Box<dyn Source>, room: u64) -> Result<Vec<Record>> {
    let rows = Records::new(source, None).all("the rows to mix in", room)?;
    if rows.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-NONE", "the rows to mix in are none").hint("give another --mix"));
    }
    Ok(rows.into_iter().map(|row| Record { source: MIXED_IN, ..row }).collect())
}

/// The rows in runs of one label, of `longest` rows at most; those without a label stay where they are.
fn by_label(records: &[Record], labelled: &[Labelled], longest: usize, chance: &mut Pcg64) -> Result<Vec<Record>> {
    let mut left = labelled.iter().peekable();
    let of = |record: &Record| left.next_if(|one| one.origin == (record.source, record.place.offset)).map(|one| one.label);
    let labels: Vec<Option<u64>> = records.iter().map(of).collect();
    if left.next().is_some() {
        return Err(Error::new(ErrorKind::Environment, "E-INPUT-READ", "the inputs changed between two readings")
            .hint("evaluate files that nobody writes to"));
    }
    let order = in_runs(&labels, longest, chance);
    Ok(order.into_iter().map(|row| records[row].clone()).collect())
}

/// Row numbers in runs of one label. A run begins where its first row is, so that the stream keeps its course; where a label's runs are
/// cut is drawn by chance. The places of rows without a label are theirs.
fn in_runs(labels: &[Option<u64>], longest: usize, chance: &mut Pcg64) -> Vec<usize> {
    /// Where a label's run begins, and how many rows it still takes.
    struct Run {
        begin: usize,
        left: usize,
    }
    let mut runs: FxHashMap<u64, Run> = FxHashMap::default();
    let mut keyed = Vec::with_capacity(labels.len());
    for (row, label) in labels.iter().enumerate().filter_map(|(row, label)| Some((row, (*label)?))) {
        let run = runs.entry(label).or_insert_with(|| {
            let first = if longest == usize::MAX { longest } else { chance.random_range(1..=longest) };
            Run { begin: row, left: first }
        });
        if run.left == 0 {
            *run = Run { begin: row, left: longest };
        }
        run.left -= 1;
        keyed.push((run.begin, row));
    }
    keyed.sort_unstable();
    let mut next = keyed.into_iter().map(|(_, row)| row);
    let place = |(row, label): (usize, &Option<u64>)| if label.is_some() { next.next().unwrap_or(row) } else { row };
    labels.iter().enumerate().map(place).collect()
}

impl Source for Arranged {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        let mut batch: Option<RawBatch> = None;
        loop {
            let Some(next) = self.next.take().map_or_else(|| self.take(), |next| Ok(Some(next)))? else { return Ok(batch) };
            let fits = batch.as_ref().is_none_or(|batch| {
                let is_same = batch.slice.source == next.source && Arc::ptr_eq(&batch.form, &next.form);
                is_same && batch.records.len() < BATCH_ROWS && batch.bytes.len() < BATCH_BYTES
            });
            if !fits {
                self.next = Some(next);
                return Ok(batch);
            }
            let batch = batch.get_or_insert_with(|| RawBatch {
                form: Arc::clone(&next.form),
                // Positions mean nothing in an order that was made up: nothing is committed. Any row may lie in it, wherever a block is cut.
                slice: Slice { source: next.source, from: 0, to: u64::MAX },
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
