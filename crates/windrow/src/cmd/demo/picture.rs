//! What the demo draws: the largest clusters with their volume over time, and what is new.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use windrow_core::cluster::ClusterId;
use windrow_core::lineage::{Happening, flatten};
use windrow_core::pipeline::{ClusterView, View};
use windrow_engine::observe::Progress;

use crate::progress::rate;
use crate::term::table::{self, Column};
use crate::term::{Style, text};

/// Lines of news.
const NEWS: usize = 4;
/// Span over which rates are taken.
const SPAN: Duration = Duration::from_secs(3);
/// Time for which a cluster is new.
const NEW_FOR: Duration = Duration::from_secs(8);
/// Characters of a line of volume.
const SPARK: usize = 15;

/// Something that happened to a cluster.
#[derive(Debug)]
struct News {
    at: Duration,
    cluster: ClusterId,
    mark: &'static str,
    what: String,
}

/// Counts at a moment.
#[derive(Debug)]
struct Sample {
    at: Duration,
    rows: u64,
    delivered: BTreeMap<ClusterId, u64>,
}

/// The picture and what it needs to remember.
#[derive(Debug)]
pub(super) struct Picture {
    query: String,
    news: VecDeque<News>,
    born: BTreeMap<ClusterId, Duration>,
    samples: VecDeque<Sample>,
}

impl Picture {
    /// A picture of the run into `out`.
    pub(super) fn new(out: &Path) -> Self {
        let query = format!("{}/pages/*.parquet", out.display());
        Self { query, news: VecDeque::new(), born: BTreeMap::new(), samples: VecDeque::new() }
    }

    /// Remembers what happened in a batch.
    pub(super) fn note(&mut self, progress: &Progress<'_>) {
        let at = progress.elapsed;
        for event in progress.lineage {
            let (mark, what) = match &event.happening {
                Happening::ClusterBorn { .. } => {
                    self.born.insert(event.cluster, at);
                    ("+", "born".to_owned())
                }
                Happening::ClusterDied { .. } => ("-", died(&event.happening)),
                Happening::Relabelled { label, .. } => ("~", format!("now {label}")),
                _ => continue,
            };
            // A new name of a new cluster is its first one: one line for both.
            if mark == "~" && self.born.contains_key(&event.cluster) && self.news.iter().any(|n| n.cluster == event.cluster) {
                continue;
            }
            self.news.push_front(News { at, cluster: event.cluster, mark, what });
            self.news.truncate(64);
        }
        self.born.retain(|_, born| *born + NEW_FOR > at);
    }

    /// The lines of the picture, for a terminal of this size.
    pub(super) fn lines(&mut self, progress: &Progress<'_>, size: (usize, usize), color: bool) -> Vec<String> {
        let (width, height) = size;
        let width = width.min(120);
        let view = progress.pipeline.view();
        let before = self.sample(progress, &view);
        let mut lines = vec![self.head(progress, &view, &before, width, color), String::new()];
        lines.extend(self.table(&view, &before, progress.elapsed, height.saturating_sub(NEWS + 7), width, color));
        lines.push(String::new());
        lines.extend(self.news_lines(&view, width, color));
        lines.push(String::new());
        let told = match progress.epoch {
            0 => "the first Parquet comes within seconds".to_owned(),
            epoch => format!("commit {epoch}: duckdb -c \"from '{}' limit 9\"", self.query),
        };
        let told = text::fit(&told, width.saturating_sub(14), false);
        lines.push(Style::Dim.paint(&format!("{told}  Ctrl-C: end"), color));
        lines
    }

    /// Takes a sample and gives the oldest one within the span.
    fn sample(&mut self, progress: &Progress<'_>, view: &View) -> (Duration, u64, BTreeMap<ClusterId, u64>) {
        let delivered = view.clusters.iter().map(|cluster| (cluster.cluster, cluster.delivered)).collect();
        self.samples.push_back(Sample { at: progress.elapsed, rows: progress.run.rows, delivered });
        while self.samples.len() > 2 && self.samples[0].at + SPAN < progress.elapsed {
            self.samples.pop_front();
        }
        let oldest = &self.samples[0];
        (progress.elapsed.saturating_sub(oldest.at), progress.run.rows - oldest.rows, oldest.delivered.clone())
    }

