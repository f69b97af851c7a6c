//! Steady streams: themes that live from the first row to the last and are always the same, but for one that changes at a known row.
//!
//! What a watch over clusters finds can be held against the row, and what it finds before it against nothing at all.

use std::fmt;
use std::ops::Range;

use super::dice::Dice;
use super::themes::{Branch, Part, WINDOW, WORDS};

/// How many times as many pages, or as few, a theme has after a change of volume.
const TIMES: f64 = 4.0;
/// Words of its window that a theme keeps when its words change.
const SAME: usize = 4;

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// More than half of its words are others.
    Words,
    /// Twice as many words.
    Broader,
    /// Half as many.
    Narrower,
    /// Four times as many pages.
    More,
    /// A quarter of its pages.
    Fewer,
}

impl Change {
    const NAMES: [(&str, Self); 6] = [
        ("none", Self::None),
        ("words", Self::Words),
        ("broader", Self::Broader),
        ("narrower", Self::Narrower),
        ("more", Self::More),
        ("fewer", Self::Fewer),
    ];

    /// The change of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, change)| change)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, change)| *change == self).map_or("", |(name, _)| name)
    }
}

/// A steady stream, and what changes in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steady {
    /// What becomes of one theme.
    pub change: Change,
    /// At which row.
    pub at: u64,
    /// Within how many rows; 0 for at once.
    pub over: u64,
}

impl Default for Steady {
    fn default() -> Self {
        Self { change: Change::None, at: 50_000, over: 0 }
    }
}

impl fmt::Display for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ",change={},at={},over={}", self.change.name(), self.at, self.over)
    }
}

impl Steady {
    /// The theme that changes.
    pub(super) fn theme(seed: u64, themes: u32) -> u32 {
        u32::try_from(Dice::new(seed, 0x57ea, 0).below(themes as usize)).unwrap_or(0)
    }

    /// How far the change has come, 0 to 1.
    fn progress(&self, row: u64) -> f64 {
        if self.change == Change::None || row < self.at {
            return 0.0;
        }
        let since = (row - self.at) as f64 + 1.0;
        (since / (self.over.max(1)) as f64).min(1.0)
    }

    /// A theme's share of the pages, not normalised.
    pub(super) fn weight(&self, seed: u64, theme: u32, changes: bool, row: u64) -> f64 {
        let weight = [1.0, 1.0, 1.5, 2.0][Dice::new(seed, 0x57eb, u64::from(theme)).below(4)];
        let times = match self.change {
            _ if !changes => 1.0,
            Change::More => TIMES,
            Change::Fewer => 1.0 / TIMES,
            _ => 1.0,
        };
        weight * (1.0 + (times - 1.0) * self.progress(row))
    }

    /// What a page of a theme belongs to: it is of the changed part, or not yet.
    pub(super) fn part(&self, theme: u32, changes: bool, row: u64, dice: &mut Dice) -> Part {
        let is_changed = dice.unit() < self.progress(row) && changes;
        Part { theme, branch: if is_changed { Branch::Left } else { Branch::Whole } }
    }

    /// The words that such a page is made of, among those of its theme.
    pub(super) fn window(&self, changes: bool, branch: Branch) -> Range<usize> {
        let is_changed = branch == Branch::Left;
        match self.change {
            _ if !changes => 0..WINDOW,
            Change::Words if is_changed => WINDOW - SAME..2 * WINDOW - SAME,
            Change::Broader if is_changed => 0..WORDS,
            Change::Narrower if !is_changed => 0..WORDS,
            _ => 0..WINDOW,
        }
    }
}
