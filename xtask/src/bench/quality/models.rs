//! All models side by side: clusters at arrival, K = number of labels, mean and range over orders drawn by seeds.
//!
//! A model with settings of its own stands here once for each rule, by the environment that `windrow eval` reads.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{GOOGLE, LINKS, Measures, SHUFFLED, STORIES, trial};
use crate::shell::{say, shared_data};

/// Orders of the rows, each shuffled in windows by its seed.
const SEEDS: u64 = 3;
/// What the lines of this table are called by `--only`.
pub(super) const NAME: &str = "models";

const SETS: [(&str, &str, &str, u32); 3] = [
    ("google_news K=152", GOOGLE, "labels", 152),
    ("stories K=44", STORIES, "labels", 44),
    ("links K=31", LINKS, "labels_coarse", 31),
];

/// The setting that tells K.
pub(super) const CLUSTERS: &str = "WINDROW__MODEL__CLUSTERS";

/// Its name, its kind, and its settings, which go before K.
pub(super) type Model = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// The one that finds K.
pub(super) const AUTO: &str = "two-level, auto";

/// The one that sees nothing but domains.
pub(super) const ORIGINAL: &str = "original";

pub(super) const MODELS: [Model; 5] = [
    ("two-level", "two-level", &[]),
    (AUTO, "two-level", &[(CLUSTERS, "auto")]),
    ("kmeans", "kmeans", &[]),
    ("kmeans, spark", "kmeans", &[("WINDROW__MODEL__KMEANS__RULE", "spark")]),
    (ORIGINAL, "original", &[]),
];

pub(super) fn models(windrow: &Path) -> Result<()> {
    say(format_args!(
        "{NAME}: clusters at arrival as given, then the mean of {SEEDS} orders shuffled in windows of 500 (ARI of each)"
    ));
    say(format_args!(
        "{:<18} {:<15} {:>23} {:>9}   {:>23} {:>9}  {}",
        "", "", "NMI geo / ARI / AMI", "clusters", "NMI geo / ARI / AMI", "clusters", "ARI"
    ));
    for set in SETS {
        for model in MODELS {
            line(windrow, set, model)?;
        }
    }
    Ok(())
}

fn line(windrow: &Path, set: (&str, &str, &str, u32), model: (&str, &str, &[(&str, &str)])) -> Result<()> {
    let given = eval(windrow, set, model, &[])?;
    let seed = |seed: u64| {
        let seed = seed.to_string();
        eval(windrow, set, model, &[SHUFFLED, &["--seed", seed.as_str()]].concat())
    };
    let seeds = (1..=SEEDS).map(seed).collect::<Result<Vec<_>>>()?;
    let mean = |of: fn(&Measures) -> f64| seeds.iter().map(of).sum::<f64>() / seeds.len() as f64;
    let each: Vec<String> = seeds.iter().map(|m| format!("{:.3}", m.ari)).collect();
    say(format_args!(
        "{:<18} {:<15} {:>7.3} {:>7.3} {:>7.3} {:>9}   {:>7.3} {:>7.3} {:>7.3} {:>9.0}  {}",
        set.0,
        model.0,
        given.nmi_geometric,
        given.ari,
        given.ami,
        given.n,
        mean(|m| m.nmi_geometric),
        mean(|m| m.ari),
        mean(|m| m.ami),
        mean(|m| m.n as f64),
        each.join(" ")
    ));
    Ok(())
}

fn eval(windrow: &Path, set: (&str, &str, &str, u32), model: (&str, &str, &[(&str, &str)]), more: &[&str]) -> Result<Measures> {
    let (name, file, labels, k) = set;
    let find = |file: String| shared_data(&file).with_context(|| format!("{file} is not in ../shared/data"));
    let mut command = Command::new(windrow);
    command.arg("eval").arg("--input").arg(find(format!("{file}.csv.gz"))?);
    command.arg("--labels").arg(find(format!("{file}.{labels}.csv.gz"))?);
    command.args(["-o", "json", "--model", model.1]).args(more).env(CLUSTERS, k.to_string()).envs(model.2.iter().copied());
    Ok(trial(name, &mut command)?.cluster)
}
