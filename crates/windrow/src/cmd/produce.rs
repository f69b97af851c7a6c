//! `windrow produce`: rows of files become messages of a topic.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::produce::{self, Order, Pace, STDIN, Sent};
use windrow_engine::run::{Control, Ended};

use super::run::reasons;
use super::{App, Done, Exit, Failure};
use crate::args::{Format, KafkaFlags, KeySet, SettingFlags};
use crate::progress::{ProgressLine, rate};
use crate::signals::Watch;
use crate::term::text;

/// The settings of `produce`.
#[derive(Debug)]
pub(crate) struct ProduceKeys;

impl KeySet for ProduceKeys {
    const KEYS: &'static [&'static str] =
        &["source.input", "source.columns", "source.input_format", "source.delimiter", "source.encoding"];
}

/// Send the rows of files to a topic, each exactly once
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow produce --kafka localhost:9092 --topic topic_url --input pages.csv.gz
  windrow produce --config windrow.toml --input p.csv --burst 1000 --every 60
  windrow produce --config windrow.toml --input pages.csv --speed 3600
  zcat pages.csv.gz | windrow produce --config windrow.toml --input -

Stopped or killed, the same call goes on behind the last row that is in the
topic, as long as the brokers remember it: seven days without a call, or their
offsets.retention.minutes. Not so with `--input -`, standard input, which begins
where it begins. Readers must set isolation.level=read_committed.
")]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<ProduceKeys>,
    #[command(flatten)]
    kafka: KafkaFlags,
    /// Topic to send to [default: source.topic of the settings]
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Rows a second
    #[arg(long, value_name = "N", value_parser = positive, group = "pace")]
    rate: Option<f64>,
    /// Rows at once, then a rest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), group = "pace")]
    burst: Option<u64>,
    /// Seconds from one burst to the next
    #[arg(long, value_name = "SECONDS", value_parser = positive, default_value_t = 60.0, requires = "burst")]
    every: f64,
    /// By the rows' own time, so many times as fast
    #[arg(long, value_name = "FACTOR", value_parser = positive, group = "pace")]
    speed: Option<f64>,
    /// Begin again when the input ends
    #[arg(long = "loop")]
    repeat: bool,
    /// Most rows of this call
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Send from the first row on, whatever was sent before
    #[arg(long)]
    anew: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "takes a number above 0".to_owned())
}

impl Args {
    fn pace(&self) -> Pace {
        match (self.rate, self.burst, self.speed) {
            (Some(rate), _, _) => Pace::Rate(rate),
            (_, Some(rows), _) => Pace::Burst { rows, every: Duration::from_secs_f64(self.every.min(1e9)) },
            (_, _, Some(speed)) => Pace::EventTime { speed },
            _ => Pace::Full,
        }
    }
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let settings = app.settings(&[args.settings.given.clone(), args.kafka.given()?].concat())?.settings;
    let topic = args.topic.clone().unwrap_or(settings.source.topic);
    let missing = |what: &str, hint: &str| Error::new(ErrorKind::Invalid, "E-INPUT-NONE", what).hint(hint);
    if topic.is_empty() {
        return Err(missing("there is no topic to send to", "give one with --topic, or source.topic in the settings").into());
    }
    if settings.source.input.is_empty() {
        return Err(missing("there is nothing to send", "give files, directories or globs with --input").into());
    }
    let order = Order {
        inputs: settings.source.input,
        columns: settings.source.columns,
        files: settings.source.files,
        max_record_bytes: settings.limits.max_record,
        max_unpacked: settings.limits.max_unpacked,
        topic,
        value: settings.produce.value,
        pace: args.pace(),
        repeat: args.repeat,
        limit: args.limit,
        anew: args.anew,
    };
    let control = Arc::new(Control::default());
    Watch::start(&control)?;
    let mut line = ProgressLine::new(&app.term);
    let sent = produce::produce(&settings.kafka, &order, &app.clock, &control, &mut |rows, elapsed| line.count(rows, elapsed));
    line.finish();
    let sent = sent?;
    report(&sent, &order, app)?;
    Ok(if sent.ended == Ended::Interrupted { Exit::Interrupted } else { Exit::Fine })
}

/// What a call after one that was stopped does.
fn next_call(order: &Order) -> &'static str {
    if order.inputs.iter().any(|input| input == STDIN) {
        "the next call sends all that it is given on standard input"
    } else if order.anew {
        "the same call without --anew goes on from there"
    } else {
        "the same call goes on from there"
    }
}

fn report(sent: &Sent, order: &Order, app: &mut App) -> Result<(), Failure> {
    let n_left_out: u64 = sent.left_out.iter().sum();
    let done = sent.done;
    if app.term.format != Format::Text {
        return app.term.object(&json!({
            "schema": "windrow.produce/1", "ended": sent.ended.code(), "topic": order.topic, "rows": sent.rows,
            "left_out": n_left_out, "left_out_by_reason": reasons(&sent.left_out), "resumed_at": sent.resumed_at, "done": done,
            "seconds": sent.elapsed.as_secs_f64(),
        }));
    }
    let resumed = if sent.resumed_at > 0 { format!(", from row {} on", sent.resumed_at + 1) } else { String::new() };
    let rows = text::counted(sent.rows, "row");
    let rate = text::count(rate(sent.rows, sent.elapsed.as_secs_f64()));
    app.term.say(&format!("{rows} sent to {}{resumed} ({rate}/s)", text::plain(&order.topic)));
    if n_left_out > 0 {
        let reasons: Vec<_> = reasons(&sent.left_out).iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let note = format!("{} can be no message and were left out: {}", text::counted(n_left_out, "row"), reasons.join(", "));
        app.term.say(&note);
    }
    if sent.ended != Ended::EndOfInput {
        app.term.say(&format!("stopped behind row {done}; {}", next_call(order)));
    }
    Ok(())
}
