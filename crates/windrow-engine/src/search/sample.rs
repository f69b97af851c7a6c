//! A sample of the published pages: rows at even distances over all files, in bounded memory.
//!
//! ```text
//! rows of all files, in their order:   0 . . . k . . . 2k . . . 3k . . .      k: a power of two
//! files that are new ── the next multiples of k ──> rows        more than MOST: every second goes, and k doubles
//! ```
//!
//! Which rows are in it depends on the output alone, not on who has looked when; and what was read once is not read again.

use std::fmt;

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use windrow_core::cluster::{ClusterId, MicroId};
use windrow_core::record::{Micros, RecordId};

use super::{files_of, unreadable};
use crate::checkpoint::Committed;
use crate::error::Result;
use crate::lookup::{column, no_column};
use crate::sink::parquet::open_published;
use crate::sink::{Family, PublishedFile};

/// Rows that are kept, at most.
pub const MOST: usize = 50_000;
/// Characters of a title that are kept.
const TITLE_CHARS: usize = 200;
const COLUMNS: [&str; 7] = ["cluster", "micro_cluster", "score", "creation_time", "title", "domain", "record_id"];

/// A page of the sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Dot {
    /// Its record id.
    pub record_id: RecordId,
    /// Its cluster at arrival.
    pub cluster: ClusterId,
    /// Its micro-cluster at arrival.
    pub micro_cluster: MicroId,
    /// Its likeness.
    pub score: f64,
    /// Event time, when it has one.
    pub creation_time: Option<Micros>,
    /// The beginning of its title.
    pub title: String,
    /// Registrable domain.
    pub domain: String,
}

/// The sample of an output, as far as its files were looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pipeline: String,
    files: usize,
    rows: u64,
    step: u64,
    dots: Vec<Dot>,
}

impl Default for Sample {
    fn default() -> Self {
        Self { pipeline: String::new(), files: 0, rows: 0, step: 1, dots: Vec::new() }
    }
}

impl Sample {
    /// Looks at the files that have come since. An output that was made anew is another.
    ///
    /// # Errors
    /// `E-OUTPUT-READ`: a file cannot be read.
    pub fn follow(&mut self, committed: &Committed) -> Result<()> {
        let (files, pipeline) = (files_of(committed, Family::Pages)?, &committed.manifest.pipeline);
        if *pipeline != self.pipeline || files.len() < self.files {
            *self = Self { pipeline: pipeline.clone(), ..Self::default() };
        }
        let total = files.iter().map(|file| file.rows).sum();
        self.thin_out(total);
        for file in &files[self.files..] {
            let first = self.rows.next_multiple_of(self.step) - self.rows;
            let dots = read(committed, file, (first, self.step))?;
            self.dots.extend(dots);
            self.rows += file.rows;
            self.files += 1;
        }
        Ok(())
    }

    /// Leaves out every second row until so many rows of all give no more than [`MOST`].
    fn thin_out(&mut self, total: u64) {
        while total.div_ceil(self.step) > MOST as u64 {
            self.step *= 2;
            let mut is_even = false;
            self.dots.retain(|_| {
                is_even = !is_even;
                is_even
            });
        }
    }

    /// Pages there are.
    pub fn total(&self) -> u64 {
        self.rows
    }

    /// Pages at even distances, no more than so many and more than half as many, where there are.
    pub fn dots(&self, limit: usize) -> impl Iterator<Item = &Dot> {
        let step = self.dots.len().div_ceil(limit.max(1)).next_power_of_two();
        self.dots.iter().step_by(step).take(limit)
    }
}

