//! What stands at the head of a file that was read: written before some of its records, they read as they did.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::columns::{ColumnMap, names};
use super::decompress::Decompressed;
use super::encoding::{Encoding, wide_len};
use super::file::Probe;
use super::form::Form;
use super::parse::Parser;
use super::written::{self, Asked, Written, mark};
use super::{Limits, SourcePosition};
use crate::error::{Error, ErrorKind, Result};

/// How much is read at a time; few headers are longer.
const PIECE: u64 = 4 << 10;

/// The head of a file, and the form of its records.
#[derive(Debug)]
pub(crate) struct Head {
    /// Byte order mark and header as they were, and a line end.
    pub(crate) bytes: Vec<u8>,
    /// How its records are written: as the file is, but those of Parquet, which are objects.
    pub(crate) written: Written,
    /// Whether a line that is too long comes in pieces, which follow each other by their offsets.
    pub(crate) has_pieces: bool,
    form: Arc<Form>,
}

impl Head {
    /// The head of a file that was read; it must still be there, and begin as it did.
    pub(crate) fn of(source: &SourcePosition, columns: &ColumnMap, limits: &Limits) -> Result<Self> {
        let path = Path::new(&source.name);
        let no_head = |error: Error| {
            error.hint("its header stands before its rejects when they are read again: put the file back as it was")
        };
        let mut probe = Probe::new(path).map_err(no_head)?;
        let written = source.written().filter(|_| probe.begins_like(source)).ok_or_else(|| no_head(other_file(source)))?;
        probe.find_form(Some(written), Asked::exactly(written), columns, limits).map_err(no_head)?;
        let Some((_, form)) = probe.form else { return Err(no_head(other_file(source))) };
        if written == Written::Parquet {
            // Its rejects are objects, one a line.
            let written = Written::Jsonl { encoding: Encoding::Utf8 };
            return Ok(Self { bytes: Vec::new(), written, form, has_pieces: false });
        }
        let mut bytes = head(path, &form, limits.record_bytes).map_err(|error| no_head(other_file(source).cause(error)))?;
        if matches!(&*form, Form::Csv(_)) {
            // Of a carriage return with a line feed the header has only the first: a line of the new file ends as its others do.
            let [feed, carriage] = [b"\n", b"\r"].map(|end: &[u8; 1]| encoded(end, form.encoding()));
            while bytes.ends_with(&feed) || bytes.ends_with(&carriage) {
                bytes.truncate(bytes.len() - feed.len());
            }
            bytes.extend_from_slice(&feed);
        }
        Ok(Self { bytes, written, form, has_pieces: true })
    }

    /// Whether these bytes, followed by a line end, are one record and no more: an open quote, or half a character, would take in what is
    /// written behind them.
    pub(crate) fn holds(&self, raw: &[u8], limit: usize) -> bool {
        let encoding = self.form.encoding();
        if encoding.is_wide() && raw.len() % 2 == 1 {
            return false;
        }
        let mut text = text_of(encoding, raw);
        let end = text.len();
        text.push(b'\n');
        let found = self.form.scanner(limit).next(&text, false);
        found.is_some_and(|found| (found.start, found.end) == (0, end))
    }

    /// The end of a line.
    pub(crate) fn line_end(&self) -> Vec<u8> {
        encoded(b"\n", self.form.encoding())
    }

    /// Whether a file that begins with these bytes is known to be in this encoding without a word from the user.
    pub(crate) fn says_its_encoding(&self) -> bool {
        Asked::default().encoding(&self.bytes) == self.form.encoding()
    }

