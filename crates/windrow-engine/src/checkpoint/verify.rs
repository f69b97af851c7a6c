//! Whether the bytes on disk are those that were committed.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{Reading, snapshots};
use crate::error::Result;

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
pub fn verify(reading: &Reading) -> Result<Vec<Finding>> {
    let mut findings = vec![Finding { what: "manifest", name: "files.json".into(), problem: None }];
    for entry in &reading.manifest.snapshots {
        let problem = match snapshots::read(&reading.layout.snapshots().join(&entry.name)) {
            Ok(model) if snapshots::hash(&model) == entry.model => None,
            Ok(_) => Some("it is not the snapshot that was committed".to_owned()),
            Err(error) => Some(error.causes.first().cloned().unwrap_or(error.message)),
        };
        findings.push(Finding { what: "snapshot", name: entry.name.clone(), problem });
    }
    for file in reading.manifest.all_files(&reading.layout.history())? {
        let path = reading.layout.out.join(file.family.folder()).join(&file.name);
        let problem = match checksum(&path) {
            Ok(found) if found == file.crc32 => None,
            Ok(_) => Some("its checksum does not fit its bytes".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        findings.push(Finding { what: file.family.folder(), name: file.name, problem });
    }
    Ok(findings)
}

fn checksum(path: &Path) -> std::io::Result<u32> {
    let mut file = File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&piece[..read]),
        }
    }
}
