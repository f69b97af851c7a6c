//! JSON messages, and the lines of JSON Lines files: one object each, our six columns by name or by a dotted way into it.
//!
//! serde_json finds where values lie and what is no JSON; numbers keep all their digits that way, as nothing is made of them.
//! A value is borrowed from the message where it stands as it is, and is written into the parser's scratch buffer where it has
//! escapes (Python's `json.dumps` escapes every letter beyond ASCII) or is a list. Nothing else is copied, and no value
//! allocates.
//!
//! Python also writes `NaN`, `Infinity` and `-Infinity`, bare, which is no JSON: pandas gives `NaN` for every missing cell, so
//! the original's producer writes them in most messages. They are empty values here. Such a message is copied with a number of the
//! same length in their place; all else lies where it lay, so the values are still taken from the original bytes.

use std::fmt;

use memchr::{memchr, memchr2, memchr3, memmem};
use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;
use windrow_core::kept::KeptSpan;
use windrow_core::record::{COLUMNS, RejectReason};

use super::{Span, offset};
use crate::source::columns::ColumnMap;
use crate::source::encoding::Encoding;
use crate::source::file::BYTE_ORDER_MARK;

/// The ways to our columns in a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPaths {
    names: [String; COLUMNS.len()],
    /// Ways to the columns that are carried along.
    pub(crate) kept: Vec<String>,
    encoding: Encoding,
}

impl JsonPaths {
    /// Where `map` says the columns are; a column that it does not name has its own name.
    pub fn new(map: &ColumnMap) -> Self {
        let kept = map.kept().iter().map(|kept| kept.column.clone()).collect();
        Self { names: std::array::from_fn(|column| map.name(column).to_owned()), kept, encoding: Encoding::Utf8 }
    }

    /// The same in another encoding.
    #[must_use]
    pub fn in_encoding(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// Of the bytes of the objects.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
}

/// Where the six columns of a message lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Values {
    /// In the message, or in the scratch buffer.
    pub(super) spans: [Span; COLUMNS.len()],
    /// Which of them lie in the scratch buffer.
    pub(super) made: [bool; COLUMNS.len()],
}

/// Reads messages; holds scratch memory only.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The message, with other values in the place of those that are no JSON.
    mended: Vec<u8>,
}

impl Reader {
    /// Finds the columns of a message, and those that are carried along; values that had to be put together are appended to `scratch`.
    pub(super) fn read(
        &mut self,
        raw: &[u8],
        paths: &JsonPaths,
        (scratch, kept): (&mut Vec<u8>, &mut Vec<KeptSpan>),
    ) -> Result<Values, RejectReason> {
        let body = raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(raw);
        let base = raw.len() - body.len();
        let text = std::str::from_utf8(self.mend(body, b"0")).map_err(|_| RejectReason::InvalidUtf8)?;
        let message = Message { text, body, is_lenient: false };
        let found = message.look(text, paths.names.each_ref().map(|name| Some(name.as_str())))?;
        let mut values = Values::default();
        for (column, part) in found.into_iter().enumerate() {
            let Some(part) = part else { continue };
            let start = scratch.len();
            match message.value(part, scratch)? {
                Some((from, to)) => values.spans[column] = (offset(base + from), offset(base + to)),
                None => {
                    values.spans[column] = (offset(start), offset(scratch.len()));
                    values.made[column] = true;
                }
            }
        }
        for ways in paths.kept.chunks(COLUMNS.len()) {
            message.keep(ways, base, (scratch, kept))?;
        }
        Ok(values)
    }

    /// The message with `stand_in`, one or two bytes, in blanks for each bare `NaN` and infinity; itself when it has none.
    fn mend<'a>(&'a mut self, body: &'a [u8], stand_in: &[u8]) -> &'a [u8] {
        if memmem::find(body, b"NaN").is_none() && memmem::find(body, b"Infinity").is_none() {
            return body;
        }
        self.mended.clear();
        self.mended.extend_from_slice(body);
        let mut at = 0;
        while let Some(found) = memchr3(b'"', b'N', b'I', &body[at..]) {
            at += found;
            let word: &[u8] = match body[at] {
                b'"' => {
                    at = after_string(body, at + 1);
                    continue;
                }
                b'N' => b"NaN",
                _ => b"Infinity",
            };
            if !body[at..].starts_with(word) {
                at += 1;
                continue;
            }
            let start = at - usize::from(word.len() > 3 && at > 0 && body[at - 1] == b'-');
            self.mended[start..at + word.len()].fill(b' ');
            self.mended[at + 2 - stand_in.len()..at + 2].copy_from_slice(stand_in);
            at += word.len();
        }
        &self.mended
    }
}

