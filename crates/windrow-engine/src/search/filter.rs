//! The language of filters: words that all must fit. It is closed: there is nothing in it that runs.
//!
//! ```text
//! filter  = word*
//! word    = key op value | value             a bare value is looked for in the texts
//! op      = ":" | "~" | "<" | ">"
//! value   = characters but blanks, or anything within "quotes"
//!
//! cluster:7,9  host:*.co.il  title~"sale"  url~x  text~x  label~x  id:123  record:0:4711  novel:true  after:-1h  before:2023-05-17  score<0.5
//! ```

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use windrow_core::cluster::ClusterId;
use windrow_core::record::Micros;

use crate::export::Row;

/// Longest filter, in bytes, and the most words.
const BYTES: usize = 2_000;
const WORDS: usize = 30;
const HINT: &str = "cluster: host: title~ url~ text~ label~ id: record: novel: after: before: score< score>";

/// Why a filter is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Characters before the place.
    pub at: usize,
    /// What is wrong there.
    pub why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter, character {}: {}", self.at + 1, self.why)
    }
}

/// Which pages are meant: those that fit every word.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter(Vec<Word>);

/// One of the words.
#[derive(Debug, Clone, PartialEq)]
enum Word {
    Clusters(Vec<ClusterId>),
    /// A pattern with `*`, in small letters.
    Host(String),
    /// In small letters.
    Holds(Field, String),
    Id(String),
    Record(String),
    Novel(bool),
    After(Micros),
    Before(Micros),
    Below(f64),
    Above(f64),
}

/// A text of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Title,
    Url,
    Label,
    Text,
}

impl Filter {
    /// All pages of a cluster.
    pub fn of_cluster(cluster: ClusterId) -> Self {
        Self(vec![Word::Clusters(vec![cluster])])
    }

    /// All pages of some clusters; of all when none is named.
    pub fn of_clusters(clusters: &[ClusterId]) -> Self {
        Self(if clusters.is_empty() { Vec::new() } else { vec![Word::Clusters(clusters.to_vec())] })
    }

    /// Pages that fit this one and another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether it fits every page.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Understands a filter; `now` is what `-1h` counts back from.
    ///
    /// # Errors
    /// The place and what is wrong there.
    pub fn parse(text: &str, now: Micros) -> Result<Self, Wrong> {
        let wrong = |at: usize, why: &str| Wrong { at, why: why.to_owned() };
        if text.len() > BYTES {
            return Err(wrong(0, "it is too long"));
        }
        let mut words = Vec::new();
        for (at, word) in split(text)? {
            if words.len() == WORDS {
                return Err(wrong(at, "these are too many words"));
            }
            words.push(understand(&word, now).map_err(|why| Wrong { at, why })?);
        }
        Ok(Self(words))
    }

    /// Whether a page fits.
    pub(crate) fn fits(&self, page: &Row<'_>) -> bool {
        self.0.iter().all(|word| word.fits(page))
    }
}

impl Word {
    fn fits(&self, page: &Row<'_>) -> bool {
        let [label, title, url, description, keywords, domain, id, record_id] = page.texts;
        let holds = |field: &str, text: &str| field.to_lowercase().contains(text);
        match self {
            Self::Clusters(clusters) => clusters.contains(&page.cluster.cast_unsigned()),
            Self::Host(pattern) => like(host(url).to_lowercase().as_str(), pattern) || like(domain, pattern),
            Self::Holds(Field::Title, text) => holds(title, text),
            Self::Holds(Field::Url, text) => holds(url, text),
            Self::Holds(Field::Label, text) => holds(label, text),
            Self::Holds(Field::Text, text) => [title, description, keywords, url].iter().any(|field| holds(field, text)),
            Self::Id(wanted) => id == wanted,
            Self::Record(wanted) => record_id == wanted,
            Self::Novel(wanted) => page.novel == *wanted,
            Self::After(time) => page.creation_time.is_some_and(|at| at >= *time),
            Self::Before(time) => page.creation_time.is_some_and(|at| at < *time),
            Self::Below(score) => page.score < *score,
            Self::Above(score) => page.score > *score,
        }
    }
}

/// A word before it is understood.
#[derive(Debug, Default)]
struct Raw {
    key: String,
    op: Option<char>,
    value: String,
}

