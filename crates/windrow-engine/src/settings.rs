//! Settings: defaults < file < environment < flags, merged, then checked.
//!
//! One table (`settings/keys.rs`) holds every key with its type, its reader, its writer, its words and what a change of it means.
//! The file, the environment, the flags, `config show|explain|schema`, `init` and docs/reference/settings.md are all made from
//! that table, so that none of them can know a key that another does not.
//!
//! ```text
//! windrow.toml ── WINDROW__SECTION__KEY ── --flag      each a list of (key, text, where it stands)
//!      └────────────────┴──────────────────┘
//!                  resolve: key found? value fits? the whole agrees?  → Resolved, or one error with all problems
//! ```
//!
//! An unknown key is an error with its place and the nearest key: a setting that is silently not in force is worse than one that
//! is refused.

mod client;
mod key;
mod keys;
mod profile;
mod reference;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use windrow_core::clean::Rules;
use windrow_core::cluster::{Clusters, MODEL_KINDS, ModelSettings};
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::WatchSettings;

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Asked, Keep, MessageFormat};

use crate::sink::parquet::PagesCopy;
use crate::sink::topics::{MessageKey, MessageTime, Route, ValueShape};
use crate::source::kafka::{OnDataLoss, Start};
pub(crate) use client::follow;

pub use client::{ClientKeys, SECTION as CLIENT_SECTION, is_secret};
pub use key::{Change, Key};
pub use keys::KEYS;
pub use profile::Profile;
pub use reference::{Starter, json_schema, reference_page, starter_file};
pub(crate) use value::words;
pub use value::{Type, Value, parse_size, show_size};

/// Name of the settings file that is read when none is given.
pub const FILE_NAME: &str = "windrow.toml";
/// What every environment variable that holds a setting begins with.
pub const ENV_PREFIX: &str = "WINDROW__";

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Where rows come from.
    pub source: SourceSettings,
    /// Which rows are wanted.
    pub clean: CleanSettings,
    /// Where pages go, and when they become visible.
    pub output: OutputSettings,
    /// What is sent to a topic.
    pub produce: ProduceSettings,
    /// The clustering.
    pub model: ModelSettings,
    /// What clusters are watched for.
    pub watch: WatchSettings,
    /// Which fields of a page count, and how much.
    pub features: FieldWeights,
    /// How the work is done; never changes an answer.
    pub run: RunSettings,
    /// What the program may use.
    pub limits: LimitSettings,
    /// How brokers are reached: librdkafka's own keys.
    pub kafka: ClientKeys,
}

/// Most clusters that have a topic each, when nobody says otherwise: each topic costs a marker in every commit.
const MOST_TOPICS: u32 = 200;

impl Settings {
    /// Which topics pages go to, if any.
    pub fn route(&self) -> Option<Route> {
        let Self { output, model, .. } = self;
        let (slots, keyed) = (Route::Slots(output.topic_prefix.clone()), Route::Keyed(output.keyed_topic.clone()));
        match output.kafka {
            OutputTopics::None => None,
            OutputTopics::Auto if self.kafka.is_empty() => None,
            OutputTopics::Auto => Some(if model.clusters.slots() > MOST_TOPICS { keyed } else { slots }),
            OutputTopics::Keyed => Some(keyed),
            OutputTopics::Topics => Some(slots),
        }
    }
}

/// Where rows come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceSettings {
    /// Files, directories, globs or `generator:…`.
    pub input: Vec<String>,
    /// Other people's names of the six columns: `url=landing,title=name`.
    pub columns: String,
    /// Which other columns are carried along.
    pub keep: Keep,
    /// How files are written, as far as it is said.
    pub files: Asked,
    /// Whether files are followed as they grow.
    pub follow: bool,
    /// Kafka topic of the pages; empty for none.
    pub topic: String,
    /// How the messages of the topic are written.
    pub format: MessageFormat,
    /// Where a topic is read from that was never read before: `earliest`, `latest` or a time; empty for not said.
    pub from: String,
    /// What to do when messages are gone that were never read.
    pub on_data_loss: OnDataLoss,
}

/// Which rows are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanSettings {
    /// The rules of a run and of `clean`.
    pub rules: Rules,
    /// What `clean` goes by in their place.
    pub profile: CleanProfile,
}

