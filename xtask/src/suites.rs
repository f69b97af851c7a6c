//! `cargo xtask test`: every check there is, each with its time and its budget, and one line at the end.
//!
//! A suite that goes over its budget is named, not failed: no verdict here depends on how fast the machine is. Suites of brokers wait more than
//! they work: once everything is built they run one after the other in processes of their own, beside all others.

use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};

use crate::shell::{Watch, cargo, check_machine, output, program, run, run_watched, say, shared_data};
use crate::{
    bench, clean, demo, deny, docs, faults, fuzz, kafka, original, page, plots, poison, readers, serve, spark, tidy, wheel,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also what takes long: all faults, all versions of Kafka
    #[arg(long)]
    full: bool,
    /// Only the suites whose name holds this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// What a suite found: tests passed and failed, where it counts them.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: u32,
}

#[derive(Clone, Copy)]
struct Suite {
    name: &'static str,
    budget_s: u32,
    /// Only with `--full`.
    slow: bool,
    run: fn(&mut Tally) -> Result<()>,
}

impl Suite {
    /// Whether it runs beside others. What is built for Spark lies in one place, and is built by one suite at a time.
    fn is_beside(&self) -> bool {
        self.name.starts_with("kafka-") && !self.name.contains("spark") && !self.slow
    }
}

/// The suite behind which everything is built.
const BUILT: &str = "docs";

const fn quick(name: &'static str, budget_s: u32, run: fn(&mut Tally) -> Result<()>) -> Suite {
    Suite { name, budget_s, slow: false, run }
}

