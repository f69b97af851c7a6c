use super::*;
use crate::cluster::KMeansSettings;
use crate::testing::{check_clusterer, pages_of};

fn with(settings: &ModelSettings, kmeans: KMeansSettings) -> KMeans {
    KMeans::new(&ModelSettings { kind: KIND.into(), kmeans, ..settings.clone() })
}

fn spark(half_life: HalfLife) -> KMeansSettings {
    KMeansSettings { half_life, rule: KMeansRule::Spark, ..KMeansSettings::default() }
}

/// A model of `clusters` clusters that has learnt these texts, with what it said.
fn learnt(clusters: u32, kmeans: KMeansSettings, texts: &[&str]) -> (KMeans, Vec<Decision>, Vec<LineageEvent>) {
    let mut model = with(&ModelSettings { clusters: clusters.into(), ..ModelSettings::default() }, kmeans);
    let (mut decisions, mut log) = (Vec::new(), Vec::new());
    model.learn(&pages_of(texts), 0..texts.len(), &mut decisions, &mut log);
    (model, decisions, log)
}

#[test]
fn the_spherical_rule_keeps_the_contract() {
    check_clusterer(|settings| Box::new(with(settings, KMeansSettings::default())));
    let odd = KMeansSettings { half_life: HalfLife::Never, batch: 7, births: 1, ..KMeansSettings::default() };
    crate::testing::check_restarts(|settings| Box::new(with(settings, odd.clone())));
}

/// With a half-life after which something dies in so short a stream.
#[test]
fn sparks_rule_keeps_the_contract() {
    check_clusterer(|settings| Box::new(with(settings, spark(HalfLife::Rows(100)))));
    crate::testing::check_restarts(|settings| Box::new(with(settings, spark(HalfLife::Batches(2)))));
}

/// Components of all centres, and their weights.
type Told = (Vec<[f64; 3]>, Vec<f64>);

/// Learns batches of dense vectors by Spark's rule, from given centres and weights, and tells them after each.
fn as_spark(centres: &[[f64; 3]], weights: &[f64], half_life: HalfLife, batches: &[&[[f64; 3]]]) -> Vec<Told> {
    let settings = ModelSettings { clusters: (centres.len() as u32).into(), ..ModelSettings::default() };
    let mut state = with(&settings, spark(half_life)).state;
    let names = pages_of(["x y z"]);
    (0..3).for_each(|term| assert_eq!(state.vocabulary.intern(&names.terms, term), term));
    let sparse = |dense: &[f64; 3]| {
        let mut page = Vector::default();
        page.entries.extend((0..).zip(*dense).filter(|&(_, value)| value != 0.0));
        page.scale(1.0);
        page
    };
    let mut log = Vec::new();
    for (centre, &weight) in centres.iter().zip(weights) {
        let place = state.open_cluster(None, &sparse(centre), Birth::Unshared, &mut log);
        state.centres.all[place].mean.weight = weight;
    }
    let mut told = Vec::new();
    for batch in batches {
        for row in *batch {
            let page = sparse(row);
            let look = state.look(&page, &mut Vec::new());
            state.learn(&page, &look, &mut log);
            state.n_pages += 1;
        }
        state.end_block(&mut log);
        let dense = |mean: &Mean| {
            let mut dense = [mean.shift; 3];
            mean.terms.iter().for_each(|&(term, value)| dense[term as usize] += value);
            dense
        };
        let all = &state.centres.all;
        told.push((all.iter().map(|c| dense(&c.mean)).collect(), all.iter().map(|c| c.mean.weight).collect()));
    }
    told
}

