//! Pages of clusters over time: a strip a cluster, all on one scale, with what nobody counted left blank.

use windrow_core::cluster::ClusterId;
use windrow_engine::history::{Gap, Seconds, Timeline};

use super::messages::others;
use super::svg::{Anchor, Area, Ink, Look, MARGIN, SMALL, Svg};
use super::{Known, Scope, scale};
use crate::term::text;

const STRIP: f64 = 42.0;
const DRAWN: f64 = 36.0;
const ID: f64 = 44.0;
/// How far right of the strips their figures end.
const PEAK: f64 = 52.0;
const ALL: f64 = 130.0;

/// Where strips lie, and what time is where.
struct Across {
    left: f64,
    right: f64,
    from: Seconds,
    to: Seconds,
}

impl Across {
    fn place(&self, time: Seconds) -> f64 {
        let share = (time - self.from) as f64 / (self.to - self.from).max(1) as f64;
        self.left + (self.right - self.left) * share.clamp(0.0, 1.0)
    }
}

/// A strip: its name and its counts. Each has its own scale: a day on which one cluster got everything would flatten all others.
struct Strip<'a> {
    id: Option<ClusterId>,
    label: &'a str,
    counts: &'a [Option<u64>],
}

pub(super) fn draw(svg: &mut Svg<'_>, known: &Known<'_>, timeline: &Timeline, scope: Scope) {
    let sums = sums(timeline);
    let total: u64 = sums.iter().flatten().sum();
    let every = scale::span(timeline.bucket_seconds.max(1));
    let mut about =
        format!("{} of {} by {}, a step is {every}", text::counted(total, "page"), scope.window_name(), scope.clock_name());
    if timeline.undated > 0 {
        about += &format!("; {} without a creation time that can be are not drawn", text::count(timeline.undated));
    }
    svg.head("Clusters over time", &about);
    let (Some(from), Some(last)) = (timeline.times.first().copied(), timeline.times.last()) else {
        svg.text(MARGIN, svg.y + 20.0, "No page has such a time.", Look::TEXT);
        svg.y += 40.0;
        return;
    };
    let across = Across {
        left: MARGIN + ID + (svg.width * 0.26).min(300.0),
        right: svg.width - MARGIN - 130.0,
        from,
        to: last + timeline.bucket_seconds,
    };
    let rest = others(timeline.n_others);
    let mut strips = vec![Strip { id: None, label: "all clusters", counts: &sums }];
    strips.extend(timeline.series.iter().map(|(id, counts)| Strip { id: Some(*id), label: known.label(*id), counts }));
    if timeline.others.iter().flatten().any(|count| *count > 0) {
        strips.push(Strip { id: None, label: &rest, counts: &timeline.others });
    }
    svg.text(MARGIN, svg.y + 12.0, "cluster", Look::SMALL);
    svg.text(across.right + PEAK, svg.y + 12.0, "peak", Look::SMALL.at(Anchor::End));
    svg.text(across.right + ALL, svg.y + 12.0, "pages in all", Look::SMALL.at(Anchor::End));
    svg.y += 20.0;
    let (begin, end) = (svg.y, svg.y + STRIP * strips.len() as f64);
    grid(svg, &across, (begin, end), timeline);
    for one in &strips {
        draw_strip(svg, &across, one, timeline);
    }
    axis(svg, &across, scope, (&every, !timeline.gaps.is_empty()));
}

/// Counts of all clusters together; none where nobody counted.
fn sums(timeline: &Timeline) -> Vec<Option<u64>> {
    let at = |place: usize| {
        let counts = timeline.series.iter().map(|(_, counts)| counts[place]).chain([timeline.others[place]]);
        counts.flatten().fold(None, |sum: Option<u64>, count| Some(sum.unwrap_or(0) + count))
    };
    (0..timeline.times.len()).map(at).collect()
}

fn grid(svg: &mut Svg<'_>, across: &Across, (begin, end): (f64, f64), timeline: &Timeline) {
    for Gap { from, to, .. } in &timeline.gaps {
        let (x, width) = (across.place(*from), (across.place(*to) - across.place(*from)).max(1.0));
        svg.rect(Area { x, y: begin, width, height: end - begin }, Ink::Gap);
    }
    let room = ((across.right - across.left) / 90.0).max(2.0) as usize;
    for (time, written) in scale::times(across.from, across.to, room) {
        let x = across.place(time);
        svg.line((x, begin), (x, end), Ink::Grid);
        svg.text(x, end + 18.0, &written, Look::SMALL.at(Anchor::Middle));
    }
}

fn draw_strip(svg: &mut Svg<'_>, across: &Across, strip: &Strip<'_>, timeline: &Timeline) {
    let bottom = svg.y + STRIP;
    let peak = strip.counts.iter().flatten().copied().max().unwrap_or(0);
    let ink = if strip.id.is_some() { Ink::Mark } else { Ink::Rest };
    let height = |count: u64| DRAWN * count as f64 / peak.max(1) as f64;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (count, begin) in strip.counts.iter().zip(&timeline.times) {
        let (x, next) = (across.place(*begin), across.place(begin + timeline.bucket_seconds));
        match count {
            Some(count) => {
                if points.is_empty() {
                    points.push((x, bottom));
                }
                points.extend([(x, bottom - height(*count)), (next, bottom - height(*count))]);
            }
            None => close(svg, &mut points, bottom, ink),
        }
    }
    close(svg, &mut points, bottom, ink);
    svg.line((across.left, bottom), (across.right, bottom), Ink::Grid);
    if let Some(id) = strip.id {
        svg.text(MARGIN, bottom - 12.0, &id.to_string(), Look::SMALL);
    }
    svg.text_within(MARGIN + ID, bottom - 12.0, strip.label, Look::TEXT, across.left - MARGIN - ID - 12.0);
    let figure = Look { size: SMALL, ..Look::TEXT.at(Anchor::End) };
    svg.text(across.right + PEAK, bottom - 12.0, &text::count(peak), figure);
    svg.text(across.right + ALL, bottom - 12.0, &text::count(strip.counts.iter().flatten().sum()), figure);
    svg.y = bottom;
}

/// Ends a shape on the base line.
fn close(svg: &mut Svg<'_>, points: &mut Vec<(f64, f64)>, bottom: f64, ink: Ink) {
    if let Some((x, _)) = points.last().copied() {
        points.push((x, bottom));
        points.dedup();
        svg.shape(points, ink);
    }
    points.clear();
}

fn axis(svg: &mut Svg<'_>, across: &Across, scope: Scope, (every, has_gaps): (&str, bool)) {
    let name = format!("{}, UTC: {} to {}", scope.clock_name(), scale::moment(across.from), scale::moment(across.to));
    svg.text(f64::midpoint(across.left, across.right), svg.y + 38.0, &name, Look::SMALL.at(Anchor::Middle));
    let mut note = format!("Heights are pages in {every}. Each strip has its own scale: its full height is its peak.");
    if has_gaps {
        note += " Shaded: nobody ran the pipeline.";
    }
    svg.text(MARGIN, svg.y + 62.0, &note, Look::SMALL);
    svg.y += 66.0;
}
