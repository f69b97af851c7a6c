//! The contract that every clusterer keeps, as one suite, with small pages built in code.
//!
//! A new algorithm calls [`check_clusterer`] in a test. Each check is a function of its own and says in its panic what was broken.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::cluster::{Clusterer, Decision, ModelSettings};
use crate::featurize::TermKind;
use crate::lineage::{Birth, Death, Edit, EditError, Fade, Happening, LineageEvent, Move};
use crate::record::{Pages, RecordId};

/// How an algorithm under test is made.
pub trait Make: Fn(&ModelSettings) -> Box<dyn Clusterer> {}
impl<F: Fn(&ModelSettings) -> Box<dyn Clusterer>> Make for F {}

/// Runs the whole contract.
pub fn check_clusterer(make: impl Make) {
    same_seed_same_answer(&make);
    cuts_and_restarts_change_nothing(&make);
    terms_come_and_go(&make);
    empty_pages_are_decided(&make);
    identical_pages_stay_together(&make);
    one_page_is_enough(&make);
    more_clusters_than_pages(&make);
    explanations_add_up(&make);
    places_are_among_the_living(&make);
    ids_are_never_used_again(&make);
    evidence_bears_out_what_happened(&make);
    clusters_and_slots_are_bounded(&make);
    budgets_hold(&make);
    damaged_snapshots_are_refused(&make);
    a_pinned_cluster_never_dies(&make);
}

/// The part of the contract that other settings of an algorithm may break first.
pub fn check_restarts(make: impl Make) {
    cuts_and_restarts_change_nothing(&make);
    explanations_add_up(&make);
    budgets_hold(&make);
}

/// Pages of the given words, one term a word, all of weight 1.
pub fn pages_of<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Pages {
    let mut pages = Pages::default();
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for (offset, text) in (0..).zip(texts) {
        pages.origin.push(RecordId { source: 0, offset });
        pages.creation_time.push(None);
        for column in [&mut pages.id, &mut pages.url, &mut pages.keywords, &mut pages.description, &mut pages.domain] {
            column.push("");
        }
        pages.title.push(text.as_ref());
        let words: BTreeSet<&str> = text.as_ref().split_whitespace().collect();
        for word in words {
            let next = numbers.len() as u32;
            let number = *numbers.entry(word.to_owned()).or_insert(next);
            if number == next {
                pages.terms.hash.push(hash(word));
                pages.terms.kind.push(TermKind::Word);
                pages.terms.text.push(word);
            }
            pages.terms.term.push(number);
            pages.terms.weight.push(1.0);
        }
        pages.terms.ends.push(pages.terms.term.len() as u32);
        pages.marks.push(0, &[], hash(text.as_ref()));
    }
    pages
}

fn hash(word: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(word.as_bytes())
}

/// `n` pages of themes that come and go: each page has words of its theme, some common words and one word of its own; some pages
/// are empty. The same numbers give the same pages.
pub fn drifting_texts(n: usize, themes: u64, seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let page = |at: usize| {
        if random.below(40) == 0 {
            return String::new();
        }
        // A window of five themes moves on over the stream.
        let theme = (at as u64 * themes / n as u64 + random.below(5)) % themes;
        let mut words: Vec<String> = (0..5).map(|_| format!("theme{theme}word{}", random.below(12))).collect();
        words.extend((0..2).map(|_| format!("common{}", random.below(9))));
        words.push(format!("own{at}"));
        words.join(" ")
    };
    (0..n).map(page).collect()
}

/// Knuth's linear congruential generator: enough chance for small data.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn small(clusters: u32) -> ModelSettings {
    ModelSettings { clusters: clusters.into(), ..ModelSettings::default() }
}

/// Learns all pages in batches of `cut`, each of pages of its own.
fn learn_all(model: &mut dyn Clusterer, texts: &[String], cut: usize) -> (Vec<Decision>, Vec<LineageEvent>) {
    let (mut decisions, mut log) = (Vec::new(), Vec::new());
    // Blocks come whole: how they were put together is the caller's affair.
    for texts in texts.chunks(cut.next_multiple_of(model.block_len())) {
        learn_batch(model, &pages_of(texts), &mut decisions, &mut log);
    }
    assert_eq!(decisions.len(), texts.len(), "every page is decided");
    (decisions, log)
}

