//! Files as decompressed bytes: plain, gzip (also of several members) or zstd (also of several frames), told by their first bytes.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;

/// How bytes are packed.
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// Told by the first bytes.
    fn of(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame of data, or one to be skipped, which some writers put in front.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// What a decoder gives.
struct Unpacked(Box<dyn Read>);

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(damage)
    }
}

/// An open file at some decompressed offset.
pub(crate) enum Decompressed {
    /// Not compressed.
    Plain(File),
    /// gzip.
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    /// Zstandard.
    Zstd(Box<zstd::Decoder<'static, BufReader<File>>>),
}

/// A pipe whose first bytes were looked at.
type Pipe = io::Chain<io::Cursor<Vec<u8>>, File>;

impl Decompressed {
    /// Opens `file` at its start.
    pub(crate) fn open(mut file: File) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(4);
        (&mut file).take(4).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(match Packing::of(&magic) {
            Packing::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file)))),
            Packing::Zstd => Self::Zstd(Box::new(zstd::Decoder::new(file)?)),
            Packing::Plain => Self::Plain(file),
        })
    }

    /// The same of a pipe, which has no way back.
    pub(crate) fn of_pipe(mut pipe: File) -> io::Result<Box<dyn Read>> {
        let mut magic = Vec::with_capacity(4);
        (&mut pipe).take(4).read_to_end(&mut magic)?;
        let packing = Packing::of(&magic);
        let pipe: Pipe = io::Cursor::new(magic).chain(pipe);
        let unpacked: Box<dyn Read> = match packing {
            Packing::Plain => return Ok(Box::new(pipe)),
            Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, pipe))),
            Packing::Zstd => Box::new(zstd::Decoder::new(pipe)?),
        };
        Ok(Box::new(Unpacked(unpacked)))
    }

    /// Moves from the start to a decompressed offset; returns where it got to, which is less when the input ends before.
    pub(crate) fn skip_to(&mut self, offset: u64) -> io::Result<u64> {
        if let Self::Plain(file) = self {
            let length = file.metadata()?.len();
            return file.seek(SeekFrom::Start(offset.min(length)));
        }
        io::copy(&mut self.take(offset), &mut io::sink())
    }

    /// Whether the bytes are compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }
}

impl Read for Decompressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer).map_err(damage),
            Self::Zstd(decoder) => decoder.read(buffer).map_err(damage),
        }
    }
}

/// What a decoder says, not the system, is said of the bytes.
fn damage(error: io::Error) -> io::Error {
    let by_decoder = error.raw_os_error().is_none() && error.kind() == io::ErrorKind::Other;
    if by_decoder { io::Error::new(io::ErrorKind::InvalidData, error) } else { error }
}
