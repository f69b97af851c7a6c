//! Other people's columns: which field of a record is which of our six columns.
//!
//! Names are compared without case and surrounding space. `--columns url=landing_page,title=name` says what the header calls
//! them; a column not named there keeps its own name. When nothing that makes a page is found, the error says what was found,
//! what was expected, and the flag that would most likely help.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use windrow_core::record::COLUMNS;

use super::encoding::Encoding;
use super::keep::{Keep, KeptColumn};
use super::parse::Parser;
use crate::error::{Error, ErrorKind};

/// Columns of which any one makes a page.
pub(super) const PAGE_COLUMNS: [usize; 4] = [2, 3, 4, 5];

/// Names that other tools give to our columns; only used to propose, never to read by.
pub(super) const OFTEN_CALLED: [&[&str]; 6] = [
    &["created_at", "timestamp", "time", "date", "datetime", "created", "published"],
    &["campaign_id", "page_id", "uuid", "guid", "key"],
    &["landing_page", "landing_url", "link", "href", "uri", "address", "page", "page_url"],
    &["name", "headline", "page_title", "heading", "subject"],
    &["tags", "keyword", "topics", "meta_keywords"],
    &["desc", "summary", "abstract", "text", "body", "content", "snippet", "meta_description"],
];

/// What the header calls our columns, and which others are carried along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMap {
    /// For each of our columns the name in the header, when it is another one.
    names: [Option<String>; 6],
    keep: Keep,
}

impl ColumnMap {
    /// The same, with columns that are carried along.
    #[must_use]
    pub fn keeping(self, keep: &Keep) -> Self {
        Self { keep: keep.clone(), ..self }
    }

    /// The columns that are carried along.
    pub(crate) fn kept(&self) -> &[KeptColumn] {
        self.keep.columns()
    }

    /// What it says that our column is called; none when it says nothing.
    pub(super) fn given(&self, column: usize) -> Option<&str> {
        self.names[column].as_deref()
    }

    /// What the input calls our column.
    pub(crate) fn name(&self, column: usize) -> &str {
        self.names[column].as_deref().unwrap_or(COLUMNS[column])
    }
}

impl fmt::Display for ColumnMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = COLUMNS.iter().zip(&self.names).filter_map(|(column, name)| Some((column, name.as_ref()?)));
        for (at, (column, name)) in named.enumerate() {
            write!(f, "{}{column}={name}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for ColumnMap {
    type Err = Error;

    /// Reads `url=landing_page,title=name`; the empty text is the map that changes nothing.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut map = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((column, name)) = part.split_once('=') else {
                return Err(bad_flag(format!("`{part}` in the column map is not of the form column=name")));
            };
            map.add(column, name)?;
        }
        Ok(map)
    }
}

impl ColumnMap {
    /// The map that calls each column as `names` does.
    ///
    /// # Errors
    /// `E-COLUMN-MAP`: a column is none of ours, or its name is empty.
    pub fn from_names(names: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut map = Self::default();
        names.iter().try_for_each(|(column, name)| map.add(column, name))?;
        Ok(map)
    }

    /// For each of our columns the index of its field among those that are called so.
    fn fields(&self, found: &[String]) -> [Option<u32>; COLUMNS.len()] {
        std::array::from_fn(|column| field(self.name(column), found))
    }

    /// For each column that is carried along the index of its field.
    fn kept_fields(&self, found: &[String], source: &str) -> Result<Vec<u32>, Error> {
        self.kept().iter().map(|kept| field(&kept.column, found).ok_or_else(|| not_kept(kept, found, source))).collect()
    }

    /// For each of our columns, and for each that is carried along, the index of its field among those that are called so.
    ///
    /// # Errors
    /// `E-INPUT-COLUMNS`: one that is named is not there, or none that makes a page.
    pub(super) fn find(&self, found: &[String], source: &str) -> Result<([Option<u32>; COLUMNS.len()], Vec<u32>), Error> {
        let fields = self.fields(found);
        let misnamed = (0..COLUMNS.len()).find(|&column| self.names[column].is_some() && fields[column].is_none());
        if misnamed.is_some() || PAGE_COLUMNS.iter().all(|&column| fields[column].is_none()) {
            return Err(missing(found, self, misnamed, source));
        }
        Ok((fields, self.kept_fields(found, source)?))
    }

