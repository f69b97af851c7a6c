//! Every kind of bad record, each between two good ones: it becomes what it should, and the good rows around it come through.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;

use windrow_core::clean::Rules;
use windrow_core::featurize::FieldWeights;
use windrow_core::record::RejectReason::{
    self, BadQuote, BadTime, ColumnCount, EmptyPage, InvalidUtf8, RepeatedHeader, TooLong,
};
use windrow_engine::event::Event;
use windrow_engine::read::spawn;
use windrow_engine::source::{Asked, Keep, Limits, Positions, Wanted, open};

const HEADER: &str = "creation_time,id,url,title,keywords,description";

/// Bytes of a longest record in these tests.
const LONGEST: usize = 2000;

/// A page, or the reason of a reject.
type Answer = Result<(), RejectReason>;
const PAGE: Answer = Ok(());

/// What it is called, its bytes, and what its rows become.
fn poisons() -> Vec<(&'static str, Vec<u8>, Vec<Answer>)> {
    let mut all: Vec<(&'static str, Vec<u8>, Vec<Answer>)> = Vec::new();
    let mut add = |name, bytes: &[u8], answers: &[Answer]| all.push((name, bytes.to_vec(), answers.to_vec()));
    let no = |reason| Err(reason);
    // Records and fields.
    add("nothing", b"", &[]);
    add("blank lines", b"\r\n\r\r\n\n", &[]);
    add("a space", b" ", &[no(ColumnCount)]);
    add("one field", b"x", &[no(ColumnCount)]);
    add("an empty quoted field", b"\"\"", &[no(ColumnCount)]);
    add("five fields", b",1,u,t,k", &[no(ColumnCount)]);
    add("seven fields", b",1,u,t,k,d,x", &[no(ColumnCount)]);
    add("10,000 fields", &vec![b','; 1900], &[no(ColumnCount)]);
    add("another delimiter", b"2023-05-17;1;u;t;k;d", &[no(ColumnCount)]);
    add("JSON", br#"{"id":1,"url":"u","title":"t"}"#, &[no(ColumnCount)]);
    add("HTML", b"<html><body>502 Bad Gateway</body></html>", &[no(ColumnCount)]);
    add("the header again", HEADER.as_bytes(), &[no(RepeatedHeader)]);
    add("a comment", b"# made by hand", &[no(ColumnCount)]);
    // Quotes.
    add("a quote never closed", b",1,u,\"t,k,d", &[no(BadQuote)]);
    add("a quote opened in the last field", b",1,u,t,k,\"", &[no(BadQuote)]);
    add("two quotes never closed", b",1,\"u\",\"t,k,d\n,2,\"u,t,k,d", &[no(BadQuote), no(BadQuote)]);
    add("text after a quote", b",1,u,\"t\"t,k,d", &[PAGE]);
    add("text after a quote over lines", b",1,u,\"t\"t,\"k\nk\",d", &[no(BadQuote), no(ColumnCount)]);
    add("a quote in a field", b",1,u,5\" screen,k,d", &[PAGE]);
    add("doubled quotes", b",1,u,\"\"\"t\"\"\",k,\"\"", &[PAGE]);
    add("a field over lines", b",1,u,\"t\nt\r\nt\rt\",k,d", &[PAGE]);
    add("a field over lines, too few fields", b",1,u,\"t\nt\",k", &[no(ColumnCount), no(ColumnCount)]);
    add("a field over lines, too many fields", b",1,u,\"t\nt\",k,d,x", &[no(ColumnCount), no(ColumnCount)]);
    add("a quote closed by the next row's", b",1,u,\"t,k,d\n,2,u,\"t\",k,d", &[no(BadQuote), PAGE]);
    // Length.
    let long = |bytes: usize| format!(",1,u,{},k,d", "t".repeat(bytes)).into_bytes();
    add("a field as long as may be", &long(LONGEST - 9), &[PAGE]);
    add("a field one byte longer", &long(LONGEST - 8), &[no(TooLong); 2]);
    add("a line of many times the limit", &vec![b'x'; 5 * LONGEST], &[no(TooLong); 5]);
    add("a long quoted field", format!(",1,u,\"{}\",k,d", "t".repeat(LONGEST)).as_bytes(), &[no(TooLong); 2]);
    let lines = [b",1,u,\"t\n".to_vec(), b"t\n".repeat(LONGEST), b"\",k,d".to_vec()].concat();
    let mut answers = vec![no(BadQuote)];
    answers.extend([no(ColumnCount)].repeat(LONGEST));
    answers.push(no(BadQuote));
    add("a quoted field over too many lines", &lines, &answers);
    // Bytes.
    add("bad UTF-8", b",1,u,caf\xe9,k,d", &[no(InvalidUtf8)]);
    add("a cut character", b",1,u,\xe4\xb8,k,d", &[no(InvalidUtf8)]);
    add("a lone surrogate", b",1,u,\xed\xa0\x80,k,d", &[no(InvalidUtf8)]);
    add("an overlong slash", b",1,\xc0\xaf,t,k,d", &[no(InvalidUtf8)]);
    add("UTF-16", b"\xff\xfe,\x001\x00", &[no(ColumnCount)]);
    add("NUL", b",1,u,t\0t,k,d", &[PAGE]);
    add("NULs alone", &[0; 100], &[no(ColumnCount)]);
    add("control characters", b",1,u,\x1b[2Jt\x07\x7f,k,d", &[PAGE]);
    add("a byte order mark", b"\xef\xbb\xbf,1,u,t,k,d", &[no(BadTime)]);
    add("turned and hidden letters", ",1,u,a\u{202e}b\u{200b}c\u{feff},k,d".as_bytes(), &[PAGE]);
    add("a tower of marks", format!(",1,u,e{},k,d", "\u{301}".repeat(500)).as_bytes(), &[PAGE]);
    add("emoji", ",1,u,👩‍👩‍👧‍👦🏳️‍🌈,k,d".as_bytes(), &[PAGE]);
    add("a last code point", ",1,u,\u{10ffff},k,d".as_bytes(), &[PAGE]);
    // Values.
    add("all empty", b",,,,,", &[no(EmptyPage)]);
    add("nothing but an id and a time", b"2023-05-17 20:21:51,1,,,,", &[no(EmptyPage)]);
    add("spaces for texts", b",1, ,\t,\" \",\"\n\"", &[no(EmptyPage)]);
    add("no time", b",1,u,t,k,d", &[PAGE]);
    add("no time at all", b"yesterday,1,u,t,k,d", &[no(BadTime)]);
    add("a 30th of February", b"2023-02-30 00:00:00,1,u,t,k,d", &[no(BadTime)]);
    add("the year 1", b"0001-01-01 00:00:00,1,u,t,k,d", &[PAGE]);
    add("the year 9999", b"9999-12-31 23:59:59.999999,1,u,t,k,d", &[PAGE]);
    add("the year 0", b"0000-00-00 00:00:00,1,u,t,k,d", &[no(BadTime)]);
    add("an id that is none", b",NaN,u,t,k,d", &[PAGE]);
    add("a huge id", format!(",{},u,t,k,d", "9".repeat(400)).as_bytes(), &[PAGE]);
    add("a script for an address", b",1,javascript:alert(1),t,k,d", &[PAGE]);
    add("an IPv6 host", b",1,http://[2001:db8::1]:8080/x,t,k,d", &[PAGE]);
    add("a broken IPv6 host", b",1,http://[::1/x,t,k,d", &[PAGE]);
    add("an internationalised host", ",1,https://xn--bcher-kva.example/bücher,t,k,d".as_bytes(), &[PAGE]);
    add("escapes without end", format!(",1,https://a.example/login?next={},t,k,d", "%25".repeat(500)).as_bytes(), &[PAGE]);
    add("an address of slashes", format!(",1,{},t,k,d", "/".repeat(1500)).as_bytes(), &[PAGE]);
    add("a formula", b",1,u,=cmd|' /C calc'!A0,k,d", &[PAGE]);
    add("markup", b",1,u,<script>alert(1)</script>&#x27;&bogus;&,k,d", &[PAGE]);
    all
}

fn good(number: usize) -> Vec<u8> {
    format!("2023-05-17 20:21:51.822000,{number},https://good.example/{number},good row {number},,fine").into_bytes()
}

/// What the rows of a file become, and all bytes of the rejects.
fn answers(bytes: &[u8], threads: usize, batch_rows: usize) -> (Vec<(u64, Answer)>, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("poison.csv");
    fs::write(&path, bytes).unwrap();
    let limits = Limits { batch_rows, record_bytes: LONGEST, ..Limits::default() };
    let inputs = [path.to_str().unwrap().to_owned()];
    let wanted = Wanted::once(&inputs, "", Asked::default(), limits);
    let mut opened = open(wanted, &mut Positions::default()).unwrap();
    let reader = spawn(opened.take(), (&FieldWeights::default(), &Rules::default()), threads, 1 << 20).unwrap();
    let (mut all, mut raw) = (Vec::new(), Vec::new());
    for event in reader.events() {
        let batch = match event {
            Event::Batch(batch) => batch,
            Event::Failed(error) => panic!("{error}"),
            _ => continue,
        };
        all.extend(batch.prepared.pages.origin.iter().map(|origin| (origin.offset, PAGE)));
        for reject in batch.prepared.rejects {
            all.push((reject.origin.offset, Err(reject.reason)));
            raw.push(reject.raw);
        }
    }
    all.sort_by_key(|(offset, _)| *offset);
    (all, raw)
}

/// Compares answers, and shows where they part.
fn same(name: &str, found: &[Answer], expected: &[Answer]) {
    let at =
        found.iter().zip(expected).position(|(found, expected)| found != expected).unwrap_or(found.len().min(expected.len()));
    let shown = |answers: &[Answer]| answers[at.saturating_sub(2)..answers.len().min(at + 3)].to_vec();
    assert!(found == expected, "{name}, at {at}: found {:?}, expected {:?}", shown(found), shown(expected));
}

#[test]
fn each_poison_becomes_what_it_should_and_hurts_nobody() {
    let poisons = poisons();
    assert!(poisons.len() >= 60, "{}", poisons.len());
    for (name, poison, expected) in poisons {
        let bytes = [HEADER.as_bytes(), b"\n", &good(1), b"\n", &poison, b"\n", &good(2), b"\n"].concat();
        let (all, raw) = answers(&bytes, 1, 4096);
        let found: Vec<Answer> = all.into_iter().map(|(_, answer)| answer).collect();
        let expected: Vec<Answer> = [&[PAGE], &expected[..], &[PAGE]].concat();
        same(name, &found, &expected);
        for raw in raw {
            assert!(poison.windows(raw.len()).any(|window| window == raw), "{name}: a reject has other bytes");
        }
    }
}

#[test]
fn all_poisons_together_one_to_one_with_good_rows() {
    let poisons = poisons();
    let mut bytes = format!("{HEADER}\n").into_bytes();
    let mut expected = Vec::new();
    for round in 0..5 {
        for (at, (_, poison, answers)) in poisons.iter().enumerate() {
            bytes.extend([&poison[..], b"\n", &good(round * 100 + at), b"\n"].concat());
            expected.extend_from_slice(answers);
            expected.push(PAGE);
        }
    }
    let (all, _) = answers(&bytes, 1, 4096);
    let found: Vec<Answer> = all.iter().map(|(_, answer)| *answer).collect();
    // Which fault of a record comes first can depend on what follows; whether it is a page cannot.
    let is_page = |answers: &[Answer]| answers.iter().map(|answer| answer.map_err(|_| BadQuote)).collect::<Vec<_>>();
    same("all together", &is_page(&found), &is_page(&expected));
    let (in_threads, _) = answers(&bytes, 3, 7);
    assert!(in_threads == all, "threads and batches change the answers");
}
