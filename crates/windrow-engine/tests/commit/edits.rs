//! Edits enter the order once, and are replayed like rows.

use std::fs;

use windrow_core::lineage::Edit;
use windrow_engine::checkpoint::edits::{n_waiting, request};
use windrow_engine::checkpoint::refused;
use windrow_engine::clock::SystemClock;
use windrow_engine::observe::Progress;
use windrow_engine::run::{Control, Taken, edit, run};

use crate::rig::{Rig, assert_same, csv};

fn rename(cluster: u32) -> Edit {
    Edit::Rename { cluster, label: "holidays".into() }
}

fn label_of(rig: &Rig, cluster: u32) -> String {
    let view = rig.state().pipeline.view();
    view.clusters.iter().find(|seen| seen.cluster == cluster).expect("the cluster lives").label.clone()
}

#[test]
fn an_edit_is_committed_at_once_when_nobody_runs() {
    let rig = Rig::new(200);
    let epoch = rig.run().unwrap().epoch;
    let cluster = rig.state().pipeline.view().clusters[0].cluster;
    let edited = edit(&rig.job.out, None, &rename(cluster), &SystemClock::new()).unwrap();
    assert_eq!(edited.taken, Taken::Committed { epoch: epoch + 1 });
    assert_eq!(label_of(&rig, cluster), "holidays");
    assert!(rig.rows("lineage").iter().any(|line| line.contains("renamed")));
    assert_eq!(rig.rows("pages").len(), 180);

    let again = edit(&rig.job.out, None, &rename(cluster), &SystemClock::new()).unwrap();
    assert_eq!((again.taken, rig.state().manifest.epoch), (Taken::NotNeeded, epoch + 1), "it is so already");

    let error = edit(&rig.job.out, None, &rename(4711), &SystemClock::new()).unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-EDIT", 2));
    let nothing = edit(&rig.path("nowhere"), None, &rename(0), &SystemClock::new()).unwrap_err();
    assert_eq!(nothing.code, "E-STATE-NONE");
}

#[test]
fn a_running_pipeline_takes_an_edit_between_batches() {
    let rig = Rig::new(500);
    let (mut asked, mut early) = (None, None);
    let summary = rig.run_seen(&mut |progress| {
        if progress.epoch == 0 {
            early = Some(edit(&rig.job.out, None, &rename(0), &SystemClock::new()).unwrap_err());
        }
        if progress.committed_rows == 200 && asked.is_none() {
            asked = Some(edit(&rig.job.out, None, &rename(0), &SystemClock::new()).unwrap());
        }
    });
    summary.unwrap();
    let early = early.expect("it was asked before the first commit");
    let wait = format!("wait: process {} runs it", std::process::id());
    assert!(early.code == "E-STATE-NONE" && early.hint.as_ref().is_some_and(|hint| hint.starts_with(&wait)), "{early:?}");
    let taken = asked.map(|edited| edited.taken);
    assert!(matches!(taken, Some(Taken::LeftToRun { .. })), "{taken:?}");
    assert_eq!(label_of(&rig, 0), "holidays");
    assert_eq!(rig.state().manifest.edits, 1);
    assert!(rig.rows("pages").iter().any(|line| line.contains("holidays")));
    assert_eq!(fs::read_dir(rig.job.out.join(".windrow/edits")).unwrap().count(), 0);
}

#[test]
fn an_edit_that_the_running_pipeline_refuses_is_told_to_who_asked() {
    for dies in [false, true] {
        let rig = Rig::new(500);
        let inbox = rig.job.out.join(".windrow/edits");
        let mut asked = None;
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let summary = rig.run_seen(&mut |progress| {
                if progress.run.rows == 200 {
                    asked = Some(request(&inbox, &rename(4711), &SystemClock::new()).unwrap());
                    fs::write(inbox.join("by-hand.json"), "rename it").unwrap();
                }
                assert!(!dies || progress.run.rows < 300, "dies here, as planned");
            });
            assert_eq!(summary.unwrap().notes.iter().filter(|note| note.contains("was refused")).count(), 2);
        }));
        assert_eq!(died.is_err(), dies);
        rig.run().unwrap();
        let found = refused::list(&inbox).unwrap();
        assert_eq!(found.iter().map(|one| one.request.clone()).collect::<Vec<_>>(), [asked.unwrap(), "by-hand".into()]);
        assert!(found[0].asked.contains("4711") && found[0].reason.contains("4711"), "{found:?}");
        assert!(found[1].asked == "rename it" && found[1].reason.contains("cannot be read"), "{found:?}");
        assert_eq!(n_waiting(&inbox).unwrap(), 0);
    }
}

