//! What the path of an address says: its words, and its shape with the ids masked, as log-template miners (Drain, Spell) mask them.
//!
//! The query says nothing, but for what was searched for: so tracking parameters (`utm_*`, `fbclid`, `gclid`, ...) need no list,
//! whatever the next one is called.

use super::segments::Codes;
use super::{Address, percent_decode};
use crate::featurize::marks::MORE;

/// Bytes of path and query that are looked at, each.
pub(super) const MAX_BYTES: usize = 2 << 10;
/// Segments in a shape.
pub(super) const MAX_SEGMENTS: usize = 8;

/// Parameters whose value is in words.
const SEARCHES: &[&str] =
    &["category", "keyword", "keywords", "kw", "q", "query", "s", "search", "search_query", "tag", "topic"];

/// Endings of files that say how a page is made, not what it is about.
const ENDINGS: &[&str] =
    &["asp", "aspx", "cfm", "cgi", "do", "htm", "html", "jsp", "md", "pdf", "php", "shtml", "xhtml", "xml"];

/// Segments that tell the kind of a page and stand in shapes as they are.
const KINDS: &[&str] = &[
    "about",
    "account",
    "archive",
    "article",
    "articles",
    "author",
    "blob",
    "blog",
    "blogs",
    "browse",
    "cart",
    "categories",
    "category",
    "channel",
    "collection",
    "collections",
    "contact",
    "detail",
    "details",
    "docs",
    "download",
    "event",
    "events",
    "forum",
    "gist",
    "groups",
    "home",
    "hotel",
    "index",
    "item",
    "itm",
    "jobs",
    "listing",
    "login",
    "news",
    "opinion",
    "page",
    "pages",
    "people",
    "photos",
    "playlist",
    "podcast",
    "podcasts",
    "post",
    "posts",
    "product",
    "products",
    "profile",
    "projects",
    "questions",
    "release",
    "releases",
    "review",
    "reviews",
    "search",
    "shop",
    "signin",
    "sport",
    "sports",
    "status",
    "store",
    "story",
    "tag",
    "tags",
    "team",
    "thread",
    "threads",
    "topic",
    "topics",
    "tree",
    "user",
    "users",
    "video",
    "videos",
    "watch",
    "wiki",
];

/// Takes paths apart. Holds scratch memory only.
#[derive(Debug, Default)]
pub(in crate::featurize) struct PathTerms {
    /// What can be cut into words: a line of text.
    pub(in crate::featurize) text: String,
    /// The shape, for example `/blog/#/w-.html`.
    pub(in crate::featurize) shape: String,
    /// What each segment is: marks of the page.
    pub(in crate::featurize) segments: Vec<u32>,
    codes: Codes,
    segment: String,
}

impl PathTerms {
    /// Reads the path of `address`; `text`, `segments` and, if it is wanted, `shape` hold what it says.
    pub(in crate::featurize) fn read(&mut self, address: &Address<'_>, shape: bool) {
        self.text.clear();
        self.shape.clear();
        self.segments.clear();
        self.codes = Codes::default();
        for (number, segment) in address.segments().enumerate() {
            self.read_segment(segment, number < MAX_SEGMENTS, shape);
            if number == MAX_SEGMENTS {
                self.segments.push(MORE);
            }
        }
        if self.shape.is_empty() {
            self.shape.push('/');
        }
        self.read_searches(&address.query[..address.query.floor_char_boundary(MAX_BYTES)]);
    }

    fn read_segment(&mut self, encoded: &str, counts: bool, shape: bool) {
        let segment = if memchr::memchr(b'%', encoded.as_bytes()).is_none() {
            encoded
        } else {
            self.segment.clear();
            percent_decode(encoded, &mut self.segment);
            &self.segment
        };
        let (name, ending) = split_ending(segment);
        let mut parts = Parts::default();
        parts.look_at(name, &mut self.text);
        if !counts {
            return;
        }
        if shape {
            push_shape(&parts, name, ending, &mut self.shape);
        }
        self.segments.extend(self.codes.next(&parts, name));
    }

