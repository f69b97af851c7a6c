//! What changes, as it changes: server-sent events with numbers, so that a client that was away goes on where it was.
//!
//! ```text
//! board ── change ──> frame: the state, and what of the clusters is not as in the frame before    made once for all clients
//! ring of frames ──> a client: those behind its own; everything anew when they are gone
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use windrow_core::pipeline::{ClusterView, View};

use super::Shared;
use super::api::At;
use super::ask::Asked;
use super::feed::{As, BEAT, Pen};
use super::now::now_object;
use super::table::Refused;
use crate::shape::{cluster_counts, cluster_object};

/// Frames that are remembered: half a minute, while things change.
const FRAMES: usize = 120;
/// Time between two frames.
const FRAME: Duration = Duration::from_millis(250);

/// The last frames, and who is sent them.
#[derive(Debug, Default)]
pub(super) struct Frames {
    ring: Mutex<Ring>,
    clients: Arc<()>,
}

#[derive(Debug, Default)]
struct Ring {
    frames: VecDeque<(u64, Bytes)>,
    /// What the newest frame is of.
    view: Arc<View>,
    /// Everything, as of a change.
    all: Option<(u64, Bytes)>,
}

impl Frames {
    /// Clients that are sent frames.
    pub(super) fn clients(&self) -> u64 {
        Arc::strong_count(&self.clients) as u64 - 1
    }

    /// The number of the newest change that a client can go on from.
    pub(super) fn newest(&self, shared: &Shared) -> u64 {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).catch_up(shared)
    }

    /// What a client is to be sent that has seen all until the change `seen`, and the number of the newest change with it. The bytes are those of
    /// all clients.
    fn behind(&self, shared: &Shared, seen: Option<u64>) -> (Vec<Bytes>, u64) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let number = ring.catch_up(shared);
        let place = seen.and_then(|seen| ring.frames.iter().position(|(number, _)| *number == seen));
        let pieces = match place {
            Some(place) => ring.frames.iter().skip(place + 1).map(|(_, text)| text.clone()).collect(),
            None => {
                let reset = seen.map(|_| Bytes::from(event(number, "reset", &json!({}))));
                reset.into_iter().chain([ring.everything(shared, number)]).collect()
            }
        };
        (pieces, number)
    }
}

impl Ring {
    /// Makes the newest frame, if there is a change that none has; gives its number.
    fn catch_up(&mut self, shared: &Shared) -> u64 {
        let number = shared.board.sequence();
        if self.frames.back().is_some_and(|(newest, _)| *newest == number) {
            return number;
        }
        let view = Arc::clone(&shared.board.read().view);
        let before: BTreeMap<_, _> = self.view.clusters.iter().map(|one| (one.cluster, one)).collect();
        let changed = view.clusters.iter().filter_map(|one| delta(before.get(&one.cluster).copied(), one, &view));
        let changed: Vec<_> = changed.collect();
        let alive: BTreeSet<_> = view.clusters.iter().map(|one| one.cluster).collect();
        let gone: Vec<_> = before.into_keys().filter(|id| !alive.contains(id)).collect();
        let mut text = String::new();
        if !changed.is_empty() || !gone.is_empty() {
            let object = json!({"clusters": changed, "gone": gone, "total": view.clusters.len()});
            text.push_str(&event(number, "clusters", &object));
        }
        text.push_str(&event(number, "now", &now_object(shared, number)));
        self.view = view;
        self.frames.push_back((number, text.into()));
        if self.frames.len() > FRAMES {
            self.frames.pop_front();
        }
        number
    }

    /// The whole state, for a client that knows nothing; made once for all that come at the same time.
    fn everything(&mut self, shared: &Shared, number: u64) -> Bytes {
        if let Some((_, text)) = self.all.as_ref().filter(|(of, _)| *of == number) {
            return text.clone();
        }
        let clusters: Vec<_> = self.view.clusters.iter().map(|one| compact(one, &self.view)).collect();
        let object = json!({"clusters": clusters, "gone": [], "total": clusters.len()});
        let text = Bytes::from(event(number, "clusters", &object) + &event(number, "now", &now_object(shared, number)));
        self.all = Some((number, text.clone()));
        text
    }
}

/// What has changed of a cluster: its counts, and of the rest what is not as before; nothing when only its share and its weight are others,
/// as they are with every page of any cluster.
fn delta(before: Option<&ClusterView>, cluster: &ClusterView, view: &View) -> Option<Value> {
    let Some(before) = before else { return Some(compact(cluster, view)) };
    let marks = |one: &ClusterView| (one.delivered, one.now, one.micro_clusters, one.pinned, one.renamed);
    if marks(before) == marks(cluster) && before.label == cluster.label && before.volume == cluster.volume {
        return None;
    }
    let is_same = [
        ("slot", before.slot == cluster.slot),
        ("born", before.born == cluster.born),
        ("label", before.label == cluster.label),
        ("renamed", before.renamed == cluster.renamed),
        ("pinned", before.pinned == cluster.pinned),
        ("terms", before.terms == cluster.terms),
        ("domains", before.domains == cluster.domains),
        ("languages", before.languages == cluster.languages),
        ("volume", before.volume == cluster.volume),
    ];
    if is_same.iter().all(|(_, is_same)| *is_same) {
        return Some(cluster_counts(cluster, view));
    }
    let mut object = compact(cluster, view);
    if let Value::Object(fields) = &mut object {
        is_same.iter().filter(|(_, is_same)| *is_same).for_each(|(name, _)| drop(fields.remove(*name)));
    }
    Some(object)
}

/// A cluster without its examples and the pages that came most.
fn compact(cluster: &ClusterView, view: &View) -> Value {
    let mut object = cluster_object(cluster, view, 0);
    if let Value::Object(fields) = &mut object {
        ["schema", "commit", "examples", "patterns", "copies"].iter().for_each(|name| drop(fields.remove(*name)));
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
    let _client = Arc::clone(&shared.frames.clients);
    let mut changes = shared.board.changes();
    loop {
        changes.mark_unchanged();
        let is_last = pen.is_last();
        let (pieces, number) = shared.frames.behind(&shared, seen);
        seen = Some(number);
        for piece in pieces {
            if !pen.write(piece).await {
                return;
            }
        }
        if is_last {
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
