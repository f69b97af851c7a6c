use super::*;
use crate::cluster::ModelSettings;
use crate::pipeline::tests::prepare;
use crate::pipeline::{ClusterView, Outcome};

/// Pages of four fields, each of eight things, now one and now another.
fn rows(n: u64) -> Vec<[String; 6]> {
    let page = |i: u64| {
        let (field, thing) = (i * 7 / 3 % 4, i * 5 / 7 % 8);
        let title = format!(
            "field{field}a {}",
            ["t", "u", "v", "w", "x", "y", "z"].map(|w| format!("thing{field}{w}{thing}")).join(" ")
        );
        ["2023-05-17 20:21:51".into(), i.to_string(), String::new(), title, String::new(), String::new()]
    };
    (0..n).map(page).collect()
}

/// Learns more of the rows, through a snapshot and back after each `size` of them. Gives what happened.
fn go_on(pipeline: &mut Pipeline, rows: std::ops::Range<u64>, size: usize) -> Vec<LineageEvent> {
    let all = self::rows(rows.end);
    let (mut outcome, mut lineage, mut at) = (Outcome::default(), Vec::new(), rows.start);
    for batch in all[rows.start as usize..].chunks(size) {
        pipeline.learn(&prepare(batch, at), &mut outcome);
        lineage.append(&mut outcome.lineage);
        at += batch.len() as u64;
        *pipeline = Pipeline::restore(&pipeline.snapshot()).expect("a fresh snapshot restores");
    }
    lineage
}

fn started(clusters: u32) -> Pipeline {
    let mut pipeline = Pipeline::new(&ModelSettings { clusters: clusters.into(), ..ModelSettings::default() }).unwrap();
    go_on(&mut pipeline, 0..2_000, 500);
    pipeline
}

fn edit(pipeline: &mut Pipeline, edit: &Edit) -> Result<Vec<LineageEvent>, EditError> {
    let before = pipeline.snapshot();
    let mut log = Vec::new();
    let done = pipeline.edit(edit, &mut log);
    match &done {
        Ok(()) => assert!(!log.is_empty(), "what is done is told"),
        Err(_) => assert!(log.is_empty() && pipeline.snapshot() == before, "what is refused changes nothing"),
    }
    let delivered: u64 = pipeline.view().clusters.iter().map(|c| c.now).sum();
    let dead: u64 = pipeline.view().dead.iter().map(|c| c.now).sum();
    assert_eq!(delivered + dead, pipeline.position(), "every page is somewhere");
    done.map(|()| log)
}

fn home(pipeline: &Pipeline, micro: MicroId) -> Option<ClusterId> {
    pipeline.summary().micro_clusters.iter().find(|m| m.micro_cluster == micro).map(|m| m.cluster)
}

fn themes(cluster: &ClusterView) -> Vec<MicroId> {
    cluster.themes.iter().map(|theme| theme.micro_cluster).collect()
}

/// The clusters with the most themes, most first.
fn largest(pipeline: &Pipeline) -> Vec<ClusterView> {
    let mut clusters = pipeline.view().clusters;
    clusters.sort_by_key(|cluster| (std::cmp::Reverse(cluster.themes.len()), cluster.cluster));
    clusters
}

/// The two largest clusters, made one.
fn joined(pipeline: &mut Pipeline) -> ClusterView {
    let clusters = largest(pipeline);
    edit(pipeline, &Edit::Merge { cluster: clusters[1].cluster, into: clusters[0].cluster }).unwrap();
    largest(pipeline).remove(0)
}

const UNDO: Edit = Edit::Undo { older: false };

fn split(cluster: ClusterId, themes: &[MicroId]) -> Edit {
    Edit::Split { cluster, micro_clusters: themes.to_vec(), make_room: false }
}

