//! What the lineage says of clusters: when they were born, whether they ended, what they are called, and what users did to them.

use std::collections::{BTreeMap, VecDeque};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use windrow_core::cluster::ClusterId;

use super::period::Side;
use crate::checkpoint::Committed;
use crate::current::Heirs;
use crate::error::Result;
use crate::lookup::column;
use crate::published::each_batch;
use crate::rejects::text;
use crate::sink::Family;

const COLUMNS: [&str; 7] = ["position", "event", "cluster", "from_cluster", "into_cluster", "label", "pinned"];

/// What a user did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Named the cluster.
    Renamed,
    /// Gave its naming back.
    Unnamed,
    /// Pinned it.
    Pinned,
    /// Let it go again.
    Unpinned,
    /// Had it taken in by the other one.
    MergedInto,
    /// Had it take in the other one.
    TookIn,
    /// Parted it from the other one.
    SplitFrom,
    /// Parted the other one from it.
    SplitOff,
    /// Took back the merge of the other one, for which it stands.
    StandsFor,
    /// Took back a merge into it: the other one stands for what it had taken in.
    GaveBack,
    /// Put themes of the other one into it.
    MovedHere,
    /// Put themes of it into the other one.
    MovedAway,
    /// Had themes stay in it.
    Held,
    /// Let themes go where their likeness takes them.
    Released,
    /// Took back what stands before this.
    TakenBack,
}

impl Deed {
    /// Its name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Renamed => "renamed",
            Self::Unnamed => "unnamed",
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
            Self::MergedInto => "merged_into",
            Self::TookIn => "took_in",
            Self::SplitFrom => "split_from",
            Self::SplitOff => "split_off",
            Self::StandsFor => "stands_for",
            Self::GaveBack => "gave_back",
            Self::MovedHere => "moved_here",
            Self::MovedAway => "moved_away",
            Self::Held => "held",
            Self::Released => "released",
            Self::TakenBack => "taken_back",
        }
    }
}

/// What a user did to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// What it was.
    pub deed: Deed,
    /// The other cluster that it took.
    pub other: Option<ClusterId>,
    /// The themes that it concerned, where it was not all of them.
    pub themes: u64,
    position: u64,
}

/// What happened to a cluster, until the end of the period now.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Where it was born.
    pub(super) born: Option<Side>,
    pub(super) has_ended: bool,
    /// What the model calls it, and a user; empty where they do not.
    label: String,
    name: String,
    /// What it was called before the period now, or first in it.
    pub(super) was: Option<String>,
    /// What users did to it in the period now.
    pub(super) acts: Vec<Act>,
}

impl Life {
    pub(super) fn label(&self) -> Option<&str> {
        [&self.name, &self.label].into_iter().find(|label| !label.is_empty()).map(String::as_str)
    }

    pub(super) fn has(&self, deed: Deed) -> bool {
        self.acts.iter().any(|act| act.deed == deed)
    }
}

#[derive(Debug)]
enum What {
    Born,
    Died,
    Labelled(String),
    Named(String),
    Pinned(bool),
    Placed(ClusterId),
    Released,
    Merged(ClusterId),
    Split(ClusterId),
    Back(ClusterId),
    Undone,
}

impl What {
    fn of(event: &str, batch: &RecordBatch, row: usize) -> Result<Option<Self>> {
        let id = |name: &str| -> Result<_> { Ok(column(batch, name)?.as_primitive::<Int32Type>().value(row).cast_unsigned()) };
        let label = || -> Result<_> { Ok(text(column(batch, "label")?, row).to_owned()) };
        Ok(Some(match event {
            "cluster_born" => Self::Born,
            "cluster_died" => Self::Died,
            "relabelled" => Self::Labelled(label()?),
            "renamed" => Self::Named(label()?),
            "pinned" => Self::Pinned(column(batch, "pinned")?.as_boolean().value(row)),
            "micro_placed" => Self::Placed(id("from_cluster")?),
            "micro_released" => Self::Released,
            "cluster_merged" => Self::Merged(id("into_cluster")?),
            "cluster_split" => Self::Split(id("from_cluster")?),
            "cluster_back" => Self::Back(id("into_cluster")?),
            "undone" => Self::Undone,
            _ => return Ok(None),
        }))
    }

    /// Whether a page brought it about. What users do falls between two pages.
    const fn is_of_page(&self) -> bool {
        matches!(self, Self::Born | Self::Died | Self::Labelled(_))
    }
}

#[derive(Debug)]
struct Event {
    position: u64,
    epoch: u64,
    cluster: ClusterId,
    what: What,
}

/// Where an event is: that of the page that brought it about, or of the last one before what a user did.
pub(super) type Sides<'a> = &'a dyn Fn(bool, u64) -> Side;

/// All clusters that the lineage knows.
#[derive(Debug, Default)]
pub(super) struct Lives {
    lives: BTreeMap<ClusterId, Life>,
    /// What stands for a cluster that a user had taken in, or come back.
    heirs: Heirs,
    /// What is not placed yet, oldest first.
    to_come: VecDeque<Event>,
}

