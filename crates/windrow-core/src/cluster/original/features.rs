//! A page's vector as Spark's feature transformers make it of its main domain: `Tokenizer`, `HashingTF`, `IDF`, `StandardScaler`.
//!
//! ```text
//! tokens   lower case, split at the white space of Java's expressions, empty tokens at the end dropped
//! tf       count of each token at MurmurHash3 (x86, 32 bits, seed 42) of its UTF-8, modulo the number of features
//! tf·idf   idf = ln((m + 1) / (df + 1)) over the m pages that are fitted
//! scaled   divided by the deviation over these pages (m - 1 beneath), not centred; 0 where nothing deviates
//! ```
//!
//! Nearly all main domains are one token, so nearly all vectors have one component: pages are kept as distinct points with counts.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Seed of the hash, as Spark has it.
const SEED: u32 = 42;

/// A sparse vector: features ascending.
pub type Sparse = Vec<(u32, f64)>;

/// The tokens of a text as Spark's `Tokenizer` gives them: one, and an empty one, of an empty text.
pub fn tokens(text: &str) -> Vec<String> {
    let is_space = |c: char| matches!(c, '\t'..='\r' | ' ');
    let lower = text.to_lowercase();
    if !lower.contains(is_space) {
        return vec![lower];
    }
    let mut tokens: Vec<String> = lower.split(is_space).map(str::to_owned).collect();
    let end = tokens.iter().rposition(|token| !token.is_empty()).map_or(0, |last| last + 1);
    tokens.truncate(end);
    tokens
}

/// The feature of a token among so many, as Spark's `HashingTF` has it since 3.0.
pub fn feature(token: &str, n_features: u32) -> u32 {
    let hash = murmur3(token.as_bytes(), SEED).cast_signed();
    // Of a number below 2^32 and above 0.
    i64::from(hash).rem_euclid(i64::from(n_features)) as u32
}

/// How often each feature occurs among the tokens.
pub fn frequencies(tokens: &[String], n_features: u32) -> Sparse {
    let mut found: Vec<u32> = tokens.iter().map(|token| feature(token, n_features)).collect();
    found.sort_unstable();
    found.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f64)).collect()
}

/// MurmurHash3 by Austin Appleby, in its form for x86 with 32 bits.
fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let mixed = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let words = bytes.chunks_exact(4);
    let rest = words.remainder();
    let mut hash = words.fold(seed, |hash, word| {
        let word = u32::from_le_bytes(word.try_into().expect("four bytes"));
        (hash ^ mixed(word)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    if !rest.is_empty() {
        hash ^= mixed(rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)));
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// Pages that have one vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its frequencies.
    pub frequencies: Sparse,
    /// How many they are.
    pub n_pages: u64,
}

/// The distinct vectors of some pages, in the order in which they came.
#[derive(Debug, Default)]
pub struct Points {
    /// The points.
    pub points: Vec<Point>,
    /// The point of each page.
    pub of_page: Vec<u32>,
}

impl Points {
    /// Of the pages with these main domains.
    pub fn of<S: AsRef<str>>(domains: impl IntoIterator<Item = S>, n_features: u32) -> Self {
        let mut found = Self::default();
        let mut by_domain: FxHashMap<String, u32> = FxHashMap::default();
        let mut by_vector: FxHashMap<Vec<(u32, u64)>, u32> = FxHashMap::default();
        for domain in domains {
            let domain = domain.as_ref();
            let point = by_domain.get(domain).copied().unwrap_or_else(|| {
                let frequencies = frequencies(&tokens(domain), n_features);
                let key = frequencies.iter().map(|&(feature, count)| (feature, count.to_bits())).collect();
                let point = *by_vector.entry(key).or_insert_with(|| {
                    found.points.push(Point { frequencies, n_pages: 0 });
                    found.points.len() as u32 - 1
                });
                by_domain.insert(domain.to_owned(), point);
                point
            });
            found.points[point as usize].n_pages += 1;
            found.of_page.push(point);
        }
        found
    }
}

/// What the frequencies of a page are multiplied by: `IDF` and `StandardScaler`, fitted on some pages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Inverse document frequency of each feature.
    pub idf: Vec<f64>,
    /// What each feature deviates by.
    pub deviation: Vec<f64>,
}

