//! Edits: what users do to the model, from the inbox over the log into the order.
//!
//! ```text
//! windrow clusters rename ──> state/edits/<request>.json      written whole by any process
//! loop, between batches   ──> state/edits.jsonl               one checksummed line with its position, fsynced
//!                         ──> Pipeline::edit                  only now
//!                         ──> the request is removed; a refused one leaves <request>.refused with the reason
//! ```
//!
//! A kill anywhere in between neither loses nor doubles an edit: the log knows the names of the requests that it took. The manifest
//! counts the edits that its snapshot holds; those behind are applied again at their positions, like rows.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windrow_core::lineage::Edit;

use crate::checkpoint::files::{self, environment};
use crate::checkpoint::manifest::damaged;
use crate::checkpoint::refused;
use crate::clock::{Clock, entropy};
use crate::error::{Error, Result};
use crate::failpoint::failpoint;

/// An edit with its place in the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedEdit {
    /// Name of the request.
    pub request: String,
    /// Pages learnt before it.
    pub position: u64,
    /// What to do.
    #[serde(flatten)]
    pub edit: Edit,
}

/// The log of edits and the inbox before it.
#[derive(Debug)]
pub struct EditLog {
    path: PathBuf,
    inbox: PathBuf,
    file: Option<File>,
    requests: BTreeSet<String>,
    n_edits: u64,
}

impl EditLog {
    /// Opens the log and gives its edits, oldest first. `committed` of them are in the manifest. A last line without a line end
    /// is torn: it was never applied, and its request still lies in the inbox. It is cut off, and the note says so.
    pub fn open(path: &Path, inbox: &Path, committed: u64) -> Result<(Self, Vec<PlacedEdit>, Option<String>)> {
        files::create_dir(inbox)?;
        let bytes = files::read_if_there(path)?.unwrap_or_default();
        let mut edits: Vec<PlacedEdit> = Vec::new();
        let (mut at, mut note) = (0, None);
        while at < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[at..]).map(|len| at + len + 1);
            match end.and_then(|end| decode(&bytes[at..end])) {
                Some(edit) => edits.push(edit),
                None if end.is_none() && edits.len() as u64 >= committed => {
                    note = Some(format!("the last line of {} was torn and is cut off", path.display()));
                    files::replace(path, &bytes[..at])?;
                    break;
                }
                None => return Err(damaged_line(path, edits.len() as u64 + 1, committed)),
            }
            at = end.unwrap_or(bytes.len());
        }
        if (edits.len() as u64) < committed {
            return Err(damaged(path, &format!("it holds {} edits, the manifest knows of {committed}", edits.len())));
        }
        let requests = edits.iter().map(|edit| edit.request.clone()).collect();
        let log = Self { path: path.to_owned(), inbox: inbox.to_owned(), file: None, requests, n_edits: edits.len() as u64 };
        Ok((log, edits, note))
    }

    /// Edits in the log.
    pub fn len(&self) -> u64 {
        self.n_edits
    }

    /// Whether nobody ever edited.
    pub fn is_empty(&self) -> bool {
        self.n_edits == 0
    }

    /// Takes what lies in the inbox into the log, at this position. The edits given back are durable: apply them, then call
    /// [`EditLog::settle`]. A request that cannot be read is refused, and named in `notes`.
    pub fn take(&mut self, position: u64, notes: &mut Vec<String>) -> Result<Vec<PlacedEdit>> {
        let mut taken = Vec::new();
        for request in waiting(&self.inbox)? {
            let path = path_of(&self.inbox, &request);
            if self.requests.contains(&request) {
                files::remove(&path)?;
                continue;
            }
            let Some(bytes) = files::read_if_there(&path)? else { continue };
            match serde_json::from_slice::<Edit>(&bytes) {
                Ok(edit) => taken.push(PlacedEdit { request, position, edit }),
                Err(error) => {
                    let reason = format!("it cannot be read: {error}");
                    refused::note(&self.inbox, &request, &bytes, &reason)?;
                    files::remove(&path)?;
                    notes.push(format!("the edit {request} was refused: {reason}"));
                }
            }
        }
        if !taken.is_empty() {
            self.append(&taken)?;
        }
        Ok(taken)
    }

    /// Leaves word for whoever asked that an edit was refused.
    pub fn refuse(&self, edit: &PlacedEdit, reason: &str) -> Result<()> {
        let asked = serde_json::to_vec(&edit.edit).expect("plain data serializes");
        refused::note(&self.inbox, &edit.request, &asked, reason)
    }

    /// Removes the requests of edits that were applied.
    pub fn settle(&mut self, edits: &[PlacedEdit]) -> Result<()> {
        for edit in edits {
            files::remove(&path_of(&self.inbox, &edit.request))?;
            failpoint!("after-edit-request-removed");
        }
        Ok(())
    }

    fn append(&mut self, edits: &[PlacedEdit]) -> Result<()> {
        let text: String = edits.iter().map(encode).collect();
        let failed = |error: &std::io::Error| environment("append to", &self.path, error);
        if self.file.is_none() {
            let is_new = !self.path.exists();
            self.file = Some(OpenOptions::new().create(true).append(true).open(&self.path).map_err(|error| failed(&error))?);
            if is_new {
                files::sync_dir(self.path.parent().expect("the log lies in the state folder"))?;
            }
        }
        let file = self.file.as_mut().expect("opened above");
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
        failpoint!("after-edit-log");
        self.requests.extend(edits.iter().map(|edit| edit.request.clone()));
        self.n_edits += edits.len() as u64;
        Ok(())
    }
}

