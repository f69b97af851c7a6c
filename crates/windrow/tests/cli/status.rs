//! The morning after: what `status` says of a pipeline that nobody runs any more, and that the line it gives goes on.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use windrow_engine::clock::{Clock as _, SystemClock};

use crate::contract::signal;
use crate::rig::{Rig, SAMPLE, paste};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn status(rig: &Rig) -> Value {
    rig.run(&["status", "--out", "out", "-o", "json"]).fine().json()
}

/// The value that `what` shows people.
fn fact(rig: &Rig, what: &str) -> String {
    let told = rig.run(&["status", "--out", "out"]).fine().out;
    let line = told.lines().find_map(|line| line.trim_start().strip_prefix(what)?.strip_prefix("  "));
    line.unwrap_or_else(|| panic!("it does not say {what}:\n{told}")).to_owned()
}

/// The status, as soon as it is wanted so.
fn wait_for(rig: &Rig, running: &mut Child, wanted: impl Fn(&Value) -> bool) -> Value {
    let clock = SystemClock::new();
    loop {
        let seen = status(rig);
        if wanted(&seen) {
            return seen;
        }
        assert_eq!(running.try_wait().unwrap(), None, "the run is over: {seen}");
        assert!(clock.elapsed() < PATIENCE, "{seen}");
    }
}

#[test]
fn never_run_it_says_how_to_begin() {
    let rig = Rig::new();
    let seen = status(&rig);
    assert_eq!((&seen["standing"], &seen["since"], &seen["last"]), (&"new".into(), &Value::Null, &Value::Null));
    assert_eq!((&seen["resume"], fact(&rig, "running")), (&"windrow run --out out".into(), "no".into()));
    assert_eq!(fact(&rig, "last run"), "none yet");
}

#[test]
fn at_the_end_of_the_input_it_says_how_far_it_came() {
    let rig = Rig::with_sample();
    let seen = status(&rig);
    let bytes = std::fs::metadata(SAMPLE).unwrap().len();
    assert_eq!((&seen["standing"], &seen["last"]["reason"]), (&"ended".into(), &"end_of_input".into()));
    assert_eq!((&seen["since"], &seen["last"]["exit_code"]), (&seen["last"]["ended"], &0.into()));
    let input = &seen["inputs"][0];
    assert_eq!((&input["position"], &input["behind"], &input["rows"]), (&bytes.into(), &0.into(), &100.into()));
    assert!(fact(&rig, "running").starts_with("no, for "), "{}", fact(&rig, "running"));
    assert!(fact(&rig, "last run").starts_with("end_of_input at "), "{}", fact(&rig, "last run"));
}

#[test]
fn stopped_by_ctrl_c_it_says_so_and_the_line_goes_on() {
    let rig = Rig::new();
    let endless = ["run", "--input", "generator:rows=1000000000,seed=1", "--out", "out", "--roll-rows", "2000"];
    let mut running = rig.command(&endless).stderr(Stdio::null()).spawn().unwrap();
    let seen = wait_for(&rig, &mut running, |seen| seen["standing"] == "running" && seen["commit"].is_u64());
    assert_eq!((&seen["running"]["pid"], &seen["since"]), (&running.id().into(), &seen["running"]["since"]));
    assert!(fact(&rig, "running").starts_with(&format!("process {} on ", running.id())));
    signal(&running, Signal::INT);
    assert_eq!(running.wait().unwrap().code(), Some(130));
    let seen = status(&rig);
    let last = &seen["last"];
    assert_eq!((&seen["standing"], &last["reason"], &last["exit_code"]), (&"ended".into(), &"interrupted".into(), &130.into()));
    assert_eq!(seen["resume"], format!("windrow {}", endless.join(" ")));
    assert!(fact(&rig, "last run").contains("interrupted at ") && fact(&rig, "last run").contains("exit code 130"));
}

#[test]
fn failed_it_keeps_what_the_error_said() {
    let rig = Rig::new();
    std::fs::write(rig.path("cut.csv.gz"), b"\x1f\x8b\x08\x00 and no more of it").unwrap();
    let failed = rig.run(&["run", "--input", "cut.csv.gz", "--out", "out", "-o", "json"]);
    let error = failed.json();
    let seen = status(&rig);
    let last = &seen["last"];
    assert_eq!((&seen["standing"], &seen["since"]), (&"failed".into(), &last["ended"]));
    for (kept, said) in [("reason", "code"), ("message", "message"), ("hint", "hint"), ("exit_code", "exit_code")] {
        assert!(!error[said].is_null(), "{error}");
        assert_eq!(last[kept], error[said], "{kept}");
    }
    assert_eq!(error["exit_code"], failed.code.unwrap());
    let told = fact(&rig, "failed");
    assert!(told.contains(error["code"].as_str().unwrap()) && told.contains(error["message"].as_str().unwrap()), "{told}");
    assert_eq!(fact(&rig, "hint"), error["hint"].as_str().unwrap());
}

