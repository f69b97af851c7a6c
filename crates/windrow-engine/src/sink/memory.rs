//! A sink that keeps everything in memory: the second implementation, which keeps the contract honest, and a sink for tests.

use windrow_core::cluster::Decision;
use windrow_core::lineage::LineageEvent;
use windrow_core::record::{RecordId, RejectReason};

use crate::error::Result;
use crate::sink::{Family, PublishedFile, Sink, Staged};

/// Everything that was published, and what is still staged.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct MemorySink {
    /// What readers may see.
    pub published: Rows,
    staged: Rows,
    sealed: Rows,
}

/// Rows of all families, in order.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Rows {
    /// Pages with decision and label.
    pub pages: Vec<(RecordId, Decision, String)>,
    /// Rejects.
    pub rejects: Vec<(RecordId, RejectReason, Vec<u8>)>,
    /// Lineage.
    pub lineage: Vec<LineageEvent>,
}

impl Rows {
    fn append(&mut self, mut other: Self) {
        self.pages.append(&mut other.pages);
        self.rejects.append(&mut other.rejects);
        self.lineage.append(&mut other.lineage);
    }
}

impl Sink for MemorySink {
    fn stage(&mut self, staged: Staged) -> Result<()> {
        let Staged { prepared, outcome, .. } = staged;
        for (index, (origin, decision)) in prepared.pages.origin.iter().zip(&outcome.decisions).enumerate() {
            let label = outcome.labels[outcome.label[index] as usize].clone();
            self.staged.pages.push((*origin, *decision, label));
        }
        self.staged.rejects.extend(prepared.rejects.into_iter().map(|reject| (reject.origin, reject.reason, reject.raw)));
        self.staged.lineage.extend(outcome.lineage);
        Ok(())
    }

    fn staged_bytes(&self) -> u64 {
        0
    }

    fn seal(&mut self, epoch: u64) -> Result<Vec<PublishedFile>> {
        let staged = std::mem::take(&mut self.staged);
        let n_rows = [
            (Family::Pages, staged.pages.len()),
            (Family::Rejects, staged.rejects.len()),
            (Family::Lineage, staged.lineage.len()),
        ];
        self.sealed.append(staged);
        let file = |(family, rows)| PublishedFile {
            family,
            name: format!("memory-{epoch}"),
            epoch,
            rows: rows as u64,
            bytes: 0,
            crc32: 0,
        };
        Ok(n_rows.into_iter().filter(|(_, rows)| *rows > 0).map(file).collect())
    }

    fn publish(&mut self, _files: &[PublishedFile]) -> Result<()> {
        self.published.append(std::mem::take(&mut self.sealed));
        Ok(())
    }
}
