//! Kafka's jars, and those that Spark needs to read from it, from Maven's repository: fetched once a version, into the target folder.
//!
//! Maven itself is called with a project file that we write, so its settings (mirrors, proxies) hold here too. The jars come into a
//! folder of their own that is renamed when all are there: a download that broke off leaves nothing that looks like one.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Version;
use crate::shell::{output, stdout, talk, work_dir};

/// What a machine must have, and the packages that have it.
pub(crate) const NEEDS: [(&str, &str); 2] = [
    ("java", "Java 17 or newer, to run Apache Kafka: Debian's package `default-jre-headless`"),
    ("mvn", "Maven, to fetch Apache Kafka: Debian's package `maven`"),
];

const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The class path of all jars of a version.
pub(super) fn class_path(version: Version) -> Result<String> {
    Ok(format!("{}/*", folder(version.number(), &project(version))?.display()))
}

/// Spark's connector to Kafka, which is Spark's own: one for each of its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connector {
    V4_2,
    V3_5,
}

impl Connector {
    pub(crate) const NEWEST: Self = Self::V4_2;

    /// Its artifact, and Spark's version.
    fn artifact(self) -> [&'static str; 2] {
        match self {
            Self::V4_2 => ["spark-sql-kafka-0-10_2.13", "4.2.0"],
            Self::V3_5 => ["spark-sql-kafka-0-10_2.12", "3.5.0"],
        }
    }

    /// What Spark's `--packages` takes.
    pub(crate) fn package(self) -> String {
        let [artifact, version] = self.artifact();
        format!("org.apache.spark:{artifact}:{version}")
    }
}

/// The jars of Spark's connector, which Spark takes as a list.
pub(crate) fn spark_connector(connector: Connector) -> Result<String> {
    let [artifact, version] = connector.artifact();
    let project = SPARK_PROJECT.replace("{artifact}", artifact).replace("{version}", version);
    let dir = folder(&format!("spark-{version}"), &project)?;
    let files = std::fs::read_dir(&dir)?.filter_map(|entry| Some(entry.ok()?.path().display().to_string()));
    let mut jars: Vec<String> = files.filter(|name| name.ends_with(".jar")).collect();
    jars.sort();
    Ok(jars.join(","))
}

/// The folder of a project's jars, fetched when they are not there.
fn folder(name: &str, wanted: &str) -> Result<PathBuf> {
    let all = work_dir("jars")?;
    let dir = all.join(name);
    let there = || std::fs::read_to_string(dir.join("pom.xml")).is_ok_and(|text| text == wanted);
    if !there() {
        check_java()?;
        talk(format_args!("fetching jars into {}", dir.display()));
        let fetched = fetch(&all.join(format!("{name}-{}", std::process::id())), wanted)?;
        if dir.exists() && !there() {
            std::fs::remove_dir_all(&dir)?;
        }
        if let Err(error) = std::fs::rename(&fetched, &dir) {
            // Another task may have been first.
            ensure!(there(), "cannot rename {} to {}: {error}", fetched.display(), dir.display());
            std::fs::remove_dir_all(&fetched)?;
        }
    }
    Ok(dir)
}

fn fetch(dir: &PathBuf, project: &str) -> Result<PathBuf> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("pom.xml"), project)?;
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--quiet", "-Dstyle.color=never", COPY]).current_dir(dir);
    let done = output(maven.arg(format!("-DoutputDirectory={}", dir.display()))).context(NEEDS[1].1)?;
    if !done.status.success() {
        // Maven tells its errors on standard output.
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        std::fs::remove_dir_all(dir)?;
        anyhow::bail!("Maven could not fetch the jars: is the network there?\n{}", said.trim());
    }
    Ok(dir.clone())
}

/// Kafka's broker and its tools; with a log writer, where they bring none.
fn project(version: Version) -> String {
    let number = version.number();
    let mut wanted = vec![("org.apache.kafka", "kafka_2.13", number), ("org.apache.kafka", "kafka-tools", number)];
    if version == Version::V4_3 {
        let log4j = "org.apache.logging.log4j";
        wanted.extend([(log4j, "log4j-slf4j-impl", "2.24.3"), (log4j, "log4j-core", "2.24.3")]);
    }
    let mut text = String::from(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>windrow</groupId><artifactId>kafka-rig</artifactId><version>1</version><packaging>pom</packaging>\n  <dependencies>\n",
    );
    for (group, artifact, version) in wanted {
        text.push_str(&format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
        ));
    }
    text + "  </dependencies>\n</project>\n"
}

/// Spark's connector to Kafka, without what pyspark brings itself.
const SPARK_PROJECT: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>windrow</groupId><artifactId>spark-connector</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.spark</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
      <exclusions>
        <exclusion><groupId>org.apache.hadoop</groupId><artifactId>*</artifactId></exclusion>
        <exclusion><groupId>org.slf4j</groupId><artifactId>*</artifactId></exclusion>
        <exclusion><groupId>org.scala-lang</groupId><artifactId>*</artifactId></exclusion>
      </exclusions>
    </dependency>
  </dependencies>
</project>
"#;

/// Java's version, asked once a download: an old one fails with a message that says nothing.
fn check_java() -> Result<()> {
    let said = stdout(Command::new("java").arg("--version")).context(NEEDS[0].1)?;
    let major = major(&said).with_context(|| format!("java --version says {said}"))?;
    ensure!(major >= 17, "this machine has Java {major}, and needs {}", NEEDS[0].1);
    Ok(())
}

/// The first number of `openjdk 17.0.15 2025-04-15`.
fn major(said: &str) -> Option<u32> {
    said.split_whitespace().nth(1)?.split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_names_what_its_version_needs() {
        assert!(project(Version::V4_3).contains("<artifactId>log4j-core</artifactId>"));
        assert!(!project(Version::V2_8).contains("log4j"));
        assert_eq!(project(Version::V2_8).matches("<version>2.8.0</version>").count(), 2);
    }

    #[test]
    fn the_version_of_java_is_read() {
        assert_eq!(major("openjdk 17.0.15 2025-04-15\nOpenJDK Runtime"), Some(17));
        assert_eq!(major("java 25 2025-09-16 LTS"), Some(25));
        assert_eq!(major("nonsense"), None);
    }
}
