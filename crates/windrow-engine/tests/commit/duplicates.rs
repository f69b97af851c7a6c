//! Duplicates over a window: the same pages, counts and rejects over kills, damage, edits and any number of threads; the audit knows them.

use std::fs;

use windrow_core::clean::{Duplicates, OnDuplicate};
use windrow_core::lineage::Edit;
use windrow_core::record::RejectReason;
use windrow_engine::clock::SystemClock;
use windrow_engine::run;

use crate::audit::{audit, job_of};
use crate::rig::{Rig, assert_same, line};

const ROWS: u64 = 700;

/// Rows of which many have the texts of others, near and far; every tenth is none.
fn rig(action: OnDuplicate) -> Rig {
    let mut rig = Rig::new(0);
    let mut text = "creation_time,id,url,title,keywords,description\n".to_owned();
    (0..ROWS).for_each(|row| text.push_str(&line(if row % 3 == 0 { row } else { row * row % 97 })));
    rig.write("in/pages.csv", &text);
    rig.job.rules.duplicates = Duplicates { action, window: 50 };
    rig
}

#[test]
fn duplicates_are_the_same_over_kills_and_threads() {
    for action in [OnDuplicate::Count, OnDuplicate::Reject] {
        let whole = rig(action);
        let total = whole.run().unwrap().total;
        let rejected = total.rejects[RejectReason::Duplicate.place()];
        assert_eq!(total.pages + total.n_rejects(), ROWS);
        let is_as_asked = match action {
            OnDuplicate::Reject => (total.duplicates, rejected > 100) == (0, true),
            _ => (total.duplicates > 100, rejected) == (true, 0),
        };
        assert!(is_as_asked, "{action:?}: {total:?}");
        for threads in [1, 4] {
            let mut killed = rig(action);
            killed.job.threads = threads;
            for row in [150, 1, 290, 120] {
                killed.run_and_die(row);
            }
            killed.run().unwrap();
            assert_eq!(killed.state().manifest.counters, total);
            assert_same(&killed.answer(), &whole.answer(), "killed");
            let report = audit(&job_of(&killed)).unwrap();
            assert!(report.is_clean() && report.input == ROWS, "{report:?}");
        }
        let before = whole.answer();
        fs::write(whole.newest_snapshot().unwrap(), b"nothing").unwrap();
        whole.run().unwrap();
        assert_same(&whole.answer(), &before, "learnt again from an older snapshot");
    }
}

#[test]
fn a_duplicate_is_a_reject_with_its_bytes_and_no_other_row_passes_for_one() {
    let rig = rig(OnDuplicate::Reject);
    rig.run().unwrap();
    let duplicates: Vec<String> = rig.rows("rejects").into_iter().filter(|row| row.contains("\"duplicate\"")).collect();
    assert!(duplicates.len() > 100 && duplicates.iter().all(|row| row.contains("|")), "{duplicates:?}");
    // The rows of the input are others now, behind the head by which the file is known.
    let text = fs::read_to_string(rig.path("in/pages.csv")).unwrap();
    let (head, rest) = text.split_at(5_000);
    fs::write(rig.path("in/pages.csv"), format!("{head}{}", rest.replace("bread", "bride"))).unwrap();
    let report = audit(&job_of(&rig)).unwrap();
    assert!(report.disagreeing > 0 && report.lost == 0, "{report:?}");
}

#[test]
fn another_rule_for_duplicates_needs_new_state() {
    let mut rig = rig(OnDuplicate::Count);
    rig.run().unwrap();
    for (action, window) in [(OnDuplicate::Keep, 50), (OnDuplicate::Count, 51)] {
        rig.job.rules.duplicates = Duplicates { action, window };
        assert_eq!(rig.run().unwrap_err().code, "E-SETTINGS-STATE");
    }
}

#[test]
fn an_edit_of_a_stopped_pipeline_keeps_the_window() {
    let rig = rig(OnDuplicate::Count);
    rig.run().unwrap();
    let edit = Edit::Rename { cluster: rig.state().pipeline.view().clusters[0].cluster, label: "Mine".into() };
    run::edit(&rig.job.out, None, &edit, &SystemClock::new()).unwrap();
    let text = fs::read_to_string(rig.path("in/pages.csv")).unwrap();
    let is_page = |line: &&str| line.starts_with("20") && !line.contains('"');
    let last = text.lines().rev().find(is_page).unwrap();
    rig.write("in/more.csv", &format!("creation_time,id,url,title,keywords,description\n{last}\n"));
    assert_eq!(rig.run().unwrap().run.duplicates, 1, "{last}");
}
