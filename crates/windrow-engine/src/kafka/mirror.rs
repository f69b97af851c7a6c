//! The mirror: where a pipeline stands in its input, as the offsets of a consumer group, for tools that show how far groups are behind.
//!
//! With topics out the offsets are part of every transaction. With Parquet alone they are committed here after each roll, without a
//! transaction and without joining the group. Nobody reads them to recover, so a commit that fails is noted, and stops nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::Offset;

use super::rights::{self, Need, On};
use super::watcher::KEPT;
use super::{Watcher, config, named};
use crate::error::Result;
use crate::settings::ClientKeys;
use crate::source::Positions;
use crate::source::kafka::PREFIX;

/// How often, and how long each time, a run that ends looks whether its last commit has come.
const LOOKS: usize = 3;
const LOOK: Duration = Duration::from_secs(1);

/// The group that a pipeline's offsets are mirrored in.
pub(crate) fn group_of(config: &ClientConfig, pipeline: &str) -> String {
    config.get("group.id").map_or_else(|| format!("windrow.{pipeline}"), str::to_owned)
}

/// Where the partitions of topics stand.
pub(crate) fn offsets<'a>(positions: impl Iterator<Item = (&'a str, u64)>) -> TopicPartitionList {
    let seen: BTreeMap<_, _> = positions.filter_map(|(name, offset)| Some((partition_of(name)?, offset))).collect();
    let mut offsets = TopicPartitionList::new();
    for ((topic, partition), offset) in seen {
        // Refused are offsets below 0 only.
        let _ = offsets.add_partition_offset(topic, partition, Offset::Offset(offset.cast_signed()));
    }
    offsets
}

/// Topic and partition of a source that is one.
pub(crate) fn partition_of(name: &str) -> Option<(&str, i32)> {
    let (topic, partition) = name.strip_prefix(PREFIX)?.rsplit_once('/')?;
    Some((topic, partition.parse().ok()?))
}

/// The mirror of a pipeline that writes no topics.
pub(crate) struct Mirror {
    consumer: BaseConsumer<Watcher>,
    watcher: Watcher,
    group: String,
    /// What was sent last.
    sent: TopicPartitionList,
}

impl Mirror {
    /// Nothing is sent yet.
    pub(crate) fn open(keys: &ClientKeys, pipeline: &str) -> Result<Self> {
        let mut config = config(keys)?;
        let group = group_of(&config, pipeline);
        config.set("group.id", &group).set("enable.auto.commit", "false");
        named(&mut config, pipeline, "positions");
        let watcher = Watcher::of(&config);
        let consumer = config.create_with_context(watcher.clone()).map_err(|error| watcher.trouble(&error, &[]))?;
        Ok(Self { consumer, watcher, group, sent: TopicPartitionList::new() })
    }

    /// Sends where a pipeline stands. The client has no answer to such a call: what became of it is looked at in the end.
    pub(crate) fn commit(&mut self, positions: &Positions) {
        let offsets = offsets(positions.sources.iter().map(|source| (source.name.as_str(), source.offset)));
        if offsets.count() > 0 && self.consumer.commit(&offsets, CommitMode::Async).is_ok() {
            self.sent = offsets;
        }
        // Without time: the loop is what calls.
        (0..KEPT).take_while(|_| self.consumer.poll(Duration::ZERO).is_some()).for_each(drop);
    }

    /// Looks whether the group shows what was sent last; says why not.
    pub(crate) fn finish(self) -> Option<String> {
        if self.sent.count() == 0 {
            return None;
        }
        let elements = self.sent.elements();
        let needs: Vec<_> = std::iter::once(Need::new("Read", On::Group(&self.group)))
            .chain(elements.iter().map(|element| Need::new("Read", On::Topic(element.topic()))))
            .collect();
        let mut why = "another process or member of the group has committed other offsets".to_owned();
        for _ in 0..LOOKS {
            match self.consumer.committed_offsets(self.sent.clone(), LOOK) {
                Ok(found) if shown(&found) == shown(&self.sent) => return None,
                Ok(_) => {}
                Err(error) => why = self.watcher.trouble(&error, &needs).message,
            }
            // A refusal comes as an event, while the call waits for another answer in vain.
            let events = std::iter::from_fn(|| self.consumer.poll(Duration::from_millis(20))).take(KEPT);
            if let Some(refused) = events.filter_map(std::result::Result::err).find(rights::is_refusal) {
                why = self.watcher.trouble(&refused, &needs).message;
                break;
            }
        }
        Some(format!("the group {} does not show how far this pipeline is, which harms nothing else: {why}", self.group))
    }
}

fn shown(offsets: &TopicPartitionList) -> BTreeMap<(String, i32), Option<i64>> {
    let elements = offsets.elements();
    elements.iter().map(|one| ((one.topic().to_owned(), one.partition()), one.offset().to_raw())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_position_of_a_partition_counts_and_files_have_none() {
        let positions = [("kafka:a/0", 7), ("/x/b.csv", 9), ("kafka:a/1", 0), ("kafka:b/c/2", 3), ("kafka:a/0", 8)];
        let offsets = offsets(positions.into_iter());
        let shown: Vec<_> =
            offsets.elements().iter().map(|one| (one.topic().to_owned(), one.partition(), one.offset())).collect();
        let wanted = [("a", 0, 8), ("a", 1, 0), ("b/c", 2, 3)];
        assert_eq!(shown, wanted.map(|(topic, partition, offset)| (topic.to_owned(), partition, Offset::Offset(offset))));
    }
}
