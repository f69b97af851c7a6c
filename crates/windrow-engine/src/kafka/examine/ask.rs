//! The questions.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::super::longest::{Properties, described};
use super::super::operations::{self, Answers};
use super::super::refused::refused_key;
use super::super::rights::{self, Need, On};
use super::super::topics::{self, Making, Role, Standing, Wanted};
use super::super::{Broker, Found, PATIENCE, Watcher, committed, reach};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::settings::Settings;

/// Our name in the question for transactions and groups: no run has it.
pub(super) const NAME: &str = "windrow-check";
/// What the names of groups and transactions of pipelines begin with.
pub(super) const PREFIX: &str = "windrow";
/// Where brokers keep transactions.
const TRANSACTIONS: &str = "__transaction_state";
/// How far ahead of our clock a stamp may be.
pub(super) const AHEAD: Duration = Duration::from_secs(60);
/// Addresses that are knocked at: each that does not answer takes some seconds.
const KNOCKS: usize = 8;

/// How long a coordinator of transactions may take to answer: on brokers that never had one, it is made now.
const COORDINATOR: Duration = Duration::from_secs(6);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Addresses that brokers tell us to use, with why they lead nowhere.
    pub(super) brokers: Vec<(String, Option<String>)>,
    pub(super) wanted: Vec<Wanted>,
    /// What may be done with topics; none where brokers do not say.
    pub(super) allowed: Option<Answers>,
    /// Of topics whose properties may be read.
    pub(super) properties: BTreeMap<String, Properties>,
    /// Of one broker, when they may be read.
    pub(super) of_broker: Properties,
    /// Copies of each partition of the topic that holds transactions, when there is one.
    pub(super) transaction_copies: Option<usize>,
    /// Why transactions cannot be had; none when they can, or are not needed.
    pub(super) transactions: Option<Refusal>,
    /// Why a group's offsets cannot be had.
    pub(super) group: Option<Error>,
    /// A message that was stamped with a time that is still to come.
    pub(super) ahead: Option<(i32, i64)>,
}

/// Why there are no transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Longer ones were asked for than the brokers allow.
    TooLong,
    /// Nobody answered for them.
    Nobody(Error),
    /// Something that has its sentence already.
    Other(Error),
}

/// Asks everything of brokers that have answered.
pub(super) fn ask(broker: &Broker, found: Found, settings: &Settings, clock: &dyn Clock) -> Result<Facts> {
    let wanted = topics::plan(settings, Making::default(), &found)?;
    let names: Vec<&str> = wanted.iter().map(|one| one.topic.as_str()).collect();
    let allowed = operations::allowed(&broker.consumer, &names, PATIENCE).ok();
    let input = wanted.iter().find(|one| one.role == Role::Input);
    let input = input.and_then(|one| Some((one.topic.as_str(), shape(one)?.partitions)));
    let mut facts = Facts {
        brokers: found.brokers.iter().take(KNOCKS).map(|address| (address.clone(), reach::refusal(address))).collect(),
        properties: properties(broker, &names, allowed.as_ref()),
        ahead: input.and_then(|(topic, partitions)| ahead(broker, topic, partitions, clock)),
        ..Facts::default()
    };
    facts.brokers.extend(found.brokers.into_iter().skip(KNOCKS).map(|address| (address, None)));
    if wanted.iter().any(|one| one.role != Role::Input) {
        let metadata = broker.consumer.fetch_metadata(Some(TRANSACTIONS), PATIENCE).ok();
        let state = metadata.as_ref().and_then(|metadata| metadata.topics().first());
        let partitions = state.into_iter().filter(|topic| topic.error().is_none()).flat_map(MetadataTopic::partitions);
        facts.transaction_copies = partitions.map(|part| part.replicas().len()).min();
        facts.of_broker = metadata.map(|metadata| of_broker(broker, metadata.orig_broker_id())).unwrap_or_default();
        facts.transactions = transactions(&broker.config_of("transactions")).err();
        facts.group = group(&broker.config_of("group"), input.map_or(topics::COMMITS, |(topic, _)| topic)).err();
    }
    Ok(Facts { wanted, allowed, ..facts })
}

