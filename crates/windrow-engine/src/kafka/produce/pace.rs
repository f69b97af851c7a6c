//! When each row is due.

use std::time::Duration;

use windrow_core::record::Micros;

/// How fast rows go out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the broker takes them.
    Full,
    /// So many rows a second, evenly.
    Rate(f64),
    /// So many rows at once, then nothing until the time is over.
    Burst {
        /// Rows at once.
        rows: u64,
        /// Time from one burst to the next.
        every: Duration,
    },
    /// By the rows' own time, so many times as fast. Rows without a time, or with an earlier one, follow at once.
    EventTime {
        /// Seconds of the rows' time in a second.
        speed: f64,
    },
}

/// Says when each row is due, since the first one.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    first: Option<Micros>,
    latest: Micros,
}

impl Pacer {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, first: None, latest: 0 }
    }

    /// When row `n` of this call is due; `time` is asked for its own time only where that counts.
    pub(super) fn due(&mut self, n: u64, time: impl FnOnce() -> Option<Micros>) -> Duration {
        match self.pace {
            Pace::Full => Duration::ZERO,
            Pace::Rate(rate) => Duration::try_from_secs_f64(n as f64 / rate).unwrap_or(Duration::MAX),
            Pace::Burst { rows, every } => every.saturating_mul(u32::try_from(n / rows).unwrap_or(u32::MAX)),
            Pace::EventTime { speed } => {
                if let Some(time) = time() {
                    self.latest = if self.first.is_none() { time } else { self.latest.max(time) };
                    self.first = self.first.or(Some(time));
                }
                let passed = self.latest.saturating_sub(self.first.unwrap_or(self.latest)).max(0);
                Duration::try_from_secs_f64(passed as f64 / 1e6 / speed).unwrap_or(Duration::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(pace: Pace, times: &[Option<Micros>]) -> Vec<u64> {
        let mut pacer = Pacer::new(pace);
        (0..).zip(times).map(|(n, time)| pacer.due(n, || *time).as_millis() as u64).collect()
    }

    #[test]
    fn rows_are_due_by_rate_burst_or_their_own_time() {
        let none = [None; 5];
        assert_eq!(due(Pace::Full, &none), [0; 5]);
        assert_eq!(due(Pace::Rate(4.0), &none), [0, 250, 500, 750, 1_000]);
        assert_eq!(due(Pace::Burst { rows: 2, every: Duration::from_secs(60) }, &none), [0, 0, 60_000, 60_000, 120_000]);
        let times = [None, Some(5_000_000), Some(65_000_000), None, Some(35_000_000), Some(125_000_000)];
        assert_eq!(due(Pace::EventTime { speed: 60.0 }, &times), [0, 0, 1_000, 1_000, 1_000, 2_000]);
        assert_eq!(due(Pace::EventTime { speed: 1e-9 }, &[Some(0), Some(i64::MAX)])[0], 0);
    }
}
