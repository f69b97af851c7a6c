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

use crate::checkpoint::manifest::Manifest;
use crate::checkpoint::{Committed, Layout, Reading};
use crate::error::Result;
use crate::lookup::column;
use crate::published::each_batch;
use crate::rejects::text;
use crate::sink::Family;

const COLUMNS: [&str; 5] = ["event", "cluster", "into_cluster", "micro_cluster", "into_micro_cluster"];

/// What an event changes about where pages are.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The micro-cluster is in this cluster now.
    Home(MicroId, ClusterId),
    /// It was taken in by another one, in this cluster.
    Merged(MicroId, (MicroId, ClusterId)),
    /// The cluster has ended, and another one stands for it.
    StandsFor(ClusterId, ClusterId),
    /// The cluster was just parted from another one: its micro-clusters follow.
    Parted(ClusterId),
}

/// Hands over what the published lineage says, oldest first, with the code of the event and the commit that has it.
fn each_step(layout: &Layout, manifest: &Manifest, each: &mut dyn FnMut(Step, &str, u64)) -> Result<()> {
    let files = manifest.all_files(&layout.history())?;
    for file in files.iter().filter(|file| file.family == Family::Lineage) {
        each_batch(&layout.out, file, &COLUMNS, &mut |batch, _| {
            steps(batch, &mut |step, event| each(step, event, file.epoch))
        })?;
    }
    Ok(())
}

fn steps(batch: &RecordBatch, each: &mut dyn FnMut(Step, &str)) -> Result<()> {
    let int = |name: &str| -> Result<&Int32Array> { Ok(column(batch, name)?.as_primitive::<Int32Type>()) };
    let long = |name: &str| -> Result<&Int64Array> { Ok(column(batch, name)?.as_primitive::<Int64Type>()) };
    let (events, cluster, into_cluster) = (column(batch, "event")?, int("cluster")?, int("into_cluster")?);
    let (micro, into_micro) = (long("micro_cluster")?, long("into_micro_cluster")?);
    let id = |column: &Int32Array, row: usize| column.value(row).cast_unsigned();
    let micro_id = |column: &Int64Array, row: usize| column.value(row).cast_unsigned();
    for row in 0..batch.num_rows() {
        let event = text(events, row);
        let step = match event {
            "micro_moved" | "micro_placed" => Step::Home(micro_id(micro, row), id(cluster, row)),
            "micro_merged" => Step::Merged(micro_id(micro, row), (micro_id(into_micro, row), id(into_cluster, row))),
            "cluster_merged" | "cluster_back" => Step::StandsFor(id(cluster, row), id(into_cluster, row)),
            "cluster_split" => Step::Parted(id(cluster, row)),
            _ => continue,
        };
        each(step, event);
    }
    Ok(())
}

/// Where one page is now, as `Current` says of all of them, and what brought it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// The micro-cluster that has the page's now.
    pub micro_cluster: MicroId,
    /// The event that brought it to its cluster and the commit that has it; none where that is the one of its arrival.
    pub moved: Option<(String, u64)>,
    /// The cluster of its micro-cluster and those that stand for it, the last of which it is in.
    clusters: Vec<ClusterId>,
    parted: Option<ClusterId>,
}

impl Whereabouts {
    /// Of a page that went to this cluster with this micro-cluster.
    ///
    /// # Errors
    /// `E-OUTPUT-READ`: a file cannot be read.
    pub fn of(reading: &Reading, micro: MicroId, cluster: ClusterId) -> Result<Self> {
        let mut page = Self::at_arrival(micro, cluster);
        each_step(&reading.layout, &reading.manifest, &mut |step, event, commit| page.follow(step, event, commit))?;
        let is_elsewhere = page.cluster() != cluster;
        page.moved = page.moved.filter(|_| is_elsewhere);
        Ok(page)
    }

    fn at_arrival(micro_cluster: MicroId, cluster: ClusterId) -> Self {
        Self { micro_cluster, moved: None, clusters: vec![cluster], parted: None }
    }

    /// The cluster that it is in.
    pub fn cluster(&self) -> ClusterId {
        *self.clusters.last().expect("the cluster of the micro-cluster")
    }

    fn follow(&mut self, step: Step, event: &str, commit: u64) {
        let (before, mut event) = (self.cluster(), event);
        match step {
            Step::Home(micro, cluster) if micro == self.micro_cluster => {
                self.clusters = vec![cluster];
                if self.parted == Some(cluster) {
                    event = "cluster_split";
                }
            }
            Step::Merged(micro, (into, cluster)) if micro == self.micro_cluster => {
                self.micro_cluster = into;
                self.clusters = vec![cluster];
            }
            Step::StandsFor(_, into) if into == before && event == "cluster_back" => {
                self.moved = Some((event.to_owned(), commit));
            }
            Step::StandsFor(ended, into) => {
                if let Some(at) = self.clusters.iter().position(|cluster| *cluster == ended) {
                    self.clusters.truncate(at + 1);
                    self.clusters.push(into);
                }
            }
            Step::Parted(cluster) => self.parted = Some(cluster),
            Step::Home(..) | Step::Merged(..) => {}
        }
        if self.cluster() != before {
            self.moved = Some((event.to_owned(), commit));
        }
    }
}

