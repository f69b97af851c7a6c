//! One owner at a time: advisory locks on `state/lock` and `OUT/.windrow-lock`.
//!
//! The kernel lets go of the lock when the process ends, however it ends, so that a lock is never stale. The file says who holds
//! it; it is never removed, for a removed file can be locked twice.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windrow_core::record::Micros;

use crate::checkpoint::files::environment;
use crate::error::{Error, ErrorKind, Result};

/// Whoever asks [`Lock::holder`] shares the lock for a moment; an owner may die just as its heir starts. Neither is a reason to
/// refuse.
const TRIES: u32 = 8;
const BETWEEN_TRIES: Duration = Duration::from_millis(25);

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Name of the machine.
    pub host: String,
    /// When it took the lock.
    pub since: Micros,
}

/// The lock, held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    holder: Holder,
}

impl Lock {
    /// Takes the lock of a state folder or of an output folder.
    pub fn take(path: &Path, now: Micros) -> Result<Self> {
        let mut file = open(path)?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    tries += 1;
                    let _ = crossbeam_channel::never::<()>().recv_timeout(BETWEEN_TRIES);
                }
                Err(TryLockError::WouldBlock) => return Err(held(path, read(&mut file).as_ref())),
                Err(TryLockError::Error(error)) => return Err(environment("lock", path, &error)),
            }
        }
        let holder = Holder { pid: std::process::id(), host: host(), since: now };
        let text = serde_json::to_string(&holder).expect("plain data serializes");
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{text}")
        };
        write(&mut file).map_err(|error| environment("write", path, &error))?;
        Ok(Self { file, path: path.to_owned(), holder })
    }

    /// Refuses to go on when the file names another holder: where a volume keeps no locks between machines, one that was away for long may
    /// have been replaced. And when it is no more the file that was locked: then the folder is another one, and nobody knows whose.
    pub(super) fn check(&self) -> Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(moved(&self.path)),
            Err(error) => return Err(environment("open", &self.path, &error)),
        };
        match read(&mut file) {
            Some(holder) if holder != self.holder && (is_same(&file, &self.file) || holder.since > self.holder.since) => {
                Err(held(&self.path, Some(&holder)))
            }
            // Also a copy of the folder, which names whoever had it before us.
            _ if !is_same(&file, &self.file) => Err(moved(&self.path)),
            _ => Ok(()),
        }
    }

    /// Who holds the lock of a state folder now; none when nobody does.
    pub fn holder(path: &Path) -> Result<Option<Holder>> {
        if !path.exists() {
            return Ok(None);
        }
        let mut file = File::open(path).map_err(|error| environment("open", path, &error))?;
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                Ok(Some(read(&mut file).unwrap_or_else(|| Holder { pid: 0, host: host(), since: 0 })))
            }
            Err(TryLockError::Error(error)) => Err(environment("lock", path, &error)),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    file.map_err(|error| environment("open", path, &error))
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn is_same(one: &File, other: &File) -> bool {
    let identity = |file: &File| file.metadata().ok().map(|about| (about.dev(), about.ino()));
    identity(one) == identity(other)
}

/// Code of the error of a folder that is not where it was.
pub(crate) const MOVED: &str = "E-FOLDER-MOVED";

fn moved(path: &Path) -> Error {
    let folder = path.parent().unwrap_or(path).display();
    Error::new(
        ErrorKind::Environment,
        MOVED,
        format!("{folder} was moved, replaced or emptied while it was written to: its lock is not there any more"),
    )
    .hint("put it back and run again: what was committed is whole, and the rows since are learnt again")
}

fn held(path: &Path, holder: Option<&Holder>) -> Error {
    let who = holder.map_or_else(|| "another process".into(), |holder| format!("process {} on {}", holder.pid, holder.host));
    let folder = path.parent().unwrap_or(path).display();
    let hint = match holder {
        Some(holder) => {
            let there = if holder.host == host() { String::new() } else { format!(" on {}", holder.host) };
            format!("wait for it, or stop it with `kill {}`{there}; two runs need two --out folders", holder.pid)
        }
        None => "wait for it, or stop it; two runs need two --out folders".into(),
    };
    Error::new(ErrorKind::Fenced, "E-LOCKED", format!("{folder} belongs to {who}")).hint(hint)
}

/// Name of this machine.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_names_its_holder_and_is_free_again_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(Lock::holder(&path).unwrap(), None);
        let lock = Lock::take(&path, 7).unwrap();
        let error = Lock::take(&path, 8).unwrap_err();
        assert_eq!((error.kind, error.code, error.exit_code()), (ErrorKind::Fenced, "E-LOCKED", 5));
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
        let holder = Lock::holder(&path).unwrap().unwrap();
        assert_eq!((holder.pid, holder.since), (std::process::id(), 7));
        lock.check().unwrap();
        std::fs::remove_file(&path).unwrap();
        let error = lock.check().unwrap_err();
        assert_eq!((error.code, error.exit_code()), ("E-FOLDER-MOVED", 3), "nobody else's, and not ours to be sure of");
        std::fs::write(&path, serde_json::to_string(&lock.holder).unwrap()).unwrap();
        assert_eq!(lock.check().unwrap_err().code, "E-FOLDER-MOVED", "a copy is not what was locked");
        std::fs::write(&path, serde_json::to_string(&Holder { since: 6, ..lock.holder.clone() }).unwrap()).unwrap();
        assert_eq!(lock.check().unwrap_err().code, "E-FOLDER-MOVED", "nor is one from before us");
        std::fs::remove_file(&path).unwrap();
        let other = Lock::take(&path, 8).unwrap();
        assert_eq!(lock.check().unwrap_err().code, "E-LOCKED", "somebody else's by now");
        drop((lock, other));
        assert_eq!(Lock::holder(&path).unwrap(), None);
        Lock::take(&path, 9).unwrap();
    }
}
