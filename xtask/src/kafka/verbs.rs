//! What looks at the topics of a pipeline from outside, `windrow tail`, `clusters --from-topics` and `rejects`, held against what an independent
//! reader of committed messages finds there (e2e/topics.py), also when others write into them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::run::{CLUSTERS, Hold, Pipeline};
use super::topics::documented;
use super::{Rig, Version};
use crate::python::{CLIENTS, script};
use crate::shell::{fresh_dir, output, root, say, shared_data, stdout, wait_for, windrow};

const NEWS: &str = "google_news_2013.csv.gz";
const SAMPLE: &str = "examples/data/sample_campaign_data_2023.csv";
const NAME: &str = "verbs";
/// Pages that `tail` is asked for.
const LAST: usize = 250;
/// The rejects that are sent once more.
const REASON: &str = "bad_json";
/// Seconds that something may take to be shown.
const PATIENCE_S: f64 = 60.0;

/// What the independent reader finds.
#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Found {
    pub(super) pages: BTreeMap<String, BTreeMap<String, u64>>,
    pub(super) owners: u64,
    others: u64,
    pub(super) newest: Vec<(String, i64, i64)>,
}

impl Found {
    /// What stands in the topics of slots whose names begin so, with the newest so many pages.
    pub(super) fn read(rig: &Rig, prefix: &str, last: usize) -> Result<Self> {
        let mut reader = script(CLIENTS, "topics.py")?;
        reader.args(["count", &rig.bootstrap(), prefix, &CLUSTERS.to_string(), &last.to_string()]);
        Ok(serde_json::from_str(&stdout(&mut reader)?)?)
    }

    pub(super) fn total(&self) -> u64 {
        self.pages.values().flat_map(BTreeMap::values).sum()
    }
}

struct Stage {
    rig: Rig,
    pipeline: Pipeline,
    dir: PathBuf,
}

impl Stage {
    fn start() -> Result<Self> {
        let (rig, dir) = (Rig::start(Version::NEWEST)?, fresh_dir("kafka-verbs")?.canonicalize()?);
        let pipeline = Pipeline::new(&windrow("fast", &["failpoints"])?, &rig.bootstrap(), &dir, NAME, "pages", "")?;
        Ok(Self { rig, pipeline, dir })
    }

    fn found(&self) -> Result<Found> {
        Found::read(&self.rig, &format!("{NAME}_"), LAST)
    }

    /// Others write into the topic of the first slot.
    fn strangers(&self) -> Result<()> {
        let topic = format!("{NAME}_0");
        stdout(script(CLIENTS, "topics.py")?.args(["add", &self.rig.bootstrap(), &topic])).map(drop)
    }

    /// Messages of a topic, as the reader counts them.
    fn size(&self, topic: &str) -> Result<u64> {
        Ok(stdout(script(CLIENTS, "topics.py")?.args(["size", &self.rig.bootstrap(), topic]))?.trim().parse()?)
    }

    fn objects(&self, args: &[&str]) -> Result<Vec<Value>> {
        self.pipeline.objects(args)
    }

    /// What it says on stderr besides.
    fn said(&self, args: &[&str]) -> Result<(String, String)> {
        let done = output(&mut self.pipeline.loud(args))?;
        ensure!(done.status.success(), "{args:?}: {}: {}", done.status, String::from_utf8_lossy(&done.stderr));
        Ok((String::from_utf8(done.stdout)?, String::from_utf8_lossy(&done.stderr).into_owned()))
    }

    /// A call that goes on, writing into a file.
    fn begun(&self, args: &[&str], file: &str) -> Result<(Child, PathBuf)> {
        let path = self.dir.join(file);
        let mut command = self.pipeline.call(args);
        let child = command.stdout(File::create(&path)?).stderr(Stdio::null()).spawn()?;
        Ok((child, path))
    }
}

