//! Ranks, and bets on them: how unusual a value is among those before it, with a stated rate of false alarms.
//!
//! **Rank.** Of `m` earlier values `x₁ … xₘ` and a new one `x`, with `u` drawn from (0, 1),
//!
//! ```text
//! p = (#{xᵢ > x} + u · (1 + #{xᵢ = x})) / (m + 1)
//! ```
//!
//! is uniform on (0, 1) whatever the values look like, and independent of the ranks before it, as long as no order of the values is likelier
//! than another (Vovk, Nouretdinov & Gammerman 2003, "Testing exchangeability on-line").
//!
//! **Bet.** `f` pays for small `p`, and fairly: `∫ f = 1`. A tenth of the stake is kept, a tenth is on `p ≤ 1/4`, four are on `p ≤ 1/8`, four on
//! `p ≤ 1/32`.
//!
//! **Sum** (Shiryaev 1963, Roberts 1966; with stakes as in Shin, Ramdas & Rinaldo 2023, "e-detectors"): with a stake `w` for each look,
//!
//! ```text
//! S ← (S + w) · f(p)        alarm at S ≥ 1, then S = 0
//! ```
//!
//! `S` less the stakes so far is a martingale while nothing changes, so that the expected number of false alarms is at most the sum of the
//! stakes: whoever gives out stakes of one in a million rows expects at most one false alarm in them. That is an expectation: it can be
//! two, or none.
//!
//! **What matters.** What is unusual is told when it is also large enough to matter, by a bound that the measure has ([`Least`]). Until then `S` is held at 1:
//! it is never larger than it would be, so that alarms only become fewer.
//!
//! **Forgetting.** When [`FULL`] values are there, the older are dropped, and `S` begins at 0 again: within such a stretch the ranks are those of
//! values that were all there from its beginning on, and the reasoning holds for each.

use serde::{Deserialize, Serialize};

/// Values of a past; when they are there, the older are dropped.
pub(super) const FULL: usize = 192;
/// Values that stay then.
const KEPT: usize = 96;
/// What is kept of a stake.
const HELD: f64 = 0.1;
/// What is put on ranks up to a bound: bound and share.
const BETS: [(f64, f64); 3] = [(1.0 / 4.0, 0.1), (1.0 / 8.0, 0.4), (1.0 / 32.0, 0.4)];

/// What a bet gives back of one, by the rank.
fn bet(p: f64) -> f64 {
    BETS.iter().fold(HELD, |paid, (bound, share)| if p <= *bound { paid + share / bound } else { paid })
}

/// Bets on one side of a series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Bets {
    /// `S`.
    sum: f64,
    /// What a stake of one made since the last time that it was better to begin anew; 0 before the first bet.
    run: f64,
    /// Values since then.
    values: u32,
    /// Where the first of them began.
    since: u64,
}

impl Bets {
    /// Looks at a rank. Tells whether it may be an alarm.
    fn see(&mut self, p: f64, stake: f64, began: u64) -> bool {
        let paid = bet(p);
        self.sum = ((self.sum + stake) * paid).min(1.0);
        if self.run > 1.0 {
            self.values = self.values.saturating_add(1);
        } else {
            (self.run, self.values, self.since) = (1.0, 1, began);
        }
        // Above this an alarm is long due: a number of hostile bytes must not become infinite.
        self.run = (self.run * paid).min(1e100);
        self.sum >= 1.0
    }

    fn is_sound(&self) -> bool {
        let is_stake = |x: f64| (0.0..=1e100).contains(&x);
        is_stake(self.sum) && is_stake(self.run)
    }
}

/// What is unusual: the values since some position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unusual {
    /// Above what was usual, or below.
    pub(super) is_above: bool,
    /// Their mean.
    pub(super) value: f64,
    /// A tenth of the values before was lower, and a tenth higher.
    pub(super) usual: [f64; 2],
    /// How many they are.
    pub(super) values: u32,
    /// How many there were before.
    pub(super) before: u32,
    /// What a stake of one made of them.
    pub(super) odds: f64,
    /// Where they begin.
    pub(super) since: u64,
}

/// How far from what is usual a mean must lie to be told: so much, and such a share of the bound that it is beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Least {
    pub(super) by: f64,
    pub(super) share: f64,
}

impl Least {
    fn is_met(self, unusual: &Unusual) -> bool {
        let [low, high] = unusual.usual;
        let (bound, beyond) = if unusual.is_above { (high, unusual.value - high) } else { (low, low - unusual.value) };
        beyond >= self.by + self.share * bound
    }
}

/// A value of a window, with what it takes to judge it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) value: f32,
    /// Where the window began.
    pub(super) began: u64,
    /// For the two sides together.
    pub(super) stake: f64,
    pub(super) least: Least,
    /// From (0, 1), drawn for this look.
    pub(super) u: f64,
}

/// The values of one measure of one cluster, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Series {
    past: Vec<f32>,
    above: Bets,
    below: Bets,
}

impl Series {
    /// Takes a value in, and tells when there have been too many unusual ones: of `both` sides, or of those above alone.
    pub(super) fn see(&mut self, look: Look, both: bool) -> Option<Unusual> {
        let Look { value, began, stake, least, u } = look;
        let higher = self.past.iter().map(|x| u32::from(*x > value)).sum::<u32>();
        let equal = self.past.iter().map(|x| u32::from(x.to_bits() == value.to_bits())).sum::<u32>();
        let p = (f64::from(higher) + u * f64::from(1 + equal)) / (self.past.len() + 1) as f64;
        self.past.push(value);
        let stake = if both { stake / 2.0 } else { stake };
        let above = self.above.see(p, stake, began);
        let below = both && self.below.see(1.0 - p, stake, began);
        let found = [above.then_some(true), below.then_some(false)].into_iter().flatten();
        let found = found.map(|is_above| self.unusual(is_above)).find(|unusual| least.is_met(unusual));
        if found.is_none() && self.past.len() >= FULL {
            self.past.drain(..FULL - KEPT);
            (self.above, self.below) = Default::default();
        }
        found
    }

