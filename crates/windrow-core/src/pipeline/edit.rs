//! What users do to the clusters, and how it is taken back.
//!
//! An edit that is done leaves behind what it takes to undo it. Undoing is a handful of edits like any others: a cluster that was
//! taken in comes back under a new id, for ids are never used again, with its name, its pin and what is left of its
//! micro-clusters.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::near::Centres;
use super::{AtHand, Pipeline};
use crate::cluster::{ClusterId, MicroId};
use crate::lineage::{self, Edit, EditError, Happening, LineageEvent};
use crate::record::Pages;

/// Edits that can be taken back, one after the other.
const REMEMBERED: usize = 100;

/// A micro-cluster, where it was before an edit, and whether a user had put it there.
type Before = (MicroId, ClusterId, bool);

/// What takes an edit back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Inverse {
    Name {
        cluster: ClusterId,
        name: String,
    },
    Pin {
        cluster: ClusterId,
        pinned: bool,
    },
    /// Of a move, of a release, and of a split, whose new cluster ends.
    Back {
        moved: Vec<Before>,
        ends: Option<ClusterId>,
    },
    /// Of a merge; `moved` has what both clusters had.
    Part {
        into: ClusterId,
        ended: ClusterId,
        name: String,
        pinned: bool,
        n_faded: u64,
        moved: Vec<Before>,
    },
}

impl Inverse {
    /// What it takes back.
    fn told(&self) -> String {
        let themes = |moved: &[Before]| match moved {
            [(id, ..)] => format!("theme {id}"),
            moved => format!("{} themes", moved.len()),
        };
        match self {
            Self::Name { cluster, .. } => format!("the name of cluster {cluster}"),
            Self::Pin { cluster, pinned: true } => format!("that cluster {cluster} is not pinned"),
            Self::Pin { cluster, pinned: false } => format!("the pin of cluster {cluster}"),
            Self::Back { ends: Some(cluster), .. } => format!("the split that made cluster {cluster}"),
            Self::Back { moved, ends: None } => format!("the place of {}", themes(moved)),
            Self::Part { into, ended, .. } => format!("the merge of cluster {ended} into {into}"),
        }
    }

    /// Has it mean the cluster that came back where it means the one that had ended.
    fn follow(&mut self, ended: ClusterId, back: ClusterId) {
        let follow = |cluster: &mut ClusterId| {
            if *cluster == ended {
                *cluster = back;
            }
        };
        match self {
            Self::Name { cluster, .. } | Self::Pin { cluster, .. } => follow(cluster),
            Self::Back { moved, ends } => {
                moved.iter_mut().for_each(|(_, home, _)| follow(home));
                ends.iter_mut().for_each(follow);
            }
            Self::Part { into, ended, moved, .. } => {
                moved.iter_mut().for_each(|(_, home, _)| follow(home));
                [into, ended].into_iter().for_each(follow);
            }
        }
    }
}

/// The latest edits, oldest first.
pub(super) type Done = VecDeque<Inverse>;

impl Pipeline {
    /// Does what a user asked for, at this position. What is refused changes nothing.
    pub fn edit(&mut self, edit: &Edit, log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        self.settle();
        match edit {
            Edit::Undo { older } => self.undo(*older, log),
            Edit::Split { cluster, make_room, .. } => match self.carry_out_once(edit, log) {
                Err(EditError::NoFreeSlot { .. }) => {
                    let alike = self.most_alike(*cluster);
                    let Some((ended, into)) = alike.filter(|_| *make_room) else {
                        return Err(EditError::NoFreeSlot { alike });
                    };
                    // A slot is asked for last: it is all that the split lacks.
                    self.carry_out_once(&Edit::Merge { cluster: ended, into }, log)?;
                    self.carry_out_once(edit, log)
                }
                done => done,
            },
            edit => self.carry_out_once(edit, log),
        }
    }

    /// What `undo` can take back, oldest first, in words.
    pub fn edits_to_undo(&self) -> Vec<String> {
        self.done.iter().map(Inverse::told).collect()
    }

