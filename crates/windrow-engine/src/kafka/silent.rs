//! Whether the brokers of what we read answer, by what the client itself counts.
//!
//! A client that cannot reach a broker tries again for ever and says so in its log, but it does not say when it is well again, and a broker
//! that takes requests and never answers shows nowhere for a minute. Its statistics, every few seconds, have both.

use rdkafka::Statistics;
use rdkafka::statistics::Broker;

/// An answer that is out for longer is missing: fetches are answered within a fraction of this, full or empty.
const SILENT_MICROS: i64 = 8_000_000;

/// The address of a broker that leads a partition of ours and does not answer; `no leader` stands for a partition that has none.
pub(super) fn silent(statistics: &Statistics) -> Option<String> {
    let parts = statistics.topics.values().flat_map(|topic| topic.partitions.values());
    let mut leaders: Vec<i32> = parts.filter(|part| part.partition >= 0 && part.desired).map(|part| part.leader).collect();
    leaders.sort_unstable();
    leaders.dedup();
    leaders.into_iter().find_map(|leader| match statistics.brokers.values().find(|broker| broker.nodeid == leader) {
        None => Some("no leader".to_owned()),
        Some(broker) => (!answers(broker)).then(|| broker.nodename.clone()),
    })
}

fn answers(broker: &Broker) -> bool {
    broker.state == "UP" && (broker.waitresp_cnt == 0 || broker.rxidle < SILENT_MICROS)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rdkafka::statistics::{Partition, Topic};

    use super::*;

    fn broker(nodeid: i32, state: &str, waiting: i64, rxidle: i64) -> (String, Broker) {
        let (name, state) = (format!("b{nodeid}:9092"), state.to_owned());
        let nodename = name.clone();
        (name, Broker { nodeid, nodename, state, waitresp_cnt: waiting, rxidle, ..Broker::default() })
    }

    fn statistics(brokers: Vec<(String, Broker)>, leaders: &[i32]) -> Statistics {
        let part = |(partition, leader): (i32, &i32)| {
            (partition, Partition { partition, leader: *leader, desired: partition < 2, ..Partition::default() })
        };
        let partitions: HashMap<_, _> = (-1..).zip([&-1].into_iter().chain(leaders)).map(part).collect();
        let topics = HashMap::from([("t".to_owned(), Topic { partitions, ..Topic::default() })]);
        Statistics { brokers: HashMap::from_iter(brokers), topics, ..Statistics::default() }
    }

    #[test]
    fn a_leader_that_is_down_or_owes_an_answer_is_silent() {
        let up = || broker(1, "UP", 1, 50_000);
        assert_eq!(silent(&statistics(vec![up()], &[1, 1])), None);
        // One that is asked for nothing owes nothing.
        assert_eq!(silent(&statistics(vec![broker(1, "UP", 0, 60_000_000)], &[1])), None);
        assert_eq!(silent(&statistics(vec![broker(1, "UP", 1, 9_000_000)], &[1])).as_deref(), Some("b1:9092"));
        assert_eq!(silent(&statistics(vec![up(), broker(2, "CONNECT", 0, -1)], &[1, 2])).as_deref(), Some("b2:9092"));
        // Neither a broker without a partition of ours nor a partition that we do not read.
        assert_eq!(silent(&statistics(vec![up(), broker(2, "DOWN", 0, -1)], &[1, 1, 2])), None);
        assert_eq!(silent(&statistics(vec![up()], &[-1])).as_deref(), Some("no leader"));
    }
}
