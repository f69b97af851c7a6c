//! From messages to the settings that read them: which form they have, and where our columns lie.
//!
//! A topic has no header. What `windrow init` writes is a proposal, and shows a value beside each guess: people decide. JSON keys
//! are taken by name only: the object that holds most of our columns goes first (the message itself before the objects in it), by
//! our own names before those that other tools often use; what is missing there is looked for elsewhere by our own names. CSV
//! has no names: the six fields of our own order are known by the address in the third, else only address and time are found.
//! Case, `_`, `-` and blanks do not count. A value that we could not use is no proposal: a page whose time cannot be read is a reject.

mod file;

use std::collections::BTreeMap;

use serde_json::Value;
use windrow_core::clean::clean;
use windrow_core::kept::Kept;
use windrow_core::lineage::is_hostile;
use windrow_core::record::{COLUMNS, RecordId, Row};

use super::columns::{OFTEN_CALLED, nearest};
use super::form::MessageFormat;
use super::parse::Parser;
use super::parse::json::document;

pub use file::{FileProposal, propose_files};

const TIME: usize = 0;
const ID: usize = 1;
const URL: usize = 2;
/// What a column adds to an object's claim, by our own name and by another.
const CLAIMS: [(usize, usize); 6] = [(1, 1), (1, 0), (2, 1), (3, 2), (3, 2), (3, 2)];
/// Objects in objects are looked into so deep.
const DEPTH: usize = 5;
/// Different ways that are looked at, and fields of a record.
const MOST_WAYS: usize = 2_000;
/// What `columns` says of a column that is to stay empty: no message holds it.
pub const LEFT_EMPTY: &str = "-";

/// How messages may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Their form.
    pub format: MessageFormat,
    /// Messages that have this form.
    pub fitting: usize,
    /// For each of our columns what was found.
    pub columns: [Guess; COLUMNS.len()],
    /// What the messages hold beside, the most frequent first.
    pub others: Vec<String>,
}

/// What was found for a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Guess {
    /// Nothing.
    #[default]
    Nothing,
    /// This name or place, with one of its values.
    At {
        /// As `source.columns` says it.
        name: String,
        /// One value, as it is.
        value: String,
    },
    /// Something by our own name that cannot be used: the column is to be left empty.
    Unusable {
        /// One value, or what it is.
        value: String,
    },
}

impl Proposal {
    /// The value of `source.columns`.
    pub fn columns(&self) -> String {
        let is_csv_in_our_order = self.format == MessageFormat::Csv
            && self.columns.iter().enumerate().all(|(at, guess)| matches!(guess, Guess::At { name, .. } if *name == place(at)));
        let named = COLUMNS.iter().zip(&self.columns).filter_map(|(column, guess)| match guess {
            Guess::At { name, .. } => (name != column).then(|| format!("{column}={name}")),
            Guess::Unusable { .. } => Some(format!("{column}={LEFT_EMPTY}")),
            Guess::Nothing => None,
        });
        if is_csv_in_our_order { String::new() } else { named.collect::<Vec<_>>().join(",") }
    }

    /// Of what lies beside, what is most likely a column that was not found.
    pub fn nearest(&self, column: usize) -> Option<&str> {
        if self.format == MessageFormat::Csv || matches!(self.columns[column], Guess::At { .. }) {
            return None;
        }
        let leaf = |way: &str| squashed(way.rsplit('.').next().unwrap_or(way));
        let called = |name: &&str| self.others.iter().find(|way| leaf(way) == squashed(name)).map(String::as_str);
        let known = std::iter::once(COLUMNS[column]).chain(OFTEN_CALLED[column].iter().copied());
        known.clone().find_map(|name| called(&name)).or_else(|| {
            let leaves: Vec<String> = self.others.iter().map(|way| leaf(way)).collect();
            let leaves: Vec<&str> = leaves.iter().map(String::as_str).collect();
            let near = nearest(&squashed(COLUMNS[column]), &leaves)?;
            self.others.iter().find(|way| leaf(way) == near).map(String::as_str)
        })
    }
}

/// What fits these values; without any, our own names in JSON.
pub fn propose(values: &[&[u8]]) -> Proposal {
    let documents: Vec<Value> = values.iter().filter_map(|value| document(value)).collect();
    let records: Vec<Vec<String>> = values.iter().filter_map(|value| fields(value)).collect();
    // The number of fields that most records have; the larger of equals.
    let width =
        records.iter().map(Vec::len).max_by_key(|len| (records.iter().filter(|other| other.len() == *len).count(), *len));
    let width = width.filter(|width| *width > 1).unwrap_or(0);
    let regular: Vec<Vec<String>> = records.into_iter().filter(|record| width > 0 && record.len() == width).collect();
    if documents.len() * 2 < values.len() && regular.len() * 2 >= values.len() {
        of_records(&regular, width)
    } else {
        of_documents(&documents)
    }
}

