//! Files that survive a power cut: written aside, fsynced, renamed, and their folder fsynced.

use std::error::Error as StdError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::{Error, ErrorKind, Result};

/// The machine would not do `what` with `path`.
pub(crate) fn environment(what: &str, path: &Path, error: &(dyn StdError + 'static)) -> Error {
    if disk::is_full(error) {
        return disk::full(&format!("cannot {what} {}", path.display())).cause(error);
    }
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

/// Writes `bytes` beside `path`, durably. The caller renames. What lies there of an earlier try goes first: were it a link, it would be
/// somebody else's file that is written over. What cannot be written whole goes too: a full disk needs the room.
pub(crate) fn write_aside(path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    let aside = aside(path);
    remove(&aside)?;
    let write = || -> io::Result<()> {
        let mut file = File::create_new(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&aside);
        environment("write", &aside, &error)
    })?;
    Ok(aside)
}

/// Puts what was written aside in its place.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| environment("rename", to, &error))
}

/// Writes `bytes` over those of a file that is there: it takes no room but that of more bytes.
pub(crate) fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

/// Replaces a file by `bytes`, whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = write_aside(path, bytes)?;
    rename(&aside, path)?;
    sync_dir(path.parent().expect("a file of ours lies in a folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_where_bytes_are_written_aside_is_replaced_and_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("files.json"), folder.path().join("victim"));
        fs::write(&victim, "another's").unwrap();
        std::os::unix::fs::symlink(&victim, aside(&path)).unwrap();
        replace(&path, b"ours").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&victim).unwrap()), (b"ours".to_vec(), b"another's".to_vec()));
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
        overwrite(&path, b"us").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"us");
        assert!(overwrite(&folder.path().join("none"), b"us").is_err(), "only what is there is written over");
    }

    #[test]
    fn a_full_disk_has_a_code_of_its_own() {
        let told = |number| environment("write", Path::new("x"), &io::Error::from_raw_os_error(number)).code;
        assert_eq!([told(28), told(122), told(13)], ["E-DISK-FULL", "E-DISK-FULL", "E-IO"]);
    }
}
