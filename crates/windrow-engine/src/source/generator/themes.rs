//! Themes of the generator: when each lives, how many pages it has, which words, and what becomes of it.
//!
//! Theme `k` is a function of the seed and `k` alone, and how it stands at a row is a function of the row's number: nothing is
//! carried along, so that any row can be made without those before it. Themes come in fives: the third splits in mid-life, the
//! fourth and fifth merge, the others live and die whole. Every second one drifts: its words change while it lives.

use super::dice::Dice;
use super::words::{LANGUAGES, Language};

/// Rows between two births.
const SPACING: i64 = 500;

/// Words that a theme knows in all its life.
pub(super) const WORDS: usize = 18;

/// Words that it uses at a time.
pub(super) const WINDOW: usize = 9;

/// What a row's page belongs to: the true label. A theme has four: whole, two parts after a split, one after a merger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) theme: u32,
    pub(super) branch: Branch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Branch {
    Whole,
    Left,
    Right,
    /// Together with the theme behind it.
    Merged,
}

impl Part {
    pub(super) fn label(self) -> u64 {
        u64::from(self.theme) * 4 + self.branch as u64
    }
}

/// When and how much a theme lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    birth: i64,
    length: i64,
    weight: f64,
}

impl Life {
    pub(super) fn new(seed: u64, theme: u32, alive: u32) -> Self {
        let mut dice = Dice::new(seed, 0x71fe, u64::from(theme));
        let birth = (i64::from(theme) - i64::from(alive / 2)) * SPACING + dice.below(SPACING as usize) as i64;
        let length = i64::from(alive) * SPACING * (30 + dice.below(140) as i64) / 100;
        let weight = [1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 6.0, 10.0][dice.below(9)];
        Self { birth, length, weight }
    }

    /// Themes that may be alive at `row`.
    pub(super) fn candidates(row: u64, alive: u32) -> std::ops::Range<u32> {
        let born = i64::try_from(row).unwrap_or(i64::MAX / 2) / SPACING + i64::from(alive / 2);
        let oldest = born - i64::from(alive) * 17 / 10 - 2;
        u32::try_from(oldest.max(0)).unwrap_or(u32::MAX)..u32::try_from(born + 1).unwrap_or(u32::MAX)
    }

    /// How far its life has gone at `row`, 0 to 1; `None` when it is not alive.
    pub(super) fn progress(&self, row: u64) -> Option<f64> {
        let age = i64::try_from(row).unwrap_or(i64::MAX) - self.birth;
        (0..self.length).contains(&age).then(|| age as f64 / self.length as f64)
    }

    /// Its share of the pages, not normalised: it grows, stays and fades.
    pub(super) fn weight(&self, row: u64) -> f64 {
        let shape = |p: f64| (p / 0.15).min((1.0 - p) / 0.3).clamp(0.02, 1.0);
        self.progress(row).map_or(0.0, |progress| self.weight * shape(progress))
    }

    /// When it splits or merges, if it is one that does.
    fn middle(&self) -> i64 {
        self.birth + self.length * 45 / 100
    }
}

/// What row `row` of theme `theme` belongs to.
pub(super) fn part(seed: u64, theme: u32, alive: u32, row: u64, dice: &mut Dice) -> Part {
    let row = i64::try_from(row).unwrap_or(i64::MAX);
    let life = |theme| Life::new(seed, theme, alive);
    let merges = |first: u32| {
        let (a, b) = (life(first), life(first + 1));
        let together = a.middle().max(b.birth);
        row >= together && together < (a.birth + a.length).min(b.birth + b.length)
    };
    match theme % 5 {
        2 if row >= life(theme).middle() => {
            Part { theme, branch: if dice.below(10) < 6 { Branch::Left } else { Branch::Right } }
        }
        3 if merges(theme) => Part { theme, branch: Branch::Merged },
        4 if merges(theme - 1) => Part { theme: theme - 1, branch: Branch::Merged },
        _ => Part { theme, branch: Branch::Whole },
    }
}

/// What a theme talks about.
#[derive(Debug)]
pub(super) struct Theme {
    pub(super) language: &'static Language,
    /// Four invented names.
    pub(super) names: Vec<String>,
    /// Its words, in the order in which it comes to use them.
    pub(super) words: Vec<String>,
    /// Hosts of its pages.
    pub(super) hosts: Vec<String>,
    drifts: bool,
}

impl std::fmt::Debug for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code)
    }
}

impl Theme {
    pub(super) fn new(seed: u64, theme: u32) -> Self {
        // Two themes that will merge speak of the same things in the same language.
        let kin = if theme % 5 == 4 { theme - 1 } else { theme };
        let mut common = Dice::new(seed, 0x6b19, u64::from(kin));
        let language = pick_language(&mut common);
        let topic = common.below(language.topics.len());
        let mut dice = Dice::new(seed, 0x7e3d, u64::from(theme));
        let names = (0..4).map(|_| invented(language.syllables, &mut dice)).collect();
        let mut words: Vec<String> = language.topics[topic].iter().map(|word| (*word).to_owned()).collect();
        while words.len() < WORDS {
            words.push(invented(language.syllables, &mut dice).to_lowercase());
        }
        dice.shuffle(&mut words);
        let hosts = (0..5).map(|_| invented(LANGUAGES[0].syllables, &mut dice).to_lowercase() + ".example").collect();
        Self { language, names, words, hosts, drifts: theme.is_multiple_of(2) }
    }

    /// The words in use at this point of its life, by a part of it.
    pub(super) fn window(&self, progress: f64, branch: Branch) -> &[String] {
        let slide = if self.drifts { (progress * (WORDS - WINDOW + 1) as f64) as usize } else { (WORDS - WINDOW) / 2 };
        let start = match branch {
            Branch::Left => 0,
            Branch::Right => WORDS - WINDOW,
            Branch::Whole | Branch::Merged => slide.min(WORDS - WINDOW),
        };
        &self.words[start..start + WINDOW]
    }

    /// The names in use by a part of it.
    pub(super) fn names(&self, branch: Branch) -> &[String] {
        match branch {
            Branch::Left => &self.names[..2],
            Branch::Right => &self.names[2..],
            Branch::Whole | Branch::Merged => &self.names,
        }
    }
}

pub(super) fn pick_language(dice: &mut Dice) -> &'static Language {
    let total: u32 = LANGUAGES.iter().map(|language| language.weight).sum();
    let mut at = dice.below(total as usize) as u32;
    for language in &LANGUAGES {
        if at < language.weight {
            return language;
        }
        at -= language.weight;
    }
    &LANGUAGES[0]
}

/// A name of two or three syllables, with a capital where the script has one.
fn invented(syllables: &[&str], dice: &mut Dice) -> String {
    let name: String = (0..2 + dice.below(2)).map(|_| syllables[dice.below(syllables.len())]).collect();
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