impl Lives {
    /// What is published.
    pub(super) fn read(committed: &Committed) -> Result<Self> {
        let mut to_come = VecDeque::new();
        let files = committed.manifest.all_files(&committed.layout.history())?;
        for file in files.iter().filter(|file| file.family == Family::Lineage) {
            each_batch(&committed.layout.out, file, &COLUMNS, &mut |batch, _| {
                let positions = column(batch, "position")?.as_primitive::<Int64Type>();
                let clusters = column(batch, "cluster")?.as_primitive::<Int32Type>();
                let events = column(batch, "event")?;
                for row in 0..batch.num_rows() {
                    let (position, cluster) = (positions.value(row).cast_unsigned(), clusters.value(row).cast_unsigned());
                    let what = What::of(text(events, row), batch, row)?;
                    to_come.extend(what.map(|what| Event { position, epoch: file.epoch, cluster, what }));
                }
                Ok(())
            })?;
        }
        Ok(Self { to_come, ..Self::default() })
    }

    /// Tells what happened before so many pages were learnt.
    pub(super) fn until(&mut self, pages: u64, side: Sides<'_>) {
        while let Some(event) = self.to_come.pop_front_if(|event| event.position < pages) {
            let side = side(event.what.is_of_page(), event.epoch);
            if side != Side::Later {
                self.follow(event, side);
            }
        }
    }

    /// Takes out what is known of a cluster.
    pub(super) fn take(&mut self, cluster: ClusterId) -> Life {
        self.lives.remove(&cluster).unwrap_or_default()
    }

    /// Clusters to which users did something in the period now.
    pub(super) fn by_hand(&self) -> impl Iterator<Item = ClusterId> {
        self.lives.iter().filter(|(_, life)| !life.acts.is_empty()).map(|(cluster, _)| *cluster)
    }

    /// The cluster that pages of this one count for.
    pub(super) fn counts_for(&self, cluster: ClusterId) -> ClusterId {
        self.heirs.of(cluster)
    }

    fn life(&mut self, cluster: ClusterId) -> &mut Life {
        self.lives.entry(cluster).or_default()
    }

    fn follow(&mut self, event: Event, side: Side) {
        let Event { position, cluster, what, .. } = event;
        let life = self.life(cluster);
        if side == Side::Now && life.was.is_none() {
            life.was = life.label().map(str::to_owned);
        }
        match &what {
            What::Born => life.born = Some(side),
            What::Died => life.has_ended = true,
            What::Labelled(label) => life.label.clone_from(label),
            What::Named(name) => life.name.clone_from(name),
            What::Merged(into) | What::Back(into) => self.heirs.insert(cluster, *into),
            _ => {}
        }
        if side == Side::Now {
            self.tell(position, cluster, &what);
        }
    }

    /// Notes what a user did in the period now.
    fn tell(&mut self, position: u64, cluster: ClusterId, what: &What) {
        let mut act = |cluster, deed, other| self.act(cluster, Act { deed, other, themes: 1, position });
        match *what {
            What::Born | What::Died | What::Labelled(_) => {}
            What::Named(ref name) => act(cluster, if name.is_empty() { Deed::Unnamed } else { Deed::Renamed }, None),
            What::Pinned(is_pinned) => act(cluster, if is_pinned { Deed::Pinned } else { Deed::Unpinned }, None),
            What::Released => act(cluster, Deed::Released, None),
            What::Merged(into) => {
                act(cluster, Deed::MergedInto, Some(into));
                act(into, Deed::TookIn, Some(cluster));
            }
            What::Split(from) => {
                act(cluster, Deed::SplitFrom, Some(from));
                act(from, Deed::SplitOff, Some(cluster));
            }
            What::Placed(from) => self.placed(position, cluster, from),
            What::Back(into) => self.back(position, cluster, into),
            What::Undone => self.undone(position, cluster),
        }
    }

    /// Themes of one act are told together.
    fn act(&mut self, cluster: ClusterId, act: Act) {
        let acts = &mut self.life(cluster).acts;
        match acts.last_mut().filter(|last| Act { themes: 1, ..**last } == act) {
            Some(last) => last.themes += 1,
            None => acts.push(act),
        }
    }

    /// Themes that go along with a merge or a split are not told.
    fn placed(&mut self, position: u64, cluster: ClusterId, from: ClusterId) {
        let whole = [Deed::TookIn, Deed::SplitFrom, Deed::SplitOff];
        if self.life(cluster).acts.iter().any(|act| act.position == position && whole.contains(&act.deed)) {
            return;
        }
        let act = |deed, other| Act { deed, other, themes: 1, position };
        if from == cluster {
            self.act(cluster, act(Deed::Held, None));
        } else {
            self.act(cluster, act(Deed::MovedHere, Some(from)));
            self.act(from, act(Deed::MovedAway, Some(cluster)));
        }
    }

