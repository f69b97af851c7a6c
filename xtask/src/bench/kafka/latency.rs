//! Latency: from the sending of a row to its being readable, committed, on its cluster's topic.
//!
//! The stop watch is a program of its own (crates/windrow-engine/examples/kafka_latency.rs), sender and reader in one process, so that both
//! times come from one clock. Parquet rolls every few seconds meanwhile, far oftener than by default.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Extent;
use super::field::{Field, Pipeline};
use crate::shell::{output, say, wait_for};

/// Rows a second.
const RATE: u32 = 5_000;
const WARM_UP_S: u32 = 5;
/// Seconds from one roll to the next.
const ROLL_S: u32 = 4;
/// Length of epochs in milliseconds, and the highest p99 for each, where there is a bar.
const EPOCHS: [(u32, Option<f64>); 2] = [(500, Some(1_000.0)), (100, None)];
const PATIENCE_S: f64 = 30.0;

/// What the stop watch says.
#[derive(Deserialize)]
struct Found {
    rows: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    worst_second_p99_ms: f64,
}

pub(super) fn latency(field: &Field, extent: &Extent, missed: &mut Vec<String>) -> Result<()> {
    let seconds = extent.seconds;
    say(format_args!("latency at {RATE} rows/s for {seconds} s, a roll every {ROLL_S} s:"));
    for (epoch_ms, bar) in EPOCHS {
        let rows = usize::try_from(RATE * (seconds + WARM_UP_S))?;
        let (found, rolls) = at_epoch(field, rows.min(extent.rows), seconds, epoch_ms)?;
        ensure!(rolls as u32 >= seconds / ROLL_S, "{rolls} rolls in {seconds} s: they were not measured along");
        let bar_text = bar.map_or(String::new(), |bar| format!(" (bar {bar:.0} ms)"));
        let Found { rows, p50_ms, p99_ms, max_ms, worst_second_p99_ms } = found;
        say(format_args!(
            "  commits of {epoch_ms:>3} ms: p50 {p50_ms:.0} ms, p99 {p99_ms:.0} ms{bar_text}; worst second's p99 {worst_second_p99_ms:.0} ms, \
             longest {max_ms:.0} ms; {rows} rows, {rolls} rolls"
        ));
        if bar.is_some_and(|bar| p99_ms > bar) {
            missed.push(format!("latency with commits of {epoch_ms} ms: p99 {p99_ms:.0} ms{bar_text}"));
        }
        field.clear()?;
    }
    Ok(())
}

/// What is found, and the rolls meanwhile.
fn at_epoch(field: &Field, rows: usize, seconds: u32, epoch_ms: u32) -> Result<(Found, usize)> {
    let stock = Pipeline::new(field, "stock", "stock", super::TOPICS, epoch_ms, "")?;
    let pipeline = Pipeline::new(field, "live", "live", super::TOPICS, epoch_ms, &format!("roll_seconds = {ROLL_S}"))?;
    stock.make_topics()?;
    pipeline.make_topics()?;
    field.produce(&stock, rows)?;
    if pipeline.out().exists() {
        std::fs::remove_dir_all(pipeline.out())?;
    }
    let mut run = Running(pipeline.call(&["run"]).stdout(Stdio::null()).spawn()?);
    // Its first commit is made before it reads.
    let begun = wait_for(PATIENCE_S, || {
        ensure!(run.0.try_wait()?.is_none(), "the run ended by itself");
        Ok(pipeline.out().join(".windrow/files.json").exists().then_some(()))
    })?;
    begun.context("the run does not begin")?;
    let mut watch = field.example("kafka_latency");
    watch.args([&field.rig.bootstrap(), "stock", "live", "live_"]);
    watch.args([super::TOPICS, RATE, seconds, WARM_UP_S].map(|number| number.to_string()));
    let done = output(&mut watch)?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr).trim());
    let rolls = pipeline.n_files()?;
    run.interrupt()?;
    Ok((serde_json::from_slice(&done.stdout)?, rolls))
}

/// A process that ends with its value.
struct Running(std::process::Child);

impl Running {
    fn interrupt(&mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.0.id())?).context("pid 0 is nobody's")?;
        rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        let ended = self.0.wait()?;
        ensure!(matches!(ended.code(), Some(0 | 130)), "Ctrl-C ended the run with {ended}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, but for an error.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