    fn unusual(&self, is_above: bool) -> Unusual {
        let bets = if is_above { self.above } else { self.below };
        let n_before = self.past.len().saturating_sub(bets.values as usize);
        let (before, now) = self.past.split_at(n_before);
        Unusual {
            is_above,
            value: rounded(now.iter().map(|x| f64::from(*x)).sum::<f64>() / now.len().max(1) as f64),
            usual: usual(before),
            values: now.len() as u32,
            before: n_before as u32,
            odds: bets.run.round(),
            since: bets.since,
        }
    }

    /// Its last value, with what is usual, and of how many that is known.
    pub(super) fn now(&self) -> Option<(f64, [f64; 2], u64)> {
        let last = self.past.last()?;
        Some((rounded(f64::from(*last)), usual(&self.past), self.past.len() as u64))
    }

    /// Whether it can be gone on with.
    pub(super) fn is_sound(&self) -> bool {
        self.past.len() < FULL
            && self.past.iter().all(|value| value.is_finite())
            && self.above.is_sound()
            && self.below.is_sound()
    }
}

/// Between which values four fifths of them lie.
fn usual(values: &[f32]) -> [f64; 2] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = |place: usize| sorted.get(place).map_or(0.0, |value| rounded(f64::from(*value)));
    let tenth = sorted.len() / 10;
    [at(tenth), at(sorted.len().saturating_sub(1 + tenth))]
}

/// To what is worth saying.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever lies beyond what is usual matters.
    const ANY: Least = Least { by: 0.0, share: 0.0 };

    struct Chance(u64);

    impl Chance {
        fn unit(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) as f64 + 0.5) / (1u64 << 31) as f64
        }

        /// About normal, and coarse: ties are common.
        fn value(&mut self) -> f32 {
            ((0..6).map(|_| self.unit()).sum::<f64>() * 10.0).round() as f32
        }
    }

    #[test]
    fn bets_are_fair() {
        let steps = 64_000;
        let mean = (0..steps).map(|at| bet((f64::from(at) + 0.5) / f64::from(steps))).sum::<f64>() / f64::from(steps);
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        assert!((HELD + BETS.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    /// Alarms of `looks` values among which nothing changes, beside what the stakes allow.
    fn false_alarms(looks: u32, both: bool, seed: u64) -> (u32, f64) {
        let (mut chance, mut series, mut found, stake) = (Chance(seed), Series::default(), 0, 2e-3);
        for at in 0..looks {
            let look = Look { value: chance.value(), began: u64::from(at), stake, least: ANY, u: chance.unit() };
            if series.see(look, both).is_some() {
                found += 1;
                series = Series::default();
            }
        }
        (found, stake * f64::from(looks))
    }

    #[test]
    fn false_alarms_are_as_many_as_the_stakes_allow_at_most() {
        for both in [false, true] {
            let (found, expected) = false_alarms(200_000, both, 5);
            let found = f64::from(found);
            assert!(found > expected / 10.0 && found < expected + 3.0 * expected.sqrt(), "{found} of {expected}, {both}");
        }
    }

    #[test]
    fn a_change_is_seen_after_a_few_values_and_dated() {
        for (by, is_above) in [(25.0, true), (-25.0, false)] {
            let (mut chance, mut series) = (Chance(3), Series::default());
            let mut look = |at: u64, more: f32| {
                let look = Look { value: chance.value() + more, began: at, stake: 1e-5, least: ANY, u: chance.unit() };
                series.see(look, true)
            };
            assert!((0..120).all(|at| look(at, 0.0).is_none()));
            let (after, found) = (120..140).find_map(|at| Some((at - 120, look(at, by)?))).expect("it is seen");
            assert!(after < 8, "{after}");
            assert_eq!((found.is_above, found.since, found.before), (is_above, 120, 120));
            assert!(found.usual[0] < found.usual[1] && (found.value - 30.0 - f64::from(by)).abs() < 6.0, "{found:?}");
        }
    }

    #[test]
    fn what_does_not_matter_is_not_told_until_it_does() {
        let (mut chance, mut series) = (Chance(3), Series::default());
        let mut look = |at: u64, more: f32| {
            let least = Least { by: 10.0, share: 0.1 };
            series.see(Look { value: chance.value() + more, began: at, stake: 1e-5, least, u: chance.unit() }, true)
        };
        assert!((0..120).all(|at| look(at, 0.0).is_none()));
        assert!((120..140).all(|at| look(at, 12.0).is_none()), "it is unusual, and small");
        let found = (140..170).find_map(|at| look(at, 40.0)).expect("it is seen");
        assert!(found.value >= found.usual[1] * 1.1 + 10.0, "{found:?}");
    }

    #[test]
    fn a_past_is_bounded() {
        let mut series = Series::default();
        for at in 0..1_000 {
            series.see(Look { value: (at % 7) as f32, began: 0, stake: 1e-9, least: ANY, u: 0.5 }, true);
            assert!(series.is_sound() && series.past.len() < FULL);
        }
    }
}
