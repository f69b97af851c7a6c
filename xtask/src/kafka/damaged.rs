//! Snapshots of the model that are damaged, of a pipeline with topics: what is committed stays committed. An older snapshot is taken, or none,
//! and what was learnt since is learnt again with topics and Parquet closed; no page comes twice.

use anyhow::{Context, Result, ensure};

use super::Rig;
use super::run::{CLUSTERS, Pipeline};
use super::verbs::Found;
use crate::shell::output;

/// The newest pages of which it is held where they stand.
const LAST: usize = 20;

/// A pipeline with small rolls, whose topics are made and whose input is not read yet.
pub(super) fn damaged(rig: &Rig, pipeline: &Pipeline) -> Result<()> {
    pipeline.killed_at("after-commit", 4)?;
    // Epochs that no roll holds, behind a snapshot that will be damaged.
    pipeline.killed_at("kafka-after-commit", 2)?;
    damage(pipeline, 1)?;
    mends(pipeline, "restored from commit").context("between rolls")?;
    pipeline.audited(&pipeline.delivered_in_slots()?)?;

    for (snapshots, told) in [(1, "restored from commit"), (usize::MAX, "made anew")] {
        let before = Found::read(rig, &format!("{}_", pipeline.name()), LAST)?;
        damage(pipeline, snapshots)?;
        mends(pipeline, told)?;
        let after = Found::read(rig, &format!("{}_", pipeline.name()), LAST)?;
        ensure!(after == before && after.total() > 0, "{CLUSTERS} topics held {before:?}, and hold {after:?}");
        pipeline.audited(&pipeline.delivered_in_slots()?)?;
    }
    Ok(())
}

/// Turns a byte in the middle of the newest so many snapshots.
fn damage(pipeline: &Pipeline, snapshots: usize) -> Result<()> {
    let folder = std::fs::read_dir(pipeline.out().join(".windrow/snapshots"))?;
    let mut paths = folder.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    ensure!(paths.len() > 1, "one snapshot is no choice: {paths:?}");
    for path in paths.iter().rev().take(snapshots) {
        let mut bytes = std::fs::read(path)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes)?;
    }
    Ok(())
}

/// A run to the end says what it did about the damage.
fn mends(pipeline: &Pipeline, told: &str) -> Result<()> {
    let done = output(&mut pipeline.loud(&["run", "--until-end"]))?;
    let said = String::from_utf8_lossy(&done.stderr);
    let is_told = said.contains("is damaged; the model was ") && said.contains(told);
    ensure!(done.status.success() && is_told, "expected `{told}`: {}: {said}", done.status);
    Ok(())
}
