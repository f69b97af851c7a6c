//! How a file is written: CSV with a delimiter or JSON Lines, in an encoding, or Parquet; and how that is found.
//!
//! What the user does not say is found from the head of the file, by rules that a person can follow and that look only at bytes which
//! stay when the file grows: its first bytes (encoding), its first character that is not blank (format), its header (delimiter).
//! Nothing is taken for cp1252 unless somebody says so: a wrong guess would change letters in silence, where a row that is no
//! UTF-8 is a reject that can be seen. What was found belongs to the source: it is kept with its position, and the file is read
//! in this way for good, also by the audit.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use windrow_core::record::RejectReason;

use super::columns::{ColumnMap, Layout};
use super::encoding::Encoding;
use super::file::BYTE_ORDER_MARK;
use super::form::{Form, JsonPaths};
use super::parquet;
use super::parse::Parser;
use super::scan::Scanner;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::words;

/// What stands between two fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delimiter {
    /// `,`
    #[default]
    #[serde(rename = ",")]
    Comma,
    /// `;`
    #[serde(rename = ";")]
    Semicolon,
    /// A tab.
    #[serde(rename = "tab")]
    Tab,
    /// `|`
    #[serde(rename = "|")]
    Bar,
}

words!(Delimiter { Comma = ",", Semicolon = ";", Tab = "tab", Bar = "|" });

impl Delimiter {
    /// All of them; of equals the first is taken.
    const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar];

    /// Its byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub enum Written {
    /// Records of fields under a header.
    Csv {
        /// Between the fields.
        delimiter: Delimiter,
        /// Of its bytes.
        encoding: Encoding,
    },
    /// A JSON object a line.
    Jsonl {
        /// Of its bytes.
        encoding: Encoding,
    },
    /// Columns in row groups.
    Parquet,
}

impl Written {
    /// How every file was read before it was kept: CSV with commas in UTF-8.
    pub const USUAL: Self = Self::Csv { delimiter: Delimiter::Comma, encoding: Encoding::Utf8 };

    /// Its encoding.
    pub fn encoding(self) -> Encoding {
        match self {
            Self::Csv { encoding, .. } | Self::Jsonl { encoding } => encoding,
            Self::Parquet => Encoding::Utf8,
        }
    }

    /// The words of the settings that say so: format, delimiter (of CSV alone), encoding.
    pub fn words(self) -> (&'static str, Option<&'static str>, &'static str) {
        let encoding = self.encoding().name();
        match self {
            Self::Csv { delimiter, .. } => ("csv", Some(delimiter.name()), encoding),
            Self::Jsonl { .. } => ("jsonl", None, encoding),
            Self::Parquet => ("parquet", None, encoding),
        }
    }
}

/// The format of files, as it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AskedFormat {
    /// As each file is found to be.
    #[default]
    Auto,
    /// Records of fields under a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Columns in row groups.
    Parquet,
}

words!(AskedFormat { Auto = "auto", Csv = "csv", Jsonl = "jsonl", Parquet = "parquet" });

/// The delimiter of files, as it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AskedDelimiter {
    /// As each file is found to be.
    #[default]
    Auto,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
    /// `|`
    Bar,
}

words!(AskedDelimiter { Auto = "auto", Comma = ",", Semicolon = ";", Tab = "tab", Bar = "|" });

/// The encoding of files, as it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AskedEncoding {
    /// UTF-16 where the first bytes say so, else UTF-8.
    #[default]
    Auto,
    /// UTF-8.
    Utf8,
    /// UTF-16 in the order that the first bytes say, else the low byte first.
    Utf16,
    /// UTF-16, the low byte first.
    Utf16le,
    /// UTF-16, the high byte first.
    Utf16be,
    /// Windows' encoding of western Europe.
    Cp1252,
}

words!(AskedEncoding {
    Auto = "auto",
    Utf8 = "utf-8",
    Utf16 = "utf-16",
    Utf16le = "utf-16le",
    Utf16be = "utf-16be",
    Cp1252 = "cp1252"
});

/// How files are written, as far as it is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Their format.
    pub format: AskedFormat,
    /// Between their fields.
    pub delimiter: AskedDelimiter,
    /// Of their bytes.
    pub encoding: AskedEncoding,
}

