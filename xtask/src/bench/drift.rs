//! `cargo xtask bench drift`: what the watch over clusters finds in generated streams, of which it is known what changes where.
//!
//! Each stream has themes that stay, and one of them changes at a known row: its words, how many there are, or how many pages it has; at once or
//! little by little. An alarm of a cluster that has a fifth of the theme's pages is a detection. Before the change, and in streams of which nothing
//! ever changes, the stream is always the same: an alarm is of the model where a theme's pages went over from one cluster to another, for then the
//! pages of the cluster did change; else it is false. How often that is said of stretches without any alarm is told beside it. The stated rate
//! is an expectation, so that false alarms may be as many as chance allows (Poisson, once in a thousand times). What is found, how soon, and how much
//! else is told have bounds too.
//!
//! The example `drift` of the engine learns the streams in one process and judges them; here the lines are added up, and held against bounds.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::shell::{Watch, cargo, say, stdout};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Streams in which something changes
    #[arg(long, value_name = "N", default_value_t = 100)]
    streams: u64,
    /// Streams in which nothing does
    #[arg(long, value_name = "N", default_value_t = 30)]
    still: u64,
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
        Self { streams: 100, still: 30, seed: 1, model: "two-level".into(), profile: "fast".into() }
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

const STILL: (&str, u64) = ("none", 0);

/// Least share of the changes that are found: of those that come at once, and of the others.
const FOUND: [f64; 2] = [0.9, 0.8];
/// Most rows until a change is told, of those that come at once and of the others: half of what is found, and nine tenths.
const DELAY: [[u64; 2]; 2] = [[8_000, 12_000], [10_000, 15_000]];
/// Most false alarms in a million rows that are expected.
const RATE: f64 = 1.0;
/// Most alarms in a million rows that are of the model's own doing; and of other clusters behind a change.
const OF_MODEL: f64 = 30.0;
const ELSEWHERE: f64 = 60.0;
/// Most of the stretches without any alarm that may look as if a theme had gone over: otherwise it would mean nothing that this is said of alarms.
const CALM: f64 = 0.1;

/// What became of a stream.
#[derive(Deserialize)]
struct Line {
    change: String,
    over: u64,
    rows: u64,
    rows_before: u64,
    /// Stretches without any alarm, and those that look as if a theme had gone over.
    calm: [u64; 2],
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
    let changing = args.seed + args.streams;
    let input = |seed: u64| {
        let (change, over) = if seed < changing { KINDS[(seed % KINDS.len() as u64) as usize] } else { STILL };
        format!("generator:rows={ROWS},seed={seed},broken=0,themes=20,change={change},at={AT},over={over}")
    };
    let inputs: Vec<String> = (args.seed..changing + args.still).map(input).collect();
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
    let changed: Vec<&Line> = lines.iter().filter(|line| line.change != STILL.0).collect();
    let mut kinds: BTreeMap<(u64, &str), Vec<&Line>> = BTreeMap::new();
    changed.iter().for_each(|line| kinds.entry((line.over, &line.change)).or_default().push(line));
    say("| change | within rows | streams | found | rows later: median, nine tenths | pages of the theme | first by |");
    say("|---|--:|--:|--:|--:|--:|---|");
    for ((over, change), of) in &kinds {
        say(row(change, *over, of));
    }
    let mut broken = Vec::new();
    for (is_gradual, (least, most)) in [false, true].into_iter().zip(FOUND.into_iter().zip(DELAY)) {
        let of: Vec<&Line> = changed.iter().copied().filter(|line| (line.over > 0) == is_gradual).collect();
        let what = if is_gradual { "little by little" } else { "at once" };
        say(row(&format!("all, {what}"), if is_gradual { OVER } else { 0 }, &of));
        let delays: Vec<u64> = of.iter().filter_map(|line| line.detected.as_ref()).map(|found| found.rows).collect();
        if (delays.len() as f64) < least * of.len() as f64 {
            broken.push(format!(
                "{} of {} changes {what} were found, fewer than {:.0} %",
                delays.len(),
                of.len(),
                least * 100.0
            ));
        }
        let [half, nine_tenths] = spread(delays);
        if half > most[0] || nine_tenths > most[1] {
            broken.push(format!("changes {what} were told {half} and {nine_tenths} rows later, more than {most:?}"));
        }
    }
    broken.extend(rates(lines));
    broken
}

