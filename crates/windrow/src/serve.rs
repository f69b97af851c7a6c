//! SERVE: what is known of a pipeline, over HTTP, for browsers and programs.
//!
//! ```text
//! live: the loop of a run ──────────┬── Board, Past ──┐
//! follow: manifest, snapshot, files ┘                │
//! request ── door: Host, Origin, token ──────────────┴─> one of ROUTES ──> JSON, CSV, metrics
//! ```
//!
//! The server has a thread of its own and reads the board only: no request reaches the pipeline. Every route stands in [`ROUTES`], and
//! every one of them lies behind the door; what a stranger's page may do in a browser is said in the headers of every answer.

mod api;
mod ask;
mod board;
mod door;
mod edits;
mod events;
mod feed;
mod follow;
mod guests;
mod kept;
mod live;
mod map;
mod metrics;
mod newest;
mod now;
mod page;
mod pages;
mod past;
mod records;
mod table;
mod work;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{MethodRouter, get, post};
use tokio::sync::Semaphore;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::sink;

use serde_json::{Value, json};

use board::Board;
pub(crate) use door::Door;
use events::Frames;
use feed::Feeds;
pub(crate) use follow::Follower;
use follow::Past;
pub(crate) use live::Live;
use map::Places;

/// Where it listens when nothing is said.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8765);
/// Ports looked at behind the usual one when that is taken.
const PORTS_TRIED: u16 = 20;
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every route has at hand.
#[derive(Debug)]
pub(crate) struct Shared {
    board: Arc<Board>,
    past: Arc<Past>,
    frames: Frames,
    places: Places,
    feeds: Feeds,
    /// Places for work on files.
    work: Arc<Semaphore>,
    out: PathBuf,
    state: Option<PathBuf>,
    /// The settings in force, with their origins.
    settings: Vec<Value>,
    /// Where pages go besides Parquet: how the names of the topics begin, whether that is all of the name, and brokers.
    topics: Option<Value>,
    door: Door,
}

impl Shared {
    /// What a follower knows, behind a door; with the settings, and where pages go by them.
    pub(crate) fn new(follower: &Follower, (settings, route): (Vec<Value>, Option<sink::topics::Route>), door: Door) -> Self {
        let (board, past) = (Arc::clone(&follower.board), Arc::clone(&follower.past));
        let (out, state) = (follower.out.clone(), follower.state.clone());
        let (frames, feeds, work) = (Frames::default(), Feeds::default(), Arc::new(Semaphore::new(work::AT_ONCE)));
        let places = Places::default();
        let topics = route.and_then(|route| topics(route, &settings));
        Self { board, past, frames, places, feeds, work, out, state, settings, topics, door }
    }
}

/// The topics of a route, and where they are; none when the settings name no brokers.
fn topics(route: sink::topics::Route, settings: &[Value]) -> Option<Value> {
    let servers = settings.iter().find(|one| one["key"] == "kafka.bootstrap.servers").map(|one| &one["value"])?;
    let (prefix, keyed) = match route {
        sink::topics::Route::Slots(prefix) => (prefix, false),
        sink::topics::Route::Keyed(topic) => (topic, true),
    };
    Some(json!({"prefix": prefix, "keyed": keyed, "servers": servers}))
}

/// One route: what it does, its path, what it gives, and how.
struct Route {
    does: &'static str,
    path: &'static str,
    gives: &'static str,
    method: fn() -> MethodRouter<Arc<Shared>>,
}

const fn shows(path: &'static str, gives: &'static str, method: fn() -> MethodRouter<Arc<Shared>>) -> Route {
    Route { does: "GET", path, gives, method }
}

const fn changes(path: &'static str, gives: &'static str, method: fn() -> MethodRouter<Arc<Shared>>) -> Route {
    Route { does: "POST", path, gives, method }
}

