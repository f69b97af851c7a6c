use std::fs::{self, File};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use windrow_core::pipeline::Outcome;
use windrow_core::record::RecordId;

use super::*;
use crate::sink::tests::staged;

fn read(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let batches: Vec<_> = builder.build().unwrap().map(|batch| batch.unwrap()).collect();
    assert_eq!(batches.len(), 1);
    batches.into_iter().next().unwrap()
}

#[test]
fn a_file_on_its_way_into_view_is_found_between_any_two_looks() {
    let out = tempfile::tempdir().unwrap();
    let mut sink = ParquetSink::open(out.path(), "p").unwrap();
    for (epoch, shown_after) in [(1, 0), (2, 1), (3, 2)] {
        sink.stage(staged(epoch, 0..2)).unwrap();
        let files = sink.seal(epoch).unwrap();
        let mut looks = 0;
        let found = look(&out.path().join("pages"), &files[0].name, |path| {
            if looks == shown_after {
                assert!(show(out.path(), &files).unwrap().is_empty());
            }
            looks += 1;
            File::open(path)
        });
        assert!(found.is_ok(), "shown after {shown_after} looks: {found:?}");
    }
    let gone = open_published(out.path(), Family::Pages, &file_name(4, 0)).unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotFound);
}

#[test]
fn pages_read_back_as_they_were_with_the_types_promised() {
    let out = tempfile::tempdir().unwrap();
    let mut sink = ParquetSink::open(out.path(), "p").unwrap();
    sink.stage(staged(1, 0..6)).unwrap();
    sink.stage(staged(1, 6..8)).unwrap();
    let files = sink.seal(1).unwrap();
    let shape: Vec<_> = files.iter().map(|file| (file.family, file.rows, file.epoch)).collect();
    assert_eq!(shape, [(Family::Pages, 6, 1), (Family::Rejects, 2, 1), (Family::Lineage, 2, 1)]);
    let visible = out.path().join("pages/part-00000001-000.zstd.parquet");
    assert!(!visible.exists() && out.path().join("pages/.part-00000001-000.zstd.parquet.tmp").exists());
    sink.publish(&files).unwrap();
    sink.publish(&files).unwrap();
    let bytes = fs::read(&visible).unwrap();
    assert_eq!((files[0].bytes, files[0].crc32), (bytes.len() as u64, crc32fast::hash(&bytes)));

    let pages = read(&visible);
    let schema = pages.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let promised =
        "record_id cluster slot micro_cluster novel score label creation_time id url title keywords description domain";
    assert_eq!(names, promised.split(' ').collect::<Vec<_>>());
    let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types[1..6], [DataType::Int32, DataType::Int32, DataType::Int64, DataType::Boolean, DataType::Float64]);
    assert_eq!(types[7], DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert!([0, 6, 8, 9, 10, 11, 12, 13].iter().all(|column| types[*column] == DataType::Utf8), "{types:?}");
    let text = |column: usize| {
        pages.column(column).as_string::<i32>().iter().map(|value| value.unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(text(0), ["1:0", "1:1", "1:2", "1:4", "1:5", "1:6"]);
    assert_eq!(text(6), ["first", "other", "other", "other", "other", "first"]);
    assert_eq!(text(8)[3], "id4");
    assert_eq!(text(10)[0], "títle");
    assert_eq!(text(13)[0], "example.com");
    assert_eq!(pages.column(1).as_primitive::<Int32Type>().value(0), 7);
    assert_eq!(pages.column(3).as_primitive::<Int64Type>().values(), &[0, 1, 2, 3, 4, 0]);
    assert_eq!(pages.column(7).as_primitive::<TimestampMicrosecondType>().value(0), 1_672_628_645_000_000);

    let rejects = read(&out.path().join("rejects/part-00000001-000.zstd.parquet"));
    assert_eq!(rejects.column(0).as_string::<i32>().value(1), "1:7");
    assert_eq!(rejects.column(1).as_string::<i32>().value(0), "empty_page");
    assert_eq!(rejects.column(2).as_binary::<i32>().value(0), b"raw \xff bytes");
    assert_eq!(rejects.column(3).as_string::<i32>().value(0), "b.csv");
    let lineage = read(&out.path().join("lineage/part-00000001-000.zstd.parquet"));
    assert_eq!(lineage.column(2).as_string::<i32>().value(0), "pinned");
}

#[test]
fn families_without_rows_make_no_file_and_unsealed_files_go_with_the_sink() {
    let out = tempfile::tempdir().unwrap();
    let mut sink = ParquetSink::open(out.path(), "p").unwrap();
    assert_eq!(sink.seal(1).unwrap(), []);
    let mut only_rejects = staged(1, 3..4);
    only_rejects.outcome = Outcome::default();
    sink.stage(only_rejects).unwrap();
    let files = sink.seal(1).unwrap();
    assert_eq!(files.iter().map(|file| file.family).collect::<Vec<_>>(), [Family::Rejects]);
    sink.publish(&files).unwrap();
    sink.stage(staged(2, 0..8)).unwrap();
    drop(sink);
    let names: Vec<_> =
        Family::ALL.map(|family| crate::checkpoint::files::names_in(&out.path().join(family.folder())).unwrap()).concat();
    assert_eq!(names, ["part-00000001-000.zstd.parquet"]);
}

#[test]
fn a_failing_disk_is_an_error_of_the_next_call() {
    let out = tempfile::tempdir().unwrap();
    let mut sink = ParquetSink::open(out.path(), "p").unwrap();
    fs::remove_dir(out.path().join("pages")).unwrap();
    sink.stage(staged(1, 0..3)).unwrap();
    let error = sink.seal(1).unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-IO", 3));
    assert!(error.message.contains("pages/.part-00000001-000"), "{error}");
}

#[test]
fn record_ids_are_written_like_their_display() {
    let ids = [(0, 0), (0, 9), (0, 10), (12, u64::MAX), (u32::MAX, 1)].map(|(source, offset)| RecordId { source, offset });
    let column = encode::record_ids(ids.iter());
    let texts: Vec<_> = (0..ids.len()).map(|at| column.get(at).to_owned()).collect();
    assert_eq!(texts, ids.map(|id| id.to_string()));
}

#[test]
fn only_our_own_names_have_an_epoch() {
    assert_eq!(epoch_of(&file_name(12, 0)), Some(12));
    assert_eq!(epoch_of(&hidden_name(&file_name(123_456_789, 1))), Some(123_456_789));
    for other in [
        "part-0001-000.zstd.parquet",
        "part-00000001-000.parquet",
        ".part-00000001-000.zstd.parquet",
        "x.tmp",
        "part-0000000a-000.zstd.parquet",
    ] {
        assert_eq!(epoch_of(other), None, "{other}");
    }
}

#[test]
fn a_roll_that_fails_gives_its_room_back() {
    let out = tempfile::tempdir().unwrap();
    let mut sink = ParquetSink::open(out.path(), "p").unwrap();
    sink.stage(staged(1, 0..8)).unwrap();
    // Sealing waits for the writer; a folder that is gone by then cannot be made durable.
    while sink.staged_bytes() == 0 || !out.path().join("pages/.part-00000001-000.zstd.parquet.tmp").exists() {
        std::thread::yield_now();
    }
    fs::rename(out.path().join("rejects"), out.path().join("elsewhere")).unwrap();
    assert_eq!(sink.seal(1).unwrap_err().code, "E-IO");
    for folder in ["pages", "lineage"] {
        assert_eq!(crate::checkpoint::files::names_in(&out.path().join(folder)).unwrap(), [""; 0], "{folder}");
    }
}

#[test]
fn a_hidden_file_that_is_gone_or_another_one_is_never_sealed() {
    for replaced in [false, true] {
        let out = tempfile::tempdir().unwrap();
        let mut sink = ParquetSink::open(out.path(), "p").unwrap();
        sink.stage(staged(1, 0..8)).unwrap();
        let path = out.path().join("pages/.part-00000001-000.zstd.parquet.tmp");
        // Pages are the last family that is created.
        while !path.exists() {
            std::thread::yield_now();
        }
        fs::remove_file(&path).unwrap();
        if replaced {
            fs::write(&path, "another's").unwrap();
        }
        let error = sink.seal(1).unwrap_err();
        assert_eq!((error.code, error.exit_code()), ("E-OUTPUT-GONE", 1), "{error}");
        assert!(error.message.contains("pages/.part-00000001-000"), "{error}");
        let names = Family::ALL.map(|family| crate::checkpoint::files::names_in(&out.path().join(family.folder())).unwrap());
        let left = if replaced { 1 } else { 0 };
        assert_eq!(names.concat().len(), left, "what is ours goes, what is another's stays: {names:?}");
    }
}

#[test]
fn a_sealed_file_that_is_gone_fails_the_commit_and_not_the_next_start() {
    let out = tempfile::tempdir().unwrap();
    let mut sink = ParquetSink::open(out.path(), "p").unwrap();
    sink.stage(staged(1, 0..8)).unwrap();
    let files = sink.seal(1).unwrap();
    fs::remove_file(out.path().join("pages/.part-00000001-000.zstd.parquet.tmp")).unwrap();
    assert_eq!(sink.publish(&files).unwrap_err().code, "E-OUTPUT-GONE");
    assert!(out.path().join("rejects/part-00000001-000.zstd.parquet").exists(), "the others are shown all the same");
    assert_eq!(show(out.path(), &files).unwrap(), [out.path().join("pages/part-00000001-000.zstd.parquet")]);
}

#[test]
fn nothing_is_written_over_a_hidden_file_that_is_there() {
    let out = tempfile::tempdir().unwrap();
    let mut sink = ParquetSink::open(out.path(), "p").unwrap();
    let path = out.path().join("lineage/.part-00000001-000.zstd.parquet.tmp");
    fs::write(&path, "another's").unwrap();
    sink.stage(staged(1, 0..3)).unwrap();
    assert_eq!(sink.seal(1).unwrap_err().code, "E-IO");
    assert_eq!(fs::read(&path).unwrap(), b"another's");
}

#[test]
fn a_copy_has_the_original_s_columns_and_comes_and_goes_with_its_pages() {
    let out = tempfile::tempdir().unwrap();
    let copies = |name: &str| out.path().join("output").join(name);
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(out.path().join("output")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let mut sink = ParquetSink::keeping(out.path(), "p", Vec::new(), PagesCopy::Original).unwrap();
    sink.stage(staged(1, 0..6)).unwrap();
    let files = sink.seal(1).unwrap();
    assert!(files.iter().all(|file| file.family != Family::Pages || file.rows == 5), "{files:?}");
    assert_eq!(names(), [".part-00000001-000.zstd.parquet.tmp"]);
    sink.publish(&files).unwrap();
    sink.publish(&files).unwrap();
    assert_eq!(names(), ["part-00000001-000.zstd.parquet"]);
    let copy = read(&copies("part-00000001-000.zstd.parquet"));
    let schema = copy.schema();
    let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["url", "main_domain", "cluster", "id", "creation_time", "description"]);
    let pages = read(&out.path().join("pages/part-00000001-000.zstd.parquet"));
    let slots = |batch: &RecordBatch, name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().clone();
    assert_eq!(slots(&copy, "cluster"), slots(&pages, "slot"));
    for name in ["url", "id", "description"] {
        let text = |batch: &RecordBatch, row| {
            let column = batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            if column.is_null(row) { String::new() } else { column.value(row).to_owned() }
        };
        assert!((0..5).all(|row| text(&copy, row) == text(&pages, row)), "{name}");
    }
    sink.stage(staged(2, 0..2)).unwrap();
    drop(sink);
    assert_eq!(names().len(), 1, "what was never sealed is gone");
}
