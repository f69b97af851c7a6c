//! From librdkafka's log lines to one plain sentence with a code and what to do.

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::rights;
use crate::error::{Error, ErrorKind};

/// Keys that people set, for suggestions.
pub(super) const COMMON_KEYS: &[&str] = &[
    "bootstrap.servers",
    "properties",
    "client.id",
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
    "socket.timeout.ms",
    "message.max.bytes",
    "message.timeout.ms",
    "linger.ms",
    "batch.size",
    "compression.type",
    "acks",
    "fetch.max.bytes",
    "session.timeout.ms",
    "transaction.timeout.ms",
];

/// What kinds of trouble a log line may tell of, the telling ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Mechanism,
    Sasl,
    OurCertificate,
    Tls,
    /// TLS was spoken to a port without it.
    NoTls,
    /// Plain text was spoken to a port with TLS.
    WantsTls,
    /// The broker wants a login that we do not offer.
    WantsLogin,
    /// We offered a login that the broker does not know of.
    NoLogin,
    Unresolved,
    Unreachable,
}

/// Words of librdkafka and of its TLS library.
const KINDS: [(Kind, &[&str]); 8] = [
    (Kind::NoLogin, &["not valid in current SASL state"]),
    (Kind::Mechanism, &["mechanism handshake failed", "nsupported SASL mechanism"]),
    (Kind::Sasl, &["SASL authentication error", "uthentication failed", "SASL SCRAM"]),
    (
        Kind::OurCertificate,
        &[
            "alert bad certificate",
            "certificate required",
            "alert unknown ca",
            "alert certificate unknown",
            "SSL authentication might be required",
        ],
    ),
    (Kind::NoTls, &["connecting to a PLAINTEXT broker listener", "wrong version number"]),
    (Kind::Tls, &["certificate verify failed", "SSL handshake failed", "ssl.ca.location", "SSL transport error"]),
    (Kind::Unresolved, &["Failed to resolve"]),
    (Kind::Unreachable, &["onnection refused", "timed out", "isconnected", "Connect to", "Receive failed"]),
];

/// How often a connection has to be ended in the same way before it means something.
const SURE: usize = 3;
/// Words for a connection that the other side has ended: which of them comes depends on who was quicker.
const CLOSED: [&str; 4] = ["isconnected", "closed by peer", "Broken pipe", "reset by peer"];

/// What the settings ask for: what a sentence leans on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// The addresses given.
    pub(super) servers: String,
    /// Who logs in.
    pub(super) user: Option<String>,
    protocol: String,
    mechanism: String,
    has_certificate: bool,
}

impl Asked {
    /// As the keys say.
    pub(super) fn of(config: &ClientConfig) -> Self {
        let get = |key: &str| config.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
        let protocol = get("security.protocol").unwrap_or_else(|| "plaintext".into()).to_uppercase();
        let mechanism = get("sasl.mechanism").or_else(|| get("sasl.mechanisms")).unwrap_or_default();
        let certificates = ["ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location"];
        Self {
            servers: get("bootstrap.servers").unwrap_or_default(),
            user: get("sasl.username").filter(|_| protocol.starts_with("SASL")),
            has_certificate: certificates.iter().any(|key| get(key).is_some()),
            protocol,
            mechanism,
        }
    }

    fn logs_in(&self) -> bool {
        self.protocol.starts_with("SASL")
    }

    /// The kind of trouble that a line tells of.
    fn kind(&self, line: &str) -> Option<Kind> {
        let closed = CLOSED.iter().any(|word| line.contains(word));
        // Brokers close the connection of those who speak wrongly, and say nothing. When they do it tells what was wrong.
        if closed && line.contains("APIVERSION_QUERY") && !self.protocol.ends_with("SSL") {
            return Some(Kind::WantsTls);
        }
        if closed && !self.logs_in() && (line.contains("in state UP") || line.contains("require SASL authentication")) {
            return Some(Kind::WantsLogin);
        }
        if closed && line.contains("SSL transport error") {
            // TLS was agreed on, or the refusal of it is still to come: the next try tells more.
            return Some(Kind::Unreachable);
        }
        KINDS.iter().find(|(_, words)| words.iter().any(|word| line.contains(word))).map(|(kind, _)| *kind)
    }

    /// The worst kind of trouble in what was said, with the last line that tells of it.
    fn worst<'a>(&self, said: &'a [String]) -> Option<(Kind, &'a str)> {
        let told = said.iter().rev().filter_map(|line| Some((self.kind(line)?, line.as_str())));
        told.min_by_key(|(kind, _)| *kind)
    }

    /// The same, with what is only guessed believed when it comes again and again: a broker that stops ends connections too.
    fn believed<'a>(&self, said: &'a [String]) -> Option<(Kind, &'a str)> {
        let (kind, line) = self.worst(said)?;
        let is_sure = !is_guess(kind) || said.iter().filter(|line| self.kind(line) == Some(kind)).count() >= SURE;
        Some((if is_sure { kind } else { Kind::Unreachable }, line))
    }
}

