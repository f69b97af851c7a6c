//! Splits scanned records into fields: a [`RawBatch`] becomes rows and rejects. What is here is CSV; [`json`] has the other form.
//!
//! Almost every field stands in the record as it is, so rows borrow it from there. Only values with `""` in them, or with text
//! after their closing quote, must be put together; the scanner has marked the records that hold such values, and they are
//! written into one scratch buffer before the first row is handed out.
//!
//! Written by hand, not with `csv-core`, because that copies every field (and costs as much as all the rest of reading); a test
//! holds both against each other.

pub(super) mod json;

use memchr::memchr;
use windrow_core::record::{COLUMNS, RecordId, Reject, RejectReason, Row};

use crate::batch::{Quoting, RawBatch};
use crate::source::columns::Layout;
use crate::source::form::Form;

/// Where one field's value lies in [`Parser::scratch`].
type Span = (u32, u32);

/// Parses batches; holds scratch memory only, one for each thread.
#[derive(Debug, Default)]
pub struct Parser {
    /// Values that had to be put together.
    scratch: Vec<u8>,
    /// The fields of the records whose quoting is [`Quoting::Escaped`], in order of the records.
    spans: Vec<Span>,
    /// For each such record the end of its fields in `spans`.
    ends: Vec<usize>,
    /// For each record of a batch of JSON messages where its columns lie.
    messages: Vec<Result<json::Values, RejectReason>>,
    json: json::Reader,
}

impl Parser {
    /// A parser.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rows and rejects of a batch, one for each record, in order.
    pub fn parse<'a>(&'a mut self, batch: &'a RawBatch) -> impl Iterator<Item = Result<Row<'a>, Reject>> {
        self.put_together(batch);
        let parser: &'a Self = self;
        let mut next_escaped = 0;
        batch.records.iter().enumerate().map(move |(at, record)| {
            let origin = RecordId { source: batch.slice.source, offset: record.offset };
            let raw = batch.raw(record);
            let escaped = next_escaped;
            next_escaped += usize::from(record.quoting == Quoting::Escaped);
            let columns = match (record.flaw, &*batch.form) {
                (Some(reason), _) => Err(reason),
                (None, Form::Csv(layout)) => parser.csv(raw, layout, record.quoting, escaped),
                (None, Form::Json(_)) => parser.json(raw, at),
            };
            match columns {
                Ok(columns) => Ok(Row { origin, raw, columns }),
                Err(reason) => Err(Reject { origin, reason, raw: raw.to_vec(), beside: None }),
            }
        })
    }

    /// The values of one record that stands alone, for example a header.
    pub fn values(raw: &[u8]) -> Vec<Vec<u8>> {
        let mut parser = Self::default();
        parser.split_escaped(raw);
        parser.spans.iter().map(|&(start, end)| parser.scratch[start as usize..end as usize].to_vec()).collect()
    }

    fn put_together(&mut self, batch: &RawBatch) {
        self.scratch.clear();
        self.spans.clear();
        self.ends.clear();
        self.messages.clear();
        if let Form::Json(paths) = &*batch.form {
            let Self { scratch, messages, json, .. } = self;
            messages.extend(batch.records.iter().map(|record| match record.flaw {
                Some(reason) => Err(reason),
                None => json.read(batch.raw(record), paths, scratch),
            }));
            return;
        }
        for record in batch.records.iter().filter(|record| record.quoting == Quoting::Escaped) {
            if record.flaw.is_none() {
                self.split_escaped(batch.raw(record));
            }
            self.ends.push(self.spans.len());
        }
    }

