//! Windrow's engine: everything that touches the world. Reads sources, drives the pure core, writes sinks, commits.

pub mod alarms;
pub mod audit;
pub mod batch;
pub mod changes;
pub mod checkpoint;
pub mod clean;
pub mod clock;
pub mod current;
pub mod disk;
pub mod error;
pub mod eval;
pub mod event;
pub mod export;
pub mod failpoint;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod history;
pub mod kafka;
pub mod lookup;
pub mod observe;
mod published;
pub mod read;
pub mod rejects;
pub mod run;
pub mod search;
pub mod settings;
pub mod sink;
pub mod source;
pub mod status;
