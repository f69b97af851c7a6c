//! The loop: read -> learn -> write -> commit -> observe, on one thread.
//!
//! ```text
//! inputs ── batches, in order ──> learn ──> sink (hidden files)        a step: `Work::learn`
//! inbox  ── edits ──> log ──────> edit  ──> sink                       between steps: `Work::take_edits`
//!                                 roll: files, model, manifest         when due: `Work::roll`
//! ```
//!
//! Only this thread mutates the model. Staging is reversible; the rename of the manifest in a roll is the only step that is not.

pub(crate) mod block;
pub(crate) mod cut;
mod edit;
mod forecast;
pub(crate) mod inputs;
mod standby;
pub(crate) mod waits;
mod work;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use windrow_core::clean::Rules;
use windrow_core::cluster::ModelSettings;
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::WatchSettings;

use crate::checkpoint::life::Life;
use crate::checkpoint::manifest::Manifest;
use crate::checkpoint::{self, Opened};
use crate::clock::Clock;
use crate::disk::{self, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::kafka::commits::{self, Commit};
use crate::kafka::writer::ENDED;
use crate::observe::{Counters, Observer};
use crate::sink::Sink;
use crate::sink::parquet::{PagesCopy, ParquetSink};
use crate::sink::topics::{self, Claims, TopicOutput, TopicSink};
use crate::source::kafka::TopicInput;
use crate::source::{Asked, Keep};

pub use edit::{Edited, Effect, Taken, edit, not_alive, preview};
pub use forecast::Forecast;
pub use standby::{STOPPED, Standing, stand_by, standbys};
pub use waits::Told;
use waits::{Waits, Who};
use work::Work;

/// What a run is to do: everything that the engine needs to know, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Files, globs, directories, or `generator:…`.
    pub inputs: Vec<String>,
    /// A topic to read.
    pub topic: Option<TopicInput>,
    /// Topics that pages go to besides Parquet.
    pub output: Option<TopicOutput>,
    /// What the inputs call our columns, where they differ: `url=landing_page,title=name`.
    pub columns: String,
    /// Which other columns are carried along. They need new state.
    pub keep: Keep,
    /// Whether files are followed: read on as they grow, are renamed and made anew, and as new ones come.
    pub follow: bool,
    /// How files are written, as far as it is said; one that was read before is read on as it was.
    pub files: Asked,
    /// Bytes of the longest record; a longer one is a reject. Another value needs new state.
    pub max_record_bytes: u64,
    /// Bytes that may come of one of a compressed file's; 0 for any number.
    pub max_unpacked: u64,
    /// Which rows are wanted; they need new state.
    pub rules: Rules,
    /// Folder of the outputs.
    pub out: PathBuf,
    /// Folder of the state; `OUT/.windrow` when none is given.
    pub state: Option<PathBuf>,
    /// What lies beside our own Parquet.
    pub copy: PagesCopy,
    /// Settings of the model; they need new state.
    pub model: ModelSettings,
    /// Weights of the fields; they need new state.
    pub weights: FieldWeights,
    /// False alarms about drift in a million pages; another number needs new state. None: as the state has it, and no watch where it has none.
    pub false_alarms: Option<f64>,
    /// Threads that parse and prepare, at least 1.
    pub threads: usize,
    /// When to roll.
    pub roll: Roll,
    /// Memory that rows in flight may take.
    pub memory_bytes: u64,
    /// Bytes that stay free on the disks of output and state: below it a run waits.
    pub free_disk: u64,
    /// Whether inputs that have nothing to do with the known ones are welcome (`--new`).
    pub accept_new: bool,
}

impl Job {
    /// These inputs into that folder, with what is built in, on one thread.
    pub fn new(inputs: Vec<String>, out: PathBuf) -> Self {
        Self {
            inputs,
            topic: None,
            output: None,
            columns: String::new(),
            keep: Keep::default(),
            follow: false,
            files: Asked::default(),
            max_record_bytes: 1 << 20,
            max_unpacked: 500,
            rules: Rules::default(),
            out,
            state: None,
            copy: PagesCopy::None,
            model: ModelSettings::default(),
            weights: FieldWeights::default(),
            false_alarms: Some(WatchSettings::default().false_alarms),
            threads: 1,
            roll: Roll::default(),
            memory_bytes: 64 << 20,
            free_disk: 0,
            accept_new: false,
        }
    }
}

