//! Kafka: how brokers are reached, and what they say when they are not.
//!
//! One [`Broker`] is one connection to look and to administer. librdkafka tells of its troubles in a log, from threads of its own;
//! the [`Watcher`] keeps the last ones, and [`trouble`] makes a sentence of them: what a user reads is what went wrong, not that a
//! request took too long.
//!
//! ```text
//! [kafka] keys, client.properties
//!             └─ config ── Broker ── topics   (plan, create, delete)
//!                              ├─ examine  (what a run will need, before it starts)
//!                              ├─ sample   (the newest messages of a topic)
//!                              ├─ read ── tail   (topics of clusters, from outside)
//!                              ├─ lag      (how far readers are behind)
//!                              ├─ behind   (how far a run is, while it goes on)
//!                              ├─ longest  (how long messages may be)
//!                              ├─ mirror   (offsets of a group, for tools)
//!                              └─ producers
//!              watcher, trouble, rights, refused, probe: sentences
//! ```

pub mod behind;
pub mod commits;
pub mod count;
pub(crate) mod ends;
pub mod examine;
pub(crate) mod headers;
pub mod lag;
pub(crate) mod longest;
pub(crate) mod mirror;
pub(crate) mod operations;
mod probe;
pub mod produce;
mod properties;
mod reach;
pub mod read;
mod refused;
pub mod rejects;
pub(crate) mod rights;
pub mod sample;
mod silent;
pub mod tail;
pub mod topics;
mod trouble;
mod watcher;
pub(crate) mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};
use windrow_core::record::Micros;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};
use crate::settings::ClientKeys;

use operations::Identity;
use refused::refused_key;
use rights::{Need, On};
pub(crate) use watcher::Watcher;

pub use sample::{has_registry_prefix, registry_prefix};

/// How long a broker may take to do what it is asked.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same, in looks between which its events are heard.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: usize = 8;
/// How long we listen between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the client rests when what it has fetched fills its queue, in milliseconds. By its own default it is a second, in which a
/// quick reader reads the queue empty.
const REST: &str = "20";
/// Brokers that are knocked at before we say that none can be reached.
const KNOCKS: usize = 3;
/// How long the tries to reach a broker take, in milliseconds: none follows an answer that will not change.
const TRIES: [u64; 5] = [250, 750, 1_000, 1_500, 2_500];

/// Whether the next call may well succeed: nobody answered yet, or the group is just getting its coordinator.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let passing =
        [Code::OperationTimedOut, Code::NotCoordinator, Code::CoordinatorNotAvailable, Code::CoordinatorLoadInProgress];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}

/// Whether nobody answers just now: the client connects again by itself.
fn is_unreachable(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let unreachable = [Code::OperationTimedOut, Code::RequestTimedOut, Code::BrokerTransportFailure, Code::AllBrokersDown];
    error.rdkafka_error_code().is_some_and(|code| unreachable.contains(&code))
}

/// Nobody wants to wait for brokers any more.
pub(crate) fn given_up() -> Error {
    Error::new(ErrorKind::Kafka, "E-KAFKA-AGAIN", "ended before the brokers had answered")
        .hint("the same command goes on from the last commit")
}