impl Asked {
    /// Exactly so.
    pub fn exactly(written: Written) -> Self {
        let (format, delimiter, encoding) = written.words();
        Self {
            format: AskedFormat::named(format).unwrap_or_default(),
            delimiter: delimiter.and_then(AskedDelimiter::named).unwrap_or_default(),
            encoding: AskedEncoding::named(encoding).unwrap_or_default(),
        }
    }

    /// Settings that ask for another way than a file was read in: key, what was, what is asked for.
    pub fn others(self, known: Written) -> Vec<(&'static str, &'static str, &'static str)> {
        let (format, delimiter, encoding) = known.words();
        let mut others = Vec::new();
        if self.format != AskedFormat::Auto && self.format.name() != format {
            others.push(("source.input_format", format, self.format.name()));
        }
        if let Some(was) = delimiter.filter(|was| self.delimiter != AskedDelimiter::Auto && self.delimiter.name() != *was) {
            others.push(("source.delimiter", was, self.delimiter.name()));
        }
        let is_same = match self.encoding {
            AskedEncoding::Auto => true,
            // Its texts say nothing of it, and those of other files may.
            _ if known == Written::Parquet => true,
            AskedEncoding::Utf16 => known.encoding().is_wide(),
            asked => asked.name() == encoding,
        };
        if !is_same {
            others.push(("source.encoding", encoding, self.encoding.name()));
        }
        others
    }

    /// The encoding of a file that begins with these bytes.
    pub(super) fn encoding(self, head: &[u8]) -> Encoding {
        match self.encoding {
            AskedEncoding::Auto => Encoding::utf16_of(head).unwrap_or_default(),
            AskedEncoding::Utf8 => Encoding::Utf8,
            AskedEncoding::Utf16 => Encoding::utf16_of(head).unwrap_or(Encoding::Utf16le),
            AskedEncoding::Utf16le => Encoding::Utf16le,
            AskedEncoding::Utf16be => Encoding::Utf16be,
            AskedEncoding::Cp1252 => Encoding::Cp1252,
        }
    }

    /// The delimiter, if it is said.
    fn delimiter(self) -> Option<Delimiter> {
        Delimiter::named(self.delimiter.name())
    }
}

/// What is known before a file is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// How it was read before.
    pub(crate) known: Option<Written>,
    /// What the user says.
    pub(crate) asked: Asked,
    /// What it calls our columns.
    pub(crate) columns: &'a ColumnMap,
    /// Bytes of the longest record.
    pub(crate) limit: usize,
}

