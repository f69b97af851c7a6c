//! What the rest of a run will need: time and disk, told once it has worked for five seconds, by what it took until then.
//!
//! Only where all there is to read is known, files and the generator: of what has no end nothing is said. A pipeline that has read before
//! knows at once how much Parquet its rows make; when that does not fit, it says so before it reads.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windrow_core::record::Micros;

use crate::checkpoint::Layout;
use crate::checkpoint::manifest::Manifest;
use crate::disk::Room;
use crate::source::Positions;
use crate::source::extent::Extent;

/// How long a run works before it is judged by it.
const AFTER: Duration = Duration::from_secs(5);
/// The share that must be read by then: of less one cannot tell.
const LEAST_SHARE: f64 = 0.0005;

/// What the rest of a run will need.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// When it was made.
    pub at: Micros,
    /// Seconds to the end of the input; not known before the run has worked for a while.
    pub seconds: Option<f64>,
    /// Bytes of Parquet that are still to come.
    pub disk_bytes: u64,
    /// Bytes that may be written until the reserve is touched; none where no system tells.
    pub room: Option<u64>,
}

impl Forecast {
    /// Whether it fits on the disk.
    pub fn fits(&self) -> bool {
        self.room.is_none_or(|room| self.disk_bytes <= room)
    }
}

/// What a run knows of its input and its disks.
#[derive(Debug)]
pub(super) struct Prospect {
    extent: Extent,
    room: Room,
    /// Bytes of files that this run has published.
    published: u64,
    /// What was told last.
    told: Option<Forecast>,
}

impl Prospect {
    /// None when it cannot be known how much there is to read.
    pub(super) fn new(positions: &Positions, room: &Room) -> Option<Self> {
        let extent = Extent::of(positions)?;
        Some(Self { extent, room: room.clone(), published: 0, told: None })
    }

    /// By what the rows of earlier runs have made, if it does not fit.
    pub(super) fn look_back(&mut self, manifest: &Manifest, layout: &Layout, now: Micros) -> Option<Forecast> {
        let read: u64 = manifest.positions.sources.iter().map(|source| source.offset).sum();
        let files = manifest.all_files(&layout.history()).ok()?;
        let made: u64 = files.iter().map(|file| file.bytes).sum();
        if read == 0 {
            return None;
        }
        let disk_bytes = part(made, self.extent.left() as f64 / read as f64);
        let forecast = Forecast { at: now, seconds: None, disk_bytes, room: self.room.left() };
        self.told = Some(forecast).filter(|forecast| !forecast.fits());
        self.told
    }

    /// By what this run has made so far, when it has worked long enough; once.
    pub(super) fn look_ahead(
        &mut self,
        positions: &Positions,
        staged: u64,
        elapsed: Duration,
        now: Micros,
    ) -> Option<Forecast> {
        if elapsed < AFTER || self.told.is_some_and(|told| told.seconds.is_some()) {
            return None;
        }
        let share = self.extent.share(positions).filter(|share| *share >= LEAST_SHARE)?;
        let rest = (1.0 - share) / share;
        let seconds = Some(elapsed.as_secs_f64() * rest);
        let disk_bytes = part(self.published + staged, rest).saturating_add(staged);
        self.told = Some(Forecast { at: now, seconds, disk_bytes, room: self.room.left() });
        self.told
    }

    /// Counts files that came into view.
    pub(super) fn add(&mut self, bytes: u64) {
        self.published += bytes;
    }

    pub(super) fn told(&self) -> Option<Forecast> {
        self.told
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, not negative")]
fn part(bytes: u64, of: f64) -> u64 {
    (bytes as f64 * of) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourcePosition;

    fn at(offset: u64) -> Positions {
        let source = SourcePosition { offset, ..SourcePosition::of("generator:rows=1000,seed=1") };
        Positions { sources: vec![source] }
    }

    fn prospect(reserve: u64) -> Prospect {
        Prospect::new(&at(0), &Room::of(["/".into()], reserve)).unwrap()
    }

    #[test]
    fn the_rest_is_told_once_by_what_came_before() {
        let mut prospect = prospect(0);
        prospect.add(700);
        assert_eq!(prospect.look_ahead(&at(250), 300, Duration::from_secs(4), 1), None, "too early");
        let forecast = prospect.look_ahead(&at(250), 300, Duration::from_secs(8), 2).unwrap();
        assert_eq!((forecast.seconds, forecast.disk_bytes, forecast.at), (Some(24.0), 3_300, 2));
        assert!(forecast.fits());
        assert_eq!(prospect.look_ahead(&at(500), 300, Duration::from_secs(16), 3), None, "once");
        assert_eq!(prospect.told(), Some(forecast));
    }

    #[test]
    fn nothing_is_told_of_what_has_no_end_or_has_hardly_begun() {
        let mut endless = at(0);
        endless.sources[0].name = "kafka:pages/0".into();
        assert!(Prospect::new(&endless, &Room::of([], 0)).is_none());
        assert_eq!(prospect(0).look_ahead(&at(0), 300, Duration::from_secs(9), 1), None);
    }

    #[test]
    fn what_does_not_fit_says_so() {
        let mut prospect = prospect(u64::MAX);
        prospect.add(1);
        assert!(!prospect.look_ahead(&at(500), 0, Duration::from_secs(9), 1).unwrap().fits());
    }
}
