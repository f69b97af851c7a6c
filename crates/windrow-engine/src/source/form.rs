//! The form of records: how they are written, and what in them is which of our six columns.
//!
//! Files hold CSV under a header, or a JSON object a line. A topic holds one record a message: a JSON object ([`JsonPaths`]), or one CSV record without
//! a header. A message is never cut in two and never joined with another: one message is one row or one reject.

use windrow_core::record::RejectReason;

use super::columns::{ColumnMap, Layout};
use super::encoding::Encoding;
use super::file::BYTE_ORDER_MARK;
use super::scan::Scanner;
use crate::batch::{Quoting, RawRecord};
use crate::error::Result;
use crate::settings::words;

pub use super::parse::json::JsonPaths;

/// How the messages of a topic are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MessageFormat {
    /// One JSON object each.
    #[default]
    Json,
    /// One CSV record each, without a header.
    Csv,
}

words!(MessageFormat { Json = "json", Csv = "csv" });

/// How records are written, and what in them is which column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Fields with a delimiter between them.
    Csv(Layout),
    /// JSON objects; in files one a line.
    Json(JsonPaths),
}

impl Form {
    /// The form of a topic's messages.
    ///
    /// # Errors
    /// `E-COLUMN-MAP`: the map does not suit the format.
    pub fn of_messages(format: MessageFormat, map: &ColumnMap) -> Result<Self> {
        Ok(match format {
            MessageFormat::Json => Self::Json(JsonPaths::new(map)),
            MessageFormat::Csv => Self::Csv(Layout::by_place(map)?),
        })
    }

    /// Of the bytes of its records.
    pub fn encoding(&self) -> Encoding {
        match self {
            Self::Csv(layout) => layout.encoding,
            Self::Json(paths) => paths.encoding(),
        }
    }

    /// How many columns are carried along.
    pub fn n_kept(&self) -> usize {
        match self {
            Self::Csv(layout) => layout.kept.len(),
            Self::Json(paths) => paths.kept.len(),
        }
    }

    /// What finds its records, at most `limit` bytes long, in their text.
    pub(super) fn scanner(&self, limit: usize) -> Scanner {
        let scanner = Scanner::new(self.n_fields(), limit);
        let scanner = if self.encoding().is_wide() { scanner.keeping_characters() } else { scanner };
        match self {
            Self::Csv(layout) => scanner.separated_by(layout.delimiter),
            Self::Json(_) => scanner.of_lines(),
        }
    }

    /// Number of fields that every record has, where that is known.
    pub fn n_fields(&self) -> Option<usize> {
        match self {
            Self::Csv(layout) if !layout.or_more => Some(layout.n_fields),
            Self::Csv(_) | Self::Json(_) => None,
        }
    }

    /// The record that a message's `value` is, which begins at `start` of its batch. A message of more than `limit` bytes is
    /// `TooLong`. One without a value (a tombstone) is for the caller to name.
    pub fn record(&self, value: &[u8], start: usize, offset: u64, limit: usize) -> RawRecord {
        let at = |at: usize| u32::try_from(start + at).expect("a batch holds less than 4 GiB");
        let whole = RawRecord { start: at(0), end: at(value.len()), offset, quoting: Quoting::Plain, flaw: None };
        if value.len() > limit {
            return RawRecord { flaw: Some(RejectReason::TooLong), ..whole };
        }
        if matches!(self, Self::Json(_)) {
            return whole;
        }
        let mark = if value.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let mut scanner = self.scanner(usize::MAX).starting_at(mark);
        // Nothing but line ends: a record of one empty field.
        let Some(found) = scanner.next(value, true) else { return RawRecord { end: at(0), ..whole } };
        let is_whole = value[found.end..].iter().all(|byte| matches!(byte, b'\n' | b'\r'));
        match found.flaw {
            Some(_) => RawRecord { flaw: found.flaw, ..whole },
            None if !is_whole => RawRecord { flaw: Some(RejectReason::ColumnCount), ..whole },
            None => RawRecord { start: at(found.start), end: at(found.end), quoting: found.quoting, ..whole },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(map: &str) -> Form {
        Form::of_messages(MessageFormat::Csv, &map.parse().unwrap()).unwrap()
    }

    /// The record that a message is: its text, or why it is none.
    fn shown<'a>(form: &Form, value: &'a str) -> std::result::Result<&'a str, RejectReason> {
        let record = form.record(value.as_bytes(), 10, 3, 100);
        assert_eq!(record.offset, 3);
        record.flaw.map_or(Ok(&value[record.start as usize - 10..record.end as usize - 10]), Err)
    }

    #[test]
    fn a_message_is_one_record() {
        let form = csv("");
        assert_eq!(shown(&form, "\u{feff}\n1,2,3,4,5,6\r\n\n"), Ok("1,2,3,4,5,6"));
        assert_eq!(shown(&form, "1,2,3,4,\"5\n5\",6"), Ok("1,2,3,4,\"5\n5\",6"));
        assert_eq!(shown(&form, "\n"), Ok(""));
        assert_eq!(shown(&form, "1,2,3,4,5,6\n1,2,3,4,5,6"), Err(RejectReason::ColumnCount));
        assert_eq!(shown(&form, "1,2,3,4,\"5\n5,6"), Err(RejectReason::BadQuote));
        assert_eq!(shown(&form, &"x".repeat(101)), Err(RejectReason::TooLong));
        let form = Form::of_messages(MessageFormat::Json, &ColumnMap::default()).unwrap();
        assert_eq!(shown(&form, "{}\n{}"), Ok("{}\n{}"));
    }

    #[test]
    fn fields_of_csv_messages_are_counted_from_1() {
        let Form::Csv(layout) = csv("title=3,url=2") else { panic!() };
        assert_eq!((layout.fields, layout.n_fields), ([None, None, Some(1), Some(2), None, None], 3));
        for map in ["url=0", "url=landing", "url=-1", "url=99999999999"] {
            let error = Form::of_messages(MessageFormat::Csv, &map.parse().unwrap()).unwrap_err();
            assert_eq!(error.code, "E-COLUMN-MAP", "{map}");
        }
    }
}
