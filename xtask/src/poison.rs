//! `cargo xtask poison`: the poison corpus of the engine's tests through the whole program.
//!
//! ```text
//! good rows alone ─ run ─► pages, clusters ──────────────┐ the same
//! the same, one kind of poison before each ─ run ─► pages ┘ rejects: as many of each reason as the corpus says; audit
//! ```
//!
//! What rejects cost is printed beside its bar and fails nothing, as it is a matter of the clock.

#[expect(dead_code, reason = "messages need brokers; the tests of the engine read them")]
#[path = "../../crates/windrow-engine/tests/poison/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::campaign::{self, Chance};
use crate::shell::{fresh_dir, say, stdout, windrow};
use crate::watched::{Seen, watch, watch_fed};
use corpus::{HEADER, Kind};

/// Least share of the rows a second, rejects counted as rows; of fewer rows one cannot tell.
const LEAST_RATE: f64 = 0.7;
const MEASURED: usize = 10_000;
/// Seconds of nothing but poison; MiB by which memory may grow from their first half to the second (some ten million rejects: one
/// byte kept of each shows); and lines of log a second.
const FLOOD_S: f64 = 60.0;
const GROWTH: f64 = 16.0;
const LOG_LINES: f64 = 10.0;
/// Kinds of more bytes come once: 50,000 of them would be a day's work.
const SMALL: usize = 16 << 10;
const MIB: f64 = (1 << 20) as f64;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build profile
    #[arg(long, default_value = "fast")]
    profile: String,
    /// Also a minute of nothing but poison
    #[arg(long)]
    full: bool,
}

impl Args {
    pub(crate) fn quick() -> Self {
        Self { profile: "fast".into(), full: false }
    }

    pub(crate) fn full() -> Self {
        Self { full: true, ..Self::quick() }
    }
}

pub(crate) fn poison(args: &Args) -> Result<()> {
    let stage = Stage { windrow: windrow(&args.profile, &[])?, dir: fresh_dir("poison")? };
    let kinds: Vec<Kind> = corpus::csv().into_iter().filter(Kind::is_poison).collect();
    let (small, large): (Vec<_>, Vec<_>) = kinds.iter().partition(|kind| kind.value().len() <= SMALL);
    say(format_args!("{} kinds of CSV, {} of them of more than {} kB", kinds.len(), large.len(), SMALL >> 10));
    stage.mixed(&small, 50_000)?;
    stage.mixed(&large, large.len())?;
    stage.lines_of_json()?;
    stage.bomb()?;
    if args.full {
        stage.flood(&small)?;
    }
    std::fs::remove_dir_all(stage.dir)?;
    Ok(())
}

/// The program, and a folder for its inputs and outputs.
struct Stage {
    windrow: PathBuf,
    dir: PathBuf,
}

/// What a run came to.
struct Ran {
    pages: u64,
    rejects: BTreeMap<String, u64>,
    rows_per_s: f64,
    /// Each cluster with what it holds, but for places in the input.
    clusters: Vec<Value>,
}

