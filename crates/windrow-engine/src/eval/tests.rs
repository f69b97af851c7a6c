use std::fs;
use std::path::Path;

use super::*;
use crate::clock::SystemClock;

fn job(folder: &Path, rows: &str, labels: &str) -> EvalJob {
    fs::write(folder.join("rows.csv"), format!("id,title\n{rows}")).unwrap();
    fs::write(folder.join("labels.csv"), labels).unwrap();
    EvalJob {
        inputs: vec![folder.join("rows.csv").display().to_string()],
        columns: String::new(),
        labels: Some(folder.join("labels.csv")),
        mix: None,
        models: vec!["two-level".to_owned()],
        orders: vec![Order::default()],
        seeds: 1,
        shuffle_window: 0,
        burst: 5,
        window: None,
        limit: None,
        model: ModelSettings::default(),
        weights: FieldWeights::default(),
        threads: 2,
        memory_bytes: 64 << 20,
        rules: Rules::default(),
        max_record_bytes: 1 << 20,
        max_unpacked: 500,
        files: crate::source::Asked::default(),
    }
}

fn whole(job: &EvalJob) -> Report {
    eval(job, &SystemClock::new(), &mut |_| {}).unwrap()
}

/// Of the only trial.
fn report(job: &EvalJob) -> Trial {
    let mut trials = whole(job).trials;
    assert_eq!(trials.len(), 1);
    trials.remove(0)
}

fn order(text: &str) -> Order {
    text.parse().unwrap()
}

fn refused(job: &EvalJob) -> &'static str {
    eval(job, &SystemClock::new(), &mut |_| {}).unwrap_err().code
}

/// Offsets of the rows, as the model would learn them with this order and seed.
fn offsets(job: &EvalJob, order: Order, seed: u64) -> Vec<u64> {
    let mut labels = Labels::read(job).unwrap();
    let labels: Arc<[Labelled]> = labelled(job, &mut labels).unwrap().into();
    let mut source = open(job, order, &labels, seed).unwrap();
    let mut offsets = Vec::new();
    while let Some(batch) = source.next().unwrap() {
        offsets.extend(batch.records.iter().map(|record| record.offset));
    }
    offsets
}

/// Two themes in turn, `n` rows each.
fn two_themes(n: usize) -> (String, String) {
    let (mut rows, mut labels) = (String::new(), String::from("id,label\n"));
    for at in 0..2 * n {
        let (text, label) = if at % 2 == 0 { ("rust game engine wasm", "games") } else { ("summer sale shoes", "shops, all") };
        rows += &format!("{at},{text}\n");
        labels += &format!("{at},\"{label}\"\n");
    }
    (rows, labels)
}

#[test]
fn two_plain_themes_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, labels) = two_themes(20);
    let report = report(&job(folder.path(), &rows, &labels));
    assert_eq!((report.rows, report.scored, report.rejects), (40, 40, 0));
    assert_eq!((report.micro.n, report.micro.ari), (2, 1.0));
    assert_eq!((report.cluster.n, report.cluster.nmi_geometric), (2, 1.0));
}

#[test]
fn rows_without_a_label_are_learnt_and_not_scored() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, labels) = two_themes(20);
    let half: String = labels.lines().take(11).map(|line| format!("{line}\n")).collect();
    let report = report(&job(folder.path(), &rows, &half));
    assert_eq!((report.rows, report.scored), (40, 10));
}

#[test]
fn order_and_mixture_are_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, labels) = two_themes(20);
    let plain = job(folder.path(), &rows, &labels);
    let mixed = Mix { inputs: plain.inputs.clone(), ratio: 3 };
    let orders = vec![order("shuffled+diluted")];
    let report = report(&EvalJob { orders, shuffle_window: 7, limit: Some(30), mix: Some(mixed), ..plain });
    assert_eq!((report.rows, report.scored), (30 * 4, 30));
    assert_eq!(report.micro.ari, 1.0);
}

