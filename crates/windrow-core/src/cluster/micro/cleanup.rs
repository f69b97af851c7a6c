//! Clean-up of the fine level: fade, drop what has faded, merge what was born apart but belongs together.
//!
//! A micro-cluster that has faded below 2^-0.9 of one page dies; so does, within a living one, a term that has. Then each
//! micro-cluster born since the last clean-up joins the nearest older one, if nearer than pages were to their micro-clusters on
//! average since then. The same pass serves the budgets: as many of the lightest as must go die early.

use std::collections::BTreeSet;

use super::index::{Entry, Scratch};
use super::lists::{Posting, current};
use super::{CLEANUP, Micros, TermId};
use crate::cluster::{MicroId, Slot};
use crate::lineage::{Fade, Near};

/// What a clean-up did.
#[derive(Debug, Default)]
pub(in super::super) struct Cleaned {
    /// Micro-clusters that faded, ids ascending.
    pub(in super::super) faded: Vec<Faded>,
    /// Micro-clusters that were merged, ids ascending.
    pub(in super::super) merged: Vec<Merged>,
}

#[derive(Debug)]
pub(in super::super) struct Faded {
    pub(in super::super) id: MicroId,
    pub(in super::super) home: Slot,
    /// Its mass in pages.
    pub(in super::super) mass: f64,
    /// Pages that it ever took.
    pub(in super::super) n_pages: u64,
    /// What it held, each term's weight scaled to its mass; terms ascending.
    pub(in super::super) left: Vec<(TermId, f32)>,
    pub(in super::super) why: Fade,
}

#[derive(Debug)]
pub(in super::super) struct Merged {
    pub(in super::super) id: MicroId,
    pub(in super::super) home: Slot,
    pub(in super::super) into: MicroId,
    pub(in super::super) into_home: Slot,
    pub(in super::super) why: Near,
}

impl Micros {
    /// Factor by which slowly faded masses have shrunk since the last clean-up; before the next one.
    pub(in super::super) fn slow_shrink(&self) -> f64 {
        1.0 / self.slow_growth
    }

    /// Cleans up; of what would live, `evict` of the lightest die too. What is `held` is merged within its cluster only.
    pub(in super::super) fn clean_up(&mut self, evict: usize, held: &BTreeSet<MicroId>, scratch: &mut Scratch) -> Cleaned {
        let mut cleaned = Cleaned::default();
        let shrink = self.shrink() as f32;
        self.fade();
        let dead = self.dying(evict);
        cleaned.faded = self.bury(&dead, shrink);
        self.index.measure(self.len());
        cleaned.merged = self.merge_newborns(held, scratch);
        if !cleaned.merged.is_empty() {
            self.index.measure(self.len());
        }
        self.growth = 1.0;
        self.slow_growth = 1.0;
        self.sum_joined = 0.0;
        self.n_joined = 0;
        self.first_newborn = self.len() as u32;
        self.set_half_life();
        cleaned
    }

    /// Follows a compaction of the vocabulary: lists of terms that were dropped go.
    pub(in super::super) fn renumber(&mut self, renumbered: &[TermId]) {
        self.index.lists.retain(|term| renumbered[term] != TermId::MAX);
    }

    fn fade(&mut self) {
        let (shrink, slow_shrink) = (1.0 / self.growth, 1.0 / self.slow_growth);
        self.weight.iter_mut().for_each(|weight| *weight *= shrink);
        self.mass.iter_mut().for_each(|mass| *mass *= slow_shrink);
    }

    fn dying(&self, evict: usize) -> Vec<bool> {
        let least = libm::exp2(-CLEANUP);
        let mut dead: Vec<bool> = self.weight.iter().map(|&weight| weight <= least).collect();
        if evict > 0 {
            let mut living: Vec<usize> = (0..self.len()).filter(|&micro| !dead[micro]).collect();
            living.sort_by(|&a, &b| self.weight[a].total_cmp(&self.weight[b]).then(a.cmp(&b)));
            living.iter().take(evict).for_each(|&micro| dead[micro] = true);
        }
        dead
    }

