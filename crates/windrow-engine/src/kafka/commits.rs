//! The commit record: what an epoch's transaction says about itself.
//!
//! Each epoch writes one into `windrow-commits`, in the same transaction as its pages. Those behind the last roll are what a restart
//! reads: they alone say how far the topics are, and in which order the rows came. Keys come round again, so that a compacted topic keeps
//! the last [`RING`] epochs of a pipeline and no more; a roll is due long before.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windrow_core::record::Micros;

use super::read::{Reader, Window};
use super::rights::{Need, On};
use super::topics::COMMITS;
use super::{Broker, LOOK, PATIENCE, Watcher, given_up};
use crate::checkpoint::lock::host;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::observe::Counters;
use crate::run::Control;
use crate::run::waits::Who;
use crate::source::Order;

/// Epochs after which a key comes again.
const RING: u64 = 4096;
/// Epochs after which a roll is due, whatever else says: half the ring, so that none is overwritten that a restart needs.
pub(crate) const MOST_SINCE_ROLL: u64 = RING / 2;
/// Name and version of the record.
const SCHEMA: &str = "windrow.commit/1";
/// Name and version of a claim.
const CLAIM: &str = "windrow.claim/1";
/// How long the records of others may keep ours from being seen: longer than a transaction may stay open.
const LONGEST_WAIT: u32 = 120;

/// What one epoch committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Name and version of the form of the record.
    pub schema: String,
    /// Id of the pipeline.
    pub pipeline: String,
    /// The epoch.
    pub epoch: u64,
    /// The slices learnt in it, in order: source and the offset up to which.
    pub order: Order,
    /// Where each partition stands after it: name of the source and next offset.
    pub positions: Vec<(String, u64)>,
    /// Counts of the pipeline's life after it.
    pub counters: Counters,
    /// Edits applied in the pipeline's life after it.
    pub edits: u64,
    /// Hash of all decisions since the last roll, in hexadecimal digits.
    pub decisions: String,
    /// When it was committed, by the clock of the machine that wrote it.
    pub written_at: Micros,
}

impl Commit {
    /// A record of the present form.
    pub fn new(pipeline: &str, epoch: u64) -> Self {
        Self {
            schema: SCHEMA.into(),
            pipeline: pipeline.into(),
            epoch,
            order: Order::default(),
            positions: Vec::new(),
            counters: Counters::default(),
            edits: 0,
            decisions: String::new(),
            written_at: 0,
        }
    }

    /// Its key in the topic.
    pub(crate) fn key(&self) -> String {
        format!("{}/{:04}", self.pipeline, self.epoch % RING)
    }
}

/// The record of a process that takes the topics of a pipeline over. It stands before its first epoch, so that whoever is ended by the
/// brokers can see whether somebody else has taken over, or whether it was only too slow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claimed {
    schema: String,
    pipeline: String,
    /// The run that claims, by a name that no other has.
    run: String,
    /// Its process and machine, for people.
    pid: u32,
    host: String,
}

impl Claimed {
    /// The claim of a run in this process.
    pub(crate) fn new(pipeline: &str, run: &str) -> Self {
        Self { schema: CLAIM.into(), pipeline: pipeline.into(), run: run.into(), pid: std::process::id(), host: host() }
    }

    /// Its key in the topic.
    pub(crate) fn key(&self) -> String {
        format!("{}/claim", self.pipeline)
    }
}

