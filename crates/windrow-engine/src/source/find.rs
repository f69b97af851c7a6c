//! From what the user names to sources: which files there are, and which of them the pipeline already knows.
//!
//! A file is the same source as before when it begins with the same bytes and has (in this order) the same device and inode, the
//! same path, or the path of a known file that is gone but for `.gz` or `.zst` behind it: grown, copied back, renamed or
//! compressed files go on where they were. Everything else is new and gets the next ordinal; what was replaced is said so. Where files are
//! followed, known ones that no input names any more are looked for [`beside`] where they were.

mod beside;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use super::encoding::Encoding;
use super::file::{FileSource, Probe, is_same_birth};
use super::follow::{self, Followed, Following, Names};
use super::form::Form;
use super::generator::{GeneratorSource, PREFIX, Spec};
use super::kafka::watch::{self, Watch};
use super::kafka::{self, TopicInput};
use super::parquet::{self, ParquetSource};
use super::pipe::{self, Pipe, STDIN};
use super::written::{Asked, AskedEncoding, Written};
use super::{Chain, ColumnMap, Keep, Limits, Merged, Positions, Source, SourcePosition, Waiting};
use crate::checkpoint::STATE;
use crate::error::{Error, ErrorKind, Result};
use crate::run::waits::Waits;

/// Endings of the files that are taken from a directory; packed ones have `.gz` or `.zst` behind.
const ENDINGS: [&str; 5] = [".csv", ".tsv", ".jsonl", ".ndjson", parquet::ENDING];

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
    /// What becomes of the ends of files.
    pub reading: Reading,
}

impl<'a> Wanted<'a> {
    /// Files, read once to their ends, with nothing carried along.
    pub fn once(inputs: &'a [String], columns: &'a str, files: Asked, limits: Limits) -> Self {
        Self { inputs, topic: None, columns, keep: Keep::NONE, files, limits, reading: Reading::ToEnd }
    }
}

/// What becomes of the ends of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reading {
    /// They are read to their ends, as they are.
    #[default]
    ToEnd,
    /// They may grow, be renamed and made anew, and new ones may come.
    Following,
    /// The same, when it was read before and is read once more: files that were renamed since are looked for beside where they were.
    Again,
}

/// What [`open`] found.
pub struct Opened {
    /// The sources by ordinal, each from its position on.
    pub(crate) parts: Vec<(u32, Box<dyn Source>)>,
    /// What they wait for when they have nothing.
    pub(crate) waiting: Waiting,
    /// A topic that may change while it is read.
    pub(super) watched: Option<watch::Opened>,
    /// Files that are followed; in `parts` are none then.
    pub(super) following: Option<Following>,
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
        if let Some(following) = self.following.take() {
            Box::new(following)
        } else if self.waiting.is_for_ever() {
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
    Stdin,
}

impl Input {
    fn name(&self) -> String {
        match self {
            Self::File(probe) => probe.path.display().to_string(),
            Self::Generator(spec) => spec.to_string(),
            Self::Stdin => STDIN.to_owned(),
        }
    }

    /// Its position when nothing of it has been read.
    fn position(&self) -> SourcePosition {
        match self {
            Self::File(probe) => probe.position(),
            Self::Generator(spec) => spec.position(),
            Self::Stdin => SourcePosition::of(STDIN),
        }
    }

