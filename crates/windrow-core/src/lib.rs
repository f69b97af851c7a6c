//! Windrow's pure heart: rows of web pages in, lasting labelled clusters out.
//!
//! Nothing here reads a file, asks the time, starts a thread or draws a random number it was not given.
//! The stages stand in the order in which a row passes them:
//!
//! ```text
//! record ─ clean ─ featurize ─ cluster ─ label ─ lineage        pipeline puts them together
//!          └──── prepare: stateless ───┘ └─ learn: one order ─┘
//! ```

pub mod record;

pub mod clean;

pub mod featurize;

pub mod cluster;

pub mod label;

pub mod lineage;

pub mod kept;

pub mod pipeline;

pub mod map;

pub mod quality;

pub mod snapshot;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
