//! The arithmetic of a look, eight lanes wide: rows of sums, and what is read out of them.
//!
//! Every sum runs in one fixed order, whatever the processor: no fused multiply-add, no order of convenience. So a processor with
//! wider vectors gives the same bits, only sooner.

use super::lists::{Posting, Weights};

const LANES: usize = 8;

/// What one pass over all likenesses gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) nearest: Option<usize>,
    pub(super) likeness: f64,
    pub(super) sum: f64,
    pub(super) sum_of_squares: f64,
}

/// Runs `work` with the widest vectors that this processor has. Only what is inlined into `work` is compiled for them.
#[inline]
pub(in super::super) fn widest<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the compiler cannot know what processor it will be")]
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { with_avx2(work) };
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Asks for the line of memory in which a value lies, so that it is near when it is wanted.
#[inline(always)]
pub(super) fn fetch<T>(values: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = values.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "fetching ahead has no safe form")]
        // SAFETY: it changes nothing, and every processor of this kind has it.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

/// Adds the weights of a term, times `factor`, to the sums of its micro-clusters. A row holds a zero for every micro-cluster that
/// lacks the term: adding nothing changes no sum.
#[inline(always)]
pub(super) fn add(sums: &mut [f32], weights: Weights<'_>, factor: f32) {
    match weights {
        Weights::Row(row) => sums.iter_mut().zip(row).for_each(|(sum, tf)| *sum += factor * tf),
        Weights::List(list) => {
            let (fours, rest) = list.as_chunks::<4>();
            fours.iter().for_each(|four| add_postings(sums, four, factor));
            add_postings(sums, rest, factor);
        }
    }
}

#[inline(always)]
fn add_postings(sums: &mut [f32], postings: &[Posting], factor: f32) {
    for posting in postings {
        sums[posting.micro as usize] += factor * posting.tf;
    }
}

/// Turns dot products into likenesses in place and sums them up, lane by lane.
#[inline(always)]
pub(super) fn reduce(sums: &mut [f32], inverse: &[f32], inverse_query: f32) -> Found {
    let (whole, rest) = sums.as_chunks_mut::<LANES>();
    let (whole_inverse, rest_inverse) = inverse.as_chunks::<LANES>();
    let mut lanes = multiply(whole, whole_inverse);
    // Zeros change neither sums nor the largest.
    let (mut likenesses, mut others) = ([0.0; LANES], [0.0; LANES]);
    likenesses[..rest.len()].copy_from_slice(rest);
    others[..rest_inverse.len()].copy_from_slice(rest_inverse);
    lanes.take(&mut likenesses, &others);
    rest.copy_from_slice(&likenesses[..rest.len()]);

    let most = lanes.best.iter().fold(0.0f32, |most, &x| if x > most { x } else { most });
    let total = |lanes: [f32; LANES]| lanes.iter().map(|&x| f64::from(x)).sum::<f64>();
    let scale = f64::from(inverse_query);
    Found {
        nearest: (most > 0.0).then(|| first_of(sums, most)).flatten(),
        likeness: (f64::from(most) * scale).clamp(0.0, 1.0),
        sum: total(lanes.sum) * scale,
        sum_of_squares: total(lanes.squares) * scale * scale,
    }
}

/// Sums and largest of every eighth likeness.
#[derive(Default)]
struct Lanes {
    sum: [f32; LANES],
    squares: [f32; LANES],
    best: [f32; LANES],
}

impl Lanes {
    #[inline(always)]
    fn take(&mut self, values: &mut [f32; LANES], inverse: &[f32; LANES]) {
        for lane in 0..LANES {
            let likeness = values[lane] * inverse[lane];
            self.sum[lane] += likeness;
            self.squares[lane] += likeness * likeness;
            self.best[lane] = if likeness > self.best[lane] { likeness } else { self.best[lane] };
            values[lane] = likeness;
        }
    }
}

/// Multiplies values in place, eight at a time.
fn multiply(values: &mut [[f32; LANES]], inverse: &[[f32; LANES]]) -> Lanes {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the compiler cannot know what processor it will be")]
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { multiply_with_avx2(values, inverse) };
    }
    let mut lanes = Lanes::default();
    values.iter_mut().zip(inverse).for_each(|(values, inverse)| lanes.take(values, inverse));
    lanes
}

/// The same by name: three sums at a time are more than the compiler makes vectors of.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn multiply_with_avx2(values: &mut [[f32; LANES]], inverse: &[[f32; LANES]]) -> Lanes {
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    };
    let (mut sum, mut squares, mut best) = (_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps());
    for (values, inverse) in values.iter_mut().zip(inverse) {
        #[expect(unsafe_code, reason = "vectors are read from pointers")]
        // SAFETY: each is of eight values.
        let likenesses = unsafe {
            let likenesses = _mm256_mul_ps(_mm256_loadu_ps(values.as_ptr()), _mm256_loadu_ps(inverse.as_ptr()));
            _mm256_storeu_ps(values.as_mut_ptr(), likenesses);
            likenesses
        };
        sum = _mm256_add_ps(sum, likenesses);
        squares = _mm256_add_ps(squares, _mm256_mul_ps(likenesses, likenesses));
        best = _mm256_max_ps(likenesses, best);
    }
    let mut lanes = Lanes::default();
    for (lanes, vector) in [(&mut lanes.sum, sum), (&mut lanes.squares, squares), (&mut lanes.best, best)] {
        #[expect(unsafe_code, reason = "vectors are written to pointers")]
        // SAFETY: it is of eight values.
        unsafe {
            _mm256_storeu_ps(lanes.as_mut_ptr(), vector);
        }
    }
    lanes
}

/// Place of the first of `sums` that is `most`.
#[inline(always)]
fn first_of(sums: &[f32], most: f32) -> Option<usize> {
    let holds = |chunk: &[f32]| chunk.iter().fold(false, |found, &x| found | (x == most));
    let start = 4 * LANES * sums.chunks(4 * LANES).position(holds)?;
    sums[start..].iter().position(|&x| x == most).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_vectors_give_the_same_bits() {
        let value = |i: usize| (1 + (i * 2_654_435_761) % 1_009) as f32 / 977.0;
        for n in [1, 7, 8, 31, 32, 100, 1_003] {
            let (row, inverse): (Vec<f32>, Vec<f32>) = (0..n).map(|i| (value(i), value(i + n))).unzip();
            let look = || {
                let mut sums: Vec<f32> = row.iter().rev().copied().collect();
                add(&mut sums, Weights::Row(&row), 0.37);
                let found = reduce(&mut sums, &inverse, 0.73);
                (sums, found)
            };
            let (plain, wide) = (look(), widest(look));
            assert_eq!(plain, wide, "{n} micro-clusters");
            assert_eq!(plain.0.iter().position(|&x| plain.0.iter().all(|&y| y <= x)), plain.1.nearest);
        }
    }
}
