//! Files as decompressed bytes: plain, gzip (also of several members) or zstd (also of several frames), told by their first bytes.
//!
//! A **bomb** is a small file that unpacks to more than anybody can want. Pages differ, and pack to a third or a
//! tenth; a bomb packs to a thousandth and less. What is packed is therefore measured stretch by stretch: [`STRETCH`] bytes
//! must come of at least [`Most`] times fewer packed ones. Stretches, not the file as a whole, so that a head of
//! noise or of honest pages buys nothing, and so that a file is refused at the same place however it is read and from wherever reading
//! goes on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::MultiGzDecoder;

/// Decompressed bytes over which the packed ones are counted. What is smaller does no harm.
pub(crate) const STRETCH: u64 = 64 << 20;

/// How many bytes may come of a packed one; 0 for any number.
pub(crate) type Most = u64;

/// How bytes are packed.
#[derive(Clone, Copy)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// Told by the first bytes; none when they are not packed.
    pub(super) fn of(magic: &[u8]) -> Option<Self> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // A frame of data, or one to be skipped, which some writers put in front.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// An open file at some decompressed offset.
pub(crate) enum Decompressed {
    /// Not compressed.
    Plain(File),
    /// gzip or Zstandard.
    Packed(Unpacked<File>),
}

impl Decompressed {
    /// Opens `file` at its start.
    pub(crate) fn open(mut file: File, most: Most) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(4);
        (&mut file).take(4).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(match Packing::of(&magic) {
            Some(packing) => Self::Packed(Unpacked::new(file, packing, most)?),
            None => Self::Plain(file),
        })
    }

    /// Moves from the start to a decompressed offset; returns where it got to, which is less when the input ends before.
    pub(crate) fn skip_to(&mut self, offset: u64) -> io::Result<u64> {
        match self {
            Self::Plain(file) => {
                let length = file.metadata()?.len();
                file.seek(SeekFrom::Start(offset.min(length)))
            }
            Self::Packed(unpacked) => {
                // What lies before was taken, by whoever said that it may be.
                let most = std::mem::replace(&mut unpacked.measure.most, 0);
                let reached = io::copy(&mut unpacked.by_ref().take(offset), &mut io::sink());
                unpacked.measure.most = most;
                reached
            }
        }
    }

    /// Whether the bytes are compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        matches!(self, Self::Packed(_))
    }
}

impl Read for Decompressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Packed(unpacked) => unpacked.read(buffer),
        }
    }
}

/// What a pipe holds, unpacked: it has no way back, so its first bytes are put in front again.
pub(crate) fn of_pipe(mut pipe: File, most: Most) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::with_capacity(4);
    (&mut pipe).take(4).read_to_end(&mut magic)?;
    let packing = Packing::of(&magic);
    let pipe = io::Cursor::new(magic).chain(pipe);
    Ok(match packing {
        Some(packing) => Box::new(Unpacked::new(pipe, packing, most)?),
        None => Box::new(pipe),
    })
}

/// Bytes that are unpacked and measured.
pub(crate) struct Unpacked<R: Read> {
    decoder: Decoder<R>,
    measure: Measure,
}

enum Decoder<R: Read> {
    Gzip(Box<MultiGzDecoder<Counted<R>>>),
    Zstd(Box<zstd::Decoder<'static, Counted<R>>>),
}

impl<R: Read> Unpacked<R> {
    fn new(packed: R, packing: Packing, most: Most) -> io::Result<Self> {
        let packed = Counted { packed: BufReader::with_capacity(1 << 16, packed), taken: 0 };
        let decoder = match packing {
            Packing::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(packed))),
            Packing::Zstd => Decoder::Zstd(Box::new(zstd::Decoder::with_buffer(packed)?)),
        };
        Ok(Self { decoder, measure: Measure { most, ..Measure::default() } })
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = self.measure.room(buffer);
        let (read, packed) = match &mut self.decoder {
            Decoder::Gzip(decoder) => (decoder.read(buffer), decoder.get_ref()),
            Decoder::Zstd(decoder) => (decoder.read(buffer), decoder.get_ref()),
        };
        self.measure.count(read.map_err(damage)?, packed.taken)
    }
}

/// Packed bytes, and how many of them a decoder has taken.
struct Counted<R> {
    packed: BufReader<R>,
    taken: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.packed.read(buffer)?;
        self.taken += read as u64;
        Ok(read)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.packed.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.taken += count as u64;
        self.packed.consume(count);
    }
}

/// Measures one stretch after the other.
#[derive(Debug, Default)]
struct Measure {
    most: Most,
    /// Decompressed bytes of this stretch.
    given: u64,
    /// Packed bytes that were taken before it.
    before: u64,
}

