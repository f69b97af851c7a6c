//! Java's files: the broker's own tool logs in by a `client.properties`, and so do we by the very same file.
//!
//! Key stores are made by Java's `keytool`; those that we do not read are converted by the command that the hint gives.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{ADMIN, CANARY, KEY_PASSWORD, Listener, PASSWORD, Stage};
use crate::shell::stdout;

const STORE_PASSWORD: &str = "canary-of-the-store";

/// Gives the number of files that led in.
pub(super) fn files(stage: &Stage) -> Result<usize> {
    let [ca, jks, p12] = ["ca.pem", "trust.jks", "client.p12"].map(|file| stage.certificates.path(file));
    keytool(&["-importcert", "-noprompt", "-alias", "ca", "-file", &ca, "-keystore", &jks, "-storetype", "JKS"])?;
    let (crt, key, both) =
        (stage.certificates.path("client.crt"), stage.certificates.path("client.key"), stage.dir.join("client.pem"));
    std::fs::write(&both, std::fs::read_to_string(&key)? + &std::fs::read_to_string(&crt)?)?;
    let [from, to] = [format!("pass:{KEY_PASSWORD}"), format!("pass:{STORE_PASSWORD}")];
    let what = ["pkcs12", "-export", "-in", &crt, "-inkey", &key, "-passin", &from, "-passout", &to, "-out", &p12];
    stage.certificates.openssl(&what)?;
    let login = |module: &str, mechanism: &str| {
        let class = format!("org.apache.kafka.common.security.{}.{module}LoginModule", module.to_lowercase());
        format!(
            "sasl.mechanism={mechanism}\nsasl.jaas.config={class} required \\\n  username=\"{ADMIN}\" password=\"{PASSWORD}\";\n"
        )
    };
    let trust = format!("ssl.truststore.location={ca}\nssl.truststore.type=PEM\n");
    let store = |path: &str, form: &str, password: &str| {
        format!("{trust}ssl.keystore.location={path}\nssl.keystore.type={form}\n{password}\n")
    };
    let ways = [
        (Listener::Sasl, login("Plain", "PLAIN")),
        (Listener::SaslTls, trust.clone() + &login("Scram", "SCRAM-SHA-512")),
        (Listener::Mutual, store(&p12, "PKCS12", &format!("ssl.keystore.password={STORE_PASSWORD}"))),
        (Listener::Mutual, store(&both.display().to_string(), "PEM", &format!("ssl.key.password={KEY_PASSWORD}"))),
    ];
    for (n, (listener, content)) in ways.iter().enumerate() {
        let (settings, properties) = write(stage, *listener, content)?;
        stage.call(&settings, &["topics", "check", "-v"])?.fine(&format!("{listener:?} by {}", properties.display()))?;
        if n == 1 {
            // Java's own client: the file is a good one.
            let config = properties.display().to_string();
            let args = ["--bootstrap-server", &stage.servers(*listener), "--command-config", &config, "--list"];
            stage.rig.tool("org.apache.kafka.tools.TopicCommand", &args)?;
        }
    }
    refusals(stage, &jks)?;
    Ok(ways.len())
}

/// What is refused, and what the hint makes of it.
fn refusals(stage: &Stage, jks: &str) -> Result<()> {
    let mut content = format!("ssl.truststore.location={jks}\nssl.truststore.password={STORE_PASSWORD}\n");
    let (settings, _) = write(stage, Listener::Tls, &content)?;
    let named = ["keytool -list -rfc -keystore", jks, ".properties:3: ssl.truststore.location"];
    stage.fails(&settings, &["topics", "check", "-v"], 2, "E-SETTINGS", &named)?;
    let converted = keytool(&["-list", "-rfc", "-keystore", jks])?;
    let ca = stage.dir.join("converted.pem");
    std::fs::write(&ca, converted)?;
    content = format!("ssl.truststore.location={}\nssl.truststore.type=PEM\n", ca.display());
    let (settings, _) = write(stage, Listener::Tls, &content)?;
    stage.call(&settings, &["topics", "check"])?.fine("a converted trust store")?;
    for (line, named) in [
        (format!("sasl.jaas.config=com.example.{CANARY} required;"), "another class of Java"),
        (format!("sasl.pasword={CANARY}"), "no such key"),
        (format!("sasl.password=${{vault:{CANARY}:key}}"), "config providers"),
    ] {
        let (settings, _) = write(stage, Listener::Sasl, &line)?;
        stage.fails(&settings, &["topics", "check", "-v"], 2, "E-SETTINGS", &[named, ".properties:3: "])?;
    }
    Ok(())
}

/// A file of Java with these lines, and settings that name it and nothing else.
fn write(stage: &Stage, listener: Listener, content: &str) -> Result<(PathBuf, PathBuf)> {
    let properties = stage.dir.join(format!("client-{}.properties", stage.written.get()));
    let head = format!("bootstrap.servers={}\nsecurity.protocol={}\n", stage.servers(listener), listener.protocol());
    std::fs::write(&properties, head + content).context("a file of properties")?;
    let text =
        format!("[source]\ntopic = \"pages\"\n[model]\nclusters = 2\n[kafka]\nproperties = '{}'\n", properties.display());
    Ok((stage.write(&text)?, properties))
}

fn keytool(args: &[&str]) -> Result<String> {
    let done = stdout(Command::new("keytool").args(args).args(["-storepass", STORE_PASSWORD]))?;
    ensure!(!done.contains("keytool error"), "{done}");
    Ok(done)
}
