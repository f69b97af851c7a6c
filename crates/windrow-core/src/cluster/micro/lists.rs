//! Posting lists in one piece of memory: a head of eight bytes a term, and room for a power of two of postings behind it.
//!
//! A page touches a dozen lists, most of them short, all over the vocabulary: what counts is how few cache lines that takes. A
//! full list moves to the end, twice as roomy; the clean-up writes all lists anew and closes the gaps. Where a list lies is
//! nobody's business and in no snapshot.
//!
//! The weights of the commonest terms lie in rows, with one for every micro-cluster: on links two thirds of all postings that a page
//! meets are in three such lists, and a row is added up eight at a time, without looking where to. The list of such a term says
//! which micro-clusters hold it; its weights are what they were when the row was laid out.

use serde::{Deserialize, Serialize};

use super::TermId;
use super::lanes::fetch;

/// Weight of a term in a micro-cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Posting {
    pub(in super::super) micro: u32,
    pub(in super::super) tf: f32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Head {
    start: u32,
    len: u32,
    /// Place of its row, from 1 on; 0 without one.
    row: u32,
}

impl Head {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// A list that holds at least this share of all micro-clusters is common.
const COMMON: usize = 6;
/// Values that all rows hold together: with the rest of what a page touches they shall stay in the processor's second cache.
const MOST_VALUES: usize = 1 << 18;

/// Lists that are asked for ahead where all are read: one after the other, but they lie anywhere.
const AHEAD: usize = 16;

/// Where the weights of a term are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weights<'a> {
    List(&'a [Posting]),
    Row(&'a [f32]),
}

/// All lists, by term; within one, micro-clusters ascend.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Lists {
    heads: Vec<Head>,
    postings: Vec<Posting>,
    /// The rows of common terms, each `stride` values long, so that some micro-clusters may still be born.
    rows: Vec<f32>,
    stride: usize,
    /// The heads and postings before the last rewrite: memory for the next.
    spare: (Vec<Head>, Vec<Posting>),
}

/// What a snapshot holds: the lengths, and the postings without gaps.
type Stored = (Vec<u32>, Vec<Posting>);

impl From<Stored> for Lists {
    fn from((lengths, postings): Stored) -> Self {
        let mut lists = Self::default();
        let mut rest = postings.as_slice();
        for length in lengths {
            let (list, others) = rest.split_at((length as usize).min(rest.len()));
            lists.push_list(list.iter().copied());
            rest = others;
        }
        lists
    }
}

impl From<Lists> for Stored {
    fn from(lists: Lists) -> Self {
        let lengths = lists.heads.iter().map(|head| head.len).collect();
        (lengths, (0..lists.len() as TermId).flat_map(|term| lists.get(term)).collect())
    }
}

impl Clone for Lists {
    /// A copy without gaps and rows.
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        (0..self.len() as TermId).for_each(|term| copy.push_list(self.get(term)));
        copy
    }
}

