use super::*;
use crate::cluster::ModelSettings;
use crate::lineage::{Alarm, Edit, Happening, Measure};
use crate::pipeline::{Outcome, Pipeline, Prepared};
use crate::testing::pages_of;

/// Alarms come early: there are few pages.
const SETTINGS: WatchSettings = WatchSettings { false_alarms: 20.0, from: 0 };

/// Pages of two things, whose words are always the same but for those of the first from page `change` on.
fn texts(n: usize, change: usize) -> Vec<String> {
    let mut random = 7_u64;
    let mut below = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % n
    };
    let page = |at: usize| {
        let is_first = below(2) == 0;
        let (name, first) = match (is_first, at >= change) {
            (true, false) => ("boats sails", 0),
            (true, true) => ("boats sails", 1_000),
            (false, _) => ("bread flour", 500),
        };
        let words: Vec<String> = (0..6).map(|_| format!("w{}", first + below(12) * below(12))).collect();
        format!("{name} {}", words.join(" "))
    };
    (0..n).map(page).collect()
}

fn plain(kind: &str) -> Pipeline {
    let settings = ModelSettings { kind: kind.into(), clusters: 2.into(), ..ModelSettings::default() };
    Pipeline::new(&settings).expect("a known model")
}

fn pipeline(kind: &str, settings: WatchSettings) -> Pipeline {
    plain(kind).watching(settings)
}

fn learn(pipeline: &mut Pipeline, texts: &[String], outcome: &mut Outcome) {
    let mut pages = pages_of(texts);
    let first = pipeline.position();
    pages.origin.iter_mut().for_each(|origin| origin.offset += first);
    pipeline.learn(&Prepared { n_rows: texts.len() as u64, pages, ..Prepared::default() }, outcome);
}

/// Learns in batches of `size`, through a snapshot and back after each `restart` of them.
fn learn_all(kind: &str, texts: &[String], size: usize, restart: usize) -> (Vec<LineageEvent>, Vec<u8>) {
    let (mut pipeline, mut outcome, mut lineage) = (pipeline(kind, SETTINGS), Outcome::default(), Vec::new());
    for (n, batch) in texts.chunks(size).enumerate() {
        if n % restart == restart - 1 {
            pipeline = Pipeline::restore(&pipeline.snapshot()).expect("its own").watching(SETTINGS);
        }
        learn(&mut pipeline, batch, &mut outcome);
        lineage.append(&mut outcome.lineage);
    }
    (lineage, pipeline.snapshot())
}

fn alarms(lineage: &[LineageEvent]) -> Vec<(u64, ClusterId, Alarm)> {
    let alarm = |event: &LineageEvent| match event.happening {
        Happening::Drifted { alarm } => Some((event.position, event.cluster, alarm)),
        _ => None,
    };
    lineage.iter().filter_map(alarm).collect()
}

#[test]
fn a_change_is_told_once_with_its_evidence() {
    let (lineage, _) = learn_all("two-level", &texts(9_000, 5_000), 9_000, usize::MAX);
    let found = alarms(&lineage);
    let Some((position, _, alarm)) = found.first() else { panic!("nothing was found") };
    assert!((5_100..6_000).contains(position), "{found:?}");
    assert!((4_900..*position).contains(&alarm.since) && alarm.is_above, "{alarm:?}");
    assert!([Measure::NewWords, Measure::Shift].contains(&alarm.measure) && alarm.value > alarm.usual[1], "{alarm:?}");
    assert!(alarm.usual[0] <= alarm.usual[1] && alarm.before > 40 && alarm.windows >= 3, "{alarm:?}");
    assert!(found.len() <= 2, "what it changed to is usual from there on: {found:?}");
    assert!(alarms(&learn_all("two-level", &texts(9_000, 9_000), 9_000, usize::MAX).0).is_empty(), "nothing has changed");
}

#[test]
fn batches_and_restarts_change_no_alarm() {
    let texts = texts(7_000, 5_000);
    for kind in ["two-level", "kmeans"] {
        let straight = learn_all(kind, &texts, 7_000, usize::MAX);
        assert!(!alarms(&straight.0).is_empty(), "{kind}");
        assert!(straight.0.is_sorted_by_key(|event| event.position), "{kind}");
        // Blocks of `kmeans` are of 50 pages.
        for (size, restart) in [(50, 7), (350, 3)] {
            assert!(learn_all(kind, &texts, size, restart) == straight, "{kind}: batches of {size}, a restart every {restart}");
        }
    }
}

