//! History: how many pages each cluster got, when, and from which domains; of the published Parquet, in bounded memory.
//!
//! ```text
//! manifest ── files that are new ── cluster, creation_time, domain ──┬─> totals     exact: what was delivered and committed
//!                                                                    ├─> event time   grids: 1 s, 20 s, 5 min; all
//! a running pipeline's counts (when they are at hand) ── ahead ──────┼─> arrival time   the same
//!                                                                    └─> domains × clusters
//! ```
//!
//! A page arrives when its file is written, for whoever sees files alone; that is the moment of its commit. Beside a running pipeline
//! counts are seen as they grow: those pages arrive then, and are not counted again when their file comes into view.

mod domains;
mod grid;
mod read;

use std::collections::BTreeMap;

use windrow_core::cluster::ClusterId;

use self::domains::Domains;
use self::grid::{Grid, width_of};
use crate::checkpoint::life::{Life, Stop};
use crate::checkpoint::{Committed, Layout};
use crate::error::Result;
use crate::sink::{Family, PublishedFile};

pub use self::domains::ByCluster;
pub use self::grid::Seconds;
pub use self::read::Piece;
pub(crate) use self::read::timely;

/// Buckets of the history since the start: enough for sixteen years of days.
const ALL_BUCKETS: i64 = 6_000;
const MICROS: i64 = 1_000_000;

/// Which time of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// Its creation time.
    #[default]
    Event,
    /// When it was read, as near as the outputs tell.
    Arrival,
}

/// How far back from the newest time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Window {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// Everything.
    #[default]
    All,
}

/// What is asked of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Which time.
    pub clock: Clock,
    /// How far back, where no times are given.
    pub window: Window,
    /// The first time.
    pub from: Option<Seconds>,
    /// The time at which it is over.
    pub to: Option<Seconds>,
    /// At most so many buckets.
    pub buckets: usize,
    /// The largest clusters, so many.
    pub top: usize,
    /// These clusters instead.
    pub clusters: Vec<ClusterId>,
}

/// Pages over time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Seconds of a bucket.
    pub bucket_seconds: Seconds,
    /// When each bucket begins.
    pub times: Vec<Seconds>,
    /// Clusters with their counts, one a bucket, largest first; none while nobody ran the pipeline.
    pub series: Vec<(ClusterId, Vec<Option<u64>>)>,
    /// How many clusters the others are.
    pub n_others: usize,
    /// Counts of the others.
    pub others: Vec<Option<u64>>,
    /// Pages without an event time that can be (from 1990 to a day after their arrival), where that is asked for: they are in no bucket.
    pub undated: u64,
    /// When nobody ran the pipeline, where arrivals are asked for.
    pub gaps: Vec<Gap>,
}

/// A time in which nobody ran the pipeline: whole seconds, so that none of them saw a page come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// When it began.
    pub from: Seconds,
    /// When it was over.
    pub to: Seconds,
    /// How the run before ended.
    pub reason: String,
}

impl Gap {
    fn of(stop: Stop) -> Option<Self> {
        let (from, to) = ((stop.from + MICROS - 1).div_euclid(MICROS), stop.to.div_euclid(MICROS));
        (from < to).then_some(Self { from, to, reason: stop.reason })
    }
}

/// Pages of clusters in a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    /// The window; none where there is no time at all.
    pub range: Option<(Seconds, Seconds)>,
    /// Pages of each cluster that has any.
    pub clusters: ByCluster,
    /// Pages of clusters that are too small to be counted one by one in a window.
    pub others: u64,
}

/// Clusters × main domains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainTable {
    /// Clusters with their pages, largest first.
    pub clusters: Vec<(ClusterId, u64)>,
    /// Domains with their pages, largest first.
    pub domains: Vec<(String, u64)>,
    /// Pages of each domain in each of these clusters.
    pub counts: Vec<Vec<u64>>,
    /// Pages of each domain in other clusters.
    pub other_clusters: Vec<u64>,
    /// Pages of each cluster from other domains.
    pub other_domains: Vec<u64>,
    /// Pages from other domains in other clusters.
    pub other: u64,
    /// All pages.
    pub total: u64,
}

/// Pages of clusters by one clock, in several widths.
#[derive(Debug, Clone)]
struct Times {
    minute: Grid,
    hour: Grid,
    day: Grid,
    all: Grid,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            minute: Grid::of_newest(1, 60),
            hour: Grid::of_newest(20, 180),
            day: Grid::of_newest(300, 288),
            all: Grid::of_all(ALL_BUCKETS),
        }
    }
}

impl Times {
    fn add(&mut self, cluster: ClusterId, at: Seconds, pages: u64) {
        for grid in [&mut self.minute, &mut self.hour, &mut self.day, &mut self.all] {
            grid.add(cluster, at, pages);
        }
    }

    fn of(&self, window: Window) -> &Grid {
        match window {
            Window::Minute => &self.minute,
            Window::Hour => &self.hour,
            Window::Day => &self.day,
            Window::All => &self.all,
        }
    }

