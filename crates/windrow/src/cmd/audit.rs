//! `windrow audit`: proof that nothing was lost, doubled or changed.

use std::fmt::Write as _;

use serde_json::json;
use windrow_engine::audit::{self, AuditJob, Report, Topics};
use windrow_engine::settings::OutputTopics;

use super::run::{topic, topic_output};
use super::{App, Done, Exit, Failure};
use crate::args::{Format, KafkaFlags, KeySet, SettingFlags};
use crate::term::{Style, text};

/// The settings of `audit`.
#[derive(Debug)]
pub(crate) struct AuditKeys;

impl KeySet for AuditKeys {
    const KEYS: &'static [&'static str] = &[
        "source.input",
        "source.columns",
        "source.topic",
        "source.format",
        "output.out",
        "output.state",
        "output.kafka",
        "limits.memory",
    ];
}

/// Prove that nothing was lost, duplicated or changed
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow audit --out out
  windrow audit --input 'data/*.csv' --out out -o json

Reads the inputs again, up to what is committed, and looks for every record in
the Parquet in view and in the topics, if the pipeline writes some. Without
--input: the inputs of the last run. Ends with exit code 1 when something is not
as it should be.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<AuditKeys>,
    #[command(flatten)]
    kafka: KafkaFlags,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let settings = app.settings(&[args.settings.given.clone(), args.kafka.given()?].concat())?.settings;
    let topics = match topic_output(&settings) {
        Some(output) => Topics::Given(output),
        None if settings.output.kafka == OutputTopics::None => Topics::LeftOut,
        None => Topics::NotGiven,
    };
    let job = AuditJob {
        topic: topic(&settings),
        topics,
        inputs: settings.source.input,
        columns: settings.source.columns,
        out: settings.output.out,
        state: settings.output.state,
        memory_bytes: settings.limits.memory,
    };
    let report = audit::audit(&job, &app.clock, &mut |told| app.term.say(told))?;
    print(&report, app)?;
    Ok(if report.is_clean() { Exit::Fine } else { Exit::Bad })
}

fn print(report: &Report, app: &mut App) -> Result<(), Failure> {
    let counts = [
        ("input", report.input),
        ("pages", report.pages),
        ("rejects", report.rejects),
        ("lost", report.lost),
        ("duplicated", report.duplicated),
        ("disagreeing", report.disagreeing),
    ];
    match app.term.format {
        Format::Json => {
            let mut object = json!({"schema": "windrow.audit/1"});
            let fields = serde_json::to_value(report).unwrap_or_default();
            if let (Some(object), serde_json::Value::Object(fields)) = (object.as_object_mut(), fields) {
                object.extend(fields);
            }
            app.term.json(&object)
        }
        Format::Tsv => {
            app.term.tsv(&counts.map(|(name, _)| name))?;
            app.term.tsv(&counts.map(|(_, count)| count.to_string()))
        }
        Format::Text => text(report, app),
    }
}

fn text(report: &Report, app: &mut App) -> Result<(), Failure> {
    let verdict = match report.is_clean() {
        true => app.term.paint(Style::Green, "clean"),
        false => app.term.paint(Style::Red, "not clean"),
    };
    app.term.line(&format!(
        "{verdict}: {} in the inputs{}, {} and {} in the outputs (commit {})",
        text::counted(report.input, "row"),
        if report.expired > 0 {
            format!(" and {} that are not there any more", text::count(report.expired))
        } else {
            String::new()
        },
        text::counted(report.pages, "page"),
        text::counted(report.rejects, "reject"),
        report.epoch
    ))?;
    if let Some(topics) = &report.topics {
        let mut told =
            format!("topics: {} and {}", text::counted(topics.pages, "page"), text::counted(topics.rejects, "reject"));
        let more = [
            (topics.ahead, "not yet in the Parquet"),
            (topics.expired, "deleted by the topics since"),
            (topics.hidden, "hidden by open transactions of others"),
            (topics.foreign, "of other writers"),
        ];
        for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
            let _ = write!(told, "; {} {what}", text::count(count));
        }
        app.term.line(&told)?;
        if !topics.missing.is_empty() {
            app.term.line(&format!("topics that are not there: {}", text::plain(&topics.missing.join(" "))))?;
        }
    }
    let findings = [
        ("lost", report.lost, &report.lost_examples),
        ("duplicated", report.duplicated, &report.duplicated_examples),
        ("disagreeing", report.disagreeing, &report.disagreeing_examples),
        ("missing files", report.missing_files.len() as u64, &report.missing_files),
        ("damaged files", report.damaged_files.len() as u64, &report.damaged_files),
        ("not ours", report.unpublished_files.len() as u64, &report.unpublished_files),
    ];
    for (at, (name, count, examples)) in findings.into_iter().enumerate() {
        if count > 0 || at < 3 {
            let line = format!("{name:>15} {:>9}  {}", text::count(count), text::plain(&examples.join(" ")));
            app.term.line(text::cut(&line, app.term.width()).trim_end())?;
        }
    }
    Ok(())
}