#[test]
fn edits_behind_the_last_commit_are_replayed_at_their_positions() {
    let edited = |died: bool| {
        let mut rig = Rig::new(600);
        rig.job.roll.rows = 50;
        let inbox = rig.job.out.join(".windrow/edits");
        let mut asked = false;
        let mut ask = |rows: u64| {
            // The edit lies between rows 300 and 350 of the order.
            if rows == 300 && !asked {
                asked = true;
                request(&inbox, &rename(0), &SystemClock::new()).unwrap();
            }
        };
        if died {
            let planned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                rig.run_seen(&mut |progress| {
                    ask(progress.run.rows);
                    assert!(progress.run.rows < 350, "dies here, as planned");
                })
            }));
            assert!(planned.is_err());
            let state = rig.state();
            assert_eq!((state.manifest.edits, state.manifest.counters.rows), (0, 300));
            let log = fs::read_to_string(rig.job.out.join(".windrow/edits.jsonl")).unwrap();
            assert!(log.contains("\"position\":270"), "{log}");
            // Other cuts than before: the edit now lies inside a batch.
            rig.job.roll.rows = 1_000;
            rig.run().unwrap();
        } else {
            rig.run_seen(&mut |progress| ask(progress.run.rows)).unwrap();
        }
        assert_eq!(rig.state().manifest.edits, 1);
        rig.answer()
    };
    let undisturbed = edited(false);
    assert!(undisturbed.lineage.iter().any(|line| line.contains("holidays")));
    assert_same(&edited(true), &undisturbed, "replayed");
}

#[test]
fn an_edit_waits_for_its_position_however_early_the_next_run_ends() {
    let edited = |died: bool| {
        let mut rig = Rig::new(0);
        (0..12).for_each(|file| rig.write(&format!("in/{file:02}.csv"), &csv(file * 50..(file + 1) * 50)));
        rig.job.roll.rows = 300;
        let inbox = rig.job.out.join(".windrow/edits");
        let mut asked = false;
        let mut seen = |rows: u64| {
            if rows == 400 && !asked {
                asked = true;
                request(&inbox, &rename(0), &SystemClock::new()).unwrap();
            }
            assert!(!died || rows < 450, "dies here, as planned");
        };
        let planned =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.run_seen(&mut |now| seen(now.run.rows)).unwrap()));
        assert_eq!(planned.is_err(), died);
        if died {
            let facts = |rig: &Rig| (rig.state().manifest.edits, rig.state().manifest.counters.rows);
            assert_eq!(facts(&rig), (0, 300));
            rig.run_to_stop(10);
            assert_eq!(facts(&rig), (0, 350), "stopped before the edit's position");
            let pin = Edit::Pin { cluster: 0, pinned: true };
            let later = edit(&rig.job.out, None, &pin, &SystemClock::new()).unwrap();
            let Taken::LeftToNextRun { request } = later.taken else { panic!("{later:?}") };
            assert_eq!(facts(&rig), (0, 350), "and a later edit does not overtake it");
            fs::remove_file(inbox.join(format!("{request}.json"))).unwrap();
            rig.run().unwrap();
        }
        assert_eq!(rig.state().manifest.edits, 1);
        rig.answer()
    };
    assert_same(&edited(true), &edited(false), "stopped on the way");
}