/// What `clean` goes by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CleanProfile {
    /// The rules under `[clean]`.
    #[default]
    None,
    /// What the original's first script asked of a row.
    Original,
}

words!(CleanProfile { None = "none", Original = "original" });

/// Which topics pages go to, besides Parquet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputTopics {
    /// One a cluster when brokers are given; one keyed topic when there are too many clusters for that; none without brokers.
    #[default]
    Auto,
    /// One a cluster.
    Topics,
    /// One for all, keyed by cluster.
    Keyed,
    /// None.
    None,
}

words!(OutputTopics { Auto = "auto", Topics = "topics", Keyed = "keyed", None = "none" });

/// Where pages go, and when they become visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSettings {
    /// Directory of the output.
    pub out: PathBuf,
    /// Directory of the state; none for `OUT/.windrow`.
    pub state: Option<PathBuf>,
    /// What lies beside our own Parquet.
    pub copy: PagesCopy,
    /// Rows after which a roll is due; 0 for no such limit.
    pub roll_rows: u64,
    /// Bytes of Parquet after which a roll is due.
    pub roll_size: u64,
    /// Seconds after which a roll is due.
    pub roll_seconds: u64,
    /// What a cluster's topic is called before the number of its slot.
    pub topic_prefix: String,
    /// Which topics pages go to.
    pub kafka: OutputTopics,
    /// The one topic for all clusters, where it is used.
    pub keyed_topic: String,
    /// What the values of pages hold.
    pub value: ValueShape,
    /// What pages are keyed by in the topics of clusters.
    pub key: MessageKey,
    /// What the timestamps of pages' messages are.
    pub message_time: MessageTime,
    /// Milliseconds after which what came in becomes visible in the topics.
    pub epoch_ms: u64,
    /// File that counts of the topics are kept in; none for no file.
    pub counts_file: Option<PathBuf>,
}

impl OutputSettings {
    /// Directory of the state: as set, else `OUT/.windrow`.
    pub fn state_dir(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.out.join(".windrow"))
    }
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self {
            out: PathBuf::from("out"),
            state: None,
            copy: PagesCopy::None,
            roll_rows: 0,
            roll_size: 128 << 20,
            roll_seconds: 300,
            topic_prefix: "cluster_".into(),
            kafka: OutputTopics::Auto,
            keyed_topic: "windrow-pages".into(),
            value: ValueShape::Full,
            key: MessageKey::Domain,
            message_time: MessageTime::Arrival,
            epoch_ms: 500,
            counts_file: None,
        }
    }
}

/// What is sent to a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProduceSettings {
    /// How messages are written.
    pub value: ValueShape,
}

/// How the work is done; never changes an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSettings {
    /// Threads that prepare pages; 0 for one a core.
    pub threads: usize,
}

/// What the program may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Bytes that all queues and buffers together may hold.
    pub memory: u64,
    /// Bytes of the longest record; a longer one is a reject.
    pub max_record: u64,
    /// Bytes that stay free on the disks of output and state.
    pub free_disk: u64,
    /// Bytes that may come of one of a compressed file's; 0 for any number.
    pub max_unpacked: u64,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self { memory: 512 << 20, max_record: 1 << 20, free_disk: 256 << 20, max_unpacked: 500 }
    }
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the built-in default.
    Default,
    /// In a settings file.
    File {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// In an environment variable.
    Environment(String),
    /// On the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "{name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// One value as it was given, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Full name of the key, for example `model.clusters`.
    pub key: String,
    /// The texts given; one, except for lists.
    pub texts: Vec<String>,
    /// Where.
    pub origin: Origin,
}

impl Given {
    /// The value as it may be shown.
    pub fn shown(&self) -> String {
        if is_secret(&self.key) { "(secret)".into() } else { self.texts.join(" ") }
    }
}

/// Settings in force, with where each key's value came from (in the order of [`KEYS`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// Origin of each key's value.
    pub origins: Vec<Origin>,
    /// Origin of each of librdkafka's keys that was given.
    pub client_origins: BTreeMap<String, Origin>,
}

