//! From what the user names to sources: which files there are, and which of them the pipeline already knows.
//!
//! A file is the same source as before when it begins with the same bytes and has (in this order) the same device and inode, the
//! same path, or the path of a known file that is gone but for `.gz` or `.zst` behind it: grown, copied back, renamed or
//! compressed files go on where they were. Everything else is new and gets the next ordinal; what was replaced is said so.

use std::fs;
use std::path::{Path, PathBuf};

use super::file::{FileSource, Probe};
use super::{Chain, ColumnMap, Limits, Positions, Source};
use crate::error::{Error, ErrorKind, Result};

/// Endings of the files that are taken from a directory.
const ENDINGS: [&str; 3] = [".csv", ".csv.gz", ".csv.zst"];

/// What [`open`] found.
pub struct Opened {
    /// All inputs, one after the other by ordinal, each from its position on.
    pub source: Box<dyn Source>,
    /// Things to tell the user.
    pub warnings: Vec<String>,
    /// Ordinals of the inputs, in order.
    pub ordinals: Vec<u32>,
    /// Ordinals of those inputs that the pipeline did not know before.
    pub new: Vec<u32>,
}

/// Opens inputs (files, directories, globs, `generator:…`) at their positions and enters new ones into `positions`.
///
/// # Errors
/// `E-INPUT-…`: an input is missing, cannot be read or has none of the needed columns.
pub fn open(inputs: &[String], columns: &ColumnMap, limits: Limits, positions: &mut Positions) -> Result<Opened> {
    let mut warnings = Vec::new();
    let mut probes = Vec::new();
    for path in find_files(inputs)? {
        let probe = Probe::new(&path, columns, &limits)?;
        let twin = |other: &&Probe| (other.device, other.inode) == (probe.device, probe.inode);
        match probes.iter().find(twin) {
            None => probes.push(probe),
            Some(other) if other.path == probe.path => {}
            Some(other) => warnings.push(format!("{} is the same file as {}: read once", path.display(), other.path.display())),
        }
    }
    let known = positions.sources.len();
    let mut parts: Vec<(u32, &Probe)> = Vec::with_capacity(probes.len());
    let mut taken = vec![false; known];
    let found: Vec<Option<usize>> = recognise(&probes, positions, &mut taken);
    for (probe, found) in probes.iter().zip(found) {
        let index = found.unwrap_or_else(|| {
            let name = probe.path.display().to_string();
            if positions.sources[..known].iter().any(|known| known.name == name) {
                warnings.push(format!("{name} does not begin as it did: read as a new input, from its start"));
            }
            positions.sources.push(probe.position());
            positions.sources.len() - 1
        });
        if found.is_some() {
            renew(&mut positions.sources[index], probe, &mut warnings);
        }
        let ordinal = u32::try_from(index).expect("fewer than 2^32 inputs");
        parts.push((ordinal, probe));
    }
    parts.sort_by_key(|(ordinal, _)| *ordinal);
    let mut chain = Chain::default();
    for (ordinal, probe) in &parts {
        let Some(layout) = &probe.layout else {
            warnings.push(format!("{} has no rows yet", probe.path.display()));
            continue;
        };
        let offset = positions.sources[*ordinal as usize].offset;
        chain.push(Box::new(FileSource::new(probe, *ordinal, layout.clone(), offset, limits)));
    }
    let ordinals: Vec<u32> = parts.iter().map(|(ordinal, _)| *ordinal).collect();
    let new = ordinals.iter().copied().filter(|ordinal| *ordinal as usize >= known).collect();
    Ok(Opened { source: Box::new(chain), warnings, ordinals, new })
}

/// Whether a file may be the known source of an index.
type Rule<'a> = &'a dyn Fn(&Probe, usize) -> bool;

/// For each file the index of the source that it is known as.
fn recognise(probes: &[Probe], positions: &Positions, taken: &mut [bool]) -> Vec<Option<usize>> {
    let by_inode = |probe: &Probe, index: usize| {
        (positions.sources[index].device, positions.sources[index].inode) == (probe.device, probe.inode)
    };
    let by_path = |probe: &Probe, index: usize| Path::new(&positions.sources[index].name) == probe.path;
    let by_plain_path = |probe: &Probe, index: usize| {
        let known = &positions.sources[index].name;
        plain_path(known) == plain_path(&probe.path.to_string_lossy()) && !Path::new(known).exists()
    };
    let rules: [Rule<'_>; 3] = [&by_inode, &by_path, &by_plain_path];
    let mut found = vec![None; probes.len()];
    for rule in rules {
        for (probe, found) in probes.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            // The latest first: a path that was replaced before has an older source of the same name.
            let fits = |index: &usize| !taken[*index] && rule(probe, *index) && probe.begins_like(&positions.sources[*index]);
            *found = (0..taken.len()).rev().find(fits);
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
fn renew(known: &mut super::SourcePosition, probe: &Probe, warnings: &mut Vec<String>) {
    let now = probe.position();
    if known.name != now.name {
        warnings.push(format!("{} is {} under another name: goes on where it was", now.name, known.name));
    }
    let (offset, rows) = (known.offset, known.rows);
    *known = super::SourcePosition { offset, rows, ..now };
}

/// The files that `inputs` name, in their order, directories and globs sorted by path.
fn find_files(inputs: &[String]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for input in inputs {
        let path = Path::new(input);
        match fs::metadata(path) {
            Ok(about) if about.is_dir() => {
                let before = files.len();
                walk(path, &mut files)?;
                if files.len() == before {
                    return Err(nothing(format!("no file below {input} ends in {}", ENDINGS.join(", "))));
                }
            }
            Ok(_) => files.push(path.to_owned()),
            Err(_) if input.contains(['*', '?', '[']) => {
                let paths = glob::glob(input).map_err(|error| nothing(format!("{input} is no glob")).cause(error))?;
                let before = files.len();
                for path in paths {
                    let path = path.map_err(|error| nothing(format!("cannot follow {input}")).cause(error))?;
                    files.extend(path.is_file().then_some(path));
                }
                if files.len() == before {
                    return Err(nothing(format!("no file matches {input}")));
                }
            }
            Err(_) => files.push(path.to_owned()), // opening it says what is wrong
        }
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
        } else if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(())
}
