//! PICTURES: what is known of clusters, drawn as SVG that any viewer shows, and as PNG where none is.
//!
//! ```text
//! history ──┬─ messages   pages of each cluster           bars
//!           ├─ clusters   pages over time                 a strip a cluster
//!           └─ domains    clusters × main domains         heat
//! view ──────── map       what is alike lies together     bubbles
//! evaluation ── scores    agreement with labels over time lines
//!                            svg (text stays text) ── png
//! ```
//!
//! All texts come from strangers: they pass through one writer, which escapes them; none is ever markup, none leads anywhere. Every
//! picture names its axes and units, and says below of what it was made.

mod domains;
mod fonts;
mod keep;
mod map;
mod messages;
mod png;
mod scale;
mod scores;
mod svg;
mod timeline;

use std::collections::BTreeMap;

use windrow_core::cluster::ClusterId;
use windrow_core::map::Map;
use windrow_core::pipeline::View;
use windrow_core::record::Micros;
use windrow_engine::history::{Ask, Clock, History, Window};
use windrow_engine::observe::Counters;

use crate::term::text;

pub(crate) use fonts::{Fonts, Missing};
pub(crate) use keep::{bare_page, isolated, page};
pub(crate) use png::png;
pub(crate) use scores::{by_order, scores, series};
use svg::Svg;
pub(crate) use svg::escaped;

/// Buckets of time in a picture, at most.
const BUCKETS: usize = 200;
/// Clusters that have a name in a picture.
const NAMED: usize = 20;

/// What to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Pages of each cluster: bars
    Messages,
    /// Pages of clusters by main domain: a heat table
    Domains,
    /// Pages of clusters over time
    Clusters,
    /// Clusters and themes, what is alike together
    Map,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Messages, Self::Clusters, Self::Domains, Self::Map];
}

/// Which pages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope {
    pub(crate) clock: Clock,
    pub(crate) window: Window,
}

impl Scope {
    fn clock_name(self) -> &'static str {
        match self.clock {
            Clock::Event => "creation time",
            Clock::Arrival => "time of arrival",
        }
    }

    fn window_name(self) -> &'static str {
        match self.window {
            Window::Minute => "the last minute",
            Window::Hour => "the last hour",
            Window::Day => "the last 24 hours",
            Window::All => "all time",
        }
    }
}

/// What pictures are made of.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    pub(crate) view: &'a View,
    pub(crate) history: &'a History,
    labels: BTreeMap<ClusterId, String>,
    source: String,
}

impl<'a> Known<'a> {
    /// What a commit holds.
    pub(crate) fn new(view: &'a View, history: &'a History, counters: &Counters, (commit, at): (u64, Micros)) -> Self {
        let living = view.clusters.iter().map(|cluster| (cluster.cluster, &cluster.label));
        let dead = view.dead.iter().map(|cluster| (cluster.cluster, &cluster.label));
        let labels = dead.chain(living).map(|(id, label)| (id, label.clone())).collect();
        Self { view, history, labels, source: source(counters, commit, at) }
    }

    fn label(&self, cluster: ClusterId) -> &str {
        self.labels.get(&cluster).map_or("(a cluster that died)", String::as_str)
    }
}

fn source(counters: &Counters, commit: u64, at: Micros) -> String {
    let facts = [
        format!("Windrow {}", env!("CARGO_PKG_VERSION")),
        text::counted(counters.rows, "row"),
        text::counted(counters.pages, "page"),
        format!("commit {commit}"),
        text::time(at - at.rem_euclid(1_000_000)),
    ];
    facts.join(" · ")
}

/// Draws one picture as SVG, `width` pixels wide.
pub(crate) fn svg(kind: Kind, known: &Known<'_>, scope: Scope, fonts: &Fonts, width: f64) -> String {
    let mut svg = Svg::new(fonts, width);
    match kind {
        Kind::Messages => messages::draw(&mut svg, known, &known.history.messages(scope.clock, scope.window), scope),
        Kind::Clusters => {
            let ask = Ask { clock: scope.clock, window: scope.window, buckets: BUCKETS, top: NAMED - 4, ..Ask::default() };
            timeline::draw(&mut svg, known, &known.history.timeline(&ask), scope);
        }
        Kind::Domains => domains::draw(&mut svg, known, &known.history.domains(NAMED, NAMED, "")),
        Kind::Map => {
            let mut map = Map::default();
            map.follow(known.view);
            map::draw(&mut svg, known, &map);
        }
    }
    svg.finish(&known.source)
}

#[cfg(test)]
mod tests;
