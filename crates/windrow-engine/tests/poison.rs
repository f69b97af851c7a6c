//! The poison corpus through files and messages: every bad record becomes the reject that it should, byte for byte, and the good rows
//! around it come to what they would come to without it.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "poison/corpus.rs"]
mod corpus;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use corpus::{Answer, HEADER, Kind, LIMIT};
use windrow_core::clean::Rules;
use windrow_core::cluster::{Decision, ModelSettings};
use windrow_core::featurize::FieldWeights;
use windrow_core::pipeline::{Outcome, Pipeline, Prepared, Preparer};
use windrow_core::record::Reject;
use windrow_engine::batch::{RawBatch, Slice};
use windrow_engine::event::Event;
use windrow_engine::read::spawn;
use windrow_engine::source::columns::ColumnMap;
use windrow_engine::source::parse::Parser;
use windrow_engine::source::{Asked, Form, Limits, MessageFormat, Positions, Wanted, open};

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Csv,
    JsonLines,
    Messages,
}

const CARRIERS: [Carrier; 3] = [Carrier::Csv, Carrier::JsonLines, Carrier::Messages];

impl Carrier {
    fn kinds(self) -> Vec<Kind> {
        match self {
            Self::Csv => corpus::csv(),
            Self::JsonLines => corpus::json_lines(),
            Self::Messages => corpus::messages(),
        }
    }

    /// A good row. Quotes are what ends an open one at once; without them it is open for longer.
    fn good(self, number: usize, quoted: bool) -> Vec<u8> {
        let theme = ["boats on the lake", "bread and butter", "trains by night", "paint for walls"][number % 4];
        let (time, url, title) =
            ("2023-05-17 20:21:51", format!("https://good.example/{number}"), format!("{theme} {}", number / 4));
        let title = if quoted { format!("\"{title} \"\"so\"\"\"") } else { title };
        let text = match self {
            Self::Csv => format!("{time},{number},{url},{title},,fine"),
            _ => format!(
                r#"{{"creation_time": "{time}", "id": {number}, "url": "{url}", "title": "{}"}}"#,
                title.replace('"', "'")
            ),
        };
        text.into_bytes()
    }

    /// What becomes of these records, given one after the other.
    fn read(self, records: &[Option<&[u8]>], threads: usize, batch_rows: usize) -> Read {
        let mut bytes = if self == Self::Csv { format!("{HEADER}\n").into_bytes() } else { Vec::new() };
        let mut places = Vec::new();
        for (number, record) in records.iter().enumerate() {
            let start = bytes.len();
            bytes.extend_from_slice(record.unwrap_or_default());
            let number = number as u64;
            places.push(if self == Self::Messages { number..number + 1 } else { start as u64..bytes.len() as u64 + 1 });
            if self != Self::Messages {
                bytes.push(b'\n');
            }
        }
        let batches = match self {
            Self::Csv => of_file("poison.csv", &bytes, threads, batch_rows),
            Self::JsonLines => of_file("poison.jsonl", &bytes, threads, batch_rows),
            Self::Messages => of_messages(records, batch_rows),
        };
        Read { batches, places }
    }
}

