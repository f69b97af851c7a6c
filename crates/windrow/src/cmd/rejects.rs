//! `windrow rejects`: what could not become a page, why, and what is done about it.

mod act;
mod again;
mod look;

use std::path::PathBuf;

use clap::Subcommand;
use windrow_core::record::{RecordId, RejectReason};
use windrow_engine::clock::Clock as _;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::Broker;
use windrow_engine::kafka::rejects::{Note, RejectsTopic};
use windrow_engine::rejects::{self, Each, Filter};
use windrow_engine::run::Control;
use windrow_engine::settings::{Settings, nearest_of};
use windrow_engine::source::ColumnMap;

use super::clusters::{Place, PlaceKeys};
use super::{App, Done};
use crate::args::{KafkaFlags, SettingFlags};

/// Show rejects, read them once more, empty their topic
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow rejects list --out out
  windrow rejects show --reason bad_time --last 20 --out out
  windrow rejects replay --all --into again --out out
  windrow rejects replay --reason bad_json --dry-run --config windrow.toml
  windrow rejects purge --from-topics --yes --config windrow.toml
")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it, read from the command line")]
enum What {
    /// By reason: how many, the first and the last, an example
    #[command(before_help = "Examples:
  windrow rejects list --out out
  windrow rejects list --from-topics --kafka localhost:9092 -o json
")]
    List {
        #[command(flatten)]
        from: From,
    },
    /// Their bytes: harmless escapes, or as they were
    #[command(before_help = "Examples:
  windrow rejects show 0:4711 --raw --out out
  windrow rejects show --reason bad_time --last 20 --from-topics -c windrow.toml
")]
    Show {
        #[command(flatten)]
        which: Which,
        /// How many of the newest
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        last: usize,
        /// The bytes as they were, each reject followed by a line end
        #[arg(long)]
        raw: bool,
        #[command(flatten)]
        from: From,
    },
    /// Send their bytes to the input topic, or write them to files: each once
    #[command(before_help = "Examples:
  windrow rejects replay --reason invalid_utf8 --into again --out out
  windrow rejects replay --reason bad_json --dry-run --config windrow.toml
  windrow rejects replay 0:4711 0:4712 --topic repaired --config windrow.toml

Notes in windrow-rejects, in the same transactions, say what was sent: called
again, it sends only what was not. The running pipeline reads what is sent.

With --into, rejects of files go to files that are written as theirs were; a run
reads them as a new input, and the line to run is printed.
")]
    Replay {
        #[command(flatten)]
        which: Which,
        /// All of them
        #[arg(long)]
        all: bool,
        /// Also those that the topic of rejects has forgotten: an earlier call may have sent them
        #[arg(long)]
        forgotten: bool,
        /// Topic to send to [default: source.topic of the settings]
        #[arg(long, value_name = "TOPIC", conflicts_with = "into")]
        topic: Option<String>,
        /// Folder to write to instead; each reject comes into it once
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
        /// With --into: what the files call our columns, where the state calls them
        /// otherwise
        #[arg(long, value_name = "MAP", requires = "into")]
        columns: Option<ColumnMap>,
        /// Show what would be sent, and send nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        from: From,
    },
    /// Delete what the topic of rejects holds now; published files stay
    #[command(before_help = "Examples:
  windrow rejects purge --from-topics --dry-run --config windrow.toml
  windrow rejects purge --from-topics --yes --config windrow.toml
")]
    Purge {
        /// Show what would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
        /// Yes, delete them, of all pipelines
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        from: From,
    },
}

/// Where rejects are looked for.
#[derive(Debug, clap::Args)]
struct From {
    #[command(flatten)]
    settings: SettingFlags<PlaceKeys>,
    /// In the topic windrow-rejects, not in the Parquet under rejects/
    #[arg(long)]
    from_topics: bool,
    #[command(flatten)]
    kafka: KafkaFlags,
}

impl From {
    fn settings(&self, app: &App) -> Result<Settings, Error> {
        Ok(app.settings(&[self.settings.given.clone(), self.kafka.given()?].concat())?.settings)
    }

