//! `windrow completions`: completion scripts for shells.

use clap_complete::Shell;

use super::{App, Done, Exit};
use crate::args;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow completions bash > ~/.local/share/bash-completion/completions/windrow
  windrow completions zsh > ~/.zfunc/_windrow
")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "windrow", &mut script);
    app.term.raw(&script)?;
    Ok(Exit::Fine)
}
