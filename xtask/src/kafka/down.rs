//! A broker that stops answering and one that dies, under load: the worker waits, says why, keeps to its memory, loses nothing and goes on.
//!
//! ```text
//! rows ── produce ──> pages ── run ──> topics and Parquet        meanwhile: produce goes on
//!     broker: SIGSTOP ── status, log, memory ── SIGCONT ── gets on
//!             kill -9 ── status, log, memory ── start   ── gets on
//!             SIGSTOP ── Ctrl-C ── SIGCONT; kill -9 ── Ctrl-C ── start     at the end: audit
//! ```
//!
//! The topic holds more than the worker can read before the fault, so that it is at full speed, with full queues, when nobody takes
//! anything any more.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::run::Pipeline;
use super::standby::{Running, committed, committed_beyond};
use super::{Rig, Version};
use crate::campaign;
use crate::shell::{Watch, fresh_dir, memory, output, say, stdout, wait_for, windrow};

/// How much is done.
pub(crate) struct Extent {
    rows: usize,
    /// Seconds that the broker is stopped, and then dead.
    seconds: [f64; 2],
}

impl Extent {
    pub(crate) const SHORT: Self = Self { rows: 150_000, seconds: [10.0, 10.0] };
    pub(crate) const FULL: Self = Self { rows: 300_000, seconds: [360.0, 360.0] };
}

/// The budget as it comes, `limits.memory`, in megabytes.
const BUDGET_MB: u64 = 512;
/// Seconds until something that was asked for must be seen.
const PATIENCE_S: f64 = 120.0;
/// Seconds until Ctrl-C must have ended the worker: five in which it waits for brokers, and what clients take to end.
const ENDS_S: f64 = 20.0;
/// Rows a second that come in meanwhile.
const RATE: &str = "2000";

struct Stage {
    rig: Rig,
    pipeline: Pipeline,
    pages: PathBuf,
    worker: Running,
}

pub(crate) fn down(extent: &Extent) -> Result<()> {
    let (rig, dir) = (Rig::start(Version::NEWEST)?, fresh_dir("kafka-down")?.canonicalize()?);
    let pages = dir.join("pages.csv");
    campaign::write(&pages, 0, extent.rows)?;
    let windrow = windrow("fast", &["failpoints"])?;
    let more = format!("roll_seconds = 5\n[limits]\nmemory = \"{BUDGET_MB}MB\"");
    let pipeline = Pipeline::new(&windrow, &rig.bootstrap(), &dir, "down", "pages", &more)?;
    pipeline.make_topics(3)?;
    stdout(pipeline.call(&["produce", "--topic", "pages", "--input"]).arg(&pages))?;
    let producer = producer(&pipeline, &pages)?;
    let worker = Running::start(pipeline.loud(&["run"]))?;
    let mut stage = Stage { rig, pipeline, pages, worker };
    committed_beyond(&stage.pipeline, 0)?;
    let before = stage.rss("VmRSS")?;

    stage.rig.freeze()?;
    let stopped = stage.waits("stopped", extent.seconds[0])?;
    stage.rig.thaw()?;
    stage.goes_on("stopped")?;
    // It had no broker for long, and may have given up. The next ones fill the topic once more, and go on.
    drop(producer);
    stdout(stage.pipeline.call(&["produce", "--anew", "--topic", "pages", "--input"]).arg(&stage.pages))?;
    let producer = self::producer(&stage.pipeline, &stage.pages)?;
    committed_beyond(&stage.pipeline, committed(&stage.pipeline)?)?;
    stage.rig.kill()?;
    let dead = stage.waits("dead", extent.seconds[1])?;
    stage.rig.restart()?;
    stage.goes_on("dead")?;
    drop(producer);
    let peak = stage.rss("VmHWM")?;
    let producer = self::producer(&stage.pipeline, &stage.pages)?;
    stage.rig.freeze()?;
    stage.ends("stopped", &["E-KAFKA-SLOW", "E-KAFKA-REACH"])?;
    stage.rig.thaw()?;
    // Stopped right after its start, it may have found no broker.
    drop(producer);
    let producer = self::producer(&stage.pipeline, &stage.pages)?;
    stage.worker = Running::start(stage.pipeline.loud(&["run"]))?;
    committed_beyond(&stage.pipeline, committed(&stage.pipeline)?)?;
    stage.rig.kill()?;
    stage.ends("dead, and the worker begins again", &["E-KAFKA-AGAIN"])?;
    stage.rig.restart()?;
    drop(producer);
    let Stage { rig, pipeline, .. } = stage;
    let done = pipeline.to_the_end()?;
    let found = pipeline.delivered_in_slots()?;
    pipeline.audited(&found)?;
    drop(rig);
    ensure!(peak <= (BUDGET_MB << 20) * 6 / 5, "peak {} MB, budget {BUDGET_MB} MB", peak >> 20);
    say(format_args!(
        "down: {} s stopped and {} s dead under load: budget {BUDGET_MB} MB, resident {} MB before, {} MB and {} MB meanwhile, peak {} MB; \
         {} rows, {} pages and {} rejects, each once",
        extent.seconds[0],
        extent.seconds[1],
        before >> 20,
        stopped >> 20,
        dead >> 20,
        peak >> 20,
        done["total"]["rows"],
        found["pages"],
        found["rejects"]
    ));
    Ok(())
}

