//! A key: its names, what it takes, what a change of it means.

use super::value::{Type, Value};
use super::{Settings, show_size};

/// What a change of a setting means for state that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// In force from the next commit on; no answer changes.
    NextCommit,
    /// Clusters are made anew from the micro-clusters; the history says so.
    Reclusters,
    /// The state was made with the old value: `run` refuses the new one on it.
    NewState,
}

impl Change {
    /// The kind as written in the reference and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NextCommit => "next-commit",
            Self::Reclusters => "re-clusters",
            Self::NewState => "new-state",
        }
    }
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Full name, for example `model.clusters`.
    pub name: &'static str,
    /// Name of its flag, if it has one.
    pub flag: Option<&'static str>,
    /// Name of the flag's value in the help.
    pub value_name: &'static str,
    /// What it takes.
    pub ty: Type,
    /// What a change of it means.
    pub change: Change,
    /// What it does, in one or two sentences.
    pub doc: &'static str,
    /// Writes a value.
    pub(super) set: fn(&mut Settings, Value),
    /// Reads the value.
    pub get: fn(&Settings) -> Value,
}

impl Key {
    /// Section of the settings file.
    pub fn section(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(section, _)| section)
    }

    /// Name within the section.
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, name)| name)
    }

    /// Name of its environment variable.
    pub fn env(&self) -> String {
        format!("{}{}", super::ENV_PREFIX, self.name.to_uppercase().replace('.', "__"))
    }

    /// The built-in value.
    pub fn default(&self) -> Value {
        (self.get)(&Settings::default())
    }

    /// The built-in value as people read it.
    pub fn default_text(&self) -> String {
        match self.default() {
            Value::Text(text) => text,
            Value::Size(size) => show_size(size),
            Value::List(items) => items.join(" "),
            other => other.toml(),
        }
    }
}
