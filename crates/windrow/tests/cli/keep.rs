//! Columns that are carried along, through every verb that shows pages or clusters.

use serde_json::json;

use crate::rig::Rig;

const FEED: &str = "when,url,title,spend,label\n\
    2024-03-01T08:00:00Z,https://shop.example/red-shoes,Red running shoes,0.10,=1+1\n\
    2024-03-01T08:00:05Z,https://shop.example/blue-shoes,Blue running shoes,0.20,007\n\
    2024-03-01T08:00:09Z,https://shop.example/old-shoes,Old running shoes,n/a,\n";

/// A pipeline that has carried two columns along.
fn rig() -> Rig {
    let rig = Rig::new();
    std::fs::write(rig.path("feed.csv"), FEED).unwrap();
    let ran = rig.run(&[
        "run",
        "--input",
        "feed.csv",
        "--columns",
        "creation_time=when",
        "--keep",
        "spend,tag=label",
        "--out",
        "out",
    ]);
    ran.fine();
    rig
}

#[test]
fn clusters_show_the_sums() {
    let rig = rig();
    let clusters = rig.run(&["clusters", "--out", "out", "-o", "json"]).fine().out.clone();
    let clusters: Vec<serde_json::Value> = clusters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sums: Vec<&serde_json::Value> = clusters.iter().map(|cluster| &cluster["kept"][0]).collect();
    assert!(sums.iter().all(|sum| sum["column"] == "spend"), "{sums:?}");
    let total = |field: &str| sums.iter().map(|sum| sum[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((total("numbers"), total("others")), (2, 1));
    let text = rig.run(&["clusters", "--out", "out"]).fine().out.clone();
    assert!(text.contains("spend 0.3 · tag 7"), "exact, not 0.30000000000000004: {text}");
    let tsv = rig.run(&["clusters", "--out", "out", "-o", "tsv"]).fine().out.clone();
    assert!(tsv.lines().next().unwrap().ends_with("\tsum_spend\tsum_tag"), "{tsv}");
}

#[test]
fn pages_have_their_values_wherever_they_go() {
    let rig = rig();
    let pages = rig.run(&["tail", "--out", "out", "-o", "json"]).fine().out.clone();
    let kept: Vec<serde_json::Value> =
        pages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["page"]["kept"].clone()).collect();
    let expected =
        [json!({"spend": "0.10", "tag": "=1+1"}), json!({"spend": "0.20", "tag": "007"}), json!({"spend": "n/a", "tag": null})];
    assert!(expected.iter().all(|one| kept.contains(one)), "{kept:?}");

    let clusters = rig.run(&["clusters", "--out", "out", "-o", "json"]).fine().out.clone();
    let ids: Vec<String> =
        clusters.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["cluster"].to_string()).collect();
    let export = |to: &str| {
        let ids = ids.iter().flat_map(|id| ["--cluster", id.as_str()]);
        let words: Vec<&str> = ["export", "--folder", "out", "--out", to].into_iter().chain(ids).collect();
        rig.run(&words).fine();
        std::fs::read(rig.path(to)).unwrap()
    };
    let csv = String::from_utf8(export("pages.csv")).unwrap();
    assert!(csv.lines().next().unwrap().ends_with(",record_id,spend,tag"), "{csv}");
    for end in [",0.10,'=1+1", ",0.20,007", ",n/a,"] {
        assert!(csv.lines().any(|line| line.ends_with(end)), "{end}: {csv}");
    }
    assert!(export("pages.xlsx").starts_with(b"PK"));
    assert!(export("pages.parquet").windows(5).any(|bytes| bytes == b"spend"));
}

#[test]
fn check_names_what_could_be_carried_along() {
    let rig = Rig::new();
    std::fs::write(rig.path("feed.csv"), FEED).unwrap();
    let extra = |words: &[&str]| {
        let all = [&["check", "--input", "feed.csv", "--out", "out", "-o", "json"], words].concat();
        let checked = rig.run(&all).json();
        let checks = checked["checks"].as_array().unwrap().clone();
        let told =
            checks.iter().find(|check| check["what"] == "extra").map(|check| check["message"].as_str().unwrap().to_owned());
        (told, checked["run"].as_str().unwrap().to_owned(), checked["inputs"][0]["extra"].clone())
    };
    let (told, line, words) = extra(&[]);
    assert_eq!(told.as_deref(), Some("not read; --keep when,spend,input_label=label carries them along"));
    assert_eq!((line.contains("--keep"), words), (false, json!(["when", "spend", "input_label=label"])));
    let (told, line, _) = extra(&["--keep", "spend"]);
    assert_eq!(told.as_deref(), Some("spend: carried along; when,input_label=label: not read"));
    assert!(line.contains(" --keep spend "), "{line}");
    let missing = rig.run(&["check", "--input", "feed.csv", "--out", "out", "--keep", "spnd"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.out.contains("nearest: --keep spend"), "{}", missing.out);
}

#[test]
fn a_name_that_is_taken_is_refused_with_a_way_out() {
    let rig = Rig::new();
    std::fs::write(rig.path("feed.csv"), FEED).unwrap();
    let refused = rig.run(&["run", "--input", "feed.csv", "--keep", "label", "--out", "out"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("--keep") && refused.err.contains("input_label=label"), "{}", refused.err);
    assert!(!rig.path("out").exists());
}
