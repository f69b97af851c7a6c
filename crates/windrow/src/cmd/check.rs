//! `windrow check`: looks at everything that a run needs, and writes nothing that stays.

mod brokers;
mod files;
pub(super) mod sample;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use windrow_core::pipeline::Preparer;
use windrow_core::record::{COLUMNS, Pages};
use windrow_engine::checkpoint::{Layout, lock::Lock, manifest::Manifest, manifest::StateSettings};
use windrow_engine::disk;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::Broker;
use windrow_engine::kafka::produce::STDIN;
use windrow_engine::observe::Counters;
use windrow_engine::settings::Settings;
use windrow_engine::source::parse::Parser;
use windrow_engine::source::propose::propose_files;
use windrow_engine::source::{self, Form, Limits, Positions, Wanted, Written};

use self::files::Files;
use super::run::{job, reasons};
use super::{App, Done, Exit, Failure};
use crate::args::{Format, KafkaFlags, KeySet, SettingFlags};
use crate::term::{Style, text};

/// Rows shown as they were parsed.
const SHOWN: usize = 5;

/// The settings of `check`: those of `run`, and the topic.
#[derive(Debug)]
pub(crate) struct CheckKeys;

impl KeySet for CheckKeys {
    const KEYS: &'static [&'static str] = &[
        "source.input",
        "source.columns",
        "source.keep",
        "source.input_format",
        "source.delimiter",
        "source.encoding",
        "source.topic",
        "source.format",
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

/// Look at inputs, brokers, output and state; writes nothing
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow check --input pages.csv.gz --out out
  windrow check --input feed.csv               how to read it, and the line to run
  windrow check --input feed.csv --columns url=landing,title=name
  windrow check --kafka localhost:9092 --from-topic topic_url --sample 20
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<CheckKeys>,
    #[command(flatten)]
    kafka: KafkaFlags,
    /// Rows to look at for rejects
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rows: u64,
    /// Newest messages of the topic to show, as the pages and rejects they would be, in place of a look at brokers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    sample: Option<u32>,
}

/// What a look at one thing gave.
#[derive(Debug)]
struct Finding {
    what: &'static str,
    told: String,
    /// Code and hint of what is wrong; none when all is well.
    problem: Option<(&'static str, Option<String>)>,
}

impl Finding {
    fn fine(what: &'static str, told: impl Into<String>) -> Self {
        Self { what, told: told.into(), problem: None }
    }

