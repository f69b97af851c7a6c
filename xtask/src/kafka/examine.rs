//! `windrow check` against a broker where everything is wrong that can be: each thing is named, and what the hints say mends it.
//!
//! The broker wants three copies of its transactions and is alone; its topics are made badly one by one. Rights, TLS, logins and
//! advertised addresses have a broker of their own, in [`super::security`].

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Rig, Setup, Version};
use crate::python::{CLIENTS, script};
use crate::shell::{Watch, fresh_dir, output, say, stdout, windrow};

/// A bar of the issue: how long an answer may be in coming.
const LIMIT_S: f64 = 15.0;
const PIPELINE: [&str; 4] = ["--clusters", "3", "--from-topic", "pages"];

/// A subject that is wrong: subject, code, and what the sentence must name.
type Wrong = (&'static str, &'static str, &'static str);
/// What this broker can never mend.
const ALONE: Wrong = ("transactions", "E-KAFKA-TXN", "3 copies of them, and there is 1 broker");

/// One check of the verb, as it says it.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) what: String,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) hint: String,
}

/// What `check -o json` says is wrong.
pub(super) fn wrong(json: &str) -> Result<Vec<Said>> {
    let said: Value = serde_json::from_str(json).context("the JSON of `check`")?;
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks = said["checks"].as_array().context("checks")?;
    let wrong = checks.iter().filter(|check| check["ok"] == false).map(|check| Said {
        what: text(check, "what"),
        code: text(check, "code"),
        message: text(check, "message"),
        hint: text(check, "hint"),
    });
    Ok(wrong.collect())
}

struct Stage {
    rig: Rig,
    windrow: PathBuf,
    dir: PathBuf,
}

impl Stage {
    fn topics(&self, what: &str) -> Result<()> {
        let mut command = Command::new(&self.windrow);
        stdout(command.args(["topics", what, "--kafka", &self.rig.bootstrap()]).args(PIPELINE)).map(drop)
    }

    fn check(&self, more: &[&str]) -> Result<Vec<Said>> {
        let mut command = Command::new(&self.windrow);
        command
            .current_dir(&self.dir)
            .args(["check", "-o", "json", "--kafka", &self.rig.bootstrap()])
            .args(PIPELINE)
            .args(more);
        let watch = Watch::start();
        let done = output(&mut command)?;
        let seconds = watch.seconds();
        ensure!(seconds <= LIMIT_S, "it took {seconds:.1} s, the bar is {LIMIT_S} s");
        let wrong = wrong(&String::from_utf8(done.stdout)?)?;
        let talk = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.code() == Some(i32::from(!wrong.is_empty())), "exit code {:?}: {talk}", done.status.code());
        Ok(wrong)
    }

    /// The verb must say that these are wrong, in this order, and nothing else.
    fn says(&self, more: &[&str], expected: &[Wrong]) -> Result<Vec<Said>> {
        let said = self.check(more)?;
        let fits = said.len() == expected.len()
            && said.iter().zip(expected).all(|(said, (what, code, named))| {
                said.what == *what && said.code == *code && said.message.contains(named) && !said.hint.is_empty()
            });
        ensure!(fits, "expected {expected:#?}, got {said:#?}");
        Ok(said)
    }

    /// Kafka's own tool for properties of a topic.
    fn alter(&self, topic: &str, how: &str, what: &str) -> Result<()> {
        let servers = self.rig.bootstrap();
        let args = ["--bootstrap-server", &servers, "--alter", "--entity-type", "topics", "--entity-name", topic, how, what];
        self.rig.tool("kafka.admin.ConfigCommand", &args).map(drop)
    }

    fn delete(&self, topic: &str) -> Result<()> {
        self.rig.topics(&["--delete", "--topic", topic]).map(drop)
    }
}

pub(crate) fn examine() -> Result<()> {
    let rig = Setup::new(Version::NEWEST).with("transaction.state.log.replication.factor", "3").start()?;
    let stage = Stage { rig, windrow: windrow("fast", &[])?, dir: fresh_dir("kafka-check")? };
    let watched = || format!("the broker's log is in {}", stage.rig.dir().display());
    stage.says(&[], &[("topics", "E-KAFKA-TOPIC", "there is no topic pages and 6 more"), ALONE]).with_context(watched)?;
    stage.topics("create")?;
    // Parquet alone needs no transactions.
    stage.says(&["--output", "none"], &[])?;
    let named = broken(&stage).with_context(watched)?;
    nobody(&stage)?;
    say(format_args!(
        "check: {named} things wrong with topics, transactions, sizes and clocks named; what the hints say mends them"
    ));
    Ok(())
}

/// Breaks everything, and mends it by what the hints say. Gives the number of things.
fn broken(stage: &Stage) -> Result<usize> {
    for (topic, property) in [
        ("cluster_0", "cleanup.policy=compact"),
        ("cluster_1", "max.message.bytes=1000"),
        ("cluster_2", "min.insync.replicas=2"),
        ("windrow-commits", "cleanup.policy=delete"),
        ("pages", "retention.ms=400000"),
    ] {
        stage.alter(topic, "--add-config", property)?;
    }
    stage.delete("windrow-lineage")?;
    stdout(script(CLIENTS, "ahead.py")?.args([&stage.rig.bootstrap(), "pages"]))?;
    let expected = [
        ("topics", "E-KAFKA-TOPIC", "windrow-lineage"),
        ("shapes", "E-KAFKA-TOPIC", "cluster_2 has 1 copy and min.insync.replicas=2"),
        ("shapes", "E-KAFKA-TOPIC", "windrow-commits has cleanup.policy=delete"),
        ("shapes", "E-KAFKA-TOPIC", "cluster_0 has cleanup.policy=compact"),
        ("retention", "E-KAFKA-RETENTION", "pages keeps messages for 400 s and rolls come every 300 s"),
        ("sizes", "E-KAFKA-SIZE", "cluster_1 takes messages up to 1000 bytes, and the page of a row of 1MB"),
        ALONE,
        ("clock", "E-KAFKA-CLOCK", "message 0 of pages, partition 0"),
    ];
    let said = stage.says(&[], &expected)?;
    for said in said.iter().filter(|said| said.what == "shapes") {
        let servers = stage.rig.bootstrap();
        let args = said.hint.strip_prefix("kafka-configs.sh ").context("a command")?.replace("HOST:PORT", &servers);
        stage.rig.tool("kafka.admin.ConfigCommand", &args.split(' ').collect::<Vec<_>>())?;
    }
    stage.alter("cluster_1", "--add-config", "max.message.bytes=1052672")?;
    stage.delete("pages")?;
    stage.topics("create")?;
    stage.says(&[], &[ALONE])?;
    let small = ("sizes", "E-KAFKA-SIZE", "kafka.message.max.bytes is 1000 bytes");
    stage.says(&["-X", "message.max.bytes=1000"], &[small, ALONE])?;
    Ok(expected.len() + 1)
}

/// Where no broker answers, that is all there is to say.
fn nobody(stage: &Stage) -> Result<()> {
    let said = stage.says(&["-X", "bootstrap.servers=127.0.0.1:1"], &[("brokers", "E-KAFKA-REACH", "127.0.0.1:1")])?;
    ensure!(said[0].hint.contains("running"), "{said:?}");
    ensure!(!Path::new(&stage.dir).join("out").exists(), "`check` left something behind");
    Ok(())
}
