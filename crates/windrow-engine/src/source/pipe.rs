//! Standard input as a source: rows that come once.
//!
//! ```text
//! a thread: read, unpack ── pieces ──> head, until its form is known ──> the same scanner and cuts as of files
//! ```
//!
//! What has gone by cannot be read again. So what is committed is exactly once, as always, and what was read since the last commit is lost
//! when the process dies: until then exactly once, then at most once. Each run's standard input is a source of its own, with an
//! ordinal of its own: no record id is ever given twice.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::decompress::{Most, of_pipe};
use super::file::{FileSource, PIECE, PIPE_WAIT};
use super::follow::nothing;
use super::written::{Asked, Look};
use super::{ColumnMap, Limits, Source};
use crate::batch::RawBatch;
use crate::error::{Error, ErrorKind, Result};

/// How standard input is named among inputs, and among sources.
pub const STDIN: &str = "-";
/// What people call it.
pub(super) const NAME: &str = "standard input";
/// Pieces that may wait.
const PIECES: usize = 8;

/// Pieces of what standard input holds, unpacked. Whoever reads it may wait for bytes for ever, and ends with the process.
pub(super) type Pieces = Receiver<io::Result<Vec<u8>>>;

/// Starts the thread that reads a pipe; `most` bytes may come of a packed one.
pub(crate) fn read(pipe: File, most: Most) -> Result<Pieces> {
    let (sender, pieces) = bounded::<io::Result<Vec<u8>>>(PIECES);
    let read = move || {
        let mut pipe = match of_pipe(pipe, most) {
            Ok(pipe) => pipe,
            Err(error) => return drop(sender.send(Err(error))),
        };
        loop {
            let mut piece = vec![0; PIECE];
            let read = pipe.read(&mut piece).map(|count| piece.truncate(count));
            let is_last = match &read {
                Ok(()) if piece.is_empty() => return, // the end of the channel is the end of the pipe
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.is_err(),
            };
            if sender.send(read.map(|()| piece)).is_err() || is_last {
                return;
            }
        }
    };
    let no_thread = |error| Error::new(ErrorKind::Environment, "E-THREAD", "cannot start a thread").cause(error);
    drop(std::thread::Builder::new().name("windrow-stdin".into()).spawn(read).map_err(no_thread)?);
    Ok(pieces)
}

/// Our own standard input.
pub(crate) fn stdin() -> Result<File> {
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let no_input = |error| Error::new(ErrorKind::Environment, "E-INPUT-OPEN", "cannot open standard input").cause(error);
    Ok(File::from(stdin.map_err(no_input)?))
}

/// Standard input that nobody has read yet.
pub(super) struct Pipe {
    pieces: Pieces,
    /// What came before the form was known.
    head: Vec<u8>,
    asked: Asked,
    columns: ColumnMap,
    limits: Limits,
    ordinal: u32,
    /// What reads on, once the form is known.
    rows: Option<FileSource>,
}

impl Pipe {
    pub(super) fn new(pieces: Pieces, ordinal: u32, (asked, columns): (Asked, &ColumnMap), limits: Limits) -> Self {
        Self { pieces, head: Vec::new(), asked, columns: columns.clone(), limits, ordinal, rows: None }
    }

    /// Takes what has come. True when that was all.
    fn read_on(&mut self) -> Result<Option<bool>> {
        match self.pieces.recv_timeout(PIPE_WAIT) {
            Ok(Ok(piece)) => {
                self.head.extend_from_slice(&piece);
                Ok(Some(false))
            }
            Ok(Err(error)) => Err(super::file::cannot_read(NAME, self.head.len() as u64, &error)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Ok(Some(true)),
        }
    }
}

impl Source for Pipe {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        if let Some(rows) = &mut self.rows {
            return rows.next();
        }
        // Waits in short steps: whoever wants to end is heard.
        let Some(ended) = self.read_on()? else { return Ok(Some(nothing())) };
        let look = Look { name: NAME, known: None, asked: self.asked, columns: &self.columns, limit: self.limits.record_bytes };
        let Some((_, form)) = look.form(&self.head, ended)? else {
            return Ok(if ended { None } else { Some(nothing()) });
        };
        let (head, pieces) = (std::mem::take(&mut self.head), self.pieces.clone());
        let rows = FileSource::of_pieces(NAME, pieces, head, form, (self.ordinal, self.limits));
        self.rows.insert(rows).next()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::source::parse::Parser;

    /// What is read of a pipe into which these bytes are written, one after the other.
    fn rows(bytes: &[u8], asked: Asked) -> Result<Vec<String>> {
        let (reader, mut writer) = io::pipe().unwrap();
        let bytes = bytes.to_vec();
        let writing = std::thread::spawn(move || bytes.chunks(3).for_each(|chunk| writer.write_all(chunk).unwrap()));
        let limits = Limits { batch_rows: 2, ..Limits::default() };
        let pieces = read(File::from(std::os::fd::OwnedFd::from(reader)), limits.unpacked)?;
        let mut pipe = Pipe::new(pieces, 7, (asked, &ColumnMap::default()), limits);
        let (mut rows, mut parser, mut at) = (Vec::new(), Parser::new(), 0);
        while let Some(batch) = pipe.next()? {
            if batch.is_nothing() {
                continue;
            }
            assert_eq!((batch.slice.source, batch.slice.from), (7, at));
            at = batch.slice.to;
            rows.extend(parser.parse(&batch).map(|row| match row {
                Ok(row) => format!("{}:{}", row.origin.offset, String::from_utf8_lossy(row.columns[3])),
                Err(reject) => format!("{}!{}", reject.origin.offset, reject.reason.code()),
            }));
        }
        writing.join().unwrap();
        Ok(rows)
    }

    #[test]
    fn standard_input_is_read_in_every_shape_that_files_have() {
        let text = "\u{feff}title;id\n\"a\nb\";1\nc;2\nno fields\nd;3";
        let expected = ["12:a\nb", "20:c", "24!column_count", "34:d"];
        let gzip = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        for bytes in [text.as_bytes().to_vec(), gzip, zstd::encode_all(text.as_bytes(), 1).unwrap()] {
            assert_eq!(rows(&bytes, Asked::default()).unwrap(), expected);
        }
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(rows(&wide, Asked::default()).unwrap(), ["20:a\nb", "36:c", "44!column_count", "64:d"]);
        let json = b"{\"title\": \"a\"}\n{\"title\": 5}\n";
        assert_eq!(rows(json, Asked::default()).unwrap(), ["0:a", "15:5"]);
        for nothing in [&b""[..], b"title"] {
            assert!(rows(nothing, Asked::default()).unwrap().is_empty());
        }
        assert_eq!(rows(b"x,y\n1,2\n", Asked::default()).unwrap_err().code, "E-INPUT-COLUMNS");
        let cut = zstd::encode_all(text.as_bytes(), 1).unwrap();
        assert_eq!(rows(&cut[..cut.len() - 3], Asked::default()).unwrap_err().code, "E-INPUT-DAMAGED");
    }
}
