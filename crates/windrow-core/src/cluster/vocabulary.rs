//! The terms that living micro-clusters and cluster memories hold, numbered densely in the order in which they were learnt.
//!
//! Pages bring terms by hash, numbered within their batch. A page's terms are looked up when the page is learnt, in page order, so
//! that numbers do not depend on batch cuts. A cache from batch-local to own numbers saves the hash table for all but the first
//! use in a batch; an entry is trusted only while hash and numbering agree, so the cache can never answer for another batch.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::featurize::{TermKind, Terms};
use crate::record::TextColumn;

/// Number of a term while it lives; changes when the vocabulary is compacted.
pub(super) type TermId = u32;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Vocabulary {
    hash: Vec<u64>,
    kind: Vec<TermKind>,
    text: TextColumn,
    /// Pages that held each term since it came.
    pages: Vec<u32>,
    #[serde(skip)]
    by_hash: FxHashMap<u64, TermId>,
    #[serde(skip)]
    numbering: u32,
    #[serde(skip)]
    cache: Vec<Cached>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cached {
    hash: u64,
    term: TermId,
    /// Numbering in which `term` is valid; 0 is never valid.
    numbering: u32,
}

impl Vocabulary {
    pub(super) fn len(&self) -> usize {
        self.hash.len()
    }

    pub(super) fn kind(&self, term: TermId) -> TermKind {
        self.kind[term as usize]
    }

    pub(super) fn text(&self, term: TermId) -> &str {
        self.text.get(term as usize)
    }

    /// Pages that held the term since it came.
    pub(super) fn pages(&self, term: TermId) -> u32 {
        self.pages[term as usize]
    }

    /// Counts a page that holds the term.
    pub(super) fn count(&mut self, term: TermId) {
        self.pages[term as usize] = self.pages[term as usize].saturating_add(1);
    }

    /// Looks up all terms of a batch at once: misses of the table overlap, which those of one term after the other do not.
    pub(super) fn meet(&mut self, terms: &Terms) {
        self.cache.clear();
        let numbering = self.numbering + 1;
        self.cache.extend(terms.hash.iter().map(|&hash| match self.by_hash.get(&hash) {
            Some(&term) => Cached { hash, term, numbering },
            None => Cached::default(),
        }));
    }

    /// Number of the batch's term `local`, given now if it is new.
    pub(super) fn intern(&mut self, terms: &Terms, local: u32) -> TermId {
        let at = local as usize;
        let hash = terms.hash[at];
        if at >= self.cache.len() {
            self.cache.resize(terms.hash.len().max(at + 1), Cached::default());
        }
        let cached = self.cache[at];
        if cached.hash == hash && cached.numbering == self.numbering + 1 {
            return cached.term;
        }
        let next = u32::try_from(self.hash.len()).expect("the budget keeps terms below 2^32");
        let term = *self.by_hash.entry(hash).or_insert(next);
        if term == next {
            self.hash.push(hash);
            self.kind.push(terms.kind[at]);
            self.text.push(terms.text.get(at));
            self.pages.push(0);
        }
        self.cache[at] = Cached { hash, term, numbering: self.numbering + 1 };
        term
    }

    /// Number of a term that is known already.
    pub(super) fn find(&self, hash: u64) -> Option<TermId> {
        self.by_hash.get(&hash).copied()
    }

    /// Drops all terms that are not kept and numbers the rest anew, in the same order. Gives the new number of each old one.
    pub(super) fn compact(&mut self, keep: &[bool]) -> Vec<TermId> {
        let mut renumbered = vec![TermId::MAX; keep.len()];
        let mut text = TextColumn::default();
        let mut next = 0;
        for old in (0..keep.len()).filter(|&old| keep[old]) {
            renumbered[old] = u32::try_from(next).expect("no more than before");
            self.hash[next] = self.hash[old];
            self.kind[next] = self.kind[old];
            self.pages[next] = self.pages[old];
            text.push(self.text.get(old));
            next += 1;
        }
        self.hash.truncate(next);
        self.kind.truncate(next);
        self.pages.truncate(next);
        self.text = text;
        self.numbering = self.numbering.wrapping_add(1) % (u32::MAX - 1);
        self.cache.clear();
        self.by_hash.retain(|_, term| {
            *term = renumbered[*term as usize];
            *term != TermId::MAX
        });
        renumbered
    }

    /// Makes the hash table anew, after a snapshot was read.
    pub(super) fn rebuild(&mut self) {
        self.by_hash.clear();
        self.by_hash.extend(self.hash.iter().zip(0..).map(|(&hash, term)| (hash, term)));
    }
}