pub(crate) fn verbs() -> Result<()> {
    let stage = Stage::start()?;
    stage.pipeline.make_topics(2)?;
    let input = shared_data(NEWS).unwrap_or_else(|| {
        say(format_args!("../shared/data/{NEWS} is not there: the sample stands in for it"));
        root().join(SAMPLE)
    });
    stdout(stage.pipeline.call(&["produce", "--input"]).arg(input))?;
    stdout(script(CLIENTS, "producer.py")?.args([&stage.rig.bootstrap(), "pages", "garbage"]).arg(root().join(SAMPLE)))?;
    let done = stage.pipeline.to_the_end()?;
    let found = counted(&stage)?;
    ensure!(Some(found.total()) == done["total"]["pages"].as_u64(), "{} pages in the topics: {done}", found.total());
    tailed(&stage, &found)?;
    by_cluster(&stage, &found)?;
    let rejects = rejected(&stage, &done)?;
    stage.strangers()?;
    among_strangers(&stage, &found)?;
    waited(&stage)?;
    followed(&stage)?;
    grown(&stage)?;
    deleted(&stage)?;
    say(format_args!(
        "verbs: {} pages and {} owners counted in the topics as an independent reader does; the newest {LAST}, every cluster's pages, \
         strangers' messages and followers the same; {rejects} rejects listed, shown, replayed once with two kills, purged",
        found.total(),
        found.owners
    ));
    Ok(())
}

fn fields(object: &Value) -> BTreeSet<String> {
    object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).filter(|name| name != "schema").collect()
}

/// `clusters --from-topics` counts what the reader counts.
fn counted(stage: &Stage) -> Result<Found> {
    let found = stage.found()?;
    let objects = stage.objects(&["clusters", "--from-topics"])?;
    let [object] = objects.as_slice() else { anyhow::bail!("one object: {objects:?}") };
    ensure!(fields(object) == documented("windrow.counts/1")?, "docs/reference/json.md: {object}");
    same_counts(object, &found)?;
    Ok(found)
}

pub(super) fn same_counts(object: &Value, found: &Found) -> Result<()> {
    let number = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for topic in object["topics"].as_array().context("topics")? {
        let clusters = counts.entry(topic["topic"].as_str().unwrap_or_default().to_owned()).or_default();
        for one in topic["clusters"].as_array().context("clusters")? {
            clusters.insert(one["cluster"].as_u64().map(|id| id.to_string()).unwrap_or_default(), number(&one["pages"]));
        }
    }
    ensure!(counts == found.pages, "counted {counts:?}, the reader found {:?}", found.pages);
    let sums = ["pages", "owners", "others"].map(|name| number(&object[name]));
    ensure!(sums == [found.total(), found.owners, found.others], "{sums:?}: owners {}, others {}", found.owners, found.others);
    Ok(())
}

pub(super) fn place(object: &Value) -> (String, i64, i64) {
    let number = |name: &str| object[name].as_i64().unwrap_or(-1);
    (object["topic"].as_str().unwrap_or_default().to_owned(), number("partition"), number("offset"))
}

/// The newest pages of all, in the order of their time.
fn tailed(stage: &Stage, found: &Found) -> Result<()> {
    let shown = stage.objects(&["tail", "--last", &LAST.to_string()])?;
    let documented = documented("windrow.message/1")?;
    ensure!(shown.iter().all(|object| fields(object) == documented), "docs/reference/json.md: {:?}", shown.first());
    let places: Vec<_> = shown.iter().map(place).collect();
    ensure!(places == found.newest, "{} are shown, {} are the newest", places.len(), found.newest.len());
    let whole =
        shown.iter().all(|one| one["page"]["record_id"] == one["record_id"] && one["page"]["cluster"] == one["cluster"]);
    ensure!(whole, "headers and value disagree");
    Ok(())
}

/// Asked for a cluster by its id, or for its topic.
fn by_cluster(stage: &Stage, found: &Found) -> Result<()> {
    for (topic, clusters) in &found.pages {
        for (cluster, pages) in clusters {
            let shown = stage.objects(&["tail", cluster, "--last", "1000000"])?;
            let is_its = |one: &Value| one["topic"] == topic.as_str() && one["cluster"].as_u64() == cluster.parse().ok();
            ensure!(shown.iter().all(is_its) && shown.len() as u64 == *pages, "cluster {cluster}: {} of {pages}", shown.len());
        }
        if clusters.len() > 1 || topic.ends_with("_0") {
            let shown = stage.objects(&["tail", topic, "--last", "1000000"])?.len() as u64;
            ensure!(shown == clusters.values().sum::<u64>(), "{topic}: {shown} pages");
        }
    }
    Ok(())
}

