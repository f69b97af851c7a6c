//! The manifest `state/files.json`: the truth about what is committed. Renaming it into place is the commit.
//!
//! ```text
//! {"windrow":"manifest","format":1,"crc32":"89abcdef",
//! "body":{ pipeline, epoch, settings, positions, counters, snapshots, files ... }}
//! ```
//!
//! One JSON document whose first line carries the format and a CRC-32 of format and rest; that line keeps its form in every later
//! format, so that an old program can tell "newer" from "damaged". The list of files grows by at most three lines a roll; past
//! [`OPEN_FILES`] the older ones move to sealed history files named (with their checksum) by the manifest, so that a roll writes
//! a bounded number of bytes.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use windrow_core::clean::Rules;
use windrow_core::cluster::ModelSettings;
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::WatchSettings;
use windrow_core::record::Micros;

use crate::checkpoint::files;
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::failpoint;
use crate::observe::Counters;
use crate::settings::show_size;
use crate::sink::PublishedFile;
use crate::sink::topics::Route;
use crate::source::{ColumnMap, Keep, Order, Positions};

/// Newest format of the manifest that this program reads, and the one it writes.
///
/// 2: `max_record`. A program that knows only format 1 would end records elsewhere, and must not go on from it.
/// 3: `order`, `start` and `commits`. A program that knows only format 2 would read several partitions in another order, and would not
/// ask the topics what they hold.
/// 4: `written` and `clean`. A program that knows only format 3 would read every file as CSV with commas in UTF-8, and make pages of rows
/// that the rules reject.
/// 5: `keep`. A program that knows only format 4 would leave out the columns that are carried along.
/// 6: `written` may be Parquet, and `clean` speak of duplicates. A program that knows only format 5 would call the first damaged, and make pages of
/// rows that the second rejects.
/// 7: `watch`. A program that knows only format 6 would leave the watch out of what it learns again.
pub const FORMAT: u32 = 7;

const HEAD: &str = "{\"windrow\":\"manifest\",\"format\":";
const MIDDLE: &str = ",\"crc32\":\"";
const TAIL: &str = "\",\n";

/// Files listed in the manifest itself; history files hold the older ones.
const OPEN_FILES: usize = 2_000;

/// The longest record of states of format 1, which do not name it: what was built in then.
const fn max_record_of_format_1() -> u64 {
    1 << 20
}

/// A snapshot of the model that the manifest vouches for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    /// Epoch after which it was taken.
    pub epoch: u64,
    /// Its name in `state/snapshots`.
    pub name: String,
    /// XXH3 of the model's bytes, in hexadecimal digits.
    pub model: String,
    /// How far the sources had been read.
    pub positions: Positions,
    /// The order in which the rows since the snapshot before were learnt. Empty in states of programs that had files alone, which were
    /// read in turn.
    #[serde(default, skip_serializing_if = "Order::is_empty")]
    pub order: Order,
    /// Counts at that point.
    pub counters: Counters,
    /// Edits applied up to there.
    pub edits: u64,
}

impl SnapshotEntry {
    /// The order in which the rows since the snapshot before were learnt.
    pub fn order(&self) -> Order {
        if self.order.is_empty() { Order::in_turn(&self.positions) } else { self.order.clone() }
    }
}

/// A sealed part of the list of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Its name in `state/history`.
    pub name: String,
    /// Files listed in it.
    pub files: u64,
    /// CRC-32 of its bytes.
    pub crc32: u32,
}

/// Settings that decide what the same input becomes: another value of any of them needs new state.
#[derive(Debug, Clone, Copy)]
pub struct StateSettings<'a> {
    /// Of the model.
    pub model: &'a ModelSettings,
    /// Weights of the fields.
    pub fields: &'a FieldWeights,
    /// What the inputs call our columns.
    pub columns: &'a str,
    /// Which others are carried along.
    pub keep: &'a Keep,
    /// Bytes of the longest record.
    pub max_record: u64,
    /// Which rows are wanted.
    pub rules: &'a Rules,
    /// False alarms about drift in a million pages; none for whatever the state has.
    pub false_alarms: Option<f64>,
    /// Which topics pages go to.
    pub route: Option<&'a Route>,
}

