//! Settings of the model: stored with the state; another value needs new state.
//!
//! In snapshots and manifests only the settings of the algorithm in use stand: those of others had no effect, and states that were
//! written before an algorithm came stay readable.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use super::{kmeans, original, two_level};
use crate::record::Micros;
use crate::snapshot::SnapshotError;

/// Settings of the model: stored with the state; another value needs new state. Those of an algorithm that is not in use make no
/// difference between two.
#[derive(Debug, Clone)]
pub struct ModelSettings {
    /// Algorithm; `two-level` is the default.
    pub kind: String,
    /// How many clusters are alive at a time.
    pub clusters: Clusters,
    /// Seed of everything that is drawn by chance.
    pub seed: u64,
    /// Most micro-clusters alive at a time.
    pub max_micro_clusters: u32,
    /// Most terms alive at a time.
    pub max_terms: u32,
    /// Of `kmeans` alone.
    pub kmeans: KMeansSettings,
    /// Of `original` alone.
    pub original: OriginalSettings,
}

impl ModelSettings {
    /// Refuses a snapshot that was made with others.
    pub(super) fn check_snapshot(&self, found: &Self) -> Result<(), SnapshotError> {
        if found == self {
            return Ok(());
        }
        let (found, wanted) = (format!("{found:?}"), format!("{self:?}"));
        Err(SnapshotError::OtherSettings { key: "model".into(), found, wanted })
    }
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            kind: two_level::KIND.into(),
            clusters: Clusters::AtMost(50),
            seed: 1,
            max_micro_clusters: 20_000,
            max_terms: 1_000_000,
            kmeans: KMeansSettings::default(),
            original: OriginalSettings::default(),
        }
    }
}

impl PartialEq for ModelSettings {
    fn eq(&self, other: &Self) -> bool {
        let plain = |s: &Self| (s.clusters, s.seed, s.max_micro_clusters, s.max_terms);
        self.kind == other.kind
            && plain(self) == plain(other)
            && match self.kind.as_str() {
                kmeans::KIND => self.kmeans == other.kmeans,
                original::KIND => self.original == other.original,
                _ => true,
            }
    }
}

const FIELDS: [&str; 7] = ["kind", "clusters", "seed", "max_micro_clusters", "max_terms", "kmeans", "original"];

impl Serialize for ModelSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has_own = matches!(self.kind.as_str(), kmeans::KIND | original::KIND);
        let mut fields = serializer.serialize_struct("ModelSettings", if has_own { 6 } else { 5 })?;
        fields.serialize_field(FIELDS[0], &self.kind)?;
        fields.serialize_field(FIELDS[1], &self.clusters)?;
        fields.serialize_field(FIELDS[2], &self.seed)?;
        fields.serialize_field(FIELDS[3], &self.max_micro_clusters)?;
        fields.serialize_field(FIELDS[4], &self.max_terms)?;
        match self.kind.as_str() {
            kmeans::KIND => fields.serialize_field(FIELDS[5], &self.kmeans)?,
            original::KIND => fields.serialize_field(FIELDS[6], &self.original)?,
            _ => {}
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for ModelSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("ModelSettings", &FIELDS, Fields)
    }
}

/// Reads the fields by name, or in their order.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = ModelSettings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings of a model")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ModelSettings, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A, at: usize) -> Result<T, A::Error> {
            seq.next_element()?.ok_or_else(|| de::Error::missing_field(FIELDS[at]))
        }
        let mut read = ModelSettings {
            kind: next(&mut seq, 0)?,
            clusters: next(&mut seq, 1)?,
            seed: next(&mut seq, 2)?,
            max_micro_clusters: next(&mut seq, 3)?,
            max_terms: next(&mut seq, 4)?,
            ..ModelSettings::default()
        };
        // Only those of the algorithm in use follow.
        match read.kind.as_str() {
            kmeans::KIND => read.kmeans = next(&mut seq, 5)?,
            original::KIND => read.original = next(&mut seq, 6)?,
            _ => {}
        }
        Ok(read)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ModelSettings, A::Error> {
        let mut read = ModelSettings::default();
        let mut found = [false; 5];
        while let Some(name) = map.next_key::<String>()? {
            let at = FIELDS.iter().position(|field| *field == name);
            match at {
                Some(0) => read.kind = map.next_value()?,
                Some(1) => read.clusters = map.next_value()?,
                Some(2) => read.seed = map.next_value()?,
                Some(3) => read.max_micro_clusters = map.next_value()?,
                Some(4) => read.max_terms = map.next_value()?,
                Some(5) => read.kmeans = map.next_value()?,
                Some(6) => read.original = map.next_value()?,
                _ => drop(map.next_value::<de::IgnoredAny>()?),
            }
            at.and_then(|at| found.get_mut(at)).into_iter().for_each(|found| *found = true);
        }
        match found.iter().position(|found| !found) {
            Some(missing) => Err(de::Error::missing_field(FIELDS[missing])),
            None => Ok(read),
        }
    }
}

