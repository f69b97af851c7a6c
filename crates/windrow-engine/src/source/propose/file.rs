//! From the head of a file to the settings that read it: its shape, and where our columns lie.
//!
//! The shape is found by the rules of a run, with one step further that a run never takes: cp1252 is proposed, as somebody looks at it
//! here. Columns are taken by the names that are given, by our own names however they are spelled, by names that other tools often
//! use, and last by the nearest spelling; but for the first, only where the values suit the column.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;
use windrow_core::lineage::is_hostile;
use windrow_core::record::COLUMNS;

use super::{Guess, ID, LEFT_EMPTY, MOST_WAYS, Proposal, Way, propose, squashed, text};
use crate::error::{Error, ErrorKind, Result};
use crate::source::columns::{ColumnMap, OFTEN_CALLED, PAGE_COLUMNS, names, nearest};
use crate::source::decompress::Decompressed;
use crate::source::encoding::Encoding;
use crate::source::find::find_files;
use crate::source::form::MessageFormat;
use crate::source::generator;
use crate::source::keep::Keep;
use crate::source::parquet;
use crate::source::parse::Parser;
use crate::source::parse::json::document;
use crate::source::pipe::STDIN;
use crate::source::scan::Scanner;
use crate::source::written::{Asked, AskedEncoding, Look, Written, mark};

/// Decompressed bytes of a file that are looked at.
const HEAD: u64 = 1 << 20;
/// Rows of them whose values are looked at.
const ROWS: usize = 1_000;
/// Files of an input that are looked at.
const FILES: usize = 200;

/// How a file may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProposal {
    /// The file that was looked at.
    pub file: String,
    /// How it is written.
    pub written: Written,
    /// Whether nobody but a person may say so: a run takes it for UTF-8, and rejects rows.
    pub is_only_likely: bool,
    /// Names in the header; of JSON, the ways that hold something, the most frequent first.
    pub found: Vec<String>,
    /// For each of our columns what it is called there.
    pub columns: [Option<String>; COLUMNS.len()],
    /// For each that was not found, the nearest of the others.
    pub nearest: [Option<String>; COLUMNS.len()],
}

impl FileProposal {
    /// Columns that are none of ours, and could be carried along.
    pub fn extra(&self) -> Keep {
        let is_extra = |name: &&String| !self.columns.iter().flatten().any(|ours| ours == *name);
        Keep::proposed(&self.found.iter().filter(is_extra).cloned().collect::<Vec<_>>())
    }
}

impl FileProposal {
    /// The value of `source.columns`.
    pub fn map(&self) -> String {
        let is_other = |(column, name): &(&&str, &String)| match self.written {
            Written::Csv { .. } | Written::Parquet => name.to_lowercase() != **column,
            Written::Jsonl { .. } => *name != **column,
        };
        let named = COLUMNS.iter().zip(&self.columns).filter_map(|(column, name)| Some((column, name.as_ref()?)));
        named.filter(is_other).map(|(column, name)| format!("{column}={name}")).collect::<Vec<_>>().join(",")
    }

    /// Whether something was found of which a page can be made.
    pub fn makes_pages(&self) -> bool {
        PAGE_COLUMNS.iter().any(|column| self.columns[*column].as_ref().is_some_and(|name| name != LEFT_EMPTY))
    }
}

/// Looks at the first 200 files of an input, those that have rows. Of a generator there is nothing to say.
///
/// # Errors
/// `E-INPUT-…`: the input is missing, or a file cannot be read.
pub fn propose_files(input: &str, asked: Asked, columns: &str, limit: usize) -> Result<Vec<FileProposal>> {
    if input.starts_with(generator::PREFIX) {
        return Ok(Vec::new());
    }
    if input == STDIN {
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-STDIN", "standard input would be gone when it has been looked at")
            .hint("write its first rows to a file and look at that (`… | head -1000 > sample.csv`); `windrow run --input -` then reads all"));
    }
    let looks = find_files(input)?.into_iter().take(FILES).map(|path| propose_file(&path, asked, columns, limit));
    looks.filter_map(Result::transpose).collect()
}

