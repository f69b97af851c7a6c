//! `windrow tail`: the newest pages of clusters, as their topics hold them; without brokers, as the Parquet does.

mod line;
mod output;

use std::sync::Arc;

use serde_json::json;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::Broker;
use windrow_engine::kafka::tail::{Passed, Seen, Tail};
use windrow_engine::run::Control;
use windrow_engine::settings::Settings;
use windrow_engine::sink::topics::Route;

use super::clusters::Place;
use super::{App, Done, Exit, Failure};
use crate::args::{Format, KafkaFlags, KeySet, SettingFlags};
use crate::signals::Watch;
use crate::term::{Style, text};

use line::{Line, Shown};

/// The settings of `tail`.
#[derive(Debug)]
pub(crate) struct TailKeys;

impl KeySet for TailKeys {
    const KEYS: &'static [&'static str] = &["model.clusters", "output.out", "output.state", "output.kafka"];
}

/// Show the newest pages of clusters
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow tail --kafka localhost:9092                   the newest of all
  windrow tail 7 --follow --out out                     without brokers
  windrow tail 7 --last 100 --config windrow.toml       of cluster 7
  windrow tail cluster_3 --follow --kafka localhost:9092
  windrow tail --last 1000 -o json | jq -r .page.url
  windrow tail -f --line '{time} {cluster} {score} {title}'

Only committed pages are shown; without brokers those of the last roll. No group is joined, and nothing is kept.
")]
#[command(after_help = line::NAMES_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingFlags<TailKeys>,
    /// Id of a cluster, or the topic of a slot [default: all]
    #[arg(value_name = "CLUSTER")]
    clusters: Vec<String>,
    /// How many of the newest pages
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    last: usize,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// How a line of text looks: names in braces, listed below; \t and \n
    #[arg(long, value_name = "LINE")]
    line: Option<Line>,
    #[command(flatten)]
    kafka: KafkaFlags,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let settings = app.settings(&[args.settings.given.clone(), args.kafka.given()?].concat())?.settings;
    let broker = match Broker::new(&settings.kafka) {
        Err(error) if error.code == "E-KAFKA-NONE" => return tail_output(args, &settings, app),
        broker => broker?,
    };
    let control = Arc::new(Control::default());
    Watch::start(&control)?;
    let topics = page_topics(&settings)?;
    let mut tail = Tail::open(&broker, &topics, &args.clusters, (&app.clock, &control), &mut |told| app.term.say(told))?;
    if !tail.missing.is_empty() {
        app.term.say(&format!("{} not there: {}", text::counted(tail.missing.len() as u64, "topic"), some(&tail.missing)));
    }
    if app.term.format == Format::Tsv {
        app.term.tsv(&line::COLUMNS)?;
    }
    let newest = tail.newest(args.last, (&app.clock, &control))?;
    print(&newest, args, app)?;
    if args.follow {
        app.term.flush()?;
        follow(&mut tail, args, &control, app)?;
    }
    report(&tail.passed, app);
    Ok(if control.is_asked() && !args.follow { Exit::Interrupted } else { Exit::Fine })
}

fn tail_output(args: &Args, settings: &Settings, app: &mut App) -> Done {
    if app.term.format == Format::Tsv {
        app.term.tsv(&line::COLUMNS)?;
    }
    output::run(args, &Place::of(settings.output.clone()), app)
}

/// The topics that hold pages.
pub(super) fn page_topics(settings: &Settings) -> Result<Vec<String>, Error> {
    match settings.route() {
        Some(Route::Slots(prefix)) => Ok((0..settings.model.clusters.slots()).map(|slot| format!("{prefix}{slot}")).collect()),
        Some(Route::Keyed(topic)) => Ok(vec![topic]),
        None => Err(Error::new(ErrorKind::Invalid, "E-KAFKA-TOPIC", "pages go to no topic: output.kafka is `none`")
            .hint("they are in the Parquet alone; --output topics or keyed looks at topics that an earlier run wrote")),
    }
}