#[test]
fn a_call_that_could_not_begin_is_told_beside_the_last_run() {
    let rig = Rig::with_sample();
    assert_eq!(status(&rig)["refused"], Value::Null);
    let refused = rig.run(&["run", "--input", SAMPLE, "--out", "out", "--clusters", "7", "-o", "json"]).json();
    let seen = status(&rig);
    assert_eq!((&seen["standing"], &seen["last"]["reason"]), (&"ended".into(), &"end_of_input".into()));
    for field in ["code", "message", "hint", "exit_code"] {
        assert_eq!(seen["refused"][field], refused[field], "{field}");
    }
    assert!(seen["refused"]["command"].as_array().unwrap().contains(&"--clusters".into()), "{seen}");
    assert!(fact(&rig, "refused").contains("E-SETTINGS-STATE"), "{}", fact(&rig, "refused"));
    assert!(!seen["resume"].as_str().unwrap().contains("--clusters"), "what worked goes on: {seen}");
    rig.run(&["run", "--input", SAMPLE, "--out", "out"]).fine();
    assert_eq!(status(&rig)["refused"], Value::Null);
}

#[test]
fn killed_it_is_told_as_such_and_the_line_goes_on_from_anywhere() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path("it's here")).unwrap();
    let mut command = rig.command(&["run", "--input", "generator:rows=20000,seed=1", "--out", "../out", "--roll-rows", "500"]);
    command.current_dir(rig.path("it's here")).env("WINDROW__MODEL__CLUSTERS", "7").stderr(Stdio::null());
    command.env("WINDROW__KAFKA__SASL__PASSWORD", "hunter2").env("WINDROW__OUTPUT__KAFKA", "none");
    let mut running = command.spawn().unwrap();
    wait_for(&rig, &mut running, |seen| seen["commit"].is_u64());
    running.kill().unwrap();
    running.wait().unwrap();
    let seen = status(&rig);
    assert_eq!((&seen["standing"], &seen["running"]), (&"killed".into(), &Value::Null));
    assert_eq!((&seen["last"]["ended"], &seen["since"]), (&Value::Null, &seen["rolled_at"]));
    assert!(fact(&rig, "failed").ends_with("was killed, or its machine went down"), "{}", fact(&rig, "failed"));
    assert!(fact(&rig, "running").starts_with("no; its last sign was "), "{}", fact(&rig, "running"));
    let resume = seen["resume"].as_str().unwrap();
    let set = "WINDROW__KAFKA__SASL__PASSWORD=\"${WINDROW__KAFKA__SASL__PASSWORD:?}\" WINDROW__MODEL__CLUSTERS=7 WINDROW__OUTPUT__KAFKA=none";
    assert!(resume.contains(&format!(" && {set} windrow run --input generator:rows=20000,seed=1 ")), "{resume}");
    let kept = std::fs::read_to_string(rig.path("out/.windrow/last.json")).unwrap();
    assert!(!kept.contains("hunter2"), "{kept}");
    // A secret that is not there is missed before anything begins.
    let missed = paste(&rig, resume);
    assert!(missed.code != Some(0) && missed.err.contains("WINDROW__KAFKA__SASL__PASSWORD"), "{missed:?}");
    assert_eq!(status(&rig)["standing"], "killed");
    // The state has 7 clusters: without the setting the line would be refused.
    paste(&rig, &format!("export WINDROW__KAFKA__SASL__PASSWORD=hunter2; {resume}")).fine();
    let seen = status(&rig);
    assert_eq!((&seen["standing"], &seen["rows"]), (&"ended".into(), &20_000.into()));
}

#[test]
fn another_machine_is_named() {
    let rig = Rig::with_sample();
    // As the owner on another machine leaves it, where the volume keeps its locks here too.
    let mut lock = File::options().write(true).open(rig.path("out/.windrow/lock")).unwrap();
    lock.try_lock().unwrap();
    lock.set_len(0).unwrap();
    lock.write_all(b"{\"pid\":4711,\"host\":\"elsewhere\",\"since\":1700000000000000}\n").unwrap();
    let seen = status(&rig);
    let holder = json!({"pid": 4711, "host": "elsewhere", "since": "2023-11-14T22:13:20Z"});
    assert_eq!((&seen["standing"], &seen["running"]), (&"running".into(), &holder));
    assert!(fact(&rig, "running").starts_with("process 4711 on elsewhere since "));
    let refused = rig.run(&["run", "--input", SAMPLE, "--out", "out"]).failed(5, "E-LOCKED");
    assert!(refused.err.contains("`kill 4711` on elsewhere"), "{}", refused.err);
    drop(lock);

    // And where it keeps none: the lock is free, and that says nothing.
    let last = rig.path("out/.windrow/last.json");
    let mut life: Value = serde_json::from_slice(&std::fs::read(&last).unwrap()).unwrap();
    (life["host"], life["end"]) = ("elsewhere".into(), Value::Null);
    std::fs::write(&last, life.to_string()).unwrap();
    let seen = status(&rig);
    assert_eq!((&seen["standing"], &seen["last"]["host"]), (&"killed".into(), &"elsewhere".into()));
    assert!(fact(&rig, "failed").contains("or goes on there"), "{}", fact(&rig, "failed"));
}