/// What is committed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Id of the pipeline, drawn once.
    pub pipeline: String,
    /// Version of the program that wrote it.
    pub version: String,
    /// Last epoch that is rolled.
    pub epoch: u64,
    /// Offset of that epoch's record in the topic of commits; none for a pipeline without topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits: Option<u64>,
    /// Where its pages go besides Parquet; another place needs new state. None for a pipeline without topics, and in states of programs
    /// that did not keep it: they take what is given first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// When it was committed.
    pub written_at: Micros,
    /// Settings of the model; another value needs new state.
    pub model: Value,
    /// Weights of the fields; another value needs new state.
    pub fields: Value,
    /// The inputs as last given, made absolute: paths, globs, `generator:…`.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// What the inputs call our columns, as last used: `url=landing_page,title=name`.
    pub columns: String,
    /// Which others are carried along; another value needs new state.
    #[serde(default, skip_serializing_if = "Keep::is_empty")]
    pub keep: Keep,
    /// Bytes of the longest record; another value needs new state.
    #[serde(default = "max_record_of_format_1")]
    pub max_record: u64,
    /// Which rows are wanted; another value needs new state.
    #[serde(default)]
    pub clean: Rules,
    /// How clusters are watched, and since when; another number of false alarms needs new state. None in states of programs that did not
    /// watch: they are watched from the commit on from which one goes on that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchSettings>,
    /// How far the sources were read.
    pub positions: Positions,
    /// Counts of the pipeline's life.
    pub counters: Counters,
    /// Edits applied so far.
    pub edits: u64,
    /// The last snapshots, oldest first. Not empty.
    pub snapshots: Vec<SnapshotEntry>,
    /// Older published files.
    pub history: Vec<HistoryEntry>,
    /// Published files, oldest first.
    pub files: Vec<PublishedFile>,
}

