//! `windrow produce` against a real broker: stopped and killed on the way, every row is in the topic once, as a reader of committed
//! records sees it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::topics::documented;
use super::{Rig, Version};
use crate::campaign;
use crate::python::{CLIENTS, script};
use crate::shell::{fresh_dir, output, say, stdout, wait_for, windrow};

const ROWS: usize = 30_000;
/// Kills at growing times after the start, in milliseconds; the first ones hit the start itself.
const KILLS: [u64; 4] = [150, 900, 1_700, 2_500];
/// Slow enough that every kill lands, fast enough for a suite.
const RATE: &str = "6000";

/// Seconds that rows of a pipe may take to be there.
const PATIENCE_S: f64 = 60.0;

struct Producer {
    windrow: PathBuf,
    servers: String,
    input: PathBuf,
}

impl Producer {
    fn command(&self, topic: &str, more: &[&str]) -> Command {
        let mut command = Command::new(&self.windrow);
        command.args(["produce", "--quiet", "-o", "json", "--topic", topic, "--kafka", &self.servers, "--input"]);
        command.arg(&self.input).args(more);
        command
    }

    /// Runs to the end; gives what it said.
    fn run(&self, topic: &str, more: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&stdout(&mut self.command(topic, more))?)?)
    }

    /// `kill -9` so long after the start.
    fn kill(&self, topic: &str, after: Duration) -> Result<()> {
        let mut command = self.command(topic, &["--rate", RATE]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let (_open, never) = mpsc::channel::<()>();
        let _ = never.recv_timeout(after);
        if let Some(status) = child.try_wait()? {
            bail!("produce ended before its kill: {status}");
        }
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn make(&self, topic: &str) -> Result<()> {
        let shape = ["--from-topic", topic, "--clusters", "1", "--input-partitions", "3", "--kafka", &self.servers];
        stdout(Command::new(&self.windrow).args(["topics", "create"]).args(shape)).map(drop)
    }
}

pub(crate) fn produce() -> Result<()> {
    let rig = Rig::start(Version::NEWEST)?;
    let dir = fresh_dir("kafka-produce")?;
    let producer = Producer { windrow: windrow("fast", &[])?, servers: rig.bootstrap(), input: dir.join("pages.csv") };
    campaign::write(&producer.input, 0, ROWS)?;
    let refused = output(&mut producer.command("pages", &[]))?;
    ensure!(refused.status.code() == Some(4), "there is no topic, and produce ended with {:?}", refused.status);
    producer.make("pages")?;
    producer.make("undisturbed")?;

    KILLS.iter().try_for_each(|after| producer.kill("pages", Duration::from_millis(*after)))?;
    let limited = producer.run("pages", &["--limit", "100"])?;
    ensure!(number(&limited, "rows") + number(&limited, "left_out") == 100, "{limited}");
    let fields = limited.as_object().into_iter().flatten().map(|(name, _)| name.clone()).filter(|name| name != "schema");
    ensure!(fields.collect::<BTreeSet<_>>() == documented("windrow.produce/1")?, "docs/reference/json.md: {limited}");
    let last = producer.run("pages", &[])?;
    let (resumed, done) = (number(&last, "resumed_at"), number(&last, "done"));
    ensure!(
        resumed > 100 && number(&limited, "done") == resumed,
        "the kills left nothing behind, or too much: {limited} {last}"
    );
    let nothing = producer.run("pages", &[])?;
    ensure!(nothing["rows"] == 0 && number(&nothing, "done") == done, "all was sent: {nothing}");
    looped(&producer, &rig)?;
    piped(&producer)?;
    rests(&producer)?;
    paced(&producer)?;
    let whole = producer.run("undisturbed", &[])?;
    ensure!(number(&whole, "done") == done, "{whole} {last}");

    let (found, expected) = (read(&rig, "pages")?, read(&rig, "undisturbed")?);
    ensure!(expected.len() as u64 == number(&whole, "rows") && !expected.is_empty(), "{} messages: {whole}", expected.len());
    ensure!(found == expected, "{} messages after the kills, {} without", found.len(), expected.len());
    let (kills, rows) = (KILLS.len(), expected.len());
    say(format_args!(
        "produce: {kills} kills, then on from row {resumed}: {rows} messages, the same as undisturbed, read_committed; a looped input that \
         grew; a pipe that stays open; rests between bursts; bursts and rows by their own time, none early"
    ));
    Ok(())
}

/// Rounds through an input that then grows: the next call goes on within the round, up to the new end.
fn looped(producer: &Producer, rig: &Rig) -> Result<()> {
    const OLD: [&str; 4] = ["a", "b", "c", "d"];
    let input = producer.input.with_file_name("looped.csv");
    let text = |ids: &[&str]| ids.iter().map(|id| format!("2024-01-01,{id},http://{id}.example/,t,,\n")).collect::<String>();
    let header = "creation_time,id,url,title,keywords,description\n";
    std::fs::write(&input, format!("{header}{}", text(&OLD)))?;
    let producer = Producer { windrow: producer.windrow.clone(), servers: producer.servers.clone(), input };
    producer.make("looped")?;
    let first = producer.run("looped", &["--loop", "--limit", "10"])?;
    ensure!(first["rows"] == 10 && first["done"] == 2, "two rounds and a half: {first}");
    std::fs::write(&producer.input, format!("{header}{}{}", text(&OLD), text(&["e", "f"])))?;
    let next = producer.run("looped", &[])?;
    ensure!(
        next["rows"] == 4 && next["resumed_at"] == 2 && next["done"] == 6,
        "the rest of the round, and what is new: {next}"
    );
    let id = |message: String| -> Result<String> {
        let message: Value = serde_json::from_str(&message)?;
        Ok(message["id"].as_str().unwrap_or_default().to_owned())
    };
    let mut ids = read(rig, "looped")?.into_iter().map(id).collect::<Result<Vec<_>>>()?;
    ids.sort();
    ensure!(ids.concat() == "aaabbbcccdddef", "{ids:?}");
    Ok(())
}

/// Rows of a burst come together, and none before its time: a machine that is slow makes them later. The messages have the times of sending.
fn paced(producer: &Producer) -> Result<()> {
    const BURST: usize = 10;
    const EVERY_MS: u64 = 2_000;
    let input = producer.input.with_file_name("paced.csv");
    let producer = Producer { windrow: producer.windrow.clone(), servers: producer.servers.clone(), input };
    let sent = |topic: &str, rows: usize, how: &[&str]| -> Result<(u64, Vec<u64>)> {
        // A second of its own time from each row to the next.
        let text = (0..rows).map(|n| format!("2024-01-01 00:00:{n:02},{n},http://{n}.example/,t,,\n")).collect::<String>();
        std::fs::write(&producer.input, format!("creation_time,id,url,title,keywords,description\n{text}"))?;
        producer.make(topic)?;
        // The clock of the files is that of the messages; these have whole milliseconds.
        std::fs::write(producer.input.with_extension("start"), "")?;
        let start = producer.input.with_extension("start").metadata()?.modified()?.duration_since(SystemTime::UNIX_EPOCH)?;
        producer.run(topic, how)?;
        let times = stdout(script(CLIENTS, "topics.py")?.args(["times", &producer.servers, topic]))?;
        Ok((u64::try_from(start.as_millis())? - 1, serde_json::from_str(&times)?))
    };
    let (start, times) = sent("bursts", 4 * BURST, &["--burst", &BURST.to_string(), "--every", "2"])?;
    let late = times.iter().enumerate().all(|(n, time)| *time >= start + (n / BURST) as u64 * EVERY_MS);
    let gaps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).zip(1..);
    let (longest, before) = gaps.max().context("gaps")?;
    ensure!(times.len() == 4 * BURST && late, "rows that came before their burst: begun at {start}, {times:?}");
    ensure!(before % BURST == 0 && longest > EVERY_MS / 2, "the longest gap, {longest} ms, is before row {before}: {times:?}");
    // Half as fast as the rows' own time.
    let (start, times) = sent("slowed", 3, &["--speed", "0.5"])?;
    let late = times.iter().zip(0..).all(|(time, n)| *time >= start + n * 2_000);
    ensure!(times.len() == 3 && late, "rows that came before their time: begun at {start}, {times:?}");
    Ok(())
}

