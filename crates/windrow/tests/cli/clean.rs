//! `windrow clean`, and its rules in a run.

use std::io::Write as _;
use std::process::Stdio;

use rustix::process::Signal;

use crate::contract::signal;
use crate::rig::{Rig, SAMPLE};

const ROWS: &str = "creation_time,id,url,title,keywords,description\n\
    2023-05-17,1,http://a.example,One title,,and a description of it\n\
    2023-05-17,2,http://a.example,,,and a description\n\
    soon,3,http://a.example,Three,,\n\
    ,4,http://a.example,A title that is much too long for anybody,,\n\
    ,5,http://a.example,Die Wahl in M\u{fc}nchen,,Wie die Parteien um die letzten Stimmen k\u{e4}mpfen\n";

const RULES: &str = "[clean]\nrequired = [\"title\", \"url\"]\nmax_length = \"title=30\"\nlanguages = [\"en\"]\n";

fn read(rig: &Rig, name: &str) -> String {
    std::fs::read_to_string(rig.path(name)).unwrap()
}

#[test]
fn counts_are_told_by_column_and_by_reason() {
    let rig = Rig::new();
    rig.write("rows.csv", ROWS);
    let call = ["clean", "--input", "rows.csv", "--out", "clean.csv", "--rejects", "rejects.csv"];
    let rules = ["--required", "url,title", "--max-length", "title=30", "--languages", "en"];
    let told = rig.run(&[&call[..], &rules, &["-o", "json"]].concat()).fine().json();
    assert_eq!((&told["rows"], &told["pages"], &told["rejects"]), (&5.into(), &1.into(), &4.into()));
    let reasons = serde_json::json!({"bad_time": 1, "missing_field": 1, "field_too_long": 1, "other_language": 1});
    assert_eq!(told["rejects_by_reason"], reasons);
    assert_eq!(told["columns"]["keywords"], serde_json::json!({"filled": 0, "empty": 1}));
    assert_eq!(read(&rig, "clean.csv"), ROWS.lines().take(2).map(|line| format!("{line}\n")).collect::<String>());
    assert!(read(&rig, "rejects.csv").contains("\nfield_too_long,rows.csv,"), "{}", read(&rig, "rejects.csv"));

    rig.run(&call).failed(2, "E-EXISTS");
    let text = rig.run(&[&call[..], &["--force"]].concat()).fine();
    assert!(text.out.contains("keywords") && text.out.contains("bad_time"), "{}", text.out);
    assert!(text.err.contains("5 rows") && text.err.contains("4 pages") && text.err.contains("1 reject"), "{}", text.err);
    rig.run(&["clean", "--input", "rows.csv", "--out", "rows.csv", "--rejects", "r.csv", "--force"]).failed(2, "E-CLEAN-INPUT");
    assert_eq!(read(&rig, "rows.csv"), ROWS);
}

#[test]
fn wrong_rules_say_what_a_rule_takes() {
    let rig = Rig::new();
    for (flag, value, told) in [
        ("--required", "titel", "takes some of creation_time, id, url, title, keywords, description, not `titel`"),
        ("--max-length", "title=x", "not `title=x`"),
        ("--languages", "english", "takes codes of languages such as `en`, not `english`"),
        ("--profile", "orignal", "takes `none` or `original`, not `orignal`"),
    ] {
        let done = rig.run(&["clean", "--input", SAMPLE, "--out", "a", "--rejects", "b", flag, value]).failed(2, "E-SETTINGS");
        assert!(done.err.contains(told), "{}", done.err);
    }
    assert!(rig.files("").is_empty());
}

