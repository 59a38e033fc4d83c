//! There is one way to write a scope, and it covers what its elements say.
//!
//! Input: a scope, `---`, another.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings::scope::Scope;
use tidings_fuzz::{assert_useful, parts};

fuzz_target!(|text: &str| {
    let (outer, inner) = parts(text);
    let (outer_scope, inner_scope) = (read(outer), read(inner));
    if let (Some(outer), Some(inner)) = (&outer_scope, &inner_scope) {
        let (long, short) = (elements(inner), elements(outer));
        assert_eq!(outer.covers(inner), long.starts_with(&short), "{outer} {inner}");
        assert_eq!(outer.covers(inner), inner.prefixes().any(|prefix| prefix == outer.as_str()));
        assert_eq!(outer.covers(inner) && inner.covers(outer), outer == inner);
    }
    // Any text is a value, if it is short enough.
    let chars = inner.chars().count();
    if let Ok(scope) = Scope::root().with("key", inner) {
        assert!((1..=200).contains(&chars));
        assert_eq!(elements(&scope), [("key".to_owned(), inner.to_owned())]);
        assert_eq!(read(scope.as_str()), Some(scope));
    } else {
        // A byte is written as three at most, and a path has 1,000.
        assert!(chars == 0 || chars > 200 || inner.len() > 332, "{inner:?}");
    }
});

/// Reads a scope, and checks what holds for every one.
fn read(text: &str) -> Option<Scope> {
    let scope = match Scope::parse(text) {
        Ok(scope) => scope,
        Err(error) => {
            assert_useful(&error.to_string(), text);
            return None;
        }
    };
    assert_eq!(Scope::parse(scope.as_str()).as_ref(), Ok(&scope));
    assert!(scope.as_str().len() <= 1_000 && scope.elements().count() <= 8);
    assert!(!scope.as_str().contains(|c: char| c.is_whitespace() || c.is_control()));
    assert_eq!(scope.is_root(), text.is_empty());
    let again =
        scope.elements().try_fold(Scope::root(), |scope, (key, value)| scope.with(key, &value));
    assert_eq!(again.as_ref(), Ok(&scope));
    let prefixes: Vec<&str> = scope.prefixes().collect();
    assert_eq!(prefixes.len(), 1 + scope.elements().count());
    for prefix in prefixes {
        let prefix = Scope::parse(prefix).expect("a prefix of a scope is a scope");
        assert!(prefix.covers(&scope));
        assert_eq!(scope.covers(&prefix), scope == prefix);
    }
    Some(scope)
}

fn elements(scope: &Scope) -> Vec<(String, String)> {
    scope.elements().map(|(key, value)| (key.to_owned(), value.into_owned())).collect()
}
