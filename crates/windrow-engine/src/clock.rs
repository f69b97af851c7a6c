//! The only file that reads the time, or asks the machine for chance.

use std::fs::File;
use std::io::Read as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use windrow_core::record::Micros;

use crate::error::{Error, ErrorKind, Result};

/// Time as an argument.
pub trait Clock: Send + Sync {
    /// Wall clock, for people and files.
    fn now(&self) -> Micros;
    /// Time since the clock was made; never goes back.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    #[expect(clippy::new_without_default, reason = "starting a clock is an act, not a default")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Micros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// 32 hexadecimal digits that nobody else has: names of pipelines and requests, never an answer.
pub fn entropy() -> Result<String> {
    let mut bytes = [0_u8; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| Error::new(ErrorKind::Environment, "E-IO", "cannot read /dev/urandom").cause(error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
