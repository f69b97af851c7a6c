//! How long a message may be: what topics take, as far as this user may know it, and what our client takes.
//!
//! A topic's `max.message.bytes` counts the batch that a message comes in, after packing. Whoever wants to be sure counts a message alone,
//! unpacked, with all that stands around it ([`AROUND`]).

use std::collections::BTreeMap;

use rdkafka::admin::{AdminOptions, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::config::ClientConfig;
use rdkafka::message::Headers;

use super::{Broker, PATIENCE};

/// What topics take where nobody has said otherwise.
pub(crate) const USUAL: u64 = 1_048_588;
/// What our producers take where nobody has said otherwise: the topics' own limits decide.
pub(crate) const OF_CLIENT: u64 = 16 << 20;
/// A batch and its one message take so much besides key, value and headers, and each header besides name and value.
pub(crate) const AROUND: usize = 128;
pub(crate) const AROUND_A_HEADER: usize = 10;
/// Several messages of one batch, where nobody has said otherwise (`batch.size`).
const BATCH: u64 = 1_000_000;

/// What topics and client take.
#[derive(Debug, Clone)]
pub(crate) struct Longest {
    /// Of the topics whose properties this user may read.
    of_topics: BTreeMap<String, u64>,
    pub(super) of_client: u64,
}

impl Longest {
    /// What is known without asking.
    pub(crate) fn of_client(config: &ClientConfig) -> Self {
        let given = config.get("message.max.bytes").and_then(|text| text.parse().ok());
        Self { of_topics: BTreeMap::new(), of_client: given.unwrap_or(OF_CLIENT) }
    }

    /// Asks the brokers, for a client of this configuration. What this user may not read stays unknown: no run needs that right.
    pub(crate) fn ask(broker: &Broker, config: &ClientConfig, topics: &[String]) -> Self {
        let asked: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let limit = |(of, properties): (OwnedResourceSpecifier, Properties)| match of {
            OwnedResourceSpecifier::Topic(topic) => Some((topic, properties.get("max.message.bytes")?.parse().ok()?)),
            _ => None,
        };
        let of_topics = described(broker, &asked).into_iter().filter_map(limit).collect();
        Self { of_topics, ..Self::of_client(config) }
    }

    /// What a topic takes, where that is known.
    pub(crate) fn of(&self, topic: &str) -> Option<u64> {
        self.of_topics.get(topic).copied()
    }

    /// The most that a message to this topic should have, with all around it.
    pub(crate) fn most(&self, topic: &str) -> u64 {
        self.of(topic).unwrap_or(USUAL).min(self.of_client)
    }

    /// Keeps batches of several messages below what the narrowest of the topics takes: brokers refuse them as they do a message.
    pub(crate) fn bound_batches(&self, config: &mut ClientConfig) {
        if let Some(least) = self.of_topics.values().min().filter(|least| **least < BATCH)
            && config.get("batch.size").is_none()
        {
            config.set("batch.size", (*least).max(1).to_string());
        }
    }
}

/// The share of the memory that messages may take which wait for brokers, and its bounds.
const WAITING: u64 = 8;
const WAITING_BOUNDS: (u64, u64) = (8 << 20, 64 << 20);
/// So many messages may wait in as many bytes as the larger bound: the client's overhead for a message is as large as a short message.
const WAITING_MESSAGES: u64 = 30_000;

fn waiting(memory: u64) -> u64 {
    (memory / WAITING).clamp(WAITING_BOUNDS.0, WAITING_BOUNDS.1)
}

/// The most that the client takes of one message in so much memory, where nobody has said otherwise.
pub(crate) fn of_client(memory: u64) -> u64 {
    OF_CLIENT.min(waiting(memory))
}

/// Bounds what waits in a client for brokers by the memory, but for what somebody has set. The longest message has to fit.
pub(crate) fn bound_waiting(memory: u64, config: &mut ClientConfig) {
    let ours = waiting(memory);
    let longest = Longest { of_topics: BTreeMap::new(), of_client: of_client(memory) };
    let longest = config.get("message.max.bytes").map_or(longest, |_| Longest::of_client(config)).of_client;
    let bytes = ours.max(longest.saturating_add(1 << 10));
    let messages = WAITING_MESSAGES * ours / WAITING_BOUNDS.1;
    let keys = [
        ("queue.buffering.max.kbytes", bytes.div_ceil(1 << 10)),
        ("queue.buffering.max.messages", messages),
        ("message.max.bytes", longest),
    ];
    for (key, value) in keys {
        if config.get(key).is_none() {
            config.set(key, value.to_string());
        }
    }
}

/// What a message takes of a broker's limit, when it is alone and not packed.
pub(crate) fn length<H: Headers>(key: usize, value: usize, headers: Option<&H>) -> usize {
    let header =
        |header: rdkafka::message::Header<'_, &[u8]>| header.key.len() + header.value.map_or(0, <[u8]>::len) + AROUND_A_HEADER;
    AROUND + key + value + headers.map_or(0, |headers| headers.iter().map(header).sum())
}

/// Properties by name.
pub(super) type Properties = BTreeMap<String, String>;

/// What may not be read is not there: no run needs it.
pub(super) fn described(broker: &Broker, asked: &[ResourceSpecifier<'_>]) -> Vec<(OwnedResourceSpecifier, Properties)> {
    if asked.is_empty() {
        return Vec::new();
    }
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let Ok(admin) = broker.admin() else { return Vec::new() };
    let answers = pollster::block_on(admin.describe_configs(asked, &options)).unwrap_or_default();
    let properties = |entries: Vec<rdkafka::admin::ConfigEntry>| {
        entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
    };
    answers.into_iter().flatten().map(|found| (found.specifier, properties(found.entries))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_brokers_is_bounded_by_the_memory() {
        let keys = |memory: u64, given: Option<&str>| {
            let mut config = ClientConfig::new();
            given.map(|given| config.set("message.max.bytes", given));
            bound_waiting(memory, &mut config);
            let number = |key: &str| config.get(key).unwrap().parse::<u64>().unwrap();
            (number("queue.buffering.max.kbytes"), number("queue.buffering.max.messages"), number("message.max.bytes"))
        };
        assert_eq!(keys(512 << 20, None), (64 << 10, 30_000, 16 << 20));
        assert_eq!(keys(256 << 20, None), (32 << 10, 15_000, 16 << 20));
        assert_eq!(keys(32 << 20, None), ((8 << 10) + 1, 3_750, 8 << 20), "a message that is not let in waits for ever");
        assert_eq!(keys(32 << 20, Some("20971520")), ((20 << 10) + 1, 3_750, 20 << 20));
    }

    #[test]
    fn the_narrower_of_topic_and_client_decides() {
        let of_topics = [("small".to_owned(), 1_000), ("large".to_owned(), 64 << 20)].into();
        let longest = Longest { of_topics, of_client: OF_CLIENT };
        assert_eq!(["small", "large", "unknown"].map(|topic| longest.most(topic)), [1_000, OF_CLIENT, USUAL]);
        let mut config = ClientConfig::new();
        longest.bound_batches(&mut config);
        assert_eq!(config.get("batch.size"), Some("1000"));
        config.set("message.max.bytes", "500");
        assert_eq!(Longest::of_client(&config).most("any"), 500);
    }
}
