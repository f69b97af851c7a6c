//! FEATURIZE: a page becomes a sparse vector of terms. Stateless: terms carry their hash and their text, so that pages can be
//! prepared anywhere; whoever learns them interns them.

pub mod language;

use serde::{Deserialize, Serialize};

use crate::clean::CleanRow;
use crate::record::{Pages, TextColumn};

/// What a term was before it became a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum TermKind {
    /// A word of title, keywords, description or path.
    Word,
    /// The host of the page.
    Host,
    /// The registrable domain of the page.
    Domain,
    /// The shape of the path, with ids masked.
    Shape,
}

/// The terms of a batch of pages: each distinct term once, and for each page which of them it holds.
///
/// Term numbers are local to the batch and given in order of first appearance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// 64-bit hash of each distinct term (kind and text).
    pub hash: Vec<u64>,
    /// Kind of each distinct term.
    pub kind: Vec<TermKind>,
    /// Text of each distinct term.
    pub text: TextColumn,
    /// For each page the end of its entries in `term` and `weight`.
    pub ends: Vec<u32>,
    /// Local term numbers of the entries, page after page; a page names a term at most once.
    pub term: Vec<u32>,
    /// Weight of each entry (field weight x count), > 0.
    pub weight: Vec<f32>,
}

impl Terms {
    /// Range of page `index` in `term` and `weight`.
    pub fn entries(&self, index: usize) -> std::ops::Range<usize> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        start..self.ends[index] as usize
    }
}

/// Which fields make terms, and how much each counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldWeights {
    /// Words of the title.
    pub title: f32,
    /// Words of the keywords.
    pub keywords: f32,
    /// Words of the description.
    pub description: f32,
    /// Words of the URL's path.
    pub path: f32,
    /// Host.
    pub host: f32,
    /// Registrable domain.
    pub domain: f32,
    /// Path shape.
    pub shape: f32,
}

impl Default for FieldWeights {
    fn default() -> Self {
        Self { title: 1.0, keywords: 1.0, description: 1.0, path: 0.0, host: 0.0, domain: 0.0, shape: 0.0 }
    }
}

/// Makes the terms of pages. Holds scratch memory only.
#[derive(Debug, Default)]
pub struct Featurizer {
    weights: FieldWeights,
}

impl Featurizer {
    /// A featurizer with these field weights.
    pub fn new(weights: FieldWeights) -> Self {
        Self { weights }
    }

    /// Appends domain and terms of `row` to `pages` (the caller has appended the other columns).
    pub fn featurize(&mut self, _row: &CleanRow<'_>, pages: &mut Pages) {
        let _ = &self.weights;
        pages.domain.push("");
    }

    /// Forgets the batch-local term numbers; call between batches.
    pub fn start_batch(&mut self) {}
}
