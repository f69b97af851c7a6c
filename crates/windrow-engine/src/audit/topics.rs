//! The topics' side: every committed message of the pipeline in the topics of its pages and rejects.
//!
//! Epochs behind the last roll are in the topics and not yet in the Parquet: counted, and left to a later audit. Where a topic has deleted
//! its oldest messages, a page that is not there is told apart from one that is lost: the rows of a source come to a partition in order,
//! so what stood before the first message that is left may have been deleted, and what belongs behind it must be there. The same holds for
//! the end of a partition in which an open transaction of somebody else hides what lies behind it: what may be there is not lost.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rdkafka::message::{BorrowedMessage, Message as _};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use windrow_core::clean;
use windrow_core::record::RecordId;

use super::trace::{Content, Decided, Hasher, NO_SLOT, Pass, Trace};
use crate::checkpoint::manifest::Manifest;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::Broker;
use crate::kafka::read::{Headers, Reader, Window};
use crate::kafka::topics::REJECTS;
use crate::run::Control;
use crate::sink::topics::{Route, TopicOutput, room};

/// What the topics hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TopicReport {
    /// Pages of the committed epochs.
    pub pages: u64,
    /// Rejects of the committed epochs.
    pub rejects: u64,
    /// Pages and rejects of epochs that are not yet in the Parquet.
    pub ahead: u64,
    /// Pages and rejects that topics have deleted since, by their retention.
    pub expired: u64,
    /// Pages and rejects that open transactions of others may hide: another audit will tell.
    pub hidden: u64,
    /// Messages in the topics of pages that the pipeline did not write.
    pub foreign: u64,
    /// Topics that are not there.
    pub missing: Vec<String>,
}

/// What was read in a pass.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) traces: Vec<Trace>,
    pub(super) report: TopicReport,
    pub(super) begun: Vec<Begun>,
    pub(super) hiding: Vec<Hiding>,
}

/// A partition that has deleted its oldest messages.
#[derive(Debug)]
pub(super) struct Begun {
    part: usize,
    /// Slots whose pages it holds.
    slots: RangeInclusive<i32>,
    /// Of each source, the offset of the first record that it still holds.
    first: FxHashMap<u32, u64>,
}

impl Begun {
    fn new(part: usize, slots: RangeInclusive<i32>) -> Self {
        Self { part, slots, first: FxHashMap::default() }
    }

    /// Whether this row may have been among what was deleted.
    pub(super) fn may_have_held(&self, row: &Trace) -> bool {
        self.slots.contains(&row.slot) && self.first.get(&row.source).is_none_or(|first| row.offset < *first)
    }

    #[cfg(test)]
    pub(super) fn at(slots: RangeInclusive<i32>, held: &[RecordId]) -> Self {
        let mut begun = Self::new(0, slots);
        held.iter().for_each(|id| begun.see(*id));
        begun
    }

    fn see(&mut self, id: RecordId) {
        let first = self.first.entry(id.source).or_insert(id.offset);
        *first = id.offset.min(*first);
    }
}

/// A partition whose end an open transaction hides.
#[derive(Debug)]
pub(super) struct Hiding {
    part: usize,
    /// Slots whose pages it holds.
    slots: RangeInclusive<i32>,
    /// Of each source, the offset of the last record that it shows.
    last: FxHashMap<u32, u64>,
}

impl Hiding {
    fn new(part: usize, slots: RangeInclusive<i32>) -> Self {
        Self { part, slots, last: FxHashMap::default() }
    }

    /// Whether this row may be among what is hidden.
    pub(super) fn may_hide(&self, row: &Trace) -> bool {
        self.slots.contains(&row.slot) && self.last.get(&row.source).is_none_or(|last| row.offset > *last)
    }

    #[cfg(test)]
    pub(super) fn at(slots: RangeInclusive<i32>, shown: &[RecordId]) -> Self {
        let mut hiding = Self::new(0, slots);
        shown.iter().for_each(|id| hiding.see(*id));
        hiding
    }

    fn see(&mut self, id: RecordId) {
        let last = self.last.entry(id.source).or_insert(id.offset);
        *last = id.offset.max(*last);
    }
}

/// The slots whose pages a topic holds.
fn slots(output: &TopicOutput, topic: &str) -> RangeInclusive<i32> {
    match &output.route {
        _ if topic == REJECTS => NO_SLOT..=NO_SLOT,
        Route::Slots(prefix) => {
            let slot = topic.strip_prefix(prefix.as_str()).and_then(|slot| slot.parse().ok());
            slot.map_or(0..=i32::MAX, |slot| slot..=slot)
        }
        Route::Keyed(_) => 0..=i32::MAX,
    }
}

/// A page's value; the original's has `main_domain`.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    creation_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    keywords: Option<Cow<'a, str>>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "main_domain")]
    domain: Option<Cow<'a, str>>,
    #[serde(default)]
    kept: BTreeMap<String, Option<String>>,
}

