//! A status for people, and as lines of values.

use std::collections::BTreeSet;

use windrow_engine::checkpoint::lock::Holder;
use windrow_engine::error::Error;
use windrow_engine::kafka::lag::{Group, Place};
use windrow_engine::status::Standing;

use super::super::{App, Failure};
use super::{Known, total};
use crate::progress;
use crate::term::table::{self, Column};
use crate::term::{Style, text};
use crate::told;

/// Inputs shown, those that are behind most first; the sum always has all.
const SHOWN: usize = 20;

pub(super) fn text(known: &Known, app: &mut App) -> Result<(), Failure> {
    for (name, value) in facts(known) {
        let style = if ["waits", "failed", "refused"].contains(&name) { Style::Yellow } else { Style::Dim };
        let name = app.term.paint(style, &text::fit(name, 9, true));
        app.term.line(&format!("{name}  {}", text::plain(&value)))?;
    }
    inputs(known, app)?;
    groups(known, app)?;
    missing(known, app)
}

fn who(holder: &Holder) -> String {
    format!("process {} on {} since {}", holder.pid, holder.host, text::time(holder.since))
}

/// Time between two moments, for people.
fn span(from: i64, to: i64) -> String {
    text::seconds(to.saturating_sub(from).max(0) as f64 / 1e6)
}

fn facts(known: &Known) -> Vec<(&'static str, String)> {
    let status = &known.status;
    let mut facts = vec![("running", status.holder.as_ref().map_or_else(|| not_running(known), who))];
    facts.extend(status.standbys.iter().map(|standby| ("standby", who(standby))));
    if let Some(waits) = status.waits() {
        facts.push(("waits", format!("for {}: {} ({})", span(waits.since, known.now), waits.message, waits.code)));
    }
    if let Some(forecast) = status.forecast() {
        let age = span(forecast.at, known.now);
        facts.push(("forecast", format!("{}, by what it was {age} ago", progress::rest(&forecast))));
    }
    if status.holder.is_none() {
        facts.push(last_run(known));
        facts.extend(hint(known));
    }
    facts.extend(refused_call(known).map(|told| ("refused", told)));
    if let Some(manifest) = &status.manifest {
        let counters = known.counters();
        let (pages, rejects) = (text::counted(counters.pages, "page"), text::counted(counters.n_rejects(), "reject"));
        let told = |epoch: u64, at: i64| format!("{epoch}, {} ago", span(at, known.now));
        let rolled = told(manifest.epoch, manifest.written_at);
        facts.push(match known.committed() {
            Some((epoch, at)) if epoch > manifest.epoch => ("commit", format!("{}; rolled {rolled}", told(epoch, at))),
            Some(_) => ("commit", rolled),
            None => ("rolled", format!("{rolled}; what is committed since in the topics is not known")),
        });
        facts.push(("rows", format!("{}: {pages}, {rejects}", text::count(counters.rows))));
        if counters.alarms > 0 {
            let last = known.alarm.map(|raised| told::drifted(&format!("cluster {}", raised.cluster), &raised));
            let last = last.map(|said| format!("; the last: {said}")).unwrap_or_default();
            facts.push(("alarms", format!("{}{last}", text::count(counters.alarms))));
        }
        facts.push(("files", format!("{}, {}", text::counted(known.files.0, "published file"), text::bytes(known.files.1))));
    }
    facts.push(("output", output(known)));
    facts.push((if status.holder.is_some() { "command" } else { "resume" }, known.resume.clone()));
    facts
}

fn not_running(known: &Known) -> String {
    match (known.status.standing(), known.status.since()) {
        (_, None) => "no".into(),
        (Standing::Killed, Some(since)) => format!("no; its last sign was {} ago", span(since, known.now)),
        (_, Some(since)) => format!("no, for {}", span(since, known.now)),
    }
}

/// What may be done about how the last run ended.
fn hint(known: &Known) -> Option<(&'static str, String)> {
    let end = known.status.life.as_ref()?.end.as_ref()?;
    Some(("hint", end.hint.clone()?))
}

/// The last call that could not begin.
fn refused_call(known: &Known) -> Option<String> {
    let end = &known.status.life.as_ref()?.refused.as_ref()?.end;
    let hint = end.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let message = end.message.as_deref().unwrap_or_default();
    Some(format!("a later call, {} at {}, exit code {}: {message}{hint}", end.reason, text::time(end.at), end.exit_code))
}

/// How the last run ended.
fn last_run(known: &Known) -> (&'static str, String) {
    let name = match known.status.standing() {
        Standing::Failed | Standing::Killed => "failed",
        _ => "last run",
    };
    let Some(life) = &known.status.life else { return (name, "none yet".into()) };
    let began = text::time(life.began);
    let Some(end) = &life.end else {
        let told = match known.status.elsewhere() {
            None => format!("began {began} and was killed, or its machine went down"),
            Some(host) => format!(
                "began {began} on {host} and left no word: it was killed, or goes on there, where this volume keeps no locks \
                 between machines; look there before you resume"
            ),
        };
        return (name, told);
    };
    let message = end.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    (name, format!("{} at {}, exit code {}{message}; began {began}", end.reason, text::time(end.at), end.exit_code))
}

