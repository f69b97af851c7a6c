use super::*;

/// A file: when it came, and its pages by cluster, event time and domain.
fn piece(arrived: Seconds, pages: &[(ClusterId, Option<Seconds>, &str)]) -> Piece {
    let mut piece = Piece { arrived, ..Piece::default() };
    for (cluster, time, domain) in pages {
        *piece.pages.entry((*cluster, *time)).or_default() += 1;
        *piece.domains.entry((*domain).to_owned()).or_default().entry(*cluster).or_default() += 1;
    }
    piece
}

fn history() -> History {
    let mut history = History::default();
    history.take(piece(1_000, &[(1, Some(10), "a"), (1, Some(11), "a"), (2, None, "b"), (2, Some(3_700), "a")]));
    history.take(piece(1_500, &[(3, Some(10), "c"), (1, Some(400), "b")]));
    history
}

fn sum(timeline: &Timeline) -> u64 {
    let counts = timeline.series.iter().flat_map(|(_, counts)| counts).chain(&timeline.others);
    counts.copied().map(Option::unwrap_or_default).sum()
}

#[test]
fn every_page_is_counted_once_whatever_the_buckets() {
    let history = history();
    for buckets in [1, 2, 7, 200, 10_000] {
        for top in [0, 1, 9] {
            let by_event = history.timeline(&Ask { buckets, top, ..Ask::default() });
            assert_eq!((sum(&by_event), by_event.undated), (5, 1), "{buckets} {top}");
            assert!(by_event.times.len() <= buckets.max(2), "{buckets}: {}", by_event.times.len());
            assert!(by_event.series.iter().all(|(_, counts)| counts.len() == by_event.times.len()));
            let by_arrival = history.timeline(&Ask { clock: Clock::Arrival, buckets, top, ..Ask::default() });
            assert_eq!((sum(&by_arrival), by_arrival.undated), (6, 0));
        }
    }
    let chosen = history.timeline(&Ask { buckets: 10, clusters: vec![3, 9, 3], ..Ask::default() });
    assert_eq!(chosen.series.iter().map(|(cluster, _)| *cluster).collect::<Vec<_>>(), [3, 9]);
    assert_eq!((chosen.n_others, sum(&chosen)), (2, 5));
}

#[test]
fn a_span_of_time_is_drawn_from_the_finest_buckets_that_know_it() {
    let history = history();
    let near = history.timeline(&Ask { from: Some(3_690), to: Some(3_701), buckets: 100, top: 5, ..Ask::default() });
    assert_eq!((near.bucket_seconds, sum(&near)), (1, 1));
    let far = history.timeline(&Ask { from: Some(0), to: Some(500), buckets: 1_000, top: 5, ..Ask::default() });
    assert_eq!(sum(&far), 4);
    let outside = history.timeline(&Ask { from: Some(i64::MIN), to: Some(i64::MAX), buckets: 10, top: 5, ..Ask::default() });
    assert_eq!(sum(&outside), 5);
    let none = history.timeline(&Ask { from: Some(90_000), to: Some(5), buckets: 10, top: 5, ..Ask::default() });
    assert!(none.times.is_empty());
}

#[test]
fn windows_count_back_from_the_newest_time() {
    let history = history();
    let of = |window| history.messages(Clock::Event, window).clusters;
    assert_eq!(of(Window::All), ByCluster::from([(1, 3), (2, 2), (3, 1)]));
    assert_eq!(of(Window::Day), ByCluster::from([(1, 3), (2, 1), (3, 1)]));
    assert_eq!(of(Window::Hour), ByCluster::from([(1, 1), (2, 1)]));
    assert_eq!(of(Window::Minute), ByCluster::from([(2, 1)]));
}

