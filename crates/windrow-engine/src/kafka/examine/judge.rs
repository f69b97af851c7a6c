//! The judgements: from facts to one verdict a subject, the first that is wrong with what to do about it.

use super::super::longest::of_client;
use super::super::operations::Allowed;
use super::super::rights::{Need, On};
use super::super::topics::{REJECTS, Role, Standing, Wanted};
use super::super::trouble::{self, Asked};
use super::Verdict;
use super::ask::{AHEAD, Facts, Refusal};
use crate::error::{Error, ErrorKind};
use crate::settings::{Settings, show_size};
use crate::sink::topics::room::{longest_page, longest_row};
use crate::source::kafka::too_many;
use rdkafka::error::RDKafkaErrorCode as Code;

/// A roll may be missed once before the rows that a restart reads again are gone.
const ROLLS_KEPT: u64 = 2;
/// Where brokers keep transactions, in how many copies: the broker's key.
const COPIES: &str = "transaction.state.log.replication.factor";

/// All verdicts, in the order in which a run meets the subjects.
pub(super) fn judge(facts: &Facts, settings: &Settings, asked: &Asked) -> Vec<Verdict> {
    let mut verdicts = brokers(facts, asked);
    verdicts.extend(topics(facts));
    verdicts.extend(rights(facts, asked));
    verdicts.extend(shapes(facts));
    verdicts.extend(retention(facts, settings));
    verdicts.extend(sizes(facts, settings));
    verdicts.extend(memory(facts, settings));
    verdicts.extend(transactions(facts, settings));
    verdicts.extend(clock(facts));
    verdicts
}

fn kafka(code: &'static str, message: String) -> Error {
    Error::new(ErrorKind::Kafka, code, message)
}

/// A size as people write it.
fn bytes(size: u64) -> String {
    let text = show_size(size);
    if text.ends_with(|c: char| c.is_ascii_digit()) { format!("{text} bytes") } else { text }
}

/// `1 copy`, `2 copies`.
fn copies(count: usize) -> String {
    if count == 1 { "1 copy".to_owned() } else { format!("{count} copies") }
}

/// `1 topic`, `2 topics`.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A name, and how many there are beside it.
fn and_more(first: &str, count: usize) -> String {
    if count == 1 { first.to_owned() } else { format!("{first} and {} more", count - 1) }
}

fn brokers(facts: &Facts, asked: &Asked) -> Vec<Verdict> {
    let wrong = facts.brokers.iter().filter_map(|(address, why)| Some((address, why.as_ref()?)));
    let mut verdicts: Vec<Verdict> =
        wrong.map(|(address, why)| Verdict::bad("brokers", trouble::advertised(address, why, asked))).collect();
    if verdicts.is_empty() {
        let addresses: Vec<&str> = facts.brokers.iter().map(|(address, _)| address.as_str()).collect();
        let told = format!("{}: {}", counted(addresses.len(), "broker"), addresses.join(", "));
        verdicts.push(Verdict::fine("brokers", told));
    }
    verdicts
}

impl Facts {
    /// Whether brokers say that the user may not even see the topic.
    fn is_hidden(&self, one: &Wanted) -> bool {
        matches!(self.allowed_on(one), Some(Err(Code::TopicAuthorizationFailed)))
    }

    fn allowed_on(&self, one: &Wanted) -> Option<Result<Allowed, Code>> {
        self.allowed.as_ref()?.get(&one.topic).copied()
    }

    /// A property of a topic as a number.
    fn number(&self, topic: &str, key: &str) -> Option<i64> {
        self.properties.get(topic)?.get(key)?.parse().ok()
    }
}

