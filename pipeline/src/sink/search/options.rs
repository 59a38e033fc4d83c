//! Where documents go, and how many at once.

use std::{fmt, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use crate::{Error, Result};

/// Where documents go, and how many at once.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the sink: lower-case letters, digits and hyphens.
    pub name: String,
    /// Where the engine is, `https://search.example.com:9200` for example.
    pub url: Url,
    /// How it knows us.
    pub access: Access,
    /// Certificates (DER) that are trusted beside those of the operating system.
    pub trusted_certificates: Vec<Vec<u8>>,
    /// What stands before the name of every index: lower-case letters, digits, `-`, `_` and `.`; begins with a letter.
    pub prefix: String,
    /// In what documents are kept.
    pub storage: Storage,
    /// Whether the index template is written at the start; a template of that name that is not ours is left as it is.
    pub template: bool,
    /// Primary shards of a new index.
    pub shards: u16,
    /// Copies of each shard of a new index.
    pub replicas: u16,
    /// The most bytes of one request, before it is compressed; one document may be longer.
    pub bulk_bytes_max: usize,
    /// The most documents of one request.
    pub bulk_documents_max: usize,
    /// How many requests are under way at a time.
    pub in_flight: usize,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// How long a request may take before it is sent again.
    pub timeout: Duration,
}

/// How the engine knows us.
#[derive(Clone, Default)]
pub enum Access {
    /// It does not ask.
    #[default]
    Open,
    /// Basic authentication.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// An API key of Elasticsearch, as it is shown: encoded in base64.
    ApiKey(String),
    /// A bearer token.
    Bearer(String),
}

/// In what documents are kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Storage {
    /// An index for each UTC day, `<prefix>telemetry-2026.11.23`: each event once.
    #[default]
    Daily,
    /// The data stream `<prefix>telemetry`, which rolls over by itself: at least once.
    DataStream,
}

impl Options {
    /// Returns the options of a sink, with the defaults.
    ///
    /// These are daily indices of one shard and one copy, requests of 5 MiB and 2,000 documents, two at a time, which
    /// may take a minute each.
    #[must_use]
    pub fn new(name: impl Into<String>, url: Url) -> Self {
        Self {
            name: name.into(),
            url,
            access: Access::Open,
            trusted_certificates: Vec::new(),
            prefix: String::new(),
            storage: Storage::Daily,
            template: true,
            shards: 1,
            replicas: 1,
            bulk_bytes_max: 5 * 1024 * 1024,
            bulk_documents_max: 2_000,
            in_flight: 2,
            gzip: false,
            timeout: Duration::from_mins(1),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let refuse = |reason: &str| Err(Error::setting(format!("sink {}", self.name), reason));
        let is_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let is_index = |byte: u8| is_name(byte) || matches!(byte, b'_' | b'.');
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(is_name) {
            return refuse("its name is 1 to 64 lower-case letters, digits and hyphens");
        }
        if !self.prefix.bytes().all(is_index)
            || self.prefix.len() > 100
            || !self.prefix.bytes().next().is_none_or(|byte| byte.is_ascii_lowercase())
        {
            return refuse(
                "the prefix of its indices is lower-case letters, digits, -, _ and ., and begins with a letter",
            );
        }
        if !matches!(self.url.scheme(), "http" | "https") || !self.url.has_host() {
            return refuse("its URL begins with https:// or http://");
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return refuse("its URL holds credentials; give them by themselves");
        }
        if self.bulk_bytes_max == 0 || self.bulk_documents_max == 0 || self.in_flight == 0 {
            return refuse("its limits are at least 1");
        }
        Ok(())
    }

    /// Returns the headers of every request.
    pub(super) fn headers(&self) -> Result<HeaderMap> {
        let text = match &self.access {
            Access::Open => return Ok(HeaderMap::new()),
            Access::Basic { user, password } => {
                let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
                format!("Basic {encoded}")
            }
            Access::ApiKey(key) => format!("ApiKey {key}"),
            Access::Bearer(token) => format!("Bearer {token}"),
        };
        let Ok(mut value) = HeaderValue::from_str(&text) else {
            let reason = "its credentials hold what cannot be sent; copy them again".to_owned();
            return Err(Error::setting(format!("sink {}", self.name), reason));
        };
        value.set_sensitive(true);
        Ok([(AUTHORIZATION, value)].into_iter().collect())
    }
}

impl fmt::Debug for Access {
    /// Leaves the credentials out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Open => "Open",
            Self::Basic { .. } => "Basic(..)",
            Self::ApiKey(_) => "ApiKey(..)",
            Self::Bearer(_) => "Bearer(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::new("os", Url::parse("http://127.0.0.1:9200").unwrap())
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let basic = Access::Basic { user: "u".to_owned(), password: "s3cr3t".to_owned() };
        let table = [
            (basic, Some("Basic dTpzM2NyM3Q=")),
            (Access::ApiKey("s3cr3t".to_owned()), Some("ApiKey s3cr3t")),
            (Access::Bearer("s3cr3t".to_owned()), Some("Bearer s3cr3t")),
            (Access::Open, None),
        ];
        for (access, header) in table {
            let options = Options { access, ..options() };
            let headers = options.headers().unwrap();
            let sent = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap());
            assert_eq!(sent, header);
            assert!(!format!("{options:?}{headers:?}").contains("s3cr3t"));
        }
        let broken = Options { access: Access::Bearer("s3cr3t\n".to_owned()), ..options() };
        assert!(!broken.headers().unwrap_err().to_string().contains("s3cr3t"));
    }

    #[test]
    fn option_that_cannot_be_used_is_said_at_once() {
        assert!(options().check().is_ok());
        let url = |text| Url::parse(text).unwrap();
        let table = [
            (Options { name: "Os 1".to_owned(), ..options() }, "name"),
            (Options { prefix: "-x".to_owned(), ..options() }, "prefix"),
            (Options { prefix: "a/b".to_owned(), ..options() }, "prefix"),
            (Options { url: url("ftp://h"), ..options() }, "https://"),
            (Options { url: url("http://u:s3cr3t@h"), ..options() }, "credentials"),
            (Options { in_flight: 0, ..options() }, "limits"),
        ];
        for (options, word) in table {
            let said = options.check().unwrap_err().to_string();
            assert!(said.contains(word) && !said.contains("s3cr3t"), "{said}");
        }
    }
}
