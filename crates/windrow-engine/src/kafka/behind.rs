//! How far a run is behind the topic that it reads, asked over and over while it goes on.
//!
//! ```text
//! where the run stands ──┬── ends of its partitions, in one question ── records
//!                        └── the first message of each that is behind ── seconds
//! ```
//!
//! The same figures as [`lag`](super::lag) gives once, by one connection that stays. It has little patience: whoever asks again in a moment
//! can do without an answer, and is not held up when he wants to end.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use windrow_core::record::Micros;

use super::mirror::partition_of;
use super::read::time;
use super::{Broker, Watcher, watcher};
use crate::clock::Clock;
use crate::error::Result;
use crate::source::Positions;
use crate::source::kafka::TopicInput;

/// How long the ends may take, and then the first messages.
const ANSWER: Duration = Duration::from_millis(400);
const STEP: Duration = Duration::from_millis(20);
/// One message of a partition is enough; a batch comes whole, however long it is.
const FETCHED: [(&str, &str); 3] =
    [("max.partition.fetch.bytes", "4096"), ("queued.min.messages", "1"), ("fetch.wait.max.ms", "50")];

/// Where a run stands: the next offset of each partition.
pub type Offsets = BTreeMap<i32, u64>;

/// Where a run stands in a topic. Of two sources with one name the topic of the later one is there.
pub fn offsets(positions: &Positions, topic: &str) -> Offsets {
    let places = positions.sources.iter().map(|source| (partition_of(&source.name), source.offset));
    places.filter_map(|(place, offset)| place.filter(|place| place.0 == topic).map(|place| (place.1, offset))).collect()
}

type Asked<T> = std::result::Result<T, KafkaError>;

/// How far a run is behind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// Offsets of all partitions; those of transactions' marks too, unless nothing else is left.
    pub records: u64,
    /// Since when the oldest message waits that was not read; nothing when it could not be looked at in time.
    pub seconds: Option<f64>,
}

/// Asks the brokers.
pub struct Behind {
    consumer: BaseConsumer<Watcher>,
    topic: String,
}

