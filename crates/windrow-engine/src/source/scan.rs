//! The scanner: finds where records end in a growing stream of decompressed CSV bytes.
//!
//! It is the only code that knows what a record is; splitting a record into fields is left to [`super::parse`], in other threads.
//! Line feed, carriage return or both end a record outside quotes (the second of two line ends is a blank line, and blank lines
//! are no records, so neither needs a look ahead). A quote opens only at the start of a field; `""` inside is a quote. All of
//! this is what Python's csv module does, with one difference: **a broken quote must not swallow the rows behind it**. A record
//! that spans lines and is malformed - never closed, text after a closing quote, another number of fields than the header - is
//! given up: only its first line is rejected, and scanning goes on right behind that line. A record on one line is never given
//! up; its field count decides later.
//!
//! Cost: giving up means that bytes are scanned again. A line inside an open quote that would itself open one on the second scan
//! holds an odd run of quotes, and on the first scan such a run ends a field. As a record is given up as soon as it has too many
//! fields, a byte is scanned at most once for each column, whatever the input.
//!
//! Memory: a record holds at most `limit` bytes. A longer line comes as several records, each of them `limit` bytes long but the
//! last, all flawed as `TooLong`: nothing is lost, and nothing grows. A scanner that starts in the middle of a line (the byte
//! before is no line end: a position between two such pieces, or the end of a file that later grew) goes on in the same way, so
//! that stopping and starting there changes nothing.

use memchr::{memchr, memchr_iter, memchr2, memchr3};
use windrow_core::record::RejectReason;

use crate::batch::Quoting;

/// A record found: positions in the bytes given to [`Scanner::next`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// First byte.
    pub start: usize,
    /// After the last byte, without line end.
    pub end: usize,
    /// How its fields are written.
    pub quoting: Quoting,
    /// Why it can never be a row.
    pub flaw: Option<RejectReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Before the first byte of a record.
    Start,
    /// Outside quotes.
    Open,
    /// Inside a quoted field.
    Quoted,
    /// Behind a quote inside a quoted field: the next byte says what it was.
    Quote,
    /// In the rest of a line that is too long.
    Rest,
}

/// Finds records. Fed with a buffer that grows at its end; see [`Scanner::forget`] for dropping bytes at its head.
#[derive(Debug, Clone)]
pub struct Scanner {
    limit: usize,
    delimiter: u8,
    /// Whether quotes mean something; else every line is a record.
    has_quotes: bool,
    /// Whether a long line is cut between characters only.
    keeps_characters: bool,
    columns: Option<usize>,
    mode: Mode,
    /// Start of the record looked for: all before it is done.
    start: usize,
    /// Scanned up to here.
    at: usize,
    /// Start of the stretch outside quotes whose delimiters are not counted yet.
    stretch: usize,
    delimiters: usize,
    /// The first line end inside quotes: where to go on when the record is given up.
    first_line_end: Option<usize>,
    text_after_quote: bool,
    quoting: Quoting,
}

