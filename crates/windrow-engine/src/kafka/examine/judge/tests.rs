use super::super::super::Shape;
use super::super::super::topics::{COMMITS, LINEAGE, REJECTS};
use super::*;

const THERE: Standing = Standing::There(Shape { partitions: 1, replication: 1 });

fn wanted(topic: &str, role: Role) -> Wanted {
    Wanted {
        topic: topic.into(),
        role,
        shape: Shape { partitions: 1, replication: 1 },
        standing: THERE,
        flaw: None,
        longest: None,
    }
}

/// A pipeline of two clusters where all is well.
fn facts() -> Facts {
    let wanted = vec![
        wanted("pages", Role::Input),
        wanted("cluster_0", Role::Slot),
        wanted("cluster_1", Role::Slot),
        wanted(LINEAGE, Role::Lineage),
        wanted(COMMITS, Role::Commits),
        wanted(REJECTS, Role::Rejects),
    ];
    let all = Allowed { read: true, write: true, describe_configs: true };
    let allowed = wanted.iter().map(|one| (one.topic.clone(), Ok(all))).collect();
    let mut facts = Facts { brokers: vec![("b:1".into(), None)], wanted, allowed: Some(allowed), ..Facts::default() };
    for topic in ["pages", "cluster_0", "cluster_1", LINEAGE, COMMITS, REJECTS] {
        let policy = if topic == COMMITS { "compact" } else { "delete" };
        set(&mut facts, topic, "cleanup.policy", policy);
        let longest = if topic.starts_with("cluster_") { "2101248" } else { "1048588" };
        set(&mut facts, topic, "max.message.bytes", longest);
        set(&mut facts, topic, "retention.ms", "604800000");
    }
    facts
}

fn set(facts: &mut Facts, topic: &str, key: &str, value: &str) {
    facts.properties.entry(topic.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
}

/// What is wrong: subject, code, and the sentence with its hint.
fn wrong(facts: &Facts, settings: &Settings) -> Vec<(&'static str, &'static str, String)> {
    let verdicts = judge(facts, settings, &Asked::default());
    let errors = verdicts.into_iter().filter_map(|verdict| Some((verdict.what, verdict.told.err()?)));
    errors.map(|(what, error)| (what, error.code, format!("{} | {}", error.message, error.hint.unwrap_or_default()))).collect()
}

/// The one thing that is wrong.
fn only(facts: &Facts, what: &str, code: &str) -> String {
    let found = wrong(facts, &Settings::default());
    assert!(matches!(found.as_slice(), [(of, is, _)] if *of == what && *is == code), "{found:?}");
    found.into_iter().next().unwrap().2
}

#[test]
fn nothing_is_said_of_what_is_well() {
    assert_eq!(wrong(&facts(), &Settings::default()), []);
    let subjects: Vec<_> = judge(&facts(), &Settings::default(), &Asked::default()).iter().map(|one| one.what).collect();
    assert_eq!(subjects, ["brokers", "topics", "rights", "retention", "sizes", "transactions", "clock"]);
}

#[test]
fn what_is_not_known_is_not_wrong() {
    let known = facts();
    let unknown = Facts { brokers: known.brokers, wanted: known.wanted, ..Facts::default() };
    assert_eq!(wrong(&unknown, &Settings::default()), []);
}

#[test]
fn rights_are_named_with_the_command_that_gives_them() {
    let mut facts = facts();
    let allowed = facts.allowed.as_mut().unwrap();
    for topic in ["cluster_0", "cluster_1"] {
        allowed.insert(topic.into(), Ok(Allowed { write: false, ..Allowed::default() }));
    }
    allowed.insert(COMMITS.into(), Ok(Allowed { write: true, ..Allowed::default() }));
    allowed.insert("pages".into(), Err(Code::TopicAuthorizationFailed));
    facts.wanted[0].standing = Standing::Missing;
    let found = wrong(&facts, &Settings::default());
    let texts: Vec<_> = found.iter().map(|(what, code, text)| (*what, *code, text.as_str())).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts.iter().all(|(what, code, _)| (*what, *code) == ("rights", "E-KAFKA-RIGHTS")), "{texts:?}");
    assert!(texts[0].2.contains("the right Read on the topic pages, "), "hidden, not missing: {texts:?}");
    assert!(
        texts[1].2.contains("the right Write on the topic cluster_…")
            && texts[1].2.contains("--topic cluster_ --resource-pattern-type prefixed;")
    );
    assert!(texts[2].2.contains("the right Read on the topic windrow-commits, "), "{texts:?}");
}

