//! The fonts of this machine: which one draws a character, how wide a text is, what none of them can draw.
//!
//! A character is drawn by the first font that has it: plain Noto Sans and its kin for scripts, then other fonts, those of emoji last. Widths are sums of the
//! advances of single characters; joined letters are a little narrower, never wider.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use resvg::usvg::fontdb::{Database, FaceInfo, ID, Stretch, Style, Weight};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};
use unicode_script::{Script, UnicodeScript as _};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthChar as _;

/// Width of a column of a character that no font here has, in its size.
const UNKNOWN: f64 = 0.6;
const JOINER: char = '\u{200d}';
/// Families that draw words best, best first.
const BEST: [&str; 5] = ["Noto Sans", "DejaVu Sans", "Liberation Sans", "Arial", "Helvetica"];

/// The fonts of this machine.
#[derive(Debug)]
pub(crate) struct Fonts {
    pub(super) database: Arc<Database>,
    /// Fonts in the order in which they are asked.
    faces: Vec<ID>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// What each font has: characters from, to (inclusive), ascending.
    cover: HashMap<ID, Vec<(u32, u32)>>,
    /// Who draws a character, and how wide it is in its size.
    drawn: HashMap<char, Option<(ID, f64)>>,
}

/// A script that no font of this machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Its name.
    pub(crate) script: String,
    /// Some of its characters.
    pub(crate) sample: String,
    /// The Debian package that has it.
    pub(crate) package: &'static str,
}

impl Fonts {
    /// All fonts that are installed.
    pub(crate) fn installed() -> Self {
        let mut database = Database::new();
        database.load_system_fonts();
        Self::of(database)
    }

    /// None at all.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self::of(Database::new())
    }

    fn of(mut database: Database) -> Self {
        let mut faces: Vec<(&FaceInfo, _)> =
            database.faces().filter(|face| is_plain(face)).map(|face| (face, rank(face))).collect();
        faces.sort_by(|a, b| a.1.cmp(&b.1));
        let faces: Vec<ID> = faces.into_iter().map(|(face, _)| face.id).collect();
        let first = faces.first().and_then(|first| database.face(*first));
        if let Some(family) = first.and_then(|face| face.families.first()).map(|(name, _)| name.clone()) {
            database.set_sans_serif_family(family);
        }
        Self { database: Arc::new(database), faces, seen: Mutex::default() }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.faces.is_empty()
    }

    /// The font that draws a character.
    pub(super) fn face(&self, c: char) -> Option<ID> {
        self.drawn(c).map(|(face, _)| face)
    }

    fn drawn(&self, c: char) -> Option<(ID, f64)> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Seen { cover, drawn } = &mut *seen;
        *drawn.entry(c).or_insert_with(|| {
            let has = |id: &ID| holds(cover.entry(*id).or_insert_with(|| covered(&self.database, *id)), c);
            let face = self.faces.iter().copied().find(has)?;
            Some((face, advance(&self.database, face, c).unwrap_or(UNKNOWN)))
        })
    }

    /// How wide a text is in pixels.
    pub(super) fn width(&self, text: &str, size: f64) -> f64 {
        text.graphemes(true).map(|cluster| self.width_of_cluster(cluster)).sum::<f64>() * size
    }

    /// Pictures that are joined into one are as wide as the first.
    fn width_of_cluster(&self, cluster: &str) -> f64 {
        let n = if cluster.contains(JOINER) { 1 } else { usize::MAX };
        cluster.chars().take(n).map(|c| self.width_of(c)).sum()
    }

    fn width_of(&self, c: char) -> f64 {
        let columns = c.width().unwrap_or(0);
        if columns == 0 { 0.0 } else { self.drawn(c).map_or(UNKNOWN * columns as f64, |(_, advance)| advance) }
    }

    /// A text cut to a width, between two characters as people see them, with an ellipsis where something is missing.
    pub(super) fn cut(&self, text: &str, size: f64, most: f64) -> String {
        let (mut width, mut kept, ellipsis) = (0.0, 0, self.width("…", size));
        for (at, cluster) in text.grapheme_indices(true) {
            if width + ellipsis <= most {
                kept = at;
            }
            width += self.width(cluster, size);
            if width > most {
                return if kept == 0 { String::new() } else { text[..kept].trim_end().to_owned() + "…" };
            }
        }
        text.to_owned()
    }
}

/// The scripts of characters that no font has.
pub(super) fn missing(boxes: impl Iterator<Item = char>) -> Vec<Missing> {
    let mut scripts: BTreeMap<&str, BTreeSet<char>> = BTreeMap::new();
    boxes.for_each(|c| scripts.entry(script(c)).or_default().extend([c]));
    let missing = |(script, sample): (&str, BTreeSet<char>)| Missing {
        script: script.to_owned(),
        sample: sample.iter().take(5).collect(),
        package: package(script),
    };
    scripts.into_iter().map(missing).collect()
}

fn is_plain(face: &FaceInfo) -> bool {
    face.style == Style::Normal && face.stretch == Stretch::Normal && face.weight == Weight::NORMAL
}

/// Smaller is asked first; ends with names, so that the order never depends on that of files.
fn rank(face: &FaceInfo) -> (usize, bool, bool, String) {
    let family = face.families.first().map_or("", |(name, _)| name.as_str());
    let best =
        BEST.iter().position(|best| *best == family).map_or(BEST.len(), |place| if place > 1 { place } else { place * 2 });
    let best = if best == BEST.len() && family.starts_with("Noto Sans") && !face.monospaced { 1 } else { best };
    let emoji = family.contains("Emoji") || family.contains("Last Resort");
    (
        if emoji { usize::MAX } else { best },
        face.monospaced,
        !family.contains("Sans"),
        format!("{family}\0{}", face.post_script_name),
    )
}

fn script(c: char) -> &'static str {
    match c.script() {
        Script::Common | Script::Inherited if u32::from(c) >= 0x2190 => "symbols and emoji",
        script => script.full_name(),
    }
}

fn package(script: &str) -> &'static str {
    match script {
        "Han" | "Hiragana" | "Katakana" | "Hangul" | "Bopomofo" => "fonts-noto-cjk",
        "symbols and emoji" => "fonts-noto-color-emoji",
        _ => "fonts-noto-core",
    }
}

fn covered(database: &Database, face: ID) -> Vec<(u32, u32)> {
    let ranges = database.with_face_data(face, |data, index| {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (c, _) in FontRef::from_index(data, index).ok()?.charmap().mappings() {
            match ranges.last_mut() {
                Some((_, to)) if *to + 1 == c => *to = c,
                _ => ranges.push((c, c)),
            }
        }
        ranges.sort_unstable();
        Some(ranges)
    });
    ranges.flatten().unwrap_or_default()
}

fn holds(ranges: &[(u32, u32)], c: char) -> bool {
    let after = ranges.partition_point(|(from, _)| *from <= u32::from(c));
    after.checked_sub(1).is_some_and(|at| u32::from(c) <= ranges[at].1)
}

/// Width of a character in its size.
fn advance(database: &Database, face: ID, c: char) -> Option<f64> {
    let advance = database.with_face_data(face, |data, index| {
        let font = FontRef::from_index(data, index).ok()?;
        let (size, at) = (Size::unscaled(), LocationRef::default());
        let advance = font.glyph_metrics(size, at).advance_width(font.charmap().map(c)?)?;
        Some(f64::from(advance) / f64::from(font.metrics(size, at).units_per_em))
    });
    advance.flatten()
}
