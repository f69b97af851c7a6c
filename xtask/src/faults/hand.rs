//! What a user says stays said: clusters are named, pinned, merged and split, themes are moved and let go, one edit is taken back, and the worker that took each of them is
//! killed right after. In the end all is as the user said, each edit happened once, and its log alone, replayed into an empty folder, gives
//! the same output.
//!
//! ```text
//! each life    run ─ stopped in the loop ─ `windrow clusters …` ─ woken: takes it ─ kill -9
//! the end      run to the end ─ audit ─ clusters as said ─ each edit once
//! from nothing edits.jsonl alone ─ run ─ the same output, the same model
//! ```

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Part;
use super::rig::{PATIENCE_S, Pipeline, Rig};
use crate::python::{READERS, script};
use crate::shell::{say, stdout, wait_for};

/// Enough for a worker to be at work still when it is killed.
const ROWS: usize = 400_000;
/// Batches that a life has learnt when its user speaks: it has committed some rows, and what he says lies behind rows that are not.
const BATCHES: usize = 6;
/// Of a life that commits none: so that all lives together stay within the first file. The second one has other themes, and clusters that a user means
/// end there.
const FEW: usize = 4;
/// A name as nobody should give one.
const NAME: &str = "mine <b>&amp;";

pub(super) fn hand(part: &Part<'_>) -> Result<()> {
    let rig = part.rig.another(part.rig.dir.join("hand"), ROWS)?;
    let pipeline = rig.pipeline("by-hand")?;
    let kept = life(&pipeline, BATCHES, |by| {
        let [kept, ..] = by.heaviest()?;
        by.asks(&["rename", &kept, NAME])?;
        by.asks(&["pin", &kept])?;
        Ok(kept)
    })?;
    let merged = life(&pipeline, BATCHES, |by| {
        let merged = by.heaviest()?.into_iter().find(|id| *id != kept).context("one cluster alone")?;
        let would = by.would(&["merge", &merged, "--into", &kept])?;
        ensure!(would > 0, "a merge of {merged} would move nothing");
        by.asks(&["merge", &merged, "--into", &kept])?;
        Ok(merged)
    })?;
    life(&pipeline, BATCHES, |by| by.asks(&["split", &kept]))?;
    let moved = life(&pipeline, FEW, |by| {
        let other = by.heaviest()?.into_iter().find(|id| *id != kept).context("one cluster alone")?;
        let [stays, free] = by.themes(&other)?;
        by.asks(&["move", &stays, &free, "--to", &kept])?;
        by.asks(&["release", &free])?;
        Ok(stays)
    })?;
    let lost = life(&pipeline, BATCHES, |by| {
        let lost = by.heaviest()?.into_iter().find(|id| *id != kept).context("one cluster alone")?;
        by.asks(&["rename", &lost, "comes back"])?;
        by.asks(&["merge", &lost, "--into", &kept])?;
        Ok(lost)
    })?;
    // Soon, for what has faded cannot come back: the merge is not committed yet, and this life learns up to it again.
    life(&pipeline, 1, |by| by.asks(&["undo"]))?;
    rig.to_the_end(&pipeline)?;
    pipeline.verify()?;
    is_as_said(&pipeline, &kept, &moved, &[&merged, &lost])?;
    from_nothing(&rig, &pipeline)?;
    say(format_args!(
        "hand: {} edits in six lives of a worker that was killed after each; all as said, each edit once, and the log of edits alone gives \
         the same output",
        logged(&pipeline)?
    ));
    pipeline.remove()
}

/// Somebody at a terminal.
struct By<'a>(&'a Pipeline);

