//! `cargo xtask measure`: the shape of the code in numbers, so that anyone gets the same ones.
//!
//! A line is any line, blank and comment included. Test code is `#[cfg(test)]` and `#[test]` items, `tests/`, `tests.rs` and
//! `testing`. A function runs from its `fn` line to its closing brace.

use anyhow::Result;

use crate::shell::{root, say};
use crate::tidy::{File, sizes, tracked_files};

#[derive(Default)]
struct Totals {
    lines: usize,
    test_lines: usize,
    doc: usize,
    comment: usize,
    unwraps: usize,
    expects: usize,
    public: usize,
    restricted: usize,
    file_lines: Vec<usize>,
    function_lines: Vec<usize>,
}

pub(crate) fn measure() -> Result<()> {
    let files = tracked_files()?;
    say(format_args!(
        "{:<16} {:>6} {:>6} {:>15} {:>12} {:>6} {:>9} {:>7} {:>7} {:>6}",
        "", "lines", "tests/", "file lines", "fn lines", "> 70", "doc/com.", "unwrap", "expect", "restr."
    ));
    say(format_args!(
        "{:<16} {:>6} {:>6} {:>15} {:>12} {:>6} {:>9} {:>7} {:>7} {:>6}",
        "", "k", "line", "p50/p90/max", "p50/p90/p99", "%", "per k", "per k", "per k", "% pub"
    ));
    for part in ["crates/windrow-core", "crates/windrow-engine", "crates/windrow/", "xtask", "crates/"] {
        let mut totals = Totals::default();
        files.iter().filter(|file| file.path.starts_with(part) && file.path.ends_with(".rs")).for_each(|file| totals.add(file));
        totals.print(if part == "crates/" { "all crates" } else { part.trim_start_matches("crates/").trim_end_matches('/') });
    }
    let lock = std::fs::read_to_string(root().join("Cargo.lock"))?;
    say(format_args!("packages in the lock file: {}", lock.lines().filter(|line| *line == "[[package]]").count()));
    Ok(())
}

impl Totals {
    fn add(&mut self, file: &File) {
        let all = file.text.lines().count();
        if file.is_test() {
            self.test_lines += all;
            return;
        }
        let Some(sizes) = sizes::of(file) else { return };
        self.test_lines += all - sizes.file_lines;
        self.lines += sizes.file_lines;
        self.file_lines.push(sizes.file_lines);
        self.function_lines.extend(sizes.functions.iter().map(|(_, lines)| lines));
        let in_tests = |line: usize| sizes.tests.iter().any(|&(from, to)| (from..=to).contains(&line));
        for (_, line) in file.text.lines().enumerate().filter(|(index, _)| !in_tests(index + 1)) {
            let line = line.trim_start();
            let is_doc = line.starts_with("///") || line.starts_with("//!");
            self.doc += usize::from(is_doc);
            self.comment += usize::from(line.starts_with("//") && !is_doc);
            if !line.starts_with("//") {
                self.unwraps += line.matches(".unwrap()").count();
                self.expects += line.matches(".expect(").count();
                self.public += usize::from(line.starts_with("pub "));
                self.restricted += usize::from(line.starts_with("pub("));
            }
        }
    }

    fn print(mut self, name: &str) {
        self.file_lines.sort_unstable();
        self.function_lines.sort_unstable();
        let at = |sorted: &[usize], share: f64| sorted.get((sorted.len() as f64 * share) as usize).copied().unwrap_or_default();
        let (files, functions) = (&self.file_lines, &self.function_lines);
        let per_k = |n: usize| n as f64 * 1000.0 / self.lines.max(1) as f64;
        let share = |n: usize, of: usize| n as f64 * 100.0 / of.max(1) as f64;
        say(format_args!(
            "{name:<16} {:>6.1} {:>6.2} {:>15} {:>12} {:>6.1} {:>9} {:>7.1} {:>7.1} {:>6.0}",
            self.lines as f64 / 1000.0,
            self.test_lines as f64 / self.lines.max(1) as f64,
            format!("{}/{}/{}", at(files, 0.5), at(files, 0.9), files.last().unwrap_or(&0)),
            format!("{}/{}/{}", at(functions, 0.5), at(functions, 0.9), at(functions, 0.99)),
            share(functions.iter().filter(|&&lines| lines > 70).count(), functions.len()),
            format!("{:.0}/{:.0}", per_k(self.doc), per_k(self.comment)),
            per_k(self.unwraps),
            per_k(self.expects),
            share(self.restricted, self.public + self.restricted),
        ));
    }
}
