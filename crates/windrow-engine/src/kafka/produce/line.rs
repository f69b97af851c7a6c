//! The way to the topic: transactions that hold messages together with the number of rows done.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};
use xxhash_rust::xxh3::xxh3_64;

use super::super::refused::refused_key;
use super::super::rights::{Need, On};
use super::super::{Broker, Watcher, committed};
use super::Order;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::ClientKeys;

/// How long a broker may take to begin or end a transaction before we ask again.
const ANSWER: Duration = Duration::from_secs(30);
/// How long we wait for room in the client's queue, or for an acknowledgement, before we look again.
const LOOK: Duration = Duration::from_millis(1);

/// What happens to messages: the first failure of a delivery.
#[derive(Debug, Clone, Default)]
struct Deliveries {
    watcher: Watcher,
    failed: Arc<Mutex<Option<KafkaError>>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.watcher.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.watcher.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

/// A transactional producer of one topic, and the group that holds how far it came.
pub(super) struct Line {
    producer: BaseProducer<Deliveries>,
    deliveries: Deliveries,
    group: BaseConsumer<Watcher>,
    group_metadata: ConsumerGroupMetadata,
    topic: String,
    /// Of the transactions, and of the group.
    name: String,
    /// Who the inputs are: kept beside the count.
    identity: String,
}

impl Line {
    /// Connects, and ends what an earlier call left open.
    pub(super) fn open(keys: &ClientKeys, order: &Order, identity: u64) -> Result<Self> {
        let broker = Broker::new(keys)?;
        broker.look()?;
        if broker.topic(&order.topic)?.is_none() {
            let error = Error::new(ErrorKind::Kafka, "E-KAFKA-TOPIC", format!("there is no topic {}", order.topic));
            return Err(error.hint(format!("make it: windrow topics create --from-topic {}", order.topic)));
        }
        let Broker { config: base, .. } = broker;
        let name =
            format!("windrow-produce-{:016x}", xxh3_64(format!("{}\n{}", order.topic, order.inputs.join("\n")).as_bytes()));
        let mut group: ClientConfig = base.clone();
        group.set("group.id", &name).set("isolation.level", "read_committed");
        let group: BaseConsumer<Watcher> =
            group.create_with_context(Watcher::of(&group)).map_err(|error| refused_key(&error))?;
        let group_metadata = group.group_metadata().ok_or_else(|| gone(&name))?;
        let mut producer = base;
        producer.set("transactional.id", &name).set("enable.idempotence", "true");
        for (key, value) in [("linger.ms", "20"), ("compression.type", "lz4"), ("queue.buffering.max.kbytes", "65536")] {
            if producer.get(key).is_none() {
                producer.set(key, value);
            }
        }
        let deliveries = Deliveries { watcher: Watcher::of(&producer), ..Deliveries::default() };
        let producer: BaseProducer<Deliveries> =
            producer.create_with_context(deliveries.clone()).map_err(|error| refused_key(&error))?;
        let identity = format!("{identity:016x}");
        let line = Self { producer, deliveries, group, group_metadata, topic: order.topic.clone(), name, identity };
        line.producer.init_transactions(ANSWER).map_err(|error| line.trouble(&error))?;
        Ok(line)
    }

    /// Rows that earlier calls committed.
    pub(super) fn done(&self) -> Result<u64> {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&self.topic, 0);
        let found = committed(&self.group, &wanted).map_err(|error| self.trouble(&error))?;
        let Some(element) = found.find_partition(&self.topic, 0) else { return Ok(0) };
        let Offset::Offset(done) = element.offset() else { return Ok(0) };
        let done = u64::try_from(done).unwrap_or(0);
        if done > 0 && element.metadata() != self.identity {
            let message = format!("{done} rows were sent of inputs that had these names, and these are others");
            let error = Error::new(ErrorKind::Invalid, "E-PRODUCE-INPUT", message);
            return Err(error.hint("send them from the first row on with --anew"));
        }
        Ok(done)
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Result<()> {
        self.producer.begin_transaction().map_err(|error| self.trouble(&error))
    }

    /// Sends one message; false when no broker would take it, for its length.
    pub(super) fn send(&self, text: &[u8]) -> Result<bool> {
        let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.topic).payload(text);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(true),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.pause(LOOK);
                    self.check()?;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => return Ok(false),
                Err((error, _)) => return Err(self.trouble(&error)),
            }
        }
    }

    /// Lets time pass, and the client work.
    pub(super) fn pause(&self, time: Duration) {
        self.producer.poll(time);
    }

    /// Commits what was sent, together with the number of rows done.
    pub(super) fn commit(&self, done: u64) -> Result<()> {
        // A commit that has messages to wait for waits in steps of 100 ms: they are waited for here.
        while self.producer.in_flight_count() > 0 {
            self.pause(LOOK);
        }
        self.check()?;
        let mut count = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(done).unwrap_or(i64::MAX));
        count.add_partition_offset(&self.topic, 0, offset).map_err(|error| self.trouble(&error))?;
        count.find_partition(&self.topic, 0).expect("it was just added").set_metadata(&self.identity);
        let sent = again_while_retriable(|| self.producer.send_offsets_to_transaction(&count, &self.group_metadata, ANSWER));
        sent.map_err(|error| self.trouble_with(&error, "Read"))?;
        again_while_retriable(|| self.producer.commit_transaction(ANSWER)).map_err(|error| self.trouble(&error))
    }

    fn check(&self) -> Result<()> {
        let failed = self.deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failed.map_or(Ok(()), |error| Err(self.trouble(&error)))
    }

    /// The sentence for an error. What a producer may do to topic, transaction and group it needs in any of its calls.
    fn trouble(&self, error: &KafkaError) -> Error {
        self.trouble_with(error, "Write")
    }

    /// The same for a call that needs this right on the topic.
    fn trouble_with(&self, error: &KafkaError, on_topic: &'static str) -> Error {
        let fenced = matches!(error, KafkaError::Transaction(error) if error.code() == RDKafkaErrorCode::Fenced);
        if fenced {
            let error =
                Error::new(ErrorKind::Fenced, "E-LOCKED", "another `windrow produce` sends the same inputs to this topic");
            return error
                .hint("let the other one go on, or end it and call this one again: it goes on where the other stopped");
        }
        let needs = [
            Need::new(on_topic, On::Topic(&self.topic)),
            Need::new("Write", On::TransactionalId(&self.name)),
            Need::new("Read", On::Group(&self.name)),
        ];
        self.deliveries.watcher.trouble(error, &needs)
    }
}

/// A call that says "again" has an unknown outcome: only the same call can find out.
fn again_while_retriable(call: impl Fn() -> std::result::Result<(), KafkaError>) -> std::result::Result<(), KafkaError> {
    loop {
        match call() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {}
            done => return done,
        }
    }
}

fn gone(name: &str) -> Error {
    Error::new(ErrorKind::Internal, "E-KAFKA", format!("the group {name} has no metadata"))
}
