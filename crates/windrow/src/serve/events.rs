//! What changes, as it changes: server-sent events with numbers, so that a client that was away goes on where it was.
//!
//! ```text
//! board ── change ──> frame: the state, and the clusters that are not as in the frame before    made once for all clients
//! ring of frames ──> a client: those behind its own; everything anew when they are gone
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use windrow_core::cluster::ClusterId;
use windrow_core::pipeline::ClusterView;

use super::Shared;
use super::api::At;
use super::ask::Asked;
use super::feed::{As, BEAT, Pen};
use super::now::now_object;
use super::table::Refused;
use crate::shape::cluster_object;

/// Frames that are remembered: half a minute, while things change.
const FRAMES: usize = 120;
/// Time between two frames.
const FRAME: Duration = Duration::from_millis(250);

/// What of a cluster is looked at to see whether it has changed. Its share and its weight change with every page of any cluster.
#[derive(Debug, Clone, PartialEq)]
struct Mark {
    delivered: u64,
    now: u64,
    micro_clusters: u64,
    label: String,
    pinned: bool,
}

impl Mark {
    fn of(cluster: &ClusterView) -> Self {
        let ClusterView { delivered, now, micro_clusters, label, pinned, .. } = cluster;
        let (label, pinned) = (label.clone(), *pinned);
        Self { delivered: *delivered, now: *now, micro_clusters: *micro_clusters, label, pinned }
    }
}

/// The last frames.
#[derive(Debug, Default)]
pub(super) struct Frames(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    frames: VecDeque<(u64, Arc<str>)>,
    marks: BTreeMap<ClusterId, Mark>,
}

impl Frames {
    /// What a client is to be sent that has seen all until the change `seen`, and the number of the newest change with it.
    fn behind(&self, shared: &Shared, seen: Option<u64>) -> (String, u64) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = ring.catch_up(shared);
        let place = seen.and_then(|seen| ring.frames.iter().position(|(number, _)| *number == seen));
        let text = match place {
            Some(place) => ring.frames.iter().skip(place + 1).map(|(_, text)| &**text).collect(),
            None => {
                let reset = if seen.is_some() { event(number, "reset", &json!({})) } else { String::new() };
                reset + &everything(shared, number)
            }
        };
        (text, number)
    }
}

impl Ring {
    /// Makes the newest frame, if there is a change that none has; gives its number.
    fn catch_up(&mut self, shared: &Shared) -> u64 {
        let number = shared.board.sequence();
        if self.frames.back().is_some_and(|(newest, _)| *newest == number) {
            return number;
        }
        let known = shared.board.read();
        let marks: BTreeMap<_, _> = known.view.clusters.iter().map(|one| (one.cluster, Mark::of(one))).collect();
        let is_new = |one: &&ClusterView| self.marks.get(&one.cluster) != marks.get(&one.cluster);
        let changed: Vec<_> = known.view.clusters.iter().filter(is_new).collect();
        let gone: BTreeSet<_> = self.marks.keys().filter(|id| !marks.contains_key(id)).copied().collect();
        let mut text = String::new();
        if !changed.is_empty() || !gone.is_empty() {
            let clusters: Vec<_> = changed.into_iter().map(|one| compact(one, &known.view)).collect();
            let object = json!({"clusters": clusters, "gone": gone, "total": marks.len()});
            text.push_str(&event(number, "clusters", &object));
        }
        text.push_str(&event(number, "now", &now_object(shared, number)));
        self.marks = marks;
        self.frames.push_back((number, text.into()));
        if self.frames.len() > FRAMES {
            self.frames.pop_front();
        }
        number
    }
}

/// The whole state, for a client that knows nothing.
fn everything(shared: &Shared, number: u64) -> String {
    let known = shared.board.read();
    let clusters: Vec<_> = known.view.clusters.iter().map(|one| compact(one, &known.view)).collect();
    let object = json!({"clusters": clusters, "gone": [], "total": clusters.len()});
    event(number, "clusters", &object) + &event(number, "now", &now_object(shared, number))
}

/// A cluster without its examples.
fn compact(cluster: &ClusterView, view: &windrow_core::pipeline::View) -> Value {
    let mut object = cluster_object(cluster, view, 0);
    if let Value::Object(fields) = &mut object {
        ["schema", "commit", "examples"].iter().for_each(|name| drop(fields.remove(*name)));
    }
    object
}

fn event(number: u64, name: &str, data: &Value) -> String {
    format!("id: {number}\nevent: {name}\ndata: {data}\n\n")
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EventsQuery {
    after: Option<u64>,
}

pub(super) async fn events(
    State(shared): At,
    headers: HeaderMap,
    Asked(query): Asked<EventsQuery>,
) -> Result<Response, Refused> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let (pen, answer) = shared.feeds.begin(As::Sse);
    tokio::spawn(tell(shared, pen, last.or(query.after)));
    Ok(answer)
}

/// Writes what changes until nobody reads any more.
async fn tell(shared: Arc<Shared>, pen: Pen, mut seen: Option<u64>) {
    let mut changes = shared.board.changes();
    loop {
        changes.mark_unchanged();
        let is_last = pen.is_last();
        let (text, number) = shared.frames.behind(&shared, seen);
        seen = Some(number);
        if !text.is_empty() && !pen.write(text).await || is_last {
            return;
        }
        tokio::select! {
            () = sleep(FRAME) => {}
            () = pen.ends() => continue,
        }
        let came = tokio::select! {
            came = timeout(BEAT, changes.changed()) => came,
            () = pen.ends() => continue,
            () = pen.closed() => return,
        };
        match came {
            Ok(Ok(())) => {}
            // Nobody tells of changes any more: the server ends.
            Ok(Err(_)) => return,
            Err(_) if !pen.write(As::Sse.beat()).await => return,
            Err(_) => {}
        }
    }
}
