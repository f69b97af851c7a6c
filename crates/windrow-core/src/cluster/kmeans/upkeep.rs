//! What is due between two blocks: fading, the move of the centres, births and deaths; and the budget of terms.
//!
//! Everything here happens at positions that only the order decides, and goes to the log before the decisions that follow from it.

use super::centres::Centre;
use super::rule::split_heaviest;
use super::{EXPLAINED, State};
use crate::cluster::slots::{LIGHT, RESERVE, REST};
use crate::cluster::{HalfLife, KMeansRule, Slot};
use crate::lineage::{Death, Fade, Happening, LineageEvent};

/// Pages until labels follow for the second time; later waits grow by a tenth, up to this many pages a cluster.
pub(super) const FIRST_WAIT: u64 = 250;
const WAIT_PER_CLUSTER: u64 = 50;
/// By the spherical rule: components that stand for less than this many pages are forgotten.
const LEAST: f64 = 0.05;
/// Most components of a centre, whatever the budget.
const MOST_COMPONENTS: usize = 1_024;
/// Terms that may have died before the vocabulary is compacted, beside half of those alive.
const SLACK: u64 = 1_024;

impl State {
    /// What is due before a page with `n_terms` terms. A block ends early when its terms have used up their share of the budget.
    pub(super) fn maintain(&mut self, n_terms: usize, log: &mut Vec<LineageEvent>) {
        let is_full = self.block.entries.len() + n_terms > self.share_of_terms();
        if self.block.n_pages >= self.settings.kmeans.batch || (is_full && self.block.n_pages > 0) {
            self.end_block(log);
        }
        if self.vocabulary.len() + n_terms > self.settings.max_terms as usize {
            self.compact();
        }
    }

    pub(super) fn end_block(&mut self, log: &mut Vec<LineageEvent>) {
        let n_pages = u64::from(self.block.n_pages);
        let fading = self.fading(n_pages);
        self.centres.all.iter_mut().for_each(|centre| centre.mean.weight *= fading);
        let centres = &mut self.centres.all;
        self.block.sums(|place, count, sum| {
            centres[place].pending = 0;
            centres[place].mean.take(count, sum);
        });
        match self.settings.kmeans.rule {
            KMeansRule::Spherical => {
                let births = self.block.births(EXPLAINED, self.settings.kmeans.births as usize);
                self.centres.all.extend(births.into_iter().map(Centre::unborn));
                self.forget_waiting();
                self.bury_clusters(log);
            }
            KMeansRule::Spark => self.split(log),
        }
        self.block.clear();
        self.prune();
        if self.vocabulary.len() as u64 > self.held + self.held / 2 + SLACK {
            self.compact();
        } else {
            self.centres.rebuild(self.vocabulary.len());
        }
        self.until_labels = self.until_labels.saturating_sub(n_pages);
        if self.until_labels == 0 {
            self.generation += 1;
            self.until_labels = self.wait.min((WAIT_PER_CLUSTER * self.slots.len() as u64).max(FIRST_WAIT));
            self.wait = (self.wait + self.wait / 10).min(u64::MAX / 2);
        }
    }

    /// What is left of a page's weight after a block of so many pages: `a` for a block, or `a` for each page, with a = exp(ln ½ / h).
    fn fading(&mut self, n_pages: u64) -> f64 {
        let half_of = |part: f64| libm::exp(-std::f64::consts::LN_2 * part);
        match self.settings.kmeans.half_life {
            HalfLife::Rows(rows) => libm::pow(half_of(1.0 / rows as f64), n_pages as f64),
            HalfLife::Batches(batches) => half_of(1.0 / batches as f64),
            HalfLife::Never => 1.0,
            HalfLife::Time(time) => {
                let before = std::mem::replace(&mut self.block_time, self.time.now());
                let passed = self.block_time.zip(before).map_or(0, |(now, before)| now.saturating_sub(before));
                half_of(passed as f64 / time as f64)
            }
        }
    }

    /// Centres to which no page came in time; the eldest go.
    fn forget_waiting(&mut self) {
        let most = self.most_waiting();
        let waiting = self.centres.all.iter().filter(|centre| centre.slot.is_none()).count();
        let mut too_many = waiting.saturating_sub(most);
        self.centres.all.retain(|centre| {
            let goes = centre.slot.is_none() && too_many > 0;
            too_many -= usize::from(goes);
            !goes
        });
    }

