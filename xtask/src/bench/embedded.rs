//! `cargo xtask bench embedded`: rows a second from CSV to clusters to Parquet, against DuckDB's conversion of the same file
//! without clustering, in the same run.
//!
//! The input is links_stream ten times over with other ids, times and one word a row. Both get two threads and write zstd; they take
//! turns, and the median of each counts. Our time is the whole process, start to exit, with all its commits; DuckDB's is the
//! conversion alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::python::{READERS, script};
use crate::shell::{fresh_dir, say, shared_data, stdout, windrow, work_dir};

const BAR: f64 = 0.2;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often links_stream is repeated
    #[arg(long, default_value_t = 10)]
    times: u32,
    /// Turns of each side; the median counts
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Build profile
    #[arg(long, default_value = "release")]
    profile: String,
}

#[derive(Deserialize)]
struct Measured {
    seconds: f64,
    cpu_s: f64,
    peak_rss_bytes: f64,
    /// Processor seconds by thread name.
    threads: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Converted {
    seconds: f64,
    rows: f64,
}

pub(crate) fn embedded(args: &Args) -> Result<()> {
    let Some(links) = shared_data("links_stream_2012_2023.csv.gz") else {
        bail!("links_stream lies in ../shared/data, and that is not there");
    };
    let windrow = windrow(&args.profile, &[])?;
    let input = repeated(&links, args.times)?;
    let mut ours: Vec<Measured> = Vec::new();
    let mut theirs: Vec<Converted> = Vec::new();
    for turn in 1..=args.turns {
        theirs.push(convert(&input)?);
        ours.push(cluster(&windrow, &input)?);
        let (our_s, their_s) = (ours[turn - 1].seconds, theirs[turn - 1].seconds);
        say(format_args!("turn {turn}: windrow {our_s:.2} s, duckdb {their_s:.2} s"));
    }
    ours.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    theirs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let (our, their) = (&ours[args.turns / 2], &theirs[args.turns / 2]);
    let rate = their.rows / our.seconds;
    let their_rate = their.rows / their.seconds;
    let ratio = rate / their_rate;
    say(format_args!("{} rows, links_stream x {}", their.rows, args.times));
    say(format_args!("windrow run, CSV -> clusters -> Parquet:  {rate:>9.0} rows/s, median of {}", args.turns));
    say(format_args!("duckdb, CSV -> Parquet:                   {their_rate:>9.0} rows/s, median of {}", args.turns));
    say(format_args!("ratio:                                    {ratio:>9.3} (bar {BAR})"));
    let peak = ours.iter().map(|run| run.peak_rss_bytes).fold(0.0, f64::max) / f64::from(1 << 20);
    say(format_args!("peak memory:                              {peak:>9.0} MiB"));
    say(format_args!("processor time:                           {:>9.2} s of {:.2} s x 2 cores", our.cpu_s, our.seconds));
    breakdown(our);
    if let Some(seconds) = our.threads.get("windrow").filter(|seconds| **seconds > 0.0) {
        let (name, rate) = ("the loop's own thread, which learns:", their.rows / seconds);
        say(format_args!("{name:<41} {rate:>9.0} rows per processor second"));
    }
    learner(&windrow, &links)?;
    ensure!(ratio >= BAR, "the ratio misses its bar");
    Ok(())
}

/// Where the time goes: each stage has its threads, and the threads have names.
fn breakdown(run: &Measured) {
    say("where the time goes (processor seconds of each stage's threads; the busiest one is the limit):");
    for (thread, seconds) in &run.threads {
        let share = 100.0 * seconds / run.seconds;
        say(format_args!("  {thread:<39} {seconds:>9.2} s, {share:>3.0} % of the wall time"));
    }
}

/// The learner without writing and commits: `eval`, reading included.
fn learner(windrow: &Path, links: &Path) -> Result<()> {
    let labels = shared_data("links_stream_2012_2023.labels.csv.gz").context("no labels")?;
    let mut eval = std::process::Command::new(windrow);
    let eval = eval.arg("eval").arg("--input").arg(links).arg("--labels").arg(labels).args(["-o", "json"]);
    let eval: Value = serde_json::from_str(&stdout(eval)?)?;
    let of = |name: &str| eval[name].as_f64().unwrap_or_default();
    say(format_args!("without writing (eval on links_stream):   {:>9.0} rows/s", of("rows_per_s")));
    Ok(())
}

/// links_stream so many times over, as CSV.
pub(super) fn repeated(links: &Path, times: u32) -> Result<PathBuf> {
    let path = work_dir("bench")?.join(format!("links_x{times}.csv"));
    if !path.exists() {
        say(format_args!("making {}", path.display()));
        stdout(script(READERS, "repeat_links.py")?.arg(links).arg(&path).arg(times.to_string()))?;
    }
    Ok(path)
}

fn convert(input: &Path) -> Result<Converted> {
    let target = fresh_dir("bench-duckdb")?.join("links.parquet");
    Ok(serde_json::from_str(&stdout(script(READERS, "duckdb_convert.py")?.arg(input).arg(target))?)?)
}

fn cluster(windrow: &Path, input: &Path) -> Result<Measured> {
    let out = fresh_dir("bench-out")?;
    let mut command = script(READERS, "measure.py")?;
    command.arg(windrow).args(["run", "--quiet", "-o", "json", "--threads", "2", "--input"]).arg(input).arg("--out").arg(out);
    Ok(serde_json::from_str(&stdout(&mut command)?)?)
}
