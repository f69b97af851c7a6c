//! What messages look like: keys, values, headers, timestamps.
//!
//! | message | key | value | headers |
//! |---|---|---|---|
//! | page | registrable domain or record id; the cluster's id in a keyed topic | JSON | record id, pipeline, epoch, decision, schema |
//! | owner of a slot | none | none | what it announces |
//! | reject | the message's | the original bytes; none of a tombstone | the message's, Kafka Connect's names, and ours |
//! | lineage | the cluster's id | JSON | pipeline, epoch, schema |

use std::borrow::Cow;
use std::fmt::Write as _;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use serde::{Serialize, Serializer};
use windrow_core::featurize::main_domain;
use windrow_core::lineage::{Line, LineageEvent, flatten};
use windrow_core::record::{Micros, Pages, Reject};

use super::room::{BYTES, CUT, HASH, Part, hash};
use super::{MessageKey, MessageTime, Route, TopicOutput, ValueShape};
use crate::kafka::topics::{LINEAGE, REJECTS};
use crate::sink::Staged;
use crate::source::kafka::PREFIX;

/// Name and version of a page's message.
const PAGE_SCHEMA: &str = "windrow.page/1";
/// Name and version of a lineage message.
const LINEAGE_SCHEMA: &str = "windrow.lineage/1";
/// Name and version of the announcement of a slot's owner.
const OWNER_SCHEMA: &str = "windrow.owner/1";

/// Name and version of a reject's message.
const REJECT_SCHEMA: &str = "windrow.reject/1";
/// What stands where Kafka Connect names the class of its exception.
const REJECTED: &str = "windrow.RowRejected";
/// How the names of headers begin that we give, in place of Kafka Connect too.
const OURS: [&str; 2] = ["windrow-", "__connect.errors."];

/// A page with everything that is known of it. What it does not have is null.
#[derive(Serialize)]
struct Page<'a> {
    record_id: &'a str,
    cluster: u32,
    slot: u32,
    micro_cluster: u64,
    novel: bool,
    score: f64,
    label: &'a str,
    creation_time: Option<&'a str>,
    id: Option<&'a str>,
    url: Option<&'a str>,
    title: Option<&'a str>,
    keywords: Option<&'a str>,
    description: Option<&'a str>,
    domain: Option<&'a str>,
    /// Columns that are carried along; not there where there are none.
    #[serde(skip_serializing_if = "Kept::is_empty")]
    kept: Kept<'a>,
}

/// The columns of a page that are carried along, as an object; what is empty is null.
struct Kept<'a> {
    names: &'a [String],
    pages: &'a Pages,
    row: usize,
}

impl Kept<'_> {
    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl Serialize for Kept<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(self.names.iter().zip(&self.pages.kept).map(|(name, column)| (name, filled(column.get(self.row)))))
    }
}

/// A page as the original writes it.
#[derive(Serialize)]
struct OriginalPage<'a> {
    id: Option<&'a str>,
    creation_time: Option<&'a str>,
    main_domain: Cow<'a, str>,
    description: Option<&'a str>,
}

#[derive(Serialize)]
struct LineageLine<'a> {
    pipeline: &'a str,
    epoch: u64,
    position: u64,
    event: &'a str,
    cluster: u32,
    #[serde(flatten)]
    line: Line<'a>,
}

/// A message with a key and a value in somebody's scratch memory.
pub(super) type Record<'a> = BaseRecord<'a, [u8], [u8]>;

/// Makes messages; holds scratch memory.
pub(super) struct Encoder {
    route: Route,
    /// Topic of each slot, where slots have topics.
    slots: Vec<String>,
    value: ValueShape,
    keyed_by: MessageKey,
    time: MessageTime,
    pipeline: String,
    /// Names of the columns that are carried along.
    kept: Vec<String>,
    /// The most that the message of a reject may have.
    longest_reject: u64,
    scratch: Vec<u8>,
    key: String,
    record_id: String,
    text: String,
}

impl Encoder {
    pub(super) fn new(output: &TopicOutput, pipeline: &str, kept: Vec<String>, longest_reject: u64) -> Self {
        let slots = match &output.route {
            Route::Slots(prefix) => (0..output.slots).map(|slot| format!("{prefix}{slot}")).collect(),
            Route::Keyed(_) => Vec::new(),
        };
        let (route, value, keyed_by, time) = (output.route.clone(), output.value, output.key, output.time);
        let (scratch, key, record_id, text) = (Vec::new(), String::new(), String::new(), String::new());
        let pipeline = pipeline.to_owned();
        Self { route, slots, value, keyed_by, time, pipeline, kept, longest_reject, scratch, key, record_id, text }
    }

