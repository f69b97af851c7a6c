//! What changes something: the clusters, by the user's hand. And what is taken away: its pages as a file.
//!
//! A page elsewhere can make a browser send a form, but neither this header nor this type; both are asked for beside the token.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use windrow_core::cluster::ClusterId;
use windrow_core::lineage::Edit;
use windrow_engine::clock::{SystemClock, entropy};
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::export::{Wanted, export as write_export};
use windrow_engine::run;

use super::Shared;
use super::api::At;
use super::ask::{Asked, Named, Sent, wrong};
use super::pages::committed;
use super::table::{Refused, json as answer_json, refusal};
use super::work::off_thread;
use crate::edited;

/// Bytes of the longest body.
pub(super) const BODY_BYTES: usize = 16 << 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    label: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    pinned: bool,
}

pub(super) async fn label(at: At, Named(cluster): Named, headers: HeaderMap, body: Sent) -> Result<Response, Refused> {
    let Label { label } = wish(&headers, body)?;
    edit(at, Edit::Rename { cluster, label }).await
}

pub(super) async fn pin(at: At, Named(cluster): Named, headers: HeaderMap, body: Sent) -> Result<Response, Refused> {
    let Pin { pinned } = wish(&headers, body)?;
    edit(at, Edit::Pin { cluster, pinned }).await
}

#[derive(Debug, Deserialize)]
pub(super) struct AnyEdit {
    #[serde(default)]
    dry_run: bool,
    #[serde(flatten)]
    edit: Edit,
}

pub(super) async fn any(at: At, headers: HeaderMap, body: Sent) -> Result<Response, Refused> {
    let AnyEdit { dry_run, edit: asked } = wish(&headers, body)?;
    if !dry_run {
        return edit(at, asked).await;
    }
    let State(shared) = at;
    let looked = off_thread(&shared, move |shared| {
        let effect = run::preview(&shared.out, shared.state.as_deref(), &asked)?;
        Ok(edited::object(&asked, &effect, None))
    });
    Ok(answer_json(StatusCode::OK, &looked.await?))
}

/// What a body asks for, if it comes as only our own pages and programs send it.
fn wish<T: DeserializeOwned>(headers: &HeaderMap, Sent(body): Sent) -> Result<T, Refused> {
    let hint = "send `X-Windrow: 1` and `Content-Type: application/json`";
    if headers.get("x-windrow").is_none_or(|value| value != "1") {
        return Err(refusal(StatusCode::FORBIDDEN, "E-HTTP-HEADER", "the header X-Windrow is missing", hint).into());
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "E-HTTP-TYPE", "the body is not called JSON", hint).into());
    }
    serde_json::from_slice(&body?).map_err(|error| wrong(&error))
}

async fn edit(State(shared): At, edit: Edit) -> Result<Response, Refused> {
    let done = off_thread(&shared, move |shared| {
        let done = run::edit(&shared.out, shared.state.as_deref(), &edit, &SystemClock::new())?;
        Ok(edited::object(&edit, &done.effect, Some(&done.taken)))
    });
    Ok(answer_json(StatusCode::ACCEPTED, &done.await?))
}

/// A kind of file.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Csv,
    Xlsx,
    Parquet,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    format: Kind,
}

pub(super) async fn export(
    State(shared): At,
    Named(cluster): Named,
    Asked(query): Asked<ExportQuery>,
) -> Result<Response, Refused> {
    let (ending, kind) = match query.format {
        Kind::Csv => ("csv", "text/csv; charset=utf-8"),
        Kind::Xlsx => ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        Kind::Parquet => ("parquet", "application/vnd.apache.parquet"),
    };
    let file = off_thread(&shared, move |shared| exported(shared, cluster, ending)).await?;
    let name = format!("attachment; filename=\"cluster-{cluster}.{ending}\"");
    let built = Response::builder().header(CONTENT_TYPE, kind).header(CONTENT_DISPOSITION, name);
    Ok(built.body(super::feed::of_file(file)).unwrap_or_else(|_| Response::new(Body::empty())))
}

/// The pages of a cluster as a file.
fn exported(shared: &Shared, cluster: ClusterId, ending: &str) -> Result<File, Error> {
    let nothing = || Error::new(ErrorKind::Invalid, "E-EXPORT-NOTHING", "nothing is committed yet").hint("ask again later");
    let committed = committed(shared)?.ok_or_else(nothing)?;
    let wanted = Wanted { clusters: vec![cluster], since: None, until: None, raw: false };
    unseen(&format!("cluster-{cluster}.{ending}"), &mut |path, _| write_export(&committed, &wanted, path).map(drop))
}

/// What makes an error of one of the system.
pub(super) type Failed<'f> = &'f dyn Fn(&dyn std::fmt::Display) -> Error;

/// A file that nobody else sees, written by its path, and gone when it is read.
pub(super) fn unseen(name: &str, write: &mut dyn FnMut(&Path, Failed<'_>) -> Result<(), Error>) -> Result<File, Error> {
    let folder = std::env::temp_dir().join(format!("windrow-{}", entropy()?));
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Environment, "E-IO", format!("cannot write to {}", folder.display())).cause(error)
    };
    DirBuilder::new().mode(0o700).create(&folder).map_err(|error| failed(&error))?;
    let path = folder.join(name);
    let opened = write(&path, &failed).and_then(|()| File::open(&path).map_err(|error| failed(&error)));
    // What is left there would only take room; the file stays until it is closed.
    let _ = fs::remove_dir_all(&folder);
    opened
}
