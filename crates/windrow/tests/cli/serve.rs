//! The server from outside: who may come in, and what it says.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use windrow_engine::clock::{Clock as _, SystemClock};

use crate::docs::documented_fields;
use crate::rig::{Rig, SAMPLE};

/// A run without an end, and where it is shown.
const ENDLESS: [&str; 5] = ["run", "--input", "generator:rows=1000000000,seed=1", "--out", "out"];
const SHOWN: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// How long something may take to be shown.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a client may say nothing, and how many streams may be open.
const CUT_OFF: Duration = Duration::from_secs(10);
const STREAMS: usize = 200;

/// An answer.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

fn next_line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    reader.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(reader.read_line(&mut line).unwrap() > 0, "the answer ended");
    line
}

/// The next event: its number, name and data.
fn next_event(reader: &mut BufReader<TcpStream>) -> (u64, String, Value) {
    let (mut id, mut name) = (0, String::new());
    loop {
        let line = next_line(reader);
        if let Some(number) = line.strip_prefix("id: ") {
            id = number.trim().parse().unwrap();
        } else if let Some(word) = line.strip_prefix("event: ") {
            name = word.trim().to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            return (id, name, serde_json::from_str(data).unwrap());
        }
    }
}

/// A running server.
struct Server {
    child: Child,
    /// What it is called by the URL that it printed.
    host: String,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, but for a test that failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(rig: &Rig, more: &[&str]) -> Self {
        Self::call(rig, &[&["serve", "--out", "out", "--listen", "127.0.0.1:0"][..], more].concat())
    }

    /// A command that prints a URL and answers there.
    fn call(rig: &Rig, args: &[&str]) -> Self {
        let mut child = rig.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("http://").unwrap_or_else(|| panic!("no URL: {line}"));
        let (host, token) = url.split_once("/?token=").unwrap();
        Self { child, host: host.to_owned(), token: token.to_owned() }
    }

    fn port(&self) -> &str {
        self.host.rsplit_once(':').unwrap().1
    }

    /// Opens an answer that does not end.
    fn open(&self, path: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port())).unwrap();
        let (host, token) = (&self.host, &self.token);
        // In HTTP/1.0 nothing is cut into chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        assert!(next_line(&mut reader).contains("200 OK"));
        while !next_line(&mut reader).trim().is_empty() {}
        reader
    }

    /// A change.
    fn post(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let (bearer, length) = (format!("Bearer {}", self.token), body.len().to_string());
        let ours = [("Host", self.host.as_str()), ("Authorization", &bearer), ("Content-Length", &length)];
        self.ask_with("POST", path, &[&ours[..], headers].concat(), body)
    }

    /// A request with these headers and no others.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask_with(method, path, headers, "")
    }

    fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port())).unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        // Who has heard enough answers and hangs up, whatever else was sent: then the answer is all there is.
        stream.write_all(format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n{body}").as_bytes()).ok();
        let (mut bytes, mut piece) = (Vec::new(), vec![0; 1 << 16]);
        // Some answers have no end: their head is enough.
        let is_endless = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            ["text/event-stream", "application/x-ndjson"].iter().any(|kind| text.contains(kind)) && text.contains("\r\n\r\n")
        };
        loop {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => bytes.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset && !bytes.is_empty() => break,
                Err(error) => panic!("{method} {path}: {error}"),
            }
            if is_endless(&bytes) {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: {text}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: body.to_owned() }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[("Host", &self.host), ("Authorization", &format!("Bearer {}", self.token))])
    }

    /// Asks until the answer is as wanted.
    fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let clock = SystemClock::new();
        loop {
            let answer = self.get(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(clock.elapsed() < PATIENCE, "{path}: {} {}", answer.status, answer.body);
        }
    }

    fn end(mut self, signal: Signal, code: i32) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            tell.send(said)
        });
        let said = told.recv_timeout(PATIENCE).expect("it does not end");
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{said}");
    }

    /// Names of its threads.
    fn threads(&self) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok()).collect()
    }
}

