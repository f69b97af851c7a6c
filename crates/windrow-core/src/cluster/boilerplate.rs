//! Boilerplate: terms that a site puts on most of its pages say what the site is, not what the page is about.
//!
//! For each registrable domain the model counts its pages and, in a Misra-Gries sketch (1982), the terms that most of them hold
//! (counts never too large; every term of more than a 49th of the site's terms is kept). A term is boilerplate to the degree
//! `(share of the site's pages that hold it) x (share of all pages with it that are the site's)`: the second factor spares the
//! words of a story that a small site happens to be full of, because other sites tell it too. From a degree of 1/2 on the term
//! counts for less on the site's pages, down to a twentieth at 1. The page's length stays that of the whole page, so what is damped
//! makes no likeness; but only beside terms that are not damped: a page that holds nothing else is compared as it is, and
//! near-identical pages of one site stay together.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::micro::{Entry, widest};
use super::vocabulary::Vocabulary;
use crate::record::Pages;

/// Terms counted for a site.
const TERMS: usize = 48;
/// Sites known at a time; while there is no room new ones are not damped.
const SITES: usize = 4_096;
/// Pages of a site, with the one at hand, from which on its terms are damped.
const LEAST_PAGES: u32 = 3;
/// What is left of a term that all pages of a site hold.
const LEAST_FACTOR: f32 = 0.05;
/// Pages after which all counts are halved, so that sites may change and go.
const HALVING: u64 = 1 << 17;

/// What most pages of each site hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Boilerplate {
    n_pages: u64,
    sites: FxHashMap<u64, Site>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Site {
    n_pages: u32,
    /// Hashes of terms; beside them their counts.
    terms: Vec<u64>,
    counts: Vec<u32>,
}

/// What a snapshot holds: pages counted, and the sites in the order of their hashes.
type Stored = (u64, Vec<(u64, Site)>);

impl From<Stored> for Boilerplate {
    fn from((n_pages, sites): Stored) -> Self {
        Self { n_pages, sites: sites.into_iter().collect() }
    }
}

impl From<Boilerplate> for Stored {
    fn from(boilerplate: Boilerplate) -> Self {
        let mut sites: Vec<_> = boilerplate.sites.into_iter().collect();
        sites.sort_unstable_by_key(|(domain, _)| *domain);
        (boilerplate.n_pages, sites)
    }
}

impl Boilerplate {
    /// Lessens the weights of a page's terms against the heaviest; `entries` are those that the model knows, which may not be
    /// `complete`, and `hashes` theirs.
    pub(super) fn damp(&self, site: u64, hashes: &[u64], entries: &mut [Entry], complete: bool, vocabulary: &Vocabulary) {
        let Some(site) = self.sites.get(&site).filter(|site| site.n_pages >= LEAST_PAGES) else { return };
        let mut most = if complete { 0.0f32 } else { 1.0 };
        for (entry, &hash) in entries.iter_mut().zip(hashes) {
            let factor = site.factor(hash, vocabulary.pages(entry.term));
            entry.weight = entry.length * factor;
            most = most.max(factor);
        }
        entries.iter_mut().for_each(|entry| entry.weight /= most);
    }

    /// Counts a page of this site, with the hashes of its terms in the order of `entries`, and lessens their weights.
    pub(super) fn learn(&mut self, site: u64, hashes: &[u64], entries: &mut [Entry], vocabulary: &Vocabulary) {
        self.n_pages += 1;
        if self.n_pages.is_multiple_of(HALVING) {
            self.sites.values_mut().for_each(Site::halve);
            self.sites.retain(|_, site| site.n_pages > 0);
        }
        let room = self.sites.len() < SITES;
        let counted = if room { Some(self.sites.entry(site).or_default()) } else { self.sites.get_mut(&site) };
        if let Some(counted) = counted {
            widest(
                #[inline(always)]
                || counted.count(hashes),
            );
            if counted.has_boilerplate() {
                self.damp(site, hashes, entries, true, vocabulary);
            }
        }
    }
}

/// The site of a page; none when it has no host.
pub(super) fn site_of(pages: &Pages, row: usize) -> Option<u64> {
    let domain = pages.domain.get(row);
    (!domain.is_empty()).then(|| xxh3_64(domain.as_bytes()))
}

impl Site {
    /// What is left of the weight of a term that `pages` pages of all sites hold.
    fn factor(&self, term: u64, pages: u32) -> f32 {
        let Some(at) = place_of(&self.terms, term) else { return 1.0 };
        let count = self.counts[at] as f32;
        let held = count / self.n_pages as f32;
        let own = count / (pages as f32).max(count);
        let rest = (2.0 - 2.0 * held * own).min(1.0);
        (rest * rest).max(LEAST_FACTOR)
    }

    /// Whether any term is damped: only those on more than half of the pages can be.
    fn has_boilerplate(&self) -> bool {
        self.n_pages >= LEAST_PAGES && self.counts.iter().any(|&count| count > self.n_pages / 2)
    }

    #[inline(always)]
    fn count(&mut self, terms: &[u64]) {
        self.n_pages += 1;
        for &term in terms {
            if let Some(at) = place_of(&self.terms, term) {
                self.counts[at] += 1;
            } else if self.terms.len() < TERMS {
                self.terms.push(term);
                self.counts.push(1);
            } else {
                self.shrink(|count| count - 1);
            }
        }
    }

    fn halve(&mut self) {
        self.n_pages /= 2;
        self.shrink(|count| count / 2);
    }

    fn shrink(&mut self, less: impl Fn(u32) -> u32) {
        let mut kept = 0;
        for at in 0..self.terms.len() {
            let count = less(self.counts[at]);
            if count > 0 {
                self.terms[kept] = self.terms[at];
                self.counts[kept] = count;
                kept += 1;
            }
        }
        self.terms.truncate(kept);
        self.counts.truncate(kept);
    }
}

/// Where a term is, sixteen looked at at a time.
#[inline(always)]
fn place_of(terms: &[u64], term: u64) -> Option<usize> {
    let holds = |some: &[u64]| some.iter().fold(false, |found, &known| found | (known == term));
    let start = 16 * terms.chunks(16).position(holds)?;
    terms[start..].iter().position(|&known| known == term).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(pages: impl Iterator<Item = Vec<u64>>) -> Site {
        let mut site = Site::default();
        pages.for_each(|terms| site.count(&terms));
        site
    }

    #[test]
    fn what_most_pages_of_a_site_hold_counts_for_less() {
        let site = site((0..100).map(|page| vec![7, 1_000 + page, 2_000 + page % 2]));
        assert_eq!([7, 1_099, 2_000, 3_000].map(|term| site.factor(term, 0)), [LEAST_FACTOR, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn counts_are_never_too_large_and_frequent_terms_are_kept() {
        let site = site((0..1_000).map(|page| (0..15).map(|i| if i == 0 { 7 } else { 100 + page * 15 + i }).collect()));
        let at = site.terms.iter().position(|term| *term == 7).expect("kept");
        assert!((600..=1_000).contains(&site.counts[at]), "{}", site.counts[at]);
        assert!(site.terms.len() <= TERMS);
    }
}
