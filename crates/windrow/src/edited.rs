//! What an edit does, or would do: the same words and fields on a terminal, for programs and on the page.

use serde_json::{Value, json};
use windrow_core::cluster::ClusterId;
use windrow_core::lineage::{Edit, Happening, LineageEvent};
use windrow_engine::run::{Effect, Taken};

use crate::term::text;

/// An edit as the contract has it; one that was only looked at stands nowhere.
pub(crate) fn object(edit: &Edit, effect: &Effect, taken: Option<&Taken>) -> Value {
    let renamed = effect.lineage.iter().filter_map(|event| match &event.happening {
        Happening::Renamed { label } => Some(json!({"cluster": event.cluster, "label": label})),
        _ => None,
    });
    let (commit, request) = place(taken);
    json!({
        "schema": "windrow.edit/1",
        "asked": edit,
        "dry_run": taken.is_none(),
        "commit": commit,
        "edit": request,
        "takes_back": effect.takes_back,
        "born": born(effect),
        "ended": ended(effect),
        "renamed": renamed.collect::<Vec<_>>(),
        "pages": effect.pages,
        "moved": effect.moved,
        "said": said(effect, commit.is_none()),
    })
}

/// The columns of a table of edits, and the cells of one.
pub(crate) fn cells(effect: &Effect, taken: Option<&Taken>) -> [(&'static str, String); 7] {
    let (commit, request) = place(taken);
    let ids = |ids: Vec<ClusterId>| ids.iter().map(ClusterId::to_string).collect::<Vec<_>>().join(",");
    [
        ("commit", commit.map(|commit| commit.to_string()).unwrap_or_default()),
        ("edit", request.unwrap_or_default().to_owned()),
        ("born", ids(born(effect))),
        ("ended", ids(ended(effect))),
        ("pages", effect.pages.to_string()),
        ("moved", effect.moved.to_string()),
        ("said", said(effect, commit.is_none())),
    ]
}

/// The same for people.
pub(crate) fn line(effect: &Effect, taken: Option<&Taken>) -> String {
    let said = said(effect, !matches!(taken, Some(Taken::Committed { .. })));
    match taken {
        None | Some(Taken::NotNeeded) => format!("{said}; nothing is done"),
        Some(Taken::Committed { epoch }) => format!("done (commit {epoch}): {said}"),
        Some(Taken::LeftToRun { request }) => format!(
            "left to the running process, which takes it before its next rows (edit {request}); as of the last commit {said}; \
             `windrow state inspect` shows it if it is refused"
        ),
        Some(Taken::LeftToNextRun { request }) => format!(
            "left to the next `windrow run`: a run that was killed took older edits at rows not committed yet (edit {request}); as of the \
             last commit {said}"
        ),
    }
}

/// The commit that has it, or the request that was left.
fn place(taken: Option<&Taken>) -> (Option<u64>, Option<&str>) {
    match taken {
        None | Some(Taken::NotNeeded) => (None, None),
        Some(Taken::Committed { epoch }) => (Some(*epoch), None),
        Some(Taken::LeftToRun { request } | Taken::LeftToNextRun { request }) => (None, Some(request)),
    }
}

fn born(effect: &Effect) -> Vec<ClusterId> {
    let births = effect.lineage.iter().filter(|event| matches!(event.happening, Happening::ClusterBorn { .. }));
    births.map(|event| event.cluster).collect()
}

fn ended(effect: &Effect) -> Vec<ClusterId> {
    let deaths = effect.lineage.iter().filter(|event| matches!(event.happening, Happening::ClusterDied { .. }));
    deaths.map(|event| event.cluster).collect()
}

/// What happens, in a sentence: of clusters first, then of pages.
fn said(effect: &Effect, would: bool) -> String {
    let be = if would { "would be" } else { "is" };
    let mut said: Vec<String> = effect.takes_back.iter().map(|edit| format!("{edit} {be} taken back")).collect();
    said.extend(effect.lineage.iter().filter_map(|event| of_cluster(event, would)));
    // Of a merge and a split all themes are held, and an undo lets go of those that were not: that says nothing more.
    if said.is_empty() {
        let count = |wanted: &dyn Fn(&Happening) -> bool| {
            let n = effect.lineage.iter().filter(|event| wanted(&event.happening)).count() as u64;
            (n > 0).then(|| text::counted(n, "theme"))
        };
        let placed = count(&|happening| matches!(happening, Happening::MicroPlaced { .. }));
        let to = effect.lineage.first().map_or(0, |event| event.cluster);
        let stay = if would { "would stay in" } else { "went to stay in" };
        said.extend(placed.map(|themes| format!("{themes} {stay} cluster {to}")));
        let released = count(&|happening| matches!(happening, Happening::MicroReleased { .. }));
        said.extend(released.map(|themes| format!("{} {themes}", if would { "would release" } else { "released" })));
    }
    if effect.pages > 0 {
        let verb = if would { "would move" } else { "moved" };
        said.push(format!("{} of the newest {} {verb}", text::count(effect.moved), text::counted(effect.pages, "page")));
    }
    if said.is_empty() { "all is so already".into() } else { said.join("; ") }
}

fn of_cluster(event: &LineageEvent, would: bool) -> Option<String> {
    let (id, be) = (event.cluster, if would { "would be" } else { "is" });
    let either = |then: &'static str, now: &'static str| if would { then } else { now };
    Some(match &event.happening {
        Happening::ClusterMerged { into } => {
            format!("cluster {id} {}, taken in by cluster {into}", either("would end", "ended"))
        }
        Happening::ClusterSplit { from, .. } => {
            format!("cluster {id} {} out of cluster {from}", either("would come", "came"))
        }
        Happening::Renamed { label } if label.is_empty() => {
            format!("cluster {id} {} its given name", either("would lose", "lost"))
        }
        Happening::Renamed { label } => format!("cluster {id} {be} called {}", text::plain(label)),
        Happening::Pinned { pinned: true } => format!("cluster {id} {be} pinned"),
        Happening::Pinned { pinned: false } => format!("cluster {id} {be} pinned no more"),
        _ => return None,
    })
}
