//! Java's key stores and trust stores: PEM and PKCS#12 are read as they are, JKS has to be converted first.
//!
//! What a file holds decides, not what the keys beside it say: Java too reads PKCS#12 where the type says JKS.

use std::fs::File;
use std::io::Read as _;

use super::{Entry, wrong};
use crate::error::Result;
use crate::settings::follow;

/// What the file says of stores; keys come in any order, and mean something together only.
#[derive(Default)]
pub(super) struct Stores {
    trust: Option<String>,
    key: Option<Store>,
    key_password: Option<String>,
    store_password: Option<String>,
}

/// A key store that can be read.
struct Store {
    path: String,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Pem,
    Pkcs12,
    Jks,
}

impl Stores {
    /// Takes an entry that is about stores; false when it is not.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<bool> {
        let value = || follow(&entry.key, &entry.value);
        match entry.key.as_str() {
            "ssl.truststore.location" => {
                let path = value()?;
                if form(&path)? != Form::Pem {
                    return Err(wrong(format!("{path} is a key store of Java, and certificates are read in PEM form")).hint(
                        format!(
                            "convert it: keytool -list -rfc -keystore {path} >ca.pem; then ssl.truststore.location=ca.pem \
                             and ssl.truststore.type=PEM"
                        ),
                    ));
                }
                self.trust = Some(path);
            }
            "ssl.keystore.location" => {
                let path = value()?;
                let form = form(&path)?;
                if form == Form::Jks {
                    return Err(wrong(format!("{path} is a key store in Java's own form (JKS), and PKCS#12 or PEM is read"))
                        .hint(format!(
                            "convert it: keytool -importkeystore -srckeystore {path} -destkeystore client.p12 -deststoretype \
                             PKCS12; then ssl.keystore.location=client.p12 and ssl.keystore.type=PKCS12"
                        )));
                }
                self.key = Some(Store { path, form });
            }
            "ssl.key.password" => self.key_password = Some(value()?),
            "ssl.keystore.password" => self.store_password = Some(value()?),
            // A store of certificates in PEM form has no password, and its form is seen.
            "ssl.truststore.password" | "ssl.truststore.type" | "ssl.keystore.type" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// As librdkafka's keys.
    pub(super) fn keys(self) -> impl Iterator<Item = (String, String)> {
        let mut keys: Vec<(&str, Option<String>)> = vec![("ssl.ca.location", self.trust)];
        match self.key {
            Some(Store { path, form: Form::Pkcs12 }) => {
                keys.extend([
                    ("ssl.keystore.location", Some(path)),
                    ("ssl.keystore.password", self.store_password.or(self.key_password)),
                ]);
            }
            // Java keeps the key and its certificates in one file.
            Some(Store { path, .. }) => keys.extend([
                ("ssl.certificate.location", Some(path.clone())),
                ("ssl.key.location", Some(path)),
                ("ssl.key.password", self.key_password.or(self.store_password)),
            ]),
            None => keys.push(("ssl.key.password", self.key_password)),
        }
        keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)))
    }
}

/// What form a store has, by how it begins.
fn form(path: &str) -> Result<Form> {
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(64 << 10).read_to_end(&mut start)).map_err(|error| {
        wrong(format!("the file {path} cannot be read")).cause(error).hint("give the path of a file that is there")
    })?;
    let has_pem = start.windows(11).any(|window| window == b"-----BEGIN ");
    match start.as_slice() {
        [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => Ok(Form::Jks),
        _ if has_pem => Ok(Form::Pem),
        // ASN.1's sign for a sequence: PKCS#12 is one.
        [0x30, ..] => Ok(Form::Pkcs12),
        _ => Err(wrong(format!("{path} is no key store: neither PEM nor PKCS#12 nor Java's own"))
            .hint("is it the right file? PEM begins with -----BEGIN")),
    }
}
