//! `windrow status` of a pipeline that was never run, runs, is killed, ends and fails; and its figures of lag, held against those of an
//! independent reader of committed messages (e2e/groups.py).

use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::run::Pipeline;
use super::standby::{Running, committed_beyond, leaves};
use super::{Rig, Version};
use crate::campaign;
use crate::python::{CLIENTS, script};
use crate::shell::{Watch, fresh_dir, output, say, stdout, wait_for, windrow};

const NAME: &str = "seen";
const ROWS: usize = 20_000;
/// Seconds that something may take to be shown.
const PATIENCE_S: f64 = 60.0;
/// Seconds after which brokers that do not answer must be given up.
const LIMIT_S: f64 = 15.0;

struct Stage {
    rig: Rig,
    pipeline: Pipeline,
}

impl Stage {
    /// What it says, with this exit code.
    fn seen(&self, exit: i32, more: &[&str]) -> Result<Value> {
        let done = output(&mut self.pipeline.call(&[&["status", "-o", "json"], more].concat()))?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(done.status.code() == Some(exit), "status: {}, not {exit}: {said}", done.status);
        let mut lines = said.lines();
        let seen = serde_json::from_str(lines.next().context("one object")?)?;
        ensure!(lines.next().is_none(), "more than one object: {said}");
        Ok(seen)
    }

    fn standing(&self, wanted: &str) -> Result<Value> {
        let seen = self.seen(0, &[])?;
        ensure!(seen["standing"] == wanted, "it is {wanted}: {seen}");
        Ok(seen)
    }

    fn groups(&self, arguments: &[&str]) -> Result<String> {
        let mut groups = script(CLIENTS, "groups.py")?;
        stdout(groups.arg(arguments[0]).arg(self.rig.bootstrap()).args(&arguments[1..]))
    }

    /// Partitions of a group in a topic as we say, held against what the independent reader says. Gives the records that are left.
    fn same(&self, places: &[Value], group: &str, topic: &str) -> Result<u64> {
        let wanted: Value = serde_json::from_str(&self.groups(&["lag", group, topic])?)?;
        let parts = wanted.as_object().context("partitions")?;
        let ours: Vec<&Value> = places.iter().filter(|place| place["topic"] == topic).collect();
        ensure!(ours.len() == parts.len() && !parts.is_empty(), "{group} in {topic}: {ours:?}, the reader {wanted}");
        let mut left = 0;
        for place in ours {
            let theirs = &parts[&place["partition"].to_string()];
            let number = |name: &str| theirs[name].as_u64().unwrap_or(u64::MAX);
            let offsets = number("end").saturating_sub(number("position"));
            let records = if theirs["messages"] == 0 { 0 } else { offsets };
            let same = place["position"] == theirs["position"] && place["end"] == theirs["end"] && place["records"] == records;
            ensure!(same && offsets >= number("messages"), "{group} in {topic}: {place}, the reader {theirs}");
            ensure!(millis(&place["oldest_at"])? == theirs["oldest_ms"].as_i64(), "{group} in {topic}: {place}, {theirs}");
            ensure!((place["seconds"].as_f64() > Some(0.0)) == (records > 0), "{place}");
            left += records;
        }
        Ok(left)
    }
}

/// A time in milliseconds, by Python's own reading of it.
fn millis(time: &Value) -> Result<Option<i64>> {
    let Some(time) = time.as_str() else { return Ok(None) };
    let code = "import sys, datetime as d; t = d.datetime.fromisoformat(sys.argv[1].replace('Z', '+00:00')); \
                print((t - d.datetime(1970, 1, 1, tzinfo=d.timezone.utc)) // d.timedelta(milliseconds=1))";
    let said = stdout(std::process::Command::new("python3").args(["-c", code, &padded(time)]))?;
    Ok(Some(said.trim().parse()?))
}

/// With six digits behind the point: older Pythons read no other number of them.
fn padded(time: &str) -> String {
    let bare = time.trim_end_matches('Z');
    let (seconds, rest) = bare.split_once('.').unwrap_or((bare, ""));
    format!("{seconds}.{rest:0<6}Z")
}

/// Partitions of the input in the form of those of groups.
fn inputs(seen: &Value) -> Vec<Value> {
    let place = |input: &Value| {
        let (topic, partition) = input["source"].as_str()?.rsplit_once('/')?;
        Some(json!({
            "topic": topic, "partition": partition.parse::<u64>().ok()?, "position": input["position"], "end": input["end"],
            "records": input["behind"], "seconds": input["seconds"], "oldest_at": input["oldest_at"],
        }))
    };
    seen["inputs"].as_array().into_iter().flatten().filter_map(place).collect()
}

