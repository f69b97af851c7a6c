//! The book: what is remembered of each cluster beside the model - counts, examples, domains, label, volume over time.
//!
//! Everything here follows from the decisions and the lineage alone, is bounded for each cluster, and lies in the snapshot.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::watch::Copied;
use crate::cluster::{ClusterId, Decision, Slot};
use crate::label::LabelTerm;
use crate::lineage::{Happening, LineageEvent};
use crate::record::{Micros, Pages, RecordId};

/// Examples of each sort kept for a cluster.
pub(super) const EXAMPLES: usize = 5;
/// Characters of an example's title and URL kept.
const EXAMPLE_CHARS: usize = 200;
/// Domains counted for a cluster (space-saving sketch: Metwally et al. 2005).
const DOMAINS: usize = 32;
/// Buckets of a cluster's volume over the order of rows; neighbours are added up when they run out.
const BUCKETS: usize = 64;
/// Rows of a bucket at the start.
const BUCKET_ROWS: u64 = 256;
/// Dead clusters remembered one by one.
const DEAD: usize = 1_000;

/// A page shown as an example.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The page's record id; none only in an empty place.
    pub record_id: Option<RecordId>,
    /// Its title, or its first text where it has none; cut to 200 characters.
    pub title: String,
    /// Its URL, cut to 200 characters.
    pub url: String,
    /// Likeness to its micro-cluster at arrival; aged by 10 % with each re-clustering in `representative` and `boundary`.
    pub score: f64,
    /// Its event time.
    pub creation_time: Option<Micros>,
    /// How many copies of it came, as far as they were counted; in views alone.
    #[serde(skip)]
    pub copied: Option<Copied>,
}

/// Heavy hitters among a cluster's domains: counts are never too small, and too large by at most the smallest one kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Domains {
    hashes: Vec<u64>,
    counts: Vec<u64>,
    names: Vec<String>,
}

impl Domains {
    fn count(&mut self, domain: &str) {
        if domain.is_empty() {
            return;
        }
        let hash = xxh3_64(domain.as_bytes());
        if let Some(at) = self.hashes.iter().position(|h| *h == hash) {
            self.counts[at] += 1;
        } else if self.hashes.len() < DOMAINS {
            self.hashes.push(hash);
            self.counts.push(1);
            self.names.push(domain.to_owned());
        } else if let Some(at) = (0..DOMAINS).min_by_key(|at| self.counts[*at]) {
            self.hashes[at] = hash;
            self.counts[at] += 1;
            self.names[at].clear();
            self.names[at].push_str(domain);
        }
    }

    /// Domains with their counts, most frequent first.
    pub(crate) fn top(&self, n: usize) -> Vec<(String, u64)> {
        let mut top: Vec<_> = self.names.iter().cloned().zip(self.counts.iter().copied()).collect();
        top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        top.truncate(n);
        top
    }
}

/// What is remembered of one living cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) slot: Slot,
    /// Pages given to the cluster at their arrival.
    pub(crate) delivered: u64,
    /// Pages of micro-clusters that faded while they belonged to the cluster.
    pub(crate) faded: u64,
    pub(crate) label: String,
    pub(crate) name: Option<String>,
    pub(crate) pinned: bool,
    pub(crate) terms: Vec<LabelTerm>,
    pub(crate) born: u64,
    pub(crate) latest_at: u64,
    pub(crate) domains: Domains,
    pub(crate) representative: Vec<Example>,
    pub(crate) boundary: Vec<Example>,
    pub(crate) latest: VecDeque<Example>,
    volume: Vec<u32>,
    /// Rows of the batch at hand that are to become `latest`; nothing between batches.
    #[serde(skip)]
    recent: Recent,
}

/// The last rows of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
struct Recent {
    rows: [usize; EXAMPLES],
    /// Rows that came, with those that others took the place of.
    n: usize,
}

impl Recent {
    fn push(&mut self, row: usize) {
        self.rows[self.n % EXAMPLES] = row;
        self.n += 1;
    }

    /// In order.
    fn rows(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { rows, n } = *self;
        (n.saturating_sub(EXAMPLES)..n).map(move |at| rows[at % EXAMPLES])
    }
}

impl Entry {
    /// The user's name, or the label.
    pub(crate) fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.label)
    }

    /// Titles of its examples, the latest being those of the page at hand, of a batch of `pages`: where batches end must change nothing.
    pub(super) fn titles<'a>(&'a self, pages: &'a Pages) -> Vec<&'a str> {
        let recent: Vec<&str> = self.recent.rows().map(|row| title(pages, row)).collect();
        let latest = self.latest.iter().rev().take(EXAMPLES - recent.len());
        let known = self.representative.iter().chain(&self.boundary).chain(latest);
        known.map(|example| example.title.as_str()).chain(recent).collect()
    }
}

