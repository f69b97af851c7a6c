//! The yardstick of the learner's speed: the fine level on an inverted index as one writes it first.
//!
//! The rule is that of `src/cluster/micro.rs` with the same constants: textClust's with automatic radius (Assenmacher &
//! Trautmann, 2022), fading by chances, clean-up and merging. The index is plain: each term has a list of the micro-clusters that
//! hold it, the lists of a page's terms are scanned whole into one array of sums, and what was met is compared.
//!
//! That only those are compared costs more than it saves: one pass over all sums, as the model makes it, is nearly twice as fast.
//! But the index that the bars of `cargo xtask bench embedded` come from compared candidates (717 a page, with 5,250
//! micro-clusters alive, at 7 ns a posting), and a yardstick must stay as long as it was.
//!
//! Left out, which makes it faster: boilerplate, clusters, labels, the log, budgets, and forgetting the names of terms.

use rustc_hash::FxHashMap;
use windrow_core::featurize::Terms;
use windrow_core::record::Pages;

const CHANCES: f64 = 75.0;
const LEAST_HALF_LIFE: f64 = 1_000.0;
const CLEANUP: f64 = 0.9;
const SIGMA: f64 = 1.5;
const LONE_LIKENESS: f64 = 0.5;
/// Lengths are measured anew when there are this many times as many micro-clusters, for all terms have become rarer.
const REMEASURE: f64 = 1.0 + 1.0 / 16.0;
/// Micro-cluster of all pages without terms.
const TERMLESS: u64 = 0;

/// Number of a term, and its weight.
type Weighted = (u32, f32);

/// Micro-clusters as columns, ids ascending, and the index to them.
pub(super) struct Naive {
    numbers: FxHashMap<u64, u32>,
    /// Numbers of the terms of the batch at hand.
    batch: Vec<u32>,
    /// Of each term the micro-clusters that hold it, ascending, and its weight in them.
    lists: Vec<Vec<(u32, f32)>>,
    id: Vec<u64>,
    /// Pages, faded; like the weights of terms in units of `growth`.
    weight: Vec<f64>,
    /// Square of the length of its vector.
    square: Vec<f64>,
    inverse: Vec<f32>,
    measured_at: usize,
    next_id: u64,
    growth: f64,
    growth_per_page: f64,
    until_cleanup: u64,
    /// The first micro-cluster that was born since the last clean-up.
    first_newborn: usize,
    /// Since then: pages that joined, and the sum of their distances.
    n_joined: u64,
    sum_joined: f64,
    /// Memory that nobody keeps: the page's terms, sums by micro-cluster, and where they are not 0.
    page: Vec<Weighted>,
    sums: Vec<f32>,
    met: Vec<u32>,
}

/// What a page finds: the nearest micro-cluster, and sums over all.
#[derive(Default)]
struct Found {
    nearest: Option<usize>,
    likeness: f64,
    sum: f64,
    sum_of_squares: f64,
}

impl Naive {
    pub(super) fn new() -> Self {
        let mut new = Self {
            numbers: FxHashMap::default(),
            batch: Vec::new(),
            lists: Vec::new(),
            id: Vec::new(),
            weight: Vec::new(),
            square: Vec::new(),
            inverse: Vec::new(),
            measured_at: 0,
            next_id: TERMLESS + 1,
            growth: 1.0,
            growth_per_page: 1.0,
            until_cleanup: 0,
            first_newborn: 0,
            n_joined: 0,
            sum_joined: 0.0,
            page: Vec::new(),
            sums: Vec::new(),
            met: Vec::new(),
        };
        new.set_half_life();
        new
    }

    /// Micro-clusters alive.
    pub(super) fn len(&self) -> usize {
        self.id.len()
    }

    /// Terms that any of them holds.
    pub(super) fn n_terms(&self) -> usize {
        self.lists.iter().filter(|list| !list.is_empty()).count()
    }

