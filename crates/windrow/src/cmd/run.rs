//! `windrow run`: reads, clusters, writes, commits.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};
use windrow_core::record::RejectReason;
use windrow_engine::checkpoint::{Layout, manifest::Manifest};
use windrow_engine::clock::SystemClock;
use windrow_engine::error::{Error, ErrorKind, place, quoted};
use windrow_engine::run::{self, Control, Ended, Job, Roll, Standing, Summary, Told};
use windrow_engine::settings::Settings;
use windrow_engine::sink::topics::TopicOutput;
use windrow_engine::source::Asked;
use windrow_engine::source::kafka::{Start, TopicInput};

use super::serving::{ServeFlags, Shown};
use super::{App, Done, Exit, Failure};
use crate::args::{Format, KafkaFlags, KeySet, SettingFlags};
use crate::progress::{ProgressLine, rate};
use crate::signals::Watch;
use crate::term::{Style, text};

/// The settings of `run`.
#[derive(Debug)]
pub(crate) struct RunKeys;

impl KeySet for RunKeys {
    const KEYS: &'static [&'static str] = &[
        "source.input",
        "source.columns",
        "source.keep",
        "source.input_format",
        "source.delimiter",
        "source.encoding",
        "source.follow",
        "source.topic",
        "source.format",
        "source.from",
        "source.on_data_loss",
        "output.out",
        "output.state",
        "output.kafka",
        "output.roll_rows",
        "output.roll_size",
        "output.roll_seconds",
        "model.kind",
        "watch.false_alarms",
        "model.clusters",
        "model.seed",
        "run.threads",
        "limits.memory",
    ];
}

/// Cluster what there is to read into Parquet, exactly once
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow run --input pages.csv.gz --out out
  windrow run --input 'data/*.csv' --out out --clusters 20
  windrow run --input feed.csv --columns url=landing,title=name --out out
  windrow run --input access.csv --follow --out out
  zcat feed.gz | windrow run --input - --out out
  windrow run --kafka localhost:9092 --from-topic pages --from earliest --out out

Run again with the same --out it reads only what is new. Ctrl-C commits what
was learnt; the same command goes on from there.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<RunKeys>,
    /// Take inputs that this state has never seen, beside or instead of the known
    #[arg(long)]
    new: bool,
    /// End where the topic ends, instead of waiting for more; files end without --follow
    #[arg(long)]
    until_end: bool,
    /// Wait beside the process that owns the output, and go on when it dies
    #[arg(long)]
    standby: bool,
    #[command(flatten)]
    serve: ServeFlags,
    #[command(flatten)]
    kafka: KafkaFlags,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let resolved = app.settings(&[args.settings.given.clone(), args.kafka.given()?].concat())?;
    let mut job = job(&resolved.settings, args.new)?;
    if let Some(topic) = &mut job.topic {
        topic.until_end = args.until_end;
    }
    if args.settings.given.iter().any(|given| given.key == "source.from")
        && let Some(topic) = known_topic(&job)
    {
        app.term.say(&format!("note: --from is passed over: {topic} goes on where it was read up to"));
    }
    if job.topic.is_some() && job.files != Asked::default() {
        app.term.say(
            "note: input_format, delimiter and encoding are passed over: they are of files; messages are read by source.format",
        );
    }
    let control = Arc::new(Control::default());
    Watch::start(&control)?;
    let talks = app.term.may_talk();
    control.on_wait(move |told| {
        let told = match told {
            Told::Waits(error) => format!("waits: {}", text::plain(&error.message)),
            Told::Still(error, waited) => {
                format!("still waits, for {}: {}", text::seconds(waited.as_secs_f64()), text::plain(&error.message))
            }
            Told::GoesOn(waited) => format!("goes on after {}", text::seconds(waited.as_secs_f64())),
            Told::Note(note) => format!("note: {}", text::plain(note)),
        };
        if talks {
            // Nobody is left to read it when stderr is closed: the run waits all the same.
            let _ = writeln!(std::io::stderr(), "{told}");
        }
    });
    let clock = SystemClock::new();
    let mut shown = None;
    let ended = loop {
        if args.standby {
            run::stand_by(&job, &app.clock, &control, &mut |standing| tell_standing(standing, app))?;
            if let Some(exit) = asked_to_end(&control) {
                app.term.say("stood by; nothing was run");
                return Ok(exit);
            }
        }
        if shown.is_none() {
            shown = Shown::start(&args.serve, (&job, &resolved), &clock, app)?;
        }
        let mut line = ProgressLine::new(&app.term);
        let ended = run::run(&job, &app.clock, &control, &mut |progress| {
            line.update(progress);
            shown.iter_mut().for_each(|shown| shown.update(progress));
        });
        line.finish();
        match ended {
            // Another standby was faster.
            Err(error) if args.standby && error.code == "E-LOCKED" => {}
            ended => break ended,
        }
    };
    Shown::end(shown, ended.as_ref().map(|summary| summary.ended));
    let summary = ended?;
    report(&summary, &job, app)?;
    match summary.ended {
        Ended::Interrupted => Ok(Exit::Interrupted),
        Ended::EndOfInput | Ended::Stopped => Ok(Exit::Fine),
    }
}

