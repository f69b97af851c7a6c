//! How far readers are behind: the pipeline in its input, and others in its topics.
//!
//! ```text
//! record of commits ── where the pipeline stands ──┐
//! groups ── where others stand ────────────────────┼─ windows up to the end ── the first message of each: since when it waits
//! ends of all partitions, asked at once ───────────┘
//! ```
//!
//! Nothing is joined, committed or written. The end is what a reader of committed messages may see. Offsets are counted, and transactions
//! use some up themselves: where only those are left, no message is found and nobody is behind.

mod groups;

use std::collections::BTreeMap;

use rdkafka::Message as _;
use windrow_core::record::Micros;

use super::commits::Commit;
use super::mirror::{group_of, partition_of};
use super::read::{Reader, Window, time};
use super::topics::COMMITS;
use super::{Broker, mirror};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::run::Control;
use crate::source::Positions;
use crate::source::kafka::Start;

pub use groups::Group;

/// What is looked at.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The topic that is read.
    pub input: Option<&'a str>,
    /// Where a topic is begun that was never read.
    pub start: Option<Start>,
    /// How far it was read, by the last roll.
    pub positions: &'a Positions,
    /// Topics that are written.
    pub outputs: &'a [String],
    /// The pipeline, and the offset of its record at the last roll.
    pub pipeline: Option<(&'a str, Option<u64>)>,
}

/// Where a reader stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset that it reads; none when it will only be known once it begins.
    pub position: Option<u64>,
    /// Behind the last message that a reader of committed messages may see.
    pub end: u64,
    /// Offsets that it is behind; 0 when none of them is a message.
    pub records: Option<u64>,
    /// The time of the first message that it has not read.
    pub oldest: Option<Micros>,
    /// The offset of the group that mirrors it; the pipeline's own places alone.
    pub mirrored: Option<u64>,
}

impl Place {
    /// Seconds since the first message that was not read came; 0 when there is none, nothing when that is not known.
    pub fn seconds(&self, now: Micros) -> Option<f64> {
        match (self.records, self.oldest) {
            (Some(0), _) => Some(0.0),
            (_, Some(oldest)) => Some(now.saturating_sub(oldest).max(0) as f64 / 1e6),
            (_, None) => None,
        }
    }
}

/// What the brokers say.
#[derive(Debug, Default)]
pub struct Lag {
    /// The record of the last epoch that is committed in the topics.
    pub commit: Option<Commit>,
    /// Whether the record of commits was read.
    pub is_up_to_date: bool,
    /// The partitions of the input.
    pub input: Vec<Place>,
    /// The group that mirrors the pipeline's positions.
    pub mirror: Option<String>,
    /// Who reads the topics that are written.
    pub groups: Vec<Group>,
    /// What could not be found out, and why.
    pub missing: Vec<Error>,
}

impl Lag {
    fn miss<T>(&mut self, found: Result<T>) -> Option<T> {
        found.map_err(|error| self.missing.push(error)).ok()
    }
}

/// Asks the brokers.
///
/// # Errors
/// Nobody answers, or none of the topics is there. What is refused in part stands in [`Lag::missing`].
pub fn look(broker: &Broker, asked: &Asked<'_>, waits: (&dyn Clock, &Control)) -> Result<Lag> {
    let mut lag = Lag::default();
    let has_commits = asked.pipeline.is_some_and(|(_, offset)| offset.is_some());
    let commits = has_commits.then(|| COMMITS.to_owned());
    let own: Vec<String> = asked.input.iter().map(|topic| (*topic).to_owned()).chain(commits).collect();
    if own.is_empty() {
        broker.look()?;
    } else {
        match pipeline(broker, asked, &own, waits, &mut lag) {
            // They answer, but not to everything.
            Err(error) if ["E-KAFKA-TOPIC", "E-KAFKA-RIGHTS"].contains(&error.code) => lag.missing.push(error),
            done => done?,
        }
    }
    if !asked.outputs.is_empty() {
        let groups = groups::of(broker, asked.outputs, waits, &mut lag.missing);
        lag.groups = lag.miss(groups).unwrap_or_default();
    }
    Ok(lag)
}

/// Where the pipeline stands.
fn pipeline(broker: &Broker, asked: &Asked<'_>, topics: &[String], waits: (&dyn Clock, &Control), lag: &mut Lag) -> Result<()> {
    let (mut reader, missing) = Reader::open(broker, topics, &mut |_| {})?;
    lag.missing.extend(missing.iter().filter_map(|topic| broker.topic(topic).err()));
    if let Some((pipeline, Some(offset))) = asked.pipeline {
        let commit = newest_commit(&mut reader, pipeline, offset, waits);
        let commit = lag.miss(commit);
        (lag.is_up_to_date, lag.commit) = (commit.is_some(), commit.flatten());
    }
    let mut known: BTreeMap<i32, u64> = BTreeMap::new();
    let rolled = asked.positions.sources.iter().map(|source| (source.name.as_str(), source.offset));
    let since = lag.commit.iter().flat_map(|commit| &commit.positions).map(|(name, offset)| (name.as_str(), *offset));
    for (name, offset) in rolled.chain(since) {
        if let Some((topic, partition)) = partition_of(name)
            && Some(topic) == asked.input
        {
            known.insert(partition, offset);
        }
    }
    let input = reader.topics.iter().position(|topic| Some(topic.as_str()) == asked.input);
    let parts = reader.parts.iter().enumerate().filter(|(_, part)| Some(part.topic) == input);
    let places: Vec<(usize, Option<i64>)> = parts
        .map(|(at, part)| {
            // A partition that came later is read from its first message on, and so is a topic where the settings say so.
            let unknown = match asked.start {
                _ if !known.is_empty() => Some(part.low),
                Some(Start::Earliest) => Some(part.low),
                Some(Start::Latest) => Some(part.high),
                _ => None,
            };
            (at, known.get(&part.partition).map(|offset| offset.cast_signed()).or(unknown))
        })
        .collect();
    lag.input = measure(&mut reader, &places, waits, &mut lag.missing);
    mirrored(broker, asked, lag);
    Ok(())
}

