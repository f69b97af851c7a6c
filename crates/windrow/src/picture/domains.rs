//! Clusters × main domains: a table whose cells are the darker the more pages they have.

use windrow_engine::history::DomainTable;

use super::messages::others;
use super::svg::{Anchor, Area, Ink, Look, MARGIN, SMALL, Svg, TEXT};
use super::{Known, scale};
use crate::term::text;

const ROW: f64 = 27.0;
const ID: f64 = 44.0;
/// Room over the columns for the names of domains, which stand turned.
const NAMES: f64 = 122.0;
const TOTAL: f64 = 64.0;
const TURNED: f64 = -50.0;
/// From few to many, readable in grey (after ColorBrewer's Blues, C. Brewer).
const LIGHT: [f64; 3] = [239.0, 245.0, 252.0];
const DARK: [f64; 3] = [8.0, 64.0, 129.0];
/// Of a cell without a page.
const EMPTY: &str = "#f6f6f6";

/// The table as it is drawn: a line a cluster.
struct Table<'a> {
    columns: Vec<&'a str>,
    lines: Vec<Line<'a>>,
}

struct Line<'a> {
    id: Option<u32>,
    label: &'a str,
    counts: Vec<u64>,
    pages: u64,
}

pub(super) fn draw(svg: &mut Svg<'_>, known: &Known<'_>, table: &DomainTable) {
    let about = format!(
        "{} by cluster and registrable domain; {} and {} shown, largest first",
        text::counted(table.total, "page"),
        text::counted(table.clusters.len() as u64, "cluster"),
        text::counted(table.domains.len() as u64, "domain"),
    );
    svg.head("Clusters and their domains", &about);
    let rest = others(0);
    let table = turned(known, table, &rest);
    let most = table.lines.iter().flat_map(|line| &line.counts).copied().max().unwrap_or(0);
    let left = MARGIN + ID + (svg.width * 0.24).min(290.0);
    let right = svg.width - MARGIN - TOTAL - 40.0;
    let column = ((right - left) / table.columns.len().max(1) as f64).min(60.0);
    svg.text(MARGIN, svg.y + NAMES - 4.0, "cluster", Look::SMALL);
    for (at, name) in table.columns.iter().enumerate() {
        let x = left + column * (at as f64 + 0.5) + 4.0;
        let look = Look { size: SMALL, turned: TURNED, ..Look::TEXT };
        svg.text_within(x, svg.y + NAMES - 4.0, name, look, NAMES / TURNED.to_radians().sin().abs() - 10.0);
    }
    let pages = left + column * table.columns.len() as f64 + TOTAL;
    svg.text(pages, svg.y + NAMES - 4.0, "pages", Look::SMALL.at(Anchor::End));
    svg.y += NAMES + 2.0;
    for line in &table.lines {
        draw_line(svg, line, (left, column, pages), most, &table.columns);
    }
    let note = format!(
        "Columns: registrable domains. Darker cells have more pages, on a logarithmic scale up to {}.",
        text::count(most)
    );
    svg.text(MARGIN, svg.y + 22.0, &note, Look::SMALL);
    svg.y += 28.0;
}

/// Clusters become lines, because their names are long.
fn turned<'a>(known: &'a Known<'_>, table: &'a DomainTable, rest: &'a str) -> Table<'a> {
    let mut columns: Vec<&str> =
        table.domains.iter().map(|(domain, _)| if domain.is_empty() { "(no domain)" } else { domain }).collect();
    columns.push("other domains");
    let line = |(at, (id, pages)): (usize, &(u32, u64))| Line {
        id: Some(*id),
        label: known.label(*id),
        counts: table.counts.iter().map(|row| row[at]).chain([table.other_domains[at]]).collect(),
        pages: *pages,
    };
    let mut lines: Vec<Line<'_>> = table.clusters.iter().enumerate().map(line).collect();
    let counts: Vec<u64> = table.other_clusters.iter().copied().chain([table.other]).collect();
    let pages = counts.iter().sum();
    if pages > 0 {
        lines.push(Line { id: None, label: rest, counts, pages });
    }
    Table { columns, lines }
}

fn draw_line(svg: &mut Svg<'_>, line: &Line<'_>, (left, column, pages): (f64, f64, f64), most: u64, columns: &[&str]) {
    let base = svg.y + ROW / 2.0 + TEXT * 0.36;
    if let Some(id) = line.id {
        svg.text(MARGIN, base, &id.to_string(), Look::SMALL);
    }
    svg.text_within(MARGIN + ID, base, line.label, Look::TEXT, left - MARGIN - ID - 12.0);
    for ((at, count), name) in line.counts.iter().enumerate().zip(columns) {
        let area = Area { x: left + column * at as f64, y: svg.y, width: column - 1.0, height: ROW - 1.0 };
        let heat = (1.0 + *count as f64).ln() / (1.0 + most as f64).ln().max(f64::MIN_POSITIVE);
        let meaning = format!("{} · {name}: {}", line.label, text::counted(*count, "page"));
        let (class, color) = if *count > 0 { ("heat", color(heat)) } else { ("gap", EMPTY.to_owned()) };
        svg.filled_rect(area, class, &color, Some(&meaning));
        if *count > 0 {
            let ink = if heat > 0.55 { Ink::Paper } else { Ink::Dark };
            let look = Look { size: 11.0, ink, ..Look::TEXT }.at(Anchor::Middle);
            svg.text(area.x + area.width / 2.0, base, &scale::short(*count), look);
        }
    }
    svg.text(pages, base, &text::count(line.pages), Look { size: SMALL, ..Look::TEXT }.at(Anchor::End));
    svg.y += ROW;
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two colours")]
fn color(heat: f64) -> String {
    let of = |i: usize| (LIGHT[i] + (DARK[i] - LIGHT[i]) * heat.clamp(0.0, 1.0)).round() as u8;
    format!("#{:02x}{:02x}{:02x}", of(0), of(1), of(2))
}
