//! A topic as a source: each partition is one, and a message's offset is its record's.
//!
//! ```text
//! positions ── assign ──> one consumer ── a queue for each partition ──> Partition::next, never waiting
//!                                             └── rings the bell when it is no longer empty
//! ```
//!
//! Partitions are assigned, not shared out by a group: one process learns at a time, so nobody rebalances. Positions come from our own
//! commits, never from a broker's offsets. The client prefetches within a bound for each partition. Partitions that are added, and a topic
//! that is made anew, are seen by [`watch`].

pub(super) mod watch;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use windrow_core::record::{Beside, Micros};

use super::{ColumnMap, Form, Limits, MessageFormat, PREFETCHED, Positions, Source, SourcePosition, Waiting};
use crate::batch::{RawBatch, Slice};
use crate::error::{Error, ErrorKind, Result};
use crate::kafka::operations::Identity;
use crate::kafka::{Broker, Watcher, has_registry_prefix, headers, registry_prefix};
use crate::settings::{ClientKeys, show_size, words};

/// What the name of such a source begins with: `kafka:TOPIC/PARTITION`.
pub const PREFIX: &str = "kafka:";

/// Where a topic is read from that was never read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From the oldest message that is there.
    Earliest,
    /// From whatever comes next.
    Latest,
    /// From the first message not older than this.
    Time(Micros),
}

impl Start {
    /// What `earliest`, `latest` or a time means.
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            _ => windrow_core::clean::time(text).map(Self::Time),
        }
    }
}

/// What to do when messages that were never read are gone from the topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDataLoss {
    /// Stop and say so.
    #[default]
    Fail,
    /// Go on with the oldest message that is there.
    Earliest,
    /// Go on with whatever comes next.
    Latest,
}

words!(OnDataLoss { Fail = "fail", Earliest = "earliest", Latest = "latest" });

/// A topic to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInput {
    /// How its brokers are reached.
    pub keys: ClientKeys,
    /// Its name.
    pub topic: String,
    /// How its messages are written.
    pub format: MessageFormat,
    /// Where to begin; asked for when the topic was never read.
    pub start: Option<Start>,
    /// What to do when messages are gone.
    pub on_data_loss: OnDataLoss,
    /// End where the topic ends, instead of waiting for more.
    pub until_end: bool,
    /// Whether it is read again, up to where it was read before: nothing is decided of it any more.
    pub is_again: bool,
}

impl TopicInput {
    /// Its name among the inputs.
    pub fn name(&self) -> String {
        format!("{PREFIX}{}", self.topic)
    }
}

/// Partitions by the ordinals of their sources.
type Parts = Vec<(u32, Box<dyn Source>)>;

/// What [`open`] gives: the partitions, what they wait for, and what to keep an eye on.
pub(super) type Open = (Parts, Waiting, watch::Opened);