/// The fields of a value as one CSV record.
fn fields(value: &[u8]) -> Option<Vec<String>> {
    let line = std::str::from_utf8(value).ok()?.trim_start_matches('\u{feff}').trim_matches(['\r', '\n']);
    let fields = Parser::values(line.as_bytes(), b',').into_iter().map(|field| String::from_utf8_lossy(&field).into_owned());
    Some(fields.take(MOST_WAYS).collect())
}

/// The place of a field, as people count.
fn place(at: usize) -> String {
    (at + 1).to_string()
}

fn of_records(records: &[Vec<String>], width: usize) -> Proposal {
    let field = |at: usize| Way::of(records.iter().map(|record| record[at].clone()));
    let ways: Vec<Way> = (0..width).map(field).collect();
    let guess = |at: usize| Guess::At { name: place(at), value: ways[at].value().to_owned() };
    let columns = if width == COLUMNS.len() && ways[URL].is(looks_like_address) && ways[TIME].is(is_time) {
        std::array::from_fn(guess)
    } else {
        let find = |test: fn(&str) -> bool| (0..width).find(|at| ways[*at].is(test)).map_or(Guess::Nothing, guess);
        let mut columns: [Guess; COLUMNS.len()] = Default::default();
        columns[URL] = find(looks_like_address);
        columns[TIME] = find(|text| text.len() > 7 && is_time(text));
        columns
    };
    let is_taken = |at: &usize| columns.iter().any(|guess| matches!(guess, Guess::At { name, .. } if *name == place(*at)));
    let others = (0..width).filter(|at| !is_taken(at)).map(|at| format!("{}: {}", place(at), ways[at].value())).collect();
    Proposal { format: MessageFormat::Csv, fitting: records.len(), columns, others }
}

/// What lies at one way, or in one field, of all messages.
#[derive(Debug, Default)]
struct Way {
    /// Texts that are not empty.
    texts: Vec<String>,
    /// Messages that hold an object there, or a list that is none of texts.
    objects: usize,
}

impl Way {
    fn of(texts: impl Iterator<Item = String>) -> Self {
        Self { texts: texts.filter(|text| !text.trim().is_empty()).collect(), objects: 0 }
    }

    /// One of its values.
    fn value(&self) -> &str {
        self.texts.first().map_or("", String::as_str)
    }

    /// One of its values; where only some suit the column, one that does.
    fn example(&self, column: usize) -> &str {
        let suits = |text: &&String| match column {
            TIME => is_time(text),
            URL => looks_like_address(text),
            _ => true,
        };
        self.texts.iter().find(suits).map_or_else(|| self.value(), String::as_str)
    }

    /// Whether it holds something, and `test` is true of all of it but one in ten.
    fn is(&self, test: fn(&str) -> bool) -> bool {
        !self.texts.is_empty() && self.texts.iter().filter(|text| !test(text)).count() * 10 <= self.texts.len()
    }

    /// Whether it may be this column.
    fn may_be(&self, column: usize, by_own_name: bool) -> bool {
        self.texts.len() > self.objects * 9
            && (column != TIME || self.is(is_time))
            && (column != URL || by_own_name || self.is(looks_like_address))
    }
}

fn is_time(text: &str) -> bool {
    let columns = [text.as_bytes(), b"", b"x", b"", b"", b""];
    clean(&Row { origin: RecordId { source: 0, offset: 0 }, raw: b"", columns, kept: Kept::default() }).is_ok()
}

fn looks_like_address(text: &str) -> bool {
    (text.contains("://") || text.starts_with("www.") || text.starts_with('/')) && !text.trim().contains(char::is_whitespace)
}

/// Ways by object, then by key; the message itself is the object without a name.
type Ways = BTreeMap<String, BTreeMap<String, Way>>;

