//! The command line, parsed and nothing done.
//!
//! Flags that are settings are not written here: [`SettingFlags`] makes them from the engine's table of keys, with default,
//! environment variable and words, and hands them on as one more layer of settings.

use std::io::Write as _;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind as ClapKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, ValueEnum};
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::settings::{CLIENT_SECTION, Given, KEYS, Key, Origin, Type, is_secret};

use crate::cmd::Verb;
use crate::term::Term;

/// Examples first, then usage, then everything else.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}\n";
const EXIT_CODES: &str = "\
Exit codes: 0 done, or stopped by SIGTERM; 1 failed; 2 usage or settings;
3 environment; 4 Kafka; 5 already running; 130 stopped by Ctrl-C. A run that is stopped
commits first.
";

/// Clusters streams of web pages live: lasting, labelled clusters in one pass
#[derive(Debug, Parser)]
#[command(name = "windrow", version, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, disable_help_flag = true)]
#[command(before_help = "Examples:
  windrow demo                                     see it work, no files needed
  windrow run --input pages.csv.gz --out out       cluster a file
  windrow clusters --out out                       what was found
  windrow explain --out out 0:4711                 why a page is where it is
")]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Settings file [default: windrow.toml, if there]
    #[arg(short, long, value_name = "FILE", global = true, env = "WINDROW_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// How data is written; lists as one JSON object a line
    #[arg(short = 'o', long, value_enum, default_value_t, global = true, env = "WINDROW_FORMAT", hide_env_values = true)]
    pub(crate) format: Written,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more on stderr: where each setting comes from
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Colour; NO_COLOR and TERM=dumb are minded
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        global = true,
        env = "WINDROW_COLOR",
        hide_env_values = true
    )]
    pub(crate) color: When,
    /// Never ask anything
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Print help
    #[arg(short, long, action = ArgAction::HelpShort, global = true)]
    help: Option<bool>,
}

/// How data is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// JSON; lists as one object a line.
    Json,
    /// Tab-separated, with a header line.
    Tsv,
}

/// How data is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Written {
    /// For people.
    #[default]
    Text,
    /// JSON; lists as one object a line.
    Json,
    /// Tab-separated, with a header line.
    Tsv,
    /// As a page to keep: what `changes` alone can do.
    #[value(hide = true)]
    Html,
}

