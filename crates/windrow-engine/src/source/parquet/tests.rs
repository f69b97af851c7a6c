use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::source::keep::Keep;
use crate::source::parse::Parser;

/// A folder with one Parquet file.
struct Rig {
    _folder: TempDir,
    path: PathBuf,
}

fn zstd() -> parquet::file::properties::WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()))
}

impl Rig {
    fn of(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Self {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        Self::of_bytes(&writer.into_inner().unwrap())
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pages.parquet");
        std::fs::write(&path, bytes).unwrap();
        Self { _folder: folder, path }
    }

    /// So many pages, in row groups of 10.
    fn of_pages(n: usize) -> Self {
        let text = |of: fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..n).map(of))) };
        let columns = vec![("url", text(|at| format!("https://a.example/{at}"))), ("title", text(|at| format!("page {at}")))];
        Self::of(columns, zstd().set_max_row_group_row_count(Some(10)).build())
    }

    fn source(&self, from: u64, columns: &ColumnMap, limits: Limits) -> Result<ParquetSource> {
        let form = Arc::new(form(&self.path, columns)?);
        Ok(ParquetSource::new(&self.path, (3, from), (form, columns), limits))
    }

    /// What is read from a row on: `offset` of each with its values, or with `!` and its reason.
    fn read(&self, from: u64, columns: &ColumnMap, limits: Limits) -> Result<Vec<String>> {
        let mut source = self.source(from, columns, limits)?;
        let (mut parser, mut rows, mut at) = (Parser::new(), Vec::new(), from);
        while let Some(batch) = source.next()? {
            assert_eq!((batch.slice.source, batch.slice.from), (3, at), "slices follow each other");
            at = batch.slice.to;
            assert!(batch.records.len() <= limits.batch_rows);
            rows.extend(parser.parse(&batch).map(|row| match row {
                Ok(row) => {
                    let values = row.columns.iter().copied().chain(row.kept.values());
                    let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value).into_owned()).collect();
                    format!("{}:{}", row.origin.offset, values.join("|"))
                }
                Err(reject) => format!("{}!{}", reject.origin.offset, reject.reason.code()),
            }));
        }
        assert!(source.next()?.is_none());
        Ok(rows)
    }

    fn refused(&self, columns: &str) -> Error {
        self.read(0, &columns.parse().unwrap(), Limits::default()).unwrap_err()
    }
}

fn keeping(map: &str, keep: &str) -> ColumnMap {
    map.parse::<ColumnMap>().unwrap().keeping(&Keep::parse(&[keep.to_owned()]).unwrap())
}

#[test]
fn every_type_of_value_is_read_as_text_under_the_names_of_the_settings() {
    let mut often = StringDictionaryBuilder::<Int32Type>::new();
    often.append_value("a \"t\"\\\n\u{1}");
    often.append_null();
    let mut words = ListBuilder::new(StringBuilder::new());
    words.append_value([Some("x"), None, Some("y")]);
    words.append_null();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("When", Arc::new(TimestampMillisecondArray::from(vec![Some(1_700_000_000_123), None]).with_timezone("+02:00"))),
        ("ID", Arc::new(Int64Array::from(vec![i64::MAX, -7]))),
        ("Landing.Page", Arc::new(LargeStringArray::from(vec!["https://a.example/", "é"]))),
        ("title", Arc::new(often.finish())),
        ("keywords", Arc::new(words.finish())),
        ("spend", Arc::new(Decimal128Array::from(vec![1_250, -5]).with_precision_and_scale(10, 3).unwrap())),
        ("share", Arc::new(Float64Array::from(vec![0.5, f64::NAN]))),
        ("seen", Arc::new(BooleanArray::from(vec![true, false]))),
        ("day", Arc::new(Date32Array::from(vec![19_675, -1]))),
        ("object", Arc::new(StructArray::from(vec![(Arc::new(Field::new("a", DataType::Int64, false)), ones())]))),
    ];
    let rig = Rig::of(columns, zstd().build());
    let map = keeping("creation_time=when,url=landing.page", "spend,share,seen,day,page=url");
    assert_eq!(
        rig.read(0, &map, Limits::default()).unwrap_err().causes[0],
        "found: When, ID, Landing.Page, title, keywords, spend, share, seen, day, object"
    );
    let map = keeping("creation_time=when,url=landing.page", "spend,share,seen,day,page=landing.page");
    assert_eq!(
        rig.read(0, &map, Limits::default()).unwrap(),
        [
            "0:2023-11-14T22:13:20.123Z|9223372036854775807|https://a.example/|a \"t\"\\\n\u{1}|x, y||1.250|0.5|true|2023-11-14|https://a.example/",
            "1:|-7|é||||-0.005||false|1969-12-31|é",
        ]
    );
}

fn ones() -> ArrayRef {
    Arc::new(Int64Array::from(vec![1, 1]))
}

