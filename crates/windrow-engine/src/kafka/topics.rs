//! Topics: which ones a pipeline needs, which there are, and making the difference go away.
//!
//! Topics are made here with explicit partitions and copies, never by a broker's auto-create.

use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::longest::USUAL;
use super::rights::{Need, On};
use super::{Broker, Found, LOOKS, PAUSE, Shape};
use crate::error::{Error, ErrorKind, Result};
use crate::settings::Settings;
use crate::sink::topics::Route;
use crate::sink::topics::room::widest_page;

/// Rejects of all pipelines.
pub const REJECTS: &str = "windrow-rejects";
/// Births, splits, merges, moves and deaths of clusters.
pub const LINEAGE: &str = "windrow-lineage";
/// The commit record of each pipeline.
pub const COMMITS: &str = "windrow-commits";
/// Longest name that a broker takes.
const LONGEST_NAME: usize = 249;
/// How long making or deleting topics may take.
const MAKING: Duration = Duration::from_secs(60);

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Pages come in.
    Input,
    /// Pages of the cluster that has the slot go out.
    Slot,
    /// Pages of all clusters go out, keyed by cluster.
    Keyed,
    /// Rejects go out.
    Rejects,
    /// Lineage goes out.
    Lineage,
    /// Commit records, the last of each pipeline kept for ever.
    Commits,
}

impl Role {
    /// The role in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Slot => "slot",
            Self::Keyed => "keyed",
            Self::Rejects => "rejects",
            Self::Lineage => "lineage",
            Self::Commits => "commits",
        }
    }

    /// Whether the topic is that of all pipelines of a broker.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Rejects | Self::Lineage | Self::Commits)
    }
}

/// Topics that pipelines share.
const OWN: [(&str, Role); 3] = [(REJECTS, Role::Rejects), (LINEAGE, Role::Lineage), (COMMITS, Role::Commits)];

/// Partitions and copies to make topics with. Topics of this pipeline alone that are there must have those that are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Making {
    /// Partitions of the input topic; one when none are given.
    pub input_partitions: Option<usize>,
    /// Partitions of each other topic; commits and lineage always have one.
    pub partitions: Option<usize>,
    /// Copies; when none are given three, or as many as there are brokers.
    pub replication: Option<usize>,
}

impl Making {
    /// Why a topic that is there is not what was asked for.
    fn flaw(&self, role: Role, there: Shape) -> Option<String> {
        let asked = match role {
            Role::Lineage | Role::Commits if there.partitions != 1 => {
                return Some("must have one partition: its order is its meaning".to_owned());
            }
            role if role.is_shared() => return None,
            Role::Input => self.input_partitions,
            _ => self.partitions,
        };
        let differs = |asked: Option<usize>, there: usize, one: &str, many: &str| {
            let asked = asked.filter(|asked| *asked != there)?;
            Some(format!("has {there} {}, not {asked}", if there == 1 { one } else { many }))
        };
        differs(asked, there.partitions, "partition", "partitions")
            .or_else(|| differs(self.replication, there.replication, "copy", "copies"))
    }
}

/// How a wanted topic stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not there.
    Missing,
    /// It is there, and can be used as it is.
    There(Shape),
    /// It is there, and cannot be used.
    Unfit(Shape),
}

/// One topic that the pipeline needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub topic: String,
    /// What it is for.
    pub role: Role,
    /// What it is made with.
    pub shape: Shape,
    /// How it stands.
    pub standing: Standing,
    /// Why it is unfit: a sentence that begins with its name.
    pub flaw: Option<String>,
    /// The `max.message.bytes` that it is made with, where what brokers usually take is not enough.
    pub longest: Option<String>,
}

/// All topics of a pipeline, in order: input, those of the pages, then our own.
pub fn plan(settings: &Settings, making: Making, found: &Found) -> Result<Vec<Wanted>> {
    let replication = making.replication.unwrap_or_else(|| found.brokers.len().clamp(1, 3));
    if replication > found.brokers.len() {
        let message = format!("{replication} copies need as many brokers, and there are {}", found.brokers.len());
        return Err(Error::new(ErrorKind::Invalid, "E-KAFKA-TOPIC", message).hint("give a smaller --replication"));
    }
    let (slots, longest) = (settings.model.clusters.slots(), widest_page(settings));
    let partitions = making.partitions.unwrap_or(1);
    let (pages, own) = match settings.route() {
        None => (Vec::new(), &[][..]),
        Some(Route::Keyed(topic)) => (vec![(topic, Role::Keyed, partitions)], &OWN[..]),
        Some(Route::Slots(prefix)) => {
            let topics = (0..slots).map(|slot| (format!("{prefix}{slot}"), Role::Slot, partitions));
            (topics.collect(), &OWN[..])
        }
    };
    let input = (!settings.source.topic.is_empty())
        .then(|| (settings.source.topic.clone(), Role::Input, making.input_partitions.unwrap_or(1)));
    let own = own.iter().map(|(name, role)| {
        let partitions = if *role == Role::Rejects { partitions } else { 1 };
        ((*name).to_owned(), *role, partitions)
    });
    let wanted: Vec<Wanted> = (input.into_iter().chain(pages).chain(own))
        .map(|(topic, role, partitions)| {
            let there = found.topics.get(&topic).copied();
            let flaw = there.and_then(|there| making.flaw(role, there));
            let standing = match there {
                None => Standing::Missing,
                Some(shape) if flaw.is_some() => Standing::Unfit(shape),
                Some(shape) => Standing::There(shape),
            };
            let longest = matches!(role, Role::Slot | Role::Keyed | Role::Rejects).then_some(longest);
            let longest = longest.filter(|longest| *longest > USUAL).map(|longest| longest.to_string());
            Wanted { topic, role, shape: Shape { partitions, replication }, standing, flaw, longest }
        })
        .collect();
    wanted.iter().try_for_each(|wanted| good_name(&wanted.topic))?;
    if let Some(input) = wanted.iter().find(|one| one.role == Role::Input)
        && wanted.iter().any(|other| other.role != Role::Input && other.topic == input.topic)
    {
        let message = format!("{} is the input and an output: pages would come round for ever", input.topic);
        return Err(Error::new(ErrorKind::Invalid, "E-KAFKA-TOPIC", message).hint("set another output.topic_prefix"));
    }
    Ok(wanted)
}

