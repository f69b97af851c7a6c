//! A table on its way: to a file that appears whole or not at all, or to a stream.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::checkpoint::files::{aside_of_ours, environment, rename, sync_dir};
use crate::error::{Error, ErrorKind, Result};
use crate::export::folder_of;

/// Bytes that wait to be written.
const BUFFER: usize = 1 << 16;

/// Where rows go. CSV as RFC 4180 has it, with line feeds.
pub(super) struct Table<'a> {
    csv: csv::Writer<Box<dyn Write + 'a>>,
    file: Option<Hidden>,
}

/// A file that nobody sees yet; it goes when it is dropped before it is published.
struct Hidden {
    file: File,
    hidden: PathBuf,
    to: PathBuf,
    published: bool,
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed stays, hidden.
            let _ = std::fs::remove_file(&self.hidden);
        }
    }
}

/// A table with all its rows.
pub(super) struct Finished(Option<Hidden>);

impl<'a> Table<'a> {
    pub(super) fn of_file(to: &Path, header: &[&str]) -> Result<Table<'static>> {
        let hidden = aside_of_ours(to);
        let file = File::create(&hidden).map_err(|error| environment("create", &hidden, &error))?;
        let hidden = Hidden { file, hidden, to: to.to_owned(), published: false };
        let stream = hidden.file.try_clone().map_err(|error| environment("create", &hidden.hidden, &error))?;
        Table::new(Box::new(stream), Some(hidden), header)
    }

    pub(super) fn of_stream(stream: &'a mut dyn Write, header: &[&str]) -> Result<Self> {
        Table::new(Box::new(stream), None, header)
    }

    fn new(stream: Box<dyn Write + 'a>, file: Option<Hidden>, header: &[&str]) -> Result<Self> {
        let csv = csv::WriterBuilder::new().buffer_capacity(BUFFER).from_writer(stream);
        let mut table = Self { csv, file };
        table.write(&header.iter().map(|name| name.as_bytes()).collect::<Vec<_>>())?;
        Ok(table)
    }

    pub(super) fn write(&mut self, fields: &[&[u8]]) -> Result<()> {
        self.csv.write_byte_record(&fields.iter().collect()).map_err(|error| failed(self.file.as_ref(), &error))
    }

    /// Writes out what waits. Nobody sees the file yet.
    pub(super) fn finish(mut self) -> Result<Finished> {
        self.csv.flush().map_err(|error| failed(self.file.as_ref(), &error))?;
        if let Some(hidden) = &self.file {
            hidden.file.sync_all().map_err(|error| environment("fsync", &hidden.hidden, &error))?;
        }
        Ok(Finished(self.file.take()))
    }
}

impl Finished {
    /// Puts the file in its place.
    pub(super) fn publish(mut self) -> Result<()> {
        let Some(hidden) = &mut self.0 else { return Ok(()) };
        rename(&hidden.hidden, &hidden.to)?;
        hidden.published = true;
        sync_dir(&folder_of(&hidden.to))
    }
}

fn failed(file: Option<&Hidden>, error: &(dyn std::error::Error + 'static)) -> Error {
    match file {
        Some(hidden) => environment("write", &hidden.hidden, error),
        None => Error::new(ErrorKind::Environment, "E-STDOUT", "cannot write to stdout").cause(error),
    }
}
