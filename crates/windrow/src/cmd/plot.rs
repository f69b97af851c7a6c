//! `windrow plot`: pictures of a run, without a browser.

use std::path::PathBuf;

use serde_json::json;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::export;
use windrow_engine::history::{Clock, History, Window};

use super::export::FileFlags;
use super::{App, Done, Exit};
use crate::args::Format;
use crate::picture::{self, Fonts, Kind, Known, Missing, Scope};

/// Draw a picture of a run: SVG, or PNG
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow plot messages --out messages.svg
  windrow plot clusters --out clusters.png --folder out --width 1600
  windrow plot map --out map.svg --force

Pictures show what was delivered, as of the last roll, beside a running pipeline
too. SVG keeps text as text; PNG is drawn with the fonts of this machine.
")]
pub(crate) struct Args {
    /// What to draw
    kind: Kind,
    /// The file: its name ends with .svg or .png
    #[arg(long, value_name = "FILE", required = true)]
    out: PathBuf,
    /// Which time: that of the pages, or when they came
    #[arg(long, value_enum, default_value_t)]
    clock: ClockName,
    /// How far back from the newest page (messages and clusters)
    #[arg(long, value_enum, default_value_t)]
    window: WindowName,
    /// Width in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 1_200, value_parser = clap::value_parser!(u16).range(600..=4_000))]
    width: u16,
    #[command(flatten)]
    file: FileFlags,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum ClockName {
    /// Creation time
    #[default]
    Event,
    /// Time of arrival
    Arrival,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum WindowName {
    /// A minute
    #[value(name = "1m")]
    Minute,
    /// An hour
    #[value(name = "1h")]
    Hour,
    /// A day
    #[value(name = "24h")]
    Day,
    /// Everything
    #[default]
    All,
}

impl Args {
    fn scope(&self) -> Scope {
        let clock = match self.clock {
            ClockName::Event => Clock::Event,
            ClockName::Arrival => Clock::Arrival,
        };
        let window = match self.window {
            WindowName::Minute => Window::Minute,
            WindowName::Hour => Window::Hour,
            WindowName::Day => Window::Day,
            WindowName::All => Window::All,
        };
        Scope { clock, window }
    }

    /// Whether a PNG is wanted.
    fn is_png(&self) -> Result<bool, Error> {
        match self.out.extension().and_then(|form| form.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => Ok(false),
            Some("png") => Ok(true),
            _ => Err(export::no_such_form(&self.out, ".svg or .png")),
        }
    }
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let is_png = args.is_png()?;
    export::allow(&args.out, args.file.force)?;
    let committed = args.file.committed(app)?;
    let history = History::of(&committed)?;
    let reading = committed.with_model()?;
    let view = reading.pipeline.view();
    let fonts = Fonts::installed();
    if is_png && fonts.is_empty() {
        return Err(no_fonts().into());
    }
    let known = Known::new(&view, &history, &reading.manifest.counters, (reading.manifest.epoch, reading.manifest.written_at));
    let svg = picture::svg(args.kind, &known, args.scope(), &fonts, f64::from(args.width));
    let (bytes, missing) = if is_png { picture::png(&svg, &fonts)? } else { (svg.into_bytes(), Vec::new()) };
    export::write(&args.out, &bytes)?;
    tell(args, &missing, app)?;
    Ok(Exit::Fine)
}

fn tell(args: &Args, missing: &[Missing], app: &mut App) -> Result<(), super::Failure> {
    let file = args.out.display().to_string();
    match app.term.format {
        Format::Json => {
            let scripts: Vec<_> =
                missing.iter().map(|one| json!({"script": one.script, "sample": one.sample, "package": one.package})).collect();
            app.term.json(&json!({"schema": "windrow.plot/1", "file": file, "missing": scripts}))?;
        }
        Format::Tsv => {
            app.term.tsv(&["file"])?;
            app.term.tsv(&[&file])?;
        }
        Format::Text => app.term.line(&file)?,
    }
    for Missing { script, sample, package } in missing {
        app.term
            .say(&format!("no font of this machine has {script} ({sample}): boxes stand for it; install {package} (Debian)"));
    }
    Ok(())
}

/// An error where pictures need fonts and there are none.
fn no_fonts() -> Error {
    Error::new(ErrorKind::Environment, "E-PLOT-FONTS", "this machine has no fonts to draw text with")
        .hint("install fonts-noto-core (Debian), or write an .svg: whoever shows it has fonts")
}
