//! CLUSTER: one decision a page, in order. The trait every algorithm implements, and the place where one is made by its name.
//!
//! ```text
//! two_level ─ vocabulary   terms of living things, numbered
//!           ├ micro        fine level: on-line micro-clusters on an inverted index, fading, clean-up
//!           ├ coarse       lasting clusters over the micro-clusters: weighted spherical K-Means, warm-started
//!           ├ memory       what clusters keep of micro-clusters that died
//!           └ slots        which living cluster writes to which topic
//! kmeans ─ centres, rule, block: streaming K-Means on pages, on the same vocabulary and slots
//! original ─ features, lloyd, hungarian, lives: what Windrow replaces, fitted anew for each block, on the same slots
//! ```

mod boilerplate;
mod coarse;
mod kmeans;
mod memory;
mod micro;
mod model_time;
pub mod original;
mod settings;
mod slots;
mod two_level;
mod vocabulary;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::featurize::TermKind;
use crate::lineage::{Edit, EditError, LineageEvent};
use crate::record::Pages;
use crate::snapshot::SnapshotError;

pub use settings::{Clusters, HalfLife, HalfLifeError, KMeansRule, KMeansSettings, ModelSettings, OriginalSettings};

/// Id of a cluster; never used again.
pub type ClusterId = u32;
/// Id of a micro-cluster; never used again.
pub type MicroId = u64;
/// Topic number 0..K-1 that a living cluster writes to.
pub type Slot = u32;

/// What the model says of a page at its arrival. Final.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The cluster.
    pub cluster: ClusterId,
    /// The slot that the cluster writes to.
    pub slot: Slot,
    /// The micro-cluster.
    pub micro_cluster: MicroId,
    /// Whether the page opened its micro-cluster.
    pub novel: bool,
    /// Likeness to the micro-cluster, in [0, 1].
    pub score: f64,
}

/// Where a model that does not learn puts a page: among what lives, so that nothing is named that never comes to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assignment {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its slot.
    pub slot: Slot,
    /// The living micro-cluster most like the page; none when none shares a term with it.
    pub micro_cluster: Option<MicroId>,
    /// Whether learning the page would open a micro-cluster: nothing that lives explains it.
    pub novel: bool,
    /// Likeness to the micro-cluster, in [0, 1].
    pub score: f64,
}

/// One term's share in a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What the term is.
    pub kind: TermKind,
    /// The term.
    pub term: String,
    /// Its share; the parts of a candidate sum to its score.
    pub share: f64,
}

/// The score that these parts make, in [0, 1]. They are worked out with rounding, and with lengths that lag a little behind: where they come to
/// more than a likeness can be, all give way alike, so that they sum to the score still.
fn score_of(parts: &mut [Part]) -> f64 {
    let sum = parts.iter().map(|part| part.share).sum::<f64>();
    if sum > 1.0 {
        parts.iter_mut().for_each(|part| part.share /= sum);
    }
    sum.clamp(0.0, 1.0)
}

/// A micro-cluster that a page could go to, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its cluster.
    pub cluster: ClusterId,
    /// The micro-cluster.
    pub micro_cluster: MicroId,
    /// Likeness of the page to it.
    pub score: f64,
    /// The terms that make the likeness, largest share first.
    pub parts: Vec<Part>,
}

/// Why the model, as it stands, would put a page where it would.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Where the page would go now, with its reasons; none while the model knows no micro-cluster.
    pub winner: Option<Candidate>,
    /// The nearest micro-cluster of another cluster.
    pub runner_up: Option<Candidate>,
    /// Whether the page would open a micro-cluster of its own.
    pub novel: bool,
    /// The least likeness that would have been enough to join.
    pub threshold: f64,
}

/// A living micro-cluster, as others may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct MicroSummary {
    /// Its id.
    pub micro_cluster: MicroId,
    /// The cluster it belongs to now.
    pub cluster: ClusterId,
    /// Its faded weight, in pages.
    pub weight: f64,
    /// Pages that it ever took, with those of micro-clusters merged into it.
    pub n_pages: u64,
    /// Whether a user put it where it is, so that it stays there.
    pub held: bool,
}

/// A living cluster, as others may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSummary {
    /// Its id.
    pub cluster: ClusterId,
    /// Its slot.
    pub slot: Slot,
    /// Weight of its memory, in pages.
    pub weight: f64,
    /// Whether it may lose its slot.
    pub pinned: bool,
}

/// What is alive in a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelSummary {
    /// Pages learnt.
    pub n_pages: u64,
    /// Distinct terms alive.
    pub n_terms: usize,
    /// Living micro-clusters, by id.
    pub micro_clusters: Vec<MicroSummary>,
    /// Living clusters, by id.
    pub clusters: Vec<ClusterSummary>,
}

/// A clustering algorithm that learns one order of pages.
///
/// The same pages in the same order give the same decisions and the same snapshot, however the pages are cut into batches and
/// however often the model was put into a snapshot and back.
pub trait Clusterer: Send {
    /// Name of the algorithm in settings and snapshots.
    fn kind(&self) -> &'static str;