fn of_documents(documents: &[Value]) -> Proposal {
    let mut ways = Ways::new();
    documents.iter().for_each(|document| collect(document, "", DEPTH, &mut ways));
    let home = ways.keys().map(|object| (claim(&ways, object), object)).max_by(|(a, x), (b, y)| {
        // Of equals the one that lies higher, then the first by name.
        a.cmp(b).then_with(|| depth(y).cmp(&depth(x))).then_with(|| y.cmp(x))
    });
    let home = home.map_or("", |(_, object)| object.as_str());
    let columns: [Guess; COLUMNS.len()] = std::array::from_fn(|column| {
        let elsewhere = || {
            // Everything has an id: one that lies elsewhere is of something else.
            let objects = ways.keys().map(String::as_str).filter(|object| column != ID || object.is_empty());
            let mut found: Vec<&str> = objects.filter(|object| own(&ways, object, column).is_some()).collect();
            found.sort_by_key(|object| depth(object));
            found.first().and_then(|object| own(&ways, object, column))
        };
        let in_home = own(&ways, home, column).or_else(|| often(&ways, home, column));
        let found = in_home.or_else(elsewhere).or_else(|| often(&ways, "", column));
        match found {
            Some((name, way)) => Guess::At { name, value: way.example(column).to_owned() },
            None => unusable(&ways, column),
        }
    });
    let is_taken = |way: &str| columns.iter().any(|guess| matches!(guess, Guess::At { name, .. } if name == way));
    let mut others: Vec<(usize, String)> = ways
        .iter()
        .flat_map(|(object, keys)| keys.iter().map(move |(key, way)| (way.texts.len(), join(object, key))))
        .filter(|(count, way)| *count > 0 && !is_taken(way))
        .collect();
    others.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let others = others.into_iter().map(|(_, way)| way).collect();
    Proposal { format: MessageFormat::Json, fitting: documents.len(), columns, others }
}

fn depth(object: &str) -> usize {
    if object.is_empty() { 0 } else { 1 + object.matches('.').count() }
}

fn join(object: &str, key: &str) -> String {
    if object.is_empty() { key.to_owned() } else { format!("{object}.{key}") }
}

/// Enters what lies in `value`, an object.
fn collect(value: &Value, object: &str, depth: usize, ways: &mut Ways) {
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        // What the column map cannot say is passed over.
        if key.is_empty()
            || key.trim() != key
            || key.contains([',', '='])
            || key.chars().any(is_hostile)
            || ways.values().map(BTreeMap::len).sum::<usize>() > MOST_WAYS
        {
            continue;
        }
        let way = ways.entry(object.to_owned()).or_default().entry(key.clone()).or_default();
        match text(value) {
            Some(text) if text.is_empty() => {}
            Some(text) => way.texts.push(text),
            None => way.objects += 1,
        }
        if depth > 0 {
            collect(value, &join(object, key), depth - 1, ways);
        }
    }
}

/// The text that a value becomes; none for what cannot be one.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| if item.is_array() { None } else { text(item) }).collect();
            Some(texts?.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", "))
        }
        Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

/// A name without case, `_`, `-` and blanks: `pageTitle` is `page_title`.
fn squashed(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// The column in an object, by our own name: exactly, else however it is spelled.
fn own<'w>(ways: &'w Ways, object: &str, column: usize) -> Option<(String, &'w Way)> {
    by_name(ways, object, column, COLUMNS[column], true)
}

/// The column in an object, by a name that other tools use.
fn often<'w>(ways: &'w Ways, object: &str, column: usize) -> Option<(String, &'w Way)> {
    OFTEN_CALLED[column].iter().find_map(|name| by_name(ways, object, column, name, false))
}

fn by_name<'w>(ways: &'w Ways, object: &str, column: usize, name: &str, is_own: bool) -> Option<(String, &'w Way)> {
    let keys = ways.get(object)?;
    let fits = |way: &&Way| way.may_be(column, is_own);
    let exact = keys.get_key_value(name).filter(|(_, way)| fits(way));
    let (key, way) = exact.or_else(|| keys.iter().find(|(key, way)| squashed(key) == squashed(name) && fits(way)))?;
    Some((join(object, key), way))
}

/// What an object has of our columns.
fn claim(ways: &Ways, object: &str) -> usize {
    let of_column = |(column, (by_own, by_other)): (usize, (usize, usize))| {
        if own(ways, object, column).is_some() {
            by_own
        } else if often(ways, object, column).is_some() {
            by_other
        } else {
            0
        }
    };
    CLAIMS.into_iter().enumerate().map(of_column).sum()
}

/// What would be read by our own name although it cannot be used.
fn unusable(ways: &Ways, column: usize) -> Guess {
    match ways.get("").and_then(|keys| keys.get(COLUMNS[column])) {
        Some(way) if way.objects > way.texts.len() => Guess::Unusable { value: "an object".to_owned() },
        Some(way) if !way.texts.is_empty() => Guess::Unusable { value: way.value().to_owned() },
        _ => Guess::Nothing,
    }
}

#[cfg(test)]
mod tests;
