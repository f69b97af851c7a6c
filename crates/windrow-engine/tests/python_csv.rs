//! Reads every shared data set, and generated ones, as Python's csv module does: the same rows with the same values.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use windrow_engine::source::generator::write_csv;
use windrow_engine::source::parse::Parser;
use windrow_engine::source::{Asked, Limits, Positions, Wanted, open};

/// Prints for each file: rows without the header and blank lines, and a checksum of the values of our columns.
const SCRIPT: &str = r#"
import csv, gzip, sys, zlib
csv.field_size_limit(1 << 30)
ours = "creation_time id url title keywords description".split()
for path in sys.argv[1:]:
    binary = (gzip.open if path.endswith(".gz") else open)(path, "rb").read()
    mark = binary.startswith(b"\xef\xbb\xbf")
    (open_text, name) = (gzip.open, path) if path.endswith(".gz") else (open, path)
    with open_text(name, "rt", encoding="utf-8-sig" if mark else "utf-8", errors="surrogateescape", newline="") as f:
        rows = (row for row in csv.reader(f) if row)
        header = [name.strip().lower() for name in next(rows)]
        places = [header.index(name) if name in header else None for name in ours]
        count = crc = 0
        for row in rows:
            count += 1
            text = "\x1f".join("" if p is None else row[p] for p in places) + "\x1e"
            crc = zlib.crc32(text.encode("utf-8", errors="surrogateescape"), crc)
    print(count, crc)
"#;

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        say("passed over: there is no python3 here");
    }
    found
}

fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// Number of rows, and checksum of their values, by Python.
fn by_python(files: &[PathBuf]) -> Vec<(u64, u32)> {
    let output = Command::new("python3").arg("-c").arg(SCRIPT).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parse = |line: &str| {
        let (count, crc) = line.split_once(' ').unwrap();
        (count.parse().unwrap(), crc.parse().unwrap())
    };
    String::from_utf8(output.stdout).unwrap().lines().map(parse).collect()
}

/// The same by us; no row may be a reject.
fn by_windrow(file: &Path, limits: Limits) -> (u64, u32) {
    let inputs = [file.to_str().unwrap().to_owned()];
    let wanted = Wanted::once(&inputs, "", Asked::default(), limits);
    let mut source = open(wanted, &mut Positions::default()).unwrap().take();
    let (mut count, mut crc, mut parser) = (0, crc32fast::Hasher::new(), Parser::new());
    while let Some(batch) = source.next().unwrap() {
        for row in parser.parse(&batch) {
            count += 1;
            crc.update(&row.unwrap().columns.join(&b"\x1f"[..]));
            crc.update(b"\x1e");
        }
    }
    (count, crc.finalize())
}

fn compare(files: &[PathBuf]) {
    let small = Limits { batch_rows: 33, batch_bytes: 5000, ..Limits::default() };
    for (file, expected) in files.iter().zip(by_python(files)) {
        assert_eq!(by_windrow(file, Limits::default()), expected, "{}", file.display());
        assert_eq!(by_windrow(file, small), expected, "{} in small batches", file.display());
    }
}

#[test]
fn shared_sets_are_read_as_python_reads_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let Ok(entries) = fs::read_dir(&folder) else {
        say(&format!("passed over: there is no {}", folder.display()));
        return;
    };
    let is_set = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        (name.ends_with(".csv") || name.ends_with(".csv.gz")) && !name.contains(".labels")
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(is_set).collect();
    files.sort();
    assert!(!files.is_empty());
    if has_python() {
        compare(&files);
    }
}

#[test]
fn generated_and_odd_files_are_read_as_python_reads_them() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let generated = folder.path().join("generated.csv");
    let spec = "generator:rows=5000,broken=0".parse().unwrap();
    write_csv(spec, &mut fs::File::create(&generated).unwrap(), &mut std::io::sink()).unwrap();
    let odd = folder.path().join("odd.csv");
    let lines: [&[u8]; 9] = [
        b"\xef\xbb\xbfid, Title ,url\r\n",
        b"1,plain,u\r\n\r\n",
        b"2,\"a\nb\r\n\rc\",u\r",
        b"3,\"say \"\"hi\"\"\",\"\"\n\n\n",
        b"4,a \"b\" c,\"\"\"\"\n",
        b"5,\"x\"y,\"z,\"\n",
        b"6,caf\xe9 \x00 nul,\"u\"\r\n",
        b",,\n",
        b"7,last,\"no line end",
    ];
    fs::write(&odd, lines.concat()).unwrap();
    compare(&[generated, odd]);
}
