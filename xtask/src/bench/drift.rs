//! `cargo xtask bench drift`: what the watch over clusters finds in generated streams, of which it is known what changes where.
//!
//! Each stream has themes that stay, and one of them changes at a known row: its words, how many there are, or how many pages it has; at once or
//! little by little. An alarm of a cluster that has a fifth of the theme's pages is a detection. Before the change the stream is always the same: an alarm is
//! of the model where a theme's pages went over from one cluster to another, for then the pages of the cluster did change; else it is false. The
//! stated rate is an expectation, so that false alarms may be as many as chance allows (Poisson, once in a thousand times).
//!
//! The example `drift` of the engine learns the streams in one process and judges them; here the lines are added up, and held against bounds.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::shell::{Watch, cargo, say, stdout};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Streams
    #[arg(long, value_name = "N", default_value_t = 100)]
    streams: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The model
    #[arg(long, value_name = "KIND", default_value = "two-level")]
    model: String,
    /// The profile that the engine is built with
    #[arg(long, value_name = "NAME", default_value = "fast")]
    profile: String,
}

impl Args {
    /// As the command has it when nothing is said.
    pub(super) fn whole() -> Self {
        Self { streams: 100, seed: 1, model: "two-level".into(), profile: "fast".into() }
    }
}

/// Rows of a stream, and the row of the change.
const ROWS: u64 = 100_000;
const AT: u64 = 60_000;
/// Rows over which a change comes that does not come at once.
const OVER: u64 = 10_000;
/// Streams that one process learns.
const AT_ONCE: usize = 10;
/// What changes, and within how many rows.
const KINDS: [(&str, u64); 10] = [
    ("words", 0),
    ("broader", 0),
    ("narrower", 0),
    ("more", 0),
    ("fewer", 0),
    ("words", OVER),
    ("broader", OVER),
    ("narrower", OVER),
    ("more", OVER),
    ("fewer", OVER),
];

/// Least share of the changes that are found: of those that come at once, and of the others.
const FOUND: [f64; 2] = [0.9, 0.8];
/// Most false alarms in a million rows that are expected.
const RATE: f64 = 1.0;

