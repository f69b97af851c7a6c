//! What must not stand in any file: words with a better one, marks of unfinished work, paths of somebody's machine, data.

use super::{File, Finding};
use crate::shell::root;

/// Marks in code, each with the reason. Split so that this file does not find itself.
const BANNED: [(&str, &str); 7] = [
    (concat!("todo", "!("), "finish it, or leave it out"),
    (concat!("unimpl", "emented!("), "finish it, or leave it out"),
    (concat!("#[ign", "ore"), "assert what is so, or delete the test"),
    (concat!("thread::", "sleep"), "wait for a condition with a deadline"),
    (concat!("FIX", "ME"), "fix it, or write a decision record"),
    (concat!("TO", "DO"), "do it, or write a decision record"),
    (concat!("XX", "X "), "say what is wrong"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 5] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("C:\\", "Users")];

/// Data belongs here and nowhere else.
const DATA_FOLDERS: [&str; 3] = ["examples/data/", "/tests/", "Cargo.lock"];
const FILE_BYTES_MAX: usize = 128 * 1024;

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let words = std::fs::read_to_string(root().join("xtask/tidy-words.txt")).unwrap_or_default();
    let words: Vec<_> = words.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = ")).collect();
    files.iter().flat_map(|file| check_file(file, &words)).collect()
}

fn check_file(file: &File, words: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let path = &file.path;
    if file.bytes > FILE_BYTES_MAX && !DATA_FOLDERS.iter().any(|folder| path.contains(folder)) {
        findings.push(format!("{path}: {} bytes: data and fetched text belong in no commit", file.bytes));
    }
    if path.ends_with("/mod.rs") {
        findings.push(format!("{path}: name the file after its module"));
    }
    if path == "xtask/tidy-words.txt" || path.starts_with("examples/data/") || path == "Cargo.lock" {
        return findings;
    }
    for (index, line) in file.text.lines().enumerate() {
        let mut say = |what: String| findings.push(format!("{path}:{}: {what}", index + 1));
        for start in MACHINE_PATHS.iter().filter(|start| machine_path(line, start)) {
            say(format!("a path of one machine ({start}…)"));
        }
        let lower = line.to_lowercase();
        for (word, better) in words.iter().filter(|(word, _)| holds_word(&lower, word)) {
            say(format!("`{word}`: the word is {better}"));
        }
        if file.is("rs") {
            for (mark, why) in BANNED.iter().filter(|(mark, _)| line.contains(mark)) {
                say(format!("`{mark}`: {why}"));
            }
        }
    }
    findings
}

/// Whether a path starts here, and not in the middle of another (`docs/work/…` is none).
fn machine_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "./-_*)}".contains(c)))
}

fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let is_part = before.is_some_and(char::is_alphanumeric) || after.is_some_and(|c| c.is_alphanumeric() && c != 's');
        !is_part && !is_method_call(line, at)
    })
}

/// Whether the word is in the name of a method that is called here. Whoever defined it chose the word: a library, or we, and
/// then it is found where it is defined.
fn is_method_call(line: &str, at: usize) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line[..at].trim_end_matches(is_name).ends_with('.') && line[at..].trim_start_matches(is_name).starts_with('(')
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check_one(path: &str, text: &str, wanted: usize) {
        let found = check_file(&file(path, text), &[("wibble", "wobble")]);
        assert_eq!(found.len(), wanted, "{found:?}");
    }

    #[test]
    fn words_marks_and_machine_paths_are_found() {
        check_one("a.md", "The WIBBLE.", 1);
        check_one("a.md", "awibbleb", 0);
        check_one("a.rs", "library.fetch_wibbles(topic)", 0);
        check_one("a.rs", "fn fetch_wibbles(topic: &str)", 1);
        check_one("a.rs", concat!("// FIX", "ME later"), 1);
        check_one("a.md", concat!("see /ho", "me/me/x"), 1);
        check_one("a.md", concat!("see docs/wo", "rk/x"), 0);
        check_one("src/mod.rs", "//! x", 1);
        check_one("docs/fetched.md", &"x".repeat(200_000), 1);
        check_one("examples/data/set.csv", &"x".repeat(200_000), 0);
    }
}