impl std::fmt::Debug for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Behind").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Behind {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// The keys are wrong.
    pub fn new(input: &TopicInput) -> Result<Self> {
        Ok(Self { consumer: Broker::new(&input.keys)?.consumer(&FETCHED)?, topic: input.topic.clone() })
    }

    /// How far a run is behind that stands there; nothing when the brokers do not answer soon.
    pub fn look(&self, at: &Offsets, clock: &dyn Clock) -> Option<Distance> {
        watcher::hear(&self.consumer);
        let mut behind = self.ends(at).ok()?;
        behind.retain(|partition, end| *end > at[partition]);
        let oldest = if behind.is_empty() { BTreeMap::new() } else { self.oldest(&behind, at, clock).ok()? };
        let (mut records, mut seconds) = (0, Some(0.0_f64));
        for (partition, end) in behind {
            match oldest.get(&partition) {
                Some(None) => continue,
                Some(Some(oldest)) => {
                    let age = clock.now().saturating_sub(*oldest).max(0) as f64 / 1e6;
                    seconds = seconds.map(|seconds| seconds.max(age));
                }
                None => seconds = None,
            }
            records += end - at[&partition];
        }
        Some(Distance { records, seconds })
    }

    /// Behind the last message of each partition that a reader of committed ones may see.
    fn ends(&self, at: &Offsets) -> Asked<Offsets> {
        let found = self.consumer.offsets_for_times(self.list(at.keys().map(|part| (*part, Offset::End)))?, ANSWER)?;
        let end = |partition: &i32| {
            let Some(element) = found.find_partition(&self.topic, *partition) else { return Ok((*partition, 0)) };
            element.error()?;
            let Offset::Offset(end) = element.offset() else { return Ok((*partition, 0)) };
            Ok((*partition, u64::try_from(end).unwrap_or(0)))
        };
        at.keys().map(end).collect()
    }

    /// When the first message of each of these partitions came that was not read; none where only marks of transactions are left.
    fn oldest(&self, of: &Offsets, at: &Offsets, clock: &dyn Clock) -> Asked<BTreeMap<i32, Option<Micros>>> {
        let places = of.keys().map(|part| (*part, Offset::Offset(at[part].cast_signed())));
        self.consumer.assign(&self.list(places)?)?;
        let (mut found, end) = (BTreeMap::new(), clock.elapsed() + ANSWER);
        while found.len() < of.len() && clock.elapsed() < end {
            match self.consumer.poll(STEP) {
                Some(Ok(message)) => {
                    found.entry(message.partition()).or_insert_with(|| Some(time(&message).unwrap_or_else(|| clock.now())));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    found.entry(partition).or_insert(None);
                }
                _ => {}
            }
        }
        self.consumer.unassign()?;
        Ok(found)
    }

    fn list(&self, places: impl Iterator<Item = (i32, Offset)>) -> Asked<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in places {
            list.add_partition_offset(&self.topic, partition, offset)?;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};

    use super::*;
    use crate::clock::SystemClock;
    use crate::settings::ClientKeys;
    use crate::source::kafka::OnDataLoss;
    use crate::source::{MessageFormat, SourcePosition};

    /// A broker inside the client, with messages of two moments in each of two partitions.
    fn topic(now: Micros) -> (MockCluster<'static, DefaultProducerContext>, Behind) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("pages", 2, 1).unwrap();
        let keys = ClientKeys::of(&[("bootstrap.servers", &cluster.bootstrap_servers())]);
        let producer: BaseProducer = Broker::new(&keys).unwrap().config.create().unwrap();
        for (partition, ago) in [(0, 90), (0, 60), (1, 30), (1, 10)] {
            let record = BaseRecord::<[u8], _>::to("pages").payload(b"{}").partition(partition);
            producer.send(record.timestamp(now / 1_000 - ago * 1_000)).map_err(|(error, _)| error).unwrap();
            producer.flush(Duration::from_secs(10)).unwrap();
        }
        let input = TopicInput {
            keys,
            topic: "pages".into(),
            format: MessageFormat::Json,
            start: None,
            on_data_loss: OnDataLoss::Fail,
            until_end: false,
            is_again: false,
        };
        (cluster, Behind::new(&input).unwrap())
    }

    /// Asks until there is an answer with all that was asked for: a machine that is busy answers late.
    fn asked(behind: &Behind, at: [u64; 2], clock: &SystemClock) -> (u64, u64) {
        let at = Offsets::from([(0, at[0]), (1, at[1])]);
        loop {
            if let Some(Distance { records, seconds: Some(seconds) }) = behind.look(&at, clock) {
                return (records, seconds as u64 / 10 * 10);
            }
        }
    }

    #[test]
    fn records_are_added_up_and_the_oldest_waits_longest() {
        let clock = SystemClock::new();
        let (cluster, behind) = topic(clock.now());
        assert_eq!(asked(&behind, [0, 0], &clock), (4, 90));
        assert_eq!(asked(&behind, [1, 1], &clock), (2, 60));
        assert_eq!(asked(&behind, [2, 1], &clock), (1, 10));
        assert_eq!(asked(&behind, [2, 2], &clock), (0, 0));
        cluster.broker_round_trip_time(1, Duration::from_secs(10)).unwrap();
        assert_eq!(behind.look(&Offsets::from([(0, 0)]), &clock), None, "silent brokers are not waited for");
    }

    #[test]
    fn a_run_stands_in_the_partitions_of_its_topic() {
        let source = |name, offset| SourcePosition { offset, ..SourcePosition::of(name) };
        let sources = vec![source("kafka:a/0", 1), source("kafka:b/0", 2), source("kafka:a/1", 3), source("kafka:a/0", 4)];
        assert_eq!(offsets(&Positions { sources }, "a"), Offsets::from([(0, 4), (1, 3)]));
    }
}
