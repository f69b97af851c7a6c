//! A look at the topic now and then: partitions that were added to it, and another topic that has its name.
//!
//! The client does not tell. It reads the partitions that it was given, and when a topic was deleted and made anew it goes on where it was,
//! in the new one, as long as there is such an offset. So a thread of its own asks the brokers every [`INTERVAL`] how many partitions
//! there are and which topic it is; what it finds is handed to whoever reads next. Nothing of this is on the way of a row.
//!
//! What it does tell is not always so: a broker that has just started may answer that there is no such topic, until it is told by the
//! controller which there are. So a topic is gone when [`MISSING`] looks in a row have not found it.
//!
//! Nor does it tell when it has lost its last broker for good: a broker that stops may answer that there are no brokers, and librdkafka 2.12
//! then drops the only one that it has and sometimes looks for no other, whoever comes back. [`LOST`] looks in a row without an answer end
//! the attempt, and the next one has a new client.

use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use crate::error::{Error, ErrorKind, Result};
use crate::kafka::Watcher;
use crate::kafka::operations::{Identity, identity};
use crate::run::waits::Waits;

/// How often the topic is looked at.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long an answer may take: whoever ends the reading waits as long at most.
const ANSWER: Duration = Duration::from_secs(2);
/// Looks in a row without an answer after which the client is given up.
const LOST: u32 = 4;
/// Looks in a row that do not find the topic, or not all of its partitions, after which it is believed.
const MISSING: u32 = 3;

/// As many partitions as there may be.
const ANY: usize = usize::MAX;

/// A topic as it was opened.
pub(in crate::source) struct Opened {
    pub(super) consumer: Arc<BaseConsumer<Watcher>>,
    pub(super) topic: String,
    pub(super) identity: Identity,
    /// What hears of the brokers.
    pub(super) watcher: Watcher,
}

impl Opened {
    /// Whom it tells that the brokers are silent.
    pub(in crate::source) fn tell(&self, waits: &Waits) {
        self.watcher.tell(waits);
    }

    /// The same for whom partitions that are added mean nothing: what is read again lies in those that there were.
    pub(in crate::source) fn whole(mut self) -> Self {
        self.identity.partitions = ANY;
        self
    }
}

/// The thread that looks; it ends with its value.
pub(in crate::source) struct Watch {
    found: Arc<OnceLock<Error>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Looks from now on.
    pub(in crate::source) fn start(opened: Opened) -> Self {
        let found = Arc::<OnceLock<Error>>::default();
        let (stop, stopped) = bounded(0);
        let finding = Arc::clone(&found);
        let thread = Builder::new().name("windrow-topic".into()).spawn(move || look(&opened, &stopped, &finding));
        if thread.is_err() {
            // Whoever cannot have this thread will not get those that read either.
            let error = Error::new(ErrorKind::Environment, "E-THREAD", "cannot start a thread");
            let _ = found.set(error);
        }
        Self { found, stop: Some(stop), thread: thread.ok() }
    }

    /// What was found, as an error.
    pub(in crate::source) fn check(&self) -> Result<()> {
        self.found.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Looks until there is something to tell, or nobody wants to know.
fn look(opened: &Opened, stopped: &Receiver<()>, finding: &OnceLock<Error>) {
    let mut looks = Looks::default();
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        if let Some(error) = looks.take(opened, identity(&opened.consumer, &opened.topic, ANSWER)) {
            let _ = finding.set(error);
            return;
        }
    }
}

/// Looks in a row that did not find what is wanted.
#[derive(Default)]
struct Looks {
    unanswered: u32,
    missing: u32,
}

impl Looks {
    /// Counts a look; gives what there is to tell.
    fn take(&mut self, opened: &Opened, found: std::result::Result<Option<Identity>, KafkaError>) -> Option<Error> {
        match found {
            Err(error) => {
                self.unanswered += 1;
                (self.unanswered == LOST).then(|| lost(&opened.topic).cause(error))
            }
            Ok(now) => {
                self.unanswered = 0;
                self.seen(&opened.topic, opened.identity, now)
            }
        }
    }

