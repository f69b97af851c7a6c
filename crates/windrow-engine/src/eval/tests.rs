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
        shuffle_window: 0,
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

fn report(job: &EvalJob) -> Report {
    eval(job, &SystemClock::new(), &mut |_, _| {}).unwrap()
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
    let report = report(&EvalJob { shuffle_window: 7, limit: Some(30), mix: Some(mixed), ..plain });
    assert_eq!((report.rows, report.scored), (30 * 4, 30));
    assert_eq!(report.micro.ari, 1.0);
}

#[test]
fn shuffling_follows_the_seed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, labels) = two_themes(50);
    let ids = |seed, window| {
        let job = job(folder.path(), &rows, &labels);
        let job = EvalJob { shuffle_window: window, model: ModelSettings { seed, ..job.model.clone() }, ..job };
        let mut source = open(&job).unwrap();
        let mut records = Vec::new();
        while let Some(batch) = source.next().unwrap() {
            records.extend(batch.records.iter().map(|record| record.offset));
        }
        records
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
        let error = eval(&job(folder.path(), &rows, labels), &SystemClock::new(), &mut |_, _| {}).unwrap_err();
        assert_eq!(error.code, "E-LABELS");
    }
}

#[test]
fn the_generator_knows_its_labels() {
    let folder = tempfile::tempdir().unwrap();
    let generated = "generator:rows=3000,seed=1".to_owned();
    let report = report(&EvalJob { inputs: vec![generated], labels: None, ..job(folder.path(), "", "") });
    assert!(report.scored > 2_500 && report.micro.nmi_geometric > 0.5, "{report:?}");
}
