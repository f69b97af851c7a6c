//! The original's Spark job, written well (examples/spark/original_job.py), on the same broker and rows.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::field::{Field, Pipeline};
use super::{EPOCH_MS, Extent, SPARK_BAR, TOPICS};
use crate::kafka::{Connector, spark_connector};
use crate::python::{SPARK, python};
use crate::shell::{program, root, say, stdout};

/// Rows of a micro-batch.
const BATCH: usize = 10_000;
/// As its users call it, on two cores; no user interface, and nothing that other machines could reach.
const SUBMIT: [&str; 10] = [
    "--master",
    "local[2]",
    "--driver-memory",
    "3g",
    "--conf",
    "spark.ui.enabled=false",
    "--conf",
    "spark.driver.bindAddress=127.0.0.1",
    "--conf",
    "spark.driver.host=127.0.0.1",
];

pub(super) fn beside(field: &Field, extent: &Extent, our_rate: f64, missed: &mut Vec<String>) -> Result<()> {
    let pipeline = Pipeline::new(field, "spark", "pages", TOPICS, EPOCH_MS, "")?;
    pipeline.make_topics()?;
    field.produce(&pipeline, (extent.batches + 1) * BATCH)?;
    let said = stdout(&mut job(&field.rig.bootstrap(), &pipeline.out(), extent.batches)?)?;
    let said: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).with_context(|| said.clone())?;
    let (messages, rows) = (messages(field)?, said["rows"].as_u64().context("Spark says no rows")?);
    ensure!(messages >= rows, "Spark's topics hold {messages} messages, not {rows}");
    let rate = said["rows_per_s"].as_f64().context("Spark says no rate")?;
    let ratio = our_rate / rate;
    say(format_args!("  Spark, {BATCH} rows a batch, steady:       {rate:>9.0} rows/s ({} rows)", said["steady_rows"]));
    say(format_args!("  ratio to Spark:                         {ratio:>9.1} (bar {SPARK_BAR}, aim 50)"));
    if ratio < SPARK_BAR {
        missed.push(format!("{ratio:.1} times Spark's rate, not {SPARK_BAR}"));
    }
    field.clear()
}

/// The job, measuring so many batches.
fn job(servers: &str, out: &Path, batches: usize) -> Result<Command> {
    let python = python(SPARK)?;
    let mut job = program(python.with_file_name("spark-submit"));
    job.env("PYSPARK_PYTHON", python).args(SUBMIT).args(["--jars", &spark_connector(Connector::NEWEST)?]);
    job.arg(root().join("examples/spark/original_job.py")).args([
        "--brokers",
        servers,
        "--topic",
        "pages",
        "--prefix",
        "spark_",
    ]);
    job.arg("--out").arg(out.join("pages")).arg("--checkpoint").arg(out.join("checkpoint"));
    job.args(["--rows-a-batch", &BATCH.to_string(), "--measure", &batches.to_string()]);
    Ok(job)
}

/// What the job has written to its topics, by Kafka's own tool: a yardstick that drops rows is none.
fn messages(field: &Field) -> Result<u64> {
    let servers = field.rig.bootstrap();
    let args = ["--bootstrap-server", &servers, "--topic", "spark_.*"];
    let offsets = field.rig.tool("org.apache.kafka.tools.GetOffsetShell", &args)?;
    offsets.lines().filter_map(|line| line.rsplit(':').next()).map(|end| Ok(end.trim().parse::<u64>()?)).sum()
}
