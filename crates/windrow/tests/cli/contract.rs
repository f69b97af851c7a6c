//! The contract: help, exit codes, errors, formats.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::Signal;

use crate::rig::{Rig, SAMPLE, done};

const VERBS: [&str; 23] = [
    "demo",
    "run",
    "clusters",
    "changes",
    "tail",
    "rejects",
    "explain",
    "export",
    "plot",
    "status",
    "serve",
    "audit",
    "eval",
    "state",
    "topics",
    "produce",
    "clean",
    "check",
    "init",
    "config",
    "completions",
    "man",
    "version",
];

/// Compares with the page that is kept, or writes it anew.
fn check_page(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help").join(format!("{name}.txt"));
    if std::env::var_os("WINDROW_UPDATE").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, kept, "{name} has changed: WINDROW_UPDATE=1 cargo test -p windrow --test cli");
}

#[test]
fn help_begins_with_examples_and_fits_80_columns() {
    let rig = Rig::new();
    for verb in std::iter::once("").chain(VERBS) {
        let args: Vec<&str> = [verb, "--help"].into_iter().filter(|arg| !arg.is_empty()).collect();
        let help = rig.run(&args).fine().out;
        let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("{verb} --help has no {text}: {help}"));
        assert!(at("Examples:") < at("Usage:"), "{verb}");
        let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{verb} --help is wider than 80 columns: {wide:?}");
        check_page(if verb.is_empty() { "windrow" } else { verb }, &help);
    }
}

#[test]
fn help_lists_the_verbs_each_on_one_line() {
    let help = Rig::new().run(&["--help"]).fine().out;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let listed: Vec<_> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, VERBS);
}

#[test]
fn settings_flags_name_default_and_environment() {
    let help = Rig::new().run(&["run", "--help"]).fine().out;
    let text = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("[default: 50] [env: WINDROW__MODEL__CLUSTERS]"), "{text}");
    assert!(text.contains("[default: 128MB] [env: WINDROW__OUTPUT__ROLL_SIZE]"), "{text}");
}

#[test]
fn a_wrong_verb_gets_the_nearest_one() {
    let rig = Rig::new();
    let done = rig.run(&["clusetr"]).failed(2, "E-USAGE");
    assert!(done.err.contains("did you mean `clusters`?"), "{}", done.err);
    let done = rig.run(&["run", "--inptu", "x"]).failed(2, "E-USAGE");
    assert!(done.err.contains("did you mean `--input`?"), "{}", done.err);
}

#[test]
fn errors_are_one_json_object_when_asked() {
    let rig = Rig::new();
    for args in [&["clusters", "--out", "nowhere", "-o", "json"][..], &["clusetr", "-o", "json"], &["clusetr", "--format=json"]]
    {
        let done = rig.run(args);
        assert_eq!(done.code, Some(2));
        let error = done.json();
        for field in ["schema", "code", "message", "cause", "hint", "docs", "exit_code"] {
            assert!(error.get(field).is_some(), "{args:?}: no {field} in {error}");
        }
    }
}

#[test]
fn exit_codes_tell_what_kind_of_error_it_was() {
    let rig = Rig::new();
    rig.run(&["run"]).failed(2, "E-INPUT-NONE");
    rig.run(&["run", "--input", "nowhere.csv"]).failed(2, "E-INPUT-OPEN");
    assert!(std::process::Command::new("mkfifo").arg(rig.path("pipe.csv")).status().unwrap().success());
    for pipe in ["pipe.csv", ".", "/dev/null"] {
        let done = rig.run(&["run", "--input", pipe]).failed(2, "E-INPUT-OPEN");
        assert!(done.err.contains("no regular file") && done.err.contains("write the rows to a file first"), "{}", done.err);
    }
    rig.run(&["run", "--input", SAMPLE, "--clusters", "none"]).failed(2, "E-SETTINGS");
    rig.run(&["run", "--input", SAMPLE, "--out", "/proc/nowhere"]).failed(3, "E-IO");
    rig.run(&["config", "show", "--config", "nowhere.toml"]).failed(3, "E-SETTINGS-FILE");
    assert_eq!(rig.run(&[]).code, Some(2));
}