impl Lists {
    /// Number of terms that have a list, empty or not.
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// The postings of a term; none for terms that no micro-cluster holds.
    pub(super) fn get(&self, term: TermId) -> impl ExactSizeIterator<Item = Posting> + DoubleEndedIterator + '_ {
        let head = self.heads.get(term as usize).copied().unwrap_or_default();
        current(&self.postings[head.range()], self.row_of(head))
    }

    /// All terms with their postings as they lie, and the rows of common ones.
    pub(super) fn all(&self) -> impl Iterator<Item = (TermId, &[Posting], Option<&[f32]>)> {
        (0..).zip(&self.heads).map(|(term, &head)| {
            self.heads.get(term as usize + AHEAD).iter().for_each(|next| fetch(&self.postings, next.start as usize));
            (term, &self.postings[head.range()], self.row_of(head))
        })
    }

    /// What a page adds up for a term: how many micro-clusters hold it, and where their weights are.
    #[inline(always)]
    pub(super) fn weights(&self, term: TermId) -> (usize, Weights<'_>) {
        let Some(&head) = self.heads.get(term as usize) else { return (0, Weights::List(&[])) };
        let weights = match self.row_of(head) {
            Some(row) => Weights::Row(row),
            None => Weights::List(&self.postings[head.range()]),
        };
        (head.len as usize, weights)
    }

    fn row_of(&self, head: Head) -> Option<&[f32]> {
        let row = head.row as usize;
        (row > 0).then(|| &self.rows[(row - 1) * self.stride..row * self.stride])
    }

    /// Lays out the rows anew: of the longest lists, as they are now, of `n` micro-clusters.
    pub(super) fn lay_out(&mut self, n: usize) {
        self.clear_rows();
        self.stride = (n + n / 8 + 8).next_multiple_of(8);
        let common = |(_, head): &(usize, &Head)| head.len as usize * COMMON >= n.max(COMMON * 8);
        let mut longest: Vec<(u32, usize)> =
            self.heads.iter().enumerate().filter(common).map(|(term, head)| (head.len, term)).collect();
        longest.sort_unstable_by_key(|&(len, term)| (std::cmp::Reverse(len), term));
        longest.truncate(MOST_VALUES / self.stride);
        self.rows.resize(longest.len() * self.stride, 0.0);
        for ((row, &(_, term)), values) in (1..).zip(&longest).zip(self.rows.chunks_mut(self.stride)) {
            let head = &mut self.heads[term];
            head.row = row;
            self.postings[head.range()].iter().for_each(|posting| values[posting.micro as usize] = posting.tf);
        }
    }

    /// Lengthens the rows where `n` micro-clusters are more than they have room for.
    pub(super) fn make_room(&mut self, n: usize) {
        if n > self.stride {
            self.lay_out(n);
        }
    }

    /// Brings the weights of rows back to the lists.
    fn clear_rows(&mut self) {
        for head in self.heads.iter_mut().filter(|head| head.row > 0) {
            let row = &self.rows[(head.row as usize - 1) * self.stride..];
            self.postings[head.range()].iter_mut().for_each(|posting| posting.tf = row[posting.micro as usize]);
            head.row = 0;
        }
        self.rows.clear();
    }

    fn row_value(&mut self, term: usize, micro: u32) -> Option<&mut f32> {
        let row = self.heads[term].row as usize;
        (row > 0).then(|| &mut self.rows[(row - 1) * self.stride + micro as usize])
    }

    /// Length of a term's list.
    pub(super) fn df(&self, term: TermId) -> usize {
        self.heads.get(term as usize).map_or(0, |head| head.len as usize)
    }

    /// The posting of a micro-cluster in a term's list.
    pub(super) fn find(&self, term: TermId, micro: u32) -> Option<Posting> {
        let head = *self.heads.get(term as usize)?;
        let list = &self.postings[head.range()];
        let at = list.binary_search_by_key(&micro, |posting| posting.micro).ok()?;
        Some(Posting { micro, tf: self.row_of(head).map_or(list[at].tf, |row| row[micro as usize]) })
    }

    /// Adds to the weight of a term in a micro-cluster; gives the old weight and the new one.
    pub(super) fn add(&mut self, term: TermId, micro: u32, more: f32) -> (f32, f32) {
        if term as usize >= self.heads.len() {
            self.heads.resize(term as usize + 1, Head::default());
        }
        if let Some(value) = self.row_value(term as usize, micro) {
            let old = *value;
            *value += more;
            let new = *value;
            if old == 0.0 {
                self.add_to_list(term as usize, Posting { micro, tf: more });
            }
            return (old, new);
        }
        self.add_to_list(term as usize, Posting { micro, tf: more })
    }

    fn add_to_list(&mut self, term: usize, more: Posting) -> (f32, f32) {
        let list = &mut self.postings[self.heads[term].range()];
        match list.binary_search_by_key(&more.micro, |posting| posting.micro) {
            Ok(at) => {
                let old = list[at].tf;
                list[at].tf += more.tf;
                (old, list[at].tf)
            }
            Err(at) => {
                self.insert(term, at, more);
                (0.0, more.tf)
            }
        }
    }

    fn insert(&mut self, term: usize, at: usize, posting: Posting) {
        let Head { start, len, .. } = self.heads[term];
        if len == 0 || len.is_power_of_two() {
            let moved = self.postings.len();
            self.postings.extend_from_within(start as usize..(start + len) as usize);
            self.postings.resize(moved + (len as usize * 2).max(1), Posting::default());
            self.heads[term].start = u32::try_from(moved).expect("the budgets keep postings below 2^32");
        }
        self.heads[term].len = len + 1;
        let list = &mut self.postings[self.heads[term].range()];
        list.copy_within(at..len as usize, at + 1);
        list[at] = posting;
    }

    /// Takes a micro-cluster out of a term's list.
    pub(super) fn remove(&mut self, term: TermId, micro: u32) {
        let head = &mut self.heads[term as usize];
        let list = &mut self.postings[head.range()];
        if let Ok(at) = list.binary_search_by_key(&micro, |posting| posting.micro) {
            list.copy_within(at + 1.., at);
            head.len -= 1;
            if let Some(value) = self.row_value(term as usize, micro) {
                *value = 0.0;
            }
        }
    }

    /// Writes all lists anew, with what `change` makes of each posting. No list is common until the next layout.
    pub(super) fn rewrite(&mut self, mut change: impl FnMut(TermId, Posting) -> Option<Posting>) {
        self.clear_rows();
        let (heads, postings) = std::mem::take(&mut self.spare);
        let old_heads = std::mem::replace(&mut self.heads, heads);
        let old = std::mem::replace(&mut self.postings, postings);
        self.heads.clear();
        self.postings.clear();
        self.postings.reserve(old.len());
        for (term, head) in (0..).zip(&old_heads) {
            old_heads.get(term as usize + AHEAD).iter().for_each(|next| fetch(&old, next.start as usize));
            self.push_list(old[head.range()].iter().filter_map(|&posting| change(term, posting)));
        }
        self.spare = (old_heads, old);
    }

    /// Gives micro-clusters their new numbers. No list is common until the next layout.
    pub(super) fn renumber(&mut self, renumbered: &[u32]) {
        self.clear_rows();
        for head in &self.heads {
            for posting in &mut self.postings[head.range()] {
                posting.micro = renumbered[posting.micro as usize];
            }
        }
    }

    /// Keeps the lists of the terms that are marked, in order.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut at = 0;
        self.heads.retain(|_| {
            at += 1;
            keep(at - 1)
        });
    }

    fn push_list(&mut self, list: impl Iterator<Item = Posting>) {
        let start = self.postings.len();
        self.postings.extend(list);
        let len = self.postings.len() - start;
        let room = if len == 0 { 0 } else { len.next_power_of_two() };
        self.postings.resize(start + room, Posting::default());
        self.heads.push(Head { start: start as u32, len: len as u32, row: 0 });
    }
}

