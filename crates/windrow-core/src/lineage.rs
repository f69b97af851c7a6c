//! LINEAGE: what happened to clusters and micro-clusters, and what users did to them.

use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterId, MicroId, Slot};

mod evidence;

pub use evidence::{Birth, Death, Evidence, Fade, Move, Near, Relabel};

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Happening {
    /// A cluster came to life on a slot, around a micro-cluster.
    ClusterBorn {
        /// Its slot.
        slot: Slot,
        /// Its first micro-cluster.
        micro_cluster: MicroId,
        /// Why.
        why: Birth,
    },
    /// A cluster died; its slot rests.
    ClusterDied {
        /// Its slot.
        slot: Slot,
        /// Why.
        why: Death,
    },
    /// A micro-cluster went over to this cluster.
    MicroMoved {
        /// The micro-cluster.
        micro_cluster: MicroId,
        /// The cluster it left.
        from: ClusterId,
        /// Why.
        why: Move,
    },
    /// A micro-cluster of this cluster was merged into another one (of this or another cluster).
    MicroMerged {
        /// The micro-cluster that ended.
        micro_cluster: MicroId,
        /// The micro-cluster that took it in.
        into: MicroId,
        /// The cluster that the mass went to.
        into_cluster: ClusterId,
        /// Why.
        why: Near,
    },
    /// A micro-cluster of this cluster faded away.
    MicroFaded {
        /// The micro-cluster that ended.
        micro_cluster: MicroId,
        /// Pages that it took in its life, with those of micro-clusters merged into it.
        n_pages: u64,
        /// Why.
        why: Fade,
    },
    /// The cluster's label changed by itself.
    Relabelled {
        /// The new label.
        label: String,
        /// Why.
        why: Relabel,
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
    /// A user put a micro-cluster into this cluster, where it stays; it may have been there before.
    MicroPlaced {
        /// The micro-cluster.
        micro_cluster: MicroId,
        /// The cluster it left.
        from: ClusterId,
    },
    /// A user let a micro-cluster of this cluster go where its likeness takes it again.
    MicroReleased {
        /// The micro-cluster.
        micro_cluster: MicroId,
    },
    /// A user had this cluster taken in by another one; it dies next.
    ClusterMerged {
        /// The cluster that took it in.
        into: ClusterId,
    },
    /// A user parted this cluster, just born, from another one.
    ClusterSplit {
        /// The cluster that it was part of.
        from: ClusterId,
        /// Pages of micro-clusters that faded already and go with it.
        n_pages: u64,
    },
    /// A user had this ended cluster come back, under another id.
    ClusterBack {
        /// The cluster that stands for it.
        into: ClusterId,
    },
    /// A user took back an edit that concerned the cluster; what that changed comes before.
    Undone,
    /// The cluster's pages are not what they were.
    Drifted {
        /// What is unusual about them.
        alarm: Alarm,
    },
}

/// What is measured of a cluster, to tell when it drifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How far the words of its pages are from those before: one minus the cosine.
    Shift,
    /// How many words its pages are spread over: as many, all equally frequent, would be as broad.
    Breadth,
    /// Share of its pages' words that are new to it.
    NewWords,
    /// Its pages among a thousand of all.
    Volume,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Shift, Self::Breadth, Self::NewWords, Self::Volume];

    /// Its place among them.
    pub const fn place(self) -> usize {
        self as usize
    }

    /// Its name in data.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Shift => "shift",
            Self::Breadth => "breadth",
            Self::NewWords => "new_words",
            Self::Volume => "volume",
        }
    }

    /// The measure of this name.
    pub fn named(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.code() == code)
    }
}

/// What is unusual about a cluster's pages since some position, with the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// What is unusual.
    pub measure: Measure,
    /// Above what is usual, or below.
    pub is_above: bool,
    /// The mean of the windows since then.
    pub value: f64,
    /// Between which values four fifths of the windows before were.
    pub usual: [f64; 2],
    /// Windows since then.
    pub windows: u32,
    /// Windows before that are known.
    pub before: u32,
    /// What fair bets on such windows would have made of one.
    pub odds: f64,
    /// Pages learnt when the first of the windows began.
    pub since: u64,
}

