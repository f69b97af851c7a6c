//! Parquet files as a source: rows by their number.
//!
//! ```text
//! footer ── Plan: which columns ──> pages, checked before they are unpacked ──> batches ──> a row is a JSON object ──> the parser
//! ```
//!
//! A row of Parquet has no bytes of its own. It is handed on as the JSON object of the columns that are read, under the names that the settings
//! call them by, and from there on is what a line of JSON Lines is: that object is what a reject keeps. Texts stand in it as the bytes that
//! they are, so one that is no UTF-8 is a reject with these bytes. The offset of a row is its number in the file.
//!
//! Memory does not grow with row groups: pages are read one by one, each column's own, texts are not copied out of them, and rows leave in
//! batches of bytes. What a page or a batch would unpack to is known before it is unpacked, and a file whose rows come to far more
//! than it holds (a dictionary of one long text, for a billion rows) is refused as packed text files are.

mod pages;
mod plan;
mod text;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use windrow_core::record::RejectReason;

use super::columns::ColumnMap;
use super::decompress::{Most, STRETCH};
use super::file::{bomb, cannot_open};
use super::form::{Form, JsonPaths};
use super::written::{Asked, AskedFormat, Written};
use super::{Limits, Source};
use crate::batch::{Quoting, RawBatch, RawRecord, Slice};
use crate::error::{Error, ErrorKind, Result};

use pages::{Pages, Trouble};
use plan::Plan;

pub(super) use plan::names_of;

/// What a Parquet file begins and ends with; the second one where its footer is encrypted.
const MAGICS: [&[u8]; 2] = [b"PAR1", ENCRYPTED];
const ENCRYPTED: &[u8] = b"PARE";
/// How Parquet files are called.
pub(super) const ENDING: &str = ".parquet";
/// Rows over which it is counted what comes of how much of the file.
const STRETCH_ROWS: u64 = 1 << 18;
/// A row counts as so many bytes at least: rows of nothing without end are a bomb too.
const LEAST_ROW: u64 = STRETCH / STRETCH_ROWS;
/// Rows that are decoded at once, where their pages are not too large.
const DECODED: usize = 4096;

/// Whether a file that begins so is a Parquet file.
pub(super) fn begins(head: &[u8]) -> bool {
    MAGICS.iter().any(|magic| head.starts_with(magic))
}

/// Whether a file is to be read as Parquet.
pub(super) fn is_meant((path, head, is_packed): (&Path, &[u8], bool), known: Option<Written>, asked: Asked) -> Result<bool> {
    let is_called_so = path.to_string_lossy().to_lowercase().ends_with(ENDING);
    let is_wanted = match (known, asked.format) {
        (Some(known), _) => known == Written::Parquet,
        (None, AskedFormat::Csv) => return Ok(false),
        (None, AskedFormat::Parquet) => !head.is_empty(),
        (None, AskedFormat::Jsonl) if begins(head) => {
            let message = format!("{} is a Parquet file, and its rows are asked for as JSON Lines", path.display());
            return Err(Error::new(ErrorKind::Invalid, "E-INPUT-PARQUET", message)
                .hint("leave out --input-format: each file is read as what it is"));
        }
        (None, AskedFormat::Jsonl) => false,
        (None, AskedFormat::Auto) => begins(head) || is_called_so && !head.is_empty(),
    };
    if !is_wanted {
        return Ok(false);
    }
    if !begins(head) {
        return Err(damaged(&path.display().to_string(), &"it does not begin as Parquet files do"));
    }
    if is_packed {
        let message = format!("{} is a packed Parquet file", path.display());
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-PARQUET", message)
            .hint("unpack it first: Parquet is read from its end, and packs its columns itself"));
    }
    Ok(true)
}

/// Whether a file ends as a whole Parquet file does; one that is still being written has no footer yet.
pub(super) fn is_whole(path: &Path) -> bool {
    let last = || -> io::Result<[u8; 4]> {
        let (mut file, mut last) = (File::open(path)?, [0; 4]);
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut last).map(|()| last)
    };
    last().is_ok_and(|last| MAGICS.contains(&&last[..]))
}

/// How many rows a file has; none where that cannot be read.
pub(super) fn count_rows(path: &str) -> Option<u64> {
    Plan::n_rows_of(&File::open(path).ok()?, path).ok()
}

/// The form of a file's rows: what it calls our columns is looked up, and must be there.
pub(super) fn form(path: &Path, columns: &ColumnMap) -> Result<Form> {
    let name = path.display().to_string();
    Plan::of(&open(path, &name)?, &name, columns)?;
    Ok(Form::Json(JsonPaths::new(columns)))
}

fn open(path: &Path, name: &str) -> Result<File> {
    File::open(path).map_err(|error| cannot_open(name, &error))
}

