//! The newest pages of clusters, from their topics; and whatever comes after them.
//!
//! Offsets are not pages: transactions leave markers, a slot's topic holds the pages of all that ever owned it, and announcements of
//! owners between them. So each partition is read back window by window until it has given enough, and of all together the newest are
//! kept, in number and in bytes. A cluster lives in one slot all its life: its topic is found once, by what the messages say.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use rdkafka::message::{BorrowedMessage, Message as _};
use serde::de::IgnoredAny;
use windrow_core::cluster::ClusterId;
use windrow_core::record::Micros;

use super::Broker;
use super::read::{Headers, Kind, Reader, Window, time};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::run::Control;
use crate::settings::nearest_of;

/// How far before its end a partition is read first, in offsets for each page wanted: small transactions take two.
const FIRST_REACH: i64 = 2;
/// How much further back each window goes.
const FURTHER: i64 = 8;
/// Least offsets of a window: a fetch brings hundreds.
const LEAST_REACH: i64 = 200;
/// Bytes of pages that are kept.
const KEPT_BYTES: usize = 256 << 20;

/// A page's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time, as the topic has it.
    pub time: Option<Micros>,
    /// Its cluster, where the writer says it.
    pub cluster: Option<ClusterId>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Headers,
    /// Its value: a JSON object.
    pub value: Vec<u8>,
}

/// Messages that were read and not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Announcements of owners.
    pub owners: u64,
    /// What holds no page that can be read.
    pub unreadable: u64,
    /// Pages of other clusters.
    pub of_others: u64,
    /// Pages that were wanted, and are too many bytes.
    pub too_many: u64,
}

/// Which clusters are shown.
#[derive(Debug, Default)]
struct Choice {
    /// All of these topics; of none when clusters are chosen.
    topics: Option<BTreeSet<usize>>,
    clusters: BTreeSet<ClusterId>,
}

impl Choice {
    fn holds(&self, topic: usize, cluster: Option<ClusterId>) -> bool {
        let of_topic = self.topics.as_ref().is_none_or(|topics| topics.contains(&topic));
        of_topic || cluster.is_some_and(|cluster| self.clusters.contains(&cluster))
    }
}

/// Looks at topics of clusters.
pub struct Tail<'a> {
    reader: Reader<'a>,
    choice: Choice,
    /// Parts that hold something of the choice.
    parts: Vec<usize>,
    /// Topics that do; all when nothing is named.
    homes: Option<BTreeSet<usize>>,
    /// Topics that are not there.
    pub missing: Vec<String>,
    /// What was passed over so far.
    pub passed: Passed,
}

impl<'a> Tail<'a> {
    /// Looks at those of `topics` that hold one of `wanted`: ids of clusters or names of topics; all when nothing is named.
    ///
    /// # Errors
    /// `E-NO-CLUSTER`: there is no such cluster in them. `E-KAFKA-…`: the brokers refuse.
    pub fn open(
        broker: &'a Broker,
        topics: &[String],
        wanted: &[String],
        waits: (&dyn Clock, &Control),
        talk: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let (reader, missing) = Reader::open(broker, topics, talk)?;
        let (parts, choice, passed) = (Vec::new(), Choice::default(), Passed::default());
        let mut tail = Self { reader, choice, parts, homes: None, missing, passed };
        tail.choose(wanted, waits, talk)?;
        Ok(tail)
    }

    fn choose(&mut self, wanted: &[String], waits: (&dyn Clock, &Control), talk: &mut dyn FnMut(&str)) -> Result<()> {
        let mut topics = BTreeSet::new();
        for text in wanted {
            match (self.reader.topics.iter().position(|topic| topic == text), text.parse()) {
                (Some(topic), _) => drop(topics.insert(topic)),
                (None, Ok(cluster)) => drop(self.choice.clusters.insert(cluster)),
                (None, Err(_)) => return Err(no_topic(text, &self.reader.topics)),
            }
        }
        let homes = &self.homes(waits, talk)? | &topics;
        self.homes = (!wanted.is_empty()).then_some(homes);
        let is_wanted = |topic: &usize| self.homes.as_ref().is_none_or(|homes| homes.contains(topic));
        self.parts = (0..self.reader.parts.len()).filter(|part| is_wanted(&self.reader.parts[*part].topic)).collect();
        self.choice.topics = (!wanted.is_empty()).then_some(topics);
        Ok(())
    }