/// A slot's topic holds the pages of a former owner, and what is no page; nothing of it reaches a terminal.
fn among_strangers(stage: &Stage, before: &Found) -> Result<()> {
    let found = counted(stage)?;
    ensure!(found.total() == before.total() + 3 && found.others == before.others + 1, "{} pages", found.total());
    tailed_places(stage, &found)?;
    let topic = format!("{NAME}_0");
    let owners = before.pages.get(&topic).context("the first slot")?;
    let (owner, pages) = owners.first_key_value().context("an owner")?;
    let shown = stage.objects(&["tail", owner, "--last", "1000000"])?;
    ensure!(shown.len() as u64 == *pages, "cluster {owner} has {pages} pages, {} are shown", shown.len());
    let shown = stage.objects(&["tail", "999"])?;
    ensure!(shown.len() == 1 && shown[0]["page"]["title"] == "of a former owner", "{shown:?}");

    let (text, told) = stage.said(&["tail", &topic, "--last", "1000000", "--line", "{cluster} {title}"])?;
    let hostile = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
    ensure!(hostile.is_none() && text.contains("gone next\n"), "{hostile:?} reaches the terminal");
    ensure!(told.contains("2 messages that hold no page") && told.contains("announcement"), "{told}");
    let (_, told) = stage.said(&["tail", owner, "--last", "1000000"])?;
    ensure!(told.contains("pages of other clusters"), "{told}");
    let refused = output(&mut stage.pipeline.call(&["tail", "998"]))?;
    ensure!(refused.status.code() == Some(2), "there is no cluster 998: {}", refused.status);
    Ok(())
}

/// What was committed behind an open transaction is waited for, and said to be.
fn waited(stage: &Stage) -> Result<()> {
    let hold = Hold::on(&stage.rig.bootstrap(), &format!("{NAME}_0"))?;
    stage.strangers()?;
    let mut count = stage.pipeline.loud(&["clusters", "--from-topics", "-o", "json"]);
    let mut count = count.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let said = BufReader::new(count.stderr.take().context("its talk")?).lines();
    let told = said.map_while(Result::ok).find(|line| line.contains("open transaction") && line.contains("waiting"));
    hold.release()?;
    let done = count.wait_with_output()?;
    ensure!(told.is_some() && done.status.success(), "nobody says that a transaction is waited for: {}", done.status);
    same_counts(&serde_json::from_slice(&done.stdout)?, &stage.found()?)
}

fn tailed_places(stage: &Stage, found: &Found) -> Result<()> {
    let places: Vec<_> = stage.objects(&["tail", "--last", &LAST.to_string()])?.iter().map(place).collect();
    ensure!(places == found.newest, "not the newest among strangers: {:?}", places.last());
    Ok(())
}