    fn head(
        &self,
        progress: &Progress<'_>,
        view: &View,
        before: &(Duration, u64, BTreeMap<ClusterId, u64>),
        width: usize,
        color: bool,
    ) -> String {
        let (span, rows, _) = before;
        let per_second = match span.as_secs_f64() {
            0.0 => rate(progress.run.rows, progress.elapsed.as_secs_f64()),
            seconds => rate(*rows, seconds),
        };
        let seconds = progress.elapsed.as_secs();
        let facts = [
            text::counted(view.pages, "page"),
            format!("{}/s", text::count(per_second)),
            text::counted(view.clusters.len() as u64, "cluster"),
            text::counted(view.micro_clusters, "theme"),
            format!("{}:{:02}", seconds / 60, seconds % 60),
            text::counted(progress.run.n_rejects(), "reject"),
        ];
        // What has no room is left out as a whole.
        let room = width.saturating_sub(9);
        let n_shown = (1..=facts.len()).rev().find(|n| text::width(&facts[..*n].join(" · ")) <= room).unwrap_or(1);
        let facts = facts[..n_shown].join(" · ");
        format!("{}  {facts}", Style::Bold.paint("windrow", color))
    }

    fn table(
        &self,
        view: &View,
        before: &(Duration, u64, BTreeMap<ClusterId, u64>),
        now: Duration,
        most: usize,
        width: usize,
        color: bool,
    ) -> Vec<String> {
        let mut largest: Vec<&ClusterView> = view.clusters.iter().collect();
        largest.sort_by(|a, b| b.delivered.cmp(&a.delivered).then(a.cluster.cmp(&b.cluster)));
        largest.truncate(most);
        let columns = [
            Column::right("id", 4).fixed().style(Style::Dim),
            Column::rest("cluster").fixed().style(Style::Bold),
            Column::left("", 3).fixed().style(Style::Green),
            Column::left("pages over time", SPARK).fixed().style(Style::Cyan),
            Column::right("pages", 9).fixed(),
            Column::right("/s", 6).fixed(),
        ];
        let cells: Vec<Vec<String>> = largest
            .iter()
            .map(|cluster| {
                let is_new = self.born.get(&cluster.cluster).is_some_and(|born| *born + NEW_FOR > now);
                let was = before.2.get(&cluster.cluster).copied().unwrap_or(0);
                vec![
                    cluster.cluster.to_string(),
                    text::plain(&cluster.label).into_owned(),
                    if is_new { "new".into() } else { String::new() },
                    text::sparkline(&over_time(&cluster.volume), SPARK),
                    text::count(cluster.delivered),
                    text::count(rate(cluster.delivered.saturating_sub(was), before.0.as_secs_f64().max(0.4))),
                ]
            })
            .collect();
        table::lines(&columns, &cells, width, color)
    }

    /// The latest news, latest first, always as many lines.
    fn news_lines(&self, view: &View, width: usize, color: bool) -> Vec<String> {
        let mut lines = Vec::with_capacity(NEWS);
        let mut told: Vec<ClusterId> = Vec::new();
        for news in &self.news {
            // Names change all the time at first: only what large clusters are called is news.
            let is_small = |cluster: &ClusterView| cluster.delivered * 50 < view.pages;
            let found = view.clusters.iter().find(|cluster| cluster.cluster == news.cluster);
            if told.contains(&news.cluster) || (news.mark == "~" && found.is_none_or(is_small)) {
                continue;
            }
            if told.len() == NEWS {
                break;
            }
            told.push(news.cluster);
            let label = found.map(|cluster| text::plain(&cluster.label).into_owned()).unwrap_or_default();
            let newest = found.and_then(|cluster| cluster.latest.first()).map(|page| text::plain(&page.title).into_owned());
            let told = match (news.mark, newest) {
                ("+", Some(title)) => format!("cluster {} {}: {label} · {title}", news.cluster, news.what),
                _ => format!("cluster {} {}", news.cluster, text::plain(&news.what)),
            };
            let seconds = news.at.as_secs();
            let when = Style::Dim.paint(&format!("{:>2}:{:02}", seconds / 60, seconds % 60), color);
            let style = if news.mark == "-" { Style::Red } else { Style::Green };
            let told = text::cut(&told, width.saturating_sub(8)).into_owned();
            lines.push(format!("{when} {} {told}", style.paint(news.mark, color)));
        }
        lines.resize(NEWS, String::new());
        lines
    }
}

