use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// Bytes by chance, and seeds in which chance has changed something: bytes set, taken out, put in twice, or two seeds put together.
fn bytes_for(target: &'static Target) -> impl Strategy<Value = Vec<u8>> {
    let seed = || proptest::sample::select(target.seeds).prop_map(<[u8]>::to_vec);
    let change =
        (any::<prop::sample::Index>(), 0usize..12, prop_oneof![any::<u8>(), Just(b'"'), Just(b','), Just(b'\\')], 0u8..4);
    let changed = (seed(), seed(), prop::collection::vec(change, 0..6)).prop_map(|(mut bytes, other, changes)| {
        for (place, len, byte, how) in changes {
            let from = place.index(bytes.len() + 1);
            let to = (from + len).min(bytes.len());
            match how {
                0 if from < bytes.len() => bytes[from] = byte,
                1 => drop(bytes.drain(from..to)),
                2 => drop(bytes.splice(from..from, bytes[from..to].to_vec())),
                _ => drop(bytes.splice(from..to, other.iter().copied().skip(from).take(2 * len))),
            }
        }
        bytes
    });
    prop_oneof![1 => prop::collection::vec(any::<u8>(), 0..200), 4 => changed, 1 => seed()]
}

/// Many inputs for one target; `PROPTEST_CASES` for more of them.
fn hold(name: &str) {
    let target = target(name).unwrap();
    target.seeds.iter().for_each(|seed| (target.run)(seed));
    (target.run)(b"");
    let config = Config { failure_persistence: None, ..Config::default() };
    let held = TestRunner::new(config).run(&bytes_for(target), |bytes| {
        (target.run)(&bytes);
        Ok(())
    });
    held.unwrap_or_else(|error| panic!("{name}: {error}"));
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            hold(stringify!($name));
        })*

        #[test]
        fn every_target_is_tested() {
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

targets!(csv, json, url, values, settings, filter, shapes, rejects, manifest, edits, snapshot);
