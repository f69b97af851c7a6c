//! `cargo xtask bench spark`: rows a second of our Spark job beside the original's, written well, and beside the engine, on the same rows
//! and the same cores, in one run; where a row's time goes; and what that says of more executors (docs/scaling.md).
//!
//! Rows are `links_stream`, repeated as for `bench embedded`, cut into files of half a batch: each batch is two files, one for each of two
//! cores. The engine reads the same files and must end with the same model. `taskset` holds every side to its cores. Spark's rates are those of
//! steady batches, without start-up and warm batches; the engine's is that of the whole process.

mod model;

use std::collections::BTreeMap;
use std::fs::{File, FileTimes};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::embedded::repeated;
use crate::python::{NEW_SPARK, READERS, python, script};
use crate::shell::{check_machine, fresh_dir, program, root, say, shared_data, stdout, windrow};
use crate::wheel;
use model::{Batch, Model, Steps};

const CORES: [usize; 2] = [1, 2];
/// As in e2e/spark_session.py.
const FILES_A_BATCH: usize = 2;
const REPEATED: u32 = 10;
const ENGINE_TURNS: usize = 3;
const NEEDS: [(&str, &str); 2] = [
    ("java", "for Spark: Debian's package `openjdk-17-jre-headless`"),
    ("taskset", "holds each side to its cores: Debian's package `util-linux`"),
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Little of everything: to see that it runs
    #[arg(long)]
    quick: bool,
    /// Build profile of the engine; the package is built as its users have it
    #[arg(long, default_value = "release")]
    profile: String,
}

impl Args {
    /// As a suite.
    pub(super) fn quick() -> Self {
        Self { quick: true, profile: "fast".into() }
    }
}

/// Batches of one size.
struct Size {
    rows: usize,
    warm: usize,
    steady: usize,
}

const FULL: [Size; 2] = [Size { rows: 10_000, warm: 3, steady: 9 }, Size { rows: 100_000, warm: 1, steady: 3 }];
const QUICK: [Size; 2] = [Size { rows: 1_000, warm: 1, steady: 2 }, Size { rows: 4_000, warm: 1, steady: 2 }];

impl Size {
    fn all_rows(&self) -> usize {
        (self.warm + self.steady) * self.rows
    }
}

/// What a Spark job says of its steady batches.
#[derive(Deserialize)]
struct Steady {
    rows: usize,
    steady_rows: f64,
    seconds: f64,
    processor_seconds: f64,
}

impl Steady {
    fn rate(&self) -> f64 {
        self.steady_rows / self.seconds
    }

    /// Processor time a row, in microseconds, which other work on the machine hardly changes.
    fn price(&self) -> f64 {
        1e6 * self.processor_seconds / self.steady_rows
    }
}

/// What ours says besides: see e2e/spark_rates.py.
#[derive(Deserialize)]
struct Job {
    #[serde(flatten)]
    steady: Steady,
    batches: f64,
    steps: Steps<f64>,
    processor: BTreeMap<String, f64>,
    floors: BTreeMap<String, f64>,
    model: String,
}

impl Job {
    fn batch(&self) -> Batch {
        Batch { rows: self.steady.steady_rows / self.batches, steps: self.steps.each(|seconds| seconds / self.batches) }
    }
}

#[derive(Deserialize)]
struct Alone {
    rows: f64,
    alive: u64,
    processor: BTreeMap<String, f64>,
}

struct Engine {
    seconds: f64,
    processor_seconds: f64,
    model: String,
}

/// Both jobs with one size of batches, by number of cores.
struct Sides {
    original: Vec<Steady>,
    ours: Vec<Job>,
}

pub(crate) fn spark(args: &Args) -> Result<()> {
    check_machine(&NEEDS)?;
    let links =
        shared_data("links_stream_2012_2023.csv.gz").context("links_stream lies in ../shared/data, and that is not there")?;
    let csv = repeated(&links, if args.quick { 1 } else { REPEATED })?;
    wheel::install(&python(NEW_SPARK)?, &wheel::build()?)?;
    let windrow = windrow(&args.profile, &[])?;
    let folder = fresh_dir("bench-spark")?.canonicalize()?;
    let [small, large] = if args.quick { &QUICK } else { &FULL };
    let inputs = [small, large].map(|size| cut(&csv, &folder.join(format!("in-{}", size.rows)), size));
    let [small_input, large_input] = inputs;
    let (small_input, large_input) = (small_input?, large_input?);
    let alone: Alone = told(script_on(1, "spark_rates.py")?.arg("alone").arg(&large_input).arg(folder.join("alone")))?;
    kernels(&alone)?;
    let engine = CORES.map(|cores| engine(&windrow, &folder, &large_input, cores));
    let engine = engine.into_iter().collect::<Result<Vec<_>>>()?;
    let sides = [both(&folder, &small_input, small)?, both(&folder, &large_input, large)?];
    for engine in &engine {
        let (ours, theirs) = (&sides[1].ours[0].model, &engine.model);
        ensure!(theirs == ours, "the engine ends with the model {theirs}, Spark with {ours}: not the same work");
    }
    table([small, large], &sides, large.all_rows() as f64, &engine);
    for (cores, job) in CORES.iter().zip(&sides[1].ours) {
        shares(*cores as f64, large, job)?;
    }
    more_executors([small, large], &sides);
    std::fs::remove_dir_all(folder).context("cannot clear away")
}

