//! A proxy on loopback before a broker: what a bad network does, done on purpose and counted.
//!
//! ```text
//! client ── frames ──> reader ── line, each frame with its due time ──> writer ──> broker
//!        <── frames ── writer <── line ────────────────────────────── reader <──
//! ```
//!
//! Frames of Kafka's protocol (a length of four bytes in front) are passed on whole. Of a request the key of its call and its number are
//! read, so that the answer to one kind of call can be cut off alone: the broker has done what was asked, and the client does not know.
//! The broker must advertise the proxy's address, so that no connection goes around it. A fault that hit nothing proves nothing: each is
//! counted when it hits.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_socket_linger;

use crate::shell::{Watch, let_pass};

/// The key of the call that ends a transaction, and the version from which on it has tags.
const END_TXN: i16 = 26;
const END_TXN_TAGGED: i16 = 3;
/// Frames that may be under way in one direction of a connection.
const LINE: usize = 256;
/// The longest frame that anybody sends here.
const LONGEST: usize = 128 << 20;

/// What is done to frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Each frame takes this long, in either direction.
    Delay(Duration),
    /// Frames are swallowed, and connections taken that lead nowhere. Who lost one stays cut off, also when it is over.
    BlackHole,
    /// The answer that a transaction is committed is dropped, and its connection closed.
    CutCommits,
}

/// How often a fault has hit.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pub(super) delayed: AtomicU64,
    pub(super) swallowed: AtomicU64,
    pub(super) reset: AtomicU64,
    pub(super) cut: AtomicU64,
}

fn hit(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What a client has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    key: i16,
    version: i16,
    /// Of the call that ends a transaction: whether it is to be committed.
    commits: bool,
}

impl Call {
    /// Number and call of a request: length, key, version, number, and more; what ends a transaction says at its end whether to commit.
    fn of(frame: &[u8]) -> Option<(i32, Self)> {
        let short = |at: usize| Some(i16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
        let (key, version) = (short(4)?, short(6)?);
        let tags = usize::from(version >= END_TXN_TAGGED);
        let commits = key == END_TXN && frame.get(frame.len().checked_sub(1 + tags)?) == Some(&1);
        Some((number(frame, 8)?, Self { key, version, commits }))
    }

    /// Whether an answer says that the transaction is committed: behind length, number, tags and the time to wait comes no error.
    fn is_commit_done(self, answer: &[u8]) -> bool {
        let error = 4 + 4 + usize::from(self.version >= END_TXN_TAGGED) + 4;
        self.commits && answer.get(error..error + 2) == Some(&[0, 0])
    }
}

/// The four bytes at a place, as a number.
fn number(frame: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?))
}

/// What all connections share.
struct Shared {
    fault: Mutex<Fault>,
    hits: Hits,
    alive: Mutex<Vec<Arc<Connection>>>,
    is_over: AtomicBool,
    watch: Watch,
}