#[test]
fn shapes_that_lose_pages_are_named() {
    let mut compacted = facts();
    set(&mut compacted, "cluster_0", "cleanup.policy", "compact,delete");
    set(&mut compacted, "cluster_1", "cleanup.policy", "compact");
    let text = only(&compacted, "shapes", "E-KAFKA-TOPIC");
    assert!(text.contains("cluster_0 and 1 more has") && text.ends_with("--add-config cleanup.policy=delete"), "{text}");
    let mut forgetful = facts();
    set(&mut forgetful, COMMITS, "cleanup.policy", "delete");
    assert!(only(&forgetful, "shapes", "E-KAFKA-TOPIC").contains("commit record would be deleted"));
    let mut strict = facts();
    set(&mut strict, "cluster_1", "min.insync.replicas", "2");
    assert!(only(&strict, "shapes", "E-KAFKA-TOPIC").contains("cluster_1 has 1 copy and min.insync.replicas=2: no write"));
    let mut short = facts();
    set(&mut short, "pages", "retention.ms", "400000");
    let text = only(&short, "retention", "E-KAFKA-RETENTION");
    assert!(text.contains("for 400 s and rolls come every 300 s") && text.contains("to at most 200"), "{text}");
    set(&mut short, "pages", "retention.ms", "-1");
    assert_eq!(wrong(&short, &Settings::default()), []);
}

#[test]
fn missing_and_unfit_topics_are_named() {
    let mut missing = facts();
    missing.wanted[1].standing = Standing::Missing;
    missing.wanted[2].standing = Standing::Missing;
    assert!(only(&missing, "topics", "E-KAFKA-TOPIC").starts_with("there is no topic cluster_0 and 1 more | "));
    let mut unfit = facts();
    unfit.wanted[4].standing = Standing::Unfit(Shape { partitions: 3, replication: 1 });
    unfit.wanted[4].flaw = Some("must have one partition".into());
    assert!(only(&unfit, "topics", "E-KAFKA-TOPIC").starts_with("windrow-commits must have one partition"));
}

#[test]
fn messages_that_no_topic_takes_are_named() {
    let mut small = facts();
    set(&mut small, "cluster_1", "max.message.bytes", "1000");
    let text = only(&small, "sizes", "E-KAFKA-SIZE");
    let parts = [
        "cluster_1 takes messages up to 1000 bytes, and the page of a row of 1MB (limits.max_record) may need 2052kB",
        "--entity-name cluster_1 --add-config max.message.bytes=2101248",
    ];
    assert!(parts.iter().all(|part| text.contains(part)) && !text.contains("lower limits.max_record"), "{text}");
    set(&mut small, "cluster_1", "max.message.bytes", "1048588");
    let text = only(&small, "sizes", "E-KAFKA-SIZE");
    assert!(text.ends_with(", or lower limits.max_record to 522246 at most: longer rows are then rejects"), "{text}");
    set(&mut small, "cluster_1", "max.message.bytes", "2101248");
    let told = |facts: &Facts| {
        let verdicts = judge(facts, &Settings::default(), &Asked::default());
        verdicts.into_iter().find(|one| one.what == "sizes").and_then(|one| one.told.ok()).unwrap_or_default()
    };
    assert!(!told(&small).contains("cut off"), "{}", told(&small));
    // A long input stops nothing: what is longer than a row may be is a reject, and of those the topic takes what it takes.
    set(&mut small, "pages", "max.message.bytes", "10000000");
    assert!(told(&small).ends_with("; rejects above 1048588 bytes are cut off in windrow-rejects, the Parquet has them whole"));
}

#[test]
fn memory_that_is_too_little_for_the_partitions_is_named() {
    let mut wide = facts();
    wide.wanted[0].standing = Standing::There(Shape { partitions: 100, replication: 1 });
    assert!(only(&wide, "memory", "E-SETTINGS").contains("limits.memory is 512MB, and should be 800MB at least"));
}

#[test]
fn transactions_that_cannot_be_had_are_explained() {
    let nobody = Refusal::Nobody(kafka("E-KAFKA-REACH", "too late".into()));
    let mut facts = Facts { transactions: Some(nobody), ..facts() };
    assert!(only(&facts, "transactions", "E-KAFKA-TXN").contains("no coordinator of transactions answers"));
    facts.of_broker.insert(COPIES.into(), "3".into());
    let text = only(&facts, "transactions", "E-KAFKA-TXN");
    assert!(text.contains("want 3 copies of them, and there is 1 broker") && text.contains("min.isr=1"), "{text}");
    facts.transactions = Some(Refusal::TooLong);
    facts.of_broker.insert("transaction.max.timeout.ms".into(), "900000".into());
    assert!(only(&facts, "transactions", "E-KAFKA-TXN").contains("(transaction.max.timeout.ms=900000)"));
}

#[test]
fn brokers_and_clocks_are_named() {
    let mut facts = facts();
    facts.brokers.push(("lost:2".into(), Some("does not resolve here".into())));
    assert!(only(&facts, "brokers", "E-KAFKA-ADV").contains("told us to use lost:2, which does not resolve here"));
    facts.brokers.pop();
    facts.ahead = Some((3, 17));
    assert!(only(&facts, "clock", "E-KAFKA-CLOCK").contains("message 17 of pages, partition 3, was stamped by its producer"));
    set(&mut facts, "pages", "message.timestamp.type", "LogAppendTime");
    assert!(only(&facts, "clock", "E-KAFKA-CLOCK").contains("stamped by a broker"));
}