fn learn_batch(model: &mut dyn Clusterer, pages: &Pages, decisions: &mut Vec<Decision>, log: &mut Vec<LineageEvent>) {
    learn_rows(model, pages, 0..pages.len(), decisions, log);
}

/// Learns rows block by block; the last may end early.
fn learn_rows(
    model: &mut dyn Clusterer,
    pages: &Pages,
    rows: Range<usize>,
    decisions: &mut Vec<Decision>,
    log: &mut Vec<LineageEvent>,
) {
    for from in rows.clone().step_by(model.block_len()) {
        let to = rows.end.min(from.saturating_add(model.block_len()));
        model.learn(pages, from..to, decisions, log);
    }
}

fn same_seed_same_answer(make: &impl Make) {
    let texts = drifting_texts(3_000, 30, 1);
    let (mut one, mut other) = (make(&small(8)), make(&small(8)));
    assert_eq!(learn_all(&mut *one, &texts, 100), learn_all(&mut *other, &texts, 100), "same seed, same answer");
    assert_eq!(one.snapshot(), other.snapshot(), "same seed, same snapshot");
}

fn cuts_and_restarts_change_nothing(make: &impl Make) {
    let texts = drifting_texts(3_000, 30, 2);
    let mut whole = make(&small(8));
    let expected = learn_all(&mut *whole, &texts, texts.len());
    for cut in [1, 7, 1_000] {
        let mut model = make(&small(8));
        assert_eq!(learn_all(&mut *model, &texts, cut), expected, "batches of {cut} change the answer");
        assert_eq!(model.snapshot(), whole.snapshot(), "batches of {cut} change the snapshot");
    }
    let (mut decisions, mut log) = (Vec::new(), Vec::new());
    let mut model = make(&small(8));
    for texts in texts.chunks(250) {
        let bytes = model.snapshot();
        model = make(&small(8));
        model.restore(&bytes).expect("its own snapshot");
        assert_eq!(model.snapshot(), bytes, "a restored model has the same snapshot");
        learn_batch(&mut *model, &pages_of(texts), &mut decisions, &mut log);
    }
    assert_eq!((decisions, log), expected, "restarts change the answer");
    assert_eq!(model.snapshot(), whole.snapshot(), "restarts change the snapshot");
}

fn terms_come_and_go(make: &impl Make) {
    let mut model = make(&small(4));
    let texts = drifting_texts(20_000, 60, 3);
    learn_all(&mut *model, &texts, 500);
    let distinct: BTreeSet<&str> = texts.iter().flat_map(|text| text.split(' ')).collect();
    let summary = model.summary();
    assert_eq!(summary.n_pages, 20_000, "n_pages counts pages learnt");
    assert!(
        summary.n_terms < distinct.len() / 2,
        "{} of {} terms alive: old ones must age out",
        summary.n_terms,
        distinct.len()
    );
}

fn empty_pages_are_decided(make: &impl Make) {
    let mut model = make(&small(3));
    let texts: Vec<String> = ["", "", "a b c", "", "a b c"].map(String::from).to_vec();
    let (decisions, _) = learn_all(&mut *model, &texts, 10);
    assert!(decisions.iter().all(|decision| (0.0..=1.0).contains(&decision.score)), "scores lie in [0, 1]");
    let pages = pages_of([""]);
    assert!(model.assign(&pages, 0).is_some(), "an empty page has a cluster");
    let explanation = model.explain(&pages, 0);
    assert!(explanation.winner.is_none_or(|winner| winner.parts.is_empty()), "an empty page has no reasons");
}

fn identical_pages_stay_together(make: &impl Make) {
    let mut model = make(&small(5));
    let mut texts = drifting_texts(300, 10, 4);
    texts.extend(std::iter::repeat_n("one and the same page".to_owned(), 50));
    let (decisions, _) = learn_all(&mut *model, &texts, 64);
    let last = &decisions[300..];
    assert!(last.iter().all(|decision| decision.cluster == last[0].cluster), "identical pages have one cluster");
    assert!(last.iter().all(|decision| decision.micro_cluster == last[0].micro_cluster), "and one micro-cluster");
}