#[test]
fn a_wrong_setting_names_place_and_nearest_key() {
    let rig = Rig::new();
    rig.write("windrow.toml", "[model]\nclusters = 7\n\nsede = 3\n[run]\nthreads = -1\n");
    let done = rig.run(&["config", "show"]).failed(2, "E-SETTINGS");
    assert!(done.err.contains("windrow.toml:4: there is no setting `model.sede`; did you mean `model.seed`?"), "{}", done.err);
    assert!(done.err.contains("windrow.toml:6: run.threads takes a whole number"), "{}", done.err);
}

#[test]
fn settings_come_from_file_environment_and_flag() {
    let rig = Rig::new();
    rig.write("windrow.toml", "[model]\nclusters = 7\nseed = 3\n");
    let shown = done(rig.command(&["config", "show", "-o", "json"]).env("WINDROW__MODEL__SEED", "9")).fine();
    let value = |key: &str| shown.lines().into_iter().find(|line| line["key"] == key).unwrap();
    assert_eq!((&value("model.clusters")["value"], &value("model.clusters")["origin"]), (&7.into(), &"windrow.toml:2".into()));
    assert_eq!((&value("model.seed")["value"], &value("model.seed")["origin"]), (&9.into(), &"WINDROW__MODEL__SEED".into()));
    assert_eq!(value("model.kind")["origin"], "default");
    done(rig.command(&["config", "show"]).env("WINDROW__MODEL__SEDE", "9")).failed(2, "E-SETTINGS");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let rig = Rig::new();
    for args in [&["config", "schema"][..], &["man", "run"], &["completions", "bash"], &["--help"]] {
        let mut child = rig.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{args:?}");
        assert!(done.stderr.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn colour_comes_only_when_asked() {
    let rig = Rig::new();
    assert!(!rig.run(&["config", "show"]).fine().out.contains('\x1b'));
    assert!(rig.run(&["config", "show", "--color", "always"]).fine().out.contains('\x1b'));
}

#[test]
fn init_writes_settings_that_can_be_read_and_never_over_others() {
    let rig = Rig::new();
    rig.run(&["init", "--input", SAMPLE, "--out", "here"]).fine();
    rig.run(&["init"]).failed(2, "E-EXISTS");
    rig.run(&["init", "--force", "--input", SAMPLE, "--out", "here"]).fine();
    rig.run(&["run"]).fine();
    assert_eq!(rig.files("here/pages").len(), 1);
}

#[test]
fn init_from_a_topic_writes_nothing_when_there_is_nothing_to_look_at() {
    let rig = Rig::new();
    rig.run(&["init", "--from-topic", "pages"]).failed(2, "E-KAFKA-NONE");
    rig.run(&["init", "--from-topic", "pages", "-X", "sasl.password=secret"]).failed(2, "E-SETTINGS");
    rig.run(&["init", "here", "--config", "w.toml"]).failed(2, "E-USAGE");
    assert!(rig.files("").is_empty(), "{:?}", rig.files(""));
    rig.run(&["init", "--kafka", "a:1", "-X", "sasl.password=file:p", "--config", "w.toml"]).fine();
    let written = std::fs::read_to_string(rig.path("w.toml")).unwrap();
    assert!(written.contains("\n\"bootstrap.servers\" = \"a:1\"\n\"sasl.password\" = \"file:p\"\n"), "{written}");
    rig.run(&["config", "show", "--config", "w.toml"]).fine();
}

#[test]
fn a_profile_is_a_settings_file_and_nothing_else() {
    let rig = Rig::new();
    rig.run(&["init", "--profile", "original", "--from-topic", "pages"]).failed(2, "E-USAGE");
    rig.run(&["init", "--profile", "original", "--input", SAMPLE]).failed(2, "E-USAGE");
    rig.run(&["init", "--profile", "orignal"]).failed(2, "E-USAGE");
    assert!(rig.files("").is_empty(), "{:?}", rig.files(""));
    let told = rig.run(&["init", "--profile", "original", "--config", "o.toml"]).fine().err;
    assert!(told.contains("windrow topics create --config o.toml"), "{told}");
    let written = std::fs::read_to_string(rig.path("o.toml")).unwrap();
    let lines = [
        "topic = \"topic_url\"",
        "from = \"earliest\"",
        "out = \"tmp\"",
        "copy = \"original\"",
        "kind = \"original\"",
        "state = \"tmp/checkpoint\"",
        "clusters = 50",
    ];
    let missing = lines.iter().find(|line| !written.lines().any(|found| found == **line));
    assert_eq!(missing, None, "{written}");
    assert!(written.contains("\n\"bootstrap.servers\" = \"localhost:9092\"\n"), "{written}");

    let given = ["--kafka", "a:1", "--out", "here", "--config", "b.toml"];
    rig.run(&[&["init", "--profile", "original"][..], &given].concat()).fine();
    let written = std::fs::read_to_string(rig.path("b.toml")).unwrap();
    assert!(written.contains("\"a:1\"") && !written.contains("localhost:9092"), "{written}");
    assert!(written.contains("\nout = \"here\"\n") && !written.contains("\nout = \"tmp\""), "{written}");
}

#[test]
fn a_sample_needs_a_topic_and_a_broker() {
    let rig = Rig::new();
    rig.run(&["check", "--sample", "20", "--input", SAMPLE]).failed(2, "E-USAGE");
    rig.run(&["check", "--sample", "20", "--from-topic", "pages"]).failed(2, "E-KAFKA-NONE");
}

#[test]
fn manual_pages_and_completions_know_every_verb() {
    let rig = Rig::new();
    rig.run(&["man", "--dir", "man"]).fine();
    let pages = rig.files("man");
    for verb in VERBS {
        assert!(pages.contains(&format!("windrow-{verb}.1")), "{pages:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = rig.run(&["completions", shell]).fine().out;
        assert!(VERBS.iter().all(|verb| script.contains(verb)), "{shell}");
    }
}

#[test]
fn version_says_what_it_reads() {
    let version = Rig::new().run(&["version", "-o", "json"]).fine().json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["snapshot_format"], 5);
}

/// Asks a running process to end.
pub(crate) fn signal(child: &Child, signal: Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

/// Follows `out` and gives its first cluster, as soon as there is one.
fn first_cluster(rig: &Rig) -> String {
    let mut watch = rig.command(&["clusters", "--watch", "--out", "out", "-o", "json"]);
    let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut line, mut out) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
    out.read_line(&mut line).unwrap();
    signal(&child, Signal::INT);
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", String::from_utf8_lossy(&done.stderr));
    line
}

#[test]
fn watch_waits_for_output_that_is_not_there_yet() {
    let rig = Rig::new();
    let mut watch = rig.command(&["clusters", "--watch", "--out", "out"]);
    let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("waiting for a first commit in out"), "{said}");
    rig.run(&["run", "--input", SAMPLE, "--out", "out"]).fine();
    let (mut line, mut out) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
    out.read_line(&mut line).unwrap();
    assert!(line.contains("100 pages · commit 1"), "{line}");
    signal(&child, Signal::TERM);
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_running_pipeline_is_followed_edited_fenced_and_stopped() {
    let rig = Rig::new();
    let endless = ["run", "--input", "generator:rows=1000000000,seed=1", "--out", "out", "--roll-rows", "2000"];
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 0)] {
        let mut running = rig.command(&endless).stderr(Stdio::piped()).spawn().unwrap();
        assert!(first_cluster(&rig).contains("\"schema\":\"windrow.cluster/1\""));
        if sent == Signal::INT {
            rig.run(&endless).failed(5, "E-LOCKED");
            rig.run(&["run", "--input", SAMPLE, "--out", "out", "--state", "other"]).failed(5, "E-LOCKED");
            let done = rig.run(&["clusters", "rename", "0", "mine", "--out", "out"]).fine();
            assert!(done.out.contains("left to the running process"), "{}", done.out);
        }
        signal(&running, sent);
        let mut said = String::new();
        running.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("Resume with:\n  windrow run --input generator:rows=1000000000,seed=1 --out out"), "{said}");
        assert_eq!(running.wait().unwrap().code(), Some(code), "{said}");
        let last: serde_json::Value =
            serde_json::from_slice(&std::fs::read(rig.path("out/.windrow/last.json")).unwrap()).unwrap();
        assert_eq!(last["end"]["exit_code"], code, "{last}");
    }
    rig.run(&["run", "--input", SAMPLE, "--out", "out", "--state", "other"]).failed(2, "E-STATE-OTHER");
    let state = rig.run(&["state", "inspect", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!((&state["running"], &state["edits"]), (&serde_json::Value::Null, &1.into()));
}

#[test]
fn tsv_has_a_header_and_even_lines() {
    let rig = Rig::with_sample();
    let listings = [
        (&["config", "show"][..], "key\tvalue\torigin"),
        (&["config", "explain", "model.seed"], "field\tvalue"),
        (&["clusters", "--out", "out"], ""),
        (&["audit", "--input", SAMPLE, "--out", "out"], ""),
        (&["check", "--input", SAMPLE, "--out", "out"], "what\tok\tcode\tmessage"),
        (&["explain", "--out", "out", "--id", "1761259107"], ""),
        (&["status", "--out", "out"], "what\tname\tvalue"),
        (&["state", "inspect", "--out", "out"], "field\tvalue"),
        (&["state", "verify", "--out", "out"], "what\tname\tproblem"),
        (&["state", "alias", "0", "--out", "out"], "field\tvalue"),
        (&["state", "migrate", "--dry-run", "--out", "out"], "field\tvalue"),
        (&["clean", "--input", SAMPLE, "--out", "c.csv", "--rejects", "r.csv"], "field\tvalue"),
        (&["run", "--input", SAMPLE, "--out", "out"], ""),
        (&["version"], ""),
    ];
    for (args, header) in listings {
        let out = rig.run(&[args, &["-o", "tsv"]].concat()).fine().out;
        let widths: BTreeSet<usize> = out.lines().map(|line| line.split('\t').count()).collect();
        assert!(widths.len() == 1 && !widths.contains(&1), "{args:?}: {out}");
        let first = out.lines().next().unwrap_or_default();
        assert!(first.starts_with(header) && first.split('\t').all(is_name), "{args:?}: {out}");
    }
}

/// Whether a cell of a header is the name of a field.
fn is_name(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

#[test]
fn closed_stderr_and_odd_environments_harm_nobody() {
    use std::os::unix::ffi::OsStrExt as _;
    let rig = Rig::new();
    let mut deaf = rig.command(&["run", "--input", SAMPLE, "--out", "out"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(deaf.stderr.take());
    assert_eq!(deaf.wait().unwrap().code(), Some(0));
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    let shown = done(rig.command(&["config", "show"]).env("ODD", odd));
    assert_eq!(shown.code, Some(0), "{shown:?}");
    done(rig.command(&["config", "show"]).env("WINDROW__SOURCE__COLUMNS", odd)).failed(2, "E-SETTINGS");
    let unreadable = rig.command(&["run", "--out", "out", "--input"]).arg(odd).output().unwrap();
    assert!(matches!(unreadable.status.code(), Some(2 | 3)), "{unreadable:?}");
}
