//! `cargo xtask bench …`: quality and speed against bars, in one run on one machine, with the yardsticks beside them.

mod drift;
mod embedded;
mod kafka;
mod long;
mod quality;
mod sample;
mod serve;
mod soak;
mod spark;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use kafka::smoke;

/// The middle one of some turns, by a figure of theirs.
fn median<T>(mut turns: Vec<T>, of: impl Fn(&T) -> f64) -> T {
    turns.sort_by(|a, b| of(a).total_cmp(&of(b)));
    turns.swap_remove(turns.len() / 2)
}

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Quality on all labelled sets, one default setting, beside scikit-learn and River
    Quality(quality::Args),
    /// What the watch over clusters finds in streams that change at known rows, and how often it cries wolf
    Drift(drift::Args),
    /// Rows a second from CSV to clusters to Parquet, beside DuckDB's plain conversion
    Embedded(embedded::Args),
    /// Rows a second and latency between topics, beside a bare copy and a Spark job
    Kafka(kafka::Args),
    /// Rows a second on Spark, beside the original's job and the engine; where the time goes
    Spark(spark::Args),
    /// What a run holds after minutes at full speed: memory, descriptors, threads and files must not grow
    Soak(soak::Args),
    /// The rate of a run that many clients follow, beside that of one that nobody looks at
    Serve(serve::Args),
    /// What learning from a sample costs in quality, and saves the learner
    Sample(sample::Args),
    /// The model `original` beside Spark: cost, seconds and rows a second
    Original,
}

/// Half a minute of it.
pub(crate) fn soak() -> Result<()> {
    soak::soak(&soak::Args::short())
}

/// Every model on the two small labelled sets.
pub(crate) fn models() -> Result<()> {
    quality::quality(&quality::Args::quick())
}

/// Drift on a hundred streams, within its bounds.
pub(crate) fn drifts() -> Result<()> {
    drift::drift(&drift::Args::whole())
}

/// Little of everything on Spark, as a suite.
pub(crate) fn on_spark() -> Result<()> {
    spark::spark(&spark::Args::quick())?;
    sample::sample(&sample::Args::quick())
}

pub(crate) fn bench(args: &Args) -> Result<()> {
    match &args.what {
        What::Quality(args) => quality::quality(args),
        What::Drift(args) => drift::drift(args),
        What::Embedded(args) => embedded::embedded(args),
        What::Kafka(args) => kafka::kafka(args),
        What::Spark(args) => spark::spark(args),
        What::Serve(args) => serve::serve(args),
        What::Soak(args) => soak::soak(args),
        What::Sample(args) => sample::sample(args),
        What::Original => crate::original::bench(),
    }
}
