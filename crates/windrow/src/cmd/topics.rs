//! `windrow topics`: the topics that a pipeline needs.

use std::collections::BTreeSet;

use clap::Subcommand;
use serde_json::json;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::topics::{self, Making, Role, Standing, Wanted};
use windrow_engine::kafka::{Broker, commits};
use windrow_engine::run::Control;

use super::{App, Done, Exit, Failure};
use crate::args::{Format, KafkaFlags, KeySet, SettingFlags};
use crate::term::table::{self, Column};
use crate::term::{Style, text};

/// The settings of `topics`.
#[derive(Debug)]
pub(crate) struct TopicKeys;

impl KeySet for TopicKeys {
    const KEYS: &'static [&'static str] = &["source.topic", "output.kafka", "model.clusters"];
}

/// Make, check or delete the topics of a pipeline
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow topics create --kafka localhost:9092 --dry-run
  windrow topics create --config windrow.toml --partitions 1 --replication 3
  windrow topics check --kafka localhost:9092 -o json
  windrow topics delete --kafka localhost:9092 --yes
")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make what is missing; topics that are there stay as they are
    #[command(before_help = "Examples:
  windrow topics create --kafka localhost:9092 --from-topic topic_url --dry-run
  windrow topics create --config windrow.toml --replication 3
")]
    Create {
        #[command(flatten)]
        pipeline: Pipeline,
        #[command(flatten)]
        making: MakingFlags,
        /// Show what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Say which topics are there, missing or unfit; exit 1 unless all is well
    #[command(before_help = "Examples:
  windrow topics check --kafka localhost:9092
  windrow topics check --config windrow.toml --input-partitions 12
")]
    Check {
        #[command(flatten)]
        pipeline: Pipeline,
        #[command(flatten)]
        making: MakingFlags,
    },
    /// Delete the topics of this pipeline's pages; never the input
    #[command(before_help = "Examples:
  windrow topics delete --kafka localhost:9092 --dry-run
  windrow topics delete --kafka localhost:9092 --yes
")]
    Delete {
        #[command(flatten)]
        pipeline: Pipeline,
        /// Also windrow-rejects, -lineage and -commits, which all pipelines of the brokers share
        #[arg(long)]
        shared: bool,
        /// Show what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Yes, delete them and all that they hold
        #[arg(long)]
        yes: bool,
    },
}

/// Which pipeline, on which brokers.
#[derive(Debug, clap::Args)]
struct Pipeline {
    #[command(flatten)]
    settings: SettingFlags<TopicKeys>,
    #[command(flatten)]
    kafka: KafkaFlags,
}

#[derive(Debug, clap::Args)]
struct MakingFlags {
    /// Partitions of each cluster's topic and of the rejects [default: 1, or as they are]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    partitions: Option<u32>,
    /// Partitions of the input topic [default: 1, or as they are]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    input_partitions: Option<u32>,
    /// Copies of each topic [default: 3, or the number of brokers, or as they are]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    replication: Option<u32>,
}

impl MakingFlags {
    fn making(&self) -> Making {
        Making {
            input_partitions: self.input_partitions.map(|n| n as usize),
            partitions: self.partitions.map(|n| n as usize),
            replication: self.replication.map(|n| n as usize),
        }
    }
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    match &args.what {
        What::Create { pipeline, making, dry_run } => create(pipeline, making.making(), *dry_run, app),
        What::Check { pipeline, making } => {
            let (_, wanted) = plan(pipeline, making.making(), app)?;
            show(&wanted, &[], app)?;
            let is_well = wanted.iter().all(|one| matches!(one.standing, Standing::There(_)));
            Ok(if is_well { Exit::Fine } else { Exit::Bad })
        }
        What::Delete { pipeline, shared, dry_run, yes } => delete(pipeline, *shared, (*dry_run, *yes), app),
    }
}

fn plan(pipeline: &Pipeline, making: Making, app: &App) -> Result<(Broker, Vec<Wanted>), Error> {
    let settings = app.settings(&[pipeline.settings.given.clone(), pipeline.kafka.given()?].concat())?.settings;
    let broker = Broker::new(&settings.kafka)?;
    let wanted = topics::plan(&settings, making, &broker.look()?)?;
    // Brokers do not list topics that a user may not see: what seems to be missing may be there.
    if let Some(missing) = wanted.iter().find(|one| one.standing == Standing::Missing) {
        broker.topic(&missing.topic)?;
    }
    Ok((broker, wanted))
}

fn create(pipeline: &Pipeline, making: Making, dry_run: bool, app: &mut App) -> Done {
    let (broker, wanted) = plan(pipeline, making, app)?;
    if let Some((unfit, flaw)) = wanted.iter().find_map(|one| Some((one, one.flaw.as_ref()?))) {
        let message = format!("the topic {} is there and unfit: it {flaw}", unfit.topic);
        return Err(Error::new(ErrorKind::Invalid, "E-KAFKA-TOPIC", message)
            .hint("ask for what it has, or delete it first, if nobody needs it; nothing was made")
            .into());
    }
    let answers = if dry_run { Vec::new() } else { broker.create(&wanted)? };
    show(&wanted, &answers, app)?;
    let missing = wanted.iter().filter(|one| one.standing == Standing::Missing).count() as u64;
    let done = if dry_run { "would be made" } else { "made" };
    let left = text::counted(wanted.len() as u64 - missing, "topic");
    app.term.say(&format!("{} {done}, {left} there already", text::counted(missing, "topic")));
    all_went_well(answers)
}

