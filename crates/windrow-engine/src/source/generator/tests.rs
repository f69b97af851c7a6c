use std::collections::{BTreeMap, BTreeSet};

use windrow_core::cluster::{ClusterId, ModelSettings};
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::{Outcome, Pipeline, Preparer, View, WatchSettings};
use windrow_core::record::RejectReason;

use super::*;
use crate::source::parse::Parser;

fn spec(text: &str) -> Spec {
    text.parse().unwrap()
}

fn row(generator: &mut Generator, row: u64) -> String {
    let mut bytes = Vec::new();
    generator.write_row(row, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All rows of a source: number and title, or number and reason.
fn rows(mut source: GeneratorSource) -> Vec<(u64, std::result::Result<Vec<u8>, RejectReason>)> {
    let (mut all, mut parser) = (Vec::new(), Parser::new());
    while let Some(batch) = source.next().unwrap() {
        all.extend(parser.parse(&batch).map(|row| match row {
            Ok(row) => (row.origin.offset, Ok(row.columns[3].to_vec())),
            Err(reject) => (reject.origin.offset, Err(reject.reason)),
        }));
    }
    all
}

#[test]
fn a_spec_is_read_and_written() {
    let spec = spec("generator:rows=2_000,seed=7,broken=0.5");
    assert_eq!(spec, Spec { rows: 2000, seed: 7, broken: 0.5, themes: 60, steady: None });
    assert_eq!(spec.to_string().parse::<Spec>().unwrap(), spec);
    for bad in ["generator:rows", "generator:row=1", "generator:broken=2", "generator:themes=0", "generator:rows=-1"] {
        assert_eq!(bad.parse::<Spec>().unwrap_err().code, "E-INPUT-GENERATOR");
    }
}

#[test]
fn a_row_depends_on_seed_and_number_alone() {
    let spec = spec("generator:broken=0.1");
    let mut forward = Generator::new(spec);
    let ahead: Vec<String> = (0..3000).map(|at| row(&mut forward, at * 37)).collect();
    let mut backward = Generator::new(Spec { rows: 1, ..spec });
    for at in (0..3000).rev() {
        assert_eq!(row(&mut backward, at * 37), ahead[at as usize]);
        assert_eq!(Generator::new(spec).label(at * 37), backward.label(at * 37));
    }
    assert_ne!(row(&mut Generator::new(Spec { seed: 2, ..spec }), 0), ahead[0]);
}

#[test]
fn reading_on_is_a_seek() {
    let spec = spec("generator:rows=500,broken=0.2");
    let small = Limits { batch_rows: 17, ..Limits::default() };
    let whole = rows(GeneratorSource::new(spec, 0, 0, Limits::default()));
    assert_eq!(whole.len(), 500);
    assert_eq!(rows(GeneratorSource::new(spec, 0, 123, small)), whole[123..]);
}

#[test]
fn themes_are_born_split_merge_and_die() {
    let mut generator = Generator::new(spec("generator:broken=0,themes=20"));
    let mut at = |from: u64| (from..from + 3000).filter_map(|row| generator.label(row)).collect::<BTreeSet<u64>>();
    let (early, late) = (at(0), at(60_000));
    assert!(early.len() > 5 && late.len() > 10, "{early:?} {late:?}");
    assert!(early.is_disjoint(&late));
    let all: BTreeSet<u64> = (0..30).flat_map(|step| at(step * 3000)).collect();
    for branch in 0..4 {
        assert!(all.iter().any(|label| label % 4 == branch), "no theme is ever in state {branch}");
    }
}

#[test]
fn broken_rows_are_as_many_as_asked_for_and_of_every_kind() {
    let all = rows(GeneratorSource::new(spec("generator:rows=6000,broken=0.1"), 0, 0, Limits::default()));
    let reasons: BTreeSet<RejectReason> = all.iter().filter_map(|(_, row)| row.as_ref().err().copied()).collect();
    // The others are found by cleaning: bad UTF-8, bad times, empty pages.
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), [RejectReason::ColumnCount, RejectReason::BadQuote]);
    let share = all.iter().filter(|(_, row)| row.is_err()).count() as f64 / all.len() as f64;
    assert!((0.04..0.06).contains(&share), "{share}");
}

#[test]
fn as_a_file_it_has_the_same_rows() {
    let spec = spec("generator:rows=3000,broken=0.05");
    let (mut csv, mut labels) = (Vec::new(), Vec::new());
    write_csv(spec, &mut csv, &mut labels).unwrap();
    let header = csv.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut source = crate::source::memory::MemorySource::new(&csv[header..], 0, Limits::default());
    let (mut parser, mut from_file) = (Parser::new(), Vec::new());
    while let Some(batch) = source.next().unwrap() {
        from_file
            .extend(parser.parse(&batch).map(|row| row.map(|row| row.columns[3].to_vec()).map_err(|reject| reject.reason)));
    }
    let generated: Vec<_> = rows(GeneratorSource::new(spec, 0, 0, Limits::default())).into_iter().map(|(_, row)| row).collect();
    assert_eq!(from_file, generated);
    let labels = String::from_utf8(labels).unwrap();
    assert!(labels.starts_with("id,label\n"));
    assert!((2600..2900).contains(&labels.lines().count()), "{}", labels.lines().count());
}

#[test]
fn times_are_calendar_times() {
    let mut text = String::new();
    write_time(START, &mut text);
    write_time(951_782_400_000_000 + 86_399_999_999, &mut text);
    assert_eq!(text, "2024-01-01 00:00:00.0000002000-02-29 23:59:59.999999");
}

