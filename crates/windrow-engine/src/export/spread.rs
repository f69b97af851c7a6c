//! CSV that a spreadsheet opens as it was meant: UTF-8 with the mark that Excel knows it by, line ends of Windows, times as it reads them, and
//! no text that it would take for a formula (OWASP, "CSV Injection"): a quote before it keeps it a text.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use windrow_core::record::Micros;

use super::{COLUMNS, Row};

/// What Excel knows UTF-8 by.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) struct Spread {
    csv: csv::Writer<BufWriter<File>>,
    raw: bool,
}

impl Spread {
    pub(super) fn create(file: File, raw: bool, kept: &[String]) -> csv::Result<Self> {
        let mut file = BufWriter::new(file);
        file.write_all(BYTE_ORDER_MARK)?;
        let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
        csv.write_record(
            COLUMNS.into_iter().map(Cow::Borrowed).chain(kept.iter().map(|name| harmless(name))).map(String::from),
        )?;
        Ok(Self { csv, raw })
    }

    pub(super) fn write<'k>(&mut self, row: &Row<'_>, mut kept: impl Iterator<Item = &'k str>) -> csv::Result<()> {
        let raw = self.raw;
        let shown = |text| if raw { Cow::Borrowed(text) } else { harmless(text) };
        let [label, texts @ .., record_id] = row.texts.map(shown);
        self.csv.write_field(row.cluster.to_string())?;
        self.csv.write_field(&*label)?;
        self.csv.write_field(row.creation_time.map(time).unwrap_or_default())?;
        texts.iter().try_for_each(|text| self.csv.write_field(&**text))?;
        for field in [row.score.to_string(), row.novel.to_string(), row.micro_cluster.to_string(), row.slot.to_string()] {
            self.csv.write_field(field)?;
        }
        self.csv.write_field(row.current.map(|current| current.to_string()).unwrap_or_default())?;
        self.csv.write_field(&*record_id)?;
        kept.try_for_each(|value| self.csv.write_field(&*if raw { Cow::Borrowed(value) } else { harmless(value) }))?;
        self.csv.write_record(None::<&[u8]>)
    }

    pub(super) fn finish(self) -> io::Result<File> {
        let file = self.csv.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// A time in UTC as spreadsheets read it; one beyond the calendar is left out.
fn time(time: Micros) -> String {
    let stamp = jiff::Timestamp::from_microsecond(time);
    stamp.map_or_else(|_| String::new(), |stamp| stamp.strftime("%Y-%m-%d %H:%M:%S%.f").to_string())
}

/// The text with a quote before it, where a spreadsheet would take it for a formula. Numbers are none.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula && text.parse::<f64>().is_err() { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula_and_numbers_stay() {
        let hostile = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1", "-", "+"];
        assert!(hostile.iter().all(|text| harmless(text).starts_with('\'')));
        for text in ["", "-12", "+3.5", "-1e9", "a=b", "'=1", "1-2", "–"] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn times_are_read_by_spreadsheets() {
        assert_eq!(time(1_684_354_911_000_000), "2023-05-17 20:21:51");
        assert_eq!(time(1_684_354_911_822_000), "2023-05-17 20:21:51.822");
        assert_eq!(time(Micros::MAX), "");
    }
}