#[test]
fn every_route_lies_behind_the_door() {
    let rig = Rig::with_sample();
    let server = Server::start(&rig, &["--host", "Board.Example"]);
    let bearer = format!("Bearer {}", server.token);
    let routes = server.get("/api/v1").json();
    let text = |route: &Value, name: &str| route[name].as_str().unwrap().replace("{id}", "7");
    let listed = routes["routes"].as_array().unwrap().iter().map(|route| (text(route, "method"), text(route, "path")));
    let others = ["/nothing", "/", "/..%2f..%2fetc/passwd"].map(|path| ("GET".to_owned(), path.to_owned()));
    let paths: Vec<(String, String)> = listed.chain(others).collect();
    assert!(paths.len() > 20, "{paths:?}");
    let foreign = [
        "evil.example",
        &format!("evil.example:{}", server.port()),
        "localhost",
        "127.0.0.1:1",
        "",
        "board.example.evil.example",
    ];
    let origins = ["null", "http://evil.example", &format!("http://evil.example:{}", server.port())];
    for (method, path) in &paths {
        for host in foreign {
            let answer = server.ask(method, path, &[("Host", host), ("Authorization", &bearer)]);
            assert!(answer.status == 403, "{path} as {host}: {}", answer.status);
        }
        for origin in origins {
            let answer = server.ask(method, path, &[("Host", &server.host), ("Origin", origin), ("Authorization", &bearer)]);
            assert_eq!(answer.status, 403, "{path} from {origin}");
        }
        for token in ["", "Bearer ", "Bearer wrong", &bearer[..bearer.len() - 1]] {
            let answer = server.ask(method, path, &[("Host", &server.host), ("Authorization", token)]);
            assert_eq!(answer.status, if path == "/livez" { 200 } else { 401 }, "{path} with `{token}`");
            assert!(path == "/livez" || answer.json()["code"] == "E-HTTP-TOKEN", "{}", answer.body);
        }
        for host in [&server.host, &format!("localhost:{}", server.port()), "board.example"] {
            let answer = server.ask("GET", path, &[("Host", host), ("Authorization", &bearer)]);
            assert!(![401, 403].contains(&answer.status), "{path} as {host}: {}", answer.status);
            assert!(method == "GET" || answer.status == 405, "{path}: {}", answer.status);
            assert!(answer.headers["content-security-policy"].starts_with("default-src 'none'; script-src 'self';"), "{path}");
            assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        }
        let wanted: &[u16] = if method == "POST" { &[403] } else { &[404, 405] };
        let posted = server.post(path, "", &[]);
        assert!(wanted.contains(&posted.status), "{path}: {}", posted.status);
    }
    server.end(Signal::INT, 130);
}

#[test]
fn the_printed_url_opens_and_the_cookie_is_enough_from_then_on() {
    let rig = Rig::with_sample();
    rig.write("token", "a-token-of-our-own-42\n");
    let server = Server::start(&rig, &["--token-file", "token"]);
    assert_eq!(server.token, "a-token-of-our-own-42");
    let opened = server.ask("GET", &format!("/?token={}", server.token), &[("Host", &server.host)]);
    assert_eq!((opened.status, opened.headers["location"].as_str()), (303, "/"));
    let cookie = opened.headers["set-cookie"].clone();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(server.ask("GET", "/api/v1/now", &[("Host", &server.host), ("Cookie", cookie)]).status, 200);
    server.end(Signal::TERM, 0);
    rig.write("token", "short");
    rig.run(&["serve", "--out", "out", "--token-file", "token"]).failed(2, "E-TOKEN");
    rig.run(&["serve", "--out", "out", "--listen", "192.0.2.1:0"]).failed(3, "E-LISTEN");
}

#[test]
fn it_says_what_the_verb_says() {
    let rig = Rig::with_sample();
    let server = Server::start(&rig, &[]);
    let clusters = server.get("/api/v1/clusters?sort=cluster").json();
    let told = rig.run(&["clusters", "--out", "out", "-o", "json"]).fine().lines();
    assert_eq!((clusters["clusters"].as_array().unwrap(), &clusters["commit"]), (&told, &1.into()));
    let documented = documented_fields();
    let now = server.get("/api/v1/now").json();
    let fields = now.as_object().unwrap().keys().filter(|name| *name != "schema").cloned().collect();
    assert_eq!(documented["windrow.now/1"], fields, "docs/reference/json.md");
    assert_eq!((&now["rows"], &now["standing"]["is"]), (&100.into(), &"ended".into()));

    let csv = server.get("/api/v1/clusters?format=csv&sort=cluster").body;
    let tsv = rig.run(&["clusters", "--out", "out", "-o", "tsv"]).fine().out;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let ids = |at: usize| tsv.lines().skip(1).map(|line| line.split('\t').nth(at).unwrap().to_owned()).collect::<Vec<_>>();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    for column in [0, 2, 3, 4, 6] {
        assert_eq!(records.iter().map(|record| record[column].to_owned()).collect::<Vec<_>>(), ids(column));
    }
    let largest = server.get("/api/v1/clusters?limit=1").json();
    let most = told.iter().map(|cluster| cluster["delivered"].as_u64().unwrap()).max();
    assert_eq!((largest["clusters"][0]["delivered"].as_u64(), &largest["total"]), (most, &told.len().into()));
    let id = &largest["clusters"][0]["cluster"];
    let mut one = server.get(&format!("/api/v1/clusters/{id}")).json();
    let more = ["state", "themes", "themes_total", "neighbours", "topic"].map(|name| one.as_object_mut().unwrap().remove(name));
    assert_eq!(one, largest["clusters"][0]);
    assert!(more[0] == Some("alive".into()) && !more[1].as_ref().unwrap().as_array().unwrap().is_empty(), "{more:?}");
    let found = server.get("/api/v1/clusters?q=FACEBOOK.com").json();
    assert!((1..50).contains(&found["total"].as_u64().unwrap()), "{found}");

    let metrics = server.get("/metrics").body;
    let delivered: u64 = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("windrow_delivered_pages_total{cluster=\""))
        .map(|line| line.split_once("} ").unwrap().1.parse::<u64>().unwrap())
        .sum();
    assert_eq!(delivered, 100, "{metrics}");
    assert!(metrics.contains("\nwindrow_rows_total 100\n") && metrics.ends_with("# EOF\n"), "{metrics}");
    let bytes = std::fs::metadata(SAMPLE).unwrap().len();
    for line in [format!("windrow_read_bytes_total {bytes}"), format!("windrow_source_position{{source=\"0\"}} {bytes}")] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line}: {metrics}");
    }
    for (path, status) in [
        ("/api/v1/clusters?x=1", 400),
        ("/api/v1/clusters?sort=up", 400),
        ("/api/v1/clusters/9999", 404),
        ("/api/v1/clusters/x", 400),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, &answer.json()["schema"]), (status, &"windrow.refusal/1".into()), "{path}: {}", answer.body);
    }
    server.end(Signal::INT, 130);
}

