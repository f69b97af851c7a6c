use super::*;
use crate::batch::{RawBatch, Slice};
use crate::source::memory::MemorySource;
use crate::source::{Chain, ColumnMap, Form, Limits, MessageFormat};

fn input(rows: usize) -> String {
    (0..rows).map(|at| format!("2023-05-17,{at},https://h{at}.org/,\"title {at}\",,{}\n", "word ".repeat(at % 7))).collect()
}

fn source(rows: usize, batch_rows: usize) -> Box<dyn Source> {
    Box::new(MemorySource::new(input(rows), 0, Limits { batch_rows, ..Limits::default() }))
}

fn events(source: Box<dyn Source>, threads: usize, budget: usize) -> Vec<Event> {
    spawn(source, (&FieldWeights::default(), &Rules::default()), threads, budget).unwrap().events().iter().collect()
}

/// Fails after what it was given.
struct Failing(Option<Box<dyn Source>>);

impl Source for Failing {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        match self.0.as_mut().and_then(|source| source.next().transpose()) {
            Some(batch) => batch.map(Some),
            None => Err(Error::new(ErrorKind::Data, "E-TEST", "no more")),
        }
    }
}

/// Panics at once.
struct Panicking;

impl Source for Panicking {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        panic!("a test's panic")
    }
}

/// Has nothing now, for ever, as a topic that nobody writes to.
struct Idle;

impl Source for Idle {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        let form = Form::of_messages(MessageFormat::Json, &ColumnMap::default())?;
        let slice = Slice { source: 0, from: 0, to: 0 };
        Ok(Some(RawBatch { form: form.into(), slice, bytes: Vec::new(), records: Vec::new(), beside: Vec::new() }))
    }
}

#[test]
fn events_are_the_same_for_any_number_of_threads_and_any_budget() {
    let one = format!("{:?}", events(source(500, 7), 1, 1 << 20));
    assert_eq!(one, format!("{:?}", events(source(500, 7), 4, 1 << 20)));
    assert_eq!(one, format!("{:?}", events(source(500, 7), 4, 1)));
    assert!(one.ends_with("End]"));
}

#[test]
fn batches_cover_the_input_without_gap() {
    let mut at = 0;
    let mut rows = 0;
    for event in events(source(100, 9), 2, 1 << 20) {
        let Event::Batch(batch) = event else { continue };
        assert_eq!(batch.span[0].from, at);
        at = batch.span[0].to;
        rows += batch.prepared.n_rows;
    }
    assert_eq!((at, rows), (input(100).len() as u64, 100));
}

#[test]
fn an_error_comes_after_what_was_read_before_it() {
    let events = events(Box::new(Failing(Some(source(20, 10)))), 3, 1 << 20);
    assert!(matches!(&events[..], [Event::Batch(_), Event::Batch(_), Event::Failed(error)] if error.code == "E-TEST"));
}

#[test]
fn a_panic_is_an_error() {
    let chain = Chain::new([source(20, 10), Box::new(Panicking)].into_iter());
    let events = events(Box::new(chain), 3, 1 << 20);
    assert!(matches!(&events[..], [Event::Batch(_), Event::Batch(_), Event::Failed(error)] if error.code == "E-PANIC"));
}

#[test]
fn a_dropped_reader_ends_its_threads() {
    for (taken, budget) in [(0, 1), (1, 1), (3, 1 << 30)] {
        let reader = spawn(source(1000, 3), (&FieldWeights::default(), &Rules::default()), 2, budget).unwrap();
        assert_eq!(reader.events().iter().take(taken).count(), taken);
        drop(reader); // waits for the threads
    }
}

#[test]
fn a_dropped_reader_ends_a_source_that_waits() {
    drop(spawn(Box::new(Idle), (&FieldWeights::default(), &Rules::default()), 1, 1 << 20).unwrap()); // waits for the threads
}