/// A cluster that has died, as the book remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadCluster {
    /// Its id.
    pub cluster: ClusterId,
    /// The slot it had.
    pub slot: Slot,
    /// Its last label.
    pub label: String,
    /// Pages given to it at their arrival.
    pub delivered: u64,
    /// Pages of micro-clusters that faded while they belonged to it.
    pub now: u64,
    /// Pages learnt when it died.
    pub died: u64,
}

/// The book of all clusters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) alive: BTreeMap<ClusterId, Entry>,
    pub(crate) dead: VecDeque<DeadCluster>,
    /// Pages of dead clusters that are no longer remembered one by one: delivered, now.
    pub(crate) forgotten: (u64, u64),
    bucket_rows: u64,
}

impl Default for Book {
    fn default() -> Self {
        Self { alive: BTreeMap::new(), dead: VecDeque::new(), forgotten: (0, 0), bucket_rows: BUCKET_ROWS }
    }
}

impl Book {
    /// Takes note of what happened. Gives the cluster that is not remembered any more over it.
    pub(crate) fn note(&mut self, event: &LineageEvent) -> Option<ClusterId> {
        match &event.happening {
            Happening::ClusterBorn { slot, .. } => {
                self.alive.insert(event.cluster, new_entry(*slot, event.position));
            }
            Happening::ClusterDied { .. } => return self.bury(event.cluster, event.position),
            Happening::MicroFaded { n_pages, .. } => {
                if let Some(entry) = self.alive.get_mut(&event.cluster) {
                    entry.faded += n_pages;
                }
            }
            Happening::Relabelled { label, .. } => self.change(event.cluster, |entry| entry.label.clone_from(label)),
            Happening::Renamed { label } => {
                let name = Some(label.clone()).filter(|name| !name.is_empty());
                self.change(event.cluster, |entry| entry.name = name);
            }
            Happening::Pinned { pinned } => self.change(event.cluster, |entry| entry.pinned = *pinned),
            Happening::ClusterMerged { into } => {
                let faded = self.alive.get(&event.cluster).map_or(0, |entry| entry.faded);
                self.hand_over(event.cluster, *into, faded);
            }
            Happening::ClusterSplit { from, n_pages } => self.hand_over(*from, event.cluster, *n_pages),
            Happening::MicroMoved { .. } | Happening::MicroMerged { .. } | Happening::MicroPlaced { .. } => {}
            Happening::MicroReleased { .. } | Happening::ClusterBack { .. } => {}
            Happening::Undone | Happening::Drifted { .. } => {}
        }
        None
    }

    /// Pages of micro-clusters that faded go over with their cluster.
    pub(crate) fn hand_over(&mut self, from: ClusterId, to: ClusterId, n_pages: u64) {
        self.change(from, |entry| entry.faded = entry.faded.saturating_sub(n_pages));
        self.change(to, |entry| entry.faded += n_pages);
    }

    fn change(&mut self, cluster: ClusterId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.alive.get_mut(&cluster) {
            change(entry);
        }
    }

    fn bury(&mut self, cluster: ClusterId, died: u64) -> Option<ClusterId> {
        let entry = self.alive.remove(&cluster)?;
        let label = entry.shown().to_owned();
        let (slot, delivered, now) = (entry.slot, entry.delivered, entry.faded);
        self.dead.push_back(DeadCluster { cluster, slot, label, delivered, now, died });
        let oldest = if self.dead.len() > DEAD { self.dead.pop_front()? } else { return None };
        self.forgotten.0 += oldest.delivered;
        self.forgotten.1 += oldest.now;
        Some(oldest.cluster)
    }

    /// Counts one page; `position` is the number of pages learnt before it. [`Self::settle`] must follow behind the batch's last.
    pub(crate) fn count(&mut self, decision: &Decision, position: u64, pages: &Pages, row: usize) {
        let Some(entry) = self.count_unseen(decision.cluster, position, pages.domain.get(row)) else { return };
        if !decision.novel {
            keep_example(&mut entry.representative, decision, pages, row, |new, old| new > old);
            keep_example(&mut entry.boundary, decision, pages, row, |new, old| new < old);
        }
        entry.recent.push(row);
    }

