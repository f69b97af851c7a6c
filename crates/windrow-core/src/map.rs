//! MAP: places for clusters, themes and pages, so that what is alike lies together and nothing jumps.
//!
//! ```text
//! likenesses ─ distances ─ majorize, held by the former places ─> clusters ─> themes around them ─> pages around those
//! ```
//!
//! Clusters lie where they make the least of Σ w (|x_i - x_j| - d)² + Σ a |x_i - former x_i|², d = 1 - √likeness, w = d⁻². That
//! is stress majorization (SMACOF: de Leeuw, "Applications of convex analysis to multidimensional scaling", 1977), one point after
//! the other as in Gansner, Koren & North, "Graph drawing by stress majorization", 2004: each step puts a point at the mean of where the others
//! want it, and never makes the sum larger. The second sum keeps the map from turning and from jumping. A new cluster begins at
//! the mean of those that it is like. Places lie in [-1, 1]², and follow from the views that were looked at, in their order.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::cluster::{ClusterId, MicroId};
use crate::pipeline::{ClusterView, Theme, View};
use crate::record::RecordId;

/// Rounds when a map is begun, and when it follows.
const FIRST_ROUNDS: usize = 200;
const ROUNDS: usize = 30;
/// Two clusters want to be no nearer than this, however like they are.
const LEAST_DISTANCE: f64 = 0.15;
/// What a former place counts against all others together.
const ANCHOR: f64 = 0.5;
/// How far places reach after the map was made to fit, and within what it is left alone.
const REACH: f64 = 0.95;
const FITS: std::ops::RangeInclusive<f64> = 0.6..=1.0;
/// Themes lie within this share of the way to the nearest cluster, and within this distance.
const THEMES_WITHIN: f64 = 0.42;
const THEMES_AT_MOST: f64 = 0.14;
/// Pages lie within this share of that around their theme.
const PAGES_WITHIN: f64 = 0.3;
/// The angle that spreads evenly whatever the number.
const GOLDEN: f64 = 2.399_963_229_728_653;

/// A place on the map.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// From left to right, -1 to 1.
    pub x: f64,
    /// From top to bottom, -1 to 1.
    pub y: f64,
}

impl Point {
    fn plus(self, other: Self, times: f64) -> Self {
        Self { x: self.x + other.x * times, y: self.y + other.y * times }
    }

    fn minus(self, other: Self) -> Self {
        self.plus(other, -1.0)
    }

    fn length(self) -> f64 {
        self.x.hypot(self.y)
    }

    /// Of length one; `or` where it has no direction.
    fn unit(self, or: Self) -> Self {
        let length = self.length();
        if length > 1e-9 { Self::default().plus(self, 1.0 / length) } else { or }
    }

    fn at_angle(angle: f64) -> Self {
        Self { x: libm::cos(angle), y: libm::sin(angle) }
    }

    fn within(self) -> Self {
        Self { x: self.x.clamp(-1.0, 1.0), y: self.y.clamp(-1.0, 1.0) }
    }
}

/// Where clusters lie. Begin with an empty one, and let it follow view after view.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map {
    /// Places in units of the distances.
    places: BTreeMap<ClusterId, Point>,
    /// From those to the map.
    scale: f64,
}

