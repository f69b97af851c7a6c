//! The fine level: on-line micro-clusters by textClust's rule (Assenmacher & Trautmann, "Textual one-pass stream clustering with
//! automated distance threshold adaption", 2022) with fading by chances.
//!
//! A micro-cluster is a bag of terms with weights. A page goes to the nearest one by cosine of tf x idf vectors, where
//! idf = 1 + ln(M / df) counts micro-clusters, not pages; if even the nearest is not clearly nearer than the others (mean less
//! sigma times spread of all distances) the page opens one of its own.
//!
//! *Fading by chances*: weights halve in `h` x (micro-clusters alive) pages, so that a theme lives as long as it gets its fair
//! share of pages, however fast other pages run between. Fading costs nothing per page: instead of shrinking all the old, the new
//! counts for more (`growth`), and everything is brought back to size at the clean-up, each 0.9 half-lives.

mod cleanup;
mod index;
mod lanes;
mod lists;

use serde::{Deserialize, Serialize};

pub(super) use self::cleanup::Cleaned;
use self::index::Index;
pub(super) use self::index::{Entry, Scratch};
pub(super) use self::lanes::widest;
use super::vocabulary::TermId;
use super::{MicroId, Slot};

/// Half-life in pages for each micro-cluster alive.
const CHANCES: f64 = 75.0;
/// No half-life is shorter than this, in pages: few micro-clusters must not make a short memory.
const LEAST_HALF_LIFE: f64 = 1_000.0;
/// A clean-up follows each this many half-lives.
const CLEANUP: f64 = 0.9;
/// How many spreads nearer than the mean a micro-cluster must be.
const SIGMA: f64 = 1.5;
/// Likeness that joins while there is only one micro-cluster, whose distance has no spread.
const LONE_LIKENESS: f64 = 0.5;
/// Pages in which a micro-cluster's lasting mass halves.
const MASS_HALF_LIFE: f64 = 1e6;

/// All micro-clusters with terms, as columns, ids ascending.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Micros {
    pub(super) id: Vec<MicroId>,
    /// Slot of the cluster that it belongs to.
    pub(super) home: Vec<Slot>,
    /// Pages, faded by chances; in units of `growth`.
    weight: Vec<f64>,
    /// Pages, faded slowly; in units of `slow_growth`.
    mass: Vec<f64>,
    pub(super) n_pages: Vec<u64>,
    index: Index,
    /// What a page counts for now, against 1 at the last clean-up.
    growth: f64,
    growth_per_page: f64,
    slow_growth: f64,
    slow_growth_per_page: f64,
    /// Pages until the next clean-up.
    until_cleanup: u64,
    /// The first micro-cluster that was born since the last clean-up.
    first_newborn: u32,
    /// Since the last clean-up: pages that joined, and the sum of their distances.
    sum_joined: f64,
    n_joined: u64,
    /// Of `weight` what was counted without terms since `settle`; nothing in a snapshot, before which that comes.
    #[serde(skip)]
    counted: Vec<f64>,
}

/// What a page finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    /// The nearest micro-cluster that shares a term.
    pub(super) nearest: Option<usize>,
    /// Likeness to it, 0 to 1.
    pub(super) likeness: f64,
    /// Likeness above which the page joins it.
    pub(super) threshold: f64,
}

impl Look {
    /// The micro-cluster that the page joins.
    pub(super) fn joins(&self) -> Option<usize> {
        self.nearest.filter(|_| self.likeness > self.threshold)
    }
}

impl Micros {
    pub(super) fn new() -> Self {
        let mut new = Self {
            id: Vec::new(),
            home: Vec::new(),
            weight: Vec::new(),
            mass: Vec::new(),
            n_pages: Vec::new(),
            index: Index::default(),
            growth: 1.0,
            growth_per_page: 1.0,
            slow_growth: 1.0,
            slow_growth_per_page: libm::exp2(1.0 / MASS_HALF_LIFE),
            until_cleanup: 0,
            first_newborn: 0,
            sum_joined: 0.0,
            n_joined: 0,
            counted: Vec::new(),
        };
        new.set_half_life();
        new
    }

    pub(super) fn len(&self) -> usize {
        self.id.len()
    }

    /// Faded weight in pages.
    pub(super) fn weight(&self, micro: usize) -> f64 {
        self.weight[micro] / self.growth
    }

