//! What `check` finds out about files: their shape, their columns, and the one line that reads them.

use std::path::Path;

use serde_json::{Map, Value, json};
use windrow_core::record::COLUMNS;
use windrow_engine::error::quoted;
use windrow_engine::settings::{CLIENT_SECTION, Given, KEYS, Origin, Settings, SourceSettings};
use windrow_engine::source::keep::KeptColumn;
use windrow_engine::source::propose::{FileProposal, propose_files};
use windrow_engine::source::{Asked, Keep, Limits, Written};

use super::Finding;

/// What the settings of the line say in place of the flags that were given.
const SAID: [&str; 5] = ["source.input", "source.input_format", "source.delimiter", "source.encoding", "source.columns"];
/// Names of a header that are shown.
const SHOWN: usize = 40;

/// What was found out about the files of the inputs.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Each file that has rows, with the input that names it.
    looked: Vec<(String, FileProposal)>,
    /// The settings that read them, where they read otherwise than those that were given.
    pub(super) settings: Option<Settings>,
    /// The line to run.
    pub(super) line: Option<String>,
    /// What there is to tell of them.
    pub(super) findings: Vec<Finding>,
}

impl Files {
    /// Looks at the inputs of these settings; `given` are the flags of this call, and the file of settings that it names.
    pub(super) fn look(settings: &Settings, given: (&[Given], Option<&Path>)) -> Self {
        let limit = Limits::of_records(settings.limits.max_record).record_bytes;
        let (mut looked, mut findings): (Vec<(String, FileProposal)>, Vec<Finding>) = Default::default();
        for input in &settings.source.input {
            // What cannot be opened is told of by whoever opens it as it is given.
            let files = propose_files(input, settings.source.files, &settings.source.columns, limit).unwrap_or_default();
            findings.extend(files.first().into_iter().flat_map(|file| found(input, file, &settings.source.keep)));
            looked.extend(files.into_iter().map(|file| (input.clone(), file)));
        }
        let Some((_, first)) = looked.first().filter(|(_, file)| file.makes_pages()) else {
            return Self { looked, findings, ..Self::default() };
        };
        let is_other = |file: &FileProposal| (file.map(), file.is_only_likely) != (first.map(), first.is_only_likely);
        for (_, other) in looked.iter().filter(|(_, file)| is_other(file)) {
            let told = format!("{} is written in another way than {}: one line cannot read both", other.file, first.file);
            let hint = "look at each with `windrow check --input`, and run them one after the other";
            findings.push(Finding { what: "line", told, problem: Some(("E-INPUT-MIXED", Some(hint.into()))) });
        }
        let mut proposed = settings.clone();
        proposed.source.columns = first.map();
        proposed.source.files = asked(&looked, settings.source.files);
        let line = line(&proposed.source, &settings.source, given);
        let is_other = first.is_only_likely || proposed.source.columns != settings.source.columns;
        Self { settings: is_other.then_some(proposed), line: Some(line), looked, findings }
    }

    /// Whether a file is one of those that were looked at.
    pub(super) fn names(&self, file: &str) -> bool {
        self.looked.iter().any(|(_, looked)| looked.file == file)
    }

    /// As data: of each input its first file.
    pub(super) fn object(&self) -> Value {
        let named = |names: &[Option<String>; COLUMNS.len()]| -> Map<String, Value> {
            COLUMNS.iter().zip(names).map(|(column, name)| ((*column).to_owned(), name.clone().into())).collect()
        };
        let object = |(input, file): &(String, FileProposal)| {
            let (format, delimiter, encoding) = file.written.words();
            json!({
                "input": input, "file": file.file, "format": format, "delimiter": delimiter, "encoding": encoding,
                "found": file.found, "extra": file.extra().words(), "columns": named(&file.columns), "nearest": named(&file.nearest),
            })
        };
        let mut first: Vec<&(String, FileProposal)> = self.looked.iter().collect();
        first.dedup_by(|next, first| next.0 == first.0);
        first.into_iter().map(object).collect()
    }
}

/// What the settings must say so that all these files are read as they were found: what they have in common, where it is not usual.
fn asked(looked: &[(String, FileProposal)], said: Asked) -> Asked {
    let words = |pick: fn(Asked) -> &'static str| {
        let mut words = looked.iter().map(|(_, file)| pick(Asked::exactly(file.written)));
        let first = words.next();
        first.is_some() && words.all(|word| Some(word) == first)
    };
    let Some((_, first)) = looked.first() else { return said };
    let exactly = Asked::exactly(first.written);
    Asked {
        format: if words(|asked| asked.format.name()) { exactly.format } else { said.format },
        delimiter: if words(|asked| asked.delimiter.name()) { exactly.delimiter } else { said.delimiter },
        encoding: if words(|asked| asked.encoding.name()) { exactly.encoding } else { said.encoding },
    }
}

