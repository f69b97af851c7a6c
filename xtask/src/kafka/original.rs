//! The profile `original`: one script of the original after the other gives its place to us, in both directions.
//!
//! ```text
//! our produce ──> topic_url ──> their reader        (e2e/original.py pages)
//! our produce, their producer ──> topic_url ──> our run ──> cluster_0..49 ──> their readers    (e2e/original.py clusters)
//!                                                              └──> our counters ──> message_counts.json
//! ```
//!
//! Nothing but the settings file that `init` wrote is given to any verb, and a key of the client with `-X`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Rig, Version};
use crate::campaign;
use crate::python::{CLIENTS, READERS, script};
use crate::shell::{fresh_dir, output, root, say, stdout, wait_for, windrow};

const ROWS: usize = 3_000;
const SAMPLE: &str = "examples/data/sample_campaign_data_2023.csv";
const CONFIG: &str = "original.toml";
const COUNTS: &str = "message_counts.json";
/// Seconds that the counters may take to see what is there.
const PATIENCE_S: f64 = 30.0;

/// A process that ends with its value.
struct Counters(Child);

impl Drop for Counters {
    fn drop(&mut self) {
        // It has ended already, but for an error.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Call {
    windrow: PathBuf,
    servers: String,
    dir: PathBuf,
}

impl Call {
    fn verb(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.windrow);
        command.current_dir(&self.dir).arg("--no-input").args(args).args(["--config", CONFIG]).stdin(Stdio::null());
        command
    }

    /// Data and talk of a verb that reaches the brokers.
    fn run(&self, args: &[&str]) -> Result<(Vec<Value>, String)> {
        let done = output(self.verb(args).args(["-X", "client.id=mover", "-o", "json"]))?;
        let talk = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure!(done.status.success(), "windrow {args:?}: {}: {talk}", done.status);
        let lines = String::from_utf8(done.stdout)?;
        Ok((lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?, talk))
    }

    /// What their readers find.
    fn read(&self, what: &str, files: &[&Path]) -> Result<Value> {
        Ok(serde_json::from_str(&stdout(script(CLIENTS, "original.py")?.args([&self.servers, what]).args(files))?)?)
    }