    /// The two clusters most like each other, the lighter first, without one that stays and all that a user named, pinned or put
    /// together.
    fn most_alike(&self, stays: ClusterId) -> Option<(ClusterId, ClusterId)> {
        let summary = self.model.summary();
        let is_named = |id| self.book.alive.get(&id).is_none_or(|entry| entry.name.is_some());
        let others = summary.clusters.iter().filter(|one| one.cluster != stays && !one.pinned && !is_named(one.cluster));
        let mut weights: BTreeMap<ClusterId, f64> = others.map(|one| (one.cluster, one.weight)).collect();
        for micro in summary.micro_clusters.iter().filter(|micro| micro.held) {
            weights.remove(&micro.cluster);
        }
        let by_weight = |a: &ClusterId, b: &ClusterId| weights[a].total_cmp(&weights[b]).then(b.cmp(a));
        let centres = Centres::new(&self.model.cluster_terms());
        let likenesses = |&one: &ClusterId| {
            let others = centres.to_cluster(one).into_iter().filter(|(other, _)| *other > one && weights.contains_key(other));
            others.map(|(other, likeness)| (likeness, [one, other])).collect::<Vec<_>>()
        };
        let nearest = weights.keys().flat_map(likenesses).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        // Where none share a term, those that matter least.
        let mut pair = nearest.map_or_else(|| weights.keys().copied().collect::<Vec<_>>(), |(_, pair)| pair.to_vec());
        pair.sort_by(by_weight);
        Some((*pair.first()?, *pair.get(1)?))
    }

    /// Whether a name or a pin is already as it is wanted. Whatever else changes nothing tells of nothing.
    fn is_so(&self, edit: &Edit) -> bool {
        let entry = |cluster| self.book.alive.get(cluster);
        match edit {
            Edit::Rename { cluster, label } => entry(cluster).is_some_and(|entry| entry.name.as_deref().unwrap_or("") == label),
            Edit::Pin { cluster, pinned } => entry(cluster).is_some_and(|entry| entry.pinned == *pinned),
            _ => false,
        }
    }

    /// Does an edit that is none to take one back, and notes what takes it back. One that changes nothing leaves nothing to take back.
    fn carry_out_once(&mut self, edit: &Edit, log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        if self.is_so(edit) {
            return Ok(());
        }
        let inverse = self.inverse(edit)?;
        let noted = log.len();
        self.carry_out(edit, log)?;
        if log.len() == noted {
            return Ok(());
        }
        let inverse = match inverse {
            Inverse::Back { moved, .. } => Inverse::Back { moved, ends: born(&log[noted..]) },
            inverse => inverse,
        };
        self.done.push_back(inverse);
        if self.done.len() > REMEMBERED {
            self.done.pop_front();
        }
        Ok(())
    }

    /// Takes back the latest edit; or the latest `older` one that can be, where the clusters of those behind it are gone.
    fn undo(&mut self, older: bool, log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        let noted = log.len();
        for at in (0..self.done.len()).rev() {
            let inverse = self.done[at].clone();
            match self.take_back(&inverse, log) {
                Ok(cluster) => {
                    self.done.truncate(at);
                    if let Inverse::Part { ended, .. } = inverse {
                        self.done.iter_mut().for_each(|older| older.follow(ended, cluster));
                    }
                    let event = LineageEvent { position: self.position, cluster, happening: Happening::Undone };
                    log.push(event);
                    return Ok(());
                }
                Err(why) if !older => return Err(EditError::CannotUndo { edit: self.done[at].told(), why: Box::new(why) }),
                Err(why @ EditError::NoFreeSlot { .. }) => return Err(why),
                Err(_) => debug_assert_eq!(log.len(), noted, "what is refused changes nothing"),
            }
        }
        Err(EditError::NothingToUndo)
    }

