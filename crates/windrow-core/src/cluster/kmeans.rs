//! `kmeans`: streaming K-Means on pages. Each page goes to the nearest of at most K centres as it comes; after each block of pages the
//! centres move to the faded means of their pages.
//!
//! Two rules, in one frame (`kmeans/rule.rs` has the equations):
//!
//! - `spherical`: nearest by cosine (Dhillon & Modha, "Concept decompositions for large sparse text data", 2001; on-line: Zhong, 2005).
//!   A page that no centre explains moves none; when the block ends the farthest of them, with those like them, become centres, several
//!   a block. Light clusters die when others wait for their slots.
//! - `spark`: as Spark's MLlib has it (`StreamingKMeans`): nearest by Euclidean distance, every page moves its centre, and once a block a
//!   cluster that is dying takes half of the heaviest. The first K pages that differ are the first centres, of weight 0.
//!
//! Vectors are √tf x idf of unit length, with idf = 1 + ln(N / df) over pages. Each cluster is its own only micro-cluster: it is born with
//! the first page that goes to its centre, and that page is the novel one. A new centre to which no page has come yet has no id.
//!
//! Costs: a page, the postings of its terms (at most K a term); a block, the components of all centres once, which `max_terms`
//! bounds; births, the square of at most 256 pages.

mod block;
mod centres;
mod rule;
mod upkeep;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use self::block::Block;
use self::centres::{Centre, Centres, Vector};
use self::rule::Mean;
use super::boilerplate::{Boilerplate, site_of};
use super::micro::Entry;
use super::model_time::ModelTime;
use super::slots::Slots;
use super::vocabulary::{TermId, Vocabulary};
use super::{
    Assignment, Candidate, ClusterId, ClusterSummary, Clusterer, Decision, Explanation, HalfLife, KMeansRule, MicroId,
    MicroSummary, ModelSettings, ModelSummary, Part, Slot, score_of,
};
use crate::featurize::TermKind;
use crate::lineage::{Birth, Edit, EditError, Happening, LineageEvent};
use crate::record::{Micros, Pages};
use crate::snapshot::{self, SnapshotError};

pub(super) const KIND: &str = "kmeans";
/// Version of the snapshot's form.
const FORMAT: u32 = 1;
/// Least cosine by which a centre explains a page.
const EXPLAINED: f64 = 0.1;
/// While there are fewer than K centres by Spark's rule: pages at least so like a centre open none.
const SAME: f64 = 0.99;
/// A term that the model does not know.
const UNKNOWN: TermId = TermId::MAX;

/// The model.
#[derive(Debug)]
pub(super) struct KMeans {
    state: State,
    /// The page at hand: its terms, their hashes, and what becomes of them.
    entries: Vec<Entry>,
    hashes: Vec<u64>,
    page: Vector,
    likenesses: Vec<f64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    settings: ModelSettings,
    n_pages: u64,
    next_micro: MicroId,
    generation: u64,
    vocabulary: Vocabulary,
    centres: Centres,
    block: Block,
    slots: Slots,
    boilerplate: Boilerplate,
    time: ModelTime,
    /// Model time when the last block ended.
    block_time: Option<Micros>,
    /// Whether K clusters have been alive yet.
    warm: bool,
    /// Where pages without terms go.
    empty: Option<MicroId>,
    /// Pages until labels follow again, and the wait after that.
    until_labels: u64,
    wait: u64,
    /// Terms alive when the vocabulary was compacted last.
    held: u64,
}

/// Where a page goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// To the cluster of the centre at this place, which moves by it.
    Join(usize),
    /// To the cluster of the centre at this place, which does not explain it.
    Lodge(usize),
    /// It opens a cluster: of the waiting centre at this place, or with a centre of its own.
    Open(Option<usize>, Birth),
}

/// What a page finds.
#[derive(Debug, Clone, Copy)]
struct Look {
    way: Way,
    /// The nearest centre of a cluster.
    nearest: Option<usize>,
    score: f64,
    /// Likeness from which on the page would have joined it.
    threshold: f64,
}

