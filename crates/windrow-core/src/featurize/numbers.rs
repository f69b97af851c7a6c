//! Local numbers of a batch's terms: a table from hash to number, with linear probing.
//!
//! A map of the standard library took a third of the time of featurizing, mostly in cache misses: the map's control bytes, its pair, and
//! then the term's last entry. Here one slot of 16 bytes holds all three. Hashes come from xxh3, so their low bits are spread enough.
//!
//! Two texts of one 64-bit hash would be one term; with a million terms that has a chance of one in thirty million.

/// Number of a slot that was free until now; the caller gives it a number at once.
pub(super) const NEW: u32 = u32::MAX;
/// Number of a word that is no term.
pub(super) const STOPPED: u32 = u32::MAX - 1;

const FREE: Slot = Slot { hash: 0, number: NEW, entry: 0 };

/// What is known of a hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    hash: u64,
    /// The term's number in the batch.
    pub(super) number: u32,
    /// The term's entry in the last page that held it.
    pub(super) entry: u32,
}

/// The table; at most three quarters full.
#[derive(Debug)]
pub(super) struct Numbers {
    slots: Vec<Slot>,
    used: usize,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { slots: vec![FREE; 1 << 10], used: 0 }
    }
}

impl Numbers {
    /// Forgets all hashes and keeps the memory, but for what a single huge batch left behind.
    pub(super) fn clear(&mut self) {
        if self.used * 16 < self.slots.len() && self.slots.len() > 1 << 10 {
            self.slots.truncate(self.slots.len() / 2);
            self.slots.shrink_to_fit();
        }
        self.slots.fill(FREE);
        self.used = 0;
    }

    /// The slot of `hash`; when it is a new one its number is [`NEW`], and must be set before the next call.
    #[inline]
    pub(super) fn slot(&mut self, hash: u64) -> &mut Slot {
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let at = find(&self.slots, hash);
        let slot = &mut self.slots[at];
        if slot.number == NEW {
            self.used += 1;
            slot.hash = hash;
        }
        slot
    }

    #[cold]
    fn grow(&mut self) {
        let mut slots = vec![FREE; self.slots.len() * 2];
        for slot in self.slots.iter().filter(|slot| slot.number != NEW) {
            let at = find(&slots, slot.hash);
            slots[at] = *slot;
        }
        self.slots = slots;
    }
}

/// Index of the slot that holds `hash`, or of the free one where it belongs.
#[inline]
fn find(slots: &[Slot], hash: u64) -> usize {
    let mask = slots.len() - 1;
    let mut at = hash as usize & mask;
    while slots[at].number != NEW && slots[at].hash != hash {
        at = (at + 1) & mask;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn numbers_stay_with_their_hashes(hashes in proptest::collection::vec(prop_oneof![0u64..3000, any::<u64>(), (0u64..50).prop_map(|n| n << 40)], 0..3000)) {
            let (mut numbers, mut model) = (Numbers::default(), BTreeMap::new());
            for _ in 0..2 {
                numbers.clear();
                model.clear();
                for &hash in &hashes {
                    let next = model.len() as u32;
                    let slot = numbers.slot(hash);
                    let known = model.get(&hash).copied();
                    prop_assert_eq!(slot.number, known.unwrap_or(NEW));
                    slot.number = known.unwrap_or(next);
                    model.insert(hash, slot.number);
                }
            }
        }
    }
}