impl Scaling {
    /// Fitted on these points.
    pub fn of(points: &[Point], n_features: u32) -> Self {
        let n = n_features as usize;
        let n_pages: u64 = points.iter().map(|point| point.n_pages).sum();
        let m = n_pages as f64;
        let mut document_frequency = vec![0_u64; n];
        for (point, &(feature, _)) in points.iter().flat_map(|point| point.frequencies.iter().map(move |entry| (point, entry)))
        {
            document_frequency[feature as usize] += point.n_pages;
        }
        let idf: Vec<f64> = document_frequency.iter().map(|&df| libm::log((m + 1.0) / (df as f64 + 1.0))).collect();
        let entries = || {
            let entries = |point: &'_ Point| -> Vec<(usize, f64, f64)> {
                let value =
                    |&(feature, count): &(u32, f64)| (feature as usize, count * idf[feature as usize], point.n_pages as f64);
                point.frequencies.iter().map(value).collect()
            };
            points.iter().flat_map(entries)
        };
        let mut mean = vec![0.0; n];
        entries().for_each(|(feature, value, pages)| mean[feature] += value * pages / m);
        // Where a page has nothing it is as far from the mean as the mean is large.
        let without = |feature: usize| m - document_frequency[feature] as f64;
        let mut squares: Vec<f64> = (0..n).map(|feature| mean[feature] * mean[feature] * without(feature)).collect();
        entries()
            .for_each(|(feature, value, pages)| squares[feature] += (value - mean[feature]) * (value - mean[feature]) * pages);
        let beneath = m - 1.0;
        let deviation = |square: f64| if beneath > 0.0 { (square / beneath).sqrt() } else { 0.0 };
        Self { deviation: squares.into_iter().map(deviation).collect(), idf }
    }

    /// Frequencies times `IDF`.
    pub fn weigh(&self, frequencies: &[(u32, f64)]) -> Sparse {
        frequencies.iter().map(|&(feature, count)| (feature, count * self.idf[feature as usize])).collect()
    }

    /// Frequencies times `IDF`, scaled.
    pub fn scale(&self, frequencies: &[(u32, f64)]) -> Sparse {
        let scaled = |(feature, value): (u32, f64)| {
            let deviation = self.deviation[feature as usize];
            // Spark multiplies by the inverse.
            (feature, if deviation > 0.0 { value * (1.0 / deviation) } else { 0.0 })
        };
        self.weigh(frequencies).into_iter().map(scaled).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split_as_java_does() {
        for (text, expected) in [
            ("Facebook", vec!["facebook"]),
            ("", vec![""]),
            (" a\tB\u{b}c  ", vec!["", "a", "b", "c"]),
            ("a  b", vec!["a", "", "b"]),
            (" \n ", vec![]),
            ("a\u{a0}b\u{2028}c", vec!["a\u{a0}b\u{2028}c"]),
            ("\u{85}", vec!["\u{85}"]),
            ("ΣΑΣ", vec!["σας"]),
        ] {
            assert_eq!(tokens(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tokens_are_hashed_as_published() {
        // Test vectors of MurmurHash3_x86_32.
        for (text, seed, hash) in
            [("", 0, 0), ("", 1, 0x514e_28b7), ("test", 0, 0xba6b_d213), ("Hello, world!", 0x9747_b28c, 0x2488_4cba)]
        {
            assert_eq!(murmur3(text.as_bytes(), seed), hash, "{text}");
        }
        assert_eq!(murmur3(b"aaa", 0x9747_b28c), 0x283e_0130);
        assert_eq!(murmur3(b"aa", 0x9747_b28c), 0x5d21_1726);
    }

    #[test]
    fn one_vector_is_one_point() {
        let points = Points::of(["a b", "x", "B A", "x", "a"], 1 << 20);
        assert_eq!(points.of_page, [0, 1, 0, 1, 2]);
        assert_eq!(points.points.iter().map(|point| point.n_pages).collect::<Vec<_>>(), [2, 2, 1]);
    }

    #[test]
    fn scaled_by_hand() {
        let point = |feature, count, n_pages| Point { frequencies: vec![(feature, count)], n_pages };
        let scaling = Scaling::of(&[point(0, 1.0, 3), point(1, 2.0, 1)], 3);
        let (a, b) = ((5.0_f64 / 4.0).ln(), (5.0_f64 / 2.0).ln());
        let deviation = |mean: f64, with: f64, n: f64| ((n * (with - mean).powi(2) + (4.0 - n) * mean * mean) / 3.0).sqrt();
        let expected = [deviation(0.75 * a, a, 3.0), deviation(0.5 * b, 2.0 * b, 1.0), 0.0];
        for (found, expected) in scaling.deviation.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15, "{:?}", scaling.deviation);
        }
        assert_eq!(scaling.scale(&[(1, 2.0)]), [(1, 2.0 * b * (1.0 / scaling.deviation[1]))]);
        assert_eq!(scaling.scale(&[(2, 1.0)]), [(2, 0.0)], "what does not deviate is nothing");
        assert_eq!(Scaling::of(&[point(0, 1.0, 1)], 1).deviation, [0.0], "one page deviates from nothing");
    }
}
