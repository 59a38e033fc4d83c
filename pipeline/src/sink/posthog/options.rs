//! Where events go, and under which names.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tidings_analytics::{
    HashKeys,
    wire::{PostHog, Settings},
};

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Where events go, and under which names.
#[derive(Clone)]
pub struct Options {
    /// The name of the sink.
    pub name: String,
    /// The project, its key, and how much is sent at once.
    pub settings: Settings,
    /// Which protocol is spoken.
    pub posthog: PostHog,
    /// What an event is called: text with paths into the event in braces.
    ///
    /// `{eid}` by default; `{context.pdata.id}-{context.env}-{edata.type}` gives names such as `esamwad-nipunhp-click`.
    pub event_name: String,
    /// The keys under which people and devices leave as hashes.
    pub keys: HashKeys,
    /// Certificates (DER) that are trusted beside those of the operating system.
    pub trusted_certificates: Vec<Vec<u8>>,
    /// How long a request may take before it is sent again.
    pub timeout: Duration,
    /// What time it is: some requests say when they were sent.
    pub clock: Clock,
}

impl Options {
    /// Returns the options of a sink, with the defaults: names are `{eid}`, and a request may take a minute.
    #[must_use]
    pub fn new(name: impl Into<String>, settings: Settings, keys: HashKeys, clock: Clock) -> Self {
        Self {
            name: name.into(),
            settings,
            posthog: PostHog::default(),
            event_name: "{eid}".to_owned(),
            keys,
            trusted_certificates: Vec::new(),
            timeout: Duration::from_mins(1),
            clock,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .field("posthog", &self.posthog)
            .field("event_name", &self.event_name)
            .field("keys", &self.keys)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