/// What comes is shown while it comes; Ctrl-C ends it well, and so does a reader that has seen enough.
fn followed(stage: &Stage) -> Result<()> {
    let (mut tail, shown) = stage.begun(&["tail", "--follow", "--last", "1", "-o", "json"], "follow.jsonl")?;
    let (mut watch, counts) = stage.begun(&["clusters", "--watch", "--from-topics", "-o", "json"], "watch.jsonl")?;
    let mut piped = stage.pipeline.call(&["tail", "--follow", "--last", "0"]);
    let mut piped = piped.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let done = (|| {
        until(&shown, "a first page", |lines| lines.len() == 1)?;
        until(&counts, "a first count", |lines| lines.len() == 1)?;
        stage.strangers()?;
        let found = stage.found()?;
        let came = until(&shown, "two pages", |lines| lines.len() == 3)?;
        let newest: Vec<_> = came[1..].iter().map(place).collect();
        ensure!(newest == found.newest[found.newest.len() - 2..], "followed {newest:?}");
        until(&counts, "a count of them", |lines| lines.last().is_some_and(|last| same_counts(last, &found).is_ok()))?;
        drop(piped.stdout.take());
        let ended = wait_for(PATIENCE_S, || Ok(piped.try_wait()?))?.context("nobody reads, and tail goes on")?;
        ensure!(ended.success(), "nobody reads: {ended}");
        Ok(())
    })();
    let ended = [(&mut tail, 0), (&mut watch, 130)].map(|(child, wanted)| {
        stdout(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
        let ended = child.wait()?;
        ensure!(ended.code() == Some(wanted), "Ctrl-C: {ended}, not {wanted}");
        Ok(())
    });
    // Ended already where all went well.
    let _ = piped.kill();
    let _ = piped.wait();
    done?;
    ended.into_iter().collect()
}

/// Partitions and topics that are added under those who follow are followed too, from their first message.
fn grown(stage: &Stage) -> Result<()> {
    let (wide, late) = (format!("{NAME}_0"), format!("{NAME}_{}", CLUSTERS - 1));
    let is_there = || -> Result<bool> { Ok(stage.rig.topics(&["--list"])?.lines().any(|topic| topic == late)) };
    stage.rig.topics(&["--delete", "--topic", &late])?;
    wait_for(PATIENCE_S, || Ok((!is_there()?).then_some(())))?.context("a topic that cannot be deleted")?;
    let (mut tail, shown) = stage.begun(&["tail", "--follow", "--last", "1", "-o", "json"], "grown.jsonl")?;
    let (mut watch, counts) = stage.begun(&["clusters", "--watch", "--from-topics", "-o", "json"], "grown-counts.jsonl")?;
    let done = (|| {
        until(&shown, "a first page", |lines| lines.len() == 1)?;
        until(&counts, "a first count", |lines| lines.len() == 1)?;
        stage.rig.topics(&["--alter", "--topic", &wide, "--partitions", "3"])?;
        stage.rig.topics(&["--create", "--topic", &late, "--partitions", "1", "--replication-factor", "1"])?;
        for (topic, partition) in [(&wide, "2"), (&late, "0")] {
            stdout(script(CLIENTS, "topics.py")?.args(["add", &stage.rig.bootstrap(), topic, partition]))?;
        }
        let found = stage.found()?;
        until(&counts, "a count of what was added", |lines| {
            lines.last().is_some_and(|last| same_counts(last, &found).is_ok())
        })?;
        let came = until(&shown, "four pages", |lines| lines.len() == 5)?;
        let places: BTreeSet<_> = came[1..].iter().map(|one| (one["topic"].to_string(), one["partition"].as_i64())).collect();
        ensure!(places.len() == 2, "the new partition and the new topic: {places:?}");
        Ok(())
    })();
    for child in [&mut tail, &mut watch] {
        stdout(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
        child.wait()?;
    }
    done
}

/// Rejects of the Parquet and of the topic: the same; sent once more, once; and deleted. Gives how many.
fn rejected(stage: &Stage, done: &Value) -> Result<u64> {
    let counts = |args: &[&str]| -> Result<BTreeMap<String, u64>> {
        let objects = stage.objects(&[&["rejects", "list"], args].concat())?;
        let counted = |one: &Value| Some((one["reason"].as_str()?.to_owned(), one["rejects"].as_u64()?));
        objects.iter().map(|one| counted(one).with_context(|| one.to_string())).collect()
    };
    let said: BTreeMap<String, u64> = serde_json::from_value(done["rejects_by_reason"].clone())?;
    let (of_parquet, of_topic) = (counts(&[])?, counts(&["--from-topics"])?);
    ensure!(of_parquet == said && of_topic == said && said.len() > 3, "{said:?}, Parquet {of_parquet:?}, topic {of_topic:?}");
    let total: u64 = said.values().sum();
    let bytes = |args: &[&str]| -> Result<BTreeSet<String>> {
        let objects = stage.objects(&[&["rejects", "show", "--last", "100000"], args].concat())?;
        Ok(objects
            .iter()
            .map(|one| format!("{} {} {} {}", one["record_id"], one["reason"], one["source"], one["raw_hex"]))
            .collect())
    };
    let shown = bytes(&[])?;
    ensure!(shown == bytes(&["--from-topics"])? && shown.len() as u64 == total, "{} of {total} are shown", shown.len());
    let (text, _) = stage.said(&["rejects", "show", "--last", "100000"])?;
    let hostile = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
    ensure!(hostile.is_none(), "{hostile:?} reaches the terminal");

    replayed(stage, &said)?;
    let refused = [&["rejects", "purge", "--yes"][..], &["rejects", "purge", "--from-topics"]];
    for args in refused {
        let ended = output(&mut stage.pipeline.call(args))?;
        ensure!(ended.status.code() == Some(2), "{args:?}: {}", ended.status);
    }
    ensure!(stage.size("windrow-rejects")? > total, "refused, and something is gone");
    let purged = stage.objects(&["rejects", "purge", "--from-topics", "--yes"])?;
    ensure!(fields(&purged[0]) == documented("windrow.purge/1")?, "docs/reference/json.md: {}", purged[0]);
    ensure!(stage.size("windrow-rejects")? == 0, "something is left in windrow-rejects");
    let again = |more: &[&str]| stage.objects(&[&["rejects", "replay", "--reason", REASON, "--dry-run"], more].concat());
    let wanted = 2 * said[REASON];
    let forgotten = again(&[])?;
    ensure!(forgotten[0]["sent"] == 0 && forgotten[0]["forgotten"] == wanted, "the notes are gone: {forgotten:?}");
    ensure!(again(&["--forgotten"])?[0]["sent"] == wanted, "wanted all the same");
    ensure!(counts(&[])?.values().sum::<u64>() > total, "the Parquet lost rejects");
    Ok(total)
}

/// Sent once more: the pipeline rejects them again. Called again, from the other place too, nothing is sent.
fn replayed(stage: &Stage, said: &BTreeMap<String, u64>) -> Result<()> {
    let wanted = said.get(REASON).copied().unwrap_or(0);
    let before = stage.size("pages")?;
    let replay = |args: &[&str]| -> Result<Value> {
        let objects = stage.objects(&[&["rejects", "replay", "--reason", REASON], args].concat())?;
        let object = objects.into_iter().next().context("an object")?;
        ensure!(fields(&object) == documented("windrow.replay/1")?, "docs/reference/json.md: {object}");
        Ok(object)
    };
    let dry = replay(&["--dry-run"])?;
    ensure!(dry["sent"] == wanted && wanted > 0 && stage.size("pages")? == before, "a dry run: {dry}");
    killed(stage, REASON, "kafka-before-commit")?;
    ensure!(stage.size("pages")? == before, "killed before the commit, and something is visible");
    let hold = Hold::on(&stage.rig.bootstrap(), "windrow-rejects")?;
    let refused = output(&mut stage.pipeline.call(&["rejects", "replay", "--reason", REASON]))?;
    let told = String::from_utf8_lossy(&refused.stderr);
    let fits = refused.status.code() == Some(4) && told.contains("E-KAFKA-HANGING") && stage.size("pages")? == before;
    ensure!(fits, "notes may be hidden: {}: {told}", refused.status);
    hold.release()?;
    let first = replay(&[])?;
    ensure!(first["sent"] == wanted && stage.size("pages")? == before + wanted, "{first}");
    for again in [&[][..], &["--from-topics"]] {
        let again = replay(again)?;
        ensure!(again["sent"] == 0 && again["before"] == wanted, "again: {again}");
    }
    let done = stage.pipeline.to_the_end()?;
    ensure!(done["rejects"] == wanted && done["rejects_by_reason"][REASON] == wanted, "read once more: {done}");
    killed(stage, REASON, "kafka-after-commit")?;
    ensure!(stage.size("pages")? == before + 2 * wanted, "the new ones, and only those");
    let last = replay(&[])?;
    ensure!(last["sent"] == 0 && last["before"] == 2 * wanted, "killed behind the commit, then: {last}");
    Ok(())
}

/// The topics that pipelines share stay; who wants to delete them too is told whose they are.
fn deleted(stage: &Stage) -> Result<()> {
    let state = stage.objects(&["state", "inspect"])?;
    let pipeline = state[0]["pipeline"].as_str().context("an id")?;
    let refused = output(&mut stage.pipeline.loud(&["topics", "delete", "--shared"]))?;
    let told = String::from_utf8_lossy(&refused.stderr);
    let named = told.contains(&format!("1 pipeline ({pipeline})"));
    ensure!(refused.status.code() == Some(2) && named, "{pipeline} is not named: {told}");
    stage.objects(&["topics", "delete", "--yes"])?;
    ensure!(stage.size("windrow-commits")? > 0, "windrow-commits was deleted");
    Ok(())
}

/// A replay that kills itself at a point, with proof.
fn killed(stage: &Stage, reason: &str, point: &str) -> Result<()> {
    let log = stage.dir.join(point);
    let mut replay = stage.pipeline.call(&["rejects", "replay", "--reason", reason]);
    let ended = output(replay.env("WINDROW_FAILPOINT", format!("{point}:1")).env("WINDROW_FAILPOINT_LOG", &log))?;
    let met = std::fs::read_to_string(&log).unwrap_or_default();
    ensure!(ended.status.signal() == Some(9) && met.trim() == point, "{point} was not met: {}", ended.status);
    Ok(())
}

/// Waits until a file of JSON lines is as wanted.
fn until(path: &Path, what: &str, mut wanted: impl FnMut(&[Value]) -> bool) -> Result<Vec<Value>> {
    let lines = wait_for(PATIENCE_S, || {
        let text = std::fs::read_to_string(path)?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines: Vec<Value> = whole.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(wanted(&lines).then_some(lines))
    })?;
    lines.with_context(|| format!("{what} did not come: {}", std::fs::read_to_string(path).unwrap_or_default()))
}
