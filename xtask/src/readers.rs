//! Every set through `run` and `audit`, and the Parquet read by DuckDB, Polars and pandas, value by value.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::python::{READERS, script};
use crate::shell::{fresh_dir, output, root, say, shared_data, stdout, windrow};

const SAMPLE: &str = "examples/data/sample_campaign_data_2023.csv";
const SETS: [&str; 9] = [
    "crawled_pages_a",
    "google_news_2013",
    "hn_2015_2016",
    "huffpost_2018_2019",
    "links_stream_2012_2023",
    "news_stories_2014_a",
    "news_stories_2014_a_mixed",
    "odd_urls",
    "world_headlines_2020_2021",
];

pub(crate) fn readers() -> Result<()> {
    let windrow = windrow("fast", &[])?;
    let sample = root().join(SAMPLE);
    let shared: Vec<PathBuf> = SETS.iter().filter_map(|set| shared_data(&format!("{set}.csv.gz"))).collect();
    if shared.len() < SETS.len() {
        say(format_args!("passed over: {} sets are not in ../shared/data", SETS.len() - shared.len()));
    }
    let out = fresh_dir("readers")?;
    for input in std::iter::once(&sample).chain(&shared) {
        let name = input.file_name().context("a file")?.to_string_lossy().into_owned();
        check(&windrow, input, &out.join(name.split('.').next().unwrap_or(&name))).context(name)?;
    }
    Ok(())
}

/// What the 100-row sample must show beyond the rest.
pub(crate) fn sample() -> Result<()> {
    let windrow = windrow("fast", &[])?;
    let out = fresh_dir("sample")?;
    let sample = root().join(SAMPLE);
    stdout(Command::new(&windrow).args(["run", "--quiet", "--input"]).arg(sample).arg("--out").arg(&out))?;
    let clusters = stdout(Command::new(&windrow).args(["clusters", "-o", "json", "--out"]).arg(&out))?;
    let listed = out.join("clusters.json");
    std::fs::write(&listed, clusters)?;
    let mut command = script(READERS, "sample.py")?;
    let checked = command.arg(&out).stdin(std::fs::File::open(listed)?).output()?;
    say(String::from_utf8_lossy(&checked.stdout).trim());
    ensure!(checked.status.success(), "the sample: {}", String::from_utf8_lossy(&checked.stderr));
    Ok(())
}

fn check(windrow: &Path, input: &Path, out: &Path) -> Result<()> {
    stdout(Command::new(windrow).args(["run", "--quiet", "--input"]).arg(input).arg("--out").arg(out))?;
    let audit = stdout(Command::new(windrow).args(["audit", "-o", "json", "--input"]).arg(input).arg("--out").arg(out))?;
    let audit: Value = serde_json::from_str(&audit)?;
    for name in ["lost", "duplicated", "disagreeing"] {
        ensure!(audit[name] == 0, "audit: {name} is {}", audit[name]);
    }
    let counted: u64 = stdout(script(READERS, "count_rows.py")?.arg(input))?.trim().parse()?;
    ensure!(audit["input"] == counted, "audit counts {} rows, Python's csv module {counted}", audit["input"]);
    let read = output(script(READERS, "readers.py")?.arg("--out").arg(out).arg("--input").arg(input))?;
    if !read.status.success() {
        bail!("{}{}", String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    }
    let name = input.file_name().unwrap_or_default().display();
    say(format_args!("{name:<40} {:>7} rows = {:>7} pages + {:>3} rejects", audit["input"], audit["pages"], audit["rejects"]));
    Ok(())
}
