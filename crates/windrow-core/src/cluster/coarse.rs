//! The coarse level: weighted spherical K-Means over the micro-clusters, warm-started, so that clusters last.
//!
//! A micro-cluster's vector is (1 + ln tf) x idf, of unit length, and counts by its mass, which fades slowly. A cluster's centre is
//! the sum over its micro-clusters and its memory. A micro-cluster moves only for a clear gain in likeness (hysteresis), and the
//! warm start is what keeps the ids. Centres are inverted lists, so a run costs postings, not terms times clusters.

use super::Slot;
use super::memory::Memory;
use super::micro::Micros;
use super::slots::Slots;
use super::vocabulary::TermId;

/// Gain in likeness for which a micro-cluster moves.
const CLEAR_GAIN: f32 = 0.02;
/// Most rounds of one run.
const ROUNDS: usize = 5;

/// A sparse matrix: rows of (column, value).
#[derive(Debug, Default)]
struct Rows {
    start: Vec<u32>,
    entry: Vec<(u32, f32)>,
}

impl Rows {
    fn row(&self, row: usize) -> &[(u32, f32)] {
        &self.entry[self.start[row] as usize..self.start[row + 1] as usize]
    }
}

/// One run's view of micro-clusters and clusters.
pub(super) struct Coarse {
    /// Unit vectors of the micro-clusters: rows of (term, value).
    vectors: Rows,
    mass: Vec<f32>,
    /// Home of each micro-cluster, as the run goes.
    home: Vec<Slot>,
    /// Unit vector and mass of each slot's memory.
    memories: Vec<(f32, Vec<(TermId, f32)>)>,
    /// Centres, term after term: rows of (slot, value).
    centres: Rows,
    n_terms: usize,
}

/// What a micro-cluster is like.
#[derive(Debug, Clone, Copy)]
struct Nearest {
    slot: Slot,
    likeness: f32,
    own: f32,
}

impl Coarse {
    pub(super) fn new(micros: &Micros, slots: &Slots) -> Self {
        let n_terms = micros.index().n_lists();
        let mut coarse = Self {
            vectors: unit_vectors(micros),
            mass: (0..micros.len()).map(|micro| micros.mass(micro) as f32).collect(),
            home: micros.home.clone(),
            memories: vec![(0.0, Vec::new()); slots.len()],
            centres: Rows::default(),
            n_terms,
        };
        for (slot, cluster) in slots.living() {
            coarse.memories[slot as usize] = (cluster.memory.pages as f32, unit_memory(&cluster.memory, micros));
        }
        coarse.make_centres();
        coarse
    }

    /// Moves micro-clusters until none gains clearly; gives the homes.
    pub(super) fn run(mut self) -> Vec<Slot> {
        for _ in 0..ROUNDS {
            let mut sums = vec![0.0; self.memories.len()];
            let mut moved = false;
            for micro in 0..self.home.len() {
                let nearest = self.nearest(micro, &mut sums);
                if nearest.likeness > nearest.own + CLEAR_GAIN {
                    self.home[micro] = nearest.slot;
                    moved = true;
                }
            }
            if !moved {
                break;
            }
            self.make_centres();
        }
        self.home
    }

    /// The micro-cluster for which a cluster of its own would gain most: (mass x distance to its centre), largest first.
    pub(super) fn strangest(&self, least_mass: f32, most_likeness: f32) -> Option<usize> {
        let mut sums = vec![0.0; self.memories.len()];
        let mut best: Option<(f32, usize)> = None;
        for micro in (0..self.home.len()).filter(|&micro| self.mass[micro] >= least_mass) {
            let nearest = self.nearest(micro, &mut sums);
            let gain = self.mass[micro] * (1.0 - nearest.own);
            if nearest.likeness <= most_likeness && best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, micro));
            }
        }
        best.map(|(_, micro)| micro)
    }

    fn nearest(&self, micro: usize, sums: &mut [f32]) -> Nearest {
        sums.fill(0.0);
        for &(term, value) in self.vectors.row(micro) {
            for &(slot, centre) in self.centres.row(term as usize) {
                sums[slot as usize] += value * centre;
            }
        }
        let own = sums[self.home[micro] as usize];
        let mut nearest = Nearest { slot: self.home[micro], likeness: own, own };
        for (slot, &likeness) in (0..).zip(sums.iter()) {
            if likeness > nearest.likeness {
                (nearest.slot, nearest.likeness) = (slot, likeness);
            }
        }
        nearest
    }

    /// Centres of the present homes, of unit length, as inverted lists.
    fn make_centres(&mut self) {
        let mut parts: Vec<Vec<(Slot, f32)>> = vec![Vec::new(); self.n_terms];
        let mut squares = vec![0.0f32; self.memories.len()];
        let memories = self.memories.iter().zip(0..).map(|((mass, terms), slot)| (slot, *mass, terms.as_slice()));
        let micros = (0..self.home.len()).map(|micro| (self.home[micro], self.mass[micro], self.vectors.row(micro)));
        for (slot, mass, terms) in memories.chain(micros) {
            for &(term, value) in terms {
                parts[term as usize].push((slot, mass * value));
            }
        }
        for list in &mut parts {
            list.sort_by_key(|&(slot, _)| slot);
            list.dedup_by(|next, first| {
                next.0 == first.0 && {
                    first.1 += next.1;
                    true
                }
            });
            for &(slot, value) in list.iter() {
                squares[slot as usize] += value * value;
            }
        }
        let mut start = vec![0u32];
        let mut entry = Vec::new();
        for list in &parts {
            entry
                .extend(list.iter().map(|&(slot, value)| (slot, value / squares[slot as usize].sqrt().max(f32::MIN_POSITIVE))));
            start.push(entry.len() as u32);
        }
        self.centres = Rows { start, entry };
    }
}

fn unit_vectors(micros: &Micros) -> Rows {
    let shrink = micros.shrink() as f32;
    let mut rows = micros.terms_from(0);
    let mut start = vec![0u32];
    let mut entry = Vec::new();
    for row in &mut rows {
        normalise(row, shrink, micros);
        entry.extend_from_slice(row);
        start.push(entry.len() as u32);
    }
    Rows { start, entry }
}

fn unit_memory(memory: &Memory, micros: &Micros) -> Vec<(TermId, f32)> {
    let mut row: Vec<(TermId, f32)> =
        memory.terms.iter().copied().filter(|&(term, _)| micros.index().idf(term).is_some()).collect();
    normalise(&mut row, 1.0, micros);
    row
}

fn normalise(row: &mut [(TermId, f32)], shrink: f32, micros: &Micros) {
    let mut square = 0.0f32;
    for (term, value) in row.iter_mut() {
        let idf = micros.index().idf(*term).unwrap_or(0.0);
        *value = (1.0 + libm::logf((*value * shrink).max(0.5))) * idf;
        square += *value * *value;
    }
    let inverse = if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 };
    row.iter_mut().for_each(|(_, value)| *value *= inverse);
}
