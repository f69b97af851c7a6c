//! Rejects as outputs hold them, one after the other: what users look at, and send once more.
//!
//! The same reject stands in the Parquet and in the topic; its pipeline and its record id say that it is the same.

pub mod files;

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use windrow_core::record::{Micros, RecordId, RejectReason};

use crate::checkpoint::Committed;
use crate::error::Result;
use crate::published::unreadable;
use crate::sink::Family;
use crate::sink::parquet::open_published;
use crate::source::kafka::PREFIX;

/// A reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// Id of the pipeline that rejected it.
    pub pipeline: &'a str,
    /// Where the row came from.
    pub record_id: &'a str,
    /// Code of the reason.
    pub reason: &'a str,
    /// Name of its source.
    pub source: &'a str,
    /// The commit that it came with.
    pub commit: u64,
    /// When it was written to the topic; the Parquet does not say.
    pub time: Option<Micros>,
    /// Its bytes as they were; none of a tombstone.
    pub raw: Option<&'a [u8]>,
    /// How many there are, where the topic had no room for all of them.
    pub cut_from: Option<u64>,
    /// What comes later is greater.
    pub rank: (Micros, i64, i64),
}

impl Rejected<'_> {
    /// Whether it was a message.
    pub fn is_message(&self) -> bool {
        self.source.starts_with(PREFIX)
    }
}

/// Which rejects are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this pipeline.
    pub pipeline: Option<String>,
    /// These; all when none is named.
    pub records: BTreeSet<String>,
    /// For this reason.
    pub reason: Option<RejectReason>,
    /// Written at this time or later.
    pub since: Option<Micros>,
}

impl Filter {
    /// Whether a reject is meant.
    pub fn fits(&self, reject: &Rejected<'_>) -> bool {
        self.pipeline.as_ref().is_none_or(|pipeline| pipeline == reject.pipeline)
            && (self.records.is_empty() || self.records.contains(reject.record_id))
            && self.reason.is_none_or(|reason| reason.code() == reject.reason)
            && self.since.is_none_or(|since| reject.time.is_some_and(|time| time >= since))
    }

    /// Adds a record.
    pub fn record(&mut self, record: RecordId) {
        self.records.insert(record.to_string());
    }
}

/// What is done with each reject; an error ends it.
pub type Each<'e> = &'e mut dyn FnMut(&Rejected<'_>) -> Result<()>;

/// The rejects of an output's Parquet, oldest first.
///
/// # Errors
/// `E-OUTPUT-READ`: a file cannot be read.
pub fn in_output(committed: &Committed, each: Each<'_>) -> Result<()> {
    let (out, manifest) = (&committed.layout.out, &committed.manifest);
    let mut n = 0;
    let files = manifest.all_files(&committed.layout.history())?;
    for file in files.iter().filter(|file| file.family == Family::Rejects) {
        let unreadable = |error: &dyn std::fmt::Display| unreadable(out, file, error);
        let opened = open_published(out, Family::Rejects, &file.name).map_err(ParquetError::from);
        let reader = opened.and_then(ParquetRecordBatchReaderBuilder::try_new).and_then(ParquetRecordBatchReaderBuilder::build);
        for batch in reader.map_err(|error| unreadable(&error))? {
            let batch = batch.map_err(|error| unreadable(&error))?;
            let columns = ["record_id", "reason", "source", "raw"].map(|name| batch.column_by_name(name));
            let [Some(record_id), Some(reason), Some(source), Some(raw)] = columns else {
                return Err(unreadable(&"it does not have the columns of rejects"));
            };
            let raw = raw.as_binary::<i32>();
            for row in rows(&batch) {
                let reason = text(reason, row);
                let is_tombstone = reason == RejectReason::Tombstone.code();
                n += 1;
                each(&Rejected {
                    pipeline: &manifest.pipeline,
                    record_id: text(record_id, row),
                    reason,
                    source: text(source, row),
                    commit: file.epoch,
                    time: None,
                    raw: (!is_tombstone).then(|| raw.value(row)),
                    cut_from: None,
                    rank: (n, 0, 0),
                })?;
            }
        }
    }
    Ok(())
}

fn rows(batch: &RecordBatch) -> std::ops::Range<usize> {
    0..batch.num_rows()
}

/// A text of a column, plain or of a dictionary.
pub(crate) fn text(column: &dyn Array, row: usize) -> &str {
    if let Some(texts) = column.as_string_opt::<i32>() {
        return texts.value(row);
    }
    let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() else { return "" };
    usize::try_from(dictionary.keys().value(row)).map_or("", |key| dictionary.values().as_string::<i32>().value(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_what_is_meant_and_no_more() {
        let reject = Rejected {
            pipeline: "p",
            record_id: "0:7",
            reason: "bad_time",
            source: "kafka:pages/0",
            commit: 3,
            time: Some(50),
            raw: None,
            cut_from: None,
            rank: (50, 0, 7),
        };
        let all = Filter::default();
        assert!(all.fits(&reject) && reject.is_message());
        let with = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            filter.fits(&reject)
        };
        assert!(with(|filter| filter.record(RecordId { source: 0, offset: 7 })));
        assert!(!with(|filter| filter.record(RecordId { source: 1, offset: 7 })));
        assert!(with(|filter| filter.reason = Some(RejectReason::BadTime)));
        assert!(!with(|filter| filter.reason = Some(RejectReason::BadJson)));
        assert!(with(|filter| filter.since = Some(50)) && !with(|filter| filter.since = Some(51)));
        assert!(!with(|filter| filter.pipeline = Some("q".into())));
        let of_parquet = Rejected { time: None, ..reject };
        assert!(!Filter { since: Some(0), ..Filter::default() }.fits(&of_parquet));
    }
}
