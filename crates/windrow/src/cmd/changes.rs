//! `windrow changes`: what a stretch of time brought beside the one before it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use windrow_core::clean;
use windrow_core::record::Micros;
use windrow_engine::changes::{self, Changes, Drift, Since};
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::export;
use windrow_engine::run::Control;

use super::clusters::{Place, PlaceKeys};
use super::{App, Done, Exit, Failure};
use crate::args::{Format, SettingFlags, Written};
use crate::signals::Watch;
use crate::told;

/// Time between two looks for a commit.
const LOOK: Duration = Duration::from_millis(500);

/// Say what is new, gone, grown, shrunk, renamed and drifting
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow changes --out out
  windrow changes --since 2023-05-17 --until 2023-05-18 --out out
  windrow changes --since 7d --html week.html --out out
  windrow changes --since 7d -o html --out out > week.html
  windrow changes --follow --out out

A stretch of creation times is held against the one of the same length before
it; the pages behind a commit against those of the commits before it, by their
shares. A cluster has grown or shrunk when its share changed by half and chance
does not explain it; it is new or gone when it was born or has ended as well.
What users did is told, too. It has drifted when an alarm was raised:
docs/how-to/what-changed.md.
")]
pub(crate) struct Args {
    /// Where the stretch begins: a length such as 24h or 7d before the newest
    /// page, a time, or the number of a commit
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    since: Since,
    /// Where it ends: a time [default: with the newest page]
    #[arg(long, value_name = "TIME", value_parser = end)]
    until: Option<Micros>,
    /// Go on with what each commit brings
    #[arg(short, long, conflicts_with_all = ["until", "html"])]
    follow: bool,
    /// Write a page that opens in any browser, without a network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "html")]
    force: bool,
    #[command(flatten)]
    settings: SettingFlags<PlaceKeys>,
}

fn end(text: &str) -> Result<Micros, String> {
    clean::time(text).ok_or_else(|| "a time such as 2023-05-01 or 2023-05-01T12:00:00Z".into())
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let place = Place::new(app, &args.settings)?;
    if let Some(to) = &args.html {
        if to.extension().is_none_or(|form| form != "html") {
            return Err(export::no_such_form(to, ".html").into());
        }
        export::allow(to, args.force)?;
    }
    let is_page = app.global.format == Written::Html;
    if is_page && args.follow {
        return Err(Error::new(ErrorKind::Invalid, "E-USAGE", "a page is written once: --follow has no end")
            .hint("leave one of -o html and --follow out")
            .into());
    }
    let committed = place.committed()?;
    let mut epoch = committed.manifest.epoch;
    let found = changes::changes(&committed, args.since, args.until)?;
    match (&found, &args.html) {
        (Some(found), Some(to)) => export::write(to, told::page(found).as_bytes())?,
        (Some(found), None) if is_page => app.term.raw(told::page(found).as_bytes())?,
        (Some(found), None) => print(found, app)?,
        (None, _) => app.term.say("no page of that time is published"),
    }
    if !args.follow {
        return Ok(Exit::Fine);
    }
    let watch = Watch::start(&Arc::new(Control::default()))?;
    loop {
        app.term.flush()?;
        if watch.wait(LOOK) {
            return Ok(if watch.was_interrupt() { Exit::Interrupted } else { Exit::Fine });
        }
        if app.term.is_closed() {
            return Ok(Exit::Fine);
        }
        let committed = place.committed()?;
        if committed.manifest.epoch == epoch {
            continue;
        }
        if let Some(found) = changes::changes(&committed, Since::Commit(epoch), None)? {
            print(&found, app)?;
        }
        epoch = committed.manifest.epoch;
    }
}

fn print(found: &Changes, app: &mut App) -> Result<(), Failure> {
    match app.term.format {
        Format::Json => {
            found.changes.iter().try_for_each(|change| app.term.json(&told::object(found, change)))?;
            let alarm = |drift: &Drift| told::alarm_object(&drift.label, &drift.raised);
            found.drifts.iter().try_for_each(|drift| app.term.json(&alarm(drift)))
        }
        Format::Tsv => {
            app.term.tsv(&told::COLUMNS)?;
            found.changes.iter().try_for_each(|change| app.term.tsv(&told::cells(change)))?;
            found.drifts.iter().try_for_each(|drift| app.term.tsv(&told::drift_cells(drift)))
        }
        Format::Text => told::text(found, &mut app.term),
    }
}
