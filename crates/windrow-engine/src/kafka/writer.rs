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
use rdkafka::message::{BorrowedMessage, Headers, Message as _, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use super::longest::{Longest, length};
use super::refused::refused_key;
use super::rights::{Need, On};
use super::{Watcher, given_up, named};
use crate::clock::{Clock as _, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::run::Control;
use crate::run::waits::{Waits, Watch, Who};

/// How long a broker may take to begin or end a transaction before we ask again.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a broker may take to make us the only one of our name, and how often we look whether somebody wants to end.
const TAKING_OVER: Duration = Duration::from_secs(90);
const ASKED: Duration = Duration::from_millis(500);
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
    /// The first failure; of messages that are too long, the longest.
    failed: Arc<Mutex<Option<Failure>>>,
    /// The topic whose offsets somebody wants to know, and the last one of them.
    watched: Option<&'static str>,
    last_offset: Arc<AtomicI64>,
}

/// A message that was refused.
#[derive(Debug, Clone)]
struct Failure {
    error: KafkaError,
    topic: String,
    length: Length,
}

/// Whose message was too long, and how long it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Length {
    /// Id of the record that it is of, where it says so.
    record_id: Option<String>,
    bytes: usize,
}

impl Length {
    fn new<H: Headers>(key: usize, value: usize, headers: Option<&H>) -> Self {
        let id = headers.and_then(|headers| headers.iter().find(|header| header.key == "windrow-record-id"));
        let id = id.and_then(|header| header.value).map(|id| String::from_utf8_lossy(id).into_owned());
        Self { record_id: id, bytes: length(key, value, headers) }
    }

    fn of_record<K: ToBytes + ?Sized, P: ToBytes + ?Sized>(record: &BaseRecord<'_, K, P>) -> Self {
        let key = record.key.map_or(0, |key| key.to_bytes().len());
        Self::new(key, record.payload.map_or(0, |value| value.to_bytes().len()), record.headers.as_ref())
    }

    fn of_message(message: &BorrowedMessage<'_>) -> Self {
        Self::new(message.key_len(), message.payload_len(), message.headers())
    }
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
                let length = Length::of_message(message);
                let says_more = |first: &Failure| {
                    is_echo(&first.error) && !is_echo(error)
                        || is_too_long(&first.error) && is_too_long(error) && length.bytes > first.length.bytes
                };
                if failed.as_ref().is_none_or(says_more) {
                    *failed = Some(Failure { error: error.clone(), topic: message.topic().to_owned(), length });
                }
            }
        }
    }
}

/// Whether an error only follows from an earlier one.
fn is_echo(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::PurgeQueue | Code::PurgeInflight | Code::State | Code::Fatal))
}

fn is_too_long(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize))
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
    /// How long messages may be.
    longest: Longest,
}