#[test]
fn shuffling_follows_the_seed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, labels) = two_themes(50);
    let ids = |seed, window| {
        let job = EvalJob { shuffle_window: window, ..job(folder.path(), &rows, &labels) };
        offsets(&job, order("shuffled"), seed)
    };
    assert_eq!(ids(1, 10), ids(1, 10));
    assert_ne!(ids(1, 10), ids(2, 10));
    let (sorted, mut shuffled) = (ids(1, 0), ids(1, 10));
    assert!(shuffled[..10].iter().all(|offset| sorted[..10].contains(offset)));
    shuffled.sort_unstable();
    assert_eq!(shuffled, sorted);
}

#[test]
fn labels_that_fit_no_row_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, _) = two_themes(3);
    for labels in ["id,label\n77,a\n", "id,label\n1,a,b\n"] {
        assert_eq!(refused(&job(folder.path(), &rows, labels)), "E-LABELS");
    }
}

#[test]
fn the_generator_knows_its_labels() {
    let folder = tempfile::tempdir().unwrap();
    let generated = "generator:rows=3000,seed=1".to_owned();
    let report = report(&EvalJob { inputs: vec![generated], labels: None, ..job(folder.path(), "", "") });
    assert!(report.scored > 2_500 && report.micro.nmi_geometric > 0.5, "{report:?}");
}

/// Three labels in turn, each row with its label's number as its only word; every tenth row has no label.
fn three_labels() -> (String, String) {
    let (mut rows, mut labels) = (String::new(), String::from("id,label\n"));
    for at in 0..60 {
        rows += &format!("{at},word{}\n", at % 3);
        labels += &if at % 10 == 9 { String::new() } else { format!("{at},{}\n", at % 3) };
    }
    (rows, labels)
}

#[test]
fn sorted_and_bursts_keep_labels_together() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, labels) = three_labels();
    let job = job(folder.path(), &rows, &labels);
    let given = offsets(&job, order("given"), 1);
    // Row numbers by offset, and the labels of rows that have one as an order shows them.
    let rows_of = |offsets: &[u64]| -> Vec<usize> {
        offsets.iter().map(|offset| given.iter().position(|one| one == offset).unwrap()).collect()
    };
    let labels_of = |rows: &[usize]| -> Vec<usize> { rows.iter().filter(|row| *row % 10 != 9).map(|row| row % 3).collect() };
    let sorted = rows_of(&offsets(&job, order("sorted"), 1));
    let runs: Vec<usize> = labels_of(&sorted).chunk_by(|a, b| a == b).map(<[usize]>::len).collect();
    assert_eq!(runs, [18, 18, 18], "label after label");
    let bursts = rows_of(&offsets(&job, order("bursts"), 1));
    let runs: Vec<usize> = labels_of(&bursts).chunk_by(|a, b| a == b).map(<[usize]>::len).collect();
    assert!(runs.len() > 9 && runs.iter().all(|len| *len <= 5) && runs.contains(&5), "{runs:?}");
    for mut order in [sorted, bursts.clone()] {
        let unlabelled = |(at, row): (usize, &usize)| (row % 10 == 9).then_some((at, *row));
        assert!(
            order.iter().enumerate().filter_map(unlabelled).all(|(at, row)| at == row),
            "they keep their places: {order:?}"
        );
        order.sort_unstable();
        assert_eq!(order, (0..60).collect::<Vec<_>>(), "each row once");
    }
    assert_eq!(rows_of(&offsets(&job, order("bursts"), 1)), bursts);
    assert_ne!(rows_of(&offsets(&job, order("bursts"), 2)), bursts, "the seed draws where runs are cut");
}

