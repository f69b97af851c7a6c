//! A topic that is there already: what other people's producers wrote, as `windrow init` and `windrow check --sample` see it.
//!
//! The producers are Python (e2e/producer.py), and say of each message where it went and what is to be read in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::topics::documented;
use super::{Rig, Version};
use crate::python::{CLIENTS, script};
use crate::shell::{fresh_dir, output, root, say, stdout, windrow};

const INPUT: &str = "examples/data/sample_campaign_data_2023.csv";
/// Messages that `init` looks at.
const LOOKED_AT: usize = 100;
const COLUMNS: [&str; 6] = ["creation_time", "id", "url", "title", "keywords", "description"];

/// What a producer writes, and what must be proposed for it.
struct Form {
    /// Also the topic's name.
    name: &'static str,
    format: &'static str,
    columns: &'static str,
    others: &'static [&'static str],
}

const FORMS: [Form; 4] = [
    Form { name: "original", format: "json", columns: "", others: &[] },
    Form {
        name: "nested",
        format: "json",
        columns: "creation_time=timestamp,url=page.url,title=page.title,keywords=page.meta.keywords,\
                  description=page.meta.description",
        others: &["event", "page.meta.viewport.width", "visitor.id", "visitor.name"],
    },
    Form { name: "csv", format: "csv", columns: "", others: &[] },
    Form { name: "garbage", format: "json", columns: "", others: &["url.href"] },
];

/// A message as its producer tells of it.
#[derive(Deserialize)]
struct Sent {
    partition: i64,
    offset: i64,
    row: Option<BTreeMap<String, String>>,
    reject: Option<String>,
}

/// A program, its broker, and the folder it works in.
struct Call {
    windrow: PathBuf,
    servers: String,
    dir: PathBuf,
}

impl Call {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.windrow);
        command.current_dir(&self.dir).arg("--no-input").args(args);
        command
    }

    /// Makes a topic of three partitions, and fills it.
    fn fill(&self, topic: &str) -> Result<Vec<Sent>> {
        self.make(topic)?;
        let lines = stdout(script(CLIENTS, "producer.py")?.args([&self.servers, topic, topic]).arg(root().join(INPUT)))?;
        let sent: Vec<Sent> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(sent.len() >= 100, "{topic}: only {} messages were sent", sent.len());
        Ok(sent)
    }

    fn make(&self, topic: &str) -> Result<()> {
        let shape = ["topics", "create", "--clusters", "1", "--input-partitions", "3"];
        stdout(self.command(&shape).args(["--from-topic", topic, "--kafka", &self.servers])).map(drop)
    }

    fn init(&self, topic: &str) -> Command {
        let mut command = self.command(&["init", "-o", "json", "--kafka", &self.servers, "--from-topic", topic, "--config"]);
        command.arg(file(topic));
        command
    }

    fn check(&self, topic: &str, args: &[&str]) -> Command {
        let mut command = self.command(&["check", "--sample"]);
        command.args(args).arg("--config").arg(file(topic));
        command
    }

    /// A call that must fail, without a settings file left behind.
    fn refused(&self, topic: &str, command: &mut Command, exit: i32, parts: &[&str]) -> Result<()> {
        let done = output(command)?;
        let told = String::from_utf8_lossy(&done.stdout);
        let fits = done.status.code() == Some(exit) && parts.iter().all(|part| told.contains(part));
        ensure!(fits, "{topic}: expected exit code {exit} and {parts:?}, got {:?}: {told}", done.status.code());
        ensure!(!self.dir.join(file(topic)).exists(), "{topic}: refused, and written all the same");
        Ok(())
    }
}

fn file(topic: &str) -> String {
    format!("{topic}.toml")
}

