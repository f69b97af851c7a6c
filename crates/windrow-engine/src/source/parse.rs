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
use windrow_core::kept::{Kept, KeptSpan};
use windrow_core::record::{COLUMNS, RecordId, Reject, RejectReason, Row};

use crate::batch::{Quoting, RawBatch};
use crate::source::columns::Layout;
use crate::source::encoding::Encoding;
use crate::source::form::Form;

/// Where one field's value lies in [`Parser::scratch`].
type Span = (u32, u32);

/// Parses batches; holds scratch memory only, one for each thread.
#[derive(Debug, Default)]
pub struct Parser {
    /// The records of a batch in another encoding, as UTF-8.
    text: Vec<u8>,
    /// For each of them the end of its text; none of a batch in UTF-8.
    text_ends: Vec<usize>,
    /// Values that had to be put together.
    scratch: Vec<u8>,
    /// The fields of the records whose quoting is [`Quoting::Escaped`], in order of the records.
    spans: Vec<Span>,
    /// For each such record the end of its fields in `spans`.
    ends: Vec<usize>,
    /// For each record of a batch of JSON messages where its columns lie.
    messages: Vec<Result<json::Values, RejectReason>>,
    /// Where the values lie that are carried along, as many for each record.
    kept: Vec<KeptSpan>,
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
        let (mut next_escaped, n_kept) = (0, batch.form.n_kept());
        batch.records.iter().enumerate().map(move |(at, record)| {
            let origin = RecordId { source: batch.slice.source, offset: record.offset };
            let raw = batch.raw(record);
            let text = text_of(&parser.text, &parser.text_ends, raw, at);
            let escaped = next_escaped;
            next_escaped += usize::from(record.quoting == Quoting::Escaped);
            let columns = match (record.flaw, &*batch.form) {
                (Some(reason), _) => Err(reason),
                _ if !parser.text_ends.is_empty() && std::str::from_utf8(text).is_err() => Err(RejectReason::InvalidUtf8),
                (None, Form::Csv(layout)) => parser.csv(text, layout, record.quoting, escaped),
                (None, Form::Json(_)) => parser.json(text, at),
            };
            match columns {
                Ok(columns) => {
                    let spans = &parser.kept[at * n_kept..(at + 1) * n_kept];
                    Ok(Row { origin, raw, columns, kept: Kept { text, made: &parser.scratch, spans } })
                }
                Err(reason) => Err(Reject { origin, reason, raw: raw.to_vec(), beside: None }),
            }
        })
    }

    /// The values of one record that stands alone, for example a header.
    pub fn values(text: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
        let (mut scratch, mut spans) = (Vec::new(), Vec::new());
        split_escaped(text, delimiter, &mut scratch, &mut spans);
        spans.iter().map(|&(start, end)| scratch[start as usize..end as usize].to_vec()).collect()
    }

    /// Decodes the records of a batch in another encoding.
    fn decode(&mut self, batch: &RawBatch) {
        self.text.clear();
        self.text_ends.clear();
        let encoding = batch.form.encoding();
        if encoding == Encoding::Utf8 {
            return;
        }
        for record in &batch.records {
            if record.flaw.is_none() {
                encoding.decode(batch.raw(record), record.offset, &mut self.text);
            }
            self.text_ends.push(self.text.len());
        }
    }

    fn put_together(&mut self, batch: &RawBatch) {
        self.decode(batch);
        self.scratch.clear();
        self.spans.clear();
        self.ends.clear();
        self.messages.clear();
        self.kept.clear();
        let Self { text, text_ends, scratch, spans, ends, messages, kept, json } = self;
        let text = |at: usize| text_of(text, text_ends, batch.raw(&batch.records[at]), at);
        let records = batch.records.iter().enumerate();
        match &*batch.form {
            Form::Json(paths) => messages.extend(records.map(|(at, record)| {
                let read = match record.flaw {
                    Some(reason) => Err(reason),
                    None => json.read(text(at), paths, (scratch, kept)),
                };
                kept.resize((at + 1) * paths.kept.len(), KeptSpan::default());
                read
            })),
            Form::Csv(layout) => {
                for (at, record) in records {
                    let first = spans.len();
                    if record.quoting == Quoting::Escaped {
                        if record.flaw.is_none() {
                            split_escaped(text(at), layout.delimiter, scratch, spans);
                        }
                        ends.push(spans.len());
                    }
                    if record.flaw.is_none() && !layout.kept.is_empty() {
                        keep(text(at), layout, record.quoting, (&spans[first..], kept));
                    }
                    kept.resize((at + 1) * layout.kept.len(), KeptSpan::default());
                }
            }
        }
    }

    fn csv<'a>(
        &'a self,
        text: &'a [u8],
        layout: &Layout,
        quoting: Quoting,
        escaped: usize,
    ) -> Result<[&'a [u8]; COLUMNS.len()], RejectReason> {
        let columns = match quoting {
            Quoting::Plain => split(text, layout, |field| next_plain(field, layout.delimiter)),
            Quoting::Quoted => split(text, layout, |field| next_quoted(field, layout.delimiter)),
            Quoting::Escaped => self.escaped(layout, escaped),
        };
        let columns = columns.ok_or(RejectReason::ColumnCount)?;
        if text == layout.header && !text.is_empty() {
            return Err(RejectReason::RepeatedHeader);
        }
        Ok(columns)
    }

    fn json<'a>(&'a self, text: &'a [u8], at: usize) -> Result<[&'a [u8]; COLUMNS.len()], RejectReason> {
        let values = self.messages[at]?;
        Ok(std::array::from_fn(|column| {
            let (start, end) = values.spans[column];
            let from = if values.made[column] { &self.scratch } else { text };
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
}

/// A record as UTF-8, which is what it is, or what it was decoded to.
fn text_of<'a>(text: &'a [u8], ends: &[usize], raw: &'a [u8], at: usize) -> &'a [u8] {
    match ends.get(at) {
        None => raw,
        Some(end) => &text[if at == 0 { 0 } else { ends[at - 1] }..*end],
    }
}

/// Finds the values of a record that are carried along; `escaped` are its fields where they were put together.
fn keep(text: &[u8], layout: &Layout, quoting: Quoting, (escaped, kept): (&[Span], &mut Vec<KeptSpan>)) {
    let first = kept.len();
    kept.resize(first + layout.kept.len(), KeptSpan::default());
    let mut note = |field: usize, span: KeptSpan| {
        let wanted = layout.kept.iter().zip(&mut kept[first..]).filter(|(wanted, _)| **wanted as usize == field);
        wanted.for_each(|(_, place)| *place = span);
    };
    if quoting == Quoting::Escaped {
        let fields = escaped.iter().map(|&(start, end)| KeptSpan { start, end, is_made: true });
        fields.enumerate().for_each(|(field, span)| note(field, span));
        return;
    }
    let (mut rest, mut field) = (Some(text), 0);
    while let Some(from) = rest {
        let value;
        (value, rest) =
            if quoting == Quoting::Plain { next_plain(from, layout.delimiter) } else { next_quoted(from, layout.delimiter) };
        let start = value.as_ptr() as usize - text.as_ptr() as usize;
        note(field, KeptSpan { start: offset(start), end: offset(start + value.len()), is_made: false });
        field += 1;
    }
}

/// Appends the values of a record to the scratch buffer.
fn split_escaped(text: &[u8], delimiter: u8, scratch: &mut Vec<u8>, spans: &mut Vec<Span>) {
    let mut rest = Some(text);
    while let Some(field) = rest {
        let start = scratch.len();
        rest = copy_field(field, delimiter, scratch);
        spans.push((offset(start), offset(scratch.len())));
    }
}

/// Copies the first field's value and returns what follows its delimiter.
fn copy_field<'a>(field: &'a [u8], delimiter: u8, scratch: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = field;
    if let [b'"', quoted @ ..] = field {
        rest = quoted;
        loop {
            let Some(quote) = memchr(b'"', rest) else {
                scratch.extend_from_slice(rest);
                return None;
            };
            let escaped = rest.get(quote + 1) == Some(&b'"');
            scratch.extend_from_slice(&rest[..quote + usize::from(escaped)]);
            rest = &rest[quote + 1 + usize::from(escaped)..];
            if !escaped {
                break;
            }
        }
    }
    let end = memchr(delimiter, rest);
    scratch.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
    end.map(|end| &rest[end + 1..])
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
fn next_plain(field: &[u8], delimiter: u8) -> First<'_> {
    match memchr(delimiter, field) {
        Some(end) => (&field[..end], Some(&field[end + 1..])),
        None => (field, None),
    }
}

#[inline]
fn next_quoted(field: &[u8], delimiter: u8) -> First<'_> {
    let [b'"', quoted @ ..] = field else { return next_plain(field, delimiter) };
    match memchr(b'"', quoted) {
        // The scanner has seen that a delimiter or the record's end follows.
        Some(end) => (&quoted[..end], quoted.get(end + 2..).filter(|_| end + 1 < quoted.len())),
        None => (quoted, None),
    }
}

#[cfg(test)]
mod tests;
