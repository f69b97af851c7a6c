//! Rights: the user begins with none, is told which one it lacks, and is given the next line of the docs, until the verb works.
//!
//! So every line of `docs/how-to/kafka.md` is shown to be needed, and all of them together to be enough.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::super::examine::wrong;
use super::{ADMIN, AUDITOR, LIMIT_S, Listener, PASSWORD, RUNNER, Stage, USER};
use crate::python::{CLIENTS, script};
use crate::shell::{root, stdout};

const TOOL: &str = "kafka-acls.sh --bootstrap-server HOST:PORT ";
/// The input and a number of clusters as the docs have them.
const PIPELINE: [&str; 4] = ["--from-topic", "topic_url", "--clusters", "2"];

const SAMPLE: [&str; 7] = ["check", "-o", "json", "--sample", "5", PIPELINE[0], PIPELINE[1]];

/// The lines of the docs below the paragraph that begins with a verb.
fn documented(verb: &str) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(root().join("docs/how-to/kafka.md"))?;
    let rights = page.split("\n## Rights\n").nth(1).context("kafka.md has no rights")?;
    let section = rights.split(&format!("\n`{verb}`")).nth(1).with_context(|| format!("kafka.md has no rights of {verb}"))?;
    let block = section.split("```").nth(1).context("a block of lines")?;
    Ok(block.lines().filter_map(|line| line.strip_prefix(TOOL)).map(str::to_owned).collect())
}

/// One user, and what it was granted.
struct User<'a> {
    stage: &'a Stage,
    settings: PathBuf,
    refusals: usize,
}

impl User<'_> {
    fn change(&self, how: &str, what: &str) -> Result<()> {
        self.grant(&format!("{how} --allow-principal User:{USER} {what}"))
    }

    fn grant(&self, line: &str) -> Result<()> {
        let inner = self.stage.rig.inner();
        let args: Vec<_> = ["--bootstrap-server", &inner].into_iter().chain(line.split_whitespace()).collect();
        self.stage.rig.tool("org.apache.kafka.tools.AclCommand", &args).map(drop)
    }

    /// The verb lacks this right on this resource.
    fn lacks(&mut self, args: &[&str], right: &str, on: &str) -> Result<()> {
        let named = format!("the user {USER} lacks the right {right} on the {on}");
        let option = format!("--operation {right} --{}", on.replacen("transactional id", "transactional-id", 1));
        self.refusals += 1;
        self.stage.fails(&self.settings, args, 4, "E-KAFKA-RIGHTS", &[&named, &option]).map(drop).context(named)
    }

    fn topics(&self, what: &str, exit: i32) -> Result<()> {
        let yes: &[_] = if what == "delete" { &["--yes"] } else { &[] };
        let args = [&["topics", what][..], &PIPELINE, yes].concat();
        let done = self.stage.call(&self.settings, &args)?;
        ensure!(done.code == Some(exit), "{args:?}: exit code {:?}, expected {exit}: {}{}", done.code, done.said, done.talk);
        Ok(())
    }
}

/// Gives the number of refusals that were named.
pub(super) fn rights(stage: &Stage) -> Result<usize> {
    let keys = [("sasl.mechanism", "PLAIN"), ("sasl.username", USER), ("sasl.password", PASSWORD)];
    let mut user = User { stage, settings: stage.settings(Listener::SaslTls, &keys)?, refusals: 0 };
    lacks_for_a_sample(&mut user, "Describe")?;
    topics(&mut user)?;
    produce(&mut user)?;
    user.change("--remove", "--force --operation Read --topic topic_url")?;
    lacks_for_a_sample(&mut user, "Read")?;
    documented("init --from-topic")?.iter().try_for_each(|line| user.grant(line))?;
    user.stage.call(&user.settings, &SAMPLE)?.fine("a sample with the rights of the docs")?;
    tail(&mut user)?;
    rejects(&mut user)?;
    check(&mut user)?;
    run(&mut user)?;
    let delete = [&["topics", "delete", "--yes"][..], &PIPELINE].concat();
    user.lacks(&delete, "Delete", "topic cluster_0")?;
    documented("topics delete")?.iter().try_for_each(|line| user.grant(line))?;
    user.topics("delete", 0)?;
    let delete = [&delete[..], &["--shared"]].concat();
    user.lacks(&delete, "Delete", "topic windrow-")?;
    documented("topics delete --shared")?.iter().try_for_each(|line| user.grant(line))?;
    user.stage.call(&user.settings, &delete)?.fine("topics delete --shared with the rights of the docs")?;
    Ok(user.refusals)
}

