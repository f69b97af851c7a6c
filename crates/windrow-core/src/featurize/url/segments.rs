//! Segments of a path as templates of a site see them, and templates as people read them: `shop.example/products/{slug}/{id}`.

use super::path::{Parts, is_fixed, split_ending};
use super::{Address, MAX_SEGMENTS, PathTerms, UrlParser, landing, percent_decode};
use crate::featurize::marks::{self, ANY, DATE, HASH, ID, MORE, SLUG};
use crate::lineage::is_hostile;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the longest segment that is not a slug whatever it holds.
const MAX_WORD: usize = 40;
/// Words of a segment that is a slug.
const SLUG_WORDS: usize = 3;
/// Characters of a template's host and of each of its segments that are shown.
const SHOWN_CHARS: usize = 40;

/// Years of pages.
const YEARS: std::ops::Range<u32> = 1900..2040;

/// Says what the segments of one path are, one after the other.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// Parts of a date that goes on: 1 behind a year, 2 behind its month.
    date_parts: u8,
}

impl Codes {
    /// What the next segment is by itself; none for the month or day of the date before it.
    pub(super) fn next(&mut self, parts: &Parts, name: &str) -> Option<u32> {
        let date_parts = std::mem::take(&mut self.date_parts);
        let is_number = parts.number && !parts.id && parts.words == 0;
        if is_number && date_parts > 0 && is_part(name, if date_parts == 1 { 12 } else { 31 }) {
            self.date_parts = (date_parts + 1) % 3;
            return None;
        }
        self.date_parts = u8::from(is_number && is_year(name));
        Some(code(parts, name))
    }
}

fn code(parts: &Parts, name: &str) -> u32 {
    match parts {
        Parts { uuid: true, .. } | Parts { words: 0, id: true, .. } => HASH,
        Parts { words: 0, number: true, .. } => {
            if is_date(name) {
                DATE
            } else {
                ID
            }
        }
        Parts { number: false, id: false, words: 1, .. } if is_fixed(name) => marks::word(xxh3_64(name.as_bytes()), true),
        Parts { words: SLUG_WORDS.., .. } | Parts { number: true, .. } | Parts { id: true, .. } => SLUG,
        _ if name.len() > MAX_WORD => SLUG,
        _ => marks::word(xxh3_64(name.as_bytes()), false),
    }
}

/// Whether a number is a year, or a date of digits with or without marks between.
fn is_date(name: &str) -> bool {
    if !name.bytes().all(|byte| byte.is_ascii_digit()) {
        let mut parts = name.split(['-', '_', '.']);
        return parts.next().is_some_and(is_year) && parts.all(|part| is_part(part, 31));
    }
    is_year(name) || name.len() == 8 && is_year(&name[..4]) && is_part(&name[4..6], 12) && is_part(&name[6..], 31)
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.parse().is_ok_and(|year: u32| YEARS.contains(&year))
}

/// Whether a text is a month, or a day.
fn is_part(text: &str, most: u32) -> bool {
    text.len() <= 2 && text.parse().is_ok_and(|number: u32| (1..=most).contains(&number))
}

/// Reads addresses once more, for whoever shows what was learnt of them. Holds scratch memory only.
#[derive(Debug, Default)]
pub(crate) struct Urls {
    url: UrlParser,
    landing: UrlParser,
    path: PathTerms,
}

impl Urls {
    /// The template of an address; `any` says which of its segments have too many values, by its site and its segments.
    pub(crate) fn template(&mut self, url: &str, any: impl FnOnce(u64, &[u32]) -> u32) -> Option<Shown> {
        let address = self.url.parse(url)?;
        let inner = landing(&address);
        let inner = inner.as_deref().and_then(|inner| self.landing.parse(inner));
        let address = inner.as_ref().unwrap_or(&address);
        self.path.read(address, false);
        let any = any(site(address), &self.path.segments);
        Some(shown(address, &self.path.segments, any))
    }
}

/// A template as people read it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shown {
    pub(crate) host: String,
    /// The path, from its first slash on.
    pub(crate) path: String,
    /// The same, with a year that no other part of a date is beside as an id; at the end of a path it always is one.
    pub(crate) with_ids: String,
}

/// The hash of a page's site: its host, with `www.` before it or without.
pub(in crate::featurize) fn site(address: &Address<'_>) -> u64 {
    xxh3_64(bare(address.host).as_bytes()).max(1)
}

fn bare(host: &str) -> &str {
    host.strip_prefix("www.").filter(|rest| !rest.is_empty()).unwrap_or(host)
}

