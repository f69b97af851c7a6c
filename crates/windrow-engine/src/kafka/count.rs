//! How many pages the topics of clusters hold: counted by reading them, as any consumer of committed messages would, and by nothing that
//! Windrow says of itself.
//!
//! Announcements of owners are no pages, and neither is a message without a value; both are counted apart. A page without Windrow's
//! headers counts for its topic, and for no cluster.

use std::collections::BTreeMap;

use rdkafka::message::BorrowedMessage;
use windrow_core::cluster::ClusterId;
use windrow_core::record::Micros;

use super::Broker;
use super::read::{Kind, Reader, Window, time};
use crate::clock::Clock;
use crate::error::Result;
use crate::run::Control;

/// Messages between two calls of an observer.
const STRIDE: u64 = 10_000;

/// What one topic holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicCount {
    /// Its name.
    pub topic: String,
    /// Pages.
    pub pages: u64,
    /// Pages by cluster; of none where the writer names none.
    pub clusters: BTreeMap<Option<ClusterId>, u64>,
    /// Announcements of owners.
    pub owners: u64,
    /// Messages that are neither.
    pub others: u64,
    /// Time of the newest page.
    pub newest: Option<Micros>,
}

impl TopicCount {
    fn take(&mut self, kind: Kind, time: Option<Micros>) {
        match kind {
            Kind::Page(cluster) => {
                self.pages += 1;
                *self.clusters.entry(cluster).or_default() += 1;
                self.newest = self.newest.max(time);
            }
            Kind::Owner(_) => self.owners += 1,
            Kind::Other => self.others += 1,
        }
    }
}

/// Counts topics.
pub struct Counting<'a> {
    reader: Reader<'a>,
    /// Topic of each part.
    topic_of: Vec<usize>,
    /// What was counted, in the order of the topics.
    pub counts: Vec<TopicCount>,
    /// Topics that are not there.
    pub missing: Vec<String>,
}

impl<'a> Counting<'a> {
    /// Begins with those of these topics that are there.
    ///
    /// # Errors
    /// `E-KAFKA-TOPIC`: none is there. `E-KAFKA-…`: the brokers refuse.
    pub fn open(broker: &'a Broker, topics: &[String], talk: &mut dyn FnMut(&str)) -> Result<Self> {
        let (reader, missing) = Reader::open(broker, topics, talk)?;
        let named = |topic: &String| TopicCount { topic: topic.clone(), ..TopicCount::default() };
        let counts = reader.topics.iter().map(named).collect();
        let topic_of = reader.parts.iter().map(|part| part.topic).collect();
        Ok(Self { reader, topic_of, counts, missing })
    }

    /// Counts what was there when it was opened. False when somebody wants to stop.
    pub fn catch_up(&mut self, waits: (&dyn Clock, &Control), observer: &mut dyn FnMut(u64)) -> Result<bool> {
        let (Self { reader, topic_of, counts, .. }, mut read) = (self, 0);
        let windows: Vec<Window> =
            reader.parts.iter().enumerate().map(|(part, at)| Window { part, from: at.low, to: at.high }).collect();
        reader.read(&windows, waits, &mut |part, message| {
            counts[topic_of[part]].take(Kind::of(message), time(message));
            read += 1;
            if read % STRIDE == 0 {
                observer(read);
            }
            false
        })
    }

    /// Begins to count what comes after that.
    pub fn follow(&mut self) -> Result<()> {
        let windows: Vec<Window> =
            self.reader.parts.iter().enumerate().map(|(part, at)| Window { part, from: at.high, to: i64::MAX }).collect();
        self.reader.begin(&windows)
    }

    /// Counts what came, also in partitions and topics that were added meanwhile; waits a little when nothing did. Whether something came.
    pub fn more(&mut self, clock: &dyn Clock) -> Result<bool> {
        let Self { reader, topic_of, counts, .. } = self;
        reader.look_again(clock, &|_| true)?;
        topic_of.extend(reader.parts[topic_of.len()..].iter().map(|part| part.topic));
        let named = |topic: &String| TopicCount { topic: topic.clone(), ..TopicCount::default() };
        counts.extend(reader.topics[counts.len()..].iter().map(named));
        reader.round(&mut |part, message: &BorrowedMessage<'_>| {
            counts[topic_of[part]].take(Kind::of(message), time(message));
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_and_messages_without_a_value_are_no_pages() {
        let mut count = TopicCount::default();
        for (kind, time) in [
            (Kind::Owner(Some(7)), Some(9)),
            (Kind::Page(Some(7)), Some(5)),
            (Kind::Page(Some(7)), None),
            (Kind::Page(None), Some(3)),
            (Kind::Other, Some(8)),
        ] {
            count.take(kind, time);
        }
        assert_eq!((count.pages, count.owners, count.others, count.newest), (3, 1, 1, Some(5)));
        assert_eq!(count.clusters, [(Some(7), 2), (None, 1)].into());
    }
}