    /// Whether it begins as the known source did.
    fn begins_like(&self, known: &SourcePosition) -> bool {
        match self {
            Self::File(probe) => !known.name.starts_with(PREFIX) && probe.begins_like(known),
            Self::Generator(spec) => known.name.starts_with(PREFIX) && spec.position().head_hash == known.head_hash,
            Self::Stdin => false, // what has gone by never comes again
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
    let mut warnings = Vec::new();
    let follows = wanted.reading == Reading::Following;
    let mut names = follows.then(|| Names::of(wanted.inputs));
    let mut inputs = look_at(wanted, positions, &mut warnings)?;
    let n_named = inputs.len();
    let found = find_known(&mut inputs, wanted.reading, positions)?;
    let was = positions.sources.clone();
    let is_found: Vec<bool> = (0..was.len()).map(|index| found.contains(&Some(index))).collect();
    let mut parts: Vec<(u32, usize)> = Vec::with_capacity(inputs.len());
    for (at, (input, found)) in inputs.iter_mut().zip(found).enumerate() {
        if let Input::File(probe) = input {
            let written = found.and_then(|index| positions.sources[index].written());
            written.map_or(Ok(()), |written| check_written(probe, written, wanted.files))?;
            // Whoever writes a Parquet file writes its footer last.
            if !follows || !probe.is_parquet() || parquet::is_whole(&probe.path) {
                probe.find_form(written, wanted.files, columns, &wanted.limits)?;
            }
            warnings.extend(likely_cp1252(probe, wanted.files));
        }
        if let Some(index) = found {
            renew(&mut positions.sources[index], input, &mut warnings);
        }
        let index = found.unwrap_or_else(|| {
            let name = input.name();
            if matches!(input, Input::Stdin) && was.iter().any(|known| known.name == STDIN) {
                warnings.push(once_more(was.len()));
            } else if let Some(before) = was.iter().rposition(|known| known.name == name) {
                warnings.extend(replaced(input, &was[before], is_found[before], follows));
            }
            positions.sources.push(input.position());
            positions.sources.len() - 1
        });
        parts.push((u32::try_from(index).expect("fewer than 2^32 inputs"), at));
    }
    let ordinals: Vec<u32> = parts.iter().map(|(ordinal, _)| *ordinal).collect();
    parts.sort_by_key(|(ordinal, _)| *ordinal);
    let mut sources: Vec<(u32, Box<dyn Source>)> = Vec::new();
    let mut followed = Vec::new();
    for (ordinal, at) in parts {
        let offset = positions.sources[ordinal as usize].offset;
        match &inputs[at] {
            Input::Generator(_) if !columns.kept().is_empty() => return Err(nothing_to_keep(&columns.kept()[0].column)),
            Input::Generator(spec) => {
                sources.push((ordinal, Box::new(GeneratorSource::new(*spec, ordinal, offset, wanted.limits))));
            }
            Input::Stdin => {
                let pieces = pipe::read(pipe::stdin()?, wanted.limits.unpacked)?;
                sources.push((ordinal, Box::new(Pipe::new(pieces, ordinal, (wanted.files, columns), wanted.limits))));
            }
            Input::File(probe @ Probe { form: None, .. }) => {
                warnings.push(format!("{} has no rows yet", probe.path.display()));
                names.iter_mut().for_each(|names| names.waits(probe));
            }
            Input::File(probe @ Probe { form: Some((written, form)), .. }) => {
                let form = (*written, Arc::clone(form), columns);
                let source = source_of(probe, form, (ordinal, offset), wanted);
                if follows {
                    followed.push((source, probe, at >= n_named));
                } else {
                    sources.push((ordinal, source.boxed()));
                }
            }
        }
    }
    let following = names.map(|names| Following::new(followed, wanted.inputs, names));
    Ok(Opened { parts: sources, waiting: Waiting::never(), watched: None, following, warnings, ordinals, new: Vec::new() })
}

/// A file from its position on.
fn source_of(
    probe: &Probe,
    (written, form, columns): (Written, Arc<Form>, &ColumnMap),
    (ordinal, offset): (u32, u64),
    wanted: &Wanted<'_>,
) -> Followed {
    if written == Written::Parquet {
        let source = ParquetSource::new(&probe.path, (ordinal, offset), (form, columns), wanted.limits);
        return Followed::Whole(Box::new(source));
    }
    let source = FileSource::new(probe, ordinal, form, offset, wanted.limits);
    Followed::Growing(Box::new(if wanted.reading == Reading::Following { source.growing(probe) } else { source }))
}

/// What to say of standard input where one was read before.
fn once_more(ordinal: usize) -> String {
    format!(
        "standard input is a new input each time: its rows are {ordinal}:… from here on, and rows that an earlier run had read \
         already would be read twice"
    )
}

/// What a file that is followed may come to, and stops nothing.
const CUT: &str = "E-INPUT-CUT";

/// What to say of an input that has the name of a known source and is none; nothing where that one was only renamed.
fn replaced(input: &Input, was: &SourcePosition, is_found: bool, follows: bool) -> Option<String> {
    let (name, offset) = (input.name(), was.offset);
    if !follows {
        return Some(format!("{name} does not begin as it did: read as a new input, from its start"));
    }
    if matches!(input, Input::File(probe) if probe.is_still(was)) {
        let where_else = if is_found { "the copy beside it is read on" } else { "there is no copy of it beside it" };
        return Some(format!(
            "{CUT}: {name} was cut short, or written anew in place, and is read from its start as a new input; what it held behind \
             byte {offset} is not there any more: {where_else}, and what was written between the copy and the cut is lost"
        ));
    }
    (!is_found).then(|| {
        format!(
            "{CUT}: {name} is another file now, and the one before is not beside it: what that holds behind byte {offset} is not read"
        )
    })
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
fn look_at(wanted: &Wanted<'_>, positions: &Positions, warnings: &mut Vec<String>) -> Result<Vec<Input>> {
    let follows = wanted.reading == Reading::Following;
    let mut found: Vec<Input> = Vec::new();
    let mut seen: HashMap<(u64, u64), PathBuf, FxBuildHasher> = HashMap::default();
    for input in wanted.inputs {
        if input.starts_with(PREFIX) {
            if follows {
                return Err(follow::never_grows(input, "rows that are made up do not grow"));
            }
            let spec = Input::Generator(input.parse()?);
            let twin = |other: &Input| other.begins_like(&spec.position());
            if found.iter().any(twin) {
                warnings.push(format!("{input} is named twice: read once"));
            } else {
                found.push(spec);
            }
            continue;
        }
        if input == STDIN {
            check_stdin(wanted)?;
            // What is read once more does not come once more.
            found.extend((wanted.reading == Reading::ToEnd).then_some(Input::Stdin));
            continue;
        }
        for path in files_of(input, follows, warnings)? {
            let Some(probe) = probe(&path, input, (wanted.reading, positions), warnings)? else { continue };
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

/// Whether standard input can be read as it is wanted.
fn check_stdin(wanted: &Wanted<'_>) -> Result<()> {
    if wanted.reading == Reading::Following {
        return Err(follow::never_grows("standard input", "it is waited for until it ends, without that"));
    }
    if wanted.inputs.len() == 1 && wanted.topic.is_none() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, "E-INPUT-STDIN", "standard input is read alone")
        .hint("give `-` without other inputs; run again with the others, the same --out and --new"))
}

/// The files that an input names. Where they are followed there need not be any yet.
fn files_of(input: &str, follows: bool, warnings: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    match find_files(input) {
        Err(error) if follows && error.code == "E-INPUT-NONE" => {
            warnings.push(format!("{}: waits for one", error.message));
            Ok(Vec::new())
        }
        found => found,
    }
}

/// Looks at a file that `input` names. None for one that is passed over: it cannot be followed, or is gone for a moment.
fn probe(
    path: &Path,
    input: &str,
    (reading, positions): (Reading, &Positions),
    warnings: &mut Vec<String>,
) -> Result<Option<Probe>> {
    let is_named = Path::new(input) == path;
    // Read before, and renamed since: there may be no new one yet.
    let may_be_gone =
        reading != Reading::ToEnd && (!is_named || positions.sources.iter().any(|source| Path::new(&source.name) == path));
    let probe = match Probe::new(path) {
        Err(error) if may_be_gone && error.code == "E-INPUT-OPEN" && !path.exists() => {
            warnings.push(format!("{} is not there now", path.display()));
            return Ok(None);
        }
        probe => probe?,
    };
    if reading == Reading::Following && is_named && probe.is_parquet() {
        return Err(follow::never_grows(input, "it is a Parquet file; a folder of them can be, for new ones"));
    }
    if reading == Reading::Following && probe.is_compressed {
        if is_named {
            return Err(follow::never_grows(input, "it is compressed"));
        }
        warnings.push(format!("{} is compressed, and is not followed: a run without --follow reads it", path.display()));
        return Ok(None);
    }
    Ok(Some(probe))
}

/// Whether an input may be a known source.
type Rule = fn(&SourcePosition, &SourcePosition) -> bool;

/// For each input the index of the source that it is known as. Where files are followed, known ones that lie beside are inputs too: the very
/// same file goes before what has its name now, and its name before a copy.
fn find_known(inputs: &mut Vec<Input>, reading: Reading, positions: &Positions) -> Result<Vec<Option<usize>>> {
    let by_inode: Rule =
        |input, known| (input.device, input.inode) == (known.device, known.inode) && is_same_birth(input.born, known.born);
    let by_path: Rule = |input, known| input.name == known.name;
    let by_plain_path: Rule =
        |input, known| plain_path(&input.name) == plain_path(&known.name) && !Path::new(&known.name).exists();
    let mut found = vec![None; inputs.len()];
    let add = |inputs: &mut Vec<Input>, found: &mut Vec<Option<usize>>, look: beside::Look| -> Result<()> {
        if reading != Reading::ToEnd {
            for (index, probe) in look(inputs, found, positions)? {
                inputs.push(Input::File(probe));
                found.push(Some(index));
            }
        }
        Ok(())
    };
    recognise(inputs, &mut found, positions, &[by_inode]);
    add(inputs, &mut found, beside::renamed)?;
    recognise(inputs, &mut found, positions, &[by_path, by_plain_path]);
    add(inputs, &mut found, beside::copied)?;
    Ok(found)
}

/// An input that begins like a known source is that source when a rule says so; the first rule goes before the second for all inputs.
fn recognise(inputs: &[Input], found: &mut [Option<usize>], positions: &Positions, rules: &[Rule]) {
    let mut taken = vec![false; positions.sources.len()];
    found.iter().flatten().for_each(|index| taken[*index] = true);
    for rule in rules {
        for (input, found) in inputs.iter().zip(&mut *found).filter(|(_, found)| found.is_none()) {
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
    let files = inputs
        .iter()
        .filter(|input| !input.starts_with(PREFIX) && *input != STDIN)
        .filter_map(|input| find_files(input).ok())
        .flatten();
    let looked = files.filter_map(|path| fs::metadata(&path).ok().map(|about| (path, about)));
    looked.filter(|(path, about)| about.is_file() && !is_known(path, about)).map(|(path, about)| (path, about.len())).collect()
}

/// The files that an input names; those of directories and globs sorted by path.
pub(super) fn find_files(input: &str) -> Result<Vec<PathBuf>> {
    let path = Path::new(input);
    let mut files = Vec::new();
    match fs::metadata(path) {
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
        if path.is_dir() && path.join(STATE).is_dir() {
            // Pages that a pipeline has written are no input of it.
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
pub(super) mod tests;
