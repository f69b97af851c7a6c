//! A standby beside a worker that is killed, and beside one that is stopped: it takes over, and nothing is lost or doubled.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::run::Pipeline;
use super::{Rig, Version};
use crate::campaign;
use crate::python::{CLIENTS, script};
use crate::shell::{Watch, fresh_dir, output, say, stdout, wait_for, windrow};

const ROWS: usize = 200_000;
/// Rows a second that come in meanwhile: enough for the length of the suite.
const RATE: &str = "3000";
/// Longer than a broker keeps the transaction of a producer that was killed: until then it hides what comes behind it.
pub(super) const PATIENCE_S: f64 = 120.0;

/// A process that ends with its value.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        // What it says is kept beside its files, for whoever has to find out.
        let log = command.get_current_dir().unwrap_or(Path::new(".")).join("said.log");
        let mut log = OpenOptions::new().create(true).append(true).open(log)?;
        writeln!(log, "--- {command:?}")?;
        Ok(Self(command.stdout(Stdio::null()).stderr(log).spawn()?))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }

    /// Whether it is stopped, as the kernel says; behind the bracket stands the state.
    pub(crate) fn is_stopped(&mut self) -> Result<bool> {
        ensure!(self.is_alive()?, "it has ended");
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        Ok(stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')))
    }

    /// Waits until it has stopped by itself; none when it has not for so many seconds.
    pub(crate) fn stops(&mut self, seconds: f64) -> Result<Option<()>> {
        wait_for(seconds, || Ok(self.is_stopped()?.then_some(())))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        stdout(Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()])).map(drop)
    }
}

pub(crate) fn standby() -> Result<()> {
    let rig = Rig::start(Version::NEWEST)?;
    let (windrow, dir) = (windrow("fast", &["failpoints"])?, fresh_dir("kafka-standby")?.canonicalize()?);
    let pages = dir.join("pages.csv");
    campaign::write(&pages, 0, ROWS)?;
    let pipeline = Pipeline::new(&windrow, &rig.bootstrap(), &dir, "pair", "pages", "roll_seconds = 1")?;
    pipeline.make_topics(1)?;
    let mut produce = pipeline.loud(&["produce", "--topic", "pages", "--rate", RATE, "--input"]);
    produce.arg(&pages);
    let producer = Running::start(produce)?;

    let worker = Running::start(pipeline.loud(&["run"]))?;
    committed_beyond(&pipeline, 0)?;
    let alone = output(&mut pipeline.call(&["run"]))?;
    ensure!(alone.status.code() == Some(5), "a second run without --standby: {}", alone.status);
    let bored = Running::start(pipeline.loud(&["run", "--standby"]))?;
    let heir = Running::start(pipeline.loud(&["run", "--standby"]))?;
    leaves(bored)?;

    // The clock of the files is that of the records.
    let mark = dir.join("killed");
    std::fs::write(&mark, "")?;
    worker.signal("KILL")?;
    let watch = Watch::start();
    owned_by(&pipeline, &heir)?;
    let seconds = watch.seconds();
    let before = committed(&pipeline)?;
    committed_beyond(&pipeline, before)?;
    let on = goes_on_after(&rig, &heir, mark.metadata()?.modified()?)?;

    heir.signal("STOP")?;
    let watch = Watch::start();
    let second = Running::start(pipeline.loud(&["run", "--standby"]))?;
    owned_by(&pipeline, &second)?;
    let stopped = watch.seconds();
    ensure!(stopped >= 10.0, "a stopped owner was not given time: {stopped:.1} s");
    // Gone already: nothing of it can be written any more.
    let mut heir = heir;
    let status = wait_for(PATIENCE_S, || Ok(heir.0.try_wait()?))?.context("the stopped owner lives on")?;
    ensure!(status.signal() == Some(9), "the stopped owner ended with {status}");
    let before = committed(&pipeline)?;
    committed_beyond(&pipeline, before)?;

    drop(producer);
    leaves(second)?;
    pipeline.to_the_end()?;
    let found = pipeline.delivered_in_slots()?;
    pipeline.audited(&found)?;
    say(format_args!(
        "standby: the lock {seconds:.1} s after kill -9, and a commit of its own {on:.1} s after it; the lock {stopped:.1} s after SIGSTOP: {} pages, \
         each once",
        found["pages"]
    ));
    Ok(())
}

/// Seconds from an instant to the first epoch that this process has committed of its own.
fn goes_on_after(rig: &Rig, process: &Running, since: SystemTime) -> Result<f64> {
    let committed_at = stdout(script(CLIENTS, "topics.py")?.args(["heir", &rig.bootstrap(), &process.pid().to_string()]))?;
    let since = since.duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
    Ok(committed_at.trim().parse::<f64>()? / 1e6 - since)
}

/// Rows that are committed.
pub(super) fn committed(pipeline: &Pipeline) -> Result<u64> {
    let state = output(&mut pipeline.call(&["state", "inspect", "-o", "json"]))?;
    let state: Value = serde_json::from_slice(&state.stdout).unwrap_or_default();
    Ok(state["counters"]["rows"].as_u64().unwrap_or(0))
}

/// Waits until somebody has committed more.
pub(super) fn committed_beyond(pipeline: &Pipeline, rows: u64) -> Result<()> {
    let moved = wait_for(PATIENCE_S, || Ok((committed(pipeline)? > rows).then_some(())))?;
    moved.with_context(|| nothing_committed(pipeline, rows))
}

/// Nothing was committed; with what was said last.
pub(super) fn nothing_committed(pipeline: &Pipeline, rows: u64) -> String {
    let said = pipeline.said_last().unwrap_or_default();
    format!("nothing was committed beyond row {rows} in {PATIENCE_S} s; what was said last:\n{said}")
}

/// Waits until this process has the lock of the output.
fn owned_by(pipeline: &Pipeline, process: &Running) -> Result<()> {
    let lock = pipeline.dir.join("pair/.windrow-lock");
    let owned = wait_for(PATIENCE_S, || {
        let holder: Value = serde_json::from_slice(&std::fs::read(&lock)?).unwrap_or_default();
        Ok((holder["pid"].as_u64() == Some(process.0.id().into())).then_some(()))
    })?;
    if owned.is_none() {
        bail!("nobody took over in {PATIENCE_S} s");
    }
    Ok(())
}

/// Ctrl-C, and the process ends as promised.
pub(super) fn leaves(process: Running) -> Result<()> {
    let status = told_to_leave(process)?;
    ensure!(matches!(status.code(), Some(0 | 130)), "Ctrl-C: {status}");
    Ok(())
}

/// Ctrl-C, and how the process ends.
pub(super) fn told_to_leave(mut process: Running) -> Result<ExitStatus> {
    let listens = wait_for(PATIENCE_S, || Ok(listens(process.0.id())?.then_some(())))?;
    listens.context("it never listened to signals")?;
    process.signal("INT")?;
    wait_for(PATIENCE_S, || Ok(process.0.try_wait()?))?.context("Ctrl-C ends nothing")
}

/// Whether a process catches SIGINT, as the kernel says: a bit of a number in hexadecimal digits.
fn listens(pid: u32) -> Result<bool> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).context("no SigCgt in /proc")?;
    Ok(u64::from_str_radix(caught.trim(), 16)? & 2 != 0)
}
