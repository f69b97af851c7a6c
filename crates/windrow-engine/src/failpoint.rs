//! Named points at which a test may kill the process.
//!
//! With the feature `failpoints` and `WINDROW_FAILPOINT=name:n`, the n-th passing of the point `name` kills the process the way
//! `kill -9` does: nothing is flushed, no destructor runs. With `name:n:STOP` it is stopped there, and goes on when it is woken. Commas
//! divide several points. Before it, a line with the name goes to the file named by `WINDROW_FAILPOINT_LOG`, as the proof that the point was
//! met. Without the feature a point is nothing at all.

/// Every point there is, in the order in which a run meets them; those of topics last, which only a run with topics meets. A test holds this list against the source.
pub const ALL: [&str; 26] = [
    "after-out-lock",
    "after-lock",
    "recovery-after-claim",
    "recovery-after-renames",
    "recovery-after-drop",
    "recovery-after-snapshot",
    "after-learn",
    "after-stage",
    "after-edit-log",
    "after-edit-applied",
    "after-edit-request-removed",
    "before-parquet-fsync",
    "after-parquet-fsync",
    "before-snapshot-rename",
    "after-snapshot",
    "before-manifest-rename",
    "after-manifest-rename",
    "after-manifest",
    "after-file-rename",
    "after-files-in-view",
    "after-commit",
    "kafka-after-claim",
    "kafka-after-send",
    "kafka-before-offsets",
    "kafka-before-commit",
    "kafka-after-commit",
];

/// Marks a point. Its name stands in [`ALL`].
macro_rules! failpoint {
    ($name:literal) => {{
        #[cfg(feature = "failpoints")]
        $crate::failpoint::pass($name);
        #[cfg(test)]
        $crate::failpoint::dying::pass($name);
    }};
}
pub(crate) use failpoint;

/// Counts a passing and kills the process when it is the one asked for.
#[cfg(feature = "failpoints")]
pub(crate) fn pass(name: &str) {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: [AtomicU64; ALL.len()] = [const { AtomicU64::new(0) }; ALL.len()];

    let Ok(wanted) = std::env::var("WINDROW_FAILPOINT") else { return };
    let asked = wanted.split(',').find_map(|point| {
        let mut parts = point.split(':');
        (parts.next() == Some(name)).then(|| (parts.next().unwrap_or("1"), parts.next().unwrap_or("KILL")))
    });
    let Some((nth, signal)) = asked else { return };
    let at = ALL.iter().position(|point| *point == name).expect("a test holds the list against the source");
    if PASSED[at].fetch_add(1, Ordering::SeqCst) + 1 != nth.parse().unwrap_or(1) {
        return;
    }
    if let Ok(log) = std::env::var("WINDROW_FAILPOINT_LOG") {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(log).expect("the failpoint log can be written");
        writeln!(file, "{name}").expect("the failpoint log can be written");
    }
    let pid = std::process::id().to_string();
    let killed = std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status();
    assert!(signal == "STOP", "the process outlived its kill: {killed:?}");
}

/// The same inside of a unit test: what runs on the thread dies by a panic that is no message, its files as they are.
#[cfg(test)]
pub(crate) mod dying {
    use std::cell::RefCell;

    thread_local! {
        static AT: RefCell<Option<(String, usize)>> = const { RefCell::new(None) };
    }

    pub(crate) fn pass(name: &str) {
        let dies = AT.with_borrow_mut(|at| match at {
            Some((point, left)) if point == name => {
                *left -= 1;
                *left == 0
            }
            _ => false,
        });
        if dies {
            std::panic::resume_unwind(Box::new("dies here, as planned"));
        }
    }

    /// Does `work`, which is to die at the n-th passing of a point. None when it did; else what it gave, as the point was not met so often.
    pub(crate) fn at<T>(point: &str, nth: usize, work: impl FnOnce() -> T) -> Option<T> {
        AT.set(Some((point.to_owned(), nth)));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok();
        AT.set(None);
        done
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    fn points_in(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                points_in(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.split("failpoint!(\"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(str::to_owned));
            }
        }
    }

    #[test]
    fn the_list_names_every_point_of_the_source_and_no_other() {
        let mut found = BTreeSet::new();
        points_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        found.remove("");
        let listed: BTreeSet<String> = super::ALL.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(listed.len(), super::ALL.len(), "no name twice");
        assert_eq!(found, listed);
    }
}
