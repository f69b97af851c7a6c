//! A program of ours that shows itself: started, and found by the URL that it prints first.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// It ends with us.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) token: String,
}

impl Served {
    /// Starts it at a free port, and takes the URL from its first line.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Self::fed(command, Stdio::null())
    }

    /// The same, with something to read.
    pub(crate) fn fed(command: &mut Command, input: Stdio) -> Result<Self> {
        let command = command.args(["--listen", "127.0.0.1:0"]).stdin(input).stdout(Stdio::piped());
        let mut served = Self { child: command.spawn()?, address: String::new(), token: String::new() };
        let mut url = String::new();
        BufReader::new(served.child.stdout.take().context("a pipe")?).read_line(&mut url)?;
        let parts = url.trim_end().strip_prefix("http://").and_then(|rest| rest.split_once("/?token="));
        let (address, token) = parts.with_context(|| format!("the first line is no URL: {url}"))?;
        (served.address, served.token) = (address.to_owned(), token.to_owned());
        Ok(served)
    }

    /// What it has printed.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.token)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
