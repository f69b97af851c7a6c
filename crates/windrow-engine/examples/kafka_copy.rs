//! The yardstick of `cargo xtask bench kafka`: a bare copy of a topic, by the same client, without parsing and without learning.
//!
//! ```text
//! kafka_copy BROKERS INPUT PREFIX TOPICS transactional|at-least-once EPOCH_MS [consumer.KEY=VALUE | producer.KEY=VALUE]...
//! ```
//!
//! Reads INPUT from its beginning to the end that it has now, and writes each value, as it is, to the topic PREFIX<number> that the
//! hash of its bytes says. Transactional: messages and offsets in transactions of EPOCH_MS. At least once: an idempotent producer, and
//! every EPOCH_MS, once brokers have taken everything, the offsets to the consumer group. Prints one JSON object.
//!
//! As fast as this client allows: one thread that polls and sends (the client has its own for network, compression and decompression),
//! no headers, no keys, reports of failures alone, waits that do not spin, and the allocator that Windrow has.

use std::error::Error;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::json;
use windrow_engine::clock::{Clock, SystemClock};
use xxhash_rust::xxh3::xxh3_64;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(60);

/// Keeps the first failure of a delivery.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<Option<KafkaError>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

/// What to copy, and how.
struct Order {
    input: String,
    topics: Vec<String>,
    is_transactional: bool,
    epoch: Duration,
    consumer: ClientConfig,
    producer: ClientConfig,
}

impl Order {
    fn given(arguments: &[String]) -> Result<Self> {
        let [brokers, input, prefix, n, mode, epoch_ms, more @ ..] = arguments else {
            return Err("kafka_copy BROKERS INPUT PREFIX TOPICS transactional|at-least-once EPOCH_MS [KEY=VALUE]...".into());
        };
        let is_transactional = mode == "transactional";
        let (mut consumer, mut producer) = (ClientConfig::new(), ClientConfig::new());
        let reading = [
            ("group.id", "kafka-copy"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
            ("check.crcs", "false"),
            ("queued.max.messages.kbytes", "65536"),
            // With its second of rest whenever its queue is full, the client makes 100,000 rows a second and no more.
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.message.max.bytes", "4194304"),
        ];
        let writing = [
            ("enable.idempotence", "true"),
            ("compression.type", "lz4"),
            ("linger.ms", "50"),
            ("batch.size", "1000000"),
            ("queue.buffering.max.messages", "1000000"),
            ("queue.buffering.max.kbytes", "131072"),
            ("delivery.report.only.error", "true"),
        ];
        for (key, value) in reading {
            consumer.set(key, value);
        }
        for (key, value) in writing {
            producer.set(key, value);
        }
        consumer.set("bootstrap.servers", brokers);
        producer.set("bootstrap.servers", brokers);
        if is_transactional {
            producer.set("transactional.id", "kafka-copy");
        }
        for pair in more {
            let (key, value) = pair.split_once('=').ok_or("not KEY=VALUE")?;
            match key.split_once('.') {
                Some(("consumer", key)) => consumer.set(key, value),
                Some(("producer", key)) => producer.set(key, value),
                _ => return Err(format!("{key} is neither consumer.… nor producer.…").into()),
            };
        }
        let topics = (0..n.parse::<usize>()?).map(|number| format!("{prefix}{number}")).collect();
        let epoch = Duration::from_millis(epoch_ms.parse()?);
        Ok(Self { input: input.clone(), topics, is_transactional, epoch, consumer, producer })
    }
}

/// A copy under way.
struct Copy<'a> {
    order: &'a Order,
    consumer: BaseConsumer,
    group: ConsumerGroupMetadata,
    producer: BaseProducer<Deliveries>,
    deliveries: Deliveries,
    /// The next offset of each partition.
    at: Vec<i64>,
    rows: u64,
    bytes: u64,
}

impl<'a> Copy<'a> {
    fn begin(order: &'a Order) -> Result<Self> {
        let deliveries = Deliveries::default();
        let producer: BaseProducer<Deliveries> = order.producer.create_with_context(deliveries.clone())?;
        if order.is_transactional {
            producer.init_transactions(PATIENCE)?;
        }
        let consumer: BaseConsumer = order.consumer.create()?;
        let group = consumer.group_metadata().ok_or("no metadata of the group")?;
        let metadata = consumer.fetch_metadata(Some(&order.input), PATIENCE)?;
        let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment.add_partition_offset(&order.input, i32::try_from(partition)?, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        Ok(Self { order, consumer, group, producer, deliveries, at: vec![-1; partitions], rows: 0, bytes: 0 })
    }

    /// Copies until every partition has come to its end.
    fn run_to_the_end(&mut self, clock: &dyn Clock) -> Result<()> {
        let (mut left, mut began) = (self.at.len(), None);
        while left > 0 {
            match self.consumer.poll(self.order.epoch / 10) {
                Some(Ok(message)) => {
                    let value = message.payload().unwrap_or_default();
                    if began.is_none() {
                        if self.order.is_transactional {
                            self.producer.begin_transaction()?;
                        }
                        began = Some(clock.elapsed());
                    }
                    send(&self.producer, &self.order.topics, value)?;
                    self.at[usize::try_from(message.partition())?] = message.offset() + 1;
                    self.rows += 1;
                    self.bytes += value.len() as u64;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
                Some(Err(error)) => return Err(error.into()),
                None => {}
            }
            // The clock is asked once in so many rows.
            if self.rows.is_multiple_of(64) && began.is_some_and(|began| clock.elapsed() - began >= self.order.epoch) {
                self.commit()?;
                began = None;
            }
        }
        if began.is_some() { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<()> {
        // Neither in the client's own wait, which spins, nor in its commit, which looks every 100 ms.
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::ZERO);
            let _ = crossbeam_channel::never::<()>().recv_timeout(Duration::from_micros(500));
        }
        if let Some(error) = self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error.into());
        }
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in self.at.iter().enumerate().filter(|(_, offset)| **offset >= 0) {
            offsets.add_partition_offset(&self.order.input, i32::try_from(partition)?, Offset::Offset(*offset))?;
        }
        if self.order.is_transactional {
            self.producer.send_offsets_to_transaction(&offsets, &self.group, PATIENCE)?;
            self.producer.commit_transaction(PATIENCE)?;
        } else {
            self.consumer.commit(&offsets, CommitMode::Sync)?;
        }
        Ok(())
    }
}

/// Sends a value to the topic that its hash says; waits while the client's queue is full.
fn send(producer: &BaseProducer<Deliveries>, topics: &[String], value: &[u8]) -> Result<()> {
    let topic = &topics[usize::try_from(xxh3_64(value) % topics.len() as u64)?];
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::ZERO);
                let _ = crossbeam_channel::never::<()>().recv_timeout(Duration::from_micros(500));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let order = Order::given(&arguments)?;
    let clock = SystemClock::new();
    let mut copy = Copy::begin(&order)?;
    let started = clock.elapsed();
    copy.run_to_the_end(&clock)?;
    let said = json!({"rows": copy.rows, "bytes": copy.bytes, "seconds": (clock.elapsed() - started).as_secs_f64()});
    writeln!(std::io::stdout(), "{said}")?;
    Ok(())
}
