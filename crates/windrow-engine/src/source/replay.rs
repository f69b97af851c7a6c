//! Reading again what was read before, in the same order.
//!
//! What several partitions hand out depends on when it arrives, and learning depends on the order. So a commit keeps the [`Order`] in
//! which slices were learnt, and whoever learns again reads them through a [`Replay`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kafka::watch::Watch;
use super::{Opened, Positions, Source, Waiting};
use crate::batch::{RawBatch, Slice};
use crate::error::Result;

/// The order in which slices of the sources were learnt: steps, each from where its source stood up to an offset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Order(Vec<(u32, u64)>);

impl Order {
    /// Every source from start to end, one after the other.
    pub fn in_turn(until: &Positions) -> Self {
        let ends = until.sources.iter().enumerate();
        Self(ends.map(|(ordinal, source)| (u32::try_from(ordinal).expect("fewer than 2^32 sources"), source.offset)).collect())
    }

    /// Adds a slice behind the others; neighbours of one source become one step.
    pub fn add(&mut self, slice: Slice) {
        if slice.from == slice.to {
            return;
        }
        let is_cut = matches!(self.0.as_slice(), [.., before, last] if before == last);
        match self.0.last_mut() {
            Some((source, to)) if *source == slice.source && !is_cut => *to = slice.to,
            _ => self.0.push((slice.source, slice.to)),
        }
    }

    /// A block ends here before it is full: the last step comes twice.
    pub fn cut(&mut self) {
        self.0.extend(self.end());
    }

    /// Where blocks ended before they were full.
    pub fn cuts(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0.windows(2).filter(|steps| steps[0] == steps[1]).map(|steps| steps[0])
    }

    /// Adds the steps of a later order.
    pub fn append(&mut self, later: &Self) {
        self.0.extend_from_slice(&later.0);
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no steps.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How far it leads in each source.
    pub fn ends(&self) -> BTreeMap<u32, u64> {
        let mut ends = BTreeMap::new();
        for &(source, to) in &self.0 {
            let end = ends.entry(source).or_insert(to);
            *end = to.max(*end);
        }
        ends
    }

    /// Where the last step ends.
    pub fn end(&self) -> Option<(u32, u64)> {
        self.0.last().copied()
    }
}

/// One source, and what it gave beyond the end of a step.
struct Part {
    source: Box<dyn Source>,
    left: Option<RawBatch>,
}

/// Sources read step by step. Ends early when a source has less than its steps want.
pub(crate) struct Replay {
    parts: BTreeMap<u32, Part>,
    steps: VecDeque<(u32, u64)>,
    /// How far each source has come.
    at: Vec<u64>,
    waiting: Waiting,
    watch: Option<Watch>,
}

impl Replay {
    /// The slices of `order`, beginning at `from`, where the sources were opened.
    pub(crate) fn new(opened: Opened, from: &Positions, order: &Order) -> Self {
        let parts = opened.parts.into_iter().map(|(ordinal, source)| (ordinal, Part { source, left: None }));
        let at = from.sources.iter().map(|source| source.offset).collect();
        let watch = opened.watched.map(|watched| Watch::start(watched.whole()));
        Self { parts: parts.collect(), steps: order.0.iter().copied().collect(), at, waiting: opened.waiting, watch }
    }

    /// How far the source has come.
    pub(crate) fn at(&self, ordinal: usize) -> u64 {
        self.at[ordinal]
    }
}

impl Source for Replay {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        if let Some(watch) = &self.watch {
            watch.check()?;
        }
        while let Some(&(ordinal, to)) = self.steps.front() {
            if self.at[ordinal as usize] >= to {
                self.steps.pop_front();
                continue;
            }
            let Some(part) = self.parts.get_mut(&ordinal) else { return Ok(None) };
            let next = match part.left.take() {
                Some(left) => Some(left),
                None => part.source.next()?,
            };
            let Some(batch) = next else { return Ok(None) };
            if batch.is_nothing() {
                self.waiting.wait();
                return Ok(Some(batch));
            }
            let (batch, left) = split(batch, to);
            part.left = left;
            self.at[ordinal as usize] = batch.slice.to;
            return Ok(Some(batch));
        }
        Ok(None)
    }
}

