//! A pattern matches what its definition says, and no pattern is accepted that matches nothing.
//!
//! Input: a pattern, `---`, a name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings::{name::Name, pattern::Pattern};
use tidings_fuzz::{assert_useful, parts};

fuzz_target!(|text: &str| {
    let (text, name) = parts(text);
    let pattern = match Pattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            assert!(Name::parse(text).is_err(), "a name is a pattern: {error}");
            return assert_useful(&error.to_string(), text);
        }
    };
    assert_eq!(pattern.as_str(), text);
    assert_eq!(pattern.is_exact(), !text.contains('*'));
    assert_eq!(pattern.is_exact(), Name::parse(text).is_ok());
    let json = serde_json::to_string(&pattern).expect("a pattern is a JSON string");
    assert_eq!(serde_json::from_str::<Pattern>(&json).ok().as_ref(), Some(&pattern));
    // Any text, not names alone: what is no name must not be matched by chance, or without end.
    assert_eq!(pattern.matches(name), matches(text, name), "{text} {name}");
    let example = example(text);
    // A wildcard is shorter than the verb in its place.
    if example.len() <= 200 {
        Name::parse(&example).expect("every pattern has a name that it matches");
        assert!(pattern.matches(&example), "{text} {example}");
    }
});

/// Says what a pattern means, as plainly as possible.
fn matches(pattern: &str, name: &str) -> bool {
    let ours = |text: &str| text.starts_with("tidings:");
    let (parts, names): (Vec<_>, Vec<_>) =
        (pattern.split(':').collect(), name.split(':').collect());
    (ours(pattern) || !ours(name)) && matches_parts(&parts, &names)
}

fn matches_parts(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (["**", rest @ ..], [_, after @ ..]) => {
            matches_parts(rest, after) || matches_parts(pattern, after)
        }
        ([part, rest @ ..], [first, after @ ..]) => {
            (*part == "*" || part == first) && matches_parts(rest, after)
        }
        _ => false,
    }
}

/// Returns a name with a word for each wildcard.
fn example(pattern: &str) -> String {
    let mut parts: Vec<&str> =
        pattern.split(':').map(|part| if part.contains('*') { "x" } else { part }).collect();
    if let (Some(last), true) = (parts.last_mut(), pattern.ends_with('*')) {
        *last = "ran";
    }
    if parts.len() == 1 {
        parts.insert(0, "x");
    }
    parts.join(":")
}
