//! How well and how fast the model clusters the labelled sets: the workbench behind docs/explanation/model.md.
//!
//! ```text
//! cargo run --profile fast --example quality -- [--data DIR] [--set NAME]… [--fields title,…] [--clusters K] [--coarse]
//!                                                [--model KIND] [--half-life H] [--batch N] [--births N] [--rule RULE]
//!                                                [--shuffle-window N] [--seeds N] [--dilute N] [--rows N] [--repeat N] [--pauses] [--show FILE]
//!                                                [--pipeline ROUNDS] [--naive]
//! ```
//!
//! Scores are those of the decision at arrival. `--dilute N` mixes N rows of the link stream between any two rows of the set, in
//! order, repeated as needed; only the set's rows are scored. The set `themes:N` is made up: N themes at once. Rates are the learner's alone: pages are prepared before the clock
//! starts; `--pauses` adds the longest time that one page took (and spoils the rate). `--pipeline N` measures instead what a pipeline costs besides
//! its model: N times in turns without a watch and with one. `--naive` measures the yardstick of `naive.rs` instead of the model.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a workbench: it has a clock and prints")]

mod naive;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use naive::Naive;
use windrow_core::cluster::{Clusterer, Clusters, Decision, KMeansRule, ModelSettings, new_model};
use windrow_core::featurize::FieldWeights;
use windrow_core::kept::Kept;
use windrow_core::lineage::LineageEvent;
use windrow_core::pipeline::{Outcome, Pipeline, Prepared, Preparer, WatchSettings};
use windrow_core::quality::{Scores, score};
use windrow_core::record::{Pages, RecordId, Row};

const BATCH: usize = 4_096;
const LINKS: &str = "links_stream_2012_2023";

#[derive(Debug, Clone)]
struct Options {
    data: PathBuf,
    sets: Vec<String>,
    fields: FieldWeights,
    model: ModelSettings,
    coarse: bool,
    pauses: bool,
    window: usize,
    seeds: u64,
    dilute: usize,
    rows: usize,
    repeat: usize,
    show: Option<PathBuf>,
    pipeline: usize,
    naive: bool,
}

fn main() {
    let options = options();
    if let Some(file) = &options.show {
        return show(&options, file);
    }
    if options.pipeline > 0 {
        return options.sets.iter().for_each(|set| pipelines(&options, set));
    }
    println!(
        "{:<28} {:>4} {:<7} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} | {:>9} {:>7} {:>6} {:>8}",
        "set", "seed", "level", "n", "nmi", "nmi_a", "ami", "ari", "homog", "compl", "rows/s", "ms max", "alive", "terms"
    );
    for set in &options.sets {
        let first_seed = u64::from(options.window > 0);
        let scores: Vec<Vec<Scores>> =
            (0..options.seeds.max(1)).map(|seed| measure(&options, set, first_seed + seed)).collect();
        if scores.len() > 1 {
            for level in 0..scores[0].len() {
                let mean = |of: fn(&Scores) -> f64| scores.iter().map(|s| of(&s[level])).sum::<f64>() / scores.len() as f64;
                println!("{set:<28} mean {:<7} nmi {:.4} ari {:.4}", LEVELS[level], mean(|s| s.nmi_geometric), mean(|s| s.ari));
            }
        }
    }
}

const LEVELS: [&str; 2] = ["micro", "cluster"];

/// A row's columns and its label; rows without one are not scored.
type Labelled = (Vec<String>, Option<u64>);

/// Who learns pages, one after the other.
trait Learner {
    /// Learns one page; gives its micro-cluster and its cluster.
    fn learn(&mut self, pages: &Pages, row: usize) -> [u64; 2];

    /// How many of these are alive, and terms.
    fn alive(&self) -> ([usize; 2], usize);
}

/// The model, and what it tells of the page at hand.
struct Model {
    clusterer: Box<dyn Clusterer>,
    decisions: Vec<Decision>,
    log: Vec<LineageEvent>,
}

impl Learner for Model {
    fn learn(&mut self, pages: &Pages, row: usize) -> [u64; 2] {
        self.decisions.clear();
        self.log.clear();
        self.clusterer.learn(pages, row..row + 1, &mut self.decisions, &mut self.log);
        [self.decisions[0].micro_cluster, self.decisions[0].cluster.into()]
    }

    fn alive(&self) -> ([usize; 2], usize) {
        let summary = self.clusterer.summary();
        ([summary.micro_clusters.len(), summary.clusters.len()], summary.n_terms)
    }
}

impl Learner for Naive {
    fn learn(&mut self, pages: &Pages, row: usize) -> [u64; 2] {
        [self.learn(pages, row), 0]
    }

    fn alive(&self) -> ([usize; 2], usize) {
        ([self.len(), 0], self.n_terms())
    }
}

