//! What an evaluation found, for people and for programs.

use serde_json::{Map, Value, json};
use windrow_core::quality::Scores;
use windrow_engine::eval::{Level, Report, Spread, Summary, Trial, Window};

use crate::args::Format;
use crate::cmd::Failure;
use crate::progress::{memory, rate};
use crate::term::table::{self, Column};
use crate::term::{Style, Term, text};

/// The kinds of groups that are scored.
const LEVELS: [&str; 2] = ["micro", "cluster"];

/// Columns that a narrow terminal does without, first those that are missed least.
const SPARE: [&str; 4] = ["from-to", "rows/s", "±", "AMI"];

pub(super) fn print(found: &Report, term: &mut Term) -> Result<(), Failure> {
    match (term.format, found.trials.as_slice()) {
        (Format::Json, trials) => {
            trials.iter().try_for_each(|trial| term.json(&trial_object(trial)))?;
            let spreads = found.summaries.iter().filter(|_| trials.len() > 1);
            spreads.map(summary_object).try_for_each(|spread| term.json(&spread))
        }
        (Format::Tsv, [trial]) => {
            term.tsv(&HEADS)?;
            levels(trial).into_iter().try_for_each(|(name, scores)| term.tsv(&cells(name, scores)))
        }
        (Format::Tsv, _) => {
            term.tsv(&["model", "order", "level", "measure", "mean", "least", "most", "deviation", "cost"])?;
            found.summaries.iter().flat_map(lines).try_for_each(|line| term.tsv(&line))
        }
        (Format::Text, [trial]) => one(trial, term),
        (Format::Text, _) => several(found, term),
    }
}

const HEADS: [&str; 8] = ["level", "n", "NMI geo", "NMI arith", "AMI", "ARI", "homogeneity", "completeness"];

