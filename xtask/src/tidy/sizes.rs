//! Files of at most 600 lines and functions of at most 70, tests aside; a module doc on top of each file.

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{File, Finding};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

pub(super) fn check(files: &[File], exceptions: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut sizes = BTreeMap::new();
    for file in files.iter().filter(|file| file.is("rs")) {
        if file.is_test() {
            continue;
        }
        if !file.text.lines().find(|line| !line.starts_with("#!")).is_some_and(|line| line.starts_with("//!")) {
            findings.push(format!("{}: no module doc (`//!`) on top", file.path));
        }
        let Some(measured) = of(file) else {
            findings.push(format!("{}: does not parse", file.path));
            continue;
        };
        sizes.insert(file.path.clone(), (measured.file_lines, FILE_LINES_MAX));
        for (name, lines) in measured.functions {
            let longest = sizes.entry(format!("{}::{name}", file.path)).or_insert((lines, FUNCTION_LINES_MAX));
            longest.0 = longest.0.max(lines);
        }
    }
    findings.extend(judge(&sizes, exceptions));
    findings
}

/// The sizes of one file outside its tests.
pub(crate) struct FileSizes {
    /// Lines outside tests.
    pub(crate) file_lines: usize,
    /// First and last line of each piece of test code.
    pub(crate) tests: Vec<(usize, usize)>,
    /// Functions outside tests, with their lines.
    pub(crate) functions: Vec<(String, usize)>,
}

/// Measures a file; none when it does not parse.
pub(crate) fn of(file: &File) -> Option<FileSizes> {
    let parsed = syn::parse_file(&file.text).ok()?;
    let mut sizes = FileSizes { file_lines: file.text.lines().count(), tests: Vec::new(), functions: Vec::new() };
    sizes.visit_file(&parsed);
    sizes.file_lines -= sizes.tests.iter().map(|(from, to)| to - from + 1).sum::<usize>();
    Some(sizes)
}

/// Compares with the limits and with the exceptions (`name lines`, one a line).
fn judge(sizes: &BTreeMap<String, (usize, usize)>, exceptions: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut excused = BTreeMap::new();
    for line in exceptions.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(' ').and_then(|(name, lines)| Some((name, lines.parse::<usize>().ok()?))) {
            Some((name, lines)) => drop(excused.insert(name, lines)),
            None => findings.push(format!("tidy-exceptions.txt: not `name lines`: {line}")),
        }
    }
    for (name, &(lines, most)) in sizes {
        match excused.remove(name.as_str()) {
            None if lines > most => findings.push(format!("{name}: {lines} lines, at most {most}")),
            Some(granted) if lines > granted => findings.push(format!("{name}: {lines} lines, excused are {granted}")),
            Some(_) if lines <= most => findings.push(format!("{name}: {lines} lines need no exception: take it out")),
            Some(granted) if lines < granted => {
                findings.push(format!("{name}: {lines} lines: lower the exception from {granted}"));
            }
            _ => {}
        }
    }
    findings.extend(excused.keys().map(|name| format!("{name}: an exception for what is not there: take it out")));
    findings
}

impl FileSizes {
    fn function(&mut self, name: &syn::Ident, from: Span, to: Span) {
        self.functions.push((name.to_string(), to.end().line - from.start().line + 1));
    }
}

/// `#[test]`, `#[cfg(test)]` and their like.
fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string().contains("test")))
    })
}

impl<'ast> Visit<'ast> for FileSizes {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if for_tests(attributes) {
            let span = item.span();
            self.tests.push((span.start().line, span.end().line));
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, item.sig.span(), item.block.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, item.sig.span(), item.block.span());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig.ident, item.sig.span(), block.span());
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check_one(text: &str, exceptions: &str, wanted: &[&str]) {
        let found = check(&[file("a.rs", text)], exceptions);
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(found.contains(wanted), "{found}");
        }
    }

    fn long_function(attribute: &str) -> String {
        format!("//! Doc.\n{attribute}\nfn long() {{\n{}}}\n", "    f();\n".repeat(69))
    }

    #[test]
    fn a_long_function_is_found_unless_excused_or_a_test() {
        check_one(&long_function(""), "", &["a.rs::long: 71 lines, at most 70"]);
        check_one(&long_function(""), "a.rs::long 71", &[]);
        check_one(&long_function("#[test]"), "", &[]);
        check_one(&long_function("#[cfg(test)]"), "", &[]);
    }

    #[test]
    fn the_list_of_exceptions_may_only_shrink() {
        check_one(&long_function(""), "a.rs::long 80", &["lower the exception"]);
        check_one(&long_function(""), "a.rs::long 70", &["excused are 70"]);
        check_one("//! Doc.\nfn short() {}\n", "a.rs::short 71\nb.rs 601", &["need no exception", "not there"]);
    }

    #[test]
    fn a_long_file_and_a_bare_file_are_found() {
        let long = format!("//! Doc.\n{}", "const A: u8 = 0;\n".repeat(600));
        check_one(&long, "", &["a.rs: 601 lines"]);
        let tests = format!("//! Doc.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 0;\n".repeat(600));
        check_one(&tests, "", &[]);
        check_one("fn f() {}\n", "", &["no module doc"]);
    }
}
