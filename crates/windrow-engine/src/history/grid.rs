//! Counts over time in bounded memory: buckets of one width for all clusters.
//!
//! A grid that keeps everything takes the next wider buckets when its range outgrows their number; one that keeps the newest forgets the
//! oldest. In both the counts are the same whatever the order in which pages come.

use std::collections::BTreeMap;

use windrow_core::cluster::ClusterId;

/// Seconds since 1970.
pub type Seconds = i64;

/// Widths of buckets, in seconds. Each is a multiple of the one before, so that buckets can be merged and never need to be cut.
const WIDTHS: [Seconds; 11] = [1, 5, 20, 60, 300, 900, 3_600, 14_400, 43_200, 86_400, 604_800];
/// Clusters that are counted one by one; the smaller ones are counted together.
const CLUSTERS: usize = 256;

/// The least width of ours that is not less than `least`; whole weeks, doubled, beyond the largest.
pub(super) fn width_of(least: Seconds) -> Seconds {
    WIDTHS.into_iter().find(|width| *width >= least).unwrap_or_else(|| {
        let mut width = WIDTHS[WIDTHS.len() - 1];
        while width < least {
            width = width.saturating_mul(2);
        }
        width
    })
}

/// What happens when the buckets are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    Newest,
}

/// Counts of one cluster, by the number of the bucket.
type Counts = BTreeMap<i64, u64>;

/// Pages of clusters, by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    keep: Keep,
    width: Seconds,
    buckets: i64,
    newest: Option<i64>,
    oldest: Option<i64>,
    clusters: BTreeMap<ClusterId, Counts>,
    /// Of clusters that are too small to be counted one by one.
    others: Counts,
}

impl Grid {
    /// All pages, in at most so many buckets.
    pub(super) fn of_all(buckets: i64) -> Self {
        Self::new(Keep::All, WIDTHS[0], buckets)
    }

    /// The newest pages, in so many buckets of this width.
    pub(super) fn of_newest(width: Seconds, buckets: i64) -> Self {
        Self::new(Keep::Newest, width, buckets)
    }

    fn new(keep: Keep, width: Seconds, buckets: i64) -> Self {
        Self { keep, width, buckets, newest: None, oldest: None, clusters: BTreeMap::new(), others: Counts::new() }
    }

    /// Seconds of a bucket.
    pub(super) fn width(&self) -> Seconds {
        self.width
    }

    /// Counts pages.
    pub(super) fn add(&mut self, cluster: ClusterId, at: Seconds, pages: u64) {
        let bucket = at.div_euclid(self.width);
        if self.keep == Keep::Newest && self.newest.is_some_and(|newest| bucket <= newest - self.buckets) {
            return;
        }
        *self.clusters.entry(cluster).or_default().entry(bucket).or_default() += pages;
        self.oldest = Some(self.oldest.map_or(bucket, |oldest| oldest.min(bucket)));
        if self.newest.is_none_or(|newest| bucket > newest) {
            self.newest = Some(bucket);
        }
        self.shrink();
        if self.clusters.len() > CLUSTERS {
            self.merge_least();
        }
    }

    /// Takes wider buckets, or forgets old ones, as long as there are too many.
    fn shrink(&mut self) {
        while let (Some(oldest), Some(newest)) = (self.oldest, self.newest)
            && newest - oldest >= self.buckets
        {
            match self.keep {
                Keep::All => self.widen(),
                Keep::Newest => self.forget(newest - self.buckets + 1),
            }
        }
    }

    fn widen(&mut self) {
        let width = width_of(self.width + 1);
        let wider = |bucket: i64| (bucket * self.width).div_euclid(width);
        for counts in self.clusters.values_mut().chain([&mut self.others]) {
            let mut merged = Counts::new();
            counts.iter().for_each(|(bucket, pages)| *merged.entry(wider(*bucket)).or_default() += pages);
            *counts = merged;
        }
        (self.oldest, self.newest) = (self.oldest.map(wider), self.newest.map(wider));
        self.width = width;
    }

    fn forget(&mut self, first: i64) {
        for counts in self.clusters.values_mut().chain([&mut self.others]) {
            *counts = counts.split_off(&first);
        }
        self.clusters.retain(|_, counts| !counts.is_empty());
        self.oldest = Some(first);
    }

    fn merge_least(&mut self) {
        let total = |counts: &Counts| counts.values().sum::<u64>();
        let least =
            self.clusters.iter().min_by_key(|(cluster, counts)| (total(counts), **cluster)).map(|(cluster, _)| *cluster);
        for (bucket, pages) in least.and_then(|least| self.clusters.remove(&least)).unwrap_or_default() {
            *self.others.entry(bucket).or_default() += pages;
        }
    }