/// Opens all partitions at their positions, and enters those that are new.
pub(super) fn open(
    input: &TopicInput,
    columns: &ColumnMap,
    limits: Limits,
    positions: &mut Positions,
    warnings: &mut Vec<String>,
) -> Result<Open> {
    let form = Arc::new(Form::of_messages(input.format, columns)?);
    let broker = Broker::new(&input.keys)?;
    let found = broker.look()?;
    let Some(shape) = found.topics.get(&input.topic).copied() else {
        // Brokers do not list what a user may not see.
        broker.topic(&input.topic)?;
        let error = Error::new(ErrorKind::Kafka, "E-KAFKA-TOPIC", format!("there is no topic {}", input.topic));
        return Err(error.hint(format!("make it: windrow topics create --from-topic {}", input.topic)));
    };
    let identity = broker.identity(&input.topic, shape.partitions);
    let known = enter(input, &broker, identity, positions, warnings)?;
    for (partition, ordinal) in known.iter().enumerate() {
        check_range(input, &broker, partition, &mut positions.sources[*ordinal], warnings)?;
    }
    warnings.extend(too_many(&input.topic, identity.partitions, limits.queue_bytes as u64 * PREFETCHED));
    let consumer = Arc::new(consumer(&broker, identity.partitions, input, limits)?);
    let mut assignment = TopicPartitionList::new();
    for (partition, ordinal) in known.iter().enumerate() {
        let offset = Offset::Offset(positions.sources[*ordinal].offset.cast_signed());
        assignment.add_partition_offset(&input.topic, number(partition), offset).map_err(|error| broker.trouble(&error))?;
    }
    let (bell, waiting) = Waiting::bell();
    let mut parts: Parts = Vec::new();
    for (partition, ordinal) in known.into_iter().enumerate() {
        let mut queue = consumer.split_partition_queue(&input.topic, number(partition)).ok_or_else(|| no_queue(input))?;
        let bell = bell.clone();
        // A bell that rings already rings enough.
        queue.set_nonempty_callback(move || {
            let _ = bell.try_send(());
        });
        let at = positions.sources[ordinal].offset;
        let (consumer, form, topic) = (Arc::clone(&consumer), Arc::clone(&form), input.topic.clone());
        let ordinal = u32::try_from(ordinal).expect("fewer than 2^32 sources");
        let cursor = Cursor { topic, partition, ordinal, at, handed: at, is_again: input.is_again, held: Vec::new() };
        parts.push((ordinal, Box::new(Partition { consumer, queue, form, limits, cursor, failed: None, has_ended: false })));
    }
    // Behind the queues: what is fetched before a partition has its own would come by the common one.
    consumer.assign(&assignment).map_err(|error| broker.trouble(&error))?;
    let watcher = broker.watcher.clone();
    Ok((parts, waiting, watch::Opened { consumer, topic: input.topic.clone(), identity, watcher }))
}

/// How long the client of a partition may look away before its wait is over.
const FETCH_WAIT: &str = "50";
/// How often the client says how it stands with its brokers: the watcher hears it.
const STATISTICS: &str = "5000";

fn consumer(broker: &Broker, n_partitions: usize, input: &TopicInput, limits: Limits) -> Result<BaseConsumer<Watcher>> {
    // For each partition: the client's default of 64 MiB would be more than all the memory for 16 of them.
    let queued = (limits.queue_bytes / n_partitions.max(1)).clamp(LEAST_QUEUE, 64 << 20) >> 10;
    let fetch_wait = broker.config.get("fetch.wait.max.ms").unwrap_or(FETCH_WAIT);
    broker.consumer(&[
        ("queued.max.messages.kbytes", &queued.to_string()),
        ("enable.partition.eof", if input.until_end { "true" } else { "false" }),
        ("fetch.wait.max.ms", fetch_wait),
        ("statistics.interval.ms", STATISTICS),
    ])
}

/// The client holds so much of each partition ready at least: a fetch brings as much.
const LEAST_QUEUE: usize = 1 << 20;
/// Memory that should be there for each partition: what is held ready is an eighth of it then, four times what it should be.
const FOR_A_PARTITION: u64 = 8 * LEAST_QUEUE as u64;

/// What is to be said where partitions are too many for the memory. A run takes more then, and goes on.
pub(crate) fn too_many(topic: &str, n_partitions: usize, memory: u64) -> Option<String> {
    let wanted = FOR_A_PARTITION * n_partitions as u64;
    (memory < wanted).then(|| {
        format!(
            "{topic} has {n_partitions} partitions, of each of which the client holds 1 MB ready: limits.memory is {}, and should be {} at least",
            show_size(memory),
            show_size(wanted)
        )
    })
}

