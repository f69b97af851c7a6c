//! Copies folded: what is the same page, on however many hosts, is one page with a count.
//!
//! A cluster's table of pages that came more than once holds those that came most. A page that came once is in no table: it is
//! remembered for a while beside all others of the pipeline, in one of [`LATELY`] places that its copy says, until another page takes the place. Each
//! time that a page comes again lets it stay once more when another one comes to its place. So a page that comes again after many others may count as a
//! new one, and counts are never too large. For most pages all of this is one look at 16 bytes.

use serde::{Deserialize, Serialize};

use super::hosts::{self, Hosts};
use super::top::Top;
use crate::cluster::ClusterId;
use crate::pipeline::book::Example;
use crate::snapshot::SnapshotError;

/// Pages that are remembered though they came once.
const LATELY: usize = 16_384;

/// A page that came more than once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Repeated {
    pub(super) hosts: Hosts,
    pub(super) first: u64,
    pub(super) last: u64,
    /// One of them; none while only such came as are not looked into.
    pub(super) example: Example,
}

/// The copies in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Copies {
    /// Pages that came.
    pub(super) pages: u64,
    /// Those of them that had come before.
    pub(super) again: u64,
    pub(super) top: Top<Repeated>,
}

/// A page on its way into the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coming {
    pub(super) cluster: ClusterId,
    pub(super) position: u64,
    pub(super) copy: u64,
    /// Of its host.
    pub(super) site: u64,
}

impl Copies {
    /// Counts a page. Gives the one it is a copy of, if it came before.
    #[inline]
    pub(super) fn count(&mut self, page: Coming, lately: &mut Lately) -> Option<&mut Repeated> {
        self.pages += 1;
        let before = if page.copy == 0 { None } else { lately.see(page) }?;
        self.again += 1;
        let at = self.top.find(page.copy).unwrap_or_else(|| {
            let at = self.top.admit(page.copy);
            let what = self.top.what(at);
            what.example.record_id = None;
            (what.hosts, what.first) = (Hosts::default(), before.position);
            what.hosts.add(before.host);
            at
        });
        let what = self.top.count(at);
        what.last = page.position;
        what.hosts.add(page.host());
        Some(what)
    }

    /// Takes in those of a cluster that ended.
    pub(super) fn take_in(&mut self, other: Self) {
        self.pages += other.pages;
        self.again += other.again;
        self.top.take_in(other.top, |own, other| {
            own.hosts.take_in(&other.hosts);
            (own.first, own.last) = (own.first.min(other.first), own.last.max(other.last));
            if own.example.record_id.is_none() {
                own.example = other.example;
            }
        });
    }

    pub(super) fn is_whole(&self) -> bool {
        self.top.is_whole() && self.again <= self.pages && self.pages <= u64::MAX >> 8
    }
}

/// Pages that came of late, in places that they take from each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lately {
    /// None at all before the first page comes.
    slots: Vec<Before>,
}

/// A page that came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    /// Its copy in its cluster, as far as its place does not say it; 0 for none.
    key: u32,
    host: u32,
    position: u64,
}

impl Before {
    /// How often the page may stay: above the position, which no stream comes near to.
    const STAYS: u32 = 56;

    fn stays(self) -> u64 {
        self.position >> Self::STAYS
    }
}

impl Coming {
    fn host(&self) -> u32 {
        hosts::host(self.site)
    }

    /// Where it is remembered, and as what.
    fn place_and_key(&self) -> (usize, u32) {
        let mixed = (self.copy ^ u64::from(self.cluster)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed >> 16) as usize % LATELY, ((mixed >> 32) as u32).max(1))
    }
}

impl Lately {
    /// The page's copy that came before it; else it is remembered itself, if there is room.
    #[inline]
    fn see(&mut self, page: Coming) -> Option<Before> {
        if self.slots.is_empty() {
            self.slots.resize(LATELY, Before::default());
        }
        let (place, key) = page.place_and_key();
        let slot = &mut self.slots[place];
        if slot.key == key {
            let before = Before { position: slot.position & ((1 << Before::STAYS) - 1), ..*slot };
            if slot.stays() < 0xff {
                slot.position += 1 << Before::STAYS;
            }
            return Some(before);
        }
        if slot.stays() > 0 {
            slot.position -= 1 << Before::STAYS;
        } else {
            *slot = Before { key, host: page.host(), position: page.position };
        }
        None
    }

    /// Pages by their places.
    pub(super) fn state(&self) -> Vec<(u16, Before)> {
        (0..).zip(&self.slots).filter(|(_, slot)| slot.key != 0).map(|(place, slot)| (place, *slot)).collect()
    }

    pub(super) fn restore(state: &[(u16, Before)]) -> Result<Self, SnapshotError> {
        let mut slots = vec![Before::default(); if state.is_empty() { 0 } else { LATELY }];
        if !state.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(SnapshotError::Damaged("two pages are remembered in one place".into()));
        }
        for (place, before) in state {
            let slot = slots.get_mut(usize::from(*place)).filter(|_| before.key != 0);
            *slot.ok_or_else(|| SnapshotError::Damaged("no page is remembered in such a place".into()))? = *before;
        }
        Ok(Self { slots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(copy: u64, site: u64, position: u64) -> Coming {
        Coming { cluster: 3, position, copy: copy.wrapping_mul(0x9e37_79b9_7f4a_7c15), site: site << 40 }
    }

    #[test]
    fn a_page_that_comes_again_is_counted_with_its_hosts() {
        let (mut copies, mut lately) = (Copies::default(), Lately::default());
        for position in 0..100 {
            copies.count(page(if position % 2 == 0 { 1 } else { 100 + position }, 1 + position % 6, position), &mut lately);
        }
        let found: Vec<_> = copies.top.iter().map(|(seen, it)| (seen, it.hosts.number(), it.first, it.last)).collect();
        assert_eq!(found, [(50, (3, true), 0, 98)]);
        assert_eq!((copies.pages, copies.again), (100, 49));
        assert_eq!(Lately::restore(&lately.state()), Ok(lately));
    }

    #[test]
    fn one_cluster_knows_nothing_of_anothers() {
        let (mut copies, mut others, mut lately) = (Copies::default(), Copies::default(), Lately::default());
        assert!(copies.count(page(1, 1, 0), &mut lately).is_none());
        assert!(others.count(Coming { cluster: 4, ..page(1, 1, 1) }, &mut lately).is_none());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let one = (3, Before { key: 1, ..Before::default() });
        for state in [vec![one; 2], vec![(3, Before::default())], vec![(u16::MAX, one.1)]] {
            assert!(Lately::restore(&state).is_err());
        }
    }

    #[test]
    fn a_page_that_comes_often_is_not_forgotten_over_others() {
        let (mut copies, mut lately) = (Copies::default(), Lately::default());
        let mut often = 0;
        for position in 0..200_000 {
            let of = if position % 100 == 0 { 0 } else { position };
            often += u64::from(of == 0);
            copies.count(page(of + 1, 1, position), &mut lately);
        }
        let seen = copies.top.iter().map(|(seen, _)| seen).max().unwrap();
        assert!(seen <= often && seen * 100 >= often * 99, "{seen} of {often}");
    }
}
