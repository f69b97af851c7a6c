//! Scores over time: for each order three charts, NMI, ARI and the number of groups, a line a model.
//!
//! Models are told apart by colour and by how their lines are broken; the shade behind a line is from the least to the most of its seeds.

use windrow_core::quality::Scores;
use windrow_engine::eval::{Order, Report, Trial, Window};

use super::svg::{Anchor, Area, Ink, Look, MARGIN, SMALL, Stroke, Svg};
use super::{Fonts, scale};
use crate::term::text;

const HEIGHT: f64 = 150.0;
/// Between charts, where the next one's axis is written.
const GAP: f64 = 62.0;
const SAMPLE: f64 = 34.0;

/// What is drawn: its name, its place among the measures, and whether it is a share of 1.
const CHARTS: [(&str, usize, bool); 3] =
    [("NMI (geometric)", Scores::NMI, true), ("ARI", Scores::ARI, true), ("groups", Scores::N, false)];
/// Where the axis of shares begins that are all above.
const HALF: f64 = 0.5;

/// One model's micro-clusters or clusters.
#[derive(Debug)]
pub(crate) struct Series<'a> {
    /// What it is called.
    pub(crate) name: String,
    model: &'a str,
    is_micro: bool,
}

impl Series<'_> {
    /// Mean, least and most of a measure over the seeds, in the middle of each window.
    pub(crate) fn over_time(&self, trials: &[&Trial], measure: usize) -> Vec<Point> {
        let trials: Vec<&&Trial> = trials.iter().filter(|trial| trial.model == self.model).collect();
        let n = trials.iter().map(|trial| trial.windows.len()).max().unwrap_or(0);
        let scores = |window: &Window| if self.is_micro { window.micro } else { window.cluster };
        let point = |at: usize| {
            let windows: Vec<&Window> = trials.iter().filter_map(|trial| trial.windows.get(at)).collect();
            let values = || windows.iter().map(|window| scores(window).values()[measure]);
            Point {
                rows: windows.iter().map(|window| middle(window)).fold(0.0, f64::max),
                mean: values().sum::<f64>() / windows.len().max(1) as f64,
                least: values().fold(f64::INFINITY, f64::min),
                most: values().fold(f64::NEG_INFINITY, f64::max),
            }
        };
        (0..n).map(point).collect()
    }
}

/// A place on the axis of rows, with the mean, least and most of what was found there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    rows: f64,
    /// The mean.
    pub(crate) mean: f64,
    least: f64,
    most: f64,
}

/// Draws what an evaluation found over time; `source` says below of what.
pub(crate) fn scores(report: &Report, source: &str, fonts: &Fonts, width: f64) -> String {
    let mut svg = Svg::new(fonts, width);
    let series = series(report);
    let windows = report.trials.iter().map(|trial| trial.windows.len()).max().unwrap_or(0);
    let window = report.trials.first().and_then(|trial| trial.windows.first()).map_or(0, |window| window.rows);
    let about = format!(
        "Decisions at arrival against labels, {windows} windows of {} scored rows; shades are from the least to the most of the seeds",
        text::count(window)
    );
    svg.head("Scores over time", &about);
    legend(&mut svg, &series);
    for (order, trials) in by_order(report) {
        svg.text(MARGIN, svg.y + 16.0, &order.to_string(), Look { bold: true, ..Look::TEXT });
        svg.y += 30.0;
        charts(&mut svg, &series, &trials);
    }
    svg.finish(source)
}

/// The trials of each order, in the order of the report.
pub(crate) fn by_order(report: &Report) -> Vec<(Order, Vec<&Trial>)> {
    let mut orders: Vec<(Order, Vec<&Trial>)> = Vec::new();
    for trial in &report.trials {
        match orders.iter_mut().find(|(order, _)| *order == trial.order) {
            Some((_, trials)) => trials.push(trial),
            None => orders.push((trial.order, vec![trial])),
        }
    }
    orders
}

/// A line for each model, and one for its micro-clusters where they are not its clusters.
pub(crate) fn series(report: &Report) -> Vec<Series<'_>> {
    let mut models: Vec<&str> = report.trials.iter().map(|one| one.model.as_str()).collect();
    models.dedup();
    let mut series = Vec::new();
    for model in models {
        let is_apart = report.trials.iter().any(|trial| trial.model == model && trial.micro != trial.cluster);
        if is_apart {
            series.push(Series { name: format!("{model}, micro-clusters"), model, is_micro: true });
        }
        let name = if is_apart { format!("{model}, clusters") } else { model.to_owned() };
        series.push(Series { name, model, is_micro: false });
    }
    series
}

fn legend(svg: &mut Svg<'_>, series: &[Series<'_>]) {
    let mut x = MARGIN;
    let names = series.iter().enumerate().map(|(at, one)| (Stroke::of_series(at), one.name.as_str()));
    for (stroke, name) in names.chain([(Stroke::REST, "labels")]) {
        let needs = SAMPLE + 8.0 + svg.fonts.width(name, SMALL) + 24.0;
        if x > MARGIN && x + needs > svg.width - MARGIN {
            x = MARGIN;
            svg.y += 20.0;
        }
        svg.curve(&[(x, svg.y + 8.0), (x + SAMPLE, svg.y + 8.0)], stroke);
        svg.text(x + SAMPLE + 8.0, svg.y + 12.0, name, Look { size: SMALL, ..Look::TEXT });
        x += needs;
    }
    svg.y += 36.0;
}

