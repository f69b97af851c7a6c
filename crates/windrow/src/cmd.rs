//! The verbs, one file each.

mod audit;
mod changes;
mod check;
mod clean;
mod clusters;
mod completions;
pub(crate) mod config;
mod demo;
mod eval;
pub(crate) mod explain;
mod export;
mod init;
mod man;
mod plot;
mod produce;
mod rejects;
mod run;
mod serve;
mod serving;
mod state;
pub(crate) mod status;
mod tail;
mod topics;
mod version;

use windrow_engine::clock::SystemClock;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::settings::{self, Given, Resolved};

use clap::Subcommand;

use crate::args::{Global, Written};
use crate::term::Term;

/// What Windrow can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Demo(demo::Args),
    Run(run::Args),
    Clusters(clusters::Args),
    Changes(changes::Args),
    Tail(tail::Args),
    Rejects(rejects::Args),
    Explain(explain::Args),
    Export(export::Args),
    Plot(plot::Args),
    Status(status::Args),
    Serve(serve::Args),
    Audit(audit::Args),
    Eval(eval::Args),
    State(state::Args),
    Topics(topics::Args),
    Produce(produce::Args),
    Clean(clean::Args),
    Check(check::Args),
    Init(init::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
    Version(version::Args),
}

/// Does what was asked.
pub(crate) fn dispatch(verb: Verb, app: &mut App) -> Done {
    if app.global.format == Written::Html && !matches!(verb, Verb::Changes(_)) {
        return Err(Error::new(ErrorKind::Invalid, "E-USAGE", "of all verbs `changes` alone writes html to stdout")
            .hint("`export --html FILE` makes a page of all clusters; -o takes text, json and tsv")
            .into());
    }
    match verb {
        Verb::Demo(args) => demo::run(&args, app),
        Verb::Run(args) => run::run(&args, app),
        Verb::Clusters(args) => clusters::run(&args, app),
        Verb::Changes(args) => changes::run(&args, app),
        Verb::Tail(args) => tail::run(&args, app),
        Verb::Rejects(args) => rejects::run(&args, app),
        Verb::Serve(args) => serve::run(&args, app),
        Verb::Explain(args) => explain::run(&args, app),
        Verb::Export(args) => export::run(&args, app),
        Verb::Plot(args) => plot::run(&args, app),
        Verb::Status(args) => status::run(&args, app),
        Verb::Audit(args) => audit::run(&args, app),
        Verb::Eval(args) => eval::run(&args, app),
        Verb::State(args) => state::run(&args, app),
        Verb::Topics(args) => topics::run(&args, app),
        Verb::Produce(args) => produce::run(&args, app),
        Verb::Clean(args) => clean::run(&args, app),
        Verb::Check(args) => check::run(&args, app),
        Verb::Init(args) => init::run(&args, app),
        Verb::Config(args) => config::run(&args, app),
        Verb::Completions(args) => completions::run(&args, app),
        Verb::Man(args) => man::run(&args, app),
        Verb::Version(args) => version::run(&args, app),
    }
}

/// What a verb has at hand.
#[derive(Debug)]
pub(crate) struct App {
    /// Where it writes to.
    pub(crate) term: Term,
    /// The flags of every verb.
    pub(crate) global: Global,
    /// The time.
    pub(crate) clock: SystemClock,
    /// The verb's name.
    verb: String,
}

impl App {
    /// The machine's own clock and environment.
    pub(crate) fn new(term: Term, global: Global, verb: String) -> Self {
        Self { term, global, clock: SystemClock::new(), verb }
    }

    /// The settings in force: built-in < file < environment < `flags`.
    pub(crate) fn settings(&self, flags: &[Given]) -> Result<Resolved, Error> {
        let mut given = match &self.global.config {
            Some(path) => settings::from_file(path)?,
            None if std::path::Path::new(settings::FILE_NAME).is_file() => {
                settings::from_file(std::path::Path::new(settings::FILE_NAME))?
            }
            None => Vec::new(),
        };
        given.extend(settings::from_env(std::env::vars_os())?);
        given.extend_from_slice(flags);
        if self.global.verbose {
            given.iter().for_each(|one| self.term.say(&format!("{} = {} ({})", one.key, one.shown(), one.origin)));
        }
        let mut resolved = settings::resolve(&given)?;
        resolved.settings.kafka.call_for(&self.verb);
        Ok(resolved)
    }
}

/// How a verb ended.
pub(crate) type Done = Result<Exit, Failure>;

/// How a verb that did its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Fine,
    /// The work was done and what it found is bad.
    Bad,
    /// The work was done without the brokers, which did not answer; what was written says so.
    WithoutBrokers,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Bad => 1,
            Self::WithoutBrokers => 4,
            Self::Interrupted => 130,
        }
    }
}

/// Why a verb could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody reads stdout any more: no error.
    BrokenPipe,
    /// An error to be told.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Error(Error::new(ErrorKind::Environment, "E-STDOUT", "cannot write to stdout").cause(error)),
        }
    }
}
