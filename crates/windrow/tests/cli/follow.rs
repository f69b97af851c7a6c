//! Files that grow under a run: killed and stopped at any time, renamed and cut meanwhile, nothing is lost or doubled.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use windrow_engine::clock::{Clock as _, SystemClock};

use crate::rig::{Done, Rig};

/// Whoever waits for something gives up after so long.
const DEADLINE: Duration = Duration::from_secs(120);

/// A run that follows.
struct Run(Child);

impl Run {
    fn start(rig: &Rig, inputs: &[&str]) -> Self {
        let flags = ["--follow", "--out", "out", "--roll-rows", "20", "--clusters", "5", "--threads", "2"];
        let args = [&["run", "--input"], inputs, &flags].concat();
        Self(rig.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(mut self) -> Done {
        self.signal(Signal::INT);
        let mut err = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        Done { code: self.0.wait().unwrap().code(), out: String::new(), err }
    }

    fn kill(mut self) {
        self.signal(Signal::KILL);
        self.0.wait().unwrap();
    }
}

fn rows(from: u64, to: u64) -> String {
    let words = ["red roses", "blue sea", "old castle", "fast cars"];
    (from..to).map(|n| format!("https://site{}.example/{n},{} number {n}\n", n % 7, words[(n % 4) as usize])).collect()
}

fn append(rig: &Rig, name: &str, text: &str) {
    OpenOptions::new().create(true).append(true).open(rig.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Rows that are committed.
fn committed(rig: &Rig) -> u64 {
    let state = fs::read_to_string(rig.path("out/.windrow/files.json")).unwrap_or_default();
    let body = state.split_once("\"body\":").and_then(|(_, body)| body.trim_end().strip_suffix('}'));
    let body: Option<serde_json::Value> = body.and_then(|body| serde_json::from_str(body).ok());
    body.and_then(|body| body["counters"]["rows"].as_u64()).unwrap_or(0)
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.elapsed() < DEADLINE, "{what} did not come");
        std::thread::yield_now();
    }
}

fn audited(rig: &Rig) -> u64 {
    let audit = rig.run(&["audit", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!([&audit["lost"], &audit["duplicated"], &audit["disagreeing"]], [&serde_json::json!(0); 3], "{audit}");
    audit["pages"].as_u64().unwrap()
}

#[test]
fn a_run_that_follows_is_killed_while_files_grow_and_are_renamed_and_loses_nothing() {
    let rig = Rig::new();
    let header = "url,title\n";
    append(&rig, "app.csv", header);
    let mut written = 0;
    for round in 0..6 {
        let run = Run::start(&rig, &["app.csv"]);
        // Half a line lies there when it is killed, or nothing.
        let more = rows(written, written + 50);
        let (now, later) = more.split_at(more.len() - 9 * (round % 2));
        append(&rig, "app.csv", now);
        wait_for("a commit", || committed(&rig) > written);
        if round % 3 == 1 {
            append(&rig, "app.csv", later);
            fs::rename(rig.path("app.csv"), rig.path(&format!("app.csv.{round}"))).unwrap();
            append(&rig, "app.csv", header);
            run.kill();
        } else {
            run.kill();
            append(&rig, "app.csv", later);
        }
        written += 50;
    }
    let run = Run::start(&rig, &["app.csv"]);
    append(&rig, "app.csv", &rows(written, written + 10));
    append(&rig, "app.csv", "https://half.example/,no line end");
    // Fewer than a roll are committed when the run ends.
    wait_for("what was written", || committed(&rig) + 20 > written);
    let done = run.interrupt();
    assert_eq!(done.code, Some(130), "{done:?}");
    written += 10;
    assert!(done.err.contains("Resume with:\n  windrow run --input app.csv --follow"), "{}", done.err);

    // What had come last may not have been read yet: the next run reads it, and without --follow the last line too.
    let done = rig.run(&["run", "--input", "app.csv", "app.csv.1", "app.csv.4", "--out", "out", "--clusters", "5"]).fine();
    assert_eq!(audited(&rig), written + 1, "{done:?}");
    let pages = rig.run(&["state", "inspect", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(pages["sources"].as_array().map(Vec::len), Some(3), "{pages}");
}

#[test]
fn a_last_line_without_its_end_is_left_and_told() {
    let rig = Rig::new();
    append(&rig, "app.csv", "url,title\nhttps://a.example/,one\nhttps://b.example/,tw");
    let run = Run::start(&rig, &["."]);
    append(&rig, "new.csv", &format!("url,title\n{}", rows(0, 40)));
    wait_for("the new file", || committed(&rig) >= 40);
    let done = run.interrupt();
    assert!(
        done.err.contains("the last 21 bytes of ./app.csv have no line end yet: they are left for the next run"),
        "{}",
        done.err
    );
    append(&rig, "app.csv", "o\n");
    // An audit goes by what is committed; a run then takes up the rest.
    assert_eq!(audited(&rig), 41);
    rig.run(&["run", "--input", ".", "--out", "out", "--clusters", "5"]).fine();
    assert_eq!(audited(&rig), 42);
}

#[test]
fn what_cannot_be_followed_is_refused_with_the_way_out() {
    let rig = Rig::new();
    rig.write("f.csv", "url\nx\n");
    assert!(Command::new("gzip").arg(rig.path("f.csv")).status().unwrap().success());
    let done = rig.run(&["run", "--input", "f.csv.gz", "--follow", "--out", "out"]).failed(2, "E-INPUT-FOLLOW");
    assert!(done.err.contains("leave out --follow"), "{}", done.err);
    rig.write("windrow.toml", "[source]\nfollow = \"maybe\"\n");
    rig.run(&["run", "--input", "f.csv.gz", "--out", "out"]).failed(2, "E-SETTINGS");
    rig.write("windrow.toml", "[source]\nfollow = true\n");
    rig.run(&["run", "--input", "f.csv.gz", "--out", "out"]).failed(2, "E-INPUT-FOLLOW");
    rig.run(&["run", "--input", "f.csv.gz", "--out", "out", "--follow=false"]).fine();
}
