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
        match syn::parse_file(&file.text) {
            Ok(parsed) => measure(file, &parsed, &mut sizes),
            Err(error) => findings.push(format!("{}: does not parse: {error}", file.path)),
        }
    }
    findings.extend(judge(&sizes, exceptions));
    findings
}

/// Lines of every file (`path`) and function (`path::name`) outside tests.
fn measure(file: &File, parsed: &syn::File, sizes: &mut BTreeMap<String, (usize, usize)>) {
    let mut visitor = Sizes { path: &file.path, test_lines: 0, sizes };
    visitor.visit_file(parsed);
    let lines = file.text.lines().count() - visitor.test_lines;
    sizes.insert(file.path.clone(), (lines, FILE_LINES_MAX));
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

struct Sizes<'a> {
    path: &'a str,
    test_lines: usize,
    sizes: &'a mut BTreeMap<String, (usize, usize)>,
}

impl Sizes<'_> {
    fn function(&mut self, name: &syn::Ident, from: Span, to: Span) {
        let lines = to.end().line - from.start().line + 1;
        let entry = self.sizes.entry(format!("{}::{name}", self.path)).or_insert((lines, FUNCTION_LINES_MAX));
        entry.0 = entry.0.max(lines);
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

impl<'ast> Visit<'ast> for Sizes<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if for_tests(attributes) {
            let span = item.span();
            self.test_lines += span.end().line - span.start().line + 1;
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
