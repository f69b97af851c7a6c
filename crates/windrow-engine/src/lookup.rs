//! Lookup: one published page, or what became of an id, from the Parquet that is in view.
//!
//! A scan of one column in the published files, newest first, with everything else read only for the row that fits. Outputs are
//! read as any other reader would read them: what is said of a page is what was delivered.

use std::collections::BTreeMap;
use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, BooleanArray, Int32Array, RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter};
use parquet::errors::ParquetError;
use windrow_core::cluster::{ClusterId, Decision, MicroId, Slot};
use windrow_core::record::{Micros, RecordId};

use crate::checkpoint::Reading;
use crate::error::{Error, ErrorKind, Result};
use crate::published::unreadable;
use crate::sink::Family;
use crate::sink::parquet::open_published;

/// How a page is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// By record id.
    Record(RecordId),
    /// By the campaign's id.
    Id(String),
    /// By its URL.
    Url(String),
}

impl Wanted {
    fn column(&self) -> &'static str {
        match self {
            Self::Record(_) => "record_id",
            Self::Id(_) => "id",
            Self::Url(_) => "url",
        }
    }

    fn value(&self) -> String {
        match self {
            Self::Record(id) => id.to_string(),
            Self::Id(text) | Self::Url(text) => text.clone(),
        }
    }
}

/// A page as it was delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Its record id.
    pub record_id: String,
    /// The decision at its arrival.
    pub decision: Decision,
    /// The cluster's label then.
    pub label: String,
    /// Event time, when it has one.
    pub creation_time: Option<Micros>,
    /// id, url, title, keywords, description.
    pub columns: [String; 5],
}

/// The newest published page of that name.
pub fn find(reading: &Reading, wanted: &Wanted) -> Result<Option<Published>> {
    let value = wanted.value();
    for batch in batches(reading, Family::Pages, wanted.column(), move |found| found == value) {
        let batch = batch?;
        if let Some(last) = batch.num_rows().checked_sub(1) {
            return published(&batch, last).map(Some);
        }
    }
    Ok(None)
}

/// What became of a micro-cluster that is not alive any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was merged into another one, after so many pages were learnt.
    Merged {
        /// The micro-cluster that took it in.
        into: MicroId,
        /// Pages learnt then.
        position: u64,
    },
    /// It faded away, after so many pages were learnt.
    Faded {
        /// Its last cluster.
        cluster: ClusterId,
        /// Pages learnt then.
        position: u64,
    },
}

/// What the published lineage says of a micro-cluster's end.
pub fn fate(reading: &Reading, micro: MicroId) -> Result<Option<Fate>> {
    for batch in batches(reading, Family::Lineage, "event", |event| event == "micro_merged" || event == "micro_faded") {
        let batch = batch?;
        let ended = column(&batch, "micro_cluster")?.as_primitive::<Int64Type>();
        let Some(row) = ended.iter().position(|id| id == i64::try_from(micro).ok()) else { continue };
        let long =
            |name: &str| -> Result<u64> { Ok(column(&batch, name)?.as_primitive::<Int64Type>().value(row).cast_unsigned()) };
        let position = long("position")?;
        if column(&batch, "event")?.as_string::<i32>().value(row) == "micro_merged" {
            return Ok(Some(Fate::Merged { into: long("into_micro_cluster")?, position }));
        }
        let cluster = column(&batch, "cluster")?.as_primitive::<Int32Type>().value(row).cast_unsigned();
        return Ok(Some(Fate::Faded { cluster, position }));
    }
    Ok(None)
}

/// The end of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEnd {
    /// The slot it had.
    pub slot: Slot,
    /// Pages learnt when it died.
    pub position: u64,
    /// Micro-clusters that went over from it to other clusters, in its whole life.
    pub went_to: BTreeMap<ClusterId, u64>,
}

/// What the published lineage says of a cluster's end; none when it says of none.
pub fn cluster_end(reading: &Reading, cluster: ClusterId) -> Result<Option<ClusterEnd>> {
    let (mut end, mut went_to) = (None, BTreeMap::new());
    let concerned = |event: &str| ["cluster_died", "micro_moved", "micro_placed", "micro_merged"].contains(&event);
    for batch in batches(reading, Family::Lineage, "event", concerned) {
        let batch = batch?;
        let int = |name: &str| -> Result<&Int32Array> { Ok(column(&batch, name)?.as_primitive::<Int32Type>()) };
        let (clusters, from, into, slots) = (int("cluster")?, int("from_cluster")?, int("into_cluster")?, int("slot")?);
        let positions = column(&batch, "position")?.as_primitive::<Int64Type>();
        let events = column(&batch, "event")?.as_string::<i32>();
        for row in 0..batch.num_rows() {
            let of = |column: &Int32Array| column.value(row).cast_unsigned();
            match events.value(row) {
                "cluster_died" if of(clusters) == cluster => {
                    end = Some((of(slots), positions.value(row).cast_unsigned()));
                }
                "micro_moved" | "micro_placed" if of(from) == cluster && of(clusters) != cluster => {
                    *went_to.entry(of(clusters)).or_default() += 1;
                }
                "micro_merged" if of(clusters) == cluster && of(into) != cluster => {
                    *went_to.entry(of(into)).or_default() += 1;
                }
                _ => {}
            }
        }
    }
    Ok(end.map(|(slot, position)| ClusterEnd { slot, position, went_to }))
}