/// Traces of the messages of a pass, and counts of all messages.
pub(super) fn traces(
    output: &TopicOutput,
    manifest: &Manifest,
    pass: Pass,
    clock: &dyn Clock,
    talk: &mut dyn FnMut(&str),
) -> Result<Sent> {
    let broker = Broker::new(&output.keys)?;
    let mut wanted = output.page_topics();
    wanted.push(REJECTS.to_owned());
    let (mut reader, missing) = Reader::open(&broker, &wanted, talk)?;
    let parts: Vec<(String, i64, i64)> =
        reader.parts.iter().map(|part| (reader.topics[part.topic].clone(), part.low, part.high)).collect();
    let windows: Vec<Window> =
        parts.iter().enumerate().map(|(part, &(_, low, high))| Window { part, from: low, to: high }).collect();
    let mut sent = Sent::default();
    // What this user may not see is refused, and not missing.
    missing.iter().try_for_each(|topic| broker.topic(topic).map(drop))?;
    sent.report.missing = missing;
    let begun = parts.iter().enumerate().filter(|(_, (_, low, _))| *low > 0);
    sent.begun = begun.map(|(part, (topic, ..))| Begun::new(part, slots(output, topic))).collect();
    let hiding = reader.parts.iter().enumerate().filter(|(_, part)| part.hidden > 0);
    sent.hiding = hiding.map(|(part, _)| Hiding::new(part, slots(output, &parts[part].0))).collect();
    let mut teller = Teller { output, manifest, pass, kept: manifest.keep.names(), hasher: Hasher::default(), sent };
    let control = Control::default();
    reader.read(&windows, (clock, &control), &mut |part, message| {
        teller.take(part, &parts[part].0, message);
        false
    })?;
    Ok(teller.sent)
}

/// Makes traces of messages.
struct Teller<'a> {
    output: &'a TopicOutput,
    manifest: &'a Manifest,
    pass: Pass,
    kept: Vec<String>,
    hasher: Hasher,
    sent: Sent,
}

impl Teller<'_> {
    fn take(&mut self, part: usize, topic: &str, message: &BorrowedMessage<'_>) {
        let headers = Headers::of(message);
        let is_reject = topic == REJECTS;
        if headers.text("windrow-pipeline") != Some(self.manifest.pipeline.as_str()) {
            // The rejects' topic is everybody's.
            self.sent.report.foreign += u64::from(!is_reject && headers.text("windrow-pipeline").is_none());
            return;
        }
        if headers.text("windrow-control").is_some() {
            return;
        }
        let id = headers.text("windrow-record-id").and_then(|text| text.parse::<RecordId>().ok());
        if let Some(id) = id {
            self.sent.begun.iter_mut().filter(|begun| begun.part == part).for_each(|begun| begun.see(id));
            self.sent.hiding.iter_mut().filter(|hiding| hiding.part == part).for_each(|hiding| hiding.see(id));
        }
        if headers.number::<u64>("windrow-epoch").is_none_or(|epoch| epoch > self.manifest.epoch) {
            self.sent.report.ahead += 1;
            return;
        }
        let report = &mut self.sent.report;
        *(if is_reject { &mut report.rejects } else { &mut report.pages }) += 1;
        let Some(id) = id.filter(|id| self.pass.holds(*id)) else { return };
        let value = message.payload().unwrap_or_default();
        let trace = if is_reject {
            Trace::new(id, self.reject(&headers, value))
        } else {
            // What cannot be read agrees with nothing.
            let content = self.content(value).unwrap_or(0);
            let (decision, slot) = self.decision(topic, &headers).unwrap_or((0, NO_SLOT));
            Trace::decided(id, content, decision, slot)
        };
        self.sent.traces.push(trace);
    }

    /// A reject that was cut off is known by what its headers say of the whole.
    fn reject(&mut self, headers: &Headers, value: &[u8]) -> u64 {
        let reason = headers.text("windrow-reason").unwrap_or_default();
        let whole = headers.number::<u64>(room::BYTES).zip(headers.text(room::HASH));
        match whole.filter(|(bytes, _)| *bytes > value.len() as u64) {
            Some((bytes, hash)) => self.hasher.reject_of(reason, bytes, hash),
            None => self.hasher.reject(reason, value),
        }
    }

    fn content(&mut self, value: &[u8]) -> Option<u64> {
        let page: Page<'_> = serde_json::from_slice(value).ok()?;
        let texts = [&page.id, &page.url, &page.title, &page.keywords, &page.description];
        let value = |name: &String| page.kept.get(name).and_then(Option::as_deref).unwrap_or_default();
        let kept: Vec<&str> = self.kept.iter().map(value).collect();
        let content = Content {
            creation_time: page.creation_time.as_deref().and_then(clean::time),
            texts: texts.map(|text| text.as_deref().unwrap_or_default()),
            domain: page.domain.as_deref().unwrap_or_default(),
            kept: &kept,
        };
        Some(self.hasher.page_in(self.output.value, &content))
    }

    fn decision(&mut self, topic: &str, headers: &Headers) -> Option<(u32, i32)> {
        let slot: i32 = match &self.output.route {
            Route::Slots(prefix) => topic.strip_prefix(prefix.as_str())?.parse().ok()?,
            Route::Keyed(_) => headers.number("windrow-slot")?,
        };
        let decided = Decided {
            cluster: headers.number("windrow-cluster")?,
            slot: slot.into(),
            micro_cluster: headers.number("windrow-micro-cluster")?,
            novel: headers.text("windrow-novel")? == "1",
            score: headers.number("windrow-score")?,
        };
        Some((self.hasher.decision(&decided), slot))
    }
}

/// The error of an audit that is to hold topics against the Parquet, and has none.
pub(super) fn not_given() -> Error {
    Error::new(ErrorKind::Invalid, "E-KAFKA-NONE", "this pipeline wrote topics, and no broker is given")
        .hint("give --kafka HOST:PORT or --config FILE as for `windrow run`, or audit the Parquet alone with --output none")
}
