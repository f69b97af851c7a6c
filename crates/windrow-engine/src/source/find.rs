//! From what the user names to sources: which files there are, and which of them the pipeline already knows.
//!
//! A file is the same source as before when it begins with the same bytes and has (in this order) the same device and inode, the
//! same path, or the path of a known file that is gone but for `.gz` or `.zst` behind it: grown, copied back, renamed or
//! compressed files go on where they were. Everything else is new and gets the next ordinal; what was replaced is said so.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use super::encoding::Encoding;
use super::file::{FileSource, Probe, no_file};
use super::generator::{GeneratorSource, PREFIX, Spec};
use super::kafka::watch::{self, Watch};
use super::kafka::{self, TopicInput};
use super::written::{Asked, AskedEncoding, Written};
use super::{Chain, ColumnMap, Keep, Limits, Merged, Positions, Source, SourcePosition, Waiting};
use crate::error::{Error, ErrorKind, Result};
use crate::run::waits::Waits;

/// Endings of the files that are taken from a directory; packed ones have `.gz` or `.zst` behind.
const ENDINGS: [&str; 4] = [".csv", ".tsv", ".jsonl", ".ndjson"];

/// What to open, and how.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Files, directories, globs or `generator:…`.
    pub inputs: &'a [String],
    /// A topic.
    pub topic: Option<&'a TopicInput>,
    /// What the inputs call our columns.
    pub columns: &'a str,
    /// Which others are carried along.
    pub keep: &'a Keep,
    /// How files are written, as far as it is said.
    pub files: Asked,
    /// How much may be handed out at once.
    pub limits: Limits,
}

/// What [`open`] found.
pub struct Opened {
    /// The sources by ordinal, each from its position on.
    pub(crate) parts: Vec<(u32, Box<dyn Source>)>,
    /// What they wait for when they have nothing.
    pub(crate) waiting: Waiting,
    /// A topic that may change while it is read.
    pub(super) watched: Option<watch::Opened>,
    /// Things to tell the user.
    pub warnings: Vec<String>,
    /// Ordinals of the inputs, in order.
    pub ordinals: Vec<u32>,
    /// Ordinals of those inputs that the pipeline did not know before.
    pub new: Vec<u32>,
}

impl Opened {
    /// Whom it tells that the brokers of a topic are silent.
    pub(crate) fn tell(&self, waits: &Waits) {
        self.watched.iter().for_each(|watched| watched.tell(waits));
    }

    /// Takes all of them out as one: files one after the other, partitions as they have something.
    pub fn take(&mut self) -> Box<dyn Source> {
        let parts = std::mem::take(&mut self.parts).into_iter().map(|(_, part)| part);
        if self.waiting.is_for_ever() {
            Box::new(Chain::new(parts))
        } else {
            Box::new(Merged::new(parts, self.waiting.clone(), self.watched.take().map(Watch::start)))
        }
    }
}

/// An input that was looked at.
enum Input {
    File(Probe),
    Generator(Spec),
}

impl Input {
    fn name(&self) -> String {
        match self {
            Self::File(probe) => probe.path.display().to_string(),
            Self::Generator(spec) => spec.to_string(),
        }
    }

    /// Its position when nothing of it has been read.
    fn position(&self) -> SourcePosition {
        match self {
            Self::File(probe) => probe.position(),
            Self::Generator(spec) => spec.position(),
        }
    }

    /// Whether it begins as the known source did.
    fn begins_like(&self, known: &SourcePosition) -> bool {
        match self {
            Self::File(probe) => !known.name.starts_with(PREFIX) && probe.begins_like(known),
            Self::Generator(spec) => known.name.starts_with(PREFIX) && spec.position().head_hash == known.head_hash,
        }
    }
}

/// Opens inputs at their positions and enters new ones into `positions`.
///
/// # Errors
/// `E-INPUT-…`: an input is missing, cannot be read or has none of the needed columns. `E-KAFKA-…`: the same of a topic.
pub fn open(wanted: Wanted<'_>, positions: &mut Positions) -> Result<Opened> {
    let known = positions.sources.len();
    let columns = wanted.columns.parse::<ColumnMap>()?.keeping(wanted.keep);
    let mut opened = open_files(&wanted, &columns, positions)?;
    if let Some(topic) = wanted.topic {
        let (parts, waiting, watched) = kafka::open(topic, &columns, wanted.limits, positions, &mut opened.warnings)?;
        opened.parts.extend(parts);
        (opened.waiting, opened.watched) = (waiting, Some(watched));
    }
    opened.parts.sort_by_key(|(ordinal, _)| *ordinal);
    let ordinals = opened.ordinals.iter().copied().chain(opened.parts.iter().map(|(ordinal, _)| *ordinal));
    opened.ordinals = std::collections::BTreeSet::from_iter(ordinals).into_iter().collect();
    opened.new = opened.ordinals.iter().copied().filter(|ordinal| *ordinal as usize >= known).collect();
    Ok(opened)
}