const SUITES: &[Suite] = &[
    quick("format", 30, |_| run(cargo().args(["fmt", "--all", "--check"]))),
    quick("lints", 420, |_| run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
    quick("tests", 780, cargo_test),
    quick("tidy", 240, |_| tidy::check()),
    quick("docs", 420, |_| docs::docs()),
    quick("deny", 300, |_| deny::check()),
    quick("demo", 30, |_| demo::check()),
    quick("sample", 30, |_| readers::sample()),
    quick("readers", 180, |_| readers::readers()),
    quick("clean", 120, |_| clean::clean()),
    quick("original", 150, |_| original::original()),
    quick("exports", 30, |_| readers::exports()),
    quick("quality", 60, |_| bench::models()),
    quick("page", 240, |_| page::page(&page::Args::SHORT)),
    quick("plots", 60, |_| plots::plots()),
    quick("serve", 120, |_| serve::serve()),
    quick("wheel", 240, |_| wheel::check()),
    quick("spark", 390, |_| spark::files(spark::Extent::Short)),
    quick("faults", 240, |_| faults::short()),
    quick("poison", 90, |_| poison::poison(&poison::Args::quick()).and_then(|()| bench::soak())),
    quick("kafka-rig", 60, |_| kafka::short()),
    quick("kafka-topics", 150, |_| kafka::topics()),
    quick("kafka-produce", 75, |_| kafka::produce()),
    quick("kafka-security", 200, |_| kafka::security()),
    quick("kafka-check", 90, |_| kafka::examine()),
    quick("kafka-messages", 60, |_| kafka::messages()),
    quick("kafka-standby", 90, |_| kafka::standby()),
    quick("kafka-faults", 150, |_| kafka::faults::first_half()),
    quick("kafka-shapes", 60, |_| kafka::faults::other_shapes()),
    quick("kafka-network", 200, |_| kafka::faults::second_half()),
    quick("kafka-ends", 200, |_| kafka::ends()),
    quick("kafka-run", 120, |_| kafka::run()),
    quick("kafka-verbs", 90, |_| kafka::verbs()),
    quick("kafka-status", 90, |_| kafka::status()),
    quick("kafka-counts", 60, |_| kafka::counts()),
    quick("kafka-down", 150, |_| kafka::down::down(&kafka::down::Extent::SHORT)),
    quick("kafka-spark", 260, |_| spark::topics()),
    quick("kafka-sets", 120, |_| kafka::sets()),
    quick("kafka-original", 60, |_| kafka::original()),
    quick("demo-original", 150, |_| demo::check_original()),
    Suite { name: "demo-original-full", budget_s: 150, slow: true, run: |_| demo::original() },
    Suite { name: "wheel-full", budget_s: 400, slow: true, run: |_| wheel::full() },
    Suite { name: "spark-full", budget_s: 900, slow: true, run: |_| spark::files(spark::Extent::Full) },
    Suite { name: "drift-full", budget_s: 420, slow: true, run: |_| bench::drifts() },
    Suite { name: "page-full", budget_s: 600, slow: true, run: |_| page::page(&page::Args::FULL) },
    Suite { name: "kafka-run-full", budget_s: 300, slow: true, run: |_| kafka::run_on_older() },
    Suite { name: "kafka-sets-full", budget_s: 900, slow: true, run: |_| kafka::all_sets() },
    Suite { name: "kafka-original-full", budget_s: 180, slow: true, run: |_| kafka::original_on_older() },
    Suite { name: "kafka-down-full", budget_s: 1_000, slow: true, run: |_| kafka::down::down(&kafka::down::Extent::FULL) },
    Suite { name: "kafka-rig-full", budget_s: 120, slow: true, run: |_| kafka::older() },
    Suite {
        name: "kafka-faults-full",
        budget_s: 3_600,
        slow: true,
        run: |_| kafka::faults::faults(&kafka::faults::Extent::FULL, None),
    },
    Suite { name: "bench-kafka-full", budget_s: 600, slow: true, run: |_| bench::smoke() },
    Suite { name: "bench-spark-full", budget_s: 420, slow: true, run: |_| bench::on_spark() },
    Suite { name: "poison-full", budget_s: 240, slow: true, run: |_| poison::poison(&poison::Args::full()) },
    Suite { name: "fuzz-full", budget_s: 1_200, slow: true, run: |_| fuzz::fuzz(&fuzz::Args::all()) },
    Suite { name: "faults-full", budget_s: 1_200, slow: true, run: |_| faults::full() },
];

pub(crate) fn test(args: &Args) -> Result<()> {
    if shared_data("README.md").is_none() {
        say("../shared/data is not there: tests that need it say so and pass over");
    }
    let chosen = SUITES.iter().filter(|suite| args.only.as_ref().is_none_or(|only| suite.name.contains(only.as_str())));
    let chosen: Vec<Suite> = chosen.copied().filter(|suite| args.full || !suite.slow).collect();
    let brokers = chosen.iter().any(|suite| suite.name.contains("kafka") || suite.name == "demo-original");
    check_machine(if brokers { &kafka::NEEDS } else { &[] })?;
    let (watch, mut tally, mut ends) = (Watch::start(), Tally::default(), Vec::new());
    let (mut beside, own): (Vec<Suite>, Vec<Suite>) = chosen.into_iter().partition(Suite::is_beside);
    let mut others = None;
    for suite in &own {
        ends.push(one(suite, &mut tally));
        if suite.name == BUILT {
            others = Some(begin_beside(std::mem::take(&mut beside)));
        }
    }
    if let Some(others) = others {
        ends.extend(others.join().expect("it does not panic"));
    }
    ends.extend(beside.iter().map(|suite| one(suite, &mut tally)));
    say("");
    ends.iter().for_each(|end| say(end.line()));
    let failed: Vec<_> = ends.iter().filter(|end| !end.is_ok).map(|end| end.suite.name).collect();
    say(format_args!("suites: {} passed, {} failed, {:.0} s", ends.len() - failed.len(), failed.len(), watch.seconds()));
    say(format_args!("tests: {} passed, {} failed", tally.passed, tally.failed));
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    if ends.is_empty() {
        bail!("no suite has that name");
    }
    Ok(())
}

/// How a suite ended.
struct End {
    suite: Suite,
    is_ok: bool,
    seconds: f64,
}

impl End {
    fn line(&self) -> String {
        let Suite { name, budget_s, .. } = self.suite;
        let verdict = if self.is_ok { "ok    " } else { "FAILED" };
        let over = if self.seconds > f64::from(budget_s) { ", over its budget" } else { "" };
        format!("{verdict} {name:<14} {:>6.1} s of {budget_s} s{over}", self.seconds)
    }
}

fn one(suite: &Suite, tally: &mut Tally) -> End {
    say(format_args!("\n=== {} (budget {} s)", suite.name, suite.budget_s));
    let watch = Watch::start();
    let done = (suite.run)(tally);
    if let Err(error) = &done {
        say(format_args!("{}: {error:#}", suite.name));
    }
    End { suite: *suite, is_ok: done.is_ok(), seconds: watch.seconds() }
}

/// Runs suites in processes of their own; what each says is told when it ends.
fn begin_beside(suites: Vec<Suite>) -> JoinHandle<Vec<End>> {
    let one = |suite: Suite| {
        let watch = Watch::start();
        let xtask = std::env::current_exe().context("where this program lies");
        let done = xtask.and_then(|xtask| output(program(xtask).args(["test", "--only", suite.name])));
        let seconds = watch.seconds();
        let is_ok = match &done {
            Ok(done) => {
                say(format_args!(
                    "{}\n{}",
                    String::from_utf8_lossy(&done.stdout).trim_end(),
                    String::from_utf8_lossy(&done.stderr).trim_end()
                ));
                done.status.success()
            }
            Err(error) => {
                say(format_args!("{}: {error:#}", suite.name));
                false
            }
        };
        End { suite, is_ok, seconds }
    };
    std::thread::spawn(move || suites.into_iter().map(one).collect())
}

/// All crates' tests, counted from what the test harness says.
fn cargo_test(tally: &mut Tally) -> Result<()> {
    let mut ignored = 0;
    run_watched(cargo().args(["test", "--workspace", "--no-fail-fast"]), |line| {
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        tally.passed += count_before(counts, "passed");
        tally.failed += count_before(counts, "failed");
        ignored += count_before(counts, "ignored");
    })?;
    if ignored > 0 {
        bail!("{ignored} tests are ignored: no test is");
    }
    Ok(())
}

/// The number before a word: `12 passed; 0 failed`.
fn count_before(text: &str, word: &str) -> u32 {
    let mut words = text.split([' ', ';', '.']).filter(|word| !word.is_empty());
    let mut last = "";
    words
        .find_map(|found| {
            if found == word {
                last.parse().ok()
            } else {
                last = found;
                None
            }
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::count_before;

    #[test]
    fn the_harness_counts_are_read() {
        let line = "ok. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.01s";
        assert_eq!([count_before(line, "passed"), count_before(line, "failed"), count_before(line, "ignored")], [12, 3, 0]);
    }
}
