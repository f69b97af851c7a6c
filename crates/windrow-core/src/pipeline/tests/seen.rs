use super::*;
use crate::featurize::marks::may_vary;

/// Rows of (title, description, address).
fn pages(rows: &[(String, &str, String)]) -> Prepared {
    let columns = |(title, description, url): &(String, &str, String)| {
        [String::new(), String::new(), url.clone(), title.clone(), String::new(), (*description).to_owned()]
    };
    prepare(&rows.iter().map(columns).collect::<Vec<_>>(), 0)
}

fn watched() -> Pipeline {
    new_pipeline().watching(WatchSettings::default())
}

fn learnt(rows: &[(String, &str, String)]) -> Pipeline {
    let mut pipeline = watched();
    pipeline.learn(&pages(rows), &mut Outcome::default());
    pipeline
}

/// Pages of a shop and of a paper about the same things, in one cluster.
fn shop(n: u64) -> Vec<(String, &'static str, String)> {
    let name = |at: u64| char::from(b'a' + (at % 26) as u8).to_string().repeat(5);
    let page = |at: u64| {
        let (title, word) = (format!("Red running shoes {}{}", name(at), name(at / 26)), name(at));
        let url = match at % 4 {
            0 => format!("https://shop.example/products/fast-red-shoes-{at}/{}", at * 77),
            1 => format!("https://shop.example/brands/{word}/sale"),
            2 => format!("https://paper.example/2024/05/{:02}/{word}.html", 1 + at % 28),
            _ => "https://shop.example/watch/".to_owned(),
        };
        (title, "cheap red shoes for running", url)
    };
    (0..n).map(page).collect()
}

#[test]
fn addresses_of_a_cluster_have_patterns() {
    let view = learnt(&shop(400)).view();
    let found: Vec<_> = view.clusters.iter().flat_map(|it| &it.patterns).map(|it| (it.pattern.as_str(), it.pages)).collect();
    let expected = [
        ("paper.example/{date}/{*}", 85..=100),
        ("shop.example/brands/{*}/sale", 85..=100),
        ("shop.example/products/{slug}/{id}", 98..=100),
        ("shop.example/watch", 98..=100),
    ];
    for (pattern, pages) in expected {
        let sum: u64 = found.iter().filter(|it| it.0 == pattern).map(|it| it.1).sum();
        assert!(pages.contains(&sum), "{pattern}: {sum} in {found:?}");
    }
    let share: f64 = view.clusters[0].patterns.iter().map(|it| it.share).sum();
    assert!(share > 0.85 && share <= 1.0 + 1e-9, "{share}");
}

#[test]
fn one_path_on_many_hosts_is_one_pattern() {
    for (n_hosts, at_least) in [(5, 5), (165, 10), (2_000, 1)] {
        let page = |at: u64| {
            let url = format!("https://shop{}.example/p/{}", at * 7 % n_hosts, 1_000 + at);
            (format!("Red running shoes {at}"), "cheap red shoes for running", url)
        };
        let found: Vec<_> =
            learnt(&(0..2_000).map(page).collect::<Vec<_>>()).view().clusters.into_iter().flat_map(|it| it.patterns).collect();
        let folded: Vec<_> = found.iter().filter(|it| it.pattern == "*/p/{id}").collect();
        let pages: u64 = folded.iter().map(|it| it.pages).sum();
        assert!((1_500..=2_000).contains(&pages), "{n_hosts} hosts: {found:?}");
        assert!(folded.iter().any(|it| (at_least..=n_hosts).contains(&it.hosts)), "{n_hosts} hosts: {found:?}");
        assert!(found.iter().all(|it| !it.pattern.contains("{date}")), "{n_hosts} hosts, 1900 to 2039 are ids: {found:?}");
    }
}

