//! LABEL: what a cluster is about, in its own words.
//!
//! Class-based TF-IDF (c-TF-IDF, BERTopic): the weight of term t in cluster c is `tf(t, c) * ln(1 + A / f(t))`, where tf is the
//! term's weight in the cluster's memory, f its weight over all clusters and A the mean weight of a cluster. Words name a
//! cluster; where it has none its domain does. A label changes only when its words have lost their place: people remember names.
//!
//! Scripts that write no spaces have pairs of characters for terms, 智能 能選 選股. A label puts them together again, as far as the
//! titles of the cluster's examples say so: 智能選股.

use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterId, Clusterer};
use crate::featurize::{TermKind, units};

/// Terms that a cluster is described by.
pub(crate) const TERMS_KEPT: usize = 12;
/// Terms that words are put together from, where a script has pairs for terms.
const PAIRS_KEPT: usize = 4 * TERMS_KEPT;
/// Words of a label.
const LABEL_WORDS: usize = 4;
/// Titles of examples that must hold what is put together, as far as there are so many.
const TITLES_ENOUGH: usize = 2;
/// Units of the longest word that is put together.
const WORD_UNITS: usize = 12;
/// Least weight of a pair that belongs to a word, as a share of the word's heaviest.
const AS_OFTEN: f64 = 0.5;
/// What stands for a cluster whose pages have neither words nor hosts.
const NO_WORDS: &str = "(no words)";

/// A term that describes a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelTerm {
    /// What the term is.
    pub kind: TermKind,
    /// The term.
    pub term: String,
    /// Its c-TF-IDF weight.
    pub weight: f64,
}

/// Lightest weight that a term is expected to have, in pages; lighter ones are judged as if they were rarer than they are.
const LEAST_WEIGHT: f64 = 1e-3;

/// Terms of clusters or micro-clusters by number, with their weights in pages.
pub(crate) type Weights = [(u32, f64)];

/// How rare terms are among the clusters: ln(1 + A / f).
#[derive(Debug)]
pub(crate) struct Rarity {
    /// Weight of each term over all clusters.
    frequency: Vec<f64>,
    /// Mean weight of a cluster.
    mean: f64,
}

impl Rarity {
    pub(crate) fn of(clusters: &[(ClusterId, Vec<(u32, f64)>)]) -> Self {
        let n_terms = clusters.iter().filter_map(|(_, terms)| terms.last()).map(|(term, _)| term + 1).max().unwrap_or(0);
        let mut frequency = vec![0.0; n_terms as usize];
        for (term, weight) in clusters.iter().flat_map(|(_, terms)| terms) {
            frequency[*term as usize] += weight;
        }
        let mean = frequency.iter().sum::<f64>() / clusters.len().max(1) as f64;
        Self { frequency, mean }
    }

    /// Of one term.
    pub(crate) fn get(&self, term: u32) -> f64 {
        libm::log(1.0 + self.mean / self.frequency[term as usize].max(LEAST_WEIGHT))
    }

    /// Of every term.
    pub(crate) fn all(&self) -> Vec<f64> {
        (0..self.frequency.len() as u32).map(|term| self.get(term)).collect()
    }

    /// The `most` terms with the largest c-TF-IDF weight, largest first.
    pub(crate) fn best(&self, terms: &Weights, most: usize) -> Vec<(u32, f64)> {
        let most_telling = libm::log(1.0 + self.mean / LEAST_WEIGHT);
        let mut best: Vec<(u32, f64)> = Vec::with_capacity(most + 1);
        for &(term, weight) in terms {
            let least = best.get(most - 1).map_or(0.0, |(_, least)| *least);
            if weight * most_telling > least {
                keep_best(&mut best, most, term, weight * self.get(term));
            }
        }
        best
    }
}

