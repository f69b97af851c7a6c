//! `windrow status`: whether a pipeline runs, how the last run ended, how far it is, and who is behind.
//!
//! What lies on disk is told in any case; what brokers say, when they do. It joins no group, commits nothing and takes no lock.

mod show;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use windrow_engine::alarms::{self, Raised};
use windrow_engine::checkpoint::life::{Life, Refused};
use windrow_engine::clock::Clock as _;
use windrow_engine::error::{Error, quoted};
use windrow_engine::kafka::Broker;
use windrow_engine::kafka::lag::{self, Asked, Group, Lag, Place};
use windrow_engine::observe::Counters;
use windrow_engine::run::Control;
use windrow_engine::settings::Settings;
use windrow_engine::sink::topics::Route;
use windrow_engine::source::SourcePosition;
use windrow_engine::source::extent;
use windrow_engine::source::kafka::{PREFIX, Start};
use windrow_engine::status::{Status, new_files};

use super::run::topic_output;
use super::{App, Done, Exit};
use crate::args::{Format, KafkaFlags, KeySet, SettingFlags};
use crate::signals::Watch;
use crate::term::text;
use crate::told;

/// The settings of `status`.
#[derive(Debug)]
pub(crate) struct StatusKeys;

impl KeySet for StatusKeys {
    const KEYS: &'static [&'static str] =
        &["source.input", "source.topic", "source.from", "output.out", "output.state", "output.kafka"];
}

/// Show whether it runs, what it waits for, who is behind
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow status --out out
  windrow status --config windrow.toml
  windrow status --config windrow.toml -o json | jq .lag.records

Works whether something runs or not. With Kafka: how far the pipeline is behind
in its input, and each group of consumers in the topics of the clusters. Joins
no group, commits nothing, takes no lock.
")]
#[command(after_help = "\
Exit codes: 0 told, whatever is told; 4 the brokers could not be asked, and all
else is told; others as everywhere.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<StatusKeys>,
    #[command(flatten)]
    kafka: KafkaFlags,
}

/// All that is known.
pub(super) struct Known {
    pub(super) status: Status,
    pub(super) files: (u64, u64),
    pub(super) inputs: Vec<Input>,
    /// What the brokers say; none when there is nothing to ask them.
    pub(super) lag: Option<Result<Lag, Error>>,
    pub(super) output: Output,
    /// The newest alarm of what is published.
    pub(super) alarm: Option<Raised>,
    /// The command that goes on.
    pub(super) resume: String,
    /// When all this was so.
    pub(super) now: i64,
}

/// An input, and how far it is read.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) position: Option<u64>,
    pub(super) rows: u64,
    pub(super) end: Option<u64>,
    pub(super) behind: Option<u64>,
    pub(super) seconds: Option<f64>,
    pub(super) oldest: Option<i64>,
    pub(super) mirrored: Option<u64>,
}

/// Which topics pages go to.
pub(super) struct Output {
    pub(super) kind: &'static str,
    pub(super) topics: Vec<String>,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let settings = app.settings(&[args.settings.given.clone(), args.kafka.given()?].concat())?.settings;
    let control = Arc::new(Control::default());
    Watch::start(&control)?;
    let known = look(settings, &control, app)?;
    match app.term.format {
        Format::Json => app.term.json(&object(&known))?,
        Format::Tsv => show::tsv(&known, app)?,
        Format::Text => show::text(&known, app)?,
    }
    if control.is_asked() {
        return Ok(Exit::Interrupted);
    }
    match known.lag {
        Some(Err(error)) if app.term.format == Format::Text => Err(error.into()),
        Some(Err(_)) => Ok(Exit::WithoutBrokers),
        _ => Ok(Exit::Fine),
    }
}

fn look(mut settings: Settings, control: &Control, app: &App) -> Result<Known, Error> {
    let status = Status::read(&settings.output.out, settings.output.state.as_deref())?;
    let given = !settings.source.input.is_empty() || !settings.source.topic.is_empty();
    if let Some(manifest) = &status.manifest {
        // How many topics there are is the state's to say.
        settings.model.clusters = manifest.model_settings(&status.layout.manifest())?.clusters;
        if !given {
            let of_topic = |input: &String| input.strip_prefix(PREFIX).map(str::to_owned);
            settings.source.topic = manifest.inputs.iter().find_map(of_topic).unwrap_or_default();
            settings.source.input = manifest.inputs.iter().filter(|input| of_topic(input).is_none()).cloned().collect();
        }
    }
    let output = output(&settings, &status);
    let lag = brokers(&settings, &status, &output, control, app);
    let now = app.clock.now();
    let mut inputs: Vec<Input> = Vec::new();
    let places = lag.as_ref().and_then(|lag| lag.as_ref().ok()).map_or(&[][..], |lag| &lag.input);
    let positions = status.positions();
    for source in &positions.sources {
        let of_source = |place: &&Place| source.name == format!("{PREFIX}{}/{}", place.topic, place.partition);
        inputs.push(match places.iter().find(of_source) {
            Some(place) => Input::of_place(place, source.rows, now),
            None => Input::of_source(source),
        });
    }
    let is_new = |place: &&Place| !inputs.iter().any(|input| input.name == format!("{}/{}", place.topic, place.partition));
    let unknown: Vec<Input> = places.iter().filter(is_new).map(|place| Input::of_place(place, 0, now)).collect();
    inputs.extend(unknown);
    inputs.extend(new_files(&settings.source.input, &positions).into_iter().map(|(path, bytes)| {
        let mut input = Input::named(path.display().to_string(), "bytes");
        (input.position, input.end, input.behind) = (Some(0), Some(bytes), Some(bytes));
        input
    }));
    let (files, alarm, resume) = (status.files()?, last_alarm(&status), resume_or_begin(&status, app));
    Ok(Known { files, alarm, resume, status, inputs, lag, output, now })
}

