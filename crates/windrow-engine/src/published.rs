//! Published files, as any other reader would read them.

use std::fmt::Display;
use std::path::Path;
use std::time::UNIX_EPOCH;

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::{Error, ErrorKind, Result};
use crate::sink::PublishedFile;
use crate::sink::parquet::open_published;

/// `E-OUTPUT-READ`.
pub(crate) fn unreadable(out: &Path, file: &PublishedFile, error: &dyn Display) -> Error {
    let path = out.join(file.family.folder()).join(&file.name);
    Error::new(ErrorKind::Data, "E-OUTPUT-READ", format!("cannot read {}", path.display()))
        .cause(error)
        .hint("`windrow audit` says what is wrong with the output")
}

/// Hands over some columns of a file, batch by batch, with when the file was written, in seconds since 1970; gives that too.
pub(crate) fn each_batch(
    out: &Path,
    file: &PublishedFile,
    columns: &[&str],
    each: &mut dyn FnMut(&RecordBatch, i64) -> Result<()>,
) -> Result<i64> {
    let unreadable = |error: &dyn Display| unreadable(out, file, error);
    let opened = open_published(out, file.family, &file.name).map_err(|error| unreadable(&error))?;
    let written = opened.metadata().and_then(|about| about.modified()).map_err(|error| unreadable(&error))?;
    let written = i64::try_from(written.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| unreadable(&error))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    for batch in builder.with_projection(mask).build().map_err(|error| unreadable(&error))? {
        each(&batch.map_err(|error| unreadable(&error))?, written)?;
    }
    Ok(written)
}
