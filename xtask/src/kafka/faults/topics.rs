//! What is done to topics under a pipeline: partitions added, topics deleted and made anew, messages that are too long.
//!
//! What cannot pass ends the run with its sentence, and loses nothing.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::run::{CLUSTERS, Pipeline};
use super::super::standby::{PATIENCE_S, Running};
use super::super::{Rig, Version};
use super::{Extent, Feed, all_there, ends_with, moves};
use crate::campaign::{self, Chance};
use crate::python::{CLIENTS, script};
use crate::shell::{Watch, fresh_dir, output, say, stdout, wait_for};

pub(super) fn topics(windrow: &Path, extent: &Extent) -> Result<()> {
    let watch = Watch::start();
    let rig = Rig::start(Version::NEWEST)?;
    let (servers, dir) = (rig.bootstrap(), fresh_dir("kafka-shapes")?.canonicalize()?);
    campaign::write(&dir.join("pages.csv"), 0, 10_000)?;
    let pipeline = Pipeline::new(windrow, &servers, &dir, "shaped", "pages", "roll_seconds = 1")?;
    pipeline.make_topics(2)?;
    let found = more_partitions(&rig, &pipeline, extent)?;
    too_long(&rig, &pipeline)?;
    too_long_in(&rig, &pipeline)?;
    let anew = Pipeline::new(windrow, &servers, &dir, "anew", "small", "roll_seconds = 1")?;
    anew.make_topics(1)?;
    made_anew(&rig, &anew)?;
    rig.topics(&["--delete", "--topic", "shaped_3"])?;
    stops(&pipeline, "E-KAFKA-TOPIC")?;
    say("a topic of a cluster deleted: E-KAFKA-TOPIC");
    say(format_args!("topics: {} pages and {} rejects, each once; {:.0} s", found["pages"], found["rejects"], watch.seconds()));
    Ok(())
}

/// Partitions are added to the input and to the topic of a cluster under a run, which takes them up by itself.
fn more_partitions(rig: &Rig, pipeline: &Pipeline, extent: &Extent) -> Result<Value> {
    let servers = rig.bootstrap();
    let feed = Feed::start(pipeline, &servers, "pages", extent)?;
    let mut worker = Running::start(pipeline.loud(&["run"]))?;
    moves(pipeline, &mut worker)?;
    rig.topics(&["--alter", "--topic", "pages", "--partitions", "4"])?;
    rig.topics(&["--alter", "--topic", "shaped_2", "--partitions", "2"])?;
    // A producer that begins now knows of them.
    feed.end()?;
    let feed = Feed::start(pipeline, &servers, "pages", extent)?;
    let told = wait_for(PATIENCE_S, || Ok(pipeline.said_last()?.contains("pages has 4 partitions now").then_some(())))?;
    told.with_context(|| format!("nobody saw the new partitions: {}", pipeline.said_last().unwrap_or_default()))?;
    let is_read = || -> Result<Option<()>> {
        let state: Value = serde_json::from_str(&stdout(&mut pipeline.call(&["state", "inspect", "-o", "json"]))?)?;
        let read = |source: &Value| source["name"] == "kafka:pages/3" && source["rows"].as_u64() > Some(0);
        ensure!(worker.is_alive()?, "the worker has ended:\n{}", pipeline.said_last()?);
        Ok(state["sources"].as_array().is_some_and(|sources| sources.iter().any(read)).then_some(()))
    };
    wait_for(PATIENCE_S, is_read)?.context("the new partition was not read")?;
    feed.end()?;
    let found = all_there(pipeline, &servers, "pages", worker)?;
    say("partitions added to the input and to a cluster's topic under the run: taken up, nothing lost");
    Ok(found)
}

/// A run ends with this code, exit code 4.
fn stops(pipeline: &Pipeline, code: &str) -> Result<()> {
    let done = output(&mut pipeline.call(&["run", "--until-end"]))?;
    let told = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.code() == Some(4) && told.contains(code), "expected {code}: {}: {told}", done.status);
    Ok(())
}

