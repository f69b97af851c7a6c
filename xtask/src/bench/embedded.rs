//! `cargo xtask bench embedded`: rows a second from CSV to clusters to Parquet, against DuckDB's conversion of the same file
//! without clustering, in the same run.
//!
//! The input is links_stream ten times over with other ids, times and one word a row. Both get two threads and write zstd; they take
//! turns, and the median of each counts. Our time is the whole process, start to exit, with all its commits; DuckDB's is the
//! conversion alone. After it the learner alone, and beside it what scikit-learn and River make of the same rows.
//!
//! The learner is judged by a ratio as well, for one machine is twice as fast as another: in turns with it a naive index
//! (`crates/windrow-core/examples/quality/naive.rs`) learns the same pages. The plan asks for 250,000 rows/s on links and for
//! 120,000 with 5,000 micro-clusters alive; on its machine a naive index made 110,000 and 82,000: the bars are 2.27 and 1.46.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::long::long;
use super::median;
use crate::python::{READERS, YARDSTICKS, script};
use crate::shell::{cargo, fresh_dir, run, say, shared_data, stdout, target, windrow, work_dir};

const BAR: f64 = 0.35;
/// The learner alone against the naive index: on links, and with thousands of micro-clusters alive.
const LEARNER_BARS: [f64; 2] = [2.27, 1.46];
const PAUSE_BAR_MS: f64 = 50.0;
/// River learns some hundred rows a second.
const RIVER_ROWS: &str = "2000";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often links_stream is repeated
    #[arg(long, default_value_t = 10)]
    times: u32,
    /// Turns of each side, also of the learner alone; the median counts
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Build profile
    #[arg(long, default_value = "release")]
    profile: String,
    /// Also 33 million rows through files and a pipe: memory, and time a row to the last. Takes 15 GB of disk
    #[arg(long)]
    full: bool,
    /// How often links_stream is repeated for that
    #[arg(long, default_value_t = 270)]
    full_times: u32,
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
    let mut met = ratio >= BAR;
    met &= learner(args, &links)?;
    yardsticks(&links)?;
    if args.full {
        let input = repeated(&links, args.full_times)?;
        long(&windrow, &input, their.rows * f64::from(args.full_times) / f64::from(args.times))?;
        std::fs::remove_file(input)?;
    }
    ensure!(met, "a bar is missed");
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

/// What the learner alone, or the naive index, made of a set.
struct Learnt {
    rate: f64,
    pause_ms: f64,
    alive: f64,
}

/// The learner alone, upkeep included, against the naive index. Its longest pause is taken in a run of its own.
fn learner(args: &Args, links: &Path) -> Result<bool> {
    run(cargo().args(["build", "--quiet", "--workspace", "--example", "quality", "--profile", &args.profile]))?;
    let folder = if args.profile == "dev" { "debug" } else { &args.profile };
    let program = target().join(folder).join("examples/quality");
    let data = links.parent().context("links_stream lies in a folder")?;
    let mut met = true;
    let sets = [["--set", "links_stream_2012_2023", "--repeat", "10"], ["--set", "themes:6000", "--rows", "600000"]];
    for (set, bar) in sets.into_iter().zip(LEARNER_BARS) {
        let learn = |more: &[&str]| learnt(Command::new(&program).arg("--data").arg(data).args(set).args(more));
        let (mut ours, mut naive) = (Vec::new(), Vec::new());
        for _ in 0..args.turns {
            naive.push(learn(&["--naive"])?);
            ours.push(learn(&[])?);
        }
        let (our, naive) = (median(ours, |turn| turn.rate), median(naive, |turn| turn.rate));
        let (ratio, pause) = (our.rate / naive.rate, learn(&["--pauses"])?.pause_ms);
        met &= ratio >= bar && pause <= PAUSE_BAR_MS;
        say(format_args!(
            "the learner alone, {:.0} micro-clusters alive: {:.0} rows/s, longest pause {pause:.0} ms (bar {PAUSE_BAR_MS})",
            our.alive, our.rate
        ));
        say(format_args!(
            "a naive index, {:.0} alive: {:.0} rows/s; ratio: {ratio:.2} (bar {bar}), medians of {}",
            naive.alive, naive.rate, args.turns
        ));
    }
    Ok(met)
}

/// Runs the workbench, and reads its line of the fine level. The clock there starts when the pages are prepared.
fn learnt(command: &mut Command) -> Result<Learnt> {
    let text = stdout(command)?;
    let figures = text.lines().find(|line| line.contains(" micro ")).and_then(|line| line.split_once('|'));
    let figures = figures.with_context(|| format!("no figures in {text}"))?.1.split_whitespace();
    let figures: Vec<f64> = figures.map(str::parse).collect::<Result<_, _>>()?;
    Ok(Learnt { rate: figures[0], pause_ms: figures[1], alive: figures[2] })
}

/// What others make of links_stream, learning and deciding row by row or batch by batch.
fn yardsticks(links: &Path) -> Result<()> {
    let labels = shared_data("links_stream_2012_2023.labels.csv.gz").context("no labels")?;
    let sides = [
        ("minibatch", "scikit-learn, hashing + MiniBatchKMeans(50)", &["--batch", "1000"]),
        ("textclust", "River, TextClust", &["--limit", RIVER_ROWS]),
    ];
    for (method, name, more) in sides {
        let mut command = script(YARDSTICKS, "yardstick.py")?;
        command.arg(method).arg("--input").arg(links).arg("--labels").arg(&labels).args(["--clusters", "50"]).args(more);
        let took: Converted = serde_json::from_str(&stdout(&mut command)?)?;
        say(format_args!("{name}: {:.0} rows/s over {:.0} rows", took.rows / took.seconds, took.rows));
    }
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