    fn read_searches(&mut self, query: &str) {
        for (key, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
            let key = key.trim_end_matches(|c: char| c.is_ascii_digit());
            if SEARCHES.iter().any(|known| known.eq_ignore_ascii_case(key)) {
                self.segment.clear();
                percent_decode(value, &mut self.segment);
                Parts::default().read(&self.segment, &mut self.text);
            }
        }
    }
}

/// The segment without the ending of its file, and the ending when it is a known one.
pub(super) fn split_ending(segment: &str) -> (&str, Option<&str>) {
    match segment.rsplit_once('.') {
        Some((name, ending)) if ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)) => (name, Some(ending)),
        _ => (segment, None),
    }
}

/// What a segment is made of.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) words: usize,
    pub(super) number: bool,
    pub(super) id: bool,
    pub(super) uuid: bool,
}

impl Parts {
    /// What `name` is made of; its words are appended to `text`.
    pub(super) fn look_at(&mut self, name: &str, text: &mut String) {
        if is_uuid(name.as_bytes()) {
            self.uuid = true;
        } else {
            self.read(name, text);
        }
    }

    /// Counts the parts of `name` and appends its words to `text`.
    fn read(&mut self, name: &str, text: &mut String) {
        let start = text.len();
        let mut spoken = false;
        for part in name.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
            if part.bytes().all(|byte| byte.is_ascii_digit()) {
                self.number = true;
            } else if is_id(part) {
                self.id = true;
            } else {
                self.words += 1;
                spoken |= !part.is_ascii() || (part.len() > 2 && part.as_bytes()[1..].iter().all(u8::is_ascii_lowercase));
                text.push_str(part);
                text.push(' ');
            }
        }
        if self.id && !spoken {
            // What stands beside an id and is no plain word is the rest of it: base 64 has dashes.
            self.words = 0;
            text.truncate(start);
        }
    }
}

/// Appends the shape of a segment: `@` for a UUID, `*` for ids, `#` for a number or date, a kind of page as it is, `w` for one word, `w-`
/// for several, with `#` and `*` when numbers and ids stand among them.
fn push_shape(parts: &Parts, name: &str, ending: Option<&str>, shape: &mut String) {
    shape.push('/');
    let start = shape.len();
    match (parts.uuid, parts.words) {
        (true, _) => shape.push('@'),
        (_, 0) => shape.push(if parts.id { '*' } else { '#' }),
        (_, words) => {
            shape.push_str(name);
            shape[start..].make_ascii_lowercase();
            if !is_kind(&shape[start..]) {
                shape.truncate(start);
                shape.push_str(if words > 1 { "w-" } else { "w" });
                shape.extend(parts.number.then_some('#'));
                shape.extend(parts.id.then_some('*'));
            }
        }
    }
    if let Some(ending) = ending {
        let dot = shape.len();
        shape.push('.');
        shape.push_str(ending);
        shape[dot..].make_ascii_lowercase();
    }
}

/// Locales (`en`, `fr`) and the kinds of pages, as they stand in templates whatever stands beside them.
pub(super) fn is_fixed(name: &str) -> bool {
    (name.len() <= 2 && name.bytes().all(|byte| byte.is_ascii_lowercase())) || KINDS.binary_search(&name).is_ok()
}

