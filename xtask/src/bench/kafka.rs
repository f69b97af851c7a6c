//! `cargo xtask bench kafka`: rows a second from a topic through clusters to topics and Parquet, exactly once, with the broker on the
//! same machine; beside it, in the same run, a bare copy and a well-written Spark job.
//!
//! ```text
//! throughput  produce, copy and run take turns; the median of each counts
//! spark       the original's job, written well, at 10,000 rows a batch
//! latency     5,000 rows a second: from sending to readable on the cluster's topic
//! price       of exactly once against at least once, and of 1, 50 and 200 topics
//! ```
//!
//! Every time is that of a whole process, start to exit, ours and the copy's alike; Spark's start-up alone is left out. The copy is the
//! best that the same client makes of it (crates/windrow-engine/examples/kafka_copy.rs): a yardstick that is slow measures nothing.

mod field;
mod latency;
mod price;
mod spark;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::shell::{check_machine, say};
use field::{Field, Measured, Pipeline};

/// Least share of the bare copy's rate.
const COPY_BAR: f64 = 0.5;
/// What a copy reads with that nobody has tuned: a reader whose queue is full rests for a second.
const UNTUNED: [&str; 2] = ["consumer.fetch.queue.backoff.ms=1000", "consumer.fetch.message.max.bytes=1048576"];
/// Least multiple of Spark's rate.
const SPARK_BAR: f64 = 30.0;
/// Rows before anything counts.
const WARM_ROWS: usize = 100_000;
/// Topics of clusters.
const TOPICS: u32 = 50;
/// Length of epochs, ours and the copy's.
const EPOCH_MS: u32 = 500;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rows of each run
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Turns of each side; the median counts
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Seconds of each measurement of latency
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Batches of the Spark job
    #[arg(long, default_value_t = 24)]
    batches: usize,
    /// Only these parts; spark brings throughput along, as it is measured against it
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Little of everything, and no verdict: to see that it runs
    #[arg(long)]
    quick: bool,
    /// Build profile
    #[arg(long, default_value = "release")]
    profile: String,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Throughput,
    Spark,
    Latency,
    Price,
}

/// How much is measured.
struct Extent {
    rows: usize,
    turns: usize,
    seconds: u32,
    batches: usize,
}

impl Extent {
    const QUICK: Self = Self { rows: 150_000, turns: 1, seconds: 10, batches: 8 };
}

pub(crate) fn kafka(args: &Args) -> Result<()> {
    let &Args { rows, turns, seconds, batches, .. } = args;
    let extent = if args.quick { Extent::QUICK } else { Extent { rows, turns, seconds, batches } };
    measure(&extent, &args.only, &args.profile, !args.quick)
}

/// The quick form, as a suite.
pub(crate) fn smoke() -> Result<()> {
    measure(&Extent::QUICK, &[], "fast", false)
}

fn measure(extent: &Extent, only: &[Part], profile: &str, judged: bool) -> Result<()> {
    check_machine(&crate::kafka::NEEDS)?;
    let wanted = |part| only.is_empty() || only.contains(&part);
    let field = Field::open(profile, extent.rows)?;
    warm_up(&field)?;
    let mut missed = Vec::new();
    if wanted(Part::Throughput) || wanted(Part::Spark) {
        let rate = throughput(&field, extent, &mut missed)?;
        if wanted(Part::Spark) {
            spark::beside(&field, extent, rate, &mut missed)?;
        }
    }
    if wanted(Part::Latency) {
        latency::latency(&field, extent, &mut missed)?;
    }
    if wanted(Part::Price) {
        price::price(&field, extent)?;
    }
    missed.iter().for_each(|line| say(format_args!("missed: {line}")));
    ensure!(!judged || missed.is_empty(), "{} bars are missed", missed.len());
    Ok(())
}

/// A fresh broker compiles itself for its first minute: whoever came first would pay for it.
fn warm_up(field: &Field) -> Result<()> {
    let pipeline = Pipeline::new(field, "warm", "pages", TOPICS, EPOCH_MS, "")?;
    pipeline.make_topics()?;
    field.produce(&pipeline, WARM_ROWS)?;
    field.make_copies(&pipeline, TOPICS)?;
    for _ in 0..3 {
        field.copy(&pipeline, TOPICS, "transactional", &[])?;
        pipeline.run(&[])?;
    }
    field.clear()
}

/// Our rows a second, and everybody's in the table.
fn throughput(field: &Field, extent: &Extent, missed: &mut Vec<String>) -> Result<f64> {
    let [mut produced, mut copied, mut untuned, mut ours]: [Vec<Measured>; 4] = Default::default();
    for turn in 1..=extent.turns {
        let pipeline = Pipeline::new(field, "turn", "pages", TOPICS, EPOCH_MS, "")?;
        pipeline.make_topics()?;
        produced.push(field.produce(&pipeline, extent.rows)?);
        field.make_copies(&pipeline, TOPICS)?;
        copied.push(field.copy(&pipeline, TOPICS, "transactional", &[])?);
        untuned.push(field.copy(&pipeline, TOPICS, "transactional", &UNTUNED)?);
        ours.push(pipeline.run(&[])?);
        if turn == 1 {
            pipeline.audit()?;
        }
        let last = |all: &[Measured]| all[turn - 1].rate();
        say(format_args!(
            "turn {turn}: produce {:.0} rows/s, copy {:.0}, run {:.0}",
            last(&produced),
            last(&copied),
            last(&ours)
        ));
        field.clear()?;
    }
    let (produced, copied, untuned, ours) = (median(produced), median(copied), median(untuned), median(ours));
    let ratio = ours.rate() / copied.rate();
    let turns = extent.turns;
    say(format_args!("{} rows of links_stream, {TOPICS} topics, commits of {EPOCH_MS} ms, median of {turns}:", ours.rows));
    say(format_args!("  windrow produce, CSV -> topic:          {produced}"));
    say(format_args!("  bare copy, topic -> topics:             {copied}"));
    say(format_args!("  the same, reading by client's defaults: {untuned}"));
    say(format_args!("  windrow run, topic -> topics + Parquet: {ours}"));
    say(format_args!(
        "  ratio to the copy:                      {ratio:>9.3} (bar {COPY_BAR}); to the other one {:.3}",
        ours.rate() / untuned.rate()
    ));
    ours.breakdown();
    if ratio < COPY_BAR {
        missed.push(format!("{ratio:.3} of the bare copy's rate, not {COPY_BAR}"));
    }
    Ok(ours.rate())
}

fn median(runs: Vec<Measured>) -> Measured {
    super::median(runs, |run| run.seconds)
}