#[test]
fn times_of_every_unit_are_the_same_instant() {
    let times: [ArrayRef; 5] = [
        Arc::new(TimestampSecondArray::from(vec![1_700_000_000])),
        Arc::new(TimestampMillisecondArray::from(vec![1_700_000_000_000])),
        Arc::new(TimestampMicrosecondArray::from(vec![1_700_000_000_000_000]).with_timezone("UTC")),
        Arc::new(TimestampNanosecondArray::from(vec![1_700_000_000_000_000_000])),
        Arc::new(StringArray::from(vec!["2023-11-14T22:13:20Z"])),
    ];
    for time in times {
        let url: ArrayRef = Arc::new(StringArray::from(vec!["u"]));
        let of = time.data_type().clone();
        let rows = Rig::of(vec![("creation_time", time), ("url", url)], zstd().build()).read(
            0,
            &ColumnMap::default(),
            Limits::default(),
        );
        assert_eq!(rows.unwrap(), ["0:2023-11-14T22:13:20Z||u|||"], "{of}");
    }
}

#[test]
fn bad_values_are_rejects_that_say_what_was_there() {
    let rig = Rig::of(
        vec![
            ("creation_time", Arc::new(TimestampSecondArray::from(vec![i64::MAX, 0, 0])) as ArrayRef),
            ("url", Arc::new(BinaryArray::from(vec![&b"u"[..], b"caf\xe9", b"u"]))),
            ("title", Arc::new(StringArray::from(vec!["", "", &"x".repeat(300)]))),
        ],
        zstd().build(),
    );
    let limits = Limits { record_bytes: 200, ..Limits::default() };
    let mut source = rig.source(0, &ColumnMap::default(), limits).unwrap();
    let batch = source.next().unwrap().unwrap();
    let prepared = windrow_core::pipeline::Preparer::new(Default::default()).prepare(Parser::new().parse(&batch));
    let rejects: Vec<_> = prepared.rejects.iter().map(|reject| (reject.reason.code(), reject.raw.as_slice())).collect();
    let long = format!("{{\"creation_time\": \"1970-01-01T00:00:00Z\", \"title\": \"{}", "x".repeat(200));
    assert_eq!(
        rejects,
        [
            (
                "bad_time",
                &b"{\"creation_time\": \"9223372036854775807 seconds since 1970\", \"title\": \"\", \"url\": \"u\"}"[..]
            ),
            ("invalid_utf8", b"{\"creation_time\": \"1970-01-01T00:00:00Z\", \"title\": \"\", \"url\": \"caf\xe9\"}"),
            ("too_long", &long.as_bytes()[..200]),
        ]
    );
}

#[test]
fn reading_goes_on_at_any_row_and_batches_are_bounded() {
    let rig = Rig::of_pages(35);
    let all = rig.read(0, &ColumnMap::default(), Limits::default()).unwrap();
    assert_eq!((all.len(), all[34].as_str()), (35, "34:||https://a.example/34|page 34||"));
    for from in 0..=35 {
        for unpacked in [0, 500] {
            let limits = Limits { batch_rows: 4, unpacked, ..Limits::default() };
            assert_eq!(rig.read(from, &ColumnMap::default(), limits).unwrap(), all[from as usize..], "{from}");
            let limits = Limits { batch_bytes: 1, ..limits };
            assert_eq!(rig.read(from, &ColumnMap::default(), limits).unwrap(), all[from as usize..], "{from}");
        }
    }
    assert_eq!(rig.read(36, &ColumnMap::default(), Limits::default()).unwrap_err().code, "E-INPUT-SHRUNK");
    assert_eq!(count_rows(rig.path.to_str().unwrap()), Some(35));
}

#[test]
fn files_without_rows_have_none() {
    let none: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
    assert!(Rig::of(vec![("url", none)], zstd().build()).read(0, &ColumnMap::default(), Limits::default()).unwrap().is_empty());
}

#[test]
fn what_is_no_whole_parquet_file_says_why() {
    let rig = Rig::of_pages(35);
    let whole = std::fs::read(&rig.path).unwrap();
    let because = |bytes: &[u8]| {
        let error = Rig::of_bytes(bytes).refused("");
        (error.code, error.causes.join("; "))
    };
    for cut in [4, 11, 500, whole.len() - 1] {
        let (code, cause) = because(&whole[..cut]);
        assert!(code == "E-INPUT-DAMAGED" && cause.contains("no footer"), "{cut}: {code} {cause}");
    }
    let mut encrypted = whole.clone();
    let end = whole.len() - 4;
    encrypted[end..].copy_from_slice(b"PARE");
    assert_eq!(because(&encrypted).0, "E-INPUT-PARQUET");
    let mut no_footer = whole.clone();
    no_footer[end - 4..end].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(because(&no_footer).0, "E-INPUT-DAMAGED");
    // The first page's header: what it says of its size is no size.
    let mut no_page = whole.clone();
    no_page[6..10].fill(0xff);
    assert_eq!(because(&no_page).0, "E-INPUT-DAMAGED");
    for (map, code) in [("url=landing", "E-INPUT-COLUMNS"), ("url=title,title=url", "none")] {
        let read = rig.read(0, &map.parse().unwrap(), Limits::default());
        assert_eq!(read.map_or_else(|error| error.code, |_| "none"), code, "{map}");
    }
}

