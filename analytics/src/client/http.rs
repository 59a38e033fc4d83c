//! The HTTP side of a client: one request, one bounded answer, nothing decided.

use std::{error::Error as _, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{Client, redirect};
use rustls::{ClientConfig, RootCertStore, crypto, pki_types::CertificateDer};
use rustls_platform_verifier::Verifier;

use super::error::BuildError;
use crate::wire::{Request, Response};

/// How long a connection is kept without use. Addresses are looked up anew with each connection, as Segment asks.
const IDLE: Duration = Duration::from_secs(30);

/// How much of an answer is read: the verdicts of two thousand events fit in.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How careful the client is.
#[derive(Clone, Debug)]
pub(super) struct HttpSettings {
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
    pub(super) trusted_certificates: Vec<Vec<u8>>,
}

/// Sends requests.
#[derive(Clone, Debug)]
pub(super) struct Http(Client);

impl Http {
    /// Returns a client that follows no redirect, uses no proxy from the environment and repeats nothing by itself.
    pub(super) fn new(settings: &HttpSettings, is_tls: bool) -> Result<Self, BuildError> {
        let config = tls(&settings.trusted_certificates, is_tls)?;
        Client::builder()
            .tls_backend_preconfigured(config)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            // Off already, unless another crate of the application turns the features on.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .build()
            .map(Self)
            .map_err(BuildError::Http)
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    ///
    /// What happened in the place of an answer, for people, without the address.
    pub(super) async fn send(&self, request: Request) -> Result<Response, String> {
        let Request { url, headers, body } = request;
        let sent = self.0.post(url).headers(headers).body(body).send().await;
        let mut answer = sent.map_err(explain)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(explain)? {
            let room = BODY_BYTES_MAX - body.len();
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if body.len() == BODY_BYTES_MAX {
                break;
            }
        }
        Ok(Response { status, headers, body: Bytes::from(body) })
    }
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

/// Trusts what the operating system trusts, and `trusted` beside it.
fn tls(trusted: &[Vec<u8>], is_needed: bool) -> Result<ClientConfig, BuildError> {
    // Handed in, never installed: the application may have chosen another provider for the process.
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(BuildError::Tls)?;
    let extra = trusted.iter().map(|der| CertificateDer::from(der.clone()));
    let mut config = match Verifier::new_with_extra_roots(extra, provider) {
        Ok(verifier) => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        // A machine without any certificate can still speak plain http.
        Err(error) if is_needed => return Err(BuildError::Tls(error)),
        Err(_) => config.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