/// The sum of all counts of an array, however deep.
fn sum(counts: &Value) -> u64 {
    counts.as_array().map_or(counts.as_u64().unwrap_or(0), |inner| inner.iter().map(sum).sum())
}

/// Every second page of all stands in a map of half of them, and all in one of as many.
fn even_distances(server: &Server, half: &Value) {
    let records = |points: &Value| -> Vec<String> {
        points.as_array().unwrap().iter().map(|page| page["record_id"].as_str().unwrap().to_owned()).collect()
    };
    let mut all = records(&server.get("/api/v1/pages?limit=100").json()["pages"]);
    all.reverse();
    assert!(records(&half["points"]["items"]).iter().eq(all.iter().step_by(2)));
    assert_eq!(records(&server.get("/api/v1/map").json()["points"]["items"]), all);
    assert_eq!(records(&server.get("/api/v1/map?points=0").json()["points"]["items"]), [""; 0]);
}

#[test]
fn the_past_holds_every_page() {
    let rig = Rig::with_sample();
    let server = Server::start(&rig, &[]);
    let documented = documented_fields();
    for (path, schema) in [
        ("timeline?clock=event&top=3", "windrow.timeline/1"),
        ("timeline?clock=arrival&window=1h&buckets=2", "windrow.timeline/1"),
        ("messages", "windrow.messages/1"),
        ("domains?top=2&clusters=3", "windrow.domains/1"),
        ("map?points=60", "windrow.map/1"),
    ] {
        let told = server.get(&format!("/api/v1/{path}")).json();
        let fields = told.as_object().unwrap().keys().filter(|name| *name != "schema").cloned().collect();
        assert_eq!((&told["schema"], &documented[schema]), (&schema.into(), &fields), "docs/reference/json.md: {path}");
        let counted = match schema {
            "windrow.timeline/1" => {
                let series = told["series"].as_array().unwrap().iter().map(|series| sum(&series["counts"])).sum::<u64>();
                series + sum(&told["other"]["counts"]) + sum(&told["undated"])
            }
            "windrow.map/1" => {
                assert_eq!((&told["points"]["shown"], &told["points"]["total"]), (&50.into(), &100.into()));
                even_distances(&server, &told);
                continue;
            }
            "windrow.messages/1" => told["clusters"].as_array().unwrap().iter().map(|cluster| sum(&cluster["pages"])).sum(),
            _ => ["counts", "other_clusters", "other_domains", "other"].map(|name| sum(&told[name])).iter().sum(),
        };
        assert_eq!(counted, 100, "{path}: {told}");
        let csv = server.get(&format!("/api/v1/{path}{}format=csv", if path.contains('?') { '&' } else { '?' }));
        assert!(csv.status == 200 && csv.headers["content-type"].starts_with("text/csv"), "{path}");
    }
    for path in ["timeline?clock=noon", "timeline?from=soon", "timeline?cluster=x", "messages?window=2h", "domains?top=-1"] {
        let answer = server.get(&format!("/api/v1/{path}"));
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"E-HTTP-QUERY".into()), "{path}");
    }
    server.end(Signal::INT, 130);
}

