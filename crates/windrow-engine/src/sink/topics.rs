//! Topics: pages on the topic of their cluster's slot, rejects, lineage and the commit record, one transaction an epoch.
//!
//! ```text
//! loop ── stage ──> thread: encode, send ──> Parquet's own thread
//!      ── end_epoch ─────> settle, offsets of the input, commit record, commit      while the loop learns on
//!      ── seal (roll) ───> waits until the last epoch is committed; then Parquet
//! ```
//!
//! What a transaction holds becomes visible together, for readers with `isolation.level=read_committed`. A restart learns the epochs
//! again that were committed behind the last roll: for those the topics are closed and only Parquet is written.

mod message;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::ToBytes;
use rdkafka::producer::BaseRecord;
use serde::{Deserialize, Serialize};
use windrow_core::lineage::{Happening, LineageEvent};

use crate::clock::entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::failpoint;
use crate::kafka::commits::{Claimed, Commit, check_unclaimed};
use crate::kafka::rights::{Need, On};
use crate::kafka::topics::{COMMITS, LINEAGE, REJECTS};
use crate::kafka::writer::{Rival, Writer, too_large};
use crate::kafka::{Broker, Watcher, mirror};
use crate::run::waits::Waits;
use crate::settings::{ClientKeys, words};
use crate::sink::parquet::{Inlet, ParquetSink};
use crate::sink::{PublishedFile, Sink, Staged};

use message::Encoder;

/// Batches that may wait for the thread: as many as come in while an epoch is committed.
const QUEUE_LEN: usize = 16;

/// How long a run that is to end waits for brokers.
const HURRIED: Duration = Duration::from_secs(5);

/// Which topics pages go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// One for each slot: this prefix and the slot's number.
    Slots(String),
    /// All to this one, with the cluster's id as the key.
    Keyed(String),
}

/// What the value of a page's message holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ValueShape {
    /// Everything that is known of the page.
    #[default]
    Full,
    /// Exactly what the original writes: id, creation time, main domain and description.
    Original,
}

/// What the timestamp of a page's message is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MessageTime {
    /// The time of sending: brokers delete by it.
    #[default]
    Arrival,
    /// The page's creation time, where it has one.
    Event,
}

words!(ValueShape { Full = "full", Original = "original" });
words!(MessageTime { Arrival = "arrival", Event = "event" });

/// Where pages go besides Parquet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicOutput {
    /// How the brokers are reached.
    pub keys: ClientKeys,
    /// Which topics.
    pub route: Route,
    /// Number of slots.
    pub slots: u32,
    /// What values hold.
    pub value: ValueShape,
    /// What timestamps are.
    pub time: MessageTime,
    /// Length of an epoch.
    pub epoch: Duration,
}

impl TopicOutput {
    /// The topics of pages.
    pub fn page_topics(&self) -> Vec<String> {
        match &self.route {
            Route::Slots(prefix) => (0..self.slots).map(|slot| format!("{prefix}{slot}")).collect(),
            Route::Keyed(topic) => vec![topic.clone()],
        }
    }

    /// Every topic that is written to.
    pub fn topics(&self) -> Vec<String> {
        self.page_topics().into_iter().chain([REJECTS, LINEAGE, COMMITS].map(str::to_owned)).collect()
    }
}

/// The right to write to the topics: from its opening on, every other process of the pipeline is fenced.
pub(crate) struct Claim {
    writer: Writer,
    group: BaseConsumer<Watcher>,
    group_name: String,
    pub(crate) broker: Broker,
}

/// The claims of a run, which may claim anew each time that it begins again.
#[derive(Debug)]
pub(crate) struct Claims {
    /// Its name in the records.
    run: String,
    /// Where the record of the last one stands.
    offset: Option<u64>,
}

impl Claims {
    /// None yet.
    pub(crate) fn none() -> Result<Self> {
        Ok(Self { run: entropy()?, offset: None })
    }

    /// Refuses to go on when another run has claimed the topics since.
    pub(crate) fn check(&self, output: &TopicOutput, pipeline: &str) -> Result<()> {
        self.offset.map_or(Ok(()), |offset| check_unclaimed(&Broker::new(&output.keys)?, pipeline, &self.run, offset))
    }
}