fn open_files(wanted: &Wanted<'_>, columns: &ColumnMap, positions: &mut Positions) -> Result<Opened> {
    let limits = wanted.limits;
    let mut warnings = Vec::new();
    let mut inputs = look_at(wanted.inputs, &mut warnings)?;
    let known = positions.sources.len();
    let found = recognise(&inputs, positions);
    let mut parts: Vec<(u32, &Input)> = Vec::with_capacity(inputs.len());
    for (input, found) in inputs.iter_mut().zip(found) {
        if let Input::File(probe) = input {
            let written = found.and_then(|index| positions.sources[index].written());
            written.map_or(Ok(()), |written| check_written(probe, written, wanted.files))?;
            probe.find_form(written, wanted.files, columns, &limits)?;
            warnings.extend(likely_cp1252(probe, wanted.files));
        }
        if let Some(index) = found {
            renew(&mut positions.sources[index], input, &mut warnings);
        }
        let index = found.unwrap_or_else(|| {
            let name = input.name();
            if positions.sources[..known].iter().any(|known| known.name == name) {
                warnings.push(format!("{name} does not begin as it did: read as a new input, from its start"));
            }
            positions.sources.push(input.position());
            positions.sources.len() - 1
        });
        parts.push((u32::try_from(index).expect("fewer than 2^32 inputs"), input));
    }
    let ordinals: Vec<u32> = parts.iter().map(|(ordinal, _)| *ordinal).collect();
    let mut sources: Vec<(u32, Box<dyn Source>)> = Vec::new();
    for (ordinal, input) in parts {
        let offset = positions.sources[ordinal as usize].offset;
        match input {
            Input::Generator(_) if !columns.kept().is_empty() => return Err(nothing_to_keep(&columns.kept()[0].column)),
            Input::Generator(spec) => sources.push((ordinal, Box::new(GeneratorSource::new(*spec, ordinal, offset, limits)))),
            Input::File(Probe { form: None, .. }) => warnings.push(format!("{} has no rows yet", input.name())),
            Input::File(probe @ Probe { form: Some((_, form)), .. }) => {
                sources.push((ordinal, Box::new(FileSource::new(probe, ordinal, Arc::clone(form), offset, limits))));
            }
        }
    }
    Ok(Opened { parts: sources, waiting: Waiting::never(), watched: None, warnings, ordinals, new: Vec::new() })
}

/// Rows that are made up have our columns and no others.
fn nothing_to_keep(column: &str) -> Error {
    Error::new(ErrorKind::Invalid, "E-INPUT-COLUMNS", format!("a generator makes no column `{column}`"))
        .hint("leave --keep out: it is for columns of files and messages")
}

/// A file is read for good as it was read first: in another way its records would lie elsewhere.
fn check_written(probe: &Probe, written: Written, asked: Asked) -> Result<()> {
    let others = asked.others(written);
    if others.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = others.iter().map(|(key, was, is)| format!("{key} was `{was}` and is `{is}` now")).collect();
    let message = format!("{} was read in another way: {}", probe.path.display(), list.join("; "));
    Err(Error::new(ErrorKind::Invalid, "E-SETTINGS-STATE", message)
        .hint("leave the setting out to go on as before, or give a new --out folder to start over with the new value"))
}

/// What to say of a file that is no UTF-8 and most likely something else.
fn likely_cp1252(probe: &Probe, asked: Asked) -> Option<String> {
    let is_utf8 = probe.form.as_ref().is_some_and(|(written, _)| written.encoding() == Encoding::Utf8);
    let is_likely = is_utf8 && asked.encoding == AskedEncoding::Auto && Encoding::is_likely_cp1252(&probe.head);
    let name = probe.path.display();
    is_likely.then(|| {
        format!("{name} is no UTF-8 and looks like cp1252: its rows with such letters are rejects without --encoding cp1252")
    })
}

/// Looks at all inputs, in order; one that is named twice is taken once.
fn look_at(inputs: &[String], warnings: &mut Vec<String>) -> Result<Vec<Input>> {
    let mut found: Vec<Input> = Vec::new();
    let mut seen: HashMap<(u64, u64), PathBuf, FxBuildHasher> = HashMap::default();
    for input in inputs {
        if input.starts_with(PREFIX) {
            let spec = Input::Generator(input.parse()?);
            let twin = |other: &Input| other.begins_like(&spec.position());
            if found.iter().any(twin) {
                warnings.push(format!("{input} is named twice: read once"));
            } else {
                found.push(spec);
            }
            continue;
        }
        for path in find_files(input)? {
            let probe = Probe::new(&path)?;
            match seen.entry((probe.device, probe.inode)) {
                Entry::Vacant(entry) => {
                    entry.insert(path);
                    found.push(Input::File(probe));
                }
                Entry::Occupied(entry) if *entry.get() == path => {}
                Entry::Occupied(entry) => {
                    warnings.push(format!("{} is the same file as {}: read once", path.display(), entry.get().display()));
                }
            }
        }
    }
    Ok(found)
}

