use super::*;

fn proposal(messages: &[&str]) -> Proposal {
    propose(&messages.iter().map(|message| message.as_bytes()).collect::<Vec<_>>())
}

fn columns(messages: &[&str]) -> String {
    let found = proposal(messages);
    let map = found.columns();
    crate::source::Form::of_messages(found.format, &map.parse().unwrap()).unwrap();
    map
}

#[test]
fn our_own_names_need_no_map() {
    let found = proposal(&[
        r#"{"creation_time": "2023-01-01 00:00:00", "id": 7, "url": "https://a.example/", "title": NaN, "keywords": NaN, "spend": 3}"#,
        r#"{"creation_time": "2023-01-01 00:00:01", "id": 8, "url": "b", "title": "T", "keywords": NaN, "spend": 4}"#,
        "no JSON",
    ]);
    assert_eq!((found.columns().as_str(), found.fitting), ("", 2));
    let value = |column: usize| match &found.columns[column] {
        Guess::At { value, .. } => value.clone(),
        other => format!("{other:?}"),
    };
    assert_eq!([value(1), value(2), value(3), value(4)], ["7", "https://a.example/", "T", "Nothing"]);
    assert_eq!(found.others, ["spend"]);
}

#[test]
fn other_names_and_ways_are_found() {
    let cases: [(&str, &str); 9] = [
        (r#"{"Title": "T", "landing_page": "http://a/", "tags": ["a", "b"]}"#, "url=landing_page,title=Title,keywords=tags"),
        (
            r#"{"name": "pageview", "id": 1, "timestamp": "2023-01-01", "page": {"url": "http://a/", "title": "T"}}"#,
            "creation_time=timestamp,url=page.url,title=page.title",
        ),
        (r#"{"link": "http://a/", "headline": "T", "author": {"url": "http://b/", "id": 3}}"#, "url=link,title=headline"),
        (
            r#"{"url": "a", "title": "T", "meta": {"keywords": ["k"], "description": "d"}}"#,
            "keywords=meta.keywords,description=meta.description",
        ),
        (r#"{"schema": {"x": 1}, "payload": {"url": "a", "title": "T"}}"#, "url=payload.url,title=payload.title"),
        (r#"{"page.url": "http://a/", "page.title": "T", "url": "u"}"#, ""),
        (r#"{"page": 3, "text": "T"}"#, "description=text"),
        (r#"{"a,b": 1, "title=": 2, " url": "x", "": 1}"#, ""),
        ("{}", ""),
    ];
    for (message, map) in cases {
        assert_eq!(columns(&[message]), map, "{message}");
    }
}

#[test]
fn what_cannot_be_used_is_left_empty() {
    let found = proposal(&[r#"{"creation_time": 1700000000, "title": {"rendered": "T"}, "url": "http://a/"}"#]);
    assert_eq!(found.columns(), "creation_time=-,title=-");
    assert_eq!(found.columns[0], Guess::Unusable { value: "1700000000".into() });
    assert_eq!(found.columns[3], Guess::Unusable { value: "an object".into() });
    let later = r#"{"creation_time": "yesterday", "published": "2023-01-01T00:00:00Z", "url": "http://a/"}"#;
    assert_eq!(columns(&[later]), "creation_time=published");
}

#[test]
fn what_is_not_found_has_a_nearest_name() {
    let found = proposal(&[r#"{"titel": "T", "published": 17, "meta": {"keyword": {"a": "b"}}, "landingPage": "http://a/"}"#]);
    assert_eq!(found.columns(), "url=landingPage");
    let near: Vec<_> = (0..6).map(|column| found.nearest(column)).collect();
    assert_eq!(near, [Some("published"), None, None, Some("titel"), None, None]);
    assert_eq!(found.others, ["meta.keyword.a", "published", "titel"]);
}

#[test]
fn names_that_a_terminal_would_obey_are_passed_over() {
    let found = proposal(&["{\"url\": \"http://a/\", \"\\u001b[2J\": \"x\", \"\\u202egpj\": {\"title\": \"T\"}}"]);
    assert_eq!((found.columns().as_str(), found.others.len()), ("", 0));
}

#[test]
fn the_value_shown_is_one_that_can_be_used() {
    let good = r#"{"creation_time": "2023-01-01", "url": "http://a/"}"#;
    let found = proposal(&[&[r#"{"creation_time": "yesterday", "url": "a"}"#][..], &[good; 9]].concat());
    let values = found.columns.iter().filter_map(|guess| match guess {
        Guess::At { value, .. } => Some(value.as_str()),
        Guess::Unusable { .. } | Guess::Nothing => None,
    });
    assert_eq!(values.collect::<Vec<_>>(), ["2023-01-01", "http://a/"]);
}

#[test]
fn csv_is_told_by_its_fields() {
    let ours = "2023-01-01,7,https://a.example/,\"T, t\",,d";
    let found = proposal(&[ours, "x", ours]);
    assert_eq!((found.format, found.fitting, found.columns().as_str()), (MessageFormat::Csv, 2, ""));
    let other = "T,https://a.example/,17,2023-01-01 00:00:00";
    let found = proposal(&[other]);
    assert_eq!(found.columns(), "creation_time=4,url=2");
    assert_eq!(found.others, ["1: T", "3: 17"]);
}

#[test]
fn nothing_gives_our_own_names() {
    for messages in [&[][..], &["", "[]", "x"]] {
        let found = proposal(messages);
        assert_eq!((found.format, found.fitting, found.columns().as_str()), (MessageFormat::Json, 0, ""));
        assert!(found.columns.iter().all(|guess| *guess == Guess::Nothing));
    }
}