impl KMeans {
    pub(super) fn new(settings: &ModelSettings) -> Self {
        let state = State {
            settings: settings.clone(),
            n_pages: 0,
            next_micro: 0,
            generation: 0,
            vocabulary: Vocabulary::default(),
            centres: Centres::default(),
            block: Block::default(),
            slots: Slots::new(settings.clusters.slots()),
            boilerplate: Boilerplate::default(),
            time: ModelTime::default(),
            block_time: None,
            warm: false,
            empty: None,
            until_labels: 0,
            wait: upkeep::FIRST_WAIT,
            held: 0,
        };
        let (page, likenesses) = (Vector::default(), Vec::new());
        Self { state, entries: Vec::new(), hashes: Vec::new(), page, likenesses }
    }

    fn learn_page(&mut self, pages: &Pages, row: usize, log: &mut Vec<LineageEvent>) -> Decision {
        let state = &mut self.state;
        let entries = pages.terms.entries(row).take(state.share_of_terms());
        state.maintain(entries.len(), log);
        self.entries.clear();
        self.hashes.clear();
        for entry in entries {
            let local = pages.terms.term[entry];
            let term = state.vocabulary.intern(&pages.terms, local);
            state.vocabulary.count(term);
            self.entries.push(Entry::new(term, pages.terms.weight[entry].sqrt()));
            self.hashes.push(pages.terms.hash[local as usize]);
        }
        if let Some(site) = site_of(pages, row) {
            state.boilerplate.learn(site, &self.hashes, &mut self.entries, &state.vocabulary);
        }
        if let (HalfLife::Time(_), Some(time)) = (state.settings.kmeans.half_life, pages.creation_time[row]) {
            state.time.see(time);
            state.block_time = state.block_time.or(state.time.now());
        }
        let n_pages = state.n_pages + 1;
        let counted = self.entries.iter().map(|entry| (*entry, state.vocabulary.pages(entry.term)));
        fill(&mut self.page, counted, n_pages);
        let look = state.look(&self.page, &mut self.likenesses);
        let decision = state.learn(&self.page, &look, log);
        state.n_pages += 1;
        decision
    }

    /// A page as `learn` would see it.
    fn page(&self, pages: &Pages, row: usize) -> Vector {
        let (state, terms) = (&self.state, &pages.terms);
        let all = terms.entries(row).take(state.share_of_terms());
        let hash = |entry: usize| terms.hash[terms.term[entry] as usize];
        let find = |entry: usize| (entry, state.vocabulary.find(hash(entry)));
        let found: Vec<(usize, Option<TermId>)> = all.map(find).collect();
        let known =
            found.iter().filter_map(|&(entry, term)| Some((hash(entry), Entry::new(term?, terms.weight[entry].sqrt()))));
        let (hashes, mut known): (Vec<_>, Vec<_>) = known.unzip();
        if let Some(site) = site_of(pages, row) {
            let is_complete = known.len() == found.len();
            state.boilerplate.damp(site, &hashes, &mut known, is_complete, &state.vocabulary);
        }
        let mut known = known.into_iter();
        let counted = found.iter().filter_map(|&(entry, term)| match term {
            Some(term) => known.next().map(|entry| (entry, state.vocabulary.pages(term).saturating_add(1))),
            None => Some((Entry::new(UNKNOWN, terms.weight[entry].sqrt()), 1)),
        });
        let mut page = Vector::default();
        fill(&mut page, counted, state.n_pages + 1);
        page
    }
}

/// Makes the vector of a page from its terms, each with the number of pages that hold it, this one included.
fn fill(page: &mut Vector, terms: impl Iterator<Item = (Entry, u32)>, n_pages: u64) {
    page.clear();
    let mut square = 0.0;
    let n_pages = n_pages as f64;
    for (entry, pages) in terms {
        let idf = 1.0 + libm::log(n_pages / f64::from(pages));
        let length = f64::from(entry.length) * idf;
        square += length * length;
        page.entries.push((entry.term, f64::from(entry.weight) * idf));
    }
    page.scale(if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 });
}

impl State {
    /// A quarter of the terms that may be alive: as much the centres may hold, and those that wait, and the block, and a page.
    fn share_of_terms(&self) -> usize {
        self.settings.max_terms as usize / 4
    }

