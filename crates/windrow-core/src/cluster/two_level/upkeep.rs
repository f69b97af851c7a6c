//! What is due between two pages: clean-up, budgets, re-clustering, and the birth and death of clusters.
//!
//! Everything here happens at positions that only the order decides, and goes to the log before the decisions that follow from it.

use super::{Scratch, State};
use crate::cluster::coarse::Coarse;
use crate::cluster::slots::{LIGHT, RESERVE, REST};
use crate::cluster::vocabulary::TermId;
use crate::cluster::{Clusters, ModelSettings, Slot, memory, micro};
use crate::lineage::{Death, Happening, LineageEvent, Move};

/// Pages until the second run of K-Means; later waits grow by a tenth, up to two thirds of the half-life of micro-clusters.
pub(super) const FIRST_WAIT: u64 = 250;
const WAIT_PER_MICRO: u64 = 50;
/// A micro-cluster of at least this mass, no more like any centre than this, opens a cluster if a slot is free.
const HEAVY: f32 = 1.5;
const FAR: f32 = 0.5;

/// Most terms that a cluster remembers: memories together may hold half of the vocabulary's budget, so that evictions always make
/// room.
pub(super) fn most_remembered(settings: &ModelSettings) -> usize {
    memory::MAX_TERMS.min(settings.max_terms as usize / 2 / settings.clusters.slots().max(1) as usize)
}

impl State {
    /// What is due between two pages, the next of which has `n_terms` terms: one thing at a time, so that no page waits for all.
    pub(super) fn maintain(&mut self, n_terms: usize, scratch: &mut Scratch, log: &mut Vec<LineageEvent>) {
        let max_micros = (self.settings.max_micro_clusters as usize).max(2);
        let most_terms = (self.settings.max_terms as usize).saturating_sub(n_terms);
        let due = self.micros.tick();
        self.warm = self.warm || self.is_warm();
        if self.warm {
            self.until_recluster = self.until_recluster.saturating_sub(1);
        }
        if due || self.micros.len() >= max_micros {
            let evict = if self.micros.len() >= max_micros { self.micros.len().div_ceil(10) } else { 0 };
            self.clean_up(evict, &mut scratch.look, log);
        } else if self.holes {
            self.compact();
        } else if self.warm && self.until_recluster == 0 {
            self.recluster(&mut scratch.coarse, log);
        }
        while self.vocabulary.len() > most_terms && (self.micros.len() > 0 || self.holes) {
            if !self.holes {
                self.clean_up(self.micros.len().div_ceil(10), &mut scratch.look, log);
            }
            self.compact();
        }
    }

    /// From when on clusters open on a second page only, and K-Means runs. Under `auto` slots do not run out: the first pages are over.
    fn is_warm(&self) -> bool {
        let is_full = || self.micros.len() > self.slots.len() || self.slots.living().count() == self.slots.len();
        is_full() || (self.is_auto() && self.n_pages >= FIRST_WAIT)
    }

    fn is_auto(&self) -> bool {
        self.settings.clusters == Clusters::Auto
    }

    fn clean_up(&mut self, evict: usize, scratch: &mut micro::Scratch, log: &mut Vec<LineageEvent>) {
        self.micros.settle();
        let slow_shrink = self.micros.slow_shrink();
        self.slots.living_mut().for_each(|(_, cluster)| cluster.memory.fade(slow_shrink));
        let cleaned = self.micros.clean_up(evict, &self.held, scratch);
        self.hold_on(&cleaned);
        for faded in &cleaned.faded {
            let (micro_cluster, n_pages, why) = (faded.id, faded.n_pages, faded.why);
            self.log(faded.home, Happening::MicroFaded { micro_cluster, n_pages, why }, log);
            let cluster = self.slots.get_mut(faded.home).expect("a micro-cluster's home is alive");
            cluster.memory.add(faded.mass, &faded.left);
        }
        let most = most_remembered(&self.settings);
        for merged in &cleaned.merged {
            let into_cluster = self.slots.owner(merged.into_home);
            let (micro_cluster, into, why) = (merged.id, merged.into, merged.why);
            self.log(merged.home, Happening::MicroMerged { micro_cluster, into, into_cluster, why }, log);
        }
        self.slots.living_mut().for_each(|(_, cluster)| cluster.memory.prune(most));
        self.holes = true;
    }

    /// Forgets terms that nobody holds.
    fn compact(&mut self) {
        self.holes = false;
        let mut keep: Vec<bool> =
            (0..self.vocabulary.len() as TermId).map(|term| self.micros.index().list(term).len() > 0).collect();
        for (_, cluster) in self.slots.living() {
            cluster.memory.terms.iter().for_each(|&(term, _)| keep[term as usize] = true);
        }
        let renumbered = self.vocabulary.compact(&keep);
        self.micros.renumber(&renumbered);
        self.slots.living_mut().for_each(|(_, cluster)| cluster.memory.renumber(&renumbered));
    }

