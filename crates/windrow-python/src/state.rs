//! What the Spark job needs to keep the engine's state folder: settings as the manifest has them, and the hash that it names models by.

use pyo3::prelude::*;
use serde::{Deserialize, Serialize};
use windrow_core::clean::Rules;
use windrow_core::cluster::ModelSettings;
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::WatchSettings;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::data;
use crate::settings::{self, Settings};

/// Adds the functions of this file to the module.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(hash64, module)?)?;
    module.add_function(wrap_pyfunction!(settings_json, module)?)?;
    module.add_function(wrap_pyfunction!(settings_toml, module)?)
}

/// Settings by their names in the manifest.
#[derive(Serialize, Deserialize)]
struct Kept {
    model: ModelSettings,
    fields: FieldWeights,
    #[serde(default)]
    clean: Rules,
    #[serde(default)]
    watch: WatchSettings,
}

/// XXH3, 64 bits.
#[pyfunction]
fn hash64(py: Python<'_>, bytes: &[u8]) -> u64 {
    py.detach(|| xxh3_64(bytes))
}

/// Checked settings as the manifest has them: a JSON object with `model`, `fields`, `clean` and `watch`, every value in it.
#[pyfunction]
fn settings_json(settings: &str) -> PyResult<String> {
    let settings = settings::parse(settings)?;
    let Settings { model, features: fields, rules: clean, watch } = settings;
    let kept = Kept { model, fields, clean, watch };
    Ok(serde_json::to_string(&kept).expect("plain settings are JSON"))
}

/// What [`settings_json`] gave, as settings again.
#[pyfunction]
fn settings_toml(kept: &str) -> PyResult<String> {
    #[derive(Serialize)]
    struct File {
        model: ModelSettings,
        features: FieldWeights,
        clean: Rules,
        watch: Watch,
    }
    #[derive(Serialize)]
    struct Watch {
        false_alarms: f64,
    }
    let kept: Kept = serde_json::from_str(kept).map_err(|error| {
        data("E-STATE-DAMAGED", format_args!("these are no settings of a state: {error}"), "take an undamaged copy")
    })?;
    let watch = Watch { false_alarms: kept.watch.false_alarms };
    let file = File { model: kept.model, features: kept.fields, clean: kept.clean, watch };
    Ok(toml::to_string(&file).expect("plain settings are TOML"))
}
