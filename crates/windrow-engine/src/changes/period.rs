//! The two stretches that are held against each other.

use std::str::FromStr;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use windrow_core::clean;
use windrow_core::record::Micros;

use super::tally::{self, TIME};
use crate::checkpoint::Committed;
use crate::error::Result;
use crate::lookup::column;
use crate::published::each_batch;
use crate::sink::PublishedFile;

/// Where the later one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long before the newest page.
    Length(Micros),
    /// At this time.
    Time(Micros),
    /// Behind this commit.
    Commit(u64),
}

const UNITS: [(char, Micros); 5] =
    [('s', 1_000_000), ('m', 60_000_000), ('h', 3_600_000_000), ('d', 86_400_000_000), ('w', 604_800_000_000)];

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Ok(commit) = text.parse() {
            return Ok(Self::Commit(commit));
        }
        let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit));
        let number = unit.and_then(|(unit, micros)| text.strip_suffix(*unit)?.parse::<Micros>().ok()?.checked_mul(*micros));
        if let Some(length) = number.filter(|length| *length > 0) {
            return Ok(Self::Length(length));
        }
        let time = clean::time(text).map(Self::Time);
        time.ok_or_else(|| {
            "a length such as 24h or 7d, a time such as 2023-05-01 or 2023-05-01T12:00:00Z, or the number of a commit".into()
        })
    }
}

/// A stretch of what was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Of creation times, from one to before another.
    Times(Micros, Micros),
    /// Of commits, from one to another; none of them where the first is larger.
    Commits(u64, u64),
}

/// Which side a page is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Earlier,
    Before,
    Now,
    Later,
}

/// The two periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Periods {
    /// The one before begins, the one now begins, and it ends, before the last of these.
    Times([Micros; 3]),
    /// The first commit of the one before, and of the one now.
    Commits([u64; 2], u64),
}

impl Periods {
    /// The periods meant; none where there is no page, or none with a time where times are meant.
    pub(super) fn find(
        committed: &Committed,
        files: &[PublishedFile],
        since: Since,
        until: Option<Micros>,
    ) -> Result<Option<Self>> {
        if files.is_empty() {
            return Ok(None);
        }
        if let Since::Commit(commit) = since {
            let n_now: u64 = files.iter().filter(|file| file.epoch > commit).map(|file| file.rows).sum();
            let (mut first, mut n_before) = (commit.saturating_add(1), 0);
            for file in files.iter().rev().filter(|file| file.epoch <= commit) {
                if n_before >= n_now {
                    break;
                }
                (first, n_before) = (file.epoch, n_before + file.rows);
            }
            return Ok(Some(Self::Commits([first, commit.saturating_add(1)], committed.manifest.epoch)));
        }
        let end = match until {
            Some(until) => until,
            None => match newest_time(committed, files)? {
                Some(newest) => newest.saturating_add(1),
                None => return Ok(None),
            },
        };
        let begin = match since {
            Since::Length(length) => end.saturating_sub(length),
            Since::Time(time) => time.min(end),
            Since::Commit(_) => end,
        };
        Ok(Some(Self::Times([begin.saturating_sub(end - begin), begin, end])))
    }

    /// Where a page of this time in a file of this commit is; none without a time, where times count.
    pub(super) fn side(&self, time: Option<Micros>, epoch: u64) -> Option<Side> {
        match self {
            Self::Commits([before, now], _) => Some(match epoch {
                epoch if epoch >= *now => Side::Now,
                epoch if epoch >= *before => Side::Before,
                _ => Side::Earlier,
            }),
            Self::Times([before, now, end]) => time.map(|time| match time {
                time if time >= *end => Side::Later,
                time if time >= *now => Side::Now,
                time if time >= *before => Side::Before,
                _ => Side::Earlier,
            }),
        }
    }

    pub(super) fn shown(&self) -> [Period; 2] {
        match *self {
            Self::Times([before, now, end]) => [Period::Times(before, now), Period::Times(now, end)],
            Self::Commits([before, now], last) => [Period::Commits(before, now - 1), Period::Commits(now, last)],
        }
    }
}

/// The newest creation time that a page can have.
fn newest_time(committed: &Committed, files: &[PublishedFile]) -> Result<Option<Micros>> {
    let mut newest = None;
    for file in files {
        each_batch(&committed.layout.out, file, &[TIME], &mut |batch, read_by| {
            let times = column(batch, TIME)?.as_primitive::<TimestampMicrosecondType>();
            newest = newest.max(times.iter().flatten().filter(|time| tally::is_timely(*time, read_by)).max());
            Ok(())
        })?;
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_times_and_commits_are_told_apart() {
        assert_eq!("24h".parse(), Ok(Since::Length(86_400_000_000)));
        assert_eq!("7d".parse(), Ok(Since::Length(604_800_000_000)));
        assert_eq!("12".parse(), Ok(Since::Commit(12)));
        assert_eq!("2023-05-17".parse(), Ok(Since::Time(1_684_281_600_000_000)));
        for wrong in ["", "h", "-3h", "0d", "soon", "99999999999999999w"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_page_is_on_one_side() {
        let periods = Periods::Times([10, 20, 30]);
        let sides = [9, 10, 19, 20, 29, 30].map(|time| periods.side(Some(time), 0).unwrap());
        assert_eq!(sides, [Side::Earlier, Side::Before, Side::Before, Side::Now, Side::Now, Side::Later]);
        assert_eq!(periods.side(None, 0), None);
        let periods = Periods::Commits([3, 5], 9);
        assert_eq!(
            [2, 3, 4, 5, 9].map(|epoch| periods.side(None, epoch).unwrap()),
            [Side::Earlier, Side::Before, Side::Before, Side::Now, Side::Now]
        );
        assert_eq!(periods.shown(), [Period::Commits(3, 4), Period::Commits(5, 9)]);
    }
}
