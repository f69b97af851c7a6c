//! From what librdkafka says of keys and files, before any broker is asked, to a sentence that names the key.

use std::fs::File;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use super::trouble::COMMON_KEYS;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::{is_secret, nearest_of};

/// Keys whose values are files that the client reads.
const FILES: [&str; 5] =
    ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location", "ssl.crl.location"];

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Invalid, "E-SETTINGS", message)
}

/// Refuses files that cannot be opened: librdkafka says that its TLS library has met an error.
pub(super) fn check_files(config: &ClientConfig) -> Result<()> {
    for key in FILES {
        // `probe` stands for the places where systems keep their authorities.
        let Some(path) = config.get(key).filter(|path| !path.is_empty() && *path != "probe") else { continue };
        File::open(path).map_err(|error| {
            wrong(format!("kafka.{key}: the file {path} cannot be read"))
                .cause(error)
                .hint("give the path of a file that is there")
        })?;
    }
    Ok(())
}

/// The key that was meant, perhaps.
pub(super) fn near_key(key: &str) -> Option<&'static str> {
    nearest_of(key, COMMON_KEYS)
}

/// What librdkafka says of a key, without its value, which may be a secret.
pub(super) fn refused_key(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, _, key, _) if is_secret(key) => wrong(format!("kafka.{key}: librdkafka does not take it")),
        KafkaError::ClientConfig(_, told, key, _) => {
            let error = wrong(format!("kafka.{key}: {}", told.trim()));
            match near_key(key) {
                _ if told.contains("Java ") => {
                    error.hint("lines of Java's clients are read from a file: kafka.properties = \"client.properties\"")
                }
                Some(near) => error.hint(format!("did you mean `{near}`? Keys are spelled as librdkafka spells them")),
                None => error.hint("keys are spelled as librdkafka spells them; its CONFIGURATION.md lists them"),
            }
        }
        KafkaError::ClientCreation(told) => refused_together(told),
        _ => wrong("the settings under [kafka] do not go together".into()).cause(error),
    }
}

/// Keys that are fine alone, and of which no client can be made.
fn refused_together(told: &str) -> Error {
    let error = if told.contains("No provider for SASL mechanism") {
        let name = told.split("mechanism ").nth(1).and_then(|rest| rest.split(':').next()).unwrap_or_default();
        let unset = if name == "GSSAPI" { ", which is what librdkafka takes when kafka.sasl.mechanism is not set" } else { "" };
        wrong(format!("this program cannot log in by {name}{unset}"))
            .hint("set kafka.sasl.mechanism to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, as the broker wants it")
    } else if told.contains("sasl.username and sasl.password must be set") {
        wrong("kafka.sasl.username or kafka.sasl.password is not set, and kafka.security.protocol asks for both".into())
            .hint("the password may stand in file:PATH, or in the environment as WINDROW__KAFKA__SASL__PASSWORD")
    } else if told.contains("ssl.key.") || told.contains("ssl.keystore") {
        wrong("the key of our certificate cannot be opened".into())
            .hint("are kafka.ssl.key.password (or kafka.ssl.keystore.password) and the form of the file right: PEM, or PKCS#12 for a key store?")
    } else if told.contains("rivate key check failed") {
        wrong("the key and the certificate of ours do not belong together".into())
            .hint("look at kafka.ssl.key.location and kafka.ssl.certificate.location")
    } else if let Some(key) = FILES.into_iter().find(|key| told.contains(key)) {
        wrong(format!("kafka.{key}: the file holds no certificate in PEM form"))
            .hint("certificates in PEM form begin with -----BEGIN CERTIFICATE-----")
    } else {
        wrong("the settings under [kafka] do not go together".into())
    };
    error.cause(told.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(told: &str) -> String {
        refused_key(&KafkaError::ClientCreation(told.into())).to_string()
    }

    #[test]
    fn the_key_at_fault_is_named() {
        let text = message("No provider for SASL mechanism GSSAPI: recompile librdkafka with libsasl2 or openssl support");
        assert!(text.contains("GSSAPI, which is what") && text.contains("set kafka.sasl.mechanism"), "{text}");
        assert!(message("sasl.username and sasl.password must be set").contains("kafka.sasl.password is not set"));
        assert!(message("ssl.key.location failed: error:0A080009:SSL routines::PEM lib").contains("kafka.ssl.key.password"));
        assert!(message("ssl.ca.location failed: error:05880002").contains("kafka.ssl.ca.location: the file holds no"));
    }

    #[test]
    fn a_missing_file_is_named_with_its_key() {
        let mut config = ClientConfig::new();
        config.set("ssl.ca.location", "/none.pem");
        let text = check_files(&config).unwrap_err().to_string();
        assert!(text.contains("kafka.ssl.ca.location: the file /none.pem cannot be read"), "{text}");
        assert_eq!(check_files(config.set("ssl.ca.location", "probe")), Ok(()));
    }
}