/// A death with its reason.
fn died(happening: &Happening) -> String {
    let (_, line) = flatten(happening);
    line.evidence.said(line.pages).map_or_else(|| "died".to_owned(), |why| format!("died: {why}"))
}

/// The volume in at most [`SPARK`] parts, each the mean of its buckets.
fn over_time(volume: &[u32]) -> Vec<u32> {
    let parts = volume.len().min(SPARK);
    let part = |at: usize| &volume[at * volume.len() / parts..(at + 1) * volume.len() / parts];
    // Sixteenths, so that small means do not all become 0 or 1.
    let mean = |part: &[u32]| (part.iter().sum::<u32>() * 16).div_ceil(u32::try_from(part.len()).unwrap_or(1).max(1));
    (0..parts).map(|at| mean(part(at))).collect()
}

#[cfg(test)]
mod tests {
    use windrow_core::cluster::ModelSettings;
    use windrow_core::featurize::FieldWeights;
    use windrow_core::kept::Kept;
    use windrow_core::pipeline::{Outcome, Pipeline, Preparer};
    use windrow_core::record::{RecordId, Row};
    use windrow_engine::observe::{CommitTimes, Counters};
    use windrow_engine::source::Positions;

    use super::*;

    #[test]
    fn the_picture_fits_the_terminal() {
        let mut pipeline = Pipeline::new(&ModelSettings::default()).unwrap();
        let titles: Vec<String> = (0..3_000).map(|n| format!("语言模型 theme{} \u{1b}[2J word{}", n % 60, n % 7)).collect();
        let rows = titles.iter().enumerate().map(|(n, title)| {
            let origin = RecordId { source: 0, offset: n as u64 };
            Ok(Row { origin, raw: b"", columns: [b"", b"", b"", title.as_bytes(), b"", b""], kept: Kept::default() })
        });
        let prepared = Preparer::new(FieldWeights::default()).prepare(rows);
        let mut outcome = Outcome::default();
        pipeline.learn(&prepared, &mut outcome);
        let run = Counters { rows: 3_000, pages: 3_000, ..Counters::default() };
        let mut picture = Picture::new(Path::new("windrow-demo"));
        for (size, epoch) in [((80, 24), 0), ((80, 24), 3), ((200, 60), 3), ((60, 12), 3)] {
            let progress = Progress {
                run: &run,
                total: &run,
                epoch,
                committed_rows: 0,
                commits: &CommitTimes::default(),
                lineage: &outcome.lineage,
                pipeline: &pipeline,
                positions: &Positions::default(),
                forecast: None,
                elapsed: Duration::from_secs(71),
            };
            picture.note(&progress);
            let lines = picture.lines(&progress, size, false);
            assert!(lines.len() < size.1, "{} lines on {size:?}: {lines:#?}", lines.len());
            let wide: Vec<_> = lines.iter().filter(|line| text::width(line) > size.0).collect();
            assert!(wide.is_empty(), "{size:?}: {wide:#?}");
            assert!(lines[0].contains("3,000 pages") && lines[0].contains("1:11"), "{}", lines[0]);
            assert!(lines.iter().all(|line| !line.contains('\u{1b}')));
        }
    }

    #[test]
    fn volume_is_shown_in_as_many_parts_as_there_is_room_for() {
        assert_eq!(over_time(&[]), Vec::<u32>::new());
        assert_eq!(over_time(&[1, 0, 2]), [16, 0, 32]);
        assert_eq!(over_time(&[1; 64]), [16; SPARK]);
    }
}
