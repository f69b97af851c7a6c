//! The newest messages of a topic, to look at: nothing is committed, and no group is joined.
//!
//! Offsets are not messages: transactions leave markers, compaction leaves gaps. So each partition is read from some way before
//! its end, and once more from further back when that gave too few; only the newest are kept, in number and in bytes, so that
//! memory is bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use windrow_core::record::RejectReason;

use super::rights::{Need, On};
use super::{Broker, Found, PATIENCE, Watcher};
use crate::batch::{Quoting, RawBatch, RawRecord, Slice};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::nearest_of;
use crate::source::Form;

/// How long one wait for messages takes.
const STEP: Duration = Duration::from_millis(100);
/// How far before its end a partition is read first, in offsets for each message wanted: small transactions take two.
const FIRST_REACH: i64 = 2;
/// How much further it is read each time that was not enough.
const FURTHER: i64 = 16;

/// Bytes of values that are kept; larger messages make smaller samples.
const KEPT_BYTES: usize = 128 << 20;

/// The error for a topic whose values were written for a schema registry.
pub fn registry_prefix(topic: &str) -> Error {
    let message =
        format!("the messages of {topic} begin with the zero byte of a schema registry, and Avro or Protobuf is not read");
    Error::new(ErrorKind::Invalid, "E-KAFKA-REGISTRY", message)
        .hint("write them to another topic as JSON (a Kafka Connect converter or ksqlDB does that), and read that one. A few that strayed in: \
               delete up to behind them with kafka-delete-records.sh, and go on with --on-data-loss earliest")
}

fn missing(topic: &str, found: &Found) -> Error {
    let error = Error::new(ErrorKind::Kafka, "E-KAFKA-TOPIC", format!("there is no topic {topic}"));
    match nearest_of(topic, &found.topics.keys().map(String::as_str).collect::<Vec<_>>()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("is the name right? `windrow topics create` makes the topics of a pipeline"),
    }
}

/// Whether a value begins as a schema registry's serializers write it: no JSON and no CSV does.
pub fn has_registry_prefix(value: &[u8]) -> bool {
    value.first() == Some(&0)
}

/// Some messages of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Partitions that the topic has.
    pub partitions: usize,
    /// The messages, by partition and offset.
    pub messages: Vec<Sampled>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its value; none for a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Sampled {
    fn bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Vec::len)
    }
}

impl Sample {
    /// The messages as one batch. A record's offset is its message's index in [`Self::messages`].
    pub fn batch(&self, form: Form, max_record: u64) -> RawBatch {
        let limit = usize::try_from(max_record).unwrap_or(usize::MAX);
        let (mut bytes, mut records) = (Vec::new(), Vec::with_capacity(self.messages.len()));
        for (index, message) in self.messages.iter().enumerate() {
            let at = u32::try_from(bytes.len()).expect("a sample holds less than 4 GiB");
            let tombstone = RawRecord {
                start: at,
                end: at,
                offset: index as u64,
                quoting: Quoting::Plain,
                flaw: Some(RejectReason::Tombstone),
            };
            records
                .push(message.value.as_ref().map_or(tombstone, |value| form.record(value, bytes.len(), index as u64, limit)));
            bytes.extend_from_slice(message.value.as_deref().unwrap_or_default());
        }
        let slice = Slice { source: 0, from: 0, to: self.messages.len() as u64 };
        RawBatch { form: Arc::new(form), slice, bytes, records, beside: Vec::new() }
    }
}

/// The end of a partition.
#[derive(Debug)]
struct Tail {
    partition: i32,
    /// First offset there is, and the one after the last.
    low: i64,
    high: i64,
    /// Messages wanted of it.
    wanted: usize,
    /// Read from here.
    from: i64,
    found: VecDeque<Sampled>,
    /// Bytes of the values found, and how many there may be.
    bytes: usize,
    most_bytes: usize,
    /// There were more bytes than may be: what lies further back is not wanted.
    is_full: bool,
    is_done: bool,
}

impl Tail {
    fn new(partition: i32, low: i64, high: i64) -> Self {
        let (found, most_bytes) = (VecDeque::new(), KEPT_BYTES);
        Self { partition, low, high, wanted: 0, from: high, found, bytes: 0, most_bytes, is_full: false, is_done: true }
    }

    fn is_short(&self) -> bool {
        self.found.len() < self.wanted && self.from > self.low && !self.is_full
    }

    /// Begins anew, from so many offsets before the end.
    fn reach(&mut self, back: i64) {
        self.from = self.high.saturating_sub(back).max(self.low);
        self.found.clear();
        self.bytes = 0;
        self.is_done = false;
    }

