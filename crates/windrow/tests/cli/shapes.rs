//! Files of other shapes: `check` proposes the line that reads them, the line runs, kills lose nothing, and the audit agrees.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use crate::rig::{Rig, paste};

/// Checks a file, runs the line that is proposed, and audits what came of it. Gives what `check` said in JSON, and pages and rejects.
fn check_and_run(rig: &Rig, name: &str, exit: i32) -> (serde_json::Value, (u64, u64)) {
    let checked = rig.run(&["check", "--input", name, "--out", "out", "-o", "json"]);
    assert_eq!(checked.code, Some(exit), "{checked:?}");
    let checked = checked.json();
    let line = checked["run"].as_str().unwrap();
    let shown = rig.run(&["check", "--input", name, "--out", "out"]);
    assert!(shown.out.ends_with(&format!("\nto run it so:\n  {line}\n")), "{}", shown.out);
    let ran = paste(rig, &format!("{line} -o json")).fine().json();
    let counts = (ran["pages"].as_u64().unwrap(), ran["rejects"].as_u64().unwrap());
    assert_eq!((&checked["pages"], &checked["rejects"]), (&ran["pages"], &ran["rejects"]), "as predicted");
    let audit = rig.run(&["audit", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!((&audit["lost"], &audit["disagreeing"]), (&0.into(), &0.into()), "{audit}");
    (checked, counts)
}

#[test]
fn semicolons_cp1252_and_other_names_run_with_the_line_that_check_prints() {
    let rig = Rig::new();
    let rows = "Date;Landing Page;Headline;Spend;Clicks\r\n\
        2024-03-01 08:00:00;https://a.example/caf\u{e9};\"Caf\u{e9}; \u{fc}ber alles\";12,50;3\r\n\
        2024-03-01 08:00:05;https://b.example/;Schuhe f\u{fc}r Kinder;3,20;1\r\n\
        2024-03-01 08:00:09;https://b.example/2;zu kurz\r\n";
    let bytes: Vec<u8> = rows.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect();
    std::fs::write(rig.path("feed.csv"), &bytes).unwrap();
    let (checked, counts) = check_and_run(&rig, "feed.csv", 1);
    assert_eq!(counts, (2, 1));
    let line = "windrow run --input feed.csv --delimiter ';' --encoding cp1252 \
                --columns 'creation_time=Date,url=Landing Page,title=Headline' --out out";
    assert_eq!(checked["run"], line);
    let codes: Vec<_> = checked["checks"].as_array().unwrap().iter().filter_map(|check| check["code"].as_str()).collect();
    assert_eq!(codes, ["E-INPUT-COLUMNS", "E-INPUT-ENCODING"]);
    let input = &checked["inputs"][0];
    assert_eq!(input["found"], serde_json::json!(["Date", "Landing Page", "Headline", "Spend", "Clicks"]));
    assert_eq!((&input["columns"]["url"], &input["columns"]["keywords"]), (&"Landing Page".into(), &serde_json::Value::Null));
    assert_eq!((&input["delimiter"], &input["encoding"]), (&";".into(), &"cp1252".into()));
    assert_eq!(checked["rows"][0]["title"], "Café; über alles");
    assert_eq!(checked["rejects_by_reason"], serde_json::json!({"column_count": 1}));
    let rejects = rig.run(&["rejects", "show", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(rejects["record_id"], format!("0:{}", bytes.len() - 49), "an offset of the file's own bytes");
}

#[test]
fn what_a_spreadsheet_saves_as_unicode_text_runs() {
    let rig = Rig::new();
    let rows = "url\ttitle\tcosts\r\nhttps://a.example/\t\"two\r\nlines \u{1f600}\"\t1\r\nhttps://b.example/\t標題\t2\r\n";
    let bytes: Vec<u8> = format!("\u{feff}{rows}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(rig.path("book.txt"), bytes).unwrap();
    let (checked, counts) = check_and_run(&rig, "book.txt", 0);
    assert_eq!(checked["run"], "windrow run --input book.txt --delimiter tab --encoding utf-16le --out out");
    assert_eq!((counts, &checked["rows"][1]["title"]), ((2, 0), &"標題".into()));
    // The same without the flags; with others it is refused, as the file is known.
    rig.run(&["run", "--input", "book.txt", "--out", "out"]).fine();
    rig.run(&["run", "--input", "book.txt", "--out", "out", "--encoding", "cp1252"]).failed(2, "E-SETTINGS-STATE");
    let checked = rig.run(&["check", "--input", "book.txt", "--out", "out", "--delimiter", ";", "-o", "json"]).json();
    let state = checked["checks"].as_array().unwrap().iter().find(|check| check["what"] == "state").unwrap();
    assert_eq!(state["code"], "E-SETTINGS-STATE", "{state}");
}

#[test]
fn json_lines_run_with_the_ways_that_check_proposes() {
    let rig = Rig::new();
    let line = "{\"page\": {\"link\": \"https://a.example/\", \"title\": \"a\"}, \"cost\": 1}\n";
    rig.write("p.jsonl", &format!("{}{{\"page\": [1]}}\nnothing\n", line.repeat(3)));
    let (checked, counts) = check_and_run(&rig, "p.jsonl", 1);
    let line = "windrow run --input p.jsonl --input-format jsonl --columns url=page.link,title=page.title --out out";
    assert_eq!((&checked["run"], counts), (&line.into(), (3, 2)));
    assert_eq!(checked["rejects_by_reason"], serde_json::json!({"bad_json": 1, "wrong_type": 1}));
    let given = checked["checks"].as_array().unwrap().iter().find(|check| check["what"] == "given").unwrap();
    assert_eq!(
        (&given["code"], &given["message"]),
        (&"E-MOSTLY-REJECTS".into(), &"as it is given, 5 rejects of the first 5".into())
    );
}

#[test]
fn names_from_strangers_are_harmless_on_a_terminal() {
    let rig = Rig::new();
    rig.write("f.csv", "\x1b[31mred\x07;landing_page;tit\u{202e}le\n1;https://a.example/\x1b]0;x\n");
    let checked = rig.run(&["check", "--input", "f.csv", "--color", "never"]);
    assert!(!checked.out.contains(['\x1b', '\x07', '\u{202e}']), "{}", checked.out);
    assert!(checked.out.contains("windrow run --input f.csv --delimiter ';' --columns url=landing_page"), "{}", checked.out);
}

#[test]
fn one_line_is_for_all_files_of_an_input() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path("in")).unwrap();
    rig.write("in/a.jsonl", "{\"url\": \"https://a.example/1\", \"title\": \"one\"}\n");
    rig.write("in/b.csv", "url,title\nhttps://a.example/2,two\n");
    rig.write("in/c.csv", "url;title\nhttps://a.example/3;three\n");
    let checked = rig.run(&["check", "--input", "in", "-o", "json"]).fine().json();
    assert_eq!(checked["run"], "windrow run --input in");
    let line = checked["run"].as_str().unwrap();
    paste(&rig, &format!("{line} --quiet --no-serve")).fine();
    let state = rig.run(&["state", "inspect", "-o", "json"]).fine().json();
    assert_eq!(state["counters"]["pages"], 3, "{state}");
    // Columns of other names need lines of their own.
    rig.write("in/d.csv", "landing_page,name\nhttps://a.example/4,four\n");
    let checked = rig.run(&["check", "--input", "in", "--out", "other", "-o", "json"]);
    assert!(checked.out.contains("E-INPUT-MIXED") && checked.out.contains("in/d.csv"), "{}", checked.out);
}

#[test]
fn the_line_goes_by_the_same_settings() {
    let rig = Rig::new();
    rig.write("f.csv", "url;title\nhttps://a.example/1;one\n");
    rig.write("my own.toml", "[model]\nclusters = 7\n");
    let checked = rig.run(&["check", "--config", "my own.toml", "--input", "f.csv", "--seed", "3", "-o", "json"]).fine().json();
    assert_eq!(checked["run"], "windrow run --config 'my own.toml' --input f.csv --delimiter ';' --seed 3");
}

#[test]
fn standard_input_has_one_shape() {
    let rig = Rig::new();
    let call = ["clean", "--input", "-", "--delimiter", ";", "--out", "c.csv", "--rejects", "r.csv"];
    rig.run(&call).failed(2, "E-INPUT-STDIN");
    assert_eq!(rig.files(""), [""; 0]);
}

/// So many that a run has long not ended when it commits first.
const ROWS: u32 = 20_000;

#[test]
fn a_killed_run_of_other_shapes_goes_on_exactly_once() {
    type Line = fn(u32) -> String;
    let shapes: [(&str, Line); 2] = [
        ("pages.tsv", |row| format!("https://a.example/{row}\t\"théma {} wörd {}\"\n", row % 7, row % 13)),
        ("pages.ndjson", |row| format!("{{\"url\": \"https://a.example/{row}\", \"title\": \"th\\u00e9ma {}\"}}\n", row % 7)),
    ];
    for (name, line) in shapes {
        let rig = Rig::new();
        let header = if name == "pages.tsv" { "\u{feff}url\ttitle\n" } else { "" };
        let text: String = std::iter::once(header.to_owned()).chain((0..ROWS).map(line)).collect();
        std::fs::write(rig.path(name), text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()).unwrap();
        kill_and_go_on(&rig, name);
    }
}

/// Kills a run that has committed something, goes on, and audits all of it.
fn kill_and_go_on(rig: &Rig, input: &str) {
    let args = ["run", "--input", input, "--out", "out", "--roll-rows", "500"];
    let mut running = rig.command(&args).stderr(Stdio::null()).spawn().unwrap();
    // Until something is committed.
    while !rig.path("out/.windrow/files.json").exists() {
        assert_eq!(running.try_wait().unwrap(), None, "{input}: nothing was committed");
        std::thread::yield_now();
    }
    running.kill().unwrap();
    assert_eq!(running.wait().unwrap().signal(), Some(9), "{input}: the run was over before it was killed");
    rig.run(&args).fine();
    let audit = rig.run(&["audit", "--out", "out", "-o", "json"]).fine().json();
    let counts = ["input", "pages", "lost", "duplicated", "disagreeing"].map(|field| audit[field].as_u64().unwrap());
    assert_eq!(counts, [ROWS.into(), ROWS.into(), 0, 0, 0], "{input}");
}

/// What one pipeline writes is what another one reads.
#[test]
fn parquet_is_checked_cleaned_and_run_exactly_once() {
    let rig = Rig::new();
    let rows: String = (0..ROWS).map(|row| format!("https://a.example/{row},\"th\u{e9}me {}\"\n", row % 7)).collect();
    rig.write("pages.csv", &format!("url,title\n{rows}"));
    rig.run(&["run", "--input", "pages.csv", "--out", "first"]).fine();
    let checked = rig.run(&["check", "--input", "first/pages", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(checked["run"], "windrow run --input first/pages --input-format parquet --out out");
    let input = &checked["inputs"][0];
    assert_eq!((&input["format"], &input["delimiter"]), (&"parquet".into(), &serde_json::Value::Null));
    assert_eq!(
        (&checked["rows"][0]["title"], &input["extra"][0]),
        (&"th\u{e9}me 0".into(), &"input_record_id=record_id".into())
    );
    kill_and_go_on(&rig, "first/pages");
    let inspected = rig.run(&["status", "--out", "out", "-o", "json"]).fine().json();
    let source = &inspected["inputs"][0];
    assert_eq!(
        (&source["unit"], &source["position"], &source["behind"]),
        (&"rows".into(), &ROWS.into(), &0.into()),
        "{source}"
    );
    rig.run(&["clean", "--input", "first/pages", "--out", "clean.csv", "--rejects", "rejects.csv"]).fine();
    let cleaned = std::fs::read_to_string(rig.path("clean.csv")).unwrap();
    assert_eq!(cleaned.lines().count(), ROWS as usize + 1);
    assert_eq!(cleaned.lines().nth(20), Some(",,https://a.example/19,th\u{e9}me 5,,"));
}