fn lacks_for_a_sample(user: &mut User<'_>, right: &str) -> Result<()> {
    let said = wrong(&user.stage.call(&user.settings, &SAMPLE)?.said)?;
    let named = format!("lacks the right {right} on the topic topic_url");
    let fits = said.len() == 1 && said[0].code == "E-KAFKA-RIGHTS" && said[0].message.contains(&named);
    ensure!(fits, "{named}: {said:?}");
    user.refusals += 1;
    Ok(())
}

fn topics(user: &mut User<'_>) -> Result<()> {
    let [check, create] = ["check", "create"].map(|what| [&["topics", what][..], &PIPELINE].concat());
    let (describe, make) = (documented("topics check")?, documented("topics create")?);
    ensure!(describe.len() == 2 && make.len() == 2, "lines of the docs: {describe:?} {make:?}");
    user.lacks(&check, "Describe", "topic topic_url")?;
    user.grant(&describe[1])?;
    user.lacks(&check, "Describe", "topic topic_url")?;
    user.grant(&describe[0])?;
    user.topics("check", 1)?;
    user.lacks(&create, "Create", "topic topic_url")?;
    user.grant(&make[0])?;
    user.lacks(&create, "Create", "topic cluster_0")?;
    user.grant(&make[1])?;
    user.topics("create", 0)?;
    user.topics("check", 0)
}

/// `check` names all that a run lacks at once; what its hints say is enough.
fn check(user: &mut User<'_>) -> Result<()> {
    let out = user.stage.dir.join("out").display().to_string();
    let args = [&["check", "-o", "json", "--out", &out][..], &PIPELINE].concat();
    let lacking = [
        "Write on the topic cluster_…",
        "Write on the topic windrow-lineage",
        "Read on the topic windrow-commits",
        "Write on the topic windrow-commits",
        "Read on the group windrow…",
        "Write on the transactional id windrow…",
    ];
    let done = user.stage.call(&user.settings, &args)?;
    let said = wrong(&done.said)?;
    // Rights of verbs that were called before are not lacking any more: which these are, is theirs to say.
    let fits = said.iter().all(|said| said.code == "E-KAFKA-RIGHTS")
        && lacking.iter().all(|right| said.iter().any(|said| said.message.contains(right)));
    ensure!(fits && done.code == Some(1) && done.seconds <= LIMIT_S, "expected {lacking:?}, got {said:?} {}", done.talk);
    for said in &said {
        let line = said.hint.split_once("--bootstrap-server ").and_then(|(_, rest)| rest.split_once(' '));
        let line = line.and_then(|(_, rest)| rest.split(';').next()).context("a command in the hint")?;
        user.grant(line)?;
    }
    user.refusals += said.len();
    let done = user.stage.call(&user.settings, &args)?;
    ensure!(done.code == Some(0), "with the rights of the hints: {} {}", done.said, done.talk);
    let run = ["run", "--until-end", "--from", "earliest", "--out", &out];
    user.stage.call(&user.settings, &[&run[..], &PIPELINE].concat())?.fine("a run with the rights of the hints")?;
    let too_long = [&args[..], &["-X", "transaction.timeout.ms=3600000"]].concat();
    let said = wrong(&user.stage.call(&user.settings, &too_long)?.said)?;
    ensure!(said.len() == 1 && said[0].code == "E-KAFKA-TXN", "{said:?}");
    Ok(())
}

/// `run` as somebody who has only what the docs say of it.
fn run(user: &mut User<'_>) -> Result<()> {
    let keys = [("sasl.mechanism", "PLAIN"), ("sasl.username", RUNNER), ("sasl.password", PASSWORD)];
    let settings = user.stage.settings(Listener::SaslTls, &keys)?;
    let out = user.stage.dir.join("run").display().to_string();
    let call = [&["run", "-v", "--until-end", "--from", "earliest", "--out", &out][..], &PIPELINE].concat();
    let lines = documented("run")?;
    let lacking = [
        ("Describe", "topic cluster_0", "Write --resource-pattern-type prefixed --topic"),
        ("Write", "transactional id windrow-", "Write --resource-pattern-type prefixed --transactional-id"),
        ("Describe", "topic topic_url", "Read --topic topic_url"),
        ("Read", "group windrow", "Read --resource-pattern-type prefixed --group"),
        // Of the next run, which must know what the last one has committed.
        ("Read", "topic windrow-commits", "Read --topic windrow-commits"),
    ];
    ensure!(lines.len() == lacking.len(), "lines of the docs: {lines:?}");
    for (right, on, what) in lacking {
        if on == "topic windrow-commits" {
            user.stage.call(&settings, &call)?.fine("a first run with the rights of the docs")?;
        }
        let named = format!("the user {RUNNER} lacks the right {right} on the {on}");
        user.stage.fails(&settings, &call, 4, "E-KAFKA-RIGHTS", &[&named]).context(named)?;
        user.refusals += 1;
        let line = lines.iter().find(|line| line.contains(&format!("--operation {what}")));
        let line = line.with_context(|| format!("kafka.md has no right {what} for `run`"))?;
        user.grant(&line.replace("User:windrow", &format!("User:{RUNNER}")))?;
    }
    user.stage.call(&settings, &call)?.fine("the next run with the rights of the docs")?;
    checks(user, &settings, &out)?;
    status(user, &settings, &out)?;
    audit(user, &out)
}

