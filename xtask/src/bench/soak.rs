//! `cargo xtask bench soak`: a run at full speed for as long as one likes, looked at from outside. What it holds must not grow with the
//! rows it has read: memory, descriptors, threads, files of its state; and of its output no more files than its commits made.
//!
//! Memory is judged by its slope over the second half: by then the model is as large as its bounds let it be. Eight hours at that slope
//! must leave it within its budget. Of less than fifteen minutes no slope is judged, as the model still fills.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::served::Served;
use crate::shell::{Watch, fresh_dir, let_pass, memory, say, stdout, windrow};

const MIB: f64 = (1 << 20) as f64;
/// Most memory, in MiB; what it may grow by in eight hours at the slope that was seen; and minutes from which on a slope is judged.
const MEMORY: f64 = 512.0;
const GROWTH: f64 = 256.0;
const JUDGED: f64 = 15.0;
/// Most descriptors and threads, and how many more of them the second half may have than the first: what happens now and then.
const DESCRIPTORS: usize = 64;
const THREADS: usize = 32;
const MORE: usize = 4;
/// Files of a state, besides one in so many commits that lists older files; and files of the output that are not in view yet.
const STATE_FILES: usize = 32;
const COMMITS_A_LIST: usize = 200;
const HIDDEN: usize = 8;
/// Families of which a commit makes a file.
const FAMILIES: usize = 3;
const STEP: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// Build profile
    #[arg(long, default_value = "release")]
    profile: String,
}

impl Args {
    /// What the suites run.
    pub(crate) fn short() -> Self {
        Self { minutes: 0.4, profile: "fast".into() }
    }
}

/// How a run stood at a moment.
#[derive(Clone, Copy)]
struct Look {
    minute: f64,
    mib: f64,
    descriptors: usize,
    threads: usize,
    state: usize,
    out: usize,
}

/// A number of a look.
type Part = fn(&Look) -> usize;

pub(crate) fn soak(args: &Args) -> Result<()> {
    let (windrow, out) = (windrow(&args.profile, &[])?, fresh_dir("soak")?);
    let mut run = Command::new(&windrow);
    run.args(["run", "--quiet", "--input", "generator:rows=1000000000000,seed=7", "--roll-seconds", "1", "--out"]).arg(&out);
    let mut run = Served::start(&mut run)?;
    let (watch, mut looks) = (Watch::start(), Vec::new());
    while watch.seconds() < args.minutes * 60.0 {
        ensure!(run.child.try_wait()?.is_none(), "the run ended by itself");
        looks.push(look(run.child.id(), &out, watch.seconds() / 60.0)?);
        let_pass(STEP);
    }
    kill_process(Pid::from_child(&run.child), Signal::TERM)?;
    let ended = run.child.wait()?;
    ensure!(ended.success(), "the run ended with {ended}");
    let status = stdout(Command::new(&windrow).args(["status", "-o", "json", "--out"]).arg(&out))?;
    let status: Value = serde_json::from_str(&status)?;
    let count = |name: &str| status[name].as_u64().with_context(|| format!("{name} of {status}"));
    let (rows, commits) = (count("rows")?, count("commit")?);
    say(format_args!("{rows} rows and {commits} commits in {:.1} minutes, {} looks", args.minutes, looks.len()));
    let judged = judge(&looks, usize::try_from(commits)?);
    std::fs::remove_dir_all(out)?;
    judged
}

fn look(pid: u32, out: &Path, minute: f64) -> Result<Look> {
    let count = |folder: &str| -> Result<usize> { Ok(std::fs::read_dir(format!("/proc/{pid}/{folder}"))?.count()) };
    let state = files(&out.join(".windrow"));
    Ok(Look {
        minute,
        mib: memory(pid, "VmRSS")? as f64 / MIB,
        descriptors: count("fd")?,
        threads: count("task")?,
        state,
        out: files(out).saturating_sub(state),
    })
}

/// Files in a folder and below it; what goes while it is counted does not count.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.file_type().is_ok_and(|kind| kind.is_dir()) { files(&entry.path()) } else { 1 }).sum()
}

