//! Learning from a sample: where the stream is faster than one learner.
//!
//! ```text
//! copies of the model, anywhere:  Prepared ─ Pipeline::sample ─> Sample: pages that must be learnt, and where the others belong
//! the model, one order:           Sample ─ Pipeline::learn_sample ─> Outcome: one decision a page, of all pages;  settle at the batch's end
//! ```
//!
//! A page must be learnt if the copy does not explain it, or if it is drawn: by a hash of its place in the order, so that neither cuts nor
//! repeats draw others. All other pages are counted when it is their turn, where the lineage says that the micro-cluster of theirs is by
//! then. The answers follow from the order, the settings, the rate, and where batches end: copies are those of a batch's beginning.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{AtHand, LabelsUsed, Outcome, Pipeline, Prepared, parcel, part};
use crate::cluster::{ClusterId, Decision, MicroId};
use crate::lineage::{Happening, LineageEvent};
use crate::record::{Pages, TextColumn};
use crate::snapshot::{self, SnapshotError};

const MAGIC: &[u8; 8] = b"WINDROWS";
/// Written and read by the same program on the same day: older ones are not kept.
const FORMAT: u32 = 2;

/// What a copy of the model made of a batch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Pages that the copy had learnt.
    of: u64,
    n_pages: usize,
    /// Places of those that must be learnt, and the pages themselves.
    rows: Vec<u32>,
    pages: Pages,
    /// Of the others, in order: micro-cluster, likeness, and number of the domain in `domains`.
    joined: Vec<(MicroId, f64, u32)>,
    /// And their sites and copies.
    seen: Vec<(u64, u64)>,
    domains: TextColumn,
}

/// Why pages cannot be learnt from a sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSampling {
    /// The model cannot do that.
    #[error("the model {0} looks at every page: it cannot learn from a sample")]
    Model(&'static str),
    /// What is carried along is counted page by page.
    #[error("columns that are carried along are counted page by page: there is no sample of them")]
    Kept,
    /// Made by something else than a copy.
    #[error("the sample was made with {found} pages learnt, the batch began with {wanted}")]
    OtherModel {
        /// Pages that its model had learnt.
        found: u64,
        /// Pages learnt when the batch began.
        wanted: u64,
    },
}

impl Sample {
    /// Pages that must be learnt.
    pub fn n_learnt(&self) -> usize {
        self.rows.len()
    }

    /// Says which source the pages come from: who prepares need not know how many there are.
    pub fn set_source(&mut self, source: u32) {
        self.pages.origin.iter_mut().for_each(|origin| origin.source = source);
    }

    /// The sample as bytes: equal samples give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        snapshot::seal_as(MAGIC, FORMAT, &parcel::with_marks(self, &self.pages.marks))
    }

    /// The sample that the bytes were made of.
    ///
    /// # Errors
    /// The bytes are not what was written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (_, body) = snapshot::open_as(MAGIC, FORMAT, bytes)?;
        let (mut sample, rest): (Self, _) = part(body)?;
        sample.pages.marks = part(rest)?.0;
        if sample.is_whole() { Ok(sample) } else { Err(SnapshotError::Damaged("its columns do not agree".into())) }
    }

    fn is_whole(&self) -> bool {
        let Self { n_pages, rows, pages, joined, seen, domains, .. } = self;
        parcel::are_whole(pages)
            && parcel::is_text(domains, domains.len())
            && rows.len() == pages.len()
            && rows.len() + joined.len() == *n_pages
            && seen.len() == joined.len()
            && rows.windows(2).all(|pair| pair[0] < pair[1])
            && rows.last().is_none_or(|&last| (last as usize) < *n_pages)
            && joined.iter().all(|&(_, score, domain)| score.is_finite() && (domain as usize) < domains.len())
    }
}

/// What became of micro-clusters that ended since a batch began.
#[derive(Debug)]
pub(super) struct Ended {
    /// Pages learnt when it began.
    since: u64,
    ends: BTreeMap<MicroId, End>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Merged(MicroId),
    Faded(ClusterId),
}