/// Cuts a filter into words, each with the number of characters before it.
fn split(text: &str) -> Result<Vec<(usize, Raw)>, Wrong> {
    let mut words: Vec<(usize, Raw)> = Vec::new();
    let (mut is_in_word, mut quote) = (false, None);
    for (at, c) in text.chars().enumerate() {
        if quote.is_none() && c.is_whitespace() {
            is_in_word = false;
            continue;
        }
        if !is_in_word {
            words.push((at, Raw::default()));
            is_in_word = true;
        }
        let Some((_, word)) = words.last_mut() else { continue };
        match (c, quote) {
            ('"', None) => quote = Some(at),
            ('"', Some(_)) => quote = None,
            (':' | '~' | '<' | '>', None) if word.op.is_none() => {
                (word.key, word.op) = (std::mem::take(&mut word.value), Some(c));
            }
            _ => word.value.push(c),
        }
    }
    match quote {
        Some(at) => Err(Wrong { at, why: "this quote is never closed".into() }),
        None => Ok(words),
    }
}

fn understand(word: &Raw, now: Micros) -> Result<Word, String> {
    let (value, small) = (word.value.as_str(), word.value.to_lowercase());
    let Some(op) = word.op else {
        return if value.is_empty() {
            Err("there is nothing between the quotes".into())
        } else {
            Ok(Word::Holds(Field::Text, small))
        };
    };
    if value.is_empty() {
        return Err(format!("there is nothing behind `{}{op}`", word.key));
    }
    Ok(match (word.key.as_str(), op) {
        ("cluster", ':') => Word::Clusters(numbers(value)?),
        ("host", ':') => Word::Host(small),
        ("title", '~') => Word::Holds(Field::Title, small),
        ("url", '~') => Word::Holds(Field::Url, small),
        ("label", '~') => Word::Holds(Field::Label, small),
        ("text", '~') => Word::Holds(Field::Text, small),
        ("id", ':') => Word::Id(value.to_owned()),
        ("record", ':') => Word::Record(value.to_owned()),
        ("novel", ':') => Word::Novel(value.parse().map_err(|_| format!("`{value}` is neither true nor false"))?),
        ("after", ':') => Word::After(time(value, now)?),
        ("before", ':') => Word::Before(time(value, now)?),
        ("score", '<') => Word::Below(score(value)?),
        ("score", '>') => Word::Above(score(value)?),
        (key, _) => return Err(format!("there is no `{key}{op}`; there are {HINT}, and \"quotes\" around anything else")),
    })
}

fn numbers(value: &str) -> Result<Vec<ClusterId>, String> {
    value.split(',').map(|part| part.parse().map_err(|_| format!("`{part}` is no id of a cluster"))).collect()
}

fn score(value: &str) -> Result<f64, String> {
    value.parse().ok().filter(|score: &f64| score.is_finite()).ok_or_else(|| format!("`{value}` is no number"))
}

/// `-90s`, `-5m`, `-1h`, `-7d`; a day; or a time as ISO 8601 has it.
fn time(value: &str, now: Micros) -> Result<Micros, String> {
    let none = || format!("`{value}` is no time: -1h, 2023-05-17, 2023-05-17T12:00:00Z");
    if let Some(back) = value.strip_prefix('-').filter(|back| back.is_ascii()) {
        let (number, unit) = back.split_at(back.len().saturating_sub(1));
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(none()),
        };
        let number: i64 = number.parse().ok().filter(|number| *number >= 0).ok_or_else(none)?;
        return Ok(now.saturating_sub(number.saturating_mul(seconds * 1_000_000)));
    }
    let day = || TimeZone::UTC.to_timestamp(value.parse::<Date>().ok()?.at(0, 0, 0, 0)).ok();
    value.parse::<Timestamp>().ok().or_else(day).map(Timestamp::as_microsecond).ok_or_else(none)
}

/// The host of an address, if it has one.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.split_once(':').map_or(host, |(host, _)| host)
}

