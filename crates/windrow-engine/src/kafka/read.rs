//! Topics as anybody may read them: committed messages only, no group, nothing kept.
//!
//! ```text
//! names ── look ──> parts: one a partition, with the offsets that it holds
//! windows of parts ── assign ──> a queue for each ──> Reader::round, for as long as somebody wants
//! ```
//!
//! Each partition has a queue of its own because the client tells of the end of a partition without naming its topic. What the client
//! put into the common queue before a partition had its own cannot be told apart either: such partitions are sent back to where they are.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use rustc_hash::FxHashMap;
use windrow_core::record::Micros;

use super::ends::{self, Place};
use super::{Broker, PATIENCE, Watcher, headers};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::run::Control;
use crate::settings::nearest_of;

/// How often somebody who reads on looks for partitions and topics that were added, and how long an answer may take.
const INTERVAL: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(1);
/// How long we wait when no partition has anything.
const STEP: Duration = Duration::from_millis(20);
/// Messages taken of one partition before the next has its turn.
const TURN: usize = 1_000;
/// Bytes that the client may hold ready, over all partitions and for one.
const READY_BYTES: usize = 64 << 20;
const READY_OF_ONE: (usize, usize) = (256 << 10, 8 << 20);

/// One partition of one of the topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The topic, by its place among those asked for.
    pub topic: usize,
    /// The partition.
    pub partition: i32,
    /// First offset that it holds.
    pub low: i64,
    /// The one behind the last that a reader of committed messages may see.
    pub high: i64,
    /// Offsets behind that, which open transactions hide.
    pub hidden: i64,
}

/// Offsets of a part, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) part: usize,
    pub(crate) from: i64,
    /// Behind the last one wanted.
    pub(crate) to: i64,
}

/// A window that is being read.
struct Open {
    part: usize,
    queue: PartitionQueue<Watcher>,
    next: i64,
    to: i64,
    is_done: bool,
}

/// What somebody does with a message of a part; true when he has seen enough of the part.
pub(crate) type Take<'t> = &'t mut dyn FnMut(usize, &BorrowedMessage<'_>) -> bool;

/// Reads some topics.
pub(crate) struct Reader<'a> {
    broker: &'a Broker,
    consumer: Arc<BaseConsumer<Watcher>>,
    pub(crate) topics: Vec<String>,
    pub(crate) parts: Vec<Part>,
    /// What open transactions hide, in a sentence.
    pub(crate) hidden: Option<String>,
    open: Vec<Open>,
    /// Topics that were asked for, those too that are not there.
    wanted: Vec<String>,
    /// When they are looked at again.
    look_at: Duration,
}

impl<'a> Reader<'a> {
    /// A reader of those of these topics that are there, with all that was committed when it was asked for; and the others. Told are
    /// open transactions, which are waited for some seconds.
    ///
    /// # Errors
    /// `E-KAFKA-TOPIC`: none is there. `E-KAFKA-…`: the brokers refuse.
    pub(crate) fn open(broker: &'a Broker, wanted: &[String], talk: &mut dyn FnMut(&str)) -> Result<(Self, Vec<String>)> {
        let found = broker.look()?;
        let (topics, missing): (Vec<String>, Vec<String>) =
            wanted.iter().cloned().partition(|topic| found.topics.contains_key(topic));
        if topics.is_empty() {
            return Err(none_there(broker, wanted, &found.topics.keys().map(String::as_str).collect::<Vec<_>>())?);
        }
        let places: Vec<(usize, i32)> = topics
            .iter()
            .enumerate()
            .flat_map(|(at, topic)| (0..number(found.topics[topic].partitions)).map(move |partition| (at, partition)))
            .collect();
        let ready = (READY_BYTES / places.len().max(1)).clamp(READY_OF_ONE.0, READY_OF_ONE.1) >> 10;
        let consumer = broker.consumer(&[
            ("auto.offset.reset", "earliest"),
            ("queued.max.messages.kbytes", &ready.to_string()),
            ("fetch.wait.max.ms", "100"),
        ]);
        let consumer = Arc::new(consumer?);
        let (parts, open, look_at) = (Vec::new(), Vec::new(), Duration::ZERO);
        let mut reader = Self { broker, consumer, topics, parts, hidden: None, open, wanted: wanted.to_vec(), look_at };
        reader.ranges(&places, talk)?;
        Ok((reader, missing))
    }

    /// Asks for the offsets that partitions hold, of all at once.
    fn ranges(&mut self, parts: &[(usize, i32)], talk: &mut dyn FnMut(&str)) -> Result<()> {
        let places: Vec<Place<'_>> = parts.iter().map(|&(topic, partition)| (self.topics[topic].as_str(), partition)).collect();
        let ends = self.broker.settled(&self.consumer, &places, talk)?;
        let lows = self.broker.ends(&self.consumer, &places, Offset::Beginning)?;
        let hidden = ends::hidden(&places, &ends);
        if let Some(hidden) = &hidden {
            talk(hidden);
        }
        let found = parts.iter().zip(lows).zip(ends.stable.iter().zip(&ends.hidden));
        self.parts = found
            .map(|((&(topic, partition), low), (&high, &hidden))| Part { topic, partition, low, high: high.max(low), hidden })
            .collect();
        self.hidden = hidden;
        Ok(())
    }