/// Rows of a pipe are in the topic while the pipe is still open.
fn piped(producer: &Producer) -> Result<()> {
    let producer = Producer { windrow: producer.windrow.clone(), servers: producer.servers.clone(), input: "-".into() };
    producer.make("piped")?;
    let mut child = producer.command("piped", &[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut pipe = child.stdin.take().context("a pipe")?;
    pipe.write_all(b"url,title\nhttp://a.example/,\"a\nb\"\nhttp://b.example/,b\n")?;
    let count = || -> Result<u64> {
        let counted = stdout(script(CLIENTS, "count_messages.py")?.args([&producer.servers, "piped"]))?;
        Ok(counted.trim().parse()?)
    };
    let came = wait_for(PATIENCE_S, || Ok((count()? == 2).then_some(())))?;
    pipe.write_all(b"http://c.example/,c")?;
    drop(pipe);
    let ended = child.wait_with_output()?;
    let said: Value = serde_json::from_slice(&ended.stdout)?;
    ensure!(came.is_some(), "nothing of the pipe came before its end: {said}");
    ensure!(ended.status.success() && said["rows"] == 3 && count()? == 3, "{}: {said}", ended.status);
    let refused = output(producer.command("piped", &["--loop"]).stdin(Stdio::null()))?;
    ensure!(refused.status.code() == Some(2), "a pipe that is to begin again: {}", refused.status);
    Ok(())
}

/// Between two bursts it says how far it is, and when it is stopped, what the next call does.
fn rests(producer: &Producer) -> Result<()> {
    producer.make("rests")?;
    let mut command = Command::new(&producer.windrow);
    command.args([
        "produce",
        "--topic",
        "rests",
        "--kafka",
        &producer.servers,
        "--burst",
        "7",
        "--every",
        "600",
        "--anew",
        "--input",
    ]);
    let said = producer.input.with_file_name("said.log");
    let mut child = command.arg(&producer.input).stdout(Stdio::null()).stderr(File::create(&said)?).spawn()?;
    let line = |has: &str| Ok(std::fs::read_to_string(&said)?.lines().any(|line| line.contains(has)).then_some(()));
    // A plain line comes every ten seconds.
    let progress = wait_for(PATIENCE_S, || line("7 rows"));
    stdout(Command::new("kill").args(["-TERM", &child.id().to_string()]))?;
    let ended = child.wait()?;
    ensure!(progress?.is_some() && ended.success(), "{ended}: nothing is said between two bursts");
    let next = line("the same call without --anew goes on from there")?;
    ensure!(next.is_some(), "what the next call does: {}", std::fs::read_to_string(&said)?);
    let refused = output(&mut producer.command("rests", &["--every", "5"]))?;
    let told = String::from_utf8_lossy(&refused.stdout);
    ensure!(refused.status.code() == Some(2) && told.contains("--burst"), "--every alone: {}: {told}", refused.status);
    Ok(())
}

fn number(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_default()
}

/// All messages of a topic as a reader of committed ones gets them, sorted: what is there twice is there twice.
fn read(rig: &Rig, topic: &str) -> Result<Vec<String>> {
    let servers = rig.bootstrap();
    let class = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    let what = ["--bootstrap-server", &servers, "--topic", topic, "--from-beginning", "--isolation-level", "read_committed"];
    let text = rig.tool(class, &[&what[..], &["--timeout-ms", "5000"]].concat())?;
    let mut messages: Vec<String> = text.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect();
    messages.sort();
    Ok(messages)
}