/// The first rows of a file as JSON objects of all columns that can be read.
pub(super) fn first_rows(path: &Path, most: usize) -> Result<Vec<Vec<u8>>> {
    let name = path.display().to_string();
    let file = open(path, &name)?;
    let plan = Plan::of_all(&file, &name)?;
    let limits = Limits { batch_rows: most, record_bytes: usize::MAX, ..Limits::default() };
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    Rows::open(file, name, plan, (0, limits))?.fill(&mut bytes, &mut records)?;
    Ok(records.iter().map(|record| bytes[record.start as usize..record.end as usize].to_vec()).collect())
}

/// One file, from a row on.
pub(super) struct ParquetSource {
    path: PathBuf,
    ordinal: u32,
    form: Arc<Form>,
    columns: ColumnMap,
    limits: Limits,
    /// Rows that were handed out.
    row: u64,
    /// Opened when first asked for rows, so that a thousand inputs do not hold a thousand files open.
    rows: Option<Rows>,
    /// An error met behind rows that were handed out first.
    failed: Option<Error>,
    finished: bool,
}

impl ParquetSource {
    pub(super) fn new(
        path: &Path,
        (ordinal, row): (u32, u64),
        (form, columns): (Arc<Form>, &ColumnMap),
        limits: Limits,
    ) -> Self {
        let (path, columns) = (path.to_owned(), columns.clone());
        Self { path, ordinal, form, columns, limits, row, rows: None, failed: None, finished: false }
    }

    fn open(&self) -> Result<Rows> {
        let name = self.path.display().to_string();
        let file = open(&self.path, &name)?;
        let plan = Plan::of(&file, &name, &self.columns)?;
        if plan.n_rows < self.row {
            let message = format!("{name} ends at row {}, but had been read up to row {}", plan.n_rows, self.row);
            return Err(
                Error::new(ErrorKind::Data, "E-INPUT-SHRUNK", message).hint("put the file back, or start with a new state")
            );
        }
        Rows::open(file, name, plan, (self.row, self.limits))
    }
}

impl Source for ParquetSource {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        if self.finished {
            return self.failed.take().map_or(Ok(None), Err);
        }
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => self.open().inspect_err(|_| self.finished = true)?,
        };
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        match rows.fill(&mut bytes, &mut records) {
            Ok(()) => self.finished = records.is_empty(),
            Err(error) => (self.finished, self.failed) = (true, Some(error)),
        }
        if records.is_empty() {
            return self.failed.take().map_or(Ok(None), Err);
        }
        self.rows = Some(rows);
        let from = self.row;
        self.row += records.len() as u64;
        let slice = Slice { source: self.ordinal, from, to: self.row };
        Ok(Some(RawBatch { form: Arc::clone(&self.form), slice, bytes, records, beside: Vec::new() }))
    }
}

/// An open file, at some row.
struct Rows {
    name: String,
    file: File,
    plan: Plan,
    limits: Limits,
    trouble: Arc<Trouble>,
    reader: ParquetRecordBatchReader,
    /// Rows that are decoded at once.
    decoded: usize,
    /// What was decoded, and how many rows of it were taken.
    batch: Option<(RecordBatch, usize)>,
    /// The number of the next row.
    row: u64,
    /// Rows before this one are not looked at.
    skip_to: u64,
    /// Rows before this one are counted, and not handed out.
    wanted: u64,
    measure: Measure,
}

impl Rows {
    fn open(file: File, name: String, plan: Plan, (wanted, limits): (u64, Limits)) -> Result<Self> {
        // Counting begins where it would have begun: a file is refused at the same row wherever reading goes on.
        let skip_to = if limits.unpacked == 0 { wanted } else { wanted - wanted % STRETCH_ROWS };
        let trouble = Arc::new(Trouble::default());
        let opened = reader_at(&file, &plan, &trouble, (skip_to, DECODED));
        let (reader, row) = opened.map_err(|error| damaged(&name, &error))?;
        let measure = Measure { most: limits.unpacked, bytes: 0, allowed: 0 };
        Ok(Self { name, file, plan, limits, trouble, reader, decoded: DECODED, batch: None, row, skip_to, wanted, measure })
    }

    /// Takes the next rows, as many as make a batch; none at the end.
    fn fill(&mut self, bytes: &mut Vec<u8>, records: &mut Vec<RawRecord>) -> Result<()> {
        while records.len() < self.limits.batch_rows && bytes.len() < self.limits.batch_bytes {
            let Some((batch, taken)) = self.batch.take() else {
                match self.decode()? {
                    None => return self.check_end(),
                    some => self.batch = some,
                }
                continue;
            };
            let taken = self.take((&batch, taken), bytes, records)?;
            self.batch = (taken < batch.num_rows()).then_some((batch, taken));
        }
        Ok(())
    }