/// What became of a stream.
#[derive(Deserialize)]
struct Line {
    change: String,
    over: u64,
    rows_before: u64,
    #[serde(rename = "false")]
    wrong: Vec<serde_json::Value>,
    of_model: Vec<serde_json::Value>,
    detected: Option<Detected>,
    elsewhere: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Detected {
    rows: u64,
    pages: u64,
    alarm: Alarm,
}

#[derive(Deserialize)]
struct Alarm {
    measure: String,
}

pub(crate) fn drift(args: &Args) -> Result<()> {
    let watch = Watch::start();
    let inputs: Vec<String> = (args.seed..args.seed + args.streams)
        .map(|seed| {
            let (change, over) = KINDS[(seed % KINDS.len() as u64) as usize];
            format!("generator:rows={ROWS},seed={seed},broken=0,themes=20,change={change},at={AT},over={over}")
        })
        .collect();
    let mut lines: Vec<Line> = Vec::new();
    for some in inputs.chunks(AT_ONCE) {
        let mut command = cargo();
        command.args(["run", "--quiet", "--profile", &args.profile, "--package", "windrow-engine", "--example", "drift", "--"]);
        for line in stdout(command.args(["--model", &args.model]).args(some))?.lines() {
            lines.push(serde_json::from_str(line).context("a line of the example `drift`")?);
        }
    }
    let broken = told(&lines);
    say(format_args!("{} streams, {:.0} s", lines.len(), watch.seconds()));
    if broken.is_empty() { Ok(()) } else { bail!("{}", broken.join("; ")) }
}

/// Prints the table. Gives the bounds that are broken.
fn told(lines: &[Line]) -> Vec<String> {
    let mut kinds: BTreeMap<(u64, &str), Vec<&Line>> = BTreeMap::new();
    lines.iter().for_each(|line| kinds.entry((line.over, &line.change)).or_default().push(line));
    say("| change | within rows | streams | found | rows later: median, nine tenths | pages of the theme | first by |");
    say("|---|--:|--:|--:|--:|--:|---|");
    for ((over, change), of) in &kinds {
        say(row(change, *over, of));
    }
    let mut broken = Vec::new();
    for (is_gradual, least) in [false, true].into_iter().zip(FOUND) {
        let of: Vec<&Line> = lines.iter().filter(|line| (line.over > 0) == is_gradual).collect();
        let found = of.iter().filter(|line| line.detected.is_some()).count();
        let what = if is_gradual { "little by little" } else { "at once" };
        say(row(&format!("all, {what}"), if is_gradual { OVER } else { 0 }, &of));
        if (found as f64) < least * of.len() as f64 {
            broken.push(format!("{found} of {} changes {what} were found, fewer than {:.0} %", of.len(), least * 100.0));
        }
    }
    let false_alarms = lines.iter().map(|line| line.wrong.len() as u64).sum::<u64>();
    let of_model = lines.iter().map(|line| line.of_model.len()).sum::<usize>();
    let millions = lines.iter().map(|line| line.rows_before).sum::<u64>() as f64 / 1e6;
    let most = most_by_chance(RATE * millions);
    let elsewhere = lines.iter().map(|line| line.elsewhere.len()).sum::<usize>();
    say(format_args!(
        "\nfalse alarms: {false_alarms} in {millions:.2} million rows before the changes, {:.2} a million; expected at most {RATE}, so \
         that up to {most} may be chance\nalarms there because the model had sent a theme's pages to another cluster: {of_model}, {:.1} a million\n\
         alarms of other clusters behind the changes: {elsewhere}",
        false_alarms as f64 / millions.max(1e-9),
        of_model as f64 / millions.max(1e-9)
    ));
    if false_alarms > most {
        broken.push(format!("{false_alarms} false alarms in {millions:.2} million rows, more than {most}"));
    }
    broken
}

fn row(change: &str, over: u64, of: &[&Line]) -> String {
    let found: Vec<&Detected> = of.iter().filter_map(|line| line.detected.as_ref()).collect();
    let spread = |of: fn(&Detected) -> u64| {
        let mut sorted: Vec<u64> = found.iter().map(|found| of(found)).collect();
        sorted.sort_unstable();
        let at =
            |tenths: usize| sorted.get((sorted.len() * tenths / 10).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0);
        format!("{}, {}", at(5), at(9))
    };
    let mut measures: BTreeMap<&str, usize> = BTreeMap::new();
    found.iter().for_each(|found| *measures.entry(&found.alarm.measure).or_default() += 1);
    let measures: Vec<String> = measures.iter().map(|(measure, n)| format!("{measure} {n}")).collect();
    format!(
        "| {change} | {over} | {} | {} | {} | {} | {} |",
        of.len(),
        found.len(),
        spread(|found| found.rows),
        spread(|found| found.pages),
        measures.join(", ")
    )
}

/// The number that a Poisson variable with this mean exceeds once in a thousand times at most.
fn most_by_chance(mean: f64) -> u64 {
    let (mut chance, mut sum, mut n) = ((-mean).exp(), (-mean).exp(), 0);
    while 1.0 - sum > 1e-3 {
        n += 1;
        chance *= mean / n as f64;
        sum += chance;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_allows_what_tables_say() {
        assert_eq!([0.0, 0.6, 1.0, 6.0].map(most_by_chance), [0, 4, 5, 15]);
    }

    #[test]
    fn broken_bounds_are_named() {
        let line = |found: bool, n_false: usize| Line {
            change: "words".into(),
            over: 0,
            rows_before: AT,
            wrong: vec![serde_json::Value::Null; n_false],
            of_model: Vec::new(),
            detected: found.then(|| Detected { rows: 900, pages: 40, alarm: Alarm { measure: "shift".into() } }),
            elsewhere: Vec::new(),
        };
        let all = |n: usize, found: usize, n_false: usize| {
            told(&(0..n).map(|at| line(at < found, if at == 0 { n_false } else { 0 })).collect::<Vec<_>>())
        };
        assert!(all(10, 9, 1).is_empty());
        assert!(all(10, 8, 0)[0].contains("8 of 10 changes at once"));
        assert!(all(10, 10, 5)[0].contains("5 false alarms in 0.60 million rows, more than 4"));
    }
}
