//! Rules of the user's own: which fields must hold something, how long they may be, which languages are wanted.
//!
//! They come after what makes a page a page at all, and are looked at in the order of [`RejectReason`]s below. Without rules nothing is looked
//! at, and no language is identified.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{CleanRow, clean, is_blank};
use crate::featurize::language;
use crate::record::{COLUMNS, RejectReason, Row};

/// Which rows are wanted, beyond those that can be pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Columns that must hold something.
    pub required: Vec<String>,
    /// How many characters columns may have.
    pub max_length: Lengths,
    /// Codes of the languages that a page may be in; empty for any.
    pub languages: Vec<String>,
    /// What becomes of a page whose texts stood among the last ones. No row says so alone: it is asked where pages are learnt.
    #[serde(skip_serializing_if = "Duplicates::is_usual")]
    pub duplicates: Duplicates,
}

/// Duplicates, and among how many of the last pages they are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicates {
    /// What becomes of them.
    pub action: OnDuplicate,
    /// Pages of the window.
    pub window: u64,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self { action: OnDuplicate::Keep, window: 1_000_000 }
    }
}

impl Duplicates {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of a duplicate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDuplicate {
    /// It is a page like any other, and nobody looks.
    #[default]
    Keep,
    /// It is a page, and is counted.
    Count,
    /// It is a reject.
    Reject,
}

impl OnDuplicate {
    /// What settings call them.
    pub const NAMES: [&str; 3] = ["keep", "count", "reject"];

    /// Its word in the settings.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// What is called so; else the usual.
    pub fn named(word: &str) -> Self {
        [Self::Keep, Self::Count, Self::Reject].into_iter().find(|action| action.name() == word).unwrap_or_default()
    }
}

impl Rules {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Cleans one row, and holds it against the rules.
    ///
    /// # Errors
    /// Those of [`clean()`], then [`RejectReason::MissingField`], [`RejectReason::FieldTooLong`] and [`RejectReason::OtherLanguage`].
    pub fn clean<'a>(&self, row: &Row<'a>) -> Result<CleanRow<'a>, RejectReason> {
        let page = clean(row)?;
        if self.is_empty() {
            return Ok(page); // the usual case
        }
        let time = std::str::from_utf8(row.columns[0]).unwrap_or_default();
        let texts = [time, page.id, page.url, page.title, page.keywords, page.description];
        let is_missing = |name: &String| COLUMNS.iter().zip(texts).any(|(column, text)| column == name && is_blank(text));
        if self.required.iter().any(is_missing) {
            return Err(RejectReason::MissingField);
        }
        if !self.max_length.hold(&texts) {
            return Err(RejectReason::FieldTooLong);
        }
        if !self.languages.is_empty() && !self.is_in_language(&page) {
            return Err(RejectReason::OtherLanguage);
        }
        Ok(page)
    }

    /// Whether a page is in one of the languages, or too short to say.
    fn is_in_language(&self, page: &CleanRow<'_>) -> bool {
        let found = language::language_of_page(page.title, page.description);
        found.is_none_or(|found| self.languages.iter().any(|wanted| wanted == found))
    }
}

/// How many characters columns may have, one by one and all together. Written `20000,title=300,description=5000`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Lengths {
    of_column: [Option<u64>; COLUMNS.len()],
    in_all: Option<u64>,
}

/// A text that says no lengths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("takes characters, of all columns together or of one, such as `20000,title=300`, not `{0}`")]
pub struct LengthsError(String);

impl Lengths {
    fn hold(&self, texts: &[&str; COLUMNS.len()]) -> bool {
        let mut all = 0;
        for (text, most) in texts.iter().zip(&self.of_column) {
            // A text has no more characters than bytes: most need not be counted.
            let counted = || text.chars().count() as u64;
            if most.is_some_and(|most| text.len() as u64 > most && counted() > most) {
                return false;
            }
            if self.in_all.is_some() {
                all += counted();
            }
        }
        self.in_all.is_none_or(|most| all <= most)
    }
}

impl FromStr for Lengths {
    type Err = LengthsError;

    fn from_str(text: &str) -> Result<Self, LengthsError> {
        let mut lengths = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || LengthsError(part.to_owned());
            let (place, number) = match part.split_once('=') {
                None => (&mut lengths.in_all, part),
                Some((name, number)) => {
                    let column = COLUMNS.iter().position(|column| *column == name.trim()).ok_or_else(wrong)?;
                    (&mut lengths.of_column[column], number.trim())
                }
            };
            let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
            if place.replace(number).is_some() {
                return Err(wrong());
            }
        }
        Ok(lengths)
    }
}

