//! Whoever reads beside a running pipeline sees one commit, whole: no file is called lost because it was on its way.

use std::fs;
use std::time::Duration;

use windrow_engine::checkpoint::{Committed, read_committed, verify};
use windrow_engine::lookup::{Wanted, find};
use windrow_engine::run::Roll;
use windrow_engine::search::{Cursor, Filter, Page, end, newest, since};
use windrow_engine::sink::Family;
use windrow_engine::sink::parquet::hidden_name;

use crate::audit::{audit, job_of};
use crate::rig::{Rig, csv};

fn committed(rig: &Rig) -> Committed {
    read_committed(&rig.job.out, None).unwrap().expect("something is committed")
}

fn problems(committed: &Committed) -> Vec<verify::Finding> {
    let findings = verify::verify(committed).unwrap();
    findings.into_iter().filter(|finding| finding.problem.is_some()).collect()
}

#[test]
fn committed_files_that_are_not_in_view_yet_are_read() {
    let rig = Rig::new(300);
    rig.run().unwrap();
    let wanted = Wanted::Id("298".into());
    let seen = find(&rig.state(), &wanted).unwrap();
    assert!(seen.is_some());
    // As a kill right after the commit leaves them, and as a reader meets them in the middle of a roll.
    for family in Family::ALL {
        for path in rig.files(family.folder()).into_iter().filter(|path| path.to_string_lossy().contains("00000003")) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            fs::rename(&path, path.with_file_name(hidden_name(&name))).unwrap();
        }
    }
    assert_eq!(find(&rig.state(), &wanted).unwrap(), seen);
    assert_eq!(problems(&committed(&rig)), []);
    assert!(audit(&job_of(&rig)).unwrap().is_clean());
}

#[test]
fn a_snapshot_that_newer_commits_dropped_is_not_missed() {
    let rig = Rig::new(100);
    rig.run().unwrap();
    let old = committed(&rig);
    rig.write("in/more.csv", &csv(100..500));
    rig.run().unwrap();
    assert!(!old.layout.snapshots().join(&old.manifest.snapshots[0].name).exists());
    assert_eq!(problems(&old), []);
    assert_eq!(verify::look_at_snapshots(&old).unwrap(), []);
    let newer = old.with_model().unwrap();
    assert_eq!((newer.manifest.epoch, newer.pipeline.position()), (5, 450));
    // One that is still named is missed.
    let now = committed(&rig);
    fs::remove_file(now.layout.snapshots().join(&now.manifest.snapshots[1].name)).unwrap();
    let found = problems(&now);
    assert_eq!((found.len(), found[0].what, found[0].problem.as_deref()), (1, "snapshot", Some("it is gone")));
}

#[test]
fn readers_beside_fast_rolls_see_whole_commits() {
    let mut rig = Rig::new(400);
    rig.job.roll = Roll { rows: 4, bytes: u64::MAX, age: Duration::MAX };
    std::thread::scope(|scope| {
        let running = scope.spawn(|| rig.run().unwrap());
        while !running.is_finished() {
            let Some(seen) = read_committed(&rig.job.out, None).unwrap() else { continue };
            assert_eq!(problems(&seen), []);
            let report = audit(&job_of(&rig)).unwrap();
            assert!(report.is_clean() && report.epoch >= seen.manifest.epoch, "{report:?}");
            let state = rig.state();
            assert!(find(&state, &Wanted::Id("0".into())).unwrap().is_some());
            assert_eq!(state.pipeline.position(), state.manifest.counters.pages);
        }
        assert_eq!(running.join().unwrap().epoch, 100);
    });
}

#[test]
fn a_search_goes_back_page_by_page_and_leaves_nothing_out() {
    let rig = Rig::new(950);
    rig.run().unwrap();
    let committed = committed(&rig);
    for (text, limit) in [("", 7), ("", 400), ("novel:false", 50), ("url~1", 3)] {
        let filter = Filter::parse(text, 0).unwrap();
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let part = newest(&committed, &filter, before, limit).unwrap();
            assert!(part.rows.len() <= limit && part.total == committed.manifest.counters.pages);
            found.extend(part.rows);
            before = part.next;
            if before.is_none() {
                break;
            }
        }
        found.reverse();
        let all = come(&committed, Cursor::default(), &filter, 33).0;
        assert_eq!(found, all, "{text}");
        assert!(all.len() > limit, "{text}: {}", all.len());
    }
    let seen = end(&committed).unwrap();
    rig.write("in/more.csv", &csv(950..1_050));
    rig.run().unwrap();
    let more = read_committed(&rig.job.out, None).unwrap().unwrap();
    let (pages, next) = come(&more, seen, &Filter::default(), 7);
    assert_eq!(pages.len() as u64, more.manifest.counters.pages - committed.manifest.counters.pages);
    assert_eq!(next, end(&more).unwrap());
    // An output that was made anew is shorter.
    let other = Rig::new(120);
    other.run().unwrap();
    let anew = self::committed(&other);
    assert_eq!(come(&anew, next, &Filter::default(), 50).0.len() as u64, anew.manifest.counters.pages);
}

/// All that came from a place on, in pieces.
fn come(committed: &Committed, from: Cursor, filter: &Filter, limit: usize) -> (Vec<Page>, Cursor) {
    let (mut pages, mut at) = (Vec::new(), from);
    loop {
        let came = since(committed, at, filter, limit).unwrap();
        assert!(came.pages.len() <= limit);
        pages.extend(came.pages);
        at = came.next;
        if came.is_all {
            return (pages, at);
        }
    }
}
