//! What the loop reads from: a job's inputs, from any positions on and, when rows are learnt again, up to given ones.

use std::path::Path;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use crate::batch::Batch;
use crate::checkpoint::recovery::rows_gone;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::kafka::{Broker, mirror};
use crate::read::{self, Reader};
use crate::run::waits::Waits;
use crate::run::{Control, Ended, Job, POLL};
use crate::source::kafka::{OnDataLoss, TopicInput};
use crate::source::pipe::STDIN;
use crate::source::replay::Replay;
use crate::source::{self, Limits, Order, PREFETCHED, Positions, Reading, Source, Wanted};

/// The share of the memory that rows on their way to the loop may take; the rest is for model and writers. More of them would only lie
/// and wait: rows are prepared faster than they are learnt.
const IN_FLIGHT: u64 = 16;
/// How often brokers are asked whether a topic is as long as it was: one that has just taken over may not know yet.
const LOOKS: usize = 10;
const BETWEEN: Duration = Duration::from_millis(500);

/// Opens the inputs of a job at `positions`, enters new ones there, and starts reading. Inputs of which the state knows none are
/// refused, unless they are welcome, or come from a folder or glob (`before`: the inputs given last time) that was given before, or from a
/// file that is followed and was made anew.
pub(crate) fn start(
    job: &Job,
    before: &[String],
    positions: &mut Positions,
    waits: &Waits,
    notes: &mut Vec<String>,
) -> Result<Reader> {
    let known = positions.sources.len();
    let mut opened = source::open(wanted(job), positions)?;
    notes.append(&mut opened.warnings);
    let are_all_new = known > 0 && !opened.new.is_empty() && opened.new.len() == opened.ordinals.len();
    let is_same_place = names_of(job).iter().any(|input| before.contains(input) && (job.follow || !Path::new(input).is_file()));
    if are_all_new && !is_same_place && !job.accept_new {
        return Err(unrelated(positions, known));
    }
    opened.tell(waits);
    spawn(job, opened.take())
}

/// What is in topics and not yet rolled is learnt again after a kill: standard input does not come again.
pub(super) fn check_stdin(job: &Job) -> Result<()> {
    if job.output.is_none() || !job.inputs.iter().any(|input| input == STDIN) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, "E-INPUT-STDIN", "standard input cannot be read into topics exactly once")
        .hint("give --output none for Parquet alone; or send the rows to a topic with `windrow produce --input -`, and run with --from-topic"))
}

/// A job's inputs as they are called from anywhere: files by their whole paths, a topic as `kafka:TOPIC`.
pub(crate) fn names_of(job: &Job) -> Vec<String> {
    let whole = |input: &String| match std::path::absolute(input) {
        Ok(path) if !input.starts_with("generator:") && input != STDIN => path.display().to_string(),
        _ => input.clone(),
    };
    job.inputs.iter().map(whole).chain(job.topic.iter().map(TopicInput::name)).collect()
}

/// Names of the sources, by ordinal.
pub(crate) fn names(positions: &Positions) -> Vec<String> {
    positions.sources.iter().map(|source| source.name.clone()).collect()
}

/// Reads again, from positions that were committed, what was learnt after them. There is no going on without it.
pub(crate) fn start_again(job: &Job, from: &mut Positions, order: &Order, control: &Control) -> Result<Reader> {
    let topic = job.topic.as_ref().map(|topic| TopicInput { on_data_loss: OnDataLoss::Fail, is_again: true, ..topic.clone() });
    let wanted = Wanted { topic: topic.as_ref(), reading: Reading::Again, ..wanted(job) };
    let opened = source::open(wanted, from).map_err(|error| match error.code {
        "E-KAFKA-GONE" => rows_gone().cause(error.message),
        _ => error,
    })?;
    opened.tell(control.waits());
    topic.map_or(Ok(()), |topic| holds(&topic, from, order, control))?;
    spawn(job, Box::new(Replay::new(opened, from, order)))
}

/// Whether the topic is as long as the order is: nobody else would ever say that the rest of it does not come.
fn holds(topic: &TopicInput, from: &Positions, order: &Order, control: &Control) -> Result<()> {
    let broker = Broker::new(&topic.keys)?;
    for (source, end) in order.ends() {
        let source = from.sources.get(source as usize).and_then(|source| mirror::partition_of(&source.name));
        let Some((_, partition)) = source.filter(|(name, _)| *name == topic.topic) else { continue };
        let mut looks = 0;
        loop {
            let high = broker.range(&topic.topic, usize::try_from(partition).unwrap_or(0))?.1;
            if high >= end || control.is_asked() {
                break;
            }
            looks += 1;
            if looks == LOOKS {
                let told = format!("{} partition {partition} was learnt up to offset {end}, and ends at {high}", topic.topic);
                return Err(rows_gone().cause(told));
            }
            let _ = crossbeam_channel::never::<()>().recv_timeout(BETWEEN);
        }
    }
    Ok(())
}

