//! The killed and the killer: pipelines in folders of their own, and what is compared of them.

use std::os::unix::process::{CommandExt as _, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::campaign;
use crate::kafka::Running;
use crate::python::{READERS, script};
use crate::shell::{Watch, fresh_dir, output, shown, stdout, windrow};

/// How long anything may take that is waited for.
pub(super) const PATIENCE_S: f64 = 120.0;

/// How a run is to be ended.
pub(super) enum Kill<'a> {
    /// By itself, at the n-th passing of a point.
    Point(&'a str, usize),
    /// From outside, after a time.
    After(Duration),
}

/// How it ended.
#[derive(PartialEq, Eq)]
pub(super) enum Died {
    /// By the kill.
    Killed,
    /// At the end of its input, before the kill.
    Ended,
}

/// The program with its failpoints, and the input.
pub(super) struct Rig {
    pub(super) windrow: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) inputs: [PathBuf; 2],
    roll_rows: usize,
    /// Whom its runs belong to; none: us.
    pub(super) user: Option<u32>,
}

/// One pipeline with its output.
pub(super) struct Pipeline {
    pub(super) windrow: PathBuf,
    pub(super) out: PathBuf,
    pub(super) inputs: Vec<PathBuf>,
    threads: usize,
    pub(super) roll_rows: usize,
    user: Option<u32>,
    /// How long the run took, of an undisturbed one.
    pub(super) seconds: f64,
    /// What it came to, of an undisturbed one.
    pub(super) facts: String,
}

impl Rig {
    pub(super) fn build(rows: usize) -> Result<Self> {
        Self::of(windrow("fast", &["failpoints"])?, fresh_dir("faults")?, rows)
    }

    fn of(windrow: PathBuf, dir: PathBuf, rows: usize) -> Result<Self> {
        let inputs = [dir.join("a.csv"), dir.join("b.csv")];
        campaign::write(&inputs[0], 0, rows / 4)?;
        campaign::write(&inputs[1], rows / 4, rows)?;
        Ok(Self { windrow, dir, inputs, roll_rows: rows / 20, user: None })
    }

    /// Another one with other rows, in a folder of its own.
    pub(super) fn another(&self, dir: PathBuf, rows: usize) -> Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Self::of(self.windrow.clone(), dir, rows)
    }

    pub(super) fn pipeline(&self, name: &str) -> Result<Pipeline> {
        let out = self.dir.join(name);
        let (windrow, inputs) = (self.windrow.clone(), self.inputs.to_vec());
        let (roll_rows, user) = (self.roll_rows, self.user);
        Ok(Pipeline { windrow, out, inputs, threads: 2, roll_rows, user, seconds: 0.0, facts: String::new() })
    }

    /// A pipeline that has read the first file and found two edits in its inbox since.
    pub(super) fn pipeline_with_edits(&self, name: &str) -> Result<Pipeline> {
        let mut pipeline = self.pipeline(name)?;
        pipeline.inputs.truncate(1);
        pipeline.run_to_the_end()?;
        pipeline.inputs = self.inputs.to_vec();
        let inbox = pipeline.out.join(".windrow/edits");
        std::fs::create_dir_all(&inbox)?;
        let cluster = pipeline.some_cluster()?;
        let rename = serde_json::json!({"edit": "rename", "cluster": cluster, "label": "named by hand"});
        let pin = serde_json::json!({"edit": "pin", "cluster": cluster, "pinned": true});
        std::fs::write(inbox.join("1-rename.json"), rename.to_string())?;
        std::fs::write(inbox.join("2-pin.json"), pin.to_string())?;
        Ok(pipeline)
    }

    pub(super) fn undisturbed(&self, name: &str, threads: usize, roll_rows: usize) -> Result<Pipeline> {
        let mut pipeline = self.pipeline(name)?;
        (pipeline.threads, pipeline.roll_rows) = (threads, roll_rows);
        self.finish_undisturbed(pipeline)
    }

    pub(super) fn undisturbed_with_edits(&self, name: &str) -> Result<Pipeline> {
        self.finish_undisturbed(self.pipeline_with_edits(name)?)
    }

    fn finish_undisturbed(&self, mut pipeline: Pipeline) -> Result<Pipeline> {
        let watch = Watch::start();
        self.to_the_end(&pipeline)?;
        pipeline.seconds = watch.seconds();
        pipeline.facts = pipeline.audit()?.to_string();
        Ok(pipeline)
    }

    /// Runs to the end of the input and audits.
    pub(super) fn to_the_end(&self, pipeline: &Pipeline) -> Result<()> {
        pipeline.run_to_the_end()?;
        pipeline.audit()?;
        Ok(())
    }

    /// Whether two pipelines gave the same answer: every column of every row in both directions, and the model's checksum.
    pub(super) fn same(&self, left: &Pipeline, right: &Pipeline) -> Result<()> {
        let found = output(script(READERS, "compare.py")?.args([&left.out, &right.out]))?;
        if !found.status.success() {
            let (said, talk) = (String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&found.stderr));
            bail!("not the same answer as {}: {said}{talk}", left.out.display());
        }
        let (left, right) = (left.checksum()?, right.checksum()?);
        ensure!(left == right, "same output, but the model's checksum is {right} and not {left}");
        Ok(())
    }
}