impl Ended {
    fn follow(&mut self, events: &[LineageEvent]) {
        for event in events {
            match event.happening {
                Happening::MicroMerged { micro_cluster, into, .. } => self.ends.insert(micro_cluster, End::Merged(into)),
                Happening::MicroFaded { micro_cluster, .. } => self.ends.insert(micro_cluster, End::Faded(event.cluster)),
                _ => None,
            };
        }
    }

    /// What stands for a micro-cluster now; and its cluster, where it has faded.
    fn heir(&self, mut micro_cluster: MicroId) -> (MicroId, Option<ClusterId>) {
        loop {
            match self.ends.get(&micro_cluster) {
                Some(End::Merged(into)) => micro_cluster = *into,
                Some(End::Faded(cluster)) => return (micro_cluster, Some(*cluster)),
                None => return (micro_cluster, None),
            }
        }
    }
}

impl Pipeline {
    /// What this model, which stays as it is, makes of a prepared batch: the first of its pages has this place in the order, and of those
    /// that are explained a share of `rate` is drawn to be learnt too.
    ///
    /// # Errors
    /// The model cannot do that, or columns are carried along.
    pub fn sample(&self, prepared: &Prepared, position: u64, rate: f64) -> Result<Sample, NoSampling> {
        let sampling = self.model.sampling().ok_or(NoSampling::Model(self.model.kind()))?;
        let pages = &*self.look(&prepared.pages);
        if !pages.kept.is_empty() {
            return Err(NoSampling::Kept);
        }
        let mut found = Vec::with_capacity(pages.len());
        sampling.joined(pages, 0..pages.len(), &mut found);
        let mut sample = Sample { of: self.position, n_pages: pages.len(), ..Sample::default() };
        let mut numbers: FxHashMap<&str, u32> = FxHashMap::default();
        for ((row, joined), position) in (0..).zip(found).zip(position..) {
            let Some((micro_cluster, score)) = joined.filter(|_| !is_drawn(position, self.settings.seed, rate)) else {
                sample.rows.push(row);
                continue;
            };
            let domain = pages.domain.get(row as usize);
            let number = *numbers.entry(domain).or_insert_with(|| {
                sample.domains.push(domain);
                sample.domains.len() as u32 - 1
            });
            sample.joined.push((micro_cluster, score, number));
            sample.seen.push((pages.marks.site[row as usize], pages.marks.copy[row as usize]));
        }
        sample.pages = prepared.pages.only(&sample.rows.iter().map(|&row| row as usize));
        Ok(sample)
    }

    /// Learns what a copy made of a batch, the copy being of this model as it was when the batch began. `outcome` is overwritten, and has
    /// one decision for each page. [`Pipeline::settle`] comes behind the last.
    ///
    /// # Errors
    /// The model cannot do that, or the sample is of another one. Nothing is changed.
    pub fn learn_sample(&mut self, sample: &Sample, outcome: &mut Outcome) -> Result<(), NoSampling> {
        if !self.kept.is_empty() {
            return Err(NoSampling::Kept);
        }
        self.model.sampling().ok_or(NoSampling::Model(self.model.kind()))?;
        let wanted = self.ended.as_ref().map_or(self.position, |ended| ended.since);
        if sample.of != wanted {
            return Err(NoSampling::OtherModel { found: sample.of, wanted });
        }
        self.ended.get_or_insert_with(|| Ended { since: wanted, ends: BTreeMap::new() });
        outcome.clear();
        outcome.position = self.position;
        let pages = &*self.read(&sample.pages);
        let (mut used, mut learnt) = (LabelsUsed::default(), Vec::with_capacity(sample.rows.len()));
        let (mut rows, mut joined) = (sample.rows.iter().peekable(), sample.joined.iter().zip(&sample.seen));
        for row in 0..sample.n_pages as u32 {
            let noted = outcome.lineage.len();
            let decision = if rows.next_if_eq(&&row).is_some() {
                let at = learnt.len();
                self.model.learn(pages, at..at + 1, &mut learnt, &mut outcome.lineage);
                self.follow(noted, &AtHand { pages, decisions: &learnt, new: at..at + 1 }, outcome, &mut used);
                self.see(&learnt[at], pages, at, &mut outcome.lineage);
                learnt[at]
            } else {
                let (&(micro_cluster, score, domain), &(site, copy)) =
                    joined.next().expect("one for each page that is not learnt");
                self.model.sampling_mut().expect("looked at before").pass(&mut outcome.lineage);
                let new = learnt.len()..learnt.len();
                self.follow(noted, &AtHand { pages, decisions: &learnt, new }, outcome, &mut used);
                let decision = self.count_joined(micro_cluster, score);
                self.book.count_unseen(decision.cluster, self.position, sample.domains.get(domain as usize));
                if let Some(watch) = &mut self.watch {
                    watch.count_unseen(&decision, self.position, (site, copy), &mut outcome.lineage);
                }
                decision
            };
            self.position += 1;
            outcome.decisions.push(decision);
            outcome.label.push(self.label_of(decision.cluster, &mut used, &mut outcome.labels));
        }
        self.settle_book(&learnt, pages);
        Ok(())
    }

