//! LABEL: what a cluster is about, in its own words.
//!
//! Class-based TF-IDF (c-TF-IDF, BERTopic): the weight of term t in cluster c is `tf(t, c) * ln(1 + A / f(t))`, where tf is the
//! term's weight in the cluster's memory, f its weight over all clusters and A the mean weight of a cluster. Words name a
//! cluster; where it has none its domain does. A label changes only when its words have lost their place: people remember names.
//!
//! Scripts that write no spaces have pairs of characters for terms, 智能 能選 選股. Labels, and whoever shows terms, put them together
//! again to words that titles of the cluster say: 智能選股. What no title says is no word of a label, unless there is nothing else.

mod said;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterId, Clusterer};
use crate::featurize::{TermKind, units};
pub(crate) use said::Said;

/// Terms that a cluster is described by.
pub(crate) const TERMS_KEPT: usize = 12;
/// Terms that may keep a word in a label, where a script has pairs for terms.
const PAIRS_KEPT: usize = 4 * TERMS_KEPT;
/// Words of a label.
const LABEL_WORDS: usize = 4;
/// Units that a word must have beyond another one that is within it, to stand in its place.
const MUCH_LONGER: usize = 2;
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

/// The terms that a cluster is described by.
pub(crate) struct Terms<'a> {
    /// Best first: [`TERMS_KEPT`], or [`PAIRS_KEPT`] if pairs are among them.
    pub(crate) best: Vec<LabelTerm>,
    /// Pairs with their weight in pages, where such are among the best.
    pairs: FxHashMap<&'a str, f64>,
}

impl<'a> Terms<'a> {
    /// Those of `best`, by their numbers, of a cluster with all of these.
    pub(crate) fn new(model: &'a dyn Clusterer, best: Vec<(u32, f64)>, all: &Weights) -> Self {
        let best: Vec<_> = best.into_iter().map(|(number, weight)| label_term(model, number, weight)).collect();
        let pairs = if best.iter().any(|term| is_pair(&term.term)) { pairs(model, all) } else { FxHashMap::default() };
        Self { best, pairs }
    }

    /// Whether pairs are among the best, so that titles are asked.
    pub(crate) fn has_pairs(&self) -> bool {
        !self.pairs.is_empty()
    }

    /// Whether a word of a label is a term still, or can be put together of terms and is said.
    fn hold(&self, word: &str, said: &Said<'_>) -> bool {
        let is_term = |word: &str| self.best.iter().any(|term| term.term == word);
        let units = units(word);
        if units.is_empty() {
            return is_term(word);
        }
        let weight = |pair: &str| weight_in(&self.pairs, pair);
        if !said.is_word(word) || units.len() == 2 && said.joined(word, weight).is_some_and(|longer| longer != word) {
            return false;
        }
        let pairs: Vec<String> = said::pairs_of(&units).collect();
        let seed = pairs.iter().filter(|pair| is_term(pair)).map(|pair| weight(pair)).reduce(f64::min);
        seed.is_some_and(|seed| pairs.iter().all(|pair| weight(pair) >= seed * said::AS_OFTEN))
    }
}

/// Whether a term is of a script that writes no spaces, of more units than one.
pub(crate) fn is_pair(term: &str) -> bool {
    units(term).len() > 1
}

/// The pairs among terms, with their weights.
pub(crate) fn pairs<'a>(model: &'a dyn Clusterer, terms: &Weights) -> FxHashMap<&'a str, f64> {
    terms.iter().map(|&(number, weight)| (model.term(number).1, weight)).filter(|(term, _)| is_pair(term)).collect()
}

fn weight_in(pairs: &FxHashMap<&str, f64>, pair: &str) -> f64 {
    pairs.get(pair).copied().unwrap_or(0.0)
}

