//! Licences, bans and sources of all dependencies, by the rules of `deny.toml`.
//!
//! `cargo deny` takes minutes to build, and the ready-made one on PyPI is too old for this workspace's metadata. So the daily
//! check makes the same three checks from `cargo metadata` here: it trusts the licence field where cargo-deny reads the licence
//! text. `--tool` builds cargo-deny into the target folder and runs it; `cargo xtask test --full` does so.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::shell::{cargo, program, root, run, say, stdout, target};

const CARGO_DENY: &str = "0.20.2";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build cargo-deny into the target folder and run that
    #[arg(long)]
    pub(crate) tool: bool,
}

#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// None for the workspace's own.
    source: Option<String>,
}

pub(crate) fn check(args: &Args) -> Result<()> {
    if args.tool {
        return run_tool();
    }
    let rules: Rules = toml::from_str(&std::fs::read_to_string(root().join("deny.toml"))?).context("deny.toml")?;
    let platform = rules.graph.targets.first().context("deny.toml names no target")?;
    let metadata = ["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", platform];
    let metadata: Metadata = serde_json::from_str(&stdout(cargo().args(metadata))?)?;
    let packages = in_use(metadata);
    let findings = findings(&rules, &packages);
    for finding in &findings {
        say(format_args!("deny: {finding}"));
    }
    if !findings.is_empty() {
        bail!("deny: {} findings in {} packages", findings.len(), packages.len());
    }
    say(format_args!("deny: {} packages, licences, bans and sources as deny.toml wants them", packages.len()));
    Ok(())
}

/// The packages that the workspace really builds: the lock file also holds those of features that nobody asked for.
fn in_use(metadata: Metadata) -> Vec<Package> {
    let edges: BTreeMap<&str, &[String]> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node.dependencies.as_slice())).collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<&str> = metadata.workspace_members.iter().map(String::as_str).collect();
    while let Some(id) = left.pop() {
        if seen.insert(id) {
            left.extend(edges.get(id).into_iter().flat_map(|edges| edges.iter()).map(String::as_str));
        }
    }
    metadata.packages.into_iter().filter(|package| seen.contains(package.id.as_str())).collect()
}

fn run_tool() -> Result<()> {
    let tools = target().join("tools");
    let tool = tools.join("bin/cargo-deny");
    if !tool.exists() {
        say("building cargo-deny into the target folder: some minutes, once");
        run(cargo().args(["install", "cargo-deny", "--locked", "--version", CARGO_DENY, "--root"]).arg(&tools))?;
    }
    run(program(tool).args(["check", "bans", "licenses", "sources"]))
}

fn findings(rules: &Rules, packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let Package { name, version, license, source, .. } = package;
        versions.entry(name).or_default().insert(version);
        if !license.as_deref().is_some_and(|license| allowed(license, &rules.licenses.allow)) {
            findings.push(format!("{name} {version}: licence {}", license.as_deref().unwrap_or("not stated")));
        }
        if rules.bans.deny.iter().any(|banned| banned.name == *name) {
            findings.push(format!("{name} {version}: banned"));
        }
        let known = |source: &String| rules.sources.allow_registry.iter().any(|url| source.ends_with(url.as_str()));
        if source.as_ref().is_some_and(|source| !known(source)) {
            findings.push(format!("{name} {version}: comes from {}", source.as_deref().unwrap_or_default()));
        }
    }
    for (name, versions) in &versions {
        let skipped = rules.bans.skip.iter().any(|skip| skip.name.split('@').next() == Some(name));
        match (versions.len(), skipped) {
            (2.., false) => findings.push(format!("{name}: {} versions ({versions:?})", versions.len())),
            (1, true) => findings.push(format!("{name}: one version only: take it out of `skip`")),
            _ => {}
        }
    }
    findings
}

/// Whether a licence expression can be met from the allowed ones.
fn allowed(expression: &str, allow: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any_of(&mut rest, allow);
    met && rest.is_empty()
}

fn any_of(words: &mut &[&str], allow: &BTreeSet<String>) -> bool {
    let mut met = all_of(words, allow);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        met |= all_of(words, allow);
    }
    met
}

fn all_of(words: &mut &[&str], allow: &BTreeSet<String>) -> bool {
    let mut met = one(words, allow);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        met &= one(words, allow);
    }
    met
}

fn one(words: &mut &[&str], allow: &BTreeSet<String>) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let met = any_of(words, allow);
            *words = words.strip_prefix(&[")"]).unwrap_or(&["unbalanced"]);
            met
        }
        // An exception only adds permissions.
        [name, "WITH", _, rest @ ..] | [name, rest @ ..] => {
            *words = rest;
            allow.contains(*name)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let text = "[graph]\ntargets=['x']\n[licenses]\nallow=['MIT','Zlib']\n[bans]\ndeny=[{crate='evil'}]\nskip=[{crate='twice'}]\n\
                    [sources]\nallow-registry=['https://good']";
        toml::from_str(text).unwrap()
    }

    fn package(name: &str, version: &str, license: &str, source: &str) -> Package {
        Package {
            id: String::new(),
            name: name.into(),
            version: version.into(),
            license: Some(license.into()),
            source: Some(source.into()),
        }
    }

    #[test]
    fn licence_expressions() {
        let allow = rules().licenses.allow;
        for (expression, wanted) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("(GPL-3.0 OR Zlib) AND MIT", true),
            ("(GPL-3.0 OR BSD) AND MIT", false),
            ("MIT WITH LLVM-exception OR GPL-3.0", true),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(allowed(expression, &allow), wanted, "{expression}");
        }
    }

    #[test]
    fn each_breach_is_found() {
        let good = "registry+https://good";
        let check = |packages: &[Package]| findings(&rules(), packages).len();
        let twice = || vec![package("twice", "1.0", "MIT", good), package("twice", "2.0", "MIT", good)];
        assert_eq!(check(&twice()), 0);
        for broken in [
            package("a", "1.0", "GPL-3.0", good),
            package("evil", "1.0", "MIT", good),
            package("a", "1.0", "MIT", "git+https://bad"),
        ] {
            let mut packages = twice();
            packages.push(broken);
            assert_eq!(check(&packages), 1);
        }
        assert_eq!(check(&[package("a", "1.0", "MIT", good), package("a", "2.0", "MIT", good)]), 1);
        assert_eq!(check(&[package("twice", "1.0", "MIT", good)]), 1, "a skip that is not needed");
    }
}
