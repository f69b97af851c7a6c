//! The topic of rejects: read, sent once more, emptied.
//!
//! ```text
//! replay:  topic or Parquet ── chosen, not yet replayed ──> bytes as they were to the input ┐ one
//!                                          a note of it ──> windrow-rejects                 ┘ transaction
//! ```
//!
//! A note is a message without a value beside the reject itself: key `PIPELINE/RECORD_ID`, header `windrow-control: replayed`, the topic it
//! went to. Message and note are visible together or not at all, and the next replay reads the notes first: each reject goes to a topic
//! once, however often it is asked for or killed. So nothing is chosen while an open transaction of somebody may hide notes.
//!
//! A purge takes rejects with their notes, and so, within a segment, does retention. Of a reject of the Parquet whose own message the topic
//! has deleted nobody knows any more whether it was sent: it is, where that is wanted.

use std::collections::BTreeMap;

use rdkafka::admin::AdminOptions;
use rdkafka::message::{BorrowedMessage, Header, Message as _, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::{Offset, TopicPartitionList};
use rustc_hash::FxHashSet;
use windrow_core::record::Micros;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::ends;
use super::read::{Headers, Reader, Window, time};
use super::rights::{Need, On};
use super::topics::REJECTS;
use super::writer::{Rival, Writer};
use super::{Broker, PATIENCE};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::failpoint;
use crate::rejects::{Each, Filter, Rejected};
use crate::run::Control;
use crate::sink::topics::room;
use crate::source::MessageFormat;
use crate::source::kafka::PREFIX;

/// Most rejects, and about as many bytes, of one transaction.
const MOST: (u64, usize) = (1_000, 4 << 20);

/// A note that a reject was sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note<'a> {
    /// `PIPELINE/RECORD_ID`.
    pub key: &'a str,
    /// The topic that it went to.
    pub topic: &'a str,
    /// Code of the reason that it was rejected for.
    pub reason: &'a str,
}

/// The topic of rejects.
pub struct RejectsTopic<'a> {
    reader: Reader<'a>,
}

impl<'a> RejectsTopic<'a> {
    /// As it is now.
    ///
    /// # Errors
    /// `E-KAFKA-TOPIC`: it is not there. `E-KAFKA-…`: the brokers refuse.
    pub fn open(broker: &'a Broker, talk: &mut dyn FnMut(&str)) -> Result<Self> {
        Ok(Self { reader: Reader::open(broker, &[REJECTS.to_owned()], talk)?.0 })
    }

    /// Reads all of it. False when somebody wants to stop.
    pub fn each(&mut self, waits: (&dyn Clock, &Control), each: Each<'_>, note: &mut dyn FnMut(Note<'_>)) -> Result<bool> {
        let parts = self.reader.parts.iter().enumerate();
        let windows: Vec<Window> = parts.map(|(part, at)| Window { part, from: at.low, to: at.high }).collect();
        let mut failed = None;
        let whole = self.reader.read(&windows, waits, &mut |_, message| {
            let headers = Headers::of(message);
            if failed.is_some() {
                return true;
            }
            match headers.text("windrow-control") {
                Some("replayed") => note(Note {
                    key: message.key().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default(),
                    topic: headers.text("windrow-topic").unwrap_or_default(),
                    reason: headers.text("windrow-reason").unwrap_or_default(),
                }),
                Some(_) => {}
                None => failed = rejected(message, &headers, each).err(),
            }
            failed.is_some()
        })?;
        failed.map_or(Ok(whole), Err)
    }

    /// First offset and the one behind the last of each partition.
    pub fn extents(&self) -> Vec<Extent> {
        self.reader.parts.iter().map(|part| Extent { partition: part.partition, low: part.low, high: part.high }).collect()
    }
}

fn rejected(message: &BorrowedMessage<'_>, headers: &Headers, each: Each<'_>) -> Result<()> {
    understood(message.payload(), headers, time(message), (message.partition().into(), message.offset()), each)
}