    /// Gives the cluster that it concerned.
    fn take_back(&mut self, inverse: &Inverse, log: &mut Vec<LineageEvent>) -> Result<ClusterId, EditError> {
        match inverse {
            Inverse::Name { cluster, name } => {
                self.carry_out(&Edit::Rename { cluster: *cluster, label: name.clone() }, log)?;
                Ok(*cluster)
            }
            Inverse::Pin { cluster, pinned } => {
                self.carry_out(&Edit::Pin { cluster: *cluster, pinned: *pinned }, log)?;
                Ok(*cluster)
            }
            Inverse::Back { moved, ends } => self.move_back(moved, *ends, log),
            Inverse::Part { into, ended, moved, .. } => {
                let living = self.still_in(*into, moved);
                let going = living.iter().filter(|(_, home, _)| home == ended);
                let micro_clusters = going.map(|&(id, ..)| id).collect::<Vec<_>>();
                if micro_clusters.is_empty() {
                    return Err(EditError::NoneLeft);
                }
                let noted = log.len();
                self.carry_out(&Edit::Split { cluster: *into, micro_clusters, make_room: false }, log)?;
                let cluster = born(&log[noted..]).ok_or(EditError::CannotPart(*into))?;
                self.as_before(cluster, inverse, noted, log)?;
                self.release(living.iter().filter(|(.., held)| !held).map(|&(id, ..)| id).collect(), log)?;
                Ok(cluster)
            }
        }
    }

    /// Gives a cluster that came back what the one had that it stands for.
    fn as_before(
        &mut self,
        cluster: ClusterId,
        inverse: &Inverse,
        noted: usize,
        log: &mut Vec<LineageEvent>,
    ) -> Result<(), EditError> {
        let Inverse::Part { ended, name, pinned, n_faded, .. } = inverse else { return Ok(()) };
        let split = log[noted..].iter_mut().find(|event| matches!(event.happening, Happening::ClusterSplit { .. }));
        if let Some(LineageEvent { happening: Happening::ClusterSplit { from, n_pages }, .. }) = split {
            *n_pages = *n_faded;
            self.book.hand_over(*from, cluster, *n_faded);
        }
        let back = Happening::ClusterBack { into: cluster };
        log.push(LineageEvent { position: self.position, cluster: *ended, happening: back });
        if !name.is_empty() {
            self.carry_out(&Edit::Rename { cluster, label: name.clone() }, log)?;
        }
        if *pinned {
            self.carry_out(&Edit::Pin { cluster, pinned: true }, log)?;
        }
        Ok(())
    }

    /// Puts what still lives back where it was, as far as that is still there.
    fn move_back(
        &mut self,
        moved: &[Before],
        ends: Option<ClusterId>,
        log: &mut Vec<LineageEvent>,
    ) -> Result<ClusterId, EditError> {
        let before: BTreeMap<MicroId, (ClusterId, bool)> =
            moved.iter().map(|&(id, cluster, held)| (id, (cluster, held))).collect();
        let living = self.model.summary().micro_clusters;
        let mut homes: BTreeMap<ClusterId, Vec<MicroId>> = BTreeMap::new();
        let mut freed = Vec::new();
        for micro in living {
            // What came to the cluster that a split made goes with it.
            let came =
                ends.filter(|ended| *ended == micro.cluster).and_then(|_| moved.first()).map(|first| (first.1, micro.held));
            let Some((cluster, held)) = before.get(&micro.micro_cluster).copied().or(came) else { continue };
            if self.book.alive.contains_key(&cluster) {
                homes.entry(cluster).or_default().push(micro.micro_cluster);
                freed.extend((!held).then_some(micro.micro_cluster));
            }
        }
        let cluster = *homes.keys().next().ok_or(EditError::NoneLeft)?;
        // A cluster that a split made ends: all it has now goes where its parts came from.
        match ends.filter(|ended| self.book.alive.contains_key(ended)) {
            Some(ended) => self.carry_out(&Edit::Merge { cluster: ended, into: cluster }, log)?,
            None => homes
                .into_iter()
                .try_for_each(|(to, micro_clusters)| self.carry_out(&Edit::Move { micro_clusters, to }, log))?,
        }
        self.release(freed, log)?;
        Ok(cluster)
    }

