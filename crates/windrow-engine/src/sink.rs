//! WRITE: sinks of pages, rejects and lineage.
//!
//! ```text
//! loop ── stage(batch) ──> sink   reversible: what is staged can still be dropped
//! loop ── seal(epoch)  ──> sink   durable, not yet in view; gives the list of files for the manifest
//! loop ── (manifest)              the point of no return
//! loop ── publish(files) ──>      in view; may be repeated
//! ```

pub mod memory;
pub mod parquet;
pub mod topics;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windrow_core::pipeline::{Outcome, Prepared};
use windrow_core::record::Micros;

use crate::error::Result;
use crate::kafka::commits::Commit;

/// One kind of output; each has a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Pages with their decisions.
    Pages,
    /// Rows that did not become pages.
    Rejects,
    /// What happened to clusters.
    Lineage,
}

impl Family {
    /// Every family there is.
    pub const ALL: [Self; 3] = [Self::Pages, Self::Rejects, Self::Lineage];

    /// Name of its folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Rejects => "rejects",
            Self::Lineage => "lineage",
        }
    }
}

/// A file that a manifest has published or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedFile {
    /// What it holds.
    pub family: Family,
    /// Its name in the folder of its family.
    pub name: String,
    /// The epoch it belongs to.
    pub epoch: u64,
    /// Rows in it.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// CRC-32 of its bytes.
    pub crc32: u32,
}

/// A learnt batch on its way to a sink.
#[derive(Debug, Default)]
pub struct Staged {
    /// Epoch that the batch belongs to.
    pub epoch: u64,
    /// When it was handed over.
    pub at: Micros,
    /// Names of the sources, by ordinal.
    pub sources: Arc<[String]>,
    /// Pages and rejects.
    pub prepared: Prepared,
    /// Decisions, labels and lineage.
    pub outcome: Outcome,
}

/// Where a run's outputs go.
pub trait Sink {
    /// Hands a batch over.
    fn stage(&mut self, staged: Staged) -> Result<()>;

    /// Bytes written since the last seal, about.
    fn staged_bytes(&self) -> u64;

    /// Ends an epoch: what was staged in it becomes visible where pages are visible before the roll.
    fn end_epoch(&mut self, _commit: Commit) -> Result<()> {
        Ok(())
    }

    /// Makes everything staged durable under `epoch`, without showing it, and says what there is. Nothing staged: no files.
    fn seal(&mut self, epoch: u64) -> Result<Vec<PublishedFile>>;

    /// Where the commit record of the last epoch stands in its topic, once sealed; none without topics.
    fn commits(&self) -> Option<u64> {
        None
    }

    /// Asks not to wait long for brokers any more: the run is to end.
    fn hurry(&mut self) {}

    /// Shows sealed files. Files that are already in view are left alone, so that it can be repeated.
    fn publish(&mut self, files: &[PublishedFile]) -> Result<()>;
}

#[cfg(test)]
mod tests;