/// The best terms of each living cluster, best first, [`TERMS_KEPT`] and what they may be put together with; clusters ascending.
pub(crate) fn describe(model: &dyn Clusterer) -> Vec<(ClusterId, Vec<LabelTerm>)> {
    let clusters = model.cluster_terms();
    let rarity = Rarity::of(&clusters);
    let best = |terms: &Weights, most| -> Vec<LabelTerm> {
        rarity.best(terms, most).into_iter().map(|(number, weight)| label_term(model, number, weight)).collect()
    };
    let named = |terms: &Weights| {
        let found = best(terms, TERMS_KEPT);
        if found.iter().any(|term| !units(&term.term).is_empty()) { best(terms, PAIRS_KEPT) } else { found }
    };
    clusters.iter().map(|(cluster, terms)| (*cluster, named(terms))).collect()
}

/// A term by its number.
pub(crate) fn label_term(model: &dyn Clusterer, number: u32, weight: f64) -> LabelTerm {
    let (kind, term) = model.term(number);
    LabelTerm { kind, term: term.to_owned(), weight }
}

/// Keeps `best` sorted, largest weight first, of equal ones the earlier.
fn keep_best(best: &mut Vec<(u32, f64)>, most: usize, term: u32, weight: f64) {
    let at = best.partition_point(|(_, kept)| *kept >= weight);
    if at < most {
        best.insert(at, (term, weight));
        best.truncate(most);
    }
}

/// The label that `terms` (best first) make, keeping `old` while all its words are still among them. `titles` are those of examples of
/// the cluster; before it has any, all its terms come from very few pages.
pub(crate) fn label_of(terms: &[LabelTerm], titles: &[&str], old: Option<&str>) -> String {
    if let Some(old) = old.filter(|old| !old.is_empty() && *old != NO_WORDS)
        && old.split(", ").all(|word| is_among(word, terms))
    {
        return old.to_owned();
    }
    let mut words: Vec<String> = Vec::with_capacity(LABEL_WORDS);
    let mut used = vec![false; terms.len()];
    for (at, term) in terms.iter().enumerate().take(TERMS_KEPT).filter(|(_, term)| term.kind == TermKind::Word) {
        if words.len() < LABEL_WORDS && !used[at] {
            used[at] = true;
            let word = joined(term, terms, &mut used, titles);
            if !words.iter().any(|known| alike(known, &word)) {
                words.push(word);
            }
        }
    }
    if !words.is_empty() {
        return words.join(", ");
    }
    [TermKind::Domain, TermKind::Host, TermKind::Shape, TermKind::Template]
        .iter()
        .find_map(|kind| terms.iter().find(|t| t.kind == *kind))
        .map_or_else(|| NO_WORDS.to_owned(), |t| t.term.clone())
}

/// Whether a word of a label is a term still, or the pairs that it was put together of are, and hold together.
fn is_among(word: &str, terms: &[LabelTerm]) -> bool {
    let weight = |word: &str| terms.iter().find(|t| t.term == word).map_or(0.0, |t| t.weight);
    let pairs: Vec<f64> = units(word).windows(2).map(|pair| weight(&pair.concat())).collect();
    let heaviest = pairs.iter().copied().fold(0.0, f64::max);
    weight(word) > 0.0 || heaviest > 0.0 && pairs.iter().all(|weight| *weight >= heaviest * AS_OFTEN)
}

