//! Whatever reads bytes of strangers, as functions that any bytes may be thrown at: built for tests, and with the feature `fuzz` for
//! fuzzers outside the workspace. One function a target, so that the random inputs of both cannot drift apart.
//!
//! A target fails by a panic: of what it calls, or of its own when the answer cannot be right (bytes that are in no record, a value that
//! is not read as it was written). Errors are answers like others.

mod rejects;
mod shapes;
mod state;

use std::path::Path;
use std::sync::Arc;

use windrow_core::clean;
use windrow_core::featurize::FieldWeights;
use windrow_core::kept::Kept;
use windrow_core::pipeline::{Prepared, Preparer};
use windrow_core::record::{RecordId, Row};

use crate::batch::{RawBatch, Slice};
use crate::search::Filter;
use crate::settings;
use crate::source::columns::ColumnMap;
use crate::source::generator::Spec;
use crate::source::kafka::Start;
use crate::source::memory::MemorySource;
use crate::source::parse::Parser;
use crate::source::{Form, Limits, MessageFormat, Source as _};

/// One thing that any bytes are thrown at.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Panics where something is wrong.
    pub run: fn(&[u8]),
    /// Inputs to begin with: chance alone finds no such words.
    pub seeds: &'static [&'static [u8]],
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "csv", run: csv, seeds: CSV },
    Target { name: "json", run: json, seeds: JSON },
    Target { name: "url", run: url, seeds: URLS },
    Target { name: "values", run: values, seeds: VALUES },
    Target { name: "settings", run: from_settings, seeds: SETTINGS },
    Target { name: "filter", run: filter, seeds: FILTERS },
    Target { name: "shapes", run: shapes::shapes, seeds: shapes::SEEDS },
    Target { name: "rejects", run: rejects::rejects, seeds: rejects::SEEDS },
    Target { name: "manifest", run: state::manifest, seeds: state::MANIFESTS },
    Target { name: "edits", run: state::edits, seeds: state::EDITS },
    Target { name: "snapshot", run: state::snapshot, seeds: state::SNAPSHOTS },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

const CSV: &[&[u8]] = &[
    b"2023-05-17 20:21:51.822000,1,https://a.example/x?y=1,title,\"k, k\",d\r\n,2,u,\"t\"\"t\",,\n",
    b",1,u,\"t\nt\",k,d\n,2,u,\"never closed,k,d\n,3,u,t,k,d\n",
    b",,,,,\r\r\n\xff,1,u,t,k,d\n\xef\xbb\xbf2023-05-17T00:00:00Z,1,u,\"t\"t,k,d",
];

/// A CSV record is a page or a reject, whatever the batches; all bytes but line ends lie in records.
fn csv(bytes: &[u8]) {
    let limits = Limits { record_bytes: 64, ..Limits::default() };
    let whole = read_csv(bytes, limits);
    let pieces = read_csv(bytes, Limits { batch_rows: 1, ..limits });
    assert_eq!(whole, pieces, "the cut of batches changes an answer");
    let mut end = 0;
    for (from, raw) in &whole {
        let from = usize::try_from(*from).expect("an offset of these bytes");
        assert!(bytes[end..from].iter().all(|byte| b"\r\n".contains(byte)), "bytes {end} to {from} lie in no record");
        assert!(bytes[from..].starts_with(raw), "a record at {from} has other bytes");
        end = from + raw.len();
    }
    assert!(bytes[end..].iter().all(|byte| b"\r\n".contains(byte)), "the bytes from {end} on lie in no record");
}

/// Offset and bytes of each record; each is prepared too.
fn read_csv(bytes: &[u8], limits: Limits) -> Vec<(u64, Vec<u8>)> {
    let mut source = MemorySource::new(bytes, 0, limits);
    let (mut records, mut n_rows) = (Vec::new(), 0);
    while let Some(batch) = source.next().expect("memory has no errors") {
        records.extend(batch.records.iter().map(|record| (record.offset, batch.raw(record).to_vec())));
        n_rows += accounted(&batch);
    }
    assert_eq!(n_rows, records.len(), "a record has no answer");
    records
}

/// Rows of a batch, each of which is a page or a reject.
fn accounted(batch: &RawBatch) -> usize {
    let prepared = prepare(batch);
    assert_eq!(prepared.pages.len() + prepared.rejects.len(), batch.records.len(), "rows are not pages and rejects");
    batch.records.len()
}

fn prepare(batch: &RawBatch) -> Prepared {
    Preparer::new(FieldWeights::default()).prepare(Parser::new().parse(batch))
}

const JSON: &[&[u8]] = &[
    br#"{"creation_time": "2023-05-17T20:21:51.822Z", "id": 12, "url": "https://a.example", "title": "t\u0041\ud83d\ude00"}"#,
    br#"{"title": NaN, "keywords": ["a", 1, null, true], "description": -Infinity, "x": [[{"y": 1e9}]]}"#,
    b"\xef\xbb\xbf{\"a\": {\"b\": {\"title\": \"t\", \"c\": []}}, \"a.b\": 1}",
];