/// Edits that were asked for and are in no commit yet, in the order in which they are applied: those of the log behind the `committed` ones,
/// then those in the inbox. What cannot be read is passed over: whoever runs the pipeline says so.
pub fn pending(log: &Path, inbox: &Path, committed: u64) -> Result<Vec<Edit>> {
    let bytes = files::read_if_there(log)?.unwrap_or_default();
    let logged: Vec<PlacedEdit> = bytes.split_inclusive(|&byte| byte == b'\n').filter_map(decode).collect();
    let mut pending: Vec<Edit> =
        logged.iter().skip(usize::try_from(committed).unwrap_or(usize::MAX)).map(|placed| placed.edit.clone()).collect();
    for request in waiting(inbox)? {
        let Some(bytes) = files::read_if_there(&path_of(inbox, &request))? else { continue };
        if logged.iter().all(|placed| placed.request != request) {
            pending.extend(serde_json::from_slice::<Edit>(&bytes));
        }
    }
    Ok(pending)
}

/// Edits in an inbox that nobody has taken yet.
pub fn n_waiting(inbox: &Path) -> Result<u64> {
    Ok(waiting(inbox)?.len() as u64)
}

/// Names of the requests in an inbox, oldest first.
fn waiting(inbox: &Path) -> Result<Vec<String>> {
    let names = files::names_in(inbox)?;
    let requests = names.iter().filter_map(|name| name.strip_suffix(".json")).filter(|request| !request.starts_with('.'));
    Ok(requests.map(str::to_owned).collect())
}

/// Where a request lies.
fn path_of(inbox: &Path, request: &str) -> PathBuf {
    inbox.join(format!("{request}.json"))
}

/// Leaves an edit in the inbox of a pipeline; whoever runs it takes it from there. Gives the name of the request.
pub fn request(inbox: &Path, edit: &Edit, clock: &dyn Clock) -> Result<String> {
    files::create_dir(inbox)?;
    let name = format!("{:020}-{}", clock.now(), &entropy()?[..8]);
    files::replace(&path_of(inbox, &name), &serde_json::to_vec(edit).expect("plain data serializes"))?;
    Ok(name)
}

/// Whether a request has not been taken yet.
pub(crate) fn is_waiting(inbox: &Path, request: &str) -> bool {
    path_of(inbox, request).exists()
}

/// A whole line is not what was written. Behind the committed ones it concerns no output, and may be asked for again.
fn damaged_line(path: &Path, line: u64, committed: u64) -> Error {
    let error = damaged(path, &format!("line {line} is not what was written"));
    if line <= committed {
        return error;
    }
    error.hint(format!(
        "restore the file from a copy, or take line {line} and those behind it out and ask for their edits again; \
         none of them is committed"
    ))
}

/// `crc32 json` and a line end.
pub(crate) fn encode(edit: &PlacedEdit) -> String {
    let json = serde_json::to_string(edit).expect("plain data serializes");
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
}

