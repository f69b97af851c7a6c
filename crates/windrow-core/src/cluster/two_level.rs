//! `two-level`, the default model: on-line micro-clusters below, lasting clusters above.
//!
//! A page is looked up in the fine level and joins a micro-cluster or opens one. The first K micro-clusters open the clusters; a
//! later one goes to the cluster of the nearest micro-cluster, or with no shared term to the lightest cluster, until it has a second
//! page and a slot is free for it, or until K-Means over the micro-clusters looks at it. Everything that is not a page's own decision - clean-up, budgets, re-clustering - happens before
//! a page, at positions that only the order decides.
//!
//! A page without terms has a micro-cluster of a reserved kind, kept apart so that it never disturbs distances.

mod hand;
mod sample;
mod upkeep;

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::boilerplate::{Boilerplate, site_of};
use super::coarse::Coarse;
use super::micro::{self, Entry, Look, Micros};
use super::slots::Slots;
use super::vocabulary::{TermId, Vocabulary};
use super::{
    Assignment, Candidate, ClusterId, ClusterSummary, Clusterer, Decision, Explanation, MicroId, MicroSummary, ModelSettings,
    ModelSummary, Part, Sampling, Slot, score_of,
};
use crate::featurize::TermKind;
use crate::lineage::{Birth, Edit, EditError, Happening, LineageEvent, Move};
use crate::record::Pages;
use crate::snapshot::{self, SnapshotError};

pub(super) const KIND: &str = "two-level";
/// Version of the snapshot's form, and of the one with what users hold behind it.
const FORMAT: u32 = 1;
const FORMAT_HELD: u32 = 2;

/// The model.
#[derive(Debug)]
pub(super) struct TwoLevel {
    settings: ModelSettings,
    state: State,
    scratch: Scratch,
    /// Terms of the page at hand, and their hashes.
    entries: Vec<Entry>,
    hashes: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    settings: ModelSettings,
    n_pages: u64,
    next_micro: MicroId,
    generation: u64,
    vocabulary: Vocabulary,
    micros: Micros,
    empty: Option<EmptyMicro>,
    slots: Slots,
    boilerplate: Boilerplate,
    /// Whether more than K micro-clusters, or K clusters, have been alive yet; under `auto` whether the first pages are past.
    warm: bool,
    /// Whether terms may have lost their last holder since the vocabulary was compacted.
    holes: bool,
    wait: u64,
    until_recluster: u64,
    /// Micro-clusters that a user placed. In a snapshot behind all the rest, and only if there are any.
    #[serde(skip)]
    held: BTreeSet<MicroId>,
}

/// Memory that learning needs and nobody keeps.
#[derive(Debug, Default)]
struct Scratch {
    look: micro::Scratch,
    coarse: Coarse,
}

/// The micro-cluster of pages without terms.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct EmptyMicro {
    id: MicroId,
    home: Slot,
    n_pages: u64,
}

impl TwoLevel {
    pub(super) fn new(settings: &ModelSettings) -> Self {
        let state = State {
            settings: settings.clone(),
            n_pages: 0,
            next_micro: 0,
            generation: 0,
            vocabulary: Vocabulary::default(),
            micros: Micros::new(),
            empty: None,
            slots: Slots::new(settings.clusters.slots()),
            boilerplate: Boilerplate::default(),
            warm: false,
            holes: false,
            wait: upkeep::FIRST_WAIT,
            until_recluster: 0,
            held: BTreeSet::new(),
        };
        Self { settings: settings.clone(), state, scratch: Scratch::default(), entries: Vec::new(), hashes: Vec::new() }
    }

    fn learn_page(&mut self, pages: &Pages, row: usize, log: &mut Vec<LineageEvent>) -> Decision {
        let most_entries = self.most_entries();
        let state = &mut self.state;
        if state.n_pages > 0 {
            let n_terms = pages.terms.entries(row).len().min(most_entries);
            state.maintain(n_terms, &mut self.scratch, log);
        }
        self.entries.clear();
        self.hashes.clear();
        for entry in pages.terms.entries(row).take(most_entries) {
            let local = pages.terms.term[entry];
            let term = state.vocabulary.intern(&pages.terms, local);
            state.vocabulary.count(term);
            self.entries.push(Entry::new(term, damped(pages.terms.weight[entry])));
            self.hashes.push(pages.terms.hash[local as usize]);
        }
        if let Some(site) = site_of(pages, row) {
            state.boilerplate.learn(site, &self.hashes, &mut self.entries, &state.vocabulary);
        }
        let decision = if self.entries.is_empty() {
            state.learn_empty(log)
        } else {
            state.learn_terms(&self.entries, &mut self.scratch.look, log)
        };
        state.n_pages += 1;
        decision
    }

