//! A page to keep: pictures and tables of a commit in one file that opens without a network, a server or a script.
//!
//! Nothing in it runs and nothing is fetched: its content policy allows styles alone. Texts of strangers are escaped and isolated from the
//! direction of their neighbours; only `http` and `https` become links.

use std::fmt::Write as _;

use windrow_core::lineage::is_hostile;
use windrow_core::pipeline::{ClusterView, Example};

use super::svg::escaped;
use super::{Fonts, Kind, Known, Scope};
use crate::term::text;

/// Clusters with a table line and details, at most: a page stays below a few megabytes.
const CLUSTERS: usize = 300;
const WIDTH: f64 = 1_120.0;
const TERMS: usize = 8;
const DOMAINS: usize = 5;
const THEMES: usize = 12;
/// Neighbours less like than this are not named.
const LEAST_LIKENESS: f64 = 0.01;

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">
<meta name=\"referrer\" content=\"no-referrer\">
<title>";

const STYLE: &str = "
:root { color-scheme: light dark; --paper: #fff; --text: #1a1a1a; --muted: #5c5c5c; --line: #ddd; --mark: #0072b2; --gap: #ececec;
  --series2: #d55e00; --series3: #007d5c; --series4: #a3508c; --rest: #8c8c8c }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --text: #ececec; --muted: #a8a8a8; --line: #3a3f45; --mark: #56b4e9; --gap: #262a2e;
    --series2: #f0a35c; --series3: #4cc9a4; --series4: #dd9cc8; --rest: #8f959b }
}
body { margin: 0 auto; max-width: 74rem; padding: 1rem; background: var(--paper); color: var(--text); font: 1rem/1.5 sans-serif }
a { color: var(--mark) }
figure { margin: 1.5rem 0; overflow-x: auto }
figure svg { min-width: 44rem; max-width: 100%; height: auto }
svg .text { fill: var(--text) } svg .muted { fill: var(--muted) } svg .mark { fill: var(--mark) }
svg rect.paper { fill: var(--paper) } svg .gap { fill: var(--gap) } svg .line { stroke: var(--line) } svg .over { stroke: var(--paper) }
svg .curve.series0 { stroke: var(--rest) }
svg .curve.series1 { stroke: var(--mark) } svg .shade.series1 { fill: var(--mark) }
svg .curve.series2 { stroke: var(--series2) } svg .shade.series2 { fill: var(--series2) }
svg .curve.series3 { stroke: var(--series3) } svg .shade.series3 { fill: var(--series3) }
svg .curve.series4 { stroke: var(--series4) } svg .shade.series4 { fill: var(--series4) }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: start; vertical-align: top }
li, td { overflow-wrap: anywhere }
td.n, th.n { text-align: end; white-space: nowrap; overflow-wrap: normal; font-variant-numeric: tabular-nums }
details { border-bottom: 1px solid var(--line); padding: .4rem 0 }
summary { cursor: pointer }
.muted { color: var(--muted) }
@media print { details { break-inside: avoid } figure { break-inside: avoid } }
";

/// The page.
pub(crate) fn page(known: &Known<'_>, fonts: &Fonts) -> String {
    let mut html = format!("<h1>Clusters</h1>\n<p class=\"muted\">{}</p>\n", escaped(&known.source));
    for kind in Kind::ALL {
        let svg = super::svg(kind, known, Scope::default(), fonts, WIDTH);
        // Into a text nothing fails, here and below.
        let _ = writeln!(html, "<figure>\n{svg}</figure>");
    }
    let mut clusters: Vec<&ClusterView> = known.view.clusters.iter().collect();
    clusters.sort_by(|a, b| b.delivered.cmp(&a.delivered).then(a.cluster.cmp(&b.cluster)));
    clusters.truncate(CLUSTERS);
    let all = known.view.clusters.len();
    let _ =
        writeln!(html, "<h2>Living clusters</h2>\n<p class=\"muted\">Showing {} of {all}, largest first.</p>", clusters.len());
    table(&mut html, known, &clusters);
    let _ = writeln!(html, "<h2>Each cluster</h2>");
    clusters.iter().for_each(|cluster| details(&mut html, known, cluster));
    bare_page("Clusters, by Windrow", &html)
}

/// A page of this body, which nothing leaves and nothing comes to.
pub(crate) fn bare_page(title: &str, body: &str) -> String {
    format!("{HEAD}{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n", escaped(title))
}

