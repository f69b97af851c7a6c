//! The server of a run that goes on, under clients of every kind: forged, greedy, slow, silent; and its counts, beside others'.
//!
//! What single requests are answered stands in the tests of the program; here is what takes many of them, or time, or a kill.

mod client;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::Value;

use crate::python::{READERS, script};
use crate::served::Served;
use crate::shell::{fresh_dir, say, stdout, windrow};
use client::answer;

/// Connections that say nothing: more than the server has places for.
const SILENT: usize = 400;
/// Connections that there are places for.
const CONNECTIONS: usize = 256;
/// Clients that read along, and such that do not.
const READERS_OF_EVENTS: usize = 50;
const NEVER_READERS: usize = 20;
/// Bytes that the process may grow by while it is beset. The pipeline's own growth is part of it.
const GROWTH: u64 = 256 << 20;

pub(crate) fn serve() -> Result<()> {
    let (windrow, dir) = (windrow("fast", &[])?, fresh_dir("serve")?);
    let call = |args: &[&str]| {
        let mut command = Command::new(&windrow);
        command.current_dir(&dir).args(args).stderr(Stdio::null());
        command
    };
    let endless = ["run", "--input", "generator:rows=1000000000,seed=1", "--out", "out", "--roll-rows", "50000"];
    let mut run = Served::start(&mut call(&endless))?;
    run.until("/readyz", |body| body.starts_with("ready"))?;
    let before = run.memory()?;
    strangers(&run)?;
    ways_out(&run)?;
    large_bodies(&run)?;
    many_clients(&run)?;
    let grown = run.memory()?.saturating_sub(before);
    ensure!(grown < GROWTH, "the process grew by {} MB", grown >> 20);
    say(format_args!("memory grew by {} MB, with the model's own growth", grown >> 20));
    // SIGKILL.
    run.child.kill()?;
    run.child.wait()?;
    counts(&call, &dir, "after a kill")?;
    let again = Served::start(&mut call(&endless))?;
    let first = rows(&again.json("/api/v1/now")?);
    again.until("/api/v1/now", |body| rows(&serde_json::from_str(body).unwrap_or_default()) > first + 50_000)?;
    stdout(Command::new("kill").args(["-TERM", &again.child.id().to_string()]))?;
    let mut again = again;
    ensure!(again.child.wait()?.success(), "a run that is stopped ends well");
    counts(&call, &dir, "after a restart and a stop")
}

fn rows(now: &Value) -> u64 {
    now["rows"].as_u64().unwrap_or(0)
}

/// Requests from elsewhere: every route of the router's table, with twelve forged pairs of Host and Origin, and without a token.
fn strangers(run: &Served) -> Result<()> {
    let routes = run.json("/api/v1")?;
    let routes = routes["routes"].as_array().context("no routes")?;
    let port = run.address.rsplit_once(':').context("no port")?.1;
    let ours = run.address.as_str();
    let forged: [(String, String); 12] = [
        ("evil.example".into(), String::new()),
        (format!("evil.example:{port}"), String::new()),
        (format!("evil.example:{port}"), format!("http://evil.example:{port}")),
        (format!("127.0.0.1.evil.example:{port}"), String::new()),
        (format!("localhost.:{port}"), String::new()),
        (format!("{ours}.evil.example"), String::new()),
        (format!("evil.example@{ours}"), String::new()),
        ("localhost".into(), String::new()),
        (ours.into(), "http://evil.example".into()),
        (ours.into(), "null".into()),
        (ours.into(), format!("http://evil.example:{port}")),
        (ours.into(), format!("http://{ours}.evil.example")),
    ];
    for route in routes {
        let (method, path) = (route["method"].as_str().context("no method")?, route["path"].as_str().context("no path")?);
        let path = path.replace("{id}", "0").replace("{name}", "x");
        for (host, origin) in &forged {
            let origin = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
            let token = &run.token;
            let found = run.say(&format!(
                "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{origin}X-Windrow: 1\r\nAuthorization: Bearer {token}\r\n\r\n"
            ))?;
            ensure!(found.status == 403, "{method} {path} as {host} {origin}: {}", found.status);
        }
        let bare = run.say(&format!("{method} {path} HTTP/1.0\r\nHost: {ours}\r\n\r\n"))?;
        ensure!(bare.status == if path == "/livez" { 200 } else { 401 }, "{method} {path} without a token: {}", bare.status);
        for other in ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", if method == "GET" { "POST" } else { "GET" }] {
            let found = run.say(&run.head(other, &path, "Content-Length: 0\r\n"))?;
            ensure!([404, 405].contains(&found.status), "{other} {path}: {}", found.status);
        }
    }
    say(format_args!("{} routes: {} forged pairs, no token, foreign methods", routes.len(), forged.len()));
    Ok(())
}