/// What the lineage says of micro-clusters and clusters that are elsewhere now; some 20 bytes for each.
#[derive(Debug, Clone, Default)]
pub struct Current {
    /// The cluster of a micro-cluster that ever moved.
    home: HashMap<MicroId, ClusterId>,
    /// What took a micro-cluster in, and its cluster then.
    merged: HashMap<MicroId, (MicroId, ClusterId)>,
    heirs: Heirs,
}

/// What stands for clusters that have ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heirs(HashMap<ClusterId, ClusterId>);

impl Heirs {
    pub(crate) fn insert(&mut self, ended: ClusterId, stands_for: ClusterId) {
        self.0.insert(ended, stands_for);
    }

    /// The cluster that stands for this one now; itself, where none does.
    pub(crate) fn of(&self, mut cluster: ClusterId) -> ClusterId {
        // What stands for another one was alive when that ended: this comes to an end.
        while let Some(&next) = self.0.get(&cluster) {
            cluster = next;
        }
        cluster
    }
}

impl Current {
    /// What the published lineage says.
    ///
    /// # Errors
    /// `E-OUTPUT-READ`: a file cannot be read.
    pub fn read(committed: &Committed) -> Result<Self> {
        let mut current = Self::default();
        each_step(&committed.layout, &committed.manifest, &mut |step, _, _| current.take(step))?;
        Ok(current)
    }

    /// What happens next.
    pub fn follow(&mut self, event: &LineageEvent) {
        self.take(match event.happening {
            Happening::MicroMoved { micro_cluster, .. } | Happening::MicroPlaced { micro_cluster, .. } => {
                Step::Home(micro_cluster, event.cluster)
            }
            Happening::MicroMerged { micro_cluster, into, into_cluster, .. } => {
                Step::Merged(micro_cluster, (into, into_cluster))
            }
            Happening::ClusterMerged { into } | Happening::ClusterBack { into } => Step::StandsFor(event.cluster, into),
            _ => return,
        });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Home(micro, cluster) => _ = self.home.insert(micro, cluster),
            Step::Merged(micro, into) => {
                self.home.remove(&micro);
                self.merged.insert(micro, into);
            }
            Step::StandsFor(ended, into) => self.heirs.insert(ended, into),
            Step::Parted(_) => {}
        }
    }

    /// Where a page is now that went to this cluster with this micro-cluster.
    pub fn of(&self, micro: MicroId, cluster: ClusterId) -> ClusterId {
        let (mut micro, mut cluster) = (micro, cluster);
        while let Some(&(into, home)) = self.merged.get(&micro) {
            (micro, cluster) = (into, home);
        }
        self.heirs.of(self.home.get(&micro).copied().unwrap_or(cluster))
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

    #[test]
    fn one_page_is_where_all_are_and_knows_why() {
        let steps = [
            (Step::Home(10, 2), "micro_moved"),
            (Step::Merged(10, (11, 3)), "micro_merged"),
            (Step::Home(11, 4), "micro_placed"),
            (Step::StandsFor(4, 5), "cluster_merged"),
            (Step::Home(11, 5), "micro_placed"),
            (Step::Home(12, 5), "micro_placed"),
            (Step::StandsFor(5, 6), "cluster_merged"),
            (Step::Parted(7), "cluster_split"),
            (Step::Home(12, 7), "micro_placed"),
            (Step::StandsFor(4, 7), "cluster_back"),
            (Step::Parted(8), "cluster_split"),
            (Step::Home(13, 8), "micro_placed"),
        ];
        let mut current = Current::default();
        steps.iter().for_each(|(step, _)| current.take(*step));
        let now = |micro, cluster| {
            let mut page = Whereabouts::at_arrival(micro, cluster);
            (1..).zip(steps).for_each(|(commit, (step, event))| page.follow(step, event, commit));
            assert_eq!(page.cluster(), current.of(micro, cluster), "theme {micro} of {cluster}");
            (page.cluster(), page.micro_cluster, page.moved.map(|(event, commit)| format!("{event} {commit}")))
        };
        let told = |event: &str| Some(event.to_owned());
        assert_eq!(now(99, 1), (1, 99, None), "nothing happened to it");
        assert_eq!(now(10, 1), (6, 11, told("cluster_merged 7")));
        assert_eq!(now(12, 4), (7, 12, told("cluster_back 10")), "parted to come back");
        assert_eq!(now(99, 4), (7, 99, told("cluster_back 10")), "without a living theme");
        assert_eq!(now(13, 1), (8, 13, told("cluster_split 12")));
    }
}