fn propose_file(path: &Path, asked: Asked, columns: &str, limit: usize) -> Result<Option<FileProposal>> {
    let name = path.display().to_string();
    let cannot =
        |error: std::io::Error| Error::new(ErrorKind::Environment, "E-INPUT-READ", format!("cannot read {name}")).cause(error);
    if !path.metadata().is_ok_and(|about| about.is_file()) {
        return Ok(None); // opening it says what is wrong
    }
    let given: ColumnMap = columns.parse()?;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    // So few bytes are never too many.
    Decompressed::open(file, 0).and_then(|input| input.take(HEAD).read_to_end(&mut bytes)).map_err(cannot)?;
    let ended = (bytes.len() as u64) < HEAD;
    if parquet::is_meant((path, &bytes, false), None, asked)? {
        let (found, columns, nearest) = of_parquet(path, &given)?;
        return Ok(Some(FileProposal {
            file: name,
            written: Written::Parquet,
            is_only_likely: false,
            found,
            columns,
            nearest,
        }));
    }
    let is_only_likely =
        asked.encoding == AskedEncoding::Auto && asked.encoding(&bytes) == Encoding::Utf8 && Encoding::is_likely_cp1252(&bytes);
    let asked = if is_only_likely { Asked { encoding: AskedEncoding::Cp1252, ..asked } } else { asked };
    let look = Look { name: &name, known: None, asked, columns: &given, limit };
    let (encoding, text) = look.text(&bytes);
    let Some((written, header)) = look.written(encoding, &text, ended)? else { return Ok(None) };
    let (found, columns, nearest) = match written {
        Written::Csv { delimiter, .. } => of_table(header, &text, delimiter.byte(), &given, limit),
        Written::Jsonl { .. } | Written::Parquet => of_lines(&text, &given, limit),
    };
    Ok(Some(FileProposal { file: name, written, is_only_likely, found, columns, nearest }))
}

type Names = [Option<String>; COLUMNS.len()];

fn of_lines(text: &[u8], given: &ColumnMap, limit: usize) -> (Vec<String>, Names, Names) {
    let mut scanner = Scanner::new(None, limit).of_lines().starting_at(mark(text));
    let lines: Vec<&[u8]> =
        std::iter::from_fn(|| scanner.next(text, true)).take(ROWS).map(|line| &text[line.start..line.end]).collect();
    let proposal: Proposal = propose(&lines);
    if proposal.format == MessageFormat::Csv {
        return (Vec::new(), Names::default(), Names::default());
    }
    let columns: Names = std::array::from_fn(|column| match (given.given(column), &proposal.columns[column]) {
        (Some(name), _) => Some(name.to_owned()),
        (None, Guess::At { name, .. }) => Some(name.clone()),
        // A run would read it by its own name, and reject every row over it.
        (None, Guess::Unusable { .. }) => Some(LEFT_EMPTY.to_owned()),
        (None, Guess::Nothing) => None,
    });
    let nearest =
        std::array::from_fn(|column| proposal.nearest(column).map(str::to_owned).filter(|_| columns[column].is_none()));
    let taken = proposal.columns.iter().filter_map(|guess| match guess {
        Guess::At { name, .. } => Some(name.clone()),
        _ => None,
    });
    (taken.chain(proposal.others.iter().cloned()).collect(), columns, nearest)
}

