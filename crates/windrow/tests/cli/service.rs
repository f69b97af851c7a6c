//! The unit for systemd, the compose file and the page about them say what the program says.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use windrow_engine::error::ErrorKind;
use windrow_engine::run::Ended;

use crate::rig::{Rig, root};

/// Exit code of a panic.
const PANIC: u8 = 101;
/// Exit code of a second SIGTERM.
const AT_ONCE: u8 = 128 + 15;

fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Values of the unit by section and key.
fn unit() -> BTreeMap<(String, String), String> {
    let (text, mut section) = (page("examples/systemd/windrow.service"), String::new());
    let mut values = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no line of a unit: {line}"));
        let is_new = values.insert((section.clone(), key.to_owned()), value.to_owned()).is_none();
        assert!(is_new, "{key} twice");
    }
    values
}

fn of_service(key: &str) -> String {
    unit().remove(&("Service".into(), key.into())).unwrap_or_else(|| panic!("the unit says no {key}"))
}

fn codes(text: &str) -> BTreeSet<u8> {
    text.split_whitespace().map(|code| code.parse().unwrap()).collect()
}

/// Codes of errors that another try mends, and of those that it does not.
fn by_kind() -> (BTreeSet<u8>, BTreeSet<u8>) {
    let (again, never): (Vec<ErrorKind>, Vec<ErrorKind>) = ErrorKind::ALL.iter().partition(|kind| kind.is_for_another_try());
    let codes = |kinds: Vec<ErrorKind>| kinds.into_iter().map(ErrorKind::exit_code).collect::<BTreeSet<u8>>();
    (codes(again), codes(never))
}

#[test]
fn the_unit_tries_again_what_another_try_mends() {
    let (again, mut never) = by_kind();
    assert!(again.is_disjoint(&never), "a code says one thing: {again:?} {never:?}");
    never.insert(PANIC);
    assert_eq!((of_service("Restart").as_str(), codes(&of_service("RestartPreventExitStatus"))), ("on-failure", never));
    assert_eq!(codes(&of_service("SuccessExitStatus")), [Ended::Interrupted.exit_code(), AT_ONCE].into());
    assert_eq!((of_service("KillSignal").as_str(), Ended::Stopped.exit_code()), ("SIGTERM", 0));
}

#[test]
fn the_pages_say_what_is_tried_again() {
    let (again, mut never) = by_kind();
    never.insert(PANIC);
    // Column of the answer.
    for (path, column) in [("docs/how-to/run-as-a-service.md", 3), ("docs/reference/exit-codes.md", 3)] {
        let text = page(path);
        let rows = text.lines().filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            Some((cells.get(1)?.parse::<u8>().ok()?, (*cells.get(column)?).to_owned()))
        });
        let said: BTreeMap<u8, String> = rows.collect();
        let told =
            |answer: &str| said.iter().filter(|(_, said)| *said == answer).map(|(code, _)| *code).collect::<BTreeSet<u8>>();
        assert_eq!(told("yes"), again, "{path}");
        let asked = told("no").into_iter().filter(|code| ![0, Ended::Interrupted.exit_code(), AT_ONCE].contains(code));
        assert_eq!(asked.collect::<BTreeSet<u8>>(), never, "{path}");
    }
    let standby: BTreeSet<u8> = never.into_iter().filter(|code| *code != ErrorKind::Fenced.exit_code()).collect();
    let line = page("docs/how-to/run-as-a-service.md");
    let said = line.lines().filter_map(|line| line.strip_prefix("# RestartPreventExitStatus=")).find(|codes| !codes.is_empty());
    assert_eq!(codes(said.unwrap()), standby);
}

#[test]
fn the_command_of_the_unit_runs() {
    let rig = Rig::new();
    rig.write("windrow.toml", "[source]\ninput = [\"generator:rows=50,seed=1\"]\n");
    let command = of_service("ExecStart");
    let words: Vec<String> = command
        .split(' ')
        .map(|word| match word {
            "/etc/windrow/windrow.toml" => rig.path("windrow.toml").display().to_string(),
            word => word.replace("/var/lib/windrow", &rig.path("state").display().to_string()),
        })
        .collect();
    assert_eq!(words[0], "/usr/local/bin/windrow");
    let args: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    assert!(args.contains(&"run"), "{args:?}");
    rig.run(&args).fine();
    assert!(rig.path("state/out/pages").is_dir(), "it writes where the unit lets it");
}

#[test]
fn systemd_takes_the_unit() {
    let text = page("examples/systemd/windrow.service");
    let rig = Rig::new();
    rig.write("windrow.service", &text.replace("/usr/local/bin/windrow", env!("CARGO_BIN_EXE_windrow")));
    match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(rig.path("windrow.service")).output() {
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stderr);
            // What it says of other units of this machine is not ours.
            let ours: Vec<&str> = said.lines().filter(|line| line.contains("windrow")).collect();
            assert!(done.status.success() && ours.is_empty(), "{said}");
        }
        // A machine without systemd: sections and keys are those that the suite saw it take.
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
            let sections: BTreeSet<String> = unit().into_keys().map(|(section, _)| section).collect();
            assert_eq!(sections, ["Unit", "Service", "Install"].map(str::to_owned).into());
        }
    }
}

#[test]
fn compose_gives_the_time_that_the_unit_gives() {
    let compose = page("examples/compose/compose.yaml");
    let grace = compose.lines().find_map(|line| line.trim().strip_prefix("stop_grace_period: ")?.strip_suffix('s'));
    assert_eq!(grace, Some(of_service("TimeoutStopSec").as_str()));
    assert!(compose.contains("restart: on-failure:") && compose.contains("stop_signal: SIGTERM"), "{compose}");
}
