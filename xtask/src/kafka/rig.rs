//! One broker, with its ZooKeeper where it needs one, in a folder of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use rustix::process::Signal;

use super::config::{self, Ports};
use super::process::{Process, Role};
use super::{Version, jars};
use crate::shell::{stdout, target, work_dir};

/// The file in a rig's folder that says where clients find it.
const ADDRESS: &str = "address";

/// How many rigs this task has begun: part of their names.
static BEGUN: AtomicUsize = AtomicUsize::new(0);

/// A rig to be.
pub(crate) struct Setup {
    version: Version,
    name: String,
    apart: bool,
    port: Option<u16>,
    given: Vec<(String, String)>,
}

impl Setup {
    /// A rig that ends when its value is dropped.
    pub(crate) fn new(version: Version) -> Self {
        let name = format!("{}-{}-{}", version.number(), std::process::id(), BEGUN.fetch_add(1, Ordering::Relaxed));
        Self { version, name, apart: false, port: None, given: Vec::new() }
    }

    /// A rig that outlives the task, one a version.
    pub(super) fn left_running(version: Version) -> Self {
        Self { version, name: version.number().to_owned(), apart: true, port: None, given: Vec::new() }
    }

    /// The port for clients, in place of a free one.
    pub(super) fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// A property of the broker, in place of ours. `{port}`, `{inner}`, `{quorum}`, `{spare0}` to `{spare7}` and `{dir}` are filled
    /// in.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.given.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts it, and waits until it takes connections.
    pub(crate) fn start(self) -> Result<Rig> {
        let class_path = jars::class_path(self.version)?;
        clear_orphans()?;
        let dir = work_dir("kafka")?.join(&self.name);
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        let ports = Ports::choose(self.port)?;
        let Self { version, apart, given, .. } = self;
        let mut rig = Rig { version, class_path, dir, ports, apart, broker: None, zookeeper: None, left: false };
        rig.write_files(&given)?;
        if version.has_zookeeper() {
            rig.start_zookeeper()?;
        } else {
            rig.format()?;
        }
        rig.start_broker()?;
        std::fs::write(rig.dir.join(ADDRESS), rig.bootstrap())?;
        Ok(rig)
    }
}

/// A real Kafka of one node. Dropped, it ends, and its data goes; its logs stay until the next task begins a rig.
pub(crate) struct Rig {
    version: Version,
    class_path: String,
    dir: PathBuf,
    ports: Ports,
    apart: bool,
    broker: Option<Process>,
    zookeeper: Option<Process>,
    left: bool,
}

impl Rig {
    /// A rig as it comes, on free ports.
    pub(crate) fn start(version: Version) -> Result<Self> {
        Setup::new(version).start()
    }

