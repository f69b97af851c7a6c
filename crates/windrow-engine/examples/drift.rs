//! What the watch over clusters finds: `drift [--false-alarms N] [--model KIND] [--clusters K] INPUT…`, one line of JSON for each input.
//!
//! An input is anything that can be read. Of one such as `generator:change=words,at=50000` the change is known: a line says whether and when
//! an alarm told of it, in a cluster that had a fifth of the changed theme's pages, which alarms there were before it, and elsewhere behind it.
//! Those before it are of the model where a theme, or the pages of none, went over from one cluster to another: then the cluster's pages did
//! change, though the stream did not. All others are false. How often that is said of clusters and stretches without any alarm stands beside it
//! (`calm`). `cargo xtask bench drift` adds up such lines.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;

use serde_json::{Value, json};
use windrow_core::cluster::ModelSettings;
use windrow_core::featurize::FieldWeights;
use windrow_core::lineage::{Alarm, Happening};
use windrow_core::pipeline::{ClusterView, Outcome, Pipeline, Preparer, WatchSettings};
use windrow_engine::source::generator::{Generator, PREFIX, Spec, Steady};
use windrow_engine::source::parse::Parser;
use windrow_engine::source::{Asked, Limits, Positions, Wanted, open};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rows behind a change in which an alarm is of it.
const HORIZON: u64 = 40_000;
/// Rows before a change by which its clusters are known.
const BEFORE: u64 = 5_000;
/// Pages before an alarm's change that tell where themes were.
const LONG: usize = 20_000;
/// What G² exceeds once in ten thousand times by chance (χ² with one degree of freedom).
const SURPRISE: f64 = 15.14;
/// Values that it takes until an alarm can be raised.
const READY: u64 = 32;
/// Rows of a stretch without alarm that is looked at in the same way, and how often one is.
const CALM: u64 = 5_000;
/// Of the changed theme's pages a cluster that is concerned has one in so many.
const CONCERNED: usize = 5;

/// One alarm.
struct Found {
    position: u64,
    cluster: u32,
    label: String,
    alarm: Alarm,
}

/// What a stream came to.
struct Learnt {
    /// The row and the cluster of each page.
    pages: Vec<(u64, u32)>,
    rows: u64,
    alarms: Vec<Found>,
    /// Of the living clusters' pages the share in those of which enough is known for an alarm.
    ready: f64,
}

