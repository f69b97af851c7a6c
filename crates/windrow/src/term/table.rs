//! Tables by display width: fixed columns take what they need, one column takes the rest.

use super::text;
use super::{Style, Term};
use crate::cmd::Failure;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'t> {
    /// Heading.
    pub(crate) title: &'t str,
    /// Whether values stand to the right.
    pub(crate) right: bool,
    /// Most columns of the terminal that it takes; none for the rest of the line.
    pub(crate) most: Option<usize>,
    /// Whether it takes as many whatever it holds, so that a picture that moves stands still.
    pub(crate) is_fixed: bool,
    /// Style of its values.
    pub(crate) style: Option<Style>,
}

impl<'t> Column<'t> {
    /// A column of text.
    pub(crate) const fn left(title: &'t str, most: usize) -> Self {
        Self { title, right: false, most: Some(most), is_fixed: false, style: None }
    }

    /// A column of numbers.
    pub(crate) const fn right(title: &'t str, most: usize) -> Self {
        Self { title, right: true, most: Some(most), is_fixed: false, style: None }
    }

    /// The column that takes the rest of the line.
    pub(crate) const fn rest(title: &'t str) -> Self {
        Self { title, right: false, most: None, is_fixed: false, style: None }
    }

    /// Always as wide as it may be.
    pub(crate) const fn fixed(self) -> Self {
        Self { is_fixed: true, ..self }
    }

    /// In this style.
    pub(crate) const fn style(self, style: Style) -> Self {
        Self { style: Some(style), ..self }
    }
}

/// The lines of a table of at most `width` columns: heading first. Cells are plain text.
pub(crate) fn lines(columns: &[Column<'_>], rows: &[Vec<String>], width: usize, color: bool) -> Vec<String> {
    let widths = widths(columns, rows, width);
    let mut lines = Vec::with_capacity(rows.len() + 1);
    if columns.iter().any(|column| !column.title.is_empty()) {
        let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
        let heads: Vec<Column<'_>> = columns.iter().map(|column| Column { style: Some(Style::Dim), ..*column }).collect();
        lines.push(line(&heads, &titles, &widths, color));
    }
    lines.extend(rows.iter().map(|row| line(columns, row, &widths, color)));
    lines
}

/// The width of a table that has all the room it wants.
pub(crate) fn width(columns: &[Column<'_>], rows: &[Vec<String>]) -> usize {
    widths(columns, rows, usize::MAX).iter().sum::<usize>() + 2 * columns.len().saturating_sub(1)
}

fn widths(columns: &[Column<'_>], rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let natural =
        |at: usize| rows.iter().map(|row| text::width(&row[at])).chain([text::width(columns[at].title)]).max().unwrap_or(0);
    let fitting = |(at, column): (usize, &Column<'_>)| match column.most {
        Some(most) if column.is_fixed => most,
        Some(most) => natural(at).min(most),
        None => 0,
    };
    let mut widths: Vec<usize> = columns.iter().enumerate().map(fitting).collect();
    let gaps = 2 * columns.len().saturating_sub(1);
    let rest = width.saturating_sub(widths.iter().sum::<usize>() + gaps);
    if let Some(at) = columns.iter().position(|column| column.most.is_none()) {
        widths[at] = if columns[at].is_fixed { rest } else { rest.min(natural(at)) }.max(8);
    }
    widths
}

fn line(columns: &[Column<'_>], cells: &[String], widths: &[usize], color: bool) -> String {
    let mut line = String::new();
    for ((column, cell), width) in columns.iter().zip(cells).zip(widths) {
        if !line.is_empty() {
            line.push_str("  ");
        }
        let cell = text::fit(cell, *width, column.right);
        match column.style {
            Some(style) => line.push_str(&style.paint(&cell, color)),
            None => line.push_str(&cell),
        }
    }
    line.trim_end().to_owned()
}

/// Writes a table as data.
pub(crate) fn write(term: &mut Term, columns: &[Column<'_>], rows: &[Vec<String>]) -> Result<(), Failure> {
    let (width, color) = (term.width(), term.color);
    for line in lines(columns, rows, width, color) {
        term.line(&line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_cut_so_that_lines_fit() {
        let columns = [Column::right("id", 4), Column::rest("label"), Column::right("pages", 9)];
        let rows =
            vec![vec!["1".into(), "语言模型 ".repeat(20), "12".into()], vec!["23".into(), "short".into(), "1,234,567".into()]];
        let lines = lines(&columns, &rows, 40, false);
        assert!(lines.iter().all(|line| text::width(line) <= 40), "{lines:#?}");
        assert!(lines[1].ends_with("       12") && lines[2].ends_with("1,234,567"), "{lines:#?}");
        assert_eq!(lines[0].trim_end(), "id  label                          pages");
    }
}