/// What a group has committed. A coordinator's refusal comes as an event, while the call waits for another answer in vain.
pub(crate) fn committed(
    group: &BaseConsumer<Watcher>,
    wanted: &TopicPartitionList,
) -> std::result::Result<TopicPartitionList, KafkaError> {
    let mut looks = 0;
    loop {
        let error = match group.committed_offsets(wanted.clone(), LOOK) {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let events = std::iter::from_fn(|| group.poll(PAUSE)).take(watcher::KEPT);
        let refused = events.filter_map(std::result::Result::err).find(rights::is_refusal);
        looks += 1;
        if refused.is_some() || looks == LOOKS || !is_passing(&error) {
            return Err(refused.unwrap_or(error));
        }
    }
}

/// librdkafka's configuration: ours below, the user's above.
pub(crate) fn config(keys: &ClientKeys) -> Result<ClientConfig> {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    let mut given = keys.resolved()?;
    if let Some(file) = given.remove("properties") {
        config.extend(properties::read(Path::new(&file))?);
    }
    for (key, value) in given {
        // Two names of one key: which of them counts must not be left to chance.
        let names = [("sasl.mechanisms", "sasl.mechanism"), ("metadata.broker.list", "bootstrap.servers")];
        config.set(names.iter().find(|(other, _)| *other == key).map_or(key, |(_, name)| *name), value);
    }
    if config.get("bootstrap.servers").is_none_or(str::is_empty) {
        let error = Error::new(ErrorKind::Invalid, "E-KAFKA-NONE", "no broker is given");
        return Err(error.hint("give one with --kafka HOST:PORT, or bootstrap.servers under [kafka] in the settings file"));
    }
    if config.get("debug").is_some_and(|topics| !topics.is_empty()) {
        config.set_log_level(RDKafkaLogLevel::Debug);
    }
    config.create_native_config().map_err(|error| refused_key(&error))?;
    refused::check_files(&config)?;
    Ok(config)
}

/// Says to brokers who a client is, in their logs, quotas and figures: the verb or pipeline that it is of, and what it does. What a user has
/// set stays.
pub(crate) fn named(config: &mut ClientConfig, of: &str, role: &str) {
    if config.get("client.id").is_none() {
        let name = [of.trim_start_matches("windrow-"), role].join("-");
        config.set("client.id", format!("windrow-{}", name.trim_start_matches('-')));
    }
}

/// A connection to look at a cluster of brokers and to administer it.
pub struct Broker {
    pub(crate) config: ClientConfig,
    consumer: BaseConsumer<Watcher>,
    pub(crate) watcher: Watcher,
    pub(crate) servers: String,
    verb: String,
}

/// What a topic looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of partitions.
    pub partitions: usize,
    /// Copies of each partition; the smallest number where they differ.
    pub replication: usize,
}

/// What brokers say of themselves.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Addresses that the brokers tell clients to use.
    pub brokers: Vec<String>,
    /// Topics by name.
    pub topics: BTreeMap<String, Shape>,
}

fn shape(topic: &MetadataTopic) -> Shape {
    Shape {
        partitions: topic.partitions().len(),
        replication: topic.partitions().iter().map(|part| part.replicas().len()).min().unwrap_or(0),
    }
}

impl Broker {
    /// A connection with these keys. Nothing is sent yet.
    pub fn new(keys: &ClientKeys) -> Result<Self> {
        let config = config(keys)?;
        let watcher = Watcher::of(&config);
        let servers = config.get("bootstrap.servers").unwrap_or_default().to_owned();
        let (mut looking, verb) = (config.clone(), keys.verb().to_owned());
        named(&mut looking, &verb, "look");
        let consumer = looking.create_with_context(watcher.clone()).map_err(|error| refused_key(&error))?;
        Ok(Self { config, consumer, watcher, servers, verb })
    }

    /// The configuration of a client that does this.
    pub(crate) fn config_of(&self, role: &str) -> ClientConfig {
        let mut config = self.config.clone();
        named(&mut config, &self.verb, role);
        config
    }

    /// Brokers and topics as they are now.
    pub fn look(&self) -> Result<Found> {
        let mut tries = TRIES.into_iter().map(Duration::from_millis).peekable();
        let metadata = loop {
            match self.consumer.fetch_metadata(None, tries.next().unwrap_or(PATIENCE)) {
                Ok(metadata) => break metadata,
                Err(error) if tries.peek().is_none() || self.is_final() => return Err(self.trouble(&error)),
                Err(_) => {}
            }
        };
        if self.watcher.is_loud() {
            watcher::hear(&self.consumer);
        }
        let brokers: Vec<String> =
            metadata.brokers().iter().map(|broker| format!("{}:{}", broker.host(), broker.port())).collect();
        let topics = metadata.topics().iter().map(|topic| (topic.name().to_owned(), shape(topic))).collect();
        self.knock(&brokers)?;
        Ok(Found { brokers, topics })
    }

    /// Refuses brokers none of which can be reached where they tell us to.
    fn knock(&self, brokers: &[String]) -> Result<()> {
        if brokers.iter().any(|broker| trouble::is_given(broker, &self.servers)) {
            return Ok(());
        }
        let mut refused = Vec::new();
        for broker in brokers.iter().take(KNOCKS) {
            match reach::refusal(broker) {
                None => return Ok(()),
                Some(why) => refused.push((broker, why)),
            }
        }
        let Some((broker, why)) = refused.first() else { return Ok(()) };
        Err(trouble::advertised(broker, why, self.watcher.asked()))
    }

