//! `cargo xtask bench quality`: what `windrow eval` says of every labelled set, against the bars.
//!
//! One default setting for all sets; nothing is tuned to a set but K, where a bar is about K = number of labels. Every decision is
//! scored as it was at the page's arrival. Beside it: scikit-learn's K-Means, which sees all rows before it answers, and River's
//! TextClust, which is slow and gets the first 2,000 rows. The yardsticks do not change with our code, so their answers are kept in
//! the target folder. After them, all models side by side.
//!
//! With `--all` every model on every set in every order instead ([`all`]).

mod all;
mod models;
mod ranking;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::python::{YARDSTICKS, script};
use crate::shell::{Watch, say, shared_data, stdout, windrow, work_dir};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the lines whose name holds this; with --all the sets whose name holds one of these, parted by commas
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Without the yardsticks
    #[arg(long)]
    bare: bool,
    /// Every model on every set, as given, shuffled and diluted, over five seeds
    #[arg(long, conflicts_with = "bare")]
    all: bool,
    /// The two small sets of that, over two seeds, without the yardstick
    #[arg(long, requires = "all", conflicts_with = "only")]
    quick: bool,
}

impl Args {
    /// Seconds of it, as a suite.
    pub(super) fn quick() -> Self {
        Self { only: None, bare: true, all: true, quick: true }
    }
}

/// Which clustering of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Micro,
    Cluster,
}

/// One line of the table.
struct Case {
    name: &'static str,
    set: &'static str,
    labels: &'static str,
    level: Level,
    /// More arguments for `windrow eval`.
    more: &'static [&'static str],
    /// Seeds whose mean is taken; one: the default.
    seeds: u64,
    /// Least NMI (geometric) and ARI.
    bar: (f64, f64),
    /// K, for the yardsticks and, at cluster level, for us; 0: no yardsticks.
    k: u32,
    /// At cluster level: whether K-Means' NMI is to be beaten too, not only its ARI.
    beat_nmi: bool,
    /// Fields that both sides see; none for the default: all that count, and the same texts for the yardsticks.
    fields: Option<&'static str>,
    limit: Option<&'static str>,
}

/// TextClust learns some hundred rows a second: it gets the first ones only, and the table says how many.
const TEXTCLUST_ROWS: &str = "2000";
/// The texts that count by default; `path` is that of the URL.
const DEFAULT_TEXTS: &str = "title,keywords,description,path";

const fn micro(name: &'static str, set: &'static str, nmi: f64, ari: f64, k: u32) -> Case {
    Case {
        name,
        set,
        labels: "labels",
        level: Level::Micro,
        more: &[],
        seeds: 1,
        bar: (nmi, ari),
        k,
        beat_nmi: false,
        fields: None,
        limit: None,
    }
}

const GOOGLE: &str = "google_news_2013";
const STORIES: &str = "news_stories_2014_a_mixed";
const LINKS: &str = "links_stream_2012_2023";
const SHUFFLED: &[&str] = &["--shuffle-window", "500"];

fn cases() -> Vec<Case> {
    let google = || micro("google_news as given", GOOGLE, 0.95, 0.87, 152);
    let stories = || micro("stories as given", STORIES, 0.875, 0.825, 44);
    let links = || micro("links fine as given", LINKS, 0.555, 0.19, 632);
    let shuffled = |case: Case, name, nmi, ari| Case { name, bar: (nmi, ari), more: SHUFFLED, seeds: 5, k: 0, ..case };
    let diluted = |name, nmi, ari, more| Case { name, bar: (nmi, ari), more, k: 0, ..stories() };
    let level = Level::Cluster;
    let coarse = || Case { labels: "labels_coarse", k: 31, level, bar: (0.0, 0.0), ..links() };
    vec![
        google(),
        Case { name: "google_news title only", bar: (0.865, 0.0), fields: Some("title"), ..google() },
        stories(),
        links(),
        shuffled(google(), "google_news shuffled x5", 0.94, 0.84),
        shuffled(stories(), "stories shuffled x5", 0.865, 0.78),
        shuffled(links(), "links fine shuffled x5", 0.54, 0.185),
        diluted("stories diluted 10:1", 0.85, 0.78, &["--mix-ratio", "10"]),
        diluted("stories diluted 30:1", 0.84, 0.77, &["--mix-ratio", "30"]),
        Case { name: "google_news clusters K=152", level, beat_nmi: true, bar: (0.89, 0.63), ..google() },
        Case { name: "stories clusters K=44", level, beat_nmi: true, bar: (0.85, 0.76), ..stories() },
        Case { name: "links coarse clusters K=31", ..coarse() },
        Case { name: "links coarse 20,000 K=31", limit: Some("20000"), ..coarse() },
    ]
}