/// Refuses to go on when another run has claimed the topics of a pipeline since this run's claim at `offset`.
///
/// # Errors
/// `E-FENCED`: somebody has. `E-KAFKA-…`: nobody knows.
pub(crate) fn check_unclaimed(broker: &Broker, pipeline: &str, run: &str, offset: u64, control: &Control) -> Result<()> {
    let everything = broker.consumer(&[("isolation.level", "read_uncommitted")])?;
    let end = range(&everything, broker)?.1;
    let is_rival = |claim: &Claimed| claim.schema == CLAIM && claim.pipeline == pipeline && claim.run != run;
    // Committed or not: what this run itself left open hides what stands behind it until the brokers end it, and a claim that nobody has
    // written nobody has committed.
    let mut written = fetch::<Claimed>(&everything, broker, (offset + 1, end), (control, PATIENCE))?;
    written.retain(|(_, claim)| is_rival(claim));
    let Some(&(last, _)) = written.last() else { return Ok(()) };
    // A claim may have been given up. Whoever began to claim has ended what we had open: it hides nothing any more.
    let committed = visible(broker, last + 1, control)?;
    let claims = fetch::<Claimed>(&committed, broker, (offset + 1, last + 1), (control, PATIENCE))?;
    let Some((_, rival)) = claims.into_iter().find(|(_, claim)| is_rival(claim)) else { return Ok(()) };
    let who = format!("another process of this pipeline has taken over: {} on {}", rival.pid, rival.host);
    Err(Error::new(ErrorKind::Fenced, "E-FENCED", who)
        .hint("let the other one go on, or end it and call this one again: it goes on where it stopped"))
}

/// The records of a pipeline from the offset of its epoch `known` on, which was committed with the last roll: those after it. What an
/// earlier process left open must be decided: see [`super::writer::Writer::open`].
pub(crate) fn read(broker: &Broker, pipeline: &str, known: u64, offset: u64, control: &Control) -> Result<Vec<Commit>> {
    let everything = broker.consumer(&[("isolation.level", "read_uncommitted")])?;
    let (low, end) = range(&everything, broker)?;
    if offset < low || offset >= end {
        return Err(emptied(known, broker));
    }
    let committed = visible(broker, end, control)?;
    let found = fetch::<Commit>(&committed, broker, (offset, end), (control, PATIENCE))?;
    let mut found: Vec<Commit> = found.into_iter().map(|(_, commit)| commit).collect();
    found.retain(|commit| commit.schema == SCHEMA && commit.pipeline == pipeline && commit.epoch >= known);
    let is_whole = found.iter().zip(known..).all(|(commit, epoch)| commit.epoch == epoch);
    if found.is_empty() || !is_whole {
        return Err(emptied(known, broker));
    }
    found.remove(0);
    Ok(found)
}

/// The pipelines that have committed something, by their ids.
///
/// # Errors
/// `E-KAFKA-TOPIC`: the topic is not there. `E-KAFKA-…`: the brokers refuse.
pub fn pipelines(broker: &Broker, waits: (&dyn Clock, &Control), talk: &mut dyn FnMut(&str)) -> Result<BTreeSet<String>> {
    let (mut reader, _) = Reader::open(broker, &[COMMITS.to_owned()], talk)?;
    let parts = reader.parts.iter().enumerate();
    let windows: Vec<Window> = parts.map(|(part, at)| Window { part, from: at.low, to: at.high }).collect();
    let mut found = BTreeSet::new();
    reader.read(&windows, waits, &mut |_, message| {
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        found.extend(key.and_then(|key| key.rsplit_once('/')).map(|(pipeline, _)| pipeline.to_owned()));
        false
    })?;
    Ok(found)
}

/// A reader of committed records, which sees all up to `end`. Open transactions of others hide what lies behind them: they are waited for.
fn visible(broker: &Broker, end: u64, control: &Control) -> Result<BaseConsumer<Watcher>> {
    let consumer = broker.consumer(&[])?;
    let watch = control.waits().watch(Who::Topics);
    for _ in 0..LONGEST_WAIT {
        if range(&consumer, broker)?.1 >= end {
            watch.done();
            return Ok(consumer);
        }
        if control.gives_up() {
            return Err(given_up());
        }
        watch.look(hidden);
        let _ = crossbeam_channel::never::<()>().recv_timeout(LOOK);
    }
    Err(hidden())
}

