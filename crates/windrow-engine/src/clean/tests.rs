use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::clock::SystemClock;

const HEADER: &str = "creation_time,id,url,title,keywords,description\n";

/// A folder with an input in it.
struct Rig(tempfile::TempDir);

impl Rig {
    fn new(rows: &[u8]) -> Self {
        let rig = Self(tempfile::tempdir().unwrap());
        fs::write(rig.path("in.csv"), [HEADER.as_bytes(), rows].concat()).unwrap();
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn order(&self) -> Order {
        Order {
            inputs: vec![self.path("in.csv").display().to_string()],
            columns: String::new(),
            files: Asked::default(),
            max_record_bytes: 1 << 20,
            max_unpacked: 500,
            clean: CleanSettings::default(),
            out: Some(self.path("out.csv")),
            rejects: Some(self.path("rejects.csv")),
            force: false,
        }
    }

    fn read(&self, name: &str) -> Vec<Vec<String>> {
        let reader = csv::ReaderBuilder::new().has_headers(false).from_path(self.path(name)).unwrap();
        reader.into_records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn run(order: &Order) -> Result<Cleaned> {
    clean(order, &mut Vec::new(), (&SystemClock::new(), &Control::default()), &mut |_, _| {})
}

const ROWS: &[u8] =
    b"2023-05-17,1,http://a/x,\"t, \"\"u\"\"\nv\",,d\nsoon,2,u,t,k,d\n,3,u,\xff\\,k,d\n,4,u,,k,d\none\n,6,u,t, ,d\r";

#[test]
fn every_row_is_in_one_of_both_files() {
    let rig = Rig::new(ROWS);
    let mut order = rig.order();
    order.clean.rules.required = vec!["title".into()];
    let cleaned = run(&order).unwrap();
    let header: Vec<_> = COLUMNS.map(str::to_owned).into();
    let pages = [
        header,
        ["2023-05-17", "1", "http://a/x", "t, \"u\"\nv", "", "d"].map(str::to_owned).into(),
        ["", "6", "u", "t", " ", "d"].map(str::to_owned).into(),
    ];
    assert_eq!(rig.read("out.csv"), pages);
    let source = rig.path("in.csv").display().to_string();
    let rejects = rig.read("rejects.csv");
    assert_eq!(rejects[0], REJECT_COLUMNS);
    let expected = [
        ("bad_time", 88, "soon,2,u,t,k,d"),
        ("invalid_utf8", 103, ",3,u,\\xff\\\\,k,d"),
        ("missing_field", 115, ",4,u,,k,d"),
        ("column_count", 125, "one"),
    ];
    let found: Vec<_> = rejects[1..].iter().map(|row| (row[0].as_str(), row[2].parse().unwrap(), row[3].as_str())).collect();
    assert_eq!(found, expected);
    assert!(rejects[1..].iter().all(|row| row[1] == source));
    assert_eq!((cleaned.rows, cleaned.pages, cleaned.rejects.iter().sum::<u64>()), (6, 2, 4));
    assert_eq!(cleaned.filled, [1, 2, 2, 2, 0, 2]);
    assert_eq!(rig.names(), ["in.csv", "out.csv", "rejects.csv"]);

    // What was cleaned is clean.
    let again = Order {
        inputs: vec![rig.path("out.csv").display().to_string()],
        out: Some(rig.path("again.csv")),
        force: true,
        ..order
    };
    assert_eq!(run(&again).unwrap().pages, 2);
    assert_eq!(fs::read(rig.path("again.csv")).unwrap(), fs::read(rig.path("out.csv")).unwrap());
}

#[test]
fn standard_output_takes_one_of_both() {
    let rig = Rig::new(ROWS);
    let mut stdout = Vec::new();
    let order = Order { out: None, ..rig.order() };
    clean(&order, &mut stdout, (&SystemClock::new(), &Control::default()), &mut |_, _| {}).unwrap();
    assert!(
        stdout.starts_with(HEADER.as_bytes()) && stdout.ends_with(b"\n,6,u,t, ,d\n"),
        "{}",
        String::from_utf8_lossy(&stdout)
    );
    assert_eq!(rig.names(), ["in.csv", "rejects.csv"]);
    let both = Order { rejects: None, ..order };
    assert_eq!(run(&both).unwrap_err().code, "E-USAGE");
}

#[test]
fn nothing_is_left_of_what_did_not_end() {
    let rig = Rig::new(&b",1,u,t,k,d\n".repeat(100_000));
    for (after, expected) in [(0, Ended::Interrupted), (1, Ended::Stopped)] {
        let control = Control::default();
        if after == 0 {
            control.interrupt();
        }
        let mut seen = 0;
        let stop = &mut |rows, _| {
            seen = rows;
            control.stop();
        };
        let cleaned = clean(&rig.order(), &mut Vec::new(), (&SystemClock::new(), &control), stop).unwrap();
        assert_eq!((cleaned.ended, cleaned.rows), (expected, seen));
        assert!(seen < 100_000 && (seen > 0) == (after > 0), "{seen}");
        assert_eq!(rig.names(), ["in.csv"]);
    }
    // An input that breaks off behind its first rows.
    let whole = zstd::encode_all(&*fs::read(rig.path("in.csv")).unwrap(), 3).unwrap();
    fs::write(rig.path("in.csv"), &whole[..whole.len() - 3]).unwrap();
    assert_eq!(run(&rig.order()).unwrap_err().code, "E-INPUT-DAMAGED");
    assert_eq!(rig.names(), ["in.csv"]);
}

#[test]
fn nothing_is_written_over() {
    let rig = Rig::new(ROWS);
    let code = |out: &Path, rejects: &Path, force: bool| {
        let order = Order { out: Some(out.into()), rejects: Some(rejects.into()), force, ..rig.order() };
        run(&order).map(drop).map_err(|error| error.code)
    };
    let (input, out, rejects) = (rig.path("in.csv"), rig.path("out.csv"), rig.path("rejects.csv"));
    fs::hard_link(&input, rig.path("also.csv")).unwrap();
    for file in [&input, &rig.path("also.csv")] {
        assert_eq!(code(file, &rejects, false), Err("E-EXISTS"));
        assert_eq!(code(file, &rejects, true), Err("E-CLEAN-INPUT"));
        assert_eq!(code(&out, file, true), Err("E-CLEAN-INPUT"));
    }
    assert_eq!(code(&out, &out, false), Err("E-USAGE"));
    assert_eq!(code(&out, &rig.path("./out.csv"), true), Err("E-USAGE"));
    std::os::unix::fs::symlink("/dev/null", rig.path("link.csv")).unwrap();
    for file in [Path::new("/dev/null"), &rig.path("link.csv"), rig.0.path()] {
        assert_eq!(code(file, &rejects, true), Err("E-EXISTS"));
    }
    assert_eq!(code(&rig.path("none/out.csv"), &rejects, false), Err("E-IO"));
    assert_eq!(rig.names(), ["also.csv", "in.csv", "link.csv"]);
    fs::write(&out, "mine").unwrap();
    assert_eq!(code(&out, &rejects, false), Err("E-EXISTS"));
    assert_eq!(code(&out, &rejects, true), Ok(()));
    assert_eq!(fs::read(&input).unwrap(), [HEADER.as_bytes(), ROWS].concat());
}

#[test]
fn the_profile_asks_for_what_the_script_asked_for() {
    let rig = Rig::new(b"soon,1,,t,,d\n,2,u,NA,k,d\n,3,u,t,k,d\xc3\xa9\n,4,u,t,k\n,5,nan,t,None,d!\n,6,u,t,k,d,e\n");
    let mut order = rig.order();
    order.clean.profile = CleanProfile::Original;
    run(&order).unwrap();
    assert_eq!(rig.read("out.csv")[1..], [["soon", "1", "", "t", "", "d"], ["", "5", "", "t", "", "d!"]]);
    let reasons: Vec<_> = rig.read("rejects.csv")[1..].iter().map(|row| row[0].clone()).collect();
    assert_eq!(reasons, ["missing_field", "other_character", "missing_field", "column_count"]);
}

#[test]
fn standard_input_is_cleaned_alone() {
    let rig = Rig::new(ROWS);
    let order = Order { inputs: vec![STDIN.into(), rig.order().inputs.remove(0)], ..rig.order() };
    assert_eq!(run(&order).unwrap_err().code, "E-INPUT-STDIN");
}

/// What Python's `codecs.escape_decode` gives.
fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, if byte == b'\\' { rest.next() } else { None }) {
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(b'r')) => b'\r',
            (b'\\', Some(b't')) => b'\t',
            (b'\\', Some(b'\\')) => b'\\',
            (b'\\', Some(b'x')) => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            (byte, None) => byte,
            other => panic!("{other:?} in {text:?}"),
        });
    }
    bytes
}

