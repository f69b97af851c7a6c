//! States of every format: each opens, migrates, goes on, and passes the audit; a newer one is refused.
//!
//! `fixtures/states/format-N/` is an output with a state of that format, `in/` beside it the input: 200 rows, rolls of 100, 5 clusters. Formats
//! 4 to 6 are as their programs left them; 1 to 3 are the same with the manifest in their programs' form. Every folder that is found there is tested.

use std::fs;
use std::path::{Path, PathBuf};

use windrow_core::lineage::{Edit, Evidence};
use windrow_engine::checkpoint::manifest::{FORMAT, Manifest};
use windrow_engine::checkpoint::migrate::{self, Change};
use windrow_engine::checkpoint::{Layout, verify};
use windrow_engine::clock::SystemClock;
use windrow_engine::{run, search};

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
    assert!(formats.starts_with(&[1, 2, 3, 4, 5, 6]), "the old ones are kept: {formats:?}");
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

/// An edit learns nothing: of a state that is not watched yet it does not say how it will be.
#[test]
fn an_edit_of_an_old_state_says_nothing_of_a_watch() {
    for (format, state) in states().into_iter().filter(|(format, _)| *format < 7) {
        let mut rig = rig_of(&state);
        let before = manifest(&rig).1.counters.pages;
        let cluster = rig.state().pipeline.view().clusters[0].cluster;
        let edit = Edit::Rename { cluster, label: "mine".into() };
        run::edit(&rig.job.out, None, &edit, &SystemClock::new()).unwrap();
        assert_eq!(manifest(&rig).1.watch, None, "format {format}");
        rig.job.false_alarms = Some(3.0);
        rig.write("in/pages.csv", &csv(0..300));
        rig.run().unwrap_or_else(|error| panic!("format {format}: {error}"));
        let watch = manifest(&rig).1.watch.unwrap();
        assert_eq!((watch.false_alarms, watch.from), (3.0, before), "format {format}");
    }
}

/// What an older program began has no watch up to where this one goes on, and one from there: learning it again must begin it at the same page,
/// whichever snapshots are left.
#[test]
fn what_was_gone_on_with_is_learnt_again_from_any_snapshot_or_none() {
    for (format, state) in states() {
        for n_commits in 1..=4 {
            let rig = rig_of(&state);
            let (_, before) = manifest(&rig);
            // The same file, which has grown: all of it can be read again in the order in which it was.
            rig.write("in/pages.csv", &csv(0..200 + 100 * n_commits));
            rig.run().unwrap();
            let (layout, after) = manifest(&rig);
            assert_eq!(
                after.watch.map(|watch| watch.from),
                before.watch.map_or(Some(before.counters.pages), |watch| Some(watch.from))
            );
            let wanted = rig.answer();
            for n_damaged in 1..=after.snapshots.len() {
                for entry in after.snapshots.iter().rev().take(n_damaged) {
                    fs::write(layout.snapshots().join(&entry.name), b"damaged").unwrap();
                }
                let what = format!("format {format}, {n_commits} commits more, {n_damaged} snapshots damaged");
                rig.run().unwrap_or_else(|error| panic!("{what}: {error}"));
                crate::rig::assert_same(&rig.answer(), &wanted, &what);
            }
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
fn lineage_without_evidence_is_read_beside_newer_one() {
    for (format, state) in states() {
        let rig = rig_of(&state);
        go_on(&rig, &format!("format {format}"));
        let committed = windrow_engine::checkpoint::read_committed(&rig.job.out, None).unwrap().unwrap();
        let events = search::events(&committed, None, None, 10_000).unwrap().rows;
        let (old, new): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.epoch <= 2);
        assert!(!old.is_empty() && !new.is_empty(), "format {format}: {} and {} events", old.len(), new.len());
        assert!(old.iter().all(|event| event.evidence == Evidence::default() && event.said().is_none()), "format {format}");
        assert!(new.iter().all(|event| event.evidence.why.is_some() && event.said().is_some()), "format {format}: {new:?}");
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