    fn look(&self, page: &Vector, likenesses: &mut Vec<f64>) -> Look {
        let rule = self.settings.kmeans.rule;
        self.centres.likenesses(page, rule, likenesses);
        let nearest_of = |lives: bool| {
            let places = (0..self.centres.all.len()).filter(|&place| self.centres.all[place].slot.is_some() == lives);
            let nearer = |best: usize, next: usize| if likenesses[next] > likenesses[best] { next } else { best };
            places.reduce(nearer).map(|place| (place, likenesses[place]))
        };
        let (living, waiting) = (nearest_of(true), nearest_of(false));
        let may_open = self.slots.would_open(self.n_pages).is_some();
        let mut look = match rule {
            KMeansRule::Spherical => self.look_around(page, living, waiting, may_open),
            KMeansRule::Spark => self.look_like_spark(living, waiting),
        };
        look.score = if page.entries.is_empty() { 0.0 } else { look.score.clamp(0.0, 1.0) };
        look
    }

    /// By cosine.
    fn look_around(&self, page: &Vector, living: Option<(usize, f64)>, waiting: Option<(usize, f64)>, may_open: bool) -> Look {
        let (nearest, likeness) = living.map_or((None, 0.0), |(place, likeness)| (Some(place), likeness));
        let look = |way, score, threshold| Look { way, nearest, score, threshold };
        if let Some((place, score)) = waiting
            && score >= EXPLAINED
            && score > likeness
            && may_open
        {
            let why = Birth::Waiting { likeness: score, threshold: likeness.max(EXPLAINED) };
            return look(Way::Open(Some(place), why), score, score);
        }
        let free_slot = Birth::FreeSlot { likeness, threshold: EXPLAINED };
        // A centre without terms has nothing to lose by what it does not explain: one for pages without terms, or the only one.
        let lodge = |place: usize| {
            let is_bare = self.centres.all[place].mean.terms.is_empty();
            let moves = is_bare && (page.entries.is_empty() || self.slots.len() == 1);
            if moves { Way::Join(place) } else { Way::Lodge(place) }
        };
        let empty = self.empty.filter(|_| page.entries.is_empty()).and_then(|micro| self.centres.find(micro));
        if let Some(place) = empty {
            return look(lodge(place), 0.0, EXPLAINED);
        }
        match nearest {
            Some(place) if likeness >= EXPLAINED => look(Way::Join(place), likeness, EXPLAINED),
            Some(_) if may_open && (!self.warm || page.entries.is_empty()) => look(Way::Open(None, free_slot), 1.0, EXPLAINED),
            Some(place) => {
                let place = if likeness > 0.0 { place } else { self.centres.lightest().unwrap_or(place) };
                look(lodge(place), likeness, EXPLAINED)
            }
            None => look(Way::Open(None, free_slot), 1.0, EXPLAINED),
        }
    }

    /// By Euclidean distance.
    fn look_like_spark(&self, living: Option<(usize, f64)>, waiting: Option<(usize, f64)>) -> Look {
        let nearest = living.map(|(place, _)| place);
        let look = |way, score, threshold| Look { way, nearest, score, threshold };
        // Of equally near ones the first, as in Spark.
        let nearer = |a: (usize, f64), b: (usize, f64)| {
            if b.1 > a.1 || (b.1 == a.1 && b.0 < a.0) { b } else { a }
        };
        let best = living.into_iter().chain(waiting).reduce(nearer);
        match best.filter(|&(_, score)| score >= SAME || self.centres.all.len() >= self.slots.len()) {
            None => {
                let likeness = best.map_or(0.0, |(_, score)| score);
                look(Way::Open(None, Birth::FreeSlot { likeness, threshold: SAME }), 1.0, SAME)
            }
            Some((place, score)) if self.centres.all[place].slot.is_none() => {
                let why = Birth::Waiting { likeness: score, threshold: living.map_or(0.0, |(_, likeness)| likeness) };
                look(Way::Open(Some(place), why), score, score)
            }
            Some((place, score)) => look(Way::Join(place), score, 0.0),
        }
    }