    /// Ends a batch that was learnt from samples.
    pub fn settle(&mut self) {
        if let Some(sampling) = self.model.sampling_mut() {
            sampling.settle();
        }
        self.ended = None;
    }

    /// Brings book, labels and heirs up to date with what happened since `noted`.
    fn follow(&mut self, noted: usize, hand: &AtHand<'_>, outcome: &mut Outcome, used: &mut LabelsUsed) {
        if outcome.lineage.len() > noted || self.model.generation() != self.generation {
            if let Some(ended) = &mut self.ended {
                ended.follow(&outcome.lineage[noted..]);
            }
            self.take_note(noted, hand, &mut outcome.lineage);
            used.forget();
        }
    }

    /// Counts a page where its micro-cluster is now. One whose micro-cluster has faded since the batch began stays in its cluster; where that
    /// has died too, it goes to the one with the fewest pages, as nobody knows it any more.
    fn count_joined(&mut self, micro_cluster: MicroId, score: f64) -> Decision {
        let (micro_cluster, faded_in) = self.ended.as_ref().expect("a batch is under way").heir(micro_cluster);
        let sampling = self.model.sampling_mut().expect("looked at before");
        if let Some(decision) = sampling.count(micro_cluster, score) {
            return decision;
        }
        let fewest = || self.book.alive.iter().min_by_key(|(_, entry)| entry.delivered).map(|(cluster, _)| *cluster);
        let cluster = faded_in.filter(|cluster| self.book.alive.contains_key(cluster)).or_else(fewest);
        let cluster = cluster.expect("some cluster is alive once a page was learnt");
        let entry = self.book.alive.get_mut(&cluster).expect("it is alive");
        entry.faded += 1;
        Decision { cluster, slot: entry.slot, micro_cluster, novel: false, score }
    }
}

