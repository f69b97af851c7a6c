//! The same rows give the same answer, however they are cut, rolled, stopped and resumed.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use windrow_engine::checkpoint::Layout;
use windrow_engine::checkpoint::life::Life;
use windrow_engine::clock::SystemClock;
use windrow_engine::run::{self, Control, Ended, Job, Roll};

use crate::rig::{Rig, assert_same, csv, line};

#[test]
fn a_second_run_reads_only_what_is_new() {
    let rig = Rig::new(250);
    let first = rig.run().unwrap();
    assert_eq!((first.ended, first.run.rows, first.run.n_rejects()), (Ended::EndOfInput, 250, 25));
    assert_eq!(first.total.rows, first.total.pages + first.total.n_rejects());
    assert_eq!((rig.rows("pages").len(), rig.rows("rejects").len()), (225, 25));

    let again = rig.run().unwrap();
    assert_eq!((again.run.rows, again.total.rows, again.epoch), (0, 250, first.epoch));

    let mut file = OpenOptions::new().append(true).open(rig.path("in/pages.csv")).unwrap();
    file.write_all((250..300).map(line).collect::<String>().as_bytes()).unwrap();
    rig.write("in/more.csv", &csv(300..320));
    let grown = rig.run().unwrap();
    assert_eq!((grown.run.rows, grown.total.rows), (70, 320));
    assert_eq!((rig.rows("pages").len(), rig.rows("rejects").len()), (288, 32));
    let state = rig.state();
    assert_eq!(state.manifest.positions.sources.iter().map(|source| source.rows).collect::<Vec<_>>(), [300, 20]);
    assert_eq!(state.pipeline.position(), 288);
}

#[test]
fn rolls_and_threads_change_nothing() {
    let mut answers = Vec::new();
    for (roll_rows, threads) in [(17, 1), (100, 2), (1_000_000, 2), (u64::MAX, 1)] {
        let mut rig = Rig::new(700);
        rig.job.roll = Roll { rows: roll_rows, bytes: u64::MAX, age: Duration::MAX };
        rig.job.threads = threads;
        let summary = rig.run().unwrap();
        assert_eq!(summary.epoch, 700_u64.div_ceil(roll_rows));
        answers.push(rig.answer());
    }
    assert!(!answers[0].lineage.is_empty());
    for answer in &answers[1..] {
        assert_same(answer, &answers[0], "another roll");
    }
}

#[test]
fn a_roll_is_due_by_bytes_and_by_age_too() {
    let mut rig = Rig::new(300);
    rig.job.roll = Roll { rows: u64::MAX, bytes: 1, age: Duration::MAX };
    rig.run().unwrap();
    let mut rig = Rig::new(300);
    rig.job.roll = Roll { rows: u64::MAX, bytes: u64::MAX, age: Duration::ZERO };
    rig.run().unwrap();
    assert_eq!(rig.rows("pages").len(), 270);
}

#[test]
fn a_stopped_run_commits_and_goes_on_where_it_was() {
    let whole = Rig::new(900);
    whole.run().unwrap();

    let rig = Rig::new(900);
    let control = Control::default();
    let stopped = run::run(&rig.job, &SystemClock::new(), &control, &mut |progress| {
        if progress.run.rows >= 300 {
            control.stop();
        }
    })
    .unwrap();
    assert_eq!((stopped.ended, stopped.run.rows), (Ended::Stopped, 300));
    assert_eq!(rig.rows("pages").len() as u64, stopped.total.pages);
    let resumed = rig.run().unwrap();
    assert_eq!((resumed.run.rows, resumed.total.rows), (600, 900));
    assert_same(&rig.answer(), &whole.answer(), "stopped and resumed");
}

#[test]
fn a_run_that_dies_loses_and_doubles_nothing() {
    let whole = Rig::new(900);
    whole.run().unwrap();
    for died_at in [1, 250, 600, 850] {
        let rig = Rig::new(900);
        rig.run_and_die(died_at);
        rig.run_and_die(1);
        let last = rig.run().unwrap();
        assert_eq!(last.total.rows, 900);
        assert_same(&rig.answer(), &whole.answer(), &format!("died at {died_at}"));
    }
}

