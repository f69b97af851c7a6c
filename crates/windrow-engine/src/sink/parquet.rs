//! Parquet files: pages, rejects and lineage, one file a roll and family.
//!
//! ```text
//! loop ── bounded channel ──> writer thread: columns -> row groups -> OUT/pages/.part-00000007-000.zstd.parquet.tmp
//!                                            seal:    footer, fsync of file and folder
//! loop ── publish ─────────────────────────> rename to OUT/pages/part-00000007-000.zstd.parquet, fsync of folder
//! ```
//!
//! Encoding and compressing run beside learning, on a thread of their own. Readers pass over dot files, so that a file is in view
//! whole or not at all. Families without rows in an epoch make no file. The text columns of a batch become Arrow arrays without
//! being copied.
//!
//! A copy of the pages as another program had them rides along: written, sealed and shown with the file of pages whose name it has, in a
//! folder of its own. No manifest names it, for it says nothing that the pages do not say.

mod encode;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crossbeam_channel::{Receiver, Sender, bounded};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;

use crate::checkpoint::files::{create_dir, environment, sync_dir};
use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::failpoint;
use crate::sink::{Family, PublishedFile, Sink, Staged};

pub(crate) use encode::page_properties;
pub use encode::{SCHEMA_VERSION, schema};

/// What lies beside our own Parquet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PagesCopy {
    /// Nothing.
    #[default]
    None,
    /// The pages with the original's six columns.
    Original,
}

impl PagesCopy {
    /// The words of all.
    pub const NAMES: &[&str] = &["none", "original"];
    /// Name of its folder.
    pub const FOLDER: &str = "output";

    /// Its word in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Original => "original",
        }
    }

    /// What this word stands for.
    pub fn named(word: &str) -> Option<Self> {
        [Self::None, Self::Original].into_iter().find(|copy| copy.name() == word)
    }
}

/// Batches that may wait for the writer; a batch holds about a megabyte.
const QUEUE_LEN: usize = 8;

/// Name of a file in view.
pub fn file_name(epoch: u64, sequence: u32) -> String {
    format!("part-{epoch:08}-{sequence:03}.zstd.parquet")
}

/// Name of the same file before it is published.
pub fn hidden_name(name: &str) -> String {
    format!(".{name}.tmp")
}

/// The epoch of a file name of ours, hidden or in view; none for any other name.
pub fn epoch_of(name: &str) -> Option<u64> {
    let visible = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp")).unwrap_or(name);
    let (epoch, sequence) = visible.strip_prefix("part-")?.strip_suffix(".zstd.parquet")?.split_once('-')?;
    let digits = |text: &str, least: usize| text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(epoch, 8) && digits(sequence, 3) { epoch.parse().ok() } else { None }
}

/// Writes Parquet under one output folder.
#[derive(Debug)]
pub struct ParquetSink {
    out: PathBuf,
    bytes: Arc<AtomicU64>,
    has_failed: Arc<AtomicBool>,
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

enum Message {
    Stage(Box<Staged>),
    Seal { epoch: u64, reply: Sender<Result<Vec<PublishedFile>>> },
}

impl ParquetSink {
    /// A sink that writes under `out` for the pipeline of this id.
    pub fn open(out: &Path, pipeline: &str) -> Result<Self> {
        Self::keeping(out, pipeline, Vec::new(), PagesCopy::None)
    }

    /// The same, of pages with columns of these names that are carried along, and with a copy beside them.
    pub fn keeping(out: &Path, pipeline: &str, kept: Vec<String>, copy: PagesCopy) -> Result<Self> {
        if copy != PagesCopy::None {
            create_dir(&out.join(PagesCopy::FOLDER))?;
        }
        for family in Family::ALL {
            create_dir(&out.join(family.folder()))?;
        }
        let bytes = Arc::new(AtomicU64::new(0));
        let has_failed = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = bounded(QUEUE_LEN);
        let writer = Writer {
            out: out.to_owned(),
            pipeline: pipeline.to_owned(),
            kept,
            bytes: Arc::clone(&bytes),
            has_failed: Arc::clone(&has_failed),
            open: Vec::new(),
            copies: copy == PagesCopy::Original,
            copy: None,
        };
        let thread = std::thread::Builder::new()
            .name("windrow-parquet".into())
            .spawn(move || writer.run(&receiver))
            .map_err(|error| Error::new(ErrorKind::Environment, "E-THREAD", "cannot start the writer thread").cause(error))?;
        Ok(Self { out: out.to_owned(), bytes, has_failed, sender: Some(sender), thread: Some(thread) })
    }

