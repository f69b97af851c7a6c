//! What else an output tells: rejects, lineage, the status, and why a page is where it is.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use windrow_core::cluster::ClusterId;
use windrow_core::record::{RecordId, RejectReason};
use windrow_engine::changes::{self, Since};
use windrow_engine::checkpoint::{self, Committed};
use windrow_engine::clock::{Clock as _, SystemClock};
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::lookup::Wanted;
use windrow_engine::search::{self, Event, Reject};

use super::Shared;
use super::api::At;
use super::ask::{Asked, seconds, wrong};
use super::newest::{Extent, newest, newest_csv};
use super::pages::committed;
use super::table::{Form, Refused, csv, json as answer_json};
use super::work::off_thread;
use crate::cmd::{explain, status};
use crate::term::text::time;
use crate::told;

/// Commits that are told.
const COMMITS: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RejectsQuery {
    reason: Option<String>,
    limit: Option<usize>,
    before: Option<String>,
    format: Form,
}

pub(super) async fn rejects(State(shared): At, Asked(query): Asked<RejectsQuery>) -> Result<Response, Refused> {
    let extent = Extent::of(query.limit, query.before.as_deref())?;
    let reason = query.reason.as_deref().map(|code| {
        let known = RejectReason::ALL.into_iter().find(|reason| reason.code() == code);
        known.ok_or_else(|| wrong(&format!("there is no reason `{code}`")))
    });
    let reason = reason.transpose()?;
    let read = move |committed: &Committed, before, limit| search::rejects(committed, reason, before, limit);
    if query.format == Form::Csv {
        return newest_csv(&shared, extent, (REJECT_COLUMNS, reject_cells), read).await;
    }
    let found = newest(&shared, extent, read).await?;
    let known = shared.board.read();
    let by_reason = RejectReason::ALL.iter().zip(known.counters.rejects).filter(|(_, count)| *count > 0);
    let by_reason: Map<_, _> = by_reason.map(|(reason, count)| (reason.code().to_owned(), count.into())).collect();
    let rejects: Vec<_> = found.rows.iter().map(reject).collect();
    let next = found.next.map(|next| next.to_string());
    let object = json!({
        "schema": "windrow.rejects/1", "by_reason": by_reason, "rejects": rejects, "read": found.read, "total": found.total, "next": next,
    });
    Ok(answer_json(StatusCode::OK, &object))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ChangesQuery {
    since: String,
    until: Option<String>,
    format: Form,
}

impl Default for ChangesQuery {
    fn default() -> Self {
        Self { since: "24h".into(), until: None, format: Form::default() }
    }
}

/// What a stretch of time brought, of the published Parquet.
pub(super) async fn changes(State(shared): At, Asked(query): Asked<ChangesQuery>) -> Result<Response, Refused> {
    let since: Since = query.since.parse().map_err(|error| wrong(&format!("`{}` is none of: {error}", query.since)))?;
    let until = seconds(query.until.as_deref())?.map(|seconds| seconds.saturating_mul(1_000_000));
    let read = move |shared: &Shared| {
        let committed = committed(shared)?;
        committed.map_or(Ok(None), |committed| changes::changes(&committed, since, until))
    };
    let found = off_thread(&shared, read).await?;
    let all = found.as_ref().map(|found| found.changes.as_slice()).unwrap_or_default();
    let drifts = found.as_ref().map(|found| found.drifts.as_slice()).unwrap_or_default();
    Ok(match (query.format, &found) {
        (Form::Csv, _) => {
            let lines = all.iter().map(told::cells).chain(drifts.iter().map(told::drift_cells));
            csv(&told::COLUMNS, lines.map(|cells| cells.map(Value::from).to_vec()))
        }
        (Form::Json, None) => {
            answer_json(StatusCode::OK, &json!({"schema": "windrow.changes/1", "said": "", "changes": [], "alarms": []}))
        }
        (Form::Json, Some(found)) => {
            let all: Vec<_> = all.iter().map(|change| told::object(found, change)).collect();
            let alarms: Vec<_> = drifts.iter().rev().map(|drift| told::alarm_object(&drift.label, &drift.raised)).collect();
            let said = told::summary(found);
            answer_json(StatusCode::OK, &json!({"schema": "windrow.changes/1", "said": said, "changes": all, "alarms": alarms}))
        }
    })
}

const REJECT_COLUMNS: &[&str] = &["record_id", "reason", "source", "length", "at", "text"];

fn reject_cells(of: &Reject) -> Vec<Value> {
    let object = reject(of);
    REJECT_COLUMNS.iter().map(|name| object[name].clone()).collect()
}

fn reject(reject: &Reject) -> Value {
    json!({
        "record_id": reject.record_id,
        "reason": reject.reason,
        "source": reject.source,
        "bytes": base64(&reject.raw),
        "length": reject.length,
        "at": reject.at,
        "text": String::from_utf8_lossy(&reject.raw),
    })
}

/// Bytes as base64 (RFC 4648) has them.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LineageQuery {
    cluster: Option<ClusterId>,
    limit: Option<usize>,
    before: Option<String>,
    format: Form,
}

