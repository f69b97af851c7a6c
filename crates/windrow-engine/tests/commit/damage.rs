//! State that is not as it was left: mended where that is certain, else refused with a code. Never a panic, never silence.

use std::fs;
use std::path::PathBuf;

use windrow_core::cluster::{HalfLife, KMeansRule, ModelSettings};
use windrow_core::featurize::FieldWeights;
use windrow_core::lineage::Edit;
use windrow_engine::checkpoint::lock::Lock;
use windrow_engine::checkpoint::{read_committed, read_state, verify};
use windrow_engine::clock::SystemClock;
use windrow_engine::run::{self, Control, Job, Roll, Taken, edit};

use crate::audit::{audit, job_of};
use crate::rig::{Rig, assert_same, csv, line};

fn snapshot(rig: &Rig, epoch: u64) -> PathBuf {
    rig.job.out.join(format!(".windrow/snapshots/model-{epoch:08}.bin"))
}

fn flip(path: &PathBuf, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_snapshot_is_mended_from_an_older_one_and_the_rows_since() {
    let rig = Rig::new(500);
    rig.run().unwrap();
    let before = rig.answer();
    let good = fs::read(snapshot(&rig, 5)).unwrap();
    for at in (0..good.len()).step_by(good.len() / 7) {
        flip(&snapshot(&rig, 5), at);
        let summary = rig.run().unwrap_or_else(|error| panic!("flipped at {at}: {error}"));
        assert!(summary.notes.iter().any(|note| note.contains("snapshot of commit 5 is damaged")), "{:?}", summary.notes);
        assert_eq!(fs::read(snapshot(&rig, 5)).unwrap(), good, "the snapshot is written anew");
    }
    fs::remove_file(snapshot(&rig, 5)).unwrap();
    flip(&snapshot(&rig, 4), 100);
    rig.run().unwrap();
    let committed = read_committed(&rig.job.out, None).unwrap().unwrap();
    let snapshots = verify::look_at_snapshots(&committed).unwrap();
    assert!(snapshots.len() == 3 && snapshots.iter().all(|(_, problem)| problem.is_none()), "all mended: {snapshots:?}");
    assert_same(&rig.answer(), &before, "mended");

    // Going on from a mended state gives what an unharmed one gives.
    rig.write("in/more.csv", &csv(500..600));
    rig.run().unwrap();
    let unharmed = Rig::new(500);
    unharmed.run().unwrap();
    unharmed.write("in/more.csv", &csv(500..600));
    unharmed.run().unwrap();
    assert_eq!(rig.answer().pages, unharmed.answer().pages);
}

#[test]
fn who_only_looks_at_a_damaged_model_is_told_what_mends_it() {
    let rig = Rig::new(300);
    rig.run().unwrap();
    let hint = || {
        let error = read_state(&rig.job.out, None).unwrap_err();
        assert_eq!(error.code, "E-STATE-DAMAGED");
        error.hint.unwrap()
    };
    flip(&snapshot(&rig, 3), 200);
    assert!(hint().contains("`windrow run`") && hint().contains("snapshot of commit 2"), "{}", hint());
    flip(&snapshot(&rig, 2), 200);
    assert!(hint().contains("snapshot of commit 1"), "{}", hint());
    let held = Lock::take(&rig.job.out.join(".windrow/lock"), 0).unwrap();
    assert!(hint().contains("at its next commit"), "{}", hint());
    drop(held);
    flip(&snapshot(&rig, 1), 200);
    assert!(hint().contains("all rows"), "{}", hint());
}

#[test]
fn a_snapshot_that_cannot_be_mended_is_refused() {
    let rig = Rig::new(500);
    rig.run().unwrap();
    let input = fs::read_to_string(rig.path("in/pages.csv")).unwrap();
    flip(&snapshot(&rig, 5), 200);

    rig.write("in/pages.csv", &input[..input.len() - 300]);
    assert_eq!(rig.run().unwrap_err().code, "E-ROWS-GONE");
    let last = line(498);
    rig.write("in/pages.csv", &input.replace(&last, &last.replace("word", "ward")));
    assert_eq!(rig.run().unwrap_err().code, "E-MODEL-DIFFERS");

    rig.write("in/pages.csv", &input);
    flip(&snapshot(&rig, 4), 200);
    flip(&snapshot(&rig, 3), 200);
    fs::remove_file(rig.path("in/pages.csv")).unwrap();
    rig.write("in/others.csv", &csv(900..950));
    let error = rig.run().unwrap_err();
    assert_eq!((error.code, error.exit_code(), error.causes.len()), ("E-ROWS-GONE", 1, 3));
}

#[test]
fn a_model_without_any_whole_snapshot_is_learnt_again_from_the_first_row() {
    let rig = Rig::new(500);
    rig.run().unwrap();
    edit(&rig.job.out, None, &Edit::Pin { cluster: 0, pinned: true }, &SystemClock::new()).unwrap();
    let before = rig.answer();
    for epoch in 4..=6 {
        flip(&snapshot(&rig, epoch), 200);
    }
    let summary = rig.run().unwrap();
    assert!(summary.notes.iter().any(|note| note.contains("made anew and 500 rows learnt again")), "{:?}", summary.notes);
    assert_same(&rig.answer(), &before, "mended");
}

#[test]
fn a_damaged_or_missing_manifest_is_refused() {
    let rig = Rig::new(150);
    rig.run().unwrap();
    let path = rig.job.out.join(".windrow/files.json");
    let good = fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(97) {
        flip(&path, at);
        assert_eq!(rig.run().unwrap_err().code, "E-STATE-DAMAGED", "flipped at {at}");
        fs::write(&path, &good[..at]).unwrap();
        assert_eq!(rig.run().unwrap_err().code, "E-STATE-DAMAGED", "cut at {at}");
        fs::write(&path, &good).unwrap();
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(rig.run().unwrap_err().code, "E-STATE-MISSING");
    fs::remove_dir_all(rig.job.out.join(".windrow")).unwrap();
    let error = rig.run().unwrap_err();
    assert_eq!(error.code, "E-STATE-MISSING");
    assert!(error.hint.is_some());
    assert_eq!(rig.rows("pages").len(), 135, "nothing was touched");
}

#[test]
fn an_older_copy_of_the_state_is_refused() {
    let rig = Rig::new(150);
    rig.run().unwrap();
    let path = rig.job.out.join(".windrow/files.json");
    let older = fs::read(&path).unwrap();
    rig.write("in/more.csv", &csv(150..200));
    rig.run().unwrap();
    fs::write(&path, older).unwrap();
    assert_eq!(rig.run().unwrap_err().code, "E-STATE-OLDER");
}

#[test]
fn settings_that_need_new_state_are_named() {
    let mut rig = Rig::new(150);
    rig.run().unwrap();
    rig.job.model = ModelSettings { clusters: 7.into(), seed: 9, ..rig.job.model };
    rig.job.weights = FieldWeights { title: 2.5, ..FieldWeights::default() };
    let error = rig.run().unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-SETTINGS-STATE", 2));
    for part in
        ["model.clusters is 5 in the state and 7 now", "model.seed is 1", "features.title is 1.0 in the state and 2.5 now"]
    {
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn another_algorithm_and_its_settings_need_new_state() {
    let mut rig = Rig::new(150);
    rig.run().unwrap();
    let refused = |rig: &Rig, parts: &[&str]| {
        let error = rig.run().unwrap_err();
        assert_eq!((error.code, error.exit_code()), ("E-SETTINGS-STATE", 2));
        assert!(parts.iter().all(|part| error.message.contains(part)), "{error}");
    };
    // What another algorithm would do is no matter of the state.
    rig.job.model.kmeans.batch = 3;
    rig.run().unwrap();
    rig.job.model.kind = "kmeans".into();
    refused(&rig, &["model.kind is \"two-level\" in the state and \"kmeans\" now"]);

    let mut rig = Rig::new(150);
    rig.job.model.kind = "kmeans".into();
    rig.run().unwrap();
    rig.run().unwrap();
    rig.job.model.kmeans.rule = KMeansRule::Spark;
    rig.job.model.kmeans.half_life = HalfLife::Never;
    refused(
        &rig,
        &[
            "model.kmeans.half_life is \"2000\" in the state and \"never\" now",
            "model.kmeans.rule is \"spherical\" in the state and \"spark\" now",
        ],
    );
    rig.job.model.kind = "two-level".into();
    refused(&rig, &["model.kind is \"kmeans\" in the state and \"two-level\" now"]);
}

#[test]
fn another_column_map_needs_new_state() {
    let mut rig = Rig::new(150);
    rig.run().unwrap();
    rig.job.columns = "title=description".into();
    let error = rig.run().unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-SETTINGS-STATE", 2));
    assert!(error.message.contains("source.columns is `` in the state and `title=description` now"), "{error}");
    rig.job.columns = String::new();
    rig.run().unwrap();
}

#[test]
fn another_longest_record_needs_new_state_and_the_audit_knows_it() {
    let mut rig = Rig::new(50);
    rig.job.max_record_bytes = 1 << 10;
    rig.write("in/more.csv", &format!("{}{}\n", csv(50..60), "x".repeat(3_000)));
    assert_eq!(rig.run().unwrap().run.rows, 63, "the long line comes in three pieces");
    assert!(audit(&job_of(&rig)).unwrap().is_clean());
    rig.job.max_record_bytes = 1 << 20;
    let error = rig.run().unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-SETTINGS-STATE", 2));
    assert!(error.message.contains("limits.max_record is 1kB in the state and 1MB now"), "{error}");
    // An edit takes it from the state.
    let edit = Edit::Rename { cluster: 0, label: "mine".into() };
    let edited = run::edit(&rig.job.out, None, &edit, &SystemClock::new()).unwrap();
    assert!(matches!(edited.taken, Taken::Committed { .. }));
    rig.job.max_record_bytes = 1 << 10;
    rig.run().unwrap();
}

#[test]
fn unrelated_inputs_are_named_not_swallowed() {
    let mut rig = Rig::new(150);
    rig.run().unwrap();
    rig.write("other.csv", &csv(1_000..1_050));
    rig.job.inputs = vec![rig.path("other.csv").display().to_string()];
    let error = rig.run().unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-INPUT-UNRELATED", 2));
    assert!(error.message.contains("pages.csv") && error.message.contains("other.csv"), "{error}");
    rig.job.accept_new = true;
    assert_eq!(rig.run().unwrap().run.rows, 50);
    rig.job.accept_new = false;
    assert_eq!(rig.run().unwrap().run.rows, 0, "now it is known");

    // A folder in which the files come and go stays the same input.
    let rig = Rig::new(150);
    rig.run().unwrap();
    fs::remove_file(rig.path("in/pages.csv")).unwrap();
    rig.write("in/next.csv", &csv(150..170));
    assert_eq!(rig.run().unwrap().run.rows, 20);
}

#[test]
fn a_second_process_is_fenced_off() {
    let rig = Rig::new(150);
    rig.run().unwrap();
    let held = Lock::take(&rig.job.out.join(".windrow/lock"), 0).unwrap();
    let error = rig.run().unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-LOCKED", 5));
    assert_eq!(rig.state().holder.map(|holder| holder.pid), Some(std::process::id()));
    drop(held);
    rig.run().unwrap();
    assert_eq!(rig.state().holder, None);
}

#[test]
fn an_output_folder_is_fenced_before_its_first_commit_whatever_state_is_named() {
    let mut rig = Rig::new(900);
    rig.job.roll = Roll::default();
    let intruder = |name: &str| {
        let job = Job { state: Some(rig.path(name)), ..rig.job.clone() };
        run::run(&job, &SystemClock::new(), &Control::default(), &mut |_| {})
    };
    let mut refused = Vec::new();
    let summary = rig
        .run_seen(&mut |progress| {
            assert_eq!(progress.epoch, 0, "nothing is committed yet");
            refused.push(intruder("other").unwrap_err());
        })
        .unwrap();
    assert!(
        !refused.is_empty() && refused.iter().all(|error| (error.code, error.exit_code()) == ("E-LOCKED", 5)),
        "{refused:?}"
    );
    assert!(refused[0].message.contains(&format!("process {}", std::process::id())), "{}", refused[0]);
    assert_eq!((summary.run.rows, rig.rows("pages").len(), rig.rows("rejects").len()), (900, 810, 90));
    assert!(audit(&job_of(&rig)).unwrap().is_clean());
    let error = intruder("other").unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-STATE-OTHER", 2));
    assert!(!rig.path("other").exists() && !rig.job.out.join(".windrow-state").exists(), "the intruder left nothing");
}

#[test]
fn an_output_folder_belongs_to_the_first_who_started_there_even_if_he_died() {
    for state in [None, Some("first")] {
        let mut rig = Rig::new(900);
        rig.job.roll = Roll::default();
        rig.job.state = state.map(|name| rig.path(name));
        rig.run_and_die(1);
        assert!(rig.files("pages").is_empty(), "nothing is committed");
        let hidden = rig.job.out.join("pages/.part-00000001-000.zstd.parquet.tmp");
        fs::write(&hidden, "rows of the one that died").unwrap();
        let other = Job { state: Some(rig.path("other")), ..rig.job.clone() };
        let error = run::run(&other, &SystemClock::new(), &Control::default(), &mut |_| {}).unwrap_err();
        assert_eq!((error.code, error.exit_code()), ("E-STATE-OTHER", 2));
        assert!(hidden.exists(), "another's hidden file is not dropped");
        rig.job.state = None;
        let summary = rig.run().unwrap();
        assert_eq!((summary.run.rows, rig.rows("pages").len()), (900, 810), "who owns it goes on");
    }
}

#[test]
fn a_hidden_file_taken_away_under_a_run_stops_it_before_the_commit() {
    let mut rig = Rig::new(10_000);
    rig.job.roll = Roll::default();
    let hidden = rig.job.out.join("pages/.part-00000001-000.zstd.parquet.tmp");
    // More rows than one batch holds.
    let mut batches = 0;
    let error = rig.run_seen(&mut |_| {
        batches += 1;
        if batches == 2 {
            // The first batch was handed to the writer: the file comes.
            while !hidden.exists() {
                std::thread::yield_now();
            }
            fs::remove_file(&hidden).unwrap();
        }
    });
    let error = error.unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-OUTPUT-GONE", 1));
    assert!(read_committed(&rig.job.out, None).unwrap().is_none(), "nothing of it was committed");
    assert_eq!(rig.run().unwrap().run.rows, 10_000);
    assert_eq!(rig.rows("pages").len(), 9_000);
}

#[test]
fn a_folder_replaced_under_a_run_ends_it_and_nothing_is_written_into_the_other() {
    let rig = Rig::new(900);
    let (out, away) = (rig.job.out.clone(), rig.path("away"));
    let error = rig.run_seen(&mut |progress| {
        if progress.epoch == 2 && !away.exists() {
            fs::rename(&out, &away).unwrap();
            fs::create_dir(&out).unwrap();
        }
    });
    let error = error.unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-FOLDER-MOVED", 3), "{error}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "it is another's");
    fs::remove_dir(&out).unwrap();
    fs::rename(&away, &out).unwrap();
    rig.run().unwrap();
    assert_eq!((rig.rows("pages").len(), rig.rows("rejects").len()), (810, 90));
    assert!(audit(&job_of(&rig)).unwrap().is_clean());
}

#[test]
fn a_run_does_not_begin_with_less_room_than_stays_free() {
    let mut rig = Rig::new(100);
    rig.job.free_disk = u64::MAX;
    let error = rig.run().unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-DISK-FULL", 3));
    assert!(error.hint.is_some() && error.message.contains("limits.free_disk"), "{error}");
    rig.job.free_disk = 0;
    assert_eq!(rig.run().unwrap().run.rows, 100);
}