/// The same in shapes.
fn is_kind(name: &str) -> bool {
    (name.len() <= 3 && name.bytes().all(|byte| byte.is_ascii_lowercase())) || KINDS.binary_search(&name).is_ok()
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether a run of letters and digits is made by a machine: hexadecimal, base 64, or letters and digits in turns. `covid19`, `html5`
/// and `JavaScript` are not.
fn is_id(word: &str) -> bool {
    let bytes = word.as_bytes();
    if bytes.len() < 6 || bytes[1..].iter().all(u8::is_ascii_lowercase) || !word.is_ascii() {
        return false;
    }
    let (mut digits, mut turns, mut upper, mut lower, mut hex) = (0, 0, 0, 0, 0);
    let mut before = None;
    for byte in bytes {
        digits += usize::from(byte.is_ascii_digit());
        upper += usize::from(byte.is_ascii_uppercase());
        lower += usize::from(byte.is_ascii_lowercase());
        hex += usize::from(byte.is_ascii_hexdigit());
        let class = (byte.is_ascii_digit(), byte.is_ascii_uppercase());
        // A capital at the beginning of a word is no turn.
        turns += usize::from(before.is_some_and(|before| before != class && before != (false, true)));
        before = Some(class);
    }
    let (len, letters) = (bytes.len(), upper + lower);
    let hexadecimal = digits > 0 && letters > 0 && hex == len && len >= 7;
    let mixed = digits > 0 && letters > 0 && digits * 4 >= len && turns >= 2;
    let base64 = upper > 0 && lower > 0 && turns * 4 >= len;
    hexadecimal || mixed || base64 || (len > 32 && digits > 0)
}

#[cfg(test)]
mod tests {
    use super::super::UrlParser;
    use super::*;
    use proptest::prelude::*;

    fn read(url: &str) -> (String, String) {
        let mut path = PathTerms::default();
        path.read(&UrlParser::default().parse(url).expect("a host"), true);
        (path.text.split_whitespace().collect::<Vec<_>>().join(" "), path.shape)
    }

    #[test]
    fn words_and_shapes() {
        for (url, text, shape) in [
            ("https://a.example", "", "/"),
            (
                "https://a.example/product/bandai-monkey-d.-luffy/20400725.html?mr:trackingCode=F1FF2655-07B4-ED11",
                "product bandai monkey d luffy",
                "/product/w-/#.html",
            ),
            ("https://a.example/deals/coupons/13a11804-6d4a-40c4-a248-c88b4b2c0b1c?utm_source=x", "deals coupons", "/w/w/@"),
            ("https://event.on24.example/wcc/r/4201343/61F29695DD6E2A62B86C0089CAAA244B", "wcc r", "/wcc/r/#/*"),
            ("https://a.example/film/5lK2e1lrDqR0OBM", "film", "/w/*"),
            (
                "https://a.example/world-nation/story/2023-05-17/starbucks-racism",
                "world nation story starbucks racism",
                "/w-/story/#/w-",
            ),
            ("https://a.example/articles/mountain-pass-108b0144", "articles mountain pass", "/articles/w-*"),
            ("https://a.example/%E6%96%B0%E8%81%9E/caf%C3%A9-bar", "新聞 café bar", "/w/w-"),
            ("https://a.example/lp/achievements#/bestball/qb-hunt", "lp achievements bestball qb hunt", "/lp/w/w/w-"),
            ("https://a.example/?KW1=United+States&KW2=Reclining+Chair&network=taboola", "United States Reclining Chair", "/"),
            (
                "https://a.example/rss/articles/CBMiK2h0dHBzOi8vd3d3LnlvdXR1YmUuY29tL3dhdGNoP3Y9ZlY0bWtGWHdOcm_SAQA?oc=5",
                "rss articles",
                "/rss/articles/*",
            ),
        ] {
            let found = read(url);
            assert_eq!(found, (text.to_owned(), shape.to_owned()), "{url}");
        }
    }

    #[test]
    fn ids_and_words() {
        for id in ["deadbeef01", "3x9s2rr0sa6paxcrulxmcjw70", "B07Q5VM719", "265e47942d782", "4XyTPMlNE4I", "IwAR34DmKH5QM7Y9"]
        {
            assert!(is_id(id), "{id}");
        }
        for word in [
            "covid19",
            "html5",
            "windows",
            "JavaScript",
            "GitHub",
            "WordPress",
            "HelloVacay",
            "Slot11",
            "facade",
            "MAX31334",
            "café2020",
        ] {
            assert!(!is_id(word), "{word}");
        }
    }

    #[test]
    fn kinds_are_sorted() {
        assert!(KINDS.is_sorted(), "they are looked up by halves");
    }

    proptest! {
        #[test]
        fn any_tail_has_a_shape(tail in any::<String>()) {
            let mut path = PathTerms::default();
            path.read(&Address::new("a.example", false, &tail), true);
            prop_assert!(path.segments.len() <= MAX_SEGMENTS + 1);
            prop_assert!(path.shape.starts_with('/'));
        }
    }
}
