//! Rejects, lineage and commits, newest first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use windrow_core::cluster::ClusterId;
use windrow_core::lineage::Evidence;
use windrow_core::record::{Micros, RejectReason};

use super::{Cursor, Found, files_of, newest_rows};
use crate::alarms;
use crate::checkpoint::Committed;
use crate::error::Result;
use crate::lookup::column;
use crate::rejects::text;
use crate::sink::Family;
use crate::sink::parquet::open_published;

/// Bytes of a reject that are kept.
const RAW_BYTES: usize = 4_096;

/// A row that became no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where the row came from.
    pub record_id: String,
    /// Code of the reason.
    pub reason: String,
    /// Name of its source.
    pub source: String,
    /// Its first bytes.
    pub raw: Vec<u8>,
    /// How many there are.
    pub length: usize,
    /// Bytes before the first one that is no UTF-8.
    pub at: Option<usize>,
}

/// The newest rejects before a place, for a reason if one is given.
///
/// # Errors
/// `E-OUTPUT-READ`: a file cannot be read.
pub fn rejects(
    committed: &Committed,
    reason: Option<RejectReason>,
    before: Option<Cursor>,
    limit: usize,
) -> Result<Found<Reject>> {
    let select = |batch: &RecordBatch| {
        let [record_id, reasons, source] = ["record_id", "reason", "source"].map(|name| column(batch, name));
        let (record_id, reasons, source) = (record_id?, reasons?, source?);
        let raw = column(batch, "raw")?.as_binary::<i32>();
        let of = |row: usize| {
            let bytes = raw.value(row);
            let found = text(reasons, row);
            reason.is_none_or(|reason| reason.code() == found).then(|| Reject {
                record_id: text(record_id, row).to_owned(),
                reason: found.to_owned(),
                source: text(source, row).to_owned(),
                raw: bytes[..bytes.len().min(RAW_BYTES)].to_vec(),
                length: bytes.len(),
                at: std::str::from_utf8(bytes).err().map(|error| error.valid_up_to()),
            })
        };
        Ok((0..batch.num_rows()).map(of).collect())
    };
    newest_rows(committed, Family::Rejects, &select, before, (limit, reason.is_none()))
}

/// Something that happened to a cluster or a micro-cluster: the columns of the lineage.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Event {
    /// Pages learnt before.
    pub position: i64,
    /// The commit that it belongs to.
    pub epoch: i64,
    /// What happened.
    pub event: String,
    /// The cluster.
    pub cluster: ClusterId,
    /// Its slot.
    pub slot: Option<i32>,
    /// The micro-cluster.
    pub micro_cluster: Option<i64>,
    /// The cluster that it came from.
    pub from_cluster: Option<i32>,
    /// The micro-cluster that took it in.
    pub into_micro_cluster: Option<i64>,
    /// The cluster of that one.
    pub into_cluster: Option<i32>,
    /// The new label.
    pub label: Option<String>,
    /// Whether it is pinned now.
    pub pinned: Option<bool>,
    /// Pages that moved, or for which it had come to that.
    pub pages: Option<i64>,
    /// What is unusual of a cluster that drifted.
    pub measure: Option<&'static str>,
    /// Above what is usual, or below.
    pub above: Option<bool>,
    /// Its value.
    pub value: Option<f64>,
    /// Where what is usual begins, and ends.
    pub usual_from: Option<f64>,
    /// Where it ends.
    pub usual_to: Option<f64>,
    /// Windows with that value.
    pub windows: Option<u32>,
    /// Windows before.
    pub before: Option<u32>,
    /// What fair bets would have made of one.
    pub odds: Option<f64>,
    /// Pages learnt when it began.
    pub since: Option<u64>,
    /// Why; older outputs do not say.
    #[serde(flatten)]
    pub evidence: Evidence,
}

impl Event {
    fn concerns(&self, cluster: ClusterId) -> bool {
        let is = |other: Option<i32>| other.map(i32::cast_unsigned) == Some(cluster);
        self.cluster == cluster || is(self.from_cluster) || is(self.into_cluster)
    }

    /// Why, in words.
    pub fn said(&self) -> Option<String> {
        self.evidence.said(self.pages.map(i64::cast_unsigned))
    }
}

/// The newest events before a place, of one cluster if it is given.
///
/// # Errors
/// `E-OUTPUT-READ`: a file cannot be read.
pub fn events(committed: &Committed, cluster: Option<ClusterId>, before: Option<Cursor>, limit: usize) -> Result<Found<Event>> {
    let select = |batch: &RecordBatch| {
        let is_wanted = |event: &Event| cluster.is_none_or(|cluster| event.concerns(cluster));
        let told = |row| {
            let event = Some(event(batch, row)?).filter(is_wanted);
            Ok(event.map(|event| Event { evidence: evidence(batch, row), ..event }))
        };
        (0..batch.num_rows()).map(told).collect()
    };
    newest_rows(committed, Family::Lineage, &select, before, (limit, cluster.is_none()))
}

