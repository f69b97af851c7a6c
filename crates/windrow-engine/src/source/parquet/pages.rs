//! The pages of a Parquet file, each looked at before it is unpacked.
//!
//! A page says in its header how large it is when it is unpacked, and a dictionary how many values it has; the decoder makes room for both
//! before it reads on. So the header is read here first: of Thrift's compact form only as much as says that, in the order in which every
//! writer writes it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, ErrorKind};

/// Bytes of a page when it is unpacked, and of all pages that rows decoded at once touch, at most. Some programs write pages of 100 MB.
pub(super) const MOST: u64 = 128 << 20;
/// Bytes of a header that are looked at: what is wanted stands at its beginning.
const HEAD: usize = 64;

/// What the pages came to since the last call of [`Self::begin`], and what was wrong with them.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether the sum counts: of a single row it does not.
    counts: bool,
    sum: u64,
    wrong: Option<Wrong>,
}

#[derive(Debug)]
enum Wrong {
    /// A page of so many bytes.
    Page(u64),
    /// All pages together.
    Sum,
    Header,
    Read(io::Error),
}

impl Trouble {
    /// Says that so many rows are decoded now.
    pub(super) fn begin(&self, rows: usize) {
        *self.state() = State { counts: rows > 1, ..State::default() };
    }

    /// Whether the rows that are decoded now touch too many pages.
    pub(super) fn is_too_much(&self) -> bool {
        matches!(self.state().wrong, Some(Wrong::Sum))
    }

    /// What was wrong, if it was found here.
    pub(super) fn told(&self, name: &str, row: u64) -> Option<Error> {
        Some(match self.state().wrong.take()? {
            Wrong::Page(bytes) => {
                let message =
                    format!("{name} has a page behind row {row} that unpacks to {bytes} bytes; {MOST} are read at most");
                Error::new(ErrorKind::Data, "E-INPUT-BOMB", message)
                    .hint("write it anew with smaller pages, or with fewer rows in a row group")
            }
            Wrong::Read(error) => {
                Error::new(ErrorKind::Environment, "E-INPUT-READ", format!("cannot read {name} behind row {row}")).cause(error)
            }
            Wrong::Header => super::damaged(name, &format!("behind row {row} a page has no header that can be read")),
            Wrong::Sum => return None,
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, wrong: Wrong) -> io::Error {
        self.state().wrong = Some(wrong);
        io::Error::other("refused")
    }

    /// Judges the page that begins so.
    fn judge(&self, head: &[u8]) -> io::Result<()> {
        let Some(page) = Page::of(head) else { return Err(self.refuse(Wrong::Header)) };
        let bytes = page.unpacked.max(page.packed);
        if bytes > MOST {
            return Err(self.refuse(Wrong::Page(bytes)));
        }
        // Each value of a dictionary takes a byte and more.
        if page.dictionary.is_some_and(|values| values > page.unpacked) {
            return Err(self.refuse(Wrong::Header));
        }
        let mut state = self.state();
        state.sum += bytes;
        let is_too_much = state.counts && state.sum > MOST;
        drop(state);
        if is_too_much { Err(self.refuse(Wrong::Sum)) } else { Ok(()) }
    }
}

/// What a page says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    unpacked: u64,
    packed: u64,
    /// Values of a dictionary.
    dictionary: Option<u64>,
}

impl Page {
    fn of(head: &[u8]) -> Option<Self> {
        let mut head = head.iter().copied();
        let mut number = |field: u8| (head.next()? == field).then(|| varint(&mut head)).flatten();
        // The fields 1 to 3, each a number that follows the one before.
        let (kind, unpacked, packed) = (number(0x15)?, number(0x15)?, number(0x15)?);
        let kind = if kind == DICTIONARY { Some(()) } else { None };
        let dictionary = match kind {
            None => None,
            Some(()) => {
                let mut field = head.next()?;
                if field == 0x15 {
                    varint(&mut head)?; // the fourth: a checksum
                    field = head.next()?;
                }
                // The seventh is what a dictionary says of itself, first the number of its values.
                let is_dictionary = [0x4c, 0x3c].contains(&field) && head.next()? == 0x15;
                Some(is_dictionary.then(|| varint(&mut head)).flatten()?)
            }
        };
        Some(Self { unpacked, packed, dictionary })
    }
}

/// A dictionary's page type.
const DICTIONARY: u64 = 2;

/// A number that is not negative.
fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            // Zigzag: odd ones are negative.
            return number.is_multiple_of(2).then_some(number / 2);
        }
    }
    None
}

