//! Connections: who has one, who must leave when others come, and how all of them end.
//!
//! ```text
//! accept ── places are left ──────> answered until it leaves
//!        └─ none is ──────────────> the oldest that has not passed the door leaves
//! the server ends ── strangers leave, the others are answered, for a second at most
//! ```

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, watch};

use super::PATIENCE;
use super::feed::Patient;

/// Connections open at a time.
const CONNECTIONS: usize = 256;
/// Bytes of the longest head of a request.
const HEAD_BYTES: usize = 16 << 10;
/// Bytes that the system keeps for a client that has not read them yet: a client that never reads costs little, and is soon known.
const UNREAD_BYTES: usize = 128 << 10;
/// How long we wait when the machine gives no more connections.
const PAUSE: Duration = Duration::from_millis(100);
/// How long clients are answered while the server ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Guest {
    has_passed: AtomicBool,
    leave: Notify,
}

impl Guest {
    /// It has shown the token.
    pub(super) fn pass(&self) {
        self.has_passed.store(true, Ordering::Relaxed);
    }

    fn is_stranger(&self) -> bool {
        !self.has_passed.load(Ordering::Relaxed)
    }
}

/// All connections, oldest first.
#[derive(Debug, Default)]
struct Guests(Mutex<BTreeMap<u64, Arc<Guest>>>);

impl Guests {
    fn all<T>(&self, look: impl FnOnce(&mut BTreeMap<u64, Arc<Guest>>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes room for another: whoever has said nothing for longest that lets him in leaves. Those who may be here stay.
    fn make_room(&self) {
        self.all(|guests| {
            let oldest = guests.iter().find(|(_, guest)| guest.is_stranger()).map(|(number, _)| *number);
            if let Some(guest) = oldest.and_then(|number| guests.remove(&number)) {
                guest.leave.notify_one();
            }
        });
    }
}

/// Answers whoever comes, until the server ends.
pub(super) async fn receive(listener: TcpListener, router: Router, ending: watch::Receiver<bool>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let (room, guests) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Guests::default()));
    let come = async {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if room.available_permits() == 0 {
                guests.make_room();
            }
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let guest = Arc::new(Guest::default());
            guests.all(|guests| guests.insert(number, Arc::clone(&guest)));
            let (router, ending, guests) = (router.clone(), ending.clone(), Arc::clone(&guests));
            tokio::spawn(async move {
                answer(stream, router, &guest, ending).await;
                guests.all(|guests| guests.remove(&number));
                drop(place);
            });
        }
    };
    let mut end = ending.clone();
    tokio::select! {
        () = come => {}
        _ = end.wait_for(|ends| *ends) => {}
    }
    let all_left = room.acquire_many(CONNECTIONS as u32);
    let _ = tokio::time::timeout(LAST_WORDS, all_left).await;
}

/// Answers one client until it leaves, or has to.
async fn answer(stream: TcpStream, router: Router, guest: &Arc<Guest>, mut ending: watch::Receiver<bool>) {
    // Where it is not granted, the system's own bound holds.
    let _ = set_socket_send_buffer_size(&stream, UNREAD_BYTES);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(guest));
        router.call(request)
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(Patient::new(stream)), service));
    tokio::select! {
        // A client that breaks off is nobody's error.
        _ = connection.as_mut() => return,
        () = guest.leave.notified() => return,
        _ = ending.wait_for(|ends| *ends) => {}
    }
    if !guest.is_stranger() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}