#[test]
fn any_life_ends_in_the_same_answer() {
    let whole = Rig::new(900);
    whole.run().unwrap();
    let wanted = whole.answer();
    for seed in 0..8_u64 {
        let mut chance = Pcg64Mcg::seed_from_u64(seed);
        let mut rig = Rig::new(900);
        let mut lived = Vec::new();
        while lived.len() < 6 {
            rig.job.roll.rows = chance.random_range(1..200);
            rig.job.threads = chance.random_range(1..3);
            let row = chance.random_range(1..300);
            match chance.random_range(0..3) {
                0 => {
                    rig.run_to_die(row);
                    lived.push(format!("died by row {row}"));
                }
                1 => {
                    rig.run_to_stop(row);
                    lived.push(format!("stopped by row {row}"));
                }
                _ => {
                    let Some(newest) = rig.newest_snapshot() else { continue };
                    fs::write(newest, b"damaged").unwrap();
                    lived.push("damaged".into());
                }
            }
        }
        let last = rig.run().unwrap_or_else(|error| panic!("seed {seed}, {lived:?}: {error}"));
        assert_eq!(last.total.rows, 900, "seed {seed}, {lived:?}");
        assert_same(&rig.answer(), &wanted, &format!("seed {seed}, {lived:?}"));
    }
}

#[test]
fn the_last_run_says_how_it_ended() {
    let rig = Rig::new(300);
    let life = || {
        let life = Life::read(&Layout::find(&rig.job.out, None).unwrap()).unwrap();
        (life.pid == std::process::id(), life.end.map(|end| (end.reason, end.exit_code)))
    };
    rig.run_and_die(1);
    assert_eq!(life(), (true, None));
    rig.run().unwrap();
    assert_eq!(life(), (true, Some(("end_of_input".into(), 0))));
    rig.write("in/more.csv", &csv(300..900));
    rig.run_to_stop(100);
    assert_eq!(life(), (true, Some(("stopped".into(), 0))));
    let control = Control::default();
    let ended = run::run(&rig.job, &SystemClock::new(), &control, &mut |_| control.interrupt()).unwrap().ended;
    assert_eq!((ended, life()), (Ended::Interrupted, (true, Some(("interrupted".into(), 130)))));
    fs::rename(rig.path("in"), rig.path("away")).unwrap();
    rig.run().unwrap_err();
    let (_, end) = life();
    assert!(end.as_ref().is_some_and(|(reason, code)| reason.starts_with("E-INPUT") && *code > 0), "{end:?}");
}

#[test]
fn hidden_files_of_ours_go_and_everything_else_stays() {
    let rig = Rig::new(150);
    rig.run().unwrap();
    let out = &rig.job.out;
    let foreign = [
        "pages/notes.txt",
        "pages/.part-1.tmp",
        "pages/.hidden.parquet",
        ".windrow/snapshots/mine.bin",
        "pages/part-x.zstd.parquet",
    ];
    let ours = ["pages/.part-00000009-000.zstd.parquet.tmp", "rejects/.part-00000009-000.zstd.parquet.tmp"];
    for name in foreign.iter().chain(&ours) {
        fs::write(out.join(name), "x").unwrap();
    }
    let summary = rig.run().unwrap();
    assert!(summary.notes.iter().any(|note| note.contains("2 unfinished output files")), "{:?}", summary.notes);
    foreign.iter().for_each(|name| assert!(out.join(name).exists(), "{name}"));
    ours.iter().for_each(|name| assert!(!out.join(name).exists(), "{name}"));
}

#[test]
fn published_files_may_be_taken_away() {
    let rig = Rig::new(250);
    rig.run().unwrap();
    fs::remove_dir_all(rig.job.out.join("pages")).unwrap();
    rig.write("in/more.csv", &csv(250..300));
    let summary = rig.run().unwrap();
    assert!(summary.notes.iter().any(|note| note.contains("3 published files are not in")), "{:?}", summary.notes);
    assert_eq!((summary.run.rows, rig.rows("pages").len()), (50, 45));
}

#[test]
fn only_three_snapshots_are_kept() {
    let rig = Rig::new(900);
    rig.run().unwrap();
    let mut names: Vec<_> =
        fs::read_dir(rig.job.out.join(".windrow/snapshots")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["model-00000007.bin", "model-00000008.bin", "model-00000009.bin"]);
}

#[test]
fn a_state_elsewhere_is_found_again_and_belongs_to_one_output() {
    let mut rig = Rig::new(150);
    let state = rig.path("state");
    rig.job.state = Some(state.clone());
    rig.run().unwrap();
    assert!(!rig.job.out.join(".windrow").exists());
    rig.job.state = None;
    assert_eq!(rig.state().manifest.counters.rows, 150);
    assert_eq!(rig.run().unwrap().run.rows, 0);

    rig.job.state = Some(rig.path("other state"));
    assert_eq!(rig.run().unwrap_err().code, "E-STATE-OTHER");
    // The own place of the state, by another name, is no other place.
    let inside = Rig::new(50);
    inside.run().unwrap();
    let named = Job { state: Some(inside.job.out.join("pages/../.windrow")), ..inside.job.clone() };
    run::run(&named, &SystemClock::new(), &Control::default(), &mut |_| {}).unwrap();
    rig.job.state = Some(state);
    rig.job.out = rig.path("other out");
    let error = rig.run().unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-STATE-OTHER", 2));
}
