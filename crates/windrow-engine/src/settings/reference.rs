//! Pages made from the table of keys: the reference, the JSON schema, the file that `init` writes.

use std::fmt::Write as _;

use serde_json::{Map, json};
use windrow_core::cluster::Clusters;
use windrow_core::record::COLUMNS;

use super::value::MOST_CLUSTERS;
use super::{Change, KEYS, Key, Type, Value};

/// docs/reference/settings.md.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         *Made from the table of keys by a test; refresh with `WINDROW_UPDATE=1 cargo test -p windrow-engine settings`.*\n\n\
         Later ones win: built-in value, `windrow.toml` (or `--config FILE`), environment, flag. An unknown key is an error.\n\
         `windrow config show --origin` prints what is in force and where it was set.\n\n\
         What a change means for state that exists:\n\n\
         - **next-commit**: in force from the next commit on; no answer changes.\n\
         - **re-clusters**: clusters are made anew from the micro-clusters; the history says so.\n\
         - **new-state**: `run` refuses another value on state made with the old one, and names the ways out.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let _ = write!(
                page,
                "\n## [{section}]\n\n| key | flag | takes | default | change | meaning |\n|---|---|---|---|---|---|\n"
            );
        }
        let flag = key.flag.map(|flag| format!("`--{flag}`")).unwrap_or_default();
        let default = key.default().toml();
        let (name, change) = (key.short_name(), key.change.name());
        let _ = writeln!(
            page,
            "| `{name}` | {flag} | {} | `{default}` | {change} | {} |",
            key.ty.describe().replace('|', "\\|"),
            key.doc
        );
    }
    page.push_str(
        "\nThe environment variable of a key is `WINDROW__`, section, `__`, key, in capitals: `WINDROW__MODEL__CLUSTERS`. Lists are\n\
         split at colons there.\n",
    );
    page
}

/// JSON schema of the settings file.
pub fn json_schema() -> serde_json::Value {
    let mut sections = Map::new();
    let table = || json!({"type": "object", "additionalProperties": false, "properties": {}});
    for key in KEYS {
        let mut section = sections.entry(key.section()).or_insert_with(table);
        let mut name = key.short_name();
        // A dot in the name is a table in the table.
        while let Some((inner, rest)) = name.split_once('.') {
            let properties = section["properties"].as_object_mut().expect("made just now");
            (section, name) = (properties.entry(inner).or_insert_with(table), rest);
        }
        section["properties"][name] = property(key);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "windrow.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": sections,
    })
}

fn property(key: &Key) -> serde_json::Value {
    let mut property = match key.ty {
        Type::Text | Type::Path => json!({"type": "string"}),
        Type::Switch => json!({"type": "boolean"}),
        Type::Columns => json!({"type": ["array", "string"], "items": {"type": "string", "enum": COLUMNS}}),
        Type::Languages | Type::Keep => json!({"type": ["array", "string"], "items": {"type": "string"}}),
        Type::Lengths => json!({"type": ["string", "integer"]}),
        Type::Paths => json!({"type": "array", "items": {"type": "string"}}),
        Type::Choice(words) => json!({"type": "string", "enum": words}),
        Type::Count { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Type::Number { min, max } => json!({"type": "number", "minimum": min, "maximum": max}),
        Type::Clusters => json!({
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_CLUSTERS}, {"const": Clusters::AUTO}],
        }),
        Type::HalfLife => json!({
            "type": ["string", "integer"],
            "pattern": "^(never|[1-9][0-9]* *(rows?|batch(es)?|[smhd])?)$",
            "minimum": 1,
        }),
        Type::Size { .. } => json!({"type": ["string", "integer"], "pattern": "^[0-9]+ *([kKmMgG]?[iI]?[bB]?)$"}),
    };
    property["description"] = key.doc.into();
    property["default"] = key.default().json();
    property["x-change"] = key.change.name().into();
    property
}

/// What is filled in in a settings file.
#[derive(Debug, Clone, Default)]
pub struct Starter {
    /// Values by the names of their keys.
    pub values: Vec<(&'static str, Value)>,
    /// What is said of a key, line by line; nothing that could end a comment.
    pub notes: Vec<(&'static str, String)>,
    /// librdkafka's keys.
    pub client: Vec<(String, String)>,
}

/// A settings file with every key as a comment, but for those that are filled in.
pub fn starter_file(starter: &Starter) -> String {
    let mut file = String::from(
        "# Settings of Windrow. Lines with `#` show the built-in values: take the `#` away to change one.\n\
         # `windrow config explain KEY` says more; `windrow check` looks at everything before the first run.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let _ = write!(file, "\n[{section}]\n");
        }
        for line in wrap(key.doc, 96) {
            let _ = writeln!(file, "# {line}");
        }
        if key.change == Change::NewState {
            file.push_str("# Another value needs new state.\n");
        }
        for (_, note) in starter.notes.iter().filter(|(name, _)| *name == key.name) {
            let _ = writeln!(file, "#   {note}");
        }
        let given = starter.values.iter().find(|(name, _)| *name == key.name).map(|(_, value)| value);
        let mark = if given.is_none() { "# " } else { "" };
        let _ = writeln!(file, "{mark}{} = {}", key.short_name(), given.unwrap_or(&key.default()).toml());
    }
    if !starter.client.is_empty() {
        file.push_str("\n[kafka]\n# Keys of librdkafka, by their own names; secrets as \"file:PATH\" or \"${NAME}\".\n");
        for (key, value) in &starter.client {
            let _ = writeln!(file, "{} = {}", toml::Value::from(key.as_str()), toml::Value::from(value.as_str()));
        }
    }
    file
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