#[test]
fn slots_stay_slots_when_their_place_is_forgotten() {
    let mut pipeline = learnt(&shop(400));
    let patterns = |pipeline: &Pipeline| pipeline.view().clusters.into_iter().flat_map(|it| it.patterns).collect::<Vec<_>>();
    let before = patterns(&pipeline);
    assert!(before.iter().any(|it| it.pattern == "shop.example/brands/{*}/sale"), "{before:?}");
    pipeline.watch.as_mut().unwrap().forget_places();
    let after = patterns(&pipeline);
    let slots = |of: &[Pattern]| of.iter().filter(|it| it.pattern.contains("{*}")).map(|it| it.pages).sum::<u64>();
    assert!(slots(&after) > 120 && slots(&after) + 80 > slots(&before), "{after:?}, and before {before:?}");
}

#[test]
fn an_address_too_long_to_be_held_stands_for_nothing() {
    let rows: Vec<_> = (0..40)
        .map(|at| {
            let long = if at % 2 == 0 { "x".repeat(600) } else { String::new() };
            (format!("red shoes {at}"), "", format!("https://shop.example/item/{at}?{long}"))
        })
        .chain((0..40).map(|at| (format!("red shoes {at}"), "", format!("https://user:{}@long.example/{at}", "x".repeat(600)))))
        .collect();
    let patterns: Vec<_> = learnt(&rows).view().clusters.into_iter().flat_map(|it| it.patterns).collect();
    let [item] = &patterns[..] else { panic!("{patterns:?}") };
    assert!(item.pattern == "shop.example/item/{id}" && (35..=40).contains(&item.pages), "{item:?}");
}

#[test]
fn one_page_on_many_hosts_is_folded() {
    let mut rows = shop(300);
    for (at, row) in rows.iter_mut().enumerate().filter(|(at, _)| at % 3 == 0) {
        let site = format!("mirror{}", at % 20);
        let name = if at % 2 == 0 { format!(" | {site}") } else { String::new() };
        *row = (
            format!("Red shoes, {at} offers today{name}"),
            "cheap red shoes",
            format!("https://www.{site}.example/{at}?utm_source=x"),
        );
    }
    let view = learnt(&rows).view();
    let found = view.clusters.iter().flat_map(|it| &it.copies.repeated).max_by_key(|it| it.copied.pages).unwrap();
    let copied = Copied { pages: 100, hosts: 20, is_exact: false };
    assert_eq!((found.copied.pages, found.first, found.last), (copied.pages, 0, 297));
    assert!(found.copied.hosts.abs_diff(copied.hosts) <= 2, "{:?}", found.copied);
    for cluster in &view.clusters {
        assert_eq!(cluster.copies.pages, cluster.delivered);
        for list in [&cluster.representative, &cluster.boundary, &cluster.latest] {
            let mirrored = list.iter().filter(|example| example.title.contains("offers"));
            assert!(mirrored.clone().count() <= 1, "{list:?}");
            assert!(mirrored.clone().all(|example| example.copied == Some(found.copied)), "{list:?}");
        }
    }
}

#[test]
fn a_cluster_that_is_taken_in_brings_its_tables_along() {
    let texts = |at: u64| (if at.is_multiple_of(2) { "quick brown foxes" } else { "slow green turtles" }, at);
    let rows: Vec<_> = (0..200)
        .map(texts)
        .map(|(text, at)| (format!("{text} {at}"), "", format!("https://h{at}.{}.example/a/{at}", &text[..4])))
        .collect();
    let mut pipeline = learnt(&rows);
    let view = pipeline.view();
    let [one, other] = &view.clusters[..] else { panic!("{view:?}") };
    let pages = |cluster: &ClusterView| cluster.copies.repeated.iter().map(|it| it.copied.pages).sum::<u64>();
    assert_eq!([pages(one), pages(other)], [100, 100]);
    let edit = Edit::Merge { cluster: other.cluster, into: one.cluster };
    pipeline.edit(&edit, &mut Vec::new()).unwrap();
    let merged = pipeline.view().clusters.remove(0);
    assert_eq!((pages(&merged), merged.copies.pages, merged.copies.copies), (200, 200, 198));
    let edit = Edit::Split { cluster: one.cluster, micro_clusters: vec![other.themes[0].micro_cluster], make_room: false };
    pipeline.edit(&edit, &mut Vec::new()).unwrap();
    let view = pipeline.view();
    assert_eq!((pages(&view.clusters[0]), &view.clusters[1].copies), (200, &CopiesView::default()), "nobody knows what went");
}

