//! A name is accepted exactly where its grammar says so, and stays what it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings::{name, name::Name, pattern::Pattern};
use tidings_fuzz::assert_useful;

fuzz_target!(|text: &str| {
    let parsed = Name::parse(text);
    assert_eq!(name::fault_of(text).is_none(), parsed.is_ok());
    let in_past_tense = past_tense(text);
    match &parsed {
        Ok(name) => {
            assert!(is_path(text));
            assert_ne!(in_past_tense, Some(false), "{text}");
            assert_eq!(name.as_str(), text);
            assert!(name.parts().eq(text.split(':')));
            assert_eq!(name.is_reserved(), text.starts_with("tidings:"));
            assert_eq!(name::reserved(text).is_some(), name.is_reserved());
            let json = serde_json::to_string(name).expect("a name is a JSON string");
            assert_eq!(serde_json::from_str::<Name>(&json).ok().as_ref(), Some(name));
            let pattern = Pattern::parse(text).expect("a name is a pattern");
            assert!(pattern.is_exact() && pattern.matches(text));
        }
        Err(error) => {
            assert!(!(is_path(text) && in_past_tense == Some(true)), "{error}");
            assert_useful(&error.to_string(), text);
        }
    }
});

/// Says what a name is made of, its tense aside.
fn is_path(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let is_part = |part: &&str| {
        (1..=64).contains(&part.len())
            && part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
            && !part.ends_with('-')
            && !part.contains("--")
    };
    text.len() <= 200 && (2..=8).contains(&parts.len()) && parts.iter().all(is_part)
}

/// Says whether the last part is in the past tense, where that needs no list of verbs.
fn past_tense(text: &str) -> Option<bool> {
    let last = text.rsplit(':').next()?;
    // The regular forms that are listed as none are shorter.
    if last.split('-').any(|word| word.len() > 8 && word.ends_with("ed")) {
        return Some(true);
    }
    // No irregular form has a digit.
    last.split('-')
        .all(|word| word.contains(|c: char| c.is_ascii_digit()) && !word.ends_with("ed"))
        .then_some(false)
}
