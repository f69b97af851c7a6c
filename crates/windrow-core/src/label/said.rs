//! What titles say in scripts that write no spaces: where the words end that pairs are put together to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::cluster::Part;
use crate::featurize::{is_han, runs, units};

/// Units of the longest word: what goes on is a phrase.
const WORD_UNITS: usize = 20;
/// Least weight of a pair that a word goes on with, as a share of that of the pair it began with.
pub(super) const AS_OFTEN: f64 = 0.5;

/// Titles of a cluster's pages, or the texts of a page.
pub(crate) struct Said<'a> {
    /// Runs without spaces, as units, each with the number of its text; ascending.
    runs: Vec<(usize, Vec<&'a str>)>,
}

/// Where a word begins: the number of its run, and the place there.
type Place = (usize, usize);

impl<'a> Said<'a> {
    /// What these texts say, equal ones once.
    pub(crate) fn new(mut texts: Vec<&'a str>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        let runs =
            texts.into_iter().enumerate().flat_map(|(number, text)| runs(text).into_iter().map(move |run| (number, run)));
        Self { runs: runs.collect() }
    }

    /// Where a word stands.
    fn places(&self, word: &str) -> Vec<Place> {
        let word = units(word);
        let of_run = |(number, run): (usize, &Vec<&str>)| -> Vec<Place> {
            let places = run.windows(word.len().max(1)).enumerate().filter(|(_, found)| *found == word);
            places.map(|(at, _)| (number, at)).collect()
        };
        self.runs.iter().map(|(_, run)| run).enumerate().flat_map(of_run).collect()
    }

    fn n_texts(&self, places: &[Place]) -> usize {
        places.chunk_by(|a, b| self.runs[a.0].0 == self.runs[b.0].0).count()
    }

    /// Whether somebody wrote it, and not as a part of something else only, as far as can be told: two Chinese characters are often a word,
    /// two units of others only where they stand alone, one hardly ever.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        let n = units(word).len();
        let places = self.places(word);
        n > 1 && !places.is_empty() && (n > 2 || is_han(word) || places.iter().any(|(run, _)| self.runs[*run].1.len() == n))
    }

    /// The word that a pair is of, if it is said: it goes on, either way, as most texts that say it do, with pairs that are about as heavy. A lone
    /// text does not tell where its words end: there they are whole runs.
    pub(crate) fn joined(&self, pair: &str, weight: impl Fn(&str) -> f64) -> Option<String> {
        let (mut places, mut len) = (self.places(pair), units(pair).len());
        let is_lone = self.runs.iter().all(|(text, _)| *text == self.runs[0].0);
        let least = if is_lone { 0.0 } else { weight(pair) * AS_OFTEN };
        while len < WORD_UNITS
            && let Some(longer) = self.longer(&places, len, |pair| weight(pair) >= least)
        {
            (places, len) = (longer, len + 1);
        }
        let &(run, at) = places.first()?;
        Some(self.runs[run].1[at..at + len].concat())
    }

    /// Where a word of `len` units stands with one more behind it or before it.
    fn longer(&self, places: &[Place], len: usize, is_heavy: impl Fn(&str) -> bool) -> Option<Vec<Place>> {
        let mut ways: BTreeMap<(bool, &str), Vec<Place>> = BTreeMap::new();
        for &(number, at) in places {
            let run = &self.runs[number].1;
            if let Some(next) = run.get(at + len) {
                ways.entry((true, next)).or_default().push((number, at));
            }
            if let Some(before) = at.checked_sub(1) {
                ways.entry((false, run[before])).or_default().push((number, before));
            }
        }
        let goes_on = |(is_behind, _): (bool, &str), (number, at): Place| {
            let run = &self.runs[number].1;
            let pair = if is_behind { &run[at + len - 1..=at + len] } else { &run[at..at + 2] };
            is_heavy(&pair.concat())
        };
        let n_texts = self.n_texts(places);
        let counted = ways.into_iter().map(|(way, found)| (self.n_texts(&found), way, found));
        let most = counted.filter(|(n, way, found)| 2 * n > n_texts && goes_on(*way, found[0])).max_by_key(|(n, ..)| *n);
        most.map(|(.., found)| found)
    }

    /// Parts of a likeness, pairs as the words that the texts of the page make of them; largest share first.
    pub(crate) fn parts(&self, parts: Vec<Part>) -> Vec<Part> {
        let (pairs, mut told): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| units(&part.term).len() > 1);
        if pairs.is_empty() {
            return told;
        }
        let mut left: BTreeMap<String, Part> = pairs.into_iter().map(|part| (part.term.clone(), part)).collect();
        let known: BTreeSet<String> = left.keys().cloned().collect();
        for (_, run) in &self.runs {
            for word in stretches(run, |pair| known.contains(pair)) {
                let found: Vec<Part> = pairs_of(word).filter_map(|pair| left.remove(&pair)).collect();
                let share = found.iter().map(|part| part.share).sum();
                told.extend(found.first().map(|part| Part { kind: part.kind, term: word.concat(), share }));
            }
        }
        told.extend(left.into_values());
        told.sort_by(|a, b| b.share.total_cmp(&a.share));
        told
    }
}

/// The longest parts of a run all of whose pairs are wanted, as far as words may be long.
fn stretches<'r, 'a>(run: &'r [&'a str], is_wanted: impl Fn(&str) -> bool) -> Vec<&'r [&'a str]> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, pair) in run.windows(2).enumerate().filter(|(_, pair)| is_wanted(&pair.concat())) {
        match found.last_mut().filter(|last| last.end == at + 1 && last.len() < WORD_UNITS) {
            Some(last) => last.end += 1,
            None => found.push(at..at + pair.len()),
        }
    }
    found.into_iter().map(|range| &run[range]).collect()
}

/// The pairs of a word.
pub(super) fn pairs_of(units: &[&str]) -> impl Iterator<Item = String> {
    units.windows(2).map(<[&str]>::concat)
}

/// Whether two words are parts of one phrase that is too long for a word.
pub(super) fn are_cut(a: &str, b: &str) -> bool {
    let (one, other) = (units(a), units(b));
    one.len().max(other.len()) == WORD_UNITS && pairs_of(&one).any(|pair| b.contains(&pair))
}