    fn learn(&mut self, page: &Vector, look: &Look, log: &mut Vec<LineageEvent>) -> Decision {
        let (place, novel) = match look.way {
            Way::Join(place) | Way::Lodge(place) => (place, false),
            Way::Open(waiting, why) => (self.open_cluster(waiting, page, why, log), true),
        };
        if page.entries.is_empty() {
            self.empty = Some(self.centres.all[place].micro);
        }
        self.block.n_pages += 1;
        let centre = &mut self.centres.all[place];
        centre.n_pages += 1;
        if matches!(look.way, Way::Lodge(_)) {
            self.block.push_stranger(look.score, &page.entries);
        } else {
            centre.pending += 1;
            self.block.push_member(place, &page.entries);
        }
        let slot = centre.slot.expect("a page goes to a living cluster");
        let (cluster, micro_cluster) = (self.slots.owner(slot), centre.micro);
        Decision { cluster, slot, micro_cluster, novel, score: look.score }
    }

    /// Opens a cluster around a waiting centre, or around the page. Gives the place of its centre.
    fn open_cluster(&mut self, waiting: Option<usize>, page: &Vector, why: Birth, log: &mut Vec<LineageEvent>) -> usize {
        let slot = self.slots.open(self.n_pages).expect("asked for before: a slot is free");
        let micro = self.next_micro;
        self.next_micro += 1;
        let place = waiting.unwrap_or_else(|| {
            let mut terms = page.entries.clone();
            terms.sort_unstable_by_key(|&(term, _)| term);
            self.centres.open(Centre::unborn(Mean { terms, ..Mean::default() }))
        });
        let centre = &mut self.centres.all[place];
        (centre.slot, centre.micro) = (Some(slot), micro);
        self.warm |= self.centres.living().count() == self.slots.len();
        self.log(slot, Happening::ClusterBorn { slot, micro_cluster: micro, why }, log);
        place
    }

    fn log(&self, slot: Slot, happening: Happening, log: &mut Vec<LineageEvent>) {
        log.push(LineageEvent { position: self.n_pages, cluster: self.slots.owner(slot), happening });
    }

    fn candidate(&self, pages: &Pages, row: usize, page: &Vector, place: usize) -> Option<Candidate> {
        let centre = &self.centres.all[place];
        let terms = &pages.terms;
        let shares = self.centres.shares(page, place, self.settings.kmeans.rule);
        let mut parts: Vec<Part> = (terms.entries(row).zip(shares))
            .filter(|&(_, share)| share != 0.0)
            .map(|(entry, share)| {
                let local = terms.term[entry] as usize;
                Part { kind: terms.kind[local], term: terms.text.get(local).to_owned(), share }
            })
            .collect();
        parts.sort_by(|a, b| b.share.total_cmp(&a.share));
        let score = score_of(&mut parts);
        Some(Candidate { cluster: self.slots.owner(centre.slot?), micro_cluster: centre.micro, score, parts })
    }

    /// Components of a centre as weights in pages: without what idf made of them.
    fn in_pages(&self, centre: &Centre) -> Vec<(TermId, f64)> {
        let n_pages = self.n_pages.max(1) as f64;
        let weight = |&(term, value): &(TermId, f64)| {
            let idf = 1.0 + libm::log(n_pages / f64::from(self.vocabulary.pages(term).max(1)));
            (term, (value + centre.mean.shift).max(0.0) * centre.weight() / idf)
        };
        centre.mean.terms.iter().map(weight).collect()
    }
}

impl Clusterer for KMeans {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn learn(&mut self, pages: &Pages, rows: Range<usize>, decisions: &mut Vec<Decision>, log: &mut Vec<LineageEvent>) {
        if rows.start == 0 {
            self.state.vocabulary.meet(&pages.terms);
        }
        for row in rows {
            let decision = self.learn_page(pages, row, log);
            decisions.push(decision);
        }
    }

    fn assign(&self, pages: &Pages, row: usize) -> Option<Decision> {
        let state = &self.state;
        let look = state.look(&self.page(pages, row), &mut Vec::new());
        match look.way {
            Way::Join(place) | Way::Lodge(place) => {
                let centre = &state.centres.all[place];
                let slot = centre.slot?;
                let (cluster, micro_cluster) = (state.slots.owner(slot), centre.micro);
                Some(Decision { cluster, slot, micro_cluster, novel: false, score: look.score })
            }
            Way::Open(..) => {
                let (slot, cluster) = state.slots.would_open(state.n_pages)?;
                Some(Decision { cluster, slot, micro_cluster: state.next_micro, novel: true, score: look.score })
            }
        }
    }

