//! Rights: which one a call needed, so that a refusal names it and the command that grants it.
//!
//! A broker says that a topic, a group, a transactional id or the cluster was refused, and neither the right nor the name: the call
//! that was refused knows both.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::trouble::Asked;
use crate::error::{Error, ErrorKind};

/// What a right is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On<'a> {
    /// A topic.
    Topic(&'a str),
    /// A consumer group.
    Group(&'a str),
    /// A transactional id.
    TransactionalId(&'a str),
    /// The cluster of brokers as a whole.
    Cluster,
}

/// What a name of ours begins with, when a number follows that the next pipeline does not have.
fn without_number(name: &str) -> Option<&str> {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_hexdigit());
    let is_ours = prefix.starts_with("windrow") && prefix.ends_with(['-', '.']) && name.len() - prefix.len() >= NUMBER;
    is_ours.then_some(prefix)
}

/// Digits of our numbers, at least.
const NUMBER: usize = 16;

/// A right that a call needs: `Write`, `Read`, `Describe`, `Create`, `Delete`, `DescribeConfigs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need<'a> {
    pub(crate) right: &'static str,
    pub(crate) on: On<'a>,
    /// Whether the name is what many names begin with.
    is_prefix: bool,
}

impl<'a> Need<'a> {
    pub(crate) fn new(right: &'static str, on: On<'a>) -> Self {
        Self { right, on, is_prefix: false }
    }

    /// The same for all names that begin so.
    pub(super) fn of_many(self) -> Self {
        Self { is_prefix: true, ..self }
    }

    /// Whether a refusal with this code is about it.
    fn is_refused_by(&self, code: Code) -> bool {
        match self.on {
            On::Topic(_) => code == Code::TopicAuthorizationFailed,
            On::Group(_) => code == Code::GroupAuthorizationFailed,
            On::TransactionalId(_) => code == Code::TransactionalIdAuthorizationFailed,
            On::Cluster => code == Code::ClusterAuthorizationFailed,
        }
    }

    /// The sentence.
    pub(super) fn lacking(&self, asked: &Asked) -> Error {
        let (kind, option, name) = match self.on {
            On::Topic(name) => ("topic ", "--topic ", name),
            On::Group(name) => ("group ", "--group ", name),
            On::TransactionalId(name) => ("transactional id ", "--transactional-id ", name),
            On::Cluster => ("cluster", "--cluster", ""),
        };
        let ours = without_number(name).filter(|_| !matches!(self.on, On::Topic(_)));
        let more = if self.is_prefix { "…" } else { "" };
        let what = format!("{kind}{name}{more}");
        let option = match ours.or(self.is_prefix.then_some(name)) {
            Some(prefix) => format!("{option}{prefix} --resource-pattern-type prefixed"),
            None => format!("{option}{name}"),
        };
        let user = asked.user.as_deref().map_or("this user".to_owned(), |user| format!("the user {user}"));
        let principal = asked.user.as_deref().unwrap_or("NAME");
        let message = format!("{user} lacks the right {} on the {what}, says the broker at {}", self.right, asked.servers);
        Error::new(ErrorKind::Kafka, "E-KAFKA-RIGHTS", message).hint(format!(
            "grant it: kafka-acls.sh --bootstrap-server {} --add --allow-principal User:{principal} --operation {} {option}; \
             docs/how-to/kafka.md lists the rights of each verb",
            asked.servers, self.right
        ))
    }
}

/// The sentence for a refusal for want of one of these rights; none when it was no such refusal.
pub(super) fn lacking(code: Code, needs: &[Need<'_>], asked: &Asked) -> Option<Error> {
    needs.iter().find(|need| need.is_refused_by(code)).map(|need| need.lacking(asked))
}

/// The refusals, and librdkafka's words for them.
const REFUSALS: [(Code, &str); 4] = [
    (Code::TopicAuthorizationFailed, "Topic authorization failed"),
    (Code::GroupAuthorizationFailed, "Group authorization failed"),
    (Code::TransactionalIdAuthorizationFailed, "Transactional Id authorization failed"),
    (Code::ClusterAuthorizationFailed, "Cluster authorization failed"),
];

/// Whether an error is a refusal for want of a right.
pub(super) fn is_refusal(error: &KafkaError) -> bool {
    code_of(error).is_some_and(|code| REFUSALS.iter().any(|(refusal, _)| *refusal == code))
}

/// The refusal that a line of the log tells of.
pub(super) fn code_in(line: &str) -> Option<Code> {
    REFUSALS.iter().find(|(_, words)| line.contains(words)).map(|(code, _)| *code)
}

/// The code within an error, of those that librdkafka gives no accessor for too.
pub(super) fn code_of(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_right_resource_and_remedy() {
        let mut asked = Asked::default();
        (asked.servers, asked.user) = ("b:1".into(), Some("me".into()));
        let needs = [Need::new("Read", On::Group("g")), Need::new("Write", On::Topic("pages"))];
        let error = lacking(Code::TopicAuthorizationFailed, &needs, &asked).unwrap();
        assert_eq!(error.message, "the user me lacks the right Write on the topic pages, says the broker at b:1");
        assert!(error.hint.unwrap().contains("--allow-principal User:me --operation Write --topic pages;"));
        let many = Need::new("Write", On::Topic("cluster_")).of_many().lacking(&asked);
        assert!(many.message.contains("on the topic cluster_…, says"), "{many}");
        assert!(many.hint.unwrap().contains("--operation Write --topic cluster_ --resource-pattern-type prefixed;"));
        let numbered = Need::new("Write", On::TransactionalId("windrow-894dc31484461d27")).lacking(&asked);
        assert!(numbered.message.contains("transactional id windrow-894dc31484461d27, says"), "{numbered}");
        assert!(numbered.hint.unwrap().contains("--transactional-id windrow- --resource-pattern-type prefixed;"));
        let group = Need::new("Read", On::Group("windrow-replay-894dc31484461d27")).lacking(&asked).hint.unwrap();
        assert!(group.contains("--group windrow-replay- --resource-pattern-type prefixed;"), "{group}");
        let theirs = Need::new("Read", On::Group("windrow-beef")).lacking(&asked).hint.unwrap();
        assert!(theirs.contains("--group windrow-beef;"), "{theirs}");
        assert_eq!(lacking(Code::ClusterAuthorizationFailed, &needs, &asked), None);
        assert_eq!(code_of(&KafkaError::AdminOp(Code::TopicAuthorizationFailed)), Some(Code::TopicAuthorizationFailed));
    }
}