/// Kafka's rule for names.
fn good_name(topic: &str) -> Result<()> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    if topic.len() <= LONGEST_NAME && topic.chars().all(is_good) && ![".", ".."].contains(&topic) {
        return Ok(());
    }
    let message = format!("{topic:?} cannot be the name of a topic");
    let hint = "names have letters, digits, `.`, `_` and `-`, at most 249 of them";
    Err(Error::new(ErrorKind::Invalid, "E-KAFKA-TOPIC", message).hint(hint))
}

impl Broker {
    /// Makes the missing ones of these topics. Gives for each its name and, where the broker refused, why.
    pub fn create(&self, wanted: &[Wanted]) -> Result<Vec<(String, Option<Error>)>> {
        let missing = wanted.iter().filter(|wanted| wanted.standing == Standing::Missing);
        let new: Vec<NewTopic<'_>> = missing.map(new_topic).collect::<Result<_>>()?;
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let made = pollster::block_on(self.admin()?.create_topics(&new, &options()));
        let answers = self.answers("Create", made.map(|answers| answers.into_iter().map(there_already).collect()))?;
        self.see(answers.iter().filter(|(_, refused)| refused.is_none()).map(|(topic, _)| topic.as_str()).collect())?;
        Ok(answers)
    }

    /// Waits until new topics are in view, so that whoever comes next finds them: brokers answer before they have told each other. A
    /// user who may make topics and not see them waits in vain, for a moment.
    fn see(&self, mut topics: Vec<&str>) -> Result<()> {
        for _ in 0..LOOKS {
            let found = self.look()?;
            topics.retain(|topic| !found.topics.contains_key(*topic));
            if topics.is_empty() {
                break;
            }
            let _ = crossbeam_channel::never::<()>().recv_timeout(PAUSE);
        }
        Ok(())
    }

    /// Deletes topics. Gives for each its name and, where the broker refused, why.
    pub fn delete(&self, topics: &[&str]) -> Result<Vec<(String, Option<Error>)>> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        self.answers("Delete", pollster::block_on(self.admin()?.delete_topics(topics, &options())))
    }

    fn answers(
        &self,
        right: &'static str,
        answers: rdkafka::error::KafkaResult<Vec<TopicResult>>,
    ) -> Result<Vec<(String, Option<Error>)>> {
        let refusal = |topic: &str, code| {
            let needs = [Need::new(right, On::Topic(topic)), Need::new(right, On::Cluster)];
            self.watcher.trouble(&KafkaError::AdminOp(code), &needs)
        };
        let answers = answers.map_err(|error| self.trouble(&error))?.into_iter().map(|answer| match answer {
            Ok(topic) => (topic, None),
            Err((topic, code)) => (topic.clone(), Some(refusal(&topic, code))),
        });
        Ok(answers.collect())
    }
}

/// A topic that somebody else has made since we looked is there, which is what was wanted.
fn there_already(answer: TopicResult) -> TopicResult {
    match answer {
        Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(topic),
        answer => answer,
    }
}

fn new_topic(wanted: &Wanted) -> Result<NewTopic<'_>> {
    let count = |n: usize| {
        i32::try_from(n).map_err(|_| Error::new(ErrorKind::Invalid, "E-KAFKA-TOPIC", format!("{n} partitions are too many")))
    };
    let (partitions, replication) = (count(wanted.shape.partitions)?, count(wanted.shape.replication)?);
    let new = NewTopic::new(&wanted.topic, partitions, TopicReplication::Fixed(replication));
    let new = if wanted.role == Role::Commits { new.set("cleanup.policy", "compact") } else { new };
    Ok(match &wanted.longest {
        Some(longest) => new.set("max.message.bytes", longest),
        None => new,
    })
}

/// A broker writes folders for every one before it answers, which takes longer than any other answer. That it is there was seen before.
fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(MAKING)).operation_timeout(Some(MAKING))
}