    /// The topics of the chosen clusters: first by the newest page of each partition, then by all messages there are.
    fn homes(&mut self, waits: (&dyn Clock, &Control), talk: &mut dyn FnMut(&str)) -> Result<BTreeSet<usize>> {
        let mut homes = BTreeSet::new();
        if self.choice.clusters.is_empty() {
            return Ok(homes);
        }
        let mut sought = self.choice.clusters.clone();
        let topic_of: Vec<usize> = self.reader.parts.iter().map(|part| part.topic).collect();
        let mut look = |part: usize, message: &BorrowedMessage<'_>| match Kind::of(message) {
            Kind::Page(Some(cluster)) | Kind::Owner(Some(cluster)) => {
                if sought.remove(&cluster) {
                    homes.insert(topic_of[part]);
                }
                true
            }
            _ => false,
        };
        let all: Vec<usize> = (0..topic_of.len()).collect();
        self.back(&all, 1, waits, &mut look)?;
        if sought.is_empty() {
            return Ok(homes);
        }
        talk("looking for it in all that the topics hold: it is none of those that wrote last");
        let windows: Vec<Window> =
            self.reader.parts.iter().enumerate().map(|(part, at)| Window { part, from: at.low, to: at.high }).collect();
        self.reader.read(&windows, waits, &mut |part, message| {
            if let Kind::Page(Some(cluster)) | Kind::Owner(Some(cluster)) = Kind::of(message)
                && sought.remove(&cluster)
            {
                homes.insert(topic_of[part]);
            }
            sought.is_empty()
        })?;
        match sought.first() {
            Some(cluster) if waits.1.asked().is_none() => Err(no_cluster(*cluster)),
            _ => Ok(homes),
        }
    }

    /// Reads parts backwards, window by window, until each has given `enough`.
    fn back(
        &mut self,
        parts: &[usize],
        enough: usize,
        waits: (&dyn Clock, &Control),
        take: &mut dyn FnMut(usize, &BorrowedMessage<'_>) -> bool,
    ) -> Result<bool> {
        let ends =
            |part: &usize| Window { part: *part, from: self.reader.parts[*part].high, to: self.reader.parts[*part].high };
        let mut windows: Vec<Window> = parts.iter().map(ends).collect();
        let mut given = vec![0_usize; self.reader.parts.len()];
        let mut reach = i64::try_from(enough).unwrap_or(i64::MAX).saturating_mul(FIRST_REACH).max(LEAST_REACH);
        loop {
            windows.retain(|window| given[window.part] < enough && window.from > self.reader.parts[window.part].low);
            if windows.is_empty() {
                return Ok(true);
            }
            for window in &mut windows {
                window.to = window.from;
                window.from = window.from.saturating_sub(reach).max(self.reader.parts[window.part].low);
            }
            let whole = self.reader.read(&windows, waits, &mut |part, message| {
                given[part] += usize::from(take(part, message));
                false
            })?;
            if !whole {
                return Ok(false);
            }
            reach = reach.saturating_mul(FURTHER);
        }
    }

    /// The newest `last` pages, oldest first, of those that each partition holds last; fewer when somebody wants to stop.
    pub fn newest(&mut self, last: usize, waits: (&dyn Clock, &Control)) -> Result<Vec<Seen>> {
        let mut kept = Kept::new(last);
        if last > 0 {
            let (parts, mut passed) = (self.parts.clone(), self.passed);
            let (choice, at) = (std::mem::take(&mut self.choice), self.places());
            self.back(&parts, last, waits, &mut |part, message| match seen(&choice, at[part].0, message, &mut passed) {
                Some(seen) => {
                    kept.push(seen, at[part]);
                    true
                }
                None => false,
            })?;
            (self.choice, self.passed) = (choice, passed);
        }
        self.passed.too_many += kept.too_many;
        Ok(kept.into_sorted())
    }

    /// Topic and partition of each part.
    fn places(&self) -> Vec<(usize, i32)> {
        self.reader.parts.iter().map(|part| (part.topic, part.partition)).collect()
    }

    /// Begins to read what comes after the newest.
    pub fn follow(&mut self) -> Result<()> {
        let windows: Vec<Window> =
            (self.parts.iter()).map(|part| Window { part: *part, from: self.reader.parts[*part].high, to: i64::MAX }).collect();
        self.reader.begin(&windows)
    }

    /// What came since the last call, also in partitions and topics that were added meanwhile; waits a little when nothing did.
    pub fn come(&mut self, clock: &dyn Clock) -> Result<Vec<Seen>> {
        let homes = self.homes.as_ref();
        self.reader.look_again(clock, &|topic| homes.is_none_or(|homes| homes.contains(&topic)))?;
        let (mut came, at, mut passed) = (Vec::new(), self.places(), self.passed);
        let choice = std::mem::take(&mut self.choice);
        let round = self.reader.round(&mut |part, message| {
            came.extend(seen(&choice, at[part].0, message, &mut passed));
            false
        });
        (self.choice, self.passed) = (choice, passed);
        round?;
        came.sort_by_key(|seen| seen.time);
        Ok(came)
    }
}