/// The three charts of one order.
fn charts(svg: &mut Svg<'_>, series: &[Series<'_>], trials: &[&Trial]) {
    let rows = trials.iter().map(|trial| trial.scored).max().unwrap_or(0).max(1);
    let n = CHARTS.len() as f64;
    let left = MARGIN + 34.0;
    let width = (svg.width - MARGIN - left - GAP * (n - 1.0)) / n;
    for (at, (name, measure, is_share)) in CHARTS.into_iter().enumerate() {
        let lines: Vec<Vec<Point>> = series.iter().map(|one| to_edges(one.over_time(trials, measure), rows as f64)).collect();
        let labels = if is_share { Vec::new() } else { label_counts(trials) };
        let ticks: Vec<f64> = if is_share {
            let bottom = if lines.iter().flatten().all(|point| point.least >= HALF) { HALF } else { 0.0 };
            (0..=4u8).map(|tick| bottom + (1.0 - bottom) * f64::from(tick) / 4.0).collect()
        } else {
            let highest =
                lines.iter().flatten().map(|point| point.most).chain(labels.iter().map(|point| point.1)).fold(0.0, f64::max);
            scale::numbers(highest.ceil() as u64, 4).iter().map(|tick| *tick as f64).collect()
        };
        let area = Area { x: left + at as f64 * (width + GAP), y: svg.y + 20.0, width, height: HEIGHT };
        let frame = Frame { area, rows: rows as f64, bottom: ticks[0], top: ticks[ticks.len() - 1] };
        frame.axes(svg, name, &ticks, is_share);
        let labels: Vec<(f64, f64)> = labels.into_iter().map(|(rows, count)| frame.place(rows, count)).collect();
        svg.curve(&labels, Stroke::REST);
        for (at, line) in lines.iter().enumerate() {
            frame.line(svg, line, Stroke::of_series(at));
        }
    }
    svg.y += HEIGHT + 82.0;
}

/// A line that reaches to the edges of its chart.
fn to_edges(mut points: Vec<Point>, rows: f64) -> Vec<Point> {
    if let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) {
        points.insert(0, Point { rows: 0.0, ..first });
        points.push(Point { rows, ..last });
    }
    points
}

fn middle(window: &Window) -> f64 {
    window.from as f64 + window.rows as f64 / 2.0
}

/// Labels of each window: how many groups there should be.
fn label_counts(trials: &[&Trial]) -> Vec<(f64, f64)> {
    let Some(trial) = trials.first() else { return Vec::new() };
    trial.windows.iter().map(|window| (middle(window), window.labels as f64)).collect()
}

/// A chart's place on the paper and what its axes hold.
struct Frame {
    area: Area,
    rows: f64,
    bottom: f64,
    top: f64,
}

impl Frame {
    /// Where a value is drawn; what is below the axis at its end.
    fn place(&self, rows: f64, value: f64) -> (f64, f64) {
        let Area { x, y, width, height } = self.area;
        (x + width * rows / self.rows, y + height * (1.0 - ((value - self.bottom) / (self.top - self.bottom)).clamp(0.0, 1.0)))
    }

    fn axes(&self, svg: &mut Svg<'_>, name: &str, ticks: &[f64], is_share: bool) {
        let Area { x, y, width, height } = self.area;
        svg.text(x, y - 8.0, name, Look::SMALL);
        for tick in ticks {
            let at = self.place(0.0, *tick).1;
            svg.line((x, at), (x + width, at), Ink::Grid);
            let written = if is_share {
                format!("{tick:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                scale::short(*tick as u64)
            };
            svg.text(x - 6.0, at + 4.0, &written, Look::SMALL.at(Anchor::End));
        }
        for tick in scale::numbers(self.rows as u64, 4).into_iter().filter(|tick| *tick as f64 <= self.rows) {
            let (at, _) = self.place(tick as f64, 0.0);
            svg.line((at, y), (at, y + height), Ink::Grid);
            svg.text(at, y + height + 18.0, &scale::short(tick), Look::SMALL.at(Anchor::Middle));
        }
        svg.text(x + width / 2.0, y + height + 38.0, "scored rows", Look::SMALL.at(Anchor::Middle));
    }

    fn line(&self, svg: &mut Svg<'_>, points: &[Point], stroke: Stroke) {
        if points.iter().any(|point| point.least < point.most) {
            let over = points.iter().map(|point| self.place(point.rows, point.most));
            let under = points.iter().rev().map(|point| self.place(point.rows, point.least));
            svg.shade(&over.chain(under).collect::<Vec<_>>(), stroke);
        }
        let line: Vec<(f64, f64)> = points.iter().map(|point| self.place(point.rows, point.mean)).collect();
        svg.curve(&line, stroke);
    }
}