    /// How many of our columns a header has.
    pub(super) fn n_named(&self, header: &[Vec<u8>]) -> usize {
        self.fields(&names(header)).iter().flatten().count()
    }

    fn add(&mut self, column: &str, name: &str) -> Result<(), Error> {
        let (column, name) = (column.trim().to_ascii_lowercase(), name.trim());
        let Some(index) = COLUMNS.iter().position(|known| *known == column) else {
            let nearest = nearest(&column, &COLUMNS).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            return Err(bad_flag(format!("the column map names `{column}`, which is no column of ours{nearest}")));
        };
        if name.is_empty() {
            return Err(bad_flag(format!("the column map gives `{column}` no name")));
        }
        if self.names[index].replace(name.to_owned()).is_some() {
            return Err(bad_flag(format!("the column map names `{column}` twice")));
        }
        Ok(())
    }
}

/// The index of the first field that is called so.
fn field(wanted: &str, found: &[String]) -> Option<u32> {
    let wanted = wanted.trim().to_lowercase();
    found.iter().position(|name| name.to_lowercase() == wanted).and_then(|index| u32::try_from(index).ok())
}

/// What the fields of a header are called.
pub(super) fn names(values: &[Vec<u8>]) -> Vec<String> {
    values.iter().map(|value| String::from_utf8_lossy(value).trim().to_owned()).collect()
}

fn bad_flag(message: String) -> Error {
    Error::new(ErrorKind::Invalid, "E-COLUMN-MAP", message)
        .hint(format!("write it as url=landing_page,title=name; our columns are {}", COLUMNS.join(", ")))
}

/// Where the columns lie in the records of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// For each of our columns the index of its field.
    pub fields: [Option<u32>; 6],
    /// The same for each column that is carried along.
    pub kept: Vec<u32>,
    /// Number of fields that every record has.
    pub n_fields: usize,
    /// Whether a record may have further fields.
    pub or_more: bool,
    /// What stands between two fields.
    pub delimiter: u8,
    /// Of the bytes of the records.
    pub encoding: Encoding,
    /// The header record as text; empty when the source has none.
    pub header: Vec<u8>,
}

impl Layout {
    /// Our six columns in their canonical order, and no header.
    pub fn canonical() -> Self {
        let fields = std::array::from_fn(|column| u32::try_from(column).ok());
        Self { fields, n_fields: COLUMNS.len(), ..Self::of_commas() }
    }

    /// No fields, between commas.
    fn of_commas() -> Self {
        let fields = [None; COLUMNS.len()];
        let kept = Vec::new();
        Self { fields, kept, n_fields: 0, or_more: false, delimiter: b',', encoding: Encoding::Utf8, header: Vec::new() }
    }

    /// The layout that `header`, which is text, describes; `source` is named in the error.
    pub fn from_header(header: &[u8], delimiter: u8, map: &ColumnMap, source: &str) -> Result<Self, Error> {
        let found = names(&Parser::values(header, delimiter));
        let (fields, kept) = map.find(&found, source)?;
        Ok(Self { fields, kept, n_fields: found.len(), delimiter, header: header.to_vec(), ..Self::of_commas() })
    }

