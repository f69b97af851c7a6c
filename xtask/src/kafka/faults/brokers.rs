//! Brokers that are killed, and brokers that are stopped and started as an operator would, under a worker that gets on by itself.

use std::path::Path;

use anyhow::{Context, Result};

use super::super::run::Pipeline;
use super::super::standby::Running;
use super::super::{Rig, Version};
use super::{Extent, Feed, all_there_beside_broken_brokers, moves, moves_while};
use crate::campaign;
use crate::shell::{Watch, fresh_dir, say};

/// The older versions: one that has just started may say that it knows no topic, and must not be believed at once. The newest one has
/// its faults with the workers.
pub(super) fn brokers(windrow: &Path, extent: &Extent) -> Result<()> {
    extent.older.iter().try_for_each(|version| older(windrow, *version, extent).with_context(|| format!("{version:?}")))
}

fn older(windrow: &Path, version: Version, extent: &Extent) -> Result<()> {
    let watch = Watch::start();
    let mut rig = Rig::start(version)?;
    let (servers, dir) = (rig.bootstrap(), fresh_dir("kafka-brokers")?.canonicalize()?);
    campaign::write(&dir.join("pages.csv"), 0, 20_000)?;
    let pipeline = Pipeline::new(windrow, &servers, &dir, "kept", "pages", "roll_seconds = 1")?;
    pipeline.make_topics(3)?;
    let mut feed = Feed::start(&pipeline, &servers, "pages", extent)?;
    let mut worker = Running::start(pipeline.loud(&["run"]))?;
    moves(&pipeline, &mut worker)?;
    let faults = restarts(&mut rig, &pipeline, &mut worker, &mut feed, extent)?;
    feed.end_beside_broken_brokers(&pipeline)?;
    let found = all_there_beside_broken_brokers(&pipeline, &servers, "pages", worker)?;
    say(format_args!(
        "brokers: {faults} with Kafka {}: {} pages and {} rejects, each once; {:.0} s",
        version.number(),
        found["pages"],
        found["rejects"],
        watch.seconds()
    ));
    Ok(())
}

/// The worker gets on after each; gives their number.
pub(super) fn restarts(
    rig: &mut Rig,
    pipeline: &Pipeline,
    worker: &mut Running,
    feed: &mut Feed,
    extent: &Extent,
) -> Result<usize> {
    let n = extent.broker_faults;
    for _ in 0..n {
        rig.kill()?;
        rig.restart()?;
        moves_while(pipeline, worker, || feed.keep_on(pipeline)).context("after kill -9 of the broker")?;
        rig.stop()?;
        rig.restart()?;
        moves_while(pipeline, worker, || feed.keep_on(pipeline)).context("after a clean restart of the broker")?;
    }
    say(format_args!("{n} kills and {n} clean restarts of the broker under load: the same worker got on each time"));
    Ok(2 * n)
}
