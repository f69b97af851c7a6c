//! States of every format: each opens, migrates, goes on, and passes the audit; a newer one is refused.
//!
//! `fixtures/states/format-N/` is an output with a state of that format, `in/` beside it the input: 200 rows, rolls of 100, 5 clusters. Formats
//! 4 and 5 are as their programs left them; 1 to 3 are the same with the manifest in their programs' form. Every folder that is found there is tested.

use std::fs;
use std::path::{Path, PathBuf};

use windrow_engine::checkpoint::manifest::{FORMAT, Manifest};
use windrow_engine::checkpoint::migrate::{self, Change};
use windrow_engine::checkpoint::{Layout, verify};
use windrow_engine::clock::SystemClock;

use crate::audit::{audit, job_of};
use crate::copy::copy;
use crate::rig::{Rig, csv};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/states")
}

/// The formats of which a whole state is kept, with its folder.
fn states() -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut states: Vec<_> = entries
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_prefix("format-")?.parse().unwrap(), path.clone())))
        .collect();
    states.sort();
    let formats: Vec<u32> = states.iter().map(|(format, _)| *format).collect();
    assert!(formats.starts_with(&[1, 2, 3, 4, 5]), "the old ones are kept: {formats:?}");
    states
}

/// A rig whose output is that state, and its input the one that the state was made of.
fn rig_of(state: &Path) -> Rig {
    let rig = Rig::new(200);
    let kept = fs::read_to_string(fixtures().join("in/pages.csv")).unwrap();
    assert_eq!(kept, csv(0..200), "the input of the fixtures");
    copy(state, &rig.job.out);
    // The input lies elsewhere now, and is no other for that.
    let path = rig.job.out.join(".windrow/files.json");
    let format = Manifest::format_of(&path).unwrap();
    let moved = fs::read_to_string(&path).unwrap().replace("/data/in", rig.path("in").to_str().unwrap());
    fs::write(&path, sealed(format, moved.split_once('\n').unwrap().1)).unwrap();
    rig
}

/// A manifest of this format.
fn sealed(format: u32, rest: &str) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&format.to_le_bytes());
    hasher.update(rest.as_bytes());
    format!("{{\"windrow\":\"manifest\",\"format\":{format},\"crc32\":\"{:08x}\",\n{rest}", hasher.finalize())
}

fn manifest(rig: &Rig) -> (Layout, Manifest) {
    let layout = Layout::find(&rig.job.out, None).unwrap();
    let manifest = Manifest::read(&layout.manifest()).unwrap().unwrap();
    (layout, manifest)
}

/// Goes on with more rows, and audits all of it.
fn go_on(rig: &Rig, what: &str) {
    rig.write("in/more.csv", &csv(200..320));
    let summary = rig.run().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((summary.run.rows, summary.total.rows), (120, 320), "{what}: only what is new");
    let told = audit(&job_of(rig)).unwrap();
    assert!(told.is_clean() && (told.input, told.pages + told.rejects) == (320, 320), "{what}: {told:?}");
    let (layout, manifest) = manifest(rig);
    assert_eq!(Manifest::format_of(&layout.manifest()).unwrap(), FORMAT, "{what}: a commit writes the current format");
    assert_eq!(manifest.counters.rows, 320, "{what}");
}

#[test]
fn a_state_of_every_format_opens_and_goes_on() {
    for (format, state) in states() {
        let rig = rig_of(&state);
        let (layout, before) = manifest(&rig);
        assert_eq!((Manifest::format_of(&layout.manifest()).unwrap(), before.counters.rows), (format, 200));
        assert_eq!(rig.state().pipeline.position(), before.counters.pages, "format {format}: its model opens");
        go_on(&rig, &format!("format {format}"));
    }
}

#[test]
fn a_state_of_every_format_migrates_and_goes_on() {
    for (format, state) in states() {
        let rig = rig_of(&state);
        let (layout, before) = manifest(&rig);
        let done = migrate::migrate(&rig.job.out, None, &SystemClock::new()).unwrap();
        assert_eq!((done.parts[0].found, done.parts[0].current), (Some(format), FORMAT));
        assert_eq!(done.is_change(), format < FORMAT || done.parts[1..].iter().any(|part| part.change != Change::None));
        let (_, after) = manifest(&rig);
        assert_eq!(Manifest::format_of(&layout.manifest()).unwrap(), FORMAT);
        assert_eq!((&after.counters, after.epoch, &after.files), (&before.counters, before.epoch, &before.files));
        let findings =
            verify::verify(&windrow_engine::checkpoint::read_committed(&rig.job.out, None).unwrap().unwrap()).unwrap();
        assert!(findings.iter().all(|finding| finding.problem.is_none()), "format {format}: {findings:?}");
        assert!(!migrate::plan(&rig.job.out, None).unwrap().is_change());
        go_on(&rig, &format!("format {format}, migrated"));
    }
}

/// Commits of the older program, then some of ours, and no snapshot is left of either.
#[test]
fn a_state_of_every_format_goes_on_and_is_learnt_again_whole() {
    for (format, state) in states() {
        for more in [1, 3] {
            let rig = rig_of(&state);
            let mut expected = Vec::new();
            for number in 0..more {
                // The file grows: of several files the order of the first rows is kept as long as their snapshots are.
                rig.write("in/pages.csv", &csv(0..290 + number * 90));
                rig.run().unwrap();
                expected = rig.state().pipeline.snapshot();
            }
            let (layout, manifest) = manifest(&rig);
            let names: Vec<_> = manifest.snapshots.iter().map(|entry| layout.snapshots().join(&entry.name)).collect();
            assert!(manifest.snapshots.last().unwrap().watched.is_some_and(|position| position > 0));
            for path in &names {
                let mut bytes = fs::read(path).unwrap();
                bytes[200] ^= 1;
                fs::write(path, bytes).unwrap();
            }
            let what = format!("format {format}, {more} times more");
            rig.run().unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(rig.state().pipeline.snapshot() == expected, "{what}");
            assert!(audit(&job_of(&rig)).unwrap().is_clean(), "{what}");
        }
    }
}

#[test]
fn both_ways_give_the_same_answer() {
    for (format, state) in states() {
        let [read, migrated] = [(); 2].map(|()| rig_of(&state));
        migrate::migrate(&migrated.job.out, None, &SystemClock::new()).unwrap();
        [&read, &migrated].into_iter().for_each(|rig| go_on(rig, "to be compared"));
        crate::rig::assert_same(&migrated.answer(), &read.answer(), &format!("format {format}"));
    }
}

#[test]
fn a_downgrade_is_refused_and_changes_nothing() {
    let rig = Rig::new(100);
    rig.run().unwrap();
    let path = rig.job.out.join(".windrow/files.json");
    let text = fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    let rest = rest.replacen(&format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION")), "\"version\": \"99.1.0\"", 1);
    let next = FORMAT + 1;
    let newer = sealed(next, &rest);
    fs::write(&path, &newer).unwrap();
    let refused = [
        rig.run().unwrap_err(),
        migrate::migrate(&rig.job.out, None, &SystemClock::new()).unwrap_err(),
        migrate::plan(&rig.job.out, None).unwrap_err(),
    ];
    for error in refused {
        assert_eq!((error.code, error.exit_code()), ("E-STATE-NEWER", 1));
        let said = error.to_string();
        let parts =
            [format!("format {next}"), format!("up to {FORMAT}"), "windrow 99.1.0".into(), env!("CARGO_PKG_VERSION").into()];
        assert!(parts.iter().all(|part| said.contains(part.as_str())), "{said}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}
