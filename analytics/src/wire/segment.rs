//! Segment's protocol: `POST /v1/batch`.

use std::collections::BTreeMap;

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{
    call::Call,
    error::Error,
    message::{App, Message},
    request::{self, Attempt, LIBRARY, Request},
    text::Id,
    time,
};

/// Where batches go.
pub(super) const PATH: &str = "/v1/batch";

/// The address that tells Segment to keep none: that of our server says nothing about anybody.
const NO_ADDRESS: &str = "0.0.0.0";

/// One call as Segment's specification has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(rename = "type")]
    call: Call,
    message_id: Uuid,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<&'a Map<String, Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traits: Option<&'a Map<String, Json>>,
    context: Context<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    integrations: &'a BTreeMap<String, bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    library: Library,
    ip: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<AppContext<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<Consent<'a>>,
}

#[derive(Serialize)]
struct Library {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct AppContext<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Consent<'a> {
    category_preferences: &'a BTreeMap<String, bool>,
}

/// What the service answers, if it is the service that answers.
#[derive(Deserialize)]
struct Success {
    success: bool,
}

impl<'a> Item<'a> {
    fn new(message: &'a Message, message_id: Uuid) -> Self {
        let (call, identity) = (message.call(), message.identity());
        let (name, map) = (message.name().as_str(), message.properties().as_map());
        let has_traits = matches!(call, Call::Identify | Call::Group);
        let has_properties = matches!(call, Call::Track | Call::Page | Call::Screen);
        Self {
            call,
            message_id,
            timestamp: time::text(message.occurred_at()),
            user_id: identity.user.as_ref(),
            anonymous_id: identity.anonymous.as_ref().filter(|_| call != Call::Alias),
            group_id: identity.group.as_ref().filter(|_| call == Call::Group),
            previous_id: identity.previous.as_ref().filter(|_| call == Call::Alias),
            event: (call == Call::Track).then_some(name),
            name: matches!(call, Call::Page | Call::Screen).then_some(name),
            properties: has_properties.then_some(map),
            traits: has_traits.then_some(map),
            context: Context {
                library: Library { name: LIBRARY, version: request::VERSION },
                ip: NO_ADDRESS,
                app: message.app().map(|App { name, version }| AppContext { name, version }),
                group_id: identity.group.as_ref().filter(|_| call != Call::Group),
                consent: identity
                    .consent
                    .as_ref()
                    .map(|categories| Consent { category_preferences: categories }),
            },
            integrations: message.integrations(),
        }
    }
}

/// Returns the bytes of one call.
pub(super) fn item(message: &Message, message_id: Uuid) -> Result<Vec<u8>, Error> {
    super::json(&Item::new(message, message_id))
}

/// Returns what stands before and after the calls of a body; it is as long for every attempt.
pub(super) fn envelope(attempt: &Attempt) -> (String, String) {
    let after = format!(r#"],"sentAt":"{}"}}"#, time::text(attempt.sent_at));
    (r#"{"batch":["#.to_owned(), after)
}

/// Returns the request with what this protocol adds.
pub(super) fn complete(
    request: Request,
    authorization: &HeaderValue,
    attempt: &Attempt,
) -> Request {
    let mut request = match attempt.number {
        0 | 1 => request,
        number => request.with_header("x-retry-count", &(number - 1).to_string()),
    };
    request.headers.insert(http::header::AUTHORIZATION, authorization.clone());
    request
}

/// Returns whether a 200 with this body is the service's own.
pub(super) fn is_success(body: &[u8]) -> bool {
    serde_json::from_slice::<Success>(body).is_ok_and(|answer| answer.success)
}
