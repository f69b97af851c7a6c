//! Which clusters the pages of each main domain went to, in bounded memory.

use std::collections::BTreeMap;

use windrow_core::cluster::ClusterId;

/// Pairs of a domain and a cluster that are counted; beyond them the rarest domains are counted together.
const PAIRS: usize = 200_000;

/// Pages by cluster.
pub type ByCluster = BTreeMap<ClusterId, u64>;

/// Pages of domains by cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Domains {
    counts: BTreeMap<String, ByCluster>,
    pairs: usize,
    /// Of domains that were too rare to be kept.
    rare: ByCluster,
}

impl Domains {
    pub(super) fn add(&mut self, domain: &str, clusters: &ByCluster) {
        if !self.counts.contains_key(domain) {
            self.counts.insert(domain.to_owned(), ByCluster::new());
        }
        let Some(counts) = self.counts.get_mut(domain) else { return };
        let before = counts.len();
        clusters.iter().for_each(|(cluster, pages)| *counts.entry(*cluster).or_default() += pages);
        self.pairs += counts.len() - before;
        if self.pairs > PAIRS {
            self.drop_rare(PAIRS / 2);
        }
    }

    /// Counts the rarest domains together until so many pairs are left.
    fn drop_rare(&mut self, left: usize) {
        let mut by_pages: Vec<(u64, String)> =
            self.counts.iter().map(|(domain, clusters)| (clusters.values().sum(), domain.clone())).collect();
        by_pages.sort_unstable();
        for (_, domain) in by_pages {
            if self.pairs <= left {
                return;
            }
            let dropped = self.counts.remove(&domain).unwrap_or_default();
            self.pairs -= dropped.len();
            dropped.into_iter().for_each(|(cluster, pages)| *self.rare.entry(cluster).or_default() += pages);
        }
    }

    /// Domains whose name holds a text, most pages first; of equals, by name.
    pub(super) fn largest(&self, text: &str) -> Vec<(&str, &ByCluster, u64)> {
        let fits = self.counts.iter().filter(|(domain, _)| domain.contains(text));
        let mut found: Vec<_> =
            fits.map(|(domain, clusters)| (domain.as_str(), clusters, clusters.values().sum::<u64>())).collect();
        found.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
        found
    }

    /// Of domains that were too rare to be kept.
    pub(super) fn rare(&self) -> &ByCluster {
        &self.rare
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_domains_go_together_and_no_page_is_lost() {
        let mut domains = Domains::default();
        for n in 0..u64::try_from(PAIRS).unwrap() + 1 {
            domains.add(&format!("{n}.example"), &ByCluster::from([(1, 1 + n % 7)]));
        }
        let kept: u64 = domains.largest("").iter().map(|(.., pages)| pages).sum();
        let total: u64 = (0..u64::try_from(PAIRS).unwrap() + 1).map(|n| 1 + n % 7).sum();
        assert_eq!(domains.pairs, PAIRS / 2);
        assert_eq!(kept + domains.rare()[&1], total);
        assert_eq!(domains.largest("").last().map(|(.., pages)| *pages), Some(4), "the rarest are gone");
    }
}
