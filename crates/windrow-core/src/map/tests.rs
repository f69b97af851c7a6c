use super::*;
use crate::pipeline::Likeness;

/// Clusters 0..n in groups of `group`: those of a group are like each other, the others hardly.
fn view_of(n: u32, group: u32) -> View {
    let likeness = |a: u32, b: u32| if a / group == b / group { 0.6 } else { 0.01 + 0.001 * f64::from((a + b) % 7) };
    let cluster = |a: u32| {
        let near = (0..n).filter(|b| *b != a).map(|b| Likeness { cluster: b, likeness: likeness(a, b) });
        let theme = |i: u64| Theme {
            micro_cluster: u64::from(a) * 10 + i,
            likeness: 0.5,
            neighbours: near.clone().take(3).collect(),
            ..Theme::default()
        };
        let themes = (0..4).map(theme).collect();
        ClusterView {
            cluster: a,
            weight: f64::from(n - a),
            neighbours: near.clone().collect(),
            themes,
            ..ClusterView::default()
        }
    };
    View { clusters: (0..n).map(cluster).collect(), ..View::default() }
}

fn map_of(view: &View) -> Map {
    let mut map = Map::default();
    map.follow(view);
    map
}

fn apart(map: &Map, a: u32, b: u32) -> f64 {
    map.cluster(a).unwrap().minus(map.cluster(b).unwrap()).length()
}

#[test]
fn what_is_alike_lies_together() {
    let view = view_of(30, 6);
    let map = map_of(&view);
    for a in 0..30 {
        let inside = (0..30).filter(|b| *b != a && b / 6 == a / 6).map(|b| apart(&map, a, b)).sum::<f64>() / 5.0;
        let outside = (0..30).filter(|b| b / 6 != a / 6).map(|b| apart(&map, a, b)).sum::<f64>() / 24.0;
        assert!(inside < 0.6 * outside, "cluster {a}: {inside} to its own, {outside} to others");
    }
    let most = map.places.keys().filter_map(|id| map.cluster(*id)).map(|p| p.x.abs().max(p.y.abs())).fold(0.0, f64::max);
    assert!((most - REACH).abs() < 1e-9);
}

#[test]
fn the_same_views_give_the_same_places() {
    let views = [view_of(12, 3), view_of(14, 3), view_of(9, 4)];
    let (mut a, mut b) = (Map::default(), Map::default());
    for view in &views {
        a.follow(view);
        b.follow(view);
        assert_eq!((&a, a.themes(view)), (&b, b.themes(view)));
    }
    assert_eq!(a.cluster(11), None, "it is in the last view no more");
}

#[test]
fn a_small_change_moves_places_a_little() {
    let mut view = view_of(40, 5);
    let mut map = map_of(&view);
    for cluster in &mut view.clusters {
        cluster.neighbours.iter_mut().for_each(|near| near.likeness *= 0.97 + 0.01 * f64::from(near.cluster % 6));
    }
    view.clusters.remove(17);
    view.clusters.push(ClusterView {
        neighbours: view_of(5, 5).clusters[0].neighbours.clone(),
        ..ClusterView { cluster: 99, ..ClusterView::default() }
    });
    let before = map.clone();
    map.follow(&view);
    for cluster in view.clusters.iter().filter(|cluster| cluster.cluster != 99) {
        let (now, then) = (map.cluster(cluster.cluster).unwrap(), before.cluster(cluster.cluster).unwrap());
        assert!(now.minus(then).length() < 0.15, "cluster {} went from {then:?} to {now:?}", cluster.cluster);
    }
    let near = (1..5).map(|b| apart(&map, 99, b)).fold(0.0, f64::max);
    assert!(near < 0.6, "a new cluster comes near those it is like: {near}");
}

#[test]
fn a_standing_view_stands_still() {
    let view = view_of(25, 4);
    let mut map = map_of(&view);
    let before = map.clone();
    for _ in 0..50 {
        map.follow(&view);
    }
    let moved = (0..25).map(|id| map.cluster(id).unwrap().minus(before.cluster(id).unwrap()).length()).fold(0.0, f64::max);
    assert!(moved < 0.1, "moved {moved}");
}

#[test]
fn few_clusters_and_clusters_all_alike_have_places() {
    let mut views = vec![View::default(), view_of(1, 1), view_of(2, 1), view_of(2, 2), view_of(20, 20), view_of(20, 1)];
    let mut strangers = view_of(20, 1);
    strangers.clusters.iter_mut().for_each(|cluster| cluster.neighbours.clear());
    let mut twins = view_of(20, 20);
    twins.clusters.iter_mut().flat_map(|cluster| &mut cluster.neighbours).for_each(|near| near.likeness = 1.0);
    views.extend([strangers, twins]);
    for view in &views {
        let map = map_of(view);
        let clusters = view.clusters.iter().map(|cluster| map.cluster(cluster.cluster).unwrap());
        let places: Vec<Point> = clusters.chain(map.themes(view).into_iter().map(|(_, _, place)| place)).collect();
        assert!(places.iter().all(|p| (-1.0..=1.0).contains(&p.x) && (-1.0..=1.0).contains(&p.y)), "{places:?}");
        for i in 0..view.clusters.len() {
            assert!(places[..i].iter().all(|other| other.minus(places[i]).length() > 0.01), "two clusters on one place");
        }
    }
}

#[test]
fn pages_lie_around_their_theme_farther_out_with_a_lower_score() {
    let view = view_of(10, 5);
    let map = map_of(&view);
    let (_, cluster, theme) = map.themes(&view)[7];
    let mut mean = [0.0; 2];
    for offset in 0..500 {
        for (mean, score) in mean.iter_mut().zip([0.9, 0.1]) {
            let place = map.page(cluster, theme, RecordId { source: 1, offset }, score);
            assert_eq!(place, map.page(cluster, theme, RecordId { source: 1, offset }, score));
            *mean += place.minus(theme).length() / 500.0;
        }
    }
    assert!(mean[0] < 0.6 * mean[1] && mean[1] < PAGES_WITHIN * THEMES_AT_MOST, "{mean:?}");
}
