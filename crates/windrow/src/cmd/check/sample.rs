//! Messages of a topic as they would be read: pages, and rejects with their reasons, before anything is written.

use serde_json::{Map, Value, json};
use windrow_core::pipeline::Preparer;
use windrow_core::record::{COLUMNS, RejectReason};
use windrow_engine::error::Error;
use windrow_engine::kafka::sample::Sample;
use windrow_engine::observe::Counters;
use windrow_engine::settings::Settings;
use windrow_engine::source::parse::Parser;
use windrow_engine::source::{ColumnMap, Form};

use super::super::run::reasons;
use super::super::{App, Failure};
use super::parsed;
use crate::term::{Style, text};

/// Bytes of a reject that are shown.
const SHOWN_OF_A_REJECT: usize = 4_096;

/// Columns of a terminal that names take.
const NAMES: usize = 13;

/// What messages would become.
#[derive(Debug)]
pub(in crate::cmd) struct Preview {
    topic: String,
    rows: Vec<Row>,
    counters: Counters,
}

#[derive(Debug)]
struct Row {
    partition: i32,
    offset: i64,
    read: Result<[String; COLUMNS.len()], (RejectReason, Vec<u8>)>,
}

impl Preview {
    /// Reads a sample as the settings say.
    ///
    /// # Errors
    /// `E-COLUMN-MAP`: the column map does not suit the messages.
    pub(in crate::cmd) fn of(sample: &Sample, settings: &Settings) -> Result<Self, Error> {
        let form = Form::of_messages(
            settings.source.format,
            &settings.source.columns.parse::<ColumnMap>()?.keeping(&settings.source.keep),
        )?;
        let batch = sample.batch(form, settings.limits.max_record);
        let mut parser = Parser::new();
        let prepared =
            Preparer::with_rules(settings.features.clone(), settings.clean.rules.clone()).prepare(parser.parse(&batch));
        let mut counters = Counters { rows: prepared.n_rows, pages: prepared.pages.len() as u64, ..Counters::default() };
        let mut read: Vec<_> = Vec::with_capacity(sample.messages.len());
        read.extend((0..prepared.pages.len()).map(|at| (prepared.pages.origin[at].offset, Ok(parsed(&prepared.pages, at)))));
        for reject in &prepared.rejects {
            counters.rejects[reject.reason.place()] += 1;
            let raw = &reject.raw[..reject.raw.len().min(SHOWN_OF_A_REJECT)];
            read.push((reject.origin.offset, Err((reject.reason, raw.to_vec()))));
        }
        read.sort_by_key(|(index, _)| *index);
        let row = |(index, read): (u64, _)| {
            let message = &sample.messages[usize::try_from(index).unwrap_or(usize::MAX)];
            Row { partition: message.partition, offset: message.offset, read }
        };
        Ok(Self { topic: settings.source.topic.clone(), rows: read.into_iter().map(row).collect(), counters })
    }

    /// Counts of what the messages would become.
    pub(in crate::cmd) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The counts in words.
    pub(in crate::cmd) fn told(&self) -> String {
        if self.rows.is_empty() {
            return format!("{} is empty: nothing to look at", self.topic);
        }
        let list = reasons(&self.counters.rejects);
        let list: Vec<String> = list.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let list = if list.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) };
        format!(
            "{} of {}: {}, {}{list}",
            text::counted(self.counters.rows, "message"),
            self.topic,
            text::counted(self.counters.pages, "page"),
            text::counted(self.counters.n_rejects(), "reject")
        )
    }

    /// As JSON.
    pub(super) fn object(&self) -> Value {
        let message = |row: &Row| {
            let page = row.read.as_ref().ok().map(|page| -> Map<String, Value> {
                COLUMNS.iter().zip(page).map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect()
            });
            let reject = row.read.as_ref().err();
            json!({
                "partition": row.partition,
                "offset": row.offset,
                "page": page,
                "reject": reject.map(|(reason, _)| reason.code()),
                "hint": reject.map(|(reason, _)| hint(*reason)),
                "value": reject.map(|(_, value)| String::from_utf8_lossy(value)),
            })
        };
        json!({
            "topic": self.topic,
            "messages": self.rows.iter().map(message).collect::<Vec<_>>(),
            "pages": self.counters.pages,
            "rejects": self.counters.n_rejects(),
            "rejects_by_reason": reasons(&self.counters.rejects),
        })
    }

    /// For people.
    pub(super) fn print(&self, app: &mut App) -> Result<(), Failure> {
        let width = app.term.width();
        for row in &self.rows {
            app.term.line("")?;
            let place = app.term.paint(Style::Dim, &format!("{:>NAMES$}", format!("{}:{}", row.partition, row.offset)));
            let verdict = match &row.read {
                Ok(_) => app.term.paint(Style::Green, "page"),
                Err((reason, _)) => app.term.paint(Style::Red, &format!("reject: {}", reason.code())),
            };
            app.term.line(&format!("{place}  {verdict}"))?;
            for (name, value) in row.shown().into_iter().filter(|(_, value)| !value.is_empty()) {
                let name = app.term.paint(Style::Dim, &format!("{name:>NAMES$}"));
                app.term.line(&format!("{name}  {}", text::cut(&value, width.saturating_sub(NAMES + 2))))?;
            }
            if let Err((reason, _)) = &row.read {
                let hint = app.term.paint(Style::Yellow, hint(*reason));
                app.term.line(&format!("{:NAMES$}  {hint}", ""))?;
            }
        }
        Ok(())
    }
}

impl Row {
    /// What is shown of it, by name; harmless.
    fn shown(&self) -> Vec<(&'static str, String)> {
        match &self.read {
            Ok(page) => COLUMNS.into_iter().zip(page).map(|(name, value)| (name, text::plain(value).into_owned())).collect(),
            Err((_, value)) => vec![("value", text::bytes_shown(value))],
        }
    }
}

/// What to do about a reject.
pub(in crate::cmd) fn hint(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::EmptyPage => "nothing in url, title, keywords and description: --columns says where they lie",
        RejectReason::InvalidUtf8 => "only UTF-8 is read: another encoding, or no text at all?",
        RejectReason::BadTime => "the time cannot be read; --columns leads to another one, creation_time=- to none",
        RejectReason::ColumnCount => "too few fields, too many, or several lines: one CSV record is one message",
        RejectReason::BadQuote => "a quote is never closed, or text follows a closing one",
        RejectReason::TooLong => "longer than limits.max_record",
        RejectReason::RepeatedHeader => "a header, no row",
        RejectReason::BadJson => "no JSON object; CSV records need --message-format csv",
        RejectReason::WrongType => "an object lies where a text is wanted: --columns leads into it, as url=page.url",
        RejectReason::Tombstone => "a message without a value deletes its key: there is nothing to read",
        RejectReason::MissingField => "a column that must hold something is empty: clean.required, or the profile original",
        RejectReason::FieldTooLong => "more characters than clean.max_length allows",
        RejectReason::OtherLanguage => "surely in none of clean.languages",
        RejectReason::Duplicate => "the same texts as a page among the last ones: clean.duplicates",
        RejectReason::OtherCharacter => "the description has characters that the profile original does not keep",
    }
}
