//! The view: plain data about the clusters, for whoever shows them.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::Pipeline;
use super::book::{DeadCluster, Example};
use super::near::Centres;
use super::watch::{CopiesView, Pattern, Standing, Watch};
use crate::cluster::{ClusterId, ClusterSummary, MicroId, MicroSummary, Slot};
use crate::featurize::TermKind;
use crate::kept::KeptTally;
use crate::label::{self, LabelTerm, Said, Weights};
use crate::record::Pages;

/// Domains shown for a cluster.
const DOMAINS_SHOWN: usize = 10;
/// Heaviest micro-clusters of a cluster whose language is identified.
const LANGUAGE_MICRO_CLUSTERS: usize = 20;
/// Heaviest words of each that are looked at.
const LANGUAGE_WORDS: usize = 20;

/// Heaviest themes shown of a cluster, and the terms of each.
const THEMES_SHOWN: usize = 30;
const THEME_TERMS: usize = 6;
/// Heaviest terms of a theme that are looked at.
const HEAVIEST_TERMS: usize = 40;
/// Nearest clusters of a cluster, and of a theme.
const NEIGHBOURS: usize = 8;
const THEME_NEIGHBOURS: usize = 3;

/// How like something is to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Likeness {
    /// The cluster.
    pub cluster: ClusterId,
    /// Cosine of their telling terms, 0 to 1.
    pub likeness: f64,
}

/// A living micro-cluster as others see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Theme {
    /// Its id.
    pub micro_cluster: MicroId,
    /// Pages that it ever took.
    pub pages: u64,
    /// Its faded weight, in pages.
    pub weight: f64,
    /// Whether a user put it where it is.
    pub held: bool,
    /// Its most telling terms with their c-TF-IDF weight, best first.
    pub terms: Vec<LabelTerm>,
    /// How like it is to its own cluster, 0 to 1.
    pub likeness: f64,
    /// Other clusters that it is most like, nearest first.
    pub neighbours: Vec<Likeness>,
}

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
    /// The heaviest of them, heaviest first.
    pub themes: Vec<Theme>,
    /// Other clusters that it is most like, nearest first.
    pub neighbours: Vec<Likeness>,
    /// Pages learnt when it was born.
    pub born: u64,
    /// Position of its latest page.
    pub latest_at: u64,
    /// Terms with their c-TF-IDF weight, best first.
    pub terms: Vec<LabelTerm>,
    /// Most frequent registrable domains with their page counts.
    pub domains: Vec<(String, u64)>,
    /// Most frequent templates of its addresses, most frequent first.
    pub patterns: Vec<Pattern>,
    /// Copies among its pages.
    pub copies: CopiesView,
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
    /// What the columns that are carried along come to in the pages given to it at their arrival.
    pub kept: Vec<KeptTally>,
    /// How it stands beside its own past; none where no alarms are wanted, and in slots behind those that drift is looked for in.
    pub drift: Option<Standing>,
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
    /// What the columns that are carried along come to in all pages.
    pub kept: Vec<KeptTally>,
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
            kept: self.kept.totals(),
            ..View::default()
        };
        let cluster_terms = self.model.cluster_terms();
        let centres = Centres::new(&cluster_terms);
        let mut members = members(&summary.micro_clusters);
        members.iter_mut().for_each(|(_, members)| members.sort_by(heavier));
        let shown: Vec<MicroId> = members.values().flat_map(|m| m.iter().take(THEMES_SHOWN)).map(|m| m.micro_cluster).collect();
        let terms: HashMap<MicroId, Vec<(u32, f64)>> =
            shown.iter().copied().zip(self.model.micro_terms(&shown).into_iter().map(heaviest)).collect();
        let cluster_terms = cluster_terms.into_iter().collect();
        let look = Look { pipeline: self, centres, cluster_terms, terms };
        for cluster in &summary.clusters {
            let members = members.remove(&cluster.cluster).unwrap_or_default();
            if let Some((seen, bucket_rows)) = look.cluster(cluster, &members) {
                view.bucket_rows = bucket_rows;
                view.clusters.push(seen);
            }
        }
        self.languages.forget_but(&shown);
        view
    }
}

/// Micro-clusters by their cluster.
fn members(all: &[MicroSummary]) -> BTreeMap<ClusterId, Vec<&MicroSummary>> {
    let mut members: BTreeMap<ClusterId, Vec<&MicroSummary>> = BTreeMap::new();
    all.iter().for_each(|micro| members.entry(micro.cluster).or_default().push(micro));
    members
}

fn heavier(a: &&MicroSummary, b: &&MicroSummary) -> std::cmp::Ordering {
    b.weight.total_cmp(&a.weight).then(a.micro_cluster.cmp(&b.micro_cluster))
}

/// The heaviest terms, heaviest first: what others see of a theme goes by them.
fn heaviest(mut terms: Vec<(u32, f64)>) -> Vec<(u32, f64)> {
    let heavier = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if terms.len() > HEAVIEST_TERMS {
        terms.select_nth_unstable_by(HEAVIEST_TERMS, heavier);
        terms.truncate(HEAVIEST_TERMS);
    }
    terms.sort_unstable_by(heavier);
    terms
}

/// A look at the model.
struct Look<'a> {
    pipeline: &'a Pipeline,
    centres: Centres,
    cluster_terms: HashMap<ClusterId, Vec<(u32, f64)>>,
    /// The heaviest terms of the themes that are shown, heaviest first.
    terms: HashMap<MicroId, Vec<(u32, f64)>>,
}