#[test]
fn a_run_is_shown_while_it_goes() {
    let rig = Rig::new();
    let server = Server::call(&rig, &[&ENDLESS[..], &SHOWN, &["--roll-rows", "20000"]].concat());
    let first = server.until("/api/v1/now", |answer| answer.json()["rows"].as_u64() > Some(0)).json();
    assert_eq!((&first["live"], &first["standing"]["is"]), (&true.into(), &"running".into()));
    server.until("/api/v1/now", |answer| answer.json()["rows_per_s"].as_f64() > Some(0.0));
    server.until("/api/v1/messages?clock=arrival", |answer| answer.json()["total"].as_u64() > Some(20_000));
    server
        .until("/api/v1/timeline?clock=event", |answer| answer.json()["times"].as_array().is_some_and(|times| times.len() > 1));
    let _events = server.open("/api/v1/events");
    // What is told of this moment may be ahead of the first commit.
    let is_told = |answer: &str| answer.contains("\nwindrow_event_clients 1\n") && !answer.contains("\nwindrow_commit 0\n");
    let metrics = server.until("/metrics", |answer| is_told(&answer.body)).body;
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("windrow_{name} ")));
        line.unwrap_or_else(|| panic!("no {name}: {metrics}")).parse().unwrap()
    };
    assert!(value("commit_seconds_count") > 0.0 && value("commit_seconds_count") <= value("commit"), "{metrics}");
    assert!(value("commit_seconds_bucket{le=\"+Inf\"}") == value("commit_seconds_count"), "{metrics}");
    assert!(value("commit_seconds_sum") > 0.0 && value("commit_age_seconds") >= 0.0, "{metrics}");
    assert!(value("memory_budget_bytes") > 1e6 && first["lag"].is_null() && !metrics.contains("_lag_"), "{metrics}");
    server.end(Signal::INT, 130);
    let told = rig.run(&["run", "--input", SAMPLE, "--new", "--out", "out", "--listen", "192.0.2.1:0"]);
    told.failed(3, "E-LISTEN");
    let quiet = rig.run(&["run", "--input", SAMPLE, "--new", "--out", "out", "--no-serve"]).fine();
    assert_eq!(quiet.out, "");
    // Data alone, and the URL beside it.
    let json = rig.run(&["run", "--input", SAMPLE, "--out", "out", "-o", "json"]).fine();
    assert!(json.json()["rows"] == 0 && json.err.contains("/?token="), "{json:?}");
}

#[test]
fn pages_are_found_and_told_why() {
    let rig = Rig::with_sample();
    let server = Server::start(&rig, &[]);
    let documented = documented_fields();
    let fields = |object: &Value| object.as_object().unwrap().keys().filter(|name| *name != "schema").cloned().collect();
    let (mut pages, mut path) = (Vec::new(), "/api/v1/pages?limit=30".to_owned());
    loop {
        let told = server.get(&path).json();
        assert_eq!((documented["windrow.pages/1"].clone(), &told["total"]), (fields(&told), &100.into()));
        pages.extend(told["pages"].as_array().unwrap().clone());
        match told["next"].as_str() {
            Some(next) => path = format!("/api/v1/pages?limit=30&before={next}"),
            None => break,
        }
    }
    assert_eq!(pages.len(), 100);
    let (id, cluster) = (pages[0]["id"].as_str().unwrap(), &pages[0]["cluster"]);
    let one = server.get(&format!("/api/v1/pages?q=id:{id}")).json();
    assert!(one["pages"].as_array().unwrap().iter().all(|page| page["id"] == id), "{one}");
    let of_cluster = server.get(&format!("/api/v1/clusters/{cluster}/pages?limit=1000")).json();
    let n = pages.iter().filter(|page| page["cluster"] == *cluster).count();
    assert_eq!(of_cluster["pages"].as_array().unwrap().len(), n);
    let csv = server.get(&format!("/api/v1/clusters/{cluster}/pages?limit=1000&format=csv")).body;
    assert_eq!(csv::Reader::from_reader(csv.as_bytes()).records().count(), n);
    let why = server.get(&format!("/api/v1/explain?id={id}")).json();
    assert_eq!(why, rig.run(&["explain", "--out", "out", "--id", id, "-o", "json"]).fine().json());
    let lineage = server.get("/api/v1/lineage?limit=5").json();
    assert_eq!((documented["windrow.lineage/1"].clone(), lineage["events"].as_array().unwrap().len()), (fields(&lineage), 5));
    let kept = server.get("/api/v1/export.html").body;
    assert!(kept.starts_with("<!doctype html>") && kept.matches("<svg ").count() == 4);
    let status = server.get("/api/v1/status").json();
    assert_eq!((&status["rows"], &status["commits"][0]["pages"]), (&100.into(), &100.into()));
    let is_origin = |setting: &Value| setting["key"] == "output.out" && setting["origin"].is_string();
    assert!(status["settings"].as_array().unwrap().iter().any(is_origin), "{status}");
    for path in [
        "pages?q=clustre:7",
        "pages?before=x",
        "pages?limit=many",
        "explain",
        "explain?id=1&url=2",
        "explain?record_id=x",
        "rejects?reason=bad_luck",
        "lineage?cluster=x",
        "clusters/0/export?format=exe",
    ] {
        let answer = server.get(&format!("/api/v1/{path}"));
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"E-HTTP-QUERY".into()), "{path}");
    }
    assert_eq!(server.get("/api/v1/explain?id=nobody").status, 404);
    for ending in ["csv", "parquet", "xlsx"] {
        let file = server.get(&format!("/api/v1/clusters/{cluster}/export?format={ending}"));
        let name = format!("attachment; filename=\"cluster-{cluster}.{ending}\"");
        assert_eq!((file.status, &file.headers["content-disposition"]), (200, &name));
        assert!(!file.body.is_empty());
    }
    assert_eq!(server.get("/api/v1/clusters/9999/export?format=csv").status, 404);
    server.end(Signal::INT, 130);
}

