//! `original`: the algorithm of the scripts that Windrow replaces, for comparison. For each block of pages: main domain → tokens →
//! hashed frequencies → IDF → unit deviation → K-Means, all fitted anew on the block, which then decides its own pages.
//!
//! ```text
//! block ─ features   the vectors, as Spark's transformers make them
//!       ├ lloyd      K-Means, as Spark has it
//!       ├ hungarian  which new centre is which old one
//!       └ lives      the lasting clusters
//! ```
//!
//! A fit numbers its centres as it likes. Here clusters last: each page of a block belongs to the cluster whose last pages were most like
//! it, and new centres take the clusters with which they share most pages in all (the Hungarian method). A centre that shares none opens
//! a cluster; when no slot is free, the cluster that has had no pages for longest ends for it. Each cluster is its own only micro-cluster.
//!
//! A page is mostly one token, so there are about as many distinct vectors as features: with as many clusters as features every
//! feature has its own, the cost is 0, and K-Means is a hash. That is how the original is.
//!
//! Costs: a page, a look into a table by its main domain; a block, some K-Means fits on its distinct vectors, and K^3 steps.

pub mod features;
mod hungarian;
mod lives;
pub mod lloyd;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use self::features::{Point, Points, Scaling, Sparse, frequencies, tokens};
use self::lives::{Lives, Names};
use self::lloyd::{Fitted, Weighted, square_distance};
use super::slots::Slots;
use super::{
    Assignment, Candidate, ClusterId, ClusterSummary, Clusterer, Decision, Explanation, MicroId, MicroSummary, ModelSettings,
    ModelSummary, Part, Slot,
};
use crate::featurize::{TermKind, main_domain};
use crate::lineage::{Edit, EditError, LineageEvent};
use crate::record::Pages;
use crate::snapshot::{self, SnapshotError};

pub(super) const KIND: &str = "original";
/// Version of the snapshot's form.
const FORMAT: u32 = 1;

/// The vectors of some pages, fitted, and their centres.
#[derive(Debug)]
pub struct Fit {
    /// The distinct vectors.
    pub points: Points,
    /// What they are scaled by.
    pub scaling: Scaling,
    /// The centres.
    pub centres: Fitted,
}

impl Fit {
    /// Of the pages with these main domains.
    pub fn of<S: AsRef<str>>(domains: impl IntoIterator<Item = S>, n_features: u32, k: usize, seed: u64) -> Self {
        let points = Points::of(domains, n_features);
        let scaling = Scaling::of(&points.points, n_features);
        let scaled: Vec<Sparse> = points.points.iter().map(|point| scaling.scale(&point.frequencies)).collect();
        let weights: Vec<f64> = points.points.iter().map(|point| point.n_pages as f64).collect();
        let data = Weighted { points: &scaled, weights: &weights, n_features: n_features as usize };
        Self { centres: lloyd::fit(data, k, seed), points, scaling }
    }
}

/// The model.
#[derive(Debug)]
pub(super) struct Original(State);

#[derive(Debug, Serialize, Deserialize)]
struct State {
    settings: ModelSettings,
    n_pages: u64,
    generation: u64,
    slots: Slots,
    lives: Lives,
    names: Names,
    fitted: Option<LastFit>,
}

/// What is kept of the fit of the last block.
#[derive(Debug, Serialize, Deserialize)]
struct LastFit {
    scaling: Scaling,
    centres: Vec<Vec<f64>>,
    /// The slot of each centre's cluster.
    slots: Vec<Slot>,
}

/// A page as the last fit sees it.
struct Look<'a> {
    tokens: Vec<String>,
    scaled: Sparse,
    fit: &'a LastFit,
}

impl Original {
    pub(super) fn new(settings: &ModelSettings) -> Self {
        Self(State {
            settings: settings.clone(),
            n_pages: 0,
            generation: 0,
            slots: Slots::new(settings.clusters.slots()),
            lives: Lives::default(),
            names: Names::default(),
            fitted: None,
        })
    }

    fn look(&self, pages: &Pages, row: usize) -> Option<Look<'_>> {
        let fit = self.0.fitted.as_ref()?;
        let tokens = tokens(&main_domain(pages.url.get(row)));
        let scaled = fit.scaling.scale(&frequencies(&tokens, self.0.settings.original.features));
        Some(Look { tokens, scaled, fit })
    }
}

