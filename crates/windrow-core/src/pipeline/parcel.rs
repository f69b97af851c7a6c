//! A prepared batch as bytes: it travels from where rows are prepared to where they are learnt.
//!
//! `WINDROWB`, then as every snapshot format, length and hash, then the fields in their order, and since format 2 the marks of the pages. What is read is checked as a whole before
//! anything looks into it: bytes of strangers make an error, never a batch that breaks what learns it.

use serde::Serialize;

use super::{Prepared, part};
use crate::featurize::{Marks, Terms};
use crate::record::{Pages, TextColumn};
use crate::snapshot::{self, SnapshotError};

const MAGIC: &[u8; 8] = b"WINDROWB";
/// Format written by this program; older ones stay readable.
const FORMAT: u32 = 2;
/// The first with marks.
const FORMAT_MARKS: u32 = 2;

impl Prepared {
    /// The batch as bytes: equal batches give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        snapshot::seal_as(MAGIC, FORMAT, &with_marks(self, &self.pages.marks))
    }

    /// The batch that the bytes were made of.
    ///
    /// # Errors
    /// The bytes are not what was written, or in a newer format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (format, body) = snapshot::open_as(MAGIC, FORMAT, bytes)?;
        let (mut prepared, rest): (Self, _) = part(body)?;
        prepared.pages.marks = if format < FORMAT_MARKS { Marks::unknown(prepared.pages.len()) } else { part(rest)?.0 };
        let rows = (prepared.pages.len() + prepared.rejects.len()) as u64;
        if rows == prepared.n_rows && are_whole(&prepared.pages) {
            Ok(prepared)
        } else {
            Err(SnapshotError::Damaged("its columns do not agree".into()))
        }
    }
}

/// Something with pages, and their marks behind it.
pub(super) fn with_marks(what: &impl Serialize, marks: &Marks) -> Vec<u8> {
    let bytes = postcard::to_stdvec(what).and_then(|bytes| postcard::to_extend(marks, bytes));
    bytes.expect("plain data in memory always serializes")
}

/// Whether every column has one value a page.
pub(super) fn are_whole(pages: &Pages) -> bool {
    let Pages { origin, creation_time, id, url, title, keywords, description, domain, kept, terms, marks } = pages;
    let is_text = |column: &TextColumn| is_text(column, origin.len());
    creation_time.len() == origin.len()
        && [id, url, title, keywords, description, domain].into_iter().chain(kept).all(is_text)
        && are_terms(terms, origin.len())
        && marks.are_whole(origin.len())
}

pub(super) fn is_text(column: &TextColumn, len: usize) -> bool {
    let cuts = |end: &u32| column.values.is_char_boundary(*end as usize);
    let last = column.ends.last().copied().unwrap_or(0) as usize;
    column.len() == len && last == column.values.len() && column.ends.is_sorted() && column.ends.iter().all(cuts)
}

fn are_terms(terms: &Terms, len: usize) -> bool {
    let Terms { hash, kind, text, ends, term, weight } = terms;
    let last = ends.last().copied().unwrap_or(0) as usize;
    kind.len() == hash.len()
        && is_text(text, hash.len())
        && ends.len() == len
        && ends.is_sorted()
        && (last, last) == (term.len(), weight.len())
        && term.iter().all(|&term| (term as usize) < hash.len())
        && weight.iter().all(|weight| weight.is_finite() && *weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::FieldWeights;
    use crate::kept::Kept;
    use crate::pipeline::Preparer;
    use crate::record::{RecordId, Row};

    /// Pages with all there is in a page, and a reject.
    fn batch() -> Prepared {
        let columns = [
            ["2023-05-17 20:21:51.5", "7", "https://shop.example.co.uk/a/red-shoes", "Red shoes", "shoes, red", "Größe 42"],
            ["", "", "", "Vote on the budget", "", ""],
            ["soon", "8", "", "Never", "", ""],
        ];
        let row = |(offset, columns): (u64, &[&'static str; 6])| {
            let origin = RecordId { source: 3, offset };
            Ok(Row { origin, raw: columns[0].as_bytes(), columns: columns.map(str::as_bytes), kept: Kept::default() })
        };
        Preparer::new(FieldWeights::default()).prepare((0..).zip(&columns).map(row))
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let prepared = batch();
        assert_eq!((prepared.pages.len(), prepared.rejects.len()), (2, 1));
        assert_eq!(Prepared::from_bytes(&prepared.to_bytes()), Ok(prepared));
        assert_eq!(Prepared::from_bytes(&Prepared::default().to_bytes()), Ok(Prepared::default()));
    }

    #[test]
    fn bytes_of_format_1_are_read() {
        let kept = include_bytes!("../../tests/fixtures/batch-1.bin");
        let mut expected = batch();
        expected.pages.marks = Marks::unknown(2);
        assert_eq!(Prepared::from_bytes(kept), Ok(expected));
    }

    #[test]
    fn bytes_of_format_2_are_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/batch-2.bin");
        if std::env::var_os("WINDROW_UPDATE").is_some() {
            std::fs::write(path, batch().to_bytes()).unwrap();
        }
        let kept = std::fs::read(path).unwrap();
        assert_eq!(Prepared::from_bytes(&kept), Ok(batch()));
        assert_eq!(batch().to_bytes(), kept, "a change of the form needs a new format");
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let bytes = batch().to_bytes();
        for cut in 0..bytes.len() {
            assert!(Prepared::from_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(Prepared::from_bytes(&bytes).is_err(), "{at}");
        }
    }

    #[test]
    fn columns_that_do_not_agree_are_refused_whatever_the_checksum_says() {
        let breaks: [fn(&mut Prepared); 12] = [
            |it| it.n_rows += 1,
            |it| it.pages.creation_time.truncate(1),
            |it| it.pages.title.ends[1] += 1,
            |it| it.pages.description.ends[0] = 3,
            |it| it.pages.title.ends.swap(0, 1),
            |it| it.pages.terms.term[0] = 1_000_000,
            |it| it.pages.terms.ends[1] += 1,
            |it| it.pages.terms.weight[0] = f32::NAN,
            |it| it.pages.terms.kind.truncate(1),
            |it| it.pages.marks.copy.truncate(1),
            |it| it.pages.marks.ends[1] += 1,
            |it| it.pages.marks.weight = f32::NAN,
        ];
        for (at, break_it) in breaks.iter().enumerate() {
            let mut broken = batch();
            break_it(&mut broken);
            assert!(matches!(Prepared::from_bytes(&broken.to_bytes()), Err(SnapshotError::Damaged(_))), "{at}");
        }
    }
}
