//! The map: where clusters, themes and a sample of pages lie. Clusters keep their places from one view to the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use windrow_core::cluster::MicroId;
use windrow_core::map::{Map, Point};
use windrow_core::pipeline::View;
use windrow_engine::search::{MOST, Sample};

use super::api::At;
use super::ask::Asked;
use super::pages::committed;
use super::table::{Form, Refused, csv, json as answer_json};
use super::work::off_thread;
use crate::term::text::time;

/// Pages of a map when nothing is said, and at most.
const POINTS: (usize, usize) = (5_000, MOST);
/// Terms that a theme is named by.
const TERMS: usize = 3;

/// The map with the view that it is of, and pages of all that are published.
#[derive(Debug, Default)]
pub(super) struct Places {
    map: Mutex<(Option<Arc<View>>, Map)>,
    sample: Mutex<Sample>,
}

impl Places {
    /// The places of a view.
    fn of(&self, view: &Arc<View>) -> Map {
        let mut places = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if places.0.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, view)) {
            places.1.follow(view);
            places.0 = Some(Arc::clone(view));
        }
        places.1.clone()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MapQuery {
    points: Option<usize>,
    format: Form,
}

pub(super) async fn map(State(shared): At, Asked(query): Asked<MapQuery>) -> Result<Response, Refused> {
    let limit = query.points.unwrap_or(POINTS.0).min(POINTS.1);
    // All of it off the thread that answers: the first time it reads every file, and 50,000 pages are a long answer.
    let told = off_thread(&shared, move |shared| {
        let mut sample = shared.places.sample.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(committed) = committed(shared)? {
            sample.follow(&committed)?;
        }
        let view = Arc::clone(&shared.board.read().view);
        Ok(object(&view, &shared.places.of(&view), (&sample, limit)))
    });
    let object = told.await?;
    Ok(match query.format {
        Form::Json => answer_json(StatusCode::OK, &object),
        Form::Csv => csv(COLUMNS, lines(&object)),
    })
}

const COLUMNS: &[&str] = &[
    "what",
    "cluster",
    "x",
    "y",
    "label",
    "pages",
    "now",
    "micro_cluster",
    "terms",
    "title",
    "domain",
    "creation_time",
    "score",
    "record_id",
];

/// Clusters, then themes, then pages.
fn lines(object: &Value) -> impl Iterator<Item = Vec<Value>> {
    let parts = [("cluster", &object["clusters"]), ("theme", &object["themes"]), ("page", &object["points"]["items"])];
    let parts = parts.into_iter().flat_map(|(what, part)| part.as_array().into_iter().flatten().map(move |one| (what, one)));
    parts.map(|(what, one)| {
        let cell = |name: &&str| match &one[*name] {
            Value::Array(terms) => terms.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ").into(),
            other => other.clone(),
        };
        [what.into()].into_iter().chain(COLUMNS[1..].iter().map(cell)).collect()
    })
}

fn object(view: &View, map: &Map, (sample, limit): (&Sample, usize)) -> Value {
    let at = |point: Point| json!({"x": point.x, "y": point.y});
    let placed = |mut object: Value, point: Point| {
        let Value::Object(place) = at(point) else { return object };
        object.as_object_mut().into_iter().for_each(|fields| fields.extend(place.clone()));
        object
    };
    let clusters = view.clusters.iter().filter_map(|one| {
        let object = json!({"cluster": one.cluster, "label": one.label, "pages": one.delivered, "now": one.now});
        Some(placed(object, map.cluster(one.cluster)?))
    });
    let places: BTreeMap<MicroId, Point> = map.themes(view).into_iter().map(|(micro, _, point)| (micro, point)).collect();
    let themes = view.clusters.iter().flat_map(|one| one.themes.iter().map(move |theme| (one.cluster, theme)));
    let themes = themes.filter_map(|(cluster, theme)| {
        let terms: Vec<_> = theme.terms.iter().take(TERMS).map(|term| &term.term).collect();
        let object = json!({"micro_cluster": theme.micro_cluster, "cluster": cluster, "pages": theme.pages, "terms": terms});
        Some(placed(object, *places.get(&theme.micro_cluster)?))
    });
    let items = sample.dots(limit).filter_map(|page| {
        let around = places.get(&page.micro_cluster).copied().or_else(|| map.cluster(page.cluster))?;
        let object = json!({
            "cluster": page.cluster, "title": page.title, "domain": page.domain, "score": page.score,
            "creation_time": page.creation_time.map(time), "record_id": page.record_id.to_string(),
        });
        Some(placed(object, map.page(page.cluster, around, page.record_id, page.score)))
    });
    let items: Vec<_> = items.collect();
    json!({
        "schema": "windrow.map/1",
        "generation": view.generation,
        "clusters": clusters.collect::<Vec<_>>(),
        "themes": themes.collect::<Vec<_>>(),
        "points": {"shown": items.len(), "total": sample.total(), "items": items},
    })
}