    fn place_page(&self, pages: &Pages, row: usize, scratch: &mut micro::Scratch) -> Option<Assignment> {
        let state = &self.state;
        let placed = |home: Slot, micro_cluster, novel, score| {
            Some(Assignment { cluster: state.slots.owner(home), slot: home, micro_cluster, novel, score })
        };
        let is_empty = pages.terms.entries(row).is_empty();
        if let Some(empty) = state.empty.as_ref().filter(|_| is_empty) {
            return placed(empty.home, Some(empty.id), false, 0.0);
        }
        let look = if is_empty { NOTHING } else { state.micros.look(&self.known(pages, row).1, scratch) };
        match look.nearest {
            Some(micro) => {
                placed(state.micros.home[micro], Some(state.micros.id[micro]), look.joins().is_none(), look.likeness)
            }
            None => placed(state.lightest()?, None, true, 0.0),
        }
    }

    /// Most terms of one page that count: memories may hold the other half of the budget.
    fn most_entries(&self) -> usize {
        self.settings.max_terms as usize / 2
    }

    /// Terms of a page that the model knows, with their places in the page.
    fn known(&self, pages: &Pages, row: usize) -> (Vec<usize>, Vec<Entry>) {
        let terms = &pages.terms;
        let all = terms.entries(row).take(self.most_entries());
        let hash = |entry: usize| terms.hash[terms.term[entry] as usize];
        let known = all.clone().filter_map(|entry| {
            let term = self.state.vocabulary.find(hash(entry))?;
            Some((entry, Entry::new(term, damped(terms.weight[entry]))))
        });
        let (places, mut entries): (Vec<_>, Vec<_>) = known.unzip();
        if let Some(site) = site_of(pages, row) {
            let complete = entries.len() == all.len();
            let hashes: Vec<u64> = places.iter().map(|&entry| hash(entry)).collect();
            self.state.boilerplate.damp(site, &hashes, &mut entries, complete, &self.state.vocabulary);
        }
        (places, entries)
    }
}

impl State {
    fn learn_terms(&mut self, entries: &[Entry], scratch: &mut micro::Scratch, log: &mut Vec<LineageEvent>) -> Decision {
        let look = self.micros.look(entries, scratch);
        if let Some(micro) = look.joins() {
            if let Some(why) = self.promotes(micro, &look, scratch) {
                let to = self.open_cluster(self.micros.id[micro], why, log);
                self.move_home(micro, to, Move::Opened, log);
            }
            self.micros.join(micro, look.likeness, entries);
            return self.decision(self.micros.id[micro], self.micros.home[micro], false, look.likeness);
        }
        let id = self.next_micro;
        let home = match self.home_for_new(&look) {
            Ok(home) => home,
            Err(why) => self.open_cluster(id, why, log),
        };
        self.micros.open(id, home, entries);
        self.next_micro += 1;
        self.decision(id, home, true, 1.0)
    }

    /// Why a page that joins `micro` makes it a cluster, if it does: it is the second page, no other micro-cluster of its cluster is
    /// near, and a slot is free.
    fn promotes(&self, micro: usize, look: &Look, scratch: &micro::Scratch) -> Option<Birth> {
        if !self.warm || self.is_held(micro) || self.micros.n_pages[micro] != 1 || self.slots.would_open(self.n_pages).is_none()
        {
            return None;
        }
        let home = self.micros.home[micro];
        let other = scratch.best_where(|other| other != micro && self.micros.home[other] == home);
        let near = other.map(|(_, share)| share * look.likeness);
        let is_far = near.is_none_or(|likeness| likeness <= look.threshold);
        // Without a shared term a likeness is 0.
        is_far.then_some(Birth::SecondPage { likeness: near.unwrap_or(0.0), threshold: look.threshold })
    }

