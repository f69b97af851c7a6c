//! Files of the state: what a checksum lets through must not crash either, as whoever can write a file can write its checksum.

use std::path::Path;
use std::sync::LazyLock;

use windrow_core::cluster::{MODEL_KINDS, ModelSettings};
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::{Outcome, Pipeline, Prepared, Preparer, WatchSettings};
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
    &[b"\0\0\x01\x02\xff", b"\x03\x10\x00\x80\x01\x20\x00", b"\x01\x10\x00\x80\x01\x20\x00\xff\x7f\x00", b"WINDROWM\x01\0\0\0"];

/// A snapshot is restored or refused: as it stands, and where a real one has other bytes under a checksum that fits. The first byte says
/// which model; three more, a place and what stands there; a rest of one, where it is cut off. One of them is changed in what is watched
/// alone: it goes on learning too.
pub(super) fn snapshot(bytes: &[u8]) {
    let _ = Pipeline::restore(bytes);
    let Some((kind, changes)) = bytes.split_first() else { return };
    let Body { format, mut bytes, from } = BODIES[usize::from(*kind) % BODIES.len()].clone();
    let mut changes = changes.chunks_exact(3);
    for change in &mut changes {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) * 13 % (bytes.len() - from);
        bytes[from + at] = change[2];
    }
    if let [cut] = changes.remainder() {
        bytes.truncate(bytes.len() * usize::from(*cut) / 256);
    }
    if let Ok(mut pipeline) = Pipeline::restore(&sealed(format, &bytes)) {
        let again = Pipeline::restore(&pipeline.snapshot()).expect("what was written is read");
        assert_eq!(again.snapshot(), pipeline.snapshot());
        if from > 0 {
            MORE.iter().for_each(|batch| pipeline.learn(batch, &mut Outcome::default()));
            let _ = (pipeline.view(), pipeline.snapshot());
        }
    }
}

/// The header of a snapshot: magic, format, length and hash of the body.
const FORMAT: std::ops::Range<usize> = 8..12;
const HEADER_LEN: usize = 28;

fn sealed(format: [u8; 4], body: &[u8]) -> Vec<u8> {
    let seed = u64::from(u32::from_le_bytes(format));
    // Since format 3 the format is in the hash.
    let hash = xxh3_64_with_seed(body, if seed < 3 { 0 } else { seed }).to_le_bytes();
    let len = (body.len() as u64).to_le_bytes();
    [b"WINDROWM", &format[..], &len, &hash, body].concat()
}

/// A snapshot to be changed.
#[derive(Clone)]
struct Body {
    format: [u8; 4],
    /// What stands behind the checksum.
    bytes: Vec<u8>,
    /// Where changes begin.
    from: usize,
}

/// One of each model, and one that is watched.
static BODIES: LazyLock<Vec<Body>> = LazyLock::new(|| {
    let watch = WatchSettings { false_alarms: 1e4, from: 0 };
    let mut bodies = MODEL_KINDS.map(|kind| body(kind, 200, None)).to_vec();
    let [plain, watched] = [None, Some(watch)].map(|watch| body(MODEL_KINDS[0], 4_000, watch));
    // Behind the model a few bytes say that nothing is carried along, looked for and to be undone.
    bodies.push(Body { from: plain.bytes.len() + 8, ..watched });
    bodies
});

/// Pages to go on with.
static MORE: LazyLock<Vec<Prepared>> = LazyLock::new(|| prepared(300, 2));

fn prepared(rows: u64, seed: u64) -> Vec<Prepared> {
    let spec = format!("generator:rows={rows},seed={seed}").parse().expect("a generator");
    let mut source = GeneratorSource::new(spec, 0, 0, Limits::default());
    let (mut parser, mut preparer) = (Parser::new(), Preparer::new(FieldWeights::default()));
    let mut all = Vec::new();
    while let Some(batch) = source.next().expect("the generator has no errors") {
        all.push(preparer.prepare(parser.parse(&batch)));
    }
    all
}

fn body(kind: &str, rows: u64, watch: Option<WatchSettings>) -> Body {
    let settings = ModelSettings { kind: kind.to_owned(), clusters: 4.into(), ..ModelSettings::default() };
    let mut pipeline = Pipeline::new(&settings).expect("a known model");
    if let Some(watch) = watch {
        pipeline.watch(watch);
    }
    prepared(rows, 1).iter().for_each(|batch| pipeline.learn(batch, &mut Outcome::default()));
    let mut snapshot = pipeline.snapshot();
    let body = snapshot.split_off(HEADER_LEN);
    let format = snapshot[FORMAT].try_into().expect("four bytes");
    assert_eq!(sealed(format, &body)[..HEADER_LEN], snapshot, "the form of snapshots has changed: change it here too");
    Body { format, bytes: body, from: 0 }
}