    /// Our counters, going on.
    fn counters(&self) -> Result<Counters> {
        let mut command = self.verb(&["clusters", "--from-topics", "--watch"]);
        Ok(Counters(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
    }

    /// What the counters keep once they have counted so many pages; Ctrl-C ends them.
    fn kept_until(&self, pages: u64, Counters(counters): &mut Counters) -> Result<Value> {
        let mut last = Value::Null;
        let seen = wait_for(PATIENCE_S, || {
            ensure!(counters.try_wait()?.is_none(), "the counters ended by themselves");
            let Ok(text) = std::fs::read_to_string(self.dir.join(COUNTS)) else { return Ok(None) };
            last = serde_json::from_str(&text)?;
            let counts = last["counts"].as_array().into_iter().flatten().filter_map(Value::as_u64);
            Ok((counts.sum::<u64>() == pages).then_some(()))
        });
        stdout(Command::new("kill").args(["-INT", &counters.id().to_string()]))?;
        let ended = counters.wait()?;
        ensure!(seen?.is_some(), "the counters have not seen {pages} pages in {PATIENCE_S} s: {last}");
        ensure!(matches!(ended.code(), Some(0 | 130)), "Ctrl-C ended the counters with {ended}");
        Ok(last)
    }

    /// As many clusters as features: the pages of a main domain are in one topic, for ids stay put from block to block.
    fn one_cluster_a_main_domain(&self) -> Result<()> {
        let (all, _) = self.run(&["tail", "--last", "100000"])?;
        let mut slots: BTreeMap<&str, &Value> = BTreeMap::new();
        for message in &all {
            let domain = message["page"]["main_domain"].as_str().unwrap_or_default();
            let slot = *slots.entry(domain).or_insert(&message["topic"]);
            ensure!(message["topic"] == *slot, "pages of {domain:?} are in {} and {slot}", message["topic"]);
        }
        ensure!(slots.len() > 1, "{} main domains", slots.len());
        Ok(())
    }

    /// Runs to the end of the topic; gives rows, pages and rejects of all runs so far.
    fn to_the_end(&self) -> Result<[u64; 3]> {
        let (done, talk) = self.run(&["run", "--until-end"])?;
        ensure!(!talk.contains("not built"), "it says that something is missing: {talk}");
        let total = &done[0]["total"];
        Ok(["rows", "pages", "rejects"].map(|name| total[name].as_u64().unwrap_or(u64::MAX)))
    }
}

pub(crate) fn original() -> Result<()> {
    original_on(Version::NEWEST)
}

/// The same with the older versions.
pub(crate) fn original_on_older() -> Result<()> {
    let older = [Version::V3_9, Version::V2_8];
    older.into_iter().try_for_each(|version| original_on(version).with_context(|| format!("{version:?}")))
}

fn original_on(version: Version) -> Result<()> {
    let rig = Rig::start(version)?;
    let dir = fresh_dir("kafka-original")?.canonicalize()?;
    let call = Call { windrow: windrow("fast", &[])?, servers: rig.bootstrap(), dir };
    let (pages, sample) = (call.dir.join("pages.csv"), root().join(SAMPLE));
    campaign::write_pages(&pages, ROWS)?;
    stdout(&mut call.verb(&["--quiet", "init", "--profile", "original", "--kafka", &call.servers]))?;
    let (topics, _) = call.run(&["topics", "create"])?;
    let named =
        |role: &str| topics.iter().filter(|topic| topic["role"] == role).filter_map(|topic| topic["topic"].as_str()).collect();
    let (input, slots): (Vec<&str>, Vec<&str>) = (named("input"), named("slot"));
    ensure!(input == ["topic_url"] && (0..50).map(|slot| format!("cluster_{slot}")).eq(slots), "{topics:?}");

    call.run(&["produce", "--input", &pages.display().to_string()])?;
    ensure!(call.read("pages", &[&pages])?["pages"] == ROWS, "our produce, their reader");
    let total = call.to_the_end()?;
    ensure!(total == [ROWS as u64, ROWS as u64, 0], "rows, pages and rejects of what we sent: {total:?}");

    let mut counters = call.counters()?;
    let sent = stdout(script(CLIENTS, "producer.py")?.args([&call.servers, "topic_url", "garbage"]).arg(&sample))?;
    let (rows, good) = (sent.lines().count(), sent.lines().filter(|line| line.contains("\"reject\": null")).count());
    ensure!(good == 100 && rows > good, "their producer sent {rows} messages, {good} of them good");
    let total = call.to_the_end()?;
    ensure!(
        total == [ROWS + rows, ROWS + good, rows - good].map(|n| n as u64),
        "what they sent: {total:?}, not {rows}, {good}"
    );

    let found = call.read("clusters", &[&pages, &sample])?;
    ensure!(found["pages"] == total[1] && found["topics"].as_u64() > Some(1), "{total:?}, and their readers find {found}");
    let kept = call.kept_until(total[1], &mut counters)?;
    let names: Vec<String> = (1..=50).map(|number| number.to_string()).collect();
    ensure!(kept["counts"] == found["counts"] && kept["clusters"] == json!(names), "{COUNTS}: {kept}, their readers: {found}");
    let (audited, _) = call.run(&["audit"])?;
    let is_clean = ["lost", "duplicated", "disagreeing"].iter().all(|name| audited[0][name] == 0);
    ensure!(is_clean && audited[0]["topics"]["pages"] == total[1], "{audited:?}");
    let (newest, _) = call.run(&["tail", "--last", "10"])?;
    ensure!(newest.len() == 10 && newest.iter().all(|message| message["page"]["main_domain"].is_string()), "{newest:?}");
    let parquet = stdout(script(READERS, "original_parquet.py")?.arg(call.dir.join("tmp/output")))?;
    let parquet: Value = serde_json::from_str(&parquet)?;
    ensure!(parquet["pages"] == total[1] && parquet["counts"] == found["counts"], "Parquet has {parquet}, the topics {found}");
    ensure!(call.dir.join("tmp/checkpoint").is_dir(), "the state is not where the scripts have it");
    call.one_cluster_a_main_domain()?;
    say(format_args!(
        "original: {ROWS} rows of our produce as their reader wants them; with {rows} messages of their producer {} pages in {} topics, four \
         fields each, the same by cluster in the six columns of the Parquet, and {} rejects",
        total[1], found["topics"], total[2]
    ));
    Ok(())
}