/// The first rows of a CSV as files of half a batch, the oldest first, as Spark takes them in that order.
fn cut(csv: &Path, folder: &Path, size: &Size) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let mut lines = BufReader::new(File::open(csv)?).split(b'\n');
    let mut next = || lines.next().with_context(|| format!("{} has fewer rows", csv.display()))?.map_err(anyhow::Error::from);
    let header = next()?;
    for at in 0..(size.warm + size.steady) * FILES_A_BATCH {
        let mut file = BufWriter::new(File::create(folder.join(format!("part-{at:05}.csv")))?);
        file.write_all(&header)?;
        for _ in 0..size.rows / FILES_A_BATCH {
            let line = next()?;
            let quotes = line.iter().filter(|byte| **byte == b'"').count();
            ensure!(quotes % 2 == 0, "a record of {} spans lines: it cannot be cut here", csv.display());
            file.write_all(b"\n")?;
            file.write_all(&line)?;
        }
        file.write_all(b"\n")?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000 + at as u64);
        file.into_inner()?.set_times(FileTimes::new().set_modified(time))?;
    }
    Ok(folder.to_path_buf())
}

/// The original's job and ours over the same files, on each number of cores.
fn both(folder: &Path, input: &Path, size: &Size) -> Result<Sides> {
    let mut sides = Sides { original: Vec::new(), ours: Vec::new() };
    for cores in CORES {
        let out = |name: &str| folder.join(format!("{name}-{}-{cores}", size.rows));
        let numbers = [cores, size.warm].map(|number| number.to_string());
        let original: Steady = told(script_on(cores, "spark_files.py")?.arg(input).arg(out("original")).args(&numbers))?;
        let ours: Job = told(script_on(cores, "spark_rates.py")?.arg("job").arg(input).arg(out("ours")).args(&numbers))?;
        let (wanted, rows) = (size.all_rows(), [original.rows, ours.steady.rows]);
        ensure!(rows == [wanted; 2], "{rows:?} rows came out, and {wanted} went in");
        let sides_of = [("the original's job", &original), ("ours", &ours.steady)];
        for (name, side) in sides_of {
            let (rate, price) = (side.rate(), side.price());
            say(format_args!(
                "local[{cores}], {} rows a batch, {name}: {rate:.0} rows/s, {price:.1} µs of processor a row",
                size.rows
            ));
        }
        sides.original.push(original);
        sides.ours.push(ours);
    }
    ensure!(sides.ours[0].model == sides.ours[1].model, "one core and two made other models of the same rows");
    Ok(sides)
}

/// The engine over the same files, start to exit: the median of a few turns.
fn engine(windrow: &Path, folder: &Path, input: &Path, cores: usize) -> Result<Engine> {
    let mut turns = Vec::new();
    for turn in 0..ENGINE_TURNS {
        let out = folder.join(format!("engine-{cores}-{turn}"));
        let mut command = script(READERS, "measure.py")?;
        command.args(["taskset", "--cpu-list", &list(cores)]).arg(windrow).args(["run", "--quiet", "--no-serve", "-o", "json"]);
        command.args(["--threads", &cores.to_string(), "--input"]).arg(input).arg("--out").arg(&out);
        let measured: Value = told(&mut command)?;
        let manifest: Value = serde_json::from_slice(&std::fs::read(out.join(".windrow/files.json"))?)?;
        let number = |name: &str| measured[name].as_f64().with_context(|| format!("no {name}"));
        let last = manifest["body"]["snapshots"].as_array().and_then(|all| all.last()).context("no model")?;
        let model = last["model"].as_str().context("no model")?.to_owned();
        turns.push(Engine { seconds: number("seconds")?, processor_seconds: number("cpu_s")?, model });
    }
    turns.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    Ok(turns.swap_remove(ENGINE_TURNS / 2))
}

/// Cores as `taskset` takes them.
fn list(cores: usize) -> String {
    format!("0-{}", cores - 1)
}

