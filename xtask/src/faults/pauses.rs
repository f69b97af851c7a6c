//! SIGSTOP beside a standby: a worker that stands still is still the owner, until the standby has killed it; and one that comes back after
//! somebody else has taken over, as it can where a volume keeps no locks, writes nothing more.
//!
//! ```text
//! woken       worker ─ stop ───────── wakes ── to the end         standby: waits, finds nothing left to do
//! killed      worker ─ stop ── killed by the standby              standby: takes over, to the end
//! replaced    worker ─ stop ─────────────────────── wakes: exit 5  another, with locks of its own: to the end
//! ```

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Part;
use super::rig::{PATIENCE_S, Pipeline};
use crate::campaign::Chance;
use crate::kafka::Running;
use crate::shell::{Watch, let_pass, output, say, wait_for};

/// Where a worker is stopped, and at which passing: from the row that is learnt to the commit that everybody sees.
const POINTS: [(&str, usize); 12] = [
    ("before-manifest-rename", 3),
    ("after-learn", 3),
    ("after-manifest-rename", 2),
    ("after-parquet-fsync", 2),
    ("after-stage", 4),
    ("before-parquet-fsync", 5),
    ("before-snapshot-rename", 2),
    ("after-snapshot", 4),
    ("after-manifest", 3),
    ("after-file-rename", 2),
    ("after-files-in-view", 3),
    ("after-commit", 5),
];
/// The points at which nothing but a rename is left between a stopped worker and the commit.
const TIGHTEST: [&str; 3] = ["before-manifest-rename", "after-learn", "after-manifest-rename"];

pub(super) fn pauses(part: &Part<'_>) -> Result<()> {
    let mut chance = Chance::new(part.seed);
    let (points, n_killed, n_random) = if part.short { (3, 1, 1) } else { (POINTS.len(), 3, 10) };
    let mut stops = 0;
    for (point, nth) in &POINTS[..points] {
        woken(part, point, *nth).with_context(|| format!("stopped at {point} and woken"))?;
        replaced(part, point, *nth).with_context(|| format!("stopped at {point} and replaced"))?;
        stops += 2;
    }
    for round in 0..n_random {
        stops += at_random(part, round, &mut chance).with_context(|| format!("stopped at a random time, round {round}"))?;
    }
    for point in &TIGHTEST[..n_killed] {
        killed(part, point).with_context(|| format!("stopped at {point} for good"))?;
        stops += 1;
    }
    say(format_args!("pauses: {stops} stops, every one landed; never two owners, the same answer"));
    Ok(())
}

/// A standby behind a worker; it has seen it.
fn standby(pipeline: &Pipeline, worker: &Running) -> Result<Running> {
    let mut command = pipeline.loud();
    command.arg("--standby").current_dir(pipeline.said("standby")?);
    let standby = Running::start(command)?;
    let behind = format!("stands by behind process {} ", worker.pid());
    wait_for(PATIENCE_S, || Ok(pipeline.has_said("standby", &behind).then_some(())))?.context("the standby sees no worker")?;
    Ok(standby)
}

fn end_of(process: &mut Running) -> Result<ExitStatus> {
    wait_for(PATIENCE_S, || process.ended())?.context("it does not end")
}

fn ends_well(who: &str, process: &mut Running) -> Result<()> {
    let status = end_of(process)?;
    ensure!(status.code() == Some(0), "the {who} ended with {status}");
    Ok(())
}

/// Nobody else gets in while the owner stands still, and nothing changes.
fn holds_still(pipeline: &Pipeline, worker: &mut Running, standby: &mut Running) -> Result<()> {
    let before = pipeline.status()?;
    let alone = output(&mut pipeline.command())?;
    ensure!(alone.status.code() == Some(5), "another run beside a stopped owner: {}", alone.status);
    let_pass(Duration::from_secs(1));
    ensure!(worker.is_stopped()? && standby.is_alive()?, "one stands still, one waits");
    let after = pipeline.status()?;
    ensure!(after["running"]["pid"] == worker.pid(), "the owner is {}", after["running"]);
    ensure!(before["rows"] == after["rows"] && before["commit"] == after["commit"], "committed beside a stopped owner");
    Ok(())
}