impl Map {
    /// Moves the clusters to where this view wants them; dead ones go, new ones come.
    pub fn follow(&mut self, view: &View) {
        let is_first = self.places.is_empty();
        let former = std::mem::take(&mut self.places);
        let mut order: Vec<&ClusterView> = view.clusters.iter().collect();
        order.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.cluster.cmp(&b.cluster)));
        order.retain(|cluster| match former.get(&cluster.cluster) {
            Some(place) => self.places.insert(cluster.cluster, *place).is_some(),
            None => true,
        });
        for cluster in order {
            let place = self.beginning(cluster, view);
            self.places.insert(cluster.cluster, place);
        }
        let mut bodies: Vec<Body> = self.places.iter().map(|(&cluster, &at)| Body::new(cluster, at, &former)).collect();
        let distances = distances(view, &bodies);
        for _ in 0..if is_first { FIRST_ROUNDS } else { ROUNDS } {
            settle(&mut bodies, &distances);
        }
        self.places = bodies.iter().map(|body| (body.cluster, body.at)).collect();
        self.fit(is_first);
    }

    /// Where a new cluster begins: at the mean of those that it is like and that are placed, weighted by likeness.
    fn beginning(&self, cluster: &ClusterView, view: &View) -> Point {
        let (mut sum, mut total) = (Point::default(), 0.0);
        let mut add = |other: ClusterId, likeness: f64| {
            if let Some(place) = self.places.get(&other) {
                sum = sum.plus(*place, likeness);
                total += likeness;
            }
        };
        cluster.neighbours.iter().for_each(|near| add(near.cluster, near.likeness));
        for other in &view.clusters {
            let back = other.neighbours.iter().filter(|near| near.cluster == cluster.cluster);
            back.for_each(|near| add(other.cluster, near.likeness));
        }
        let aside = Point::at_angle(GOLDEN * f64::from(cluster.cluster));
        if total > 0.0 {
            Point::default().plus(sum, 1.0 / total).plus(aside, LEAST_DISTANCE / 4.0)
        } else {
            aside.plus(aside, -0.5)
        }
    }

    /// Keeps the map within its bounds: from then on the same units, until it no longer fits.
    fn fit(&mut self, is_first: bool) {
        let n = self.places.len().max(1) as f64;
        if is_first {
            let middle = self.places.values().fold(Point::default(), |sum, place| sum.plus(*place, 1.0 / n));
            self.places.values_mut().for_each(|place| *place = place.minus(middle));
        }
        let most = self.places.values().fold(0.0f64, |most, place| most.max(place.x.abs()).max(place.y.abs()));
        if most > 0.0 && !FITS.contains(&(most * self.scale)) {
            self.scale = REACH / most;
        }
    }

    /// Where a cluster lies; nowhere if the last view did not have it.
    pub fn cluster(&self, cluster: ClusterId) -> Option<Point> {
        self.places.get(&cluster).map(|place| Point::default().plus(*place, self.scale).within())
    }

    /// Where the themes of a view lie: around their clusters, on the side of those that they are like, and the farther out the less
    /// they are like their own.
    pub fn themes(&self, view: &View) -> Vec<(MicroId, ClusterId, Point)> {
        let mut themes = Vec::new();
        for cluster in &view.clusters {
            let Some(middle) = self.cluster(cluster.cluster) else { continue };
            let reach = self.reach(cluster.cluster);
            let placed =
                cluster.themes.iter().map(|theme| (theme.micro_cluster, cluster.cluster, self.theme(theme, middle, reach)));
            themes.extend(placed);
        }
        themes
    }

    fn theme(&self, theme: &Theme, middle: Point, reach: f64) -> Point {
        let by_chance = Point::at_angle(GOLDEN * theme.micro_cluster as f64);
        let total: f64 = theme.neighbours.iter().map(|near| near.likeness).sum();
        let mut pull = Point::default().plus(by_chance, 0.6);
        for near in &theme.neighbours {
            if let Some(place) = self.cluster(near.cluster) {
                pull = pull.plus(place.minus(middle).unit(by_chance), near.likeness / total.max(f64::MIN_POSITIVE));
            }
        }
        middle.plus(pull.unit(by_chance), reach * (0.25 + 0.75 * (1.0 - theme.likeness))).within()
    }

    /// How far the themes of a cluster lie from it.
    fn reach(&self, cluster: ClusterId) -> f64 {
        let Some(own) = self.cluster(cluster) else { return 0.0 };
        let others = self.places.keys().filter(|other| **other != cluster).filter_map(|other| self.cluster(*other));
        let nearest = others.map(|place| place.minus(own).length()).fold(f64::INFINITY, f64::min);
        (THEMES_WITHIN * nearest).min(THEMES_AT_MOST)
    }

    /// Where a page lies whose theme (or cluster, where the theme is not shown) lies at `around`: the farther out the lower its score.
    pub fn page(&self, cluster: ClusterId, around: Point, page: RecordId, score: f64) -> Point {
        let hash = xxh3_64_with_seed(&page.offset.to_le_bytes(), u64::from(page.source));
        let [angle, spread] = [hash as u32, (hash >> 32) as u32].map(|half| f64::from(half) / f64::from(u32::MAX));
        let out = (0.3 + 0.7 * (1.0 - score.clamp(0.0, 1.0))) * spread.sqrt();
        around.plus(Point::at_angle(std::f64::consts::TAU * angle), PAGES_WITHIN * self.reach(cluster) * out).within()
    }
}

/// A cluster that is being placed.
#[derive(Debug)]
struct Body {
    cluster: ClusterId,
    at: Point,
    former: Option<Point>,
}

impl Body {
    fn new(cluster: ClusterId, at: Point, former: &BTreeMap<ClusterId, Point>) -> Self {
        Self { cluster, at, former: former.get(&cluster).copied() }
    }
}

/// Distances that all pairs want, row after row.
fn distances(view: &View, bodies: &[Body]) -> Vec<f64> {
    let n = bodies.len();
    let mut distances = vec![1.0; n * n];
    let place = |cluster: ClusterId| bodies.binary_search_by_key(&cluster, |body| body.cluster).ok();
    for cluster in &view.clusters {
        for near in &cluster.neighbours {
            if let (Some(i), Some(j)) = (place(cluster.cluster), place(near.cluster)) {
                let distance = (1.0 - near.likeness.clamp(0.0, 1.0).sqrt()).max(LEAST_DISTANCE);
                distances[i * n + j] = distance;
                distances[j * n + i] = distance;
            }
        }
    }
    distances
}

/// One round: every cluster goes to the mean of where the others, and its former place, want it.
fn settle(bodies: &mut [Body], distances: &[f64]) {
    let n = bodies.len();
    for i in 0..n {
        let (mut sum, mut total) = (Point::default(), 0.0);
        for j in (0..n).filter(|j| *j != i) {
            let distance = distances[i * n + j];
            let weight = 1.0 / (distance * distance);
            let turn = if i < j { 1.0 } else { -1.0 };
            let apart = Point::at_angle(GOLDEN * (i + j) as f64);
            let away = bodies[i].at.minus(bodies[j].at).unit(Point::default().plus(apart, turn));
            sum = sum.plus(bodies[j].at.plus(away, distance), weight);
            total += weight;
        }
        if let Some(former) = bodies[i].former {
            let anchor = ANCHOR * total.max(1.0);
            sum = sum.plus(former, anchor);
            total += anchor;
        }
        if total > 0.0 {
            bodies[i].at = Point::default().plus(sum, 1.0 / total);
        }
    }
}

#[cfg(test)]
mod tests;