fn main() -> Result<()> {
    let (mut watch, mut model, mut inputs) = (WatchSettings::default(), ModelSettings::default(), Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or("a value is missing");
        match word.as_str() {
            "--false-alarms" => watch.false_alarms = value()?.parse()?,
            "--model" => model.kind = value()?,
            "--clusters" => model.clusters = value()?.parse::<u32>()?.into(),
            _ => inputs.push(word),
        }
    }
    let mut out = std::io::stdout();
    for input in inputs {
        let learnt = learn(&input, &model, watch)?;
        let line = match input.starts_with(PREFIX).then(|| input.parse::<Spec>()).transpose()? {
            Some(spec) if let Some(steady) = spec.steady => judged(&input, spec, steady, &learnt),
            _ => {
                json!({"input": input, "rows": learnt.rows, "ready": learnt.ready, "alarms": learnt.alarms.iter().map(told).collect::<Vec<_>>()})
            }
        };
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn learn(input: &str, model: &ModelSettings, watch: WatchSettings) -> Result<Learnt> {
    let mut pipeline = Pipeline::new(model)?.watching(watch);
    let (mut parser, mut preparer) = (Parser::new(), Preparer::new(FieldWeights::default()));
    let mut outcome = Outcome::default();
    let mut learnt = Learnt { pages: Vec::new(), rows: 0, alarms: Vec::new(), ready: 0.0 };
    let inputs = [input.to_owned()];
    let mut source = open(Wanted::once(&inputs, "", Asked::default(), Limits::default()), &mut Positions::default())?.take();
    while let Some(batch) = source.next()? {
        let prepared = preparer.prepare(parser.parse(&batch));
        learnt.rows += prepared.n_rows;
        pipeline.learn(&prepared, &mut outcome);
        let clusters = outcome.decisions.iter().map(|decision| decision.cluster);
        learnt.pages.extend(prepared.pages.origin.iter().map(|origin| origin.offset).zip(clusters));
        for event in &outcome.lineage {
            if let Happening::Drifted { alarm } = event.happening {
                let label = pipeline.label(event.cluster).unwrap_or_default().to_owned();
                learnt.alarms.push(Found { position: event.position, cluster: event.cluster, label, alarm });
            }
        }
    }
    let view = pipeline.view();
    let is_ready = |cluster: &&ClusterView| {
        cluster.drift.as_ref().is_some_and(|standing| standing.gauges.iter().any(|gauge| gauge.values >= READY))
    };
    let pages = |clusters: &mut dyn Iterator<Item = &ClusterView>| clusters.map(|cluster| cluster.delivered).sum::<u64>();
    let ready = pages(&mut view.clusters.iter().filter(is_ready));
    learnt.ready = ready as f64 / pages(&mut view.clusters.iter()).max(1) as f64;
    Ok(learnt)
}

fn told(found: &Found) -> Value {
    let Found { position, cluster, label, alarm } = found;
    json!({
        "position": position, "cluster": cluster, "label": label, "measure": alarm.measure, "above": alarm.is_above,
        "value": alarm.value, "usual": alarm.usual, "windows": alarm.windows, "before": alarm.before, "since": alarm.since,
    })
}

/// Whether the pages of some theme, or of none, went elsewhere in a stretch of pages than before it: to the cluster, or away from it.
fn went_over(cluster: u32, since: u64, until: u64, pages: &[(u64, u32)], generator: &mut Generator) -> bool {
    let since = (since as usize).min(pages.len());
    let until = (until as usize).clamp(since, pages.len());
    // Of each theme the pages in the cluster and elsewhere, before and since.
    let mut themes: BTreeMap<Option<u64>, [[f64; 2]; 2]> = BTreeMap::new();
    let first = since.saturating_sub(LONG);
    for (at, (row, of)) in pages[first..until].iter().enumerate() {
        let counts = themes.entry(generator.label(*row)).or_default();
        counts[usize::from(first + at >= since)][usize::from(*of != cluster)] += 1.0;
    }
    themes.values().any(|counts| surprise(*counts) > SURPRISE)
}

/// Stretches without any alarm, each with a cluster that its first page went to: how many, and of how many it is said that something went over.
fn calm(learnt: &Learnt, end: u64, generator: &mut Generator) -> [u64; 2] {
    let mut found = [0, 0];
    for since in (LONG as u64..end.min(learnt.pages.len() as u64).saturating_sub(CALM)).step_by(CALM as usize) {
        let (cluster, until) = (learnt.pages[since as usize].1, since + CALM);
        let is_calm =
            !learnt.alarms.iter().any(|found| found.cluster == cluster && found.position > since && found.alarm.since < until);
        if is_calm {
            found[0] += 1;
            found[1] += u64::from(went_over(cluster, since, until, &learnt.pages, generator));
        }
    }
    found
}

/// G² of two pairs of counts.
fn surprise(counts: [[f64; 2]; 2]) -> f64 {
    let total: f64 = counts.iter().flatten().sum();
    let term = |row: usize, column: usize| {
        let observed = counts[row][column];
        let expected = (counts[row][0] + counts[row][1]) * (counts[0][column] + counts[1][column]) / total;
        if observed > 0.0 { observed * (observed / expected).ln() } else { 0.0 }
    };
    2.0 * [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().map(|(row, column)| term(row, column)).sum::<f64>()
}

/// Alarms held against the change that is known.
fn judged(input: &str, spec: Spec, steady: Steady, learnt: &Learnt) -> Value {
    let mut generator = Generator::new(spec);
    let changing = spec.changing().map(u64::from);
    // Of the pages of the theme that changes: the row and the cluster.
    let of_theme: Vec<(u64, u32)> =
        learnt.pages.iter().copied().filter(|(row, _)| generator.label(*row).map(|label| label / 4) == changing).collect();
    let row_of = |position: u64| learnt.pages.get(position.saturating_sub(1) as usize).map_or(learnt.rows, |(row, _)| *row);
    let between = |from: u64, to: u64| {
        let [from, to] = [from, to].map(|row| of_theme.partition_point(|(at, _)| *at < row));
        &of_theme[from..to.max(from)]
    };
    let has_part = |cluster: u32, pages: &[(u64, u32)]| {
        let own = pages.iter().filter(|(_, of)| *of == cluster).count();
        own > 0 && own * CONCERNED >= pages.len()
    };
    let is_change = changing.is_some() && steady.change.name() != "none";
    let end = if is_change { steady.at } else { learnt.rows };
    let (mut wrong, mut of_model, mut elsewhere, mut detected) = (Vec::new(), Vec::new(), Vec::new(), None);
    for found in &learnt.alarms {
        let row = row_of(found.position);
        if row < end {
            let is_of_model = went_over(found.cluster, found.alarm.since, found.position, &learnt.pages, &mut generator);
            let all = if is_of_model { &mut of_model } else { &mut wrong };
            all.push(told(found));
        } else if row < steady.at + steady.over + HORIZON
            && (has_part(found.cluster, between(steady.at.saturating_sub(BEFORE), steady.at))
                || has_part(found.cluster, between(steady.at, row + 1)))
        {
            let pages = between(steady.at, row + 1).len();
            detected.get_or_insert_with(|| json!({"rows": row - steady.at, "pages": pages, "alarm": told(found)}));
        } else {
            elsewhere.push(told(found));
        }
    }
    json!({
        "input": input, "rows": learnt.rows, "ready": learnt.ready, "change": steady.change.name(), "over": steady.over, "rows_before": end,
        "calm": calm(learnt, end, &mut generator), "false": wrong, "of_model": of_model, "detected": detected, "elsewhere": elsewhere,
    })
}
