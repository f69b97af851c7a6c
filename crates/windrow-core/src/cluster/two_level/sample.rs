//! Learning from a sample: what a page is to a model that stands still, and pages that are counted without being looked at.

use std::ops::Range;

use super::{NOTHING, TwoLevel};
use crate::cluster::{Decision, MicroId, Sampling, micro};
use crate::lineage::LineageEvent;
use crate::record::Pages;

impl Sampling for TwoLevel {
    fn joined(&self, pages: &Pages, rows: Range<usize>, joined: &mut Vec<Option<(MicroId, f64)>>) {
        let mut scratch = micro::Scratch::default();
        joined.extend(rows.map(|row| self.joined_by(pages, row, &mut scratch)));
    }

    fn pass(&mut self, log: &mut Vec<LineageEvent>) {
        self.state.maintain(0, &mut self.scratch, log);
        self.state.n_pages += 1;
    }

    fn count(&mut self, micro_cluster: MicroId, score: f64) -> Option<Decision> {
        let state = &mut self.state;
        if let Some(empty) = state.empty.as_mut().filter(|empty| empty.id == micro_cluster) {
            empty.n_pages += 1;
            let home = empty.home;
            return Some(state.decision(micro_cluster, home, false, score));
        }
        let micro = state.micros.find(micro_cluster)?;
        state.micros.count(micro, score);
        Some(state.decision(micro_cluster, state.micros.home[micro], false, score))
    }

    fn settle(&mut self) {
        self.state.micros.settle();
    }
}

impl TwoLevel {
    fn joined_by(&self, pages: &Pages, row: usize, scratch: &mut micro::Scratch) -> Option<(MicroId, f64)> {
        let state = &self.state;
        if pages.terms.entries(row).is_empty() {
            return state.empty.as_ref().map(|empty| (empty.id, 0.0));
        }
        let (_, entries) = self.known(pages, row);
        let look = if entries.is_empty() { NOTHING } else { state.micros.look(&entries, scratch) };
        // A second page may make its micro-cluster a cluster: that is the learner's to say.
        let micro = look.joins().filter(|&micro| state.micros.n_pages[micro] > 1)?;
        Some((state.micros.id[micro], look.likeness))
    }
}
