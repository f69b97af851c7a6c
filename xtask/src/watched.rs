//! A run that is looked at from outside while it goes on: how much memory it takes, and what it says.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell::{self, Watch, let_pass, shown};

/// How long a run may take.
const END_S: f64 = 120.0;
/// Time between two looks.
const STEP: Duration = Duration::from_millis(20);

/// What was seen of a run that has ended.
pub(crate) struct Seen {
    pub(crate) ended: ExitStatus,
    pub(crate) seconds: f64,
    /// The most bytes of memory in use at any look.
    pub(crate) memory: f64,
    /// Bytes of memory in use at each look.
    pub(crate) looks: Vec<f64>,
    /// The lines that it said.
    pub(crate) lines: Vec<String>,
}

/// A run in the background; it is ended when dropped.
struct Watched(Child);

/// Runs a command to its end, and looks at it; what it says goes to the file `talk`, what it prints nowhere.
pub(crate) fn watch(command: &mut Command, talk: &Path) -> Result<Seen> {
    Watched::start(command.stdin(Stdio::null()), talk)?.look_on(talk)
}

/// The same of one that reads `head` from a pipe, and then one `piece` after the other for so many seconds; gives the number of pieces too.
pub(crate) fn watch_fed(command: &mut Command, talk: &Path, head: &[u8], piece: &[u8], seconds: f64) -> Result<(Seen, u64)> {
    let mut run = Watched::start(command.stdin(Stdio::piped()), talk)?;
    let mut pipe = run.0.stdin.take().context("a pipe")?;
    std::thread::scope(|scope| {
        let feeder = scope.spawn(move || -> std::io::Result<u64> {
            let (watch, mut pieces) = (Watch::start(), 0);
            pipe.write_all(head)?;
            while watch.seconds() < seconds {
                pipe.write_all(piece)?;
                pieces += 1;
            }
            Ok(pieces)
        });
        let seen = run.look_on(talk)?;
        Ok((seen, feeder.join().map_err(|_| anyhow::anyhow!("the feeder broke down"))??))
    })
}

impl Watched {
    fn start(command: &mut Command, talk: &Path) -> Result<Self> {
        let child = command.stdout(Stdio::null()).stderr(fs::File::create(talk)?).spawn();
        Ok(Self(child.with_context(|| shown(command))?))
    }

    fn look_on(&mut self, talk: &Path) -> Result<Seen> {
        let (watch, mut memory, mut looks) = (Watch::start(), 0.0, Vec::new());
        let ended = loop {
            if let Some(ended) = self.0.try_wait()? {
                break ended;
            }
            if watch.seconds() > END_S {
                bail!("the run does not end within {END_S} s");
            }
            // Of a process that has just ended nothing is said.
            memory = shell::memory(self.0.id(), "VmHWM").map_or(memory, |most| most as f64);
            looks.extend(shell::memory(self.0.id(), "VmRSS").map(|now| now as f64).ok());
            let_pass(STEP);
        };
        let text = fs::read(talk)?;
        let lines = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
        Ok(Seen { ended, seconds: watch.seconds(), memory, looks, lines })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Ended already, unless something failed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
