//! Workers that are killed at random times and at every point of the program, and brokers that are killed and restarted, all under load.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::run::Pipeline;
use super::super::standby::Running;
use super::super::{Rig, Version};
use super::{Extent, Feed, all_there, moves};
use crate::campaign::{self, Chance};
use crate::faults::points;
use crate::shell::{Watch, fresh_dir, let_pass, say};

pub(super) fn workers(windrow: &Path, extent: &Extent) -> Result<()> {
    let watch = Watch::start();
    let mut rig = Rig::start(Version::NEWEST)?;
    let (servers, dir) = (rig.bootstrap(), fresh_dir("kafka-faults")?.canonicalize()?);
    campaign::write(&dir.join("pages.csv"), 0, extent.rows / 4)?;
    let pipeline = Pipeline::new(windrow, &servers, &dir, "worn", "pages", "roll_seconds = 1")?;
    pipeline.make_topics(3)?;
    let feed = Feed::start(&pipeline, &servers, "pages", extent)?;
    kill_at_random(&pipeline, extent)?;
    say(format_args!("{} kills of the worker at random times under load, each landed", extent.kills));
    kill_at_points(&pipeline, extent)?;

    let mut worker = Running::start(pipeline.loud(&["run"]))?;
    moves(&pipeline, &mut worker)?;
    for _ in 0..extent.broker_faults {
        rig.kill()?;
        rig.restart()?;
        moves(&pipeline, &mut worker).context("after kill -9 of the broker")?;
        rig.stop()?;
        rig.restart()?;
        moves(&pipeline, &mut worker).context("after a clean restart of the broker")?;
    }
    let n = extent.broker_faults;
    say(format_args!("{n} kills and {n} clean restarts of the broker under load: the same worker got on each time"));

    feed.end()?;
    let found = all_there(&pipeline, &servers, "pages", worker)?;
    let rows = [&found["pages"], &found["rejects"]].iter().filter_map(|count| count.as_u64()).sum::<u64>();
    ensure!(rows >= extent.rows as u64, "{rows} rows are fewer than {}", extent.rows);
    let (pages, rejects) = (&found["pages"], &found["rejects"]);
    say(format_args!("workers: {pages} pages and {rejects} rejects, each once; {:.0} s", watch.seconds()));
    Ok(())
}

fn kill_at_random(pipeline: &Pipeline, extent: &Extent) -> Result<()> {
    let mut chance = Chance::new(extent.seed);
    for round in 0..extent.kills {
        let mut worker = Running::start(pipeline.loud(&["run"]))?;
        let_pass(Duration::from_millis(100 + chance.below(1_500) as u64));
        ensure!(worker.is_alive()?, "the worker ended before kill {round}");
        worker.signal("KILL")?;
    }
    Ok(())
}

/// Once at each point, in whatever state the kill before has left.
fn kill_at_points(pipeline: &Pipeline, extent: &Extent) -> Result<()> {
    let points = points()?;
    let chosen: Vec<&String> = points.iter().filter(|point| extent.all_points || !is_met_elsewhere(point)).collect();
    for point in &chosen {
        if point.starts_with("after-edit") {
            pipeline.leave_edit(point)?;
        }
        pipeline.killed_at(point, 1)?;
    }
    say(format_args!("{} kills of the worker under load, each at the point wanted: {chosen:?}", chosen.len()));
    Ok(())
}

/// Points that the suite kafka-run kills at.
fn is_met_elsewhere(point: &str) -> bool {
    point.starts_with("kafka") || point == "after-manifest-rename"
}
