//! Model snapshots `state/snapshots/model-<epoch>.bin`.
//!
//! `WINDROWM`, format (u32), CRC-32 (u32), length (u64), all little-endian, then the model's bytes. The manifest names the last
//! three with a second, stronger hash of the model: a snapshot counts only if both agree.

use std::path::Path;

use crate::checkpoint::files;
use crate::checkpoint::manifest::{damaged, newer};
use crate::error::Result;
use crate::failpoint::failpoint;

/// Newest format of the frame that this program reads, and the one it writes.
pub const FORMAT: u32 = 1;
/// Snapshots that are kept.
pub const KEPT: usize = 3;

const MAGIC: &[u8; 8] = b"WINDROWM";
const HEADER: usize = 24;

/// Name of an epoch's snapshot.
pub fn name(epoch: u64) -> String {
    format!("model-{epoch:08}.bin")
}

/// Another name for the snapshot of the same epoch: beside it lies the same model in another form.
pub fn other_name(name: &str) -> String {
    name.replacen("model-", "model-0", 1)
}

/// The epoch of a snapshot's name, also of one written aside; none for any other name.
pub fn epoch_of(name: &str) -> Option<u64> {
    let name = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp")).unwrap_or(name);
    let digits = name.strip_prefix("model-")?.strip_suffix(".bin")?;
    if digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Hash of a model as it stands in manifests.
pub fn hash(model: &[u8]) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(model))
}

/// Writes a snapshot, durably.
pub fn write(folder: &Path, name: &str, model: &[u8]) -> Result<()> {
    let mut bytes = Vec::with_capacity(HEADER + model.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(model).to_le_bytes());
    bytes.extend_from_slice(&(model.len() as u64).to_le_bytes());
    bytes.extend_from_slice(model);
    let path = folder.join(name);
    let aside = files::write_aside(&path, &bytes)?;
    failpoint!("before-snapshot-rename");
    files::rename(&aside, &path)?;
    files::sync_dir(folder)?;
    failpoint!("after-snapshot");
    Ok(())
}

/// The model in a snapshot file, checked against its frame.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_framed(path).map(|(_, model)| model)
}

/// The same, behind the format of the frame.
pub fn read_framed(path: &Path) -> Result<(u32, Vec<u8>)> {
    let mut bytes = files::read_if_there(path)?.ok_or_else(|| damaged(path, &"it is gone"))?;
    let header = bytes.get(..HEADER).ok_or_else(|| damaged(path, &"it is shorter than its header"))?;
    if &header[..8] != MAGIC {
        return Err(damaged(path, &"it does not start like a snapshot"));
    }
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (format, crc32) = (word(8), word(12));
    let length = u64::from(word(16)) | u64::from(word(20)) << 32;
    if format > FORMAT {
        return Err(newer(path, format, FORMAT, None));
    }
    if format == 0 || length != (bytes.len() - HEADER) as u64 {
        return Err(damaged(path, &"its length is not what its header says"));
    }
    if crc32fast::hash(&bytes[HEADER..]) != crc32 {
        return Err(damaged(path, &"its checksum does not fit its bytes"));
    }
    bytes.drain(..HEADER);
    Ok((format, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_comes_back_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let model: Vec<u8> = (0..200_u8).collect();
        write(folder.path(), &name(3), &model).unwrap();
        let path = folder.path().join("model-00000003.bin");
        assert_eq!(read(&path).unwrap(), model);

        let good = std::fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bad).unwrap();
            let error = read(&path).expect_err("a flipped bit is found");
            assert!(["E-STATE-DAMAGED", "E-STATE-NEWER"].contains(&error.code), "{error}");
        }
        for len in 0..good.len() {
            std::fs::write(&path, &good[..len]).unwrap();
            assert_eq!(read(&path).unwrap_err().code, "E-STATE-DAMAGED");
        }
        std::fs::write(&path, [good.as_slice(), b"tail"].concat()).unwrap();
        assert_eq!(read(&path).unwrap_err().code, "E-STATE-DAMAGED");
    }

    #[test]
    fn snapshots_of_format_1_stay_readable() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1/model-00000003.bin");
        let model = read(&path).unwrap();
        assert_eq!((model.as_slice(), hash(&model).as_str()), (&b"the bytes of a model"[..], "bf7ca69fa03342a6"));
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &name(3), &model).unwrap();
        assert_eq!(std::fs::read(folder.path().join(name(3))).unwrap(), std::fs::read(&path).unwrap());
    }

    #[test]
    fn only_our_own_names_have_an_epoch() {
        assert_eq!(epoch_of(&name(12)), Some(12));
        assert_eq!(epoch_of(".model-00000012.bin.tmp"), Some(12));
        let other = other_name(&name(12));
        assert_eq!((epoch_of(&other), other == name(12)), (Some(12), false));
        for other in ["model-12.bin", "model-0000001x.bin", "model.bin", "notes.txt", ".model-00000012.bin"] {
            assert_eq!(epoch_of(other), None, "{other}");
        }
    }
}
