//! The coarse level: weighted spherical K-Means over the micro-clusters, warm-started, so that clusters last.
//!
//! A micro-cluster's vector is (1 + ln tf) x idf, of unit length, and counts by its mass, which fades slowly. A cluster's centre is
//! the sum over its micro-clusters and its memory. A micro-cluster moves only for a clear gain in likeness (hysteresis), and the
//! warm start is what keeps the ids. Centres are inverted lists, so a round costs postings, not terms times clusters; memories are
//! rows like micro-clusters, only that they never move.

use super::Slot;
use super::micro::{Micros, widest};
use super::slots::Slots;
use super::vocabulary::TermId;

/// Gain in likeness for which a micro-cluster moves.
const CLEAR_GAIN: f32 = 0.02;

/// Most rounds of K-Means that part a cluster.
const HALVING_ROUNDS: usize = 20;

/// A sparse matrix: for each line its (number, value) entries.
#[derive(Debug, Default)]
struct Sparse {
    start: Vec<u32>,
    entry: Vec<(u32, f32)>,
}

impl Sparse {
    /// Forgets all lines, not their memory.
    fn clear(&mut self) {
        self.start.clear();
        self.start.push(0);
        self.entry.clear();
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

    /// Makes this the transpose of `other`: entries (line, value) by number, for numbers below `n`; lines ascending.
    fn transpose(&mut self, other: &Self, n: usize) {
        self.start.clear();
        self.start.resize(n + 2, 0);
        other.entry.iter().for_each(|&(number, _)| self.start[number as usize + 2] += 1);
        for number in 0..n {
            self.start[number + 2] += self.start[number + 1];
        }
        self.entry.resize(other.entry.len(), (0, 0.0));
        // `start` stands one place too far on: what it points to at the end of this is where the next line begins.
        for line in 0..other.lines() {
            for &(number, value) in other.line(line) {
                let at = &mut self.start[number as usize + 1];
                self.entry[*at as usize] = (line as u32, value);
                *at += 1;
            }
        }
        self.start.truncate(n + 1);
    }
}

/// Centres of unit length, term after term. Where half of the clusters share a term there is a value for every slot.
#[derive(Debug, Default)]
struct Centres {
    /// (slot, value) of the other terms.
    few: Sparse,
    /// The place of a term's values in `all`, from 1 on in units of the number of slots; 0 for a term of few.
    place: Vec<u32>,
    all: Vec<f32>,
}

impl Centres {
    /// Adds the values of a term, times `factor`, to the sums of the slots.
    #[inline(always)]
    fn add(&self, term: usize, factor: f32, sums: &mut [f32]) {
        match self.place[term] as usize {
            0 => self.few.line(term).iter().for_each(|&(slot, value)| sums[slot as usize] += factor * value),
            place => {
                let values = &self.all[(place - 1) * sums.len()..place * sums.len()];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
            }
        }
    }
}

/// One run's view of micro-clusters and clusters. Rows 0..M are micro-clusters, rows M..M+K the memories of the slots. It is kept for
/// its memory alone: each run begins with `look`.
#[derive(Debug, Default)]
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
    centres: Centres,
    /// A value for each slot, for whoever needs one.
    sums: Vec<f32>,
}

impl Coarse {
    /// Takes in what there is now.
    pub(super) fn look(&mut self, micros: &Micros, slots: &Slots) {
        (self.n_micros, self.n_slots) = (micros.len(), slots.len());
        self.mass.clear();
        self.mass.extend((0..self.n_micros).map(|micro| micros.mass(micro) as f32));
        self.mass.resize(self.n_micros + self.n_slots, 0.0);
        slots.living().for_each(|(slot, cluster)| self.mass[self.n_micros + slot as usize] = cluster.memory.pages as f32);
        self.home.clear();
        self.home.extend_from_slice(&micros.home);
        self.home.extend(0..self.n_slots as Slot);
        unit_columns(micros, slots, &mut self.columns);
        self.rows.transpose(&self.columns, self.n_micros + self.n_slots);
        self.make_centres();
    }

    /// Slots of the micro-clusters.
    pub(super) fn homes(&self) -> &[Slot] {
        &self.home[..self.n_micros]
    }

