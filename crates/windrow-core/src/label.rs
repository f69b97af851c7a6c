//! LABEL: what a cluster is about, in its own words.
//!
//! Class-based TF-IDF (c-TF-IDF, BERTopic): the weight of term t in cluster c is `tf(t, c) * ln(1 + A / f(t))`, where tf is the
//! term's weight in the cluster's memory, f its weight over all clusters and A the mean weight of a cluster. Words name a
//! cluster; where it has none its domain does. A label changes only when its words have lost their place: people remember names.

use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterId, Clusterer};
use crate::featurize::TermKind;

/// Terms that a cluster is described by.
const TERMS_KEPT: usize = 12;
/// Words of a label.
const LABEL_WORDS: usize = 4;
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

/// The best terms of each living cluster, best first; clusters ascending.
pub(crate) fn describe(model: &dyn Clusterer) -> Vec<(ClusterId, Vec<LabelTerm>)> {
    let clusters = model.cluster_terms();
    let rarity = Rarity::of(&clusters);
    let named = |terms: &Weights| {
        let best = rarity.best(terms, TERMS_KEPT).into_iter();
        best.map(|(number, weight)| label_term(model, number, weight)).collect()
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

/// The label that `terms` (best first) make, keeping `old` while all its words are still among them.
pub(crate) fn label_of(terms: &[LabelTerm], old: Option<&str>) -> String {
    if let Some(old) = old.filter(|old| !old.is_empty() && *old != NO_WORDS)
        && old.split(", ").all(|word| terms.iter().any(|t| t.term == word))
    {
        return old.to_owned();
    }
    let mut words: Vec<&str> = Vec::with_capacity(LABEL_WORDS);
    for term in terms.iter().filter(|t| t.kind == TermKind::Word) {
        if words.len() < LABEL_WORDS && !words.iter().any(|word| alike(word, &term.term)) {
            words.push(&term.term);
        }
    }
    if !words.is_empty() {
        return words.join(", ");
    }
    [TermKind::Domain, TermKind::Host, TermKind::Shape]
        .iter()
        .find_map(|kind| terms.iter().find(|t| t.kind == *kind))
        .map_or_else(|| NO_WORDS.to_owned(), |t| t.term.clone())
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
        assert_eq!(label_of(&terms, old), expected);
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
    fn the_best_terms_are_kept_in_order() {
        let mut best = Vec::new();
        for i in 0..40 {
            keep_best(&mut best, TERMS_KEPT, i, f64::from((i * 7) % 40));
        }
        let weights: Vec<_> = best.iter().map(|(_, weight)| *weight).collect();
        assert_eq!(weights, (28..40).rev().map(f64::from).collect::<Vec<_>>());
    }
}
