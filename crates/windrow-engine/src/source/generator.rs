//! The generator: an endless input that knows its true labels, for demos, tests and measurements without data.
//!
//! Themes in nine languages are born, grow, drift, split, merge and die; their pages have near-duplicates on other hosts,
//! descriptions that say nothing, tracking parameters and log-in redirects; a chosen share of rows is broken. Row `i` is a
//! function of the seed and `i` alone: reading from row `i` on is a seek, and any prefix of a longer input is the shorter one.
//! Rows are written as CSV and go through the same scanner and parser as a file's. The record id is the row's number.
//!
//! Event time starts at 2024-01-01 and advances 20 rows a second.

mod dice;
mod steady;
mod themes;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use windrow_core::record::{COLUMNS, Micros};
use xxhash_rust::xxh3::xxh3_64;

use self::dice::Dice;
pub use self::steady::{Change, Steady};
use self::themes::{Branch, Life, Part, Theme, part, pick_language};
use self::words::Language;
use super::columns::Layout;
use super::form::Form;
use super::{Limits, Source, SourcePosition};
use crate::batch::{RawBatch, RawRecord, Slice};
use crate::error::{Error, ErrorKind, Result};

/// What an input must begin with to be a generator.
pub const PREFIX: &str = "generator:";

/// 2024-01-01 00:00 UTC.
const START: Micros = 1_704_067_200_000_000;

/// Event time between two rows.
const STEP: Micros = 50_000;

/// Rows for which the themes' shares are taken as constant.
const TICK: u64 = 64;

/// Pages that a theme's near-duplicates are copies of.
const ORIGINALS: usize = 12;

/// What to generate; written as `generator:rows=100000,seed=7,broken=0.01,themes=60`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spec {
    /// Number of rows.
    pub rows: u64,
    /// Seed of all chance.
    pub seed: u64,
    /// Share of rows that are broken, 0 to 1.
    pub broken: f64,
    /// Themes alive at a time, about.
    pub themes: u32,
    /// Themes that stay, all of them, and what changes in one; none for themes that come and go.
    pub steady: Option<Steady>,
}

impl Default for Spec {
    fn default() -> Self {
        Self { rows: 100_000, seed: 1, broken: 0.01, themes: 60, steady: None }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, seed, broken, themes, steady } = self;
        write!(f, "{PREFIX}rows={rows},seed={seed},broken={broken},themes={themes}")?;
        steady.map_or(Ok(()), |steady| steady.fmt(f))
    }
}

impl FromStr for Spec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |what: String| {
            Error::new(ErrorKind::Invalid, "E-INPUT-GENERATOR", format!("{what} in the input `{text}`"))
                .hint(format!("write it as {}; what is left out keeps its default", Self::default()))
        };
        let mut spec = Self::default();
        let list = text.strip_prefix(PREFIX).unwrap_or(text);
        for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| bad(format!("`{part}` is not of the form key=value")))?;
            let (key, value) = (key.trim(), value.trim().replace('_', ""));
            let steady = spec.steady.unwrap_or_default();
            let done = match key {
                "rows" => value.parse().map(|rows| spec.rows = rows).is_ok(),
                "seed" => value.parse().map(|seed| spec.seed = seed).is_ok(),
                "broken" => value.parse().map(|broken| spec.broken = broken).is_ok() && (0.0..=1.0).contains(&spec.broken),
                "themes" => value.parse().map(|themes| spec.themes = themes).is_ok() && (1..=100_000).contains(&spec.themes),
                "change" => Change::named(&value).map(|change| spec.steady = Some(Steady { change, ..steady })).is_some(),
                "at" => value.parse().map(|at| spec.steady = Some(Steady { at, ..steady })).is_ok(),
                "over" => value.parse().map(|over| spec.steady = Some(Steady { over, ..steady })).is_ok(),
                _ => return Err(bad(format!("`{key}` is none of rows, seed, broken, themes, change, at, over"))),
            };
            if !done {
                return Err(bad(format!("`{value}` is no value for `{key}`")));
            }
        }
        Ok(spec)
    }
}

