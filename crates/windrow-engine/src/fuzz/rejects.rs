//! The message of a reject: written by a run, with whatever headers came with it, and read by `windrow rejects`.

use windrow_core::record::{Beside, RecordId, Reject, RejectReason};

use crate::kafka::read::Headers;
use crate::kafka::rejects::understood;
use crate::sink::topics::message::sent;

pub(super) const SEEDS: &[&[u8]] = &[
    b"\x01{\0windrow-reason\0tombstone\0windrow-record-id\09:9\0__connect.errors.topic\0other\0trace\0\xff",
    b"\x05\xff\xfe\0windrow-bytes\0999999\0windrow-epoch\0-1\0windrow-pipeline\0mine",
];

/// What is read is what was written, whatever stood in the headers before; of a value that is cut off, its beginning and its length.
pub(super) fn rejects(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    // Names of headers end with a zero byte, so none has one.
    let mut parts = rest.split(|byte| *byte == 0);
    let raw = parts.next().unwrap_or_default().to_vec();
    let parts: Vec<&[u8]> = parts.collect();
    let headers =
        parts.chunks(2).map(|pair| (String::from_utf8_lossy(pair[0]).into_owned(), pair.get(1).map(|value| value.to_vec())));
    let beside = Some(Beside { key: parts.first().map(|key| key.to_vec()), headers: headers.collect() });
    let reason = RejectReason::ALL[usize::from(*first) % RejectReason::ALL.len()];
    let origin = RecordId { source: u32::from(*first % 3), offset: u64::from(*first) << 40 };
    let reject = Reject { origin, reason, raw, beside };
    for (source, longest) in [("kafka:pages/7", 1 << 20), ("in/a.csv", 2_000), ("", 0)] {
        let (value, headers) = sent(12, &reject, source, longest);
        let mut n_read = 0;
        let headers: Headers = headers.into_iter().collect();
        let read = understood(value.as_deref(), &headers, None, (3, 4), &mut |read| {
            let said = (read.pipeline, read.record_id, read.reason, read.source, read.commit);
            assert_eq!(said, ("pipeline", &*origin.to_string(), reason.code(), source, 12));
            let is_tombstone = reason == RejectReason::Tombstone;
            assert_eq!(read.raw.is_none(), is_tombstone);
            let raw = read.raw.unwrap_or_default();
            assert!(reject.raw.starts_with(raw), "a reject has other bytes");
            let is_cut = !is_tombstone && raw.len() < reject.raw.len();
            assert_eq!(read.cut_from, is_cut.then_some(reject.raw.len() as u64));
            n_read += 1;
            Ok(())
        });
        assert!(read.is_ok() && n_read == 1);
    }
}
