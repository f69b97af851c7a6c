//! Marks of pages: where a page lies on its site, and by what copies of it are known. Made here, where pages are prepared in parallel, so
//! that whoever learns them in order compares numbers only.
//!
//! - A segment of a path is what it is by itself (an id, a date, a slug, a hash), or a word, that is the hash of its text.
//! - The copy of a page is the sum of the hashes of all words of title and description, numbers and stop words left out and the name of the site
//!   behind the title (`Red shoes | shop.example`) too: two pages with the same words, in whatever order and on whatever
//!   host, are copies of each other. I-Match (Chowdhury et al. 2002) without a dictionary. One word more or less makes another page.

use serde::{Deserialize, Serialize};

/// Segment that is a number.
pub(crate) const ID: u32 = 1;
/// Segment that is a date, or several that are one together.
pub(crate) const DATE: u32 = 2;
/// Segment of many words, or of words with numbers or ids.
pub(crate) const SLUG: u32 = 3;
/// Segment that a machine made.
pub(crate) const HASH: u32 = 4;
/// Segment with too many values at its place.
pub(crate) const ANY: u32 = 5;
/// All segments that are more than a template has.
pub(crate) const MORE: u32 = 6;
/// Bit that every word has; the others are below it.
const WORD: u32 = 16;
/// Bit of a word that names a kind of page, and stays what it is however many stand beside it.
const FIXED: u32 = 1;

/// The word of a segment, by the hash of its text.
pub(super) fn word(hash: u64, is_fixed: bool) -> u32 {
    (hash as u32 & !FIXED) | WORD | u32::from(is_fixed)
}

/// Whether a segment is a word that may turn out to be one of many.
pub(crate) fn may_vary(segment: u32) -> bool {
    segment >= WORD && segment & FIXED == 0
}

/// Marks of a batch of pages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    /// Hash of each page's host, behind redirects; 0 where there is none.
    pub site: Vec<u64>,
    /// Segments of the paths, page after page.
    pub segment: Vec<u32>,
    /// For each page the end of its segments.
    pub ends: Vec<u32>,
    /// What copies of a page have in common; 0 where nobody knows.
    pub copy: Vec<u64>,
    /// Weight of the template as a term; 0 for none.
    pub weight: f32,
}

impl Marks {
    /// Marks of pages of which nothing is known.
    pub(crate) fn unknown(pages: usize) -> Self {
        Self { site: vec![0; pages], ends: vec![0; pages], copy: vec![0; pages], ..Self::default() }
    }

    /// Puts the marks of one page behind the others.
    pub(crate) fn push(&mut self, site: u64, segments: &[u32], copy: u64) {
        self.site.push(site);
        self.segment.extend_from_slice(segments);
        self.ends.push(u32::try_from(self.segment.len()).expect("a batch holds less than 4 G segments"));
        self.copy.push(copy);
    }

    /// Segments of a page's path.
    pub fn segments(&self, row: usize) -> &[u32] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.segment[start..self.ends[row] as usize]
    }

    /// Whether there is one of each for so many pages.
    pub(crate) fn are_whole(&self, pages: usize) -> bool {
        let Self { site, segment, ends, copy, weight } = self;
        let last = ends.last().copied().unwrap_or(0) as usize;
        [site.len(), ends.len(), copy.len()] == [pages; 3]
            && ends.is_sorted()
            && last == segment.len()
            && weight.is_finite()
            && *weight >= 0.0
    }
}

/// The words of a page, added up.
#[derive(Debug, Default)]
pub(super) struct WordSum {
    sum: u64,
    words: usize,
}

/// Words that stay, at least, where the name of a site is left out.
const WORDS_LEFT: usize = 3;

impl WordSum {
    pub(super) fn add(&mut self, hash: u64) {
        self.sum = self.sum.wrapping_add(hash);
        self.words += 1;
    }

    /// Leaves words out again, unless too few stay.
    pub(super) fn leave_out(&mut self, other: &Self) {
        if self.words >= other.words + WORDS_LEFT {
            self.sum = self.sum.wrapping_sub(other.sum);
            self.words -= other.words;
        }
    }

    /// The sum, if there were words.
    pub(super) fn known(&self) -> Option<u64> {
        (self.words > 0).then_some(self.sum.max(1))
    }
}

/// Longest name of a site behind a title.
const MAX_SITE_NAME: usize = 48;

/// What stands behind the last ` | `, ` - ` or the like of a title, when it names the host: its letters stand in the host, or its first word.
pub(super) fn site_name<'a>(title: &'a str, host: &str) -> Option<&'a str> {
    let from = title.floor_char_boundary(title.len().saturating_sub(MAX_SITE_NAME));
    let is_separator = |c: char| matches!(c, '|' | '-' | '\u{2013}' | '\u{2014}' | '\u{b7}' | '\u{bb}' | ':' | '\u{2022}');
    let (at, separator) = title[from..].char_indices().rfind(|(at, c)| {
        is_separator(*c) && title[..from + at].ends_with(' ') && title[from + at + c.len_utf8()..].starts_with(' ')
    })?;
    let name = &title[from + at + separator.len_utf8()..];
    let mut letters = String::with_capacity(MAX_SITE_NAME);
    let mut first = 0;
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        letters.push_str(word);
        first = if first == 0 { letters.len() } else { first };
    }
    letters.make_ascii_lowercase();
    (letters.len() > 2 && (host.contains(&letters) || first > 2 && host.contains(&letters[..first]))).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_site_stands_behind_a_title() {
        for (title, host, name) in [
            ("Red shoes | Shop", "www.shop.example", Some(" Shop")),
            ("Red shoes \u{2013} The Verge", "theverge.example", Some(" The Verge")),
            ("Vote - BBC News", "www.bbc.example", Some(" BBC News")),
            ("Red shoes | Shop", "www.other.example", None),
            ("Red|Shop", "shop.example", None),
            ("A - to", "to.example", None),
            ("", "shop.example", None),
            ("\u{bb} ", "shop.example", None),
        ] {
            assert_eq!(site_name(title, host), name, "{title}");
        }
    }

    #[test]
    fn too_few_words_stay_as_they_are() {
        let sum = |hashes: &[u64]| {
            let mut sum = WordSum::default();
            hashes.iter().for_each(|hash| sum.add(*hash));
            sum
        };
        let (mut long, mut short, name) = (sum(&[1, 2, 3, 9]), sum(&[1, 2, 9]), sum(&[9]));
        long.leave_out(&name);
        short.leave_out(&name);
        assert_eq!((long.known(), short.known(), sum(&[]).known()), (Some(6), Some(12), None));
    }

    #[test]
    fn words_are_no_slots() {
        for hash in [0, 1, 16, u64::MAX] {
            assert!(may_vary(word(hash, false)) && !may_vary(word(hash, true)));
            assert!(word(hash, true) > MORE && word(hash, false) > MORE);
        }
        assert!([ID, DATE, SLUG, HASH, ANY, MORE].iter().all(|slot| !may_vary(*slot)));
    }
}
