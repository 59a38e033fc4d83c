//! What can be wrong with an endpoint, each in one sentence that says what to do.
//!
//! The texts never contain a path, a query, a header value or anything else that may be secret.

use super::{
    CA_BYTES_MAX, CA_COUNT_MAX, HEADER_BYTES_MAX, HEADER_COUNT_MAX, TIMEOUT_MAX, TIMEOUT_MIN,
    URL_CHARS_MAX,
};
use crate::address::Refused;

/// An endpoint that cannot be used.
///
/// None of these is transient, except [`Name`](Self::Name) and [`NoAddress`](Self::NoAddress), which are what the
/// name says today.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The configuration is not a JSON object.
    #[error(
        "the configuration of a webhook is a JSON object such as {{\"url\": \"https://example.com/hook\"}}"
    )]
    NotObject,
    /// A field that no webhook has.
    #[error(
        "a webhook has no field {field:?}; it has url, headers, timeout_ms, profile, content_type, signatures and ca"
    )]
    UnknownField {
        /// The name of the field.
        field: String,
    },
    /// A field that has to be there.
    #[error("the webhook needs a url")]
    NoUrl,
    /// A field of another type.
    #[error("the field {field} of a webhook is {expected}")]
    FieldType {
        /// The name of the field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A timeout outside its range.
    #[error(
        "timeout_ms is {timeout_ms}, and has to be between {} and {}",
        TIMEOUT_MIN.as_millis(),
        TIMEOUT_MAX.as_millis()
    )]
    Timeout {
        /// What was asked for, in milliseconds.
        timeout_ms: u64,
    },
    /// A URL longer than [`URL_CHARS_MAX`].
    #[error("the URL has {chars} characters, and at most {URL_CHARS_MAX} are allowed")]
    UrlTooLong {
        /// Its length.
        chars: usize,
    },
    /// A URL with white space or control characters.
    #[error("the URL contains white space or a control character; remove it or percent-encode it")]
    UrlSpace,
    /// A text that is no absolute URL.
    #[error("the URL cannot be read ({reason}); it looks like https://example.com/hook")]
    NotUrl {
        /// What the parser says; it never quotes the text.
        reason: url::ParseError,
    },
    /// A scheme other than `http` and `https`.
    #[error("the URL has to begin with https://")]
    Scheme,
    /// Plain `http` where it is not permitted.
    #[error(
        "plain http is not allowed, because anyone on the way could read and change the events; use https://"
    )]
    HttpsOnly,
    /// A user name or password inside the URL.
    #[error(
        "the URL contains a user name or password; send it in a header, authorization for example"
    )]
    Credentials,
    /// A fragment, which is never sent.
    #[error("the URL has a fragment (what follows #), which is never sent; remove it")]
    Fragment,
    /// A port of another protocol.
    #[error("port {port} belongs to another protocol than HTTP; use another port, 443 for example")]
    Port {
        /// The port.
        port: u16,
    },
    /// A URL without a host.
    #[error("the URL has no host; it looks like https://example.com/hook")]
    NoHost,
    /// A name with nothing between two full stops, or before the first.
    #[error("the host {host} has a full stop too many; it looks like example.com")]
    EmptyLabel {
        /// The name.
        host: String,
    },
    /// A name that only a private network knows.
    #[error(
        "the name {host} exists in private networks only; use a public name, or ask the operator to allow the \
         addresses behind it"
    )]
    PrivateName {
        /// The name.
        host: String,
    },
    /// A literal address that is forbidden.
    #[error("the address {0}; use a public address, or ask the operator to allow it")]
    Address(Refused),
    /// A name with at least one forbidden address.
    #[error(
        "the name {host} is refused as a whole, because its address {refused}; ask the operator to allow it if it \
         is meant"
    )]
    Name {
        /// The name.
        host: String,
        /// Its first forbidden address.
        refused: Refused,
    },
    /// A name without any address.
    #[error("the name {host} has no address")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// Too many headers.
    #[error("{count} headers are given, and at most {HEADER_COUNT_MAX} are allowed")]
    HeaderCount {
        /// How many there are.
        count: usize,
    },
    /// Headers that are too large together.
    #[error("the headers have {bytes} bytes together, and at most {HEADER_BYTES_MAX} are allowed")]
    HeaderBytes {
        /// Names and values together.
        bytes: usize,
    },
    /// A name that HTTP does not allow.
    #[error(
        "the header name {name:?} is not valid; it consists of letters, digits and any of !#$%&'*+-.^_`|~"
    )]
    HeaderName {
        /// The name.
        name: String,
    },
    /// A value that HTTP does not allow.
    #[error(
        "the value of the header {name} is not valid; it consists of printable ASCII without space at its ends"
    )]
    HeaderValue {
        /// The name.
        name: String,
    },
    /// A header that is ours, or that belongs to the connection.
    #[error(
        "the header {name} is set by the sender or belongs to the connection; choose another name"
    )]
    HeaderReserved {
        /// The name.
        name: String,
    },
    /// Signatures of Standard Webhooks in a profile that has its own.
    #[error(
        "the profile orchest signs in its own way; remove signatures, or choose the profile standard"
    )]
    SignaturesProfile,
    /// A format of `CloudEvents` in a profile or a content type that has no place for it.
    #[error(
        "a format of CloudEvents needs the profile standard and the content type application/json; remove format, or what stands in its way"
    )]
    Format,
    /// Certificates that are too long together.
    #[error(
        "ca has {bytes} bytes, and at most {CA_BYTES_MAX} are allowed; give the root certificate alone"
    )]
    CaBytes {
        /// How many bytes it has.
        bytes: usize,
    },
    /// Too many certificates.
    #[error(
        "ca has {count} certificates, and at most {CA_COUNT_MAX} are allowed; give the root certificate alone"
    )]
    CaCount {
        /// How many there are.
        count: usize,
    },
    /// A private key where only certificates are needed.
    #[error(
        "ca contains a private key, which nobody but the authority may have; give its certificate alone, and replace the key if it was meant to stay secret"
    )]
    CaPrivateKey,
    /// No certificate, or something else.
    #[error(
        "ca is the PEM text of certificates and of nothing else; it looks like -----BEGIN CERTIFICATE-----"
    )]
    CaPem,
    /// A certificate that cannot be trusted.
    #[error("certificate number {number} of ca cannot be used: {reason}")]
    CaCertificate {
        /// Its place in the text, from one.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificates where nothing is encrypted.
    #[error("ca is for https, and the URL is plain http; remove one of the two")]
    CaHttp,
    /// Two names that differ in letter case only.
    #[error("the header {name} is given twice; letter case makes no difference")]
    HeaderTwice {
        /// The name.
        name: String,
    },
}

impl From<url::ParseError> for EndpointError {
    fn from(reason: url::ParseError) -> Self {
        match reason {
            url::ParseError::EmptyHost => Self::NoHost,
            reason => Self::NotUrl { reason },
        }
    }
}
