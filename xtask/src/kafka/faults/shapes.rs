//! The other two shapes of a pipeline: files in and topics out, and a topic in and Parquet alone.
//!
//! Each is killed at points and at random times, and audited; and its Parquet must be what a pipeline gives that nobody disturbed.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::run::Pipeline;
use super::super::{Rig, Version};
use super::kills::{Kills, Plan};
use super::{Extent, Feed};
use crate::campaign::{self, Chance};
use crate::faults::points;
use crate::shell::{Watch, fresh_dir, say, stdout};

/// Rows that come before a kill at a random time, and before one at a point: work for the life that it ends.
const LONG: usize = 40_000;
const SHORT: usize = 6_000;
/// Long beside what a roll takes: a kill is to hit the work between two of them.
const ROLLS: &str = "roll_rows = 20000";
/// Of the points, those that the short form meets: within a transaction, behind it, and on either side of a roll.
const OF_TOPICS: [&str; 4] = ["kafka-before-commit", "kafka-after-commit", "after-snapshot", "after-manifest-rename"];
const OF_PARQUET: [&str; 4] = ["after-stage", "after-snapshot", "after-manifest-rename", "after-commit"];

pub(super) fn shapes(windrow: &Path, extent: &Extent) -> Result<()> {
    let rig = Rig::start(Version::NEWEST)?;
    let (servers, dir) = (rig.bootstrap(), fresh_dir("kafka-two-shapes")?.canonicalize()?);
    let pipeline = |name: &str, topic: &str, more: &str| Pipeline::new(windrow, &servers, &dir, name, topic, more);
    let none = format!("{ROLLS}\nkafka = \"none\"");
    files_to_topics(&pipeline("filed", "", ROLLS)?, &pipeline("filed-calm", "", &none)?, extent).context("files to topics")?;
    let none = "kafka = \"none\"\nroll_seconds = 1";
    let (alone, calm) = (pipeline("alone", "pages", none)?, pipeline("alone-calm", "pages", none)?);
    topic_to_parquet(&alone, &calm, &servers, extent).context("a topic to Parquet alone")
}

/// The points to meet: all of the kind, or a few. Edits change the answer: they are met where there is no other to compare with.
fn chosen(extent: &Extent, few: &[&str], fits: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    if !extent.all_points {
        return Ok(few.iter().map(|point| (*point).to_owned()).collect());
    }
    Ok(points()?.into_iter().filter(|point| !point.starts_with("after-edit") && fits(point)).collect())
}

/// A folder of files that grows before each kill.
struct Folder<'a> {
    dir: &'a Path,
    files: usize,
    rows: usize,
}

impl Folder<'_> {
    fn grow(&mut self, rows: usize) -> Result<()> {
        let from = self.rows;
        self.rows += rows;
        campaign::write(&self.dir.join(format!("in/{:04}.csv", self.files)), from, self.rows)?;
        self.files += 1;
        Ok(())
    }
}

fn files_to_topics(pipeline: &Pipeline, calm: &Pipeline, extent: &Extent) -> Result<()> {
    let watch = Watch::start();
    let input = ["--input", "in"];
    std::fs::create_dir_all(pipeline.dir.join("in"))?;
    let mut folder = Folder { dir: &pipeline.dir, files: 0, rows: 0 };
    pipeline.make_topics(1)?;
    let points = chosen(extent, &OF_TOPICS, |point| point != "kafka-before-offsets")?;
    for point in &points {
        folder.grow(SHORT)?;
        // The first transaction of a start holds no pages; and whose very first it is, has no name yet that the next start could claim.
        let nth = if point.starts_with("kafka") && point != "kafka-after-claim" { 2 } else { 1 };
        pipeline.killed_with(&input, point, nth)?;
    }
    let feed = &mut |_| folder.grow(LONG).map(|()| true);
    let run = ["run", input[0], input[1]];
    let plan = Plan { run: &run, kills: extent.shape_kills, rows: 0, longest: Duration::from_millis(200), feed };
    let kills = Kills::at_random(pipeline, plan, &mut Chance::new(extent.seed))?;
    let behind = kills.behind_the_topics(pipeline, &pipeline.servers)?;

    let done = pipeline.to_the_end_with(&input)?;
    let found = pipeline.delivered_in_slots()?;
    let audit = pipeline.audited(&found)?;
    ensure!(done["total"]["rows"] == audit["input"] && done["total"]["pages"] == found["pages"], "{done}, and {audit}");
    calm.to_the_end_with(&input)?;
    calm.same_parquet(pipeline)?;
    say(format_args!(
        "files to topics: {} kills at random of which {} landed, {behind} starts found epochs in the topics that no roll held, {} kills at \
         points; {} pages and {} rejects, each once, the same answer as undisturbed; {:.0} s",
        kills.number(),
        kills.landed,
        points.len(),
        found["pages"],
        found["rejects"],
        watch.seconds()
    ));
    Ok(())
}

fn topic_to_parquet(pipeline: &Pipeline, calm: &Pipeline, servers: &str, extent: &Extent) -> Result<()> {
    let watch = Watch::start();
    pipeline.make_topics(1)?;
    let points = chosen(extent, &OF_PARQUET, |point| !point.starts_with("kafka"))?;
    for (n, point) in points.iter().enumerate() {
        campaign::write(&pipeline.dir.join("piece.csv"), n * SHORT, (n + 1) * SHORT)?;
        stdout(&mut pipeline.call(&["produce", "--anew", "--topic", "pages", "--input", "piece.csv"]))?;
        pipeline.killed_at(point, 1)?;
    }
    campaign::write(&pipeline.dir.join("pages.csv"), 0, extent.round())?;
    let feed = Feed::start(pipeline, servers, "pages", extent)?;
    let endless = &mut |_| Ok(false);
    let longest = Duration::from_millis(1_000);
    let plan = Plan { run: &["run"], kills: extent.shape_kills, rows: 0, longest, feed: endless };
    let kills = Kills::at_random(pipeline, plan, &mut Chance::new(extent.seed))?;
    feed.end()?;

    let done = pipeline.to_the_end()?;
    let audit = pipeline.audit()?;
    let sent = pipeline.count_messages(servers, "pages")?;
    ensure!(done["total"]["rows"] == sent && audit["input"] == sent, "{sent} messages in; {done}, and {audit}");
    calm.to_the_end()?;
    calm.same_parquet(pipeline)?;
    say(format_args!(
        "a topic to Parquet alone: {} kills at random of which {} landed, {} at points; {} pages and {} rejects, each once, the same answer \
         as undisturbed; {:.0} s",
        kills.number(),
        kills.landed,
        points.len(),
        done["total"]["pages"],
        done["total"]["rejects"],
        watch.seconds()
    ));
    Ok(())
}
