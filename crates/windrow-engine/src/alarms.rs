//! Alarms about drift, of the published lineage.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array as _, RecordBatch};
use windrow_core::cluster::ClusterId;
use windrow_core::lineage::{Alarm, Measure};

use crate::checkpoint::manifest::Manifest;
use crate::checkpoint::{Committed, Layout};
use crate::error::Result;
use crate::lookup::column;
use crate::published::each_batch;
use crate::rejects::text;
use crate::sink::{Family, PublishedFile};

const COLUMNS: [&str; 12] = [
    "position",
    "event",
    "cluster",
    "measure",
    "above",
    "value",
    "usual_from",
    "usual_to",
    "windows",
    "before",
    "odds",
    "since",
];

/// An alarm, and whose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raised {
    /// Pages learnt when it was raised.
    pub position: u64,
    /// The cluster.
    pub cluster: ClusterId,
    /// What is unusual about it.
    pub alarm: Alarm,
}

/// All alarms, oldest first.
///
/// # Errors
/// `E-OUTPUT-READ`: a file cannot be read.
pub fn all(committed: &Committed) -> Result<Vec<Raised>> {
    let mut raised = Vec::new();
    if committed.manifest.counters.alarms > 0 {
        for file in files(&committed.layout, &committed.manifest)? {
            read(&committed.layout, &file, &mut raised)?;
        }
    }
    Ok(raised)
}

/// The newest alarm.
///
/// # Errors
/// `E-OUTPUT-READ`: a file cannot be read.
pub fn last(layout: &Layout, manifest: &Manifest) -> Result<Option<Raised>> {
    if manifest.counters.alarms == 0 {
        return Ok(None);
    }
    for file in files(layout, manifest)?.iter().rev() {
        let mut raised = Vec::new();
        read(layout, file, &mut raised)?;
        if let Some(last) = raised.pop() {
            return Ok(Some(last));
        }
    }
    Ok(None)
}

fn files(layout: &Layout, manifest: &Manifest) -> Result<Vec<PublishedFile>> {
    let mut files = manifest.all_files(&layout.history())?;
    files.retain(|file| file.family == Family::Lineage);
    Ok(files)
}

fn read(layout: &Layout, file: &PublishedFile, raised: &mut Vec<Raised>) -> Result<()> {
    each_batch(&layout.out, file, &COLUMNS, &mut |batch, _| {
        let events = column(batch, "event")?;
        let positions = column(batch, "position")?.as_primitive::<Int64Type>();
        let clusters = column(batch, "cluster")?.as_primitive::<Int32Type>();
        for row in (0..batch.num_rows()).filter(|row| text(events, *row) == "drifted") {
            let (position, cluster) = (positions.value(row).cast_unsigned(), clusters.value(row).cast_unsigned());
            raised.extend(alarm_of(batch, row).map(|alarm| Raised { position, cluster, alarm }));
        }
        Ok(())
    })
    .map(drop)
}

/// The alarm that an event is; none of another event, and of files of older programs, which have no such columns.
pub(crate) fn alarm_of(batch: &RecordBatch, row: usize) -> Option<Alarm> {
    let there = |name: &str| batch.column_by_name(name).filter(|column| column.is_valid(row));
    let double = |name: &str| there(name).map(|column| column.as_primitive::<Float64Type>().value(row));
    let int = |name: &str| there(name).map(|column| column.as_primitive::<Int32Type>().value(row).cast_unsigned());
    Some(Alarm {
        measure: Measure::named(text(there("measure")?, row))?,
        is_above: there("above")?.as_boolean().value(row),
        value: double("value")?,
        usual: [double("usual_from")?, double("usual_to")?],
        windows: int("windows")?,
        before: int("before")?,
        odds: double("odds")?,
        since: there("since")?.as_primitive::<Int64Type>().value(row).cast_unsigned(),
    })
}