    /// Fades all term weights, drops light ones and those of the dead, and closes the gaps that the dead leave.
    fn bury(&mut self, dead: &[bool], shrink: f32) -> Vec<Faded> {
        let least = libm::exp2(-CLEANUP) as f32;
        let mut left: Vec<Vec<(TermId, f32)>> = vec![Vec::new(); self.len()];
        let mut n_terms = vec![0u32; self.len()];
        self.index.lists.rewrite(|term, posting| {
            let tf = posting.tf * shrink;
            let micro = posting.micro as usize;
            if dead[micro] {
                let share = self.mass[micro] / self.weight[micro];
                left[micro].push((term, tf * share as f32));
            }
            let lives = !dead[micro] && tf > least;
            n_terms[micro] += u32::from(lives);
            lives.then_some(Posting { tf, ..posting })
        });
        let gone: Vec<bool> = n_terms.iter().map(|&n| n == 0).collect();
        let buried = (0..self.len()).filter(|&micro| gone[micro]);
        let faded = buried
            .map(|micro| Faded {
                id: self.id[micro],
                home: self.home[micro],
                mass: self.mass[micro],
                n_pages: self.n_pages[micro],
                left: std::mem::take(&mut left[micro]),
                why: self.fading(micro, dead[micro]),
            })
            .collect();
        self.close_gaps(&gone);
        faded
    }

    /// Why one goes that is `dead`, or has no terms left.
    fn fading(&self, micro: usize, dead: bool) -> Fade {
        let (weight, least) = (self.weight[micro], libm::exp2(-CLEANUP));
        match dead {
            true if weight <= least => Fade::Light { weight, threshold: least },
            true => Fade::Evicted { weight },
            false => Fade::Termless { weight, threshold: (least as f32).into() },
        }
    }

    fn close_gaps(&mut self, gone: &[bool]) {
        if !gone.contains(&true) {
            return;
        }
        let mut next = 0;
        let renumbered: Vec<u32> = gone
            .iter()
            .map(|&gone| {
                next += u32::from(!gone);
                next.wrapping_sub(1)
            })
            .collect();
        keep(&mut self.id, gone);
        keep(&mut self.home, gone);
        keep(&mut self.weight, gone);
        keep(&mut self.mass, gone);
        keep(&mut self.n_pages, gone);
        self.index.lists.renumber(&renumbered);
        let newborns = gone[self.first_newborn as usize..].iter().filter(|&&gone| !gone).count();
        self.first_newborn = (self.len() - newborns) as u32;
    }

    fn merge_newborns(&mut self, held: &BTreeSet<MicroId>, scratch: &mut Scratch) -> Vec<Merged> {
        let radius = self.sum_joined / (self.n_joined + 1) as f64;
        let first = self.first_newborn as usize;
        let mut gone = vec![false; self.len()];
        let mut merged = Vec::new();
        for (micro, terms) in (first..).zip(self.terms_from(first)) {
            let terms: Vec<Entry> = terms.into_iter().map(|(term, weight)| Entry::new(term, weight)).collect();
            if self.index.is_alone(&terms, micro, 1.0 - radius, scratch) {
                continue;
            }
            let found = self.index.sweep(&terms, micro, scratch);
            let why = Near { distance: 1.0 - found.likeness, threshold: radius };
            let Some(into) = found.nearest.filter(|_| why.distance < why.threshold) else { continue };
            if self.home[into] != self.home[micro] && held.contains(&self.id[micro]) {
                continue;
            }
            self.merge(micro, into, &terms);
            gone[micro] = true;
            let (id, home) = (self.id[micro], self.home[micro]);
            merged.push(Merged { id, home, into: self.id[into], into_home: self.home[into], why });
        }
        if !merged.is_empty() {
            self.close_gaps(&gone);
        }
        merged
    }

    fn merge(&mut self, micro: usize, into: usize, terms: &[Entry]) {
        for &Entry { term, .. } in terms {
            self.index.lists.remove(term, micro as u32);
        }
        self.index.add(into, terms, 1.0);
        self.weight[into] += self.weight[micro];
        self.mass[into] += self.mass[micro];
        self.n_pages[into] += self.n_pages[micro];
    }

    /// Terms of the micro-clusters from `first` on.
    pub(in super::super) fn terms_from(&self, first: usize) -> Vec<Vec<(TermId, f32)>> {
        let mut terms = vec![Vec::new(); self.len() - first];
        for (term, list, row) in self.index.lists.all() {
            for posting in current(list, row).rev().take_while(|posting| posting.micro as usize >= first) {
                terms[posting.micro as usize - first].push((term, posting.tf));
            }
        }
        terms
    }
}

fn keep<T>(column: &mut Vec<T>, gone: &[bool]) {
    let mut gone = gone.iter();
    column.retain(|_| !gone.next().expect("one flag a micro-cluster"));
}
