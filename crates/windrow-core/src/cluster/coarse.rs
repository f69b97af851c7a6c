//! The coarse level: weighted spherical K-Means over the micro-clusters, warm-started, so that clusters last.
//!
//! A micro-cluster's vector is (1 + ln tf) x idf, of unit length, and counts by its mass, which fades slowly. A cluster's centre is
//! the sum over its micro-clusters and its memory. A micro-cluster moves only for a clear gain in likeness (hysteresis), and the
//! warm start is what keeps the ids. Centres are inverted lists, so a round costs postings, not terms times clusters; memories are
//! rows like micro-clusters, only that they never move.

use super::Slot;
use super::micro::Micros;
use super::slots::Slots;
use super::vocabulary::TermId;

/// Gain in likeness for which a micro-cluster moves.
const CLEAR_GAIN: f32 = 0.02;

/// A sparse matrix: for each line its (number, value) entries.
#[derive(Debug, Default)]
struct Sparse {
    start: Vec<u32>,
    entry: Vec<(u32, f32)>,
}

impl Sparse {
    fn with_capacity(lines: usize, entries: usize) -> Self {
        let mut start = Vec::with_capacity(lines + 1);
        start.push(0);
        Self { start, entry: Vec::with_capacity(entries) }
    }

    /// Ends a line after its entries were pushed.
    fn end_line(&mut self) {
        self.start.push(self.entry.len() as u32);
    }

    fn line(&self, line: usize) -> &[(u32, f32)] {
        &self.entry[self.start[line] as usize..self.start[line + 1] as usize]
    }

    fn lines(&self) -> usize {
        self.start.len() - 1
    }

    /// Entries (line, value) by number, for numbers below `n`; lines ascending.
    fn transposed(&self, n: usize) -> Self {
        let mut start = vec![0u32; n + 1];
        self.entry.iter().for_each(|&(number, _)| start[number as usize + 1] += 1);
        for number in 0..n {
            start[number + 1] += start[number];
        }
        let mut next = start.clone();
        let mut entry = vec![(0, 0.0); self.entry.len()];
        for line in 0..self.lines() {
            for &(number, value) in self.line(line) {
                let at = &mut next[number as usize];
                entry[*at as usize] = (line as u32, value);
                *at += 1;
            }
        }
        Self { start, entry }
    }
}

/// One run's view of micro-clusters and clusters. Rows 0..M are micro-clusters, rows M..M+K the memories of the slots.
#[derive(Debug)]
pub(super) struct Coarse {
    n_micros: usize,
    n_slots: usize,
    /// Unit vectors, row after row: (term, value).
    rows: Sparse,
    /// The same, term after term: (row, value).
    columns: Sparse,
    mass: Vec<f32>,
    /// Slot of each row.
    home: Vec<Slot>,
    /// Centres of unit length, term after term: (slot, value). A term that half of the clusters share has an entry for every slot.
    centres: Sparse,
}

impl Coarse {
    pub(super) fn new(micros: &Micros, slots: &Slots) -> Self {
        let (n_micros, n_slots) = (micros.len(), slots.len());
        let mut mass: Vec<f32> = (0..n_micros).map(|micro| micros.mass(micro) as f32).collect();
        mass.resize(n_micros + n_slots, 0.0);
        slots.living().for_each(|(slot, cluster)| mass[n_micros + slot as usize] = cluster.memory.pages as f32);
        let mut home = micros.home.clone();
        home.extend(0..n_slots as Slot);
        let columns = unit_columns(micros, slots);
        let rows = columns.transposed(n_micros + n_slots);
        let mut coarse = Self { n_micros, n_slots, rows, columns, mass, home, centres: Sparse::default() };
        coarse.make_centres();
        coarse
    }

    /// Slots of the micro-clusters.
    pub(super) fn homes(&self) -> &[Slot] {
        &self.home[..self.n_micros]
    }

    /// Moves the micro-clusters that gain clearly: one round, for the stream never stands still and the next run goes on from here.
    /// Gives for each micro-cluster the likeness to the nearest centre.
    pub(super) fn settle(&mut self) -> Vec<f32> {
        let mut sums = vec![0.0; self.n_slots];
        let mut nearest_likeness = Vec::with_capacity(self.n_micros);
        for micro in 0..self.n_micros {
            self.likenesses(micro, &mut sums);
            let own = sums[self.home[micro] as usize];
            let (nearest, likeness) = largest(&sums);
            nearest_likeness.push(likeness.max(own));
            if likeness > own + CLEAR_GAIN {
                self.home[micro] = nearest;
            }
        }
        nearest_likeness
    }

    /// Micro-clusters that deserve a cluster of their own: at least `least_mass`, no more like any centre than `most_likeness`;
    /// farthest first by mass x distance, each counted as a centre for those after it. At most `most`.
    pub(super) fn strangers(&self, likenesses: &[f32], least_mass: f32, most_likeness: f32, most: usize) -> Vec<usize> {
        let mut candidates: Vec<(usize, f32)> = (likenesses.iter().copied().enumerate())
            .filter(|&(micro, likeness)| self.mass[micro] >= least_mass && likeness <= most_likeness)
            .collect();
        let mut strangers = Vec::new();
        let mut values = vec![0.0f32; self.columns.lines()];
        while strangers.len() < most {
            let gain = |&(micro, likeness): &(usize, f32)| self.mass[micro] * (1.0 - likeness);
            let Some(&(stranger, _)) = candidates.iter().max_by(|a, b| gain(a).total_cmp(&gain(b)).then(b.0.cmp(&a.0))) else {
                break;
            };
            strangers.push(stranger);
            self.rows.line(stranger).iter().for_each(|&(term, value)| values[term as usize] = value);
            candidates.retain_mut(|(micro, likeness)| {
                let alike: f32 = self.rows.line(*micro).iter().map(|&(term, value)| value * values[term as usize]).sum();
                *likeness = likeness.max(alike);
                *likeness <= most_likeness
            });
            self.rows.line(stranger).iter().for_each(|&(term, _)| values[term as usize] = 0.0);
        }
        strangers
    }

