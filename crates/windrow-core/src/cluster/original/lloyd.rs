//! K-Means as Spark has it: centres drawn by k-means|| (Bahmani et al., "Scalable k-means++", 2012) in two rounds, then Lloyd's steps
//! until no centre moves. On distinct points with counts, which gives the same sums as on the pages.
//!
//! Costs: a step, points x centres x the components of a point; a block has about as many points as there are features. That is so
//! little that it is done from several starts, of which the best is kept.

use super::features::Sparse;

/// Rounds of drawing candidates, as Spark has it.
const ROUNDS: usize = 2;
/// Steps at most, as the original asks for.
const STEPS: usize = 100;
/// Steps at most among the candidates, as Spark has it.
const CANDIDATE_STEPS: usize = 30;
/// How far a centre may move and still stand, as Spark has it.
const TOLERANCE: f64 = 1e-4;
/// Starts, of which the best is kept.
const STARTS: u64 = 4;

/// Some points, each so often.
#[derive(Debug, Clone, Copy)]
pub struct Weighted<'a> {
    /// The points.
    pub points: &'a [Sparse],
    /// How many pages each stands for.
    pub weights: &'a [f64],
    /// Features of a point.
    pub n_features: usize,
}

/// Centres with what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The centres that have points, dense.
    pub centres: Vec<Vec<f64>>,
    /// The centre of each point.
    pub nearest: Vec<usize>,
    /// Sum over all pages of the squared distance to their centre.
    pub cost: f64,
}

/// At most `k` centres.
pub fn fit(data: Weighted<'_>, k: usize, seed: u64) -> Fitted {
    let starts = (0..STARTS).map(|start| {
        let mut random = Random(seed.wrapping_mul(STARTS).wrapping_add(start));
        let centres = draw(data, k, &mut random);
        lloyd(data, centres, STEPS)
    });
    let best = starts.reduce(|best, next| if next.cost < best.cost { next } else { best });
    without_empty(best.expect("at least one start"))
}

/// The nearest centre, of equals the first, and the squared distance to it.
pub fn nearest(point: &Sparse, centres: &[Vec<f64>]) -> Option<(usize, f64)> {
    let distances = centres.iter().map(|centre| square_distance(point, centre)).enumerate();
    distances.reduce(|best, next| if next.1 < best.1 { next } else { best })
}

/// Squared distance.
pub fn square_distance(point: &Sparse, centre: &[f64]) -> f64 {
    // Component by component, not by lengths and product: what is at the same place is at distance 0 exactly.
    let mut at = 0;
    let mut sum = 0.0;
    for &(feature, value) in point {
        let feature = feature as usize;
        sum += centre[at..feature].iter().map(|other| other * other).sum::<f64>();
        sum += (value - centre[feature]) * (value - centre[feature]);
        at = feature + 1;
    }
    sum + centre[at..].iter().map(|other| other * other).sum::<f64>()
}

/// First centres: candidates by their distance to those drawn before, then the best of them by weight.
fn draw(data: Weighted<'_>, k: usize, random: &mut Random) -> Vec<Vec<f64>> {
    let mut drawn = vec![random.pick(data.weights)];
    let mut distances: Vec<f64> = vec![f64::INFINITY; data.points.len()];
    for _ in 0..ROUNDS {
        let dense = drawn.iter().map(|&at| data.dense(at)).collect::<Vec<_>>();
        for (distance, point) in distances.iter_mut().zip(data.points) {
            *distance = nearest(point, &dense).map_or(0.0, |(_, distance)| distance);
        }
        let cost: f64 = distances.iter().zip(data.weights).map(|(distance, weight)| distance * weight).sum();
        for (at, (distance, weight)) in distances.iter().zip(data.weights).enumerate() {
            // The chance that one of its pages is drawn.
            let none = libm::pow(1.0 - (2.0 * k as f64 * distance / cost).min(1.0), *weight);
            if cost > 0.0 && *distance > 0.0 && random.unit() < 1.0 - none {
                drawn.push(at);
            }
        }
    }
    let candidates: Vec<Sparse> = drawn.iter().map(|&at| data.points[at].clone()).collect();
    let dense: Vec<Vec<f64>> = drawn.iter().map(|&at| data.dense(at)).collect();
    if candidates.len() <= k {
        return dense;
    }
    let mut weights = vec![0.0; candidates.len()];
    for (point, weight) in data.points.iter().zip(data.weights) {
        let (at, _) = nearest(point, &dense).expect("there are candidates");
        weights[at] += weight;
    }
    let among = Weighted { points: &candidates, weights: &weights, ..data };
    lloyd(among, plus_plus(among, k, random), CANDIDATE_STEPS).centres
}

/// Centres drawn one by one, by weight times squared distance to those drawn before (k-means++).
fn plus_plus(data: Weighted<'_>, k: usize, random: &mut Random) -> Vec<Vec<f64>> {
    let mut centres = vec![data.dense(random.pick(data.weights))];
    let mut chances = vec![f64::INFINITY; data.points.len()];
    while centres.len() < k {
        let last = &centres[centres.len() - 1];
        for (chance, (point, weight)) in chances.iter_mut().zip(data.points.iter().zip(data.weights)) {
            *chance = chance.min(square_distance(point, last) * weight);
        }
        if chances.iter().all(|chance| *chance <= 0.0) {
            break;
        }
        centres.push(data.dense(random.pick(&chances)));
    }
    centres
}