impl Look<'_> {
    /// A cluster with its members, heaviest first, and the rows of a bucket of its volume.
    fn cluster(&self, cluster: &ClusterSummary, members: &[&MicroSummary]) -> Option<(ClusterView, u64)> {
        let book = &self.pipeline.book;
        let entry = book.alive.get(&cluster.cluster)?;
        let (volume, bucket_rows) = book.volume(entry, self.pipeline.position);
        let likenesses = self.centres.to_cluster(cluster.cluster);
        let none = Watch::default();
        let watch = self.pipeline.watch.as_ref().unwrap_or(&none);
        let [representative, boundary, latest] = watch.examples(cluster.cluster, entry);
        let no_batch = Pages::default();
        let said = Said::new(entry.titles(&no_batch));
        let cluster_terms = self.cluster_terms.get(&cluster.cluster).map_or(&[][..], Vec::as_slice);
        let seen = ClusterView {
            cluster: cluster.cluster,
            slot: cluster.slot,
            delivered: entry.delivered,
            now: entry.faded + members.iter().map(|m| m.n_pages).sum::<u64>(),
            label: entry.shown().to_owned(),
            renamed: entry.name.is_some(),
            pinned: entry.pinned,
            weight: cluster.weight,
            micro_clusters: members.len() as u64,
            themes: members.iter().take(THEMES_SHOWN).map(|micro| self.theme(micro, &said)).collect(),
            neighbours: nearest(likenesses, cluster.cluster, NEIGHBOURS),
            born: entry.born,
            latest_at: entry.latest_at,
            terms: self.told(entry.terms.clone(), cluster_terms, &said),
            domains: entry.domains.top(DOMAINS_SHOWN),
            patterns: watch.patterns(cluster.cluster),
            copies: watch.copies(cluster.cluster),
            languages: self.languages(members),
            representative: by_score(representative, |a, b| b.total_cmp(&a)),
            boundary: by_score(boundary, |a, b| a.total_cmp(&b)),
            latest: latest.into_iter().rev().collect(),
            volume,
            kept: self.pipeline.kept.tallies(cluster.cluster),
            drift: self.pipeline.watch.as_ref().and_then(|watch| watch.standing(cluster.cluster)),
        };
        Some((seen, bucket_rows))
    }

    fn terms(&self, micro_cluster: MicroId) -> &Weights {
        self.terms.get(&micro_cluster).map_or(&[], Vec::as_slice)
    }

    /// Terms of which `all` are the others, as the titles say them.
    fn told(&self, terms: Vec<LabelTerm>, all: &Weights, said: &Said<'_>) -> Vec<LabelTerm> {
        if !terms.iter().any(|term| label::is_pair(&term.term)) {
            return terms;
        }
        label::told(terms, &label::pairs(self.pipeline.model.as_ref(), all), said)
    }

    fn theme(&self, micro: &MicroSummary, said: &Said<'_>) -> Theme {
        let terms = self.terms(micro.micro_cluster);
        let likenesses = self.centres.to_theme(terms);
        let own = likenesses.iter().find(|(cluster, _)| *cluster == micro.cluster);
        let best = |most| -> Vec<LabelTerm> {
            let best = self.centres.rarity().best(terms, most).into_iter();
            best.map(|(number, weight)| label::label_term(self.pipeline.model.as_ref(), number, weight)).collect()
        };
        let mut shown = best(THEME_TERMS);
        if shown.iter().any(|term| label::is_pair(&term.term)) {
            // Many pairs are one word.
            shown = self.told(best(HEAVIEST_TERMS), terms, said);
        }
        shown.truncate(THEME_TERMS);
        Theme {
            micro_cluster: micro.micro_cluster,
            pages: micro.n_pages,
            weight: micro.weight,
            held: micro.held,
            terms: shown,
            likeness: own.map_or(0.0, |(_, likeness)| *likeness),
            neighbours: nearest(likenesses, micro.cluster, THEME_NEIGHBOURS),
        }
    }

    /// The language of a theme, identified from its heaviest words.
    fn language(&self, micro_cluster: MicroId) -> Option<&'static str> {
        let named = self.terms(micro_cluster).iter().map(|(number, _)| self.pipeline.model.term(*number));
        let words = named.filter(|(kind, _)| *kind == TermKind::Word).map(|(_, word)| word).take(LANGUAGE_WORDS);
        let mut words: Vec<&str> = words.collect();
        words.sort_unstable();
        self.pipeline.languages.of(micro_cluster, &words.join(" "))
    }

    /// Languages of the heaviest micro-clusters, identified from their terms, with their share of the weight.
    fn languages(&self, members: &[&MicroSummary]) -> Vec<(String, f64)> {
        let mut shares: Vec<(String, f64)> = Vec::new();
        let mut total = 0.0;
        for micro in members.iter().take(LANGUAGE_MICRO_CLUSTERS) {
            let Some(code) = self.language(micro.micro_cluster) else { continue };
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

/// The clusters most like, but for the own one; of equals the older first.
fn nearest(mut likenesses: Vec<(ClusterId, f64)>, own: ClusterId, most: usize) -> Vec<Likeness> {
    likenesses.retain(|(cluster, _)| *cluster != own);
    likenesses.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    likenesses.truncate(most);
    likenesses.into_iter().map(|(cluster, likeness)| Likeness { cluster, likeness }).collect()
}

fn by_score(mut sorted: Vec<Example>, order: impl Fn(f64, f64) -> std::cmp::Ordering) -> Vec<Example> {
    sorted.sort_by(|a, b| order(a.score, b.score).then_with(|| a.record_id.cmp(&b.record_id)));
    sorted
}