    /// Where clients connect to.
    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.ports.client)
    }

    /// Where the broker talks with itself: in plain text, and without a password, whatever stands before clients.
    pub(super) fn inner(&self) -> String {
        format!("127.0.0.1:{}", self.ports.inner)
    }

    pub(super) fn client_port(&self) -> u16 {
        self.ports.client
    }

    /// A port for a listener that a check adds.
    pub(super) fn spare(&self, n: usize) -> u16 {
        self.ports.spare[n]
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The broker's process.
    pub(crate) fn broker_pid(&self) -> Result<u32> {
        Ok(self.broker.as_ref().context("the broker does not run")?.pid())
    }

    /// `kill -9` of the broker.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.broker.take().context("the broker does not run")?.kill()
    }

    /// SIGSTOP of the broker: it takes connections, and answers nothing.
    pub(crate) fn freeze(&mut self) -> Result<()> {
        self.broker.as_mut().context("the broker does not run")?.send(Signal::STOP)
    }

    /// SIGCONT after that.
    pub(crate) fn thaw(&mut self) -> Result<()> {
        self.broker.as_mut().context("the broker does not run")?.send(Signal::CONT)
    }

    /// Ends the broker as an operator would: SIGTERM, and waits.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.broker.take().context("the broker does not run")?.stop()
    }

    /// Starts the broker again, on the same ports and data.
    pub(crate) fn restart(&mut self) -> Result<()> {
        ensure!(self.broker.is_none(), "the broker still runs");
        if let Some(zookeeper) = &mut self.zookeeper {
            // It keeps a killed broker's name until the session is over, and lets nobody else have it.
            let quorum = self.ports.quorum;
            zookeeper.wait_until("without the killed broker", |_| {
                ask(quorum, "dump").is_some_and(|dump| !dump.contains("/brokers/ids/1"))
            })?;
        }
        self.start_broker()
    }

    /// Runs one of Kafka's own tools, and gives what it wrote.
    pub(crate) fn tool(&self, class: &str, args: &[&str]) -> Result<String> {
        stdout(&mut self.call(class, args))
    }

    fn call(&self, class: &str, args: &[&str]) -> Command {
        let mut command = self.java(&["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"], "WARN");
        command.arg(class).args(args);
        command
    }

    /// Kafka's own consumer for the console, at our door, with all that is committed in the topics that match.
    pub(super) fn console(&self, topics: &str) -> Command {
        let (class, which) = if self.version.has_zookeeper() {
            ("kafka.tools.ConsoleConsumer", concat!("--white", "list")) // its word, not ours
        } else {
            ("org.apache.kafka.tools.consumer.ConsoleConsumer", "--include")
        };
        let servers = self.bootstrap();
        let args = ["--bootstrap-server", &servers, which, topics, "--from-beginning", "--isolation-level", "read_committed"];
        self.call(class, &args)
    }

    /// Kafka's own tool for topics, at our door; the older version has it elsewhere.
    pub(crate) fn topics(&self, args: &[&str]) -> Result<String> {
        let old = self.version.has_zookeeper();
        let class = if old { "kafka.admin.TopicCommand" } else { "org.apache.kafka.tools.TopicCommand" };
        self.tool(class, &[&["--bootstrap-server", &self.bootstrap()], args].concat())
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Lets it live on after this task.
    pub(super) fn leave_running(mut self) {
        self.left = true;
    }

    fn write_files(&self, given: &[(String, String)]) -> Result<()> {
        let dir = self.dir.to_str().context("the target folder's name is not UTF-8")?;
        std::fs::write(Role::Broker.properties(&self.dir), config::broker(self.version, dir, self.ports, given))?;
        if self.version.has_zookeeper() {
            std::fs::write(Role::Zookeeper.properties(&self.dir), config::zookeeper(dir, self.ports))?;
        }
        let (file, _, text) = config::logging(self.version);
        std::fs::write(self.dir.join(file), text)?;
        Ok(())
    }

    /// Java with our jars and our logging; memory and level as given.
    fn java(&self, options: &[&str], level: &str) -> Command {
        let (file, property, _) = config::logging(self.version);
        let mut command = Command::new("java");
        command.args(options).arg("-cp").arg(&self.class_path);
        command.arg(format!("-Drig.level={level}")).arg(format!("-D{property}=file:{}", self.dir.join(file).display()));
        command
    }

    /// Makes the data folder of a node that is its own controller. Its id is the cluster's: no two rigs mistake each other.
    fn format(&self) -> Result<()> {
        let id = format!("rig{:09}{:09}A", std::process::id(), self.ports.client);
        let properties = Role::Broker.properties(&self.dir);
        let properties = properties.to_str().context("a name in UTF-8")?;
        self.tool("kafka.tools.StorageTool", &["format", "--standalone", "-t", &id, "-c", properties]).map(drop)
    }

    fn start_zookeeper(&mut self) -> Result<()> {
        let mut command = self.java(&["-Xmx128m"], "INFO");
        command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(Role::Zookeeper.properties(&self.dir));
        let process = self.zookeeper.insert(Process::spawn(command, Role::Zookeeper, &self.dir, self.apart)?);
        let quorum = self.ports.quorum;
        process.wait_until("ready", |_| ask(quorum, "ruok").is_some_and(|answer| answer == "imok"))
    }

    fn start_broker(&mut self) -> Result<()> {
        let mut command = self.java(&["-Xmx512m"], "INFO");
        command.arg("kafka.Kafka").arg(Role::Broker.properties(&self.dir));
        let process = self.broker.insert(Process::spawn(command, Role::Broker, &self.dir, self.apart)?);
        let line = if self.version.has_zookeeper() { "started (kafka.server.KafkaServer)" } else { "Kafka Server started" };
        let port = self.ports.client;
        process.wait_until("ready", |log| log.contains(line) && TcpStream::connect(("127.0.0.1", port)).is_ok())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        for process in self.broker.iter_mut().chain(&mut self.zookeeper) {
            // Nobody is left to tell; the next task tries again.
            let _ = process.kill();
        }
        for data in ["data", "zookeeper"] {
            let _ = std::fs::remove_dir_all(self.dir.join(data));
        }
    }
}