impl Stage {
    fn run(&self, name: &str, input: &Path) -> Result<Ran> {
        let out = self.dir.join(name);
        let call = |verb: &[&str]| -> Result<Vec<Value>> {
            let mut command = Command::new(&self.windrow);
            let text = stdout(command.args(verb).args(["-o", "json", "--out"]).arg(&out))?;
            text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("{verb:?} of {name}"))).collect()
        };
        let input = input.to_str().context("the path is UTF-8")?;
        let run = call(&["run", "--quiet", "--input", input])?.pop().context("a run says what it did")?;
        call(&["audit"])?;
        let fields = ["cluster", "slot", "delivered", "now", "label", "weight", "micro_clusters", "born", "terms", "volume"];
        let held = |cluster: Value| fields.map(|field| cluster[field].clone()).into_iter().collect();
        let count = |name: &str| run[name].as_u64().with_context(|| format!("{name} of {run}"));
        Ok(Ran {
            pages: count("pages")?,
            rejects: serde_json::from_value(run["rejects_by_reason"].clone())?,
            rows_per_s: run["rows_per_s"].as_f64().context("rows_per_s")?,
            clusters: call(&["clusters", "--all"])?.into_iter().map(held).collect(),
        })
    }

    /// So many good rows alone, and the same with a kind of poison before each.
    fn mixed(&self, kinds: &[&Kind], rows: usize) -> Result<()> {
        let name = |what: &str| self.dir.join(format!("{what}-{rows}.csv"));
        let (alone, mixed) = (name("good"), name("mixed"));
        write(&alone, rows, good)?;
        write(&mixed, rows, |row, file| {
            file.write_all(kinds[row % kinds.len()].value())?;
            file.write_all(b"\n")?;
            good(row, file)
        })?;
        let (alone, mixed) = (self.run(&format!("out-good-{rows}"), &alone)?, self.run(&format!("out-mixed-{rows}"), &mixed)?);
        let expected = counts(kinds.iter().copied().cycle().take(rows));
        ensure!(alone.pages == rows as u64 && alone.rejects.is_empty(), "good rows are not all good: {:?}", alone.rejects);
        ensure!(mixed.pages == alone.pages, "{} of {rows} good rows came through the poison", mixed.pages);
        ensure!(mixed.rejects == expected, "rejects are {:?}, and should be {expected:?}", mixed.rejects);
        ensure!(!alone.clusters.is_empty() && mixed.clusters == alone.clusters, "poison changes the clusters of good rows");
        say(format_args!(
            "{rows} good rows 1:1 with {} kinds: {} rejects, all as they should be; audits green; the same clusters",
            kinds.len(),
            expected.values().sum::<u64>(),
        ));
        if rows >= MEASURED {
            let (rate, share) = (mixed.rows_per_s, mixed.rows_per_s / alone.rows_per_s);
            say(format_args!("{rate:.0} rows/s, good and bad ones: {share:.2} of the good ones alone (bar {LEAST_RATE})"));
        }
        Ok(())
    }

    /// All kinds of JSON Lines, each before a good row.
    fn lines_of_json(&self) -> Result<()> {
        let kinds: Vec<Kind> = corpus::json_lines().into_iter().filter(Kind::is_poison).collect();
        let path = self.dir.join("mixed.jsonl");
        let mut file = BufWriter::new(File::create(&path)?);
        for (row, kind) in kinds.iter().enumerate() {
            file.write_all(kind.value())?;
            writeln!(file, "\n{{\"id\": {row}, \"url\": \"https://good.example/{row}\", \"title\": \"good\"}}")?;
        }
        file.flush()?;
        let ran = self.run("out-json", &path)?;
        let expected = counts(kinds.iter());
        ensure!(ran.pages == kinds.len() as u64, "{} of {} good rows came through", ran.pages, kinds.len());
        ensure!(ran.rejects == expected, "rejects are {:?}, and should be {expected:?}", ran.rejects);
        say(format_args!(
            "{} kinds of JSON Lines: {} rejects, all as they should be",
            kinds.len(),
            expected.values().sum::<u64>()
        ));
        Ok(())
    }

    /// Nothing but poison for a minute, through a pipe: memory must not grow, and the log must not either.
    fn flood(&self, kinds: &[&Kind]) -> Result<()> {
        // What an open quote takes in hangs on what follows it.
        let kinds: Vec<&Kind> = kinds.iter().copied().filter(|kind| !kind.value().contains(&b'"')).collect();
        let lines: Vec<u8> = kinds.iter().flat_map(|kind| [kind.value(), b"\n"].concat()).collect();
        let times = (1 << 20) / lines.len();
        let (out, talk, head) = (self.dir.join("out-flood"), self.dir.join("flood.log"), format!("{HEADER}\n"));
        let mut run = Command::new(&self.windrow);
        run.args(["run", "--input", "-", "--out"]).arg(&out);
        let (seen, pieces) = watch_fed(&mut run, &talk, head.as_bytes(), &lines.repeat(times), FLOOD_S)?;
        ensure!(seen.ended.success(), "the run ended with {}:\n{}", seen.ended, seen.lines.join("\n"));
        let status = stdout(Command::new(&self.windrow).args(["status", "-o", "json", "--out"]).arg(&out))?;
        let status: Value = serde_json::from_str(&status)?;
        let expected = pieces * times as u64 * counts(kinds.iter().copied()).values().sum::<u64>();
        ensure!(status["pages"] == 0 && status["rejects"] == expected, "{expected} rejects expected: {status}");
        let (early, late) = seen.looks.split_at(seen.looks.len() / 2);
        let (early, late, per_s) = (peak(early), peak(late), seen.lines.len() as f64 / seen.seconds);
        say(format_args!(
            "{expected} rejects and no page in {:.0} s: at most {early:.0} MiB in the first half, {late:.0} in the second; {per_s:.1} lines of log a second",
            seen.seconds,
        ));
        ensure!(late <= early + GROWTH && late <= 512.0, "memory grows");
        ensure!(per_s <= LOG_LINES, "the log is flooded:\n{}", seen.lines[..20.min(seen.lines.len())].join("\n"));
        Ok(())
    }

    /// 10 GB out of 330 kB: refused at its first 64 MB, in little memory.
    fn bomb(&self) -> Result<()> {
        let (path, out) = (self.dir.join("bomb.csv.zst"), self.dir.join("out-bomb"));
        std::fs::write(&path, bomb(10 << 30))?;
        let mut command = Command::new(&self.windrow);
        command.arg("run").arg("--input").arg(&path).arg("--out").arg(&out);
        let Seen { ended, seconds, memory, lines, .. } = watch(&mut command, &self.dir.join("bomb.txt"))?;
        let most = memory / MIB;
        let is_refused = ended.code() == Some(1) && lines.iter().any(|line| line.contains("E-INPUT-BOMB"));
        ensure!(is_refused, "a bomb ends with {ended}:\n{}", lines.join("\n"));
        ensure!(most <= 512.0, "a bomb took {most:.0} MiB");
        say(format_args!("a bomb of {} bytes: refused after {seconds:.1} s, at most {most:.0} MiB", path.metadata()?.len()));
        Ok(())
    }
}