#[test]
fn an_edit_behind_the_last_row_is_not_left_until_another_one_comes() {
    let follow = |rig: &Rig, seen: &mut dyn FnMut(&Progress<'_>) -> bool| {
        let control = Control::default();
        let mut quiet = 0;
        let mut observer = |progress: &Progress<'_>| {
            quiet += u64::from(progress.total.rows == 200);
            assert!(quiet < 10, "no row comes any more, and the edit waits");
            if seen(progress) {
                control.stop();
            }
        };
        run(&rig.job, &SystemClock::new(), &control, &mut observer).unwrap();
    };
    let edited = |died: bool| {
        let mut rig = Rig::new(200);
        rig.job.follow = true;
        let inbox = rig.job.out.join(".windrow/edits");
        let is_named = |progress: &Progress<'_>| progress.pipeline.label(0) == Some("holidays");
        let mut asked = false;
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            follow(&rig, &mut |progress| {
                if progress.run.rows == 200 && !asked {
                    asked = true;
                    request(&inbox, &rename(0), &SystemClock::new()).unwrap();
                }
                assert!(!died || !is_named(progress), "dies here, as planned");
                is_named(progress)
            });
        }));
        assert_eq!(ended.is_err(), died);
        if died {
            assert_eq!((n_waiting(&inbox).unwrap(), rig.state().manifest.edits), (0, 0), "taken, and not committed");
            follow(&rig, &mut |progress| is_named(progress));
        }
        rig.answer()
    };
    let undisturbed = edited(false);
    assert!(undisturbed.lineage.iter().any(|line| line.contains("holidays")));
    assert_same(&edited(true), &undisturbed, "killed");
}

#[test]
fn an_edit_survives_falling_back_to_an_older_snapshot() {
    let rig = Rig::new(200);
    rig.run().unwrap();
    edit(&rig.job.out, None, &rename(0), &SystemClock::new()).unwrap();
    rig.write("in/more.csv", &csv(200..300));
    let epoch = rig.run().unwrap().epoch;
    let before = rig.answer();
    for epoch in [epoch, epoch - 1] {
        fs::write(rig.job.out.join(format!(".windrow/snapshots/model-{epoch:08}.bin")), "damaged").unwrap();
    }
    let summary = rig.run().unwrap();
    assert!(summary.notes.iter().any(|note| note.contains("is damaged")), "{:?}", summary.notes);
    assert_same(&rig.answer(), &before, "mended");
}

#[test]
fn merges_splits_and_what_is_taken_back_are_replayed_like_rows() {
    let scout = Rig::new(600);
    scout.run_to_stop(200);
    let clusters = scout.state().pipeline.view().clusters;
    let [a, b] = [clusters[0].cluster, clusters[1].cluster];
    let script = [
        (200, Edit::Rename { cluster: a, label: "mine".into() }),
        (250, Edit::Merge { cluster: a, into: b }),
        (300, Edit::Split { cluster: b, micro_clusters: Vec::new(), make_room: false }),
        (350, Edit::Undo { older: false }),
        (400, Edit::Undo { older: false }),
        (450, Edit::Pin { cluster: b, pinned: true }),
    ];
    let edited = |deaths: &[u64]| {
        let mut rig = Rig::new(0);
        (0..12).for_each(|file| rig.write(&format!("in/{file:02}.csv"), &csv(file * 50..(file + 1) * 50)));
        rig.job.roll.rows = 130;
        let inbox = rig.job.out.join(".windrow/edits");
        let mut asked = 0;
        for death in deaths.iter().copied().map(Some).chain([None]) {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                rig.run_seen(&mut |now| {
                    if let Some((_, wanted)) = script.get(asked).filter(|(rows, _)| *rows == now.total.rows) {
                        asked += 1;
                        request(&inbox, wanted, &SystemClock::new()).unwrap();
                    }
                    assert!(death.is_none_or(|death| now.total.rows < death), "dies here, as planned");
                })
                .unwrap()
            }));
            assert_eq!(ended.is_err(), death.is_some());
        }
        assert_eq!((asked, refused::list(&inbox).unwrap().len()), (script.len(), 0));
        rig.answer()
    };
    let undisturbed = edited(&[]);
    for event in ["cluster_merged", "cluster_split", "micro_placed", "cluster_back", "micro_released", "undone"] {
        assert!(undisturbed.lineage.iter().any(|line| line.contains(event)), "{event}");
    }
    assert_same(&edited(&[220, 280, 340, 420, 480]), &undisturbed, "killed five times");
}