/// The topic to read, if the state has read it before. What is wrong with a state is the run's to say.
fn known_topic(job: &Job) -> Option<&str> {
    let topic = job.topic.as_ref()?;
    let layout = Layout::find(&job.out, job.state.as_deref()).ok()?;
    let manifest = Manifest::read(&layout.manifest()).ok()??;
    let begins = format!("{}/", topic.name());
    manifest.positions.sources.iter().any(|source| source.name.starts_with(&begins)).then_some(&topic.topic)
}

fn tell_standing(standing: &Standing, app: &App) {
    match standing {
        Standing::Behind(holder) => app.term.say(&format!("stands by behind process {} on {}", holder.pid, holder.host)),
        Standing::Killed(holder) => app.term.say(&format!(
            "process {} was stopped for {} s and held everything up: killed; takes over",
            holder.pid,
            run::STOPPED.as_secs()
        )),
    }
}

fn asked_to_end(control: &Control) -> Option<Exit> {
    control.asked().map(|ended| if ended == Ended::Interrupted { Exit::Interrupted } else { Exit::Fine })
}

/// What the engine is to do.
pub(super) fn job(settings: &Settings, accept_new: bool) -> Result<Job, Error> {
    let (source, output) = (&settings.source, &settings.output);
    if source.input.is_empty() && source.topic.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-NONE", "there is nothing to read").hint(
            "give files, directories or globs with --input, or a topic with --from-topic; `windrow demo` shows how it works",
        ));
    }
    if !source.input.is_empty() && !source.topic.is_empty() {
        let message = format!("files and the topic {} cannot be read in one run", source.topic);
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-BOTH", message).hint(
            "read the files first, then run again with the topic, the same --out and --new: it goes on with the same clusters",
        ));
    }
    Ok(Job {
        inputs: source.input.clone(),
        topic: topic(settings),
        output: topic_output(settings),
        columns: settings.source.columns.clone(),
        keep: settings.source.keep.clone(),
        follow: source.follow && source.topic.is_empty(),
        files: settings.source.files,
        max_record_bytes: settings.limits.max_record,
        max_unpacked: settings.limits.max_unpacked,
        rules: settings.clean.rules.clone(),
        out: output.out.clone(),
        state: output.state.clone(),
        copy: output.copy,
        model: settings.model.clone(),
        weights: settings.features.clone(),
        false_alarms: Some(settings.watch.false_alarms),
        threads: threads(settings.run.threads),
        roll: Roll {
            rows: if output.roll_rows == 0 { u64::MAX } else { output.roll_rows },
            bytes: output.roll_size,
            age: Duration::from_secs(output.roll_seconds),
        },
        memory_bytes: settings.limits.memory,
        free_disk: settings.limits.free_disk,
        accept_new,
    })
}

/// The topic to read, if there is one.
pub(super) fn topic(settings: &Settings) -> Option<TopicInput> {
    let source = &settings.source;
    (!source.topic.is_empty()).then(|| TopicInput {
        keys: settings.kafka.clone(),
        topic: source.topic.clone(),
        format: source.format,
        start: Start::named(&source.from),
        on_data_loss: source.on_data_loss,
        until_end: false,
        is_again: false,
    })
}

/// The topics to write, if there are any.
pub(super) fn topic_output(settings: &Settings) -> Option<TopicOutput> {
    let (output, slots, route) = (&settings.output, settings.model.clusters.slots(), settings.route()?);
    let (value, key, time) = (output.value, output.key, output.message_time);
    let epoch = Duration::from_millis(output.epoch_ms);
    Some(TopicOutput {
        keys: settings.kafka.clone(),
        route,
        slots,
        value,
        key,
        time,
        epoch,
        memory_bytes: settings.limits.memory,
    })
}

