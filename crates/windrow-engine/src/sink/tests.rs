//! The contract of a sink, and staged batches to try it with.

use std::fs::File;

use arrow_array::cast::AsArray as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use windrow_core::cluster::Decision;
use windrow_core::featurize::FieldWeights;
use windrow_core::kept::Kept;
use windrow_core::lineage::{Happening, LineageEvent};
use windrow_core::pipeline::{Outcome, Prepared, Preparer};
use windrow_core::record::{RecordId, Row};

use super::memory::MemorySink;
use super::parquet::ParquetSink;
use super::{Sink, Staged};
use crate::checkpoint::files::names_in;

fn prepared(offsets: std::ops::Range<u64>) -> Prepared {
    let rows: Vec<[String; 6]> = offsets
        .clone()
        .map(|offset| match offset % 4 {
            3 => [const { String::new() }; 6],
            _ => [
                "2023-01-02T03:04:05Z".into(),
                format!("id{offset}"),
                "https://a.example.com/x".into(),
                "títle".into(),
                String::new(),
                "d".into(),
            ],
        })
        .collect();
    let row = |(offset, columns): (u64, &'static [String; 6])| {
        let columns = std::array::from_fn(|column| columns[column].as_bytes());
        Ok(Row { origin: RecordId { source: 1, offset }, raw: b"raw \xff bytes", columns, kept: Kept::default() })
    };
    let rows: &'static [[String; 6]] = Box::leak(rows.into_boxed_slice());
    Preparer::new(FieldWeights::default()).prepare(offsets.zip(rows).map(row))
}

pub(super) fn staged(epoch: u64, offsets: std::ops::Range<u64>) -> Staged {
    let prepared = prepared(offsets);
    let decision = |n: usize| Decision { cluster: 7, slot: 3, micro_cluster: n as u64, novel: n.is_multiple_of(2), score: 0.5 };
    let n_pages = prepared.pages.len();
    let outcome = Outcome {
        position: 0,
        decisions: (0..n_pages).map(decision).collect(),
        label: (0..n_pages).map(|n| u32::from(n > 0)).collect(),
        labels: vec!["first".into(), "other".into()],
        lineage: vec![LineageEvent { position: 5, cluster: 7, happening: Happening::Pinned { pinned: true } }],
    };
    Staged { epoch, at: 0, sources: ["a.csv".into(), "b.csv".into()].into(), prepared, outcome }
}

/// What every sink must do; `in_view` gives the record ids of the pages that readers see.
fn check_sink<S: Sink>(mut sink: S, in_view: impl Fn(&S) -> Vec<String>) {
    assert_eq!(sink.seal(1).unwrap(), [], "nothing staged, no files");
    sink.stage(staged(1, 0..6)).unwrap();
    sink.stage(staged(1, 6..8)).unwrap();
    assert_eq!(in_view(&sink), [""; 0], "staging shows nothing");
    let files = sink.seal(1).unwrap();
    assert!(!files.is_empty() && files.iter().all(|file| file.epoch == 1));
    assert_eq!(in_view(&sink), [""; 0], "sealing shows nothing");
    let first = ["1:0", "1:1", "1:2", "1:4", "1:5", "1:6"];
    sink.publish(&files).unwrap();
    assert_eq!(in_view(&sink), first);
    sink.publish(&files).unwrap();
    assert_eq!(in_view(&sink), first, "publishing twice shows nothing twice");

    sink.stage(staged(2, 8..10)).unwrap();
    assert_eq!(in_view(&sink), first);
    let files = sink.seal(2).unwrap();
    sink.publish(&files).unwrap();
    assert_eq!(in_view(&sink), [first.as_slice(), &["1:8", "1:9"]].concat());
}

#[test]
fn memory_keeps_the_contract() {
    check_sink(MemorySink::default(), |sink| sink.published.pages.iter().map(|(id, ..)| id.to_string()).collect());
}

#[test]
fn parquet_keeps_the_contract() {
    let out = tempfile::tempdir().unwrap();
    check_sink(ParquetSink::open(out.path(), "p").unwrap(), |_| {
        let pages = out.path().join("pages");
        let mut ids = Vec::new();
        for name in names_in(&pages).unwrap().iter().filter(|name| !name.starts_with('.')) {
            let file = File::open(pages.join(name)).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                ids.extend(batch.column(0).as_string::<i32>().iter().map(|id| id.unwrap().to_owned()));
            }
        }
        ids
    });
}