pub(super) async fn lineage(State(shared): At, Asked(query): Asked<LineageQuery>) -> Result<Response, Refused> {
    let extent = Extent::of(query.limit, query.before.as_deref())?;
    let read = move |committed: &Committed, before, limit| search::events(committed, query.cluster, before, limit);
    if query.format == Form::Csv {
        return newest_csv(&shared, extent, (EVENT_COLUMNS, event_cells), read).await;
    }
    let found = newest(&shared, extent, read).await?;
    let next = found.next.map(|next| next.to_string());
    let told = |event: &Event| {
        let mut object = json!(event);
        object["said"] = event.said().into();
        object
    };
    let events: Vec<Value> = found.rows.iter().map(told).collect();
    let object = json!({
        "schema": "windrow.lineage/1", "events": events, "read": found.read, "total": found.total, "next": next,
    });
    Ok(answer_json(StatusCode::OK, &object))
}

const EVENT_COLUMNS: &[&str] = &[
    "position",
    "epoch",
    "event",
    "cluster",
    "slot",
    "micro_cluster",
    "from_cluster",
    "into_micro_cluster",
    "into_cluster",
    "label",
    "pinned",
    "pages",
    "measure",
    "above",
    "value",
    "usual_from",
    "usual_to",
    "windows",
    "before",
    "odds",
    "since",
    "why",
    "likeness",
    "likeness_before",
    "distance",
    "weight",
    "threshold",
    "words_gone",
    "words_came",
];

fn event_cells(event: &Event) -> Vec<Value> {
    let object = json!(event);
    EVENT_COLUMNS.iter().map(|name| object[name].clone()).collect()
}

pub(super) async fn status_object(State(shared): At) -> Result<Response, Refused> {
    let told = off_thread(&shared, |shared| {
        let mut object = status::of_disk(&shared.out, shared.state.as_deref(), SystemClock::new().now())?;
        let commits = committed(shared)?.map(|committed| search::commits(&committed, COMMITS)).transpose()?;
        let commits = commits.unwrap_or_default().into_iter().map(|commit| {
            json!({
                "commit": commit.epoch, "at": commit.at.map(time), "rows": commit.rows, "pages": commit.pages, "files": commit.files,
            })
        });
        object["commits"] = commits.collect();
        object["settings"] = shared.settings.clone().into();
        object["versions"] = json!({
            "windrow": env!("CARGO_PKG_VERSION"),
            "manifest_format": checkpoint::manifest::FORMAT,
            "output_schema": windrow_engine::sink::parquet::SCHEMA_VERSION,
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
        });
        Ok(object)
    });
    Ok(answer_json(StatusCode::OK, &told.await?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExplainQuery {
    record_id: Option<String>,
    id: Option<String>,
    url: Option<String>,
}

pub(super) async fn why(State(shared): At, Asked(query): Asked<ExplainQuery>) -> Result<Response, Refused> {
    let record = query.record_id.map(|id| id.parse::<RecordId>().map(Wanted::Record)).transpose();
    let named = [record.map_err(|error| wrong(&error))?, query.id.map(Wanted::Id), query.url.map(Wanted::Url)];
    let mut named = named.into_iter().flatten();
    let (Some(wanted), None) = (named.next(), named.next()) else {
        return Err(wrong(&"give one of record_id, id and url"));
    };
    let told = off_thread(&shared, move |shared| {
        let nothing = || Error::new(ErrorKind::Invalid, "E-NO-PAGE", "nothing is committed yet").hint("ask again later");
        let reading = checkpoint::read_state(&shared.out, shared.state.as_deref())?.ok_or_else(nothing)?;
        explain::of_published(&reading, &wanted)
    });
    Ok(answer_json(StatusCode::OK, &told.await?))
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn bytes_are_written_as_in_rfc_4648() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        cases.iter().for_each(|(bytes, text)| assert_eq!(base64(bytes.as_bytes()), *text));
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }
}
