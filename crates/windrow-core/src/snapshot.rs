//! Snapshots: versioned bytes of the whole model state.

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Why a snapshot cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes are not what was written.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
    /// Written by a newer program.
    #[error("the snapshot has format {found}, this program reads up to {supported}")]
    Newer {
        /// Format found.
        found: u32,
        /// Newest format understood.
        supported: u32,
    },
    /// Made with other settings.
    #[error("the snapshot was made with {key} = {found}, the settings say {wanted}")]
    OtherSettings {
        /// The setting.
        key: String,
        /// Value in the snapshot.
        found: String,
        /// Value asked for.
        wanted: String,
    },
}

/// First bytes of every snapshot.
const MAGIC: &[u8; 8] = b"WINDROWM";
/// Format written by this program; older ones stay readable.
///
/// 2: what comes behind the state of a pipeline: columns that are carried along. 3: and behind that the window of duplicates. 4: and
/// behind that edits that can be taken back. 5: and behind that what is watched: drift of clusters, templates, copies.
pub const FORMAT: u32 = 5;
/// Of a pipeline's state alone.
pub(crate) const FORMAT_ALONE: u32 = 1;
/// With columns that are carried along.
pub(crate) const FORMAT_KEPT: u32 = 2;
/// With a window of duplicates.
pub(crate) const FORMAT_WINDOW: u32 = 3;
/// With edits that can be taken back.
pub(crate) const FORMAT_HAND: u32 = 4;
/// With what is watched.
pub(crate) const FORMAT_WATCH: u32 = 5;
/// Magic, format, length of the body, hash of the body.
const HEADER_LEN: usize = 8 + 4 + 8 + 8;

/// The state of a model behind the version of its form.
pub(crate) fn of_state(format: u32, state: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(&(format, state)).expect("plain columns always have bytes")
}

/// The state in what `of_state` made, of this version or an older one.
pub(crate) fn state_of<S: DeserializeOwned>(bytes: &[u8], supported: u32) -> Result<S, SnapshotError> {
    let damaged = |error: postcard::Error| SnapshotError::Damaged(error.to_string());
    let (found, rest) = postcard::take_from_bytes::<u32>(bytes).map_err(damaged)?;
    if found > supported {
        return Err(SnapshotError::Newer { found, supported });
    }
    postcard::from_bytes(rest).map_err(damaged)
}

/// Like [`state_of`], for a state that has something behind it from format `since` on.
pub(crate) fn state_and_more<S: DeserializeOwned, M: DeserializeOwned + Default>(
    bytes: &[u8],
    since: u32,
) -> Result<(S, M), SnapshotError> {
    let damaged = |error: postcard::Error| SnapshotError::Damaged(error.to_string());
    match postcard::take_from_bytes::<u32>(bytes).map_err(damaged)?.0 {
        found if found < since => Ok((state_of(bytes, since)?, M::default())),
        _ => state_of(bytes, since),
    }
}

/// Puts a header with format, length and hash before `body`.
pub(crate) fn seal(format: u32, body: &[u8]) -> Vec<u8> {
    seal_as(MAGIC, format, body)
}

/// The format, and the body behind the header, when all of it is as it was written.
pub(crate) fn open(bytes: &[u8]) -> Result<(u32, &[u8]), SnapshotError> {
    open_as(MAGIC, FORMAT, bytes)
}

/// The same header before what is no snapshot, with a beginning of its own.
pub(crate) fn seal_as(magic: &[u8; 8], format: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
    bytes.extend_from_slice(magic);
    bytes.extend_from_slice(&format.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&hash_of(format, body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The hash of a body. Since format 3 the format is in it: a flipped bit would make one format another.
fn hash_of(format: u32, body: &[u8]) -> u64 {
    xxh3_64_with_seed(body, if format < FORMAT_WINDOW { 0 } else { format.into() })
}

/// What `seal_as` made, in one of the formats up to `supported`.
pub(crate) fn open_as<'a>(magic: &[u8; 8], supported: u32, bytes: &'a [u8]) -> Result<(u32, &'a [u8]), SnapshotError> {
    let damaged = |what: &str| SnapshotError::Damaged(what.to_owned());
    let rest = bytes.strip_prefix(magic).ok_or_else(|| damaged("it does not begin like one"))?;
    let (format, rest) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it is cut short"))?;
    let found = u32::from_le_bytes(*format);
    if found > supported {
        return Err(SnapshotError::Newer { found, supported });
    }
    if found == 0 {
        return Err(damaged("no format has the number 0"));
    }
    let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(|| damaged("it is cut short"))?;
    let (hash, body) = rest.split_first_chunk::<8>().ok_or_else(|| damaged("it is cut short"))?;
    if body.len() as u64 != u64::from_le_bytes(*length) {
        return Err(damaged("its length is not the one written in it"));
    }
    if hash_of(found, body) != u64::from_le_bytes(*hash) {
        return Err(damaged("its checksum does not agree"));
    }
    Ok((found, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_body_opens_again() {
        assert_eq!(open(&seal(1, b"body")), Ok((1, &b"body"[..])));
        assert_eq!(open(&seal(FORMAT, b"")), Ok((FORMAT, &b""[..])));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let sealed = seal(FORMAT, b"some body of a model");
        for at in 0..sealed.len() {
            assert!(open(&sealed[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut flipped = sealed.clone();
                flipped[at] ^= 1 << bit;
                assert!(open(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let mut sealed = seal(FORMAT, b"body");
        sealed[8] = 9;
        assert_eq!(open(&sealed), Err(SnapshotError::Newer { found: 9, supported: FORMAT }));
    }
}
