#[path = "../../../tests/commit/copy.rs"]
mod copy;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use windrow_core::cluster::ModelSettings;

use self::copy::copy;
use super::*;
use crate::checkpoint::lock::Lock;
use crate::checkpoint::{read_state, verify};
use crate::clock::SystemClock;
use crate::failpoint::{self, dying};
use crate::run::{self, Control, Job, Roll};

fn job(out: &Path) -> Job {
    Job {
        max_unpacked: 0,
        model: ModelSettings { clusters: 5, ..ModelSettings::default() },
        roll: Roll { rows: 100, bytes: u64::MAX, age: Duration::MAX },
        ..Job::new(vec!["generator:rows=300,seed=1".into()], out.to_owned())
    }
}

fn run(out: &Path) {
    run::run(&job(out), &SystemClock::new(), &Control::default(), &mut |_| {}).unwrap();
}

fn layout(out: &Path) -> Layout {
    Layout::find(out, None).unwrap()
}

/// Header of a snapshot of the core, and the settings behind it: five clusters, else as they are built in.
const SETTINGS: std::ops::Range<usize> = 28..46;

/// The same model as a program with the Unicode before ours wrote it: another form of the same.
fn aged(model: &[u8]) -> Vec<u8> {
    let mut aged = model.to_vec();
    let unicode = &mut aged[SETTINGS.end..][..3];
    assert!((15..40).contains(&unicode[0]) && unicode[1..] == [0, 0], "it is where the Unicode version stands: {unicode:?}");
    unicode[0] -= 1;
    let format = u32::from_le_bytes(aged[8..12].try_into().unwrap());
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&aged[SETTINGS.start..], format.into());
    aged[SETTINGS.start - 8..SETTINGS.start].copy_from_slice(&hash.to_le_bytes());
    aged
}

/// A state with three snapshots in an older form.
fn older_state(out: &Path) {
    run(out);
    let layout = layout(out);
    let mut manifest = Manifest::read(&layout.manifest()).unwrap().unwrap();
    assert_eq!(manifest.snapshots.len(), 3);
    for entry in &mut manifest.snapshots {
        let model = aged(&snapshots::read(&layout.snapshots().join(&entry.name)).unwrap());
        snapshots::write(&layout.snapshots(), &entry.name, &model).unwrap();
        entry.model = snapshots::hash(&model);
    }
    manifest.commit(&layout.manifest(), manifest.epoch).unwrap();
}

/// Names and bytes of the state's own files.
fn bytes_of(out: &Path) -> Vec<(String, Vec<u8>)> {
    let layout = layout(out);
    let folders = [layout.state.clone(), layout.snapshots()];
    let names = |folder: &Path| files::names_in(folder).unwrap();
    let paths = folders.iter().flat_map(|folder| names(folder).into_iter().map(|name| folder.join(name)));
    // A lock says who took it last.
    let files = paths.filter(|path| path.is_file() && !path.ends_with("lock"));
    files.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

#[track_caller]
fn assert_whole(out: &Path, wanted: &[u8], what: &str) {
    let model = read_state(out, None).unwrap_or_else(|error| panic!("{what}: {error}")).unwrap();
    assert!(model.pipeline.snapshot() == wanted, "{what}: another model");
    let findings = verify::verify(&read_committed(out, None).unwrap().unwrap()).unwrap();
    let bad: Vec<_> = findings.into_iter().filter(|finding| finding.problem.is_some()).collect();
    assert_eq!(bad, [], "{what}");
}

#[test]
fn killed_at_any_point_the_old_state_opens_or_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let (old, out) = (folder.path().join("old"), folder.path().join("out"));
    older_state(&old);
    let wanted = read_state(&old, None).unwrap().unwrap().pipeline.snapshot();
    let mut met = BTreeSet::new();
    for point in failpoint::ALL {
        for nth in 1.. {
            for goes_on in [true, false] {
                copy(&old, &out);
                let done = dying::at(point, nth, || migrate(&out, None, &SystemClock::new()));
                let what = format!("killed at {point}, {nth}");
                assert_whole(&out, &wanted, &what);
                if goes_on {
                    run(&out);
                } else {
                    migrate(&out, None, &SystemClock::new()).unwrap();
                    assert!(!plan(&out, None).unwrap().is_change(), "{what}");
                    run(&out);
                }
                assert_whole(&out, &wanted, &what);
                assert_eq!(files::names_in(&layout(&out).snapshots()).unwrap().len(), 3, "{what}: nothing is left over");
                fs::remove_dir_all(&out).unwrap();
                match done {
                    None => drop(met.insert((point, nth))),
                    Some(done) => drop(done.unwrap()),
                }
            }
            if !met.contains(&(point, nth)) {
                break;
            }
        }
    }
    let wanted = [
        ("after-out-lock", 1),
        ("after-lock", 1),
        ("before-snapshot-rename", 3),
        ("after-snapshot", 3),
        ("before-manifest-rename", 1),
        ("after-manifest-rename", 1),
        ("after-manifest", 1),
        ("after-commit", 1),
    ];
    let missed: Vec<_> = wanted.into_iter().filter(|point| !met.contains(point)).collect();
    assert_eq!(missed, []);
}