/// The records of a kind from one offset up to another, with their offsets, which the reader can see. Only a broker's own word that there is
/// no more ends it: one that is silent has not said so, and commits that are left out here would be written once more.
fn fetch<R: DeserializeOwned>(
    consumer: &BaseConsumer<Watcher>,
    broker: &Broker,
    (mut at, end): (u64, u64),
    (control, patience): (&Control, Duration),
) -> Result<Vec<(u64, R)>> {
    let (mut found, mut met) = (Vec::new(), None);
    if at < end {
        assign(consumer, broker, at)?;
    }
    let clock = SystemClock::new();
    let mut heard = Duration::ZERO;
    while at < end {
        match consumer.poll(LOOK) {
            Some(Ok(message)) => {
                let offset = message.offset().cast_unsigned();
                // Records of newer programs and of other tools are not ours to read.
                let record = serde_json::from_slice(message.payload().unwrap_or_default()).ok();
                found.extend(record.filter(|_| offset < end).map(|record| (offset, record)));
                (at, heard) = (offset + 1, clock.elapsed());
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                // Marks of transactions have offsets too; or there was nothing behind the last record, twice.
                if position(consumer, broker)? >= end || met == Some(at) {
                    break;
                }
                // A broker that has just taken over may not know its topic to the end yet.
                if range(consumer, broker)?.1 < end {
                    return Err(shorter(broker));
                }
                met = Some(at);
                assign(consumer, broker, at)?;
            }
            Some(Err(error)) if !super::is_unreachable(&error) => {
                return Err(broker.watcher.trouble(&error, &[Need::new("Read", On::Topic(COMMITS))]));
            }
            None | Some(Err(_)) => {}
        }
        if control.gives_up() {
            return Err(given_up());
        }
        if clock.elapsed().saturating_sub(heard) >= patience {
            return Err(broker.trouble(&KafkaError::MessageConsumption(Code::OperationTimedOut)));
        }
    }
    Ok(found)
}

fn assign(consumer: &BaseConsumer<Watcher>, broker: &Broker, at: u64) -> Result<()> {
    let mut assignment = TopicPartitionList::new();
    let from = Offset::Offset(at.cast_signed());
    assignment.add_partition_offset(COMMITS, 0, from).map_err(|error| broker.trouble(&error))?;
    consumer.assign(&assignment).map_err(|error| broker.trouble(&error))
}

/// Behind what the reader has passed; 0 when it has passed nothing.
fn position(consumer: &BaseConsumer<Watcher>, broker: &Broker) -> Result<u64> {
    let found = consumer.position().map_err(|error| broker.trouble(&error))?;
    let offset = found.find_partition(COMMITS, 0).map(|element| element.offset());
    Ok(match offset {
        Some(Offset::Offset(offset)) => u64::try_from(offset).unwrap_or(0),
        _ => 0,
    })
}

fn range(consumer: &BaseConsumer<Watcher>, broker: &Broker) -> Result<(u64, u64)> {
    let (low, high) = consumer.fetch_watermarks(COMMITS, 0, PATIENCE).map_err(|error| broker.trouble(&error))?;
    Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
}

fn hidden() -> Error {
    let message = format!("{COMMITS} cannot be read to its end: an open transaction of another producer stands before it");
    Error::new(ErrorKind::Kafka, "E-KAFKA-HANGING", message)
        .hint("find it with `kafka-transactions.sh find-hanging`, or wait until the broker ends it; then start again")
}

/// A broker that does not know its own end yet, or has lost it.
fn shorter(broker: &Broker) -> Error {
    let message = format!("{COMMITS} at {} is shorter than it was a moment ago", broker.servers);
    Error::new(ErrorKind::Kafka, "E-KAFKA-AGAIN", message).hint("have the brokers just changed places? Start again")
}