/// Which source each partition is; partitions that were never seen become new sources, and so do those of another topic with this name: ids
/// of records are never given twice.
fn enter(
    input: &TopicInput,
    broker: &Broker,
    identity: Identity,
    positions: &mut Positions,
    warnings: &mut Vec<String>,
) -> Result<Vec<usize>> {
    let cluster = broker.cluster_id()?;
    let names: Vec<_> = (0..identity.partitions).map(|partition| format!("{}/{partition}", input.name())).collect();
    let mut known: Vec<_> =
        names.iter().map(|name| positions.sources.iter().rposition(|source| source.name == *name)).collect();
    for index in known.iter().flatten() {
        same_cluster(&positions.sources[*index], cluster, input)?;
    }
    let is_new_topic = !positions.sources.iter().any(|source| source.name.starts_with(&format!("{}/", input.name())));
    let is_another = known.iter().flatten().any(|index| watch::is_another(positions.sources[*index].inode, identity.id));
    if is_another {
        known.fill(None);
        warnings.push(format!("{} was made anew: goes on with the new one, as --on-data-loss says", input.topic));
    }
    let starts = match (is_another, input.on_data_loss) {
        (true, OnDataLoss::Fail) => return Err(watch::made_anew(&input.topic)),
        (true, OnDataLoss::Earliest) => Some(starts(Start::Earliest, input, broker, identity.partitions)?),
        (true, OnDataLoss::Latest) => Some(starts(Start::Latest, input, broker, identity.partitions)?),
        (false, _) if is_new_topic => Some(first_starts(input, broker, identity.partitions)?),
        (false, _) => None,
    };
    let mut sources = Vec::with_capacity(names.len());
    for (partition, (name, known)) in names.into_iter().zip(known).enumerate() {
        if let Some(index) = known {
            if identity.id != 0 {
                positions.sources[index].inode = identity.id;
            }
            sources.push(index);
            continue;
        }
        // A partition that was added to a known topic is new from its first message on.
        let offset = match &starts {
            Some(starts) => starts[partition],
            None => broker.range(&input.topic, partition)?.0,
        };
        let (device, inode, start) = (cluster, identity.id, offset);
        positions.sources.push(SourcePosition { device, inode, start, offset, ..SourcePosition::of(name) });
        sources.push(positions.sources.len() - 1);
    }
    Ok(sources)
}

fn first_starts(input: &TopicInput, broker: &Broker, n_partitions: usize) -> Result<Vec<u64>> {
    let Some(start) = input.start else {
        let message = format!("{} was never read: say where to begin", input.topic);
        return Err(Error::new(ErrorKind::Invalid, "E-KAFKA-FROM", message)
            .hint("give --from earliest (all that is there), --from latest (what comes next) or --from 2026-01-31T12:00:00Z"));
    };
    starts(start, input, broker, n_partitions)
}

fn starts(start: Start, input: &TopicInput, broker: &Broker, n_partitions: usize) -> Result<Vec<u64>> {
    (0..n_partitions)
        .map(|partition| {
            let (low, high) = broker.range(&input.topic, partition)?;
            match start {
                Start::Earliest => Ok(low),
                Start::Latest => Ok(high),
                // Brokers know no time before 1970.
                Start::Time(time) if time < 0 => Ok(low),
                Start::Time(time) => Ok(broker.first_since(&input.topic, partition, time)?.unwrap_or(high)),
            }
        })
        .collect()
}

fn same_cluster(known: &SourcePosition, cluster: u64, input: &TopicInput) -> Result<()> {
    if known.device == cluster {
        return Ok(());
    }
    let message =
        format!("the brokers are not those that this state has read {} from: their cluster has another id", input.topic);
    Err(Error::new(ErrorKind::Kafka, "E-KAFKA-CLUSTER", message)
        .hint("is bootstrap.servers right? To read the topic of another cluster, give a new --out folder"))
}

/// Whether the topic still holds what comes next.
fn check_range(
    input: &TopicInput,
    broker: &Broker,
    partition: usize,
    source: &mut SourcePosition,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let (low, high) = broker.range(&input.topic, partition)?;
    if (low..=high).contains(&source.offset) {
        return Ok(());
    }
    let told = format!(
        "{} partition {partition} was read up to offset {}, and holds offsets {low} to {high} now",
        input.topic, source.offset
    );
    let to = match input.on_data_loss {
        OnDataLoss::Earliest => low,
        OnDataLoss::Latest => high,
        OnDataLoss::Fail => {
            let why = if source.offset < low {
                "messages were deleted before they were read: its retention is too short"
            } else {
                "it was made anew, or its brokers lost messages"
            };
            return Err(Error::new(ErrorKind::Kafka, "E-KAFKA-GONE", told).cause(why).hint(
                "to go on without them, give --on-data-loss earliest (with what is there) or latest (with what comes next)",
            ));
        }
    };
    warnings.push(format!("{told}: goes on at {to}, as --on-data-loss says"));
    source.offset = to;
    Ok(())
}

