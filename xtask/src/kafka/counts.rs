//! How many pages each cluster was given: the page, the API, the metrics, the Parquet and the topics must all say the same, after a kill and
//! a restart, from the run itself and from its finished output.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::run::{CLUSTERS, Pipeline};
use super::standby::committed;
use super::{Rig, Version};
use crate::campaign;
use crate::page::check_browser;
use crate::served::Served;
use crate::shell::{fresh_dir, program, say, stdout, wait_for, windrow};

const ROWS: usize = 40_000;
const PATIENCE_S: f64 = 60.0;

pub(crate) type Counts = BTreeMap<String, u64>;

/// What one server says, by cluster.
#[derive(Deserialize)]
pub(crate) struct Told {
    /// What a reader of the page sees.
    page: Counts,
    messages: Counts,
    /// Those that are alive.
    clusters: Counts,
    /// The largest that are alive; the others together as `other`.
    metrics: Counts,
}

pub(crate) fn counts() -> Result<()> {
    check_browser()?;
    let rig = Rig::start(Version::NEWEST)?;
    let (windrow, dir) = (windrow("fast", &["failpoints"])?, fresh_dir("kafka-counts")?.canonicalize()?);
    let pages = dir.join("pages.csv");
    campaign::write(&pages, 0, ROWS)?;
    let pipeline = Pipeline::new(&windrow, &rig.bootstrap(), &dir, "counts", "pages", "roll_seconds = 1")?;
    pipeline.make_topics(2)?;
    let sent: Value =
        serde_json::from_str(&stdout(pipeline.call(&["produce", "-o", "json", "--topic", "pages", "--input"]).arg(&pages))?)?;
    let sent = sent["rows"].as_u64().context("rows sent")?;
    pipeline.killed_at("kafka-after-commit", 3)?;
    ensure!(committed(&pipeline)? < sent, "the kill came too late");

    let run = Served::start(&mut pipeline.call(&["run", "-X", "queued.max.messages.kbytes=1024"]))?;
    let all = wait_for(PATIENCE_S, || Ok((committed(&pipeline)? == sent).then_some(())))?;
    all.with_context(|| format!("{} of {sent} rows are committed", committed(&pipeline).unwrap_or_default()))?;
    let found = pipeline.delivered_in_slots()?;
    let delivered: Counts = serde_json::from_value(found["by_cluster"].clone())?;
    let total: u64 = delivered.values().sum();
    ensure!(total == found["pages"].as_u64().unwrap_or(0) && delivered.len() >= CLUSTERS as usize, "{found}");

    // Its board may be a moment behind its commit.
    let mut differs = None;
    wait_for(PATIENCE_S, || {
        differs = same("the run", &ask(&run)?, &delivered).err();
        Ok(differs.is_none().then_some(()))
    })?;
    differs.map_or(Ok(()), Err)?;
    drop(run);
    same("its output", &ask(&Served::start(&mut pipeline.call(&["serve"]))?)?, &delivered)?;
    say(format_args!(
        "counts: {total} pages of {} clusters, after a kill and a restart: page, API, metrics, Parquet and topics say the same",
        delivered.len()
    ));
    Ok(())
}

pub(crate) fn ask(server: &Served) -> Result<Told> {
    let text = stdout(program("node").arg("e2e/page/counts.mjs").arg(server.url()))?;
    serde_json::from_str(&text).with_context(|| format!("no counts: {text}"))
}

pub(crate) fn same(who: &str, told: &Told, delivered: &Counts) -> Result<()> {
    ensure!(told.page == *delivered, "{who}: the page says {:?}, readers of the topics found {delivered:?}", told.page);
    ensure!(told.messages == *delivered, "{who}: /messages says {:?}, readers found {delivered:?}", told.messages);
    let is_one = |(cluster, pages): (&String, &u64)| delivered.get(cluster) == Some(pages);
    ensure!(!told.clusters.is_empty() && told.clusters.iter().all(is_one), "{who}: /clusters: {:?}", told.clusters);
    let single = told.metrics.iter().filter(|(cluster, _)| *cluster != "other");
    let (n, fits) = (single.clone().count(), single.clone().all(is_one));
    let total: u64 = told.metrics.values().sum();
    ensure!(n == told.clusters.len() && fits, "{who}: /metrics: {:?}, readers found {delivered:?}", told.metrics);
    ensure!(total == delivered.values().sum::<u64>(), "{who}: /metrics: {total} in all, readers found {delivered:?}");
    Ok(())
}
