//! What a run will need of the brokers, looked at before it starts: nothing is written to any topic.
//!
//! ```text
//! ask    brokers, topics, rights, properties, a transaction's beginning     → Facts
//! judge  Facts and settings                                                 → one verdict a subject, with what to do
//! ```
//!
//! Two things cannot be seen without trying. Whether a coordinator of transactions answers is tried with an id of its own
//! (`windrow-check`), which never fences a run and which brokers forget after a week. A broker's clock is seen only in what it stamped.

mod ask;
mod judge;

use crate::clock::Clock;
use crate::error::Error;
use crate::settings::Settings;

use super::Broker;

/// How one subject stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The subject in a word.
    pub what: &'static str,
    /// How it stands: a sentence, or the sentence of the error.
    pub told: Result<String, Error>,
}

impl Verdict {
    fn fine(what: &'static str, told: String) -> Self {
        Self { what, told: Ok(told) }
    }

    fn bad(what: &'static str, error: Error) -> Self {
        Self { what, told: Err(error) }
    }
}

/// Looks at everything.
pub fn examine(settings: &Settings, clock: &dyn Clock) -> Vec<Verdict> {
    let asked = Broker::new(&settings.kafka).and_then(|broker| {
        let found = broker.look()?;
        Ok((broker, found))
    });
    let (broker, found) = match asked {
        Ok(asked) => asked,
        Err(error) => return vec![Verdict::bad("brokers", error)],
    };
    match ask::ask(&broker, found, settings, clock) {
        Ok(facts) => judge::judge(&facts, settings, broker.watcher.asked()),
        Err(error) => vec![Verdict::bad("topics", error)],
    }
}
