use windrow_core::clean::{Duplicates, OnDuplicate};

use super::*;
use crate::batch::Slice;
use crate::sink::Family;
use crate::source::Order;
use crate::source::encoding::Encoding;
use crate::source::written::Delimiter;
use crate::source::{Keep, SourcePosition, Written};

fn manifest() -> Manifest {
    let source = SourcePosition {
        name: "pages.csv".into(),
        device: 1,
        inode: 2,
        born: 0,
        head_len: 1024,
        head_hash: u64::MAX,
        start: 0,
        offset: 4711,
        rows: 42,
        written: None,
    };
    let positions = Positions { sources: vec![source] };
    let mut counters = Counters { rows: 42, pages: 40, novel: 7, ..Counters::default() };
    counters.rejects[2] = 2;
    let file = |epoch: u64| PublishedFile {
        family: Family::Pages,
        name: crate::sink::parquet::file_name(epoch, 0),
        epoch,
        rows: 20,
        bytes: 1000,
        crc32: 0x89ab_cdef,
    };
    Manifest {
        pipeline: "0123456789abcdef0123456789abcdef".into(),
        version: "0.1.0".into(),
        epoch: 2,
        commits: None,
        route: None,
        written_at: 1_700_000_000_000_000,
        model: serde_json::json!({"kind": "two-level", "clusters": 50, "seed": 1, "max_micro_clusters": 20_000, "max_terms": 1_000_000}),
        fields: serde_json::json!({
            "title": 1.0, "keywords": 1.0, "description": 1.0, "path": 0.0, "host": 0.0, "domain": 0.0, "shape": 0.0
        }),
        inputs: vec!["/data/*.csv".into()],
        columns: "url=landing_page".into(),
        keep: Keep::default(),
        max_record: 1 << 16,
        clean: Rules::default(),
        watch: None,
        positions: positions.clone(),
        counters: counters.clone(),
        edits: 1,
        snapshots: vec![SnapshotEntry {
            epoch: 2,
            name: "model-00000002.bin".into(),
            model: "00ff00ff00ff00ff".into(),
            positions,
            order: Order::default(),
            counters,
            edits: 1,
        }],
        history: Vec::new(),
        files: vec![file(1), file(2)],
    }
}

#[test]
fn a_manifest_reads_back_and_is_one_json_document() {
    let bytes = manifest().encode();
    assert_eq!(Manifest::decode(&bytes, Path::new("files.json")).unwrap(), manifest());
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((json["format"].as_u64(), json["body"]["epoch"].as_u64()), (Some(FORMAT.into()), Some(2)));
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let good = manifest().encode();
    let path = Path::new("files.json");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Manifest::decode(&bad, path).unwrap_err().code, "E-STATE-DAMAGED", "bit {bit}");
    }
    for len in 0..good.len() {
        assert_eq!(Manifest::decode(&good[..len], path).unwrap_err().code, "E-STATE-DAMAGED", "cut to {len}");
    }
    let long = [good.as_slice(), b"\n"].concat();
    assert_eq!(Manifest::decode(&long, path).unwrap_err().code, "E-STATE-DAMAGED");
}

#[test]
fn a_newer_format_is_refused_by_both_versions() {
    let next = FORMAT + 1;
    for (body, whose) in [("{\"something\":\"new\"}", "the newer windrow"), ("{\"version\":\"99.1.0\"}", "windrow 99.1.0")] {
        let rest = format!("\"body\":{body}}}\n");
        let newer = format!("{HEAD}{next}{MIDDLE}{:08x}{TAIL}{rest}", checksum(next, rest.as_bytes()));
        let error = Manifest::decode(newer.as_bytes(), Path::new("files.json")).unwrap_err();
        assert_eq!(error.code, "E-STATE-NEWER");
        let formats = [format!("format {next}"), format!("up to {FORMAT}")];
        assert!(formats.iter().all(|format| error.message.contains(format)), "{error}");
        assert!(error.hint.as_ref().unwrap().contains(whose) && error.message.contains(env!("CARGO_PKG_VERSION")), "{error}");
    }
}

