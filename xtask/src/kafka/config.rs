//! Ports and properties of one node.
//!
//! A broker listens three times: for clients (`CLIENT`), for itself (`INNER`), and for its controllers or, at 2.8, its ZooKeeper
//! listens in their place. With the inner listener apart, a proxy, TLS or passwords can be put before the clients' one alone; and
//! some ports are left over for a check that gives the broker more listeners.

use std::net::TcpListener;

use anyhow::{Context, Result, ensure};

use super::Version;

/// The ports of one rig, all on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) client: u16,
    pub(super) inner: u16,
    /// Of the controller, or of ZooKeeper.
    pub(super) quorum: u16,
    /// For listeners that a check adds.
    pub(super) spare: [u16; SPARE],
}

/// Ports of a rig that nothing of ours listens on.
pub(super) const SPARE: usize = 8;

impl Ports {
    /// Ports that are free now. They lie below those that the system gives to outgoing connections: a client that tries again and
    /// again to reach a dead broker must not be given the broker's own port.
    pub(super) fn choose(client: Option<u16>) -> Result<Self> {
        if let Some(port) = client {
            ensure!(is_free(port), "port {port} is in use");
        }
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        let end: u16 = range.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(32_768);
        let first = end.saturating_sub(12_000).max(1_024);
        // Tasks that start at the same time begin at different places.
        let size = u32::from(end.saturating_sub(first)).max(1);
        let start = std::process::id().wrapping_mul(61) % size;
        let mut free =
            (0..size).map(|step| first + ((start + step) % size) as u16).filter(|port| Some(*port) != client && is_free(*port));
        let mut next = || free.next().context("no port is free");
        let mut ports = Self { client: client.map_or_else(&mut next, Ok)?, inner: next()?, quorum: next()?, spare: [0; SPARE] };
        for port in &mut ports.spare {
            *port = next()?;
        }
        Ok(ports)
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// What every rig has. `{…}` is filled in, in properties that are given too.
const COMMON: &str = "\
listeners=CLIENT://127.0.0.1:{port},INNER://127.0.0.1:{inner}
advertised.listeners=CLIENT://127.0.0.1:{port},INNER://127.0.0.1:{inner}
inter.broker.listener.name=INNER
listener.security.protocol.map=CLIENT:PLAINTEXT,INNER:PLAINTEXT
log.dirs={dir}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
log.segment.delete.delay.ms=1000
log.retention.ms=-1
log.cleaner.dedupe.buffer.size=16777216
";

/// A node that is its own controller.
const KRAFT: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{quorum}
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:{port},INNER://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{quorum}
listener.security.protocol.map=CLIENT:PLAINTEXT,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT
";

const SHARE_GROUPS: &str = "\
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
";

const WITH_ZOOKEEPER: &str = "\
broker.id=1
zookeeper.connect=127.0.0.1:{quorum}
zookeeper.session.timeout.ms=6000
";

/// The broker's properties: a later line replaces an earlier one with the same key.
pub(super) fn broker(version: Version, dir: &str, ports: Ports, given: &[(String, String)]) -> String {
    let own = match version {
        Version::V4_3 => [KRAFT, SHARE_GROUPS],
        Version::V3_9 => [KRAFT, ""],
        Version::V2_8 => [WITH_ZOOKEEPER, ""],
    };
    let given = given.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let lines = std::iter::once(COMMON).chain(own).flat_map(str::lines).filter_map(|line| line.split_once('='));
    let mut properties: Vec<(&str, &str)> = Vec::new();
    for (key, value) in lines.chain(given) {
        properties.retain(|(earlier, _)| *earlier != key);
        properties.push((key, value));
    }
    let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    fill_in(&text, dir, ports)
}

/// ZooKeeper's properties. `dump` is how we learn that a killed broker is forgotten.
pub(super) fn zookeeper(dir: &str, ports: Ports) -> String {
    let commands = concat!("4lw.commands.white", "list=ruok,dump");
    let text = "dataDir={dir}/zookeeper\nclientPort={quorum}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n";
    fill_in(&format!("{text}tickTime=1000\n{commands}\n"), dir, ports)
}

fn fill_in(text: &str, dir: &str, ports: Ports) -> String {
    let Ports { client, inner, quorum, spare } = ports;
    let named = [("port", client), ("inner", inner), ("quorum", quorum)].map(|(name, port)| (name.to_owned(), port));
    let spare = spare.into_iter().enumerate().map(|(n, port)| (format!("spare{n}"), port));
    let text = text.replace("{dir}", dir);
    named.into_iter().chain(spare).fold(text, |text, (mark, port)| text.replace(&format!("{{{mark}}}"), &port.to_string()))
}

/// How a process logs: one line an event, to standard error; the file's name, the property that names it, and its text.
pub(super) fn logging(version: Version) -> (&'static str, &'static str, &'static str) {
    if version == Version::V4_3 {
        let text = "rootLogger.level = ${sys:rig.level}\nrootLogger.appenderRef.out.ref = OUT\nappender.out.type = Console\n\
                    appender.out.name = OUT\nappender.out.target = SYSTEM_ERR\nappender.out.layout.type = PatternLayout\n\
                    appender.out.layout.pattern = [%d] %p %m (%c)%n\n";
        ("log4j2.properties", "log4j2.configurationFile", text)
    } else {
        let text = "log4j.rootLogger=${rig.level}, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n\
                    log4j.appender.out.target=System.err\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\n\
                    log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n\n";
        ("log4j.properties", "log4j.configuration", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { client: 1, inner: 2, quorum: 3, spare: [4; SPARE] };

    #[test]
    fn a_given_property_replaces_ours_and_is_filled_in() {
        let given = [("log.dirs".into(), "{dir}/elsewhere".into()), ("a".into(), "b=c".into())];
        let text = broker(Version::V4_3, "/d", PORTS, &given);
        assert_eq!(text.lines().filter(|line| line.starts_with("log.dirs=")).collect::<Vec<_>>(), ["log.dirs=/d/elsewhere"]);
        assert!(text.ends_with("a=b=c\n"), "{text}");
        assert!(text.contains("\nlisteners=CLIENT://127.0.0.1:1,INNER://127.0.0.1:2,CONTROLLER://127.0.0.1:3\n"), "{text}");
        assert!(!text.contains('{') && !text.contains("zookeeper"), "{text}");
    }

    #[test]
    fn the_old_version_asks_its_zookeeper() {
        let text = broker(Version::V2_8, "/d", PORTS, &[]);
        assert!(text.contains("zookeeper.connect=127.0.0.1:3\n") && !text.contains("CONTROLLER"), "{text}");
        assert!(zookeeper("/d", PORTS).contains("clientPort=3\n"));
    }

    #[test]
    fn ports_are_free_and_differ() {
        let ports = Ports::choose(None).unwrap();
        assert!(ports.client != ports.inner && ports.inner != ports.quorum && ports.client != ports.quorum);
        assert_eq!(Ports::choose(Some(ports.inner)).unwrap().client, ports.inner);
        let kept = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(Ports::choose(Some(kept.local_addr().unwrap().port())).is_err());
    }
}
