//! Pages of each cluster: bars, largest first.

use std::cmp::Reverse;

use windrow_core::cluster::ClusterId;
use windrow_engine::history::Messages;

use super::svg::{Anchor, Area, Ink, Look, MARGIN, SMALL, Svg, TEXT};
use super::{Known, NAMED, Scope, scale};
use crate::term::text;

const ROW: f64 = 27.0;
const BAR: f64 = 17.0;
const ID: f64 = 44.0;

/// One bar.
struct Bar {
    id: Option<ClusterId>,
    label: String,
    pages: u64,
}

pub(super) fn draw(svg: &mut Svg<'_>, known: &Known<'_>, messages: &Messages, scope: Scope) {
    let total: u64 = messages.clusters.values().sum::<u64>() + messages.others;
    let about = format!(
        "{} given to {} at their arrival, {}{}",
        text::counted(total, "page"),
        text::counted(messages.clusters.len() as u64, "cluster"),
        scope.window_name(),
        range(messages, scope),
    );
    svg.head("Messages per cluster", &about);
    let bars = bars(known, messages);
    let most = bars.iter().filter(|bar| bar.id.is_some()).map(|bar| bar.pages).max().unwrap_or(0);
    let ticks = scale::numbers(most, 5);
    let top = ticks.last().copied().unwrap_or(1).max(1);
    let left = MARGIN + ID + (svg.width * 0.27).min(320.0);
    let right = svg.width - MARGIN - 150.0;
    let place = |pages: u64| left + (right - left) * pages as f64 / top as f64;
    svg.text(MARGIN, svg.y + TEXT, "cluster", Look::SMALL);
    let (first, end) = (svg.y + 24.0, svg.y + 24.0 + ROW * bars.len() as f64);
    for tick in &ticks {
        svg.line((place(*tick), first), (place(*tick), end), Ink::Grid);
        svg.text(place(*tick), end + 18.0, &scale::short(*tick), Look::SMALL.at(Anchor::Middle));
    }
    for (row, bar) in bars.iter().enumerate() {
        let y = first + ROW * row as f64;
        let base = y + ROW / 2.0 + TEXT * 0.36;
        if let Some(id) = bar.id {
            svg.text(MARGIN, base, &id.to_string(), Look::SMALL);
        }
        svg.text_within(MARGIN + ID, base, &bar.label, Look::TEXT, left - MARGIN - ID - 12.0);
        // Many small clusters together would dwarf the largest: they have a number and no bar.
        let tip = if bar.id.is_some() { place(bar.pages) } else { left };
        svg.rect(Area { x: left, y: y + (ROW - BAR) / 2.0, width: tip - left, height: BAR }, Ink::Mark);
        let share = 100.0 * bar.pages as f64 / total.max(1) as f64;
        svg.text(tip + 8.0, base, &format!("{} ({share:.1} %)", text::count(bar.pages)), Look { size: SMALL, ..Look::TEXT });
    }
    svg.text(f64::midpoint(left, right), end + 38.0, "pages", Look::SMALL.at(Anchor::Middle));
    svg.y = end + 46.0;
}

fn range(messages: &Messages, scope: Scope) -> String {
    let Some((from, to)) = messages.range else { return String::new() };
    format!(": {} {} to {} UTC", scope.clock_name(), scale::moment(from), scale::moment(to))
}

fn bars(known: &Known<'_>, messages: &Messages) -> Vec<Bar> {
    let mut clusters: Vec<(ClusterId, u64)> = messages.clusters.iter().map(|(id, pages)| (*id, *pages)).collect();
    clusters.sort_by_key(|(id, pages)| (Reverse(*pages), *id));
    let rest = clusters.split_off(clusters.len().min(NAMED));
    let mut bars: Vec<Bar> =
        clusters.into_iter().map(|(id, pages)| Bar { id: Some(id), label: known.label(id).to_owned(), pages }).collect();
    let pages = rest.iter().map(|(_, pages)| pages).sum::<u64>() + messages.others;
    if pages > 0 {
        bars.push(Bar { id: None, label: others(rest.len()), pages });
    }
    bars
}

/// What stands for clusters that have no name in a picture.
pub(super) fn others(n: usize) -> String {
    if n == 0 { "other clusters".to_owned() } else { format!("{n} other {}", if n == 1 { "cluster" } else { "clusters" }) }
}
