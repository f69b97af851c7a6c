//! The coarse level: weighted spherical K-Means over the micro-clusters, warm-started, so that clusters last.
//!
//! A micro-cluster's vector is (1 + ln tf) x idf, of unit length, and counts by its mass, which fades slowly. A cluster's centre is
//! the sum over its micro-clusters and its memory. A micro-cluster moves only for a clear gain in likeness (hysteresis), and the
//! warm start is what keeps the ids. Micro-clusters and centres are inverted lists, and all likenesses are summed up term after term:
//! a round costs postings, not terms times clusters, and reads them in the order in which they lie. Memories are rows like
//! micro-clusters, only that they never move.

mod halves;

use std::ops::Range;

use super::Slot;
use super::micro::{Micros, widest};
use super::slots::Slots;
use super::vocabulary::TermId;
use crate::lineage::{Birth, Move};

/// Gain in likeness for which a micro-cluster moves.
const CLEAR_GAIN: f32 = 0.02;

/// Likenesses that are summed up at a time: they shall stay in the processor's second cache.
const MOST_SUMS: usize = 1 << 18;
/// Values for all slots are as many as whole vectors hold.
const LANES: usize = 8;
/// A term that so many clusters share is added for every cluster: that is sooner done than looking where to.
const MANY: usize = 8;

/// Candidates for a cluster of their own that are looked at together.
const MORE_CANDIDATES: usize = 64;

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
    /// Adds the values of a term, times those of micro-clusters from `first` on, to their sums, a value for each slot. `spread` is
    /// as many zeros, and is left so.
    #[inline(always)]
    fn add(&self, term: usize, micros: &[(u32, f32)], first: usize, spread: &mut [f32], sums: &mut [f32]) {
        let stride = spread.len();
        let few = self.few.line(term);
        let place = self.place[term] as usize;
        let values = if place > 0 {
            &self.all[(place - 1) * stride..place * stride]
        } else {
            few.iter().filter(|_| few.len() >= MANY).for_each(|&(slot, value)| spread[slot as usize] = value);
            &*spread
        };
        for &(micro, factor) in micros {
            let sums = &mut sums[(micro as usize - first) * stride..][..stride];
            if place == 0 && few.len() < MANY {
                few.iter().for_each(|&(slot, value)| sums[slot as usize] += factor * value);
            } else {
                let lanes = sums.as_chunks_mut::<LANES>().0.iter_mut().zip(values.as_chunks::<LANES>().0);
                lanes.for_each(|(sums, values)| (0..LANES).for_each(|lane| sums[lane] += factor * values[lane]));
            }
        }
        few.iter().for_each(|&(slot, _)| spread[slot as usize] = 0.0);
    }
}

/// A micro-cluster that gains clearly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gain {
    pub(super) micro: usize,
    pub(super) to: Slot,
    pub(super) why: Move,
}

/// One run's view of micro-clusters and clusters. Rows 0..M are micro-clusters, rows M..M+K the memories of the slots. It is kept for
/// its memory alone: each run begins with `look`.
#[derive(Debug, Default)]
pub(super) struct Coarse {
    n_micros: usize,
    n_slots: usize,
    /// Values that lie there for all slots; those beyond the slots are 0.
    stride: usize,
    /// Unit vectors, term after term: (row, value). Terms that tell nothing have no line.
    columns: Sparse,
    mass: Vec<f32>,
    /// Slot of each row.
    home: Vec<Slot>,
    centres: Centres,
    /// Of each micro-cluster the slots with the two nearest centres, and its likeness to them.
    nearest: Vec<[(Slot, f32); 2]>,
    gains: Vec<Gain>,
    /// A value for each slot, for whoever needs one; of many micro-clusters.
    slots: Vec<f32>,
    sums: Vec<f32>,
}

