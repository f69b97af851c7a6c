//! `rejects replay` and `rejects purge`.

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;

use serde_json::json;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::Broker;
use windrow_engine::kafka::rejects::{self, RejectsTopic, Replay, Replayed};
use windrow_engine::run::Control;
use windrow_engine::settings::Settings;

use super::super::{App, Done, Exit, Failure};
use super::{From, Which, place};
use crate::args::Format;
use crate::signals::Watch;
use crate::term::text;

/// Sends the bytes of rejects once more.
pub(super) fn replay(
    which: &Which,
    topic: Option<&str>,
    (forgotten, dry_run): (bool, bool),
    from: &From,
    app: &mut App,
) -> Done {
    let (settings, mut filter) = (from.settings(app)?, which.filter(from, app)?);
    let topic = topic.unwrap_or(&settings.source.topic).to_owned();
    if topic.is_empty() {
        let error = Error::new(ErrorKind::Invalid, "E-INPUT-NONE", "there is no topic to send to");
        let hint = "give one with --topic, or source.topic in the settings; --into DIR writes rejects of files to files";
        return Err(error.hint(hint).into());
    }
    if from.from_topics && filter.pipeline.is_none() {
        filter.pipeline = Some(own_pipeline(&settings)?);
    }
    let control = Arc::new(Control::default());
    Watch::start(&control)?;
    let broker = Broker::new(&settings.kafka)?;
    let order = Replay { filter, topic, format: settings.source.format, forgotten, dry_run };
    let mut talk = |told: &str| app.term.say(told);
    let done = rejects::replay(&broker, &order, (&app.clock, &control), &mut talk, &mut |each| {
        from.each(&settings, (app, &control), each, &mut |_| {})
    })?;
    told(&done, &order, app)?;
    Ok(if done.is_stopped { Exit::Interrupted } else { Exit::Fine })
}

/// Two pipelines that read the same messages reject the same ones: only those of one are sent.
fn own_pipeline(settings: &Settings) -> Result<String, Error> {
    let committed = place(settings).committed().map_err(|error| {
        let message = "the topic holds the rejects of all pipelines: of which one?";
        let usage = Error::new(ErrorKind::Invalid, "E-USAGE", message).cause(error.message);
        usage.hint("give the --out of a run, or --pipeline ID; `windrow rejects list --from-topics` shows the ids")
    })?;
    Ok(committed.manifest.pipeline)
}

fn told(done: &Replayed, order: &Replay, app: &mut App) -> Result<(), Failure> {
    let sent: u64 = done.sent.values().sum();
    if app.term.format != Format::Text {
        return app.term.object(&json!({
            "schema": "windrow.replay/1", "topic": order.topic, "dry_run": order.dry_run, "sent": sent, "sent_by_reason": done.sent,
            "before": done.before, "forgotten": done.forgotten, "empty": done.empty, "cut": done.cut, "of_files": done.of_files,
            "stopped": done.is_stopped,
        }));
    }
    let verb = if order.dry_run { "would be sent" } else { "sent" };
    let reasons: Vec<String> = done.sent.iter().map(|(reason, count)| format!("{} {count}", text::plain(reason))).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
    app.term.say(&format!("{} {verb} to {}{reasons}", text::counted(sent, "reject"), text::plain(&order.topic)));
    let others = [
        (done.before, "sent by an earlier call, not again"),
        (
            done.forgotten,
            "perhaps sent by an earlier call: windrow-rejects has deleted what would say so; --forgotten sends them",
        ),
        (done.empty, "without bytes: nothing to send"),
        (done.cut, "cut off in windrow-rejects, which had no room for all of their bytes: the Parquet has them (--out)"),
        (done.of_files, "from files, CSV: the messages of the topic are not (source.format)"),
    ];
    for (count, why) in others.into_iter().filter(|(count, _)| *count > 0) {
        app.term.say(&format!("{} {why}", text::count(count)));
    }
    if done.is_stopped {
        app.term.say("stopped; the same call sends the rest");
    }
    Ok(())
}

/// Deletes what the topic of rejects holds.
pub(super) fn purge(dry_run: bool, yes: bool, from: &From, app: &mut App) -> Done {
    let settings = from.settings(app)?;
    if !from.from_topics {
        let error = Error::new(
            ErrorKind::Invalid,
            "E-USAGE",
            "the Parquet under rejects/ is never purged: published files stay as they are",
        );
        let hint = "--from-topics empties the topic; files of rejects that nobody needs may be deleted by hand, the audit then says so; \
                    whole outputs are deleted with their folder and their state, together";
        return Err(error.hint(hint).into());
    }
    let control = Arc::new(Control::default());
    Watch::start(&control)?;
    let broker = Broker::new(&settings.kafka)?;
    let mut topic = RejectsTopic::open(&broker, &mut |told| app.term.say(told))?;
    let (mut n_rejects, mut n_notes) = (0_u64, 0_u64);
    let counted = topic.each(
        (&app.clock, &control),
        &mut |_| {
            n_rejects += 1;
            Ok(())
        },
        &mut |_| n_notes += 1,
    )?;
    if !counted {
        return Ok(Exit::Interrupted);
    }
    let extents = topic.extents();
    let what =
        format!("{} of all pipelines, and {} of replays", text::counted(n_rejects, "reject"), text::counted(n_notes, "note"));
    if !dry_run {
        if !yes && !agreed(&what, app) {
            let error = Error::new(ErrorKind::Invalid, "E-USAGE", format!("{what} would be deleted from windrow-rejects"));
            return Err(error.hint("look with --dry-run; then say --yes. The Parquet keeps its rejects").into());
        }
        broker.purge_rejects(&extents)?;
    }
    if app.term.format != Format::Text {
        let partitions: Vec<_> =
            extents.iter().map(|one| json!({"partition": one.partition, "from": one.low, "to": one.high})).collect();
        app.term.object(&json!({
            "schema": "windrow.purge/1", "topic": "windrow-rejects", "dry_run": dry_run, "rejects": n_rejects, "notes": n_notes,
            "partitions": partitions,
        }))?;
        return Ok(Exit::Fine);
    }
    let verb = if dry_run { "would be deleted" } else { "deleted" };
    app.term.say(&format!("{what}: {verb} from windrow-rejects; the Parquet keeps its rejects"));
    Ok(Exit::Fine)
}

/// Asks, where somebody sits.
fn agreed(what: &str, app: &App) -> bool {
    if app.global.no_input || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    app.term.say(&format!("delete {what}? Type yes:"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}
