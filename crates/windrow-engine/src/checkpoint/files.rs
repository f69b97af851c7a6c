//! Files that survive a power cut: written aside, fsynced, renamed, and their folder fsynced.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// The machine would not do `what` with `path`.
pub(crate) fn environment(what: &str, path: &Path, error: &dyn Display) -> Error {
    Error::new(ErrorKind::Environment, "E-IO", format!("cannot {what} {}", path.display()))
        .cause(error)
        .hint("check the disk's free space and the folder's permissions; nothing that was committed is lost")
}

/// Creates a folder with its parents.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| environment("create", path, &error))
}

/// Makes renames and removals in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| environment("fsync", path, &error))
}

/// The bytes of a file; none when there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(environment("read", path, &error)),
    }
}

/// Length and CRC-32 of what a file holds.
pub(crate) fn checksum(mut file: File) -> io::Result<(u64, u32)> {
    let mut hasher = crc32fast::Hasher::new();
    let (mut piece, mut bytes) = (vec![0; 1 << 18], 0);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((bytes, hasher.finalize())),
            n => {
                bytes += n as u64;
                hasher.update(&piece[..n]);
            }
        }
    }
}

/// Removes a file; one that is gone already is well.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(environment("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Names in a folder, sorted; none when there is no such folder. Names that are not UTF-8 are not ours and left out.
pub(crate) fn names_in(path: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(environment("read", path, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| environment("read", path, &error))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Where the bytes of `path` are written before they take its place.
pub(crate) fn aside(path: &Path) -> PathBuf {
    hidden(path, "")
}

/// The same for this process alone, where no lock keeps others away: another one that writes to the same path has a name of its own.
pub(crate) fn aside_of_ours(path: &Path) -> PathBuf {
    hidden(path, &format!(".{}", std::process::id()))
}

fn hidden(path: &Path, whose: &str) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a file of ours has a UTF-8 name");
    path.with_file_name(format!(".{name}{whose}.tmp"))
}

/// Writes `bytes` beside `path`, durably. The caller renames.
pub(crate) fn write_aside(path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    let aside = aside(path);
    let write = || -> io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| environment("write", &aside, &error))?;
    Ok(aside)
}

/// Puts what was written aside in its place.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| environment("rename", to, &error))
}

/// Replaces a file by `bytes`, whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = write_aside(path, bytes)?;
    rename(&aside, path)?;
    sync_dir(path.parent().expect("a file of ours lies in a folder"))
}
