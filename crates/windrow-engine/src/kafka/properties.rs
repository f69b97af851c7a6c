//! Java's `client.properties`, as librdkafka's keys.
//!
//! Who runs Kafka has such a file: its command-line tools read it. Most keys are the same in both worlds and are handed on; a login
//! stands in one line of a language of its own (JAAS), and certificates lie in key stores, of which librdkafka reads PEM and PKCS#12.
//! What cannot be translated is refused with its line and with what to do about it: a key that is silently not in force is worse.
//!
//! No error holds a value: any of them may be a secret.

mod jaas;
mod stores;
mod text;

use std::collections::BTreeMap;
use std::path::Path;

use rdkafka::config::ClientConfig;

use super::refused::near_key;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::follow;

/// One line of the file.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    line: usize,
    key: String,
    value: String,
}

/// The same thing by other names.
const RENAMED: [(&str, &str); 6] = [
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("request.timeout.ms", "socket.timeout.ms"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("ssl.keystore.key", "ssl.key.pem"),
];

/// Of Java alone, and without a meaning here; or of consumers and producers, which Windrow sets itself.
const OF_JAVA: [&str; 17] = [
    "ssl.protocol",
    "ssl.enabled.protocols",
    "ssl.provider",
    "ssl.keymanager.algorithm",
    "ssl.trustmanager.algorithm",
    "ssl.secure.random.implementation",
    "security.providers",
    "default.api.timeout.ms",
    "auto.include.jmx.reporter",
    "enable.metrics.push",
    "group.id",
    "transactional.id",
    "enable.auto.commit",
    "isolation.level",
    "key.serializer",
    "max.block.ms",
    "max.poll.records",
];
/// Ends and beginnings of more such keys.
const JAVA_ENDS: [&str; 6] = [".serializer", ".deserializer", ".classes", ".reporters", ".strategy", "partitioner.class"];
const JAVA_STARTS: [&str; 2] = ["metrics.", "sasl.login.refresh."];
/// Ways of Java alone to come by something that matters.
const CODE: [&str; 2] = ["config.providers", ".handler.class"];

/// Reads a file.
///
/// # Errors
/// `E-SETTINGS`, with file and line.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    let bytes = std::fs::read(path).map_err(|error| {
        wrong(format!("kafka.properties: the file {} cannot be read", path.display()))
            .cause(error)
            .hint("give the path of a file that is there")
    })?;
    let content = String::from_utf8(bytes).map_err(|_| {
        wrong(format!("kafka.properties: {} is not UTF-8", path.display())).hint("write other letters as \\u00e4")
    })?;
    translate(&text::parse(&content), path)
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Invalid, "E-SETTINGS", message)
}

/// The entries of a file as librdkafka's keys; the last one of a key counts.
fn translate(entries: &[Entry], path: &Path) -> Result<BTreeMap<String, String>> {
    let mut keys = BTreeMap::new();
    let mut stores = stores::Stores::default();
    for entry in entries {
        one(entry, &mut keys, &mut stores).map_err(|problem| {
            let place = format!("{}:{}: {}", path.display(), entry.line, entry.key);
            Error { message: format!("{place}: {}", problem.message), ..problem }
        })?;
    }
    keys.extend(stores.keys());
    Ok(keys)
}

fn one(entry: &Entry, keys: &mut BTreeMap<String, String>, stores: &mut stores::Stores) -> Result<()> {
    let (key, value) = (entry.key.as_str(), entry.value.as_str());
    if value.starts_with("${") && value.contains(':') {
        return Err(wrong("its value is of one of Java's config providers".into())
            .hint("give it here as file:PATH, or as ${NAME} for an environment variable"));
    }
    if CODE.iter().any(|end| key.ends_with(end)) {
        return Err(wrong("it names a class of Java".into())
            .hint("take it out, and say the same with librdkafka's own keys in the settings file"));
    }
    if key == "sasl.jaas.config" {
        let login = jaas::login(value)?;
        for (key, value) in [("sasl.username", login.user), ("sasl.password", login.password)] {
            keys.insert(key.to_owned(), follow(key, &value)?);
        }
        return Ok(());
    }
    if stores.take(entry)? || is_of_java(key) {
        return Ok(());
    }
    let key = RENAMED.iter().find(|(java, _)| *java == key).map_or(key, |(_, ours)| *ours);
    let value = match key {
        "ssl.endpoint.identification.algorithm" if value.is_empty() => "none",
        // Java's words for the system's own size.
        "socket.send.buffer.bytes" | "socket.receive.buffer.bytes" if value == "-1" => "0",
        _ => value,
    };
    let value = follow(key, value)?;
    if ClientConfig::new().set(key, &value).create_native_config().is_err() {
        let hint = near_key(key).map(|near| format!("did you mean `{near}`?"));
        return Err(wrong("no such key is known here, or not this value of it".into())
            .hint(hint.unwrap_or_else(|| "take it out; docs/how-to/kafka.md says what is read of such files".into())));
    }
    keys.insert(key.to_owned(), value);
    Ok(())
}

fn is_of_java(key: &str) -> bool {
    OF_JAVA.contains(&key)
        || JAVA_ENDS.iter().any(|end| key.ends_with(end))
        || JAVA_STARTS.iter().any(|start| key.starts_with(start))
}

#[cfg(test)]
mod tests;
