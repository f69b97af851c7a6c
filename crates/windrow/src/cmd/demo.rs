//! `windrow demo`: the whole thing on made-up pages and a real sample, within seconds, with nothing to set up.
//!
//! A run like any other, on the 100 real pages that are built in and on the generator; only its pace is held back, so that one can
//! watch. On a terminal the clusters are a picture that moves; elsewhere the last one is printed.

mod picture;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use windrow_engine::checkpoint::{self, lock::Lock};
use windrow_engine::clock::SystemClock;
use windrow_engine::error::{Error, ErrorKind, quoted};
use windrow_engine::observe::Progress;
use windrow_engine::run::{self, Control, Ended, Job, Roll};
use windrow_engine::settings::Settings;

use self::picture::Picture;
use super::run::{propose, query, tell_counts, threads};
use super::serving::{ServeFlags, Shown};
use super::{App, Done, Exit};
use crate::args::{Format, KeySet, SettingFlags};
use crate::progress::ProgressLine;
use crate::signals::Watch;
use crate::term::Term;
use crate::term::live::Live;

const SAMPLE_NAME: &str = "sample_campaign_data_2023.csv";
const SAMPLE: &[u8] = include_bytes!("../../../../examples/data/sample_campaign_data_2023.csv");
/// Marks a directory that a demo made, and may make anew.
const MARK: &str = ".windrow-demo";
/// Time between two pictures.
const FRAME: Duration = Duration::from_millis(400);
/// Time between two commits, so that the Parquet can be looked at meanwhile.
const ROLL: Duration = Duration::from_secs(5);
const ROWS_TO_WATCH: u64 = 1_200_000;
const ROWS_TO_PRINT: u64 = 100_000;
const RATE_TO_WATCH: u64 = 20_000;

/// The settings of `demo`.
#[derive(Debug)]
pub(crate) struct DemoKeys;

impl KeySet for DemoKeys {
    const KEYS: &'static [&'static str] = &["model.clusters", "run.threads"];
}

/// See it work: live clusters of made-up pages and a real sample
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow demo                     watch; Ctrl-C ends, with everything committed
  windrow demo --once              as fast as it goes, then print the clusters
  windrow demo --rate 0 --rows 0   at full speed, until Ctrl-C
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<DemoKeys>,
    /// Directory of input and output, made anew each time
    #[arg(long, value_name = "DIR", default_value = "windrow-demo")]
    out: PathBuf,
    /// Pages to make up; 0: without end [default: 1200000 to watch, 100000 to print]
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Pages a second; 0: as fast as it goes [default: 20000 to watch, 0 to print]
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// End after this many seconds; 0: with the last page
    #[arg(long, value_name = "S", default_value_t = 0)]
    seconds: u64,
    /// Nothing that moves: run through, then print the clusters
    #[arg(long)]
    once: bool,
    /// Open the page in a browser
    #[arg(long, conflicts_with = "no_serve")]
    open: bool,
    #[command(flatten)]
    serve: ServeFlags,
}

