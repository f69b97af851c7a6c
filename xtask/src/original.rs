//! The model `original` beside real Spark: the same pages through both, every stage compared, and what K-Means costs.
//!
//! ```text
//! CSV ── example `original` ──> rows.jsonl, fitted.json ──> e2e/original_stages.py, with Spark ──> one line of JSON a set
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::python::{SPARK, script};
use crate::shell::{cargo, fresh_dir, program, root, run, say, shared_data, stdout, target};

/// The original's number of clusters, and one with which pages must share.
const KS: [&str; 2] = ["50", "20"];
/// A set, where it lies, and how many of its rows count.
const SETS: [(&str, &str, &str); 3] =
    [("sample", "", "100"), ("links", "links_stream_2012_2023.csv.gz", "20000"), ("odd_urls", "odd_urls.csv.gz", "1000000")];
const SAMPLE: &str = "examples/data/sample_campaign_data_2023.csv";

/// What both made of a set.
#[derive(Debug, Deserialize)]
pub(crate) struct Compared {
    set: String,
    rows: u64,
    points: u64,
    worst: Worst,
    other_domains: Vec<(String, String, String)>,
    n_other_domains: u64,
    fits: Vec<Fit>,
}

/// How far the furthest number of a stage is from Spark's.
#[derive(Debug, Deserialize)]
struct Worst {
    tf: f64,
    tfidf: f64,
    scaled: f64,
    idf: f64,
    deviation: f64,
}

#[derive(Debug, Deserialize)]
struct Fit {
    k: u64,
    ours: f64,
    spark: f64,
    seconds: f64,
    spark_seconds: f64,
}

/// All sets through both. The example is built by `profile`.
pub(crate) fn compare(profile: &str) -> Result<Vec<Compared>> {
    run(cargo().args(["build", "--quiet", "--workspace", "--example", "original", "--profile", profile]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let example = target().join(folder).join("examples/original");
    let mut folders = Vec::new();
    for (set, file, rows) in SETS {
        let file = if file.is_empty() { Some(root().join(SAMPLE)) } else { shared_data(file) };
        match file {
            Some(file) => folders.push(ours(&example, set, &file, rows)?),
            None => say(format_args!("{set}: passed over, ../shared/data is not there")),
        }
    }
    let told = stdout(script(SPARK, "original_stages.py")?.args(&folders).env("PYSPARK_PYTHON", "python3"))?;
    let sets: Vec<Compared> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>().context(told.clone())?;
    ensure!(sets.len() == folders.len(), "{} of {} sets were compared: {told}", sets.len(), folders.len());
    Ok(sets)
}

/// Leaves what we make of a set in a folder.
fn ours(example: &Path, set: &str, file: &Path, rows: &str) -> Result<PathBuf> {
    let dir = fresh_dir(&format!("original/{set}"))?.canonicalize()?;
    let told = stdout(program(example).arg(file).arg(rows).arg(dir.join("rows.jsonl")).args(KS))?;
    std::fs::write(dir.join("fitted.json"), told)?;
    Ok(dir)
}

/// The suite `original`.
pub(crate) fn original() -> Result<()> {
    compare("dev")?.iter().for_each(show);
    Ok(())
}

/// One set: how near the stages are, and what K-Means costs.
fn show(found: &Compared) {
    let Compared { set, rows, points, worst, .. } = found;
    say(format_args!(
        "{set}: {rows} rows, {points} distinct vectors; tokens and features are Spark's, furthest from it: tf {:.0e}, idf {:.0e}, tf-idf {:.0e}, \
         deviation {:.0e}, scaled {:.0e}",
        worst.tf, worst.idf, worst.tfidf, worst.deviation, worst.scaled
    ));
    say(format_args!("{set}: {} main domains are not tldextract's {:?}", found.n_other_domains, found.other_domains));
    for fit in &found.fits {
        let note = if *points <= fit.k { ", the optimum is 0: each distinct vector has a centre" } else { "" };
        say(format_args!("{set}, k = {}: cost {:.6}, Spark's {:.6}{note}", fit.k, fit.ours, fit.spark));
    }
}

/// `cargo xtask bench original`: cost, seconds and rows a second of both.
pub(crate) fn bench() -> Result<()> {
    let sets = compare("fast")?;
    sets.iter().for_each(show);
    say(format_args!(
        "\n{:<10} {:>8} {:>4} {:>16} {:>16} {:>10} {:>10} {:>12} {:>12}",
        "set", "rows", "k", "our cost", "Spark's", "seconds", "Spark's", "rows/s", "Spark's"
    ));
    for found in &sets {
        let rows = found.rows as f64;
        for Fit { k, ours, spark, seconds, spark_seconds } in &found.fits {
            say(format_args!(
                "{:<10} {:>8} {k:>4} {ours:>16.6} {spark:>16.6} {seconds:>10.4} {spark_seconds:>10.3} {:>12.0} {:>12.0}",
                found.set,
                found.rows,
                rows / seconds,
                rows / spark_seconds
            ));
        }
    }
    Ok(())
}
