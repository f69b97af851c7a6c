//! Inverted index from terms to micro-clusters: exact cosines, because micro-clusters that share no term are at distance 1.
//!
//! One posting list a term, micro-clusters ascending. A page adds its terms' lists into one dense row of sums; one pass over that
//! row gives the nearest and the sums that the automatic radius needs. All sums run in a fixed order, so that the answer never
//! depends on the machine's mood.
//!
//! Lengths: idf = L - l with L = 1 + ln M and l = ln df, hence |v|^2 = L^2 S0 - 2 L S1 + S2 with S0, S1, S2 the sums of tf^2,
//! tf^2 l and tf^2 l^2. That follows M at little cost, each time it has grown by a 64th; what df changed meanwhile for terms of micro-clusters that were not touched
//! waits for the next clean-up.

use serde::{Deserialize, Serialize};

use super::TermId;
use super::lanes::{Found, add, fetch, reduce, widest};
use super::lists::{Lists, Posting, Weights, current};

/// A term of a page on its way to a micro-cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Entry {
    pub(in super::super) term: TermId,
    /// What it counts in likenesses and in the micro-cluster.
    pub(in super::super) weight: f32,
    /// What it counts in the page's length.
    pub(in super::super) length: f32,
}

impl Entry {
    /// A term that counts the same everywhere.
    pub(in super::super) fn new(term: TermId, weight: f32) -> Self {
        Self { term, weight, length: weight }
    }
}

/// Sums for a micro-cluster's length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Length {
    s0: f64,
    s1: f64,
    s2: f64,
}

impl Length {
    fn add(&mut self, square: f64, ln_df: f64) {
        self.s0 += square;
        self.s1 += square * ln_df;
        self.s2 += square * ln_df * ln_df;
    }

    fn inverse(&self, l: f64) -> f32 {
        let square = l * l * self.s0 - 2.0 * l * self.s1 + self.s2;
        if square > 0.0 { (1.0 / square.sqrt()) as f32 } else { 0.0 }
    }
}

/// Postings of a list that are fetched ahead, and how many lie in a line of memory.
const FETCHED: usize = 256;
const IN_A_LINE: usize = 8;

/// How much longer than measured a vector may have become by merges since.
const STALE: f64 = 1.1;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Index {
    pub(super) lists: Lists,
    pub(super) length: Vec<Length>,
    /// 1 / length of each micro-cluster's vector, for about the present number of micro-clusters.
    inverse: Vec<f32>,
    /// Number of micro-clusters for which all of `inverse` was made last.
    measured_at: u32,
    /// ln n at place n; ln 1 at place 0.
    #[serde(skip)]
    ln: Vec<f32>,
}

/// Memory that a look needs and nobody keeps.
#[derive(Debug, Default)]
pub(in super::super) struct Scratch {
    sums: Vec<f32>,
    /// Terms that a look adds up, with what they count.
    factors: Vec<(TermId, f32)>,
}

impl Scratch {
    /// The micro-cluster with the largest likeness of the last look among those that `admit` lets in, the first of equals, and its
    /// likeness as a share of the nearest one's.
    pub(in super::super) fn best_where(&self, admit: impl Fn(usize) -> bool) -> Option<(usize, f64)> {
        let mut best = None;
        let (mut most, mut most_of_all) = (0.0, 0.0f32);
        for (micro, &likeness) in self.sums.iter().enumerate() {
            most_of_all = most_of_all.max(likeness);
            if likeness > most && admit(micro) {
                (best, most) = (Some(micro), likeness);
            }
        }
        best.map(|micro| (micro, f64::from(most) / f64::from(most_of_all)))
    }
}

