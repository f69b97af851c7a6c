//! The routes of the API: docs/reference/api.md.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use windrow_core::pipeline::ClusterView;
use windrow_engine::checkpoint;
use windrow_engine::lookup::{self, ClusterEnd};

use super::ask::{Asked, Named};
use super::now::now_object;
use super::table::{Form, Refused, answer, csv, json as answer_json, refusal};
use super::work::off_thread;
use super::{ROUTES, Shared};
use crate::shape::{cluster_cells, cluster_columns, cluster_object};

/// The board and the door.
pub(super) type At = State<Arc<Shared>>;

/// What a list of clusters may be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClustersQuery {
    format: Form,
    sort: Sort,
    limit: Option<usize>,
    /// Only those whose label or one of whose terms or domains holds this text.
    q: String,
}

/// The order of clusters.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Delivered,
    Now,
    Label,
    Born,
    Cluster,
}

pub(super) async fn nothing() -> Response {
    refusal(StatusCode::NOT_FOUND, "E-HTTP-PATH", "there is no such path", "GET /api/v1 lists them")
}

pub(super) async fn live() -> Response {
    answer(StatusCode::OK, "text/plain; charset=utf-8", "alive\n")
}

pub(super) async fn readiness(State(shared): At) -> Response {
    let known = shared.board.read();
    let plain = |status, text: String| answer(status, "text/plain; charset=utf-8", format!("{text}\n"));
    match (&known.trouble, known.epoch) {
        (Some(trouble), _) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {trouble}")),
        (None, None) => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: nothing is committed yet".into()),
        (None, Some(epoch)) => plain(StatusCode::OK, format!("ready: commit {epoch}, {}", known.standing.word())),
    }
}

/// No `async fn`: its type would depend on the table that it stands in.
pub(super) fn routes() -> Ready<Response> {
    let routes: Vec<_> =
        ROUTES.iter().map(|route| json!({"method": route.does, "path": route.path, "gives": route.gives})).collect();
    ready(answer_json(StatusCode::OK, &json!({"schema": "windrow.routes/1", "routes": routes})))
}

pub(super) async fn now(State(shared): At) -> Response {
    answer_json(StatusCode::OK, &now_object(&shared, shared.frames.newest(&shared)))
}

pub(super) async fn clusters(State(shared): At, Asked(query): Asked<ClustersQuery>) -> Response {
    let known = shared.board.read();
    let mut found: Vec<&ClusterView> = known.view.clusters.iter().filter(|cluster| holds(cluster, &query.q)).collect();
    sort(&mut found, query.sort);
    let total = found.len();
    found.truncate(query.limit.unwrap_or(usize::MAX));
    match query.format {
        Form::Csv => csv(&cluster_columns(&known.view), found.into_iter().map(|cluster| cluster_cells(cluster, &known.view))),
        Form::Json => {
            let epoch = known.epoch.unwrap_or(0);
            let clusters: Vec<_> = found.into_iter().map(|cluster| cluster_object(cluster, &known.view, epoch)).collect();
            let of = json!({"schema": "windrow.clusters/1", "commit": known.epoch, "total": total, "clusters": clusters});
            answer_json(StatusCode::OK, &of)
        }
    }
}

fn holds(cluster: &ClusterView, text: &str) -> bool {
    let text = text.to_lowercase();
    let has = |other: &str| other.to_lowercase().contains(&text);
    text.is_empty()
        || has(&cluster.label)
        || cluster.terms.iter().any(|term| has(&term.term))
        || cluster.domains.iter().any(|(domain, _)| has(domain))
}

/// Largest first, or by name or id; of equals, the older one first.
fn sort(clusters: &mut [&ClusterView], by: Sort) {
    clusters.sort_by(|a, b| {
        let order = match by {
            Sort::Delivered => b.delivered.cmp(&a.delivered),
            Sort::Now => b.now.cmp(&a.now),
            Sort::Label => a.label.cmp(&b.label),
            Sort::Born => b.born.cmp(&a.born),
            Sort::Cluster => std::cmp::Ordering::Equal,
        };
        order.then(a.cluster.cmp(&b.cluster))
    });
}

/// A living cluster with its themes and neighbours, or where a dead one went.
pub(super) async fn cluster(State(shared): At, Named(id): Named) -> Result<Response, Refused> {
    let known = shared.board.read();
    let view = &known.view;
    if let Some(cluster) = view.clusters.iter().find(|cluster| cluster.cluster == id) {
        let mut object = cluster_object(cluster, view, known.epoch.unwrap_or(0));
        let label = |id| view.clusters.iter().find(|other| other.cluster == id).map_or("", |other| other.label.as_str());
        let neighbours = cluster.neighbours.iter();
        let neighbours =
            neighbours.map(|near| json!({"cluster": near.cluster, "label": label(near.cluster), "likeness": near.likeness}));
        object["state"] = "alive".into();
        object["themes"] = json!(cluster.themes);
        object["themes_total"] = cluster.micro_clusters.into();
        object["neighbours"] = neighbours.collect();
        object["topic"] = shared.topics.as_ref().map(|topics| topic(topics, cluster.slot)).into();
        return Ok(answer_json(StatusCode::OK, &object));
    }
    let end = off_thread(&shared, move |shared| {
        let reading = checkpoint::read_state(&shared.out, shared.state.as_deref())?;
        reading.map(|reading| lookup::cluster_end(&reading, id)).transpose().map(Option::flatten)
    });
    // One that ended since the last commit is in no lineage yet.
    let dead = view.dead.iter().find(|dead| dead.cluster == id);
    let fresh = dead.map(|dead| ClusterEnd { slot: dead.slot, position: dead.died, went_to: BTreeMap::new() });
    let Some(end) = end.await?.or(fresh) else {
        let message = format!("there is no cluster {id}");
        let hint = "GET /api/v1/clusters lists those that are alive";
        return Err(refusal(StatusCode::NOT_FOUND, "E-HTTP-CLUSTER", &message, hint).into());
    };
    let went_to = end.went_to.iter().map(|(cluster, n)| json!({"cluster": cluster, "micro_clusters": n}));
    let object = json!({
        "schema": "windrow.cluster/1", "state": "dead", "cluster": id, "slot": end.slot, "label": dead.map(|dead| &dead.label),
        "died_at_position": end.position, "went_to": went_to.collect::<Vec<_>>(),
    });
    Ok(answer_json(StatusCode::OK, &object))
}

/// The topic that has the pages of a slot.
fn topic(topics: &serde_json::Value, slot: u32) -> String {
    let name = topics["prefix"].as_str().unwrap_or_default();
    if topics["keyed"] == true { name.to_owned() } else { format!("{name}{slot}") }
}
