//! From a delivery to what is said about it.

use std::collections::BTreeSet;

use serde::Deserialize;
use tidings::{
    analytics::wire::{Context, Error, Identity, Message, Name, Properties},
    deliverer::{Answer, Verdict},
    delivery::Delivery,
};
use uuid::Uuid;

/// What stands beside an event that is of interest here.
#[derive(Default, Deserialize)]
struct Headers {
    #[serde(default)]
    analytics: Identity,
}

/// Returns the call of a delivery, or the answer to one that is not sent.
///
/// `needed` are the categories of consent that the sink needs.
pub(super) fn message(
    delivery: &Delivery,
    installation: Uuid,
    needed: &BTreeSet<String>,
    context: &Context,
) -> Result<Message, Answer> {
    let event = &delivery.event;
    let headers = event.headers.as_deref().map_or(Ok(Headers::default()), serde_json::from_str);
    let Ok(Headers { analytics: identity }) = headers else {
        return Err(refused("the identity beside the event cannot be read"));
    };
    if let Some(category) = missing(&identity, needed) {
        let reason = format!("there is no consent to {category}, which the sink needs");
        return Err(Answer::filtered(reason));
    }
    let build = || {
        let name = Name::new(event.event_type.clone())?;
        let identity = identity.or_installation(installation)?;
        let call = delivery.call.unwrap_or_default();
        let properties = Properties::of_stored(&event.event_type, &event.payload, context)?;
        let message = Message::new(event.event_id, call, name, identity, event.occurred_at)?;
        Ok(message.with_properties(properties))
    };
    build().map_err(|error: Error| refused(error.to_string()))
}

fn refused(reason: impl Into<String>) -> Answer {
    Answer::failed(Verdict::Refused, reason)
}

/// Returns a category that the sink needs and the identity does not give. Who was not asked has not refused.
fn missing<'a>(identity: &Identity, needed: &'a BTreeSet<String>) -> Option<&'a String> {
    let given = identity.consent.as_ref()?;
    needed.iter().find(|category| given.get(*category) != Some(&true))
}
