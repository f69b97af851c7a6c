//! Trials of a model and an order beside each other: means, from-to and deviation over the seeds, and what the order costs.

use windrow_core::quality::Scores;

use super::{Order, Trial};

/// Values of several seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// Their standard deviation, as a sample's; none of one seed.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Of at least one value.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let n = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / n;
        let squares: f64 = values.clone().map(|value| (value - mean).powi(2)).sum();
        Self {
            mean,
            least: values.clone().fold(f64::INFINITY, f64::min),
            most: values.fold(f64::NEG_INFINITY, f64::max),
            deviation: (n > 1.0).then(|| (squares / (n - 1.0)).sqrt()),
        }
    }
}

/// The measures of one kind of group, in the order of [`Scores::NAMES`].
pub type Level = [Spread; Scores::NAMES.len()];

/// How much lower than as given the means are, in the order of [`Scores::NAMES`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Of the micro-clusters.
    pub micro: [f64; Scores::NAMES.len()],
    /// Of the clusters.
    pub cluster: [f64; Scores::NAMES.len()],
}

/// What a model makes of an order, over all seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The algorithm.
    pub model: String,
    /// The order.
    pub order: Order,
    /// Trials.
    pub seeds: usize,
    /// Of the micro-clusters.
    pub micro: Level,
    /// Of the clusters.
    pub cluster: Level,
    /// Rows a second.
    pub rate: Spread,
    /// What the order costs beside the same model's rows as given; none where they were not tried.
    pub cost: Option<Cost>,
}

/// One summary for each model and order, in the order of the trials.
pub(super) fn summaries(trials: &[Trial]) -> Vec<Summary> {
    let same = |a: &Trial, b: &Trial| a.model == b.model && a.order == b.order;
    let mut summaries: Vec<Summary> = trials.chunk_by(same).map(summary).collect();
    let given: Vec<Summary> = summaries.iter().filter(|one| one.order == Order::default()).cloned().collect();
    for summary in &mut summaries {
        let base = given.iter().find(|given| given.model == summary.model);
        summary.cost = base
            .map(|base| Cost { micro: lower(&summary.micro, &base.micro), cluster: lower(&summary.cluster, &base.cluster) });
    }
    summaries
}

fn summary(trials: &[Trial]) -> Summary {
    let level = |scores: fn(&Trial) -> &Scores| {
        std::array::from_fn(|at| Spread::of(trials.iter().map(move |trial| scores(trial).values()[at])))
    };
    Summary {
        model: trials[0].model.clone(),
        order: trials[0].order,
        seeds: trials.len(),
        micro: level(|trial| &trial.micro),
        cluster: level(|trial| &trial.cluster),
        rate: Spread::of(trials.iter().map(|trial| trial.rows as f64 / trial.elapsed.as_secs_f64().max(1e-9))),
        cost: None,
    }
}

fn lower(level: &Level, than: &Level) -> [f64; Scores::NAMES.len()] {
    std::array::from_fn(|at| than[at].mean - level[at].mean)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn trial(model: &str, order: &str, seed: u64, nmi: f64) -> Trial {
        let scores = Scores {
            n: 10 * seed,
            nmi_geometric: nmi,
            nmi_arithmetic: 0.0,
            ami: 0.0,
            ari: nmi / 2.0,
            homogeneity: 0.0,
            completeness: 0.0,
        };
        Trial {
            model: model.to_owned(),
            order: order.parse().unwrap(),
            seed,
            rows: 100,
            rejects: 0,
            scored: 100,
            labels: 3,
            elapsed: Duration::from_millis(500),
            micro: scores,
            cluster: Scores { nmi_geometric: nmi - 0.1, ..scores },
            alive: 3,
            windows: Vec::new(),
        }
    }

    #[test]
    fn means_deviations_and_costs_are_those_computed_by_hand() {
        let trials = [
            trial("a", "sorted", 1, 0.5),
            trial("a", "given", 1, 0.8),
            trial("a", "given", 2, 0.6),
            trial("b", "shuffled", 1, 0.9),
        ];
        let [sorted, given, other] = summaries(&trials).try_into().unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        assert_eq!((given.seeds, sorted.seeds, other.seeds), (2, 1, 1));
        close(given.micro[1].mean, 0.7);
        close(given.micro[1].least, 0.6);
        close(given.micro[1].most, 0.8);
        close(given.micro[1].deviation.unwrap(), 0.02f64.sqrt());
        assert_eq!((given.micro[0].mean, sorted.micro[1].deviation), (15.0, None));
        close(given.rate.mean, 200.0);
        let cost = sorted.cost.unwrap();
        close(cost.micro[1], 0.2);
        close(cost.micro[4], 0.1);
        close(cost.cluster[1], 0.2);
        assert_eq!(given.cost.unwrap().micro, [0.0; 7]);
        assert_eq!(other.cost, None, "b was not tried as given");
    }
}
