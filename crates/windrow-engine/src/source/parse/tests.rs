use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::source::memory::MemorySource;
use crate::source::{Limits, Source};

/// Values of a row, or why it is none and its bytes.
type Parsed = Result<Vec<Vec<u8>>, (RejectReason, Vec<u8>)>;

/// What the parser makes of `bytes` when records have `columns` fields.
fn parsed(bytes: &[u8], columns: usize) -> Vec<Parsed> {
    let fields = std::array::from_fn(|at| u32::try_from(at).ok().filter(|_| at < columns));
    let layout = Layout { fields, n_fields: columns, header: b"url,title".to_vec(), ..Layout::canonical() };
    let mut source = MemorySource::new(bytes, 3, Limits::default()).with_layout(layout);
    let mut parser = Parser::new();
    let mut all = Vec::new();
    while let Some(batch) = source.next().unwrap() {
        for row in parser.parse(&batch) {
            all.push(match row {
                Ok(row) => Ok(row.columns[..columns].iter().map(|value| value.to_vec()).collect()),
                Err(reject) => Err((reject.reason, reject.raw)),
            });
        }
    }
    all
}

fn values(line: &str, columns: usize) -> Vec<String> {
    let rows = parsed(line.as_bytes(), columns);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].as_ref().unwrap().iter().map(|value| String::from_utf8(value.clone()).unwrap()).collect()
}

#[test]
fn values_are_what_was_meant() {
    assert_eq!(values("a,b,", 3), ["a", "b", ""]);
    assert_eq!(values("\"a,b\",\"\",c\n", 3), ["a,b", "", "c"]);
    assert_eq!(values("\"say \"\"hi\"\"\",\"\"\"\",\"x\ny\"\n", 3), ["say \"hi\"", "\"", "x\ny"]);
    assert_eq!(values("\"a\"b,c \"d\",\"e", 3), ["ab", "c \"d\"", "e"]);
}

#[test]
fn wrong_records_are_rejects_with_their_bytes() {
    let rows = parsed(b"a\nurl,title\n\"x\nc,d\n", 2);
    let reasons: Vec<_> = rows.iter().map(|row| row.as_ref().map_err(|(reason, raw)| (*reason, &raw[..])).err()).collect();
    let expected = [
        Some((RejectReason::ColumnCount, &b"a"[..])),
        Some((RejectReason::RepeatedHeader, b"url,title")),
        Some((RejectReason::BadQuote, b"\"x")),
        None,
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn many_columns_are_no_problem() {
    let line = vec!["v"; 40].join(",");
    let layout = Layout { fields: [None, None, Some(39), Some(0), None, None], n_fields: 40, ..Layout::canonical() };
    let raw = format!("{line}\n{line},\n");
    let mut source = MemorySource::new(raw, 0, Limits::default()).with_layout(layout);
    let batch = source.next().unwrap().unwrap();
    let mut parser = Parser::new();
    let rows: Vec<_> = parser.parse(&batch).map(|row| row.map(|row| row.columns[2].to_vec()).map_err(|e| e.reason)).collect();
    assert_eq!(rows, [Ok(b"v".to_vec()), Err(RejectReason::ColumnCount)]);
    assert!(Arc::strong_count(&batch.form) > 0);
}

/// What csv-core makes of one record.
fn by_csv_core(record: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = csv_core::Reader::new();
    let (mut output, mut ends) = (vec![0; record.len() + 8], vec![0; record.len() + 8]);
    let (_, _, n_bytes, n_ends) = reader.read_record(record, &mut output, &mut ends);
    // No more input: the record ends here.
    let (_, _, _, n_more) = reader.read_record(&[], &mut output[n_bytes..], &mut ends[n_ends..]);
    let mut start = 0;
    ends[..n_ends + n_more].iter().map(|&end| output[std::mem::replace(&mut start, end)..end].to_vec()).collect()
}

proptest! {
    #[test]
    fn fields_are_those_of_csv_core(line in r#"[a",]{1,30}"#, columns in 1_usize..6) {
        let theirs = by_csv_core(line.as_bytes());
        match &parsed(line.as_bytes(), columns)[..] {
            [Ok(ours)] => prop_assert_eq!(ours, &theirs),
            [Err((RejectReason::ColumnCount, raw))] => {
                prop_assert_eq!(&raw[..], line.as_bytes());
                prop_assert_ne!(theirs.len(), columns);
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), columns in 1_usize..6) {
        let _ = parsed(&bytes, columns);
    }
}

#[test]
fn values_that_are_carried_along_stay_beside_ours() {
    let layout =
        Layout { kept: vec![2, 0, 2], fields: [None, None, Some(1), None, None, None], n_fields: 3, ..Layout::canonical() };
    let bytes = b"a,u,1\n\"b,b\",u,2\n\"c\"\"c\",u,\"3\"x\nshort,u\n,u,\n";
    let mut source = MemorySource::new(bytes, 3, Limits::default()).with_layout(layout);
    let (mut parser, mut all) = (Parser::new(), Vec::new());
    while let Some(batch) = source.next().unwrap() {
        for row in parser.parse(&batch) {
            let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
            all.push(row.map(|row| row.kept.values().map(text).collect::<Vec<_>>()).map_err(|reject| reject.reason));
        }
    }
    let kept = |values: [&str; 3]| Ok(values.map(str::to_owned).to_vec());
    let expected = [
        kept(["1", "a", "1"]),
        kept(["2", "b,b", "2"]),
        kept(["3x", "c\"c", "3x"]),
        Err(RejectReason::ColumnCount),
        kept(["", "", ""]),
    ];
    assert_eq!(all, expected);
}