#[test]
fn rejects_are_shown_with_their_bytes() {
    let rig = Rig::new();
    let rows = b"creation_time,id,url,title,keywords,description\n,1,u,t\xff,k,d\n,2,u,t,k,d\nx\n";
    std::fs::write(rig.path("bad.csv"), rows).unwrap();
    rig.run(&["run", "--input", "bad.csv", "--out", "out", "--no-serve"]).fine();
    let server = Server::start(&rig, &[]);
    let told = server.get("/api/v1/rejects").json();
    let fields = told.as_object().unwrap().keys().filter(|name| *name != "schema").cloned().collect();
    assert_eq!(documented_fields()["windrow.rejects/1"], fields);
    assert_eq!(told["by_reason"], serde_json::json!({"column_count": 1, "invalid_utf8": 1}));
    let newest: Vec<_> = told["rejects"].as_array().unwrap().iter().map(|reject| reject["reason"].as_str().unwrap()).collect();
    assert_eq!(newest, ["column_count", "invalid_utf8"]);
    let one = server.get("/api/v1/rejects?reason=invalid_utf8").json()["rejects"][0].clone();
    assert_eq!((&one["bytes"], &one["length"], &one["at"]), (&"LDEsdSx0/yxrLGQ=".into(), &11.into(), &6.into()), "{one}");
    server.end(Signal::INT, 130);
}

#[test]
fn changes_ask_for_what_a_page_elsewhere_cannot_send() {
    let rig = Rig::with_sample();
    let server = Server::start(&rig, &[]);
    let ours = [("X-Windrow", "1"), ("Content-Type", "application/json")];
    let path = "/api/v1/clusters/0/label";
    assert_eq!(server.post(path, "{\"label\":\"x\"}", &ours[1..]).status, 403);
    assert_eq!(server.post(path, "{\"label\":\"x\"}", &[ours[0], ("Content-Type", "text/plain")]).status, 415);
    assert_eq!(server.post(path, "{\"lable\":\"x\"}", &ours).status, 400);
    assert_eq!(server.post(path, &format!("{{\"label\":\"{}\"}}", "x".repeat(20_000)), &ours).status, 413);
    assert_eq!(server.post("/api/v1/clusters/9999/pin", "{\"pinned\":true}", &ours).status, 400);
    assert_eq!(server.post(path, "{\"label\":\"bad\\u202ename\"}", &ours).status, 400);
    let done = server.post(path, "{\"label\":\"summer <b>sale</b>\"}", &ours);
    assert_eq!((done.status, &done.json()["schema"]), (202, &"windrow.edit/1".into()), "{}", done.body);
    server.until("/api/v1/clusters/0", |answer| answer.json()["label"] == "summer <b>sale</b>");
    assert_eq!(server.post("/api/v1/clusters/0/pin", "{\"pinned\":true}", &ours).status, 202);
    server.until("/api/v1/clusters/0", |answer| answer.json()["pinned"] == true);
    server.end(Signal::INT, 130);
}

#[test]
fn a_cluster_that_ended_since_the_last_commit_is_no_stranger() {
    let rig = Rig::new();
    rig.write("rows.csv", &std::fs::read_to_string(SAMPLE).unwrap());
    let run = ["run", "--input", "rows.csv", "--follow", "--out", "out", "--roll-rows", "100", "--roll-seconds", "86400"];
    let server = Server::call(&rig, &[&run[..], &SHOWN].concat());
    server.until("/api/v1/now", |answer| answer.json()["commit"] == 1);
    let clusters = server.get("/api/v1/clusters?sort=cluster").json();
    let [ended, into] = [0, 1].map(|at| clusters["clusters"][at]["cluster"].as_u64().unwrap());
    let merge = format!("{{\"edit\":\"merge\",\"cluster\":{ended},\"into\":{into}}}");
    let ours = [("X-Windrow", "1"), ("Content-Type", "application/json")];
    assert_eq!(server.post("/api/v1/edits", &merge, &ours).status, 202);
    let path = format!("/api/v1/clusters/{ended}");
    let told = server.until(&path, |answer| answer.status != 200 || answer.json()["state"] == "dead");
    assert_eq!((told.status, server.get("/api/v1/now").json()["commit"].clone()), (200, 1.into()), "{}", told.body);
    let told = told.json();
    assert_eq!((&told["label"], &told["went_to"]), (&clusters["clusters"][0]["label"], &serde_json::json!([])));
    assert!(told["slot"].is_u64() && told["died_at_position"].as_u64() > Some(0), "{told}");
    server.end(Signal::INT, 130);
    rig.run(&["audit", "--out", "out"]).fine();
}

