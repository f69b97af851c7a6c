//! The nouns of the data: a row as read, a page that passed cleaning, a reject that did not.

use std::fmt;
use std::str::FromStr;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::kept::Kept;

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;

/// The six input columns, in their canonical order.
pub const COLUMNS: [&str; 6] = ["creation_time", "id", "url", "title", "keywords", "description"];

/// Where a row came from: the ordinal of its source and the offset in it (decompressed byte for text files).
///
/// Unique over a pipeline's life; written as `source:offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// Ordinal of the source, in the order in which the pipeline first saw it.
    pub source: u32,
    /// Offset of the row's first byte in the source, decompressed.
    pub offset: u64,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.offset)
    }
}

/// A text that is not a record id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record id is written source:offset, for example 0:4711")]
pub struct RecordIdError;

impl FromStr for RecordId {
    type Err = RecordIdError;

    fn from_str(text: &str) -> Result<Self, RecordIdError> {
        let (source, offset) = text.split_once(':').ok_or(RecordIdError)?;
        Ok(Self { source: source.parse().map_err(|_| RecordIdError)?, offset: offset.parse().map_err(|_| RecordIdError)? })
    }
}

/// Six raw columns as read, with where they came from. Columns that the source does not have are empty.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Where the row came from.
    pub origin: RecordId,
    /// The record's original bytes, without its line end.
    pub raw: &'a [u8],
    /// Column values in the order of [`COLUMNS`].
    pub columns: [&'a [u8]; 6],
    /// Values of the columns that are carried along.
    pub kept: Kept<'a>,
}

/// Why a row became a reject. The code is what files, topics, counters and people see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RejectReason {
    /// None of url, title, keywords and description holds anything.
    EmptyPage,
    /// A column is not UTF-8.
    InvalidUtf8,
    /// The creation time is there but in no form that is understood.
    BadTime,
    /// The record has another number of columns than the header.
    ColumnCount,
    /// A quote is never closed, or text follows a closing quote, in a record that spans lines.
    BadQuote,
    /// The record is longer than the limit.
    TooLong,
    /// The header line came again.
    RepeatedHeader,
    /// The message is no JSON object.
    BadJson,
    /// Where a text, a number or a list of them is wanted, the message holds an object.
    WrongType,
    /// The message has no value: it deletes its key.
    Tombstone,
    /// A column that a rule wants filled is not.
    MissingField,
    /// A column, or all together, have more characters than a rule allows.
    FieldTooLong,
    /// The page is in another language than a rule wants.
    OtherLanguage,
    /// The description has other characters than the profile `original` keeps.
    OtherCharacter,
    /// The page's texts stood among the last pages.
    Duplicate,
}

impl RejectReason {
    /// Every reason there is.
    pub const ALL: [Self; 15] = [
        Self::EmptyPage,
        Self::InvalidUtf8,
        Self::BadTime,
        Self::ColumnCount,
        Self::BadQuote,
        Self::TooLong,
        Self::RepeatedHeader,
        Self::BadJson,
        Self::WrongType,
        Self::Tombstone,
        Self::MissingField,
        Self::FieldTooLong,
        Self::OtherLanguage,
        Self::OtherCharacter,
        Self::Duplicate,
    ];

    /// Its place in [`Self::ALL`], which is the order of the variants: where counts by reason have it.
    pub fn place(self) -> usize {
        self as usize
    }

    /// The code of the reason, as written to outputs.
    pub fn code(self) -> &'static str {
        match self {
            Self::EmptyPage => "empty_page",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::BadTime => "bad_time",
            Self::ColumnCount => "column_count",
            Self::BadQuote => "bad_quote",
            Self::TooLong => "too_long",
            Self::RepeatedHeader => "repeated_header",
            Self::BadJson => "bad_json",
            Self::WrongType => "wrong_type",
            Self::Tombstone => "tombstone",
            Self::MissingField => "missing_field",
            Self::FieldTooLong => "field_too_long",
            Self::OtherLanguage => "other_language",
            Self::OtherCharacter => "other_character",
            Self::Duplicate => "duplicate",
        }
    }

    /// The reason as a sentence without its end.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::EmptyPage => "none of url, title, keywords and description holds anything",
            Self::InvalidUtf8 => "a column is not UTF-8",
            Self::BadTime => "the creation time is in no form that is understood",
            Self::ColumnCount => "the record has another number of columns than it should",
            Self::BadQuote => "a quote is never closed, or text follows a closing quote",
            Self::TooLong => "the record is longer than the limit",
            Self::RepeatedHeader => "the header line came again",
            Self::BadJson => "the message is no JSON object",
            Self::WrongType => "where a text, a number or a list of them is wanted, the message holds an object",
            Self::Tombstone => "the message has no value: it deletes its key",
            Self::MissingField => "a column that must hold something is empty",
            Self::FieldTooLong => "a column, or all together, have more characters than the rules allow",
            Self::OtherLanguage => "the page is in another language than the rules want",
            Self::OtherCharacter => "the description has other characters than the profile `original` keeps",
            Self::Duplicate => "url, title, keywords and description are those of a page among the last ones",
        }
    }
}

