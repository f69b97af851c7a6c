//! The verbs at work on the 100 original rows.

use crate::rig::{Rig, SAMPLE, done};

#[test]
fn every_row_is_a_page_or_a_reject() {
    let rig = Rig::new();
    let run = rig.run(&["run", "--input", SAMPLE, "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(run["rows"], 100);
    assert_eq!(run["pages"].as_u64().unwrap() + run["rejects"].as_u64().unwrap(), 100);
    let audit = rig.run(&["audit", "--input", SAMPLE, "--out", "out", "-o", "json"]).fine().json();
    for (field, count) in [("input", 100), ("lost", 0), ("duplicated", 0), ("disagreeing", 0)] {
        assert_eq!(audit[field], count, "{audit}");
    }
    let again = rig.run(&["run", "--input", SAMPLE, "--out", "out", "-o", "json"]).fine().json();
    assert_eq!((&again["rows"], &again["total"]["rows"]), (&0.into(), &100.into()));
}

#[test]
fn an_audit_that_finds_something_ends_with_1() {
    let rig = Rig::with_sample();
    let file = rig.path("out/pages").join(&rig.files("out/pages")[0]);
    std::fs::copy(&file, file.with_file_name("part-00000009-000.zstd.parquet")).unwrap();
    let done = rig.run(&["audit", "--input", SAMPLE, "--out", "out", "-o", "json"]);
    assert_eq!((done.code, &done.json()["duplicated"]), (Some(1), &100.into()));
}

#[test]
fn clusters_have_the_fields_of_the_contract() {
    let rig = Rig::with_sample();
    let clusters = rig.run(&["clusters", "--out", "out", "-o", "json"]).fine().lines();
    for field in ["cluster", "slot", "delivered", "now", "label", "terms", "domains", "languages", "examples", "schema"] {
        assert!(clusters.iter().all(|cluster| cluster.get(field).is_some()), "{field}");
    }
    let sum = |field: &str| clusters.iter().map(|cluster| cluster[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("delivered"), sum("now")), (100, 100));
    assert!(clusters.iter().all(|cluster| cluster["label"].as_str().is_some_and(|label| !label.is_empty())));
    let tsv = rig.run(&["clusters", "--out", "out", "-o", "tsv"]).fine().out;
    assert_eq!(tsv.lines().count(), clusters.len() + 1);
    assert!(tsv.lines().all(|line| line.split('\t').count() == 10), "{tsv}");
}

#[test]
fn tables_fit_80_columns() {
    let rig = Rig::with_sample();
    for args in [&["clusters", "--out", "out", "--all"][..], &["explain", "--out", "out", "--id", "1761259107"]] {
        let out = rig.run(args).fine().out;
        // East Asian characters take two columns: no line may have more characters than columns.
        assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    }
}

#[test]
fn a_hostile_title_does_not_reach_the_terminal() {
    let rig = Rig::new();
    rig.write("rows.csv", "id,title\n1,\"\u{1b}[2Jgone \u{202e}txt.exe\u{7} rust game\"\n");
    rig.run(&["run", "--input", "rows.csv", "--out", "out"]).fine();
    for args in [
        &["clusters", "--out", "out"][..],
        &["clusters", "--out", "out", "-o", "json"],
        &["explain", "--out", "out", "--id", "1"],
    ] {
        let out = rig.run(args).fine().out;
        assert!(!out.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{args:?}: {out:?}");
    }
}

#[test]
fn explain_says_what_was_decided_and_why() {
    let rig = Rig::with_sample();
    let by_id = rig.run(&["explain", "--out", "out", "--id", "1761259107", "-o", "json"]).fine().json();
    let record = by_id["record_id"].as_str().unwrap();
    let by_record = rig.run(&["explain", "--out", "out", record, "-o", "json"]).fine().json();
    assert_eq!(by_id, by_record);
    let winner = &by_id["now"]["winner"];
    let sum: f64 = winner["parts"].as_array().unwrap().iter().map(|part| part["share"].as_f64().unwrap()).sum();
    assert!((sum - winner["score"].as_f64().unwrap()).abs() < 1e-6, "{winner}");
    let made_up = rig.run(&["explain", "--out", "out", "--title", "facebook page", "-o", "json"]).fine().json();
    assert!(made_up["published"].is_null() && made_up["now"]["winner"].is_object(), "{made_up}");
    rig.run(&["explain", "--out", "out", "0:1"]).failed(2, "E-NO-PAGE");
    rig.run(&["explain", "--out", "out"]).failed(2, "E-USAGE");
}

#[test]
fn a_rename_and_a_pin_last() {
    let rig = Rig::with_sample();
    rig.run(&["clusters", "rename", "0", "a name of mine", "--out", "out"]).fine();
    rig.run(&["clusters", "pin", "0", "--out", "out"]).fine();
    let find =
        || rig.run(&["clusters", "--out", "out", "-o", "json"]).fine().lines().into_iter().find(|c| c["cluster"] == 0).unwrap();
    assert_eq!(
        (&find()["label"], &find()["renamed"], &find()["pinned"]),
        (&"a name of mine".into(), &true.into(), &true.into())
    );
    rig.run(&["clusters", "rename", "0", "", "--out", "out"]).fine();
    assert_ne!(find()["label"], "a name of mine");
    rig.run(&["clusters", "rename", "4711", "x", "--out", "out"]).failed(2, "E-EDIT");
}

#[test]
fn state_is_inspected_verified_and_found_damaged() {
    let rig = Rig::with_sample();
    let state = rig.run(&["state", "inspect", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!((&state["commit"], &state["counters"]["rows"]), (&1.into(), &100.into()));
    rig.run(&["state", "verify", "--out", "out"]).fine();
    let file = rig.path("out/pages").join(&rig.files("out/pages")[0]);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let done = rig.run(&["state", "verify", "--out", "out", "-o", "json"]);
    let bad: Vec<_> = done.lines().into_iter().filter(|finding| finding["ok"] == false).collect();
    assert_eq!((done.code, bad.len(), &bad[0]["what"]), (Some(1), 1, &"pages".into()));
}

#[test]
fn every_id_given_out_is_found_again() {
    let rig = Rig::with_sample();
    for cluster in rig.run(&["clusters", "--out", "out", "-o", "json"]).fine().lines() {
        let id = cluster["cluster"].to_string();
        let alias = rig.run(&["state", "alias", &id, "--out", "out", "-o", "json"]).fine().json();
        assert_eq!(alias["cluster"]["alive"], true, "{alias}");
        assert!(alias["micro_cluster"].is_object(), "a cluster's id is also that of one of the first themes: {alias}");
    }
    rig.run(&["state", "alias", "4711", "--out", "out"]).failed(2, "E-NO-CLUSTER");
}

#[test]
fn an_id_that_ended_says_where_it_went() {
    let rig = Rig::new();
    rig.run(&["run", "--input", "generator:rows=20000,seed=1", "--out", "out", "--roll-rows", "5000"]).fine();
    let alive = rig.run(&["clusters", "--out", "out", "-o", "json"]).fine().lines();
    let is_alive = |id: u64| alive.iter().any(|cluster| cluster["cluster"] == id);
    let ended = (0..).find(|id| !is_alive(*id)).unwrap().to_string();
    let alias = rig.run(&["state", "alias", &ended, "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(alias["cluster"]["alive"], false, "{alias}");
    assert!(alias["cluster"]["died"].as_u64().is_some_and(|died| died > 0 && died < 20_000), "{alias}");
}

#[test]
fn explain_says_why_a_row_is_no_page() {
    let rig = Rig::new();
    rig.write("rows.csv", "id,title\n1,one\n2,\n");
    rig.run(&["run", "--input", "rows.csv", "--out", "out"]).fine();
    let done = rig.run(&["explain", "--out", "out", "0:15"]).failed(2, "E-NO-PAGE");
    assert!(done.err.contains("this row was rejected: empty_page"), "{}", done.err);
}

#[test]
fn check_predicts_rejects_and_writes_nothing() {
    let rig = Rig::new();
    rig.write("rows.csv", "id,landing,name\n1,https://a.example/,one\n2,,\n");
    rig.run(&["check", "--input", "rows.csv", "--columns", "url=landing,title=name,id=idd"])
        .code
        .filter(|code| *code == 1)
        .unwrap();
    let check = rig.run(&["check", "--input", "rows.csv", "--columns", "url=landing,title=name", "-o", "json"]).fine().json();
    assert_eq!(
        (&check["looked_at"], &check["pages"], &check["rejects_by_reason"]["empty_page"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(check["rows"][0]["title"], "one");
    assert_eq!(rig.files("."), ["rows.csv"]);
    let bad = rig.run(&["check", "--input", "rows.csv", "-o", "json"]);
    assert_eq!((bad.code, &bad.json()["checks"][1]["code"]), (Some(1), &"E-INPUT-COLUMNS".into()));
}

#[test]
fn state_made_with_other_settings_is_refused() {
    let rig = Rig::with_sample();
    rig.run(&["run", "--input", SAMPLE, "--out", "out", "--clusters", "7"]).failed(2, "E-SETTINGS-STATE");
    let check = |key: &str, value: &str| {
        let found = done(rig.command(&["check", "--input", SAMPLE, "--out", "out", "-o", "json"]).env(key, value)).json();
        found["checks"].as_array().unwrap().iter().any(|check| check["code"] == "E-SETTINGS-STATE")
    };
    assert!(check("WINDROW__LIMITS__MAX_RECORD", "2MB") && check("WINDROW__SOURCE__COLUMNS", "title=url"));
    assert!(!check("WINDROW__RUN__THREADS", "1"));
}

#[test]
fn a_damaged_model_is_a_finding_not_the_end() {
    let rig = Rig::with_sample();
    rig.write("out/.windrow/snapshots/model-00000001.bin", "damaged");
    rig.run(&["clusters", "--out", "out"]).failed(1, "E-STATE-DAMAGED");
    let state = rig.run(&["state", "inspect", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(state["snapshots"][0]["problem"], "it is shorter than its header");
    let told = rig.run(&["state", "inspect", "--out", "out"]).fine().out;
    assert!(told.contains("damaged: it is shorter"), "{told}");
    let verified = rig.run(&["state", "verify", "--out", "out"]);
    assert_eq!(verified.code, Some(1), "{verified:?}");
    assert!(verified.out.contains("snapshot model-00000001.bin: it is shorter than its header"), "{}", verified.out);
}

#[test]
fn audit_knows_what_was_read() {
    let rig = Rig::with_sample();
    let audit = rig.run(&["audit", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!((&audit["input"], &audit["lost"]), (&100.into(), &0.into()));
    assert!(rig.run(&["run", "--input", SAMPLE, "--out", "out"]).fine().err.contains("windrow audit --out out"));
    rig.run(&["audit", "--out", "nowhere"]).failed(2, "E-STATE-NONE");
}

#[test]
fn edits_that_wait_or_were_refused_are_shown() {
    let rig = Rig::with_sample();
    rig.write("out/.windrow/edits/mine.json", r#"{"edit":"pin","cluster":4711,"pinned":true}"#);
    let inspect = || rig.run(&["state", "inspect", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!((&inspect()["waiting_edits"], &inspect()["refused_edits"]), (&1.into(), &serde_json::json!([])));
    assert!(rig.run(&["state", "inspect", "--out", "out"]).fine().out.contains("waiting  1 edit"));
    rig.run(&["run", "--input", SAMPLE, "--out", "out"]).fine();
    let state = inspect();
    assert_eq!((&state["waiting_edits"], &state["refused_edits"][0]["request"]), (&0.into(), &"mine".into()));
    let told = rig.run(&["state", "inspect", "--out", "out"]).fine().out;
    assert!(told.contains("refused  edit mine: ") && told.contains("4711"), "{told}");
}

#[test]
fn eval_scores_against_labels() {
    let rig = Rig::new();
    let rows: String =
        (0..40).map(|n| format!("{n},{}\n", if n % 2 == 0 { "rust game engine" } else { "summer sale shoes" })).collect();
    let labels: String = (0..40).map(|n| format!("{n},{}\n", n % 2)).collect();
    rig.write("rows.csv", &format!("id,title\n{rows}"));
    rig.write("labels.csv", &format!("id,label\n{labels}"));
    let eval = rig.run(&["eval", "--input", "rows.csv", "--labels", "labels.csv", "-o", "json"]).fine().json();
    for field in ["rows", "seconds", "rows_per_s", "peak_rss_bytes"] {
        assert!(eval[field].is_number(), "{field} in {eval}");
    }
    for level in ["micro", "cluster"] {
        for field in ["n", "nmi_geometric", "nmi_arithmetic", "ami", "ari", "homogeneity", "completeness"] {
            assert!(eval[level][field].is_number(), "{level}.{field} in {eval}");
        }
        assert_eq!(eval[level]["ari"], 1.0, "{eval}");
    }
    rig.run(&["eval", "--input", "rows.csv"]).failed(2, "E-LABELS");
    rig.run(&["eval", "--input", "rows.csv", "--labels", "labels.csv", "--fields", "titel"]).failed(2, "E-FIELDS");
}

#[test]
fn demo_prints_clusters_and_leaves_parquet() {
    let rig = Rig::new();
    let demo = rig.run(&["demo", "--rows", "2000"]).fine();
    assert!(demo.out.contains("clusters ·") && !demo.out.contains('\x1b'), "{}", demo.out);
    assert!(demo.err.contains("windrow-demo/pages/*.parquet"), "{}", demo.err);
    assert_eq!(rig.files("windrow-demo/pages").len(), 1);
    rig.run(&["demo", "--rows", "2000", "-q"]).fine();
    rig.write("mine", "not a demo's");
    rig.run(&["demo", "--out", "."]).failed(2, "E-EXISTS");
}

#[test]
fn pages_of_a_cluster_are_taken_away() {
    let rig = Rig::with_sample();
    let clusters = rig.run(&["clusters", "--out", "out", "-o", "json"]).fine().lines();
    let id = clusters[0]["cluster"].to_string();
    let export = |file: &str, more: &[&str]| {
        let args = [&["export", "--folder", "out", "--cluster", &id, "--out", file, "-o", "json"][..], more].concat();
        rig.run(&args)
    };
    for file in ["pages.csv", "pages.XLSX", "pages.parquet"] {
        let exported = export(file, &[]).fine().json();
        assert_eq!(exported["pages"], clusters[0]["delivered"], "{file}: {exported}");
    }
    let written = std::fs::read_to_string(rig.path("pages.csv")).unwrap();
    assert!(written.starts_with("\u{feff}cluster,label,creation_time,title,") && written.contains("\r\n"), "{written}");

    export("pages.csv", &[]).failed(2, "E-EXISTS");
    let (all, later) =
        (export("pages.csv", &["--force"]).fine().json(), export("later.csv", &["--since", "2023-05-01"]).fine().json());
    let earlier = export("earlier.csv", &["--until", "2023-05-01"]);
    let earlier = if earlier.code == Some(0) { earlier.json()["pages"].as_u64().unwrap() } else { 0 };
    assert_eq!(later["pages"].as_u64().unwrap() + earlier, all["pages"].as_u64().unwrap(), "two parts make the whole");

    export("pages.doc", &[]).failed(2, "E-EXPORT-FORM");
    rig.run(&["export", "--folder", "out", "--cluster", "999", "--out", "none.csv"]).failed(2, "E-EXPORT-NOTHING");
    export("nowhere/pages.csv", &[]).failed(3, "E-IO");
    export("..", &["--force"]).failed(2, "E-EXPORT-FORM");
    let left: Vec<_> = std::fs::read_dir(rig.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name == "none.csv" || name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn pictures_and_a_page_to_keep_are_files_that_others_open() {
    let rig = Rig::with_sample();
    for kind in ["messages", "clusters", "domains", "map"] {
        let plot = |file: &str, more: &[&str]| rig.run(&[&["plot", kind, "--folder", "out", "--out", file][..], more].concat());
        let (svg, png) = (format!("{kind}.svg"), format!("{kind}.png"));
        assert_eq!(plot(&svg, &["-o", "json"]).fine().json()["file"], svg);
        let drawn = std::fs::read_to_string(rig.path(&svg)).unwrap();
        assert!(drawn.starts_with("<svg ") && drawn.contains(" width=\"1200\" ") && drawn.contains("100 rows"), "{drawn}");
        plot(&png, &["--width", "800"]).fine();
        let bytes = std::fs::read(rig.path(&png)).unwrap();
        assert_eq!((&bytes[1..4], &bytes[16..20]), (b"PNG".as_slice(), 800u32.to_be_bytes().as_slice()));
        plot(&svg, &[]).failed(2, "E-EXISTS");
        plot("map.gif", &[]).failed(2, "E-EXPORT-FORM");
        plot("narrow.svg", &["--width", "10"]).failed(2, "E-USAGE");
    }
    rig.run(&["plot", "clusters", "--clock", "arrival", "--window", "1h", "--folder", "out", "--out", "came.svg"]).fine();
    rig.run(&["export", "--html", "page.html", "--folder", "out"]).fine();
    let page = std::fs::read_to_string(rig.path("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.matches("<svg ").count() == 4);
    rig.run(&["export", "--html", "page.txt", "--folder", "out"]).failed(2, "E-EXPORT-FORM");
    rig.run(&["export", "--html", "page.html", "--folder", "out"]).failed(2, "E-EXISTS");
    rig.run(&["export", "--folder", "out"]).failed(2, "E-USAGE");
    rig.run(&["plot", "map", "--folder", "nowhere", "--out", "none.svg"]).failed(2, "E-STATE-NONE");
}