    fn seen(&mut self, topic: &str, was: Identity, now: Option<Identity>) -> Option<Error> {
        match now {
            Some(now) if was.partitions == ANY || now.partitions >= was.partitions || is_another(was.id, now.id) => {
                self.missing = 0;
                changed(topic, was, now)
            }
            _ => {
                self.missing += 1;
                (self.missing == MISSING).then(|| deleted(topic))
            }
        }
    }
}

/// No broker knows it any more.
fn deleted(topic: &str) -> Error {
    Error::new(ErrorKind::Kafka, "E-KAFKA-GONE", format!("{topic} cannot be read on: the topic was deleted"))
        .hint("make it again, or end the pipeline; what was learnt is committed")
}

/// The client has no broker any more that answers.
fn lost(topic: &str) -> Error {
    let seconds = LOST * u32::try_from((INTERVAL + ANSWER).as_secs()).unwrap_or_default();
    Error::new(ErrorKind::Kafka, "E-KAFKA-AGAIN", format!("no broker has answered for {topic} in {seconds} s"))
        .hint("what was learnt is committed as far as brokers take it; start again")
}

/// What has become of a topic.
fn changed(topic: &str, was: Identity, now: Identity) -> Option<Error> {
    if is_another(was.id, now.id) {
        return Some(made_anew(topic));
    }
    (now.partitions > was.partitions).then(|| {
        let message = format!("{topic} has {} partitions now, and had {} before", now.partitions, was.partitions);
        Error::new(ErrorKind::Kafka, "E-KAFKA-PARTITIONS", message)
            .hint("start again: what was learnt is committed, and the new ones are read from their first message on")
    })
}

/// Whether two ids, as far as they are known, are those of two topics.
pub(super) fn is_another(was: u64, now: u64) -> bool {
    was != 0 && now != 0 && was != now
}

/// Another topic has the name.
pub(super) fn made_anew(topic: &str) -> Error {
    let message = format!("{topic} is not the topic that was read: it was deleted, and made anew");
    Error::new(ErrorKind::Kafka, "E-KAFKA-GONE", message)
        .cause("its id is another one, whatever offsets it holds")
        .hint("to read the new one, give --on-data-loss earliest (with what is there) or latest (with what comes next)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_partitions_and_another_topic_are_told() {
        let was = Identity { id: 7, partitions: 3 };
        let told = |id, partitions| changed("t", was, Identity { id, partitions }).map(|error| error.code);
        assert_eq!(told(7, 3), None);
        assert_eq!(told(7, 4), Some("E-KAFKA-PARTITIONS"));
        assert_eq!(told(8, 4), Some("E-KAFKA-GONE"));
        assert_eq!(told(0, 3), None, "brokers that do not tell");
        assert_eq!(changed("t", Identity { id: 0, ..was }, Identity { id: 8, partitions: 3 }), None);
    }

    #[test]
    fn a_topic_is_gone_when_it_stays_away() {
        let was = Identity { id: 7, partitions: 3 };
        let mut looks = Looks::default();
        let mut seen = |now| looks.seen("t", was, now).map(|error| error.code);
        let fewer = Some(Identity { partitions: 1, ..was });
        assert_eq!([seen(None), seen(fewer), seen(Some(was))], [None; 3], "a broker that has just started");
        assert_eq!([seen(None), seen(fewer), seen(None)], [None, None, Some("E-KAFKA-GONE")]);
        let any = Identity { partitions: ANY, ..was };
        let mut again = Looks::default();
        assert!(
            (0..=MISSING).all(|_| again.seen("t", any, fewer).is_none()),
            "what is read again lies in those that there were"
        );
        assert_eq!(seen(Some(Identity { id: 8, partitions: 1 })), Some("E-KAFKA-GONE"), "another one at once");
    }
}