/// Cuts a batch at an offset; what lies behind comes second, if there is anything.
fn split(mut batch: RawBatch, to: u64) -> (RawBatch, Option<RawBatch>) {
    if batch.slice.to <= to {
        return (batch, None);
    }
    let first = batch.records.partition_point(|record| record.offset < to);
    let mut records = batch.records.split_off(first);
    let start = records.first().map_or(batch.bytes.len(), |record| record.start as usize);
    let bytes = batch.bytes.split_off(start);
    let start = u32::try_from(start).expect("a batch holds less than 4 GiB");
    for record in &mut records {
        (record.start, record.end) = (record.start - start, record.end - start);
    }
    let slice = Slice { from: to, ..batch.slice };
    let beside = batch.beside.split_off(batch.beside.partition_point(|(offset, _)| *offset < to));
    let rest = RawBatch { form: Arc::clone(&batch.form), slice, bytes, records, beside };
    batch.slice.to = to;
    (batch, Some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::memory::MemorySource;
    use crate::source::{Limits, SourcePosition};

    fn position(offset: u64) -> SourcePosition {
        SourcePosition { offset, ..SourcePosition::of("") }
    }

    /// Records of six bytes: `a,,,,,` and a line end make seven.
    fn opened(letters: [&str; 2]) -> Opened {
        let part = |(ordinal, letters): (usize, &str)| {
            let text: String = letters.chars().map(|letter| format!("{letter},,,,,\n")).collect();
            let ordinal = u32::try_from(ordinal).unwrap();
            (ordinal, Box::new(MemorySource::new(text, ordinal, Limits::default())) as Box<dyn Source>)
        };
        let parts = letters.into_iter().enumerate().map(part).collect();
        Opened {
            parts,
            waiting: Waiting::never(),
            watched: None,
            following: None,
            warnings: Vec::new(),
            ordinals: vec![0, 1],
            new: Vec::new(),
        }
    }

    fn read(mut replay: Replay) -> (String, Vec<u64>) {
        let mut letters = String::new();
        while let Some(batch) = replay.next().unwrap() {
            let slice = batch.slice;
            for record in &batch.records {
                assert!((slice.from..slice.to).contains(&record.offset), "{record:?} in {slice:?}");
                letters.push(char::from(batch.raw(record)[0]));
            }
        }
        (letters, replay.at)
    }

    #[test]
    fn steps_are_read_in_their_order() {
        let from = Positions { sources: vec![position(0), position(0)] };
        let mut order = Order::default();
        for (source, from, to) in [(0, 0, 7), (0, 7, 14), (1, 0, 7), (0, 14, 14), (0, 14, 21), (1, 7, 21), (0, 21, 28)] {
            order.add(Slice { source, from, to });
        }
        assert_eq!(order.0, [(0, 14), (1, 7), (0, 21), (1, 21), (0, 28)]);
        assert_eq!(order.ends(), BTreeMap::from([(0, 28), (1, 21)]));
        let (letters, at) = read(Replay::new(opened(["abcdef", "uvwxyz"]), &from, &order));
        assert_eq!((letters.as_str(), at), ("abucvwd", vec![28, 21]));

        let mut cut = Order::default();
        for to in [7, 14, 28] {
            cut.add(Slice { source: 0, from: 0, to });
            if to == 14 {
                cut.cut();
            }
        }
        assert_eq!((cut.0.as_slice(), cut.cuts().collect::<Vec<_>>()), ([(0, 14), (0, 14), (0, 28)].as_slice(), vec![(0, 14)]));
        assert_eq!(read(Replay::new(opened(["abcdef", ""]), &from, &cut)).0, "abcd");

        let all = Order::in_turn(&Positions { sources: vec![position(42), position(7)] });
        assert_eq!(read(Replay::new(opened(["abcdef", "uvwxyz"]), &from, &all)).0, "abcdefu");
    }

    #[test]
    fn a_source_that_is_too_short_ends_it() {
        let from = Positions { sources: vec![position(0), position(0)] };
        let all = Order::in_turn(&Positions { sources: vec![position(21), position(7)] });
        assert_eq!(read(Replay::new(opened(["ab", "uvw"]), &from, &all)), ("ab".into(), vec![14, 0]));
    }
}
