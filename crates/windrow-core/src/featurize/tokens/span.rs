//! Words of the runs that hold more than ASCII, character by character.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use unicode_segmentation::UnicodeSegmentation;

use super::MAX_WORD_BYTES;

/// How a character beyond ASCII behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Punctuation, symbols, emoji: ends a span.
    Gap,
    /// Left out of words: soft hyphen, joiners, marks of direction, byte order mark, variation selectors; and what Arabic and Hebrew
    /// may leave out themselves: signs of vowels and of recitation, the stroke that stretches a word.
    Invisible,
    /// A letter of a script where runs of letters are words.
    Plain,
    /// Written without spaces; taken in pairs of characters.
    Pairs,
    /// Katakana, runs of which are words.
    Katakana,
    /// Written without spaces, in clusters; taken in pairs of clusters.
    Clusters,
    /// Left to the word boundaries of Unicode.
    Other,
}

fn script(c: char) -> Script {
    match u32::from(c) {
        0x0591..=0x05bd | 0x05bf | 0x05c1 | 0x05c2 | 0x05c4 | 0x05c5 | 0x05c7 => Script::Invisible,
        0x0610..=0x061a | 0x0640 | 0x064b..=0x0652 | 0x0656..=0x065f | 0x0670 | 0x06d6..=0x06ed => Script::Invisible,
        0x00ad | 0x061c | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f => Script::Invisible,
        0xfe00..=0xfe0f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe01ef => Script::Invisible,
        0x00aa | 0x00b5 | 0x00b7 | 0x00ba => Script::Other,
        0x00c0..=0x00d6 | 0x00d8..=0x00f6 | 0x00f8..=0x02af => Script::Plain,
        0x0386 | 0x0388..=0x038a | 0x038c | 0x038e..=0x03a1 | 0x03a3..=0x03f5 | 0x03f7..=0x0481 | 0x048a..=0x052f => {
            Script::Plain
        }
        0x05d0..=0x05ea | 0x0620..=0x064a | 0x0671..=0x06d3 | 0x1e00..=0x1f15 | 0xac00..=0xd7a3 => Script::Plain,
        0x0e01..=0x0e3a | 0x0e40..=0x0e4e | 0x0e81..=0x0ebd | 0x0ec0..=0x0ece | 0x1000..=0x103f | 0x1780..=0x17d3 => {
            Script::Clusters
        }
        0x30a1..=0x30fa | 0x30fc..=0x30ff | 0x31f0..=0x31ff | 0xff66..=0xff9f => Script::Katakana,
        0x3041..=0x3096 | 0x309d..=0x309f | 0x3005..=0x3007 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff => {
            Script::Pairs
        }
        0x20000..=0x3ffff => Script::Pairs,
        0x0080..=0x00bf | 0x00d7 | 0x00f7 | 0x2000..=0x2bff | 0x3000..=0x303f | 0x30fb => Script::Gap,
        0xfffd | 0x1f000..=0x1faff => Script::Gap,
        0xff10..=0xff19 | 0xff21..=0xff3a | 0xff41..=0xff5a => Script::Plain,
        0xff00..=0xff65 => Script::Gap,
        _ => Script::Other,
    }
}

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();

/// Takes spans apart. Holds scratch memory only.
#[derive(Debug, Default)]
pub(super) struct Span {
    word: String,
    pair: String,
}

impl Span {
    /// Gives the words of the span of `text` at `start`, at most `left`; returns where to go on.
    pub(super) fn words(&mut self, text: &str, start: usize, left: &mut usize, emit: &mut impl FnMut(&str)) -> usize {
        let Self { word, pair } = self;
        word.clear();
        let (mut plain, mut spaced) = (true, true);
        let mut end = text.len();
        for (offset, c) in text[start..].char_indices() {
            if c.is_ascii() {
                if !c.is_ascii_alphanumeric() {
                    end = start + offset;
                    break;
                }
                word.push(c);
                continue;
            }
            match script(c) {
                Script::Gap => {
                    end = start + offset + if offset == 0 { c.len_utf8() } else { 0 };
                    break;
                }
                Script::Invisible => continue,
                Script::Plain => {}
                Script::Pairs | Script::Katakana | Script::Clusters => spaced = false,
                Script::Other => plain = false,
            }
            push_lower(word, c);
        }
        // A letter and its mark may be written as one character or as two, and marks in any order; never where all letters are plain.
        if !(plain && spaced)
            && let composed @ Cow::Owned(_) = NFC.normalize(word)
        {
            *word = composed.into_owned();
            word.retain(|c| script(c) != Script::Invisible);
        }
        if word.len() > 2 && word.ends_with('σ') {
            word.pop();
            word.push('ς');
        }
        let mut give = |word: &str| {
            // A lone ASCII letter beside an emoji or a joiner, a number in any digits.
            let is_word = word.len() > 1 && word.len() <= MAX_WORD_BYTES && !word.chars().all(char::is_numeric);
            if is_word && *left > 0 {
                emit(word);
                *left -= 1;
            }
        };
        match (spaced, plain) {
            (true, true) => give(word),
            (true, false) => word.unicode_words().for_each(give),
            (false, _) => unspaced(word, pair, &mut give),
        }
        end
    }
}

