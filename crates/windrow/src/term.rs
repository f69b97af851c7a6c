//! The two streams: data on stdout, talk on stderr.
//!
//! Whatever comes from pages (titles, URLs, labels) is hostile: [`text::plain`] takes out what could move the cursor, hide or
//! reorder text. In JSON such characters are escaped instead, so that nothing is lost. A closed stdout ends the program quietly.

pub(crate) mod live;
pub(crate) mod table;
pub(crate) mod text;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use serde_json::json;
use windrow_engine::error::{Error, ErrorKind};

use crate::args::{Format, Global, When};
use crate::cmd::Failure;

/// A colour or weight of text on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Headings and names.
    Bold,
    /// What matters less.
    Dim,
    /// Errors.
    Red,
    /// What is new or well.
    Green,
    /// Hints.
    Yellow,
    /// Bars and sparklines.
    Cyan,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "1;31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }

    /// `text` in this style, when `on`.
    pub(crate) fn paint(self, text: &str, on: bool) -> String {
        if on { format!("\x1b[{}m{text}\x1b[0m", self.code()) } else { text.to_owned() }
    }
}

/// Where a verb writes to.
#[derive(Debug)]
pub(crate) struct Term {
    out: BufWriter<Stdout>,
    /// How data is written.
    pub(crate) format: Format,
    /// Whether data is coloured.
    pub(crate) color: bool,
    color_err: bool,
    quiet: bool,
}

impl Term {
    /// The terminal as the flags want it.
    pub(crate) fn new(global: &Global) -> Self {
        let wants = |is_terminal: bool| match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal && !env_is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        };
        Self {
            out: BufWriter::new(io::stdout()),
            format: global.format.format(),
            color: wants(io::stdout().is_terminal()),
            color_err: wants(io::stderr().is_terminal()),
            quiet: global.quiet,
        }
    }

    /// Whether something that moves may be shown on stderr.
    pub(crate) fn may_animate(&self) -> bool {
        !self.quiet && io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Whether talk is wanted at all.
    pub(crate) fn may_talk(&self) -> bool {
        !self.quiet
    }

    /// Whether stdout is a terminal.
    pub(crate) fn is_live(&self) -> bool {
        io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Whether nobody reads stdout any more: what only waits would never find out by writing.
    pub(crate) fn is_closed(&self) -> bool {
        let stdout = io::stdout();
        let mut looked = [PollFd::new(&stdout, PollFlags::empty())];
        poll(&mut looked, Some(&Timespec::default())).is_ok() && looked[0].revents().contains(PollFlags::ERR)
    }

    /// Columns and lines of the terminal; 80 columns where there is none.
    pub(crate) fn size(&self) -> (usize, usize) {
        let size = terminal_size::terminal_size_of(io::stdout()).or_else(|| terminal_size::terminal_size_of(io::stderr()));
        match size {
            Some((width, height)) if self.is_live() => (usize::from(width.0).max(40), usize::from(height.0).max(10)),
            _ => (80, 24),
        }
    }

    /// Columns of a table.
    pub(crate) fn width(&self) -> usize {
        self.size().0.min(160)
    }

    /// Styled data.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        style.paint(text, self.color)
    }

    /// Writes one line of data. The text is already plain.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Writes data as it is.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(bytes)?)
    }

    /// Writes one JSON object on a line of its own.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| internal(&error))?;
        self.line(&text::escape_json(&text))
    }

    /// Writes one line of tab-separated values.
    pub(crate) fn tsv<T: AsRef<str>>(&mut self, values: &[T]) -> Result<(), Failure> {
        let line: Vec<String> = values.iter().map(|value| text::tsv(value.as_ref())).collect();
        self.line(&line.join("\t"))
    }

    /// Writes an object as JSON, or tab-separated: a header, and one line `field, value` for each field.
    pub(crate) fn object(&mut self, object: &serde_json::Value) -> Result<(), Failure> {
        let (Format::Tsv, Some(fields)) = (self.format, object.as_object()) else { return self.json(object) };
        self.tsv(&["field", "value"])?;
        fields.iter().try_for_each(|(name, value)| match value.as_str() {
            Some(value) => self.tsv(&[name.as_str(), value]),
            None => self.tsv(&[name.as_str(), &value.to_string()]),
        })
    }

    /// Writes out what is buffered.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Talks to the user.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            // Nobody is left to hear it when stderr is closed.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// Styled talk.
    pub(crate) fn paint_talk(&self, style: Style, text: &str) -> String {
        style.paint(text, self.color_err)
    }

    /// Says what went wrong: for people on stderr, with `-o json` also as one object on stdout.
    pub(crate) fn error(&self, error: &Error) {
        if self.format == Format::Json {
            let object = json!({
                "schema": "windrow.error/1",
                "code": error.code,
                "message": error.message,
                "cause": error.causes,
                "hint": error.hint,
                "docs": format!("docs/reference/errors.md#{}", error.code.to_lowercase()),
                "exit_code": error.exit_code(),
            });
            let _ = writeln!(io::stdout(), "{}", text::escape_json(&object.to_string()));
        }
        let mut lines = vec![format!(
            "{} {}",
            self.paint_talk(Style::Red, &format!("error[{}]:", error.code)),
            text::plain(&error.message)
        )];
        lines.extend(
            error.causes.iter().map(|cause| format!("{} {}", self.paint_talk(Style::Dim, "cause:"), text::plain(cause))),
        );
        lines
            .extend(error.hint.iter().map(|hint| format!("{} {}", self.paint_talk(Style::Yellow, "hint:"), text::plain(hint))));
        let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
    }
}

fn env_is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

fn internal(error: &dyn std::fmt::Display) -> Failure {
    Failure::Error(Error::new(ErrorKind::Internal, "E-INTERNAL", "cannot write JSON").cause(error))
}