#[test]
fn columns_of_objects_are_refused_where_they_are_wanted() {
    let object = || Arc::new(StructArray::from(vec![(Arc::new(Field::new("a", DataType::Int64, false)), ones())])) as ArrayRef;
    let url: ArrayRef = Arc::new(StringArray::from(vec!["u", "v"]));
    let rig = Rig::of(vec![("url", url), ("page", object())], zstd().build());
    assert_eq!(rig.read(0, &ColumnMap::default(), Limits::default()).unwrap().len(), 2);
    let error = rig.refused("title=page");
    assert_eq!(error.code, "E-INPUT-PARQUET");
    assert!(error.message.contains("`page`") && error.message.contains("a struct"), "{error}");
}

#[test]
fn a_dictionary_that_unpacks_without_end_is_refused_at_the_same_row_wherever_reading_goes_on() {
    let n = 20_000;
    let mut often = StringDictionaryBuilder::<Int32Type>::new();
    let long = "x".repeat(10_000);
    (0..n).for_each(|_| often.append_value(&long));
    let rig =
        Rig::of(vec![("title", Arc::new(often.finish()) as ArrayRef)], zstd().set_max_row_group_row_count(Some(3_000)).build());
    assert!(std::fs::metadata(&rig.path).unwrap().len() < 100_000);
    let read = |from: u64, limits: Limits| {
        let mut source = rig.source(from, &ColumnMap::default(), limits).unwrap();
        let (mut rows, mut largest) = (from, 0);
        loop {
            match source.next() {
                Ok(None) => return (rows, largest, None),
                Ok(Some(batch)) => (rows, largest) = (batch.slice.to, batch.bytes.len().max(largest)),
                Err(error) => {
                    assert!(source.next().unwrap().is_none(), "after an error comes nothing");
                    return (rows, largest, Some(error));
                }
            }
        }
    };
    let (row, largest, error) = read(0, Limits::default());
    let error = error.unwrap();
    assert_eq!(error.code, "E-INPUT-BOMB");
    assert!((6_000..8_000).contains(&row) && error.message.ends_with(&format!("row {row}")), "{row}: {error}");
    assert!(largest < 2 << 20, "a batch is bounded: {largest}");
    let again = read(row - 1_000, Limits::default());
    assert_eq!((again.0, again.2.map(|error| error.code)), (row, Some("E-INPUT-BOMB")));
    let (rows, _, error) = read(row, Limits { unpacked: 0, ..Limits::default() });
    assert_eq!((rows, error.map(|error| error.code)), (n, None), "who says that these are pages has all of them");
}

#[test]
fn large_values_are_decoded_few_at_a_time() {
    // 160 MB in one row group, the first rows small: more than may be decoded at once.
    let value = |at: usize| if at < 5_000 { format!("small {at}") } else { format!("{at} {}", "y".repeat(1_000_000)) };
    let urls: ArrayRef = Arc::new(StringArray::from_iter_values((0..5_160).map(value)));
    let properties = zstd().set_dictionary_enabled(false).build();
    let rig = Rig::of(vec![("title", urls)], properties);
    let file = open(&rig.path, "f").unwrap();
    let plan = Plan::of(&file, "f", &ColumnMap::default()).unwrap();
    let limits = Limits { record_bytes: 2 << 20, unpacked: 0, ..Limits::default() };
    let mut rows = Rows::open(file, "f".into(), plan, (0, limits)).unwrap();
    let (mut at, mut decoded) = (0, Vec::new());
    loop {
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        rows.fill(&mut bytes, &mut records).unwrap();
        if records.is_empty() {
            break;
        }
        for record in records {
            let text = &bytes[record.start as usize..record.end as usize];
            let wanted = if at < 5_000 { format!("{{\"title\": \"small {at}\"}}") } else { format!("{{\"title\": \"{at} y") };
            assert!(text.starts_with(wanted.as_bytes()), "{at}");
            at += 1;
        }
        decoded.push(rows.decoded);
    }
    assert_eq!((at, decoded[0]), (5_160, DECODED));
    assert!(*decoded.last().unwrap() < DECODED, "fewer at once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_of_strangers_break_anything(at in 0_usize..4_000, byte in any::<u8>(), cut in 0_usize..3) {
        let rig = Rig::of_pages(35);
        let mut bytes = std::fs::read(&rig.path).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        if cut == 0 {
            bytes.drain(at..(at + 8).min(bytes.len()));
        }
        let broken = Rig::of_bytes(&bytes);
        // Rows, or an error that says why; never more rows than there are.
        match broken.read(0, &ColumnMap::default(), Limits::default()) {
            Ok(rows) => prop_assert!(rows.len() < 1 << 20),
            Err(error) => prop_assert!(error.code.starts_with("E-INPUT-"), "{error}"),
        }
    }
}
