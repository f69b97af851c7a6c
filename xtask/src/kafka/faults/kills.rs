//! Kills at random times that hit something.
//!
//! A worker that dies before it has done anything proves nothing. So two of three are given time to get to work, and the third may be hit
//! in its start, or in the recovery from the last kill. A kill has landed when the dead worker leaves rows that no roll holds: hidden files
//! that are its own. It goes on until half as many as are wanted have, and rows must be committed by workers of which each was killed.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::run::Pipeline;
use super::super::standby::{PATIENCE_S, Running, committed};
use crate::campaign::Chance;
use crate::python::{CLIENTS, script};
use crate::shell::{let_pass, stdout, wait_for};

/// Kills in a row that may go by without anything committed.
const LONGEST_STILL: usize = 20;

/// Kills for each that is wanted, until as many as half of those wanted must have landed.
const MOST: usize = 2;
/// The shortest time that a worker is given at most.
const SOONEST: Duration = Duration::from_millis(2);

/// What is to be reached, and how.
pub(super) struct Plan<'a> {
    /// The arguments of the worker.
    pub(super) run: &'a [&'a str],
    pub(super) kills: usize,
    /// Rows that must be committed meanwhile.
    pub(super) rows: usize,
    /// How long it lives at most, since its start or since it was seen at work.
    pub(super) longest: Duration,
    /// Brings more to read, with the number of the kill; gives whether what is there has an end, before which a worker may end by itself.
    pub(super) feed: &'a mut dyn FnMut(usize) -> Result<bool>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Kills {
    /// Process and epoch of the manifest, of each worker that was killed.
    lives: Vec<(u32, u64)>,
    /// Those that left rows which no roll holds.
    pub(super) landed: usize,
    /// Rows that were committed between the first start and the last kill.
    pub(super) rows: u64,
}

impl Kills {
    pub(super) fn number(&self) -> usize {
        self.lives.len()
    }

    /// Kills until the plan is fulfilled.
    pub(super) fn at_random(pipeline: &Pipeline, plan: Plan<'_>, chance: &mut Chance) -> Result<Self> {
        let Plan { run, kills, rows, mut longest, feed } = plan;
        let (mut done, before) = (Self::default(), committed(pipeline)?);
        let mut still = 0;
        while done.number() < kills || done.rows < rows as u64 || done.landed * 2 < kills {
            let (landed, number) = (done.landed, done.number());
            ensure!(
                landed * 2 >= kills || number < MOST * kills,
                "only {landed} of {number} kills landed, and {kills} were wanted"
            );
            let has_end = feed(done.number())?;
            let after = Duration::from_millis(chance.below(usize::try_from(longest.as_millis())?) as u64);
            if !done.one(pipeline, run, after, has_end).with_context(|| format!("random kill {}", done.number()))? {
                // It had come to the end of its input: the next one is killed sooner.
                longest /= 2;
                ensure!(longest >= SOONEST, "workers come to the end of their input before they are killed");
            }
            let now = committed(pipeline)?.saturating_sub(before);
            still = if now > done.rows { 0 } else { still + 1 };
            ensure!(still < LONGEST_STILL, "{still} kills, and nothing was committed; said last:\n{}", pipeline.said_last()?);
            done.rows = now;
        }
        Ok(done)
    }

    /// One life; whether it ended by the kill.
    fn one(&mut self, pipeline: &Pipeline, run: &[&str], after: Duration, has_end: bool) -> Result<bool> {
        let start = Start::mark(pipeline)?;
        let mut worker = Running::start(pipeline.loud(run))?;
        if self.number() % 3 < 2 {
            let seen = wait_for(PATIENCE_S, || {
                let over = !worker.is_alive()?;
                Ok((over || start.is_at_work(pipeline)?).then_some(()))
            })?;
            seen.with_context(|| format!("the worker does nothing; said last:\n{}", pipeline.said_last().unwrap_or_default()))?;
        }
        let_pass(after);
        // It may be gone already, which is looked at below.
        let _ = worker.signal("KILL");
        let status = wait_for(PATIENCE_S, || worker.ended())?.context("it outlived its kill")?;
        if has_end && status.success() {
            return Ok(false);
        }
        ensure!(status.signal() == Some(9), "ended with {status} before its kill:\n{}", pipeline.said_last()?);
        self.landed += usize::from(start.is_at_work(pipeline)?);
        self.lives.push((worker.pid(), epoch(pipeline)?));
        Ok(true)
    }

    /// Starts that found epochs in the topics which no roll held, as the records of the topics have it.
    pub(super) fn behind_the_topics(&self, pipeline: &Pipeline, servers: &str) -> Result<usize> {
        let text = stdout(script(CLIENTS, "topics.py")?.args(["lives", servers, &pipeline.id()?]))?;
        let claims: Vec<(u32, u64)> = serde_json::from_str(&text)?;
        let found = self.lives.windows(2).filter(|pair| {
            let ((_, rolled), (pid, _)) = (pair[0], pair[1]);
            claims.iter().any(|(claimed_by, committed)| *claimed_by == pid && *committed > rolled)
        });
        Ok(found.count())
    }
}

/// The epoch that the manifest has; none before the first.
fn epoch(pipeline: &Pipeline) -> Result<u64> {
    let Ok(bytes) = std::fs::read(pipeline.out().join(".windrow/files.json")) else { return Ok(0) };
    let manifest: Value = serde_json::from_slice(&bytes)?;
    manifest["body"]["epoch"].as_u64().context("a manifest has an epoch")
}

/// The instant of a start, by the clock of the files.
struct Start(SystemTime);

impl Start {
    fn mark(pipeline: &Pipeline) -> Result<Self> {
        let mark = pipeline.dir.join("started");
        std::fs::write(&mark, "")?;
        Ok(Self(mark.metadata()?.modified()?))
    }

    /// Whether there are hidden files that were written since: what was left from before is older.
    fn is_at_work(&self, pipeline: &Pipeline) -> Result<bool> {
        Ok(hidden(pipeline)?.iter().any(|path| {
            // One that comes into view while we look is no hidden file any more.
            path.metadata().and_then(|data| data.modified()).is_ok_and(|written| written > self.0)
        }))
    }
}

/// Files of rows that no roll holds.
fn hidden(pipeline: &Pipeline) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for family in ["pages", "rejects", "lineage"] {
        let Ok(entries) = std::fs::read_dir(pipeline.out().join(family)) else { continue };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