fn of_table(header: &[u8], text: &[u8], delimiter: u8, given: &ColumnMap, limit: usize) -> (Vec<String>, Names, Names) {
    let mut found = names(&Parser::values(header, delimiter));
    found.truncate(MOST_WAYS);
    let mut scanner = Scanner::new(None, limit).separated_by(delimiter).starting_at(mark(text));
    let rows: Vec<Vec<Vec<u8>>> = std::iter::from_fn(|| scanner.next(text, true))
        .skip(1) // the header
        .take(ROWS)
        .filter(|row| row.flaw.is_none())
        .map(|row| Parser::values(&text[row.start..row.end], delimiter))
        .filter(|row| row.len() == found.len())
        .collect();
    let value = |row: &Vec<Vec<u8>>, at: usize| String::from_utf8_lossy(&row[at]).into_owned();
    let ways: Vec<Way> = (0..found.len()).map(|at| Way::of(rows.iter().map(|row| value(row, at)))).collect();
    let has_rows = !rows.is_empty();
    of_fields(found, (&ways, has_rows), given)
}

fn of_parquet(path: &Path, given: &ColumnMap) -> Result<(Vec<String>, Names, Names)> {
    let mut found = parquet::names_of(path)?;
    found.truncate(MOST_WAYS);
    let rows: Vec<Value> = parquet::first_rows(path, ROWS)?.iter().filter_map(|row| document(row)).collect();
    let value = |row: &Value, name: &String| row.get(name).and_then(text).unwrap_or_default();
    let ways: Vec<Way> = found.iter().map(|name| Way::of(rows.iter().map(|row| value(row, name)))).collect();
    Ok(of_fields(found, (&ways, !rows.is_empty()), given))
}

/// Which of the fields that are called so are our columns, by what lies in them.
fn of_fields(found: Vec<String>, (ways, has_rows): (&[Way], bool), given: &ColumnMap) -> (Vec<String>, Names, Names) {
    let suits = |at: usize, column: usize| !has_rows || ways[at].may_be(column, false);
    let columns = Table { found: &found, given }.columns(&suits);
    let is_free = |name: &&str| !columns.iter().flatten().any(|at: &usize| found[*at] == **name);
    let free: Vec<&str> = found.iter().map(String::as_str).filter(is_free).collect();
    let near = std::array::from_fn(|column| {
        let often = || free.iter().find(|name| OFTEN_CALLED[column].iter().any(|often| squashed(often) == squashed(name)));
        let near = || nearest(COLUMNS[column], &free).or_else(|| often().copied());
        if columns[column].is_some() { None } else { near().map(str::to_owned) }
    });
    let columns = columns.map(|at| at.map(|at| found[at].clone()));
    (found, columns, near)
}

/// What a header calls its fields.
struct Table<'a> {
    found: &'a [String],
    given: &'a ColumnMap,
}