fn emptied(known: u64, broker: &Broker) -> Error {
    let message = format!("{COMMITS} at {} does not hold what this state committed last (commit {known})", broker.servers);
    Error::new(ErrorKind::Kafka, "E-KAFKA-COMMITS", message)
        .cause("the topic was emptied or made anew, or these are not the brokers that the state has worked with")
        .hint(
            "give the right brokers; without the record nobody knows what the topics hold: start over with a new --out folder",
        )
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};

    use super::*;
    use crate::settings::ClientKeys;

    /// A broker inside the client, with the commit records of some epochs.
    fn committed(epochs: u64) -> (MockCluster<'static, DefaultProducerContext>, Broker) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(COMMITS, 1, 1).unwrap();
        let broker = Broker::new(&ClientKeys::of(&[("bootstrap.servers", &cluster.bootstrap_servers())])).unwrap();
        let producer: BaseProducer = broker.config.create().unwrap();
        for epoch in 1..=epochs {
            let record = serde_json::to_vec(&Commit::new("p", epoch)).unwrap();
            producer.send(BaseRecord::<[u8], _>::to(COMMITS).payload(&record)).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        (cluster, broker)
    }

    fn epochs(broker: &Broker, known: u64) -> std::result::Result<Vec<u64>, &'static str> {
        let found = read(broker, "p", known, known - 1, &Control::default()).map_err(|error| error.code)?;
        Ok(found.iter().map(|commit| commit.epoch).collect())
    }

    /// The same of what stands behind the first record, from a broker that has told its end, and then takes so long for an answer.
    fn slowly(delay: Duration, patience: Duration, control: &Control) -> std::result::Result<Vec<u64>, Error> {
        let (cluster, broker) = committed(5);
        let consumer = visible(&broker, 5, control)?;
        cluster.broker_round_trip_time(1, delay).unwrap();
        let found = fetch::<Commit>(&consumer, &broker, (1, 5), (control, patience))?;
        Ok(found.iter().map(|(_, commit)| commit.epoch).collect())
    }

    #[test]
    fn a_broker_that_is_silent_for_a_while_has_not_said_that_there_is_no_more() {
        assert_eq!(slowly(LOOK * 3 / 2, PATIENCE, &Control::default()), Ok(vec![2, 3, 4, 5]));
        let silent = slowly(PATIENCE, LOOK * 2, &Control::default()).unwrap_err();
        assert!(silent.code == "E-KAFKA-REACH" && silent.may_pass(), "{silent}");
    }

    #[test]
    fn who_is_asked_to_end_waits_for_no_broker() {
        let control = Control::default();
        control.stop();
        assert_eq!(slowly(PATIENCE, PATIENCE * 10, &control), Err(given_up()));
    }

    #[test]
    fn an_end_that_comes_too_early_is_none() {
        let (_cluster, broker) = committed(5);
        let consumer = broker.consumer(&[]).unwrap();
        let early = fetch::<Commit>(&consumer, &broker, (1, 9), (&Control::default(), PATIENCE)).unwrap_err();
        assert!(early.code == "E-KAFKA-AGAIN" && early.may_pass(), "{early}");
        assert_eq!(epochs(&broker, 2), Ok(vec![3, 4, 5]));
        assert_eq!(epochs(&broker, 7), Err("E-KAFKA-COMMITS"));
    }

    #[test]
    fn keys_come_round_and_records_are_read_as_written() {
        let commit = Commit { order: serde_json::from_str("[[0,7],[1,9]]").unwrap(), ..Commit::new("p", 7) };
        assert_eq!(commit.key(), "p/0007");
        assert_eq!(Commit::new("p", 7 + RING).key(), commit.key());
        let text = serde_json::to_string(&commit).unwrap();
        assert!(text.starts_with(r#"{"schema":"windrow.commit/1","pipeline":"p","epoch":7,"order":[[0,7],[1,9]]"#), "{text}");
        assert_eq!(serde_json::from_str::<Commit>(&text).unwrap(), commit);
    }
}
