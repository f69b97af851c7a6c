//! Search: published pages that a filter fits, newest first; and those that came since.
//!
//! ```text
//! files, newest first ── pieces from their ends ── rows that fit ──> a page of pages, and where to go on
//! files behind a place, oldest first ───────────── rows that fit ──> one by one
//! all files ── rows at even distances ──> a sample
//! ```
//!
//! The same for rejects and for the lineage. A question reads a bounded number of rows, and says how many it has looked at: whoever wants more asks again from there.

mod filter;
mod records;
mod sample;

use std::fmt;
use std::str::FromStr;

use arrow_array::{RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use windrow_core::cluster::{ClusterId, MicroId, Slot};
use windrow_core::record::Micros;

use crate::checkpoint::Committed;
use crate::error::Result;
use crate::export::{Row, kept_columns, rows};
use crate::published::unreadable;
use crate::sink::parquet::open_published;
use crate::sink::{Family, PublishedFile};

pub use filter::{Filter, Wrong};
pub use records::{Commit, Event, Reject, commits, events, rejects};
pub use sample::{Dot, MOST, Sample};

/// Rows that are read at once.
const PIECE: usize = 16_384;
/// Rows that are looked at for one question.
const ROWS: u64 = 500_000;

/// A page as it was delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Its record id.
    pub record_id: String,
    /// Its cluster at arrival.
    pub cluster: ClusterId,
    /// The cluster's label then.
    pub label: String,
    /// The slot it was written to.
    pub slot: Slot,
    /// Its micro-cluster at arrival.
    pub micro_cluster: MicroId,
    /// Whether it opened it.
    pub novel: bool,
    /// Its likeness.
    pub score: f64,
    /// Event time, when it has one.
    pub creation_time: Option<Micros>,
    /// The campaign's id.
    pub id: String,
    /// Address.
    pub url: String,
    /// Title.
    pub title: String,
    /// Keywords.
    pub keywords: String,
    /// Description.
    pub description: String,
    /// Registrable domain.
    pub domain: String,
    /// Columns that are carried along, with their names.
    pub kept: Vec<(String, String)>,
}

impl Page {
    fn of(row: &Row<'_>, kept: impl Iterator<Item = (String, String)>) -> Self {
        let [label, title, url, description, keywords, domain, id, record_id] = row.texts.map(str::to_owned);
        Self {
            record_id,
            cluster: row.cluster.cast_unsigned(),
            label,
            slot: row.slot.cast_unsigned(),
            micro_cluster: row.micro_cluster.cast_unsigned(),
            novel: row.novel,
            score: row.score,
            creation_time: row.creation_time,
            id,
            url,
            title,
            keywords,
            description,
            domain,
            kept: kept.collect(),
        }
    }
}

impl Page {
    /// The columns that are carried along, as messages have them: what is empty is null.
    pub fn kept_object(&self) -> Value {
        let value = |(name, value): &(String, String)| (name.clone(), Some(value.as_str()).filter(|v| !v.is_empty()).into());
        Value::Object(self.kept.iter().map(value).collect())
    }
}

/// The values that are carried along with a row.
fn values(kept: &[(String, StringArray)], row: usize) -> impl Iterator<Item = (String, String)> {
    kept.iter().map(move |(name, column)| (name.clone(), column.value(row).to_owned()))
}

/// A place in the order of published pages: number of the file, and of the row in it. Pages before it are older.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    file: usize,
    row: usize,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.file, self.row)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let parts =
            text.split_once('.').and_then(|(file, row)| Some(Self { file: file.parse().ok()?, row: row.parse().ok()? }));
        parts.ok_or("this is no place to go on from: take `next` of the answer before")
    }
}

/// What was found.
#[derive(Debug)]
pub struct Found<T> {
    /// Newest first.
    pub rows: Vec<T>,
    /// Rows looked at.
    pub read: u64,
    /// Rows there are.
    pub total: u64,
    /// Where older ones are to be looked for; none at the end.
    pub next: Option<Cursor>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), read: 0, total: 0, next: None }
    }
}

