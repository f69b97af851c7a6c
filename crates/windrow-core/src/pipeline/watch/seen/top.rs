//! The most frequent of many things, in bounded memory: space-saving (Metwally, Agrawal & El Abbadi 2005).
//!
//! Whatever is more than one in [`MOST`] of all that was counted is held. A thing that takes another one's place takes its count too, as the most that
//! it may have been before: `over`. So `count - over` is what was certainly seen of it, and `count` the most that it can be.

use serde::{Deserialize, Serialize};

/// Things that are held.
pub(super) const MOST: usize = 24;

/// Frequent things by their keys. Columns of their own, for nearly every page asks for keys, and many for the smallest count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Top<T> {
    keys: Vec<u64>,
    /// The most that each may have come.
    counts: Vec<u64>,
    held: Vec<Held<T>>,
}

/// What is known of one of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Held<T> {
    /// How much of its count may be others'.
    over: u64,
    what: T,
}

/// A count that no state ever reaches.
const TOO_MUCH: u64 = u64::MAX >> 8;

impl<T: Clone + Default> Top<T> {
    /// Whether all columns have the same length, which is no more than it may be, and no count is too large.
    pub(super) fn is_whole(&self) -> bool {
        [self.counts.len(), self.held.len()] == [self.keys.len(); 2]
            && self.keys.len() <= MOST
            && self.held.iter().zip(&self.counts).all(|(held, count)| held.over <= *count && *count <= TOO_MUCH)
    }

    /// Whether what comes next must take a place.
    pub(super) fn is_full(&self) -> bool {
        self.keys.len() >= MOST
    }

    /// Where a thing is held.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<usize> {
        self.keys.iter().position(|known| *known == key)
    }

    /// Counts what is held there, and gives what is known of it.
    #[inline]
    pub(super) fn count(&mut self, at: usize) -> &mut T {
        self.counts[at] += 1;
        &mut self.held[at].what
    }

    /// What is known of what is held there.
    pub(super) fn what(&mut self, at: usize) -> &mut T {
        &mut self.held[at].what
    }

    /// Holds a thing that is not held yet, counted once, and says where; what it takes the place of is still known of it, for its memory.
    pub(super) fn admit(&mut self, key: u64) -> usize {
        if self.keys.len() < MOST {
            self.keys.push(key);
            self.counts.push(1);
            self.held.push(Held::default());
            return self.keys.len() - 1;
        }
        let at = (0..MOST).min_by_key(|at| self.counts[*at]).expect("some are held");
        self.keys[at] = key;
        self.held[at].over = self.counts[at];
        self.counts[at] += 1;
        at
    }

    /// Takes in what another one holds (Agarwal et al. 2012): what only one of them holds may have been in the other as often as its rarest.
    pub(super) fn take_in(&mut self, other: Self, join: impl Fn(&mut T, T)) {
        let floor = |top: &Self| if top.keys.len() < MOST { 0 } else { top.counts.iter().copied().min().unwrap_or(0) };
        let (own, others) = (floor(self), floor(&other));
        let mut all: Vec<(u64, u64, Held<T>)> = std::mem::take(self).into_all().collect();
        let mut found = vec![false; all.len()];
        for (key, count, held) in other.into_all() {
            if let Some(at) = all.iter().position(|(known, ..)| *known == key) {
                found[at] = true;
                all[at].1 += count;
                all[at].2.over += held.over;
                join(&mut all[at].2.what, held.what);
            } else {
                all.push((key, count + own, Held { over: held.over + own, what: held.what }));
            }
        }
        for ((_, count, held), _) in all.iter_mut().zip(found).filter(|(_, found)| !found) {
            (*count, held.over) = (*count + others, held.over + others);
        }
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        for (key, count, held) in all.into_iter().take(MOST) {
            self.keys.push(key);
            self.counts.push(count);
            self.held.push(held);
        }
    }

    fn into_all(self) -> impl Iterator<Item = (u64, u64, Held<T>)> {
        self.keys.into_iter().zip(self.counts).zip(self.held).map(|((key, count), held)| (key, count, held))
    }

    /// How often a thing was certainly seen, and what is known of it.
    pub(super) fn get(&self, key: u64) -> Option<(u64, &T)> {
        self.find(key).map(|at| (self.counts[at] - self.held[at].over, &self.held[at].what))
    }

    /// All that are held: how often each was certainly seen, and what is known of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.held.iter().zip(&self.counts).map(|(held, count)| (count - held.over, &held.what))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn of(keys: &[u64]) -> Top<()> {
        let mut top = Top::default();
        for key in keys {
            match top.find(*key) {
                Some(at) => *top.count(at) = (),
                None => _ = top.admit(*key),
            }
        }
        top
    }

    fn check(top: &Top<()>, keys: &[u64]) -> Result<(), TestCaseError> {
        let mut truth: BTreeMap<u64, u64> = BTreeMap::new();
        keys.iter().for_each(|key| *truth.entry(*key).or_default() += 1);
        prop_assert!(top.is_whole());
        for (at, key) in top.keys.iter().enumerate() {
            let (most, least) = (top.counts[at], top.counts[at] - top.held[at].over);
            prop_assert!(least <= truth[key] && truth[key] <= most, "{key}: {least} to {most}, not {}", truth[key]);
        }
        let often = truth.iter().filter(|(_, n)| **n * MOST as u64 > keys.len() as u64);
        for (key, n) in often {
            prop_assert!(top.get(*key).is_some(), "{key} came {n} times");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn counts_are_bounds_and_nothing_frequent_is_missed(
            one in proptest::collection::vec(prop_oneof![0u64..9, 0u64..200], 0..400),
            other in proptest::collection::vec(prop_oneof![0u64..9, 100u64..300], 0..400),
        ) {
            let (mut top, more) = (of(&one), of(&other));
            check(&top, &one)?;
            top.take_in(more, |(), ()| ());
            check(&top, &[one, other].concat())?;
        }
    }
}
