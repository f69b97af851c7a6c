//! Tables that are read from files, newest rows first: some of them as JSON, with the place to go on from, or many as CSV.

use std::fs::File;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use serde_json::Value;
use windrow_engine::checkpoint::Committed;
use windrow_engine::error::Error;
use windrow_engine::search::{Cursor, Found};

use super::Shared;
use super::ask::wrong;
use super::edits::unseen;
use super::feed::of_file;
use super::pages::committed;
use super::table::{CSV, Refused, answer, write_csv};
use super::work::off_thread;

/// Rows of an answer in JSON when nothing is said, and at most: the answer says where to go on.
const LIMIT: (usize, usize) = (100, 1_000);
/// Rows of a CSV at most. It says nothing of what follows, so that more is refused.
const CSV_MOST: usize = 100_000;
/// Rows of a CSV that are in memory at a time.
const AT_ONCE: usize = 10_000;

/// Which rows are asked for.
pub(super) struct Extent {
    limit: Option<usize>,
    before: Option<Cursor>,
}

impl Extent {
    pub(super) fn of(limit: Option<usize>, before: Option<&str>) -> Result<Self, Refused> {
        let before = before.map(str::parse::<Cursor>).transpose().map_err(|error| wrong(&error))?;
        Ok(Self { limit, before })
    }
}

/// The newest rows, to be told as JSON.
pub(super) async fn newest<T: Send + 'static>(
    shared: &Arc<Shared>,
    extent: Extent,
    read: impl Fn(&Committed, Option<Cursor>, usize) -> Result<Found<T>, Error> + Send + 'static,
) -> Result<Found<T>, Refused> {
    let limit = extent.limit.unwrap_or(LIMIT.0).clamp(1, LIMIT.1);
    let found = off_thread(shared, move |shared| match committed(shared)? {
        Some(committed) => read(&committed, extent.before, limit),
        None => Ok(Found::default()),
    });
    found.await
}

/// The names of columns, and what stands in them.
pub(super) type Columns<T> = (&'static [&'static str], fn(&T) -> Vec<Value>);

/// The newest rows as CSV. They go through a file that nobody else sees, so that memory holds few of them at a time.
pub(super) async fn newest_csv<T: 'static>(
    shared: &Arc<Shared>,
    extent: Extent,
    (columns, cells): Columns<T>,
    read: impl Fn(&Committed, Option<Cursor>, usize) -> Result<Found<T>, Error> + Send + 'static,
) -> Result<Response, Refused> {
    let mut left = extent.limit.unwrap_or(LIMIT.0).max(1);
    if left > CSV_MOST {
        return Err(wrong(&format!("limit={left}: a CSV has {CSV_MOST} rows at most")));
    }
    let file = off_thread(shared, move |shared| {
        let committed = committed(shared)?;
        unseen("table.csv", &mut |path, failed| {
            let mut writer = csv::Writer::from_writer(File::create(path).map_err(|error| failed(&error))?);
            writer.write_record(columns).map_err(|error| failed(&error))?;
            let Some(committed) = &committed else { return Ok(()) };
            let mut before = extent.before;
            loop {
                let found = read(committed, before, left.min(AT_ONCE))?;
                write_csv(&mut writer, found.rows.iter().map(cells)).map_err(|error| failed(&error))?;
                left -= found.rows.len();
                before = found.next;
                if left == 0 || before.is_none() {
                    return writer.flush().map_err(|error| failed(&error));
                }
            }
        })
    });
    let file = file.await?;
    let length = file.metadata().map(|of| of.len());
    let mut answer = answer(StatusCode::OK, CSV, of_file(file));
    // Whoever takes it along sees how far it is.
    if let Ok(length) = length {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    Ok(answer)
}
