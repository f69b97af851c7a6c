//! What plain cargo cannot do: `cargo xtask demo | test | bench | faults | tidy | docs | deny`.
//!
//! One file per task. Tasks build what they run, keep all they make in the target folder, and end with a line that says whether
//! the task did what it should.

mod deny;
mod python;
mod shell;
mod suites;
mod tidy;

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
    /// Run all checks
    Test(suites::Args),
    /// Check the house rules: edges, sizes, map, words, links
    Tidy,
    /// Check licences, bans and sources of all dependencies
    Deny(deny::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test(args) => suites::test(&args),
        Task::Tidy => tidy::check(),
        Task::Deny(args) => deny::check(&args),
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
