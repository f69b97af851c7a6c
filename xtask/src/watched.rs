//! A run that is looked at from outside while it goes on: how much memory it takes, and what it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell::{Watch, let_pass, shown};

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
    /// The lines that it said.
    pub(crate) lines: Vec<String>,
}

/// A run in the background; it is ended when dropped.
struct Watched(Child);

/// Runs a command to its end, and looks at it; what it says goes to the file `talk`, what it prints nowhere.
pub(crate) fn watch(command: &mut Command, talk: &Path) -> Result<Seen> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(talk)?).spawn();
    let mut run = Watched(child.with_context(|| shown(command))?);
    let (watch, mut memory) = (Watch::start(), 0.0);
    let ended = loop {
        if let Some(ended) = run.0.try_wait()? {
            break ended;
        }
        if watch.seconds() > END_S {
            bail!("the run does not end within {END_S} s");
        }
        memory = run.memory().unwrap_or_default().max(memory);
        let_pass(STEP);
    };
    let text = fs::read(talk)?;
    let lines = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    Ok(Seen { ended, seconds: watch.seconds(), memory, lines })
}

impl Watched {
    /// The most that it ever had; none once the process is gone.
    fn memory(&self) -> Option<f64> {
        let status = fs::read_to_string(PathBuf::from(format!("/proc/{}/status", self.0.id()))).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Ended already, unless something failed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