/// What lies on disk, as the contract has it; no broker is asked.
pub(crate) fn of_disk(out: &Path, state: Option<&Path>, now: i64) -> Result<Value, Error> {
    let status = Status::read(out, state)?;
    let positions = status.positions();
    let kind = match status.manifest.as_ref().map(|manifest| (manifest.commits, &manifest.route)) {
        Some((Some(_), Some(Route::Keyed(_)))) => "keyed",
        Some((Some(_), _)) => "topics",
        _ => "none",
    };
    let route = status.manifest.as_ref().and_then(|manifest| manifest.route.clone());
    let topics = match route.filter(|_| kind != "none") {
        Some(Route::Keyed(topic)) => vec![topic],
        Some(Route::Slots(prefix)) => {
            let manifest = status.manifest.as_ref();
            let model = manifest.map(|manifest| manifest.model_settings(&status.layout.manifest())).transpose()?;
            (0..model.map_or(0, |model| model.clusters.slots())).map(|slot| format!("{prefix}{slot}")).collect()
        }
        None => Vec::new(),
    };
    let begin = || format!("windrow run --out {}", quoted(&status.layout.out.display().to_string()));
    let known = Known {
        files: status.files()?,
        alarm: last_alarm(&status),
        inputs: positions.sources.iter().map(Input::of_source).collect(),
        lag: None,
        output: Output { kind, topics },
        resume: status.life.as_ref().map_or_else(begin, resume),
        status,
        now,
    };
    Ok(object(&known))
}

fn output(settings: &Settings, status: &Status) -> Output {
    let has_topics = status.manifest.as_ref().map(|manifest| manifest.commits.is_some());
    match topic_output(settings).filter(|_| has_topics != Some(false)) {
        Some(output) => {
            let topics = output.page_topics();
            Output { kind: if topics.len() == 1 { "keyed" } else { "topics" }, topics }
        }
        // The settings given do not name them.
        None if has_topics == Some(true) => Output { kind: "topics", topics: Vec::new() },
        None => Output { kind: "none", topics: Vec::new() },
    }
}

/// What brokers say, if they have anything to do with the pipeline.
fn brokers(settings: &Settings, status: &Status, output: &Output, control: &Control, app: &App) -> Option<Result<Lag, Error>> {
    let topic = Some(settings.source.topic.as_str()).filter(|topic| !topic.is_empty());
    if topic.is_none() && output.kind == "none" {
        return None;
    }
    let positions = status.positions();
    let all = topic_output(settings).filter(|_| output.kind != "none").map(|output| output.topics()).unwrap_or_default();
    let asked = Asked {
        input: topic,
        start: Start::named(&settings.source.from),
        positions: &positions,
        outputs: &all,
        pipeline: status.manifest.as_ref().map(|manifest| (manifest.pipeline.as_str(), manifest.commits)),
    };
    match Broker::new(&settings.kafka) {
        // Nobody is to be asked.
        Err(error) if error.code == "E-KAFKA-NONE" => Some(Ok(Lag { missing: vec![error], ..Lag::default() })),
        broker => Some(broker.and_then(|broker| lag::look(&broker, &asked, (&app.clock, control)))),
    }
}

/// The newest alarm; none too where its file was taken away, which is no reason to tell nothing.
fn last_alarm(status: &Status) -> Option<Raised> {
    alarms::last(&status.layout, status.manifest.as_ref()?).ok().flatten()
}

/// The command that goes on: the last one, or the one that begins.
fn resume_or_begin(status: &Status, app: &App) -> String {
    let Some(life) = &status.life else {
        let config = app.global.config.as_ref().map(|config| format!(" --config {}", quoted(&config.display().to_string())));
        return format!(
            "windrow run{}",
            config.unwrap_or_else(|| format!(" --out {}", quoted(&status.layout.out.display().to_string())))
        );
    };
    resume(life)
}

