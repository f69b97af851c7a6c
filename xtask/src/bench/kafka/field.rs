//! What all parts measure on: a broker, the programs, the rows, and pipelines with settings of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::bench::embedded::repeated;
use crate::kafka::{Rig, Version};
use crate::python::{READERS, script};
use crate::shell::{cargo, fresh_dir, output, processor_s, run, say, shared_data, stdout, target, windrow};

/// Rows of links_stream.
const LINKS: usize = 122_464;

/// A broker, the programs, and the rows.
pub(super) struct Field {
    pub(super) rig: Rig,
    pub(super) dir: PathBuf,
    pub(super) windrow: PathBuf,
    examples: PathBuf,
    /// The rows as CSV.
    input: PathBuf,
}

/// What one process took.
#[derive(Deserialize)]
pub(super) struct Measured {
    pub(super) seconds: f64,
    cpu_s: f64,
    peak_rss_bytes: f64,
    /// Processor seconds by thread name.
    threads: BTreeMap<String, f64>,
    stdout: String,
    #[serde(default)]
    pub(super) rows: usize,
    /// Processor seconds of the broker meanwhile.
    #[serde(default)]
    broker_s: f64,
}

impl Measured {
    pub(super) fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds
    }

    /// Where the time goes: each stage has its threads, and the threads have names.
    pub(super) fn breakdown(&self) {
        say(format_args!("  peak memory of the run:                 {:>9.0} MiB", self.peak_rss_bytes / f64::from(1 << 20)));
        say("  processor seconds of the run's threads (rdk: the Kafka client's own):");
        for (thread, seconds) in self.threads.iter().filter(|(_, seconds)| **seconds >= 0.01) {
            let share = 100.0 * seconds / self.seconds;
            say(format_args!("    {thread:<37} {seconds:>9.2} s, {share:>3.0} % of the wall time"));
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, seconds, own, broker) = (self.rate(), self.seconds, self.cpu_s, self.broker_s);
        write!(f, "{rate:>9.0} rows/s ({seconds:.2} s; processor: {own:.2} s, broker {broker:.2} s)")
    }
}

impl Field {
    pub(super) fn open(profile: &str, rows: usize) -> Result<Self> {
        let Some(links) = shared_data("links_stream_2012_2023.csv.gz") else {
            bail!("links_stream lies in ../shared/data, and that is not there");
        };
        let windrow = windrow(profile, &[])?;
        run(cargo().args(["build", "--quiet", "--package", "windrow-engine", "--examples", "--profile", profile]))?;
        let examples = target().join(if profile == "dev" { "debug" } else { profile }).join("examples");
        let input = repeated(&links, u32::try_from(rows.div_ceil(LINKS))?)?;
        let dir = fresh_dir("bench-kafka")?.canonicalize()?;
        Ok(Self { rig: Rig::start(Version::NEWEST)?, dir, windrow, examples, input })
    }

    /// A call of one of our measuring programs.
    pub(super) fn example(&self, name: &str) -> Command {
        Command::new(self.examples.join(name))
    }

    /// Runs a command to its end with a look at what it costs, the broker's share included.
    pub(super) fn measured(&self, command: &Command) -> Result<Measured> {
        let mut watched = script(READERS, "measure.py")?;
        watched.current_dir(&self.dir).arg(command.get_program()).args(command.get_args());
        let before = self.broker_seconds()?;
        let mut measured: Measured = serde_json::from_str(&stdout(&mut watched)?)?;
        measured.broker_s = self.broker_seconds()? - before;
        let said: Value = serde_json::from_str(&measured.stdout).with_context(|| measured.stdout.clone())?;
        measured.rows = usize::try_from(said["rows"].as_u64().context("it does not say how many rows")?)?;
        Ok(measured)
    }

    fn broker_seconds(&self) -> Result<f64> {
        processor_s(self.rig.broker_pid()?)
    }

