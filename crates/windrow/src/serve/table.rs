//! Tables: the same rows as JSON for programs and as CSV for spreadsheets.

use std::io::Write;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use windrow_engine::export::harmless;

/// How a table is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    #[default]
    Json,
    Csv,
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    answer(status, "application/json; charset=utf-8", value.to_string())
}

/// A request that is refused, with the answer that says so.
pub(super) struct Refused(Box<Response>);

impl From<Response> for Refused {
    fn from(answer: Response) -> Self {
        Self(Box::new(answer))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// An error as programs read it.
pub(super) fn refusal(status: StatusCode, code: &str, message: &str, hint: &str) -> Response {
    json(status, &json!({"schema": "windrow.refusal/1", "code": code, "message": message, "hint": hint}))
}

/// An answer of any type.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let built = Response::builder().status(status).header(CONTENT_TYPE, kind).body(body.into());
    built.unwrap_or_else(|_| Response::new(Body::empty()))
}

/// The type of a CSV.
pub(super) const CSV: &str = "text/csv; charset=utf-8; header=present";

/// Rows with names for their columns, as CSV that a spreadsheet shows and never runs.
pub(super) fn csv(columns: &[impl AsRef<[u8]>], rows: impl Iterator<Item = Vec<Value>>) -> Response {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Into memory nothing fails.
    let _ = writer.write_record(columns);
    let _ = write_csv(&mut writer, rows);
    answer(StatusCode::OK, CSV, writer.into_inner().unwrap_or_default())
}

/// Rows behind what was written before.
pub(super) fn write_csv(writer: &mut csv::Writer<impl Write>, mut rows: impl Iterator<Item = Vec<Value>>) -> csv::Result<()> {
    rows.try_for_each(|row| writer.write_record(row.iter().map(cell)))
}

/// A text that begins like a formula gets an apostrophe before it, as in exported files; numbers stay.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text).into_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let cells = [json!("=1+1"), json!("-x"), json!("\n=1"), json!("＝1"), json!("a=b"), json!(-5), json!(null)];
        let shown: Vec<String> = cells.iter().map(cell).collect();
        assert_eq!(shown, ["'=1+1", "'-x", "'\n=1", "'＝1", "a=b", "-5", ""]);
    }
}
