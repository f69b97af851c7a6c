//! Drift of all clusters: each is held against its own past, and what is unusual is told.
//!
//! What the lineage has told already is no alarm: of clusters that an edit concerned the past begins anew.

mod measures;
mod rank;

use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterId, Decision};
use crate::lineage::{Alarm, Happening, LineageEvent, Measure};
use crate::record::Pages;
use crate::snapshot::SnapshotError;
use measures::{PAGES, ROWS, Watched};

/// Most false alarms in a million pages that can be asked for.
pub const MOST_FALSE_ALARMS: f64 = 1e5;

/// Slots whose clusters are watched: of the first ones, so that memory and snapshots stay small however many there may be.
const SLOTS: usize = 2_048;

/// What clusters are like, and were. Field order is the format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Drift {
    /// False alarms that are expected in a million pages.
    pub(super) false_alarms: f64,
    /// By slot.
    clusters: Vec<Option<Box<Watched>>>,
}

/// How a cluster stands in one measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gauge {
    /// What is measured.
    pub measure: Measure,
    /// Its last value.
    pub now: f64,
    /// Between which values four fifths of its past lie, with the last.
    pub usual: [f64; 2],
    /// How many values that is known of.
    pub values: u64,
}

/// How a cluster stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Standing {
    /// What is known of each measure; none of those that had no value yet.
    pub gauges: Vec<Gauge>,
    /// Alarms so far.
    pub alarms: u64,
    /// The last of them, and pages learnt when it was raised.
    pub last: Option<(u64, Alarm)>,
}

impl Drift {
    /// One that has seen nothing; none where no alarms are wanted.
    pub(super) fn new(false_alarms: f64) -> Option<Self> {
        (false_alarms > 0.0).then(|| Self { false_alarms, clusters: Vec::new() })
    }

    /// Looks at a page with its decision; at its words, where they are at hand. What it finds goes to the log.
    #[inline]
    pub(super) fn see(
        &mut self,
        decision: &Decision,
        position: u64,
        words: Option<(&Pages, usize)>,
        log: &mut Vec<LineageEvent>,
    ) {
        let Self { false_alarms, clusters } = self;
        let slot = decision.slot as usize;
        if slot < SLOTS {
            if slot >= clusters.len() {
                clusters.resize_with(slot + 1, || None);
            }
            let watched = match &mut clusters[slot] {
                Some(watched) if watched.cluster == decision.cluster => watched,
                place => place.insert(Box::new(Watched::new(decision.cluster, position))),
            };
            watched.count();
            // Half of what may be spent is for the words, the other half for the volume.
            let stake = *false_alarms / 2e6 * f64::from(PAGES);
            if let Some((pages, row)) = words
                && let Some(found) = watched.see(pages, row, position, stake)
            {
                raise(watched, found, position, log);
            }
        }
        if (position + 1).is_multiple_of(ROWS) {
            self.end_stretch(position, log);
        }
    }

    fn end_stretch(&mut self, position: u64, log: &mut Vec<LineageEvent>) {
        let Self { false_alarms, clusters } = self;
        let n_clusters = clusters.iter().flatten().count().max(1);
        let stake = *false_alarms / 2e6 * ROWS as f64 / n_clusters as f64;
        for watched in clusters.iter_mut().flatten() {
            if let Some(found) = watched.end_stretch(position, stake) {
                raise(watched, found, position, log);
                watched.begin_stretch();
            }
        }
    }

    /// Takes note of what happened to clusters.
    pub(super) fn note(&mut self, event: &LineageEvent) {
        match &event.happening {
            Happening::ClusterDied { .. } => {
                let gone = self.clusters.iter_mut().find(|place| is(place, event.cluster));
                gone.into_iter().for_each(|place| *place = None);
            }
            Happening::ClusterMerged { into: other }
            | Happening::ClusterSplit { from: other, .. }
            | Happening::MicroPlaced { from: other, .. } => {
                self.begin(event.cluster, event.position);
                self.begin(*other, event.position);
            }
            _ => {}
        }
    }

    /// Lets a cluster's past begin anew.
    fn begin(&mut self, cluster: ClusterId, position: u64) {
        let known = self.clusters.iter_mut().find(|place| is(place, cluster));
        known.into_iter().flatten().for_each(|watched| watched.begin(position));
    }

    /// How a cluster stands.
    pub(super) fn standing(&self, cluster: ClusterId) -> Option<Standing> {
        let watched = self.clusters.iter().find(|place| is(place, cluster))?.as_ref()?;
        let gauges = Measure::ALL.into_iter().filter_map(|measure| {
            let (now, usual, values) = watched.now(measure)?;
            Some(Gauge { measure, now, usual, values })
        });
        Some(Standing { gauges: gauges.collect(), alarms: watched.alarms, last: watched.last })
    }

    /// Refuses what cannot be gone on with.
    pub(super) fn check(self, n_slots: u32) -> Result<Self, SnapshotError> {
        let Self { false_alarms, clusters } = &self;
        let is_sound = (0.0..=MOST_FALSE_ALARMS).contains(false_alarms)
            && clusters.len() <= SLOTS.min(n_slots as usize)
            && clusters.iter().flatten().all(|watched| watched.is_sound());
        if is_sound { Ok(self) } else { Err(SnapshotError::Damaged("what it says of the watch cannot be".into())) }
    }
}

fn is(place: &Option<Box<Watched>>, cluster: ClusterId) -> bool {
    place.as_ref().is_some_and(|watched| watched.cluster == cluster)
}

/// Says it, and lets what is usual be learnt anew.
fn raise(watched: &mut Watched, alarm: Alarm, position: u64, log: &mut Vec<LineageEvent>) {
    let position = position + 1;
    watched.alarms = watched.alarms.saturating_add(1);
    watched.last = Some((position, alarm));
    watched.begin(position);
    log.push(LineageEvent { position, cluster: watched.cluster, happening: Happening::Drifted { alarm } });
}
