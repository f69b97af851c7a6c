//! Consumer groups of others, looked at and never joined.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::Offset;

use super::{Place, measure};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::kafka::read::Reader;
use crate::kafka::rights::{Need, On};
use crate::kafka::{Broker, PATIENCE, Watcher, committed};
use crate::run::Control;

/// Groups that are asked at the same time: each has a coordinator of its own.
const AT_ONCE: usize = 4;
/// What the names of groups begin with that only keep how far a file was sent.
const NOT_READERS: &str = "windrow-produce-";

/// A group that reads topics of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What its coordinator calls its state: `Stable`, `Empty`, ….
    pub state: String,
    /// Members at this moment.
    pub members: usize,
    /// Where it stands, in partitions of which it ever committed an offset.
    pub places: Vec<Place>,
}

/// Offsets by topic and partition.
type Offsets = BTreeMap<(String, i32), u64>;

/// The groups that have committed offsets of these topics.
pub(super) fn of(
    broker: &Broker,
    topics: &[String],
    waits: (&dyn Clock, &Control),
    missing: &mut Vec<Error>,
) -> Result<Vec<Group>> {
    let listed = broker.consumer.fetch_group_list(None, PATIENCE).map_err(|error| broker.trouble(&error))?;
    let mut groups: Vec<Group> = listed
        .groups()
        .iter()
        .filter(|group| !group.name().starts_with(NOT_READERS))
        .map(|group| Group {
            name: group.name().to_owned(),
            state: group.state().to_owned(),
            members: group.members().len(),
            places: Vec::new(),
        })
        .collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    if groups.is_empty() {
        return Ok(groups);
    }
    let (mut reader, _) = Reader::open(broker, topics, &mut |_| {})?;
    let mut wanted = TopicPartitionList::with_capacity(reader.parts.len());
    for part in &reader.parts {
        wanted.add_partition(&reader.topics[part.topic], part.partition);
    }
    let (mut places, mut readers) = (Vec::new(), Vec::new());
    let offsets = offsets_of_all(broker, &groups, &wanted);
    for (group, offsets) in groups.into_iter().zip(offsets) {
        match offsets {
            Ok(offsets) if offsets.is_empty() => {}
            Err(error) => missing.push(error),
            Ok(offsets) => {
                let from = places.len();
                places.extend(reader.parts.iter().enumerate().filter_map(|(at, part)| {
                    let offset = offsets.get(&(reader.topics[part.topic].clone(), part.partition))?;
                    Some((at, Some(offset.cast_signed())))
                }));
                readers.push((group, from..places.len()));
            }
        }
    }
    let measured = measure(&mut reader, &places, waits, missing);
    Ok(readers.into_iter().map(|(group, range)| Group { places: measured[range].to_vec(), ..group }).collect())
}

/// Offsets of each group, in their order.
fn offsets_of_all(broker: &Broker, groups: &[Group], wanted: &TopicPartitionList) -> Vec<Result<Offsets>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = groups.get(at) else { return found };
            found.push((at, committed_of(broker, &group.name, wanted)));
        }
    };
    let mut all: Vec<(usize, Result<Offsets>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE.min(groups.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, found)| found).collect()
}

/// What one group has committed of these partitions.
pub(super) fn committed_of(broker: &Broker, group: &str, wanted: &TopicPartitionList) -> Result<Offsets> {
    let mut config = broker.config_of("groups");
    config.set("group.id", group).set("enable.auto.commit", "false");
    let watcher = Watcher::of(&config);
    let consumer: BaseConsumer<Watcher> =
        config.create_with_context(watcher.clone()).map_err(|error| watcher.trouble(&error, &[]))?;
    let needs = [Need::new("Describe", On::Group(group))];
    let found = committed(&consumer, wanted).map_err(|error| watcher.trouble(&error, &needs))?;
    let offsets = found.elements();
    let known = offsets.iter().filter_map(|element| match element.offset() {
        Offset::Offset(offset) => Some(((element.topic().to_owned(), element.partition()), u64::try_from(offset).ok()?)),
        _ => None,
    });
    Ok(known.collect())
}
