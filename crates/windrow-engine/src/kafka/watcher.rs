//! What librdkafka says of its troubles, kept for the sentence that will be made of it, and never with a secret in it.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::Statistics;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::rights::{self, Need};
use super::silent::silent;
use super::trouble::{self, Asked};
use crate::error::{Error, ErrorKind};
use crate::run::waits::{Waits, Who};
use crate::settings::is_secret;

/// Lines of librdkafka's log that are kept.
pub(super) const KEPT: usize = 32;
/// Shorter ones are no secrets, and would make holes in every line.
const SHORTEST: usize = 4;
/// How long one hearing takes: a call with no time at all gives up behind the first line.
const HEARING: Duration = Duration::from_millis(20);

/// Takes in what waits in a client's queue: lines of the log and errors wait there until somebody asks.
pub(super) fn hear(client: &BaseConsumer<Watcher>) {
    (0..KEPT).take_while(|_| client.poll(HEARING).is_some()).for_each(drop);
}

/// Keeps what librdkafka says of its troubles.
#[derive(Clone, Default)]
pub(crate) struct Watcher {
    said: Arc<Mutex<Vec<String>>>,
    about: Arc<About>,
    silence: Arc<Silence>,
}

/// What is known of brokers that do not answer a client which reads.
#[derive(Default)]
struct Silence {
    waits: OnceLock<Waits>,
    /// Looks in a row at which one was silent.
    looks: AtomicUsize,
    /// Lines that had been said when all answered last.
    said_before: AtomicUsize,
    /// Lines that were ever said.
    n_said: AtomicUsize,
}

/// Statistics that are older tell nothing of now, in seconds.
const FRESH_S: i64 = 3;
/// Silent at so many looks in a row, a broker is waited for: one alone may be a connection that is just being renewed.
const SURE: usize = 2;

/// What is known of the client that is watched.
#[derive(Default)]
struct About {
    asked: Asked,
    secrets: Vec<String>,
    /// Whether the key `debug` asks for all that the client says.
    is_loud: bool,
}

impl Watcher {
    /// For a client of this configuration.
    pub(crate) fn of(config: &ClientConfig) -> Self {
        let secrets = config.config_map().into_keys().filter(|key| is_secret(key)).filter_map(|key| config.get(key));
        let secrets = secrets.filter(|value| value.len() >= SHORTEST).map(str::to_owned);
        let is_loud = config.get("debug").is_some_and(|topics| !topics.is_empty());
        let about = About { asked: Asked::of(config), secrets: secrets.collect(), is_loud };
        Self { said: Arc::default(), about: Arc::new(about), silence: Arc::default() }
    }

    /// Whom it tells from now on that brokers are silent; the first one named stays.
    pub(crate) fn tell(&self, waits: &Waits) {
        let _ = self.silence.waits.set(waits.clone());
    }

    /// How many lines were ever said.
    pub(super) fn n_said(&self) -> usize {
        self.silence.n_said.load(Ordering::Acquire)
    }

    /// Why brokers let us wait for `what`: by what was said since there were `before` lines, if anything was.
    pub(super) fn slow(&self, what: &str, before: usize) -> Error {
        let said = self.said();
        let new = self.n_said().saturating_sub(before).min(said.len());
        if let Some(told) = trouble::passing(&said[said.len() - new..], self.asked()) {
            return told;
        }
        let message = format!("the brokers at {} do not {what}, or only slowly", self.asked().servers);
        Error::new(ErrorKind::Kafka, "E-KAFKA-SLOW", message).hint("are they overloaded, or is the network to them?")
    }

    /// Keeps a line that says why; that all brokers are down follows from it, and comes again and again.
    fn keep(&self, line: &str) {
        if line.ends_with("brokers are down") {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == KEPT {
            said.remove(0);
        }
        said.push(self.masked(line));
        self.silence.n_said.fetch_add(1, Ordering::AcqRel);
    }

    /// A line without our secrets. librdkafka blanks them out itself; what its libraries or a broker echo, it does not know.
    fn masked(&self, line: &str) -> String {
        self.about.secrets.iter().fold(line.to_owned(), |line, secret| line.replace(secret, "(secret)"))
    }

    /// What was said, oldest first.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the key `debug` asks for all that the client says.
    pub(super) fn is_loud(&self) -> bool {
        self.about.is_loud
    }

    /// What the settings ask for.
    pub(super) fn asked(&self) -> &Asked {
        &self.about.asked
    }

    /// The sentence for an error of the client, whose call needed these rights.
    pub(crate) fn trouble(&self, error: &KafkaError, needs: &[Need<'_>]) -> Error {
        let said = self.said();
        // A transaction that fails for want of a right fails every later call by another code, and only the log has the first.
        let told = said.iter().rev().find_map(|line| rights::code_in(line));
        let codes = rights::code_of(error).into_iter().chain(told);
        let refused = codes.filter_map(|code| rights::lacking(code, needs, self.asked())).next();
        refused.map_or_else(|| trouble::of(error, &said, self.asked()), |refused| refused.cause(error))
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("said", &self.said()).finish_non_exhaustive()
    }
}

impl ConsumerContext for Watcher {}

impl ProducerContext for Watcher {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl ClientContext for Watcher {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if self.about.is_loud {
            // Asked for by the key `debug`; a closed stderr is no reason to stop.
            let _ = writeln!(std::io::stderr(), "librdkafka {facility}: {}", self.masked(message));
        }
        if !matches!(level, RDKafkaLogLevel::Debug) {
            self.keep(message);
        }
    }

    fn error(&self, _error: KafkaError, reason: &str) {
        self.keep(reason);
    }

    fn stats(&self, statistics: Statistics) {
        let Some(waits) = self.silence.waits.get() else { return };
        if waits.now() / 1_000_000 - statistics.time > FRESH_S {
            // It waited in the queue of a client that nobody asked: whatever it tells is past.
            self.silence.looks.store(0, Ordering::Release);
        } else if silent(&statistics).is_none() {
            self.silence.looks.store(0, Ordering::Release);
            self.silence.said_before.store(self.n_said(), Ordering::Release);
            waits.goes_on(Who::Source);
        } else if self.silence.looks.fetch_add(1, Ordering::AcqRel) + 1 >= SURE {
            let before = self.silence.said_before.load(Ordering::Acquire);
            waits.because(Who::Source, || self.slow("send what we read", before));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_a_broker_echoes_is_blanked_out() {
        let mut config = ClientConfig::new();
        config.set("sasl.password", "hunter2").set("bootstrap.servers", "b:1");
        let watcher = Watcher::of(&config);
        watcher.log(RDKafkaLogLevel::Error, "FAIL", "no user with password hunter2");
        watcher.log(RDKafkaLogLevel::Debug, "SASL", "chatter");
        assert_eq!(watcher.said(), ["no user with password (secret)"]);
        assert!(!format!("{watcher:?}").contains("hunter2"));
    }

    #[test]
    fn a_flood_keeps_its_end() {
        let watcher = Watcher::default();
        (0..100).for_each(|n| watcher.log(RDKafkaLogLevel::Error, "FAIL", &n.to_string()));
        assert_eq!((watcher.said().len(), watcher.said()[KEPT - 1].as_str()), (KEPT, "99"));
    }
}
