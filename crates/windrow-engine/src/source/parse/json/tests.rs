use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::batch::{RawBatch, Slice};
use crate::source::form::{Form, MessageFormat};
use crate::source::parse::Parser;
use windrow_core::record::{COLUMNS, RejectReason};

/// The six columns of each message, or why it is a reject.
fn read(messages: &[&[u8]], map: &str) -> Vec<Result<[Vec<u8>; 6], RejectReason>> {
    let form = Form::of_messages(MessageFormat::Json, &map.parse().unwrap()).unwrap();
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    for (offset, message) in messages.iter().enumerate() {
        records.push(form.record(message, bytes.len(), offset as u64, 1 << 25));
        bytes.extend_from_slice(message);
    }
    let slice = Slice { source: 7, from: 0, to: messages.len() as u64 };
    let batch = RawBatch { form: Arc::new(form), slice, bytes, records, beside: Vec::new() };
    let mut parser = Parser::new();
    let rows = parser.parse(&batch).enumerate().map(|(at, row)| {
        let (origin, raw) = row.as_ref().map_or_else(|e| (e.origin, &e.raw[..]), |row| (row.origin, row.raw));
        assert_eq!((origin.source, origin.offset, raw), (7, at as u64, messages[at]));
        row.map(|row| row.columns.map(<[u8]>::to_vec)).map_err(|reject| reject.reason)
    });
    rows.collect()
}

/// What one message makes of `map`'s columns: texts, or the reason's code.
fn shown(message: impl AsRef<[u8]>, map: &str) -> Vec<String> {
    match read(&[message.as_ref()], map).remove(0) {
        Ok(columns) => columns.map(|value| String::from_utf8(value).unwrap()).to_vec(),
        Err(reason) => vec![reason.code().to_owned()],
    }
}

/// The title of a message whose title is `value`.
fn title(value: &str) -> String {
    let shown = shown(format!("{{\"id\": 1, \"title\" : {value} ,\"url\":\"u\"}}"), "");
    if shown.len() == 6 {
        assert_eq!([&shown[1], &shown[2]], ["1", "u"], "{value}");
        shown[3].clone()
    } else {
        shown[0].clone()
    }
}

