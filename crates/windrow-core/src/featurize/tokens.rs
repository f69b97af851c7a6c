//! Text becomes words, in any script.
//!
//! A word is a maximal run of letters, digits and the marks that belong to them, lower-cased. Nearly all text is ASCII, so the loop
//! runs over bytes with a table; a run that holds anything else (a *span*) goes character by character:
//!
//! - letters of scripts that need no more than that (Latin, Greek, Cyrillic, Hebrew, Arabic, Hangul) are one word,
//! - Han and Hiragana, which write no spaces, give their character pairs, a lone character itself; Katakana runs are words,
//! - Thai, Lao, Khmer and Myanmar give the pairs of their syllable-like clusters (extended grapheme clusters),
//! - everything else is cut by the word boundaries of Unicode (UAX #29).
//!
//! HTML entities are decoded and tags dropped first. Pure numbers, `1.8k`, and single ASCII letters are no words, but `c#` and `c++`
//! are. A hostile text costs bounded work: of a field at most [`MAX_FIELD_BYTES`] are read and [`MAX_FIELD_WORDS`] words taken,
//! and words over [`MAX_WORD_BYTES`] are passed over.

use unicode_segmentation::UnicodeSegmentation;

/// Bytes of a field that are read.
pub(super) const MAX_FIELD_BYTES: usize = 32 << 10;
/// Words of a field that are taken.
pub(super) const MAX_FIELD_WORDS: usize = 512;
/// Bytes of the longest word.
pub(super) const MAX_WORD_BYTES: usize = 96;
/// Bytes of the longest HTML tag.
const MAX_TAG_BYTES: usize = 512;

const GAP: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const HIGH: u8 = 3;

/// Class of each byte; what is neither letter nor digit nor the part of a longer character is a gap.
const CLASS: [u8; 256] = {
    let mut class = [GAP; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            0x80..=0xff => HIGH,
            _ => GAP,
        };
        byte += 1;
    }
    class
};

/// Cuts texts into words. Holds scratch memory only.
#[derive(Debug, Default)]
pub(super) struct Tokenizer {
    decoded: [String; 2],
    word: String,
    pair: String,
}

impl Tokenizer {
    /// Gives each word of `text`, in order, to `emit`.
    pub(super) fn words(&mut self, text: &str, mut emit: impl FnMut(&str)) {
        let Self { decoded: [once, twice], word, pair } = self;
        let mut text = &text[..text.floor_char_boundary(MAX_FIELD_BYTES)];
        // Entities are often encoded twice on their way through feeds.
        for decoded in [once, twice] {
            if memchr::memchr(b'&', text.as_bytes()).is_none() {
                break;
            }
            decoded.clear();
            html_escape::decode_html_entities_to_string(text, decoded);
            text = decoded;
        }
        let mut left = MAX_FIELD_WORDS;
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && left > 0 {
            match CLASS[bytes[at] as usize] {
                GAP => at += if bytes[at] == b'<' { tag_len(&bytes[at..]) } else { 1 },
                HIGH => at = span(text, at, word, pair, &mut left, &mut emit),
                class => {
                    let end = run_end(bytes, at);
                    if bytes.get(end).is_some_and(|&byte| byte >= 0x80) {
                        at = span(text, at, word, pair, &mut left, &mut emit);
                    } else {
                        at = ascii_word(text, at, end, class == DIGIT, word, &mut left, &mut emit);
                    }
                }
            }
        }
    }
}

fn run_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..]
        .iter()
        .position(|&byte| !matches!(CLASS[byte as usize], LETTER | DIGIT))
        .map_or(bytes.len(), |len| start + len)
}

