//! What each cluster had, on each side.

use std::collections::{BTreeMap, HashSet, VecDeque};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array as _, RecordBatch};
use windrow_core::cluster::ClusterId;
use windrow_core::record::Micros;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Drift;
use super::lives::Lives;
use super::period::{Periods, Side};
use crate::alarms::Raised;
use crate::checkpoint::Committed;
use crate::error::Result;
use crate::history::timely;
use crate::lookup::column;
use crate::published::each_batch;
use crate::rejects::text;
use crate::sink::{Family, PublishedFile};

/// Titles kept of a side.
const TITLES: usize = 3;
/// What counts as the score of a page that opened a theme.
const NOVEL: f64 = -1.0;
pub(super) const TIME: &str = "creation_time";
const COLUMNS: [&str; 7] = ["cluster", "label", TIME, "title", "domain", "score", "novel"];

/// The best titles of a side, best first, each once.
#[derive(Debug, Default)]
pub(super) struct Titles(Vec<(f64, String)>);

impl Titles {
    fn see(&mut self, score: f64, title: &str) {
        let is_full = self.0.len() == TITLES;
        if title.trim().is_empty() || is_full && self.0.last().is_some_and(|(worst, _)| score <= *worst) {
            return;
        }
        if let Some(at) = self.0.iter().position(|(_, known)| known == title) {
            if self.0[at].0 >= score {
                return;
            }
            self.0.remove(at);
        }
        let at = self.0.partition_point(|(better, _)| *better >= score);
        self.0.insert(at, (score, title.to_owned()));
        self.0.truncate(TITLES);
    }

    fn take_in(&mut self, others: &Self) {
        others.0.iter().for_each(|(score, title)| self.see(*score, title));
    }

    pub(super) fn into_titles(self) -> Vec<String> {
        self.0.into_iter().map(|(_, title)| title).collect()
    }
}

/// What a cluster had. Two of everything: before, and now.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Pages before both periods.
    pub(super) earlier: u64,
    pub(super) pages: [u64; 2],
    /// The last label.
    pub(super) labels: [Option<String>; 2],
    pub(super) titles: [Titles; 2],
    /// Domains of now that it had not before, with their pages.
    pub(super) new_domains: BTreeMap<String, u64>,
}

impl Seen {
    /// The pages of another cluster count for this one; its labels do not.
    fn take_in(&mut self, other: Self) {
        self.earlier += other.earlier;
        for (side, titles) in other.titles.into_iter().enumerate() {
            self.pages[side] += other.pages[side];
            self.titles[side].take_in(&titles);
        }
        for (domain, pages) in other.new_domains {
            *self.new_domains.entry(domain).or_default() += pages;
        }
    }
}

/// What all clusters had.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) clusters: BTreeMap<ClusterId, Seen>,
    pub(super) without_time: u64,
    /// Hashes of cluster and domain of all pages before now: 8 bytes for each pair.
    known_domains: HashSet<u64>,
    /// What happened to them.
    pub(super) lives: Lives,
    /// Alarms of now.
    pub(super) drifts: Vec<Drift>,
    /// Those whose page did not come yet, oldest first.
    to_come: VecDeque<Raised>,
    /// Pages read, and the last time that one of them had.
    pages: u64,
    time: Option<Micros>,
}

/// The published files of pages, oldest first.
pub(super) fn files(committed: &Committed) -> Result<Vec<PublishedFile>> {
    let mut files = committed.manifest.all_files(&committed.layout.history())?;
    files.retain(|file| file.family == Family::Pages);
    Ok(files)
}

/// Whether a page can have this time that was read by then.
pub(super) fn is_timely(time: Micros, read_by: i64) -> bool {
    timely(time.div_euclid(1_000_000), read_by).is_some()
}

fn pair(domain: &str, cluster: ClusterId) -> u64 {
    xxh3_64_with_seed(domain.as_bytes(), u64::from(cluster))
}

/// Where events are between two pages with these times. What comes before any time comes before everything.
fn at([last, next]: [Option<Micros>; 2], periods: &Periods) -> impl Fn(bool, u64) -> Side {
    move |is_of_page, epoch| periods.side(if is_of_page { next } else { last }, epoch).unwrap_or(Side::Earlier)
}

impl Tally {
    /// One that knows of these events.
    pub(super) fn new(lives: Lives, alarms: Vec<Raised>) -> Self {
        Self { lives, to_come: alarms.into(), ..Self::default() }
    }

    pub(super) fn read(&mut self, committed: &Committed, file: &PublishedFile, periods: &Periods) -> Result<()> {
        each_batch(&committed.layout.out, file, &COLUMNS, &mut |batch, read_by| {
            self.count(batch, (file.epoch, read_by), periods)
        })
        .map(drop)
    }

