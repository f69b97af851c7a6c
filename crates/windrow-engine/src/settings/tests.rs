use windrow_core::cluster::{Clusters, HalfLife, KMeansRule, KMeansSettings};

use super::*;

fn file(text: &str) -> Result<Resolved> {
    resolve(&from_text(Path::new("windrow.toml"), text)?)
}

fn message(text: &str) -> String {
    file(text).unwrap_err().to_string()
}

#[test]
fn later_layers_win_and_say_where_they_stand() {
    let mut given = from_text(Path::new("windrow.toml"), "[model]\nclusters = 7\nseed = 1_000\n").unwrap();
    given.extend(from_env([("WINDROW__MODEL__SEED".into(), "3".into())].into_iter()).unwrap());
    given.push(Given { key: "run.threads".into(), texts: vec!["2".into()], origin: Origin::Flag("threads".into()) });
    let resolved = resolve(&given).unwrap();
    assert_eq!(
        (resolved.settings.model.clusters, resolved.settings.model.seed, resolved.settings.run.threads),
        (7.into(), 3, 2)
    );
    let origins: Vec<String> = resolved.origins.iter().map(ToString::to_string).filter(|origin| origin != "default").collect();
    assert_eq!(origins, ["windrow.toml:2", "WINDROW__MODEL__SEED", "--threads"]);
    assert!(resolved.is_given("model.seed") && !resolved.is_given("model.kind"));
}

#[test]
fn unknown_key_is_an_error_with_place_and_nearest_key() {
    let text = message("\n[model]\n\nclustres = 7\n");
    assert!(text.contains("windrow.toml:4: there is no setting `model.clustres`; did you mean `model.clusters`?"), "{text}");
    let text = message("[output]\nthreads = 7\n");
    assert!(text.contains("`run.threads`"), "{text}");
    let text = message("[zzz]\nqqq = 7\n");
    assert!(text.contains("there is no setting `zzz.qqq`") && !text.contains("did you mean"), "{text}");
}

#[test]
fn all_problems_are_reported_at_once() {
    let error =
        file("[model]\nclusters = 0\nkind = \"k\"\n[limits]\nmemory = \"1XB\"\n[features]\ntitle = -1.0\n").unwrap_err();
    assert_eq!(error.causes.len(), 4, "{error}");
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.causes.iter().any(|cause| cause.contains("takes a whole number from 1 to 100000, or `auto`, not `0`")),
        "{error}"
    );
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    let weights = KEYS.iter().filter(|key| key.section() == "features");
    let none: String = weights.map(|key| format!("{} = 0\n", key.short_name())).collect();
    let text = message(&format!("[features]\n{none}"));
    assert!(text.contains("every weight"), "{text}");
    assert!(message("[model]\nclusters = 20\nmax_micro_clusters = 10\n").contains("is above"));
}

#[test]
fn kmeans_has_settings_of_its_own() {
    let table = "[model]\nkind = \"kmeans\"\nclusters = 200\nkmeans.half_life = \"24h\"\n[model.kmeans]\n";
    assert!(message(table).contains("E-SETTINGS-FILE"), "TOML knows a table once");
    let file =
        file("[model]\nkind = \"kmeans\"\n[model.kmeans]\nhalf_life = \"24h\"\nbatch = 1_000\nrule = \"spark\"\n").unwrap();
    let model = &file.settings.model;
    let asked = KMeansSettings {
        half_life: HalfLife::Time(86_400_000_000),
        batch: 1_000,
        rule: KMeansRule::Spark,
        ..KMeansSettings::default()
    };
    assert_eq!((model.kind.as_str(), &model.kmeans), ("kmeans", &asked));
    let half_life = |text: &str| {
        let given = from_env([("WINDROW__MODEL__KMEANS__HALF_LIFE".into(), text.into())].into_iter()).unwrap();
        resolve(&given).map(|resolved| resolved.settings.model.kmeans.half_life)
    };
    assert_eq!(
        [half_life("3000"), half_life("10 batches")].map(Result::unwrap),
        [HalfLife::Rows(3_000), HalfLife::Batches(10)]
    );
    let text = half_life("soon").unwrap_err().to_string();
    assert!(text.contains("takes rows such as `3000`, `10 batches`") && text.contains("not `soon`"), "{text}");
    let text = message("[model]\nkind = \"kmeans\"\nclusters = 200\nmax_terms = 1000\n");
    assert!(text.contains("model.max_terms = 1000 is below 8 for each of model.clusters = 200"), "{text}");
    let text = message("[model]\nkind = \"kmeans\"\nclusters = \"auto\"\n");
    assert!(text.contains("model.clusters = \"auto\" is for two-level: tell kmeans how many there may be"), "{text}");
    let text = message("[model]\nclusters = \"many\"\n");
    assert!(text.contains("takes a whole number from 1 to 100000, or `auto`, not `many`"), "{text}");
}

#[test]
fn the_number_of_clusters_may_be_left_to_the_stream() {
    let found = file("[model]\nclusters = \"auto\"\n").unwrap();
    assert_eq!(found.settings.model.clusters, Clusters::Auto);
}

