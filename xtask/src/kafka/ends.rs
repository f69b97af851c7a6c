//! How a run ends when its transactions can go no further: with the cause, whatever call comes upon it first; and how it does not end when
//! it was only slow.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::run::{CLUSTERS, Pipeline};
use super::standby::{Running, committed, committed_beyond, leaves};
use super::{Rig, Setup, Version};
use crate::campaign::{self, Chance};
use crate::python::{CLIENTS, script};
use crate::shell::{fresh_dir, let_pass, output, say, stdout, wait_for, windrow};

const ROWS: usize = 150_000;
const RATE: &str = "3000";
const PATIENCE_S: f64 = 90.0;
/// Where a worker stops, all that it has sent of its third transaction being with the broker; and how long: past the time that it may last.
const WITHIN: &str = "kafka-before-offsets:3:STOP";
const STOPPED: Duration = Duration::from_secs(6);
/// How long the broker is dead: longer than any call to it waits.
const DEAD_S: f64 = 15.0;
const TRANSACTION_MS: &str = "transaction.timeout.ms=3000";

pub(crate) fn ends() -> Result<()> {
    // Brokers look for transactions that took too long every ten seconds, if nobody says otherwise.
    let key = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
    let mut rig = Setup::new(Version::NEWEST).with(key, "500").start()?;
    let (windrow, dir) = (windrow("fast", &["failpoints"])?, fresh_dir("kafka-ends")?.canonicalize()?);
    let stage = Stage { windrow, servers: rig.bootstrap(), pages: dir.join("pages.csv") };
    campaign::write(&stage.pages, 0, ROWS)?;
    let pipeline = stage.pipeline(&dir.join("first"))?;
    pipeline.make_topics(1)?;
    let producer = stage.feed(&pipeline)?;
    only_slow(&stage.servers, &pipeline)?;
    let producer = dies_meanwhile(&mut rig, &stage, &pipeline, producer)?;
    let heir = two_owners(&stage, &pipeline, &dir)?;
    drop(producer);
    two_producers(&stage, &heir)?;
    heir.to_the_end()?;
    let found = heir.delivered_in_slots()?;
    heir.audited(&found)?;
    too_large(&rig, &heir)?;
    topic_gone(&rig, &stage, &heir)?;
    say(format_args!("ends: each with its cause; {} pages, each once", found["pages"]));
    Ok(())
}

struct Stage {
    windrow: PathBuf,
    servers: String,
    pages: PathBuf,
}

impl Stage {
    fn pipeline(&self, dir: &Path) -> Result<Pipeline> {
        std::fs::create_dir_all(dir)?;
        Pipeline::new(&self.windrow, &self.servers, dir, "ends", "pages", "roll_seconds = 1")
    }

    fn feed(&self, pipeline: &Pipeline) -> Result<Running> {
        let mut produce = pipeline.loud(&["produce", "--topic", "pages", "--rate", RATE, "--loop", "--input"]);
        produce.arg(&self.pages);
        Running::start(produce)
    }
}

/// Waits until a process has ended by itself, as it should.
fn ends_with(pipeline: &Pipeline, process: &mut Running, exit: i32, code: &str) -> Result<()> {
    let status = wait_for(PATIENCE_S, || process.ended())?.with_context(|| format!("{code}: it goes on"))?;
    let said = std::fs::read_to_string(pipeline.dir.join("said.log")).unwrap_or_default();
    let last = said.rfind("error[").map_or("", |at| &said[at..]);
    ensure!(status.code() == Some(exit) && last.starts_with(&format!("error[{code}]")), "expected {code}: {status}: {last}");
    Ok(())
}

/// A worker that stood still for too long, and has no rival, goes on.
fn only_slow(servers: &str, pipeline: &Pipeline) -> Result<()> {
    let mut run = pipeline.loud(&["run", "-X", TRANSACTION_MS]);
    run.env("WINDROW_FAILPOINT", WITHIN);
    let mut worker = Running::start(run)?;
    let claims = || -> Result<u32> { Ok(stdout(script(CLIENTS, "topics.py")?.args(["claims", servers]))?.trim().parse()?) };
    loses_a_transaction(&mut worker)?;
    wait_for(PATIENCE_S, || Ok((claims()? >= 2).then_some(())))?.context("it does not claim the topics again")?;
    committed_beyond(pipeline, committed(pipeline)?)?;
    ensure!(worker.is_alive()?, "it ended while it stood still");
    leaves(worker)?;
    say("a worker that stood still, past the end of its transaction: began again");
    Ok(())
}

/// Waits until a worker has stopped within a transaction, and wakes it when that has taken too long.
fn loses_a_transaction(worker: &mut Running) -> Result<()> {
    worker.stops(PATIENCE_S)?.context("it meets no transaction")?;
    let_pass(STOPPED);
    worker.signal("CONT")
}