    fn bad(what: &'static str, error: &Error) -> Self {
        let told = std::iter::once(&error.message).chain(&error.causes).cloned().collect::<Vec<_>>().join("; ");
        Self { what, told, problem: Some((error.code, error.hint.clone())) }
    }
}

/// What the first rows of the inputs look like.
#[derive(Debug, Default)]
struct Preview {
    counters: Counters,
    rows: Vec<[String; 6]>,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let given = [args.settings.given.clone(), args.kafka.given()?].concat();
    let resolved = app.settings(&given)?;
    let settings = resolved.settings;
    let n_set = resolved.origins.iter().filter(|origin| **origin != windrow_engine::settings::Origin::Default).count();
    let mut findings = vec![Finding::fine("settings", format!("{n_set} set, the others as built in"))];
    if args.sample.is_some() && settings.source.topic.is_empty() {
        let error = Error::new(ErrorKind::Invalid, "E-USAGE", "--sample looks at messages, and no topic is given");
        return Err(error.hint("give one with --from-topic; the first rows of --input are shown without --sample").into());
    }
    if settings.source.topic.is_empty() || !settings.source.input.is_empty() {
        job(&settings, false)?;
    }
    let mut files = Files::look(&settings, (&given, app.global.config.as_deref()));
    let preview = inputs(&settings, &mut files, args.rows, &mut findings);
    let sample = match args.sample {
        Some(most) => messages(most, &settings, app, &mut findings)?,
        None => {
            findings.extend(brokers::brokers(&settings, app));
            None
        }
    };
    findings.push(output(&settings.output.out, settings.limits.free_disk));
    findings.extend(state(&settings, &files));
    let is_fine = findings.iter().all(|finding| finding.problem.is_none());
    match app.term.format {
        Format::Text => {
            print(&findings, &preview, app)?;
            files.line.iter().try_for_each(|line| tell_line(line, app))?;
            sample.iter().try_for_each(|sample| sample.print(app))?;
        }
        Format::Json => app.term.json(&object(&findings, &preview, &files, sample.as_ref(), is_fine))?,
        Format::Tsv => {
            app.term.tsv(&["what", "ok", "code", "message"])?;
            for finding in &findings {
                let code = finding.problem.as_ref().map_or("", |(code, _)| code);
                let ok = finding.problem.is_none().to_string();
                app.term.tsv(&[finding.what, &ok, code, &finding.told])?;
            }
        }
    }
    Ok(if is_fine { Exit::Fine } else { Exit::Bad })
}

/// The line to run, as it is to be typed: where a terminal cannot show it so, that is said.
fn tell_line(line: &str, app: &mut App) -> Result<(), Failure> {
    let plain = text::plain(line);
    let how = if plain == line {
        "to run it so:"
    } else {
        "to run it so (with blanks and signs that are not shown here: -o json has them):"
    };
    app.term.line(&format!("\n{how}\n  {plain}"))
}

/// Opens the inputs as they are given, and reads their first rows as the line does that is proposed.
fn inputs(settings: &Settings, files: &mut Files, most: u64, findings: &mut Vec<Finding>) -> Preview {
    let mut preview = Preview::default();
    let proposed = files.settings.as_ref();
    for input in &settings.source.input {
        let as_given = look_at(input, settings, if proposed.is_some() { 1 } else { most }, &mut preview);
        match &as_given {
            Ok(told) => findings.push(Finding::fine("input", format!("{input}: {told}"))),
            Err(error) => findings.push(Finding::bad("input", error)),
        }
    }
    findings.append(&mut files.findings);
    if let Some(proposed) = proposed {
        let as_given = &preview.counters;
        if as_given.n_rejects() * 2 > as_given.rows {
            let told =
                format!("as it is given, {} of the first {}", text::counted(as_given.n_rejects(), "reject"), as_given.rows);
            let problem = Some(("E-MOSTLY-REJECTS", Some("the line below reads it".to_owned())));
            findings.push(Finding { what: "given", told, problem });
        }
        preview = Preview::default();
        for input in &proposed.source.input {
            // One that even the line cannot read is told of by now.
            let _ = look_at(input, proposed, most, &mut preview);
        }
    }
    if settings.source.input.is_empty() {
        return preview;
    }
    let (counters, rejects) = (&preview.counters, preview.counters.n_rejects());
    let list = reasons(&counters.rejects);
    let list: Vec<String> = list.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let list = if list.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) };
    let by = if proposed.is_some() { " by the line below" } else { "" };
    let told = format!(
        "{} looked at{by}: {}, {}{list}",
        text::counted(counters.rows, "row"),
        text::counted(counters.pages, "page"),
        text::counted(rejects, "reject")
    );
    let mut finding = Finding::fine("rows", told);
    if rejects * 2 > counters.rows {
        let hint = "most rows would be rejected: are --columns, --delimiter and --encoding right?";
        finding.problem = Some(("E-MOSTLY-REJECTS", Some(hint.into())));
    }
    findings.push(finding);
    preview
}

/// Looks at messages of the topic; none when they cannot be got, which is a finding.
fn messages(most: u32, settings: &Settings, app: &App, findings: &mut Vec<Finding>) -> Result<Option<sample::Preview>, Error> {
    let broker = Broker::new(&settings.kafka)?;
    let looked = broker
        .sample(&settings.source.topic, most as usize, &app.clock)
        .and_then(|sample| sample::Preview::of(&sample, settings));
    let preview = match looked {
        Ok(preview) => preview,
        Err(error) => {
            findings.push(Finding::bad("sample", &error));
            return Ok(None);
        }
    };
    let mut finding = Finding::fine("sample", preview.told());
    if preview.counters().n_rejects() * 2 > preview.counters().rows {
        let hint = "most messages would be rejected: are --columns and --message-format right? `windrow init` proposes them";
        finding.problem = Some(("E-MOSTLY-REJECTS", Some(hint.into())));
    }
    findings.push(finding);
    Ok(Some(preview))
}