fn one_page_is_enough(make: &impl Make) {
    let mut model = make(&small(5));
    let pages = pages_of(["hello world"]);
    assert!(model.summary().clusters.is_empty(), "a new model has no clusters");
    assert!(model.explain(&pages, 0).winner.is_none(), "a new model has no reasons");
    let foretold = model.assign(&pages, 0);
    let (mut decisions, mut log) = (Vec::new(), Vec::new());
    model.learn(&pages, 0..1, &mut decisions, &mut log);
    assert_eq!(foretold, Some(decisions[0]), "assign foretells the first decision");
    assert!(decisions[0].novel, "the first page is novel");
    assert_eq!(model.summary().clusters.len(), 1);
    assert!(matches!(log[0].happening, Happening::ClusterBorn { .. }), "the first thing that happens is a birth");
}

fn more_clusters_than_pages(make: &impl Make) {
    let mut model = make(&small(1_000));
    let (decisions, _) = learn_all(&mut *model, &drifting_texts(200, 20, 5), 30);
    assert!(decisions.iter().all(|decision| decision.slot < 1_000));
    let mut model = make(&small(1));
    let (decisions, _) = learn_all(&mut *model, &drifting_texts(500, 20, 5), 30);
    assert!(decisions.iter().all(|decision| decision.slot == 0 && decision.cluster == 0), "K = 1 is one cluster for ever");
}

fn explanations_add_up(make: &impl Make) {
    let mut model = make(&small(8));
    let texts = drifting_texts(1_500, 30, 6);
    learn_all(&mut *model, &texts, 100);
    let pages = pages_of(&drifting_texts(1_600, 30, 6)[1_200..]);
    let mut explained = 0;
    for row in 0..pages.len() {
        let explanation = model.explain(&pages, row);
        let decision = model.assign(&pages, row).expect("a warm model decides every page");
        let Some(winner) = &explanation.winner else { continue };
        for candidate in explanation.runner_up.iter().chain([winner]) {
            let sum: f64 = candidate.parts.iter().map(|part| part.share).sum();
            assert!((sum - candidate.score).abs() < 1e-5, "parts sum to {sum}, the score is {}", candidate.score);
            assert!(candidate.parts.is_sorted_by(|a, b| a.share >= b.share), "largest share first");
        }
        assert_eq!(explanation.novel, decision.novel, "explain and assign agree on what is new");
        if !decision.novel {
            assert_eq!((winner.cluster, winner.micro_cluster), (decision.cluster, decision.micro_cluster), "and on the winner");
            assert!((winner.score - decision.score).abs() < 1e-5, "and on the score");
        }
        if let Some(runner_up) = &explanation.runner_up {
            assert_ne!(runner_up.cluster, winner.cluster, "the runner-up is of another cluster");
            assert!(runner_up.score <= winner.score + 1e-5, "the runner-up is not better");
        }
        explained += usize::from(!winner.parts.is_empty());
    }
    assert!(explained > 100, "only {explained} pages were explained");
}

/// What is only placed gets no id that does not live, and goes where learning would put it if that lives.
fn places_are_among_the_living(make: &impl Make) {
    let mut model = make(&small(8));
    let place = |model: &dyn Clusterer, pages: &Pages| {
        let mut places = Vec::new();
        model.place(pages, 0..pages.len(), &mut places);
        assert_eq!(places.len(), pages.len(), "one place a page");
        places
    };
    assert_eq!(place(&*model, &pages_of(["hello"])), [None], "nothing lives in a new model");
    learn_all(&mut *model, &drifting_texts(1_500, 30, 6), 100);
    let before = model.snapshot();
    let mut texts = drifting_texts(1_600, 30, 6).split_off(1_200);
    texts.push("nothing ever said so".into());
    let pages = pages_of(&texts);
    let summary = model.summary();
    let micros: BTreeMap<_, _> = summary.micro_clusters.iter().map(|m| (m.micro_cluster, m.cluster)).collect();
    let slots: BTreeMap<_, _> = summary.clusters.iter().map(|c| (c.cluster, c.slot)).collect();
    let mut joined = 0;
    for (row, place) in place(&*model, &pages).into_iter().enumerate() {
        let place = place.expect("a warm model has a place for every page");
        assert_eq!(slots.get(&place.cluster), Some(&place.slot), "the cluster lives on its slot");
        let home = place.micro_cluster.map(|micro| micros.get(&micro).copied());
        assert!(home.is_none_or(|home| home == Some(place.cluster)), "the micro-cluster lives in that cluster");
        assert!((0.0..=1.0).contains(&place.score), "scores lie in [0, 1]");
        let decision = model.assign(&pages, row).expect("a warm model decides every page");
        assert_eq!(place.novel, decision.novel, "place and assign agree on what is new");
        if !decision.novel {
            assert_eq!((place.micro_cluster, place.score), (Some(decision.micro_cluster), decision.score), "and on the way");
            joined += 1;
        }
    }
    assert!(joined > 100, "only {joined} pages had a place that explains them");
    assert_eq!(model.snapshot(), before, "placing teaches nothing");
}