#[test]
fn what_is_moved_stays_and_what_is_let_go_returns() {
    let mut pipeline = started(3);
    let clusters = largest(&pipeline);
    let (from, to) = (&clusters[0], clusters[1].cluster);
    let theme = from.themes.last().unwrap().micro_cluster;
    let log = edit(&mut pipeline, &Edit::Move { micro_clusters: vec![theme], to }).unwrap();
    assert_eq!(log[0].happening, Happening::MicroPlaced { micro_cluster: theme, from: from.cluster });
    let generation = pipeline.view().generation;
    for from in (2_000..5_000).step_by(500) {
        go_on(&mut pipeline, from..from + 500, 100);
        assert_eq!(home(&pipeline, theme), Some(to), "it stays");
    }
    assert!(pipeline.view().generation > generation + 3, "the clusters were made anew meanwhile");

    edit(&mut pipeline, &Edit::Release { micro_clusters: vec![theme] }).unwrap();
    let log = go_on(&mut pipeline, 5_000..9_000, 1_000);
    assert!(
        log.iter()
            .any(|event| matches!(event.happening, Happening::MicroMoved { micro_cluster, .. } if micro_cluster == theme))
    );
}

#[test]
fn a_cluster_that_is_taken_in_ends_and_comes_back_when_that_is_undone() {
    let mut pipeline = started(12);
    let clusters = largest(&pipeline);
    let (ended, into) = (clusters[1].cluster, clusters[0].cluster);
    edit(&mut pipeline, &Edit::Rename { cluster: ended, label: "Mine".into() }).unwrap();
    edit(&mut pipeline, &Edit::Pin { cluster: ended, pinned: true }).unwrap();
    let before = largest(&pipeline);
    let log = edit(&mut pipeline, &Edit::Merge { cluster: ended, into }).unwrap();
    assert_eq!(log[0].happening, Happening::ClusterMerged { into });
    assert!(log.iter().any(|e| e.cluster == ended && matches!(e.happening, Happening::ClusterDied { .. })));
    let view = pipeline.view();
    assert!(!view.clusters.iter().any(|c| c.cluster == ended));
    let took_in = view.clusters.iter().find(|c| c.cluster == into).unwrap();
    assert_eq!(took_in.now, before.iter().filter(|c| [ended, into].contains(&c.cluster)).map(|c| c.now).sum::<u64>());
    go_on(&mut pipeline, 2_000..2_090, 10);
    for theme in themes(&clusters[1]) {
        assert!(home(&pipeline, theme).is_none_or(|home| home == into), "its themes stay together");
    }

    let log = edit(&mut pipeline, &UNDO).unwrap();
    let again = born(&log).unwrap();
    assert!(again > ended, "no id is used again");
    assert!(log.iter().any(|e| e.cluster == ended && e.happening == Happening::ClusterBack { into: again }));
    assert_eq!(log.last().unwrap().happening, Happening::Undone);
    let view = pipeline.view();
    let back = view.clusters.iter().find(|c| c.cluster == again).unwrap();
    assert_eq!((back.label.as_str(), back.pinned), ("Mine", true));
    assert!(!back.themes.is_empty() && back.themes.iter().all(|theme| !theme.held), "nothing is held that was not before");
    for theme in themes(back) {
        assert!(themes(&clusters[1]).contains(&theme) || clusters[1].themes.len() == 30);
    }
}

#[test]
fn a_cluster_is_parted_by_name_or_by_likeness_and_joined_again() {
    for named in [true, false] {
        let mut pipeline = started(12);
        let parent = joined(&mut pipeline);
        let asked = if named { vec![parent.themes[1].micro_cluster] } else { Vec::new() };
        let log = edit(&mut pipeline, &split(parent.cluster, &asked)).unwrap();
        let child = born(&log).unwrap();
        let parted: Vec<MicroId> = log.iter().filter_map(|event| placed(event, child)).collect();
        assert!(!parted.is_empty() && (!named || parted == asked));
        assert!(!parted.contains(&parent.themes[0].micro_cluster), "the heaviest stays");
        let shown = pipeline.view().clusters.into_iter().find(|c| c.cluster == child).unwrap();
        assert!(!shown.label.is_empty(), "it has a label at once");
        go_on(&mut pipeline, 2_000..2_500, 100);
        assert!(parted.iter().all(|&theme| home(&pipeline, theme).is_none_or(|home| home == child)), "they stay");

        let log = edit(&mut pipeline, &UNDO).unwrap();
        assert_eq!(log[0].happening, Happening::ClusterMerged { into: parent.cluster });
        assert!(parted.iter().all(|&theme| home(&pipeline, theme).is_none_or(|home| home == parent.cluster)));
        let held = pipeline.summary().micro_clusters.into_iter().filter(|micro| micro.held);
        assert!(held.into_iter().all(|micro| themes(&parent).contains(&micro.micro_cluster)), "as it was");
    }
}