    /// Goes through all rejects. False when somebody wants to stop.
    fn each(
        &self,
        settings: &Settings,
        (app, control): (&App, &Control),
        each: Each<'_>,
        note: &mut dyn FnMut(Note<'_>),
    ) -> Result<bool, Error> {
        if self.from_topics {
            let broker = Broker::new(&settings.kafka)?;
            return RejectsTopic::open(&broker, &mut |told| app.term.say(told))?.each((&app.clock, control), each, note);
        }
        rejects::in_output(&place(settings).committed()?, each)?;
        Ok(true)
    }
}

fn place(settings: &Settings) -> Place {
    Place { out: settings.output.out.clone(), state: settings.output.state.clone() }
}

/// Which rejects are meant.
#[derive(Debug, clap::Args)]
struct Which {
    /// Record ids, source:offset
    #[arg(value_name = "RECORD_ID")]
    records: Vec<RecordId>,
    /// Of this reason
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Option<RejectReason>,
    /// Written to the topic since then: a time, or so long ago (90m, 24h, 7d)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Of this pipeline; the topic holds those of all
    #[arg(long, value_name = "ID")]
    pipeline: Option<String>,
}

impl Which {
    fn is_all(&self) -> bool {
        self.records.is_empty() && self.reason.is_none() && self.since.is_none()
    }

    fn filter(&self, from: &From, app: &App) -> Result<Filter, Error> {
        let since = self.since.as_ref().map(|text| moment(text, app.clock.now())).transpose()?;
        if since.is_some() && !from.from_topics {
            let error = Error::new(ErrorKind::Invalid, "E-USAGE", "the Parquet does not say when a row was rejected");
            return Err(error.hint("--since goes with --from-topics"));
        }
        let mut filter = Filter { pipeline: self.pipeline.clone(), reason: self.reason, since, ..Filter::default() };
        self.records.iter().for_each(|record| filter.record(*record));
        Ok(filter)
    }
}

fn reason(code: &str) -> Result<RejectReason, String> {
    let codes = RejectReason::ALL.map(RejectReason::code);
    RejectReason::ALL.into_iter().find(|reason| reason.code() == code).ok_or_else(|| match nearest_of(code, &codes) {
        Some(near) => format!("there is no reason `{code}`; did you mean `{near}`?"),
        None => format!("there is no reason `{code}`; there are {}", codes.join(", ")),
    })
}

/// A time, or so long before `now`.
fn moment(text: &str, now: i64) -> Result<i64, Error> {
    let ago = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)].into_iter().find(|(name, _)| *name == unit)?.1;
        number.parse::<u32>().ok().map(|number| now - i64::from(number) * seconds * 1_000_000)
    };
    ago().or_else(|| windrow_core::clean::time(text)).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "E-USAGE", format!("--since {text:?} is no time"))
            .hint("such as 2026-01-31T12:00:00Z, or so long ago: 90m, 24h, 7d")
    })
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    match &args.what {
        What::List { from } => look::list(from, app),
        What::Show { which, last, raw, from } => look::show(which, *last, *raw, from, app),
        What::Replay { which, all, forgotten, topic, into, columns, dry_run, from } => {
            if which.is_all() && !all {
                let error = Error::new(ErrorKind::Invalid, "E-USAGE", "which rejects?");
                return Err(error.hint("give record ids, --reason or --since; or --all").into());
            }
            if let Some(into) = into {
                return again::replay(which, (into, columns.clone().unwrap_or_default()), (*forgotten, *dry_run), from, app);
            }
            act::replay(which, topic.as_deref(), (*forgotten, *dry_run), from, app)
        }
        What::Purge { dry_run, yes, from } => act::purge(*dry_run, *yes, from, app),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_so_long_ago() {
        let now = 100_000_000_000;
        assert_eq!(moment("90m", now).unwrap(), now - 5_400_000_000);
        assert_eq!(moment("1970-01-01T00:00:01Z", now).unwrap(), 1_000_000);
        for text in ["", "h", "3x", "yesterday", "é"] {
            assert_eq!(moment(text, now).unwrap_err().code, "E-USAGE", "{text}");
        }
    }

    #[test]
    fn a_reason_that_is_not_there_gets_the_nearest() {
        assert_eq!(reason("bad_json"), Ok(RejectReason::BadJson));
        assert_eq!(reason("bad_jsn").unwrap_err(), "there is no reason `bad_jsn`; did you mean `bad_json`?");
    }
}