    /// The slot with the nearest centre for each of `micros`, not counting its own; none where no other shares a term.
    pub(super) fn second_homes(&self, micros: impl Iterator<Item = usize>) -> Vec<(usize, Option<Slot>)> {
        let mut sums = vec![0.0; self.n_slots];
        let mut second = |micro: usize| {
            self.likenesses(micro, &mut sums);
            sums[self.home[micro] as usize] = 0.0;
            let (slot, most) = largest(&sums);
            (micro, (most > 0.0).then_some(slot))
        };
        micros.map(&mut second).collect()
    }

    fn likenesses(&self, micro: usize, sums: &mut [f32]) {
        sums.fill(0.0);
        for &(term, value) in self.rows.line(micro) {
            let line = self.centres.line(term as usize);
            if line.len() == sums.len() {
                sums.iter_mut().zip(line).for_each(|(sum, (_, centre))| *sum += value * centre);
            } else {
                line.iter().for_each(|&(slot, centre)| sums[slot as usize] += value * centre);
            }
        }
    }

    /// Centres of the present homes, of unit length, as inverted lists.
    fn make_centres(&mut self) {
        let mut centres = Sparse::with_capacity(self.columns.lines(), self.columns.entry.len());
        let mut sums = vec![0.0f32; self.n_slots];
        let mut squares = vec![0.0f32; self.n_slots];
        let mut touched: Vec<Slot> = Vec::new();
        for term in 0..self.columns.lines() {
            for &(row, value) in self.columns.line(term) {
                let slot = self.home[row as usize];
                let sum = &mut sums[slot as usize];
                if *sum == 0.0 {
                    touched.push(slot);
                }
                *sum += self.mass[row as usize] * value;
            }
            if touched.len() * 2 >= self.n_slots {
                touched.clear();
                touched.extend(0..self.n_slots as Slot);
            }
            for slot in touched.drain(..) {
                let sum = std::mem::take(&mut sums[slot as usize]);
                squares[slot as usize] += sum * sum;
                centres.entry.push((slot, sum));
            }
            centres.end_line();
        }
        let inverse: Vec<f32> = squares.iter().map(|&square| inverse_root(square)).collect();
        centres.entry.iter_mut().for_each(|(slot, value)| *value *= inverse[*slot as usize]);
        self.centres = centres;
    }
}

/// The largest of some sums, the first of equals.
fn largest(sums: &[f32]) -> (Slot, f32) {
    let mut best = (0, 0.0);
    for (slot, &sum) in (0..).zip(sums) {
        if sum > best.1 {
            best = (slot, sum);
        }
    }
    best
}

fn inverse_root(square: f32) -> f32 {
    if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 }
}

/// ln x to about 2e-5, for positive normal numbers: the exponent, and a polynomial for the rest. Plain arithmetic, so the same on
/// every machine, and several times as fast as the exact one.
fn quick_ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as f32 - 127.0;
    let m = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000) - 1.0;
    let log2 = m * (1.441_740_4 + m * (-0.707_770_7 + m * (0.412_346 + m * (-0.190_321_4 + m * 0.044_005_8))));
    (exponent + log2) * std::f32::consts::LN_2
}

/// Unit vectors of micro-clusters and memories, term after term: (row, value). Terms that only one of them holds are left out: they
/// are half of all and cannot make anything like another thing.
fn unit_columns(micros: &Micros, slots: &Slots) -> Sparse {
    let (n_micros, index) = (micros.len(), micros.index());
    let shrink = micros.shrink() as f32;
    let mut remembered: Vec<(TermId, u32, f32)> = Vec::new();
    for (slot, cluster) in slots.living() {
        remembered.extend(cluster.memory.terms.iter().map(|&(term, weight)| (term, n_micros as u32 + slot, weight)));
    }
    remembered.sort_by_key(|&(term, row, _)| (term, row));
    let mut remembered = remembered.into_iter().peekable();
    let mut columns = Sparse::with_capacity(index.n_lists(), index.n_postings());
    let mut squares = vec![0.0f32; n_micros + slots.len()];
    let value = |weight: f32, idf: f32| (1.0 + quick_ln(weight.max(0.5))) * idf;
    for term in 0..index.n_lists() as TermId {
        let list = index.list(term);
        let known = remembered.peek().is_some_and(|next| next.0 == term);
        let idf = index.idf(term).filter(|_| known || list.len() > 1);
        if let Some(idf) = idf {
            columns.entry.extend(list.iter().map(|posting| (posting.micro, value(posting.tf * shrink, idf))));
        }
        while let Some((_, row, weight)) = remembered.next_if(|next| next.0 == term) {
            columns.entry.extend(idf.map(|idf| (row, value(weight, idf))));
        }
        columns.end_line();
        columns.line(term as usize).iter().for_each(|&(row, value)| squares[row as usize] += value * value);
    }
    let inverse: Vec<f32> = squares.iter().map(|&square| inverse_root(square)).collect();
    columns.entry.iter_mut().for_each(|(row, value)| *value *= inverse[*row as usize]);
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_ln_is_near_enough() {
        for step in 1..4_000u16 {
            let x = f32::from(step) * 0.37;
            assert!((quick_ln(x) - libm::logf(x)).abs() < 5e-5, "ln {x} = {}, not {}", libm::logf(x), quick_ln(x));
        }
    }
}
