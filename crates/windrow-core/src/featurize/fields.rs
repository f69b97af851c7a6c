//! Which fields of a page make terms, and how much each counts.

use serde::{Deserialize, Serialize};

/// Weight of each field; a field of weight 0 makes no terms. Weights are finite and not negative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldWeights {
    /// Words of the title.
    pub title: f32,
    /// Words of the keywords.
    pub keywords: f32,
    /// Words of the description.
    pub description: f32,
    /// Words of the URL's path.
    pub path: f32,
    /// Host.
    pub host: f32,
    /// Registrable domain.
    pub domain: f32,
    /// Path shape.
    pub shape: f32,
    /// Template of the address, as it was learnt of its site.
    #[serde(default)]
    pub template: f32,
}

impl Default for FieldWeights {
    fn default() -> Self {
        Self { title: 1.0, keywords: 1.0, description: 1.0, path: 0.5, ..Self::NONE }
    }
}

/// A list of fields that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// No field has this name.
    #[error(
        "no field is named `{name}`; the nearest is `{nearest}` (fields: title, keywords, description, path, host, domain, shape, template)"
    )]
    UnknownField {
        /// The name as given.
        name: String,
        /// The known name that looks most like it.
        nearest: &'static str,
    },
    /// A weight is not a finite number from 0 up.
    #[error("the weight of field `{name}` must be a number from 0 up, not `{weight}`")]
    BadWeight {
        /// The field.
        name: &'static str,
        /// The weight as given.
        weight: String,
    },
    /// Every field has weight 0.
    #[error("at least one field must have a weight above 0")]
    NoField,
}

impl FieldWeights {
    /// Names of the fields.
    pub const NAMES: [&'static str; 8] = ["title", "keywords", "description", "path", "host", "domain", "shape", "template"];

    const NONE: Self =
        Self { title: 0.0, keywords: 0.0, description: 0.0, path: 0.0, host: 0.0, domain: 0.0, shape: 0.0, template: 0.0 };

    /// Reads a list such as `title,description` or `title=2,path=0.5`: fields that are named have the given weight, else their default
    /// weight, else 1; all others 0.
    ///
    /// # Errors
    /// A name that is none, a weight that is none, or nothing above 0.
    pub fn from_fields(list: &str) -> Result<Self, FieldError> {
        let defaults = Self::default();
        let mut weights = Self::NONE;
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (given, weight) =
                item.split_once('=').map_or((item, None), |(name, weight)| (name.trim(), Some(weight.trim())));
            let Some(index) = Self::NAMES.iter().position(|name| *name == given) else {
                return Err(FieldError::UnknownField { name: given.to_owned(), nearest: nearest_name(given) });
            };
            *weights.as_array_mut()[index] = match weight {
                Some(weight) => parse_weight(weight)
                    .ok_or_else(|| FieldError::BadWeight { name: Self::NAMES[index], weight: weight.to_owned() })?,
                None if defaults.as_array()[index] > 0.0 => defaults.as_array()[index],
                None => 1.0,
            };
        }
        if weights == Self::NONE { Err(FieldError::NoField) } else { Ok(weights) }
    }

    /// Weights in the order of [`FieldWeights::NAMES`].
    pub fn as_array(&self) -> [f32; 8] {
        let Self { title, keywords, description, path, host, domain, shape, template } = self;
        [*title, *keywords, *description, *path, *host, *domain, *shape, *template]
    }

    fn as_array_mut(&mut self) -> [&mut f32; 8] {
        let Self { title, keywords, description, path, host, domain, shape, template } = self;
        [title, keywords, description, path, host, domain, shape, template]
    }
}

fn parse_weight(text: &str) -> Option<f32> {
    text.parse().ok().filter(|weight: &f32| weight.is_finite() && *weight >= 0.0)
}

fn nearest_name(given: &str) -> &'static str {
    let likeness = |name: &&str| (strsim::jaro_winkler(given, name) * 1e6) as u64;
    FieldWeights::NAMES.into_iter().max_by_key(likeness).unwrap_or("title")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_fields() {
        assert_eq!(FieldWeights::from_fields("title, keywords,description,path"), Ok(FieldWeights::default()));
        let weights = FieldWeights::from_fields("title=2,path=.5,host").expect("a list");
        assert_eq!(weights.as_array(), [2.0, 0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn faults_are_named() {
        let error = FieldWeights::from_fields("titel").expect_err("a misspelling");
        assert_eq!(error, FieldError::UnknownField { name: "titel".to_owned(), nearest: "title" });
        assert!(error.to_string().contains("`title`"));
        for weight in ["-1", "NaN", "inf", "much"] {
            let error = FieldWeights::from_fields(&format!("path={weight}")).expect_err("no weight");
            assert_eq!(error, FieldError::BadWeight { name: "path", weight: weight.to_owned() });
        }
        for list in ["", " , ", "title=0"] {
            assert_eq!(FieldWeights::from_fields(list), Err(FieldError::NoField));
        }
    }
}