#[test]
fn a_watch_changes_no_decision() {
    let texts = texts(4_000, 2_000);
    let quiet = WatchSettings { false_alarms: 0.0, from: 0 };
    let [mut watched, mut quiet] = [SETTINGS, quiet].map(|settings| pipeline("two-level", settings));
    let mut plain = plain("two-level");
    let outcomes = [&mut watched, &mut quiet, &mut plain].map(|pipeline| {
        let mut outcome = Outcome::default();
        learn(pipeline, &texts, &mut outcome);
        outcome
    });
    assert!(outcomes.iter().all(|outcome| outcome.decisions == outcomes[0].decisions));
    assert_eq!((quiet.snapshot()[8], plain.snapshot()[8]), (5, 1), "no watch, no new format");
    let views = [&watched, &quiet].map(|pipeline| pipeline.view().clusters.swap_remove(0));
    let standing = views[0].drift.as_ref().expect("it is watched");
    assert_eq!((standing.gauges.len(), &views[1].drift), (4, &None));
    assert!(standing.gauges.iter().all(|gauge| gauge.usual[0] <= gauge.usual[1] && gauge.values > 0), "{standing:?}");
}

#[test]
fn what_an_older_program_began_is_watched_from_there_on() {
    let texts = texts(4_000, 3_000);
    let from = WatchSettings { from: 1_000, ..SETTINGS };
    let (mut old, mut outcome) = (plain("two-level"), Outcome::default());
    let (mut again, mut lineage) = (pipeline("two-level", from), Vec::new());
    for batch in texts[..1_000].chunks(250) {
        learn(&mut old, batch, &mut outcome);
        learn(&mut again, batch, &mut outcome);
        assert!(old.snapshot() == again.snapshot(), "up to there it is what it was");
    }
    let mut gone_on = Pipeline::restore(&old.snapshot()).expect("its own").watching(from);
    for batch in texts[1_000..].chunks(500) {
        learn(&mut again, batch, &mut outcome);
        lineage.append(&mut outcome.lineage);
        learn(&mut gone_on, batch, &mut outcome);
        assert!(gone_on.snapshot() == again.snapshot(), "learnt again from the first row or gone on with: the same");
    }
    assert_eq!(again.snapshot()[8], 5);
    assert!(alarms(&lineage).iter().all(|(_, _, alarm)| alarm.since >= 1_000));
}

#[test]
fn what_a_user_did_is_no_alarm() {
    let (mut pipeline, mut outcome) = (pipeline("two-level", SETTINGS), Outcome::default());
    learn(&mut pipeline, &texts(4_000, 4_000), &mut outcome);
    let clusters: Vec<ClusterId> = pipeline.view().clusters.iter().map(|cluster| cluster.cluster).collect();
    let values = |pipeline: &Pipeline, cluster| {
        let watch = pipeline.watch.as_ref().expect("it is watched");
        watch.standing(cluster).map_or(0, |standing| standing.gauges.len())
    };
    assert!(values(&pipeline, clusters[0]) == 4 && values(&pipeline, clusters[1]) == 4);
    pipeline.edit(&Edit::Merge { cluster: clusters[0], into: clusters[1] }, &mut Vec::new()).expect("both live");
    assert_eq!(values(&pipeline, clusters[1]), 0, "its past has begun anew");
    assert!(pipeline.watch.as_ref().is_some_and(|watch| watch.standing(clusters[0]).is_none()), "it has ended");
}

#[test]
fn a_watch_that_cannot_be_is_refused() {
    let (mut pipeline, mut outcome) = (pipeline("two-level", SETTINGS), Outcome::default());
    learn(&mut pipeline, &texts(3_000, 3_000), &mut outcome);
    let bytes = postcard::to_allocvec(&pipeline.watch.as_ref().expect("it is watched").state()).expect("plain data");
    let read = |bytes: &[u8]| postcard::from_bytes::<State<'_>>(bytes).expect("as it was written");
    assert!(Watch::restore(read(&bytes), 2).is_ok());
    assert!(Watch::restore(read(&bytes), 1).is_err(), "more clusters than slots");
    for rate in [f64::NAN, -1.0, f64::INFINITY, 1e6] {
        let mut broken = read(&bytes);
        broken.drift.as_mut().expect("alarms are wanted").to_mut().false_alarms = rate;
        assert!(Watch::restore(broken, 2).is_err(), "{rate}");
    }
    // Any one byte of it is another: it is refused, or can be gone on with.
    let after = texts(200, 0);
    for at in (0..bytes.len()).step_by(37) {
        for byte in [0, 0x7f, 0xff] {
            let mut broken = bytes.clone();
            broken[at] = byte;
            let Ok(broken) = postcard::from_bytes::<State<'_>>(&broken) else { continue };
            if let Ok(broken) = Watch::restore(broken, 2) {
                pipeline.watch = Some(broken);
                learn(&mut pipeline, &after[..66], &mut outcome);
            }
        }
    }
}