/// The line that runs with these settings, and with the other flags that were given. What is usual is said only where something else
/// was set.
fn line(source: &SourceSettings, was: &SourceSettings, (given, config): (&[Given], Option<&Path>)) -> String {
    let usual = ["csv", ",", "utf-8", "auto"];
    let (files, set) = (source.files, was.files);
    let mut words = vec!["windrow run".to_owned()];
    words.extend(config.map(|file| format!("--config {}", quoted(&file.display().to_string()))));
    words.push("--input".to_owned());
    words.extend(source.input.iter().map(|input| quoted(input)));
    let shape = [
        ("--input-format", files.format.name(), set.format.name()),
        ("--delimiter", files.delimiter.name(), set.delimiter.name()),
        ("--encoding", files.encoding.name(), set.encoding.name()),
    ];
    for (flag, word, set) in shape {
        if !usual.contains(&word) || set != "auto" && word != "auto" {
            words.extend([flag.to_owned(), quoted(word)]);
        }
    }
    if !source.columns.is_empty() || !was.columns.is_empty() {
        words.extend(["--columns".to_owned(), quoted(&source.columns)]);
    }
    for other in given.iter().filter(|given| !SAID.contains(&given.key.as_str())) {
        // Secrets are references here: what stands there in the clear is refused before.
        if let (Some(key), Some(text)) = (other.key.strip_prefix(CLIENT_SECTION), other.texts.first()) {
            let is_kafka = matches!(&other.origin, Origin::Flag(flag) if flag == "kafka");
            words.push(if is_kafka {
                format!("--kafka {}", quoted(text))
            } else {
                format!("-X {}", quoted(&format!("{key}={text}")))
            });
            continue;
        }
        let flag = KEYS.iter().find(|key| key.name == other.key).and_then(|key| key.flag);
        words.extend(flag.map(|flag| format!("--{flag}")));
        words.extend(flag.iter().flat_map(|_| other.texts.iter().map(|text| quoted(text))));
    }
    words.join(" ")
}

/// What to say of a file.
fn found(input: &str, file: &FileProposal, keep: &Keep) -> Vec<Finding> {
    let (format, delimiter, encoding) = file.written.words();
    let of = if input == file.file { String::new() } else { format!("{}, the first of {input}: ", file.file) };
    let shape = match delimiter {
        Some(delimiter) => format!("{of}{format}, fields between `{delimiter}`, {encoding}"),
        None if file.written == Written::Parquet => format!("{of}{format}"),
        None => format!("{of}{format}, an object a line, {encoding}"),
    };
    let mut shape = Finding::fine("shape", shape);
    if file.is_only_likely {
        shape.told.push_str(", most likely; a run takes it for utf-8 unless it is said");
        shape.problem = Some(("E-INPUT-ENCODING", Some("say --encoding cp1252, as the line below does".into())));
    }
    let more = file.found.len().saturating_sub(SHOWN);
    let names: Vec<&str> = file.found.iter().take(SHOWN).map(String::as_str).collect();
    let found = names.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() };
    let expected = COLUMNS.iter().zip(&file.columns).map(|(column, name)| match name {
        Some(name) if name == column => (*column).to_owned(),
        Some(name) => format!("{column}={name}"),
        None => format!("{column} (not there)"),
    });
    let near = COLUMNS.iter().zip(&file.nearest).filter_map(|(column, name)| Some(format!("{column}: {}", name.as_ref()?)));
    let near = near.collect::<Vec<_>>().join(", ");
    let mut findings =
        vec![shape, Finding::fine("found", found), Finding::fine("expected", expected.collect::<Vec<_>>().join(", "))];
    findings.extend((!near.is_empty()).then(|| Finding::fine("nearest", near)));
    findings.extend(extra(file, keep));
    findings
}

/// What there is beside our columns, and how it is carried along.
fn extra(file: &FileProposal, keep: &Keep) -> Option<Finding> {
    let extra = file.extra();
    let is_kept = |column: &str| keep.columns().iter().any(|kept| kept.column.eq_ignore_ascii_case(column));
    let (kept, left): (Vec<_>, Vec<_>) = extra.columns().iter().partition(|other| is_kept(&other.column));
    let words = |list: &[&KeptColumn]| list.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(",");
    let told = match (kept.is_empty(), left.is_empty()) {
        (true, true) => return None,
        (false, true) => format!("{}: carried along", words(&kept)),
        (true, false) => format!("not read; --keep {} carries them along", quoted(&words(&left))),
        (false, false) => format!("{}: carried along; {}: not read", words(&kept), words(&left)),
    };
    Some(Finding::fine("extra", told))
}
