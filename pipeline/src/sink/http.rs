//! The HTTP side of sinks: one request, one bounded answer, nothing decided.

use std::{error::Error as _, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::DateTime;
use reqwest::{
    Client, ClientBuilder, Method, Url,
    header::{DATE, HeaderMap, RETRY_AFTER},
    redirect,
};
use rustls::{ClientConfig, RootCertStore, crypto, pki_types::CertificateDer};
use rustls_platform_verifier::Verifier;
use tidings_analytics::wire::{Response, retry_after};

use crate::{Error, Result};

/// How long a connection is kept without use: servers commonly close it after a minute.
const IDLE: Duration = Duration::from_secs(30);

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// How much of an answer is read. One about two thousand documents, each with a reason, has a tenth of it.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Sends requests.
#[derive(Clone, Debug)]
pub(super) struct Http(Client);

/// Where a request goes, and with what.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Http {
    /// Returns a client that follows no redirect, uses no proxy from the environment and repeats nothing by itself.
    ///
    /// `trusted` are certificates (DER) beside those of the operating system.
    ///
    /// # Errors
    ///
    /// A certificate cannot be read, or TLS cannot be set up.
    pub(super) fn new(trusted: &[Vec<u8>], is_tls: bool, timeout: Duration) -> Result<Self> {
        let tls = tls(trusted, is_tls).map_err(|source| Error::Http { source: source.into() })?;
        let client = client(tls).connect_timeout(CONNECT).timeout(timeout).build();
        client.map(Self).map_err(|source| Error::Http { source: source.into() })
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    ///
    /// What happened in the place of an answer, for people, without the address.
    pub(super) async fn send(&self, request: Request) -> Result<Response, String> {
        let Request { method, url, headers, body } = request;
        let sent = self.0.request(method, url).headers(headers).body(body).send().await;
        let mut answer = sent.map_err(explain)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(format!("the answer has more than {BODY_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body: Bytes::from(body) })
    }
}

/// Returns how long an answer asks to wait; a date counts from when the answer says that it was made.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
    // Seconds need no date; a date without one to count from cannot be read.
    let is_date = asked.contains(' ');
    let from = date.or_else(|| (!is_date).then(|| DateTime::UNIX_EPOCH.into()))?;
    retry_after(asked, from.into())
}

/// Returns the whole chain of causes as one sentence.
fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Returns what makes a client that follows no redirect, uses no proxy from the environment and repeats nothing by
/// itself.
pub(super) fn client(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("tidings/", env!("CARGO_PKG_VERSION")))
        .pool_idle_timeout(IDLE)
        .http1_only()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .no_proxy()
        // Off already, unless another crate of the application turns the features on.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
}

/// Trusts what the operating system trusts, and `trusted` (DER) beside it.
///
/// # Errors
///
/// TLS cannot be set up, or, where it is needed, the certificates cannot be read.
pub(super) fn tls(trusted: &[Vec<u8>], is_needed: bool) -> Result<ClientConfig, rustls::Error> {
    // Handed in, never installed: the application may have chosen another provider for the process.
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let extra = trusted.iter().map(|der| CertificateDer::from(der.clone()));
    let mut config = match Verifier::new_with_extra_roots(extra, provider) {
        Ok(verifier) => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        // A machine without any certificate can still speak plain http.
        Err(error) if is_needed => return Err(error),
        Err(_) => config.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_is_read_as_seconds_or_against_the_date_of_the_answer() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect()
        };
        let date = ("date", "Tue, 14 Nov 2023 22:13:20 GMT");
        let table = [
            (headers(&[date, ("retry-after", "7")]), Some(7)),
            (headers(&[("retry-after", "7")]), Some(7)),
            (headers(&[date, ("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT")]), Some(10)),
            (headers(&[("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT")]), None),
            (headers(&[("retry-after", "soon")]), None),
            (headers(&[date]), None),
        ];
        for (headers, seconds) in table {
            assert_eq!(wait(&headers), seconds.map(Duration::from_secs), "{headers:?}");
        }
    }
}