/// Shows what comes, until somebody wants to stop or nobody reads any more.
fn follow(tail: &mut Tail<'_>, args: &Args, control: &Control, app: &mut App) -> Result<(), Failure> {
    tail.follow()?;
    while !control.is_asked() && !app.term.is_closed() {
        let came = tail.come(&app.clock)?;
        print(&came, args, app)?;
        if !came.is_empty() {
            app.term.flush()?;
        }
    }
    Ok(())
}

fn print(pages: &[Seen], args: &Args, app: &mut App) -> Result<(), Failure> {
    for seen in pages {
        let shown = Shown::of(seen);
        match (&args.line, app.term.format) {
            (_, Format::Json) => app.term.json(&object(&shown))?,
            (_, Format::Tsv) => app.term.tsv(&line::COLUMNS.map(|name| shown.get(name)))?,
            (Some(line), Format::Text) => app.term.line(&line.fill(&shown))?,
            (None, Format::Text) => usual(&shown, app)?,
        }
    }
    Ok(())
}

/// Time, cluster, label, and what the page calls itself; cut at the width of a terminal.
fn usual(shown: &Shown<'_>, app: &mut App) -> Result<(), Failure> {
    let plain = |name: &str| text::plain(&shown.get(name)).into_owned();
    let name = ["title", "description", "url", "domain"].map(plain).into_iter().find(|text| !text.is_empty());
    let (time, cluster, label) = (plain("time"), text::fit(&plain("cluster"), 4, true), plain("label"));
    let label = if label.is_empty() { plain("topic") } else { label };
    let rest = format!("{label}  {}", name.unwrap_or_default());
    let used = text::width(&time) + text::width(&cluster) + 4;
    let rest = if app.term.is_live() { text::cut(&rest, app.term.size().0.saturating_sub(used)).into_owned() } else { rest };
    let (time, cluster) = (app.term.paint(Style::Dim, &time), app.term.paint(Style::Bold, &cluster));
    app.term.line(&format!("{time}  {cluster}  {rest}"))
}

/// A message as the contract has it.
fn object(shown: &Shown<'_>) -> serde_json::Value {
    let seen = shown.seen;
    let is_message = !seen.topic.is_empty();
    json!({
        "schema": "windrow.message/1",
        "topic": is_message.then_some(&seen.topic),
        "partition": is_message.then_some(seen.partition),
        "offset": is_message.then_some(seen.offset),
        "time": seen.time.map(text::time),
        "key": seen.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned()),
        "pipeline": seen.headers.text("windrow-pipeline"),
        "commit": seen.headers.number::<u64>("windrow-epoch"),
        "record_id": seen.headers.text("windrow-record-id"),
        "cluster": seen.cluster,
        "micro_cluster": seen.headers.number::<u64>("windrow-micro-cluster"),
        "novel": seen.headers.text("windrow-novel").map(|novel| novel == "1"),
        "score": seen.headers.number::<f64>("windrow-score"),
        "page": shown.page,
    })
}

/// Says what was read and not shown.
fn report(passed: &Passed, app: &App) {
    let counts = [
        (passed.owners, "announcement of an owner", "announcements of owners"),
        (passed.of_others, "page of another cluster", "pages of other clusters"),
        (passed.unreadable, "message that holds no page", "messages that hold no page"),
        (passed.too_many, "older page, for want of memory", "older pages, for want of memory"),
    ];
    let told: Vec<String> = (counts.iter().filter(|(count, ..)| *count > 0))
        .map(|(count, one, many)| format!("{} {}", text::count(*count), if *count == 1 { one } else { many }))
        .collect();
    if !told.is_empty() {
        app.term.say(&format!("passed over: {}", told.join(", ")));
    }
}

/// Some names of a list, for people.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| text::plain(name)).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
