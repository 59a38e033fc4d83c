//! What is done to an event that is let through: redact, enrich, route, and what is made of it.

use std::borrow::Cow;

use crate::{
    Stage,
    check::Checked,
    provenance::Provenance,
    reason::Reason,
    topic::{Layout, Spec},
    value::Value,
};

/// Where an event stands, for what is written into it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The batch that it came in.
    pub provenance: &'a Provenance,
    /// Its place in the batch.
    pub index: u32,
    /// Its document id.
    pub id: &'a str,
    /// What the check has found.
    pub checked: &'a Checked,
    /// Whether it has the id of another event.
    pub collision: bool,
}

/// The steps of an installation.
#[derive(Debug, Default)]
pub struct Steps {}

impl Steps {
    /// Returns the topics that events are routed to.
    #[must_use]
    pub fn specs(&self, _layout: &Layout) -> Vec<Spec> {
        Vec::new()
    }

    /// Returns what is made of an event, each with its id.
    #[must_use]
    pub fn derive<'a>(&self, _event: &Value<'a>, _place: &Place<'_>) -> Vec<(Value<'a>, String)> {
        Vec::new()
    }

    /// Redacts and enriches an event.
    ///
    /// # Errors
    ///
    /// It cannot be done, and so the event may not go on.
    pub fn apply(&self, event: &mut Value<'_>, place: &Place<'_>) -> Result<(), (Stage, Reason)> {
        if let Some(event) = event.as_object_mut() {
            event.set("syncts", place.provenance.syncts);
            let mut metadata = crate::value::Object::new();
            metadata.set("id", place.id.to_owned());
            event.set("metadata", metadata);
        }
        Ok(())
    }

    /// Returns the topics that get an event besides `unique`.
    #[must_use]
    pub fn routes(&self, _event: &Value<'_>) -> Vec<Cow<'static, str>> {
        Vec::new()
    }
}