/// The most of these looks, in MiB.
fn peak(looks: &[f64]) -> f64 {
    looks.iter().fold(0.0, |most, &look| look.max(most)) / MIB
}

/// A zstd file of a header and about so many bytes of one letter: frames of blocks that say a byte and how often (RFC 8878).
fn bomb(bytes: usize) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    // The frame's magic number; no checksum, no size; a window of one block.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let mut block = |kind: usize, len: usize, is_last: bool, content: &[u8]| {
        let header = usize::from(is_last) | kind << 1 | len << 3;
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.extend_from_slice(content);
    };
    let header = format!("{HEADER}\n,1,u,t,k,d\n");
    block(0, header.len(), false, header.as_bytes());
    let blocks = bytes / BLOCK;
    (1..=blocks).for_each(|number| block(1, BLOCK, number == blocks, b"x"));
    bomb
}

/// Rejects by reason of these kinds.
fn counts<'a>(kinds: impl Iterator<Item = &'a Kind>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for reason in kinds.flat_map(|kind| &kind.answers).filter_map(|answer| answer.err()) {
        *counts.entry(reason.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// Writes a CSV file of so many rows, each by `row`.
fn write(path: &Path, rows: usize, mut row: impl FnMut(usize, &mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "{HEADER}")?;
    (0..rows).try_for_each(|number| row(number, &mut file))?;
    Ok(file.flush()?)
}

/// A page with a quoted title: whatever poison left open ends there, so that the reason is the same in each round.
fn good(row: usize, file: &mut BufWriter<File>) -> Result<()> {
    let mut chance = Chance::new(row as u64 + 1);
    let words = |n: usize, chance: &mut Chance| campaign::words(row / 500 % 50, n, chance);
    let (title, description) = (words(7, &mut chance), words(9, &mut chance));
    Ok(writeln!(file, "2023-05-17 20:21:51,{row},https://good.example/{row},\"so \"\"{title}\"\"\",,{description}")?)
}
