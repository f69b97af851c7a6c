//! A model that learns a block of rows at a time: where blocks lie hangs on the rows alone, and early ends are on record.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use windrow_core::cluster::{ModelSettings, OriginalSettings};
use windrow_engine::clock::{Clock as _, SystemClock};
use windrow_engine::run::{self, Control, Roll, Summary};

use crate::rig::{Rig, assert_same, csv, line};

const BATCH: u64 = 64;

/// Rows with six main domains, and a broken row in ten.
fn rows(rows: std::ops::Range<u64>) -> String {
    csv(rows).replace(".example", ".com")
}

fn rig(n: u64) -> Rig {
    let mut rig = Rig::new(0);
    rig.write("in/pages.csv", &rows(0..n));
    let original = OriginalSettings { features: 50, batch: BATCH as u32 };
    rig.job.model = ModelSettings { kind: "original".into(), clusters: 3.into(), original, ..ModelSettings::default() };
    rig
}

#[test]
fn blocks_lie_where_the_rows_say_whatever_happens() {
    let whole = rig(1_000);
    let summary = whole.run().unwrap();
    assert_eq!((summary.run.rows, summary.run.pages), (1_000, 900));
    let answer = whole.answer();
    for (roll_rows, threads, deaths) in
        [(1, 1, vec![]), (u64::MAX, 2, vec![700]), (100, 2, vec![130, 1, 400]), (300, 1, vec![320])]
    {
        let mut rig = rig(1_000);
        rig.job.roll = Roll { rows: roll_rows, bytes: u64::MAX, age: Duration::MAX };
        rig.job.threads = threads;
        for row in &deaths {
            rig.run_to_die(*row);
        }
        rig.run().unwrap();
        assert_same(&rig.answer(), &answer, &format!("rolls of {roll_rows}, deaths at {deaths:?}"));
    }
}

#[test]
fn a_run_that_is_stopped_commits_whole_blocks_and_reads_the_rest_again() {
    let rig = rig(1_000);
    rig.run_to_stop(100);
    let rows = rig.state().manifest.counters.rows;
    assert!(rows.is_multiple_of(BATCH) && (100..1_000).contains(&rows), "{rows} rows");
    rig.run().unwrap();
    let whole = self::rig(1_000);
    whole.run().unwrap();
    assert_same(&rig.answer(), &whole.answer(), "stopped in the middle of a block");
}

/// Follows the input until so many rows are learnt, and adds others on the way.
fn follow(rig: &Rig, mut more: Vec<(u64, String)>, until: u64) -> Summary {
    let (control, clock) = (Control::default(), SystemClock::new());
    run::run(&rig.job, &clock, &control, &mut |progress| {
        assert!(clock.elapsed() < Duration::from_secs(60), "{} of {until} rows after a minute", progress.total.rows);
        if more.first().is_some_and(|(rows, _)| *rows == progress.total.rows) {
            let mut file = OpenOptions::new().append(true).open(rig.path("in/pages.csv")).unwrap();
            file.write_all(more.remove(0).1.as_bytes()).unwrap();
        }
        if progress.total.rows == until {
            control.stop();
        }
    })
    .unwrap()
}

#[test]
fn rows_that_come_live_wait_no_longer_than_they_may_and_the_cut_is_on_record() {
    let mut rig = rig(70);
    rig.job.roll = Roll { rows: u64::MAX, bytes: u64::MAX, age: Duration::MAX };
    rig.run().unwrap();
    rig.job.follow = true;
    let more = |from, to| (from..to).map(line).collect::<String>().replace(".example", ".com");
    rig.write("in/pages.csv", &(rows(0..70) + &more(70, 80)));
    // 80, 90 and 180 end blocks early; between 90 and 180 one is full.
    let summary = follow(&rig, vec![(80, more(80, 90)), (90, more(90, 180))], 180);
    assert_eq!(summary.total.rows, 180);
    let answer = rig.answer();
    let newest = rig.newest_snapshot().unwrap();
    fs::write(&newest, b"damaged").unwrap();
    rig.job.follow = false;
    let again = rig.run().unwrap();
    assert!(again.notes.iter().any(|note| note.contains("110 rows learnt again")), "{:?}", again.notes);
    assert_same(&rig.answer(), &answer, "learnt again");
}

#[test]
fn a_copy_of_the_pages_comes_into_view_with_them_through_every_death() {
    use windrow_engine::sink::parquet::PagesCopy;
    let mut rig = rig(1_000);
    rig.job.copy = PagesCopy::Original;
    for row in [130, 300, 64] {
        rig.run_to_die(row);
    }
    rig.run().unwrap();
    let names = |family: &str| -> Vec<String> {
        let names = rig.files(family).into_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        names.collect()
    };
    assert_eq!(names("output"), names("pages"));
    assert_eq!(rig.rows("output").len(), 900);
    let hidden = fs::read_dir(rig.job.out.join("output")).unwrap().count() - names("output").len();
    assert_eq!(hidden, 0, "nothing is left over");
}