fn of_file(name: &str, bytes: &[u8], threads: usize, batch_rows: usize) -> Vec<Prepared> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let limits = Limits { batch_rows, record_bytes: LIMIT, ..Limits::default() };
    let inputs = [path.to_str().unwrap().to_owned()];
    let wanted = Wanted::once(&inputs, "", Asked::default(), limits);
    let mut opened = open(wanted, &mut Positions::default()).unwrap();
    let reader = spawn(opened.take(), (&FieldWeights::default(), &Rules::default()), threads, 1 << 20).unwrap();
    let mut batches = Vec::new();
    for event in reader.events() {
        match event {
            Event::Batch(batch) => batches.push(batch.prepared),
            Event::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    batches
}

/// The way of messages from where the client hands them out.
fn of_messages(values: &[Option<&[u8]>], batch_rows: usize) -> Vec<Prepared> {
    let form = Arc::new(Form::of_messages(MessageFormat::Json, &ColumnMap::default()).unwrap());
    let (mut parser, mut preparer) = (Parser::new(), Preparer::new(FieldWeights::default()));
    let mut offset = 0;
    let mut prepare = |values: &[Option<&[u8]>]| {
        let mut batch = RawBatch::of_messages(Arc::clone(&form), Slice { source: 0, from: offset, to: offset });
        for value in values {
            batch.push_message(LIMIT, offset, *value, None);
            offset += 1;
        }
        preparer.prepare(parser.parse(&batch))
    };
    values.chunks(batch_rows).map(&mut prepare).collect()
}

/// What was read, and where each record that was given begins and ends in the offsets of the source.
struct Read {
    batches: Vec<Prepared>,
    places: Vec<std::ops::Range<u64>>,
}

impl Read {
    fn rejects(&self) -> impl Iterator<Item = &Reject> {
        self.batches.iter().flat_map(|batch| &batch.rejects)
    }

    /// What each record that was given became.
    fn answers(&self) -> Vec<Vec<Answer>> {
        let pages = self.batches.iter().flat_map(|batch| &batch.pages.origin).map(|origin| (origin.offset, Ok(())));
        let rejects = self.rejects().map(|reject| (reject.origin.offset, Err(reject.reason.code())));
        let mut all: Vec<(u64, Answer)> = pages.chain(rejects).collect();
        all.sort_unstable_by_key(|(offset, _)| *offset);
        let mut all = all.into_iter().peekable();
        let of = |place: &std::ops::Range<u64>| -> Vec<Answer> {
            std::iter::from_fn(|| all.next_if(|(offset, _)| place.contains(offset)).map(|(_, answer)| answer)).collect()
        };
        self.places.iter().map(of).collect()
    }

    /// The rejects of the record that was given at this place hold all of its bytes, but for line ends between them.
    fn check_bytes(&self, at: usize, name: &str, given: &[u8]) {
        let place = &self.places[at];
        let mut from = 0;
        let is_line_ends = |bytes: &[u8]| bytes.iter().all(|byte| b"\r\n".contains(byte));
        for reject in self.rejects().filter(|reject| place.contains(&reject.origin.offset)) {
            let start = usize::try_from(reject.origin.offset - place.start).unwrap();
            assert!(given[start..].starts_with(&reject.raw), "{name}: other bytes at {start}");
            assert!(is_line_ends(&given[from..start]), "{name}: bytes {from} to {start} are in no reject");
            from = start + reject.raw.len();
        }
        assert!(is_line_ends(&given[from..]), "{name}: the bytes from {from} on are in no reject");
    }

    /// By the id of each page what was decided of it, and the label that its cluster had then.
    fn decisions(&self) -> Vec<(String, Decision, String)> {
        let settings = ModelSettings { clusters: 5.into(), ..ModelSettings::default() };
        let (mut pipeline, mut outcome, mut all) = (Pipeline::new(&settings).unwrap(), Outcome::default(), Vec::new());
        for batch in &self.batches {
            pipeline.learn(batch, &mut outcome);
            for (row, decision) in outcome.decisions.iter().enumerate() {
                let label = outcome.labels[outcome.label[row] as usize].clone();
                all.push((batch.pages.id.get(row).to_owned(), *decision, label));
            }
        }
        all
    }
}

/// Compares answers, and shows where they part.
fn same(name: &str, found: &[Answer], expected: &[Answer]) {
    let parts = found.iter().zip(expected).position(|(found, expected)| found != expected);
    let at = parts.unwrap_or(found.len().min(expected.len()));
    let shown = |answers: &[Answer]| answers[at.saturating_sub(2).min(answers.len())..answers.len().min(at + 3)].to_vec();
    let counts = (found.len(), expected.len());
    assert!(found == expected, "{name}, at {at} of {counts:?}: found {:?}, expected {:?}", shown(found), shown(expected));
}

#[test]
fn the_corpus_is_what_it_says() {
    for carrier in CARRIERS {
        let kinds = carrier.kinds();
        let names: BTreeSet<_> = kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), kinds.len(), "{carrier:?}: two kinds of one name");
        let values: BTreeSet<_> = kinds.iter().map(|kind| &kind.bytes).collect();
        assert_eq!(values.len(), kinds.len(), "{carrier:?}: two kinds of the same bytes");
        let n_poisons = kinds.iter().filter(|kind| kind.is_poison()).count();
        assert!(n_poisons >= 60, "{carrier:?}: {n_poisons} kinds are poison");
        assert!(kinds.len() >= n_poisons + 10, "{carrier:?}: {} kinds are accepted", kinds.len() - n_poisons);
    }
}