/// Looks whether all topics are there, and fences whoever wrote before.
pub(crate) fn claim(output: &TopicOutput, pipeline: &str, claims: &mut Claims, waits: &Waits) -> Result<Claim> {
    let broker = Broker::new(&output.keys)?;
    let found = broker.look()?;
    let missing: Vec<_> = output.topics().into_iter().filter(|topic| !found.topics.contains_key(topic)).collect();
    if let Some(first) = missing.first() {
        // Brokers do not list what a user may not see.
        broker.topic(first)?;
        let more = if missing.len() > 1 { format!(", and {} more", missing.len() - 1) } else { String::new() };
        let error = Error::new(ErrorKind::Kafka, "E-KAFKA-TOPIC", format!("there is no topic {first}{more}"));
        return Err(error.hint("make them with the same settings: windrow topics create"));
    }
    let mut config = broker.config.clone();
    let group_name = mirror::group_of(&config, pipeline);
    config.set("group.id", &group_name);
    let group: BaseConsumer<Watcher> =
        config.create_with_context(Watcher::of(&config)).map_err(|error| broker.trouble(&error))?;
    let name = format!("windrow-{pipeline}");
    let mut writer = Writer::open(broker.config.clone(), &name, Rival::InClaims, Some(COMMITS))?;
    writer.tell(waits);
    claims.offset = put_down(&writer, &Claimed::new(pipeline, &claims.run))?.or(claims.offset);
    failpoint!("kafka-after-claim");
    Ok(Claim { writer, group, group_name, broker })
}

/// Puts the claim on record, in a transaction of its own; gives where.
fn put_down(writer: &Writer, claimed: &Claimed) -> Result<Option<u64>> {
    let (key, value) = (claimed.key(), serde_json::to_vec(claimed).expect("plain data serializes"));
    writer.begin()?;
    let record: BaseRecord<'_, str, [u8]> = BaseRecord::to(COMMITS).key(key.as_str()).payload(&value);
    sent(writer, record)?;
    writer.settle()?;
    writer.commit()?;
    let offset = writer.last_offset();
    // What is watched from now on is the records of epochs.
    writer.forget_offset();
    Ok(offset)
}

/// Sends what has to fit.
fn sent<K: ToBytes + ?Sized>(writer: &Writer, record: BaseRecord<'_, K, [u8]>) -> Result<()> {
    let topic = record.topic;
    if writer.send(record)? { Ok(()) } else { Err(too_large(topic)) }
}

enum Message {
    Stage(Box<Staged>),
    End(Box<Commit>),
    /// Tells how it stands once everything before is done: the offset of the last commit record.
    Ask(Sender<Result<Option<u64>>>),
}

/// Writes topics, and hands everything on to Parquet.
pub(crate) struct TopicSink {
    parquet: ParquetSink,
    /// Epochs up to this one are committed: they go to Parquet alone.
    closed_until: u64,
    /// Offset of the last commit record, as far as it was asked for.
    commits: Option<u64>,
    has_failed: Arc<AtomicBool>,
    given_up: Arc<AtomicBool>,
    is_hurried: bool,
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl TopicSink {
    /// A sink that has committed epochs up to `closed_until`, the record of which stands at `commits`.
    pub(crate) fn open(
        output: &TopicOutput,
        claim: Claim,
        parquet: ParquetSink,
        pipeline: &str,
        closed_until: u64,
    ) -> Result<Self> {
        let (sender, receiver) = bounded(QUEUE_LEN);
        let has_failed = Arc::new(AtomicBool::new(false));
        let given_up = claim.writer.given_up();
        let Claim { writer, group, group_name, .. } = claim;
        let work = Thread {
            writer,
            group,
            group_name,
            encoder: Encoder::new(output, pipeline),
            parquet: parquet.inlet(),
            has_failed: Arc::clone(&has_failed),
            is_open: false,
        };
        let thread = std::thread::Builder::new()
            .name("windrow-topics".into())
            .spawn(move || work.run(&receiver))
            .map_err(|error| Error::new(ErrorKind::Environment, "E-THREAD", "cannot start the writer thread").cause(error))?;
        Ok(Self {
            parquet,
            closed_until,
            commits: None,
            has_failed,
            given_up,
            is_hurried: false,
            sender: Some(sender),
            thread: Some(thread),
        })
    }

    fn send(&self, message: Message) -> Result<()> {
        if self.has_failed.load(Ordering::Acquire) {
            self.ask()?;
        }
        self.sender.as_ref().expect("the sender lives until drop").send(message).map_err(|_| gone())
    }

    /// Waits until everything sent is done, and every epoch that was ended is committed.
    fn ask(&self) -> Result<Option<u64>> {
        let (reply, answer) = bounded(1);
        let sender = self.sender.as_ref().expect("the sender lives until drop");
        sender.send(Message::Ask(reply)).map_err(|_| gone())?;
        if self.is_hurried {
            match answer.recv_timeout(HURRIED) {
                Err(RecvTimeoutError::Timeout) => self.given_up.store(true, Ordering::Release),
                answer => return answer.unwrap_or_else(|_| Err(gone())),
            }
        }
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }
}

fn no_metadata() -> Error {
    Error::new(ErrorKind::Internal, "E-KAFKA", "the consumer group of the pipeline has no metadata")
}

fn gone() -> Error {
    Error::new(ErrorKind::Internal, "E-WRITER", "the writer of the topics stopped without saying why")
}

impl Sink for TopicSink {
    fn stage(&mut self, staged: Staged) -> Result<()> {
        if staged.epoch <= self.closed_until { self.parquet.stage(staged) } else { self.send(Message::Stage(Box::new(staged))) }
    }

