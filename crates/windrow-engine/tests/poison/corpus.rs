//! The poison corpus: kinds of bad input that people have met, as bytes with what must become of them.
//!
//! A list, not a fixture: each kind is generated, so that its length follows the limit it is there to break. It uses nothing but the
//! standard library, as the tests of the engine and the task that looks at the program from outside both read it.
//!
//! Two lists for each form of record: **poison**, none of whose records is a page, and **accepted**, which looks as bad and holds pages. A kind of CSV or
//! JSON Lines is one or several lines; a kind of messages is the value of one message. Every kind stands between good records, and each
//! record of it has its answer, in order.

/// A page, or the code of the reason of a reject.
pub(crate) type Answer = Result<(), &'static str>;

/// Bytes of the longest record: what `limits.max_record` is unless it is set.
pub(crate) const LIMIT: usize = 1 << 20;

/// The columns of a CSV file, and the names of a JSON object.
pub(crate) const HEADER: &str = "creation_time,id,url,title,keywords,description";

/// One kind of input.
pub(crate) struct Kind {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Its bytes without the last line end; none for a message without a value.
    pub(crate) bytes: Option<Vec<u8>>,
    /// What its records become.
    pub(crate) answers: Vec<Answer>,
}

impl Kind {
    fn new(name: &'static str, bytes: impl Into<Vec<u8>>, answers: Vec<Answer>) -> Self {
        Self { name, bytes: Some(bytes.into()), answers }
    }

    /// Whether none of its records is a page, and there are some.
    pub(crate) fn is_poison(&self) -> bool {
        !self.answers.is_empty() && self.answers.iter().all(Result::is_err)
    }

    /// Its bytes; none at all of a message without a value.
    pub(crate) fn value(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

/// A list that kinds are added to.
struct List(Vec<Kind>);

impl List {
    fn page(&mut self, name: &'static str, bytes: impl Into<Vec<u8>>) {
        self.0.push(Kind::new(name, bytes, vec![Ok(())]));
    }

    fn reject(&mut self, reason: &'static str, name: &'static str, bytes: impl Into<Vec<u8>>) {
        self.rejects(reason, 1, name, bytes);
    }

    fn rejects(&mut self, reason: &'static str, count: usize, name: &'static str, bytes: impl Into<Vec<u8>>) {
        self.0.push(Kind::new(name, bytes, vec![Err(reason); count]));
    }

    fn all(&mut self, reason: &'static str, kinds: &[(&'static str, &[u8])]) {
        kinds.iter().for_each(|(name, bytes)| self.reject(reason, name, *bytes));
    }