impl Job {
    /// How long a row may wait for its block, where rows come live.
    fn longest_wait(&self) -> Option<Duration> {
        let is_live = self.follow || self.topic.as_ref().is_some_and(|topic| !topic.until_end);
        is_live.then(|| self.output.as_ref().map_or(BLOCK_WAIT, |output| output.epoch))
    }
}

/// When Parquet files, model snapshot and manifest become visible together: whatever comes first, and at the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roll {
    /// Rows since the last roll.
    pub rows: u64,
    /// Bytes of Parquet since the last roll.
    pub bytes: u64,
    /// Time since the last roll.
    pub age: Duration,
}

impl Default for Roll {
    fn default() -> Self {
        Self { rows: u64::MAX, bytes: 128 << 20, age: Duration::from_secs(300) }
    }
}

/// How others speak to a running loop. Safe in a signal handler.
#[derive(Default)]
pub struct Control {
    asked: AtomicU8,
    /// When somebody who waits for brokers found that it was asked for.
    found: OnceLock<Duration>,
    waits: Waits,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("asked", &self.asked()).finish_non_exhaustive()
    }
}

impl Control {
    /// Names who is told why a run waits; the first one named stays.
    pub fn on_wait(&self, listener: impl Fn(Told<'_>) + Send + Sync + 'static) {
        self.waits.listen(listener);
    }

    /// Says why the run waits, and waits; not when it is asked to end.
    fn wait(&self, error: &Error, time: Duration) {
        let mut waited = Duration::ZERO;
        while waited < time && self.asked().is_none() {
            self.waits.because(Who::Run, || error.clone());
            let _ = crossbeam_channel::never::<()>().recv_timeout(POLL);
            waited += POLL;
        }
    }

    /// Says that a disk is full, and waits until there is room enough and more than there was; it is tried once more after a while in any
    /// case, for not every limit shows there.
    fn wait_for_room(&self, error: &Error, room: &Room) {
        let (before, mut waited) = (room.left(), Duration::ZERO);
        let has_more = |waited| waited >= LONGEST_WAIT || room.left() > before.map(|before| before + MORE_ROOM);
        while self.asked().is_none() && (room.check().is_err() || !has_more(waited)) {
            self.waits.because(Who::Run, || error.clone());
            let _ = crossbeam_channel::never::<()>().recv_timeout(POLL);
            waited += POLL;
        }
    }

    /// Who is told of waits.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Asks the loop to roll and come back.
    pub fn stop(&self) {
        self.asked.fetch_max(1, Ordering::AcqRel);
    }

    /// The same, because somebody pressed Ctrl-C.
    pub fn interrupt(&self) {
        self.asked.fetch_max(2, Ordering::AcqRel);
    }

    /// Whether anything was asked for.
    pub fn is_asked(&self) -> bool {
        self.asked().is_some()
    }

    /// Whether whoever waits for brokers has waited long enough: some time after the run was asked to end.
    pub(crate) fn gives_up(&self) -> bool {
        let now = self.waits.elapsed();
        self.is_asked() && now.saturating_sub(*self.found.get_or_init(|| now)) >= HURRIED
    }

    /// What the loop was asked for.
    pub fn asked(&self) -> Option<Ended> {
        match self.asked.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Ended::Stopped),
            _ => Some(Ended::Interrupted),
        }
    }
}

/// Why a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The input was read through.
    EndOfInput,
    /// [`Control::stop`] was called; everything learnt is committed.
    Stopped,
    /// [`Control::interrupt`] was called; everything learnt is committed.
    Interrupted,
}

impl Ended {
    /// The code in `state/last.json`.
    pub fn code(self) -> &'static str {
        match self {
            Self::EndOfInput => "end_of_input",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
        }
    }

    /// The exit code of a command whose run ended so. Being stopped is what a service manager asks for, and no failure.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::EndOfInput | Self::Stopped => 0,
            Self::Interrupted => 130,
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Why it ended.
    pub ended: Ended,
    /// Counts of this run alone.
    pub run: Counters,
    /// Counts of the pipeline's whole life.
    pub total: Counters,
    /// Last committed epoch; 0 when nothing was ever committed.
    pub epoch: u64,
    /// What was noticed and need not stop the run: a snapshot passed over, hidden files dropped. One sentence each.
    pub notes: Vec<String>,
    /// Time that the run took.
    pub elapsed: Duration,
}

