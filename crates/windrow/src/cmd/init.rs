//! `windrow init`: writes a commented windrow.toml; with a topic, one that reads its messages.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};
use windrow_core::record::COLUMNS;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::Broker;
use windrow_engine::settings::{self, FILE_NAME, Profile, Settings, Starter, Value, starter_file};
use windrow_engine::source::propose::{Guess, Proposal, propose};

use super::check::sample::Preview;
use super::run::reasons;
use super::{App, Done, Exit};
use crate::args::{Format, KafkaFlags, KeySet, SettingFlags};
use crate::term::text;

/// Messages that are looked at.
const SAMPLE: usize = 100;
/// Columns of a terminal that a value is shown in.
const SHOWN: usize = 60;
/// Names of other fields that are shown.
const OTHERS: usize = 12;

/// The settings of `init`.
#[derive(Debug)]
pub(crate) struct InitKeys;

impl KeySet for InitKeys {
    const KEYS: &'static [&'static str] = &["source.topic"];
}

/// Write a windrow.toml with every setting explained
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  windrow init
  windrow init campaigns --input 'data/*.csv.gz'
  windrow init --kafka localhost:9092 --from-topic topic_url
  windrow init --kafka localhost:9092 --profile original

With a topic it looks at 100 messages and proposes where the columns are. The
profile `original` has the topics, messages and folders of the Python scripts
that Windrow replaces.
")]
pub(crate) struct Args {
    /// Directory of the file; --config names the file itself [default: .]
    dir: Option<PathBuf>,
    /// What to read, filled in
    #[arg(long, value_name = "PATH", num_args = 1..)]
    input: Vec<String>,
    /// Directory of the output, filled in [default: out]
    #[arg(long, value_name = "DIR")]
    out: Option<String>,
    /// Take the place of another program
    #[arg(long, value_enum, value_name = "NAME", conflicts_with_all = ["input", "source.topic"])]
    profile: Option<ProfileName>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    settings: SettingFlags<InitKeys>,
    #[command(flatten)]
    kafka: KafkaFlags,
}

/// A program whose place Windrow takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ProfileName {
    /// The Python scripts with Spark and Kafka: topic_url to cluster_0..49.
    Original,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Original => Self::Original,
        }
    }
}

/// librdkafka's names for the brokers.
const SERVERS: [&str; 2] = ["bootstrap.servers", "metadata.broker.list"];

impl Args {
    /// What is filled in by the flags.
    fn starter(&self) -> Starter {
        let mut starter = self.profile.map(|profile| Profile::from(profile).starter()).unwrap_or_default();
        if self.profile.is_none() || self.out.is_some() {
            let out = self.out.clone().unwrap_or_else(|| "out".to_owned());
            starter.values.retain(|(key, _)| *key != "output.out");
            starter.values.push(("output.out", Value::Text(out)));
        }
        starter
    }

    fn path(&self, app: &App) -> Result<PathBuf, Error> {
        match (&self.dir, &app.global.config) {
            (Some(_), Some(_)) => {
                let error = Error::new(ErrorKind::Invalid, "E-USAGE", "a directory and --config both say where the file goes");
                Err(error.hint("give one of them"))
            }
            (None, Some(path)) => Ok(path.clone()),
            (dir, None) => Ok(dir.as_deref().unwrap_or_else(|| Path::new(".")).join(FILE_NAME)),
        }
    }
}

/// What a topic's messages gave.
struct Looked {
    messages: usize,
    proposal: Proposal,
    preview: Preview,
}

pub(super) fn run(args: &Args, app: &mut App) -> Done {
    let path = args.path(app)?;
    if path.exists() && !args.force && !may_overwrite(&path, app) {
        let message = format!("{} is there already", path.display());
        return Err(Error::new(ErrorKind::Invalid, "E-EXISTS", message).hint("write over it with --force").into());
    }
    let client = args.kafka.given()?;
    let mut starter = args.starter();
    if !args.input.is_empty() {
        starter.values.push(("source.input", Value::List(args.input.clone())));
    }
    let key = |given: &settings::Given| given.key.strip_prefix(settings::CLIENT_SECTION).unwrap_or(&given.key).to_owned();
    starter.client = client.iter().map(|given| (key(given), given.texts.concat())).collect();
    // Not from a settings file: this one is written now.
    let given = [settings::from_env(std::env::vars_os())?, args.settings.given.clone(), client].concat();
    let mut settings = settings::resolve(&given)?.settings;
    if let Some(profile) = args.profile
        && SERVERS.iter().all(|key| settings.kafka.get(key).is_none())
    {
        starter.client.push((SERVERS[0].to_owned(), Profile::from(profile).servers().to_owned()));
    }
    let looked = if args.settings.given.is_empty() { None } else { Some(look(&mut settings, &mut starter, app)?) };
    write(&path, &starter_file(&starter))?;
    match app.term.format {
        Format::Text => tell(&path, args, &settings, looked.as_ref(), app),
        Format::Json | Format::Tsv => app.term.object(&object(&path, &settings, looked.as_ref()))?,
    }
    Ok(Exit::Fine)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| Error::new(ErrorKind::Environment, "E-WRITE", format!("cannot write {}", path.display())).cause(error))
}

fn may_overwrite(path: &Path, app: &App) -> bool {
    if app.global.no_input || !std::io::stdin().is_terminal() {
        return false;
    }
    app.term.say(&format!("{} is there already. Write over it? [y/N]", path.display()));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("y")
}

