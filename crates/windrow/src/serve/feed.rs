//! Answers that never end: events and lines, written by a task of their own into a bounded channel, as fast as the client reads.
//!
//! A client that reads slowly is told less often; one that does not read at all is cut off by [`Patient`], and nothing waits for it but its
//! own task.

use std::fs::File;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep};

use super::table::{Refused, refusal};

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

/// Places for answers that go on.
#[derive(Debug, Clone)]
pub(super) struct Feeds(Arc<Semaphore>);

impl Default for Feeds {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FEEDS)))
    }
}

/// The end that a task writes to.
pub(super) struct Pen {
    pieces: mpsc::Sender<Bytes>,
    _place: OwnedSemaphorePermit,
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
}

impl Feeds {
    /// Answers that go on now.
    pub(super) fn open(&self) -> usize {
        FEEDS - self.0.available_permits()
    }

    /// An answer, and the pen to write it with.
    pub(super) fn begin(&self, form: As) -> Result<(Pen, Response), Refused> {
        let Ok(place) = Arc::clone(&self.0).try_acquire_owned() else {
            let message = format!("{FEEDS} streams are open");
            return Err(
                refusal(StatusCode::SERVICE_UNAVAILABLE, "E-HTTP-BUSY", &message, "close some, or try again later").into()
            );
        };
        let (pieces, read) = mpsc::channel(QUEUE_LEN);
        let built = Response::builder().header(CONTENT_TYPE, form.kind()).body(Body::new(Pieces(read)));
        Ok((Pen { pieces, _place: place }, built.unwrap_or_default()))
    }
}

/// The end that the client reads from.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
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
    Body::new(Pieces(read))
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