#[test]
fn a_generator_that_grew_is_the_same_source() {
    let position = |text| spec(text).position();
    assert_eq!(position("generator:rows=1").head_hash, position("generator:rows=2").head_hash);
    assert_ne!(position("generator:rows=1,seed=2").head_hash, position("generator:rows=1").head_hash);
}

#[test]
fn steady_streams_are_the_same_up_to_the_change() {
    let of = |change: &str| spec(&format!("generator:broken=0,themes=8,change={change},at=3000,over=0"));
    assert_eq!(of("words").to_string().parse::<Spec>().unwrap(), of("words"));
    assert!("generator:change=colour".parse::<Spec>().is_err());
    let rows_of = |change: &str| {
        let (mut generator, mut labels) = (Generator::new(of(change)), Generator::new(of(change)));
        (0..6_000).map(|at| (row(&mut generator, at), labels.label(at))).collect::<Vec<_>>()
    };
    let none = rows_of("none");
    let changing = u64::from(of("none").changing().unwrap());
    let count = |rows: &[(String, Option<u64>)], label: u64| rows.iter().filter(|(_, of)| *of == Some(label)).count();
    assert_eq!(count(&none, changing * 4 + 1), 0, "nothing changes");
    for change in ["words", "broader", "more", "fewer"] {
        let rows = rows_of(change);
        assert_eq!(rows[..2_900], none[..2_900], "{change}");
        let [before, after] = [count(&rows[..3_000], changing * 4), count(&rows[3_000..], changing * 4 + 1)];
        assert!(before > 200 && count(&rows[3_000..], changing * 4) == 0, "{change}: {before}");
        let times = after as f64 / before as f64;
        let wanted = match change {
            "more" => 2.0..4.5,
            "fewer" => 0.15..0.4,
            _ => 0.8..1.25,
        };
        assert!(wanted.contains(&times), "{change}: {times}");
    }
    // Narrower: twice as many words before the change.
    assert_ne!(rows_of("narrower")[..2_900], none[..2_900]);
}

#[test]
fn a_gradual_change_mixes_both() {
    let mut generator = Generator::new(spec("generator:broken=0,themes=8,change=words,at=2000,over=4000"));
    let changing = u64::from(generator.spec.changing().unwrap());
    let labels: Vec<Option<u64>> = (0..8_000).map(|at| generator.label(at)).collect();
    let share = |from: usize, to: usize| {
        let changed = labels[from..to].iter().filter(|label| **label == Some(changing * 4 + 1)).count();
        changed as f64 / labels[from..to].iter().filter(|label| label.is_some_and(|label| label / 4 == changing)).count() as f64
    };
    assert_eq!([share(0, 2_000), share(6_000, 8_000)], [0.0, 1.0]);
    assert!((0.3..0.7).contains(&share(3_500, 4_500)), "{}", share(3_500, 4_500));
}

/// Copies in each cluster by what they say: how many came, and from which hosts.
type Copies = BTreeMap<(ClusterId, String), (u64, BTreeSet<String>)>;

/// What a pipeline sees in the rows of a generator, and the copies that there are.
fn copies(spec: Spec, clusters: u32) -> (View, Copies) {
    let settings = ModelSettings { clusters: clusters.into(), ..ModelSettings::default() };
    let (mut pipeline, mut outcome) =
        (Pipeline::new(&settings).unwrap().watching(WatchSettings::default()), Outcome::default());
    let (mut source, mut truth) = (GeneratorSource::new(spec, 0, 0, Limits::default()), Copies::new());
    let (mut parser, mut preparer, mut generator) =
        (Parser::new(), Preparer::new(FieldWeights::default()), Generator::new(spec));
    while let Some(batch) = source.next().unwrap() {
        let prepared = preparer.prepare(parser.parse(&batch));
        pipeline.learn(&prepared, &mut outcome);
        for (origin, decision) in prepared.pages.origin.iter().zip(&outcome.decisions) {
            if let Some((said, host)) = generator.copy(origin.offset) {
                let (pages, hosts) = truth.entry((decision.cluster, said)).or_default();
                *pages += 1;
                hosts.insert(host);
            }
        }
    }
    (pipeline.view(), truth)
}

#[test]
fn copies_are_found_and_never_more_than_there_are() {
    let spec = spec("generator:rows=30000,themes=20,broken=0.01,seed=3");
    let ((view, truth), mut generator) = (copies(spec, 20), Generator::new(spec));
    // A page behind a log-in wall says its title alone: of one page there may be two that are counted apart.
    let mut found: Copies = Copies::new();
    for cluster in &view.clusters {
        for page in &cluster.copies.repeated {
            let row = page.example.record_id.unwrap().offset;
            let (said, _) = generator.copy(row).unwrap_or_else(|| panic!("row {row} is no copy: {page:?}"));
            let key = (cluster.cluster, said);
            let hosts = &truth[&key].1;
            assert!(page.copied.hosts <= hosts.len() as u64 && page.copied.is_exact, "{page:?}, not {hosts:?}");
            found.entry(key).or_default().0 += page.copied.pages;
        }
        assert!(cluster.copies.copies <= cluster.copies.pages && cluster.copies.pages == cluster.delivered);
    }
    for (key, (pages, _)) in &found {
        assert!(*pages <= truth[key].0, "{key:?}: {pages}, but there are {}", truth[key].0);
    }
    let pages = |of: &Copies| found.keys().map(|key| of[key].0).sum::<u64>();
    let (found_pages, came) = (pages(&found), pages(&truth));
    let told = format!("{found_pages} of {came} copies of {} pages", found.len());
    assert!(found.len() > 40 && found_pages as f64 >= 0.8 * came as f64, "{told}");
}
