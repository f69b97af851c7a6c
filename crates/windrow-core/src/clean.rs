//! CLEAN: a row becomes a page or a reject. Stateless.
//!
//! A page needs UTF-8 in all columns that are read, a creation time that is empty or understood, and something in url, title, keywords or
//! description. Values pass unchanged: what is read is what is written.
//!
//! Times are taken as UTC unless they carry an offset. `YYYY-MM-DD HH:MM:SS[.fraction]`, the form of nearly every row, is read by
//! hand; ISO 8601 and RFC 3339 with `T`, `Z`, an offset, or a date alone go through `jiff`. Fractions are cut to microseconds.
//! Counts of seconds since 1970 are not accepted: nothing tells seconds from milliseconds, and a wrong guess is silent.
//!
//! What users ask for beyond that is in [`rules`]; what the original's first script asked for, in [`original`].

pub mod original;
pub mod rules;

pub use original::clean_as_original;
pub use rules::{Duplicates, Lengths, OnDuplicate, Rules};

use crate::record::{Micros, RejectReason, Row};

/// The columns of a row that passed cleaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanRow<'a> {
    /// Event time, when the row has one.
    pub creation_time: Option<Micros>,
    /// The campaign's id.
    pub id: &'a str,
    /// The page's address.
    pub url: &'a str,
    /// The title.
    pub title: &'a str,
    /// The keywords.
    pub keywords: &'a str,
    /// The description.
    pub description: &'a str,
}

/// Cleans one row.
///
/// # Errors
/// [`RejectReason::InvalidUtf8`], [`RejectReason::BadTime`] or [`RejectReason::EmptyPage`], looked for in this order.
pub fn clean<'a>(row: &Row<'a>) -> Result<CleanRow<'a>, RejectReason> {
    let text = |index: usize| std::str::from_utf8(row.columns[index]).map_err(|_| RejectReason::InvalidUtf8);
    let (time, id, url, title, keywords, description) = (text(0)?, text(1)?, text(2)?, text(3)?, text(4)?, text(5)?);
    if row.kept.values().any(|value| std::str::from_utf8(value).is_err()) {
        return Err(RejectReason::InvalidUtf8);
    }
    let creation_time = parse_time(time).map_err(|NotATime| RejectReason::BadTime)?;
    if [url, title, keywords, description].iter().all(|value| is_blank(value)) {
        return Err(RejectReason::EmptyPage);
    }
    Ok(CleanRow { creation_time, id, url, title, keywords, description })
}

/// Whether a text holds nothing but whitespace.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// The time that a text says, in any of the forms of a creation time; none when it says none.
pub fn time(text: &str) -> Option<Micros> {
    parse_time(text).ok().flatten()
}

/// A text that is in none of the forms of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NotATime;

/// The time that `text` says, `None` when it is blank.
fn parse_time(text: &str) -> Result<Option<Micros>, NotATime> {
    if let Some(micros) = parse_plain_time(text.as_bytes()) {
        return Ok(Some(micros));
    }
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let timestamp = match text.parse::<jiff::Timestamp>() {
        Ok(timestamp) => timestamp,
        Err(_) => {
            let local: jiff::civil::DateTime = text.parse().map_err(|_| NotATime)?;
            jiff::tz::Offset::UTC.to_timestamp(local).map_err(|_| NotATime)?
        }
    };
    // Euclid: a fraction before 1970 is cut downwards, as the plain form cuts it.
    Micros::try_from(timestamp.as_nanosecond().div_euclid(1000)).map(Some).map_err(|_| NotATime)
}

/// `YYYY-MM-DD HH:MM:SS` with up to nine digits of fraction; anything else is left to the general parser.
fn parse_plain_time(text: &[u8]) -> Option<Micros> {
    let (stamp, fraction) = text.split_at_checked(19)?;
    let shape = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if shape.iter().any(|&(at, byte)| stamp[at] != byte) {
        return None;
    }
    let number = |from: usize, to: usize| {
        stamp[from..to].iter().try_fold(0i64, |sum, &byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year == 0 || hour > 23 || minute > 59 || second > 59 || day == 0 || day > days_in_month(year, month)? {
        return None;
    }
    let micros = match fraction.split_first() {
        None => 0,
        Some((b'.', digits)) if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
            digits.iter().chain([b'0'; 6].iter()).take(6).fold(0, |sum, &byte| sum * 10 + i64::from(byte - b'0'))
        }
        Some(_) => return None,
    };
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1_000_000 + micros)
}

