//! What users do to the clusters.

use crate::rig::Rig;

/// A folder with made-up rows run into `out`.
fn begun() -> Rig {
    let rig = Rig::new();
    rig.run(&["run", "--input", "generator:rows=6000,seed=5", "--clusters", "12", "--out", "out"]).fine();
    rig
}

fn clusters(rig: &Rig) -> Vec<serde_json::Value> {
    rig.run(&["clusters", "--out", "out", "-o", "json"]).fine().lines()
}

fn id(cluster: &serde_json::Value) -> String {
    cluster["cluster"].to_string()
}

#[test]
fn a_wrong_group_is_put_right_and_stays_right() {
    let rig = begun();
    let before = clusters(&rig);
    let (a, b) = (id(&before[0]), id(&before[1]));

    let looked = rig.run(&["clusters", "merge", &a, "--into", &b, "--dry-run", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(looked["pages"], 5_000);
    assert!(looked["moved"].as_u64().unwrap() > 0, "{looked}");
    assert_eq!(clusters(&rig), before, "a preview does nothing");
    let said = rig.run(&["clusters", "merge", &a, "--into", &b, "-n", "--out", "out"]).fine().out;
    assert!(said.contains("of the newest 5,000 pages would move; nothing is done"), "{said}");

    rig.run(&["clusters", "rename", &a, "mine", "--out", "out"]).fine();
    rig.run(&["clusters", "merge", &a, "--into", &b, "--out", "out"]).fine();
    let merged = clusters(&rig);
    assert!(!merged.iter().any(|cluster| id(cluster) == a));
    rig.run(&["export", "--folder", "out", "--cluster", &a, "--out", "a.csv"]).fine();
    let exported = std::fs::read_to_string(rig.path("a.csv")).unwrap();
    let header: Vec<&str> = exported.lines().next().unwrap().split(',').collect();
    assert_eq!(header[13], "current_cluster");

    rig.run(&["clusters", "undo", "--out", "out"]).fine();
    let back = clusters(&rig);
    let again = back.iter().find(|cluster| cluster["label"] == "mine").unwrap_or_else(|| panic!("{back:?}"));
    assert_ne!(id(again), a, "no id is used again");
    let so_already = rig.run(&["clusters", "rename", &id(again), "mine", "--out", "out"]).fine().out;
    assert_eq!(so_already.trim_end(), "all is so already; nothing is done");
    let undone = rig.run(&["clusters", "undo", "--out", "out"]).fine().out;
    assert!(undone.contains(&format!("the name of cluster {} is taken back", id(again))), "what came back is meant: {undone}");
    let nothing = rig.run(&["clusters", "undo", "--out", "out"]).failed(2, "E-EDIT");
    assert!(nothing.err.contains("no edit that could be taken back"), "{}", nothing.err);

    rig.run(&["clusters", "merge", &id(again), "--into", &b, "--out", "out"]).fine();
    rig.run(&["clusters", "split", &b, "--out", "out"]).fine();
    rig.run(&["clusters", "pin", &b, "--out", "out"]).fine();
    let child = clusters(&rig).iter().map(|cluster| cluster["cluster"].as_u64().unwrap()).max().unwrap().to_string();
    let themes = rig.run(&["clusters", "themes", &child, "--out", "out", "-o", "json"]).fine().lines();
    assert!(!themes.is_empty() && themes.iter().all(|theme| theme["held"] == true), "{themes:?}");
    let theme = themes[0]["micro_cluster"].to_string();
    rig.run(&["clusters", "move", &theme, "--to", &b, "--out", "out"]).fine();
    let table = rig.run(&["clusters", "themes", &b, "--out", "out"]).fine().out;
    assert!(table.lines().any(|line| line.trim_start().starts_with(&theme) && line.contains('●')), "{table}");
    rig.run(&["clusters", "release", &theme, "--out", "out"]).fine();

    let audit = rig.run(&["audit", "--out", "out", "-o", "json"]).fine().json();
    for field in ["lost", "duplicated", "disagreeing"] {
        assert_eq!(audit[field], 0, "{audit}");
    }
}

#[test]
fn what_cannot_be_done_says_why() {
    let rig = begun();
    let known = clusters(&rig);
    let a = id(&known[0]);
    for (wrong, why) in [
        (vec!["merge", "4711", "--into", &a], "cluster 4711 is not alive"),
        (vec!["merge", &a, "--into", &a], "cannot take in itself"),
        (vec!["move", "999999999", "--to", &a], "theme 999999999 is not alive"),
        (vec!["undo"], "no edit that could be taken back"),
        (vec!["themes", "4711"], "cluster 4711 is not alive"),
        (vec!["show", "4711"], "cluster 4711 is not alive"),
    ] {
        let refused = rig.run(&[&["clusters"], &wrong[..], &["--out", "out"]].concat()).failed(2, "E-EDIT");
        assert!(refused.err.contains(why), "{wrong:?}: {}", refused.err);
    }
}

/// A page on two hosts with hostile texts, one of many.
#[test]
fn one_cluster_is_shown_with_its_addresses_and_its_copies() {
    let rig = Rig::new();
    let mut csv = String::from("url,title,description\n");
    for at in 0..60 {
        csv.push_str(&format!(
            "https://h{}.example/item/{at}?utm_source=x,Blue boats \u{1b}[31mat sea {at},All about blue boats\n",
            at % 2
        ));
        csv.push_str(&format!(
            "https://shop.example/p\u{202e}q/boats-of-blue-{at},Boats for sale {},All about boats\n",
            ["red", "old", "big"][at % 3]
        ));
    }
    rig.write("in.csv", &csv);
    rig.run(&["run", "--input", "in.csv", "--out", "out", "--clusters", "1"]).fine();
    let cluster = rig.run(&["clusters", "show", "0", "--out", "out", "-o", "json"]).fine().json();
    let [copies, patterns] = [&cluster["copies"], &cluster["patterns"]];
    assert_eq!((&copies["pages"], &copies["copies"]), (&120.into(), &116.into()), "{copies}");
    let most = &copies["repeated"][0];
    assert_eq!((&most["pages"], &most["hosts"], &most["hosts_exact"]), (&60.into(), &2.into(), &true.into()), "{most}");
    assert_eq!(patterns[0]["pattern"], "shop.example/p_q/{slug}", "{patterns}");
    let told = rig.run(&["clusters", "show", "0", "--out", "out"]).fine().out;
    for wanted in ["60 times on 2 hosts: Blue boats", "shop.example/p_q/{slug}", "97 % of 120 pages had come before"] {
        assert!(told.contains(wanted), "{wanted} is not in {told}");
    }
    assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told:?}");
}

#[test]
fn a_split_where_no_slot_is_free_says_what_makes_room() {
    let rig = Rig::new();
    rig.run(&["run", "--input", "generator:rows=6000,seed=5", "--clusters", "4", "--out", "out"]).fine();
    let known = clusters(&rig);
    assert_eq!(known.len(), 4);
    let a = id(&known[0]);
    let refused = rig.run(&["clusters", "split", &a, "--out", "out"]).failed(2, "E-EDIT").err;
    let said = |from: &str, to: &str| refused.split(from).nth(1).and_then(|rest| rest.split(to).next()).map(str::to_owned);
    let merge = said("first `windrow ", "`").unwrap_or_else(|| panic!("{refused}"));
    assert!(merge.ends_with(" --out out") && refused.contains(&format!("`windrow clusters split {a} --make-room --out out`")));
    let would = rig.run(&["clusters", "split", &a, "--make-room", "-n", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!((&would["dry_run"], &would["commit"]), (&true.into(), &serde_json::Value::Null), "{would}");
    assert_eq!(clusters(&rig), known, "nothing is done");

    let done = rig.run(&["clusters", "split", &a, "--make-room", "--out", "out", "-o", "json"]).fine().json();
    for field in ["born", "ended", "moved", "pages"] {
        assert_eq!(done[field], would[field], "{field}: {done}");
    }
    assert_eq!((&done["asked"]["make_room"], &done["commit"]), (&true.into(), &2.into()), "{done}");
    let alive: Vec<String> = clusters(&rig).iter().map(id).collect();
    let (born, ended) = (done["born"][0].to_string(), done["ended"][0].to_string());
    assert!(alive.len() == 4 && alive.contains(&born) && !alive.contains(&ended), "{alive:?} {done}");
    assert!(merge.contains(&format!("merge {ended} --into ")), "{merge}");

    let undone = rig.run(&["clusters", "undo", "--out", "out"]).fine().out;
    assert!(undone.starts_with(&format!("done (commit 3): the split that made cluster {born} is taken back; ")), "{undone}");
    let would = rig.run(&["clusters", "undo", "-n", "--out", "out"]).fine().out;
    assert!(
        would.starts_with(&format!("the merge of cluster {ended} into ")) && would.contains("would be taken back"),
        "{would}"
    );
    // There is room now, and what was asked for is all that happens.
    rig.run(&["clusters", "split", &a, "--out", "out"]).fine();
}

#[test]
fn what_was_done_is_told_in_words_and_fields() {
    let rig = begun();
    let (a, b) = (id(&clusters(&rig)[0]), id(&clusters(&rig)[1]));
    let renamed = rig.run(&["clusters", "rename", &a, "mine", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(renamed["renamed"], serde_json::json!([{"cluster": a.parse::<u64>().unwrap(), "label": "mine"}]), "{renamed}");
    assert_eq!((&renamed["commit"], &renamed["pages"]), (&2.into(), &0.into()), "no page can move: {renamed}");
    let table = rig.run(&["clusters", "merge", &b, "--into", &a, "--out", "out", "-o", "tsv"]).fine().out;
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0], ["commit", "edit", "born", "ended", "pages", "moved", "said"], "{table}");
    assert_eq!(lines[1][..5], ["3", "", "", &b, "5000"], "{table}");
    let said = format!("cluster {b} ended, taken in by cluster {a}; ");
    assert!(lines[1][6].starts_with(&said) && lines[1][6].ends_with(" of the newest 5,000 pages moved"), "{table}");
    let would = rig.run(&["clusters", "undo", "-n", "--out", "out", "-o", "json"]).fine().json();
    assert_eq!(would["takes_back"], format!("the merge of cluster {b} into {a}"), "{would}");
    for (wrong, hint) in [
        (vec!["rename", &a, "\u{202e}"], "give another name"),
        (vec!["move", "999999999", "--to", &a], "clusters themes ID"),
        (vec!["pin", "4711"], "`windrow clusters --all --out out`"),
    ] {
        let refused = rig.run(&[&["clusters"], &wrong[..], &["--out", "out"]].concat()).failed(2, "E-EDIT");
        assert!(refused.err.contains(hint), "{wrong:?}: {}", refused.err);
    }
}

#[test]
fn a_page_is_explained_where_it_is_now() {
    let rig = begun();
    let (a, b) = (id(&clusters(&rig)[0]), id(&clusters(&rig)[1]));
    rig.run(&["clusters", "rename", &b, "My group", "--out", "out"]).fine();
    rig.run(&["export", "--folder", "out", "--cluster", &a, "--out", "a.csv"]).fine();
    let exported = std::fs::read(rig.path("a.csv")).unwrap();
    let mut rows = csv::Reader::from_reader(&exported[..]);
    let mut at = |name: &str| rows.headers().unwrap().iter().position(|column| column == name).unwrap();
    let (record, micro) = (at("record_id"), at("micro_cluster"));
    let row = rows.records().last().unwrap().unwrap();
    let (record, theme) = (row[record].to_owned(), row[micro].to_owned());
    let explained = || rig.run(&["explain", "--out", "out", &record, "-o", "json"]).fine().json()["current"].clone();
    let text = || rig.run(&["explain", "--out", "out", &record]).fine().out;
    assert_eq!((&explained()["cluster"].to_string(), &explained()["said"]), (&a, &"as at arrival".into()));

    rig.run(&["clusters", "move", &theme, "--to", &b, "--out", "out"]).fine();
    let told = format!("cluster {b} · My group (theme {theme}, put there by you at commit 3)");
    assert!(text().contains(&told), "{}", text());
    assert_eq!((&explained()["event"], &explained()["held"]), (&"micro_placed".into(), &true.into()));
    rig.run(&["clusters", "undo", "--out", "out"]).fine();
    assert_eq!((&explained()["cluster"].to_string(), &explained()["event"]), (&a, &serde_json::Value::Null));

    rig.run(&["clusters", "merge", &a, "--into", &b, "--out", "out"]).fine();
    let told = format!("cluster {b} · My group (merged into it by you at commit 5)");
    assert!(text().contains(&told), "{}", text());
    assert!(text().contains("a page like this would go to cluster"), "{}", text());
    assert_eq!(explained()["label"], "My group");
}