/// Why a record was rejected; none when it was not.
pub fn rejection(reading: &Reading, record: RecordId) -> Result<Option<String>> {
    let wanted = record.to_string();
    for batch in batches(reading, Family::Rejects, "record_id", move |found| found == wanted) {
        let batch = batch?;
        if batch.num_rows() > 0 {
            return Ok(Some(text_at(column(&batch, "reason")?, 0)));
        }
    }
    Ok(None)
}

/// Rows of a family whose text column fits, newest file first.
fn batches<'a>(
    reading: &'a Reading,
    family: Family,
    column: &'static str,
    fits: impl Fn(&str) -> bool + Clone + Send + 'static,
) -> impl Iterator<Item = Result<RecordBatch>> + 'a {
    let out = &reading.layout.out;
    let (files, failed) = match reading.manifest.all_files(&reading.layout.history()) {
        Ok(files) => (files, None),
        Err(error) => (Vec::new(), Some(Err(error))),
    };
    let files = files.into_iter().filter(move |file| file.family == family).rev();
    failed.into_iter().chain(files.flat_map(move |file| {
        let unreadable = |error: &dyn std::fmt::Display| unreadable(out, &file, error);
        let opened = open_published(out, family, &file.name);
        match opened.map_err(ParquetError::from).and_then(|file| filtered(file, column, fits.clone())) {
            Ok(reader) => reader.map(|batch| batch.map_err(|error| unreadable(&error))).collect::<Vec<_>>(),
            Err(error) => vec![Err(unreadable(&error))],
        }
    }))
}

fn filtered(
    file: File,
    column: &str,
    fits: impl Fn(&str) -> bool + Send + 'static,
) -> parquet::errors::Result<ParquetRecordBatchReader> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
    let predicate = ArrowPredicateFn::new(mask, move |batch| {
        let values: &StringArray = batch.column(0).as_string();
        Ok(values.iter().map(|value| value.is_some_and(&fits)).collect::<BooleanArray>())
    });
    builder.with_row_filter(RowFilter::new(vec![Box::new(predicate)])).build()
}

/// A column of a batch of the output.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    batch.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| no_column(name))
}

pub(crate) fn no_column(name: &str) -> Error {
    Error::new(ErrorKind::Data, "E-OUTPUT-READ", format!("the output has no such column `{name}`"))
        .hint("was it written by another version of windrow?")
}

fn published(batch: &RecordBatch, row: usize) -> Result<Published> {
    let text = |name: &str| -> Result<String> { Ok(text_at(column(batch, name)?, row)) };
    let int = |name: &str| -> Result<u32> { Ok(column(batch, name)?.as_primitive::<Int32Type>().value(row).cast_unsigned()) };
    let time = column(batch, "creation_time")?.as_primitive::<TimestampMicrosecondType>();
    Ok(Published {
        record_id: text("record_id")?,
        decision: Decision {
            cluster: int("cluster")?,
            slot: int("slot")?,
            micro_cluster: column(batch, "micro_cluster")?.as_primitive::<Int64Type>().value(row).cast_unsigned(),
            novel: column(batch, "novel")?.as_boolean().value(row),
            score: column(batch, "score")?.as_primitive::<Float64Type>().value(row),
        },
        label: text("label")?,
        creation_time: time.is_valid(row).then(|| time.value(row)),
        columns: [text("id")?, text("url")?, text("title")?, text("keywords")?, text("description")?],
    })
}

fn text_at(column: &dyn Array, row: usize) -> String {
    if let Some(texts) = column.as_string_opt::<i32>() {
        return texts.value(row).to_owned();
    }
    let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() else { return String::new() };
    let key = dictionary.keys().value(row);
    let values = dictionary.values().as_string::<i32>();
    usize::try_from(key).map(|key| values.value(key).to_owned()).unwrap_or_default()
}
