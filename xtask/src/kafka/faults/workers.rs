//! Workers that are killed at random times and at every point of the program, and brokers that are killed and restarted, all under load.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::super::run::Pipeline;
use super::super::standby::Running;
use super::super::{Rig, Version};
use super::brokers::restarts;
use super::kills::{Kills, Plan};
use super::{Extent, Feed, all_there_beside_broken_brokers, moves};
use crate::campaign::{self, Chance};
use crate::faults::points;
use crate::shell::{Watch, fresh_dir, say};

/// A worker that is to be killed lives no longer, since its start or since it was seen at work: beyond a roll, which is due each second.
const LONGEST: Duration = Duration::from_millis(1_600);

pub(super) fn workers(windrow: &Path, extent: &Extent) -> Result<()> {
    let watch = Watch::start();
    let mut rig = Rig::start(Version::NEWEST)?;
    let (servers, dir) = (rig.bootstrap(), fresh_dir("kafka-faults")?.canonicalize()?);
    campaign::write(&dir.join("pages.csv"), 0, extent.round())?;
    let pipeline = Pipeline::new(windrow, &servers, &dir, "worn", "pages", "roll_seconds = 1")?;
    pipeline.make_topics(3)?;
    let mut feed = Feed::start(&pipeline, &servers, "pages", extent)?;
    let endless = &mut |_| Ok(false);
    let plan = Plan { run: &["run"], kills: extent.kills, rows: extent.rows, longest: LONGEST, feed: endless };
    let kills = Kills::at_random(&pipeline, plan, &mut Chance::new(extent.seed))?;
    let (number, landed, behind) = (kills.number(), kills.landed, kills.behind_the_topics(&pipeline, &servers)?);
    say(format_args!(
        "{number} kills of the worker at random times under load: {landed} left rows that no roll held, {behind} starts found epochs in \
         the topics that no roll held; {} rows committed by workers that were killed",
        kills.rows
    ));
    let points = kill_at_points(&pipeline, extent)?;

    let mut worker = Running::start(pipeline.loud(&["run"]))?;
    moves(&pipeline, &mut worker)?;
    let faults = restarts(&mut rig, &pipeline, &mut worker, &mut feed, extent)?;

    feed.end_beside_broken_brokers(&pipeline)?;
    let found = all_there_beside_broken_brokers(&pipeline, &servers, "pages", worker)?;
    let rows = [&found["pages"], &found["rejects"]].iter().filter_map(|count| count.as_u64()).sum::<u64>();
    say(format_args!(
        "workers: {rows} rows, {} pages and {} rejects; {number} kills at random of which {landed} landed, {points} at points, {} faults of \
         the broker; lost {}, duplicated {}, disagreeing {}; {:.0} s, seed {}",
        found["pages"],
        found["rejects"],
        faults,
        found["lost"],
        found["duplicated"],
        found["disagreeing"],
        watch.seconds(),
        extent.seed
    ));
    Ok(())
}

/// Once at each point, in whatever state the kill before has left.
fn kill_at_points(pipeline: &Pipeline, extent: &Extent) -> Result<usize> {
    let points = points()?;
    let chosen: Vec<&String> = points.iter().filter(|point| extent.all_points || !is_met_elsewhere(point)).collect();
    for point in &chosen {
        if point.starts_with("after-edit") {
            pipeline.leave_edit(point)?;
        }
        pipeline.killed_at(point, 1)?;
    }
    say(format_args!("{} kills of the worker under load, each at the point wanted: {chosen:?}", chosen.len()));
    Ok(chosen.len())
}

/// Points that the suite kafka-run kills at.
fn is_met_elsewhere(point: &str) -> bool {
    point.starts_with("kafka") || point == "after-manifest-rename"
}
