//! The rigs checked: a broker starts, keeps a transaction through `kill -9` and a restart, and ends; all seen by Kafka's own tools.

use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::{Rig, Version};
use crate::shell::{Watch, say};

const TOPIC: &str = "rig";

/// The newest Kafka.
pub(crate) fn short() -> Result<()> {
    check(Version::NEWEST)
}

/// All others.
pub(crate) fn older() -> Result<()> {
    Version::value_variants().iter().filter(|version| **version != Version::NEWEST).try_for_each(|version| check(*version))
}

fn check(version: Version) -> Result<()> {
    let number = version.number();
    let watch = Watch::start();
    let mut rig = Rig::start(version)?;
    let started = watch.seconds();
    outlive(&mut rig).with_context(|| format!("Kafka {number}; its log is in {}", rig.dir().display()))?;
    let all = watch.seconds();
    say(format_args!("Kafka {number}: up in {started:.1} s; a transaction outlived kill -9; {all:.1} s in all"));
    Ok(())
}

fn outlive(rig: &mut Rig) -> Result<()> {
    create_topic(rig)?;
    let text = format!("kept by Kafka {}", rig.version().number());
    write(rig, &text)?;
    ensure!(read(rig, 1)? == [text.as_str()], "the record written is not the record read");
    rig.kill()?;
    ensure!(TcpStream::connect(rig.bootstrap()).is_err(), "the port still answers after kill -9");
    rig.restart()?;
    ensure!(read(rig, 1)? == [text.as_str()], "the record is not what it was before kill -9");
    rig.stop()?;
    ensure!(TcpStream::connect(rig.bootstrap()).is_err(), "the port still answers after the end");
    Ok(())
}

fn create_topic(rig: &Rig) -> Result<()> {
    let shape = ["--partitions", "1", "--replication-factor", "1"];
    rig.topics(&[&["--create", "--topic", TOPIC], &shape[..]].concat()).map(drop)
}

/// Writes one record in a transaction. Kafka's measuring tool is the one of its tools that can.
fn write(rig: &Rig, text: &str) -> Result<()> {
    let file = rig.dir().join("record.txt");
    std::fs::write(&file, text)?;
    let file = file.to_str().context("a name in UTF-8")?;
    let what = ["--topic", TOPIC, "--num-records", "1", "--throughput", "-1", "--payload-file", file];
    let servers = format!("bootstrap.servers={}", rig.bootstrap());
    let how = ["--transactional-id", "rig", "--transaction-duration-ms", "1000", "--producer-props", &servers, "acks=all"];
    rig.tool("org.apache.kafka.tools.ProducerPerformance", &[&what[..], &how[..]].concat()).map(drop)
}

/// The first records that a reader of committed ones gets.
fn read(rig: &Rig, records: usize) -> Result<Vec<String>> {
    let class = if rig.version() == Version::V2_8 {
        "kafka.tools.ConsoleConsumer"
    } else {
        "org.apache.kafka.tools.consumer.ConsoleConsumer"
    };
    let (servers, records) = (rig.bootstrap(), records.to_string());
    let from = ["--bootstrap-server", &servers, "--topic", TOPIC, "--from-beginning", "--isolation-level", "read_committed"];
    let until = ["--max-messages", &records, "--timeout-ms", "30000"];
    Ok(rig.tool(class, &[&from[..], &until[..]].concat())?.lines().map(str::to_owned).collect())
}
