//! Ctrl-C and friends: the first one asks the work to commit and come back, the second one ends the program at once.
//!
//! Whoever only waits (for a commit, for the next picture) waits here, so that a signal wakes it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use windrow_engine::error::{Error, ErrorKind};
use windrow_engine::run::Control;

/// Watches for SIGINT and SIGTERM on a thread of its own.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    signal: Mutex<Option<i32>>,
    came: Condvar,
}

impl Watch {
    /// Begins to watch; the first signal stops `control`.
    pub(crate) fn start(control: &Arc<Control>) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::new(ErrorKind::Environment, "E-SIGNALS", "cannot watch for signals").cause(error);
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let watch = Self { shared: Arc::default() };
        let (shared, control) = (Arc::clone(&watch.shared), Arc::clone(control));
        let listen = move || {
            for signal in signals.forever() {
                let mut first = shared.signal.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_some() {
                    std::process::exit(128 + signal);
                }
                *first = Some(signal);
                shared.came.notify_all();
                if signal == SIGINT { control.interrupt() } else { control.stop() }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(failed)?;
        Ok(watch)
    }

    fn first(&self) -> Option<i32> {
        *self.shared.signal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was Ctrl-C that came first.
    pub(crate) fn was_interrupt(&self) -> bool {
        self.first() == Some(SIGINT)
    }

    /// Waits, but no longer than `timeout`, for a signal; says whether one has come.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let signal = self.shared.signal.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.came.wait_timeout_while(signal, timeout, |signal| signal.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }
}