#[test]
fn epochs_that_no_broker_waits_for_are_refused() {
    let with = |epoch: &str, timeout: &str, output: &str| {
        let timeout = if timeout.is_empty() { String::new() } else { format!("\"transaction.timeout.ms\" = \"{timeout}\"\n") };
        file(&format!(
            "[output]\nkafka = \"{output}\"\nepoch_ms = {epoch}\n[kafka]\n{timeout}\"bootstrap.servers\" = \"b:1\"\n"
        ))
    };
    for (epoch, timeout) in [("30001", ""), ("60000", ""), ("500", "400"), ("501", "1000"), ("60000", "60000")] {
        let error = with(epoch, timeout, "topics").unwrap_err();
        assert!(error.code == "E-SETTINGS" && error.message.contains("above half of kafka.transaction.timeout.ms"), "{error}");
    }
    for (epoch, timeout) in [("30000", ""), ("500", "1000"), ("60000", "120000"), ("60000", "${NAME}")] {
        assert!(with(epoch, timeout, "auto").is_ok(), "{epoch} {timeout}");
    }
    assert!(with("60000", "", "none").is_ok(), "no transactions");
}

#[test]
fn broken_toml_names_its_line() {
    let text = message("[model]\nclusters = = 3\n");
    assert!(text.contains("E-SETTINGS-FILE") && text.contains("windrow.toml:2:"), "{text}");
}

#[test]
fn lists_and_sizes() {
    let resolved = file("[source]\ninput = [\"a.csv\", \"b\"]\n[output]\nroll_size = \"4 MiB\"\n").unwrap();
    assert_eq!(resolved.settings.source.input, ["a.csv", "b"]);
    assert_eq!(resolved.settings.output.roll_size, 4 << 20);
    let given = from_env([("WINDROW__SOURCE__INPUT".into(), "a:b".into())].into_iter()).unwrap();
    assert_eq!(given[0].texts, ["a", "b"]);
    assert_eq!([parse_size("12"), parse_size("3k"), parse_size("k"), parse_size("1TB")], [Some(12), Some(3072), None, None]);
}

#[test]
fn starter_file_gives_the_built_in_values() {
    let starter = starter_file(&Starter::default());
    assert_eq!(file(&starter).unwrap().settings, Settings::default());
    let all_on: String = starter
        .lines()
        .map(|line| if line.contains(" = ") { line.trim_start_matches("# ") } else { line })
        .fold(String::new(), |file, line| file + line + "\n");
    let resolved = file(&all_on).unwrap();
    assert_eq!(resolved.settings, Settings::default());
    assert!(resolved.origins.iter().all(|origin| *origin != Origin::Default));
}

#[test]
fn starter_file_holds_what_is_filled_in() {
    let starter = Starter {
        values: vec![("source.topic", Value::Text("pages".into())), ("source.input", Value::List(vec!["a \"b\"".into()]))],
        notes: vec![("source.columns", "url = page.url, for example \"https://a/\"".into())],
        client: vec![("bootstrap.servers".into(), "a:1,b:2".into()), ("ssl.ca.location".into(), "C:\\ca".into())],
    };
    let text = starter_file(&starter);
    let settings = file(&text).unwrap().settings;
    assert_eq!((settings.source.topic.as_str(), &settings.source.input[0][..]), ("pages", "a \"b\""));
    assert_eq!(settings.kafka.get("bootstrap.servers"), Some("a:1,b:2"));
    assert_eq!(settings.kafka.get("ssl.ca.location"), Some("C:\\ca"));
    assert!(text.contains("\n#   url = page.url, for example \"https://a/\"\n# columns = \"\"\n"), "{text}");
}

#[test]
fn every_key_reads_back_what_it_was_given() {
    for key in KEYS {
        let texts = match key.default() {
            Value::List(items) => items,
            _ => vec![key.default_text()],
        };
        assert_eq!(key.ty.parse(&texts), Ok(key.default()), "{}", key.name);
        let schema = json_schema();
        let section = &schema["properties"][key.section()];
        let found = key.short_name().split('.').fold(section, |table, name| &table["properties"][name]);
        assert_eq!(found["description"], key.doc, "{}", key.name);
    }
}

#[test]
fn reference_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/settings.md");
    if std::env::var_os("WINDROW_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, reference_page()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, reference_page(), "stale: WINDROW_UPDATE=1 cargo test -p windrow-engine settings");
}

#[test]
fn every_field_of_model_and_features_is_a_setting() {
    fn fields(name: &str, value: serde_json::Value) -> Vec<String> {
        let serde_json::Value::Object(members) = value else { return vec![name.to_owned()] };
        members.into_iter().flat_map(|(member, value)| fields(&format!("{name}.{member}"), value)).collect()
    }
    // Of all algorithms that have settings of their own.
    let model = |kind: &str| {
        let model = ModelSettings { kind: kind.into(), ..ModelSettings::default() };
        fields("model", serde_json::to_value(model).unwrap())
    };
    let features = fields("features", serde_json::to_value(FieldWeights::default()).unwrap());
    let mut known: Vec<_> =
        KEYS.iter().filter(|key| ["model", "features"].contains(&key.section())).map(|key| key.name).collect();
    let mut wanted = [model("kmeans"), model("original"), features].concat();
    known.sort_unstable();
    wanted.sort_unstable();
    wanted.dedup();
    assert_eq!(known, wanted);
}
