//! Rows as the comparison knows them: a record id, a place and two hashes.

use windrow_core::record::{Micros, RecordId};
use xxhash_rust::xxh3::xxh3_64;

use crate::sink::topics::{ValueShape, room};

const PAGE: u8 = 0;
const REJECT: u8 = 1;
const SHORT_PAGE: u8 = 2;

/// One row as the comparison knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trace {
    pub(super) offset: u64,
    /// Hash of family and columns.
    pub(super) content: u64,
    pub(super) source: u32,
    /// Hash of the decision; 0 for rejects. Of a row of the input that may be a duplicate, a hash of the reject that it would be then, else 0.
    pub(super) decision: u32,
    /// Slot of a page; [`NO_SLOT`] for rejects and inputs.
    pub(super) slot: i32,
}

/// The slot of what has none.
pub(super) const NO_SLOT: i32 = -1;

/// Half of a hash, never 0.
fn half(content: u64) -> u32 {
    (content >> 32) as u32 | 1
}

impl Trace {
    /// A reject, or a row of the input.
    pub(super) fn new(id: RecordId, content: u64) -> Self {
        Self { offset: id.offset, content, source: id.source, decision: 0, slot: NO_SLOT }
    }

    /// The same row of the input, which may be this reject too: whether it is a duplicate hangs on the rows before it.
    pub(super) fn or_reject(self, content: u64) -> Self {
        Self { decision: half(content), ..self }
    }

    /// Whether this row of the input may be that output.
    pub(super) fn may_be(&self, output: &Self) -> bool {
        self.content == output.content || self.decision != 0 && output.decision == 0 && self.decision == half(output.content)
    }

    /// A page.
    pub(super) fn decided(id: RecordId, content: u64, decision: u32, slot: i32) -> Self {
        Self { decision, slot, ..Self::new(id, content) }
    }

    pub(super) fn id(&self) -> RecordId {
        RecordId { source: self.source, offset: self.offset }
    }
}

/// The ids of one pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    pub(super) index: u64,
    pub(super) of: u64,
}

impl Pass {
    pub(super) fn holds(self, id: RecordId) -> bool {
        let mixed = (id.offset ^ u64::from(id.source).rotate_left(40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.of == 1 || (mixed >> 32) % self.of == self.index
    }
}

/// What a page holds of its row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Content<'a> {
    pub(super) creation_time: Option<Micros>,
    /// Id, URL, title, keywords, description.
    pub(super) texts: [&'a str; 5],
    pub(super) domain: &'a str,
    /// Columns that are carried along, in the order of the settings.
    pub(super) kept: &'a [&'a str],
}

/// What was decided for a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decided {
    pub(super) cluster: i64,
    pub(super) slot: i64,
    pub(super) micro_cluster: i64,
    pub(super) novel: bool,
    pub(super) score: f64,
}

/// Makes hashes of fields with their lengths, so that no two rows run into the same bytes.
#[derive(Debug, Default)]
pub(super) struct Hasher(Vec<u8>);

impl Hasher {
    /// The columns of the input in a page.
    pub(super) fn page(&mut self, page: &Content<'_>) -> u64 {
        self.start(PAGE);
        self.push_time(page.creation_time);
        page.texts.iter().chain(page.kept).for_each(|text| self.push(text.as_bytes()));
        xxh3_64(&self.0)
    }

    /// What a message of this shape holds of a page.
    pub(super) fn page_in(&mut self, shape: ValueShape, page: &Content<'_>) -> u64 {
        match shape {
            ValueShape::Full => self.page(page),
            ValueShape::Original => {
                let [id, .., description] = page.texts;
                self.start(SHORT_PAGE);
                self.push_time(page.creation_time);
                [id, page.domain, description].iter().for_each(|text| self.push(text.as_bytes()));
                xxh3_64(&self.0)
            }
        }
    }

    /// A reject.
    pub(super) fn reject(&mut self, reason: &str, raw: &[u8]) -> u64 {
        self.reject_of(reason, raw.len() as u64, &room::hash(raw))
    }

    /// A reject by the length and the hash of its bytes: where there was no room for all of them, these are told.
    pub(super) fn reject_of(&mut self, reason: &str, bytes: u64, hash: &str) -> u64 {
        self.start(REJECT);
        self.push(reason.as_bytes());
        self.push(&bytes.to_le_bytes());
        self.push(hash.as_bytes());
        xxh3_64(&self.0)
    }

    /// A decision.
    pub(super) fn decision(&mut self, decided: &Decided) -> u32 {
        self.start(PAGE);
        [decided.cluster, decided.slot, decided.micro_cluster].iter().for_each(|number| self.push(&number.to_le_bytes()));
        self.push(&[u8::from(decided.novel)]);
        self.push(&decided.score.to_le_bytes());
        u32::try_from(xxh3_64(&self.0) >> 32).expect("the upper half")
    }

    fn start(&mut self, family: u8) {
        self.0.clear();
        self.0.push(family);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn push_time(&mut self, time: Option<Micros>) {
        self.0.push(u8::from(time.is_some()));
        self.0.extend_from_slice(&time.unwrap_or(0).to_le_bytes());
    }
}