    /// Learns one page and gives its micro-cluster.
    pub(super) fn learn(&mut self, pages: &Pages, row: usize) -> u64 {
        let terms = &pages.terms;
        if row == 0 {
            self.meet(terms);
        }
        let mut page = std::mem::take(&mut self.page);
        page.clear();
        let weighted = |entry: usize| (self.batch[terms.term[entry] as usize], terms.weight[entry].sqrt());
        page.extend(terms.entries(row).map(weighted));
        let id = if page.is_empty() { TERMLESS } else { self.decide(&page) };
        self.page = page;
        self.growth *= self.growth_per_page;
        self.until_cleanup -= 1;
        if self.until_cleanup == 0 {
            self.clean_up();
        }
        id
    }

    /// Numbers the terms of a batch.
    fn meet(&mut self, terms: &Terms) {
        self.batch.clear();
        for &hash in &terms.hash {
            let next = self.lists.len() as u32;
            let number = *self.numbers.entry(hash).or_insert(next);
            if number == next {
                self.lists.push(Vec::new());
            }
            self.batch.push(number);
        }
    }

    fn decide(&mut self, page: &[Weighted]) -> u64 {
        let found = self.look(page, self.len());
        let micro = match found.nearest.filter(|_| found.likeness > self.threshold(&found)) {
            Some(micro) => {
                self.n_joined += 1;
                self.sum_joined += 1.0 - found.likeness;
                micro
            }
            None => self.open(),
        };
        self.add(micro, page, self.growth);
        self.weight[micro] += self.growth;
        self.id[micro]
    }

    /// Likenesses of a page to the first `n` micro-clusters.
    fn look(&mut self, page: &[Weighted], n: usize) -> Found {
        let alive = self.len() as f32;
        let (sums, met) = (self.sums.as_mut_slice(), &mut self.met);
        let mut square = 0.0;
        for &(term, weight) in page {
            let list = self.lists[term as usize].as_slice();
            if list.is_empty() {
                continue;
            }
            let idf = 1.0 + (alive / list.len() as f32).ln();
            square += (weight * idf) * (weight * idf);
            let factor = weight * idf * idf;
            for &(micro, tf) in list {
                let sum = &mut sums[micro as usize];
                if *sum == 0.0 {
                    met.push(micro);
                }
                *sum += factor * tf;
            }
        }
        let inverse = 1.0 / square.sqrt();
        let mut found = Found::default();
        for micro in met.drain(..).map(|micro| micro as usize) {
            let sum = std::mem::take(&mut sums[micro]);
            if micro >= n {
                continue;
            }
            let likeness = f64::from(sum * self.inverse[micro] * inverse);
            found.sum += likeness;
            found.sum_of_squares += likeness * likeness;
            if likeness > found.likeness {
                (found.nearest, found.likeness) = (Some(micro), likeness);
            }
        }
        found
    }

    /// Likeness above which a page joins: from mean and spread of its distances to all but the nearest.
    fn threshold(&self, found: &Found) -> f64 {
        if self.len() == 1 {
            return LONE_LIKENESS;
        }
        let n = self.len() as f64;
        let mean = (n - found.sum - (1.0 - found.likeness)) / (n - 1.0);
        let mean_square = (n - 2.0 * found.sum + found.sum_of_squares) / (n - 1.0);
        let spread = (mean_square - mean * mean).max(0.0).sqrt();
        1.0 - (mean - SIGMA * spread)
    }

    fn open(&mut self) -> usize {
        self.id.push(self.next_id);
        self.next_id += 1;
        self.weight.push(0.0);
        self.square.push(0.0);
        self.inverse.push(0.0);
        self.sums.push(0.0);
        if self.len() as f64 > self.measured_at as f64 * REMEASURE {
            self.measure();
        }
        self.len() - 1
    }

    /// Adds terms to a micro-cluster, each weight times `growth`.
    fn add(&mut self, micro: usize, terms: &[Weighted], growth: f64) {
        let alive = self.len() as f64;
        for &(term, weight) in terms {
            let list = &mut self.lists[term as usize];
            let more = weight * growth as f32;
            let at = list.partition_point(|&(other, _)| (other as usize) < micro);
            if list.get(at).is_none_or(|&(other, _)| other as usize != micro) {
                list.insert(at, (micro as u32, 0.0));
            }
            let old = f64::from(list[at].1);
            list[at].1 += more;
            let new = f64::from(list[at].1);
            let idf = 1.0 + (alive / list.len() as f64).ln();
            self.square[micro] += (new * new - old * old) * idf * idf;
        }
        self.inverse[micro] = (1.0 / self.square[micro].sqrt()) as f32;
    }