impl Table<'_> {
    /// For each of our columns the index of its field: those that are surest first, and no field twice.
    fn columns(&self, suits: &dyn Fn(usize, usize) -> bool) -> [Option<usize>; COLUMNS.len()] {
        let mut columns = [None; COLUMNS.len()];
        for rule in [Self::as_given, Self::as_ours, Self::as_often, Self::as_near] {
            for column in (0..COLUMNS.len()).filter(|column| columns[*column].is_none()).collect::<Vec<_>>() {
                let is_free = |at: usize| !columns.contains(&Some(at)) && self.can_be_named(at);
                columns[column] = rule(self, column, &|at| is_free(at) && suits(at, column), &is_free);
            }
        }
        columns
    }

    /// Whether the column map can say this name, and means this field by it.
    fn can_be_named(&self, at: usize) -> bool {
        let name = &self.found[at];
        let first = self.found.iter().position(|other| other.to_lowercase() == name.to_lowercase());
        first == Some(at) && !name.is_empty() && !name.contains([',', '=']) && !name.chars().any(is_hostile)
    }

    /// As a run reads it.
    fn as_given(&self, column: usize, _: &dyn Fn(usize) -> bool, is_free: &dyn Fn(usize) -> bool) -> Option<usize> {
        let wanted = self.given.name(column).trim().to_lowercase();
        let at = self.found.iter().position(|name| name.to_lowercase() == wanted)?;
        is_free(at).then_some(at)
    }

    fn as_ours(&self, column: usize, suits: &dyn Fn(usize) -> bool, _: &dyn Fn(usize) -> bool) -> Option<usize> {
        self.called(COLUMNS[column], suits)
    }

    fn as_often(&self, column: usize, suits: &dyn Fn(usize) -> bool, _: &dyn Fn(usize) -> bool) -> Option<usize> {
        OFTEN_CALLED[column].iter().find_map(|name| self.called(name, suits))
    }

    /// Everything is near to `id`.
    fn as_near(&self, column: usize, suits: &dyn Fn(usize) -> bool, _: &dyn Fn(usize) -> bool) -> Option<usize> {
        let fit: Vec<usize> = (0..self.found.len()).filter(|at| column != ID && suits(*at)).collect();
        let near = nearest(COLUMNS[column], &fit.iter().map(|at| self.found[*at].as_str()).collect::<Vec<_>>())?;
        fit.into_iter().find(|at| self.found[*at] == near)
    }

    fn called(&self, wanted: &str, suits: &dyn Fn(usize) -> bool) -> Option<usize> {
        (0..self.found.len()).find(|at| squashed(&self.found[*at]) == squashed(wanted) && suits(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(name: &str, bytes: &[u8], map: &str) -> FileProposal {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        propose_files(path.to_str().unwrap(), Asked::default(), map, 1 << 20).unwrap().remove(0)
    }

    #[test]
    fn columns_are_proposed_by_name_and_value() {
        let file =
            proposed("f", b"when;date;Landing-Page;name;desc;spend\nx;2024-03-01;https://a.example/;a title;caf\xe9;3\n", "");
        assert_eq!(file.map(), "creation_time=date,url=Landing-Page,title=name,description=desc");
        assert_eq!(file.written.words(), ("csv", Some(";"), "cp1252"));
        assert!(file.is_only_likely && file.makes_pages());
        // A time that is none, an address that is none; what is near is told, not taken.
        let file = proposed("f", b"timestamp,href,titel,tags\nnever,no address,t,\n", "");
        assert_eq!(file.map(), "title=titel");
        assert_eq!((file.nearest[0].as_deref(), file.nearest[2].as_deref()), (Some("timestamp"), Some("href")));
        // What is given stays; what it says wrongly goes.
        let file = proposed("f", b"URL,link,heading\nhttps://a.example/,https://b.example/,h\n", "url=link,title=nothing");
        assert_eq!(file.map(), "url=link,title=heading");
        let file = proposed("f", b"TITLE,Url,a=b,x\x1b\nt,https://a.example/,1,2\n", "");
        assert_eq!((file.map().as_str(), file.nearest[3].as_deref()), ("", None));
        assert!(!proposed("f", b"a,b\n1,2\n", "").makes_pages());
    }

    #[test]
    fn ways_into_json_lines_are_proposed() {
        let line = "{\"page\": {\"link\": \"https://a.example/\", \"headline\": \"h\"}, \"id\": 3, \"cost\": 1}\n";
        let file = proposed("f", line.repeat(3).as_bytes(), "");
        assert_eq!(file.map(), "url=page.link,title=page.headline");
        assert_eq!(file.written.words(), ("jsonl", None, "utf-8"));
        assert!(file.found.contains(&"cost".to_owned()));
        // A time in seconds is none here: left empty, the rows are pages.
        let line = "{\"url\": \"https://a.example/\", \"creation_time\": 1700000000, \"title\": {\"de\": \"t\"}}\n";
        let file = proposed("f", line.repeat(3).as_bytes(), "");
        assert_eq!((file.map().as_str(), file.makes_pages()), ("creation_time=-,title=-", true));
        let file = proposed("f", b"{\"title\": {\"de\": \"t\"}}\n", "");
        assert_eq!((file.map().as_str(), file.makes_pages()), ("title=-", false));
        let line = "{\"page\": {\"link\": \"https://a.example/\", \"headline\": \"h\"}, \"id\": 3, \"cost\": 1}\n";
        let file = proposed("f", line.as_bytes(), "title=page.link");
        assert_eq!(file.map(), "url=page.link,title=page.link");
    }
}