    fn take(&mut self, message: Sampled) {
        self.is_done |= message.offset >= self.high - 1;
        if message.offset >= self.high {
            return; // written after we looked
        }
        self.bytes += message.bytes();
        self.found.push_back(message);
        while self.found.len() > self.wanted || self.bytes > self.most_bytes {
            self.is_full |= self.found.len() <= self.wanted;
            self.bytes -= self.found.pop_front().map_or(0, |oldest| oldest.bytes());
        }
    }
}

impl Broker {
    /// The newest messages of a topic, at most `most` of them, spread over its partitions; committed ones only.
    ///
    /// # Errors
    /// `E-KAFKA-TOPIC`: there is no such topic. `E-KAFKA-REGISTRY`: most values were written for a schema registry. `E-KAFKA-…`:
    /// the brokers refuse, or give nothing in time.
    pub fn sample(&self, topic: &str, most: usize, clock: &dyn Clock) -> Result<Sample> {
        let found = self.look()?;
        let Some(shape) = found.topics.get(topic) else {
            // Brokers do not list what a user may not see.
            self.topic(topic)?;
            return Err(missing(topic, &found));
        };
        let consumer = self.consumer(&[("auto.offset.reset", "earliest")])?;
        let sampling = Sampling { broker: self, consumer, topic, clock, until: clock.elapsed() + PATIENCE };
        let partitions = i32::try_from(shape.partitions).unwrap_or(i32::MAX);
        let mut tails = (0..partitions).map(|partition| sampling.tail(partition)).collect::<Result<Vec<_>>>()?;
        share(&mut tails, most);
        let n_wanted = tails.iter().filter(|tail| tail.wanted > 0).count().max(1);
        tails.iter_mut().for_each(|tail| tail.most_bytes = KEPT_BYTES / n_wanted);
        let mut reach = FIRST_REACH;
        while sampling.read(&mut tails, reach)? {
            reach = reach.saturating_mul(FURTHER);
        }
        let messages: Vec<Sampled> = tails.into_iter().flat_map(|tail| tail.found).collect();
        if is_of_registry(&messages) {
            return Err(registry_prefix(topic));
        }
        Ok(Sample { partitions: shape.partitions, messages })
    }
}

/// Whether most values were written for a schema registry; a few are strays.
fn is_of_registry(messages: &[Sampled]) -> bool {
    let values = || messages.iter().filter_map(|message| message.value.as_deref());
    2 * values().filter(|value| has_registry_prefix(value)).count() > values().count()
}

/// Gives each partition its share of `most`, as evenly as what they hold allows.
fn share(tails: &mut [Tail], most: usize) {
    let mut left = most;
    loop {
        let held = |tail: &Tail| usize::try_from(tail.high - tail.low).unwrap_or(0);
        let open = tails.iter().filter(|tail| tail.wanted < held(tail)).count();
        if open == 0 || left == 0 {
            return;
        }
        let each = (left / open).max(1);
        for tail in tails.iter_mut().filter(|tail| tail.wanted < held(tail)) {
            let more = each.min(left).min(held(tail) - tail.wanted);
            tail.wanted += more;
            left -= more;
        }
    }
}

/// Reads tails.
struct Sampling<'a> {
    broker: &'a Broker,
    consumer: BaseConsumer<Watcher>,
    topic: &'a str,
    clock: &'a dyn Clock,
    /// No longer than this.
    until: Duration,
}

