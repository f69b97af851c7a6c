//! The line that a message becomes: names in braces, filled with what the message has.

use std::str::FromStr;

use serde_json::{Map, Value};
use windrow_engine::kafka::tail::Seen;
use windrow_engine::settings::nearest_of;

use crate::term::text;

/// Every name there is.
const NAMES: [&str; 22] = [
    "time",
    "topic",
    "partition",
    "offset",
    "key",
    "pipeline",
    "commit",
    "record_id",
    "cluster",
    "slot",
    "micro_cluster",
    "novel",
    "score",
    "label",
    "creation_time",
    "id",
    "url",
    "title",
    "keywords",
    "description",
    "domain",
    "value",
];

/// What `--help` says of them.
pub(super) const NAMES_HELP: &str = "\
Names for --line, in braces ({{ for a brace): time topic partition offset key
(of the message), pipeline commit record_id cluster slot micro_cluster novel
score label, creation_time id url title keywords description domain (of the
page), value (all of it, as it was sent)
";

/// Columns of the tab-separated form.
pub(super) const COLUMNS: [&str; 12] = [
    "time",
    "topic",
    "partition",
    "offset",
    "cluster",
    "label",
    "record_id",
    "creation_time",
    "id",
    "url",
    "title",
    "description",
];

/// A message, and the page in it.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) seen: &'a Seen,
    pub(super) page: Map<String, Value>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(seen: &'a Seen) -> Self {
        Self { seen, page: serde_json::from_slice(&seen.value).unwrap_or_default() }
    }

    /// The text of a name; nothing where the message does not have it.
    pub(super) fn get(&self, name: &str) -> String {
        let header = |header| self.seen.headers.text(header).map(str::to_owned);
        let found = match name {
            "time" => self.seen.time.map(text::time),
            "topic" | "partition" | "offset" if self.seen.topic.is_empty() => None,
            "topic" => Some(self.seen.topic.clone()),
            "partition" => Some(self.seen.partition.to_string()),
            "offset" => Some(self.seen.offset.to_string()),
            "key" => self.seen.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned()),
            "cluster" => self.seen.cluster.map(|cluster| cluster.to_string()),
            "pipeline" => header("windrow-pipeline"),
            "commit" => header("windrow-epoch"),
            "record_id" => header("windrow-record-id"),
            "micro_cluster" => header("windrow-micro-cluster"),
            "novel" => header("windrow-novel"),
            "score" => header("windrow-score"),
            "domain" => self.of_page("domain").or_else(|| self.of_page("main_domain")),
            "value" => Some(String::from_utf8_lossy(&self.seen.value).into_owned()),
            _ => None,
        };
        found.or_else(|| self.of_page(name)).unwrap_or_default()
    }

    fn of_page(&self, name: &str) -> Option<String> {
        match self.page.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// A line with places to fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(&'static str),
}

impl Line {
    /// The line of a message, harmless.
    pub(super) fn fill(&self, shown: &Shown<'_>) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Name(name) => text::plain(&shown.get(name)).into_owned(),
        };
        self.0.iter().map(piece).collect()
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (mut pieces, mut text, mut chars) = (Vec::new(), String::new(), line.chars().peekable());
        while let Some(c) = chars.next() {
            match c {
                '\\' => text.push(match chars.next() {
                    Some('t') => '\t',
                    Some('n') => '\n',
                    Some('\\') => '\\',
                    _ => return Err("a backslash stands before t, n or a backslash".into()),
                }),
                '{' | '}' if chars.next_if_eq(&c).is_some() => text.push(c),
                '{' => {
                    let name: String = std::iter::from_fn(|| chars.next_if(|c| *c != '}')).collect();
                    if chars.next().is_none() {
                        return Err(format!("the brace before `{name}` is not closed"));
                    }
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Name(known(&name)?));
                }
                '}' => return Err("a closing brace has no opening one; }} writes a brace".into()),
                c => text.push(c),
            }
        }
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }
}

fn known(name: &str) -> Result<&'static str, String> {
    NAMES.into_iter().find(|known| *known == name).ok_or_else(|| match nearest_of(name, &NAMES) {
        Some(near) => format!("there is no name `{name}`; did you mean `{near}`?"),
        None => format!("there is no name `{name}`; there are {}", NAMES.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use windrow_engine::kafka::read::Headers;

    fn filled(line: &str, value: &str) -> Result<String, String> {
        let (topic, key) = ("cluster_3".to_owned(), Some(b"a.b".to_vec()));
        let (headers, value) = (Headers::default(), value.as_bytes().to_vec());
        let seen = Seen { topic, partition: 1, offset: 42, time: Some(0), cluster: Some(7), key, headers, value };
        Ok(line.parse::<Line>()?.fill(&Shown::of(&seen)))
    }

    #[test]
    fn names_are_filled_and_hostile_text_made_harmless() {
        let value = r#"{"title":"\u001b[2Jsale\u202e\n now","slot":3,"main_domain":"x.y","url":null}"#;
        let line = r"{time} {topic}/{partition}@{offset} {key} {cluster}\t{slot} {{{title}}} [{url}] {domain}\\";
        let expected = "1970-01-01T00:00:00Z cluster_3/1@42 a.b 7\t3 {[2Jsale now} [] x.y\\";
        assert_eq!(filled(line, value), Ok(expected.to_owned()));
        assert_eq!(filled("{value}", "{\"a\": 1}"), Ok("{\"a\": 1}".to_owned()));
    }

    #[test]
    fn a_name_that_is_not_there_gets_the_nearest() {
        let refused = |line: &str| filled(line, "{}").unwrap_err();
        assert_eq!(refused("{titel}"), "there is no name `titel`; did you mean `title`?");
        assert!(refused("{}").contains("there are time, topic"), "{}", refused("{}"));
        assert!(refused("{title").contains("not closed"));
        assert!(refused("title}").contains("no opening one"));
        assert!(refused("a\\x").contains("backslash"));
    }
}
