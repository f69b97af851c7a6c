//! The audit sees what is missing, doubled or changed, and nothing else.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use windrow_engine::audit::{self, AuditJob, Report, Topics};
use windrow_engine::clock::SystemClock;
use windrow_engine::error::Result;

use crate::rig::{Rig, csv, line};

/// Audits files alone.
pub(crate) fn audit(job: &AuditJob) -> Result<Report> {
    audit::audit(job, &SystemClock::new(), &mut |_| {})
}

fn audit_of(rig: &Rig) -> Report {
    audit(&job_of(rig)).unwrap()
}

pub(crate) fn job_of(rig: &Rig) -> AuditJob {
    AuditJob {
        inputs: rig.job.inputs.clone(),
        topic: None,
        topics: Topics::NotGiven,
        columns: rig.job.columns.clone(),
        out: rig.job.out.clone(),
        state: rig.job.state.clone(),
        memory_bytes: 64 << 20,
    }
}

fn counts(report: &Report) -> (u64, u64, u64, u64, u64, u64) {
    (report.input, report.pages, report.rejects, report.lost, report.duplicated, report.disagreeing)
}

/// Writes a Parquet file anew with one column of integers changed.
fn rewrite(from: &Path, to: &Path, change: impl Fn(&RecordBatch) -> RecordBatch) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(from).unwrap()).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(|batch| change(&batch.unwrap())).collect();
    let mut writer = ArrowWriter::try_new(File::create(to).unwrap(), batches[0].schema(), None).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

#[test]
fn a_whole_output_is_clean_in_one_pass_and_in_many() {
    let rig = Rig::new(700);
    rig.run().unwrap();
    let report = audit_of(&rig);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(counts(&report), (700, 630, 70, 0, 0, 0));
    assert_eq!(audit(&AuditJob { memory_bytes: 5_000, ..job_of(&rig) }).unwrap(), report);

    // What came after the last commit is no concern of the audit.
    rig.write("in/more.csv", &csv(700..800));
    let input = fs::read_to_string(rig.path("in/pages.csv")).unwrap();
    rig.write("in/pages.csv", &format!("{input}{}", line(900)));
    assert_eq!(audit_of(&rig), report);
}

#[test]
fn inputs_and_columns_of_the_last_run_need_not_be_said_again() {
    let mut rig = Rig::new(0);
    rig.write("in/pages.csv", "name,landing\nred roses,https://a.example/\nblue violets,https://b.example/\n");
    rig.job.columns = "title=name,url=landing".into();
    rig.run().unwrap();
    let job = AuditJob { inputs: Vec::new(), columns: String::new(), ..job_of(&rig) };
    let report = audit(&job).unwrap();
    assert_eq!(counts(&report), (2, 2, 0, 0, 0, 0));
}

#[test]
fn missing_files_are_lost_rows() {
    let rig = Rig::new(300);
    rig.run().unwrap();
    fs::remove_file(rig.job.out.join("pages/part-00000002-000.zstd.parquet")).unwrap();
    let report = audit_of(&rig);
    assert_eq!(counts(&report), (300, 180, 30, 90, 0, 0));
    assert_eq!(report.missing_files, ["pages/part-00000002-000.zstd.parquet"]);
    assert_eq!(report.lost_examples.len(), 10);
    assert!(!report.is_clean());
}

#[test]
fn a_file_that_no_manifest_names_doubles_its_rows() {
    let rig = Rig::new(300);
    rig.run().unwrap();
    let pages = rig.job.out.join("pages");
    fs::copy(pages.join("part-00000001-000.zstd.parquet"), pages.join("copy.parquet")).unwrap();
    let report = audit_of(&rig);
    assert_eq!(counts(&report), (300, 360, 30, 0, 90, 0));
    assert_eq!(report.unpublished_files, ["pages/copy.parquet"]);

    rewrite(&pages.join("part-00000001-000.zstd.parquet"), &pages.join("copy.parquet"), |batch| {
        let mut columns = batch.columns().to_vec();
        columns[1] = Arc::new(Int32Array::from_value(4711, batch.num_rows())) as ArrayRef;
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    });
    assert_eq!(counts(&audit_of(&rig)), (300, 360, 30, 0, 90, 90), "another decision for the same record");
}

