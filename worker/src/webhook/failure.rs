//! Why no answer came, in words for people.
//!
//! An HTTP client reports a chain of errors of its layers; here it becomes one sentence that says which of the few
//! usual things went wrong. It never contains the path or query of the URL.

use std::{error::Error as StdError, io, time::Duration};

use tidings::{
    address::Refused,
    endpoint::{Endpoint, EndpointError},
};

use super::resolve::LookupError;

/// Why a request got no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Failure {
    #[error("timed out: no answer from {host} within {} ms", after.as_millis())]
    TimedOut { host: String, after: Duration },
    #[error("timed out: no connection to {host} within {} ms", after.as_millis())]
    ConnectTimedOut { host: String, after: Duration },
    #[error(transparent)]
    Lookup(LookupError),
    /// A rule of ours, at connect as at creation.
    #[error(transparent)]
    Refused(EndpointError),
    #[error("the answer was left unread: its sender {peer}")]
    Peer { peer: Refused },
    #[error("the certificate of {host} is not trusted: {reason}")]
    Certificate { host: String, reason: String },
    #[error("no TLS connection to {host}: {reason}")]
    Tls { host: String, reason: String },
    #[error("no connection to {host}: {reason}")]
    Connect { host: String, reason: String },
    #[error("no usable answer from {host}: {reason}")]
    Broken { host: String, reason: String },
}

impl Failure {
    /// Returns what `error` means for a request to `endpoint`, whose connection may take `connect_timeout`.
    pub(super) fn of(
        error: reqwest::Error,
        endpoint: &Endpoint,
        connect_timeout: Duration,
    ) -> Self {
        let error = error.without_url();
        let host = host(endpoint);
        let told = chain(&error).find_map(|source| Self::told(source, &host));
        match told {
            Some(failure) => failure,
            None if error.is_connect() && error.is_timeout() => {
                Self::ConnectTimedOut { host, after: connect_timeout }
            }
            None if error.is_connect() => Self::Connect { host, reason: reason(&error) },
            None => Self::Broken { host, reason: reason(&error) },
        }
    }

    /// Returns that `endpoint` has not answered within `after`.
    pub(super) fn timed_out(endpoint: &Endpoint, after: Duration) -> Self {
        Self::TimedOut { host: host(endpoint), after }
    }

    /// Returns the failure that one link of the chain stands for, if it is one of those we know by type.
    fn told(source: &(dyn StdError + 'static), host: &str) -> Option<Self> {
        if let Some(error) = source.downcast_ref::<LookupError>() {
            return Some(Self::Lookup(error.clone()));
        }
        if let Some(error) = source.downcast_ref::<EndpointError>() {
            return Some(Self::Refused(error.clone()));
        }
        let host = host.to_owned();
        match source.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidCertificate(error) => {
                Some(Self::Certificate { host, reason: error.to_string() })
            }
            error => Some(Self::Tls { host, reason: error.to_string() }),
        }
    }
}

/// Returns the host and port of `endpoint`, as people write them.
fn host(endpoint: &Endpoint) -> String {
    let url = endpoint.url();
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Returns the errors below `error`, outermost first.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&error| below(error))
}

/// Returns the error below `error`.
///
/// The source of an I/O error is that of the error inside it, which would be left out.
fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// Returns what the innermost layers say, each thing once: the outer ones say only that something went wrong.
fn reason(error: &reqwest::Error) -> String {
    let Some(innermost) = chain(error).last() else { return error.to_string() };
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        Some(io::ErrorKind::ConnectionReset) => "connection reset".to_owned(),
        Some(io::ErrorKind::HostUnreachable) => "host unreachable".to_owned(),
        Some(io::ErrorKind::NetworkUnreachable) => "network unreachable".to_owned(),
        _ => innermost.to_string(),
    }
}
