//! The progress line of long work, and what the process costs.
//!
//! Animated only on a terminal; elsewhere one plain line every ten seconds, so that a log shows that the work goes on.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use windrow_engine::eval::Standing;
use windrow_engine::observe::Progress;
use windrow_engine::run::Forecast;
use windrow_engine::source::extent::Extent;

use crate::term::{Term, text};

/// Time between two drawings on a terminal.
const DRAW: Duration = Duration::from_millis(200);
/// Time between two plain lines.
const LOG: Duration = Duration::from_secs(10);

/// Shows how far a run is.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    bar: Option<ProgressBar>,
    talks: bool,
    next: Duration,
    /// What there is to read: asked for once.
    extent: Option<Option<Extent>>,
    /// What was said of the rest.
    foretold: Option<Forecast>,
}

impl ProgressLine {
    /// A line for this terminal.
    pub(crate) fn new(term: &Term) -> Self {
        let bar = term.may_animate().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::stderr());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar
        });
        Self {
            next: if bar.is_some() { Duration::ZERO } else { LOG },
            bar,
            talks: term.may_talk(),
            extent: None,
            foretold: None,
        }
    }

    /// Draws the line of a run when it is time to.
    pub(crate) fn update(&mut self, progress: &Progress<'_>) {
        self.foretell(progress.forecast);
        if progress.elapsed < self.next || !self.talks {
            return;
        }
        let extent = *self.extent.get_or_insert_with(|| Extent::of(progress.positions));
        let share = extent.and_then(|extent| extent.share(progress.positions));
        self.draw(progress.elapsed, || message(progress, share));
    }

    /// Draws the line of other work on rows when it is time to.
    pub(crate) fn count(&mut self, rows: u64, elapsed: Duration) {
        self.draw(elapsed, || counts(rows, elapsed).join(" · "));
    }

    /// Draws the line of an evaluation when it is time to.
    pub(crate) fn trial(&mut self, standing: &Standing) {
        let Standing { trial: (at, of), rows, elapsed } = *standing;
        self.draw(elapsed, || {
            let which = (of > 1).then(|| format!("trial {at} of {of}"));
            which.into_iter().chain(counts(rows, elapsed)).collect::<Vec<_>>().join(" · ")
        });
    }

    /// Says what the rest needs, when there is a new word of it.
    fn foretell(&mut self, forecast: Option<Forecast>) {
        let Some(told) = forecast.filter(|_| self.talks && forecast != self.foretold) else { return };
        self.foretold = forecast;
        let said = if told.fits() { format!("needs {}", rest(&told)) } else { format!("warning: needs {}", rest(&told)) };
        match &self.bar {
            Some(bar) => bar.println(said),
            // Nobody is left to read it when stderr is closed: the work goes on.
            None => drop(writeln!(std::io::stderr(), "{said}")),
        }
    }

    fn draw(&mut self, elapsed: Duration, message: impl FnOnce() -> String) {
        if elapsed < self.next || !self.talks {
            return;
        }
        match &self.bar {
            Some(bar) => {
                bar.set_message(message());
                bar.tick();
                self.next = elapsed + DRAW;
            }
            None => {
                // Nobody is left to read it when stderr is closed: the work goes on.
                let _ = writeln!(std::io::stderr(), "{}", message());
                self.next = elapsed + LOG;
            }
        }
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What the rest of a run needs, for people.
pub(crate) fn rest(told: &Forecast) -> String {
    let time = told.seconds.map(|seconds| format!("about {} more, and ", text::seconds(seconds))).unwrap_or_default();
    let disk = format!("{time}about {} of disk", text::bytes(told.disk_bytes));
    match told.room {
        Some(room) if told.fits() => format!("{disk}; there is room for {}", text::bytes(room)),
        Some(room) => format!("{disk}; there is room for {} only, and the run will wait for more", text::bytes(room)),
        None => disk,
    }
}

fn message(progress: &Progress<'_>, share: Option<f64>) -> String {
    let mut parts = counts(progress.run.rows, progress.elapsed);
    if let Some(share) = share {
        let left = progress.elapsed.as_secs_f64() * (1.0 - share) / share.max(1e-3);
        parts.insert(0, format!("{:.0}%", share * 100.0));
        // Too early to tell: the first rows also pay for the start.
        if share > 0.02 {
            parts.push(format!("{} left", text::seconds(left)));
        }
    }
    let rejects = progress.run.n_rejects();
    if rejects > 0 {
        parts.push(text::counted(rejects, "reject"));
    }
    let summary = progress.pipeline.summary();
    parts.push(text::counted(summary.clusters.len() as u64, "cluster"));
    parts.push(text::counted(summary.micro_clusters.len() as u64, "theme"));
    if progress.epoch > 0 {
        parts.push(format!("commit {}", progress.epoch));
    }
    parts.extend(memory().map(|memory| text::bytes(memory.now)));
    parts.join(" · ")
}

fn counts(rows: u64, elapsed: Duration) -> Vec<String> {
    vec![text::counted(rows, "row"), format!("{}/s", text::count(rate(rows, elapsed.as_secs_f64())))]
}

/// Rows a second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
pub(crate) fn rate(rows: u64, seconds: f64) -> u64 {
    (rows as f64 / seconds.max(1e-3)).round() as u64
}

/// Memory of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident bytes.
    pub(crate) now: u64,
    /// Most resident bytes so far.
    pub(crate) peak: u64,
}

/// Memory of this process, where the system tells.
pub(crate) fn memory() -> Option<Memory> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse::<u64>().ok()? << 10)
    };
    Some(Memory { now: field("VmRSS")?, peak: field("VmHWM")? })
}
