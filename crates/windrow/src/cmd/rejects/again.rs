//! `rejects replay --into`: rejects of files, as files that a run reads.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use windrow_engine::error::{Error, ErrorKind, quoted};
use windrow_engine::rejects::files::{self, Order, Replayed};
use windrow_engine::source::ColumnMap;

use super::super::{App, Done, Exit, Failure};
use super::{From, Place, Which, place};
use crate::args::Format;
use crate::term::text;

pub(super) fn replay(
    which: &Which,
    (into, columns): (&Path, ColumnMap),
    (forgotten, dry_run): (bool, bool),
    from: &From,
    app: &mut App,
) -> Done {
    if from.from_topics || forgotten {
        let error = Error::new(ErrorKind::Invalid, "E-USAGE", "messages of a topic go to a topic, not to files");
        return Err(error.hint("leave --from-topics and --forgotten out, or --into").into());
    }
    let (settings, filter) = (from.settings(app)?, which.filter(from, app)?);
    let place = place(&settings);
    let order = Order { filter, into: into.to_owned(), columns, dry_run };
    let done = files::replay(&place.committed()?, &order, &app.clock)?;
    told(&done, &order, &lines(&done, &place), app)?;
    Ok(Exit::Fine)
}

/// The lines to run: one for all files that need the same settings.
fn lines(done: &Replayed, place: &Place) -> Vec<String> {
    let mut groups: BTreeMap<String, Vec<&Path>> = BTreeMap::new();
    for file in &done.files {
        let flags = file.flags.iter().map(|(flag, value)| format!(" {flag} {}", quoted(value))).collect();
        groups.entry(flags).or_default().push(&file.path);
    }
    let shown = |path: &Path| quoted(&path.display().to_string());
    let out = format!(" --new --out {}", shown(&place.out));
    let state = place.state.as_ref().map(|state| format!(" --state {}", shown(state))).unwrap_or_default();
    let whole = done.folder.as_deref().filter(|_| groups.len() == 1);
    let line = |(flags, paths): (&String, &Vec<&Path>)| {
        let inputs = whole.map_or_else(|| paths.iter().map(|path| shown(path)).collect::<Vec<_>>().join(" "), shown);
        format!("windrow run --input {inputs}{flags}{out}{state}")
    };
    groups.iter().map(line).collect()
}

fn told(done: &Replayed, order: &Order, lines: &[String], app: &mut App) -> Result<(), Failure> {
    let written: u64 = done.written.values().sum();
    if app.term.format != Format::Text {
        let files: Vec<_> = done.files.iter().map(|file| json!({"path": file.path, "rejects": file.rejects})).collect();
        return app.term.object(&json!({
            "schema": "windrow.replayed/1", "folder": done.folder, "dry_run": order.dry_run, "written": written,
            "written_by_reason": done.written, "before": done.before, "open": done.open, "of_topics": done.of_topics,
            "files": files, "run": lines,
        }));
    }
    let verb = if order.dry_run { "would be written" } else { "written" };
    let reasons: Vec<String> = done.written.iter().map(|(reason, count)| format!("{} {count}", text::plain(reason))).collect();
    let folder = done.folder.as_ref().unwrap_or(&order.into).display().to_string();
    let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
    app.term.say(&format!("{} {verb} to {}{reasons}", text::counted(written, "reject"), text::plain(&folder)));
    let others = [
        (done.before, "written there by an earlier call, not again"),
        (
            done.open,
            "with a quote that nothing closes: no file holds them beside others; `rejects show ID --raw` gives their bytes",
        ),
        (done.of_topics, "messages of topics: they go to a topic (--topic)"),
    ];
    for (count, why) in others.into_iter().filter(|(count, _)| *count > 0) {
        app.term.say(&format!("{} {why}", text::count(count)));
    }
    if !lines.is_empty() {
        app.term
            .say("what was wrong in the rows is mended in these files, what was wrong in the settings by other flags; then:");
    }
    lines.iter().for_each(|line| app.term.say(&format!("  {}", text::plain(line))));
    Ok(())
}