/// How long the loop waits for a batch before it looks for edits, a due roll, or the wish to stop.
const POLL: Duration = Duration::from_millis(100);
/// How long a row that comes live waits for its block where no epoch says it.
const BLOCK_WAIT: Duration = Duration::from_millis(500);
/// How long a run that is to end waits for brokers.
pub(crate) const HURRIED: Duration = Duration::from_secs(5);
/// How long a run waits before it begins again, and how long at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Room that has come since a disk was full, from which on it is worth a try.
const MORE_ROOM: u64 = 1 << 20;
/// How long a run whose transaction was ended waits at least: whoever has taken over has claimed the topics by then. To begin again before would
/// take over from it.
const CLAIMED: Duration = Duration::from_secs(5);

/// Runs the pipeline to the end of its input, or until it is told to stop. `observer` is called after every batch,
/// and while none comes.
///
/// When brokers end a transaction or cannot be reached any more, the run begins again from the last commit, as a new process would, as
/// often as it takes; and so when a disk is full, once there is room. The folders stay its own meanwhile: no standby could do more, and two
/// would take turns without end.
pub fn run(job: &Job, clock: &dyn Clock, control: &Control, observer: &mut Observer<'_>) -> Result<Summary> {
    inputs::check_stdin(job)?;
    let owned = Arc::new(checkpoint::own(job, clock)?);
    let mut room = Room::of([owned.layout().out.clone(), owned.layout().state.clone()], job.free_disk);
    // A state that cannot be opened says no more of the last run than that run did.
    let mut opened = room.check().and_then(|()| checkpoint::open(job, &owned)).inspect_err(|error| {
        // What belongs to another output is not told of this call. It is a word for people: that it cannot be left is no error of its own.
        if error.code != "E-STATE-OTHER" {
            let _ = Life::refuse(owned.layout(), clock, error);
        }
    })?;
    control.waits.keep(owned.layout(), Life::begin(owned.layout(), clock)?);
    let (mut before, mut claims, mut wait) = (None, Claims::none()?, FIRST_WAIT);
    let mut summary = 'runs: loop {
        let pipeline = opened.store.manifest().pipeline.clone();
        let mut attempt =
            Attempt { job, clock, control, before: &mut before, claims: &mut claims, room: &mut room, has_worked: false };
        // What has become of the folders says more than what could not be done in them.
        let told = |error| owned.check().err().filter(|moved| moved.code == checkpoint::lock::MOVED).unwrap_or(error);
        let mut summary = attempt.go_on(opened, observer).map_err(told);
        let mut has_worked = attempt.has_worked;
        opened = loop {
            if before.is_some() {
                // These settings have worked: a broker that ends connections wants nothing else, it stops.
                summary = summary.map_err(Error::without_guess);
            }
            match &summary {
                Err(error) if before.is_some() && error.code == disk::FULL && control.asked().is_none() => {
                    control.wait_for_room(error, &room);
                }
                Err(error) if before.is_some() && error.may_pass() && control.asked().is_none() => {
                    wait = if has_worked { FIRST_WAIT } else { (wait * 2).min(LONGEST_WAIT) };
                    control.wait(error, if error.code == ENDED { wait.max(CLAIMED) } else { wait });
                }
                _ => break 'runs summary,
            }
            if control.is_asked() {
                break 'runs summary;
            }
            // Before anything in the folders is touched: they may be another's by now.
            let ours = owned.check().and_then(|()| still_ours(job, &pipeline, &claims, control));
            match ours.and_then(|()| checkpoint::open(job, &owned)) {
                Ok(again) => break again,
                Err(error) => (summary, has_worked) = (Err(error), false),
            }
        };
    };
    if let Some((layout, life)) = control.waits.release() {
        let told = life.end(&layout, clock, summary.as_ref().map(|summary| summary.ended));
        if let (Ok(summary), Err(error)) = (&mut summary, told) {
            summary.notes.push(format!("how the run ended could not be written down: {}", error.message));
        }
    }
    summary
}

/// One try to run, from what is committed on.
struct Attempt<'a> {
    job: &'a Job,
    clock: &'a dyn Clock,
    control: &'a Control,
    /// Counts of the pipeline's life when the run began, once it had.
    before: &'a mut Option<Counters>,
    /// Its claims to the topics.
    claims: &'a mut Claims,
    /// What there must be on the disks.
    room: &'a mut Room,
    /// Whether anything was learnt.
    has_worked: bool,
}

