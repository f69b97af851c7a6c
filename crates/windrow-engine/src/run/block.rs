//! Blocks: rows that are learnt together, put together of batches.
//!
//! Most models decide row by row, and to them every batch is as good as another: it passes as it is. One that learns a block at a time
//! gets exactly that many rows, wherever the source cut its batches. What has not come to a block is not learnt: no position moves over
//! it, nobody commits it, and whoever begins again reads it again. A block ends early
//!
//! - at the end of the input,
//! - when it holds as many bytes as may wait,
//! - where rows come live, when its first row has waited long enough. Only this hangs on time, so it is on record: as is the end of the
//!   input, it is a cut in the order ([`Order::cut`]), and learning again cuts there.

use std::collections::VecDeque;

use windrow_core::pipeline::Prepared;
use windrow_core::record::{Pages, Reject};

use crate::batch::{Batch, Slice};
use crate::error::Result;
use crate::run::cut;
use crate::source::{Order, Positions};

/// Bytes of text that end a block whatever rows it has. What they are is for the rows alone to say.
const MOST_BYTES: usize = 64 << 20;

/// Rows to be learnt together.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    /// What was read for them, in order, with the rows of each.
    steps: Vec<(Vec<Slice>, u64)>,
    /// The rows.
    pub(crate) prepared: Prepared,
    /// Whether it ends before it is full.
    is_early: bool,
}

impl Block {
    /// Moves positions over it.
    pub(crate) fn advance(&self, positions: &mut Positions) {
        self.steps.iter().for_each(|(span, n_rows)| cut::advance(positions, span, *n_rows));
    }

    /// Puts it on record.
    pub(crate) fn note(&self, order: &mut Order) {
        let slices = || self.steps.iter().flat_map(|(span, _)| span);
        slices().for_each(|slice| order.add(*slice));
        if self.is_early && slices().any(|slice| slice.to > slice.from) {
            order.cut();
        }
    }
}

/// Batches on their way to blocks.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// Rows of a block.
    len: usize,
    held: Vec<Batch>,
    rows: usize,
    bytes: usize,
    /// Where blocks ended early when these rows were learnt first.
    cuts: VecDeque<(u32, u64)>,
}

impl Blocks {
    /// Blocks of so many rows.
    pub(crate) fn new(len: usize) -> Self {
        Self { len, held: Vec::new(), rows: 0, bytes: 0, cuts: VecDeque::new() }
    }

    /// What comes next was learnt in this order before: it is cut where it was.
    pub(crate) fn follow(&mut self, order: &Order) {
        self.cuts.extend(order.cuts());
    }

    /// Whether rows wait.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes a batch, and has every block learnt that it makes whole.
    pub(crate) fn push(&mut self, batch: Batch, mut learn: impl FnMut(Block) -> Result<()>) -> Result<()> {
        if self.len <= 1 {
            let Batch { span, prepared } = batch;
            return learn(Block { steps: vec![(span, prepared.n_rows)], prepared, is_early: false });
        }
        let mut rest = Some(batch);
        while let Some(batch) = rest.take() {
            let (pages, rejects) = self.room(&batch.prepared);
            if pages == batch.prepared.pages.len() && rejects == batch.prepared.rejects.len() {
                self.held.push(batch);
            } else {
                let (first, last) = split(batch, pages, rejects);
                self.held.push(first);
                rest = Some(last);
            }
            if self.rows == self.len || self.bytes >= MOST_BYTES {
                learn(self.close(false))?;
            }
        }
        let at = self.held.iter().flat_map(|batch| &batch.span).rfind(|slice| slice.to > slice.from);
        match (at, self.cuts.front()) {
            (Some(slice), Some(cut)) if *cut == (slice.source, slice.to) => {
                self.cuts.pop_front();
                learn(self.close(true))
            }
            _ => Ok(()),
        }
    }

    /// The rows that wait, as a block that ends early.
    pub(crate) fn end(&mut self) -> Option<Block> {
        self.is_waiting().then(|| self.close(true))
    }

    fn close(&mut self, is_early: bool) -> Block {
        (self.rows, self.bytes) = (0, 0);
        let steps = self.held.iter_mut().map(|batch| (std::mem::take(&mut batch.span), batch.prepared.n_rows)).collect();
        let prepared = cut::join(self.held.drain(..).map(|batch| batch.prepared).collect());
        Block { steps, prepared, is_early }
    }

    /// How many pages and rejects of a batch, in the order of its rows, the block has room for; it counts them as held.
    fn room(&mut self, prepared: &Prepared) -> (usize, usize) {
        let (mut page, mut reject) = (0, 0);
        while self.rows < self.len && self.bytes < MOST_BYTES {
            match (prepared.pages.origin.get(page), prepared.rejects.get(reject)) {
                (Some(origin), other) if other.is_none_or(|other| origin.offset < other.origin.offset) => {
                    self.bytes += text_bytes(&prepared.pages, page);
                    page += 1;
                }
                (_, Some(other)) => {
                    self.bytes += other.raw.len();
                    reject += 1;
                }
                _ => break,
            }
            self.rows += 1;
        }
        (page, reject)
    }
}

fn text_bytes(pages: &Pages, row: usize) -> usize {
    let columns = [&pages.id, &pages.url, &pages.title, &pages.keywords, &pages.description];
    columns.into_iter().chain(&pages.kept).map(|column| column.get(row).len()).sum()
}