impl Manifest {
    /// The manifest as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let body = serde_json::to_string_pretty(self).expect("plain data serializes");
        let rest = format!("\"body\":{body}}}\n");
        format!("{HEAD}{FORMAT}{MIDDLE}{:08x}{TAIL}{rest}", checksum(FORMAT, rest.as_bytes())).into_bytes()
    }

    /// Reads a manifest's bytes.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let (format, rest) = open(bytes).ok_or_else(|| damaged(path, &"its checksum does not fit its bytes"))?;
        let body = rest.strip_prefix(b"\"body\":").and_then(|rest| rest.strip_suffix(b"}\n"));
        if format > FORMAT {
            let written_by = body.and_then(|body| serde_json::from_slice::<WrittenBy>(body).ok());
            return Err(newer(path, format, FORMAT, written_by.map(|by| by.version).as_deref()));
        }
        let body = body.ok_or_else(|| damaged(path, &"it has no body"))?;
        serde_json::from_slice(body).map_err(|error| damaged(path, &error))
    }

    /// The format that the manifest in a file is written in; what [`Self::encode`] writes has [`FORMAT`].
    ///
    /// # Errors
    /// `E-STATE-DAMAGED`: there is none, or it is not what was written.
    pub fn format_of(path: &Path) -> Result<u32> {
        let bytes = files::read_if_there(path)?.ok_or_else(|| damaged(path, &"it is gone"))?;
        open(&bytes).map(|(format, _)| format).ok_or_else(|| damaged(path, &"its checksum does not fit its bytes"))
    }

    /// The manifest in a file; none when there is no file.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        files::read_if_there(path)?.map(|bytes| Self::decode(&bytes, path)).transpose()
    }

    /// Replaces the manifest of commit `before`: from the rename on, everything that it names is committed.
    ///
    /// # Errors
    /// `E-FENCED`: another commit is there. Locks that a volume does not keep may let a second process go on while this one is stopped; what
    /// that one has committed is never replaced.
    pub fn commit(&self, path: &Path, before: u64) -> Result<()> {
        let aside = files::write_aside(path, &self.encode())?;
        failpoint!("before-manifest-rename");
        Self::is_still(path, before)?;
        files::rename(&aside, path)?;
        failpoint!("after-manifest-rename");
        files::sync_dir(path.parent().expect("the manifest lies in the state folder"))?;
        failpoint!("after-manifest");
        Ok(())
    }

    /// Looks whether the manifest is still that of commit `before`.
    pub(crate) fn is_still(path: &Path, before: u64) -> Result<()> {
        let there = Self::read(path)?.map_or(0, |there| there.epoch);
        if there == before {
            return Ok(());
        }
        let message = format!("another process of this pipeline has taken over: commit {there} is there, not {before}");
        Err(Error::new(ErrorKind::Fenced, "E-FENCED", message)
            .hint("let the other one go on, or end it and call this one again: it goes on where that one stopped"))
    }

    /// The settings of the model that the state was made with.
    pub fn model_settings(&self, path: &Path) -> Result<ModelSettings> {
        serde_json::from_value(self.model.clone()).map_err(|error| damaged(path, &error))
    }

    /// The field weights that the state was made with.
    pub fn field_weights(&self, path: &Path) -> Result<FieldWeights> {
        serde_json::from_value(self.fields.clone()).map_err(|error| damaged(path, &error))
    }

    /// Settings that differ from the manifest's: key, value in the state, value asked for.
    pub fn other_settings(&self, asked: &StateSettings<'_>) -> Result<Vec<(String, String, String)>> {
        let mut others = Vec::new();
        let rules = to_value(&self.clean);
        // A weight that the state's program did not know was 0.
        let fields = FieldWeights::deserialize(&self.fields).map_or_else(|_| self.fields.clone(), |fields| to_value(&fields));
        let groups = [
            ("model", &self.model, to_value(asked.model)),
            ("features", &fields, to_value(asked.fields)),
            ("clean", &rules, to_value(asked.rules)),
        ];
        for (group, old, new) in groups {
            let (old, new) = (flatten(group, old), flatten(group, &new));
            let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
            for key in keys {
                // A setting that the state's program did not know yet had no effect there: its default is no change.
                let (Some(was), Some(is)) = (old.get(key), new.get(key)) else { continue };
                if was != is {
                    others.push((key.clone(), was.to_string(), is.to_string()));
                }
            }
        }
        // The same column map in another order reads the same.
        let (was, is): (ColumnMap, ColumnMap) = (self.columns.parse()?, asked.columns.parse()?);
        if self.counters.rows > 0 && was != is {
            others.push(("source.columns".into(), format!("`{}`", self.columns), format!("`{}`", asked.columns)));
        }
        if self.keep != *asked.keep {
            let shown = |keep: &Keep| format!("`{}`", keep.words().join(","));
            others.push(("source.keep".into(), shown(&self.keep), shown(asked.keep)));
        }
        if self.max_record != asked.max_record {
            others.push(("limits.max_record".into(), show_size(self.max_record), show_size(asked.max_record)));
        }
        let rates = self.watch.map(|watch| watch.false_alarms).zip(asked.false_alarms);
        if let Some((was, is)) = rates.filter(|(was, is)| was.to_bits() != is.to_bits()) {
            others.push(("watch.false_alarms".into(), was.to_string(), is.to_string()));
        }
        others.extend(self.route.as_ref().zip(asked.route).and_then(|(was, is)| other_route(was, is)));
        Ok(others)
    }

    /// Adds the files of a roll; moves older ones to a sealed history file when the list has become long.
    pub fn add_files(&mut self, published: &[PublishedFile], folder: &Path) -> Result<()> {
        if self.files.len() >= OPEN_FILES {
            let sealed = serde_json::to_vec(&self.files).expect("plain data serializes");
            let name = format!("files-{:08}.json", self.epoch);
            files::create_dir(folder)?;
            files::replace(&folder.join(&name), &sealed)?;
            self.history.push(HistoryEntry { name, files: self.files.len() as u64, crc32: crc32fast::hash(&sealed) });
            self.files.clear();
        }
        self.files.extend_from_slice(published);
        Ok(())
    }

    /// Every published file, oldest first, with those of the history files in `folder`.
    pub fn all_files(&self, folder: &Path) -> Result<Vec<PublishedFile>> {
        let mut all = Vec::new();
        for entry in &self.history {
            let path = folder.join(&entry.name);
            let bytes = files::read_if_there(&path)?.ok_or_else(|| damaged(&path, &"it is gone"))?;
            if crc32fast::hash(&bytes) != entry.crc32 {
                return Err(damaged(&path, &"its checksum does not fit its bytes"));
            }
            let sealed: Vec<PublishedFile> = serde_json::from_slice(&bytes).map_err(|error| damaged(&path, &error))?;
            all.extend(sealed);
        }
        all.extend_from_slice(&self.files);
        Ok(all)
    }
}

