//! A workbook (XLSX): texts stay texts, whatever they look like; numbers and times are such. What a sheet cannot hold goes to the next one, and
//! what a cell cannot hold is cut and counted.

use std::borrow::Cow;
use std::path::Path;

use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use windrow_core::record::Micros;

use super::{COLUMNS, Row};

/// Rows of a sheet, its header included, and characters of a cell: limits of Excel.
const SHEET_ROWS: u32 = 1_048_576;
const CELL_CHARS: usize = 32_767;
/// Widths of the columns in characters.
const WIDTHS: [f64; COLUMNS.len()] = [8.0, 24.0, 19.0, 50.0, 50.0, 50.0, 24.0, 22.0, 14.0, 8.0, 7.0, 12.0, 6.0, 15.0, 12.0];

pub(super) struct Sheets {
    book: Workbook,
    rows: u32,
    n_sheets: u32,
    most_rows: u32,
    time: Format,
    /// Names of the columns that are carried along.
    kept: Vec<String>,
    /// Texts that were cut.
    pub(super) cut: u64,
}

impl Sheets {
    pub(super) fn new(kept: Vec<String>) -> Self {
        Self::with_most_rows(SHEET_ROWS, kept)
    }

    fn with_most_rows(most_rows: u32, kept: Vec<String>) -> Self {
        let time = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
        Self { book: Workbook::new(), rows: most_rows, n_sheets: 0, most_rows, time, kept, cut: 0 }
    }

    pub(super) fn n_sheets(&self) -> u32 {
        self.n_sheets
    }

    pub(super) fn write<'k>(&mut self, row: &Row<'_>, kept: impl Iterator<Item = &'k str>) -> Result<(), XlsxError> {
        if self.rows >= self.most_rows {
            self.begin_sheet()?;
        }
        let mut cut = 0;
        let [label, texts @ .., record_id] = row.texts.map(|text| in_cell(text, &mut cut));
        let at = self.rows;
        let time = row.creation_time.and_then(serial);
        let sheet = self.book.worksheet_from_index(self.n_sheets as usize - 1)?;
        sheet.write_number(at, 0, row.cluster)?.write_string(at, 1, label)?;
        if let Some(time) = time {
            sheet.write_number_with_format(at, 2, time, &self.time)?;
        }
        for (column, text) in (3..).zip(texts) {
            sheet.write_string(at, column, text)?;
        }
        sheet.write_number(at, 9, row.score)?.write_boolean(at, 10, row.novel)?;
        // Numbers of a workbook hold 53 bits, which no run of years comes to.
        sheet
            .write_number(at, 11, row.micro_cluster as f64)?
            .write_number(at, 12, row.slot)?
            .write_string(at, 14, record_id)?;
        if let Some(current) = row.current {
            sheet.write_number(at, 13, current)?;
        }
        for (column, value) in (15..).zip(kept) {
            match exact(value) {
                Some(number) => sheet.write_number(at, column, number)?,
                None => sheet.write_string(at, column, in_cell(value, &mut cut))?,
            };
        }
        self.rows += 1;
        self.cut += cut;
        Ok(())
    }

    fn begin_sheet(&mut self) -> Result<(), XlsxError> {
        self.n_sheets += 1;
        let name = if self.n_sheets == 1 { "pages".to_owned() } else { format!("pages {}", self.n_sheets) };
        // Rows go to disk as they come: the memory of a workbook does not grow with them.
        let sheet: &mut Worksheet = self.book.add_worksheet_with_constant_memory()?;
        sheet.set_name(name)?.set_freeze_panes(1, 0)?;
        for (column, width) in (0..).zip(WIDTHS) {
            sheet.set_column_width(column, width)?;
        }
        let bold = Format::new().set_bold();
        for (column, name) in (0..).zip(COLUMNS.into_iter().chain(self.kept.iter().map(String::as_str))) {
            sheet.write_string_with_format(0, column, name, &bold)?;
        }
        self.rows = 1;
        Ok(())
    }

    pub(super) fn save(&mut self, path: &Path) -> Result<(), XlsxError> {
        self.book.save(path)
    }
}

/// What a cell holds of a text.
fn in_cell<'a>(text: &'a str, cut: &mut u64) -> Cow<'a, str> {
    // Excel counts UTF-16.
    if text.len() <= CELL_CHARS || text.encode_utf16().count() <= CELL_CHARS {
        return Cow::Borrowed(text);
    }
    *cut += 1;
    let mut left = CELL_CHARS - 1;
    let kept = text.char_indices().find(|(_, c)| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        !fits
    });
    Cow::Owned(format!("{}…", &text[..kept.map_or(text.len(), |(at, _)| at)]))
}

/// The number that a text is, where a workbook shows it as it is written: fifteen digits at most, and no zeros before them.
fn exact(text: &str) -> Option<f64> {
    const DIGITS: usize = 15;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_exact = is_plain(whole)
        && is_plain(decimals)
        && digits.len() <= DIGITS + 1
        && digits.bytes().filter(u8::is_ascii_digit).count() <= DIGITS
        && (whole == "0" || !whole.starts_with('0'));
    if is_exact { text.parse().ok() } else { None }
}

/// A time in UTC as Excel counts it, in days since 1900; none before its first March, from which on its calendar is right, or beyond 9999.
fn serial(time: Micros) -> Option<f64> {
    let days = time as f64 / 86_400e6 + 25_569.0;
    (61.0..2_958_466.0).contains(&days).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_sheet_is_followed_by_another_one() {
        let mut sheets = Sheets::with_most_rows(3, vec!["spend".into()]);
        let texts = ["label", "=1+1", "http://a.example/", "", "", "a.example", "007", "0:1"];
        let row = Row {
            cluster: 1,
            creation_time: Some(0),
            score: 0.5,
            novel: true,
            micro_cluster: 2,
            slot: 0,
            current: None,
            texts,
        };
        for _ in 0..5 {
            sheets.write(&row, ["1.5"].into_iter()).unwrap();
        }
        assert_eq!((sheets.n_sheets(), sheets.cut), (3, 0));
    }

    #[test]
    fn what_a_cell_cannot_hold_is_cut_and_counted() {
        let mut cut = 0;
        assert_eq!(in_cell(&"x".repeat(CELL_CHARS), &mut cut).len(), CELL_CHARS);
        assert_eq!(cut, 0);
        let kept = in_cell(&"😀".repeat(CELL_CHARS), &mut cut).into_owned();
        assert!(kept.encode_utf16().count() <= CELL_CHARS && kept.ends_with("😀…"), "{}", kept.len());
        assert_eq!(cut, 1);
    }

    #[test]
    fn only_what_stays_as_it_is_written_becomes_a_number() {
        for (text, number) in [("0", 0.0), ("-12.50", -12.5), ("123456789012345", 123_456_789_012_345.0), ("0.001", 0.001)] {
            assert_eq!(exact(text), Some(number), "{text}");
        }
        for text in ["", "007", "1e3", "+1", "1.", ".5", "1234567890123456", "0.1234567890123456", "inf", "1 000", "-", "٣"] {
            assert_eq!(exact(text), None, "{text}");
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_left_out() {
        assert_eq!([0, 43_200_000_000].map(serial), [Some(25_569.0), Some(25_569.5)]);
        assert!([Micros::MAX, Micros::MIN, -5_000_000_000_000_000].into_iter().all(|time| serial(time).is_none()));
    }
}