    fn count(&mut self, batch: &RecordBatch, (epoch, read_by): (u64, i64), periods: &Periods) -> Result<()> {
        let [cluster, label, time, title, domain, score, novel] = COLUMNS.map(|name| column(batch, name));
        let cluster = cluster?.as_primitive::<Int32Type>();
        let time = time?.as_primitive::<TimestampMicrosecondType>();
        let (score, novel) = (score?.as_primitive::<Float64Type>(), novel?.as_boolean());
        let (label, title, domain) = (label?, title?, domain?);
        for row in 0..batch.num_rows() {
            let time = time.is_valid(row).then(|| time.value(row)).filter(|time| is_timely(*time, read_by));
            let last = self.time;
            (self.pages, self.time) = (self.pages + 1, time.or(last));
            self.lives.until(self.pages, &at([last, self.time], periods));
            while let Some(raised) = self.to_come.pop_front_if(|raised| raised.position <= self.pages) {
                self.raise(raised, epoch, periods);
            }
            let Some(side) = periods.side(time, epoch) else {
                self.without_time += 1;
                continue;
            };
            let cluster = cluster.value(row).cast_unsigned();
            let seen = self.clusters.entry(cluster).or_default();
            let domain = text(domain, row);
            let pair = pair(domain, cluster);
            let at = match side {
                Side::Later => continue,
                Side::Earlier => {
                    seen.earlier += 1;
                    self.known_domains.insert(pair);
                    continue;
                }
                Side::Before => {
                    self.known_domains.insert(pair);
                    0
                }
                Side::Now => 1,
            };
            seen.pages[at] += 1;
            // A page that opened a theme is like itself, and was like nothing else: it comes behind all others.
            let score = if novel.value(row) { NOVEL } else { score.value(row) };
            seen.titles[at].see(score, text(title, row));
            if seen.labels[at].as_deref() != Some(text(label, row)) {
                seen.labels[at] = Some(text(label, row).to_owned());
            }
            if side == Side::Now && !domain.is_empty() {
                match seen.new_domains.get_mut(domain) {
                    Some(pages) => *pages += 1,
                    None => _ = seen.new_domains.insert(domain.to_owned(), 1),
                }
            }
        }
        Ok(())
    }

    /// An alarm belongs where its page does; one without a time to where the page with one before it does.
    fn raise(&mut self, raised: Raised, epoch: u64, periods: &Periods) {
        if periods.side(self.time, epoch) == Some(Side::Now) {
            let labels = self.clusters.get(&raised.cluster).map(|seen| &seen.labels);
            let label = labels.and_then(|[before, now]| now.clone().or_else(|| before.clone())).unwrap_or_default();
            self.drifts.push(Drift { raised, label });
        }
    }

    /// To be called behind the last page. Pages of a cluster that a user had taken in count for the one that stands for it, and domains that it
    /// had before are not new: files are not in the order of time.
    pub(super) fn settle(&mut self, periods: &Periods) {
        self.lives.until(u64::MAX, &at([self.time; 2], periods));
        let mut parts: BTreeMap<ClusterId, Vec<ClusterId>> = BTreeMap::new();
        let mut apart = std::mem::take(&mut self.clusters);
        for &cluster in apart.keys() {
            parts.entry(self.lives.counts_for(cluster)).or_default().push(cluster);
        }
        for (whole, parts) in parts {
            let mut seen = apart.remove(&whole).unwrap_or_default();
            parts.iter().filter_map(|part| apart.remove(part)).for_each(|part| seen.take_in(part));
            let is_known = |domain: &str, part: &ClusterId| self.known_domains.contains(&pair(domain, *part));
            seen.new_domains.retain(|domain, _| !parts.iter().any(|part| is_known(domain, part)));
            self.clusters.insert(whole, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_titles_are_those_of_pages_that_joined_by_their_best_page() {
        let mut titles = Titles::default();
        let pages = [(0.2, "a"), (NOVEL, "odd"), (0.5, "b"), (0.9, "a"), (0.4, " "), (0.1, "c"), (NOVEL, "odder"), (0.3, "b")];
        pages.iter().for_each(|&(score, title)| titles.see(score, title));
        assert_eq!(titles.into_titles(), ["a", "b", "c"]);
        let mut few = Titles::default();
        [(NOVEL, "odd"), (0.1, "a"), (NOVEL, "odder")].iter().for_each(|&(score, title)| few.see(score, title));
        assert_eq!(few.into_titles(), ["a", "odd", "odder"]);
    }
}
