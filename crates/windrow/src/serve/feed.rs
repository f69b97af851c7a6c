//! Answers that never end: events and lines, written by a task of their own into a bounded channel, as fast as the client reads.
//!
//! A client that reads slowly is told less often; one that does not read at all is cut off by [`Patient`], and nothing waits for it but its
//! own task. Where so little is written that this is never seen, places would be held for ever: the newest client takes that of the oldest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Sleep, sleep};

/// Answers that may go on at a time.
const FEEDS: usize = 200;
/// Pieces that wait for a client.
const QUEUE_LEN: usize = 4;
/// Bytes of a file that are read at once.
const PIECE: usize = 64 << 10;
/// How long a client may leave unread what was written to it.
const UNREAD: Duration = Duration::from_secs(15);
/// Time between two signs of life.
pub(super) const BEAT: Duration = Duration::from_secs(10);

/// How a stream of objects is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum As {
    #[default]
    Sse,
    Jsonl,
}

impl As {
    /// An object as a piece of such a stream.
    pub(super) fn piece(self, object: &serde_json::Value) -> String {
        match self {
            Self::Sse => format!("data: {object}\n\n"),
            Self::Jsonl => format!("{object}\n"),
        }
    }

    /// A sign of life.
    pub(super) fn beat(self) -> &'static str {
        match self {
            Self::Sse => ": still here\n\n",
            Self::Jsonl => "\n",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream; charset=utf-8",
            Self::Jsonl => "application/x-ndjson; charset=utf-8",
        }
    }
}

/// Answers that go on.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    places: Arc<Mutex<Places>>,
    /// Whether the server ends.
    ending: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Places {
    begun: u64,
    /// What keeps them open, oldest first.
    open: BTreeMap<u64, oneshot::Sender<()>>,
}

fn locked(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end that a task writes to.
pub(super) struct Pen {
    pieces: mpsc::Sender<Bytes>,
    ending: watch::Receiver<bool>,
    places: Arc<Mutex<Places>>,
    number: u64,
}

impl Pen {
    /// Writes a piece, when there is room; says whether anybody reads any more.
    pub(super) async fn write(&self, text: impl Into<Bytes>) -> bool {
        self.pieces.send(text.into()).await.is_ok()
    }

    /// Waits until nobody reads any more.
    pub(super) async fn closed(&self) {
        self.pieces.closed().await;
    }

    /// Whether the server ends: what is written now is the last.
    pub(super) fn is_last(&self) -> bool {
        *self.ending.borrow()
    }

    /// Waits until the server ends.
    pub(super) async fn ends(&self) {
        // Whoever would tell is there as long as anybody is answered.
        let _ = self.ending.clone().wait_for(|ends| *ends).await;
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        let keep = locked(&self.places).open.remove(&self.number);
        keep.map(|keep| keep.send(()));
    }
}

impl Feeds {
    /// Answers that go on now.
    pub(super) fn open(&self) -> usize {
        locked(&self.places).open.len()
    }

    /// Asks all of them to come to their end.
    pub(super) fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Tells when they are asked to.
    pub(super) fn ending(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// An answer, and the pen to write it with.
    pub(super) fn begin(&self, form: As) -> (Pen, Response) {
        let (pieces, read) = mpsc::channel(QUEUE_LEN);
        let (keep, kept) = oneshot::channel();
        let mut places = locked(&self.places);
        if places.open.len() >= FEEDS {
            places.open.pop_first();
        }
        places.begun += 1;
        let number = places.begun;
        places.open.insert(number, keep);
        let body = Body::new(Pieces { read, kept: Some(kept) });
        let built = Response::builder().header(CONTENT_TYPE, form.kind()).body(body);
        let pen = Pen { pieces, ending: self.ending(), places: Arc::clone(&self.places), number };
        (pen, built.unwrap_or_default())
    }
}

/// The end that the client reads from.
struct Pieces {
    read: mpsc::Receiver<Bytes>,
    /// Told when all is written; it breaks when the place is another's.
    kept: Option<oneshot::Receiver<()>>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(Poll::Ready(end)) = self.kept.as_mut().map(|kept| Pin::new(kept).poll(cx)) {
            self.kept = None;
            if end.is_err() {
                // The connection ends with it: the client sees that it was cut off.
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
            }
        }
        self.read.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A file as an answer, piece by piece.
pub(super) fn of_file(mut file: File) -> Body {
    let (pieces, read) = mpsc::channel(QUEUE_LEN);
    tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(n @ 1..) = file.read(&mut piece) {
            if pieces.blocking_send(Bytes::copy_from_slice(&piece[..n])).is_err() {
                return;
            }
        }
    });
    Body::new(Pieces { read, kept: None })
}

/// A connection whose client must read.
pub(super) struct Patient {
    stream: TcpStream,
    /// When it is over, while something is unread.
    end: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, end: None }
    }

    /// What became of writing; waiting too long is an error.
    fn within<T>(&mut self, wrote: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.end = None;
            return wrote;
        }
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(UNREAD)));
        ready!(end.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.within(wrote, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.within(wrote, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
