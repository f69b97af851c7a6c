//! Profiles: what `init` fills in for those who come from another program. They end there: the settings file is the whole truth.

use super::{CleanProfile, Starter, Value};
use crate::sink::parquet::PagesCopy;
use crate::sink::topics::ValueShape;

/// Another program whose place Windrow takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The Python scripts that Windrow replaces: their topics, messages and folders.
    Original,
}

impl Profile {
    /// The brokers that its scripts use when nobody says otherwise.
    pub fn servers(self) -> &'static str {
        match self {
            Self::Original => "localhost:9092",
        }
    }

    /// What it fills in.
    pub fn starter(self) -> Starter {
        let Self::Original = self;
        let text = |text: &str| Value::Text(text.to_owned());
        let values = vec![
            ("source.topic", text("topic_url")),
            ("source.format", text("json")),
            ("source.from", text("earliest")),
            ("clean.profile", text(CleanProfile::Original.name())),
            ("output.out", text("tmp")),
            ("output.copy", text(PagesCopy::Original.name())),
            ("output.state", text("tmp/checkpoint")),
            ("output.kafka", text("topics")),
            ("output.topic_prefix", text("cluster_")),
            ("output.value", text(ValueShape::Original.name())),
            ("output.counts_file", text("message_counts.json")),
            ("produce.value", text(ValueShape::Original.name())),
            ("model.kind", text("original")),
            ("model.clusters", Value::Count(50)),
        ];
        let notes = [
            ("output.out", "Six columns as the original's in tmp/output, Windrow's own in tmp/pages."),
            ("model.original.batch", "Rows of a micro-batch."),
        ];
        let notes = notes.iter().map(|(key, note)| (*key, (*note).to_owned())).collect();
        Starter { values, notes, client: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{from_text, resolve, starter_file};
    use super::*;
    use std::path::Path;

    #[test]
    fn the_file_alone_says_what_the_profile_is() {
        let file = starter_file(&Profile::Original.starter());
        let settings = resolve(&from_text(Path::new("w.toml"), &file).unwrap()).unwrap().settings;
        assert_eq!((settings.source.topic.as_str(), settings.source.from.as_str()), ("topic_url", "earliest"));
        assert_eq!((settings.output.value, settings.produce.value), (ValueShape::Original, ValueShape::Original));
        assert_eq!(settings.model.clusters, 50.into());
        assert_eq!((settings.model.kind.as_str(), settings.output.copy), ("original", PagesCopy::Original));
    }
}
