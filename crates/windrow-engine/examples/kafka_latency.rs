//! The stop watch of `cargo xtask bench kafka`: how long after its sending a row can be read on its cluster's topic.
//!
//! ```text
//! kafka_latency BROKERS ROWS INPUT PREFIX TOPICS RATE SECONDS WARM_UP_S
//!
//! ROWS ─ values, read first ─> sender ── RATE a second ──> INPUT ─> windrow run ─> PREFIX0.. ──> reader, read_committed
//!                                 └──────────────── one clock: Instant of this process ────────────────┘
//! ```
//!
//! INPUT is a fresh topic of one partition that nobody else writes to, so the number of a row is its offset, and the header
//! `windrow-record-id` (`0:OFFSET`) of a message says which row it is. A row's time begins right before it is handed to the producer, so
//! the producer's own wait (linger 5 ms) and the way to the broker count too. Rows sent in the first WARM_UP_S seconds do not count. Every
//! row must arrive, once. Prints one JSON object.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use windrow_engine::clock::{Clock, SystemClock};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PATIENCE: Duration = Duration::from_secs(60);
/// Values that are sent over and over, when the topic of the rows has more.
const MOST_VALUES: usize = 200_000;
/// Rows are handed over in steps of this length.
const STEP: Duration = Duration::from_millis(2);

struct Order {
    brokers: String,
    rows: String,
    input: String,
    topics: Vec<String>,
    rate: f64,
    n_rows: usize,
    warm_up: usize,
}

impl Order {
    fn given() -> Result<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [brokers, rows, input, prefix, n, rate, seconds, warm_up] = &arguments[..] else {
            return Err("kafka_latency BROKERS ROWS INPUT PREFIX TOPICS RATE SECONDS WARM_UP_S".into());
        };
        let topics = (0..n.parse::<usize>()?).map(|number| format!("{prefix}{number}")).collect();
        let (rate, seconds, warm_up): (f64, f64, f64) = (rate.parse()?, seconds.parse()?, warm_up.parse()?);
        let count = |seconds: f64| (rate * seconds) as usize;
        let (brokers, rows, input) = (brokers.clone(), rows.clone(), input.clone());
        Ok(Self { brokers, rows, input, topics, rate, n_rows: count(seconds + warm_up), warm_up: count(warm_up) })
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    fn consumer(&self, topics: &[String]) -> Result<BaseConsumer> {
        let mut config = self.client();
        config.set("group.id", "kafka-latency").set("enable.auto.commit", "false").set("isolation.level", "read_committed");
        let consumer: BaseConsumer = config.set("auto.offset.reset", "error").set("enable.partition.eof", "true").create()?;
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            assignment.add_partition_offset(topic, 0, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        Ok(consumer)
    }

    /// What is to be sent.
    fn values(&self) -> Result<Vec<Vec<u8>>> {
        let consumer = self.consumer(std::slice::from_ref(&self.rows))?;
        let mut values = Vec::new();
        while values.len() < self.n_rows.min(MOST_VALUES) {
            match consumer.poll(PATIENCE) {
                Some(Ok(message)) => values.push(message.payload().unwrap_or_default().to_vec()),
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => return Err(error.into()),
                None => return Err("no rows to send".into()),
            }
        }
        Ok(values)
    }
}

/// Hands over each row when it is due, and notes when it did, in microseconds.
fn send(order: &Order, values: &[Vec<u8>], clock: &dyn Clock, sent: &[AtomicU64]) -> Result<()> {
    let mut config = order.client();
    let producer: BaseProducer = config.set("enable.idempotence", "true").set("linger.ms", "5").create()?;
    let started = clock.elapsed();
    for (number, sent) in sent.iter().enumerate() {
        let due = Duration::from_secs_f64(number as f64 / order.rate);
        while clock.elapsed() - started < due {
            producer.poll(STEP);
        }
        sent.store(u64::try_from(clock.elapsed().as_micros())?, Ordering::Release);
        let value = &values[number % values.len()];
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&order.input).payload(value.as_slice()).partition(0);
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = back;
            producer.poll(STEP);
        }
    }
    Ok(producer.flush(PATIENCE)?)
}

/// The row that a message is; none of an announcement.
fn row(message: &BorrowedMessage<'_>) -> Option<usize> {
    let headers = message.headers()?;
    let header = headers.iter().find(|header| header.key == "windrow-record-id")?;
    std::str::from_utf8(header.value?).ok()?.split_once(':')?.1.parse().ok()
}

/// Reads until every row has arrived; gives their times in microseconds.
fn receive(order: &Order, clock: &dyn Clock, sent: &[AtomicU64]) -> Result<Vec<u64>> {
    let consumer = order.consumer(&order.topics)?;
    let (mut latencies, mut left) = (vec![u64::MAX; sent.len()], sent.len());
    let mut heard = clock.elapsed();
    while left > 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let Some(row) = row(&message) else { continue };
                let arrived = u64::try_from(clock.elapsed().as_micros())?;
                heard = clock.elapsed();
                if latencies[row] != u64::MAX {
                    return Err(format!("row {row} came twice").into());
                }
                latencies[row] = arrived - sent[row].load(Ordering::Acquire);
                left -= 1;
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) if clock.elapsed() - heard > PATIENCE => {
                return Err(format!("{left} rows have not arrived").into());
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(latencies)
}

/// The figures, in milliseconds.
fn figures(order: &Order, latencies: &[u64], sent: &[AtomicU64]) -> Value {
    let ms = |sorted: &[u64], share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    let counted = &latencies[order.warm_up..];
    let mut sorted = counted.to_vec();
    sorted.sort_unstable();
    // By the second in which a row was sent: something that happens now and then must not hide in the whole.
    let mut seconds: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (latency, sent) in counted.iter().zip(&sent[order.warm_up..]) {
        seconds.entry(sent.load(Ordering::Acquire) / 1_000_000).or_default().push(*latency);
    }
    let worst_second = seconds.values_mut().map(|second| {
        second.sort_unstable();
        ms(second, 0.99)
    });
    json!({
        "rows": counted.len(),
        "p50_ms": ms(&sorted, 0.5),
        "p99_ms": ms(&sorted, 0.99),
        "max_ms": ms(&sorted, 1.0),
        "worst_second_p99_ms": worst_second.fold(0.0, f64::max),
    })
}

fn main() -> Result<()> {
    let order = Order::given()?;
    let clock = SystemClock::new();
    let values = order.values()?;
    let sent: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(order.n_rows).collect();
    let latencies = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(&order, &values, &clock, &sent));
        let received = receive(&order, &clock, &sent);
        sender.join().map_err(|_| "the sender failed")??;
        received
    })?;
    writeln!(std::io::stdout(), "{}", figures(&order, &latencies, &sent))?;
    Ok(())
}