/// The newest pages before a place that the filter fits.
///
/// # Errors
/// `E-OUTPUT-READ`: a file cannot be read.
pub fn newest(committed: &Committed, filter: &Filter, before: Option<Cursor>, limit: usize) -> Result<Found<Page>> {
    let fitting = |batch: &RecordBatch| {
        let kept = kept_columns(batch);
        let page = |(at, row): (usize, Row<'_>)| filter.fits(&row).then(|| Page::of(&row, values(&kept, at)));
        Ok(rows(batch)?.enumerate().map(page).collect())
    };
    newest_rows(committed, Family::Pages, &fitting, before, (limit, filter.is_empty()))
}

/// What a batch becomes: for each row what is wanted of it, if it is.
type Select<'s, T> = &'s dyn Fn(&RecordBatch) -> Result<Vec<Option<T>>>;

/// The newest rows of a family that are wanted. Whoever wants all of them needs few.
fn newest_rows<T>(
    committed: &Committed,
    family: Family,
    select: Select<'_, T>,
    before: Option<Cursor>,
    (limit, wants_all): (usize, bool),
) -> Result<Found<T>> {
    let files = files_of(committed, family)?;
    let rows_in = |file: usize| usize::try_from(files[file].rows).unwrap_or(usize::MAX);
    let mut found = Found { total: files.iter().map(|file| file.rows).sum(), ..Found::default() };
    let (begin, end) = (Cursor { file: 0, row: 0 }, Cursor { file: files.len(), row: 0 });
    let mut at = before.map_or(end, |before| before.min(end));
    while found.rows.len() < limit && found.read < ROWS && at > begin {
        if at.row == 0 {
            at = Cursor { file: at.file - 1, row: rows_in(at.file - 1) };
            continue;
        }
        let last = at.row.min(rows_in(at.file));
        let size = if wants_all { (limit - found.rows.len()).min(PIECE) } else { PIECE };
        let first = last.saturating_sub(size);
        let mut wanted = Vec::new();
        read(committed, &files[at.file], (first, last - first), &mut |number, batch| {
            wanted.extend((number..).zip(select(batch)?).filter_map(|(number, row)| Some((number, row?))));
            Ok(())
        })?;
        found.read += (last - first) as u64;
        let left = wanted.len().saturating_sub(limit - found.rows.len());
        let taken = wanted.split_off(left);
        // The next question begins with the last row that was wanted and left.
        at.row = wanted.last().map_or(first, |(number, _)| number + 1);
        found.rows.extend(taken.into_iter().rev().map(|(_, row)| row));
    }
    found.next = Some(at).filter(|at| *at > begin);
    Ok(found)
}

/// Pages that came behind a place.
#[derive(Debug, Default)]
pub struct Came {
    /// Oldest first.
    pub pages: Vec<Page>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether these are all there are.
    pub is_all: bool,
}

/// The place behind the newest page.
///
/// # Errors
/// The list of files cannot be read.
pub fn end(committed: &Committed) -> Result<Cursor> {
    Ok(Cursor { file: files_of(committed, Family::Pages)?.len(), row: 0 })
}

/// Pages from a place on that the filter fits, so many at most; from the beginning of an output that was made anew.
///
/// # Errors
/// `E-OUTPUT-READ`: a file cannot be read.
pub fn since(committed: &Committed, from: Cursor, filter: &Filter, limit: usize) -> Result<Came> {
    let files = files_of(committed, Family::Pages)?;
    let mut at = if from.file > files.len() { Cursor::default() } else { from };
    let (mut pages, mut looked_at) = (Vec::new(), 0);
    while at.file < files.len() && pages.len() < limit && looked_at < ROWS {
        let n = usize::try_from(files[at.file].rows).unwrap_or(usize::MAX);
        let size = n.saturating_sub(at.row).min(PIECE);
        if size == 0 {
            at = Cursor { file: at.file + 1, row: 0 };
            continue;
        }
        let mut next = at.row + size;
        read(committed, &files[at.file], (at.row, size), &mut |number, batch| {
            let kept = kept_columns(batch);
            for (at, row) in rows(batch)?.enumerate() {
                let number = number + at;
                if pages.len() < limit && filter.fits(&row) {
                    pages.push(Page::of(&row, values(&kept, at)));
                    next = if pages.len() == limit { number + 1 } else { next };
                }
            }
            Ok(())
        })?;
        looked_at += size as u64;
        at.row = next;
    }
    Ok(Came { pages, next: at, is_all: at.file == files.len() })
}

fn files_of(committed: &Committed, family: Family) -> Result<Vec<PublishedFile>> {
    let mut files = committed.manifest.all_files(&committed.layout.history())?;
    files.retain(|file| file.family == family);
    Ok(files)
}

/// Hands on so many rows of a file from a first one on, with the number of the first of each batch.
fn read(
    committed: &Committed,
    file: &PublishedFile,
    (first, n): (usize, usize),
    each: &mut dyn FnMut(usize, &RecordBatch) -> Result<()>,
) -> Result<()> {
    let out = &committed.layout.out;
    let unreadable = |error: &dyn fmt::Display| unreadable(out, file, error);
    let opened = open_published(out, file.family, &file.name).map_err(|error| unreadable(&error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| unreadable(&error))?;
    let reader = builder.with_offset(first).with_limit(n).build().map_err(|error| unreadable(&error))?;
    let mut number = first;
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(&error))?;
        each(number, &batch)?;
        number += batch.num_rows();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = Cursor { file: 7, row: 42 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for wrong in ["", "7", "7.", ".1", "-1.2", "7.42.1", "99999999999999999999999.1"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
