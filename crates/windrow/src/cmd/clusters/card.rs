//! One cluster on the terminal: what it is about, how its addresses look, and the pages that came more than once.

use windrow_core::cluster::ClusterId;
use windrow_core::pipeline::{ClusterView, Copied, Example, View};

use super::Place;
use crate::args::Format;
use crate::cmd::{App, Done, Exit};
use crate::shape::{cluster_cells, cluster_columns, cluster_object};
use crate::term::{Style, text};

/// Terms and domains that are shown.
const SHOWN: usize = 8;

/// Shows a living cluster.
pub(super) fn show(at: &Place, id: ClusterId, app: &mut App) -> Done {
    let reading = at.read()?.ok_or_else(|| at.nothing())?;
    let view = reading.pipeline.view();
    let cluster = view.clusters.iter().find(|cluster| cluster.cluster == id).ok_or_else(|| at.not_alive(id))?;
    match app.term.format {
        Format::Json => app.term.json(&cluster_object(cluster, &view, reading.manifest.epoch))?,
        Format::Tsv => {
            app.term.tsv(&cluster_columns(&view))?;
            let cells = cluster_cells(cluster, &view);
            app.term
                .tsv(&cells.iter().map(|cell| cell.as_str().map_or(cell.to_string(), str::to_owned)).collect::<Vec<_>>())?;
        }
        Format::Text => {
            let (width, color) = (app.term.width(), app.term.color);
            lines(cluster, &view, width, color).iter().try_for_each(|line| app.term.line(line))?;
        }
    }
    Ok(Exit::Fine)
}

/// A line that is yet to be cut and painted.
type Line = (Option<Style>, String);

fn lines(cluster: &ClusterView, view: &View, width: usize, color: bool) -> Vec<String> {
    let painted = |(style, line): Line| {
        let line = text::cut(&line, width);
        style.map_or_else(|| line.to_string(), |style| style.paint(&line, color))
    };
    said(cluster, view).into_iter().map(painted).collect()
}

fn said(cluster: &ClusterView, view: &View) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let head = format!("{}  {}", cluster.cluster, text::plain(&cluster.label));
    lines.push((Some(Style::Bold), head));
    let share = cluster.delivered as f64 / view.pages.max(1) as f64;
    let counts = format!(
        "{} delivered ({}), {} now, {}",
        text::counted(cluster.delivered, "page"),
        percent(share),
        text::count(cluster.now),
        text::counted(cluster.micro_clusters, "theme")
    );
    lines.push((None, counts));
    let terms = cluster.terms.iter().take(SHOWN).map(|term| text::plain(&term.term).into_owned());
    section("terms", vec![terms.collect::<Vec<_>>().join(", ")], &mut lines);
    let domains = cluster.domains.iter().take(SHOWN);
    let domains = domains.map(|(domain, pages)| format!("{} {}", right(*pages), text::plain(domain)));
    section("domains", domains.collect(), &mut lines);
    let patterns = cluster.patterns.iter();
    let patterns = patterns.map(|it| {
        let hosts = if it.hosts > 1 { format!(" (at least {})", text::counted(it.hosts, "host")) } else { String::new() };
        format!("{} {:>5} {}{hosts}", right(it.pages), percent(it.share), text::plain(&it.pattern))
    });
    section("addresses", patterns.collect(), &mut lines);
    let copies = &cluster.copies;
    let repeated = copies.repeated.iter().map(|page| format!("{}: {}", came(&page.copied), title(&page.example)));
    let name = format!("copies ({} of {} had come before)", percent(copies.share()), text::counted(copies.pages, "page"));
    section(&name, repeated.collect(), &mut lines);
    for (name, examples) in
        [("typical", &cluster.representative), ("just belonging", &cluster.boundary), ("latest", &cluster.latest)]
    {
        let examples = examples.iter().map(|example| {
            let copied = example.copied.filter(|copied| copied.pages > 1);
            title(example) + &copied.map_or(String::new(), |copied| format!(" ({})", came(&copied)))
        });
        section(name, examples.collect(), &mut lines);
    }
    lines
}

fn section(name: &str, inside: Vec<String>, lines: &mut Vec<Line>) {
    if inside.iter().any(|line| !line.is_empty()) {
        lines.extend([(None, String::new()), (Some(Style::Dim), name.to_owned())]);
        lines.extend(inside.into_iter().map(|line| (None, format!("  {line}"))));
    }
}

/// How often a page came: `312 times on 41 hosts`.
fn came(copied: &Copied) -> String {
    let about = if copied.is_exact { "" } else { "about " };
    let hosts = if copied.hosts > 0 { format!(" on {about}{}", text::counted(copied.hosts, "host")) } else { String::new() };
    format!("{}{hosts}", text::counted(copied.pages, "time"))
}

fn title(example: &Example) -> String {
    text::plain(if example.title.trim().is_empty() { &example.url } else { &example.title }).into_owned()
}

fn right(pages: u64) -> String {
    format!("{:>9}", text::count(pages))
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 9.95 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}
