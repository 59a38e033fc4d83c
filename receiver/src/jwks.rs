//! Public keys as a sender publishes them: a JSON Web Key Set (RFC 7517) with Ed25519 keys (RFC 8037).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Key, KeyError};

#[derive(Deserialize)]
struct Document {
    keys: Vec<Entry>,
}

/// A key of any kind; what it lacks or has too much decides whether it is one of ours.
#[derive(Deserialize)]
struct Entry {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    d: Option<IgnoredAny>,
}

impl Entry {
    /// Says whether this is an Ed25519 key for signatures; a key set may have others, which are for somebody else.
    fn is_ours(&self) -> bool {
        self.kty == "OKP"
            && self.crv.as_deref() == Some("Ed25519")
            && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.alg.as_deref().is_none_or(|alg| matches!(alg, "EdDSA" | "Ed25519"))
    }

    fn key(&self) -> Result<Key, KeyError> {
        if self.d.is_some() {
            return Err(KeyError::Private);
        }
        let x = self.x.as_deref().unwrap_or_default();
        Key::public(&URL_SAFE_NO_PAD.decode(x).map_err(|_| KeyError::Base64)?)
    }
}

impl Key {
    /// Reads the Ed25519 keys of a JSON Web Key Set, in its order, as a sender publishes them for `v1a`.
    ///
    /// Keys of other types, curves and uses are skipped. Fetch the document from a place that you trust, over HTTPS: whoever
    /// writes it can sign.
    ///
    /// # Errors
    ///
    /// The text is no key set, has no Ed25519 key for signatures, has one that is damaged, or has a private key.
    pub fn from_jwks(document: &str) -> Result<Vec<Self>, KeyError> {
        let document: Document = serde_json::from_str(document).map_err(|_| KeyError::Document)?;
        let keys = document.keys.iter().filter(|entry| entry.is_ours()).map(Entry::key);
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeyError::NoKey) } else { Ok(keys) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public key of RFC 8037, appendix A.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn set(keys: &str) -> String {
        format!(r#"{{"keys":[{keys}],"more":1}}"#)
    }

    fn ed25519(x: &str, rest: &str) -> String {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"{rest}}}"#)
    }

    #[test]
    fn ed25519_keys_are_taken_in_their_order_and_others_skipped() {
        let other = URL_SAFE_NO_PAD.encode([9; 32]);
        let document = set(&[
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#.to_owned(),
            ed25519(X, r#","kid":"a","use":"sig","alg":"EdDSA""#),
            ed25519("AA", r#","use":"enc""#),
            ed25519("AA", r#","alg":"ES256""#),
            ed25519(&other, r#","alg":"Ed25519""#),
        ]
        .join(","));
        let keys = Key::from_jwks(&document).unwrap();
        let names: Vec<_> = keys.iter().map(Key::fingerprint).collect();
        let text = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let expected = [Key::parse(text).unwrap(), Key::public(&[9; 32]).unwrap()];
        assert_eq!(names, expected.map(|key| key.fingerprint()));
    }

    #[test]
    fn document_without_a_key_that_could_verify_is_refused_with_the_reason() {
        let table = [
            (String::new(), KeyError::Document),
            ("whpk_AAAA".to_owned(), KeyError::Document),
            ("{}".to_owned(), KeyError::Document),
            (r#"{"keys":[7]}"#.to_owned(), KeyError::Document),
            (set(""), KeyError::NoKey),
            (set(r#"{"kty":"oct","k":"AAAA"}"#), KeyError::NoKey),
            (set(&ed25519("AAAA", "")), KeyError::PublicLength { bytes: 3 }),
            (set(&ed25519("?", "")), KeyError::Base64),
            (set(r#"{"kty":"OKP","crv":"Ed25519"}"#), KeyError::PublicLength { bytes: 0 }),
            (set(&ed25519(X, r#","d":"AAAA""#)), KeyError::Private),
        ];
        for (document, expected) in table {
            assert_eq!(Key::from_jwks(&document).unwrap_err(), expected, "{document}");
        }
    }
}
