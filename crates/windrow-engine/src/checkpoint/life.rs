//! `state/last.json`: when the last run began, how it was called, what it waits for, and how it ended. For people; nothing depends on it.
//!
//! A run that was killed leaves no end: the lock is free, and the file says that it had begun. It is written when a run begins, when it
//! begins to wait for something, when what it waits for is another thing, when it goes on, and when it ends: never with time alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windrow_core::record::Micros;

use super::lock::host;
use super::manifest::Manifest;
use super::{Layout, files};
use crate::clock::Clock;
use crate::disk;
use crate::error::{Error, Result};
use crate::run::{Ended, Forecast};
use crate::settings;

/// Name and version of the form of the file; none in files of programs that knew no waiting.
const SCHEMA: &str = "windrow.life/1";
/// Stops that are remembered.
const STOPS: usize = 100;
const KILLED: &str = "killed";
/// What is left free in its last block, so that a run on a full disk can say in it what it waits for.
const TO_WAIT: usize = 1_500;
const BLOCK: usize = 4_096;

/// The last run of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Name and version of the form of the file.
    #[serde(default)]
    pub schema: String,
    /// Process id.
    pub pid: u32,
    /// Name of its machine; empty in files of programs that did not keep it.
    #[serde(default)]
    pub host: String,
    /// When it began.
    pub began: Micros,
    /// Its command line: what to call to go on.
    pub command: Vec<String>,
    /// Folder that it was called in.
    pub folder: String,
    /// Settings of its environment, by the name of their variable; a secret without its value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
    /// What it waits for, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waiting>,
    /// What it said of its rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// How it ended; none while it runs, and when it was killed.
    pub end: Option<End>,
    /// The last call behind it that could not begin, because the state could not be opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// When nobody ran the pipeline before, oldest first; the last ones only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<Stop>,
}

/// A time in which nobody ran the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// When the run before ended; of one that was killed, its last commit.
    pub from: Micros,
    /// When the next one began.
    pub to: Micros,
    /// How the run before ended: as in [`End::reason`], or `killed`.
    pub reason: String,
}

/// A call that could not begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its command line.
    pub command: Vec<String>,
    /// How it ended.
    pub end: End,
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Since when.
    pub since: Micros,
    /// Code of the error that it does not end with.
    pub code: String,
    /// Why, in a sentence.
    pub message: String,
    /// What lay below.
    pub causes: Vec<String>,
    /// What may be done about it.
    pub hint: Option<String>,
}

