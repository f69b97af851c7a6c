//! `cargo xtask faults kafka`: a pipeline between topics, and all that happens to one in a bad year.
//!
//! ```text
//! rows ── produce --loop ──> pages ── run ──> topics and Parquet      an independent reader counts pages, and holds all against all
//!
//! workers  the worker killed at random times and at every point, the broker killed and restarted
//! brokers  the same of brokers of older versions, in the long form
//! network  answers late, connections reset, frames swallowed, answers to commits cut off: through a proxy
//! rivals   an owner stopped beside its replacement, consumers that join and leave its group
//! shapes   the same kills of a pipeline from files to topics, and of one from a topic to Parquet alone
//! topics   partitions added, topics deleted and made anew, messages that are too long
//! ```
//!
//! At the end an independent reader of committed messages holds the topics against the Parquet and counts the input, and the program's audit
//! holds all of them against the input. A fault that hit nothing proves nothing: half as many workers as are to be killed at least must be
//! hit at work, points are met by name, the proxy counts, and the worker must get on after each fault.

mod brokers;
mod kills;
mod network;
mod rivals;
mod shapes;
mod topics;
mod workers;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Version;
use super::run::Pipeline;
use super::standby::{PATIENCE_S, Running, committed, leaves, nothing_committed, told_to_leave};
use crate::shell::{Watch, say, wait_for, windrow};

/// How much is done.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Rows that must have been committed by workers that are killed.
    rows: usize,
    /// Rows a second that come in meanwhile.
    rate: usize,
    kills: usize,
    /// Kills at random times of each of the other shapes of a pipeline.
    shape_kills: usize,
    /// Whether each point is met, or only those that no other check of the topics meets.
    all_points: bool,
    broker_faults: usize,
    /// Versions whose brokers are killed and restarted besides the newest.
    older: &'static [Version],
    resets: usize,
    /// How long nothing is answered: longer than requests and transactions may take.
    black_hole: Duration,
    /// Answers to commits that are cut off.
    cuts: usize,
    /// Owners that are stopped.
    zombies: usize,
    /// How long others join and leave the group.
    group: Duration,
    seed: u64,
}

impl Extent {
    pub(crate) const SHORT: Self = Self {
        rows: 12_000,
        rate: 3_000,
        kills: 6,
        shape_kills: 5,
        all_points: false,
        broker_faults: 1,
        older: &[],
        resets: 3,
        black_hole: Duration::from_secs(12),
        cuts: 2,
        zombies: 1,
        group: Duration::from_secs(8),
        seed: 1,
    };
    /// Twenty kills, every point, each fault of the broker twice, two minutes of strange consumers.
    pub(crate) const USUAL: Self = Self {
        rows: 100_000,
        kills: 20,
        shape_kills: 10,
        all_points: true,
        broker_faults: 2,
        resets: 10,
        black_hole: Duration::from_secs(40),
        cuts: 10,
        zombies: 3,
        group: Duration::from_secs(120),
        ..Self::SHORT
    };
    pub(crate) const FULL: Self = Self {
        rows: 1_000_000,
        rate: 2_000,
        kills: 300,
        shape_kills: 20,
        broker_faults: 4,
        older: &[Version::V3_9, Version::V2_8],
        cuts: 20,
        zombies: 5,
        ..Self::USUAL
    };

    /// Rows that come in again and again.
    fn round(&self) -> usize {
        (self.rows / 4).max(20_000)
    }

