//! Measures of a clustering against known labels.
//!
//! All follow from the contingency table of labels and ids, natural logarithms: mutual information I, entropies H;
//! NMI = I / mean(H, H) with the geometric or the arithmetic mean; homogeneity I / H(labels), completeness I / H(ids);
//! ARI (Hubert & Arabie 1985); AMI with the arithmetic mean (Vinh, Epps & Bailey 2010). NMI flatters many small clusters, hence
//! always read ARI or AMI beside it. Values agree with scikit-learn's.

use serde::{Deserialize, Serialize};

/// How well ids agree with labels; 1 is perfect, 0 (for AMI and ARI) is chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Distinct ids among the scored rows.
    pub n: u64,
    /// Normalised mutual information, geometric mean of the entropies.
    pub nmi_geometric: f64,
    /// Normalised mutual information, arithmetic mean of the entropies.
    pub nmi_arithmetic: f64,
    /// Adjusted mutual information.
    pub ami: f64,
    /// Adjusted Rand index.
    pub ari: f64,
    /// Whether ids hold one label only.
    pub homogeneity: f64,
    /// Whether labels lie in one id only.
    pub completeness: f64,
}

impl Scores {
    /// Names of the measures, as in the fields.
    pub const NAMES: [&str; 7] = ["n", "nmi_geometric", "nmi_arithmetic", "ami", "ari", "homogeneity", "completeness"];

    /// Place of the number of groups among the measures.
    pub const N: usize = 0;
    /// Place of NMI with the geometric mean.
    pub const NMI: usize = 1;
    /// Place of AMI.
    pub const AMI: usize = 3;
    /// Place of ARI.
    pub const ARI: usize = 4;

    /// The measures, in the order of their names.
    pub fn values(&self) -> [f64; 7] {
        let Self { n, nmi_geometric, nmi_arithmetic, ami, ari, homogeneity, completeness } = *self;
        [n as f64, nmi_geometric, nmi_arithmetic, ami, ari, homogeneity, completeness]
    }
}

/// Scores `ids` against `labels`, one of each a row. Both slices are equally long.
pub fn score(labels: &[u64], ids: &[u64]) -> Scores {
    let table = Table::new(labels, ids);
    let (h_labels, h_ids) = (entropy(&table.labels, table.n), entropy(&table.ids, table.n));
    let information = table.information();
    let one_each = table.labels.len() <= 1 && table.ids.len() <= 1;
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
    let nmi = |mean: f64| match (one_each, mean > 0.0) {
        (true, _) => 1.0,
        (false, true) => information / mean,
        (false, false) => 0.0,
    };
    Scores {
        n: table.ids.len() as u64,
        nmi_geometric: nmi((h_labels * h_ids).sqrt()),
        nmi_arithmetic: nmi(f64::midpoint(h_labels, h_ids)),
        ami: ami(&table, information, f64::midpoint(h_labels, h_ids)),
        ari: ari(&table),
        homogeneity: ratio(information, h_labels),
        completeness: ratio(information, h_ids),
    }
}

/// Contingency table: counts of labels, of ids, and of pairs that occur.
struct Table {
    n: u64,
    labels: Vec<u64>,
    ids: Vec<u64>,
    /// (label, id, count), numbered densely.
    pairs: Vec<(usize, usize, u64)>,
}

impl Table {
    fn new(labels: &[u64], ids: &[u64]) -> Self {
        assert_eq!(labels.len(), ids.len(), "one label and one id a row");
        let (labels, n_labels) = number(labels);
        let (ids, n_ids) = number(ids);
        let mut rows: Vec<(usize, usize)> = labels.iter().copied().zip(ids.iter().copied()).collect();
        rows.sort_unstable();
        let mut table = Self { n: rows.len() as u64, labels: vec![0; n_labels], ids: vec![0; n_ids], pairs: Vec::new() };
        for (label, id) in rows {
            table.labels[label] += 1;
            table.ids[id] += 1;
            match table.pairs.last_mut().filter(|last| (last.0, last.1) == (label, id)) {
                Some(last) => last.2 += 1,
                None => table.pairs.push((label, id, 1)),
            }
        }
        table
    }

    fn information(&self) -> f64 {
        let n = self.n as f64;
        let parts = self.pairs.iter().map(|&(label, id, count)| {
            let (a, b, both) = (self.labels[label] as f64, self.ids[id] as f64, count as f64);
            both / n * libm::log(both * n / (a * b))
        });
        parts.sum::<f64>().max(0.0)
    }
}

/// Dense numbers for arbitrary values, ascending.
fn number(values: &[u64]) -> (Vec<usize>, usize) {
    let mut distinct = values.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let numbers = values.iter().map(|value| distinct.partition_point(|other| other < value)).collect();
    (numbers, distinct.len())
}

fn entropy(counts: &[u64], n: u64) -> f64 {
    counts.iter().map(|&count| count as f64 / n as f64).map(|p| -p * libm::log(p)).sum()
}

fn ari(table: &Table) -> f64 {
    let pairs_of = |count: u64| count as f64 * (count as f64 - 1.0) / 2.0;
    let sum = |counts: &[u64]| counts.iter().map(|&count| pairs_of(count)).sum::<f64>();
    let both: f64 = table.pairs.iter().map(|&(_, _, count)| pairs_of(count)).sum();
    let (a, b, all) = (sum(&table.labels), sum(&table.ids), pairs_of(table.n));
    let expected = if all > 0.0 { a * b / all } else { 0.0 };
    let most = f64::midpoint(a, b);
    if most == expected { 1.0 } else { (both - expected) / (most - expected) }
}