    /// All lengths anew.
    fn measure(&mut self) {
        let alive = self.len() as f64;
        self.square.fill(0.0);
        for list in self.lists.iter().filter(|list| !list.is_empty()) {
            let idf = 1.0 + (alive / list.len() as f64).ln();
            for &(micro, tf) in list {
                self.square[micro as usize] += (f64::from(tf) * idf) * (f64::from(tf) * idf);
            }
        }
        for (inverse, square) in self.inverse.iter_mut().zip(&self.square) {
            *inverse = (1.0 / square.sqrt()) as f32;
        }
        self.measured_at = self.len();
    }

    fn clean_up(&mut self) {
        self.fade();
        self.measure();
        self.merge_newborns();
        self.measure();
        self.growth = 1.0;
        self.n_joined = 0;
        self.sum_joined = 0.0;
        self.first_newborn = self.len();
        self.set_half_life();
    }

    fn set_half_life(&mut self) {
        let half_life = (CHANCES * self.len() as f64).max(LEAST_HALF_LIFE);
        self.growth_per_page = (1.0 / half_life).exp2();
        self.until_cleanup = (CLEANUP * half_life).ceil() as u64;
    }

    /// Fades all, and drops terms and micro-clusters that have become too light.
    fn fade(&mut self) {
        let (shrink, least) = (1.0 / self.growth, (-CLEANUP).exp2());
        self.weight.iter_mut().for_each(|weight| *weight *= shrink);
        let mut is_dead = vec![true; self.len()];
        for list in &mut self.lists {
            list.retain_mut(|(micro, tf)| {
                *tf *= shrink as f32;
                let lives = *tf > least as f32 && self.weight[*micro as usize] > least;
                is_dead[*micro as usize] &= !lives;
                lives
            });
        }
        self.close_gaps(&is_dead);
    }

    /// Each micro-cluster that was born since the last clean-up joins an older one, if that is nearer than pages were to theirs.
    fn merge_newborns(&mut self) {
        let radius = self.sum_joined / (self.n_joined + 1) as f64;
        let mut is_gone = vec![false; self.len()];
        for (micro, terms) in (self.first_newborn..).zip(self.newborns()) {
            let found = self.look(&terms, micro);
            let Some(into) = found.nearest.filter(|_| 1.0 - found.likeness < radius) else { continue };
            for &(term, _) in &terms {
                self.lists[term as usize].retain(|&(other, _)| other as usize != micro);
            }
            self.add(into, &terms, 1.0);
            self.weight[into] += self.weight[micro];
            is_gone[micro] = true;
        }
        self.close_gaps(&is_gone);
    }

    /// Terms of the micro-clusters that were born since the last clean-up.
    fn newborns(&self) -> Vec<Vec<Weighted>> {
        let mut terms = vec![Vec::new(); self.len() - self.first_newborn];
        for (term, list) in (0..).zip(&self.lists) {
            for &(micro, tf) in list.iter().rev().take_while(|(micro, _)| *micro as usize >= self.first_newborn) {
                terms[micro as usize - self.first_newborn].push((term, tf));
            }
        }
        terms
    }

    /// Takes the dead, of whom no list knows any more, out of the columns.
    fn close_gaps(&mut self, is_dead: &[bool]) {
        let mut n = 0;
        let number = |is_dead: &bool| {
            n += u32::from(!is_dead);
            n.saturating_sub(1)
        };
        let numbers: Vec<u32> = is_dead.iter().map(number).collect();
        self.lists.iter_mut().flatten().for_each(|(micro, _)| *micro = numbers[*micro as usize]);
        self.first_newborn = is_dead[..self.first_newborn].iter().filter(|is_dead| !**is_dead).count();
        keep_living(&mut self.id, is_dead);
        keep_living(&mut self.weight, is_dead);
        keep_living(&mut self.square, is_dead);
        keep_living(&mut self.inverse, is_dead);
        self.sums.truncate(self.len());
    }
}

fn keep_living<T>(column: &mut Vec<T>, is_dead: &[bool]) {
    let mut is_dead = is_dead.iter();
    column.retain(|_| is_dead.next() == Some(&false));
}
