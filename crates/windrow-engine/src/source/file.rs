//! Files as a source: who a file is, and its records from an offset on.
//!
//! A file is known by device and inode and by a hash of its first decompressed bytes, not by its name alone: so a file that was
//! renamed or compressed goes on where it was, one that was replaced is read from its start, and one that grew is read on.
//! The header is read from the head each time; the offset of a source says only how far its bytes have been handed out.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use xxhash_rust::xxh3::xxh3_64;

use super::columns::ColumnMap;
use super::decompress::{Bomb, Decompressed, Most};
use super::encoding::Transcript;
use super::form::Form;
use super::parquet;
use super::pipe::{self, Pieces};
use super::scan::Scanner;
use super::written::{self, Asked, Look, Written};
use super::{Limits, Source, SourcePosition};
use crate::batch::{RawBatch, RawRecord, Slice};
use crate::error::{Error, ErrorKind, Result};

/// Bytes at the head of a file by which it is known again.
pub(super) const HEAD: usize = 4096;

/// How many bytes are asked for at a time.
pub(super) const PIECE: usize = 128 << 10;
/// How long a pipe may have nothing before that is said.
pub(super) const PIPE_WAIT: Duration = Duration::from_millis(50);

/// The byte order mark that some programs put before the first column's name.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file that was looked at: who it is, how it is written and where its columns lie.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// When it was made, in nanoseconds since 1970; 0 where that is not known.
    pub(super) born: u64,
    /// The first bytes, decompressed; at most [`HEAD`].
    pub(super) head: Vec<u8>,
    /// Bytes on disk.
    pub(super) size: u64,
    pub(super) is_compressed: bool,
    /// `None` while the file has no whole header line, and before that was looked for.
    pub(super) form: Option<(Written, Arc<Form>)>,
}

impl Probe {
    /// Looks at the file at `path`.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        // Looked at before it is opened: opening a named pipe waits for its writer.
        let about = fs::metadata(path).map_err(|error| cannot_open(&name, &error))?;
        if !about.is_file() {
            return Err(no_file(&name));
        }
        // So few bytes are never too many.
        let mut input = open(path, 0)?;
        let mut head = Vec::new();
        read_piece(&mut input, &mut head, HEAD).map_err(|error| cannot_read(&name, head.len() as u64, &error))?;
        let (device, inode, size, is_compressed) = (about.dev(), about.ino(), about.len(), input.is_compressed());
        Ok(Self { path: path.to_owned(), device, inode, born: born(&about), head, size, is_compressed, form: None })
    }

    /// Finds how the file is written, where it was not known, and the form of its records.
    pub(super) fn find_form(
        &mut self,
        known: Option<Written>,
        asked: Asked,
        columns: &ColumnMap,
        limits: &Limits,
    ) -> Result<()> {
        if parquet::is_meant((&self.path, &self.head, self.is_compressed), known, asked)? {
            self.form = Some((Written::Parquet, Arc::new(parquet::form(&self.path, columns)?)));
            return Ok(());
        }
        let name = self.path.display().to_string();
        let look = Look { name: &name, known, asked, columns, limit: limits.record_bytes };
        let (mut bytes, mut input) = (Vec::new(), None);
        self.form = form(&look, &mut bytes, |bytes| {
            if bytes.is_empty() {
                bytes.extend_from_slice(&self.head);
                return Ok(bytes.len() < HEAD);
            }
            let count = bytes.len().max(HEAD);
            let input = match &mut input {
                Some(input) => input,
                none => {
                    // Opened once more, as a thousand inputs are not held open; few headers are so long.
                    bytes.clear();
                    none.insert(open(&self.path, limits.unpacked)?)
                }
            };
            let count = count + if bytes.is_empty() { count } else { 0 };
            read_piece(input, bytes, count).map_err(|error| cannot_read(&name, bytes.len() as u64, &error))
        })?;
        Ok(())
    }

    /// The position of this file when nothing of it has been read.
    pub(super) fn position(&self) -> SourcePosition {
        SourcePosition {
            name: self.path.display().to_string(),
            device: self.device,
            inode: self.inode,
            born: self.born,
            head_len: u32::try_from(self.head.len()).expect("a head has at most 4096 bytes"),
            head_hash: xxh3_64(&self.head),
            start: 0,
            offset: 0,
            rows: 0,
            written: self.form.as_ref().map(|(written, _)| *written),
        }
    }

    /// Whether it is a Parquet file, by its first bytes. None such grows.
    pub(super) fn is_parquet(&self) -> bool {
        !self.is_compressed && parquet::begins(&self.head)
    }

    /// Whether it is the very file that the known source was, whatever is in it now.
    pub(super) fn is_still(&self, known: &SourcePosition) -> bool {
        (self.device, self.inode) == (known.device, known.inode) && is_same_birth(self.born, known.born)
    }

    /// Whether it begins as the known source did, and that says enough: its head was long, or is all that there is of both.
    pub(super) fn surely_begins_like(&self, known: &SourcePosition) -> bool {
        let is_long = known.head_len > 0 && (known.head_len as usize == HEAD || known.head_len as usize == self.head.len());
        is_long && self.begins_like(known)
    }

    /// Whether the file begins as the known source did.
    pub(super) fn begins_like(&self, known: &SourcePosition) -> bool {
        // The offset of Parquet is a row's number.
        let shrunk = !self.is_compressed && !self.is_parquet() && self.size < known.offset;
        !shrunk && self.head.get(..known.head_len as usize).is_some_and(|head| xxh3_64(head) == known.head_hash)
    }
}