/// A page that no topic takes, until they do.
fn too_long(rig: &Rig, pipeline: &Pipeline) -> Result<()> {
    // By chance, for the limit is on what is left of it when it is packed.
    let mut chance = Chance::new(7);
    let long: String = (0..700_000).map(|_| char::from(b'a' + u8::try_from(chance.below(26)).unwrap_or(0))).collect();
    std::fs::write(pipeline.dir.join("long.csv"), format!("url,title\nhttps://long.example/,{long}\n"))?;
    let servers = rig.bootstrap();
    let limit = |change: &[&str]| {
        (0..CLUSTERS).try_for_each(|slot| {
            let topic = format!("shaped_{slot}");
            let of = ["--bootstrap-server", &servers, "--alter", "--entity-type", "topics", "--entity-name", &topic];
            rig.tool("kafka.admin.ConfigCommand", &[&of[..], change].concat()).map(drop)
        })
    };
    limit(&["--add-config", "max.message.bytes=100000"])?;
    stdout(&mut pipeline.call(&["produce", "--topic", "pages", "--input", "long.csv"]))?;
    stops(pipeline, "error[E-KAFKA-SIZE]: the message of record")?;
    limit(&["--delete-config", "max.message.bytes"])?;
    let before = pipeline.to_the_end()?;
    ensure!(before["pages"] == 1, "the long page goes where there is room for it: {before}");
    pipeline.audited(&pipeline.delivered_in_slots()?)?;
    say("an output message too long: E-KAFKA-SIZE, and on from there when the topic takes it");
    Ok(())
}

/// Messages that are longer than the topic of rejects takes, by their values and by their keys, are rejects like others.
fn too_long_in(rig: &Rig, pipeline: &Pipeline) -> Result<()> {
    let servers = rig.bootstrap();
    let of = ["--bootstrap-server", &servers, "--alter", "--entity-type", "topics", "--entity-name", "pages"];
    rig.tool("kafka.admin.ConfigCommand", &[&of[..], &["--add-config", "max.message.bytes=8000000"]].concat())?;
    stdout(script(CLIENTS, "topics.py")?.args(["long", &servers, "pages"]))?;
    let done = pipeline.to_the_end()?;
    ensure!(done["rejects"] == 2 && done["rejects_by_reason"]["too_long"] == 1, "two messages are too long: {done}");
    pipeline.audited(&pipeline.delivered_in_slots()?)?;
    let shown = pipeline.objects(&["rejects", "show", "--from-topics", "--reason", "too_long"])?;
    ensure!(shown.len() == 1 && shown[0]["cut_from"] == 3_000_000, "cut off and said to be: {} are shown", shown.len());
    let replayed = |from: &[&str]| -> Result<(Value, Value)> {
        let mut objects =
            pipeline.objects(&[&["rejects", "replay", "--dry-run", "--reason", "too_long"], from].concat())?.into_iter();
        let object = objects.next().context("an object")?;
        Ok((object["sent"].clone(), object["cut"].clone()))
    };
    let found = (replayed(&["--from-topics"])?, replayed(&[])?);
    ensure!(found == ((0.into(), 1.into()), (1.into(), 0.into())), "only the Parquet has all of it: {found:?}");
    say("input messages longer than the topic of rejects takes: cut off there, whole in the Parquet");
    Ok(())
}

/// The input deleted and made anew: empty, with more messages than were read, and under a run.
fn made_anew(rig: &Rig, pipeline: &Pipeline) -> Result<()> {
    let again = || -> Result<()> {
        rig.topics(&["--delete", "--topic", "small"])?;
        rig.topics(&["--create", "--topic", "small", "--partitions", "1", "--replication-factor", "1"]).map(drop)
    };
    let send = |rows: &str| -> Result<()> {
        let send = ["produce", "--anew", "--limit", rows, "--topic", "small", "--input", "pages.csv"];
        stdout(&mut pipeline.call(&send)).map(drop)
    };
    let goes_on = || -> Result<()> {
        let read = pipeline.to_the_end_with(&["--on-data-loss", "earliest"])?;
        let sent = pipeline.count_messages(&rig.bootstrap(), "small")?;
        ensure!(read["rows"].as_u64() == Some(sent), "{sent} messages in the new topic, and {read}");
        pipeline.audited(&pipeline.delivered_in_slots()?).map(drop)
    };
    send("500")?;
    pipeline.to_the_end()?;
    again()?;
    stops(pipeline, "E-KAFKA-GONE")?;
    say("the input deleted and made anew, empty: E-KAFKA-GONE");
    send("1000")?;
    stops(pipeline, "E-KAFKA-GONE")?;
    goes_on()?;
    say("the same with more messages than were read: E-KAFKA-GONE, and with --on-data-loss all of the new topic");

    let mut worker = Running::start(pipeline.loud(&["run"]))?;
    send("100")?;
    moves(pipeline, &mut worker)?;
    again()?;
    send("5000")?;
    ends_with(pipeline, worker, &["E-KAFKA-GONE"], 4)?;
    say("the input deleted and made anew under a run: E-KAFKA-GONE");
    goes_on()
}