/// Gives the ASCII word `text[start..end]` when it is one; returns where to go on.
#[inline]
fn ascii_word(
    text: &str,
    start: usize,
    end: usize,
    digit_first: bool,
    word: &mut String,
    left: &mut usize,
    emit: &mut impl FnMut(&str),
) -> usize {
    let bytes = text.as_bytes();
    let mut end = end;
    if digit_first {
        if let Some(number_end) = number_end(bytes, start) {
            return number_end;
        }
    } else if end - start == 1 {
        end += sharp_or_plus(&bytes[end..]);
        if end - start == 1 {
            return end;
        }
    }
    if end - start <= MAX_WORD_BYTES {
        word.clear();
        word.push_str(&text[start..end]);
        word.make_ascii_lowercase();
        emit(word);
        *left -= 1;
    }
    end
}

/// End of the number at `start`: digits, groups after `.` or `,`, and, for a grouped number, the letters at its end (`1.8k`).
/// `None` when letters follow plain digits (`3d`).
fn number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let digits_end = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits_end(start);
    let mut grouped = false;
    while matches!(bytes.get(end), Some(b'.' | b',')) && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits_end(end + 1);
        grouped = true;
    }
    match bytes.get(end).map_or(GAP, |&byte| CLASS[byte as usize]) {
        LETTER if !grouped => None,
        LETTER => Some(run_end(bytes, end)),
        _ => Some(end),
    }
}

/// Length of the tail that makes a programming language of a letter: `c#`, `c++`.
fn sharp_or_plus(rest: &[u8]) -> usize {
    let len = match rest {
        [b'#', ..] => 1,
        [b'+', b'+', ..] => 2,
        _ => return 0,
    };
    if rest.get(len).is_some_and(|&byte| CLASS[byte as usize] != GAP) { 0 } else { len }
}

