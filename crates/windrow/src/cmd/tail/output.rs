//! The newest pages without brokers: from the published Parquet, which holds the same pages as the topics would.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windrow_core::cluster::ClusterId;
use windrow_engine::checkpoint::Committed;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::tail::Seen;
use windrow_engine::run::Control;
use windrow_engine::search::{self, Cursor, Filter, Page};

use super::{Args, print};
use crate::cmd::clusters::Place;
use crate::cmd::{App, Done, Exit};
use crate::signals::Watch;
use crate::term::text;

/// Time between two looks at the manifest.
const LOOK: Duration = Duration::from_millis(500);
/// Pages that are read at once.
const AT_ONCE: usize = 1_000;

/// Shows the newest pages of an output, and what comes.
pub(super) fn run(args: &Args, place: &Place, app: &mut App) -> Done {
    let filter = Filter::of_clusters(&ids(&args.clusters)?);
    let watch = Watch::start(&Arc::new(Control::default()))?;
    let committed = place.committed()?;
    let mut newest = search::newest(&committed, &filter, None, args.last)?.rows;
    newest.reverse();
    print(&seen(newest, &committed), args, app)?;
    app.term.flush()?;
    let (mut at, mut epoch) = (search::end(&committed)?, committed.manifest.epoch);
    while args.follow && !app.term.is_closed() && !watch.wait(LOOK) {
        let committed = place.committed()?;
        if committed.manifest.epoch != epoch {
            epoch = committed.manifest.epoch;
            at = come(&committed, at, &filter, args, app)?;
        }
    }
    Ok(Exit::Fine)
}

/// Shows what came behind a place; gives the place behind that.
fn come(committed: &Committed, mut at: Cursor, filter: &Filter, args: &Args, app: &mut App) -> Result<Cursor, super::Failure> {
    loop {
        let came = search::since(committed, at, filter, AT_ONCE)?;
        at = came.next;
        print(&seen(came.pages, committed), args, app)?;
        if came.is_all {
            app.term.flush()?;
            return Ok(at);
        }
    }
}

fn ids(names: &[String]) -> Result<Vec<ClusterId>, Error> {
    let id = |name: &String| {
        name.parse().map_err(|_| {
            Error::new(ErrorKind::Invalid, "E-NO-CLUSTER", format!("`{name}` is no id of a cluster"))
                .hint("without brokers pages are read from the Parquet, where there are no topics; --kafka names brokers")
        })
    };
    names.iter().map(id).collect()
}

/// Pages as the messages that they would be.
fn seen(pages: Vec<Page>, committed: &Committed) -> Vec<Seen> {
    let seen = pages.into_iter().map(|page| {
        let mut value = json!({
            "label": page.label, "slot": page.slot, "creation_time": page.creation_time.map(text::time), "id": page.id, "url": page.url,
            "title": page.title, "keywords": page.keywords, "description": page.description, "domain": page.domain,
        });
        if !page.kept.is_empty() {
            value["kept"] = page.kept_object();
        }
        let headers = [
            ("windrow-pipeline", committed.manifest.pipeline.clone()),
            ("windrow-record-id", page.record_id),
            ("windrow-micro-cluster", page.micro_cluster.to_string()),
            ("windrow-novel", u8::from(page.novel).to_string()),
            ("windrow-score", page.score.to_string()),
        ];
        Seen {
            topic: String::new(),
            partition: 0,
            offset: 0,
            time: page.creation_time,
            cluster: Some(page.cluster),
            key: None,
            headers: headers.into_iter().collect(),
            value: value.to_string().into_bytes(),
        }
    });
    seen.collect()
}