/// The object that a message is, to look at; bare `NaN` and infinities are empty texts. None when it is no object.
pub(in crate::source) fn document(raw: &[u8]) -> Option<serde_json::Value> {
    let mut reader = Reader::default();
    let body = reader.mend(raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(raw), b"\"\"");
    serde_json::from_slice(body).ok().filter(serde_json::Value::is_object)
}

/// Behind the quote that closes the string whose content begins at `at`.
fn after_string(body: &[u8], mut at: usize) -> usize {
    while let Some(found) = body.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if body[at - 1] == b'"' {
            return at;
        }
        at += 1; // what is escaped, be it a quote
    }
    body.len()
}

/// A message: `text` is what serde_json reads, `body` what was sent. They differ only where `body` is no JSON.
#[derive(Clone, Copy)]
struct Message<'a> {
    text: &'a str,
    body: &'a [u8],
    /// Whether a way may lead to where there is none, and a value be anything.
    is_lenient: bool,
}

/// For each of our columns the way to it from here, where it is looked for at all.
type Wanted<'w> = [Option<&'w str>; COLUMNS.len()];

impl<'a> Message<'a> {
    /// The values at the ends of these ways in the object `part`.
    fn look(self, part: &'a str, wanted: Wanted<'_>) -> Result<[Option<&'a str>; COLUMNS.len()], RejectReason> {
        let mut json = Deserializer::from_str(part);
        let found = Object { wanted }.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
        let found = found.map_err(|_| RejectReason::BadJson)?;
        let mut values = [None; COLUMNS.len()];
        for (column, place) in found.iter().enumerate() {
            match *place {
                Place::Nowhere => {}
                Place::Here(value) => values[column] = Some(value),
                // Looked into once for all columns that lie there.
                Place::Inside(inner, _) if found[..column].iter().any(|p| p.is(inner)) || self.is_empty(inner) => {}
                Place::Inside(inner, _) if !inner.starts_with('{') && self.is_lenient => {}
                Place::Inside(inner, _) if !inner.starts_with('{') => return Err(RejectReason::WrongType),
                Place::Inside(inner, key) => {
                    let rest = |at: usize| wanted[at].filter(|_| found[at].is(inner)).map(|way| &way[key + 1..]);
                    let deeper = self.look(inner, std::array::from_fn(rest))?;
                    values
                        .iter_mut()
                        .zip(deeper)
                        .filter(|(_, found)| found.is_some())
                        .for_each(|(value, found)| *value = found);
                }
            }
        }
        Ok(values)
    }

    /// Finds values that are carried along, no more than there are columns of ours. Nothing is wrong with them: what is not there is empty,
    /// and an object, or a list of more than texts and numbers, stays the JSON that it is.
    fn keep(
        self,
        ways: &[String],
        base: usize,
        (scratch, kept): (&mut Vec<u8>, &mut Vec<KeptSpan>),
    ) -> Result<(), RejectReason> {
        let wanted: Wanted<'_> = std::array::from_fn(|at| ways.get(at).map(String::as_str));
        let found = Self { is_lenient: true, ..self }.look(self.text, wanted)?;
        for part in found.into_iter().take(ways.len()) {
            let start = scratch.len();
            let whole = |part: &str| Some((self.start(part), self.start(part) + part.len()));
            let place = part.map_or(Some((0, 0)), |part| {
                self.value(part, scratch).unwrap_or_else(|_| {
                    scratch.truncate(start);
                    whole(part)
                })
            });
            kept.push(match place {
                Some((from, to)) => KeptSpan { start: offset(base + from), end: offset(base + to), is_made: false },
                None => KeptSpan { start: offset(start), end: offset(scratch.len()), is_made: true },
            });
        }
        Ok(())
    }

    /// Where a part of the text begins.
    fn start(self, part: &str) -> usize {
        part.as_ptr() as usize - self.text.as_ptr() as usize
    }

    /// Whether a value is one that holds nothing: `null`, or what is no JSON and was mended.
    fn is_empty(self, part: &str) -> bool {
        !matches!(self.body[self.start(part)], b'"' | b'[' | b'{' | b't' | b'f' | b'-' | b'0'..=b'9')
    }

