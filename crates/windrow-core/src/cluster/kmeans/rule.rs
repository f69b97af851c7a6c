//! How centres move: the update rule of Spark's MLlib (`StreamingKMeansModel.update`, after Sculley, "Web-scale k-means clustering",
//! 2010, with forgetting), on sparse vectors in f64.
//!
//! ```text
//! all clusters      n ← n · g                          g = a for a block, or a^m for a block of m rows; a = exp(ln ½ / half-life)
//! those with rows   n ← n + m,  λ = m / max(n, 1e-16),  c ← (1 - λ) c + (λ / m) Σx          = (c n g + Σx) / (n g + m)
//! once a block      lightest < 1e-8 · heaviest: both get (heaviest + lightest) / 2, and centres c ± 1e-14 · max(|c|, 1)
//! ```
//!
//! The page on MLlib divides by n + m, its code by n g + m: this follows the code. What a split adds to terms that a centre does not
//! hold is one number for all of them (`shift`), so that a growing vocabulary costs nothing and twins differ as they do in Spark.

use serde::{Deserialize, Serialize};

use super::TermId;
use crate::lineage::Death;

/// A cluster dies when it is lighter than this share of the heaviest.
const DYING: f64 = 1e-8;
/// How far a split moves each component, against its size or 1.
const SPLIT: f64 = 1e-14;

/// A centre and its weight.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mean {
    /// Pages, faded.
    pub(super) weight: f64,
    /// Components by ascending term, less `shift`.
    pub(super) terms: Vec<(TermId, f64)>,
    /// What every component is more, also that of a term which is not held.
    pub(super) shift: f64,
}

impl Mean {
    /// Takes in `count` pages whose components sum to `sum` (terms ascending). The weight has faded before.
    pub(super) fn take(&mut self, count: u32, sum: &[(TermId, f64)]) {
        let count = f64::from(count);
        self.weight += count;
        let share = count / self.weight.max(1e-16);
        let (old, new) = (1.0 - share, share / count);
        self.shift *= old;
        let before = std::mem::take(&mut self.terms);
        self.terms.reserve(before.len() + sum.len());
        let mut sum = sum.iter().copied().peekable();
        for (term, value) in before {
            while let Some((other, value)) = sum.next_if(|next| next.0 < term) {
                self.terms.push((other, new * value));
            }
            let more = sum.next_if(|next| next.0 == term).map_or(0.0, |(_, value)| new * value);
            self.terms.push((term, old * value + more));
        }
        self.terms.extend(sum.map(|(term, value)| (term, new * value)));
    }

    /// Gives half of the weight of both to a twin a hair away, on the other side.
    fn split(&mut self, lightest: f64) -> Self {
        self.weight = f64::midpoint(self.weight, lightest);
        let mut twin = self.clone();
        let shift = self.shift;
        for (own, other) in self.terms.iter_mut().zip(&mut twin.terms) {
            // Beyond what the shift does for all.
            let more = SPLIT * ((own.1 + shift).abs().max(1.0) - 1.0);
            own.1 += more;
            other.1 -= more;
        }
        self.shift += SPLIT;
        twin.shift -= SPLIT;
        twin
    }

    /// Forgets components that stand for less than `least` pages, and the lightest beyond `most` (of equal ones the later).
    pub(super) fn prune(&mut self, least: f64, most: usize) {
        // A centre that fades away keeps its direction.
        let weight = self.weight.max(1.0);
        self.terms.retain(|&(_, value)| value * weight >= least);
        if self.terms.len() > most {
            self.terms.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            self.terms.truncate(most);
            self.terms.sort_unstable_by_key(|&(term, _)| term);
        }
    }
}

/// Splits the heaviest of some means when the lightest of those that `may_die` is dying. Gives the place of the lightest, the twin that
/// takes it, and why. Of equally heavy ones the first counts.
pub(super) fn split_heaviest<'a>(
    means: impl Iterator<Item = &'a mut Mean>,
    may_die: impl Fn(usize) -> bool,
) -> Option<(usize, Mean, Death)> {
    let mut heaviest: Option<&mut Mean> = None;
    let mut lightest: Option<(usize, f64)> = None;
    for (at, mean) in means.enumerate() {
        if may_die(at) && lightest.is_none_or(|(_, least)| mean.weight < least) {
            lightest = Some((at, mean.weight));
        }
        if heaviest.as_ref().is_none_or(|most| mean.weight > most.weight) {
            heaviest = Some(mean);
        }
    }
    let (heaviest, (small, weight)) = (heaviest?, lightest?);
    let threshold = DYING * heaviest.weight;
    (weight < threshold).then(|| (small, heaviest.split(weight), Death::Outweighed { weight, threshold }))
}