/// The terms of each living cluster; clusters ascending.
pub(crate) fn describe(model: &dyn Clusterer) -> Vec<(ClusterId, Terms<'_>)> {
    let clusters = model.cluster_terms();
    let rarity = Rarity::of(&clusters);
    let described = |terms: &Weights| {
        let few = Terms::new(model, rarity.best(terms, TERMS_KEPT), terms);
        if few.has_pairs() { Terms { best: best_terms(model, &rarity, terms), ..few } } else { few }
    };
    clusters.iter().map(|(cluster, terms)| (*cluster, described(terms))).collect()
}

fn best_terms(model: &dyn Clusterer, rarity: &Rarity, terms: &Weights) -> Vec<LabelTerm> {
    rarity.best(terms, PAIRS_KEPT).into_iter().map(|(number, weight)| label_term(model, number, weight)).collect()
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

/// The label that terms make, keeping `old` while all its words hold.
pub(crate) fn label_of(terms: &Terms<'_>, said: &Said<'_>, old: Option<&str>) -> String {
    let shown = |wanted: &dyn Fn(&str) -> bool| {
        let best = terms.best.iter().take(TERMS_KEPT).filter(|term| term.kind == TermKind::Word).cloned();
        words_of(told(best.collect(), &terms.pairs, said).into_iter().map(|term| term.term).filter(|word| wanted(word)))
    };
    let mut words = shown(&|word| units(word).is_empty() || said.is_word(word));
    let nothing_said = words.is_empty();
    if nothing_said {
        words = shown(&|_| true);
    }
    let holds = |word: &str| terms.hold(word, said) || nothing_said && terms.best.iter().any(|term| term.term == word);
    if let Some(old) = old.filter(|old| !old.is_empty() && *old != NO_WORDS)
        && old.split(", ").all(holds)
    {
        return old.to_owned();
    }
    if !words.is_empty() {
        return words.join(", ");
    }
    [TermKind::Domain, TermKind::Host, TermKind::Shape, TermKind::Template]
        .iter()
        .find_map(|kind| terms.best.iter().find(|t| t.kind == *kind))
        .map_or_else(|| NO_WORDS.to_owned(), |t| t.term.clone())
}

/// The first words, one of each that are alike.
fn words_of(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut words: Vec<String> = Vec::with_capacity(LABEL_WORDS);
    for word in all {
        if words.len() < LABEL_WORDS && !words.iter().any(|known| alike(known, &word)) {
            words.push(word);
        }
    }
    words
}

/// Terms (best first) as they are shown: pairs as the words that titles say, each word once; `pairs` are those of all terms, with their weights.
pub(crate) fn told(terms: Vec<LabelTerm>, pairs: &FxHashMap<&str, f64>, said: &Said<'_>) -> Vec<LabelTerm> {
    let mut told: Vec<LabelTerm> = Vec::with_capacity(terms.len());
    for mut term in terms {
        if is_pair(&term.term) {
            let mut known = told.iter_mut().filter(|known| is_pair(&known.term));
            let word = said.joined(&term.term, |pair| weight_in(pairs, pair)).unwrap_or_else(|| term.term.clone());
            if let Some(known) = known.find(|known| one_says_both(&known.term, &word)) {
                let is_much_longer = units(&word).len() >= units(&known.term).len() + MUCH_LONGER;
                let is_better = is_much_longer && term.weight >= known.weight * said::AS_OFTEN || !said.is_word(&known.term);
                if is_better && word.contains(&known.term) {
                    known.term = word;
                }
                continue;
            }
            term.term = word;
        }
        told.push(term);
    }
    told
}

/// Whether one of two words is within the other, or both are parts of one phrase that is too long for a word.
fn one_says_both(a: &str, b: &str) -> bool {
    a.contains(b) || b.contains(a) || said::are_cut(a, b)
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

    fn label(terms: &[(&str, f64)], titles: &[&str], old: Option<&str>) -> String {
        let pairs = terms.iter().copied().filter(|(term, _)| is_pair(term)).collect();
        let best = terms.iter().map(|(word, weight)| term(word, *weight)).collect();
        label_of(&Terms { best, pairs }, &Said::new(titles.to_vec()), old)
    }

    /// Terms as heavy as each other.
    fn check(terms: &[&str], titles: &[&str], old: Option<&str>, expected: &str) {
        let terms: Vec<_> = terms.iter().map(|term| (*term, 1.0)).collect();
        assert_eq!(label(&terms, titles, old), expected);
    }

    #[test]
    fn labels_are_the_best_words_without_twins() {
        check(&["rust", "game", "games", "wasm", "engine", "ecs"], &[], None, "rust, game, wasm, engine");
        check(&[], &[], None, "(no words)");
        check(&["भागो", "पापा"], &[], None, "भागो, पापा");
    }

    #[test]
    fn a_label_stays_while_its_words_do() {
        check(&["engine", "rust", "game"], &[], Some("rust, game"), "rust, game");
        check(&["engine", "rust", "wasm"], &[], Some("rust, game"), "engine, rust, wasm");
    }

    #[test]
    fn pairs_become_the_words_that_titles_say() {
        check(&["能選", "news", "選股", "智能"], &["說 智能選股"], None, "智能選股, news");
        check(&["ดีม", "าก", "ที่ดี", "มา"], &["ที่ดีมาก"], None, "ที่ดีมาก");
        check(&["タワー", "東京"], &["東京タワー"], None, "タワー, 東京");
        check(&["國際", "際新"], &["國 際新"], None, "際新");
    }

    #[test]
    fn what_no_title_says_is_no_word_while_there_are_others() {
        let terms = ["能選", "news", "選股", "智能"];
        check(&terms, &[], None, "news");
        check(&terms, &["手機"], None, "news");
        check(&["能選", "選股"], &[], None, "能選, 選股");
        check(&["能選", "選股"], &[], Some("選股"), "選股");
    }

    #[test]
    fn a_word_stays_while_titles_say_it() {
        let terms = ["選股", "能選", "b", "智能"];
        check(&terms, &["新智能選股", "智能選股了"], Some("智能選股"), "智能選股");
        check(&terms, &["選股智能", "能選"], Some("選股智能"), "選股, 能選, b, 智能");
        check(&["b", "c", "智能"], &["智能選股", "智能手機"], Some("智能選股"), "b, c, 智能");
        check(&["b", "c", "智能"], &["智能選股"], None, "b, c, 智能選股");
    }

    #[test]
    fn a_word_ends_where_its_titles_part_or_its_pairs_get_light() {
        let titles = ["中国国际新闻", "在中国国际新区", "中国会议"];
        check(&["中国", "国国", "国际", "际新", "新闻", "会议"], &titles, None, "中国国际新, 会议");
        let terms = [("中国", 9.0), ("国国", 4.4), ("国际", 5.0), ("际新", 5.0), ("新闻", 2.0), ("会议", 2.0)];
        assert_eq!(label(&terms, &titles, None), "中国国际新, 会议");
        let terms = [("中国", 9.0), ("国国", 2.4), ("国际", 5.0), ("际新", 5.0), ("新闻", 2.0), ("会议", 2.0)];
        assert_eq!(label(&terms, &titles, None), "中国, 国际新, 会议");
    }

    #[test]
    fn parts_of_words_are_no_words() {
        // A pair that two longer words share, and one alone between spaces.
        check(&["มา", "รถ"], &["ลมาก", "หมาย รถ"], None, "รถ");
        check(&["มา", "รถ", "าย", "หม"], &["ลมาก", "หมาย รถ"], None, "หมาย, รถ");
    }

    #[test]
    fn of_a_long_phrase_one_part_is_shown() {
        let phrase: String = ('\u{4e00}'..).take(38).collect();
        let chars: Vec<char> = phrase.chars().collect();
        let terms: Vec<String> = chars.windows(2).map(|pair| pair.iter().collect()).collect();
        let terms: Vec<&str> = terms.iter().rev().map(String::as_str).collect();
        let label = label(&terms.iter().map(|term| (*term, 1.0)).collect::<Vec<_>>(), &[&phrase], None);
        assert!(label.split(", ").all(|word| phrase.contains(word)) && label.split(", ").count() == 1, "{label}");
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