/// Prints what was seen; fails when a bar is missed.
fn judge(looks: &[Look], commits: usize) -> Result<()> {
    ensure!(looks.len() >= 20 && commits >= 5, "{} looks and {commits} commits prove nothing", looks.len());
    let (first, second) = looks.split_at(looks.len() / 2);
    let most = |looks: &[Look], of: Part| looks.iter().map(of).max().unwrap_or(0);
    let peak = looks.iter().fold(0.0, |most: f64, look| most.max(look.mib));
    let slope = slope(second);
    let is_judged = looks.last().is_some_and(|last| last.minute >= JUDGED * 0.99);
    say(format_args!(
        "memory at most {peak:.0} MiB (bar {MEMORY:.0}), {slope:+.2} MiB a minute in the second half (bar {:.2}{})",
        GROWTH / 480.0,
        if is_judged { "" } else { ", not judged" }
    ));
    let mut missed = Vec::new();
    let mut bar = |is_met: bool, what: &str| missed.extend((!is_met).then(|| what.to_owned()));
    bar(peak <= MEMORY, "memory");
    bar(!is_judged || slope <= GROWTH / 480.0, "the slope of memory");
    let lasting: [(&str, Part, usize); 2] =
        [("descriptors", |look| look.descriptors, DESCRIPTORS), ("threads", |look| look.threads, THREADS)];
    for (what, of, limit) in lasting {
        let (early, late) = (most(first, of), most(second, of));
        say(format_args!("{what}: at most {early} in the first half, {late} in the second (bar {limit}, and {MORE} more)"));
        bar(early.max(late) <= limit && late <= early + MORE, what);
    }
    let limits = [STATE_FILES + commits / COMMITS_A_LIST, FAMILIES * commits + HIDDEN];
    let files: [(&str, Part); 2] = [("files of the state", |look| look.state), ("files of the output", |look| look.out)];
    for ((what, of), limit) in files.into_iter().zip(limits) {
        say(format_args!("{what}: at most {} (bar {limit})", most(looks, of)));
        bar(most(looks, of) <= limit, what);
    }
    ensure!(missed.is_empty(), "over the bar: {}", missed.join(", "));
    Ok(())
}

/// By how many MiB a minute memory grows: the line with the least squares.
fn slope(looks: &[Look]) -> f64 {
    let n = looks.len() as f64;
    let mean = |of: fn(&Look) -> f64| looks.iter().map(of).sum::<f64>() / n;
    let (minute, mib) = (mean(|look| look.minute), mean(|look| look.mib));
    let with = looks.iter().map(|look| (look.minute - minute) * (look.mib - mib)).sum::<f64>();
    let alone = looks.iter().map(|look| (look.minute - minute).powi(2)).sum::<f64>();
    with / alone.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks of twenty minutes at a run whose memory grows by so much a minute.
    fn looks(growth: f64) -> Vec<Look> {
        let look = |at: u32| {
            let minute = f64::from(at) / 5.0;
            Look { minute, mib: 200.0 + growth * minute, descriptors: 20, threads: 9, state: 9, out: 30 }
        };
        (0..=100).map(look).collect()
    }

    #[test]
    fn what_grows_is_seen() {
        assert!((slope(&looks(3.0)) - 3.0).abs() < 1e-9);
        assert!(judge(&looks(0.1), 10).is_ok());
        let told = |looks: &[Look], commits: usize| judge(looks, commits).unwrap_err().to_string();
        assert_eq!(told(&looks(0.9), 10), "over the bar: the slope of memory");
        let with = |change: fn(&mut Look)| {
            let mut looks = looks(0.0);
            looks[80..].iter_mut().for_each(change);
            looks
        };
        assert_eq!(told(&with(|look| look.descriptors = 25), 10), "over the bar: descriptors");
        assert_eq!(told(&with(|look| look.threads = 14), 10), "over the bar: threads");
        assert_eq!(told(&with(|look| look.mib = 600.0), 10), "over the bar: memory, the slope of memory");
        assert_eq!(told(&with(|look| look.state = 50), 10), "over the bar: files of the state");
        assert_eq!(told(&with(|look| look.out = 60), 10), "over the bar: files of the output");
        assert!(told(&looks(0.0)[..10], 10).contains("prove nothing"));
    }
}