/// What the value and the headers of a reject say.
pub(crate) fn understood(
    raw: Option<&[u8]>,
    headers: &Headers,
    time: Option<Micros>,
    (partition_read, offset): (i64, i64),
    each: Each<'_>,
) -> Result<()> {
    let text = |name: &str| headers.text(name).unwrap_or_default();
    let (topic, partition) = (text("__connect.errors.topic"), text("__connect.errors.partition"));
    let source = if partition.is_empty() { topic.to_owned() } else { format!("{PREFIX}{topic}/{partition}") };
    let bytes = headers.number::<u64>(room::BYTES);
    each(&Rejected {
        pipeline: text("windrow-pipeline"),
        record_id: text("windrow-record-id"),
        reason: text("windrow-reason"),
        source: &source,
        commit: headers.number("windrow-epoch").unwrap_or(0),
        time,
        raw,
        cut_from: bytes.filter(|bytes| raw.is_some_and(|raw| (raw.len() as u64) < *bytes)),
        rank: (time.unwrap_or(0), partition_read, offset),
    })
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its number.
    pub partition: i32,
    /// First offset.
    pub low: i64,
    /// The one behind the last.
    pub high: i64,
}

/// Which rejects go where once more.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The ones meant.
    pub filter: Filter,
    /// Where to.
    pub topic: String,
    /// How that topic's messages are written: rows of files are CSV.
    pub format: MessageFormat,
    /// Also those of which nobody knows any more whether they were sent.
    pub forgotten: bool,
    /// Whether to look only.
    pub dry_run: bool,
}

/// What was sent once more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Rejects sent, or that would be, by reason.
    pub sent: BTreeMap<String, u64>,
    /// Meant, and sent by an earlier call.
    pub before: u64,
    /// Meant, and perhaps sent by an earlier call: the topic has deleted what would say so.
    pub forgotten: u64,
    /// Meant, and without bytes to send: tombstones.
    pub empty: u64,
    /// Meant, and cut off in the topic: the Parquet has all of their bytes.
    pub cut: u64,
    /// Meant, and rows of files, which are CSV, while the topic's messages are not.
    pub of_files: u64,
    /// Whether somebody wanted to stop before the end.
    pub is_stopped: bool,
}