    fn most_waiting(&self) -> usize {
        (self.settings.kmeans.births as usize).min(self.slots.len())
    }

    /// Spark's rule for dying clusters: the lightest that is not pinned ends, and its place takes half of the heaviest.
    fn split(&mut self, log: &mut Vec<LineageEvent>) {
        if self.centres.all.len() < self.slots.len() {
            return;
        }
        let is_pinned = |slot: Option<Slot>| slot.and_then(|slot| self.slots.get(slot)).is_some_and(|cluster| cluster.pinned);
        let pinned: Vec<bool> = self.centres.all.iter().map(|centre| is_pinned(centre.slot)).collect();
        let means = self.centres.all.iter_mut().map(|centre| &mut centre.mean);
        let Some((small, twin, why)) = split_heaviest(means, |place| !pinned[place]) else { return };
        let dead = std::mem::replace(&mut self.centres.all[small], Centre::unborn(twin));
        // The twin takes the place at once.
        self.bury(&dead, 0, why, log);
    }

    /// Clusters that have been too light for a whole horizon die while others wait for their slots, the lightest first.
    fn bury_clusters(&mut self, log: &mut Vec<LineageEvent>) {
        let mut dying = Vec::new();
        for centre in &self.centres.all {
            let Some(cluster) = centre.slot.and_then(|slot| self.slots.get_mut(slot)) else { continue };
            let weight = centre.mean.weight;
            if let Some(n_pages) = cluster.long_light(weight < LIGHT, self.n_pages) {
                dying.push((weight, centre.micro, n_pages));
            }
        }
        dying.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let living = self.slots.living().count();
        let waiting = self.centres.all.len() - living;
        let wanted = if self.warm { waiting.max(self.slots.len() / RESERVE) } else { 0 };
        let most = wanted.saturating_sub(self.slots.len() - living).min(living - 1);
        for &(weight, micro, n_pages) in dying.iter().take(most) {
            let place = self.centres.find(micro).expect("it was alive just now");
            let dead = self.centres.all.remove(place);
            self.bury(&dead, REST, Death::Light { weight, threshold: LIGHT, n_pages }, log);
        }
    }

    fn bury(&mut self, dead: &Centre, rest: u64, why: Death, log: &mut Vec<LineageEvent>) {
        let Some(slot) = dead.slot else { return };
        let faded = Fade::Ended { weight: Some(dead.mean.weight) };
        self.log(slot, Happening::MicroFaded { micro_cluster: dead.micro, n_pages: dead.n_pages, why: faded }, log);
        self.log(slot, Happening::ClusterDied { slot, why }, log);
        self.slots.close(slot, self.n_pages + rest);
    }

    /// Keeps the centres within their share of the budget, and those that wait within theirs.
    fn prune(&mut self) {
        let share = self.share_of_terms();
        let living = (share / self.slots.len()).min(MOST_COMPONENTS);
        let waiting = (share / self.most_waiting().max(1)).min(MOST_COMPONENTS);
        let least = if self.settings.kmeans.rule == KMeansRule::Spherical { LEAST } else { 0.0 };
        for centre in &mut self.centres.all {
            centre.mean.prune(least, if centre.slot.is_some() { living } else { waiting });
        }
    }

    /// Forgets terms that nobody holds.
    fn compact(&mut self) {
        let mut keep = vec![false; self.vocabulary.len()];
        let centres = self.centres.all.iter().flat_map(|centre| &centre.mean.terms).map(|&(term, _)| term);
        centres.chain(self.block.terms()).for_each(|term| keep[term as usize] = true);
        let renumbered = self.vocabulary.compact(&keep);
        let centres = self.centres.all.iter_mut().flat_map(|centre| &mut centre.mean.terms);
        centres.for_each(|(term, _)| *term = renumbered[*term as usize]);
        self.block.renumber(&renumbered);
        self.held = self.vocabulary.len() as u64;
        self.centres.rebuild(self.vocabulary.len());
    }
}