#[test]
fn rows_flow_through_pipes() {
    let rig = Rig::new();
    rig.write("rows.csv", ROWS);
    let call = ["clean", "--input", "-", "--out", "-", "--rejects", "rejects.csv"];
    rig.run(&[&call[..], &["-o", "json"]].concat()).failed(2, "E-USAGE");
    rig.run(&["clean", "--input", "-", "--out", "-", "--rejects", "-"]).failed(2, "E-USAGE");
    let mut command = rig.command(&call);
    let done = crate::rig::done(command.stdin(std::fs::File::open(rig.path("rows.csv")).unwrap())).fine();
    assert_eq!(done.out.lines().count(), 5, "{}", done.out);
    assert!(done.err.contains("title") && done.err.contains("bad_time"), "the counts: {}", done.err);
    assert!(
        read(&rig, "rejects.csv").ends_with("\nbad_time,-,163,\"soon,3,http://a.example,Three,,\"\n"),
        "{}",
        read(&rig, "rejects.csv")
    );

    // Nobody reads on: that is said, and there is no half of anything.
    let long = ["clean", "--input", "generator:rows=100000", "--out", "-", "--rejects", "long.csv"];
    let mut child = rig.command(&long).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!((done.status.code(), said.trim_end()), (Some(1), "standard output was closed: no file was written"));
    assert_eq!(rig.files(""), ["rejects.csv", "rows.csv"]);
}

#[test]
fn ctrl_c_leaves_nothing_half_written() {
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 1)] {
        let rig = Rig::new();
        let mut child = rig
            .command(&["clean", "--input", "-", "--out", "clean.csv", "--rejects", "rejects.csv"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(ROWS.as_bytes()).unwrap();
        // The pipe stays open: it works, and waits for more.
        while !rig.path(&format!(".rejects.csv.{}.tmp", child.id())).exists() {
            std::thread::yield_now();
        }
        signal(&child, sent);
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(code));
        assert!(String::from_utf8_lossy(&done.stderr).contains("no file was written"));
        assert!(rig.files("").is_empty(), "{:?}", rig.files(""));
    }
}

#[test]
fn a_run_keeps_the_rules_that_its_state_was_made_with() {
    let rig = Rig::new();
    rig.write("rows.csv", ROWS);
    rig.write("windrow.toml", RULES);
    let looked = rig.run(&["check", "--input", "rows.csv", "--out", "out", "-o", "json"]).json();
    let reasons = serde_json::json!({"bad_time": 1, "missing_field": 1, "field_too_long": 1, "other_language": 1});
    assert_eq!(looked["rejects_by_reason"], reasons);
    let ran = rig.run(&["run", "--input", "rows.csv", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!((&ran["pages"], &ran["rejects_by_reason"]), (&1.into(), &reasons));
    let listed = rig.run(&["rejects", "list", "--out", "out", "-o", "json"]).fine().lines();
    assert_eq!(listed.len(), 4);

    // The audit goes by the state, whatever the settings say now.
    rig.write("windrow.toml", "");
    let audit = rig.run(&["audit", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!((&audit["input"], &audit["disagreeing"]), (&5.into(), &0.into()));
    let refused = rig.run(&["run", "--input", "rows.csv", "--out", "out"]).failed(2, "E-SETTINGS-STATE").err;
    assert!(refused.contains("clean.languages is [\"en\"] in the state and [] now"), "{refused}");
    assert!(refused.contains("clean.max_length is \"title=30\" in the state"), "{refused}");
    // Rules in another order are the same rules.
    rig.write("windrow.toml", &RULES.replace("\"title\", \"url\"", "\"url\", \"title\""));
    rig.run(&["run", "--input", "rows.csv", "--out", "out"]).fine();
}

#[test]
fn the_profile_of_the_settings_is_that_of_the_verb() {
    let rig = Rig::new();
    rig.write("rows.csv", ROWS);
    rig.run(&["init", "--profile", "original"]).fine();
    let call = ["clean", "--input", "rows.csv", "--out", "clean.csv", "--rejects", "rejects.csv", "-o", "json"];
    let told = rig.run(&call).fine().json();
    assert_eq!(told["profile"], "original");
    assert_eq!(told["rejects_by_reason"], serde_json::json!({"missing_field": 3, "other_character": 1}));
    let with_rules = rig.run(&[&call[..], &["--force", "--required", "id"]].concat()).fine();
    assert!(with_rules.err.contains("the profile's rules stand in place of the others"), "{}", with_rules.err);
    assert_eq!(with_rules.json()["pages"], told["pages"]);
}