/// The command that goes on where a run ended; none after a demonstration, which would begin anew.
pub(crate) fn way_on(life: &Life) -> Option<String> {
    let verb = life.command.iter().skip(1).find(|word| ["run", "demo"].contains(&word.as_str()));
    verb.is_none_or(|verb| verb != "demo").then(|| resume(life))
}

/// The command that was called, to be called again.
fn resume(life: &Life) -> String {
    let mut words = life.command.iter();
    let program = words.next().map(|program| program.rsplit('/').next().unwrap_or(program)).unwrap_or("windrow");
    let command = std::iter::once(program.to_owned()).chain(words.map(|word| quoted(word))).collect::<Vec<_>>().join(" ");
    // What was set in the environment decides like a flag. A secret is taken from the environment of whoever goes on.
    let set = life.environment.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={} ", quoted(value)),
        None => format!("{name}=\"${{{name}:?}}\" "),
    });
    let command = set.collect::<String>() + &command;
    let here = std::env::current_dir().is_ok_and(|here| here.display().to_string() == life.folder);
    if here || life.folder.is_empty() { command } else { format!("cd {} && {command}", quoted(&life.folder)) }
}

impl Input {
    fn named(name: String, unit: &'static str) -> Self {
        let (position, end, behind, seconds, oldest, mirrored) = (None, None, None, None, None, None);
        Self { name, unit, position, rows: 0, end, behind, seconds, oldest, mirrored }
    }

    /// By what lies on disk.
    fn of_source(source: &SourcePosition) -> Self {
        if let Some(partition) = source.name.strip_prefix(PREFIX) {
            let named = Self::named(partition.to_owned(), "records");
            return Self { position: Some(source.offset), rows: source.rows, ..named };
        }
        let end = extent::size_of(source);
        let unit = if source.unit() == "row" { "rows" } else { "bytes" };
        Self {
            position: Some(source.offset),
            rows: source.rows,
            end,
            behind: end.map(|end| end.saturating_sub(source.offset)),
            ..Self::named(source.name.clone(), unit)
        }
    }

    /// By what brokers say.
    fn of_place(place: &Place, rows: u64, now: i64) -> Self {
        Self {
            name: format!("{}/{}", place.topic, place.partition),
            unit: "records",
            position: place.position,
            rows,
            end: Some(place.end),
            behind: place.records,
            seconds: place.seconds(now),
            oldest: place.oldest,
            mirrored: place.mirrored,
        }
    }
}

impl Known {
    /// Counts of what is committed: in the topics, where they are ahead of the last roll.
    pub(super) fn counters(&self) -> Counters {
        let commit = self.commit().map(|commit| commit.counters.clone());
        commit.or_else(|| Some(self.status.manifest.as_ref()?.counters.clone())).unwrap_or_default()
    }

    /// The last committed epoch and its time: with topics their record says so, if brokers can be asked for it.
    pub(super) fn committed(&self) -> Option<(u64, i64)> {
        if let Some(commit) = self.commit() {
            return Some((commit.epoch, commit.written_at));
        }
        let manifest = self.status.manifest.as_ref()?;
        let is_all = manifest.commits.is_none() || self.found().is_some_and(|lag| lag.is_up_to_date);
        is_all.then_some((manifest.epoch, manifest.written_at))
    }

    /// The record of the last commit in the topics, when there is one since the last roll.
    pub(super) fn commit(&self) -> Option<&windrow_engine::kafka::commits::Commit> {
        self.found()?.commit.as_ref()
    }

    /// What brokers said.
    pub(super) fn found(&self) -> Option<&Lag> {
        self.lag.as_ref()?.as_ref().ok()
    }

    pub(super) fn groups(&self) -> &[Group] {
        self.found().map_or(&[], |lag| &lag.groups)
    }

    /// Records and seconds that partitions are behind, together: all records, and the oldest one's age.
    pub(super) fn behind(&self) -> (Option<u64>, Option<f64>) {
        let places = self.inputs.iter().filter(|input| input.unit == "records");
        total(places.map(|input| (input.behind, input.seconds)))
    }
}

/// The sum of the records and the longest of the times; nothing when one of them is not known.
pub(super) fn total(places: impl Iterator<Item = (Option<u64>, Option<f64>)>) -> (Option<u64>, Option<f64>) {
    places.fold((Some(0), Some(0.0)), |(records, seconds), (more, age)| {
        let records = records.zip(more).map(|(records, more)| records + more);
        (records, seconds.zip(age).map(|(seconds, age): (f64, f64)| seconds.max(age)))
    })
}

fn error(error: &Error) -> Value {
    json!({"code": error.code, "message": error.message, "cause": error.causes, "hint": error.hint})
}

