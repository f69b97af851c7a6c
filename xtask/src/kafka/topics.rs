//! `windrow topics` against a real broker, seen by Kafka's own tools; and what is said when the broker cannot be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Rig, Setup, Version};
use crate::shell::{output, root, say, windrow};

/// The topics of a pipeline with three clusters, sorted.
const OURS: [&str; 6] = ["cluster_0", "cluster_1", "cluster_2", "windrow-commits", "windrow-lineage", "windrow-rejects"];
const PIPELINE: [&str; 4] = ["--clusters", "3", "--from-topic", "topic_url"];

/// What a call left behind.
struct Done {
    code: Option<i32>,
    objects: Vec<BTreeMap<String, Value>>,
    talk: String,
}

impl Done {
    /// The standing of each topic.
    fn standings(&self) -> BTreeMap<&str, &str> {
        self.objects
            .iter()
            .filter_map(|object| Some((object.get("topic")?.as_str()?, object.get("standing")?.as_str()?)))
            .collect()
    }

    fn fine(self) -> Result<Self> {
        ensure!(self.code == Some(0), "exit code {:?}: {}", self.code, self.talk);
        Ok(self)
    }

    fn failed(&self, exit: i32, code: &str) -> Result<()> {
        let told = self.code == Some(exit) && self.talk.contains(&format!("error[{code}]"));
        ensure!(told, "expected exit code {exit} and {code}, got {:?}: {}", self.code, self.talk);
        Ok(())
    }
}

/// A program and the broker that it is to use.
struct Call {
    windrow: PathBuf,
    servers: String,
}

impl Call {
    fn topics(&self, args: &[&str]) -> Result<Done> {
        let mut command = Command::new(&self.windrow);
        command.arg("topics").args(args).args(PIPELINE).args(["--kafka", &self.servers]).env("WINDROW_FORMAT", "json");
        let done = output(&mut command)?;
        let lines = String::from_utf8(done.stdout)?;
        let objects = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Done { code: done.status.code(), objects, talk: String::from_utf8_lossy(&done.stderr).into_owned() })
    }
}

pub(crate) fn topics() -> Result<()> {
    let windrow = windrow("fast", &[])?;
    let rig = Rig::start(Version::NEWEST)?;
    let call = Call { windrow: windrow.clone(), servers: rig.bootstrap() };
    made_checked_deleted(&call, &rig)?;
    troubles(&call)?;
    drop(rig);
    unknown_address(&windrow)?;
    say(
        "topics: planned, made, checked, deleted; broker down, wrong port, TLS on a plain port, unknown advertised host: each named",
    );
    Ok(())
}

fn made_checked_deleted(call: &Call, rig: &Rig) -> Result<()> {
    let planned = call.topics(&["create", "--dry-run"])?.fine()?;
    ensure!(planned.standings().values().all(|standing| *standing == "missing"), "{:?}", planned.standings());
    ensure!(listed(rig)?.is_empty(), "a dry run made topics");
    let made = call.topics(&["create", "--input-partitions", "2"])?.fine()?;
    let documented = documented("windrow.topic/1")?;
    ensure!(made.standings().values().all(|standing| *standing == "made"), "{:?}", made.standings());
    ensure!(made.objects.iter().all(|object| fields(object) == documented), "docs/reference/json.md");
    let all: BTreeSet<String> = OURS.iter().chain(&["topic_url"]).map(|topic| (*topic).to_owned()).collect();
    ensure!(listed(rig)? == all, "Kafka's own tool sees {:?}", listed(rig)?);
    let commits = describe(rig, "windrow-commits")?;
    ensure!(commits.contains("cleanup.policy=compact") && commits.contains("PartitionCount: 1"), "{commits}");
    ensure!(describe(rig, "topic_url")?.contains("PartitionCount: 2"), "two partitions were asked for");

    call.topics(&["create", "--input-partitions", "7"])?.failed(2, "E-KAFKA-TOPIC")?;
    let unfit = call.topics(&["check", "--input-partitions", "7"])?;
    let told = unfit.code == Some(1) && unfit.objects[0]["flaw"] == "has 2 partitions, not 7";
    ensure!(told && unfit.standings()["topic_url"] == "unfit", "{:?}: {:?}", unfit.code, unfit.objects);
    call.topics(&["check", "--input-partitions", "2", "--partitions", "1", "--replication", "1"])?.fine()?;
    let again = call.topics(&["create"])?.fine()?;
    ensure!(again.standings().values().all(|standing| *standing == "there"), "{:?}", again.standings());
    call.topics(&["check"])?.fine()?;
    call.topics(&["delete"])?.failed(2, "E-USAGE")?;
    ensure!(listed(rig)? == all, "deleted without --yes");
    call.topics(&["delete", "--yes"])?.fine()?;
    let left: BTreeSet<String> = all.iter().filter(|topic| !topic.starts_with("cluster_")).cloned().collect();
    ensure!(left.len() == 4 && listed(rig)? == left, "what pipelines share stays: {:?}", listed(rig)?);
    call.topics(&["delete", "--shared"])?.failed(2, "E-USAGE")?;
    call.topics(&["delete", "--shared", "--yes"])?.fine()?;
    ensure!(call.topics(&["check"])?.code == Some(1), "check says that topics are missing");
    ensure!(listed(rig)?.into_iter().eq(["topic_url".to_owned()]), "the input stays, and nothing else: {:?}", listed(rig)?);

    let tool = ["--create", "--topic", "windrow-lineage", "--partitions", "3", "--replication-factor", "1"];
    rig.topics(&tool)?;
    call.topics(&["create"])?.failed(2, "E-KAFKA-TOPIC")?;
    call.topics(&["create", "--replication", "2"])?.failed(2, "E-KAFKA-TOPIC")
}