impl Shared {
    fn fault(&self) -> Fault {
        *locked(&self.fault)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection of a client, and ours to the broker for it.
struct Connection {
    client: TcpStream,
    broker: TcpStream,
    /// Calls whose answers are awaited, by number.
    asked: Mutex<BTreeMap<i32, Call>>,
    /// It has lost a frame: whatever comes is swallowed.
    is_lost: AtomicBool,
    is_reset: AtomicBool,
}

impl Connection {
    /// Ends it, and wakes up who waits for a frame. The client sees an ordinary end; or a reset, where that was asked for: its socket has
    /// no time to linger, and is closed when the threads have let go of it.
    fn end(&self) {
        // What has ended already is as good.
        let _ = self.broker.shutdown(Shutdown::Both);
        let of_client = if self.is_reset.load(Ordering::Acquire) { Shutdown::Read } else { Shutdown::Both };
        let _ = self.client.shutdown(of_client);
    }

    fn reset(&self) -> Result<()> {
        set_socket_linger(&self.client, Some(Duration::ZERO))?;
        self.is_reset.store(true, Ordering::Release);
        self.end();
        Ok(())
    }
}

/// The proxy; it ends with its value.
pub(super) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on one port of loopback, and passes on to another.
    pub(super) fn start(port: u16, broker: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("port {port} for the proxy"))?;
        let shared = Arc::new(Shared {
            fault: Mutex::default(),
            hits: Hits::default(),
            alive: Mutex::default(),
            is_over: AtomicBool::new(false),
            watch: Watch::start(),
        });
        let all = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().filter_map(std::result::Result::ok) {
                if all.is_over.load(Ordering::Acquire) {
                    return;
                }
                // Without a broker the client is let go, a moment later than it would have been refused.
                if let Ok(broker) = TcpStream::connect(("127.0.0.1", broker)) {
                    serve(client, broker, &all);
                }
            }
        });
        Ok(Self { port, shared })
    }

    /// Where clients connect to.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Does this from now on.
    pub(super) fn set(&self, fault: Fault) {
        *locked(&self.shared.fault) = fault;
    }

    /// Resets all connections that there are.
    pub(super) fn reset_all(&self) -> Result<()> {
        // Those whose threads are gone are in the list alone.
        for connection in locked(&self.shared.alive).drain(..).filter(|one| Arc::strong_count(one) > 1) {
            connection.reset()?;
            hit(&self.shared.hits.reset);
        }
        Ok(())
    }

    pub(super) fn hits(&self) -> &Hits {
        &self.shared.hits
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        for connection in locked(&self.shared.alive).drain(..) {
            connection.end();
        }
        // Wakes up who listens.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Out,
    Back,
}

/// When a frame is due, and the frame.
type Due = (Duration, Vec<u8>);

/// Two directions, each with a thread that reads and one that writes.
fn serve(client: TcpStream, broker: TcpStream, shared: &Arc<Shared>) {
    // Slower at worst.
    let _ = client.set_nodelay(true).and_then(|()| broker.set_nodelay(true));
    let (is_lost, is_reset) = Default::default();
    let connection = Arc::new(Connection { client, broker, asked: Mutex::default(), is_lost, is_reset });
    let mut alive = locked(&shared.alive);
    alive.retain(|one| Arc::strong_count(one) > 1);
    alive.push(Arc::clone(&connection));
    for way in [Way::Out, Way::Back] {
        let (line, due) = sync_channel::<Due>(LINE);
        let (reading, writing) = (Arc::clone(&connection), Arc::clone(&connection));
        let (all, watched) = (Arc::clone(shared), Arc::clone(shared));
        thread::spawn(move || {
            // Whatever ends one direction ends both.
            let _ = read(&reading, way, &all, &line);
            reading.end();
        });
        thread::spawn(move || {
            let mut to = if way == Way::Out { &writing.broker } else { &writing.client };
            for (time, frame) in due {
                let_pass(time.saturating_sub(watched.watch.elapsed()));
                if to.write_all(&frame).is_err() {
                    break;
                }
            }
            writing.end();
        });
    }
}

