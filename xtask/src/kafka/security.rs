//! A broker that asks who one is and lets nobody do all: what works with the right secrets and rights, what is said without them.
//!
//! One real broker listens in every way there is (TLS, TLS with the client's certificate, SASL in plain text and in TLS, a certificate
//! for another host, an advertised address that nobody knows); each case is a settings file and a call of the program. Every wrong
//! case must end with its code within [`LIMIT_S`] seconds, and no output of any call may hold a secret.

mod cases;
mod certificates;
mod properties;
mod rights;

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Rig, Setup, Version};
use crate::campaign;
use crate::shell::{Watch, fresh_dir, output, say, windrow};
use certificates::{Certificates, KEY_PASSWORD};

/// A bar of the issue: how long a sentence may be in coming.
const LIMIT_S: f64 = 15.0;
/// What every secret of this check begins with.
const CANARY: &str = "canary";
/// The user's password, for PLAIN and for SCRAM.
const PASSWORD: &str = "canary-of-the-user";
/// A user who may do all.
const ADMIN: &str = "admin";
/// A user who has the rights that a case gives.
const USER: &str = "windrow";
/// Another one, for a run.
const RUNNER: &str = "runner";
/// A third one, for an audit.
const AUDITOR: &str = "auditor";

/// How the broker listens: name, port, protocol of the client, key and certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    /// SASL in TLS, all mechanisms.
    SaslTls,
    Tls,
    /// TLS, and the client must show a certificate.
    Mutual,
    /// SASL in plain text, all mechanisms.
    Sasl,
    /// SASL in plain text, SCRAM-SHA-512 only.
    Strict,
    /// TLS, with a certificate for another host.
    Other,
    /// TLS, with a certificate that has expired.
    Expired,
    /// Plain text, and tells clients to use an address that nobody knows.
    Lost,
    /// Plain text, and tells clients to use an address where nobody listens.
    Closed,
}

impl Listener {
    const ALL: [Self; 9] = [
        Self::SaslTls,
        Self::Tls,
        Self::Mutual,
        Self::Sasl,
        Self::Strict,
        Self::Other,
        Self::Expired,
        Self::Lost,
        Self::Closed,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::SaslTls => "CLIENT",
            Self::Tls => "TLS",
            Self::Mutual => "MUTUAL",
            Self::Sasl => "SASL",
            Self::Strict => "STRICT",
            Self::Other => "OTHER",
            Self::Expired => "EXPIRED",
            Self::Lost => "LOST",
            Self::Closed => "CLOSED",
        }
    }

    /// The place of its port among the spare ones; the first listener has the rig's own port for clients.
    fn spare(self) -> Option<usize> {
        Self::ALL.iter().position(|one| *one == self)?.checked_sub(1)
    }

    fn port_mark(self) -> String {
        self.spare().map_or("{port}".into(), |n| format!("{{spare{n}}}"))
    }

    fn protocol(self) -> &'static str {
        match self {
            Self::SaslTls => "SASL_SSL",
            Self::Tls | Self::Mutual | Self::Other | Self::Expired => "SSL",
            Self::Sasl | Self::Strict => "SASL_PLAINTEXT",
            Self::Lost | Self::Closed => "PLAINTEXT",
        }
    }
}

/// The broker, the program, and all that a case needs.
struct Stage {
    rig: Rig,
    windrow: PathBuf,
    dir: PathBuf,
    certificates: Certificates,
    /// Settings files written so far.
    written: Cell<usize>,
    /// Bytes of output looked through for secrets.
    looked_through: Cell<usize>,
    /// The longest wait for a sentence.
    slowest: Cell<f64>,
}

/// What a call left behind.
struct Done {
    code: Option<i32>,
    said: String,
    talk: String,
    seconds: f64,
}

impl Done {
    fn fine(self, what: &str) -> Result<Self> {
        ensure!(self.code == Some(0), "{what}: exit code {:?}\n{}{}", self.code, self.said, self.talk);
        Ok(self)
    }
}