pub(crate) fn messages() -> Result<()> {
    let rig = Rig::start(Version::NEWEST)?;
    let call =
        Call { windrow: windrow("fast", &[])?, servers: rig.bootstrap(), dir: fresh_dir("kafka-messages")?.canonicalize()? };
    let mut looked_at = 0;
    for form in &FORMS {
        let sent = call.fill(form.name)?;
        looked_at += proposed(&call, form, &sent).with_context(|| format!("`init` of the topic {}", form.name))?;
        sampled(&call, form, &sent).with_context(|| format!("`check` of the topic {}", form.name))?;
    }
    refusals(&call)?;
    nothing_left(&rig, &call.dir)?;
    changed_over(&call)?;
    say(format_args!(
        "messages: JSON of the original, nested JSON, CSV and garbage: proposed and read as they were sent, {looked_at} messages; \
         a registry's prefix, also behind good messages, an empty topic, none, and no broker: each named"
    ));
    Ok(())
}

/// `init` writes settings that read the topic; gives how many messages it looked at.
fn proposed(call: &Call, form: &Form, sent: &[Sent]) -> Result<usize> {
    let said: Value = serde_json::from_str(&stdout(&mut call.init(form.name))?)?;
    let fields: BTreeSet<String> = said.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let documented = documented("windrow.init/1")?;
    ensure!(fields.iter().filter(|name| *name != "schema").eq(documented.iter()), "docs/reference/json.md: {said}");
    ensure!(said["format"] == form.format && said["source_columns"] == form.columns, "{said}");
    ensure!(said["others"] == json!(form.others), "{said}");
    let looked_at = sent.len().min(LOOKED_AT);
    let counted = said["pages"].as_u64().zip(said["rejects"].as_u64()).map(|(pages, rejects)| pages + rejects);
    ensure!(said["messages"] == looked_at && counted == Some(looked_at as u64), "{said}");
    let path = call.dir.join(file(form.name));
    let written = std::fs::read(&path)?;
    let again = output(&mut call.init(form.name))?;
    ensure!(again.status.code() == Some(2) && std::fs::read(&path)? == written, "settings were written over");
    Ok(looked_at)
}

/// `check --sample` shows the newest messages as they were sent.
fn sampled(call: &Call, form: &Form, sent: &[Sent]) -> Result<()> {
    let said: Value = serde_json::from_str(&stdout(&mut call.check(form.name, &["100", "-o", "json"]))?)?;
    let shown = said["sample"]["messages"].as_array().context("a list of messages")?;
    ensure!(shown.len() == LOOKED_AT, "{} messages", shown.len());
    let newest = newest(sent, shown.len() / 3);
    for message in shown {
        let place = (message["partition"].as_i64().unwrap_or(-1), message["offset"].as_i64().unwrap_or(-1));
        let sent = sent.iter().find(|sent| (sent.partition, sent.offset) == place);
        let sent = sent.with_context(|| format!("nobody sent this: {message}"))?;
        as_sent(message, sent).with_context(|| format!("{message}"))?;
    }
    let places: BTreeSet<_> = shown.iter().map(|message| (message["partition"].as_i64(), message["offset"].as_i64())).collect();
    let all = newest.iter().all(|(partition, offset)| places.contains(&(Some(*partition), Some(*offset))));
    ensure!(all && places.len() == shown.len(), "not the newest of each partition: {places:?}");

    let text = stdout(&mut call.check(form.name, &["20"]))?;
    let hostile = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
    ensure!(hostile.is_none(), "{hostile:?} reaches the terminal: {text:?}");
    let (pages, rejects) = (text.matches("  page\n").count(), text.matches("  reject: ").count());
    ensure!(pages + rejects == 20, "{pages} pages and {rejects} rejects are shown: {text}");
    ensure!((rejects > 0) == (form.name == "garbage"), "{rejects} rejects are shown: {text}");
    Ok(())
}

/// Where the newest messages of each partition lie.
fn newest(sent: &[Sent], each: usize) -> Vec<(i64, i64)> {
    let mut partitions: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for sent in sent {
        partitions.entry(sent.partition).or_default().insert(sent.offset);
    }
    let newest = partitions.iter().flat_map(|(partition, offsets)| offsets.iter().rev().take(each).map(|at| (*partition, *at)));
    newest.collect()
}

