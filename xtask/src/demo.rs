//! `cargo xtask demo`: builds the program and runs its demonstration, with the output in the target folder; with `--original`, the ten steps of
//! the scripts that Windrow replaces.

mod field;
mod steps;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

pub(crate) use steps::original;

use crate::python::{NO_OLD_PYTHON, for_old_spark};
use crate::shell::{Watch, check_machine, fresh_dir, run, say, windrow};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Walk the ten steps of the scripts that Windrow replaces, by the commands of README's table, on a real Kafka 2.8.0 and Spark 3.5.0
    #[arg(long, conflicts_with = "more")]
    original: bool,
    /// Handed on to `windrow demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

pub(crate) fn demo(args: &Args) -> Result<()> {
    if args.original {
        return original();
    }
    check_machine(&[])?;
    let watch = Watch::start();
    say("building (some minutes the first time)");
    let windrow = windrow("fast", &[])?;
    say(format_args!("built in {:.0} s", watch.seconds()));
    let out = fresh_dir("demo")?;
    run(Command::new(windrow).arg("demo").arg("--out").arg(out).args(&args.more))
}

/// The ten steps, as a check; passed over where nothing runs the Spark that the scripts had.
pub(crate) fn check_original() -> Result<()> {
    if for_old_spark().is_none() {
        say(format_args!("passed over: {NO_OLD_PYTHON}"));
        return Ok(());
    }
    original()
}

/// The demonstration without a terminal, as a check: it prints clusters, says where the Parquet lies, and how soon is told.
pub(crate) fn check() -> Result<()> {
    let windrow = windrow("fast", &[])?;
    let out = fresh_dir("demo-check")?;
    let watch = Watch::start();
    let mut command = Command::new(windrow);
    command.args(["demo", "--once", "--rows", "50000", "--out"]).arg(&out);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
    let url = lines.next().context("the demo printed nothing")??;
    ensure!(url.starts_with("http://127.0.0.1:") && url.contains("/?token="), "the first line is no URL: {url}");
    let first = lines.next().context("the demo printed no clusters")??;
    let seconds = watch.seconds();
    let clusters = lines.count();
    let ended = child.wait_with_output()?;
    let talk = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "the demo ended with {}: {talk}", ended.status);
    ensure!(
        clusters > 5 && talk.contains("/pages/*.parquet"),
        "no clusters, or no query: {first} ({clusters} lines more)\n{talk}"
    );
    say(format_args!("demo: first table {seconds:.1} s after the program's start: {first}"));
    Ok(())
}