/// The word of `seed` with those pairs that go on where it ends, or end where it begins; they are `used` then. Pairs of one word occur
/// about as often as each other, those across its ends less.
fn joined(seed: &LabelTerm, terms: &[LabelTerm], used: &mut [bool], titles: &[&str]) -> String {
    let mut word = seed.term.clone();
    let enough = titles.len().min(TITLES_ENOUGH);
    let is_said = |longer: &str| titles.iter().filter(|title| title.contains(longer)).take(enough).count() == enough;
    let longer = |word: &str, term: &str| {
        let (whole, pair) = (units(word), units(term));
        let (&[first, .., last], &[one, other]) = (whole.as_slice(), pair.as_slice()) else { return None };
        if whole.len() == WORD_UNITS {
            return None;
        }
        let behind = (last == one).then(|| format!("{word}{other}")).filter(|longer| is_said(longer));
        behind.or_else(|| (first == other).then(|| format!("{one}{word}")).filter(|longer| is_said(longer)))
    };
    let mut next = |word: &str| {
        let heavy = terms.iter().take_while(|term| term.weight >= seed.weight * AS_OFTEN);
        let mut free = heavy.enumerate().filter(|(at, _)| !used[*at]);
        let (at, whole) = free.find_map(|(at, term)| Some((at, longer(word, &term.term)?)))?;
        used[at] = true;
        Some(whole)
    };
    while let Some(whole) = next(&word) {
        word = whole;
    }
    word
}

/// Whether two words differ by a short ending only (game, games): one of them is enough in a label.
fn alike(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let n = short.chars().count();
    n >= 4 && long.chars().count() <= n + 2 && long.starts_with(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(term: &str, weight: f64) -> LabelTerm {
        LabelTerm { kind: TermKind::Word, term: term.into(), weight }
    }

    fn check(terms: &[&str], old: Option<&str>, expected: &str) {
        let terms: Vec<_> = terms.iter().enumerate().map(|(i, t)| term(t, 9.0 - i as f64)).collect();
        assert_eq!(label_of(&terms, &[], old), expected);
    }

    #[test]
    fn labels_are_the_best_words_without_twins() {
        check(&["rust", "game", "games", "wasm", "engine", "ecs"], None, "rust, game, wasm, engine");
        check(&[], None, "(no words)");
        check(&["भागो", "पापा"], None, "भागो, पापा");
    }

    #[test]
    fn a_label_stays_while_its_words_do() {
        check(&["engine", "rust", "game"], Some("rust, game"), "rust, game");
        check(&["engine", "rust", "wasm"], Some("rust, game"), "engine, rust, wasm");
    }

    #[test]
    fn pairs_become_words_again() {
        check(&["能選", "news", "選股", "智能"], None, "智能選股, news");
        check(&["ที่ดี", "มา", "ดีม", "าก"], None, "ที่ดีมาก");
        check(&["選股", "能選", "b", "智能"], Some("智能選股"), "智能選股");
        check(&["選股", "能選", "b", "c", "d", "e", "智能"], Some("智能選股"), "能選股, b, c, d");
        check(&["タワー", "東京"], None, "タワー, 東京");
    }

    #[test]
    fn a_pair_is_in_one_word_of_a_label_only() {
        let terms = [("智能", 9.0), ("能選", 4.4), ("選股", 4.3)].map(|(word, weight)| term(word, weight));
        let titles = ["智能選股", "說智能選股"];
        let label = label_of(&terms, &titles, None);
        assert_eq!(label, "智能, 能選股");
        assert_eq!(label_of(&terms, &titles, Some(&label)), label);
    }

    #[test]
    fn only_what_a_title_says_is_joined() {
        let terms = ["中国", "国际", "际新", "会议"].map(|word| term(word, 1.0));
        assert_eq!(label_of(&terms, &["在中国", "国际新闻", "国际新区"], None), "中国, 国际新, 会议");
        assert_eq!(label_of(&terms, &["中国际新", "在中国"], None), "中国, 国际, 际新, 会议");
        assert_eq!(label_of(&terms, &["中国际新"], None), "中国际新, 会议");
    }

    #[test]
    fn the_best_terms_are_kept_in_order() {
        let mut best = Vec::new();
        for i in 0..40 {
            keep_best(&mut best, TERMS_KEPT, i, f64::from((i * 7) % 40));
        }
        let weights: Vec<_> = best.iter().map(|(_, weight)| *weight).collect();
        assert_eq!(weights, (28..40).rev().map(f64::from).collect::<Vec<_>>());
    }
}
