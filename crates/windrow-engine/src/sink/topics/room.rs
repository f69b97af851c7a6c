//! How much room a message has, and what goes into it.
//!
//! A reject is as long as whatever somebody has written, and must never stop a pipeline: what its topic does not take is cut off, and said
//! in its headers. The Parquet keeps all of the bytes.
//!
//! A page has to fit. How long one may become is told from the longest row that is taken ([`longest_page`]): `windrow topics create` makes
//! the topics so, and `windrow check` looks.

use windrow_core::record::{Beside, Reject};
use xxhash_rust::xxh3::xxh3_64;

use crate::kafka::longest::{AROUND, AROUND_A_HEADER};
use crate::settings::Settings;
use crate::source::MessageFormat;

/// What of a reject was cut off: `value`, `headers`, `key`, with commas between them.
pub(crate) const CUT: &str = "windrow-cut";
/// How many bytes its value has.
pub(crate) const BYTES: &str = "windrow-bytes";
/// Hash of its value.
pub(crate) const HASH: &str = "windrow-hash";

/// Our own headers of a reject take so much at most, besides the name of its source.
const OURS: usize = 1_200;
/// So much of the value goes before what came beside it.
const FIRST: usize = 16 << 10;
/// A page's message takes so much at most besides the texts of its row: names of fields, numbers, label, domain, key, headers.
const OF_A_PAGE: u64 = 4 << 10;
/// What JSON must escape takes two bytes for one.
const ESCAPED: u64 = 2;
/// The least that `limits.max_record` takes.
const SHORTEST_LIMIT: u64 = 1 << 10;

/// What goes of a reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Bytes of its value.
    pub(super) value: usize,
    /// Whether the headers that came with it go.
    pub(super) headers: bool,
    /// Whether its key goes.
    pub(super) key: bool,
}

impl Part {
    /// As much as fits into a message of `most` bytes, the first bytes of the value before what came beside it.
    pub(super) fn of(reject: &Reject, source: &str, most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let room = most.saturating_sub(AROUND + OURS + source.len());
        let size = |of: fn(&Beside) -> usize| reject.beside.as_ref().map_or(0, of);
        let key = size(|beside| beside.key.as_ref().map_or(0, Vec::len));
        let of_header =
            |(name, value): &(String, Option<Vec<u8>>)| name.len() + value.as_ref().map_or(0, Vec::len) + AROUND_A_HEADER;
        let headers = reject.beside.as_ref().map_or(0, |beside| beside.headers.iter().map(of_header).sum());
        let first = reject.raw.len().min(FIRST);
        let has_key = first + key <= room;
        let key = if has_key { key } else { 0 };
        let has_headers = first + key + headers <= room;
        let headers = if has_headers { headers } else { 0 };
        Self { value: reject.raw.len().min(room.saturating_sub(key + headers)), headers: has_headers, key: has_key }
    }

    /// What was cut off, for the header that says so; none where nothing was.
    pub(super) fn cut(self, reject: &Reject) -> Option<String> {
        let parts = [("value", self.value == reject.raw.len()), ("headers", self.headers), ("key", self.key)];
        let cut: Vec<_> = parts.iter().filter(|(_, is_whole)| !is_whole).map(|(name, _)| *name).collect();
        (!cut.is_empty()).then(|| cut.join(","))
    }
}

/// The hash that the header [`HASH`] has.
pub(crate) fn hash(value: &[u8]) -> String {
    format!("{:016x}", xxh3_64(value))
}

/// The most that the message of a page has, but for rows full of control characters. What JSON must escape in a value stood with an escape
/// in a JSON message already; in CSV it did not, and takes two bytes for one.
pub(crate) fn longest_page(settings: &Settings) -> u64 {
    settings.limits.max_record.saturating_mul(escaped(settings)).saturating_add(OF_A_PAGE)
}

/// The same, whatever rows are written in: topics are made before anybody says what will be read.
pub(crate) fn widest_page(settings: &Settings) -> u64 {
    settings.limits.max_record.saturating_mul(ESCAPED).saturating_add(OF_A_PAGE)
}

/// The longest row whose page has at most so many bytes, if any may be so short.
pub(crate) fn longest_row(settings: &Settings, page: u64) -> Option<u64> {
    let longest = page.checked_sub(OF_A_PAGE)? / escaped(settings);
    (longest >= SHORTEST_LIMIT).then_some(longest)
}

/// Bytes that one byte of a row may become.
fn escaped(settings: &Settings) -> u64 {
    let is_json = settings.source.input.is_empty() && settings.source.format == MessageFormat::Json;
    if is_json && !settings.source.topic.is_empty() { 1 } else { ESCAPED }
}

#[cfg(test)]
mod tests {
    use windrow_core::record::RejectReason;

    use super::*;

    fn reject(value: usize, key: usize, header: usize) -> Reject {
        let beside = Beside { key: Some(vec![b'k'; key]), headers: vec![("h".into(), Some(vec![b'h'; header]))] };
        let origin = "0:7".parse().unwrap();
        Reject { origin, reason: RejectReason::TooLong, raw: vec![b'v'; value], beside: Some(beside) }
    }

    #[test]
    fn what_fits_is_whole_and_the_rest_is_cut_off_and_named() {
        let room = 1_000_000;
        let most = (room + AROUND + OURS) as u64;
        let part = |value, key, header| {
            let reject = reject(value, key, header);
            let part = Part::of(&reject, "", most);
            (part.value, part.cut(&reject))
        };
        let cut = |what: &str| Some(what.to_owned());
        let header = AROUND_A_HEADER + 1;
        assert_eq!(part(room - 20 - 30 - header, 20, 30), (room - 20 - 30 - header, None), "to the last byte");
        assert_eq!(part(room - 20 - 30 - header + 1, 20, 30), (room - 20 - 30 - header, cut("value")));
        assert_eq!(part(10 * room, 0, 0), (room - header, cut("value")));
        assert_eq!(part(10, 20, room), (10, cut("headers")), "a short value with long headers");
        assert_eq!(part(10, room, 30), (10, cut("key")));
        assert_eq!(part(2 * room, room, room), (room, cut("value,headers,key")));
        assert_eq!(Part::of(&reject(10, 0, 0), "", 100), Part { value: 0, headers: false, key: false }, "no room at all");
    }

    #[test]
    fn a_page_needs_more_room_than_its_row() {
        let mut settings = Settings::default();
        settings.source.topic = "pages".into();
        assert_eq!(longest_page(&settings), (1 << 20) + 4_096);
        assert_eq!(longest_row(&settings, 1_048_588), Some(1_048_588 - 4_096));
        settings.source.format = MessageFormat::Csv;
        assert_eq!(longest_page(&settings), (2 << 20) + 4_096);
        assert_eq!(longest_row(&settings, longest_page(&settings)), Some(1 << 20));
        assert_eq!(widest_page(&settings), longest_page(&settings));
        assert_eq!([longest_row(&settings, 1_000), longest_row(&settings, 6_000)], [None, None]);
    }
}
