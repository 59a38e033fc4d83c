//! The steps behind dedup, as one installation has set them: redact, derive, enrich, route.
//!
//! All of them are pure; only the rows of look-ups are fetched between [`Steps::gather`] and the rest, once a batch.
//!
//! ```text
//! gather ──(load)──▶ redact ──▶ derive ──▶ enrich ──▶ router().topics
//!                      └─Reason─▶ failed      └─Reason─▶ failed
//! ```

use std::sync::Arc;

use tidings_analytics::HashKeys;

use crate::{
    Result,
    enrich::{Enricher, Stamp},
    lookup::{Keys, Lookups, Snapshot},
    reason::Reason,
    redact::{Facts, Redactor},
    route::{
        Router,
        share::{self, Items},
    },
    settings::Settings,
    value::Value,
};

/// The steps of an installation, compiled.
#[derive(Clone, Debug)]
pub struct Steps {
    lookups: Arc<Lookups>,
    redactor: Redactor,
    enricher: Enricher,
    router: Router,
}

impl Steps {
    /// Compiles settings; without keys, what has to be hashed fails.
    ///
    /// # Errors
    ///
    /// Which setting cannot be used, and what to write.
    pub fn compile(settings: &Settings, keys: Option<Arc<HashKeys>>) -> Result<Self> {
        let lookups = Lookups::compile(&settings.enrich.lookup)?;
        Ok(Self {
            redactor: Redactor::compile(&settings.redact, &lookups, keys)?,
            enricher: Enricher::new(&settings.enrich),
            router: Router::compile(&settings.route)?,
            lookups: Arc::new(lookups),
        })
    }

    /// Returns it with other hash keys, after a rotation.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<Arc<HashKeys>>) -> Self {
        self.redactor = self.redactor.with_keys(keys);
        self
    }

    /// Returns the look-ups, for a [`Loader`](crate::lookup::Loader).
    #[must_use]
    pub const fn lookups(&self) -> &Arc<Lookups> {
        &self.lookups
    }

    /// Returns the routes.
    #[must_use]
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// Takes the keys of look-ups out of an event before it is redacted: its own first, then those of what is derived
    /// from it, so that their rows are loaded too.
    pub fn gather<'a>(&self, event: &Value<'a>, channel: &str, keys: &mut Vec<Keys<'a>>) {
        keys.push(self.lookups.keys(event, channel));
        if !self.lookups.is_empty() && self.router.share_items() {
            let items = share::items(event).events;
            keys.extend(items.iter().map(|item| self.lookups.keys(item, channel)));
        }
    }

    /// Redacts an event; returns whether something in it is another. A reason sends it to `failed`, at the stage
    /// `redact`.
    ///
    /// # Errors
    ///
    /// A rule cannot be applied.
    pub fn redact(&self, event: &mut Value<'_>, facts: Facts<'_>) -> Result<bool, Reason> {
        self.redactor.apply(event, facts)
    }

    /// Returns the events that are derived from one that was redacted; they are enriched and routed as it is, and
    /// neither checked nor deduplicated.
    #[must_use]
    pub fn derive<'a>(&self, event: &Value<'a>) -> Items<'a> {
        if self.router.share_items() { share::items(event) } else { Items::default() }
    }

    /// Returns the keys of a derived event: those of its origin, where redaction has left both the same, or its own.
    #[must_use]
    pub fn keys_of_derived<'a>(
        &self,
        derived: &Value<'a>,
        origin: &Value<'a>,
        keys: &Keys<'a>,
        channel: &str,
    ) -> Keys<'a> {
        let (own, redacted) =
            (self.lookups.keys(derived, channel), self.lookups.keys(origin, channel));
        own.or_same(&redacted, keys)
    }

    /// Adds what is known of an event, and redacts what was added. A reason sends it to `failed`, at the stage
    /// `enrich`.
    ///
    /// # Errors
    ///
    /// There is no row for it and a look-up is set to fail then, or a rule cannot be applied to what was added.
    pub fn enrich<'a>(
        &'a self,
        event: &mut Value<'a>,
        keys: &Keys<'_>,
        snapshot: &'a Snapshot,
        mut stamp: Stamp<'a>,
    ) -> Result<(), Reason> {
        let channel = stamp.provenance.channel.as_str();
        self.lookups.apply(event, keys, snapshot, &mut stamp.flags)?;
        self.enricher.apply(event, stamp);
        self.redactor.apply_added(event, Facts { channel, keys, snapshot })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