    /// A merge was taken back: of the cluster that took part in it nothing is left to tell but this.
    fn back(&mut self, position: u64, ended: ClusterId, stands: ClusterId) {
        self.life(ended).acts.clear();
        let acts = &mut self.life(stands).acts;
        let parted = acts.iter().rev().find(|act| act.deed == Deed::SplitFrom).and_then(|act| act.other);
        *acts = vec![Act { deed: Deed::StandsFor, other: Some(ended), themes: 1, position }];
        let Some(from) = parted else { return };
        let told = |act: &Act| {
            (act.deed, act.other) == (Deed::TookIn, Some(ended)) || (act.deed, act.other) == (Deed::SplitOff, Some(stands))
        };
        let acts = &mut self.life(from).acts;
        acts.retain(|act| !told(act));
        acts.push(Act { deed: Deed::GaveBack, other: Some(stands), themes: 1, position });
    }

    /// What took an edit back stands before this, and is not told but by what it took back.
    fn undone(&mut self, position: u64, cluster: ClusterId) {
        let is_freed = |act: &mut Act| (act.deed, act.position) == (Deed::Released, position);
        let acts = &mut self.life(cluster).acts;
        if let Some(back) = acts.iter().position(|act| (act.deed, act.position) == (Deed::StandsFor, position)) {
            acts.truncate(back + 1);
            // What was let go of by that in the cluster that it was part of.
            let gave_back = |act: &Act| (act.deed, act.other) == (Deed::GaveBack, Some(cluster));
            let from = self.lives.values_mut().find(|life| life.acts.iter().any(gave_back));
            from.into_iter().for_each(|life| _ = life.acts.pop_if(is_freed));
            return;
        }
        acts.pop_if(is_freed);
        acts.pop_if(|act| act.position == position);
        acts.push(Act { deed: Deed::TakenBack, other: None, themes: 1, position });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a cluster after these happened at one position, in the period now.
    fn told(happened: Vec<(ClusterId, What)>, of: ClusterId) -> Vec<(Deed, Option<ClusterId>, u64)> {
        let mut lives = Lives::default();
        for (cluster, what) in happened {
            lives.follow(Event { position: 9, epoch: 1, cluster, what }, Side::Now);
        }
        lives.take(of).acts.iter().map(|act| (act.deed, act.other, act.themes)).collect()
    }

    #[test]
    fn a_merge_and_one_that_was_taken_back() {
        let merged = || vec![(6, What::Merged(17)), (17, What::Placed(6)), (17, What::Placed(17)), (6, What::Died)];
        assert_eq!(told(merged(), 6), [(Deed::MergedInto, Some(17), 1)]);
        assert_eq!(told(merged(), 17), [(Deed::TookIn, Some(6), 1)]);
        let back = || {
            let mut all = merged();
            all.extend([(55, What::Born), (55, What::Split(17)), (55, What::Placed(17)), (17, What::Placed(17))]);
            all.extend([
                (6, What::Back(55)),
                (55, What::Named("mine".into())),
                (17, What::Released),
                (55, What::Released),
                (55, What::Undone),
            ]);
            all
        };
        assert_eq!(told(back(), 6), []);
        assert_eq!(told(back(), 55), [(Deed::StandsFor, Some(6), 1)]);
        assert_eq!(told(back(), 17), [(Deed::GaveBack, Some(55), 1)]);
    }

    #[test]
    fn what_took_an_edit_back_is_not_told_itself() {
        let name = |name: &str| (7, What::Named(name.into()));
        let renamed = (Deed::Renamed, None, 1);
        let taken_back = (Deed::TakenBack, None, 1);
        assert_eq!(told(vec![name("mine")], 7), [renamed]);
        assert_eq!(told(vec![name("mine"), name(""), (7, What::Undone)], 7), [renamed, taken_back]);
        let moved =
            || vec![(3, What::Placed(7)), (3, What::Placed(7)), (7, What::Placed(3)), (7, What::Released), (7, What::Undone)];
        assert_eq!(told(moved(), 7), [(Deed::MovedAway, Some(3), 2), taken_back]);
        let split = || {
            let mut all = vec![(9, What::Born), (9, What::Split(7)), (9, What::Placed(7)), (7, What::Placed(7))];
            all.extend([(9, What::Merged(7)), (7, What::Placed(9)), (9, What::Died), (7, What::Released), (7, What::Undone)]);
            all
        };
        assert_eq!(told(split(), 7), [(Deed::SplitOff, Some(9), 1), taken_back]);
        assert_eq!(told(split(), 9), [(Deed::SplitFrom, Some(7), 1), (Deed::MergedInto, Some(7), 1)]);
    }

    #[test]
    fn pages_count_for_what_stands_for_their_cluster() {
        let mut lives = Lives::default();
        for (cluster, what) in [(6, What::Merged(17)), (40, What::Merged(17)), (40, What::Back(55)), (17, What::Merged(3))] {
            lives.follow(Event { position: 9, epoch: 1, cluster, what }, Side::Before);
        }
        assert_eq!([6, 40, 17, 3].map(|cluster| lives.counts_for(cluster)), [3, 55, 3, 3]);
    }
}