impl Spec {
    /// The theme that changes, where one does; its pages have four times its number as their label, and one more from the change on.
    pub fn changing(&self) -> Option<u32> {
        self.steady.map(|_| Steady::theme(self.seed, self.themes))
    }

    /// The position of a generator that nothing has been read of. More rows of the same kind are the same source.
    pub(super) fn position(&self) -> SourcePosition {
        let kind = Self { rows: 0, ..*self }.to_string();
        SourcePosition { head_hash: xxh3_64(kind.as_bytes()), ..SourcePosition::of(self.to_string()) }
    }
}

/// Makes rows.
#[derive(Debug)]
pub struct Generator {
    spec: Spec,
    /// Themes made so far and still in use.
    themes: BTreeMap<u32, Theme>,
    /// Themes alive at `tick`, with the sum of the shares up to each.
    alive: Vec<(u32, f64)>,
    tick: Option<u64>,
    /// Scratch: the fields of a row.
    fields: [String; 6],
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    OpenQuote,
    MissingField,
    ExtraField,
    BadUtf8,
    BadTime,
    EmptyPage,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Broken(Flaw),
    /// A page of no theme.
    Stray,
    Page(Part),
}

impl Generator {
    /// A generator.
    pub fn new(spec: Spec) -> Self {
        Self { spec, themes: BTreeMap::new(), alive: Vec::new(), tick: None, fields: Default::default() }
    }

    /// The true label of a row; none for broken rows and pages of no theme.
    pub fn label(&mut self, row: u64) -> Option<u64> {
        match self.kind(row, &mut Dice::new(self.spec.seed, 0x401d, row)) {
            Kind::Page(part) => Some(part.label()),
            Kind::Broken(_) | Kind::Stray => None,
        }
    }

    /// The event time of a row.
    pub fn time(row: u64) -> Micros {
        START.saturating_add(i64::try_from(row).unwrap_or(i64::MAX).saturating_mul(STEP))
    }

    /// Appends a row's record, with its line end.
    pub fn write_row(&mut self, row: u64, out: &mut Vec<u8>) {
        let mut dice = Dice::new(self.spec.seed, 0x401d, row);
        let kind = self.kind(row, &mut dice);
        let mut fields = std::mem::take(&mut self.fields);
        fields.iter_mut().for_each(String::clear);
        write_time(Self::time(row), &mut fields[0]);
        write_number(row + 1, 1, &mut fields[1]);
        match kind {
            Kind::Page(part) => self.page(part, row, &mut dice, &mut fields),
            Kind::Stray | Kind::Broken(_) => stray(&mut dice, &mut fields),
        }
        match kind {
            Kind::Broken(flaw) => write_broken(flaw, &fields, out),
            Kind::Stray | Kind::Page(_) => write_record(&fields, out),
        }
        self.fields = fields;
    }

    fn kind(&mut self, row: u64, dice: &mut Dice) -> Kind {
        if dice.unit() < self.spec.broken {
            use Flaw::{BadTime, BadUtf8, EmptyPage, ExtraField, MissingField, OpenQuote};
            return Kind::Broken(*dice.pick(&[OpenQuote, MissingField, ExtraField, BadUtf8, BadTime, EmptyPage]));
        }
        if dice.chance(4) {
            return Kind::Stray;
        }
        self.advance(row / TICK);
        let Some((_, total)) = self.alive.last() else { return Kind::Stray };
        let at = dice.unit() * total;
        let index = self.alive.partition_point(|(_, sum)| *sum <= at).min(self.alive.len() - 1);
        let theme = self.alive[index].0;
        Kind::Page(match self.spec.steady {
            Some(steady) => steady.part(theme, self.spec.changing() == Some(theme), row, dice),
            None => part(self.spec.seed, theme, self.spec.themes, row, dice),
        })
    }

