mod scripts;
mod seen;

use super::*;
use crate::kept::{Kept, KeptSpan};
use crate::lineage::{Edit, EditError};
use crate::record::RecordId;

/// Rows of `n` pages about things that come and go, with a reject now and then.
fn rows(n: u64) -> Vec<[String; 6]> {
    let themes =
        ["rust compiler borrow checker", "football league cup goal", "recipe butter flour oven", "guitar amp pedal string"];
    (0..n)
        .map(|i| {
            let theme = themes[(i as usize * 7 + i as usize / 50) % themes.len()];
            let era = char::from(b'a' + (i / 700) as u8);
            let fashion = format!("spring{era} lambs{era} grass{era}");
            let title = match i % 17 {
                16 => String::new(),
                n if n % 3 == 0 => fashion,
                _ => theme.to_owned(),
            };
            let url = if title.is_empty() { String::new() } else { format!("https://site{}.example.com/p/{i}", i % 40) };
            ["2023-05-17 20:21:51".to_owned(), i.to_string(), url, title, String::new(), String::new()]
        })
        .collect()
}

pub(super) fn prepare(rows: &[[String; 6]], first: u64) -> Prepared {
    let rows = rows.iter().zip(first..).map(|(columns, offset)| {
        let columns = std::array::from_fn(|i| columns[i].as_bytes());
        Ok(Row { origin: RecordId { source: 0, offset }, raw: b"raw", columns, kept: Kept::default() })
    });
    Preparer::new(FieldWeights::default()).prepare(rows)
}

fn new_pipeline() -> Pipeline {
    Pipeline::new(&ModelSettings { clusters: 3.into(), ..ModelSettings::default() }).expect("the default model is known")
}

/// Learns `rows` in batches of `size`, through a snapshot and back after every `restart` batches.
fn learn(rows: &[[String; 6]], size: usize, restart: usize) -> (Vec<(Decision, String)>, Vec<LineageEvent>, Vec<u8>) {
    let mut pipeline = new_pipeline();
    let (mut decided, mut lineage, mut outcome) = (Vec::new(), Vec::new(), Outcome::default());
    for (n, batch) in rows.chunks(size).enumerate() {
        if n % restart == restart - 1 {
            pipeline = Pipeline::restore(&pipeline.snapshot()).expect("a fresh snapshot restores");
        }
        pipeline.learn(&prepare(batch, (n * size) as u64), &mut outcome);
        let labels = outcome.label.iter().map(|label| outcome.labels[*label as usize].clone());
        decided.extend(outcome.decisions.iter().copied().zip(labels));
        lineage.append(&mut outcome.lineage);
    }
    (decided, lineage, pipeline.snapshot())
}

#[test]
fn batches_and_restarts_change_nothing() {
    let rows = rows(6_000);
    let straight = learn(&rows, 6_000, usize::MAX);
    let relabelled = straight.1.iter().filter(|event| matches!(event.happening, Happening::Relabelled { .. }));
    assert!(relabelled.count() > 3, "labels change within a batch");
    for (size, restart) in [(1, 100), (7, 3), (500, 1)] {
        assert!(learn(&rows, size, restart) == straight, "batches of {size}, a restart every {restart}");
    }
}

#[test]
fn every_row_is_a_page_or_a_reject_and_every_page_is_counted() {
    let prepared = prepare(&rows(12_000), 0);
    assert_eq!(prepared.n_rows, prepared.pages.len() as u64 + prepared.rejects.len() as u64);
    assert_eq!(prepared.rejects.len(), 12_000 / 17);
    let (mut pipeline, mut outcome) = (new_pipeline(), Outcome::default());
    pipeline.learn(&prepared, &mut outcome);
    let view = pipeline.view();
    let delivered: u64 =
        view.clusters.iter().map(|c| c.delivered).sum::<u64>() + view.dead.iter().map(|c| c.delivered).sum::<u64>();
    let now: u64 = view.clusters.iter().map(|c| c.now).sum::<u64>() + view.dead.iter().map(|c| c.now).sum::<u64>();
    let volume: u64 = view.clusters.iter().flat_map(|c| &c.volume).map(|n| u64::from(*n)).sum();
    assert_eq!([delivered, now, volume, view.pages], [prepared.pages.len() as u64; 4]);
    assert!(outcome.lineage.iter().any(|event| matches!(event.happening, Happening::MicroFaded { .. })), "some have faded");
    assert!(outcome.label.iter().all(|label| !outcome.labels[*label as usize].is_empty()));
}

