//! What the fuzzer does for hours, for a moment: every target, from its seeds.

use std::{fs, path::Path};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngSeed, TestError, TestRunner},
};

use super::{ANALYTICS, POSTHOG, SEGMENT, TELEMETRY, encodings, request};

/// How many inputs each target is given.
const INPUTS: u32 = 600;

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
    "99999999999999999999",
    "{}",
    "[]",
    "\"\"",
    "\"batch\":",
    "\"events\":",
    "\"event\":",
    "\"properties\":",
    "\"timestamp\":",
    "\"eid\":\"LOG\"",
    "\"offset\":-9223372036854775808",
    "\"consent\":{\"a\":true}",
    "$set",
    "view:loaded",
    "\n",
    "\n\n",
    "content-encoding: gzip\n",
    "content-type: text/plain\n",
    "sec-gpc: 1\n",
    "?compression=base64",
    "data=",
    "%FF",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// A change to an input.
#[derive(Clone, Debug)]
enum Edit {
    Replace(Index, u8),
    Remove(Index, u8),
    Insert(Index, &'static str),
    Repeat(Index, u8),
    /// Goes on as another seed does.
    Splice(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        2 => (index(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        2 => (index(), any::<u8>()).prop_map(|(at, length)| Edit::Remove(at, length)),
        6 => (index(), prop::sample::select(WORDS)).prop_map(|(at, word)| Edit::Insert(at, word)),
        1 => (index(), any::<u8>()).prop_map(|(at, length)| Edit::Repeat(at, length)),
        2 => (index(), index(), index()).prop_map(|(at, seed, from)| Edit::Splice(at, seed, from)),
    ]
}

fn apply(mut input: Vec<u8>, edit: &Edit, seeds: &[Vec<u8>]) -> Vec<u8> {
    let place = |at: &Index, length: usize| at.index(length + 1);
    match edit {
        Edit::Replace(at, byte) => {
            let at = place(at, input.len());
            if let Some(found) = input.get_mut(at) {
                *found = *byte;
            }
        }
        Edit::Remove(at, length) => {
            let from = place(at, input.len());
            let to = input.len().min(from + usize::from(*length));
            input.drain(from..to);
        }
        Edit::Insert(at, word) => {
            let at = place(at, input.len());
            input.splice(at..at, word.bytes());
        }
        Edit::Repeat(at, length) => {
            let from = place(at, input.len());
            let to = input.len().min(from + usize::from(*length));
            let again = input[from..to].repeat(3);
            input.splice(to..to, again);
        }
        Edit::Splice(at, seed, from) => {
            let seed = seed.get(seeds);
            input.truncate(place(at, input.len()));
            input.extend_from_slice(&seed[place(from, seed.len())..]);
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
        rng_seed: RngSeed::Fixed(5),
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
fn analytics_takes_or_refuses_whatever_comes() {
    fuzz("relay_analytics", |input| request(ANALYTICS, input));
}

#[test]
fn segment_takes_or_refuses_whatever_comes() {
    fuzz("relay_segment", |input| request(SEGMENT, input));
}

#[test]
fn posthog_takes_or_refuses_whatever_comes() {
    fuzz("relay_posthog", |input| request(POSTHOG, input));
}

#[test]
fn telemetry_is_taken_or_refused_whatever_comes() {
    fuzz("relay_telemetry", |input| request(TELEMETRY, input));
}

#[test]
fn encoding_changes_nothing_whatever_comes() {
    fuzz("relay_encodings", encodings);
}