    /// Lets go of what nobody held before.
    fn release(&mut self, freed: Vec<MicroId>, log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        if freed.is_empty() { Ok(()) } else { self.carry_out(&Edit::Release { micro_clusters: freed }, log) }
    }

    /// Those that live in a cluster now.
    fn still_in(&self, cluster: ClusterId, moved: &[Before]) -> Vec<Before> {
        let living = self.model.summary().micro_clusters.into_iter().filter(|micro| micro.cluster == cluster);
        let living: std::collections::BTreeSet<MicroId> = living.map(|micro| micro.micro_cluster).collect();
        moved.iter().filter(|(id, ..)| living.contains(id)).copied().collect()
    }

    /// What will take an edit back that is about to be done.
    fn inverse(&self, edit: &Edit) -> Result<Inverse, EditError> {
        let entry = |cluster: &ClusterId| self.book.alive.get(cluster).ok_or(EditError::NoSuchCluster(*cluster));
        let before = |wanted: &dyn Fn(MicroId, ClusterId) -> bool| -> Vec<Before> {
            let living = self.model.summary().micro_clusters.into_iter();
            let living = living.filter(|micro| wanted(micro.micro_cluster, micro.cluster));
            living.map(|micro| (micro.micro_cluster, micro.cluster, micro.held)).collect()
        };
        Ok(match edit {
            Edit::Rename { cluster, .. } => {
                Inverse::Name { cluster: *cluster, name: entry(cluster)?.name.clone().unwrap_or_default() }
            }
            Edit::Pin { cluster, .. } => Inverse::Pin { cluster: *cluster, pinned: entry(cluster)?.pinned },
            Edit::Move { micro_clusters, .. } | Edit::Release { micro_clusters } => {
                Inverse::Back { moved: before(&|id, _| micro_clusters.contains(&id)), ends: None }
            }
            Edit::Split { cluster, micro_clusters, .. } => {
                entry(cluster)?;
                let moved = before(&|_, home| home == *cluster);
                // Of a user's split something stays. What takes a merge back may leave a cluster without themes: it had none of its own left.
                if !micro_clusters.is_empty() && moved.iter().all(|(id, ..)| micro_clusters.contains(id)) {
                    return Err(EditError::CannotPart(*cluster));
                }
                Inverse::Back { moved, ends: None }
            }
            Edit::Merge { cluster, into } => {
                let ended = entry(cluster)?;
                Inverse::Part {
                    into: *into,
                    ended: *cluster,
                    name: ended.name.clone().unwrap_or_default(),
                    pinned: ended.pinned,
                    n_faded: ended.faded,
                    moved: before(&|_, home| home == *cluster || home == *into),
                }
            }
            Edit::Undo { .. } => return Err(EditError::NothingToUndo),
        })
    }

    /// Does it, and tells the book.
    fn carry_out(&mut self, edit: &Edit, log: &mut Vec<LineageEvent>) -> Result<(), EditError> {
        let noted = log.len();
        let cluster_and_happening = match edit {
            Edit::Rename { label, .. } if !lineage::is_good_name(label) => return Err(EditError::BadName),
            Edit::Rename { cluster, label } => Some((*cluster, Happening::Renamed { label: label.clone() })),
            Edit::Pin { cluster, pinned } => Some((*cluster, Happening::Pinned { pinned: *pinned })),
            _ => None,
        };
        if let Some((cluster, _)) = cluster_and_happening.as_ref().filter(|(cluster, _)| !self.book.alive.contains_key(cluster))
        {
            return Err(EditError::NoSuchCluster(*cluster));
        }
        self.model.edit(edit, log)?;
        let position = self.position;
        log.extend(cluster_and_happening.map(|(cluster, happening)| LineageEvent { position, cluster, happening }));
        self.take_note(noted, &AtHand { pages: &Pages::default(), decisions: &[], new: 0..0 }, log);
        Ok(())
    }
}

/// The cluster that was born among these events.
fn born(events: &[LineageEvent]) -> Option<ClusterId> {
    events.iter().find(|event| matches!(event.happening, Happening::ClusterBorn { .. })).map(|event| event.cluster)
}

#[cfg(test)]
mod tests;
