//! What is like what: clusters and themes compared by their telling terms, for maps and lists of neighbours.
//!
//! A centre is the vector of its cluster's c-TF-IDF weights, v(t) = sqrt(tf(t)) ln(1 + A / f(t)), of unit length, without all but the
//! 256 largest values; likeness is the cosine, 0 to 1. A theme's vector is made of its own terms in the same way. Centres are
//! inverted lists, as in the model, so that a comparison costs what the two share.

use crate::cluster::ClusterId;
use crate::label::{Rarity, Weights};

/// Values of a centre that count.
const MOST_TERMS: usize = 256;

/// The centres of all clusters.
#[derive(Debug)]
pub(super) struct Centres {
    clusters: Vec<ClusterId>,
    /// Unit vectors, one a cluster.
    vectors: Vec<Vec<(u32, f64)>>,
    /// For each term (place of the cluster, value).
    lists: Vec<Vec<(u32, f64)>>,
    rarity: Rarity,
    /// The same, term after term: themes ask for it again and again.
    rare: Vec<f64>,
}

impl Centres {
    pub(super) fn new(terms: &[(ClusterId, Vec<(u32, f64)>)]) -> Self {
        let rarity = Rarity::of(terms);
        let rare = rarity.all();
        let vectors: Vec<_> = terms.iter().map(|(_, terms)| unit(&rare, terms)).collect();
        let n_terms = vectors.iter().flatten().map(|(term, _)| term + 1).max().unwrap_or(0);
        let mut lists = vec![Vec::new(); n_terms as usize];
        for (place, vector) in (0..).zip(&vectors) {
            vector.iter().for_each(|&(term, value)| lists[term as usize].push((place, value)));
        }
        Self { clusters: terms.iter().map(|(cluster, _)| *cluster).collect(), vectors, lists, rarity, rare }
    }

    /// How rare terms are.
    pub(super) fn rarity(&self) -> &Rarity {
        &self.rarity
    }

    /// Likenesses of a cluster to all that share a term with it, itself among them; clusters ascending.
    pub(super) fn to_cluster(&self, cluster: ClusterId) -> Vec<(ClusterId, f64)> {
        self.clusters.binary_search(&cluster).map_or(Vec::new(), |place| self.likenesses(&self.vectors[place]))
    }

    /// Likenesses of a theme with these terms to all clusters that share a term with it, clusters ascending.
    pub(super) fn to_theme(&self, terms: &Weights) -> Vec<(ClusterId, f64)> {
        self.likenesses(&unit(&self.rare, terms))
    }

    fn likenesses(&self, vector: &Weights) -> Vec<(ClusterId, f64)> {
        let mut sums = vec![0.0; self.clusters.len()];
        for &(term, value) in vector {
            let list = self.lists.get(term as usize).map_or(&[][..], Vec::as_slice);
            list.iter().for_each(|&(place, centre)| sums[place as usize] += value * centre);
        }
        let found = self.clusters.iter().copied().zip(sums).filter(|(_, likeness)| *likeness > 0.0);
        found.map(|(cluster, likeness)| (cluster, likeness.min(1.0))).collect()
    }
}

/// The unit vector of some terms.
fn unit(rare: &[f64], terms: &Weights) -> Vec<(u32, f64)> {
    let mut vector: Vec<(u32, f64)> = terms.iter().map(|&(term, weight)| (term, weight.sqrt() * rare[term as usize])).collect();
    if vector.len() > MOST_TERMS {
        vector.select_nth_unstable_by(MOST_TERMS, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        vector.truncate(MOST_TERMS);
        vector.sort_by_key(|&(term, _)| term);
    }
    let length = vector.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
    vector.iter_mut().for_each(|(_, value)| *value /= length.max(f64::MIN_POSITIVE));
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_is_the_cosine_of_telling_terms() {
        let clusters = vec![(3, vec![(0, 5.0), (1, 5.0)]), (7, vec![(1, 5.0), (2, 5.0)]), (9, vec![(4, 1.0)]), (11, vec![])];
        let centres = Centres::new(&clusters);
        let near = centres.to_cluster(3);
        assert_eq!(near.iter().map(|(cluster, _)| *cluster).collect::<Vec<_>>(), [3, 7]);
        let (common, own) = (centres.rarity.get(1), centres.rarity.get(0));
        let expected = common * common / (common * common + own * own);
        assert!((near[0].1 - 1.0).abs() < 1e-12 && (near[1].1 - expected).abs() < 1e-12, "{near:?}, not {expected}");
        assert_eq!(centres.to_theme(&[(4, 2.0)]), [(9, 1.0)]);
        assert_eq!((centres.to_cluster(11), centres.to_cluster(4), centres.to_theme(&[])), (vec![], vec![], vec![]));
    }

    #[test]
    fn only_the_largest_values_count() {
        let many: Vec<_> = (0..1_000).map(|term| (term, f64::from(term))).collect();
        let vector = unit(&Rarity::of(&[(0, many.clone())]).all(), &many);
        assert_eq!(vector.len(), MOST_TERMS);
        assert!(vector.is_sorted_by_key(|(term, _)| *term));
    }
}
