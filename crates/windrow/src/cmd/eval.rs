//! `windrow eval`: quality against known labels, and speed.

mod report;
mod told;

use std::path::PathBuf;

use windrow_core::featurize::FieldWeights;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::eval::{self, EvalJob, Mix, Order, Sequence};
use windrow_engine::settings::Settings;

use super::run::threads;
use super::{App, Done, Exit};
use crate::args::{KeySet, SettingFlags};
use crate::progress::ProgressLine;

/// Rows of a window that is shuffled, if nothing else is said.
const SHUFFLE_WINDOW: usize = 500;

/// The settings of `eval`.
#[derive(Debug)]
pub(crate) struct EvalKeys;

impl KeySet for EvalKeys {
    const KEYS: &'static [&'static str] = &[
        "source.input",
        "source.columns",
        "source.input_format",
        "source.delimiter",
        "source.encoding",
        "model.kind",
        "model.clusters",
        "model.seed",
        "run.threads",
        "limits.memory",
    ];
}

/// Score decisions against known labels; writes nothing but reports
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow eval --input news.csv.gz --labels news.labels.csv.gz -o json
  windrow eval --input generator:rows=20000,seed=7 --clusters 70 \\
      --models two-level,kmeans,original --seeds 3 \\
      --order given,shuffled,bursts,sorted --report models.html
  windrow eval --input news.csv.gz --labels news.labels.csv.gz \\
      --order given,diluted --mix links.csv.gz --mix-ratio 30

Every page is scored by the decision at its arrival. A trial is one model that
learns the rows in one order with one seed, from nothing; each reads the input
again. Memory holds 24 bytes for each scored row, the labels, and the rows to
mix in; for sorted and bursts also all rows, up to half of --memory.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<EvalKeys>,
    /// CSV of id,label; rows without a label are clustered and not scored.
    /// `generator:…` knows its own
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Fields to make terms of, with weights if wanted: `title,path=0.5`
    #[arg(long, value_name = "LIST")]
    fields: Option<String>,
    /// Models to hold beside each other, such as `two-level,kmeans,original`
    /// [default: that of --model]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    models: Vec<String>,
    /// Trials of each model and order; their seeds count up from --seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    seeds: u32,
    /// Orders to hold beside each other: given; shuffled in windows; sorted,
    /// label after label; bursts, runs of one label; diluted, with --mix
    /// between; `shuffled+diluted` and the like [default: given, or what
    /// --shuffle-window and --mix say]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    order: Vec<Order>,
    /// Shuffle the rows in windows of N, drawn by the seed [default: 500]
    #[arg(long, value_name = "N")]
    shuffle_window: Option<usize>,
    /// Rows of a label that come at once in bursts
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    /// Take only the first N rows [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Run rows of this file between those of the input; never scored
    #[arg(long, value_name = "FILE", num_args = 1..)]
    mix: Vec<String>,
    /// Rows of --mix for each row of the input, repeated as needed
    #[arg(long, value_name = "N", default_value_t = 10)]
    mix_ratio: u32,
    /// Scored rows of a window of the scores over time [default: a twentieth,
    /// 500 at least]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    window: Option<u32>,
    /// Also write a report: .md, .json, .html or .svg (scores over time); may
    /// be given again
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "report")]
    force: bool,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let settings = app.settings(&args.settings.given)?.settings;
    let job = job(args, settings)?;
    let reports = args.report.iter().map(|to| report::Wanted::new(to, args.force)).collect::<Result<Vec<_>, _>>()?;
    let mut line = ProgressLine::new(&app.term);
    let found = eval::eval(&job, &app.clock, &mut |standing| line.trial(&standing));
    line.finish();
    let found = found?;
    reports.iter().try_for_each(|wanted| wanted.write(&job, &found))?;
    told::print(&found, &mut app.term)?;
    Ok(Exit::Fine)
}

fn job(args: &Args, settings: Settings) -> Result<EvalJob, Error> {
    if settings.source.input.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-NONE", "there is nothing to read").hint("give a file with --input"));
    }
    let weights = match &args.fields {
        None => settings.features,
        Some(list) => FieldWeights::from_fields(list)
            .map_err(|error| Error::new(ErrorKind::Invalid, "E-FIELDS", "--fields cannot be read").cause(error))?,
    };
    let mix = (!args.mix.is_empty() && args.mix_ratio > 0).then(|| Mix { inputs: args.mix.clone(), ratio: args.mix_ratio });
    let models = if args.models.is_empty() { vec![settings.model.kind.clone()] } else { once_each(&args.models) };
    Ok(EvalJob {
        inputs: settings.source.input,
        columns: settings.source.columns,
        files: settings.source.files,
        labels: args.labels.clone(),
        orders: orders(args, mix.is_some())?,
        mix,
        models,
        seeds: args.seeds,
        shuffle_window: args.shuffle_window.unwrap_or(SHUFFLE_WINDOW),
        burst: args.burst as usize,
        window: args.window.map(|rows| rows as usize),
        limit: args.limit,
        model: settings.model,
        weights,
        rules: settings.clean.rules,
        threads: threads(settings.run.threads),
        memory_bytes: settings.limits.memory,
        max_record_bytes: settings.limits.max_record,
        max_unpacked: settings.limits.max_unpacked,
    })
}

/// The orders that are asked for, by name or by what would make no difference otherwise.
fn orders(args: &Args, mixes: bool) -> Result<Vec<Order>, Error> {
    let shuffles = args.shuffle_window.is_some_and(|rows| rows > 1);
    if args.order.is_empty() {
        let sequence = if shuffles { Sequence::Shuffled } else { Sequence::Given };
        return Ok(vec![Order { sequence, diluted: mixes }]);
    }
    let unused = [
        (shuffles && args.order.iter().all(|order| order.sequence != Sequence::Shuffled), "--shuffle-window", "shuffled"),
        (mixes && args.order.iter().all(|order| !order.diluted), "--mix", "diluted"),
    ];
    match unused.into_iter().find(|(is_unused, ..)| *is_unused) {
        None => Ok(once_each(&args.order)),
        Some((_, flag, name)) => {
            Err(Error::new(ErrorKind::Invalid, "E-USAGE", format!("{flag} is given, and no order of --order is {name}"))
                .hint(format!("name it: --order given,{name}")))
        }
    }
}

fn once_each<T: Clone + PartialEq>(list: &[T]) -> Vec<T> {
    list.iter().enumerate().filter(|(at, one)| !list[..*at].contains(one)).map(|(_, one)| one.clone()).collect()
}
