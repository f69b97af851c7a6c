//! Where the ten steps are walked: a folder, the programs on PATH, and what goes on in it until it is ended.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::kafka::{Connector, spark_connector};
use crate::python::{NO_OLD_PYTHON, OLD_SPARK, for_old_spark, python_by};
use crate::shell::{fresh_dir, output, root, say, stdout, wait_for, windrow};
use crate::wheel;

/// The brokers of the scripts.
const SERVERS: &str = "localhost:9092";
/// What goes on is ended within so many seconds, or killed.
const ENDING_S: f64 = 60.0;
/// Lines that are shown of what a command says, at its beginning and at its end.
const SHOWN: usize = 4;
/// Two of them run on a small machine, and nobody but it shall reach them.
const SPARK_DEFAULTS: &str = "spark.master local[2]\nspark.driver.memory 1g\nspark.driver.bindAddress 127.0.0.1\nspark.driver.host 127.0.0.1\n\
                              spark.ui.enabled false\nspark.sql.shuffle.partitions 2\n";

pub(super) struct Field {
    pub(super) dir: PathBuf,
    pub(super) windrow: PathBuf,
    /// The broker's address, in place of the scripts'.
    pub(super) servers: String,
    python: PathBuf,
    jars: String,
}

impl Field {
    /// An empty folder with the sample in it, and all that is built or fetched.
    pub(super) fn prepare() -> Result<Self> {
        let python = python_by(&for_old_spark().context(NO_OLD_PYTHON)?, OLD_SPARK)?;
        let jars = spark_connector(Connector::V3_5)?;
        wheel::install(&python, &wheel::build()?)?;
        let (windrow, dir) = (windrow("fast", &[])?, fresh_dir("demo-original")?.canonicalize()?);
        std::os::unix::fs::symlink(root().join("examples"), dir.join("examples"))?;
        std::fs::create_dir(dir.join("conf"))?;
        std::fs::write(dir.join("conf/spark-defaults.conf"), SPARK_DEFAULTS)?;
        Ok(Self { dir, windrow, servers: SERVERS.to_owned(), python, jars })
    }