    /// Times of the first bucket and of the end of the last one; none when nothing was counted.
    pub(super) fn range(&self) -> Option<(Seconds, Seconds)> {
        Some((self.oldest? * self.width, (self.newest? + 1) * self.width))
    }

    /// Whether it knows everything from a time on.
    pub(super) fn reaches(&self, from: Seconds) -> bool {
        self.keep == Keep::All || self.newest.is_some_and(|newest| from >= (newest - self.buckets + 1) * self.width)
    }

    /// Pages of each cluster, and of the small ones together, from a time on and before another.
    pub(super) fn sums(&self, from: Seconds, to: Seconds) -> (BTreeMap<ClusterId, u64>, u64) {
        let sum = |counts: &Counts| self.within(counts, from, to).map(|(_, pages)| pages).sum::<u64>();
        let sums = self.clusters.iter().map(|(cluster, counts)| (*cluster, sum(counts))).filter(|(_, pages)| *pages > 0);
        (sums.collect(), sum(&self.others))
    }

    /// Adds the pages of a cluster, or of the small ones, to buckets of `width` seconds that begin at `from`.
    pub(super) fn draw(&self, cluster: Option<ClusterId>, (from, width): (Seconds, Seconds), into: &mut [u64]) {
        let counts = cluster.map_or(Some(&self.others), |cluster| self.clusters.get(&cluster));
        let to = from + width * i64::try_from(into.len()).unwrap_or(i64::MAX);
        for (time, pages) in counts.into_iter().flat_map(|counts| self.within(counts, from, to)) {
            if let Some(place) = usize::try_from((time - from).div_euclid(width)).ok().and_then(|place| into.get_mut(place)) {
                *place += pages;
            }
        }
    }

    /// Buckets that have anything of that time in them, with their times.
    fn within<'a>(&self, counts: &'a Counts, from: Seconds, to: Seconds) -> impl Iterator<Item = (Seconds, u64)> + 'a {
        let (width, first) = (self.width, from.div_euclid(self.width));
        let end = (to - 1).div_euclid(width) + 1;
        counts.range(first..end.max(first)).map(move |(bucket, pages)| (bucket * width, *pages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(grid: &Grid, cluster: ClusterId, from: Seconds, width: Seconds, n: usize) -> Vec<u64> {
        let mut into = vec![0; n];
        grid.draw(Some(cluster), (from, width), &mut into);
        into
    }

    #[test]
    fn every_width_is_a_multiple_of_the_one_before() {
        assert!(WIDTHS.windows(2).all(|pair| pair[1] % pair[0] == 0));
        assert_eq!([1, 2, 61, 604_800, 604_801].map(width_of), [1, 5, 300, 604_800, 1_209_600]);
    }

    #[test]
    fn a_grid_of_all_loses_nothing_when_it_widens_and_does_not_mind_the_order() {
        let times = [-90, -7, 0, 3, 4, 59, 100_000, 86_400 * 4_000];
        let mut grids = [Grid::of_all(10), Grid::of_all(10)];
        times.iter().for_each(|time| grids[0].add(7, *time, 2));
        times.iter().rev().for_each(|time| grids[1].add(7, *time, 2));
        assert_eq!(grids[0], grids[1]);
        let (from, to) = grids[0].range().unwrap();
        assert_eq!(grids[0].sums(from, to), (BTreeMap::from([(7, 16)]), 0));
        assert!((to - from) / grids[0].width() <= 10);
    }

    #[test]
    fn a_grid_of_the_newest_forgets_the_oldest() {
        let mut grid = Grid::of_newest(5, 3);
        [0, 4, 5, 14, 15, 2].iter().for_each(|time| grid.add(1, *time, 1));
        assert_eq!(grid.range(), Some((5, 20)));
        assert_eq!(drawn(&grid, 1, 5, 5, 3), [1, 1, 1]);
        assert!(grid.reaches(5) && !grid.reaches(4));
    }

    #[test]
    fn the_smallest_of_too_many_clusters_are_counted_together() {
        let mut grid = Grid::of_all(10);
        let n = u32::try_from(CLUSTERS).unwrap() + 20;
        (0..n).for_each(|cluster| grid.add(cluster, 0, u64::from(n - cluster)));
        let (sums, others) = grid.sums(0, 1);
        assert_eq!(sums.len(), CLUSTERS);
        assert_eq!(sums.values().sum::<u64>() + others, u64::from(n * (n + 1) / 2));
        assert_eq!(sums.get(&0), Some(&u64::from(n)));
    }
}
