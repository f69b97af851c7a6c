//! Rejects of files, read once more: by the rule that they were written in, or by another, each of them once.

use serde_json::Value;

use crate::rig::{Done, Rig, paste};

/// Bytes of a file in cp1252.
fn cp1252(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect()
}

/// Bytes of a file in UTF-16, with its mark.
fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn replay(rig: &Rig, more: &[&str]) -> Value {
    rig.run(&[&["rejects", "replay", "--into", "again", "--out", "out", "-o", "json"], more].concat()).fine().json()
}

/// Reasons and bytes of the rejects whose source is called so.
fn rejects(rig: &Rig, of: &str) -> Vec<[String; 2]> {
    let shown = rig.run(&["rejects", "show", "--last", "1000", "--out", "out", "-o", "json"]).fine().lines();
    let mut found: Vec<_> = shown
        .into_iter()
        .filter(|reject| reject["source"].as_str().unwrap().contains(of))
        .map(|reject| ["reason", "raw_hex"].map(|field| reject[field].as_str().unwrap().to_owned()))
        .collect();
    found.sort();
    found
}

#[track_caller]
fn audited(rig: &Rig, inputs: &[&str], counts: [u64; 3]) {
    let audit: Done = rig.run(&[&["audit", "--out", "out", "-o", "json", "--input"], inputs].concat());
    let audit = audit.fine().json();
    let found = ["input", "pages", "rejects", "lost", "duplicated", "disagreeing"].map(|field| audit[field].as_u64().unwrap());
    assert_eq!(found, [counts[0], counts[1], counts[2], 0, 0, 0], "{audit}");
}