/// A way to go through rejects: says whether it came to the end.
pub type Through<'t> = &'t mut dyn FnMut(Each<'_>) -> Result<bool>;

/// Sends the bytes of rejects once more, each once to a topic.
///
/// # Errors
/// `E-KAFKA-TOPIC`: the topic, or that of rejects, is not there. `E-LOCKED`: another replay to the topic is on.
/// `E-KAFKA-HANGING`: notes may be hidden. `E-KAFKA-…`.
pub fn replay(
    broker: &Broker,
    order: &Replay,
    waits: (&dyn Clock, &Control),
    talk: &mut dyn FnMut(&str),
    through: Through<'_>,
) -> Result<Replayed> {
    if broker.topic(&order.topic)?.is_none() {
        let error = Error::new(ErrorKind::Kafka, "E-KAFKA-TOPIC", format!("there is no topic {}", order.topic));
        return Err(error.hint(format!("make it: windrow topics create --from-topic {}", order.topic)));
    }
    let name = format!("windrow-replay-{:016x}", xxh3_64(order.topic.as_bytes()));
    let rival = Rival::Named("another `windrow rejects replay` sends to this topic");
    // Whatever an earlier call left open is decided from here on: the notes are whole.
    let writer = if order.dry_run { None } else { Some(Writer::open(broker.config.clone(), &name, rival, None, waits.1)?) };
    let (mut replayed, mut open) = (Replayed::default(), (0, 0));
    let Some(mut noted) = Noted::read(RejectsTopic::open(broker, talk)?, &order.topic, waits)? else {
        return Ok(Replayed { is_stopped: true, ..replayed });
    };
    let whole = through(&mut |reject| {
        let Some(raw) = chosen(order, reject, &mut noted, &mut replayed) else { return Ok(()) };
        if let Some(writer) = &writer {
            if open.0 == 0 {
                writer.begin()?;
            }
            send(writer, &order.topic, reject, raw)?;
            open = (open.0 + 1, open.1 + raw.len());
            if open.0 >= MOST.0 || open.1 >= MOST.1 {
                commit(writer)?;
                open = (0, 0);
            }
        }
        *replayed.sent.entry(reject.reason.to_owned()).or_default() += 1;
        Ok(())
    })?;
    if let Some(writer) = writer.filter(|_| open.0 > 0) {
        commit(&writer)?;
    }
    Ok(Replayed { is_stopped: !whole, ..replayed })
}

/// What the topic says of rejects.
#[derive(Default)]
struct Noted {
    /// Sent to the topic.
    done: FxHashSet<u128>,
    /// Those that it holds, where it has deleted others.
    held: Option<FxHashSet<u128>>,
}

impl Noted {
    /// None when somebody wants to stop.
    fn read(mut rejects: RejectsTopic<'_>, topic: &str, waits: (&dyn Clock, &Control)) -> Result<Option<Self>> {
        if let Some(hidden) = rejects.reader.hidden.take() {
            let message = format!("nobody can say now which rejects were sent already: {hidden}");
            return Err(ends::hanging(message));
        }
        let mut done = FxHashSet::default();
        let has_begun = rejects.reader.parts.iter().any(|part| part.low > 0);
        let mut held = has_begun.then(FxHashSet::default);
        let whole = rejects.each(
            waits,
            &mut |reject| {
                held.iter_mut().for_each(|held| {
                    held.insert(identity(&key_of(reject), topic));
                });
                Ok(())
            },
            &mut |note| {
                done.insert(identity(note.key, note.topic));
            },
        )?;
        Ok(whole.then_some(Self { done, held }))
    }

    /// Whether a note of it may be gone.
    fn may_have_forgotten(&self, identity: u128) -> bool {
        self.held.as_ref().is_some_and(|held| !held.contains(&identity))
    }
}

fn commit(writer: &Writer) -> Result<()> {
    writer.settle()?;
    failpoint!("kafka-before-commit");
    writer.commit()?;
    failpoint!("kafka-after-commit");
    Ok(())
}

fn key_of(reject: &Rejected<'_>) -> String {
    format!("{}/{}", reject.pipeline, reject.record_id)
}

fn identity(key: &str, topic: &str) -> u128 {
    xxh3_128(format!("{key}\n{topic}").as_bytes())
}

/// The bytes of a reject that is meant and can be sent; counts the others.
fn chosen<'r>(order: &Replay, reject: &Rejected<'r>, noted: &mut Noted, replayed: &mut Replayed) -> Option<&'r [u8]> {
    if !order.filter.fits(reject) {
        return None;
    }
    let identity = identity(&key_of(reject), &order.topic);
    match reject.raw {
        _ if noted.done.contains(&identity) => replayed.before += 1,
        None => replayed.empty += 1,
        Some(_) if reject.cut_from.is_some() => replayed.cut += 1,
        Some(_) if !reject.is_message() && order.format != MessageFormat::Csv => replayed.of_files += 1,
        Some(_) if !order.forgotten && noted.may_have_forgotten(identity) => replayed.forgotten += 1,
        Some(raw) => {
            noted.done.insert(identity);
            return Some(raw);
        }
    }
    None
}

