//! The page to keep, as a file to take away: the same as `windrow export --html`.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;
use windrow_engine::history::History;

use super::api::At;
use super::table::Refused;
use super::work::off_thread;
use crate::picture::{self, Fonts, Known};

pub(super) async fn page(State(shared): At) -> Result<Response, Refused> {
    let html = off_thread(&shared, |shared| {
        let known = shared.board.read();
        let commit = (known.epoch.unwrap_or(0), known.committed_at.unwrap_or(0));
        // Drawing takes long: the run has news for the history meanwhile.
        let history = shared.past.look(History::clone);
        Ok(picture::page(&Known::new(&known.view, &history, &known.counters, commit), &Fonts::installed()))
    });
    let built = Response::builder().header(CONTENT_TYPE, "text/html; charset=utf-8");
    let built = built.header(CONTENT_DISPOSITION, "attachment; filename=\"clusters.html\"");
    Ok(built.body(Body::from(html.await?)).unwrap_or_else(|_| Response::new(Body::empty())))
}
