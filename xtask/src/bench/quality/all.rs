//! `cargo xtask bench quality --all`: every model on every labelled set, as given, shuffled in windows of 500 and diluted, over five seeds.
//!
//! One default setting for all; K is the number of labels. Every figure comes from `windrow eval`, one process a set, model and order, so
//! that memory is told of each. Beside them stand scikit-learn's K-Means, which sees all rows before it answers, and what others published.
//! A row below a bar of the plan ends the task with failure, and so does a ranking of the models that fresh streams of the generator turn round.
//!
//! The whole goes to `target/xtask/quality/` as Markdown, a line a row to the terminal.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Level::{Cluster, Micro};
use super::models::{AUTO, CLUSTERS, MODELS, Model, ORIGINAL};
use super::ranking::{self, Ranked};
use super::{Case, Eval, GOOGLE, LINKS, Level, Measures, STORIES, micro, trials};
use crate::shell::{cargo, run, say, shared_data, target, work_dir};

/// Bars of a set: order, level, least NMI (geometric) and ARI.
type Bar = (&'static str, Level, f64, f64);

/// A labelled set.
pub(super) struct Set {
    pub(super) name: &'static str,
    /// A file of the shared data with its labels, or a generator's input.
    file: &'static str,
    labels: &'static str,
    fields: Option<&'static str>,
    k: u32,
    /// What runs between its rows, and how many before each.
    mix: &'static str,
    ratios: &'static [u32],
    bars: &'static [Bar],
    /// Whether off-line K-Means is to be beaten in NMI too, not only in ARI.
    beat_nmi: bool,
}

const GENERATED: &str = "generator:rows=20000,seed=1";
const FEW_GENERATED: &str = "generator:rows=4000,seed=1";
/// Rows that dilute the links, which cannot dilute themselves.
const OTHERS: &str = "hn_2015_2016";

const fn set(name: &'static str, file: &'static str, k: u32, bars: &'static [Bar]) -> Set {
    Set { name, file, labels: "labels", fields: None, k, mix: LINKS, ratios: &[10], bars, beat_nmi: false }
}

const SETS: [Set; 6] = [
    Set {
        beat_nmi: true,
        ..set(
            "google_news",
            GOOGLE,
            152,
            &[("given", Micro, 0.95, 0.87), ("shuffled", Micro, 0.94, 0.84), ("given", Cluster, 0.89, 0.63)],
        )
    },
    Set { fields: Some("title"), ..set("google_news title only", GOOGLE, 152, &[("given", Micro, 0.865, 0.0)]) },
    Set {
        beat_nmi: true,
        ratios: &[10, 30],
        ..set(
            "stories",
            STORIES,
            44,
            &[
                ("given", Micro, 0.875, 0.825),
                ("shuffled", Micro, 0.865, 0.78),
                ("diluted 10:1", Micro, 0.85, 0.78),
                ("diluted 30:1", Micro, 0.84, 0.77),
                ("given", Cluster, 0.85, 0.76),
            ],
        )
    },
    Set {
        mix: OTHERS,
        ratios: &[1],
        ..set("links fine", LINKS, 632, &[("given", Micro, 0.555, 0.19), ("shuffled", Micro, 0.54, 0.185)])
    },
    Set { labels: "labels_coarse", mix: OTHERS, ratios: &[1], ..set("links coarse", LINKS, 31, &[]) },
    set("generator", GENERATED, 0, &[]),
];

/// NMI that others published for sets that are here, with the mean that they take.
const PUBLISHED: [(&str, &str); 1] = [(
    "google_news title only",
    "geometric: MStream .850, MStreamF .873, DTM .806, DCT-L .744, Sumblr .720 (Yin et al. 2018), DP-BMM .882 (Chen et al. 2020); \
     arithmetic: textClust .883 to .891, MStreamF .871, OSDM .857, DCSS .859, EStream .845 (Assenmacher & Trautmann 2022)",
)];

/// How much of it.
struct Extent {
    sets: Vec<Set>,
    seeds: u32,
    /// Streams of the generator that nothing was tuned to.
    unseen: std::ops::Range<u32>,
    unseen_rows: u32,
    /// Whether off-line K-Means stands beside it.
    yardstick: bool,
}

impl Extent {
    fn full() -> Self {
        Self { sets: SETS.into(), seeds: 5, unseen: 9_001..9_021, unseen_rows: 20_000, yardstick: true }
    }

    /// The two small sets, two seeds and no yardstick: seconds.
    fn quick() -> Self {
        let small = SETS.into_iter().filter_map(|set| match set.file {
            STORIES => Some(Set { ratios: &[10], ..set }),
            GENERATED => Some(Set { file: FEW_GENERATED, ..set }),
            _ => None,
        });
        Self { sets: small.collect(), seeds: 2, unseen: 9_001..9_006, unseen_rows: 4_000, yardstick: false }
    }
}

/// What came of one set, model and order.
struct Found {
    order: String,
    model: &'static str,
    trials: Vec<Eval>,
}

impl Found {
    fn mean(&self, level: Level, of: fn(&Measures) -> f64) -> f64 {
        self.trials.iter().map(|trial| of(trial.level(level))).sum::<f64>() / self.trials.len() as f64
    }

    fn range(&self, level: Level, of: fn(&Measures) -> f64) -> String {
        let values = self.trials.iter().map(|trial| of(trial.level(level)));
        format!("{:.3}-{:.3}", values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max))
    }
}

