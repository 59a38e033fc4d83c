//! The site itself: where it is, and how it is asked.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::HttpBody,
    extract::Request,
    http::{HeaderMap, Response},
};
use futures_util::StreamExt;
use reqwest::{Client, Url, redirect, retry};
use rustls::{ClientConfig, RootCertStore, crypto};
use rustls_platform_verifier::Verifier;
use tokio::time::Instant;

use crate::{Error, Result};

/// A site that is away is known quickly; it is next door.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Less than most servers keep a connection for, so that none is used while it is being closed.
const IDLE: Duration = Duration::from_secs(4);

/// Where a site is, and what asks it.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    /// Without a slash at its end.
    base: String,
    client: Client,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Missing {
    Unreachable(String),
    Silent,
}

impl Upstream {
    pub(super) fn new(address: &str) -> Result<Self> {
        let bad = || Error::BadUpstream { address: address.to_owned() };
        let url = Url::parse(address).map_err(|_| bad())?;
        let is_plain =
            url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() || !is_plain {
            return Err(bad());
        }
        let client = client(url.scheme() == "https")?;
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned(), client })
    }

    /// Asks the site, and returns its answer as soon as its headers are there.
    pub(super) async fn ask(
        &self,
        request: Request,
        headers: HeaderMap,
        patience: Duration,
    ) -> Result<Response<axum::body::Body>, Missing> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut asking =
            self.client.request(parts.method, format!("{}{path}", self.base)).headers(headers);
        let heard = Heard::now();
        if !body.is_end_stream() {
            let hearing = heard.clone();
            let chunks = body.into_data_stream().inspect(move |_| hearing.again());
            asking = asking.body(reqwest::Body::wrap_stream(chunks));
        }
        let answer = heard.wait(asking.send(), patience).await.ok_or(Missing::Silent)?;
        let answer = answer.map_err(|error| Missing::Unreachable(chain(&error.without_url())))?;
        let (parts, body) = Response::from(answer).into_parts();
        let mut response = Response::new(axum::body::Body::new(body));
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        Ok(response)
    }
}

/// When something was last heard of a browser that uploads.
#[derive(Clone, Debug)]
struct Heard(Arc<Mutex<Instant>>);

impl Heard {
    fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn again(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Waits for an answer, no longer than this after the last of the upload; `None` where there is none.
    async fn wait<T>(&self, answer: impl Future<Output = T>, patience: Duration) -> Option<T> {
        tokio::pin!(answer);
        loop {
            let end = self.last() + patience;
            if let Ok(answer) = tokio::time::timeout_at(end, &mut answer).await {
                return Some(answer);
            }
            if self.last() + patience <= end {
                return None;
            }
        }
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a client that changes nothing by itself: no redirect is followed, nothing is repeated or unpacked.
fn client(is_tls: bool) -> Result<Client> {
    // Handed in, never installed: the application may have chosen another provider for the process.
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::NoTls { reason: error.to_string() })?;
    let mut config = match Verifier::new(provider) {
        Ok(verifier) => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        // A machine without any certificate can still speak plain http.
        Err(error) if is_tls => return Err(Error::NoTls { reason: error.to_string() }),
        Err(_) => config.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Client::builder()
        .tls_backend_preconfigured(config)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .http1_only()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .no_proxy()
        // Off already, unless another crate of the application turns the features on.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .build()
        .map_err(|error| Error::NoTls { reason: chain(&error) })
}

/// Says what has happened and what it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn site_has_its_time_after_the_last_of_an_upload() {
        const SECOND: Duration = Duration::from_secs(1);
        let heard = Heard::now();
        let upload = async {
            for _ in 0..5 {
                tokio::time::sleep(SECOND).await;
                heard.again();
            }
            tokio::time::sleep(SECOND).await;
            "answer"
        };
        assert_eq!(heard.wait(upload, 2 * SECOND).await, Some("answer"));
        let begun = Instant::now();
        heard.again();
        assert_eq!(heard.wait(std::future::pending::<()>(), 2 * SECOND).await, None);
        assert_eq!(begun.elapsed().as_secs(), 2);
    }

    #[test]
    fn address_of_a_site_is_that_of_a_host() {
        for address in ["http://127.0.0.1:3000", "https://shop.example/", "http://[::1]:80/shop/"] {
            let upstream = Upstream::new(address).unwrap();
            assert!(!upstream.base.ends_with('/'), "{address}");
        }
        for address in [
            "127.0.0.1:3000",
            "ftp://a.example",
            "http://a.example/?b",
            "http://u@a.example",
            "/a",
            "",
        ] {
            let error = Upstream::new(address).unwrap_err();
            assert!(matches!(error, Error::BadUpstream { .. }), "{address}: {error}");
        }
    }
}