/// A broker that dies while a worker begins again ends the connections that it has just made. It wants no login: the worker lives on.
fn dies_meanwhile(rig: &mut Rig, stage: &Stage, pipeline: &Pipeline, producer: Running) -> Result<Running> {
    let mut run = pipeline.loud(&["run", "-X", TRANSACTION_MS]);
    run.env("WINDROW_FAILPOINT", format!("{WITHIN},kafka-after-claim:2:STOP"));
    let mut worker = Running::start(run)?;
    loses_a_transaction(&mut worker)?;
    worker.stops(PATIENCE_S)?.context("it does not claim the topics again")?;
    rig.kill()?;
    worker.signal("CONT")?;
    let ended = wait_for(DEAD_S, || worker.ended())?;
    ensure!(ended.is_none(), "the broker died as the worker began again, and the worker ended: {}", pipeline.said_last()?);
    rig.restart()?;
    drop(producer);
    let producer = stage.feed(pipeline)?;
    committed_beyond(pipeline, committed(pipeline)?)?;
    leaves(worker)?;
    say("a broker that died while the worker began again: the same worker got on");
    Ok(producer)
}

/// Two runs own copies of one state, as no lock can see: the one that came later stays.
fn two_owners(stage: &Stage, pipeline: &Pipeline, dir: &Path) -> Result<Pipeline> {
    // A copy knows nothing of the rolls of the other.
    let run = |pipeline: &Pipeline| {
        let mut run = pipeline.loud(&["run"]);
        run.env("WINDROW__OUTPUT__ROLL_SECONDS", "3000").env("WINDROW__OUTPUT__ROLL_ROWS", "0");
        Running::start(run)
    };
    let copy = dir.join("second");
    stdout(Command::new("cp").arg("-a").arg(&pipeline.dir).arg(&copy))?;
    let mut first = run(pipeline)?;
    delivers(pipeline)?;
    let second = stage.pipeline(&copy)?;
    let mut heir = run(&second)?;
    ends_with(pipeline, &mut first, 5, "E-FENCED")?;
    delivers(&second)?;
    ensure!(heir.is_alive()?, "the heir ended");
    leaves(heir)?;
    say("two owners of one pipeline: E-FENCED for the first");
    Ok(second)
}

/// More pages come into the topics.
fn delivers(pipeline: &Pipeline) -> Result<()> {
    let pages = || -> Result<u64> { Ok(pipeline.objects(&["clusters", "--from-topics"])?[0]["pages"].as_u64().unwrap_or(0)) };
    let before = pages()?;
    wait_for(PATIENCE_S, || Ok((pages()? > before).then_some(())))?.context("no page is delivered any more")
}

fn two_producers(stage: &Stage, pipeline: &Pipeline) -> Result<()> {
    let size = || -> Result<u64> {
        Ok(stdout(script(CLIENTS, "topics.py")?.args(["size", &stage.servers, "pages"]))?.trim().parse()?)
    };
    let before = size()?;
    let mut first = stage.feed(pipeline)?;
    wait_for(PATIENCE_S, || Ok((size()? > before).then_some(())))?.context("nothing was sent")?;
    let mut second = stage.feed(pipeline)?;
    ends_with(pipeline, &mut first, 5, "E-FENCED")?;
    ensure!(second.is_alive()?, "the second ended");
    say("two producers of one input: E-FENCED for the first");
    Ok(())
}

/// Also when others come behind it.
fn too_large(rig: &Rig, pipeline: &Pipeline) -> Result<()> {
    let servers = rig.bootstrap();
    let limit = |change: &[&str]| {
        (0..CLUSTERS).try_for_each(|slot| {
            let topic = format!("ends_{slot}");
            let of = ["--bootstrap-server", &servers, "--alter", "--entity-type", "topics", "--entity-name", &topic];
            rig.tool("kafka.admin.ConfigCommand", &[&of[..], change].concat()).map(drop)
        })
    };
    // By chance, for the limit is on what is left of it when it is packed.
    let mut chance = Chance::new(7);
    let long: String = (0..700_000).map(|_| char::from(b'a' + u8::try_from(chance.below(26)).unwrap_or(0))).collect();
    let rows: String = (0..2_000).map(|n| format!("https://short.example/{n},page {n}\n")).collect();
    std::fs::write(pipeline.dir.join("long.csv"), format!("url,title\nhttps://long.example/,{long}\n{rows}"))?;
    stdout(&mut pipeline.call(&["produce", "--topic", "pages", "--input", "long.csv"]))?;
    limit(&["--add-config", "max.message.bytes=100000"])?;
    let done = output(&mut pipeline.call(&["run", "--until-end"]))?;
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(done.status.code() == Some(4) && told.contains("E-KAFKA-SIZE"), "{}: {told}", done.status);
    limit(&["--delete-config", "max.message.bytes"])?;
    let done = pipeline.to_the_end()?;
    ensure!(done["rows"] == 2_001, "{done}");
    say("a message too long, and others behind it: E-KAFKA-SIZE");
    Ok(())
}

fn topic_gone(rig: &Rig, stage: &Stage, pipeline: &Pipeline) -> Result<()> {
    let _producer = stage.feed(pipeline)?;
    let mut worker = Running::start(pipeline.loud(&["run"]))?;
    committed_beyond(pipeline, committed(pipeline)?)?;
    (0..CLUSTERS).try_for_each(|slot| rig.topics(&["--delete", "--topic", &format!("ends_{slot}")]).map(drop))?;
    ends_with(pipeline, &mut worker, 4, "E-KAFKA-TOPIC")?;
    say("the topics of the clusters deleted under load: E-KAFKA-TOPIC");
    Ok(())
}
