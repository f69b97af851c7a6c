//! What changed: births and ends are those of the lineage, and what users did is told with their clusters.

use windrow_core::lineage::Edit;
use windrow_engine::changes::{Change, Changes, Deed, Kind, Period, Since, changes};
use windrow_engine::checkpoint::read_committed;
use windrow_engine::clock::SystemClock;
use windrow_engine::run::edit;

use crate::rig::{Rig, csv};

fn told(rig: &Rig, since: u64) -> Changes {
    let committed = read_committed(&rig.job.out, None).unwrap().unwrap();
    changes(&committed, Since::Commit(since), None).unwrap().unwrap()
}

fn of(found: &Changes, cluster: u32) -> Option<&Change> {
    found.changes.iter().find(|change| change.cluster == cluster)
}

fn deeds(change: &Change) -> Vec<(Deed, Option<u32>)> {
    change.acts.iter().map(|act| (act.deed, act.other)).collect()
}

/// A rig whose stream has come to an end, its commit, and its clusters with the pages that they have, most first.
fn ended() -> (Rig, u64, Vec<(u32, u64)>) {
    let mut rig = Rig::new(600);
    rig.job.roll.rows = u64::MAX;
    let epoch = rig.run().unwrap().epoch;
    let mut clusters: Vec<_> = told(&rig, 0).changes.iter().map(|change| (change.cluster, change.pages[1])).collect();
    clusters.sort_by_key(|(cluster, pages)| (std::cmp::Reverse(*pages), *cluster));
    assert!(clusters.len() >= 4, "{clusters:?}");
    (rig, epoch, clusters)
}

#[test]
fn a_commit_of_edits_only_tells_what_users_did() {
    let (rig, epoch, clusters) = ended();
    let [(a, _), (b, _), (c, _), (d, _)] = clusters[..4] else { panic!("there are four") };
    let edit = |wanted| _ = edit(&rig.job.out, None, &wanted, &SystemClock::new()).unwrap();
    edit(Edit::Merge { cluster: b, into: a });
    edit(Edit::Merge { cluster: c, into: a });
    edit(Edit::Undo { older: false });
    edit(Edit::Rename { cluster: d, label: "mine".into() });

    let found = told(&rig, epoch);
    assert_eq!((found.pages, found.periods[1]), ([0, 0], Period::Commits(epoch + 1, epoch + 4)));
    let back = found.changes.iter().find(|change| change.acts.iter().any(|act| act.deed == Deed::StandsFor)).unwrap();
    assert_eq!(deeds(back), [(Deed::StandsFor, Some(c))]);
    assert_eq!(deeds(of(&found, b).unwrap()), [(Deed::MergedInto, Some(a))]);
    assert_eq!(deeds(of(&found, a).unwrap()), [(Deed::TookIn, Some(b)), (Deed::GaveBack, Some(back.cluster))]);
    let renamed = of(&found, d).unwrap();
    assert_eq!((renamed.kind, renamed.label.as_str()), (Kind::Renamed, "mine"));
    assert!(renamed.was.as_ref().is_some_and(|was| !was.is_empty() && was != "mine"), "{renamed:?}");
    assert!(found.changes.iter().all(|change| matches!(change.kind, Kind::Renamed | Kind::Edited)), "{found:?}");
    assert_eq!((of(&found, c), found.changes.len()), (None, 4));
    assert_eq!(told(&rig, epoch + 3).changes.len(), 1);
    assert_eq!(told(&rig, epoch + 4).changes, []);
}

#[test]
fn pages_of_what_was_merged_by_hand_count_for_the_other_on_both_sides() {
    let (rig, epoch, clusters) = ended();
    let [(a, n_a), (b, n_b), (c, n_c), ..] = clusters[..] else { panic!("there are three") };
    let edit = |wanted| _ = edit(&rig.job.out, None, &wanted, &SystemClock::new()).unwrap();
    edit(Edit::Merge { cluster: b, into: a });
    edit(Edit::Merge { cluster: c, into: a });
    edit(Edit::Undo { older: false });
    rig.write("in/q.csv", &csv(600..1_200));
    rig.run().unwrap();

    let found = told(&rig, epoch);
    let taken_in = of(&found, a).unwrap();
    assert_eq!(taken_in.pages[0], n_a + n_b);
    let back = found.changes.iter().find(|change| change.acts.iter().any(|act| act.deed == Deed::StandsFor)).unwrap();
    assert_eq!(back.pages[0], n_c);
    assert!(found.changes.iter().all(|change| !matches!(change.kind, Kind::New | Kind::Gone)), "{found:?}");
    assert_eq!(of(&found, b).map(|change| (change.kind, change.pages)), Some((Kind::Edited, [0, 0])));
    assert_eq!(found.pages[0], clusters.iter().map(|(_, pages)| pages).sum::<u64>());
    assert_eq!(told(&rig, 0).pages[1], found.pages[0] + found.pages[1], "no page is lost or counted twice");
}