/// Whether a text is as the pattern says, in which `*` is anything. The time it takes grows with the product of both lengths at most.
fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut at, mut of, mut star) = (0, 0, None);
    while at < text.len() {
        if of < pattern.len() && pattern[of] == b'*' {
            star = Some((of, at));
            of += 1;
        } else if of < pattern.len() && pattern[of] == text[at] {
            (at, of) = (at + 1, of + 1);
        } else if let Some((place, from)) = star {
            // The last star takes one more.
            (of, at, star) = (place + 1, from + 1, Some((place, from + 1)));
        } else {
            return false;
        }
    }
    pattern[of..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Micros = 1_700_000_000_000_000;

    fn page() -> Row<'static> {
        let texts = [
            "summer sale",
            "Big \u{5e9}\u{5dc} Sale",
            "https://user@Shop.Example.co.il:80/a?b",
            "about x",
            "k1, k2",
            "example.co.il",
            "123",
            "0:4711",
        ];
        Row {
            cluster: 7,
            creation_time: Some(NOW - 1_000_000),
            score: 0.25,
            novel: true,
            micro_cluster: 2,
            slot: 0,
            current: None,
            texts,
        }
    }

    #[test]
    fn each_word_takes_what_it_says() {
        let cases = [
            ("", true),
            ("cluster:7", true),
            ("cluster:1,7", true),
            ("cluster:1,2", false),
            ("host:*.co.il", true),
            ("host:shop.example.co.il", true),
            ("host:example.co.il", true),
            ("host:*.com", false),
            ("title~\"big \u{5e9}\u{5dc}\"", true),
            ("title~about", false),
            ("text~about sale k2", true),
            ("\"about x\"", true),
            ("\"about  x\"", false),
            ("url~SHOP", true),
            ("label~summer", true),
            ("id:123 record:0:4711 novel:true", true),
            ("id:12", false),
            ("after:-1h before:2033-01-01", true),
            ("after:-0s", false),
            ("before:2023-11-14T00:00:00Z", false),
            ("score<0.5 score>0.2", true),
            ("score<0.25", false),
        ];
        for (text, wanted) in cases {
            assert_eq!(Filter::parse(text, NOW).unwrap().fits(&page()), wanted, "{text}");
        }
        let undated = Row { creation_time: None, ..page() };
        assert!(!Filter::parse("after:-9999d", NOW).unwrap().fits(&undated));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let cases = [
            ("cluster:x", 0, "no id"),
            ("a  clustre:7", 3, "no `clustre:`"),
            ("a \"b", 2, "never closed"),
            ("score<much", 0, "no number"),
            ("score<NaN", 0, "no number"),
            ("after:soon", 0, "no time"),
            ("after:-1y", 0, "no time"),
            ("novel:maybe", 0, "neither"),
            ("title:", 0, "nothing behind"),
            ("\"\"", 0, "nothing between"),
            ("https://a.example/", 0, "no `https:`"),
        ];
        for (text, at, why) in cases {
            let wrong = Filter::parse(text, NOW).unwrap_err();
            assert!(wrong.at == at && wrong.why.contains(why), "{text}: {wrong}");
        }
        assert!(Filter::parse(&"x".repeat(BYTES + 1), NOW).is_err());
        assert!(Filter::parse(&"x ".repeat(WORDS + 1), NOW).is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,60}", words in "([a-z]{0,7}[:~<>]?[\"*0-9a-z., -]{0,6} ?){0,8}") {
            for text in [text, words] {
                if let Ok(filter) = Filter::parse(&text, NOW) {
                    filter.fits(&page());
                    prop_assert_eq!(filter.is_empty(), text.trim().is_empty());
                }
            }
        }

        #[test]
        fn quotes_take_anything_as_it_is(text in "[^\"\\p{Cc}]{1,30}") {
            let filter = Filter::parse(&format!("title~\"{text}\""), NOW).unwrap();
            prop_assert_eq!(filter, Filter(vec![Word::Holds(Field::Title, text.to_lowercase())]));
        }

        #[test]
        fn a_pattern_is_what_its_parts_say(parts in prop::collection::vec("[ab]{0,3}", 1..4), text in "[ab]{0,8}") {
            let first = &parts[0];
            let mut rest = text.strip_prefix(first.as_str());
            for (place, part) in parts.iter().enumerate().skip(1) {
                rest = rest.and_then(|rest| match place + 1 == parts.len() {
                    true => rest.ends_with(part.as_str()).then_some(""),
                    false => rest.find(part.as_str()).map(|at| &rest[at + part.len()..]),
                });
            }
            let wanted = if parts.len() == 1 { &text == first } else { rest.is_some() };
            prop_assert_eq!(like(&text, &parts.join("*")), wanted);
        }
    }
}
