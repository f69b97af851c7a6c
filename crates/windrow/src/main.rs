//! The `windrow` command: a thin shell over the engine.
//!
//! ```text
//! argv ─ args (parsed, nothing done) ─ cmd/<verb> ─ engine
//!                                          └─ term: data on stdout, talk on stderr
//! ```
//!
//! Every verb is one file under `cmd/`. Text is for people and may change; `-o json` and `-o tsv` are the contract.

mod allocator;
mod args;
mod cmd;
mod edited;
mod picture;
mod progress;
mod serve;
mod shape;
mod signals;
mod term;
mod told;

use std::process::ExitCode;

use clap::FromArgMatches;

use crate::args::Cli;
use crate::cmd::{App, Failure};
use crate::term::Term;

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    let parsed = args::command().try_get_matches().and_then(|matches| {
        let verb = matches.subcommand_name().unwrap_or_default().to_owned();
        Ok((Cli::from_arg_matches(&matches)?, verb))
    });
    let (cli, verb) = match parsed {
        Ok(cli) => cli,
        Err(error) => return args::usage(&error),
    };
    let mut app = App::new(Term::new(&cli.global), cli.global, verb);
    let done = cmd::dispatch(cli.verb, &mut app).and_then(|exit| app.term.flush().map(|()| exit));
    match done {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(Failure::Error(error)) => {
            app.term.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