/// The setting that sends pages elsewhere, if any does.
fn other_route(was: &Route, is: &Route) -> Option<(String, String, String)> {
    let (key, was, is) = match (was, is) {
        (Route::Slots(was), Route::Slots(is)) => ("output.topic_prefix", was.as_str(), is.as_str()),
        (Route::Keyed(was), Route::Keyed(is)) => ("output.keyed_topic", was.as_str(), is.as_str()),
        (Route::Slots(_), Route::Keyed(_)) => ("output.kafka", "topics", "keyed"),
        (Route::Keyed(_), Route::Slots(_)) => ("output.kafka", "keyed", "topics"),
    };
    (was != is).then(|| (key.into(), format!("`{was}`"), format!("`{is}`")))
}

/// Settings as they stand in the manifest.
pub(crate) fn to_value(settings: &impl Serialize) -> Value {
    serde_json::to_value(settings).expect("settings serialize")
}

fn flatten(prefix: &str, value: &Value) -> BTreeMap<String, Value> {
    let Value::Object(members) = value else { return BTreeMap::from([(prefix.to_owned(), value.clone())]) };
    members.iter().flat_map(|(key, member)| flatten(&format!("{prefix}.{key}"), member)).collect()
}

fn checksum(format: u32, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&format.to_le_bytes());
    hasher.update(rest);
    hasher.finalize()
}

/// Format and checked rest of a manifest's bytes.
fn open(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let line_end = memchr::memchr(b'\n', bytes)?;
    let (line, rest) = bytes.split_at(line_end + 1);
    let line = std::str::from_utf8(line).ok()?;
    let (format, crc) = line.strip_prefix(HEAD)?.strip_suffix(TAIL)?.split_once(MIDDLE)?;
    let format: u32 = format.parse().ok()?;
    let well_formed = crc.len() == 8 && crc.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (well_formed && u32::from_str_radix(crc, 16).ok()? == checksum(format, rest)).then_some((format, rest))
}

/// A state file is not what was written.
pub(crate) fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Data, "E-STATE-DAMAGED", format!("{} is damaged", path.display()))
        .cause(why)
        .hint("restore the state folder from a copy, or start over with a new --out folder; published Parquet is not touched")
}

/// All that is read of a manifest of a newer format.
#[derive(Deserialize)]
struct WrittenBy {
    version: String,
}

/// A state file was written by a newer program; by which, if it is known.
pub(crate) fn newer(path: &Path, found: u32, supported: u32, written_by: Option<&str>) -> Error {
    let ours = env!("CARGO_PKG_VERSION");
    let message = format!("{} has format {found}, this program ({ours}) reads up to {supported}", path.display());
    let whose = written_by
        .map_or_else(|| "the newer windrow that wrote it".into(), |theirs| format!("windrow {theirs}, which wrote it"));
    Error::new(ErrorKind::Data, "E-STATE-NEWER", message).hint(format!(
        "use {whose}, or a later one; nothing was changed. There is no way back to an older format but a copy of the state"
    ))
}

#[cfg(test)]
mod tests;