#[test]
fn changed_settings_are_named_with_both_values() {
    let model = ModelSettings { clusters: 20.into(), ..ModelSettings::default() };
    let same: FieldWeights = serde_json::from_value(manifest().fields).unwrap();
    let fields = FieldWeights { title: 3.0, ..same.clone() };
    let rules = Rules { required: vec!["title".into()], ..Rules::default() };
    let asked = StateSettings {
        model: &model,
        fields: &fields,
        columns: "title=name",
        keep: &Keep::parse(&["spend".into()]).unwrap(),
        max_record: 1 << 20,
        rules: &rules,
        false_alarms: Some(2.0),
        route: None,
    };
    let watched = Manifest { watch: Some(WatchSettings { false_alarms: 1.0, from: 40 }), ..manifest() };
    let others = watched.other_settings(&asked).unwrap();
    let text: Vec<_> = others.iter().map(|(key, was, is)| format!("{key} {was} {is}")).collect();
    let columns = "source.columns `url=landing_page` `title=name`";
    let required = "clean.required [] [\"title\"]";
    assert_eq!(
        text,
        [
            "model.clusters 50 20",
            "features.title 1.0 3.0",
            required,
            columns,
            "source.keep `` `spend`",
            "limits.max_record 64kB 1MB",
            "watch.false_alarms 1 2"
        ]
    );
    let model = ModelSettings::default();
    let (columns, none) = ("url=landing_page", Rules::default());
    let keep = &Keep::default();
    let (max_record, false_alarms, rules) = (1 << 16, Some(2.0), &none);
    let asked = StateSettings { model: &model, fields: &same, columns, keep, max_record, rules, false_alarms, route: None };
    assert_eq!(manifest().other_settings(&asked).unwrap(), []);
    let older = manifest();
    assert!(older.fields.get("template").is_none());
    let fields = &FieldWeights { template: 0.5, ..same.clone() };
    let others = older.other_settings(&StateSettings { fields, ..asked }).unwrap();
    assert_eq!(others, [("features.template".into(), "0.0".into(), "0.5".into())], "it was 0 for older programs");

    let (slots, keyed) = (|prefix: &str| Route::Slots(prefix.into()), |topic: &str| Route::Keyed(topic.into()));
    let other = |was: Option<Route>, is: Option<&Route>| {
        let manifest = Manifest { route: was, ..manifest() };
        let others = manifest.other_settings(&StateSettings { route: is, ..asked }).unwrap();
        others.into_iter().map(|(key, was, is)| format!("{key} {was} {is}")).collect::<Vec<_>>()
    };
    assert_eq!(other(Some(slots("a_")), Some(&slots("b_"))), ["output.topic_prefix `a_` `b_`"]);
    assert_eq!(other(Some(keyed("a")), Some(&keyed("b"))), ["output.keyed_topic `a` `b`"]);
    assert_eq!(other(Some(slots("a")), Some(&keyed("a"))), ["output.kafka `topics` `keyed`"]);
    // The same; one that did not keep it; and none, which others compare.
    for (was, is) in [(Some(slots("a")), Some(&slots("a"))), (None, Some(&keyed("a"))), (Some(keyed("a")), None)] {
        assert_eq!(other(was, is), Vec::<String>::new());
    }
}

#[test]
fn a_long_list_of_files_moves_to_history_and_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut long = manifest();
    let file = long.files[0].clone();
    long.files.clear();
    for epoch in 0..5_000 {
        long.epoch = epoch;
        long.add_files(&[PublishedFile { epoch, ..file.clone() }], folder.path()).unwrap();
    }
    assert!(long.files.len() <= OPEN_FILES && long.history.len() == 2);
    let all = long.all_files(folder.path()).unwrap();
    assert_eq!(all.iter().map(|file| file.epoch).collect::<Vec<_>>(), (0..5_000).collect::<Vec<_>>());
    let name = folder.path().join(&long.history[1].name);
    std::fs::write(&name, "[]").unwrap();
    assert_eq!(long.all_files(folder.path()).unwrap_err().code, "E-STATE-DAMAGED");
}

/// Bytes that earlier programs wrote. A change of the format keeps these files and tests, and adds its own.
const FORMAT_1: &[u8] = include_bytes!("../../../tests/fixtures/format-1/files.json");
const FORMAT_2: &[u8] = include_bytes!("../../../tests/fixtures/format-2/files.json");
const FORMAT_3: &[u8] = include_bytes!("../../../tests/fixtures/format-3/topics.json");
/// Format 2 since messages of topics have reasons of their own.
const MORE_REASONS: &[u8] = include_bytes!("../../../tests/fixtures/format-2/more-reasons.json");

#[test]
fn manifests_of_format_1_stay_readable() {
    let found = Manifest::decode(FORMAT_1, Path::new("files.json")).unwrap();
    assert_eq!(found, Manifest { max_record: 1 << 20, ..manifest() });
    assert_eq!(found.model_settings(Path::new("files.json")).unwrap(), ModelSettings::default());
}

#[test]
fn manifests_of_format_2_stay_readable() {
    let found = Manifest::decode(FORMAT_2, Path::new("files.json")).unwrap();
    assert_eq!(found, manifest());
    assert_eq!(Manifest::decode(MORE_REASONS, Path::new("files.json")).unwrap(), manifest());
}