/// As the contract has it.
fn object(known: &Known) -> Value {
    let Known { status, .. } = known;
    let time = |micros: i64| text::time(micros);
    let waits = status.waits().map(|waits| {
        json!({
            "since": time(waits.since), "code": waits.code, "message": waits.message, "cause": waits.causes, "hint": waits.hint,
        })
    });
    let last = status.life.as_ref().map(|life| {
        let end = life.end.as_ref();
        json!({
            "pid": life.pid, "host": life.host, "began": time(life.began), "command": life.command, "folder": life.folder,
            "ended": end.map(|end| time(end.at)), "reason": end.map(|end| &end.reason),
            "message": end.map(|end| &end.message), "hint": end.map(|end| &end.hint), "exit_code": end.map(|end| end.exit_code),
        })
    });
    let refused = status.life.as_ref().and_then(|life| life.refused.as_ref()).map(|Refused { command, end }| {
        json!({
            "at": time(end.at), "command": command, "code": end.reason, "message": end.message, "hint": end.hint,
            "exit_code": end.exit_code,
        })
    });
    let inputs: Vec<Value> = known.inputs.iter().map(of_input).collect();
    let groups: Vec<Value> = known.groups().iter().map(|group| of_group(group, known.now)).collect();
    let (records, seconds) = known.behind();
    let has_topic = known.inputs.iter().any(|input| input.unit == "records");
    let counters = known.counters();
    let holder = |holder: &windrow_engine::checkpoint::lock::Holder| json!({"pid": holder.pid, "host": holder.host, "since": time(holder.since)});
    json!({
        "schema": "windrow.status/1",
        "standing": status.standing(),
        "since": status.since().map(time),
        "running": status.holder.as_ref().map(holder),
        "standbys": status.standbys.iter().map(holder).collect::<Vec<_>>(),
        "waits": waits,
        "last": last,
        "refused": refused,
        "forecast": status.forecast().map(|told| {
            json!({"at": time(told.at), "seconds": told.seconds, "disk_bytes": told.disk_bytes, "room": told.room})
        }),
        "resume": known.resume,
        "pipeline": status.manifest.as_ref().map(|manifest| &manifest.pipeline),
        "commit": known.committed().map(|(epoch, _)| epoch),
        "committed_at": known.committed().map(|(_, at)| time(at)),
        "rolled": status.manifest.as_ref().map(|manifest| manifest.epoch),
        "rolled_at": status.manifest.as_ref().map(|manifest| time(manifest.written_at)),
        "rows": counters.rows, "pages": counters.pages, "rejects": counters.n_rejects(), "duplicates": counters.duplicates,
        "alarms": counters.alarms,
        "last_alarm": known.alarm.map(|raised| told::alarm_object("", &raised)),
        "files": known.files.0, "file_bytes": known.files.1,
        "out": status.layout.out, "state": status.layout.state,
        "output": known.output.kind, "topics": known.output.topics,
        "inputs": inputs,
        "lag": has_topic.then(|| json!({"records": records, "seconds": seconds})),
        "mirror": known.found().and_then(|lag| lag.mirror.as_ref()),
        "groups": groups,
        "brokers": known.lag.as_ref().map(Result::is_ok),
        "missing": match &known.lag {
            Some(Err(refused)) => vec![error(refused)],
            Some(Ok(lag)) => lag.missing.iter().map(error).collect(),
            None => Vec::new(),
        },
    })
}

fn of_input(input: &Input) -> Value {
    json!({
        "source": input.name, "unit": input.unit, "position": input.position, "rows": input.rows, "end": input.end,
        "behind": input.behind, "seconds": input.seconds, "oldest_at": input.oldest.map(text::time), "mirrored": input.mirrored,
    })
}

fn of_group(group: &Group, now: i64) -> Value {
    let (records, seconds) = total(group.places.iter().map(|place| (place.records, place.seconds(now))));
    let places: Vec<Value> = group
        .places
        .iter()
        .map(|place| {
            json!({
                "topic": place.topic, "partition": place.partition, "position": place.position, "end": place.end,
                "records": place.records, "seconds": place.seconds(now), "oldest_at": place.oldest.map(text::time),
            })
        })
        .collect();
    json!({
        "group": group.name, "state": group.state, "members": group.members, "records": records, "seconds": seconds,
        "partitions": places,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_only_known_when_its_parts_are() {
        let sum = |parts: &[(Option<u64>, Option<f64>)]| total(parts.iter().copied());
        assert_eq!(sum(&[(Some(2), Some(1.5)), (Some(0), Some(0.0)), (Some(3), Some(0.5))]), (Some(5), Some(1.5)));
        assert_eq!(sum(&[(Some(2), None), (Some(1), Some(1.0))]), (Some(3), None));
        assert_eq!(sum(&[]), (Some(0), Some(0.0)));
    }
}
