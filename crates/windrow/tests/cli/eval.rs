//! Models, seeds and orders beside each other, and reports of them.

use serde_json::Value;

use crate::rig::Rig;

const ROWS: &str = "generator:rows=1500,seed=7,broken=0";

/// Two models, two orders, two seeds.
const SEVERAL: [&str; 11] =
    ["eval", "--input", ROWS, "--models", "two-level,kmeans", "--order", "given,sorted", "--seeds", "2", "--window", "400"];

fn of_schema(lines: &[Value], schema: &str) -> Vec<Value> {
    lines.iter().filter(|line| line["schema"] == schema).cloned().collect()
}

#[test]
fn trials_come_first_and_then_what_they_say_together() {
    let rig = Rig::new();
    let lines = rig.run(&[&SEVERAL[..], &["-o", "json"]].concat()).fine().lines();
    let (trials, spreads) = (of_schema(&lines, "windrow.eval/1"), of_schema(&lines, "windrow.spread/1"));
    assert_eq!((trials.len(), spreads.len(), lines.len()), (8, 4, 12));
    let names = |one: &Value| format!("{} {}", one["model"].as_str().unwrap(), one["order"].as_str().unwrap());
    let named: Vec<String> = spreads.iter().map(names).collect();
    assert_eq!(named, ["two-level given", "two-level sorted", "kmeans given", "kmeans sorted"]);
    for spread in &spreads {
        let of: Vec<f64> = trials
            .iter()
            .filter(|trial| names(trial) == names(spread))
            .map(|trial| trial["cluster"]["ari"].as_f64().unwrap())
            .collect();
        let mean = (of[0] + of[1]) / 2.0;
        assert!((spread["cluster"]["ari"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{spread}");
        let given = spreads.iter().find(|one| one["model"] == spread["model"] && one["order"] == "given").unwrap();
        let cost = given["cluster"]["ari"]["mean"].as_f64().unwrap() - mean;
        assert!((spread["cost"]["cluster"]["ari"].as_f64().unwrap() - cost).abs() < 1e-12, "{spread}");
    }
    let starts: Vec<u64> = trials[0]["windows"].as_array().unwrap().iter().map(|one| one["from"].as_u64().unwrap()).collect();
    assert_eq!(starts, [0, 400, 800, 1200]);
    let text = rig.run(&SEVERAL).fine().out;
    assert!(text.contains("cost ARI") && text.contains("from-to"), "{text}");
    assert_eq!(text.lines().count(), 1 + 8, "{text}");
    let tsv = rig.run(&[&SEVERAL[..], &["-o", "tsv"]].concat()).fine().out;
    assert!(tsv.starts_with("model\torder\tlevel\tmeasure\tmean\tleast\tmost\tdeviation\tcost\n"), "{tsv}");
    assert_eq!(tsv.lines().count(), 1 + 4 * (2 * 7 + 1));
}

#[test]
fn a_report_is_a_page_a_picture_markdown_or_json() {
    let rig = Rig::new();
    let files = ["scores.html", "scores.svg", "scores.md", "scores.json"];
    let reports: Vec<&str> = files.iter().flat_map(|file| ["--report", file]).collect();
    let printed = rig.run(&[&SEVERAL[..], &reports, &["-o", "json"]].concat()).fine().lines();
    let read = |file: &str| std::fs::read_to_string(rig.path(file)).unwrap();

    let report: Value = serde_json::from_str(&read("scores.json")).unwrap();
    assert_eq!(report["spreads"].as_array().unwrap()[..], of_schema(&printed, "windrow.spread/1")[..]);
    assert_eq!((&report["trials"][7]["order"], &report["inputs"][0]), (&"sorted".into(), &ROWS.into()));

    let markdown = read("scores.md");
    let ari = report["spreads"][1]["micro"]["ari"]["mean"].as_f64().unwrap();
    assert!(markdown.contains("| two-level | sorted | micro |") && markdown.contains(&format!("| {ari:.3} |")), "{markdown}");
    assert!(markdown.contains("### sorted\n") && markdown.contains("| 401-800 |"), "{markdown}");
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    for table in markdown.split("\n\n").filter(|part| part.starts_with('|')) {
        let widths: Vec<usize> = table.lines().take_while(|line| line.starts_with('|')).map(columns).collect();
        assert!(widths.len() > 2 && widths.iter().all(|width| *width == widths[0]), "{table}");
    }

    let picture = read("scores.svg");
    // A line a series and chart in the two orders; one a series in the legend, and those of the labels.
    assert_eq!(picture.matches("class=\"curve series1\"").count(), 2 * 3 + 1, "{picture}");
    assert_eq!(picture.matches("class=\"curve series0\"").count(), 2 + 1, "labels only beside the number of groups");
    assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    let page = read("scores.html");
    assert!(page.contains("class=\"curve series3\"") && page.contains("<td class=\"n\">401-800</td>"), "{page}");
    assert!(!page.contains("<script") && page.contains("default-src 'none'"), "{page}");
}

#[test]
fn a_name_of_markup_stays_a_name() {
    let rig = Rig::new();
    let rows: String =
        (0..40).map(|n| format!("{n},{}\n", if n % 2 == 0 { "rust game engine" } else { "summer sale shoes" })).collect();
    rig.write("a|<b>_c_.csv", &format!("id,title\n{rows}"));
    rig.write("labels.csv", &(0..40).map(|n| format!("{n},{}\n", n % 2)).collect::<String>());
    let args = ["eval", "--input", "a|<b>_c_.csv", "--labels", "labels.csv", "--report", "r.md", "--report", "r.html"];
    rig.run(&args).fine();
    let read = |file: &str| std::fs::read_to_string(rig.path(file)).unwrap();
    assert!(read("r.md").contains("- input: a\\|&lt;b>\\_c\\_.csv\n"), "{}", read("r.md"));
    assert!(!read("r.html").contains("<b>") && read("r.html").contains("a|&lt;b&gt;_c_.csv"));
}

#[test]
fn what_cannot_be_reported_is_said_before_anything_is_read() {
    let rig = Rig::new();
    let refused = |more: &[&str], code| {
        let done = rig.run(&[&["eval", "--input", "nothing.csv", "--labels", "none.csv"], more].concat()).failed(2, code);
        assert!(done.err.contains("hint"), "{done:?}");
    };
    refused(&["--report", "scores.pdf"], "E-EXPORT-FORM");
    rig.write("scores.md", "mine");
    refused(&["--report", "scores.md"], "E-EXISTS");
    refused(&["--order", "given", "--shuffle-window", "50"], "E-USAGE");
    refused(&["--order", "shuffled", "--mix", "other.csv"], "E-USAGE");
    refused(&["--order", "shuffled+diluted"], "E-EVAL-MIX");
    assert_eq!(std::fs::read_to_string(rig.path("scores.md")).unwrap(), "mine");
    rig.run(&["eval", "--input", ROWS, "--report", "scores.md", "--force"]).fine();
    assert!(std::fs::read_to_string(rig.path("scores.md")).unwrap().starts_with("# Evaluation\n"));
    rig.run(&["eval", "--input", ROWS, "--order", "random"]).failed(2, "E-USAGE");
}
