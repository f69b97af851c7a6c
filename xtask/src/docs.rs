//! `cargo xtask docs`: every command and snippet of README and docs is run, so that none of them lies.
//!
//! Fenced blocks marked `sh`, `console` (lines that begin with `$ `), `python` or `sql` run one after the other, file by file, in an
//! empty folder that has `examples/` in it, with the built program first on PATH. A comment `<!-- not run: why -->` on the line
//! before a block excuses it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::python::{READERS, python};
use crate::shell::{fresh_dir, output, program, root, say, stdout, windrow};

/// A fenced block.
#[derive(Debug, PartialEq)]
struct Snippet {
    line: usize,
    language: String,
    text: String,
}

pub(crate) fn docs() -> Result<()> {
    let windrow = windrow("fast", &[])?;
    let bin = windrow.parent().context("a folder")?;
    let listed = stdout(program("git").args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]))?;
    let (mut run, mut failed) = (0, 0);
    for path in listed.lines() {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_default();
        let snippets = snippets(&text);
        if snippets.is_empty() {
            continue;
        }
        let dir = fresh_dir("docs")?;
        std::os::unix::fs::symlink(root().join("examples"), dir.join("examples"))?;
        for snippet in &snippets {
            run += 1;
            if let Err(error) = run_snippet(snippet, &dir, bin) {
                failed += 1;
                say(format_args!("{path}:{}: {error:#}", snippet.line));
            }
        }
        say(format_args!("{path}: {} snippets", snippets.len()));
    }
    if failed > 0 {
        bail!("docs: {failed} of {run} snippets failed");
    }
    say(format_args!("docs: {run} snippets ran"));
    Ok(())
}

fn snippets(text: &str) -> Vec<Snippet> {
    let mut snippets = Vec::new();
    let (mut excused, mut open): (bool, Option<Snippet>) = (false, None);
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Snippet { line: index + 1, language: language.trim().to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => {
                let runs = |snippet: &Snippet| ["sh", "console", "python", "sql"].contains(&snippet.language.as_str());
                snippets.extend(open.take().filter(|snippet| runs(snippet) && !excused));
                excused = false;
            }
            (Some(snippet), None) if snippet.language == "console" => {
                snippet.text.extend(line.strip_prefix("$ ").map(|command| format!("{command}\n")));
            }
            (Some(snippet), None) => snippet.text.push_str(&format!("{line}\n")),
            (None, None) => excused = line.starts_with("<!-- not run:"),
        }
    }
    snippets
}

fn run_snippet(snippet: &Snippet, dir: &Path, bin: &Path) -> Result<()> {
    let mut command = match snippet.language.as_str() {
        "python" => {
            let mut command = Command::new(python(READERS)?);
            command.args(["-c", &snippet.text]);
            command
        }
        "sql" => {
            let mut command = Command::new(python(READERS)?);
            command.args(["-c", "import sys, duckdb; print(duckdb.sql(sys.argv[1]))", &snippet.text]);
            command
        }
        _ => {
            let mut command = Command::new("bash");
            command.args(["-euo", "pipefail", "-c", &snippet.text]);
            command
        }
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(bin.to_path_buf()).chain(std::env::split_paths(&path));
    command.current_dir(dir).env("PATH", std::env::join_paths(path)?);
    let done = output(&mut command)?;
    if !done.status.success() {
        let (said, talk) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        bail!("ended with {}\n{}{said}{talk}", done.status, snippet.text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippets_are_found_and_excused() {
        let text =
            "# x\n```sh\na\nb\n```\n<!-- not run: why -->\n```sh\nc\n```\n```console\n$ d\noutput\n$ e\n```\n```text\nf\n```\n";
        let snippet = |line, language: &str, text: &str| Snippet { line, language: language.into(), text: text.into() };
        assert_eq!(snippets(text), [snippet(2, "sh", "a\nb\n"), snippet(10, "console", "d\ne\n")]);
    }
}
