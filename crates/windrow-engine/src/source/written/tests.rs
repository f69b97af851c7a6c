use std::fs;

use tempfile::TempDir;

use super::*;
use crate::source::parse::Parser;
use crate::source::{Limits, Positions, SourcePosition, Wanted, open};

fn look(name: &str, bytes: &[u8], asked: Asked, map: &str) -> Result<Option<(Written, Form)>> {
    let columns = map.parse().unwrap();
    Look { name, known: None, asked, columns: &columns, limit: 1000 }.form(bytes, true)
}

/// How a file of these bytes is written, in the words of the settings.
fn found(name: &str, bytes: &[u8]) -> String {
    let (format, delimiter, encoding) = look(name, bytes, Asked::default(), "").unwrap().unwrap().0.words();
    [format, delimiter.unwrap_or("-"), encoding].join(" ")
}

fn asked(format: &str, delimiter: &str, encoding: &str) -> Asked {
    Asked {
        format: AskedFormat::named(format).unwrap(),
        delimiter: AskedDelimiter::named(delimiter).unwrap(),
        encoding: AskedEncoding::named(encoding).unwrap(),
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn delimiters_are_found_from_the_header() {
    assert_eq!(found("f", b"title,url\n"), "csv , utf-8");
    assert_eq!(found("f", b"title;url;spend,eur\n"), "csv ; utf-8");
    assert_eq!(found("f", b"\xef\xbb\xbftitle\turl\n"), "csv tab utf-8");
    assert_eq!(found("f", b"id|\"the;title\"|title\n"), "csv | utf-8");
    // One column: nothing separates.
    assert_eq!(found("f", b"title\n"), "csv , utf-8");
    // More of our columns go before more fields, and these before the order of delimiters.
    assert_eq!(found("f", b"title|url,a;b;c;d;e|id\n"), "csv | utf-8");
    assert_eq!(found("f", b"title,a;x;y;url\n"), "csv ; utf-8");
    // What is said goes before.
    let error = look("f", b"title;url\n", asked("auto", ",", "auto"), "").unwrap_err();
    assert_eq!(error.code, "E-INPUT-COLUMNS");
}

#[test]
fn formats_are_found_from_the_first_character_or_the_name() {
    assert_eq!(found("f.csv", b" \n{\"url\": 1}\n"), "jsonl - utf-8");
    assert_eq!(found("f", "\u{feff}{\"url\": 1}".as_bytes()), "jsonl - utf-8");
    assert_eq!(found("F.NDJSON.gz", b"garbage\n"), "jsonl - utf-8");
    assert_eq!(found("f", &utf16("{\"url\": 1}\n")), "jsonl - utf-16le");
    assert_eq!(look("f.jsonl", b"", Asked::default(), "").unwrap(), None);
    assert_eq!(look("f", b"\n \n", Asked::default(), "").unwrap(), None);
    let csv = look("f", b"{title},url\n", asked("csv", "auto", "auto"), "").unwrap().unwrap();
    assert_eq!(csv.0, Written::USUAL);
    let error = look("f.json", b"[{\"url\": 1}]\n", Asked::default(), "").unwrap_err();
    assert!(error.hint.unwrap().contains("an object a line"));
}

#[test]
fn encodings_are_found_from_the_first_bytes_and_never_guessed() {
    assert_eq!(found("f", &utf16("\u{feff}url\ttitle\n")), "csv tab utf-16le");
    assert_eq!(found("f", &utf16("url,title\n")), "csv , utf-16le");
    assert_eq!(found("f", b"url,title\nx,caf\xe9\n"), "csv , utf-8");
    let written = |encoding| look("f", b"url,title\n", asked("auto", "auto", encoding), "").unwrap().unwrap().0;
    assert_eq!(written("cp1252").encoding(), Encoding::Cp1252);
    let bare = look("f", &utf16("адрес,title\n"), asked("auto", "auto", "utf-16"), "").unwrap().unwrap();
    assert_eq!(bare.0.encoding(), Encoding::Utf16le);
}

#[test]
fn other_ways_than_the_known_one_are_named() {
    let known = Written::Csv { delimiter: Delimiter::Tab, encoding: Encoding::Utf16be };
    assert_eq!(Asked::default().others(known), []);
    assert_eq!(Asked::exactly(known).others(known), []);
    assert_eq!(asked("csv", "tab", "utf-16").others(known), []);
    let others = asked("jsonl", ";", "cp1252").others(known);
    let keys = [("source.input_format", "csv", "jsonl"), ("source.delimiter", "tab", ";")];
    assert_eq!(others, [&keys[..], &[("source.encoding", "utf-16be", "cp1252")]].concat());
    // A delimiter says nothing of JSON Lines.
    assert_eq!(asked("auto", ";", "auto").others(Written::Jsonl { encoding: Encoding::Utf8 }), []);
}

#[test]
fn what_is_kept_is_plain_and_reads_back() {
    let text = |written: Written| serde_json::to_string(&written).unwrap();
    let tab = Written::Csv { delimiter: Delimiter::Tab, encoding: Encoding::Utf16le };
    assert_eq!(text(tab), r#"{"format":"csv","delimiter":"tab","encoding":"utf-16le"}"#);
    assert_eq!(text(Written::Jsonl { encoding: Encoding::Cp1252 }), r#"{"format":"jsonl","encoding":"cp1252"}"#);
    assert_eq!(serde_json::from_str::<Written>(&text(tab)).unwrap(), tab);
}

/// One file, and what is known of it.
struct Place {
    folder: TempDir,
    name: &'static str,
    positions: Positions,
    asked: Asked,
    map: &'static str,
    warnings: Vec<String>,
}

impl Place {
    fn of(name: &'static str, bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        Self { folder, name, positions: Positions::default(), asked: Asked::default(), map: "", warnings: Vec::new() }
    }

    fn append(&self, bytes: &[u8]) {
        let path = self.folder.path().join(self.name);
        fs::write(&path, [&fs::read(&path).unwrap()[..], bytes].concat()).unwrap();
    }

    /// Some batches of two records: offset, and title, or reason with the original bytes.
    fn take(&mut self, batches: usize) -> Result<Vec<(u64, String, Vec<u8>)>> {
        let inputs = [self.folder.path().join(self.name).to_str().unwrap().to_owned()];
        let limits = Limits { batch_rows: 2, record_bytes: 40, ..Limits::default() };
        let wanted = Wanted::once(&inputs, self.map, self.asked, limits);
        let mut opened = open(wanted, &mut self.positions)?;
        let mut source = opened.take();
        self.warnings = opened.warnings;
        let (mut rows, mut parser) = (Vec::new(), Parser::new());
        for _ in 0..batches {
            let Some(batch) = source.next()? else { break };
            self.positions.advance(batch.slice, batch.records.len() as u64);
            rows.extend(parser.parse(&batch).map(|row| match row {
                Ok(row) => (row.origin.offset, String::from_utf8_lossy(row.columns[3]).into_owned(), row.raw.to_vec()),
                Err(reject) => (reject.origin.offset, format!("!{}", reject.reason.code()), reject.raw),
            }));
        }
        Ok(rows)
    }

    fn titles(&mut self) -> Vec<String> {
        self.take(usize::MAX).unwrap().into_iter().map(|(_, title, _)| title).collect()
    }
}

const CONTENT: &str = "\u{feff}id;title;spend\n1;caf\u{e9} \u{20ac};3\r\n2;\"two\nlines; \"\"so\"\"\";4\n\n3;short\n\
     4;\u{201c}quoted\u{201d};5\rid;title;spend\n5;a line of many letters, \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{20ac}\u{20ac}\u{20ac}, too long;6\n6;last;7";

#[test]
fn an_encoding_changes_nothing_but_the_bytes_and_reading_goes_on_anywhere() {
    let cp1252: Vec<u8> = CONTENT[3..]
        .chars()
        .map(|char| match char {
            '€' => 0x80,
            '“' => 0x93,
            '”' => 0x94,
            char => u8::try_from(u32::from(char)).unwrap(),
        })
        .collect();
    let be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
    let forms = [
        (CONTENT.as_bytes().to_vec(), "utf-8"),
        (utf16(CONTENT), "auto"),
        (utf16(&CONTENT[3..]), "auto"),
        (be(CONTENT), "auto"),
        (be(&CONTENT[3..]), "utf-16be"),
        (cp1252, "cp1252"),
    ];
    let titles =
        ["café €", "two\nlines; \"so\"", "!column_count", "“quoted”", "!repeated_header", "!too_long", "!too_long", "last"];
    for (bytes, encoding) in forms {
        let whole = {
            let mut place = Place::of("f", &bytes);
            place.asked = asked("auto", "auto", encoding);
            place.take(usize::MAX).unwrap()
        };
        let found: Vec<&str> = whole.iter().map(|(_, title, _)| title.as_str()).collect();
        assert_eq!(found, titles, "{encoding}");
        for (offset, title, raw) in &whole {
            let offset = usize::try_from(*offset).unwrap();
            assert_eq!(&bytes[offset..offset + raw.len()], raw, "{encoding}: {title}");
        }
        let pieces: Vec<u64> = whole[5..7].iter().map(|(offset, _, raw)| offset + raw.len() as u64).collect();
        assert_eq!(pieces[0], whole[6].0, "{encoding}: the pieces of a long line follow each other");
        for step in 1..5 {
            let mut place = Place::of("f", &bytes);
            place.asked = asked("auto", "auto", encoding);
            let mut rows = Vec::new();
            loop {
                let more = place.take(step).unwrap();
                if more.is_empty() {
                    break;
                }
                rows.extend(more);
            }
            assert_eq!(rows, whole, "{encoding} in steps of {step}");
            assert_eq!(place.positions.sources[0].offset, bytes.len() as u64);
        }
    }
}

#[test]
fn a_line_that_is_too_long_is_cut_between_characters() {
    let line = utf16(&"\u{20ac}".repeat(60));
    let bytes = [&utf16("title\n")[..], &line, &utf16("\nlast\n")].concat();
    let whole = Place::of("f", &bytes).take(usize::MAX).unwrap();
    let pieces: Vec<u8> = whole.iter().take(5).flat_map(|(_, _, raw)| raw.clone()).collect();
    assert_eq!((whole.len(), pieces), (6, line));
    let mut place = Place::of("f", &bytes);
    let again: Vec<_> = (0..3).flat_map(|_| place.take(1).unwrap()).collect();
    assert_eq!(again, whole, "begun anew between two pieces");
}

#[test]
fn half_a_character_is_a_reject_with_its_bytes_wherever_it_stands() {
    let head = utf16("\u{feff}title,spend\n");
    let lone = [&utf16("a")[..], &[0x3d, 0xd8], &utf16(",1\n")].concat();
    let beside = [&utf16("b,")[..], &[0, 0xdc], &utf16("\n")].concat();
    let odd = [&utf16("c,")[..], &[7]].concat();
    let bytes = [&head[..], &lone, &beside, &odd].concat();
    let mut place = Place::of("f", &bytes);
    let found = place.take(usize::MAX).unwrap();
    let raw: Vec<&[u8]> = found.iter().map(|(_, title, raw)| (title == "!invalid_utf8").then_some(&raw[..]).unwrap()).collect();
    assert_eq!(raw, [&lone[..lone.len() - 2], &beside[..beside.len() - 2], &odd]);
    // The other half comes, and a line behind it.
    place.append(&[&[0][..], &utf16("\nd,1\n")].concat());
    let found = place.take(usize::MAX).unwrap();
    assert_eq!((found[0].1.as_str(), &found[0].2[..]), ("!too_long", &[0][..]));
    assert_eq!(found[1].1, "d");
    assert_eq!(found.len(), 2);
}

#[test]
fn json_lines_are_read_as_messages_are() {
    let lines = "\u{feff}{\"page\": {\"title\": \"a\\u00e9\"}}\r\n\n{\"page\": {\"title\": [1, \"b\"]}, \"c\": NaN}\n\
         {\"page\": 3}\n{\"page\"\nnull\n{\"page\": {\"title\": \"too \\\"long\\\" a title, too long\"}}\n{\"page\": {\"title\": \"\u{e9}\"}}";
    let titles = ["aé", "1, b", "!wrong_type", "!bad_json", "!bad_json", "!too_long", "!too_long", "é"];
    for bytes in [lines.as_bytes().to_vec(), utf16(lines)] {
        let mut place = Place::of("f", &bytes);
        place.map = "title=page.title";
        let found = place.take(usize::MAX).unwrap();
        assert_eq!(found.iter().map(|(_, title, _)| title.as_str()).collect::<Vec<_>>(), titles);
        for (offset, _, raw) in found {
            assert!(bytes[usize::try_from(offset).unwrap()..].starts_with(&raw));
        }
        let more = "\n{\"page\": {\"title\": \"z\"}}";
        place.append(&if bytes[0] == 0xff { utf16(more) } else { more.as_bytes().to_vec() });
        assert_eq!(place.titles(), ["z"]);
    }
}

#[test]
fn a_known_file_is_read_on_as_it_was() {
    let mut place = Place::of("f", b"title;id\na;1\n");
    assert_eq!(place.titles(), ["a"]);
    place.append(b"b;2\n");
    place.asked = asked("csv", ",", "auto");
    let error = place.take(1).unwrap_err();
    assert_eq!(error.code, "E-SETTINGS-STATE");
    assert!(error.message.contains("source.delimiter was `;` and is `,` now"), "{error}");
    place.asked = asked("csv", ";", "utf-8");
    assert_eq!(place.titles(), ["b"]);
    // Whatever would be found now: it was read so, from its start on.
    place.positions.sources[0].written = Some(Written::Csv { delimiter: Delimiter::Bar, encoding: Encoding::Utf8 });
    place.positions = place.positions.at_start();
    place.asked = Asked::default();
    assert_eq!(place.take(1).unwrap_err().code, "E-INPUT-COLUMNS");
}

#[test]
fn files_of_older_states_are_read_as_they_were() {
    let mut place = Place::of("f", b"url;title,title;url;id\na,x\n");
    (place.map, place.asked) = ("title=title;url;id", asked("csv", ",", "utf-8"));
    assert_eq!(place.titles(), ["x"]);
    place.asked = Asked::default();
    place.positions.sources[0].written = None;
    let older = Positions { sources: place.positions.sources.iter().map(SourcePosition::at_start).collect() };
    assert_eq!(older.sources[0].written, Some(Written::USUAL));
    place.append(b"b,y\n");
    assert_eq!(place.titles(), ["y"]);
    assert_eq!(place.positions.sources[0].written, Some(Written::USUAL));
}

#[test]
fn what_looks_like_cp1252_is_said_and_not_done() {
    let mut place = Place::of("f", b"title,id\ncaf\xe9,1\n");
    assert_eq!(place.titles(), ["caf\u{fffd}"]);
    assert!(place.warnings[0].contains("--encoding cp1252"), "{:?}", place.warnings);
    let mut place = Place::of("f", b"title,id\ncaf\xe9,1\n");
    place.asked = asked("auto", "auto", "utf-8");
    place.take(9).unwrap();
    assert_eq!(place.warnings, [""; 0]);
}