/// A row that did not become a page: why, and the bytes as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Where the row came from.
    pub origin: RecordId,
    /// Why it was rejected.
    pub reason: RejectReason,
    /// The record's original bytes.
    pub raw: Vec<u8>,
    /// What came beside them.
    pub beside: Option<Beside>,
}

/// What comes beside the bytes of a record where records are messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// What the message is keyed by.
    pub key: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A column of strings in one buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextColumn {
    /// All values, one after the other.
    pub values: String,
    /// End of each value in `values`.
    pub ends: Vec<u32>,
}

impl TextColumn {
    /// Appends a value.
    pub fn push(&mut self, value: &str) {
        self.values.push_str(value);
        self.ends.push(u32::try_from(self.values.len()).expect("a batch holds less than 4 GiB of text"));
    }

    /// The value at `index`.
    pub fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.values[start..self.ends[index] as usize]
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Drops all values and keeps the memory.
    pub fn clear(&mut self) {
        self.values.clear();
        self.ends.clear();
    }
}

/// Pages of one batch as columns, in the order of their rows, with their terms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pages {
    /// Where each page came from.
    pub origin: Vec<RecordId>,
    /// Event time of each page, when it has one.
    pub creation_time: Vec<Option<Micros>>,
    /// The campaign's id.
    pub id: TextColumn,
    /// The page's address as read.
    pub url: TextColumn,
    /// The title as read.
    pub title: TextColumn,
    /// The keywords as read.
    pub keywords: TextColumn,
    /// The description as read.
    pub description: TextColumn,
    /// Registrable domain, or the address of an IP host; empty when the page has no host.
    pub domain: TextColumn,
    /// Columns that are carried along, as read.
    pub kept: Vec<TextColumn>,
    /// The pages' terms.
    pub terms: crate::featurize::Terms,
    /// Where they lie on their sites, and by what their copies are known. Written behind everything else where pages travel.
    #[serde(skip)]
    pub marks: crate::featurize::Marks,
}

impl Pages {
    /// Number of pages.
    pub fn len(&self) -> usize {
        self.origin.len()
    }

    /// Whether there are no pages.
    pub fn is_empty(&self) -> bool {
        self.origin.is_empty()
    }

    /// Some of the pages, in this order: what preparing their rows alone would have given. Terms are numbered anew as they appear.
    #[must_use]
    pub fn only(&self, rows: &(impl Iterator<Item = usize> + Clone)) -> Self {
        let mut some = Self::default();
        some.append(self, rows, &mut FxHashMap::default());
        some
    }

    /// Puts some pages behind these. `numbers` has the numbers of the terms that are there, by their hashes.
    pub fn append(&mut self, more: &Self, rows: &(impl Iterator<Item = usize> + Clone), numbers: &mut FxHashMap<u64, u32>) {
        self.origin.extend(rows.clone().map(|row| more.origin[row]));
        self.creation_time.extend(rows.clone().map(|row| more.creation_time[row]));
        self.kept.resize_with(more.kept.len(), TextColumn::default);
        let columns = [
            (&mut self.id, &more.id),
            (&mut self.url, &more.url),
            (&mut self.title, &more.title),
            (&mut self.keywords, &more.keywords),
            (&mut self.description, &more.description),
            (&mut self.domain, &more.domain),
        ];
        for (column, more) in columns.into_iter().chain(self.kept.iter_mut().zip(&more.kept)) {
            rows.clone().for_each(|row| column.push(more.get(row)));
        }
        self.marks.weight = more.marks.weight;
        let terms = &mut self.terms;
        for row in rows.clone() {
            for entry in more.terms.entries(row) {
                let old = more.terms.term[entry] as usize;
                let new = *numbers.entry(more.terms.hash[old]).or_insert_with(|| {
                    terms.hash.push(more.terms.hash[old]);
                    terms.kind.push(more.terms.kind[old]);
                    terms.text.push(more.terms.text.get(old));
                    u32::try_from(terms.hash.len() - 1).expect("terms in memory")
                });
                terms.term.push(new);
                terms.weight.push(more.terms.weight[entry]);
            }
            terms.ends.push(u32::try_from(terms.term.len()).expect("entries in memory"));
            self.marks.push(more.marks.site[row], more.marks.segments(row), more.marks.copy[row]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_ids_are_read_as_written() {
        let id = RecordId { source: 3, offset: u64::MAX };
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "3", ":", "3:", "-1:0", "0:x", "4294967296:0"] {
            assert_eq!(text.parse::<RecordId>(), Err(RecordIdError), "{text}");
        }
    }

    #[test]
    fn reasons_have_codes_of_their_own() {
        let codes: std::collections::BTreeSet<_> = RejectReason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), RejectReason::ALL.len());
        assert!(RejectReason::ALL.iter().enumerate().all(|(place, reason)| reason.place() == place));
    }

    #[test]
    fn columns_hold_their_values() {
        let mut column = TextColumn::default();
        ["a", "", "ñandú"].iter().for_each(|value| column.push(value));
        assert_eq!((column.len(), column.get(0), column.get(1), column.get(2)), (3, "a", "", "ñandú"));
        column.clear();
        assert!(column.is_empty());
    }
}