/// Names of files that no route may lead to.
fn ways_out(run: &Served) -> Result<()> {
    let up = ["..", "%2e%2e", "..%00", "%252e%252e", ".%2e", "..\\", "%c0%ae%c0%ae", "..;"];
    let (between, roots) = (["/", "%2f", "%5c", "//", "%252f"], ["/", "/assets/", "/api/v1/clusters/", "/api/v1/"]);
    let mut n = 0;
    for (up, between) in up.iter().flat_map(|up| between.iter().map(move |between| (up, between))) {
        for root in roots {
            let path = format!("{root}{}etc{between}passwd", format!("{up}{between}").repeat(9));
            let found = run.get(&path)?;
            ensure!(!found.body.contains("root:") && found.status >= 400, "{path}: {}", found.status);
            n += 1;
        }
    }
    say(format_args!("{n} ways out of the folder lead nowhere"));
    Ok(())
}

/// A gigabyte as the body of a change, announced and not, and as that of a question.
fn large_bodies(run: &Served) -> Result<()> {
    let ours = "X-Windrow: 1\r\nContent-Type: application/json\r\n";
    let bodies = [
        ("POST", "/api/v1/clusters/0/label", format!("{ours}Content-Length: 1000000000\r\n"), 413),
        ("GET", "/api/v1/now", "Content-Length: 1000000000\r\n".to_owned(), 200),
    ];
    for (method, path, headers, wanted) in bodies {
        let mut stream = run.connect()?;
        stream.write_all(run.head(method, path, &headers).as_bytes())?;
        let (piece, mut sent) = (vec![b'['; 1 << 20], 0_u64);
        while sent < 1_000_000_000 && stream.write_all(&piece).is_ok() {
            sent += piece.len() as u64;
        }
        ensure!(sent < 500_000_000, "{path} read {sent} bytes");
        let status = answer(&mut stream)?.status;
        // The answer may be lost with the connection that the server ends.
        ensure!([wanted, 0].contains(&status), "{path}: {status}");
    }
    let deep = format!("{{\"label\":{}", "[".repeat(15_000));
    let found =
        run.say(&(run.head("POST", "/api/v1/clusters/0/label", &format!("{ours}Content-Length: {}\r\n", deep.len())) + &deep))?;
    ensure!(found.status == 400, "deep JSON: {}", found.status);
    say("large and deep bodies are refused");
    Ok(())
}

