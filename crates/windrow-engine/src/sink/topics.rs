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

pub(crate) mod message;
pub(crate) mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::BaseRecord;
use serde::{Deserialize, Serialize};
use windrow_core::lineage::{Happening, LineageEvent};

use crate::clock::{Clock as _, SystemClock, entropy};
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::failpoint;
use crate::kafka::commits::{Claimed, Commit, check_unclaimed};
use crate::kafka::longest::{Longest, bound_waiting};
use crate::kafka::rights::{Need, On};
use crate::kafka::topics::{COMMITS, LINEAGE, REJECTS};
use crate::kafka::writer::{Rival, Writer};
use crate::kafka::{Broker, Watcher, mirror, named};
use crate::run::{Control, HURRIED};
use crate::settings::{ClientKeys, endless, words};
use crate::sink::parquet::{Inlet, ParquetSink};
use crate::sink::{PublishedFile, Sink, Staged};

use message::Encoder;

/// Batches that may wait for the thread: as many as come in while an epoch is committed.
const QUEUE_LEN: usize = 16;

/// How often whoever waits looks whether the run is to end.
const LOOK: Duration = Duration::from_millis(100);

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

/// What a page is keyed by in the topic of its cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MessageKey {
    /// Its registrable domain: the pages of a site stay in order.
    #[default]
    Domain,
    /// Its record id: pages spread evenly over partitions.
    RecordId,
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
words!(MessageKey { Domain = "domain", RecordId = "record_id" });
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
    /// What pages are keyed by.
    pub key: MessageKey,
    /// What timestamps are.
    pub time: MessageTime,
    /// Length of an epoch.
    pub epoch: Duration,
    /// Bytes that all queues together may hold: what waits for brokers has its share.
    pub memory_bytes: u64,
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
    longest: Longest,
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
    pub(crate) fn check(&self, output: &TopicOutput, pipeline: &str, control: &Control) -> Result<()> {
        let Some(offset) = self.offset else { return Ok(()) };
        check_unclaimed(&Broker::new(&output.keys)?, pipeline, &self.run, offset, control)
    }
}

/// Looks whether all topics are there, and fences whoever wrote before.
pub(crate) fn claim(output: &TopicOutput, pipeline: &str, claims: &mut Claims, control: &Control) -> Result<Claim> {
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
    // A value of a file of Java's clients is known only here.
    let epoch_ms = u64::try_from(output.epoch.as_millis()).unwrap_or(u64::MAX);
    if let Some(told) = endless(epoch_ms, broker.config.get("transaction.timeout.ms")) {
        return Err(Error::new(ErrorKind::Invalid, "E-SETTINGS", told));
    }
    let mut of_writer = broker.config.clone();
    bound_waiting(output.memory_bytes, &mut of_writer);
    let longest = Longest::ask(&broker, &of_writer, &output.topics());
    longest.bound_batches(&mut of_writer);
    let mut config = broker.config.clone();
    let group_name = mirror::group_of(&config, pipeline);
    config.set("group.id", &group_name);
    named(&mut config, pipeline, "positions");
    let group: BaseConsumer<Watcher> =
        config.create_with_context(Watcher::of(&config)).map_err(|error| broker.trouble(&error))?;
    let name = format!("windrow-{pipeline}");
    let mut writer = Writer::open(of_writer, &name, Rival::InClaims, Some(COMMITS), control)?;
    writer.know(longest.clone());
    let claimed = Claimed::new(pipeline, &claims.run);
    claims.offset = heeding(control, &writer.given_up(), || put_down(&writer, &claimed))?.or(claims.offset);
    failpoint!("kafka-after-claim");
    Ok(Claim { writer, group, group_name, longest, broker })
}

/// Does what waits for brokers, which is given up when a run that is to end has waited for them long enough.
fn heeding<T: Send>(control: &Control, given_up: &AtomicBool, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let (tell, told) = bounded(1);
    std::thread::scope(|scope| {
        // Somebody listens until it is told.
        let working = Builder::new().name("windrow-claim".into()).spawn_scoped(scope, move || drop(tell.send(work())));
        working.map_err(no_thread)?;
        loop {
            match told.recv_timeout(LOOK) {
                Ok(done) => return done,
                Err(RecvTimeoutError::Timeout) if control.gives_up() => given_up.store(true, Ordering::Release),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            }
        }
    })
}

/// Puts the claim on record, in a transaction of its own; gives where.
fn put_down(writer: &Writer, claimed: &Claimed) -> Result<Option<u64>> {
    let (key, value) = (claimed.key(), serde_json::to_vec(claimed).expect("plain data serializes"));
    writer.begin()?;
    let record: BaseRecord<'_, str, [u8]> = BaseRecord::to(COMMITS).key(key.as_str()).payload(&value);
    writer.put(record)?;
    writer.settle()?;
    writer.commit()?;
    let offset = writer.last_offset();
    // What is watched from now on is the records of epochs.
    writer.forget_offset();
    Ok(offset)
}

