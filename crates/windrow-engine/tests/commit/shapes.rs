//! Files of other shapes: exactly once over kills, and read again by the audit as they were read.

use std::fs;

use windrow_engine::audit::AuditJob;
use windrow_engine::source::Asked;
use windrow_engine::source::written::{AskedDelimiter, AskedEncoding};

use crate::audit::{audit, job_of};
use crate::rig::{Rig, assert_same, csv};

/// The rows of a CSV file as lines of JSON, our columns in an object of their own.
fn json_lines(csv: &str) -> String {
    let rows = csv.replace("\"", "").replace("\nextra", " extra");
    let line = |row: &str| {
        let fields: Vec<&str> = row.split(',').collect();
        format!(
            "{{\"page\": {{\"url\": \"{}\", \"title\": \"{} \\u20ac\"}}, \"when\": \"{}\", \"id\": {}}}\n",
            fields[2], fields[3], fields[0], fields[1]
        )
    };
    rows.lines().skip(1).map(line).collect()
}

/// Shapes of a file: its name, its bytes, what is said of it, and its column map.
fn shapes(rows: u64) -> Vec<(&'static str, Vec<u8>, Asked, &'static str)> {
    let text = csv(0..rows).replace("word", "wört").replace(',', "\t");
    let utf16 = || format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let mut broken = utf16();
    let half = (broken.len() / 2) & !1;
    // Half of a surrogate pair in the middle, and a lone byte at the end.
    broken[half..half + 2].copy_from_slice(&[0x00, 0xd8]);
    broken.push(b'x');
    let cp1252 = text.replace('\t', ";").chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect();
    let said = Asked { encoding: AskedEncoding::Cp1252, ..Asked::default() };
    let map = "url=page.url,title=page.title,creation_time=when";
    vec![
        ("pages.tsv", utf16(), Asked::default(), ""),
        ("broken.tsv", broken, Asked::default(), ""),
        ("pages.csv", cp1252, said, ""),
        ("pages.jsonl", json_lines(&csv(0..rows)).into_bytes(), Asked::default(), map),
        ("wide.ndjson", json_lines(&csv(0..rows)).encode_utf16().flat_map(u16::to_be_bytes).collect(), Asked::default(), map),
    ]
}

fn rig(name: &str, bytes: &[u8], asked: Asked, map: &str) -> Rig {
    let mut rig = Rig::new(0);
    fs::remove_file(rig.path("in/pages.csv")).unwrap();
    fs::write(rig.path(&format!("in/{name}")), bytes).unwrap();
    (rig.job.files, rig.job.columns) = (asked, map.to_owned());
    rig
}

#[test]
fn kills_lose_and_double_nothing_and_the_audit_reads_the_same() {
    for (name, bytes, asked, map) in shapes(700) {
        let whole = rig(name, &bytes, asked, map);
        let summary = whole.run().unwrap();
        let extra = u64::from(name == "broken.tsv");
        assert_eq!(summary.total.rows, 700 + extra, "{name}");
        let rejects = if name == "broken.tsv" { 71..=72 } else { 70..=70 };
        assert!(rejects.contains(&summary.total.n_rejects()), "{name}: {:?}", summary.total.rejects);

        let killed = rig(name, &bytes, asked, map);
        for row in [150, 1, 290, 120] {
            killed.run_and_die(row);
        }
        killed.run().unwrap();
        assert_same(&killed.answer(), &whole.answer(), name);

        // Nothing is said to the audit: it takes what the state knows of each file.
        let job = AuditJob { inputs: Vec::new(), columns: String::new(), ..job_of(&killed) };
        let report = audit(&job).unwrap();
        assert!(report.is_clean(), "{name}: {report:?}");
        assert_eq!(report.input, 700 + extra, "{name}");
    }
}

#[test]
fn a_file_is_not_read_on_in_another_way() {
    let (name, bytes, asked, map) = shapes(200).swap_remove(2);
    let mut rig = rig(name, &bytes, asked, map);
    rig.run().unwrap();
    let manifest = rig.state().manifest;
    assert_eq!(manifest.positions.sources[0].written.unwrap().words(), ("csv", Some(";"), "cp1252"));
    for other in [Asked { encoding: AskedEncoding::Utf8, ..asked }, Asked { delimiter: AskedDelimiter::Comma, ..asked }] {
        rig.job.files = other;
        assert_eq!(rig.run().unwrap_err().code, "E-SETTINGS-STATE");
    }
    // Left out, it is read on as it was.
    rig.job.files = Asked::default();
    fs::write(rig.path("in/pages.csv"), [&bytes[..], b"2023-01-02T00:00:00Z;1;;caf\xe9;;\n"].concat()).unwrap();
    assert_eq!(rig.run().unwrap().run.pages, 1);
    assert!(rig.rows("pages").iter().any(|row| row.contains("café")));
}