impl By<'_> {
    fn calls(&self, words: &[&str], more: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.0.windrow);
        stdout(command.arg("clusters").args(words).args(more).arg("--out").arg(&self.0.out))
    }

    fn asks(&self, words: &[&str]) -> Result<()> {
        self.calls(words, &["--quiet"]).map(drop)
    }

    /// Pages that would move.
    fn would(&self, words: &[&str]) -> Result<u64> {
        let told = self.calls(words, &["--dry-run", "-o", "json"])?;
        let told: Value = serde_json::from_str(&told)?;
        told["moved"].as_u64().with_context(|| format!("a preview without a count: {told}"))
    }

    fn clusters(&self) -> Result<Vec<Value>> {
        let told = self.calls(&["-o", "json"], &[])?;
        Ok(told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    /// The two clusters of the largest weight.
    fn heaviest(&self) -> Result<[String; 2]> {
        let mut clusters = self.clusters()?;
        clusters.sort_by(|a, b| b["weight"].as_f64().unwrap_or(0.0).total_cmp(&a["weight"].as_f64().unwrap_or(0.0)));
        let ids: Vec<String> = clusters.iter().map(id).take(2).collect();
        ids.try_into().ok().context("fewer than two clusters")
    }

    /// The two heaviest themes of a cluster.
    fn themes(&self, cluster: &str) -> Result<[String; 2]> {
        let told = self.calls(&["themes", cluster, "-o", "json"], &[])?;
        let themes = told.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let ids: Vec<String> = themes.iter().map(|theme| theme["micro_cluster"].to_string()).take(2).collect();
        ids.try_into().ok().context("fewer than two themes")
    }
}

fn id(cluster: &Value) -> String {
    cluster["cluster"].to_string()
}

/// A worker that stands still in its loop while the user speaks, goes on until it has taken what was said, and is killed.
fn life<T>(pipeline: &Pipeline, batches: usize, speak: impl FnOnce(&By<'_>) -> Result<T>) -> Result<T> {
    let before = logged(pipeline)?;
    let mut worker = pipeline.stopped_at("after-learn", batches, &[])?;
    let said = speak(&By(pipeline))?;
    worker.signal("CONT")?;
    wait_for(PATIENCE_S, || Ok((logged(pipeline)? > before).then_some(())))?.context("the worker takes no edit")?;
    worker.signal("KILL")?;
    let status = wait_for(PATIENCE_S, || worker.ended())?.context("it outlives its kill")?;
    ensure!(status.code().is_none(), "the worker had ended before it was killed: {status}");
    Ok(said)
}

/// Edits in the log.
fn logged(pipeline: &Pipeline) -> Result<usize> {
    match std::fs::read_to_string(pipeline.out.join(".windrow/edits.jsonl")) {
        Ok(log) => Ok(log.lines().count()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn is_as_said(pipeline: &Pipeline, kept: &str, moved: &str, gone: &[&String]) -> Result<()> {
    let clusters = By(pipeline).clusters()?;
    let of = |wanted: &str| clusters.iter().find(|cluster| id(cluster) == wanted);
    let named = of(kept).with_context(|| format!("cluster {kept} is not alive, though pinned"))?;
    ensure!(named["label"] == NAME && named["renamed"] == true && named["pinned"] == true, "cluster {kept} is {named}");
    for ended in gone {
        ensure!(of(ended).is_none(), "cluster {ended} was merged away and is alive");
    }
    let theme_moved: u64 = moved.parse()?;
    for cluster in &clusters {
        let held = By(pipeline).calls(&["themes", &id(cluster), "-o", "json"], &[])?;
        let mut themes = held.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?.into_iter();
        // It may have faded, or be part of another theme by now: where it is alive it is where it was put.
        if let Some(theme) = themes.find(|theme| theme["micro_cluster"] == theme_moved) {
            ensure!(id(cluster) == kept && theme["held"] == true, "theme {moved} was put into {kept}, and is {theme}");
        }
    }
    let told = stdout(script(READERS, "by_hand.py")?.arg(&pipeline.out))?;
    let told: Value = serde_json::from_str(&told)?;
    // A merge is taken back by a split, and what came back has its name again; whether it is still alive is up to the stream.
    let wanted = serde_json::json!({"cluster_back": 1, "cluster_merged": 2, "cluster_split": 2, "pinned": 1, "undone": 1});
    for (event, times) in wanted.as_object().into_iter().flatten() {
        ensure!(told[event] == *times, "{event}: {} times and not {times}: {told}", told[event]);
    }
    ensure!(told["renamed"] == 3, "two names were given, and one came back: {told}");
    let released = told["micro_released"].as_u64().unwrap_or(0);
    ensure!(released > 0, "no theme was let go: {told}");
    Ok(())
}

/// The log of edits and the rows are all that it takes.
fn from_nothing(rig: &Rig, pipeline: &Pipeline) -> Result<()> {
    let again = rig.pipeline("by-hand-again")?;
    let state = again.out.join(".windrow");
    std::fs::create_dir_all(&state)?;
    std::fs::copy(pipeline.out.join(".windrow/edits.jsonl"), state.join("edits.jsonl"))?;
    rig.to_the_end(&again)?;
    rig.same(pipeline, &again).context("replayed from the log of edits")?;
    again.remove()
}
