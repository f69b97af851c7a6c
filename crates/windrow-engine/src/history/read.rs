//! The three columns of a published file of pages that the history is made of.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMicrosecondType};
use arrow_array::{Array as _, RecordBatch};
use windrow_core::cluster::ClusterId;

use super::domains::ByCluster;
use super::grid::Seconds;
use crate::checkpoint::Layout;
use crate::error::Result;
use crate::lookup::{column, no_column};
use crate::published::each_batch;
use crate::sink::PublishedFile;

const COLUMNS: [&str; 3] = ["cluster", "creation_time", "domain"];
const MICROS: i64 = 1_000_000;

/// What a file adds to the history.
#[derive(Debug, Default)]
pub struct Piece {
    /// When its last page was written: that of its commit, as near as a file can tell.
    pub(super) arrived: Seconds,
    /// Pages by cluster and event time; those without a time that can be under none.
    pub(super) pages: BTreeMap<(ClusterId, Option<Seconds>), u64>,
    /// Pages by domain and cluster.
    pub(super) domains: BTreeMap<String, ByCluster>,
}

/// 1990: no page of the web is older.
const FIRST_PAGE: Seconds = 631_152_000;
/// How far clocks of producers may be ahead.
const AHEAD: Seconds = 86_400;

/// A time that a page can have which was read by then. One row of the year 9999 would leave a chart of all the others in one bucket.
pub(crate) fn timely(time: Seconds, read_by: Seconds) -> Option<Seconds> {
    (FIRST_PAGE..=read_by.saturating_add(AHEAD)).contains(&time).then_some(time)
}

/// Reads a file of pages, which was committed by then.
pub(super) fn piece(layout: &Layout, file: &PublishedFile, committed_by: Seconds) -> Result<Piece> {
    let mut piece = Piece::default();
    piece.arrived =
        each_batch(&layout.out, file, &COLUMNS, &mut |batch, arrived| piece.count(batch, committed_by.max(arrived)))?;
    Ok(piece)
}

impl Piece {
    fn count(&mut self, batch: &RecordBatch, read_by: Seconds) -> Result<()> {
        let clusters = column(batch, COLUMNS[0])?.as_primitive::<Int32Type>();
        let times = column(batch, COLUMNS[1])?.as_primitive::<TimestampMicrosecondType>();
        let domains = column(batch, COLUMNS[2])?.as_string_opt::<i32>().ok_or_else(|| no_column(COLUMNS[2]))?;
        for row in 0..batch.num_rows() {
            let cluster = clusters.value(row).cast_unsigned();
            let time = times.is_valid(row).then(|| times.value(row).div_euclid(MICROS));
            let time = time.and_then(|time| timely(time, read_by));
            *self.pages.entry((cluster, time)).or_default() += 1;
            let domain = domains.value(row);
            match self.domains.get_mut(domain) {
                Some(counts) => *counts.entry(cluster).or_default() += 1,
                None => drop(self.domains.insert(domain.to_owned(), ByCluster::from([(cluster, 1)]))),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_cannot_be_are_none() {
        let now = 1_700_000_000;
        let kept = [FIRST_PAGE, 1_684_354_911, now, now + AHEAD];
        assert_eq!(kept.map(|time| timely(time, now)), kept.map(Some));
        let year_9999 = 253_399_622_400;
        assert_eq!(
            [Seconds::MIN, -62_135_510_400, FIRST_PAGE - 1, now + AHEAD + 1, year_9999].map(|time| timely(time, now)),
            [None; 5]
        );
    }
}
