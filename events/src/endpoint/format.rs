//! How a request to a webhook looks: profile, content type and kinds of signature.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::EndpointError;
use crate::format::Format;

/// Whose conventions a request follows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Standard Webhooks: `{"type":…,"timestamp":…,"data":…}` under the headers `webhook-id`, `webhook-timestamp` and
    /// `webhook-signature`.
    #[default]
    Standard,
    /// Orchest's, for receivers that were written for it: `{"delivered_for":{…},"event":{…}}` under the headers
    /// `X-Orchest-Event`, `X-Orchest-Delivery` and `X-Hub-Signature`.
    ///
    /// The signature covers the body alone and no time, so a receiver cannot tell a repeated request from the first;
    /// use it only where the receiver cannot be changed.
    Orchest,
}

/// How the fields of a body are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub enum ContentType {
    /// One JSON object.
    #[default]
    #[serde(rename = "application/json")]
    Json,
    /// A form with one field for each member of that object; a member that is no string is written as JSON.
    #[serde(rename = "application/x-www-form-urlencoded")]
    Form,
}

/// A kind of signature of Standard Webhooks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// HMAC-SHA256 with a secret that the receiver has as well.
    V1,
    /// Ed25519 with a key pair of which the receiver has the public key only.
    V1a,
}

impl Profile {
    /// Returns the word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Orchest => "orchest",
        }
    }
}

impl ContentType {
    /// Returns the value of the header `content-type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }
}

impl Scheme {
    /// Returns the word of the configuration, which stands in front of a signature as well.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1a => "v1a",
        }
    }
}

/// Returns whether `text` is one of the words above, which are no secrets.
pub(crate) fn is_word(text: &str) -> bool {
    [Profile::Standard, Profile::Orchest].map(Profile::as_str).contains(&text)
        || [ContentType::Json, ContentType::Form].map(ContentType::as_str).contains(&text)
        || [Scheme::V1, Scheme::V1a].map(Scheme::as_str).contains(&text)
        || Format::ALL.map(Format::as_str).contains(&text)
}

/// Returns the signatures of a subscriber that says nothing about them.
pub(super) fn default_signatures() -> BTreeSet<Scheme> {
    BTreeSet::from([Scheme::V1])
}

pub(super) fn read_profile(value: &Value) -> Result<Profile, EndpointError> {
    let known = [Profile::Standard, Profile::Orchest];
    let found = known.into_iter().find(|profile| value == profile.as_str());
    let expected = "\"standard\" or \"orchest\"";
    found.ok_or(EndpointError::FieldType { field: "profile", expected })
}

pub(super) fn read_content_type(value: &Value) -> Result<ContentType, EndpointError> {
    let known = [ContentType::Json, ContentType::Form];
    let found = known.into_iter().find(|content_type| value == content_type.as_str());
    let expected = "\"application/json\" or \"application/x-www-form-urlencoded\"";
    found.ok_or(EndpointError::FieldType { field: "content_type", expected })
}

pub(super) fn read_format(value: &Value) -> Result<Format, EndpointError> {
    let found = value.as_str().and_then(|word| word.parse().ok());
    let expected = "\"tidings\", \"cloudevents\" or \"cloudevents-binary\"";
    found.ok_or(EndpointError::FieldType { field: "format", expected })
}

pub(super) fn read_signatures(value: &Value) -> Result<BTreeSet<Scheme>, EndpointError> {
    let expected = "a list with \"v1\", \"v1a\" or both";
    let wrong = || EndpointError::FieldType { field: "signatures", expected };
    let scheme = |value: &Value| {
        [Scheme::V1, Scheme::V1a].into_iter().find(|scheme| value == scheme.as_str())
    };
    let items = value.as_array().filter(|items| !items.is_empty()).ok_or_else(wrong)?;
    items.iter().map(|item| scheme(item).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_word_is_read_back_from_how_it_is_written() {
        for profile in [Profile::Standard, Profile::Orchest] {
            let written = serde_json::to_value(profile).unwrap();
            assert_eq!((read_profile(&written), written == profile.as_str()), (Ok(profile), true));
        }
        for content_type in [ContentType::Json, ContentType::Form] {
            let written = serde_json::to_value(content_type).unwrap();
            assert_eq!(read_content_type(&written), Ok(content_type));
            assert_eq!(written, content_type.as_str());
        }
        for schemes in [&[Scheme::V1][..], &[Scheme::V1a], &[Scheme::V1, Scheme::V1a]] {
            let written = serde_json::to_value(schemes).unwrap();
            assert_eq!(read_signatures(&written), Ok(schemes.iter().copied().collect()));
            assert!(is_word(written[0].as_str().unwrap()));
        }
        for format in Format::ALL {
            assert_eq!(read_format(&serde_json::to_value(format).unwrap()), Ok(format));
            assert!(is_word(format.as_str()));
        }
        assert!(!is_word("s3cr3t") && !is_word("v1,"));
    }

    #[test]
    fn another_word_is_refused() {
        for value in [json!("Standard"), json!(""), json!(null), json!(["standard"])] {
            read_profile(&value).unwrap_err();
            read_content_type(&value).unwrap_err();
            read_format(&value).unwrap_err();
        }
        for value in [json!([]), json!("v1"), json!(["v2"]), json!(["v1", 1]), json!({})] {
            read_signatures(&value).unwrap_err();
        }
    }
}