/// When a file was made.
pub(super) fn born(about: &fs::Metadata) -> u64 {
    let since = about.created().ok().and_then(|born| born.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}

/// Whether two files may have been made at the same time, as far as that is known.
pub(super) fn is_same_birth(a: u64, b: u64) -> bool {
    a == 0 || b == 0 || a == b
}

/// Reads on until it is known how records are written. None where the input ends before.
fn form(
    look: &Look<'_>,
    bytes: &mut Vec<u8>,
    mut read_on: impl FnMut(&mut Vec<u8>) -> Result<bool>,
) -> Result<Option<(Written, Arc<Form>)>> {
    loop {
        let ended = read_on(bytes)?;
        match look.form(bytes, ended)? {
            None if ended => return Ok(None),
            None => {}
            Some((written, form)) => return Ok(Some((written, Arc::new(form)))),
        }
    }
}

fn open(path: &Path, most: Most) -> Result<Decompressed> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| cannot_open(&name, &error))?;
    Decompressed::open(file, most).map_err(|error| cannot_read(&name, 0, &error))
}

/// Appends up to `count` bytes; true when the input has ended.
fn read_piece(input: &mut Decompressed, bytes: &mut Vec<u8>, count: usize) -> io::Result<bool> {
    let got = input.take(count as u64).read_to_end(bytes)?;
    Ok(got < count)
}

/// Appends what there is of a growing file, behind bytes of which the first has offset `base`; true when it has no more now.
fn read_growing(file: &mut File, growing: &mut Growing, bytes: &mut Vec<u8>, base: u64) -> io::Result<bool> {
    let before = bytes.len();
    let got = file.by_ref().take(PIECE as u64).read_to_end(bytes)?;
    // A full piece has more behind it: the last one tells.
    if got < PIECE && !growing.goes_on(file, base + bytes.len() as u64)? {
        bytes.truncate(before);
    }
    Ok(got < PIECE)
}

/// Where bytes come from.
enum Input {
    File(Decompressed),
    /// Pieces that somebody reads meanwhile.
    Pipe(Pieces),
}

/// A file that may grow while it is read.
struct Growing {
    /// Device and inode that it had when it was looked at.
    identity: (u64, u64),
    /// Bytes of its head that are known, and their hash.
    head: (usize, u64),
    /// Whether it is not what was read so far any more: cut short, written anew, or another file.
    is_another: bool,
}

impl Growing {
    /// Whether what was just read, up to `end`, still belongs to what was read before; takes more of the head in.
    fn goes_on(&mut self, file: &File, end: u64) -> io::Result<bool> {
        let (len, hash) = self.head;
        let mut head = vec![0; HEAD.min(usize::try_from(end).unwrap_or(HEAD)).max(len)];
        let goes_on = match file.read_exact_at(&mut head, 0) {
            Ok(()) => file.metadata()?.len() >= end && xxh3_64(&head[..len]) == hash,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(error),
        };
        if goes_on {
            self.head = (head.len(), xxh3_64(&head));
        }
        self.is_another |= !goes_on;
        Ok(goes_on)
    }
}