    /// A way in for another thread, which must be done before the sink seals.
    pub(crate) fn inlet(&self) -> Inlet {
        Inlet(self.sender.clone().expect("the sender lives until drop"))
    }

    fn send(&self, message: Message) -> Result<()> {
        let sender = self.sender.as_ref().expect("the sender lives until drop");
        sender.send(message).map_err(|_| gone())
    }

    /// Waits until everything sent is written, and seals it; or says what failed.
    fn seal_all(&self, epoch: u64) -> Result<Vec<PublishedFile>> {
        let (reply, answer) = bounded(1);
        self.send(Message::Seal { epoch, reply })?;
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }
}

/// A way into a [`ParquetSink`] for one other thread.
pub(crate) struct Inlet(Sender<Message>);

impl Inlet {
    /// Hands a batch over. A failure is told by the sink itself when it seals.
    pub(crate) fn stage(&self, staged: Staged) -> Result<()> {
        self.0.send(Message::Stage(Box::new(staged))).map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Internal, "E-WRITER", "the Parquet writer stopped without saying why")
}

/// A hidden file went before it came into view. Nobody but its writer may touch it.
fn taken(path: &Path) -> Error {
    Error::new(ErrorKind::Data, "E-OUTPUT-GONE", format!("{} was taken away or replaced while it was written", path.display()))
}

impl Sink for ParquetSink {
    fn stage(&mut self, staged: Staged) -> Result<()> {
        if self.has_failed.load(Ordering::Acquire) {
            self.seal_all(staged.epoch)?;
        }
        self.send(Message::Stage(Box::new(staged)))
    }

    fn staged_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn seal(&mut self, epoch: u64) -> Result<Vec<PublishedFile>> {
        self.seal_all(epoch)
    }

    fn publish(&mut self, files: &[PublishedFile]) -> Result<()> {
        match show(&self.out, files)?.first() {
            None => Ok(()),
            Some(path) => Err(taken(path).hint("its rows are committed and in no file: start over with a new --out folder")),
        }
    }
}

impl Drop for ParquetSink {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // Whatever the writer still has to say concerns rows that nobody will commit.
            let _ = thread.join();
        }
    }
}

/// Renames sealed files into view. A file that is in view already is left alone. Gives those that are neither hidden nor in view:
/// a start may take it that somebody took them away after they had been published, a commit may not.
pub fn show(out: &Path, files: &[PublishedFile]) -> Result<Vec<PathBuf>> {
    let mut missing = Vec::new();
    for file in files {
        let folder = out.join(file.family.folder());
        let visible = folder.join(&file.name);
        match fs::rename(folder.join(hidden_name(&file.name)), &visible) {
            Ok(()) => failpoint!("after-file-rename"),
            Err(error) if error.kind() == io::ErrorKind::NotFound && visible.exists() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(visible),
            Err(error) => return Err(environment("rename", &visible, &error)),
        }
        if file.family == Family::Pages {
            show_copy(&out.join(PagesCopy::FOLDER), &file.name)?;
        }
    }
    let mut folders: Vec<_> = files.iter().map(|file| file.family.folder()).collect();
    folders.dedup();
    for folder in folders {
        sync_dir(&out.join(folder))?;
    }
    failpoint!("after-files-in-view");
    Ok(missing)
}

