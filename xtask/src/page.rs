//! The page of the server, looked at with a real browser and a real pipeline behind it: every view with no row, one and many, in both
//! themes, narrow and wide; by keys alone; and with texts that would run if anything let them. What it saw lies in `target/page`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use serde_json::Value;

use crate::served::Served;
use crate::shell::{Watch, fresh_dir, install, program, root, run, say, stdout, target, windrow};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A million rows instead of 20,000
    #[arg(long)]
    full: bool,
    /// Only these parts: views, charts, keys, hostile, live, stopped, hand, topics, demo, printed, speeds
    #[arg(long, value_name = "PARTS", default_value = "")]
    only: String,
}

impl Args {
    pub(crate) const SHORT: Self = Self { full: false, only: String::new() };
    pub(crate) const FULL: Self = Self { full: true, only: String::new() };
}

const CHROMIUM: &str = "/usr/bin/chromium";
const SAMPLE: &str = "examples/data/sample_campaign_data_2023.csv";
const HEAD: &str = "creation_time,id,url,title,keywords,description\n";
const ONE: &str = "2023-05-17T20:21:51.822Z,7,https://a.example.org/x,One page alone,one alone,Nothing stands beside it\n";
/// Rows that become no page, each for another reason.
const BAD: &[u8] = b"yesterday,1,https://a.example.org/t,a time that is none,,\n2023-05-17T20:21:51Z,2,https://a.example.org/u,not \xff text,,\n2023-05-17T20:21:51Z,3,,,,\n";
/// A file name is a text of a stranger too.
const HOSTILE_FILE: &str = "\"><img src=x onerror=alert(1)>.csv";

pub(crate) fn page(args: &Args) -> Result<()> {
    check_browser()?;
    let (windrow, dir) = (windrow("fast", &[])?, fresh_dir("page")?);
    // The build of the program has made the browser's packages: they are the page's own.
    ensure!(root().join("web/node_modules/playwright-core").exists(), "the page was not built: see the warning of the build");
    let rows = if args.full { 1_000_000 } else { 20_000 };
    let watch = Watch::start();
    let outs = [none(&dir)?, one(&windrow, &dir)?, many(&windrow, &dir, rows)?, hostile(&windrow, &dir)?];
    say(format_args!("page: 0, 1 and {rows} rows, and hostile ones, learnt in {:.0} s", watch.seconds()));
    let serve = |out: &PathBuf| Served::start(Command::new(&windrow).args(["serve", "--quiet", "--out"]).arg(out));
    let served: Vec<Served> = outs.iter().map(serve).collect::<Result<_>>()?;
    let shots = target().join("page");
    std::fs::create_dir_all(&shots)?;
    let mut look = program("node");
    let seconds = if args.full { "60" } else { "0" };
    look.arg("e2e/page/page.mjs")
        .args([&shots, &windrow, &dir])
        .args([seconds, &args.only])
        .args(served.iter().map(Served::url));
    run(&mut look)
}

/// Debian's browser, installed when it is missing and we may.
pub(crate) fn check_browser() -> Result<()> {
    let is_there = || Path::new(CHROMIUM).exists();
    ensure!(
        is_there() || install(&["chromium"]) && is_there(),
        "this machine lacks a browser for the page: Debian's package `chromium`"
    );
    Ok(())
}

fn learn(windrow: &Path, out: &Path, inputs: &[&Path]) -> Result<()> {
    let mut command = Command::new(windrow);
    stdout(command.args(["run", "--quiet", "--out"]).arg(out).arg("--input").args(inputs)).map(drop)
}

fn none(dir: &Path) -> Result<PathBuf> {
    Ok(dir.join("not there yet"))
}

fn one(windrow: &Path, dir: &Path) -> Result<PathBuf> {
    let (input, out) = (dir.join("one.csv"), dir.join("one"));
    std::fs::write(&input, format!("{HEAD}{ONE}"))?;
    learn(windrow, &out, &[&input])?;
    Ok(out)
}

fn many(windrow: &Path, dir: &Path, rows: u32) -> Result<PathBuf> {
    let (bad, out) = (dir.join("bad.csv"), dir.join("many"));
    std::fs::write(&bad, [HEAD.as_bytes(), BAD].concat())?;
    learn(windrow, &out, &[&root().join(SAMPLE), &bad, Path::new(&format!("generator:rows={rows},seed=7"))])?;
    Ok(out)
}

/// Every injection as title, URL, keyword and description, some as a time, so that they are seen among the rejects too.
fn hostile(windrow: &Path, dir: &Path) -> Result<PathBuf> {
    let injections = std::fs::read_to_string(root().join("e2e/page/injections.txt"))?;
    // Each with how often it is repeated.
    let texts: Vec<(String, usize)> = serde_json::from_str(&std::fs::read_to_string(root().join("e2e/page/texts.json"))?)?;
    let injections: Vec<&str> = injections.lines().collect();
    ensure!(injections.len() >= 100 && texts.len() >= 60, "{} injections, {} texts", injections.len(), texts.len());
    let mut rows = HEAD.to_owned();
    for (id, text) in
        injections.iter().copied().map(str::to_owned).chain(texts.iter().map(|(text, times)| text.repeat(*times))).enumerate()
    {
        let text = text.replace('"', "\"\"");
        let time = if id % 10 == 9 { &text } else { "2023-05-17T20:21:51Z" };
        for url in [format!("https://{id}.example.org/{text}"), text.clone()] {
            writeln!(rows, "\"{time}\",\"{text}\",\"{url}\",\"{text}\",\"{text}\",\"{text}\"")?;
        }
    }
    let (input, out) = (dir.join(HOSTILE_FILE), dir.join("hostile"));
    std::fs::write(&input, rows)?;
    learn(windrow, &out, &[&input])?;
    // Labels are texts of strangers too.
    let listed = stdout(Command::new(windrow).args(["clusters", "-o", "json", "--out"]).arg(&out))?;
    for (line, label) in listed.lines().zip(&injections) {
        let cluster = serde_json::from_str::<Value>(line)?["cluster"].to_string();
        stdout(Command::new(windrow).args(["clusters", "rename", "--quiet", "--out"]).arg(&out).args(["--", &cluster, label]))?;
    }
    Ok(out)
}