fn is_as_undisturbed(part: &Part<'_>, pipeline: &Pipeline) -> Result<()> {
    pipeline.audit()?;
    part.rig.same(part.reference, pipeline)
}

fn woken(part: &Part<'_>, point: &str, nth: usize) -> Result<()> {
    let pipeline = part.rig.pipeline(&format!("woken-{point}"))?;
    let mut worker = pipeline.stopped_at(point, nth, &[])?;
    let mut standby = standby(&pipeline, &worker)?;
    holds_still(&pipeline, &mut worker, &mut standby)?;
    worker.signal("CONT")?;
    ends_well("worker", &mut worker)?;
    ends_well("standby", &mut standby)?;
    is_as_undisturbed(part, &pipeline)?;
    pipeline.remove()
}

/// The same from outside, whatever it does just then, several times in one life.
fn at_random(part: &Part<'_>, round: usize, chance: &mut Chance) -> Result<usize> {
    let pipeline = part.rig.pipeline(&format!("woken-random-{round}"))?;
    let mut command = pipeline.command();
    command.current_dir(pipeline.said("worker")?);
    let mut worker = Running::start(command)?;
    let owned = || Ok((pipeline.status()?["running"]["pid"] == worker.pid()).then_some(()));
    wait_for(PATIENCE_S, owned)?.context("the worker takes no lock")?;
    let (mut stops, mut beside) = (0, None);
    while is_stopped(&mut worker)? {
        stops += 1;
        if beside.is_none() {
            beside = Some(standby(&pipeline, &worker)?);
        }
        worker.signal("CONT")?;
        let_pass(Duration::from_millis(3 + chance.below(60) as u64));
    }
    ensure!(stops > 0, "no stop landed");
    ends_well("worker", &mut worker)?;
    beside.as_mut().map_or(Ok(()), |standby| ends_well("standby", standby))?;
    is_as_undisturbed(part, &pipeline)?;
    pipeline.remove()?;
    Ok(stops)
}

/// Stops it, unless it has ended.
fn is_stopped(worker: &mut Running) -> Result<bool> {
    if !worker.is_alive()? {
        return Ok(false);
    }
    worker.signal("STOP")?;
    let stopped = wait_for(PATIENCE_S, || match worker.is_alive()? {
        true => Ok(worker.is_stopped().unwrap_or(false).then_some(true)),
        false => Ok(Some(false)),
    });
    stopped?.context("it neither stops nor ends")
}

fn killed(part: &Part<'_>, point: &str) -> Result<()> {
    let pipeline = part.rig.pipeline(&format!("killed-{point}"))?;
    let mut worker = pipeline.stopped_at(point, 2, &[])?;
    let watch = Watch::start();
    let mut standby = standby(&pipeline, &worker)?;
    let status = end_of(&mut worker)?;
    ensure!(status.signal() == Some(9), "the stopped owner ended with {status}");
    ensure!(watch.seconds() >= 10.0, "a stopped owner was given {:.1} s", watch.seconds());
    ends_well("standby", &mut standby)?;
    is_as_undisturbed(part, &pipeline)?;
    pipeline.remove()
}

/// Without its locks a stopped worker cannot keep anybody out; it must see that when it wakes.
fn replaced(part: &Part<'_>, point: &str, nth: usize) -> Result<()> {
    let pipeline = part.rig.pipeline(&format!("replaced-{point}"))?;
    let mut worker = pipeline.stopped_at(point, nth, &[])?;
    for lock in [".windrow-lock", ".windrow/lock"] {
        std::fs::remove_file(pipeline.out.join(lock))?;
    }
    pipeline.run_to_the_end()?;
    is_as_undisturbed(part, &pipeline).context("the other one's output")?;
    ensure!(worker.is_stopped()?, "the worker stood still all the time");
    worker.signal("CONT")?;
    let status = end_of(&mut worker)?;
    ensure!(status.code() == Some(5), "the worker that was replaced ended with {status}");
    is_as_undisturbed(part, &pipeline).context("after the worker that was replaced")?;
    pipeline.run_to_the_end().context("going on after it")?;
    is_as_undisturbed(part, &pipeline)?;
    pipeline.remove()
}