fn topics(facts: &Facts) -> Vec<Verdict> {
    let missing: Vec<&Wanted> =
        facts.wanted.iter().filter(|one| one.standing == Standing::Missing && !facts.is_hidden(one)).collect();
    let mut verdicts = Vec::new();
    if let Some(first) = missing.first() {
        let message = format!("there is no topic {}", and_more(&first.topic, missing.len()));
        let error = kafka("E-KAFKA-TOPIC", message);
        verdicts.push(Verdict::bad("topics", error.hint("make them with the same settings: windrow topics create")));
    }
    for (one, flaw) in facts.wanted.iter().filter_map(|one| Some((one, one.flaw.as_ref()?))) {
        let error = kafka("E-KAFKA-TOPIC", format!("{} {flaw}", one.topic));
        verdicts.push(Verdict::bad("topics", error.hint("delete it, if nobody needs it, and call windrow topics create")));
    }
    if verdicts.is_empty() {
        let there = facts.wanted.iter().filter(|one| one.standing != Standing::Missing).count();
        verdicts.push(Verdict::fine("topics", format!("{there} of {} can be seen", facts.wanted.len())));
    }
    verdicts
}

/// What is done with a topic.
fn needed(role: Role) -> &'static [&'static str] {
    match role {
        Role::Input => &["Read"],
        Role::Commits => &["Read", "Write"],
        _ => &["Write"],
    }
}

fn rights(facts: &Facts, asked: &Asked) -> Vec<Verdict> {
    let mut lacking: Vec<(&'static str, &Wanted, usize)> = Vec::new();
    for one in &facts.wanted {
        for right in needed(one.role) {
            let is_allowed = match facts.allowed_on(one) {
                Some(Ok(allowed)) => {
                    if *right == "Read" {
                        allowed.read
                    } else {
                        allowed.write
                    }
                }
                Some(Err(code)) => code != Code::TopicAuthorizationFailed,
                None => true,
            };
            if is_allowed {
                continue;
            }
            // The topics of clusters go together: one line for all of them.
            match lacking.iter_mut().find(|(of, first, _)| of == right && first.role == one.role && one.role == Role::Slot) {
                Some((_, _, count)) => *count += 1,
                None => lacking.push((right, one, 1)),
            }
        }
    }
    let sentence = |(right, one, count): (&'static str, &Wanted, usize)| {
        let prefix = one.topic.trim_end_matches(|c: char| c.is_ascii_digit());
        let need = if count > 1 && !prefix.is_empty() {
            Need::new(right, On::Topic(prefix)).of_many()
        } else {
            Need::new(right, On::Topic(&one.topic))
        };
        Verdict::bad("rights", need.lacking(asked))
    };
    let mut verdicts: Vec<Verdict> = lacking.into_iter().map(sentence).collect();
    verdicts.extend(facts.group.iter().map(|error| Verdict::bad("rights", error.clone())));
    if verdicts.is_empty() {
        let told = match facts.allowed {
            Some(ref answers) => {
                let there = answers.values().filter(|answer| answer.is_ok()).count();
                format!("all that a run needs, on {}", counted(there, "topic"))
            }
            None => "these brokers do not tell what a user may do".to_owned(),
        };
        verdicts.push(Verdict::fine("rights", told));
    }
    verdicts
}

/// Properties that would lose pages, or stop every write.
fn shapes(facts: &Facts) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut compacted: Vec<&str> = Vec::new();
    for one in &facts.wanted {
        let Some(properties) = facts.properties.get(&one.topic) else { continue };
        let policy = properties.get("cleanup.policy").map_or("delete", String::as_str);
        if one.role == Role::Commits && policy != "compact" {
            let message = format!("{} has cleanup.policy={policy}: the commit record would be deleted in time", one.topic);
            verdicts.push(altered(message, &one.topic, "cleanup.policy=compact"));
        }
        if one.role != Role::Commits && policy.contains("compact") {
            compacted.push(&one.topic);
        }
        let least = facts.number(&one.topic, "min.insync.replicas").unwrap_or(1);
        if let Standing::There(shape) = one.standing
            && i64::try_from(shape.replication).is_ok_and(|copies| copies < least)
            && one.role != Role::Input
        {
            let message = format!(
                "{} has {} and min.insync.replicas={least}: no write can succeed",
                one.topic,
                copies(shape.replication)
            );
            verdicts.push(altered(message, &one.topic, &format!("min.insync.replicas={}", shape.replication)));
        }
    }
    if let Some(first) = compacted.first() {
        let names = and_more(first, compacted.len());
        let message = format!("{names} has cleanup.policy=compact: of the pages with one key, only the last would stay");
        verdicts.push(altered(message, first, "cleanup.policy=delete"));
    }
    verdicts
}