impl Alarm {
    /// Whether its numbers can be shown.
    pub fn is_sound(&self) -> bool {
        [self.value, self.usual[0], self.usual[1], self.odds].iter().all(|number| number.is_finite())
    }
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

/// One line of the lineage as outputs have it. Flat: what an event does not have is missing.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Line<'a> {
    /// Of a birth or a death.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The first of a cluster that is born, the one that went over, was merged or faded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_cluster: Option<u64>,
    /// The cluster that it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_cluster: Option<u32>,
    /// The one that it was merged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into_micro_cluster: Option<u64>,
    /// The cluster of that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into_cluster: Option<u32>,
    /// The new label or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'a str>,
    /// Whether it is pinned now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// Pages that it took in its life; of a death those for which that had come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// What is unusual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<&'static str>,
    /// Above what is usual, or below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<bool>,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Where what is usual begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_from: Option<f64>,
    /// Where it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_to: Option<f64>,
    /// Windows with that value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<u32>,
    /// Windows before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// What fair bets would have made of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub odds: Option<f64>,
    /// Pages learnt when it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Why the model did it.
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// The code of an event, and what it has to say.
pub fn flatten(happening: &Happening) -> (&'static str, Line<'_>) {
    let none = Line::default();
    match happening {
        Happening::ClusterBorn { slot, micro_cluster, why } => {
            ("cluster_born", Line { slot: Some(*slot), micro_cluster: Some(*micro_cluster), evidence: why.evidence(), ..none })
        }
        Happening::ClusterDied { slot, why } => {
            ("cluster_died", Line { slot: Some(*slot), pages: why.pages(), evidence: why.evidence(), ..none })
        }
        Happening::MicroMoved { micro_cluster, from, why } => (
            "micro_moved",
            Line { micro_cluster: Some(*micro_cluster), from_cluster: Some(*from), evidence: why.evidence(), ..none },
        ),
        Happening::MicroMerged { micro_cluster, into, into_cluster, why } => (
            "micro_merged",
            Line {
                micro_cluster: Some(*micro_cluster),
                into_micro_cluster: Some(*into),
                into_cluster: Some(*into_cluster),
                evidence: why.evidence(),
                ..none
            },
        ),
        Happening::MicroFaded { micro_cluster, n_pages, why } => (
            "micro_faded",
            Line { micro_cluster: Some(*micro_cluster), pages: Some(*n_pages), evidence: why.evidence(), ..none },
        ),
        Happening::Relabelled { label, why } => ("relabelled", Line { label: Some(label), evidence: why.evidence(), ..none }),
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
        Happening::Drifted { alarm } => ("drifted", drifted(alarm)),
    }
}

fn drifted(alarm: &Alarm) -> Line<'static> {
    Line {
        measure: Some(alarm.measure.code()),
        above: Some(alarm.is_above),
        value: Some(alarm.value),
        usual_from: Some(alarm.usual[0]),
        usual_to: Some(alarm.usual[1]),
        windows: Some(alarm.windows),
        before: Some(alarm.before),
        odds: Some(alarm.odds),
        since: Some(alarm.since),
        ..Line::default()
    }
}

/// Longest name of a cluster: it becomes the label of every later page.
pub const MAX_LABEL_CHARS: usize = 120;