    fn recluster(&mut self, coarse: &mut Coarse, log: &mut Vec<LineageEvent>) {
        self.micros.settle();
        self.generation += 1;
        coarse.look(&self.micros, &self.slots);
        let likenesses = coarse.settle();
        for gain in coarse.gains() {
            if !self.is_held(gain.micro) {
                self.move_home(gain.micro, gain.to, gain.why, log);
            }
        }
        let waiting = self.open_clusters(coarse, &likenesses, log);
        self.bury_clusters(waiting, coarse, log);
        let longest = (WAIT_PER_MICRO * self.micros.len() as u64).max(FIRST_WAIT);
        self.until_recluster = self.wait.min(longest);
        self.wait = (self.wait + self.wait / 10).min(u64::MAX / 2);
    }

    pub(super) fn move_home(&mut self, micro: usize, to: Slot, why: Move, log: &mut Vec<LineageEvent>) {
        let from = self.micros.home[micro];
        if from != to {
            let micro_cluster = self.micros.id[micro];
            self.log(to, Happening::MicroMoved { micro_cluster, from: self.slots.owner(from), why }, log);
            self.micros.home[micro] = to;
        }
    }

    /// Heavy micro-clusters far from every centre open clusters in rested slots. Gives how many had to wait for a slot.
    fn open_clusters(&mut self, coarse: &Coarse, likenesses: &[f32], log: &mut Vec<LineageEvent>) -> usize {
        let mut waiting = 0;
        let free = self.slots.len() - self.slots.living().count();
        let most = free + (self.slots.len() / RESERVE).max(1);
        for (micro, why) in coarse.strangers(likenesses, HEAVY, FAR, most) {
            if self.is_held(micro) {
                continue;
            }
            if self.slots.would_open(self.n_pages).is_none() {
                waiting += 1;
                continue;
            }
            let to = self.open_cluster(self.micros.id[micro], why, log);
            self.move_home(micro, to, Move::Opened, log);
        }
        waiting
    }

    /// Clusters that have been too light for a whole horizon die: those without any micro-cluster, and the lightest of the others
    /// while somebody waits for a slot; under `auto` all of them, for how many clusters there are is what the stream says.
    fn bury_clusters(&mut self, mut waiting: usize, coarse: &Coarse, log: &mut Vec<LineageEvent>) {
        let weights = if self.is_auto() { self.heaviest_weights() } else { self.living_weights() };
        let mut lived_in = vec![false; self.slots.len()];
        self.micros.home.iter().for_each(|&home| lived_in[home as usize] = true);
        let needed = self.empty.as_ref().map(|empty| empty.home);
        let position = self.n_pages;
        let mut dying = Vec::new();
        for (slot, cluster) in self.slots.living_mut() {
            let is_light = weights[slot as usize] < LIGHT && needed != Some(slot);
            if let Some(n_pages) = cluster.long_light(is_light, position) {
                dying.push((lived_in[slot as usize], slot, n_pages));
            }
        }
        dying.sort_by(|a, b| a.0.cmp(&b.0).then(weights[a.1 as usize].total_cmp(&weights[b.1 as usize])).then(a.1.cmp(&b.1)));
        let reserve = self.slots.len() / RESERVE;
        waiting = waiting.max(reserve.saturating_sub(self.slots.len() - self.slots.living().count()));
        for (lived_in, slot, n_pages) in dying {
            if lived_in && waiting == 0 && !self.is_auto() {
                break;
            }
            if self.slots.living().count() == 1 {
                break;
            }
            waiting = waiting.saturating_sub(1);
            self.move_out(slot, coarse, log);
            let why = Death::Light { weight: weights[slot as usize], threshold: LIGHT, n_pages };
            self.log(slot, Happening::ClusterDied { slot, why }, log);
            self.slots.close(slot, position + REST);
        }
    }

    /// Faded weight of the heaviest micro-cluster of each slot: many that came once and have little to do with each other hold no cluster.
    fn heaviest_weights(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.slots.len()];
        for micro in 0..self.micros.len() {
            let most = &mut weights[self.micros.home[micro] as usize];
            *most = f64::max(*most, self.micros.weight(micro));
        }
        weights
    }

    /// The micro-clusters of a dying cluster go to the next nearest.
    fn move_out(&mut self, slot: Slot, coarse: &Coarse, log: &mut Vec<LineageEvent>) {
        let leaving = (0..self.micros.len()).filter(|&micro| self.micros.home[micro] == slot);
        for (micro, to) in coarse.second_homes(leaving) {
            let alive = to.filter(|&(to, _)| to != slot && self.slots.get(to).is_some());
            let any = || self.slots.living().map(|(other, _)| other).find(|&other| other != slot);
            let to = alive.map(|(to, _)| to).or_else(any).expect("another cluster is alive");
            let why = Move::Orphaned { likeness: alive.map(|(_, likeness)| likeness.into()) };
            self.held.remove(&self.micros.id[micro]);
            self.move_home(micro, to, why, log);
        }
    }
}