    /// Slowly faded weight in pages.
    pub(super) fn mass(&self, micro: usize) -> f64 {
        self.mass[micro] / self.slow_growth
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Factor from stored term weights to pages.
    pub(super) fn shrink(&self) -> f64 {
        1.0 / self.growth
    }

    /// Position in the columns of a living micro-cluster.
    pub(super) fn find(&self, id: MicroId) -> Option<usize> {
        self.id.binary_search(&id).ok()
    }

    /// Finds where a page with these terms would go.
    pub(super) fn look(&self, entries: &[Entry], scratch: &mut Scratch) -> Look {
        let found = self.index.sweep(entries, self.len(), scratch);
        if self.len() == 1 {
            return Look { nearest: found.nearest, likeness: found.likeness, threshold: LONE_LIKENESS };
        }
        // Mean and spread of the distances to the others, written with likenesses s = 1 - d.
        let n = self.len() as f64;
        let others = n - 1.0;
        let distance = 1.0 - found.likeness;
        let mean = (n - found.sum - distance) / others;
        let mean_square = (n - 2.0 * found.sum + found.sum_of_squares) / others;
        let spread = (mean_square - mean * mean).max(0.0).sqrt();
        Look { nearest: found.nearest, likeness: found.likeness, threshold: 1.0 - (mean - SIGMA * spread) }
    }

    /// Adds a page to a micro-cluster that it is as like as that.
    pub(super) fn join(&mut self, micro: usize, likeness: f64, entries: &[Entry]) {
        self.sum_joined += 1.0 - likeness;
        self.n_joined += 1;
        self.add(micro, entries);
    }

    /// Counts a page that is as like a micro-cluster as that and whose terms nobody knows: as many as its other pages have, once it is settled.
    /// Likenesses stay what they are.
    pub(super) fn count(&mut self, micro: usize, likeness: f64) {
        self.sum_joined += 1.0 - likeness;
        self.n_joined += 1;
        self.add_page(micro);
        if self.counted.len() <= micro {
            self.counted.resize(self.len(), 0.0);
        }
        self.counted[micro] += self.growth;
    }

    /// Brings the terms of micro-clusters up to their weights. A page that was learnt meanwhile then says what the counted ones beside it
    /// are about, as far as the pages before did not.
    pub(super) fn settle(&mut self) {
        if self.counted.is_empty() {
            return;
        }
        let mut counted = std::mem::take(&mut self.counted);
        counted.resize(self.len(), 0.0);
        let factor = |(weight, counted): (&f64, &f64)| (weight / (weight - counted)) as f32;
        let factors: Vec<f32> = self.weight.iter().zip(&counted).map(factor).collect();
        self.index.scale(&factors);
    }

    fn add(&mut self, micro: usize, entries: &[Entry]) {
        self.index.add(micro, entries, self.growth as f32);
        self.add_page(micro);
    }

    fn add_page(&mut self, micro: usize) {
        self.weight[micro] += self.growth;
        self.mass[micro] += self.slow_growth;
        self.n_pages[micro] += 1;
    }

    /// Opens a micro-cluster with one page.
    pub(super) fn open(&mut self, id: MicroId, home: Slot, entries: &[Entry]) {
        self.id.push(id);
        self.home.push(home);
        self.weight.push(0.0);
        self.mass.push(0.0);
        self.n_pages.push(0);
        self.index.open();
        self.add(self.id.len() - 1, entries);
    }

    /// Restores what a snapshot leaves out.
    pub(super) fn rebuild(&mut self) {
        self.index.rebuild();
    }

    /// Lets one page's time pass; true when a clean-up is due.
    pub(super) fn tick(&mut self) -> bool {
        self.growth *= self.growth_per_page;
        self.slow_growth *= self.slow_growth_per_page;
        self.until_cleanup = self.until_cleanup.saturating_sub(1);
        self.until_cleanup == 0
    }

    /// Lengths of half-life and clean-up interval for the number alive now.
    fn set_half_life(&mut self) {
        let half_life = (CHANCES * self.len() as f64).max(LEAST_HALF_LIFE);
        self.growth_per_page = libm::exp2(1.0 / half_life);
        self.until_cleanup = (CLEANUP * half_life).ceil() as u64;
    }
}
