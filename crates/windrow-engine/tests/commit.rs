//! Runs from files to Parquet: what is committed stays, what is not is learnt again, and nothing else is ever visible.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "commit/copy.rs"]
mod copy;
#[path = "commit/rig.rs"]
mod rig;

#[path = "commit/audit.rs"]
mod audit;
#[path = "commit/blocks.rs"]
mod blocks;
#[path = "commit/bombs.rs"]
mod bombs;
#[path = "commit/changes.rs"]
mod changes;
#[path = "commit/damage.rs"]
mod damage;
#[path = "commit/drift.rs"]
mod drift;
#[path = "commit/duplicates.rs"]
mod duplicates;
#[path = "commit/edits.rs"]
mod edits;
#[path = "commit/history.rs"]
mod history;
#[path = "commit/keep.rs"]
mod keep;
#[path = "commit/order.rs"]
mod order;
#[path = "commit/readers.rs"]
mod readers;
#[path = "commit/shapes.rs"]
mod shapes;
#[path = "commit/upgrade.rs"]
mod upgrade;