pub(crate) fn status() -> Result<()> {
    let (rig, dir) = (Rig::start(Version::NEWEST)?, fresh_dir("kafka-status")?.canonicalize()?);
    let windrow = windrow("fast", &["failpoints"])?;
    let pages = dir.join("pages.csv");
    campaign::write_pages(&pages, ROWS)?;
    let pipeline = Pipeline::new(&windrow, &rig.bootstrap(), &dir, NAME, "pages", "")?;
    let mut stage = Stage { rig, pipeline };
    let seen = stage.standing("new")?;
    let missing = seen["missing"][0]["code"] == "E-KAFKA-TOPIC" && seen["inputs"] == json!([]) && seen["last"].is_null();
    ensure!(missing && seen["commit"].is_null(), "no topic is there: {seen}");

    stage.pipeline.make_topics(2)?;
    let produce = ["produce", "--topic", "pages", "--input"];
    stdout(stage.pipeline.call(&produce).arg(&pages))?;
    let seen = stage.standing("new")?;
    let waiting = seen["lag"]["records"].as_u64() >= Some(ROWS as u64) && seen["lag"]["seconds"].as_f64() > Some(0.0);
    ensure!(waiting && seen["missing"] == json!([]), "all is to be read: {seen}");

    let name = runs_and_dies(&mut stage)?;
    let behind = killed(&stage, &name)?;
    ended(&stage, &name)?;
    let (half, groups) = downstream(&stage)?;
    plain(&stage, &windrow, &dir)?;
    failed(&stage)?;
    let seconds = unreachable(&mut stage)?;
    say(format_args!(
        "status: never run, running with a standby, killed ({behind} records behind), ended, failed, and without brokers ({seconds:.1} s); \
         {groups} groups downstream ({half} records behind) as an independent reader finds them; offsets mirrored with and without topics"
    ));
    Ok(())
}

/// A worker with a standby, both seen; both killed. Gives the name of the group that mirrors the positions.
fn runs_and_dies(stage: &mut Stage) -> Result<String> {
    let worker = Running::start(stage.pipeline.loud(&["run"]))?;
    committed_beyond(&stage.pipeline, 0)?;
    let heir = Running::start(stage.pipeline.loud(&["run", "--standby"]))?;
    let seen = wait_for(PATIENCE_S, || Ok(Some(stage.standing("running")?).filter(|seen| seen["standbys"] != json!([]))))?;
    let seen = seen.context("the standby is never seen")?;
    let pids = [&seen["running"]["pid"], &seen["standbys"][0]["pid"], &seen["last"]["pid"]];
    let wanted = [worker.pid(), heir.pid(), worker.pid()];
    ensure!(pids.iter().zip(wanted).all(|(pid, wanted)| **pid == wanted), "pids are {wanted:?}: {seen}");
    ensure!(seen["last"]["reason"].is_null() && seen["waits"].is_null() && seen["output"] == "topics", "{seen}");
    leaves(heir)?;
    let seen = stage.standing("running")?;
    ensure!(seen["standbys"] == json!([]), "the standby is gone: {seen}");
    worker.signal("KILL")?;
    drop(worker);
    seen["mirror"].as_str().map(str::to_owned).context("a group mirrors the positions")
}

/// Dead, it falls behind.
fn killed(stage: &Stage, name: &str) -> Result<u64> {
    stdout(&mut stage.pipeline.call(&["produce", "--anew", "--limit", "500", "--topic", "pages", "--input", "pages.csv"]))?;
    let seen = stage.standing("killed")?;
    let resume = seen["resume"].as_str().unwrap_or_default();
    ensure!(seen["running"].is_null() && resume.contains("run"), "{seen}");
    let left = stage.same(&inputs(&seen), name, "pages")?;
    ensure!(left > 0 && seen["lag"]["records"] == left, "{left} records: {seen}");
    let later = stage.standing("killed")?;
    ensure!(later["lag"]["seconds"].as_f64() > seen["lag"]["seconds"].as_f64(), "the lag of the dead grows: {later}");
    ensure!(seen["inputs"].as_array().is_some_and(|all| all.iter().all(|one| one["mirrored"] == one["position"])), "{seen}");
    Ok(left)
}

fn ended(stage: &Stage, name: &str) -> Result<()> {
    let done = stage.pipeline.to_the_end()?;
    let seen = stage.standing("ended")?;
    ensure!(stage.same(&inputs(&seen), name, "pages")? == 0, "all is read: {seen}");
    ensure!(seen["lag"] == json!({"records": 0, "seconds": 0.0}) && seen["rows"] == done["total"]["rows"], "{seen}");
    let last = &seen["last"];
    ensure!(last["reason"] == "end_of_input" && last["exit_code"] == 0 && seen["commit"] == seen["rolled"], "{seen}");
    ensure!(seen["commit"] == done["commit"] && seen["files"].as_u64() > Some(0), "{seen}");
    let text = stdout(&mut stage.pipeline.call(&["status"]))?;
    ensure!(text.contains("running  no") && text.contains("end_of_input") && text.contains("0 records"), "{text}");
    Ok(())
}