    /// The finest grid that knows everything from a time on.
    fn from(&self, from: Seconds) -> &Grid {
        [&self.minute, &self.hour, &self.day].into_iter().find(|grid| grid.reaches(from)).unwrap_or(&self.all)
    }
}

/// What is known of the past.
#[derive(Debug, Clone, Default)]
pub struct History {
    pipeline: String,
    files: usize,
    /// Pages in files, by cluster.
    committed: ByCluster,
    /// Pages seen to come that are in no file yet.
    ahead: ByCluster,
    event: Times,
    arrival: Times,
    undated: u64,
    domains: Domains,
    gaps: Vec<Gap>,
}

/// Files that a history has not seen, oldest first.
#[derive(Debug)]
pub struct News {
    layout: Layout,
    files: Vec<PublishedFile>,
    committed_at: Seconds,
}

impl News {
    /// Reads each of them, and hands it over.
    ///
    /// # Errors
    /// `E-OUTPUT-READ`: a file cannot be read; those before it were handed over.
    pub fn read(&self, mut take: impl FnMut(Piece)) -> Result<()> {
        self.files.iter().try_for_each(|file| read::piece(&self.layout, file, self.committed_at).map(&mut take))
    }
}

impl History {
    /// All of an output.
    ///
    /// # Errors
    /// The list of files, or a file, cannot be read.
    pub fn of(committed: &Committed) -> Result<Self> {
        let mut history = Self::default();
        history.begin(committed)?.read(|piece| history.take(piece))?;
        Ok(history)
    }

    /// What there is to be read; over an output that was made anew, everything.
    ///
    /// # Errors
    /// The list of files cannot be read.
    pub fn begin(&mut self, committed: &Committed) -> Result<News> {
        let manifest = &committed.manifest;
        let mut files = manifest.all_files(&committed.layout.history())?;
        files.retain(|file| file.family == Family::Pages);
        self.follow(&manifest.pipeline, files.len());
        let stops = Life::read(&committed.layout).map(|life| life.stops).unwrap_or_default();
        self.gaps = stops.into_iter().filter_map(Gap::of).collect();
        let committed_at = manifest.written_at / MICROS;
        Ok(News { layout: committed.layout.clone(), files: files.split_off(self.files), committed_at })
    }

    /// Forgets what is of another pipeline, or of an output that was made anew. Pages that were seen before the first commit are of none yet: they stay.
    fn follow(&mut self, pipeline: &str, n_files: usize) {
        let is_another = !self.pipeline.is_empty() && self.pipeline != pipeline;
        if is_another || n_files < self.files {
            *self = Self::default();
        }
        pipeline.clone_into(&mut self.pipeline);
    }

    /// Takes the next file.
    pub fn take(&mut self, piece: Piece) {
        self.files += 1;
        let mut arrived = ByCluster::new();
        for ((cluster, time), pages) in piece.pages {
            *arrived.entry(cluster).or_default() += pages;
            match time {
                Some(time) => self.event.add(cluster, time, pages),
                None => self.undated += pages,
            }
        }
        for (cluster, pages) in arrived {
            *self.committed.entry(cluster).or_default() += pages;
            let ahead = self.ahead.entry(cluster).or_default();
            let seen = pages.min(*ahead);
            *ahead -= seen;
            if pages > seen {
                self.arrival.add(cluster, piece.arrived, pages - seen);
            }
        }
        piece.domains.iter().for_each(|(domain, clusters)| self.domains.add(domain, clusters));
    }

    /// Sees how many pages clusters of a running pipeline have been given so far.
    pub fn see(&mut self, now: Seconds, delivered: impl Iterator<Item = (ClusterId, u64)>) {
        for (cluster, pages) in delivered {
            let new = pages.saturating_sub(self.delivered(cluster));
            if new > 0 {
                *self.ahead.entry(cluster).or_default() += new;
                self.arrival.add(cluster, now, new);
            }
        }
    }

    fn delivered(&self, cluster: ClusterId) -> u64 {
        [&self.committed, &self.ahead].into_iter().filter_map(|counts| counts.get(&cluster)).sum()
    }

    fn times(&self, clock: Clock) -> &Times {
        match clock {
            Clock::Event => &self.event,
            Clock::Arrival => &self.arrival,
        }
    }