/// Renames the copy of a file of pages into view, where there is one that is not.
fn show_copy(folder: &Path, name: &str) -> Result<()> {
    let visible = folder.join(name);
    match fs::rename(folder.join(hidden_name(name)), &visible) {
        Ok(()) => sync_dir(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(environment("rename", &visible, &error)),
    }
}

/// Opens a file that a manifest names. It may be on its way into view just now, and it never goes back: so the name in view is
/// tried again after the hidden one.
pub fn open_published(out: &Path, family: Family, name: &str) -> io::Result<File> {
    look(&out.join(family.folder()), name, |path| File::open(path))
}

fn look<T>(folder: &Path, name: &str, mut open: impl FnMut(&Path) -> io::Result<T>) -> io::Result<T> {
    let (visible, hidden) = (folder.join(name), folder.join(hidden_name(name)));
    for path in [&visible, &hidden] {
        match open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
    }
    open(&visible)
}

/// The writer thread's own things.
struct Writer {
    out: PathBuf,
    pipeline: String,
    /// Names of the columns that are carried along.
    kept: Vec<String>,
    bytes: Arc<AtomicU64>,
    has_failed: Arc<AtomicBool>,
    open: Vec<OpenFile>,
    /// Whether pages are copied, and the copy under way.
    copies: bool,
    copy: Option<OpenFile>,
}

struct OpenFile {
    file: PublishedFile,
    hidden: Hidden,
    writer: ArrowWriter<Tally>,
}

/// A hidden file by its name, and by what tells it from another of that name: device and inode.
#[derive(Clone)]
struct Hidden {
    path: PathBuf,
    identity: (u64, u64),
}

impl Hidden {
    /// Creates it. Over a file of that name, whosever it is, nothing is written.
    fn create(path: PathBuf) -> Result<(Self, File)> {
        let failed = |error| environment("create", &path, &error);
        let file = File::create_new(&path).map_err(failed)?;
        let identity = identity(&file.metadata().map_err(failed)?);
        Ok((Self { path, identity }, file))
    }

    /// Whether its name still leads to it.
    fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|about| identity(&about) == self.identity)
    }
}