fn measure(options: &Options, set: &str, seed: u64) -> Vec<Scores> {
    let rows = rows(options, set, seed);
    let batches: Vec<Prepared> = rows.chunks(BATCH).map(|rows| prepare(rows, &options.fields)).collect();
    let clusterer = new_model(&options.model).expect("a known model");
    let mut model = Model { clusterer, decisions: Vec::new(), log: Vec::new() };
    let mut naive = Naive::new();
    let learner: &mut dyn Learner = if options.naive { &mut naive } else { &mut model };
    let (mut groups, mut longest, start) = (Vec::with_capacity(rows.len()), 0.0f64, cpu_seconds());
    for _ in 0..options.repeat {
        groups.clear();
        for (batch, row) in batches.iter().flat_map(|batch| (0..batch.pages.len()).map(move |row| (batch, row))) {
            let before = if options.pauses { cpu_seconds() } else { 0.0 };
            groups.push(learner.learn(&batch.pages, row));
            longest = if options.pauses { longest.max(cpu_seconds() - before) } else { longest };
        }
    }
    let rate = (rows.len() * options.repeat) as f64 / (cpu_seconds() - start);
    let (labels, kept): (Vec<u64>, Vec<[u64; 2]>) =
        rows.iter().zip(&groups).filter_map(|(row, &groups)| Some((row.1?, groups))).unzip();
    let (alive, n_terms) = learner.alive();
    let levels = if options.naive { &LEVELS[..1] } else { &LEVELS[..] };
    let of_level = |(at, level): (usize, &&str)| {
        let s = score(&labels, &kept.iter().map(|groups| groups[at]).collect::<Vec<_>>());
        println!(
            "{set:<28} {seed:>4} {level:<7} {:>6} {:.4} {:.4} {:.4} {:.4} {:.4} {:.4} | {rate:>9.0} {:>7.2} {:>6} {n_terms:>8}",
            s.n,
            s.nmi_geometric,
            s.nmi_arithmetic,
            s.ami,
            s.ari,
            s.homogeneity,
            s.completeness,
            longest * 1e3,
            alive[at],
        );
        s
    };
    levels.iter().enumerate().map(of_level).collect()
}

/// The rows of a set, in the order in which they are learnt.
fn rows(options: &Options, set: &str, seed: u64) -> Vec<Labelled> {
    let mut rows = match set.strip_prefix("themes:").map(str::parse) {
        Some(themes) => themed(themes.expect("themes:N"), options.rows.min(1_000_000)),
        None => load(&options.data, set, options.coarse),
    };
    rows.truncate(options.rows);
    if options.window > 0 {
        let mut random = seed;
        rows.chunks_mut(options.window).for_each(|window| shuffle(window, &mut random));
    }
    if options.dilute > 0 {
        rows = dilute(rows, load(&options.data, LINKS, false), options.dilute);
    }
    rows
}

/// Rows a second of pipelines without a watch and with one, in turns.
fn pipelines(options: &Options, set: &str) {
    let mut rows = load(&options.data, set, options.coarse);
    rows.truncate(options.rows);
    let batches: Vec<Prepared> = rows.chunks(BATCH).map(|rows| prepare(rows, &options.fields)).collect();
    let mut outcome = Outcome::default();
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..options.pipeline {
        for at in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let mut pipeline = Pipeline::new(&options.model).expect("a known model");
            if at == 1 {
                pipeline.watch(WatchSettings::default());
            }
            let start = cpu_seconds();
            for batch in (0..options.repeat).flat_map(|_| &batches) {
                pipeline.learn(batch, &mut outcome);
            }
            rates[at].push((rows.len() * options.repeat) as f64 / (cpu_seconds() - start));
        }
    }
    let [plain, watched] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!(
        "{set:<28} median of {}: {plain:.0} rows/s, watched {watched:.0}: {:+.1} %",
        options.pipeline,
        (watched / plain - 1.0) * 100.0
    );
}

/// Processor time of this thread, so that other work on the machine does not count.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts processor time");
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds come first") / 1e9
}

/// Clusters a file without labels and prints its pages by cluster.
fn show(options: &Options, file: &Path) {
    let rows: Vec<Labelled> = records(file).into_iter().skip(1).map(|row| (row, None)).collect();
    let mut model = new_model(&options.model).expect("a known model");
    let (mut decisions, mut log) = (Vec::new(), Vec::new());
    for rows in rows.chunks(BATCH) {
        let batch = prepare(rows, &options.fields);
        (0..batch.pages.len()).for_each(|row| model.learn(&batch.pages, row..row + 1, &mut decisions, &mut log));
    }
    let mut lines: Vec<String> = (rows.iter().zip(&decisions))
        .map(|((row, _), d)| {
            let host = row[2].split('/').nth(2).unwrap_or("");
            let title: String = row[3].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            format!("{:>4} {:>5} {:.2} {host} | {title}", d.cluster, d.micro_cluster, d.score)
        })
        .collect();
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
}

fn prepare(rows: &[Labelled], fields: &FieldWeights) -> Prepared {
    let rows = rows.iter().map(|(columns, _)| {
        let mut bytes: [&[u8]; 6] = [b""; 6];
        columns.iter().zip(&mut bytes).for_each(|(column, bytes)| *bytes = column.as_bytes());
        Ok(Row { origin: RecordId { source: 0, offset: 0 }, raw: b"", columns: bytes, kept: Kept::default() })
    });
    let prepared = Preparer::new(fields.clone()).prepare(rows);
    assert!(prepared.rejects.is_empty(), "the labelled sets have no bad rows");
    prepared
}