/// The postings of a list with their weights, which a row holds where there is one.
#[inline(always)]
pub(super) fn current<'a>(
    list: &'a [Posting],
    row: Option<&'a [f32]>,
) -> impl ExactSizeIterator<Item = Posting> + DoubleEndedIterator + Clone + 'a {
    let row = row.unwrap_or(&[]);
    list.iter().map(|&Posting { micro, tf }| Posting { micro, tf: row.get(micro as usize).copied().unwrap_or(tf) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_move_and_survive_a_rewrite() {
        let mut lists = Lists::default();
        for micro in [5, 1, 9, 3, 7] {
            for term in [0, 2, 1] {
                assert_eq!(lists.add(term, micro + term, 1.0), (0.0, 1.0));
            }
        }
        assert_eq!(lists.add(2, 9, 0.5), (1.0, 1.5));
        lists.remove(2, 5);
        let micros = |lists: &Lists, term| lists.get(term).map(|p| p.micro).collect::<Vec<_>>();
        assert_eq!(micros(&lists, 0), [1, 3, 5, 7, 9]);
        assert_eq!(micros(&lists, 2), [3, 7, 9, 11]);
        assert_eq!((lists.df(2), lists.df(9)), (4, 0));
        assert_eq!(lists.find(2, 9), Some(Posting { micro: 9, tf: 1.5 }));
        let copy = Lists::from(Stored::from(lists.clone()));
        lists.rewrite(|term, posting| (term != 1).then_some(posting));
        assert_eq!((micros(&lists, 0), micros(&lists, 1)), (micros(&copy, 0), Vec::new()));
        lists.retain(|term| term != 1);
        assert_eq!(micros(&lists, 1), micros(&copy, 2));
        assert_eq!(lists.add(1, 4, 1.0), (0.0, 1.0));
        assert_eq!(micros(&lists, 1), [3, 4, 7, 9, 11]);
    }

    #[test]
    fn a_list_with_a_row_is_the_same_list() {
        let mut with = Lists::default();
        let mut without = Lists::default();
        for step in 0..20_000u32 {
            let (term, micro) = (step * 7 % 13, step * 31 % (step / 100 + 1));
            if term < 3 || micro % 20 == term {
                let more = 1.0 + step as f32 / 997.0;
                assert_eq!(with.add(term, micro, more), without.add(term, micro, more));
            }
            if step % 1_000 == 500 {
                with.lay_out(step as usize / 100 + 1);
            }
            with.make_room(step as usize / 100 + 2);
            if step % 37 == 0 && with.df(term) > 0 {
                with.remove(term, micro);
                without.remove(term, micro);
            }
        }
        assert!(matches!(with.weights(0).1, Weights::Row(_)) && matches!(with.weights(9).1, Weights::List(_)));
        let postings = |lists: &Lists| -> Vec<Vec<Posting>> { (0..13).map(|term| lists.get(term).collect()).collect() };
        assert_eq!(postings(&with), postings(&without));
        assert_eq!(Stored::from(with.clone()), Stored::from(without.clone()));
        for (term, micro) in [(0, 5), (2, 199), (9, 9), (1, 1_000)] {
            assert_eq!(with.find(term, micro), without.find(term, micro));
        }
        let Weights::Row(row) = with.weights(2).1 else { panic!("a common term") };
        let held: Vec<_> = (0..).zip(row).filter(|(_, tf)| **tf > 0.0).map(|(micro, &tf)| Posting { micro, tf }).collect();
        assert_eq!(held, without.get(2).collect::<Vec<_>>());
        with.rewrite(|term, posting| (term != 1).then_some(posting));
        without.rewrite(|term, posting| (term != 1).then_some(posting));
        assert_eq!(postings(&with), postings(&without));
    }
}