/// Cuts a batch behind so many pages and rejects; something lies on either side.
fn split(batch: Batch, pages: usize, rejects: usize) -> (Batch, Batch) {
    let Batch { span, mut prepared } = batch;
    let later: Vec<Reject> = prepared.rejects.split_off(rejects);
    let next = prepared.pages.origin.get(pages).into_iter().chain(later.first().map(|reject| &reject.origin));
    let at = next.map(|origin| origin.offset).min().expect("a row lies behind the cut");
    let n_rows = prepared.n_rows;
    let mut first = cut::part(&prepared, 0..pages);
    let mut last = cut::part(&prepared, pages..prepared.pages.len());
    (first.n_rows, last.n_rows) = ((pages + rejects) as u64, n_rows - (pages + rejects) as u64);
    (first.rejects, last.rejects) = (prepared.rejects, later);
    // All rows lie in the one slice that is not empty.
    let holder = span.iter().rposition(|slice| slice.to > slice.from).expect("rows lie in a slice");
    let mut before = span[..=holder].to_vec();
    before[holder].to = at;
    let mut behind = span[holder..].to_vec();
    behind[0].from = at;
    (Batch { span: before, prepared: first }, Batch { span: behind, prepared: last })
}

#[cfg(test)]
mod tests {
    use windrow_core::featurize::FieldWeights;
    use windrow_core::kept::Kept;
    use windrow_core::pipeline::Preparer;
    use windrow_core::record::{RecordId, Row};

    use super::*;

    /// Rows of ten bytes; each third one is a reject.
    fn batch(rows: std::ops::Range<u64>) -> Batch {
        let titles: Vec<String> =
            rows.clone().map(|row| if row % 3 == 2 { String::new() } else { format!("words w{row}") }).collect();
        let row = |(offset, title): (u64, &'_ String)| -> (RecordId, Vec<u8>) {
            (RecordId { source: 0, offset: offset * 10 }, title.as_bytes().to_vec())
        };
        let all: Vec<_> = rows.clone().zip(&titles).map(row).collect();
        let rows_of = all.iter().map(|(origin, title)| {
            Ok(Row { origin: *origin, raw: title, columns: [b"", b"", b"", title, b"", b""], kept: Kept::default() })
        });
        let prepared = Preparer::new(FieldWeights::default()).prepare(rows_of);
        Batch { span: vec![Slice { source: 0, from: rows.start * 10, to: rows.end * 10 }], prepared }
    }

    /// Blocks of the batches that lie between these rows.
    fn blocks(len: usize, cuts: &[u64], bounds: &[u64]) -> Vec<Block> {
        let mut blocks = Blocks::new(len);
        blocks.cuts = cuts.iter().map(|row| (0, row * 10)).collect();
        let mut found = Vec::new();
        for rows in bounds.windows(2) {
            let learn = |block| {
                found.push(block);
                Ok(())
            };
            blocks.push(batch(rows[0]..rows[1]), learn).unwrap();
        }
        found.extend(blocks.end());
        found
    }

    #[test]
    fn blocks_are_the_same_wherever_batches_were_cut() {
        let whole = blocks(7, &[], &[0, 40]);
        let shape: Vec<(u64, usize, usize, bool)> = whole
            .iter()
            .map(|block| {
                let prepared = &block.prepared;
                (prepared.n_rows, prepared.pages.len(), prepared.rejects.len(), block.is_early)
            })
            .collect();
        let rows = [(7, 5, 2, false), (7, 5, 2, false), (7, 4, 3, false), (7, 5, 2, false), (7, 5, 2, false), (5, 3, 2, true)];
        assert_eq!(shape, rows);
        for batches in [vec![0, 1, 2, 19, 40], vec![0, 7, 14, 40], vec![0, 39, 40]] {
            let others = blocks(7, &[], &batches);
            let prepared = |blocks: &[Block]| blocks.iter().map(|block| block.prepared.clone()).collect::<Vec<_>>();
            assert_eq!(prepared(&others), prepared(&whole), "{batches:?}");
            let (mut one, mut other) = (Order::default(), Order::default());
            whole.iter().for_each(|block| block.note(&mut one));
            others.iter().for_each(|block| block.note(&mut other));
            assert_eq!(one, other, "{batches:?}");
        }
    }

    #[test]
    fn positions_stop_behind_the_last_row_of_a_block() {
        let mut order = Order::default();
        let ends: Vec<_> = blocks(7, &[], &[0, 4, 16])
            .iter()
            .map(|block| {
                block.note(&mut order);
                order.end()
            })
            .collect();
        assert_eq!(ends, [Some((0, 70)), Some((0, 140)), Some((0, 160))]);
    }

    #[test]
    fn what_ended_early_ends_there_again() {
        let mut order = Order::default();
        let mut first = blocks(7, &[], &[0, 9]);
        first.extend(blocks(7, &[], &[9, 20]));
        first.iter().for_each(|block| block.note(&mut order));
        assert_eq!(order.cuts().collect::<Vec<_>>(), [(0, 90), (0, 200)]);
        let again = blocks(7, &[9, 20], &[0, 5, 9, 20]);
        let rows = |blocks: &[Block]| blocks.iter().map(|block| block.prepared.n_rows).collect::<Vec<_>>();
        assert_eq!(rows(&again), rows(&first));
        assert_eq!(rows(&again), [7, 2, 7, 4]);
    }

    #[test]
    fn models_that_need_no_blocks_get_batches_as_they_are() {
        let passed = blocks(1, &[], &[0, 4, 9]);
        let as_they_are = [batch(0..4), batch(4..9)].map(|batch| batch.prepared);
        assert_eq!(passed.into_iter().map(|block| block.prepared).collect::<Vec<_>>(), as_they_are);
    }
}
