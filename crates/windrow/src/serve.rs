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
mod follow;
mod live;
mod metrics;
mod now;
mod page;
mod past;
mod table;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::{MethodRouter, get};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, oneshot};
use windrow_engine::error::{Error, ErrorKind};

use board::Board;
pub(crate) use door::Door;
pub(crate) use follow::Follower;
use follow::Past;
pub(crate) use live::Live;

/// Where it listens when nothing is said.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8765);
/// Ports looked at behind the usual one when that is taken.
const PORTS_TRIED: u16 = 20;
/// Connections open at a time; others wait.
const CONNECTIONS: usize = 256;
/// How long a client may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(10);
/// How long we wait when the machine gives no more connections.
const PAUSE: Duration = Duration::from_millis(100);

/// What every route has at hand.
#[derive(Debug)]
pub(crate) struct Shared {
    board: Arc<Board>,
    past: Arc<Past>,
    out: PathBuf,
    door: Door,
}

impl Shared {
    /// What a follower knows, behind a door.
    pub(crate) fn new(follower: &Follower, door: Door) -> Self {
        let (board, past) = (Arc::clone(&follower.board), Arc::clone(&follower.past));
        Self { board, past, out: follower.out.clone(), door }
    }
}

/// One route: its path, what it gives, and how.
struct Route {
    path: &'static str,
    gives: &'static str,
    method: fn() -> MethodRouter<Arc<Shared>>,
}

/// Every route there is.
const ROUTES: &[Route] = &[
    Route { path: "/", gives: "the page", method: || get(page::index) },
    Route { path: "/assets/{name}", gives: "the page's files", method: || get(page::asset) },
    Route { path: "/livez", gives: "whether the process answers", method: || get(api::live) },
    Route { path: "/readyz", gives: "whether there is something to show, and why not", method: || get(api::readiness) },
    Route { path: "/metrics", gives: "counters for Prometheus", method: || get(metrics::metrics) },
    Route { path: "/api/v1", gives: "this list", method: || get(api::routes) },
    Route { path: "/api/v1/now", gives: "state and counters", method: || get(api::now) },
    Route { path: "/api/v1/clusters", gives: "living clusters", method: || get(api::clusters) },
    Route { path: "/api/v1/clusters/{id}", gives: "one cluster", method: || get(api::cluster) },
    Route { path: "/api/v1/timeline", gives: "pages of clusters over time", method: || get(past::timeline) },
    Route { path: "/api/v1/messages", gives: "pages of clusters in a window", method: || get(past::messages) },
    Route { path: "/api/v1/domains", gives: "pages by main domain and cluster", method: || get(past::domains) },
];

fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.method)());
    }
    // Behind the door lies also what is not there.
    router
        .fallback(api::nothing)
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
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to answer.
    pub(crate) fn start(listener: TcpListener, shared: Shared) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::new(ErrorKind::Environment, "E-LISTEN", "cannot start the server").cause(error);
        listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            let router = router(&Arc::new(shared));
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, router) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("serve".into()).spawn(work).map_err(failed)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            let connection =
                http.timer(TokioTimer::new()).header_read_timeout(HEADERS).serve_connection(TokioIo::new(stream), service);
            // A client that breaks off is nobody's error.
            let _ = connection.await;
            drop(place);
        });
    }
}