/// What a client has put together is what one is told that has just come. Shares and weights of clusters that got nothing are not told.
fn pieces_make_the_whole(server: &Server) {
    let put_together = |known: &mut BTreeMap<u64, Value>, told: Value| {
        for one in told["clusters"].as_array().unwrap() {
            let before = known.entry(one["cluster"].as_u64().unwrap()).or_insert_with(|| one.clone());
            one.as_object().unwrap().iter().for_each(|(name, value)| before[name] = value.clone());
        }
        told["gone"].as_array().unwrap().iter().for_each(|id| drop(known.remove(&id.as_u64().unwrap())));
    };
    let [mut pieces, mut whole] = [BTreeMap::new(), BTreeMap::new()];
    let mut events = server.open("/api/v1/events");
    let mut are_short = 0;
    while are_short < 5 {
        let (_, name, told) = next_event(&mut events);
        if name == "clusters" {
            are_short += usize::from(told["clusters"].as_array().unwrap().iter().any(|one| one["label"].is_null()));
            put_together(&mut pieces, told);
        }
    }
    let (number, _, told) = next_event(&mut server.open("/api/v1/events"));
    put_together(&mut whole, told);
    loop {
        let (at, name, told) = next_event(&mut events);
        if name == "clusters" {
            put_together(&mut pieces, told);
        } else if at >= number {
            assert_eq!(at, number, "no frame is left out");
            break;
        }
    }
    let told = ["cluster", "label", "delivered", "now", "micro_clusters", "latest_at", "pinned", "volume"];
    let marks =
        |known: &BTreeMap<u64, Value>| -> Vec<_> { known.values().map(|one| told.map(|name| one[name].clone())).collect() };
    assert_eq!(marks(&pieces), marks(&whole));
}

#[test]
fn events_go_on_where_a_client_was() {
    let rig = Rig::new();
    let server = Server::call(&rig, &[&ENDLESS[..], &SHOWN, &["--roll-rows", "5000"]].concat());
    server.until("/api/v1/now", |answer| answer.json()["rows"].as_u64() > Some(0));
    let mut events = server.open("/api/v1/events");
    let (first, name, clusters) = next_event(&mut events);
    let n = clusters["clusters"].as_array().unwrap().len();
    assert!(name == "clusters" && n > 0 && clusters["total"] == n, "{clusters}");
    let (_, name, now) = next_event(&mut events);
    assert_eq!((name.as_str(), &now["sequence"]), ("now", &first.into()));
    let (next, ..) = next_event(&mut events);
    assert!(next > first);
    pieces_make_the_whole(&server);
    // Away and back: what came meanwhile, and nothing twice.
    let mut again = server.open(&format!("/api/v1/events?after={first}"));
    let (id, name, _) = next_event(&mut again);
    assert!(id == next && name != "reset", "{id} {name}");
    for old in ["1", "99999999999999"] {
        assert_eq!(next_event(&mut server.open(&format!("/api/v1/events?after={old}"))).1, "reset");
    }
    // Pages as they are committed; of a cluster, and by a filter.
    let mut pages = server.open("/api/v1/clusters/0/stream?as=jsonl&last=2");
    let mut novel = server.open("/api/v1/pages/stream?q=novel:true");
    for _ in 0..20 {
        let page: Value = serde_json::from_str(next_line(&mut pages).trim()).unwrap();
        assert_eq!(page["cluster"], 0);
    }
    assert_eq!(next_event(&mut novel).2["novel"], true);
    // An edit beside the run that serves.
    let ours = [("X-Windrow", "1"), ("Content-Type", "application/json")];
    let named = server.post("/api/v1/clusters/0/label", "{\"label\":\"mine\"}", &ours);
    assert!(named.status == 202 && named.json()["edit"].is_string(), "{}", named.body);
    server.until("/api/v1/clusters/0", |answer| answer.json()["label"] == "mine");
    server.end(Signal::INT, 130);
    let server = Server::start(&rig, &[]);
    let all = server.get("/api/v1/messages").json()["total"].as_u64().unwrap();
    let mut ends = server.open("/api/v1/pages/stream?as=jsonl&last=5&until_end=true");
    (0..5).for_each(|_| drop(next_line(&mut ends)));
    assert!(all > 0);
    server.end(Signal::INT, 130);
}

