//! Words for a compile error.
//!
//! A `const` panic takes one string and no arguments, so the string is put together beforehand.

/// Room for the longest message: two names of 200 bytes and the sentence around them.
const BYTES_MAX: usize = 640;

/// A message put together at compile time.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    bytes: [u8; BYTES_MAX],
    len: usize,
}

impl Message {
    /// Returns the message that says nothing yet.
    pub const fn new() -> Self {
        Self { bytes: [0; BYTES_MAX], len: 0 }
    }

    /// Returns the message with `text` at its end; text that does not fit is left away as a whole.
    #[must_use]
    pub const fn with(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        if self.len + text.len() > BYTES_MAX {
            return self;
        }
        let mut at = 0;
        while at < text.len() {
            self.bytes[self.len] = text[at];
            self.len += 1;
            at += 1;
        }
        self
    }

    /// Returns the message with a number below ten at its end.
    #[must_use]
    pub const fn with_digit(self, digit: usize) -> Self {
        const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        self.with(if digit < DIGITS.len() { DIGITS[digit] } else { "?" })
    }

    /// Returns the words.
    pub const fn as_str(&self) -> &str {
        // Only whole strings are added, so the bytes are text.
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns whether `one` and `other` are the same text.
pub const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Returns whether `text` is one of `texts`.
pub const fn contains(texts: &[&str], text: &str) -> bool {
    let mut at = 0;
    while at < texts.len() {
        if same(texts[at].as_bytes(), text.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

/// Returns how many texts there are in `parts`.
pub const fn total(parts: &[&[&str]]) -> usize {
    let (mut total, mut at) = (0, 0);
    while at < parts.len() {
        total += parts[at].len();
        at += 1;
    }
    total
}

/// Returns the texts of all `parts`, of which there are `N`.
pub const fn concat<const N: usize>(parts: &[&[&'static str]]) -> [&'static str; N] {
    let mut texts = [""; N];
    let (mut part, mut at, mut end) = (0, 0, 0);
    while part < parts.len() {
        while at < parts[part].len() {
            texts[end] = parts[part][at];
            (at, end) = (at + 1, end + 1);
        }
        (part, at) = (part + 1, 0);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_put_together_from_texts_and_digits() {
        const MESSAGE: Message = Message::new().with("part ").with_digit(3).with(" is empty");
        assert_eq!(MESSAGE.as_str(), "part 3 is empty");
    }

    #[test]
    fn text_that_does_not_fit_is_left_away() {
        let long = "ä".repeat(BYTES_MAX);
        assert_eq!(Message::new().with("short").with(&long).as_str(), "short");
    }

    #[test]
    fn parts_are_joined_in_their_order() {
        const PARTS: &[&[&str]] = &[&["a", "b"], &[], &["c"]];
        assert_eq!(concat::<{ total(PARTS) }>(PARTS), ["a", "b", "c"]);
    }
}
