//! Templates of the addresses of sites, learnt in order: a segment with too many values at its place is a slot.
//!
//! What Drain (He et al. 2017) does for lines of logs, a tree of fixed depth whose nodes take a wildcard when they have too many children, on the
//! segments of paths. A *place* is a site with the segments so far, slots among them; what a segment is by itself (an id, a date, a slug, a
//! hash) is known before, and needs no place. A place holds up to [`VALUES`] words; with one more it is a slot for good, and of its words
//! those stay apart that had a tenth of its pages or more.
//!
//! Cost: one look-up of 64 bytes a word of a path, at most eight. Memory: [`PLACES`] places; when they are full their heat halves until a half of them is cold
//! and goes. A place that comes again begins anew.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::featurize::marks::{ANY, may_vary};
use crate::snapshot::SnapshotError;

/// Words of a place that are told apart.
const VALUES: usize = 10;
/// Pages that a word must have had to stay apart in a slot.
const OFTEN: u16 = 10;
/// Places that are known.
const PLACES: usize = 16_384;
/// What stands for the site in templates of any.
const ANY_SITE: u64 = 0x2a;
/// Bit of their slots that says so: paths are not as long.
pub(super) const ON_ANY_SITE: u32 = 1 << 31;

/// Templates of all sites.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Places {
    places: FxHashMap<u64, Place>,
}

/// A template: its site with its segments as one number, and which of them are slots by what was learnt, a bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Template {
    pub(super) key: u64,
    pub(super) slots: u32,
}

/// What stood at a place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Place {
    values: [u32; VALUES],
    pages: [u16; VALUES],
    n: u8,
    is_slot: bool,
    /// Visits of late.
    heat: u8,
}

/// The same in snapshots: words with their pages, whether it is a slot, heat.
type Kept = (u64, Vec<(u32, u16)>, bool, u8);

/// In snapshots, places by their keys. Field order is the format.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    places: Vec<Kept>,
}

impl Place {
    /// What a word at this place is to its template.
    #[inline]
    fn take(&mut self, word: u32) -> u32 {
        self.heat = self.heat.saturating_add(1);
        let n = usize::from(self.n);
        if let Some(at) = self.values[..n].iter().position(|known| *known == word) {
            self.pages[at] = self.pages[at].saturating_add(u16::from(!self.is_slot));
            return word;
        }
        if !self.is_slot && n < VALUES {
            (self.values[n], self.pages[n]) = (word, 1);
            self.n += 1;
            return word;
        }
        if !self.is_slot {
            self.become_slot();
        }
        ANY
    }

    fn look(&self, word: u32) -> u32 {
        let is_apart = !self.is_slot || self.values[..usize::from(self.n)].contains(&word);
        if is_apart { word } else { ANY }
    }

    fn become_slot(&mut self) {
        let all: u32 = self.pages.iter().map(|pages| u32::from(*pages)).sum();
        let stays = |pages: u16| pages >= OFTEN && u32::from(pages) * VALUES as u32 >= all;
        let old = std::mem::take(self);
        for (value, pages) in old.values.into_iter().zip(old.pages).filter(|(_, pages)| stays(*pages)) {
            (self.values[usize::from(self.n)], self.pages[usize::from(self.n)]) = (value, pages);
            self.n += 1;
        }
        (self.is_slot, self.heat) = (true, old.heat);
    }
}

impl Places {
    /// The template of an address, and what its path teaches.
    #[inline]
    pub(super) fn learn(&mut self, site: u64, segments: &[u32]) -> Template {
        follow(site, segments, |at, word| self.place(at).take(word))
    }

    /// The template of an address, as it would be now.
    pub(super) fn look(&self, site: u64, segments: &[u32]) -> Template {
        follow(site, segments, |at, word| self.places.get(&at).map_or(word, |place| place.look(word)))
    }

    fn place(&mut self, at: u64) -> &mut Place {
        if self.places.len() >= PLACES && !self.places.contains_key(&at) {
            self.make_room();
        }
        self.places.entry(at).or_default()
    }

    /// Forgets what is cold, so that half of the room is free.
    #[cold]
    fn make_room(&mut self) {
        while self.places.len() > PLACES / 2 {
            self.places.retain(|_, place| {
                place.heat /= 2;
                place.heat > 0
            });
        }
    }

    pub(super) fn state(&self) -> State {
        let words = |place: &Place| place.values.into_iter().zip(place.pages).take(place.n.into()).collect();
        let mut places: Vec<Kept> =
            self.places.iter().map(|(at, place)| (*at, words(place), place.is_slot, place.heat)).collect();
        places.sort_unstable_by_key(|(at, ..)| *at);
        State { places }
    }

    pub(super) fn restore(state: &State) -> Result<Self, SnapshotError> {
        let is_too_much = state.places.len() > PLACES || state.places.iter().any(|(_, words, ..)| words.len() > VALUES);
        if is_too_much || !state.places.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(SnapshotError::Damaged("its templates are none".into()));
        }
        let place = |(at, words, is_slot, heat): &Kept| {
            let mut place = Place { n: words.len() as u8, is_slot: *is_slot, heat: *heat, ..Place::default() };
            for (at, (value, pages)) in words.iter().enumerate() {
                (place.values[at], place.pages[at]) = (*value, *pages);
            }
            (*at, place)
        };
        Ok(Self { places: state.places.iter().map(place).collect() })
    }
}

