//! `windrow audit`: proof that nothing was lost, doubled or changed.

use serde_json::json;
use windrow_engine::audit::{self, AuditJob, Found, Report};
use windrow_engine::error::{Error, ErrorKind};

use super::run::threads;
use super::{App, Done, Exit, Failure};
use crate::args::{Format, KeySet, SettingFlags};
use crate::term::{Style, text};

/// The settings of `audit`.
#[derive(Debug)]
pub(crate) struct AuditKeys;

impl KeySet for AuditKeys {
    const KEYS: &'static [&'static str] =
        &["source.input", "source.columns", "output.out", "output.state", "run.threads", "limits.memory"];
}

/// Compare inputs and outputs, record by record: lost, duplicated, changed?
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow audit --input pages.csv.gz --out out
  windrow audit --input 'data/*.csv' --out out -o json

Reads the inputs again, up to what is committed, and looks for every record in
the Parquet in view. Ends with exit code 1 when something is not as it should be.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<AuditKeys>,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let resolved = app.settings(&args.settings.given)?;
    let columns = resolved.is_given("source.columns").then(|| resolved.settings.source.columns.clone());
    let settings = resolved.settings;
    if settings.source.input.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-NONE", "there is nothing to compare the outputs with")
            .hint("give every input that was read with --input")
            .into());
    }
    let report = audit::audit(&AuditJob {
        inputs: settings.source.input,
        columns,
        out: settings.output.out,
        state: settings.output.state,
        threads: threads(settings.run.threads),
        memory_bytes: settings.limits.memory,
        max_record_bytes: settings.limits.max_record,
    })?;
    print(&report, app)?;
    Ok(if report.is_clean() { Exit::Fine } else { Exit::Bad })
}

fn print(report: &Report, app: &mut App) -> Result<(), Failure> {
    let findings = [("lost", &report.lost), ("duplicated", &report.duplicated), ("disagreeing", &report.disagreeing)];
    match app.term.format {
        Format::Json => {
            let first = findings.map(|(name, found)| (name.to_owned(), ids(found).into()));
            app.term.json(&json!({
                "schema": "windrow.audit/1",
                "commit": report.epoch,
                "input": report.input,
                "pages": report.pages,
                "rejects": report.rejects,
                "lost": report.lost.count,
                "duplicated": report.duplicated.count,
                "disagreeing": report.disagreeing.count,
                "first": first.into_iter().collect::<serde_json::Map<_, _>>(),
            }))
        }
        Format::Tsv => {
            app.term.tsv(&["input", "pages", "rejects", "lost", "duplicated", "disagreeing"])?;
            let counts = [report.input, report.pages, report.rejects];
            let counts = counts.into_iter().chain(findings.map(|(_, found)| found.count));
            app.term.tsv(&counts.map(|count| count.to_string()).collect::<Vec<_>>())
        }
        Format::Text => {
            let verdict = if report.is_clean() {
                app.term.paint(Style::Green, "clean")
            } else {
                app.term.paint(Style::Red, "not clean")
            };
            app.term.line(&format!(
                "{verdict}: {} in the inputs, {} + {} in the outputs (commit {})",
                text::counted(report.input, "record"),
                text::counted(report.pages, "page"),
                text::counted(report.rejects, "reject"),
                report.epoch
            ))?;
            for (name, found) in findings {
                let named = if found.count == 0 { String::new() } else { format!("  first: {}", ids(found).join(", ")) };
                app.term.line(&text::cut(&format!("{name:>12} {}{named}", text::count(found.count)), app.term.width()))?;
            }
            Ok(())
        }
    }
}

fn ids(found: &Found) -> Vec<String> {
    found.first.iter().map(ToString::to_string).collect()
}