#[test]
fn changed_inputs_and_outputs_disagree() {
    let rig = Rig::new(300);
    rig.run().unwrap();
    let input = fs::read_to_string(rig.path("in/pages.csv")).unwrap();
    let last = line(298);
    rig.write("in/pages.csv", &input.replace(&last, &last.replace("word", "ward")));
    let report = audit_of(&rig);
    assert_eq!(counts(&report), (300, 270, 30, 0, 0, 1));
    assert_eq!(report.disagreeing_examples.len(), 1);
    // A reject's bytes count as well.
    let reject = line(289);
    rig.write("in/pages.csv", &input.replace(&reject, &reject.replace("yesterday", "yestardey")));
    assert_eq!(counts(&audit_of(&rig)), (300, 270, 30, 0, 0, 1));
    rig.write("in/pages.csv", &input);

    let file = rig.job.out.join("pages/part-00000003-000.zstd.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&file, bytes).unwrap();
    let report = audit_of(&rig);
    assert_eq!(report.damaged_files, ["pages/part-00000003-000.zstd.parquet"]);
    assert!(!report.is_clean());
    fs::write(&file, "no Parquet at all").unwrap();
    assert_eq!(audit_of(&rig).lost, 90);
}

#[test]
fn a_generator_of_fewer_rows_than_were_committed_proves_nothing() {
    let mut rig = Rig::new(0);
    rig.job.inputs = vec!["generator:rows=300,seed=3".into()];
    rig.run().unwrap();
    let with = |rows: u64| audit(&AuditJob { inputs: vec![format!("generator:rows={rows},seed=3")], ..job_of(&rig) });
    assert!(with(300).unwrap().is_clean() && with(400).unwrap().is_clean());
    let error = with(120).unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-AUDIT-INPUT", 2));
    assert!(error.message.contains("was read up to row 300, and ends at row 120"), "{error}");
}

/// As docs/explanation/reading.md says under "Files that are still being written".
#[test]
fn half_a_line_at_the_end_of_a_run_is_a_row_for_good() {
    let page = "2023-01-02T00:00:01Z,1,https://a.example/,red roses,,half";
    for (half, rest, pages) in [(page, "way\n", 10), ("at ", "2023-01-02T00:00:01Z,1,u,title,,\n", 9)] {
        let rig = Rig::new(10);
        let input = fs::read_to_string(rig.path("in/pages.csv")).unwrap();
        rig.write("in/pages.csv", &format!("{input}{half}"));
        assert_eq!(rig.run().unwrap().run.rows, 11);
        assert_eq!(counts(&audit_of(&rig)), (11, pages, 11 - pages, 0, 0, 0));
        rig.write("in/pages.csv", &format!("{input}{half}{rest}{}", line(11)));
        assert_eq!(rig.run().unwrap().run.rows, 2, "the rest of the line, and the line behind it");
        // The input has one row less than was delivered, and it is neither of the two.
        assert_eq!(counts(&audit_of(&rig)), (12, pages + 1, 12 - pages, 0, 0, 2));
    }
}

#[test]
fn inputs_that_are_not_there_prove_nothing() {
    let mut rig = Rig::new(200);
    assert_eq!(audit(&job_of(&rig)).unwrap_err().code, "E-STATE-NONE");
    rig.run().unwrap();
    rig.write("other.csv", &csv(0..10));
    rig.job.inputs = vec![rig.path("other.csv").display().to_string()];
    let error = audit(&job_of(&rig)).unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-AUDIT-INPUT", 2));
    assert!(error.message.contains("pages.csv"), "{error}");
}