/// The sample, then rows that are made up: what concerns other people's columns and rows is not asked of them.
fn job(args: &Args, settings: &Settings, rows: u64) -> Job {
    let inputs = vec![args.out.join(SAMPLE_NAME).display().to_string(), format!("generator:rows={rows},seed=1")];
    Job {
        roll: Roll { age: ROLL, ..Roll::default() },
        model: settings.model.clone(),
        weights: settings.features.clone(),
        false_alarms: Some(settings.watch.false_alarms),
        threads: threads(settings.run.threads),
        max_record_bytes: settings.limits.max_record,
        max_unpacked: settings.limits.max_unpacked,
        memory_bytes: settings.limits.memory,
        free_disk: settings.limits.free_disk,
        ..Job::new(inputs, args.out.clone())
    }
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let resolved = app.settings(&args.settings.given)?;
    let settings = &resolved.settings;
    let is_live = !args.once && app.term.is_live() && app.term.format == Format::Text;
    prepare(&args.out)?;
    let rows = args.rows.unwrap_or(if is_live { ROWS_TO_WATCH } else { ROWS_TO_PRINT });
    let rows = if rows == 0 { u64::MAX >> 1 } else { rows };
    let job = job(args, settings, rows);
    let control = Arc::new(Control::default());
    let watch = Watch::start(&control)?;
    let clock = SystemClock::new();
    let mut shown = Shown::start(&args.serve, (&job, &resolved), &clock, app)?;
    if let Some(shown) = shown.as_ref().filter(|_| args.open) {
        open_in_browser(&shown.url, app);
    }
    let mut stage = Stage {
        pace: args.rate.unwrap_or(if is_live { RATE_TO_WATCH } else { 0 }),
        end: (args.seconds > 0).then(|| Duration::from_secs(args.seconds)),
        line: (!is_live).then(|| ProgressLine::new(&app.term)),
        live: Live::new(&app.term),
        picture: Picture::new(&args.out),
        next: Duration::ZERO,
        control: &control,
        watch: &watch,
        term: &app.term,
    };
    let ended = run::run(&job, &app.clock, &control, &mut |progress| {
        shown.iter_mut().for_each(|shown| shown.update(progress));
        stage.show(progress);
    });
    stage.live.leave();
    if let Some(line) = &stage.line {
        line.finish();
    }
    Shown::end(shown, ended.as_ref().map(|summary| summary.ended));
    let summary = ended?;
    if !is_live && let Some(reading) = checkpoint::read_state(&args.out, None)? {
        super::clusters::print(&reading, false, app)?;
        app.term.flush()?;
    }
    tell_counts(&summary, app);
    let out = quoted(&args.out.display().to_string());
    propose(
        &[
            ("what was found", format!("windrow clusters --out {out}")),
            ("why there", format!("windrow explain --out {out} --id 1761259107")),
            ("with DuckDB", query(&args.out.display().to_string())),
            ("your own pages", "windrow run --input pages.csv --out out".into()),
        ],
        app,
    );
    match summary.ended {
        Ended::Interrupted => Ok(Exit::Interrupted),
        Ended::EndOfInput | Ended::Stopped => Ok(Exit::Fine),
    }
}

/// Asks the desktop to open a page; nobody waits for it.
fn open_in_browser(url: &str, app: &App) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = || std::process::Stdio::null();
    if let Err(error) = Command::new(program).arg(url).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn() {
        app.term.say(&format!("note: cannot call {program} ({error}): open the URL above"));
    }
}

/// Makes the directory anew, if it is one that a demo may make anew, and puts the sample there.
fn prepare(dir: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Environment, "E-WRITE", format!("cannot write to {}", dir.display()))
            .cause(error)
            .hint("give a directory that can be written with --out")
    };
    let is_ours = dir.join(MARK).exists();
    let is_taken = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if is_taken && !is_ours {
        let message = format!("{} holds something that is not a demo's", dir.display());
        return Err(Error::new(ErrorKind::Invalid, "E-EXISTS", message).hint("give another directory with --out"));
    }
    if let Some(holder) = Lock::holder(&dir.join(".windrow/lock"))? {
        let message = format!("a demo is running in {} (process {})", dir.display(), holder.pid);
        return Err(Error::new(ErrorKind::Fenced, "E-LOCKED", message).hint("end it first, or give another --out"));
    }
    std::fs::create_dir_all(dir).map_err(failed)?;
    for made in ["pages", "rejects", "lineage", ".windrow"] {
        match std::fs::remove_dir_all(dir.join(made)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    std::fs::write(dir.join(MARK), "made by `windrow demo`, which may make it anew\n").map_err(failed)?;
    std::fs::write(dir.join(SAMPLE_NAME), SAMPLE).map_err(failed)
}

/// What happens after each batch: a picture or a line when it is time to, and a rest when the run is ahead of its pace.
struct Stage<'a> {
    /// Rows a second; 0 for no limit.
    pace: u64,
    end: Option<Duration>,
    line: Option<ProgressLine>,
    live: Live,
    picture: Picture,
    next: Duration,
    control: &'a Control,
    watch: &'a Watch,
    term: &'a Term,
}

impl Stage<'_> {
    fn show(&mut self, progress: &Progress<'_>) {
        self.picture.note(progress);
        match &mut self.line {
            Some(line) => line.update(progress),
            None if progress.elapsed >= self.next => {
                let lines = self.picture.lines(progress, self.term.size(), self.term.color);
                // Whoever closes the terminal does not want the rest either.
                if self.live.draw(&lines).is_err() {
                    self.control.stop();
                }
                self.next = progress.elapsed + FRAME;
            }
            None => {}
        }
        if self.end.is_some_and(|end| progress.elapsed >= end) {
            self.control.stop();
        }
        if self.pace > 0 {
            let due = Duration::from_secs_f64(progress.run.rows as f64 / self.pace as f64);
            self.watch.wait(due.saturating_sub(progress.elapsed));
        }
    }
}
