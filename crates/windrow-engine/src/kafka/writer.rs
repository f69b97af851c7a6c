//! A transactional producer: messages of many topics, and offsets, in view together or not at all.
//!
//! The client has traps. A commit that has messages to wait for polls in steps of 100 ms, so they are waited for here; and a wait of its
//! own spins, so nothing waits in it. An answer that says
//! "again" leaves the outcome open, and only the same call can find out: nothing is ever aborted after that. And a new producer of the
//! same name waits in [`Writer::open`] until what the last one left open is decided; from then on the last one is fenced.
//!
//! The calls that end a transaction can stay away for ever, whatever time they are given (librdkafka's issue 5456): another thread makes
//! them, and is left behind with its client when it does not come back.
//!
//! Why a transaction cannot go on shows first in whatever call comes next, as a state that does not fit. So every error looks for its
//! cause: a fence, then the first message that was refused, then the call's own.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Message as _, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use super::Watcher;
use super::refused::refused_key;
use super::rights::{Need, On};
use crate::error::{Error, ErrorKind, Result};
use crate::run::waits::{Waits, Watch, Who};

/// How long a broker may take to begin or end a transaction before we ask again.
const ANSWER: Duration = Duration::from_secs(5);
/// How long we ask again at most, and how long we wait before, where the answer came at once.
const LONGEST: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_millis(20);
/// How long we wait for room in the client's queue, or for an acknowledgement, before we look again.
const LOOK: Duration = Duration::from_millis(1);
/// Between two looks at a call that another thread makes, and looks until it is given up: longer than the client's own time for it.
const STEP: Duration = Duration::from_millis(100);
const STEPS: usize = 300;
/// Looks for the cause of a failure: the report of a message is on its way while the call is refused already.
const LOOKS: usize = 100;

/// A call to the client, and what it answers.
trait Call: Fn(&BaseProducer<Deliveries>) -> Answer + Send + Sync + 'static {}
impl<F: Fn(&BaseProducer<Deliveries>) -> Answer + Send + Sync + 'static> Call for F {}
type Answer = std::result::Result<(), KafkaError>;

/// What happens to messages.
#[derive(Debug, Clone, Default)]
struct Deliveries {
    watcher: Watcher,
    /// The first failure.
    failed: Arc<Mutex<Option<(KafkaError, String)>>>,
    /// The topic whose offsets somebody wants to know, and the last one of them.
    watched: Option<&'static str>,
    last_offset: Arc<AtomicI64>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.watcher.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.watcher.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) if self.watched == Some(message.topic()) => {
                self.last_offset.store(message.offset(), Ordering::Release);
            }
            Ok(_) => {}
            Err((error, message)) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(first, _)| is_echo(first) && !is_echo(error)) {
                    *failed = Some((error.clone(), message.topic().to_owned()));
                }
            }
        }
    }
}

/// Whether an error only follows from an earlier one.
fn is_echo(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::PurgeQueue | Code::PurgeInflight | Code::State | Code::Fatal))
}

/// Who else may write under a transactional name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rival {
    /// Whoever it is, it is named so: the fence ends the call.
    Named(&'static str),
    /// The record of claims says who it was, or that a transaction just took too long.
    InClaims,
}

/// The producer.
pub(crate) struct Writer {
    producer: Arc<BaseProducer<Deliveries>>,
    deliveries: Deliveries,
    /// Its transactional name.
    name: String,
    rival: Rival,
    /// Set from outside when nobody wants to wait any more.
    given_up: Arc<AtomicBool>,
    /// Whom it tells that it waits.
    waits: Waits,
}