/// Whether a character does something to a screen instead of being seen on it: control characters, marks that turn the direction, zero
/// width, invisible operators, tags, separators. Joiners stay: Devanagari and Persian need them.
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether `label` may become a cluster's name: nothing hostile, and something to see. An empty one takes the name away.
pub(crate) fn is_good_name(label: &str) -> bool {
    let is_seen = label.is_empty() || label.chars().any(|c| !c.is_whitespace() && !matches!(c, '\u{200c}' | '\u{200d}'));
    is_seen && label.chars().count() <= MAX_LABEL_CHARS && !label.chars().any(is_hostile)
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
    /// Put micro-clusters into a cluster, where they stay.
    Move {
        /// The micro-clusters.
        micro_clusters: Vec<MicroId>,
        /// The cluster.
        to: ClusterId,
    },
    /// Let micro-clusters that were put somewhere go where their likeness takes them again.
    Release {
        /// The micro-clusters.
        micro_clusters: Vec<MicroId>,
    },
    /// Have a cluster taken in by another one. It ends; its micro-clusters stay together in the other.
    Merge {
        /// The cluster that ends.
        cluster: ClusterId,
        /// The cluster that takes it in.
        into: ClusterId,
    },
    /// Make a cluster of some micro-clusters of another one.
    Split {
        /// The cluster to part.
        cluster: ClusterId,
        /// What goes; if none are named, what is less like its heaviest micro-cluster than like the rest.
        micro_clusters: Vec<MicroId>,
        /// Where no slot is free, to merge the two clusters most alike first, of those that no user has had a hand in.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        make_room: bool,
    },
    /// Take back the latest edit.
    Undo {
        /// Pass over those that can be taken back no more. Said of each: where it is not, as in logs of older programs, they are.
        #[serde(default = "passes_over")]
        older: bool,
    },
}

fn passes_over() -> bool {
    true
}

/// Why an edit was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The cluster is not alive.
    #[error("cluster {0} is not alive")]
    NoSuchCluster(ClusterId),
    /// The name is longer than a label may be, shows nothing, or holds characters that no screen shows as they are.
    #[error("a name has at most {MAX_LABEL_CHARS} characters, something to see, and none for control or direction")]
    BadName,
    /// The micro-cluster is not alive.
    #[error("theme {0} is not alive")]
    NoSuchMicro(MicroId),
    /// The micro-cluster is alive elsewhere.
    #[error("theme {micro_cluster} does not belong to cluster {cluster}")]
    NotInCluster {
        /// The micro-cluster.
        micro_cluster: MicroId,
        /// Where it was looked for.
        cluster: ClusterId,
    },
    /// Nothing to do it to.
    #[error("no theme is named")]
    NoMicro,
    /// What was moved or joined has faded since.
    #[error("none of its themes is where it was put")]
    NoneLeft,
    /// A cluster cannot be taken in by itself.
    #[error("cluster {0} cannot take in itself")]
    IntoItself(ClusterId),
    /// Nothing would stay, or nothing would go.
    #[error("cluster {0} has no themes that could be parted: one must go and one must stay")]
    CannotPart(ClusterId),
    /// Every slot has an owner.
    #[error("no slot is free for another cluster{}", told(*.alike))]
    NoFreeSlot {
        /// Of a split: the clusters that could be merged first, the lighter and the one that would take it in.
        alike: Option<(ClusterId, ClusterId)>,
    },
    /// The model has no micro-clusters that could be elsewhere.
    #[error("the model {0} has no themes apart from its clusters: it can rename and pin them, not move, merge or split")]
    NotByModel(&'static str),
    /// The latest edit cannot be taken back, and an older one was not asked for.
    #[error("the latest edit, {edit}, cannot be taken back: {why}")]
    CannotUndo {
        /// What it was.
        edit: String,
        /// Why not.
        why: Box<EditError>,
    },
    /// No edit is on record that could still be taken back.
    #[error("there is no edit that could be taken back")]
    NothingToUndo,
}

fn told(alike: Option<(ClusterId, ClusterId)>) -> String {
    alike.map_or(String::new(), |(one, other)| format!("; most alike are clusters {one} and {other}"))
}

#[cfg(test)]
mod tests {
    use super::is_good_name;

    #[test]
    fn names_have_something_to_see_and_nothing_hostile() {
        for good in ["", "holidays", "छुट्टी", "می\u{200c}خواهم", "a b"] {
            assert!(is_good_name(good), "{good:?}");
        }
        for bad in ["   ", "\u{200b}", "\u{e0041}\u{feff}", "\u{200d}", "a\u{202e}b", "a\u{1b}[2J", &"x".repeat(121)] {
            assert!(!is_good_name(bad), "{bad:?}");
        }
    }
}
