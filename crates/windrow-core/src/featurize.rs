//! FEATURIZE: a page becomes a sparse vector of terms. Stateless: terms carry their hash and their text, so that pages can be
//! prepared anywhere; whoever learns them interns them.
//!
//! ```text
//! title ─┐
//! keywords ─ tokens ─ words ──┐
//! description ┘               ├─ numbers ─ Terms: per page (number, field weight x count)
//! url ─ host ─ domain ────────┤
//!   └─ redirect ─ path ─ words, shape
//! ```
//!
//! Beside its terms a page gets marks: where it lies on its site, and by what copies of it are known (`marks.rs`).
//!
//! A weight of 0 switches a field off, and its work with it. Every page costs bounded work, whatever it holds: 32 KiB and 512 words of
//! a field, 8 KiB of a query, 2 KiB of a path, words up to 96 bytes. Terms hold letters, digits and their marks only (hosts, shapes
//! and templates a little punctuation), so they can be shown anywhere. This stage runs for every row beside the learner: no memory is taken per word.

pub mod language;

mod fields;
pub(crate) mod marks;
mod numbers;
mod stopwords;
mod tokens;
mod url;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use crate::featurize::fields::{FieldError, FieldWeights};
pub use crate::featurize::marks::Marks;
pub use crate::featurize::url::main_domain;

pub(crate) use crate::featurize::tokens::{is_han, runs, units};
pub(crate) use crate::featurize::url::{Shown, Urls};

use crate::clean::CleanRow;
use crate::featurize::marks::{WordSum, site_name};
use crate::featurize::numbers::{NEW, Numbers, STOPPED};
use crate::featurize::stopwords::stop_words;
use crate::featurize::tokens::Tokenizer;
use crate::featurize::url::{Address, PathTerms, UrlParser};
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
    /// The template of the address: its host, and its path with slots as they were learnt of the site.
    Template,
}

/// The terms of a batch of pages: each distinct term once, and for each page which of them it holds.
///
/// Term numbers are local to the batch and given in order of first appearance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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

/// Makes the terms of pages. Holds scratch memory and the numbers of the batch's terms only.
#[derive(Debug)]
pub struct Featurizer {
    weights: FieldWeights,
    /// Hashes of the words that are no terms.
    stop_words: Vec<u64>,
    tokenizer: Tokenizer,
    url: UrlParser,
    landing: UrlParser,
    path: PathTerms,
    numbers: Numbers,
}

impl Featurizer {
    /// A featurizer with these field weights.
    pub fn new(weights: FieldWeights) -> Self {
        let stop_words = stop_words().map(|word| term_hash(TermKind::Word, word)).collect();
        let mut featurizer = Self {
            weights,
            stop_words,
            tokenizer: Tokenizer::default(),
            url: UrlParser::default(),
            landing: UrlParser::default(),
            path: PathTerms::default(),
            numbers: Numbers::default(),
        };
        featurizer.start_batch();
        featurizer
    }

    /// Appends domain and terms of `row` to `pages` (the caller has appended the other columns).
    ///
    /// The domain is that of the address as read; the terms of a redirect are those of the address it leads to. A log-in or consent
    /// wall describes itself, not the page behind it: of such a row the title counts, and the path of the page behind it.
    pub fn featurize(&mut self, row: &CleanRow<'_>, pages: &mut Pages) {
        let Self { weights, stop_words, tokenizer, url, landing, path, numbers } = self;
        let Pages { terms, marks, domain, .. } = pages;
        let mut page = Page { first_entry: terms.term.len(), terms, numbers };
        let address = url.parse(row.url);
        let wall = address.as_ref().is_some_and(url::is_wall);
        let inner = address.as_ref().and_then(url::landing);
        let inner = inner.as_deref().and_then(|inner| landing.parse(inner));
        let behind_wall = wall && inner.is_some();
        let target = inner.as_ref().or(address.as_ref());
        let about = if behind_wall { 1 } else { 3 };
        let fields = [(row.title, weights.title), (row.keywords, weights.keywords), (row.description, weights.description)];
        let mut said = WordSum::default();
        for (number, (text, weight)) in fields.into_iter().take(about).enumerate() {
            let (counts, is_term) = (number != KEYWORDS, weight > 0.0);
            if counts || is_term {
                tokenizer.words(text, |word| {
                    let hash = if is_term { page.add(TermKind::Word, word, weight) } else { word_hash(word, stop_words) };
                    if let Some(hash) = hash.filter(|_| counts) {
                        said.add(hash);
                    }
                });
            }
        }
        if let Some(target) = target {
            path.read(target, weights.shape > 0.0);
            if let Some(name) = site_name(row.title, target.host) {
                let mut named = WordSum::default();
                tokenizer.words(name, |word| word_hash(word, stop_words).into_iter().for_each(|hash| named.add(hash)));
                said.leave_out(&named);
            }
            if behind_wall {
                let weights = FieldWeights { path: weights.path.max(weights.title), ..weights.clone() };
                page.add_url(target, &weights, tokenizer, path);
            } else {
                page.add_url(target, weights, tokenizer, path);
            }
        }
        let end = page.terms.term.len();
        page.terms.ends.push(u32::try_from(end).expect("a batch holds less than 4 G terms"));
        let copy = said.known().unwrap_or_else(|| copy_without_words(row, target));
        marks.push(target.map_or(0, url::site), target.map_or(&[], |_| &path.segments), copy);
        marks.weight = weights.template;
        domain.push(address.map_or("", |address| address.domain()));
    }

