//! Percent-encoding of values, of as little as possible.

use std::{borrow::Cow, fmt::Write};

/// Encodes what has a meaning in a path and what cannot be seen; all else stays.
pub(super) fn encode(value: &str) -> Cow<'_, str> {
    encode_where(value, is_encoded)
}

/// Encodes the characters that `is_encoded` picks; all else stays.
pub(crate) fn encode_where(value: &str, is_encoded: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !value.chars().any(&is_encoded) {
        return Cow::Borrowed(value);
    }
    let mut encoded = String::with_capacity(value.len() + 8);
    for character in value.chars() {
        if is_encoded(character) {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                write!(encoded, "%{byte:02X}").ok();
            }
        } else {
            encoded.push(character);
        }
    }
    Cow::Owned(encoded)
}

/// Decodes a value, or returns `None` where it is not percent-encoded UTF-8.
pub(crate) fn decode(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains('%') {
        return Some(Cow::Borrowed(value));
    }
    let mut bytes = value.bytes();
    let mut decoded = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn is_encoded(character: char) -> bool {
    matches!(character, '%' | '/' | '=') || character.is_control() || character.is_whitespace()
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}
