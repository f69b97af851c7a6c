//! Duplicates: pages whose texts stood among the last pages of the order.
//!
//! A window is exact: it holds a hash of 64 bits of each of the last pages, in their order, and how often each of them is among them. Pages that became
//! rejects as duplicates are in it too, so that what comes again and again is a duplicate each time. It belongs to what is learnt in order,
//! lies in the snapshot, and is the same after any restart.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::Prepared;
use crate::clean::CleanRow;
use crate::clean::rules::{Duplicates, OnDuplicate};
use crate::snapshot::SnapshotError;

/// The hash by which pages are the same: url, title, keywords and description as they were read. A page that is seen again at another time, or in
/// another campaign, is the same page.
pub fn hash_of(page: &CleanRow<'_>) -> u64 {
    let mut hasher = Xxh3::new();
    for text in [page.url, page.title, page.keywords, page.description] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.digest()
}

/// The last pages by their hashes.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    duplicates: Duplicates,
    /// Oldest first.
    order: VecDeque<u64>,
    /// How often each of them is there.
    seen: FxHashMap<u64, u32>,
}

/// A window as snapshots have it. Field order is the format.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    duplicates: Duplicates,
    /// Eight bytes a hash, oldest first: of numbers, postcard would make nine or ten.
    order: Vec<u8>,
}

impl Window {
    /// One that has seen nothing; none where duplicates are nobody's matter.
    pub fn new(duplicates: Duplicates) -> Option<Self> {
        let is_wanted = duplicates.action != OnDuplicate::Keep && duplicates.window > 0;
        is_wanted.then(|| Self { duplicates, order: VecDeque::new(), seen: FxHashMap::default() })
    }

    /// Whether this page was among the last ones; from now on it is.
    pub fn see(&mut self, hash: u64) -> bool {
        if self.order.len() as u64 >= self.duplicates.window
            && let Some(oldest) = self.order.pop_front()
            && let Some(times) = self.seen.get_mut(&oldest)
        {
            *times -= 1;
            if *times == 0 {
                self.seen.remove(&oldest);
            }
        }
        self.order.push_back(hash);
        let times = self.seen.entry(hash).or_insert(0);
        *times += 1;
        *times > 1
    }

    /// Takes the pages of a batch in: counts duplicates, or makes rejects of them.
    pub(super) fn sift(&mut self, prepared: &mut Prepared) {
        let rejects = self.duplicates.action == OnDuplicate::Reject;
        let seen = std::mem::take(&mut prepared.hashes);
        let is_again: Vec<bool> = seen.into_iter().map(|hash| self.see(hash)).collect();
        let n_again = is_again.iter().filter(|again| **again).count();
        let spare = std::mem::take(&mut prepared.spare);
        if n_again == 0 {
            return;
        }
        if !rejects {
            prepared.n_duplicates += n_again as u64;
            return;
        }
        let rest = (0..prepared.pages.len()).filter(|row| !is_again[*row]);
        prepared.pages = prepared.pages.only(&rest);
        prepared.rejects.extend(spare.into_iter().zip(&is_again).filter(|(_, again)| **again).map(|(reject, _)| reject));
        prepared.rejects.sort_by_key(|reject| reject.origin);
    }

    pub(super) fn state(&self) -> State {
        State { duplicates: self.duplicates, order: self.order.iter().flat_map(|hash| hash.to_le_bytes()).collect() }
    }

    pub(super) fn restore(state: &State) -> Result<Self, SnapshotError> {
        let damaged = |what: &str| SnapshotError::Damaged(what.to_owned());
        let (hashes, rest) = state.order.as_chunks::<8>();
        let mut window = Self::new(state.duplicates).ok_or_else(|| damaged("a window of nothing"))?;
        if !rest.is_empty() || hashes.len() as u64 > state.duplicates.window {
            return Err(damaged("a window holds more than it can"));
        }
        for hash in hashes {
            window.see(u64::from_le_bytes(*hash));
        }
        Ok(window)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(rows: u64) -> Window {
        Window::new(Duplicates { action: OnDuplicate::Count, window: rows }).unwrap()
    }

    #[test]
    fn there_is_no_window_where_none_is_wanted() {
        assert_eq!(Window::new(Duplicates::default()), None);
        assert_eq!(Window::new(Duplicates { action: OnDuplicate::Reject, window: 0 }), None);
    }

    #[test]
    fn snapshots_that_hold_too_much_are_damaged() {
        let state = |rows: u64, len: usize| State {
            duplicates: Duplicates { action: OnDuplicate::Count, window: rows },
            order: vec![1; len],
        };
        assert!(Window::restore(&state(2, 16)).is_ok());
        for (rows, len) in [(2, 24), (2, 15), (0, 0)] {
            assert!(Window::restore(&state(rows, len)).is_err(), "{rows} {len}");
        }
    }

    proptest! {
        #[test]
        fn a_window_is_exact_and_survives_its_snapshot(hashes in proptest::collection::vec(0_u64..12, 0..80), rows in 1_u64..9, cut in 0_usize..80) {
            let mut window = window(rows);
            for (at, hash) in hashes.iter().enumerate() {
                if at == cut {
                    window = Window::restore(&window.state()).unwrap();
                }
                let before = &hashes[at.saturating_sub(usize::try_from(rows).unwrap() - 1)..at];
                // Of the last `rows` pages this one is one.
                prop_assert_eq!(window.see(*hash), before.contains(hash), "{}", at);
                prop_assert!(window.order.len() as u64 <= rows && window.seen.len() <= window.order.len());
            }
        }
    }
}
