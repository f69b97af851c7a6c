//! What a request asks for, checked before a route sees it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use windrow_core::cluster::ClusterId;

use super::table::{Refused, refusal};
use super::{PATIENCE, Shared};

/// The query of a request; what no route knows is refused.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Shared>> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        Query::from_request_parts(parts, shared).await.map(|Query(asked)| Self(asked)).map_err(|error| wrong(&error))
    }
}

/// The cluster that a path names.
pub(super) struct Named(pub(super) ClusterId);

impl FromRequestParts<Arc<Shared>> for Named {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        Path::from_request_parts(parts, shared).await.map(|Path(id)| Self(id)).map_err(|error| wrong(&error))
    }
}

/// The body of a request, if it comes whole and in time. A client that sends one byte and waits holds a connection.
pub(super) struct Sent(pub(super) Result<Bytes, Refused>);

impl FromRequest<Arc<Shared>> for Sent {
    type Rejection = Infallible;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Infallible> {
        let hint = "a body has 16 kB at most, and comes within 10 seconds";
        let refused = |status, message: &str| Err(refusal(status, "E-HTTP-BODY", message, hint).into());
        Ok(Self(match timeout(PATIENCE, Bytes::from_request(request, shared)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => refused(error.status(), &error.body_text()),
            Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "the body does not come"),
        }))
    }
}

/// What is asked for cannot be.
pub(super) fn wrong(error: &dyn std::fmt::Display) -> Refused {
    let hint = "docs/reference/api.md has the routes and what they take";
    refusal(StatusCode::BAD_REQUEST, "E-HTTP-QUERY", &error.to_string(), hint).into()
}

/// Ids with commas between them.
pub(super) fn ids(text: &str) -> Result<Vec<ClusterId>, Refused> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().map_err(|_| wrong(&format!("`{part}` is no id of a cluster")))).collect()
}

/// A time: seconds since 1970, or as ISO 8601 has it.
pub(super) fn seconds(text: Option<&str>) -> Result<Option<i64>, Refused> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    // Years that no chart has would only run over.
    const FAR: i64 = 1 << 40;
    let number = text.parse::<i64>().ok().map(|seconds| seconds.clamp(-FAR, FAR));
    let found = number.or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_second));
    found.map(Some).ok_or_else(|| wrong(&format!("`{text}` is no time: seconds since 1970, or 2023-05-17T12:00:00Z")))
}