/// The offsets of the group that mirrors the positions.
fn mirrored(broker: &Broker, asked: &Asked<'_>, lag: &mut Lag) {
    let Some((pipeline, _)) = asked.pipeline.filter(|_| !lag.input.is_empty()) else { return };
    let group = group_of(&broker.config, pipeline);
    let names: Vec<String> = lag.input.iter().map(|place| format!("kafka:{}/{}", place.topic, place.partition)).collect();
    let wanted = mirror::offsets(names.iter().map(|name| (name.as_str(), 0)));
    let found = groups::committed_of(broker, &group, &wanted);
    let Some(found) = lag.miss(found) else { return };
    for place in &mut lag.input {
        place.mirrored = found.get(&(place.topic.clone(), place.partition)).copied();
    }
    lag.mirror = Some(group);
}

/// The pipeline's newest record from the offset of its last roll on.
fn newest_commit(
    reader: &mut Reader<'_>,
    pipeline: &str,
    offset: u64,
    waits: (&dyn Clock, &Control),
) -> Result<Option<Commit>> {
    let commits = reader.topics.iter().position(|topic| topic == COMMITS);
    let Some(part) = reader.parts.iter().position(|part| Some(part.topic) == commits) else { return Ok(None) };
    let window = Window { part, from: offset.cast_signed(), to: reader.parts[part].high };
    let schema = Commit::new("", 0).schema;
    let mut newest = None;
    reader.read(&[window], waits, &mut |_, message| {
        let commit = serde_json::from_slice::<Commit>(message.payload().unwrap_or_default());
        newest = commit.ok().filter(|commit| commit.schema == schema && commit.pipeline == pipeline).or(newest.take());
        false
    })?;
    Ok(newest)
}

/// Looks from each position to the end of its part. Positions of one part are looked at one after the other.
fn measure(
    reader: &mut Reader<'_>,
    places: &[(usize, Option<i64>)],
    waits: (&dyn Clock, &Control),
    missing: &mut Vec<Error>,
) -> Vec<Place> {
    let mut oldest: BTreeMap<(usize, i64), Option<Micros>> = BTreeMap::new();
    for &(part, position) in places {
        let at = &reader.parts[part];
        if let Some(position) = position.map(|position| position.max(at.low)).filter(|position| *position < at.high) {
            oldest.insert((part, position), None);
        }
    }
    let mut rounds: Vec<Vec<Window>> = Vec::new();
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for &(part, from) in oldest.keys() {
        let round = seen.entry(part).and_modify(|round| *round += 1).or_insert(0);
        rounds.resize_with(rounds.len().max(*round + 1), Vec::new);
        rounds[*round].push(Window { part, from, to: reader.parts[part].high });
    }
    let mut read = true;
    for windows in &rounds {
        let from: BTreeMap<usize, i64> = windows.iter().map(|window| (window.part, window.from)).collect();
        let done = reader.read(windows, waits, &mut |part, message| {
            // The end was asked for before; what came since is behind it.
            oldest.insert((part, from[&part]), Some(time(message).unwrap_or(Micros::MAX)));
            true
        });
        if let Err(error) = done {
            missing.push(error);
            read = false;
            break;
        }
    }
    let place = |&(part, position): &(usize, Option<i64>)| {
        let at = &reader.parts[part];
        let first = position.and_then(|position| oldest.get(&(part, position.max(at.low)))).copied().flatten();
        let behind = position.map(|position| u64::try_from(at.high - position.max(at.low)).unwrap_or(0));
        Place {
            topic: reader.topics[at.topic].clone(),
            partition: at.partition,
            position: position.and_then(|position| u64::try_from(position).ok()),
            end: u64::try_from(at.high).unwrap_or(0),
            records: if first.is_none() && read { behind.map(|_| 0) } else { behind },
            oldest: first.filter(|oldest| *oldest != Micros::MAX),
            mirrored: None,
        }
    };
    places.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_those_of_the_first_unread_message() {
        let place = |records, oldest| Place {
            topic: "t".into(),
            partition: 0,
            position: Some(7),
            end: 9,
            records,
            oldest,
            mirrored: None,
        };
        assert_eq!(place(Some(0), None).seconds(5_000_000), Some(0.0));
        assert_eq!(place(Some(2), Some(2_500_000)).seconds(5_000_000), Some(2.5));
        assert_eq!(place(Some(2), Some(9_000_000)).seconds(5_000_000), Some(0.0), "a clock that is late");
        assert_eq!(place(Some(2), None).seconds(5_000_000), None);
    }
}