impl Index {
    /// The postings of a term; none for terms that no micro-cluster holds.
    pub(in super::super) fn list(&self, term: TermId) -> impl ExactSizeIterator<Item = Posting> + '_ {
        self.lists.get(term)
    }

    /// All terms with their postings, terms ascending.
    #[inline(always)]
    pub(in super::super) fn all(&self) -> impl Iterator<Item = (TermId, impl ExactSizeIterator<Item = Posting> + Clone)> {
        self.lists.all().map(|(term, list, row)| (term, current(list, row)))
    }

    /// 1 + ln(M / df) of a term; none when no micro-cluster holds it.
    pub(in super::super) fn idf(&self, term: TermId) -> Option<f32> {
        let df = self.lists.df(term);
        (df > 0).then(|| 1.0 + self.ln(self.length.len()) - self.ln(df))
    }

    /// Terms of some micro-clusters with their stored weights, terms ascending; nothing for nobody.
    pub(in super::super) fn terms_of(&self, micros: &[Option<usize>]) -> Vec<Vec<(TermId, f32)>> {
        let mut place = vec![usize::MAX; self.length.len()];
        for (at, micro) in micros.iter().enumerate() {
            micro.iter().for_each(|&micro| place[micro] = at);
        }
        let mut terms = vec![Vec::new(); micros.len()];
        for (term, list) in self.all() {
            for posting in list {
                if let Some(terms) = terms.get_mut(place[posting.micro as usize]) {
                    terms.push((term, posting.tf));
                }
            }
        }
        terms
    }

    /// The parts of the likeness of a page to a micro-cluster: (place in `entries`, share).
    pub(in super::super) fn parts(&self, entries: &[Entry], micro: usize) -> Vec<(usize, f64)> {
        let inverse = self.inverse_query(entries) * self.inverse[micro];
        let mut parts = Vec::new();
        for (place, &Entry { term, weight, .. }) in entries.iter().enumerate() {
            if let Some(posting) = self.lists.find(term, micro as u32) {
                let idf = self.idf(term).expect("its list is not empty");
                parts.push((place, f64::from(weight * idf * idf * posting.tf * inverse)));
            }
        }
        parts
    }

    /// Likenesses of `entries` to the first `n` micro-clusters, left in `scratch`, with nearest and sums.
    pub(super) fn sweep(&self, entries: &[Entry], n: usize, scratch: &mut Scratch) -> Found {
        scratch.sums.clear();
        scratch.sums.resize(self.length.len(), 0.0);
        scratch.factors.clear();
        let sums: &mut [f32] = &mut scratch.sums;
        let l = 1.0 + self.ln(self.length.len());
        let mut square = 0.0f32;
        // Two rounds: the misses of fetching all lists overlap, then the lists are read one after the other.
        for &Entry { term, weight, length } in entries {
            let (df, weights) = self.lists.weights(term);
            if df == 0 {
                continue;
            }
            if let Weights::List(list) = weights {
                (0..list.len().min(FETCHED)).step_by(IN_A_LINE).for_each(|at| fetch(list, at));
            }
            let idf = l - self.ln(df);
            square += (length * idf) * (length * idf);
            scratch.factors.push((term, weight * idf * idf));
        }
        let inverse_query = if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 };
        widest(
            #[inline(always)]
            || {
                for &(term, factor) in &scratch.factors {
                    add(sums, self.lists.weights(term).1, factor);
                }
                reduce(&mut sums[..n], &self.inverse[..n], inverse_query)
            },
        )
    }

    /// Whether none of the first `n` micro-clusters can be as like as that: the rarer terms say it, whose lists are short, with what the
    /// others could add at most. Most micro-clusters are alone, and hold hundreds of terms.
    pub(super) fn is_alone(&self, entries: &[Entry], n: usize, least: f64, scratch: &mut Scratch) -> bool {
        let part = |&Entry { term, weight, length }: &Entry| {
            let idf = self.idf(term)?;
            Some((self.lists.df(term), term, weight * idf * idf, (length * idf) * (length * idf)))
        };
        let parts: Vec<_> = entries.iter().filter_map(part).collect();
        let square: f32 = parts.iter().map(|part| part.3).sum();
        let sums = &mut scratch.sums;
        sums.clear();
        sums.resize(self.length.len(), 0.0);
        widest(
            #[inline(always)]
            || {
                let mut rest = square;
                let most = |rest: f32| f64::from((rest.max(0.0) / square).sqrt()) * STALE;
                let mut rarity = 0..8;
                while most(rest) >= least / 2.0 && rarity.start <= self.length.len() {
                    for &(_, term, factor, part) in parts.iter().filter(|part| rarity.contains(&part.0)) {
                        rest -= part;
                        add(sums, self.lists.weights(term).1, factor);
                    }
                    rarity = rarity.end..rarity.end * 4;
                }
                let found = reduce(&mut sums[..n], &self.inverse[..n], 1.0 / square.sqrt());
                found.likeness + most(rest) < least
            },
        )
    }

    fn inverse_query(&self, entries: &[Entry]) -> f32 {
        let square: f32 = entries.iter().filter_map(|e| self.idf(e.term).map(|idf| (e.length * idf) * (e.length * idf))).sum();
        if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 }
    }

    /// A place for one more micro-cluster.
    pub(super) fn open(&mut self) {
        self.length.push(Length::default());
        self.inverse.push(0.0);
        self.grow_ln();
        self.lists.make_room(self.length.len());
        if self.length.len() > self.measured_at as usize * 65 / 64 {
            self.invert();
        }
    }

    /// All inverse lengths for the present number of micro-clusters.
    fn invert(&mut self) {
        self.measured_at = self.length.len() as u32;
        let l = 1.0 + f64::from(self.ln(self.length.len()));
        self.inverse.clear();
        self.inverse.extend(self.length.iter().map(|length| length.inverse(l)));
    }

    /// Adds terms to a micro-cluster, each weight times `growth`.
    pub(super) fn add(&mut self, micro: usize, entries: &[Entry], growth: f32) {
        for &Entry { term, weight, .. } in entries {
            let (old, new) = self.lists.add(term, micro as u32, weight * growth);
            let square = f64::from(new) * f64::from(new) - f64::from(old) * f64::from(old);
            let ln_df = f64::from(self.ln[self.lists.df(term)]);
            self.length[micro].add(square, ln_df);
        }
        let l = 1.0 + f64::from(self.ln(self.length.len()));
        self.inverse[micro] = self.length[micro].inverse(l);
    }

    /// All lengths anew, after lists were changed; `n` micro-clusters are left.
    pub(super) fn measure(&mut self, n: usize) {
        self.length.clear();
        self.length.resize(n, Length::default());
        self.grow_ln();
        for (_, list, row) in self.lists.all() {
            let ln_df = f64::from(self.ln[list.len()]);
            for posting in current(list, row) {
                let tf = f64::from(posting.tf);
                self.length[posting.micro as usize].add(tf * tf, ln_df);
            }
        }
        self.lists.lay_out(n);
        self.invert();
    }

    /// Multiplies all weights of each micro-cluster by its factor.
    pub(super) fn scale(&mut self, factors: &[f32]) {
        self.lists.rewrite(|_, posting| Some(Posting { tf: posting.tf * factors[posting.micro as usize], ..posting }));
        self.measure(factors.len());
    }

    /// Restores what a snapshot leaves out.
    pub(in super::super) fn rebuild(&mut self) {
        self.grow_ln();
        self.lists.lay_out(self.length.len());
    }

    fn ln(&self, n: usize) -> f32 {
        self.ln.get(n).copied().unwrap_or(0.0)
    }

    fn grow_ln(&mut self) {
        while self.ln.len() <= self.length.len() + 1 {
            self.ln.push(libm::log(self.ln.len().max(1) as f64) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_who_is_near_counts_as_alone() {
        let (mut index, mut random) = (Index::default(), 11u32);
        let mut below = |n: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % n
        };
        let pages: Vec<Vec<Entry>> = (0..400)
            .map(|page| {
                let theme = 1_000 * (page % 90);
                let mut terms: Vec<TermId> = (0..30).map(|_| below(30) * below(30)).collect();
                terms.extend((0..below(25)).map(|_| theme + 2_000 + below(30)));
                terms.sort_unstable();
                terms.dedup();
                terms.into_iter().map(|term| Entry::new(term, 1.0 + below(40) as f32 / 10.0)).collect()
            })
            .collect();
        for (micro, page) in pages.iter().enumerate() {
            index.open();
            index.add(micro, page, 1.0);
        }
        index.measure(pages.len());
        let (mut scratch, mut alone, mut near) = (Scratch::default(), 0, 0);
        for (micro, page) in pages.iter().enumerate().skip(200) {
            for least in [0.1, 0.3, 0.5, 0.8] {
                let likeness = index.sweep(page, micro, &mut scratch).likeness;
                let is_alone = index.is_alone(page, micro, least, &mut scratch);
                assert!(!is_alone || likeness < least, "{micro} is as like as {likeness}, and alone at {least}");
                alone += u32::from(is_alone);
                near += u32::from(likeness >= least);
            }
        }
        assert!(alone > 100 && near > 100, "{alone} alone, {near} near");
    }
}