    /// Begins to read windows, in place of whatever was read before.
    pub(crate) fn begin(&mut self, windows: &[Window]) -> Result<()> {
        self.open.clear();
        let mut wanted = TopicPartitionList::with_capacity(windows.len());
        for window in windows.iter().filter(|window| window.from < window.to) {
            let part = &self.parts[window.part];
            let added = wanted.add_partition_offset(&self.topics[part.topic], part.partition, Offset::Offset(window.from));
            added.map_err(|error| self.trouble(&error, part.topic))?;
        }
        self.consumer.assign(&wanted).map_err(|error| self.trouble(&error, 0))?;
        for window in windows.iter().filter(|window| window.from < window.to) {
            let part = &self.parts[window.part];
            let queue = self.consumer.split_partition_queue(&self.topics[part.topic], part.partition);
            let queue = queue.ok_or_else(no_queue)?;
            self.open.push(Open { part: window.part, queue, next: window.from, to: window.to, is_done: false });
        }
        Ok(())
    }

    /// Looks now and then for partitions and topics that were added, while others are read on: those that are to be followed, by the places
    /// of their topics, are new parts, and read from their first message. Brokers that do not answer are asked again later.
    pub(crate) fn look_again(&mut self, clock: &dyn Clock, is_followed: &dyn Fn(usize) -> bool) -> Result<()> {
        if clock.elapsed() < self.look_at {
            return Ok(());
        }
        self.look_at = clock.elapsed() + INTERVAL;
        let Ok(metadata) = self.consumer.fetch_metadata(None, ANSWER) else { return Ok(()) };
        let mut added = TopicPartitionList::new();
        for found in metadata.topics() {
            if !self.wanted.iter().any(|wanted| wanted == found.name()) {
                continue;
            }
            let known = self.topics.iter().position(|topic| topic == found.name());
            let topic = known.unwrap_or(self.topics.len());
            if !is_followed(topic) {
                continue;
            }
            if known.is_none() {
                self.topics.push(found.name().to_owned());
            }
            for partition in 0..number(found.partitions().len()) {
                if !self.parts.iter().any(|part| (part.topic, part.partition) == (topic, partition)) {
                    self.follow_new(topic, partition, &mut added)?;
                }
            }
        }
        // Behind the queues: what is fetched before a partition has its own would come by the common one.
        if added.count() > 0 {
            self.consumer.incremental_assign(&added).map_err(|error| self.trouble(&error, 0))?;
        }
        Ok(())
    }

    fn follow_new(&mut self, topic: usize, partition: i32, added: &mut TopicPartitionList) -> Result<()> {
        let name = self.topics[topic].as_str();
        let asked = added.add_partition_offset(name, partition, Offset::Beginning);
        asked.map_err(|error| self.trouble(&error, topic))?;
        let queue = self.consumer.split_partition_queue(name, partition).ok_or_else(no_queue)?;
        self.open.push(Open { part: self.parts.len(), queue, next: 0, to: i64::MAX, is_done: false });
        self.parts.push(Part { topic, partition, low: 0, high: 0, hidden: 0 });
        Ok(())
    }

    /// Reads windows through. False when somebody wanted to stop.
    pub(crate) fn read(
        &mut self,
        windows: &[Window],
        (clock, control): (&dyn Clock, &Control),
        take: Take<'_>,
    ) -> Result<bool> {
        self.begin(windows)?;
        let mut last = clock.elapsed();
        while self.open.iter().any(|open| !open.is_done) {
            if control.asked().is_some() {
                return Ok(false);
            }
            if self.round(take)? {
                last = clock.elapsed();
            } else if clock.elapsed() > last + PATIENCE {
                return Err(self.broker.trouble(&KafkaError::MessageConsumption(Code::OperationTimedOut)));
            }
        }
        Ok(true)
    }

    /// Hands on what is there now, and waits a little when nothing is. Whether something came.
    pub(crate) fn round(&mut self, take: Take<'_>) -> Result<bool> {
        let mut came = false;
        for at in 0..self.open.len() {
            for _ in 0..TURN {
                let open = &mut self.open[at];
                if open.is_done {
                    break;
                }
                match open.queue.poll(Duration::ZERO) {
                    None => break,
                    Some(Ok(message)) => handed(&message, open.part, (&mut open.next, open.to, &mut open.is_done), take),
                    Some(Err(KafkaError::PartitionEOF(_))) => open.is_done = open.to <= self.parts[open.part].high,
                    Some(Err(error)) => self.minded(&error, at)?,
                }
                came = true;
            }
        }
        let wait = if came { Duration::ZERO } else { STEP };
        Ok(self.common(wait, take)? || came)
    }

