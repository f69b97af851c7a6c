//! Drift: what a cluster's pages are like now, measured against what they were like before.
//!
//! Four measures, three of a window of [`PAGES`] pages of the cluster's own, one of a stretch of [`ROWS`] pages of the whole order:
//!
//! ```text
//! shift       1 - cos(w, m)         w: words of the window, m: of the windows before it, fading by a sixteenth with each
//! new words   share of the window's words that none of the last [`LIFE`] windows had
//! breadth     exp(-Σ q ln q)        q: shares of the window's words; as many words, all equally frequent, would be as broad
//! volume      pages in the stretch
//! ```
//!
//! Words are counted in [`BUCKETS`] places by their hashes, and known in [`PLACES`] others: a page takes no memory, and a cluster 10 kB, whatever
//! its pages hold. What that takes away is put right for new words: of `x` that look new where a share `k` of the places is taken, about
//! `x / (1 - k)` are. Values are judged by their ranks alone ([`super::rank`]), so that no scale matters. When a value is an alarm, all of the cluster's
//! past begins anew: what it changed to is what is usual from there on.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::rank::{Least, Look, Series, Unusual};
use crate::cluster::ClusterId;
use crate::lineage::{Alarm, Measure};
use crate::record::Pages;

/// Pages of a window.
pub(super) const PAGES: u32 = 32;
/// Pages of a stretch of the order.
pub(super) const ROWS: u64 = 1_000;
/// Places that words are counted in.
const BUCKETS: usize = 512;
/// Places that words are known in.
const PLACES: usize = 4_096;
/// Windows for which a word is known that none of them has.
const LIFE: u8 = 24;
/// In place of that: new in the window at hand.
const NEW: u8 = u8::MAX;
/// Windows of which the first memory is made; they are not judged.
const FIRST: u32 = 4;
/// A window's share in the memory is one of `1 << FADE`; its parts are counted in 256ths.
const FADE: u32 = 4;
/// Highest count of a place: what is larger counts as this.
const MOST: u32 = 4_095;
/// Highest value of a place of the memory that such counts come to.
const MOST_MEMORY: u32 = MOST << (8 + FADE);

/// `n ln n` of small numbers.
static N_LN_N: LazyLock<Vec<f64>> =
    LazyLock::new(|| (0..=MOST).map(|n| f64::from(n) * libm::log(f64::from(n.max(1)))).collect());

/// The words of the window at hand, and those of the ones before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Words {
    counts: Vec<u16>,
    memory: Vec<u32>,
    /// Windows for which each place is still known.
    known: Vec<u8>,
    /// Places known when the window began.
    n_known: u32,
    /// Words of the window, and those of them that are new.
    n_words: u64,
    n_new: u64,
}

impl Default for Words {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], memory: vec![0; BUCKETS], known: vec![0; PLACES], n_known: 0, n_words: 0, n_new: 0 }
    }
}

impl Words {
    #[inline]
    fn see(&mut self, pages: &Pages, row: usize) {
        let terms = &pages.terms;
        let (Ok(counts), Ok(known)) = (
            <&mut [u16; BUCKETS]>::try_from(self.counts.as_mut_slice()),
            <&mut [u8; PLACES]>::try_from(self.known.as_mut_slice()),
        ) else {
            return;
        };
        let entries = &terms.term[terms.entries(row)];
        let mut n_new = 0;
        for number in entries {
            let hash = terms.hash[*number as usize];
            let count = &mut counts[hash as usize % BUCKETS];
            *count = count.saturating_add(1);
            let place = &mut known[(hash >> 16) as usize % PLACES];
            let is_new = *place == 0 || *place == NEW;
            n_new += u64::from(is_new);
            *place = if is_new { NEW } else { LIFE };
        }
        self.n_words += entries.len() as u64;
        self.n_new += n_new;
    }

    /// Shift, breadth and new words of the window.
    fn measure(&self) -> [f32; 3] {
        let (mut both, mut own, mut old, mut n_ln_n, mut n) = (0u64, 0u64, 0u64, 0.0, 0u64);
        for (count, memory) in self.counts.iter().zip(&self.memory) {
            let count = u32::from(*count).min(MOST);
            both += u64::from(count) * u64::from(*memory);
            own += u64::from(count) * u64::from(count);
            old += u64::from(*memory) * u64::from(*memory);
            n += u64::from(count);
            n_ln_n += N_LN_N[count as usize];
        }
        let length = (own as f64).sqrt() * (old as f64).sqrt();
        let shift = if length > 0.0 { 1.0 - both as f64 / length } else { 0.0 };
        let breadth = if n > 0 { libm::exp(libm::log(n as f64) - n_ln_n / n as f64) } else { 0.0 };
        let free = 1.0 - f64::from(self.n_known) / PLACES as f64;
        let looks_new = self.n_new as f64 / self.n_words.max(1) as f64;
        let new = (looks_new / free.max(0.01)).min(1.0);
        [shift.max(0.0) as f32, breadth as f32, new as f32]
    }

    /// Lets the window become part of the memory, and begins another.
    fn turn(&mut self) {
        for (memory, count) in self.memory.iter_mut().zip(&mut self.counts) {
            *memory = *memory - (*memory >> FADE) + (u32::from(*count).min(MOST) << 8);
            *count = 0;
        }
        for place in &mut self.known {
            *place = if *place == NEW { LIFE } else { place.saturating_sub(1) };
        }
        self.n_known = self.known.iter().map(|place| u32::from(*place > 0)).sum();
        (self.n_words, self.n_new) = (0, 0);
    }