impl Resolved {
    /// Whether the key was given at all.
    pub fn is_given(&self, name: &str) -> bool {
        KEYS.iter().zip(&self.origins).any(|(key, origin)| key.name == name && *origin != Origin::Default)
    }
}

/// Merges what was given, later ones over earlier ones, and checks it: every problem is reported, not only the first.
pub fn resolve(given: &[Given]) -> Result<Resolved> {
    let mut settings = Settings::default();
    let mut origins = vec![Origin::Default; KEYS.len()];
    let (mut problems, mut client_origins) = (Vec::new(), BTreeMap::new());
    for one in given {
        if let Some(key) = one.key.strip_prefix(CLIENT_SECTION) {
            match settings.kafka.set(key, one) {
                Ok(()) => drop(client_origins.insert(key.to_owned(), one.origin.clone())),
                Err(problem) => problems.push(format!("{}: {} {problem}", one.origin, one.key)),
            }
            continue;
        }
        let Some(at) = KEYS.iter().position(|key| key.name == one.key) else {
            problems.push(unknown_key(one));
            continue;
        };
        match KEYS[at].ty.parse(&one.texts) {
            Ok(value) => {
                (KEYS[at].set)(&mut settings, value);
                origins[at] = one.origin.clone();
            }
            Err(problem) => problems.push(format!("{}: {} {problem}", one.origin, one.key)),
        }
    }
    problems.extend(disagreements(&settings));
    match problems.len() {
        0 => Ok(Resolved { settings, origins, client_origins }),
        _ => Err(settings_error(problems)),
    }
}

fn unknown_key(one: &Given) -> String {
    let nearest = nearest_key(&one.key).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    format!("{}: there is no setting `{}`{nearest}", one.origin, one.key)
}

/// The key whose name is most like `name`, if any is like it.
pub fn nearest_key(name: &str) -> Option<&'static str> {
    let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    nearest_of(name, &names)
}

/// The dotted name that is most like `name`, whole or in its last part.
pub fn nearest_of<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let likeness = |known: &str| strsim::jaro_winkler(&last(known), &last(name)).max(strsim::jaro_winkler(known, name));
    let near = names.iter().map(|known| (likeness(known), *known)).filter(|(likeness, _)| *likeness > 0.8);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

/// What no single key can tell: values that are fine alone and do not go together.
fn disagreements(settings: &Settings) -> Vec<String> {
    // Below that centres of K-Means could hold no terms.
    const LEAST_TERMS: u64 = 8;
    let mut problems = Vec::new();
    let (model, features) = (&settings.model, &settings.features);
    if model.clusters.slots() > model.max_micro_clusters {
        problems.push(format!(
            "model.clusters = {} is above model.max_micro_clusters = {}",
            model.clusters, model.max_micro_clusters
        ));
    }
    if model.kind == "kmeans" && u64::from(model.max_terms) < LEAST_TERMS * u64::from(model.clusters.slots()) {
        problems.push(format!(
            "model.max_terms = {} is below {LEAST_TERMS} for each of model.clusters = {}",
            model.max_terms, model.clusters
        ));
    }
    if model.clusters == Clusters::Auto && model.kind != MODEL_KINDS[0] {
        problems
            .push(format!("model.clusters = \"auto\" is for {}: tell {} how many there may be", MODEL_KINDS[0], model.kind));
    }
    let timeout = settings.kafka.get("transaction.timeout.ms");
    problems.extend(settings.route().and_then(|_| endless(settings.output.epoch_ms, timeout)));
    let from = &settings.source.from;
    if !from.is_empty() && Start::named(from).is_none() {
        problems
            .push(format!("source.from = {from:?} is neither `earliest` nor `latest` nor a time such as 2026-01-31T12:00:00Z"));
    }
    let weights = [
        features.title,
        features.keywords,
        features.description,
        features.path,
        features.host,
        features.domain,
        features.shape,
        features.template,
    ];
    if weights.iter().all(|weight| *weight == 0.0) {
        problems.push("every weight under [features] is 0: pages would have no terms".into());
    }
    problems
}