/// A pipeline between topics: where reading began, the order of its slices, and what it committed to the topics.
fn between_topics() -> Manifest {
    let mut manifest = manifest();
    manifest.commits = Some(17);
    let source = &mut manifest.positions.sources[0];
    (source.name, source.start) = ("kafka:pages/0".into(), 11);
    let snapshot = &mut manifest.snapshots[0];
    snapshot.positions = manifest.positions.clone();
    snapshot.order.add(Slice { source: 0, from: 11, to: 400 });
    snapshot.order.add(Slice { source: 1, from: 0, to: 7 });
    snapshot.order.add(Slice { source: 0, from: 400, to: 4711 });
    manifest
}

#[test]
fn manifests_of_format_3_stay_readable() {
    let found = Manifest::decode(FORMAT_3, Path::new("files.json")).unwrap();
    assert_eq!(found, between_topics());
}

/// Files of other shapes than the usual one.
fn of_other_files() -> Manifest {
    let mut manifest = manifest();
    let source = manifest.positions.sources[0].clone();
    let tabs = Written::Csv { delimiter: Delimiter::Tab, encoding: Encoding::Utf16le };
    manifest.positions.sources = [tabs, Written::Jsonl { encoding: Encoding::Cp1252 }, Written::USUAL]
        .map(|written| SourcePosition { written: Some(written), ..source.clone() })
        .to_vec();
    manifest.snapshots[0].positions = manifest.positions.clone();
    manifest
}

/// A pipeline with rules.
fn with_rules() -> Manifest {
    let rules = Rules {
        required: vec!["title".into()],
        max_length: "20000,title=300".parse().unwrap(),
        languages: vec!["en".into()],
        ..Rules::default()
    };
    Manifest { clean: rules, ..between_topics() }
}

#[test]
fn manifests_of_format_4_stay_readable() {
    for (name, wanted) in [("files", of_other_files()), ("rules", with_rules())] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-4/{name}.json"));
        assert_eq!(Manifest::decode(&std::fs::read(&path).unwrap(), &path).unwrap(), wanted);
    }
}

/// A pipeline that carries columns along.
fn with_kept() -> Manifest {
    Manifest { keep: Keep::parse(&["spend".into(), "cost=page.cost".into()]).unwrap(), ..with_rules() }
}

#[test]
fn manifests_of_format_5_stay_readable() {
    let (path, wanted) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-5/keep.json"), with_kept());
    assert_eq!(Manifest::decode(&std::fs::read(&path).unwrap(), &path).unwrap(), wanted);
}

/// A pipeline that reads Parquet, and makes rejects of duplicates.
fn with_parquet() -> Manifest {
    let mut manifest = with_kept();
    manifest.clean.duplicates = Duplicates { action: OnDuplicate::Reject, window: 5_000 };
    manifest.counters.duplicates = 7;
    manifest.positions.sources[0].written = Some(Written::Parquet);
    manifest
}

#[test]
fn manifests_of_format_6_stay_readable() {
    let (path, wanted) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-6/parquet.json"), with_parquet());
    assert_eq!(Manifest::decode(&std::fs::read(&path).unwrap(), &path).unwrap(), wanted);
}

/// A pipeline that is watched since some page.
fn watched() -> Manifest {
    let mut manifest = with_parquet();
    manifest.watch = Some(WatchSettings { false_alarms: 0.5, from: 30 });
    manifest.counters.alarms = 3;
    manifest
}

#[test]
fn manifests_of_format_7_stay_readable() {
    let (path, wanted) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-7/watch.json"), watched());
    if std::env::var_os("WINDROW_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, wanted.encode()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(Manifest::decode(&bytes, &path).unwrap(), wanted);
    assert_eq!(String::from_utf8(wanted.encode()).unwrap(), String::from_utf8(bytes).unwrap());
}

#[test]
fn where_pages_go_is_kept() {
    let kept = Manifest { route: Some(Route::Slots("cluster_".into())), ..between_topics() };
    let bytes = kept.encode();
    assert!(String::from_utf8_lossy(&bytes).contains("\"slots\": \"cluster_\""));
    assert_eq!(Manifest::decode(&bytes, Path::new("files.json")).unwrap(), kept);
}

#[test]
fn a_manifest_that_has_gone_on_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("files.json");
    let at = |epoch| Manifest { epoch, ..manifest() };
    at(1).commit(&path, 0).unwrap();
    at(2).commit(&path, 1).unwrap();
    // Stopped behind commit 1, and woken behind commit 2.
    let error = at(2).commit(&path, 1).unwrap_err();
    assert_eq!((error.code, error.exit_code()), ("E-FENCED", 5), "{error}");
    assert_eq!(Manifest::read(&path).unwrap(), Some(at(2)));
    assert_eq!(at(1).commit(&path, 0).unwrap_err().code, "E-FENCED", "one that knows of no commit at all");
}