impl Writer {
    /// Connects under a transactional name, and ends what an earlier producer of that name left open.
    pub(crate) fn open(
        mut config: ClientConfig,
        name: &str,
        rival: Rival,
        watched: Option<&'static str>,
        control: &Control,
    ) -> Result<Self> {
        config.set("transactional.id", name).set("enable.idempotence", "true");
        named(&mut config, name, "writer");
        let longest = Longest::of_client(&config);
        let most = longest.of_client.to_string();
        let ours = [
            ("linger.ms", "100"),
            ("compression.type", "lz4"),
            // What waits for brokers; the client's overhead for a message is as large as the message.
            ("queue.buffering.max.kbytes", "65536"),
            ("queue.buffering.max.messages", "30000"),
            // As Java's clients do: the same key goes to the same partition whoever writes it.
            ("partitioner", "murmur2_random"),
            ("message.max.bytes", &most),
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
        let waits = control.waits().clone();
        let writer = Self { producer, deliveries, name: name.to_owned(), rival, given_up, waits, longest };
        writer.take_over(control)?;
        Ok(writer)
    }

    /// Becomes the only one of its name. The call goes on by itself when its time is over: the next one only asks what has become of it.
    fn take_over(&self, control: &Control) -> Result<()> {
        let (patience, clock) = (self.patience(), SystemClock::new());
        loop {
            let error = match self.producer.init_transactions(ASKED) {
                Ok(()) => {
                    patience.done();
                    return Ok(());
                }
                Err(error) => error,
            };
            let is_on = matches!(&error, KafkaError::Transaction(error) if error.is_retriable());
            if is_on && control.gives_up() {
                return Err(given_up());
            }
            if !is_on || clock.elapsed() >= TAKING_OVER {
                return Err(self.told(&error, &[]));
            }
            self.pause(BETWEEN);
            patience.look();
        }
    }

    /// How long messages may be, for those that are not.
    pub(crate) fn know(&mut self, longest: Longest) {
        self.longest = longest;
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

    /// Sends one message, which has to fit.
    pub(crate) fn put<K: ToBytes + ?Sized, P: ToBytes + ?Sized>(&self, record: BaseRecord<'_, K, P>) -> Result<()> {
        let topic = record.topic;
        match self.send(record)? {
            None => Ok(()),
            Some(length) => Err(too_large(topic, &length, Some(self.longest.most(topic)))),
        }
    }

    /// Sends one message; gives its length when the client itself would not take it for that.
    pub(crate) fn send<K: ToBytes + ?Sized, P: ToBytes + ?Sized>(
        &self,
        mut record: BaseRecord<'_, K, P>,
    ) -> Result<Option<Length>> {
        let mut full = None;
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    full.into_iter().for_each(Patience::done);
                    return Ok(None);
                }
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    self.pause(LOOK);
                    self.check()?;
                    full.get_or_insert_with(|| self.patience()).look();
                }
                Err((KafkaError::MessageProduction(Code::MessageSizeTooLarge), back)) => {
                    return Ok(Some(Length::of_record(&back)));
                }
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
            return Err(given_up());
        }
        match self.failed() {
            Some(Failure { error, topic, .. }) => Err(self.trouble(&error, &[Need::new("Write", On::Topic(&topic))])),
            None => Ok(()),
        }
    }

    /// The first message that was refused.
    fn failed(&self) -> Option<Failure> {
        self.deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, once its report has come, if it comes within so many looks.
    fn refused_message(&self, looks: usize) -> Option<Failure> {
        (0..looks).find_map(|_| {
            self.pause(LOOK);
            self.failed().filter(|failure| !is_echo(&failure.error))
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
            Rival::InClaims => {
                let message = format!("the brokers at {} ended the transaction, as too old or another's", self.servers());
                Error::new(ErrorKind::Kafka, ENDED, message).hint("nothing of the transaction is visible; start again")
            }
        }
    }

    /// The sentence for an error of a call that needs these rights. Brokers have taken this client once: nothing is guessed of its settings.
    pub(crate) fn trouble(&self, error: &KafkaError, needs: &[Need<'_>]) -> Error {
        self.told(error, needs).without_guess()
    }

    /// The sentence for an error of a call that needs these rights, besides those that any transaction needs. What a new producer can
    /// mend has the code `E-KAFKA-AGAIN`, or [`ENDED`].
    fn told(&self, error: &KafkaError, needs: &[Need<'_>]) -> Error {
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
        let (is_fenced, topic) = (self.is_fenced(error), message.as_ref().map(|failure| failure.topic.as_str()));
        let error = message.as_ref().map_or(error, |failure| &failure.error);
        if is_fenced || self.is_fenced(error) {
            return self.fenced();
        }
        if let Some(Failure { topic, length, .. }) = message.as_ref().filter(|failure| is_too_long(&failure.error)) {
            return too_large(topic, length, self.longest.of(topic));
        }
        match (error.rdkafka_error_code(), topic) {
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

/// The transaction took too long, or another process has taken over: which, the record of claims says.
pub(crate) const ENDED: &str = "E-KAFKA-ENDED";

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

/// A message that no broker takes, of a topic that takes so much, where that is known.
fn too_large(topic: &str, length: &Length, most: Option<u64>) -> Error {
    let of = length.record_id.as_ref().map_or_else(|| "a message".to_owned(), |id| format!("the message of record {id}"));
    let takes = most.map_or_else(|| "less".to_owned(), |most| format!("{most} at most"));
    let message = format!("{of} has {} bytes, and the topic {topic} takes {takes}", length.bytes);
    Error::new(ErrorKind::Kafka, "E-KAFKA-SIZE", message).hint(
        "raise max.message.bytes of the topic (above 16 MB kafka.message.max.bytes too), and start again: `windrow check` says how much is \
         needed. A page may need more room than its row: names of fields, headers, escapes of JSON",
    )
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    #[test]
    fn a_message_that_is_too_long_is_named() {
        let id = Header { key: "windrow-record-id", value: Some("0:47") };
        let record: BaseRecord<'_, str, str> =
            BaseRecord::to("t").key("k").payload("value").headers(OwnedHeaders::new().insert(id));
        let length = Length::of_record(&record);
        assert_eq!(length, Length { record_id: Some("0:47".into()), bytes: 128 + 1 + 5 + 17 + 4 + 10 });
        let told = |most| too_large("t", &length, most).message;
        assert_eq!(told(Some(100)), "the message of record 0:47 has 165 bytes, and the topic t takes 100 at most");
        assert_eq!(told(None), "the message of record 0:47 has 165 bytes, and the topic t takes less");
    }
}