/// Threads to start: as set, else one a core.
pub(super) fn threads(set: usize) -> usize {
    if set > 0 { set } else { std::thread::available_parallelism().map_or(1, std::num::NonZero::get) }
}

fn report(summary: &Summary, job: &Job, app: &mut App) -> Result<(), Failure> {
    let seconds = summary.elapsed.as_secs_f64();
    if app.term.format == Format::Json {
        app.term.json(&json!({
            "schema": "windrow.run/1",
            "ended": summary.ended.code(),
            "rows": summary.run.rows,
            "pages": summary.run.pages,
            "rejects": summary.run.n_rejects(),
            "rejects_by_reason": reasons(&summary.run.rejects),
            "novel": summary.run.novel,
            "duplicates": summary.run.duplicates,
            "total": {"rows": summary.total.rows, "pages": summary.total.pages, "rejects": summary.total.n_rejects()},
            "commit": summary.epoch,
            "seconds": seconds,
            "rows_per_s": summary.run.rows as f64 / seconds.max(1e-9),
            "notes": summary.notes,
        }))?;
    }
    if app.term.format == Format::Tsv {
        app.term.tsv(&["rows", "pages", "rejects", "novel", "commit", "seconds"])?;
        let counts = [summary.run.rows, summary.run.pages, summary.run.n_rejects(), summary.run.novel, summary.epoch];
        let counts = counts.map(|count| count.to_string()).into_iter();
        app.term.tsv(&counts.chain([format!("{seconds:.3}")]).collect::<Vec<_>>())?;
    }
    tell(summary, job, app);
    Ok(())
}

/// Says what was done, and what to do next.
fn tell(summary: &Summary, job: &Job, app: &App) {
    tell_counts(summary, app);
    if summary.ended != Ended::EndOfInput {
        let again = app.term.paint_talk(Style::Bold, &command_line());
        app.term.say(&format!("stopped; everything learnt is committed. Resume with:\n  {again}"));
        return;
    }
    let place = place(&job.out, job.state.as_deref());
    propose(
        &[
            ("what was found", format!("windrow clusters {place}")),
            ("nothing lost?", format!("windrow audit {place}")),
            ("with DuckDB", query(&job.out.display().to_string())),
        ],
        app,
    );
}

/// Says what was noticed and what was done.
pub(super) fn tell_counts(summary: &Summary, app: &App) {
    summary.notes.iter().for_each(|note| app.term.say(&format!("note: {}", text::plain(note))));
    app.term.say(&told(summary, summary.elapsed.as_secs_f64()));
}

/// Says which commands are worth a try.
pub(super) fn propose(next: &[(&str, String)], app: &App) {
    for (why, command) in next {
        app.term.say(&format!("  {} {command}", app.term.paint_talk(Style::Dim, &text::fit(why, 15, false))));
    }
}

fn told(summary: &Summary, seconds: f64) -> String {
    let run = &summary.run;
    let in_all = format!("in all {} (commit {})", text::counted(summary.total.rows, "row"), summary.epoch);
    if run.rows == 0 {
        return format!("nothing new to read; {in_all}");
    }
    let mut told = format!(
        "{} in {} ({}/s): {}, {}",
        text::counted(run.rows, "row"),
        text::seconds(seconds),
        text::count(rate(run.rows, seconds)),
        text::counted(run.pages, "page"),
        text::counted(run.n_rejects(), "reject"),
    );
    let reasons = reasons(&run.rejects);
    if !reasons.is_empty() {
        let list: Vec<String> = reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let _ = write!(told, " ({})", list.join(", "));
    }
    if run.duplicates > 0 {
        let _ = write!(told, ", {}", text::counted(run.duplicates, "duplicate"));
    }
    told + "; " + &in_all
}

/// Counts by their reason's code, those that are not 0; `counts` in the order of [`RejectReason::ALL`].
pub(super) fn reasons(counts: &[u64; RejectReason::ALL.len()]) -> Map<String, serde_json::Value> {
    RejectReason::ALL
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| (reason.code().to_owned(), (*count).into()))
        .collect()
}

/// A query that reads the output.
pub(super) fn query(out: &str) -> String {
    let path = format!("{}/pages/*.parquet", out.trim_end_matches('/')).replace('\'', "''");
    format!("duckdb -c \"from '{path}' select cluster, last(label), count(*) group by 1 order by 3 desc\"")
}

/// The command line that this process was started with.
fn command_line() -> String {
    let args = std::env::args_os().skip(1).map(|arg| quoted(&arg.to_string_lossy()));
    std::iter::once("windrow".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}
