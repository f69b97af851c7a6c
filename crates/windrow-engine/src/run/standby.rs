//! Standby: a process that waits beside the owner of a pipeline, and goes on when that one is gone.
//!
//! The kernel lets go of the owner's lock when the owner dies, however it dies, so looking at the lock is enough. An owner that is stopped
//! (SIGSTOP, Ctrl-Z) lives and holds it: after [`STOPPED`] the standby kills it, for only a dead owner writes nothing. One that is merely
//! slow is left alone, and so is one on another machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Control, Job};
use crate::checkpoint::Layout;
use crate::checkpoint::lock::{Holder, Lock, host};
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
