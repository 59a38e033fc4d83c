//! What the targets share.

/// Parts `text` at its first line `---`; all of it is the first part where there is none.
pub fn parts(text: &str) -> (&str, &str) {
    if let Some(rest) = text.strip_prefix("---\n") {
        return ("", rest);
    }
    text.split_once("\n---\n").unwrap_or((text, ""))
}

/// Checks that an error says something, and does not repeat without end what it was given.
///
/// # Panics
///
/// Where it does not.
pub fn assert_useful(error: &str, given: &str) {
    assert!(!error.is_empty() && error.len() <= 400 + 3 * given.len(), "{error}");
}
