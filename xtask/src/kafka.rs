//! `cargo xtask kafka up | down`: real Apache Kafka on this machine, for developers and for the checks.
//!
//! ```text
//! jars     Maven's artifacts, fetched once a version
//! config   ports and properties of one node
//! process  a Java process in the background, known by its pid and by its command line
//! rig      one broker (with its ZooKeeper, where it needs one): start, kill, stop, restart
//! check    what `cargo xtask test` does with it
//! ```
//!
//! A rig of `up` lives in a folder named after its version until `down`; a rig of a check lives in a folder that also names the
//! task that owns it, and ends with the value that stands for it. Should that task be killed, the next rig or `down` clears up.
//! Brokers are made for tests: one node, on loopback, little memory, nothing is kept after the end.

mod check;
mod config;
pub(crate) mod counts;
mod damaged;
pub(crate) mod down;
mod ends;
mod examine;
pub(crate) mod faults;
mod jars;
mod messages;
mod original;
mod process;
mod produce;
mod proxy;
mod rig;
mod run;
mod security;
mod sets;
mod standby;
mod status;
mod topics;
mod verbs;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args as _, FromArgMatches as _, Subcommand, ValueEnum};

pub(crate) use check::{older, short};
pub(crate) use counts::counts;
pub(crate) use ends::ends;
pub(crate) use examine::examine;
pub(crate) use jars::{Connector, NEEDS, spark_connector};
pub(crate) use messages::messages;
pub(crate) use original::{original, original_on_older};
pub(crate) use produce::produce;
pub(crate) use rig::{Rig, Setup};
pub(crate) use run::{run, run_on_older};
pub(crate) use security::security;
pub(crate) use sets::{all_sets, sets};
pub(crate) use standby::{Running, standby};
pub(crate) use status::status;
pub(crate) use topics::topics;
pub(crate) use verbs::verbs;

use crate::shell::{check_machine, say, talk};

/// The versions that Windrow is tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    /// The newest, without ZooKeeper.
    #[value(name = "4.3.1", alias = "4.3")]
    V4_3,
    /// The last line that could have ZooKeeper, run without.
    #[value(name = "3.9.2", alias = "3.9")]
    V3_9,
    /// With ZooKeeper 3.5.9: what the original ran on.
    #[value(name = "2.8.0", alias = "2.8")]
    V2_8,
}

impl Version {
    pub(crate) const NEWEST: Self = Self::V4_3;

    fn number(self) -> &'static str {
        match self {
            Self::V4_3 => "4.3.1",
            Self::V3_9 => "3.9.2",
            Self::V2_8 => "2.8.0",
        }
    }

    fn has_zookeeper(self) -> bool {
        self == Self::V2_8
    }
}

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Start a broker, print its address, and leave it running
    Up(UpArgs),
    /// End the broker and delete its data; without a version, all of them
    Down {
        /// Kafka's version
        #[arg(long)]
        version: Option<Version>,
    },
}

#[derive(clap::Args)]
struct UpArgs {
    /// Kafka's version
    #[arg(long, default_value = "4.3.1")]
    version: Version,
    /// Port on loopback that clients connect to; a free one when left out
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// A property of the broker, in place of ours; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    property: Vec<String>,
}

/// The version that a line `cargo xtask kafka up …` of the docs asks for.
pub(crate) fn asked_version(line: &str) -> Result<Version> {
    let words = line.strip_prefix("cargo xtask ").with_context(|| format!("`{line}` starts no broker"))?.split_whitespace();
    let matches = Args::augment_args(clap::Command::new("kafka")).try_get_matches_from(words)?;
    match Args::from_arg_matches(&matches)?.what {
        What::Up(args) => Ok(args.version),
        What::Down { .. } => bail!("`{line}` starts no broker"),
    }
}

pub(crate) fn kafka(args: &Args) -> Result<()> {
    match &args.what {
        What::Up(args) => up(args),
        What::Down { version } => down(*version),
    }
}

fn up(args: &UpArgs) -> Result<()> {
    check_machine(&NEEDS)?;
    let number = args.version.number();
    if let Some(address) = rig::running(args.version)? {
        let asked = args.port.is_some_and(|port| !address.ends_with(&format!(":{port}"))) || !args.property.is_empty();
        ensure!(!asked, "Kafka {number} runs already at {address}, as it was started: `down` it first");
        talk(format_args!("Kafka {number} runs already:"));
        say(&address);
    } else {
        let mut setup = Setup::left_running(args.version);
        if let Some(port) = args.port {
            setup = setup.port(port);
        }
        for property in &args.property {
            let Some((key, value)) = property.split_once('=') else { bail!("--property {property}: not KEY=VALUE") };
            setup = setup.with(key, value);
        }
        let rig = setup.start()?;
        talk(format_args!("Kafka {number} runs, its logs and data in {}", rig.dir().display()));
        say(rig.bootstrap());
        rig.leave_running();
    }
    talk(format_args!("end it with: cargo xtask kafka down --version {number}"));
    Ok(())
}

fn down(version: Option<Version>) -> Result<()> {
    let ended = rig::end_all(version)?;
    ended.iter().for_each(|name| say(format_args!("ended Kafka {name}")));
    if ended.is_empty() {
        say("none runs");
    }
    Ok(())
}
