//! What every task needs: where the workspace lies, how to run a program, how to speak, how long it took.
//!
//! A missing program is named together with what it is for; outside the target folder nothing is installed but packages of Debian that a suite needs.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the workspace").to_path_buf()
}

/// The target folder: `CARGO_TARGET_DIR`, or `target` in the workspace.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A folder of our own under the target folder, made when absent.
pub(crate) fn work_dir(name: &str) -> Result<PathBuf> {
    let dir = target().join("xtask").join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// The same folder, emptied first.
pub(crate) fn fresh_dir(name: &str) -> Result<PathBuf> {
    let dir = target().join("xtask").join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    work_dir(name)
}

/// Waits until nobody else makes what has this name, and keeps others waiting as long as the file is held: suites run beside each other.
pub(crate) fn alone(what: &str) -> Result<File> {
    let lock = File::create(work_dir("locks")?.join(what))?;
    lock.lock()?;
    Ok(lock)
}

/// A file of the shared data sets, which lie beside the checkout where they are at hand at all.
pub(crate) fn shared_data(file: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data").join(file);
    path.exists().then(|| path.canonicalize().unwrap_or(path))
}

/// Writes one line to standard output.
pub(crate) fn say(line: impl Display) {
    // A reader that went away is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes one line to standard error: talk beside an output that programs read.
pub(crate) fn talk(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Looks again and again until there is an answer; none after the deadline.
pub(crate) fn wait_for<T>(deadline_s: f64, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let watch = Watch::start();
    loop {
        let found = look()?;
        if found.is_some() || watch.seconds() > deadline_s {
            return Ok(found);
        }
        let_pass(Duration::from_millis(50));
    }
}

/// Lets time pass: as waiting for somebody who never calls.
pub(crate) fn let_pass(time: Duration) {
    let (_open, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// A stop watch.
pub(crate) struct Watch(Instant);

impl Watch {
    #[expect(clippy::disallowed_methods, reason = "tasks measure; nothing here is tested by the clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A line of what the kernel says of a process' memory, such as `VmRSS` (now) or `VmHWM` (the most ever), in bytes.
pub(crate) fn memory(pid: u32, line: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|there| there.strip_prefix(line)?.strip_prefix(':'));
    let kibibytes: u64 = found.with_context(|| format!("no {line}"))?.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes << 10)
}

/// Processor seconds that a process has used, for itself and in the kernel.
pub(crate) fn processor_s(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// A program that runs in the workspace's root.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command with our own output; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| missing(command))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and keeps what it wrote, whatever its exit code.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| missing(command))
}

/// Runs a command and gives its standard output; an exit code other than 0 is an error that shows what it said.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!("{} ended with {}\n{}", shown(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command, passes its standard output on line by line, and shows each line to `look`.
pub(crate) fn run_watched(command: &mut Command, mut look: impl FnMut(&str)) -> Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| missing(command))?;
    let pipe = child.stdout.take().expect("the pipe was asked for");
    for line in BufReader::new(pipe).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        look(&line);
        say(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

fn missing(command: &Command) -> String {
    let name = command.get_program().to_string_lossy();
    format!("cannot start `{name}`: is it installed, and on PATH?")
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Installs Debian's packages, where there is Debian and we may; whether it did.
pub(crate) fn install(packages: &[&str]) -> bool {
    say(format_args!("installing {}", packages.join(", ")));
    let apt = |verb: &[&str], packages: &[&str]| {
        let mut command = Command::new("apt-get");
        let done = command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet").args(verb).args(packages).output();
        done.is_ok_and(|done| done.status.success())
    };
    // A fresh machine has no list of packages yet.
    let install = || apt(&["install", "--yes", "--no-install-recommends"], packages);
    install() || apt(&["update"], &[]) && install()
}

/// What every build needs: programs, each with its why.
const BUILD_NEEDS: [(&str, &str); 4] = [
    ("cc", "a C compiler, for zstd and the Kafka client: Debian's package `build-essential`"),
    ("make", "for the Kafka client: Debian's package `build-essential`"),
    ("pkg-config", "finds OpenSSL: Debian's package `pkg-config`"),
    ("git", "for tidy: Debian's package `git`"),
];

/// Fails with what to install when the machine lacks what a build needs, or what else a task needs.
pub(crate) fn check_machine(more: &[(&str, &str)]) -> Result<()> {
    let is_there = |name: &str, args: &[&str]| Command::new(name).args(args).output().is_ok_and(|done| done.status.success());
    let starts = |name: &str| Command::new(name).arg("--version").output().is_ok();
    let lacks = BUILD_NEEDS.iter().chain(more).filter(|(name, _)| !starts(name));
    let mut lacks: Vec<_> = lacks.map(|(name, why)| format!("  {name}: {why}")).collect();
    if starts("pkg-config") && !is_there("pkg-config", &["--exists", "openssl"]) {
        lacks.push("  OpenSSL's headers, for TLS to brokers: Debian's package `libssl-dev`".into());
    }
    if !lacks.is_empty() {
        bail!("this machine lacks:\n{}", lacks.join("\n"));
    }
    Ok(())
}

/// The `windrow` binary, built with profile and features and put where a later build does not replace it.
pub(crate) fn windrow(profile: &str, features: &[&str]) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "windrow", "--profile", profile]);
    let mut name = format!("windrow-{profile}");
    for feature in features {
        build.args(["--features", feature]);
        name = format!("{name}-{feature}");
    }
    // All kinds are built to one place.
    let _alone = alone("windrow")?;
    run(&mut build)?;
    let folder = if profile == "dev" { "debug" } else { profile };
    // A folder for each kind, so that the program is called `windrow` wherever it stands on PATH.
    let kept = work_dir(&format!("bin/{name}"))?.join("windrow");
    // Written aside and renamed: the old file may be running.
    let aside = kept.with_extension("new");
    std::fs::copy(target().join(folder).join("windrow"), &aside)?;
    std::fs::rename(&aside, &kept)?;
    Ok(kept)
}
