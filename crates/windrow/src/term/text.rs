//! Text on a terminal: made harmless, cut by display width, numbers and bars for people.

use std::borrow::Cow;

use windrow_core::lineage::is_hostile;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` without anything hostile, white space as single blanks.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let is_plain = !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ")
        && !text.chars().any(|c| is_hostile(c) || c.is_whitespace() && c != ' ');
    if is_plain {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() {
            if !clean.ends_with(' ') {
                clean.push(' ');
            }
        } else if !is_hostile(c) {
            clean.push(c);
        }
    }
    Cow::Owned(clean.trim().to_owned())
}

/// Any bytes as harmless text: white space as single blanks, hostile characters and what is no UTF-8 as escapes.
pub(crate) fn bytes_shown(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if c.is_whitespace() && shown.ends_with(' ') => {}
                c if c.is_whitespace() => shown.push(' '),
                c if is_hostile(c) && c.is_ascii() => shown.push_str(&format!("\\x{:02x}", u32::from(c))),
                c if is_hostile(c) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
                c => shown.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| shown.push_str(&format!("\\x{byte:02x}")));
    }
    shown.trim().to_owned()
}

/// JSON text with hostile characters as escapes; they can only stand inside strings.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_hostile) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    let mut units = [0; 2];
    for c in json.chars() {
        if is_hostile(c) {
            c.encode_utf16(&mut units).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// One value of a tab-separated line: tab, line ends and backslash escaped, other hostile characters dropped.
pub(crate) fn tsv(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\\' => escaped.push_str("\\\\"),
            c if is_hostile(c) => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// Columns that plain text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` cut to at most `columns`, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        kept.push(c);
    }
    Cow::Owned(kept.trim_end().to_owned() + if columns == 0 { "" } else { "…" })
}

/// `text` cut and filled up to exactly `columns`.
pub(crate) fn fit(text: &str, columns: usize, right: bool) -> String {
    let cut = cut(text, columns);
    let blanks = " ".repeat(columns.saturating_sub(width(&cut)));
    if right { blanks + &cut } else { cut.into_owned() + &blanks }
}

/// A whole number with thousands separators.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A number of bytes for people.
pub(crate) fn bytes(number: u64) -> String {
    match number {
        0..1_024 => format!("{number} B"),
        1_024..1_048_576 => format!("{:.0} kB", number as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.0} MB", number as f64 / 1_048_576.0),
        _ => format!("{:.1} GB", number as f64 / 1_073_741_824.0),
    }
}

/// A time span for people.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6_000.0 => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
        s => format!("{:.0} h {:02.0} min", (s / 3_600.0).floor(), ((s % 3_600.0) / 60.0).floor()),
    }
}

/// A moment as ISO 8601, UTC.
pub(crate) fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |time| time.to_string())
}

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A bar of `columns` columns, filled by `share` in [0, 1]; something above nothing is always seen.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..=8 x columns")]
pub(crate) fn bar(share: f64, columns: usize) -> String {
    let least = if share > 0.0 { 1 } else { 0 };
    let eighths = ((share.clamp(0.0, 1.0) * 8.0 * columns as f64).round() as usize).max(least);
    let bar = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    fit(&bar, columns, false)
}

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last `columns` values as one character each; blank where there was nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..8")]
pub(crate) fn sparkline(values: &[u32], columns: usize) -> String {
    let shown = &values[values.len().saturating_sub(columns)..];
    let top = f64::from(shown.iter().copied().max().unwrap_or(0).max(1));
    let line: String = shown
        .iter()
        .map(|value| if *value == 0 { ' ' } else { LEVELS[((f64::from(*value) / top * 8.0).ceil() as usize).clamp(1, 8) - 1] })
        .collect();
    fit(&line, columns, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_made_plain() {
        assert_eq!(plain("\x1b[2Jgone\x07"), "[2Jgone");
        assert_eq!(plain("abc\u{202e}fdp.exe\u{2066}"), "abcfdp.exe");
        assert_eq!(plain("  a \t\r\n b\u{2028}c\u{85} "), "a b c");
        assert_eq!(plain("\u{9b}31mC1"), "31mC1");
        assert_eq!(plain("क्\u{200d}ष 语言"), "क्\u{200d}ष 语言");
        assert!(matches!(plain("plain text"), Cow::Borrowed(_)));
    }

    #[test]
    fn any_bytes_can_be_shown() {
        assert_eq!(bytes_shown(b"\x1b[2J\xff\xfe\x00 a\r\n\tb "), "\\x1b[2J\\xff\\xfe\\x00 a b");
        assert_eq!(bytes_shown("{\"t\": \"\u{202e}语\"}".as_bytes()), "{\"t\": \"\\u{202e}语\"}");
    }

    #[test]
    fn json_keeps_hostile_text_as_escapes() {
        let json = serde_json::to_string(&["\u{202e}\u{7f}\u{e0041}\x1b"]).unwrap();
        let escaped = escape_json(&json);
        assert!(!escaped.chars().any(is_hostile), "{escaped}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), ["\u{202e}\u{7f}\u{e0041}\x1b"]);
    }

    #[test]
    fn text_is_cut_by_display_width() {
        assert_eq!(cut("windrow", 7), "windrow");
        assert_eq!(cut("windrow", 5), "wind…");
        assert_eq!(cut("语言模型", 5), "语言…");
        assert_eq!(width(&fit("语言模型", 6, false)), 6);
        assert_eq!(fit("12", 4, true), "  12");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([bytes(12), bytes(2_048), bytes(5 << 20), bytes(3 << 30)], ["12 B", "2 kB", "5 MB", "3.0 GB"]);
        assert_eq!(
            [seconds(1.25), seconds(62.0), seconds(125.0), seconds(7_260.0)],
            ["1.2 s", "62 s", "2 min 05 s", "2 h 01 min"]
        );
    }

    #[test]
    fn bars_and_sparklines_have_their_width() {
        assert_eq!([bar(0.0, 4), bar(0.5, 4), bar(1.0, 4), bar(0.001, 4)], ["    ", "██  ", "████", "▏   "]);
        assert_eq!(sparkline(&[9, 0, 1, 8], 3), " ▁█");
        assert_eq!(sparkline(&[], 3), "   ");
    }

    #[test]
    fn tsv_values_stay_on_their_line() {
        assert_eq!(tsv("a\tb\nc\\d\u{202e}"), "a\\tb\\nc\\\\d");
    }
}