/// Reads the first rows of an input.
fn look_at(input: &str, settings: &Settings, most: u64, preview: &mut Preview) -> Result<String, Error> {
    let limits = Limits::of_records(settings.limits.max_record).unpacking(settings.limits.max_unpacked);
    if input == STDIN {
        // What it holds would be gone: refused with what to do.
        propose_files(input, settings.source.files, &settings.source.columns, limits.record_bytes)?;
    }
    let mut positions = Positions::default();
    let inputs = [input.to_owned()];
    let wanted = Wanted::once(&inputs, &settings.source.columns, settings.source.files, limits);
    let wanted = Wanted { keep: &settings.source.keep, ..wanted };
    let mut source = source::open(wanted, &mut positions)?.take();
    let (mut parser, mut preparer) =
        (Parser::new(), Preparer::with_rules(settings.features.clone(), settings.clean.rules.clone()));
    let mut columns = String::new();
    let before = preview.counters.rows;
    while preview.counters.rows - before < most {
        let Some(raw) = source.next()? else { break };
        if columns.is_empty() {
            columns = match &*raw.form {
                Form::Csv(layout) => format!("columns {}", found_columns(&layout.fields)),
                Form::Json(_) if positions.sources[raw.slice.source as usize].written() == Some(Written::Parquet) => {
                    "columns by name".to_owned()
                }
                Form::Json(_) => "an object a line".to_owned(),
            };
        }
        let prepared = preparer.prepare(parser.parse(&raw));
        preview.counters.rows += prepared.n_rows;
        preview.counters.pages += prepared.pages.len() as u64;
        for reject in &prepared.rejects {
            preview.counters.rejects[reject.reason.place()] += 1;
        }
        let left = SHOWN.saturating_sub(preview.rows.len());
        preview.rows.extend((0..prepared.pages.len().min(left)).map(|row| parsed(&prepared.pages, row)));
    }
    let sources = text::counted(positions.sources.len() as u64, "source");
    Ok(if columns.is_empty() { format!("{sources}, no rows yet") } else { format!("{sources}; {columns}") })
}

fn found_columns(fields: &[Option<u32>; 6]) -> String {
    let (found, missing): (Vec<_>, Vec<_>) = COLUMNS.iter().zip(fields).partition(|(_, field)| field.is_some());
    let names = |list: &[(&&str, &Option<u32>)]| list.iter().map(|(name, _)| **name).collect::<Vec<_>>().join(", ");
    if missing.is_empty() { names(&found) } else { format!("{}; without {}", names(&found), names(&missing)) }
}

fn parsed(pages: &Pages, row: usize) -> [String; 6] {
    let time = pages.creation_time[row].map(text::time).unwrap_or_default();
    let texts = [&pages.id, &pages.url, &pages.title, &pages.keywords, &pages.description];
    let [id, url, title, keywords, description] = texts.map(|column| column.get(row).to_owned());
    [time, id, url, title, keywords, description]
}

/// Whether the output can be written, and how much room there is.
fn output(out: &Path, reserve: u64) -> Finding {
    let there = nearest_dir(out);
    let probe = there.join(format!(".windrow-check-{}", std::process::id()));
    if let Err(error) = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)) {
        let told = format!("{} cannot be written: {error}", out.display());
        let hint = Some("give another --out, or mend the permission".into());
        return Finding { what: "output", told, problem: Some(("E-OUT-WRITE", hint)) };
    }
    let free = disk::free(&there);
    let told = format!(
        "{} can be written{}",
        out.display(),
        free.map(|free| format!(", {} free", text::bytes(free))).unwrap_or_default()
    );
    let mut finding = Finding::fine("output", told);
    if free.is_some_and(|free| free < reserve) {
        let hint = format!("free some room, or give an --out elsewhere: a run leaves {} free", text::bytes(reserve));
        finding.problem = Some(("E-DISK-FULL", Some(hint)));
    }
    finding
}

/// The nearest directory on the way to `path` that is there.
fn nearest_dir(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|part| part.is_dir());
    found.map_or_else(|| PathBuf::from("."), |part| if part.as_os_str().is_empty() { ".".into() } else { part.to_owned() })
}

