//! What one machine's batches say of more executors: steps of a batch follow one another, some on the executors, some on the driver.
//!
//! ```text
//! seconds of a batch = steps of the driver (fixed + rows x a) + steps of the executors (fixed + rows x b / cores)
//! ```
//!
//! Batches of two sizes give fixed part and part a row of each step. Nothing of the next batch begins while one is learnt, so the driver's
//! steps add to those of the executors, and do not hide behind them.

use std::collections::BTreeMap;

/// Steps whose rows are shared by the executors' cores. All others are the driver's.
const ON_EXECUTORS: [&str; 2] = ["prepare", "deliver"];

/// Seconds of one batch of so many rows, by step.
pub(super) struct Batch {
    pub(super) rows: f64,
    pub(super) steps: BTreeMap<String, f64>,
}

/// A step: seconds whatever the batch holds, and seconds a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) fixed: f64,
    pub(super) a_row: f64,
}

pub(super) struct Model(pub(super) BTreeMap<String, Step>);

impl Model {
    /// The line through a small and a large batch, for each step; neither part is less than nothing.
    pub(super) fn through(small: &Batch, large: &Batch) -> Self {
        let step = |(name, at_large): (&String, &f64)| {
            let at_small = small.steps.get(name).copied().unwrap_or(0.0);
            let a_row = ((at_large - at_small) / (large.rows - small.rows)).clamp(0.0, at_large / large.rows);
            (name.clone(), Step { fixed: (at_large - a_row * large.rows).max(0.0), a_row })
        };
        Self(large.steps.iter().map(step).collect())
    }

    /// Rows a second with so many cores of executors and so many rows a batch.
    pub(super) fn rate(&self, cores: f64, rows: f64) -> f64 {
        let seconds = |(name, step): (&String, &Step)| step.fixed + rows * step.a_row / Self::share(name, cores);
        rows / self.0.iter().map(seconds).sum::<f64>()
    }

    /// What no number of executors gets beyond, with so many rows a batch.
    pub(super) fn limit(&self, rows: f64) -> f64 {
        self.rate(f64::INFINITY, rows)
    }

    fn share(step: &str, cores: f64) -> f64 {
        if ON_EXECUTORS.contains(&step) { cores } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: f64, prepare: f64, learn: f64) -> Batch {
        let steps = [("prepare", prepare), ("learn", learn)];
        Batch { rows, steps: steps.map(|(name, seconds)| (name.to_owned(), seconds)).into() }
    }

    #[test]
    fn two_sizes_give_the_fixed_part_and_the_part_a_row() {
        let model = Model::through(&batch(10.0, 2.0, 1.5), &batch(110.0, 12.0, 2.5));
        assert_eq!(model.0["prepare"], Step { fixed: 1.0, a_row: 0.1 });
        assert!((model.0["learn"].fixed - 1.4).abs() < 1e-12 && (model.0["learn"].a_row - 0.01).abs() < 1e-12);
        // What was measured comes out again, and more cores help the executors' step alone.
        assert!((model.rate(1.0, 110.0) - 110.0 / 14.5).abs() < 1e-9);
        assert!((model.rate(10.0, 110.0) - 110.0 / (1.0 + 1.1 + 2.5)).abs() < 1e-9);
        assert!((model.limit(110.0) - 110.0 / 3.5).abs() < 1e-9);
    }

    #[test]
    fn a_step_that_varies_more_than_it_grows_is_fixed_or_proportional_and_never_negative() {
        let model = Model::through(&batch(10.0, 2.0, 0.0), &batch(110.0, 1.0, 11.0));
        assert_eq!(model.0["prepare"], Step { fixed: 1.0, a_row: 0.0 });
        assert_eq!(model.0["learn"], Step { fixed: 0.0, a_row: 0.1 });
    }
}