    /// Fills a pipeline's input topic.
    pub(super) fn produce(&self, pipeline: &Pipeline<'_>, rows: usize) -> Result<Measured> {
        let mut command = pipeline.call(&["produce", "--anew", "-o", "json", "--limit", &rows.to_string(), "--input"]);
        let produced = self.measured(command.arg(&self.input))?;
        ensure!(produced.rows == rows, "{} rows were sent, not {rows}", produced.rows);
        Ok(produced)
    }

    /// Makes the topics that a bare copy writes to.
    pub(super) fn make_copies(&self, pipeline: &Pipeline<'_>, topics: u32) -> Result<()> {
        Pipeline::new(self, "copy", &pipeline.topic, topics, 500, "")?.make_topics()
    }

    /// A bare copy of a pipeline's input; `keys` of the client replace what it is tuned to.
    pub(super) fn copy(&self, pipeline: &Pipeline<'_>, topics: u32, mode: &str, keys: &[&str]) -> Result<Measured> {
        let (epoch_ms, mut command) = (super::EPOCH_MS, self.example("kafka_copy"));
        command.args([&self.rig.bootstrap(), &pipeline.topic, "copy_", &topics.to_string(), mode, &epoch_ms.to_string()]);
        command.args(keys);
        self.measured(&command)
    }

    /// Deletes all topics but the brokers' own.
    pub(super) fn clear(&self) -> Result<()> {
        self.rig.topics(&["--delete", "--topic", "(?!__).*"]).map(drop)
    }
}

/// A pipeline from a topic, with settings and output of its own.
pub(super) struct Pipeline<'a> {
    field: &'a Field,
    name: &'static str,
    pub(super) topic: String,
}

impl<'a> Pipeline<'a> {
    /// Writes its settings; `more` are further lines of `[output]`.
    pub(super) fn new(
        field: &'a Field,
        name: &'static str,
        topic: &str,
        topics: u32,
        epoch_ms: u32,
        more: &str,
    ) -> Result<Self> {
        let servers = field.rig.bootstrap();
        let settings = format!(
            "[kafka]\n\"bootstrap.servers\" = \"{servers}\"\n[source]\ntopic = \"{topic}\"\nfrom = \"earliest\"\n[model]\nclusters = {topics}\n\
             [output]\nout = \"{name}\"\ntopic_prefix = \"{name}_\"\nepoch_ms = {epoch_ms}\n{more}\n"
        );
        std::fs::write(field.dir.join(format!("{name}.toml")), settings)?;
        Ok(Self { field, name, topic: topic.to_owned() })
    }

    pub(super) fn call(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.field.windrow);
        command.current_dir(&self.field.dir).args(["--quiet", "--no-input", "--config", &format!("{}.toml", self.name)]);
        command.args(args).stdin(Stdio::null());
        command
    }

    pub(super) fn make_topics(&self) -> Result<()> {
        stdout(&mut self.call(&["topics", "create"])).map(drop)
    }

    pub(super) fn out(&self) -> PathBuf {
        self.field.dir.join(self.name)
    }

    /// Runs to the end of the topic, from nothing.
    pub(super) fn run(&self, more: &[&str]) -> Result<Measured> {
        if self.out().exists() {
            std::fs::remove_dir_all(self.out())?;
        }
        self.field.measured(&self.call(&[&["run", "--until-end", "-o", "json"], more].concat()))
    }

    /// Nothing may be lost, doubled or in disagreement.
    pub(super) fn audit(&self) -> Result<()> {
        let done = output(&mut self.call(&["audit", "-o", "json"]))?;
        let audit: Value =
            serde_json::from_slice(&done.stdout).with_context(|| String::from_utf8_lossy(&done.stderr).into_owned())?;
        ensure!(done.status.success(), "{audit}");
        say(format_args!(
            "audit: {} pages in the topics and in the Parquet: lost {}, duplicated {}, disagreeing {}",
            audit["pages"], audit["lost"], audit["duplicated"], audit["disagreeing"]
        ));
        Ok(())
    }

    /// Files of pages in view.
    pub(super) fn n_files(&self) -> Result<usize> {
        Ok(parquet_files(&self.out().join("pages"))?.count())
    }
}

fn parquet_files(dir: &Path) -> Result<impl Iterator<Item = PathBuf>> {
    let files = std::fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(files.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")))
}