    /// Rows of one block, rejects among them; the caller never hands over more pages at a time. Where it hands over fewer the block ends,
    /// so it cuts at the same places whenever the same order is learnt.
    fn block_len(&self) -> usize {
        1
    }

    /// Learns one block (`rows` of `pages`) and appends one decision a page. What happened to clusters and micro-clusters goes
    /// to `log`, before the decisions that follow from it.
    fn learn(&mut self, pages: &Pages, rows: Range<usize>, decisions: &mut Vec<Decision>, log: &mut Vec<LineageEvent>);

    /// What `learn` would decide for a page, without learning it.
    fn assign(&self, pages: &Pages, row: usize) -> Option<Decision>;

    /// Where pages belong among what lives, without learning them: one a page, none while nothing lives.
    fn place(&self, pages: &Pages, rows: Range<usize>, places: &mut Vec<Option<Assignment>>);

    /// Why.
    fn explain(&self, pages: &Pages, row: usize) -> Explanation;

    /// Counts up by one whenever the membership of micro-clusters was made anew; labels follow it.
    fn generation(&self) -> u64;

    /// What is alive.
    fn summary(&self) -> ModelSummary;

    /// For each of these micro-clusters its terms by ascending number, with their weights in pages; empty for one that is not alive.
    /// All at once, for it takes a walk through the terms of all.
    fn micro_terms(&self, micro_clusters: &[MicroId]) -> Vec<Vec<(u32, f64)>>;

    /// Terms of every living cluster, its memory and its living micro-clusters, with their weights in pages: clusters ascending,
    /// in each the terms by ascending number.
    fn cluster_terms(&self) -> Vec<(ClusterId, Vec<(u32, f64)>)>;

    /// The term that a number of `cluster_terms` or `micro_terms` stands for, until the next page is learnt.
    fn term(&self, number: u32) -> (TermKind, &str);

    /// Applies what a user asked for, as far as it concerns the model: pins, and what goes where. One that is refused changes nothing.
    fn edit(&mut self, edit: &Edit, log: &mut Vec<LineageEvent>) -> Result<(), EditError>;

    /// The model as one that can learn from a sample; none for one that cannot.
    fn sampling(&self) -> Option<&dyn Sampling> {
        None
    }

    /// The same, to count pages.
    fn sampling_mut(&mut self) -> Option<&mut dyn Sampling> {
        None
    }

    /// The whole state, as bytes.
    fn snapshot(&self) -> Vec<u8>;

    /// Takes the state from a snapshot of the same algorithm and settings.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError>;
}

/// What a model can do besides that learns a stream of which it looks at a part.
///
/// A copy of the model that stands still says which pages it explains. Of those only a sample is learnt; the others are counted where the
/// copy put them, in the place that they have in the order, so that weights, fading and everything that is due between pages go by all.
pub trait Sampling {
    /// For each page the micro-cluster that it joins and its likeness to it, where learning it would do no more than that; none where the
    /// page must be learnt.
    fn joined(&self, pages: &Pages, rows: Range<usize>, joined: &mut Vec<Option<(MicroId, f64)>>);

    /// Lets the time of a page pass that is not learnt: what is due before it happens.
    fn pass(&mut self, log: &mut Vec<LineageEvent>);

    /// Counts that page in a micro-cluster, as one like those that it has; none when it is not alive.
    fn count(&mut self, micro_cluster: MicroId, score: f64) -> Option<Decision>;

    /// Brings terms up to what was counted; before the state is looked at from outside.
    fn settle(&mut self);
}

/// A model name that nothing answers to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no model {name:?}; known: {known}", name = .0, known = MODEL_KINDS.join(", "))]
pub struct UnknownModel(pub String);

/// Names of the algorithms that there are.
pub const MODEL_KINDS: [&str; 3] = [two_level::KIND, kmeans::KIND, original::KIND];

/// An empty model of the kind that the settings name.
pub fn new_model(settings: &ModelSettings) -> Result<Box<dyn Clusterer>, UnknownModel> {
    match settings.kind.as_str() {
        two_level::KIND => Ok(Box::new(two_level::TwoLevel::new(settings))),
        kmeans::KIND => Ok(Box::new(kmeans::KMeans::new(settings))),
        original::KIND => Ok(Box::new(original::Original::new(settings))),
        other => Err(UnknownModel(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_sum_to_the_score_however_they_were_rounded() {
        let part = |share| Part { kind: TermKind::Word, term: String::new(), share };
        let mut parts = [part(0.7), part(0.4), part(-0.05)];
        assert!((score_of(&mut parts) - 1.0).abs() < 1e-12);
        assert!((parts.iter().map(|part| part.share).sum::<f64>() - 1.0).abs() < 1e-12, "{parts:?}");
        let mut parts = [part(0.5), part(0.2)];
        assert!((score_of(&mut parts) - 0.7).abs() < 1e-12 && (parts[0].share - 0.5).abs() < 1e-12);
    }
}
