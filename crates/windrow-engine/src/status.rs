//! How a pipeline stands, by what lies on disk: whether somebody runs it, what it waits for, how the last run ended, what is committed.
//!
//! It takes no lock and writes nothing, and needs no broker: [`crate::kafka::lag`] knows what they say.

use std::path::Path;

use serde::Serialize;
use windrow_core::record::Micros;

use crate::checkpoint::Layout;
use crate::checkpoint::life::{Life, Waiting};
use crate::checkpoint::lock::{Holder, Lock, host};
use crate::checkpoint::manifest::Manifest;
use crate::error::Result;
use crate::run::{Forecast, standbys};
use crate::source::Positions;

pub use crate::source::new_files;

/// How a pipeline stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody ever ran it.
    New,
    /// A process runs it.
    Running,
    /// A process runs it, and waits for brokers, or for room on a disk.
    Waiting,
    /// The last run ended as it should: at the end of the input, or because it was asked to.
    Ended,
    /// The last run ended with an error.
    Failed,
    /// The last run died without a word.
    Killed,
}

impl Standing {
    /// Its name in data.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }
}

/// What lies on disk.
#[derive(Debug)]
pub struct Status {
    /// Where it lies.
    pub layout: Layout,
    /// What is committed by the last roll; none before the first.
    pub manifest: Option<Manifest>,
    /// Who runs it.
    pub holder: Option<Holder>,
    /// Who waits to take over.
    pub standbys: Vec<Holder>,
    /// The last run, which may be the one that goes on.
    pub life: Option<Life>,
}

impl Status {
    /// Reads it.
    ///
    /// # Errors
    /// `E-STATE-…`: the manifest is damaged, newer than this program, or that of another output folder.
    pub fn read(out: &Path, state: Option<&Path>) -> Result<Self> {
        let layout = Layout::find(out, state)?;
        let holder = match Lock::holder(&layout.lock())? {
            Some(holder) => Some(holder),
            None => Lock::holder(&layout.out_lock())?,
        };
        let (manifest, life) = (Manifest::read(&layout.manifest())?, Life::read(&layout));
        Ok(Self { standbys: standbys(&layout), layout, manifest, holder, life })
    }

    /// How the pipeline stands.
    pub fn standing(&self) -> Standing {
        let end = self.life.as_ref().and_then(|life| life.end.as_ref());
        match (&self.holder, &self.life, end) {
            (Some(_), ..) if self.waits().is_some() => Standing::Waiting,
            (Some(_), ..) => Standing::Running,
            (None, None, _) if self.manifest.is_none() => Standing::New,
            (None, None, _) => Standing::Ended,
            (None, Some(_), None) => Standing::Killed,
            (None, Some(_), Some(end)) if end.message.is_some() => Standing::Failed,
            (None, Some(_), Some(_)) => Standing::Ended,
        }
    }

    /// Since when it stands so; of one that was killed, its last sign on disk.
    pub fn since(&self) -> Option<Micros> {
        let rolled = self.manifest.as_ref().map(|manifest| manifest.written_at);
        let end = self.life.as_ref().and_then(|life| life.end.as_ref());
        match self.standing() {
            Standing::New => None,
            Standing::Waiting => self.waits().map(|waits| waits.since),
            Standing::Running => self.holder.as_ref().map(|holder| holder.since),
            Standing::Ended | Standing::Failed => end.map(|end| end.at).or(rolled),
            Standing::Killed => rolled.max(self.life.as_ref().map(|life| life.began)),
        }
    }

    /// Another machine, where the last run may go on: it left no word, and a lock that is free here says nothing of that machine where the
    /// volume keeps no locks between machines.
    pub fn elsewhere(&self) -> Option<&str> {
        let host_of = self.life.as_ref().map(|life| life.host.as_str())?;
        (self.standing() == Standing::Killed && !host_of.is_empty() && host_of != host()).then_some(host_of)
    }

    /// What the process that runs it waits for. What a dead one waited for is past.
    pub fn waits(&self) -> Option<&Waiting> {
        let (holder, life) = (self.holder.as_ref()?, self.life.as_ref()?);
        life.waits.as_ref().filter(|_| life.pid == holder.pid && life.end.is_none())
    }

    /// What the process that runs it has said of its rest.
    pub fn forecast(&self) -> Option<Forecast> {
        let (holder, life) = (self.holder.as_ref()?, self.life.as_ref()?);
        life.forecast.filter(|_| life.pid == holder.pid && life.end.is_none())
    }

    /// How far the sources were read, by the last roll.
    pub fn positions(&self) -> Positions {
        self.manifest.as_ref().map(|manifest| manifest.positions.clone()).unwrap_or_default()
    }

    /// Number and bytes of the published files.
    ///
    /// # Errors
    /// The lists of older files are gone or damaged.
    pub fn files(&self) -> Result<(u64, u64)> {
        let Some(manifest) = &self.manifest else { return Ok((0, 0)) };
        let files = manifest.all_files(&self.layout.history())?;
        Ok((files.len() as u64, files.iter().map(|file| file.bytes).sum()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::life::End;

    fn status(holder: bool, life: Option<(bool, Option<&str>)>) -> Status {
        let layout = Layout { out: "/x".into(), state: "/x".into() };
        let holder = holder.then(|| Holder { pid: 7, host: "here".into(), since: 5 });
        let waiting = Waiting { since: 5, code: "E".into(), message: "m".into(), causes: Vec::new(), hint: None };
        let life = life.map(|(waits, end)| Life {
            schema: String::new(),
            pid: 7,
            host: super::host(),
            began: 5,
            command: Vec::new(),
            folder: String::new(),
            environment: std::collections::BTreeMap::new(),
            refused: None,
            waits: waits.then_some(waiting),
            forecast: None,
            end: end.map(|reason| End {
                at: 9,
                reason: reason.into(),
                message: reason.starts_with(char::is_uppercase).then(String::new),
                hint: None,
                exit_code: 0,
            }),
            stops: Vec::new(),
        });
        Status { layout, manifest: None, holder, standbys: Vec::new(), life }
    }

    #[test]
    fn lock_and_last_word_tell_how_it_stands() {
        let cases = [
            (false, None, Standing::New),
            (true, None, Standing::Running),
            (true, Some((false, None)), Standing::Running),
            (true, Some((true, None)), Standing::Waiting),
            (false, Some((true, None)), Standing::Killed),
            (false, Some((false, Some("stopped"))), Standing::Ended),
            (false, Some((false, Some("E-IO"))), Standing::Failed),
            (true, Some((false, Some("E-IO"))), Standing::Running),
        ];
        for (holder, life, wanted) in cases {
            assert_eq!(status(holder, life).standing(), wanted, "{holder} {life:?}");
        }
        let mut silent = status(false, Some((false, None)));
        assert_eq!((silent.elsewhere(), silent.since()), (None, Some(5)));
        silent.life.as_mut().unwrap().host = "elsewhere".into();
        assert_eq!(silent.elsewhere(), Some("elsewhere"), "its lock may not reach here");
        let mut other = status(true, Some((true, None)));
        other.holder.as_mut().unwrap().pid = 8;
        assert_eq!(other.standing(), Standing::Running, "another process has begun since");
    }
}
