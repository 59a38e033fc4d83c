//! How the requests of one subscriber look: which profile, and how its fields are written.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tidings::{
    delivery::RegisteredEvent,
    endpoint::{Config, ContentType, Profile},
    subscriber::Subscriber,
};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    PING,
    message::{Headers, Message},
    orchest::Orchest,
    trace,
};

/// How the requests of one subscriber look.
#[derive(Clone, Debug)]
pub(super) struct Format {
    content_type: ContentType,
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
        Self { content_type: config.content_type, orchest }
    }

    /// Returns the message of `event`.
    pub(super) fn message(&self, event: &RegisteredEvent) -> Message {
        let (id, at, payload) = (event.event_id, event.occurred_at, &event.payload);
        let event_type = &event.event_type;
        let message = match &self.orchest {
            None => self.standard(id, event_type, at, payload),
            Some(orchest) => {
                let fields = orchest.fields((id, event_type, at), payload);
                self.orchest(orchest.delivery_id(id), event_type, &fields)
            }
        };
        Message { trace: event.headers.as_deref().and_then(trace::read), ..message }
    }

    /// Returns a message that is no event.
    pub(super) fn ping(&self, id: Uuid, at: DateTime<Utc>, subscriber: &Subscriber) -> Message {
        if let Some(orchest) = &self.orchest {
            let fields = orchest.fields((id, Orchest::PING, at), "{}");
            return self.orchest(id, Orchest::PING, &fields);
        }
        let data = json!({ "subscriber": subscriber.name, "tenant": subscriber.tenant });
        self.standard(id, PING, at, &data.to_string())
    }

    fn standard(&self, id: Uuid, event_type: &str, at: DateTime<Utc>, data: &str) -> Message {
        // The database keeps microseconds.
        let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let body = match self.content_type {
            ContentType::Json => {
                let event_type = Value::from(event_type);
                format!(r#"{{"type":{event_type},"timestamp":"{at}","data":{data}}}"#)
            }
            ContentType::Form => form(&[("type", event_type), ("timestamp", &at), ("data", data)]),
        };
        let (content_type, headers) = (self.content_type, Headers::Standard);
        Message { id, content_type, body, trace: None, headers }
    }

    /// Returns a message of the two fields of Orchest, each JSON.
    fn orchest(&self, id: Uuid, event_type: &str, fields: &[(&str, String); 2]) -> Message {
        let [(first, for_whom), (second, event)] = fields;
        let body = match self.content_type {
            ContentType::Json => format!(r#"{{"{first}":{for_whom},"{second}":{event}}}"#),
            ContentType::Form => form(&[(first, for_whom), (second, event)]),
        };
        let headers = Headers::Orchest { event_type: event_type.to_owned() };
        Message { id, content_type: self.content_type, body, trace: None, headers }
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[cfg(test)]
mod tests;
