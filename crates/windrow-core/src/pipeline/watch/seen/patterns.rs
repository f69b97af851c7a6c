//! Templates of a cluster's addresses as they are shown: what many hosts have in common is one line.

use std::collections::BTreeMap;

use super::Pattern;
use crate::featurize::Shown;

/// Hosts with one path that are one pattern.
const SEVERAL: usize = 3;
/// Years for each id, at most, that are ids as well.
const OFTEN: u64 = 10;

/// What is known of a path.
#[derive(Debug, Default)]
struct OfPath {
    hosts: BTreeMap<String, u64>,
    /// Pages that no host was held for.
    others: u64,
}

/// The patterns of templates with their pages, most frequent first, without shares. Some templates stand for their paths on any site; if the table
/// was full, one page may be in them that is in the template of a host too.
pub(super) fn folded(known: Vec<(Shown, bool, u64)>, was_full: bool) -> Vec<Pattern> {
    let mut of_path: BTreeMap<String, u64> = BTreeMap::new();
    known.iter().for_each(|(shown, _, pages)| *of_path.entry(shown.path.clone()).or_default() += pages);
    let pages_of = |path: &str| of_path.get(path).copied().unwrap_or(0);
    let mut paths: BTreeMap<String, OfPath> = BTreeMap::new();
    for (Shown { host, path, with_ids }, on_any_site, pages) in known {
        // A year alone is a number like others where there are some.
        let path = if pages_of(&with_ids) * OFTEN >= pages_of(&path) { with_ids } else { path };
        let of_path = paths.entry(path).or_default();
        *(if on_any_site { &mut of_path.others } else { of_path.hosts.entry(host).or_default() }) += pages;
    }
    let mut patterns = Vec::new();
    for (path, OfPath { hosts, others }) in paths {
        let held: u64 = hosts.values().sum();
        if hosts.len() >= SEVERAL || others > held {
            let twice = if was_full { (hosts.len() as u64).min(others) } else { 0 };
            let pattern = format!("*{path}");
            patterns.push(Pattern { pattern, hosts: hosts.len().max(1) as u64, pages: held + others - twice, share: 0.0 });
        } else {
            // What came once is no pattern.
            let own = hosts.into_iter().filter(|(_, pages)| *pages > 1);
            let own = own.map(|(host, pages)| Pattern { pattern: host + &path, hosts: 1, pages, share: 0.0 });
            patterns.extend(own);
        }
    }
    patterns.sort_by(|a, b| b.pages.cmp(&a.pages).then_with(|| a.pattern.cmp(&b.pattern)));
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(known: &[(&str, &str, &str, bool, u64)], expected: &[(&str, u64, u64)]) {
        let shown = |it: &(&str, &str, &str, bool, u64)| {
            (Shown { host: it.0.into(), path: it.1.into(), with_ids: it.2.into() }, it.3, it.4)
        };
        let patterns = folded(known.iter().map(shown).collect(), true);
        let found: Vec<_> = patterns.iter().map(|it| (it.pattern.as_str(), it.hosts, it.pages)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn equal_paths_of_several_hosts_are_one() {
        let on = |host| (host, "/p/{id}", "/p/{id}", false, 10);
        check(&[on("a"), on("b")], &[("a/p/{id}", 1, 10), ("b/p/{id}", 1, 10)]);
        check(&[on("a"), on("b"), on("c")], &[("*/p/{id}", 3, 30)]);
        let any = |pages| ("x", "/p/{id}", "/p/{id}", true, pages);
        check(&[on("a"), any(3)], &[("a/p/{id}", 1, 10)]);
        check(&[on("a"), on("b"), any(100)], &[("*/p/{id}", 2, 118)]);
        check(&[any(100)], &[("*/p/{id}", 1, 100)]);
    }

    #[test]
    fn a_year_among_ids_is_one_of_them() {
        let [ids, years] = [("a", "/{id}/x", "/{id}/x", false, 9), ("a", "/{date}/x", "/{id}/x", false, 90)];
        check(&[ids, years], &[("a/{id}/x", 1, 99)]);
        let few = ("a", "/{id}/x", "/{id}/x", false, 8);
        check(&[few, years], &[("a/{date}/x", 1, 90), ("a/{id}/x", 1, 8)]);
        let day = ("a", "/{date}/x", "/{date}/x", false, 9);
        check(&[ids, day], &[("a/{date}/x", 1, 9), ("a/{id}/x", 1, 9)]);
    }
}