#[test]
fn a_name_stays_through_relabelling_and_restart() {
    let rows = rows(1_000);
    let (mut pipeline, mut outcome) = (new_pipeline(), Outcome::default());
    pipeline.learn(&prepare(&rows[..400], 0), &mut outcome);
    let cluster = pipeline.view().clusters[0].cluster;
    let mut lineage = Vec::new();
    pipeline.edit(&Edit::Rename { cluster, label: "Mine".into() }, &mut lineage).unwrap();
    pipeline.edit(&Edit::Pin { cluster, pinned: true }, &mut lineage).unwrap();
    assert_eq!(lineage.len(), 2);
    let mut pipeline = Pipeline::restore(&pipeline.snapshot()).unwrap();
    pipeline.learn(&prepare(&rows[400..], 400), &mut outcome);
    let view = pipeline.view();
    let named = view.clusters.iter().find(|c| c.cluster == cluster).unwrap();
    assert_eq!((named.label.as_str(), named.renamed, named.pinned), ("Mine", true, true));
    pipeline.edit(&Edit::Rename { cluster, label: String::new() }, &mut lineage).unwrap();
    assert!(!pipeline.view().clusters.iter().any(|c| c.renamed));
}

#[test]
fn a_look_shows_themes_and_neighbours_and_changes_nothing() {
    let (mut pipeline, mut outcome) = (new_pipeline(), Outcome::default());
    pipeline.learn(&prepare(&rows(3_000), 0), &mut outcome);
    let before = pipeline.snapshot();
    let view = pipeline.view();
    assert_eq!(view, pipeline.view(), "what is remembered between looks changes none");
    assert_eq!(view, Pipeline::restore(&before).unwrap().view());
    assert!(before == pipeline.snapshot());
    for cluster in &view.clusters {
        assert_eq!(cluster.themes.len() as u64, cluster.micro_clusters.min(30));
        assert!(cluster.themes.is_sorted_by(|a, b| a.weight >= b.weight) && !cluster.themes.is_empty());
        assert!(cluster.themes.iter().all(|theme| theme.pages > 0 && theme.likeness > 0.0 && !theme.terms.is_empty()));
        assert_eq!(cluster.neighbours, [], "clusters that share no term are no neighbours, nor is one its own");
    }
}

#[test]
fn an_edit_of_no_living_cluster_is_refused() {
    let mut pipeline = new_pipeline();
    let refused = pipeline.edit(&Edit::Pin { cluster: 9, pinned: true }, &mut Vec::new());
    assert_eq!(refused, Err(EditError::NoSuchCluster(9)));
}

#[test]
fn a_name_that_no_screen_can_show_is_refused() {
    let (mut pipeline, mut outcome) = (new_pipeline(), Outcome::default());
    pipeline.learn(&prepare(&rows(10), 0), &mut outcome);
    let cluster = pipeline.view().clusters[0].cluster;
    for label in ["\u{1b}[31mred", "a\u{202e}b", "two\nlines", &"x".repeat(121)] {
        let edit = Edit::Rename { cluster, label: label.to_owned() };
        assert_eq!(pipeline.edit(&edit, &mut Vec::new()), Err(EditError::BadName), "{label:?}");
    }
    let edit = Edit::Rename { cluster, label: "שמות טובים".repeat(12) };
    assert_eq!(pipeline.edit(&edit, &mut Vec::new()), Ok(()));
}

