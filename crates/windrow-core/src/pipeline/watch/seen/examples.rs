//! Examples of a cluster, one for each page however many copies of it came.
//!
//! The book has examples too, one for each title: labels are made with them, and they are what older states hold.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::cluster::Decision;
use crate::pipeline::book::{EXAMPLES, Example, fill, title};
use crate::record::Pages;

/// A page and its copy.
pub(super) type Shown = (u64, Example);

/// The examples of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Examples {
    pub(super) representative: Vec<Shown>,
    pub(super) boundary: Vec<Shown>,
    /// Oldest first.
    pub(super) latest: VecDeque<Shown>,
    /// The scores that a page must be above, or below, to be one of the first two; nothing wants less while they are not full.
    bounds: Option<(f64, f64)>,
    /// Rows of the batch at hand that are to become `latest`, with their copies; nothing between batches.
    #[serde(skip)]
    recent: Vec<(u64, usize)>,
}

impl Examples {
    /// Looks at a page.
    #[inline]
    pub(super) fn see(&mut self, copy: u64, decision: &Decision, pages: &Pages, row: usize) {
        let is_wanted = self.bounds.is_none_or(|(above, below)| decision.score > above || decision.score < below);
        if is_wanted && !decision.novel {
            keep(&mut self.representative, copy, decision, pages, row, |new, old| new > old);
            keep(&mut self.boundary, copy, decision, pages, row, |new, old| new < old);
            self.set_bounds();
        }
        let old = self.recent.iter().position(|(known, _)| *known == copy && copy != 0);
        if let Some(old) = old.or((self.recent.len() == EXAMPLES).then_some(0)) {
            self.recent.remove(old);
        }
        self.recent.push((copy, row));
    }

    fn set_bounds(&mut self) {
        fn scores(list: &[Shown]) -> impl Iterator<Item = f64> {
            list.iter().map(|(_, example)| example.score)
        }
        let full = self.representative.len() == EXAMPLES && self.boundary.len() == EXAMPLES;
        let least = scores(&self.representative).fold(f64::INFINITY, f64::min);
        let most = scores(&self.boundary).fold(f64::NEG_INFINITY, f64::max);
        self.bounds = full.then_some((least, most));
    }

    /// Takes the texts of the latest pages out of a batch.
    pub(super) fn settle(&mut self, decisions: &[Decision], pages: &Pages) {
        for (copy, row) in self.recent.drain(..) {
            let same = self.latest.iter().position(|(known, _)| *known == copy && copy != 0);
            let oldest = same.or((self.latest.len() == EXAMPLES).then_some(0)).and_then(|at| self.latest.remove(at));
            let mut latest = oldest.unwrap_or_default();
            latest.0 = copy;
            fill(&mut latest.1, &decisions[row], pages, row);
            self.latest.push_back(latest);
        }
    }

    /// Lets scores fade, as the book does.
    pub(super) fn age(&mut self) {
        self.representative.iter_mut().for_each(|(_, example)| example.score *= 0.9);
        self.boundary.iter_mut().for_each(|(_, example)| example.score = 1.0 - 0.9 * (1.0 - example.score));
        self.set_bounds();
    }

    pub(super) fn is_whole(&self) -> bool {
        [self.representative.len(), self.boundary.len(), self.latest.len()].iter().all(|len| *len <= EXAMPLES)
    }
}

/// Keeps the examples whose score is `better`, one for each page.
fn keep(kept: &mut Vec<Shown>, copy: u64, decision: &Decision, pages: &Pages, row: usize, better: impl Fn(f64, f64) -> bool) {
    let full = kept.len() == EXAMPLES;
    let worst = (0..kept.len()).reduce(|a, b| if better(kept[a].1.score, kept[b].1.score) { b } else { a });
    let wanted = !full || worst.is_some_and(|at| better(decision.score, kept[at].1.score));
    let is_copy = |(known, example): &Shown| *known == copy && copy != 0 || example.title == title(pages, row);
    if !wanted || kept.iter().any(is_copy) {
        return;
    }
    let at = worst.filter(|_| full).unwrap_or_else(|| {
        kept.push(Shown::default());
        kept.len() - 1
    });
    kept[at].0 = copy;
    fill(&mut kept[at].1, decision, pages, row);
}