#[test]
fn trials_stand_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, labels) = two_themes(60);
    let orders = vec![order("given"), order("shuffled")];
    let models = vec!["two-level".to_owned(), "kmeans".to_owned()];
    let job = EvalJob { models, orders, seeds: 3, shuffle_window: 20, window: Some(50), ..job(folder.path(), &rows, &labels) };
    let mut seen = Vec::new();
    let report = eval(&job, &SystemClock::new(), &mut |standing| seen.push((standing.trial, standing.rows))).unwrap();
    assert_eq!((report.trials.len(), report.summaries.len()), (12, 4));
    assert_eq!((seen[0].0, seen[seen.len() - 1]), ((1, 12), ((12, 12), 12 * 120)));
    let seeds: Vec<u64> = report.trials.iter().map(|trial| trial.seed).collect();
    assert_eq!(seeds, [1, 2, 3].repeat(4));
    for trial in &report.trials {
        let windows: Vec<(u64, u64)> = trial.windows.iter().map(|window| (window.from, window.rows)).collect();
        assert_eq!(windows, [(0, 50), (50, 50), (100, 20)]);
        assert_eq!((trial.scored, trial.labels, trial.windows[0].labels), (120, 2, 2));
    }
    let same = |a: &Trial, b: &Trial| Trial { elapsed: b.elapsed, ..a.clone() } == *b;
    assert!(report.trials.iter().zip(&whole(&job).trials).all(|(a, b)| same(a, b)), "the same again");
}

#[test]
fn a_trial_among_others_is_what_it_is_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, labels) = two_themes(60);
    let alone = job(folder.path(), &rows, &labels);
    let together = EvalJob { orders: vec![order("sorted"), order("given")], seeds: 2, ..alone.clone() };
    let model = ModelSettings { seed: 2, ..alone.model.clone() };
    let (alone, among) = (report(&EvalJob { model, ..alone }), whole(&together).trials.remove(3));
    assert_eq!(Trial { elapsed: alone.elapsed, ..among }, alone);
}

#[test]
fn a_model_that_learns_blocks_takes_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let generated = "generator:rows=1500,seed=3,broken=0.1".to_owned();
    let plain = job(folder.path(), "", "");
    let mut model = plain.model.clone();
    model.original.batch = 100;
    let mix = Some(Mix { inputs: vec![generated.clone()], ratio: 2 });
    let orders = ["given", "shuffled", "sorted", "bursts", "diluted"].map(order).to_vec();
    let models = vec!["original".to_owned()];
    let job = EvalJob { inputs: vec![generated], labels: None, models, model, mix, orders, shuffle_window: 40, ..plain };
    let report = whole(&job);
    let rows: Vec<u64> = report.trials.iter().map(|trial| trial.rows).collect();
    assert_eq!(rows, [1_500, 1_500, 1_500, 1_500, 4_500]);
    assert!(report.trials.iter().all(|trial| trial.scored == report.trials[0].scored && trial.rejects > 50), "{rows:?}");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, labels) = two_themes(3);
    let job = job(folder.path(), &rows, &labels);
    let stdin = |orders: &[&str], seeds| {
        let orders = orders.iter().map(|one| order(one)).collect();
        refused(&EvalJob { inputs: vec!["-".into()], orders, seeds, ..job.clone() })
    };
    assert_eq!([stdin(&["given"], 2), stdin(&["sorted"], 1), stdin(&["given", "shuffled"], 1)], ["E-INPUT-STDIN"; 3]);
    assert_eq!(refused(&EvalJob { orders: vec![order("diluted")], ..job.clone() }), "E-EVAL-MIX");
    assert_eq!(refused(&EvalJob { models: vec!["two-level".into(), "three".into()], ..job.clone() }), "E-MODEL");
    let little = EvalJob { memory_bytes: 500, orders: vec![order("sorted")], ..job.clone() };
    assert_eq!(refused(&little), "E-EVAL-MEMORY");
    let mix = Some(Mix { inputs: job.inputs.clone(), ratio: 1 });
    assert_eq!(refused(&EvalJob { orders: vec![order("diluted")], mix, ..little }), "E-EVAL-MEMORY");
}

#[test]
fn orders_are_written_as_they_are_read() {
    for name in ["given", "shuffled", "sorted", "bursts", "diluted", "sorted+diluted"] {
        assert_eq!(order(name).to_string(), name);
    }
    for wrong in ["", "random", "diluted+sorted", "given+given", "sorted+"] {
        assert!(wrong.parse::<Order>().is_err(), "{wrong}");
    }
}