fn output(known: &Known) -> String {
    let out = known.status.layout.out.display();
    match (known.output.kind, known.output.topics.as_slice()) {
        ("none", _) => format!("Parquet in {out}"),
        (_, []) => format!("topics, and Parquet in {out}"),
        (_, [one]) => format!("the topic {one}, and Parquet in {out}"),
        (_, [first, .., last]) => format!("the topics {first} to {last}, and Parquet in {out}"),
    }
}

fn count(number: Option<u64>) -> String {
    number.map_or_else(|| "?".into(), text::count)
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "?".into(), text::seconds)
}

fn inputs(known: &Known, app: &mut App) -> Result<(), Failure> {
    if known.inputs.is_empty() {
        return Ok(());
    }
    app.term.line("")?;
    let is_topic = known.inputs.iter().any(|input| input.unit == "records");
    let mut order: Vec<_> = known.inputs.iter().collect();
    order.sort_by_key(|input| std::cmp::Reverse(input.behind));
    let row = |name: String, position: String, end: String, behind: String, age: String| vec![name, position, end, behind, age];
    let mut rows: Vec<Vec<String>> = order
        .iter()
        .take(SHOWN)
        .map(|input| {
            let age = if input.unit == "records" { seconds(input.seconds) } else { String::new() };
            let behind = format!("{} {}", count(input.behind), input.unit);
            row(text::plain(&input.name).into_owned(), count(input.position), count(input.end), behind, age)
        })
        .collect();
    let left = order.len().saturating_sub(SHOWN);
    if left > 0 {
        rows.push(row(format!("{left} more"), String::new(), String::new(), String::new(), String::new()));
    }
    if is_topic && order.len() > 1 {
        let (records, age) = known.behind();
        rows.push(row("all".into(), String::new(), String::new(), format!("{} records", count(records)), seconds(age)));
    }
    let columns = [
        Column::rest("input").style(Style::Bold),
        Column::right("read up to", 16),
        Column::right("end", 16),
        Column::right("behind", 22),
        Column::right(if is_topic { "by" } else { "" }, 14),
    ];
    table::write(&mut app.term, &columns, &rows)
}

fn groups(known: &Known, app: &mut App) -> Result<(), Failure> {
    if known.found().is_none() || known.output.topics.is_empty() {
        return Ok(());
    }
    app.term.line("")?;
    if known.groups().is_empty() {
        return app.term.line("no group of consumers has committed offsets of these topics");
    }
    let rows: Vec<Vec<String>> = known.groups().iter().map(|group| of_group(group, known.now)).collect();
    let columns = [
        Column::rest("group").style(Style::Bold),
        Column::left("state", 14),
        Column::right("topics", 6),
        Column::right("partitions", 10),
        Column::right("behind", 22),
        Column::right("by", 14),
    ];
    table::write(&mut app.term, &columns, &rows)
}

fn of_group(group: &Group, now: i64) -> Vec<String> {
    let (records, age) = total(group.places.iter().map(|place| (place.records, place.seconds(now))));
    let topics: BTreeSet<&str> = group.places.iter().map(|place| place.topic.as_str()).collect();
    vec![
        text::plain(&group.name).into_owned(),
        text::plain(&group.state).into_owned(),
        text::count(topics.len() as u64),
        text::count(group.places.len() as u64),
        format!("{} records", count(records)),
        seconds(age),
    ]
}

/// What could not be found out. When the brokers did not answer at all, the error of the verb says why.
fn missing(known: &Known, app: &mut App) -> Result<(), Failure> {
    match &known.lag {
        Some(Ok(lag)) => lag.missing.iter().try_for_each(|error| refused(error, app)),
        Some(Err(error)) => refused(error, app),
        None => Ok(()),
    }
}

fn refused(error: &Error, app: &mut App) -> Result<(), Failure> {
    let name = app.term.paint(Style::Yellow, &text::fit("not known", 9, true));
    app.term.line(&format!("{name}  {} ({})", text::plain(&error.message), error.code))
}

/// A line for each fact, input and partition of a group.
pub(super) fn tsv(known: &Known, app: &mut App) -> Result<(), Failure> {
    let shown = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let age = |seconds: Option<f64>| seconds.map(|seconds| format!("{seconds:.3}")).unwrap_or_default();
    app.term.tsv(&["what", "name", "value", "end", "behind", "seconds"])?;
    app.term.tsv(&["standing", known.status.standing().name(), "", "", "", ""])?;
    for (name, value) in facts(known) {
        app.term.tsv(&["fact", name, &value, "", "", ""])?;
    }
    for input in &known.inputs {
        let (position, end, behind) = (shown(input.position), shown(input.end), shown(input.behind));
        app.term.tsv(&["input", &input.name, &position, &end, &behind, &age(input.seconds)])?;
    }
    for group in known.groups() {
        for place in &group.places {
            let Place { topic, partition, position, end, records, .. } = place;
            let name = format!("{} {topic}/{partition}", group.name);
            let (end, behind) = (end.to_string(), shown(*records));
            app.term.tsv(&["group", &name, &shown(*position), &end, &behind, &age(place.seconds(known.now))])?;
        }
    }
    let missing = match &known.lag {
        Some(Err(error)) => std::slice::from_ref(error),
        Some(Ok(lag)) => &lag.missing,
        None => &[],
    };
    missing.iter().try_for_each(|error| app.term.tsv(&["missing", error.code, &error.message, "", "", ""]))
}