fn altered(message: String, topic: &str, property: &str) -> Verdict {
    Verdict::bad("shapes", kafka("E-KAFKA-TOPIC", message).hint(alter(topic, property)))
}

/// The command that sets a property of a topic.
fn alter(topic: &str, property: &str) -> String {
    format!(
        "kafka-configs.sh --bootstrap-server HOST:PORT --alter --entity-type topics --entity-name {topic} --add-config {property}"
    )
}

/// A run that starts again reads again what was not in a roll yet.
fn retention(facts: &Facts, settings: &Settings) -> Option<Verdict> {
    let input = facts.wanted.iter().find(|one| one.role == Role::Input)?;
    let Ok(kept) = u64::try_from(facts.number(&input.topic, "retention.ms")?) else {
        return Some(Verdict::fine("retention", format!("{} keeps messages for ever", input.topic)));
    };
    let (kept, roll) = (kept / 1_000, settings.output.roll_seconds);
    if kept >= roll * ROLLS_KEPT {
        let told = format!("{} keeps messages for {kept} s, rolls come every {roll} s", input.topic);
        return Some(Verdict::fine("retention", told));
    }
    let message = format!(
        "{} keeps messages for {kept} s and rolls come every {roll} s: what a restart must read again may be gone",
        input.topic
    );
    let lower = match kept / ROLLS_KEPT {
        0 => String::new(),
        most => format!(", or lower output.roll_seconds to at most {most}"),
    };
    let hint = format!("raise retention.ms of the topic{lower}");
    Some(Verdict::bad("retention", kafka("E-KAFKA-RETENTION", message).hint(hint)))
}

/// A page must fit into a message, with all that is around its row.
fn sizes(facts: &Facts, settings: &Settings) -> Option<Verdict> {
    let (longest, row) = (longest_page(settings), settings.limits.max_record);
    let outputs = || facts.wanted.iter().filter(|one| one.role != Role::Input);
    outputs().next()?;
    let needs = format!(
        "the page of a row of {} (limits.max_record) may need {}, with names of fields, headers and escapes",
        bytes(row),
        bytes(longest)
    );
    let lower = |takes: u64| match longest_row(settings, takes) {
        Some(most) => format!(", or lower limits.max_record to {most} at most: longer rows are then rejects"),
        None => String::new(),
    };
    let given = settings.kafka.get("message.max.bytes").and_then(|text| text.parse().ok());
    let ours = given.unwrap_or_else(|| of_client(settings.limits.memory));
    if ours < longest {
        let message = format!("kafka.message.max.bytes is {}, and {needs}", bytes(ours));
        let hint = format!("set kafka.message.max.bytes to {longest}{}", lower(ours));
        return Some(Verdict::bad("sizes", kafka("E-KAFKA-SIZE", message).hint(hint)));
    }
    let takes = |one: &Wanted| u64::try_from(facts.number(&one.topic, "max.message.bytes")?).ok();
    // Rejects are cut to what their topic takes; lineage and commit records are short.
    let pages = outputs().filter(|one| matches!(one.role, Role::Slot | Role::Keyed));
    let all: Vec<(&str, u64)> = pages.filter_map(|one| Some((one.topic.as_str(), takes(one)?))).collect();
    let (topic, least) = all.iter().min_by_key(|(_, takes)| *takes).copied()?;
    if least < longest {
        let few = all.iter().filter(|(_, takes)| *takes < longest).count();
        let message = format!("{} takes messages up to {}, and {needs}", and_more(topic, few), bytes(least));
        let hint = format!("{}{}", alter(topic, &format!("max.message.bytes={longest}")), lower(least));
        return Some(Verdict::bad("sizes", kafka("E-KAFKA-SIZE", message).hint(hint)));
    }
    let of_role = |role: Role| facts.wanted.iter().find(|one| one.role == role).and_then(takes);
    let cut = match (of_role(Role::Input), of_role(Role::Rejects)) {
        (Some(input), Some(rejects)) if input > rejects => {
            format!("; rejects above {} are cut off in {REJECTS}, the Parquet has them whole", bytes(rejects))
        }
        _ => String::new(),
    };
    Some(Verdict::fine("sizes", format!("messages up to {} go out, pages have at most {}{cut}", bytes(least), bytes(longest))))
}