/// Length of the HTML tag at the start of `rest`, 1 when there is none: `Vec<String>` keeps its word.
fn tag_len(rest: &[u8]) -> usize {
    const TAGS: &[&str] = &[
        "a",
        "abbr",
        "article",
        "b",
        "big",
        "blockquote",
        "body",
        "br",
        "center",
        "cite",
        "code",
        "dd",
        "div",
        "dl",
        "dt",
        "em",
        "font",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "head",
        "header",
        "hr",
        "html",
        "i",
        "iframe",
        "img",
        "label",
        "li",
        "link",
        "mark",
        "meta",
        "nobr",
        "noscript",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "script",
        "section",
        "small",
        "span",
        "strike",
        "strong",
        "style",
        "sub",
        "sup",
        "svg",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "time",
        "title",
        "tr",
        "tt",
        "u",
        "ul",
        "wbr",
    ];
    let name = if rest.get(1) == Some(&b'/') { 2 } else { 1 };
    let name_len = rest[name.min(rest.len())..].iter().take(11).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let mut lower = [0; 11];
    lower[..name_len].copy_from_slice(&rest[name.min(rest.len())..][..name_len]);
    lower.make_ascii_lowercase();
    let lower = &lower[..name_len];
    if TAGS.binary_search_by(|tag| tag.as_bytes().cmp(lower)).is_err() {
        return 1;
    }
    let end = name + name_len;
    if !matches!(rest.get(end), Some(b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n')) {
        return 1;
    }
    memchr::memchr(b'>', &rest[end..rest.len().min(MAX_TAG_BYTES)]).map_or(1, |close| end + close + 1)
}

/// How a character beyond ASCII behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Punctuation, symbols, emoji: ends a span.
    Gap,
    /// Left out of words: soft hyphen, joiners, byte order mark, variation selectors.
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
        0x00ad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0xfe00..=0xfe0f | 0xfeff => Script::Invisible,
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

/// Takes the span of `text` at `start`, gives its words, returns where to go on.
fn span(
    text: &str,
    start: usize,
    word: &mut String,
    pair: &mut String,
    left: &mut usize,
    emit: &mut impl FnMut(&str),
) -> usize {
    word.clear();
    let (mut plain, mut spaced) = (true, true);
    let mut end = text.len();
    for (offset, c) in text[start..].char_indices() {
        if c.is_ascii() {
            if !c.is_ascii_alphanumeric() {
                end = start + offset;
                break;
            }
            word.push(c.to_ascii_lowercase());
            continue;
        }
        match script(c) {
            Script::Gap if offset > 0 => {
                end = start + offset;
                break;
            }
            Script::Gap => return start + c.len_utf8(),
            Script::Invisible => continue,
            Script::Plain => {}
            Script::Pairs | Script::Katakana | Script::Clusters => spaced = false,
            Script::Other => plain = false,
        }
        push_lower(word, c);
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
        // Marks that are common to both, as the iteration mark and the long vowel, stay with the run they stand in.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        Tokenizer::default().words(text, |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn english() {
        assert_eq!(words("Don’t PANIC: it's a 2-D world_map"), ["don", "panic", "it", "world", "map"]);
        assert_eq!(words("goioc/di (⭐1.8k), 3D, 1,000.50 and 4711 pages; 5G"), ["goioc", "di", "3d", "and", "pages", "5g"]);
        assert_eq!(words("C# C++ c F#, x+y a#b #shorts"), ["c#", "c++", "f#", "shorts"]);
    }

    #[test]
    fn entities_and_tags_go() {
        assert_eq!(words("Men&amp;Mice &amp;amp; &lt;i&gt;&scaron;tevilne&lt;/i&gt;"), ["men", "mice", "številne"]);
        assert_eq!(
            words("the <i>Guardian</i><br/>says <a href=\"x y\">Vec<String></a> 1 < 2"),
            ["the", "guardian", "says", "vec", "string"]
        );
        assert_eq!(words("<"), [""; 0]);
        assert_eq!(words("</"), [""; 0]);
        assert_eq!(words("<b"), [""; 0]);
    }

    #[test]
    fn every_script() {
        assert_eq!(words("Straße ÉTÉ l’homme İstanbul ΟΔΟΣ"), ["straße", "été", "homme", "istanbul", "οδος"]);
        assert_eq!(words("भागो पापा 😂 हिन्दी"), ["भागो", "पापा", "हिन्दी"]);
        assert_eq!(words("智能選股 AI 新"), ["智能", "能選", "選股", "ai", "新"]);
        assert_eq!(words("東京タワーへ行く"), ["東京", "タワー", "へ行", "行く"]);
        assert_eq!(words("한국어 뉴스"), ["한국어", "뉴스"]);
        assert_eq!(words("الإمارات נתניהו می‌خواهم"), ["الإمارات", "נתניהו", "میخواهم"]);
        assert_eq!(words("ที่ดี"), ["ที่ดี"]);
        assert_eq!(words("Ｗｉｎ１０ ٢٠٢٠ 🌺"), ["win10"]);
        assert_eq!(words("naïve\u{301}s caf\u{65}\u{301}"), ["naïve\u{301}s", "cafe\u{301}"]);
    }

    #[test]
    fn hostile_texts_cost_little() {
        assert_eq!(words(&"ab ".repeat(400_000)).len(), MAX_FIELD_WORDS);
        assert_eq!(words(&"漢".repeat(400_000)).len(), MAX_FIELD_WORDS);
        assert_eq!(words(&"x".repeat(1_000_000)), [""; 0]);
        assert_eq!(words(&"<i ".repeat(300_000)), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_gives_bounded_words(text in any::<String>()) {
            for word in words(&text) {
                prop_assert!((2..=MAX_WORD_BYTES).contains(&word.len()), "{word:?}");
            }
        }

        #[test]
        fn plain_letters_are_what_unicode_calls_words(text in "[À-ÖØ-öø-ʯΑ-ΡΣ-ώЀ-ҁҊ-ԯא-תء-يٱ-ۓ가-힣]{2,12}") {
            let lower: String = text.chars().flat_map(char::to_lowercase).collect();
            prop_assume!(!text.contains('İ') && !lower.ends_with('σ') && lower.len() <= MAX_WORD_BYTES);
            prop_assert_eq!(lower.unicode_words().collect::<Vec<_>>(), [lower.as_str()]);
            prop_assert_eq!(words(&text), [lower]);
        }
    }
}
