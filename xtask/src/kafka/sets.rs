//! Every data set on its way: `topics create`, `produce`, `run`, and then what stands in the topics of the clusters as five readers find it:
//! `audit`, `clusters --from-topics`, `tail`, a reader with confluent-kafka, and Kafka's own console consumer.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::run::Pipeline;
use super::verbs::{Found, place, same_counts};
use super::{Rig, Version};
use crate::shell::{fresh_dir, root, say, shared_data, stdout, windrow};

/// What everybody has.
const SAMPLE: &str = "examples/data/sample_campaign_data_2023.csv";
/// Sets of `../shared/data` that take no time.
const SMALL: &[&str] = &["crawled_pages_a.csv.gz", "google_news_2013.csv.gz", "world_headlines_2020_2021.csv.gz"];
/// The others.
const LARGE: &[&str] = &[
    "hn_2015_2016.csv.gz",
    "huffpost_2018_2019.csv.gz",
    "links_stream_2012_2023.csv.gz",
    "news_stories_2014_a.csv.gz",
    "news_stories_2014_a_mixed.csv.gz",
    "odd_urls.csv.gz",
];
/// One URL a line, and no line above them.
const BARE: &str = "plain_urls.txt.gz";
/// Pages that `tail` is asked for.
const LAST: usize = 20;
/// How long the console consumer may be without a line.
const PATIENCE: Duration = Duration::from_secs(60);

/// Small sets, newest version.
pub(crate) fn sets() -> Result<()> {
    let (sets, missing) = named(SMALL);
    through(Version::NEWEST, &sets, &missing)
}

/// All sets, all versions. Whoever has the folder of the sets has them all.
pub(crate) fn all_sets() -> Result<()> {
    let (sets, missing) = named(&[SMALL, LARGE, &[BARE]].concat());
    if let Some(readme) = shared_data("README.md") {
        let readme = std::fs::read_to_string(readme)?;
        let promised = |name: &&&str| readme.contains(name.trim_end_matches(".csv.gz"));
        let lacks: Vec<_> = missing.iter().filter(promised).collect();
        if !lacks.is_empty() {
            bail!("../shared/data/README.md names {lacks:?}, and they are not there");
        }
    }
    [Version::V4_3, Version::V3_9, Version::V2_8].into_iter().try_for_each(|version| through(version, &sets, &missing))
}