fn state(settings: &Settings, files: &Files) -> Vec<Finding> {
    let look = || -> Result<Vec<Finding>, Error> {
        let layout = Layout::find(&settings.output.out, settings.output.state.as_deref())?;
        let mut findings = Vec::new();
        match Manifest::read(&layout.manifest())? {
            None => findings.push(Finding::fine("state", format!("{}: none yet", layout.state.display()))),
            Some(manifest) => {
                let told = format!("commit {}, {}", manifest.epoch, text::counted(manifest.counters.rows, "row"));
                let route = settings.route();
                let mut others = manifest.other_settings(&StateSettings {
                    model: &settings.model,
                    fields: &settings.features,
                    columns: &settings.source.columns,
                    keep: &settings.source.keep,
                    max_record: settings.limits.max_record,
                    rules: &settings.clean.rules,
                    false_alarms: Some(settings.watch.false_alarms),
                    route: route.as_ref(),
                })?;
                let known = manifest.positions.sources.iter().filter(|known| files.names(&known.name));
                let asked = settings.source.files;
                for (key, was, is) in known.filter_map(|known| Some(asked.others(known.written()?))).flatten() {
                    others.push((key.to_owned(), format!("`{was}`"), format!("`{is}`")));
                }
                let list: Vec<_> = others.iter().map(|(key, was, is)| format!("{key}: {was} there, {is} now")).collect();
                let problem = (!list.is_empty()).then(|| {
                    ("E-SETTINGS-STATE", Some("set them back, or give a new --out to start over with the new values".into()))
                });
                findings.push(Finding { what: "state", told: [vec![told], list].concat().join("; "), problem });
            }
        }
        findings.push(match Lock::holder(&layout.lock())? {
            None => Finding::fine("lock", "free"),
            Some(holder) => Finding {
                what: "lock",
                told: format!("process {} on {} runs this pipeline", holder.pid, holder.host),
                problem: Some(("E-LOCKED", Some("end it first (Ctrl-C commits), or give another --out".into()))),
            },
        });
        Ok(findings)
    };
    look().unwrap_or_else(|error| vec![Finding::bad("state", &error)])
}

fn object(findings: &[Finding], preview: &Preview, files: &Files, sample: Option<&sample::Preview>, is_fine: bool) -> Value {
    let rows: Vec<Map<String, Value>> = preview
        .rows
        .iter()
        .map(|row| COLUMNS.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect())
        .collect();
    let checks: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "what": finding.what,
                "ok": finding.problem.is_none(),
                "message": finding.told,
                "code": finding.problem.as_ref().map(|(code, _)| code),
                "hint": finding.problem.as_ref().and_then(|(_, hint)| hint.clone()),
            })
        })
        .collect();
    json!({
        "schema": "windrow.check/1",
        "ok": is_fine,
        "checks": checks,
        "inputs": files.object(),
        "run": files.line,
        "looked_at": preview.counters.rows,
        "pages": preview.counters.pages,
        "rejects": preview.counters.n_rejects(),
        "rejects_by_reason": reasons(&preview.counters.rejects),
        "rows": rows,
        "sample": sample.map(sample::Preview::object),
    })
}

fn print(findings: &[Finding], preview: &Preview, app: &mut App) -> Result<(), Failure> {
    let width = app.term.width();
    for finding in findings {
        let (word, style) = if finding.problem.is_none() { ("ok ", Style::Green) } else { ("bad", Style::Red) };
        let word = app.term.paint(style, word);
        let told = text::plain(&finding.told).into_owned();
        app.term.line(&format!("{word}  {:<12} {told}", finding.what))?;
        if let Some((code, hint)) = &finding.problem {
            let hint = hint.as_deref().unwrap_or("windrow check --help");
            let hint = app.term.paint(Style::Yellow, &format!("{code}: {}", text::plain(hint)));
            app.term.line(&format!("                  {hint}"))?;
        }
    }
    for row in &preview.rows {
        app.term.line("")?;
        for (name, value) in COLUMNS.iter().zip(row).filter(|(_, value)| !value.is_empty()) {
            let name = app.term.paint(Style::Dim, &text::fit(name, 13, true));
            app.term.line(&format!("{name}  {}", text::cut(&text::plain(value), width - 15)))?;
        }
    }
    Ok(())
}