fn as_sent(message: &Value, sent: &Sent) -> Result<()> {
    ensure!(message["reject"].as_str() == sent.reject.as_deref(), "it is {:?}", sent.reject);
    ensure!(message["hint"].is_string() == sent.reject.is_some(), "a reject, and nothing else, has a hint");
    let Some(row) = &sent.row else { return Ok(()) };
    for column in COLUMNS {
        let shown = message["page"][column].as_str().unwrap_or_default();
        let was = row.get(column).map_or("", String::as_str);
        // A time is shown as ISO 8601; we compare up to the second.
        let same = if column == "creation_time" { shown.get(..19) == was.replace(' ', "T").get(..19) } else { shown == was };
        ensure!(same, "{column} was {was:?}");
    }
    Ok(())
}

/// What is said where nothing can be proposed.
fn refusals(call: &Call) -> Result<()> {
    call.fill("registry")?;
    call.refused("registry", &mut call.init("registry"), 2, &["E-KAFKA-REGISTRY"])?;
    let mut check =
        call.command(&["check", "-o", "json", "--sample", "20", "--kafka", &call.servers, "--from-topic", "registry"]);
    call.refused("registry", &mut check, 1, &["E-KAFKA-REGISTRY"])?;
    call.refused("orignal", &mut call.init("orignal"), 4, &["E-KAFKA-TOPIC", "did you mean `original`?"])?;
    let nowhere = Call { windrow: call.windrow.clone(), servers: "127.0.0.1:1".to_owned(), dir: call.dir.clone() };
    nowhere.refused("nowhere", &mut nowhere.init("nowhere"), 4, &["E-KAFKA-REACH"])?;

    call.make("empty")?;
    let empty: Value = serde_json::from_str(&stdout(&mut call.init("empty"))?)?;
    ensure!(empty["messages"] == 0 && empty["format"] == "json" && empty["source_columns"] == "", "{empty}");
    let text = stdout(&mut call.check("empty", &["20"]))?;
    ensure!(text.contains("empty is empty"), "{text}");
    Ok(())
}

/// A producer that changes over to Avro: what it wrote before is learnt, and of what follows nothing is rejected, however often one tries.
fn changed_over(call: &Call) -> Result<()> {
    let make = ["topics", "create", "--output", "none", "--from-topic", "changes"];
    stdout(call.command(&make).args(["--kafka", &call.servers]))?;
    for form in ["original", "registry"] {
        let mut producer = script(CLIENTS, "producer.py")?;
        stdout(producer.args([&call.servers, "changes", form]).arg(root().join(INPUT)))?;
    }
    let run = ["run", "--from-topic", "changes", "--from", "earliest", "--output", "none", "--until-end", "--out", "changed"];
    for _ in 0..2 {
        let done = output(call.command(&run).args(["--kafka", &call.servers]))?;
        let told = String::from_utf8_lossy(&done.stderr);
        let fits = done.status.code() == Some(2) && told.contains("E-KAFKA-REGISTRY") && told.contains("10 messages in a row");
        ensure!(fits, "{}: {told}", done.status);
        let state: Value =
            serde_json::from_str(&stdout(call.command(&["state", "inspect", "-o", "json", "--out"]).arg("changed"))?)?;
        let counters = &state["counters"];
        ensure!(counters["pages"] == LOOKED_AT && counters["rows"] == LOOKED_AT, "{counters}");
    }
    Ok(())
}

/// No consumer group, and no file but the settings.
fn nothing_left(rig: &Rig, dir: &Path) -> Result<()> {
    let servers = rig.bootstrap();
    let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    let groups = rig.tool(class, &["--bootstrap-server", &servers, "--list"])?;
    ensure!(groups.trim().is_empty(), "groups were left behind: {groups}");
    let files = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let files = files.collect::<Result<BTreeSet<_>>>()?;
    let settings = FORMS.iter().map(|form| form.name).chain(["empty"]).map(file).collect();
    ensure!(files == settings, "files: {files:?}");
    Ok(())
}
