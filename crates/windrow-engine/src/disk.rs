//! Room on the disks of output and state: looked at before a run and while it goes on.
//!
//! ```text
//! before   less than the reserve is free   refused: nothing was begun
//! during   less than the reserve is free   what was learnt is committed, and the run waits
//!          a write finds the disk full     what was staged is dropped, and the run waits
//! then     there is room again             the run goes on from the last commit by itself
//! ```
//!
//! The reserve keeps the disk from being full at all: the last files need room to be closed, and other programs need some too.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// Room on the disks of one pipeline.
#[derive(Debug, Clone)]
pub struct Room {
    /// Where files are written.
    places: Vec<PathBuf>,
    /// Bytes that stay free.
    reserve: u64,
    /// When it is looked at again.
    next: Duration,
}

/// How often a run looks between rolls.
const LOOK: Duration = Duration::from_secs(1);

impl Room {
    /// On the disks where these folders are, or will be.
    pub fn of(places: impl IntoIterator<Item = PathBuf>, reserve: u64) -> Self {
        Self { places: places.into_iter().collect(), reserve, next: Duration::ZERO }
    }

    /// Files were written: it is worth a look.
    pub(crate) fn has_changed(&mut self) {
        self.next = Duration::ZERO;
    }

    /// Looks when it has changed, and once a second.
    pub(crate) fn look(&mut self, now: Duration) -> Result<()> {
        if now < self.next {
            return Ok(());
        }
        self.next = now + LOOK;
        self.check()
    }

    /// Refuses when less than the reserve is free on one of them.
    pub fn check(&self) -> Result<()> {
        match self.least() {
            Some((place, free)) if free < self.reserve => Err(full(&format!(
                "{} MB are free on the disk of {}, less than the {} MB that a run leaves free (limits.free_disk)",
                free >> 20,
                place.display(),
                self.reserve >> 20
            ))),
            _ => Ok(()),
        }
    }

    /// Bytes that may still be written, where there is least room; none where no system tells.
    pub fn left(&self) -> Option<u64> {
        self.least().map(|(_, free)| free.saturating_sub(self.reserve))
    }

    /// The place with the least room, and how much that is.
    fn least(&self) -> Option<(&Path, u64)> {
        let known = self.places.iter().filter_map(|place| Some((place.as_path(), free(place)?)));
        known.min_by_key(|(_, free)| *free)
    }
}

/// Bytes that are free for us on the disk of a path; of one that is not there yet, where it would come.
pub fn free(path: &Path) -> Option<u64> {
    let whole = std::path::absolute(path).ok()?;
    let there = whole.ancestors().find(|folder| folder.exists())?;
    let about = rustix::fs::statvfs(there).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}

/// Whether an error says that there is no room, itself or below.
pub(crate) fn is_full(error: &(dyn StdError + 'static)) -> bool {
    let mut below = Some(error);
    while let Some(error) = below {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        below = error.source();
    }
    false
}

/// Code of the error.
pub(crate) const FULL: &str = "E-DISK-FULL";

/// There is no room. A run that has begun waits for some.
pub(crate) fn full(told: &str) -> Error {
    Error::new(ErrorKind::Environment, FULL, told).hint(
        "free some room: a run that waits goes on by itself, one that has ended is called again; nothing committed is lost",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_however_deep_it_lies() {
        let full = || io::Error::from_raw_os_error(28);
        assert!(is_full(&full()) && is_full(&io::Error::from(io::ErrorKind::QuotaExceeded)));
        assert!(is_full(&parquet::errors::ParquetError::from(full())));
        assert!(is_full(&parquet::errors::ParquetError::External(Box::new(parquet::errors::ParquetError::from(full())))));
        assert!(!is_full(&io::Error::from_raw_os_error(13)));
    }

    #[test]
    fn room_is_what_is_left_above_the_reserve_where_there_is_least() {
        let folder = tempfile::tempdir().unwrap();
        let later = folder.path().join("not/there/yet");
        let room = |reserve| Room::of([later.clone(), "/proc".into()], reserve);
        // The file system of /proc has no room at all.
        assert_eq!((room(0).check(), room(0).left()), (Ok(()), Some(0)));
        let error = room(1).check().unwrap_err();
        assert_eq!((error.code, error.exit_code()), ("E-DISK-FULL", 3));
        assert!(error.message.contains("/proc"), "{error}");
        assert!(Room::of([later], 1).check().is_ok(), "the disk of its nearest folder");
    }
}