impl Coarse {
    /// Takes in what there is now.
    pub(super) fn look(&mut self, micros: &Micros, slots: &Slots) {
        (self.n_micros, self.n_slots) = (micros.len(), slots.len());
        self.stride = self.n_slots.next_multiple_of(LANES);
        self.mass.clear();
        self.mass.extend((0..self.n_micros).map(|micro| micros.mass(micro) as f32));
        self.mass.resize(self.n_micros + self.n_slots, 0.0);
        slots.living().for_each(|(slot, cluster)| self.mass[self.n_micros + slot as usize] = cluster.memory.pages as f32);
        self.home.clear();
        self.home.extend_from_slice(&micros.home);
        self.home.extend(0..self.n_slots as Slot);
        unit_columns(micros, slots, &mut self.columns);
        self.make_centres();
    }

    /// Those that moved.
    pub(super) fn gains(&self) -> &[Gain] {
        &self.gains
    }

    /// Moves the micro-clusters that gain clearly: one round, for the stream never stands still and the next run goes on from here.
    /// Gives for each micro-cluster the likeness to the nearest centre.
    pub(super) fn settle(&mut self) -> Vec<f32> {
        let mut nearest_likeness = Vec::with_capacity(self.n_micros);
        self.nearest.clear();
        self.gains.clear();
        let at_once = (MOST_SUMS / self.stride).max(1);
        for first in (0..self.n_micros).step_by(at_once) {
            self.likenesses(first..self.n_micros.min(first + at_once));
            for (sums, home) in self.sums.chunks_exact_mut(self.stride).zip(&mut self.home[first..]) {
                let own = sums[*home as usize];
                let (nearest, likeness) = largest(sums);
                sums[nearest as usize] = 0.0;
                self.nearest.push([(nearest, likeness), largest(sums)]);
                nearest_likeness.push(likeness.max(own));
                let threshold = own + CLEAR_GAIN;
                if likeness > threshold {
                    let why = Move::Nearer { likeness: likeness.into(), before: own.into(), threshold: threshold.into() };
                    self.gains.push(Gain { micro: self.nearest.len() - 1, to: nearest, why });
                    *home = nearest;
                }
            }
        }
        nearest_likeness
    }

    /// Micro-clusters that deserve a cluster of their own: at least `least_mass`, no more like any centre than `most_likeness`;
    /// farthest first by mass x distance, each counted as a centre for those after it. At most `most`.
    pub(super) fn strangers(
        &self,
        likenesses: &[f32],
        least_mass: f32,
        most_likeness: f32,
        most: usize,
    ) -> Vec<(usize, Birth)> {
        let is_one = |&(micro, likeness): &(usize, f32)| self.mass[micro] >= least_mass && likeness <= most_likeness;
        let mut waiting: Vec<(usize, f32)> = likenesses.iter().copied().enumerate().filter(is_one).collect();
        let gain = |micro: usize, likeness: f32| self.mass[micro] * (1.0 - likeness);
        let most_gain = |a: (usize, f32), b: (usize, f32)| gain(a.0, a.1).total_cmp(&gain(b.0, b.1)).then(b.0.cmp(&a.0));
        waiting.sort_unstable_by(|&a, &b| most_gain(a, b));
        // Whoever was counted against nobody yet cannot gain more than that: most need not be looked at.
        let mut at_hand: Vec<Candidate> = Vec::new();
        let mut strangers: Vec<Candidate> = Vec::new();
        while strangers.len() < most {
            let best = (0..at_hand.len()).max_by(|&a, &b| most_gain(at_hand[a].seen(), at_hand[b].seen()));
            let is_less = |next: &(usize, f32)| best.is_none_or(|best| most_gain(at_hand[best].seen(), *next).is_lt());
            if waiting.last().is_some_and(is_less) {
                let more = waiting.split_off(waiting.len().saturating_sub(MORE_CANDIDATES));
                for mut candidate in self.candidates(&more) {
                    strangers.iter().for_each(|stranger| candidate.see(stranger));
                    at_hand.extend(Some(candidate).filter(|candidate| candidate.likeness <= most_likeness));
                }
                continue;
            }
            let Some(best) = best else { break };
            let stranger = at_hand.swap_remove(best);
            at_hand.iter_mut().for_each(|candidate| candidate.see(&stranger));
            at_hand.retain(|candidate| candidate.likeness <= most_likeness);
            strangers.push(stranger);
        }
        let why = |Candidate { micro, likeness, .. }: Candidate| {
            let (likeness, threshold, weight) = (likeness.into(), most_likeness.into(), self.mass[micro].into());
            (micro, Birth::Far { likeness, threshold, weight })
        };
        strangers.into_iter().map(why).collect()
    }

