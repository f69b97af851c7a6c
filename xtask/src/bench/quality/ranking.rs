//! Which model is better: the labelled sets rank them, and streams of the generator that nothing was tuned to say whether that holds.
//!
//! Two models are held against each other on the same streams. A pair is turned round when the one that the sets put behind is ahead by more
//! than two standard errors of the difference; within them the streams do not tell the two apart.

use anyhow::{Result, bail};

/// A model's scores on one set or stream.
pub(super) struct Ranked {
    pub(super) name: String,
    pub(super) nmi: f64,
    pub(super) ari: f64,
}

/// What the streams say of the ranking.
pub(super) struct Ranking {
    pub(super) told: String,
    pub(super) holds: bool,
}

/// Values of each name, in the order in which the names first come; the better mean first.
fn ranked(all: &[Ranked]) -> Vec<(&str, Vec<f64>)> {
    let mut names: Vec<(&str, Vec<f64>)> = Vec::new();
    for one in all {
        let value = f64::midpoint(one.nmi, one.ari);
        match names.iter_mut().find(|(name, _)| *name == one.name) {
            Some((_, values)) => values.push(value),
            None => names.push((&one.name, vec![value])),
        }
    }
    names.sort_by(|a, b| mean(&b.1).total_cmp(&mean(&a.1)));
    names
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean of the differences of pairs, and twice its standard error.
fn difference(a: &[f64], b: &[f64]) -> (f64, f64) {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (n, mean) = (differences.len() as f64, mean(&differences));
    let variance = differences.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, 2.0 * (variance / n).sqrt())
}

/// Holds the ranking by the labelled sets against fresh streams, by the mean of NMI (geometric) and ARI.
pub(super) fn confirm(labelled: &[Ranked], unseen: &[Ranked]) -> Result<Ranking> {
    let (order, fresh) = (ranked(labelled), ranked(unseen));
    let of = |name: &str| fresh.iter().find(|(other, _)| *other == name).map(|(_, values)| values.as_slice());
    let n = fresh.first().map_or(0, |(_, values)| values.len());
    if order.len() < 2 || n < 2 || order.len() != fresh.len() || fresh.iter().any(|(_, values)| values.len() != n) {
        bail!("a ranking needs the same models on both sides, and two streams of the generator");
    }
    let (mut turned, mut close) = (Vec::new(), Vec::new());
    for (at, (ahead, _)) in order.iter().enumerate() {
        for (behind, _) in &order[at + 1..] {
            let (Some(a), Some(b)) = (of(ahead), of(behind)) else {
                bail!("{ahead} or {behind} was not tried on the generator")
            };
            let (mean, chance) = difference(a, b);
            if mean < -chance {
                turned.push(format!("{behind} is {:.3} better than {ahead} (± {chance:.3})", -mean));
            } else if mean <= chance {
                close.push(format!("{ahead} and {behind} ({mean:+.3} ± {chance:.3})"));
            }
        }
    }
    let list = |names: &[(&str, Vec<f64>)]| {
        let one = |(name, values): &(&str, Vec<f64>)| format!("{name} {:.3}", mean(values));
        names.iter().map(one).collect::<Vec<_>>().join(" > ")
    };
    let pairs = order.len() * (order.len() - 1) / 2;
    let verdict = format!("{} of {pairs} pairs confirmed", pairs - turned.len() - close.len());
    let some =
        |what: &str, pairs: &[String]| if pairs.is_empty() { String::new() } else { format!("; {what}: {}", pairs.join(", ")) };
    let (close, round) = (some("not told apart", &close), some("TURNED ROUND", &turned));
    Ok(Ranking {
        told: format!(
            "ranking, mean of NMI and ARI as given: labelled sets {}; {n} unseen streams of the generator {}: {verdict}{round}{close}",
            list(&order),
            list(&fresh)
        ),
        holds: turned.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(name: &str, values: &[f64]) -> Vec<Ranked> {
        values.iter().map(|value| Ranked { name: name.to_owned(), nmi: *value, ari: *value }).collect()
    }

    fn both(first: Vec<Ranked>, second: Vec<Ranked>) -> Vec<Ranked> {
        first.into_iter().chain(second).collect()
    }

    fn confirmed(a: &[f64], b: &[f64]) -> Ranking {
        let labelled = both(scores("a", &[0.9, 0.8]), scores("b", &[0.7, 0.8]));
        confirm(&labelled, &both(scores("b", b), scores("a", a))).unwrap()
    }

    #[test]
    fn a_ranking_is_confirmed_left_open_or_turned_round() {
        let ahead = confirmed(&[0.9, 0.8, 0.85], &[0.7, 0.65, 0.66]);
        assert!(ahead.holds && ahead.told.ends_with("1 of 1 pairs confirmed"), "{}", ahead.told);
        let open = confirmed(&[0.7, 0.6, 0.8], &[0.69, 0.66, 0.78]);
        assert!(open.holds && open.told.contains("0 of 1 pairs confirmed; not told apart: a and b (-0.010"), "{}", open.told);
        let turned = confirmed(&[0.7, 0.6, 0.65], &[0.8, 0.71, 0.74]);
        assert!(
            !turned.holds && turned.told.contains("0 of 1 pairs confirmed; TURNED ROUND: b is 0.100 better than a"),
            "{}",
            turned.told
        );
    }

    #[test]
    fn what_was_not_tried_confirms_nothing() {
        assert!(confirm(&scores("a", &[0.9]), &scores("a", &[0.9, 0.8])).is_err());
        let two = both(scores("a", &[0.9]), scores("b", &[0.8]));
        assert!(confirm(&two, &both(scores("a", &[0.9, 0.8]), scores("c", &[0.9, 0.8]))).is_err());
        assert!(confirm(&two, &both(scores("a", &[0.9, 0.8]), scores("b", &[0.9]))).is_err());
    }
}
