//! Which crate may use which. A new edge is an architecture change: it is made here and in ARCHITECTURE.md, or not at all.

use anyhow::Result;
use serde::Deserialize;

use super::Finding;
use crate::shell::{cargo, stdout};

/// The edges there are.
const EDGES: [(&str, &str); 4] = [
    ("windrow", "windrow-engine"),
    ("windrow", "windrow-core"),
    ("windrow-engine", "windrow-core"),
    ("windrow-python", "windrow-core"),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// There for a dependency on a folder.
    path: Option<String>,
}

pub(super) fn check() -> Result<Vec<Finding>> {
    let text = stdout(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    Ok(findings(&serde_json::from_str(&text)?))
}

fn findings(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let edge = (package.name.as_str(), dependency.name.as_str());
            if !EDGES.contains(&edge) {
                findings.push(format!("{} must not depend on {}", edge.0, edge.1));
            }
        }
    }
    findings.dedup();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, wanted: usize) {
        let text = format!(
            r#"{{"packages":[{{"name":"{from}","dependencies":[{{"name":"{to}","path":"/x"}},{{"name":"serde"}}]}}]}}"#
        );
        assert_eq!(findings(&serde_json::from_str(&text).unwrap()).len(), wanted);
    }

    #[test]
    fn an_edge_against_the_flow_is_found() {
        check("windrow", "windrow-engine", 0);
        check("windrow-core", "windrow-engine", 1);
        check("windrow-python", "windrow-core", 0);
        check("windrow-python", "windrow-engine", 1);
        check("xtask", "windrow-core", 1);
    }
}