fn delete(pipeline: &Pipeline, shared: bool, (dry_run, yes): (bool, bool), app: &mut App) -> Done {
    let (broker, wanted) = plan(pipeline, Making::default(), app)?;
    let is_there = |one: &Wanted| one.role != Role::Input && one.standing != Standing::Missing;
    let (of_all, mut ours): (Vec<_>, Vec<_>) = wanted.into_iter().filter(is_there).partition(|one| one.role.is_shared());
    let mut what = text::counted(ours.len() as u64, "topic");
    if shared {
        let touched = if of_all.iter().any(|one| one.role == Role::Commits) {
            commits::pipelines(&broker, (&app.clock, &Control::default()), &mut |told| app.term.say(told))?
        } else {
            BTreeSet::new()
        };
        ours.extend(of_all);
        what = text::counted(ours.len() as u64, "topic") + &also_of(&touched);
    } else if !of_all.is_empty() {
        app.term.say("windrow-rejects, windrow-lineage and windrow-commits stay: all pipelines share them (--shared)");
    }
    if !dry_run && !yes && !ours.is_empty() {
        let message = format!("{what} and all that they hold would be deleted");
        let hint = "look with --dry-run; then say --yes";
        return Err(Error::new(ErrorKind::Invalid, "E-USAGE", message).hint(hint).into());
    }
    let names: Vec<&str> = ours.iter().map(|one| one.topic.as_str()).collect();
    let answers = if dry_run { Vec::new() } else { broker.delete(&names)? };
    show(&ours, &answers, app)?;
    app.term.say(&format!("{what} {}", if dry_run { "would be deleted" } else { "deleted" }));
    all_went_well(answers)
}

/// Whose records go with the topics that are shared: none of these pipelines can go on.
fn also_of(pipelines: &BTreeSet<String>) -> String {
    let Some(first) = pipelines.first() else { return String::new() };
    let names = pipelines.iter().skip(1).fold(first.clone(), |names, next| names + ", " + next);
    let many = text::counted(pipelines.len() as u64, "pipeline");
    format!(", among them those without which no pipeline can go on, of {many} ({}),", text::plain(&names))
}

/// The first refusal, if there is one.
fn all_went_well(answers: Vec<(String, Option<Error>)>) -> Done {
    match answers.into_iter().find_map(|(topic, error)| Some((topic, error?))) {
        Some((topic, error)) => Err(error.cause(format!("topic {topic}")).into()),
        None => Ok(Exit::Fine),
    }
}

/// What was done to a topic, or how it stands.
fn standing(one: &Wanted, answers: &[(String, Option<Error>)]) -> &'static str {
    match (answers.iter().find(|(topic, _)| *topic == one.topic), one.standing) {
        (Some((_, Some(_))), _) => "refused",
        (Some((_, None)), Standing::Missing) => "made",
        (Some((_, None)), _) => "deleted",
        (None, Standing::Missing) => "missing",
        (None, Standing::There(_)) => "there",
        (None, Standing::Unfit(_)) => "unfit",
    }
}

fn show(wanted: &[Wanted], answers: &[(String, Option<Error>)], app: &mut App) -> Result<(), Failure> {
    let columns = ["topic", "role", "partitions", "replication", "standing"];
    if app.term.format == Format::Tsv {
        app.term.tsv(&columns)?;
    }
    let mut rows = Vec::new();
    for one in wanted {
        let shape = match one.standing {
            Standing::Missing => one.shape,
            Standing::There(shape) | Standing::Unfit(shape) => shape,
        };
        let standing = standing(one, answers);
        let row = [
            text::plain(&one.topic).into_owned(),
            one.role.name().to_owned(),
            shape.partitions.to_string(),
            shape.replication.to_string(),
            match (&one.flaw, app.term.format) {
                (Some(flaw), Format::Text) => format!("{standing}: {flaw}"),
                _ => standing.to_owned(),
            },
        ];
        match app.term.format {
            Format::Json => app.term.json(&json!({
                "schema": "windrow.topic/1", "topic": one.topic, "role": one.role.name(), "partitions": shape.partitions,
                "replication": shape.replication, "standing": standing, "flaw": one.flaw,
            }))?,
            Format::Tsv => app.term.tsv(&row.each_ref().map(String::as_str))?,
            Format::Text => rows.push(row.to_vec()),
        }
    }
    if app.term.format == Format::Text {
        let layout = [
            Column::left("topic", 30).style(Style::Bold),
            Column::left("role", 8),
            Column::right("partitions", 10),
            Column::right("replication", 11),
            Column::rest("standing"),
        ];
        table::write(&mut app.term, &layout, &rows)?;
    }
    Ok(())
}
