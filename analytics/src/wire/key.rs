//! The key by which a sink knows whose events they are.

use std::fmt;

use zeroize::Zeroizing;

use super::error::Error;

/// The write key of a Segment source, or the token of a PostHog project.
///
/// It is wiped from memory when it is dropped, and never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Key(Zeroizing<String>);

impl Key {
    /// Returns `text` as a key.
    ///
    /// # Errors
    ///
    /// It is blank, longer than 200 characters, or holds something else than visible ASCII. A colon would end the name
    /// in basic authentication.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = Zeroizing::new(text.into());
        let is_fit = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if !(1..=200).contains(&text.len()) || !text.bytes().all(is_fit) {
            return Err(Error::Key);
        }
        Ok(Self(text))
    }

    /// Returns the key, to be sent and nothing else.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_key_is_refused_and_no_key_is_printed() {
        for text in ["", " ", "a key", "k:ey", "kéy", &"k".repeat(201)] {
            let error = Key::new(text).unwrap_err();
            assert_eq!(error, Error::Key);
            assert!(text.trim().is_empty() || !error.to_string().contains(text));
        }
        let key = Key::new("phc_s3cr3t").unwrap();
        assert_eq!((format!("{key:?}").as_str(), key.expose()), ("Key(..)", "phc_s3cr3t"));
    }
}