proptest! {
    #[test]
    fn no_byte_of_a_reject_is_lost(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'x'), Just(0xc2)], 0..64)) {
        let mut text = String::new();
        escape(&bytes, &mut text);
        prop_assert!(!text.chars().any(char::is_control));
        prop_assert_eq!(unescape(&text), bytes);
    }
}

#[test]
fn duplicates_are_counted_or_rejected_over_a_window_of_the_call() {
    let rows = ",1,u,t,,\n,2,u,t,,\n,3,v,t,,\n,4,w,t,,\n,5,u,t,,\n,6,u,t,,\n";
    let cleaned = |action: OnDuplicate, window: u64| {
        let rig = Rig::new(rows.as_bytes());
        let mut order = rig.order();
        order.clean.rules.duplicates = windrow_core::clean::Duplicates { action, window };
        let cleaned = run(&order).unwrap();
        let rejects: Vec<String> = rig.read("rejects.csv")[1..].iter().map(|row| format!("{} {}", row[0], row[3])).collect();
        (cleaned.pages, cleaned.duplicates, rejects)
    };
    assert_eq!(cleaned(OnDuplicate::Keep, 10), (6, 0, vec![]));
    assert_eq!(cleaned(OnDuplicate::Count, 10), (6, 3, vec![]));
    assert_eq!(cleaned(OnDuplicate::Count, 3), (6, 2, vec![]), "the fifth stands behind the window of the second");
    let all = ["duplicate ,2,u,t,,", "duplicate ,5,u,t,,", "duplicate ,6,u,t,,"].map(str::to_owned).to_vec();
    assert_eq!(cleaned(OnDuplicate::Reject, 10), (3, 0, all));
}

#[test]
fn a_file_that_came_meanwhile_is_not_written_over() {
    let rig = Rig::new(ROWS);
    for name in ["out.csv", "rejects.csv"] {
        let order = rig.order();
        let (clock, control) = (SystemClock::new(), Control::default());
        let come = &mut |_, _| fs::write(rig.path(name), "mine").unwrap();
        let error = clean(&order, &mut Vec::new(), (&clock, &control), come).unwrap_err();
        assert_eq!(error.code, "E-EXISTS", "{name}");
        assert_eq!(rig.names(), ["in.csv", name], "nothing else is left");
        assert_eq!(fs::read_to_string(rig.path(name)).unwrap(), "mine");
        fs::remove_file(rig.path(name)).unwrap();
    }
}