/// Asks ZooKeeper one of its words of four letters.
fn ask(port: u16, word: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(word.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Where the rig of this version runs that `up` left.
pub(super) fn running(version: Version) -> Result<Option<String>> {
    let dir = target().join("xtask/kafka").join(version.number());
    if Process::find(Role::Broker, &dir).is_none() {
        // A ZooKeeper whose broker is gone is of no use.
        end(&dir)?;
        return Ok(None);
    }
    Ok(Some(std::fs::read_to_string(dir.join(ADDRESS)).context("the broker runs, but is not ready: `down` it, or wait")?))
}

/// Ends what `up` left running, and what killed tasks left behind; gives the names of those that ran.
pub(super) fn end_all(version: Option<Version>) -> Result<Vec<String>> {
    let mut ended = clear_orphans()?;
    for version in Version::value_variants().iter().filter(|one| version.is_none_or(|version| version == **one)) {
        if end(&target().join("xtask/kafka").join(version.number()))? {
            ended.push(version.number().to_owned());
        }
    }
    Ok(ended)
}

/// Ends the processes of a folder, and deletes it; whether any ran.
fn end(dir: &Path) -> Result<bool> {
    let mut ran = false;
    for role in [Role::Broker, Role::Zookeeper] {
        if let Some(mut process) = Process::find(role, dir) {
            ran = true;
            process.stop().or_else(|_| process.kill())?;
        }
    }
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| format!("cannot delete {}", dir.display()))?;
    }
    Ok(ran)
}

/// Ends the rigs of tasks that are gone, and deletes their folders; gives the names of those that ran.
fn clear_orphans() -> Result<Vec<String>> {
    let mut ended = Vec::new();
    for entry in std::fs::read_dir(work_dir("kafka")?)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(owner) = owner(name) else { continue };
        // Empty of a process that is dead, even while nobody has asked how it ended.
        let line = std::fs::read_to_string(format!("/proc/{owner}/cmdline")).unwrap_or_default();
        if !line.split('\0').next().is_some_and(|program| program.ends_with("xtask")) && end(&path)? {
            ended.push(format!("{name}, left behind by a task that was killed"));
        }
    }
    Ok(ended)
}

/// The task that owns a folder: `4.3.1-OWNER-1`.
fn owner(name: &str) -> Option<u32> {
    let mut parts = name.split('-').skip(1);
    let owner = parts.next()?.parse().ok()?;
    parts.next()?.parse::<usize>().ok().map(|_| owner)
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn the_owner_is_in_the_name() {
        assert_eq!(owner("4.3.1-123-0"), Some(123));
        assert_eq!(owner("4.3.1"), None);
        assert_eq!(owner("4.3.1-x"), None);
    }
}
