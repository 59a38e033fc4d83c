//! A place where messages go: one source at Segment, one project at PostHog.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use http::HeaderValue;
use url::Url;
use uuid::Uuid;

use super::{
    batch::{Batch, Encoded},
    door::{Door, Settings},
    error::Error,
    host::Vendor,
    limits::Limits,
    message::Message,
    outcome::Outcome,
    posthog::{self, Answer, PostHog, Protocol},
    request::{Attempt, Request},
    response::Response,
    segment,
    size::TooLarge,
};

/// A place where messages go.
///
/// It holds no connection and no state: what it returns follows from what it is given.
///
/// # Examples
///
/// ```
/// use chrono::DateTime;
/// use tidings_analytics::wire::{
///     Attempt, Call, Host, Id, Identity, Key, Message, Name, Outcome, Response, Settings, Sink,
/// };
/// use uuid::Uuid;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sink = Sink::segment(Settings::new(Host::Eu, Key::new("a-write-key")?, "subscriber-1"))?;
/// let message = Message::new(
///     Uuid::from_u128(1),
///     Call::Track,
///     Name::new("order:placed")?,
///     Identity::user(Id::new("2026-01:3q2-7wAB")?),
///     DateTime::UNIX_EPOCH,
/// )?;
///
/// let mut batch = sink.batch();
/// batch.push(sink.encode(&message)?).map_err(|_| "no room")?;
///
/// let attempt = Attempt::first(Uuid::from_u128(2), DateTime::UNIX_EPOCH);
/// let request = sink.request(&batch, &attempt);
/// assert_eq!(request.url.as_str(), "https://events.eu1.segmentapis.com/v1/batch");
///
/// // Whatever sends the request comes back with an answer.
/// let body = r#"{"success":true}"#.into();
/// let response = Response { status: 200, body, ..Response::default() };
/// assert_eq!(sink.classify(&batch, &response, DateTime::UNIX_EPOCH), Outcome::Delivered);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sink {
    door: Door,
    format: Format,
    authorization: HeaderValue,
    envelope_bytes: usize,
}

/// How events are written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Format {
    Segment,
    PostHog(PostHog),
}

impl Sink {
    /// Returns the source at Segment, or at what speaks its protocol.
    ///
    /// # Errors
    ///
    /// The host is no place to send to, or the limits are wider than Segment's.
    pub fn segment(settings: Settings) -> Result<Self, Error> {
        let door = Door::new(Vendor::Segment, settings, segment::PATH)?;
        // The password is empty, and its colon is part of the protocol.
        let credentials = BASE64_STANDARD.encode(format!("{}:", door.key.expose()));
        Self::new(door, Format::Segment, &format!("Basic {credentials}"))
    }

    /// Returns the project at PostHog.
    ///
    /// # Errors
    ///
    /// The host is no place to send to, the limits are wider than PostHog's, or the group type is no name.
    pub fn posthog(settings: Settings, posthog: PostHog) -> Result<Self, Error> {
        posthog.check()?;
        let door = Door::new(Vendor::PostHog, settings, posthog.path())?;
        let bearer = format!("Bearer {}", door.key.expose());
        Self::new(door, Format::PostHog(posthog), &bearer)
    }

    fn new(door: Door, format: Format, authorization: &str) -> Result<Self, Error> {
        let mut authorization = HeaderValue::from_str(authorization).map_err(|_| Error::Key)?;
        authorization.set_sensitive(true);
        let mut sink = Self { door, format, authorization, envelope_bytes: 0 };
        let (before, after) = sink.envelope(&Attempt::first(Uuid::nil(), DateTime::UNIX_EPOCH));
        sink.envelope_bytes = before.len() + after.len();
        Ok(sink)
    }

    /// Returns whose protocol it speaks.
    pub const fn vendor(&self) -> Vendor {
        self.format.vendor()
    }

    /// Returns where it is.
    pub const fn url(&self) -> &Url {
        &self.door.url
    }

    /// Returns in which protocol PostHog is spoken to, or `None` for Segment.
    pub const fn protocol(&self) -> Option<Protocol> {
        match &self.format {
            Format::Segment => None,
            Format::PostHog(posthog) => Some(posthog.protocol),
        }
    }

    /// Returns how much it takes.
    pub const fn limits(&self) -> Limits {
        self.door.limits
    }