/// Templates that came lately, each in the one of [`PLACES`] places that it says, until another one takes it: only what comes again is asked for in the tables
/// of clusters.
#[derive(Debug, Default)]
pub(super) struct Again {
    slots: Vec<u32>,
}

impl Again {
    /// Whether a template came lately; it is remembered.
    #[inline]
    pub(super) fn see(&mut self, template: u64) -> bool {
        if template == 0 {
            return false;
        }
        if self.slots.is_empty() {
            self.slots.resize(PLACES, 0);
        }
        let slot = &mut self.slots[(template >> 48) as usize % PLACES];
        let key = template as u32;
        std::mem::replace(slot, key) == key && key != 0
    }

    /// Templates by their places.
    pub(super) fn state(&self) -> Vec<(u16, u32)> {
        (0..).zip(self.slots.iter().copied()).filter(|(_, key)| *key != 0).collect()
    }

    pub(super) fn restore(state: &[(u16, u32)]) -> Result<Self, SnapshotError> {
        let mut slots = vec![0; if state.is_empty() { 0 } else { PLACES }];
        for (place, key) in state {
            let slot = slots.get_mut(usize::from(*place)).filter(|slot| **slot == 0 && *key != 0);
            *slot.ok_or_else(|| SnapshotError::Damaged("no template is remembered in such a place".into()))? = *key;
        }
        Ok(Self { slots })
    }
}

impl Template {
    /// What it has in common with the same path on any other site.
    #[inline]
    pub(super) fn of_any_site(self, segments: &[u32]) -> Self {
        if self.key == 0 {
            return self;
        }
        let seen = |number: usize, segment: u32| if self.slots >> (number % 32) & 1 == 1 { ANY } else { segment };
        let key = segments.iter().enumerate().fold(ANY_SITE, |key, (number, &segment)| mixed(key, seen(number, segment)));
        Self { key, slots: self.slots | ON_ANY_SITE }
    }
}

#[inline]
fn mixed(key: u64, segment: u32) -> u64 {
    (key.rotate_left(7) ^ u64::from(segment)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The template that a path makes, each word being what its place says.
#[inline]
fn follow(site: u64, segments: &[u32], mut word: impl FnMut(u64, u32) -> u32) -> Template {
    let mut template = Template { key: site, slots: 0 };
    for (number, &segment) in segments.iter().enumerate() {
        let seen = if may_vary(segment) { word(template.key, segment) } else { segment };
        template.slots |= u32::from(seen == ANY) << (number % 32);
        template.key = mixed(template.key, seen);
    }
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(n: u32) -> u32 {
        n << 8 | 16
    }

    #[test]
    fn a_place_with_too_many_words_is_a_slot() {
        let mut places = Places::default();
        let mut keys: Vec<u64> = (0..VALUES as u32).map(|n| places.learn(7, &[word(n), word(1)]).key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!((keys.len(), places.look(7, &[word(0)]).slots), (VALUES, 0), "as long as they are few");
        let one = places.learn(7, &[word(90), word(1)]);
        assert_eq!(places.learn(7, &[word(91), word(1)]), one);
        assert_eq!(places.learn(7, &[word(0), word(1)]), one, "and now all are one");
        assert_ne!(places.learn(7, &[word(0), word(2)]), one);
        assert_eq!(places.look(7, &[word(0), word(1)]).slots, 1);
        assert_eq!(places.look(8, &[word(0), word(1)]).slots, 0, "another site");
    }

    #[test]
    fn what_is_frequent_stays_apart() {
        let mut places = Places::default();
        (0..40).for_each(|_| _ = places.learn(7, &[word(0)]));
        (1..30).for_each(|n| _ = places.learn(7, &[word(n)]));
        assert_eq!([0, 1, 77].map(|n| places.look(7, &[word(n)]).slots), [0, 1, 1]);
    }

    #[test]
    fn what_is_a_slot_by_itself_needs_no_place() {
        let mut places = Places::default();
        places.learn(7, &[crate::featurize::marks::ID, crate::featurize::marks::SLUG]);
        assert_eq!(places, Places::default());
    }

    #[test]
    fn places_are_bounded_and_the_busy_stay() {
        let mut places = Places::default();
        for site in 0..100_000u64 {
            places.learn(1, &[word(1)]);
            places.learn(site << 8, &[word(1)]);
            assert!(places.places.len() <= PLACES);
        }
        assert!(places.places[&1].heat > 0);
    }

    #[test]
    fn restored_places_are_the_same_and_impossible_ones_are_refused() {
        let mut places = Places::default();
        (0..60).for_each(|n| _ = places.learn(u64::from(n % 7), &[word(n), word(n % 3)]));
        let state = places.state();
        assert_eq!(Places::restore(&state).as_ref(), Ok(&places));
        let broken = [
            vec![(1, vec![(16, 1); VALUES + 1], false, 1)],
            vec![(2, Vec::new(), false, 1), (1, Vec::new(), false, 1)],
            vec![(1, Vec::new(), false, 1); 2],
        ];
        for places in broken {
            assert!(Places::restore(&State { places }).is_err());
        }
    }
}
