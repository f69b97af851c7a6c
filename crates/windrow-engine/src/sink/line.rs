//! One line of the lineage as outputs have it.

use serde::Serialize;
use windrow_core::lineage::Happening;

/// Flat: what an event does not have is missing.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slot: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) micro_cluster: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from_cluster: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) into_micro_cluster: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) into_cluster: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pinned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pages: Option<u64>,
}

/// The code of an event, and what it has to say.
pub(super) fn flatten(happening: &Happening) -> (&'static str, Line<'_>) {
    let none = Line::default();
    match happening {
        Happening::ClusterBorn { slot, micro_cluster } => {
            ("cluster_born", Line { slot: Some(*slot), micro_cluster: Some(*micro_cluster), ..none })
        }
        Happening::ClusterDied { slot } => ("cluster_died", Line { slot: Some(*slot), ..none }),
        Happening::MicroMoved { micro_cluster, from } => {
            ("micro_moved", Line { micro_cluster: Some(*micro_cluster), from_cluster: Some(*from), ..none })
        }
        Happening::MicroMerged { micro_cluster, into, into_cluster } => (
            "micro_merged",
            Line {
                micro_cluster: Some(*micro_cluster),
                into_micro_cluster: Some(*into),
                into_cluster: Some(*into_cluster),
                ..none
            },
        ),
        Happening::MicroFaded { micro_cluster, n_pages } => {
            ("micro_faded", Line { micro_cluster: Some(*micro_cluster), pages: Some(*n_pages), ..none })
        }
        Happening::Relabelled { label } => ("relabelled", Line { label: Some(label), ..none }),
        Happening::Renamed { label } => ("renamed", Line { label: Some(label), ..none }),
        Happening::Pinned { pinned } => ("pinned", Line { pinned: Some(*pinned), ..none }),
        Happening::MicroPlaced { micro_cluster, from } => {
            ("micro_placed", Line { micro_cluster: Some(*micro_cluster), from_cluster: Some(*from), ..none })
        }
        Happening::MicroReleased { micro_cluster } => ("micro_released", Line { micro_cluster: Some(*micro_cluster), ..none }),
        Happening::ClusterMerged { into } => ("cluster_merged", Line { into_cluster: Some(*into), ..none }),
        Happening::ClusterSplit { from, n_pages } => {
            ("cluster_split", Line { from_cluster: Some(*from), pages: Some(*n_pages), ..none })
        }
        Happening::ClusterBack { into } => ("cluster_back", Line { into_cluster: Some(*into), ..none }),
        Happening::Undone => ("undone", none),
    }
}