    /// A line of the docs, as this machine has to run it.
    fn command(&self, line: &str) -> Result<Command> {
        let asked = format!("--packages {}", Connector::V3_5.package());
        ensure!(
            line.starts_with("spark-submit") == line.contains(&asked),
            "Spark's connector for {OLD_SPARK} is {asked}: {line}"
        );
        let line = line.replace(&asked, &format!("--jars {}", self.jars)).replace(SERVERS, &self.servers);
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &line]).current_dir(&self.dir).stdin(Stdio::null());
        let ours = [&self.windrow, &self.python].into_iter().filter_map(|program| program.parent()).map(Path::to_path_buf);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", std::env::join_paths(ours.chain(std::env::split_paths(&path)))?);
        command.env("PYSPARK_PYTHON", &self.python).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("SPARK_CONF_DIR", self.dir.join("conf")).env("SPARK_LOCAL_IP", "127.0.0.1");
        Ok(command)
    }

    fn ended(&self, line: &str) -> Result<Output> {
        let done = output(&mut self.command(line)?)?;
        ensure!(done.status.success(), "{line}\nended with {}\n{}", done.status, String::from_utf8_lossy(&done.stderr).trim());
        Ok(done)
    }

    /// Runs a line to its end, and shows it and what it says.
    pub(super) fn run(&self, line: &str) -> Result<()> {
        say(format_args!("    $ {line}"));
        let done = self.ended(line)?;
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        let lines: Vec<&str> = said.lines().collect();
        let (first, rest) = lines.split_at(lines.len().min(SHOWN));
        let (between, last) = rest.split_at(rest.len().saturating_sub(SHOWN));
        first.iter().for_each(|line| say(format_args!("    {line}")));
        if !between.is_empty() {
            say(format_args!("    … {} lines like these", between.len()));
        }
        last.iter().for_each(|line| say(format_args!("    {line}")));
        Ok(())
    }

    /// Runs a line that prints one JSON object.
    pub(super) fn json(&self, line: &str) -> Result<Value> {
        let done = self.ended(line)?;
        serde_json::from_slice(&done.stdout).with_context(|| format!("{line}: no JSON"))
    }

    /// Starts a line that goes on.
    pub(super) fn start(&self, name: &'static str, line: &str) -> Result<Going> {
        say(format_args!("    $ {line}"));
        let log = self.log(name);
        let said = File::create(&log)?;
        let talked = said.try_clone()?;
        // A group of its own: with Spark's launcher go its Python and its Java.
        let child = self.command(line)?.stdout(said).stderr(talked).process_group(0).spawn().context("bash does not start")?;
        say(format_args!("    goes on, and writes to {name}.log"));
        let by = if line.starts_with("spark-submit") { Signal::TERM } else { Signal::INT };
        Ok(Going { name, log, child, by })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    /// Pages of each topic, as the counters keep them.
    pub(super) fn counted(&self) -> Result<Vec<u64>> {
        let Ok(text) = std::fs::read_to_string(self.dir.join("message_counts.json")) else { return Ok(Vec::new()) };
        let kept: Value = serde_json::from_str(&text)?;
        Ok(serde_json::from_value(kept["counts"].clone())?)
    }

    /// Rows of an output of ours, by its last commit.
    pub(super) fn committed(&self, out: &str) -> Result<u64> {
        let Ok(text) = std::fs::read_to_string(self.dir.join(out).join(".windrow/files.json")) else { return Ok(0) };
        Ok(serde_json::from_str::<Value>(&text)?["body"]["counters"]["rows"].as_u64().unwrap_or(0))
    }

    /// Pages that the scripts' job says to have written.
    pub(super) fn told(&self, name: &str) -> Result<u64> {
        let text = std::fs::read_to_string(self.log(name))?;
        Ok(text.lines().filter_map(|line| line.strip_suffix(" pages")?.parse::<u64>().ok()).sum())
    }

    /// What lies in the Parquet of all three.
    pub(super) fn files(&self) -> Result<Value> {
        let mut script = Command::new(&self.python);
        script.arg(root().join("e2e/original_steps.py")).arg(&self.dir).env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(serde_json::from_str(&stdout(&mut script)?)?)
    }
}

/// Something that goes on until it is ended; dropped, it is killed.
pub(super) struct Going {
    name: &'static str,
    log: PathBuf,
    child: Child,
    by: Signal,
}

impl Going {
    /// The first line that it says.
    pub(super) fn first_line(&self) -> Result<String> {
        let first = wait_for(ENDING_S, || {
            let text = std::fs::read_to_string(&self.log)?;
            Ok(text.split_once('\n').map(|(line, _)| line.to_owned()))
        })?;
        first.with_context(|| format!("{} says nothing", self.name))
    }

    /// Fails with the end of its log when it has ended by itself.
    pub(super) fn still_runs(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let text = std::fs::read_to_string(&self.log)?;
        let lines: Vec<&str> = text.lines().collect();
        bail!("{} ended with {status}:\n{}", self.name, lines[lines.len().saturating_sub(25)..].join("\n"));
    }

    /// Ends it as a user would, and waits.
    pub(super) fn end(mut self) -> Result<()> {
        self.still_runs()?;
        kill_process_group(Pid::from_child(&self.child), self.by)?;
        let status = wait_for(ENDING_S, || Ok(self.child.try_wait()?))?;
        let status = status.with_context(|| format!("{} does not end", self.name))?;
        // What Spark's launcher ends with depends on who was first, its Python or its Java.
        ensure!(self.by == Signal::TERM || matches!(status.code(), Some(0 | 130)), "{} ended with {status}", self.name);
        Ok(())
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        // It has ended already, but for an error; and then nobody is left to tell.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
