//! From librdkafka's log lines to one plain sentence with a code and what to do.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::{Error, ErrorKind};

/// Keys that people set, for suggestions.
pub(super) const COMMON_KEYS: &[&str] = &[
    "bootstrap.servers",
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sasl,
    Mechanism,
    Tls,
    Unresolved,
    Unreachable,
}

const KINDS: [(Kind, &[&str]); 5] = [
    (Kind::Mechanism, &["nsupported SASL mechanism", "No provider for SASL mechanism", "SASL handshake failed"]),
    (Kind::Sasl, &["SASL authentication error", "uthentication failed", "SASL SCRAM"]),
    (
        Kind::Tls,
        &["certificate verify failed", "SSL handshake failed", "ssl.ca.location", "hostname mismatch", "SSL transport error"],
    ),
    (Kind::Unresolved, &["Failed to resolve"]),
    (Kind::Unreachable, &["onnection refused", "timed out", "isconnected", "Connect to", "Receive failed"]),
];

/// The worst kind of trouble in what was said, with the last line that tells of it.
fn worst(said: &[String]) -> Option<(Kind, &str)> {
    KINDS.iter().find_map(|(kind, words)| {
        let line = said.iter().rev().find(|line| words.iter().any(|word| line.contains(word)))?;
        Some((*kind, line.as_str()))
    })
}

/// Whether waiting would change nothing.
pub(super) fn is_final(said: &[String]) -> bool {
    worst(said).is_some_and(|(kind, _)| kind != Kind::Unreachable)
}

/// What a client was told, in a sentence: `said` are librdkafka's own lines, oldest first; `servers` the addresses given.
pub(super) fn of(error: &KafkaError, said: &[String], servers: &str) -> Error {
    match worst(said) {
        Some((Kind::Sasl, line)) => kafka("E-KAFKA-AUTH", format!("the broker at {servers} refuses user name or password"))
            .cause(tidy(line))
            .hint("look at kafka.sasl.username, kafka.sasl.password and kafka.sasl.mechanism; the password may stand in file:PATH"),
        Some((Kind::Mechanism, line)) => kafka("E-KAFKA-AUTH", format!("the broker at {servers} does not take this SASL mechanism"))
            .cause(tidy(line))
            .hint("set kafka.sasl.mechanism to one that the broker offers: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
        Some((Kind::Tls, line)) => tls(line, servers),
        Some((Kind::Unresolved, line)) => unresolved(line, servers),
        Some((Kind::Unreachable, line)) => unreachable(line, servers),
        None => code(error, servers),
    }
}

fn kafka(code: &'static str, message: String) -> Error {
    Error::new(ErrorKind::Kafka, code, message)
}

fn tls(line: &str, servers: &str) -> Error {
    let (message, hint) = if line.contains("hostname mismatch") || line.contains("does not match") {
        ("has a certificate for another host name", "give the name that the certificate has in bootstrap.servers")
    } else if line.contains("certificate verify failed") || line.contains("ssl.ca.location") {
        (
            "has a certificate that nobody we trust has signed",
            "set kafka.ssl.ca.location to the certificate of its authority (PEM)",
        )
    } else {
        ("and we do not agree on TLS", "is kafka.security.protocol right (SSL or SASL_SSL), and is this the broker's TLS port?")
    };
    kafka("E-KAFKA-TLS", format!("the broker at {servers} {message}")).cause(tidy(line)).hint(hint)
}

/// Either the address given does not resolve, or the one that the broker told us to use instead.
fn unresolved(line: &str, servers: &str) -> Error {
    let host = line.split("Failed to resolve '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or("its address");
    if servers.split(',').any(|given| given.trim().trim_start_matches("PLAINTEXT://") == host) {
        return kafka("E-KAFKA-REACH", format!("{host} does not resolve to an address")).hint("is the host name right?");
    }
    kafka("E-KAFKA-ADV", format!("the broker at {servers} answered, but told us to use {host}, which does not resolve here"))
        .hint("set advertised.listeners on the broker to a name that this machine knows, or run inside the broker's network")
}

fn unreachable(line: &str, servers: &str) -> Error {
    let hint = if line.contains("TLS") || line.contains("SSL") || line.contains("security.protocol") {
        "does the broker want TLS? Then set kafka.security.protocol to SSL or SASL_SSL"
    } else {
        "is the broker running, and are host and port right?"
    };
    kafka("E-KAFKA-REACH", format!("no broker answers at {servers}")).cause(tidy(line)).hint(hint)
}

/// Without a line of the log: by the error's own code.
pub(super) fn code(error: &KafkaError, servers: &str) -> Error {
    use RDKafkaErrorCode as Code;
    let found = match error.rdkafka_error_code() {
        Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed | Code::GroupAuthorizationFailed) => {
            kafka("E-KAFKA-RIGHTS", format!("the broker at {servers} does not let this user do that"))
                .hint("docs/how-to/kafka.md lists the rights (ACLs) that each verb needs")
        }
        Some(Code::TransactionalIdAuthorizationFailed) => {
            kafka("E-KAFKA-RIGHTS", format!("the broker at {servers} does not let this user write transactions"))
                .hint("the user needs Write and Describe on the transactional id; docs/how-to/kafka.md lists all rights")
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

    fn told(line: &str) -> Error {
        of(&KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure), &[line.to_owned()], "broker:9092")
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
        assert_eq!(other.code, "E-KAFKA-ADV");
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
    fn every_kafka_error_has_the_exit_code_of_kafka() {
        assert_eq!(told("anything").exit_code(), 4);
    }
}
