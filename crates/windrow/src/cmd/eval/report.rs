//! Reports of an evaluation, as files to keep: Markdown, JSON, a page, a picture.
//!
//! The first three say the same: what was evaluated, the scores of every model and order, and the scores over time.

use std::path::{Path, PathBuf};

use serde_json::json;
use windrow_core::cluster::Clusters;
use windrow_core::quality::Scores;
use windrow_engine::error::Error;
use windrow_engine::eval::{EvalJob, Order, Report, Sequence, Trial};
use windrow_engine::export;

use super::told;
use crate::picture::{self, Fonts, escaped};
use crate::term::text::{self, counted};

/// Pixels of the picture.
const WIDTH: f64 = 1_120.0;

/// A report that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    to: PathBuf,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Markdown,
    Json,
    Page,
    Picture,
}

impl Wanted {
    /// By the end of its name; a file that is there already is not written over without a word.
    pub(super) fn new(to: &Path, force: bool) -> Result<Self, Error> {
        let form = match to.extension().and_then(|form| form.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("md") => Form::Markdown,
            Some("json") => Form::Json,
            Some("html") => Form::Page,
            Some("svg") => Form::Picture,
            _ => return Err(export::no_such_form(to, ".md, .json, .html or .svg")),
        };
        export::allow(to, force)?;
        Ok(Self { to: to.to_owned(), form })
    }

    /// Writes it.
    pub(super) fn write(&self, job: &EvalJob, found: &Report) -> Result<(), Error> {
        let whole = match self.form {
            Form::Markdown => markdown(job, found),
            Form::Json => text::escape_json(&object(job, found).to_string()).into_owned() + "\n",
            Form::Page => page(job, found),
            Form::Picture => svg(job, found),
        };
        export::write(&self.to, whole.as_bytes())
    }
}