    /// The layout of records without a header: the map says the place of each field, from 1; an empty map, our own order.
    ///
    /// # Errors
    /// `E-COLUMN-MAP`: the map calls a column by a name.
    pub fn by_place(map: &ColumnMap) -> Result<Self, Error> {
        let (mut fields, mut n_fields) = ([None; COLUMNS.len()], 0);
        if map.names.iter().all(Option::is_none) {
            Self { fields, n_fields, .. } = Self::canonical();
        }
        for (column, name) in map.names.iter().enumerate() {
            let Some(name) = name else { continue };
            let place = place(COLUMNS[column], name)?;
            fields[column] = Some(place);
            n_fields = n_fields.max(place as usize + 1);
        }
        let kept = map.kept().iter().map(|kept| place(&kept.name, &kept.column)).collect::<Result<Vec<u32>, Error>>()?;
        n_fields = kept.iter().fold(n_fields, |most, place| most.max(*place as usize + 1));
        // Our own order is all there is, unless something is said.
        let or_more = *map != ColumnMap::default();
        Ok(Self { fields, kept, n_fields, or_more, ..Self::of_commas() })
    }
}

fn missing(found: &[String], map: &ColumnMap, misnamed: Option<usize>, source: &str) -> Error {
    let message = match misnamed {
        Some(column) => {
            format!("{source} has no column `{}`, which the column map calls `{}`", map.name(column), COLUMNS[column])
        }
        None => format!("{source} has none of the columns url, title, keywords and description"),
    };
    let mut error = Error::new(ErrorKind::Invalid, "E-INPUT-COLUMNS", message)
        .cause(format!("found: {}", shown(found)))
        .cause(format!("expected any of: {}", PAGE_COLUMNS.map(|column| map.name(column)).join(", ")));
    let proposals: Vec<String> = COLUMNS
        .iter()
        .enumerate()
        .filter_map(|(column, ours)| Some((column, ours, propose(column, found)?)))
        .filter(|(column, ours, name)| misnamed == Some(*column) || !name.eq_ignore_ascii_case(ours))
        .map(|(_, ours, name)| format!("{ours}={}", printable(name)))
        .collect();
    if proposals.is_empty() {
        error = error.hint("say which column is which, for example --columns url=<name in the header>");
    } else {
        error = error.hint(format!("nearest: --columns {}", proposals.join(",")));
    }
    error
}

/// The index of a field that is named by its place, from 1.
fn place(column: &str, name: &str) -> Result<u32, Error> {
    name.parse().ok().and_then(|place: u32| place.checked_sub(1)).ok_or_else(|| {
        let message = format!("`{}` is called `{}`, but CSV messages have no header", printable(column), printable(name));
        Error::new(ErrorKind::Invalid, "E-COLUMN-MAP", message).hint("count the fields of a message from 1: url=2,title=3")
    })
}

/// A column that is to be carried along and is not there.
fn not_kept(kept: &KeptColumn, found: &[String], source: &str) -> Error {
    let message = format!("{source} has no column `{}`, which --keep wants carried along", printable(&kept.column));
    let error = Error::new(ErrorKind::Invalid, "E-INPUT-COLUMNS", message).cause(format!("found: {}", shown(found)));
    let names: Vec<&str> = found.iter().map(String::as_str).collect();
    match nearest(&kept.column.to_lowercase(), &names) {
        Some(near) if kept.name == kept.column => error.hint(format!("nearest: --keep {}", printable(near))),
        Some(near) => error.hint(format!("nearest: --keep {}={}", printable(&kept.name), printable(near))),
        None => error.hint("leave it out of --keep, or say what the header calls it: --keep NAME=<name in the header>"),
    }
}

/// The first names of a header, for people.
fn shown(found: &[String]) -> String {
    let shown: Vec<String> = found.iter().take(20).map(|name| printable(name)).collect();
    let more = if found.len() > shown.len() { format!(" and {} more", found.len() - shown.len()) } else { String::new() };
    shown.join(", ") + &more
}

/// The header name that most likely is our `column`.
fn propose(column: usize, found: &[String]) -> Option<&str> {
    let usable = |name: &&String| !name.is_empty() && !name.contains([',', '=']);
    let lower: Vec<(String, &String)> = found.iter().filter(usable).map(|name| (name.to_lowercase(), name)).collect();
    let by_name = |wanted: &str| lower.iter().find(|(name, _)| name == wanted).map(|(_, name)| name.as_str());
    by_name(COLUMNS[column]).or_else(|| OFTEN_CALLED[column].iter().find_map(|often| by_name(often))).or_else(|| {
        let names: Vec<&str> = lower.iter().map(|(_, name)| name.as_str()).collect();
        nearest(COLUMNS[column], &names)
    })
}

