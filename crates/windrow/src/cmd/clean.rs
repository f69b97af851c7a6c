//! `windrow clean`: the rows of files that are wanted as one CSV, all others as another with their reasons.

use std::cell::Cell;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use windrow_core::record::COLUMNS;
use windrow_engine::clean::{self, Cleaned, Order};
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::produce::STDIN;
use windrow_engine::run::{Control, Ended};
use windrow_engine::settings::CleanProfile;

use super::run::reasons;
use super::{App, Done, Exit, Failure};
use crate::args::{Format, KeySet, SettingFlags};
use crate::progress::{ProgressLine, memory, rate};
use crate::signals::Watch;
use crate::term::table::{self, Column};
use crate::term::{Style, text};

/// The settings of `clean`.
#[derive(Debug)]
pub(crate) struct CleanKeys;

impl KeySet for CleanKeys {
    const KEYS: &'static [&'static str] = &[
        "source.input",
        "source.columns",
        "source.input_format",
        "source.delimiter",
        "source.encoding",
        "clean.required",
        "clean.max_length",
        "clean.languages",
        "clean.duplicates",
        "clean.duplicates_window",
        "clean.profile",
    ];
}

/// Write wanted rows as CSV, and the others with reasons
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow clean --input pages.csv.gz --out clean.csv --rejects rejects.csv
  windrow clean --input 'data/*.csv' --out clean.csv --rejects rejects.csv \\
      --required title,description --languages en --max-length 20000,title=300
  windrow clean --profile original --input F.csv --out G.csv --rejects R.csv
  zcat pages.csv.gz | windrow clean --input - --out - --rejects rejects.csv

Both files appear whole, or nothing does. Values are written as they were read;
a reject has its reason, its source, its offset there and its bytes.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<CleanKeys>,
    /// File of the rows that are wanted; `-` for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// File of the others; `-` for standard output
    #[arg(long, value_name = "FILE")]
    rejects: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let settings = app.settings(&args.settings.given)?.settings;
    if settings.source.input.is_empty() {
        let error = Error::new(ErrorKind::Invalid, "E-INPUT-NONE", "there is nothing to clean");
        return Err(error.hint("give files, directories or globs with --input, or - for standard input").into());
    }
    if settings.clean.profile != CleanProfile::None && !settings.clean.rules.is_empty() {
        app.term.say("note: the profile's rules stand in place of the others under [clean]");
    }
    let file = |path: &PathBuf| (path.as_os_str() != STDIN).then(|| path.clone());
    let order = Order {
        inputs: settings.source.input,
        columns: settings.source.columns,
        files: settings.source.files,
        max_record_bytes: settings.limits.max_record,
        max_unpacked: settings.limits.max_unpacked,
        clean: settings.clean,
        out: file(&args.out),
        rejects: file(&args.rejects),
        force: args.force,
    };
    let holds_rows = order.out.is_none() || order.rejects.is_none();
    if holds_rows && app.term.format != Format::Text {
        let error = Error::new(ErrorKind::Invalid, "E-USAGE", "standard output holds rows, and has no room for counts");
        return Err(error.hint("leave out -o: the counts are told on standard error; or give files").into());
    }
    let control = Arc::new(Control::default());
    Watch::start(&control)?;
    let mut line = ProgressLine::new(&app.term);
    let is_closed = Cell::new(false);
    let mut stdout = Watched { stdout: io::stdout().lock(), is_closed: &is_closed };
    let cleaned = clean::clean(&order, &mut stdout, (&app.clock, &control), &mut |rows, elapsed| line.count(rows, elapsed));
    drop(stdout);
    line.finish();
    if is_closed.get() {
        // One of the two is a file: whoever has closed the pipe does not look for it, but a script may.
        app.term.say("standard output was closed: no file was written");
        return Ok(Exit::Bad);
    }
    let cleaned = cleaned?;
    match cleaned.ended {
        Ended::EndOfInput => report(&cleaned, (args, &order), holds_rows, app).map(|()| Exit::Fine),
        ended => {
            let read = text::counted(cleaned.rows, "row");
            app.term.say(&format!("stopped after {read}; no file was written, and the same call begins anew"));
            Ok(if ended == Ended::Interrupted { Exit::Interrupted } else { Exit::Bad })
        }
    }
}

/// Standard output, and whether somebody closed it.
struct Watched<'a> {
    stdout: io::StdoutLock<'a>,
    is_closed: &'a Cell<bool>,
}

impl Watched<'_> {
    fn look<T>(&self, done: io::Result<T>) -> io::Result<T> {
        let is_closed = done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        self.is_closed.set(self.is_closed.get() || is_closed);
        done
    }
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.stdout.write(bytes);
        self.look(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.stdout.flush();
        self.look(done)
    }
}

fn report(cleaned: &Cleaned, (args, order): (&Args, &Order), holds_rows: bool, app: &mut App) -> Result<(), Failure> {
    let n_rejects: u64 = cleaned.rejects.iter().sum();
    let columns = || COLUMNS.iter().zip(cleaned.filled).map(|(name, filled)| (*name, filled, cleaned.pages - filled));
    if app.term.format != Format::Text {
        let columns: Map<String, Value> =
            columns().map(|(name, filled, empty)| (name.to_owned(), json!({"filled": filled, "empty": empty}))).collect();
        return app.term.object(&json!({
            "schema": "windrow.clean/1", "rows": cleaned.rows, "pages": cleaned.pages, "rejects": n_rejects,
            "rejects_by_reason": reasons(&cleaned.rejects), "duplicates": cleaned.duplicates, "columns": columns, "profile": order.clean.profile.name(),
            "out": args.out.to_string_lossy(), "rejects_file": args.rejects.to_string_lossy(),
            "seconds": cleaned.elapsed.as_secs_f64(), "peak_rss_bytes": memory().map(|memory| memory.peak),
        }));
    }
    let seconds = cleaned.elapsed.as_secs_f64();
    let duplicates = Some(cleaned.duplicates).filter(|count| *count > 0);
    let duplicates = duplicates.map_or_else(String::new, |count| format!(", {}", text::counted(count, "duplicate")));
    let told = format!(
        "{} in {} ({}/s): {}, {}{duplicates}",
        text::counted(cleaned.rows, "row"),
        text::seconds(seconds),
        text::count(rate(cleaned.rows, seconds)),
        text::counted(cleaned.pages, "page"),
        text::counted(n_rejects, "reject"),
    );
    let by_reason = reasons(&cleaned.rejects);
    let by_reason =
        by_reason.iter().map(|(reason, count)| format!("  {reason:<16} {:>12}", text::count(count.as_u64().unwrap_or(0))));
    if holds_rows {
        // Data has standard output for itself.
        let by_column = columns().map(|(name, filled, empty)| {
            format!("  {name:<16} {:>12} filled {:>12} empty", text::count(filled), text::count(empty))
        });
        std::iter::once(told).chain(by_column).chain(by_reason).for_each(|line| app.term.say(&line));
        return Ok(());
    }
    let titles = [Column::left("column", 16).style(Style::Bold), Column::right("filled", 14), Column::right("empty", 14)];
    let rows: Vec<Vec<String>> =
        columns().map(|(name, filled, empty)| vec![name.to_owned(), text::count(filled), text::count(empty)]).collect();
    table::write(&mut app.term, &titles, &rows)?;
    if n_rejects > 0 {
        app.term.line("")?;
        by_reason.map(|line| line.trim_start().to_owned()).try_for_each(|line| app.term.line(&line))?;
    }
    app.term.say(&told);
    Ok(())
}