    /// Finds out who is alive at a tick.
    fn advance(&mut self, tick: u64) {
        if self.tick == Some(tick) {
            return;
        }
        self.tick = Some(tick);
        self.alive.clear();
        let (row, mut sum) = (tick * TICK, 0.0);
        if let Some(steady) = self.spec.steady {
            for theme in 0..self.spec.themes {
                sum += steady.weight(self.spec.seed, theme, self.spec.changing() == Some(theme), row);
                self.alive.push((theme, sum));
            }
            return;
        }
        let candidates = Life::candidates(row, self.spec.themes);
        for theme in candidates.clone() {
            let weight = Life::new(self.spec.seed, theme, self.spec.themes).weight(row);
            if weight > 0.0 {
                sum += weight;
                self.alive.push((theme, sum));
            }
        }
        self.themes.retain(|theme, _| *theme + 1 >= candidates.start && *theme <= candidates.end);
    }

    /// Of a row that is a copy, what all copies of the same page have, its words, and the host that it is on.
    pub fn copy(&mut self, row: u64) -> Option<(String, String)> {
        let seed = self.spec.seed;
        let mut dice = Dice::new(seed, 0x401d, row);
        let Kind::Page(part) = self.kind(row, &mut dice) else { return None };
        let said = self.said(part, row, &mut dice);
        let original = said.original?;
        let (mut title, mut description) = (String::new(), String::new());
        said.write_copy(seed, part, original, &mut title, &mut description);
        Some((title + "\n" + &description, said.host.to_owned()))
    }

    /// What a page has to say.
    fn said(&mut self, part: Part, row: u64, dice: &mut Dice) -> Said<'_> {
        let seed = self.spec.seed;
        let progress = Life::new(seed, part.theme, self.spec.themes).progress(row).unwrap_or(1.0);
        // A merged theme speaks with the names and words of both.
        let speaker = part.theme + u32::from(part.branch == Branch::Merged && dice.chance(50));
        let theme = self.themes.entry(speaker).or_insert_with(|| Theme::new(seed, speaker));
        let changing = self.spec.changing().unwrap_or(u32::MAX);
        let (names, window) = match self.spec.steady {
            Some(steady) => (&theme.names[..], &theme.words[steady.window(part.theme == changing, part.branch)]),
            None => (theme.names(part.branch), theme.window(progress, part.branch)),
        };
        let host = dice.word(&theme.hosts);
        let original = dice.chance(20).then(|| dice.below(ORIGINALS));
        Said { names, window, language: theme.language, host, original }
    }

    fn page(&mut self, part: Part, row: u64, dice: &mut Dice, fields: &mut [String; 6]) {
        let seed = self.spec.seed;
        let [_, _, url, title, keywords, description] = fields;
        let said = self.said(part, row, dice);
        let Said { names, window, language, host, original } = said;
        if let Some(original) = original {
            said.write_copy(seed, part, original, title, description);
            title.push(' ');
            write_number(dice.below(30) as u64, 1, title);
        } else {
            write_title(names, window, language, dice, title);
            if dice.chance(60) {
                write_keywords(window, dice, keywords);
            }
            match dice.below(100) {
                0..15 => description.push_str(language.boilerplate),
                15..25 => {}
                _ => write_sentence(window, language, dice, description),
            }
        }
        decorate(dice, host, title, description);
        write_url(dice, host, window, url);
    }
}

/// What a page of a theme has to say.
#[derive(Clone, Copy)]
struct Said<'a> {
    names: &'a [String],
    window: &'a [String],
    language: &'static Language,
    host: &'a str,
    /// Which of the theme's pages it is a copy of, with another ending, on any host.
    original: Option<usize>,
}

impl Said<'_> {
    /// Writes what all copies of a page have.
    fn write_copy(&self, seed: u64, part: Part, original: usize, title: &mut String, description: &mut String) {
        let purpose = u64::from(part.theme) << 32 | part.label() << 8 | original as u64;
        let mut copied = Dice::new(seed, purpose, 0);
        write_title(self.names, self.window, self.language, &mut copied, title);
        write_sentence(self.window, self.language, &mut copied, description);
    }
}

