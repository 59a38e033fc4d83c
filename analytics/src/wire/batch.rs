//! Encoded events on their way into one body.

use std::{collections::HashSet, fmt};

use bytes::Bytes;
use uuid::Uuid;

use super::limits::Limits;

/// An event as the bytes in which it will leave.
#[derive(Clone, Eq, PartialEq)]
pub struct Encoded {
    id: Uuid,
    bytes: Bytes,
}

/// Events that leave in one body, within the limits of the sink.
///
/// The limit of bytes is that of the whole body, before it is compressed.
#[derive(Clone, Debug)]
pub struct Batch {
    limits: Limits,
    bytes: usize,
    events: Vec<Encoded>,
    ids: HashSet<Uuid>,
}

impl Encoded {
    /// Returns an event under its id at the sink.
    pub(super) const fn new(id: Uuid, bytes: Bytes) -> Self {
        Self { id, bytes }
    }

    /// Returns the id under which the sink knows it: the same for every try.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the bytes, a JSON object.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl fmt::Debug for Encoded {
    /// Leaves out what the event says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").field("id", &self.id).field("bytes", &self.bytes.len()).finish()
    }
}

impl Batch {
    /// Returns a batch without events; `envelope_bytes` are those of the body around them.
    pub(super) fn new(limits: Limits, envelope_bytes: usize) -> Self {
        Self { limits, bytes: envelope_bytes, events: Vec::new(), ids: HashSet::new() }
    }

    /// Takes an event in.
    ///
    /// # Errors
    ///
    /// The event, if there is no room for it, or if one with its id is in already, which PostHog refuses: it goes into
    /// the next batch. A batch without events has room for any event that its sink has encoded.
    pub fn push(&mut self, event: Encoded) -> Result<(), Encoded> {
        let comma = usize::from(!self.events.is_empty());
        let bytes = self.bytes + comma + event.bytes.len();
        let has_room = bytes <= self.limits.batch_bytes_max()
            && self.events.len() < self.limits.batch_events_max();
        if !has_room || self.ids.contains(&event.id) {
            return Err(event);
        }
        self.ids.insert(event.id);
        self.bytes = bytes;
        self.events.push(event);
        Ok(())
    }

    /// Returns how many events are in.
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether no event is in.
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns how long the body will be, in bytes, before it is compressed.
    pub const fn body_bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the events in their order.
    pub fn events(&self) -> &[Encoded] {
        &self.events
    }

    /// Returns the events in their order, to be sent in another way.
    pub fn into_events(self) -> Vec<Encoded> {
        self.events
    }

    /// Returns the body: the events between `before` and `after`, with commas.
    pub(super) fn body(&self, before: &str, after: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes);
        body.extend_from_slice(before.as_bytes());
        for (index, event) in self.events.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&event.bytes);
        }
        body.extend_from_slice(after.as_bytes());
        body
    }
}