#[test]
fn values_become_texts() {
    let cases = [
        (r#""plain""#, "plain"),
        (r#""""#, ""),
        (r#""a\"b\\c\/d\n\t\r\b\f""#, "a\"b\\c/d\n\t\r\u{8}\u{c}"),
        (r#""\u00f1and\u00FA \ud83d\ude00""#, "ñandú 😀"),
        ("\"ñandú 😀\"", "ñandú 😀"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ud83dx\ude00\ud83d\u0041""#, "\u{fffd}x\u{fffd}\u{fffd}A"),
        ("12345678901234567890", "12345678901234567890"),
        ("-1.50e+3", "-1.50e+3"),
        ("0", "0"),
        ("true", "true"),
        ("false", "false"),
        ("null", ""),
        ("NaN", ""),
        ("Infinity", ""),
        ("-Infinity", ""),
        (r#""NaN, \"-Infinity""#, "NaN, \"-Infinity"),
        (r#"["a", "b\"c", 3, true]"#, "a, b\"c, 3, true"),
        (r#"[]"#, ""),
        (r#"[null, "", NaN, "x", -Infinity]"#, "x"),
        (r#"[["a"]]"#, "wrong_type"),
        (r#"[{"a": 1}]"#, "wrong_type"),
        (r#"["a", {"a": 1}]"#, "wrong_type"),
        (r#"{"en": "x"}"#, "wrong_type"),
        ("nan", "bad_json"),
        ("1NaN", "bad_json"),
        ("NaN1", "bad_json"),
        ("--Infinity", "bad_json"),
        ("- Infinity", "bad_json"),
        ("01", "bad_json"),
        ("\"a\nb\"", "bad_json"),
        ("\"\\x\"", "bad_json"),
        ("'a'", "bad_json"),
    ];
    for (value, expected) in cases {
        assert_eq!(title(value), expected, "{value}");
    }
}

#[test]
fn messages_are_objects() {
    let bad =
        ["", "null", "[]", "1", "NaN", "{", "{}{}", "{} x", r#"{"title": "a",}"#, "{NaN: 1}", "url,title", "{'title': 1}"];
    for message in bad {
        assert_eq!(shown(message, ""), ["bad_json"], "{message}");
    }
    assert_eq!(shown("{}", ""), ["", "", "", "", "", ""]);
    assert_eq!(shown("\u{feff} {\"title\": \"a\\nb\", \"id\": 7} \n", ""), ["", "7", "", "a\nb", "", ""]);
    assert_eq!(shown(b"{\"title\": \"\xff\"}", ""), ["invalid_utf8"]);
    assert_eq!(shown(r#"{"title": "first", "title": {"x": 1}, "title": "last"}"#, "")[3], "last");
    assert_eq!(shown(r#"{"Title": "x", "tit\u006ce": "y"}"#, "")[3], "y", "keys are compared as JSON means them, with case");
}

#[test]
fn ways_lead_into_objects() {
    let map = "url=page.url,title=doc.meta.title,id=doc.id";
    let title = |message: &str| shown(message, map).get(3).cloned().unwrap_or_else(|| shown(message, map).remove(0));
    let message = r#"{"page": {"url": "u", "title": "no"}, "title": "no", "doc": {"id": 4, "meta": {"title": ["t", 5]}}}"#;
    assert_eq!(shown(message, map), ["", "4", "u", "t, 5", "", ""]);
    assert_eq!(title(r#"{"doc": {"meta": {"title": "in"}}, "doc.meta.title": "literal"}"#), "literal");
    assert_eq!(title(r#"{"doc.meta.title": null, "doc": {"meta": {"title": "in"}}}"#), "");
    assert_eq!(title(r#"{"doc": {"meta.title": "half"}}"#), "half");
    assert_eq!(title(r#"{"doc.meta": {"title": "longer"}, "doc": {"meta": {"title": "x"}}}"#), "longer");
    assert_eq!(title(r#"{"doc": {"meta": {"title": "x"}}, "doc": {"meta": {"title": "last"}}}"#), "last");
    for nothing in
        ["{}", r#"{"doc": null}"#, r#"{"doc": NaN}"#, r#"{"doc": {"meta": NaN}}"#, r#"{"doc": {"metal": {"title": 1}}}"#]
    {
        assert_eq!(title(nothing), "", "{nothing}");
    }
    for wrong in [r#"{"doc": "x"}"#, r#"{"doc": {"meta": [1]}}"#, r#"{"doc": {"meta": {"title": {}}}}"#, r#"{"doc": 0}"#] {
        assert_eq!(title(wrong), "wrong_type", "{wrong}");
    }
    // Equal to the eye of serde_json, not in the message.
    assert_eq!(shown(r#"{"a":{"x": 0 },"b":{"x":NaN}}"#, "url=a.x,title=b.x"), ["", "", "0", "", "", ""]);
}

#[test]
fn what_the_original_writes_is_read() {
    let by_pandas = r#"{"creation_time": "2023-01-01 00:00:00", "id": 23850, "url": "https://a.example/?u=NaN", "title": NaN, "keywords": NaN, "description": "caf\u00e9", "main_domain": "a", "spend": Infinity}"#;
    let expected = ["2023-01-01 00:00:00", "23850", "https://a.example/?u=NaN", "", "", "café"];
    assert_eq!(shown(by_pandas, ""), expected);
    let by_windrow = r#"{"creation_time":"2023-01-01 00:00:00","id":"23850","url":"https://a.example/?u=NaN","title":null,"keywords":null,"description":"café"}"#;
    assert_eq!(shown(by_windrow, ""), expected);
}

#[test]
fn monsters_do_no_harm() {
    let long = "x\\n".repeat(1 << 19);
    assert_eq!(title(&format!("\"{long}\"")).len(), 1 << 20);
    let deep = 1 << 20;
    assert_eq!(title(&"[".repeat(deep)), "bad_json");
    assert_eq!(title(&format!("{}{}", "[".repeat(deep), "]".repeat(deep))), "wrong_type");
    assert_eq!(title(&format!("{}1{}", r#"{"title":"#.repeat(deep), "}".repeat(deep))), "wrong_type");
    let beside = format!(r#"{{"other": {}{}, "title": "t"}}"#, "[".repeat(deep), "]".repeat(deep));
    assert_eq!(shown(beside, "")[3], "t");
}

/// JSON of all kinds.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(NaN|\\PC|\"|\\\\|\n){0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let key = prop_oneof![Just("title".to_owned()), Just("url".to_owned()), Just("page".to_owned()), "[a.]{0,3}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// What the value should become.
fn expected(value: Option<&Value>) -> Option<String> {
    Some(match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let plain = items.iter().all(|item| !item.is_array() && !item.is_object());
            let texts: Option<Vec<String>> = plain.then(|| items.iter().filter_map(|item| expected(Some(item))).collect());
            texts?.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Object(_)) => return None,
        Some(other) => other.to_string(),
    })
}

/// As Python writes it: letters beyond ASCII escaped.
fn as_python(value: &Value) -> String {
    let mut units = [0; 2];
    let escape = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        c => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    value.to_string().chars().map(escape).collect()
}

proptest! {
    #[test]
    fn values_are_those_of_serde_json(title in any_json(), page in any_json(), other in any_json()) {
        let message = json!({"title": title, "page": page, "other": other});
        let url = match &page {
            Value::Null => Some(None),
            Value::Object(page) => Some(page.get("url")),
            _ => None,
        };
        let wanted = [expected(Some(&title)), url.and_then(expected)];
        for text in [message.to_string(), as_python(&message)] {
            match &read(&[text.as_bytes()], "url=page.url")[0] {
                Ok(columns) => {
                    let texts = [&columns[3], &columns[2]].map(|text| Some(String::from_utf8(text.clone()).unwrap()));
                    prop_assert_eq!(&texts, &wanted, "{}", text);
                }
                Err(reason) => {
                    prop_assert_eq!(*reason, RejectReason::WrongType, "{}", text);
                    prop_assert!(wanted.contains(&None), "{}", text);
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        messages in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            r#"(\{|\}|\[|\]|"|:|,|\\|\\u|d8|NaN|-?Infinity|title|"title":|1| ){0,30}"#.prop_map(String::into_bytes),
            r#"\{"title":("|\\|\\u|d83d|d|NaN|-|Infinity|\[|\]|1| ){0,12}\}"#.prop_map(String::into_bytes),
        ], 0..6),
    ) {
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let rows = read(&messages, "url=title.a,title=title");
        prop_assert_eq!(rows.len(), messages.len());
        for columns in rows.into_iter().flatten() {
            prop_assert!(columns.iter().all(|value| std::str::from_utf8(value).is_ok()));
            prop_assert_eq!(columns.len(), COLUMNS.len());
        }
    }
}

#[test]
fn what_is_carried_along_is_never_wrong() {
    let kept = |message: &str, keep: &str| {
        let map = crate::source::ColumnMap::default().keeping(&crate::source::Keep::parse(&[keep.to_owned()]).unwrap());
        let form = Form::of_messages(MessageFormat::Json, &map).unwrap();
        let records = vec![form.record(message.as_bytes(), 0, 0, 1 << 20)];
        let slice = Slice { source: 0, from: 0, to: 1 };
        let batch = RawBatch { form: Arc::new(form), slice, bytes: message.into(), records, beside: Vec::new() };
        let mut parser = Parser::new();
        let row = parser.parse(&batch).next().unwrap().map_err(|reject| reject.reason)?;
        Ok(row.kept.values().map(|value| String::from_utf8(value.to_vec()).unwrap()).collect::<Vec<_>>())
    };
    let message = "\u{feff}{\"url\": \"u\", \"n\": 12.50, \"o\": {\"a\": {\"b\": \"x\\u00e9\"}}, \"l\": [1, \"b\"], \"m\": [{\"c\": 1}], \
                   \"z\": null, \"t\": true, \"N\": NaN, \"é\": \"é\"}";
    let found = kept(message, "n,b=o.a.b,o,l,m,none,c=n.c,z,t,nan=N,é").unwrap();
    let object = r#"{"a": {"b": "x\u00e9"}}"#;
    assert_eq!(found, ["12.50", "xé", object, "1, b", "[{\"c\": 1}]", "", "", "", "true", "", "é"]);
    assert_eq!(kept("[]", "n"), Err(RejectReason::BadJson));
}