    /// The topic of a slot.
    pub(super) fn topic(&self, slot: u32) -> &str {
        match &self.route {
            Route::Slots(_) => &self.slots[slot as usize],
            Route::Keyed(topic) => topic,
        }
    }

    /// A page of a staged batch.
    pub(super) fn page(&mut self, staged: &Staged, row: usize) -> Record<'_> {
        let (pages, outcome) = (&staged.prepared.pages, &staged.outcome);
        let decision = &outcome.decisions[row];
        self.write_record_id(pages.origin[row]);
        let time = pages.creation_time[row];
        self.text.clear();
        if let Some(time) = time {
            write_time(time, self.value, &mut self.text);
        }
        let creation_time = (!self.text.is_empty()).then_some(self.text.as_str());
        self.scratch.clear();
        let written = match self.value {
            ValueShape::Full => serde_json::to_writer(
                &mut self.scratch,
                &Page {
                    record_id: &self.record_id,
                    cluster: decision.cluster,
                    slot: decision.slot,
                    micro_cluster: decision.micro_cluster,
                    novel: decision.novel,
                    score: decision.score,
                    label: &outcome.labels[outcome.label[row] as usize],
                    creation_time,
                    id: filled(pages.id.get(row)),
                    url: filled(pages.url.get(row)),
                    title: filled(pages.title.get(row)),
                    keywords: filled(pages.keywords.get(row)),
                    description: filled(pages.description.get(row)),
                    domain: filled(pages.domain.get(row)),
                    kept: Kept { names: &self.kept, pages, row },
                },
            ),
            ValueShape::Original => serde_json::to_writer(
                &mut self.scratch,
                &OriginalPage {
                    id: filled(pages.id.get(row)),
                    creation_time,
                    main_domain: main_domain(pages.url.get(row)),
                    description: filled(pages.description.get(row)),
                },
            ),
        };
        written.expect("texts in memory serialize");
        self.key.clear();
        match (&self.route, self.keyed_by) {
            (Route::Slots(_), MessageKey::Domain) => self.key.push_str(pages.domain.get(row)),
            (Route::Slots(_), MessageKey::RecordId) => self.key.push_str(&self.record_id),
            (Route::Keyed(_), _) => drop(write!(self.key, "{}", decision.cluster)),
        }
        let headers = self
            .headers(8, staged.epoch, PAGE_SCHEMA)
            .insert(header("windrow-record-id", self.record_id.as_bytes()))
            .insert(header("windrow-cluster", decision.cluster.to_string().as_bytes()))
            .insert(header("windrow-micro-cluster", decision.micro_cluster.to_string().as_bytes()))
            .insert(header("windrow-novel", if decision.novel { b"1" } else { b"0" }))
            .insert(header("windrow-score", decision.score.to_string().as_bytes()));
        // A topic of one slot says it by its name.
        let headers = match self.route {
            Route::Slots(_) => headers,
            Route::Keyed(_) => headers.insert(header("windrow-slot", decision.slot.to_string().as_bytes())),
        };
        let mut record = Record::to(self.topic(decision.slot)).payload(&self.scratch).headers(headers);
        if !self.key.is_empty() {
            record = record.key(self.key.as_bytes());
        }
        match (self.time, time) {
            (MessageTime::Event, Some(time)) => record.timestamp(timestamp(time, staged.at)),
            _ => record,
        }
    }

    /// The announcement that a slot has another owner. Not in the original's shape: its readers take every message for a page.
    pub(super) fn owner(&mut self, epoch: u64, event: &LineageEvent, slot: u32) -> Option<Record<'_>> {
        if self.value == ValueShape::Original {
            return None;
        }
        self.key.clear();
        if matches!(self.route, Route::Keyed(_)) {
            let _ = write!(self.key, "{}", event.cluster);
        }
        let headers = self
            .headers(6, epoch, OWNER_SCHEMA)
            .insert(header("windrow-control", b"owner"))
            .insert(header("windrow-slot", slot.to_string().as_bytes()))
            .insert(header("windrow-cluster", event.cluster.to_string().as_bytes()));
        let record = Record::to(self.topic(slot)).headers(headers);
        Some(if self.key.is_empty() { record } else { record.key(self.key.as_bytes()) })
    }

    /// A reject: its bytes as they were, as far as there is room, and why, as Kafka Connect says it.
    pub(super) fn reject<'a>(&mut self, epoch: u64, reject: &'a Reject, sources: &[String]) -> Record<'a> {
        self.write_record_id(reject.origin);
        let source = sources.get(reject.origin.source as usize).map_or("", String::as_str);
        // Rows of files have no partition.
        let place = source.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('/'));
        let offset = reject.origin.offset.to_string();
        let part = Part::of(reject, source, self.longest_reject);
        let mut headers = OwnedHeaders::new_with_capacity(16);
        for (key, value) in reject.beside.iter().filter(|_| part.headers).flat_map(|beside| &beside.headers) {
            // What we say of it goes without what somebody said of it before.
            if !OURS.iter().any(|ours| key.starts_with(ours)) {
                headers = headers.insert(Header { key, value: value.as_deref() });
            }
        }
        let mut headers = self
            .add_headers(headers, epoch, REJECT_SCHEMA)
            .insert(header("windrow-record-id", self.record_id.as_bytes()))
            .insert(header("windrow-reason", reject.reason.code().as_bytes()))
            .insert(header("__connect.errors.topic", place.map_or(source, |(topic, _)| topic).as_bytes()))
            .insert(header("__connect.errors.offset", offset.as_bytes()))
            .insert(header("__connect.errors.connector.name", b"windrow"))
            .insert(header("__connect.errors.task.id", b"0"))
            .insert(header("__connect.errors.stage", b"VALUE_CONVERTER"))
            .insert(header("__connect.errors.exception.class.name", REJECTED.as_bytes()))
            .insert(header("__connect.errors.exception.message", reject.reason.sentence().as_bytes()));
        if let Some((_, partition)) = place {
            headers = headers.insert(header("__connect.errors.partition", partition.as_bytes()));
        }
        if let Some(cut) = part.cut(reject) {
            headers = headers
                .insert(header(CUT, cut.as_bytes()))
                .insert(header(BYTES, reject.raw.len().to_string().as_bytes()))
                .insert(header(HASH, hash(&reject.raw).as_bytes()));
        }
        let mut record = Record::to(REJECTS).headers(headers);
        if let Some(key) = reject.beside.as_ref().filter(|_| part.key).and_then(|beside| beside.key.as_deref()) {
            record = record.key(key);
        }
        let is_tombstone = reject.reason == windrow_core::record::RejectReason::Tombstone;
        if is_tombstone { record } else { record.payload(&reject.raw[..part.value]) }
    }

    /// A line of the lineage.
    pub(super) fn lineage(&mut self, epoch: u64, event: &LineageEvent) -> Record<'_> {
        let (code, line) = flatten(&event.happening);
        let value = LineageLine {
            pipeline: &self.pipeline,
            epoch,
            position: event.position,
            event: code,
            cluster: event.cluster,
            line,
        };
        self.scratch.clear();
        serde_json::to_writer(&mut self.scratch, &value).expect("plain data serializes");
        self.key.clear();
        let _ = write!(self.key, "{}", event.cluster);
        let headers = self.headers(3, epoch, LINEAGE_SCHEMA);
        Record::to(LINEAGE).key(self.key.as_bytes()).payload(&self.scratch).headers(headers)
    }

    /// Headers that every message of ours has, with room for `n`.
    fn headers(&self, n: usize, epoch: u64, schema: &str) -> OwnedHeaders {
        self.add_headers(OwnedHeaders::new_with_capacity(n), epoch, schema)
    }

    fn add_headers(&self, headers: OwnedHeaders, epoch: u64, schema: &str) -> OwnedHeaders {
        headers
            .insert(header("windrow-schema", schema.as_bytes()))
            .insert(header("windrow-pipeline", self.pipeline.as_bytes()))
            .insert(header("windrow-epoch", epoch.to_string().as_bytes()))
    }

    fn write_record_id(&mut self, origin: windrow_core::record::RecordId) {
        self.record_id.clear();
        let _ = write!(self.record_id, "{origin}");
    }
}