#[test]
fn what_is_in_an_older_form_is_written_anew_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    older_state(&out);
    let before = Manifest::read(&layout(&out).manifest()).unwrap().unwrap();
    let bytes = bytes_of(&out);
    let planned = plan(&out, None).unwrap();
    assert_eq!(bytes_of(&out), bytes, "a plan writes nothing");
    let done = migrate(&out, None, &SystemClock::new()).unwrap();
    assert_eq!(planned.parts, done.parts);
    assert!(done.is_change() && done.parts.len() == 4, "{:?}", done.parts);
    assert!(done.parts.iter().all(|part| part.change == Change::Rewritten), "{:?}", done.parts);
    let after = Manifest::read(&layout(&out).manifest()).unwrap().unwrap();
    let strip = |manifest: &Manifest| {
        let mut manifest = manifest.clone();
        manifest.snapshots.iter_mut().for_each(|entry| (entry.name, entry.model) = Default::default());
        manifest
    };
    assert_eq!(strip(&before), strip(&after));

    let bytes = bytes_of(&out);
    assert!(!migrate(&out, None, &SystemClock::new()).unwrap().is_change());
    assert_eq!(bytes_of(&out), bytes, "there was nothing to do");
    // A damaged migrated snapshot is mended under its own name.
    let newest = layout(&out).snapshots().join(&after.snapshots[2].name);
    let good = fs::read(&newest).unwrap();
    fs::write(&newest, b"damaged").unwrap();
    run(&out);
    assert_eq!(fs::read(&newest).unwrap(), good);
}

#[test]
fn damage_is_left_to_a_run_and_a_running_process_is_not_disturbed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    assert_eq!(migrate(&out, None, &SystemClock::new()).unwrap_err().code, "E-STATE-NONE");
    assert!(!out.exists(), "nothing is made where nothing is");
    older_state(&out);
    let held = Lock::take(&layout(&out).lock(), 0).unwrap();
    assert_eq!(migrate(&out, None, &SystemClock::new()).unwrap_err().code, "E-LOCKED");
    assert!(plan(&out, None).unwrap().committed.holder.is_some());
    drop(held);
    let oldest = layout(&out).snapshots().join(snapshots::name(1));
    fs::write(&oldest, b"damaged").unwrap();
    let done = migrate(&out, None, &SystemClock::new()).unwrap();
    assert!(matches!(&done.parts[1].change, Change::Damaged(_)), "{:?}", done.parts);
    assert_eq!(fs::read(&oldest).unwrap(), b"damaged");
    let newest = Manifest::read(&layout(&out).manifest()).unwrap().unwrap().snapshots.remove(2).name;
    fs::write(layout(&out).snapshots().join(newest), b"damaged").unwrap();
    let error = migrate(&out, None, &SystemClock::new()).unwrap_err();
    assert!(error.code == "E-STATE-DAMAGED" && error.hint.as_ref().unwrap().contains("`windrow run`"), "{error}");
}