    fn csv<'a>(
        &'a self,
        raw: &'a [u8],
        layout: &Layout,
        quoting: Quoting,
        escaped: usize,
    ) -> Result<[&'a [u8]; COLUMNS.len()], RejectReason> {
        let columns = match quoting {
            Quoting::Plain => split(raw, layout, next_plain),
            Quoting::Quoted => split(raw, layout, next_quoted),
            Quoting::Escaped => self.escaped(layout, escaped),
        };
        let columns = columns.ok_or(RejectReason::ColumnCount)?;
        if raw == layout.header && !raw.is_empty() {
            return Err(RejectReason::RepeatedHeader);
        }
        Ok(columns)
    }

    fn json<'a>(&'a self, raw: &'a [u8], at: usize) -> Result<[&'a [u8]; COLUMNS.len()], RejectReason> {
        let values = self.messages[at]?;
        Ok(std::array::from_fn(|column| {
            let (start, end) = values.spans[column];
            let from = if values.made[column] { &self.scratch } else { raw };
            &from[start as usize..end as usize]
        }))
    }

    fn escaped(&self, layout: &Layout, index: usize) -> Option<[&[u8]; 6]> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let spans = &self.spans[start..self.ends[index]];
        let value = |(start, end): Span| &self.scratch[start as usize..end as usize];
        (spans.len() == layout.n_fields || layout.or_more && spans.len() > layout.n_fields)
            .then(|| layout.fields.map(|field| field.map_or(&[][..], |field| value(spans[field as usize]))))
    }

    /// Appends the values of a record to the scratch buffer.
    fn split_escaped(&mut self, raw: &[u8]) {
        let mut rest = Some(raw);
        while let Some(field) = rest {
            let start = self.scratch.len();
            rest = self.copy_field(field);
            self.spans.push((offset(start), offset(self.scratch.len())));
        }
    }

    /// Copies the first field's value and returns what follows its delimiter.
    fn copy_field<'a>(&mut self, field: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = field;
        if let [b'"', quoted @ ..] = field {
            rest = quoted;
            loop {
                let Some(quote) = memchr(b'"', rest) else {
                    self.scratch.extend_from_slice(rest);
                    return None;
                };
                let escaped = rest.get(quote + 1) == Some(&b'"');
                self.scratch.extend_from_slice(&rest[..quote + usize::from(escaped)]);
                rest = &rest[quote + 1 + usize::from(escaped)..];
                if !escaped {
                    break;
                }
            }
        }
        let end = memchr(b',', rest);
        self.scratch.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
        end.map(|end| &rest[end + 1..])
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a batch holds less than 4 GiB")
}

/// The value of a record's first field, and what follows its delimiter.
type First<'a> = (&'a [u8], Option<&'a [u8]>);

/// Splits a record with `next`, which returns a field's value and what follows its delimiter; `None` when the number of fields
/// is wrong.
#[inline]
fn split<'a>(raw: &'a [u8], layout: &Layout, next: impl Fn(&'a [u8]) -> First<'a>) -> Option<[&'a [u8]; 6]> {
    if layout.n_fields > MOST_FIELDS {
        return split_many(raw, layout, next);
    }
    let mut values: [&[u8]; MOST_FIELDS] = [&[]; MOST_FIELDS];
    let mut rest = Some(raw);
    let mut count = 0;
    while let Some(field) = rest {
        if count == layout.n_fields && layout.or_more {
            break;
        }
        let value;
        (value, rest) = next(field);
        *values.get_mut(count).filter(|_| count < layout.n_fields)? = value;
        count += 1;
    }
    (count == layout.n_fields).then(|| pick(layout, &values))
}

/// Up to so many fields a record is split without allocating.
const MOST_FIELDS: usize = 16;

fn split_many<'a>(raw: &'a [u8], layout: &Layout, next: impl Fn(&'a [u8]) -> First<'a>) -> Option<[&'a [u8]; 6]> {
    let mut values = Vec::with_capacity(layout.n_fields);
    let mut rest = Some(raw);
    while let Some(field) = rest {
        let value;
        (value, rest) = next(field);
        values.push(value);
    }
    (values.len() == layout.n_fields || layout.or_more && values.len() > layout.n_fields).then(|| pick(layout, &values))
}

fn pick<'a>(layout: &Layout, values: &[&'a [u8]]) -> [&'a [u8]; COLUMNS.len()] {
    layout.fields.map(|field| field.map_or(&[][..], |field| values[field as usize]))
}

#[inline]
fn next_plain(field: &[u8]) -> First<'_> {
    match memchr(b',', field) {
        Some(end) => (&field[..end], Some(&field[end + 1..])),
        None => (field, None),
    }
}

#[inline]
fn next_quoted(field: &[u8]) -> First<'_> {
    let [b'"', quoted @ ..] = field else { return next_plain(field) };
    match memchr(b'"', quoted) {
        // The scanner has seen that a delimiter or the record's end follows.
        Some(end) => (&quoted[..end], quoted.get(end + 2..).filter(|_| end + 1 < quoted.len())),
        None => (quoted, None),
    }
}

#[cfg(test)]
mod tests;
