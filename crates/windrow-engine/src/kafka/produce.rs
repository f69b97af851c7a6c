//! `produce`: rows of files become messages of a topic, each exactly once, however often it is stopped.
//!
//! Rows go out in transactions of half a second. Each transaction also holds how many rows of the input are done, as the offset of
//! a consumer group of its own: messages and count are there together or not at all, so the next call goes on behind the last
//! committed row. The count belongs to topic and inputs; another input of the same name is refused. An input that is begun again is
//! counted anew, so that rows which are added to it are met.
//!
//! Messages carry the time of sending: brokers delete by it, and rows of ten years ago would be gone at once.

mod line;
mod message;
mod pace;

use std::time::Duration;

use windrow_core::clean::clean;
use windrow_core::record::{Reject, RejectReason, Row};
use xxhash_rust::xxh3::Xxh3;

use crate::batch::RawBatch;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::run::{Control, Ended};
use crate::settings::ClientKeys;
use crate::sink::topics::ValueShape;
use crate::source::file::FileSource;
use crate::source::parse::Parser;
use crate::source::pipe;
use crate::source::written::Written;
use crate::source::{self, Asked, Chain, Limits, Positions, Source, Wanted};

use line::Line;
pub use pace::Pace;
use pace::Pacer;

/// Longest transaction.
const LONGEST: Duration = Duration::from_millis(500);
/// Most rows of a transaction.
const MOST_ROWS: u64 = 10_000;
/// How long a wait takes at a time, so that a wish to stop is heard.
const STEP: Duration = Duration::from_millis(50);

pub use crate::source::pipe::STDIN;

/// What is to be sent, where, how fast.
#[derive(Debug, Clone)]
pub struct Order {
    /// Files, directories, globs or `generator:…`; or [`STDIN`] alone.
    pub inputs: Vec<String>,
    /// What the inputs call our columns.
    pub columns: String,
    /// How files are written, as far as it is said; standard input is plain CSV.
    pub files: Asked,
    /// Bytes of the longest record.
    pub max_record_bytes: u64,
    /// Bytes that may come of one of a compressed file's; 0 for any number.
    pub max_unpacked: u64,
    /// Where to.
    pub topic: String,
    /// How messages are written.
    pub value: ValueShape,
    /// How fast.
    pub pace: Pace,
    /// Whether the input begins again when it ends.
    pub repeat: bool,
    /// Most rows of this call.
    pub limit: Option<u64>,
    /// Whether to begin at the first row, whatever was sent before.
    pub anew: bool,
}

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Why it ended.
    pub ended: Ended,
    /// Rows of the input that earlier calls had done; in its last round, where it was begun again.
    pub resumed_at: u64,
    /// Rows of the input that are done now; in its last round too.
    pub done: u64,
    /// Rows sent by this call.
    pub rows: u64,
    /// Rows that cannot be messages, by reason, in the order of [`RejectReason::ALL`].
    pub left_out: [u64; RejectReason::ALL.len()],
    /// Time taken.
    pub elapsed: Duration,
}

/// Sends rows until the input ends, the limit is reached, or `control` says stop. `observer` is called after every batch read, and often while
/// the next row is waited for.
pub fn produce(
    keys: &ClientKeys,
    order: &Order,
    clock: &dyn Clock,
    control: &Control,
    observer: &mut dyn FnMut(u64, Duration),
) -> Result<Sent> {
    let is_stdin = order.inputs.iter().any(|input| input == STDIN);
    if is_stdin && (order.inputs.len() > 1 || order.repeat) {
        let message = "standard input is sent alone, and once";
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-STDIN", message).hint("give `-` without other inputs and --loop"));
    }
    let mut reader = Reader::open(order)?;
    let line = Line::open(keys, order, reader.identity, control)?;
    // What cannot be read again has no row to go on behind.
    let done = if order.anew || is_stdin { 0 } else { line.done()? };
    let mut sending = Sending::new(line, order, done, clock, control, observer);
    let (mut parser, mut skip, mut rounds) = (Parser::new(), done, 0);
    let ended = 'all: loop {
        let Some(raw) = reader.next(order)? else { break Ended::EndOfInput };
        if reader.rounds > rounds {
            rounds = reader.rounds;
            sending.sent.done = skip;
        }
        for row in parser.parse(&raw) {
            if skip > 0 {
                skip -= 1;
            } else if let Some(ended) = sending.take(&row)? {
                break 'all ended;
            }
        }
        sending.tell();
        if raw.is_nothing()
            && let Some(ended) = sending.rest()?
        {
            break ended;
        }
    };
    sending.finish(ended)
}

/// The rows of standard input.
pub(crate) fn open_stdin(columns: &str, files: Asked, limits: Limits) -> Result<Box<dyn Source>> {
    if !files.others(Written::USUAL).is_empty() {
        let message = "standard input is read as CSV with commas, in UTF-8";
        return Err(Error::new(ErrorKind::Invalid, "E-INPUT-STDIN", message)
            .hint("write what is written otherwise to a file first, or leave out --input-format, --delimiter and --encoding"));
    }
    let source = FileSource::of_pipe(pipe::stdin()?, &columns.parse()?, limits)?;
    Ok(source.map_or_else(|| Box::<Chain>::default() as Box<dyn Source>, |source| Box::new(source)))
}

/// The inputs, over and over if that is wanted.
struct Reader {
    source: Box<dyn Source>,
    /// Hash of who the inputs are.
    identity: u64,
    /// Whether this pass has given anything: an empty input is not begun again for ever.
    gave: bool,
    /// How often it was begun again.
    rounds: u64,
}