fn lloyd(data: Weighted<'_>, mut centres: Vec<Vec<f64>>, steps: usize) -> Fitted {
    for _ in 0..steps {
        let (sums, weights) = data.sums(&centres);
        let mut has_moved = false;
        for ((centre, mut sum), weight) in centres.iter_mut().zip(sums).zip(weights) {
            // A centre without points stays where it is.
            if weight > 0.0 {
                sum.iter_mut().for_each(|value| *value /= weight);
                let moved: f64 = sum.iter().zip(&*centre).map(|(a, b)| (a - b) * (a - b)).sum();
                has_moved |= moved > TOLERANCE * TOLERANCE;
                *centre = sum;
            }
        }
        if !has_moved {
            break;
        }
    }
    let found: Vec<(usize, f64)> =
        data.points.iter().map(|point| nearest(point, &centres).expect("there are centres")).collect();
    let cost = found.iter().zip(data.weights).map(|((_, distance), weight)| distance * weight).sum();
    Fitted { nearest: found.into_iter().map(|(at, _)| at).collect(), centres, cost }
}

/// Without the centres that no point is nearest to.
fn without_empty(mut fitted: Fitted) -> Fitted {
    let mut used = fitted.nearest.clone();
    used.sort_unstable();
    used.dedup();
    let number = |old: usize| used.partition_point(|&other| other < old);
    fitted.nearest.iter_mut().for_each(|at| *at = number(*at));
    fitted.centres = used.iter().map(|&old| std::mem::take(&mut fitted.centres[old])).collect();
    fitted
}

impl Weighted<'_> {
    fn dense(&self, at: usize) -> Vec<f64> {
        let mut dense = vec![0.0; self.n_features];
        self.points[at].iter().for_each(|&(feature, value)| dense[feature as usize] = value);
        dense
    }

    /// For each centre the sum of the points nearest to it, and their weight.
    fn sums(&self, centres: &[Vec<f64>]) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (mut sums, mut weights) = (vec![vec![0.0; self.n_features]; centres.len()], vec![0.0; centres.len()]);
        for (point, weight) in self.points.iter().zip(self.weights) {
            let (at, _) = nearest(point, centres).expect("there are centres");
            weights[at] += weight;
            point.iter().for_each(|&(feature, value)| sums[at][feature as usize] += value * weight);
        }
        (sums, weights)
    }
}

/// SplitMix64 (Steele, Lea & Flood, 2014): chance that is the same everywhere.
struct Random(u64);

impl Random {
    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A place, by these chances, of which one is above 0.
    fn pick(&mut self, chances: &[f64]) -> usize {
        let mut left = self.unit() * chances.iter().sum::<f64>();
        let place = chances.iter().position(|chance| {
            left -= chance;
            left < 0.0
        });
        // By rounding nothing may be left for the last.
        place.or_else(|| chances.iter().rposition(|chance| *chance > 0.0)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(points: &[(f64, f64)], weights: &[f64], k: usize) -> Fitted {
        let points: Vec<Sparse> = points.iter().map(|&(x, y)| vec![(0, x), (1, y)]).collect();
        fit(Weighted { points: &points, weights, n_features: 2 }, k, 1)
    }

    #[test]
    fn groups_are_found_and_their_cost_is_known() {
        let points = [(0.0, 0.0), (0.0, 2.0), (10.0, 0.0), (10.0, 1.0), (50.0, 50.0)];
        let found = fitted(&points, &[1.0, 1.0, 3.0, 1.0, 7.0], 3);
        assert_eq!(found.nearest[0], found.nearest[1]);
        assert_eq!(found.nearest[2], found.nearest[3]);
        assert_eq!(found.centres[found.nearest[2]], [10.0, 0.25]);
        assert!((found.cost - (2.0 + 3.0 * 0.0625 + 0.5625)).abs() < 1e-12, "{}", found.cost);
    }

    #[test]
    fn fewer_points_than_centres_cost_nothing() {
        let found = fitted(&[(1.0, 0.0), (0.0, 1.0)], &[5.0, 1.0], 50);
        assert_eq!((found.centres.len(), found.cost), (2, 0.0));
        assert_ne!(found.nearest[0], found.nearest[1]);
        let one = fitted(&[(3.0, 4.0)], &[9.0], 3);
        assert_eq!((one.centres, one.nearest), (vec![vec![3.0, 4.0]], vec![0]));
    }

    #[test]
    fn sparse_distances_are_those_of_dense_ones() {
        let centre = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(square_distance(&vec![(1, 5.0), (3, 4.0)], &centre), 1.0 + 9.0 + 9.0);
        assert_eq!(square_distance(&Vec::new(), &centre), 30.0);
    }
}
