//! From a delivery to what is said about it.

use std::collections::BTreeSet;

use serde::Deserialize;
use tidings::{
    analytics::wire::{App, Context, Error, Identity, Message, Name, Properties},
    deliverer::{Answer, Verdict},
    delivery::Delivery,
};
use uuid::Uuid;

/// What stands beside an event that is of interest here.
#[derive(Default, Deserialize)]
struct Headers {
    #[serde(default)]
    analytics: Identity,
    /// There for what a reporter has registered.
    report: Option<Reported>,
}

/// What a message of a report is, apart from its properties.
#[derive(Deserialize)]
struct Reported {
    /// The same for the same report, whatever event it was registered under.
    id: Uuid,
    name: String,
    app: Option<App>,
}

/// The telemetry view of what a reporter has registered: the properties, whole.
#[derive(Deserialize)]
struct Flat {
    event_properties: Properties,
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
    let Ok(Headers { analytics: identity, report }) = headers else {
        return Err(refused("the identity beside the event cannot be read"));
    };
    if let Some(category) = identity.refused(needed) {
        let reason = format!("there is no consent to {category}, which the sink needs");
        return Err(Answer::filtered(reason));
    }
    if let Some(report) = report {
        return reported(delivery, identity, report);
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

/// Returns the message of a report as the report has it: nothing is put around its properties.
fn reported(delivery: &Delivery, identity: Identity, report: Reported) -> Result<Message, Answer> {
    let event = &delivery.event;
    let Reported { id, name, app } = report;
    let Ok(Flat { event_properties: properties }) = serde_json::from_str(&event.payload) else {
        return Err(refused("the properties of the report cannot be read"));
    };
    let call = delivery.call.unwrap_or_default();
    let message = Name::new(name)
        .and_then(|name| Message::new(id, call, name, identity, event.occurred_at))
        .map_err(|error| refused(error.to_string()))?
        .with_properties(properties);
    Ok(match app {
        Some(app) => message.with_app(app),
        None => message,
    })
}

fn refused(reason: impl Into<String>) -> Answer {
    Answer::failed(Verdict::Refused, reason)
}