impl Reader {
    fn open(order: &Order) -> Result<Self> {
        let limits = Limits::of_records(order.max_record_bytes).unpacking(order.max_unpacked);
        let mut positions = Positions::default();
        if order.inputs == [STDIN] {
            let source = open_stdin(&order.columns, order.files, limits)?;
            return Ok(Self { source, identity: 0, gave: false, rounds: 0 });
        }
        let wanted = Wanted::once(&order.inputs, &order.columns, order.files, limits);
        let source = source::open(wanted, &mut positions)?.take();
        let mut hasher = Xxh3::new();
        for source in &positions.sources {
            hasher.update(source.name.as_bytes());
            // The head of a short file changes when the file grows.
            if source.head_len == source::HEAD || source.head_len == 0 {
                hasher.update(&source.head_hash.to_le_bytes());
            }
        }
        Ok(Self { source, identity: hasher.digest(), gave: false, rounds: 0 })
    }

    fn next(&mut self, order: &Order) -> Result<Option<RawBatch>> {
        let batch = self.source.next()?;
        if batch.is_none() && order.repeat && self.gave {
            *self = Self { rounds: self.rounds + 1, ..Self::open(order)? };
            return self.next(order);
        }
        self.gave |= batch.is_some();
        Ok(batch)
    }
}

/// Rows on their way, in transactions.
struct Sending<'a> {
    line: Line,
    pacer: Pacer,
    limit: u64,
    value: ValueShape,
    clock: &'a dyn Clock,
    control: &'a Control,
    observer: &'a mut dyn FnMut(u64, Duration),
    started: Duration,
    /// When the open transaction began, and the rows that it holds.
    begun: Duration,
    open_rows: u64,
    sent: Sent,
    text: Vec<u8>,
}

impl<'a> Sending<'a> {
    fn new(
        line: Line,
        order: &Order,
        resumed_at: u64,
        clock: &'a dyn Clock,
        control: &'a Control,
        observer: &'a mut dyn FnMut(u64, Duration),
    ) -> Self {
        let left_out = Default::default();
        let ended = Ended::EndOfInput;
        let sent = Sent { ended, resumed_at, done: resumed_at, rows: 0, left_out, elapsed: Duration::ZERO };
        let (started, limit, value) = (clock.elapsed(), order.limit.unwrap_or(u64::MAX), order.value);
        let pacer = Pacer::new(order.pace);
        let (text, begun) = (Vec::new(), started);
        Self { line, pacer, limit, value, clock, control, observer, started, begun, open_rows: 0, sent, text }
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.started)
    }

    /// Says how far it is.
    fn tell(&mut self) {
        let elapsed = self.elapsed();
        (self.observer)(self.sent.rows, elapsed);
    }

    /// Rows that this call has done: sent, or left out.
    fn done(&self) -> u64 {
        self.sent.rows + self.sent.left_out.iter().sum::<u64>()
    }

    /// Sends one row when it is due; says why to end, if so.
    fn take(&mut self, row: &std::result::Result<Row<'_>, Reject>) -> Result<Option<Ended>> {
        if self.done() == self.limit {
            return Ok(Some(Ended::EndOfInput));
        }
        let time = || clean(row.as_ref().ok()?).ok()?.creation_time;
        let due = self.pacer.due(self.done(), time);
        if let Some(ended) = self.wait(due)? {
            return Ok(Some(ended));
        }
        if self.open_rows == 0 {
            self.line.begin()?;
            self.begun = self.elapsed();
        }
        self.open_rows += 1;
        self.sent.done += 1;
        match self.message(row) {
            Ok(()) if self.line.send(&self.text)? => self.sent.rows += 1,
            Ok(()) => self.leave_out(RejectReason::TooLong),
            Err(reason) => self.leave_out(reason),
        }
        Ok(None)
    }

    fn message(&mut self, row: &std::result::Result<Row<'_>, Reject>) -> std::result::Result<(), RejectReason> {
        self.text.clear();
        message::write(row.as_ref().map_err(|reject| reject.reason)?, self.value, &mut self.text)
    }

    fn leave_out(&mut self, reason: RejectReason) {
        self.sent.left_out[reason.place()] += 1;
    }

    /// Waits until a row is due, committing what would wait with it. Says why to end, if somebody wants that meanwhile.
    fn wait(&mut self, due: Duration) -> Result<Option<Ended>> {
        loop {
            if let Some(ended) = self.control.asked() {
                return Ok(Some(ended));
            }
            let now = self.elapsed();
            if due > now + STEP || now.saturating_sub(self.begun) >= LONGEST || self.open_rows >= MOST_ROWS {
                self.commit()?;
            }
            if due <= now {
                return Ok(None);
            }
            // A burst, or the rows' own time, may be minutes away.
            self.tell();
            self.line.pause(due.saturating_sub(now).min(STEP));
        }
    }

    /// There is no row now: what waits is committed in time. Says why to end, if somebody wants that.
    fn rest(&mut self) -> Result<Option<Ended>> {
        let now = self.elapsed();
        self.wait(now)
    }

    fn commit(&mut self) -> Result<()> {
        if self.open_rows > 0 {
            self.line.commit(self.sent.done)?;
            self.open_rows = 0;
        }
        Ok(())
    }

    fn finish(mut self, ended: Ended) -> Result<Sent> {
        self.commit()?;
        let elapsed = self.elapsed();
        Ok(Sent { ended, elapsed, ..self.sent })
    }
}
