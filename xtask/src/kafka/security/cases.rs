//! The ways in, right and wrong.

use anyhow::{Context, Result, ensure};

use super::{ADMIN, CANARY, KEY_PASSWORD, Listener, PASSWORD, Stage};

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Every protocol and mechanism. Topics are made and looked at; then rows are sent.
pub(super) fn good(stage: &Stage) -> Result<usize> {
    let (crt, key) = (stage.certificates.path("client.crt"), stage.certificates.path("client.key"));
    let file = stage.dir.join("password");
    std::fs::write(&file, format!("{PASSWORD}\n"))?;
    let in_file = format!("file:{}", file.display());
    let mutual = [("ssl.certificate.location", crt.as_str()), ("ssl.key.location", &key), ("ssl.key.password", KEY_PASSWORD)];
    let mut ways = vec![(Listener::Tls, vec![]), (Listener::Mutual, mutual.to_vec())];
    for listener in [Listener::Sasl, Listener::SaslTls] {
        for mechanism in MECHANISMS {
            // From the file of settings, from a file of its own, and from the environment.
            let secret = match mechanism {
                "PLAIN" => in_file.as_str(),
                "SCRAM-SHA-256" => PASSWORD,
                _ => "",
            };
            ways.push((listener, vec![("sasl.mechanism", mechanism), ("sasl.username", ADMIN), ("sasl.password", secret)]));
        }
    }
    let input = stage.dir.join("pages.csv").display().to_string();
    for (n, (listener, keys)) in ways.iter().enumerate() {
        let settings = stage.settings(*listener, keys)?;
        let environment: &[_] = &[("WINDROW__KAFKA__SASL__PASSWORD", PASSWORD)];
        let from_environment = keys.iter().any(|(key, value)| *key == "sasl.password" && value.is_empty());
        let environment = if from_environment { environment } else { &[] };
        let call = |args: &[&str]| {
            let done = stage.call_with(&settings, args, environment)?;
            done.fine(&format!("{args:?} by {listener:?} {:?}", keys.first()))
        };
        if n == 0 {
            call(&["topics", "create"])?;
        }
        let checked = call(&["topics", "check", "-v", "-o", "json"])?;
        ensure!(checked.said.lines().count() == 6, "{}", checked.said);
        if n % 2 == 1 {
            // Once a protocol, from the first row on; all of them after each other go on where the last one stopped.
            let sent = call(&["produce", "--limit", "20", "--input", &input, "-o", "json"])?;
            ensure!(sent.said.contains("\"rows\":20"), "{}", sent.said);
        }
    }
    Ok(ways.len())
}

/// A way in that is wrong, and what must be said.
struct Wrong<'a> {
    what: &'static str,
    listener: Listener,
    keys: Vec<(&'a str, &'a str)>,
    /// Exit code 2 for settings that can never be, 4 for what a broker says.
    exit: i32,
    code: &'static str,
    /// What the sentence must name.
    named: &'a [&'a str],
}

impl Wrong<'_> {
    fn check(&self, stage: &Stage) -> Result<()> {
        let settings = stage.settings(self.listener, &self.keys)?;
        stage.fails(&settings, &["topics", "check"], self.exit, self.code, self.named).context(self.what)?;
        Ok(())
    }
}

pub(super) fn bad(stage: &Stage) -> Result<usize> {
    let logins = logins(stage)?;
    Ok(logins + certificates(stage)? + ports(stage)?)
}

/// As `user`, by a mechanism.
fn user<'a>(mechanism: &'a str, user: &'a str, password: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("sasl.mechanism", mechanism), ("sasl.username", user), ("sasl.password", password)]
}

