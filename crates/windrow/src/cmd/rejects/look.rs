//! `rejects list` and `rejects show`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use serde_json::{Value, json};
use windrow_core::record::{Micros, RejectReason};
use windrow_engine::rejects::Rejected;
use windrow_engine::run::Control;

use super::super::check::sample::hint;
use super::super::{App, Done, Exit, Failure};
use super::{From, Which};
use crate::args::Format;
use crate::signals::Watch;
use crate::term::{Style, text};

/// Bytes of an example.
const SHOWN_OF_AN_EXAMPLE: usize = 2_048;
/// Bytes of rejects that are kept to be shown.
const KEPT_BYTES: usize = 256 << 20;

/// A reject by its place.
#[derive(Debug, Clone)]
struct Mark {
    record_id: String,
    commit: u64,
    time: Option<Micros>,
}

impl Mark {
    fn object(&self) -> Value {
        json!({"record_id": self.record_id, "commit": self.commit, "time": self.time.map(text::time)})
    }
}

/// All rejects of one reason of a pipeline.
#[derive(Debug)]
struct Count {
    rejects: u64,
    first: (Rank, Mark),
    last: (Rank, Mark),
    example: Option<Vec<u8>>,
}

type Rank = (Micros, i64, i64);

fn mark(reject: &Rejected<'_>) -> (Rank, Mark) {
    let (record_id, commit, time) = (reject.record_id.to_owned(), reject.commit, reject.time);
    (reject.rank, Mark { record_id, commit, time })
}

fn place_name(from: &From) -> &'static str {
    if from.from_topics { "topic" } else { "output" }
}

/// Counts by reason.
pub(super) fn list(from: &From, app: &mut App) -> Done {
    let settings = from.settings(app)?;
    let control = Arc::new(Control::default());
    Watch::start(&control)?;
    let mut counts: BTreeMap<(String, String), Count> = BTreeMap::new();
    let mut replayed: BTreeMap<(String, String), u64> = BTreeMap::new();
    let whole = from.each(
        &settings,
        (app, &control),
        &mut |reject| {
            let key = (reject.pipeline.to_owned(), reject.reason.to_owned());
            let here = mark(reject);
            let new = || Count { rejects: 0, first: here.clone(), last: here.clone(), example: None };
            let count = counts.entry(key).or_insert_with(new);
            count.rejects += 1;
            if here.0 < count.first.0 {
                count.first = here.clone();
            }
            if here.0 >= count.last.0 {
                count.last = here;
                count.example = reject.raw.map(|raw| raw[..raw.len().min(SHOWN_OF_AN_EXAMPLE)].to_vec());
            }
            Ok(())
        },
        &mut |note| {
            let pipeline = note.key.rsplit_once('/').map_or(note.key, |(pipeline, _)| pipeline);
            *replayed.entry((pipeline.to_owned(), note.reason.to_owned())).or_default() += 1;
        },
    )?;
    if !whole {
        return Ok(Exit::Interrupted);
    }
    if app.term.format == Format::Tsv {
        app.term.tsv(&["from", "pipeline", "reason", "rejects", "replayed", "first", "last", "example"])?;
    }
    for (key, count) in &counts {
        let replayed = replayed.get(key).copied().unwrap_or(0);
        listed(place_name(from), (&key.0, &key.1), count, replayed, app)?;
    }
    if counts.is_empty() {
        app.term.say("there are no rejects");
    }
    Ok(Exit::Fine)
}

fn hint_of(reason: &str) -> Option<&'static str> {
    RejectReason::ALL.into_iter().find(|known| known.code() == reason).map(hint)
}

fn listed(place: &str, (pipeline, reason): (&str, &str), count: &Count, replayed: u64, app: &mut App) -> Result<(), Failure> {
    let example = count.example.as_ref().map(|raw| text::bytes_shown(raw));
    let (first, last) = (&count.first.1, &count.last.1);
    match app.term.format {
        Format::Json => app.term.json(&json!({
            "schema": "windrow.reject-count/1", "from": place, "pipeline": pipeline, "reason": reason, "rejects": count.rejects,
            "replayed": replayed, "first": first.object(), "last": last.object(), "example": example, "hint": hint_of(reason),
        })),
        Format::Tsv => app.term.tsv(&[
            place,
            pipeline,
            reason,
            &count.rejects.to_string(),
            &replayed.to_string(),
            &first.record_id,
            &last.record_id,
            &example.unwrap_or_default(),
        ]),
        Format::Text => {
            let width = app.term.width();
            let at = |mark: &Mark| match mark.time {
                Some(time) => format!("{} ({})", text::plain(&mark.record_id), text::time(time)),
                None => format!("{} (commit {})", text::plain(&mark.record_id), mark.commit),
            };
            let sent = if replayed > 0 { format!(", {} sent once more", text::count(replayed)) } else { String::new() };
            let name = app.term.paint(Style::Bold, &text::plain(reason));
            app.term.line(&format!("{name}  {}{sent}", text::counted(count.rejects, "reject")))?;
            if place == "topic" {
                app.term.line(&format!("  pipeline {}", text::plain(pipeline)))?;
            }
            app.term.line(&text::cut(&format!("  first {}, last {}", at(first), at(last)), width))?;
            if let Some(example) = example {
                app.term.line(&text::cut(&format!("  {example}"), width))?;
            }
            match hint_of(reason) {
                Some(hint) => app.term.line(&format!("  {}", app.term.paint(Style::Yellow, hint))),
                None => Ok(()),
            }
        }
    }
}

