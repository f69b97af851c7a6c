//! The model `original` and what lies beside it, through every verb that looks at clusters.

use crate::rig::{Rig, SAMPLE};

fn with_model(clusters: u32) -> Rig {
    let rig = Rig::new();
    let settings = format!(
        "[source]\ninput = [{SAMPLE:?}]\n[output]\ncopy = \"original\"\n\
         [model]\nkind = \"original\"\nclusters = {clusters}\n[model.original]\nbatch = 40\n"
    );
    rig.write("windrow.toml", &settings);
    rig.run(&["run"]).fine();
    rig
}

#[test]
fn every_verb_knows_its_clusters() {
    for most in [50, 8] {
        let rig = with_model(most);
        let clusters = rig.run(&["clusters", "-o", "json"]).fine().lines();
        assert!((2..=most as usize).contains(&clusters.len()), "{}", clusters.len());
        let delivered: u64 = clusters.iter().map(|cluster| cluster["delivered"].as_u64().unwrap()).sum();
        assert!(delivered == 100 || most == 8 && delivered <= 100, "{delivered}");
        let label = clusters[0]["label"].as_str().unwrap();
        assert!(label.contains('.'), "a cluster is called by a domain, not {label:?}");
        let record = clusters[0]["examples"][0]["record_id"].as_str().unwrap_or_else(|| panic!("{}", clusters[0]));
        let why = rig.run(&["explain", record, "-o", "json"]).fine().json();
        let winner = &why["now"]["winner"];
        let sum: f64 = winner["parts"].as_array().unwrap().iter().map(|part| part["share"].as_f64().unwrap()).sum();
        assert!(sum > 0.0 && (sum - winner["score"].as_f64().unwrap()).abs() < 1e-6, "{winner}");
        let audit = rig.run(&["audit", "-o", "json"]).fine().json();
        for field in ["lost", "duplicated", "disagreeing"] {
            assert_eq!(audit[field], 0, "{audit}");
        }
        rig.run(&["state", "verify", "--out", "out"]).fine();
        rig.run(&["clusters", "pin", &clusters[0]["cluster"].to_string()]).fine();
        rig.run(&["export", "--html", "clusters.html"]).fine();
        for picture in ["messages", "domains", "map"] {
            rig.run(&["plot", picture, "--out", &format!("{picture}.svg")]).fine();
        }
        let copies = rig.files("out/output");
        let pages: Vec<_> = rig.files("out/pages").into_iter().filter(|name| !name.starts_with('.')).collect();
        assert_eq!(copies, pages);
        rig.run(&["run"]).fine();
        assert_eq!(rig.files("out/output"), copies, "nothing new, nothing twice");
    }
}
