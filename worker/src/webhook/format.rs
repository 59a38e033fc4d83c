//! How the requests of one subscriber look: which profile, and how its fields are written.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;
use tidings::{
    delivery::RegisteredEvent,
    endpoint::{Config, ContentType, Profile},
    format::{self, CloudEvent, cloud_event},
    subscriber::Subscriber,
};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    PING,
    message::{Headers, Message},
    orchest::Orchest,
};

/// How the requests of one subscriber look.
#[derive(Clone, Debug)]
pub(super) struct Format {
    content_type: ContentType,
    written_as: format::Format,
    /// What Standard Webhooks needs to know of a subscriber is nothing.
    orchest: Option<Orchest>,
}

impl Format {
    /// Returns what `config` asks for.
    pub(super) fn of(subscriber: &Subscriber, config: &Config) -> Self {
        let orchest = match config.profile {
            Profile::Standard => None,
            Profile::Orchest => Some(Orchest::of(subscriber, config)),
        };
        Self { content_type: config.content_type, written_as: config.format, orchest }
    }

    /// Returns the message of `event`.
    pub(super) fn message(&self, event: &RegisteredEvent) -> Message {
        let (id, at, payload) = (event.event_id, event.occurred_at, &event.payload);
        let event_type = &event.event_type;
        let message = match &self.orchest {
            None => self.standard(event),
            Some(orchest) => {
                let fields = orchest.fields((id, event_type, at), payload);
                self.orchest(orchest.delivery_id(id), event_type, &fields)
            }
        };
        Message { trace: event.trace(), ..message }
    }

    /// Returns a message that is no event.
    pub(super) fn ping(&self, id: Uuid, at: DateTime<Utc>, subscriber: &Subscriber) -> Message {
        if let Some(orchest) = &self.orchest {
            let fields = orchest.fields((id, Orchest::PING, at), "{}");
            return self.orchest(id, Orchest::PING, &fields);
        }
        let data = json!({ "subscriber": subscriber.name, "tenant": subscriber.tenant });
        self.standard(&RegisteredEvent {
            event_id: id,
            event_type: PING.to_owned(),
            version: 1,
            tenant: subscriber.tenant.clone(),
            scope: String::new(),
            ordering_key: None,
            occurred_at: at,
            payload: data.to_string(),
            headers: None,
        })
    }

    /// Returns a message under the headers of Standard Webhooks.
    fn standard(&self, event: &RegisteredEvent) -> Message {
        let RegisteredEvent { event_type, occurred_at: at, payload, .. } = event;
        let mut headers = Headers::Standard;
        let body = match (self.written_as, self.content_type) {
            (format::Format::Tidings, ContentType::Json) => format::body(event_type, *at, payload),
            (format::Format::Tidings, ContentType::Form) => {
                let at = format::timestamp(*at);
                form(&[("type", event_type), ("timestamp", &at), ("data", payload)])
            }
            (format::Format::CloudEvents, _) => CloudEvent::new(event).structured(),
            (format::Format::CloudEventsBinary, _) => {
                headers = Headers::CloudEvent(cloud_event_headers(event));
                payload.clone()
            }
        };
        let media_type = match self.content_type {
            ContentType::Json => self.written_as.media_type(),
            ContentType::Form => self.content_type.as_str(),
        };
        Message { id: event.event_id, media_type, body, trace: None, headers }
    }

    /// Returns a message of the two fields of Orchest, each JSON.
    fn orchest(&self, id: Uuid, event_type: &str, fields: &[(&str, String); 2]) -> Message {
        let [(first, for_whom), (second, event)] = fields;
        let body = match self.content_type {
            ContentType::Json => format!(r#"{{"{first}":{for_whom},"{second}":{event}}}"#),
            ContentType::Form => form(&[(first, for_whom), (second, event)]),
        };
        let headers = Headers::Orchest { event_type: event_type.to_owned() };
        let media_type = self.content_type.as_str();
        Message { id, media_type, body, trace: None, headers }
    }
}

/// Returns the attributes of an event as headers.
fn cloud_event_headers(event: &RegisteredEvent) -> Vec<(HeaderName, HeaderValue)> {
    let header = |(name, value): (&str, Cow<'_, str>)| {
        let name = HeaderName::try_from(format!("ce-{name}")).ok()?;
        Some((name, HeaderValue::try_from(&*cloud_event::http_value(&value)).ok()?))
    };
    CloudEvent::new(event).attributes().into_iter().filter_map(header).collect()
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[cfg(test)]
mod tests;
