//! `cargo xtask bench embedded --full`: 33 million rows through files and through a pipe. Memory must stay within its bar and flat, and
//! a row must cost the last million the same processor time as the first. The run through files is killed in its middle, and audited.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::served::Served;
use crate::shell::{fresh_dir, let_pass, processor_s, run, say};

const MEMORY_BAR: f64 = 512.0;
/// Most that a million's processor time may differ from the first million's.
const COST_BAR: f64 = 0.10;
/// Most that memory may grow from the first quarter of a run to its last.
const GROWTH_BAR: f64 = 0.05;
const MILLION: f64 = 1e6;

/// How a run stood at a moment.
#[derive(Clone, Copy, Default)]
struct Sample {
    rows: f64,
    cpu_s: f64,
    mib: f64,
}

/// Both ways in; fails when a bar is missed.
pub(super) fn long(windrow: &Path, input: &Path, rows: f64) -> Result<()> {
    let out = fresh_dir("bench-long")?;
    let first = follow(Served::start(command(windrow, &out).arg("--input").arg(input))?, Some(rows / 2.0))?;
    let after = follow(Served::start(command(windrow, &out).arg("--input").arg(input))?, None)?;
    let files = [judge("files, until the kill", &first)?, judge("files, after it", &after)?];
    run(Command::new(windrow).args(["audit", "--quiet", "--out"]).arg(&out))?;
    say("audit after the kill: nothing lost, nothing twice");

    let out = fresh_dir("bench-long")?;
    let mut cat = Command::new("cat").arg(input).stdout(Stdio::piped()).spawn()?;
    let pipe = cat.stdout.take().context("a pipe")?;
    let piped = follow(Served::fed(command(windrow, &out).args(["--input", "-"]), pipe.into())?, None)?;
    ensure!(cat.wait()?.success(), "cat failed");
    let piped = judge("a pipe", &piped)?;
    std::fs::remove_dir_all(out)?;
    ensure!(files.iter().all(|met| *met) && piped, "a bar is missed");
    Ok(())
}

fn command(windrow: &Path, out: &Path) -> Command {
    let mut command = Command::new(windrow);
    command.args(["run", "--quiet", "--threads", "2", "--out"]).arg(out);
    command
}

/// Looks at a run until it ends; kills it after `kill_at` rows.
fn follow(mut run: Served, kill_at: Option<f64>) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    loop {
        if let Some(status) = run.child.try_wait()? {
            ensure!(status.success() && kill_at.is_none(), "the run ended with {status}");
            return Ok(samples);
        }
        // A run that is about to end answers no more; one that has just begun does not know what was read before.
        samples.extend(sample(&run).ok().filter(|sample| sample.rows > 0.0));
        if kill_at.is_some_and(|at| samples.last().is_some_and(|last| last.rows >= at)) {
            run.child.kill()?;
            run.child.wait()?;
            return Ok(samples);
        }
        let_pass(Duration::from_millis(250));
    }
}

fn sample(run: &Served) -> Result<Sample> {
    let metrics = run.get("/metrics")?.body;
    let rows = metrics.lines().find_map(|line| line.strip_prefix("windrow_rows_total ")).context("rows")?.trim().parse()?;
    Ok(Sample { rows, cpu_s: processor_s(run.child.id())?, mib: run.memory()? as f64 / f64::from(1 << 20) })
}

/// Prints what a run took, and says whether it met the bars.
fn judge(name: &str, samples: &[Sample]) -> Result<bool> {
    let (first, last) = samples.first().zip(samples.last()).context("the run was never seen")?;
    let base = first.rows;
    let millions = ((last.rows - base) / MILLION) as usize;
    ensure!(millions >= 4, "{name}: {millions} million rows seen: too few to tell");
    let costs: Vec<f64> = (0..millions)
        .map(|n| cpu_at(samples, base + (n + 1) as f64 * MILLION) - cpu_at(samples, base + n as f64 * MILLION))
        .collect();
    let (least, most) = costs.iter().fold((f64::MAX, f64::MIN), |(least, most), &cost| (least.min(cost), most.max(cost)));
    let change = costs[millions - 1] / costs[0] - 1.0;
    let quarter = |from: usize| {
        let part = &samples[samples.len() * from / 4..samples.len() * (from + 1) / 4];
        part.iter().map(|sample| sample.mib).sum::<f64>() / part.len().max(1) as f64
    };
    let (growth, peak) = (quarter(3) / quarter(0) - 1.0, samples.iter().map(|sample| sample.mib).fold(0.0, f64::max));
    say(format_args!(
        "{name}: {:.1} million rows; processor time a row {:.2} us in the first million, {:.2} in the last ({:+.1} %, bar +-{:.0}), {least:.2} to {most:.2}",
        last.rows / MILLION,
        costs[0],
        costs[millions - 1],
        100.0 * change,
        100.0 * COST_BAR,
    ));
    say(format_args!(
        "{name}: memory at most {peak:.0} MiB (bar {MEMORY_BAR:.0}), last quarter against the first {:+.1} % (bar +{:.0})",
        100.0 * growth,
        100.0 * GROWTH_BAR,
    ));
    Ok(peak <= MEMORY_BAR && growth <= GROWTH_BAR && change.abs() <= COST_BAR)
}

/// Processor seconds when so many rows were read.
fn cpu_at(samples: &[Sample], rows: f64) -> f64 {
    let at = samples.partition_point(|sample| sample.rows < rows).clamp(1, samples.len() - 1);
    let (before, after) = (samples[at - 1], samples[at]);
    let share = (rows - before.rows) / (after.rows - before.rows).max(1.0);
    before.cpu_s + share * (after.cpu_s - before.cpu_s)
}