    /// Some micro-clusters with their vectors.
    fn candidates(&self, micros: &[(usize, f32)]) -> Vec<Candidate> {
        let candidate = |&(micro, likeness): &(usize, f32)| Candidate { micro, likeness, vector: Vec::new() };
        let mut candidates: Vec<_> = micros.iter().map(candidate).collect();
        let mut place = vec![u32::MAX; self.home.len()];
        (0..).zip(micros).for_each(|(at, &(micro, _))| place[micro] = at);
        for term in 0..self.columns.lines() {
            for &(row, value) in self.columns.line(term) {
                if let Some(candidate) = candidates.get_mut(place[row as usize] as usize) {
                    candidate.vector.push((term as u32, value));
                }
            }
        }
        candidates
    }

    /// The slot with the nearest centre for each of `micros`, not counting its own, and its likeness to that; none where no other shares
    /// a term.
    pub(super) fn second_homes(&self, micros: impl Iterator<Item = usize>) -> Vec<(usize, Option<(Slot, f32)>)> {
        let second = |micro: usize| {
            let mut others = self.nearest[micro].into_iter().filter(|&(slot, most)| most > 0.0 && slot != self.home[micro]);
            (micro, others.next())
        };
        micros.map(second).collect()
    }

    /// Leaves the likenesses of some micro-clusters to all centres in `sums`.
    fn likenesses(&mut self, micros: Range<usize>) {
        let Self { columns, centres, slots, sums, stride, .. } = self;
        sums.clear();
        sums.resize(micros.len() * *stride, 0.0);
        widest(
            #[inline(always)]
            || {
                for term in 0..columns.lines() {
                    centres.add(term, between(columns.line(term), &micros), micros.start, slots, sums);
                }
            },
        );
    }

    /// Centres of the present homes.
    fn make_centres(&mut self) {
        let Self { centres: Centres { few, place, all }, slots: sums, n_slots, stride, .. } = self;
        few.clear();
        place.clear();
        all.clear();
        sums.clear();
        sums.resize(*stride, 0.0);
        let mut squares = vec![0.0f32; *stride];
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
                place.push((all.len() / *stride) as u32);
            } else {
                few.entry.extend(touched.iter().map(|&slot| (slot, sums[slot as usize])));
                place.push(0);
            }
            few.end_line();
            touched.drain(..).for_each(|slot| sums[slot as usize] = 0.0);
        }
        squares.iter_mut().for_each(|square| *square = inverse_root(*square));
        few.entry.iter_mut().for_each(|(slot, value)| *value *= squares[*slot as usize]);
        let rows = all.chunks_exact_mut(*stride);
        rows.for_each(|row| row.iter_mut().zip(&squares).for_each(|(value, inverse)| *value *= inverse));
    }
}

/// A micro-cluster that may deserve a cluster of its own.
struct Candidate {
    micro: usize,
    /// To the nearest centre, or to a micro-cluster that was found to deserve one.
    likeness: f32,
    /// Its unit vector: (line of the term, value).
    vector: Vec<(u32, f32)>,
}

impl Candidate {
    fn seen(&self) -> (usize, f32) {
        (self.micro, self.likeness)
    }