/// What `StreamingKMeansModel(centres, weights).update(batch, decay, unit)` of pyspark 4.2.0 gives for three batches in turn (made once,
/// in local mode, one partition a batch), with decay = exp(ln ½ / 5).
#[test]
fn the_update_is_sparks() {
    let centres = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]];
    let batches: [&[[f64; 3]]; 3] = [
        &[[1.0, 0.0, 0.5], [0.9, 0.1, 0.4], [0.0, 1.0, 0.0]],
        &[[0.2, 0.8, 0.1], [0.0, 0.5, 2.0], [0.1, 0.9, 0.0], [1.5, 0.0, 0.25]],
        &[[0.0, 1.25, 0.0]],
    ];
    let by_batches: [Told; 3] = [
        (
            vec![[0.95, 0.05, 0.45], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]],
            vec![2.0, 2.741_101_126_592_248_2, 0.870_550_563_296_124_1],
        ),
        (
            vec![
                [1.150_649_291_871_899_1, 0.031_759_155_284_372_79, 0.377_036_621_137_491_15],
                [0.068_395_287_181_980_87, 0.931_604_712_818_019_2, 0.022_798_429_060_660_288],
                [0.0, 0.284_437_036_115_392, 2.431_125_927_769_216],
            ],
            vec![2.741_101_126_592_248_2, 4.386_267_129_806_522, 1.757_858_283_255_199],
        ),
        (
            vec![
                [1.150_649_291_871_899_1, 0.031_759_155_284_372_79, 0.377_036_621_137_491_15],
                [0.054_200_879_991_692_93, 0.997_682_838_079_848_4, 0.018_066_959_997_230_972],
                [0.0, 0.284_437_036_115_392, 2.431_125_927_769_216],
            ],
            vec![2.386_267_129_806_522, 4.818_467_320_620_341, 1.530_304_518_682_571_2],
        ),
    ];
    let by_points: [Told; 3] = [
        (vec![[0.95, 0.05, 0.45], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]], vec![2.0, 2.319_507_910_772_894, 0.659_753_955_386_447_1]),
        (
            vec![
                [1.205_968_921_240_580_2, 0.026_730_098_069_038_18, 0.356_920_392_276_152_74],
                [0.090_030_408_830_590_24, 0.909_969_591_169_409_8, 0.030_010_136_276_863_41],
                [0.0, 0.362_600_212_662_002_4, 2.274_799_574_675_995_5],
            ],
            vec![2.148_698_354_997_035, 3.332_207_460_753_716_4, 1.378_929_141_627_599_5],
        ),
        (
            vec![
                [1.205_968_921_240_580_2, 0.026_730_098_069_038_18, 0.356_920_392_276_152_74],
                [0.066_950_748_874_362_74, 0.997_137_763_707_137_2, 0.022_316_916_291_454_242],
                [0.0, 0.362_600_212_662_002_4, 2.274_799_574_675_995_5],
            ],
            vec![1.870_550_563_296_124, 3.900_855_081_978_695_3, 1.200_427_540_989_347_7],
        ),
    ];
    for (half_life, expected) in [(HalfLife::Batches(5), by_batches), (HalfLife::Rows(5), by_points)] {
        let told = as_spark(&centres, &[0.0, 2.0, 1.0], half_life, &batches);
        for (at, (told, expected)) in told.iter().zip(&expected).enumerate() {
            assert_near(told, expected, 1e-15, &format!("{half_life:?}, batch {at}"));
        }
    }
}

fn assert_near(told: &Told, expected: &Told, most: f64, what: &str) {
    let numbers = |told: &Told| told.0.iter().flatten().chain(&told.1).copied().collect::<Vec<f64>>();
    let (told, expected) = (numbers(told), numbers(expected));
    assert_eq!(told.len(), expected.len(), "{what}");
    let near = told.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= most * b.abs().max(1.0));
    assert!(near, "{what}: {told:?}, not {expected:?}");
}

/// From the same run of pyspark, with decay = ½: in the second batch the lightest is below 1e-8 of the heaviest.
#[test]
fn a_dying_cluster_takes_half_of_the_heaviest_as_in_spark() {
    let centres = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]];
    let batches: [&[[f64; 3]]; 2] =
        [&[[1.0, 0.5, 0.0], [1.0, 0.25, 0.0], [0.0, 1.0, 0.0]], &[[1.0, 0.45, 0.0], [0.9, 0.2, 0.0]]];
    let told = as_spark(&centres, &[4.0, 3.0, 1e-7], HalfLife::Batches(1), &batches);
    let first = (vec![[1.0, 0.1875, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]], vec![4.0, 2.5, 5e-8]);
    assert_near(&told[0], &first, 1e-15, "no split yet");
    let twins = [[0.975_000_000_000_01, 0.256_250_000_000_009_97, 1e-14], [0.974_999_999_999_99, 0.256_249_999_999_99, -1e-14]];
    let second = (vec![twins[0], [0.0, 1.0, 0.0], twins[1]], vec![2.000_000_012_5, 1.25, 2.000_000_012_5]);
    assert_near(&told[1], &second, 2e-16, "twins, 1e-14 to each side");
}

