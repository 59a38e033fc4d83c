//! JSON as strangers write it.

use serde::Deserialize;

use crate::refusal::Refusal;

/// Reads an object, and refuses whatever else it is.
///
/// # Errors
///
/// 400 for text that is no JSON, for another value than an object and for JSON that nests too deeply; 422 for a member
/// of another type than it should have.
pub(crate) fn read<'de, T: Deserialize<'de>>(
    text: &'de [u8],
    depth_max: usize,
) -> Result<T, Refusal> {
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err(Refusal::malformed("empty_body", "the body is empty")),
        Some(b'{') => {}
        Some(_) => {
            return Err(Refusal::malformed("not_an_object", "the body is not a JSON object"));
        }
    }
    if deeper(text, depth_max) {
        let message = format!("the body nests deeper than {depth_max} levels; flatten it");
        return Err(Refusal::malformed("too_deep", message));
    }
    // What is not looked at has to be text as well: it is stored, and others read it.
    let text = str::from_utf8(text)
        .map_err(|_| Refusal::malformed("malformed_json", "the body is not UTF-8"))?;
    serde_json::from_str(text).map_err(|error| {
        // Says the position and what was expected, and nothing of the content but names of members.
        let message = error.to_string();
        if error.is_data() {
            Refusal::invalid("invalid_body", message)
        } else {
            Refusal::malformed("malformed_json", message)
        }
    })
}

/// Returns whether brackets outside of strings nest deeper than `max`.
pub(crate) fn deeper(text: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' if depth == max => return true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        for (text, depth) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[{"b":1}]}"#, 3),
            (r#"{"a":"[[[[\"[[["}"#, 1),
            (r#"{"a":"\\","b":[[]]}"#, 3),
        ] {
            assert!(!deeper(text.as_bytes(), depth), "{text}");
            assert!(depth == 0 || deeper(text.as_bytes(), depth - 1), "{text}");
        }
    }

    /// An object of which no member matters.
    #[derive(Debug, Deserialize)]
    struct Unread {}

    #[test]
    fn each_mistake_has_a_code_of_its_own() {
        for (text, code) in [
            ("", "empty_body"),
            (" \n", "empty_body"),
            ("[]", "not_an_object"),
            ("null", "not_an_object"),
            ("{", "malformed_json"),
            ("{\"a\":}", "malformed_json"),
            ("{} {}", "malformed_json"),
            ("{\"a\":\"\\ud800\"}", "malformed_json"),
            ("{\"a\":[[[]]]}", "too_deep"),
        ] {
            let refusal = read::<Map<String, Value>>(text.as_bytes(), 3).unwrap_err();
            assert_eq!(refusal.code, code, "{text}");
        }
        // Bytes that are no text passed where nobody looked at them, and were stored as if they could be read.
        let unread = read::<Unread>(b"{\"a\":\"\xff\"}", 3).unwrap_err();
        assert_eq!(unread.code, "malformed_json");
        let refusal = read::<std::collections::HashMap<String, u8>>(b"{\"a\":\"x\"}", 3);
        assert_eq!(refusal.unwrap_err().status.as_u16(), 422);
    }
}