fn table(html: &mut String, known: &Known<'_>, clusters: &[&ClusterView]) {
    html.push_str("<div class=\"wide\"><table>\n<thead><tr><th class=\"n\">id</th><th>label</th><th class=\"n\">delivered</th><th class=\"n\">share</th>");
    html.push_str("<th class=\"n\">now</th><th class=\"n\">themes</th><th>terms</th><th>domains</th><th>languages</th></tr></thead>\n<tbody>\n");
    for cluster in clusters {
        let terms: Vec<&str> = cluster.terms.iter().take(TERMS).map(|term| term.term.as_str()).collect();
        let domains = cluster.domains.iter().take(DOMAINS).map(|(domain, pages)| format!("{domain} ({})", text::count(*pages)));
        let languages = cluster.languages.iter().take(3).map(|(code, share)| format!("{code} {:.0} %", share * 100.0));
        let _ = writeln!(
            html,
            "<tr><td class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1} %</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            cluster.cluster,
            isolated(&cluster.label),
            text::count(cluster.delivered),
            100.0 * cluster.delivered as f64 / known.view.pages.max(1) as f64,
            text::count(cluster.now),
            text::count(cluster.micro_clusters),
            isolated(&terms.join(", ")),
            isolated(&domains.collect::<Vec<_>>().join(", ")),
            escaped(&languages.collect::<Vec<_>>().join(", ")),
        );
    }
    html.push_str("</tbody>\n</table></div>\n");
}

fn details(html: &mut String, known: &Known<'_>, cluster: &ClusterView) {
    let pages = text::counted(cluster.delivered, "page");
    let _ = writeln!(
        html,
        "<details><summary>{} {} <span class=\"muted\">{pages}</span></summary>",
        cluster.cluster,
        isolated(&cluster.label)
    );
    let near = cluster.neighbours.iter().filter(|near| near.likeness >= LEAST_LIKENESS);
    let near: Vec<String> =
        near.map(|near| format!("{} {} ({:.2})", near.cluster, isolated(known.label(near.cluster)), near.likeness)).collect();
    if !near.is_empty() {
        let _ = writeln!(html, "<p>Most like it: {}</p>", near.join("; "));
    }
    let shown = cluster.themes.len().min(THEMES);
    let _ = writeln!(html, "<p>Themes, showing {shown} of {}:</p>\n<ul>", text::count(cluster.micro_clusters));
    for theme in cluster.themes.iter().take(THEMES) {
        let terms: Vec<&str> = theme.terms.iter().map(|term| term.term.as_str()).collect();
        let _ = writeln!(
            html,
            "<li>{} <span class=\"muted\">{}</span></li>",
            isolated(&terms.join(", ")),
            text::counted(theme.pages, "page")
        );
    }
    html.push_str("</ul>\n");
    for (name, examples) in [
        ("Typical pages", &cluster.representative),
        ("Pages that only just belong", &cluster.boundary),
        ("Latest pages", &cluster.latest),
    ] {
        let _ = writeln!(html, "<p>{name}:</p>\n<ul>");
        examples.iter().for_each(|one| example(html, one));
        html.push_str("</ul>\n");
    }
    html.push_str("</details>\n");
}

fn example(html: &mut String, example: &Example) {
    let title = isolated(if example.title.is_empty() { &example.url } else { &example.title });
    let is_link = ["http://", "https://"].iter().any(|scheme| example.url.starts_with(scheme));
    let title = if is_link {
        format!("<a rel=\"noopener noreferrer nofollow\" href=\"{}\">{title}</a>", escaped(&address(&example.url)))
    } else {
        title
    };
    let time = example.creation_time.map(text::time).unwrap_or_default();
    let _ = writeln!(html, "<li>{title} <span class=\"muted\">{time} likeness {:.2}</span></li>", example.score);
}

/// An address to follow, with whatever would hide some of it, or show it in another order, as percent signs: a browser asks for the same page.
fn address(url: &str) -> String {
    let mut address = String::with_capacity(url.len());
    for c in url.chars() {
        if is_hostile(c) {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| _ = write!(address, "%{byte:02X}"));
        } else {
            address.push(c);
        }
    }
    address
}

/// A text of its own direction, whatever stands beside it.
pub(crate) fn isolated(words: &str) -> String {
    format!("<bdi>{}</bdi>", escaped(&text::plain(words)))
}
