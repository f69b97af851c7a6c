//! A client that knows no manners unless it is told to have them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::served::Served;
use crate::shell::{Watch, let_pass, memory};

/// How long a server may take to do anything at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Served {
    /// A connection on which nothing was said yet.
    pub(super) fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// The head of a request that may come in.
    pub(super) fn head(&self, method: &str, path: &str, more: &str) -> String {
        let (host, token) = (&self.address, &self.token);
        format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.say(&self.head("GET", path, ""))
    }

    pub(super) fn json(&self, path: &str) -> Result<Value> {
        let answer = self.get(path)?;
        serde_json::from_str(&answer.body).with_context(|| format!("{path}: {} {}", answer.status, answer.body))
    }

    /// Says something and reads the answer to its end; of one that has none, what there is of it.
    pub(super) fn say(&self, request: &str) -> Result<Answer> {
        let mut stream = self.connect()?;
        stream.write_all(request.as_bytes())?;
        answer(&mut stream)
    }

    /// Asks until the answer is as wanted.
    pub(super) fn until(&self, path: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let watch = Watch::start();
        loop {
            let body = self.get(path)?.body;
            if wanted(&body) {
                return Ok(body);
            }
            if watch.elapsed() > PATIENCE {
                bail!("{path} stays as it is: {body}");
            }
            let_pass(Duration::from_millis(100));
        }
    }

    /// Bytes that the process has in memory.
    pub(crate) fn memory(&self) -> Result<u64> {
        memory(self.child.id(), "VmRSS")
    }
}

/// Reads an answer. A server that ends the connection early has answered with what it sent.
pub(super) fn answer(stream: &mut TcpStream) -> Result<Answer> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
        }
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("\r\n\r\n") && ["text/event-stream", "x-ndjson"].iter().any(|kind| text.contains(kind)) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, body: body.to_owned() })
}