#[test]
fn output_that_is_not_there_yet_is_shown_when_it_comes() {
    let rig = Rig::new();
    let server = Server::start(&rig, &[]);
    let empty = server.get("/readyz");
    assert!(empty.status == 503 && empty.body.contains("nothing is committed yet"), "{}", empty.body);
    assert_eq!(server.get("/api/v1/clusters").json()["clusters"], Value::Array(Vec::new()));
    assert_eq!(server.get("/api/v1/now").json()["standing"]["is"], "waiting");
    let mut running = rig.command(&[&ENDLESS[..], &["--roll-rows", "2000"]].concat()).stderr(Stdio::null()).spawn().unwrap();
    server.until("/readyz", |answer| answer.status == 200);
    let first = server.until("/api/v1/now", |answer| answer.json()["standing"]["is"] == "running").json();
    server.until("/api/v1/now", |answer| answer.json()["rows"].as_u64() > first["rows"].as_u64());
    running.kill().unwrap();
    running.wait().unwrap();
    server.until("/api/v1/now", |answer| answer.json()["standing"]["is"] == "gone");
    rig.run(&["run", "--input", SAMPLE, "--new", "--out", "out"]).fine();
    server.until("/api/v1/now", |answer| answer.json()["standing"]["is"] == "ended");
    server.until("/api/v1/messages", |answer| answer.json()["total"].as_u64() > Some(0));
    std::fs::remove_dir_all(rig.path("out")).unwrap();
    server.until("/api/v1/now", |answer| answer.json()["standing"]["is"] == "waiting");
    server.until("/api/v1/messages", |answer| answer.json()["total"] == 0);
    server.end(Signal::INT, 130);
}

#[test]
fn clients_that_say_nothing_hold_nobody_up() {
    let rig = Rig::with_sample();
    let server = Server::start(&rig, &[]);
    let address = format!("127.0.0.1:{}", server.port());
    let mut old = server.open("/api/v1/events");
    let clock = SystemClock::new();
    // More than there are places for.
    let silent: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let mut odd = TcpStream::connect(&address).unwrap();
    odd.write_all(&[b'A'; 1 << 20]).ok();
    assert_eq!(server.get("/api/v1/now").status, 200);
    assert!(clock.elapsed() < CUT_OFF, "it waited until those who say nothing were cut off");
    drop(silent);
    // Who has shown the token stays.
    assert_eq!(next_event(&mut old).1, "clusters");
    let long = "x".repeat(20_000);
    let headers = [("Host", server.host.as_str()), ("Authorization", &format!("Bearer {}", server.token)), ("X-Long", &long)];
    assert_eq!(server.ask("GET", "/api/v1/now", &headers).status, 431);
    server.end(Signal::INT, 130);
}

#[test]
fn the_newest_stream_takes_the_place_of_the_oldest() {
    let rig = Rig::with_sample();
    let server = Server::start(&rig, &[]);
    let mut streams: Vec<_> = (0..STREAMS).map(|_| server.open("/api/v1/events")).collect();
    let mut newest = server.open("/api/v1/events");
    assert_eq!(next_event(&mut newest).1, "clusters");
    // It reads the end, however the system calls it.
    let (clock, mut line) = (SystemClock::new(), Vec::new());
    while streams[0].read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        assert!(clock.elapsed() < PATIENCE, "the oldest goes on");
    }
    let said = format!("\nwindrow_streams {STREAMS}\n");
    server.until("/metrics", |answer| answer.body.contains(&said));
    server.end(Signal::INT, 130);
}

#[test]
fn a_run_tells_how_it_ended() {
    let rig = Rig::new();
    rig.write("token", "a-token-of-our-own-42\n");
    let named = ["--host", "board.example", "--token-file", "token"];
    let server = Server::call(&rig, &[&ENDLESS[..], &SHOWN, &named].concat());
    assert_eq!(server.token, "a-token-of-our-own-42");
    server.until("/api/v1/now", |answer| answer.json()["rows"].as_u64() > Some(0));
    let mut events = server.open("/api/v1/events");
    kill_process(Pid::from_child(&server.child), Signal::INT).unwrap();
    let now = loop {
        let (_, name, data) = next_event(&mut events);
        if name == "now" && data["standing"]["is"] == "ended" {
            break data;
        }
    };
    assert_eq!(now["standing"]["reason"], "interrupted", "{now}");
    assert!(now["resume"].as_str().unwrap().contains("windrow run --input generator:"), "{now}");
    assert!(now["standing"]["at"].is_string() && now["commit"] == 1 && now["rows"] == now["committed_rows"], "{now}");
    let mut rest = String::new();
    events.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.trim(), "");
    server.end(Signal::INT, 130);
}

