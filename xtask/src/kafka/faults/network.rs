//! A bad network between the worker and its broker: answers that are late, connections that are reset, frames that nobody answers, and
//! commits whose answer alone is lost.
//!
//! The broker tells its clients to use the proxy's address; who feeds and who counts goes another way in. Each fault must have hit, and the
//! worker must get on by itself after it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::proxy::{Fault, Proxy};
use super::super::run::Pipeline;
use super::super::standby::Running;
use super::super::{Setup, Version};
use super::{Extent, Feed, all_there, moves};
use crate::campaign;
use crate::shell::{Watch, fresh_dir, let_pass, say, wait_for};

/// How long a frame is under way.
const DELAY: Duration = Duration::from_millis(300);
/// Between two resets.
const BETWEEN: Duration = Duration::from_millis(700);
/// A transaction that lasts longer than the records of claims are waited for.
const LASTING: &str = "transaction.timeout.ms=600000";
/// Shorter than librdkafka's own, so that a minute shows what takes an hour: a request, and a transaction.
const KEYS: [&str; 4] = ["-X", "socket.timeout.ms=6000", "-X", "transaction.timeout.ms=10000"];

pub(super) fn network(windrow: &Path, extent: &Extent) -> Result<()> {
    let watch = Watch::start();
    let advertised = "CLIENT://127.0.0.1:{spare0},INNER://127.0.0.1:{inner}";
    let rig = Setup::new(Version::NEWEST).with("advertised.listeners", advertised).start()?;
    let proxy = Proxy::start(rig.spare(0), rig.client_port())?;
    let dir = fresh_dir("kafka-network")?.canonicalize()?;
    campaign::write(&dir.join("pages.csv"), 0, extent.round())?;
    let pipeline = Pipeline::new(windrow, &proxy.address(), &dir, "netted", "pages", "roll_seconds = 1")?;
    pipeline.make_topics(3)?;
    let feed = Feed::start(&pipeline, &rig.inner(), "pages", extent)?;
    let mut worker = Running::start(pipeline.loud(&[&["run"], &KEYS[..]].concat()))?;
    moves(&pipeline, &mut worker)?;

    proxy.set(Fault::Delay(DELAY));
    moves(&pipeline, &mut worker).context("with late answers")?;
    proxy.set(Fault::None);
    say(format_args!("{} frames were {DELAY:?} late in either direction", hits(&proxy.hits().delayed)?));

    for _ in 0..extent.resets {
        proxy.reset_all()?;
        let_pass(BETWEEN);
    }
    moves(&pipeline, &mut worker).context("after resets")?;
    say(format_args!("{} connections were reset in {} goes", hits(&proxy.hits().reset)?, extent.resets));

    proxy.set(Fault::BlackHole);
    let_pass(extent.black_hole);
    proxy.set(Fault::None);
    moves(&pipeline, &mut worker).context("after a black hole")?;
    say(format_args!("{} frames were swallowed in {:?}", hits(&proxy.hits().swallowed)?, extent.black_hole));

    for round in 0..extent.cuts {
        cut(&proxy)?;
        if round % 2 == 1 {
            // The worker that never knew of its commit dies: the next one finds out.
            worker.signal("KILL")?;
            worker = Running::start(pipeline.loud(&[&["run"], &KEYS[..]].concat()))?;
        }
        moves(&pipeline, &mut worker).context("after the answer to a commit was lost")?;
    }
    say(format_args!("{} answers to commits were cut off, the commits done", hits(&proxy.hits().cut)?));
    worker = left_open(&proxy, &pipeline, worker)?;

    feed.end()?;
    let found = all_there(&pipeline, &rig.inner(), "pages", worker)?;
    say(format_args!(
        "network: {} pages and {} rejects, each once; {:.0} s",
        found["pages"],
        found["rejects"],
        watch.seconds()
    ));
    Ok(())
}

/// A worker whose commit no broker hears of gives it up, and begins again beside its own open transaction, which lasts longer than anybody
/// waits for, and stands before whatever claims there are.
fn left_open(proxy: &Proxy, pipeline: &Pipeline, worker: Running) -> Result<Running> {
    worker.signal("KILL")?;
    drop(worker);
    let mut run = pipeline.loud(&["run", "-X", "socket.timeout.ms=6000", "-X", LASTING]);
    run.env("WINDROW_FAILPOINT", "kafka-before-commit:3:STOP");
    let mut worker = Running::start(run)?;
    worker.stops(super::PATIENCE_S)?.context("it never came to its commit")?;
    proxy.set(Fault::BlackHole);
    worker.signal("CONT")?;
    let begins_again = || Ok((pipeline.waits_for()?.as_deref() == Some("E-KAFKA-AGAIN")).then_some(()));
    let given_up = wait_for(super::PATIENCE_S, begins_again)?;
    proxy.set(Fault::None);
    given_up.context("the commit is not given up")?;
    let watch = Watch::start();
    moves(pipeline, &mut worker).context("beside its own open transaction")?;
    say(format_args!("a commit that no broker heard of: begun again beside it, on after {:.0} s", watch.seconds()));
    Ok(worker)
}

/// What has hit nothing proves nothing.
fn hits(counter: &AtomicU64) -> Result<u64> {
    let hits = counter.load(Ordering::Relaxed);
    ensure!(hits > 0, "the fault has hit nothing");
    Ok(hits)
}

/// Cuts the answer to one commit off, at least.
fn cut(proxy: &Proxy) -> Result<()> {
    let counter = &proxy.hits().cut;
    let before = counter.load(Ordering::Relaxed);
    proxy.set(Fault::CutCommits);
    let hit = wait_for(super::PATIENCE_S, || Ok((counter.load(Ordering::Relaxed) > before).then_some(())))?;
    proxy.set(Fault::None);
    hit.context("no answer to a commit came by")
}