/// Prints how much is told where nothing changes, and besides a change. Gives the bounds that are broken.
fn rates(lines: &[Line]) -> Vec<String> {
    let count = |of: fn(&Line) -> u64| lines.iter().map(of).sum::<u64>();
    let millions = |of: fn(&Line) -> u64| (count(of) as f64 / 1e6).max(1e-9);
    let (before, behind) = (millions(|line| line.rows_before), millions(|line| line.rows - line.rows_before));
    let false_alarms = count(|line| line.wrong.len() as u64);
    let of_model = count(|line| line.of_model.len() as u64) as f64 / before;
    let elsewhere = count(|line| line.elsewhere.len() as u64) as f64 / behind;
    let calm = count(|line| line.calm[1]) as f64 / count(|line| line.calm[0]).max(1) as f64;
    let most = most_by_chance(RATE * before);
    say(format_args!(
        "\nfalse alarms: {false_alarms} in {before:.2} million rows in which nothing changes, {:.2} a million; expected at most {RATE}, so that up to \
         {most} may be chance\nalarms there because the model had sent pages of a theme, or of none, to another cluster: {of_model:.1} a million\n\
         stretches without any alarm of which the same would be said: {:.1} %\n\
         alarms of other clusters behind the changes: {elsewhere:.1} a million",
        false_alarms as f64 / before,
        calm * 100.0
    ));
    let bounds = [
        (false_alarms > most, format!("{false_alarms} false alarms in {before:.2} million rows, more than {most}")),
        (of_model > OF_MODEL, format!("{of_model:.1} alarms of the model's doing in a million rows, more than {OF_MODEL}")),
        (elsewhere > ELSEWHERE, format!("{elsewhere:.1} alarms of other clusters in a million rows, more than {ELSEWHERE}")),
        (calm > CALM, format!("{:.1} % of calm stretches look as if a theme had gone over", calm * 100.0)),
    ];
    bounds.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, what)| what).collect()
}

/// The middle one of some numbers, and the one below which nine tenths lie.
fn spread(mut numbers: Vec<u64>) -> [u64; 2] {
    numbers.sort_unstable();
    let last = numbers.len().saturating_sub(1);
    [5, 9].map(|tenths| numbers.get((numbers.len() * tenths / 10).min(last)).copied().unwrap_or(0))
}

fn row(change: &str, over: u64, of: &[&Line]) -> String {
    let found: Vec<&Detected> = of.iter().filter_map(|line| line.detected.as_ref()).collect();
    let spread = |of: fn(&Detected) -> u64| {
        let [half, nine_tenths] = spread(found.iter().map(|found| of(found)).collect());
        format!("{half}, {nine_tenths}")
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

    fn line(found: Option<u64>) -> Line {
        Line {
            change: "words".into(),
            over: 0,
            rows: ROWS,
            rows_before: AT,
            calm: [10, 0],
            wrong: Vec::new(),
            of_model: Vec::new(),
            detected: found.map(|rows| Detected { rows, pages: 40, alarm: Alarm { measure: "shift".into() } }),
            elsewhere: Vec::new(),
        }
    }

    #[test]
    fn broken_bounds_are_named() {
        let of = |found: usize, rows: u64, change: fn(&mut Line)| {
            let mut lines: Vec<Line> = (0..10).map(|at| line((at < found).then_some(rows))).collect();
            change(&mut lines[0]);
            told(&lines)
        };
        assert!(of(9, 900, |_| ()).is_empty());
        assert!(of(8, 900, |_| ())[0].contains("8 of 10 changes at once"));
        assert!(of(10, 9_000, |_| ())[0].contains("told 9000 and 9000 rows later"));
        assert!(of(10, 900, |line| line.wrong = vec![serde_json::Value::Null; 5])[0].contains("5 false alarms in 0.60"));
        assert!(
            of(10, 900, |line| line.of_model = vec![serde_json::Value::Null; 30])[0].contains("50.0 alarms of the model's")
        );
        assert!(
            of(10, 900, |line| line.elsewhere = vec![serde_json::Value::Null; 30])[0].contains("75.0 alarms of other clusters")
        );
        assert!(of(10, 900, |line| line.calm = [10, 20])[0].contains("20.0 % of calm"));
    }

    #[test]
    fn streams_in_which_nothing_changes_are_no_change_that_was_missed() {
        assert!(told(&[Line { change: STILL.0.into(), rows_before: ROWS, ..line(None) }]).is_empty());
    }
}
