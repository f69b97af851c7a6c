//! Rows a second that one core cleans and featurizes: `cargo run --profile fast -p windrow-core --example prepare_speed [FILE.csv.gz
//! [FIELDS [ROUNDS]]]`. The CSV is read into memory first; only `Preparer::prepare` is timed.

#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use windrow_core::featurize::FieldWeights;
use windrow_core::kept::Kept;
use windrow_core::pipeline::Preparer;
use windrow_core::record::{RecordId, Reject, Row};

const BATCH: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "../shared/data/links_stream_2012_2023.csv.gz".to_owned());
    let weights = arguments.next().map_or(Ok(FieldWeights::default()), |list| FieldWeights::from_fields(&list))?;
    let rounds: u32 = arguments.next().map_or(Ok(5), |rounds| rounds.parse())?;

    let unzipped = flate2::read::MultiGzDecoder::new(std::fs::File::open(&file)?);
    let records = csv::Reader::from_reader(unzipped).into_byte_records().collect::<Result<Vec<_>, _>>()?;
    let rows: Vec<Row<'_>> = (0..)
        .zip(&records)
        .map(|(offset, record)| Row {
            origin: RecordId { source: 0, offset },
            raw: record.as_slice(),
            columns: [0, 1, 2, 3, 4, 5].map(|column| &record[column]),
            kept: Kept::default(),
        })
        .collect();

    let mut preparer = Preparer::new(weights);
    let (mut pages, mut terms, mut entries, mut best) = (0, 0, 0, f64::INFINITY);
    for _ in 0..rounds {
        (pages, terms, entries) = (0, 0, 0);
        let start = Instant::now();
        for batch in rows.chunks(BATCH) {
            let prepared = preparer.prepare(batch.iter().map(|row| Ok::<_, Reject>(*row)));
            pages += prepared.pages.len();
            terms += prepared.pages.terms.hash.len();
            entries += prepared.pages.terms.term.len();
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    let micros = best * 1e6 / rows.len() as f64;
    writeln!(
        std::io::stdout(),
        "{file}: {} rows, {pages} pages, {terms} terms by batch, {entries} entries; best of {rounds}: {micros:.2} us a row, {:.0} rows/s",
        rows.len(),
        rows.len() as f64 / best,
    )?;
    Ok(())
}
