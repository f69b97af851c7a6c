//! Pages about the program say what the program says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::rig::{Rig, SAMPLE, root};

/// Every `"E-…"` in the sources below `folder`, tests left out.
fn codes_in(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            codes_in(&path, codes);
        } else if (name.ends_with(".rs") || name.ends_with(".py")) && name != "tests.rs" {
            let text = std::fs::read_to_string(&path).unwrap();
            let source = text.split("#[cfg(test)]").next().unwrap();
            codes.extend(source.split("\"E-").skip(1).filter_map(|rest| Some(format!("E-{}", rest.split_once('"')?.0))));
        }
    }
}

#[test]
fn every_error_code_is_documented_and_no_other() {
    let mut codes = BTreeSet::new();
    for part in ["windrow/src", "windrow-engine/src", "windrow-core/src", "windrow-python/src", "windrow-python/python"] {
        codes_in(&root().join("crates").join(part), &mut codes);
    }
    assert!(codes.len() > 30, "{codes:?}");
    let page = std::fs::read_to_string(root().join("docs/reference/errors.md")).unwrap();
    let listed = page.lines().filter_map(|line| line.strip_prefix("| E-")?.split_once(" |"));
    let documented: BTreeSet<String> =
        listed.flat_map(|(first, _)| format!("E-{first}").split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(codes, documented, "docs/reference/errors.md");
}

/// The fields that docs/reference/json.md lists for each schema.
pub(crate) fn documented_fields() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(root().join("docs/reference/json.md")).unwrap();
    let mut schemas: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut schema = String::new();
    for line in page.lines() {
        if let Some(head) = line.strip_prefix("## ") {
            schema = head.split(':').next().unwrap().to_owned();
        } else if let Some((fields, _)) = line.strip_prefix("| ").and_then(|row| row.split_once(" |"))
            && fields != "field"
        {
            schemas.entry(schema.clone()).or_default().extend(fields.split(", ").map(str::to_owned));
        }
    }
    schemas
}

/// A stream in which a theme changes, so that there is an alarm.
const DRIFTING: &str = "generator:rows=18000,seed=4,broken=0,themes=4,change=narrower,at=12000";

#[test]
fn every_json_field_is_documented_and_no_other() {
    let rig = Rig::with_sample();
    rig.write("labels.csv", "1761259107,a\n1761259407,b\n");
    rig.write("broken.csv", "title,description\nwhole,x\n\"never closed\n");
    let commands = [
        &["run", "--input", SAMPLE, "--out", "out"][..],
        &["clusters", "--out", "out"],
        &["clusters", "show", "0", "--out", "out"],
        &["clusters", "themes", "0", "--out", "out"],
        &["clusters", "pin", "0", "--out", "out"],
        &["clusters", "undo", "--dry-run", "--out", "out"],
        &["run", "--input", "broken.csv", "--out", "broken"],
        &["rejects", "list", "--out", "broken"],
        &["rejects", "show", "--out", "broken"],
        &["rejects", "replay", "--all", "--into", "again", "--out", "broken"],
        &["changes", "--since", "30d", "--out", "out"],
        &["run", "--input", DRIFTING, "--clusters", "12", "--false-alarms", "20", "--out", "drifting"],
        &["changes", "--since", "0", "--out", "drifting"],
        &["clusters", "--out", "drifting"],
        &["explain", "--out", "out", "--id", "1761259107"],
        &["export", "--folder", "out", "--cluster", "0", "--out", "0.csv"],
        &["plot", "map", "--folder", "out", "--out", "map.svg"],
        &["audit", "--input", SAMPLE, "--out", "out"],
        &["eval", "--input", SAMPLE, "--labels", "labels.csv", "--seeds", "2", "--report", "report.json"],
        &["status", "--out", "out"],
        &["state", "inspect", "--out", "out"],
        &["state", "verify", "--out", "out"],
        &["state", "migrate", "--dry-run", "--out", "out"],
        &["state", "alias", "0", "--out", "out"],
        &["clean", "--input", SAMPLE, "--out", "clean.csv", "--rejects", "rejects.csv"],
        &["check", "--input", SAMPLE, "--out", "out"],
        &["config", "show"],
        &["init", "--config", "new.toml"],
        &["version"],
        &["run"],
    ];
    let mut printed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for args in commands {
        for object in rig.run(&[args, &["-o", "json"]].concat()).lines() {
            let Value::Object(fields) = object else { panic!("{args:?}: {object}") };
            let schema = fields["schema"].as_str().unwrap().to_owned();
            printed.entry(schema).or_default().extend(fields.into_iter().map(|(name, _)| name).filter(|name| name != "schema"));
        }
    }
    // What goes into a file.
    let report = std::fs::read_to_string(rig.path("report.json")).unwrap();
    let Value::Object(report) = serde_json::from_str(&report).unwrap() else { panic!("{report}") };
    printed
        .insert("windrow.report/1".into(), report.into_iter().map(|(name, _)| name).filter(|name| name != "schema").collect());
    // What needs a broker is compared by the suites `kafka-topics`, `kafka-produce`, `kafka-messages` and `kafka-verbs`.
    let mut documented = documented_fields();
    // What the server says, by the tests of the server.
    let served = ["now", "map", "timeline", "messages", "domains", "pages", "rejects", "lineage"]
        .map(|name| format!("windrow.{name}/1"));
    let of_topics = [
        "windrow.topic/1",
        "windrow.produce/1",
        "windrow.message/1",
        "windrow.counts/1",
        "windrow.replay/1",
        "windrow.purge/1",
    ];
    for schema in served.into_iter().chain(of_topics.map(str::to_owned)) {
        documented.remove(&schema).expect("it is documented");
    }
    assert_eq!(printed, documented, "docs/reference/json.md");
}
