//! `windrow clean --profile original` beside pandas, row by row, value by value.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::python::{READERS, script};
use crate::readers::{SAMPLE, SETS};
use crate::shell::{fresh_dir, output, root, say, shared_data, windrow};

/// Every shared set, hostile files and rows by chance; then what must differ, and the memory that it takes.
pub(crate) fn clean() -> Result<()> {
    let (windrow, folder) = (windrow("fast", &[])?, fresh_dir("clean")?);
    let shared: Vec<PathBuf> = SETS.iter().filter_map(|set| shared_data(&format!("{set}.csv.gz"))).collect();
    if shared.len() < SETS.len() {
        say(format_args!("passed over: {} sets are not in ../shared/data", SETS.len() - shared.len()));
    }
    let mut command = script(READERS, "clean.py")?;
    let done = output(command.arg(windrow).arg(folder).arg(root().join(SAMPLE)).args(shared))?;
    say(String::from_utf8_lossy(&done.stdout).trim_end());
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
