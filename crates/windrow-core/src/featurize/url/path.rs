//! What the path of an address says: its words, and its shape with the ids masked, as log-template miners (Drain, Spell) mask them.
//!
//! The query says nothing, but for what was searched for: so tracking parameters (`utm_*`, `fbclid`, `gclid`, ...) need no list,
//! whatever the next one is called.

use super::{Address, percent_decode};

/// Bytes of path and query that are looked at, each.
const MAX_BYTES: usize = 2 << 10;
/// Segments in a shape.
const MAX_SEGMENTS: usize = 8;

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
    segment: String,
}

impl PathTerms {
    /// Reads the path of `address`; `text` and `shape` hold what it says.
    pub(in crate::featurize) fn read(&mut self, address: &Address<'_>) {
        self.text.clear();
        self.shape.clear();
        let (path, query, fragment) = address.parts();
        // Pages that are programs keep their path behind the #.
        let route = if fragment.starts_with('/') || fragment.starts_with("!/") { fragment } else { "" };
        let mut left = MAX_SEGMENTS;
        for part in [path, route] {
            let part = &part[..part.floor_char_boundary(MAX_BYTES)];
            for segment in part.split('/').filter(|segment| !segment.is_empty() && *segment != "!") {
                let shaped = left > 0;
                left = left.saturating_sub(1);
                self.read_segment(segment, shaped);
            }
        }
        if self.shape.is_empty() {
            self.shape.push('/');
        }
        self.read_searches(&query[..query.floor_char_boundary(MAX_BYTES)]);
    }

    fn read_segment(&mut self, encoded: &str, shaped: bool) {
        let Self { text, shape, segment } = self;
        segment.clear();
        percent_decode(encoded, segment);
        let (name, ending) = match segment.rsplit_once('.') {
            Some((name, ending)) if ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)) => (name, Some(ending)),
            _ => (segment.as_str(), None),
        };
        let mask = segment_mask(name);
        if shaped {
            shape.push('/');
            match mask {
                Some(mask) => shape.push(mask),
                None if is_kind(name) => shape.extend(name.chars().map(|c| c.to_ascii_lowercase())),
                None => push_word_shape(name, shape),
            }
            if let Some(ending) = ending {
                shape.push('.');
                shape.extend(ending.chars().map(|c| c.to_ascii_lowercase()));
            }
        }
        if mask.is_none() {
            for word in name.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()).filter(|word| !is_id(word)) {
                text.push_str(word);
                text.push(' ');
            }
        }
    }

    fn read_searches(&mut self, query: &str) {
        for (key, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
            let key = key.trim_end_matches(|c: char| c.is_ascii_digit());
            if SEARCHES.iter().any(|known| known.eq_ignore_ascii_case(key)) {
                self.segment.clear();
                percent_decode(value, &mut self.segment);
                let words =
                    self.segment.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()).filter(|word| !is_id(word));
                for word in words {
                    self.text.push_str(word);
                    self.text.push(' ');
                }
            }
        }
    }
}

/// Locales (`en`, `de-de`) and the kinds of pages.
fn is_kind(name: &str) -> bool {
    (name.len() <= 3 && name.bytes().all(|byte| byte.is_ascii_alphabetic()))
        || KINDS.iter().any(|kind| kind.eq_ignore_ascii_case(name))
}

/// `w` for one word, `w-` for several, with `#` for numbers and `*` for ids among them, each once.
fn push_word_shape(name: &str, shape: &mut String) {
    let (mut words, mut number, mut id) = (0, false, false);
    for part in name.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        match segment_mask(part) {
            Some('#') => number = true,
            Some(_) => id = true,
            None => words += 1,
        }
    }
    shape.push_str(if words > 1 { "w-" } else { "w" });
    if number {
        shape.push('#');
    }
    if id {
        shape.push('*');
    }
}

/// What stands for a whole segment that holds no word: `#` a number or date, `@` a UUID, `*` a hash or another id.
fn segment_mask(segment: &str) -> Option<char> {
    let bytes = segment.as_bytes();
    if !segment.is_ascii() {
        return None;
    }
    if !bytes.iter().any(u8::is_ascii_alphabetic) {
        return Some('#');
    }
    if is_uuid(bytes) {
        return Some('@');
    }
    (!bytes.iter().any(|byte| matches!(byte, b' ' | b'.' | b',')) && is_id(segment)).then_some('*')
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether `word` is made by a machine: hexadecimal, base 64, or letters and digits in turns. `covid19`, `mp3` and `html5` are not.
fn is_id(word: &str) -> bool {
    let bytes = word.as_bytes();
    let is_word = |part: &[u8]| part.len() > 2 && part[1..].iter().all(u8::is_ascii_lowercase);
    if bytes.len() < 6 || !word.is_ascii() || bytes.split(|byte| matches!(byte, b'-' | b'_')).any(is_word) {
        return false;
    }
    let (mut digits, mut turns, mut upper, mut lower, mut hex, mut dashes) = (0, 0, 0, 0, 0, 0);
    let mut before = None;
    for byte in bytes {
        digits += usize::from(byte.is_ascii_digit());
        upper += usize::from(byte.is_ascii_uppercase());
        lower += usize::from(byte.is_ascii_lowercase());
        hex += usize::from(byte.is_ascii_hexdigit());
        dashes += usize::from(matches!(byte, b'-' | b'_'));
        if byte.is_ascii_alphanumeric() {
            let class = (byte.is_ascii_digit(), byte.is_ascii_uppercase());
            // A capital at the beginning of a word is no turn.
            turns += usize::from(before.is_some_and(|before| before != class && before != (false, true)));
            before = Some(class);
        }
    }
    let letters = upper + lower;
    if digits > 0 && letters > 0 && hex == bytes.len() && bytes.len() >= 7 {
        return true;
    }
    let mixed = digits > 0 && letters > 0 && digits * 4 >= bytes.len() - dashes && turns >= 2 && dashes * 4 <= bytes.len();
    let base64 = upper > 0 && lower > 0 && turns * 4 >= bytes.len() && dashes * 8 <= bytes.len();
    mixed || base64 || (dashes == 0 && bytes.len() > 32 && digits > 0)
}

#[cfg(test)]
mod tests {
    use super::super::UrlParser;
    use super::*;
    use proptest::prelude::*;

    fn read(url: &str) -> (String, String) {
        let mut path = PathTerms::default();
        path.read(&UrlParser::default().parse(url).expect("a host"));
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

    proptest! {
        #[test]
        fn any_tail_has_a_shape(tail in any::<String>()) {
            let mut path = PathTerms::default();
            path.read(&Address { host: "a.example", is_ip: false, tail: &tail });
            prop_assert!(path.shape.starts_with('/'));
        }
    }
}