/// Reads frames until there are no more, and puts those that are to go on into the line.
fn read(connection: &Connection, way: Way, shared: &Shared, line: &SyncSender<Due>) -> Result<()> {
    let mut from = if way == Way::Out { &connection.client } else { &connection.broker };
    loop {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let size = usize::try_from(i32::from_be_bytes(length))?;
        ensure!(size <= LONGEST, "a frame of {size} bytes");
        let mut frame = length.to_vec();
        frame.resize(4 + size, 0);
        from.read_exact(&mut frame[4..])?;
        let fault = shared.fault();
        if fault == Fault::BlackHole || connection.is_lost.load(Ordering::Acquire) {
            connection.is_lost.store(true, Ordering::Release);
            hit(&shared.hits.swallowed);
            continue;
        }
        if way == Way::Out {
            locked(&connection.asked).extend(Call::of(&frame));
        } else if let Some(call) = number(&frame, 4).and_then(|number| locked(&connection.asked).remove(&number))
            && fault == Fault::CutCommits
            && call.is_commit_done(&frame)
        {
            hit(&shared.hits.cut);
            return Ok(());
        }
        let wait = match fault {
            Fault::Delay(time) => {
                hit(&shared.hits.delayed);
                time
            }
            _ => Duration::ZERO,
        };
        line.send((shared.watch.elapsed() + wait, frame))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        [&i32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
    }

    /// A request that ends a transaction, as version 1 has it: key, version, number, client, transaction, producer, epoch, commit.
    fn end_txn(number: i32, commit: u8) -> Vec<u8> {
        frame(&[&[0, 26, 0, 1], &number.to_be_bytes(), &[0, 1, b'c', 0, 1, b't'], &[0; 10], &[commit]])
    }

    fn answer(number: i32, error: u8) -> Vec<u8> {
        frame(&[&number.to_be_bytes(), &[0; 4], &[0, error]])
    }

    #[test]
    fn the_answer_to_a_commit_is_known() {
        let (number, call) = Call::of(&end_txn(7, 1)).unwrap();
        assert_eq!((number, call), (7, Call { key: 26, version: 1, commits: true }));
        assert!(call.is_commit_done(&answer(7, 0)) && !call.is_commit_done(&answer(7, 51)));
        assert!(!Call::of(&end_txn(7, 0)).unwrap().1.commits, "a transaction that is given up");
        let tagged = Call { version: 3, ..call };
        assert!(tagged.is_commit_done(&frame(&[&[0; 4], &[0], &[0; 4], &[0, 0]])));
        assert_eq!(Call::of(&[0; 6]), None);
    }

    /// A broker that commits whatever it is asked.
    fn broker() -> (Proxy, thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let proxy = Proxy::start(free, port).unwrap();
        let broker = thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut asked = vec![0; end_txn(0, 1).len()];
                while stream.read_exact(&mut asked).is_ok() {
                    let Some((number, call)) = Call::of(&asked) else { return };
                    if number < 0 {
                        return;
                    }
                    assert!(call.commits);
                    stream.write_all(&answer(number, 0)).unwrap();
                }
            }
        });
        (proxy, broker)
    }

    /// What comes back: so many bytes of an answer, or the end, or a reset.
    fn ask(client: &mut TcpStream, number: i32) -> std::io::Result<usize> {
        client.write_all(&end_txn(number, 1))?;
        let mut back = [0; 14];
        client.read(&mut back)
    }

    #[test]
    fn faults_hit_and_are_counted() {
        let (proxy, broker) = broker();
        let connect = || TcpStream::connect(proxy.address()).unwrap();
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (mut client, mut other) = (connect(), connect());
        assert_eq!(ask(&mut client, 1).unwrap(), 14);
        proxy.set(Fault::Delay(Duration::from_millis(1)));
        assert_eq!(ask(&mut client, 2).unwrap(), 14);
        assert_eq!(counted(&proxy.hits().delayed), 2);
        proxy.set(Fault::CutCommits);
        assert_eq!((ask(&mut client, 3).unwrap(), counted(&proxy.hits().cut)), (0, 1));
        proxy.set(Fault::None);
        // The broker here takes one connection after the other.
        assert_eq!(ask(&mut other, 4).unwrap(), 14);
        proxy.reset_all().unwrap();
        let ended = other.read(&mut [0; 1]).unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
        assert!(counted(&proxy.hits().reset) >= 1);

        let mut lost = connect();
        proxy.set(Fault::BlackHole);
        lost.write_all(&end_txn(5, 1)).unwrap();
        while counted(&proxy.hits().swallowed) == 0 {
            thread::yield_now();
        }
        proxy.set(Fault::None);
        lost.write_all(&end_txn(6, 1)).unwrap();
        while counted(&proxy.hits().swallowed) == 1 {
            thread::yield_now();
        }
        // Says goodbye to the broker, behind the connection that is still open.
        drop(lost);
        let mut last = connect();
        last.write_all(&end_txn(-1, 1)).unwrap();
        // The end comes when the broker has gone.
        let _ = last.read(&mut [0; 1]);
        broker.join().unwrap();
    }
}
