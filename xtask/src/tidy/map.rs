//! The map: ARCHITECTURE.md names every folder and stays short; links in the docs lead somewhere.

use std::collections::BTreeSet;
use std::path::Path;

use super::{File, Finding};
use crate::shell::root;

const MAP: &str = "ARCHITECTURE.md";
const MAP_LINES_MAX: usize = 300;

pub(super) fn check_map(files: &[File]) -> Vec<Finding> {
    let Some(map) = files.iter().find(|file| file.path == MAP) else {
        return vec![format!("{MAP} is missing")];
    };
    let mut findings = Vec::new();
    let lines = map.text.lines().count();
    if lines > MAP_LINES_MAX {
        findings.push(format!("{MAP}: {lines} lines, at most {MAP_LINES_MAX}"));
    }
    findings.extend(
        folders(files)
            .into_iter()
            .filter(|folder| !names(&map.text, folder))
            .map(|folder| format!("{MAP} does not name the folder {folder}/")),
    );
    findings
}

/// Every folder that holds a tracked file, and the folders above it. `src` is where cargo wants it and says nothing; what lies in
/// the folder of a stage is in that stage's module doc.
fn folders(files: &[File]) -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for file in files {
        for folder in Path::new(&file.path).ancestors().skip(1) {
            let folder = folder.to_string_lossy();
            let inside = folder.split_once("/src/").is_some_and(|(_, inside)| inside.contains('/'));
            if !folder.is_empty() && !folder.ends_with("/src") && !inside {
                folders.insert(folder.into_owned());
            }
        }
    }
    folders
}

/// A folder is named by its path, by its last part written as `part/`, or, inside `src`, as the stage that has its name.
fn names(map: &str, folder: &str) -> bool {
    let last = folder.rsplit('/').next().unwrap_or(folder);
    let stage = folder.contains("/src/") && map.split([' ', ',', '\n', '(', ')']).any(|word| word == last);
    stage
        || map.contains(&format!("{folder}/"))
        || [' ', '`', '('].iter().any(|before| map.contains(&format!("{before}{last}/")))
}

/// Relative links of Markdown files, and their anchors.
pub(super) fn check_links(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is("md")) {
        for link in links(&file.text) {
            if let Some(wrong) = broken(&file.path, link) {
                findings.push(format!("{}: {link}: {wrong}", file.path));
            }
        }
    }
    findings
}

/// Targets of `[text](target)` outside fenced code.
fn links(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let targets = line.match_indices("](").map(|(at, _)| &line[at + 2..]);
            links.extend(targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target));
        }
    }
    links
}

fn broken(from: &str, link: &str) -> Option<&'static str> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() {
        root().join(from)
    } else {
        root().join(Path::new(from).parent().unwrap_or(Path::new(""))).join(path)
    };
    if !target.exists() {
        return Some("no such file");
    }
    if anchor.is_empty() {
        return None;
    }
    let text = std::fs::read_to_string(target).unwrap_or_default();
    (!text.lines().any(|line| line.starts_with('#') && slug(line) == anchor)).then_some("no such heading")
}

/// A heading's anchor, as GitHub makes it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter_map(|c| if c == ' ' { Some('-') } else { (c.is_alphanumeric() || "-_".contains(c)).then_some(c) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_folder_that_the_map_does_not_name_is_found() {
        let tree = |map| [file(MAP, map), file("crates/a/src/b/c.rs", ""), file("crates/a/src/b/d/e.rs", "")];
        assert_eq!(check_map(&tree("`crates/`, `a/`, (b)")), Vec::<String>::new());
        assert_eq!(check_map(&tree("`crates/`, `a/`")).len(), 1);
        assert_eq!(check_map(&tree(&"crates/a/src/b/\n".repeat(301))).len(), 1);
        assert_eq!(check_map(&[]).len(), 1);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(links("a [b](c.md) d [e](f#g)\n```\n[x](y)\n```"), ["c.md", "f#g"]);
        assert_eq!(broken("README.md", "Cargo.toml"), None);
        assert_eq!(broken("README.md", "docs/none.md"), Some("no such file"));
        assert_eq!(broken("README.md", "README.md#no-such"), Some("no such heading"));
        assert_eq!(broken("README.md", "https://example.org"), None);
        assert_eq!(slug("## Add a source: how, and *why*"), "add-a-source-how-and-why");
    }
}