impl Pipeline {
    /// A run that says nothing.
    pub(super) fn command(&self) -> Command {
        let mut command = self.loud();
        command.arg("--quiet");
        command
    }

    /// A run.
    pub(super) fn loud(&self) -> Command {
        let mut command = Command::new(&self.windrow);
        command.arg("run").arg("--input").args(&self.inputs).arg("--out").arg(&self.out);
        command.args(["--threads", &self.threads.to_string(), "--roll-rows", &self.roll_rows.to_string()]);
        // How much stays free is another matter than what a full disk does.
        command.env("WINDROW__LIMITS__FREE_DISK", "0");
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    pub(super) fn run_to_the_end(&self) -> Result<()> {
        let mut command = self.command();
        stdout(command.stdout(Stdio::piped())).map(drop)
    }

    /// Runs until the kill. The program must die of signal 9, at a point only after it has written the point down.
    pub(super) fn run_until(&self, kill: &Kill<'_>) -> Result<Died> {
        let mut command = self.command();
        let log = self.out.with_extension("log");
        let _ = std::fs::remove_file(&log);
        if let Kill::Point(name, nth) = kill {
            command.env("WINDROW_FAILPOINT", format!("{name}:{nth}")).env("WINDROW_FAILPOINT_LOG", &log);
        }
        let mut child = command.stderr(Stdio::piped()).spawn().with_context(|| shown(&command))?;
        if let Kill::After(time) = kill {
            // Waiting on a channel that nobody sends to is how one lets time pass here.
            let (_keep, never) = mpsc::channel::<()>();
            let _ = never.recv_timeout(*time);
            child.kill()?;
        }
        let ended = child.wait_with_output()?;
        let written = std::fs::read_to_string(&log).unwrap_or_default();
        let _ = std::fs::remove_file(&log);
        match (ended.status.signal(), ended.status.code(), kill) {
            (Some(9), _, Kill::After(_)) => Ok(Died::Killed),
            (Some(9), _, Kill::Point(name, _)) => {
                ensure!(written.trim() == *name, "died, but wrote `{}` instead of {name}", written.trim());
                Ok(Died::Killed)
            }
            (_, Some(0), _) => Ok(Died::Ended),
            _ => bail!("ended with {}: {}", ended.status, String::from_utf8_lossy(&ended.stderr).trim()),
        }
    }

    /// A run that stops itself at the n-th passing of a point, and has: the point is written down, and the kernel says so. Its words are kept
    /// beside its output.
    pub(super) fn stopped_at(&self, point: &str, nth: usize, more: &[(&str, &str)]) -> Result<Running> {
        let log = self.out.with_extension("log");
        let _ = std::fs::remove_file(&log);
        let mut command = self.loud();
        command.env("WINDROW_FAILPOINT", format!("{point}:{nth}:STOP")).env("WINDROW_FAILPOINT_LOG", &log);
        command.envs(more.iter().copied()).current_dir(self.said("worker")?);
        let mut worker = Running::start(command)?;
        let stopped = worker.stops(PATIENCE_S);
        stopped
            .and_then(|stopped| stopped.context("it does not stop"))
            .with_context(|| format!("{point}:{nth} was not met"))?;
        let written = std::fs::read_to_string(&log)?;
        ensure!(written.trim() == point, "stopped, but wrote `{}` instead of {point}", written.trim());
        Ok(worker)
    }

    /// A folder of its own for what a process says.
    pub(super) fn said(&self, who: &str) -> Result<PathBuf> {
        let folder = self.out.with_extension(who);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Whether that process has said this.
    pub(super) fn has_said(&self, who: &str, words: &str) -> bool {
        let said = std::fs::read_to_string(self.out.with_extension(who).join("said.log"));
        said.is_ok_and(|said| said.contains(words))
    }

    /// All that is committed is whole, by the checksums.
    pub(super) fn verify(&self) -> Result<()> {
        let mut command = Command::new(&self.windrow);
        stdout(command.args(["state", "verify", "--out"]).arg(&self.out)).map(drop)
    }

    /// What `status` has to tell.
    pub(super) fn status(&self) -> Result<Value> {
        let mut command = Command::new(&self.windrow);
        let told = stdout(command.args(["status", "-o", "json", "--out"]).arg(&self.out))?;
        serde_json::from_str(&told).context("status in JSON")
    }

    /// The audit's counts; it must be green.
    pub(super) fn audit(&self) -> Result<Value> {
        let mut command = Command::new(&self.windrow);
        command.arg("audit").arg("--input").args(&self.inputs).arg("--out").arg(&self.out).args(["-o", "json"]);
        let audit: Value = serde_json::from_str(&stdout(&mut command)?).context("audit's JSON")?;
        for name in ["lost", "duplicated", "disagreeing"] {
            ensure!(audit[name] == 0, "audit: {name} is {}", audit[name]);
        }
        let count = |name: &str| audit[name].as_u64().with_context(|| format!("audit says no {name}"));
        ensure!(count("input")? == count("pages")? + count("rejects")?, "rows are not pages + rejects: {audit}");
        ensure!(count("rejects")? > 0 && count("pages")? > 0, "the campaign has pages and rejects: {audit}");
        Ok(audit)
    }

    /// The id of a living cluster.
    fn some_cluster(&self) -> Result<Value> {
        let mut command = Command::new(&self.windrow);
        let listed = stdout(command.arg("clusters").arg("--out").arg(&self.out).args(["-o", "json"]))?;
        let first: Value = serde_json::from_str(listed.lines().next().context("no cluster")?)?;
        Ok(first["cluster"].clone())
    }

    /// Checksum of the committed model, with the counters and positions that stand beside it.
    pub(super) fn checksum(&self) -> Result<String> {
        let mut command = Command::new(&self.windrow);
        let state = stdout(command.args(["state", "inspect", "-o", "json", "--out"]).arg(&self.out))?;
        let state: Value = serde_json::from_str(&state)?;
        let snapshots = state["snapshots"].as_array().context("state inspect lists no snapshots")?;
        let newest = snapshots.iter().max_by_key(|snapshot| snapshot["commit"].as_u64()).context("no snapshot")?;
        ensure!(newest["hash"].is_string(), "state inspect names no hash of the model: {newest}");
        let read: Vec<&Value> = state["sources"].as_array().into_iter().flatten().map(|source| &source["offset"]).collect();
        Ok(format!("{} at {read:?}, counters {}", newest["hash"], state["counters"]))
    }

    /// Takes the folder away with all that was said: hundreds of them fill a disk.
    pub(super) fn remove(&self) -> Result<()> {
        for who in ["worker", "standby", "log"] {
            let said = self.out.with_extension(who);
            let _ = if said.is_dir() { std::fs::remove_dir_all(&said) } else { std::fs::remove_file(&said) };
        }
        remove(&self.out)
    }
}

fn remove(dir: &Path) -> Result<()> {
    std::fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))
}