    fn is_sound(&self) -> bool {
        self.counts.len() == BUCKETS
            && self.memory.len() == BUCKETS
            && self.known.len() == PLACES
            && self.memory.iter().all(|memory| *memory <= MOST_MEMORY)
            && self.known.iter().all(|place| *place <= LIFE || *place == NEW)
            && self.n_known as usize <= PLACES
            && self.n_new <= self.n_words
            && self.n_words <= u64::from(PAGES) * u64::from(u32::MAX)
    }
}

/// One cluster under watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Watched {
    pub(super) cluster: ClusterId,
    words: Words,
    /// Pages of the window at hand, and where it began.
    pages: u32,
    began: u64,
    /// Windows of the memory, up to the first that are judged.
    windows: u32,
    /// Pages of the stretch at hand; none of one that it was not there from the beginning of.
    volume: Option<u64>,
    /// By [`Measure::ALL`].
    series: [Series; 4],
    /// Alarms so far, and the last.
    pub(super) alarms: u64,
    pub(super) last: Option<(u64, Alarm)>,
}

impl Watched {
    /// A cluster whose first page has this position.
    pub(super) fn new(cluster: ClusterId, began: u64) -> Self {
        Self {
            cluster,
            words: Words::default(),
            pages: 0,
            began,
            windows: 0,
            volume: began.is_multiple_of(ROWS).then_some(0),
            series: Default::default(),
            alarms: 0,
            last: None,
        }
    }

    /// Lets the past begin anew, at this position; its volume with the next whole stretch.
    pub(super) fn begin(&mut self, position: u64) {
        let Self { cluster, alarms, last, .. } = *self;
        *self = Self { alarms, last, volume: None, ..Self::new(cluster, position) };
    }

    /// Lets a stretch begin.
    pub(super) fn begin_stretch(&mut self) {
        self.volume = Some(0);
    }

    /// One more page, of which nothing else is known.
    #[inline]
    pub(super) fn count(&mut self) {
        if let Some(volume) = &mut self.volume {
            *volume += 1;
        }
    }

    /// A page's words. `stake` is for all that is measured of a window.
    #[inline]
    pub(super) fn see(&mut self, pages: &Pages, row: usize, position: u64, stake: f64) -> Option<Alarm> {
        if self.pages == 0 {
            self.began = position;
        }
        self.words.see(pages, row);
        self.pages += 1;
        if self.pages < PAGES { None } else { self.end_window(position, stake) }
    }

    fn end_window(&mut self, position: u64, stake: f64) -> Option<Alarm> {
        let values = self.words.measure();
        self.words.turn();
        self.pages = 0;
        if self.windows < FIRST {
            self.windows += 1;
            return None;
        }
        let mut found = None;
        for (measure, value) in [Measure::Shift, Measure::Breadth, Measure::NewWords].into_iter().zip(values) {
            let stake = stake / values.len() as f64;
            let seen = self.judge(measure, value, self.began, stake, position);
            found = found.or(seen);
        }
        found
    }

    /// Ends a stretch of the order, behind the page of this position.
    pub(super) fn end_stretch(&mut self, position: u64, stake: f64) -> Option<Alarm> {
        let pages = self.volume.replace(0)?;
        self.judge(Measure::Volume, pages as f32, (position + 1).saturating_sub(ROWS), stake, position)
    }

    fn judge(&mut self, measure: Measure, value: f32, began: u64, stake: f64, position: u64) -> Option<Alarm> {
        let both = matches!(measure, Measure::Breadth | Measure::Volume);
        let look = Look { value, began, stake, least: least(measure), u: self.draw(measure, position) };
        self.series[measure.place()].see(look, both).map(|unusual| alarm(measure, unusual))
    }

    /// From (0, 1), the same whenever the same page is looked at.
    fn draw(&self, measure: Measure, position: u64) -> f64 {
        let mut bytes = [0; 13];
        bytes[..8].copy_from_slice(&position.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.cluster.to_le_bytes());
        bytes[12] = measure.place() as u8;
        ((xxh3_64_with_seed(&bytes, 0x4d21) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Its last value of a measure, what is usual, and of how many values that is known.
    pub(super) fn now(&self, measure: Measure) -> Option<(f64, [f64; 2], u64)> {
        self.series[measure.place()].now()
    }

    /// Whether it can be gone on with: whoever can write a snapshot can write anything.
    pub(super) fn is_sound(&self) -> bool {
        self.words.is_sound()
            && self.pages < PAGES
            && self.windows <= FIRST
            && self.volume.is_none_or(|pages| pages <= ROWS)
            && self.series.iter().all(Series::is_sound)
            && self.last.is_none_or(|(_, alarm)| alarm.is_sound())
    }
}

/// From where on a change matters.
fn least(measure: Measure) -> Least {
    match measure {
        Measure::Shift | Measure::NewWords => Least { by: 0.02, share: 0.0 },
        Measure::Breadth => Least { by: 0.0, share: 0.1 },
        // Half of a percent of the stretch's pages.
        Measure::Volume => Least { by: ROWS as f64 / 200.0, share: 0.0 },
    }
}

/// What lineage says of it.
fn alarm(measure: Measure, unusual: Unusual) -> Alarm {
    let Unusual { is_above, value, usual, values, before, odds, since } = unusual;
    Alarm { measure, is_above, value, usual, windows: values, before, odds, since }
}