fn identity(about: &fs::Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

impl Writer {
    /// After a failure nothing more is written, and whoever seals gets to know why.
    fn run(mut self, messages: &Receiver<Message>) {
        let mut failure = None;
        for message in messages {
            match message {
                Message::Stage(staged) if failure.is_none() => {
                    if let Err(error) = self.stage(*staged) {
                        failure = Some(error);
                        self.has_failed.store(true, Ordering::Release);
                    }
                }
                Message::Stage(_) => {}
                Message::Seal { epoch, reply } => {
                    let sealed = match &failure {
                        Some(error) => Err(error.clone()),
                        None => self.seal(epoch),
                    };
                    // The loop waits for the answer, or is gone and needs none.
                    let _ = reply.send(sealed);
                }
            }
        }
        let hidden: Vec<_> = self.open.drain(..).chain(self.copy.take()).map(|open| open.hidden).collect();
        drop_hidden(&hidden);
    }

    fn stage(&mut self, staged: Staged) -> Result<()> {
        let epoch = staged.epoch;
        let Staged { sources, prepared, outcome, .. } = staged;
        if !outcome.lineage.is_empty() {
            self.write(Family::Lineage, epoch, &encode::lineage(&outcome.lineage, epoch))?;
        }
        if !prepared.rejects.is_empty() {
            self.write(Family::Rejects, epoch, &encode::rejects(&prepared.rejects, &sources))?;
        }
        if !prepared.pages.is_empty() {
            if self.copies {
                self.write_copy(epoch, &encode::original(&prepared.pages, &outcome))?;
            }
            let pages = encode::pages(prepared.pages, &outcome, &self.kept);
            self.write(Family::Pages, epoch, &pages)?;
        }
        failpoint!("after-stage");
        Ok(())
    }

    fn write(&mut self, family: Family, epoch: u64, rows: &RecordBatch) -> Result<()> {
        let index = match self.open.iter().position(|open| open.file.family == family) {
            Some(index) => index,
            None => {
                self.open.push(self.create(family, epoch)?);
                self.open.len() - 1
            }
        };
        let open = &mut self.open[index];
        open.writer.write(rows).map_err(|error| environment("write", &open.hidden.path, &error))?;
        open.file.rows += rows.num_rows() as u64;
        let bytes = self.open.iter().map(|open| open.writer.bytes_written() + open.writer.in_progress_size());
        self.bytes.store(bytes.sum::<usize>() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Writes pages to the copy; it begins with the file of pages that it copies, and has its name.
    fn write_copy(&mut self, epoch: u64, rows: &RecordBatch) -> Result<()> {
        let mut copy = match self.copy.take() {
            Some(copy) => copy,
            None => self.create_in(PagesCopy::FOLDER, (Family::Pages, epoch), rows.schema())?,
        };
        let written = copy.writer.write(rows).map_err(|error| environment("write", &copy.hidden.path, &error));
        self.copy = Some(copy);
        written
    }

    fn create(&self, family: Family, epoch: u64) -> Result<OpenFile> {
        self.create_in(family.folder(), (family, epoch), encode::schema(family, &self.kept))
    }

    fn create_in(&self, folder: &str, (family, epoch): (Family, u64), schema: SchemaRef) -> Result<OpenFile> {
        let file = PublishedFile { family, name: file_name(epoch, 0), epoch, rows: 0, bytes: 0, crc32: 0 };
        let (hidden, sink) = Hidden::create(self.out.join(folder).join(hidden_name(&file.name)))?;
        let options = ArrowWriterOptions::new()
            .with_properties(encode::properties(folder, &schema, &self.pipeline, epoch))
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Tally::new(sink), schema, options)
            .map_err(|error| environment("write", &hidden.path, &error))?;
        Ok(OpenFile { file, hidden, writer })
    }

    fn seal(&mut self, epoch: u64) -> Result<Vec<PublishedFile>> {
        let (open, copy) = (std::mem::take(&mut self.open), self.copy.take());
        let hidden: Vec<_> = open.iter().chain(&copy).map(|open| open.hidden.clone()).collect();
        let closed = self.close(copy.into_iter().collect(), epoch).and_then(|_copy| self.close(open, epoch));
        let sealed = closed.and_then(|files| match hidden.iter().find(|hidden| !hidden.is_there()) {
            None => Ok(files),
            Some(hidden) => {
                Err(taken(&hidden.path).hint("nothing of this roll was committed: run again to learn its rows again"))
            }
        });
        if sealed.is_err() {
            drop_hidden(&hidden);
        }
        sealed
    }

    fn close(&self, open: Vec<OpenFile>, epoch: u64) -> Result<Vec<PublishedFile>> {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for open in open {
            let OpenFile { mut file, hidden: Hidden { path, .. }, mut writer } = open;
            folders.extend(path.parent().map(Path::to_owned));
            file.epoch = epoch;
            // Not `into_inner`: it keeps no more than the text of an error, and a full disk would be no full disk.
            writer.finish().map_err(|error| environment("write", &path, &error))?;
            let tally = writer.inner();
            failpoint!("before-parquet-fsync");
            tally.file.sync_all().map_err(|error| environment("fsync", &path, &error))?;
            file.bytes = tally.bytes;
            file.crc32 = tally.crc32.clone().finalize();
            files.push(file);
        }
        files.sort_by_key(|file| file.family);
        folders.iter().try_for_each(|folder| sync_dir(folder))?;
        failpoint!("after-parquet-fsync");
        self.bytes.store(0, Ordering::Relaxed);
        Ok(files)
    }
}

/// Removes files that were never sealed: nobody will miss them, and a full disk needs the room.
fn drop_hidden(files: &[Hidden]) {
    for hidden in files.iter().filter(|hidden| hidden.is_there()) {
        // A file that cannot be removed now is removed by the next start.
        let _ = fs::remove_file(&hidden.path);
    }
}

/// A file that counts and checksums what is written to it. The Parquet writer has a buffer of its own.
struct Tally {
    file: File,
    bytes: u64,
    crc32: crc32fast::Hasher,
}

impl Tally {
    fn new(file: File) -> Self {
        Self { file, bytes: 0, crc32: crc32fast::Hasher::new() }
    }
}

impl io::Write for Tally {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.bytes += n as u64;
        self.crc32.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