/// The nearest of `names`, when it is near.
pub(super) fn nearest<'a>(wanted: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        // Two letters that changed places weigh too much in the likeness of short names.
        if strsim::osa_distance(wanted, &name) <= 1 { 1.0 } else { strsim::jaro_winkler(wanted, &name) }
    };
    let best = names.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= 0.8).then_some(best)
}

/// A foreign name without control characters and of bounded length.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(header: &str, map: &str) -> Result<Layout, Error> {
        Layout::from_header(header.as_bytes(), b',', &map.parse().unwrap(), "f.csv")
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_case() {
        let layout = layout(" Title,URL,spend", "").unwrap();
        assert_eq!(layout.fields, [None, None, Some(1), Some(0), None, None]);
        assert_eq!(layout.n_fields, 3);
    }

    #[test]
    fn the_map_renames() {
        let layout = layout("landing_page,name,url", "url=landing_page, title = NAME").unwrap();
        assert_eq!(layout.fields, [None, None, Some(0), Some(1), None, None]);
        let map: ColumnMap = "url=landing_page,title=name".parse().unwrap();
        assert_eq!(map.to_string(), "url=landing_page,title=name");
    }

    #[test]
    fn errors_propose_the_flag() {
        let error = layout("landing_page,name,clicks", "").unwrap_err();
        assert_eq!(error.code, "E-INPUT-COLUMNS");
        assert!(error.hint.unwrap().contains("--columns url=landing_page,title=name"));
        let error = layout("url,titel", "title=titl").unwrap_err();
        assert!(error.message.contains("no column `titl`"), "{error}");
        assert!(error.hint.unwrap().contains("title=titel"));
    }

    #[test]
    fn kept_columns_are_found_like_ours_and_missing_ones_are_named() {
        let kept = |header: &str, keep: &str| {
            let map = ColumnMap::default().keeping(&Keep::parse(&[keep.to_owned()]).unwrap());
            Layout::from_header(header.as_bytes(), b',', &map, "f.csv").map(|layout| layout.kept)
        };
        assert_eq!(kept("url,Spend,clicks", "clicks,cost=spend").unwrap(), [2, 1]);
        let error = kept("url,spend,clicks", "spnd").unwrap_err();
        assert_eq!((error.code, error.hint.as_deref()), ("E-INPUT-COLUMNS", Some("nearest: --keep spend")));
        assert!(error.message.contains("`spnd`") && error.causes[0].contains("clicks"), "{error}");
        let error = kept("url,clicks", "cost=click").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("nearest: --keep cost=clicks"));
        assert!(kept("url", "money").unwrap_err().hint.unwrap().contains("leave it out"));
    }

    #[test]
    fn kept_fields_of_messages_are_counted_too() {
        let layout = |map: &str, keep: &str| {
            let map = map.parse::<ColumnMap>().unwrap().keeping(&Keep::parse(&[keep.to_owned()]).unwrap());
            Layout::by_place(&map).map(|layout| (layout.kept, layout.n_fields, layout.or_more))
        };
        assert_eq!(layout("", "").unwrap(), (vec![], 6, false));
        assert_eq!(layout("", "spend=8").unwrap(), (vec![7], 8, true));
        assert_eq!(layout("url=2", "spend=1").unwrap(), (vec![0], 2, true));
        assert_eq!(layout("", "spend").unwrap_err().code, "E-COLUMN-MAP");
    }

    #[test]
    fn a_bad_map_says_so() {
        for (map, part) in [("url", "form"), ("ulr=x", "`url`"), ("url=", "no name"), ("url=a,url=b", "twice")] {
            let error = map.parse::<ColumnMap>().unwrap_err();
            assert_eq!(error.code, "E-COLUMN-MAP");
            assert!(error.message.contains(part), "{error}");
        }
    }
}
