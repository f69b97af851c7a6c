//! The model `kmeans` through every verb that looks at clusters.

use crate::rig::{Rig, SAMPLE, done};

const ROWS: &str = "generator:rows=4000,seed=3";

/// A folder with made-up rows run into `out` by this rule, and commits between.
fn with_rule(rule: &str) -> Rig {
    let rig = Rig::new();
    let settings = format!(
        "[source]\ninput = [\"{ROWS}\"]\n[output]\nroll_rows = 1500\n\
         [model]\nkind = \"kmeans\"\nclusters = 8\n[model.kmeans]\nrule = \"{rule}\"\nhalf_life = 300\n"
    );
    rig.write("windrow.toml", &settings);
    rig.run(&["run"]).fine();
    rig
}

#[test]
fn every_verb_knows_its_clusters() {
    for rule in ["spherical", "spark"] {
        let rig = with_rule(rule);
        let clusters = rig.run(&["clusters", "-o", "json"]).fine().lines();
        assert!((2..=8).contains(&clusters.len()), "{rule}: {}", clusters.len());
        for cluster in &clusters {
            assert_eq!((&cluster["micro_clusters"], &cluster["delivered"]), (&1.into(), &cluster["now"]), "{rule}: {cluster}");
            assert!(cluster["label"].as_str().is_some_and(|label| !label.is_empty()), "{rule}: {cluster}");
        }
        let record = clusters[0]["examples"][0]["record_id"].as_str().unwrap_or_else(|| panic!("{}", clusters[0]));
        let why = rig.run(&["explain", record, "-o", "json"]).fine().json();
        let winner = &why["now"]["winner"];
        let sum: f64 = winner["parts"].as_array().unwrap().iter().map(|part| part["share"].as_f64().unwrap()).sum();
        assert!(sum > 0.0 && (sum - winner["score"].as_f64().unwrap()).abs() < 1e-6, "{rule}: {winner}");
        let runner_up = &why["now"]["runner_up"]["cluster"];
        assert!(runner_up.is_u64() && *runner_up != winner["cluster"], "{rule}: {why}");
        let audit = rig.run(&["audit", "-o", "json"]).fine().json();
        for field in ["lost", "duplicated", "disagreeing"] {
            assert_eq!(audit[field], 0, "{rule}: {audit}");
        }
        let state = rig.run(&["state", "inspect", "--out", "out", "-o", "json"]).fine().out;
        assert!(state.contains(&format!("\"rule\":\"{rule}\"")), "{state}");
        rig.run(&["state", "verify", "--out", "out"]).fine();
        let id = clusters[0]["cluster"].to_string();
        rig.run(&["clusters", "pin", &id]).fine();
        rig.run(&["export", "--cluster", &id, "--out", "one.csv"]).fine();
        rig.run(&["export", "--html", "clusters.html"]).fine();
        for picture in ["messages", "clusters", "map"] {
            rig.run(&["plot", picture, "--out", &format!("{picture}.svg")]).fine();
        }
        let eval = rig.run(&["eval", "-o", "json"]).fine().json();
        assert_eq!(eval["micro"], eval["cluster"], "{rule}: a cluster is its own micro-cluster");
    }
}

#[test]
fn another_model_needs_new_state() {
    let rig = Rig::with_sample();
    let refused = rig.run(&["run", "--input", SAMPLE, "--out", "out", "--model", "kmeans"]).failed(2, "E-SETTINGS-STATE");
    assert!(refused.err.contains("model.kind is \"two-level\" in the state and \"kmeans\" now"), "{}", refused.err);
    let rig = Rig::new();
    let run = |rule: &str| {
        let mut command = rig.command(&["run", "--input", SAMPLE, "--out", "out", "--model", "kmeans"]);
        done(command.env("WINDROW__MODEL__KMEANS__RULE", rule))
    };
    run("spark").fine();
    run("spark").fine();
    let refused = run("spherical").failed(2, "E-SETTINGS-STATE");
    assert!(refused.err.contains("model.kmeans.rule is \"spark\" in the state and \"spherical\" now"), "{}", refused.err);
}
