//! `cargo xtask bench sample`: what learning from a sample costs in quality, and what it saves the learner (docs/scaling.md).
//!
//! The package's kernels are called batch by batch as the Spark job calls them, without Spark: the same decisions, and processor time of the
//! learner's thread alone. `e2e/spark_sample.py` does it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::python::{NEW_SPARK, python};
use crate::shell::{program, root, say, shared_data, stdout};
use crate::wheel;

/// Sets, with the rows of a batch.
const SETS: [&str; 4] =
    ["links_stream_2012_2023:2000", "links_stream_2012_2023:20000", "google_news_2013:1000", "google_news_2013:2000"];
const QUICK: [&str; 1] = ["google_news_2013:500:2000"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// One small set: to see that it runs
    #[arg(long)]
    quick: bool,
}

impl Args {
    /// One small set.
    pub(super) fn quick() -> Self {
        Self { quick: true }
    }
}

/// What came of one set at one rate: over the seeds the mean, the least and the most.
#[derive(Deserialize)]
struct Line {
    set: String,
    batch_rows: u64,
    rows: u64,
    rate: Option<f64>,
    #[serde(flatten)]
    found: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Spread {
    mean: f64,
    least: f64,
    most: f64,
}

impl Line {
    fn spread(&self, key: &str) -> Result<Spread> {
        let found = self.found.get(key).with_context(|| format!("e2e/spark_sample.py tells no {key}"))?;
        Ok(serde_json::from_value(found.clone())?)
    }

    /// The mean, with least and most where they differ.
    fn quality(&self, key: &str) -> Result<String> {
        let Spread { mean, least, most } = self.spread(key)?;
        let range = if most - least < 0.0005 { String::new() } else { format!(" ({least:.3}-{most:.3})") };
        Ok(format!("{mean:.3}{range}"))
    }

    fn told(&self) -> Result<String> {
        let learnt = match self.rate {
            None => "all".to_owned(),
            Some(rate) => format!("sample {rate}"),
        };
        let scores = ["micro_cluster_nmi", "micro_cluster_ari", "cluster_nmi", "cluster_ari"].map(|key| self.quality(key));
        let scores = scores.into_iter().collect::<Result<Vec<_>>>()?.join(" | ");
        let (driver, executor) = (self.spread("driver_us")?.mean, self.spread("executor_us")?.mean);
        let reached = self.spread("reached")?.mean * 100.0;
        let alive = self.spread("micro_clusters")?.mean;
        Ok(format!("| {learnt} | {reached:.1} % | {scores} | {alive:.0} | {driver:.2} | {executor:.2} |"))
    }
}

pub(crate) fn sample(args: &Args) -> Result<()> {
    let readme = shared_data("README.md").context("the labelled sets lie in ../shared/data, and that is not there")?;
    let (python, wheel) = (python(NEW_SPARK)?, wheel::build()?);
    wheel::install(&python, &wheel)?;
    let sets: &[&str] = if args.quick { &QUICK } else { &SETS };
    let mut script = program(python);
    script.arg(root().join("e2e/spark_sample.py")).arg(readme.parent().context("a folder")?).args(sets);
    let mut last = None;
    for line in stdout(&mut script)?.lines() {
        let line: Line = serde_json::from_str(line)?;
        let of = (line.set.clone(), line.batch_rows);
        if last.as_ref() != Some(&of) {
            say(format_args!("\n{}, {} rows, batches of {}\n", line.set, line.rows, line.batch_rows));
            say(
                "| learnt | reached the driver | micro-clusters NMI | ARI | clusters NMI | ARI | alive | driver us/row | executor us/row |",
            );
            say("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
            last = Some(of);
        }
        say(line.told()?);
    }
    Ok(())
}