    fn learn_empty(&mut self, log: &mut Vec<LineageEvent>) -> Decision {
        if let Some(empty) = &mut self.empty {
            empty.n_pages += 1;
            let (id, home) = (empty.id, empty.home);
            return self.decision(id, home, false, 0.0);
        }
        let id = self.next_micro;
        let home = match self.home_for_new(&NOTHING) {
            Ok(home) => home,
            Err(why) => self.open_cluster(id, why, log),
        };
        self.next_micro += 1;
        self.empty = Some(EmptyMicro { id, home, n_pages: 1 });
        self.decision(id, home, true, 0.0)
    }

    fn decision(&self, micro_cluster: MicroId, slot: Slot, novel: bool, score: f64) -> Decision {
        Decision { cluster: self.slots.owner(slot), slot, micro_cluster, novel, score }
    }

    /// The cluster of a new micro-cluster, or why it is to open one.
    fn home_for_new(&self, look: &Look) -> Result<Slot, Birth> {
        let why = Birth::FreeSlot { likeness: look.likeness, threshold: look.threshold };
        if !self.warm && self.slots.would_open(self.n_pages).is_some() {
            return Err(why);
        }
        let near = look.nearest.map(|micro| self.micros.home[micro]);
        near.or_else(|| self.lightest()).ok_or(why)
    }

    fn lightest(&self) -> Option<Slot> {
        let weights = self.living_weights();
        self.slots
            .living()
            .map(|(slot, _)| slot)
            .min_by(|&a, &b| weights[a as usize].total_cmp(&weights[b as usize]).then(a.cmp(&b)))
    }

    /// Faded weight of the micro-clusters of each slot.
    fn living_weights(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.slots.len()];
        for micro in 0..self.micros.len() {
            weights[self.micros.home[micro] as usize] += self.micros.weight(micro);
        }
        weights
    }

    fn open_cluster(&mut self, micro_cluster: MicroId, why: Birth, log: &mut Vec<LineageEvent>) -> Slot {
        let slot = self.slots.open(self.n_pages).expect("asked for before: a slot is free");
        self.log(slot, Happening::ClusterBorn { slot, micro_cluster, why }, log);
        slot
    }

    fn log(&self, slot: Slot, happening: Happening, log: &mut Vec<LineageEvent>) {
        log.push(LineageEvent { position: self.n_pages, cluster: self.slots.owner(slot), happening });
    }

    fn candidate(&self, pages: &Pages, found: (&[usize], &[Entry]), micro: usize) -> Candidate {
        let (places, entries) = found;
        let terms = &pages.terms;
        let mut parts: Vec<Part> = (self.micros.index().parts(entries, micro).into_iter())
            .map(|(place, share)| {
                let local = terms.term[places[place]] as usize;
                Part { kind: terms.kind[local], term: terms.text.get(local).to_owned(), share }
            })
            .collect();
        parts.sort_by(|a, b| b.share.total_cmp(&a.share));
        let score = score_of(&mut parts);
        Candidate { cluster: self.slots.owner(self.micros.home[micro]), micro_cluster: self.micros.id[micro], score, parts }
    }
}

/// What a term counts that a page has `weight` times: a word said four times does not make a page four times as much about it.
fn damped(weight: f32) -> f32 {
    weight.sqrt()
}

/// What a page without terms finds.
const NOTHING: Look = Look { nearest: None, likeness: 0.0, threshold: 1.0 };

