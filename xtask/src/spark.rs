//! The Spark job from outside: the wheel in an environment of its own, Spark in this process, with executors of their own, and on real
//! brokers; held against what the engine makes of the same rows. `e2e/spark_stream.py` has the checks.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::kafka::counts::{Counts, ask, same};
use crate::kafka::{Connector, Rig, Version, spark_connector};
use crate::page::check_browser;
use crate::python::{NEW_SPARK, OLD_SPARK, python};
use crate::served::Served;
use crate::shell::{fresh_dir, program, root, run, say, shared_data, stdout, target, windrow};
use crate::wheel;

/// The parts of the check in the order that they run in.
const PARTS: [&str; 6] = ["parity", "switch", "sample", "checkpoints", "cluster", "faults"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// For every change: 20,000 rows of links_stream, one kill of each kind.
    Short,
    /// All rows, and every point at which a driver can die.
    Full,
}

/// From files.
pub(crate) fn files(extent: Extent) -> Result<()> {
    let wheel = wheel::build()?;
    let Some(mut check) = check("spark", &wheel)? else { return Ok(()) };
    // Two executors of their own are in `faults` too, and one of them is killed there.
    let parts = PARTS.iter().filter(|part| extent == Extent::Full || **part != "cluster");
    let form = if extent == Extent::Full { ":full" } else { "" };
    run(check.args(parts.map(|part| format!("{part}{form}"))).args(oldest(&wheel, extent)?))
}

/// From a topic, and to topics.
pub(crate) fn topics() -> Result<()> {
    check_browser()?;
    let Some(mut check) = check("kafka-spark", &wheel::build()?)? else { return Ok(()) };
    let rig = Rig::start(Version::NEWEST)?;
    run(check.arg(format!("kafka:{},{}", rig.bootstrap(), spark_connector(Connector::NEWEST)?)))?;
    page(&target().join("xtask/kafka-spark/kafka/topics"))
}

/// The part that has the oldest Spark with the oldest Python; none where there is no such Python, but for the long form.
fn oldest(wheel: &Path, extent: Extent) -> Result<Option<String>> {
    let Some(python) = wheel::python_of(wheel::OLDEST)? else {
        let missing = format!("there is no Python {} here for {OLD_SPARK}", wheel::OLDEST);
        ensure!(extent == Extent::Short, "{missing}");
        say(format_args!("passed over: {missing}"));
        return Ok(None);
    };
    wheel::install(&python, wheel)?;
    Ok(Some(format!("old:{},{}", python.display(), wheel::OLDEST)))
}

/// The page of an output that Spark wrote, and of which the topics hold the same, says what the Parquet holds.
fn page(out: &Path) -> Result<()> {
    let count = "import duckdb, json, sys; \
                 rows = duckdb.sql(f\"select cluster, count(*) from '{sys.argv[1]}/pages/*.parquet' group by 1\").fetchall(); \
                 print(json.dumps({str(cluster): pages for cluster, pages in rows}))";
    let delivered: Counts = serde_json::from_str(&stdout(program(python(NEW_SPARK)?).args(["-c", count]).arg(out))?)?;
    let served = Served::start(Command::new(windrow("fast", &[])?).args(["serve", "--out"]).arg(out))?;
    same("what Spark wrote", &ask(&served)?, &delivered)?;
    say(format_args!(
        "page, API and metrics tell the {} pages of {} clusters",
        delivered.values().sum::<u64>(),
        delivered.len()
    ));
    Ok(())
}

/// A call of the check, with the wheel installed; none where there is no data.
fn check(name: &str, wheel: &Path) -> Result<Option<Command>> {
    let Some(readme) = shared_data("README.md") else {
        say("../shared/data is not there: passed over");
        return Ok(None);
    };
    let python = python(NEW_SPARK)?;
    wheel::install(&python, wheel)?;
    let (windrow, folder) = (windrow("fast", &[])?, fresh_dir(name)?.canonicalize()?);
    let script = |file: &str| {
        let mut script = program(&python);
        script.arg(root().join("e2e").join(file)).arg(&windrow).arg(&folder);
        script.env("PYSPARK_PYTHON", &python).env("PYTHONDONTWRITEBYTECODE", "1").env("SPARK_LOCAL_IP", "127.0.0.1");
        script
    };
    run(script("spark_records.py").arg("20"))?;
    let mut check = script("spark_stream.py");
    check.arg(readme.parent().context("a folder")?);
    Ok(Some(check))
}