impl Waiting {
    /// Because of this error.
    pub(crate) fn of(error: &Error, since: Micros) -> Self {
        let (code, message) = (error.code.to_owned(), error.message.clone());
        Self { since, code, message, causes: error.causes.clone(), hint: error.hint.clone() }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Micros,
    /// `end_of_input`, `stopped`, `interrupted`, or the code of an error.
    pub reason: String,
    /// What the error said.
    pub message: Option<String>,
    /// What may be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Exit code that the engine asks for.
    pub exit_code: u8,
}

impl End {
    fn of(ended: std::result::Result<Ended, &Error>, at: Micros) -> Self {
        match ended {
            Ok(ended) => Self { at, reason: ended.code().into(), message: None, hint: None, exit_code: ended.exit_code() },
            Err(error) => {
                let (reason, message) = (error.code.into(), Some(error.message.clone()));
                Self { at, reason, message, hint: error.hint.clone(), exit_code: error.exit_code() }
            }
        }
    }
}

impl Life {
    /// The last run; none when there was none, or its file cannot be read.
    pub fn read(layout: &Layout) -> Option<Self> {
        let bytes = files::read_if_there(&layout.last()).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn begin(layout: &Layout, clock: &dyn Clock) -> Result<Self> {
        let folder = std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default();
        let (pid, began) = (std::process::id(), clock.now());
        let stops = Self::read(layout).map_or_else(Vec::new, |last| last.stops_until(began, layout));
        let life = Self {
            schema: SCHEMA.into(),
            pid,
            host: host(),
            began,
            command: command(),
            folder,
            environment: settings::environment(std::env::vars_os()),
            waits: None,
            forecast: None,
            end: None,
            refused: None,
            stops,
        };
        life.write(layout)?;
        Ok(life)
    }

    /// Says that a call could not begin; by the owner of the folders. What the run before it said stays.
    pub(crate) fn refuse(layout: &Layout, clock: &dyn Clock, error: &Error) -> Result<()> {
        let Some(mut last) = Self::read(layout) else { return Self::begin(layout, clock)?.end(layout, clock, Err(error)) };
        last.refused = Some(Refused { command: command(), end: End::of(Err(error), clock.now()) });
        last.write(layout)
    }

    /// The stops that it knew of, and the one behind it.
    fn stops_until(self, began: Micros, layout: &Layout) -> Vec<Stop> {
        let (from, reason) = match self.end {
            Some(end) => (end.at, end.reason),
            None => {
                let committed = Manifest::read(&layout.manifest()).ok().flatten().map(|manifest| manifest.written_at);
                (committed.unwrap_or(self.began).max(self.began), KILLED.to_owned())
            }
        };
        let mut stops = self.stops;
        stops.push(Stop { from, to: began.max(from), reason });
        stops.drain(..stops.len().saturating_sub(STOPS));
        stops
    }

    /// Says what it waits for now, if for anything.
    pub(crate) fn waits(&mut self, layout: &Layout, waits: Option<Waiting>) -> Result<()> {
        if self.waits == waits || self.is_past(layout) {
            return Ok(());
        }
        self.waits = waits;
        self.write(layout)
    }

    /// Says what its rest needs.
    pub(crate) fn foretells(&mut self, layout: &Layout, forecast: Forecast) -> Result<()> {
        if self.is_past(layout) {
            return Ok(());
        }
        self.forecast = Some(forecast);
        self.write(layout)
    }

    /// Says how it ended; by the owner of the folders.
    pub(crate) fn end(mut self, layout: &Layout, clock: &dyn Clock, ended: std::result::Result<Ended, &Error>) -> Result<()> {
        if self.is_past(layout) {
            return Ok(());
        }
        (self.waits, self.forecast) = (None, None);
        self.end = Some(End::of(ended, clock.now()));
        self.write(layout)
    }

    /// Whether another run has begun since: where a volume keeps no locks, an owner that was stopped may come back beside its replacement.
    fn is_past(&self, layout: &Layout) -> bool {
        Self::read(layout).is_some_and(|last| (last.pid, last.began) != (self.pid, self.began))
    }

    /// On a full disk it is written over where it stands: half of it, should the process die just then, is no word at all, which is what
    /// a process that was killed leaves.
    fn write(&self, layout: &Layout) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("plain data serializes");
        let room = if self.waits.is_some() { 0 } else { TO_WAIT };
        bytes.resize((bytes.len() + room).next_multiple_of(BLOCK), b' ');
        files::replace(&layout.last(), &bytes).or_else(|error| match error.code {
            disk::FULL => files::overwrite(&layout.last(), &bytes).map_err(|_| error),
            _ => Err(error),
        })
    }
}

/// The command line of this process.
fn command() -> Vec<String> {
    std::env::args_os().map(|part| part.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_programs_that_knew_no_waiting_are_read() {
        let old = r#"{"pid":7,"began":5,"command":["windrow","run"],"folder":"/x","end":null}"#;
        let life: Life = serde_json::from_str(old).unwrap();
        assert_eq!((life.pid, life.schema.as_str(), life.waits.clone()), (7, "", None));
        let layout = Layout { out: "/none".into(), state: "/none".into() };
        let stops = life.stops_until(9, &layout);
        assert_eq!(stops, [Stop { from: 5, to: 9, reason: KILLED.into() }]);
    }

    #[test]
    fn the_last_stops_are_remembered() {
        let layout = Layout { out: "/none".into(), state: "/none".into() };
        let old = r#"{"pid":7,"began":5,"command":[],"folder":"/x","end":{"at":1000,"reason":"stopped","message":null,"exit_code":0}}"#;
        let stops = (0..101).map(|n| Stop { from: n, to: n, reason: String::new() }).collect();
        let life = Life { stops, ..serde_json::from_str(old).unwrap() };
        let stops = life.stops_until(1_500, &layout);
        assert_eq!((stops.len(), stops[0].from), (STOPS, 2));
        assert_eq!(stops.last(), Some(&Stop { from: 1_000, to: 1_500, reason: "stopped".into() }));
    }
}
