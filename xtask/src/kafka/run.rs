//! `windrow run` between real topics: killed at each point of its commits, restarted, and then held by a reader of committed messages
//! against the Parquet, and against a run that nobody disturbed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::damaged::damaged;
use super::standby::committed;
use super::{Rig, Version};
use crate::campaign;
use crate::faults::points;
use crate::python::{CLIENTS, READERS, script};
use crate::shell::{fresh_dir, output, root, say, stdout, wait_for, windrow};

const ROWS: usize = 40_000;
pub(super) const CLUSTERS: u32 = 6;
const SAMPLE: &str = "examples/data/sample_campaign_data_2023.csv";
/// Seconds that a run may take to come to something.
const PATIENCE_S: f64 = 60.0;

/// An open transaction of somebody else in a topic.
pub(super) struct Hold(Child);

impl Hold {
    pub(super) fn on(servers: &str, topic: &str) -> Result<Self> {
        let mut holder = script(CLIENTS, "topics.py")?;
        holder.args(["hold", servers, topic]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut hold = Self(holder.spawn()?);
        let mut line = String::new();
        BufReader::new(hold.0.stdout.take().context("its output")?).read_line(&mut line)?;
        ensure!(line == "open\n", "no transaction was opened in {topic}: {line:?}");
        Ok(hold)
    }

    /// Ends the transaction, and comes back when it is ended.
    pub(super) fn release(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let ended = self.0.wait()?;
        ensure!(ended.success(), "the holder of a transaction: {ended}");
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Ended already, where all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pipeline from a topic, with settings and output of its own.
pub(super) struct Pipeline {
    windrow: PathBuf,
    pub(super) servers: String,
    pub(super) dir: PathBuf,
    name: String,
}

impl Pipeline {
    /// Writes its settings; `more` are further lines of `[output]`.
    pub(super) fn new(windrow: &Path, servers: &str, dir: &Path, name: &str, topic: &str, more: &str) -> Result<Self> {
        let (dir, windrow) = (dir.to_owned(), windrow.to_owned());
        let rolls = if more.contains("roll_rows") { "" } else { "roll_rows = 10000\n" };
        let settings = format!(
            "[kafka]\n\"bootstrap.servers\" = \"{servers}\"\n[source]\ntopic = \"{topic}\"\nfrom = \"earliest\"\n[model]\nclusters = {CLUSTERS}\n\
             [output]\nout = \"{name}\"\ntopic_prefix = \"{name}_\"\n{rolls}epoch_ms = 10\n{more}\n"
        );
        std::fs::write(dir.join(format!("{name}.toml")), settings)?;
        Ok(Self { windrow, servers: servers.to_owned(), dir, name: name.to_owned() })
    }

    pub(super) fn call(&self, args: &[&str]) -> Command {
        self.loud(&[&["--quiet"], args].concat())
    }

    /// The same, with what it has to say.
    pub(super) fn loud(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.windrow);
        command.current_dir(&self.dir).args(["--no-input", "--config", &format!("{}.toml", self.name)]).args(args);
        command.stdin(Stdio::null());
        command
    }

    /// What a call gives as JSON.
    pub(super) fn objects(&self, args: &[&str]) -> Result<Vec<Value>> {
        let text = stdout(self.call(args).args(["-o", "json"]))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    pub(super) fn make_topics(&self, input_partitions: u32) -> Result<()> {
        stdout(&mut self.call(&["topics", "create", "--input-partitions", &input_partitions.to_string()])).map(drop)
    }

    pub(super) fn to_the_end(&self) -> Result<Value> {
        self.to_the_end_with(&[])
    }

    pub(super) fn to_the_end_with(&self, more: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&stdout(&mut self.call(&[&["run", "--until-end", "-o", "json"], more].concat()))?)?)
    }

    /// Committed messages of a topic, as an independent reader counts them.
    pub(super) fn count_messages(&self, servers: &str, topic: &str) -> Result<u64> {
        Ok(stdout(script(CLIENTS, "count_messages.py")?.args([servers, topic]))?.trim().parse()?)
    }

    /// Leaves an edit for whoever runs the pipeline.
    pub(super) fn leave_edit(&self, name: &str) -> Result<()> {
        let inbox = self.out().join(".windrow/edits");
        std::fs::create_dir_all(&inbox)?;
        let rename = serde_json::json!({"edit": "rename", "cluster": 1, "label": name});
        Ok(std::fs::write(inbox.join(format!("{name}.json")), rename.to_string())?)
    }

    /// The pipeline's own id.
    pub(super) fn id(&self) -> Result<String> {
        let manifest: Value = serde_json::from_slice(&std::fs::read(self.out().join(".windrow/files.json"))?)?;
        Ok(manifest["body"]["pipeline"].as_str().context("a manifest names its pipeline")?.to_owned())
    }

    /// The code of what the run waits for, as it writes it down.
    pub(super) fn waits_for(&self) -> Result<Option<String>> {
        let life: Value = serde_json::from_slice(&std::fs::read(self.out().join(".windrow/last.json"))?)?;
        Ok(life["waits"]["code"].as_str().map(str::to_owned))
    }

    /// How often a run of this folder has said that it waits and begins again.
    pub(super) fn times_begun(&self) -> Result<usize> {
        Ok(std::fs::read_to_string(self.dir.join("said.log"))?.matches("waits: ").count())
    }

    /// What the processes of this folder have said last.
    pub(super) fn said_last(&self) -> Result<String> {
        let said = std::fs::read_to_string(self.dir.join("said.log"))?;
        let lines: Vec<&str> = said.lines().collect();
        Ok(lines[lines.len().saturating_sub(20)..].join("\n"))
    }

    /// Runs until it kills itself at a point.
    pub(super) fn killed_at(&self, point: &str, nth: usize) -> Result<()> {
        self.killed_with(&[], point, nth)
    }

    pub(super) fn killed_with(&self, more: &[&str], point: &str, nth: usize) -> Result<()> {
        let log = self.dir.join("point.log");
        let _ = std::fs::remove_file(&log);
        let mut run = self.call(&[&["run", "--until-end"], more].concat());
        run.env("WINDROW_FAILPOINT", format!("{point}:{nth}")).env("WINDROW_FAILPOINT_LOG", &log);
        let ended = output(&mut run)?;
        let written = std::fs::read_to_string(&log).unwrap_or_default();
        let landed = ended.status.signal() == Some(9) && written.trim() == point;
        ensure!(landed, "{point} was not met: {}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn out(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// What an independent reader finds in the topics and the Parquet; it must be the same.
    pub(super) fn delivered(&self, prefix: &str, slots: u32) -> Result<Value> {
        let mut reader = script(CLIENTS, "delivered.py")?;
        let found = output(reader.arg(&self.servers).arg(self.out()).args([prefix, &slots.to_string()]))?;
        ensure!(
            found.status.success(),
            "{}: topics and Parquet differ: {}",
            self.name,
            String::from_utf8_lossy(&found.stderr).trim()
        );
        Ok(serde_json::from_slice(&found.stdout)?)
    }

    /// What the program's own audit of input, Parquet and topics says.
    pub(super) fn audit(&self) -> Result<Value> {
        self.audit_of(&[])
    }

    fn audit_of(&self, inputs: &[&str]) -> Result<Value> {
        let done = output(self.call(&["audit", "-o", "json"]).args(inputs))?;
        let said = String::from_utf8_lossy(&done.stderr);
        let audit: Value = serde_json::from_slice(&done.stdout).with_context(|| format!("{}: {said}", done.status))?;
        ensure!(done.status.success() == is_clean(&audit), "{}: {audit}", done.status);
        Ok(audit)
    }

    /// The audit must be clean, and count in the topics what an independent reader found; gives what it says.
    pub(super) fn audited(&self, found: &Value) -> Result<Value> {
        let audit = self.audit()?;
        ensure!(is_clean(&audit), "{}: {audit}", self.name);
        let topics = &audit["topics"];
        let same = topics["pages"] == found["pages"] && topics["rejects"] == found["rejects"] && topics["ahead"] == 0;
        ensure!(same && audit["pages"] == found["pages"], "{}: {audit}, a reader found {found}", self.name);
        Ok(audit)
    }

    pub(super) fn delivered_in_slots(&self) -> Result<Value> {
        self.delivered(&format!("{}_", self.name), CLUSTERS)
    }

    pub(super) fn same_parquet(&self, other: &Self) -> Result<()> {
        let found = output(script(READERS, "compare.py")?.args([self.out(), other.out()]))?;
        ensure!(found.status.success(), "{} and {} differ: {}", self.name, other.name, String::from_utf8_lossy(&found.stdout));
        Ok(())
    }
}

fn is_clean(audit: &Value) -> bool {
    ["lost", "duplicated", "disagreeing"].iter().all(|name| audit[name] == 0)
        && [Value::Null, 0.into()].contains(&audit["topics"]["foreign"])
}

pub(crate) fn run() -> Result<()> {
    run_on(Version::NEWEST)
}

/// The same with the older versions.
pub(crate) fn run_on_older() -> Result<()> {
    [Version::V3_9, Version::V2_8].into_iter().try_for_each(|version| run_on(version).with_context(|| format!("{version:?}")))
}

fn run_on(version: Version) -> Result<()> {
    let rig = Rig::start(version)?;
    let (windrow, servers, dir) = (windrow("fast", &["failpoints"])?, rig.bootstrap(), fresh_dir("kafka-run")?.canonicalize()?);
    let pages = dir.join("pages.csv");
    campaign::write(&pages, 0, ROWS)?;
    let pipeline = |name: &str, topic: &str, more: &str| Pipeline::new(&windrow, &servers, &dir, name, topic, more);

    let killed = pipeline("killed", "pages", "")?;
    killed.make_topics(1)?;
    fill(&killed, "pages", &pages)?;
    let kills = kill_everywhere(&killed)?;
    let done = killed.to_the_end()?;
    let found = killed.delivered_in_slots()?;
    agrees(&done, &found)?;
    killed.audited(&found)?;
    ensure!(found["reject_keys"].as_u64() > Some(20), "rejects without the keys of their messages: {found}");
    ensure!(found["owners"].as_u64() >= Some(2), "no slot was announced: {found}");

    let plain = pipeline("plain", "pages", "kafka = \"none\"")?;
    plain.to_the_end()?;
    plain.same_parquet(&killed).context("Parquet alone, undisturbed, and topics with kills")?;

    let mended = pipeline("mended", "pages", "roll_rows = 4000")?;
    mended.make_topics(1)?;
    damaged(&rig, &mended).context("damaged snapshots")?;
    mended.same_parquet(&killed).context("with damaged snapshots, and without")?;

    let spread = pipeline("spread", "spread", "value = \"original\"\nkey = \"record_id\"")?;
    spread.make_topics(3)?;
    fill(&spread, "spread", &pages)?;
    spread.killed_at("kafka-after-commit", 3)?;
    interrupted(&spread)?;
    let done = spread.to_the_end()?;
    let found_spread = spread.delivered_in_slots()?;
    agrees(&done, &found_spread)?;
    spread.audited(&found_spread)?;

    let keyed = pipeline("keyed", "", "kafka = \"keyed\"\nkeyed_topic = \"all\"")?;
    keyed.make_topics(1)?;
    let hold = Hold::on(&servers, "all")?;
    stdout(keyed.call(&["run", "--input"]).arg(&pages))?;
    // What nobody can see is not called lost.
    let input = ["--input", pages.to_str().context("UTF-8")?];
    let audit = keyed.audit_of(&input)?;
    ensure!(is_clean(&audit) && audit["topics"]["hidden"] == audit["pages"], "an open transaction before all pages: {audit}");
    hold.release()?;
    let audit = keyed.audit_of(&input)?;
    ensure!(is_clean(&audit) && audit["topics"]["hidden"] == 0, "the transaction has ended: {audit}");
    let of_file = keyed.delivered("all", 0)?;
    elsewhere(&keyed, &pages)?;
    tampered(&rig, &killed)?;
    // With rolls that are small beside what was left: what is deleted next begins behind the second.
    lost(&pipeline("late", "pages", "roll_rows = 2000")?)?;

    say(format_args!(
        "run: {kills} kills within commits, each landed: {} pages and {} rejects in the topics as in the Parquet, the same answer as \
         undisturbed; damaged snapshots mended, the topics unchanged; 3 partitions with a kill and Ctrl-C; a file into one keyed topic: {} pages",
        found["pages"], found["rejects"], of_file["pages"]
    ));
    Ok(())
}

/// Good rows and, behind them, what a topic collects.
fn fill(pipeline: &Pipeline, topic: &str, pages: &Path) -> Result<()> {
    stdout(pipeline.call(&["produce", "--topic", topic, "--input"]).arg(pages))?;
    stdout(script(CLIENTS, "producer.py")?.args([&pipeline.servers, topic, "garbage"]).arg(root().join(SAMPLE))).map(drop)
}

/// Once at each point of the topics, then within a roll and once more in the recovery from that.
fn kill_everywhere(pipeline: &Pipeline) -> Result<usize> {
    let mut kills = 0;
    for point in points()?.iter().filter(|point| point.starts_with("kafka")) {
        // The claim is passed once a run, the others twice before anything is in the Parquet.
        let nth = if point == "kafka-after-claim" { 1 } else { 2 };
        pipeline.killed_at(point, nth)?;
        kills += 1;
    }
    ensure!(kills >= 5, "{kills} points are named kafka-…");
    for point in ["after-manifest-rename", "kafka-after-claim"] {
        pipeline.killed_at(point, 1)?;
        kills += 1;
    }
    Ok(kills)
}

/// Ctrl-C in the middle: what was learnt is committed.
fn interrupted(pipeline: &Pipeline) -> Result<()> {
    let before = committed(pipeline)?;
    let mut child = pipeline.call(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let moved = wait_for(PATIENCE_S, || {
        ensure!(child.try_wait()?.is_none(), "the run ended by itself");
        Ok((committed(pipeline)? > before).then_some(()))
    });
    stdout(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
    let ended = child.wait_with_output()?;
    if moved?.is_none() {
        bail!("nothing was committed in {PATIENCE_S} s: {}", String::from_utf8_lossy(&ended.stderr));
    }
    ensure!(
        matches!(ended.status.code(), Some(0 | 130)),
        "Ctrl-C: {}: {}",
        ended.status,
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok(())
}

/// A topic that somebody wrote to, and a topic that lost what it had, are not clean.
fn tampered(rig: &Rig, pipeline: &Pipeline) -> Result<()> {
    let whole = pipeline.audit()?;
    let deleted: u64 = stdout(script(CLIENTS, "topics.py")?.args(["shorten", &pipeline.servers, "pages"]))?.trim().parse()?;
    let audit = pipeline.audit()?;
    let told = is_clean(&audit) && audit["expired"] == deleted && deleted > 0;
    ensure!(
        told && audit["input"].as_u64().map(|left| left + deleted) == whole["input"].as_u64(),
        "{deleted} expired: {audit}"
    );
    let topic = format!("{}_2", pipeline.name);
    let deleted = stdout(script(CLIENTS, "topics.py")?.args(["shorten", &pipeline.servers, &topic]))?;
    let audit = pipeline.audit()?;
    let deleted: u64 = deleted.trim().parse()?;
    let told = is_clean(&audit) && audit["topics"]["expired"] == deleted && deleted > 0;
    ensure!(told, "{topic} lost its oldest {deleted} pages: {audit}");
    let topic = format!("{}_0", pipeline.name);
    stdout(pipeline.call(&["produce", "--limit", "3", "--topic", &topic, "--input"]).arg(root().join(SAMPLE)))?;
    let audit = pipeline.audit()?;
    ensure!(audit["topics"]["foreign"] == 3, "three messages of others: {audit}");
    let topic = format!("{}_1", pipeline.name);
    rig.topics(&["--delete", "--topic", &topic])?;
    let audit = pipeline.audit()?;
    let lost = audit["lost"].as_u64() > Some(0) && audit["topics"]["missing"] == serde_json::json!([topic]);
    ensure!(lost && audit["topics"]["expired"] == deleted, "a topic was deleted: {audit}");
    Ok(())
}

/// Pages of a state that has topics do not go to others: the audit would miss them for ever.
fn elsewhere(keyed: &Pipeline, pages: &Path) -> Result<()> {
    for (key, value) in [("WINDROW__OUTPUT__KEYED_TOPIC", "others"), ("WINDROW__OUTPUT__KAFKA", "topics")] {
        let refused = output(keyed.call(&["run", "--input"]).arg(pages).env(key, value))?;
        let told = String::from_utf8_lossy(&refused.stderr);
        ensure!(refused.status.code() == Some(2) && told.contains("E-SETTINGS-STATE"), "{key}: {}: {told}", refused.status);
    }
    Ok(())
}

/// The input deletes what was not read yet: the jump over it is committed before anything behind it, so that a kill does no harm.
fn lost(pipeline: &Pipeline) -> Result<()> {
    pipeline.make_topics(1)?;
    // Early: what it has not read must reach beyond the half that is deleted, however large the batches are that come in.
    pipeline.killed_with(&["--roll-rows", "2000"], "after-commit", 2)?;
    stdout(script(CLIENTS, "topics.py")?.args(["shorten", &pipeline.servers, "pages"]))?;
    let refused = output(&mut pipeline.call(&["run", "--until-end"]))?;
    let told = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(4) && told.contains("E-KAFKA-GONE"), "{}: {told}", refused.status);
    pipeline.killed_with(&["--on-data-loss", "earliest"], "kafka-after-commit", 3)?;
    let done = output(&mut pipeline.loud(&["run", "--until-end", "-o", "json", "--from", "latest"]))?;
    let told = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success() && told.contains("--from is passed over"), "behind a jump and a kill: {told}");
    let done = serde_json::from_slice(&done.stdout)?;
    agrees(&done, &pipeline.delivered_in_slots()?).context("behind a jump and a kill")
}

/// What the run says and what the topics hold.
fn agrees(done: &Value, found: &Value) -> Result<()> {
    let total = &done["total"];
    ensure!(
        total["pages"] == found["pages"] && total["rejects"] == found["rejects"] && found["rejects"].as_u64() > Some(0),
        "the run says {total}, the topics hold {found}"
    );
    let sum = total["pages"].as_u64().zip(total["rejects"].as_u64()).map(|(pages, rejects)| pages + rejects);
    ensure!(sum == total["rows"].as_u64(), "pages + rejects are not the rows: {total}");
    Ok(())
}
