//! The way to the topic: transactions that hold messages together with the number of rows done.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::BaseRecord;
use rdkafka::{Offset, TopicPartitionList};
use xxhash_rust::xxh3::xxh3_64;

use super::super::refused::refused_key;
use super::super::rights::{Need, On};
use super::super::writer::{Rival, Writer};
use super::super::{Broker, Watcher, committed, named};
use super::Order;
use crate::error::{Error, ErrorKind, Result};
use crate::run::Control;
use crate::settings::ClientKeys;

/// A transactional producer of one topic, and the group that holds how far it came.
pub(super) struct Line {
    writer: Writer,
    group: BaseConsumer<Watcher>,
    topic: String,
    /// Of the transactions, and of the group.
    name: String,
    /// Who the inputs are: kept beside the count.
    identity: String,
}

impl Line {
    /// Connects, and ends what an earlier call left open.
    pub(super) fn open(keys: &ClientKeys, order: &Order, identity: u64, control: &Control) -> Result<Self> {
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
        named(&mut group, &name, "positions");
        let group: BaseConsumer<Watcher> =
            group.create_with_context(Watcher::of(&group)).map_err(|error| refused_key(&error))?;
        let rival = Rival::Named("another `windrow produce` sends the same inputs to this topic");
        let writer = Writer::open(base, &name, rival, None, control)?;
        let identity = format!("{identity:016x}");
        Ok(Self { writer, group, topic: order.topic.clone(), name, identity })
    }

    /// Rows that earlier calls committed.
    pub(super) fn done(&self) -> Result<u64> {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&self.topic, 0);
        let found = committed(&self.group, &wanted).map_err(|error| self.writer.trouble(&error, &self.needs()))?;
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
        self.writer.begin()
    }

    /// Sends one message; false when no broker would take it, for its length.
    pub(super) fn send(&self, text: &[u8]) -> Result<bool> {
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.topic).payload(text);
        self.writer.send(record).map(|too_long| too_long.is_none())
    }

    /// Lets time pass, and the client work.
    pub(super) fn pause(&self, time: Duration) {
        self.writer.pause(time);
    }

    /// Commits what was sent, together with the number of rows done.
    pub(super) fn commit(&self, done: u64) -> Result<()> {
        self.writer.settle()?;
        let mut count = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(done).unwrap_or(i64::MAX));
        let added = count.add_partition_offset(&self.topic, 0, offset);
        added.map_err(|error| self.writer.trouble(&error, &self.needs()))?;
        count.find_partition(&self.topic, 0).expect("it was just added").set_metadata(&self.identity);
        let group = self.group.group_metadata().ok_or_else(|| gone(&self.name))?;
        self.writer.offsets(count, group, &self.needs())?;
        self.writer.commit()
    }

    /// What a count in a group takes.
    fn needs(&self) -> [Need<'_>; 2] {
        [Need::new("Read", On::Topic(&self.topic)), Need::new("Read", On::Group(&self.name))]
    }
}

fn gone(name: &str) -> Error {
    Error::new(ErrorKind::Internal, "E-KAFKA", format!("the group {name} has no metadata"))
}