    /// Counts another one as a centre.
    fn see(&mut self, other: &Self) {
        let mut others = other.vector.iter().peekable();
        let mut alike = 0.0;
        for &(term, value) in &self.vector {
            while others.next_if(|other| other.0 < term).is_some() {}
            alike += others.peek().filter(|other| other.0 == term).map_or(0.0, |other| value * other.1);
        }
        self.likeness = self.likeness.max(alike);
    }
}

/// The entries of a line whose numbers lie in a range.
fn between<'a>(line: &'a [(u32, f32)], range: &Range<usize>) -> &'a [(u32, f32)] {
    let place = |bound: usize| match line.last() {
        Some(last) if last.0 as usize >= bound => line.partition_point(|entry| (entry.0 as usize) < bound),
        _ => line.len(),
    };
    let from = if range.start == 0 { 0 } else { place(range.start) };
    &line[from..place(range.end)]
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
#[inline(always)]
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
    // One list's values at a time, so that logarithms are made eight at a time.
    let mut values: Vec<f32> = Vec::new();
    let value = |weight: f32, idf: f32| (1.0 + quick_ln(weight.max(0.5))) * idf;
    widest(
        #[inline(always)]
        || {
            for (term, list) in index.all() {
                let known = remembered.peek().is_some_and(|next| next.0 == term);
                if list.len() < 2 && !known {
                    continue;
                }
                let idf = index.idf(term);
                if let Some(idf) = idf {
                    values.clear();
                    values.extend(list.clone().map(|posting| posting.tf));
                    values.iter_mut().for_each(|weight| *weight = value(*weight * shrink, idf));
                    columns.entry.extend(list.map(|posting| posting.micro).zip(values.iter().copied()));
                }
                while let Some((_, row, weight)) = remembered.next_if(|next| next.0 == term) {
                    columns.entry.extend(idf.map(|idf| (row, value(weight, idf))));
                }
                columns.end_line();
                let line = columns.line(columns.lines() - 1);
                line.iter().for_each(|&(row, value)| squares[row as usize] += value * value);
            }
        },
    );
    let inverse: Vec<f32> = squares.iter().map(|&square| inverse_root(square)).collect();
    columns.entry.iter_mut().for_each(|(row, value)| *value *= inverse[*row as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::micro::Entry;

    const MICROS: usize = 300;

    const SLOTS: usize = 40;

    /// Made-up micro-clusters, some terms common and most rare.
    fn looked_at() -> Coarse {
        let (mut micros, mut slots) = (Micros::new(), Slots::new(SLOTS as u32));
        (0..SLOTS).for_each(|_| _ = slots.open(0));
        let mut random = 7u32;
        for micro in 0..MICROS {
            let mut below = |n: u32| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 8) % n
            };
            let mut terms: Vec<TermId> = (0..12).map(|_| below(30) * below(40)).collect();
            terms.sort_unstable();
            terms.dedup();
            let entries: Vec<Entry> = terms.iter().map(|&term| Entry::new(term, 1.0 + below(90) as f32 / 10.0)).collect();
            micros.open(micro as u64, (micro % SLOTS) as Slot, &entries);
        }
        let mut coarse = Coarse::default();
        coarse.look(&micros, &slots);
        coarse
    }

    fn vector(coarse: &Coarse, row: usize) -> Vec<(usize, f32)> {
        let value = |term: usize| coarse.columns.line(term).iter().find(|entry| entry.0 as usize == row).map(|entry| entry.1);
        (0..coarse.columns.lines()).filter_map(|term| Some((term, value(term)?))).collect()
    }

    fn centre(coarse: &Coarse, term: usize, slot: usize) -> f32 {
        let Centres { few, place, all } = &coarse.centres;
        match place[term] as usize {
            0 => few.line(term).iter().find(|entry| entry.0 as usize == slot).map_or(0.0, |entry| entry.1),
            place => all[(place - 1) * coarse.stride + slot],
        }
    }

    #[test]
    fn likenesses_are_those_of_each_micro_cluster_alone() {
        let mut coarse = looked_at();
        let few = coarse.centres.few.start.windows(2).map(|ends| (ends[1] - ends[0]) as usize);
        let (many, less): (Vec<_>, Vec<_>) = few.filter(|&n| n > 0).partition(|&n| n >= MANY);
        assert!(
            !coarse.centres.all.is_empty() && !many.is_empty() && !less.is_empty(),
            "{} of many, {} of few",
            many.len(),
            less.len()
        );
        for range in [0..MICROS, 40..77, 299..300] {
            coarse.likenesses(range.clone());
            for micro in range.clone() {
                let sums = &coarse.sums[(micro - range.start) * coarse.stride..][..coarse.stride];
                for (slot, &sum) in sums.iter().enumerate().take(SLOTS) {
                    let parts = vector(&coarse, micro).into_iter().map(|(term, value)| value * centre(&coarse, term, slot));
                    assert_eq!(sum, parts.fold(0.0, |sum, part| sum + part), "micro-cluster {micro}, slot {slot}");
                }
            }
        }
    }

    #[test]
    fn strangers_are_the_farthest_first_whoever_is_looked_at() {
        let coarse = looked_at();
        let likenesses: Vec<f32> = (0..MICROS).map(|micro| (micro * 37 % 100) as f32 / 150.0).collect();
        let (least_mass, most_likeness) = (0.5, 0.55);
        let mut left: Vec<(usize, f32)> = likenesses.iter().copied().enumerate().filter(|l| l.1 <= most_likeness).collect();
        let mut expected = Vec::new();
        while let Some(&(stranger, _)) = left.iter().max_by(|a, b| (1.0 - a.1).total_cmp(&(1.0 - b.1)).then(b.0.cmp(&a.0))) {
            expected.push(stranger);
            let other = vector(&coarse, stranger);
            left.retain_mut(|(micro, likeness)| {
                let shared = |(term, value)| Some(value * other.iter().find(|entry| entry.0 == term)?.1);
                let alike = vector(&coarse, *micro).into_iter().filter_map(shared).fold(0.0, |sum, part| sum + part);
                *likeness = f32::max(*likeness, alike);
                *micro != stranger && *likeness <= most_likeness
            });
        }
        assert!(expected.len() > MORE_CANDIDATES, "{} strangers", expected.len());
        for most in [0, 1, 5, 100, MICROS] {
            let found = coarse.strangers(&likenesses, least_mass, most_likeness, most);
            let found: Vec<usize> = found.into_iter().map(|(micro, _)| micro).collect();
            assert_eq!(found, expected[..most.min(expected.len())], "at most {most}");
        }
    }

    #[test]
    fn who_shares_no_term_is_one_stranger() {
        let (mut micros, mut slots) = (Micros::new(), Slots::new(2));
        slots.open(0);
        (0..2).for_each(|micro| micros.open(micro, 0, &[Entry::new(micro as TermId, 1.0)]));
        let mut coarse = Coarse::default();
        coarse.look(&micros, &slots);
        let likenesses = coarse.settle();
        let far = |micro| (micro, Birth::Far { likeness: 0.0, threshold: 0.5, weight: 1.0 });
        let found = coarse.strangers(&likenesses, 0.5, 0.5, 5);
        assert_eq!((likenesses.as_slice(), found), ([0.0, 0.0].as_slice(), vec![far(0), far(1)]));
    }

    #[test]
    fn quick_ln_is_near_enough() {
        for step in 1..4_000u16 {
            let x = f32::from(step) * 0.37;
            assert!((quick_ln(x) - libm::logf(x)).abs() < 5e-5, "ln {x} = {}, not {}", libm::logf(x), quick_ln(x));
        }
    }
}