/// Whether waiting would change nothing.
pub(super) fn is_final(said: &[String], asked: &Asked) -> bool {
    asked.believed(said).is_some_and(|(kind, _)| kind != Kind::Unreachable)
}

/// What keeps a client waiting that has worked with these settings before: nothing that its settings could be blamed for.
pub(super) fn passing(said: &[String], asked: &Asked) -> Option<Error> {
    said.last().map(|line| silent(line, asked))
}

/// Whether the trouble is the broker's certificate, for whatever reason.
pub(super) fn is_certificate(said: &[String], asked: &Asked) -> bool {
    asked.worst(said).is_some_and(|(kind, line)| kind == Kind::Tls && line.contains("certificate verify failed"))
}

/// Whether the broker ended the connection for a reason that comes after TLS was agreed on.
pub(super) fn is_past_tls(said: &[String], asked: &Asked) -> bool {
    asked.worst(said).is_some_and(|(kind, _)| matches!(kind, Kind::OurCertificate | Kind::WantsLogin))
}

/// What a client was told, in a sentence: `said` are librdkafka's own lines, oldest first.
pub(super) fn of(error: &KafkaError, said: &[String], asked: &Asked) -> Error {
    let Some((kind, line)) = asked.worst(said) else {
        let found = code(error, asked);
        // A line that we do not know may tell a reader more than the error's name.
        return said.last().map_or(found.clone(), |line| found.cause(tidy(line)));
    };
    let servers = &asked.servers;
    let (code, message, hint) = match kind {
        Kind::Mechanism => return mechanism(line, asked),
        Kind::Unresolved => return unresolved(line, asked),
        Kind::Unreachable => return unreachable(line, asked),
        Kind::Sasl => (
            "E-KAFKA-AUTH",
            format!("the broker at {servers} refuses the user name {} or its password", asked.user.as_deref().unwrap_or("")),
            "look at kafka.sasl.username, kafka.sasl.password and kafka.sasl.mechanism; the password may stand in file:PATH",
        ),
        Kind::WantsLogin => (
            "E-KAFKA-AUTH",
            format!("the broker at {servers} wants a login, and kafka.security.protocol is {}", asked.protocol),
            if asked.protocol == "SSL" { LOGIN_TLS } else { LOGIN_PLAIN },
        ),
        Kind::NoLogin => (
            "E-KAFKA-AUTH",
            format!("the broker at {servers} takes no login on this port, and kafka.security.protocol is {}", asked.protocol),
            "set kafka.security.protocol to SSL or PLAINTEXT, or give the port that has SASL",
        ),
        Kind::OurCertificate if asked.has_certificate => (
            "E-KAFKA-TLS",
            format!("the broker at {servers} does not take our certificate"),
            "is kafka.ssl.certificate.location signed by an authority that the broker trusts, and not expired?",
        ),
        Kind::OurCertificate => (
            "E-KAFKA-TLS",
            format!("the broker at {servers} wants a certificate of ours, and there is none"),
            "set kafka.ssl.certificate.location and kafka.ssl.key.location (PEM), or kafka.ssl.keystore.location (PKCS#12)",
        ),
        Kind::NoTls => (
            "E-KAFKA-TLS",
            format!(
                "the broker at {servers} does not speak TLS on this port, and kafka.security.protocol is {}",
                asked.protocol
            ),
            if asked.logs_in() {
                "set kafka.security.protocol to SASL_PLAINTEXT, or give the port that has TLS"
            } else {
                "set kafka.security.protocol to PLAINTEXT, or give the port that has TLS"
            },
        ),
        Kind::WantsTls => (
            "E-KAFKA-TLS",
            format!(
                "the broker at {servers} closes the connection at the first word: it seems to want TLS, and kafka.security.protocol is {}",
                asked.protocol
            ),
            if asked.logs_in() {
                "set kafka.security.protocol to SASL_SSL, or give the port without TLS"
            } else {
                "set kafka.security.protocol to SSL or SASL_SSL, or give the port without TLS"
            },
        ),
        Kind::Tls => return tls(line, asked),
    };
    let found = kafka(code, message).cause(tidy(line)).hint(hint);
    if is_guess(kind) { found.or_else(silent(line, asked)) } else { found }
}

/// Whether a kind is guessed from a connection that the other side has ended: a broker that stops ends it too.
fn is_guess(kind: Kind) -> bool {
    matches!(kind, Kind::WantsTls | Kind::WantsLogin)
}

const LOGIN_TLS: &str =
    "set kafka.security.protocol to SASL_SSL, with kafka.sasl.mechanism, kafka.sasl.username and kafka.sasl.password";
