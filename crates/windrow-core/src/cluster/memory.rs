//! What a cluster keeps of its micro-clusters when they die: faded sums of pages and of terms, the heaviest terms only.
//!
//! Micro-clusters fade by chances, which may be minutes; a cluster remembers for about a million pages. Re-clustering changes
//! which micro-clusters belong to a cluster, never its memory.

use serde::{Deserialize, Serialize};

use super::vocabulary::TermId;

/// Most terms that one cluster remembers, whatever the budget.
pub(super) const MAX_TERMS: usize = 256;
/// Terms that count for less than this many pages are forgotten.
const LEAST: f32 = 0.05;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Pages that dead micro-clusters left, faded.
    pub(super) pages: f64,
    /// Terms with their weight in pages, terms ascending.
    pub(super) terms: Vec<(TermId, f32)>,
}

impl Memory {
    /// Lets everything fade by a factor.
    pub(super) fn fade(&mut self, factor: f64) {
        self.pages *= factor;
        for (_, weight) in &mut self.terms {
            *weight *= factor as f32;
        }
    }

    /// Takes in what a dead micro-cluster left; `left` has terms ascending.
    pub(super) fn add(&mut self, pages: f64, left: &[(TermId, f32)]) {
        self.pages += pages;
        let old = std::mem::take(&mut self.terms);
        let mut left = left.iter().copied().peekable();
        for (term, weight) in old {
            while let Some(new) = left.next_if(|new| new.0 < term) {
                self.terms.push(new);
            }
            let more = left.next_if(|new| new.0 == term).map_or(0.0, |new| new.1);
            self.terms.push((term, weight + more));
        }
        self.terms.extend(left);
    }

    /// Forgets what is too light, and the lightest beyond `max_terms` (of equal ones the later).
    pub(super) fn prune(&mut self, max_terms: usize) {
        self.terms.retain(|&(_, weight)| weight >= LEAST);
        if self.terms.len() > max_terms {
            self.terms.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            self.terms.truncate(max_terms);
            self.terms.sort_by_key(|&(term, _)| term);
        }
    }

    /// Follows a compaction of the vocabulary.
    pub(super) fn renumber(&mut self, renumbered: &[TermId]) {
        for (term, _) in &mut self.terms {
            *term = renumbered[*term as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_ordered_and_the_heaviest_terms_stay() {
        let mut memory = Memory::default();
        memory.add(2.0, &[(1, 1.0), (5, 2.0)]);
        memory.add(1.0, &[(0, 0.01), (5, 1.0), (9, 4.0)]);
        assert_eq!(memory.terms, [(0, 0.01), (1, 1.0), (5, 3.0), (9, 4.0)]);
        memory.fade(0.5);
        memory.prune(10);
        assert_eq!((memory.pages, memory.terms.as_slice()), (1.5, [(1, 0.5), (5, 1.5), (9, 2.0)].as_slice()));
    }
}