/// How many clusters are alive at a time. In text a number or `auto`; as bytes a number, 0 for `auto`, so that older states read as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clusters {
    /// At most so many.
    AtMost(u32),
    /// As many as the stream has groups that hold; of `two-level` alone.
    Auto,
}

impl Clusters {
    /// The word for [`Clusters::Auto`].
    pub const AUTO: &str = "auto";
    /// Slots under `auto`.
    const AUTO_SLOTS: u32 = 1_000;

    /// Slots that there are for them.
    pub fn slots(self) -> u32 {
        match self {
            Self::AtMost(n) => n,
            Self::Auto => Self::AUTO_SLOTS,
        }
    }
}

impl From<u32> for Clusters {
    fn from(n: u32) -> Self {
        if n == 0 { Self::Auto } else { Self::AtMost(n) }
    }
}

impl From<Clusters> for u32 {
    fn from(clusters: Clusters) -> Self {
        match clusters {
            Clusters::AtMost(n) => n,
            Clusters::Auto => 0,
        }
    }
}

impl Serialize for Clusters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto if serializer.is_human_readable() => serializer.serialize_str(Self::AUTO),
            _ => serializer.serialize_u32((*self).into()),
        }
    }
}

impl<'de> Deserialize<'de> for Clusters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Told)
        } else {
            u32::deserialize(deserializer).map(Self::from)
        }
    }
}

/// Reads a number or the word.
struct Told;

impl Visitor<'_> for Told {
    type Value = Clusters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of clusters, or `{}`", Clusters::AUTO)
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Clusters, E> {
        u32::try_from(n).map(Clusters::AtMost).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(n), &self))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Clusters, E> {
        u32::try_from(n).map(Clusters::AtMost).map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Clusters, E> {
        if word == Clusters::AUTO { Ok(Clusters::Auto) } else { Err(E::invalid_value(de::Unexpected::Str(word), &self)) }
    }
}

impl fmt::Display for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(n) => write!(f, "{n}"),
            Self::Auto => f.write_str(Self::AUTO),
        }
    }
}

/// Settings of `kmeans`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KMeansSettings {
    /// In what a page's weight halves.
    pub half_life: HalfLife,
    /// Pages of a block: centres move after each.
    pub batch: u32,
    /// Most births a block, of pages that no centre explains.
    pub births: u32,
    /// How centres are compared with pages, and what becomes of dying ones.
    pub rule: KMeansRule,
}

impl Default for KMeansSettings {
    fn default() -> Self {
        Self { half_life: HalfLife::Rows(2_000), batch: 50, births: 8, rule: KMeansRule::Spherical }
    }
}

/// Settings of `original`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalSettings {
    /// Features that main domains are hashed into.
    pub features: u32,
    /// Pages of a block, which is fitted by itself.
    pub batch: u32,
}

impl Default for OriginalSettings {
    fn default() -> Self {
        Self { features: 50, batch: 10_000 }
    }
}

/// How centres of `kmeans` are compared with pages, and where new ones come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KMeansRule {
    /// By cosine; clusters are born of pages that no centre explains.
    #[default]
    Spherical,
    /// As Spark's MLlib: by Euclidean distance; a dying cluster takes half of the heaviest.
    Spark,
}

impl KMeansRule {
    /// The words of all rules.
    pub const NAMES: &[&str] = &["spherical", "spark"];

    /// Its word in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spherical => "spherical",
            Self::Spark => "spark",
        }
    }

    /// The rule of this word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Spherical, Self::Spark].into_iter().find(|rule| rule.name() == word)
    }
}

/// In what the weight of a page halves: `3000` rows, `10 batches`, a length of model time such as `6h`, or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HalfLife {
    /// Pages learnt (Spark's time unit `points`).
    Rows(u64),
    /// Blocks learnt (Spark's time unit `batches`).
    Batches(u64),
    /// Model time, in microseconds.
    Time(Micros),
    /// Nothing fades.
    Never,
}

/// A text that is no half-life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a half-life is rows such as `3000`, `10 batches`, a time such as `90s`, `30m`, `6h` or `2d`, or `never`")]
pub struct HalfLifeError;

const SECOND: Micros = 1_000_000;
/// Longest first.
const UNITS: [(&str, Micros); 4] = [("d", 86_400 * SECOND), ("h", 3_600 * SECOND), ("m", 60 * SECOND), ("s", SECOND)];

