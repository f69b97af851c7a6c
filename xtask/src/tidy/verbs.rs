//! The verbs that `windrow --help` lists are the verbs that the plan has, as far as they are built.

use anyhow::{Context, Result};

use super::Finding;
use crate::shell::root;

/// What `windrow --help` prints, as the crate's own tests hold it to the program: nothing is built for this.
const HELP: &str = "crates/windrow/tests/cli/help/windrow.txt";

/// Verbs built so far. A new verb is a decision: it is added here, to docs/reference/verbs.md and to the program.
const BUILT: [&str; 23] = [
    "demo",
    "run",
    "clusters",
    "changes",
    "tail",
    "rejects",
    "explain",
    "export",
    "plot",
    "status",
    "serve",
    "audit",
    "eval",
    "state",
    "topics",
    "produce",
    "clean",
    "check",
    "init",
    "config",
    "completions",
    "man",
    "version",
];

pub(super) fn check() -> Result<Vec<Finding>> {
    let help = std::fs::read_to_string(root().join(HELP)).with_context(|| format!("cannot read {HELP}"))?;
    Ok(findings(&help))
}

fn findings(help: &str) -> Vec<Finding> {
    let listed = verbs(help);
    let unplanned = listed.iter().filter(|verb| !BUILT.contains(verb)).map(|verb| format!("{verb}: not in the plan"));
    let missing = BUILT.iter().filter(|verb| !listed.contains(verb)).map(|verb| format!("{verb}: not in `windrow --help`"));
    unplanned.chain(missing).collect()
}

/// First words of the lines below `Commands:`.
fn verbs(help: &str) -> Vec<&str> {
    let below = help.lines().skip_while(|line| line.trim() != "Commands:").skip(1);
    let listed =
        below.take_while(|line| !line.trim().is_empty()).filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    listed.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_too_many_and_a_verb_too_few_are_found() {
        let list: String = BUILT.iter().map(|verb| format!("  {verb}  does it\n          at length\n")).collect();
        let help = format!("Usage: x\n\nCommands:\n{list}  help  tells\n\nOptions:\n  -h\n");
        assert_eq!(findings(&help), Vec::<String>::new());
        assert_eq!(findings(&help.replace("  eval ", "  evil ")).len(), 2);
    }
}