    /// Returns the id of `event` at this sink: `messageId` at Segment, `uuid` at PostHog.
    ///
    /// It is the same for every try, from every worker, so that the service recognises what it has.
    pub fn message_id(&self, event: Uuid) -> Uuid {
        Uuid::new_v5(&self.door.namespace, event.as_bytes())
    }

    /// Returns the bytes in which a message leaves.
    ///
    /// # Errors
    ///
    /// It is larger than the sink takes, or has more properties than the sink keeps.
    pub fn encode(&self, message: &Message) -> Result<Encoded, Error> {
        let id = self.message_id(message.id());
        let bytes = self.format.encode(message, id)?;
        self.format.check(message, bytes.len(), self.door.limits)?;
        Ok(Encoded::new(id, bytes.into()))
    }

    /// Returns a batch without events.
    pub fn batch(&self) -> Batch {
        Batch::new(self.door.limits, self.envelope_bytes)
    }

    /// Returns `events` in as few batches as follow from their order; each has an event at least.
    pub fn batches(&self, events: impl IntoIterator<Item = Encoded>) -> Vec<Batch> {
        let (mut batches, mut batch) = (Vec::new(), self.batch());
        for event in events {
            if let Err(event) = batch.push(event) {
                batches.push(std::mem::replace(&mut batch, self.batch()));
                // An empty batch has room for any event that was encoded here.
                batch.push(event).ok();
            }
        }
        batches.push(batch);
        batches.retain(|batch| !batch.is_empty());
        batches
    }

    /// Returns the request of one try to send `batch`.
    pub fn request(&self, batch: &Batch, attempt: &Attempt) -> Request {
        let (before, after) = self.envelope(attempt);
        let body = batch.body(&before, &after);
        let request = Request::json(self.door.url.clone(), body, self.door.gzip);
        match &self.format {
            Format::Segment => segment::complete(request, &self.authorization, attempt),
            Format::PostHog(posthog) => posthog.complete(request, &self.authorization, attempt),
        }
    }

    /// Returns what an answer that came at `now` means for the events of `batch`.
    pub fn classify(&self, batch: &Batch, response: &Response, now: DateTime<Utc>) -> Outcome {
        let Door { key, wait_max, .. } = &self.door;
        if response.status != 200 {
            return response.failure(key, now, *wait_max);
        }
        let answer = match &self.format {
            Format::Segment if segment::is_success(&response.body) => Answer::Delivered,
            Format::Segment => Answer::Foreign,
            Format::PostHog(PostHog { protocol, .. }) => {
                posthog::read(*protocol, &response.body, batch.events())
            }
        };
        match answer {
            Answer::Delivered => Outcome::Delivered,
            Answer::Mixed(verdicts) => Outcome::Mixed(verdicts),
            Answer::QuotaLimited(resources) => {
                Outcome::QuotaLimited { reason: format!("out of quota for {resources}") }
            }
            Answer::Foreign => Outcome::Transient {
                reason: format!(
                    "{}, which is not an answer of {}: something between us has spoken",
                    response.explain(key),
                    self.vendor().title()
                ),
            },
        }
    }

    fn envelope(&self, attempt: &Attempt) -> (String, String) {
        match &self.format {
            Format::Segment => segment::envelope(attempt),
            Format::PostHog(posthog) => posthog.envelope(&self.door.key, attempt),
        }
    }
}

impl Format {
    pub(super) const fn vendor(&self) -> Vendor {
        match self {
            Self::Segment => Vendor::Segment,
            Self::PostHog(_) => Vendor::PostHog,
        }
    }

    /// Returns the bytes of one event under its id.
    pub(super) fn encode(&self, message: &Message, id: Uuid) -> Result<Vec<u8>, Error> {
        match self {
            Self::Segment => segment::item(message, id),
            Self::PostHog(posthog) => posthog.item(message, id),
        }
    }

    /// Checks an encoded event of that size.
    pub(super) fn check(
        &self,
        message: &Message,
        bytes: usize,
        limits: Limits,
    ) -> Result<(), Error> {
        let (properties, bytes_max) = (message.properties(), limits.event_bytes_max());
        if bytes > bytes_max {
            let service = self.vendor().title();
            return Err(TooLarge::new(service, bytes, bytes_max, properties.as_map()).into());
        }
        let (count, max) = (properties.count(), limits.properties_max());
        if count > max { Err(Error::ManyProperties { count, max }) } else { Ok(()) }
    }
}
