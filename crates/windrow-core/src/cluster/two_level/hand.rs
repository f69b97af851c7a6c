//! The user's hand: what is put elsewhere, taken in, parted.
//!
//! What a user placed is held, and when clusters are joined or parted so is all that they have then: re-clustering passes it over, clean-up merges it within its cluster only, and a micro-cluster that
//! takes in a held one is held from then on. It is held until it fades, its cluster dies, or the user lets go of it.

use std::collections::BTreeSet;

use super::State;
use super::upkeep::most_remembered;
use crate::cluster::coarse::Coarse;
use crate::cluster::micro::Cleaned;
use crate::cluster::slots::REST;
use crate::cluster::{ClusterId, MicroId, Slot};
use crate::lineage::{Birth, Death, EditError, Happening, LineageEvent};

impl State {
    /// Puts micro-clusters into a cluster and holds them there.
    pub(super) fn place(&mut self, ids: &[MicroId], to: ClusterId, log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        let to = self.slots.slot_of(to)?;
        for &id in some(ids)? {
            self.home_of(id)?;
        }
        ids.iter().for_each(|&id| self.put(id, to, log));
        self.generation += 1;
        Ok(())
    }

    /// Lets micro-clusters go where their likeness takes them.
    pub(super) fn release(&mut self, ids: &[MicroId], log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        for &id in some(ids)? {
            self.home_of(id)?;
        }
        for &id in ids {
            if self.held.remove(&id) {
                self.log(self.home_of(id)?, Happening::MicroReleased { micro_cluster: id }, log);
            }
        }
        Ok(())
    }

    /// Ends a cluster; another one takes in its micro-clusters and its memory.
    pub(super) fn take_in(&mut self, ended: ClusterId, into: ClusterId, log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        let (from, to) = (self.slots.slot_of(ended)?, self.slots.slot_of(into)?);
        if from == to {
            return Err(EditError::IntoItself(ended));
        }
        self.log(from, Happening::ClusterMerged { into }, log);
        [self.at_home(from), self.at_home(to)].concat().into_iter().for_each(|id| self.put(id, to, log));
        let memory = std::mem::take(&mut self.slots.get_mut(from).expect("found above").memory);
        let most = most_remembered(&self.settings);
        let kept = &mut self.slots.get_mut(to).expect("found above").memory;
        kept.add(memory.pages, &memory.terms);
        kept.prune(most);
        self.holes = true;
        self.log(from, Happening::ClusterDied { slot: from, why: Death::Merged }, log);
        self.slots.close(from, self.n_pages + REST);
        self.generation += 1;
        Ok(())
    }

    /// Makes a cluster of some micro-clusters of another one; of the lesser half if none are named.
    pub(super) fn part(
        &mut self,
        cluster: ClusterId,
        ids: &[MicroId],
        coarse: &mut Coarse,
        log: &mut Vec<LineageEvent>,
    ) -> Result<(), EditError> {
        let from = self.slots.slot_of(cluster)?;
        for &id in ids {
            if self.home_of(id)? != from {
                return Err(EditError::NotInCluster { micro_cluster: id, cluster });
            }
        }
        let going: BTreeSet<MicroId> = match ids {
            [] => self.lesser_half(from, coarse),
            ids => ids.iter().copied().collect(),
        };
        let first = *going.first().ok_or(EditError::CannotPart(cluster))?;
        let to = self.slots.open_at_once().ok_or(EditError::NoFreeSlot { alike: None })?;
        self.log(to, Happening::ClusterBorn { slot: to, micro_cluster: first, why: Birth::Split }, log);
        self.log(to, Happening::ClusterSplit { from: cluster, n_pages: 0 }, log);
        going.into_iter().for_each(|id| self.put(id, to, log));
        self.at_home(from).into_iter().for_each(|id| self.put(id, from, log));
        self.generation += 1;
        Ok(())
    }

    /// What a cluster's micro-clusters fall into when two centres share them: those without the heaviest.
    fn lesser_half(&self, slot: Slot, coarse: &mut Coarse) -> BTreeSet<MicroId> {
        coarse.look(&self.micros, &self.slots);
        coarse.lesser_half(slot).into_iter().map(|micro| self.micros.id[micro]).collect()
    }

    /// Holds a micro-cluster in a slot, wherever it was.
    fn put(&mut self, id: MicroId, to: Slot, log: &mut Vec<LineageEvent>) {
        let home = match (self.micros.find(id), &mut self.empty) {
            (Some(micro), _) => &mut self.micros.home[micro],
            (None, Some(empty)) => &mut empty.home,
            (None, None) => unreachable!("only what is alive is placed"),
        };
        let from = std::mem::replace(home, to);
        if !self.held.insert(id) && from == to {
            return;
        }
        self.log(to, Happening::MicroPlaced { micro_cluster: id, from: self.slots.owner(from) }, log);
    }

    /// Micro-clusters of a slot, ids ascending.
    fn at_home(&self, slot: Slot) -> Vec<MicroId> {
        let with_terms = self.micros.id.iter().zip(&self.micros.home).map(|(id, home)| (*id, *home));
        let empty = self.empty.iter().map(|empty| (empty.id, empty.home));
        let mut ids: Vec<MicroId> = with_terms.chain(empty).filter(|&(_, home)| home == slot).map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    fn home_of(&self, id: MicroId) -> Result<Slot, EditError> {
        let empty = self.empty.as_ref().filter(|empty| empty.id == id).map(|empty| empty.home);
        self.micros.find(id).map(|micro| self.micros.home[micro]).or(empty).ok_or(EditError::NoSuchMicro(id))
    }

    pub(super) fn is_held(&self, micro: usize) -> bool {
        !self.held.is_empty() && self.held.contains(&self.micros.id[micro])
    }

    /// Follows a clean-up.
    pub(super) fn hold_on(&mut self, cleaned: &Cleaned) {
        if self.held.is_empty() {
            return;
        }
        cleaned.faded.iter().for_each(|faded| _ = self.held.remove(&faded.id));
        for merged in &cleaned.merged {
            if self.held.remove(&merged.id) {
                self.held.insert(merged.into);
            }
        }
    }
}

fn some(ids: &[MicroId]) -> Result<&[MicroId], EditError> {
    if ids.is_empty() { Err(EditError::NoMicro) } else { Ok(ids) }
}