    /// The head with the columns called as `known` calls them, where they are called as in `given`.
    ///
    /// # Errors
    /// `E-COLUMN-MAP`: there is no header, or a name cannot be written. `E-INPUT-COLUMNS`: a column of `given` is not there.
    pub(crate) fn renamed(&self, given: &ColumnMap, known: &ColumnMap, name: &str) -> Result<Vec<u8>> {
        let no = |message: String| Error::new(ErrorKind::Invalid, "E-COLUMN-MAP", message);
        let Form::Csv(layout) = &*self.form else {
            return Err(no(format!("{name} has no header whose columns could be called otherwise"))
                .hint("leave --columns out, and change the names in the file that is written"));
        };
        let text = text_of(layout.encoding, &self.bytes);
        let (before, rest) = text.split_at(mark(&text));
        let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let start = rest.iter().position(|byte| !is_line_end(byte)).unwrap_or(rest.len());
        let end = rest.iter().rposition(|byte| !is_line_end(byte)).map_or(start, |last| last + 1);
        let record = &rest[start..end];
        let mut values = Parser::values(record, layout.delimiter);
        let found = names(&values);
        let position = |wanted: &str| found.iter().position(|name| name.eq_ignore_ascii_case(wanted.trim()));
        for column in (0..COLUMNS).filter(|column| given.given(*column).is_some()) {
            let (theirs, ours) = (given.name(column), known.name(column));
            let Some(at) = position(theirs) else {
                let message = format!("{name} has no column {theirs:?}; it has {}", found.join(", "));
                return Err(Error::new(ErrorKind::Invalid, "E-INPUT-COLUMNS", message));
            };
            if !ours.is_ascii() && layout.encoding == Encoding::Cp1252 {
                return Err(no(format!("{ours:?} cannot be written in cp1252 here")));
            }
            if let Some(other) = position(ours).filter(|other| *other != at) {
                values[other] = format!("not-{ours}").into_bytes();
            }
            ours.as_bytes().clone_into(&mut values[at]);
        }
        let mut line = before.to_vec();
        for (at, value) in values.iter().enumerate() {
            line.extend((at > 0).then_some(layout.delimiter));
            line.extend(quoted(value, layout.delimiter));
        }
        line.push(b'\n');
        Ok(encoded(&line, layout.encoding))
    }
}

/// What the scanner reads.
fn text_of(encoding: Encoding, raw: &[u8]) -> Vec<u8> {
    if !encoding.is_wide() {
        return raw.to_vec();
    }
    let mut text = Vec::new();
    encoding.decode(raw, 0, &mut text);
    text
}

/// Our columns.
const COLUMNS: usize = windrow_core::record::COLUMNS.len();

fn other_file(source: &SourcePosition) -> Error {
    let message = format!("{} is not the file any more that was read", source.name);
    Error::new(ErrorKind::Invalid, "E-REJECTS-INPUT", message)
}

/// The bytes before the first record.
fn head(path: &Path, form: &Form, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut input = Decompressed::open(File::open(path)?, 0)?;
    let mut bytes = Vec::new();
    loop {
        let got = (&mut input).take(PIECE).read_to_end(&mut bytes)?;
        let is_wide = form.encoding().is_wide();
        // Half a character waits for its rest.
        let text = text_of(form.encoding(), if is_wide { &bytes[..bytes.len() / 2 * 2] } else { &bytes });
        let ended = got == 0;
        if let Some(start) = written::start(form, &text, ended, limit) {
            let length = if is_wide { wide_len(&text[..start]) } else { start };
            bytes.truncate(length);
            return Ok(bytes);
        }
        if ended {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A field as it stands in a record.
fn quoted(value: &[u8], delimiter: u8) -> Vec<u8> {
    let is_plain = !value.iter().any(|byte| [delimiter, b'"', b'\n', b'\r'].contains(byte));
    if is_plain {
        return value.to_vec();
    }
    let doubled = value.iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    std::iter::once(b'"').chain(doubled).chain([b'"']).collect()
}

/// What the scanner reads, as bytes of the file.
fn encoded(text: &[u8], encoding: Encoding) -> Vec<u8> {
    let units = || String::from_utf8_lossy(text).encode_utf16().collect::<Vec<_>>();
    match encoding {
        Encoding::Utf16le => units().into_iter().flat_map(u16::to_le_bytes).collect(),
        Encoding::Utf16be => units().into_iter().flat_map(u16::to_be_bytes).collect(),
        Encoding::Utf8 | Encoding::Cp1252 => text.to_vec(),
    }
}
