//! A picture that is redrawn in place, without flicker: one write a frame, lines overwritten, never cleared first.

use std::io::{self, Write as _};

use super::Term;
use crate::cmd::Failure;

/// A picture at the foot of the terminal. Off where stdout is no terminal.
#[derive(Debug)]
pub(crate) struct Live {
    is_on: bool,
    /// Lines of the picture that stands there.
    drawn: usize,
}

impl Live {
    /// A picture for this terminal.
    pub(crate) fn new(term: &Term) -> Self {
        Self { is_on: term.is_live(), drawn: 0 }
    }

    /// Whether it draws at all.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Draws `lines` over the last picture. Lines must fit the terminal.
    pub(crate) fn draw(&mut self, lines: &[String]) -> Result<(), Failure> {
        if !self.is_on {
            return Ok(());
        }
        // Begin a synchronised update, hide the cursor, cut lines instead of wrapping them, go to the first line of the last picture.
        let mut frame = String::from("\x1b[?2026h\x1b[?25l\x1b[?7l");
        if self.drawn > 0 {
            frame.push_str(&format!("\x1b[{}F", self.drawn));
        }
        for line in lines {
            frame.push_str(line);
            frame.push_str("\x1b[K\n");
        }
        frame.push_str("\x1b[J\x1b[?7h\x1b[?2026l");
        self.drawn = lines.len();
        let mut out = io::stdout().lock();
        out.write_all(frame.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Leaves the picture where it is and gives the cursor back.
    pub(crate) fn leave(&mut self) {
        if self.drawn > 0 {
            // The terminal may be gone: nothing left to tidy then.
            let _ = io::stdout().write_all(b"\x1b[?25h").and_then(|()| io::stdout().flush());
            self.drawn = 0;
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.leave();
    }
}