    /// Forgets the batch-local term numbers; call between batches, with new [`Pages`].
    pub fn start_batch(&mut self) {
        self.numbers.clear();
        for &hash in &self.stop_words {
            self.numbers.slot(hash).number = STOPPED;
        }
    }
}

impl Default for Featurizer {
    fn default() -> Self {
        Self::new(FieldWeights::default())
    }
}

/// Of the fields with words, the one that says nothing of whether two pages are the same.
const KEYWORDS: usize = 1;

/// The hash of a word, unless it is a stop word.
fn word_hash(word: &str, stop_words: &[u64]) -> Option<u64> {
    Some(term_hash(TermKind::Word, word)).filter(|hash| !stop_words.contains(hash))
}

/// What copies have in common of a page without words: its texts, or its address but for the query, or its keywords.
fn copy_without_words(row: &CleanRow<'_>, target: Option<&Address<'_>>) -> u64 {
    let text = if row.title.trim().is_empty() { row.description } else { row.title };
    let address = target.map(|target| (target.host, target.path));
    let hash = match address {
        _ if !text.trim().is_empty() => xxh3_64_with_seed(text.trim().as_bytes(), 1),
        Some((host, path)) => xxh3_64_with_seed(path.as_bytes(), xxh3_64_with_seed(host.as_bytes(), 2)),
        None => xxh3_64_with_seed(row.keywords.as_bytes(), 3),
    };
    hash.max(1)
}

fn term_hash(kind: TermKind, text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), kind as u64)
}

/// The page whose terms are being added.
struct Page<'a> {
    first_entry: usize,
    terms: &'a mut Terms,
    numbers: &'a mut Numbers,
}

impl Page<'_> {
    /// Adds `weight` to the page's entry of a term, and gives its hash; none for a word that is no term.
    #[inline]
    fn add(&mut self, kind: TermKind, text: &str, weight: f32) -> Option<u64> {
        let Self { first_entry, terms, numbers } = self;
        let hash = term_hash(kind, text);
        let slot = numbers.slot(hash);
        match slot.number {
            STOPPED => return None,
            NEW => {
                slot.number = terms.hash.len() as u32;
                terms.hash.push(hash);
                terms.kind.push(kind);
                terms.text.push(text);
            }
            _ if slot.entry as usize >= *first_entry => {
                terms.weight[slot.entry as usize] += weight;
                return Some(hash);
            }
            _ => {}
        }
        slot.entry = terms.term.len() as u32;
        terms.term.push(slot.number);
        terms.weight.push(weight);
        Some(hash)
    }

    /// Adds the terms of an address whose path was read.
    fn add_url(&mut self, address: &Address<'_>, weights: &FieldWeights, tokenizer: &mut Tokenizer, path: &PathTerms) {
        if weights.path > 0.0 {
            tokenizer.words(&path.text, |word| _ = self.add(TermKind::Word, word, weights.path));
        }
        if weights.host > 0.0 {
            self.add(TermKind::Host, address.host, weights.host);
        }
        if weights.domain > 0.0 {
            self.add(TermKind::Domain, address.domain(), weights.domain);
        }
        if weights.shape > 0.0 {
            self.add(TermKind::Shape, &path.shape, weights.shape);
        }
    }
}

#[cfg(test)]
mod tests;