    /// Where the text of a value lies in the body; none when it was appended to `scratch`.
    fn value(self, part: &'a str, scratch: &mut Vec<u8>) -> Result<Option<(usize, usize)>, RejectReason> {
        let (from, to) = (self.start(part), self.start(part) + part.len());
        Ok(match part.as_bytes()[0] {
            _ if self.is_empty(part) => Some((from, from)),
            b'"' if memchr(b'\\', part.as_bytes()).is_none() => Some((from + 1, to - 1)),
            b'"' => {
                unescape(&part.as_bytes()[1..part.len() - 1], scratch);
                None
            }
            b'[' => {
                let mut json = Deserializer::from_str(part);
                json.deserialize_seq(List { message: self, scratch }).map_err(|_| RejectReason::WrongType)?;
                None
            }
            b'{' => return Err(RejectReason::WrongType),
            _ => Some((from, to)),
        })
    }
}

/// Where a column was found in an object.
#[derive(Clone, Copy)]
enum Place<'a> {
    Nowhere,
    /// Somewhere in this value, if at all; with the length of its key.
    Inside(&'a str, usize),
    Here(&'a str),
}

impl Place<'_> {
    /// Whether it is in this very value, not only in an equal one.
    fn is(self, value: &str) -> bool {
        matches!(self, Self::Inside(inner, _) if std::ptr::eq(inner, value))
    }
}

/// Looks for columns in an object.
struct Object<'w> {
    wanted: Wanted<'w>,
}

/// For each column: the key is that of the column, or that of an object which may hold it.
#[derive(Clone, Copy)]
struct Hits {
    here: [bool; COLUMNS.len()],
    inside: [bool; COLUMNS.len()],
    key: usize,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = [Place<'de>; COLUMNS.len()];

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = [Place<'de>; COLUMNS.len()];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [Place::Nowhere; COLUMNS.len()];
        while let Some(hits) = map.next_key_seed(Key { wanted: &self.wanted })? {
            let Some(hits) = hits else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &'de str = map.next_value::<&RawValue>()?.get();
            for (column, place) in found.iter_mut().enumerate() {
                // The whole name goes before a way, a longer key before a shorter one, and the last of equals before the others.
                let is_better = match *place {
                    Place::Nowhere => true,
                    Place::Inside(_, key) => key <= hits.key,
                    Place::Here(_) => false,
                };
                if hits.here[column] {
                    *place = Place::Here(value);
                } else if hits.inside[column] && is_better {
                    *place = Place::Inside(value, hits.key);
                }
            }
        }
        Ok(found)
    }
}

/// Compares a key with what is wanted; none when nobody wants it.
struct Key<'w> {
    wanted: &'w Wanted<'w>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<Hits>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<Hits>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let mut hits = Hits { here: [false; COLUMNS.len()], inside: [false; COLUMNS.len()], key: key.len() };
        let mut is_wanted = false;
        for (column, way) in self.wanted.iter().enumerate() {
            let Some(rest) = way.and_then(|way| way.strip_prefix(key)) else { continue };
            hits.here[column] = rest.is_empty();
            hits.inside[column] = rest.starts_with('.');
            is_wanted |= hits.here[column] || hits.inside[column];
        }
        Ok(is_wanted.then_some(hits))
    }
}

/// Joins the scalars of a list.
struct List<'m, 's> {
    message: Message<'m>,
    scratch: &'s mut Vec<u8>,
}

impl<'de> Visitor<'de> for List<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts and numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let begin = self.scratch.len();
        while let Some(item) = list.next_element::<&'de RawValue>()? {
            let item = item.get();
            if item.starts_with(['[', '{']) {
                return Err(A::Error::custom("a list in a list"));
            }
            let before = self.scratch.len();
            if before > begin {
                self.scratch.extend_from_slice(b", ");
            }
            let start = self.scratch.len();
            match self.message.value(item, self.scratch) {
                Ok(Some((from, to))) => self.scratch.extend_from_slice(&self.message.body[from..to]),
                Ok(None) => {}
                Err(_) => return Err(A::Error::custom("no text")),
            }
            if self.scratch.len() == start {
                self.scratch.truncate(before); // nothing in it
            }
        }
        Ok(())
    }
}

/// Appends what a string's content means. Half of a surrogate pair becomes U+FFFD.
fn unescape(mut content: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr(b'\\', content) {
        out.extend_from_slice(&content[..at]);
        let (meant, length) = escaped(&content[at..]);
        out.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes());
        content = content.get(at + length..).unwrap_or_default();
    }
    out.extend_from_slice(content);
}

/// What an escape means, and its length.
fn escaped(text: &[u8]) -> (char, usize) {
    let meant = match text.get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return by_number(text),
        Some(&other) => char::from(other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (meant, 2)
}

/// What `\uXXXX` means, or two of them that are one character.
fn by_number(text: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(0).unwrap_or(u32::from(char::REPLACEMENT_CHARACTER));
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = unit(6).filter(|second| (0xdc00..0xe000).contains(second))
    {
        let both = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(both).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

#[cfg(test)]
mod tests;
