//! `cargo xtask fuzz`: LLVM's fuzzer on all that reads bytes of strangers. The same functions are thrown random bytes at by `cargo xtask
//! test`; this goes further, and wants a nightly compiler.
//!
//! What was tried is kept in the target folder and tried first the next time; what breaks a target is kept beside it, and named.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, program, root, run, say, stdout, target, work_dir};

/// Memory and time that no input may take.
const MOST_MB: u32 = 256;
const MOST_S: u32 = 5;
/// What cargo-fuzz gives the compiler too: counters at every edge, and what is compared with what.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// One target; all without it
    target: Option<String>,
    /// For how long each
    #[arg(long, default_value_t = 30)]
    seconds: u32,
}

impl Args {
    pub(crate) fn all() -> Self {
        Self { target: None, seconds: 30 }
    }
}

pub(crate) fn fuzz(args: &Args) -> Result<()> {
    let program = build()?;
    let names = stdout(Command::new(&program).env_remove("WINDROW_FUZZ_TARGET"))?;
    let names: Vec<&str> = names.lines().filter(|name| args.target.as_ref().is_none_or(|only| only == name)).collect();
    if names.is_empty() {
        bail!("no target has that name");
    }
    let broken: Vec<&str> = names.into_iter().filter(|name| !holds(&program, name, args.seconds).unwrap_or(false)).collect();
    if !broken.is_empty() {
        bail!("broken: {}", broken.join(", "));
    }
    Ok(())
}

/// Builds all targets, in a target folder of their own.
fn build() -> Result<std::path::PathBuf> {
    let nightly = ["run", "nightly", "rustc", "--version", "--verbose"];
    let version = output(Command::new("rustup").args(nightly)).ok().filter(|version| version.status.success());
    let version = version.context("a nightly compiler is not at hand: `rustup toolchain install nightly`")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("the compiler names its host")?;
    // The versions that everything else is tested with.
    std::fs::copy(root().join("Cargo.lock"), root().join("fuzz/Cargo.lock"))?;
    let folder = target().join("fuzz");
    let mut build = program("rustup");
    build.args(["run", "nightly", "cargo", "build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", host]);
    // A target that is named keeps the flags from build scripts.
    run(build.env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", &folder))?;
    Ok(folder.join(host).join("release/any"))
}

/// Tries a target for so long; whether it held.
fn holds(program: &Path, name: &str, seconds: u32) -> Result<bool> {
    let (corpus, found) = (work_dir(&format!("fuzz/{name}"))?, work_dir("fuzz/found")?);
    let mut fuzzer = Command::new(program);
    fuzzer.env("WINDROW_FUZZ_TARGET", name).env("WINDROW_FUZZ_SEEDS", &corpus).arg(&corpus);
    fuzzer.args([format!("-max_total_time={seconds}"), format!("-rss_limit_mb={MOST_MB}"), format!("-timeout={MOST_S}")]);
    fuzzer.args(["-print_final_stats=1".to_owned(), format!("-artifact_prefix={}/{name}-", found.display())]);
    let done = output(&mut fuzzer)?;
    let said = String::from_utf8_lossy(&done.stderr);
    let tried = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")).unwrap_or("?").trim();
    if done.status.success() {
        say(format_args!("{name}: {tried} inputs in {seconds} s, held"));
    } else {
        let last: Vec<&str> = said.lines().rev().take(12).collect();
        say(format_args!("{name}: BROKEN; what did it lies in {}", found.display()));
        last.iter().rev().for_each(say);
    }
    Ok(done.status.success())
}