/// A message as a page of the choice; counts it where it is none.
fn seen(choice: &Choice, topic: usize, message: &BorrowedMessage<'_>, passed: &mut Passed) -> Option<Seen> {
    let cluster = match Kind::of(message) {
        Kind::Page(cluster) => cluster,
        Kind::Owner(cluster) => {
            passed.owners += u64::from(choice.holds(topic, cluster));
            return None;
        }
        Kind::Other => {
            passed.unreadable += 1;
            return None;
        }
    };
    if !choice.holds(topic, cluster) {
        passed.of_others += 1;
        return None;
    }
    let value = message.payload().unwrap_or_default();
    if serde_json::from_slice::<std::collections::BTreeMap<String, IgnoredAny>>(value).is_err() {
        passed.unreadable += 1;
        return None;
    }
    Some(Seen {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        time: time(message),
        cluster,
        key: message.key().map(<[u8]>::to_vec),
        headers: Headers::of(message),
        value: value.to_vec(),
    })
}

/// Orders pages by time; what came at the same time, by place.
type Rank = (Option<Micros>, usize, i32, i64);

/// The newest pages.
struct Kept {
    most: usize,
    most_bytes: usize,
    bytes: usize,
    too_many: u64,
    pages: BinaryHeap<Reverse<Ranked>>,
}

struct Ranked(Rank, Seen);

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Ranked {}
impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Kept {
    fn new(most: usize) -> Self {
        Self { most, most_bytes: KEPT_BYTES, bytes: 0, too_many: 0, pages: BinaryHeap::new() }
    }

    fn push(&mut self, seen: Seen, (topic, partition): (usize, i32)) {
        let rank = (seen.time, topic, partition, seen.offset);
        self.bytes += size(&seen);
        self.pages.push(Reverse(Ranked(rank, seen)));
        while self.pages.len() > self.most || self.bytes > self.most_bytes {
            self.too_many += u64::from(self.pages.len() <= self.most);
            self.bytes -= self.pages.pop().map_or(0, |oldest| size(&oldest.0.1));
        }
    }

    fn into_sorted(self) -> Vec<Seen> {
        // Sorted by what is reversed: newest first.
        self.pages.into_sorted_vec().into_iter().rev().map(|Reverse(Ranked(_, seen))| seen).collect()
    }
}

/// What a page takes, about.
fn size(seen: &Seen) -> usize {
    512 + seen.value.len() + seen.key.as_ref().map_or(0, Vec::len)
}

fn no_topic(text: &str, topics: &[String]) -> Error {
    let message = format!("{text} is neither the id of a cluster nor one of its topics");
    let error = Error::new(ErrorKind::Invalid, "E-NO-CLUSTER", message);
    match nearest_of(text, &topics.iter().map(String::as_str).collect::<Vec<_>>()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`windrow clusters` lists ids, `windrow topics check` lists topics"),
    }
}

fn no_cluster(cluster: ClusterId) -> Error {
    Error::new(ErrorKind::Invalid, "E-NO-CLUSTER", format!("the topics hold nothing of a cluster {cluster}"))
        .hint("`windrow clusters` lists ids; what a topic's retention deleted is in the Parquet only")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(time: Micros, offset: i64, len: usize) -> Seen {
        Seen {
            topic: "t".into(),
            partition: 0,
            offset,
            time: Some(time),
            cluster: Some(1),
            key: None,
            headers: Headers::default(),
            value: vec![b' '; len],
        }
    }

    fn offsets(kept: Kept) -> Vec<i64> {
        kept.into_sorted().iter().map(|seen| seen.offset).collect()
    }

    #[test]
    fn the_newest_are_kept_oldest_first() {
        let mut kept = Kept::new(3);
        for (time, offset) in [(5, 1), (1, 2), (9, 3), (5, 0), (7, 4)] {
            kept.push(page(time, offset, 0), (0, 0));
        }
        assert_eq!((kept.too_many, offsets(kept)), (0, vec![1, 4, 3]));
    }

    #[test]
    fn what_is_too_many_bytes_is_counted() {
        let mut kept = Kept { most_bytes: 2_000, ..Kept::new(9) };
        (0..5).for_each(|n| kept.push(page(n, n, 200), (0, 0)));
        assert_eq!((kept.too_many, offsets(kept)), (3, vec![3, 4]));
    }

    #[test]
    fn a_choice_is_by_topic_or_by_cluster() {
        let all = Choice::default();
        assert!(all.holds(0, None) && all.holds(1, Some(7)));
        let some = Choice { topics: Some([2].into()), clusters: [7].into() };
        assert_eq!(
            [some.holds(2, None), some.holds(1, Some(7)), some.holds(1, Some(8)), some.holds(1, None)],
            [true, true, false, false]
        );
    }
}