    fn pages(&mut self, kinds: &[(&'static str, &[u8])]) {
        kinds.iter().for_each(|(name, bytes)| self.page(name, *bytes));
    }
}

/// Every kind of a CSV file.
pub(crate) fn csv() -> Vec<Kind> {
    let mut list = List(Vec::new());
    csv_shapes(&mut list);
    csv_quotes(&mut list);
    csv_lengths(&mut list);
    csv_bytes(&mut list);
    csv_values(&mut list);
    csv_accepted(&mut list);
    list.0
}

fn csv_shapes(list: &mut List) {
    list.0.push(Kind::new("nothing", b"", vec![]));
    list.0.push(Kind::new("blank lines of all systems", b"\r\n\r\r\n\n", vec![]));
    list.all(
        "column_count",
        &[
            ("a space", b" "),
            ("one field", b"x"),
            ("an empty quoted field", b"\"\""),
            ("five fields", b",1,u,t,k"),
            ("seven fields", b",1,u,t,k,d,x"),
            ("half a row, as a crash leaves it", b"2023-05-17 20:21:51,1,https://a.exam"),
            ("semicolons", b"2023-05-17;1;u;t;k;d"),
            ("tabs", b"2023-05-17\t1\tu\tt\tk\td"),
            ("bars", b"2023-05-17|1|u|t|k|d"),
            ("JSON", br#"{"id":1,"url":"u","title":"t"}"#),
            ("HTML", b"<html><body>502 Bad Gateway</body></html>"),
            ("XML", b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b \"cc\">]><a>&b;</a>"),
            ("SQL", b"INSERT INTO pages VALUES ('2023-05-17'; DROP TABLE pages; --"),
            ("a comment", b"# made by hand"),
            ("a line of a log", b"2023-05-17T20:21:51Z ERROR upstream timed out (110: Connection timed out)"),
            ("a mark of a merge", b"<<<<<<< HEAD"),
            ("the head of a PNG", b"\x89PNG\x1a\x00\x00\x00IHDR"),
            ("the head of a gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
            ("Avro of a registry", b"\0\0\0\0\x07\x02u\x02t"),
        ],
    );
    list.reject("column_count", "10,000 columns", ",".repeat(9_999));
    list.rejects("column_count", 3, "carriage returns alone end short lines", b",1,u,t\r,2,u,t\r,3,u,t".to_vec());
    list.rejects("column_count", 4, "a stack trace", b"Traceback:\n  File x\n    raise y\nValueError: z".to_vec());
    list.reject("repeated_header", "the header again", HEADER);
}

fn csv_quotes(list: &mut List) {
    list.all(
        "bad_quote",
        &[
            ("a quote never closed", b",1,u,\"t,k,d"),
            ("a quote opened in the last field", b",1,u,t,k,\""),
            ("a quote opened in the first field", b"\",1,u,t,k,d"),
            ("a quote never closed behind doubled ones", b",1,u,\"\"\"t\"\",k,d"),
        ],
    );
    list.rejects("bad_quote", 2, "two quotes never closed", b",1,\"u\",\"t,k,d\n,2,\"u,t,k,d".to_vec());
    let over_lines = b",1,u,\"t\"t,\"k\nk\",d".to_vec();
    list.0.push(Kind::new("text after a quote over lines", over_lines, vec![Err("bad_quote"), Err("column_count")]));
    list.rejects("column_count", 2, "a field over lines, too few fields", b",1,u,\"t\nt\",k".to_vec());
    list.rejects("column_count", 2, "a field over lines, too many fields", b",1,u,\"t\nt\",k,d,x".to_vec());
    list.rejects("column_count", 3, "backslashes for doubled quotes", b",1,u,\"\\\"t\nt\\\"\nt\",k".to_vec());
}

fn csv_lengths(list: &mut List) {
    let long = |bytes: usize| format!(",1,u,{},k,d", "t".repeat(bytes));
    list.rejects("too_long", 2, "a row one byte too long", long(LIMIT - 8));
    list.rejects("too_long", 11, "a field of 10 MB", long(10 << 20));
    list.rejects("too_long", 2, "a quoted field that is too long", format!(",1,u,\"{}\",k,d", "t".repeat(LIMIT)));
    list.rejects("too_long", 3, "a line of zeros", vec![0; 3 * LIMIT]);
    list.rejects(
        "too_long",
        2,
        "an address of more than 1,048,576 characters",
        format!(",1,https://a.example/{},,,", "a".repeat(LIMIT)),
    );
    let line = "t".repeat(4_000);
    let n_lines = LIMIT / line.len() + 2;
    let bytes = format!(",1,u,\"t\n{}\",k,d", format!("{line}\n").repeat(n_lines));
    let mut answers = vec![Err("column_count"); n_lines];
    answers.insert(0, Err("bad_quote"));
    answers.push(Err("bad_quote"));
    list.0.push(Kind::new("a quoted field over too many lines", bytes, answers));
}

fn csv_bytes(list: &mut List) {
    list.all(
        "invalid_utf8",
        &[
            ("Latin-1", b",1,u,caf\xe9,k,d"),
            ("a cut character", b",1,u,\xe4\xb8,k,d"),
            ("a lone surrogate", b",1,u,\xed\xa0\x80,k,d"),
            ("a pair of surrogates", b",1,u,\xed\xa0\xbd\xed\xb8\x80,k,d"),
            ("an overlong slash", b",1,\xc0\xaf,t,k,d"),
            ("an overlong zero", b",1,u,\xc0\x80,k,d"),
            ("beyond the last code point", b",1,u,\xf4\x90\x80\x80,k,d"),
            ("a character of five bytes", b",1,u,\xf8\x88\x80\x80\x80,k,d"),
            ("a byte of no encoding", b",1,u,\xff\xfe,k,d"),
            ("Shift JIS", b",1,u,\x83\x65\x83\x58\x83\x67,k,d"),
            ("an id that is no UTF-8", b",\xff,u,t,k,d"),
            ("a time that is no UTF-8", b"\xff,1,u,t,k,d"),
        ],
    );
    list.reject("column_count", "UTF-16", b"\xff\xfe,\x001\x00".to_vec());
    list.reject("column_count", "zeros alone", vec![0; 100]);
}

/// Times that are none.
const BAD_TIMES: [(&str, &str); 19] = [
    ("a word for a time", "yesterday"),
    ("a 30th of February", "2023-02-30 00:00:00"),
    ("a 29th of February in 2023", "2023-02-29 00:00:00"),
    ("a 29th of February in 1900", "1900-02-29 00:00:00"),
    ("a 13th month", "2023-13-01 00:00:00"),
    ("a month 0", "2023-00-01 00:00:00"),
    ("a 25th hour", "2023-05-17 25:00:00"),
    ("a 61st minute", "2023-05-17 00:60:00"),
    ("the year 0", "0000-00-00 00:00:00"),
    ("the year 10000", "10000-01-01 00:00:00"),
    ("a year of two digits", "23-05-17 00:00:00"),
    ("the American order", "05/17/2023 20:21"),
    ("seconds since 1970", "1684354911"),
    ("NaN for a time", "NaN"),
    ("a day of a spreadsheet", "45063.848"),
    ("digits of another script", "２０２３-０５-１７ ２０:２１:５１"),
    ("a zero byte in a time", "2023-05-17\u{0}20:21:51"),
    ("a terminal's escape in a time", "\u{1b}[31m2023-05-17 20:21:51"),
    ("two times", "2023-05-17 20:21:51 2023-05-17 20:21:51"),
];

fn csv_values(list: &mut List) {
    for (name, time) in BAD_TIMES {
        list.reject("bad_time", name, format!("{time},1,u,t,k,d"));
    }
    list.reject("bad_time", "a byte order mark in the middle", b"\xef\xbb\xbf,1,u,t,k,d".to_vec());
    list.reject("bad_time", "the columns in another order", b"1,2023-05-17 20:21:51,u,t,k,d".to_vec());
    list.all(
        "empty_page",
        &[
            ("all columns empty", b",,,,,"),
            ("nothing but an id and a time", b"2023-05-17 20:21:51,1,,,,"),
            ("spaces for texts", b",1, ,\t,\" \",\"\n\""),
        ],
    );
    list.reject("empty_page", "spaces of other scripts for texts", ",1,\u{a0},\u{3000},\u{2003},\u{85}");
}

fn csv_accepted(list: &mut List) {
    list.pages(&[
        ("text after a quote", b",1,u,\"t\"t,k,d"),
        ("a quote in a field", b",1,u,5\" screen,k,d"),
        ("doubled quotes", b",1,u,\"\"\"t\"\"\",k,\"\""),
        ("a field over lines of all systems", b",1,u,\"t\nt\r\nt\rt\",k,d"),
        ("a zero byte", b",1,u,t\0t,k,d"),
        ("control characters", b",1,u,\x1b[2Jt\x07\x7f,k,d"),
        ("no time", b",1,u,t,k,d"),
        ("the year 1", b"0001-01-01 00:00:00,1,u,t,k,d"),
        ("the year 9999", b"9999-12-31 23:59:59.999999,1,u,t,k,d"),
        ("a day that is still to come", b"2999-01-01,1,u,t,k,d"),
        ("an id that is none", b",NaN,u,t,k,d"),
        ("a script for an address", b",1,javascript:alert(1),t,k,d"),
        ("an IPv6 host", b",1,http://[2001:db8::1]:8080/x,t,k,d"),
        ("a broken IPv6 host", b",1,http://[::1/x,t,k,d"),
        ("a formula", b",1,u,=cmd|' /C calc'!A0,k,d"),
        ("markup", b",1,u,<script>alert(1)</script>&#x27;&bogus;&,k,d"),
    ]);
    list.page("turned and hidden letters", ",1,u,a\u{202e}b\u{200b}c\u{feff},k,d");
    list.page("a tower of marks", format!(",1,u,e{},k,d", "\u{301}".repeat(5_000)));
    list.page("emoji", ",1,u,👩‍👩‍👧‍👦🏳️‍🌈,k,d");
    list.page("a last code point", ",1,u,\u{10ffff},k,d");
    list.page("an internationalised host", ",1,https://xn--bcher-kva.example/bücher,t,k,d");
    list.page("a huge id", format!(",{},u,t,k,d", "9".repeat(400)));
    list.page("escapes without end", format!(",1,https://a.example/login?next={},t,k,d", "%25".repeat(5_000)));
    list.page("an address of slashes", format!(",1,{},t,k,d", "/".repeat(100_000)));
    list.page("an address of 1,000,000 characters", format!(",1,https://a.example/{},t,k,d", "a".repeat(1_000_000)));
    list.page("a row as long as may be", format!(",1,u,{},k,d", "t".repeat(LIMIT - 9)));
    list.0.push(Kind::new("carriage returns alone end lines", b",1,u,t,k,d\r,2,u,t,k,d".to_vec(), vec![Ok(()), Ok(())]));
    let closed = b",1,u,\"t,k,d\n,2,u,\"t\",k,d".to_vec();
    list.0.push(Kind::new("a quote closed by the next row's", closed, vec![Err("bad_quote"), Ok(())]));
}

/// Every kind of a JSON Lines file.
pub(crate) fn json_lines() -> Vec<Kind> {
    let mut list = List(Vec::new());
    list.0.push(Kind::new("nothing", b"", vec![]));
    json(&mut list);
    list.rejects("bad_json", 3, "an object over lines", b"{\n\"title\": \"t\"\n}".to_vec());
    list.rejects("bad_json", 2, "a line end in a text", b"{\"title\": \"t\nt\"}".to_vec());
    list.rejects("bad_json", 2, "a list over lines", b"[{\"title\": \"t\"},\n{\"title\": \"t\"}]".to_vec());
    list.rejects("bad_json", 3, "a quote never closed, over lines", b"{\"title\": \"t\n{\"title\n\": 1".to_vec());
    list.rejects("too_long", 11, "a text of 10 MB", json_text(10 << 20));
    list.rejects("too_long", 2, "an object one byte too long", json_text(LIMIT - 11));
    list.0
}

/// Every kind of message.
pub(crate) fn messages() -> Vec<Kind> {
    let mut list = List(Vec::new());
    list.0.push(Kind { name: "a tombstone", bytes: None, answers: vec![Err("tombstone")] });
    json(&mut list);
    list.all(
        "bad_json",
        &[
            ("nothing", b""),
            ("line ends alone", b"\r\n\n"),
            ("a line end in a text", b"{\"title\": \"t\nt\"}"),
            ("two objects on two lines", b"{\"title\": \"t\"}\n{\"title\": \"t\"}"),
        ],
    );
    list.reject("too_long", "a text of 10 MB", json_text(10 << 20));
    list.reject("too_long", "an object one byte too long", json_text(LIMIT - 11));
    list.page("an object over lines", b"{\r\n\t\"title\": \"t\"\n}\n".to_vec());
    list.0
}

/// An object of 12 bytes more than its text.
fn json_text(bytes: usize) -> String {
    format!(r#"{{"title":"{}"}}"#, "t".repeat(bytes))
}

/// What is the same on a line and in a message.
fn json(list: &mut List) {
    json_broken(list);
    json_values(list);
    json_accepted(list);
}

fn json_broken(list: &mut List) {
    list.all(
        "bad_json",
        &[
            ("a space", b" "),
            ("a brace", b"{"),
            ("a cut object", br#"{"title": "t", "url": "https://a.exam"#),
            ("a cut escape", br#"{"title": "t\"#),
            ("a comma before the brace", br#"{"title": "t",}"#),
            ("no comma", br#"{"title": "t" "url": "u"}"#),
            ("no colon", br#"{"title" "t"}"#),
            ("no quotes around a key", br#"{title: "t"}"#),
            ("single quotes", b"{'title': 't'}"),
            ("a comment", br#"{"title": "t"} // made by hand"#),
            ("Python's words", br#"{"title": "t", "keywords": None}"#),
            ("a word that is none", br#"{"title": "t", "id": undefined}"#),
            ("a word cut short", br#"{"title": tru}"#),
            ("NaN and more", br#"{"title": NaNa}"#),
            ("less than NaN", br#"{"title": "t", "id": -NaN}"#),
            ("a number with a zero before it", br#"{"title": "t", "id": 007}"#),
            ("a number with a plus", br#"{"title": "t", "id": +1}"#),
            ("a number of sixteen digits to the ten", br#"{"title": "t", "id": 0x1F}"#),
            ("a number without its fraction", br#"{"title": "t", "id": 1.}"#),
            ("a minus alone", br#"{"title": "t", "id": -}"#),
            ("an escape that is none", br#"{"title": "\x41"}"#),
            ("an escape of two digits", br#"{"title": "\u41"}"#),
            ("a key of half a pair", br#"{"\ud800": 1, "title": "t"}"#),
            ("a zero byte in a text", b"{\"title\": \"t\0t\"}"),
            ("a tab in a text", b"{\"title\": \"t\tt\"}"),
            ("a terminal's escape in a text", b"{\"title\": \"\x1b[2Jt\"}"),
            ("two objects", br#"{"title": "t"}{"title": "t"}"#),
            ("an object and more", br#"{"title": "t"}]"#),
            ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf{\"title\": \"t\"}"),
            ("a list", br#"[{"title": "t"}]"#),
            ("a text", br#""title""#),
            ("an object in a text", br#""{\"title\": \"t\"}""#),
            ("a number", b"1"),
            ("null", b"null"),
            ("true", b"true"),
            ("NaN", b"NaN"),
            ("the header of a CSV file", HEADER.as_bytes()),
            ("a row of CSV", b"2023-05-17 20:21:51,1,u,t,k,d"),
            ("HTML", b"<html><body>502 Bad Gateway</body></html>"),
            ("YAML", b"title: t"),
            ("a call", br#"callback({"title": "t"});"#),
            ("zeros alone", &[0; 100]),
            ("Avro of a registry", b"\0\0\0\0\x07\x02u\x02t"),
        ],
    );
    list.reject("bad_json", "1,000 lists deep", "[".repeat(1_000));
    list.reject("bad_json", "1,000 objects deep, and cut", "{\"title\":".repeat(1_000));
    list.all(
        "invalid_utf8",
        &[
            ("Latin-1", b"{\"title\": \"caf\xe9\"}"),
            ("a cut character", b"{\"title\": \"\xe4\xb8\"}"),
            ("a lone surrogate", b"{\"title\": \"\xed\xa0\x80\"}"),
            ("an overlong quote", b"{\"title\": \"\xc0\xa2\"}"),
            ("beyond the last code point", b"{\"title\": \"\xf4\x90\x80\x80\"}"),
            ("Latin-1 in a column of nobody's", b"{\"title\": \"t\", \"price\": \"1\xa3\"}"),
            ("the head of a gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
            ("UTF-16", b"{\0\"\0t\0\xe9\0"),
        ],
    );
}

fn json_values(list: &mut List) {
    for (name, time) in BAD_TIMES {
        let control = |c: char| if c.is_control() { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
        let time: String = time.chars().map(control).collect();
        list.reject("bad_time", name, format!(r#"{{"creation_time": "{time}", "title": "t"}}"#));
    }
    list.all(
        "bad_time",
        &[
            ("a number for a time", br#"{"creation_time": 1684354911, "title": "t"}"#),
            ("a huge number for a time", br#"{"creation_time": 1e999, "title": "t"}"#),
            ("a truth for a time", br#"{"creation_time": true, "title": "t"}"#),
            ("a list for a time", br#"{"creation_time": [2023, 5, 17], "title": "t"}"#),
        ],
    );
    list.all(
        "wrong_type",
        &[
            ("an object for a title", br#"{"title": {"en": "t"}}"#),
            ("an object for a time", br#"{"creation_time": {"$date": 1}, "title": "t"}"#),
            ("an empty object for an address", br#"{"title": "t", "url": {}}"#),
            ("lists in a list", br#"{"title": "t", "keywords": [["k"]]}"#),
            ("an object in a list", br#"{"title": "t", "keywords": [{"k": 1}]}"#),
        ],
    );
    let deep = |open: &str, close: &str| [open.repeat(1_000), "1".into(), close.repeat(1_000)].concat();
    list.reject("wrong_type", "a title 1,000 lists deep", format!(r#"{{"title": {}}}"#, deep("[", "]")));
    list.reject("wrong_type", "a title 1,000 objects deep", format!(r#"{{"title": {}}}"#, deep("{\"a\":", "}")));
    list.all(
        "empty_page",
        &[
            ("an empty object", b"{}"),
            ("nothing but null", br#"{"url": null, "title": null}"#),
            ("nothing but NaN", br#"{"url": NaN, "title": -Infinity}"#),
            ("empty texts and lists", br#"{"url": "", "title": " ", "keywords": [], "description": [null, ""]}"#),
            ("escaped spaces", br#"{"title": "\u00a0\n\u3000"}"#),
            ("other columns", br#"{"Title": "t", "headline": "t"}"#),
            ("a title of a prototype", br#"{"__proto__": {"title": "t"}, "constructor": 1}"#),
            ("the last of two titles is empty", br#"{"title": "t", "title": ""}"#),
        ],
    );
    let columns: Vec<String> = (0..10_000).map(|at| format!("\"c{at}\":{at}")).collect();
    list.reject("empty_page", "10,000 columns of nobody's", format!("{{{}}}", columns.join(",")));
}

fn json_accepted(list: &mut List) {
    list.pages(&[
        ("a byte order mark", b"\xef\xbb\xbf{\"title\": \"t\"}"),
        ("two titles", br#"{"title": "s", "title": "t"}"#),
        ("a huge id", br#"{"id": 123456789012345678901234567890e999, "title": "t"}"#),
        ("NaN for nothing", br#"{"title": "t", "url": NaN, "id": Infinity}"#),
        ("half a pair", br#"{"title": "\ud800 \udc00\ud83d"}"#),
        ("a zero byte, escaped", br#"{"title": "t\u0000t"}"#),
        ("a truth for a title", br#"{"title": false}"#),
        ("the header of a CSV file as an object", br#"{"url": "url", "title": "title"}"#),
        ("a script for an address", br#"{"url": "javascript:alert(1)"}"#),
        ("the year 9999", br#"{"creation_time": "9999-12-31 23:59:59", "title": "t"}"#),
    ]);
    list.page("turned and hidden letters", "{\"title\": \"a\u{202e}b\u{200b}c\u{feff}\"}");
    list.page("emoji", "{\"title\": \"👩‍👩‍👧‍👦\", \"keywords\": [\"🏳️‍🌈\", \"\\ud83d\\ude00\"]}");
    let deep = ["[".repeat(1_000), "]".repeat(1_000)].concat();
    list.page("1,000 lists deep in a column of nobody's", format!(r#"{{"title": "t", "x": {deep}}}"#));
    let columns: Vec<String> = (0..10_000).map(|at| format!("\"c{at}\":{at}")).collect();
    list.page("10,000 more columns", format!("{{\"title\":\"t\",{}}}", columns.join(",")));
    list.page("an object as long as may be", json_text(LIMIT - 12));
    list.page("an address of 1,000,000 characters", format!(r#"{{"url":"https://a.example/{}"}}"#, "a".repeat(1_000_000)));
}