/// The message, and the note of it.
fn send(writer: &Writer, topic: &str, reject: &Rejected<'_>, raw: &[u8]) -> Result<()> {
    fn header<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
        Header { key, value: Some(value) }
    }
    let key = key_of(reject);
    let of = OwnedHeaders::new().insert(header("windrow-replay-of", &key));
    let message: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic).payload(raw).headers(of);
    writer.put(message)?;
    let about = OwnedHeaders::new()
        .insert(header("windrow-control", "replayed"))
        .insert(header("windrow-topic", topic))
        .insert(header("windrow-reason", reject.reason));
    let note: BaseRecord<'_, str, [u8]> = BaseRecord::to(REJECTS).key(key.as_str()).headers(about);
    writer.put(note)
}

impl Broker {
    /// Deletes what the topic of rejects holds up to these extents; gives what it holds now.
    ///
    /// # Errors
    /// `E-KAFKA-RIGHTS`: the user may not. `E-KAFKA-…`: the brokers refuse.
    pub fn purge_rejects(&self, extents: &[Extent]) -> Result<()> {
        let mut offsets = TopicPartitionList::new();
        for extent in extents.iter().filter(|extent| extent.low < extent.high) {
            let added = offsets.add_partition_offset(REJECTS, extent.partition, Offset::Offset(extent.high));
            added.map_err(|error| self.trouble(&error))?;
        }
        if offsets.count() == 0 {
            return Ok(());
        }
        let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
        let needs = [Need::new("Delete", On::Topic(REJECTS))];
        let refused = |error| self.watcher.trouble(&error, &needs);
        let deleted = pollster::block_on(self.admin()?.delete_records(&offsets, &options)).map_err(refused)?;
        deleted.elements().iter().try_for_each(|element| element.error().map_err(refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_sent_is_chosen_once_and_the_rest_is_counted() {
        let order =
            |format| Replay { filter: Filter::default(), topic: "pages".into(), format, forgotten: false, dry_run: false };
        let json = order(MessageFormat::Json);
        let message = Rejected {
            pipeline: "p",
            record_id: "0:1",
            reason: "bad_json",
            source: "kafka:pages/0",
            commit: 1,
            time: None,
            raw: Some(b"x"),
            cut_from: None,
            rank: (0, 0, 0),
        };
        let (mut noted, mut replayed) = (Noted::default(), Replayed::default());
        let mut chosen = |order: &Replay, reject: &Rejected<'static>| chosen(order, reject, &mut noted, &mut replayed);
        assert_eq!(chosen(&json, &message), Some(&b"x"[..]));
        assert_eq!(chosen(&json, &message), None);
        assert_eq!(chosen(&json, &Rejected { record_id: "0:2", raw: None, ..message }), None);
        let row = Rejected { record_id: "1:3", source: "pages.csv", ..message };
        assert_eq!(chosen(&json, &row), None);
        assert_eq!(chosen(&order(MessageFormat::Csv), &row), Some(&b"x"[..]));
        let elsewhere = Replay { topic: "others".into(), ..json.clone() };
        assert_eq!(chosen(&elsewhere, &message), Some(&b"x"[..]));
        assert_eq!(chosen(&elsewhere, &Rejected { record_id: "0:4", cut_from: Some(2), ..message }), None);
        assert_eq!((replayed.before, replayed.empty, replayed.of_files, replayed.cut), (1, 1, 1, 1));

        let held = [identity("p/0:1", "pages")].into_iter().collect();
        let (mut noted, mut replayed) = (Noted { held: Some(held), ..Noted::default() }, Replayed::default());
        let deleted = Rejected { record_id: "0:9", ..message };
        assert_eq!(
            super::chosen(&json, &message, &mut noted, &mut replayed),
            Some(&b"x"[..]),
            "its message is there: so would be its note"
        );
        assert_eq!(super::chosen(&json, &deleted, &mut noted, &mut replayed), None);
        assert_eq!(replayed.forgotten, 1);
        let forgotten = Replay { forgotten: true, ..json };
        assert_eq!(super::chosen(&forgotten, &deleted, &mut noted, &mut replayed), Some(&b"x"[..]));
    }
}
