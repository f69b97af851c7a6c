//! Where partitions end, and waiting until readers of committed messages see it.
//!
//! A commit is answered before its markers stand in all partitions, and an open transaction of anybody hides what lies behind it. So the
//! end that such a reader sees (the last stable offset) may lie before what was committed a moment ago. Who asks what a topic holds
//! takes the end that everybody sees, waits until the stable one has come to it, and says so where it does not come.
//!
//! Only lengths are asked for: a transaction that began after the question is not waited for.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::rights::{Need, On, code_of};
use super::{Broker, PATIENCE, Watcher};
use crate::error::{Error, ErrorKind, Result};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Looks after which somebody is told what is waited for, and after which nobody waits any more.
const TELLING: usize = 10;
const LOOKS: usize = 50;

/// A partition by the name of its topic.
pub(crate) type Place<'t> = (&'t str, i32);

/// Where partitions end.
#[derive(Debug)]
pub(crate) struct Ends {
    /// For readers of committed messages.
    pub(crate) stable: Vec<i64>,
    /// Offsets behind that, which open transactions hide.
    pub(crate) hidden: Vec<i64>,
}

impl Broker {
    /// Waits some seconds until readers of committed messages see all that is there now; `committed` is one of them.
    pub(crate) fn settled(
        &self,
        committed: &BaseConsumer<Watcher>,
        places: &[Place<'_>],
        talk: &mut dyn FnMut(&str),
    ) -> Result<Ends> {
        let everything = self.consumer(&[("isolation.level", "read_uncommitted")])?;
        let all = self.ends(&everything, places, Offset::End)?;
        let mut looks = 0;
        loop {
            let stable = self.ends(committed, places, Offset::End)?;
            let hidden: Vec<i64> = all.iter().zip(&stable).map(|(all, stable)| (all - stable).max(0)).collect();
            let first = hidden.iter().position(|hidden| *hidden > 0);
            let Some(first) = first.filter(|_| looks < LOOKS) else { return Ok(Ends { stable, hidden }) };
            if looks == TELLING {
                talk(&format!("{}: waiting for it", standing(places[first], stable[first])));
            }
            let _ = crossbeam_channel::never::<()>().recv_timeout(PAUSE);
            looks += 1;
        }
    }

    /// One end of each partition. In a question for times, the codes of the two ends stand for themselves.
    pub(crate) fn ends(&self, asked: &BaseConsumer<Watcher>, places: &[Place<'_>], end: Offset) -> Result<Vec<i64>> {
        let mut wanted = TopicPartitionList::with_capacity(places.len());
        for &(topic, partition) in places {
            let added = wanted.add_partition_offset(topic, partition, end);
            added.map_err(|error| self.trouble_of(&error, topic))?;
        }
        let first = places.first().map_or("", |place| place.0);
        let found = asked.offsets_for_times(wanted, PATIENCE).map_err(|error| self.trouble_of(&error, first))?;
        let offset = |&(topic, partition): &Place<'_>| {
            let Some(element) = found.find_partition(topic, partition) else { return Ok(0) };
            element.error().map_err(|error| self.trouble_of(&error, topic))?;
            Ok(match element.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            })
        };
        places.iter().map(offset).collect()
    }

    /// The sentence for an error of reading a topic.
    pub(crate) fn trouble_of(&self, error: &KafkaError, topic: &str) -> Error {
        let said = self.trouble(error);
        let refused = code_of(error) == Some(Code::TopicAuthorizationFailed);
        if refused { self.watcher.trouble(error, &[Need::new("Read", On::Topic(topic))]) } else { said }
    }
}

/// What stands before the end.
fn standing((topic, partition): Place<'_>, stable: i64) -> String {
    format!("an open transaction of another producer stands in {topic} partition {partition} at offset {stable}")
}

/// The sentence for what stays hidden; none when nothing does.
pub(crate) fn hidden(places: &[Place<'_>], ends: &Ends) -> Option<String> {
    let standing_at = |(at, hidden): (usize, &i64)| (*hidden > 0).then_some((at, *hidden));
    let found: Vec<(usize, i64)> = ends.hidden.iter().enumerate().filter_map(standing_at).collect();
    let &(at, offsets) = found.first()?;
    let more = if found.len() > 1 { format!(" (and so in {} partitions more)", found.len() - 1) } else { String::new() };
    let what = standing(places[at], ends.stable[at]);
    Some(format!("{what}, and hides the {offsets} offsets from there on{more}"))
}

/// How such a transaction is found.
pub(crate) const HANGING_HINT: &str =
    "find it with `kafka-transactions.sh find-hanging`, or wait until its producer or the broker ends it";

/// The error where nothing may stay hidden.
pub(crate) fn hanging(what: String) -> Error {
    Error::new(ErrorKind::Kafka, "E-KAFKA-HANGING", what).hint(HANGING_HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_told_by_the_first_place_of_it() {
        let places = [("a", 0), ("a", 1), ("b", 0)];
        let told = |hidden: [i64; 3]| hidden_in(&places, hidden);
        assert_eq!(told([0, 0, 0]), None);
        let one = "an open transaction of another producer stands in a partition 1 at offset 7, and hides the 3 offsets from there on";
        assert_eq!(told([0, 3, 0]).unwrap(), one);
        assert_eq!(told([0, 3, 1]).unwrap(), format!("{one} (and so in 1 partitions more)"));
    }

    fn hidden_in(places: &[Place<'_>], hidden: [i64; 3]) -> Option<String> {
        super::hidden(places, &Ends { stable: vec![5, 7, 9], hidden: hidden.to_vec() })
    }
}