#[cfg(test)]
mod tests {
    use windrow_core::cluster::Clusters;

    use super::*;
    use crate::settings::{ClientKeys, OutputTopics};

    const MAKING: Making = Making { input_partitions: Some(4), partitions: Some(2), replication: None };

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.model.clusters = 3.into();
        settings.source.topic = "pages".into();
        settings.output.kafka = OutputTopics::Topics;
        settings
    }

    fn found(topics: &[(&str, usize)]) -> Found {
        let shape = |partitions| Shape { partitions, replication: 1 };
        let topics = topics.iter().map(|&(name, partitions)| (name.to_owned(), shape(partitions))).collect();
        Found { brokers: vec!["a:1".into()], topics }
    }

    #[test]
    fn a_plan_names_every_topic_with_its_shape() {
        let plan = plan(&settings(), MAKING, &found(&[("cluster_1", 2), (LINEAGE, 3)])).unwrap();
        let shown: Vec<_> = plan.iter().map(|one| (one.topic.as_str(), one.shape.partitions, one.standing)).collect();
        let there = Shape { partitions: 2, replication: 1 };
        let unfit = Shape { partitions: 3, replication: 1 };
        let expected = [
            ("pages", 4, Standing::Missing),
            ("cluster_0", 2, Standing::Missing),
            ("cluster_1", 2, Standing::There(there)),
            ("cluster_2", 2, Standing::Missing),
            (REJECTS, 2, Standing::Missing),
            (LINEAGE, 1, Standing::Unfit(unfit)),
            (COMMITS, 1, Standing::Missing),
        ];
        assert_eq!(shown, expected);
        assert!(plan.iter().all(|one| one.shape.replication == 1), "one broker, one copy");
        let longer: Vec<_> = plan.iter().filter(|one| one.longest.is_some()).map(|one| one.topic.as_str()).collect();
        assert_eq!(longer, ["cluster_0", "cluster_1", "cluster_2", REJECTS]);
        assert_eq!(plan[1].longest.as_deref(), Some("2101248"), "the longest row, and what is around it");
    }

    #[test]
    fn a_topic_that_is_there_must_be_what_is_asked_for() {
        let there = found(&[("pages", 1), ("cluster_0", 3), (REJECTS, 7), (COMMITS, 2)]);
        let flaws = |making: Making| {
            let plan = plan(&settings(), making, &there).unwrap();
            plan.into_iter().filter_map(|one| Some((one.topic, one.flaw?))).collect::<Vec<_>>()
        };
        let commits = (COMMITS.to_owned(), "must have one partition: its order is its meaning".to_owned());
        assert_eq!(flaws(Making::default()), std::slice::from_ref(&commits), "nothing was asked for");
        let differ = [("pages", "has 1 partition, not 4"), ("cluster_0", "has 3 partitions, not 2")];
        let differ = differ.map(|(topic, flaw)| (topic.to_owned(), flaw.to_owned()));
        assert_eq!(flaws(MAKING), [&differ[..], &[commits]].concat());
        let two = Making { replication: Some(2), ..Making::default() };
        assert_eq!(two.flaw(Role::Slot, Shape { partitions: 1, replication: 1 }).unwrap(), "has 1 copy, not 2");
    }

    #[test]
    fn one_keyed_topic_or_none_is_planned_too() {
        let topics = |kafka, clusters: u32| {
            let mut settings = settings();
            (settings.output.kafka, settings.model.clusters) = (kafka, clusters.into());
            settings.kafka = ClientKeys::of(&[("bootstrap.servers", "b:1")]);
            let plan = plan(&settings, MAKING, &found(&[])).unwrap();
            plan.into_iter().map(|one| (one.topic, one.shape.partitions)).collect::<Vec<_>>()
        };
        let keyed = [("pages", 4), ("windrow-pages", 2), (REJECTS, 2), (LINEAGE, 1), (COMMITS, 1)];
        let keyed: Vec<_> = keyed.map(|(topic, partitions)| (topic.to_owned(), partitions)).into();
        assert_eq!(topics(OutputTopics::Keyed, 3), keyed);
        assert_eq!(topics(OutputTopics::Auto, 201), keyed);
        assert_eq!(topics(OutputTopics::Auto, 200).len(), 204);
        assert_eq!(topics(OutputTopics::Auto, Clusters::Auto.into()), keyed);
        assert_eq!(topics(OutputTopics::None, 3), [("pages".to_owned(), 4)]);
    }

    #[test]
    fn bad_plans_are_refused() {
        let refused = |settings: &Settings, making| plan(settings, making, &found(&[])).unwrap_err().code;
        assert_eq!(refused(&settings(), Making { replication: Some(2), ..MAKING }), "E-KAFKA-TOPIC");
        let mut own_tail = settings();
        own_tail.source.topic = "cluster_2".into();
        assert_eq!(refused(&own_tail, MAKING), "E-KAFKA-TOPIC");
        let mut bad_name = settings();
        bad_name.output.topic_prefix = "clusters/".into();
        assert_eq!(refused(&bad_name, MAKING), "E-KAFKA-TOPIC");
    }
}