/// How near a vector is to a centre at this squared distance: 1 at the centre, a half as far away as from the origin; 0 for no vector.
fn likeness(scaled: &Sparse, square: f64) -> f64 {
    let length: f64 = scaled.iter().map(|(_, value)| value * value).sum();
    if length > 0.0 { length / (length + square) } else { 0.0 }
}

impl Look<'_> {
    /// Centres with their likeness to the page, nearest first, of equals the first.
    fn by_likeness(&self) -> Vec<(usize, f64)> {
        let distance = |centre: &Vec<f64>| square_distance(&self.scaled, centre);
        let mut all: Vec<(usize, f64)> = self.fit.centres.iter().map(distance).enumerate().collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1));
        all.iter_mut().for_each(|(_, distance)| *distance = likeness(&self.scaled, *distance));
        all
    }

    /// Shares of the tokens in a likeness: by the square of what their feature has in the vector. Tokens of one feature share evenly, for
    /// nothing tells them apart.
    fn parts(&self, score: f64, n_features: u32) -> Vec<Part> {
        let square: f64 = self.scaled.iter().map(|(_, value)| value * value).sum();
        let mut parts: Vec<Part> = Vec::new();
        for token in self.tokens.iter().filter(|token| !token.is_empty()) {
            let feature = features::feature(token, n_features);
            let same = self.tokens.iter().filter(|other| features::feature(other, n_features) == feature && !other.is_empty());
            let value = self.scaled.iter().find(|(other, _)| *other == feature).map_or(0.0, |(_, value)| *value);
            let share = score * value * value / square / same.count() as f64;
            match parts.iter_mut().find(|part| part.term == *token) {
                Some(part) => part.share += share,
                None => parts.push(Part { kind: TermKind::Domain, term: token.clone(), share }),
            }
        }
        parts.sort_by(|a, b| b.share.total_cmp(&a.share));
        parts
    }
}

impl State {
    /// For each centre and each living cluster the pages whose vectors are most like the last ones of that cluster.
    fn shared(&self, fit: &Fit) -> Vec<Vec<f64>> {
        let mut shared = vec![vec![0.0; self.lives.all.len()]; fit.centres.centres.len()];
        for (Point { frequencies, n_pages }, centre) in fit.points.points.iter().zip(&fit.centres.nearest) {
            let life = self.lives.most_like(frequencies);
            life.into_iter().for_each(|life| shared[*centre][life] += *n_pages as f64);
        }
        shared
    }

    fn learn_block(&mut self, pages: &Pages, rows: Range<usize>, decisions: &mut Vec<Decision>, log: &mut Vec<LineageEvent>) {
        let settings = &self.settings;
        let domains = rows.clone().map(|row| main_domain(pages.url.get(row)));
        let fit = Fit::of(domains, settings.original.features, settings.clusters.slots() as usize, settings.seed);
        let shared = self.shared(&fit);
        let slots = self.lives.follow(&shared, &mut self.slots, self.n_pages, log);
        let points = fit.points.points.iter().zip(&fit.centres.nearest);
        let scores: Vec<f64> = points
            .map(|(point, &centre)| {
                let scaled = fit.scaling.scale(&point.frequencies);
                likeness(&scaled, square_distance(&scaled, &fit.centres.centres[centre]))
            })
            .collect();
        self.lives.begin_block(&fit, &slots);
        for (&point, row) in fit.points.of_page.iter().zip(rows) {
            let slot = slots[fit.centres.nearest[point as usize]];
            let life = self.lives.get_mut(slot);
            let novel = life.n_pages == 0;
            life.count(self.n_pages, pages.domain.get(row));
            decisions.push(Decision {
                cluster: self.slots.owner(slot),
                slot,
                micro_cluster: life.micro,
                novel,
                score: scores[point as usize],
            });
            self.n_pages += 1;
        }
        self.names = self.lives.end_block(self.settings.max_terms as usize / self.slots.len());
        self.generation += 1;
        self.fitted = Some(LastFit { scaling: fit.scaling, centres: fit.centres.centres, slots });
    }
}

impl Clusterer for Original {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn block_len(&self) -> usize {
        self.0.settings.original.batch as usize
    }

    fn learn(&mut self, pages: &Pages, rows: Range<usize>, decisions: &mut Vec<Decision>, log: &mut Vec<LineageEvent>) {
        if !rows.is_empty() {
            self.0.learn_block(pages, rows, decisions, log);
        }
    }