fn no_queue(input: &TopicInput) -> Error {
    Error::new(ErrorKind::Internal, "E-KAFKA", format!("the client gives no queue for {}", input.topic))
}

fn number(partition: usize) -> i32 {
    i32::try_from(partition).expect("a topic has fewer than 2^31 partitions")
}

/// So many messages in a row, all as a schema registry's look, and the topic is taken for one of those. Fewer are strays: rejects like
/// other garbage.
const PREFIXED: usize = 10;

/// One partition, from an offset on.
struct Partition {
    consumer: Arc<BaseConsumer<Watcher>>,
    queue: PartitionQueue<Watcher>,
    form: Arc<Form>,
    limits: Limits,
    cursor: Cursor,
    /// What ends it, behind what was taken before.
    failed: Option<Error>,
    /// Whether its end was met, where that is an end.
    has_ended: bool,
}

/// Where in a partition we are.
struct Cursor {
    topic: String,
    partition: usize,
    ordinal: u32,
    /// The next offset.
    at: u64,
    /// Everything before was handed out.
    handed: u64,
    /// Whether what is read was read before: what its messages are was decided then.
    is_again: bool,
    /// Messages in a row that begin with byte 0: not handed out before it is known what they are, so that no commit comes between them.
    held: Vec<Message>,
}

/// A message that is put aside.
struct Message {
    offset: u64,
    value: Vec<u8>,
    beside: Option<Beside>,
}

impl Cursor {
    /// Takes a message: into the batch, or aside while it may be one of a schema registry's. One that was taken already is passed over.
    fn take(
        &mut self,
        offset: u64,
        value: Option<&[u8]>,
        beside: Option<Beside>,
        longest: usize,
        batch: &mut RawBatch,
    ) -> Result<()> {
        if offset < self.at {
            return Ok(());
        }
        self.at = offset + 1;
        match value.filter(|value| has_registry_prefix(value) && !self.is_again) {
            Some(value) => self.held.push(Message { offset, value: value.to_vec(), beside }),
            None => {
                self.release(longest, batch);
                batch.push_message(longest, offset, value, beside);
            }
        }
        if self.held.len() < PREFIXED { Ok(()) } else { Err(self.of_registry()) }
    }

    /// What was put aside are strays.
    fn release(&mut self, longest: usize, batch: &mut RawBatch) {
        for Message { offset, value, beside } in self.held.drain(..) {
            batch.push_message(longest, offset, Some(&value), beside);
        }
    }

    fn of_registry(&self) -> Error {
        let first = self.held.first().map_or(self.at, |message| message.offset);
        let place = format!("partition {}, from offset {first} on: {PREFIXED} messages in a row", self.partition);
        registry_prefix(&self.topic).cause(place)
    }

    /// What the client says besides messages. Most of it passes: the client connects again by itself.
    fn event(&self, error: &KafkaError) -> Result<()> {
        let gone = |why: &str| {
            let message = format!("{} partition {} cannot be read on from offset {}", self.topic, self.partition, self.at);
            Error::new(ErrorKind::Kafka, "E-KAFKA-GONE", message).cause(why)
        };
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                Err(gone("it does not hold that offset any more")
                    .hint("start again: it says what is there, and what can be done"))
            }
            // That there is no such topic passes too, when a broker says so that has just started. Whether it is gone, the watch finds out.
            Some(Code::TopicAuthorizationFailed | Code::Fatal) => Err(gone(&error.to_string())),
            _ => Ok(()),
        }
    }
}

