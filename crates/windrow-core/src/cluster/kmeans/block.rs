//! The pages of the block at hand: what centres will move by when it ends, and what was badly explained.

use serde::{Deserialize, Serialize};

use super::TermId;
use super::rule::Mean;

/// Badly explained pages that are looked at for births: the last ones of a block, for all are compared with each other.
const CANDIDATES: usize = 256;

/// Where a page of the block belongs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Member {
    /// It moves the centre at this place.
    Of(u32),
    /// Badly explained: as like as that to the nearest centre.
    Stranger(f64),
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Block {
    /// Pages learnt since the block began.
    pub(super) n_pages: u32,
    members: Vec<Member>,
    ends: Vec<u32>,
    pub(super) entries: Vec<(TermId, f64)>,
}

impl Block {
    /// A page that moves a centre.
    pub(super) fn push_member(&mut self, place: usize, page: &[(TermId, f64)]) {
        self.push(Member::Of(place as u32), page);
    }

    /// A page that no centre explains.
    pub(super) fn push_stranger(&mut self, likeness: f64, page: &[(TermId, f64)]) {
        self.push(Member::Stranger(likeness), page);
    }

    fn push(&mut self, member: Member, page: &[(TermId, f64)]) {
        self.members.push(member);
        self.entries.extend_from_slice(page);
        self.ends.push(self.entries.len() as u32);
    }

    pub(super) fn clear(&mut self) {
        self.n_pages = 0;
        self.members.clear();
        self.ends.clear();
        self.entries.clear();
    }

    fn row(&self, row: usize) -> &[(TermId, f64)] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.entries[start..self.ends[row] as usize]
    }

    /// For each centre that pages came to: its place, how many, and the sum of their components by ascending term.
    pub(super) fn sums(&self, mut each: impl FnMut(usize, u32, &[(TermId, f64)])) {
        let mut rows: Vec<(u32, usize)> = (self.members.iter().enumerate())
            .filter_map(|(row, member)| match member {
                Member::Of(place) => Some((*place, row)),
                Member::Stranger(_) => None,
            })
            .collect();
        rows.sort_unstable();
        let mut sum = Vec::new();
        for rows in rows.chunk_by(|a, b| a.0 == b.0) {
            self.sum(rows.iter().map(|&(_, row)| row), &mut sum);
            each(rows[0].0 as usize, rows.len() as u32, &sum);
        }
    }

    /// The sum of some rows by ascending term.
    fn sum(&self, rows: impl Iterator<Item = usize>, sum: &mut Vec<(TermId, f64)>) {
        sum.clear();
        rows.for_each(|row| sum.extend_from_slice(self.row(row)));
        // Stable: components of one term are summed in the order of the pages.
        sum.sort_by_key(|&(term, _)| term);
        sum.dedup_by(|next, first| {
            next.0 == first.0 && {
                first.1 += next.1;
                true
            }
        });
    }

    /// Centres for the pages that none explains: farthest first, by the number of strangers that one would explain, itself among them,
    /// times its distance to the nearest centre; each counts as a centre for those after it. A centre is the mean of the strangers
    /// that it explains, i. e. that are as like it as `explained`. At most `most`; of equals the first.
    pub(super) fn births(&self, explained: f64, most: usize) -> Vec<Mean> {
        let strangers = self.members.iter().enumerate().filter_map(|(row, member)| match member {
            Member::Stranger(likeness) if !self.row(row).is_empty() => Some((row, *likeness)),
            _ => None,
        });
        let mut strangers: Vec<(usize, f64)> = strangers.collect();
        strangers.drain(..strangers.len().saturating_sub(CANDIDATES));
        let n = strangers.len();
        let alike = self.cosines(&strangers);
        let explains = |a: usize, b: usize| a == b || alike[a * n + b] >= explained;
        let mut births = Vec::new();
        let mut sum = Vec::new();
        while births.len() < most {
            let gain = |&at: &usize| {
                let count = (0..n).filter(|&other| strangers[other].1 < explained && explains(at, other)).count();
                count as f64 * (1.0 - strangers[at].1)
            };
            let left = (0..n).filter(|&at| strangers[at].1 < explained).map(|at| (at, gain(&at)));
            let Some((born, _)) = left.reduce(|best, next| if next.1 > best.1 { next } else { best }) else { break };
            let ball: Vec<usize> = (0..n).filter(|&at| strangers[at].1 < explained && explains(born, at)).collect();
            self.sum(ball.iter().map(|&at| strangers[at].0), &mut sum);
            let mut mean = Mean::default();
            mean.take(ball.len() as u32, &sum);
            births.push(mean);
            for (at, stranger) in strangers.iter_mut().enumerate() {
                stranger.1 = stranger.1.max(alike[born * n + at]);
            }
            strangers[born].1 = 1.0;
        }
        births
    }

    /// Cosines between all strangers, row after row.
    fn cosines(&self, strangers: &[(usize, f64)]) -> Vec<f64> {
        let n = strangers.len();
        let mut columns: Vec<(TermId, usize, f64)> = Vec::new();
        for (at, &(row, _)) in strangers.iter().enumerate() {
            let square: f64 = self.row(row).iter().map(|&(_, value)| value * value).sum();
            let inverse = 1.0 / square.sqrt();
            columns.extend(self.row(row).iter().map(|&(term, value)| (term, at, value * inverse)));
        }
        columns.sort_unstable_by_key(|&(term, at, _)| (term, at));
        let mut cosines = vec![0.0; n * n];
        for column in columns.chunk_by(|a, b| a.0 == b.0) {
            for &(_, a, value) in column {
                column.iter().for_each(|&(_, b, other)| cosines[a * n + b] += value * other);
            }
        }
        cosines
    }

    /// The terms that it holds.
    pub(super) fn terms(&self) -> impl Iterator<Item = TermId> {
        self.entries.iter().map(|&(term, _)| term)
    }

    /// Follows a compaction of the vocabulary.
    pub(super) fn renumber(&mut self, renumbered: &[TermId]) {
        self.entries.iter_mut().for_each(|(term, _)| *term = renumbered[*term as usize]);
    }
}