/// The rule once more, written down plainly in dense arithmetic, against a stream in which clusters die and split.
#[test]
fn many_batches_follow_the_rule_in_dense_arithmetic() {
    let mut seed = 1u64;
    let mut chance = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f64 / (1u64 << 24) as f64
    };
    // Three heaps, of which the first ends after 20 batches.
    let batches: Vec<Vec<[f64; 3]>> = (0..60)
        .map(|batch| {
            let heaps = if batch < 20 { 0..3 } else { 1..3 };
            let page = |heap: usize| [0, 1, 2].map(|d| if d == heap { 1.5 + chance() } else { 0.25 * chance() });
            heaps.flat_map(|heap| [heap; 4]).map(page).collect()
        })
        .collect();
    let slices: Vec<&[[f64; 3]]> = batches.iter().map(Vec::as_slice).collect();
    let (mut centres, mut weights) = (vec![[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]], vec![0.0; 3]);
    let told = as_spark(&centres, &weights, HalfLife::Batches(1), &slices);
    let mut splits = 0;
    for (at, batch) in batches.iter().enumerate() {
        splits += usize::from(dense_update(&mut centres, &mut weights, 0.5, batch));
        assert_near(&told[at], &(centres.clone(), weights.clone()), 1e-12, &format!("batch {at}"));
    }
    assert!(splits > 0, "something must die");
}

fn dense_update(centres: &mut [[f64; 3]], weights: &mut [f64], decay: f64, batch: &[[f64; 3]]) -> bool {
    let distance = |c: &[f64; 3], x: &[f64; 3]| (0..3).map(|d| (c[d] - x[d]) * (c[d] - x[d])).sum::<f64>();
    let nearest = |x: &[f64; 3]| {
        (0..centres.len()).reduce(|a, b| if distance(&centres[b], x) < distance(&centres[a], x) { b } else { a }).unwrap()
    };
    let homes: Vec<usize> = batch.iter().map(nearest).collect();
    for k in 0..centres.len() {
        weights[k] *= decay;
        let members: Vec<&[f64; 3]> = batch.iter().zip(&homes).filter(|(_, home)| **home == k).map(|(x, _)| x).collect();
        let m = members.len() as f64;
        if m > 0.0 {
            for d in 0..3 {
                let sum: f64 = members.iter().map(|x| x[d]).sum();
                centres[k][d] = (centres[k][d] * weights[k] + sum) / (weights[k] + m);
            }
            weights[k] += m;
        }
    }
    let by_weight = |a: &usize, b: &usize| weights[*a].total_cmp(&weights[*b]);
    let small = (0..centres.len()).min_by(by_weight).unwrap();
    let large = (0..centres.len()).rev().max_by(by_weight).unwrap();
    if weights[small] >= 1e-8 * weights[large] {
        return false;
    }
    (weights[large], weights[small]) = ((weights[large] + weights[small]) / 2.0, (weights[large] + weights[small]) / 2.0);
    for (d, x) in centres[large].into_iter().enumerate() {
        let p = 1e-14 * x.abs().max(1.0);
        (centres[large][d], centres[small][d]) = (x + p, x - p);
    }
    true
}

#[test]
fn a_block_gives_birth_to_several_the_farthest_first() {
    let kmeans = |births| KMeansSettings { batch: 10, births, ..KMeansSettings::default() };
    let old = ["a b c d", "e f g h"];
    // Three new themes in one block of 10; the heaviest comes last.
    let strange = ["k1 k2", "l1 l2 l3", "l1 l2 l4", "m1 m2 m3", "m1 m2 m4", "m1 m2 m5", "m1 m2 m6", "a b c d"];
    let next = ["m1 m2 m7", "k1 k2", "l1 l2 l5", "m1 m2 m8"];
    let texts: Vec<&str> = old.into_iter().chain(strange).chain(next).collect();
    for (births, expected) in
        [(0, [false; 4]), (1, [true, false, false, false]), (2, [true, false, true, false]), (3, [true, true, true, false])]
    {
        // As many clusters as there are would keep it from being warm.
        let (mut model, ..) = learnt(2, kmeans(births), &[]);
        let (mut decisions, mut log) = (Vec::new(), Vec::new());
        let pages = pages_of(&texts);
        model.learn(&pages, 0..2, &mut decisions, &mut log);
        model.state.slots = Slots::new(6);
        let slots: Vec<Slot> = (0..2).filter_map(|_| model.state.slots.open(0)).collect();
        assert_eq!(slots, [0, 1]);
        model.learn(&pages, 2..texts.len(), &mut decisions, &mut log);
        let novel: Vec<bool> = decisions.iter().map(|decision| decision.novel).collect();
        assert_eq!(novel[..10], [true, true, false, false, false, false, false, false, false, false], "{births}");
        assert_eq!(novel[10..], expected, "at most {births}");
        let born = log.iter().filter(|event| matches!(event.happening, Happening::ClusterBorn { .. })).count();
        assert_eq!(born, 2 + births as usize);
    }
}