impl Scanner {
    /// A scanner at the start of a line. `columns` is the number of fields of the header, when it is known; `limit` (> 0) the
    /// length of the longest record in bytes.
    pub fn new(columns: Option<usize>, limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            delimiter: b',',
            has_quotes: true,
            keeps_characters: false,
            columns,
            mode: Mode::Start,
            start: 0,
            at: 0,
            stretch: 0,
            delimiters: 0,
            first_line_end: None,
            text_after_quote: false,
            quoting: Quoting::Plain,
        }
    }

    /// The same with this delimiter in place of the comma.
    #[must_use]
    pub fn separated_by(self, delimiter: u8) -> Self {
        Self { delimiter, ..self }
    }

    /// The same for lines without quotes: each is a record.
    #[must_use]
    pub fn of_lines(self) -> Self {
        Self { has_quotes: false, ..self }
    }

    /// The same for text that stands for something longer or shorter: a line that is too long is cut between two characters, so that
    /// the cut has a place there too. The limit must be 4 at least.
    #[must_use]
    pub fn keeping_characters(self) -> Self {
        Self { keeps_characters: true, ..self }
    }

    /// The same behind the first bytes of a line: what is left of that line is `TooLong`.
    #[must_use]
    pub fn in_rest_of_line(self) -> Self {
        Self { mode: Mode::Rest, ..self }
    }

    /// The same at the start of a line that is at position `start` of its buffer; what lies before is done.
    #[must_use]
    pub fn starting_at(self, start: usize) -> Self {
        Self { start, at: start, ..self }
    }

    /// Everything before this position is done: records handed out, and line ends.
    pub fn done(&self) -> usize {
        self.start
    }

    /// Says that `count` bytes (at most [`Self::done`]) were dropped from the head of the buffer.
    pub fn forget(&mut self, count: usize) {
        self.start -= count;
        self.at -= count;
        self.stretch = self.stretch.saturating_sub(count);
        self.first_line_end = self.first_line_end.map(|at| at - count);
    }

    /// The next record in `bytes`, which must start with the bytes given before (less the forgotten) and may have grown.
    /// `None` asks for more bytes, or says, when `end_of_input`, that there are no more records.
    pub fn next(&mut self, bytes: &[u8], end_of_input: bool) -> Option<Scanned> {
        self.skip_line_ends(bytes);
        // What lies beyond the limit is never looked at, so that the answer does not depend on how much is there.
        let reach = self.start.saturating_add(self.limit);
        let full = bytes.len() > reach;
        let window = &bytes[..if full { reach + 1 } else { bytes.len() }];
        let found = match self.mode {
            Mode::Rest => self.find_rest(window),
            _ => self.find(window),
        };
        if found.is_some() {
            return found;
        }
        if full {
            let whole = if self.keeps_characters { start_of_character(window, reach) } else { reach };
            return Some(self.cut(whole));
        }
        (end_of_input && self.start < bytes.len()).then(|| self.finish(bytes))
    }

    fn skip_line_ends(&mut self, bytes: &[u8]) {
        let fresh = self.mode == Mode::Start || (self.mode == Mode::Rest && self.at == self.start);
        if !fresh {
            return;
        }
        while self.start < bytes.len() && is_line_end(bytes[self.start]) {
            self.start += 1;
            self.mode = Mode::Start;
        }
        self.at = self.start;
    }

    /// Scans on until the record ends or the window does.
    fn find(&mut self, window: &[u8]) -> Option<Scanned> {
        if self.mode == Mode::Start && self.start < window.len() {
            self.mode = Mode::Open;
            self.stretch = self.start;
        }
        while self.at < window.len() {
            let found = match self.mode {
                Mode::Open => self.step_open(window),
                Mode::Quoted => self.step_quoted(window),
                Mode::Quote => self.step_quote(window[self.at]),
                Mode::Start | Mode::Rest => unreachable!("find is called inside a record"),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    #[inline]
    fn step_open(&mut self, window: &[u8]) -> Option<Scanned> {
        let rest = &window[self.at..];
        let hit = if self.has_quotes { memchr3(b'"', b'\n', b'\r', rest) } else { memchr2(b'\n', b'\r', rest) };
        let Some(hit) = hit else {
            self.at = window.len();
            return None;
        };
        let hit = self.at + hit;
        self.at = hit + 1;
        if window[hit] != b'"' {
            return Some(self.end(window, hit));
        }
        if hit != self.start && window[hit - 1] != self.delimiter {
            return None; // a quote inside an unquoted field is a character like any other
        }
        self.delimiters += memchr_iter(self.delimiter, &window[self.stretch..hit]).count();
        self.mode = Mode::Quoted;
        self.quoting = self.quoting.max(Quoting::Quoted);
        self.give_up_if_hopeless()
    }

    fn step_quoted(&mut self, window: &[u8]) -> Option<Scanned> {
        let rest = &window[self.at..];
        let hit = if self.first_line_end.is_some() { memchr(b'"', rest) } else { memchr3(b'"', b'\n', b'\r', rest) };
        let Some(hit) = hit else {
            self.at = window.len();
            return None;
        };
        let hit = self.at + hit;
        self.at = hit + 1;
        if window[hit] == b'"' {
            self.mode = Mode::Quote;
            return None;
        }
        self.first_line_end = Some(hit);
        self.give_up_if_hopeless()
    }

    fn step_quote(&mut self, byte: u8) -> Option<Scanned> {
        if byte == b'"' {
            self.at += 1;
            self.mode = Mode::Quoted;
            self.quoting = Quoting::Escaped;
            return None;
        }
        self.mode = Mode::Open;
        self.stretch = self.at;
        if byte == self.delimiter || is_line_end(byte) {
            return None;
        }
        self.text_after_quote = true;
        self.quoting = Quoting::Escaped;
        self.give_up_if_hopeless()
    }

    /// A record that spans lines is given up as soon as it cannot become a row any more.
    fn give_up_if_hopeless(&mut self) -> Option<Scanned> {
        let first = self.first_line_end?;
        if self.text_after_quote {
            return Some(self.reject_line(first, RejectReason::BadQuote));
        }
        let too_many = self.columns.is_some_and(|columns| self.delimiters >= columns);
        too_many.then(|| self.reject_line(first, RejectReason::ColumnCount))
    }

    /// The record ends at `end`, outside quotes.
    fn end(&mut self, window: &[u8], end: usize) -> Scanned {
        if let (Some(first), Some(columns)) = (self.first_line_end, self.columns) {
            let delimiters = self.delimiters + memchr_iter(self.delimiter, &window[self.stretch..end]).count();
            if delimiters + 1 != columns {
                return self.reject_line(first, RejectReason::ColumnCount);
            }
        }
        self.hand_out(end, (end + 1).min(window.len()), None)
    }

    /// The input ends with `bytes`, inside a record.
    fn finish(&mut self, bytes: &[u8]) -> Scanned {
        let end = bytes.len();
        match (self.mode, self.first_line_end) {
            (Mode::Rest, _) => self.hand_out(end, end, Some(RejectReason::TooLong)),
            (Mode::Quoted, Some(first)) => self.reject_line(first, RejectReason::BadQuote),
            (Mode::Quoted, None) => self.hand_out(end, end, None),
            (Mode::Quote, _) => {
                self.stretch = end;
                self.end(bytes, end)
            }
            (Mode::Start | Mode::Open, _) => self.end(bytes, end),
        }
    }

    /// The record reaches the limit.
    fn cut(&mut self, end: usize) -> Scanned {
        match (self.mode, self.first_line_end) {
            (Mode::Quoted, Some(first)) => self.reject_line(first, RejectReason::BadQuote),
            (_, Some(first)) => self.reject_line(first, RejectReason::TooLong),
            (_, None) => {
                let piece = self.hand_out(end, end, Some(RejectReason::TooLong));
                self.mode = Mode::Rest;
                piece
            }
        }
    }

    fn find_rest(&mut self, window: &[u8]) -> Option<Scanned> {
        let Some(hit) = memchr2(b'\n', b'\r', &window[self.at..]) else {
            self.at = window.len();
            return None;
        };
        let end = self.at + hit;
        Some(self.hand_out(end, end + 1, Some(RejectReason::TooLong)))
    }

    fn reject_line(&mut self, end: usize, reason: RejectReason) -> Scanned {
        self.hand_out(end, end + 1, Some(reason))
    }

    fn hand_out(&mut self, end: usize, next: usize, flaw: Option<RejectReason>) -> Scanned {
        let found = Scanned { start: self.start, end, quoting: self.quoting, flaw };
        self.start = next;
        self.at = next;
        self.mode = Mode::Start;
        self.delimiters = 0;
        self.first_line_end = None;
        self.text_after_quote = false;
        self.quoting = Quoting::Plain;
        found
    }
}

/// Where the character begins that `at` lies in.
fn start_of_character(text: &[u8], at: usize) -> usize {
    let back = text[..=at].iter().rev().take(4).position(|byte| !(0x80..0xc0).contains(byte));
    at - back.unwrap_or(0)
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

#[cfg(test)]
mod tests;
