//! Where a sink is, whose it is and how much it takes: what all protocols have in common.

use std::time::Duration;

use url::Url;
use uuid::Uuid;

use super::{
    error::Error,
    host::{Host, Vendor},
    key::Key,
    limits::Limits,
};

/// The namespace of the namespaces of all sinks. It is fixed for ever: another one would make every event that is sent
/// again a second event.
const NAMESPACE: Uuid = Uuid::from_u128(0x389e_185e_3b1c_4135_8504_2cfc_027b_d19d);

/// The longest pause that is granted to a service, unless it is set otherwise; the same as in Segment's own clients.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// Where a sink is, whose it is and how much it takes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub host: Host,
    /// The key that it knows us by.
    pub key: Key,
    /// What tells this sink from others of its kind at the same host: the id of the subscriber.
    ///
    /// It goes into the ids of the messages, so an event that is sent to two sinks has two ids.
    pub instance: String,
    /// Limits narrower than the service's own.
    pub limits: Option<Limits>,
    /// Whether bodies of 1 KiB and more are compressed.
    pub gzip: bool,
    /// The longest pause that is granted when the service asks for one.
    pub wait_max: Duration,
}

/// What [`Settings`] come to.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) url: Url,
    pub(super) key: Key,
    pub(super) namespace: Uuid,
    pub(super) limits: Limits,
    pub(super) gzip: bool,
    pub(super) wait_max: Duration,
}

impl Settings {
    /// Returns the settings with the service's own limits, without compression, and pauses of at most five minutes.
    pub fn new(host: Host, key: Key, instance: impl Into<String>) -> Self {
        let instance = instance.into();
        Self { host, key, instance, limits: None, gzip: false, wait_max: WAIT_MAX }
    }
}

impl Door {
    /// Returns the door at `path`.
    ///
    /// # Errors
    ///
    /// The host is no place to send to, or the limits are wider than the service's.
    pub(super) fn new(vendor: Vendor, settings: Settings, path: &str) -> Result<Self, Error> {
        let Settings { host, key, instance, limits, gzip, wait_max } = settings;
        let url = host.url(vendor, path)?;
        let own = vendor.limits();
        let limits = limits.map_or(Ok(own), |given| own.narrowed_to(given))?;
        let name = format!("{}:{}:{instance}", vendor.as_str(), host.address(vendor));
        let namespace = Uuid::new_v5(&NAMESPACE, name.as_bytes());
        Ok(Self { url, key, namespace, limits, gzip, wait_max })
    }
}
