use super::*;
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

fn prepare(rows: &[[String; 6]], first: u64) -> Prepared {
    let rows = rows.iter().zip(first..).map(|(columns, offset)| {
        let columns = std::array::from_fn(|i| columns[i].as_bytes());
        Ok(Row { origin: RecordId { source: 0, offset }, raw: b"raw", columns })
    });
    Preparer::new(FieldWeights::default()).prepare(rows)
}

fn new_pipeline() -> Pipeline {
    Pipeline::new(&ModelSettings { clusters: 3, ..ModelSettings::default() }).expect("the default model is known")
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