/// One reject, kept.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    rank: Rank,
    pipeline: String,
    record_id: String,
    reason: String,
    source: String,
    commit: u64,
    time: Option<Micros>,
    raw: Option<Vec<u8>>,
    cut_from: Option<u64>,
}

impl Kept {
    fn of(reject: &Rejected<'_>) -> Self {
        Self {
            rank: reject.rank,
            pipeline: reject.pipeline.to_owned(),
            record_id: reject.record_id.to_owned(),
            reason: reject.reason.to_owned(),
            source: reject.source.to_owned(),
            commit: reject.commit,
            time: reject.time,
            raw: reject.raw.map(<[u8]>::to_vec),
            cut_from: reject.cut_from,
        }
    }

    fn bytes(&self) -> usize {
        256 + self.raw.as_ref().map_or(0, Vec::len)
    }
}

/// The newest ones with their bytes.
pub(super) fn show(which: &Which, last: usize, raw: bool, from: &From, app: &mut App) -> Done {
    let (settings, filter) = (from.settings(app)?, which.filter(from, app)?);
    let control = Arc::new(Control::default());
    Watch::start(&control)?;
    let (mut kept, mut bytes, mut n_meant) = (BinaryHeap::new(), 0, 0_u64);
    let most = last.max(which.records.len());
    let whole = from.each(
        &settings,
        (app, &control),
        &mut |reject| {
            if filter.fits(reject) {
                n_meant += 1;
                let one = Kept::of(reject);
                bytes += one.bytes();
                kept.push(Reverse(one));
                while kept.len() > most || bytes > KEPT_BYTES {
                    bytes -= kept.pop().map_or(0, |Reverse(oldest)| oldest.bytes());
                }
            }
            Ok(())
        },
        &mut |_| {},
    )?;
    if app.term.format == Format::Tsv {
        app.term.tsv(&["from", "record_id", "reason", "source", "commit", "time", "raw"])?;
    }
    let shown: Vec<Kept> = kept.into_sorted_vec().into_iter().rev().map(|Reverse(one)| one).collect();
    shown.iter().try_for_each(|one| shown_one(one, raw, place_name(from), app))?;
    let older = n_meant - shown.len() as u64;
    if n_meant == 0 {
        app.term.say("there is none such");
    } else if older > 0 {
        app.term.say(&format!("{} more before these: --last N", text::count(older)));
    }
    Ok(if whole { Exit::Fine } else { Exit::Interrupted })
}

fn shown_one(one: &Kept, raw: bool, place: &str, app: &mut App) -> Result<(), Failure> {
    let bytes = one.raw.as_deref();
    let escaped = bytes.map(text::bytes_shown);
    match app.term.format {
        Format::Json => app.term.json(&json!({
            "schema": "windrow.reject/1",
            "from": place,
            "pipeline": one.pipeline,
            "record_id": one.record_id,
            "reason": one.reason,
            "source": one.source,
            "commit": one.commit,
            "time": one.time.map(text::time),
            "raw": bytes.map(String::from_utf8_lossy),
            "raw_hex": bytes.map(hex),
            "cut_from": one.cut_from,
        })),
        Format::Tsv => app.term.tsv(&[
            place,
            &one.record_id,
            &one.reason,
            &one.source,
            &one.commit.to_string(),
            &one.time.map(text::time).unwrap_or_default(),
            &escaped.unwrap_or_default(),
        ]),
        Format::Text if raw => {
            app.term.raw(bytes.unwrap_or_default())?;
            app.term.raw(b"\n")
        }
        Format::Text => {
            let when = one.time.map_or_else(|| format!("commit {}", one.commit), text::time);
            let id = app.term.paint(Style::Bold, &text::plain(&one.record_id));
            let reason = app.term.paint(Style::Red, &text::plain(&one.reason));
            app.term.line(&format!("{id}  {reason}  {}  {when}", text::plain(&one.source)))?;
            if let Some(all) = one.cut_from {
                let all = text::counted(all, "byte");
                app.term.line(&format!("  the topic had no room for all of its {all}: the Parquet has them"))?;
            }
            app.term.line(&format!("  {}", escaped.unwrap_or_else(|| "(no bytes)".into())))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
