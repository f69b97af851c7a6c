//! The reading threads: source -> records -> prepared batches, in the order of the input.
//!
//! ```text
//! source thread ─ RawBatch ─> N preparers ─ Batch ─> sequencer ─ Event ─> the loop
//!       └────────────── one budget in bytes for all that is under way ──────────────┘
//! ```
//!
//! Only the source thread decides where batches are cut, so the events are the same for any number of preparers. The sequencer
//! puts batches back into order and hands each to the loop in person (a channel without places), which is the moment when its
//! bytes leave the budget. An error takes its place in the order: all that was read before it arrives before it.
//!
//! Dropping the [`Reader`] ends all threads and waits for them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use windrow_core::clean::Rules;
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::Preparer;

use crate::batch::{Batch, RawBatch};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::source::Source;
use crate::source::parse::Parser;

/// What a batch costs of the budget for each of its bytes: the bytes, the pages' texts and their terms.
const COST_OF_A_BYTE: usize = 4;

/// Threads that read and prepare; see [`spawn`].
pub struct Reader {
    events: Option<Receiver<Event>>,
    gate: Arc<Gate>,
    threads: Vec<JoinHandle<()>>,
}

impl Reader {
    /// The events, in order: batches, then one [`Event::End`] or [`Event::Failed`], then the channel closes.
    pub fn events(&self) -> &Receiver<Event> {
        self.events.as_ref().expect("taken only when dropped")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Nobody listens. A source that waits for more sees the gate, one that has more finds it closed, and the others end with it.
        self.events = None;
        self.gate.close();
        for thread in self.threads.drain(..) {
            // Threads catch the panics of what they call and report them as events.
            drop(thread.join());
        }
    }
}

/// Starts reading `source` with `threads` (>= 1) preparing threads, each with these weights and rules, and about `budget` bytes under way.
///
/// # Errors
/// `E-THREAD`: the machine gives no threads.
pub fn spawn(
    source: Box<dyn Source>,
    (weights, rules): (&FieldWeights, &Rules),
    threads: usize,
    budget: usize,
) -> Result<Reader> {
    let threads = threads.max(1);
    let gate = Arc::new(Gate::new(budget));
    let (to_preparers, raw) = bounded::<Job>(threads);
    // Without bound, as the gate bounds what is under way.
    let (to_sequencer, prepared) = unbounded::<Done>();
    let (to_loop, events) = bounded::<Event>(0);
    let mut reader = Reader { events: Some(events), gate: Arc::clone(&gate), threads: Vec::with_capacity(threads + 2) };
    let mut start = |name: String, work: Box<dyn FnOnce() + Send>| -> Result<()> {
        let thread = Builder::new().name(name).spawn(work);
        let no_thread = |error| Error::new(ErrorKind::Environment, "E-THREAD", "cannot start a thread").cause(error);
        reader.threads.push(thread.map_err(no_thread)?);
        Ok(())
    };
    for at in 0..threads {
        let (raw, done, preparer) = (raw.clone(), to_sequencer.clone(), Preparer::with_rules(weights.clone(), rules.clone()));
        start(format!("prepare-{at}"), Box::new(move || prepare(&raw, &done, preparer)))?;
    }
    let at_gate = Arc::clone(&gate);
    start("read".to_owned(), Box::new(move || read(source, &at_gate, &to_preparers, &to_sequencer)))?;
    start("order".to_owned(), Box::new(move || put_in_order(&prepared, &to_loop, &gate)))?;
    Ok(reader)
}

/// A batch to prepare, with its number in the order and its cost.
struct Job {
    number: u64,
    cost: usize,
    raw: RawBatch,
}

/// What goes out to the loop at `number`.
struct Done {
    number: u64,
    cost: usize,
    event: Event,
}

/// The source thread.
fn read(mut source: Box<dyn Source>, gate: &Gate, to_preparers: &Sender<Job>, to_sequencer: &Sender<Done>) {
    let mut number = 0;
    loop {
        let next = catch_unwind(AssertUnwindSafe(|| source.next())).unwrap_or_else(|_| Err(panicked("reading the input")));
        let last = match next {
            Ok(Some(raw)) if raw.is_nothing() => {
                if gate.is_closed() {
                    return;
                }
                continue;
            }
            Ok(Some(raw)) => {
                let cost = raw.bytes.len().saturating_mul(COST_OF_A_BYTE);
                if !gate.enter(cost) || to_preparers.send(Job { number, cost, raw }).is_err() {
                    return;
                }
                number += 1;
                continue;
            }
            Ok(None) => Event::End,
            Err(error) => Event::Failed(error),
        };
        // Nobody listens any more when this fails.
        drop(to_sequencer.send(Done { number, cost: 0, event: last }));
        return;
    }
}

/// A preparer thread.
fn prepare(raw: &Receiver<Job>, done: &Sender<Done>, mut preparer: Preparer) {
    let mut parser = Parser::new();
    for Job { number, cost, mut raw } in raw {
        let prepared = catch_unwind(AssertUnwindSafe(|| preparer.prepare(parser.parse(&raw))));
        let event = match prepared {
            Ok(mut prepared) => {
                raw.put_beside(&mut prepared.rejects);
                raw.put_beside(&mut prepared.spare);
                Event::Batch(Box::new(Batch { span: vec![raw.slice], prepared }))
            }
            Err(_) => Event::Failed(panicked(&format!(
                "preparing the rows behind offset {} of input {}",
                raw.slice.from, raw.slice.source
            ))),
        };
        if done.send(Done { number, cost, event }).is_err() {
            return;
        }
    }
}

/// The sequencer thread. When it ends, the gate is closed, so that nobody waits there for ever.
fn put_in_order(prepared: &Receiver<Done>, to_loop: &Sender<Event>, gate: &Gate) {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    'all: for done in prepared {
        waiting.insert(done.number, done);
        while let Some(Done { event, cost, .. }) = waiting.remove(&next) {
            let is_last = !matches!(event, Event::Batch(_));
            if to_loop.send(event).is_err() || is_last {
                break 'all;
            }
            gate.leave(cost);
            next += 1;
        }
    }
    gate.close();
}

fn panicked(doing: &str) -> Error {
    Error::new(ErrorKind::Internal, "E-PANIC", format!("{doing} failed: this is a bug"))
        .hint("report it with the lines printed above; what is committed is whole, and the same command goes on from there")
}

/// Counts the bytes under way. One batch is always let in, so that a batch larger than the budget passes alone.
#[derive(Debug)]
struct Gate {
    budget: usize,
    state: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    inside: usize,
    closed: bool,
}

impl Gate {
    fn new(budget: usize) -> Self {
        Self { budget, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for room; false when the gate has been closed.
    fn enter(&self, cost: usize) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full =
            |counts: &mut Counts| !counts.closed && counts.inside > 0 && counts.inside.saturating_add(cost) > self.budget;
        let mut state = self.changed.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner);
        state.inside += cost;
        !state.closed
    }

    fn leave(&self, cost: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).inside -= cost;
        self.changed.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