/// Lineage and decisions tell one story: births before use, no use after death, every change of a micro-cluster's cluster told.
fn ids_are_never_used_again(make: &impl Make) {
    let mut model = make(&small(30));
    let (decisions, log) = learn_all(&mut *model, &drifting_texts(15_000, 250, 7), 333);
    let (mut alive, mut dead) = (BTreeMap::new(), BTreeSet::new());
    let (mut home, mut gone) = (BTreeMap::new(), BTreeSet::new());
    let mut log = log.iter().peekable();
    for (position, decision) in (0..).zip(&decisions) {
        while let Some(event) = log.next_if(|event| event.position <= position) {
            match &event.happening {
                Happening::ClusterBorn { slot, .. } => {
                    assert!(!dead.contains(&event.cluster), "cluster {} was used again", event.cluster);
                    assert_eq!(alive.insert(event.cluster, *slot), None, "cluster {} was born twice", event.cluster);
                }
                Happening::ClusterDied { slot, .. } => {
                    assert_eq!(alive.remove(&event.cluster), Some(*slot), "cluster {} died on its slot", event.cluster);
                    dead.insert(event.cluster);
                }
                Happening::MicroMoved { micro_cluster, from, .. } => {
                    assert_eq!(home.insert(*micro_cluster, event.cluster), Some(*from), "a move starts at home");
                }
                Happening::MicroMerged { micro_cluster, .. } | Happening::MicroFaded { micro_cluster, .. } => {
                    assert_eq!(home.remove(micro_cluster), Some(event.cluster), "it ends where it lived");
                    assert!(gone.insert(*micro_cluster), "micro-cluster {micro_cluster} ended twice");
                }
                _ => {}
            }
        }
        assert_eq!(alive.get(&decision.cluster), Some(&decision.slot), "page {position} goes to a living cluster on its slot");
        assert!(!gone.contains(&decision.micro_cluster), "micro-cluster {} was used again", decision.micro_cluster);
        if decision.novel {
            assert_eq!(home.insert(decision.micro_cluster, decision.cluster), None, "a novel page opens its micro-cluster");
        }
        assert_eq!(
            home.get(&decision.micro_cluster),
            Some(&decision.cluster),
            "page {position} goes where its micro-cluster is"
        );
    }
    assert!(gone.len() > 20, "the stream must make micro-clusters end: {}", gone.len());
    let summary = model.summary();
    assert_eq!(summary.clusters.iter().map(|c| (c.cluster, c.slot)).collect::<BTreeMap<_, _>>(), alive, "the summary agrees");
    let homes: BTreeMap<_, _> = summary.micro_clusters.iter().map(|m| (m.micro_cluster, m.cluster)).collect();
    assert_eq!(homes, home, "the summary agrees on micro-clusters");
}