impl TryFrom<String> for Lengths {
    type Error = LengthsError;

    fn try_from(text: String) -> Result<Self, LengthsError> {
        text.parse()
    }
}

impl From<Lengths> for String {
    fn from(lengths: Lengths) -> Self {
        lengths.to_string()
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = COLUMNS.iter().zip(self.of_column).filter_map(|(name, most)| Some(format!("{name}={}", most?)));
        let parts: Vec<String> = self.in_all.iter().map(u64::to_string).chain(named).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Kept;
    use crate::record::RecordId;

    const ROW: [&str; 6] =
        ["2023-05-17", "7", "http://a.example/x", "Ein Tag in München", "", "Wo man schöne Spaziergänge macht"];

    fn cleaned(rules: &Rules, columns: [&str; 6]) -> Result<(), RejectReason> {
        let row = Row {
            origin: RecordId { source: 0, offset: 0 },
            raw: b"",
            columns: columns.map(str::as_bytes),
            kept: Kept::default(),
        };
        rules.clean(&row).map(drop)
    }

    fn lengths(text: &str) -> Rules {
        Rules { max_length: text.parse().unwrap(), ..Rules::default() }
    }

    #[test]
    fn required_columns_must_hold_something() {
        for (column, value) in COLUMNS.iter().zip(ROW) {
            let rules = Rules { required: vec![(*column).to_owned()], ..Rules::default() };
            let expected = if value.is_empty() { Err(RejectReason::MissingField) } else { Ok(()) };
            assert_eq!(cleaned(&rules, ROW), expected, "{column}");
            let blank = COLUMNS.map(|name| if name == *column { " \u{a0}" } else { "2023-05-17" });
            assert_eq!(cleaned(&rules, blank), Err(RejectReason::MissingField), "{column}");
            assert_eq!(cleaned(&Rules::default(), blank), Ok(()), "{column}");
        }
    }

    #[test]
    fn lengths_are_characters_of_a_column_or_of_all() {
        let n = |text: &str| text.chars().count();
        let (title, all) = (n(ROW[3]), ROW.iter().map(|text| n(text)).sum::<usize>());
        assert!(ROW[3].len() > title, "not bytes");
        for (text, expected) in [
            (format!("title={title}"), Ok(())),
            (format!("title={}", title - 1), Err(RejectReason::FieldTooLong)),
            (format!("{all}"), Ok(())),
            (format!("{}", all - 1), Err(RejectReason::FieldTooLong)),
            (format!("{all},keywords=1,id=1"), Ok(())),
        ] {
            assert_eq!(cleaned(&lengths(&text), ROW), expected, "{text}");
        }
    }

    #[test]
    fn lengths_are_read_as_written() {
        assert_eq!("".parse(), Ok(Lengths::default()));
        let written = " title = 300, 20000 ,".parse::<Lengths>().unwrap();
        assert_eq!(written.to_string(), "20000,title=300");
        assert_eq!(written.to_string().parse(), Ok(written));
        for text in ["x", "titel=3", "title=", "title=0", "0", "-1", "3,4", "title=3,title=3", "title=3=4"] {
            assert!(text.parse::<Lengths>().is_err(), "{text}");
        }
    }

    #[test]
    fn languages_are_looked_at_only_when_asked_for() {
        let only =
            |codes: &[&str]| Rules { languages: codes.iter().map(|&code| code.to_owned()).collect(), ..Rules::default() };
        assert_eq!(cleaned(&only(&["de"]), ROW), Ok(()));
        assert_eq!(cleaned(&only(&["fr", "de"]), ROW), Ok(()));
        assert_eq!(cleaned(&only(&["en"]), ROW), Err(RejectReason::OtherLanguage));
        assert_eq!(cleaned(&only(&["en"]), ["", "", "http://a.example", "", "", ""]), Ok(()), "nothing to tell it by");
    }

    #[test]
    fn what_makes_no_page_is_said_first() {
        let rules = Rules {
            required: vec!["keywords".into()],
            languages: vec!["en".into()],
            max_length: "1".parse().unwrap(),
            ..Rules::default()
        };
        assert_eq!(cleaned(&rules, ["soon", "", "u", "", "", ""]), Err(RejectReason::BadTime));
        assert_eq!(cleaned(&rules, ROW), Err(RejectReason::MissingField));
    }
}