    fn assign(&self, pages: &Pages, row: usize) -> Option<Decision> {
        let state = &self.0;
        let Some(look) = self.look(pages, row) else {
            let (slot, cluster) = state.slots.would_open(state.n_pages)?;
            return Some(Decision { cluster, slot, micro_cluster: state.lives.next_micro, novel: true, score: 0.0 });
        };
        let &(centre, score) = look.by_likeness().first()?;
        let slot = look.fit.slots[centre];
        let life = &state.lives.all[state.lives.place(slot)?];
        Some(Decision { cluster: state.slots.owner(slot), slot, micro_cluster: life.micro, novel: false, score })
    }

    fn place(&self, pages: &Pages, rows: Range<usize>, places: &mut Vec<Option<Assignment>>) {
        places.extend(rows.map(|row| {
            // What was never fitted has nothing to put a page into.
            let found = self.assign(pages, row).filter(|found| !found.novel)?;
            let Decision { cluster, slot, micro_cluster, novel, score } = found;
            Some(Assignment { cluster, slot, micro_cluster: Some(micro_cluster), novel, score })
        }));
    }

    fn explain(&self, pages: &Pages, row: usize) -> Explanation {
        let state = &self.0;
        let look = self.look(pages, row);
        let candidate = |look: &Look<'_>, (centre, score): (usize, f64)| {
            let slot = look.fit.slots[centre];
            let life = &state.lives.all[state.lives.place(slot)?];
            let parts = look.parts(score, state.settings.original.features);
            Some(Candidate { cluster: state.slots.owner(slot), micro_cluster: life.micro, score, parts })
        };
        let novel = look.is_none();
        let told = look.filter(|look| look.scaled.iter().any(|(_, value)| *value > 0.0));
        let told = told.filter(|look| look.tokens.iter().any(|token| !token.is_empty()));
        let candidates =
            told.map_or(Vec::new(), |look| look.by_likeness().into_iter().take(2).map(|c| candidate(&look, c)).collect());
        let mut candidates = candidates.into_iter();
        let (winner, runner_up) = (candidates.next().flatten(), candidates.next().flatten());
        Explanation { winner, runner_up, novel, threshold: 0.0 }
    }

    fn generation(&self) -> u64 {
        self.0.generation
    }

    fn summary(&self) -> ModelSummary {
        let state = &self.0;
        let (mut micro_clusters, mut clusters) = (Vec::new(), Vec::new());
        for life in &state.lives.all {
            let (cluster, weight) = (state.slots.owner(life.slot), life.n_of_block as f64);
            micro_clusters.push(MicroSummary {
                micro_cluster: life.micro,
                cluster,
                weight,
                n_pages: life.n_pages,
                held: false,
            });
            let pinned = state.slots.get(life.slot).is_some_and(|cluster| cluster.pinned);
            clusters.push(ClusterSummary { cluster, slot: life.slot, weight, pinned });
        }
        micro_clusters.sort_by_key(|micro| micro.micro_cluster);
        clusters.sort_by_key(|cluster| cluster.cluster);
        ModelSummary { n_pages: state.n_pages, n_terms: state.names.texts.len(), micro_clusters, clusters }
    }

    fn micro_terms(&self, micro_clusters: &[MicroId]) -> Vec<Vec<(u32, f64)>> {
        let lives = &self.0.lives.all;
        let terms = |micro: &MicroId| lives.iter().position(|life| life.micro == *micro);
        micro_clusters.iter().map(|micro| terms(micro).map_or(Vec::new(), |at| self.0.names.of_life[at].clone())).collect()
    }

    fn cluster_terms(&self) -> Vec<(ClusterId, Vec<(u32, f64)>)> {
        let lives = self.0.lives.all.iter().zip(&self.0.names.of_life);
        let mut all: Vec<_> = lives.map(|(life, terms)| (self.0.slots.owner(life.slot), terms.clone())).collect();
        all.sort_by_key(|&(cluster, _)| cluster);
        all
    }

    fn term(&self, number: u32) -> (TermKind, &str) {
        (TermKind::Domain, &self.0.names.texts[number as usize])
    }

    fn edit(&mut self, edit: &Edit, _log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        match edit {
            Edit::Pin { cluster, pinned } => self.0.slots.pin(*cluster, *pinned),
            Edit::Rename { .. } | Edit::Undo { .. } => Ok(()),
            Edit::Move { .. } | Edit::Release { .. } | Edit::Merge { .. } | Edit::Split { .. } => {
                Err(EditError::NotByModel(KIND))
            }
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        snapshot::of_state(FORMAT, &self.0)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let state: State = snapshot::state_of(bytes, FORMAT)?;
        self.0.settings.check_snapshot(&state.settings)?;
        self.0 = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
