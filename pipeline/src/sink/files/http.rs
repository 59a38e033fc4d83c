//! The HTTP client of object stores: TLS by rustls on the provider ring under the trust store of the operating system.

use std::{sync::Arc, time::Duration};

use object_store::{
    ClientConfigKey, ClientOptions,
    client::{HttpClient, HttpConnector},
};
use reqwest::{Client, redirect};
use rustls::{ClientConfig, RootCertStore, crypto};
use rustls_platform_verifier::Verifier;

/// How long a connection is kept without use.
const IDLE: Duration = Duration::from_secs(30);

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Makes the clients of one store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connector {
    /// How long one request may take, its body included.
    pub(super) timeout: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Plain http only where the options say so: keys are signed with, never sent, but events are read on the way.
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let generic = |source| object_store::Error::Generic { store: "http", source };
        let tls = tls().map_err(|error| generic(Box::new(error)))?;
        let client = Client::builder()
            .user_agent(concat!("tidings/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls)
            .https_only(allow_http.as_deref() != Some("true"))
            .connect_timeout(CONNECT_MAX)
            .timeout(self.timeout)
            .pool_idle_timeout(IDLE)
            .http1_only()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .build()
            .map_err(|error| generic(Box::new(error)))?;
        Ok(HttpClient::new(client))
    }
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    // Handed in, never installed: the application may have chosen another provider for the process.
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    // A machine without any certificate can still reach a store in plain http.
    let config = match Verifier::new(provider) {
        Ok(verifier) => config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)),
        Err(_) => config.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