    fn place(&self, pages: &Pages, rows: Range<usize>, places: &mut Vec<Option<Assignment>>) {
        let (state, mut likenesses) = (&self.state, Vec::new());
        for row in rows {
            let look = state.look(&self.page(pages, row), &mut likenesses);
            let (place, novel) = match look.way {
                Way::Join(place) | Way::Lodge(place) => (Some(place), false),
                Way::Open(..) => (look.nearest, true),
            };
            places.push(place.and_then(|place| {
                let centre = &state.centres.all[place];
                let (slot, micro_cluster) = (centre.slot?, Some(centre.micro));
                let score = if novel { likenesses[place].clamp(0.0, 1.0) } else { look.score };
                Some(Assignment { cluster: state.slots.owner(slot), slot, micro_cluster, novel, score })
            }));
        }
    }

    fn explain(&self, pages: &Pages, row: usize) -> Explanation {
        let state = &self.state;
        let page = self.page(pages, row);
        let mut likenesses = Vec::new();
        let look = state.look(&page, &mut likenesses);
        let candidate = |place| state.candidate(pages, row, &page, place);
        let (place, novel) = match look.way {
            Way::Join(place) | Way::Lodge(place) => (Some(place), false),
            Way::Open(..) => (look.nearest, true),
        };
        let place = place.filter(|_| !page.entries.is_empty());
        let others = state.centres.living().map(|(other, ..)| other).filter(|&other| Some(other) != place);
        let runner_up = others.reduce(|best, next| if likenesses[next] > likenesses[best] { next } else { best });
        let runner_up = runner_up.filter(|&other| place.is_some() && (likenesses[other] > 0.0));
        Explanation {
            winner: place.and_then(candidate),
            runner_up: runner_up.and_then(candidate),
            novel,
            threshold: look.threshold,
        }
    }

    fn generation(&self) -> u64 {
        self.state.generation
    }

    fn summary(&self) -> ModelSummary {
        let state = &self.state;
        let (mut micro_clusters, mut clusters) = (Vec::new(), Vec::new());
        for (_, slot, centre) in state.centres.living() {
            let (cluster, weight) = (state.slots.owner(slot), centre.weight());
            let n_pages = centre.n_pages;
            micro_clusters.push(MicroSummary { micro_cluster: centre.micro, cluster, weight, n_pages, held: false });
            let pinned = state.slots.get(slot).is_some_and(|cluster| cluster.pinned);
            clusters.push(ClusterSummary { cluster, slot, weight, pinned });
        }
        micro_clusters.sort_by_key(|micro| micro.micro_cluster);
        clusters.sort_by_key(|cluster| cluster.cluster);
        ModelSummary { n_pages: state.n_pages, n_terms: state.vocabulary.len(), micro_clusters, clusters }
    }

    fn micro_terms(&self, micro_clusters: &[MicroId]) -> Vec<Vec<(u32, f64)>> {
        let centres = &self.state.centres;
        let terms = |&micro: &MicroId| centres.find(micro).map_or(Vec::new(), |at| self.state.in_pages(&centres.all[at]));
        micro_clusters.iter().map(terms).collect()
    }

    fn cluster_terms(&self) -> Vec<(ClusterId, Vec<(u32, f64)>)> {
        let state = &self.state;
        let terms = |(_, slot, centre): (usize, Slot, &Centre)| (state.slots.owner(slot), state.in_pages(centre));
        let mut all: Vec<_> = state.centres.living().map(terms).collect();
        all.sort_by_key(|&(cluster, _)| cluster);
        all
    }

    fn term(&self, number: u32) -> (TermKind, &str) {
        (self.state.vocabulary.kind(number), self.state.vocabulary.text(number))
    }

    fn edit(&mut self, edit: &Edit, _log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        match edit {
            Edit::Pin { cluster, pinned } => self.state.slots.pin(*cluster, *pinned),
            Edit::Rename { .. } | Edit::Undo { .. } => Ok(()),
            Edit::Move { .. } | Edit::Release { .. } | Edit::Merge { .. } | Edit::Split { .. } => {
                Err(EditError::NotByModel(KIND))
            }
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        snapshot::of_state(FORMAT, &self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut state: State = snapshot::state_of(bytes, FORMAT)?;
        self.state.settings.check_snapshot(&state.settings)?;
        state.vocabulary.rebuild();
        state.centres.rebuild(state.vocabulary.len());
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