/// A message is one page or one reject, with the same values when they are ways into it, and whatever stands before it.
fn json(bytes: &[u8]) {
    let ways: ColumnMap = "title=a.b.title,keywords=a.b.c,url=a.b,description=a".parse().expect("a map");
    for columns in [ColumnMap::default(), ways] {
        let form = Arc::new(Form::of_messages(MessageFormat::Json, &columns).expect("JSON takes any map"));
        let read = |values: &[Option<&[u8]>]| {
            let mut batch = RawBatch::of_messages(Arc::clone(&form), Slice { source: 0, from: 0, to: 0 });
            for (offset, value) in (0..).zip(values) {
                batch.push_message(1 << 16, offset, *value, None);
            }
            accounted(&batch);
            prepare(&batch)
        };
        let alone = read(&[Some(bytes)]);
        let behind = read(&[Some(br#"{"title": "\u0041", "a": {"b": {"c": ["\n"]}}}"#), None, Some(bytes)]);
        assert_eq!(
            alone.pages.title.values,
            behind.pages.title.values[behind.pages.title.values.len() - alone.pages.title.values.len()..]
        );
        let reject = |prepared: &Prepared, offset| {
            prepared
                .rejects
                .iter()
                .find(|reject| reject.origin.offset == offset)
                .map(|reject| (reject.reason, reject.raw.clone()))
        };
        assert_eq!(reject(&alone, 0), reject(&behind, 2), "what stands before a message changes it");
        assert!(reject(&alone, 0).is_none_or(|(_, raw)| raw == bytes), "a reject has other bytes");
    }
}

const URLS: &[&[u8]] = &[
    "https://user:pw@xn--bcher-kva.example:8080/B%C3%BCcher/12345/a-b_c.html?utm_source=x&id=7f3e#top".as_bytes(),
    b"http://[2001:db8::1]/login?next=https%3A%2F%2Fb.example%2Fx%3Fu%3Dhttp%253A%252F%252Fc.example",
    "javascript:alert(1)//\u{202e}\u{200b}例え.テスト/パス/..//%00%zz".as_bytes(),
];

/// Any address makes a page or a reject, and the same one each time; weights are numbers.
fn url(bytes: &[u8]) {
    let row = Row {
        origin: RecordId { source: 0, offset: 0 },
        raw: bytes,
        columns: [b"", b"", bytes, b"t", b"", b""],
        kept: Kept::default(),
    };
    let mut preparer = Preparer::new(FieldWeights::default());
    let first = preparer.prepare(std::iter::once(Ok(row)));
    assert_eq!(first, preparer.prepare(std::iter::once(Ok(row))), "another page of the same address");
    assert_eq!(first.pages.len(), usize::from(std::str::from_utf8(bytes).is_ok()));
}

const VALUES: &[&[u8]] = &[
    b"2023-05-17 20:21:51.822000",
    b"-009999-01-02T24:00:00.999999999+25:59[Europe/Rome]",
    b"1.5MB",
    b"4294967295:18446744073709551615",
    b"url=landing_page,title=a.b,keywords=3",
    b"generator:rows=1_000,seed=7,broken=0.01,themes=60",
    b"title,path=0.5,host=1e-9",
];

/// Times, sizes, ids and lists are read or refused; an id is read as it is written.
fn values(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = (clean::time(&text), settings::parse_size(&text), Start::named(&text), FieldWeights::from_fields(&text));
    if let Ok(id) = text.parse::<RecordId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(spec) = text.parse::<Spec>() {
        assert_eq!(spec.to_string().parse(), Ok(spec));
    }
    if let Ok(map) = text.parse::<ColumnMap>() {
        let _ = Form::of_messages(MessageFormat::Csv, &map);
    }
    if let Some(micros) = clean::time(&text)
        && let Ok(time) = jiff::Timestamp::from_microsecond(micros)
    {
        assert_eq!(clean::time(&time.to_string()), Some(micros), "a time is another one when written as ISO 8601");
    }
}

const SETTINGS: &[&[u8]] = &[
    b"[source]\ninput = [\"pages.csv\", \"more/*.csv\"]\ncolumns = \"url=landing\"\n[model]\nclusters = 50\n",
    b"[kafka]\n\"bootstrap.servers\" = \"localhost:9092\"\n[limits]\nmax_record = \"2MB\"\nmemory = 64_000_000\n[x]\ny = 1979-05-27\n",
    b"[output]\nroll_seconds = -1\nout = \"\"\"a\nb\"\"\"\n[features]\ntitle = nan\n[clean]\nrequire = [[1]]\n",
];

/// A settings file is read, or refused with its problems.
fn from_settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(given) = settings::from_text(Path::new("windrow.toml"), &text)
        && let Ok(resolved) = settings::resolve(&given)
    {
        let again = settings::resolve(&given).expect("the same again");
        assert_eq!(resolved.settings, again.settings);
    }
}

const FILTERS: &[&[u8]] = &[
    b"cluster:7,9 host:*.co.il title~\"big sale\" url~x text~y label~z id:123 record:0:4711 novel:true after:-1h before:2023-05-17 score<0.5",
    "\"never closed score>nan before:-99999999999999w after:9999-12-31 кластер:1".as_bytes(),
];

/// A filter is understood, or the place in it is named where it is not.
fn filter(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for now in [0, i64::MIN, i64::MAX] {
        if let Err(wrong) = Filter::parse(&text, now) {
            assert!(wrong.at <= text.chars().count(), "the place {} is behind the end", wrong.at);
            assert!(!wrong.why.is_empty());
        }
    }
}

#[cfg(test)]
mod tests;
