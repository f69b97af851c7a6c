//! How fast the source reads: `read_speed INPUT…` scans and parses on one thread, then reads and prepares in threads.

use std::io::Write;

use windrow_core::clean::Rules;
use windrow_core::featurize::FieldWeights;
use windrow_engine::clock::{Clock, SystemClock};
use windrow_engine::error::Result;
use windrow_engine::event::Event;
use windrow_engine::source::parse::Parser;
use windrow_engine::source::{Asked, Limits, Positions, Wanted, open};

fn main() -> Result<()> {
    let inputs: Vec<String> = std::env::args().skip(1).collect();
    let clock = SystemClock::new();
    let mut talk = std::io::stderr();
    let mut tell = |what: &str, rows: u64, bytes: u64, rejects: u64, since: f64| {
        let seconds = clock.elapsed().as_secs_f64() - since;
        let rate = rows as f64 / seconds;
        drop(writeln!(talk, "{what}: {rows} rows, {bytes} bytes, {rejects} rejects, {seconds:.3} s, {rate:.0} rows/s"));
    };
    let wanted = Wanted::once(&inputs, "", Asked::default(), Limits::default());

    let mut source = open(wanted, &mut Positions::default())?.take();
    let (since, mut rows, mut bytes) = (clock.elapsed().as_secs_f64(), 0, 0);
    while let Some(batch) = source.next()? {
        rows += batch.records.len() as u64;
        bytes += batch.bytes.len() as u64;
    }
    tell("scan", rows, bytes, 0, since);

    let mut source = open(wanted, &mut Positions::default())?.take();
    let since = clock.elapsed().as_secs_f64();
    let (mut rows, mut bytes, mut rejects, mut parser) = (0, 0, 0, Parser::new());
    while let Some(batch) = source.next()? {
        for row in parser.parse(&batch) {
            rows += 1;
            match row {
                Ok(row) => bytes += row.columns.iter().map(|value| value.len() as u64).sum::<u64>(),
                Err(_) => rejects += 1,
            }
        }
    }
    tell("scan and parse", rows, bytes, rejects, since);

    for threads in [1, 2] {
        let source = open(wanted, &mut Positions::default())?.take();
        let since = clock.elapsed().as_secs_f64();
        let (mut rows, mut bytes, mut rejects) = (0, 0, 0);
        let reader = windrow_engine::read::spawn(source, (&FieldWeights::default(), &Rules::default()), threads, 128 << 20)?;
        for event in reader.events() {
            match event {
                Event::Batch(batch) => {
                    rows += batch.prepared.n_rows;
                    rejects += batch.prepared.rejects.len() as u64;
                    bytes += batch.span.iter().map(|slice| slice.to - slice.from).sum::<u64>();
                }
                Event::Failed(error) => return Err(error),
                _ => {}
            }
        }
        tell(&format!("read with {threads} preparing"), rows, bytes, rejects, since);
    }
    Ok(())
}