#[test]
fn pages_seen_to_come_arrive_then_and_are_not_counted_again() {
    let mut history = history();
    history.see(1_600, [(1, 5), (4, 2)].into_iter());
    history.see(1_601, [(1, 4), (4, 3)].into_iter());
    let all = |history: &History| history.messages(Clock::Arrival, Window::All).clusters;
    assert_eq!(all(&history), ByCluster::from([(1, 5), (2, 2), (3, 1), (4, 3)]));
    history.take(piece(1_700, &[(1, None, "a"), (1, None, "a"), (1, None, "a"), (4, None, "a")]));
    assert_eq!(all(&history), ByCluster::from([(1, 6), (2, 2), (3, 1), (4, 3)]));
    let drawn = history.timeline(&Ask { clock: Clock::Arrival, from: Some(1_600), buckets: 200, top: 9, ..Ask::default() });
    let at = |cluster, time| {
        let place = drawn.times.iter().position(|begin| time < begin + drawn.bucket_seconds).unwrap();
        drawn.series.iter().find(|(id, _)| *id == cluster).unwrap().1[place]
    };
    assert_eq!((at(1, 1_600), at(1, 1_700), at(4, 1_601), at(4, 1_700)), (Some(2), Some(1), Some(3), Some(0)));
}

#[test]
fn pages_seen_before_the_first_commit_stay_and_those_of_another_pipeline_go() {
    let mut history = History::default();
    history.see(1_600, [(1, 5)].into_iter());
    history.follow("a", 1);
    let arrived = |history: &History| history.messages(Clock::Arrival, Window::Minute).clusters;
    assert_eq!(arrived(&history), ByCluster::from([(1, 5)]));
    history.take(piece(1_605, &[(1, None, "a")]));
    history.follow("a", 1);
    assert_eq!((arrived(&history), history.arrival.minute.range()), (ByCluster::from([(1, 5)]), Some((1_600, 1_601))));
    history.follow("a", 0);
    assert!(arrived(&history).is_empty(), "an output that was made anew");
    history.see(1_700, [(1, 5)].into_iter());
    history.follow("b", 1);
    assert!(arrived(&history).is_empty(), "another pipeline");
}

#[test]
fn nothing_is_drawn_while_nobody_ran_the_pipeline() {
    let mut history = history();
    history.gaps = vec![Gap { from: 1_001, to: 1_400, reason: "killed".into() }];
    let ask = Ask { clock: Clock::Arrival, buckets: 600, top: 9, ..Ask::default() };
    let drawn = history.timeline(&ask);
    let of_one = &drawn.series[0].1;
    let at = |time: Seconds| of_one[usize::try_from((time - drawn.times[0]) / drawn.bucket_seconds).unwrap()];
    assert_eq!((at(1_000), at(1_200), at(1_450), at(1_500)), (Some(2), None, Some(0), Some(1)));
    assert_eq!(drawn.gaps.len(), 1);
    assert!(history.timeline(&Ask { clock: Clock::Event, ..ask }).gaps.is_empty());
}

#[test]
fn no_second_of_a_gap_saw_a_page_come() {
    let gap = |from, to| Gap::of(Stop { from, to, reason: "killed".into() }).map(|gap| (gap.from, gap.to));
    assert_eq!(gap(1_000_001, 3_999_999), Some((2, 3)));
    assert_eq!(gap(2_000_000, 3_000_000), Some((2, 3)));
    assert_eq!(gap(2_000_001, 3_000_000), None);
}

#[test]
fn a_table_of_domains_has_every_page() {
    let history = history();
    for (n_domains, n_clusters) in [(0, 0), (1, 1), (2, 1), (1, 2), (9, 9)] {
        let table = history.domains(n_domains, n_clusters, "");
        let rows: Vec<u64> = table.counts.iter().map(|row| row.iter().sum()).collect();
        for (place, (_, pages)) in table.domains.iter().enumerate() {
            assert_eq!(rows[place] + table.other_clusters[place], *pages);
        }
        let sum: u64 = rows.iter().chain(&table.other_clusters).chain(&table.other_domains).sum();
        assert_eq!((sum + table.other, table.total), (6, 6), "{n_domains} {n_clusters}");
    }
    let one = history.domains(5, 5, "b");
    assert_eq!((one.domains.as_slice(), one.total), ([("b".to_owned(), 2)].as_slice(), 2));
}
