//! A run that is shown while it goes: what the loop tells of it, and what lies on disk.
//!
//! ```text
//! loop ── after a batch, at most 4 times a second ──> board     counters; the view when somebody looks
//!                                                └──> history   how many pages each cluster has
//! a thread ── after a commit ───────────────────────> history   files
//!          └─ from time to time ────────────────────> board     what the run waits for
//! a thread ── every two seconds, of a topic's brokers > board     how far the run is behind
//! ```
//!
//! The loop waits for nobody here: it takes what time it has, a hundredth at most.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use windrow_core::pipeline::View;
use windrow_core::record::Micros;
use windrow_engine::checkpoint;
use windrow_engine::checkpoint::life::Life;
use windrow_engine::clock::{Clock, SystemClock};
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::kafka::behind::{self, Behind, Offsets};
use windrow_engine::observe::Progress;
use windrow_engine::run::Ended;
use windrow_engine::source::kafka::TopicInput;

use super::board::{Board, Known, Read, Standing};
use super::follow::Follower;
use crate::cmd::status::way_on;

/// Time between two words to the board.
const TELL: Duration = Duration::from_millis(250);
/// Looks without anybody who looks at the board, before the view is made more rarely.
const PATIENCE: u32 = 40;
/// Time between two views that nobody asked for.
const IDLE: Duration = Duration::from_secs(5);
/// A view may cost one part in so many of the loop's time.
const SHARE: u32 = 100;
/// Time between two looks at the disk.
const LOOK: Duration = Duration::from_millis(500);
/// Time between two questions to brokers.
const ASK: Duration = Duration::from_secs(2);

/// What the loop tells of a run.
pub(crate) struct Live<'c> {
    clock: &'c dyn Clock,
    /// Where the run goes.
    place: Follower,
    since: Micros,
    next: Duration,
    /// The commit that was told last.
    epoch: Option<u64>,
    /// When the view was made last, and what it took.
    last_view: Option<(Duration, Duration)>,
    unseen: u32,
    /// When rows were counted last, and how many a second there were.
    last: Option<(Duration, u64)>,
    rate: Option<f64>,
    topic: Option<Topic>,
    disk: Beside,
}

/// The topic that a run reads, and where the run stands in it.
struct Topic {
    name: String,
    at: Arc<Mutex<Offsets>>,
    _brokers: Beside,
}

/// A thread that does something from time to time, until it is dropped.
struct Beside {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl<'c> Live<'c> {
    /// Begins to follow what lies on disk, and what brokers say of the topic that is read.
    pub(crate) fn start(
        mut follower: Follower,
        (topic, memory_bytes): (Option<&TopicInput>, u64),
        clock: &'c dyn Clock,
    ) -> Result<Self, Error> {
        let place = follower.clone();
        let topic = topic.map(|topic| Topic::start(topic, &place.board)).transpose()?;
        let disk = Beside::start("serve-past", LOOK, move || look_at_disk(&mut follower))?;
        let since = clock.now();
        let standing = Standing::Running { pid: std::process::id(), since };
        let memory_budget = Some(memory_bytes);
        place.board.change(|known| Known { standing, is_live: true, memory_budget, ..known.clone() });
        Ok(Self {
            clock,
            place,
            since,
            next: Duration::ZERO,
            epoch: None,
            last_view: None,
            unseen: 0,
            last: None,
            rate: None,
            topic,
            disk,
        })
    }

    /// Tells what the loop has done, when it is time to.
    pub(crate) fn update(&mut self, progress: &Progress<'_>) {
        if progress.elapsed < self.next {
            return;
        }
        self.next = progress.elapsed + TELL;
        let view = self.view(progress);
        self.count(progress);
        if let Some(topic) = &self.topic {
            topic.stands(progress);
        }
        let (rows_per_s, since) = (self.rate, self.since);
        let has_committed = self.epoch.replace(progress.epoch).is_some_and(|before| before != progress.epoch);
        let committed_at = has_committed.then(|| self.clock.now());
        self.place.board.change(|known| Known {
            standing: Standing::Running { pid: std::process::id(), since },
            epoch: (progress.epoch > 0).then_some(progress.epoch),
            committed_at: committed_at.or(known.committed_at),
            committed_rows: progress.committed_rows,
            view: view.unwrap_or_else(|| counted(&known.view, progress)),
            counters: progress.total.clone(),
            is_live: true,
            rows_per_s,
            read: Read::of(progress.positions),
            commits: progress.commits.clone(),
            ..known.clone()
        });
        // Not while a file is being counted: the next time will do.
        if self.place.past.is_whole()
            && let Ok(mut history) = self.place.past.history.try_write()
        {
            history.see(self.clock.now() / 1_000_000, progress.pipeline.delivered());
        }
    }

    /// Tells how the run ended: when, why, and how to go on. Nobody does later.
    pub(crate) fn end(self, ended: Result<Ended, &Error>) {
        // Whoever looks from time to time would say that it goes on.
        drop((self.disk, self.topic));
        let (out, state) = (&self.place.out, self.place.state.as_deref());
        let (reason, message) = match ended {
            Ok(ended) => (ended.code(), None),
            Err(error) => (error.code, Some(error.message.clone())),
        };
        let standing = Standing::Ended { at: self.clock.now(), reason: reason.to_owned(), message };
        let life = checkpoint::Layout::find(out, state).ok().and_then(|layout| Life::read(&layout));
        let resume = life.filter(|life| life.pid == std::process::id()).and_then(|life| way_on(&life));
        // What the last commit holds, without its model: that is known, but for the pages of a moment.
        let committed = checkpoint::read_committed(out, state).ok().flatten().map(|committed| committed.manifest);
        self.place.board.change(|known| {
            let known = Known { standing, resume, waits: None, rows_per_s: None, ..known.clone() };
            let Some(manifest) = committed else { return known };
            let (epoch, committed_at) = (Some(manifest.epoch), Some(manifest.written_at));
            let (committed_rows, counters) = (manifest.counters.rows, manifest.counters);
            Known { epoch, committed_at, committed_rows, counters, ..known }
        });
    }