pub(super) fn all(windrow: &Path, quick: bool, only: Option<&str>) -> Result<()> {
    let mut extent = if quick { Extent::quick() } else { Extent::full() };
    extent.sets.retain(|set| only.is_none_or(|only| only.split(',').any(|part| set.name.contains(part))));
    if extent.sets.is_empty() {
        bail!("no set has that name: {}", SETS.map(|set| set.name).join(", "));
    }
    let mut whole = String::from(
        "# Quality: every model on every labelled set\n\nDecisions at arrival, one default setting, K = number of labels; ",
    );
    let _ = writeln!(whole, "means of {} seeds, ARI from the least to the most.\n", extent.seeds);
    let (mut missed, mut given) = (Vec::new(), Vec::new());
    for set in &extent.sets {
        if !set.is_generated() && shared_data("README.md").is_none() {
            say(format_args!("{}: passed over, ../shared/data is not there", set.name));
            continue;
        }
        let (found, k) = set.measure(windrow, extent.seeds)?;
        let kmeans = if extent.yardstick { Some(set.kmeans(k)?) } else { None };
        missed.extend(set.tell(&found, k, kmeans, &mut whole));
        given.push((set.is_generated(), found));
    }
    // Streams of the generator say by themselves whether what other sets say holds.
    let is_alone = given.len() == 1;
    let real = given.iter().filter(|(is_generated, _)| is_alone || !is_generated);
    let labelled = real.flat_map(|(_, found)| found).filter(|one| one.order == "given").map(Found::ranked);
    let unseen = fresh(windrow, &extent)?;
    let ranking = ranking::confirm(&labelled.flatten().collect::<Vec<_>>(), &unseen)?;
    say(&ranking.told);
    let _ = writeln!(whole, "## The ranking\n\n{}", ranking.told);
    let path = work_dir("quality")?.join(if quick { "quick.md" } else { "all.md" });
    std::fs::write(&path, whole)?;
    say(format_args!("written to {}", path.strip_prefix(target()).unwrap_or(&path).display()));
    if !ranking.holds {
        missed.push("the ranking on the generator".to_owned());
    }
    if !missed.is_empty() {
        bail!("bars missed: {}", missed.join(", "));
    }
    Ok(())
}

/// What every model makes of streams that nothing was tuned to.
fn fresh(windrow: &Path, extent: &Extent) -> Result<Vec<Ranked>> {
    let mut ranked = Vec::new();
    for seed in extent.unseen.clone() {
        let input = format!("generator:rows={},seed={seed}", extent.unseen_rows);
        let call = |model: &Model, k: u32| eval(windrow, model, k, &["--input", &input]);
        let labels = one(call(&MODELS[0], 64)?)?.labels;
        let k = u32::try_from(labels)?;
        for model in &MODELS {
            let found = Found { order: "given".to_owned(), model: model.0, trials: vec![one(call(model, k)?)?] };
            ranked.extend(found.ranked());
        }
    }
    Ok(ranked)
}

fn one(mut trials: Vec<Eval>) -> Result<Eval> {
    if trials.len() != 1 {
        bail!("eval printed {} trials, not one", trials.len());
    }
    Ok(trials.remove(0))
}