    /// Takes what stands in the common queue.
    fn common(&mut self, wait: Duration, take: Take<'_>) -> Result<bool> {
        let Self { consumer, open, topics, parts, broker, .. } = self;
        match consumer.poll(wait) {
            None => return Ok(false),
            Some(Ok(message)) => {
                let is_of = |open: &&mut Open| {
                    let part = &parts[open.part];
                    topics[part.topic] == message.topic() && part.partition == message.partition()
                };
                if let Some(open) = open.iter_mut().find(is_of) {
                    handed(&message, open.part, (&mut open.next, open.to, &mut open.is_done), take);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                let unsure = open.iter().filter(|open| !open.is_done && parts[open.part].partition == partition);
                for open in unsure {
                    let topic = &topics[parts[open.part].topic];
                    let sent = consumer.seek(topic, partition, Offset::Offset(open.next), PATIENCE);
                    sent.map_err(|error| broker.trouble(&error))?;
                }
            }
            Some(Err(error)) => self.minded(&error, 0)?,
        }
        Ok(true)
    }

    /// Most errors pass: the client connects again by itself.
    fn minded(&self, error: &KafkaError, at: usize) -> Result<()> {
        let topic = self.open.get(at).map_or(0, |open| self.parts[open.part].topic);
        match error.rdkafka_error_code() {
            Some(Code::TopicAuthorizationFailed | Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                Err(self.trouble(error, topic))
            }
            _ => Ok(()),
        }
    }

    fn trouble(&self, error: &KafkaError, topic: usize) -> Error {
        self.broker.trouble_of(error, &self.topics[topic])
    }
}

fn no_queue() -> Error {
    Error::new(ErrorKind::Internal, "E-KAFKA", "the client gives no queue")
}

/// Hands a message of a window on, unless it was handed on already.
fn handed(message: &BorrowedMessage<'_>, part: usize, (next, to, is_done): (&mut i64, i64, &mut bool), take: Take<'_>) {
    let offset = message.offset();
    if *is_done || offset < *next {
        return;
    }
    *next = offset + 1;
    *is_done = offset + 1 >= to;
    if offset < to && take(part, message) {
        *is_done = true;
    }
}

fn number(partitions: usize) -> i32 {
    i32::try_from(partitions).unwrap_or(i32::MAX)
}

fn none_there(broker: &Broker, wanted: &[String], found: &[&str]) -> Result<Error> {
    let Some(first) = wanted.first() else {
        return Ok(Error::new(ErrorKind::Invalid, "E-KAFKA-TOPIC", "no topic is asked for"));
    };
    // Brokers do not list topics that a user may not see.
    broker.topic(first)?;
    let more = if wanted.len() > 1 { format!(" and none of the {} others", wanted.len() - 1) } else { String::new() };
    let error = Error::new(ErrorKind::Kafka, "E-KAFKA-TOPIC", format!("there is no topic {first}{more}"));
    let near = if wanted.len() == 1 { nearest_of(first, found) } else { None };
    Ok(match near {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("are broker and names right? `windrow topics create` makes the topics of a pipeline"),
    })
}

/// The time of a message in the broker's own words.
pub(crate) fn time(message: &BorrowedMessage<'_>) -> Option<Micros> {
    message.timestamp().to_millis().map(|millis| millis.saturating_mul(1_000))
}

/// What stands in the headers of our messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(FxHashMap<String, Vec<u8>>);

impl Headers {
    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Self {
        let mut found = Self::default();
        headers::each(message, |name, value| drop(found.0.insert(name.into_owned(), value.unwrap_or_default().to_vec())));
        found
    }

    /// The text of a header; nothing when it is not there, or no UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.0.get(name)?).ok()
    }

    /// The number of a header.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl FromIterator<(String, Vec<u8>)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<'n> FromIterator<(&'n str, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'n str, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())).collect())
    }
}

/// What a message in a topic of clusters is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A page, of this cluster if its writer says so.
    Page(Option<u32>),
    /// The announcement that this cluster has the slot now.
    Owner(Option<u32>),
    /// Nothing of a page: no value.
    Other,
}

impl Kind {
    /// By its headers, and whether it has a value: what writers without our headers send is a page.
    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Self {
        let (mut cluster, mut control) = (None, None);
        headers::each(message, |name, value| match &*name {
            "windrow-cluster" => cluster = value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()),
            "windrow-control" => control = value,
            _ => {}
        });
        match control {
            Some(b"owner") => Self::Owner(cluster),
            None if message.payload().is_some() => Self::Page(cluster),
            _ => Self::Other,
        }
    }
}