    /// The view, when somebody looks or it is old, and when its turn has come.
    fn view(&mut self, progress: &Progress<'_>) -> Option<Arc<View>> {
        self.unseen = if self.place.board.was_looked_at() { 0 } else { self.unseen.saturating_add(1) };
        let wait = if self.unseen < PATIENCE { TELL } else { IDLE };
        if progress.elapsed < self.last_view.map_or(Duration::ZERO, |(at, cost)| at + wait.max(cost * SHARE)) {
            return None;
        }
        let began = self.clock.elapsed();
        let view = Arc::new(progress.pipeline.view());
        self.last_view = Some((progress.elapsed, self.clock.elapsed().saturating_sub(began)));
        Some(view)
    }

    fn count(&mut self, progress: &Progress<'_>) {
        let Some((before, rows)) = self.last else {
            self.last = Some((progress.elapsed, progress.run.rows));
            return;
        };
        let seconds = progress.elapsed.saturating_sub(before).as_secs_f64();
        if seconds >= 1.0 {
            self.rate = Some(progress.run.rows.saturating_sub(rows) as f64 / seconds);
            self.last = Some((progress.elapsed, progress.run.rows));
        }
    }
}

/// The view as it was, with the counts of now: the rest of it costs too much for four times a second.
fn counted(before: &Arc<View>, progress: &Progress<'_>) -> Arc<View> {
    if before.pages == progress.total.pages {
        return Arc::clone(before);
    }
    let delivered: BTreeMap<_, _> = progress.pipeline.delivered().collect();
    let mut view = View::clone(before);
    view.pages = progress.total.pages;
    for cluster in &mut view.clusters {
        let Some(pages) = delivered.get(&cluster.cluster) else { continue };
        cluster.now += pages.saturating_sub(cluster.delivered);
        cluster.delivered = *pages;
    }
    Arc::new(view)
}

impl Topic {
    /// Begins to ask its brokers how far the run is behind.
    fn start(input: &TopicInput, board: &Arc<Board>) -> Result<Self, Error> {
        let at: Arc<Mutex<Offsets>> = Arc::default();
        let (name, stands, board) = (input.topic.clone(), Arc::clone(&at), Arc::clone(board));
        let (behind, clock) = (Behind::new(input)?, SystemClock::new());
        let ask = move || {
            let at = stands.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // Before the run has begun nobody knows where it stands.
            let lag = if at.is_empty() { None } else { behind.look(&at, &clock) };
            if board.peek().lag != lag {
                board.change(|known| Known { lag, ..known.clone() });
            }
        };
        Ok(Self { name, at, _brokers: Beside::start("serve-lag", ASK, ask)? })
    }

    fn stands(&self, progress: &Progress<'_>) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = behind::offsets(progress.positions, &self.name);
    }
}

impl Beside {
    fn start(name: &str, every: Duration, mut act: impl FnMut() + Send + 'static) -> Result<Self, Error> {
        let (stop, stopped) = channel();
        let go_on = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                act();
            }
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(go_on).map_err(|error| {
            Error::new(ErrorKind::Environment, "E-THREAD", "cannot start a thread of the server").cause(error)
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads what only the disk tells of a run that goes on in this process.
fn look_at_disk(follower: &mut Follower) {
    let Ok(layout) = checkpoint::Layout::find(&follower.out, follower.state.as_deref()) else { return };
    let waits = Life::read(&layout).filter(|life| life.pid == std::process::id()).and_then(|life| life.waits);
    let waits = waits.map(|waits| waits.message);
    let known = follower.board.peek();
    if known.waits != waits {
        follower.board.change(|known| Known { waits, ..known.clone() });
    }
    if !follower.is_behind(known.epoch) {
        return;
    }
    let read = checkpoint::read_committed(&follower.out, follower.state.as_deref());
    let read = read.and_then(|committed| {
        let Some(committed) = committed else {
            follower.past.complete();
            return Ok(());
        };
        let (epoch, at) = (Some(committed.manifest.epoch), Some(committed.manifest.written_at));
        follower.read_past(&committed)?;
        // Not when the loop has told of a newer one meanwhile.
        follower.board.change(|known| {
            let committed_at = if known.epoch <= epoch { at } else { known.committed_at };
            Known { committed_at, trouble: None, ..known.clone() }
        });
        Ok(())
    });
    if let Err(error) = read {
        follower.board.cannot_read(&error);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use windrow_engine::clock::SystemClock;

    use super::*;

    #[test]
    fn how_a_run_ended_is_told() {
        let clock = SystemClock::new();
        let error = Error::new(ErrorKind::Environment, "E-DISK", "no room");
        for (ended, wanted) in [(Ok(Ended::Stopped), ("stopped", None)), (Err(&error), ("E-DISK", Some("no room")))] {
            let follower = Follower::new(Path::new("none"), None);
            let board = Arc::clone(&follower.board);
            Live::start(follower, (None, 0), &clock).unwrap().end(ended);
            let Standing::Ended { reason, message, .. } = &board.peek().standing else { panic!("{:?}", board.peek()) };
            assert_eq!((reason.as_str(), message.as_deref()), wanted);
        }
    }
}