/// A template as people read it: nothing in it that a screen would obey, and no longer than a line or two.
fn shown(address: &Address<'_>, segments: &[u32], any: u32) -> Shown {
    let mut codes = segments.iter().zip(0..).map(|(code, at)| if any >> at & 1 == 1 { ANY } else { *code });
    let (mut decoded, mut known) = (String::new(), Codes::default());
    // Each segment, and whether it is no more than a year.
    let mut parts: Vec<(String, bool)> = Vec::new();
    for encoded in address.segments().take(MAX_SEGMENTS) {
        decoded.clear();
        percent_decode(encoded, &mut decoded);
        // What a page ends in (`.html`) is no part of its template.
        let (name, _) = split_ending(&decoded);
        let mut of_name = Parts::default();
        of_name.look_at(name, &mut String::new());
        // What is one date together has one code.
        if known.next(&of_name, name).is_none() {
            parts.iter_mut().next_back().into_iter().for_each(|(_, is_year)| *is_year = false);
            continue;
        }
        let Some(code) = codes.next() else { break };
        parts.push((segment_shown(code, name), code == DATE && is_year(name)));
    }
    let end = match (segments.last(), segments.is_empty()) {
        (Some(&MORE), _) => "/\u{2026}",
        (_, true) => "/",
        _ => "",
    };
    if let Some(last) = parts.last_mut().filter(|(_, is_year)| *is_year) {
        *last = ("{id}".to_owned(), false);
    }
    let path = |year: &str| -> String {
        let parts = parts.iter().map(|(text, is_year)| if *is_year { year } else { text });
        parts.flat_map(|text| ["/", text]).chain([end]).collect()
    };
    let mut host = String::new();
    push_safe(bare(address.host), &mut host);
    Shown { host, path: path("{date}"), with_ids: path("{id}") }
}

fn segment_shown(code: u32, name: &str) -> String {
    let slot = match code {
        ID => "{id}",
        DATE => "{date}",
        SLUG => "{slug}",
        HASH => "{hash}",
        ANY => "{*}",
        _ => {
            let mut text = String::new();
            push_safe(name, &mut text);
            return text;
        }
    };
    slot.to_owned()
}

/// Appends what is safe of a text. What would be read as the template's own marks, or not be seen, is one mark.
fn push_safe(text: &str, out: &mut String) {
    let safe = |c: char| if is_hostile(c) || c.is_whitespace() || matches!(c, '{' | '}' | '/' | '\\') { '_' } else { c };
    out.extend(text.chars().take(SHOWN_CHARS).map(safe));
    if text.chars().nth(SHOWN_CHARS).is_some() {
        out.push('\u{2026}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template(url: &str) -> Option<String> {
        Urls::default().template(url, |_, _| 0).map(|shown| shown.host + &shown.path)
    }

    #[test]
    fn what_tells_by_itself_is_a_slot() {
        for (url, expected) in [
            ("https://a.example", "a.example/"),
            ("https://a.example/product/bandai-monkey-d.-luffy/20400725.html?x=y", "a.example/product/{slug}/{id}"),
            ("https://a.example/coupons/13a11804-6d4a-40c4-a248-c88b4b2c0b1c", "a.example/coupons/{hash}"),
            ("https://www.a.example/film/5lK2e1lrDqR0OBM", "a.example/film/{hash}"),
            ("https://a.example/sport/2023/05/17/a-long-title", "a.example/sport/{date}/{slug}"),
            ("https://a.example/story/2023-05-17/x", "a.example/story/{date}/x"),
            ("https://a.example/20230517/17/2", "a.example/{date}/{id}/{id}"),
            ("https://a.example/2023/5/17/2023/13/x", "a.example/{date}/{date}/{id}/x"),
            ("https://a.example/17/2", "a.example/{id}/{id}"),
            ("https://a.example/world-nation/covid-19", "a.example/world-nation/{slug}"),
            ("https://a.example/%E6%96%B0%E8%81%9E/x%2F%7Bid%7D", "a.example/\u{65b0}\u{805e}/x__id_"),
            ("https://a.example/a\u{202e}b/%1b%5b31m", "a.example/a_b/_[31m"),
            ("https://login.example/login?next=https%3A%2F%2Fb.example%2Fitem%2F7", "b.example/item/{id}"),
            ("https://a.example/1/2/3/4/5/6/7/8/9", "a.example/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/\u{2026}"),
        ] {
            assert_eq!(template(url).as_deref(), Some(expected), "{url}");
        }
        assert_eq!(template("no address"), None);
    }

    #[test]
    fn a_year_alone_may_be_an_id() {
        for (path, expected) in [
            ("/p/1987", "/p/{id}"),
            ("/2021/slug", "/{id}/slug"),
            ("/2021/05/17/slug", "/{date}/slug"),
            ("/2021/05/2021", "/{date}/{id}"),
            ("/2021-05-17/20210517", "/{date}/{date}"),
        ] {
            let shown = Urls::default().template(&format!("https://a.example{path}"), |_, _| 0).expect("an address");
            assert_eq!(
                (shown.path.replace("{date}", "{id}"), shown.with_ids.as_str()),
                (expected.replace("{date}", "{id}"), expected)
            );
        }
    }

    proptest! {
        #[test]
        fn any_template_is_safe_and_bounded(tail in any::<String>(), any in any::<u32>()) {
            let shown = Urls::default().template(&format!("https://a.example/{tail}"), |_, _| any);
            let shown = shown.map(|shown| shown.host + &shown.path).expect("a host");
            prop_assert!(!shown.chars().any(is_hostile), "{shown:?}");
            prop_assert!(shown.chars().count() <= (MAX_SEGMENTS + 1) * (2 * SHOWN_CHARS + 4), "{shown:?}");
        }
    }
}
