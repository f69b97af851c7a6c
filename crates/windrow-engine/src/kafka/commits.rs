//! The commit record: what an epoch's transaction says about itself.
//!
//! Each epoch writes one into `windrow-commits`, in the same transaction as its pages. Those behind the last roll are what a restart
//! reads: they alone say how far the topics are, and in which order the rows came. Keys come round again, so that a compacted topic keeps
//! the last [`RING`] epochs of a pipeline and no more; a roll is due long before.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windrow_core::record::Micros;

use super::read::{Reader, Window};
use super::rights::{Need, On};
use super::topics::COMMITS;
use super::{Broker, PATIENCE, Watcher};
use crate::checkpoint::lock::host;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::observe::Counters;
use crate::run::Control;
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
pub(crate) fn check_unclaimed(broker: &Broker, pipeline: &str, run: &str, offset: u64) -> Result<()> {
    let end = range(&broker.consumer(&[("isolation.level", "read_uncommitted")])?, broker)?.1;
    if offset + 1 >= end {
        return Ok(());
    }
    let claims = records::<Claimed>(broker, offset + 1, end)?;
    let mut rivals = claims.iter().filter(|claim| claim.schema == CLAIM && claim.pipeline == pipeline && claim.run != run);
    let Some(rival) = rivals.next() else { return Ok(()) };
    let who = format!("another process of this pipeline has taken over: {} on {}", rival.pid, rival.host);
    Err(Error::new(ErrorKind::Fenced, "E-FENCED", who)
        .hint("let the other one go on, or end it and call this one again: it goes on where it stopped"))
}

/// The records of a pipeline from the offset of its epoch `known` on, which was committed with the last roll: those after it. What an
/// earlier process left open must be decided: see [`super::writer::Writer::open`].
pub(crate) fn read(broker: &Broker, pipeline: &str, known: u64, offset: u64) -> Result<Vec<Commit>> {
    let everything = broker.consumer(&[("isolation.level", "read_uncommitted")])?;
    let (low, end) = range(&everything, broker)?;
    if offset < low || offset >= end {
        return Err(emptied(known, broker));
    }
    let mut found = records::<Commit>(broker, offset, end)?;
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

/// All committed records of a kind from `offset` up to `end`. Open transactions of others hide what lies behind them: they are waited for.
fn records<R: DeserializeOwned>(broker: &Broker, offset: u64, end: u64) -> Result<Vec<R>> {
    let consumer = broker.consumer(&[])?;
    let mut is_visible = range(&consumer, broker)?.1 >= end;
    let mut assignment = TopicPartitionList::new();
    let from = Offset::Offset(offset.cast_signed());
    assignment.add_partition_offset(COMMITS, 0, from).map_err(|error| broker.trouble(&error))?;
    consumer.assign(&assignment).map_err(|error| broker.trouble(&error))?;
    let mut found = Vec::new();
    for _ in 0..LONGEST_WAIT {
        match poll(&consumer, broker, end, &mut found)? {
            Polled::Behind => return Ok(found),
            Polled::AtEnd if is_visible => return Ok(found),
            Polled::AtEnd => is_visible = range(&consumer, broker)?.1 >= end,
        }
    }
    Err(hidden())
}

/// Where a poll has come to.
enum Polled {
    /// To what stands behind the records wanted.
    Behind,
    /// To the end of what is visible.
    AtEnd,
}

/// Reads until there is nothing more for the moment.
fn poll<R: DeserializeOwned>(
    consumer: &BaseConsumer<Watcher>,
    broker: &Broker,
    end: u64,
    found: &mut Vec<R>,
) -> Result<Polled> {
    loop {
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) if message.offset().cast_unsigned() >= end => return Ok(Polled::Behind),
            Some(Ok(message)) => {
                // Records of newer programs and of other tools are not ours to read.
                found.extend(serde_json::from_slice(message.payload().unwrap_or_default()).ok());
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Polled::AtEnd),
            Some(Err(error)) => return Err(broker.watcher.trouble(&error, &[Need::new("Read", On::Topic(COMMITS))])),
        }
    }
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
    use super::*;

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
