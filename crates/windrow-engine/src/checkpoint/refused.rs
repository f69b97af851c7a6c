//! Edits that were refused by whoever runs the pipeline: `state/edits/<request>.refused`, where the one who asked can find them.
//!
//! The running process takes an edit long after it was asked for; by then its cluster may be dead. The newest [`KEPT`] are kept.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use crate::error::Result;

/// Refused edits that are kept.
pub const KEPT: usize = 100;
/// Characters of a request that are kept.
const ASKED_CHARS: usize = 1_000;
const ENDING: &str = ".refused";

/// An edit that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Name of the request.
    pub request: String,
    /// What was asked for, as it lay in the inbox.
    pub asked: String,
    /// Why it was refused.
    pub reason: String,
}

/// The refused edits of an inbox, oldest first.
pub fn list(inbox: &Path) -> Result<Vec<Refused>> {
    let names = files::names_in(inbox)?;
    let requests = names.iter().filter_map(|name| name.strip_suffix(ENDING)).filter(|request| !request.starts_with('.'));
    requests.filter_map(|request| find(inbox, request).transpose()).collect()
}

/// The refusal of a request; none when it was not refused.
pub fn find(inbox: &Path, request: &str) -> Result<Option<Refused>> {
    let Some(bytes) = files::read_if_there(&inbox.join(format!("{request}{ENDING}")))? else { return Ok(None) };
    let unreadable = |error: serde_json::Error| Refused {
        request: request.to_owned(),
        asked: String::new(),
        reason: format!("the note of its refusal cannot be read: {error}"),
    };
    Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(unreadable)))
}

/// Writes a refusal down, and drops the oldest ones when there are too many.
pub(super) fn note(inbox: &Path, request: &str, asked: &[u8], reason: &str) -> Result<()> {
    let asked = String::from_utf8_lossy(asked).chars().take(ASKED_CHARS).collect();
    let refused = Refused { request: request.to_owned(), asked, reason: reason.to_owned() };
    let text = serde_json::to_vec(&refused).expect("plain data serializes");
    files::replace(&inbox.join(format!("{request}{ENDING}")), &text)?;
    let names: Vec<_> = files::names_in(inbox)?.into_iter().filter(|name| name.ends_with(ENDING)).collect();
    names.iter().take(names.len().saturating_sub(KEPT)).try_for_each(|name| files::remove(&inbox.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_refusals_are_kept_and_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(list(&folder.path().join("nowhere")).unwrap(), []);
        for n in 0..KEPT + 7 {
            note(folder.path(), &format!("{n:020}-x"), "é".repeat(2_000).as_bytes(), "it is dead").unwrap();
        }
        let kept = list(folder.path()).unwrap();
        assert_eq!((kept.len(), kept[0].request.as_str()), (KEPT, "00000000000000000007-x"));
        assert_eq!((kept[0].asked.chars().count(), kept[0].reason.as_str()), (ASKED_CHARS, "it is dead"));
        std::fs::write(folder.path().join(format!("{}{ENDING}", kept[0].request)), "damaged").unwrap();
        assert!(list(folder.path()).unwrap()[0].reason.contains("cannot be read"));
        assert_eq!(find(folder.path(), "another").unwrap(), None);
    }
}