fn logins(stage: &Stage) -> Result<usize> {
    let wrong = |what, listener, keys, named| Wrong { what, listener, keys, exit: 4, code: "E-KAFKA-AUTH", named };
    let wrong_password = format!("{CANARY}-of-somebody-else");
    let me = |mechanism| user(mechanism, "admin", &wrong_password);
    let known = || user("PLAIN", "windrow", PASSWORD);
    let never = |case| Wrong { exit: 2, code: "E-SETTINGS", ..case };
    let cases = [
        wrong("wrong password by PLAIN", Listener::Sasl, me("PLAIN"), &["user name admin"]),
        wrong("wrong password by SCRAM-SHA-256", Listener::SaslTls, me("SCRAM-SHA-256"), &["user name admin"]),
        wrong("wrong password by SCRAM-SHA-512", Listener::Sasl, me("SCRAM-SHA-512"), &["user name admin"]),
        wrong("unknown user", Listener::SaslTls, user("PLAIN", "whoever", PASSWORD), &["user name whoever"]),
        wrong("unknown user by SCRAM", Listener::Sasl, user("SCRAM-SHA-512", "whoever", PASSWORD), &["user name whoever"]),
        wrong("wrong mechanism", Listener::Strict, known(), &["mechanism PLAIN; it takes SCRAM-SHA-512"]),
        wrong("no login", Listener::Sasl, vec![("security.protocol", "PLAINTEXT")], &["wants a login", "SASL_PLAINTEXT"]),
        wrong("no login in TLS", Listener::SaslTls, vec![("security.protocol", "SSL")], &["wants a login", "SASL_SSL"]),
        wrong(
            "a login where there is none",
            Listener::Tls,
            [vec![("security.protocol", "SASL_SSL")], known()].concat(),
            &["takes no login", "security.protocol"],
        ),
        never(wrong("no mechanism", Listener::Sasl, user("", "windrow", PASSWORD), &["GSSAPI", "kafka.sasl.mechanism"])),
        never(wrong("no user", Listener::Sasl, vec![("sasl.mechanism", "PLAIN")], &["kafka.sasl.username"])),
    ];
    cases.iter().try_for_each(|case| case.check(stage))?;
    Ok(cases.len())
}

fn certificates(stage: &Stage) -> Result<usize> {
    let wrong = |what, listener, keys, named| Wrong { what, listener, keys, exit: 4, code: "E-KAFKA-TLS", named };
    let never = |case| Wrong { exit: 2, code: "E-SETTINGS", ..case };
    let files = ["stranger.pem", "client.crt", "client.key", "self.crt", "self.key"].map(|file| stage.certificates.path(file));
    let [stranger, crt, key, other_crt, other_key] = files.each_ref().map(String::as_str);
    let ours =
        |crt, key, password| vec![("ssl.certificate.location", crt), ("ssl.key.location", key), ("ssl.key.password", password)];
    let login = [vec![("sasl.mechanism", "PLAIN"), ("sasl.username", "windrow"), ("sasl.password", PASSWORD)]].concat();
    let unsigned: &[&str] = &["cannot trust", "kafka.ssl.ca.location"];
    let cases = [
        wrong("unknown authority", Listener::Tls, vec![("ssl.ca.location", stranger)], unsigned),
        wrong(
            "unknown authority, with a login",
            Listener::SaslTls,
            [vec![("ssl.ca.location", stranger)], login].concat(),
            unsigned,
        ),
        wrong("an authority that the system does not know", Listener::Tls, vec![("ssl.ca.location", "")], unsigned),
        wrong("an expired certificate", Listener::Expired, vec![], &["expired"]),
        wrong("a certificate of another host", Listener::Other, vec![], &["certificate of another host", "localhost:"]),
        wrong("no certificate of ours", Listener::Mutual, vec![], &["wants a certificate", "kafka.ssl.certificate.location"]),
        wrong(
            "a certificate of ours that nobody knows",
            Listener::Mutual,
            ours(other_crt, other_key, ""),
            &["does not take our certificate"],
        ),
        never(wrong(
            "no such file",
            Listener::Tls,
            vec![("ssl.ca.location", "/none.pem")],
            &["kafka.ssl.ca.location", "/none.pem"],
        )),
        never(wrong("no certificate in the file", Listener::Tls, vec![("ssl.ca.location", key)], &["kafka.ssl.ca.location"])),
        never(wrong(
            "wrong password of the key",
            Listener::Mutual,
            ours(crt, key, "canary-of-another-key"),
            &["kafka.ssl.key.password"],
        )),
    ];
    cases.iter().try_for_each(|case| case.check(stage))?;
    Ok(cases.len())
}