/// Looks at the topic and fills in what reads it.
fn look(settings: &mut Settings, starter: &mut Starter, app: &App) -> Result<Looked, Error> {
    let sample = Broker::new(&settings.kafka)?.sample(&settings.source.topic, SAMPLE, &app.clock)?;
    let values: Vec<&[u8]> = sample.messages.iter().filter_map(|message| message.value.as_deref()).collect();
    let proposal = propose(&values);
    settings.source.format = proposal.format;
    settings.source.columns = proposal.columns();
    starter.values.push(("source.topic", Value::Text(settings.source.topic.clone())));
    starter.values.push(("source.format", Value::Text(proposal.format.name().to_owned())));
    starter.values.push(("source.columns", Value::Text(settings.source.columns.clone())));
    starter.notes.extend(notes(&proposal).into_iter().map(|note| ("source.columns", note)));
    let preview = Preview::of(&sample, settings)?;
    Ok(Looked { messages: sample.messages.len(), proposal, preview })
}

/// What was found for each column, and what the messages hold beside; one line each, without anything hostile.
fn notes(proposal: &Proposal) -> Vec<String> {
    if proposal.fitting == 0 {
        return vec!["No message could be read: these are our own names.".to_owned()];
    }
    let shown = |value: &str| text::cut(&text::plain(value), SHOWN).into_owned();
    let nearest = |at| proposal.nearest(at).map(|name| format!("; nearest: {}", shown(name))).unwrap_or_default();
    let mut notes: Vec<String> = COLUMNS
        .iter()
        .zip(&proposal.columns)
        .enumerate()
        .map(|(at, (column, guess))| match guess {
            Guess::At { name, value } if value.is_empty() => format!("{column}: {}", shown(name)),
            Guess::At { name, value } => format!("{column}: {}, for example {}", shown(name), shown(value)),
            Guess::Unusable { value } => {
                format!("{column}: left empty; what is there cannot be used: {}{}", shown(value), nearest(at))
            }
            Guess::Nothing => format!("{column}: not found{}", nearest(at)),
        })
        .collect();
    if !proposal.others.is_empty() {
        notes.push(format!("beside them: {}", others(proposal)));
    }
    notes
}

fn others(proposal: &Proposal) -> String {
    let shown: Vec<String> =
        proposal.others.iter().take(OTHERS).map(|other| text::cut(&text::plain(other), SHOWN).into_owned()).collect();
    let more = proposal.others.len() - shown.len();
    shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

fn tell(path: &Path, args: &Args, settings: &Settings, looked: Option<&Looked>, app: &App) {
    if args.profile.is_some() {
        tell_profile(path, app);
        return;
    }
    let Some(looked) = looked else {
        let input = if args.input.is_empty() { "set source.input in it, then" } else { "next:" };
        app.term.say(&format!("{} written; {input} `windrow check`, `windrow run`", path.display()));
        return;
    };
    if looked.messages == 0 {
        let topic = text::plain(&settings.source.topic);
        app.term.say(&format!("{} written: {topic} is empty, so it reads JSON with our own names", path.display()));
    } else {
        app.term.say(&format!("{} written: {}", path.display(), text::plain(&looked.preview.told())));
        notes(&looked.proposal).iter().for_each(|note| app.term.say(&format!("  {note}")));
    }
    app.term.say(&format!("next: look at it, then `windrow check{} --sample 20`", flag(path)));
}

/// The flag that names the file, where one is needed.
fn flag(path: &Path) -> String {
    if path == Path::new(FILE_NAME) { String::new() } else { format!(" --config {}", path.display()) }
}

/// What was written for those who come from another program, and what comes next.
fn tell_profile(path: &Path, app: &App) {
    app.term.say(&format!("{} written", path.display()));
    app.term.say(&format!("next: `windrow topics create{0}`, `windrow run{0}`, `windrow produce{0} --input FILE`", flag(path)));
    app.term
        .say(&format!("in place of preprocessing.py: `windrow clean{0} --input FILE --out F.csv --rejects R.csv`", flag(path)));
}

fn object(path: &Path, settings: &Settings, looked: Option<&Looked>) -> Json {
    let columns = |proposal: &Proposal| -> Map<String, Json> {
        let found = COLUMNS.iter().zip(&proposal.columns).enumerate().map(|(index, (column, guess))| {
            let (at, value) = match guess {
                Guess::At { name, value } => (Some(name), Some(value)),
                Guess::Unusable { value } => (None, Some(value)),
                Guess::Nothing => (None, None),
            };
            ((*column).to_owned(), json!({"at": at, "value": value, "nearest": proposal.nearest(index)}))
        });
        found.collect()
    };
    let counters = looked.map(|looked| looked.preview.counters());
    json!({
        "schema": "windrow.init/1",
        "file": path,
        "topic": looked.map(|_| &settings.source.topic),
        "messages": looked.map(|looked| looked.messages),
        "format": looked.map(|looked| looked.proposal.format.name()),
        "columns": looked.map(|looked| columns(&looked.proposal)),
        "source_columns": looked.map(|looked| looked.proposal.columns()),
        "others": looked.map(|looked| &looked.proposal.others),
        "pages": counters.map(|counters| counters.pages),
        "rejects": counters.map(windrow_engine::observe::Counters::n_rejects),
        "rejects_by_reason": counters.map(|counters| reasons(&counters.rejects)),
    })
}
