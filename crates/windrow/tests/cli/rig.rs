//! A folder and the command in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The 100 original rows.
pub(crate) const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/sample_campaign_data_2023.csv");

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Done {
    /// Exit code.
    pub(crate) code: Option<i32>,
    /// Data.
    pub(crate) out: String,
    /// Talk.
    pub(crate) err: String,
}

impl Done {
    /// Standard output as JSON, one value a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// Standard output as one JSON value.
    pub(crate) fn json(&self) -> Value {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "one object: {}", self.out);
        lines.remove(0)
    }

    /// The same, for a command that went well.
    #[track_caller]
    pub(crate) fn fine(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// The same, for a command that ended with this exit code and error code.
    #[track_caller]
    pub(crate) fn failed(self, exit: i32, code: &str) -> Self {
        assert_eq!(self.code, Some(exit), "{self:?}");
        assert!(self.err.contains(&format!("error[{code}]")), "{self:?}");
        assert!(!self.err.contains('\x1b'), "no colour into a pipe: {self:?}");
        self
    }
}

/// A folder of its own.
pub(crate) struct Rig {
    folder: tempfile::TempDir,
}

impl Rig {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with the sample run into `out`.
    pub(crate) fn with_sample() -> Self {
        let rig = Self::new();
        rig.run(&["run", "--input", SAMPLE, "--out", "out"]).fine();
        rig
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::File::create(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The command, not yet started, without the settings of whoever runs the tests.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windrow"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WINDROW")) {
            command.env_remove(name);
        }
        command
    }

    /// Runs the command.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        done(&mut self.command(args))
    }

    /// Files of an output folder, sorted.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Runs a prepared command.
pub(crate) fn done(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs a line that a person would paste into a shell.
pub(crate) fn paste(rig: &Rig, line: &str) -> Done {
    let folder = Path::new(env!("CARGO_BIN_EXE_windrow")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).env("PATH", path).stdin(Stdio::null()).current_dir(rig.path(""));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WINDROW")) {
        shell.env_remove(name);
    }
    done(&mut shell)
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