/// A script of ours beside Spark and the package, on the first cores alone.
fn script_on(cores: usize, file: &str) -> Result<Command> {
    let (python, mut command) = (python(NEW_SPARK)?, program("taskset"));
    command.args(["--cpu-list", &list(cores)]).arg(&python).arg(root().join("e2e").join(file));
    command.env("PYSPARK_PYTHON", &python).env("PYTHONDONTWRITEBYTECODE", "1").env("SPARK_LOCAL_IP", "127.0.0.1");
    Ok(command)
}

/// What a command says in its last line.
fn told<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let text = stdout(command)?;
    let Some(line) = text.lines().last() else { bail!("it said nothing") };
    serde_json::from_str(line).with_context(|| text.clone())
}

fn table(sizes: [&Size; 2], sides: &[Sides], rows: f64, engine: &[Engine]) {
    say(format_args!("\n{:<50} {:>10} {:>10} {:>10} {:>10}", "", "rows/s", "rows/s", "µs a row", "µs a row"));
    say(format_args!("{:<50} {:>10} {:>10} {:>10} {:>10}", "", "1 core", "2 cores", "1 core", "2 cores"));
    let line = |name: &str, of: [[f64; 2]; 2]| {
        say(format_args!("{name:<50} {:>10.0} {:>10.0} {:>10.1} {:>10.1}", of[0][0], of[0][1], of[1][0], of[1][1]));
    };
    let times = |name: &str, ours: [[f64; 2]; 2], theirs: [[f64; 2]; 2]| {
        let [rate, price] = [0, 1].map(|at| [0, 1].map(|cores| ours[at][cores] / theirs[at][cores]));
        say(format_args!("{name:<50} {:>9.2}x {:>9.2}x {:>9.2}x {:>9.2}x", rate[0], rate[1], price[0], price[1]));
    };
    let of = |side: [&Steady; 2]| [side.map(Steady::rate), side.map(Steady::price)];
    for (size, sides) in sizes.iter().zip(sides) {
        let (original, ours) =
            (of([&sides.original[0], &sides.original[1]]), of([&sides.ours[0].steady, &sides.ours[1].steady]));
        line(&format!("the original's job, {} rows a batch", size.rows), original);
        line(&format!("windrow on Spark, {} rows a batch", size.rows), ours);
        times("  beside the original's", ours, original);
    }
    let (ours, one, two) = (of([&sides[1].ours[0].steady, &sides[1].ours[1].steady]), &engine[0], &engine[1]);
    let engine = [[rows / one.seconds, rows / two.seconds], [one, two].map(|it| 1e6 * it.processor_seconds / rows)];
    line(&format!("windrow run, {rows:.0} rows, start to exit"), engine);
    times(&format!("  beside windrow on Spark, {} rows a batch", sizes[1].rows), engine, ours);
}

/// Where processor time goes, in groups: what it is called here, and the parts that e2e/spark_rates.py tells.
const GROUPS: [(&str, &[&str]); 12] = [
    ("kernels: prepare", &["prepare"]),
    ("kernels: learn", &["learn"]),
    ("kernels: pages out of chunks", &["deliver"]),
    ("records out of lines, in Python", &["prepare_python"]),
    ("Parquet, in pyarrow", &["parquet"]),
    ("Arrow into and out of workers, in Python", &["arrow"]),
    ("decisions to their pages, in Python", &["deliver_python"]),
    ("workers: tasks begin and end", &["workers"]),
    ("the driver's Python: chunks, decisions, commits", &["driver"]),
    ("Spark's tasks: read, Arrow, keep, shuffle", &["jvm_tasks"]),
    ("Spark's JVM: compiling and memory", &["jvm_compiler", "jvm_memory"]),
    ("Spark's driver: plans, schedules, logs", &["jvm_rest"]),
];

fn shares(cores: f64, size: &Size, job: &Job) -> Result<()> {
    let (rows, all) = (job.steady.steady_rows, cores * job.steady.seconds);
    let title = format!("local[{cores}], {} rows a batch: where time goes", size.rows);
    say(format_args!("\n{title:<58} {:>9} {:>9}", "µs a row", "share"));
    let line = |name: &str, seconds: f64| {
        say(format_args!("{name:<58} {:>9.2} {:>7.1} %", 1e6 * seconds / rows, 100.0 * seconds / all));
    };
    let mut idle = all;
    for (name, parts) in GROUPS {
        let seconds = of(&job.processor, parts)?;
        idle -= seconds;
        line(name, seconds);
    }
    line("nobody's: cores that wait, or others have", idle);
    let floor = |name| Ok::<_, anyhow::Error>(1e6 * cores * of(&job.floors, &[name])? / job.steady.rows as f64);
    let (read, python) = (floor("read")?, floor("python")?);
    say(format_args!(
        "Spark alone, core time: to read the same files {read:.2} µs a row; to hand them to Python besides {python:.2} µs"
    ));
    Ok(())
}

