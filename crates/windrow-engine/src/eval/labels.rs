//! Known labels: from a file of `id,label`, or from a source that knows its own.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustc_hash::FxHashMap;
use windrow_core::record::Pages;

use super::EvalJob;
use crate::error::{Error, ErrorKind, Result};
use crate::source::decompress::{Decompressed, Most};
use crate::source::generator::{Generator, PREFIX};
use crate::source::parse::Parser;
use crate::source::scan::Scanner;

/// Bytes of the longest line of a labels file.
const MAX_RECORD: usize = 1 << 20;

/// A row of the inputs that has a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Labelled {
    /// Source ordinal and offset.
    pub(super) origin: (u32, u64),
    pub(super) label: u64,
}

/// Label of each row that has one, as a number.
pub(super) enum Labels {
    /// From a file, by the column `id`.
    ById(FxHashMap<String, u64>),
    /// From the generator, by row number.
    Generated(Box<Generator>),
}

impl Labels {
    /// Reads the labels of a job.
    pub(super) fn read(job: &EvalJob) -> Result<Self> {
        let Some(path) = &job.labels else {
            return match job.inputs.as_slice() {
                [only] if only.starts_with(PREFIX) => Ok(Self::Generated(Box::new(Generator::new(only.parse()?)))),
                _ => Err(Error::new(ErrorKind::Invalid, "E-LABELS", "there are no labels to score against")
                    .hint("give a CSV of id,label with --labels; only a generator knows its own")),
            };
        };
        let bytes = unpacked(path, job.max_unpacked).map_err(|error| {
            Error::new(ErrorKind::Environment, "E-LABELS", format!("cannot read the labels {}", path.display())).cause(error)
        })?;
        let mut by_id = FxHashMap::default();
        let mut numbers: FxHashMap<String, u64> = FxHashMap::default();
        for (at, record) in records(&bytes).into_iter().enumerate() {
            let [id, label] = record.as_slice() else {
                let message = format!("line {} of {} has {} columns, not id and label", at + 1, path.display(), record.len());
                return Err(Error::new(ErrorKind::Invalid, "E-LABELS", message));
            };
            if label.is_empty() || (at == 0 && id == "id") {
                continue;
            }
            let next = numbers.len() as u64;
            let number = *numbers.entry(label.clone()).or_insert(next);
            by_id.insert(id.clone(), number);
        }
        Ok(Self::ById(by_id))
    }

    /// Label of page `row`.
    pub(super) fn of(&mut self, pages: &Pages, row: usize) -> Option<u64> {
        match self {
            Self::ById(by_id) => by_id.get(pages.id.get(row)).copied(),
            Self::Generated(generator) => generator.label(pages.origin[row].offset),
        }
    }
}

/// The file's bytes, unpacked by their content: so many at most of a packed one.
fn unpacked(path: &Path, most: Most) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Decompressed::open(File::open(path)?, most)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The records of a CSV that fits into memory.
fn records(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut scanner = Scanner::new(None, MAX_RECORD);
    let mut records = Vec::new();
    while let Some(found) = scanner.next(bytes, true) {
        let values = Parser::values(&bytes[found.start..found.end], b',');
        records.push(values.iter().map(|value| String::from_utf8_lossy(value).trim().to_owned()).collect());
    }
    records
}