impl Found {
    /// What of it is ranked: themes and clusters of a model that has both. Whoever is told K knows more than who finds it; and whoever sees nothing but
    /// domains sees nothing of the generator, whose hosts have the one that is reserved for examples.
    fn ranked(&self) -> Vec<Ranked> {
        let of =
            |level, name: String| Ranked { name, nmi: self.mean(level, |m| m.nmi_geometric), ari: self.mean(level, |m| m.ari) };
        if self.has_themes() {
            vec![of(Micro, format!("{} micro-clusters", self.model)), of(Cluster, format!("{} clusters", self.model))]
        } else if [AUTO, ORIGINAL].contains(&self.model) {
            Vec::new()
        } else {
            vec![of(Cluster, self.model.to_owned())]
        }
    }

    fn has_themes(&self) -> bool {
        self.model == MODELS[0].0
    }

    /// A line of the table.
    fn line(&self, level: Level, bar: &str, verdict: &str) -> String {
        let mean = |of| format!("{:.3}", self.mean(level, of));
        let cells = [
            self.model.to_owned(),
            self.order.clone(),
            if level == Micro { "micro" } else { "cluster" }.to_owned(),
            format!("{:.0}", self.mean(level, |m| m.n as f64)),
            mean(|m| m.nmi_geometric),
            mean(|m| m.nmi_arithmetic),
            mean(|m| m.ami),
            format!("{} ({})", mean(|m| m.ari), self.range(level, |m| m.ari)),
            mean(|m| m.homogeneity),
            mean(|m| m.completeness),
            format!("{:.0}", self.trials.iter().map(|trial| trial.rows_per_s).sum::<f64>() / self.trials.len() as f64),
            format!("{}", self.trials.iter().map(|trial| trial.peak_rss_bytes.unwrap_or(0)).max().unwrap_or(0) >> 20),
            bar.to_owned(),
            verdict.to_owned(),
        ];
        format!("| {} |", cells.join(" | "))
    }
}

impl Set {
    fn is_generated(&self) -> bool {
        self.file.starts_with("generator:")
    }

    /// Arguments that name its rows and labels.
    fn rows(&self) -> Result<Vec<String>> {
        let mut args = vec!["--input".to_owned()];
        if self.is_generated() {
            args.push(self.file.to_owned());
        } else {
            args.extend([shared(&format!("{}.csv.gz", self.file))?, "--labels".to_owned()]);
            args.push(shared(&format!("{}.{}.csv.gz", self.file, self.labels))?);
        }
        if let Some(fields) = self.fields {
            args.extend(["--fields".to_owned(), fields.to_owned()]);
        }
        Ok(args)
    }