/// The sum of some parts, each of which must have been told.
fn of(told: &BTreeMap<String, f64>, parts: &[&str]) -> Result<f64> {
    parts.iter().map(|part| told.get(*part).copied().with_context(|| format!("nothing was told of `{part}`"))).sum()
}

fn kernels(alone: &Alone) -> Result<()> {
    say(format_args!(
        "\n{:<58} {:>9} {:>9}",
        format!("the same functions without Spark, {} rows, one core", alone.rows),
        "rows/s",
        "µs a row"
    ));
    let learn = format!("learn: chunks as they come, {} micro-clusters at the end", alone.alive);
    let lines: [(&str, &[&str]); 5] = [
        ("prepare: the kernel", &["prepare"]),
        ("prepare: with records out of lines", &["prepare", "prepare_python"]),
        (&learn, &["learn"]),
        ("deliver: pages, decisions, Parquet", &["deliver", "deliver_python", "parquet"]),
        ("prepare and deliver", &["prepare", "prepare_python", "deliver", "deliver_python", "parquet"]),
    ];
    for (name, parts) in lines {
        let seconds = of(&alone.processor, parts)?;
        say(format_args!("{name:<58} {:>9.0} {:>9.2}", alone.rows / seconds, 1e6 * seconds / alone.rows));
    }
    Ok(())
}

/// Steps of a batch, and what they say of more cores.
fn more_executors(sizes: [&Size; 2], sides: &[Sides]) {
    let at = |cores: usize| [sides[0].ours[cores].batch(), sides[1].ours[cores].batch()];
    for (at, cores) in [at(0), at(1)].iter().zip(CORES) {
        let Model(model) = Model::through(&at[0], &at[1]);
        let [small, large] = sizes.map(|size| format!("{} rows", size.rows));
        let title = format!("local[{cores}]: ms of a batch");
        say(format_args!("\n{title:<30} {small:>14} {large:>14} {:>14} {:>11}", "whatever rows", "µs a row"));
        let [small, large] = at.each_ref().map(|batch| batch.steps.all());
        for (at, (name, step, _)) in model.all().into_iter().enumerate() {
            let (small, large) = (1e3 * small[at].1, 1e3 * large[at].1);
            say(format_args!("{name:<30} {small:>14.0} {large:>14.0} {:>14.0} {:>11.2}", 1e3 * step.fixed, 1e6 * step.a_row));
        }
    }
    let model = Model::through(&at(0)[0], &at(0)[1]);
    let rows = [sizes[0].rows as f64, sizes[1].rows as f64, 10.0 * sizes[1].rows as f64];
    say(format_args!("\nrows/s foretold from local[1]; batches of {rows:?} rows"));
    let line =
        |name: &str, rates: [f64; 3]| say(format_args!("{name:<30} {:>12.0} {:>12.0} {:>12.0}", rates[0], rates[1], rates[2]));
    for cores in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] {
        line(&format!("{cores} cores of executors"), rows.map(|rows| model.rate(cores, rows)));
    }
    line("any number", rows.map(|rows| model.limit(rows)));
    let [small, large] = [0, 1].map(|size| sides[size].ours[1].steady.rate());
    say(format_args!("measured with 2: {small:.0} and {large:.0}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { rows: 2, warm: 1, steady: 1 };

    fn cut_text(text: &str) -> Result<Vec<(String, SystemTime)>> {
        let folder = tempfile::tempdir()?;
        let csv = folder.path().join("rows.csv");
        std::fs::write(&csv, text)?;
        let cut = cut(&csv, &folder.path().join("in"), &SIZE)?;
        let mut paths: Vec<_> = std::fs::read_dir(cut)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        paths.sort();
        paths.iter().map(|path| Ok((std::fs::read_to_string(path)?, path.metadata()?.modified()?))).collect()
    }

    #[test]
    fn files_hold_half_a_batch_each_under_the_header_and_age_in_their_order() {
        let files = cut_text("id,title\n1,a\n2,\"b \"\"x\"\"\"\n3,c\n4,d\n5,e\n").unwrap();
        let texts: Vec<_> = files.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["id,title\n1,a\n", "id,title\n2,\"b \"\"x\"\"\"\n", "id,title\n3,c\n", "id,title\n4,d\n"]);
        assert!(files.is_sorted_by(|(_, a), (_, b)| a < b));
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let error = |text| format!("{:#}", cut_text(text).unwrap_err());
        assert!(error("id,title\n1,\"a\nb\"\n2,c\n3,d\n4,e\n").contains("spans lines"));
        assert!(error("id,title\n1,a\n2,b\n3,c\n").contains("fewer rows"));
    }
}