impl Look<'_> {
    /// How the file that begins with `bytes` is written, and the form of its records. None where more bytes are needed; where there
    /// are no more, it has no rows yet.
    pub(crate) fn form(&self, bytes: &[u8], ended: bool) -> Result<Option<(Written, Form)>> {
        let (encoding, text) = self.text(bytes);
        let Some((written, header)) = self.written(encoding, &text, ended)? else { return Ok(None) };
        let form = match written {
            Written::Jsonl { .. } | Written::Parquet => Form::Json(JsonPaths::new(self.columns).in_encoding(encoding)),
            Written::Csv { delimiter, .. } => {
                let layout = Layout::from_header(header, delimiter.byte(), self.columns, self.name)
                    .map_err(|error| if text.starts_with(b"[") { error.hint(ONE_A_LINE) } else { error })?;
                Form::Csv(Layout { encoding, ..layout })
            }
        };
        Ok(Some((written, form)))
    }

    fn asked(&self) -> Asked {
        self.known.map_or(self.asked, Asked::exactly)
    }

    /// The encoding of the file that begins with `bytes`, and their text.
    pub(crate) fn text<'b>(&self, bytes: &'b [u8]) -> (Encoding, Cow<'b, [u8]>) {
        let encoding = self.asked().encoding(bytes);
        if encoding == Encoding::Utf8 {
            return (encoding, Cow::Borrowed(bytes));
        }
        let mut text = Vec::new();
        encoding.decode(bytes, 0, &mut text);
        (encoding, Cow::Owned(text))
    }

    /// How the file that begins with this text is written, and its header; JSON Lines have none.
    pub(super) fn written<'t>(&self, encoding: Encoding, text: &'t [u8], ended: bool) -> Result<Option<(Written, &'t [u8])>> {
        let asked = self.asked();
        let first = first_of(text);
        if asked.format == AskedFormat::Parquet || asked.format == AskedFormat::Auto && parquet::begins(text) {
            return Err(Error::new(ErrorKind::Invalid, "E-INPUT-PARQUET", format!("{} cannot be read as Parquet", self.name))
                .hint("Parquet is read from its end: write it to a file first, and give that to --input"));
        }
        let is_jsonl = match (asked.format, first) {
            (AskedFormat::Csv, _) => false,
            (_, None) if ended || text.len() < self.limit => return Ok(None),
            (AskedFormat::Jsonl | AskedFormat::Parquet, _) => true,
            (AskedFormat::Auto, first) => first == Some(b'{') || is_jsonl_by_name(self.name),
        };
        if is_jsonl {
            return Ok(Some((Written::Jsonl { encoding }, &text[..0])));
        }
        let header = self.header(text, ended, asked.delimiter())?;
        Ok(header.map(|(delimiter, header)| (Written::Csv { delimiter, encoding }, header)))
    }

    /// The header, and its delimiter: the one that is said, else the one under which the header names most of our columns; of equals
    /// the one that makes most fields, and the comma before others.
    fn header<'t>(&self, text: &'t [u8], ended: bool, said: Option<Delimiter>) -> Result<Option<(Delimiter, &'t [u8])>> {
        let mut best: Option<((usize, usize), Delimiter, &[u8])> = None;
        let mut is_too_long = false;
        for delimiter in Delimiter::ALL.into_iter().filter(|delimiter| said.is_none_or(|said| said == *delimiter)) {
            let header = match Header::find(text, ended, delimiter.byte(), self.limit) {
                Some(header) if header.is_too_long => {
                    is_too_long = true;
                    continue;
                }
                Some(header) => &text[header.start..header.end],
                None if ended => continue,
                None => return Ok(None),
            };
            let values = Parser::values(header, delimiter.byte());
            let rank = (self.columns.n_named(&values), values.len());
            if best.is_none_or(|(other, ..)| rank > other) {
                best = Some((rank, delimiter, header));
            }
        }
        match best {
            None if is_too_long => {
                let message = format!("the header line of {} is longer than {} bytes", self.name, self.limit);
                Err(Error::new(ErrorKind::Invalid, "E-INPUT-COLUMNS", message).hint("is it a CSV file with a header?"))
            }
            best => Ok(best.map(|(_, delimiter, header)| (delimiter, header))),
        }
    }
}

/// Where the first record of a file of this form may start in the scanned text: behind byte order mark and header. None where more
/// bytes are needed.
pub(crate) fn start(form: &Form, text: &[u8], ended: bool, limit: usize) -> Option<usize> {
    match form {
        Form::Csv(layout) => Header::find(text, ended, layout.delimiter, limit).map(|header| header.next),
        Form::Json(_) => (ended || text.len() >= BYTE_ORDER_MARK.len()).then(|| mark(text)),
    }
}

const ONE_A_LINE: &str =
    "a JSON document is not read as a whole: write an object a line (jq -c '.[]' pages.json > pages.jsonl)";

/// Length of the byte order mark.
pub(super) fn mark(text: &[u8]) -> usize {
    if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
}

/// The first byte that is not blank.
fn first_of(text: &[u8]) -> Option<u8> {
    text[mark(text)..].iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Whether a file is called as JSON Lines are.
fn is_jsonl_by_name(name: &str) -> bool {
    let name = name.to_lowercase();
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    plain.ends_with(".jsonl") || plain.ends_with(".ndjson")
}

/// Where the header lies in the first bytes of a file, as text.
struct Header {
    start: usize,
    end: usize,
    /// Where the first record may start.
    next: usize,
    is_too_long: bool,
}

impl Header {
    /// The header in `text`; none while it has no line end, as a file that is being written may only hold a part of it.
    fn find(text: &[u8], ended: bool, delimiter: u8, limit: usize) -> Option<Self> {
        if text.len() < BYTE_ORDER_MARK.len() && !ended {
            return None;
        }
        let mut scanner = Scanner::new(None, limit).separated_by(delimiter).starting_at(mark(text));
        let found = scanner.next(text, ended)?;
        let is_too_long = found.flaw == Some(RejectReason::TooLong);
        (is_too_long || found.end < text.len()).then(|| Self {
            start: found.start,
            end: found.end,
            next: scanner.done(),
            is_too_long,
        })
    }
}

#[cfg(test)]
mod tests;