#[test]
fn states_of_programs_that_did_not_watch_go_on() {
    let rows = rows(600);
    let mut old = new_pipeline();
    old.learn(&prepare(&rows[..300], 0), &mut Outcome::default());
    let bytes = old.snapshot();
    assert_eq!(bytes[8], 1);
    let mut new =
        Pipeline::restore(&bytes).unwrap().watching(WatchSettings { from: old.position(), ..WatchSettings::default() });
    let mut outcomes = [Outcome::default(), Outcome::default()];
    new.learn(&prepare(&rows[300..], 300), &mut outcomes[0]);
    let mut straight = watched();
    straight.learn(&prepare(&rows[..300], 0), &mut Outcome::default());
    straight.learn(&prepare(&rows[300..], 300), &mut outcomes[1]);
    assert_eq!(outcomes[0], outcomes[1], "nothing that is seen decides anything");
    assert_eq!(new.view().pages, straight.view().pages);
    let seen: u64 = new.view().clusters.iter().map(|it| it.copies.pages).sum();
    assert!(seen > 0 && seen < straight.view().clusters.iter().map(|it| it.copies.pages).sum());
}

#[test]
fn rows_that_are_learnt_again_are_watched_from_where_they_were() {
    let rows = rows(900);
    let mut first = new_pipeline();
    first.learn(&prepare(&rows[..300], 0), &mut Outcome::default());
    let from = WatchSettings { from: first.position(), ..WatchSettings::default() };
    let mut on = Pipeline::restore(&first.snapshot()).unwrap().watching(from);
    on.learn(&prepare(&rows[300..], 300), &mut Outcome::default());
    for size in [900, 500, 7] {
        let mut again = new_pipeline().watching(from);
        let batches = rows.chunks(size).zip((0..).step_by(size));
        batches.for_each(|(batch, first)| again.learn(&prepare(batch, first), &mut Outcome::default()));
        assert!(again.snapshot() == on.snapshot(), "in batches of {size}");
    }
}

#[test]
fn a_template_is_a_term_where_it_has_a_weight_whatever_the_cut() {
    let weights = FieldWeights { template: 1.0, ..FieldWeights::default() };
    let learn = |size: usize| {
        let (mut pipeline, mut outcome) = (watched(), Outcome::default());
        let mut decisions = Vec::new();
        for (number, rows) in shop(600).chunks(size).enumerate() {
            let rows = rows.iter().zip((number * size) as u64..).map(|((title, description, url), offset)| {
                let columns = [b"", b"", url.as_bytes(), title.as_bytes(), b"", description.as_bytes()];
                Ok(Row { origin: RecordId { source: 0, offset }, raw: b"raw", columns, kept: Kept::default() })
            });
            pipeline.learn(&Preparer::new(weights.clone()).prepare(rows), &mut outcome);
            decisions.extend_from_slice(&outcome.decisions);
            pipeline = Pipeline::restore(&pipeline.snapshot()).unwrap();
        }
        (decisions, pipeline.snapshot(), pipeline.view())
    };
    let whole = learn(600);
    assert!([1, 7, 100].iter().all(|size| learn(*size) == whole));
    let mut terms = whole.2.clusters.iter().flat_map(|it| &it.themes).flat_map(|it| &it.terms);
    assert!(terms.any(|term| term.kind == crate::featurize::TermKind::Template && term.term.ends_with("/{slug}/{id}")));
}

#[test]
fn words_that_may_vary_are_marked() {
    let marks = pages(&shop(4)).pages.marks;
    let vary: Vec<Vec<bool>> = (0..4).map(|row| marks.segments(row).iter().map(|it| may_vary(*it)).collect()).collect();
    // Products, watch and sale are kinds of pages or words; ids, slugs and dates vary by themselves.
    assert_eq!(vary, [vec![false, false, false], vec![true, true, true], vec![false, true], vec![false]]);
}