    /// Moves the micro-clusters that gain clearly: one round, for the stream never stands still and the next run goes on from here.
    /// Gives for each micro-cluster the likeness to the nearest centre.
    pub(super) fn settle(&mut self) -> Vec<f32> {
        let mut sums = std::mem::take(&mut self.sums);
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
        self.sums = sums;
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

    /// The micro-clusters of a slot that are nearer to a second centre than to the one around the heaviest: K-Means with two centres,
    /// begun with the heaviest and the one farthest from it by mass x distance. Empty where nothing can be told apart.
    pub(super) fn lesser_half(&self, slot: Slot) -> Vec<usize> {
        let members: Vec<usize> = (0..self.n_micros).filter(|&micro| self.home[micro] == slot).collect();
        let heaviest = members.iter().copied().max_by(|&a, &b| self.mass[a].total_cmp(&self.mass[b]).then(b.cmp(&a)));
        let Some(heaviest) = heaviest else { return Vec::new() };
        let mut centres = [vec![0.0f32; self.columns.lines()], vec![0.0f32; self.columns.lines()]];
        let add = |centre: &mut [f32], micro: usize, mass: f32| {
            self.rows.line(micro).iter().for_each(|&(term, value)| centre[term as usize] += mass * value);
        };
        let to = |centre: &[f32], micro: usize| {
            self.rows.line(micro).iter().map(|&(term, value)| value * centre[term as usize]).sum()
        };
        add(&mut centres[0], heaviest, 1.0);
        let gain = |micro: usize| -> f32 { self.mass[micro] * (1.0 - to(&centres[0], micro)) };
        let others = members.iter().copied().filter(|&micro| micro != heaviest);
        let Some(farthest) = others.max_by(|&a, &b| gain(a).total_cmp(&gain(b)).then(b.cmp(&a))) else { return Vec::new() };
        add(&mut centres[1], farthest, 1.0);
        let mut going: Vec<usize> = Vec::new();
        for _ in 0..HALVING_ROUNDS {
            let (stays, goes): (Vec<usize>, Vec<usize>) = members.iter().partition(|&&micro| {
                let likeness: [f32; 2] = [to(&centres[0], micro), to(&centres[1], micro)];
                micro == heaviest || (micro != farthest && likeness[0] >= likeness[1])
            });
            if goes == going {
                break;
            }
            for (centre, half) in centres.iter_mut().zip([&stays, &goes]) {
                centre.fill(0.0);
                half.iter().for_each(|&micro| add(centre, micro, self.mass[micro]));
                let inverse = inverse_root(centre.iter().map(|value| value * value).sum());
                centre.iter_mut().for_each(|value| *value *= inverse);
            }
            going = goes;
        }
        going
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
        widest(
            #[inline(always)]
            || {
                for &(term, factor) in self.rows.line(micro) {
                    self.centres.add(term as usize, factor, sums);
                }
            },
        );
    }

    /// Centres of the present homes.
    fn make_centres(&mut self) {
        let Self { centres: Centres { few, place, all }, sums, n_slots, .. } = self;
        few.clear();
        place.clear();
        all.clear();
        sums.clear();
        sums.resize(*n_slots, 0.0);
        let mut squares = vec![0.0f32; *n_slots];
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
            let is_common = touched.len() * 2 >= *n_slots;
            touched.iter().for_each(|&slot| squares[slot as usize] += sums[slot as usize] * sums[slot as usize]);
            if is_common {
                all.extend_from_slice(sums);
                place.push((all.len() / *n_slots) as u32);
            } else {
                few.entry.extend(touched.iter().map(|&slot| (slot, sums[slot as usize])));
                place.push(0);
            }
            few.end_line();
            touched.drain(..).for_each(|slot| sums[slot as usize] = 0.0);
        }
        squares.iter_mut().for_each(|square| *square = inverse_root(*square));
        few.entry.iter_mut().for_each(|(slot, value)| *value *= squares[*slot as usize]);
        let rows = all.chunks_exact_mut(*n_slots);
        rows.for_each(|row| row.iter_mut().zip(&squares).for_each(|(value, inverse)| *value *= inverse));
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
fn unit_columns(micros: &Micros, slots: &Slots, columns: &mut Sparse) {
    let (n_micros, index) = (micros.len(), micros.index());
    let shrink = micros.shrink() as f32;
    let mut remembered: Vec<(TermId, u32, f32)> = Vec::new();
    for (slot, cluster) in slots.living() {
        remembered.extend(cluster.memory.terms.iter().map(|&(term, weight)| (term, n_micros as u32 + slot, weight)));
    }
    remembered.sort_by_key(|&(term, row, _)| (term, row));
    let mut remembered = remembered.into_iter().peekable();
    columns.clear();
    let mut squares = vec![0.0f32; n_micros + slots.len()];
    let value = |weight: f32, idf: f32| (1.0 + quick_ln(weight.max(0.5))) * idf;
    for term in 0..index.n_lists() as TermId {
        let list = index.list(term);
        let known = remembered.peek().is_some_and(|next| next.0 == term);
        let idf = index.idf(term).filter(|_| known || list.len() > 1);
        if let Some(idf) = idf {
            columns.entry.extend(list.map(|posting| (posting.micro, value(posting.tf * shrink, idf))));
        }
        while let Some((_, row, weight)) = remembered.next_if(|next| next.0 == term) {
            columns.entry.extend(idf.map(|idf| (row, value(weight, idf))));
        }
        columns.end_line();
        columns.line(term as usize).iter().for_each(|&(row, value)| squares[row as usize] += value * value);
    }
    let inverse: Vec<f32> = squares.iter().map(|&square| inverse_root(square)).collect();
    columns.entry.iter_mut().for_each(|(row, value)| *value *= inverse[*row as usize]);
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