    /// Pages over time. A bucket that begins before `from` or ends behind `to` is whole.
    pub fn timeline(&self, ask: &Ask) -> Timeline {
        let undated = if ask.clock == Clock::Event { self.undated } else { 0 };
        let times = self.times(ask.clock);
        let grid = match ask.from {
            Some(from) => times.from(from),
            None => times.of(ask.window),
        };
        let Some((first, end)) = grid.range() else { return Timeline { undated, ..Timeline::default() } };
        let (from, to) = (ask.from.unwrap_or(first).max(first), ask.to.unwrap_or(end).min(end));
        if from >= to {
            return Timeline { undated, ..Timeline::default() };
        }
        let (from, width, n) = buckets((from, to), grid.width(), ask.buckets);
        let gaps = if ask.clock == Clock::Arrival { self.gaps_in(from, to) } else { Vec::new() };
        let blank = |counts: Vec<u64>| blank(counts, (from, width), &gaps);
        let (sums, _) = grid.sums(from, to);
        let chosen = choose(&sums, ask);
        let mut others = vec![0; n];
        grid.draw(None, (from, width), &mut others);
        for cluster in sums.keys().filter(|cluster| !chosen.contains(cluster)) {
            grid.draw(Some(*cluster), (from, width), &mut others);
        }
        let series = chosen.iter().map(|cluster| {
            let mut counts = vec![0; n];
            grid.draw(Some(*cluster), (from, width), &mut counts);
            (*cluster, blank(counts))
        });
        Timeline {
            bucket_seconds: width,
            times: (0..n).map(|place| from + width * i64::try_from(place).unwrap_or(0)).collect(),
            series: series.collect(),
            n_others: sums.keys().filter(|cluster| !chosen.contains(cluster)).count(),
            others: blank(others),
            undated,
            gaps,
        }
    }

    fn gaps_in(&self, from: Seconds, to: Seconds) -> Vec<Gap> {
        self.gaps.iter().filter(|gap| gap.from < to && gap.to > from).cloned().collect()
    }

    /// Pages of clusters in a window; of all time, exactly what they were given.
    pub fn messages(&self, clock: Clock, window: Window) -> Messages {
        let grid = self.times(clock).of(window);
        let range = grid.range();
        if window == Window::All {
            let mut clusters = self.committed.clone();
            self.ahead.iter().for_each(|(cluster, pages)| *clusters.entry(*cluster).or_default() += pages);
            clusters.retain(|_, pages| *pages > 0);
            return Messages { range, clusters, others: 0 };
        }
        let (clusters, others) = range.map(|(from, to)| grid.sums(from, to)).unwrap_or_default();
        Messages { range, clusters, others }
    }

    /// The largest clusters × the largest domains whose name holds a text.
    pub fn domains(&self, n_domains: usize, n_clusters: usize, text: &str) -> DomainTable {
        let mut all = self.domains.largest(text);
        let mut rest = if text.is_empty() { self.domains.rare().clone() } else { ByCluster::new() };
        let mut totals = rest.clone();
        all.iter().flat_map(|(_, clusters, _)| clusters.iter()).for_each(|(id, n)| *totals.entry(*id).or_default() += n);
        let total = totals.values().sum();
        let mut clusters: Vec<_> = totals.into_iter().collect();
        clusters.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let others = clusters.split_off(n_clusters.min(clusters.len()));
        for (_, of, _) in all.split_off(n_domains.min(all.len())) {
            of.iter().for_each(|(id, n)| *rest.entry(*id).or_default() += n);
        }
        let row = |of: &ByCluster| -> Vec<u64> { clusters.iter().map(|(id, _)| of.get(id).copied().unwrap_or(0)).collect() };
        DomainTable {
            counts: all.iter().map(|(_, of, _)| row(of)).collect(),
            other_clusters: all.iter().map(|(_, of, pages)| pages - row(of).iter().sum::<u64>()).collect(),
            other_domains: row(&rest),
            other: others.iter().filter_map(|(id, _)| rest.get(id)).sum(),
            domains: all.into_iter().map(|(domain, _, pages)| (domain.to_owned(), pages)).collect(),
            clusters,
            total,
        }
    }
}

/// Where buckets begin, their width and number, for a span of time that is not empty.
fn buckets((from, to): (Seconds, Seconds), least: Seconds, most: usize) -> (Seconds, Seconds, usize) {
    let most = Seconds::try_from(most.max(1)).unwrap_or(Seconds::MAX);
    let mut width = width_of(least.max((to - from).div_euclid(most)));
    loop {
        let (first, end) = (from.div_euclid(width), (to - 1).div_euclid(width) + 1);
        if end - first <= most.max(2) {
            return (first * width, width, usize::try_from(end - first).unwrap_or(1));
        }
        width = width_of(width + 1);
    }
}

/// The clusters that are shown by themselves: those asked for, else the largest.
fn choose(sums: &BTreeMap<ClusterId, u64>, ask: &Ask) -> Vec<ClusterId> {
    if !ask.clusters.is_empty() {
        let mut seen = std::collections::BTreeSet::new();
        return ask.clusters.iter().copied().filter(|cluster| seen.insert(*cluster)).collect();
    }
    let mut largest: Vec<_> = sums.iter().collect();
    largest.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    largest.into_iter().take(ask.top).map(|(cluster, _)| *cluster).collect()
}

/// Counts as they are drawn: nothing where a bucket lies within a gap, unless something came all the same.
fn blank(counts: Vec<u64>, (from, width): (Seconds, Seconds), gaps: &[Gap]) -> Vec<Option<u64>> {
    let mut begin = from;
    let drawn = counts.into_iter().map(|pages| {
        let (first, end) = (begin, begin + width);
        begin = end;
        let is_gap = gaps.iter().any(|gap| gap.from <= first && end <= gap.to);
        (pages > 0 || !is_gap).then_some(pages)
    });
    drawn.collect()
}

#[cfg(test)]
mod tests;
