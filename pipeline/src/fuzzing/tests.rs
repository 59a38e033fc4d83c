//! What the fuzzer does for hours, for a moment: every target, from its seeds.

use std::{fs, path::Path};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngSeed, TestError, TestRunner},
};

use super::{events, gsa, zip};

/// How many inputs each target is given.
const INPUTS: u32 = 1500;

/// What strangers write, in places where they do not.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-1",
    "1e999",
    "0.5",
    "1.586E12",
    "1586000000",
    "99999999999999999999",
    "{}",
    "[]",
    "\"\"",
    "\"batch\":",
    "\"events\":",
    "\"eid\":\"LOG\",",
    "\"eid\":7,",
    "\"mid\":null,",
    "\"ets\":\"1\",",
    "\"ts\":\"2020-04-04T11:33:20Z\",",
    "\"properties\":{\"eid\":\"END\"},",
    "\"context\":{},",
    "\"actor\":{\"id\":\"f:a:b\"},",
    "\"eData\":{},",
    "\"did\":\"d\",",
    "\"uuid\":\"u\",",
    "\"summaryList\":[],",
    "\"type\":null,",
    "\"uri\":1,",
    "\n\n",
    "format: posthog\n",
    "\n---\n",
    "\"file\":\"../0.gz\",",
    "\"eventsCount\":-1,",
    "PK\x01\x02",
    "PK\x05\x06",
    "channel: c\n",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// A change to an input: what is put in the place of so many bytes.
#[derive(Clone, Debug)]
enum Edit {
    Word(Index, u8, &'static str),
    Byte(Index, u8),
    Repeat(Index, u8),
    /// Goes on as another seed does.
    Splice(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    let word = || prop::sample::select(WORDS);
    prop_oneof![
        2 => (index(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        2 => (index(), any::<u8>()).prop_map(|(at, gone)| Edit::Word(at, gone, "")),
        6 => (index(), 0..20_u8, word()).prop_map(|(at, gone, word)| Edit::Word(at, gone, word)),
        6 => (index(), word()).prop_map(|(at, word)| Edit::Word(at, 0, word)),
        1 => (index(), any::<u8>()).prop_map(|(at, length)| Edit::Repeat(at, length)),
        2 => (index(), index(), index()).prop_map(|(at, seed, from)| Edit::Splice(at, seed, from)),
    ]
}

fn apply(mut input: Vec<u8>, edit: &Edit, seeds: &[Vec<u8>]) -> Vec<u8> {
    let place = |at: &Index| at.index(input.len() + 1);
    let range = |at: &Index, length: &u8| {
        let from = place(at);
        from..input.len().min(from + usize::from(*length))
    };
    match edit {
        Edit::Word(at, gone, word) => drop(input.splice(range(at, gone), word.bytes())),
        Edit::Byte(at, byte) => drop(input.splice(range(at, &1), [*byte])),
        Edit::Repeat(at, length) => {
            let range = range(at, length);
            let again = input[range.clone()].repeat(3);
            input.splice(range.end..range.end, again);
        }
        Edit::Splice(at, seed, from) => {
            let seed = seed.get(seeds);
            input.truncate(place(at));
            input.extend_from_slice(&seed[from.index(seed.len() + 1)..]);
        }
    }
    input
}

/// Gives a target its seeds, and then seeds that were changed; what fails is made small and printed.
fn fuzz(target: &str, run: impl Fn(&[u8]) -> u16) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let statuses: Vec<u16> = seeds.iter().map(|seed| run(seed)).collect();
    assert!(statuses.contains(&200) && statuses.contains(&400), "{files:?} {statuses:?}");
    let input = (any::<Index>(), prop::collection::vec(edit(), 1..8)).prop_map({
        let seeds = seeds.clone();
        move |(seed, edits)| {
            let input = seed.get(&seeds).clone();
            edits.iter().fold(input, |input, edit| apply(input, edit, &seeds))
        }
    });
    let config = Config {
        cases: INPUTS,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(6),
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&input, |input| {
        run(&input);
        Ok(())
    });
    if let Err(TestError::Fail(reason, input)) = &ran {
        panic!("{target}: {reason} {:?}", String::from_utf8_lossy(input));
    }
    ran.unwrap();
}

#[test]
fn events_are_accepted_or_kept_with_reasons_whatever_comes() {
    fuzz("pipeline_event", events);
}

#[test]
fn zip_is_read_within_bounds_whatever_comes() {
    fuzz("archive_zip", zip);
}

#[test]
fn gsa_is_read_within_bounds_whatever_comes() {
    fuzz("archive_gsa", gsa);
}