fn ports(stage: &Stage) -> Result<usize> {
    let tls = |what, listener, keys, named| Wrong { what, listener, keys, exit: 4, code: "E-KAFKA-TLS", named };
    let login = |protocol| [vec![("security.protocol", protocol)], user("PLAIN", "windrow", PASSWORD)].concat();
    let lost = stage.servers(Listener::Lost);
    let cases = [
        tls("TLS on a plain port", Listener::Lost, vec![("security.protocol", "SSL")], &["does not speak TLS", "PLAINTEXT"]),
        tls("TLS on a plain port with a login", Listener::Sasl, login("SASL_SSL"), &["does not speak TLS", "SASL_PLAINTEXT"]),
        tls("plain text on a TLS port", Listener::Tls, vec![("security.protocol", "PLAINTEXT")], &["want TLS", "to SSL"]),
        tls("plain text on a TLS port with a login", Listener::SaslTls, login("SASL_PLAINTEXT"), &["want TLS", "SASL_SSL"]),
        Wrong {
            what: "an advertised address that nobody knows",
            listener: Listener::Lost,
            keys: vec![],
            exit: 4,
            code: "E-KAFKA-ADV",
            named: &[&lost, "no-such-host.invalid:29092", "does not resolve"],
        },
        Wrong {
            what: "an advertised address where nobody listens",
            listener: Listener::Closed,
            keys: vec![],
            exit: 4,
            code: "E-KAFKA-ADV",
            named: &[&stage.servers(Listener::Closed), "127.0.0.1:1,", "onnection refused"],
        },
    ];
    cases.iter().try_for_each(|case| case.check(stage))?;
    Ok(cases.len())
}

/// Secrets stay out of sight, whatever is asked for: every call of this check is looked through, these try hard.
pub(super) fn secrets(stage: &Stage) -> Result<()> {
    let keys = [
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", ADMIN),
        ("sasl.password", PASSWORD),
        ("ssl.key.password", KEY_PASSWORD),
    ];
    let settings = stage.settings(Listener::SaslTls, &keys)?;
    for args in [&["config", "show", "--origin", "-v"][..], &["config", "show", "-o", "json"], &["config", "show", "-o", "tsv"]]
    {
        let shown = stage.call(&settings, args)?.fine("config show")?;
        ensure!(shown.said.contains("(secret)") && shown.said.contains("sasl.username"), "{}", shown.said);
    }
    let debug = stage.settings(Listener::SaslTls, &[&keys[..], &[("debug", "all")]].concat())?;
    let loud = stage.call(&debug, &["topics", "check", "-v"])?.fine("debug = all")?;
    ensure!(loud.talk.contains("librdkafka ") && loud.talk.len() > 10_000, "the client said too little: {}", loud.talk);
    let wrong = [
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", ADMIN),
        ("sasl.password", "canary-of-nobody"),
        ("debug", "all"),
    ];
    let wrong = stage.settings(Listener::SaslTls, &wrong)?;
    stage.fails(&wrong, &["topics", "check", "-v", "-o", "json"], 4, "E-KAFKA-AUTH", &[])?;
    for broken in [
        "\"sasl.password\" = canary-of-toml",
        "\"sasl.password\" = ['canary-of-toml', 'canary-of-toml']",
        "\"sasl.pasword\" = 'canary-of-toml'",
        "sasl_password = 'canary-of-toml'",
    ] {
        let broken = stage.write(&format!("[kafka]\n\"bootstrap.servers\" = 'localhost:1'\n{broken}\n"))?;
        let done = stage.call(&broken, &["topics", "check", "-v"])?;
        ensure!(done.code == Some(2), "a broken file of settings: {:?} {}", done.code, done.talk);
    }
    for given in ["sasl.password=canary-of-argv", "sasl.password:canary-of-argv", "ssl.key.pem=canary-of-argv"] {
        let done = stage.call(&settings, &["topics", "check", "-v", "-o", "json", "-X", given])?;
        ensure!(done.code == Some(2), "a secret on the command line: {:?} {}", done.code, done.talk);
    }
    Ok(())
}