impl Clusterer for TwoLevel {
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
        let (_, entries) = self.known(pages, row);
        let empty = pages.terms.entries(row).is_empty();
        if let Some(empty) = state.empty.as_ref().filter(|_| empty) {
            return Some(state.decision(empty.id, empty.home, false, 0.0));
        }
        let mut scratch = micro::Scratch::default();
        let look = if empty { NOTHING } else { state.micros.look(&entries, &mut scratch) };
        if let Some(micro) = look.joins() {
            if state.promotes(micro, &look, &scratch).is_some() {
                let (slot, cluster) = state.slots.would_open(state.n_pages)?;
                let micro_cluster = state.micros.id[micro];
                return Some(Decision { cluster, slot, micro_cluster, novel: false, score: look.likeness });
            }
            return Some(state.decision(state.micros.id[micro], state.micros.home[micro], false, look.likeness));
        }
        let (slot, cluster) = match state.home_for_new(&look) {
            Ok(home) => (home, state.slots.owner(home)),
            Err(_) => state.slots.would_open(state.n_pages)?,
        };
        let score = if empty { 0.0 } else { 1.0 };
        Some(Decision { cluster, slot, micro_cluster: state.next_micro, novel: true, score })
    }

    fn place(&self, pages: &Pages, rows: Range<usize>, places: &mut Vec<Option<Assignment>>) {
        let mut scratch = micro::Scratch::default();
        for row in rows {
            places.push(self.place_page(pages, row, &mut scratch));
        }
    }

    fn explain(&self, pages: &Pages, row: usize) -> Explanation {
        let state = &self.state;
        let (places, entries) = self.known(pages, row);
        let mut scratch = micro::Scratch::default();
        let look = state.micros.look(&entries, &mut scratch);
        let candidate = |micro| state.candidate(pages, (&places, &entries), micro);
        let runner_up = look.nearest.and_then(|nearest| {
            let home = state.micros.home[nearest];
            scratch.best_where(|micro| state.micros.home[micro] != home).map(|(micro, _)| micro)
        });
        let mut winner = look.nearest.map(candidate);
        if let (Some(winner), Some(micro)) = (&mut winner, look.joins())
            && state.promotes(micro, &look, &scratch).is_some()
            && let Some((_, cluster)) = state.slots.would_open(state.n_pages)
        {
            winner.cluster = cluster;
        }
        Explanation { winner, runner_up: runner_up.map(candidate), novel: look.joins().is_none(), threshold: look.threshold }
    }

    fn generation(&self) -> u64 {
        self.state.generation
    }

    fn summary(&self) -> ModelSummary {
        let state = &self.state;
        let micros = &state.micros;
        let mut weights = vec![0.0; state.slots.len()];
        let mut micro_clusters = Vec::with_capacity(micros.len() + 1);
        for micro in 0..micros.len() {
            weights[micros.home[micro] as usize] += micros.mass(micro);
            micro_clusters.push(MicroSummary {
                micro_cluster: micros.id[micro],
                cluster: state.slots.owner(micros.home[micro]),
                weight: micros.weight(micro),
                n_pages: micros.n_pages[micro],
                held: state.is_held(micro),
            });
        }
        if let Some(empty) = &state.empty {
            weights[empty.home as usize] += empty.n_pages as f64;
            micro_clusters.push(MicroSummary {
                micro_cluster: empty.id,
                cluster: state.slots.owner(empty.home),
                weight: empty.n_pages as f64,
                n_pages: empty.n_pages,
                held: state.held.contains(&empty.id),
            });
            micro_clusters.sort_by_key(|micro| micro.micro_cluster);
        }
        let summary = |(slot, cluster): (Slot, &super::slots::Cluster)| ClusterSummary {
            cluster: cluster.id,
            slot,
            weight: weights[slot as usize] + cluster.memory.pages,
            pinned: cluster.pinned,
        };
        let mut clusters: Vec<_> = state.slots.living().map(summary).collect();
        clusters.sort_by_key(|cluster| cluster.cluster);
        ModelSummary { n_pages: state.n_pages, n_terms: state.vocabulary.len(), micro_clusters, clusters }
    }

    fn micro_terms(&self, micro_clusters: &[MicroId]) -> Vec<Vec<(u32, f64)>> {
        let micros = &self.state.micros;
        let found: Vec<Option<usize>> = micro_clusters.iter().map(|&id| micros.find(id)).collect();
        let shrink = micros.shrink();
        let in_pages = |terms: Vec<(TermId, f32)>| terms.into_iter().map(|(term, tf)| (term, f64::from(tf) * shrink)).collect();
        micros.index().terms_of(&found).into_iter().map(in_pages).collect()
    }

    fn cluster_terms(&self) -> Vec<(ClusterId, Vec<(u32, f64)>)> {
        self.state.cluster_terms()
    }

    fn term(&self, number: u32) -> (TermKind, &str) {
        (self.state.vocabulary.kind(number), self.state.vocabulary.text(number))
    }

    fn edit(&mut self, edit: &Edit, log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        let state = &mut self.state;
        match edit {
            Edit::Pin { cluster, pinned } => state.slots.pin(*cluster, *pinned),
            Edit::Move { micro_clusters, to } => state.place(micro_clusters, *to, log),
            Edit::Release { micro_clusters } => state.release(micro_clusters, log),
            Edit::Merge { cluster, into } => state.take_in(*cluster, *into, log),
            Edit::Split { cluster, micro_clusters, .. } => state.part(*cluster, micro_clusters, &mut self.scratch.coarse, log),
            Edit::Rename { .. } | Edit::Undo { .. } => Ok(()),
        }
    }

    fn sampling(&self) -> Option<&dyn Sampling> {
        Some(self)
    }

    fn sampling_mut(&mut self) -> Option<&mut dyn Sampling> {
        Some(self)
    }

    fn snapshot(&self) -> Vec<u8> {
        if self.state.held.is_empty() {
            return snapshot::of_state(FORMAT, &self.state);
        }
        snapshot::of_state(FORMAT_HELD, &(&self.state, &self.state.held))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let (mut state, held): (State, _) = snapshot::state_and_more(bytes, FORMAT_HELD)?;
        state.held = held;
        self.settings.check_snapshot(&state.settings)?;
        state.vocabulary.rebuild();
        state.micros.rebuild();
        self.state = state;
        Ok(())
    }
}

