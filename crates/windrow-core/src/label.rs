//! LABEL: what a cluster is about, in its own words.
//!
//! Class-based TF-IDF (c-TF-IDF, BERTopic): the weight of term t in cluster c is `tf(t, c) * ln(1 + A / f(t))`, where tf is the
//! term's weight in the cluster's memory, f its weight over all clusters and A the mean weight of a cluster. Words name a
//! cluster; where it has none its domain does. A label changes only when its words have lost their place: people remember names.

use std::cmp::Ordering;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

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

/// The best terms of each living cluster, best first; clusters ascending.
pub(crate) fn describe(model: &dyn Clusterer) -> Vec<(ClusterId, Vec<LabelTerm>)> {
    let mut frequency: FxHashMap<u64, f64> = FxHashMap::default();
    let mut clusters: Vec<(ClusterId, Vec<LabelTerm>)> = Vec::new();
    let mut total = 0.0;
    model.visit_terms(&mut |cluster, kind, term, weight| {
        if clusters.last().is_none_or(|(last, _)| *last != cluster) {
            clusters.push((cluster, Vec::with_capacity(TERMS_KEPT + 1)));
        }
        *frequency.entry(term_hash(kind, term)).or_default() += weight;
        total += weight;
    });
    let mean = total / clusters.len().max(1) as f64;
    let mut at = 0;
    model.visit_terms(&mut |cluster, kind, term, weight| {
        while clusters[at].0 != cluster {
            at += 1;
        }
        let f = frequency.get(&term_hash(kind, term)).copied().unwrap_or(weight);
        let weight = weight * libm::log(1.0 + mean / f.max(1e-9));
        keep_best(&mut clusters[at].1, kind, term, weight);
    });
    clusters
}

fn term_hash(kind: TermKind, term: &str) -> u64 {
    xxh3_64(term.as_bytes()).wrapping_add(kind as u64)
}

/// Keeps `best` sorted, largest weight first, ties by the term.
fn keep_best(best: &mut Vec<LabelTerm>, kind: TermKind, term: &str, weight: f64) {
    if best.len() == TERMS_KEPT && best[TERMS_KEPT - 1].weight >= weight {
        return;
    }
    let at = best.partition_point(|b| match b.weight.total_cmp(&weight) {
        Ordering::Greater => true,
        Ordering::Less => false,
        Ordering::Equal => (b.kind, b.term.as_str()) < (kind, term),
    });
    best.insert(at, LabelTerm { kind, term: term.to_owned(), weight });
    best.truncate(TERMS_KEPT);
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
            keep_best(&mut best, TermKind::Word, &format!("t{i:02}"), f64::from((i * 7) % 40));
        }
        let weights: Vec<_> = best.iter().map(|t| t.weight).collect();
        assert_eq!(weights, (28..40).rev().map(f64::from).collect::<Vec<_>>());
    }
}