fn levels(trial: &Trial) -> [(&'static str, &Scores); 2] {
    [(LEVELS[0], &trial.micro), (LEVELS[1], &trial.cluster)]
}

fn cells(name: &str, scores: &Scores) -> Vec<String> {
    let mut cells = vec![name.to_owned(), scores.n.to_string()];
    cells.extend(scores.values()[1..].iter().map(|number| format!("{number:.4}")));
    cells
}

/// One trial, as a table of its levels.
fn one(trial: &Trial, term: &mut Term) -> Result<(), Failure> {
    let seconds = trial.elapsed.as_secs_f64();
    let mut columns = HEADS.map(|name| Column::right(name, 12));
    columns[0] = Column::left(HEADS[0], 8).style(Style::Bold);
    let rows = levels(trial).map(|(name, scores)| cells(name, scores));
    table::write(term, &columns, &rows)?;
    term.say(&format!(
        "{} in {} ({}/s), {} scored, {} themes alive at the end{}",
        text::counted(trial.rows, "row"),
        text::seconds(seconds),
        text::count(rate(trial.rows, seconds)),
        text::count(trial.scored),
        text::count(trial.alive),
        peak().map(|peak| format!(", {peak} at most")).unwrap_or_default(),
    ));
    Ok(())
}

/// Several trials, as a line for each model, order and level; on a narrow terminal without what one misses least.
fn several(found: &Report, term: &mut Term) -> Result<(), Failure> {
    let heads = summary_heads(found);
    let mut columns: Vec<Column<'_>> = heads.iter().map(|name| Column::right(name, 16)).collect();
    columns[..3].iter_mut().for_each(|column| *column = Column::left(column.title, 20));
    columns[0] = columns[0].style(Style::Bold);
    let mut rows: Vec<Vec<String>> = found.summaries.iter().flat_map(|one| summary_cells(found, one)).collect();
    // Whoever reads a pipe gets all of it.
    let room = if term.is_live() { term.width() } else { usize::MAX };
    let left_out = narrow(&mut columns, &mut rows, room);
    table::write(term, &columns, &rows)?;
    if !left_out.is_empty() {
        term.say(&format!("not shown, as the terminal is narrow: {}; `-o tsv` has all", left_out.join(", ")));
    }
    let (rows, seconds) = found.trials.iter().fold((0, 0.0), |sum, one| (sum.0 + one.rows, sum.1 + one.elapsed.as_secs_f64()));
    term.say(&format!(
        "{} of {} in {} ({}/s), {} scored in each{}",
        text::counted(found.trials.len() as u64, "trial"),
        text::counted(rows, "row"),
        text::seconds(seconds),
        text::count(rate(rows, seconds)),
        text::count(found.trials[0].scored),
        peak().map(|peak| format!(", {peak} at most")).unwrap_or_default(),
    ));
    Ok(())
}

/// Leaves out columns until a table is no wider than this; gives their heads.
fn narrow(columns: &mut Vec<Column<'_>>, rows: &mut [Vec<String>], width: usize) -> Vec<&'static str> {
    let mut left_out = Vec::new();
    for head in SPARE {
        if table::width(columns, rows) <= width {
            break;
        }
        while let Some(at) = columns.iter().position(|column| column.title == head) {
            columns.remove(at);
            rows.iter_mut().for_each(|row| _ = row.remove(at));
            left_out.push(head);
        }
    }
    left_out.dedup();
    left_out
}

fn peak() -> Option<String> {
    memory().map(|memory| text::bytes(memory.peak))
}

/// Whether several seeds were tried, and whether an order is held against the rows as given.
fn shape(found: &Report) -> (bool, bool) {
    let seeds = found.summaries.iter().any(|one| one.seeds > 1);
    let is_apart = |one: &Summary| one.cost.is_some() && one.order != windrow_engine::eval::Order::default();
    (seeds, found.summaries.iter().any(is_apart))
}

/// Heads of a table of summaries.
pub(super) fn summary_heads(found: &Report) -> Vec<&'static str> {
    let (seeds, costs) = shape(found);
    let mut heads = vec!["model", "order", "level", "n"];
    for measure in ["NMI", "ARI"] {
        heads.push(measure);
        heads.extend(if seeds { &["from-to", "±"][..] } else { &[] });
    }
    heads.push("AMI");
    heads.extend(if costs { &["cost NMI", "cost ARI"][..] } else { &[] });
    heads.push("rows/s");
    heads
}

/// A summary as lines under [`summary_heads`]: one a level.
pub(super) fn summary_cells(found: &Report, summary: &Summary) -> [Vec<String>; 2] {
    let (seeds, costs) = shape(found);
    let cost = summary.cost.filter(|_| summary.order != windrow_engine::eval::Order::default());
    let levels = [
        (LEVELS[0], &summary.micro, cost.map(|cost| cost.micro)),
        (LEVELS[1], &summary.cluster, cost.map(|cost| cost.cluster)),
    ];
    levels.map(|(name, level, cost)| {
        let mut cells =
            vec![summary.model.clone(), summary.order.to_string(), name.to_owned(), format!("{:.0}", level[Scores::N].mean)];
        for measure in [Scores::NMI, Scores::ARI] {
            let Spread { mean, least, most, deviation } = level[measure];
            cells.push(format!("{mean:.3}"));
            if seeds {
                let deviation = deviation.map_or_else(String::new, |deviation| format!("{deviation:.3}"));
                cells.extend([format!("{least:.3}-{most:.3}"), deviation]);
            }
        }
        cells.push(format!("{:.3}", level[Scores::AMI].mean));
        if costs {
            let cost = |at: usize| cost.map_or_else(String::new, |cost| format!("{:.3}", cost[at]));
            cells.extend([cost(Scores::NMI), cost(Scores::ARI)]);
        }
        cells.push(text::count(summary.rate.mean.round() as u64));
        cells
    })
}

/// Every measure of a summary, one a line.
fn lines(summary: &Summary) -> Vec<[String; 9]> {
    let levels = [
        (LEVELS[0], &summary.micro, summary.cost.map(|cost| cost.micro)),
        (LEVELS[1], &summary.cluster, summary.cost.map(|cost| cost.cluster)),
    ];
    let line = |level: &str, measure: &str, spread: &Spread, cost: Option<f64>| {
        let number = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
        let numbers = [Some(spread.mean), Some(spread.least), Some(spread.most), spread.deviation, cost].map(number);
        let [mean, least, most, deviation, cost] = numbers;
        let (model, order) = (summary.model.clone(), summary.order.to_string());
        [model, order, level.to_owned(), measure.to_owned(), mean, least, most, deviation, cost]
    };
    let measures = levels.into_iter().flat_map(|(name, level, cost)| {
        (0..Scores::NAMES.len()).map(move |at| (name, Scores::NAMES[at], level[at], cost.map(|cost| cost[at])))
    });
    let mut lines: Vec<_> = measures.map(|(level, measure, spread, cost)| line(level, measure, &spread, cost)).collect();
    lines.push(line("", "rows_per_s", &summary.rate, None));
    lines
}

/// A trial as the contract has it.
pub(super) fn trial_object(trial: &Trial) -> Value {
    let seconds = trial.elapsed.as_secs_f64();
    json!({
        "schema": "windrow.eval/1",
        "model": trial.model,
        "order": trial.order.to_string(),
        "seed": trial.seed,
        "rows": trial.rows,
        "rejects": trial.rejects,
        "scored": trial.scored,
        "labels": trial.labels,
        "seconds": seconds,
        "rows_per_s": trial.rows as f64 / seconds.max(1e-9),
        "peak_rss_bytes": memory().map(|memory| memory.peak),
        "alive": trial.alive,
        "micro": trial.micro,
        "cluster": trial.cluster,
        "windows": trial.windows.iter().map(window).collect::<Vec<_>>(),
    })
}

fn window(window: &Window) -> Value {
    let Window { from, rows, labels, micro, cluster } = window;
    json!({"from": from, "rows": rows, "labels": labels, "micro": micro, "cluster": cluster})
}

/// A summary as the contract has it.
pub(super) fn summary_object(summary: &Summary) -> Value {
    let level = |level: &Level| named(level.map(|one| spread(&one)));
    json!({
        "schema": "windrow.spread/1",
        "model": summary.model,
        "order": summary.order.to_string(),
        "seeds": summary.seeds,
        "micro": level(&summary.micro),
        "cluster": level(&summary.cluster),
        "rows_per_s": spread(&summary.rate),
        "cost": summary.cost.map(|cost| json!({
            "micro": named(cost.micro.map(Value::from)),
            "cluster": named(cost.cluster.map(Value::from)),
        })),
    })
}

fn spread(spread: &Spread) -> Value {
    let Spread { mean, least, most, deviation } = spread;
    json!({"mean": mean, "least": least, "most": most, "deviation": deviation})
}

fn named(values: [Value; Scores::NAMES.len()]) -> Value {
    Scores::NAMES.into_iter().map(str::to_owned).zip(values).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_does_without_what_is_missed_least() {
        let heads = ["model", "NMI", "from-to", "±", "ARI", "from-to", "±", "AMI", "rows/s"];
        let all = || -> (Vec<Column<'_>>, Vec<Vec<String>>) {
            (heads.iter().map(|head| Column::right(head, 16)).collect(), vec![heads.map(|_| "0.1234567".to_owned()).to_vec()])
        };
        let shown = |width: usize| {
            let (mut columns, mut rows) = all();
            let left_out = narrow(&mut columns, &mut rows, width);
            assert!(table::width(&columns, &rows) <= width && rows[0].len() == columns.len());
            (columns.iter().map(|column| column.title).collect::<Vec<_>>().join(" "), left_out.join(" "))
        };
        assert_eq!(shown(160), (heads.join(" "), String::new()));
        assert_eq!(shown(80), ("model NMI ± ARI ± AMI rows/s".into(), "from-to".into()));
        assert_eq!(shown(50), ("model NMI ARI AMI".into(), "from-to rows/s ±".into()));
    }
}