/// Every route there is.
const ROUTES: &[Route] = &[
    shows("/", "the page", || get(page::index)),
    shows("/assets/{name}", "the page's files", || get(page::asset)),
    shows("/livez", "whether the process answers", || get(api::live)),
    shows("/readyz", "whether there is something to show, and why not", || get(api::readiness)),
    shows("/metrics", "counters for Prometheus", || get(metrics::metrics)),
    shows("/api/v1", "this list", || get(api::routes)),
    shows("/api/v1/now", "state and counters", || get(api::now)),
    shows("/api/v1/events", "what changes, as it changes", || get(events::events)),
    shows("/api/v1/clusters", "living clusters", || get(api::clusters)),
    shows("/api/v1/clusters/{id}", "one cluster", || get(api::cluster)),
    shows("/api/v1/clusters/{id}/pages", "its newest pages", || get(pages::of_cluster)),
    shows("/api/v1/clusters/{id}/stream", "its pages as they come", || get(pages::stream_of_cluster)),
    shows("/api/v1/clusters/{id}/export", "its pages as a file", || get(edits::export)),
    changes("/api/v1/clusters/{id}/label", "names it", || post(edits::label)),
    changes("/api/v1/clusters/{id}/pin", "pins it, or lets it go", || post(edits::pin)),
    changes("/api/v1/edits", "merges, splits, moves, undoes, or says what that would do", || post(edits::any)),
    shows("/api/v1/changes", "what is new, gone, grown, shrunk, renamed, edited", || get(records::changes)),
    shows("/api/v1/timeline", "pages of clusters over time", || get(past::timeline)),
    shows("/api/v1/messages", "pages of clusters in a window", || get(past::messages)),
    shows("/api/v1/domains", "pages by main domain and cluster", || get(past::domains)),
    shows("/api/v1/map", "where clusters, themes and pages lie", || get(map::map)),
    shows("/api/v1/pages", "newest pages that a filter fits", || get(pages::pages)),
    shows("/api/v1/pages/stream", "pages that a filter fits, as they come", || get(pages::stream)),
    shows("/api/v1/rejects", "newest rejects", || get(records::rejects)),
    shows("/api/v1/lineage", "what happened to clusters", || get(records::lineage)),
    shows("/api/v1/explain", "why a page is where it is", || get(records::why)),
    shows("/api/v1/export.html", "pictures and tables of all clusters as one page to keep", || get(kept::page)),
    shows("/api/v1/status", "runs, inputs, commits, settings, versions", || get(records::status_object)),
];

fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.method)());
    }
    // Behind the door lies also what is not there.
    router
        .fallback(api::nothing)
        .layer(DefaultBodyLimit::max(edits::BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), door::pass))
        .with_state(Arc::clone(shared))
}

/// An address that cannot be listened at.
pub(crate) fn refused(address: SocketAddr, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Environment, "E-LISTEN", format!("cannot listen at {address}"))
        .cause(error)
        .hint("give another with --listen ADDRESS:PORT; port 0 takes a free one")
}

/// Takes the port: the one asked for, or the usual one or the next that is free; and whether that is another.
pub(crate) fn listen(asked: Option<SocketAddr>) -> Result<(TcpListener, bool), Error> {
    if let Some(address) = asked {
        return Ok((TcpListener::bind(address).map_err(|error| refused(address, &error))?, false));
    }
    let mut last = None;
    for port in LISTEN.port()..LISTEN.port() + PORTS_TRIED {
        let address = SocketAddr::new(LISTEN.ip(), port);
        match TcpListener::bind(address) {
            Ok(listener) => return Ok((listener, port != LISTEN.port())),
            Err(error) => last = Some(refused(address, &error)),
        }
    }
    Err(last.expect("some port was tried"))
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to answer.
    pub(crate) fn start(listener: TcpListener, shared: Shared) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::new(ErrorKind::Environment, "E-LISTEN", "cannot start the server").cause(error);
        listener.set_nonblocking(true).map_err(failed)?;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().on_thread_start(work::yield_to_the_run).build().map_err(failed)?;
        let shared = Arc::new(shared);
        let at = Arc::clone(&shared);
        let work = move || {
            runtime.block_on(guests::receive(listener, router(&at), at.feeds.ending()));
            // Nobody waits for work on files any more.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("serve".into()).spawn(work).map_err(failed)?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.feeds.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