impl State {
    /// Terms of every cluster: memory and living micro-clusters, each living term's weight scaled to the lasting mass.
    fn cluster_terms(&self) -> Vec<(ClusterId, Vec<(TermId, f64)>)> {
        let mut sums: Vec<Vec<(TermId, f64)>> = vec![Vec::new(); self.slots.len()];
        let lasting: Vec<f64> = (0..self.micros.len())
            .map(|micro| self.micros.mass(micro) / self.micros.weight(micro) * self.micros.shrink())
            .collect();
        for (term, list) in self.micros.index().all() {
            for posting in list {
                let micro = posting.micro as usize;
                let weight = f64::from(posting.tf) * lasting[micro];
                let terms = &mut sums[self.micros.home[micro] as usize];
                match terms.last_mut().filter(|last| last.0 == term) {
                    Some(last) => last.1 += weight,
                    None => terms.push((term, weight)),
                }
            }
        }
        let mut all = Vec::new();
        for (slot, cluster) in self.slots.living() {
            let mut terms = std::mem::take(&mut sums[slot as usize]);
            terms.extend(cluster.memory.terms.iter().map(|&(term, weight)| (term, f64::from(weight))));
            terms.sort_by_key(|&(term, _)| term);
            terms.dedup_by(|next, first| {
                next.0 == first.0 && {
                    first.1 += next.1;
                    true
                }
            });
            all.push((cluster.id, terms));
        }
        all.sort_by_key(|&(id, _)| id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Clusters;
    use crate::testing::{check_clusterer, pages_of};

    #[test]
    fn keeps_the_contract() {
        check_clusterer(|settings| Box::new(TwoLevel::new(settings)));
    }

    /// Clusters alive under `auto` after pages of each of these groups in turn, `each` of them, and pages that share one common word with all.
    fn alive_after(model: &mut TwoLevel, groups: Range<usize>, each: usize) -> usize {
        let n = groups.len();
        let text = |at: usize| match at % (n + 1) {
            lone if lone == n => format!("lone{at}a lone{at}b all"),
            group => {
                let group = groups.start + group;
                (0..5).map(|i| format!("g{group}w{} ", (at * (i + 3) / n) % 9)).chain(["all".to_owned()]).collect()
            }
        };
        let pages = pages_of((0..each * (n + 1)).map(text));
        model.learn(&pages, 0..pages.len(), &mut Vec::new(), &mut Vec::new());
        model.summary().clusters.len()
    }

    #[test]
    fn auto_follows_how_many_groups_there_are() {
        let settings = ModelSettings { clusters: Clusters::Auto, ..ModelSettings::default() };
        let mut model = TwoLevel::new(&settings);
        for (groups, each, most) in [(0..20, 200, 26), (20..80, 200, 90), (80..90, 6_000, 16)] {
            let found = alive_after(&mut model, groups.clone(), each);
            assert!((groups.len()..=most).contains(&found), "{found} clusters for {} groups", groups.len());
        }
        let bytes = model.snapshot();
        let mut other = TwoLevel::new(&settings);
        other.restore(&bytes).expect("what was just written");
        assert_eq!(other.snapshot(), bytes);
        let told = ModelSettings { clusters: 1_000.into(), ..ModelSettings::default() };
        assert!(TwoLevel::new(&told).restore(&bytes).is_err(), "as many slots, but not the same settings");
    }
}
