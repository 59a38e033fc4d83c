//! The HTTP client that all webhooks share, and those of the endpoints that trust certificates of their own.
//!
//! One client for all the others, so that connections are kept and used again, and one place that decides how careful it is:
//! no redirects, no proxies from the environment, no decompression, no retries of its own, HTTP/1.1, TLS by rustls
//! on the provider ring under the trust store of the operating system.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Client, header::HeaderValue, redirect};
use rustls::{ClientConfig, RootCertStore, crypto, pki_types::CertificateDer};
use rustls_platform_verifier::Verifier;
use sha2::{Digest as _, Sha256};
use tidings::endpoint::{EndpointError, read_authorities};

use super::{Settings, resolve::Guard};

/// How long a connection is kept without use: servers commonly close it after a minute.
const IDLE: Duration = Duration::from_secs(30);

/// How many clients of endpoints with their own certificates are kept; each has connections of its own.
const OWN_MAX: usize = 64;

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The name that we give ourselves cannot be sent.
    #[error("set up webhooks: the user agent is not printable ASCII")]
    UserAgent,
    /// A certificate that cannot be read.
    #[error("set up webhooks: trusted certificate number {number} is not a DER certificate")]
    Certificate {
        /// Its place in the list, from one.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// TLS cannot be set up.
    #[error("set up webhooks: prepare TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("set up webhooks: prepare the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The TLS configuration, and whether any certificate can be trusted under it.
struct Tls {
    config: ClientConfig,
    trusts: bool,
}

/// Returns the shared client, and whether it can speak `https`: without any trusted certificate it cannot.
pub(super) fn build(settings: &Settings, guard: Guard) -> Result<(Client, bool), BuildError> {
    let Tls { config, trusts } = tls(&settings.trusted_certificates)?;
    Ok((client(settings, guard, config)?, trusts))
}

/// Clients of endpoints that trust certificates of their own, made when they are first needed: those used last.
#[derive(Debug, Default)]
pub(super) struct Own(Mutex<VecDeque<([u8; 32], Client)>>);

impl Own {
    /// Returns the client that trusts the certificates of `ca` (PEM) and no others.
    ///
    /// # Errors
    ///
    /// They are no certificates that can be trusted.
    pub(super) fn trusting(
        &self,
        ca: &str,
        settings: &Settings,
        guard: &Guard,
    ) -> Result<Client, EndpointError> {
        let key: [u8; 32] = Sha256::digest(ca).into();
        // Made under the lock, because many lanes with the same certificates open at once when a worker starts.
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = used.iter().position(|(other, _)| *other == key);
        let client = match found.and_then(|index| used.remove(index)) {
            Some((_, client)) => client,
            None => own(ca, settings, guard.clone())?,
        };
        if used.len() == OWN_MAX {
            used.pop_front();
        }
        used.push_back((key, client.clone()));
        Ok(client)
    }

    /// Returns how many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Reads the certificates of `ca` (PEM), each of which can be trusted.
///
/// # Errors
///
/// The first that cannot.
pub(super) fn roots(ca: &str) -> Result<RootCertStore, EndpointError> {
    let mut roots = RootCertStore::empty();
    for (number, der) in (1..).zip(read_authorities(ca)?) {
        roots
            .add(CertificateDer::from(der))
            .map_err(|error| EndpointError::CaCertificate { number, reason: error.to_string() })?;
    }
    Ok(roots)
}

fn own(ca: &str, settings: &Settings, guard: Guard) -> Result<Client, EndpointError> {
    let unusable = |reason: String| EndpointError::CaCertificate { number: 1, reason };
    let roots = roots(ca)?;
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    client(settings, guard, config).map_err(|error| unusable(error.to_string()))
}

/// Returns a client that speaks TLS as `config` says.
fn client(settings: &Settings, guard: Guard, config: ClientConfig) -> Result<Client, BuildError> {
    let user_agent =
        HeaderValue::from_str(&settings.user_agent).map_err(|_| BuildError::UserAgent)?;
    Client::builder()
        .user_agent(user_agent)
        .tls_backend_preconfigured(config)
        .dns_resolver(guard)
        .connect_timeout(settings.connect_timeout)
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
        .build()
        .map_err(BuildError::Client)
}

/// Trusts what the operating system trusts, and `trusted` beside it.
fn tls(trusted: &[Vec<u8>]) -> Result<Tls, BuildError> {
    let mut roots = RootCertStore::empty();
    for (number, der) in (1..).zip(trusted) {
        let certificate = CertificateDer::from(der.as_slice());
        roots.add(certificate).map_err(|source| BuildError::Certificate { number, source })?;
    }
    // Handed in, never installed: the application may have chosen another provider for the process.
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(BuildError::Tls)?;
    let extra = trusted.iter().map(|der| CertificateDer::from(der.clone()));
    // A machine without any certificate can still call allowed addresses in plain http.
    let (config, trusts) = match Verifier::new_with_extra_roots(extra, provider) {
        Ok(verifier) => {
            (config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)), true)
        }
        Err(_) => (config.with_root_certificates(roots), false),
    };
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls { config, trusts })
}