/// The rows as `rows` gives them, with two columns that are carried along.
fn prepare_kept(rows: &[[String; 6]], first: u64) -> Prepared {
    let texts: Vec<String> = (first..).take(rows.len()).map(|n| format!("{}.{:02},{}", n % 7, n % 100, spend(n))).collect();
    let spans: Vec<[KeptSpan; 2]> = texts.iter().map(|text| kept_spans(text)).collect();
    let rows = rows.iter().zip(first..).zip(texts.iter().zip(&spans)).map(|((columns, offset), (text, spans))| {
        let columns = std::array::from_fn(|i| columns[i].as_bytes());
        let kept = Kept { text: text.as_bytes(), made: b"", spans };
        Ok(Row { origin: RecordId { source: 0, offset }, raw: b"raw", columns, kept })
    });
    Preparer::new(FieldWeights::default()).prepare(rows)
}

fn spend(n: u64) -> String {
    match n % 11 {
        0 => "n/a".to_owned(),
        1 => String::new(),
        _ => format!("-{n}"),
    }
}

fn kept_spans(text: &str) -> [KeptSpan; 2] {
    let at = |text: &str| u32::try_from(text.len()).unwrap();
    let (first, _) = text.split_once(',').unwrap();
    let comma = at(first);
    [(0, comma), (comma + 1, at(text))].map(|(start, end)| KeptSpan { start, end, is_made: false })
}

/// Learns rows with kept columns in batches, through a snapshot and back after every `restart` of them.
fn learn_kept(rows: &[[String; 6]], size: usize, restart: usize) -> Pipeline {
    let (mut pipeline, mut outcome) = (new_pipeline().keeping(vec!["cost".into(), "spend".into()]), Outcome::default());
    for (n, batch) in rows.chunks(size).enumerate() {
        if n % restart == restart - 1 {
            pipeline = Pipeline::restore(&pipeline.snapshot()).expect("a fresh snapshot restores");
        }
        pipeline.learn(&prepare_kept(batch, (n * size) as u64), &mut outcome);
    }
    pipeline
}

#[test]
fn kept_columns_are_added_up_for_each_cluster_exactly() {
    let rows = rows(3_000);
    let pipeline = learn_kept(&rows, 3_000, usize::MAX);
    let (view, prepared) = (pipeline.view(), prepare_kept(&rows, 0));
    let pages: Vec<u64> = prepared.pages.origin.iter().map(|origin| origin.offset).collect();
    let cents: u64 = pages.iter().map(|n| n % 7 * 100 + n % 100).sum();
    let spent: u64 = pages.iter().filter(|n| *n % 11 > 1).sum();
    let [cost, spend] = &view.kept[..] else { panic!("{:?}", view.kept) };
    assert_eq!((cost.name.as_str(), spend.name.as_str()), ("cost", "spend"));
    assert_eq!(Some(cost.tally.sum), crate::kept::Sum::parse(&format!("{cents}e-2")));
    assert_eq!(spend.tally.sum.to_string(), format!("-{spent}"));
    assert_eq!(spend.tally.others, pages.iter().filter(|n| *n % 11 == 0).count() as u64);
    assert_eq!(cost.tally.numbers, view.pages, "every page has one");
    let living: u64 = view.clusters.iter().map(|cluster| cluster.kept[0].tally.numbers).sum();
    let dead: u64 = view.dead.iter().map(|cluster| cluster.delivered).sum();
    assert_eq!(living + dead, view.pages);
    assert!(view.clusters.iter().all(|cluster| cluster.kept[0].tally.numbers == cluster.delivered));
}

#[test]
fn batches_and_restarts_change_no_sum() {
    let rows = rows(2_000);
    let straight = learn_kept(&rows, 2_000, usize::MAX).snapshot();
    for (size, restart) in [(1, 100), (7, 3), (500, 1)] {
        assert!(learn_kept(&rows, size, restart).snapshot() == straight, "batches of {size}, a restart every {restart}");
    }
}

#[test]
fn kept_values_that_are_no_utf_8_make_a_reject() {
    let (columns, spans) =
        ([&b""[..], b"", b"http://a.example/", b"", b"", b""], [KeptSpan { start: 0, end: 1, is_made: true }]);
    let kept = Kept { text: b"", made: b"\xff", spans: &spans };
    let row = Row { origin: RecordId { source: 0, offset: 0 }, raw: b"raw", columns, kept };
    let prepared = Preparer::new(FieldWeights::default()).prepare(std::iter::once(Ok(row)));
    assert_eq!((prepared.pages.len(), prepared.rejects[0].reason), (0, RejectReason::InvalidUtf8));
}

