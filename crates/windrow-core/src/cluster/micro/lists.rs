//! Posting lists in one piece of memory: a head of eight bytes a term, and room for a power of two of postings behind it.
//!
//! A page touches a dozen lists, most of them short, all over the vocabulary: what counts is how few cache lines that takes. A
//! full list moves to the end, twice as roomy; the clean-up writes all lists anew and closes the gaps. Where a list lies is
//! nobody's business and in no snapshot.

use serde::{Deserialize, Serialize};

use super::TermId;

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
}

impl Head {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// All lists, by term; within one, micro-clusters ascend.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Lists {
    heads: Vec<Head>,
    postings: Vec<Posting>,
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
        (lengths, (0..lists.len() as TermId).flat_map(|term| lists.get(term).iter().copied()).collect())
    }
}

impl Clone for Lists {
    /// A copy without gaps.
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        (0..self.len() as TermId).for_each(|term| copy.push_list(self.get(term).iter().copied()));
        copy
    }
}

impl Lists {
    /// Number of terms that have a list, empty or not.
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// The list of a term; empty for terms that no micro-cluster holds.
    pub(super) fn get(&self, term: TermId) -> &[Posting] {
        self.heads.get(term as usize).map_or(&[], |head| &self.postings[head.range()])
    }

    /// Length of a term's list.
    pub(super) fn df(&self, term: TermId) -> usize {
        self.heads.get(term as usize).map_or(0, |head| head.len as usize)
    }

    /// Number of postings in all lists.
    pub(super) fn n_postings(&self) -> usize {
        self.heads.iter().map(|head| head.len as usize).sum()
    }

    /// The posting of a micro-cluster in a term's list.
    pub(super) fn find(&self, term: TermId, micro: u32) -> Option<Posting> {
        let list = self.get(term);
        list.binary_search_by_key(&micro, |posting| posting.micro).ok().map(|at| list[at])
    }

    /// Adds to the weight of a term in a micro-cluster; gives the old weight and the new one.
    pub(super) fn add(&mut self, term: TermId, micro: u32, more: f32) -> (f32, f32) {
        if term as usize >= self.heads.len() {
            self.heads.resize(term as usize + 1, Head::default());
        }
        let list = &mut self.postings[self.heads[term as usize].range()];
        match list.binary_search_by_key(&micro, |posting| posting.micro) {
            Ok(at) => {
                let old = list[at].tf;
                list[at].tf += more;
                (old, list[at].tf)
            }
            Err(at) => {
                self.insert(term as usize, at, Posting { micro, tf: more });
                (0.0, more)
            }
        }
    }

    fn insert(&mut self, term: usize, at: usize, posting: Posting) {
        let Head { start, len } = self.heads[term];
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
        }
    }

    /// Writes all lists anew, with what `change` makes of each posting.
    pub(super) fn rewrite(&mut self, mut change: impl FnMut(TermId, Posting) -> Option<Posting>) {
        let old = std::mem::take(self);
        self.heads.reserve(old.heads.len());
        self.postings.reserve(old.n_postings() * 3 / 2);
        for term in 0..old.len() as TermId {
            self.push_list(old.get(term).iter().filter_map(|&posting| change(term, posting)));
        }
    }

    /// Gives micro-clusters their new numbers.
    pub(super) fn renumber(&mut self, renumbered: &[u32]) {
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
        self.heads.push(Head { start: start as u32, len: len as u32 });
    }
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
        let micros = |lists: &Lists, term| lists.get(term).iter().map(|p| p.micro).collect::<Vec<_>>();
        assert_eq!(micros(&lists, 0), [1, 3, 5, 7, 9]);
        assert_eq!(micros(&lists, 2), [3, 7, 9, 11]);
        assert_eq!((lists.df(2), lists.df(9), lists.n_postings()), (4, 0, 14));
        assert_eq!(lists.find(2, 9), Some(Posting { micro: 9, tf: 1.5 }));
        let copy = Lists::from(Stored::from(lists.clone()));
        lists.rewrite(|term, posting| (term != 1).then_some(posting));
        assert_eq!((micros(&lists, 0), micros(&lists, 1)), (micros(&copy, 0), Vec::new()));
        lists.retain(|term| term != 1);
        assert_eq!(micros(&lists, 1), micros(&copy, 2));
        assert_eq!(lists.add(1, 4, 1.0), (0.0, 1.0));
        assert_eq!(micros(&lists, 1), [3, 4, 7, 9, 11]);
    }
}