fn ami(table: &Table, information: f64, mean_entropy: f64) -> f64 {
    let (r, c) = (table.labels.len(), table.ids.len());
    if (r == c && r <= 1) || (r as u64 == table.n && c as u64 == table.n) {
        return 1.0;
    }
    let expected = expected_information(table);
    let spread = mean_entropy - expected;
    let spread = if spread < 0.0 { spread.min(-f64::EPSILON) } else { spread.max(f64::EPSILON) };
    (information - expected) / spread
}

/// Mutual information that chance alone gives for these sizes: a sum over all pairs of sizes and all their possible overlaps.
///
/// Equal sizes give equal terms, so each pair of distinct sizes is computed once.
fn expected_information(table: &Table) -> f64 {
    let n = table.n;
    let mut ln_factorial = vec![0.0f64];
    for k in 1..=n {
        ln_factorial.push(ln_factorial[k as usize - 1] + libm::log(k as f64));
    }
    let mut total = 0.0;
    for (a, times_a) in sizes(&table.labels) {
        for (b, times_b) in sizes(&table.ids) {
            total += (times_a * times_b) as f64 * expected_part(a, b, n, &ln_factorial);
        }
    }
    total
}

fn expected_part(a: u64, b: u64, n: u64, ln_factorial: &[f64]) -> f64 {
    let f = |k: u64| ln_factorial[k as usize];
    let fixed = f(a) + f(b) + f(n - a) + f(n - b) - f(n);
    let (from, to) = ((a + b).saturating_sub(n).max(1), a.min(b));
    let likeliest = (a + 1) * (b + 1) / (n + 2);
    let mut part = 0.0;
    for both in from..=to {
        let ln_chance = fixed - f(both) - f(a - both) - f(b - both) - f(n + both - a - b);
        let chance = libm::exp(ln_chance);
        let x = both as f64;
        part += x / n as f64 * libm::log(x * n as f64 / (a as f64 * b as f64)) * chance;
        if both > likeliest && chance < 1e-18 {
            break;
        }
    }
    part
}

/// Distinct sizes with how often each occurs.
fn sizes(counts: &[u64]) -> Vec<(u64, u64)> {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let mut sizes: Vec<(u64, u64)> = Vec::new();
    for size in sorted {
        match sizes.last_mut().filter(|last| last.0 == size) {
            Some(last) => last.1 += 1,
            None => sizes.push((size, 1)),
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(scores: Scores, expected: [f64; 6]) {
        let got =
            [scores.nmi_geometric, scores.nmi_arithmetic, scores.ami, scores.ari, scores.homogeneity, scores.completeness];
        for (got, expected) in got.into_iter().zip(expected) {
            assert!((got - expected).abs() < 1e-9, "{scores:?} is not {expected:?}");
        }
    }

    #[test]
    fn measures_stand_where_their_names_do() {
        let places = [Scores::N, Scores::NMI, Scores::AMI, Scores::ARI].map(|at| Scores::NAMES[at]);
        assert_eq!(places, ["n", "nmi_geometric", "ami", "ari"]);
    }

    /// Expected values: scikit-learn 1.x, `normalized_mutual_info_score` (geometric, arithmetic), `adjusted_mutual_info_score`,
    /// `adjusted_rand_score`, `homogeneity_score`, `completeness_score`.
    #[test]
    fn ten_rows_score_as_in_scikit_learn() {
        let scores = score(&[0, 0, 0, 1, 1, 1, 2, 2, 2, 2], &[0, 0, 1, 1, 1, 1, 2, 2, 0, 3]);
        assert_eq!(scores.n, 4);
        close(
            scores,
            [
                0.570_096_461_814_868_3,
                0.568_241_032_922_968,
                0.335_701_002_651_579_04,
                0.28,
                0.618_065_646_292_154_3,
                0.525_850_251_868_233_1,
            ],
        );
    }

    #[test]
    fn two_thousand_rows_score_as_in_scikit_learn() {
        let mut x = 1u64;
        let (mut labels, mut ids) = (Vec::new(), Vec::new());
        for _ in 0..2_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (a, b) = ((x >> 33) % 7, (x >> 40) % 3);
            labels.push(a);
            ids.push(if (x >> 50) & 3 != 0 { a * 2 + u64::from(b == 0) } else { (x >> 20) % 11 });
        }
        let scores = score(&labels, &ids);
        assert_eq!(scores.n, 14);
        close(
            scores,
            [
                0.490_229_643_182_331_64,
                0.485_338_125_243_068_9,
                0.480_811_623_890_412_04,
                0.387_264_019_134_080_4,
                0.564_946_402_507_415_1,
                0.425_394_518_821_671_5,
            ],
        );
    }

    #[test]
    fn perfect_and_useless_answers() {
        close(score(&[5, 5, 9, 9], &[1, 1, 0, 0]), [1.0; 6]);
        close(score(&[5, 5, 9, 9], &[1, 1, 1, 1]), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        close(score(&[5, 5], &[1, 1]), [1.0; 6]);
    }
}