/// Pages about `themes` themes at once, all equally frequent: what it costs when many micro-clusters are alive.
fn themed(themes: u64, n: usize) -> Vec<Labelled> {
    let mut random = 1u64;
    let mut below = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % n
    };
    let page = |at: usize| {
        let theme = below(themes);
        let mut words: Vec<String> = (0..6).map(|_| format!("t{}x{}", letters(theme), letters(below(16)))).collect();
        words.extend((0..4).map(|_| format!("common{}", letters(below(40) * below(50)))));
        words.push(format!("own{}", letters(at as u64)));
        let [time, url, keywords, description] = [const { String::new() }; 4];
        (vec![time, at.to_string(), url, words.join(" "), keywords, description], Some(theme))
    };
    (0..n).map(page).collect()
}

/// A number as letters: words of digits alone are no terms.
fn letters(mut number: u64) -> String {
    let mut text = String::new();
    loop {
        text.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
        if number == 0 {
            return text;
        }
    }
}

fn dilute(rows: Vec<Labelled>, others: Vec<Labelled>, n: usize) -> Vec<Labelled> {
    let mut others = others.into_iter().map(|(columns, _)| (columns, None)).collect::<Vec<_>>().into_iter().cycle();
    rows.into_iter().flat_map(|row| std::iter::once(row).chain(others.by_ref().take(n)).collect::<Vec<_>>()).collect()
}

fn shuffle(window: &mut [Labelled], random: &mut u64) {
    for last in (1..window.len()).rev() {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        window.swap(last, (*random >> 33) as usize % (last + 1));
    }
}

fn load(data: &Path, set: &str, coarse: bool) -> Vec<Labelled> {
    let kind = if coarse { "labels_coarse" } else { "labels" };
    let mut labels = records(&data.join(format!("{set}.{kind}.csv.gz"))).into_iter();
    labels.next();
    let mut numbers: HashMap<String, u64> = HashMap::new();
    let labels: HashMap<String, u64> = labels
        .map(|mut row| {
            let next = numbers.len() as u64;
            let label = *numbers.entry(row.swap_remove(1)).or_insert(next);
            (row.swap_remove(0), label)
        })
        .collect();
    let rows = records(&data.join(format!("{set}.csv.gz"))).into_iter().skip(1);
    rows.map(|row| {
        let label = labels.get(&row[1]).copied();
        (row, label)
    })
    .collect()
}

/// The records of a well-formed CSV file.
fn records(path: &Path) -> Vec<Vec<String>> {
    let mut file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    let read = match path.extension().is_some_and(|extension| extension == "gz") {
        true => flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text),
        false => file.read_to_string(&mut text),
    };
    read.expect("the sets are UTF-8");
    let (mut all, mut record, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                all.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    all
}

fn options() -> Options {
    let mut options = Options {
        data: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        sets: Vec::new(),
        fields: FieldWeights::default(),
        model: ModelSettings::default(),
        coarse: false,
        pauses: false,
        window: 0,
        seeds: 1,
        dilute: 0,
        rows: usize::MAX,
        repeat: 1,
        show: None,
        pipeline: 0,
        naive: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let flag = match name.as_str() {
            "--coarse" => Some(&mut options.coarse),
            "--pauses" => Some(&mut options.pauses),
            "--naive" => Some(&mut options.naive),
            _ => None,
        };
        if let Some(flag) = flag {
            *flag = true;
            continue;
        }
        let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
        let number = || value.parse::<usize>().unwrap_or_else(|error| panic!("{name} {value}: {error}"));
        match name.as_str() {
            "--pipeline" => options.pipeline = number(),
            "--show" => options.show = Some(value.into()),
            "--data" => options.data = value.into(),
            "--set" => options.sets.push(value),
            "--fields" => options.fields = FieldWeights::from_fields(&value).unwrap_or_else(|error| panic!("{name}: {error}")),
            "--clusters" => options.model.clusters = (if value == Clusters::AUTO { 0 } else { number() as u32 }).into(),
            "--model" => options.model.kind = value,
            "--half-life" => options.model.kmeans.half_life = value.parse().expect("a half-life"),
            "--batch" => options.model.kmeans.batch = number() as u32,
            "--births" => options.model.kmeans.births = number() as u32,
            "--rule" => options.model.kmeans.rule = KMeansRule::named(&value).expect("a rule"),
            "--shuffle-window" => options.window = number(),
            "--seeds" => options.seeds = number() as u64,
            "--dilute" => options.dilute = number(),
            "--rows" => options.rows = number(),
            "--repeat" => options.repeat = number(),
            other => panic!("unknown option {other}"),
        }
    }
    if options.sets.is_empty() {
        options.sets = ["google_news_2013", "news_stories_2014_a_mixed", LINKS].map(String::from).to_vec();
    }
    options
}
