//! The lasting clusters of the model, over fits that know nothing of each other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::features::Sparse;
use super::{Fit, hungarian};
use crate::cluster::slots::Slots;
use crate::cluster::{MicroId, Slot};
use crate::lineage::{Birth, Death, Fade, Happening, LineageEvent};

/// Most registrable domains that a cluster is remembered by.
const NAMES: usize = 32;

/// A living cluster.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) slot: Slot,
    pub(super) micro: MicroId,
    /// Pages that it ever had.
    pub(super) n_pages: u64,
    /// Pages of the last block.
    pub(super) n_of_block: u64,
    /// Where the last of its pages stood.
    last_at: u64,
    /// The sum of the frequencies of the last block in which it had pages: what its pages were like.
    like: Vec<f64>,
    /// The registrable domains of that block, with their pages.
    domains: BTreeMap<String, u64>,
}

impl Life {
    /// Takes a page.
    pub(super) fn count(&mut self, position: u64, domain: &str) {
        if self.n_of_block == 0 {
            self.domains.clear();
        }
        self.n_pages += 1;
        self.n_of_block += 1;
        self.last_at = position;
        match self.domains.get_mut(domain) {
            Some(pages) => *pages += 1,
            None if domain.is_empty() => {}
            None => drop(self.domains.insert(domain.to_owned(), 1)),
        }
    }
}

/// What clusters are called: registrable domains, numbered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Names {
    pub(super) texts: Vec<String>,
    /// For each life its domains, numbers ascending, with their pages.
    pub(super) of_life: Vec<Vec<(u32, f64)>>,
}

/// All living clusters.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Lives {
    pub(super) all: Vec<Life>,
    pub(super) next_micro: MicroId,
}

impl Lives {
    /// Place of the cluster of a slot.
    pub(super) fn place(&self, slot: Slot) -> Option<usize> {
        self.all.iter().position(|life| life.slot == slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Life {
        let place = self.place(slot).expect("a centre's slot has a cluster");
        &mut self.all[place]
    }

    /// Gives each new centre a cluster, by the pages that it shares with the living ones (`shared`: a row a centre, a column a life).
    /// Gives the slot of each.
    pub(super) fn follow(
        &mut self,
        shared: &[Vec<f64>],
        slots: &mut Slots,
        position: u64,
        log: &mut Vec<LineageEvent>,
    ) -> Vec<Slot> {
        let found = hungarian::assign(shared);
        let kept = |(row, place): (&Vec<f64>, Option<usize>)| place.filter(|place| row[*place] > 0.0);
        let mut taken: Vec<Option<Slot>> =
            shared.iter().zip(found).map(kept).map(|place| place.map(|place| self.all[place].slot)).collect();
        for centre in 0..taken.len() {
            if taken[centre].is_none() {
                taken[centre] = Some(self.open(&taken, slots, position, log));
            }
        }
        taken.into_iter().flatten().collect()
    }

    /// A cluster for a centre that shares no pages with any: a new one, or, when no slot is to be had, one that has no centre and must not
    /// end.
    fn open(&mut self, taken: &[Option<Slot>], slots: &mut Slots, position: u64, log: &mut Vec<LineageEvent>) -> Slot {
        let born = slots.open(position).or_else(|| {
            self.end_one(taken, slots, position, log);
            slots.open(position)
        });
        let Some(slot) = born else {
            let idle = self.all.iter().find(|life| !taken.contains(&Some(life.slot)));
            return idle.expect("there are as many slots as centres").slot;
        };
        let micro = self.next_micro;
        self.next_micro += 1;
        self.all.push(Life {
            slot,
            micro,
            n_pages: 0,
            n_of_block: 0,
            last_at: position,
            like: Vec::new(),
            domains: BTreeMap::new(),
        });
        let happening = Happening::ClusterBorn { slot, micro_cluster: micro, why: Birth::Unshared };
        log.push(LineageEvent { position, cluster: slots.owner(slot), happening });
        slot
    }

    /// Ends the cluster without a centre that has had no pages for longest, unless all such are pinned.
    fn end_one(&mut self, taken: &[Option<Slot>], slots: &mut Slots, position: u64, log: &mut Vec<LineageEvent>) {
        let is_pinned = |slot: Slot| slots.get(slot).is_some_and(|cluster| cluster.pinned);
        let may_end = |life: &Life| !taken.contains(&Some(life.slot)) && !is_pinned(life.slot);
        let idle = self.all.iter().enumerate().filter(|(_, life)| may_end(life));
        let Some((place, _)) = idle.min_by_key(|(_, life)| (life.last_at, life.slot)) else { return };
        let dead = self.all.remove(place);
        let cluster = slots.owner(dead.slot);
        let ends = [
            Happening::MicroFaded { micro_cluster: dead.micro, n_pages: dead.n_pages, why: Fade::Ended { weight: None } },
            Happening::ClusterDied { slot: dead.slot, why: Death::Idle { n_pages: position - dead.last_at } },
        ];
        log.extend(ends.map(|happening| LineageEvent { position, cluster, happening }));
        slots.close(dead.slot, position);
    }

    /// The cluster whose last pages were most like these frequencies, by cosine, of equals the first; none when no page was like them.
    pub(super) fn most_like(&self, frequencies: &Sparse) -> Option<usize> {
        let likeness = |life: &Life| {
            let length = life.like.iter().map(|value| value * value).sum::<f64>().sqrt();
            let product: f64 = frequencies.iter().map(|&(feature, count)| count * life.like[feature as usize]).sum();
            if product > 0.0 { product / length } else { 0.0 }
        };
        let likenesses = self.all.iter().map(likeness).enumerate().filter(|(_, likeness)| *likeness > 0.0);
        likenesses.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(place, _)| place)
    }

    /// A block begins: nobody has pages of it, and it is known what the pages will be like.
    pub(super) fn begin_block(&mut self, fit: &Fit, slots: &[Slot]) {
        self.all.iter_mut().for_each(|life| life.n_of_block = 0);
        for slot in slots {
            self.get_mut(*slot).like = vec![0.0; fit.scaling.idf.len()];
        }
        for (point, centre) in fit.points.points.iter().zip(&fit.centres.nearest) {
            let like = &mut self.get_mut(slots[*centre]).like;
            for &(feature, count) in &point.frequencies {
                like[feature as usize] += count * point.n_pages as f64;
            }
        }
    }

    /// A block has ended. Clusters remember their most frequent domains, at most so many; gives what they are called by.
    pub(super) fn end_block(&mut self, most: usize) -> Names {
        for life in &mut self.all {
            let mut domains: Vec<_> = std::mem::take(&mut life.domains).into_iter().collect();
            domains.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            domains.truncate(most.min(NAMES));
            life.domains.extend(domains);
        }
        let texts: BTreeSet<&String> = self.all.iter().flat_map(|life| life.domains.keys()).collect();
        let numbers: BTreeMap<&String, u32> = texts.iter().copied().zip(0..).collect();
        let named = |life: &Life| life.domains.iter().map(|(name, pages)| (numbers[name], *pages as f64)).collect();
        let of_life = self.all.iter().map(named).collect();
        Names { texts: texts.into_iter().cloned().collect(), of_life }
    }
}