#[derive(Deserialize)]
struct Eval {
    rows: u64,
    scored: u64,
    labels: u64,
    rows_per_s: f64,
    peak_rss_bytes: Option<u64>,
    micro: Measures,
    cluster: Measures,
}

impl Eval {
    fn level(&self, level: Level) -> &Measures {
        if level == Level::Micro { &self.micro } else { &self.cluster }
    }
}

#[derive(Deserialize)]
struct Yardstick {
    measures: Measures,
}

#[derive(Deserialize, Clone, Copy)]
struct Measures {
    n: u64,
    nmi_geometric: f64,
    nmi_arithmetic: f64,
    ari: f64,
    homogeneity: f64,
    completeness: f64,
    /// The yardsticks have none.
    #[serde(default)]
    ami: f64,
}

pub(crate) fn quality(args: &Args) -> Result<()> {
    if args.all {
        let watch = Watch::start();
        let done = all::all(&windrow("fast", &[])?, args.quick, args.only.as_deref());
        say(format_args!("{:.0} s", watch.seconds()));
        return done;
    }
    if shared_data("README.md").is_none() {
        bail!("the labelled sets lie in ../shared/data, and that is not there");
    }
    let windrow = windrow("fast", &[])?;
    let watch = Watch::start();
    say("quality: decision at arrival, one default setting; NMI geometric / ARI");
    say(format_args!(
        "{:<27} {:>5} {:>11}  {:>15}  {:>10}  {:<4}  {:>17}  {:>28}",
        "", "n", "NMI/ARI", "ARI of seeds", "bar", "", "K-Means, off-line", "TextClust and we, 2,000 rows"
    ));
    let mut missed = Vec::new();
    let chosen = cases().into_iter().filter(|case| args.only.as_ref().is_none_or(|only| case.name.contains(only.as_str())));
    for case in chosen {
        if !case.judge(&windrow, args.bare)? {
            missed.push(case.name);
        }
    }
    if args.only.as_ref().is_none_or(|only| models::NAME.contains(only.as_str())) {
        models::models(&windrow)?;
    }
    say(format_args!("{:.0} s", watch.seconds()));
    if !missed.is_empty() {
        bail!("bars missed: {}", missed.join(", "));
    }
    Ok(())
}

impl Case {
    fn input(&self) -> Result<PathBuf> {
        shared_data(&format!("{}.csv.gz", self.set)).with_context(|| format!("{} is not in ../shared/data", self.set))
    }

    fn labels(&self) -> Result<PathBuf> {
        shared_data(&format!("{}.{}.csv.gz", self.set, self.labels)).context("no labels in ../shared/data")
    }

    /// Runs, prints one line, and says whether the bar was met.
    fn judge(&self, windrow: &PathBuf, bare: bool) -> Result<bool> {
        let seeds = (1..=self.seeds).map(|seed| self.eval(windrow, seed)).collect::<Result<Vec<_>>>()?;
        let n = seeds.len() as f64;
        let mean = |of: fn(&Measures) -> f64| seeds.iter().map(of).sum::<f64>() / n;
        let (nmi, ari) = (mean(|m| m.nmi_geometric), mean(|m| m.ari));
        let spread = |of: fn(&Measures) -> f64| {
            let values = seeds.iter().map(of);
            format!("{:.3}-{:.3}", values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max))
        };
        let spread = if seeds.len() > 1 { spread(|m| m.ari) } else { String::new() };
        let kmeans = if self.k > 0 && !(bare && self.level == Level::Micro) { Some(self.yardstick("kmeans")?) } else { None };
        // TextClust knows one level only: beside it stands our micro level on the same rows.
        let textclust = if self.k > 0 && !bare {
            let same_rows = Self { level: Level::Micro, limit: Some(TEXTCLUST_ROWS), more: &[], ..*self };
            Some((self.yardstick("textclust")?, same_rows.eval(windrow, 1)?))
        } else {
            None
        };