#[test]
fn each_kind_becomes_what_it_should_and_hurts_nobody() {
    for carrier in CARRIERS {
        for (kind, quoted) in carrier.kinds().iter().flat_map(|kind| [(kind, false), (kind, true)]) {
            let (before, after) = (carrier.good(1, quoted), carrier.good(2, quoted));
            let read = carrier.read(&[Some(&before), kind.bytes.as_deref(), Some(&after)], 1, 4096);
            let name = format!("{carrier:?}, {}", kind.name);
            let [first, found, last] = &read.answers()[..] else { unreachable!("three were given") };
            same(&name, found, &kind.answers);
            same(&name, &[&first[..], last].concat(), &[Ok(()); 2]);
            if kind.is_poison() {
                read.check_bytes(1, &name, kind.value());
            }
        }
    }
}

#[test]
fn an_open_quote_does_not_swallow_the_rest_of_a_file() {
    let good: Vec<Vec<u8>> = (0..200_000).map(|number| Carrier::Csv.good(number, false)).collect();
    let mut records: Vec<_> = good.iter().map(|row| Some(&row[..])).collect();
    records.insert(7, Some(b",1,u,\"t,k,d"));
    let answers = Carrier::Csv.read(&records, 2, 4096).answers();
    let others: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer[..] != [Ok(())]).collect();
    assert_eq!(others, [(7, &vec![Err("bad_quote")])]);
}

#[test]
fn mixed_one_to_one_the_rejects_are_the_poison_and_the_decisions_those_without_it() {
    for carrier in CARRIERS {
        let kinds: Vec<Kind> = carrier.kinds().into_iter().filter(Kind::is_poison).collect();
        let rounds = 5;
        let good: Vec<Vec<u8>> = (0..rounds * kinds.len()).map(|number| carrier.good(number, true)).collect();
        let poisons = || kinds.iter().cycle().take(rounds * kinds.len());
        let mixed: Vec<_> = poisons().zip(&good).flat_map(|(kind, good)| [kind.bytes.as_deref(), Some(good)]).collect();
        let alone: Vec<_> = good.iter().map(|good| Some(&good[..])).collect();

        let read = carrier.read(&mixed, 1, 4096);
        for (at, (kind, answers)) in poisons().zip(read.answers().chunks(2)).enumerate() {
            let name = format!("{carrier:?}, {} in a mixture", kind.name);
            same(&name, &answers[0], &kind.answers);
            same(&name, &answers[1], &[Ok(())]);
            read.check_bytes(2 * at, &name, kind.value());
        }
        let decisions = read.decisions();
        let expected = carrier.read(&alone, 1, 4096).decisions();
        assert!(expected.iter().any(|(_, decision, _)| !decision.novel), "nothing was learnt");
        assert!(decisions == expected, "{carrier:?}: poison changes what becomes of good rows");
        let others = carrier.read(&mixed, 3, 7);
        assert!(others.decisions() == decisions && others.rejects().eq(read.rejects()), "{carrier:?}: threads and batches");
    }
}