const LOGIN_PLAIN: &str =
    "set kafka.security.protocol to SASL_PLAINTEXT, with kafka.sasl.mechanism, kafka.sasl.username and kafka.sasl.password";

fn kafka(code: &'static str, message: String) -> Error {
    Error::new(ErrorKind::Kafka, code, message)
}

fn mechanism(line: &str, asked: &Asked) -> Error {
    let offered = line.split("supported mechanisms: ").nth(1).map(|rest| rest.split(" (after").next().unwrap_or(rest).trim());
    let offered = offered.filter(|offered| !offered.is_empty());
    let takes = offered.map(|offered| format!("; it takes {}", offered.replace(',', ", "))).unwrap_or_default();
    let message = format!("the broker at {} does not take the SASL mechanism {}{takes}", asked.servers, asked.mechanism);
    kafka("E-KAFKA-AUTH", message).cause(tidy(line)).hint("set kafka.sasl.mechanism to one that the broker takes")
}

fn tls(line: &str, asked: &Asked) -> Error {
    let servers = &asked.servers;
    let show = format!("`openssl s_client -connect {servers} </dev/null` shows it");
    let (message, hint) = if line.contains("certificate verify failed") {
        let of = "has a certificate that we cannot trust: an authority that we do not know has signed it, or it has expired";
        (of, format!("set kafka.ssl.ca.location to the certificate of the broker's authority (PEM); {show}"))
    } else {
        let hint = "is kafka.security.protocol right (SSL or SASL_SSL), and is this the broker's TLS port?";
        ("and we do not agree on TLS", hint.to_owned())
    };
    kafka("E-KAFKA-TLS", format!("the broker at {servers} {message}")).cause(tidy(line)).hint(hint)
}

/// The certificate is good, and of another host.
pub(super) fn other_host(asked: &Asked) -> Error {
    let message =
        format!("the broker at {0} has a certificate of another host: it does not name the host in {0}", asked.servers);
    kafka("E-KAFKA-TLS", message).hint(format!(
        "give a name that the certificate has in kafka.bootstrap.servers; `openssl s_client -connect {} </dev/null | openssl x509 \
         -noout -ext subjectAltName` lists them",
        asked.servers
    ))
}

/// Whether an address is one of those given.
pub(super) fn is_given(address: &str, servers: &str) -> bool {
    let bare = |given: &str| given.trim().rsplit("://").next().unwrap_or_default().to_lowercase();
    servers.split(',').any(|given| bare(given) == address.to_lowercase())
}