enum Message {
    Stage(Box<Staged>),
    End(Box<Commit>),
    /// Tells how it stands once everything before is done: the offset of the last commit record.
    Ask(Sender<Result<Option<u64>>>),
}

/// Writes topics, and hands everything on to Parquet.
pub(crate) struct TopicSink<'c> {
    parquet: ParquetSink,
    /// Epochs up to this one are committed: they go to Parquet alone.
    closed_until: u64,
    /// Offset of the last commit record, as far as it was asked for.
    commits: Option<u64>,
    has_failed: Arc<AtomicBool>,
    given_up: Arc<AtomicBool>,
    /// Who may want the run to end while it waits here; and when it has waited long enough, where it ends for another reason.
    control: &'c Control,
    clock: SystemClock,
    until: Option<Duration>,
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl<'c> TopicSink<'c> {
    /// A sink that has committed epochs up to `closed_until`, for a run that is asked to end by `control`.
    pub(crate) fn open(
        output: &TopicOutput,
        claim: Claim,
        parquet: ParquetSink,
        (pipeline, kept): (&str, Vec<String>),
        (closed_until, control): (u64, &'c Control),
    ) -> Result<Self> {
        let (sender, receiver) = bounded(QUEUE_LEN);
        let has_failed = Arc::new(AtomicBool::new(false));
        let given_up = claim.writer.given_up();
        let Claim { writer, group, group_name, longest, .. } = claim;
        let work = Thread {
            writer,
            group,
            group_name,
            encoder: Encoder::new(output, pipeline, kept, longest.most(REJECTS)),
            parquet: parquet.inlet(),
            has_failed: Arc::clone(&has_failed),
            is_open: false,
        };
        let thread = Builder::new().name("windrow-topics".into()).spawn(move || work.run(&receiver)).map_err(no_thread)?;
        Ok(Self {
            parquet,
            closed_until,
            commits: None,
            has_failed,
            given_up,
            control,
            clock: SystemClock::new(),
            until: None,
            sender: Some(sender),
            thread: Some(thread),
        })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        if self.has_failed.load(Ordering::Acquire) {
            self.ask()?;
        }
        self.hand_over(message)
    }

    /// Hands a message to the thread, once there is room.
    fn hand_over(&mut self, mut message: Message) -> Result<()> {
        loop {
            let sender = self.sender.as_ref().expect("the sender lives until drop");
            match sender.send_timeout(message, LOOK) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(back)) => message = back,
                Err(SendTimeoutError::Disconnected(_)) => return Err(gone()),
            }
            self.look();
        }
    }

    /// Waits until everything sent is done, and every epoch that was ended is committed.
    fn ask(&mut self) -> Result<Option<u64>> {
        let (reply, answer) = bounded(1);
        self.hand_over(Message::Ask(reply))?;
        loop {
            match answer.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            }
        }
    }

    /// Gives the brokers up when a run that is to end has waited for them long enough: the thread then ends with an error, which whoever
    /// waits is told.
    fn look(&mut self) {
        if self.control.gives_up() || self.until.is_some_and(|until| self.clock.elapsed() >= until) {
            self.given_up.store(true, Ordering::Release);
        }
    }
}

fn no_thread(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Environment, "E-THREAD", "cannot start the writer thread").cause(error)
}

fn no_metadata() -> Error {
    Error::new(ErrorKind::Internal, "E-KAFKA", "the consumer group of the pipeline has no metadata")
}

fn gone() -> Error {
    Error::new(ErrorKind::Internal, "E-WRITER", "the writer of the topics stopped without saying why")
}

impl Sink for TopicSink<'_> {
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
        self.until.get_or_insert_with(|| self.clock.elapsed() + HURRIED);
    }
}

impl Drop for TopicSink<'_> {
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
            self.writer.put(self.encoder.page(&staged, row))?;
        }
        lineage.try_for_each(|event| self.announce(staged.epoch, event))?;
        for reject in &staged.prepared.rejects {
            self.writer.put(self.encoder.reject(staged.epoch, reject, &staged.sources))?;
        }
        for event in &staged.outcome.lineage {
            self.writer.put(self.encoder.lineage(staged.epoch, event))?;
        }
        self.writer.pause(Duration::ZERO);
        failpoint!("kafka-after-send");
        self.parquet.stage(staged)
    }

    fn announce(&mut self, epoch: u64, event: &LineageEvent) -> Result<()> {
        if let Happening::ClusterBorn { slot, .. } = event.happening
            && let Some(control) = self.encoder.owner(epoch, event, slot)
        {
            self.writer.put(control)?;
        }
        Ok(())
    }

    fn commit(&mut self, commit: &Commit) -> Result<()> {
        self.begin()?;
        let (key, value) = (commit.key(), serde_json::to_vec(commit).expect("plain data serializes"));
        let record: BaseRecord<'_, str, [u8]> = BaseRecord::to(COMMITS).key(key.as_str()).payload(&value);
        self.writer.put(record)?;
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
