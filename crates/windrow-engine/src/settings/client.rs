//! `[kafka]`: librdkafka's own keys, spelled as librdkafka spells them, with their secrets kept out of sight.
//!
//! There are two hundred of them and they are the library's, so they are not in our table: the library itself says which it does not
//! know. A value may be `${NAME}` (environment) or `file:PATH` (its content without the line end).

use std::collections::BTreeMap;
use std::fmt;

use super::{Given, Origin};
use crate::error::{Error, ErrorKind, Result};

/// What stands before such a key in settings.
pub const SECTION: &str = "kafka.";

/// librdkafka's keys with their values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientKeys {
    given: BTreeMap<String, String>,
    /// The verb that the clients are made for.
    verb: String,
}

impl ClientKeys {
    /// These keys.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let given = pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { given, verb: String::new() }
    }

    /// Takes a value; says what is wrong with it, to follow the key's name.
    pub(super) fn set(&mut self, key: &str, given: &Given) -> std::result::Result<(), String> {
        let [text] = given.texts.as_slice() else { return Err("takes one value, not a list".into()) };
        if is_secret(key) && matches!(given.origin, Origin::Flag(_)) && !is_reference(text) {
            let env = format!("{}KAFKA__{}", super::ENV_PREFIX, key.to_uppercase().replace('.', "__"));
            return Err(format!(
                "is a secret, and everybody on this machine can read a command line: give it as `file:PATH`, in the settings \
                 file, or in the environment as {env}"
            ));
        }
        self.given.insert(key.to_owned(), text.clone());
        Ok(())
    }

    /// Says for which verb clients are made: they tell it to the brokers.
    pub fn call_for(&mut self, verb: &str) {
        verb.clone_into(&mut self.verb);
    }

    /// The verb that clients are made for; empty when nobody has said so.
    pub(crate) fn verb(&self) -> &str {
        &self.verb
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// A key's value as it was given.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(String::as_str)
    }

    /// All keys with what may be shown of their values.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        let hidden = |key: &str, value: &str| is_secret(key) && !is_reference(value);
        self.given.iter().map(move |(key, value)| (key.as_str(), if hidden(key, value) { "(secret)" } else { value.as_str() }))
    }

    /// All keys with their values, references followed.
    pub(crate) fn resolved(&self) -> Result<BTreeMap<&str, String>> {
        self.given.iter().map(|(key, value)| Ok((key.as_str(), follow(key, value)?))).collect()
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

/// Whether a value of this key must never be shown. A misspelled key is no key, and holds a secret all the same.
pub fn is_secret(key: &str) -> bool {
    let is_like = |part: &str| ["password", "secret"].iter().any(|word| strsim::jaro_winkler(part, word) > 0.9);
    ["pass", "pwd", "secret", "jaas", "key.pem", "keystore.key", "oauthbearer.config"].iter().any(|word| key.contains(word))
        || key.to_lowercase().split(['.', '_', '-']).any(is_like)
}

fn is_reference(value: &str) -> bool {
    value.starts_with("file:") || (value.starts_with("${") && value.ends_with('}'))
}

/// The value, or what it refers to.
pub(crate) fn follow(key: &str, value: &str) -> Result<String> {
    let wrong = |message: String| Error::new(ErrorKind::Invalid, "E-SETTINGS", message);
    if let Some(path) = value.strip_prefix("file:") {
        let text = std::fs::read_to_string(path)
            .map_err(|error| wrong(format!("kafka.{key} stands in {path}, which cannot be read")).cause(error))?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    if let Some(name) = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        let found = std::env::var(name);
        return found.map_err(|_| wrong(format!("kafka.{key} stands in the environment variable {name}, which is not set")));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str, origin: Origin) -> Given {
        Given { key: String::new(), texts: vec![text.into()], origin }
    }

    #[test]
    fn secrets_are_never_shown() {
        let mut keys = ClientKeys::default();
        let env = Origin::Environment("X".into());
        keys.set("sasl.password", &given("hunter2", env.clone())).unwrap();
        keys.set("ssl.key.password", &given("file:/key", env.clone())).unwrap();
        keys.set("bootstrap.servers", &given("here:9092", env)).unwrap();
        let shown: Vec<_> = keys.shown().collect();
        assert_eq!(
            shown,
            [("bootstrap.servers", "here:9092"), ("sasl.password", "(secret)"), ("ssl.key.password", "file:/key")]
        );
        assert!(!format!("{keys:?}").contains("hunter2"));
        assert_eq!(keys.get("sasl.password"), Some("hunter2"));
    }

    #[test]
    fn misspelled_secrets_are_secrets() {
        let hidden =
            ["sasl.pasword", "sasl.Passwort", "sasl_password", "sasl.pwd", "oauthbearer.client.secrte", "sasl.jaas.config"];
        assert_eq!(hidden.iter().find(|key| !is_secret(key)), None);
        let shown = ["bootstrap.servers", "sasl.username", "ssl.ca.location", "ssl.keystore.location", "partitioner", "debug"];
        assert_eq!(shown.iter().find(|key| is_secret(key)), None);
    }

    #[test]
    fn secrets_on_the_command_line_are_refused() {
        let mut keys = ClientKeys::default();
        let flag = || Origin::Flag("X".into());
        let refused = keys.set("sasl.password", &given("hunter2", flag())).unwrap_err();
        assert!(refused.contains("WINDROW__KAFKA__SASL__PASSWORD") && !refused.contains("hunter2"), "{refused}");
        keys.set("sasl.password", &given("file:/secret", flag())).unwrap();
        keys.set("sasl.username", &given("me", flag())).unwrap();
    }

    #[test]
    fn references_are_followed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        assert_eq!(follow("sasl.password", &format!("file:{}", file.path().display())).unwrap(), "hunter2");
        let error = follow("sasl.password", "${WINDROW_TEST_NOT_SET}").unwrap_err();
        assert!(error.message.contains("WINDROW_TEST_NOT_SET"), "{error}");
    }
}
