//! Standby: a process that waits beside the owner of a pipeline, and goes on when that one is gone.
//!
//! The kernel lets go of the owner's lock when the owner dies, however it dies, so looking at the lock is enough. An owner that is stopped
//! (SIGSTOP, Ctrl-Z) lives and holds it: after [`STOPPED`] the standby kills it, for only a dead owner writes nothing. One that is merely
//! slow is left alone, and so is one on another machine.
//!
//! A standby holds the lock of a small file in `state/standby`, so that others see that it is there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Control, Job};
use crate::checkpoint::lock::{Holder, Lock, host};
use crate::checkpoint::{Layout, files};
use crate::clock::Clock;
use crate::error::Result;

/// How often the locks are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long an owner may be stopped.
pub const STOPPED: Duration = Duration::from_secs(15);

/// What a standby does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits for this owner.
    Behind(Holder),
    /// It has killed this owner, which was stopped.
    Killed(Holder),
}

/// Waits until nobody owns the pipeline of the job, or until it is asked to end. `told` is called when an owner is seen for the first
/// time, and when one was killed.
pub fn stand_by(job: &Job, clock: &dyn Clock, control: &Control, told: &mut dyn FnMut(&Standing)) -> Result<()> {
    let mut stopped_since = BTreeMap::new();
    let mut seen = None;
    let mut sign: Option<Sign> = None;
    while !control.is_asked() {
        let layout = Layout::find(&job.out, job.state.as_deref())?;
        let locks = [layout.out_lock(), layout.lock()];
        let mut owner = None;
        for lock in &locks {
            if let Some(holder) = Lock::holder(lock)? {
                owner = Some((lock, holder));
                break;
            }
        }
        let Some((lock, holder)) = owner else { return Ok(()) };
        if seen.as_ref() != Some(&holder) {
            told(&Standing::Behind(holder.clone()));
            seen = Some(holder.clone());
            sign = sign.or_else(|| Sign::leave(&layout, clock));
        }
        if is_stopped(&holder, lock) {
            let since = *stopped_since.entry(holder.pid).or_insert_with(|| clock.elapsed());
            if clock.elapsed() >= since + STOPPED && kill(&holder) {
                told(&Standing::Killed(holder));
                stopped_since.clear();
            }
        } else {
            stopped_since.remove(&holder.pid);
        }
        let _ = crossbeam_channel::never::<()>().recv_timeout(LOOK);
    }
    Ok(())
}

/// A file that says that somebody stands by; gone with its value.
struct Sign {
    path: PathBuf,
    _lock: Lock,
}

impl Sign {
    /// Nothing depends on it: a standby that can leave none is one all the same.
    fn leave(layout: &Layout, clock: &dyn Clock) -> Option<Self> {
        let folder = layout.standbys();
        fs::create_dir_all(&folder).ok()?;
        let left = files::names_in(&folder).unwrap_or_default().into_iter().map(|name| folder.join(name));
        // Their processes were killed.
        left.filter(|path| Lock::holder(path).is_ok_and(|holder| holder.is_none()))
            .for_each(|path| drop(fs::remove_file(path)));
        let path = folder.join(format!("{}-{}", host(), std::process::id()));
        Some(Self { _lock: Lock::take(&path, clock.now()).ok()?, path })
    }
}

impl Drop for Sign {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Who stands by.
pub fn standbys(layout: &Layout) -> Vec<Holder> {
    let names = files::names_in(&layout.standbys()).unwrap_or_default();
    names.iter().filter_map(|name| Lock::holder(&layout.standbys().join(name)).ok()?).collect()
}

/// Whether the process that holds the lock is stopped, here. The file tells who it is; the kernel, whether that one holds the lock.
fn is_stopped(holder: &Holder, lock: &Path) -> bool {
    holder.host == host() && holds(holder.pid, lock) && state(holder.pid) == Some('T')
}

/// The state of a process, as the kernel names it; a process that a debugger stopped has another.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in brackets, and may hold brackets itself.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether the kernel says so: `1: FLOCK  ADVISORY  WRITE PID MAJOR:MINOR:INODE 0 EOF`.
fn holds(pid: u32, lock: &Path) -> bool {
    let (Ok(locks), Ok(file)) = (fs::read_to_string("/proc/locks"), fs::metadata(lock)) else { return false };
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", owner, place, ..] = words.as_slice() else { return false };
        owner.parse() == Ok(pid) && place.rsplit(':').next().and_then(|inode| inode.parse().ok()) == Some(file.ino())
    })
}

fn kill(holder: &Holder) -> bool {
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_standby_is_seen_while_it_lives() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout { out: folder.path().into(), state: folder.path().into() };
        assert_eq!(standbys(&layout), []);
        fs::create_dir(layout.standbys()).unwrap();
        fs::write(layout.standbys().join("killed-7"), "{}").unwrap();
        let sign = Sign::leave(&layout, &SystemClock::new()).unwrap();
        let seen: Vec<_> = standbys(&layout).into_iter().map(|holder| holder.pid).collect();
        assert_eq!(seen, [std::process::id()]);
        assert_eq!(files::names_in(&layout.standbys()).unwrap().len(), 1, "the dead one's file is gone");
        drop(sign);
        assert_eq!(standbys(&layout), []);
    }

    #[test]
    fn the_kernel_names_who_holds_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        fs::write(&path, "").unwrap();
        let me = std::process::id();
        assert!(!holds(me, &path));
        let lock = Lock::take(&path, SystemClock::new().now()).unwrap();
        assert!(holds(me, &path) && !holds(1, &path));
        let holder = Lock::holder(&path).unwrap().unwrap();
        assert!(!is_stopped(&holder, &path), "it runs");
        drop(lock);
        assert!(!holds(me, &path));
    }
}
