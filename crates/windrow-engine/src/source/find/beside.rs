//! Files that were read and that no input names any more: renamed when they were rotated, in the folder where they lay.
//!
//! A file is the very same by device, inode, birth and head, whatever it is called now. A copy, as rotation by copying makes one, has a
//! name that begins with that of the file, and surely begins with the same bytes. Compressed files are no such files: how far they were
//! read could only be found by unpacking them, each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Input, PREFIX};
use crate::error::Result;
use crate::source::file::{Probe, born, is_same_birth};
use crate::source::{Positions, SourcePosition, kafka};

type Identity = (u64, u64);

/// What is found of the known sources that `inputs` do not hold, with their indices.
pub(super) type Look = fn(&[Input], &[Option<usize>], &Positions) -> Result<Vec<(usize, Probe)>>;

/// The very same files, under whatever name.
pub(super) fn renamed(inputs: &[Input], found: &[Option<usize>], positions: &Positions) -> Result<Vec<(usize, Probe)>> {
    look(inputs, found, positions, Files::the_same)
}

/// Copies of them.
pub(super) fn copied(inputs: &[Input], found: &[Option<usize>], positions: &Positions) -> Result<Vec<(usize, Probe)>> {
    look(inputs, found, positions, Files::a_copy)
}

fn look(
    inputs: &[Input],
    found: &[Option<usize>],
    positions: &Positions,
    find: fn(&Files, &SourcePosition) -> Result<Option<Probe>>,
) -> Result<Vec<(usize, Probe)>> {
    let is_found: FxHashSet<usize> = found.iter().copied().flatten().collect();
    let is_file = |known: &SourcePosition| {
        known.head_len > 0 && [PREFIX, kafka::PREFIX].iter().all(|prefix| !known.name.starts_with(prefix))
    };
    let lost = |(index, known): &(usize, &SourcePosition)| !is_found.contains(index) && is_file(known);
    let lost: Vec<(usize, &SourcePosition)> = positions.sources.iter().enumerate().filter(lost).collect();
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let mut named: FxHashSet<Identity> = FxHashSet::default();
    let mut folders: BTreeSet<&Path> = lost.iter().filter_map(|(_, known)| Path::new(&known.name).parent()).collect();
    for input in inputs {
        if let Input::File(probe) = input {
            named.insert((probe.device, probe.inode));
            folders.extend(probe.path.parent());
        }
    }
    let mut files = Files::default();
    folders.into_iter().for_each(|folder| files.add(folder, &named));
    let mut all = Vec::new();
    for (index, known) in lost {
        if let Some(probe) = find(&files, known)? {
            files.by_identity.remove(&(probe.device, probe.inode));
            all.push((index, probe));
        }
    }
    Ok(all)
}

/// Files that no input names.
#[derive(Default)]
struct Files {
    by_identity: FxHashMap<Identity, (PathBuf, u64)>,
    by_name: BTreeMap<String, Vec<Identity>>,
}

impl Files {
    /// Adds those of a folder; none where it cannot be listed.
    fn add(&mut self, folder: &Path, named: &FxHashSet<Identity>) {
        let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            let identity = (about.dev(), about.ino());
            if about.is_file() && !named.contains(&identity) {
                let name = entry.file_name();
                self.by_name.entry(name.to_string_lossy().into_owned()).or_default().push(identity);
                self.by_identity.insert(identity, (folder.join(name), born(&about)));
            }
        }
    }

    fn the_same(&self, known: &SourcePosition) -> Result<Option<Probe>> {
        let file = self.by_identity.get(&(known.device, known.inode)).filter(|(_, born)| is_same_birth(*born, known.born));
        let Some((path, _)) = file else { return Ok(None) };
        Ok(probe(path)?.filter(|probe| !probe.is_compressed && probe.begins_like(known)))
    }

    fn a_copy(&self, known: &SourcePosition) -> Result<Option<Probe>> {
        let name = Path::new(&known.name).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names = self.by_name.range(name.clone()..).take_while(|(other, _)| other.starts_with(&name));
        for (path, _) in names.flat_map(|(_, all)| all).filter_map(|identity| self.by_identity.get(identity)) {
            let copy = probe(path)?.filter(|probe| !probe.is_compressed && probe.surely_begins_like(known));
            if copy.is_some() {
                return Ok(copy);
            }
        }
        Ok(None)
    }
}

/// What lies there, unless it has gone since.
fn probe(path: &Path) -> Result<Option<Probe>> {
    match Probe::new(path) {
        Err(_) if !path.exists() => Ok(None),
        probe => probe.map(Some),
    }
}