impl Attempt<'_> {
    fn go_on(&mut self, opened: Opened, observer: &mut Observer<'_>) -> Result<Summary> {
        let Self { job, clock, control, .. } = *self;
        let (mut sink, commits) = open_sink(job, opened.store.manifest(), control, self.claims)?;
        let mut work = Work::new(job, opened, sink.as_mut(), clock);
        if let Some(ended) = work.learn_again(&commits, job, control, observer)? {
            work.begin(self.before);
            return Ok(work.summary(ended));
        }
        let mut reader = work.start(job, &control.waits)?;
        work.begin(self.before);
        control.waits.all_go_on();
        // What is followed has no end: what was there at the beginning says nothing of it.
        let forecast = if job.follow { None } else { work.expect(self.room) };
        forecast.into_iter().for_each(|forecast| control.waits.foretell(forecast));
        let epoch = job.output.as_ref().map(|output| output.epoch);
        let ended = loop {
            if let Some(ended) = control.asked() {
                break Ok(ended);
            }
            if let Err(error) = self.room.look(clock.elapsed()) {
                break Err(error);
            }
            work.take_edits()?;
            match reader.events().recv_timeout(epoch.unwrap_or(POLL).min(POLL)) {
                Ok(Event::Batch(batch)) => work.learn(*batch, observer)?,
                // Files have come, or names stand for others now.
                Ok(Event::End) if job.follow => match work.start_anew(job, &control.waits) {
                    Ok(anew) => reader = anew,
                    Err(error) => break Err(error),
                },
                Ok(Event::End) => {
                    work.end_block(observer)?;
                    break Ok(Ended::EndOfInput);
                }
                Ok(Event::Failed(error)) => break Err(error),
                Err(RecvTimeoutError::Timeout) => work.tell(&[], observer),
                Err(RecvTimeoutError::Disconnected) => break Err(gone()),
            }
            self.has_worked = true;
            work.end_late_block(observer)?;
            work.look_ahead().into_iter().for_each(|forecast| control.waits.foretell(forecast));
            if work.is_due(&job.roll) {
                work.roll()?;
                self.room.has_changed();
            } else if epoch.is_some_and(|epoch| work.is_epoch_due(epoch)) {
                work.end_epoch()?;
            }
        };
        drop(reader);
        // A client that has lost its brokers is not waited for either: the next attempt has a new one.
        let is_hurried = match &ended {
            Ok(ended) => *ended != Ended::EndOfInput,
            Err(error) => error.may_pass(),
        };
        if is_hurried {
            work.hurry();
        }
        // What was learnt before the input failed is good, and committed like the rest.
        work.finish(matches!(ended, Ok(Ended::EndOfInput)))?;
        work.tell_left(job);
        Ok(work.summary(ended?))
    }
}

/// Refuses to begin again when another process has claimed the topics since we did.
fn still_ours(job: &Job, pipeline: &str, claims: &Claims, control: &Control) -> Result<()> {
    job.output.as_ref().map_or(Ok(()), |output| claims.check(output, pipeline, control))
}

/// The sinks of a job, and what is committed behind the last roll. Where topics are written, everybody who wrote them before is fenced.
fn open_sink<'c>(
    job: &Job,
    manifest: &Manifest,
    control: &'c Control,
    claims: &mut Claims,
) -> Result<(Box<dyn Sink + 'c>, Vec<Commit>)> {
    let parquet = ParquetSink::keeping(&job.out, &manifest.pipeline, job.keep.names(), job.copy)?;
    let Some(output) = &job.output else { return Ok((Box::new(parquet), Vec::new())) };
    let claim = topics::claim(output, &manifest.pipeline, claims, control)?;
    let commits = match manifest.commits {
        Some(offset) => commits::read(&claim.broker, &manifest.pipeline, manifest.epoch, offset, control)?,
        None => Vec::new(),
    };
    let closed_until = commits.last().map_or(manifest.epoch, |commit| commit.epoch);
    Ok((
        Box::new(TopicSink::open(output, claim, parquet, (&manifest.pipeline, job.keep.names()), (closed_until, control))?),
        commits,
    ))
}

fn gone() -> Error {
    Error::new(ErrorKind::Internal, "E-READER", "the reading threads stopped without saying why")
}