/// Whether the page with this place in the order is in the sample.
fn is_drawn(position: u64, seed: u64, rate: f64) -> bool {
    // As many bits as a float holds: 0 to 1, without 1.
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    ((xxh3_64_with_seed(&position.to_le_bytes(), seed) >> 11) as f64) * UNIT < rate
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ModelSettings;
    use crate::pipeline::WatchSettings;
    use crate::testing::{drifting_texts, pages_of};

    fn prepared(texts: &[String], first: u64) -> Prepared {
        let mut pages = pages_of(texts);
        pages.origin.iter_mut().for_each(|origin| origin.offset += first);
        Prepared { n_rows: texts.len() as u64, pages, ..Prepared::default() }
    }

    fn pipeline(kind: &str) -> Pipeline {
        let settings = ModelSettings { kind: kind.into(), clusters: 8.into(), ..ModelSettings::default() };
        Pipeline::new(&settings).expect("a model of this name").watching(WatchSettings::default())
    }

    /// What is said of each page, and what happened.
    type Told = (Vec<(Decision, String)>, Vec<LineageEvent>);

    fn tell(told: &mut Told, outcome: &mut Outcome) {
        let labels = outcome.label.iter().map(|&label| outcome.labels[label as usize].clone());
        told.0.extend(outcome.decisions.iter().copied().zip(labels));
        told.1.append(&mut outcome.lineage);
    }

    /// Learns a batch in pieces of `cut` pages, all of which a copy of the model looks at before; gives the pages learnt one by one.
    fn learn_batch(pipeline: &mut Pipeline, texts: &[String], cut: usize, rate: f64, told: &mut Told) -> usize {
        let (copy, begin) = (Pipeline::restore(&pipeline.snapshot()).expect("its own"), pipeline.position());
        let place = |piece: usize| begin + (piece * cut) as u64;
        let made =
            texts.chunks(cut).enumerate().map(|(piece, texts)| copy.sample(&prepared(texts, place(piece)), place(piece), rate));
        let (mut outcome, mut n_learnt) = (Outcome::default(), 0);
        for sample in made {
            let sample = sample.expect("the default model can").to_bytes();
            let sample = Sample::from_bytes(&sample).expect("its own bytes");
            n_learnt += sample.n_learnt();
            pipeline.learn_sample(&sample, &mut outcome).expect("of a copy");
            tell(told, &mut outcome);
        }
        pipeline.settle();
        n_learnt
    }

    fn learn_all(texts: &[String], batch: usize, cut: usize, rate: f64) -> (Told, Pipeline, usize) {
        let (mut pipeline, mut told, mut n_learnt) = (pipeline("two-level"), Told::default(), 0);
        for texts in texts.chunks(batch) {
            n_learnt += learn_batch(&mut pipeline, texts, cut, rate, &mut told);
        }
        (told, pipeline, n_learnt)
    }

    #[test]
    fn a_sample_of_all_is_learnt_like_all() {
        let texts = drifting_texts(6_000, 30, 4);
        let (mut whole, mut expected, mut outcome) = (pipeline("two-level"), Told::default(), Outcome::default());
        whole.learn(&prepared(&texts, 0), &mut outcome);
        tell(&mut expected, &mut outcome);
        let (told, sampled, n_learnt) = learn_all(&texts, 1_000, 130, 1.0);
        assert_eq!((told == expected, n_learnt), (true, texts.len()));
        assert!(sampled.snapshot() == whole.snapshot(), "the same model");
    }

    #[test]
    fn cuts_change_nothing_and_a_seed_does() {
        let texts = drifting_texts(12_000, 12, 5);
        let (told, model, n_learnt) = learn_all(&texts, 1_000, 1_000, 0.1);
        assert!(n_learnt < texts.len(), "{n_learnt} learnt");
        for cut in [1, 37, 999] {
            let (cut_up, same, n) = learn_all(&texts, 1_000, cut, 0.1);
            assert!((&cut_up, n) == (&told, n_learnt) && same.snapshot() == model.snapshot(), "pieces of {cut}");
        }
        let drawn = |seed| (0..100_000).filter(|&position| is_drawn(position, seed, 0.01)).collect::<Vec<_>>();
        assert!((900..1_100).contains(&drawn(1).len()) && drawn(1) != drawn(2), "{} drawn", drawn(1).len());
    }

    #[test]
    fn every_page_counts_whether_it_was_learnt_or_not() {
        let texts = drifting_texts(20_000, 60, 6);
        let (told, pipeline, _) = learn_all(&texts, 5_000, 700, 0.02);
        let happened = |wanted: fn(&Happening) -> bool| told.1.iter().any(|event| wanted(&event.happening));
        assert!(
            happened(|it| matches!(it, Happening::MicroMerged { .. }))
                && happened(|it| matches!(it, Happening::MicroFaded { .. }))
        );
        let view = pipeline.view();
        let (alive, dead) = (view.clusters.iter(), view.dead.iter());
        let delivered: u64 = alive.clone().map(|it| it.delivered).chain(dead.clone().map(|it| it.delivered)).sum();
        let now: u64 = alive.clone().map(|it| it.now).chain(dead.map(|it| it.now)).sum();
        let volume: u64 = alive.flat_map(|it| &it.volume).map(|&n| u64::from(n)).sum();
        assert_eq!([delivered, now, view.pages, volume + view.dead.iter().map(|it| it.delivered).sum::<u64>()], [20_000; 4]);
        for cluster in &view.clusters {
            let told = told.0.iter().filter(|(decision, _)| decision.cluster == cluster.cluster).count() as u64;
            assert_eq!(told, cluster.delivered, "cluster {}", cluster.cluster);
        }
        let (mut born, mut died) = (BTreeMap::new(), BTreeMap::new());
        for event in &told.1 {
            match event.happening {
                Happening::ClusterBorn { .. } => born.insert(event.cluster, event.position),
                Happening::ClusterDied { .. } => died.insert(event.cluster, event.position),
                _ => None,
            };
        }
        for ((decision, _), position) in told.0.iter().zip(0..) {
            let is_alive =
                born[&decision.cluster] <= position && died.get(&decision.cluster).is_none_or(|&died| position < died);
            assert!(is_alive, "page {position} went to cluster {} that is not alive", decision.cluster);
        }
    }

    #[test]
    fn a_page_whose_micro_cluster_has_faded_stays_in_its_cluster() {
        let rare = || "quiet lamp corner".to_owned();
        let common = |at: usize| format!("loud market street{}", at % 3);
        let mut first: Vec<String> = (0..600).map(common).collect();
        first.extend((0..3).map(|_| rare()));
        let (mut pipeline, mut told) = (pipeline("two-level"), Told::default());
        learn_batch(&mut pipeline, &first, 50, 0.01, &mut told);
        let (before, _) = told.0[first.len() - 1];
        let mut second: Vec<String> = (0..9_000).map(common).collect();
        second.push(rare());
        let mut told = Told::default();
        learn_batch(&mut pipeline, &second, 1_000, 0.0, &mut told);
        let faded = |event: &LineageEvent| matches!(event.happening, Happening::MicroFaded { micro_cluster, .. } if micro_cluster == before.micro_cluster);
        let home = told.1.iter().find(|event| faded(event)).expect("it has faded").cluster;
        let (last, _) = told.0[second.len() - 1];
        assert_eq!((last.micro_cluster, last.cluster, last.novel), (before.micro_cluster, home, false));
        let view = pipeline.view();
        let now: u64 = view.clusters.iter().map(|it| it.now).chain(view.dead.iter().map(|it| it.now)).sum();
        assert_eq!(now, (first.len() + second.len()) as u64);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let texts = drifting_texts(300, 5, 7);
        let kmeans = pipeline("kmeans");
        assert_eq!(kmeans.sample(&prepared(&texts, 0), 0, 0.5), Err(NoSampling::Model("kmeans")));
        let mut pipeline = pipeline("two-level");
        let sample = pipeline.sample(&prepared(&texts, 0), 0, 0.5).expect("the default model can");
        let mut outcome = Outcome::default();
        pipeline.learn(&prepared(&texts, 0), &mut outcome);
        let before = pipeline.snapshot();
        assert_eq!(pipeline.learn_sample(&sample, &mut outcome), Err(NoSampling::OtherModel { found: 0, wanted: 300 }));
        assert!(pipeline.snapshot() == before, "and nothing is changed");
        let sample = pipeline.sample(&prepared(&texts, 0), 300, 0.5).expect("the default model can");
        assert!(!sample.joined.is_empty() && !sample.rows.is_empty());
        let breaks: [fn(&mut Sample); 5] = [
            |it| it.n_pages += 1,
            |it| it.rows[0] = 299,
            |it| it.joined[0].2 = 1_000,
            |it| it.joined[0].1 = f64::NAN,
            |it| it.pages.creation_time.truncate(1),
        ];
        for (at, break_it) in breaks.iter().enumerate() {
            let mut broken = sample.clone();
            break_it(&mut broken);
            assert!(Sample::from_bytes(&broken.to_bytes()).is_err(), "{at}");
        }
    }
}
