//! Model time: what the pages' own times say about how late it is, as a function of the input alone.
//!
//! The running maximum of event time, but at most [`STEP`] past the median of the last [`RECENT`] times: one page with a date far in
//! the future does not age everything. It never goes back, and pages without a time do not move it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::record::Micros;

/// Times that the median is taken of.
const RECENT: usize = 101;
/// Farthest that model time runs ahead of the median.
const STEP: Micros = 3_600_000_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ModelTime {
    recent: VecDeque<Micros>,
    now: Option<Micros>,
}

impl ModelTime {
    /// Model time; none before the first page with a time.
    pub(super) fn now(&self) -> Option<Micros> {
        self.now
    }

    /// Takes note of a page's event time.
    pub(super) fn see(&mut self, time: Micros) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(time);
        let mut times = [0; RECENT];
        let times = &mut times[..self.recent.len()];
        times.iter_mut().zip(&self.recent).for_each(|(to, from)| *to = *from);
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let reached = time.min(median.saturating_add(STEP));
        self.now = Some(self.now.map_or(reached, |now| now.max(reached)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_pages_and_no_single_one() {
        let mut time = ModelTime::default();
        assert_eq!(time.now(), None);
        for second in 0..200 {
            time.see(second * 1_000_000);
        }
        assert_eq!(time.now(), Some(199_000_000));
        time.see(5);
        assert_eq!(time.now(), Some(199_000_000), "it never goes back");
        time.see(Micros::MAX);
        assert_eq!(time.now(), Some(150_000_000 + STEP), "a date far in the future moves it by a step past the median");
    }
}
