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
//! Letters with marks are composed (NFC); signs of vowels and strokes that stretch, which Arabic and Hebrew may leave out, are left out.
//!
//! HTML entities are decoded and tags dropped first. Pure numbers, `1.8k`, `17k` and single ASCII letters are no words, but `c#` and `c++`
//! are. A hostile text costs bounded work: of a field at most [`MAX_FIELD_BYTES`] are read and [`MAX_FIELD_WORDS`] words taken,
//! and words over [`MAX_WORD_BYTES`] are passed over.

mod span;

pub(crate) use crate::featurize::tokens::span::{is_han, runs, units};

use crate::featurize::tokens::span::Span;

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
    lower: String,
    spare: String,
    span: Span,
}

impl Tokenizer {
    /// Gives each word of `text`, in order, to `emit`.
    pub(super) fn words(&mut self, text: &str, mut emit: impl FnMut(&str)) {
        let Self { lower, spare, span } = self;
        let text = &text[..text.floor_char_boundary(MAX_FIELD_BYTES)];
        lower.clear();
        if memchr::memchr(b'&', text.as_bytes()).is_none() {
            lower.push_str(text);
        } else {
            // Entities are often encoded twice on their way through feeds.
            spare.clear();
            html_escape::decode_html_entities_to_string(text, spare);
            html_escape::decode_html_entities_to_string(spare.as_str(), lower);
        }
        lower.make_ascii_lowercase();
        let mut left = MAX_FIELD_WORDS;
        let bytes = lower.as_bytes();
        let mut at = 0;
        while at < bytes.len() && left > 0 {
            let start = at;
            match CLASS[bytes[at] as usize] {
                GAP => {
                    at += if bytes[at] == b'<' { tag_len(&bytes[at..]) } else { 1 };
                    continue;
                }
                HIGH => {}
                class => {
                    let end = run_end(bytes, at);
                    if bytes.get(end).is_none_or(|&byte| byte < 0x80) {
                        let is_word;
                        (at, is_word) =
                            if class == DIGIT { number_end(bytes, start, end) } else { letters_end(bytes, start, end) };
                        if is_word && at - start <= MAX_WORD_BYTES {
                            emit(&lower[start..at]);
                            left -= 1;
                        }
                        continue;
                    }
                }
            }
            at = span.words(lower, start, &mut left, &mut emit);
        }
    }
}

fn run_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..]
        .iter()
        .position(|&byte| !matches!(CLASS[byte as usize], LETTER | DIGIT))
        .map_or(bytes.len(), |len| start + len)
}

/// Where the token that begins with the letters `bytes[start..end]` ends, and whether it is a word: a letter alone is none, but `c#` and
/// `c++` are.
#[inline]
fn letters_end(bytes: &[u8], start: usize, end: usize) -> (usize, bool) {
    let end = if end - start > 1 { end } else { end + sharp_or_plus(&bytes[end..]) };
    (end, end - start > 1)
}

/// Where the token that begins with a digit ends, and whether it is a word: `3d` and `4k` are; digits, digits in groups after
/// `.` or `,`, also with letters behind them (`1.8k`), and thousands (`17k`) are none. `end` is that of the run of letters and digits.
fn number_end(bytes: &[u8], start: usize, end: usize) -> (usize, bool) {
    let digits_end = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = digits_end(start);
    let mut grouped = false;
    while matches!(bytes.get(at), Some(b'.' | b',')) && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
        at = digits_end(at + 1);
        grouped = true;
    }
    let thousands = at + 1 == end && bytes[at] == b'k' && at - start > 1;
    if grouped { (run_end(bytes, at), false) } else { (end, at < end && !thousands) }
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

/// Names of HTML tags, sorted.
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

/// Length of the HTML tag at the start of `rest`, 1 when there is none: `Vec<String>` keeps its word.
fn tag_len(rest: &[u8]) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        Tokenizer::default().words(text, |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn english() {
        assert_eq!(words("Don’t PANIC: it's a 2-D world_map"), ["don", "panic", "it", "world", "map"]);
        assert_eq!(
            words("goioc/di (⭐1.8k), 3D, 1,000.50 and 4711 pages; 5G 17k 4K"),
            ["goioc", "di", "3d", "and", "pages", "5g", "4k"]
        );
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
        assert_eq!(words("naïve\u{301}s caf\u{65}\u{301}"), ["naïvés", "café"]);
    }

    #[test]
    fn one_word_however_it_is_written() {
        assert_eq!(words("ガラス カ\u{3099}ラス"), ["ガラス", "ガラス"]);
        assert_eq!(words("한글 \u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"), ["한글", "한글"]);
        assert_eq!(words("Việt Vi\u{1ec7}t Vie\u{323}\u{302}t"), ["việt", "việt", "việt"]);
        assert_eq!(words("مدرسة مَدْرَسَة مدرســـة ا\u{654}مل أمل"), ["مدرسة", "مدرسة", "مدرسة", "أمل", "أمل"]);
        assert_eq!(words("שלום שָׁלוֹם \u{fb2a}לום בית־ספר"), ["שלום", "שלום", "שלום", "בית", "ספר"]);
        assert_eq!(words("\u{e01}\u{e48}\u{e38}\u{e02}"), words("\u{e01}\u{e38}\u{e48}\u{e02}"));
        assert_eq!(words("\u{f914}樂"), words("樂樂"));
    }

    #[test]
    fn marks_of_direction_do_not_reach_words() {
        assert_eq!(words("\u{202e}abc\u{2066}def\u{61c}نص \u{1b}[31mred\u{9b}0m"), ["abcdefنص", "31mred", "0m"]);
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
                let tame = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
                prop_assert!(word.chars().all(tame), "{word:?}");
            }
        }

        #[test]
        fn plain_letters_are_what_unicode_calls_words(text in "[À-ÖØ-öø-ʯΑ-ΡΣ-ώЀ-ҁҊ-ԯא-תء-غف-يٱ-ۓ가-힣]{2,12}") {
            let lower: String = text.chars().flat_map(char::to_lowercase).collect();
            prop_assume!(!text.contains('İ') && !lower.ends_with('σ') && lower.len() <= MAX_WORD_BYTES);
            prop_assert_eq!(lower.unicode_words().collect::<Vec<_>>(), [lower.as_str()]);
            prop_assert_eq!(words(&text), [lower]);
        }
    }
}