/// What the client holds ready of each partition must leave room for the rest.
fn memory(facts: &Facts, settings: &Settings) -> Option<Verdict> {
    let input = facts.wanted.iter().find(|one| one.role == Role::Input)?;
    let (Standing::There(shape) | Standing::Unfit(shape)) = input.standing else { return None };
    let told = too_many(&input.topic, shape.partitions, settings.limits.memory)?;
    let error = Error::new(ErrorKind::Invalid, "E-SETTINGS", told);
    Some(Verdict::bad("memory", error.hint("raise limits.memory (--memory), or expect the process to take more than it says")))
}

fn transactions(facts: &Facts, settings: &Settings) -> Option<Verdict> {
    facts.wanted.iter().find(|one| one.role != Role::Input)?;
    let longest = facts.of_broker.get("transaction.max.timeout.ms").map(String::as_str);
    let error = match &facts.transactions {
        None => {
            let kept = facts.transaction_copies.map(|kept| format!(", kept in {}", copies(kept))).unwrap_or_default();
            return Some(Verdict::fine("transactions", format!("can be had{kept}")));
        }
        Some(Refusal::Other(error)) => error.clone(),
        Some(Refusal::TooLong) => {
            let ours = settings.kafka.get("transaction.timeout.ms").unwrap_or("60000");
            let most = longest.map(|most| format!(" (transaction.max.timeout.ms={most})")).unwrap_or_default();
            let message = format!("kafka.transaction.timeout.ms is {ours}, and that is more than the brokers allow{most}");
            kafka("E-KAFKA-TXN", message).hint("lower it, or take it out")
        }
        Some(Refusal::Nobody(error)) => nobody(facts, error),
    };
    Some(Verdict::bad("transactions", error))
}

fn nobody(facts: &Facts, error: &Error) -> Error {
    let brokers = facts.brokers.len();
    let copies = facts.of_broker.get(COPIES).and_then(|copies| copies.parse::<usize>().ok());
    match copies.filter(|copies| *copies > brokers && facts.transaction_copies.is_none()) {
        Some(copies) => {
            let message = format!(
                "no transactions can be had: the brokers want {copies} copies of them, and there is {}",
                counted(brokers, "broker")
            );
            kafka("E-KAFKA-TXN", message).hint(format!(
                "for one broker set {COPIES}=1 and transaction.state.log.min.isr=1 in its server.properties, and start it again"
            ))
        }
        None => kafka("E-KAFKA-TXN", "no transactions can be had: no coordinator of transactions answers".to_owned())
            .cause(error)
            .hint(format!("are enough brokers up for {COPIES} and transaction.state.log.min.isr? Their logs say more")),
    }
}

fn clock(facts: &Facts) -> Option<Verdict> {
    let input = facts.wanted.iter().find(|one| one.role == Role::Input && one.standing != Standing::Missing)?;
    let Some((partition, offset)) = facts.ahead else {
        return Some(Verdict::fine("clock", format!("no message of {} is stamped ahead of this machine's time", input.topic)));
    };
    let by = facts.properties.get(&input.topic).and_then(|properties| properties.get("message.timestamp.type"));
    let by = if by.is_some_and(|by| by == "LogAppendTime") { "a broker" } else { "its producer" };
    let message = format!(
        "message {offset} of {}, partition {partition}, was stamped by {by} with a time more than {} s ahead of this machine's",
        input.topic,
        AHEAD.as_secs()
    );
    let hint = "set the clocks (timedatectl); lag in seconds, --from TIME and retention go by these stamps";
    Some(Verdict::bad("clock", kafka("E-KAFKA-CLOCK", message).hint(hint)))
}

#[cfg(test)]
mod tests;
