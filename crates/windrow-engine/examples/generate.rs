//! Writes a generator's rows as files: `generate generator:rows=1000 rows.csv labels.csv`.

use std::fs::File;
use std::io::BufWriter;

use windrow_engine::source::generator::{Spec, write_csv};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [spec, rows, labels] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "generate SPEC ROWS LABELS")?;
    let spec: Spec = spec.parse()?;
    write_csv(spec, &mut BufWriter::new(File::create(rows)?), &mut BufWriter::new(File::create(labels)?))?;
    Ok(())
}