impl Writer {
    /// Connects under a transactional name, and ends what an earlier producer of that name left open.
    pub(crate) fn open(mut config: ClientConfig, name: &str, rival: Rival, watched: Option<&'static str>) -> Result<Self> {
        config.set("transactional.id", name).set("enable.idempotence", "true");
        let ours = [
            ("linger.ms", "100"),
            ("compression.type", "lz4"),
            // What waits for brokers; the client's overhead for a message is as large as the message.
            ("queue.buffering.max.kbytes", "65536"),
            ("queue.buffering.max.messages", "30000"),
            // As Java's clients do: the same key goes to the same partition whoever writes it.
            ("partitioner", "murmur2_random"),
            // The broker's own limit decides.
            ("message.max.bytes", "16777216"),
        ];
        for (key, value) in ours {
            if config.get(key).is_none() {
                config.set(key, value);
            }
        }
        let watcher = Watcher::of(&config);
        let deliveries = Deliveries { watcher, watched, last_offset: Arc::new(AtomicI64::new(-1)), ..Deliveries::default() };
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(deliveries.clone()).map_err(|error| refused_key(&error))?;
        let (given_up, producer) = (Arc::default(), Arc::new(producer));
        let writer = Self { producer, deliveries, name: name.to_owned(), rival, given_up, waits: Waits::default() };
        writer.producer.init_transactions(Duration::from_secs(90)).map_err(|error| writer.trouble(&error, &[]))?;
        Ok(writer)
    }

    /// Whom it tells from now on that it waits.
    pub(crate) fn tell(&mut self, waits: &Waits) {
        self.waits = waits.clone();
    }

