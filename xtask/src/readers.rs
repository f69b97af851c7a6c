//! Every set through `run` and `audit`, and the Parquet read by DuckDB, Polars and pandas, value by value; and what `export` writes, by other
//! programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::python::{READERS, script};
use crate::shell::{fresh_dir, output, root, say, shared_data, stdout, windrow};

pub(crate) const SAMPLE: &str = "examples/data/sample_campaign_data_2023.csv";
pub(crate) const SETS: [&str; 9] = [
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
    if let Some(stream) = shared_data(&format!("{STREAM}.csv.gz")) {
        STRETCHES.iter().try_for_each(|stretch| changes(&windrow, &out.join(STREAM), *stretch))?;
        edit(&windrow, &out.join(STREAM))?;
        changes(&windrow, &out.join(STREAM), EDITED)?;
        let lively = out.join("lively");
        let mut run = Command::new(&windrow);
        stdout(run.args(["run", "--quiet", "--clusters", "auto", "--input"]).arg(stream).arg("--out").arg(&lively))?;
        changes(&windrow, &lively, LIVELY)?;
    }
    Ok(())
}

/// Years of links, and stretches of it that differ from those before them: two full days, a fortnight, a year.
const STREAM: &str = "links_stream_2012_2023";
const STRETCHES: [(&str, &str); 4] =
    [("2019-10-28", "2019-10-29"), ("2022-02-04", "2022-02-05"), ("2022-02-02", "2022-02-16"), ("2020-01-01", "2021-01-01")];

/// The last one, in which users did something; and one in which clusters are born and end where there may be as many as the stream has.
const EDITED: (&str, &str) = ("2022-06-01", "2024-01-01");
const LIVELY: (&str, &str) = ("2016-01-01", "2017-01-01");

/// Merges, one of them taken back, a split and a name.
fn edit(windrow: &Path, out: &Path) -> Result<()> {
    let call = |args: &[&str]| stdout(Command::new(windrow).arg("clusters").args(args).args(["-q", "--out"]).arg(out));
    let listed = call(&["-o", "json"])?;
    let clusters = listed.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?["cluster"].to_string()));
    let clusters: Vec<String> = clusters.collect::<Result<_>>()?;
    let [a, b, c, d, ..] = &clusters[..] else { bail!("too few clusters to edit: {clusters:?}") };
    call(&["merge", b, "--into", a])?;
    call(&["merge", c, "--into", a])?;
    call(&["undo"])?;
    call(&["rename", d, "mine"])?;
    call(&["split", d]).map(drop)
}

/// What `changes` tells, counted in the Parquet.
fn changes(windrow: &Path, out: &Path, (since, until): (&str, &str)) -> Result<()> {
    let mut command = Command::new(windrow);
    command.args(["changes", "-o", "json", "--since", since, "--until", until, "--out"]).arg(out);
    let told = out.join("changes.jsonl");
    std::fs::write(&told, stdout(&mut command)?)?;
    let checked = script(READERS, "changes.py")?.arg(out).args([since, until]).stdin(std::fs::File::open(told)?).output()?;
    let (found, talk) = (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    ensure!(checked.status.success(), "changes: {found}{talk}");
    say(format_args!("changes: {}", found.trim()));
    Ok(())
}

/// Rows whose texts a spreadsheet would run, or could not show.
const HOSTILE: &str = "creation_time,id,url,title,keywords,description\n\
     2023-05-17T20:21:51.822Z,=1+1,http://a.example/x,\"=HYPERLINK(\"\"http://b.example\"\",\"\"x\"\")\",+cmd,-2+3\n\
     1899-01-01,0012345678901234567890,http://a.example/y,@SUM(A1),-12.5,\"\ttab, and\r\na \"\"quoted\"\" line\"\n\
     ,3e5,http://a.example/z,\u{ff1d}1 \u{202e}left \u{1f600},\u{5d0}\u{5d1},'=1\n";

/// Pages taken away as CSV, XLSX and Parquet.
pub(crate) fn exports() -> Result<()> {
    let (windrow, dir) = (windrow("fast", &[])?, fresh_dir("exports")?);
    std::fs::write(dir.join("hostile.csv"), HOSTILE)?;
    let call = |args: &[&str]| {
        let mut command = Command::new(&windrow);
        command.current_dir(&dir).arg("--quiet").args(args);
        command
    };
    let inputs = [root().join(SAMPLE), dir.join("hostile.csv")];
    stdout(call(&["run", "--out", "out", "--input"]).args(&inputs))?;
    let clusters: Vec<String> = stdout(&mut call(&["clusters", "-o", "json", "--out", "out"]))?
        .lines()
        .map(|line| Ok(serde_json::from_str::<Value>(line)?["cluster"].to_string()))
        .collect::<Result<_>>()?;
    // All of them but one.
    let named = &clusters[1..];
    let files = ["pages.csv", "pages.xlsx", "pages.parquet"];
    for file in files {
        let mut export = call(&["export", "--folder", "out", "--out", file, "-o", "json"]);
        for cluster in named {
            export.args(["--cluster", cluster]);
        }
        stdout(&mut export)?;
    }
    let read = output(script(READERS, "export.py")?.current_dir(&dir).arg("out").args(files).args(named))?;
    ensure!(read.status.success(), "{}{}", String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    say(format_args!("export: {}", String::from_utf8_lossy(&read.stdout).trim()));
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