/// A file whose pages are looked at.
pub(super) struct Pages {
    file: Arc<File>,
    len: u64,
    trouble: Arc<Trouble>,
}

impl Pages {
    pub(super) fn new(file: File, trouble: Arc<Trouble>) -> io::Result<Self> {
        Ok(Self { len: file.metadata()?.len(), file: Arc::new(file), trouble })
    }
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Pages {
    type T = BufReader<Header>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let header = Header { file: Arc::clone(&self.file), at: start, trouble: Some(Arc::clone(&self.trouble)) };
        Ok(BufReader::with_capacity(HEAD * 4, header))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start).map_err(|error| {
            let is_short = error.kind() == io::ErrorKind::UnexpectedEof;
            let error = if is_short { error } else { self.trouble.refuse(Wrong::Read(error)) };
            ParquetError::External(Box::new(error))
        })?;
        Ok(bytes.into())
    }
}

/// Where a page begins. Only a header is ever read through it.
pub(super) struct Header {
    file: Arc<File>,
    at: u64,
    /// Whom to tell of the page; none when that was done.
    trouble: Option<Arc<Trouble>>,
}

impl Read for Header {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(trouble) = self.trouble.take() {
            let mut head = [0; HEAD];
            let read = self.file.read_at(&mut head, self.at).map_err(|error| trouble.refuse(Wrong::Read(error)))?;
            trouble.judge(&head[..read])?;
        }
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header as a writer makes it: fields 1 to 3, then the dictionary's own.
    fn header(kind: u8, unpacked: u32, values: u8) -> Vec<u8> {
        let zigzag = |mut number: u64| {
            number *= 2;
            let mut bytes = Vec::new();
            while number >= 0x80 {
                bytes.push(number as u8 | 0x80);
                number >>= 7;
            }
            bytes.push(number as u8);
            bytes
        };
        [vec![0x15, kind * 2, 0x15], zigzag(unpacked.into()), vec![0x15, 40, 0x4c, 0x15, values * 2, 0, 0, 0]].concat()
    }

    #[test]
    fn a_header_says_how_much_its_page_is() {
        assert_eq!(Page::of(&header(2, 300, 7)), Some(Page { unpacked: 300, packed: 20, dictionary: Some(7) }));
        assert_eq!(Page::of(&header(0, 300, 7)), Some(Page { unpacked: 300, packed: 20, dictionary: None }));
        for cut in 0..6 {
            assert_eq!(Page::of(&header(2, 300, 7)[..cut]), None, "{cut}");
        }
        assert_eq!(Page::of(&[0x15, 1, 0x15, 2, 0x15, 2]), None, "nothing is negative");
        assert_eq!(Page::of(&[0x15; 40]), None);
    }

    #[test]
    fn too_much_is_refused_before_it_is_unpacked() {
        let judged = |rows: usize, pages: &[Vec<u8>]| {
            let trouble = Trouble::default();
            trouble.begin(rows);
            let is_fine = pages.iter().all(|page| trouble.judge(page).is_ok());
            (is_fine, trouble.is_too_much(), trouble.told("f", 3).map(|error| error.code))
        };
        let page = |mib: u32| header(0, mib << 20, 0);
        assert_eq!(judged(64, &[page(60), page(60)]), (true, false, None));
        assert_eq!(judged(64, &[page(60), page(69)]), (false, true, None));
        assert_eq!(judged(1, &[page(60), page(69)]), (true, false, None), "one row needs what it needs");
        assert_eq!(judged(1, &[page(129)]), (false, false, Some("E-INPUT-BOMB")));
        assert_eq!(judged(64, &[header(2, 5, 6)]), (false, false, Some("E-INPUT-DAMAGED")), "more values than bytes");
    }
}