impl FromStr for HalfLife {
    type Err = HalfLifeError;

    fn from_str(text: &str) -> Result<Self, HalfLifeError> {
        let text = text.trim();
        if text == "never" {
            return Ok(Self::Never);
        }
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = text[..digits].parse().map_err(|_| HalfLifeError)?;
        let unit = text[digits..].trim();
        let half_life = match unit {
            "" | "row" | "rows" => Self::Rows(number),
            "batch" | "batches" => Self::Batches(number),
            _ => {
                let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(HalfLifeError)?;
                let number = Micros::try_from(number).map_err(|_| HalfLifeError)?;
                Self::Time(number.checked_mul(*micros).ok_or(HalfLifeError)?)
            }
        };
        if number == 0 { Err(HalfLifeError) } else { Ok(half_life) }
    }
}

impl fmt::Display for HalfLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "{rows}"),
            Self::Batches(batches) => write!(f, "{batches} batches"),
            Self::Never => f.write_str("never"),
            Self::Time(time) => {
                let (unit, micros) = UNITS.iter().find(|(_, micros)| time % micros == 0).unwrap_or(&("s", SECOND));
                write!(f, "{}{unit}", time / micros)
            }
        }
    }
}

impl TryFrom<String> for HalfLife {
    type Error = HalfLifeError;

    fn try_from(text: String) -> Result<Self, HalfLifeError> {
        text.parse()
    }
}

impl From<HalfLife> for String {
    fn from(half_life: HalfLife) -> Self {
        half_life.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_lives_are_read_as_written() {
        let times = [("90s", 90), ("30m", 1_800), ("6h", 21_600), ("2d", 172_800)];
        let times = times.map(|(text, seconds)| (text, HalfLife::Time(seconds * SECOND)));
        let counts = [("3000", HalfLife::Rows(3_000)), ("10 batches", HalfLife::Batches(10)), ("never", HalfLife::Never)];
        for (text, half_life) in times.into_iter().chain(counts) {
            assert_eq!((text.parse(), half_life.to_string().as_str()), (Ok(half_life), text));
        }
        assert_eq!(("24 h".parse(), "5 rows".parse()), (Ok(HalfLife::Time(86_400 * SECOND)), Ok(HalfLife::Rows(5))));
        for text in ["", "0", "0h", "h", "-1", "1.5h", "3 weeks", "99999999999999999999", "9999999999999999d"] {
            assert_eq!(text.parse::<HalfLife>(), Err(HalfLifeError), "{text}");
        }
    }

    #[test]
    fn the_number_of_clusters_is_read_as_written() {
        for (clusters, json) in [(Clusters::AtMost(7), "7"), (Clusters::Auto, "\"auto\"")] {
            assert_eq!(serde_json::to_string(&clusters).unwrap(), json);
            assert_eq!(serde_json::from_str::<Clusters>(json).unwrap(), clusters);
            let bytes = postcard::to_allocvec(&clusters).unwrap();
            assert_eq!(postcard::from_bytes::<Clusters>(&bytes), Ok(clusters));
        }
        for json in ["-1", "\"many\"", "5000000000", "null"] {
            assert!(serde_json::from_str::<Clusters>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn settings_of_other_algorithms_are_left_out() {
        // What postcard made of five derived fields before there was `kmeans`.
        let plain = ModelSettings::default();
        let before = postcard::to_allocvec(&("two-level", 50u32, 1u64, 20_000u32, 1_000_000u32)).unwrap();
        assert_eq!(postcard::to_allocvec(&plain).unwrap(), before);
        let kmeans =
            KMeansSettings { half_life: HalfLife::Time(3_600 * SECOND), rule: KMeansRule::Spark, ..Default::default() };
        let kmeans = ModelSettings { kind: kmeans::KIND.into(), kmeans, ..plain.clone() };
        let other = KMeansSettings { batch: 3, ..KMeansSettings::default() };
        assert_eq!(plain, ModelSettings { kmeans: other.clone(), ..plain.clone() });
        assert_ne!(kmeans, ModelSettings { kmeans: other, ..kmeans.clone() });
        let original = OriginalSettings { batch: 7, ..OriginalSettings::default() };
        let original = ModelSettings { kind: original::KIND.into(), original, ..plain.clone() };
        assert_ne!(original, ModelSettings { original: OriginalSettings::default(), ..original.clone() });
        for settings in [plain, kmeans, original] {
            let bytes = postcard::to_allocvec(&(&settings, 7u8)).unwrap();
            assert_eq!(postcard::from_bytes::<(ModelSettings, u8)>(&bytes), Ok((settings, 7)));
        }
    }
}
