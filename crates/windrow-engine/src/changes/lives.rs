//! What the lineage says of clusters: when they were born, whether they ended, what they are called, and what users did to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use windrow_core::cluster::{ClusterId, MicroId};

use super::period::Side;
use crate::checkpoint::Committed;
use crate::current::Heirs;
use crate::error::Result;
use crate::lookup::column;
use crate::published::each_batch;
use crate::rejects::text;
use crate::sink::Family;

const COLUMNS: [&str; 8] = ["position", "event", "cluster", "micro_cluster", "from_cluster", "into_cluster", "label", "pinned"];

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
}

/// The same of one theme, or of the cluster as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Done {
    deed: Deed,
    other: Option<ClusterId>,
    theme: Option<MicroId>,
    position: u64,
}

impl Done {
    /// Whether this takes back what the other one did.
    fn reverses(&self, before: &Self) -> bool {
        let is_back = match self.deed {
            Deed::MovedHere => before.deed == Deed::MovedAway,
            Deed::MovedAway => before.deed == Deed::MovedHere,
            Deed::Held => before.deed == Deed::Released,
            Deed::Released => before.deed == Deed::Held,
            _ => false,
        };
        is_back && (self.other, self.theme) == (before.other, before.theme)
    }
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
    /// What users did to it in the period now, but what they took back.
    done: Vec<Done>,
    /// Themes that came back by what was done last, and where that was.
    back: Vec<(MicroId, u64)>,
}

impl Life {
    pub(super) fn label(&self) -> Option<&str> {
        [&self.name, &self.label].into_iter().find(|label| !label.is_empty()).map(String::as_str)
    }

    pub(super) fn has(&self, deed: Deed) -> bool {
        self.done.iter().any(|done| done.deed == deed)
    }

    /// What users did to it in the period now; what they did to one theme after the other, or again, is told together.
    pub(super) fn acts(&self) -> Vec<Act> {
        let alike = |a: &Done, b: &Done| (a.deed, a.other) == (b.deed, b.other);
        let together = self.done.chunk_by(alike);
        let act = |some: &[Done]| {
            let themes: BTreeSet<_> = some.iter().map(|done| done.theme).collect();
            Act { deed: some[0].deed, other: some[0].other, themes: themes.len() as u64 }
        };
        together.map(act).collect()
    }

    /// Notes it, or that it takes back what was noted.
    fn note(&mut self, done: Done) {
        if done.theme.is_none() {
            self.back.clear();
        }
        let Some(at) = self.done.iter().rposition(|before| done.reverses(before)) else { return self.done.push(done) };
        self.done.remove(at);
        self.back.retain(|&(_, position)| position == done.position);
        self.back.extend(done.theme.map(|theme| (theme, done.position)));
    }

    /// Themes that were not held before are let go of when they come back: that is part of what took an edit back.
    fn forget_freed(&mut self, position: u64) {
        let is_released = |done: &&Done| (done.deed, done.position) == (Deed::Released, position);
        let rest = self.done.len() - self.done.iter().rev().take_while(is_released).count();
        let took_in = |done: &Done| (done.deed, done.position) == (Deed::TookIn, position);
        if self.done[..rest].last().is_some_and(took_in) {
            self.done.truncate(rest);
        }
        let came = |theme, done: &Done| done.deed == Deed::MovedHere && (done.theme, done.position) == (Some(theme), position);
        while let Some(Done { deed: Deed::Released, theme: Some(theme), .. }) = self.done.last().copied()
            && (self.back.contains(&(theme, position)) || self.done.iter().any(|done| came(theme, done)))
        {
            self.done.pop();
        }
    }

    /// Forgets the latest act, with the one before it that it took back, where that was in this period too.
    fn take_back(&mut self, position: u64) {
        self.forget_freed(position);
        if !std::mem::take(&mut self.back).is_empty() {
            return;
        }
        let Some(last) = self.done.last().copied().filter(|last| last.position == position) else { return };
        let is_same_kind = |deed: Deed| match last.deed {
            Deed::Renamed | Deed::Unnamed => matches!(deed, Deed::Renamed | Deed::Unnamed),
            Deed::Pinned | Deed::Unpinned => matches!(deed, Deed::Pinned | Deed::Unpinned),
            Deed::TookIn => deed == Deed::SplitOff,
            _ => false,
        };
        let before = &self.done[..self.done.len() - 1];
        let is_it = |done: &Done| is_same_kind(done.deed) && done.other == last.other;
        if let Some(at) = before.iter().rposition(is_it) {
            self.done.pop();
            self.done.remove(at);
        }
    }
}

