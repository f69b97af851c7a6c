//! Pages about the program say what the program says.

use std::collections::BTreeSet;
use std::path::Path;

use crate::rig::root;

/// Every `"E-…"` in the sources below `folder`, tests left out.
fn codes_in(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            codes_in(&path, codes);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = std::fs::read_to_string(&path).unwrap();
            let source = text.split("#[cfg(test)]").next().unwrap();
            codes.extend(source.split("\"E-").skip(1).filter_map(|rest| Some(format!("E-{}", rest.split_once('"')?.0))));
        }
    }
}

#[test]
fn every_error_code_is_documented_and_no_other() {
    let mut codes = BTreeSet::new();
    for part in ["windrow", "windrow-engine", "windrow-core"] {
        codes_in(&root().join("crates").join(part).join("src"), &mut codes);
    }
    assert!(codes.len() > 30, "{codes:?}");
    let page = std::fs::read_to_string(root().join("docs/reference/errors.md")).unwrap();
    let listed = page.lines().filter_map(|line| line.strip_prefix("| E-")?.split_once(" |"));
    let documented: BTreeSet<String> =
        listed.flat_map(|(first, _)| format!("E-{first}").split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(codes, documented, "docs/reference/errors.md");
}
