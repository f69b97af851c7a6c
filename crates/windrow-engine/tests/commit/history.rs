//! The history of real outputs: every delivered page is in it once, after kills, and file by file as after all of them.

use windrow_engine::checkpoint::read_committed;
use windrow_engine::history::{Ask, Clock, History, Window};

use crate::rig::{Rig, csv};

/// Pages by the history: of all clusters, over event time with those that have none, over arrival time, over domains.
fn sums(history: &History) -> [u64; 4] {
    let of = |clock| {
        let drawn = history.timeline(&Ask { clock, buckets: 200, top: 2, ..Ask::default() });
        let counts = drawn.series.iter().flat_map(|(_, counts)| counts).chain(&drawn.others);
        counts.copied().map(Option::unwrap_or_default).sum::<u64>() + drawn.undated
    };
    let all = history.messages(Clock::Event, Window::All).clusters.values().sum();
    [all, of(Clock::Event), of(Clock::Arrival), history.domains(3, 2, "").total]
}

#[test]
fn the_history_has_what_was_delivered_after_kills_too() {
    let rig = Rig::new(950);
    let (mut step, mut seen) = (History::default(), 0);
    for row in [150, 420, 10_000] {
        let _ = rig.run_to_die(row);
        let committed = read_committed(&rig.job.out, None).unwrap().expect("something is committed");
        step.begin(&committed).unwrap().read(|piece| step.take(piece)).unwrap();
        assert_eq!(sums(&step), [committed.manifest.counters.pages; 4]);
        assert!(committed.manifest.counters.pages > seen, "it grew");
        seen = committed.manifest.counters.pages;
    }
    rig.write("in/more.csv", &csv(950..1_100));
    rig.run().unwrap();
    let committed = read_committed(&rig.job.out, None).unwrap().unwrap();
    step.begin(&committed).unwrap().read(|piece| step.take(piece)).unwrap();
    let whole = History::of(&committed).unwrap();
    assert_eq!(sums(&whole), [committed.manifest.counters.pages; 4]);
    for clock in [Clock::Event, Clock::Arrival] {
        let ask = Ask { clock, buckets: 500, top: 9, ..Ask::default() };
        assert_eq!(step.timeline(&ask), whole.timeline(&ask));
    }
    let view = rig.state().pipeline.view();
    let of_all = whole.messages(Clock::Event, Window::All).clusters;
    view.clusters.iter().for_each(|cluster| assert_eq!(of_all.get(&cluster.cluster), Some(&cluster.delivered)));
    // Over an output that was made anew it begins anew.
    let other = Rig::new(120);
    other.run().unwrap();
    let committed = read_committed(&other.job.out, None).unwrap().unwrap();
    step.begin(&committed).unwrap().read(|piece| step.take(piece)).unwrap();
    assert_eq!(sums(&step), [committed.manifest.counters.pages; 4]);
}