/// Value and headers of a message.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) type Sent = (Option<Vec<u8>>, Vec<(String, Vec<u8>)>);

/// Value and headers that a reject is sent with, where a message has `longest` bytes at most.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn sent(epoch: u64, reject: &Reject, source: &str, longest: u64) -> Sent {
    use rdkafka::message::Headers as _;
    let mut encoder = Encoder {
        route: Route::Keyed("pages".into()),
        slots: Vec::new(),
        value: ValueShape::Full,
        keyed_by: MessageKey::RecordId,
        time: MessageTime::Event,
        pipeline: "pipeline".into(),
        kept: Vec::new(),
        longest_reject: longest,
        scratch: Vec::new(),
        key: String::new(),
        record_id: String::new(),
        text: String::new(),
    };
    let sources = vec![source.to_owned(); reject.origin.source as usize + 1];
    let record = encoder.reject(epoch, reject, &sources);
    let headers = record.headers.iter().flat_map(|headers| headers.iter());
    let headers = headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect();
    (record.payload.map(<[u8]>::to_vec), headers)
}

fn header<'a>(key: &'a str, value: &'a [u8]) -> Header<'a, &'a [u8]> {
    Header { key, value: Some(value) }
}

/// A page's creation time as a message's timestamp, in milliseconds. Brokers refuse times that are an hour ahead of them and those before
/// 1970, and one page must not stop a pipeline: a time to come is the time of sending, an older one than any the first there is.
fn timestamp(time: Micros, now: Micros) -> i64 {
    time.min(now).div_euclid(1_000).max(1)
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// ISO 8601 in UTC; as Python writes it, which says neither that it is UTC nor fewer than six digits of a fraction, for the original's
/// readers. A time beyond the calendar is left out.
fn write_time(time: Micros, shape: ValueShape, text: &mut String) {
    let Ok(stamp) = jiff::Timestamp::from_microsecond(time) else { return };
    match (shape, time.rem_euclid(1_000_000)) {
        (ValueShape::Full, _) => drop(write!(text, "{stamp}")),
        (ValueShape::Original, 0) => drop(write!(text, "{}", stamp.strftime("%Y-%m-%dT%H:%M:%S"))),
        (ValueShape::Original, fraction) => drop(write!(text, "{}.{fraction:06}", stamp.strftime("%Y-%m-%dT%H:%M:%S"))),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers as _;
    use windrow_core::record::{Beside, RejectReason};

    use super::*;
    use crate::kafka::longest::length;
    use crate::sink::tests::staged;

    fn encoder(route: Route, key: MessageKey) -> Encoder {
        let (keys, memory_bytes) = (crate::settings::ClientKeys::default(), 1 << 30);
        let (value, time, epoch) = (ValueShape::Full, MessageTime::Arrival, std::time::Duration::ZERO);
        Encoder::new(&TopicOutput { keys, route, slots: 50, value, key, time, epoch, memory_bytes }, "p", Vec::new(), 1 << 20)
    }

    #[test]
    fn a_page_is_keyed_by_its_site_itself_or_its_cluster() {
        let key = |route: Route, key: MessageKey| {
            let (mut encoder, staged) = (encoder(route, key), staged(1, 0..1));
            String::from_utf8(encoder.page(&staged, 0).key.unwrap().to_vec()).unwrap()
        };
        let slots = || Route::Slots("cluster_".into());
        let cluster = staged(1, 0..1).outcome.decisions[0].cluster.to_string();
        assert_eq!(key(slots(), MessageKey::Domain), "example.com");
        assert_eq!(key(slots(), MessageKey::RecordId), "1:0");
        assert_eq!(key(Route::Keyed("all".into()), MessageKey::RecordId), cluster);
    }

    #[test]
    fn kept_columns_lie_in_an_object_of_their_own() {
        let (mut encoder, mut staged) = (encoder(Route::Keyed("all".into()), MessageKey::Domain), staged(1, 0..2));
        let value = |encoder: &mut Encoder, staged: &Staged| {
            let payload = encoder.page(staged, 1).payload.unwrap().to_vec();
            serde_json::from_slice::<serde_json::Value>(&payload).unwrap()
        };
        assert_eq!(value(&mut encoder, &staged).get("kept"), None, "nothing is carried along");
        encoder.kept = vec!["spend".into(), "note".into()];
        for values in [["1", "12.50"], ["x", ""]] {
            let mut column = windrow_core::record::TextColumn::default();
            values.iter().for_each(|value| column.push(value));
            staged.prepared.pages.kept.push(column);
        }
        assert_eq!(value(&mut encoder, &staged)["kept"], serde_json::json!({"spend": "12.50", "note": null}));
    }

    #[test]
    fn a_reject_keeps_what_came_with_it_and_says_why() {
        let mut encoder = encoder(Route::Keyed("all".into()), MessageKey::Domain);
        let given = |key: &str, value: &str| (key.to_owned(), Some(value.as_bytes().to_vec()));
        let headers = vec![given("trace", "t"), ("none".into(), None), given("windrow-control", "replayed")];
        let mut reject = Reject {
            origin: "0:7".parse().unwrap(),
            reason: RejectReason::BadJson,
            raw: b"x".to_vec(),
            beside: Some(Beside { key: Some(b"k".to_vec()), headers }),
        };
        let shown = |record: &Record<'_>| {
            let headers = record.headers.iter().flat_map(|headers| headers.iter());
            let text = |value: Option<&[u8]>| value.map(|value| String::from_utf8_lossy(value).into_owned());
            headers.map(|header| (header.key.to_owned(), text(header.value))).collect::<Vec<_>>()
        };
        let record = encoder.reject(3, &reject, &["kafka:pages/2".into()]);
        assert_eq!((record.key, record.payload), (Some(&b"k"[..]), Some(&b"x"[..])));
        let all = shown(&record);
        let wanted = [
            ("trace", Some("t")),
            ("none", None),
            ("windrow-schema", Some("windrow.reject/1")),
            ("windrow-pipeline", Some("p")),
            ("windrow-epoch", Some("3")),
            ("windrow-record-id", Some("0:7")),
            ("windrow-reason", Some("bad_json")),
            ("__connect.errors.topic", Some("pages")),
            ("__connect.errors.offset", Some("7")),
            ("__connect.errors.connector.name", Some("windrow")),
            ("__connect.errors.task.id", Some("0")),
            ("__connect.errors.stage", Some("VALUE_CONVERTER")),
            ("__connect.errors.exception.class.name", Some("windrow.RowRejected")),
            ("__connect.errors.exception.message", Some("the message is no JSON object")),
            ("__connect.errors.partition", Some("2")),
        ];
        assert_eq!(all, wanted.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))));

        reject.beside = None;
        let record = encoder.reject(3, &reject, &["pages.csv".into()]);
        assert_eq!(record.key, None);
        let of_file = shown(&record);
        assert!(of_file.contains(&("__connect.errors.topic".into(), Some("pages.csv".into()))));
        assert!(!of_file.iter().any(|(key, _)| key == "__connect.errors.partition"), "a file has none: {of_file:?}");

        reject.raw = vec![b'x'; 2 << 20];
        let record = encoder.reject(3, &reject, &["pages.csv".into()]);
        let kept = record.payload.map_or(0, <[u8]>::len);
        let size = length(0, kept, record.headers.as_ref());
        assert!(size <= 1 << 20 && size > (1 << 20) - 1_000, "{size} bytes");
        let cut: Vec<_> = shown(&record).into_iter().filter_map(|(key, value)| Some((key, value?))).rev().take(3).collect();
        let expected =
            [("windrow-hash", hash(&reject.raw)), ("windrow-bytes", (2 << 20).to_string()), ("windrow-cut", "value".into())];
        assert_eq!(cut, expected.map(|(key, value)| (key.to_owned(), value)));
    }

    #[test]
    fn no_timestamp_lies_ahead_of_the_clock_or_before_1970() {
        let now = 1_700_000_000_000_000;
        let stamps = [now - 1, now, now + 1, Micros::MAX, 0, -1, Micros::MIN].map(|time| timestamp(time, now));
        assert_eq!(stamps, [1_699_999_999_999, 1_700_000_000_000, 1_700_000_000_000, 1_700_000_000_000, 1, 1, 1]);
    }

    #[test]
    fn times_as_iso_8601_and_as_python_writes_them() {
        let written = |time, shape| {
            let mut text = String::new();
            write_time(time, shape, &mut text);
            text
        };
        let (whole, half) = (1_684_354_911_000_000, 1_684_354_911_500_000);
        assert_eq!(written(half, ValueShape::Full), "2023-05-17T20:21:51.5Z");
        assert_eq!(written(half, ValueShape::Original), "2023-05-17T20:21:51.500000");
        assert_eq!(written(whole, ValueShape::Original), "2023-05-17T20:21:51");
        assert_eq!(written(-1, ValueShape::Original), "1969-12-31T23:59:59.999999");
        assert_eq!(written(Micros::MAX, ValueShape::Original), "");
    }
}