/// `check` finds nothing wrong with what the docs say of it, which is what they say of `run`; and looks at more where it may.
fn checks(user: &User<'_>, settings: &Path, out: &str) -> Result<()> {
    let call = [&["check", "-o", "json", "--out", out][..], &PIPELINE].concat();
    let looks_at = |what: &str| -> Result<bool> {
        let done = user.stage.call(settings, &call)?.fine("check with the rights of the docs of `run`")?;
        let said: Value = serde_json::from_str(&done.said)?;
        Ok(said["checks"].as_array().is_some_and(|checks| checks.iter().any(|check| check["what"] == what)))
    };
    let lines = documented("check")?;
    ensure!(lines.len() == 3 && !looks_at("retention")?, "lines of the docs: {lines:?}; or retention is no secret");
    lines.iter().try_for_each(|line| user.grant(&line.replace("User:windrow", &format!("User:{RUNNER}"))))?;
    ensure!(looks_at("retention")?, "check with {lines:?} does not look at retention");
    Ok(())
}

/// `audit` as somebody who has only what the docs say of it.
fn audit(user: &mut User<'_>, out: &str) -> Result<()> {
    let keys = [("sasl.mechanism", "PLAIN"), ("sasl.username", AUDITOR), ("sasl.password", PASSWORD)];
    let settings = user.stage.settings(Listener::SaslTls, &keys)?;
    let call = ["audit", "-o", "json", "--out", out, PIPELINE[0], PIPELINE[1]];
    let lines = documented("audit")?;
    ensure!(lines.len() == 3, "lines of the docs: {lines:?}");
    for line in &lines {
        let named = format!("the user {AUDITOR} lacks the right ");
        user.stage.fails(&settings, &call, 4, "E-KAFKA-RIGHTS", &[&named]).with_context(|| format!("audit without {line}"))?;
        user.refusals += 1;
        user.grant(&line.replace("User:windrow", &format!("User:{AUDITOR}")))?;
    }
    let done = user.stage.call(&settings, &call)?;
    let audit: Value =
        serde_json::from_str(&done.said).with_context(|| format!("with the rights of the docs: {}", done.talk))?;
    let topics = &audit["topics"];
    let is_whole = topics["missing"] == json!([]) && topics["pages"] == audit["pages"] && audit["lost"] == 0;
    // All that is wrong are the messages that `tail` was shown.
    let is_all = is_whole && topics["foreign"] == 3 && audit["pages"].as_u64() > Some(0);
    ensure!(is_all && done.code == Some(1), "it does not see all: {:?}: {audit}", done.code);
    Ok(())
}

/// What this user may not see is said, and the rest told.
fn status(user: &mut User<'_>, settings: &Path, out: &str) -> Result<()> {
    let mut reads = script(CLIENTS, "groups.py")?;
    stdout(reads.args(["read", &user.stage.rig.inner(), "readers", "cluster_1", "1"]))?;
    let [_, topics, _, readers] = <[String; 4]>::try_from(documented("status")?)
        .map_err(|lines| anyhow::anyhow!("lines of the docs: {lines:?}"))?
        .map(|line| line.replace("User:windrow", &format!("User:{RUNNER}")));
    let look = |user: &User<'_>| -> Result<Value> {
        let call = ["status", "-o", "json", "--out", out, PIPELINE[0], PIPELINE[1]];
        Ok(serde_json::from_str(&user.stage.call(settings, &call)?.fine("status")?.said)?)
    };
    let seen = look(user)?;
    let own = seen["lag"]["records"] == 0 && seen["groups"] == json!([]) && seen["missing"] == json!([]);
    ensure!(own, "the rights of a run show its own part: {seen}");
    user.grant(&readers)?;
    let seen = look(user)?;
    let group = &seen["groups"][0];
    let refused =
        seen["missing"][0]["message"].as_str().unwrap_or_default().contains("lacks the right Read on the topic cluster_1");
    ensure!(group["group"] == "readers" && group["records"].as_u64() > Some(0), "the group is seen: {seen}");
    ensure!(refused && group["seconds"].is_null(), "what cannot be read is said: {seen}");
    user.refusals += 1;
    user.grant(&topics)?;
    let seen = look(user)?;
    let whole = seen["missing"] == json!([]) && seen["groups"][0]["seconds"].as_f64() > Some(0.0);
    ensure!(whole, "with the rights of the docs: {seen}");
    Ok(())
}

