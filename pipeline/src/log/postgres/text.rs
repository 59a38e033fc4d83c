//! Keys and headers as the database stores them: as text, and as the text of a JSON object.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::record::Headers;

/// How a key begins that is stored in hexadecimal digits.
const HEX: &str = "\\x";

/// Returns a key as text.
///
/// Bytes that the database cannot store as text stand there in hexadecimal digits, and so does what looks like that.
pub(super) fn write_key(key: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(key) {
        Ok(text) if !text.contains('\0') && !text.starts_with(HEX) => Cow::Borrowed(text),
        _ => {
            let digits = key.iter().map(|byte| format!("{byte:02x}"));
            Cow::Owned(std::iter::once(HEX.to_owned()).chain(digits).collect())
        }
    }
}

/// Reads what [`write_key`] has written; what others have written is taken as it stands.
pub(super) fn read_key(text: String) -> Bytes {
    match text.strip_prefix(HEX).and_then(read_hex) {
        Some(bytes) => bytes.into(),
        None => text.into(),
    }
}

fn read_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

/// Returns headers as the text of an object, whose members may have one name.
pub(super) fn write_headers(headers: &Headers) -> Cow<'static, str> {
    if headers.is_empty() {
        return Cow::Borrowed("{}");
    }
    let mut text = Vec::with_capacity(256);
    // Texts can be written, and a buffer takes everything.
    drop(serde_json::to_writer(&mut text, &Members(headers)));
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}

/// Reads headers; a member that is no text, as others may write it, is taken as its JSON.
pub(super) fn read_headers(text: &str) -> Headers {
    if text == "{}" {
        return Headers::new();
    }
    let read = serde_json::from_str::<Read>(text);
    read.map_or_else(|_| Headers::new(), |Read(headers)| headers)
}

struct Members<'a>(&'a Headers);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

struct Read(Headers);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadVisitor)
    }
}

struct ReadVisitor;

impl<'de> Visitor<'de> for ReadVisitor {
    type Value = Read;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let mut headers = Headers::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            let json = value.get();
            if json.starts_with('"') {
                let text: String = serde_json::from_str(json).map_err(A::Error::custom)?;
                headers.push(name, text);
            } else {
                headers.push(name, json);
            }
        }
        Ok(Read(headers))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn key_of_any_bytes_is_stored_as_text_and_read_again(key: Vec<u8>) {
            let text = write_key(&key).into_owned();
            prop_assert!(!text.contains('\0'));
            prop_assert_eq!(read_key(text), key);
        }

        #[test]
        fn headers_are_read_as_they_were_written(
            members in proptest::collection::vec((".{0,4}", "\\PC{0,8}|[\0-\u{1f}\"\\\\]{0,3}"), 0..5)
        ) {
            let headers: Headers = members.into_iter().collect();
            prop_assert_eq!(read_headers(&write_headers(&headers)), headers);
        }
    }

    #[test]
    fn keys_that_are_no_text_or_look_like_it_stand_in_digits() {
        for (key, stored) in [
            (&b"device-1"[..], "device-1"),
            (b"a\0b", "\\x610062"),
            (b"\xff", "\\xff"),
            (b"\\x41", "\\x5c783431"),
            (b"", ""),
        ] {
            assert_eq!(write_key(key), stored);
        }
        // Written by somebody else.
        assert_eq!(read_key("\\xyz".to_owned()), "\\xyz");
        assert_eq!(read_key("\\x4".to_owned()), "\\x4");
    }

    #[test]
    fn headers_of_the_relay_are_read_with_their_numbers() {
        let headers = read_headers(r#"{"channel":"portal","syncts":1700000000123,"channel":"b"}"#);
        let expected = Headers::new()
            .with("channel", "portal")
            .with("syncts", "1700000000123")
            .with("channel", "b");
        assert_eq!(headers, expected);
        assert_eq!(read_headers("[]"), Headers::new());
    }
}
