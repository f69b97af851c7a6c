//! What plain cargo cannot do: `cargo xtask demo | test | bench | page | faults | poison | fuzz | wheel | kafka | tidy | docs | deny`.
//!
//! One file per task. Tasks build what they run, keep all they make in the target folder, and end with a line that says whether
//! the task did what it should.

mod bench;
mod campaign;
mod clean;
mod demo;
mod deny;
mod docs;
mod faults;
mod fuzz;
mod kafka;
mod measure;
mod original;
mod page;
mod plots;
mod poison;
mod python;
mod readers;
mod serve;
mod served;
mod shell;
mod spark;
mod suites;
mod tidy;
mod watched;
mod wheel;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What plain cargo cannot do")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the program and show what it does
    Demo(demo::Args),
    /// Run all checks
    Test(suites::Args),
    /// Check the house rules: edges, sizes, map, words, links
    Tidy,
    /// Print the shape of the code in numbers
    Measure,
    /// Check licences, bans and sources of all dependencies
    Deny,
    /// Run every snippet of README and docs
    Docs,
    /// Run every set and read the Parquet with DuckDB, Polars and pandas
    Readers,
    /// Check what the 100-row sample must show
    Sample,
    /// Look at the page of the server with a real browser
    Page(page::Args),
    /// Kill the program wherever it can hurt
    Faults(faults::Args),
    /// Mix every kind of bad input with good rows, and look what comes of both
    Poison(poison::Args),
    /// Throw bytes at all that reads those of strangers, by LLVM's fuzzer and a nightly compiler
    Fuzz(fuzz::Args),
    /// Build the Python package into target/wheels
    Wheel,
    /// Start and end real Apache Kafka brokers on this machine
    Kafka(kafka::Args),
    /// Measure quality or speed against the bars
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Demo(args) => demo::demo(&args),
        Task::Test(args) => suites::test(&args),
        Task::Tidy => tidy::check(),
        Task::Measure => measure::measure(),
        Task::Deny => deny::check(),
        Task::Docs => docs::docs(),
        Task::Readers => readers::readers(),
        Task::Sample => readers::sample(),
        Task::Page(args) => page::page(&args),
        Task::Faults(args) => faults::faults(&args),
        Task::Poison(args) => poison::poison(&args),
        Task::Fuzz(args) => fuzz::fuzz(&args),
        Task::Wheel => wheel::wheel(),
        Task::Kafka(args) => kafka::kafka(&args),
        Task::Bench(args) => bench::bench(&args),
    };
    report(done)
}

fn report(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