/// One file, from an offset on.
pub struct FileSource {
    name: String,
    path: PathBuf,
    ordinal: u32,
    form: Arc<Form>,
    limits: Limits,
    /// Of UTF-16, what the scanner reads.
    transcript: Option<Transcript>,
    /// Opened when first asked for records, so that a thousand inputs do not hold a thousand files open.
    input: Option<Input>,
    scanner: Scanner,
    /// Bytes read and not handed out; the first has offset `base`.
    bytes: Vec<u8>,
    base: u64,
    ended: bool,
    /// Whether a pipe or a growing file has nothing now.
    is_dry: bool,
    /// Where the end of the file is not the end of its rows.
    growing: Option<Growing>,
    /// An error met behind records that were handed out first.
    failed: Option<Error>,
    /// Nothing more will come.
    finished: bool,
}

impl FileSource {
    pub(super) fn new(probe: &Probe, ordinal: u32, form: Arc<Form>, offset: u64, limits: Limits) -> Self {
        Self {
            name: probe.path.display().to_string(),
            path: probe.path.clone(),
            ordinal,
            limits,
            transcript: Transcript::of(form.encoding()),
            input: None,
            scanner: form.scanner(limits.record_bytes),
            form,
            bytes: Vec::new(),
            base: offset,
            ended: false,
            is_dry: false,
            growing: None,
            failed: None,
            finished: false,
        }
    }

    /// The same, of a file that may grow: at its end it has nothing now, and a line waits for its line end.
    pub(super) fn growing(mut self, probe: &Probe) -> Self {
        let (identity, head) = ((probe.device, probe.inode), (probe.head.len(), xxh3_64(&probe.head)));
        self.growing = Some(Growing { identity, head, is_another: false });
        self
    }

    /// What is there of a growing file is all of it: its last line needs no line end.
    pub(super) fn ends_here(&mut self) {
        self.growing = None;
    }

    /// Whether a growing file is not what was read so far any more. Nothing comes of it then.
    pub(super) fn is_another(&self) -> bool {
        self.growing.as_ref().is_some_and(|growing| growing.is_another)
    }

