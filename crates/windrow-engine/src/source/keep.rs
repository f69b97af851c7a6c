//! Columns that are carried along: `spend,clicks`, or under another name: `cost=page.cost`.
//!
//! Nothing is made of their values but sums for each cluster. They are text in every output, as they were read: whether a column is one of
//! numbers would be known behind its last row only, and files of one output must agree from the first.

use std::fmt;

use serde::{Deserialize, Serialize};
use windrow_core::lineage::is_hostile;

/// The column of an export that says where a page is now.
pub(crate) const CURRENT: &str = "current_cluster";

/// Columns of the output that are ours; no kept column may be called so. Compared without case, as many readers do.
pub(crate) const OURS: [&str; 14] = [
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
];
/// Columns that are carried along, at most.
const MOST: usize = 64;

/// A column that is carried along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptColumn {
    /// What the outputs call it.
    pub name: String,
    /// What the input calls it; in JSON the way to it, in CSV messages the place of the field.
    pub column: String,
}

impl fmt::Display for KeptColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name == self.column { f.write_str(&self.name) } else { write!(f, "{}={}", self.name, self.column) }
    }
}

/// All columns that are carried along, in the order in which they were named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub struct Keep(Vec<KeptColumn>);

impl Keep {
    /// No column.
    pub const NONE: &'static Self = &Self(Vec::new());

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The columns.
    pub fn columns(&self) -> &[KeptColumn] {
        &self.0
    }

    /// What the outputs call them.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|kept| kept.name.clone()).collect()
    }

    /// As they are written in settings.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Columns from words, of which one text may hold several between commas; or what is wrong with them, to follow the key's name.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let mut keep = Self::default();
        let words = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|word| !word.is_empty());
        words.map(column).try_for_each(|kept| keep.add(kept?))?;
        Ok(keep)
    }

    fn add(&mut self, kept: KeptColumn) -> Result<(), String> {
        if self.0.contains(&kept) {
            return Ok(());
        }
        if self.0.iter().any(|known| known.name.eq_ignore_ascii_case(&kept.name)) {
            return Err(format!(
                "gives two columns the name `{0}`: give one of them another, as in `other_{0}={1}`",
                kept.name, kept.column
            ));
        }
        if self.0.len() == MOST {
            return Err(format!("takes {MOST} columns at most"));
        }
        self.0.push(kept);
        Ok(())
    }

    /// The words that keep these columns of an input, whatever they are called there; without those that no word can name.
    pub fn proposed(columns: &[String]) -> Self {
        let mut keep = Self::default();
        for name in columns.iter().filter(|name| !name.contains([',', '='])) {
            let other = || column(&format!("input_{name}={name}"));
            // One too many, or called as another one is, is left for people to name.
            let _ = column(name).or_else(|_| other()).and_then(|kept| keep.add(kept));
        }
        keep
    }
}

/// The column that a word is.
fn column(word: &str) -> Result<KeptColumn, String> {
    let (name, column) = word.split_once('=').unwrap_or((word, word));
    let (name, column) = (name.trim(), column.trim());
    if name.is_empty() || column.is_empty() {
        return Err(format!("takes names of columns such as `spend` or `cost=page.cost`, not `{word}`"));
    }
    if name.chars().chain(column.chars()).any(is_hostile) || column.contains([',', '=']) {
        return Err(format!("takes names without signs that no screen shows, `=` and `,`, not {word:?}"));
    }
    if OURS.iter().chain([&CURRENT]).any(|ours| ours.eq_ignore_ascii_case(name)) {
        return Err(format!(
            "cannot carry `{name}` along under that name, which the output has already: give it another, as in `input_{name}={column}`"
        ));
    }
    Ok(KeptColumn { name: name.to_owned(), column: column.to_owned() })
}

impl TryFrom<Vec<String>> for Keep {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        Self::parse(&words)
    }
}

impl From<Keep> for Vec<String> {
    fn from(keep: Keep) -> Self {
        keep.words()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<String>, String> {
        Keep::parse(&[text.to_owned()]).map(|keep| keep.words())
    }

    #[test]
    fn our_own_columns_are_those_of_the_output() {
        let schema = crate::sink::parquet::schema(crate::sink::Family::Pages, &[]);
        assert!(schema.fields().iter().map(|field| field.name().as_str()).eq(OURS));
    }

    #[test]
    fn columns_keep_their_order_and_their_names() {
        assert_eq!(parsed(" spend, clicks ,,cost=page.cost,spend").unwrap(), ["spend", "clicks", "cost=page.cost"]);
        let keep = Keep::parse(&["b".into(), "a,c=3".into()]).unwrap();
        assert_eq!(keep.names(), ["b", "a", "c"]);
        let json = serde_json::to_string(&keep).unwrap();
        assert_eq!((json.as_str(), serde_json::from_str(&json).unwrap()), (r#"["b","a","c=3"]"#, keep));
        assert_eq!(parsed(""), Ok(Vec::new()));
    }

    #[test]
    fn names_that_clash_are_refused_with_a_way_out() {
        assert!(parsed("Label").unwrap_err().contains("`input_Label=Label`"));
        assert!(parsed("x=url").unwrap().len() == 1, "our columns may be kept too, as they were read");
        assert!(parsed("spend,Spend=cost").unwrap_err().contains("two columns"));
        for text in ["=a", "a=", "a=b=c", "a\u{1b}[2J"] {
            assert!(parsed(text).is_err(), "{text:?}");
        }
        let many: Vec<String> = (0..=MOST).map(|n| format!("c{n}")).collect();
        assert!(Keep::parse(&many).unwrap_err().contains("at most"));
    }

    #[test]
    fn what_is_proposed_can_be_said() {
        let found = ["spend", "label", "a=b", "", "Spend", "x\u{202e}"].map(str::to_owned);
        let proposed = Keep::proposed(&found);
        assert_eq!(proposed.words(), ["spend", "input_label=label"]);
        assert_eq!(Keep::parse(&proposed.words()), Ok(proposed));
    }
}
