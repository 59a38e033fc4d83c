//! Whether an event will pass the limits of the sinks, asked when it is registered.
//!
//! The process that registers knows neither the sinks nor what the context provider will add, so it checks against the
//! services' limits with a reserve for what is added.

use chrono::DateTime;
use uuid::Uuid;

use super::{
    call::Call,
    error::Error,
    host::Vendor,
    identity::Identity,
    limits::Limits,
    message::Message,
    posthog::PostHog,
    properties::{Context, Properties},
    sink::Format,
    text::{Id, Name},
};

/// Room for the properties of the application and the system.
const RESERVE_BYTES: usize = 2048;

/// Room for everything around the properties of an event: an eighth of it for ids and a name, which may be escaped, and
/// the name stands twice; the rest for keys and times.
const FRAME_BYTES_MAX: usize = 8 * 1024;

/// How many times longer JSON can become when it is written anew: `1e15` becomes `1000000000000000.0`.
const GROWTH_MAX: usize = 6;

/// The limits that an event has to pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    limits: Vec<(Format, Limits)>,
    reserve_bytes: usize,
}

impl Default for Check {
    /// The limits of Segment, which are the narrowest, and of PostHog, with 2 KiB for the context.
    fn default() -> Self {
        Self::new(Vendor::ALL.map(|vendor| (vendor, vendor.limits())))
    }
}

impl Check {
    /// Returns the check against these limits, with 2 KiB for the context.
    pub fn new(limits: impl IntoIterator<Item = (Vendor, Limits)>) -> Self {
        let format = |vendor| match vendor {
            Vendor::Segment => Format::Segment,
            Vendor::PostHog => Format::PostHog(PostHog::default()),
        };
        let limits = limits.into_iter().map(|(vendor, limits)| (format(vendor), limits));
        Self { limits: limits.collect(), reserve_bytes: RESERVE_BYTES }
    }

    /// Returns the check with another reserve for what the context provider adds.
    #[must_use]
    pub fn with_reserve_bytes(mut self, reserve_bytes: usize) -> Self {
        self.reserve_bytes = reserve_bytes;
        self
    }

    /// Checks an event of this type, with its telemetry view as the JSON in which it is stored.
    ///
    /// Nearly every event is so small that only its length is looked at.
    ///
    /// # Errors
    ///
    /// It would be too large for a sink, with its largest fields; the type or the identity is none that can be sent;
    /// or the telemetry view, where it is not so small that it need not be read, is no object of two objects.
    pub fn telemetry(
        &self,
        call: Call,
        event_type: &str,
        identity: &Identity,
        telemetry: &str,
    ) -> Result<(), Error> {
        let name = Name::new(event_type)?;
        let identity = identity.clone().or_installation(Uuid::max())?;
        let message = Message::new(Uuid::nil(), call, name, identity, DateTime::UNIX_EPOCH)?;
        if self.is_small(&message, telemetry) {
            return Ok(());
        }
        let properties = Properties::of_stored(event_type, telemetry, &Context::new())?;
        self.message(&message.with_properties(properties))
    }

    /// Checks a message as it is, with the reserve beside it.
    ///
    /// # Errors
    ///
    /// It would be too large for a sink, with its largest fields.
    pub fn message(&self, message: &Message) -> Result<(), Error> {
        for (format, limits) in &self.limits {
            let bytes = format.encode(message, Uuid::nil())?.len();
            format.check(message, bytes.saturating_add(self.reserve_bytes), *limits)?;
        }
        Ok(())
    }

    /// Returns whether the event is so small that no way of writing it can be too large.
    fn is_small(&self, message: &Message, telemetry: &str) -> bool {
        let identity = message.identity();
        let consent = identity.consent.iter().flatten().map(|(category, _)| category.len() + 16);
        let consent = consent.sum::<usize>() * GROWTH_MAX;
        let most = telemetry.len() * GROWTH_MAX + consent + FRAME_BYTES_MAX + self.reserve_bytes;
        // A property takes at least four bytes, `"":0`.
        let fits = |limits: &Limits| {
            most <= limits.event_bytes_max() && telemetry.len() / 4 <= limits.properties_max()
        };
        self.limits.iter().all(|(_, limits)| fits(limits))
            && identity_bytes(identity) + message.name().as_str().len() <= FRAME_BYTES_MAX / 8
    }
}

/// Returns how long the ids are together.
fn identity_bytes(identity: &Identity) -> usize {
    let Identity { user, anonymous, group, previous, consent: _ } = identity;
    [user, anonymous, group, previous].into_iter().flatten().map(|id| Id::as_str(id).len()).sum()
}