fn produce(user: &mut User<'_>) -> Result<()> {
    let input = user.stage.dir.join("pages.csv").display().to_string();
    let call = ["produce", "--topic", "topic_url", "--limit", "20", "--input", &input];
    let lines = documented("produce")?;
    let lacking = [
        ("Write", "transactional id windrow-produce-"),
        ("Read", "group windrow-produce-"),
        ("Write", "topic topic_url"),
        ("Read", "topic topic_url"),
    ];
    ensure!(lines.len() == lacking.len(), "lines of the docs: {lines:?}");
    for (right, on) in lacking {
        user.lacks(&call, right, on)?;
        let kind = format!("--{} ", on.rsplit_once(' ').map_or(on, |(kind, _)| kind).replace(' ', "-"));
        let line = lines.iter().find(|line| line.contains(&format!("--operation {right} ")) && line.contains(&kind));
        user.grant(line.with_context(|| format!("kafka.md has no {right} on {on}"))?)?;
    }
    user.stage.call(&user.settings, &call)?.fine("produce with the rights of the docs").map(drop)
}

/// A page in the topic of a cluster, which somebody else wrote.
fn tail(user: &mut User<'_>) -> Result<()> {
    let keys = [("sasl.mechanism", "PLAIN"), ("sasl.username", ADMIN), ("sasl.password", PASSWORD)];
    let admin = user.stage.settings(Listener::SaslTls, &keys)?;
    let input = user.stage.dir.join("pages.csv").display().to_string();
    let fill = ["produce", "--topic", "cluster_1", "--limit", "3", "--input", &input];
    user.stage.call(&admin, &fill)?.fine("produce to the topic of a cluster")?;
    let lines = documented("tail")?;
    ensure!(lines.len() == 1, "lines of the docs: {lines:?}");
    user.lacks(&["tail"], "Read", "topic cluster_1")?;
    user.grant(&lines[0])?;
    let done = user.stage.call(&user.settings, &["tail", "--last", "2"])?.fine("tail with the rights of the docs")?;
    ensure!(done.said.lines().count() == 2, "two pages: {}", done.said);
    Ok(())
}

/// A message in the topic of rejects: looked at, not replayed for want of a pipeline, deleted.
fn rejects(user: &mut User<'_>) -> Result<()> {
    let keys = [("sasl.mechanism", "PLAIN"), ("sasl.username", ADMIN), ("sasl.password", PASSWORD)];
    let admin = user.stage.settings(Listener::SaslTls, &keys)?;
    let input = user.stage.dir.join("pages.csv").display().to_string();
    let fill = ["produce", "--topic", "windrow-rejects", "--limit", "3", "--input", &input];
    user.stage.call(&admin, &fill)?.fine("produce to the topic of rejects")?;
    let list = ["rejects", "list", "--from-topics"];
    user.lacks(&list, "Read", "topic windrow-rejects")?;
    documented("rejects list")?.iter().try_for_each(|line| user.grant(line))?;
    user.stage.call(&user.settings, &list)?.fine("rejects list with the rights of the docs")?;
    let replay = ["rejects", "replay", "--all", "--from-topics", "--pipeline", "none", "--topic", "topic_url"];
    user.lacks(&replay, "Write", "transactional id windrow-replay-")?;
    documented("rejects replay")?.iter().try_for_each(|line| user.grant(line))?;
    user.stage.call(&user.settings, &replay)?.fine("rejects replay with the rights of the docs")?;
    let purge = ["rejects", "purge", "--from-topics", "--yes"];
    user.lacks(&purge, "Delete", "topic windrow-rejects")?;
    documented("rejects purge")?.iter().try_for_each(|line| user.grant(line))?;
    user.stage.call(&user.settings, &purge)?.fine("rejects purge with the rights of the docs")?;
    // A run needs it by itself.
    user.change("--remove", "--force --operation Write --topic windrow-rejects")
}
