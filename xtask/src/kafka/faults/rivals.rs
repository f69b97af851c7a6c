//! Others that want the same: a replacement beside an owner that is stopped and comes back, and consumers in the pipeline's own group.
//!
//! A standby on the same machine kills an owner that is stopped: the suite kafka-standby. Here nobody can, as between two machines whose
//! volume has no locks: the lock files are taken away, the replacement makes its own, and the owner is woken when the replacement has gone
//! on. It must find itself fenced, and what it had in hand must never be seen.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::run::Pipeline;
use super::super::standby::{PATIENCE_S, Running, leaves};
use super::super::{Rig, Version};
use super::{Extent, Feed, all_there, ends_with, moves};
use crate::campaign::{self, Chance};
use crate::python::{CLIENTS, script};
use crate::shell::{Watch, fresh_dir, let_pass, say, stdout};

/// How long a broker keeps the transaction of somebody who says nothing; and a time that is longer.
const KEYS: [&str; 2] = ["-X", "transaction.timeout.ms=4000"];
const LONGER: Duration = Duration::from_secs(6);
/// Where an owner is stopped: with a transaction that only wants its commit, behind a commit of which it does not know yet, and with a
/// manifest that only wants its name.
const POINTS: [&str; 3] = ["kafka-before-commit", "kafka-after-commit", "before-manifest-rename"];

pub(super) fn rivals(windrow: &Path, extent: &Extent) -> Result<()> {
    let watch = Watch::start();
    let rig = Rig::start(Version::NEWEST)?;
    let (servers, dir) = (rig.bootstrap(), fresh_dir("kafka-rivals")?.canonicalize()?);
    campaign::write(&dir.join("pages.csv"), 0, 20_000)?;
    let pipeline = Pipeline::new(windrow, &servers, &dir, "haunted", "pages", "roll_seconds = 1")?;
    pipeline.make_topics(3)?;
    let feed = Feed::start(&pipeline, &servers, "pages", extent)?;

    strangers(&pipeline, &servers, extent)?;
    stopped_alone(&pipeline)?;

    let mut chance = Chance::new(extent.seed);
    let points = if extent.all_points { &POINTS[..] } else { &POINTS[2..] };
    for round in 0..extent.zombies {
        haunted(&pipeline, None, &mut chance).with_context(|| format!("stopped at a random time, round {round}"))?;
        for point in points {
            haunted(&pipeline, Some(point), &mut chance).with_context(|| format!("stopped at {point}, round {round}"))?;
        }
    }
    say(format_args!(
        "{} owners stopped for {LONGER:?} beside a replacement, and woken: E-FENCED, nothing deleted",
        extent.zombies * (1 + points.len())
    ));

    feed.end()?;
    let worker = Running::start(pipeline.loud(&["run"]))?;
    let found = all_there(&pipeline, &servers, "pages", worker)?;
    let (pages, rejects) = (&found["pages"], &found["rejects"]);
    say(format_args!(
        "rivals: {pages} pages and {rejects} rejects, each once: zombie writes visible = 0; {:.0} s",
        watch.seconds()
    ));
    Ok(())
}

/// Consumers join and leave the pipeline's group. It never joins: nothing changes.
fn strangers(pipeline: &Pipeline, servers: &str, extent: &Extent) -> Result<()> {
    let mut worker = Running::start(pipeline.loud(&["run"]))?;
    moves(pipeline, &mut worker)?;
    let group = format!("windrow.{}", pipeline.id()?);
    let seconds = extent.group.as_secs().to_string();
    let begun = pipeline.times_begun()?;
    let given = stdout(script(CLIENTS, "strangers.py")?.args([servers, "pages", &group, &seconds]))?;
    let given: u64 = given.trim().parse()?;
    ensure!(given >= 2, "consumers of the group were given partitions {given} times");
    moves(pipeline, &mut worker).context("while others are in the group")?;
    ensure!(pipeline.times_begun()? == begun, "the run had to begin again");
    say(format_args!("consumers of {group} joined and left for {seconds} s, were given partitions {given} times: undisturbed"));
    leaves(worker)
}

/// The broker ends the transaction of an owner that is stopped; nobody else is there, so it goes on when it is woken.
fn stopped_alone(pipeline: &Pipeline) -> Result<()> {
    let mut worker = Running::start(pipeline.loud(&[&["run"], &KEYS[..]].concat()))?;
    moves(pipeline, &mut worker)?;
    worker.signal("STOP")?;
    let_pass(LONGER);
    worker.signal("CONT")?;
    moves(pipeline, &mut worker).context("woken, with nobody else there")?;
    say(format_args!("the only owner stopped for {LONGER:?}, longer than its transaction: goes on"));
    worker.signal("KILL")
}

/// An owner is stopped, a replacement goes on, the owner is woken.
fn haunted(pipeline: &Pipeline, point: Option<&str>, chance: &mut Chance) -> Result<()> {
    let mut run = pipeline.loud(&[&["run"], &KEYS[..]].concat());
    if let Some(point) = point {
        run.env("WINDROW_FAILPOINT", format!("{point}:3:STOP"));
    }
    let mut owner = Running::start(run)?;
    if point.is_none() {
        moves(pipeline, &mut owner)?;
        let_pass(Duration::from_millis(chance.below(500) as u64));
        owner.signal("STOP")?;
    }
    owner.stops(PATIENCE_S)?.context("the owner never stopped")?;
    let_pass(LONGER);
    for lock in [".windrow-lock", ".windrow/lock"] {
        std::fs::remove_file(pipeline.out().join(lock))?;
    }
    let mut replacement = Running::start(pipeline.loud(&[&["run"], &KEYS[..]].concat()))?;
    moves(pipeline, &mut replacement)?;
    moves(pipeline, &mut replacement)?;
    let before = published(pipeline)?;
    owner.signal("CONT")?;
    // Woken in a commit it is fenced; elsewhere its transaction is over, it begins again, and finds the lock of the other one.
    let codes: &[&str] = if point.is_some() { &["E-FENCED"] } else { &["E-FENCED", "E-LOCKED"] };
    ends_with(pipeline, owner, codes, 5)?;
    let gone: Vec<_> = before.difference(&published(pipeline)?).cloned().collect();
    ensure!(gone.is_empty(), "the fenced owner has deleted {gone:?}");
    moves(pipeline, &mut replacement)?;
    replacement.signal("KILL")
}

/// Files in view.
fn published(pipeline: &Pipeline) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for family in ["pages", "rejects", "lineage"] {
        for entry in std::fs::read_dir(pipeline.out().join(family))? {
            names.insert(format!("{family}/{}", entry?.file_name().to_string_lossy()));
        }
    }
    names.retain(|name| !name.contains("/."));
    Ok(names)
}
