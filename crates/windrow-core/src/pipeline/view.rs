//! The view: plain data about the clusters, for whoever shows them.

use serde::Serialize;

use super::Pipeline;
use super::book::{DeadCluster, Example};
use crate::cluster::{ClusterId, MicroSummary, Slot};
use crate::featurize::language;
use crate::label::LabelTerm;

/// Domains shown for a cluster.
const DOMAINS_SHOWN: usize = 10;
/// Heaviest micro-clusters of a cluster whose language is identified.
const LANGUAGE_MICRO_CLUSTERS: usize = 20;

/// One living cluster as others see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ClusterView {
    /// Its id.
    pub cluster: ClusterId,
    /// Its slot.
    pub slot: Slot,
    /// Pages given to it at their arrival: what topics and Parquet hold.
    pub delivered: u64,
    /// Pages that belong to it after later moves and edits.
    pub now: u64,
    /// The user's name, or the label made of its terms.
    pub label: String,
    /// Whether the label is a user's.
    pub renamed: bool,
    /// Whether it keeps its slot whatever its weight.
    pub pinned: bool,
    /// Faded weight of its memory, in pages.
    pub weight: f64,
    /// Living micro-clusters.
    pub micro_clusters: u64,
    /// Pages learnt when it was born.
    pub born: u64,
    /// Position of its latest page.
    pub latest_at: u64,
    /// Terms with their c-TF-IDF weight, best first.
    pub terms: Vec<LabelTerm>,
    /// Most frequent registrable domains with their page counts.
    pub domains: Vec<(String, u64)>,
    /// Languages (ISO 639) with their share of the cluster's weight.
    pub languages: Vec<(String, f64)>,
    /// Pages nearest to their micro-clusters.
    pub representative: Vec<Example>,
    /// Pages that only just belong.
    pub boundary: Vec<Example>,
    /// Latest pages, newest first.
    pub latest: Vec<Example>,
    /// Pages per bucket of the order, oldest first.
    pub volume: Vec<u32>,
}

/// All clusters as others see them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct View {
    /// Pages learnt.
    pub pages: u64,
    /// Living micro-clusters.
    pub micro_clusters: u64,
    /// Distinct terms alive.
    pub terms: u64,
    /// Times that the clusters were made anew from the micro-clusters.
    pub generation: u64,
    /// Rows of a bucket of `volume`.
    pub bucket_rows: u64,
    /// Living clusters, by id.
    pub clusters: Vec<ClusterView>,
    /// Clusters that died, oldest first; older ones are in the lineage.
    pub dead: Vec<DeadCluster>,
}

impl Pipeline {
    /// The clusters as they stand.
    pub fn view(&self) -> View {
        let summary = self.model.summary();
        let mut view = View {
            pages: self.position,
            micro_clusters: summary.micro_clusters.len() as u64,
            terms: summary.n_terms as u64,
            generation: self.model.generation(),
            dead: self.book.dead.iter().cloned().collect(),
            ..View::default()
        };
        for cluster in &summary.clusters {
            let mut members: Vec<_> = summary.micro_clusters.iter().filter(|m| m.cluster == cluster.cluster).collect();
            members.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.micro_cluster.cmp(&b.micro_cluster)));
            let Some(entry) = self.book.alive.get(&cluster.cluster) else { continue };
            let (volume, bucket_rows) = self.book.volume(entry, self.position);
            view.bucket_rows = bucket_rows;
            view.clusters.push(ClusterView {
                cluster: cluster.cluster,
                slot: cluster.slot,
                delivered: entry.delivered,
                now: entry.faded + members.iter().map(|m| m.n_pages).sum::<u64>(),
                label: entry.shown().to_owned(),
                renamed: entry.name.is_some(),
                pinned: entry.pinned,
                weight: cluster.weight,
                micro_clusters: members.len() as u64,
                born: entry.born,
                latest_at: entry.latest_at,
                terms: entry.terms.clone(),
                domains: entry.domains.top(DOMAINS_SHOWN),
                languages: self.languages(&members),
                representative: by_score(&entry.representative, |a, b| b.total_cmp(&a)),
                boundary: by_score(&entry.boundary, |a, b| a.total_cmp(&b)),
                latest: entry.latest.iter().rev().cloned().collect(),
                volume,
            });
        }
        view
    }

    /// Languages of the heaviest micro-clusters, identified from their terms, with their share of the weight.
    fn languages(&self, members: &[&MicroSummary]) -> Vec<(String, f64)> {
        let mut shares: Vec<(String, f64)> = Vec::new();
        let mut total = 0.0;
        for micro in members.iter().take(LANGUAGE_MICRO_CLUSTERS) {
            let words: Vec<String> = self.model.micro_terms(micro.micro_cluster).into_iter().map(|(_, term, _)| term).collect();
            let Some(code) = language::language_of(&words.join(" ")) else { continue };
            total += micro.weight;
            match shares.iter_mut().find(|(known, _)| known == code) {
                Some((_, weight)) => *weight += micro.weight,
                None => shares.push((code.to_owned(), micro.weight)),
            }
        }
        shares.iter_mut().for_each(|(_, weight)| *weight /= total.max(f64::MIN_POSITIVE));
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        shares
    }
}

fn by_score(examples: &[Example], order: impl Fn(f64, f64) -> std::cmp::Ordering) -> Vec<Example> {
    let mut sorted = examples.to_vec();
    sorted.sort_by(|a, b| order(a.score, b.score).then_with(|| a.record_id.cmp(&b.record_id)));
    sorted
}