fn shape(one: &Wanted) -> Option<super::super::Shape> {
    match one.standing {
        Standing::Missing => None,
        Standing::There(shape) | Standing::Unfit(shape) => Some(shape),
    }
}

/// Properties of the topics that are there and may be looked at.
fn properties(broker: &Broker, names: &[&str], allowed: Option<&Answers>) -> BTreeMap<String, Properties> {
    let may = |name: &str| match allowed.and_then(|answers| answers.get(name)) {
        Some(Ok(allowed)) => allowed.describe_configs,
        Some(Err(_)) => false,
        None => true,
    };
    let asked: Vec<_> = names.iter().filter(|name| may(name)).map(|name| ResourceSpecifier::Topic(name)).collect();
    described(broker, &asked)
        .into_iter()
        .filter_map(|(of, properties)| match of {
            OwnedResourceSpecifier::Topic(name) => Some((name, properties)),
            _ => None,
        })
        .collect()
}

fn of_broker(broker: &Broker, id: i32) -> Properties {
    described(broker, &[ResourceSpecifier::Broker(id)]).into_iter().next().map(|(_, properties)| properties).unwrap_or_default()
}

/// The first message that is stamped with a time to come.
fn ahead(broker: &Broker, topic: &str, partitions: usize, clock: &dyn Clock) -> Option<(i32, i64)> {
    let time = clock.now() / 1_000 + i64::try_from(AHEAD.as_millis()).unwrap_or(i64::MAX);
    let mut wanted = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        wanted.add_partition_offset(topic, partition, Offset::Offset(time)).ok()?;
    }
    let found = broker.consumer.offsets_for_times(wanted, PATIENCE).ok()?;
    found.elements().iter().find_map(|element| match element.offset() {
        Offset::Offset(offset) if element.error().is_ok() => Some((element.partition(), offset)),
        _ => None,
    })
}

/// Begins to be somebody who may have transactions, under a name that no run has.
fn transactions(config: &ClientConfig) -> std::result::Result<(), Refusal> {
    let mut config = config.clone();
    config.set("transactional.id", NAME).set("enable.idempotence", "true");
    let watcher = Watcher::of(&config);
    let producer: BaseProducer<Watcher> =
        config.create_with_context(watcher.clone()).map_err(|error| Refusal::Other(refused_key(&error)))?;
    let Err(error) = producer.init_transactions(COORDINATOR) else { return Ok(()) };
    producer.poll(Duration::ZERO);
    let code = match &error {
        KafkaError::Transaction(error) => Some(error.code()),
        other => rights::code_of(other),
    };
    Err(match code {
        Some(RDKafkaErrorCode::InvalidTransactionTimeout) => Refusal::TooLong,
        Some(RDKafkaErrorCode::OperationTimedOut) => Refusal::Nobody(watcher.trouble(&error, &[])),
        _ => {
            let need = Need::new("Write", On::TransactionalId(PREFIX)).of_many();
            Refusal::Other(watcher.trouble(&error, &[need]))
        }
    })
}

/// Asks for offsets of a group that nobody is in.
fn group(config: &ClientConfig, topic: &str) -> Result<()> {
    let mut config = config.clone();
    let given = config.get("group.id").map(str::to_owned);
    let name = given.clone().unwrap_or_else(|| NAME.to_owned());
    config.set("group.id", &name);
    let group: BaseConsumer<Watcher> = config.create_with_context(Watcher::of(&config)).map_err(|error| refused_key(&error))?;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(topic, 0);
    let need = match &given {
        Some(name) => Need::new("Read", On::Group(name)),
        None => Need::new("Read", On::Group(PREFIX)).of_many(),
    };
    match committed(&group, &wanted) {
        Err(error) if rights::is_refusal(&error) => Err(group.context().trouble(&error, &[need])),
        // Whatever else it is, it is about the coordinator: the question for transactions tells of it.
        _ => Ok(()),
    }
}