#[test]
fn a_half_life_of_model_time_follows_the_pages_own_times() {
    const HOUR: Micros = 3_600_000_000;
    let kmeans = KMeansSettings { half_life: "1h".parse().expect("a half-life"), batch: 4, ..KMeansSettings::default() };
    let mut pages = pages_of(["a b"; 9]);
    // The first block in no time, the second within an hour.
    pages.creation_time = [0, 0, 0, 0, 0, 0, 0, HOUR, HOUR].map(Some).to_vec();
    pages.creation_time[1] = None;
    let weight = |n: usize| {
        let mut model = with(&ModelSettings::default(), kmeans.clone());
        model.learn(&pages, 0..n, &mut Vec::new(), &mut Vec::new());
        model.summary().clusters[0].weight
    };
    assert_eq!([weight(4), weight(5), weight(8)], [4.0, 5.0, 8.0]);
    assert!((weight(9) - (4.0 / 2.0 + 4.0 + 1.0)).abs() < 1e-9, "{}", weight(9));
}

#[test]
fn cluster_terms_are_in_pages_and_every_cluster_is_its_own_micro_cluster() {
    let (model, decisions, _) = learnt(3, KMeansSettings::default(), &["a b", "a b", "c", "", "a b"]);
    let summary = model.summary();
    assert_eq!((summary.clusters.len(), summary.micro_clusters.len()), (3, 3));
    assert_eq!(summary.micro_clusters.iter().map(|micro| micro.n_pages).collect::<Vec<_>>(), [3, 1, 1]);
    assert_eq!(
        decisions.iter().map(|d| (d.cluster, d.micro_cluster)).collect::<Vec<_>>(),
        [(0, 0), (0, 0), (1, 1), (2, 2), (0, 0)]
    );
    let terms = model.cluster_terms();
    let named: Vec<Vec<&str>> =
        terms.iter().map(|(_, terms)| terms.iter().map(|&(number, _)| model.term(number).1).collect()).collect();
    assert_eq!(named, [vec!["a", "b"], vec!["c"], vec![]]);
    // Three pages against one.
    assert!(terms[0].1.iter().all(|&(_, weight)| weight > 2.0 * terms[1].1[0].1), "{terms:?}");
}

#[test]
fn pages_without_terms_keep_their_cluster_alive_and_never_spoil_another() {
    let kmeans = KMeansSettings { batch: 2, ..KMeansSettings::default() };
    let (model, decisions, _) = learnt(2, kmeans.clone(), &["", "a b", "", "", "c d", "", "a b"]);
    assert_eq!(decisions.iter().map(|d| d.cluster).collect::<Vec<_>>()[..4], [0, 1, 0, 0]);
    let weight = |cluster: usize| model.summary().clusters[cluster].weight;
    assert!(weight(0) > 3.9 && weight(1) < 2.1, "{:?}", model.summary());
    assert!(model.cluster_terms()[0].1.is_empty());
    // The only cluster takes up what comes, also when nothing came first.
    let (model, decisions, _) = learnt(1, kmeans, &["", "", "a b", "a c", "a d"]);
    assert!(decisions.iter().all(|d| d.cluster == 0));
    assert!(!model.cluster_terms()[0].1.is_empty());
}

#[test]
fn damaged_and_newer_snapshots_are_refused() {
    let (model, ..) = learnt(3, KMeansSettings::default(), &["a b", "c d"]);
    let mut bytes = model.snapshot();
    let mut other = with(&ModelSettings { clusters: 3.into(), ..ModelSettings::default() }, spark(HalfLife::Never));
    assert!(matches!(other.restore(&bytes), Err(SnapshotError::OtherSettings { .. })));
    bytes[0] = 2;
    let mut same = with(&ModelSettings { clusters: 3.into(), ..ModelSettings::default() }, KMeansSettings::default());
    assert_eq!(same.restore(&bytes), Err(SnapshotError::Newer { found: 2, supported: 1 }));
}