impl Stage {
    fn start() -> Result<Self> {
        let dir = fresh_dir("kafka-security")?;
        let certificates = Certificates::make(&dir)?;
        let rig = setup(&certificates).start()?;
        let input = dir.join("pages.csv");
        campaign::write(&input, 0, 200)?;
        let none = || Cell::new(0);
        let stage = Self {
            rig,
            windrow: windrow("fast", &[])?,
            dir,
            certificates,
            written: none(),
            looked_through: none(),
            slowest: Cell::new(0.0),
        };
        stage.add_scram()?;
        Ok(stage)
    }

    /// SCRAM's users are kept by the broker itself, which must run; it takes one mechanism at a time.
    fn add_scram(&self) -> Result<()> {
        let inner = self.rig.inner();
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let config = format!("{mechanism}=[password={PASSWORD}]");
            let whose = ["--alter", "--entity-type", "users", "--entity-name", ADMIN, "--add-config", &config];
            self.rig.tool("kafka.admin.ConfigCommand", &[&["--bootstrap-server", &inner], &whose[..]].concat())?;
        }
        Ok(())
    }

    /// Where clients of a listener connect to.
    fn servers(&self, listener: Listener) -> String {
        format!("localhost:{}", listener.spare().map_or(self.rig.client_port(), |n| self.rig.spare(n)))
    }

    /// Writes a settings file with these keys under `[kafka]`, below the ones that every client of the listener needs.
    fn settings(&self, listener: Listener, keys: &[(&str, &str)]) -> Result<PathBuf> {
        let (servers, ca) = (self.servers(listener), self.certificates.path("ca.pem"));
        let mut all = vec![("bootstrap.servers", servers.as_str()), ("security.protocol", listener.protocol())];
        if listener.protocol().ends_with("SSL") {
            all.push(("ssl.ca.location", &ca));
        }
        let mut text = String::from("[source]\ntopic = \"pages\"\n[model]\nclusters = 2\n[kafka]\n");
        all.retain(|(key, _)| !keys.iter().any(|(given, _)| given == key));
        for (key, value) in all.iter().chain(keys).filter(|(_, value)| !value.is_empty()) {
            writeln!(text, "\"{key}\" = '{value}'")?;
        }
        self.write(&text)
    }

    fn write(&self, text: &str) -> Result<PathBuf> {
        let path = self.dir.join(format!("settings-{}.toml", self.written.replace(self.written.get() + 1)));
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn call(&self, settings: &Path, args: &[&str]) -> Result<Done> {
        self.call_with(settings, args, &[])
    }

    /// A call that must fail with this code and name these things, in time.
    fn fails(&self, settings: &Path, args: &[&str], exit: i32, code: &str, named: &[&str]) -> Result<Done> {
        let done = self.call(settings, args)?;
        let told = done.code == Some(exit) && done.talk.contains(&format!("error[{code}]")) && done.talk.contains("hint: ");
        ensure!(told, "expected exit code {exit}, {code} and a hint, got {:?}: {}", done.code, done.talk);
        let missing = named.iter().find(|name| !done.talk.contains(**name));
        ensure!(missing.is_none(), "`{}` is not in: {}", missing.unwrap_or(&""), done.talk);
        ensure!(done.seconds <= LIMIT_S, "it took {:.1} s, the bar is {LIMIT_S} s: {}", done.seconds, done.talk);
        self.slowest.set(self.slowest.get().max(done.seconds));
        Ok(done)
    }

    /// Calls the program, and looks for secrets in what it wrote.
    fn call_with(&self, settings: &Path, args: &[&str], environment: &[(&str, &str)]) -> Result<Done> {
        let mut command = Command::new(&self.windrow);
        command.args(args).arg("--config").arg(settings).envs(environment.iter().copied());
        let watch = Watch::start();
        let done = output(&mut command)?;
        let seconds = watch.seconds();
        let (said, talk) = (String::from_utf8(done.stdout)?, String::from_utf8_lossy(&done.stderr).into_owned());
        self.looked_through.set(self.looked_through.get() + said.len() + talk.len());
        let leak = said.lines().chain(talk.lines()).find(|line| line.contains(CANARY));
        ensure!(leak.is_none(), "a secret was printed by {args:?} with {}: {}", settings.display(), leak.unwrap_or_default());
        Ok(Done { code: done.status.code(), said, talk, seconds })
    }
}

