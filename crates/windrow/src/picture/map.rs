//! Clusters and themes as bubbles, what is alike together; the largest have a name, and no two names overlap.

use std::cmp::Reverse;

use windrow_core::cluster::MicroId;
use windrow_core::map::{Map, Point};
use windrow_core::pipeline::ClusterView;

use super::svg::{Anchor, Area, Circle, Look, MARGIN, Svg, TEXT};
use super::{Known, NAMED};
use crate::term::text;

/// Colours that most people tell apart (Okabe & Ito, "Color universal design", 2008), without yellow and black; they only help to see which dots
/// belong together.
const COLORS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
/// Radius of the largest bubble, and of the smallest.
const LARGEST: f64 = 46.0;
const SMALLEST: f64 = 4.0;
/// Radius of a theme.
const DOT: f64 = 2.2;
/// Widest name.
const NAME: f64 = 230.0;
const BORDER: f64 = 40.0;
/// Size of the number of a cluster that has no name.
const NUMBER: f64 = 11.0;

/// A cluster on paper.
struct Bubble<'a> {
    cluster: &'a ClusterView,
    x: f64,
    y: f64,
    radius: f64,
    color: &'static str,
}

pub(super) fn draw(svg: &mut Svg<'_>, known: &Known<'_>, map: &Map) {
    let view = known.view;
    let shown = view.clusters.iter().map(|cluster| cluster.themes.len()).sum::<usize>();
    let about = format!(
        "{} living clusters with {}, showing {} of {}; near is alike",
        view.clusters.len(),
        text::counted(view.pages, "page"),
        text::count(shown as u64),
        text::counted(view.micro_clusters, "theme"),
    );
    svg.head("Map of clusters", &about);
    let (width, height) = (svg.width - 2.0 * MARGIN, (svg.width * 0.62).max(320.0));
    let frame = Area { x: MARGIN, y: svg.y, width, height };
    let place = |point: Point| {
        let x = f64::midpoint(point.x, 1.0) * (width - 2.0 * BORDER) + MARGIN + BORDER;
        (x, f64::midpoint(point.y, 1.0) * (height - 2.0 * BORDER) + frame.y + BORDER)
    };
    let bubbles = bubbles(view.clusters.iter().filter_map(|cluster| Some((cluster, place(map.cluster(cluster.cluster)?)))));
    let themes = map.themes(view);
    for bubble in &bubbles {
        let of_it = themes.iter().filter(|(_, cluster, _)| *cluster == bubble.cluster.cluster);
        svg.circles(bubble.color, 0.5, of_it.map(|(micro, _, point)| dot(bubble.cluster, *micro, place(*point))));
    }
    for Bubble { cluster, x, y, radius, color } in &bubbles {
        let id = cluster.cluster;
        let meaning = format!("{id} {}: {}", known.label(id), text::counted(cluster.delivered, "page"));
        svg.circles(color, 0.35, std::iter::once(Circle { x: *x, y: *y, radius: *radius, meaning }));
    }
    let named = names(svg, known, &bubbles, frame);
    let largest = bubbles.first().map_or(0, |bubble| bubble.cluster.delivered);
    svg.y += height;
    let note = format!(
        "A bubble is a cluster; its area is the pages given to it, at most {}. Dots are its heaviest themes. {named} of {} have their name, others their number. \
         Directions mean nothing.",
        text::count(largest),
        text::counted(view.clusters.len() as u64, "cluster"),
    );
    svg.text(MARGIN, svg.y + 22.0, &note, Look::SMALL);
    svg.y += 28.0;
}

/// A theme on paper.
fn dot(cluster: &ClusterView, micro: MicroId, (x, y): (f64, f64)) -> Circle {
    let theme = cluster.themes.iter().find(|theme| theme.micro_cluster == micro);
    let words: Vec<&str> = theme.iter().flat_map(|theme| theme.terms.iter().take(3)).map(|term| term.term.as_str()).collect();
    Circle { x, y, radius: DOT, meaning: words.join(", ") }
}

/// The clusters on paper, largest first, so that small ones lie on large ones.
fn bubbles<'a>(placed: impl Iterator<Item = (&'a ClusterView, (f64, f64))>) -> Vec<Bubble<'a>> {
    let mut placed: Vec<_> = placed.collect();
    placed.sort_by_key(|(cluster, _)| (Reverse(cluster.delivered), cluster.cluster));
    let most = placed.first().map_or(1, |(cluster, _)| cluster.delivered).max(1) as f64;
    let bubble = |(cluster, (x, y)): (&'a ClusterView, (f64, f64))| Bubble {
        cluster,
        x,
        y,
        radius: (LARGEST * (cluster.delivered as f64 / most).sqrt()).max(SMALLEST),
        color: COLORS[cluster.cluster as usize % COLORS.len()],
    };
    placed.into_iter().map(bubble).collect()
}

/// Writes the names of the largest clusters where there is room: on the bubble, below, above, on its right, on its left. Gives how many.
fn names(svg: &mut Svg<'_>, known: &Known<'_>, bubbles: &[Bubble<'_>], frame: Area) -> usize {
    let mut taken: Vec<Area> = Vec::new();
    for bubble in bubbles {
        if taken.len() == NAMED {
            break;
        }
        let name = svg.fonts.cut(&text::plain(known.label(bubble.cluster.cluster)), TEXT, NAME);
        let (width, height) = (svg.fonts.width(&name, TEXT) * 1.06 + 8.0, TEXT * 1.5);
        let (out, half) = (bubble.radius + 2.0, width / 2.0);
        let offsets =
            [(0.0, 0.0), (0.0, out + height / 2.0), (0.0, -out - height / 2.0), (out + half, 0.0), (-out - half, 0.0)];
        let free = offsets.iter().map(|(dx, dy)| (bubble.x + dx, bubble.y + dy)).find_map(|(x, y)| {
            let area = Area { x: x - half, y: y - height / 2.0, width, height };
            let inside = area.x >= frame.x
                && area.y >= frame.y
                && area.x + area.width <= frame.x + frame.width
                && area.y + area.height <= frame.y + frame.height;
            (inside && !taken.iter().any(|other| other.meets(&area))).then_some((x, y, area))
        });
        if let Some((x, y, area)) = free {
            svg.text(x, y + TEXT * 0.36, &name, Look { halo: true, ..Look::TEXT.at(Anchor::Middle) });
            taken.push(area);
        }
    }
    let named = taken.len();
    numbers(svg, bubbles, &taken);
    named
}

/// Writes on bubbles without a name their number, where no name is in the way.
fn numbers(svg: &mut Svg<'_>, bubbles: &[Bubble<'_>], names: &[Area]) {
    let mut taken = names.to_vec();
    for bubble in bubbles.iter().filter(|bubble| !names.iter().any(|name| name.holds(bubble.x, bubble.y))) {
        let number = bubble.cluster.cluster.to_string();
        let (width, height) = (svg.fonts.width(&number, NUMBER) + 4.0, NUMBER * 1.5);
        let area = Area { x: bubble.x - width / 2.0, y: bubble.y - height / 2.0, width, height };
        if !taken.iter().any(|other| other.meets(&area)) {
            let look = Look { size: NUMBER, halo: true, ..Look::TEXT.at(Anchor::Middle) };
            svg.text(bubble.x, bubble.y + NUMBER * 0.36, &number, look);
            taken.push(area);
        }
    }
}
