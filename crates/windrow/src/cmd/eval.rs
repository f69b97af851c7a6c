//! `windrow eval`: quality against known labels, and speed.

use std::path::PathBuf;

use serde_json::json;
use windrow_core::featurize::FieldWeights;
use windrow_core::quality::Scores;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::eval::{self, EvalJob, Mix, Report};

use super::run::threads;
use super::{App, Done, Exit, Failure};
use crate::args::{Format, KeySet, SettingFlags};
use crate::progress::{ProgressLine, memory, rate};
use crate::term::table::{self, Column};
use crate::term::{Style, text};

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
    ];
}

/// Score decisions against known labels; writes nothing
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow eval --input news.csv.gz --labels news.labels.csv.gz -o json
  windrow eval --input news.csv.gz --labels news.labels.csv.gz --fields title
  windrow eval --input news.csv.gz --labels news.labels.csv.gz \\
      --mix links.csv.gz --mix-ratio 30
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
    /// Shuffle the rows in windows of N, drawn by the seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    shuffle_window: usize,
    /// Take only the first N rows [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Run rows of this file between those of the input; never scored
    #[arg(long, value_name = "FILE", num_args = 1..)]
    mix: Vec<String>,
    /// Rows of --mix for each row of the input, repeated as needed
    #[arg(long, value_name = "N", default_value_t = 10)]
    mix_ratio: u32,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let settings = app.settings(&args.settings.given)?.settings;
    if settings.source.input.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-NONE", "there is nothing to read")
            .hint("give a file with --input")
            .into());
    }
    let weights = match &args.fields {
        None => settings.features,
        Some(list) => FieldWeights::from_fields(list)
            .map_err(|error| Error::new(ErrorKind::Invalid, "E-FIELDS", "--fields cannot be read").cause(error))?,
    };
    let mix = (!args.mix.is_empty() && args.mix_ratio > 0).then(|| Mix { inputs: args.mix.clone(), ratio: args.mix_ratio });
    let job = EvalJob {
        inputs: settings.source.input,
        columns: settings.source.columns,
        files: settings.source.files,
        labels: args.labels.clone(),
        mix,
        shuffle_window: args.shuffle_window,
        limit: args.limit,
        model: settings.model,
        weights,
        rules: settings.clean.rules,
        threads: threads(settings.run.threads),
        memory_bytes: settings.limits.memory,
        max_record_bytes: settings.limits.max_record,
        max_unpacked: settings.limits.max_unpacked,
    };
    let mut line = ProgressLine::new(&app.term);
    let report = eval::eval(&job, &app.clock, &mut |rows, elapsed| line.count(rows, elapsed));
    line.finish();
    print(&report?, app)?;
    Ok(Exit::Fine)
}

fn print(report: &Report, app: &mut App) -> Result<(), Failure> {
    let seconds = report.elapsed.as_secs_f64();
    let peak = memory().map(|memory| memory.peak);
    if app.term.format == Format::Json {
        return app.term.json(&json!({
            "schema": "windrow.eval/1",
            "rows": report.rows,
            "rejects": report.rejects,
            "scored": report.scored,
            "seconds": seconds,
            "rows_per_s": report.rows as f64 / seconds.max(1e-9),
            "peak_rss_bytes": peak,
            "alive": report.alive,
            "micro": report.micro,
            "cluster": report.cluster,
        }));
    }
    let names = ["level", "n", "NMI geo", "NMI arith", "AMI", "ARI", "homogeneity", "completeness"];
    let levels = [("micro", &report.micro), ("cluster", &report.cluster)];
    if app.term.format == Format::Tsv {
        app.term.tsv(&names)?;
        return levels.iter().try_for_each(|(name, scores)| app.term.tsv(&cells(name, scores)));
    }
    let mut columns = names.map(|name| Column::right(name, 12));
    columns[0] = Column::left("level", 8).style(Style::Bold);
    let rows: Vec<Vec<String>> = levels.iter().map(|(name, scores)| cells(name, scores)).collect();
    table::write(&mut app.term, &columns, &rows)?;
    app.term.say(&format!(
        "{} in {} ({}/s), {} scored, {} themes alive at the end{}",
        text::counted(report.rows, "row"),
        text::seconds(seconds),
        text::count(rate(report.rows, seconds)),
        text::count(report.scored),
        text::count(report.alive),
        peak.map(|peak| format!(", {} at most", text::bytes(peak))).unwrap_or_default(),
    ));
    Ok(())
}

fn cells(name: &str, scores: &Scores) -> Vec<String> {
    let numbers =
        [scores.nmi_geometric, scores.nmi_arithmetic, scores.ami, scores.ari, scores.homogeneity, scores.completeness];
    let mut cells = vec![name.to_owned(), scores.n.to_string()];
    cells.extend(numbers.iter().map(|number| format!("{number:.4}")));
    cells
}
