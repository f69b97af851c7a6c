//! A Java process in the background: its pid and its log lie in the rig's folder, so that a later task finds it again.
//!
//! A pid says little: the process may be gone and its number given to another. So a process is ours only while its command line
//! names our file of properties, and nothing is sent to it before that was looked at.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::shell::{shown, wait_for};

/// How long a start or an end may take on a machine that has other work too.
const DEADLINE_S: f64 = 120.0;
/// Lines of a log that an error shows.
const LINES_SHOWN: usize = 25;

/// A role in a rig; its files are called after it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Broker,
    Zookeeper,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Zookeeper => "zookeeper",
        }
    }

    pub(super) fn properties(self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.properties", self.name()))
    }
}

pub(super) struct Process {
    role: Role,
    dir: PathBuf,
    pid: u32,
    /// None of a process that another task started.
    child: Option<Child>,
    /// Where the log of this start begins.
    log_from: u64,
}

impl Process {
    /// Starts a command whose arguments name the role's properties; `apart`, so that it outlives us and our terminal.
    pub(super) fn spawn(mut command: Command, role: Role, dir: &Path, apart: bool) -> Result<Self> {
        let log = dir.join(format!("{}.log", role.name()));
        let log = OpenOptions::new().create(true).append(true).open(&log).with_context(|| log.display().to_string())?;
        let log_from = log.metadata()?.len();
        command.current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if apart {
            command.process_group(0);
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", shown(&command)))?;
        let process = Self { role, dir: dir.to_owned(), pid: child.id(), child: Some(child), log_from };
        std::fs::write(dir.join(format!("{}.pid", role.name())), process.pid.to_string())?;
        Ok(process)
    }

    /// The process that an earlier task started, when it is still there.
    pub(super) fn find(role: Role, dir: &Path) -> Option<Self> {
        let pid = std::fs::read_to_string(dir.join(format!("{}.pid", role.name()))).ok()?.trim().parse().ok()?;
        let process = Self { role, dir: dir.to_owned(), pid, child: None, log_from: 0 };
        process.is_found().then_some(process)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Our own child is asked for its end; another task's is looked up.
    fn is_alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => child.try_wait().is_ok_and(|ended| ended.is_none()),
            None => self.is_found(),
        }
    }

    /// A process that ended has no command line, even while nobody has asked how it ended.
    fn is_found(&self) -> bool {
        let wanted = self.role.properties(&self.dir);
        let line = std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == wanted.as_os_str().as_encoded_bytes())
    }

    /// Waits until the process says that it is ready.
    pub(super) fn wait_until(&mut self, what: &str, mut ready: impl FnMut(&str) -> bool) -> Result<()> {
        let found = wait_for(DEADLINE_S, || {
            if !self.is_alive() {
                bail!("the {} died before it was {what}; its log ends:\n{}", self.role.name(), self.last_lines());
            }
            Ok(ready(&self.log()).then_some(()))
        })?;
        found.with_context(|| {
            format!("the {} is not {what} after {DEADLINE_S} s; its log ends:\n{}", self.role.name(), self.last_lines())
        })
    }

    /// What it wrote since this start.
    fn log(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(self.dir.join(format!("{}.log", self.role.name()))) {
            let _ = file.seek(SeekFrom::Start(self.log_from)).and_then(|_| file.read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }

    /// `kill -9`, and waits until it is gone.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.send(Signal::KILL)?;
        self.wait_for_end()
    }

    /// SIGTERM, and waits until it is gone.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.send(Signal::TERM)?;
        self.wait_for_end()
    }

    pub(super) fn send(&mut self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid)?).context("pid 0 is nobody's")?;
        if self.is_alive()
            && let Err(error) = kill_process(pid, signal)
            && self.is_alive()
        {
            bail!("cannot send {signal:?} to process {}: {error}", self.pid);
        }
        Ok(())
    }

    fn wait_for_end(&mut self) -> Result<()> {
        let gone = wait_for(DEADLINE_S, || Ok((!self.is_alive()).then_some(())))?;
        gone.with_context(|| {
            format!("process {} still lives after {DEADLINE_S} s; its log ends:\n{}", self.pid, self.last_lines())
        })
    }
}