    /// The same for a page of which nothing but its domain is known: it is no example of anything.
    pub(crate) fn count_unseen(&mut self, cluster: ClusterId, position: u64, domain: &str) -> Option<&mut Entry> {
        while position >= self.bucket_rows * BUCKETS as u64 {
            self.halve();
        }
        let bucket = (position / self.bucket_rows) as usize;
        let entry = self.alive.get_mut(&cluster)?;
        entry.delivered += 1;
        entry.latest_at = position;
        entry.domains.count(domain);
        entry.volume.resize(entry.volume.len().max(bucket + 1), 0);
        entry.volume[bucket] += 1;
        Some(entry)
    }

    /// Takes the texts of the latest pages out of a batch: of the few that are still the latest at its end, for the texts of all the
    /// others would be fetched for nothing.
    pub(crate) fn settle(&mut self, decisions: &[Decision], pages: &Pages) {
        for entry in self.alive.values_mut() {
            for row in std::mem::take(&mut entry.recent).rows() {
                let oldest = if entry.latest.len() < EXAMPLES { None } else { entry.latest.pop_front() };
                let mut latest = oldest.unwrap_or_default();
                fill(&mut latest, &decisions[row], pages, row);
                entry.latest.push_back(latest);
            }
        }
    }

    fn halve(&mut self) {
        self.bucket_rows *= 2;
        for entry in self.alive.values_mut() {
            entry.volume = entry.volume.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
    }

    /// Lets the scores of the examples fade, so that newer ones can take their place.
    pub(crate) fn age_examples(&mut self) {
        for entry in self.alive.values_mut() {
            entry.representative.iter_mut().for_each(|example| example.score *= 0.9);
            entry.boundary.iter_mut().for_each(|example| example.score = 1.0 - 0.9 * (1.0 - example.score));
        }
    }

    /// Pages of each bucket of the order, oldest first, and the rows of a bucket.
    pub(crate) fn volume(&self, entry: &Entry, position: u64) -> (Vec<u32>, u64) {
        let n = usize::try_from(position.div_ceil(self.bucket_rows)).unwrap_or(BUCKETS).min(BUCKETS);
        let mut volume = entry.volume.clone();
        volume.resize(n.max(volume.len()), 0);
        (volume, self.bucket_rows)
    }
}

fn new_entry(slot: Slot, born: u64) -> Entry {
    Entry {
        slot,
        delivered: 0,
        faded: 0,
        label: String::new(),
        name: None,
        pinned: false,
        terms: Vec::new(),
        born,
        latest_at: born,
        domains: Domains::default(),
        representative: Vec::new(),
        boundary: Vec::new(),
        latest: VecDeque::new(),
        volume: Vec::new(),
        recent: Recent::default(),
    }
}

/// Overwrites `example` with a page, reusing its memory.
pub(super) fn fill(example: &mut Example, decision: &Decision, pages: &Pages, row: usize) {
    example.record_id = Some(pages.origin[row]);
    example.creation_time = pages.creation_time[row];
    example.score = decision.score;
    example.title.clear();
    example.title.push_str(title(pages, row));
    example.url.clear();
    example.url.push_str(head(pages.url.get(row)));
}

/// What an example is called.
pub(super) fn title(pages: &Pages, row: usize) -> &str {
    // One after the other: most pages have a title, and the rest of them stays out of the cache.
    let texts = [&pages.title, &pages.description, &pages.keywords];
    head(texts.iter().map(|column| column.get(row)).find(|text| !text.trim().is_empty()).unwrap_or(""))
}

fn head(text: &str) -> &str {
    if text.len() <= EXAMPLE_CHARS {
        text
    } else {
        text.char_indices().nth(EXAMPLE_CHARS).map_or(text, |(end, _)| &text[..end])
    }
}

/// Keeps the examples whose score is `better`, one for each title.
fn keep_example(kept: &mut Vec<Example>, decision: &Decision, pages: &Pages, row: usize, better: impl Fn(f64, f64) -> bool) {
    let full = kept.len() == EXAMPLES;
    let worst = (0..kept.len()).reduce(|a, b| if better(kept[a].score, kept[b].score) { b } else { a });
    let wanted = !full || worst.is_some_and(|at| better(decision.score, kept[at].score));
    if !wanted || kept.iter().any(|example| example.title == title(pages, row)) {
        return;
    }
    let at = worst.filter(|_| full).unwrap_or_else(|| {
        kept.push(Example::default());
        kept.len() - 1
    });
    fill(&mut kept[at], decision, pages, row);
}