/// The sample and those that are there, and the names of those that are not.
fn named(names: &[&'static str]) -> (Vec<PathBuf>, Vec<&'static str>) {
    let (mut found, mut missing) = (vec![root().join(SAMPLE)], Vec::new());
    for name in names {
        match shared_data(name) {
            Some(path) => found.push(path),
            None => {
                say(format_args!("../shared/data/{name} is not there: passed over"));
                missing.push(*name);
            }
        }
    }
    (found, missing)
}

fn through(version: Version, sets: &[PathBuf], missing: &[&str]) -> Result<()> {
    let rig = Rig::start(version)?;
    let (windrow, dir) = (windrow("fast", &["failpoints"])?, fresh_dir("kafka-sets")?.canonicalize()?);
    let mut total = [0; 3];
    for (index, path) in sets.iter().enumerate() {
        let (name, file) = (format!("set{index}"), path.file_name().unwrap_or_default().to_string_lossy());
        let pipeline = Pipeline::new(&windrow, &rig.bootstrap(), &dir, &name, &format!("{name}_in"), "")?;
        let input = if file == BARE { with_header(path, &dir)? } else { path.clone() };
        let counts = one(&rig, &pipeline, &name, &input).with_context(|| format!("{file} with {version:?}"))?;
        say(format_args!("{}: {file}: {} rows, {} pages, {} rejects", version.number(), counts[0], counts[1], counts[2]));
        total.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    let [rows, pages, rejects] = total;
    let (number, wanted) = (sets.len(), sets.len() + missing.len());
    say(format_args!(
        "sets with {}: {number} of {wanted} sets, {rows} rows, {pages} pages and {rejects} rejects, each once in topics and Parquet for five \
         readers",
        version.number()
    ));
    Ok(())
}

/// One set; gives its rows, pages and rejects.
fn one(rig: &Rig, pipeline: &Pipeline, name: &str, input: &Path) -> Result<[u64; 3]> {
    pipeline.make_topics(2)?;
    let sent: Value = serde_json::from_str(&stdout(pipeline.call(&["produce", "-o", "json", "--input"]).arg(input))?)?;
    let done = pipeline.to_the_end()?;
    let total = &done["total"];
    let [rows, pages, rejects] = ["rows", "pages", "rejects"].map(|name| total[name].as_u64().unwrap_or(u64::MAX));
    ensure!(rows > 0 && sent["rows"] == rows && pages + rejects == rows, "sent {sent}, and the run says {total}");

    let found = pipeline.delivered_in_slots()?;
    ensure!(found["pages"] == pages && found["rejects"] == rejects, "{total}, and a reader found {found}");
    pipeline.audited(&found)?;
    let counted = Found::read(rig, &format!("{name}_"), LAST)?;
    let objects = pipeline.objects(&["clusters", "--from-topics"])?;
    same_counts(&objects[0], &counted)?;
    let newest: Vec<_> = pipeline.objects(&["tail", "--last", &LAST.to_string()])?.iter().map(place).collect();
    ensure!(newest == counted.newest && !newest.is_empty(), "tail: {newest:?}, the newest are {:?}", counted.newest);
    console(rig, &format!("{name}_[0-9]+"), &counted)?;
    Ok([rows, pages, rejects])
}

/// Kafka's own consumer sees each cluster's pages.
fn console(rig: &Rig, topics: &str, counted: &Found) -> Result<()> {
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for (cluster, pages) in counted.pages.values().flatten() {
        *wanted.entry(cluster.clone()).or_default() += pages;
    }
    let mut child = rig.console(topics).stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn()?;
    let (lines, said) = (child.stdout.take().context("a pipe")?, child.stderr.take().context("a pipe")?);
    let talk = std::thread::spawn(move || {
        let mut text = String::new();
        BufReader::new(said).read_to_string(&mut text).map(|_| text).unwrap_or_default()
    });
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        BufReader::new(lines).lines().map_while(std::io::Result::ok).for_each(|line| {
            // Nobody listens any more when enough was seen.
            let _ = tell.send(line);
        });
    });
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let (mut messages, all) = (0, counted.total() + counted.owners);
    // More than all would come in the same breath.
    let mut take = |line: String| {
        messages += 1;
        let page: Value = serde_json::from_str(&line).unwrap_or_default();
        if page["record_id"].is_string() {
            *seen.entry(page["cluster"].to_string()).or_default() += 1;
        }
        messages < all
    };
    while let Ok(line) = told.recv_timeout(PATIENCE) {
        if !take(line) {
            break;
        }
    }
    stdout(Command::new("kill").args(["-TERM", &child.id().to_string()]))?;
    child.wait()?;
    reader.join().map_err(|_| anyhow::anyhow!("reading the console consumer failed"))?;
    told.try_iter().for_each(|line| {
        take(line);
    });
    let talk = talk.join().unwrap_or_default();
    ensure!(seen == wanted, "the console consumer sees {seen:?}, the topics hold {wanted:?}: {talk}");
    ensure!(messages == all, "the console consumer sees {messages} messages of {all}: {talk}");
    Ok(())
}

/// The same lines below the name of their column.
fn with_header(path: &Path, dir: &Path) -> Result<PathBuf> {
    let text = stdout(Command::new("zcat").arg(path))?;
    let quoted = |line: &str| format!("\"{}\"\n", line.replace('"', "\"\""));
    let lines = text.trim_start_matches('\u{feff}').lines().map(quoted);
    let made = dir.join("plain_urls.csv");
    std::fs::write(&made, std::iter::once("url\n".to_owned()).chain(lines).collect::<String>())?;
    Ok(made)
}