/// Clients that read events, others that read nothing, and more that say nothing than there are places: the run goes on, and those who behave
/// are answered.
fn many_clients(run: &Served) -> Result<()> {
    let open = |n: usize, path: &str| -> Result<Vec<TcpStream>> {
        let asked = (0..n).map(|_| {
            let mut stream = run.connect()?;
            // On a machine with little time for them too, what they do not read is soon more than there is room for.
            set_socket_recv_buffer_size(&stream, 1 << 14)?;
            stream.write_all(run.head("GET", path, "").as_bytes())?;
            Ok(stream)
        });
        asked.collect()
    };
    let streams = |n: usize| move |body: &str| body.contains(&format!("\nwindrow_streams {n}\n"));
    let mut reading = open(READERS_OF_EVENTS, "/api/v1/events")?;
    run.until("/metrics", streams(READERS_OF_EVENTS))?;
    for stream in &mut reading {
        ensure!(answer(stream)?.status == 200, "events");
    }
    drop(reading);
    run.until("/metrics", streams(0))?;
    let before = rows(&run.json("/api/v1/now")?);
    let never = open(NEVER_READERS, "/api/v1/pages/stream?last=1000")?;
    run.until("/metrics", streams(NEVER_READERS))?;
    let pages = run.get("/api/v1/pages?limit=1")?;
    ensure!(pages.status == 200, "streams that nobody reads stop work on files: {}", pages.body);
    run.until("/metrics", streams(0)).context("clients that never read are cut off")?;
    drop(never);
    slow_bodies(run)?;
    let silent = (0..SILENT).map(|_| run.connect()).collect::<Result<Vec<_>>>()?;
    for mut stream in &silent {
        let _ = stream.write_all(b"GET /api/v1/now HT");
    }
    let after = rows(&run.json("/api/v1/now").context("nobody waits for those that say nothing")?);
    ensure!(after > before, "the run goes on");
    say(format_args!(
        "{READERS_OF_EVENTS} readers, {NEVER_READERS} that never read, {SILENT} that say nothing: {} rows meanwhile",
        after - before
    ));
    Ok(())
}

/// Bodies that do not come, on every connection there is.
fn slow_bodies(run: &Served) -> Result<()> {
    let head = run.head(
        "POST",
        "/api/v1/clusters/0/label",
        "X-Windrow: 1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n",
    );
    let mut slow = (0..CONNECTIONS).map(|_| run.connect()).collect::<Result<Vec<_>>>()?;
    for stream in &mut slow {
        // Each has shown the token: none makes room for another.
        stream.write_all(run.head("GET", "/livez", "").replace("HTTP/1.0", "HTTP/1.1").as_bytes())?;
        let (mut said, mut byte) = (Vec::new(), [0]);
        while !said.ends_with(b"alive\n") {
            stream.read_exact(&mut byte)?;
            said.push(byte[0]);
        }
        stream.write_all(head.as_bytes())?;
        stream.write_all(b"{")?;
    }
    let found = run.get("/livez")?;
    ensure!(found.status == 200, "bodies that do not come hold everybody up: {}", found.status);
    let status = answer(&mut slow[0])?.status;
    ensure!(status == 408, "a body that does not come: {status}");
    Ok(())
}

/// The pages of each cluster by the API, by the metrics, by the verb, and by DuckDB in the Parquet.
fn counts(call: &dyn Fn(&[&str]) -> Command, dir: &Path, when: &str) -> Result<()> {
    let served = Served::start(&mut call(&["serve", "--out", "out"]))?;
    let by_duckdb: BTreeMap<String, u64> =
        serde_json::from_str(&stdout(script(READERS, "served.py")?.current_dir(dir).arg("out"))?)?;
    let total: u64 = by_duckdb.values().sum();
    served.until("/api/v1/messages", |body| {
        serde_json::from_str::<Value>(body).is_ok_and(|messages| messages["total"] == total)
    })?;
    let messages = served.json("/api/v1/messages")?;
    let by_api: BTreeMap<String, u64> = (messages["clusters"].as_array().into_iter().flatten())
        .map(|one| (one["cluster"].to_string(), one["pages"].as_u64().unwrap_or(0)))
        .collect();
    ensure!(by_api == by_duckdb, "{when}: {by_api:?} by the API, {by_duckdb:?} in the Parquet");
    let clusters = served.json("/api/v1/clusters")?;
    for one in clusters["clusters"].as_array().into_iter().flatten() {
        let pages = by_duckdb.get(&one["cluster"].to_string()).copied().unwrap_or(0);
        ensure!(one["delivered"] == pages, "{when}: cluster {} has {}, not {pages}", one["cluster"], one["delivered"]);
    }
    let metrics = served.get("/metrics")?.body;
    let pages = metrics.lines().find_map(|line| line.strip_prefix("windrow_pages_total ")).context("no pages")?;
    ensure!(pages == total.to_string(), "{when}: {pages} by the metrics, {total} in the Parquet");
    say(format_args!("{when}: {total} pages of {} clusters by the API, the metrics and DuckDB", by_duckdb.len()));
    Ok(())
}