/// A table of texts; those of `left` columns are words, the others numbers.
struct Table {
    left: usize,
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// What was evaluated, as names and values.
fn facts(job: &EvalJob, found: &Report) -> Vec<(&'static str, String)> {
    let first = &found.trials[0];
    let orders = picture::by_order(found).into_iter().map(|(order, _)| order_told(order, job));
    let mut facts = vec![("input", job.inputs.join(", "))];
    facts.extend(job.labels.iter().map(|path| ("labels", path.display().to_string())));
    facts.push(("scored", format!("{} of {}", counted(first.scored, "row"), counted(first.labels, "label"))));
    facts.push(("clusters", most(job.model.clusters)));
    facts.push(("models", job.models.join(", ")));
    facts.push(("orders", orders.collect::<Vec<_>>().join("; ")));
    facts.push(("seeds", format!("{} from {} on", job.seeds, job.model.seed)));
    facts.push(("made by", format!("Windrow {}", env!("CARGO_PKG_VERSION"))));
    facts
}

fn order_told(order: Order, job: &EvalJob) -> String {
    let detail = match order.sequence {
        Sequence::Given => None,
        Sequence::Shuffled => Some(format!("in windows of {}", text::count(job.shuffle_window as u64))),
        Sequence::Sorted => Some("label after label".to_owned()),
        Sequence::Bursts => Some(format!("at most {} of a label at once", text::count(job.burst as u64))),
    };
    let mixed = job.mix.as_ref().filter(|_| order.diluted);
    let mixed = mixed.map(|mix| format!("{} of {} before each", counted(mix.ratio.into(), "row"), mix.inputs.join(", ")));
    let details: Vec<String> = detail.into_iter().chain(mixed).collect();
    if details.is_empty() { order.to_string() } else { format!("{order} ({})", details.join("; ")) }
}

/// The scores of every model and order.
fn summaries(found: &Report) -> Table {
    Table {
        left: 3,
        heads: told::summary_heads(found).into_iter().map(str::to_owned).collect(),
        rows: found.summaries.iter().flat_map(|one| told::summary_cells(found, one)).collect(),
    }
}

/// The scores over time of one order: a line a window.
fn over_time(found: &Report, trials: &[&Trial]) -> Table {
    let series = picture::series(found);
    let measures = [Scores::NMI, Scores::ARI, Scores::N];
    let values: Vec<_> = series.iter().map(|one| measures.map(|measure| one.over_time(trials, measure))).collect();
    let mut heads = vec!["scored rows".to_owned(), "labels".to_owned()];
    heads.extend(series.into_iter().map(|one| one.name));
    let windows = trials.first().map_or(&[][..], |trial| &trial.windows);
    let row = |(at, window): (usize, &windrow_engine::eval::Window)| {
        let mut row = vec![format!("{}-{}", window.from + 1, window.from + window.rows), window.labels.to_string()];
        row.extend(values.iter().map(|[nmi, ari, n]| match (nmi.get(at), ari.get(at), n.get(at)) {
            (Some(nmi), Some(ari), Some(n)) => format!("{:.3}/{:.3} ({:.0})", nmi.mean, ari.mean, n.mean),
            _ => String::new(),
        }));
        row
    };
    Table { left: 0, heads, rows: windows.iter().enumerate().map(row).collect() }
}

const OVER_TIME: &str =
    "NMI (geometric) / ARI (number of groups) of the decisions at arrival in each window, the mean of the seeds.";
const COST: &str = "n: groups used. cost: how much lower than as given. ±: standard deviation over the seeds.";

fn markdown(job: &EvalJob, found: &Report) -> String {
    let mut whole = String::from("# Evaluation\n\n");
    for (name, value) in facts(job, found) {
        whole += &format!("- {name}: {}\n", markdown_text(&value));
    }
    whole += &format!("\n## Scores\n\n{}\n{COST}\n\n## Over time\n\n{OVER_TIME}\n", markdown_table(&summaries(found)));
    for (order, trials) in picture::by_order(found) {
        whole += &format!("\n### {order}\n\n{}", markdown_table(&over_time(found, &trials)));
    }
    whole
}

fn markdown_table(table: &Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| markdown_text(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let ruler: String = (0..table.heads.len()).map(|at| if at < table.left { "---|" } else { "--:|" }).collect();
    format!("{}|{ruler}\n{}", line(&table.heads), table.rows.iter().map(|row| line(row)).collect::<String>())
}

/// Text that is no markup, whoever named the files.
fn markdown_text(words: &str) -> String {
    let mut whole = String::with_capacity(words.len());
    for c in text::plain(words).chars() {
        match c {
            '<' => whole.push_str("&lt;"),
            '&' => whole.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '!' => whole.extend(['\\', c]),
            c => whole.push(c),
        }
    }
    whole
}

fn page(job: &EvalJob, found: &Report) -> String {
    let mut body = String::from("<h1>Evaluation</h1>\n<dl>\n");
    for (name, value) in facts(job, found) {
        body += &format!("<dt class=\"muted\">{name}</dt><dd>{}</dd>\n", picture::isolated(&value));
    }
    body += &format!("</dl>\n<h2>Scores</h2>\n{}<p class=\"muted\">{COST}</p>\n", html_table(&summaries(found)));
    body += &format!("<h2>Over time</h2>\n<figure>\n{}</figure>\n<p class=\"muted\">{OVER_TIME}</p>\n", svg(job, found));
    for (order, trials) in picture::by_order(found) {
        body += &format!("<details><summary>{order}</summary>\n{}</details>\n", html_table(&over_time(found, &trials)));
    }
    picture::bare_page("Evaluation, by Windrow", &body)
}

fn html_table(table: &Table) -> String {
    let line = |cells: &[String], tag: &str| {
        let cell = |(at, cell): (usize, &String)| {
            let class = if at < table.left { "" } else { " class=\"n\"" };
            format!("<{tag}{class}>{}</{tag}>", escaped(&text::plain(cell)))
        };
        format!("<tr>{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
    };
    let rows: String = table.rows.iter().map(|row| line(row, "td")).collect();
    format!(
        "<div class=\"wide\"><table>\n<thead>{}</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        line(&table.heads, "th")
    )
}

fn most(clusters: Clusters) -> String {
    match clusters {
        Clusters::AtMost(n) => format!("at most {n}"),
        Clusters::Auto => Clusters::AUTO.to_owned(),
    }
}

fn svg(job: &EvalJob, found: &Report) -> String {
    let first = &found.trials[0];
    let facts = [
        format!("Windrow {}", env!("CARGO_PKG_VERSION")),
        job.inputs.join(", "),
        format!("{} of {}", counted(first.scored, "scored row"), counted(first.labels, "label")),
        format!("clusters: {}", most(job.model.clusters)),
        counted(job.seeds.into(), "seed"),
    ];
    picture::scores(found, &facts.join(" · "), &Fonts::installed(), WIDTH)
}

fn object(job: &EvalJob, found: &Report) -> serde_json::Value {
    json!({
        "schema": "windrow.report/1",
        "version": env!("CARGO_PKG_VERSION"),
        "inputs": job.inputs,
        "labels": job.labels.as_ref().map(|path| path.display().to_string()),
        "mix": job.mix.as_ref().map(|mix| json!({"inputs": mix.inputs, "ratio": mix.ratio})),
        "shuffle_window": job.shuffle_window,
        "burst": job.burst,
        "limit": job.limit,
        "clusters": match job.model.clusters {
            Clusters::AtMost(n) => json!(n),
            Clusters::Auto => json!(Clusters::AUTO),
        },
        "trials": found.trials.iter().map(told::trial_object).collect::<Vec<_>>(),
        "spreads": found.summaries.iter().map(told::summary_object).collect::<Vec<_>>(),
    })
}
