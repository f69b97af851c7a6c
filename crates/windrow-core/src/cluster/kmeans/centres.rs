//! The centres, and an index from terms to centres: a page is compared only with centres that share a term with it.
//!
//! Centres stand still within a block, so the index is one flat array, made anew after each block; centres that open within the block
//! stand in a short sorted list beside it.

use serde::{Deserialize, Serialize};

use super::TermId;
use super::rule::Mean;
use crate::cluster::{KMeansRule, MicroId, Slot};

/// A page as the model compares it: |x| = 1, but for terms that its site damps; 0 without terms.
#[derive(Debug, Default)]
pub(super) struct Vector {
    /// Components in the order of the page's terms.
    pub(super) entries: Vec<(TermId, f64)>,
    /// |x|².
    pub(super) square: f64,
    /// Σ x.
    sum: f64,
}

impl Vector {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        (self.square, self.sum) = (0.0, 0.0);
    }

    /// Brings the components that were pushed to their size.
    pub(super) fn scale(&mut self, factor: f64) {
        for (_, value) in &mut self.entries {
            *value *= factor;
            self.square += *value * *value;
            self.sum += *value;
        }
    }
}

/// A centre: the cluster's own, or one that no page has come to yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Centre {
    /// Its cluster's slot; none until a page comes to it.
    pub(super) slot: Option<Slot>,
    pub(super) micro: MicroId,
    /// Pages that it was ever given.
    pub(super) n_pages: u64,
    /// Pages of this block that will move it.
    pub(super) pending: u32,
    pub(super) mean: Mean,
}

impl Centre {
    /// A centre that no page has come to yet.
    pub(super) fn unborn(mean: Mean) -> Self {
        Self { slot: None, micro: 0, n_pages: 0, pending: 0, mean }
    }

    /// Faded pages, with those of this block.
    pub(super) fn weight(&self) -> f64 {
        self.mean.weight + f64::from(self.pending)
    }
}

/// A centre in the index: |c|², and what a component counts for in a likeness.
#[derive(Debug, Clone, Copy)]
struct Length {
    square: f64,
    inverse: f64,
}

/// All centres, the eldest first, with their index.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Centres {
    pub(super) all: Vec<Centre>,
    #[serde(skip)]
    lengths: Vec<Length>,
    /// Where each term's postings begin in `postings`; terms that came since have none.
    #[serde(skip)]
    starts: Vec<u32>,
    #[serde(skip)]
    postings: Vec<(u32, f64)>,
    /// (term, centre, component) of centres that opened since the index was made, ascending.
    #[serde(skip)]
    young: Vec<(TermId, u32, f64)>,
}

impl Centres {
    /// Makes the index anew, for terms below `n_terms`.
    pub(super) fn rebuild(&mut self, n_terms: usize) {
        self.lengths.clear();
        self.lengths.extend(self.all.iter().map(|centre| length(&centre.mean)));
        self.starts.clear();
        self.starts.resize(n_terms + 2, 0);
        let terms = || self.all.iter().flat_map(|centre| &centre.mean.terms);
        terms().for_each(|&(term, _)| self.starts[term as usize + 2] += 1);
        for term in 2..self.starts.len() {
            self.starts[term] += self.starts[term - 1];
        }
        self.postings.clear();
        self.postings.resize(terms().count(), (0, 0.0));
        for (place, centre) in (0..).zip(&self.all) {
            for &(term, value) in &centre.mean.terms {
                let next = &mut self.starts[term as usize + 1];
                self.postings[*next as usize] = (place, value);
                *next += 1;
            }
        }
        self.young.clear();
    }

    /// Adds a centre within a block. Gives its place.
    pub(super) fn open(&mut self, centre: Centre) -> usize {
        let place = self.all.len() as u32;
        self.lengths.push(length(&centre.mean));
        for &(term, value) in &centre.mean.terms {
            let at = self.young.partition_point(|&(other, of, _)| (other, of) < (term, place));
            self.young.insert(at, (term, place, value));
        }
        self.all.push(centre);
        place as usize
    }

    /// How like the page is to each centre, in [0, 1]: by cosine, or 1 - d²/2 for the distance d.
    pub(super) fn likenesses(&self, page: &Vector, rule: KMeansRule, likenesses: &mut Vec<f64>) {
        likenesses.clear();
        likenesses.resize(self.all.len(), 0.0);
        for &(term, value) in &page.entries {
            let at = term as usize;
            if at + 1 < self.starts.len() {
                let list = &self.postings[self.starts[at] as usize..self.starts[at + 1] as usize];
                list.iter().for_each(|&(place, centre)| likenesses[place as usize] += value * centre);
            }
            let young = self.young.partition_point(|&(other, ..)| other < term);
            let list = self.young[young..].iter().take_while(|&&(other, ..)| other == term);
            list.for_each(|&(_, place, centre)| likenesses[place as usize] += value * centre);
        }
        let centres = self.all.iter().zip(&self.lengths);
        for (likeness, (centre, length)) in likenesses.iter_mut().zip(centres) {
            *likeness = match rule {
                KMeansRule::Spherical => *likeness * length.inverse,
                KMeansRule::Spark => {
                    let product = *likeness + centre.mean.shift * page.sum;
                    1.0 - page.square / 2.0 + (product - length.square / 2.0)
                }
            };
        }
    }

    /// Shares of the page's terms (by their place in it) in its likeness to a centre; they sum to it. Only terms that both hold, and by
    /// Euclid those of the page, among which what the lengths say is spread by their squares.
    pub(super) fn shares(&self, page: &Vector, place: usize, rule: KMeansRule) -> Vec<f64> {
        let (mean, length) = (&self.all[place].mean, self.lengths[place]);
        let held = |term: TermId| mean.terms.binary_search_by_key(&term, |&(term, _)| term).map_or(0.0, |at| mean.terms[at].1);
        let share = |&(term, value): &(TermId, f64)| match rule {
            KMeansRule::Spherical => value * held(term) * length.inverse,
            KMeansRule::Spark => {
                let rest = 1.0 - page.square / 2.0 - length.square / 2.0;
                value * (held(term) + mean.shift) + rest * value * value / page.square
            }
        };
        page.entries.iter().map(share).collect()
    }

    /// Place of the living centre with this id.
    pub(super) fn find(&self, micro: MicroId) -> Option<usize> {
        self.all.iter().position(|centre| centre.slot.is_some() && centre.micro == micro)
    }

    /// Living centres with their places and slots, the eldest first.
    pub(super) fn living(&self) -> impl Iterator<Item = (usize, Slot, &Centre)> {
        self.all.iter().enumerate().filter_map(|(place, centre)| Some((place, centre.slot?, centre)))
    }

    /// The lightest living centre, the eldest of equals.
    pub(super) fn lightest(&self) -> Option<usize> {
        let lighter = |a: &(usize, Slot, &Centre), b: &(usize, Slot, &Centre)| a.2.weight().total_cmp(&b.2.weight());
        self.living().min_by(lighter).map(|(place, ..)| place)
    }
}

fn length(mean: &Mean) -> Length {
    let (square, sum) = mean.terms.iter().fold((0.0, 0.0), |(square, sum), &(_, value)| (square + value * value, sum + value));
    let square: f64 = square + 2.0 * mean.shift * sum;
    Length { square, inverse: if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 } }
}