fn days_in_month(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

/// Days of the proleptic Gregorian calendar, counted in years that begin in March (H. Hinnant, "chrono-compatible low-level date
/// algorithms"); years from 1 on.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Kept;
    use crate::record::RecordId;
    use proptest::prelude::*;

    fn row<'a>(columns: [&'a [u8]; 6]) -> Row<'a> {
        Row { origin: RecordId { source: 0, offset: 0 }, raw: b"", columns, kept: Kept::default() }
    }

    fn micros(text: &str) -> Option<Micros> {
        parse_time(text).expect("a time")
    }

    #[test]
    fn the_forms_of_time_agree() {
        let expected = Some(1_684_354_911_822_000);
        for text in [
            "2023-05-17 20:21:51.822000",
            "2023-05-17 20:21:51.822",
            "2023-05-17T20:21:51.822Z",
            "2023-05-17T20:21:51.822",
            "2023-05-17T22:21:51.822+02:00",
            "2023-05-17 15:21:51.822000999-0500",
            "  2023-05-17 20:21:51.822\n",
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        assert_eq!(micros("2023-05-17"), micros("2023-05-17 00:00:00"));
        assert_eq!(micros("2023-05-17 20:21"), micros("2023-05-17 20:21:00"));
        assert_eq!(micros("1970-01-01 00:00:00"), Some(0));
        assert_eq!(micros("1969-12-31T23:59:59.9999999Z"), micros("1969-12-31 23:59:59.9999999"));
        assert_eq!(micros("0001-01-01 00:00:00"), Some(-62_135_596_800_000_000));
        assert_eq!(micros("9999-12-30 00:00:00"), Some(253_402_128_000_000_000));
        assert_eq!(micros(""), None);
        assert_eq!(micros(" \u{3000}"), None);
    }

    #[test]
    fn what_is_not_a_time_is_said() {
        for text in [
            "yesterday",
            "2023-02-29 00:00:00",
            "2023-13-01",
            "NaN",
            "2023-05-17 25:00:00",
            "2023-05-17 20:21:51.",
            "1684354911",
        ] {
            assert_eq!(parse_time(text), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn any_of_four_columns_makes_a_page() {
        for filled in 2..6 {
            let mut columns: [&[u8]; 6] = [b"", b"7", b" ", b"\t", "\u{a0}".as_bytes(), b""];
            assert_eq!(clean(&row(columns)), Err(RejectReason::EmptyPage));
            columns[filled] = b" x ";
            let page = clean(&row(columns)).expect("a page");
            assert_eq!([page.url, page.title, page.keywords, page.description][filled - 2], " x ", "kept as read");
        }
    }

    #[test]
    fn reasons_name_the_fault() {
        assert_eq!(clean(&row([b"", b"", b"u", b"\xff", b"", b""])), Err(RejectReason::InvalidUtf8));
        assert_eq!(clean(&row([b"soon", b"", b"u", b"", b"", b""])), Err(RejectReason::BadTime));
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_page_or_a_reject(columns in proptest::array::uniform6(proptest::collection::vec(any::<u8>(), 0..40))) {
            let columns = [0, 1, 2, 3, 4, 5].map(|i: usize| columns[i].as_slice());
            if let Ok(page) = clean(&row(columns)) {
                let kept = [page.id, page.url, page.title, page.keywords, page.description].map(str::as_bytes);
                prop_assert_eq!(kept.as_slice(), &columns[1..]);
            }
        }

        #[test]
        fn any_text_is_a_time_or_not(text in "[0-9TZ:. +-]{0,32}") {
            let _ = parse_time(&text);
        }

        #[test]
        fn the_plain_form_agrees_with_jiff(year in 1i64..=9999, month in 0i64..=13, day in 0i64..=32, second in 0i64..86_400, micro in 0i64..1_000_000) {
            let text = format!(
                "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{micro:06}", second / 3600, second / 60 % 60, second % 60
            );
            let expected = text.parse::<jiff::civil::DateTime>().ok()
                .and_then(|local| jiff::tz::Offset::UTC.to_timestamp(local).ok()).map(jiff::Timestamp::as_microsecond);
            // jiff's last timestamp lies a day before ours.
            if expected.is_some() || (year, month) != (9999, 12) {
                prop_assert_eq!(parse_plain_time(text.as_bytes()), expected);
            }
        }
    }
}