fn event(batch: &RecordBatch, row: usize) -> Result<Event> {
    let long = |name: &str| -> Result<Option<i64>> {
        let values = column(batch, name)?.as_primitive::<Int64Type>();
        Ok(values.is_valid(row).then(|| values.value(row)))
    };
    let int = |name: &str| -> Result<Option<i32>> {
        let values = column(batch, name)?.as_primitive::<Int32Type>();
        Ok(values.is_valid(row).then(|| values.value(row)))
    };
    let (label, pinned) = (column(batch, "label")?, column(batch, "pinned")?.as_boolean());
    let alarm = alarms::alarm_of(batch, row);
    Ok(Event {
        position: long("position")?.unwrap_or_default(),
        epoch: long("epoch")?.unwrap_or_default(),
        event: text(column(batch, "event")?, row).to_owned(),
        cluster: int("cluster")?.unwrap_or_default().cast_unsigned(),
        slot: int("slot")?,
        micro_cluster: long("micro_cluster")?,
        from_cluster: int("from_cluster")?,
        into_micro_cluster: long("into_micro_cluster")?,
        into_cluster: int("into_cluster")?,
        label: label.is_valid(row).then(|| text(label, row).to_owned()),
        pinned: pinned.is_valid(row).then(|| pinned.value(row)),
        pages: long("pages")?,
        measure: alarm.map(|alarm| alarm.measure.code()),
        above: alarm.map(|alarm| alarm.is_above),
        value: alarm.map(|alarm| alarm.value),
        usual_from: alarm.map(|alarm| alarm.usual[0]),
        usual_to: alarm.map(|alarm| alarm.usual[1]),
        windows: alarm.map(|alarm| alarm.windows),
        before: alarm.map(|alarm| alarm.before),
        odds: alarm.map(|alarm| alarm.odds),
        since: alarm.map(|alarm| alarm.since),
        evidence: Evidence::default(),
    })
}

/// Files of before there was evidence have no columns for it.
fn evidence(batch: &RecordBatch, row: usize) -> Evidence {
    let value = |name: &str| batch.column_by_name(name).filter(|values| values.is_valid(row));
    let number = |name: &str| Some(value(name)?.as_primitive_opt::<Float64Type>()?.value(row));
    let words = |name: &str| Some(text(value(name)?, row).to_owned());
    Evidence {
        why: words("why").map(Cow::Owned),
        likeness: number("likeness"),
        likeness_before: number("likeness_before"),
        distance: number("distance"),
        weight: number("weight"),
        threshold: number("threshold"),
        words_gone: words("words_gone"),
        words_came: words("words_came"),
    }
}

/// A commit, by its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its number.
    pub epoch: u64,
    /// When its first file was written.
    pub at: Option<Micros>,
    /// Pages and rejects.
    pub rows: u64,
    /// Pages.
    pub pages: u64,
    /// Files.
    pub files: u64,
}

/// The newest commits that have files, newest first.
///
/// # Errors
/// The list of files cannot be read.
pub fn commits(committed: &Committed, limit: usize) -> Result<Vec<Commit>> {
    let mut by_epoch: BTreeMap<u64, Commit> = BTreeMap::new();
    for file in committed.manifest.all_files(&committed.layout.history())? {
        let commit = by_epoch.entry(file.epoch).or_insert_with(|| Commit { epoch: file.epoch, ..Commit::default() });
        commit.files += 1;
        match file.family {
            Family::Pages => (commit.rows, commit.pages) = (commit.rows + file.rows, commit.pages + file.rows),
            Family::Rejects => commit.rows += file.rows,
            Family::Lineage => {}
        }
    }
    let mut newest: Vec<Commit> = by_epoch.into_values().rev().take(limit).collect();
    let files = Family::ALL.map(|family| files_of(committed, family));
    for file in files.into_iter().collect::<Result<Vec<_>>>()?.iter().flatten() {
        let Some(commit) = newest.iter_mut().find(|commit| commit.epoch == file.epoch && commit.at.is_none()) else { continue };
        let opened = open_published(&committed.layout.out, file.family, &file.name);
        let written = opened.and_then(|file| file.metadata()?.modified()).ok();
        let since = written.and_then(|written| written.duration_since(UNIX_EPOCH).ok());
        commit.at = since.and_then(|since| Micros::try_from(since.as_micros()).ok());
    }
    Ok(newest)
}
