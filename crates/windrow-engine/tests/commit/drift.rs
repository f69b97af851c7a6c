//! Alarms about drift: the same wherever they are told, and whatever the commits and restarts.

use windrow_engine::alarms;
use windrow_engine::changes::{Since, changes};
use windrow_engine::checkpoint::read_committed;

use crate::rig::Rig;

/// A stream in which a theme has half as many words from row 12,000 on.
fn rig(roll: u64) -> Rig {
    let mut rig = Rig::new(0);
    rig.job.inputs = vec!["generator:rows=18000,seed=4,broken=0.01,themes=4,change=narrower,at=12000".into()];
    rig.job.model.clusters = 12.into();
    rig.job.false_alarms = Some(20.0);
    rig.job.roll.rows = roll;
    rig
}

#[test]
fn alarms_are_the_same_in_lineage_counters_and_changes() {
    let straight = rig(3_000);
    let summary = straight.run().unwrap();
    let committed = read_committed(&straight.job.out, None).unwrap().unwrap();
    let all = alarms::all(&committed).unwrap();
    let late: Vec<_> = all.iter().filter(|raised| raised.position > 11_000).collect();
    assert!(!late.is_empty(), "{all:?}");
    assert_eq!((summary.total.alarms, committed.manifest.counters.alarms), (all.len() as u64, all.len() as u64));
    assert_eq!(alarms::last(&committed.layout, &committed.manifest).unwrap(), all.last().copied());
    let lines = straight.rows("lineage").iter().filter(|line| line.contains("drifted")).count();
    assert_eq!(lines, all.len());

    // Behind a commit, and by the times of pages: the generator has 20 rows a second.
    let told = |since: &str| changes(&committed, since.parse().unwrap(), None).unwrap().unwrap().drifts;
    let positions =
        |drifts: &[windrow_engine::changes::Drift]| drifts.iter().map(|drift| drift.raised.position).collect::<Vec<_>>();
    let of_commits = changes(&committed, Since::Commit(0), None).unwrap().unwrap().drifts;
    assert_eq!(positions(&of_commits), all.iter().map(|raised| raised.position).collect::<Vec<_>>());
    assert!(of_commits.iter().all(|drift| !drift.label.is_empty()));
    let minutes = positions(&told("400s"));
    assert!(
        minutes.iter().all(|at| *at > 9_000) && late.iter().all(|raised| minutes.contains(&raised.position)),
        "{minutes:?}"
    );
}

#[test]
fn commits_and_kills_change_no_alarm() {
    let straight = rig(u64::MAX);
    straight.run().unwrap();
    let torn = rig(1_300);
    torn.run_and_die(6_000);
    torn.run_and_die(7_000);
    torn.run().unwrap();
    assert_eq!(torn.rows("lineage"), straight.rows("lineage"));
    assert!(straight.rows("lineage").iter().any(|line| line.contains("drifted")));
    assert!(torn.state().pipeline.snapshot() == straight.state().pipeline.snapshot());
}