    /// What makes every wait end with an error.
    pub(crate) fn given_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.given_up)
    }

    /// Offset of the last message of the watched topic that a broker has taken.
    pub(crate) fn last_offset(&self) -> Option<u64> {
        u64::try_from(self.deliveries.last_offset.load(Ordering::Acquire)).ok()
    }

    /// Forgets it.
    pub(crate) fn forget_offset(&self) {
        self.deliveries.last_offset.store(-1, Ordering::Release);
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) -> Result<()> {
        self.producer.begin_transaction().map_err(|error| self.trouble(&error, &[]))
    }

    /// Sends one message; false when the client itself would not take it, for its length.
    pub(crate) fn send<K: ToBytes + ?Sized, P: ToBytes + ?Sized>(&self, mut record: BaseRecord<'_, K, P>) -> Result<bool> {
        let mut full = None;
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    full.into_iter().for_each(Patience::done);
                    return Ok(true);
                }
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    self.pause(LOOK);
                    self.check()?;
                    full.get_or_insert_with(|| self.patience()).look();
                }
                Err((KafkaError::MessageProduction(Code::MessageSizeTooLarge), _)) => return Ok(false),
                Err((error, back)) => return Err(self.trouble(&error, &[Need::new("Write", On::Topic(back.topic))])),
            }
        }
    }

    /// Lets time pass, and the client work. The client's own wait would spin through its last millisecond, and take the processor from
    /// a broker on the same machine.
    pub(crate) fn pause(&self, time: Duration) {
        self.hear();
        if !time.is_zero() {
            let _ = crossbeam_channel::never::<()>().recv_timeout(time);
            self.hear();
        }
    }

    /// Takes the client's reports. Each call takes one, which is of a batch of messages.
    fn hear(&self) {
        let mut in_flight = self.producer.in_flight_count();
        loop {
            self.producer.poll(Duration::ZERO);
            let left = self.producer.in_flight_count();
            if left >= in_flight {
                return;
            }
            in_flight = left;
        }
    }

    /// Waits until brokers have taken everything that was sent. From now on messages do not wait for company any more (`linger.ms`).
    pub(crate) fn settle(&self) -> Result<()> {
        let patience = self.patience();
        while self.producer.in_flight_count() > 0 {
            self.push();
            self.hear();
            self.check()?;
            patience.look();
        }
        self.check()?;
        patience.done();
        Ok(())
    }

    /// Sends what waits for company, and lets a moment pass. The safe interface asks with no time at all, which is over before the client
    /// has sent anything.
    fn push(&self) {
        let client = self.producer.client().native_ptr();
        let moment = i32::try_from(LOOK.as_millis()).expect("a moment is short");
        #[expect(unsafe_code, reason = "the client's safe interface has no flush that sends")]
        // SAFETY: the producer lives as long as `self`, and the call takes it from any thread. Its answer, whether messages are left,
        // the caller finds out for itself.
        unsafe {
            rdkafka::bindings::rd_kafka_flush(client, moment);
        }
    }

    /// Puts a group's offsets into the transaction, which needs these rights.
    pub(crate) fn offsets(&self, offsets: TopicPartitionList, group: ConsumerGroupMetadata, needs: &[Need<'_>]) -> Result<()> {
        self.again_while_retriable(needs, move |producer| producer.send_offsets_to_transaction(&offsets, &group, ANSWER))
    }

    /// Commits the transaction, whose messages are settled.
    pub(crate) fn commit(&self) -> Result<()> {
        self.again_while_retriable(&[], |producer| producer.commit_transaction(ANSWER))
    }

    /// Calls again while that may help. A client that has lost its brokers for good never gets an answer; a new one finds out what became of
    /// the transaction.
    fn again_while_retriable(&self, needs: &[Need<'_>], call: impl Call) -> Result<()> {
        let (patience, call) = (self.patience(), Arc::new(call));
        let mut waited = Duration::ZERO;
        loop {
            match self.elsewhere(&patience, &call)? {
                Ok(()) => {
                    patience.done();
                    return Ok(());
                }
                Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                    self.check()?;
                    if waited >= LONGEST {
                        return Err(self.unanswered().cause(error));
                    }
                    waited += if error.code() == Code::OperationTimedOut { ANSWER } else { BETWEEN };
                    self.pause(BETWEEN);
                }
                Err(error) => return Err(self.trouble(&error, needs)),
            }
            patience.look();
        }
    }

    /// Makes a call on a thread of its own.
    fn elsewhere(&self, patience: &Patience<'_>, call: &Arc<impl Call>) -> Result<Answer> {
        let (tell, told) = bounded(1);
        let (producer, call) = (Arc::clone(&self.producer), Arc::clone(call));
        // Nobody listens any more when the call was given up.
        let make = move || drop(tell.send(call(&producer)));
        let thread = Builder::new().name("windrow-transaction".into()).spawn(make);
        thread.map_err(|error| Error::new(ErrorKind::Environment, "E-THREAD", "cannot start a thread").cause(error))?;
        for _ in 0..STEPS {
            match told.recv_timeout(STEP) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.check()?;
            patience.look();
        }
        Err(self.unanswered().cause("the client's call did not come back"))
    }

    /// What became of the transaction only a new producer can find out.
    fn unanswered(&self) -> Error {
        let message = format!("the brokers at {} did not end the transaction in time", self.servers());
        Error::new(ErrorKind::Kafka, "E-KAFKA-AGAIN", message)
            .hint("whether it is committed shows when it is called again: it goes on from there")
    }

    fn patience(&self) -> Patience<'_> {
        let watcher = &self.deliveries.watcher;
        Patience { watch: self.waits.watch(Who::Topics), watcher, said_before: watcher.n_said() }
    }

    fn check(&self) -> Result<()> {
        if self.given_up.load(Ordering::Acquire) {
            let error = Error::new(ErrorKind::Kafka, "E-KAFKA-AGAIN", "ended before the brokers had answered");
            return Err(error.hint("the same command goes on from the last commit"));
        }
        match self.failed() {
            Some((error, topic)) => Err(self.trouble(&error, &[Need::new("Write", On::Topic(&topic))])),
            None => Ok(()),
        }
    }

    /// The first message that was refused, and its topic.
    fn failed(&self) -> Option<(KafkaError, String)> {
        self.deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, once its report has come, if it comes within so many looks.
    fn refused_message(&self, looks: usize) -> Option<(KafkaError, String)> {
        (0..looks).find_map(|_| {
            self.pause(LOOK);
            self.failed().filter(|(error, _)| !is_echo(error))
        })
    }

    fn is_fenced(&self, error: &KafkaError) -> bool {
        let code = match error {
            KafkaError::Transaction(of_transaction) => Some(of_transaction.code()),
            other => other.rdkafka_error_code(),
        };
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        let fences = [Code::Fenced, Code::InvalidProducerEpoch, Code::ProducerFenced];
        [code, fatal].into_iter().flatten().any(|code| fences.contains(&code))
    }

    fn fenced(&self) -> Error {
        match self.rival {
            Rival::Named(who) => Error::new(ErrorKind::Fenced, "E-FENCED", who).hint(
                "let the other one go on, or end it and call this one again: it goes on where it stopped. Where there is no other, this one \
                 stood still for longer than a transaction may last (transaction.timeout.ms)",
            ),
            Rival::InClaims => again(format!("the brokers at {} ended the transaction, as too old or another's", self.servers())),
        }
    }

    /// The sentence for an error of a call that needs these rights, besides those that any transaction needs. What a new producer can
    /// mend has the code `E-KAFKA-AGAIN`.
    pub(crate) fn trouble(&self, error: &KafkaError, needs: &[Need<'_>]) -> Error {
        let transaction = Need::new("Write", On::TransactionalId(&self.name));
        let said = |error: &KafkaError, needs: &[Need<'_>]| {
            let needs: Vec<_> = needs.iter().copied().chain([transaction]).collect();
            self.deliveries.watcher.trouble(error, &needs)
        };
        // A right that is lacking shows as messages thrown away and transactions to be ended: the log has the cause.
        let refused = said(error, needs);
        if refused.code == "E-KAFKA-RIGHTS" {
            return refused;
        }
        let is_over = match error {
            KafkaError::Transaction(error) => error.txn_requires_abort() || error.is_fatal(),
            other => is_echo(other),
        };
        let message = self.refused_message(if is_over { LOOKS } else { 1 });
        let (is_fenced, topic) = (self.is_fenced(error), message.as_ref().map(|(_, topic)| topic.as_str()));
        let error = message.as_ref().map_or(error, |(error, _)| error);
        if is_fenced || self.is_fenced(error) {
            return self.fenced();
        }
        match (error.rdkafka_error_code(), topic) {
            (Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize), Some(topic)) => too_large(topic),
            (Some(Code::UnknownTopicOrPartition | Code::UnknownTopic), Some(topic)) => {
                Error::new(ErrorKind::Kafka, "E-KAFKA-TOPIC", format!("there is no topic {topic} any more"))
                    .hint("make it again: windrow topics create")
            }
            (Some(Code::MessageTimedOut), _) => {
                again(format!("the brokers at {} did not answer in time", self.servers())).cause(error)
            }
            (_, Some(topic)) => said(error, &[Need::new("Write", On::Topic(topic))]),
            (_, None) if is_over => again(format!("the brokers at {} ended the transaction", self.servers())).cause(error),
            (_, None) => refused,
        }
    }

    fn servers(&self) -> &str {
        &self.deliveries.watcher.asked().servers
    }
}

/// A look at how long brokers take, which tells of it when it is long.
struct Patience<'a> {
    watch: Watch<'a>,
    watcher: &'a Watcher,
    said_before: usize,
}

impl Patience<'_> {
    fn look(&self) {
        self.watch.look(|| self.watcher.slow("take what is sent to them", self.said_before));
    }

    fn done(self) {
        self.watch.done();
    }
}

/// What a new producer can mend.
fn again(message: String) -> Error {
    Error::new(ErrorKind::Kafka, "E-KAFKA-AGAIN", message).hint("nothing of the transaction is visible; start again")
}

/// A message that no broker takes.
pub(crate) fn too_large(topic: &str) -> Error {
    Error::new(ErrorKind::Kafka, "E-KAFKA-SIZE", format!("a message is longer than the topic {topic} takes"))
        .hint("raise max.message.bytes of the topic (a page may need more room than its row: JSON escapes), and start again")
}