    pub(crate) fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// A part of the faults.
type Part = (&'static str, fn(&Path, &Extent) -> Result<()>);

/// Apart for the suites: what happens to workers, brokers and topics; between worker and broker, and between workers; and other shapes.
const FIRST: [Part; 3] = [("workers", workers::workers), ("brokers", brokers::brokers), ("topics", topics::topics)];
const SECOND: [Part; 2] = [("network", network::network), ("rivals", rivals::rivals)];
const SHAPES: [Part; 1] = [("shapes", shapes::shapes)];

/// All of it, or the part of this name.
pub(crate) fn faults(extent: &Extent, only: Option<&str>) -> Result<()> {
    let watch = Watch::start();
    let parts: Vec<Part> =
        FIRST.into_iter().chain(SECOND).chain(SHAPES).filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    ensure!(!parts.is_empty(), "no part has that name");
    each(&parts, extent)?;
    say(format_args!("faults: every one has hit, nothing lost, doubled or changed; {:.0} s", watch.seconds()));
    Ok(())
}

pub(crate) fn first_half() -> Result<()> {
    each(&FIRST, &Extent::SHORT)
}

pub(crate) fn second_half() -> Result<()> {
    each(&SECOND, &Extent::SHORT)
}

pub(crate) fn other_shapes() -> Result<()> {
    each(&SHAPES, &Extent::SHORT)
}

fn each(parts: &[Part], extent: &Extent) -> Result<()> {
    let program = windrow("fast", &["failpoints"])?;
    parts.iter().try_for_each(|(name, part)| part(&program, extent).with_context(|| format!("faults of {name}")))
}

/// Rows that come in without end, at a rate.
struct Feed {
    running: Running,
    send: Vec<String>,
}

impl Feed {
    /// Sends `pages.csv` of the pipeline's folder to the topic again and again, by the way in that is given.
    fn start(pipeline: &Pipeline, servers: &str, topic: &str, extent: &Extent) -> Result<Self> {
        let rate = extent.rate.to_string();
        let send = ["produce", "--kafka", servers, "--topic", topic, "--rate", &rate, "--loop", "--input", "pages.csv"];
        let send = send.map(str::to_owned).to_vec();
        Ok(Self { running: Self::call(pipeline, &send)?, send })
    }

    fn call(pipeline: &Pipeline, send: &[String]) -> Result<Running> {
        Running::start(pipeline.loud(&send.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// Where brokers have ended its transaction it says so and ends: the same call goes on, as its user would.
    fn keep_on(&mut self, pipeline: &Pipeline) -> Result<()> {
        if !self.running.is_alive()? {
            self.running = Self::call(pipeline, &self.send)?;
        }
        Ok(())
    }

    /// Ends between two transactions: what a killed producer leaves open hides what comes behind it for a minute.
    fn end(self) -> Result<()> {
        leaves(self.running)
    }

    /// The same where brokers were killed.
    fn end_beside_broken_brokers(mut self, pipeline: &Pipeline) -> Result<()> {
        self.keep_on(pipeline)?;
        leaves_beside_broken_brokers(pipeline, self.running, || Self::call(pipeline, &self.send))
    }
}

/// Ends where brokers were killed: one that they have left without an answer says so and ends. The same call goes on, as its user would, and
/// ends then.
fn leaves_beside_broken_brokers(pipeline: &Pipeline, process: Running, again: impl FnOnce() -> Result<Running>) -> Result<()> {
    let status = told_to_leave(process)?;
    let said = pipeline.said_last()?;
    match status.code() {
        Some(0 | 130) => Ok(()),
        Some(4) if said.contains("E-KAFKA-AGAIN") => leaves(again()?),
        _ => bail!("Ctrl-C ended it with {status}: {said}"),
    }
}

/// Something new is committed by this worker, which goes on.
fn moves(pipeline: &Pipeline, worker: &mut Running) -> Result<()> {
    moves_while(pipeline, worker, || Ok(()))
}

/// The same, with something to do meanwhile.
fn moves_while(pipeline: &Pipeline, worker: &mut Running, mut meanwhile: impl FnMut() -> Result<()>) -> Result<()> {
    let before = committed(pipeline)?;
    let moved = wait_for(PATIENCE_S, || {
        meanwhile()?;
        let moved = committed(pipeline)? > before;
        Ok((moved || !worker.is_alive()?).then_some(moved))
    })?;
    ensure!(moved != Some(false), "the worker has ended; what was said last:\n{}", pipeline.said_last()?);
    moved.map(drop).with_context(|| nothing_committed(pipeline, before))
}

/// Ends the worker, lets another one read the rest, and holds everything against everything; gives what was found, and what the audit says
/// is wrong: nothing.
fn all_there(pipeline: &Pipeline, servers: &str, topic: &str, worker: Running) -> Result<Value> {
    leaves(worker)?;
    all_delivered(pipeline, servers, topic)
}

/// The same behind brokers that were killed.
fn all_there_beside_broken_brokers(pipeline: &Pipeline, servers: &str, topic: &str, worker: Running) -> Result<Value> {
    leaves_beside_broken_brokers(pipeline, worker, || Running::start(pipeline.loud(&["run"])))?;
    all_delivered(pipeline, servers, topic)
}

fn all_delivered(pipeline: &Pipeline, servers: &str, topic: &str) -> Result<Value> {
    pipeline.to_the_end()?;
    let mut found = pipeline.delivered_in_slots()?;
    let audit = pipeline.audited(&found)?;
    ["lost", "duplicated", "disagreeing"].iter().for_each(|name| found[*name] = audit[*name].clone());
    let rows = found["pages"].as_u64().zip(found["rejects"].as_u64()).map(|(pages, rejects)| pages + rejects);
    let sent = pipeline.count_messages(servers, topic)?;
    ensure!(rows == Some(sent), "{sent} messages in, and {found}");
    Ok(found)
}

/// The run ends by itself with one of these codes.
fn ends_with(pipeline: &Pipeline, mut worker: Running, codes: &[&str], exit: i32) -> Result<()> {
    let status = wait_for(PATIENCE_S, || worker.ended())?;
    let said = pipeline.said_last()?;
    let status = status.with_context(|| format!("{codes:?} was awaited, and the run goes on:\n{said}"))?;
    let is_told = codes.iter().any(|code| said.contains(code));
    ensure!(status.code() == Some(exit) && is_told, "expected {codes:?}: {status}: {said}");
    Ok(())
}
