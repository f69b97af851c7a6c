//! The lasting clusters, each on a slot 0..K-1: the topic that it writes to.
//!
//! A slot has at most one cluster. When that one dies the slot rests for a while, so that whoever reads the topic can see the end
//! of one cluster before another one begins; the slot that has rested longest is given out first. Ids of clusters count up and
//! are never used again.

use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::{ClusterId, Slot};
use crate::lineage::EditError;

/// A cluster that has had less than this living weight, in pages, for a whole horizon of pages may die.
pub(super) const LIGHT: f64 = 2.0;
const HORIZON: u64 = 500;
/// Pages for which a slot rests.
pub(super) const REST: u64 = 100;
/// One slot in this many is kept free for what is new, as far as light clusters can give theirs.
pub(super) const RESERVE: usize = 10;

/// A living cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cluster {
    pub(super) id: ClusterId,
    pub(super) pinned: bool,
    /// Position since which the cluster's living weight has been too small; none while it is not.
    pub(super) light_since: Option<u64>,
    /// What its dead micro-clusters left.
    pub(super) memory: Memory,
}

impl Cluster {
    /// Notes whether it is light now; the pages for which it has been, if for a whole horizon. One that is pinned never is.
    pub(super) fn long_light(&mut self, is_light: bool, position: u64) -> Option<u64> {
        self.light_since = if is_light && !self.pinned { self.light_since.or(Some(position)) } else { None };
        self.light_since.map(|since| position - since).filter(|&n_pages| n_pages >= HORIZON)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Place {
    /// Free from this position on.
    Resting(u64),
    Owned(Cluster),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Slots {
    places: Vec<Place>,
    next_id: ClusterId,
}

impl Slots {
    pub(super) fn new(n: u32) -> Self {
        Self { places: vec![Place::Resting(0); n.max(1) as usize], next_id: 0 }
    }

    /// Number of slots, owned or not.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Opens a cluster on a rested slot; none when all slots are owned or rest still.
    pub(super) fn open(&mut self, position: u64) -> Option<Slot> {
        let slot = self.rested(position)?;
        Some(self.own(slot))
    }

    /// The same for a user, who knows what he does: a slot that rests still will do.
    pub(super) fn open_at_once(&mut self) -> Option<Slot> {
        let slot = self.rested(u64::MAX)?;
        Some(self.own(slot))
    }

    fn own(&mut self, slot: usize) -> Slot {
        let cluster = Cluster { id: self.next_id, pinned: false, light_since: None, memory: Memory::default() };
        self.next_id += 1;
        self.places[slot] = Place::Owned(cluster);
        slot as Slot
    }

    /// Whether `open` would give a slot, and the id that it would give.
    pub(super) fn would_open(&self, position: u64) -> Option<(Slot, ClusterId)> {
        self.rested(position).map(|slot| (slot as Slot, self.next_id))
    }

    /// Ends the cluster of a slot, which then rests until `position`.
    pub(super) fn close(&mut self, slot: Slot, position: u64) {
        self.places[slot as usize] = Place::Resting(position);
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Cluster> {
        match &self.places[slot as usize] {
            Place::Owned(cluster) => Some(cluster),
            Place::Resting(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Cluster> {
        match &mut self.places[slot as usize] {
            Place::Owned(cluster) => Some(cluster),
            Place::Resting(_) => None,
        }
    }

    /// Pins a living cluster, or lets go of it.
    pub(super) fn pin(&mut self, cluster: ClusterId, pinned: bool) -> Result<(), EditError> {
        let slot = self.slot_of(cluster)?;
        self.get_mut(slot).expect("a living cluster's slot").pinned = pinned;
        Ok(())
    }

    /// The slot of a living cluster.
    pub(super) fn slot_of(&self, cluster: ClusterId) -> Result<Slot, EditError> {
        let found = self.living().find(|(_, living)| living.id == cluster);
        found.map(|(slot, _)| slot).ok_or(EditError::NoSuchCluster(cluster))
    }

    /// Id of the cluster that owns a slot which a living micro-cluster names.
    pub(super) fn owner(&self, slot: Slot) -> ClusterId {
        self.get(slot).expect("a living micro-cluster's slot has an owner").id
    }

    /// Living clusters, slots ascending.
    pub(super) fn living(&self) -> impl Iterator<Item = (Slot, &Cluster)> {
        (0..).zip(&self.places).filter_map(|(slot, place)| match place {
            Place::Owned(cluster) => Some((slot, cluster)),
            Place::Resting(_) => None,
        })
    }

    /// Living clusters, slots ascending.
    pub(super) fn living_mut(&mut self) -> impl Iterator<Item = (Slot, &mut Cluster)> {
        (0..).zip(&mut self.places).filter_map(|(slot, place)| match place {
            Place::Owned(cluster) => Some((slot, cluster)),
            Place::Resting(_) => None,
        })
    }

    fn rested(&self, position: u64) -> Option<usize> {
        let free = self.places.iter().enumerate().filter_map(|(slot, place)| match place {
            Place::Resting(from) if *from <= position => Some((*from, slot)),
            _ => None,
        });
        free.min().map(|(_, slot)| slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_rests_before_it_is_given_out_again() {
        let mut slots = Slots::new(2);
        assert_eq!(slots.open(0), Some(0));
        assert_eq!(slots.open(0), Some(1));
        assert_eq!(slots.open(5), None);
        slots.close(1, 9);
        assert_eq!(slots.open(8), None);
        assert_eq!(slots.would_open(9), Some((1, 2)));
        assert_eq!(slots.open(9), Some(1));
        assert_eq!(slots.owner(1), 2, "ids count up");
    }

    #[test]
    fn the_slot_that_rested_longest_comes_first() {
        let mut slots = Slots::new(2);
        slots.open(0);
        slots.open(0);
        slots.close(1, 3);
        slots.close(0, 4);
        assert_eq!(slots.open(9), Some(1));
    }
}