    /// Takes rows of a batch behind the first `taken`; returns how many are taken then.
    fn take(
        &mut self,
        (batch, mut taken): (&RecordBatch, usize),
        bytes: &mut Vec<u8>,
        records: &mut Vec<RawRecord>,
    ) -> Result<usize> {
        let cells = self.plan.cells(batch);
        while taken < batch.num_rows() && records.len() < self.limits.batch_rows && bytes.len() < self.limits.batch_bytes {
            let start = bytes.len();
            text::push_row(&cells, taken, bytes);
            let (len, most) = (bytes.len() - start, self.limits.record_bytes);
            let counted = self.measure.add((self.row, len as u64), &self.plan);
            counted.ok_or_else(|| bomb(&self.name, &format!("row {}", self.row)))?;
            if self.row < self.wanted {
                bytes.truncate(start);
            } else {
                // What is left of a row that is too long says where the rest lies: in this row of the file.
                bytes.truncate(start + len.min(most));
                let flaw = (len > most).then_some(RejectReason::TooLong);
                let at = |at: usize| u32::try_from(at).expect("a batch holds less than 4 GiB");
                let (start, end) = (at(start), at(bytes.len()));
                records.push(RawRecord { start, end, offset: self.row, quoting: Quoting::Plain, flaw });
            }
            taken += 1;
            self.row += 1;
        }
        Ok(taken)
    }

    /// The next rows, behind those that are passed over without a look.
    fn decode(&mut self) -> Result<Option<(RecordBatch, usize)>> {
        loop {
            self.trouble.begin(self.decoded);
            let reader = &mut self.reader;
            // What strangers wrote may lead a decoder anywhere.
            let next = catch_unwind(AssertUnwindSafe(|| reader.next().transpose()))
                .unwrap_or_else(|_| Err(ArrowError::ParquetError("the decoder met what it does not expect".to_owned())));
            match next {
                Ok(None) => return Ok(None),
                Ok(Some(batch)) => {
                    let left = usize::try_from(self.skip_to.saturating_sub(self.row)).unwrap_or(usize::MAX);
                    let passed = left.min(batch.num_rows());
                    self.row += passed as u64;
                    if passed < batch.num_rows() {
                        return Ok(Some((batch, passed)));
                    }
                }
                // Their pages would take too much memory together: the row group is begun again, and fewer rows decoded at once.
                Err(_) if self.trouble.is_too_much() => {
                    self.decoded /= 16;
                    self.skip_to = self.skip_to.max(self.row);
                    (self.reader, self.row) = reader_at(&self.file, &self.plan, &self.trouble, (self.row, self.decoded))
                        .map_err(|error| damaged(&self.name, &error))?;
                }
                Err(error) => {
                    return Err(self.trouble.told(&self.name, self.row).unwrap_or_else(|| {
                        damaged(&self.name, &format!("its rows cannot be read behind row {}: {error}", self.row))
                    }));
                }
            }
        }
    }

    fn check_end(&self) -> Result<()> {
        if self.row == self.plan.n_rows {
            return Ok(());
        }
        Err(damaged(&self.name, &format!("it has {} rows, and {} by its footer", self.row, self.plan.n_rows)))
    }
}

/// What reads the row group of a row, and those behind it, `decoded` rows at once; and the first row of the group.
fn reader_at(
    file: &File,
    plan: &Plan,
    trouble: &Arc<Trouble>,
    (row, decoded): (u64, usize),
) -> std::result::Result<(ParquetRecordBatchReader, u64), ParquetError> {
    let (group, first) = plan.group_of(row);
    let pages = Pages::new(file.try_clone()?, Arc::clone(trouble))?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(pages, plan.metadata.clone());
    let groups = (group..plan.n_groups()).collect();
    let reader = builder.with_projection(plan.projection()).with_row_groups(groups).with_batch_size(decoded).build()?;
    Ok((reader, first))
}

/// Counts what comes of a stretch of rows.
struct Measure {
    /// Bytes that may come of one of the file's; 0 for any number.
    most: Most,
    bytes: u64,
    allowed: u64,
}

impl Measure {
    /// Counts a row. None where too much has come of its stretch.
    fn add(&mut self, (row, bytes): (u64, u64), plan: &Plan) -> Option<()> {
        if self.most == 0 {
            return Some(());
        }
        if row.is_multiple_of(STRETCH_ROWS) {
            self.bytes = 0;
            self.allowed = plan.packed_bytes(row, row + STRETCH_ROWS).saturating_mul(self.most).max(STRETCH);
        }
        self.bytes += bytes.max(LEAST_ROW);
        (self.bytes <= self.allowed).then_some(())
    }
}

fn damaged(name: &str, what: &impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Data, "E-INPUT-DAMAGED", format!("{name} is no whole Parquet file"))
        .cause(what)
        .hint("the rows before were read; run again with a whole file under the same name to go on from there, or without it")
}

#[cfg(test)]
mod tests;