/// Appends the lower case of `c`, full-width letters and digits as ASCII.
fn push_lower(word: &mut String, c: char) {
    match c {
        // Its full lower case is an i and a combining dot, which no other spelling of the word has.
        'İ' => word.push('i'),
        '\u{ff10}'..='\u{ff5a}' => {
            word.extend(char::from_u32(u32::from(c) - 0xfee0).map(|c| c.to_ascii_lowercase()));
        }
        _ => word.extend(c.to_lowercase()),
    }
}

/// Gives the words of a span with characters of scripts that write no spaces: pairs within each run of one kind.
fn unspaced(span: &str, pair: &mut String, give: &mut impl FnMut(&str)) {
    let kind = |c: char| if c.is_ascii() { Script::Plain } else { script(c) };
    let mut rest = span;
    while let Some(first) = rest.chars().next().map(kind) {
        let len = rest.find(|c| kind(c) != first).unwrap_or(rest.len());
        let run;
        (run, rest) = rest.split_at(len);
        match first {
            Script::Pairs => pairs(run.char_indices().map(|(at, c)| &run[at..at + c.len_utf8()]), pair, give),
            Script::Clusters => pairs(run.graphemes(true), pair, give),
            Script::Katakana | Script::Plain => give(run),
            _ => run.unicode_words().for_each(&mut *give),
        }
    }
}

fn pairs<'a>(units: impl Iterator<Item = &'a str>, pair: &mut String, give: &mut impl FnMut(&str)) {
    let mut before: Option<&str> = None;
    let mut paired = false;
    for unit in units {
        if let Some(before) = before {
            pair.clear();
            pair.push_str(before);
            pair.push_str(unit);
            give(pair);
            paired = true;
        }
        before = Some(unit);
    }
    if let (false, Some(lone)) = (paired, before) {
        give(lone);
    }
}

/// The units of a word of a script that writes no spaces, of which its terms are pairs: characters, or clusters of them; empty for all
/// other words.
pub(crate) fn units(word: &str) -> Vec<&str> {
    match word.chars().next().map(script) {
        Some(Script::Pairs) => word.char_indices().map(|(at, c)| &word[at..at + c.len_utf8()]).collect(),
        Some(Script::Clusters) => word.graphemes(true).collect(),
        _ => Vec::new(),
    }
}

/// The runs of a text that write no spaces, as units.
pub(crate) fn runs(text: &str) -> Vec<Vec<&str>> {
    let has_units = |c: char| matches!(script(c), Script::Pairs | Script::Clusters);
    let mut runs: Vec<Vec<&str>> = Vec::new();
    if text.is_ascii() || !text.chars().any(has_units) {
        return runs;
    }
    let mut before = None;
    for cluster in text.graphemes(true) {
        let kind = cluster.chars().next().map(script);
        if kind == Some(Script::Invisible) {
            continue;
        }
        let units = units(cluster).into_iter().filter(|unit| unit.chars().all(has_units));
        match runs.last_mut().filter(|_| before == kind) {
            Some(run) => run.extend(units),
            None => runs.push(units.collect()),
        }
        before = kind;
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Whether all characters are Chinese ones, two of which are often a word.
pub(crate) fn is_han(word: &str) -> bool {
    word.chars().all(|c| script(c) == Script::Pairs && !('\u{3041}'..='\u{309f}').contains(&c))
}
