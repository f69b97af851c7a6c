//! Columns that are carried along: their values in every page, their sums in the state, the same over kills and any number of threads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use windrow_engine::audit::AuditJob;
use windrow_engine::run;
use windrow_engine::source::Keep;

use crate::audit::{audit, job_of};
use crate::rig::{Rig, assert_same, line};

fn keep(words: &str) -> Keep {
    Keep::parse(&[words.to_owned()]).unwrap()
}

/// What a row spends: cents with fractions that no float holds, nothing, or no number.
fn spend(row: u64) -> String {
    match row % 13 {
        0 => String::new(),
        1 => "n/a".to_owned(),
        2 => format!("\"{row},5\""),
        n => format!("{}{}.{:02}", if n == 3 { "-" } else { "" }, row % 50, row % 100),
    }
}

/// How the input is written.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Csv,
    Json,
    Parquet,
}

/// A folder with pages that have two more columns.
fn rig(rows: u64, shape: Shape) -> Rig {
    let mut rig = Rig::new(0);
    let mut text = "creation_time,id,url,title,keywords,description,Spend,note\n".to_owned();
    for row in 0..rows {
        let more = format!(",{},\"say \"\"{row}\"\"\"\n", spend(row));
        text.push_str(&format!("{}{more}", line(row).trim_end_matches('\n')));
    }
    rig.job.keep = keep("cost=spend,note");
    if shape == Shape::Parquet {
        fs::remove_file(rig.path("in/pages.csv")).unwrap();
        fs::write(rig.path("in/pages.parquet"), parquet(&text)).unwrap();
    } else if shape == Shape::Json {
        fs::remove_file(rig.path("in/pages.csv")).unwrap();
        let mut csv = csv::Reader::from_reader(text.as_bytes());
        let object = |row: csv::StringRecord| {
            let page = serde_json::json!({"title": &row[3], "url": &row[2], "created": &row[0]});
            serde_json::json!({"page": page, "id": &row[1], "more": {"spend": &row[6], "note": &row[7]}}).to_string() + "\n"
        };
        let lines: String = csv.records().map(|row| object(row.unwrap())).collect();
        rig.write("in/pages.jsonl", &lines);
        rig.job.columns = "title=page.title,url=page.url,creation_time=page.created".into();
        rig.job.keep = keep("cost=more.spend,note=more.note");
    } else {
        rig.write("in/pages.csv", &text);
    }
    rig
}

/// The same as Parquet, in row groups of 100.
fn parquet(csv: &str) -> Vec<u8> {
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    let names = csv.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    let column = |at: usize| -> ArrayRef { Arc::new(StringArray::from_iter(rows.iter().map(|row| row.get(at)))) };
    let batch = RecordBatch::try_from_iter(names.iter().enumerate().map(|(at, name)| (name, column(at)))).unwrap();
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(groups)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// For each cluster the values of `cost` in the Parquet: their sum in cents, numbers, and others.
fn of_parquet(rig: &Rig) -> BTreeMap<u32, (i64, u64, u64)> {
    let mut found: BTreeMap<u32, (i64, u64, u64)> = BTreeMap::new();
    for path in rig.files("pages") {
        for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let clusters = batch.column_by_name("cluster").unwrap().as_primitive::<Int32Type>();
            let costs = batch.column_by_name("cost").unwrap().as_string::<i32>();
            for (cluster, cost) in clusters.iter().zip(costs) {
                let (sum, numbers, others) = found.entry(cluster.unwrap().cast_unsigned()).or_default();
                match cost.unwrap() {
                    "" => {}
                    cost if cost.parse::<f64>().is_ok() => {
                        *sum += cost.replace('.', "").parse::<i64>().unwrap();
                        *numbers += 1;
                    }
                    _ => *others += 1,
                }
            }
        }
    }
    found
}

/// Holds the sums of the state against the published pages.
fn check_sums(rig: &Rig) {
    let (view, written) = (rig.state().pipeline.view(), of_parquet(rig));
    let cents =
        |(sum, ..): &(i64, u64, u64)| format!("{}{}.{:02}", if *sum < 0 { "-" } else { "" }, sum.abs() / 100, sum.abs() % 100);
    let plain = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    for cluster in &view.clusters {
        let (tally, wanted) = (cluster.kept[0].tally, written[&cluster.cluster]);
        assert_eq!((tally.numbers, tally.others), (wanted.1, wanted.2), "{}", cluster.cluster);
        assert_eq!(plain(&format!("{}.", tally.sum)), plain(&cents(&wanted)), "{}", cluster.cluster);
    }
    let all = written.values().fold((0, 0, 0), |all, one| (all.0 + one.0, all.1 + one.1, all.2 + one.2));
    assert!(all.1 > 100 && all.2 > 10, "{all:?}");
    assert_eq!(view.kept[0].tally.sum, windrow_core::kept::Sum::parse(&cents(&all)).unwrap());
}