/// A page of no theme: words of one language, whatever they are about.
fn stray(dice: &mut Dice, fields: &mut [String; 6]) {
    let language = pick_language(dice);
    let words: Vec<String> = (0..9)
        .map(|_| {
            let topic = dice.below(language.topics.len());
            dice.word(language.topics[topic]).to_owned()
        })
        .collect();
    let [_, _, url, title, _, description] = fields;
    write_title(&words[..2], &words, language, dice, title);
    write_sentence(&words, language, dice, description);
    let host = format!("site{}.example", dice.below(5000));
    write_url(dice, &host, &words, url);
}

fn write_title(names: &[String], window: &[String], language: &Language, dice: &mut Dice, title: &mut String) {
    title.push_str(dice.word(names));
    for _ in 0..3 + dice.below(3) {
        title.push_str(language.space);
        title.push_str(dice.word(window));
    }
    if dice.chance(30) {
        title.push_str(language.space);
        title.push_str(dice.word(names));
    }
}

fn write_sentence(window: &[String], language: &Language, dice: &mut Dice, sentence: &mut String) {
    for at in 0..8 + dice.below(7) {
        if at > 0 {
            sentence.push_str(language.space);
        }
        let is_little = at % 2 == 1 && dice.chance(70);
        sentence.push_str(if is_little { dice.word(language.little) } else { dice.word(window) });
    }
    sentence.push_str(language.stop);
}

fn write_keywords(window: &[String], dice: &mut Dice, keywords: &mut String) {
    for at in 0..3 + dice.below(5) {
        if at > 0 {
            keywords.push_str(", ");
        }
        keywords.push_str(dice.word(window));
    }
}

/// What real texts have: site names, entities, marks, line ends.
fn decorate(dice: &mut Dice, host: &str, title: &mut String, description: &mut String) {
    match dice.below(100) {
        0..15 => title.push_str(&format!(" | {}", host.trim_end_matches(".example"))),
        15..18 => title.push_str(" &amp; more"),
        18..20 => title.push_str("  \u{2013}  \"best of\""),
        20..22 => description.push_str("\nread on"),
        _ => {}
    }
}

fn write_url(dice: &mut Dice, host: &str, window: &[String], url: &mut String) {
    let target = |dice: &mut Dice, url: &mut String| {
        url.push_str("https://");
        url.push_str(if dice.chance(40) { "www." } else { "" });
        url.push_str(host);
        for _ in 0..1 + dice.below(2) {
            url.push('/');
            let word = dice.word(window);
            url.push_str(if word.is_ascii() { word } else { "page" });
        }
        url.push('/');
        write_number(dice.below(1_000_000) as u64, 1, url);
    };
    if dice.chance(8) {
        let mut inner = String::new();
        target(dice, &mut inner);
        url.push_str("https://www.pageboard.example/login/?next=");
        url.push_str(&inner.replace(':', "%3A").replace('/', "%2F"));
    } else {
        target(dice, url);
        if dice.chance(40) {
            let source = dice.word(&["mail", "search", "social"]);
            url.push_str("?utm_source=");
            url.push_str(source);
            url.push_str("&utm_campaign=c");
            write_number(dice.below(40) as u64, 1, url);
            url.push_str("&gclid=Cj0K");
            write_number(dice.next(), 20, url);
        }
    }
}

fn write_record(fields: &[String], out: &mut Vec<u8>) {
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if field.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
            out.push(b'"');
            for (at, part) in field.split('"').enumerate() {
                out.extend_from_slice(if at > 0 { b"\"\"" } else { b"" });
                out.extend_from_slice(part.as_bytes());
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(field.as_bytes());
        }
    }
    out.push(b'\n');
}