#[test]
fn rows_of_another_encoding_become_pages_once() {
    let rig = Rig::new();
    let text =
        "url;title\nhttps://a.example/1;plain\nhttps://a.example/2;caf\u{e9}\nhttps://a.example/3;\"zw\u{f6}lf; und mehr\"\n";
    std::fs::write(rig.path("feed.csv"), cp1252(text)).unwrap();
    rig.run(&["run", "--input", "feed.csv", "--out", "out"]).fine();
    let planned = replay(&rig, &["--all", "--dry-run"]);
    assert!(planned["written"] == 2 && !rig.path("again").exists(), "{planned}");
    let done = replay(&rig, &["--reason", "invalid_utf8"]);
    assert_eq!((&done["written"], &done["before"], &done["files"][0]["rejects"]), (&2.into(), &0.into(), &2.into()));
    assert_eq!(rig.files("again/replay-00000001"), ["0-feed.csv", "records.txt"]);
    let kept = std::fs::read(rig.path("again/replay-00000001/0-feed.csv")).unwrap();
    assert_eq!(kept, cp1252(&text.replace("https://a.example/1;plain\n", "")), "header and records as they were");
    // As they were read before they are rejects again; the line says what differs from the usual.
    let line = done["run"][0].as_str().unwrap();
    assert_eq!(line, "windrow run --input again/replay-00000001 --delimiter ';' --new --out out");
    let ran = paste(&rig, &format!("{line} --encoding cp1252 -o json")).fine().json();
    assert_eq!((&ran["pages"], &ran["rejects"]), (&2.into(), &0.into()));
    audited(&rig, &["feed.csv", "again"], [5, 3, 2]);

    // Twice is once: nothing is written, and nothing read.
    let again = replay(&rig, &["--all"]);
    assert_eq!((&again["written"], &again["before"], &again["folder"]), (&0.into(), &2.into(), &Value::Null));
    let ran = rig.run(&["run", "--input", "feed.csv", "--input", "again", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(ran["rows"], 0);
    audited(&rig, &["feed.csv", "again"], [5, 3, 2]);
}

#[test]
fn every_shape_is_read_by_the_rule_it_was_written_in() {
    type Shape = (&'static str, Vec<u8>, &'static [&'static str]);
    let long = "x".repeat(3_000);
    let semicolons = format!("creation_time;url;title\nsoon;https://a.example/;\"ein; zwei\nzeilig \u{fc}\"\n;;\n{long};\n");
    let tabs = "creation_time\turl\ttitle\r\nsoon\thttps://a.example/\t\u{6a19}\u{984c} \u{1f600}\r\n1\t2\r\n\t\t\r\n";
    let objects = "{\"url\": \"https://a.example/\", \"creation_time\": \"soon\"}\n{\"url\": [1]}\nnothing\n{}\n";
    let shapes: [Shape; 4] = [
        ("feed.csv", cp1252(&semicolons), &["--encoding", "cp1252"]),
        ("book.tsv", utf16(tabs), &[]),
        ("p.jsonl", objects.into(), &[]),
        ("wide.jsonl", utf16(objects), &[]),
    ];
    for (name, bytes, flags) in shapes {
        let rig = Rig::new();
        std::fs::write(rig.path(name), bytes).unwrap();
        rig.write("windrow.toml", "[limits]\nmax_record = \"1kB\"\n");
        let ran = rig.run(&[&["run", "--input", name, "--out", "out", "-o", "json"], flags].concat()).fine().json();
        let pages = ran["pages"].as_u64().unwrap();
        let first = rejects(&rig, name);
        assert!(first.len() >= 3, "{name}: {first:?}");
        let done = replay(&rig, &["--all"]);
        assert_eq!((&done["written"], &done["open"]), (&first.len().into(), &0.into()), "{name}: {done}");
        for line in done["run"].as_array().unwrap() {
            paste(&rig, line.as_str().unwrap()).fine();
        }
        assert_eq!(rejects(&rig, "again/"), first, "{name}: the same bytes for the same reasons");
        let counts = first.len() as u64;
        audited(&rig, &[name, "again"], [pages + 2 * counts, pages, 2 * counts]);
        // What was rejected again are other records, and may be read a third time.
        let third = replay(&rig, &["--all"]);
        assert_eq!((&third["written"], &third["before"]), (&first.len().into(), &first.len().into()), "{name}");
    }
}

#[test]
fn another_name_for_a_column_is_written_into_the_header() {
    for (encoding, bytes) in [("utf-8", None), ("utf-16le", Some(utf16 as fn(&str) -> Vec<u8>))] {
        let rig = Rig::new();
        let text = "title,Headline;or so,\"the \"\"text\"\"\"\n,found it,x\nkept,,\n";
        std::fs::write(rig.path("f.csv"), bytes.map_or_else(|| text.as_bytes().to_vec(), |encode| encode(text))).unwrap();
        rig.run(&["run", "--input", "f.csv", "--out", "out"]).fine();
        let wrong = ["rejects", "replay", "--all", "--into", "again", "--out", "out", "--columns", "title=nothing"];
        rig.run(&wrong).failed(2, "E-INPUT-COLUMNS");
        let done = replay(&rig, &["--all", "--columns", "title=headline;or so"]);
        assert_eq!(done["written"], 1, "{encoding}: a refused call has written nothing: {done}");
        paste(&rig, done["run"][0].as_str().unwrap()).fine();
        audited(&rig, &["f.csv", "again"], [3, 2, 1]);
        let written = std::fs::read(rig.path("again/replay-00000001/0-f.csv")).unwrap();
        let wanted = "not-title,title,\"the \"\"text\"\"\"\n,found it,x\n";
        assert_eq!(written, bytes.map_or_else(|| wanted.as_bytes().to_vec(), |encode| encode(wanted)), "{encoding}");
    }
}

#[test]
fn an_open_quote_takes_nothing_in() {
    let rig = Rig::new();
    rig.write("f.csv", "creation_time,title\nsoon,one\n\"never closed,two\nsoon,\"three\"\n");
    rig.run(&["run", "--input", "f.csv", "--out", "out"]).fine();
    let first = rejects(&rig, "f.csv");
    assert_eq!(first.len(), 3, "{first:?}");
    let done = replay(&rig, &["--all"]);
    assert_eq!((&done["written"], &done["open"]), (&2.into(), &1.into()), "{done}");
    paste(&rig, done["run"][0].as_str().unwrap()).fine();
    audited(&rig, &["f.csv", "again"], [5, 0, 5]);
}

#[test]
fn killed_it_left_nothing_that_is_read() {
    let rig = Rig::new();
    rig.write("f.csv", "creation_time,title\nsoon,one\n");
    rig.run(&["run", "--input", "f.csv", "--out", "out"]).fine();
    // What a call leaves that was killed before its last step.
    std::fs::create_dir_all(rig.path("again/.replay-00000001.tmp")).unwrap();
    rig.write("again/.replay-00000001.tmp/0-f.csv", "creation_time,title\nsoon,one\nsoon,tw");
    rig.write("again/.replay-00000001.tmp/records.txt", "half of an id");
    rig.run(&["run", "--input", "again", "--new", "--out", "out"]).failed(2, "E-INPUT-NONE");
    let done = replay(&rig, &["--all"]);
    assert_eq!((&done["written"], rig.files("again")), (&1.into(), vec![".windrow-replay".into(), "replay-00000001".into()]));
}

#[test]
fn what_cannot_be_done_is_refused() {
    let rig = Rig::new();
    rig.write("f.csv", "creation_time,title\nsoon,one\n");
    rig.run(&["run", "--input", "f.csv", "--out", "out"]).fine();
    let call = ["rejects", "replay", "--into", "again", "--out", "out"];
    rig.run(&call).failed(2, "E-USAGE");
    rig.run(&[&call[..], &["--all", "--from-topics"]].concat()).failed(2, "E-USAGE");
    rig.run(&["rejects", "replay", "--all", "--out", "out"]).failed(2, "E-INPUT-NONE");
    let purge = rig.run(&["rejects", "purge", "--yes", "--out", "out"]).failed(2, "E-USAGE");
    assert!(purge.err.contains("published files stay as they are"), "{}", purge.err);
    rig.write("f.csv", "creation_time,title\nother,one\n");
    rig.run(&[&call[..], &["--all"]].concat()).failed(2, "E-REJECTS-INPUT");
    std::fs::remove_file(rig.path("f.csv")).unwrap();
    let gone = rig.run(&[&call[..], &["--all"]].concat()).failed(2, "E-INPUT-OPEN");
    assert!(gone.err.contains("put the file back as it was"), "{}", gone.err);
    assert_eq!(rig.files("out/rejects").len(), 1, "published files stay");
}
