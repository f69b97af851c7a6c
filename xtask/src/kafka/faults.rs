//! `cargo xtask faults kafka`: a pipeline between topics whose worker and whose broker are killed under load, and what stops it for good.
//!
//! ```text
//! rows ── produce ──> pages ── run, killed at random times ──> topics and Parquet
//!            └ again, until all are there       broker: kill -9, restart, clean stop, restart
//! ```
//!
//! At the end an independent reader of committed messages holds the topics against the Parquet, and the program's audit both against the
//! input. A fault that hit nothing proves nothing: a worker must be alive when it is killed, and must get on after each fault.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::run::{CLUSTERS, Pipeline};
use super::standby::{Running, committed, committed_beyond, leaves};
use super::{Rig, Version};
use crate::campaign::{self, Chance};
use crate::shell::{Watch, fresh_dir, output, say, stdout, windrow};

/// How much is done.
pub(crate) struct Extent {
    pub(crate) rows: usize,
    pub(crate) kills: usize,
    pub(crate) broker_faults: usize,
    pub(crate) seed: u64,
}

impl Extent {
    pub(crate) const SHORT: Self = Self { rows: 60_000, kills: 4, broker_faults: 1, seed: 1 };
    /// Twenty kills and each fault of the broker twice.
    pub(crate) const USUAL: Self = Self { rows: 200_000, kills: 20, broker_faults: 2, seed: 1 };
    pub(crate) const FULL: Self = Self { rows: 1_000_000, kills: 300, broker_faults: 4, seed: 1 };
}

pub(crate) fn faults(extent: &Extent) -> Result<()> {
    let watch = Watch::start();
    let mut rig = Rig::start(Version::NEWEST)?;
    let (windrow, dir) = (windrow("fast", &["failpoints"])?, fresh_dir("kafka-faults")?.canonicalize()?);
    let pages = dir.join("pages.csv");
    campaign::write(&pages, 0, extent.rows)?;
    let pipeline = Pipeline::new(&windrow, &rig.bootstrap(), &dir, "worn", "pages", "roll_seconds = 1")?;
    pipeline.make_topics(3)?;
    let producer = feed(&pipeline, &pages, extent)?;
    kill_workers(&pipeline, extent)?;
    say(format_args!("{} kills of the worker under load, each landed", extent.kills));
    drop(producer);

    for _ in 0..extent.broker_faults {
        let _producer = feed(&pipeline, &pages, extent)?;
        let worker = Running::start(pipeline.loud(&["run"]))?;
        moves(&pipeline)?;
        rig.kill()?;
        rig.restart()?;
        moves(&pipeline).context("after kill -9 of the broker")?;
        rig.stop()?;
        rig.restart()?;
        moves(&pipeline).context("after a clean restart of the broker")?;
        leaves(worker)?;
    }
    say(format_args!(
        "{} kills and {} clean restarts of the broker: got on each time",
        extent.broker_faults, extent.broker_faults
    ));

    let sent: Value =
        serde_json::from_str(&stdout(pipeline.call(&["produce", "-o", "json", "--topic", "pages", "--input"]).arg(&pages))?)?;
    pipeline.to_the_end()?;
    let found = pipeline.delivered_in_slots()?;
    pipeline.audited(&found)?;
    let rows = [&found["pages"], &found["rejects"]].iter().filter_map(|count| count.as_u64()).sum::<u64>();
    let left_out = pipeline.left_out(&pages)?;
    ensure!(sent["done"].as_u64() == Some(rows + left_out), "{rows} pages and rejects, {left_out} rows left out: {sent}");
    stops(&rig, &pipeline)?;
    say(format_args!("faults: {} pages and {} rejects, each once; {:.0} s", found["pages"], found["rejects"], watch.seconds()));
    Ok(())
}

/// Sends rows, slowly enough that there are some to the end.
fn feed(pipeline: &Pipeline, pages: &Path, extent: &Extent) -> Result<Running> {
    let rate = (extent.rows / 20).to_string();
    let mut produce = pipeline.loud(&["produce", "--topic", "pages", "--rate", &rate, "--input"]);
    produce.arg(pages);
    Running::start(produce)
}

fn kill_workers(pipeline: &Pipeline, extent: &Extent) -> Result<()> {
    let mut chance = Chance::new(extent.seed);
    for _ in 0..extent.kills {
        let mut worker = Running::start(pipeline.loud(&["run"]))?;
        let (_open, never) = mpsc::channel::<()>();
        let _ = never.recv_timeout(Duration::from_millis(100 + chance.below(1_500) as u64));
        ensure!(worker.is_alive()?, "the worker ended before its kill");
        worker.signal("KILL")?;
    }
    Ok(())
}

/// Something new is committed.
fn moves(pipeline: &Pipeline) -> Result<()> {
    committed_beyond(pipeline, committed(pipeline)?)
}

/// What cannot pass ends the run with its sentence, and loses nothing.
fn stops(rig: &Rig, pipeline: &Pipeline) -> Result<()> {
    let servers = rig.bootstrap();
    let run = |code: &str, exit: i32, args: &[&str]| -> Result<()> {
        let done = output(&mut pipeline.call(&[&["run", "--until-end"], args].concat()))?;
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure!(done.status.code() == Some(exit) && told.contains(code), "expected {code}: {}: {told}", done.status);
        Ok(())
    };
    // By chance, for the limit is on what is left of it when it is packed.
    let mut chance = Chance::new(7);
    let long: String = (0..700_000).map(|_| char::from(b'a' + u8::try_from(chance.below(26)).unwrap_or(0))).collect();
    std::fs::write(pipeline.dir.join("long.csv"), format!("url,title\nhttps://long.example/,{long}\n"))?;
    let limit = |change: &[&str]| {
        (0..CLUSTERS).try_for_each(|slot| {
            let topic = format!("worn_{slot}");
            let of = ["--bootstrap-server", &servers, "--alter", "--entity-type", "topics", "--entity-name", &topic];
            rig.tool("kafka.admin.ConfigCommand", &[&of[..], change].concat()).map(drop)
        })
    };
    limit(&["--add-config", "max.message.bytes=100000"])?;
    stdout(&mut pipeline.call(&["produce", "--topic", "pages", "--input", "long.csv"]))?;
    run("E-KAFKA-SIZE", 4, &[])?;
    limit(&["--delete-config", "max.message.bytes"])?;
    let before = pipeline.to_the_end()?;
    ensure!(before["pages"] == 1, "the long page goes where there is room for it: {before}");
    say("an output message too long: E-KAFKA-SIZE, and on from there when the topic takes it");

    rig.topics(&["--delete", "--topic", "pages"])?;
    rig.topics(&["--create", "--topic", "pages", "--partitions", "3", "--replication-factor", "1"])?;
    run("E-KAFKA-GONE", 4, &[])?;
    say("the input deleted and made anew: E-KAFKA-GONE");
    let again = pipeline.to_the_end_with(&["--on-data-loss", "earliest"])?;
    ensure!(again["rows"] == 0, "{again}");
    stdout(
        pipeline
            .call(&["produce", "--anew", "--limit", "100", "--topic", "pages", "--input", "pages.csv"])
            .current_dir(&pipeline.dir),
    )?;
    let again = pipeline.to_the_end()?;
    ensure!(again["rows"].as_u64() > Some(0), "{again}");
    rig.topics(&["--delete", "--topic", "worn_3"])?;
    run("E-KAFKA-TOPIC", 4, &[])?;
    say("a topic of a cluster deleted: E-KAFKA-TOPIC");
    Ok(())
}
