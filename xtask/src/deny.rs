//! Licences, bans and sources of all dependencies: cargo-deny, by the rules of `deny.toml`.
//!
//! The tool is built into the target folder when first needed (two minutes of one core, without optimisation: it reads one file); nothing is installed elsewhere. Advisories
//! are not asked for: they change without us, and a check that fails on an unchanged tree says nothing about a change.

use anyhow::Result;

use crate::shell::{cargo, program, run, say, target};

const CARGO_DENY: &str = "0.20.2";

pub(crate) fn check() -> Result<()> {
    let tools = target().join("tools").join(CARGO_DENY);
    let tool = tools.join("bin/cargo-deny");
    if !tool.exists() {
        say("building cargo-deny into the target folder: some minutes, once");
        run(cargo()
            .args(["install", "--quiet", "--debug", "cargo-deny", "--locked", "--version", CARGO_DENY, "--root"])
            .arg(&tools))?;
    }
    // A rule that nothing needs any more is a finding too.
    let strict = ["--deny", "unmatched-skip", "--deny", "license-not-encountered"];
    run(program(tool).arg("check").args(strict).args(["bans", "licenses", "sources"]))
}
