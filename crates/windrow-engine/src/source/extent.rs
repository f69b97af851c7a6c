//! How much there is to read, where that can be known beforehand: plain files by their length, gzip by the length that it notes at
//! its end, Parquet by its footer, the generator by its rows.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use crate::source::decompress::Packing;
use crate::source::generator::{PREFIX, Spec};
use crate::source::kafka::PREFIX as TOPIC;
use crate::source::{Positions, SourcePosition, Written, parquet};

/// What there was to read at the start, in the sources' own offsets.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    start: u64,
    total: u64,
}

impl Extent {
    /// What there is to read; none when it cannot be known for some source.
    pub fn of(positions: &Positions) -> Option<Self> {
        let mut total = 0;
        for source in &positions.sources {
            total += size_of(source)?.max(source.offset);
        }
        Some(Self { start: offsets(positions), total })
    }

    /// What was not read at the start.
    pub fn left(self) -> u64 {
        self.total.saturating_sub(self.start)
    }

    /// The share that has been read since the start; none when there is more than it seemed.
    pub fn share(self, positions: &Positions) -> Option<f64> {
        let (read, all) = (offsets(positions).checked_sub(self.start)?, self.total.checked_sub(self.start)?);
        (all > 0 && read <= all).then(|| read as f64 / all as f64)
    }
}

fn offsets(positions: &Positions) -> u64 {
    positions.sources.iter().map(|source| source.offset).sum()
}

/// Offset at the end of a source.
pub fn size_of(source: &SourcePosition) -> Option<u64> {
    if source.name.starts_with(PREFIX) {
        return source.name.parse::<Spec>().ok().map(|spec| spec.rows);
    }
    if source.name.starts_with(TOPIC) {
        return None;
    }
    // A source that is gone was read through in an earlier run.
    let Ok(mut file) = File::open(&source.name) else { return Some(source.offset) };
    if source.written == Some(Written::Parquet) {
        return parquet::count_rows(&source.name);
    }
    let mut magic = [0; 4];
    let n_magic = file.read(&mut magic).ok()?;
    match Packing::of(&magic[..n_magic]) {
        Some(Packing::Gzip) => {
            let mut length = [0; 4];
            file.seek(SeekFrom::End(-4)).ok()?;
            file.read_exact(&mut length).ok()?;
            Some(u32::from_le_bytes(length).into())
        }
        Some(Packing::Zstd) => None,
        None => Some(file.metadata().ok()?.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str, offset: u64) -> SourcePosition {
        SourcePosition { offset, ..SourcePosition::of(name) }
    }

    #[test]
    fn shares_count_from_the_start_of_the_run() {
        let mut positions = Positions { sources: vec![at("generator:rows=1000,seed=1", 500), at("/nowhere/gone.csv", 77)] };
        let extent = Extent::of(&positions).unwrap();
        assert_eq!(extent.share(&positions), Some(0.0));
        positions.sources[0].offset = 750;
        assert_eq!(extent.share(&positions), Some(0.5));
        positions.sources[0].offset = 2_000;
        assert_eq!(extent.share(&positions), None);
    }

    #[test]
    fn the_length_of_the_sample_is_known() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/sample_campaign_data_2023.csv");
        let positions = Positions { sources: vec![at(sample, 0)] };
        assert_eq!(Extent::of(&positions).map(|extent| extent.total), Some(39_298));
    }
}
