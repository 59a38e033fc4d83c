//! The HTTP client of object stores: TLS by rustls on the provider ring under the trust store of the operating system.

use std::time::Duration;

use object_store::{
    ClientConfigKey, ClientOptions,
    client::{HttpClient, HttpConnector},
};

use crate::sink::http;

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
        // A machine without any certificate can still reach a store in plain http.
        let tls = http::tls(&[], false).map_err(|error| generic(Box::new(error)))?;
        let client = http::client(tls)
            .https_only(allow_http.as_deref() != Some("true"))
            .connect_timeout(CONNECT_MAX)
            .timeout(self.timeout)
            .build()
            .map_err(|error| generic(Box::new(error)))?;
        Ok(HttpClient::new(client))
    }
}
