//! Cutting prepared batches, at the positions of edits and at the ends of blocks; putting them together; moving positions on over them.
//!
//! A cut is rare. At edits it comes behind the look for duplicates, at the ends of blocks before it.

use std::collections::VecDeque;
use std::ops::Range;

use rustc_hash::FxHashMap;
use windrow_core::pipeline::Prepared;
use windrow_core::record::Reject;

use crate::batch::Slice;
use crate::checkpoint::edits::PlacedEdit;
use crate::source::Positions;

/// Rows with the edits that come before them.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece {
    /// Edits, oldest first.
    pub(crate) edits: Vec<PlacedEdit>,
    /// The rows after them.
    pub(crate) prepared: Prepared,
}

/// Cuts a batch that begins at `position` (pages learnt) where edits stand. Edits at its end or behind stay in the queue.
pub(crate) fn at_edits(prepared: Prepared, position: u64, edits: &mut VecDeque<PlacedEdit>) -> Vec<Piece> {
    let n_pages = prepared.pages.len();
    let within = |edit: &PlacedEdit| edit.position < position + n_pages as u64;
    let mut pieces = Vec::new();
    let (mut from, mut before) = (0, Vec::new());
    while let Some(edit) = edits.pop_front_if(|edit| within(edit)) {
        let at = usize::try_from(edit.position.saturating_sub(position)).expect("inside the batch").max(from);
        if at > from {
            pieces.push(Piece { edits: std::mem::take(&mut before), prepared: part(&prepared, from..at) });
            from = at;
        }
        before.push(edit);
    }
    let rest = if from == 0 { prepared } else { last_part(prepared, from) };
    pieces.push(Piece { edits: before, prepared: rest });
    pieces
}

/// Moves positions over the slices of a batch. All its rows belong to the one slice that is not empty.
pub(crate) fn advance(positions: &mut Positions, span: &[Slice], n_rows: u64) {
    let holder = span.iter().rposition(|slice| slice.to > slice.from).unwrap_or_else(|| span.len().saturating_sub(1));
    for (at, slice) in span.iter().enumerate() {
        positions.advance(*slice, if at == holder { n_rows } else { 0 });
    }
}

/// Some pages of a batch, without its rejects.
pub(crate) fn part(prepared: &Prepared, rows: Range<usize>) -> Prepared {
    Prepared {
        n_rows: rows.len() as u64,
        hashes: prepared.hashes.get(rows.clone()).map(<[u64]>::to_vec).unwrap_or_default(),
        spare: prepared.spare.get(rows.clone()).map(<[Reject]>::to_vec).unwrap_or_default(),
        pages: prepared.pages.only(&rows),
        ..Prepared::default()
    }
}

/// Batches as one: what preparing all their rows at once would have given.
pub(crate) fn join(mut parts: Vec<Prepared>) -> Prepared {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let (mut joined, mut numbers) = (Prepared::default(), FxHashMap::default());
    for part in parts {
        joined.pages.append(&part.pages, &(0..part.pages.len()), &mut numbers);
        joined.n_rows += part.n_rows;
        joined.rejects.extend(part.rejects);
        joined.hashes.extend(part.hashes);
        joined.spare.extend(part.spare);
    }
    joined
}

/// The pages from `from` on, with all the rejects of the batch.
fn last_part(prepared: Prepared, from: usize) -> Prepared {
    let mut last = part(&prepared, from..prepared.pages.len());
    last.n_rows = prepared.n_rows - from as u64;
    last.rejects = prepared.rejects;
    last.n_duplicates = prepared.n_duplicates;
    last
}

#[cfg(test)]
mod tests {
    use windrow_core::featurize::FieldWeights;
    use windrow_core::kept::{Kept, KeptSpan};
    use windrow_core::lineage::Edit;
    use windrow_core::pipeline::Preparer;
    use windrow_core::record::{RecordId, Row};

    use super::*;

    const TITLES: [&str; 6] = ["red roses", "blue violets", "red wine", "", "blue roses red", "wine"];

    fn prepared(rows: Range<usize>) -> Prepared {
        let row = |offset: usize| {
            let origin = RecordId { source: 0, offset: offset as u64 * 10 };
            let title = TITLES[offset].as_bytes();
            Ok(Row { origin, raw: title, columns: [b"", b"", b"", title, b"", b""], kept: kept(title) })
        };
        Preparer::new(FieldWeights::default()).prepare(rows.map(row))
    }

    /// A column that is carried along: the first letter.
    fn kept(title: &[u8]) -> Kept<'_> {
        const LETTER: &[KeptSpan] = &[KeptSpan { start: 0, end: 1, is_made: false }];
        const NONE: &[KeptSpan] = &[KeptSpan { start: 0, end: 0, is_made: false }];
        Kept { text: title, made: b"", spans: if title.is_empty() { NONE } else { LETTER } }
    }

    fn edit(position: u64) -> PlacedEdit {
        PlacedEdit { request: format!("at {position}"), position, edit: Edit::Pin { cluster: 0, pinned: true } }
    }

    #[test]
    fn parts_are_what_their_rows_alone_would_have_given() {
        let whole = prepared(0..6);
        assert_eq!((whole.pages.len(), whole.rejects.len()), (5, 1));
        assert_eq!(part(&whole, 0..3), prepared(0..3));
        assert_eq!(part(&whole, 3..5), prepared(4..6));
        assert_eq!(part(&whole, 0..5).pages, whole.pages);
        assert_eq!(join(vec![prepared(0..2), prepared(2..5), prepared(5..6)]), whole);
    }

    #[test]
    fn edits_cut_a_batch_where_they_stand() {
        let mut edits: VecDeque<_> = [edit(100), edit(102), edit(102), edit(104), edit(105), edit(107)].into();
        let pieces = at_edits(prepared(0..6), 100, &mut edits);
        assert_eq!(edits, [edit(105), edit(107)]);
        let shape: Vec<_> = pieces.iter().map(|piece| (piece.edits.len(), piece.prepared.pages.len())).collect();
        assert_eq!(shape, [(1, 2), (2, 2), (1, 1)]);
        assert_eq!(pieces.iter().map(|piece| piece.prepared.n_rows).sum::<u64>(), 6);
        assert_eq!(pieces[2].prepared.rejects.len(), 1);

        let whole = at_edits(prepared(0..6), 100, &mut VecDeque::new());
        assert_eq!(whole, [Piece { edits: Vec::new(), prepared: prepared(0..6) }]);
    }
}