    /// Everything before was handed out, or read.
    pub(super) fn read_up_to(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// A pipe, from its start to its end: plain CSV. None where it ends without a header.
    pub(crate) fn of_pipe(pipe: File, columns: &ColumnMap, limits: Limits) -> Result<Option<Self>> {
        let pieces = pipe::read(pipe, limits.unpacked)?;
        let mut bytes = Vec::new();
        let (name, known, limit) = (pipe::NAME, Some(Written::USUAL), limits.record_bytes);
        let look = Look { name, known, asked: Asked::default(), columns, limit };
        let form = form(&look, &mut bytes, |bytes| match pieces.recv() {
            Ok(piece) => piece
                .map(|piece| bytes.extend_from_slice(&piece))
                .map(|()| false)
                .map_err(|error| cannot_read(name, bytes.len() as u64, &error)),
            Err(_) => Ok(true),
        })?;
        Ok(form.map(|(_, form)| Self::of_pieces(name, pieces, bytes, form, (0, limits))))
    }

    /// What comes in pieces, behind `bytes`, which hold all that tells the form.
    pub(super) fn of_pieces(
        name: &str,
        pieces: Pieces,
        bytes: Vec<u8>,
        form: impl Into<Arc<Form>>,
        (ordinal, limits): (u32, Limits),
    ) -> Self {
        let form = form.into();
        let mut transcript = Transcript::of(form.encoding());
        transcript.iter_mut().for_each(|transcript| transcript.read_on(&bytes, 0, false));
        let text = transcript.as_ref().map_or(&bytes, |transcript| &transcript.text);
        // The form was taken from these bytes; of lines, there may be fewer than a byte order mark has.
        let start = written::start(&form, text, true, limits.record_bytes).unwrap_or(0);
        Self {
            name: name.to_owned(),
            path: PathBuf::new(),
            ordinal,
            scanner: form.scanner(limits.record_bytes).starting_at(start),
            limits,
            transcript,
            input: Some(Input::Pipe(pieces)),
            form,
            bytes,
            base: 0,
            ended: false,
            is_dry: false,
            growing: None,
            failed: None,
            finished: false,
        }
    }

    /// Opens the file at `base`.
    fn start(&mut self) -> Result<()> {
        let file = open(&self.path, self.limits.unpacked)?;
        if let (Some(growing), Decompressed::Plain(file)) = (&mut self.growing, &file) {
            let about = file.metadata().map_err(|error| cannot_open(&self.name, &error))?;
            growing.is_another = growing.identity != (about.dev(), about.ino()) || about.len() < self.base;
        }
        self.input = Some(Input::File(file));
        match self.base {
            _ if self.is_another() => Ok(()),
            0 => self.pass_header(),
            _ => self.go_to_base(),
        }
    }

    /// Passes over byte order mark and header, which only a read from the start meets.
    fn pass_header(&mut self) -> Result<()> {
        loop {
            let limit = self.limits.record_bytes;
            if let Some(start) = written::start(&self.form, self.scanned(), self.ended, limit) {
                self.scanner = self.form.scanner(limit).starting_at(start);
                return Ok(());
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.ended {
                self.finished = true; // the header has gone since the file was looked at
                return Ok(());
            }
            if self.is_dry {
                self.growing.iter_mut().for_each(|growing| growing.is_another = true); // the same
                return Ok(());
            }
            self.read_on();
        }
    }

    /// Skips to `base`, and finds out whether a line starts there: the character before says so.
    fn go_to_base(&mut self) -> Result<()> {
        let Some(Input::File(input)) = &mut self.input else { return Ok(()) };
        // Half a character is no line end.
        let width = if self.form.encoding().is_wide() { 2 } else { 1 };
        let before = self.base.saturating_sub(width);
        let reached = input.skip_to(before).map_err(|error| cannot_read(&self.name, before, &error))?;
        let mut last = Vec::with_capacity(2);
        input.take(self.base - before).read_to_end(&mut last).map_err(|error| cannot_read(&self.name, before, &error))?;
        if before + (last.len() as u64) < self.base {
            let reached = reached + last.len() as u64;
            let message = format!("{} ended at byte {reached}, but had been read up to byte {}", self.name, self.base);
            return Err(
                Error::new(ErrorKind::Data, "E-INPUT-SHRUNK", message).hint("put the file back, or start with a new state")
            );
        }
        let mut text = Vec::with_capacity(4);
        self.form.encoding().decode(&last, before, &mut text);
        if text != b"\n" && text != b"\r" {
            self.scanner = self.form.scanner(self.limits.record_bytes).in_rest_of_line();
        }
        Ok(())
    }

    /// What the scanner reads.
    fn scanned(&self) -> &[u8] {
        self.transcript.as_ref().map_or(&self.bytes, |transcript| &transcript.text)
    }

    /// Reads on; keeps an error for later.
    fn read_on(&mut self) {
        let Some(input) = &mut self.input else { return };
        let read = match input {
            Input::File(file) => match (&mut self.growing, file) {
                (Some(growing), Decompressed::Plain(file)) => {
                    let read = read_growing(file, growing, &mut self.bytes, self.base);
                    read.map(|is_dry| self.is_dry = is_dry).map(|()| false)
                }
                (_, file) => read_piece(file, &mut self.bytes, PIECE),
            },
            Input::Pipe(pieces) => match pieces.recv_timeout(PIPE_WAIT) {
                Ok(piece) => piece.map(|piece| self.bytes.extend_from_slice(&piece)).map(|()| false),
                Err(RecvTimeoutError::Disconnected) => Ok(true),
                Err(RecvTimeoutError::Timeout) => {
                    self.is_dry = true;
                    Ok(false)
                }
            },
        };
        match read {
            Ok(ended) => {
                self.ended = ended;
                if let Some(transcript) = &mut self.transcript {
                    transcript.read_on(&self.bytes, self.base, ended);
                }
            }
            Err(error) => {
                self.failed = Some(cannot_read(&self.name, self.base + self.bytes.len() as u64, &error));
            }
        }
    }

    /// Collects records until the batch is full, the input has ended or reading failed.
    fn collect(&mut self) -> Vec<RawRecord> {
        let mut records = Vec::with_capacity(self.limits.batch_rows.min(4096));
        while records.len() < self.limits.batch_rows && self.scanner.done() < self.limits.batch_bytes {
            let scanned = self.transcript.as_ref().map_or(&self.bytes, |transcript| &transcript.text);
            if let Some(mut found) = self.scanner.next(scanned, self.ended) {
                if let Some(transcript) = &mut self.transcript {
                    (found.start, found.end) = (transcript.original(found.start), transcript.original(found.end));
                }
                records.push(RawRecord {
                    start: position(found.start),
                    end: position(found.end),
                    offset: self.base + found.start as u64,
                    quoting: found.quoting,
                    flaw: found.flaw,
                });
            } else if self.ended || self.is_dry || self.failed.is_some() {
                break;
            } else {
                self.read_on();
            }
        }
        records
    }

    /// Takes out the first bytes.
    fn take_bytes(&mut self, count: usize) -> Vec<u8> {
        // Many files may be followed that have nothing: none of them keeps room for more.
        let room = if self.is_dry { self.bytes.len() - count } else { self.limits.batch_bytes + 2 * PIECE };
        let mut rest = Vec::with_capacity(room);
        rest.extend_from_slice(&self.bytes[count..]);
        let mut bytes = std::mem::replace(&mut self.bytes, rest);
        bytes.truncate(count);
        bytes
    }

    /// Hands out what the scanner has done with.
    fn cut(&mut self, records: Vec<RawRecord>) -> RawBatch {
        let scanned = self.scanner.done();
        let done = self.transcript.as_mut().map_or(scanned, |transcript| transcript.original(scanned));
        let bytes = if done == 0 { Vec::new() } else { self.take_bytes(done) };
        self.scanner.forget(scanned);
        self.transcript.iter_mut().for_each(|transcript| transcript.forget(scanned, done));
        let from = self.base;
        self.base += done as u64;
        RawBatch {
            form: Arc::clone(&self.form),
            slice: Slice { source: self.ordinal, from, to: self.base },
            bytes,
            records,
            beside: Vec::new(),
        }
    }
}

impl Source for FileSource {
    fn next(&mut self) -> Result<Option<RawBatch>> {
        if self.finished {
            return Ok(None);
        }
        if self.input.is_none() {
            self.start().inspect_err(|_| self.finished = true)?;
        }
        self.is_dry = false;
        let records = if self.is_another() { Vec::new() } else { self.collect() };
        if self.scanner.done() > 0 || self.is_dry || self.is_another() {
            return Ok(Some(self.cut(records)));
        }
        self.finished = true;
        self.input = None;
        self.failed.take().map_or(Ok(None), Err)
    }
}

fn position(at: usize) -> u32 {
    u32::try_from(at).expect("a batch holds less than 4 GiB")
}

pub(super) fn cannot_open(name: &str, error: &io::Error) -> Error {
    let base = Error::new(ErrorKind::Environment, "E-INPUT-OPEN", format!("cannot open {name}")).cause(error);
    match error.kind() {
        io::ErrorKind::NotFound => Error { kind: ErrorKind::Invalid, ..base }
            .hint("check the path; inputs are files, directories, globs in quotes, or generator:…"),
        io::ErrorKind::PermissionDenied => base.hint("give this user the right to read it"),
        _ => base,
    }
}

/// What cannot be read again is read as standard input alone.
pub(super) fn no_file(name: &str) -> Error {
    Error::new(ErrorKind::Invalid, "E-INPUT-OPEN", format!("{name} is no regular file")).hint(
        "`windrow run --input -` reads standard input (`windrow run --input - < PIPE`); else write the rows to a file first",
    )
}

pub(super) fn cannot_read(name: &str, offset: u64, error: &io::Error) -> Error {
    if let Some(met) = Bomb::of(error) {
        return bomb(name, &format!("byte {offset} of its decompressed content")).cause(met);
    }
    if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof) {
        let message = format!("{name} is damaged or cut short at byte {offset} of its decompressed content");
        return Error::new(ErrorKind::Data, "E-INPUT-DAMAGED", message)
            .cause(error)
            .hint("the rows before were read; run again with a whole file under the same name to go on from there");
    }
    Error::new(ErrorKind::Environment, "E-INPUT-READ", format!("cannot read {name} at byte {offset}")).cause(error)
}

/// What unpacks to more than anybody can want, and was read up to a place.
pub(super) fn bomb(name: &str, place: &str) -> Error {
    Error::new(ErrorKind::Data, "E-INPUT-BOMB", format!("{name} unpacks to far more than pages do: read up to {place}")).hint(
        "if these are pages all the same, set `max_unpacked = 0` under [limits] and run again: it goes on from there; else take the file away",
    )
}
