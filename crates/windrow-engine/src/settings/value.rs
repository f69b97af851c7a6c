//! Types of settings: how a text becomes a value, and how a value is shown.

use windrow_core::clean::Lengths;
use windrow_core::cluster::{Clusters, HalfLife};
use windrow_core::featurize::language;
use windrow_core::record::COLUMNS;

use crate::source::Keep;

/// Gives an enum its words: what settings call its variants.
macro_rules! words {
    ($name:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// Every variant's word.
            pub const NAMES: &[&str] = &[$($word),+];

            /// Its word in the settings.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The variant of this word.
            pub fn named(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use words;

/// Most clusters that may be asked for.
pub(super) const MOST_CLUSTERS: u64 = 100_000;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    /// Any text.
    Text,
    /// A path; empty for none.
    Path,
    /// Several paths.
    Paths,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from `min` to `max`.
    Count {
        /// Least value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// A number from `min` to `max`.
    Number {
        /// Least value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// How many clusters: a number or `auto`.
    Clusters,
    /// A half-life: rows, batches or time.
    HalfLife,
    /// A number of bytes, `128MB` or `4096`, from `min` to `max`.
    Size {
        /// Least value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// Some of our six columns: a list, or one text with commas.
    Columns,
    /// Codes of languages: a list, or one text with commas.
    Languages,
    /// How many characters columns may have: `20000,title=300`.
    Lengths,
    /// Columns of the input: a list, or one text with commas.
    Keep,
}

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, path or choice.
    Text(String),
    /// Yes or no.
    Switch(bool),
    /// Paths.
    List(Vec<String>),
    /// Whole number.
    Count(u64),
    /// Number.
    Number(f64),
    /// Bytes.
    Size(u64),
}

impl Type {
    /// The value that `texts` stand for, or what is wrong with them (to follow the key's name).
    pub(super) fn parse(self, texts: &[String]) -> Result<Value, String> {
        if self == Self::Paths {
            return Ok(Value::List(texts.to_vec()));
        }
        match self {
            Self::Columns => return listed(texts, |name| COLUMNS.contains(&name), self),
            Self::Languages => return listed(texts, language::is_known, self),
            Self::Keep => return Keep::parse(texts).map(|keep| Value::List(keep.words())),
            _ => {}
        }
        let [text] = texts else { return Err("takes one value, not a list".into()) };
        let wrong = |takes: String| format!("takes {takes}, not `{text}`");
        match self {
            Self::Lengths => {
                text.parse::<Lengths>().map(|lengths| Value::Text(lengths.to_string())).map_err(|error| error.to_string())
            }
            Self::Text | Self::Path | Self::Paths | Self::Columns | Self::Languages | Self::Keep => {
                Ok(Value::Text(text.clone()))
            }
            Self::Switch => text.parse().map(Value::Switch).map_err(|_| wrong(self.describe())),
            Self::Choice(words) if words.contains(&text.as_str()) => Ok(Value::Text(text.clone())),
            Self::Choice(_) => Err(wrong(self.describe())),
            Self::Count { min, max } => match text.parse() {
                Ok(count) if (min..=max).contains(&count) => Ok(Value::Count(count)),
                _ => Err(wrong(self.describe())),
            },
            Self::Number { min, max } => match text.parse() {
                Ok(number) if (min..=max).contains(&number) => Ok(Value::Number(number)),
                _ => Err(wrong(self.describe())),
            },
            Self::Clusters => match text.parse() {
                Ok(count) if (1..=MOST_CLUSTERS).contains(&count) => Ok(Value::Count(count)),
                _ if text == Clusters::AUTO => Ok(Value::Text(text.clone())),
                _ => Err(wrong(self.describe())),
            },
            Self::HalfLife => match text.parse::<HalfLife>() {
                Ok(half_life) => Ok(Value::Text(half_life.to_string())),
                Err(_) => Err(wrong(self.describe())),
            },
            Self::Size { min, max } => match parse_size(text) {
                Some(size) if (min..=max).contains(&size) => Ok(Value::Size(size)),
                _ => Err(wrong(self.describe())),
            },
        }
    }

    /// What the type takes, in words.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Path => "a path".into(),
            Self::Paths => "paths".into(),
            Self::Switch => "`true` or `false`".into(),
            Self::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
            Self::Columns => format!("some of {}", COLUMNS.join(", ")),
            Self::Languages => "codes of languages such as `en`".into(),
            Self::Keep => "names of columns such as `spend,cost=page.cost`".into(),
            Self::Lengths => "characters such as `20000,title=300`".into(),
            Self::Count { min, max } if max >= u64::from(u32::MAX) => format!("a whole number from {min}"),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Clusters => format!("a whole number from 1 to {MOST_CLUSTERS}, or `{}`", Clusters::AUTO),
            Self::HalfLife => "rows such as `3000`, `10 batches`, a time such as `90s`, `30m`, `6h` or `2d`, or `never`".into(),
            Self::Size { min, max: u64::MAX } => format!("a size such as `64MB`, at least {}", show_size(min)),
            Self::Size { min, max } => format!("a size such as `64MB`, from {} to {}", show_size(min), show_size(max)),
        }
    }
}

/// The words of a list, each once; one text may hold several between commas.
fn listed(texts: &[String], is_known: impl Fn(&str) -> bool, ty: Type) -> Result<Value, String> {
    let mut words: Vec<String> = Vec::new();
    for word in texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|word| !word.is_empty()) {
        if !is_known(word) {
            return Err(format!("takes {}, not `{word}`", ty.describe()));
        }
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words.sort_unstable();
    Ok(Value::List(words))
}

impl Value {
    /// The value as TOML.
    pub fn toml(&self) -> String {
        match self {
            Self::Text(text) => toml::Value::from(text.as_str()).to_string(),
            Self::List(items) => toml::Value::from(items.clone()).to_string(),
            Self::Switch(on) => on.to_string(),
            Self::Count(count) => count.to_string(),
            Self::Number(number) => format!("{number:?}"),
            Self::Size(size) => format!("\"{}\"", show_size(*size)),
        }
    }

    /// The value as JSON.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.clone().into(),
            Self::Switch(on) => (*on).into(),
            Self::Count(count) => (*count).into(),
            // Weights are f32: the shortest text that means the same number, not its digits as f64.
            Self::Number(number) => serde_json::from_str(&format!("{number:?}")).unwrap_or(serde_json::Value::Null),
            Self::Size(size) => show_size(*size).into(),
        }
    }

    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            other => other.toml(),
        }
    }

    pub(super) fn into_list(self) -> Vec<String> {
        match self {
            Self::List(items) => items,
            other => vec![other.into_text()],
        }
    }

    pub(super) fn is_on(&self) -> bool {
        *self == Self::Switch(true)
    }

    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Count(count) | Self::Size(count) => *count,
            _ => 0,
        }
    }

    pub(super) fn count_u32(&self) -> u32 {
        u32::try_from(self.count()).unwrap_or(u32::MAX)
    }

    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Number(number) => *number,
            _ => 0.0,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    pub(super) fn weight(&self) -> f32 {
        match self {
            Self::Number(number) => *number as f32,
            _ => 0.0,
        }
    }
}

const UNITS: [(&str, u64); 3] = [("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)];

/// A number of bytes from `4096`, `64kB`, `128 MB`, `1GiB`; units are powers of 1,024.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// The shortest way to write a number of bytes without loss.
pub fn show_size(size: u64) -> String {
    match UNITS.iter().find(|(_, unit)| size >= *unit && size.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", size / unit),
        None => size.to_string(),
    }
}