/// Either the address given does not resolve, or the one that the broker told us to use instead.
fn unresolved(line: &str, asked: &Asked) -> Error {
    let host = line.split("Failed to resolve '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or("its address");
    if is_given(host, &asked.servers) {
        return kafka("E-KAFKA-REACH", format!("{host} does not resolve to an address")).hint("is the host name right?");
    }
    advertised(host, "does not resolve here", asked)
}

/// A broker that sends its clients where they cannot go.
pub(super) fn advertised(address: &str, why: &str, asked: &Asked) -> Error {
    kafka("E-KAFKA-ADV", format!("the broker at {} answered, but told us to use {address}, which {why}", asked.servers)).hint(
        "set advertised.listeners on the broker to an address that this machine can reach, or run inside the broker's network",
    )
}

fn unreachable(line: &str, asked: &Asked) -> Error {
    // A broker that was found by another one has its number behind its address.
    let name = tidy(line).split(": ").next().unwrap_or_default().rsplit("://").next().unwrap_or_default();
    if let Some((address, id)) = name.rsplit_once('/')
        && id.parse::<u32>().is_ok()
        && !is_given(address, &asked.servers)
    {
        return advertised(address, "does not answer here", asked).cause(tidy(line));
    }
    silent(line, asked)
}

fn silent(line: &str, asked: &Asked) -> Error {
    kafka("E-KAFKA-REACH", format!("no broker answers at {}", asked.servers))
        .cause(tidy(line))
        .hint("is the broker running, and are host and port right?")
}

/// Without a line of the log: by the error's own code.
pub(super) fn code(error: &KafkaError, asked: &Asked) -> Error {
    use RDKafkaErrorCode as Code;
    let servers = &asked.servers;
    let found = match rights::code_of(error) {
        _ if rights::is_refusal(error) => {
            kafka("E-KAFKA-RIGHTS", format!("the broker at {servers} does not let this user do that"))
                .hint("docs/how-to/kafka.md lists the rights (ACLs) that each verb needs")
        }
        Some(Code::OperationTimedOut | Code::BrokerTransportFailure | Code::AllBrokersDown | Code::RequestTimedOut) => {
            kafka("E-KAFKA-REACH", format!("no broker answers at {servers}"))
                .hint("is the broker running, and are host and port right?")
        }
        _ => kafka("E-KAFKA", format!("the broker at {servers} answered with an error")),
    };
    found.cause(error)
}

/// A log line without what only a developer of the library can read: thread in front, state behind.
fn tidy(line: &str) -> &str {
    let line = line.split(" (after ").next().unwrap_or(line);
    let line = line.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map_or(line, |(_, told)| told);
    line.trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(protocol: &str) -> Asked {
        Asked { servers: "broker:9092".into(), protocol: protocol.into(), ..Asked::default() }
    }

    fn told_by(line: &str, protocol: &str) -> Error {
        of(&KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure), &[line.to_owned()], &asked(protocol))
    }

    fn told(line: &str) -> Error {
        told_by(line, "PLAINTEXT")
    }

    #[test]
    fn log_lines_become_sentences() {
        let refused = told(
            "[thrd:broker:9092/bootstrap]: broker:9092/bootstrap: Connect to ipv4#1.2.3.4:9092 failed: Connection refused (after 0ms in state CONNECT)",
        );
        assert_eq!((refused.code, refused.message.as_str()), ("E-KAFKA-REACH", "no broker answers at broker:9092"));
        assert_eq!(refused.causes[0], "broker:9092/bootstrap: Connect to ipv4#1.2.3.4:9092 failed: Connection refused");
        let other =
            told("kafka:29092/1: Failed to resolve 'kafka:29092': Name or service not known (after 3ms in state CONNECT)");
        assert!(other.code == "E-KAFKA-ADV" && other.may_pass(), "a broker whose machine is down: {other}");
        assert!(other.message.contains("broker:9092") && other.message.contains("kafka:29092"), "{other}");
        assert_eq!(told("Failed to resolve 'broker:9092': Name or service not known").code, "E-KAFKA-REACH");
        assert_eq!(
            told("SASL authentication error: Authentication failed during authentication due to invalid credentials").code,
            "E-KAFKA-AUTH"
        );
        assert_eq!(
            told("SSL handshake failed: error:0A000086: certificate verify failed: broker certificate could not be verified")
                .code,
            "E-KAFKA-TLS"
        );
    }

    #[test]
    fn a_connection_ended_under_our_hands_tells_the_same() {
        let ends =
            ["Send failed: SSL transport error: Broken pipe", "Receive failed: SSL transport error: Connection reset by peer"];
        let told_by = |line: &str, protocol: &str| {
            let lines = [line.to_owned(), line.to_owned(), line.to_owned()];
            of(&KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure), &lines, &asked(protocol))
        };
        for end in ends.into_iter().chain(["Disconnected"]) {
            let up = format!("ssl://broker:9092/bootstrap: {end} (after 3ms in state UP)");
            assert_eq!(told_by(&up, "SSL").code, "E-KAFKA-AUTH", "{end}");
            assert!(!is_final(&[up.clone(), up.clone()], &asked("SSL")));
            assert!(is_final(&[up.clone(), up.clone(), up], &asked("SSL")));
            let early = format!("ssl://broker:9092/bootstrap: {end} (after 3ms in state APIVERSION_QUERY)");
            assert!(!is_final(std::slice::from_ref(&early), &asked("SSL")), "{end}");
            let plain = told_by(&early, "PLAINTEXT");
            assert!(plain.message.contains("seems to want TLS"), "{plain}");
        }
    }

    #[test]
    fn a_broker_that_dies_wants_neither_tls_nor_a_login() {
        for (state, protocol) in [("APIVERSION_QUERY", "PLAINTEXT"), ("UP", "PLAINTEXT"), ("UP", "SSL")] {
            let line = format!("broker:9092/1: Disconnected: connection reset by peer (after 2ms in state {state})");
            assert!(!is_final(std::slice::from_ref(&line), &asked(protocol)), "{line}");
            let often = vec![line.clone(); SURE];
            assert_eq!(passing(&often, &asked(protocol)).unwrap().code, "E-KAFKA-REACH", "it worked before");
            let guess = told_by(&line, protocol);
            assert!(matches!(guess.code, "E-KAFKA-AUTH" | "E-KAFKA-TLS"), "{guess}");
            let passes = guess.without_guess();
            assert!(passes.code == "E-KAFKA-REACH" && passes.may_pass(), "{passes}");
        }
        // What a broker says is no guess.
        let refused = told("SASL authentication error: Authentication failed");
        assert!(refused.code == "E-KAFKA-AUTH" && refused.clone().without_guess() == refused && !refused.may_pass());
        assert_eq!(passing(&[], &asked("PLAINTEXT")), None);
    }

    #[test]
    fn every_kafka_error_has_the_exit_code_of_kafka() {
        assert_eq!(told("anything").exit_code(), 4);
    }
}