/// Groups of other people, one that reads half and one that reads all; a group of another topic is none of them.
fn downstream(stage: &Stage) -> Result<(u64, usize)> {
    let topic = format!("{NAME}_0");
    let mut size = script(CLIENTS, "topics.py")?;
    let size: u64 = stdout(size.args(["size", &stage.rig.bootstrap(), &topic]))?.trim().parse()?;
    ensure!(size > 10, "{size} messages in {topic}");
    stage.groups(&["read", "half", &topic, &(size / 2).to_string()])?;
    stage.groups(&["read", "whole", &topic, &size.to_string()])?;
    stage.groups(&["read", "elsewhere", "pages", "5"])?;
    let seen = stage.standing("ended")?;
    let groups = seen["groups"].as_array().context("groups")?;
    let names: Vec<_> = groups.iter().filter_map(|group| group["group"].as_str()).collect();
    ensure!(names == ["half", "whole"], "groups of these topics: {names:?}");
    let mut left = Vec::new();
    for (group, name) in groups.iter().zip(&names) {
        let places = group["partitions"].as_array().context("partitions")?;
        left.push(stage.same(places, name, &topic)?);
        ensure!(group["records"] == left[left.len() - 1], "{group}");
    }
    ensure!(left[0] >= size / 2 && left[1] == 0, "behind by {left:?} of {size}");
    let tsv = stdout(&mut stage.pipeline.call(&["status", "-o", "tsv"]))?;
    let line = tsv.lines().find(|line| line.starts_with(&format!("group\thalf {topic}/0\t"))).context("a line of the group")?;
    ensure!(line.split('\t').nth(4) == Some(&left[0].to_string()), "{line}");
    Ok((left[0], names.len()))
}

/// With Parquet alone the group shows every roll, and nobody needs it.
fn plain(stage: &Stage, windrow: &std::path::Path, dir: &std::path::Path) -> Result<()> {
    let pipeline = Pipeline::new(windrow, &stage.rig.bootstrap(), dir, "plain", "pages", "kafka = \"none\"")?;
    pipeline.to_the_end()?;
    let seen: Value = serde_json::from_str(&stdout(&mut pipeline.call(&["status", "-o", "json"]))?)?;
    let group = seen["mirror"].as_str().context("a group")?;
    let offsets: Value = serde_json::from_str(&stage.groups(&["offsets", group, "pages"])?)?;
    let places = inputs(&seen);
    let same = places.iter().all(|place| offsets[place["partition"].to_string()] == place["position"]);
    ensure!(same && places.len() == 2 && seen["groups"] == json!([]), "{offsets}: {seen}");
    // A member of the group keeps others from committing: the run does not mind, and says so.
    let mut member = script(CLIENTS, "groups.py")?;
    member.current_dir(dir).args(["stay", &stage.rig.bootstrap(), "busy", "pages", "joined"]);
    let member = Running::start(member)?;
    let joined = wait_for(PATIENCE_S, || Ok(dir.join("joined").exists().then_some(())))?;
    joined.context("the member never joined")?;
    let done = output(&mut pipeline.loud(&["run", "--until-end", "--out", "busy", "-X", "group.id=busy"]))?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(done.status.success() && said.contains("the group busy does not show how far"), "{}: {said}", done.status);
    drop(member);
    Ok(())
}

/// What ended the last run stands there, and the offsets that are known.
fn failed(stage: &Stage) -> Result<()> {
    stage.rig.topics(&["--delete", "--topic", &format!("{NAME}_3")])?;
    let done = output(&mut stage.pipeline.call(&["run", "--until-end"]))?;
    ensure!(done.status.code() == Some(4), "a topic is gone: {}", done.status);
    let seen = stage.standing("failed")?;
    ensure!(seen["last"]["reason"] == "E-KAFKA-TOPIC" && seen["last"]["exit_code"] == 4, "{seen}");
    Ok(())
}

/// Without brokers all that lies on disk is told, and in time.
fn unreachable(stage: &mut Stage) -> Result<f64> {
    let before = stage.standing("failed")?;
    stage.rig.kill()?;
    let watch = Watch::start();
    let seen = stage.seen(4, &[])?;
    let seconds = watch.seconds();
    ensure!(seconds <= LIMIT_S, "it took {seconds:.1} s");
    let same = ["standing", "last", "rows", "rolled", "files", "resume"].iter().all(|name| seen[*name] == before[*name]);
    ensure!(same && seen["brokers"] == false && seen["missing"][0]["code"] == "E-KAFKA-REACH", "{seen}");
    ensure!(seen["lag"]["records"].is_null() && seen["commit"].is_null(), "what is not known is not told: {seen}");
    let text = output(&mut stage.pipeline.call(&["status"]))?;
    let shown = String::from_utf8_lossy(&text.stdout).into_owned();
    let told = shown.contains("not known  no broker answers") && shown.contains("E-KAFKA-TOPIC at");
    ensure!(told && text.status.code() == Some(4) && text.status.signal().is_none(), "{}: {shown}", text.status);
    Ok(seconds)
}