/// Writes a row on one line with something wrong with it.
fn write_broken(flaw: Flaw, fields: &[String; 6], out: &mut Vec<u8>) {
    let [time, id, url, title, keywords, description] = fields.each_ref().map(|field| field.replace(['"', '\n', ','], " "));
    let line = match flaw {
        Flaw::OpenQuote => format!("{time},{id},{url},\"{title},{keywords},{description}"),
        Flaw::MissingField => format!("{time},{id},{url},{title}"),
        Flaw::ExtraField => format!("{time},{id},{url},{title},{keywords},{description},,more"),
        Flaw::BadTime => format!("on {},{id},{url},{title},{keywords},{description}", &time[..10]),
        Flaw::EmptyPage => format!("{time},{id},,,,"),
        Flaw::BadUtf8 => {
            out.extend_from_slice(format!("{time},{id},{url},").as_bytes());
            out.extend_from_slice(b"caf\xe9 ");
            format!("{title},{keywords},{description}")
        }
    };
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
}

/// Writes a time as `2024-01-01 00:00:00.000000`.
fn write_time(time: Micros, out: &mut String) {
    let (days, rest) = (time.div_euclid(86_400_000_000), time.rem_euclid(86_400_000_000));
    // Days to year, month and day, as in "chrono-compatible low-level date algorithms" (Hinnant).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let parts =
        [("", year, 4), ("-", month, 2), ("-", day, 2), (" ", hour, 2), (":", minute, 2), (":", second, 2), (".", micros, 6)];
    for (before, number, width) in parts {
        out.push_str(before);
        write_number(number.unsigned_abs(), width, out);
    }
}

/// Writes a number with at least `width` digits. By hand, as the formatting machinery would take a third of the generator's time.
fn write_number(mut number: u64, width: usize, out: &mut String) {
    let (mut digits, mut at) = ([b'0'; 20], 20);
    while number > 0 || 20 - at < width {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.push_str(std::str::from_utf8(&digits[at..]).expect("digits are UTF-8"));
}

/// Writes all rows as a CSV file with a header, and `id,label` of the rows that have a label; returns the number of rows.
pub fn write_csv(spec: Spec, csv: &mut dyn Write, labels: &mut dyn Write) -> io::Result<u64> {
    let mut generator = Generator::new(spec);
    writeln!(csv, "{}", COLUMNS.join(","))?;
    writeln!(labels, "id,label")?;
    let mut record = Vec::new();
    for row in 0..spec.rows {
        record.clear();
        generator.write_row(row, &mut record);
        csv.write_all(&record)?;
        if let Some(label) = generator.label(row) {
            writeln!(labels, "{},{label}", row + 1)?;
        }
    }
    Ok(spec.rows)
}

/// The generator as a source.
#[derive(Debug)]
pub struct GeneratorSource {
    generator: Generator,
    ordinal: u32,
    next: u64,
    limits: Limits,
    form: Arc<Form>,
}

impl GeneratorSource {
    /// The rows from number `offset` on.
    pub fn new(spec: Spec, ordinal: u32, offset: u64, limits: Limits) -> Self {
        let form = Arc::new(Form::Csv(Layout::canonical()));
        Self { generator: Generator::new(spec), ordinal, next: offset, limits, form }
    }
}

impl Source for GeneratorSource {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        let (from, mut bytes, mut records) = (self.next, Vec::new(), Vec::new());
        while self.next < self.generator.spec.rows
            && records.len() < self.limits.batch_rows
            && bytes.len() < self.limits.batch_bytes
        {
            let start = bytes.len();
            self.generator.write_row(self.next, &mut bytes);
            // Each row by itself, as its number is its record id: what follows must not lend it a quote.
            let mut scanner = self.form.scanner(usize::MAX);
            let found = scanner.next(&bytes[start..], true).expect("a generated row is a record");
            let at = |at: usize| u32::try_from(start + at).expect("a batch holds less than 4 GiB");
            let (start, end) = (at(found.start), at(found.end));
            records.push(RawRecord { start, end, offset: self.next, quoting: found.quoting, flaw: found.flaw });
            self.next += 1;
        }
        let slice = Slice { source: self.ordinal, from, to: self.next };
        let batch = RawBatch { form: Arc::clone(&self.form), slice, bytes, records, beside: Vec::new() };
        Ok((from < self.next).then_some(batch))
    }
}

#[cfg(test)]
mod tests;