impl Source for Partition {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        let Self { consumer, queue, form, limits, cursor, failed, has_ended } = self;
        if let Some(error) = failed.take() {
            return Err(error);
        }
        let slice = Slice { source: cursor.ordinal, from: cursor.handed, to: cursor.handed };
        let mut batch = RawBatch::of_messages(Arc::clone(form), slice);
        // What waits in the consumer's own queue are errors. A message there came before the partition had its queue.
        match consumer.poll(Duration::ZERO) {
            None => {}
            Some(Err(error)) => cursor.event(&error)?,
            Some(Ok(_)) => return Err(mixed_up(&cursor.topic)),
        }
        while batch.records.len() < limits.batch_rows && batch.bytes.len() < limits.batch_bytes {
            let done = match queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    let offset = message.offset().cast_unsigned();
                    cursor.take(offset, message.payload(), beside(&message), limits.record_bytes, &mut batch)
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    cursor.release(limits.record_bytes, &mut batch);
                    *has_ended = true;
                    break;
                }
                Some(Err(error)) => cursor.event(&error),
            };
            if let Err(error) = done {
                *failed = Some(error);
                break;
            }
        }
        cursor.handed = batch.slice.to;
        match failed.take() {
            Some(error) if batch.is_nothing() => Err(error),
            error => {
                *failed = error;
                Ok(if *has_ended && batch.is_nothing() { None } else { Some(batch) })
            }
        }
    }
}

/// Key and headers of a message, if it has any.
fn beside(message: &BorrowedMessage<'_>) -> Option<Beside> {
    let mut all = Vec::new();
    headers::each(message, |name, value| all.push((name.into_owned(), value.map(<[u8]>::to_vec))));
    let key = message.key().map(<[u8]>::to_vec);
    (key.is_some() || !all.is_empty()).then_some(Beside { key, headers: all })
}

fn mixed_up(topic: &str) -> Error {
    let message = format!("the client mixed up the partitions of {topic} as it began to read");
    Error::new(ErrorKind::Kafka, "E-KAFKA-AGAIN", message).hint("start again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a partition's messages: how many are taken, and how many of them are put aside, or the error and how many were
    /// taken before it.
    fn taken(is_again: bool, messages: &[&[u8]]) -> std::result::Result<(usize, usize), (&'static str, usize)> {
        let form = Form::of_messages(MessageFormat::Json, &ColumnMap::default()).unwrap();
        let slice = Slice { source: 0, from: 7, to: 7 };
        let mut batch = RawBatch::of_messages(Arc::new(form), slice);
        let (topic, held) = ("pages".into(), Vec::new());
        let mut cursor = Cursor { topic, partition: 0, ordinal: 0, at: 7, handed: 7, is_again, held };
        for (offset, message) in (7..).zip(messages) {
            let done = cursor.take(offset, Some(message), None, 1 << 20, &mut batch);
            done.map_err(|error| (error.code, batch.records.len()))?;
        }
        let last = batch.records.last().map_or(7, |record| record.offset + 1);
        assert_eq!(batch.slice.to, last, "a commit comes before what is put aside");
        Ok((batch.records.len(), cursor.held.len()))
    }

    #[test]
    fn memory_that_partitions_leave_no_room_in_is_told() {
        assert_eq!(too_many("pages", 64, 512 << 20), None);
        let told = too_many("pages", 65, 512 << 20).unwrap();
        assert!(told.ends_with("limits.memory is 512MB, and should be 520MB at least"), "{told}");
    }

    #[test]
    fn a_registry_is_told_from_strays_wherever_its_messages_begin() {
        let (avro, good): (&[u8], &[u8]) = (b"\0\0\0\0\x07title", b"{}");
        let few = vec![avro; PREFIXED - 1];
        let many = vec![avro; PREFIXED];
        assert_eq!(taken(false, &many), Err(("E-KAFKA-REGISTRY", 0)));
        assert_eq!(taken(false, &few), Ok((0, few.len())), "not known yet");
        assert_eq!(taken(false, &[&few[..], &[good]].concat()), Ok((few.len() + 1, 0)), "strays");
        assert_eq!(taken(false, &[&few[..], &[good], &few].concat()), Ok((few.len() + 1, few.len())), "strays twice");
        let behind = [&[good], &many[..]].concat();
        assert_eq!(taken(false, &behind), Err(("E-KAFKA-REGISTRY", 1)), "what stands before is taken");
        // What was committed once is read again as it was, whatever it is.
        assert_eq!(taken(true, &behind), Ok((behind.len(), 0)));
    }
}
