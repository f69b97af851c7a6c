//! Kafka: how brokers are reached, and what they say when they are not.
//!
//! One [`Broker`] is one connection to look and to administer. librdkafka tells of its troubles in a log, from threads of its own;
//! the [`Watcher`] keeps the last ones, and [`trouble`] makes a sentence of them: what a user reads is what went wrong, not that a
//! request took too long.
//!
//! ```text
//! [kafka] keys ── config ── Broker ── topics   (plan, create, delete)
//!                       ├─ sample   (the newest messages of a topic)
//!                       └─ producers
//! ```

pub mod produce;
pub mod sample;
pub mod topics;
mod trouble;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;

use crate::error::{Error, ErrorKind, Result};
use crate::settings::{ClientKeys, nearest_of};

pub use sample::{has_registry_prefix, registry_prefix};

/// How long a broker may take to do what it is asked.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one try to reach a broker takes, and how many there are: none after an answer that will not change.
const TRY: Duration = Duration::from_secs(2);
const TRIES: usize = 3;
/// Lines of librdkafka's log that are kept.
const KEPT: usize = 32;

/// Keeps what librdkafka says of its troubles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watcher {
    said: Arc<Mutex<Vec<String>>>,
}

impl Watcher {
    /// Keeps a line that says why; that all brokers are down follows from it, and comes again and again.
    fn keep(&self, line: String) {
        if line.ends_with("brokers are down") {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == KEPT {
            said.remove(0);
        }
        said.push(line);
    }

    /// What was said, oldest first.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ConsumerContext for Watcher {}

impl ClientContext for Watcher {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, message: &str) {
        self.keep(message.to_owned());
    }

    fn error(&self, _error: KafkaError, reason: &str) {
        self.keep(reason.to_owned());
    }
}

/// librdkafka's configuration: ours below, the user's above.
pub(crate) fn config(keys: &ClientKeys) -> Result<ClientConfig> {
    let mut config = ClientConfig::new();
    config.set("client.id", "windrow").set_log_level(RDKafkaLogLevel::Info);
    for (key, value) in keys.resolved()? {
        config.set(key, value);
    }
    if config.get("bootstrap.servers").is_none_or(str::is_empty) {
        let error = Error::new(ErrorKind::Invalid, "E-KAFKA-NONE", "no broker is given");
        return Err(error.hint("give one with --kafka HOST:PORT, or bootstrap.servers under [kafka] in the settings file"));
    }
    config.create_native_config().map_err(|error| refused_key(&error))?;
    Ok(config)
}

/// What librdkafka says of a key, without its value, which may be a secret.
fn refused_key(error: &KafkaError) -> Error {
    let KafkaError::ClientConfig(_, told, key, _) = error else {
        return Error::new(ErrorKind::Invalid, "E-SETTINGS", "the settings under [kafka] do not go together").cause(error);
    };
    let error = Error::new(ErrorKind::Invalid, "E-SETTINGS", format!("kafka.{key}: {}", told.trim()));
    match nearest_of(key, trouble::COMMON_KEYS) {
        Some(near) => error.hint(format!("did you mean `{near}`? Keys are spelled as librdkafka spells them")),
        None => error.hint("keys are spelled as librdkafka spells them; its CONFIGURATION.md lists them"),
    }
}

/// A connection to look at a cluster of brokers and to administer it.
pub struct Broker {
    config: ClientConfig,
    consumer: BaseConsumer<Watcher>,
    watcher: Watcher,
    servers: String,
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

impl Broker {
    /// A connection with these keys. Nothing is sent yet.
    pub fn new(keys: &ClientKeys) -> Result<Self> {
        let config = config(keys)?;
        let watcher = Watcher::default();
        let servers = config.get("bootstrap.servers").unwrap_or_default().to_owned();
        let consumer = config.create_with_context(watcher.clone()).map_err(|error| refused_key(&error))?;
        Ok(Self { config, consumer, watcher, servers })
    }

    /// Brokers and topics as they are now.
    pub fn look(&self) -> Result<Found> {
        let mut tries = 0;
        let metadata = loop {
            tries += 1;
            match self.consumer.fetch_metadata(None, TRY) {
                Ok(metadata) => break metadata,
                Err(error) if tries == TRIES || self.is_final() => return Err(self.trouble(&error)),
                Err(_) => {}
            }
        };
        let brokers = metadata.brokers().iter().map(|broker| format!("{}:{}", broker.host(), broker.port())).collect();
        let shape = |topic: &MetadataTopic| Shape {
            partitions: topic.partitions().len(),
            replication: topic.partitions().iter().map(|part| part.replicas().len()).min().unwrap_or(0),
        };
        let topics = metadata.topics().iter().map(|topic| (topic.name().to_owned(), shape(topic))).collect();
        Ok(Found { brokers, topics })
    }

    fn admin(&self) -> Result<AdminClient<Watcher>> {
        self.config.create_with_context(self.watcher.clone()).map_err(|error| refused_key(&error))
    }

    /// What librdkafka said: its errors wait in a queue until somebody asks.
    fn said(&self) -> Vec<String> {
        (0..KEPT).take_while(|_| self.consumer.poll(Duration::ZERO).is_some()).for_each(drop);
        self.watcher.said()
    }

    /// Whether another try would end like the last.
    fn is_final(&self) -> bool {
        trouble::is_final(&self.said())
    }

    /// The sentence for an error of this connection.
    fn trouble(&self, error: &KafkaError) -> Error {
        trouble::of(error, &self.said(), &self.servers)
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("servers", &self.servers).finish_non_exhaustive()
    }
}
