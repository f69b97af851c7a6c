//! The house rules as a program: a rule that nothing checks is a wish.
//!
//! Each check looks at the tracked files (or at cargo's metadata, or at `windrow --help`) and returns findings, one line each;
//! `tidy` prints them all and fails when there is one. Exceptions to the size rules stand in `tidy-exceptions.txt` with the exact
//! size they excuse: one that is no longer needed, or could be lower, is a finding too, so the list can only shrink without
//! being noticed.

mod edges;
mod map;
pub(crate) mod sizes;
mod text;
mod verbs;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell::{program, root, say, stdout};

/// A tracked file: its path from the root, with `/`, and its text (empty when it is not UTF-8).
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: usize,
    pub(crate) text: String,
}

impl File {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// Test code: held to fewer rules.
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.contains("/tests/") || self.path.contains("/testing/") || matches!(name, "tests.rs" | "testing.rs")
    }
}

/// One breach of a rule, as `path: what is wrong`.
type Finding = String;

/// Runs all checks.
pub(crate) fn check() -> Result<()> {
    let files = tracked_files()?;
    let exceptions = std::fs::read_to_string(root().join("xtask/tidy-exceptions.txt"))?;
    let checks: [(&str, Vec<Finding>); 6] = [
        ("crate edges", edges::check()?),
        ("sizes", sizes::check(&files, &exceptions)),
        ("text", text::check(&files)),
        ("map", map::check_map(&files)),
        ("links", map::check_links(&files)),
        ("verbs", verbs::check()?),
    ];
    let mut found = 0;
    for (name, findings) in checks {
        for finding in &findings {
            say(format_args!("tidy: {name}: {finding}"));
        }
        found += findings.len();
    }
    if found > 0 {
        bail!("tidy: {found} findings in {} files", files.len());
    }
    say(format_args!("tidy: {} files, nothing to say", files.len()));
    Ok(())
}

/// What git tracks, and what it would track: new files are held to the rules before they are added.
pub(crate) fn tracked_files() -> Result<Vec<File>> {
    let listed = stdout(program("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let full = root().join(path);
        if !full.is_file() {
            continue; // deleted, not yet committed
        }
        let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
        files.push(File { path: path.to_owned(), bytes: bytes.len(), text: String::from_utf8(bytes).unwrap_or_default() });
    }
    Ok(files)
}

#[cfg(test)]
pub(crate) fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), bytes: text.len(), text: text.to_owned() }
}
