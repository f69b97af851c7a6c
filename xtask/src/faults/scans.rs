//! Readers that look all the time: DuckDB scans the output every 200 ms while its worker is killed and started again. No file may be torn, no
//! row there twice, and no count may ever fall.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Part;
use super::rig::{Died, Kill, PATIENCE_S};
use crate::campaign::Chance;
use crate::kafka::Running;
use crate::python::{READERS, script};
use crate::shell::{say, wait_for};

pub(super) fn scans(part: &Part<'_>) -> Result<()> {
    let rows = if part.short { 40_000 } else { 400_000 };
    let rig = part.rig.another(part.rig.dir.join("scans"), rows)?;
    let mut pipeline = rig.pipeline("scanned")?;
    // Many small rolls: each is a moment at which a reader could see half of something.
    pipeline.roll_rows = rows / 200;
    let until = pipeline.out.with_extension("end");
    let mut command = script(READERS, "scan.py")?;
    command.arg(&pipeline.out).arg(&until).current_dir(pipeline.said("standby")?);
    let mut reader = Running::start(command)?;
    wait_for(PATIENCE_S, || Ok(pipeline.has_said("standby", "scan 1").then_some(())))?.context("the reader does not begin")?;

    let mut chance = Chance::new(part.seed);
    let (mut kills, mut least) = (0, 60);
    while pipeline.run_until(&Kill::After(Duration::from_millis(least + chance.below(200) as u64)))? == Died::Killed {
        kills += 1;
        // However slow the machine is, some life lasts until the end.
        least += 10;
        ensure!(reader.is_alive()?, "the reader found something");
    }
    std::fs::write(&until, "")?;
    let status = wait_for(PATIENCE_S, || reader.ended())?.context("the reader does not end")?;
    let said = std::fs::read_to_string(pipeline.said("standby")?.join("said.log"))?;
    let found = said.lines().last().unwrap_or_default();
    ensure!(status.success(), "the reader: {said}");
    let found: Value = serde_json::from_str(found).with_context(|| format!("the reader's last words: {found}"))?;
    let count = |name: &str| found[name].as_u64().with_context(|| format!("no {name} in {found}"));
    let audit = pipeline.audit()?;
    ensure!(audit["input"].as_u64() == Some(count("rows")?), "{found}, and the audit {audit}");
    ensure!(kills >= 5 && count("scans")? >= 5 && count("different")? >= 4, "too little came about: {kills} kills, {found}");
    say(format_args!(
        "scans: {} looks of a reader at {} rows, {} of them different, over {kills} kills: none torn, none twice, none fewer",
        found["scans"], found["rows"], found["different"]
    ));
    pipeline.remove()
}
