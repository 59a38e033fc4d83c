//! What goes wrong when a client is built or handed an event.

use crate::wire;

/// An event that is not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The sink would refuse it, or lose it.
    #[error(transparent)]
    Unfit(#[from] wire::Error),
    /// There is no room.
    #[error(
        "send an event: the queue is full: the sink is slow or away; send it again later, or let the client drop events"
    )]
    Full,
    /// Nothing is taken any more.
    #[error("send an event: the client was shut down")]
    Closed,
}

impl SendError {
    /// Returns whether the same event may be taken later.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Full => true,
            Self::Unfit(_) | Self::Closed => false,
        }
    }
}

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The installation has no id.
    #[error(
        "set up the analytics client: the id of the installation is missing: draw a UUID once and keep it"
    )]
    Installation(#[source] wire::Error),
    /// There is nobody who would send.
    #[error("set up the analytics client: build it inside of a tokio runtime")]
    Runtime,
    /// A bound of the queue that holds nothing.
    #[error("set up the analytics client: a queue holds at least one event, and at least 1 MiB")]
    Queue,
    /// No certificate is trusted on this machine, and the sink is at an `https` address.
    #[error("set up the analytics client: prepare TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("set up the analytics client: prepare the HTTP client")]
    Http(#[source] reqwest::Error),
}
