//! Rows that come by standard input: once, whatever happens, and never under an id that was given.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use windrow_engine::clock::{Clock as _, SystemClock};

use crate::rig::{Done, Rig};

/// Runs the command with these bytes on its standard input.
fn piped(rig: &Rig, args: &[&str], bytes: &[u8]) -> Done {
    let mut child = rig.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Whoever is refused reads nothing of it.
    let _ = input.write_all(bytes);
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn run(rig: &Rig, bytes: &[u8]) -> Done {
    piped(rig, &["run", "--input", "-", "--out", "out", "--clusters", "5", "-o", "json"], bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn each_standard_input_is_a_source_of_its_own() {
    let rig = Rig::new();
    let first = run(&rig, &gzip(b"url,title\nhttps://a.example/,one\nhttps://b.example/,two\nno\n")).fine().json();
    assert_eq!((&first["pages"], &first["rejects"]), (&2.into(), &1.into()));
    let second = run(&rig, b"{\"title\": \"three\"}\n").fine();
    assert_eq!(second.json()["total"]["rows"], 4);
    assert!(second.err.contains("standard input is a new input each time: its rows are 1:…"), "{}", second.err);
    let why = rig.run(&["explain", "--out", "out", "1:0"]).fine();
    assert!(why.out.contains("three"), "{}", why.out);
    let audit = rig.run(&["audit", "--out", "out", "-o", "json"]).fine();
    assert!(audit.err.contains("standard input cannot be read again: its 4 rows"), "{}", audit.err);
    let audit = audit.json();
    let counts = ["expired", "pages", "rejects", "lost", "duplicated", "disagreeing"].map(|name| audit[name].as_u64().unwrap());
    assert_eq!(counts, [4, 3, 1, 0, 0, 0]);
    // What is not there any more is counted all the same.
    let pages = rig.files("out/pages");
    std::fs::remove_file(rig.path(&format!("out/pages/{}", pages[0]))).unwrap();
    assert_ne!(rig.run(&["audit", "--out", "out"]).code, Some(0));
}

#[test]
fn a_kill_loses_what_was_not_committed_and_nothing_else() {
    let rig = Rig::new();
    let args = ["run", "--input", "-", "--out", "out", "--clusters", "5", "--roll-rows", "10"];
    let mut child: Child = rig.command(&args).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let rows: String = (0..25).map(|n| format!("https://a.example/{n},page {n}\n")).collect();
    input.write_all(format!("url,title\n{rows}").as_bytes()).unwrap();
    let clock = SystemClock::new();
    while rig.files("out/pages").iter().filter(|name| !name.starts_with('.')).count() < 2 {
        assert!(clock.elapsed().as_secs() < 120, "no commit came");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let rest = run(&rig, b"url,title\nhttps://b.example/,after\n").fine().json();
    assert_eq!(rest["total"]["rows"], 21);
    rig.run(&["audit", "--out", "out"]).fine();
}

#[test]
fn what_standard_input_cannot_be_is_said() {
    let rig = Rig::new();
    rig.write("f.csv", "url\nhttps://a.example/\n");
    rig.run(&["run", "--input", "-", "f.csv", "--out", "out"]).failed(2, "E-INPUT-STDIN");
    rig.run(&["run", "--input", "-", "--follow", "--out", "out"]).failed(2, "E-INPUT-FOLLOW");
    let topics = ["run", "--input", "-", "--kafka", "127.0.0.1:1", "--out", "out"];
    rig.run(&topics).failed(2, "E-INPUT-STDIN");
    let checked = rig.run(&["check", "--input", "-", "--out", "out"]);
    assert!(checked.code != Some(0) && checked.out.contains("E-INPUT-STDIN"), "{checked:?}");
    // A file of that name has another.
    rig.write("-", "url\nhttps://a.example/\n");
    let named = rig.run(&["run", "--input", "./-", "--out", "out", "--clusters", "5", "-o", "json"]).fine().json();
    assert_eq!(named["pages"], 1);
    let unrelated = run(&rig, b"url\nhttps://c.example/\n").failed(2, "E-INPUT-UNRELATED");
    assert!(unrelated.err.contains("--new"), "{}", unrelated.err);
}