#[test]
#[cfg(target_os = "linux")]
fn work_that_does_not_end_does_not_keep_the_process() {
    let rig = Rig::with_sample();
    let server = Server::start(&rig, &[]);
    let file = rig.path("out/pages").join(&rig.files("out/pages")[0]);
    std::fs::remove_file(&file).unwrap();
    // To open it takes for ever.
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{}", server.port())).unwrap();
    let (host, token) = (&server.host, &server.token);
    write!(stream, "GET /api/v1/pages HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
    server.until("/livez", |_| server.threads().iter().any(|name| name.starts_with("tokio-rt-worker")));
    server.end(Signal::INT, 130);
}

#[test]
fn without_brokers_tail_reads_the_parquet() {
    let rig = Rig::with_sample();
    let all = rig.run(&["tail", "--out", "out", "--last", "1000", "-o", "json"]).fine().lines();
    assert_eq!(all.len(), 100);
    assert!(all.iter().all(|page| page["topic"].is_null() && page["page"]["url"].is_string() && page["score"].is_number()));
    let cluster = all[99]["cluster"].to_string();
    let some = rig.run(&["tail", &cluster, "--out", "out", "--last", "2", "--line", "{cluster} {id}"]).fine().out;
    assert!(some.lines().all(|line| line.starts_with(&format!("{cluster} "))) && some.lines().count() <= 2, "{some}");
    rig.run(&["tail", "cluster_3", "--out", "out"]).failed(2, "E-NO-CLUSTER");
    rig.run(&["tail", "--out", "nowhere"]).failed(2, "E-STATE-NONE");
}

#[test]
fn a_cluster_names_its_topic_however_pages_are_sent() {
    let rig = Rig::with_sample();
    let brokers = "[kafka]\nbootstrap.servers = \"a:9092,b:9092\"\n";
    let told = |output: &str| {
        rig.write("windrow.toml", &format!("{brokers}{output}"));
        let server = Server::start(&rig, &[]);
        let cluster = server.get("/api/v1/clusters?limit=1").json()["clusters"][0]["cluster"].to_string();
        let cluster = server.get(&format!("/api/v1/clusters/{cluster}")).json();
        (server.get("/api/v1/now").json()["topics"].clone(), cluster["topic"].clone(), cluster["slot"].to_string())
    };
    let (topics, topic, slot) = told("");
    assert_eq!((&topics["servers"], &topics["keyed"]), (&"a:9092,b:9092".into(), &false.into()));
    assert_eq!(topic, format!("cluster_{slot}"));
    let (topics, topic, _) = told("[output]\nkafka = \"keyed\"\nkeyed_topic = \"all\"\n");
    assert_eq!((&topics["keyed"], topic), (&true.into(), "all".into()));
    let (topics, topic, _) = told("[output]\nkafka = \"none\"\n");
    assert_eq!((topics, topic), (Value::Null, Value::Null));
}

/// Words that a query may hold, and what no query should.
const QUERY_WORDS: [&str; 34] = [
    "q",
    "before",
    "after",
    "from",
    "to",
    "limit",
    "format",
    "sort",
    "window",
    "clock",
    "cluster",
    "clusters",
    "id",
    "url",
    "record_id",
    "reason",
    "buckets",
    "points",
    "top",
    "last",
    "csv",
    "json",
    "event",
    "-1",
    "0",
    "18446744073709551616",
    "1e999",
    "NaN",
    "%00",
    "%ff%fe",
    "%F0%9F%92%A9",
    "title~%22",
    "cluster:1,2 host:*.example",
    "2023-05-17T00:00:00Z",
];
/// How many questions each route is asked.
const QUESTIONS: usize = 60;

#[test]
fn no_query_breaks_a_route() {
    let rig = Rig::with_sample();
    let server = Server::start(&rig, &[]);
    let listed = server.get("/api/v1").json();
    let routes = listed["routes"].as_array().unwrap().iter().filter(|route| route["method"] == "GET");
    let paths: Vec<&str> = routes.map(|route| route["path"].as_str().unwrap()).collect();
    assert!(paths.len() > 15, "{paths:?}");
    let (mut state, mut statuses) = (7_u64, BTreeMap::new());
    // The same questions each time.
    let mut below = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % n
    };
    for path in &paths {
        for _ in 0..QUESTIONS {
            let word = |at: usize| QUERY_WORDS[at].replace(' ', "%20");
            let id = word(below(QUERY_WORDS.len()));
            let mut asked = path.replace("{id}", &id);
            for number in 0..below(4) {
                let (key, value) = (word(below(QUERY_WORDS.len())), word(below(QUERY_WORDS.len())));
                asked += if number == 0 { "?" } else { "&" };
                asked += &match below(8) {
                    0 => key,
                    1 => format!("{key}={}", value.repeat(below(200))),
                    2 => format!("={value}="),
                    _ => format!("{key}={value}"),
                };
            }
            let status = server.get(&asked).status;
            assert!((200..500).contains(&status), "{asked}: {status}");
            *statuses.entry(status).or_insert(0) += 1;
        }
    }
    assert!(statuses.contains_key(&200) && statuses.contains_key(&400), "{statuses:?}");
    server.end(Signal::INT, 130);
}