    /// One topic as it is now; none when it is not there. A topic that this user may not see is refused, not missing.
    pub fn topic(&self, name: &str) -> Result<Option<Shape>> {
        let metadata = self.consumer.fetch_metadata(Some(name), PATIENCE).map_err(|error| self.trouble(&error))?;
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else { return Ok(None) };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => Ok(Some(shape(topic))),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Some(code) => {
                Err(self.watcher.trouble(&KafkaError::MetadataFetch(code), &[Need::new("Describe", On::Topic(name))]))
            }
        }
    }

    /// Which topic has this name now; with no id where brokers do not tell, or do not answer that.
    pub(crate) fn identity(&self, topic: &str, partitions: usize) -> Identity {
        let found = operations::identity(&self.consumer, topic, PATIENCE).ok().flatten();
        found.unwrap_or(Identity { id: 0, partitions })
    }

    /// Hash of the id of the cluster of brokers. No answer in time is an error: the next start would take them for others.
    pub(crate) fn cluster_id(&self) -> Result<u64> {
        let late = || self.trouble(&KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut));
        self.consumer.client().fetch_cluster_id(PATIENCE).map(|id| xxh3_64(id.as_bytes())).ok_or_else(late)
    }

    /// The offsets that a partition holds: from the first to behind the last.
    pub(crate) fn range(&self, topic: &str, partition: usize) -> Result<(u64, u64)> {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let (low, high) = self.consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(|error| self.trouble(&error))?;
        Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
    }

    /// The offset of the first message of a partition that is not older than `time`.
    pub(crate) fn first_since(&self, topic: &str, partition: usize, time: Micros) -> Result<Option<u64>> {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let mut wanted = TopicPartitionList::new();
        let asked = wanted.add_partition_offset(topic, partition, Offset::Offset(time.div_euclid(1_000)));
        asked.map_err(|error| self.trouble(&error))?;
        let found = self.consumer.offsets_for_times(wanted, PATIENCE).map_err(|error| self.trouble(&error))?;
        let found = found.find_partition(topic, partition).map(|element| element.offset());
        Ok(match found {
            Some(Offset::Offset(offset)) => u64::try_from(offset).ok(),
            _ => None,
        })
    }

    /// A consumer that partitions are assigned to: it joins no group and commits nothing. It has `keys` besides ours.
    pub(crate) fn consumer(&self, keys: &[(&str, &str)]) -> Result<BaseConsumer<Watcher>> {
        let ours = [
            ("group.id", "windrow-reader"), // assign() wants a name
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_committed"),
            ("fetch.queue.backoff.ms", self.config.get("fetch.queue.backoff.ms").unwrap_or(REST)),
        ];
        let mut config = self.config_of("reader");
        ours.iter().chain(keys).for_each(|(key, value)| {
            config.set(*key, *value);
        });
        config.create_with_context(self.watcher.clone()).map_err(|error| self.trouble(&error))
    }

    fn admin(&self) -> Result<AdminClient<Watcher>> {
        self.config_of("admin").create_with_context(self.watcher.clone()).map_err(|error| refused_key(&error))
    }

    /// What librdkafka said: its errors wait in a queue until somebody asks.
    fn said(&self) -> Vec<String> {
        watcher::hear(&self.consumer);
        self.watcher.said()
    }

    /// Whether another try would end like the last.
    fn is_final(&self) -> bool {
        trouble::is_final(&self.said(), self.watcher.asked())
    }

    /// The sentence for an error of this connection.
    pub(crate) fn trouble(&self, error: &KafkaError) -> Error {
        let said = self.said();
        if trouble::is_certificate(&said, self.watcher.asked()) && probe::is_of_another_host(&self.config) {
            return trouble::other_host(self.watcher.asked());
        }
        trouble::of(error, &said, self.watcher.asked())
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("servers", &self.servers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_say_who_they_are_unless_they_are_named() {
        let name = |given: &[(&str, &str)], verb: &str| {
            let mut keys = ClientKeys::of(&[&[("bootstrap.servers", "127.0.0.1:1")], given].concat());
            keys.call_for(verb);
            Broker::new(&keys).unwrap().config_of("reader").get("client.id").unwrap_or_default().to_owned()
        };
        assert_eq!(name(&[], "tail"), "windrow-tail-reader");
        assert_eq!(name(&[], ""), "windrow-reader");
        assert_eq!(name(&[("client.id", "mine")], "tail"), "mine");
        let mut config = ClientConfig::new();
        named(&mut config, "windrow-0a1b", "writer");
        assert_eq!(config.get("client.id"), Some("windrow-0a1b-writer"), "a transactional name is one of ours");
    }
}
