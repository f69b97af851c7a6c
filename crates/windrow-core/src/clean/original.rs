//! The rules of `preprocessing.py`, the first of the scripts that Windrow replaces, as pandas keeps them.
//!
//! It read a table with pandas, dropped the rows without a title or a description, and kept those whose description is nothing but ASCII
//! letters, digits, whitespace and a few marks. Nothing else was asked of a row: not a time, not a URL.

use crate::record::{COLUMNS, RejectReason};

/// What pandas takes for a missing value, besides the empty text (pandas 3, `STR_NA_VALUES`), in order.
const MISSING: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN",
    "None", "n/a", "nan", "null",
];
/// The longest of them.
const LONGEST: usize = 8;
const TITLE: usize = 3;
const DESCRIPTION: usize = 5;

/// The values of a row as pandas has them: what it takes for missing is empty.
///
/// # Errors
/// [`RejectReason::InvalidUtf8`], [`RejectReason::MissingField`] or [`RejectReason::OtherCharacter`], looked for in this order.
pub fn clean_as_original<'a>(columns: &[&'a [u8]; COLUMNS.len()]) -> Result<[&'a [u8]; COLUMNS.len()], RejectReason> {
    if columns.iter().any(|value| std::str::from_utf8(value).is_err()) {
        return Err(RejectReason::InvalidUtf8);
    }
    let values = columns.map(|value| if is_missing(value) { &[][..] } else { value });
    if values[TITLE].is_empty() || values[DESCRIPTION].is_empty() {
        return Err(RejectReason::MissingField);
    }
    let description = std::str::from_utf8(values[DESCRIPTION]).map_err(|_| RejectReason::InvalidUtf8)?;
    if !description.chars().all(is_kept) {
        return Err(RejectReason::OtherCharacter);
    }
    Ok(values)
}

fn is_missing(value: &[u8]) -> bool {
    value.len() <= LONGEST && MISSING.iter().any(|word| word.as_bytes() == value)
}

/// `[A-Za-z0-9\s,.;:!?'"-]` of Python. Its `\s` is Unicode's whitespace and four separators of ASCII.
fn is_kept(c: char) -> bool {
    c.is_ascii_alphanumeric() || c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c) || ",.;:!?'\"-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(title: &str, description: &str) -> Result<(), RejectReason> {
        clean_as_original(&[b"", b"", b"", title.as_bytes(), b"", description.as_bytes()]).map(drop)
    }

    #[test]
    fn the_words_of_pandas_are_missing_and_no_others() {
        assert!(MISSING.is_sorted() && MISSING.iter().all(|word| word.len() <= LONGEST));
        for word in MISSING.iter().chain(&[""]) {
            assert_eq!(cleaned(word, "d"), Err(RejectReason::MissingField), "{word}");
            assert_eq!(cleaned("t", word), Err(RejectReason::MissingField), "{word}");
        }
        for word in [" ", "NA ", "none", "Na", "NONE", "N/A N/A"] {
            assert_eq!(cleaned(word, "d"), Ok(()), "{word:?}");
        }
        let row: [&[u8]; 6] = [b"nan", b"NULL", b"None", b"t", b"n/a", b"d"];
        assert_eq!(clean_as_original(&row), Ok([&b""[..], b"", b"", b"t", b"", b"d"]));
    }

    #[test]
    fn descriptions_hold_what_the_pattern_of_python_takes() {
        for text in ["Aa0,.;:!?'\"-", " ", "a\nb\n", "a\u{a0}b", "\u{1c}\u{1d}\u{1e}\u{1f}\u{b}\u{c}\u{85}\u{2028}\u{3000}"] {
            assert_eq!(cleaned("t", text), Ok(()), "{text:?}");
        }
        for text in ["é", "a/b", "(a)", "a_b", "a\u{200b}", "\u{feff}a", "\0", "٣", "ａ", "–", "“a”", "&"] {
            assert_eq!(cleaned("t", text), Err(RejectReason::OtherCharacter), "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_said_first() {
        assert_eq!(clean_as_original(&[b"", b"\xff", b"", b"", b"", b""]), Err(RejectReason::InvalidUtf8));
    }
}