/// Whether an input may be a known source.
type Rule = fn(&SourcePosition, &SourcePosition) -> bool;

/// For each input the index of the source that it is known as. An input that begins like a known source is that source when a
/// rule says so; the first rule goes before the second for all inputs.
fn recognise(inputs: &[Input], positions: &Positions) -> Vec<Option<usize>> {
    let by_inode: Rule = |input, known| (input.device, input.inode) == (known.device, known.inode);
    let by_path: Rule = |input, known| input.name == known.name;
    let by_plain_path: Rule =
        |input, known| plain_path(&input.name) == plain_path(&known.name) && !Path::new(&known.name).exists();
    let mut taken = vec![false; positions.sources.len()];
    let mut found = vec![None; inputs.len()];
    for rule in [by_inode, by_path, by_plain_path] {
        for (input, found) in inputs.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            let position = input.position();
            let known = &positions.sources;
            let fits = |index: &usize| !taken[*index] && rule(&position, &known[*index]) && input.begins_like(&known[*index]);
            // The latest first: a path that was replaced before has an older source of the same name.
            *found = (0..known.len()).rev().find(fits);
            if let Some(index) = *found {
                taken[index] = true;
            }
        }
    }
    found
}

fn plain_path(path: &str) -> &str {
    path.strip_suffix(".gz").or_else(|| path.strip_suffix(".zst")).unwrap_or(path)
}

/// Enters what has changed about a known source: its name, its inode, and a longer head when it has grown.
fn renew(known: &mut SourcePosition, input: &Input, warnings: &mut Vec<String>) {
    let now = input.position();
    if known.name != now.name && matches!(input, Input::File(_)) {
        warnings.push(format!("{} is {} under another name: goes on where it was", now.name, known.name));
    }
    *known = SourcePosition { offset: known.offset, rows: known.rows, written: known.written().or(now.written), ..now };
}

/// Files of these inputs that are none of the known sources, by path and inode, with their lengths. Nothing is opened.
pub fn new_files(inputs: &[String], known: &Positions) -> Vec<(PathBuf, u64)> {
    let is_known = |path: &Path, about: &fs::Metadata| {
        let path = path.to_string_lossy();
        known.sources.iter().any(|source| source.name == path || (source.device, source.inode) == (about.dev(), about.ino()))
    };
    let files = inputs.iter().filter(|input| !input.starts_with(PREFIX)).filter_map(|input| find_files(input).ok()).flatten();
    let looked = files.filter_map(|path| fs::metadata(&path).ok().map(|about| (path, about)));
    looked.filter(|(path, about)| about.is_file() && !is_known(path, about)).map(|(path, about)| (path, about.len())).collect()
}

/// The files that an input names; those of directories and globs sorted by path.
pub(super) fn find_files(input: &str) -> Result<Vec<PathBuf>> {
    let path = Path::new(input);
    let mut files = Vec::new();
    match fs::metadata(path) {
        Err(_) if input == "-" => return Err(no_file("standard input (-)")),
        Ok(about) if about.is_dir() => {
            walk(path, &mut files)?;
            if files.is_empty() {
                return Err(nothing(format!("no file below {input} ends in {} (.gz, .zst)", ENDINGS.join(", "))));
            }
        }
        Err(_) if input.contains(['*', '?', '[']) => {
            let paths = glob::glob(input).map_err(|error| nothing(format!("{input} is no glob")).cause(error))?;
            for path in paths {
                let path = path.map_err(|error| nothing(format!("cannot follow {input}")).cause(error))?;
                files.extend(path.is_file().then_some(path));
            }
            if files.is_empty() {
                return Err(nothing(format!("no file matches {input}")));
            }
        }
        Ok(_) | Err(_) => files.push(path.to_owned()), // opening it says what is wrong
    }
    Ok(files)
}

fn nothing(message: String) -> Error {
    Error::new(ErrorKind::Invalid, "E-INPUT-NONE", message)
        .hint("inputs are files, directories, globs in quotes, or generator:…")
}

/// Adds the files below a directory, sorted; hidden ones are passed over.
fn walk(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot list {}", directory.display());
        Error::new(ErrorKind::Environment, "E-INPUT-OPEN", message).cause(error)
    };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else if ENDINGS.iter().any(|ending| plain_path(&name).ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