/// What is said of a broker that is not as it should be.
fn troubles(call: &Call) -> Result<()> {
    let elsewhere = |servers: &str| Call { windrow: call.windrow.clone(), servers: servers.to_owned() };
    elsewhere("127.0.0.1:1").topics(&["check"])?.failed(4, "E-KAFKA-REACH")?;
    elsewhere("no-such-host.invalid:9092").topics(&["check"])?.failed(4, "E-KAFKA-REACH")?;
    call.topics(&["check", "-X", "security.protocol=ssl"])?.failed(4, "E-KAFKA-TLS")?;
    call.topics(&["check", "-X", "bootstrap.server=x"])?.failed(2, "E-SETTINGS")?;
    let secret = call.topics(&["check", "-X", "sasl.password=hunter2"])?;
    secret.failed(2, "E-SETTINGS")?;
    ensure!(!secret.talk.contains("hunter2"), "a secret was printed: {}", secret.talk);
    Ok(())
}

/// A broker that sends its clients to a host that nobody knows.
fn unknown_address(windrow: &Path) -> Result<()> {
    let listeners = "CLIENT://no-such-host.invalid:9092,INNER://127.0.0.1:{inner}";
    let rig = Setup::new(Version::NEWEST).with("advertised.listeners", listeners).start()?;
    let call = Call { windrow: windrow.to_owned(), servers: rig.bootstrap() };
    let done = call.topics(&["create"])?;
    done.failed(4, "E-KAFKA-ADV")?;
    let both = done.talk.contains(&rig.bootstrap()) && done.talk.contains("no-such-host.invalid:9092");
    ensure!(both, "both addresses are named: {}", done.talk);
    Ok(())
}

/// Topics as Kafka's own tool lists them, without the broker's own.
fn listed(rig: &Rig) -> Result<BTreeSet<String>> {
    let topics = rig.topics(&["--list"])?;
    Ok(topics.lines().map(str::to_owned).filter(|topic| !topic.is_empty() && !topic.starts_with("__")).collect())
}

fn describe(rig: &Rig, topic: &str) -> Result<String> {
    rig.topics(&["--describe", "--topic", topic])
}

fn fields(object: &BTreeMap<String, Value>) -> BTreeSet<String> {
    object.keys().filter(|key| *key != "schema").cloned().collect()
}

/// The fields of a schema by docs/reference/json.md.
pub(super) fn documented(schema: &str) -> Result<BTreeSet<String>> {
    let page = std::fs::read_to_string(root().join("docs/reference/json.md"))?;
    let section = page.split(&format!("## {schema}")).nth(1).with_context(|| format!("json.md has no {schema}"))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |")).map(|(names, _)| names);
    Ok(rows.filter(|names| *names != "field").flat_map(|names| names.split(", ").map(str::to_owned)).collect())
}
