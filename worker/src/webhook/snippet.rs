//! The beginning of an answer's body, for people.
//!
//! A body is read for two reasons: its beginning often says what is wrong, and a connection whose body is at its end
//! can be used again. Neither is worth much memory or time, so both are bounded, and what is beyond is left unread.

use reqwest::Response;
use tokio::time::{Instant, timeout_at};

/// The most characters that are kept of an answer, its status line included.
pub(super) const CHARS_MAX: usize = 1_000;

/// Reads the body of `response` until its end, until `bytes_max`, or until `deadline`.
///
/// A body that breaks off is as good as its beginning.
pub(super) async fn read(response: &mut Response, bytes_max: usize, deadline: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await {
        let room = bytes_max - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == bytes_max {
            break;
        }
    }
    bytes
}

/// Returns `bytes` as text that can be stored and shown: what is not UTF-8 or would steer a terminal becomes `�`.
pub(super) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let shown = text.chars().filter(|c| *c != '\r').map(|c| match c {
        '\n' | '\t' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    });
    shown.collect::<String>().trim().to_owned()
}

/// Returns the first [`CHARS_MAX`] characters of `text`.
pub(super) fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(CHARS_MAX) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_become_text_that_the_database_and_a_terminal_can_take() {
        let table: &[(&[u8], &str)] = &[
            (b"", ""),
            (b" no such order\r\n", "no such order"),
            (b"a\0b", "a\u{fffd}b"),
            (b"\x1b[31mred", "\u{fffd}[31mred"),
            (b"a\r\nb\tc", "a\nb\tc"),
            (b"caf\xe9", "caf\u{fffd}"),
            ("café".as_bytes(), "café"),
            (b"\xc2\x9b0m", "\u{fffd}0m"),
        ];
        for (bytes, expected) in table {
            assert_eq!(clean(bytes), *expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_clean_text_of_bounded_length(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
            let text = cut(clean(&bytes));
            prop_assert!(text.chars().count() <= CHARS_MAX);
            prop_assert!(!text.contains(['\0', '\x1b']));
        }

        #[test]
        fn cut_keeps_the_beginning(text in ".{0,1500}") {
            prop_assert_eq!(cut(text.clone()), text.chars().take(CHARS_MAX).collect::<String>());
        }
    }
}