/// Epochs that brokers would end before they are committed, each time anew.
pub(crate) fn endless(epoch_ms: u64, given: Option<&str>) -> Option<String> {
    const USUAL: &str = "60000";
    // What is a reference is not known before it is followed.
    let longest: u64 = given.unwrap_or(USUAL).parse().ok()?;
    if epoch_ms <= longest / 2 {
        return None;
    }
    let usual = if given.is_none() { ", its built-in value" } else { "" };
    Some(format!(
        "output.epoch_ms = {epoch_ms} is above half of kafka.transaction.timeout.ms = {longest}{usual}: brokers would end transactions before \
         they are committed"
    ))
}

fn settings_error(mut problems: Vec<String>) -> Error {
    let hint = "`windrow config explain KEY` says what a setting takes, `windrow config show` lists them all";
    let error = if problems.len() == 1 {
        Error::new(ErrorKind::Invalid, "E-SETTINGS", problems.remove(0))
    } else {
        let message = format!("{} settings are wrong", problems.len());
        problems.into_iter().fold(Error::new(ErrorKind::Invalid, "E-SETTINGS", message), Error::cause)
    };
    error.hint(hint)
}

/// Reads a settings file.
pub fn from_file(path: &Path) -> Result<Vec<Given>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorKind::Environment, "E-SETTINGS-FILE", format!("cannot read the settings file {}", path.display()))
            .cause(error)
            .hint("give another file with --config, or write one with `windrow init`")
    })?;
    from_text(path, &text)
}

/// Reads settings from the text of the file `path`.
pub fn from_text(path: &Path, text: &str) -> Result<Vec<Given>> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        let message = format!("{}:{line}: {}", path.display(), error.message());
        Error::new(ErrorKind::Invalid, "E-SETTINGS-FILE", message).hint("the file is TOML: https://toml.io")
    })?;
    let mut given = Vec::new();
    flatten(path, text, "", table.get_ref(), &mut given);
    Ok(given)
}

fn flatten(path: &Path, text: &str, prefix: &str, table: &DeTable<'_>, given: &mut Vec<Given>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        let origin = Origin::File { path: path.into(), line: line_of(text, name.span().start) };
        match value.get_ref() {
            DeValue::Table(inner) => flatten(path, text, &key, inner, given),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| scalar_text(text, item.get_ref(), item.span())).collect();
                given.push(Given { key, texts, origin });
            }
            scalar => given.push(Given { texts: vec![scalar_text(text, scalar, value.span())], key, origin }),
        }
    }
}

fn scalar_text(text: &str, value: &DeValue<'_>, span: std::ops::Range<usize>) -> String {
    match value {
        DeValue::String(string) => string.to_string(),
        _ => text.get(span).unwrap_or_default().replace('_', ""),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Reads settings from environment variables (`WINDROW__MODEL__CLUSTERS=20`); lists are split at colons. Other programs' variables may
/// be anything; ours must be UTF-8.
pub fn from_env(vars: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Given>> {
    let mut given = Vec::new();
    for (name, value) in vars {
        let Some(name) = name.to_str().filter(|name| name.starts_with(ENV_PREFIX)).map(str::to_owned) else { continue };
        let Ok(value) = value.into_string() else {
            return Err(settings_error(vec![format!("{name}: its value is not UTF-8")]));
        };
        let key = key_of(&name);
        let is_list = KEYS.iter().any(|known| known.name == key && known.ty == Type::Paths);
        let texts = if is_list { split_paths(&value) } else { vec![value] };
        given.push(Given { key, texts, origin: Origin::Environment(name) });
    }
    given.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(given)
}

/// Splits at colons, but leaves `generator:…` whole.
fn split_paths(value: &str) -> Vec<String> {
    if value.starts_with("generator:") {
        return vec![value.to_owned()];
    }
    value.split(':').filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

/// The settings of the environment, by the name of their variable: what has to be set again to call the same again. A secret has no value.
pub fn environment(vars: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<String, Option<String>> {
    let set = vars.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    set.filter(|(name, _)| name.starts_with(ENV_PREFIX))
        .map(|(name, value)| {
            let is_open = !is_secret(&key_of(&name));
            (name, is_open.then_some(value))
        })
        .collect()
}

/// The key that a variable of the environment sets.
fn key_of(name: &str) -> String {
    name[ENV_PREFIX.len()..].to_lowercase().replace("__", ".")
}

#[cfg(test)]
mod tests;