#[test]
fn kept_columns_and_their_sums_are_the_same_over_kills_and_threads() {
    for shape in [Shape::Csv, Shape::Json, Shape::Parquet] {
        let whole = rig(700, shape);
        assert_eq!(whole.run().unwrap().total.n_rejects(), 70);
        check_sums(&whole);
        let pages = whole.rows("pages");
        assert!(pages.len() == 630 && pages.iter().any(|page| page.ends_with("|\"say \\\"0\\\"\"")), "{}", pages[0]);
        for threads in [1, 4] {
            let mut killed = rig(700, shape);
            killed.job.threads = threads;
            for row in [150, 1, 290, 120] {
                killed.run_and_die(row);
            }
            killed.run().unwrap();
            assert_same(&killed.answer(), &whole.answer(), "killed");
            check_sums(&killed);
            let job = AuditJob { inputs: Vec::new(), columns: String::new(), ..job_of(&killed) };
            let report = audit(&job).unwrap();
            assert!(report.is_clean() && report.input == 700, "{report:?}");
        }
    }
}

#[test]
fn the_audit_sees_a_kept_value_that_is_another() {
    let rig = rig(200, Shape::Csv);
    rig.run().unwrap();
    let text = fs::read_to_string(rig.path("in/pages.csv")).unwrap();
    rig.write("in/pages.csv", &text.replacen(",45.95,", ",45.96,", 1));
    assert_ne!(fs::read_to_string(rig.path("in/pages.csv")).unwrap(), text);
    let report = audit(&job_of(&rig)).unwrap();
    assert_eq!((report.lost, report.duplicated, report.disagreeing), (0, 0, 1), "{report:?}");
}

#[test]
fn other_kept_columns_need_new_state() {
    let mut rig = rig(300, Shape::Csv);
    rig.run().unwrap();
    let before = rig.answer();
    for words in ["", "note", "cost=spend", "note,cost=spend", "price=spend,note"] {
        rig.job.keep = keep(words);
        let error = rig.run().unwrap_err();
        assert_eq!(error.code, "E-SETTINGS-STATE", "{words}");
        assert!(error.message.contains("source.keep is `cost=spend,note` in the state"), "{error}");
    }
    rig.job.keep = keep("cost=spend,note");
    rig.run().unwrap();
    assert_same(&rig.answer(), &before, "refused");
}

#[test]
fn a_kept_column_that_is_not_there_is_named_with_the_nearest() {
    let mut csv = rig(3, Shape::Csv);
    csv.job.keep = keep("spnd");
    let error = csv.run().unwrap_err();
    assert_eq!((error.code, error.hint.as_deref()), ("E-INPUT-COLUMNS", Some("nearest: --keep Spend")), "{error}");
    csv.job.inputs = vec!["generator:rows=10,seed=1".into()];
    assert_eq!(csv.run().unwrap_err().code, "E-INPUT-COLUMNS");
}

#[test]
fn a_damaged_snapshot_is_learnt_again_with_its_sums() {
    let rig = rig(600, Shape::Csv);
    rig.run().unwrap();
    let before = rig.answer();
    let newest = rig.newest_snapshot().unwrap();
    fs::write(&newest, b"nothing").unwrap();
    let notes = rig.run().unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("damaged")), "{notes:?}");
    assert_same(&rig.answer(), &before, "learnt again");
}

#[test]
fn an_edit_of_a_stopped_pipeline_keeps_the_sums() {
    let rig = rig(300, Shape::Csv);
    rig.run().unwrap();
    let before = rig.state().pipeline.view();
    let cluster = before.clusters[0].cluster;
    let edit = windrow_core::lineage::Edit::Rename { cluster, label: "Mine".into() };
    run::edit(&rig.job.out, None, &edit, &windrow_engine::clock::SystemClock::new()).unwrap();
    let after = rig.state().pipeline.view();
    assert_eq!((&after.kept, after.clusters[0].label.as_str()), (&before.kept, "Mine"));
}