        let mut met = nmi >= self.bar.0 && ari >= self.bar.1;
        if let (Level::Cluster, Some(kmeans)) = (self.level, &kmeans) {
            met &= ari > kmeans.measures.ari && (!self.beat_nmi || nmi > kmeans.measures.nmi_geometric);
        }
        let pair = |m: &Measures| format!("{:.3}/{:.3}", m.nmi_geometric, m.ari);
        let bar = match (self.level, self.bar) {
            (Level::Cluster, (0.0, _)) => "> K-Means".to_owned(),
            (_, (nmi, 0.0)) => format!("{nmi:.3}"),
            (_, (nmi, ari)) => format!("{nmi:.3}/{ari:.3}"),
        };
        say(format_args!(
            "{:<27} {:>5} {nmi:.3}/{ari:.3}  {spread:>15}  {bar:>10}  {:<4}  {:>17}  {:>28}",
            self.name,
            seeds[0].n,
            if met { "ok" } else { "MISS" },
            kmeans.map_or(String::new(), |kmeans| pair(&kmeans.measures)),
            textclust.map_or(String::new(), |(theirs, ours)| format!("{} and {}", pair(&theirs.measures), pair(&ours))),
        ));
        Ok(met)
    }

    fn eval(&self, windrow: &PathBuf, seed: u64) -> Result<Measures> {
        let mut command = Command::new(windrow);
        command.arg("eval").arg("--input").arg(self.input()?).arg("--labels").arg(self.labels()?);
        command.args(["-o", "json", "--seed", &seed.to_string()]).args(self.more);
        if let Some(fields) = self.fields {
            command.args(["--fields", fields]);
        }
        if self.more.contains(&"--mix-ratio") {
            command.arg("--mix").arg(shared_data(&format!("{LINKS}.csv.gz")).context("links_stream is not there")?);
        }
        if self.level == Level::Cluster {
            command.args(["--clusters", &self.k.to_string()]);
        }
        if let Some(limit) = self.limit {
            command.args(["--limit", limit]);
        }
        Ok(*trial(self.name, &mut command)?.level(self.level))
    }

    fn yardstick(&self, method: &str) -> Result<Yardstick> {
        let limit = if method == "textclust" { TEXTCLUST_ROWS } else { self.limit.unwrap_or("all") };
        let texts = self.fields.unwrap_or(DEFAULT_TEXTS);
        let key = format!("{method}-{}-{}-{}-{}-{limit}.json", self.set, self.labels, self.k, texts.replace(',', "+"));
        let limit = (limit != "all").then_some(limit);
        yardstick(method, (&self.input()?, &self.labels()?), self.k, texts, limit, &key)
    }
}

/// The trials that a call of `windrow eval -o json` prints, each of which has scored something.
fn trials(name: &str, command: &mut Command) -> Result<Vec<Eval>> {
    let printed = stdout(command)?;
    let trials = printed.lines().filter(|line| line.contains("\"windrow.eval/1\""));
    let trials = trials.map(serde_json::from_str).collect::<Result<Vec<Eval>, _>>().context("eval's JSON")?;
    if trials.is_empty() || trials.iter().any(|trial| trial.rows == 0 || trial.rows_per_s <= 0.0) {
        bail!("{name}: eval scored nothing");
    }
    Ok(trials)
}

/// The same, of a call that makes one.
fn trial(name: &str, command: &mut Command) -> Result<Eval> {
    trials(name, command)?.pop().with_context(|| format!("{name}: no trial"))
}

/// What others make of these rows, so many of them at most; kept under the key.
fn yardstick(
    method: &str,
    (rows, labels): (&Path, &Path),
    k: u32,
    texts: &str,
    limit: Option<&str>,
    key: &str,
) -> Result<Yardstick> {
    let kept = work_dir("yardsticks")?.join(key);
    if let Ok(text) = std::fs::read_to_string(&kept) {
        return Ok(serde_json::from_str(&text)?);
    }
    let mut command = script(YARDSTICKS, "yardstick.py")?;
    command.arg(method).arg("--input").arg(rows).arg("--labels").arg(labels);
    command.args(["--clusters", &k.to_string(), "--fields", texts]);
    if let Some(limit) = limit {
        command.args(["--limit", limit]);
    }
    let text = stdout(&mut command)?;
    std::fs::write(kept, &text)?;
    Ok(serde_json::from_str(&text)?)
}