fn placed(event: &LineageEvent, into: ClusterId) -> Option<MicroId> {
    match event.happening {
        Happening::MicroPlaced { micro_cluster, .. } if event.cluster == into => Some(micro_cluster),
        _ => None,
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_its_reason() {
    let mut pipeline = started(3);
    let clusters = largest(&pipeline);
    let (cluster, other) = (clusters[0].cluster, clusters[1].cluster);
    let (theme, foreign) = (clusters[0].themes[0].micro_cluster, clusters[1].themes[0].micro_cluster);
    let all: Vec<MicroId> =
        pipeline.summary().micro_clusters.into_iter().filter(|m| m.cluster == cluster).map(|m| m.micro_cluster).collect();
    let wrong = [
        (UNDO, EditError::NothingToUndo),
        (Edit::Move { micro_clusters: vec![theme], to: 99 }, EditError::NoSuchCluster(99)),
        (Edit::Move { micro_clusters: vec![theme, 999_999], to: other }, EditError::NoSuchMicro(999_999)),
        (Edit::Move { micro_clusters: vec![], to: other }, EditError::NoMicro),
        (Edit::Merge { cluster, into: cluster }, EditError::IntoItself(cluster)),
        (Edit::Merge { cluster, into: 99 }, EditError::NoSuchCluster(99)),
        (split(cluster, &[foreign]), EditError::NotInCluster { micro_cluster: foreign, cluster }),
        (split(cluster, &all), EditError::CannotPart(cluster)),
    ];
    for (asked, reason) in wrong {
        assert_eq!(edit(&mut pipeline, &asked), Err(reason), "{asked:?}");
    }
    let kmeans = ModelSettings { kind: "kmeans".into(), ..ModelSettings::default() };
    let mut pipeline = Pipeline::new(&kmeans).unwrap();
    go_on(&mut pipeline, 0..1_000, 500);
    let [a, b] = [0, 1].map(|at| pipeline.view().clusters[at].cluster);
    assert_eq!(edit(&mut pipeline, &Edit::Merge { cluster: a, into: b }), Err(EditError::NotByModel("kmeans")));
}

/// The name that a user gave a cluster.
fn name_of(pipeline: &Pipeline, cluster: ClusterId) -> Option<String> {
    let view = pipeline.view();
    let named = view.clusters.iter().find(|c| c.cluster == cluster)?;
    named.renamed.then(|| named.label.clone())
}

#[test]
fn edits_are_taken_back_one_by_one_and_what_is_past_is_passed_over() {
    let mut pipeline = started(12);
    let clusters = largest(&pipeline);
    let [a, b] = [clusters[0].cluster, clusters[1].cluster];
    edit(&mut pipeline, &Edit::Pin { cluster: a, pinned: true }).unwrap();
    for name in ["one", "two"] {
        edit(&mut pipeline, &Edit::Rename { cluster: a, label: name.into() }).unwrap();
    }
    let theme = clusters[0].themes[0].micro_cluster;
    edit(&mut pipeline, &Edit::Move { micro_clusters: vec![theme], to: b }).unwrap();
    let mut outcome = Outcome::default();
    for batch in 0..100 {
        let other = rows(1_000).into_iter().map(|mut row| {
            row[3] = row[3].replace("field", "area").replace("thing", "part");
            row
        });
        pipeline.learn(&prepare(&other.collect::<Vec<_>>(), 2_000 + batch * 1_000), &mut outcome);
        if home(&pipeline, theme).is_none() {
            break;
        }
    }
    let before = pipeline.snapshot();
    let refused = edit(&mut pipeline, &UNDO).unwrap_err();
    let why = "cannot be taken back: none of its themes is where it was put";
    assert_eq!(refused.to_string(), format!("the latest edit, the place of theme {theme}, {why}"));
    assert!(pipeline.snapshot() == before, "what is refused changes nothing");
    edit(&mut pipeline, &Edit::Undo { older: true }).unwrap();
    assert_eq!(name_of(&pipeline, a).as_deref(), Some("one"));
    edit(&mut pipeline, &UNDO).unwrap();
    assert_eq!(name_of(&pipeline, a), None);
    edit(&mut pipeline, &UNDO).unwrap();
    assert_eq!(edit(&mut pipeline, &UNDO), Err(EditError::NothingToUndo));
}

#[test]
fn merges_in_a_chain_are_taken_back_one_after_the_other() {
    let mut pipeline = started(12);
    let clusters = largest(&pipeline);
    let [a, b, c] = [0, 1, 2].map(|at| clusters[at].cluster);
    edit(&mut pipeline, &Edit::Rename { cluster: b, label: "Mine".into() }).unwrap();
    edit(&mut pipeline, &Edit::Pin { cluster: b, pinned: true }).unwrap();
    edit(&mut pipeline, &Edit::Merge { cluster: a, into: b }).unwrap();
    edit(&mut pipeline, &Edit::Merge { cluster: b, into: c }).unwrap();
    let b = born(&edit(&mut pipeline, &UNDO).unwrap()).unwrap();
    assert_eq!(pipeline.edits_to_undo().last().unwrap(), &format!("the merge of cluster {a} into {b}"));
    let a = born(&edit(&mut pipeline, &UNDO).unwrap()).unwrap();
    for (cluster, was) in [a, b, c].into_iter().zip(&clusters) {
        assert!(themes(was).iter().all(|&theme| home(&pipeline, theme) == Some(cluster)), "as it was: {was:?}");
    }
    assert!(pipeline.summary().micro_clusters.iter().all(|micro| !micro.held));
    // What was done to the cluster before it was merged is taken back of the one that stands for it.
    edit(&mut pipeline, &UNDO).unwrap();
    assert!(pipeline.view().clusters.iter().any(|one| one.cluster == b && !one.pinned));
    assert_eq!(name_of(&pipeline, b).as_deref(), Some("Mine"));
    edit(&mut pipeline, &UNDO).unwrap();
    assert_eq!((name_of(&pipeline, b), edit(&mut pipeline, &UNDO)), (None, Err(EditError::NothingToUndo)));
}

#[test]
fn what_is_so_already_is_no_edit() {
    let mut pipeline = started(3);
    let one = largest(&pipeline).remove(0);
    let (cluster, label) = (one.cluster, "mine".to_owned());
    let theme = vec![one.themes[0].micro_cluster];
    edit(&mut pipeline, &Edit::Rename { cluster, label: label.clone() }).unwrap();
    edit(&mut pipeline, &Edit::Pin { cluster, pinned: true }).unwrap();
    let before = pipeline.snapshot();
    for again in [
        Edit::Rename { cluster, label },
        Edit::Pin { cluster, pinned: true },
        Edit::Release { micro_clusters: theme },
        Edit::Rename { cluster: largest(&pipeline)[1].cluster, label: String::new() },
    ] {
        let mut log = Vec::new();
        assert_eq!((pipeline.edit(&again, &mut log), log), (Ok(()), Vec::new()), "{again:?}");
    }
    assert!(pipeline.snapshot() == before, "nothing is left to take back");
}

#[test]
fn a_cluster_whose_themes_went_keeps_its_last_words() {
    let mut pipeline = started(12);
    let clusters = largest(&pipeline);
    let (from, to) = (&clusters[0], clusters[1].cluster);
    assert!(!from.label.is_empty() && from.label != "(no words)");
    edit(&mut pipeline, &Edit::Move { micro_clusters: themes(from), to }).unwrap();
    let view = pipeline.view();
    let left = view.clusters.iter().find(|c| c.cluster == from.cluster).unwrap();
    assert_eq!((left.label.as_str(), left.themes.len()), (from.label.as_str(), 0));
}

#[test]
fn a_merge_into_a_cluster_without_themes_is_taken_back() {
    let mut pipeline = started(12);
    let clusters = largest(&pipeline);
    let [empty, other, ended] = [0, 1, 2].map(|at| clusters[at].cluster);
    edit(&mut pipeline, &Edit::Pin { cluster: empty, pinned: true }).unwrap();
    edit(&mut pipeline, &Edit::Move { micro_clusters: themes(&clusters[0]), to: other }).unwrap();
    assert!(pipeline.summary().micro_clusters.iter().all(|micro| micro.cluster != empty));
    edit(&mut pipeline, &Edit::Merge { cluster: ended, into: empty }).unwrap();
    let log = edit(&mut pipeline, &UNDO).unwrap();
    let back = log.iter().find_map(|event| match event.happening {
        Happening::ClusterBack { into } if event.cluster == ended => Some(into),
        _ => None,
    });
    let back = back.expect("the merge was taken back, and not the pin");
    assert!(themes(&clusters[2]).iter().all(|&theme| home(&pipeline, theme) == Some(back)));
    let view = pipeline.view();
    assert!(view.clusters.iter().any(|cluster| cluster.cluster == empty && cluster.pinned && cluster.themes.is_empty()));
    go_on(&mut pipeline, 2_000..4_000, 500);
    assert!(pipeline.view().clusters.iter().any(|cluster| cluster.cluster == empty), "pinned, it lives without themes");
}

#[test]
fn how_batches_are_cut_between_edits_changes_nothing() {
    let run = |size: usize| {
        let mut pipeline = started(12);
        let cluster = joined(&mut pipeline).cluster;
        edit(&mut pipeline, &split(cluster, &[])).unwrap();
        let mut lineage = go_on(&mut pipeline, 2_000..4_000, size);
        let [a, b] = [0, 1].map(|at| pipeline.view().clusters[at].cluster);
        edit(&mut pipeline, &Edit::Merge { cluster: a, into: b }).unwrap();
        lineage.extend(go_on(&mut pipeline, 4_000..6_000, size));
        (lineage, pipeline.snapshot())
    };
    let straight = run(2_000);
    assert!(run(77) == straight);
}

#[test]
fn a_split_of_a_full_model_says_what_to_merge_first_or_does_it() {
    let mut pipeline = started(4);
    let clusters = largest(&pipeline);
    assert_eq!(clusters.len(), 4, "every slot has an owner");
    let [parted, named, one, other] = [0, 1, 2, 3].map(|at| clusters[at].cluster);
    let asked = split(parted, &[clusters[0].themes[1].micro_cluster]);
    edit(&mut pipeline, &Edit::Rename { cluster: named, label: "Mine".into() }).unwrap();
    let refused = edit(&mut pipeline, &asked).unwrap_err();
    let EditError::NoFreeSlot { alike: Some((ended, into)) } = refused else { panic!("{refused}") };
    assert_eq!([ended.min(into), ended.max(into)], [one.min(other), one.max(other)], "not what a user named");
    let weight = |id| pipeline.summary().clusters.iter().find(|c| c.cluster == id).map(|c| c.weight);
    assert!(weight(ended) <= weight(into), "the lighter one ends");
    let Edit::Split { cluster, micro_clusters, .. } = asked else { unreachable!() };
    let log = edit(&mut pipeline, &Edit::Split { cluster, micro_clusters, make_room: true }).unwrap();
    let told = |wanted| log.iter().any(|event| event.cluster == ended && event.happening == wanted);
    assert!(told(Happening::ClusterMerged { into }), "{log:?}");
    let child = born(&log).expect("a new cluster");
    let alive = |pipeline: &Pipeline| pipeline.summary().clusters.iter().map(|c| c.cluster).collect::<Vec<_>>();
    assert!(alive(&pipeline).len() == 4 && alive(&pipeline).contains(&child));

    let none_left = edit(&mut pipeline, &split(into, &[])).unwrap_err();
    assert_eq!(none_left, EditError::NoFreeSlot { alike: None }, "all others are named, or put together by hand");
    let last = pipeline.edits_to_undo().split_off(1);
    assert_eq!(last, [format!("the merge of cluster {ended} into {into}"), format!("the split that made cluster {child}")]);
    edit(&mut pipeline, &UNDO).unwrap();
    assert!(!alive(&pipeline).contains(&child));
    edit(&mut pipeline, &UNDO).unwrap();
    assert_eq!(alive(&pipeline).len(), 4, "both are as they were");
}