#[derive(Debug, Clone)]
enum What {
    Born,
    Died,
    Labelled(String),
    Named(String),
    Pinned(bool),
    Placed(MicroId, ClusterId),
    Released(MicroId),
    Merged(ClusterId),
    Split(ClusterId),
    Back(ClusterId),
    Undone,
}

impl What {
    fn of(event: &str, batch: &RecordBatch, row: usize) -> Result<Option<Self>> {
        let id = |name: &str| -> Result<_> { Ok(column(batch, name)?.as_primitive::<Int32Type>().value(row).cast_unsigned()) };
        let theme = || -> Result<MicroId> {
            Ok(column(batch, "micro_cluster")?.as_primitive::<Int64Type>().value(row).cast_unsigned())
        };
        let label = || -> Result<_> { Ok(text(column(batch, "label")?, row).to_owned()) };
        Ok(Some(match event {
            "cluster_born" => Self::Born,
            "cluster_died" => Self::Died,
            "relabelled" => Self::Labelled(label()?),
            "renamed" => Self::Named(label()?),
            "pinned" => Self::Pinned(column(batch, "pinned")?.as_boolean().value(row)),
            "micro_placed" => Self::Placed(theme()?, id("from_cluster")?),
            "micro_released" => Self::Released(theme()?),
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
        self.lives.iter().filter(|(_, life)| !life.done.is_empty()).map(|(cluster, _)| *cluster)
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
        let mut whole = |cluster, deed, other| self.life(cluster).note(Done { deed, other, theme: None, position });
        match *what {
            What::Born | What::Died | What::Labelled(_) => {}
            What::Named(ref name) => whole(cluster, if name.is_empty() { Deed::Unnamed } else { Deed::Renamed }, None),
            What::Pinned(is_pinned) => whole(cluster, if is_pinned { Deed::Pinned } else { Deed::Unpinned }, None),
            What::Merged(into) => {
                whole(cluster, Deed::MergedInto, Some(into));
                whole(into, Deed::TookIn, Some(cluster));
            }
            What::Split(from) => {
                whole(cluster, Deed::SplitFrom, Some(from));
                whole(from, Deed::SplitOff, Some(cluster));
            }
            What::Placed(theme, from) => self.placed(position, theme, (from, cluster)),
            What::Released(theme) => {
                self.life(cluster).note(Done { deed: Deed::Released, other: None, theme: Some(theme), position });
            }
            What::Back(into) => self.back(position, cluster, into),
            What::Undone => self.undone(position, cluster),
        }
    }

    /// Themes that go along with a merge or a split, which stand right before them, are not told.
    fn placed(&mut self, position: u64, theme: MicroId, (from, to): (ClusterId, ClusterId)) {
        let whole = [Deed::TookIn, Deed::SplitFrom, Deed::SplitOff];
        let is_along = |done: &Done| done.position == position && whole.contains(&done.deed);
        if self.life(to).done.last().is_some_and(is_along) {
            return;
        }
        let mut note = |cluster, deed, other| self.life(cluster).note(Done { deed, other, theme: Some(theme), position });
        if from == to {
            note(to, Deed::Held, None);
        } else {
            note(to, Deed::MovedHere, Some(from));
            note(from, Deed::MovedAway, Some(to));
        }
    }

    /// A merge was taken back: of the cluster that took part in it nothing is left to tell but this.
    fn back(&mut self, position: u64, ended: ClusterId, stands: ClusterId) {
        self.life(ended).done.clear();
        let done = &mut self.life(stands).done;
        let parted = done.iter().rfind(|done| done.deed == Deed::SplitFrom).and_then(|done| done.other);
        *done = vec![Done { deed: Deed::StandsFor, other: Some(ended), theme: None, position }];
        let Some(from) = parted else { return };
        let told = |done: &Done| {
            (done.deed, done.other) == (Deed::TookIn, Some(ended)) || (done.deed, done.other) == (Deed::SplitOff, Some(stands))
        };
        let done = &mut self.life(from).done;
        done.retain(|done| !told(done));
        done.push(Done { deed: Deed::GaveBack, other: Some(stands), theme: None, position });
    }

    /// What took an edit back stands before this. Neither is told where both were in this period.
    fn undone(&mut self, position: u64, cluster: ClusterId) {
        let done = &mut self.life(cluster).done;
        let stands = |done: &Done| (done.deed, done.position) == (Deed::StandsFor, position);
        let Some(back) = done.iter().position(stands) else { return self.life(cluster).take_back(position) };
        done.truncate(back + 1);
        // What was let go of by that in the cluster that it was part of.
        let gave_back = |done: &Done| (done.deed, done.other) == (Deed::GaveBack, Some(cluster));
        for life in self.lives.values_mut() {
            if let Some(at) = life.done.iter().rposition(gave_back) {
                let is_freed = |done: &Done| (done.deed, done.position) == (Deed::Released, position);
                let freed = life.done[at + 1..].iter().take_while(|done| is_freed(done)).count();
                life.done.drain(at + 1..at + 1 + freed);
            }
        }
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
        lives.take(of).acts().iter().map(|act| (act.deed, act.other, act.themes)).collect()
    }

    #[test]
    fn a_merge_and_one_that_was_taken_back() {
        let merged = || vec![(6, What::Merged(17)), (17, What::Placed(1, 6)), (17, What::Placed(2, 17)), (6, What::Died)];
        assert_eq!(told(merged(), 6), [(Deed::MergedInto, Some(17), 1)]);
        assert_eq!(told(merged(), 17), [(Deed::TookIn, Some(6), 1)]);
        let back = || {
            let mut all = vec![(17, What::Released(3))];
            all.extend(merged());
            all.extend([(55, What::Born), (55, What::Split(17)), (55, What::Placed(1, 17)), (17, What::Placed(2, 17))]);
            all.extend([
                (6, What::Back(55)),
                (55, What::Named("mine".into())),
                (17, What::Released(2)),
                (55, What::Released(1)),
                (55, What::Undone),
            ]);
            all
        };
        assert_eq!(told(back(), 6), []);
        assert_eq!(told(back(), 55), [(Deed::StandsFor, Some(6), 1)]);
        assert_eq!(told(back(), 17), [(Deed::Released, None, 1), (Deed::GaveBack, Some(55), 1)]);
    }

    #[test]
    fn what_was_taken_back_is_not_told() {
        let name = |name: &str| (7, What::Named(name.into()));
        let renamed = (Deed::Renamed, None, 1);
        assert_eq!(told(vec![name("mine")], 7), [renamed]);
        assert_eq!(told(vec![name("mine"), name(""), (7, What::Undone)], 7), []);
        assert_eq!(told(vec![name("a"), name("b"), name("a"), (7, What::Undone)], 7), [renamed]);
        assert_eq!(told(vec![name("a"), (7, What::Undone)], 7), [renamed], "what it took back was done before the period");
        let many = [true, false, true, false].map(|pinned| (7, What::Pinned(pinned)));
        let pinned: Vec<_> = [name("n")].into_iter().chain(many).chain([(7, What::Undone)]).collect();
        assert_eq!(told(pinned, 7), [renamed, (Deed::Pinned, None, 1), (Deed::Unpinned, None, 1)]);
    }

    #[test]
    fn themes_that_were_brought_back_are_not_told() {
        let moved = || vec![(3, What::Placed(70, 7)), (3, What::Placed(71, 7))];
        assert_eq!(told(moved(), 7), [(Deed::MovedAway, Some(3), 2)]);
        assert_eq!(told(moved(), 3), [(Deed::MovedHere, Some(7), 2)]);
        let back = |theme| vec![(7, What::Placed(theme, 3)), (7, What::Released(theme)), (7, What::Undone)];
        let one = || [moved(), back(71)].concat();
        assert_eq!(told(one(), 7), [(Deed::MovedAway, Some(3), 1)]);
        assert_eq!(told(one(), 3), [(Deed::MovedHere, Some(7), 1)]);
        let named = || vec![(7, What::Named("a".into())), (7, What::Named("b".into()))];
        let all = [named(), one(), back(70)].concat();
        assert_eq!(told(all, 7), [(Deed::Renamed, None, 1)], "names are not touched by that");
        let let_go = vec![(3, What::Released(71)), (3, What::Placed(71, 3)), (3, What::Undone)];
        let both = [moved(), let_go, back(71), back(70)].concat();
        assert_eq!((told(both.clone(), 7), told(both, 3)), (Vec::new(), Vec::new()));
        assert_eq!(told(back(70), 7), [(Deed::MovedHere, Some(3), 1)], "what it took back was done before the period");
        let split = || {
            let mut all = vec![(9, What::Born), (9, What::Split(7)), (9, What::Placed(70, 7)), (7, What::Placed(71, 7))];
            all.extend([
                (9, What::Merged(7)),
                (7, What::Placed(70, 9)),
                (9, What::Died),
                (7, What::Released(70)),
                (7, What::Undone),
            ]);
            all
        };
        assert_eq!(told(split(), 7), []);
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
