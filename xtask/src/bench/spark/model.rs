//! What one machine's batches say of more executors: steps of a batch follow one another, some on the executors, some on the driver.
//!
//! ```text
//! seconds of a batch = steps of the driver (fixed + rows x a) + steps of the executors (fixed + rows x b / cores)
//! ```
//!
//! Batches of two sizes give fixed part and part a row of each step. Nothing of the next batch begins while one is learnt, so the driver's
//! steps add to those of the executors, and do not hide behind them.

use serde::Deserialize;

/// Something for each step of a batch, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Steps<T> {
    prepare: T,
    collect: T,
    learn: T,
    deliver: T,
    commit: T,
    between: T,
}

impl<T: Copy> Steps<T> {
    /// Each with its name, and whether the executors' cores share its rows; the others are the driver's.
    pub(super) fn all(&self) -> [(&'static str, T, bool); 6] {
        [
            ("prepare", self.prepare, true),
            ("collect", self.collect, false),
            ("learn", self.learn, false),
            ("deliver", self.deliver, true),
            ("commit", self.commit, false),
            ("between", self.between, false),
        ]
    }

    pub(super) fn each<U>(&self, make: impl Fn(T) -> U) -> Steps<U> {
        let Self { prepare, collect, learn, deliver, commit, between } = *self;
        Steps {
            prepare: make(prepare),
            collect: make(collect),
            learn: make(learn),
            deliver: make(deliver),
            commit: make(commit),
            between: make(between),
        }
    }

    fn with<U: Copy>(&self, other: &Steps<U>) -> Steps<(T, U)> {
        Steps {
            prepare: (self.prepare, other.prepare),
            collect: (self.collect, other.collect),
            learn: (self.learn, other.learn),
            deliver: (self.deliver, other.deliver),
            commit: (self.commit, other.commit),
            between: (self.between, other.between),
        }
    }
}

/// Seconds of one batch of so many rows.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    pub(super) rows: f64,
    pub(super) steps: Steps<f64>,
}

/// Seconds of a step: whatever the batch holds, and for each row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) fixed: f64,
    pub(super) a_row: f64,
}

pub(super) struct Model(pub(super) Steps<Step>);

impl Model {
    /// The line through a small and a large batch, for each step; neither part is less than nothing.
    pub(super) fn through(small: &Batch, large: &Batch) -> Self {
        Self(small.steps.with(&large.steps).each(|(at_small, at_large)| {
            let a_row = ((at_large - at_small) / (large.rows - small.rows)).clamp(0.0, at_large / large.rows);
            Step { fixed: at_large - a_row * large.rows, a_row }
        }))
    }

    /// Rows a second with so many cores of executors and so many rows a batch.
    pub(super) fn rate(&self, cores: f64, rows: f64) -> f64 {
        let seconds = self.0.all().map(|(_, step, shared)| step.fixed + rows * step.a_row / if shared { cores } else { 1.0 });
        rows / seconds.iter().sum::<f64>()
    }

    /// What no number of executors gets beyond, with so many rows a batch.
    pub(super) fn limit(&self, rows: f64) -> f64 {
        self.rate(f64::INFINITY, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: f64, prepare: f64, learn: f64) -> Batch {
        Batch { rows, steps: Steps { prepare, collect: 0.0, learn, deliver: 0.0, commit: 0.0, between: 0.5 } }
    }

    #[test]
    fn two_sizes_give_the_fixed_part_and_the_part_a_row() {
        let model = Model::through(&batch(10.0, 2.0, 1.5), &batch(110.0, 12.0, 2.5));
        assert_eq!(model.0.prepare, Step { fixed: 1.0, a_row: 0.1 });
        assert!((model.0.learn.fixed - 1.4).abs() < 1e-12 && (model.0.learn.a_row - 0.01).abs() < 1e-12);
        assert_eq!(model.0.between, Step { fixed: 0.5, a_row: 0.0 });
        // What was measured comes out again, and more cores help the executors' step alone.
        assert!((model.rate(1.0, 110.0) - 110.0 / 15.0).abs() < 1e-9);
        assert!((model.rate(10.0, 110.0) - 110.0 / (1.0 + 1.1 + 2.5 + 0.5)).abs() < 1e-9);
        assert!((model.limit(110.0) - 110.0 / 4.0).abs() < 1e-9);
    }

    #[test]
    fn a_step_that_varies_more_than_it_grows_is_fixed_or_proportional_and_never_negative() {
        let model = Model::through(&batch(10.0, 2.0, 0.0), &batch(110.0, 1.0, 11.0));
        assert_eq!(model.0.prepare, Step { fixed: 1.0, a_row: 0.0 });
        assert_eq!(model.0.learn, Step { fixed: 0.0, a_row: 0.1 });
    }
}