/// What comes of reading again.
pub(crate) enum Again {
    Batch(Box<Batch>),
    /// All of the order, or of what is left of it.
    End,
    /// Somebody wants the run to end.
    Asked(Ended),
}

/// What comes next of what is read again.
pub(crate) fn next_again(reader: &Reader, control: &Control) -> Result<Again> {
    loop {
        if let Some(ended) = control.asked() {
            return Ok(Again::Asked(ended));
        }
        match reader.events().recv_timeout(POLL) {
            Ok(Event::Batch(batch)) => return Ok(Again::Batch(batch)),
            Ok(Event::Failed(error)) if error.code == "E-KAFKA-GONE" => return Err(rows_gone().cause(error.message)),
            Ok(Event::Failed(error)) => return Err(error),
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return Ok(Again::End),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn spawn(job: &Job, source: Box<dyn Source>) -> Result<Reader> {
    let budget = usize::try_from(job.memory_bytes / IN_FLIGHT).unwrap_or(usize::MAX);
    read::spawn(source, (&job.weights, &job.rules), job.threads, budget)
}

fn wanted(job: &Job) -> Wanted<'_> {
    let reading = if job.follow { Reading::Following } else { Reading::ToEnd };
    let (inputs, topic) = (&job.inputs, job.topic.as_ref());
    Wanted { inputs, topic, columns: &job.columns, keep: &job.keep, files: job.files, limits: limits(job), reading }
}

fn limits(job: &Job) -> Limits {
    let usual = Limits::of_records(job.max_record_bytes).unpacking(job.max_unpacked);
    Limits {
        // A roll comes between batches: short rolls need short batches.
        batch_rows: usual.batch_rows.min(usize::try_from(job.roll.rows).unwrap_or(usize::MAX)).max(1),
        queue_bytes: usize::try_from(job.memory_bytes / PREFETCHED).unwrap_or(usize::MAX),
        ..usual
    }
}

fn unrelated(positions: &Positions, known: usize) -> Error {
    let names = |sources: &[source::SourcePosition]| {
        let shown: Vec<_> = sources.iter().take(3).map(|source| source.name.clone()).collect();
        let more = sources.len().saturating_sub(3);
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    };
    let (old, new) = positions.sources.split_at(known);
    let message =
        format!("none of the inputs is one this state knows: it has read {}, and now comes {}", names(old), names(new));
    Error::new(ErrorKind::Invalid, "E-INPUT-UNRELATED", message)
        .hint("give --new to add these inputs to the same clusters, or another --out to keep them apart")
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};

    use super::*;
    use crate::batch::Slice;
    use crate::settings::ClientKeys;
    use crate::source::MessageFormat;
    use crate::source::kafka::Start;

    /// A topic of three pages at a broker inside the client, and a run that reads it.
    fn topic() -> (MockCluster<'static, DefaultProducerContext>, Job) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("pages", 1, 1).unwrap();
        let keys = ClientKeys::of(&[("bootstrap.servers", &cluster.bootstrap_servers())]);
        let producer: BaseProducer = Broker::new(&keys).unwrap().config.create().unwrap();
        for _ in 0..3 {
            producer
                .send(BaseRecord::<[u8], _>::to("pages").payload(br#"{"title":"a page"}"#))
                .map_err(|(error, _)| error)
                .unwrap();
        }
        producer.flush(Duration::from_secs(10)).unwrap();
        let topic = TopicInput {
            keys,
            topic: "pages".into(),
            format: MessageFormat::Json,
            start: Some(Start::Earliest),
            on_data_loss: OnDataLoss::Fail,
            until_end: false,
            is_again: false,
        };
        let job = Job { topic: Some(topic), ..Job::new(Vec::new(), "out".into()) };
        (cluster, job)
    }

    /// Begins to read the topic again, up to an offset.
    fn read_up_to(job: &Job, to: u64, control: &Control) -> Result<Reader> {
        let mut order = Order::default();
        order.add(Slice { source: 0, from: 0, to });
        start_again(job, &mut Positions::default(), &order, control)
    }

    #[test]
    fn a_topic_that_is_shorter_than_what_was_learnt_of_it_has_lost_rows() {
        let (_cluster, job) = topic();
        let error = read_up_to(&job, 4, &Control::default()).map(drop).unwrap_err();
        assert_eq!((error.code, error.causes.len()), ("E-ROWS-GONE", 1), "{error}");
    }

    #[test]
    fn who_reads_again_from_silent_brokers_hears_that_the_run_is_to_end() {
        let (cluster, job) = topic();
        let control = Control::default();
        let reader = read_up_to(&job, 3, &control).unwrap();
        cluster.broker_round_trip_time(1, Duration::from_secs(10)).unwrap();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| {
                loop {
                    match next_again(&reader, &control).unwrap() {
                        Again::Batch(_) => {}
                        Again::End => return None,
                        Again::Asked(ended) => return Some(ended),
                    }
                }
            });
            control.interrupt();
            assert_eq!(next.join().unwrap(), Some(Ended::Interrupted));
        });
    }
}
