//! Current: where pages are now that were delivered somewhere else.
//!
//! What is published is never touched: a page keeps the cluster of its arrival. The lineage says what became of that: moves of its
//! micro-cluster, merges, and clusters that a user had taken in or brought back.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Int32Array, Int64Array, RecordBatch};
use windrow_core::cluster::{ClusterId, MicroId};
use windrow_core::lineage::{Happening, LineageEvent};

use crate::checkpoint::Committed;
use crate::error::Result;
use crate::lookup::column;
use crate::published::each_batch;
use crate::rejects::text;
use crate::sink::Family;

const COLUMNS: [&str; 5] = ["event", "cluster", "into_cluster", "micro_cluster", "into_micro_cluster"];

/// What the lineage says of micro-clusters and clusters that are elsewhere now; some 20 bytes for each.
#[derive(Debug, Clone, Default)]
pub struct Current {
    /// The cluster of a micro-cluster that ever moved.
    home: HashMap<MicroId, ClusterId>,
    /// What took a micro-cluster in, and its cluster then.
    merged: HashMap<MicroId, (MicroId, ClusterId)>,
    /// What stands for a cluster that has ended.
    stands_for: HashMap<ClusterId, ClusterId>,
}

impl Current {
    /// What the published lineage says.
    ///
    /// # Errors
    /// `E-OUTPUT-READ`: a file cannot be read.
    pub fn read(committed: &Committed) -> Result<Self> {
        let mut current = Self::default();
        let files = committed.manifest.all_files(&committed.layout.history())?;
        for file in files.iter().filter(|file| file.family == Family::Lineage) {
            each_batch(&committed.layout.out, file, &COLUMNS, &mut |batch, _| current.follow_all(batch))?;
        }
        Ok(current)
    }

    fn follow_all(&mut self, batch: &RecordBatch) -> Result<()> {
        let int = |name: &str| -> Result<&Int32Array> { Ok(column(batch, name)?.as_primitive::<Int32Type>()) };
        let long = |name: &str| -> Result<&Int64Array> { Ok(column(batch, name)?.as_primitive::<Int64Type>()) };
        let (events, cluster, into_cluster) = (column(batch, "event")?, int("cluster")?, int("into_cluster")?);
        let (micro, into_micro) = (long("micro_cluster")?, long("into_micro_cluster")?);
        let id = |column: &Int32Array, row: usize| column.value(row).cast_unsigned();
        let micro_id = |column: &Int64Array, row: usize| column.value(row).cast_unsigned();
        for row in 0..batch.num_rows() {
            match text(events, row) {
                "micro_moved" | "micro_placed" => self.move_to(micro_id(micro, row), id(cluster, row)),
                "micro_merged" => self.merge(micro_id(micro, row), (micro_id(into_micro, row), id(into_cluster, row))),
                "cluster_merged" | "cluster_back" => _ = self.stands_for.insert(id(cluster, row), id(into_cluster, row)),
                _ => {}
            }
        }
        Ok(())
    }

    /// What happens next.
    pub fn follow(&mut self, event: &LineageEvent) {
        match event.happening {
            Happening::MicroMoved { micro_cluster, .. } | Happening::MicroPlaced { micro_cluster, .. } => {
                self.move_to(micro_cluster, event.cluster);
            }
            Happening::MicroMerged { micro_cluster, into, into_cluster, .. } => self.merge(micro_cluster, (into, into_cluster)),
            Happening::ClusterMerged { into } | Happening::ClusterBack { into } => {
                self.stands_for.insert(event.cluster, into);
            }
            _ => {}
        }
    }

    fn move_to(&mut self, micro: MicroId, cluster: ClusterId) {
        self.home.insert(micro, cluster);
    }

    fn merge(&mut self, micro: MicroId, into: (MicroId, ClusterId)) {
        self.home.remove(&micro);
        self.merged.insert(micro, into);
    }

    /// Where a page is now that went to this cluster with this micro-cluster.
    pub fn of(&self, micro: MicroId, cluster: ClusterId) -> ClusterId {
        let (mut micro, mut cluster) = (micro, cluster);
        while let Some(&(into, home)) = self.merged.get(&micro) {
            (micro, cluster) = (into, home);
        }
        let mut cluster = self.home.get(&micro).copied().unwrap_or(cluster);
        // What stands for another one was alive when that ended: this comes to an end.
        while let Some(&next) = self.stands_for.get(&cluster) {
            cluster = next;
        }
        cluster
    }

    /// The same for each row of a batch of pages.
    pub(crate) fn of_pages(&self, batch: &RecordBatch) -> Result<Int32Array> {
        let micro = column(batch, "micro_cluster")?.as_primitive::<Int64Type>();
        let cluster = column(batch, "cluster")?.as_primitive::<Int32Type>();
        let pairs = micro.values().iter().zip(cluster.values());
        Ok(pairs.map(|(micro, cluster)| self.of(micro.cast_unsigned(), cluster.cast_unsigned()).cast_signed()).collect())
    }
}

#[cfg(test)]
mod tests {
    use windrow_core::lineage::{Move, Near};

    use super::*;

    #[test]
    fn pages_follow_their_theme_and_their_cluster() {
        let mut current = Current::default();
        let mut happen = |cluster, happening| current.follow(&LineageEvent { position: 0, cluster, happening });
        happen(2, Happening::MicroMoved { micro_cluster: 10, from: 1, why: Move::Opened });
        let why = Near { distance: 0.1, threshold: 0.2 };
        happen(2, Happening::MicroMerged { micro_cluster: 10, into: 11, into_cluster: 3, why });
        happen(4, Happening::MicroPlaced { micro_cluster: 11, from: 3 });
        happen(4, Happening::ClusterMerged { into: 5 });
        happen(5, Happening::MicroPlaced { micro_cluster: 12, from: 4 });
        happen(5, Happening::ClusterMerged { into: 6 });
        happen(4, Happening::ClusterBack { into: 7 });
        happen(7, Happening::MicroPlaced { micro_cluster: 12, from: 5 });
        assert_eq!(current.of(99, 1), 1, "nothing happened to it");
        assert_eq!(current.of(10, 1), 7, "merged into 11, which was placed in 4, which came back as 7");
        assert_eq!(current.of(12, 4), 7);
        assert_eq!(current.of(99, 4), 7);
        assert_eq!(current.of(99, 5), 6);
    }
}
