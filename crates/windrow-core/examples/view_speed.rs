//! Time that a view takes: `cargo run --profile fast -p windrow-core --example view_speed [FILE.csv.gz [ROWS]]`.

#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use windrow_core::cluster::ModelSettings;
use windrow_core::featurize::FieldWeights;
use windrow_core::kept::Kept;
use windrow_core::pipeline::{Outcome, Pipeline, Preparer};
use windrow_core::record::{RecordId, Reject, Row};

const BATCH: usize = 4096;
const ROUNDS: u32 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "../shared/data/links_stream_2012_2023.csv.gz".to_owned());
    let most: usize = arguments.next().map_or(Ok(usize::MAX), |rows| rows.parse())?;
    let unzipped = flate2::read::MultiGzDecoder::new(std::fs::File::open(&file)?);
    let records = csv::Reader::from_reader(unzipped).into_byte_records().take(most).collect::<Result<Vec<_>, _>>()?;
    let mut pipeline = Pipeline::new(&ModelSettings::default())?;
    let (mut preparer, mut outcome) = (Preparer::new(FieldWeights::default()), Outcome::default());
    for (batch, first) in records.chunks(BATCH).zip((0..).step_by(BATCH)) {
        let rows = (first..).zip(batch).map(|(offset, record)| {
            let columns = [0, 1, 2, 3, 4, 5].map(|column| &record[column]);
            Ok::<_, Reject>(Row {
                origin: RecordId { source: 0, offset },
                raw: record.as_slice(),
                columns,
                kept: Kept::default(),
            })
        });
        pipeline.learn(&preparer.prepare(rows), &mut outcome);
    }
    let start = Instant::now();
    std::hint::black_box(pipeline.view());
    let first = start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(pipeline.view());
    }
    let millis = start.elapsed().as_secs_f64() * 1e3 / f64::from(ROUNDS);
    let view = pipeline.view();
    writeln!(
        std::io::stdout(),
        "{} pages, {} themes, {} clusters, {} terms: {first:.1} ms the first view, {millis:.1} ms each other",
        view.pages,
        view.micro_clusters,
        view.clusters.len(),
        view.terms,
    )?;
    Ok(())
}
