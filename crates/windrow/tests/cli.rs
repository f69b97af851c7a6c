//! Black-box tests of the command: what people and programs see of it.
//!
//! `rig` runs the built binary in a folder of its own; each case is a few lines. Help pages are kept under tests/cli/help and made
//! anew with `WINDROW_UPDATE=1 cargo test -p windrow --test cli`.

#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[path = "cli/clean.rs"]
mod clean;
#[path = "cli/contract.rs"]
mod contract;
#[path = "cli/docs.rs"]
mod docs;
#[path = "cli/edits.rs"]
mod edits;
#[path = "cli/eval.rs"]
mod eval;
#[path = "cli/follow.rs"]
mod follow;
#[path = "cli/keep.rs"]
mod keep;
#[path = "cli/kmeans.rs"]
mod kmeans;
#[path = "cli/original.rs"]
mod original;
#[path = "cli/replay.rs"]
mod replay;
#[path = "cli/rig.rs"]
mod rig;
#[path = "cli/sample.rs"]
mod sample;
#[path = "cli/serve.rs"]
mod serve;
#[path = "cli/service.rs"]
mod service;
#[path = "cli/shapes.rs"]
mod shapes;
#[path = "cli/status.rs"]
mod status;
#[path = "cli/stdin.rs"]
mod stdin;