    fn staged_bytes(&self) -> u64 {
        self.parquet.staged_bytes()
    }

    fn end_epoch(&mut self, commit: Commit) -> Result<()> {
        if commit.epoch <= self.closed_until { Ok(()) } else { self.send(Message::End(Box::new(commit))) }
    }

    fn seal(&mut self, epoch: u64) -> Result<Vec<PublishedFile>> {
        self.commits = self.ask()?.or(self.commits);
        self.parquet.seal(epoch)
    }

    fn commits(&self) -> Option<u64> {
        self.commits
    }

    fn publish(&mut self, files: &[PublishedFile]) -> Result<()> {
        self.parquet.publish(files)
    }

    fn hurry(&mut self) {
        self.is_hurried = true;
    }
}

impl Drop for TopicSink {
    fn drop(&mut self) {
        // Whoever drops it without having sealed wants nothing of the open epoch.
        self.given_up.store(true, Ordering::Release);
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's own things.
struct Thread {
    writer: Writer,
    /// Its metadata names it in transactions.
    group: BaseConsumer<Watcher>,
    group_name: String,
    encoder: Encoder,
    parquet: Inlet,
    has_failed: Arc<AtomicBool>,
    /// Whether a transaction is open.
    is_open: bool,
}

impl Thread {
    /// After a failure nothing more is written, and whoever asks gets to know why.
    fn run(mut self, messages: &Receiver<Message>) {
        let mut failure: Option<Error> = None;
        for message in messages {
            let done = match message {
                Message::Ask(reply) => {
                    let answer = failure.clone().map_or_else(|| Ok(self.writer.last_offset()), Err);
                    // The loop waits for the answer, or is gone and needs none.
                    let _ = reply.send(answer);
                    Ok(())
                }
                _ if failure.is_some() => Ok(()),
                Message::Stage(staged) => self.stage(*staged),
                Message::End(commit) => self.commit(&commit),
            };
            if let Err(error) = done {
                failure = Some(error);
                self.has_failed.store(true, Ordering::Release);
            }
        }
    }

    fn begin(&mut self) -> Result<()> {
        if !self.is_open {
            self.writer.begin()?;
            self.is_open = true;
        }
        Ok(())
    }

    fn stage(&mut self, staged: Staged) -> Result<()> {
        self.begin()?;
        let mut lineage = staged.outcome.lineage.iter().peekable();
        for (row, position) in (0..staged.prepared.pages.len()).zip(staged.outcome.position..) {
            // An owner is announced behind the last page of the one before, and before the first of its own.
            while let Some(event) = lineage.next_if(|event| event.position <= position) {
                self.announce(staged.epoch, event)?;
            }
            if !self.writer.send(self.encoder.page(&staged, row))? {
                return Err(too_large(self.encoder.topic(staged.outcome.decisions[row].slot)));
            }
        }
        lineage.try_for_each(|event| self.announce(staged.epoch, event))?;
        for reject in &staged.prepared.rejects {
            let record = self.encoder.reject(staged.epoch, reject, &staged.sources);
            if !self.writer.send(record)? {
                return Err(too_large(REJECTS));
            }
        }
        for event in &staged.outcome.lineage {
            sent(&self.writer, self.encoder.lineage(staged.epoch, event))?;
        }
        self.writer.pause(Duration::ZERO);
        failpoint!("kafka-after-send");
        self.parquet.stage(staged)
    }

    fn announce(&mut self, epoch: u64, event: &LineageEvent) -> Result<()> {
        if let Happening::ClusterBorn { slot, .. } = event.happening
            && let Some(control) = self.encoder.owner(epoch, event, slot)
        {
            sent(&self.writer, control)?;
        }
        Ok(())
    }

    fn commit(&mut self, commit: &Commit) -> Result<()> {
        self.begin()?;
        let (key, value) = (commit.key(), serde_json::to_vec(commit).expect("plain data serializes"));
        let record: BaseRecord<'_, str, [u8]> = BaseRecord::to(COMMITS).key(key.as_str()).payload(&value);
        sent(&self.writer, record)?;
        self.writer.settle()?;
        failpoint!("kafka-before-offsets");
        let offsets = mirror::offsets(commit.positions.iter().map(|(name, offset)| (name.as_str(), *offset)));
        if offsets.count() > 0 {
            let input: Vec<String> = offsets.elements().iter().map(|element| element.topic().to_owned()).collect();
            let topics = input.iter().map(|topic| Need::new("Read", On::Topic(topic)));
            let needs: Vec<_> = topics.chain([Need::new("Read", On::Group(&self.group_name))]).collect();
            let group = self.group.group_metadata().ok_or_else(no_metadata)?;
            self.writer.offsets(offsets, group, &needs)?;
        }
        failpoint!("kafka-before-commit");
        self.writer.commit()?;
        self.is_open = false;
        failpoint!("kafka-after-commit");
        Ok(())
    }
}
