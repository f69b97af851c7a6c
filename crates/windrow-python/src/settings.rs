//! Settings: the sections `[model]`, `[watch]`, `[clean]` and `[features]` of the engine's settings file, with its names, values and limits.
//!
//! The whole file may be given: the engine's other sections say nothing about an answer and are passed over. Anything else that is unknown
//! is an error. `e2e/wheel.py` holds the names, defaults and limits against those of the engine.

use pyo3::PyResult;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use windrow_core::clean::{Duplicates, Lengths, OnDuplicate, Rules};
use windrow_core::cluster::{Clusters, HalfLife, KMeansRule, KMeansSettings, MODEL_KINDS, ModelSettings, OriginalSettings};
use windrow_core::featurize::{FieldWeights, language};
use windrow_core::pipeline::{MOST_FALSE_ALARMS, WatchSettings};
use windrow_core::record::COLUMNS;

use crate::error::invalid;

/// Settings that say what an answer is.
pub(crate) struct Settings {
    pub(crate) model: ModelSettings,
    pub(crate) rules: Rules,
    pub(crate) features: FieldWeights,
    pub(crate) watch: WatchSettings,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    model: Model,
    clean: Clean,
    features: Features,
    watch: Watch,
    #[serde(rename = "source")]
    _source: IgnoredAny,
    #[serde(rename = "output")]
    _output: IgnoredAny,
    #[serde(rename = "produce")]
    _produce: IgnoredAny,
    #[serde(rename = "run")]
    _run: IgnoredAny,
    #[serde(rename = "limits")]
    _limits: IgnoredAny,
    #[serde(rename = "kafka")]
    _kafka: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Model {
    kind: Option<String>,
    clusters: Option<Clusters>,
    seed: Option<u64>,
    max_micro_clusters: Option<u32>,
    max_terms: Option<u32>,
    kmeans: KMeans,
    original: Original,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Original {
    batch: Option<u32>,
    features: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct KMeans {
    half_life: Option<HalfLifeText>,
    batch: Option<u32>,
    births: Option<u32>,
    rule: Option<KMeansRule>,
}

/// `3000` or `"3000"`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a half-life: rows such as 3000, `10 batches`, a time such as `6h`, or `never`")]
enum HalfLifeText {
    Rows(u64),
    Text(HalfLife),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Clean {
    required: Words,
    max_length: Lengths,
    languages: Words,
    duplicates: Option<OnDuplicate>,
    duplicates_window: Option<u64>,
    /// For the verb `clean` alone.
    #[serde(rename = "profile")]
    _profile: IgnoredAny,
}

/// A list, or one text with commas.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of texts, or one text with commas")]
enum Words {
    List(Vec<String>),
    Text(String),
}

impl Default for Words {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Words {
    fn into_list(self) -> Vec<String> {
        let texts = match self {
            Self::List(texts) => texts,
            Self::Text(text) => vec![text],
        };
        let words = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Watch {
    false_alarms: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Features {
    title: Option<f32>,
    keywords: Option<f32>,
    description: Option<f32>,
    path: Option<f32>,
    host: Option<f32>,
    domain: Option<f32>,
    shape: Option<f32>,
    template: Option<f32>,
}

/// Reads the settings, and checks them as the engine does.
pub(crate) fn parse(text: &str) -> PyResult<Settings> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = 1 + error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
        let message = format!("settings, line {line}: {}", error.message());
        invalid(
            "E-SETTINGS",
            message,
            "`windrow config show` lists all settings, docs/reference/settings.md says what they take",
        )
    })?;
    let settings = Settings {
        model: file.model.into_settings(),
        rules: Rules {
            required: file.clean.required.into_list(),
            max_length: file.clean.max_length,
            languages: file.clean.languages.into_list(),
            duplicates: Duplicates {
                action: file.clean.duplicates.unwrap_or_default(),
                window: file.clean.duplicates_window.unwrap_or(Duplicates::default().window),
            },
        },
        features: file.features.into_weights(),
        watch: WatchSettings {
            false_alarms: file.watch.false_alarms.unwrap_or(WatchSettings::default().false_alarms),
            ..WatchSettings::default()
        },
    };
    let problems = problems(&settings);
    if problems.is_empty() { Ok(settings) } else { Err(invalid("E-SETTINGS", problems.join("; "), "mend the settings")) }
}

impl Model {
    fn into_settings(self) -> ModelSettings {
        let default = ModelSettings::default();
        ModelSettings {
            kind: self.kind.unwrap_or(default.kind),
            clusters: self.clusters.unwrap_or(default.clusters),
            seed: self.seed.unwrap_or(default.seed),
            max_micro_clusters: self.max_micro_clusters.unwrap_or(default.max_micro_clusters),
            max_terms: self.max_terms.unwrap_or(default.max_terms),
            kmeans: self.kmeans.into_settings(),
            original: self.original.into_settings(),
        }
    }
}

impl Original {
    fn into_settings(self) -> OriginalSettings {
        let default = OriginalSettings::default();
        OriginalSettings { batch: self.batch.unwrap_or(default.batch), features: self.features.unwrap_or(default.features) }
    }
}

impl KMeans {
    fn into_settings(self) -> KMeansSettings {
        let default = KMeansSettings::default();
        KMeansSettings {
            half_life: match self.half_life {
                None => default.half_life,
                Some(HalfLifeText::Rows(rows)) => HalfLife::Rows(rows),
                Some(HalfLifeText::Text(half_life)) => half_life,
            },
            batch: self.batch.unwrap_or(default.batch),
            births: self.births.unwrap_or(default.births),
            rule: self.rule.unwrap_or(default.rule),
        }
    }
}

impl Features {
    fn into_weights(self) -> FieldWeights {
        let default = FieldWeights::default();
        FieldWeights {
            title: self.title.unwrap_or(default.title),
            keywords: self.keywords.unwrap_or(default.keywords),
            description: self.description.unwrap_or(default.description),
            path: self.path.unwrap_or(default.path),
            host: self.host.unwrap_or(default.host),
            domain: self.domain.unwrap_or(default.domain),
            shape: self.shape.unwrap_or(default.shape),
            template: self.template.unwrap_or(default.template),
        }
    }
}

/// What is wrong with values that are of the right type.
fn problems(settings: &Settings) -> Vec<String> {
    let Settings { model, rules, features, watch } = settings;
    let counts: [(&str, u64, u64, u64); 8] = [
        ("model.clusters", model.clusters.slots().into(), 1, 100_000),
        ("model.max_micro_clusters", model.max_micro_clusters.into(), 1, 10_000_000),
        ("model.max_terms", model.max_terms.into(), 1_000, 1_000_000_000),
        ("model.kmeans.batch", model.kmeans.batch.into(), 1, 100_000),
        ("model.kmeans.births", model.kmeans.births.into(), 0, 1_000),
        ("model.original.batch", model.original.batch.into(), 2, 1_000_000),
        ("model.original.features", model.original.features.into(), 1, 1_000),
        ("clean.duplicates_window", rules.duplicates.window, 1, 100_000_000),
    ];
    let outside = counts.iter().filter(|(_, value, min, max)| !(min..=max).contains(&value));
    let mut problems: Vec<String> = outside
        .map(|(name, value, min, max)| format!("{name} takes a whole number from {min} to {max}, not {value}"))
        .collect();
    if model.kmeans.half_life == HalfLife::Rows(0) {
        problems.push("model.kmeans.half_life takes rows from 1 up, not 0".into());
    }
    let kind = model.kind.as_str();
    if !MODEL_KINDS.contains(&kind) {
        problems.push(format!("model.kind takes one of {}, not `{kind}`", MODEL_KINDS.join(", ")));
    }
    if model.clusters.slots() > model.max_micro_clusters {
        problems.push(format!(
            "model.clusters = {} is above model.max_micro_clusters = {}",
            model.clusters, model.max_micro_clusters
        ));
    }
    if kind == MODEL_KINDS[1] && u64::from(model.max_terms) < 8 * u64::from(model.clusters.slots()) {
        problems
            .push(format!("model.max_terms = {} is below 8 for each of model.clusters = {}", model.max_terms, model.clusters));
    }
    if model.clusters == Clusters::Auto && kind != MODEL_KINDS[0] {
        problems.push(format!("model.clusters = \"auto\" is for {}: tell {kind} how many there may be", MODEL_KINDS[0]));
    }
    let unknown = |name: &str, words: &[String], is_known: &dyn Fn(&str) -> bool| -> Vec<String> {
        words.iter().filter(|word| !is_known(word)).map(|word| format!("{name} does not know `{word}`")).collect()
    };
    problems.extend(unknown("clean.required", &rules.required, &|word| COLUMNS.contains(&word)));
    problems.extend(unknown("clean.languages", &rules.languages, &language::is_known));
    if rules.duplicates.action != OnDuplicate::Keep {
        problems.push("clean.duplicates is for the engine: here it takes `keep`".into());
    }
    if !(0.0..=MOST_FALSE_ALARMS).contains(&watch.false_alarms) {
        let rate = watch.false_alarms;
        problems.push(format!("watch.false_alarms takes a number from 0 to {MOST_FALSE_ALARMS}, not {rate}"));
    }
    let weights = FieldWeights::NAMES.iter().zip(features.as_array());
    let wrong = weights.filter(|(_, weight)| !(0.0..=100.0).contains(weight));
    problems.extend(wrong.map(|(name, weight)| format!("features.{name} takes a number from 0 to 100, not {weight}")));
    if features.as_array().iter().all(|weight| *weight == 0.0) {
        problems.push("every weight under [features] is 0: pages would have no terms".into());
    }
    problems
}

/// Settings of a model as a settings file has them.
pub(crate) fn text(model: &ModelSettings) -> String {
    #[derive(Serialize)]
    struct File<'a> {
        model: &'a ModelSettings,
    }
    toml::to_string(&File { model }).expect("plain settings are TOML")
}