impl Sampling<'_> {
    fn tail(&self, partition: i32) -> Result<Tail> {
        let found = self.consumer.fetch_watermarks(self.topic, partition, PATIENCE);
        let (low, high) = found.map_err(|error| self.broker.trouble(&error))?;
        Ok(Tail::new(partition, low, high))
    }

    /// Reads the tails that have too few messages from further back. False when there are none, or time is up.
    fn read(&self, tails: &mut [Tail], reach: i64) -> Result<bool> {
        let mut wanted = TopicPartitionList::new();
        for tail in tails.iter_mut().filter(|tail| tail.is_short()) {
            tail.reach(i64::try_from(tail.wanted).unwrap_or(i64::MAX).saturating_mul(reach));
            let added = wanted.add_partition_offset(self.topic, tail.partition, Offset::Offset(tail.from));
            added.map_err(|error| self.broker.trouble(&error))?;
        }
        if wanted.count() == 0 {
            return Ok(false);
        }
        self.consumer.assign(&wanted).map_err(|error| self.broker.trouble(&error))?;
        while tails.iter().any(|tail| !tail.is_done) {
            if self.clock.elapsed() > self.until {
                let is_something = tails.iter().any(|tail| !tail.found.is_empty());
                let late = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
                return if is_something { Ok(false) } else { Err(self.broker.trouble(&late)) };
            }
            self.poll(tails)?;
        }
        Ok(true)
    }

    fn poll(&self, tails: &mut [Tail]) -> Result<()> {
        match self.consumer.poll(STEP) {
            Some(Ok(message)) => {
                if let Some(tail) = tails.iter_mut().find(|tail| tail.partition == message.partition()) {
                    let value = message.payload().map(<[u8]>::to_vec);
                    tail.take(Sampled { partition: tail.partition, offset: message.offset(), value });
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                tails.iter_mut().filter(|tail| tail.partition == partition).for_each(|tail| tail.is_done = true);
            }
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                return Err(self.broker.watcher.trouble(&error, &[Need::new("Read", On::Topic(self.topic))]));
            }
            // Of the group, which we do not need; or a broker that is away for a moment.
            Some(Err(_)) | None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(held: &[i64], most: usize) -> Vec<usize> {
        let mut tails: Vec<Tail> = held.iter().map(|held| Tail::new(0, 10, 10 + held)).collect();
        share(&mut tails, most);
        tails.iter().map(|tail| tail.wanted).collect()
    }

    #[test]
    fn every_partition_gives_its_share() {
        assert_eq!(shares(&[50, 50, 50], 100), [34, 33, 33]);
        assert_eq!(shares(&[5, 0, 500], 100), [5, 0, 95]);
        assert_eq!(shares(&[5, 3], 100), [5, 3]);
        assert_eq!(shares(&[9, 9, 9], 2), [1, 1, 0]);
        assert_eq!(shares(&[], 2), [0_usize; 0]);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let mut tail = Tail { wanted: 2, is_done: false, ..Tail::new(0, 0, 5) };
        (1..7).filter(|offset| offset % 2 == 1).for_each(|offset| {
            assert!(!tail.is_done);
            tail.take(Sampled { partition: 0, offset, value: None });
        });
        assert!(tail.is_done);
        assert_eq!(tail.found.iter().map(|message| message.offset).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn large_messages_make_a_smaller_sample() {
        let mut tail = Tail { wanted: 3, most_bytes: 10, ..Tail::new(0, 0, 9) };
        let mut take = |offset, len| {
            tail.take(Sampled { partition: 0, offset, value: Some(vec![b'x'; len]) });
            let kept: Vec<i64> = tail.found.iter().map(|message| message.offset).collect();
            (kept, tail.bytes, tail.is_full)
        };
        assert_eq!([take(0, 4), take(1, 6)], [(vec![0], 4, false), (vec![0, 1], 10, false)]);
        assert_eq!([take(2, 0), take(3, 1)], [(vec![0, 1, 2], 10, false), (vec![1, 2, 3], 7, false)]);
        assert_eq!([take(4, 4), take(5, 6)], [(vec![2, 3, 4], 5, false), (vec![4, 5], 10, true)]);
        assert_eq!(take(6, 11), (vec![], 0, true));
    }

    #[test]
    fn a_registry_wrote_most_of_a_sample_or_none() {
        let sample = |values: &[Option<&str>]| -> Vec<Sampled> {
            let sampled = |value: &Option<&str>| Sampled { partition: 0, offset: 0, value: value.map(Into::into) };
            values.iter().map(sampled).collect()
        };
        assert!(is_of_registry(&sample(&[Some("\0x"), Some("\0y"), None, None, Some("{}")])));
        assert!(!is_of_registry(&sample(&[Some("\0x"), Some("{}")])));
        assert!(!is_of_registry(&sample(&[None])) && !is_of_registry(&[]));
    }

    #[test]
    fn a_sample_is_a_batch() {
        let sampled = |value: Option<&str>| Sampled { partition: 3, offset: 4, value: value.map(Into::into) };
        let sample = Sample { partitions: 4, messages: vec![sampled(Some("{}")), sampled(None), sampled(Some("[1]"))] };
        let form = Form::of_messages(crate::source::MessageFormat::Json, &crate::source::ColumnMap::default()).unwrap();
        let batch = sample.batch(form, 2);
        let shown: Vec<_> = batch.records.iter().map(|record| (record.offset, batch.raw(record), record.flaw)).collect();
        let (empty, tombstone) = (&b""[..], Some(RejectReason::Tombstone));
        assert_eq!(shown, [(0, &b"{}"[..], None), (1, empty, tombstone), (2, &b"[1]"[..], Some(RejectReason::TooLong))]);
    }
}