    /// Every order, with its arguments.
    fn orders(&self) -> Result<Vec<(String, Vec<String>)>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut orders = vec![
            ("given".to_owned(), words(&["--order", "given"])),
            ("shuffled".to_owned(), words(&["--order", "shuffled", "--shuffle-window", "500"])),
        ];
        // Without the shared data there is nothing else to mix in than more of the generator.
        let mix = match shared_data(&format!("{}.csv.gz", self.mix)) {
            Some(path) => path.display().to_string(),
            None => "generator:rows=20000,seed=77,themes=300".to_owned(),
        };
        for ratio in self.ratios {
            let args = words(&["--order", "diluted", "--mix", &mix, "--mix-ratio", &ratio.to_string()]);
            orders.push((format!("diluted {ratio}:1"), args));
        }
        Ok(orders)
    }

    /// Every model in every order, and K.
    fn measure(&self, windrow: &Path, seeds: u32) -> Result<(Vec<Found>, u32)> {
        let rows = self.rows()?;
        let k = match self.k {
            0 => u32::try_from(one(eval(windrow, &MODELS[0], 50, &rows)?)?.labels)?,
            k => k,
        };
        let mut found = Vec::new();
        for model in &MODELS {
            for (order, args) in self.orders()? {
                let more = ["--seeds".to_owned(), seeds.to_string()];
                let args: Vec<String> = rows.iter().cloned().chain(args).chain(more).collect();
                let trials = eval(windrow, model, k, &args)?;
                if trials.len() != seeds as usize {
                    bail!("{}: eval printed {} trials, not {seeds}", self.name, trials.len());
                }
                found.push(Found { order, model: model.0, trials });
            }
        }
        Ok((found, k))
    }

    /// What K-Means makes of it that sees all rows before it answers.
    fn kmeans(&self, k: u32) -> Result<Measures> {
        if !self.is_generated() {
            let case = Case { labels: self.labels, fields: self.fields, ..micro(self.name, self.file, 0.0, 0.0, k) };
            return Ok(case.yardstick("kmeans")?.measures);
        }
        let dir = work_dir("quality")?;
        let (rows, labels) = (dir.join("generated.csv"), dir.join("generated.labels.csv"));
        let example = ["run", "--quiet", "--profile", "fast", "--package", "windrow-engine", "--example", "generate", "--"];
        run(cargo().args(example).arg(self.file).args([&rows, &labels]))?;
        super::yardstick("kmeans", (&rows, &labels), k, super::DEFAULT_TEXTS, None, &format!("kmeans-generator-{k}.json"))
            .map(|yardstick| yardstick.measures)
    }

    /// Writes its table, says a line a row, and names the rows that miss a bar.
    fn tell(&self, found: &[Found], k: u32, kmeans: Option<Measures>, whole: &mut String) -> Vec<String> {
        let scored = found.first().and_then(|one| one.trials.first()).map_or(0, |trial| trial.scored);
        let _ = writeln!(whole, "## {}\n\n{scored} scored rows, K = {k}.\n", self.name);
        let heads =
            "model | order | level | n | NMI geo | NMI arith | AMI | ARI | homogeneity | completeness | rows/s | MB | bar | ";
        let _ = writeln!(whole, "| {heads}|\n|---|---|---|{}---|---|", "--:|".repeat(9));
        let mut missed = Vec::new();
        for one in found {
            let levels: &[Level] = if one.has_themes() { &[Micro, Cluster] } else { &[Cluster] };
            for level in levels {
                let (bar, is_met) = self.judge(one, *level, kmeans);
                let verdict = if bar.is_empty() {
                    ""
                } else if is_met {
                    "ok"
                } else {
                    "MISS"
                };
                let line = one.line(*level, &bar, verdict);
                let _ = writeln!(whole, "{line}");
                say(format_args!("{:<22} {}", self.name, line.trim_matches(['|', ' '])));
                if !is_met {
                    missed.push(format!("{} {} {}", self.name, one.order, if *level == Micro { "micro" } else { "cluster" }));
                }
            }
        }
        if let Some(m) = kmeans {
            let Measures { n, nmi_geometric, nmi_arithmetic, ari, homogeneity, completeness, .. } = m;
            let _ = writeln!(
                whole,
                "| K-Means, off-line | all at once |  | {n} | {nmi_geometric:.3} | {nmi_arithmetic:.3} |  | {ari:.3} | \
                 {homogeneity:.3} | {completeness:.3} |  |  |  |  |"
            );
        }
        let published = PUBLISHED.iter().find(|(name, _)| *name == self.name);
        let _ =
            writeln!(whole, "\nPublished: {}.\n", published.map_or("nothing for this set is known", |(_, figures)| figures));
        missed
    }

    /// The bar of a row and whether it is met; bars are the default model's alone.
    fn judge(&self, found: &Found, level: Level, kmeans: Option<Measures>) -> (String, bool) {
        if !found.has_themes() {
            return (String::new(), true);
        }
        let (nmi, ari) = (found.mean(level, |m| m.nmi_geometric), found.mean(level, |m| m.ari));
        let (mut told, mut is_met) = (Vec::new(), true);
        if let Some((.., least_nmi, least_ari)) = self.bars.iter().find(|bar| bar.0 == found.order && bar.1 == level) {
            told.push(format!("{least_nmi:.3}/{least_ari:.3}"));
            is_met &= nmi >= *least_nmi && ari >= *least_ari;
        }
        if let Some(kmeans) = kmeans.filter(|_| level == Cluster && found.order == "given") {
            told.push(format!("> K-Means {}", if self.beat_nmi { "NMI, ARI" } else { "ARI" }));
            is_met &= ari > kmeans.ari && (!self.beat_nmi || nmi > kmeans.nmi_geometric);
        }
        (told.join(", "), is_met)
    }
}

fn shared(file: &str) -> Result<String> {
    let path: Option<PathBuf> = shared_data(file);
    Ok(path.with_context(|| format!("{file} is not in ../shared/data"))?.display().to_string())
}

/// The trials that `windrow eval` prints, of a model that is told K or finds it.
fn eval(windrow: &Path, model: &Model, k: u32, args: &[impl AsRef<std::ffi::OsStr>]) -> Result<Vec<Eval>> {
    let mut command = Command::new(windrow);
    command
        .args(["eval", "--quiet", "-o", "json", "--model", model.1])
        .args(args)
        .env(CLUSTERS, k.to_string())
        .envs(model.2.iter().copied());
    trials(model.0, &mut command)
}