/// An edit of the log, if the line is whole.
pub(crate) fn decode(line: &[u8]) -> Option<PlacedEdit> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (crc, json) = line.split_at_checked(8)?;
    let json = json.strip_prefix(' ')?;
    let fits = crc.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(json.as_bytes());
    if fits { serde_json::from_str(json).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn rename(cluster: u32) -> Edit {
        Edit::Rename { cluster, label: format!("name {cluster}") }
    }

    #[test]
    fn a_request_is_taken_once_whenever_the_process_dies() {
        let folder = tempfile::tempdir().unwrap();
        let (path, inbox) = (folder.path().join("edits.jsonl"), folder.path().join("edits"));
        let clock = SystemClock::new();
        request(&inbox, &rename(1), &clock).unwrap();
        request(&inbox, &rename(2), &clock).unwrap();
        std::fs::write(inbox.join("notes.txt"), "not ours").unwrap();

        let (mut log, edits, _) = EditLog::open(&path, &inbox, 0).unwrap();
        assert!(edits.is_empty() && log.is_empty());
        let taken = log.take(10, &mut Vec::new()).unwrap();
        assert_eq!(taken.iter().map(|edit| edit.edit.clone()).collect::<Vec<_>>(), [rename(1), rename(2)]);
        drop(log); // killed before the requests were removed

        request(&inbox, &rename(5), &clock).unwrap();
        std::fs::write(inbox.join("0-by-hand.json"), "rename it").unwrap();
        assert_eq!(pending(&path, &inbox, 0).unwrap(), [rename(1), rename(2), rename(5)], "each once");
        assert_eq!(pending(&path, &inbox, 2).unwrap(), [rename(5)]);
        std::fs::remove_file(inbox.join("0-by-hand.json")).unwrap();

        let (mut log, edits, note) = EditLog::open(&path, &inbox, 0).unwrap();
        assert_eq!((&edits, note), (&taken, None));
        let later = log.take(20, &mut Vec::new()).unwrap();
        assert_eq!(later.iter().map(|edit| edit.edit.clone()).collect::<Vec<_>>(), [rename(5)]);
        log.settle(&later).unwrap();
        assert_eq!(files::names_in(&inbox).unwrap(), ["notes.txt"]);
        request(&inbox, &rename(3), &clock).unwrap();
        let taken = log.take(20, &mut Vec::new()).unwrap();
        log.settle(&taken).unwrap();
        assert_eq!((log.len(), files::names_in(&inbox).unwrap().len()), (4, 1));
    }

    #[test]
    fn an_undo_of_an_older_program_passes_over_what_cannot_be_taken_back() {
        let json = r#"{"request":"r","position":5,"edit":"undo"}"#;
        let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        let placed = decode(line.as_bytes()).unwrap();
        assert_eq!(placed.edit, Edit::Undo { older: true });
        for older in [false, true] {
            let said = PlacedEdit { edit: Edit::Undo { older }, ..placed.clone() };
            assert_eq!(decode(encode(&said).as_bytes()), Some(said));
        }
    }

    #[test]
    fn a_torn_end_is_cut_and_damage_inside_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, inbox) = (folder.path().join("edits.jsonl"), folder.path().join("edits"));
        let lines: Vec<String> = (0..3)
            .map(|n| encode(&PlacedEdit { request: format!("r{n}"), position: u64::from(n) * 5, edit: rename(n) }))
            .collect();
        let whole = lines.concat();
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let complete = whole[..len].matches('\n').count();
            let (_, edits, note) = EditLog::open(&path, &inbox, 0).unwrap();
            assert_eq!((edits.len(), note.is_some()), (complete, !whole[..len].ends_with('\n') && len > 0));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), lines[..complete].concat());
            if complete < 3 {
                assert_eq!(EditLog::open(&path, &inbox, complete as u64 + 1).unwrap_err().code, "E-STATE-DAMAGED");
            }
        }
        for (line, committed, hint) in [(0, 0, "take line 1"), (2, 2, "take line 3"), (2, 3, "restore the state folder")] {
            let mut bad = whole.clone().into_bytes();
            bad[lines[..line].concat().len() + 12] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            let error = EditLog::open(&path, &inbox, committed).unwrap_err();
            assert_eq!((error.code, std::fs::read(&path).unwrap()), ("E-STATE-DAMAGED", bad), "line {line}");
            assert!(error.hint.as_ref().is_some_and(|told| told.contains(hint)), "{error}");
        }
    }
}
