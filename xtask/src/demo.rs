//! `cargo xtask demo`: builds the program and runs its demonstration, with the output in the target folder.

use std::process::Command;

use anyhow::Result;

use crate::shell::{Watch, check_machine, fresh_dir, run, say, windrow};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Handed on to `windrow demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

pub(crate) fn demo(args: &Args) -> Result<()> {
    check_machine()?;
    let watch = Watch::start();
    say("building (some minutes the first time)");
    let windrow = windrow("fast", &[])?;
    say(format_args!("built in {:.0} s", watch.seconds()));
    let out = fresh_dir("demo")?;
    run(Command::new(windrow).arg("demo").arg("--out").arg(out).args(&args.more))
}
