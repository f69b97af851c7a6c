//! A made-up campaign as CSV: themes that come and go, texts with line feeds and quotes, and a few rows that no reader can like.
//!
//! The fault suite reads it through the real CSV reader. The same size gives the same bytes.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;

/// A small generator of chance (xorshift64*), so that a size names its bytes for ever.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).unwrap_or(0) % n
    }
}

const THEMES: usize = 60;
const THEME_WORDS: usize = 14;
const ALIVE: usize = 12;
const SYLLABLES: [&str; 16] = ["ka", "lo", "mi", "re", "tu", "sa", "ne", "vi", "po", "du", "ше", "го", "né", "ül", "छा", "wo"];

/// Writes rows `from..to` of the campaign with a header. The time rises by a second a row.
pub(crate) fn write(path: &Path, from: usize, to: usize) -> Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "creation_time,id,url,title,keywords,description")?;
    for row in from..to {
        // A row depends on its number alone: two files are as good as one.
        let mut chance = Chance::new(row as u64 + 1);
        // Themes are born and die: the living ones move on through the list.
        let theme = (row / 2_000 + chance.below(ALIVE) * chance.below(3)) % THEMES;
        match chance.below(400) {
            0 => writeln!(file, "2023-05-17 20:21:51,{row},too,few")?,
            1 => writeln!(file, "soon,{row},https://site.example/{row},{},,", words(theme, 5, &mut chance))?,
            2 => writeln!(file, "2023-05-17 20:21:51,{row},,,,")?,
            3 => writeln!(file, "2023-05-17 20:21:51,{row},\"https://site.example/open,{},,", words(theme, 3, &mut chance))?,
            _ => page(&mut file, row, theme, &mut chance)?,
        }
    }
    file.flush()?;
    Ok(())
}

/// Writes `rows` pages of the campaign with a header, and nothing that a reader could stumble over.
pub(crate) fn write_pages(path: &Path, rows: usize) -> Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "creation_time,id,url,title,keywords,description")?;
    for row in 0..rows {
        let mut chance = Chance::new(row as u64 + 1);
        page(&mut file, row, row / 200 % THEMES, &mut chance)?;
    }
    file.flush()?;
    Ok(())
}

fn page(file: &mut impl Write, row: usize, theme: usize, chance: &mut Chance) -> Result<()> {
    let (day, second) = (1 + row / 86_400 % 28, row % 86_400);
    let time = format!("2023-05-{day:02} {:02}:{:02}:{:02}.000", second / 3600, second / 60 % 60, second % 60);
    let title = words(theme, 5 + chance.below(4), chance);
    let keywords = if chance.below(3) == 0 { words(theme, 3, chance) } else { String::new() };
    let description = match chance.below(4) {
        0 => format!("\"{}\n{} \"\"{}\"\"\"", words(theme, 4, chance), words(theme, 4, chance), words(theme, 1, chance)),
        1 => words(theme, 9, chance),
        _ => String::new(),
    };
    writeln!(file, "{time},{row},https://site{theme}.example/{row}?utm_source=x,{title},{keywords},{description}")?;
    Ok(())
}

/// Words of a theme, and now and then one of everybody's.
pub(crate) fn words(theme: usize, n: usize, chance: &mut Chance) -> String {
    let word = |chance: &mut Chance| {
        let number =
            if chance.below(5) == 0 { chance.below(900) } else { 1_000 + theme * THEME_WORDS + chance.below(THEME_WORDS) };
        [number % 16, number / 16 % 16, number / 256 % 16].map(|at| SYLLABLES[at]).concat()
    };
    (0..n).map(|_| word(chance)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_depends_on_its_number_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = |from, to| {
            let path = folder.path().join("x.csv");
            write(&path, from, to).unwrap();
            std::fs::read_to_string(path).unwrap()
        };
        let whole = text(0, 3_000);
        let (head, tail) = (text(0, 1_000), text(1_000, 3_000));
        assert_eq!(whole, head + tail.split_once('\n').unwrap().1);
        assert!(whole.contains("too,few") && whole.contains("\"\""));
    }
}
