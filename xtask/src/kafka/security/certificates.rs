//! Certificates for one check: an authority that brokers and clients know, one that they do not, and what these signed.
//!
//! They are made by the `openssl` program when the check starts, and lie in the target folder: no key is in the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::shell::stdout;

/// Guards the client's key.
pub(super) const KEY_PASSWORD: &str = "canary-of-the-key";
/// The host name in the certificate of the wrong host.
pub(super) const OTHER_HOST: &str = "kafka.example";

/// Where the files lie.
pub(super) struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Makes all of them.
    ///
    /// - `ca.pem`, `stranger.pem`: authorities
    /// - `broker.pem`, `other.pem`, `expired.pem`: key and certificate of a broker, as Kafka takes them
    /// - `client.crt`, `client.key`: of a client, its key guarded by a password
    /// - `self.crt`, `self.key`: of a client that signed for itself
    pub(super) fn make(dir: &Path) -> Result<Self> {
        let made = Self { dir: dir.to_owned() };
        for name in ["ca", "stranger"] {
            let (subject, key, cert) =
                (format!("/CN=rig-{name}"), made.path(&format!("{name}.key")), made.path(&format!("{name}.pem")));
            let what = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
            made.openssl(&[&what[..], &["-subj", &subject, "-keyout", &key, "-out", &cert]].concat())?;
        }
        made.sign("broker", "DNS:localhost,IP:127.0.0.1", "2")?;
        made.sign("other", &format!("DNS:{OTHER_HOST}"), "2")?;
        made.sign("expired", "DNS:localhost", "-1")?;
        made.sign("client", "DNS:client", "2")?;
        for (from, to) in [("stranger.pem", "self.crt"), ("stranger.key", "self.key")] {
            std::fs::copy(dir.join(from), dir.join(to))?;
        }
        for name in ["broker", "other", "expired"] {
            let both = ["key", "crt"].map(|end| std::fs::read_to_string(dir.join(format!("{name}.{end}"))));
            let [key, certificate] = both;
            std::fs::write(dir.join(format!("{name}.pem")), key? + &certificate?)?;
        }
        let (key, guarded) = (made.path("client.key"), made.path("guarded.key"));
        made.openssl(&["pkcs8", "-topk8", "-in", &key, "-out", &guarded, "-passout", &format!("pass:{KEY_PASSWORD}")])?;
        std::fs::rename(guarded, key)?;
        Ok(made)
    }

    /// A key, and a certificate for these names and days, signed by the known authority.
    fn sign(&self, name: &str, names: &str, days: &str) -> Result<()> {
        let [key, request, cert, more] = ["key", "csr", "crt", "ext"].map(|end| self.path(&format!("{name}.{end}")));
        let what = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        self.openssl(&[&what[..], &["-subj", &format!("/CN=rig-{name}"), "-keyout", &key, "-out", &request]].concat())?;
        std::fs::write(&more, format!("subjectAltName={names}\n"))?;
        let (ca, ca_key) = (self.path("ca.pem"), self.path("ca.key"));
        let by = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", days];
        self.openssl(&[&by[..], &["-extfile", &more, "-out", &cert]].concat())
    }

    pub(super) fn openssl(&self, args: &[&str]) -> Result<()> {
        stdout(Command::new("openssl").args(args)).map(drop)
    }

    /// A file's full name.
    pub(super) fn path(&self, file: &str) -> String {
        self.dir.join(file).display().to_string()
    }
}