/// The broker's properties.
fn setup(certificates: &Certificates) -> Setup {
    let all =
        |address: &dyn Fn(Listener) -> String| Listener::ALL.map(|one| format!("{}://{}", one.name(), address(one))).join(",");
    let listeners = all(&|one| format!("127.0.0.1:{}", one.port_mark()));
    let advertised = all(&|one| match one {
        Listener::Lost => "no-such-host.invalid:29092".into(),
        Listener::Closed => "127.0.0.1:1".into(),
        _ => format!("localhost:{}", one.port_mark()),
    });
    let protocols = Listener::ALL.map(|one| format!("{}:{}", one.name(), one.protocol())).join(",");
    let mut setup = Setup::new(Version::NEWEST)
        .with("listeners", &format!("{listeners},INNER://127.0.0.1:{{inner}},CONTROLLER://127.0.0.1:{{quorum}}"))
        .with("advertised.listeners", &format!("{advertised},INNER://127.0.0.1:{{inner}}"))
        .with("listener.security.protocol.map", &format!("{protocols},INNER:PLAINTEXT,CONTROLLER:PLAINTEXT"))
        .with("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .with("super.users", "User:ANONYMOUS;User:admin;User:CN=rig-client");
    for listener in Listener::ALL {
        let lower = listener.name().to_lowercase();
        let key = |key: &str| format!("listener.name.{lower}.{key}");
        if listener.protocol().ends_with("SSL") {
            let store = match listener {
                Listener::Other => "other.pem",
                Listener::Expired => "expired.pem",
                _ => "broker.pem",
            };
            setup = setup.with(&key("ssl.keystore.type"), "PEM").with(&key("ssl.keystore.location"), &certificates.path(store));
            setup = setup
                .with(&key("ssl.truststore.type"), "PEM")
                .with(&key("ssl.truststore.location"), &certificates.path("ca.pem"));
            setup = setup.with(&key("ssl.client.auth"), if listener == Listener::Mutual { "required" } else { "none" });
        }
        if listener.protocol().starts_with("SASL") {
            let mechanisms: &[&str] =
                if listener == Listener::Strict { &["SCRAM-SHA-512"] } else { &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] };
            setup = setup.with(&key("sasl.enabled.mechanisms"), &mechanisms.join(","));
            for mechanism in mechanisms {
                let jaas = if *mechanism == "PLAIN" {
                    let users = [USER, RUNNER, AUDITOR, ADMIN].map(|user| format!("user_{user}=\"{PASSWORD}\"")).join(" ");
                    format!("org.apache.kafka.common.security.plain.PlainLoginModule required {users};")
                } else {
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned()
                };
                setup = setup.with(&key(&format!("{}.sasl.jaas.config", mechanism.to_lowercase())), &jaas);
            }
        }
    }
    setup
}

pub(crate) fn security() -> Result<()> {
    let stage = Stage::start()?;
    let watched = || format!("the broker's log is in {}", stage.rig.dir().display());
    let rights = rights::rights(&stage).with_context(watched)?;
    let good = cases::good(&stage).with_context(watched)?;
    let bad = cases::bad(&stage).with_context(watched)?;
    let files = properties::files(&stage).with_context(watched)?;
    cases::secrets(&stage).with_context(watched)?;
    let looked = stage.looked_through.get();
    ensure!(looked > 10_000, "only {looked} bytes were looked through for secrets");
    say(format_args!(
        "security: {good} ways in, {files} by files of Java; {bad} wrong ones and {rights} missing rights named within {:.1} s; no secret in {looked} bytes of output",
        stage.slowest.get()
    ));
    Ok(())
}