/// Bytes that programs wrote: of format 1, which a pipeline without kept columns and duplicates still has; of format 2, without duplicates; of 3; of 4,
/// with an edit that can be taken back; and of 5, with a watch.
#[test]
fn snapshots_of_every_format_stay_readable() {
    let rows = rows(40);
    let mut plain = new_pipeline();
    plain.learn(&prepare(&rows, 0), &mut Outcome::default());
    let duplicates = Duplicates { action: OnDuplicate::Count, window: 30 };
    let mut counting = learn_kept(&rows, 40, usize::MAX).with_window(duplicates);
    let mut again = Prepared { hashes: (0..40).map(|n: u64| n.wrapping_pow(21)).collect(), ..prepare(&rows[..0], 40) };
    counting.sift(&mut again);
    let mut edited = learn_kept(&rows, 40, usize::MAX).with_window(duplicates);
    let cluster = edited.view().clusters[0].cluster;
    edited.edit(&Edit::Rename { cluster, label: "mine".into() }, &mut Vec::new()).unwrap();
    let mut watched = new_pipeline().watching(WatchSettings::default()).with_window(duplicates);
    watched.learn(&prepare(&rows, 0), &mut Outcome::default());
    let all = [(1, plain), (2, learn_kept(&rows, 40, usize::MAX)), (3, counting), (4, edited), (5, watched)];
    for (format, pipeline) in all {
        let path = format!("{}/tests/fixtures/snapshot-{format}.bin", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("WINDROW_UPDATE").is_some() {
            std::fs::write(&path, pipeline.snapshot()).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[8..12], u32::to_le_bytes(format));
        let found = Pipeline::restore(&bytes).unwrap();
        let [mut found_view, mut view] = [found.view(), pipeline.view()];
        if format == crate::snapshot::FORMAT_WATCH {
            // Of addresses more is counted than when this one was written.
            view.clusters.iter_mut().chain(&mut found_view.clusters).for_each(|cluster| cluster.patterns.clear());
        }
        assert_eq!(found_view, view);
        assert!(found.snapshot() == bytes, "format {format} is written as it was read");
    }
}

/// Bytes that programs wrote, of the models that are not the default: in their first format, which is their newest.
#[test]
fn snapshots_of_every_model_stay_readable() {
    for kind in ["kmeans", "original"] {
        let settings = ModelSettings { kind: kind.into(), clusters: 3.into(), ..ModelSettings::default() };
        let mut pipeline = Pipeline::new(&settings).expect("a model");
        pipeline.learn(&prepare(&rows(40), 0), &mut Outcome::default());
        let path = format!("{}/tests/fixtures/snapshot-{kind}.bin", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(&path).unwrap();
        let found = Pipeline::restore(&bytes).unwrap();
        assert!(found.snapshot() == bytes, "{kind} is written as it was read");
        pipeline.watch = None;
        assert_eq!(found.view(), pipeline.view());
        assert!(pipeline.snapshot() == bytes, "{kind} is written as it was without the watch");
    }
}

/// Pages of 40 texts, in an order of their own; every seventh row is no page.
fn often(n: u64) -> Vec<[String; 6]> {
    let row = |i: u64| {
        let text = if i % 7 == 6 { String::new() } else { format!("words number {}", i * i % 41) };
        [String::new(), i.to_string(), String::new(), text, String::new(), String::new()]
    };
    (0..n).map(row).collect()
}

/// Offsets of pages and of duplicates that were rejected, how many were counted, and the snapshot; in batches of `size`, through a snapshot and back each.
fn sifted(action: OnDuplicate, size: usize) -> (Vec<u64>, Vec<u64>, u64, Vec<u8>) {
    let duplicates = Duplicates { action, window: 20 };
    let mut pipeline = new_pipeline().with_window(duplicates);
    let rules = Rules { duplicates, ..Rules::default() };
    let mut preparer = Preparer::with_rules(FieldWeights::default(), rules);
    let (mut pages, mut rejects, mut counted) = (Vec::new(), Vec::new(), 0);
    for (n, batch) in often(300).chunks(size).enumerate() {
        let rows = batch.iter().zip((n * size) as u64..).map(|(columns, offset)| {
            let columns = std::array::from_fn(|i| columns[i].as_bytes());
            Ok(Row { origin: RecordId { source: 0, offset }, raw: b"raw", columns, kept: Kept::default() })
        });
        let mut prepared = preparer.prepare(rows);
        pipeline.sift(&mut prepared);
        assert_eq!(prepared.pages.len() + prepared.rejects.len(), batch.len());
        assert!(
            prepared.rejects.is_sorted_by_key(|reject| reject.origin)
                && prepared.rejects.iter().all(|reject| reject.raw == b"raw")
        );
        assert!(prepared.hashes.is_empty() && prepared.spare.is_empty());
        pipeline.learn(&prepared, &mut Outcome::default());
        pages.extend(prepared.pages.origin.iter().map(|origin| origin.offset));
        let duplicate = |reject: &&Reject| reject.reason == RejectReason::Duplicate;
        rejects.extend(prepared.rejects.iter().filter(duplicate).map(|reject| reject.origin.offset));
        counted += prepared.n_duplicates;
        pipeline = Pipeline::restore(&pipeline.snapshot()).expect("a fresh snapshot restores");
    }
    (pages, rejects, counted, pipeline.snapshot())
}

#[test]
fn duplicates_are_kept_counted_or_rejected_whatever_the_cut() {
    let (kept, counted, rejected) =
        (sifted(OnDuplicate::Keep, 300), sifted(OnDuplicate::Count, 300), sifted(OnDuplicate::Reject, 300));
    let rows = often(300);
    let is_page = |at: &usize| at % 7 != 6;
    let text = |at: usize| &rows[at][3];
    // What stands among the 20 pages before, this one being one of them.
    let is_again = |at: usize| (0..at).rev().filter(is_page).take(19).any(|before| text(before) == text(at));
    let expected: Vec<u64> = (0..300).filter(is_page).filter(|at| is_again(*at)).map(|at| at as u64).collect();
    assert!(expected.len() > 50, "{}", expected.len());
    assert_eq!((&kept.1, kept.2, kept.0.len()), (&vec![], 0, 258));
    assert_eq!((&counted.0, &counted.1, counted.2), (&kept.0, &vec![], expected.len() as u64));
    assert_eq!((&rejected.1, rejected.2, rejected.0.len()), (&expected, 0, 258 - expected.len()));
    for action in [OnDuplicate::Count, OnDuplicate::Reject] {
        for size in [1, 7, 50] {
            assert!(sifted(action, size) == sifted(action, 300), "{action:?} {size}");
        }
    }
    let without_watch = |snapshot: &[u8]| {
        let mut pipeline = Pipeline::restore(snapshot).unwrap();
        pipeline.watch = None;
        pipeline.snapshot()[8]
    };
    assert_eq!([&kept.3, &counted.3, &rejected.3].map(|it| without_watch(it)), [1, 3, 3], "a format only where it is needed");
}

#[test]
fn some_pages_are_what_preparing_them_alone_gives() {
    let rows = rows(60);
    let whole = prepare(&rows, 0).pages;
    let offsets: Vec<u64> = whole.origin.iter().map(|origin| origin.offset).collect();
    let wanted: Vec<usize> = (0..whole.len()).filter(|at| at % 3 == 1).collect();
    let some = whole.only(&wanted.iter().copied());
    assert_eq!(
        some.origin.iter().map(|origin| origin.offset).collect::<Vec<_>>(),
        wanted.iter().map(|at| offsets[*at]).collect::<Vec<_>>()
    );
    let alone: Vec<[String; 6]> = wanted.iter().map(|at| rows[offsets[*at] as usize].clone()).collect();
    let alone = Pages { origin: some.origin.clone(), ..prepare(&alone, 0).pages };
    assert_eq!(some, alone);
}