/// Rows of a file: the first, and those so far apart.
fn read(committed: &Committed, file: &PublishedFile, (first, step): (u64, u64)) -> Result<Vec<Dot>> {
    let out = &committed.layout.out;
    let wrong = |error: &dyn fmt::Display| unreadable(out, file, error);
    if first >= file.rows {
        return Ok(Vec::new());
    }
    let opened = open_published(out, file.family, &file.name).map_err(|error| wrong(&error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| wrong(&error))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let reader = builder.with_projection(mask).with_row_selection(wanted(file.rows, first, step));
    let mut dots = Vec::new();
    for batch in reader.build().map_err(|error| wrong(&error))? {
        take(&batch.map_err(|error| wrong(&error))?, &mut dots)?;
    }
    Ok(dots)
}

fn wanted(rows: u64, first: u64, step: u64) -> RowSelection {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let mut selectors = vec![RowSelector::skip(size(first))];
    for row in (first..rows).step_by(size(step)) {
        let behind = (rows - row - 1).min(step - 1);
        selectors.extend([RowSelector::select(1), RowSelector::skip(size(behind))]);
    }
    selectors.into()
}

fn take(batch: &RecordBatch, dots: &mut Vec<Dot>) -> Result<()> {
    let text =
        |name: &str| -> Result<&StringArray> { column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| no_column(name)) };
    let cluster = column(batch, "cluster")?.as_primitive::<Int32Type>();
    let micro_cluster = column(batch, "micro_cluster")?.as_primitive::<Int64Type>();
    let score = column(batch, "score")?.as_primitive::<Float64Type>();
    let times = column(batch, "creation_time")?.as_primitive::<TimestampMicrosecondType>();
    let (title, domain, record_id) = (text("title")?, text("domain")?, text("record_id")?);
    dots.extend((0..batch.num_rows()).map(|row| Dot {
        record_id: record_id.value(row).parse().unwrap_or(RecordId { source: 0, offset: 0 }),
        cluster: cluster.value(row).cast_unsigned(),
        micro_cluster: micro_cluster.value(row).cast_unsigned(),
        score: score.value(row),
        creation_time: times.is_valid(row).then(|| times.value(row)),
        title: title.value(row).chars().take(TITLE_CHARS).collect(),
        domain: domain.value(row).to_owned(),
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample of so many rows, each with its number, taken in pieces.
    fn sample(pieces: &[u64]) -> Sample {
        let mut sample = Sample::default();
        for rows in pieces {
            sample.thin_out(sample.rows + rows);
            let first = sample.rows.next_multiple_of(sample.step);
            let numbers = (first..sample.rows + rows).step_by(usize::try_from(sample.step).unwrap());
            sample.dots.extend(numbers.map(|row| Dot {
                record_id: RecordId { source: 0, offset: row },
                cluster: 0,
                micro_cluster: 0,
                score: 0.0,
                creation_time: None,
                title: String::new(),
                domain: String::new(),
            }));
            sample.rows += rows;
        }
        sample
    }

    #[test]
    fn the_same_rows_are_in_it_however_the_files_came() {
        let all = sample(&[1_000_000]);
        assert_eq!((all.step, all.dots.len(), all.total()), (32, 31_250, 1_000_000));
        assert_eq!(all, sample(&[49_999, 2, 1, 0, 449_998, 500_000]));
        assert!(all.dots.iter().enumerate().all(|(place, dot)| dot.record_id.offset == 32 * place as u64));
    }

    #[test]
    fn fewer_are_at_even_distances_too() {
        let all = sample(&[100_001]);
        for (limit, shown, step) in [(MOST, 25_001, 4), (5_000, 3_126, 32), (1, 1, 0), (0, 0, 0)] {
            let rows: Vec<u64> = all.dots(limit).map(|dot| dot.record_id.offset).collect();
            assert_eq!(rows.len(), shown, "{limit}");
            assert!(rows.windows(2).all(|two| two[1] - two[0] == step), "{limit}");
        }
        assert_eq!(sample(&[]).dots(9).count(), 0);
        assert_eq!(sample(&[9]).dots(9).count(), 9);
    }

    #[test]
    fn the_wanted_rows_of_a_file_are_selected() {
        for (rows, first, step) in [(10, 0, 1), (10, 3, 4), (10, 9, 4), (1, 0, 64), (129, 63, 64)] {
            let selection: Vec<RowSelector> = wanted(rows, first, step).into();
            let mut at = 0;
            let mut found = Vec::new();
            for selector in selection {
                if !selector.skip {
                    found.extend(at..at + selector.row_count as u64);
                }
                at += selector.row_count as u64;
            }
            assert!(found.iter().copied().eq((first..rows).step_by(usize::try_from(step).unwrap())), "{rows} {first} {step}");
            assert_eq!(at, rows);
        }
    }
}
