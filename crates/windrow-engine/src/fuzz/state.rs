//! Files of the state: what a checksum lets through must not crash either, as whoever can write a file can write its checksum.

use std::path::Path;
use std::sync::LazyLock;

use windrow_core::cluster::{MODEL_KINDS, ModelSettings};
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::{Outcome, Pipeline, Prepared, Preparer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::checkpoint::edits;
use crate::checkpoint::manifest::Manifest;
use crate::source::generator::GeneratorSource;
use crate::source::parse::Parser;
use crate::source::{Limits, Source as _};

pub(super) const MANIFESTS: &[&[u8]] = &[
    br#"{"epoch": 1, "positions": {"sources": [{"name": "a", "device": 1, "inode": 2, "head_len": 3, "head_hash": 4, "offset": 5, "rows": 6}]}}"#,
    include_bytes!("../../tests/fixtures/format-4/files.json"),
];

/// A manifest is read or refused, as a file and as what stands behind the checksum; what is read is written and read again.
pub(super) fn manifest(bytes: &[u8]) {
    let path = Path::new("files.json");
    let found = [Manifest::decode(bytes, path).ok(), serde_json::from_slice(bytes).ok()];
    for manifest in found.into_iter().flatten() {
        let again = Manifest::decode(&manifest.encode(), path).expect("what was written is read");
        assert_eq!(again, manifest);
        let _ = (manifest.model_settings(path), manifest.field_weights(path));
    }
}

pub(super) const EDITS: &[&[u8]] = &[
    br#"{"request": "1-a", "position": 7, "edit": {"edit": "rename", "cluster": 3, "label": "boats"}}"#,
    br#"{"request": "1-b", "position": 0, "edit": {"edit": "pin", "cluster": 4294967295, "pinned": true}}"#,
    b"00000000 {}\n",
];

/// A line of the log of edits is read or refused, with its checksum and without; what is read is written and read again.
pub(super) fn edits(bytes: &[u8]) {
    let sealed = [format!("{:08x} ", crc32fast::hash(bytes)).as_bytes(), bytes, b"\n"].concat();
    for edit in [edits::decode(bytes), edits::decode(&sealed)].into_iter().flatten() {
        assert_eq!(edits::decode(edits::encode(&edit).as_bytes()), Some(edit));
    }
}

pub(super) const SNAPSHOTS: &[&[u8]] =
    &[b"\0\0\x01\x02\xff", b"\x01\x10\x00\x80\x01\x20\x00\xff\x7f\x00", b"WINDROWM\x01\0\0\0"];

/// A snapshot is restored or refused: as it stands, and where a real one has other bytes under a checksum that fits. The first byte says
/// which model; three more, a place and what stands there; a rest of one, where it is cut off.
pub(super) fn snapshot(bytes: &[u8]) {
    let _ = Pipeline::restore(bytes);
    let Some((kind, changes)) = bytes.split_first() else { return };
    let (format, mut body) = BODIES[usize::from(*kind) % BODIES.len()].clone();
    let mut changes = changes.chunks_exact(3);
    for change in &mut changes {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) * 13 % body.len();
        body[at] = change[2];
    }
    if let [cut] = changes.remainder() {
        body.truncate(body.len() * usize::from(*cut) / 256);
    }
    if let Ok(mut pipeline) = Pipeline::restore(&sealed(format, &body)) {
        let again = Pipeline::restore(&pipeline.snapshot()).expect("what was written is read");
        assert_eq!(again.snapshot(), pipeline.snapshot());
        let _ = pipeline.view();
        pipeline.learn(&MORE, &mut Outcome::default());
    }
}

/// The header of a snapshot: magic, format, length and hash of the body.
const FORMAT: std::ops::Range<usize> = 8..12;
const HEADER_LEN: usize = 28;

fn sealed(format: [u8; 4], body: &[u8]) -> Vec<u8> {
    let seed = u32::from_le_bytes(format).into();
    let (len, hash) = ((body.len() as u64).to_le_bytes(), xxh3_64_with_seed(body, seed).to_le_bytes());
    [b"WINDROWM", &format[..], &len, &hash, body].concat()
}

/// Rows of the generator that a snapshot has learnt, or that are learnt behind it.
const ROWS: u64 = 200;

/// What is learnt behind a snapshot.
static MORE: LazyLock<Prepared> = LazyLock::new(|| prepared(ROWS));

/// Rows of the generator from `first` on.
fn prepared(first: u64) -> Prepared {
    let spec = format!("generator:rows={},seed=1", first + ROWS).parse().expect("a generator");
    let mut source = GeneratorSource::new(spec, 0, first, Limits::default());
    let batch = source.next().expect("the generator has no errors").expect("a batch holds all of them");
    Preparer::new(FieldWeights::default()).prepare(Parser::new().parse(&batch))
}

/// Format of a snapshot of each model, and what stands behind the checksum.
static BODIES: LazyLock<Vec<([u8; 4], Vec<u8>)>> = LazyLock::new(|| MODEL_KINDS.map(body).to_vec());

fn body(kind: &str) -> ([u8; 4], Vec<u8>) {
    let settings = ModelSettings { kind: kind.to_owned(), clusters: 4, ..ModelSettings::default() };
    let mut pipeline = Pipeline::new(&settings).expect("a known model");
    pipeline.learn(&prepared(0), &mut Outcome::default());
    let mut snapshot = pipeline.snapshot();
    let body = snapshot.split_off(HEADER_LEN);
    let format = snapshot[FORMAT].try_into().expect("four bytes");
    assert_eq!(sealed(format, &body)[..HEADER_LEN], snapshot, "the form of snapshots has changed: change it here too");
    (format, body)
}
