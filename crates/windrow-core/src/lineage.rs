//! LINEAGE: what happened to clusters and micro-clusters, and what users did to them.

use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterId, MicroId, Slot};

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Happening {
    /// A cluster came to life on a slot, around a micro-cluster.
    ClusterBorn {
        /// Its slot.
        slot: Slot,
        /// Its first micro-cluster.
        micro_cluster: MicroId,
    },
    /// A cluster died; its slot rests.
    ClusterDied {
        /// Its slot.
        slot: Slot,
    },
    /// A micro-cluster went over to this cluster.
    MicroMoved {
        /// The micro-cluster.
        micro_cluster: MicroId,
        /// The cluster it left.
        from: ClusterId,
    },
    /// A micro-cluster of this cluster was merged into another one (of this or another cluster).
    MicroMerged {
        /// The micro-cluster that ended.
        micro_cluster: MicroId,
        /// The micro-cluster that took it in.
        into: MicroId,
        /// The cluster that the mass went to.
        into_cluster: ClusterId,
    },
    /// A micro-cluster of this cluster faded away.
    MicroFaded {
        /// The micro-cluster that ended.
        micro_cluster: MicroId,
        /// Pages that it took in its life, with those of micro-clusters merged into it.
        n_pages: u64,
    },
    /// The cluster's label changed by itself.
    Relabelled {
        /// The new label.
        label: String,
    },
    /// A user named the cluster (an empty name takes the name away).
    Renamed {
        /// The new name.
        label: String,
    },
    /// A user pinned or unpinned the cluster.
    Pinned {
        /// Whether it is pinned now.
        pinned: bool,
    },
}

/// One line of the lineage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineageEvent {
    /// Pages learnt when it happened: it concerns the pages from this one on (counted from 0).
    pub position: u64,
    /// The cluster concerned.
    pub cluster: ClusterId,
    /// What happened.
    pub happening: Happening,
}

/// Longest name of a cluster: it becomes the label of every later page.
pub const MAX_LABEL_CHARS: usize = 120;

/// Whether `label` may become a cluster's name.
pub(crate) fn is_good_name(label: &str) -> bool {
    let unseen =
        |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    label.chars().count() <= MAX_LABEL_CHARS && !label.chars().any(unseen)
}

/// What a user does to the model. Enters through the loop, in the order, and is replayed like a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "edit")]
pub enum Edit {
    /// Name a cluster; an empty label gives the naming back to Windrow.
    Rename {
        /// The cluster.
        cluster: ClusterId,
        /// The name.
        label: String,
    },
    /// Keep a cluster alive on its slot, or let it go again.
    Pin {
        /// The cluster.
        cluster: ClusterId,
        /// Whether it is to be pinned.
        pinned: bool,
    },
}

/// Why an edit was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The cluster is not alive.
    #[error("cluster {0} is not alive")]
    NoSuchCluster(ClusterId),
    /// The name is longer than a label may be, or holds characters that no screen shows as they are.
    #[error("a name has at most {MAX_LABEL_CHARS} characters, none of them for control or direction")]
    BadName,
}