/// Sends the same rows again and again, slowly.
fn producer(pipeline: &Pipeline, pages: &PathBuf) -> Result<Running> {
    let mut produce = pipeline.call(&["produce", "--topic", "pages", "--loop", "--rate", RATE, "--input"]);
    produce.arg(pages);
    Running::start(produce)
}

impl Stage {
    /// A line of /proc, in bytes.
    fn rss(&self, name: &str) -> Result<u64> {
        memory(self.worker.pid(), name)
    }

    fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.pipeline.dir.join("said.log"))?)
    }

    fn status(&self) -> Result<Value> {
        let done = output(&mut self.pipeline.call(&["status", "-o", "json"]))?;
        serde_json::from_slice(&done.stdout).with_context(|| String::from_utf8_lossy(&done.stderr).into_owned())
    }

    /// Status and log say why the worker waits, and go on to, for as long as the fault lasts. Gives the most memory that was seen.
    fn waits(&mut self, what: &str, seconds: f64) -> Result<u64> {
        let (watch, from) = (Watch::start(), self.said()?.len());
        let seen = wait_for(PATIENCE_S, || Ok(Some(self.status()?).filter(|seen| seen["standing"] == "waiting")))?;
        let seen = seen.with_context(|| format!("{what}: status never says that it waits"))?;
        let (code, why) = (&seen["waits"]["code"], seen["waits"]["message"].as_str().unwrap_or_default());
        let codes = ["E-KAFKA-SLOW", "E-KAFKA-REACH", "E-KAFKA-AGAIN"];
        ensure!(codes.iter().any(|one| code == one) && why.contains(&self.rig.bootstrap()), "{what}: {}", seen["waits"]);
        let told_s = watch.seconds();
        let said = self.said()?[from..].to_owned();
        ensure!(said.contains(&format!("waits: {why}")), "{what}: the log does not say why: {said}");

        let mut most = 0;
        wait_for((seconds - watch.seconds()).max(0.0), || {
            most = most.max(self.rss("VmRSS")?);
            ensure!(self.worker.is_alive()?, "{what}: the worker ended: {}", self.said()?);
            Ok(None::<()>)
        })?;
        let text = output(&mut self.pipeline.call(&["status"]))?;
        let shown = String::from_utf8_lossy(&text.stdout).into_owned();
        ensure!(text.status.code() == Some(4), "{what}: the brokers cannot be asked: {}", text.status);
        let line = shown.lines().find_map(|line| line.strip_prefix("    waits  for "));
        let line = line.with_context(|| format!("{what}: it waits no longer: {shown}"))?;
        ensure!(line.contains(&self.rig.bootstrap()) && codes.iter().any(|code| line.contains(code)), "{what}: {shown}");
        let told = self.said()?[from..].matches("waits").count();
        say(format_args!(
            "{what} for {:.0} s: status says it after {told_s:.0} s, the log {told} times; last, for {line}",
            watch.seconds()
        ));
        Ok(most)
    }

    /// Ctrl-C ends it soon, whoever does not answer: with the reason, unless it has had nothing more to commit.
    fn ends(&mut self, what: &str, codes: &[&str]) -> Result<()> {
        let waits = wait_for(PATIENCE_S, || Ok(self.pipeline.waits_for()?.filter(|code| codes.contains(&code.as_str()))))?;
        let waits = waits.with_context(|| format!("{what}: it never waits for {codes:?}"))?;
        let watch = Watch::start();
        self.worker.signal("INT")?;
        let status = wait_for(ENDS_S, || self.worker.ended())?;
        let status = status.with_context(|| format!("{what}: Ctrl-C, and it goes on: {:?}", self.pipeline.said_last()))?;
        let said = self.pipeline.said_last()?;
        let told = match status.code() {
            Some(4) => "error[E-KAFKA-",
            Some(130) => "everything learnt is committed",
            _ => bail!("{what}: Ctrl-C: {status}: {said}"),
        };
        ensure!(said.contains(told), "{what}: Ctrl-C: {status}: {said}");
        say(format_args!("{what} ({waits}): Ctrl-C ended it after {:.0} s: {status}", watch.seconds()));
        Ok(())
    }

    /// It says that it goes on, and does.
    fn goes_on(&mut self, what: &str) -> Result<()> {
        let before = committed(&self.pipeline)?;
        let told = wait_for(PATIENCE_S, || {
            let said = self.said()?;
            let last = said.rfind("goes on after").filter(|at| *at > said.rfind("waits").unwrap_or(0));
            Ok(last.map(drop))
        })?;
        told.with_context(|| format!("{what}: the log does not say that it goes on"))?;
        committed_beyond(&self.pipeline, before)?;
        let seen = self.status()?;
        ensure!(seen["standing"] == "running" && seen["waits"].is_null() && seen["brokers"] == true, "{what}: {seen}");
        Ok(())
    }
}