impl Measure {
    /// As much of the buffer as this stretch has room for: every stretch ends at a multiple of its length.
    fn room<'a>(&self, buffer: &'a mut [u8]) -> &'a mut [u8] {
        let room = usize::try_from(STRETCH - self.given).unwrap_or(usize::MAX);
        let len = buffer.len().min(room);
        &mut buffer[..len]
    }

    /// Counts what was read, `taken` packed bytes from the start of the file.
    fn count(&mut self, read: usize, taken: u64) -> io::Result<usize> {
        self.given += read as u64;
        if self.given < STRETCH {
            return Ok(read);
        }
        let packed = taken - self.before;
        if self.most > 0 && packed.saturating_mul(self.most) < STRETCH {
            return Err(io::Error::other(Bomb { packed }));
        }
        (self.given, self.before) = (0, taken);
        Ok(read)
    }
}

/// What was found to be a bomb: so few packed bytes came to a whole stretch.
#[derive(Debug)]
pub(crate) struct Bomb {
    packed: u64,
}

impl Bomb {
    /// What an error says of a bomb, if it is one.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl std::fmt::Display for Bomb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} packed bytes unpack to {STRETCH}", self.packed)
    }
}

impl std::error::Error for Bomb {}

/// What a decoder says, not the system, is said of the bytes.
fn damage(error: io::Error) -> io::Error {
    let by_decoder = error.raw_os_error().is_none() && error.kind() == io::ErrorKind::Other;
    if by_decoder { io::Error::new(io::ErrorKind::InvalidData, error) } else { error }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use flate2::write::GzEncoder;

    use super::*;

    /// What writes a part of a content.
    type Part<'p> = &'p dyn Fn(&mut dyn io::Write);

    /// gzip and zstd of the same content: each part is a member or a frame of its own.
    fn packed(parts: &[Part<'_>]) -> [Vec<u8>; 2] {
        let (mut gzip, mut frames) = (Vec::new(), Vec::new());
        for part in parts {
            let mut member = GzEncoder::new(Vec::new(), flate2::Compression::best());
            part(&mut member);
            gzip.extend(member.finish().unwrap());
            let mut frame = zstd::Encoder::new(Vec::new(), 3).unwrap();
            part(&mut frame);
            frames.extend(frame.finish().unwrap());
        }
        [gzip, frames]
    }

    fn zeros(count: u64) -> impl Fn(&mut dyn io::Write) {
        move |out| {
            io::copy(&mut io::repeat(0).take(count), out).unwrap();
        }
    }

    /// Bytes that no packer makes smaller.
    fn noise(count: u64) -> impl Fn(&mut dyn io::Write) {
        move |out| {
            let mut state = 1u64;
            for _ in 0..count / 8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                out.write_all(&(state ^ state >> 29).to_le_bytes()).unwrap();
            }
        }
    }

    /// Bytes that came, and whether a bomb was found behind them.
    fn unpacked(bytes: &[u8], most: Most, piece: usize) -> (u64, bool) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let (mut input, mut buffer, mut count) = (Decompressed::open(file, most).unwrap(), vec![0; piece], 0);
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return (count, false),
                Ok(read) => count += read as u64,
                Err(error) => {
                    assert!(Bomb::of(&error).is_some(), "{error}");
                    return (count, true);
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_end_of_its_first_stretch() {
        for bytes in packed(&[&zeros(3 * STRETCH)]) {
            assert!(bytes.len() as u64 * 1_000 < 3 * STRETCH);
            for piece in [1 << 16, 3_333_333] {
                let (count, is_bomb) = unpacked(&bytes, 500, piece);
                assert!(is_bomb && (STRETCH - piece as u64..STRETCH).contains(&count), "{count}");
            }
            assert_eq!(unpacked(&bytes, 0, 1 << 16), (3 * STRETCH, false), "any number may come");
        }
    }

    #[test]
    fn many_small_frames_and_a_head_of_noise_hide_no_bomb() {
        let (zeros, noise) = (zeros(1 << 20), noise(4 << 20));
        let mut parts: Vec<Part<'_>> = vec![&noise];
        parts.extend(std::iter::repeat_n(&zeros as Part<'_>, 3 * 64));
        for bytes in packed(&parts) {
            let (count, is_bomb) = unpacked(&bytes, 500, 1 << 16);
            assert!(is_bomb && count < 2 * STRETCH, "{count}");
        }
    }

    #[test]
    fn what_is_short_or_packs_like_pages_is_none() {
        let line = |out: &mut dyn io::Write| {
            for row in 0..1_500_000u32 {
                writeln!(out, "2023-05-17 20:21:51,{row},https://a.example/{},the same title for all,,", row % 10).unwrap();
            }
        };
        for bytes in packed(&[&zeros(STRETCH - 1)]).into_iter().chain(packed(&[&line])) {
            assert!(!unpacked(&bytes, 500, 1 << 16).1);
        }
    }
}
