//! Whether the bytes on disk are those that were committed. Needs the manifest only, so that a damaged snapshot is a finding.

use super::files::checksum;
use super::manifest::SnapshotEntry;
use super::{Committed, Layout, snapshots};
use crate::error::Result;
use crate::sink::PublishedFile;
use crate::sink::parquet::open_published;

/// What a look at one file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Kind of file: `manifest`, `snapshot`, or the folder of its family.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// What is wrong with it; none when it is whole.
    pub problem: Option<String>,
}

/// Checks snapshots and published files against the checksums in the manifest (which was checked when it was read).
pub fn verify(committed: &Committed) -> Result<Vec<Finding>> {
    let mut findings = vec![Finding { what: "manifest", name: "files.json".into(), problem: None }];
    for (entry, problem) in look_at_snapshots(committed)? {
        findings.push(Finding { what: "snapshot", name: entry.name.clone(), problem });
    }
    for file in committed.manifest.all_files(&committed.layout.history())? {
        let problem = file_problem(committed, &file);
        findings.push(Finding { what: file.family.folder(), name: file.name, problem });
    }
    Ok(findings)
}

/// The snapshots, oldest first, each with what is wrong with it. Those that a running pipeline has passed by are left out.
pub fn look_at_snapshots(committed: &Committed) -> Result<Vec<(&SnapshotEntry, Option<String>)>> {
    let mut seen = Vec::new();
    for entry in &committed.manifest.snapshots {
        let problem = snapshot_problem(&committed.layout, entry);
        if problem.is_none() || committed.still_names(entry)? {
            seen.push((entry, problem));
        }
    }
    Ok(seen)
}

/// What is wrong with a snapshot.
pub(super) fn snapshot_problem(layout: &Layout, entry: &SnapshotEntry) -> Option<String> {
    match snapshots::read(&layout.snapshots().join(&entry.name)) {
        Ok(model) if snapshots::hash(&model) == entry.model => None,
        Ok(_) => Some("it is not the snapshot that was committed".to_owned()),
        Err(error) => Some(error.causes.first().cloned().unwrap_or(error.message)),
    }
}

fn file_problem(committed: &Committed, file: &PublishedFile) -> Option<String> {
    match open_published(&committed.layout.out, file.family, &file.name).and_then(checksum) {
        Ok(found) if found == (file.bytes, file.crc32) => None,
        Ok(_) => Some("its checksum does not fit its bytes".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}