impl Written {
    /// How lists and objects are written: beside a page people are talked to.
    pub(crate) fn format(self) -> Format {
        match self {
            Self::Text | Self::Html => Format::Text,
            Self::Json => Format::Json,
            Self::Tsv => Format::Tsv,
        }
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A set of settings that a verb takes as flags.
pub(crate) trait KeySet {
    /// Names of the keys.
    const KEYS: &'static [&'static str];
}

/// The flags of a [`KeySet`], as they were given.
#[derive(Debug)]
pub(crate) struct SettingFlags<S> {
    /// What was given.
    pub(crate) given: Vec<Given>,
    set: PhantomData<S>,
}

impl<S: KeySet> SettingFlags<S> {
    fn keys() -> impl Iterator<Item = (&'static Key, &'static str)> {
        KEYS.iter().filter(|key| S::KEYS.contains(&key.name)).filter_map(|key| Some((key, key.flag?)))
    }
}

impl<S: KeySet> Args for SettingFlags<S> {
    fn augment_args(command: Command) -> Command {
        Self::keys().fold(command, |command, (key, flag)| command.arg(setting_arg(key, flag)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn setting_arg(key: &'static Key, flag: &'static str) -> Arg {
    let default = match key.default_text() {
        text if text.is_empty() => String::new(),
        text => format!(" [default: {text}]"),
    };
    let arg =
        Arg::new(key.name).long(flag).value_name(key.value_name).help(format!("{}{default} [env: {}]", key.doc, key.env()));
    match key.ty {
        Type::Paths => arg.action(ArgAction::Append).num_args(1..),
        // `--follow` says all, and `--follow=false` takes it back.
        Type::Switch => arg.action(ArgAction::Set).num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => arg.action(ArgAction::Set),
    }
}

impl<S: KeySet> FromArgMatches for SettingFlags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = Self::keys()
            .filter(|(key, _)| matches.value_source(key.name) == Some(ValueSource::CommandLine))
            .map(|(key, flag)| Given {
                key: key.name.to_owned(),
                texts: matches.get_many::<String>(key.name).into_iter().flatten().cloned().collect(),
                origin: Origin::Flag(flag.to_owned()),
            })
            .collect();
        Ok(Self { given, set: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Which brokers, and how.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Kafka")]
pub(crate) struct KafkaFlags {
    /// Brokers: the same as -X bootstrap.servers=HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// A key of librdkafka, by its own name; secrets as file:PATH or ${NAME}
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    client: Vec<String>,
}

impl KafkaFlags {
    /// As one more layer of settings.
    pub(crate) fn given(&self) -> Result<Vec<Given>, Error> {
        let given = |key: &str, value: &str, flag: &str| Given {
            key: format!("{CLIENT_SECTION}{key}"),
            texts: vec![value.to_owned()],
            origin: Origin::Flag(flag.to_owned()),
        };
        let servers = self.kafka.iter().map(|servers| Ok(given("bootstrap.servers", servers, "kafka")));
        let others = self.client.iter().map(|pair| match pair.split_once('=') {
            Some((key, value)) => Ok(given(key.trim(), value.trim(), "X")),
            // What was meant as a secret is not printed, however it was given.
            None if is_secret(pair) => Err(Error::new(ErrorKind::Invalid, "E-USAGE", "-X takes KEY=VALUE")),
            None => Err(Error::new(ErrorKind::Invalid, "E-USAGE", format!("-X takes KEY=VALUE, not `{pair}`"))),
        });
        servers.chain(others).collect()
    }
}

/// The command with all verbs, 80 columns wide and examples first.
pub(crate) fn command() -> Command {
    shaped(Cli::command())
}

fn shaped(command: Command) -> Command {
    command.help_template(TEMPLATE).term_width(80).mut_subcommands(shaped)
}

/// Ends a command line that was not understood, or that asked for help.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ClapKind::DisplayHelp | ClapKind::DisplayVersion) {
        // A closed pipe is no error: the reader has seen enough.
        let _ = write!(std::io::stdout(), "{}", error.render());
        return ExitCode::SUCCESS;
    }
    if error.kind() == ClapKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = write!(std::io::stderr(), "{}", error.render());
        return ExitCode::from(2);
    }
    let term = Term::new(&Global { format: asked_for(), ..Global::default() });
    let error = usage_error(error);
    term.error(&error);
    ExitCode::from(error.exit_code())
}

/// The format in the arguments of a command line that was not understood.
fn asked_for() -> Written {
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let is_json = args.windows(2).any(|pair| ["-o", "--format"].contains(&pair[0].as_str()) && pair[1] == "json")
        || args.iter().any(|arg| ["-ojson", "-o=json", "--format=json"].contains(&arg.as_str()));
    if is_json { Written::Json } else { Written::Text }
}

fn usage_error(error: &clap::Error) -> Error {
    let rendered = error.render().to_string();
    let message = rendered.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let message = message.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let suggestion = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
        .into_iter()
        .find_map(|kind| Some(format!("did you mean `{}`?", first_text(error.get(kind)?)?)));
    Error::new(ErrorKind::Invalid, "E-USAGE", message)
        .hint(suggestion.unwrap_or_else(|| "`windrow VERB --help` shows examples".into()))
}

fn first_text(value: &ContextValue) -> Option<&str> {
    match value {
        ContextValue::String(text) => Some(text),
        ContextValue::Strings(texts) => texts.first().map(String::as_str),
        _ => None,
    }
}
