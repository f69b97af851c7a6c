//! Errors that say what to do.

use std::fmt;
use std::path::Path;

/// What the reader of an error has to do about it. Each kind has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The call or a setting is wrong: mend it (exit code 2).
    Invalid,
    /// The machine refuses: disk, permission, port (exit code 3).
    Environment,
    /// Kafka refuses or cannot be reached (exit code 4).
    Kafka,
    /// Another process owns the pipeline (exit code 5).
    Fenced,
    /// Bytes on disk are not what they should be, or the work failed while running (exit code 1).
    Data,
    /// Our bug (exit code 1).
    Internal,
}

impl ErrorKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Invalid, Self::Environment, Self::Kafka, Self::Fenced, Self::Data, Self::Internal];

    /// The exit code of a command that ends with an error of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Data | Self::Internal => 1,
            Self::Invalid => 2,
            Self::Environment => 3,
            Self::Kafka => 4,
            Self::Fenced => 5,
        }
    }

    /// Whether a service manager should call the same again: disks get room and brokers come back, while a wrong setting, damaged bytes,
    /// a bug (the same rows give the same again) and the other owner stay until somebody does something.
    pub fn is_for_another_try(self) -> bool {
        match self {
            Self::Environment | Self::Kafka => true,
            Self::Invalid | Self::Fenced | Self::Data | Self::Internal => false,
        }
    }
}

/// An error with its code, its causes and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What the reader has to do.
    pub kind: ErrorKind,
    /// Stable code, for example `E-INPUT-COLUMNS`; documented in docs/reference/errors.md.
    pub code: &'static str,
    /// What went wrong, in one sentence without a full stop.
    pub message: String,
    /// What lay below, outermost first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where it is guessed from how a broker behaves: what it is for whom the same settings have worked before.
    pub otherwise: Option<Box<Error>>,
}

/// `text` as one word of a shell, for commands in hints.
pub fn quoted(word: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_safe) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// The words that name an output on a command line.
pub fn place(out: &Path, state: Option<&Path>) -> String {
    let state = state.map(|state| format!(" --state {}", quoted(&state.display().to_string()))).unwrap_or_default();
    format!("--out {}{state}", quoted(&out.display().to_string()))
}

/// Result of everything in the engine.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without cause or hint.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), causes: Vec::new(), hint: None, otherwise: None }
    }

    /// Adds what lay below.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Makes it a guess.
    #[must_use]
    pub(crate) fn or_else(mut self, otherwise: Self) -> Self {
        self.otherwise = Some(Box::new(otherwise));
        self
    }

    /// The same for whom the same settings have worked before.
    pub(crate) fn without_guess(mut self) -> Self {
        self.otherwise.take().map_or(self, |otherwise| *otherwise)
    }

    /// Whether the same may go well later, without anybody doing anything on this side.
    pub(crate) fn may_pass(&self) -> bool {
        // These settings have worked before: a broker that stops ends connections as one does that wants TLS, and the address of one that is
        // down answers nobody, or has no name. An open transaction of somebody else is ended by its producer or by the brokers. Disks are emptied.
        const CODES: [&str; 8] = [
            "E-KAFKA-AGAIN",
            "E-KAFKA-ENDED",
            "E-KAFKA-REACH",
            "E-KAFKA-TLS",
            "E-KAFKA-ADV",
            "E-KAFKA-PARTITIONS",
            "E-KAFKA-HANGING",
            "E-DISK-FULL",
        ];
        CODES.contains(&self.code)
    }

    /// The exit code of a command that ends with this error.
    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        for cause in &self.causes {
            write!(f, "\ncause: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
