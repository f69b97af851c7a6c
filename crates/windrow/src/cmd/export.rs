//! `windrow export`: pages of clusters to take away.

use std::path::{Path, PathBuf};

use serde_json::json;
use windrow_core::clean;
use windrow_core::cluster::ClusterId;
use windrow_core::record::Micros;
use windrow_engine::checkpoint::Committed;
use windrow_engine::export::{self, Exported, Wanted};
use windrow_engine::history::History;
use windrow_engine::settings::{Given, Origin};

use super::clusters::Place;
use super::{App, Done, Exit, Failure};
use crate::args::{Format, KeySet, SettingFlags};
use crate::picture::{self, Fonts, Known};

/// The settings of the place, but for the output folder: `--out` is the file here.
#[derive(Debug)]
struct StateKeys;

impl KeySet for StateKeys {
    const KEYS: &'static [&'static str] = &["output.state"];
}

/// Write pages of clusters as CSV, XLSX or Parquet, or all as HTML
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow export --cluster 7 --out sale.xlsx
  windrow export --cluster 7 --since 2023-05-01 --out may.csv --folder out
  windrow export --cluster 7 --cluster 12 --out both.parquet
  windrow export --html clusters.html

Pages are those delivered to the cluster, as of the last roll. CSV is made for
spreadsheets: texts that one would take for a formula begin with a quote;
programs want --raw, or Parquet.

--html writes one page with pictures and tables of all clusters, which opens in
any browser, without a network.
")]
pub(crate) struct Args {
    /// Id of a cluster; may be given several times
    #[arg(long, value_name = "ID", required_unless_present = "html")]
    cluster: Vec<ClusterId>,
    /// The file: its name ends with .csv, .xlsx or .parquet
    #[arg(long, value_name = "FILE", required_unless_present = "html")]
    out: Option<PathBuf>,
    /// Pictures and tables of all clusters as one page that opens offline
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cluster", "out", "since", "until", "raw"])]
    html: Option<PathBuf>,
    /// Only pages created at this time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Micros>,
    /// Only pages created before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Micros>,
    /// CSV with texts as they are, also those that begin like formulas
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    file: FileFlags,
}

fn time(text: &str) -> Result<Micros, String> {
    clean::time(text).ok_or_else(|| "a time such as 2023-05-01 or 2023-05-01T12:00:00Z".into())
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let committed = args.file.committed(app)?;
    let Some(to) = args.html.as_ref().or(args.out.as_ref()) else {
        return Err(export::no_such_form(Path::new(""), ".csv, .xlsx or .parquet").into());
    };
    export::allow(to, args.file.force)?;
    if args.html.is_some() {
        return keep(committed, to, app);
    }
    let wanted = Wanted { clusters: args.cluster.clone(), since: args.since, until: args.until, raw: args.raw };
    let exported = export::export(&committed, &wanted, to)?;
    tell((args, to), &exported, app)?;
    Ok(Exit::Fine)
}

/// Writes the page to keep.
fn keep(committed: Committed, to: &Path, app: &mut App) -> Done {
    if to.extension().is_none_or(|form| form != "html") {
        return Err(export::no_such_form(to, ".html").into());
    }
    let history = History::of(&committed)?;
    let reading = committed.with_model()?;
    let (view, manifest) = (reading.pipeline.view(), &reading.manifest);
    let known = Known::new(&view, &history, &manifest.counters, (manifest.epoch, manifest.written_at));
    export::write(to, picture::page(&known, &Fonts::installed()).as_bytes())?;
    let (clusters, file) = (view.clusters.len(), to.display().to_string());
    match app.term.format {
        Format::Json => app.term.json(&json!({"schema": "windrow.export/1", "file": file, "clusters": view.clusters.iter().map(|one| one.cluster).collect::<Vec<_>>(), "pages": view.pages}))?,
        Format::Tsv => {
            app.term.tsv(&["file", "pages"])?;
            app.term.tsv(&[&file, &view.pages.to_string()])?;
        }
        Format::Text => app.term.line(&format!("{clusters} clusters in {file}"))?,
    }
    Ok(Exit::Fine)
}

/// A file that is made of an output, for other programs.
#[derive(Debug, clap::Args)]
pub(super) struct FileFlags {
    /// Replace the file if it is there
    #[arg(long)]
    pub(super) force: bool,
    /// Output folder of the run [default: output.out of the settings]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags<StateKeys>,
}

impl FileFlags {
    /// What is committed in the folder that is meant.
    pub(super) fn committed(&self, app: &mut App) -> Result<Committed, Failure> {
        let folder = self.folder.iter().map(|folder| Given {
            key: "output.out".into(),
            texts: vec![folder.to_string_lossy().into_owned()],
            origin: Origin::Flag("folder".into()),
        });
        let given: Vec<Given> = self.settings.given.iter().cloned().chain(folder).collect();
        Ok(Place::of(app.settings(&given)?.settings.output).committed()?)
    }
}

fn tell((args, to): (&Args, &Path), exported: &Exported, app: &mut App) -> Result<(), super::Failure> {
    let (pages, file) = (exported.pages, to.display().to_string());
    match app.term.format {
        Format::Json => app.term.json(&json!({
            "schema": "windrow.export/1",
            "file": file,
            "clusters": args.cluster,
            "pages": pages,
            "without_time": exported.without_time,
            "sheets": exported.sheets,
            "cut": exported.cut,
        }))?,
        Format::Tsv => {
            app.term.tsv(&["file", "pages"])?;
            app.term.tsv(&[&file, &pages.to_string()])?;
        }
        Format::Text => app.term.line(&format!("{pages} pages in {file}"))?,
    }
    if exported.without_time > 0 {
        app.term.say(&format!("{} pages without a creation time were left out", exported.without_time));
    }
    if exported.cut > 0 {
        app.term
            .say(&format!("{} texts were longer than a cell holds, and cut; CSV and Parquet have them whole", exported.cut));
    }
    Ok(())
}
