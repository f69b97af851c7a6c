//! Why a run waits: said here by whoever waits, told to people and written into `state/last.json`.
//!
//! ```text
//! source   its partitions' brokers are silent     ─┐
//! topics   a transaction is not taken or committed ├─ one wait, from the first of them until all go on
//! run      between two attempts                   ─┘
//! ```
//!
//! It is told when it begins, once a minute while it lasts, and when it ends. Nothing is written by time alone: a pipeline that gets on costs
//! nothing here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use windrow_core::record::Micros;

use crate::checkpoint::Layout;
use crate::checkpoint::life::{Life, Waiting};
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::run::Forecast;

/// What takes longer than this is waited for.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// Time between two tellings of one wait.
const AGAIN: Duration = Duration::from_secs(60);

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// What reads the topic.
    Source,
    /// What writes the topics.
    Topics,
    /// The run itself, until it tries once more.
    Run,
}

/// What people are told of a wait.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    /// It has begun.
    Waits(&'a Error),
    /// It lasts.
    Still(&'a Error, Duration),
    /// It is over.
    GoesOn(Duration),
    /// Something that was noticed meanwhile, and stops nothing.
    Note(&'a str),
}

type Listener = dyn Fn(Told<'_>) + Send + Sync;

/// What a run waits for, shared by all who may wait.
#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<Inner>);

struct Inner {
    clock: SystemClock,
    listener: OnceLock<Box<Listener>>,
    state: Mutex<State>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { clock: SystemClock::new(), listener: OnceLock::new(), state: Mutex::default() }
    }
}

#[derive(Default)]
struct State {
    who: BTreeMap<Who, Error>,
    /// When it began, and when it is to be told again.
    began: Duration,
    next: Duration,
    /// Where it is written down.
    kept: Option<(Layout, Life)>,
}

impl Waits {
    /// Tells what was noticed.
    pub(crate) fn note(&self, note: &str) {
        self.tell(Told::Note(note));
    }

    /// Names who is told; the first one named stays.
    pub(crate) fn listen(&self, listener: impl Fn(Told<'_>) + Send + Sync + 'static) {
        let _ = self.0.listener.set(Box::new(listener));
    }

    /// Where it is written down from now on.
    pub(crate) fn keep(&self, layout: &Layout, life: Life) {
        self.state().kept = Some((layout.clone(), life));
    }

    /// Ends the writing down, and every wait without a word.
    pub(crate) fn release(&self) -> Option<(Layout, Life)> {
        let mut state = self.state();
        state.who.clear();
        state.kept.take()
    }

    /// Somebody waits, or still waits. `why` is asked for when it is told.
    pub(crate) fn because(&self, who: Who, why: impl FnOnce() -> Error) {
        self.because_since(self.elapsed(), who, why);
    }

    fn because_since(&self, began: Duration, who: Who, why: impl FnOnce() -> Error) {
        let now = self.elapsed();
        let mut state = self.state();
        let begins = state.who.is_empty();
        if !begins && now < state.next && state.who.contains_key(&who) {
            return;
        }
        let error = why();
        let is_due = begins || now >= state.next;
        if begins {
            state.began = began;
        }
        state.who.insert(who, error.clone());
        let waited = now.saturating_sub(state.began);
        if is_due {
            state.next = now + AGAIN;
        }
        let since = self.0.clock.now().saturating_sub(i64::try_from(waited.as_micros()).unwrap_or(0));
        state.write(Some((&error, since)));
        drop(state);
        if is_due {
            self.tell(if begins { Told::Waits(&error) } else { Told::Still(&error, waited) });
        }
    }

    /// Somebody goes on.
    pub(crate) fn goes_on(&self, who: Who) {
        let mut state = self.state();
        if state.who.remove(&who).is_none() {
            return;
        }
        match state.who.values().next().cloned() {
            Some(other) => {
                let now = self.0.clock.now();
                state.write(Some((&other, now)));
            }
            None => self.end(state),
        }
    }

    /// Writes down what the rest of the run needs. Nothing depends on it.
    pub(super) fn foretell(&self, forecast: Forecast) {
        let mut state = self.state();
        if let Some((layout, life)) = &mut state.kept {
            let _ = life.foretells(layout, forecast);
        }
    }

    /// Everybody goes on.
    pub(crate) fn all_go_on(&self) {
        let mut state = self.state();
        if !state.who.is_empty() {
            state.who.clear();
            self.end(state);
        }
    }

    /// The wall clock.
    pub(crate) fn now(&self) -> Micros {
        self.0.clock.now()
    }

    /// A look at how long something takes.
    pub(crate) fn watch(&self, who: Who) -> Watch<'_> {
        Watch { waits: self, who, began: self.elapsed() }
    }

    fn end(&self, mut state: MutexGuard<'_, State>) {
        state.write(None);
        let waited = self.elapsed().saturating_sub(state.began);
        drop(state);
        self.tell(Told::GoesOn(waited));
    }

    fn tell(&self, told: Told<'_>) {
        if let Some(listener) = self.0.listener.get() {
            listener(told);
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.clock.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, waits: Option<(&Error, i64)>) {
        let Some((layout, life)) = &mut self.kept else { return };
        // Since when is said once: clocks are set, and a file that says the same is not written again.
        let since = life.waits.as_ref().map(|waits| waits.since);
        let waits = waits.map(|(error, began)| Waiting::of(error, since.unwrap_or(began)));
        // Nothing depends on it: a full disk must not end a run that waits for brokers.
        let _ = life.waits(layout, waits);
    }
}

/// Something that may take long.
pub(crate) struct Watch<'a> {
    waits: &'a Waits,
    who: Who,
    began: Duration,
}

impl Watch<'_> {
    /// It is not done yet.
    pub(crate) fn look(&self, why: impl FnOnce() -> Error) {
        if self.waits.elapsed().saturating_sub(self.began) >= SOON {
            self.waits.because_since(self.began, self.who, why);
        }
    }

    /// It is done. Left out when it failed: what comes then goes on waiting.
    pub(crate) fn done(self) {
        if self.waits.elapsed().saturating_sub(self.began) >= SOON {
            self.waits.goes_on(self.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn why(code: &'static str) -> Error {
        Error::new(ErrorKind::Kafka, code, code.to_lowercase())
    }

    #[test]
    fn one_wait_lasts_until_all_go_on_and_is_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout { out: folder.path().into(), state: folder.path().into() };
        let waits = Waits::default();
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        waits.listen(move |one| {
            let text = match one {
                Told::Waits(error) => format!("waits {}", error.code),
                Told::Still(error, _) => format!("still {}", error.code),
                Told::GoesOn(_) => "goes on".into(),
                Told::Note(note) => note.to_owned(),
            };
            heard.lock().unwrap().push(text);
        });
        waits.keep(&layout, Life::begin(&layout, &SystemClock::new()).unwrap());
        let written = || Life::read(&layout).unwrap().waits.map(|waits| waits.code);
        waits.goes_on(Who::Run);
        waits.because(Who::Source, || why("E-1"));
        assert_eq!(written().as_deref(), Some("E-1"));
        waits.because(Who::Source, || panic!("told already"));
        waits.because(Who::Topics, || why("E-2"));
        assert_eq!(written().as_deref(), Some("E-2"));
        let since = Life::read(&layout).unwrap().waits.unwrap().since;
        waits.goes_on(Who::Topics);
        assert_eq!(written().as_deref(), Some("E-1"));
        waits.because(Who::Run, || why("E-3"));
        assert_eq!(Life::read(&layout).unwrap().waits.unwrap().since, since);
        waits.all_go_on();
        assert_eq!(written(), None);
        assert_eq!(*told.lock().unwrap(), ["waits E-1", "goes on"]);
        waits.because(Who::Run, || why("E-4"));
        let (_, life) = waits.release().unwrap();
        assert!(life.waits.is_some());
        waits.all_go_on();
        assert_eq!(told.lock().unwrap().len(), 3, "ended without a word");
    }

    #[test]
    fn what_is_quick_is_not_waited_for() {
        let waits = Waits::default();
        let watch = waits.watch(Who::Topics);
        watch.look(|| panic!("it has only begun"));
        watch.done();
        assert!(waits.state().who.is_empty());
    }
}