/// What the numbers of a reason must say.
fn evidence_bears_out_what_happened(make: &impl Make) {
    // Few slots and little room: everything happens that can.
    let settings = ModelSettings { max_micro_clusters: 150, ..small(12) };
    let (_, log) = learn_all(&mut *make(&settings), &drifting_texts(12_000, 200, 11), 400);
    for LineageEvent { position, happening, .. } in &log {
        let holds = match happening {
            Happening::ClusterBorn { why, .. } => match *why {
                Birth::FreeSlot { likeness, threshold } | Birth::SecondPage { likeness, threshold } => likeness <= threshold,
                Birth::Far { likeness, threshold, weight } => likeness <= threshold && weight >= 1.0,
                Birth::Waiting { likeness, threshold } => likeness >= threshold,
                Birth::Unshared => true,
                Birth::Split => false,
            },
            Happening::ClusterDied { why, .. } => match *why {
                Death::Light { weight, threshold, n_pages } => weight < threshold && n_pages > 0,
                Death::Outweighed { weight, threshold } => weight < threshold,
                Death::Idle { n_pages } => n_pages > 0,
                Death::Merged => false,
            },
            Happening::MicroMoved { why, .. } => match *why {
                Move::Nearer { likeness, before, threshold } => likeness > threshold && threshold > before,
                Move::Opened => true,
                Move::Orphaned { likeness } => likeness.is_none_or(|likeness| likeness > 0.0),
            },
            Happening::MicroMerged { why, .. } => why.distance < why.threshold,
            Happening::MicroFaded { why, .. } => match *why {
                Fade::Light { weight, threshold } => weight <= threshold,
                Fade::Termless { weight, threshold } => weight > threshold,
                Fade::Evicted { weight } => weight > 0.0,
                Fade::Ended { weight } => weight.is_none_or(|weight| weight >= 0.0),
            },
            _ => true,
        };
        assert!(holds, "at page {position}: {happening:?}");
    }
}

fn clusters_and_slots_are_bounded(make: &impl Make) {
    let mut model = make(&small(5));
    for texts in drifting_texts(6_000, 100, 8).chunks(50) {
        learn_all(&mut *model, texts, 50);
        let clusters = model.summary().clusters;
        assert!(clusters.len() <= 5, "{} clusters alive, 5 allowed", clusters.len());
        let slots: BTreeSet<_> = clusters.iter().map(|cluster| cluster.slot).collect();
        assert_eq!(slots.len(), clusters.len(), "each living cluster has a slot of its own");
        assert!(slots.iter().all(|&slot| slot < 5), "slots are 0..K-1");
    }
}

fn budgets_hold(make: &impl Make) {
    let settings = ModelSettings { max_micro_clusters: 40, max_terms: 150, ..small(5) };
    let mut model = make(&settings);
    for texts in drifting_texts(4_000, 500, 9).chunks(10) {
        learn_all(&mut *model, texts, 10);
        let summary = model.summary();
        let empty = 1;
        assert!(summary.micro_clusters.len() <= 40 + empty, "{} micro-clusters, 40 allowed", summary.micro_clusters.len());
        assert!(summary.n_terms <= 150, "{} terms, 150 allowed", summary.n_terms);
    }
}

fn a_pinned_cluster_never_dies(make: &impl Make) {
    let mut model = make(&ModelSettings { clusters: 30.into(), ..ModelSettings::default() });
    let pages = pages_of(drifting_texts(20_000, 300, 1));
    let (mut decisions, mut log) = (Vec::new(), Vec::new());
    learn_rows(&mut *model, &pages, 0..10, &mut decisions, &mut log);
    model.edit(&Edit::Pin { cluster: 0, pinned: true }, &mut log).expect("cluster 0 is alive");
    assert_eq!(model.edit(&Edit::Pin { cluster: 99, pinned: true }, &mut log), Err(EditError::NoSuchCluster(99)));
    learn_rows(&mut *model, &pages, 10..20_000, &mut decisions, &mut log);
    let died = |cluster| log.iter().any(|e| e.cluster == cluster && matches!(e.happening, Happening::ClusterDied { .. }));
    assert!(!died(0), "a pinned cluster died");
    assert!((1..30).any(died), "others die");
}

fn damaged_snapshots_are_refused(make: &impl Make) {
    let mut model = make(&small(5));
    learn_all(&mut *model, &drifting_texts(500, 10, 10), 50);
    let bytes = model.snapshot();
    assert!(make(&small(5)).restore(&bytes[..bytes.len() / 2]).is_err(), "half a snapshot is refused");
    assert!(make(&small(6)).restore(&bytes).is_err(), "a snapshot of other settings is refused");
}
